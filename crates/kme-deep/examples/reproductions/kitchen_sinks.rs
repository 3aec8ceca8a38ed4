//! Random features for the Gaussian kernel of a critic: as good, and linear in the batch. Thesis, §3.2.3.

use crate::figure::{self, Axis, BLUE, GREY, Layer, ORANGE, Panel, Shape};
use crate::run::{Modes, run as train};
use burn::tensor::Tensor;
use kme::rng;
use kme::{Kernel, Result, Waves};
use kme_deep::loss::{Divergence, Estimator, Features, Mmd};
use kme_net::{Init, Net, Place, layer, place};
use plotters::prelude::SeriesLabelPosition;
use rand::RngExt;
use rand_distr::StandardNormal;
use std::path::Path;
use std::time::Instant;

/// Random features, the thesis's number.
const COUNT: usize = 300;
/// Features of the critic.
const TOP: usize = 16;

fn exact() -> Result<Mmd> {
    Ok(Mmd::new(kernel()?, Estimator::Unbiased))
}

fn kernel() -> Result<Kernel> {
    "gaussian:gamma=1".parse()
}

fn random(count: usize, seed: u64) -> Result<Mmd> {
    let layer = layer::random_features(&kernel()?, TOP, count, Waves::default())?;
    let net = Net::new(vec![layer], [TOP, 1, 1], Init::He, 0, &Place::cpu())?;
    let net = net.redrawn(seed, "reproductions: random features", 0);
    Ok(Mmd::lifted(net, Estimator::Unbiased))
}

/// What a critic may give: two normal batches, apart by `shift` in every feature.
fn features(n: usize, shift: f64, draw: u64) -> [Tensor<2>; 2] {
    let mut rng = rng::stream(8, "reproductions: critic features", draw);
    [0.0, shift].map(|mean| {
        let numbers = (0..n * TOP).map(|_| mean + 0.25 * rng.sample::<f64, _>(StandardNormal)).collect();
        Place::cpu().tensor_f64(numbers, [n, TOP])
    })
}

/// MMD² and its gradient in the generated features.
fn value_and_gradient(divergence: &Mmd, [real, fake]: [Tensor<2>; 2]) -> Result<(f64, Vec<f64>)> {
    let fake = fake.autodiff().require_grad();
    let value = divergence.generator(&Features { real: real.autodiff(), fake: fake.clone(), second: None })?;
    let found = place::scalar(value.clone().inner());
    let mut gradients = value.backward();
    let gradient = fake.grad_remove(&mut gradients).map(place::numbers).unwrap_or_default();
    Ok((found, gradient))
}

/// Seconds of a value with its gradient, the least of three.
fn seconds(divergence: &Mmd, n: usize) -> Result<f64> {
    let mut least = f64::INFINITY;
    for draw in 0..3 {
        let both = features(n, 0.1, draw);
        let begun = Instant::now();
        value_and_gradient(divergence, both)?;
        least = least.min(begun.elapsed().as_secs_f64());
    }
    Ok(least)
}

/// Cosine of the angle between two gradients.
fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    inner(a, b) / (inner(a, a) * inner(b, b)).sqrt()
}

/// Root of the mean squared error of MMD² over 20 draws of random features, and the mean cosine between gradients.
fn error(count: usize, shift: f64) -> Result<(f64, f64)> {
    const DRAWS: u64 = 20;
    let (right, gradient) = value_and_gradient(&exact()?, features(64, shift, 0))?;
    let (mut squares, mut cosines) = (0.0, 0.0);
    for draw in 0..DRAWS {
        let (value, found) = value_and_gradient(&random(count, draw)?, features(64, shift, 0))?;
        squares += (value - right).powi(2);
        cosines += cosine(&gradient, &found);
    }
    Ok(((squares / DRAWS as f64).sqrt(), cosines / DRAWS as f64))
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("Random features for the Gaussian kernel γ = 1 on {TOP} features of a critic, batch 64");
    let counts = [30, 100, 300, 1000, 3000];
    let (mut errors, mut angles) = (Vec::new(), Vec::new());
    for (shift, colour) in [(0.1, BLUE), (0.3, ORANGE)] {
        let (right, _) = value_and_gradient(&exact()?, features(64, shift, 0))?;
        let (mut curve, mut cosines) = (Vec::new(), Vec::new());
        for count in counts {
            let (rms, cosine) = error(count, shift)?;
            println!(
                "  means {shift} apart, {count} features: MMD² {right:.4}, rms error {rms:.4}, cosine {cosine:.3}"
            );
            curve.push((count as f64, rms));
            cosines.push((count as f64, cosine));
        }
        let name = format!("MMD² = {right:.3}");
        for (to, points) in [(&mut errors, curve), (&mut angles, cosines)] {
            to.push(Layer::new(Shape::Line(points.clone()), colour).named(&name));
            to.push(Layer::new(Shape::Dots(points), colour));
        }
    }
    let slope = vec![(30.0, 0.2), (3000.0, 0.02)];
    errors.push(Layer::new(Shape::Line(slope), GREY).named("slope −½").sized(1.0));
    let x = || Axis::log("random features", 25.0, 3600.0);
    let panels = [
        Panel {
            title: "rms error of MMD², batch 64".into(),
            x: x(),
            y: Axis::log("", 0.0005, 1.0),
            layers: errors,
            legend: Some(SeriesLabelPosition::LowerLeft),
        },
        Panel {
            title: "cosine between gradients".into(),
            x: x(),
            y: Axis::linear("", 0.0, 1.0),
            layers: angles,
            legend: Some(SeriesLabelPosition::LowerRight),
        },
    ];
    figure::write(path, 2, (420, 320), &panels)?;
    println!("  milliseconds of MMD² and its gradient by batch (least of three; only as quiet as the machine is):");
    for n in [64, 256, 1024, 4096] {
        let [exact, random] = [exact()?, random(COUNT, 0)?].map(|d| seconds(&d, n));
        println!("    {n}: exact {:.1}, {COUNT} random features {:.1}", 1e3 * exact?, 1e3 * random?);
    }
    println!(
        "  the kernelized GAN on 25 Gaussians, seeds 0 to 2: MMD² of the energy distance, modes, share within 3 sd"
    );
    for (name, set) in [("exact", None), ("300 random features", Some("objective.random_features.count=300"))] {
        for seed in 0..3 {
            let sets: Vec<String> = set.map(String::from).into_iter().chain([format!("seed={seed}")]).collect();
            let found = train(&sets)?;
            let (modes, share) = Modes::grid().covered(&found.samples, 3.0);
            let (value, error) = found.score;
            println!("    {name}: {value:.4} ± {error:.4}, {modes}, {:.0} %, {:.0} s", 100.0 * share, found.seconds);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fall_with_the_root_of_the_number_and_gradients_agree() {
        let ((few, low), (many, high)) = (error(100, 0.3).unwrap(), error(1600, 0.3).unwrap());
        let ratio = few / many;
        assert!((2.0..8.0).contains(&ratio), "{ratio}, which is 4 on average");
        assert!(high > low && high > 0.9, "{low} {high}");
    }
}
