//! Which test: the share of pairs of samples that differ in a detail and are told apart, by number of points.

use crate::figure::curves::{self, Curve, Panel};
use kme::rng;
use kme::{Data, Estimator, KernelSpec, Permutations, Points, Result, median_distance};
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use std::path::Path;

const LEVEL: f64 = 0.05;
const REPEATS: u64 = 200;
const SIZES: [usize; 5] = [100, 200, 400, 800, 1600];

/// A 4 × 4 grid of Gaussians 10 apart: round ones of variance 1, or ones whose axes along the diagonals have variances
/// with this ratio (and mean 1). Gretton et al., "Optimal kernel choice for large-scale two-sample tests", NIPS 2012, §5.
fn blobs(n: usize, ratio: f64, seed: u64, which: &str) -> Result<Points> {
    let mut rng = rng::stream(seed, which, n as u64);
    let (long, short) = ((2.0 * ratio / (1.0 + ratio)).sqrt(), (2.0 / (1.0 + ratio)).sqrt());
    let mut numbers = Vec::with_capacity(2 * n);
    for _ in 0..n {
        let centre = [0, 0].map(|_| 10.0 * f64::from(rng.random_range(0..4)));
        let (a, b): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
        let (along, across) = (a * long, b * short);
        numbers.extend([
            centre[0] + (along - across) * std::f64::consts::FRAC_1_SQRT_2,
            centre[1] + (along + across) * std::f64::consts::FRAC_1_SQRT_2,
        ]);
    }
    Points::new(n, 2, Data::F64(numbers))
}

type Test = (&'static str, fn(&Points, &Points, u64) -> Result<bool>);

const TESTS: [Test; 5] = [
    ("aggregated", |x, y, seed| {
        let kernels = kme::collection(x, y)?;
        Ok(kme::aggregated(&kernels, x, y, &permutations(seed))?.outcome.rejects(LEVEL))
    }),
    ("permutation, median bandwidth", |x, y, seed| by_permutation("gaussian:sigma=median", x, y, seed)),
    ("permutation, energy", |x, y, seed| by_permutation("energy", x, y, seed)),
    ("blocks, median/20", |x, y, seed| {
        let kernel = kernel("gaussian:sigma=0.05*median", x, y)?;
        let usual = kme::Blocks::usual(x.len(), y.len())?;
        let blocks = kme::Blocks::of_size(x.len(), y.len(), usual.n.min(usual.m).min(x.len() / 15))?;
        Ok(kme::block(&kernel, x, y, blocks, &permutations(seed))?.outcome.rejects(LEVEL))
    }),
    ("linear, median/20", |x, y, seed| {
        let kernel = kernel("gaussian:sigma=0.05*median", x, y)?;
        Ok(kme::linear(&kernel, x, y, &permutations(seed))?.outcome.rejects(LEVEL))
    }),
];

fn permutations(seed: u64) -> Permutations<'static> {
    Permutations { count: 199, seed, ..Permutations::default() }
}

fn kernel(text: &str, x: &Points, y: &Points) -> Result<kme::Kernel> {
    text.parse::<KernelSpec>()?.resolve(x.dim(), || median_distance(&[x, y]))
}

fn by_permutation(text: &str, x: &Points, y: &Points, seed: u64) -> Result<bool> {
    let kernel = kernel(text, x, y)?;
    Ok(kme::two_sample(&kernel, x, y, Estimator::Unbiased, &permutations(seed))?.outcome.rejects(LEVEL))
}

/// The share of repeats in which a test rejects.
fn rate(test: &Test, n: usize, ratio: f64) -> Result<f64> {
    let verdicts: Result<Vec<bool>> = (0..REPEATS)
        .into_par_iter()
        .map(|seed| test.1(&blobs(n, 1.0, seed, "blobs P")?, &blobs(n, ratio, seed, "blobs Q")?, seed))
        .collect();
    Ok(verdicts?.iter().filter(|v| **v).count() as f64 / REPEATS as f64)
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("Which test: rejections in {REPEATS} repeats at level {LEVEL}, blobs with variance ratio 6");
    let mut panels = Vec::new();
    for (title, ratio) in [("P = Q: false alarms", 1.0), ("Q stretched along diagonals: power", 6.0)] {
        println!("  {title}");
        let mut curves = Vec::new();
        for test in &TESTS {
            let mut points = Vec::new();
            for n in SIZES {
                let share = rate(test, n, ratio)?;
                points.push((n as f64, share, 1.96 * (share * (1.0 - share) / REPEATS as f64).sqrt()));
            }
            let shares: Vec<String> = points.iter().map(|p| format!("{:.3}", p.1)).collect();
            println!("    {:30} {}", test.0, shares.join(" "));
            curves.push(Curve { name: test.0.into(), points });
        }
        panels.push(Panel {
            title,
            x: "n = m",
            y: "share of rejections",
            range: if ratio == 1.0 { (0.0, 0.3) } else { (0.0, 1.02) },
            curves,
            lines: (ratio == 1.0).then_some((LEVEL, "level")).into_iter().collect(),
        });
    }
    curves::write(path, &panels)
}
