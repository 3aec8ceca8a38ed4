//! Both embeddings at the points of the samples themselves, for finding the points that make the difference.

use super::Sample;
use crate::kernel::Kernel;
use crate::sums::{self, Precision};
use crate::{Error, Result};

/// The embeddings of a sample and of another at the sample's own points.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// μ of the sample's *other* points, Σ_{j≠i} wⱼ k(xᵢ,xⱼ) / (1 − wᵢ): shape (n). How dense the sample is around xᵢ.
    pub own: Vec<f64>,
    /// μ of the other sample, Σⱼ vⱼ k(xᵢ,yⱼ): shape (n). How dense the other is around xᵢ.
    pub other: Vec<f64>,
}

impl LeftOut {
    /// The witness fᵢ = own − other at each point: positive where its own sample is denser than the other. Shape (n).
    pub fn witness(&self) -> Vec<f64> {
        self.own.iter().zip(&self.other).map(|(own, other)| own - other).collect()
    }
}

/// The witness between x and y at the points of both, each point left out of the embedding of its own sample.
///
/// With its own term, k(xᵢ,xᵢ)/n, every point would seem over-represented in its sample, the more the fewer there are. Without
/// it, the mean of the witness of x plus that of y is the unbiased MMD² (of samples without weights).
///
/// *Shapes*: x (n, d), y (m, d). *Cost*: O((n + m)²d) time, O(n + m) memory beside the points.
///
/// # Errors
/// When a sample has fewer than two points or one point has all the weight, dimensions differ, weights do not fit, or a sum
/// overflows.
pub fn left_out<'a>(
    kernel: &Kernel,
    x: impl Into<Sample<'a>>,
    y: impl Into<Sample<'a>>,
    precision: Precision,
) -> Result<(LeftOut, LeftOut)> {
    let (x, y) = (x.into(), y.into());
    let (u, v) = (x.normalised_weights()?, y.normalised_weights()?);
    let one = |own: Sample, w: &[f64], other: Sample, v: &[f64]| -> Result<LeftOut> {
        if own.points.len() < 2 {
            return Err(Error::too_few("points", own.points.len(), 2, "leaving out one point"));
        }
        if let Some(i) = w.iter().position(|w| 1.0 - w <= f64::EPSILON) {
            return Err(Error::parameter(format!("weights[{i}]"), w[i], "less than the sum of all"));
        }
        let sums = sums::rows_without_diagonal(kernel, own.points, w, precision)?;
        Ok(LeftOut {
            own: sums.iter().zip(w).map(|(sum, w)| sum / (1.0 - w)).collect(),
            other: sums::rows(kernel, own.points, other.points, Some(v), precision)?,
        })
    };
    Ok((one(x, &u, y, &v)?, one(y, &v, x, &u)?))
}
