//! DiracGAN drawn: where critic and generator push each other, and what the best critic sees.

use crate::dirac::{CODE, Game};
use crate::figure::{self, Axis, BLUE, GREEN, GREY, Layer, ORANGE, PURPLE, Panel, Shape};
use kme::Result;
use plotters::prelude::SeriesLabelPosition;
use std::path::Path;

const THETA: (f64, f64) = (0.0, 2.3);
const PSI: (f64, f64) = (0.0, 4.0);
const STEPS: usize = 20_000;

/// The move of one round, five steps of the critic and one of the generator: its direction in the figure is true, its
/// length the fourth root of the true one.
fn field(game: Game) -> Vec<[(f64, f64); 2]> {
    let (across, up) = (15, 12);
    let (width, height) = (THETA.1 - THETA.0, PSI.1 - PSI.0);
    let mut moves = Vec::new();
    for i in 0..across {
        for j in 0..up {
            let theta = THETA.0 + width * (f64::from(i) + 0.5) / f64::from(across);
            let psi = PSI.0 + height * (f64::from(j) + 0.5) / f64::from(up);
            let (along_theta, along_psi) = game.gradients(theta, psi);
            let (x, y) = (-along_theta.clamp(-1.0, 1.0) / width, 5.0 * along_psi.clamp(-1.0, 1.0) / height);
            moves.push((theta, psi, x, y, x.hypot(y)));
        }
    }
    let most = moves.iter().map(|m| m.4).fold(f64::MIN_POSITIVE, f64::max);
    let arrow = |&(theta, psi, x, y, size): &(f64, f64, f64, f64, f64)| {
        let length = 0.035 * (size / most).powf(0.25) / size.max(f64::MIN_POSITIVE);
        let (dx, dy) = (x * length * width, y * length * height);
        [(theta - dx, psi - dy), (theta + dx, psi + dy)]
    };
    moves.iter().map(arrow).collect()
}

/// Few of the points, so that the path looks the same: where it has moved by half a percent of the figure.
fn thinned(path: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept = vec![path[0]];
    for p in path {
        let last = kept[kept.len() - 1];
        if ((p.0 - last.0) / (THETA.1 - THETA.0)).hypot((p.1 - last.1) / (PSI.1 - PSI.0)) > 0.005 {
            kept.push(*p);
        }
    }
    kept
}

fn plane(title: &str, game: Game) -> Panel {
    let mut layers = vec![Layer::new(Shape::Arrows(field(game)), GREY)];
    for (start, colour) in [(2.0, ORANGE), (0.5, BLUE)] {
        let path = game.play(start, STEPS);
        let (theta, psi) = path[STEPS];
        let home = path.iter().position(|p| p.0.abs() < 1e-3);
        let most = path.iter().map(|p| p.1).fold(0.0, f64::max);
        println!("  {title}, from θ = {start}: θ = {theta:.4}, ψ = {psi:.3} after {STEPS} steps, largest ψ {most:.3}");
        println!("    below 0.001 after {home:?} steps; after 4000 steps {:.3?}", path[4000]);
        let name = format!("from θ = {start} to {:.2}", theta.abs());
        layers.push(Layer::new(Shape::Line(thinned(&path)), colour).sized(2.5).named(name));
        layers.push(Layer::new(Shape::Dots(vec![path[0]]), colour).sized(3.0));
        layers.push(Layer::new(Shape::Dots(vec![(theta, psi)]), colour).sized(5.5));
    }
    Panel {
        title: title.into(),
        x: Axis::linear("generator: θ", THETA.0, THETA.1),
        y: Axis::linear("critic: ψ", PSI.0, PSI.1),
        layers,
        legend: Some(SeriesLabelPosition::UpperRight),
    }
}

fn suprema() -> Panel {
    let penalised = Game::Penalty { lambda: 1.0 };
    let thetas = || (0..=60).map(|i| 10.0_f64.powf(-2.0 + 2.5 * f64::from(i) / 60.0));
    let curve = |game: Game| Shape::Line(thetas().map(|t| (t, game.supremum(t).0)).collect());
    for (name, game) in [("MMD²", Game::Plain), ("penalty", penalised), ("scaled", CODE)] {
        let found: Vec<String> = [0.01, 0.1, 0.3, 1.0, 3.0]
            .map(|t| {
                let (value, place) = game.supremum(t);
                format!("{t}: {value:.4e} (ψ {place:.3})")
            })
            .into();
        println!("  sup over ψ, {name}: {}", found.join("  "));
    }
    Panel {
        title: "What the best critic sees".into(),
        x: Axis::log("distance θ of the two points", 0.01, 3.2),
        y: Axis::log("supremum over ψ", 3e-6, 1e4),
        layers: vec![
            Layer::new(curve(Game::Plain), PURPLE).named("MMD²: 2, however near"),
            Layer::new(curve(penalised), GREEN).named("with penalty: |θ|, a kink"),
            Layer::new(curve(CODE), BLUE).named("scaled: θ²/10, smooth"),
        ],
        legend: Some(SeriesLabelPosition::UpperLeft),
    }
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("DiracGAN");
    let panels = [
        plane("MMD²", Game::Plain),
        plane("MMD² with gradient penalty, λ = 1", Game::Penalty { lambda: 1.0 }),
        plane("scaled MMD²", CODE),
        suprema(),
    ];
    figure::write(path, 2, (400, 360), &panels)
}
