//! The numbers and figures of the guide's chapter "Which test, which metric, which n" (docs/which-test.md).
//!
//! ```sh
//! cargo run --release -p kme --example which_test -- docs/figures    # about 10 minutes on two cores
//! ```
//!
//! Three experiments, each a file: what they draw is given by their seeds, so the figures are the same on every run.

mod figure;
mod metrics;
mod power;
mod spread;

use kme::{Error, Result};
use std::path::Path;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs/figures".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).map_err(|e| Error::file(folder, e))?;
    power::run(&folder.join("power.svg"))?;
    metrics::run(&folder.join("fid-kid.svg"))?;
    spread::run(&folder.join("plus-minus.svg"))
}
