//! Which metric: FID and KID of two candidates against one reference, by number of points.

use crate::figure::curves::{self, Curve, Panel};
use kme::rng;
use kme::{Data, Fitted, Points, Result, Statistics};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

const D: usize = 128;
const SIZES: [usize; 5] = [256, 640, 1280, 3200, 6400];
const REPEATS: u64 = 8;

/// C√(4/d) of the covariance Σ = (4/d) CCᵀ. This C was chosen to have the population FIDs near published ones, 70.19 and
/// 69.24: see the test `the_order_of_two_models_is_wrong_for_few_points`.
fn mixing() -> Vec<f64> {
    let mut rng = rng::stream(11, "C", 4);
    (0..D * D).map(|_| rng.sample::<f64, _>(StandardNormal) * (4.0 / D as f64).sqrt()).collect()
}

/// The FIDs of P1 and P2 to the reference that infinitely many points would give.
const TRUTH: [(f64, &str); 2] = [(70.19, "truth of P1"), (69.24, "truth of P2")];

/// Mean and covariance of the reference, max(0, N(1,I)), itself: E x = φ(1) + Φ(1), E x² = 2Φ(1) + φ(1).
fn reference() -> Result<Fitted<'static>> {
    let (density, cdf) = (0.241_970_724_519_143_37, 0.841_344_746_068_542_9);
    let mean = density + cdf;
    let variance = 2.0 * cdf + density - mean * mean;
    let covariance = (0..D * D).map(|i| if i % (D + 1) == 0 { variance } else { 0.0 }).collect();
    Fitted::of_statistics(Statistics::new(vec![mean; D], covariance)?)
}

/// max(0, N(mean, s·Σ + (1−s)·I)), as features of networks look.
fn rectified(n: usize, mean: f64, mixing: Option<(&[f64], f64)>, seed: u64, which: &str) -> Result<Points> {
    let mut rng = rng::stream(seed, which, n as u64);
    let mut numbers = Vec::with_capacity(n * D);
    for _ in 0..n {
        let own: Vec<f64> = (0..D).map(|_| rng.sample(StandardNormal)).collect();
        let Some((c, share)) = mixing else {
            numbers.extend(own.iter().map(|x| (x + mean).max(0.0)));
            continue;
        };
        let sources: Vec<f64> = (0..D).map(|_| rng.sample(StandardNormal)).collect();
        for (row, own) in c.chunks_exact(D).zip(&own) {
            let mixed: f64 = row.iter().zip(&sources).map(|(c, z)| c * z).sum();
            numbers.push((mean + share.sqrt() * mixed + (1.0 - share).sqrt() * own).max(0.0));
        }
    }
    Points::new(n, D, Data::F64(numbers))
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("Which metric: candidates P1 = ReLU N(0,I), P2 = ReLU N(1,0.8S+0.2I), reference ReLU N(1,I), d = {D}");
    let (c, truth) = (mixing(), reference()?);
    let mut curves = Vec::new();
    for (name, is_second) in [("P1", false), ("P2 (nearer)", true)] {
        let mut found: [Vec<(f64, f64, f64)>; 2] = Default::default();
        for n in SIZES {
            let mut values: [Vec<f64>; 2] = Default::default();
            for seed in 0..REPEATS {
                let reference = rectified(n, 1.0, None, seed, "reference")?;
                let candidate = match is_second {
                    false => rectified(n, 0.0, None, seed, "P1")?,
                    true => rectified(n, 1.0, Some((&c, 0.8)), seed, "P2")?,
                };
                values[0].push(truth.distance(&Fitted::of_points(&candidate)?)?.value);
                values[1].push(kme::KidSettings::default().measure(&reference, &candidate)?.value);
            }
            for (found, values) in found.iter_mut().zip(&values) {
                let mean = values.iter().sum::<f64>() / values.len() as f64;
                let squares = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                found.push((n as f64, mean, (squares / (values.len() - 1) as f64).sqrt()));
            }
        }
        for (metric, found) in ["FID", "KID"].iter().zip(&found) {
            let text: Vec<String> = found.iter().map(|(n, mean, sd)| format!("{n}: {mean:.3}({sd:.3})")).collect();
            println!("  {metric} {name:12} {}", text.join("  "));
        }
        curves.push((name, found));
    }
    let panel = |metric: usize, title, y, range, lines| Panel {
        title,
        x: "n = m",
        y,
        range,
        curves: curves.iter().map(|(name, f)| Curve { name: (*name).into(), points: f[metric].clone() }).collect(),
        lines,
    };
    let top = |metric: usize| curves.iter().flat_map(|(_, f)| f[metric].iter().map(|p| p.1 + p.2)).fold(0.0, f64::max);
    let least = |m: usize| curves.iter().flat_map(|(_, f)| f[m].iter().map(|p| p.1 - p.2)).fold(f64::MAX, f64::min);
    let range = |metric: usize| {
        let (a, b) = (least(metric), top(metric));
        (a - 0.1 * (b - a), b + 0.3 * (b - a))
    };
    curves::write(
        path,
        &[
            panel(0, "FID: the order turns with n", "FID (mean, ± sd)", range(0), TRUTH.to_vec()),
            panel(1, "KID: the same order for every n", "KID (mean, ± sd)", range(1), Vec::new()),
        ],
    )
}
