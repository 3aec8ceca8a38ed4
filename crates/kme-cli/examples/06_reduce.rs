//! Choose a few points that stand for a sample.
//!
//! ```text
//! $ kme reduce assets/points/before.csv -n 5 -o few.csv
//! 5 of 80 points of dimension 2
//!                           MMD^2       MMD
//! herding               0.0131403  0.114631
//! random subsets, 5 %   0.0200005  0.141423
//! random subsets, 50 %  0.0607250  0.246424
//! random subsets, 95 %   0.153353  0.391603
//! kernel gaussian:sigma=1.443327750272837, features identity, weights equal
//! written: few.csv
//!
//! $ cargo run --release --example 06_reduce
//! MMD^2 0.0131 (random subsets: 0.0607)
//! ```

use kme::{Points, Reduction};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let sample = Points::read("assets/points/before.csv")?;
    let coreset = Reduction::new(5).run(&sample)?;
    coreset.reduced.points.write("few.csv")?;
    Ok(format!("MMD^2 {:.4} (random subsets: {:.4})", coreset.reduced.mmd2, coreset.random_subsets.median))
}
