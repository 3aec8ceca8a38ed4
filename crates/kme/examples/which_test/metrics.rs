//! Which metric: FID and KID of two candidates against one reference, by number of points.

use crate::figure::{self, Curve, Panel};
use kme::evaluate::fid;
use kme::points::Data;
use kme::sums::Precision;
use kme::{Points, Result, discrepancy, rng};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

const D: usize = 128;
const SIZES: [usize; 5] = [256, 640, 1280, 3200, 6400];
const REPEATS: u64 = 8;

/// C of the covariance Σ = (4/d) CCᵀ.
fn mixing() -> Vec<f64> {
    let mut rng = rng::stream(0, "mixing", D as u64);
    (0..D * D).map(|_| rng.sample::<f64, _>(StandardNormal) * (4.0 / D as f64).sqrt()).collect()
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

pub fn run(path: &Path) -> Result<()> {
    println!("Which metric: candidates P1 = ReLU N(0,I), P2 = ReLU N(1,0.8S+0.2I), reference ReLU N(1,I), d = {D}");
    let c = mixing();
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
                values[0].push(fid(&reference, &candidate)?.value);
                values[1].push(discrepancy::kid(&reference, &candidate, Precision::F64)?.value);
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
    let panel = |metric: usize, title, y, range| Panel {
        title,
        x: "n = m",
        y,
        range,
        curves: curves.iter().map(|(name, f)| Curve { name: (*name).into(), points: f[metric].clone() }).collect(),
        line: None,
    };
    let top = |metric: usize| curves.iter().flat_map(|(_, f)| f[metric].iter().map(|p| p.1 + p.2)).fold(0.0, f64::max);
    let least = |m: usize| curves.iter().flat_map(|(_, f)| f[m].iter().map(|p| p.1 - p.2)).fold(f64::MAX, f64::min);
    let range = |metric: usize| {
        let (a, b) = (least(metric), top(metric));
        (a - 0.1 * (b - a), b + 0.3 * (b - a))
    };
    figure::write(
        path,
        &[
            panel(0, "FID: the order turns with n", "FID (mean, ± sd)", range(0)),
            panel(1, "KID: the same order for every n", "KID (mean, ± sd)", range(1)),
        ],
    )
}
