//! Train a generator.
//!
//! ```text
//! $ kme train 25-gaussians --set steps=100 -o toy
//! toy: 100 steps done with seed 0; the model is toy/model.safetensors
//!
//! $ cargo run --release --example 08_train
//! Finished { steps: 100 }
//! ```

use kme_deep::train::{Plan, Request};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let mut config = Plan::load("25-gaussians")?.into_config();
    config.steps = 100;
    let outcome = Request::new("toy-from-rust").start(&config.check()?)?;
    Ok(format!("{outcome:?}"))
}
