//! Speed of the sums engine against the matrix product that bounds it, both measured in the same run.
//!
//! `cargo bench -p kme --bench sums -- [--json PATH] [--n N] [--threads T] [--quick]`
//!
//! Points are n = m standard normal vectors of dimension d in single precision. "sum" is Σᵢⱼ k(xᵢ,yⱼ), "mmd2" the
//! unbiased MMD² with its standard error. GFLOP/s count the inner products alone: 2nmd for a sum, twice that for MMD²
//! (one square, two triangles). The peak is the best of a few n×n×n matrix products of the `gemm` crate with n = 2048 on
//! as many threads, before and after the rows.
//!
//! Beside the seconds on the clock there are those that the processor spent on all threads of this program. On a machine
//! with other work only the latter mean something; rates and percentages are therefore given by both.

use kme::internal::sums::cross;
use kme::rng;
use kme::{Data, Estimator, Kernel, KernelSpec, Points, Precision, mmd2};
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
    /// Of each run, on the clock and of the processor.
    times: Vec<Time>,
    gflops: f64,
    percent_of_peak: f64,
    /// By the processor's time.
    gflops_cpu: f64,
    percent_of_peak_cpu: f64,
}

#[derive(Clone, Copy, serde::Serialize)]
struct Time {
    seconds: f64,
    /// Of all threads, divided by their number.
    cpu_seconds: f64,
}

/// Rates in GFLOP/s by the two times.
#[derive(Clone, Copy, serde::Serialize)]
struct Peak {
    clock: f64,
    cpu: f64,
}

impl Peak {
    fn best(flops: f64, times: &[Time]) -> Self {
        let least = |time: fn(&Time) -> f64| times.iter().map(time).fold(f64::INFINITY, f64::min);
        Self { clock: flops * 1e-9 / least(|t| t.seconds), cpu: flops * 1e-9 / least(|t| t.cpu_seconds) }
    }

    fn max(self, other: Self) -> Self {
        Self { clock: self.clock.max(other.clock), cpu: self.cpu.max(other.cpu) }
    }
}

#[derive(serde::Serialize)]
struct Report {
    version: &'static str,
    commit: String,
    processor: String,
    threads: usize,
    peak_f32: Peak,
    peak_f64: Peak,
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
                    let run = || match workload {
                        "sum" => cross(&kernel, &x, None, &y, None, precision).unwrap(),
                        _ => mmd2(&kernel, &x, &y, Estimator::Unbiased, precision).unwrap().value,
                    };
                    let times: Vec<Time> = (0..if options.quick { 2 } else { 3 }).map(|_| time(threads, run)).collect();
                    let n = options.n;
                    let products = if workload == "sum" { 2.0 } else { 4.0 };
                    let rate = Peak::best(products * (n * n * d) as f64, &times);
                    let (percent_of_peak, percent_of_peak_cpu) = (0.0, 0.0);
                    let (gflops, gflops_cpu) = (rate.clock, rate.cpu);
                    rows.push(Row {
                        workload,
                        kernel: text,
                        precision,
                        d,
                        n,
                        times,
                        gflops,
                        percent_of_peak,
                        gflops_cpu,
                        percent_of_peak_cpu,
                    });
                }
            }
        }
    }
    let after = (peak::<f32>(threads), peak::<f64>(threads));
    let (peak32, peak64) = (before.0.max(after.0), before.1.max(after.1));
    for row in &mut rows {
        let peak = if row.precision == Precision::F32 { peak32 } else { peak64 };
        row.percent_of_peak = 100.0 * row.gflops / peak.clock;
        row.percent_of_peak_cpu = 100.0 * row.gflops_cpu / peak.cpu;
    }
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        commit: commit(),
        processor: processor(),
        threads,
        peak_f32: peak32,
        peak_f64: peak64,
        load_before,
        load_after: load(),
        rows,
    };
    print(&report);
    if let Some(path) = options.json {
        // Cargo runs benches in the crate's folder; the path is meant from the workspace's.
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::write(&path, serde_json::to_string_pretty(&report).unwrap()).unwrap();
    }
}

fn time<R>(threads: usize, run: impl FnOnce() -> R) -> Time {
    let (cpu, start) = (cpu_seconds(), Instant::now());
    std::hint::black_box(run());
    Time { seconds: start.elapsed().as_secs_f64(), cpu_seconds: (cpu_seconds() - cpu) / threads as f64 }
}

/// What all threads of this process have spent, where the system tells (Linux), else nothing that can be compared.
fn cpu_seconds() -> f64 {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return f64::NAN };
    let nanoseconds = |task: std::fs::DirEntry| -> Option<f64> {
        std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    1e-9 * tasks.filter_map(|task| nanoseconds(task.ok()?)).sum::<f64>()
}

fn print(report: &Report) {
    println!(
        "{}, {} threads; load {} before, {} after",
        report.processor, report.threads, report.load_before, report.load_after
    );
    let Report { peak_f32, peak_f64, .. } = report;
    println!(
        "matrix product 2048³, GFLOP/s by the clock (by the processor's time): f32 {:.0} ({:.0}), f64 {:.0} ({:.0})\n",
        peak_f32.clock, peak_f32.cpu, peak_f64.clock, peak_f64.cpu
    );
    println!("| workload | kernel | precision | d | seconds (cpu) | GFLOP/s (cpu) | % of peak (cpu) |");
    println!("|---|---|---|---|---|---|---|");
    for row in &report.rows {
        let least = |time: fn(&Time) -> f64| row.times.iter().map(time).fold(f64::INFINITY, f64::min);
        println!(
            "| {} | `{}` | {:?} | {} | {:.3} ({:.3}) | {:.0} ({:.0}) | {:.0} ({:.0}) |",
            row.workload,
            row.kernel,
            row.precision,
            row.d,
            least(|t| t.seconds),
            least(|t| t.cpu_seconds),
            row.gflops,
            row.gflops_cpu,
            row.percent_of_peak,
            row.percent_of_peak_cpu
        );
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

/// The best of five matrix products.
fn peak<T: Copy + From<f32> + 'static>(threads: usize) -> Peak {
    const N: usize = 2048;
    let (a, b, mut c) = (vec![T::from(0.5_f32); N * N], vec![T::from(0.25_f32); N * N], vec![T::from(0.0_f32); N * N]);
    let parallelism = if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    let n = N as isize;
    let mut product = || {
        let c = c.as_mut_ptr();
        // SAFETY: three square matrices of order N.
        unsafe {
            let (a, b) = (a.as_ptr(), b.as_ptr());
            let (zero, one) = (T::from(0.0), T::from(1.0));
            gemm::gemm(N, N, N, c, n, 1, false, a, n, 1, b, n, 1, zero, one, false, false, false, parallelism);
        }
    };
    let times: Vec<Time> = (0..5).map(|_| time(threads, &mut product)).collect();
    Peak::best(2.0 * (N as f64).powi(3), &times)
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").map_or_else(|_| "unknown".into(), |t| t.trim().to_string())
}
