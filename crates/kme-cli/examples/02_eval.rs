//! Score a sample against a reference.
//!
//! ```text
//! $ kme eval assets/points/before.csv assets/points/after.csv --metrics mmd
//! candidate                mmd2           points
//! assets/points/after.csv  0.080 ± 0.034      80
//! ± is a standard error
//! mmd2: unbiased estimator, kernel gaussian:sigma=1.8043256353695103, protocol full
//! reference assets/points/before.csv (80 points), features identity, seed 0
//!
//! $ cargo run --release --example 02_eval
//! mmd 0.080 ± 0.034
//! ```

use kme_deep::{Context, EvalRequest, Metric, Reader, SourceSettings};

fn main() -> kme::Result<()> {
    println!("{}", example()?);
    Ok(())
}

pub(crate) fn example() -> kme::Result<String> {
    let (settings, context) = (SourceSettings::default(), Context::cpu());
    let request = EvalRequest { metrics: vec![Metric::Mmd], ..EvalRequest::default() };
    let sources = ["assets/points/before.csv", "assets/points/after.csv"].map(String::from);
    let report = request.run(&sources, Reader::new(&settings, &context, &()))?;
    let score = &report.scores[0];
    Ok(format!("{} {:.3} ± {:.3}", score.metric, score.value, score.error.unwrap_or(f64::NAN)))
}
