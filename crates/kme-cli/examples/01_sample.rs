//! Draw pictures from a generator.
//!
//! ```text
//! $ kme sample fashion -n 8 -o sheet.png
//! sheet.png: 8 pictures (seed 0)
//!
//! $ cargo run --release --example 01_sample
//! 8 pictures of 28x28
//! ```

use kme_deep::Context;
use kme_image::{Grid, Part, sheet};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let context = Context::cpu();
    let images = context.models.generator("fashion", &context.place)?.sample(8, 0)?;
    let part = Part { label: "samples", images: &images };
    sheet(&[part], &Grid::default())?.write_png(0, "sheet.png".as_ref())?;
    let [n, _, h, w] = images.shape();
    Ok(format!("{n} pictures of {h}x{w}"))
}
