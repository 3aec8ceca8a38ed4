//! What the diagonal does: the biased and the unbiased estimate of an MMD² that is 0.

use crate::figure::{self, Axis, BLUE, Layer, ORANGE, Panel, Shape};
use kme::rng;
use kme::{Data, Estimator, Kernel, Points, Precision, Result, mmd2};
use plotters::prelude::SeriesLabelPosition;
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

const N: usize = 30;
const D: usize = 4;
const REPEATS: u64 = 2000;

/// E k = (1 + 2/σ²)^(−d/2) for x − x' ~ N(0,2I) and σ = 1; V − U = 2(1 − E k)/n on average.
fn expected() -> f64 {
    2.0 * (1.0 - 3.0_f64.powf(-(D as f64) / 2.0)) / N as f64
}

/// (U, V) of two samples of N(0,I), again and again.
fn draws() -> Result<Vec<(f64, f64)>> {
    let kernel: Kernel = "gaussian:sigma=1".parse()?;
    (0..REPEATS)
        .map(|repeat| {
            let mut rng = rng::stream(7, "reproductions: bias", repeat);
            let mut sample = || Points::new(N, D, Data::F64((0..N * D).map(|_| rng.sample(StandardNormal)).collect()));
            let (x, y) = (sample()?, sample()?);
            let value = |estimator| Ok(mmd2(&kernel, &x, &y, estimator, Precision::F64)?.value);
            Ok((value(Estimator::Unbiased)?, value(Estimator::Biased)?))
        })
        .collect()
}

/// Mean and standard error.
fn mean(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = REPEATS as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0) / count).sqrt())
}

pub(crate) fn run(path: &Path) -> Result<()> {
    let draws = draws()?;
    let ((u, u_error), (gap, gap_error)) = (mean(draws.iter().map(|d| d.0)), mean(draws.iter().map(|d| d.1 - d.0)));
    let negative = draws.iter().filter(|d| d.0 < 0.0).count() as f64 / REPEATS as f64;
    println!("Bias: U {u:.5} ± {u_error:.5} (expected 0), {:.1} % of U negative", 100.0 * negative);
    println!("  V − U {gap:.5} ± {gap_error:.5} (expected {:.5})", expected());
    let (from, to, bins) = (-0.04, 0.22, 65);
    let width = (to - from) / bins as f64;
    let histogram = |values: &dyn Fn(&(f64, f64)) -> f64| {
        let mut counts = vec![0; bins];
        for v in draws.iter().map(values) {
            if let Some(count) = counts.get_mut(((v - from) / width).floor().max(0.0) as usize) {
                *count += 1;
            }
        }
        let bin =
            |(i, count): (usize, &u32)| (from + width * i as f64, from + width * (i + 1) as f64, f64::from(*count));
        Shape::Histogram(counts.iter().enumerate().map(bin).collect())
    };
    let top = 300.0;
    let line = |x: f64| Shape::Line(vec![(x, 0.0), (x, top)]);
    let panel = Panel {
        title: format!("Two samples of one distribution, n = {N}: MMD² = 0"),
        x: Axis::linear("estimate of MMD²", from, to),
        y: Axis::linear("number of draws", 0.0, top),
        layers: vec![
            Layer::new(histogram(&|d| d.0), BLUE).named("unbiased, U"),
            Layer::new(histogram(&|d| d.1), ORANGE).named("biased, V"),
            Layer::new(line(0.0), BLUE).named("mean of U by theory: 0"),
            Layer::new(line(expected()), ORANGE).named("mean of V by theory: 2(1 − E k)/n"),
        ],
        legend: Some(SeriesLabelPosition::UpperRight),
    };
    figure::write(path, 1, (640, 400), &[panel])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diagonal_is_the_bias() {
        let draws = draws().unwrap();
        let ((u, u_error), (gap, gap_error)) = (mean(draws.iter().map(|d| d.0)), mean(draws.iter().map(|d| d.1 - d.0)));
        assert!(u.abs() < 3.0 * u_error && (gap - expected()).abs() < 3.0 * gap_error, "{u} {gap}");
        assert!(draws.iter().all(|d| d.1 > 0.0));
    }
}
