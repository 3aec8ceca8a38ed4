//! Embed a sample, and measure its distance from another embedding.
//!
//! ```text
//! $ kme embed assets/points/before.csv --kernel gaussian:sigma=1 -o before.kme
//! before.kme: 80 points of dimension 2, kernel gaussian:sigma=1, features identity
//!
//! $ cargo run --release --example 05_embed
//! squared distance of the embeddings: 0.1051
//! ```

use kme::{Embedding, Kernel, Points, Precision};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let kernel: Kernel = "gaussian:sigma=1".parse()?;
    let before = Embedding::of(&Points::read("assets/points/before.csv")?, kernel.clone())?;
    let after = Embedding::of(&Points::read("assets/points/after.csv")?, kernel)?;
    before.write("before.kme")?;
    Ok(format!("squared distance of the embeddings: {:.4}", before.mmd2(&after, Precision::F64)?))
}
