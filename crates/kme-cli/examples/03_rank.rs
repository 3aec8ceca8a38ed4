//! List the points that make the difference between two samples.
//!
//! ```text
//! $ kme rank assets/points/before.csv assets/points/after.csv --top 3
//! rank  worst fakes   witness       own     other
//!    1           30  0.202284  0.325201  0.122917
//!    2           25  0.199281  0.323963  0.124681
//!    3           15  0.197921  0.366921  0.169000
//!
//! rank  most missed reals    witness       own     other
//!    1                  6  -0.186043  0.766524  0.580481
//!    2                  9  -0.185617  0.757548  0.571931
//!    3                 43  -0.184740  0.778867  0.594126
//!
//! mean of the witness: fakes -0.0501833, reals -0.130577, ranked by witness
//! kernel gaussian:sigma=1.8043256353695103, features identity
//!
//! $ cargo run --release --example 03_rank
//! worst fakes: [30, 25, 15], most missed: [6, 9, 43]
//! ```

use kme_deep::{Context, Ranking, Reader, SourceSettings, Sources};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let (settings, context) = (SourceSettings::default(), Context::cpu());
    let reader = Reader::new(&settings, &context, &());
    let mut sources = Sources::open(&["assets/points/before.csv", "assets/points/after.csv"], reader)?;
    let ranked = Ranking::default().run(&mut sources)?;
    Ok(format!("worst fakes: {:?}, most missed: {:?}", &ranked.fakes.order[..3], &ranked.reals.order[..3]))
}
