//! Two revisions of the engine by turns: see `run.sh`.
//!
//! Points are standard normal. A row gives the least time of each, their ratio old/new, the ratio of the lower quartiles, and
//! |old − new|/max(|old|, 10⁻³) of the values.

use std::f64::consts::TAU;
use std::time::Instant;

const KERNELS: &[&str] = &[
    "energy:a=0",
    "distance",
    "gaussian:sigma=median",
    "laplacian:scale=median",
    "rq:alpha=1",
    "imq:c=1",
    "rq:alpha=0.2,0.5,1,2,5+linear",
    "poly",
    "linear",
];
const FEW_KERNELS: &[&str] = &["gaussian:sigma=median", "energy:a=0", "imq:c=1"];

/// A revision, and what it exports: before, modules; now, names, and the engine in `internal`.
macro_rules! side {
    ($name:ident, $($import:item)*) => {
        mod $name {
            $($import)*

            pub fn points(values: &[f64], d: usize, single: bool) -> Points {
                let data = match single {
                    true => Data::F32(values.iter().map(|x| *x as f32).collect()),
                    false => Data::F64(values.to_vec()),
                };
                Points::new(values.len() / d, d, data).unwrap()
            }

            pub fn job(what: &str, kernel: &str, single: bool, x: &Points, y: &Points) -> f64 {
                let precision = if single { Precision::F32 } else { Precision::F64 };
                let kernel = || -> Kernel {
                    let spec: KernelSpec = kernel.parse().unwrap();
                    spec.resolve(x.dim(), || Ok((2.0 * x.dim() as f64).sqrt())).unwrap()
                };
                match what {
                    "mmd2" => mmd2(&kernel(), x, y, Estimator::Unbiased, precision).unwrap().value,
                    "sum" => sums::cross(&kernel(), x, None, y, None, precision).unwrap(),
                    "gradients" => sums::gradients(&kernel(), x, y, None, precision).unwrap()[0],
                    "nearest" => nearest(x, y, 1, precision).unwrap().of(0).next().unwrap().1,
                    "kth" => {
                        kth_nearest(x.into(), 3).unwrap();
                        0.0
                    }
                    _ => {
                        prdc(x, y, 5).unwrap();
                        0.0
                    }
                }
            }
        }
    };
}

side! {
    before,
    use old::discrepancy::{Estimator, mmd2};
    use old::evaluate::prdc;
    use old::neighbours::{kth_nearest, nearest};
    use old::points::Data;
    use old::sums::{self, Precision};
    use old::{Kernel, KernelSpec, Points};
}
side! {
    now,
    use new::internal::{kth_nearest, nearest, sums};
    use new::{Data, Estimator, Kernel, KernelSpec, Points, Precision, mmd2, prdc};
}

/// Box and Muller's normal numbers from xorshift.
fn normal(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..count).map(|_| (-2.0 * uniform().max(1e-300).ln()).sqrt() * (TAU * uniform()).cos()).collect()
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filter = arguments.first().cloned().unwrap_or_default();
    let repeats: usize = arguments.get(1).map_or(9, |r| r.parse().expect("REPEATS is a whole number"));
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().unwrap();
    let n = 3000;
    let mut worst = f64::INFINITY;
    for d in [1, 2, 3, 4, 8, 16, 64, 256, 2048] {
        let (x, y) = (normal(n * d, 1), normal(n * d, 2));
        for single in [false, true] {
            let old = (before::points(&x, d, single), before::points(&y, d, single));
            let new = (now::points(&x, d, single), now::points(&y, d, single));
            for (what, kernels) in [
                ("mmd2", KERNELS),
                ("sum", FEW_KERNELS),
                ("gradients", FEW_KERNELS),
                ("nearest", &[""]),
                ("kth", &[""]),
                ("prdc", &[""]),
            ] {
                for kernel in kernels {
                    let name = format!("{what} {kernel} {} d={d}.", if single { "f32" } else { "f64" });
                    if !filter.split(',').all(|text| name.contains(text)) {
                        continue;
                    }
                    let mut times = [Vec::new(), Vec::new()];
                    let mut values = [0.0; 2];
                    for turn in 0..2 * repeats {
                        // In the order 0 1 1 0 0 1 1 0 …
                        let which = (turn % 4 == 1 || turn % 4 == 2) as usize;
                        let start = Instant::now();
                        values[which] = match which {
                            0 => before::job(what, kernel, single, &old.0, &old.1),
                            _ => now::job(what, kernel, single, &new.0, &new.1),
                        };
                        times[which].push(start.elapsed().as_secs_f64());
                    }
                    times.iter_mut().for_each(|times| times.sort_by(f64::total_cmp));
                    let [old_times, new_times] = &times;
                    let ratio = old_times[0] / new_times[0];
                    worst = worst.min(ratio);
                    println!(
                        "{name:52} old {:8.3} ms  new {:8.3} ms  ratio {ratio:.3}  of quartiles {:.3}  differ {:.0e}",
                        old_times[0] * 1e3,
                        new_times[0] * 1e3,
                        old_times[repeats / 4] / new_times[repeats / 4],
                        (values[0] - values[1]).abs() / values[0].abs().max(1e-3),
                    );
                }
            }
        }
    }
    println!("least ratio {worst:.3}");
}
