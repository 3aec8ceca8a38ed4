//! What four critics see of 25 Gaussians and the same with noise: thesis, figure 3.3.

use crate::figure::contour::Grid;
use crate::figure::{self, Axis, BLUE, GREEN, LEVELS, Layer, ORANGE, Panel, Shape};
use crate::fit::{Fit, Rule, features};
use crate::gaussians;
use kme::rng;
use kme::{Data, Estimator, Kernel, Points, Precision, Result, Witness, mmd2};
use kme_deep::loss::{self, Mmd, Objective, Regulariser, Wasserstein};
use kme_net::Net;
use plotters::prelude::SeriesLabelPosition;
use std::path::Path;

/// The noise of the figure; the kernel γ = 1 sees nothing of it.
const TAU: f64 = 0.1;
/// Points of each distribution, for witnesses and for what is measured.
const N: usize = 2000;
const RANGE: (f64, f64) = (-1.8, 1.8);
const CORNERS: usize = 181;
const SEED: u64 = 3;

/// What a critic tells two distributions apart by.
enum Seen {
    /// A critic of one number.
    Direct(Net),
    /// The witness of a kernel on points, or on features of a critic.
    Kernel(Kernel, Option<Net>),
}

impl Seen {
    fn gaussian(gamma: f64, critic: Option<Net>) -> Result<Self> {
        Ok(Self::Kernel(format!("gaussian:gamma={gamma}").parse()?, critic))
    }

    fn mapped(&self, points: &Points) -> Result<Points> {
        match self {
            Self::Direct(net) | Self::Kernel(_, Some(net)) => features(net, points),
            Self::Kernel(_, None) => Ok(points.clone()),
        }
    }

    /// f at the points; the witness is that of N + N points of draw 0.
    fn value(&self, points: &Points, tau: f64) -> Result<Vec<f64>> {
        let at = self.mapped(points)?;
        match self {
            Self::Direct(_) => Ok(at.into_data().into_f64()),
            Self::Kernel(kernel, _) => {
                let (real, fake) = pair(tau, 0)?;
                Witness::new(kernel, &self.mapped(&real)?, &self.mapped(&fake)?, Precision::F32)?.value(&at)
            }
        }
    }

    /// The unbiased estimate of MMD², or mean D(x) − mean D(y), on fresh points; its standard error where there is one.
    fn divergence(&self, tau: f64) -> Result<(f64, f64)> {
        let (real, fake) = pair(tau, 1)?;
        let (x, y) = (self.mapped(&real)?, self.mapped(&fake)?);
        match self {
            Self::Kernel(kernel, _) => {
                let found = mmd2(kernel, &x, &y, Estimator::Unbiased, Precision::F64)?;
                Ok((found.value, found.standard_error.unwrap_or(f64::NAN)))
            }
            Self::Direct(_) => {
                let mean = |p: Points| p.into_data().into_f64().iter().sum::<f64>() / N as f64;
                Ok((mean(x) - mean(y), f64::NAN))
            }
        }
    }

    /// The share of fresh points that f tells right by a threshold: half the share of real ones above it, half that of
    /// fake ones below. The threshold is that which was best on other points.
    fn accuracy(&self, tau: f64) -> Result<f64> {
        let values = |draw| {
            let (real, fake) = pair(tau, draw)?;
            Ok::<_, kme::Error>((self.value(&real, tau)?, self.value(&fake, tau)?))
        };
        let threshold = {
            let (real, fake) = values(2)?;
            let mut all: Vec<(f64, f64)> =
                real.iter().map(|v| (*v, 1.0)).chain(fake.iter().map(|v| (*v, -1.0))).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (mut gain, mut best) = (0.0, (0.0, f64::NEG_INFINITY));
            for (value, sign) in all {
                gain -= sign;
                if gain > best.0 {
                    best = (gain, value);
                }
            }
            best.1
        };
        let (real, fake) = values(3)?;
        let share = |values: &[f64], is_above| values.iter().filter(|v| (**v > threshold) == is_above).count() as f64;
        Ok((share(&real, true) + share(&fake, false)) / (2 * N) as f64)
    }

    fn grid(&self, tau: f64) -> Result<Grid> {
        let corners = Grid::corners(RANGE, RANGE, (CORNERS, CORNERS));
        let points = Points::new(corners.len(), 2, Data::F64(corners.concat()))?;
        Ok(Grid { x: RANGE, y: RANGE, size: (CORNERS, CORNERS), values: self.value(&points, tau)? })
    }
}

/// N real points and N with noise; another draw for each number.
fn pair(tau: f64, draw: u64) -> Result<(Points, Points)> {
    let mut rng = rng::stream(SEED, "reproductions: critics", draw);
    Ok((gaussians::sample(N, 0.0, &mut rng)?, gaussians::sample(N, tau, &mut rng)?))
}

/// The largest share that any function can tell right. Around each centre both densities are normal, with variances
/// s² and s² + τ² (modes that overlap, as they do for τ = 1, are not thought of); they are equal at one radius.
fn best_accuracy(tau: f64) -> f64 {
    let (own, wide) = (gaussians::SD.powi(2), gaussians::SD.powi(2) + tau * tau);
    let square = 2.0 * (wide / own).ln() / (1.0 / own - 1.0 / wide);
    let inside = |variance: f64| 1.0 - (-square / (2.0 * variance)).exp();
    0.5 + 0.5 * (inside(own) - inside(wide))
}

fn range_of(grid: &Grid) -> (f64, f64) {
    grid.values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)))
}

/// Places that the function singles out: contour lines half way between its least and its largest value.
fn islands(grid: &Grid) -> usize {
    let (least, most) = range_of(grid);
    grid.contour(0.5 * (least + most)).len()
}

fn wgan(clip: f64, steps: u64) -> Fit {
    let objective = Objective::new(Wasserstein {}, Regulariser::default());
    Fit { objective, top: 1, rule: Rule::Clipped { rate: 5e-5, clip }, steps }
}

fn wgan_gp(weight: f64, steps: u64) -> Fit {
    let regulariser = Regulariser { gradient_penalty: weight, ..Regulariser::default() };
    let objective = Objective::new(Wasserstein {}, regulariser);
    Fit { objective, top: 1, rule: Rule::Adam { rate: 1e-3 }, steps }
}

/// MMD² with the Gaussian kernel γ on the critic's features and the asymmetric penalty, thesis (3.7).
fn kernelized(gamma: f64, steps: u64) -> Result<Fit> {
    let kernel = format!("gaussian:gamma={gamma}").parse()?;
    let divergence = Mmd::new(kernel, loss::Estimator::Unbiased);
    let regulariser = Regulariser { asymmetric: 16.0, ..Regulariser::default() };
    Ok(Fit { objective: Objective::new(divergence, regulariser), top: 16, rule: Rule::Adam { rate: 1e-3 }, steps })
}

const STEPS: u64 = 8000;

/// Seven lines between the least and the largest value, dark to light, over real points.
fn panel(title: String, grid: &Grid, real: &Points, note: String) -> Panel {
    let (least, most) = range_of(grid);
    let dots = real.clone().into_data().into_f64().chunks_exact(2).map(|p| (p[0], p[1])).collect();
    let mut layers = vec![Layer::new(Shape::Dots(dots), ORANGE).sized(1.0)];
    for (i, colour) in LEVELS.enumerate() {
        for line in grid.contour(least + (most - least) * (i as f64 + 0.5) / 7.0) {
            layers.push(Layer::new(Shape::Line(line), colour).sized(1.0));
        }
    }
    let x = Axis::linear(note, RANGE.0, RANGE.1);
    Panel { title, x, y: Axis::linear("", RANGE.0, RANGE.1), layers, legend: None }
}

/// Means over windows that grow by a quarter, where they are positive.
fn smoothed(values: &[f64]) -> Vec<(f64, f64)> {
    let (mut points, mut from) = (Vec::new(), 0);
    while from < values.len() {
        let to = (from + 1).max(from * 5 / 4).min(values.len());
        let mean = values[from..to].iter().sum::<f64>() / (to - from) as f64;
        if mean > 0.0 {
            points.push((0.5 * (from + to + 1) as f64, mean));
        }
        from = to;
    }
    points
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!(
        "25 Gaussians against the same with noise τ, critics of 4 ReLU layers of 64 units, {STEPS} steps of 2 × 256"
    );
    let real = pair(TAU, 4)?.0.select(&(0..400).collect::<Vec<_>>())?;
    let (mut panels, mut layers) = (Vec::new(), Vec::new());
    for (tau, colour) in [(1.0, BLUE), (TAU, GREEN)] {
        let tuned = gaussians::best(tau).0;
        let (trained, curve) = kernelized(1.0, STEPS)?.run(tau, SEED)?;
        let cases = [
            ("(a) WGAN, clipped".to_string(), Seen::Direct(wgan(0.01, STEPS).run(tau, SEED)?.0)),
            ("(b) WGAN-GP".into(), Seen::Direct(wgan_gp(0.1, STEPS).run(tau, SEED)?.0)),
            ("(c) MMD, γ = 1".into(), Seen::gaussian(1.0, None)?),
            (format!("(d) MMD, γ = {tuned}"), Seen::gaussian(tuned, None)?),
            ("(e) critic, γ = 1".into(), Seen::gaussian(1.0, Some(trained))?),
        ];
        println!("  τ = {tau}: at most {:.3} can be told right by any function", best_accuracy(tau));
        for (name, seen) in cases {
            let (value, error) = seen.divergence(tau)?;
            let (grid, right) = (seen.grid(tau)?, seen.accuracy(tau)?);
            let (least, most) = range_of(&grid);
            let islands = islands(&grid);
            let (symbol, population) = match &seen {
                Seen::Direct(_) => ("mean difference", String::new()),
                Seen::Kernel(_, Some(_)) => ("MMD²", " (at most 2)".into()),
                Seen::Kernel(kernel, None) => {
                    let gamma = if name.starts_with("(d)") { tuned } else { 1.0 };
                    debug_assert_eq!(*kernel, format!("gaussian:gamma={gamma}").parse()?);
                    ("MMD²", format!(" (closed form {:.2e})", gaussians::population(gamma, tau)))
                }
            };
            let error = if error.is_nan() { String::new() } else { format!(" ± {error:.1e}") };
            println!(
                "    {name}: {symbol} {value:.3e}{error}{population}; {right:.3} told right; f from {least:.3e} to \
                 {most:.3e}, lines at half height {islands}"
            );
            if tau == TAU {
                let note = match &seen {
                    Seen::Direct(_) => format!("told right: {:.0} %", 100.0 * right),
                    _ => format!("MMD² {}, told right: {:.0} %", few_digits(value), 100.0 * right),
                };
                panels.push(panel(name, &grid, &real, note));
            }
        }
        layers.push(Layer::new(Shape::Line(smoothed(&curve)), colour).named(format!("τ = {tau}")));
        let level = gaussians::population(1.0, tau);
        let flat = Shape::Line(vec![(1.0, level), (STEPS as f64, level)]);
        layers.push(Layer::new(flat, colour).sized(1.0));
    }
    panels.push(Panel {
        title: "MMD² at γ = 1".into(),
        x: Axis::log("step; thin: no critic", 1.0, STEPS as f64),
        y: Axis::log("", 3e-6, 30.0),
        layers,
        legend: Some(SeriesLabelPosition::UpperLeft),
    });
    figure::write(path, 3, (330, 350), &panels)
}

/// Two digits of a number that may be tiny.
fn few_digits(value: f64) -> String {
    if value.abs() < 1e-3 { format!("{value:.0e}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accuracy_is_that_of_the_densities() {
        // Nearer to a centre than the radius where the two densities are equal.
        let (real, fake) = pair(TAU, 5).unwrap();
        let best = (1..200).map(|i| {
            let radius = f64::from(i) * 1e-3;
            let inside = |points: &Points| {
                let numbers = points.clone().into_data().into_f64();
                let off = |x: f64| x - (x / gaussians::SPACING).round() * gaussians::SPACING;
                numbers.chunks_exact(2).filter(|p| off(p[0]).hypot(off(p[1])) < radius).count() as f64 / N as f64
            };
            0.5 + 0.5 * (inside(&real) - inside(&fake))
        });
        let best = best.fold(0.0, f64::max);
        assert!((best - best_accuracy(TAU)).abs() < 0.015, "{best} and {}", best_accuracy(TAU));
    }

    #[test]
    fn with_a_critic_one_bandwidth_serves_and_without_it_does_not() {
        let seen = Seen::gaussian(1.0, Some(kernelized(1.0, 1500).unwrap().run(TAU, SEED).unwrap().0)).unwrap();
        let (learned, error) = seen.divergence(TAU).unwrap();
        let tuned = gaussians::population(gaussians::best(TAU).0, TAU);
        assert!(learned - 4.0 * error > 3.0 * tuned, "{learned} ± {error}, by hand {tuned}");
        assert!(learned < 2.0);
        let plain = Seen::gaussian(1.0, None).unwrap();
        let (right, chance) = (seen.accuracy(TAU).unwrap(), plain.accuracy(TAU).unwrap());
        assert!(right > 0.65 && chance < 0.6, "{right} and {chance}");
    }
}
