//! The two-sample test by permutation.

use super::permuted::mmd2_of_labellings;
use super::{Outcome, Permutations};
use crate::Result;
use crate::discrepancy::{Estimate, Estimator, mmd2};
use crate::kernel::Kernel;
use crate::points::PointsView;

/// Result of [`two_sample`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TwoSample {
    /// Its statistic is MMD².
    pub outcome: Outcome,
    /// MMD² with its standard error.
    pub estimate: Estimate,
}

/// Tests P = Q by MMD² and permutations of the pooled sample.
///
/// Under H₀: P = Q the N = n + m pooled points are exchangeable, so the statistic of the observed labelling is one of
/// B + 1 exchangeable numbers, and p = (b+1)/(B+1) is exact for every n, m, kernel and distribution. All labellings
/// take one pass over the pooled Gram matrix; memory is O(N·B/8) bytes. A kernel whose parameters come from the points
/// (a median) must take them from the pooled sample, whatever its order: then they are the same for every labelling.
///
/// *Shapes*: x (n, d), y (m, d); n and m are free.
///
/// # Errors
/// When dimensions differ, the estimator is neither biased nor unbiased or needs more points, there are no
/// permutations, or a sum overflows.
///
/// # Reference
/// Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012, §8.
pub fn two_sample<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    estimator: Estimator,
    permutations: &Permutations,
) -> Result<TwoSample> {
    of_views(kernel, x.into(), y.into(), estimator, permutations)
}

fn of_views(
    kernel: &Kernel,
    x: PointsView,
    y: PointsView,
    estimator: Estimator,
    permutations: &Permutations,
) -> Result<TwoSample> {
    let statistics = mmd2_of_labellings(std::slice::from_ref(kernel), x, y, estimator, permutations)?;
    let mut outcome = permutations.outcome(&statistics[0]);
    let estimate = mmd2(kernel, x, y, estimator, permutations.precision)?;
    outcome.statistic = estimate.value;
    Ok(TwoSample { outcome, estimate })
}
