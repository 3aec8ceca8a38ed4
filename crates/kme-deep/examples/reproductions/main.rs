//! Small experiments of the papers that need networks, with figures: expected beside measured in docs/reproductions.md.
//!
//! ```sh
//! cargo run --release -p kme-deep --example reproductions-deep -- docs/figures            # all, in minutes
//! cargo run --release -p kme-deep --example reproductions-deep -- docs/figures critics    # one
//! cargo test --release -p kme-deep --example reproductions-deep                           # what is asserted of them
//! ```
//!
//! Each experiment is a file. What they draw is given by their seeds, so the figures are the same on every run;
//! times are printed only.

mod critics;
mod fit;
mod kitchen_sinks;
mod run;
mod signs;
mod toys;

#[path = "../../../kme/examples/figure/mod.rs"]
#[allow(dead_code, reason = "shared by examples, each of which draws a part of what it can draw")]
mod figure;
#[path = "../../../kme/examples/reproductions/gaussians.rs"]
#[allow(dead_code, reason = "the mixture and its closed form are used here, its figure is drawn by the other example")]
mod gaussians;

use kme::Result;

const EXPERIMENTS: [figure::Experiment; 4] =
    [("critics", critics::run), ("signs", signs::run), ("toys", toys::run), ("kitchen-sinks", kitchen_sinks::run)];

fn main() -> Result<()> {
    figure::run(&EXPERIMENTS)
}
