//! Make pictures like those that you show.
//!
//! ```text
//! $ kme match fashion assets/examples/ankle-boot.png assets/examples/bag.png -o out.png
//! out.png: mmd2 9.1062e-3 for random latents, 6.9304e-4 before, 1.3129e-4 after
//!
//! $ cargo run --release --example 04_match
//! 4 pictures, mmd2 1.3129e-4
//! ```

use kme_deep::{Context, MatchRequest};
use kme_image::{Grid, Part, sheet};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let likes = ["assets/examples/ankle-boot.png", "assets/examples/bag.png"].map(String::from).to_vec();
    let request = MatchRequest { likes, ..MatchRequest::new("fashion") };
    let matched = request.prepare(&Context::cpu(), &())?.run(&())?;
    let part = Part { label: "outputs", images: &matched.pictures };
    sheet(&[part], &Grid::default())?.write_png(0, "like-these.png".as_ref())?;
    Ok(format!("{} pictures, mmd2 {:.4e}", matched.pictures.len(), matched.after))
}
