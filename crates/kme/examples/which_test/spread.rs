//! Which n: what stands behind the ± of a KID.

use crate::figure::curves::{self, Curve, Panel};
use kme::rng;
use kme::{Data, KidSettings, Points, Precision, Protocol, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

const D: usize = 64;
const SIZES: [usize; 4] = [1250, 2500, 5000, 10_000];
const REPEATS: u64 = 60;

fn normal(n: usize, mean: f64, seed: u64, which: &str) -> Result<Points> {
    let mut rng = rng::stream(seed, which, n as u64);
    Points::new(n, D, Data::F64((0..n * D).map(|_| mean + rng.sample::<f64, _>(StandardNormal)).collect()))
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("Which n: N(0,I) against N(0.05,I), d = {D}; {REPEATS} repeats");
    let names = ["KID scatters by", "standard error, all points", "deviation of 100 subsets of 1000"];
    let mut curves: Vec<Curve> = names.map(|name| Curve { name: name.into(), points: Vec::new() }).into();
    for n in SIZES {
        let (mut values, mut errors, mut spreads) = (Vec::new(), Vec::new(), Vec::new());
        for seed in 0..REPEATS {
            let (x, y) = (normal(n, 0.0, seed, "x")?, normal(n, 0.05, seed, "y")?);
            let full = KidSettings::default().measure(&x, &y)?;
            values.push(full.value);
            errors.extend(full.standard_error);
            // The subsets' deviation hardly varies, and costs more than all points.
            if seed < 3 {
                let subsets = KidSettings {
                    protocol: Protocol::TorchFidelity,
                    seed: Some(seed),
                    precision: Precision::F32,
                    ..KidSettings::default()
                }
                .measure(&x, &y)?;
                spreads.extend(subsets.spread);
            }
        }
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let centre = mean(&values);
        let scatter = (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (REPEATS - 1) as f64).sqrt();
        let found = [scatter, mean(&errors), mean(&spreads)];
        println!(
            "  n = {n:6}: KID {centre:.5}, scatter {:.2e}, standard error {:.2e}, spread {:.2e}",
            found[0], found[1], found[2]
        );
        for (curve, value) in curves.iter_mut().zip(found) {
            curve.points.push((n as f64, value, 0.0));
        }
    }
    let top = curves.iter().flat_map(|c| c.points.iter().map(|p| p.1)).fold(0.0, f64::max);
    curves::write(
        path,
        &[Panel {
            title: "Which ± tells how far a KID is from the truth?",
            x: "n = m",
            y: "±",
            range: (0.0, 1.5 * top),
            curves,
            lines: Vec::new(),
        }],
    )
}
