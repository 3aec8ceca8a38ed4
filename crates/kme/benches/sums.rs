//! Speed of the sums engine against the matrix product that bounds it, both measured in the same run.
//!
//! `cargo bench -p kme --bench sums -- [--json PATH] [--n N] [--threads T] [--quick]`
//!
//! Each row is the best of a few runs of Σᵢⱼ k(xᵢ,yⱼ) for n = m points of dimension d. GFLOP/s count the inner products
//! alone (2nmd); the peak is one n×n×n matrix product of the `gemm` crate, n = 2048, on as many threads.

use kme::points::{Data, Points};
use kme::sums::{Precision, cross};
use kme::{Kernel, rng};
use rand_distr::{Distribution, StandardNormal};
use std::time::Instant;

struct Options {
    json: Option<String>,
    n: usize,
    quick: bool,
}

#[derive(serde::Serialize)]
struct Row {
    kernel: String,
    precision: Precision,
    d: usize,
    n: usize,
    seconds: Vec<f64>,
    gflops: f64,
    percent_of_peak: f64,
    nanoseconds_per_pair: f64,
}

#[derive(serde::Serialize)]
struct Report {
    threads: usize,
    peak_gflops_f32: f64,
    peak_gflops_f64: f64,
    load_before: String,
    load_after: String,
    rows: Vec<Row>,
}

fn main() {
    let options = options();
    let threads = rayon::current_num_threads();
    let load_before = load();
    println!("{threads} threads, load {load_before}");
    let (peak32, peak64) = (peak::<f32>(threads), peak::<f64>(threads));
    println!("matrix product 2048³: f32 {peak32:.1} GFLOP/s, f64 {peak64:.1} GFLOP/s\n");
    println!(
        "| kernel | precision | d | seconds | GFLOP/s | % of peak | ns per pair and thread |\n|---|---|---|---|---|---|---|"
    );
    let mut rows = Vec::new();
    let n = options.n;
    let dimensions: &[usize] = if options.quick { &[16, 256] } else { &[16, 256, 2048] };
    for &d in dimensions {
        let (x, y) = (sample(n, d, 0), sample(n, d, 1));
        for text in ["gaussian:sigma=median", "poly", "rq:alpha=0.2,0.5,1,2,5+linear"] {
            let spec: kme::KernelSpec = text.parse().unwrap();
            let kernel: Kernel = spec.resolve(d, || Ok((2.0 * d as f64).sqrt())).unwrap();
            for (precision, peak) in [(Precision::F32, peak32), (Precision::F64, peak64)] {
                let runs = if options.quick { 2 } else { 3 };
                let seconds: Vec<f64> = (0..runs)
                    .map(|_| {
                        let start = Instant::now();
                        std::hint::black_box(cross(&kernel, &x, None, &y, None, precision).unwrap());
                        start.elapsed().as_secs_f64()
                    })
                    .collect();
                let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
                let pairs = (n * n) as f64;
                let gflops = 2.0 * pairs * d as f64 / best * 1e-9;
                let row = Row {
                    kernel: text.to_string(),
                    precision,
                    d,
                    n,
                    seconds,
                    gflops,
                    percent_of_peak: 100.0 * gflops / peak,
                    nanoseconds_per_pair: best / pairs * 1e9 * threads as f64,
                };
                println!(
                    "| `{text}` | {precision:?} | {d} | {best:.3} | {gflops:.1} | {:.0} | {:.2} |",
                    row.percent_of_peak, row.nanoseconds_per_pair
                );
                rows.push(row);
            }
        }
    }
    let report =
        Report { threads, peak_gflops_f32: peak32, peak_gflops_f64: peak64, load_before, load_after: load(), rows };
    println!("\nload {}", report.load_after);
    if let Some(path) = options.json {
        std::fs::write(&path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

fn options() -> Options {
    let mut options = Options { json: None, n: 8192, quick: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => options.json = Some(arguments.next().expect("--json PATH")),
            "--n" => options.n = arguments.next().expect("--n N").parse().expect("a number"),
            "--threads" => {
                let threads = arguments.next().expect("--threads T").parse().expect("a number");
                rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().unwrap();
            }
            "--quick" => options.quick = true,
            "--bench" => {}
            other => panic!("unknown argument {other}"),
        }
    }
    options
}

fn sample(n: usize, d: usize, seed: u64) -> Points {
    let mut rng = rng::stream(seed, "bench", 0);
    Points::new(n, d, Data::F32((0..n * d).map(|_| StandardNormal.sample(&mut rng)).collect())).unwrap()
}

/// The best of five matrix products, in GFLOP/s.
fn peak<T: Copy + From<f32> + 'static>(threads: usize) -> f64 {
    const N: usize = 2048;
    let (a, b, mut c) = (vec![T::from(0.5_f32); N * N], vec![T::from(0.25_f32); N * N], vec![T::from(0.0_f32); N * N]);
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let n = N as isize;
    let best = (0..5)
        .map(|_| {
            let start = Instant::now();
            // SAFETY: three square matrices of order N.
            unsafe {
                gemm::gemm(
                    N,
                    N,
                    N,
                    c.as_mut_ptr(),
                    n,
                    1,
                    false,
                    a.as_ptr(),
                    n,
                    1,
                    b.as_ptr(),
                    n,
                    1,
                    T::from(0.0),
                    T::from(1.0),
                    false,
                    false,
                    false,
                    parallelism,
                );
            }
            std::hint::black_box(&mut c);
            start.elapsed().as_secs_f64()
        })
        .fold(f64::INFINITY, f64::min);
    2.0 * (N as f64).powi(3) / best * 1e-9
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").map_or_else(|_| "unknown".into(), |t| t.trim().to_string())
}
