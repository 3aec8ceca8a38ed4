//! With and without the asymmetric penalty: how often the critic turns round, thesis, figure 3.1.

use crate::figure::{self, Axis, BLUE, Layer, ORANGE, Panel, Shape};
use crate::run::{Found, Modes, run as train};
use kme::Result;
use plotters::prelude::SeriesLabelPosition;
use std::path::Path;

/// A game on a toy: name, settings.
struct Game {
    name: &'static str,
    sets: &'static [&'static str],
}

/// A critic of one number on 8 Gaussians, spectrally normalised (its weights, before that, in ±0.1), so that this is an
/// IPM over functions of slope at most 1, in the forms of thesis, figure 3.1.
const COMMON: [&str; 12] = [
    "data.source=8-gaussians",
    "data.held_out=8-gaussians:5000",
    "steps=1500",
    "batch=128",
    "critic.top=1",
    "critic.steps=5",
    "critic.clip_weights=0.1",
    "optimiser.learning_rate=5e-4",
    "optimiser.clip=",
    "generator.ema_decay=0.0",
    "schedule.kind=constant",
    "schedule.final_fraction=",
];

const GAMES: [Game; 5] = [
    Game {
        name: "asymmetric IPM (WGAN)",
        sets: &["objective.kind=wasserstein", "objective.kernel=", "objective.features=", "regulariser.asymmetric=0.0"],
    },
    Game {
        name: "absolute IPM",
        sets: &["objective.kernel=linear", "objective.estimator=root", "regulariser.asymmetric=0.0"],
    },
    Game {
        name: "absolute IPM, λ = 16",
        sets: &["objective.kernel=linear", "objective.estimator=root", "regulariser.asymmetric=16.0"],
    },
    Game {
        name: "squared IPM",
        sets: &["objective.kernel=linear", "objective.estimator=biased", "regulariser.asymmetric=0.0"],
    },
    Game {
        name: "squared IPM, λ = 16",
        sets: &["objective.kernel=linear", "objective.estimator=biased", "regulariser.asymmetric=16.0"],
    },
];

/// The kernelized GAN on 25 Gaussians.
const KERNELIZED: [Game; 2] = [
    Game { name: "kernelized GAN without penalty", sets: &["regulariser.asymmetric=0.0"] },
    Game { name: "kernelized GAN", sets: &[] },
];

const SEEDS: u64 = 5;

fn play(game: &Game, seed: u64) -> Result<Found> {
    let mut sets: Vec<String> = COMMON.iter().chain(game.sets).map(|s| s.to_string()).collect();
    sets.push(format!("seed={seed}"));
    train(&sets)
}

/// Changes of sign from one step to the next, and the share of steps where the sign is negative.
fn flips(gaps: &[f64]) -> (usize, f64) {
    let changes = gaps.windows(2).filter(|w| (w[0] < 0.0) != (w[1] < 0.0)).count();
    (changes, gaps.iter().filter(|g| **g < 0.0).count() as f64 / gaps.len() as f64)
}

/// Mean D(x) and mean D(G(z)), every so many steps.
fn panel(game: &Game, found: &Found, flips: usize) -> Panel {
    let thin = |values: Vec<f64>| values.into_iter().enumerate().map(|(i, v)| ((i + 1) as f64, v)).step_by(3).collect();
    let [real, fake]: [Vec<(f64, f64)>; 2] =
        ["real_features", "generated_features"].map(|name| thin(found.series(name)));
    let mut sizes: Vec<f64> = real.iter().chain(&fake).map(|p| p.1).collect();
    sizes.sort_by(f64::total_cmp);
    let (low, high) = (sizes[0], sizes[sizes.len() - 1]);
    let margin = 0.08 * (high - low);
    Panel {
        title: format!("{}: δ turns {flips} times", game.name),
        x: Axis::linear("step", 0.0, 1.04 * found.steps.len() as f64),
        y: Axis::linear("", low - margin, high + 5.0 * margin),
        layers: vec![
            Layer::new(Shape::Line(real), BLUE).named("mean D(x)").sized(1.0),
            Layer::new(Shape::Line(fake), ORANGE).named("mean D(G(z))").sized(1.0),
        ],
        legend: Some(SeriesLabelPosition::UpperRight),
    }
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!(
        "Changes of the sign of δ = mean D(x) − mean D(G(z)), {SEEDS} seeds; share of steps with δ < 0; modes covered"
    );
    let mut panels = Vec::new();
    for game in &GAMES {
        let mut line = String::new();
        for seed in 0..SEEDS {
            let found = play(game, seed)?;
            let (changes, negative) = flips(&found.gaps());
            let (modes, share) = Modes::ring().covered(&found.samples, 10.0);
            line += &format!(
                "  {changes} ({:.0} %, {modes} of 8, {:.0} %, {:.3})",
                100.0 * negative,
                100.0 * share,
                found.score.0
            );
            // The figure has the symmetric ones, without and with the penalty.
            if seed == 0 && game.name != GAMES[0].name {
                panels.push(panel(game, &found, changes));
            }
        }
        println!("  {}:{line}", game.name);
    }
    println!(
        "The same for the kernelized GAN on 25 Gaussians, δ averaged over the features; MMD² of the energy distance"
    );
    for game in &KERNELIZED {
        let mut line = String::new();
        for seed in 0..3 {
            let mut sets: Vec<String> = game.sets.iter().map(|s| s.to_string()).collect();
            sets.push(format!("seed={seed}"));
            let found = train(&sets)?;
            let (changes, negative) = flips(&found.gaps());
            let (modes, share) = Modes::grid().covered(&found.samples, 3.0);
            line += &format!(
                "  {changes} ({:.0} %, {modes} of 25, {:.0} %, {:.4})",
                100.0 * negative,
                100.0 * share,
                found.score.0
            );
        }
        println!("  {}:{line}", game.name);
    }
    figure::write(path, 2, (480, 260), &panels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_counted() {
        assert_eq!(flips(&[1.0, -1.0, -2.0, 3.0, 1.0]), (2, 0.4));
    }

    #[test]
    fn the_penalty_keeps_the_critic_from_turning() {
        let turns = |game: &Game| flips(&play(game, 0).unwrap().gaps()).0;
        let [free, kept] = [&GAMES[3], &GAMES[4]].map(turns);
        assert!(free > 4 * kept.max(5), "{free} without, {kept} with");
    }
}
