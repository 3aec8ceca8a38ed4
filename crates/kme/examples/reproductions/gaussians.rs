//! 25 Gaussians and the same with noise: what a Gaussian kernel sees, by its width.

use crate::figure::{self, Axis, BLUE, GREEN, Layer, ORANGE, Panel, Shape};
use kme::rng::{self, Rng};
use kme::{Data, Estimator, Kernel, Points, Precision, Result, mmd2};
use plotters::prelude::SeriesLabelPosition;
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;

/// The centres are on a 5 × 5 grid, everything is divided by this.
const UNIT: f64 = 2.828;
pub(crate) const SPACING: f64 = 2.0 / UNIT;
pub(crate) const SD: f64 = 0.05 / UNIT;

/// n points of the mixture with noise of deviation τ, around the origin.
pub(crate) fn sample(n: usize, tau: f64, rng: &mut Rng) -> Result<Points> {
    let mut numbers = Vec::with_capacity(2 * n);
    for _ in 0..n {
        for _ in 0..2 {
            let centre = f64::from(rng.random_range(-2..=2_i32));
            let (own, noise): (f64, f64) = (rng.sample(StandardNormal), rng.sample(StandardNormal));
            numbers.push(SPACING * centre + SD * own + tau * noise);
        }
    }
    Points::new(n, 2, Data::F64(numbers))
}

/// MMD² of the two distributions. The kernel and the mixtures are products over the two coordinates, and
/// E exp(−γ(c + √v z)²) = exp(−γc²/(1 + 2γv))/√(1 + 2γv).
pub(crate) fn population(gamma: f64, tau: f64) -> f64 {
    let mean = |variance: f64| {
        let spread = 1.0 + 2.0 * gamma * variance;
        let offsets = (0..25).map(|i| SPACING * f64::from(i / 5 - i % 5));
        (offsets.map(|c| (-gamma * c * c / spread).exp()).sum::<f64>() / 25.0 / spread.sqrt()).powi(2)
    };
    let own = 2.0 * SD * SD;
    mean(own) + mean(own + 2.0 * tau * tau) - 2.0 * mean(own + tau * tau)
}

const N: usize = 2000;
const LISTED: [(f64, [f64; 3], (f64, f64)); 3] = [
    (1.0, [0.02142, 0.02178, 0.03366], (66.0, 0.03409)),
    (0.1, [1.03e-5, 0.00199, 0.01776], (255.0, 0.02134)),
    (0.05, [6.6e-7, 1.8e-4, 0.00515], (509.0, 0.01126)),
];

/// The unbiased estimate and its standard error.
fn estimate(gamma: f64, tau: f64) -> Result<(f64, f64)> {
    let mut rng = rng::stream(10, "reproductions: 25 gaussians", (1000.0 * tau) as u64);
    let (x, y) = (sample(N, 0.0, &mut rng)?, sample(N, tau, &mut rng)?);
    let kernel: Kernel = format!("gaussian:gamma={gamma}").parse()?;
    let found = mmd2(&kernel, &x, &y, Estimator::Unbiased, Precision::F64)?;
    Ok((found.value, found.standard_error.unwrap_or(f64::NAN)))
}

/// The bandwidth with the largest MMD², and that.
pub(crate) fn best(tau: f64) -> (f64, f64) {
    let candidates = (10..=2000).map(|g| (f64::from(g), population(f64::from(g), tau)));
    candidates.fold((0.0, 0.0), |best, c| if c.1 > best.1 { c } else { best })
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("25 Gaussians: MMD² by closed form (expected), estimate ± standard error from {N} + {N} points");
    let floor = 1e-7;
    let mut layers = Vec::new();
    for ((tau, listed, expected), colour) in LISTED.into_iter().zip([BLUE, ORANGE, GREEN]) {
        let gammas = || (0..=80).map(|i| 10.0_f64.powf(3.3 * f64::from(i) / 80.0));
        let curve: Vec<(f64, f64)> = gammas().map(|g| (g, population(g, tau))).collect();
        layers.push(Layer::new(Shape::Line(curve), colour).named(format!("noise τ = {tau}")));
        let (mut bars, mut dots) = (Vec::new(), Vec::new());
        for (i, gamma) in [1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0].into_iter().enumerate() {
            let (value, error) = estimate(gamma, tau)?;
            if i % 2 == 0 && i / 2 < 3 {
                let (found, right) = (population(gamma, tau), listed[i / 2]);
                println!("  τ = {tau}, γ = {gamma}: {found:.4e} ({right:.3e}), {value:.3e} ± {error:.1e}");
            }
            // Side by side, where they would cover each other.
            let place = gamma * 1.05_f64.powi(colour as i32 - 1);
            bars.push((place, value - error, value + error));
            dots.push((place, value));
        }
        let (gamma, value) = best(tau);
        println!("  τ = {tau}: best γ {gamma} → {value:.4e} ({} → {:.3e})", expected.0, expected.1);
        layers.push(Layer::new(Shape::Bars(bars), colour).sized(1.5));
        layers.push(Layer::new(Shape::Dots(dots), colour).sized(4.0));
    }
    let panel = Panel {
        title: format!("25 Gaussians and noise: closed form; estimates ± standard error, n = {N}"),
        x: Axis::log("γ of the kernel exp(−γ‖x−y‖²)", 0.8, 2500.0),
        y: Axis::log("MMD²", floor, 0.3),
        layers,
        legend: Some(SeriesLabelPosition::LowerRight),
    };
    figure::write(path, 1, (640, 420), &[panel])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closed_form_is_the_table_and_estimates_agree() {
        for (tau, listed, (place, most)) in LISTED {
            for (gamma, right) in [1.0, 10.0, 100.0].into_iter().zip(listed) {
                let found = population(gamma, tau);
                assert!((found / right - 1.0).abs() < 0.01, "τ = {tau}, γ = {gamma}: {found} is not {right}");
                let (value, error) = estimate(gamma, tau).unwrap();
                assert!((value - found).abs() < 4.0 * error, "τ = {tau}, γ = {gamma}: {value} ± {error}");
            }
            let (gamma, value) = best(tau);
            assert!((gamma / place - 1.0).abs() < 0.02 && (value / most - 1.0).abs() < 0.01, "{gamma} {value}");
        }
    }
}
