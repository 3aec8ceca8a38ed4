//! The field's scores of a sample against a reference, each on points: KID, FID, inception score, precision and recall,
//! density and coverage.
//!
//! A score is one file here: its formula, the protocols in which it is published or implemented, and its standard error.
//! Nothing is multiplied by 100 or 1000, clipped, or square-rooted.

mod frechet;
mod inception_score;
mod kid;
mod matrix;
mod numpy;
mod prdc;
mod protocol;
mod statistics;

pub use frechet::{Fid, Fitted, fid};
pub use inception_score::{InceptionScore, inception_score};
pub use kid::{Draw, Kid, KidSettings, Subsets, draws, kid_on_draws};
pub use matrix::symmetric_eigen;
pub use prdc::{Manifold, Prdc, prdc};
pub use protocol::Protocol;
pub use statistics::Statistics;

use crate::discrepancy::Estimate;
use crate::standard_error::{self, NoStandardError, StandardError};

/// A number with its standard error, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Measured {
    /// The number.
    pub value: f64,
    /// Estimated standard deviation of `value` over new samples of the same sizes.
    pub standard_error: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
}

impl Measured {
    /// A value with its error, or without one for a reason.
    pub fn new(value: f64, error: StandardError) -> Self {
        let (standard_error, standard_error_missing) = standard_error::fields(error);
        Self { value, standard_error, standard_error_missing }
    }

    /// The error, or why there is none.
    pub fn error(&self) -> StandardError {
        self.standard_error.ok_or(self.standard_error_missing.unwrap_or(NoStandardError::Unstated))
    }
}

/// The value of each result, with its error.
macro_rules! measured {
    ($($found:ident),*) => {
        $(impl From<&$found> for Measured {
            fn from(found: &$found) -> Self {
                let &$found { value, standard_error, standard_error_missing, .. } = found;
                Self { value, standard_error, standard_error_missing }
            }
        })*
    };
}

measured!(Estimate, Kid, Fid, InceptionScore);

/// The mean and the standard deviation of values: divided by their number, as NumPy's `std` does.
fn mean_and_spread(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt())
}
