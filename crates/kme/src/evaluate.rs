//! The field's scores of a sample against a reference, each on points: KID, FID, inception score, precision and recall,
//! density and coverage.
//!
//! A score is one file here: its formula, the protocols in which it is published or implemented, and its standard error.
//! Nothing is multiplied by 100 or 1000, clipped, or square-rooted.

pub mod frechet;
pub mod inception_score;
pub mod kid;
mod matrix;
mod numpy;
pub mod prdc;
mod protocol;
pub mod statistics;

pub use frechet::{Fid, Fitted, fid};
pub use inception_score::{InceptionScore, inception_score};
pub use kid::{Draw, Kid, Subsets, kid, kid_on_draws};
pub use matrix::symmetric_eigen;
pub use prdc::{Manifold, Prdc, prdc};
pub use protocol::Protocol;
pub use statistics::Statistics;

/// A number with its standard error, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Measured {
    pub value: f64,
    /// Estimated standard deviation of `value` over new samples of the same sizes.
    pub standard_error: Option<f64>,
}

/// The mean and the standard deviation of values: divided by their number, as NumPy's `std` does.
fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}
