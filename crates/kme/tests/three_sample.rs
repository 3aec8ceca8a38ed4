//! The level of the three-sample test over the whole of its null hypothesis MMD(X,Y) ≥ MMD(X,Z), and its power.
//!
//! `cargo test --release -p kme --test three_sample -- --ignored --nocapture` prints the tables of `docs/which-test.md`.

use kme::rng::{Rng, stream};
use kme::{Data, Kernel, KernelSpec, Permutations, Points, ThreeSample, median_distance, three_sample};
use kme_testing::normal;
use rand::RngExt;
use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF};

const D: usize = 4;

const KERNELS: [&str; 6] = [
    "poly:degree=3,gamma=1/d,coef=1",
    "gaussian:sigma=median",
    "energy",
    "laplacian:scale=median",
    "rq:alpha=0.2,0.5,1,2,5",
    "linear",
];

/// Laws of a coordinate, all symmetric but the third.
#[derive(Clone, Copy, Debug)]
enum Law {
    Normal,
    /// Student's with 2 degrees of freedom.
    Heavy,
    /// The exponential of a normal number, with a random sign in the first coordinate.
    Skewed,
    Cauchy,
    /// Rounded normal numbers: ties.
    Grid,
}

/// How Y and Z differ; in all cases MMD(X,Y) = MMD(X,Z).
#[derive(Clone, Copy, Debug)]
enum Case {
    Equal,
    /// Both away from X, in the same way.
    Both(f64),
    /// By ± this in the first coordinate, so that they are mirror images.
    Mirror(f64),
    /// By this in the first and in the second coordinate.
    Across(f64),
    /// By this times 1/√min(m,l), as mirror images: nearly equal.
    Near(f64),
}

fn draw(law: Law, n: usize, shift: [f64; 2], rng: &mut Rng) -> Points {
    let mut numbers = Vec::with_capacity(n * D);
    for _ in 0..n {
        for j in 0..D {
            let x = match law {
                Law::Normal => normal(rng),
                Law::Heavy => normal(rng) / (normal(rng).powi(2) + normal(rng).powi(2)).sqrt() * 2_f64.sqrt(),
                Law::Cauchy => normal(rng) / normal(rng),
                Law::Grid => normal(rng).round(),
                Law::Skewed => {
                    let sign = if j < 2 && rng.random_range(0..2_u32) == 0 { -1.0 } else { 1.0 };
                    sign * normal(rng).exp()
                }
            };
            numbers.push(x + shift.get(j).copied().unwrap_or(0.0));
        }
    }
    Points::new(n, D, Data::F64(numbers)).unwrap()
}

fn samples(law: Law, case: Case, [n, m, l]: [usize; 3], rng: &mut Rng) -> [Points; 3] {
    let (y, z) = match case {
        Case::Equal => ([0.0, 0.0], [0.0, 0.0]),
        Case::Both(shift) => ([shift, 0.0], [shift, 0.0]),
        Case::Mirror(shift) => ([shift, 0.0], [-shift, 0.0]),
        Case::Across(shift) => ([shift, 0.0], [0.0, shift]),
        Case::Near(shift) => {
            let shift = shift / (m.min(l) as f64).sqrt();
            ([shift, 0.0], [-shift, 0.0])
        }
    };
    [draw(law, n, [0.0, 0.0], rng), draw(law, m, y, rng), draw(law, l, z, rng)]
}

fn resolve(text: &str, samples: &[Points; 3]) -> Kernel {
    let spec = text.parse::<KernelSpec>().unwrap();
    spec.resolve(D, || median_distance(&[&samples[0], &samples[1], &samples[2]])).unwrap()
}

/// The p-values of `repeats` tests.
fn found(text: &str, law: Law, case: Case, sizes: [usize; 3], count: usize, repeats: u64) -> Vec<ThreeSample> {
    let one = |i: u64| {
        let mut rng = stream(i, &format!("{law:?} {case:?} {sizes:?}"), 0);
        let samples = samples(law, case, sizes, &mut rng);
        let kernel = resolve(text, &samples);
        let [x, y, z] = &samples;
        let permutations = Permutations { count, seed: i, ..Permutations::default() };
        three_sample(&kernel, x, y, z, &permutations).unwrap()
    };
    (0..repeats).into_par_iter().map(one).collect()
}

fn rejected(all: &[ThreeSample], alpha: f64) -> u64 {
    all.iter().filter(|f| f.outcome.p_value <= alpha).count() as u64
}

/// In all corners of the null hypothesis no more is rejected than α allows: 99.9 % of tests that hold it are below this.
#[test]
fn the_level_is_held_over_the_null_hypothesis() {
    let repeats = 300;
    let limit = |alpha: f64| Binomial::new(alpha, repeats).unwrap().inverse_cdf(0.999);
    for (law, case, sizes) in [
        (Law::Normal, Case::Equal, [60, 60, 60]),
        (Law::Normal, Case::Equal, [60, 20, 120]),
        (Law::Skewed, Case::Equal, [20, 20, 20]),
        (Law::Cauchy, Case::Equal, [20, 40, 25]),
        (Law::Normal, Case::Both(0.5), [60, 20, 120]),
        (Law::Grid, Case::Both(0.5), [20, 60, 40]),
        (Law::Normal, Case::Near(1.0), [60, 60, 60]),
        (Law::Normal, Case::Near(2.0), [60, 20, 120]),
        (Law::Heavy, Case::Near(3.0), [40, 40, 40]),
        (Law::Normal, Case::Across(0.4), [40, 60, 60]),
    ] {
        for text in KERNELS {
            let all = found(text, law, case, sizes, 99, repeats);
            let counts = [0.05, 0.01].map(|alpha| rejected(&all, alpha));
            println!("{text}, {law:?}, {case:?}, {sizes:?}: {counts:?} of {repeats}");
            for (count, alpha) in counts.into_iter().zip([0.05, 0.01]) {
                assert!(count <= limit(alpha), "{text}, {law:?}, {case:?}, {sizes:?}: {count} at {alpha}");
            }
        }
    }
}

/// What lies far apart is told apart as often as by the normal law with the true variance, that of the differences of all
/// repeats; and at the border of the hypothesis the level is used, not only held.
#[test]
fn the_guard_costs_no_power_where_laws_are_far_apart() {
    for text in ["poly:degree=3,gamma=1/d,coef=1", "gaussian:sigma=median", "energy"] {
        let one = |i: u64| {
            let mut rng = stream(i, "power of the three-sample test", 0);
            let [x, y, z] = [0.0, 0.6, 0.9].map(|shift| draw(Law::Normal, 120, [shift, 0.0], &mut rng));
            let all = [x, y, z];
            let kernel = resolve(text, &all);
            let [x, y, z] = &all;
            let permutations = Permutations { count: 199, seed: i, ..Permutations::default() };
            let found = three_sample(&kernel, x, y, z, &permutations).unwrap();
            let guard = found.guard.unwrap();
            let between = [found.asymptotic_p_value, guard.p_value];
            let [low, high] = [between[0].min(between[1]), between[0].max(between[1])];
            assert!(found.outcome.p_value >= low * (1.0 - 1e-9) && found.outcome.p_value <= high * (1.0 + 1e-9));
            assert!(guard.permutation_p_value <= guard.p_value && (0.0..=1.0).contains(&guard.weight));
            (found.difference, found.outcome.rejects(0.05))
        };
        let all: Vec<(f64, bool)> = (0..400).into_par_iter().map(one).collect();
        let mean = all.iter().map(|(d, _)| d).sum::<f64>() / 400.0;
        let deviation = (all.iter().map(|(d, _)| (d - mean).powi(2)).sum::<f64>() / 399.0).sqrt();
        let plain = all.iter().filter(|(difference, _)| *difference < -1.644_85 * deviation).count();
        let guarded = all.iter().filter(|(_, rejects)| *rejects).count();
        println!("{text}: {plain} of 400 by the true variance, {guarded} by the test");
        assert!(plain > 100 && guarded >= plain, "{text}: {guarded} of {plain}");
        // Of 4000, 250, 212 and 215.
        let at_the_border = found(text, Law::Normal, Case::Mirror(1.0), [100, 60, 60], 99, 1000);
        let rejected = rejected(&at_the_border, 0.05);
        println!("{text}: {rejected} of 1000 at the border of the hypothesis");
        assert!((30..=85).contains(&rejected), "{text}: {rejected}");
    }
}

/// Where the guard alone counts, p is its p-value to the last bit: of 99 permutations 0.05 and 0.01 are p-values.
#[test]
fn a_p_value_of_permutations_is_kept_as_it_is() {
    for found in found("energy", Law::Normal, Case::Mirror(1.0), [20, 20, 20], 99, 200) {
        let guard = found.guard.unwrap();
        assert_eq!((guard.weight, found.outcome.p_value.to_bits()), (0.0, guard.p_value.to_bits()));
    }
}

/// Units do not matter where the kernel takes its length from the points, or is given in the same units: the default, a
/// polynomial with a constant, is another kernel otherwise.
#[test]
fn p_values_have_no_units() {
    let mut rng = stream(3, "units", 0);
    let [x, y, z] = samples(Law::Normal, Case::Near(2.0), [60, 50, 80], &mut rng);
    for text in ["energy", "gaussian:sigma=median", "laplacian:scale=median", "linear", KERNELS[0]] {
        let p = |scale: f64| {
            let scaled = [&x, &y, &z].map(|p| {
                let Data::F64(v) = p.data() else { unreachable!("drawn in double precision") };
                Points::new(p.len(), D, Data::F64(v.iter().map(|v| scale * v).collect())).unwrap()
            });
            let gamma = format!("gamma={:e}", 1.0 / D as f64 / scale / scale);
            let kernel = resolve(&text.replace("gamma=1/d", &gamma), &scaled);
            let [x, y, z] = &scaled;
            let found = three_sample(&kernel, x, y, z, &Permutations::default()).unwrap();
            (found.outcome.p_value, found.asymptotic_p_value)
        };
        let scales: &[f64] = match text {
            "energy" => &[1e-3, 1e3, 1e-12, 1e-70, 1e70],
            // Kernels take no gamma above 1e12.
            _ if text == KERNELS[0] => &[1e-3, 1e3],
            _ => &[1e-3, 1e3, 1e-9, 1e9],
        };
        for scale in scales {
            let (one, other) = (p(1.0), p(*scale));
            assert!((one.0 / other.0 - 1.0).abs() < 1e-4 && (one.1 / other.1 - 1.0).abs() < 1e-4, "{text} {scale}");
        }
    }
}

/// The tables of `docs/which-test.md`; takes some minutes.
#[test]
#[ignore = "a study: the table of docs/which-test.md"]
fn study_of_levels() {
    let repeats = std::env::var("KME_REPEATS").ok().and_then(|r| r.parse().ok()).unwrap_or(1000);
    println!("law, case, sizes, kernel: rejected at 0.05, 0.01, 0.001; by Student's law alone; by permutations alone");
    for (law, case, sizes) in [
        (Law::Normal, Case::Equal, [100, 100, 100]),
        (Law::Normal, Case::Equal, [100, 20, 400]),
        (Law::Normal, Case::Both(0.4), [20, 200, 400]),
        (Law::Normal, Case::Near(1.0), [100, 100, 100]),
        (Law::Normal, Case::Near(2.5), [100, 100, 100]),
        (Law::Normal, Case::Near(2.0), [100, 20, 400]),
        (Law::Normal, Case::Near(5.0), [100, 20, 400]),
        (Law::Normal, Case::Near(2.0), [20, 20, 20]),
        (Law::Normal, Case::Near(3.0), [20, 200, 400]),
        (Law::Normal, Case::Near(3.0), [400, 240, 600]),
        (Law::Normal, Case::Mirror(0.5), [100, 100, 100]),
        (Law::Cauchy, Case::Near(3.0), [100, 60, 150]),
        (Law::Heavy, Case::Near(3.0), [60, 60, 60]),
        (Law::Skewed, Case::Near(3.0), [60, 60, 60]),
        (Law::Grid, Case::Near(3.0), [60, 60, 60]),
    ] {
        for text in KERNELS {
            let count = 199;
            let all = found(text, law, case, sizes, count, repeats);
            let share = |p: &dyn Fn(&ThreeSample) -> f64| {
                let of = |alpha: f64| all.iter().filter(|f| p(f) <= alpha).count() as f64 / repeats as f64;
                [0.05, 0.01, 0.001].map(|alpha| format!("{:.3}", of(alpha))).join(" ")
            };
            let [both, alone, permuted] = [
                share(&|f| f.outcome.p_value),
                share(&|f| f.asymptotic_p_value),
                share(&|f| f.guard.unwrap().permutation_p_value),
            ];
            println!("{law:?}, {case:?}, {sizes:?}, {text}: {both}; {alone}; {permuted}");
        }
    }
}
