//! Speed of the sums engine against the matrix product that bounds it, both measured in the same run.
//!
//! `cargo bench -p kme --bench sums -- [--json PATH] [--n N] [--threads T] [--quick]`
//!
//! Points are n = m standard normal vectors of dimension d in single precision. "sum" is Σᵢⱼ k(xᵢ,yⱼ), "mmd2" the
//! unbiased MMD² with its standard error. GFLOP/s count the inner products alone: 2nmd for a sum, twice that for MMD²
//! (one square, two triangles). The peak is the best of a few n×n×n matrix products of the `gemm` crate with n = 2048 on
//! as many threads, before and after the rows.

use kme::discrepancy::{Estimator, mmd2};
use kme::points::{Data, Points};
use kme::sums::{Precision, cross};
use kme::{Kernel, KernelSpec, rng};
use rand_distr::{Distribution, StandardNormal};
use std::time::Instant;

struct Options {
    json: Option<String>,
    n: usize,
    quick: bool,
}

#[derive(serde::Serialize)]
struct Row {
    workload: &'static str,
    kernel: &'static str,
    precision: Precision,
    d: usize,
    n: usize,
    /// Of each run.
    seconds: Vec<f64>,
    /// Of the best run.
    gflops: f64,
    percent_of_peak: f64,
}

#[derive(serde::Serialize)]
struct Report {
    version: &'static str,
    commit: String,
    processor: String,
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
    let before = (peak::<f32>(threads), peak::<f64>(threads));
    let mut rows = Vec::new();
    let dimensions: &[usize] = if options.quick { &[16, 256] } else { &[16, 256, 2048] };
    for &d in dimensions {
        let (x, y) = (sample(options.n, d, 0), sample(options.n, d, 1));
        for text in ["gaussian:sigma=median", "poly", "rq:alpha=0.2,0.5,1,2,5+linear"] {
            let spec: KernelSpec = text.parse().unwrap();
            let kernel: Kernel = spec.resolve(d, || Ok((2.0 * d as f64).sqrt())).unwrap();
            for precision in [Precision::F32, Precision::F64] {
                for workload in ["sum", "mmd2"] {
                    eprintln!("{workload} {text} {precision:?} d={d}");
                    let seconds = measure(&kernel, &x, &y, precision, workload, if options.quick { 2 } else { 3 });
                    let best = seconds.iter().copied().fold(f64::INFINITY, f64::min);
                    let products = if workload == "sum" { 2.0 } else { 4.0 };
                    let gflops = products * (options.n * options.n * d) as f64 / best * 1e-9;
                    let n = options.n;
                    rows.push(Row { workload, kernel: text, precision, d, n, seconds, gflops, percent_of_peak: 0.0 });
                }
            }
        }
    }
    let after = (peak::<f32>(threads), peak::<f64>(threads));
    let (peak32, peak64) = (before.0.max(after.0), before.1.max(after.1));
    for row in &mut rows {
        row.percent_of_peak = 100.0 * row.gflops / if row.precision == Precision::F32 { peak32 } else { peak64 };
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        commit: commit(),
        processor: processor(),
        threads,
        peak_gflops_f32: peak32,
        peak_gflops_f64: peak64,
        load_before,
        load_after: load(),
        rows,
    };
    print(&report);
    if let Some(path) = options.json {
        std::fs::write(&path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

fn measure(kernel: &Kernel, x: &Points, y: &Points, precision: Precision, workload: &str, runs: usize) -> Vec<f64> {
    let run = || match workload {
        "sum" => cross(kernel, x, None, y, None, precision).unwrap(),
        _ => mmd2(kernel, x, y, Estimator::Unbiased, precision).unwrap().value,
    };
    (0..runs)
        .map(|_| {
            let start = Instant::now();
            std::hint::black_box(run());
            start.elapsed().as_secs_f64()
        })
        .collect()
}

fn print(report: &Report) {
    println!(
        "{}, {} threads; load {} before, {} after",
        report.processor, report.threads, report.load_before, report.load_after
    );
    println!(
        "matrix product 2048³: f32 {:.1} GFLOP/s, f64 {:.1} GFLOP/s\n",
        report.peak_gflops_f32, report.peak_gflops_f64
    );
    println!("| workload | kernel | precision | d | seconds | GFLOP/s | % of peak |\n|---|---|---|---|---|---|---|");
    for row in &report.rows {
        let best = row.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let Row { workload, kernel, precision, d, gflops, percent_of_peak, .. } = row;
        println!("| {workload} | `{kernel}` | {precision:?} | {d} | {best:.3} | {gflops:.1} | {percent_of_peak:.0} |");
    }
}

fn commit() -> String {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    output.map_or_else(|_| "unknown".into(), |o| String::from_utf8_lossy(&o.stdout).trim().to_string())
}

fn processor() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|l| l.strip_prefix("model name").and_then(|l| l.split_once(':')));
    name.map_or_else(|| "unknown processor".into(), |(_, name)| name.trim().to_string())
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
