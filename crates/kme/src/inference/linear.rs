//! The linear-time two-sample test.

use super::Outcome;
use crate::discrepancy::{Estimate, Estimator, mmd2};
use crate::kernel::Kernel;
use crate::points::Points;
use crate::sums::Precision;
use crate::{Error, Result};

/// Result of [`linear`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Linear {
    /// Its statistic is the estimate over its standard error.
    pub outcome: Outcome,
    /// MMD² with its standard error.
    pub estimate: Estimate,
}

/// Fewest points of a sample: 15 pairs.
const LEAST: usize = 30;

/// Tests MMD(P,Q) = 0 in time and memory that are linear in the number of points.
///
/// The mean of h = k(x₁,x₂) + k(y₁,y₂) − k(x₁,y₂) − k(x₂,y₁) over disjoint pairs is an average of independent numbers
/// with mean MMD², so z = mean/standard error is asymptotically normal whether or not P = Q, and p = 1 − Φ(z). It sees
/// far less than tests of all pairs, which should be preferred where they can be afforded;
/// [`block`](super::block::block) lies between. Who is paired is drawn by a fixed seed, as for [`Estimator::Linear`],
/// whose value this is.
///
/// *Shapes*: x (n, d), y (m, d); 2⌊min(n,m)/2⌋ points of each are used.
///
/// # Errors
/// When dimensions differ, there are fewer than 30 points of either (the normal law is not yet there), or a value
/// overflows.
///
/// # Reference
/// Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012, §6.
pub fn linear(kernel: &Kernel, x: &Points, y: &Points) -> Result<Linear> {
    let least = x.len().min(y.len());
    if least < LEAST {
        let allowed = format!("at least {LEAST} of each for the linear-time test; fewer have the test by permutation");
        return Err(Error::value("number of points", least, allowed));
    }
    let estimate = mmd2(kernel, x, y, Estimator::Linear, Precision::F64)?;
    // Without an error all terms are the same: where that is 0 there is no difference, else there is nothing but one.
    let z = estimate.standard_error.map_or(if estimate.value > 0.0 { f64::MAX } else { 0.0 }, |e| estimate.value / e);
    Ok(Linear { outcome: Outcome::upper_tail(z), estimate })
}
