//! `kme sample`

use crate::arguments::Global;
use crate::output::{self, fields};
use clap::Args;
use kme::{Error, Result};
use kme_deep::image::Grid;
use kme_deep::model::Generator;
use serde_json::json;
use std::path::PathBuf;

/// Draw pictures from a generator
///
/// GENERATOR is a run folder, a weights file, or the name of a shipped model (`kme models list`). The output is one sheet
/// when it ends in .png, else a folder with one PNG for each picture.
#[derive(Args)]
#[command(after_help = "Examples:
  kme sample fashion -n 64 -o sheet.png
  kme sample runs/mine -n 10000 -o samples/ --seed 1")]
pub struct Arguments {
    #[arg(value_name = "GENERATOR")]
    generator: String,
    /// Number of pictures
    #[arg(short, default_value_t = 64, value_name = "N")]
    n: usize,
    /// Sheet (.png), or folder for single pictures
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
}

pub fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let context = global.context()?;
    if !(1..=1_000_000).contains(&arguments.n) {
        return Err(Error::value("number of pictures (-n)", arguments.n, "1 to 1000000"));
    }
    let (bytes, path) = context.models.bytes(&arguments.generator)?;
    let generator = Generator::parse(&bytes, &path, &context.place)?;
    let pictures = generator.sample(arguments.n, global.seed())?;
    let out = &arguments.output;
    if out.extension().is_some_and(|e| e.eq_ignore_ascii_case("png")) {
        Grid::default().lay_out(&pictures)?.write_png(0, out)?;
    } else {
        std::fs::create_dir_all(out).map_err(|e| Error::file(out, format!("cannot be made: {e}")))?;
        let digits = (arguments.n - 1).to_string().len();
        for i in 0..arguments.n {
            pictures.write_png(i, &out.join(format!("{i:0digits$}.png")))?;
        }
    }
    let text = format!("{}: {} pictures (seed {})", out.display(), arguments.n, global.seed());
    output::print(global, &text, fields(json!({ "output": out, "n": arguments.n, "generator": arguments.generator })))?;
    Ok(true)
}
