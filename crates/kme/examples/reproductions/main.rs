//! Small experiments of the papers, with figures: expected beside measured in docs/reproductions.md.
//!
//! ```sh
//! cargo run --release -p kme --example reproductions -- docs/figures          # all, in seconds
//! cargo run --release -p kme --example reproductions -- docs/figures dirac    # one
//! cargo test --release -p kme --example reproductions                         # what is asserted of them
//! ```
//!
//! Each experiment is a file. What they draw is given by their seeds, so the figures are the same on every run.

mod bias;
mod dirac;
mod dirac_figure;
#[path = "../figure/mod.rs"]
#[allow(dead_code, reason = "shared by examples, each of which draws a part of what it can draw")]
mod figure;
mod gaussians;
mod learning_rate;
mod power_iteration;
mod random_features;
mod witness;

use kme::Result;

const EXPERIMENTS: [figure::Experiment; 7] = [
    ("bias", bias::run),
    ("random-features", random_features::run),
    ("power-iteration", power_iteration::run),
    ("learning-rate", learning_rate::run),
    ("dirac", dirac_figure::run),
    ("gaussians", gaussians::run),
    ("witness", witness::run),
];

fn main() -> Result<()> {
    figure::run(&EXPERIMENTS)
}
