//! Generators of 25 Gaussians by several objectives, beside each other.

use crate::figure::{self, Axis, BLUE, GREY, Layer, Panel, Shape};
use crate::gaussians;
use crate::run::{Modes, run as train};
use kme::rng;
use kme::{Points, Result};
use std::path::Path;

/// Name, and what is changed of the kernelized GAN.
const OBJECTIVES: [(&str, &[&str]); 6] = [
    (
        "GMMN, γ = 1, 10, 100",
        &["objective.kernel=gaussian:gamma=1,10,100", "objective.features=identity", "critic=", "regulariser="],
    ),
    ("kernelized GAN", &[]),
    ("kernelized GAN, RKS", &["objective.random_features.count=300"]),
    (
        "MMD GAN, rq",
        &[
            "objective.kernel=rq:alpha=0.2,0.5,1,2,5+linear",
            "regulariser.asymmetric=0.0",
            "regulariser.gradient_penalty=1.0",
            "critic.spectral=",
            "critic.steps=5",
            "optimiser.learning_rate=5e-4",
        ],
    ),
    (
        "SN-SMMD GAN",
        &[
            "objective.kernel=gaussian:sigma=1",
            "regulariser.asymmetric=0.0",
            "regulariser.scale.weight=10.0",
            "regulariser.scale.offset=1.0",
            "critic.spectral=learned",
            "critic.top=1",
            "critic.steps=5",
            "optimiser.learning_rate=5e-4",
        ],
    ),
    (
        "WGAN-GP",
        &[
            "objective.kind=wasserstein",
            "objective.kernel=",
            "objective.features=",
            "regulariser.asymmetric=0.0",
            "regulariser.gradient_penalty=0.1",
            "critic.spectral=",
            "critic.top=1",
            "critic.steps=5",
            "optimiser.learning_rate=5e-4",
        ],
    ),
];

fn dots(points: &Points) -> Vec<(f64, f64)> {
    points.clone().into_data().into_f64().chunks_exact(2).map(|p| (p[0], p[1])).collect()
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("25 Gaussians by small networks: MMD² of the energy distance to 2000 held-out points");
    let real = gaussians::sample(300, 0.0, &mut rng::stream(0, "reproductions: toys", 0))?;
    let mut panels = Vec::new();
    for (name, sets) in OBJECTIVES {
        let found = train(sets)?;
        let (modes, share) = Modes::grid().covered(&found.samples, 3.0);
        let (value, error) = found.score;
        println!(
            "  {name}: {value:.4} ± {error:.4}, {modes} of 25 modes, {:.0} % within 3 sd, {:.0} s",
            100.0 * share,
            found.seconds
        );
        let some = found.samples.select(&(0..600).collect::<Vec<_>>())?;
        panels.push(Panel {
            title: name.into(),
            x: Axis::linear(format!("{value:.4}; {modes} modes; {:.0} %", 100.0 * share), -2.0, 2.0),
            y: Axis::linear("", -2.0, 2.0),
            layers: vec![
                Layer::new(Shape::Dots(dots(&real)), GREY).sized(1.0),
                Layer::new(Shape::Dots(dots(&some)), BLUE).sized(0.6),
            ],
            legend: None,
        });
    }
    figure::write(path, 3, (330, 350), &panels)
}
