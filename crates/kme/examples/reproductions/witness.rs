//! The witness of 25 Gaussians against the same with noise of deviation 1, by the width of the kernel.

use crate::figure::contour::Grid;
use crate::figure::{self, Axis, BLUE, GREY, Layer, ORANGE, Panel, Shape};
use crate::gaussians;
use kme::rng;
use kme::{Data, Kernel, Points, Precision, Result, Witness};
use plotters::prelude::SeriesLabelPosition;
use std::path::Path;

const N: usize = 4000;
const RANGE: (f64, f64) = (-3.0, 3.0);
const CORNERS: usize = 161;

/// f(x) = mean k(x, real) − mean k(x, with noise) on a grid.
fn witness(gamma: f64) -> Result<Grid> {
    let mut rng = rng::stream(3, "reproductions: witness", 0);
    let (real, fake) = (gaussians::sample(N, 0.0, &mut rng)?, gaussians::sample(N, 1.0, &mut rng)?);
    let kernel: Kernel = format!("gaussian:gamma={gamma}").parse()?;
    let corners = Grid::corners(RANGE, RANGE, (CORNERS, CORNERS));
    let points = Points::new(corners.len(), 2, Data::F64(corners.concat()))?;
    let values = Witness::new(&kernel, &real, &fake, Precision::F32)?.value(&points)?;
    Ok(Grid { x: RANGE, y: RANGE, size: (CORNERS, CORNERS), values })
}

fn range_of(grid: &Grid) -> (f64, f64) {
    grid.values.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)))
}

pub(crate) fn run(path: &Path) -> Result<()> {
    println!("Witness of 25 Gaussians against the same with noise of deviation 1");
    let mut rng = rng::stream(3, "reproductions: witness", 1);
    let some = gaussians::sample(200, 0.0, &mut rng)?.into_data().into_f64();
    let mut panels = Vec::new();
    for gamma in [1.0, 10.0, 100.0] {
        let grid = witness(gamma)?;
        let (least, most) = range_of(&grid);
        println!("  γ = {gamma}: from {least:.4} to {most:.4}");
        let dots = some.chunks_exact(2).map(|p| (p[0], p[1])).collect();
        let mut layers = vec![Layer::new(Shape::Dots(dots), GREY).sized(1.5)];
        let size = most.max(-least);
        for (sign, colour, name) in [(1.0, BLUE, "f > 0"), (-1.0, ORANGE, "f < 0")] {
            layers.push(Layer::new(Shape::Line(vec![]), colour).named(name));
            for share in [0.1, 0.4, 0.7] {
                for line in grid.contour(sign * share * size) {
                    layers.push(Layer::new(Shape::Line(line), colour).sized(0.7 + share));
                }
            }
        }
        panels.push(Panel {
            title: format!("γ = {gamma}"),
            x: Axis::linear(format!("f from {least:.3} to {most:.3}"), RANGE.0, RANGE.1),
            y: Axis::linear("", RANGE.0, RANGE.1),
            layers,
            legend: (gamma == 100.0).then_some(SeriesLabelPosition::UpperRight),
        });
    }
    figure::write(path, 3, (330, 350), &panels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wide_kernel_sees_one_hill_and_a_narrow_one_25_islands() {
        // Closed lines around places where there is too little of the candidate.
        let islands = |gamma: f64| {
            let grid = witness(gamma).unwrap();
            grid.contour(0.5 * range_of(&grid).1).len()
        };
        assert_eq!((islands(1.0), islands(100.0)), (1, 25));
    }
}
