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

use kme::{Error, Result};
use std::path::Path;

type Experiment = (&'static str, fn(&Path) -> Result<()>);

/// The name of the figure, and what makes it.
const EXPERIMENTS: [Experiment; 7] = [
    ("bias", bias::run),
    ("random-features", random_features::run),
    ("power-iteration", power_iteration::run),
    ("learning-rate", learning_rate::run),
    ("dirac", dirac_figure::run),
    ("gaussians", gaussians::run),
    ("witness", witness::run),
];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().unwrap_or_else(|| "docs/figures".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
    let wanted: Vec<String> = arguments.collect();
    if let Some(unknown) = wanted.iter().find(|w| EXPERIMENTS.iter().all(|e| e.0 != **w)) {
        return Err(Error::value("experiment", unknown, EXPERIMENTS.map(|e| e.0).join(", ")));
    }
    for (name, run) in EXPERIMENTS {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            run(&folder.join(format!("{name}.svg")))?;
        }
    }
    Ok(())
}
