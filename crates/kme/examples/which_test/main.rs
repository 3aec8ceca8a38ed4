//! The numbers and figures of the guide's chapter "Which test, which metric, which n" (docs/which-test.md).
//!
//! ```sh
//! cargo run --release -p kme --example which_test -- docs/figures    # about 10 minutes on two cores
//! ```
//!
//! Three experiments, each a file: what they draw is given by their seeds, so the figures are the same on every run.

#[path = "../figure/mod.rs"]
#[allow(dead_code, reason = "shared by examples, each of which draws a part of what it can draw")]
mod figure;
mod metrics;
mod power;
mod spread;

use kme::Result;
use std::path::Path;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "docs/figures".into());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder).map_err(|e| kme::internal::io::write_error(folder, e))?;
    let only = std::env::args().nth(2);
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    for (name, run) in
        [("power", power::run as fn(&Path) -> Result<()>), ("metrics", metrics::run), ("spread", spread::run)]
    {
        if is_wanted(name) {
            run(&folder.join(format!("{name}.svg")))?;
        }
    }
    Ok(())
}
