//! Random kitchen sinks: the error of the kernel falls with the root of the number of features.

use crate::figure::{self, Axis, BLUE, GREY, Layer, ORANGE, Panel, Shape};
use kme::rng;
use kme::{Data, Points, RandomFeatures, Result, Waves};
use plotters::prelude::SeriesLabelPosition;
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

const N: usize = 40;
const D: usize = 5;
const SIZES: [usize; 6] = [10, 30, 100, 300, 1000, 3000];
const REPEATS: u64 = 40;

/// Points of a ball of about unit radius.
fn points() -> Result<Vec<f64>> {
    let mut rng = rng::stream(1, "reproductions: random features", 0);
    Ok((0..N * D).map(|_| rng.sample::<f64, _>(StandardNormal) / (D as f64).sqrt()).collect())
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..N).flat_map(|i| (0..i).map(move |j| (i, j)))
}

/// exp(−γ r²), γ = 1, for the difference of two points times `scale`.
fn kernel(x: &[f64], (i, j): (usize, usize), scale: f64) -> f64 {
    let (a, b) = (&x[i * D..][..D], &x[j * D..][..D]);
    (-a.iter().zip(b).map(|(a, b)| (scale * (a - b)).powi(2)).sum::<f64>()).exp()
}

/// Root mean square error of ⟨z(x),z(y)⟩ off the diagonal.
fn error(waves: Waves, s: usize) -> Result<f64> {
    let x = points()?;
    let sample = Points::new(N, D, Data::F64(x.clone()))?;
    let mut sum = 0.0;
    for seed in 0..REPEATS {
        let z = RandomFeatures::new(D, s, 0.5_f64.sqrt(), waves, seed)?.map(&sample)?.into_data().into_f64();
        for pair in pairs() {
            let (a, b) = (&z[pair.0 * s..][..s], &z[pair.1 * s..][..s]);
            let inner: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            sum += (inner - kernel(&x, pair, 1.0)).powi(2);
        }
    }
    Ok((sum / (REPEATS as usize * pairs().count()) as f64).sqrt())
}

/// What the variance of one feature gives: (1 + k(2δ))/2 − k(δ)² + ½ over s, or without the ½ over s/2.
fn theory(waves: Waves) -> Result<f64> {
    let x = points()?;
    let variance = |pair| {
        let waved = (1.0 + kernel(&x, pair, 2.0)) / 2.0 - kernel(&x, pair, 1.0).powi(2);
        match waves {
            Waves::Phase => waved + 0.5,
            Waves::Paired => 2.0 * waved,
        }
    };
    Ok((pairs().map(variance).sum::<f64>() / pairs().count() as f64).sqrt())
}

/// The slope of log error over log s, by least squares.
fn slope(errors: &[(f64, f64)]) -> f64 {
    let logs: Vec<(f64, f64)> = errors.iter().map(|(s, e)| (s.ln(), e.ln())).collect();
    let mean = |f: fn(&(f64, f64)) -> f64| logs.iter().map(f).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|l| l.0), mean(|l| l.1));
    logs.iter().map(|l| (l.0 - x) * (l.1 - y)).sum::<f64>() / logs.iter().map(|l| (l.0 - x).powi(2)).sum::<f64>()
}

fn errors(waves: Waves) -> Result<Vec<(f64, f64)>> {
    SIZES.iter().map(|&s| Ok((s as f64, error(waves, s)?))).collect()
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("Random features: root mean square error of exp(−r²) (expected 0.0556 at s = 300, slope −1/2)");
    let mut layers = Vec::new();
    for (waves, name, colour) in
        [(Waves::Phase, "√(2/s) cos(ωx + b)", ORANGE), (Waves::Paired, "√(2/s) (cos ωx, sin ωx)", BLUE)]
    {
        let (errors, theory) = (errors(waves)?, theory(waves)?);
        let text: Vec<String> = errors.iter().map(|(s, e)| format!("{s}: {e:.4}")).collect();
        println!("  {waves:?}: {}; error·√s by theory {theory:.3}; slope {:.3}", text.join("  "), slope(&errors));
        let line = [7.0, 4500.0].map(|s: f64| (s, theory / s.sqrt())).to_vec();
        layers.push(Layer::new(Shape::Line(line), colour).sized(1.0));
        layers.push(Layer::new(Shape::Dots(errors), colour).sized(4.0).named(name));
    }
    layers.push(Layer::new(Shape::Line(vec![]), GREY).sized(1.0).named("lines: theory, slope −1/2"));
    let panel = Panel {
        title: "Random features: error of the kernel exp(−‖x−y‖²)".into(),
        x: Axis::log("number of features s", 7.0, 4500.0),
        y: Axis::log("root mean square error", 0.01, 0.6),
        layers,
        legend: Some(SeriesLabelPosition::UpperRight),
    };
    figure::write(path, 1, (640, 400), &[panel])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_that_of_theory_and_falls_with_the_root() {
        for waves in [Waves::Phase, Waves::Paired] {
            let (errors, theory) = (errors(waves).unwrap(), theory(waves).unwrap());
            assert!((slope(&errors) + 0.5).abs() < 0.02, "{waves:?}: {}", slope(&errors));
            for (s, e) in errors {
                assert!((e * s.sqrt() / theory - 1.0).abs() < 0.06, "{waves:?}, s = {s}: {e}");
            }
        }
    }
}
