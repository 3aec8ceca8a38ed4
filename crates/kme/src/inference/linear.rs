//! The linear-time two-sample test.

use super::{Null, Outcome, Permutations};
use crate::discrepancy::{Estimate, linear_terms};
use crate::kernel::Kernel;
use crate::points::PointsView;
use crate::{Error, Result, rng};
use rayon::prelude::*;

/// Result of [`linear`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Linear {
    /// Its statistic is the estimate over its standard error.
    pub outcome: Outcome,
    /// MMD² with its standard error.
    pub estimate: Estimate,
}

/// Fewest points of a sample: 15 pairs, which have 32 768 signs.
const LEAST: usize = 30;

/// Tests P = Q in time and memory that are linear in the number of points.
///
/// The mean of h = k(x₁,x₂) + k(y₁,y₂) − k(x₁,y₂) − k(x₂,y₁) over disjoint pairs is an average of independent numbers
/// with mean MMD². When x₁ and y₁ change places, h changes its sign: under P = Q its law is symmetric, and B random changes
/// of the signs give p = (b + 1)/(B + 1), where b counts the means that are at least the observed one. That is exact for
/// any number of points, kernel and distribution; the normal law of the literature rejects too often with few pairs, and
/// Student's too often with ties. It sees far less than tests of all pairs, which should be preferred where they can be
/// afforded; [`block`](super::block::block) lies between. Who is paired is drawn by the seed, as for
/// [`Estimator::Linear`](crate::discrepancy::Estimator::Linear), whose value this is.
///
/// *Shapes*: x (n, d), y (m, d); 2⌊min(n,m)/2⌋ points of each are used. Of `permutations`, the precision is not used.
///
/// # Errors
/// When dimensions differ, there are fewer than 30 points of either, no permutations, or a value overflows.
///
/// # Reference
/// Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012, §6, for the statistic; Hemerik,
/// Goeman, "Exact testing with random permutations", 2018, for random elements of a group.
pub fn linear<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    permutations: &Permutations,
) -> Result<Linear> {
    of_views(kernel, x.into(), y.into(), permutations)
}

fn of_views(kernel: &Kernel, x: PointsView, y: PointsView, permutations: &Permutations) -> Result<Linear> {
    let least = x.len().min(y.len());
    if least < LEAST {
        let purpose = "the linear-time test (a test by permutation takes fewer)";
        return Err(Error::too_few("points", least, LEAST, purpose));
    }
    permutations.check_count()?;
    let (estimate, terms) = linear_terms(kernel, x, y, permutations.seed)?;
    let mut sums = vec![terms.iter().sum()];
    sums.par_extend((0..permutations.count).into_par_iter().map(|b| flipped(&terms, permutations.seed, b as u64)));
    // Rounding moves equal sums apart by no more than this.
    let tolerance = 1e-12 * terms.iter().map(|term| term.abs()).sum::<f64>();
    let at_least = super::permuted::at_least(&sums, sums[0], tolerance);
    let outcome = Outcome {
        // Without an error all terms are the same: where that is 0 there is no difference, else there is nothing but one.
        statistic: match estimate.standard_error {
            Some(error) => estimate.value / error,
            None if estimate.value == 0.0 => 0.0,
            None => f64::INFINITY.copysign(estimate.value),
        },
        p_value: at_least as f64 / sums.len() as f64,
        null: Null::SignFlips(permutations.count),
    };
    Ok(Linear { outcome, estimate })
}

/// The sum with the signs of draw number `b`.
fn flipped(terms: &[f64], seed: u64, b: u64) -> f64 {
    let mut stream = rng::stream(seed, "signs", b);
    let mut word = |terms: &[f64]| {
        let signs = rng::bits(&mut stream);
        terms.iter().enumerate().map(|(i, term)| if signs >> i & 1 == 1 { -term } else { *term }).sum::<f64>()
    };
    terms.chunks(64).map(&mut word).sum()
}
