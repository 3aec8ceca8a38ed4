//! How many power iterations a spectral norm takes: on fresh random weights, many.

use crate::figure::{self, Axis, BLUE, GREY, Layer, ORANGE, Panel, Shape};
use kme::Result;
use kme::rng;
use plotters::prelude::SeriesLabelPosition;
use rand::RngExt;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use std::path::Path;

/// A 3 × 3 convolution from 256 to 512 channels.
const ROWS: usize = 2304;
const COLUMNS: usize = 512;
const REPEATS: u64 = 8;
const ITERATIONS: usize = 100;

/// σ̂/σ after so many iterations, of a Gaussian matrix of this size.
const LISTED: [(usize, f64); 7] =
    [(1, 0.751), (2, 0.839), (5, 0.926), (10, 0.967), (20, 0.988), (40, 0.9963), (60, 0.9981)];

fn normalise(v: &mut [f64]) -> f64 {
    let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
    v.iter_mut().for_each(|x| *x /= norm);
    norm
}

/// WᵀW, row after row.
fn gram(w: &[f64]) -> Vec<f64> {
    let mut gram = vec![0.0; COLUMNS * COLUMNS];
    for row in w.chunks_exact(COLUMNS) {
        for (out, a) in gram.chunks_exact_mut(COLUMNS).zip(row) {
            out.iter_mut().zip(row).for_each(|(out, b)| *out += a * b);
        }
    }
    gram
}

fn apply(gram: &[f64], u: &[f64]) -> Vec<f64> {
    gram.chunks_exact(COLUMNS).map(|row| row.iter().zip(u).map(|(a, b)| a * b).sum()).collect()
}

/// σ̂ₖ/σ for k = 1, 2, …: v = Wu/‖Wu‖, u' = Wᵀv/‖Wᵀv‖, σ̂ = vᵀWu', from a random u. In terms of G = WᵀW that is
/// σ̂ = ‖Gu‖/√(uᵀGu) and u' = Gu/‖Gu‖. σ itself is taken after 2000 iterations.
fn ratios(seed: u64) -> Vec<f64> {
    let mut rng = rng::stream(seed, "reproductions: power iteration", 0);
    let w: Vec<f64> = (0..ROWS * COLUMNS).map(|_| rng.sample(StandardNormal)).collect();
    let gram = gram(&w);
    let mut u: Vec<f64> = (0..COLUMNS).map(|_| rng.sample(StandardNormal)).collect();
    normalise(&mut u);
    let mut estimates = Vec::new();
    for _ in 0..2000 {
        let mut next = apply(&gram, &u);
        let energy: f64 = next.iter().zip(&u).map(|(a, b)| a * b).sum();
        estimates.push(normalise(&mut next) / energy.sqrt());
        u = next;
    }
    let sigma = estimates[estimates.len() - 1];
    estimates[..ITERATIONS].iter().map(|e| e / sigma).collect()
}

/// For each number of iterations the ratios of all matrices.
fn all() -> Vec<Vec<f64>> {
    let of_matrices: Vec<Vec<f64>> = (0..REPEATS).into_par_iter().map(ratios).collect();
    (0..ITERATIONS).map(|k| of_matrices.iter().map(|r| r[k]).collect()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(crate) fn run(path: &Path) -> Result<()> {
    let all = all();
    let text: Vec<String> = LISTED.iter().map(|(k, r)| format!("{k}: {:.4} ({r})", mean(&all[k - 1]))).collect();
    println!(
        "Power iteration on {ROWS} × {COLUMNS}: σ̂/σ, mean of {REPEATS} matrices (expected)\n  {}",
        text.join("  ")
    );
    let shortfall = |k: usize, ratio: f64| (k as f64, 1.0 - ratio);
    let means = (1..=ITERATIONS).map(|k| shortfall(k, mean(&all[k - 1]))).collect();
    let spread = |k: usize| {
        let (low, high) = all[k - 1].iter().fold((f64::MAX, f64::MIN), |(a, b), &r| (a.min(r), b.max(r)));
        (k as f64, 1.0 - high, 1.0 - low)
    };
    let panel = Panel {
        title: format!("Power iteration from a random start, {ROWS} × {COLUMNS} Gaussian weights"),
        x: Axis::log("iterations", 0.9, 110.0),
        y: Axis::log("what is missing: 1 − σ̂/σ", 1e-4, 1.0),
        layers: vec![
            Layer::new(Shape::Bars(LISTED.iter().map(|l| spread(l.0)).collect()), GREY).named("smallest to largest"),
            Layer::new(Shape::Line(means), BLUE).named(format!("mean of {REPEATS} matrices")),
            Layer::new(Shape::Dots(LISTED.iter().map(|&(k, r)| shortfall(k, r)).collect()), ORANGE)
                .sized(4.0)
                .named("expected (one matrix)"),
        ],
        legend: Some(SeriesLabelPosition::LowerLeft),
    };
    figure::write(path, 1, (640, 400), &[panel])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_weights_need_many_iterations() {
        let all = all();
        for (k, listed) in LISTED {
            // What is missing scatters from matrix to matrix, and is listed for one of them.
            let missing = |ratio: f64| (1.0 - ratio) / (1.0 - listed);
            let (least, most) =
                all[k - 1].iter().fold((f64::MAX, 0.0), |(a, b), &r| (missing(r).min(a), missing(r).max(b)));
            assert!(least < 1.1 && most > 0.9, "{k}: {least} to {most} of what is listed");
            assert!(k > 10 || (missing(mean(&all[k - 1])) - 1.0).abs() < 0.15, "{k}: {:?}", all[k - 1]);
        }
    }
}
