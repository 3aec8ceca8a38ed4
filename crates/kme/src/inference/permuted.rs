//! What all tests by permutation share: how many, the smallest p-value, counting.

use super::{Null, Outcome, check_level, typical_value};
use crate::discrepancy::Estimator;
use crate::kernel::Kernel;
use crate::observe::Observer;
use crate::points::{Points, PointsView};
use crate::sums::{self, About, Differences, Labels, Pairs, Precision};
use crate::{Error, Result};

/// Random permutations of the pooled points.
#[derive(Clone, Copy)]
pub struct Permutations<'a> {
    /// B, the number of random permutations beside the observed labelling.
    pub count: usize,
    /// Permutation b is a function of the seed and b.
    pub seed: u64,
    /// The arithmetic of the kernels.
    pub precision: Precision,
    /// Who watches the sums over all labellings, which take nearly all of the time, in millions of pairs of points; `&()`
    /// watches nothing.
    pub observer: &'a dyn Observer,
}

impl Default for Permutations<'_> {
    /// 999 permutations of seed 0: the smallest p-value is 0.001.
    fn default() -> Self {
        Self { count: 999, seed: 0, precision: Precision::F64, observer: &() }
    }
}

impl Permutations<'_> {
    /// The smallest p-value that groups of `n` and `m` points can reach.
    ///
    /// With B permutations it is 1/(B+1); with few points also about the share of those labellings that give the
    /// observed statistic: 1/C(n+m, n), and twice that for n = m and a statistic that is the same when the groups are
    /// exchanged.
    pub fn smallest_p_value(&self, n: usize, m: usize, is_symmetric: bool) -> f64 {
        let labellings: f64 = (1..=n.min(m)).map(|i| (n.max(m) + i) as f64 / i as f64).product();
        let ties = if is_symmetric && n == m { 2.0 } else { 1.0 };
        (1.0 / (self.count as f64 + 1.0)).max(ties / labellings)
    }

    /// Whether a test at level `alpha` could reject at all.
    ///
    /// # Errors
    /// When α is not a level, or below the smallest p-value that so many permutations or points can reach.
    pub fn check(&self, alpha: f64, n: usize, m: usize, is_symmetric: bool) -> Result<()> {
        self.check_level(alpha)?;
        let least = self.smallest_p_value(n, m, is_symmetric);
        if least > alpha {
            let enough = (2..).find(|&n| self.smallest_p_value(n, n, is_symmetric) <= alpha);
            let purpose = format!("a test by permutation at level {alpha}");
            return Err(Error::too_few("points of each sample", n.min(m), enough.unwrap_or(usize::MAX), purpose));
        }
        Ok(())
    }

    /// Whether so many permutations could reject at level `alpha`.
    ///
    /// # Errors
    /// When α is not a level, or below 1/(B + 1).
    pub fn check_level(&self, alpha: f64) -> Result<()> {
        self.check_enough(alpha, usize::MAX)
    }

    /// Whether so many permutations could reject at level `alpha` in the [three-sample test](super::three_sample()), whose
    /// p-value is continued below 1/(B + 1) from [`Self::CONTINUED`] permutations on.
    ///
    /// # Errors
    /// When α is not a level, or below 1/(B + 1) with fewer permutations than that.
    pub fn check_continued(&self, alpha: f64) -> Result<()> {
        self.check_enough(alpha, Self::CONTINUED)
    }

    /// Whether there are as many permutations as `alpha` needs, or so many that their tail is `continued`.
    fn check_enough(&self, alpha: f64, continued: usize) -> Result<()> {
        check_level(alpha)?;
        let (count, least) = (self.count, 1.0 / (self.count as f64 + 1.0));
        if least <= alpha || count >= continued {
            return Ok(());
        }
        let enough = (alpha.recip().ceil() - 1.0).min(continued as f64);
        let allowed = format!("at least {enough:.0} for level {alpha}: with {count} no p-value is below {least:.3}");
        Err(Error::parameter("permutations", count, allowed))
    }

    /// Fewest permutations whose smallest tenth tells how the tail goes on.
    pub const CONTINUED: usize = 100;

    /// Whether there are any.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn check_count(&self) -> Result<()> {
        match self.count {
            0 => Err(Error::parameter("permutations", 0, "at least 1; 999 give p-values down to 0.001")),
            _ => Ok(()),
        }
    }

    /// The observed labelling of n + m pooled points and the permuted ones.
    pub(super) fn labels(&self, n: usize, m: usize, purpose: &str) -> Result<Labels> {
        self.check_count()?;
        Labels::permuted(n + m, n, self.count, self.seed, purpose)
    }

    /// p = (b+1)/(B+1) for values of which the first was observed, with b the number of others that are at least it.
    pub(super) fn outcome(&self, statistics: &[f64]) -> Outcome {
        let count = at_least(statistics, statistics[0], self.tolerance(statistics));
        Outcome {
            statistic: statistics[0],
            p_value: count as f64 / statistics.len() as f64,
            null: Null::Permutations(self.count),
        }
    }

    /// How far rounding may move equal statistics apart: those of a labelling and its mirror image, for example.
    pub(super) fn tolerance(&self, statistics: &[f64]) -> f64 {
        let largest = statistics.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
        largest
            * match self.precision {
                Precision::F64 => 1e-9,
                Precision::F32 => 1e-5,
            }
    }
}

/// How many of the statistics are at least `bound`, where a difference within the tolerance is a tie.
pub(super) fn at_least(statistics: &[f64], bound: f64, tolerance: f64) -> usize {
    statistics.iter().filter(|s| **s >= bound - tolerance).count()
}

/// MMD² under the observed labelling and under every permuted one, for each kernel: shape (kernels, B + 1).
///
/// From A = Σ_{i≠j} sᵢsⱼk(zᵢ,zⱼ) of the first group, R = Σᵢ sᵢ Σ_{j≠i} k(zᵢ,zⱼ) and the total T, the sum between the
/// groups is R − A and that within the second T − 2R + A; likewise for the diagonal.
pub(super) fn mmd2_of_labellings(
    kernels: &[Kernel],
    x: PointsView,
    y: PointsView,
    estimator: Estimator,
    permutations: &Permutations,
) -> Result<Vec<Vec<f64>>> {
    x.check_same_dim(y)?;
    let (n, m) = (x.len(), y.len());
    let is_biased = match estimator {
        Estimator::Biased => true,
        Estimator::Unbiased => false,
        _ => {
            let operation = format!("test by permutation with the {estimator} estimator");
            return Err(Error::unsupported(operation, "choose biased or unbiased"));
        }
    };
    if !is_biased && n.min(m) < 2 {
        return Err(Error::too_few("points", n.min(m), 2, "the unbiased estimator"));
    }
    let labels = permutations.labels(n, m, "permutation")?;
    let pairs = Pairs::new(permutations.observer, kernels.len(), 1, n + m);
    let found = mmd2_of_labels(kernels, x, y, is_biased, &labels, permutations.precision, &pairs)?;
    pairs.finish();
    Ok(found)
}

/// The same for given labellings.
pub(super) fn mmd2_of_labels(
    kernels: &[Kernel],
    x: PointsView,
    y: PointsView,
    is_biased: bool,
    labels: &Labels,
    precision: Precision,
    pairs: &Pairs,
) -> Result<Vec<Vec<f64>>> {
    let (n, m) = (x.len(), y.len());
    let pooled = Points::concat(&[x, y])?;
    let (kernels, centre) = Differences::of_several(kernels, &[pooled.view()]);
    let centre = centre.as_deref();
    let origin = |kernel| typical_value(About { kernel, centre }, pooled.view());
    let origins = kernels.iter().map(origin).collect::<Result<Vec<f64>>>()?;
    let all = sums::labelled(&kernels, pooled.view(), centre, labels, &origins, precision, pairs)?;
    let (n, m) = (n as f64, m as f64);
    let statistics = all.into_iter().map(|sums| {
        let total: f64 = sums.rows.iter().sum();
        let rows = labels.sums(&sums.rows);
        let on_diagonal = if is_biased { labels.sums(&sums.diagonal) } else { vec![0.0; labels.count()] };
        let diagonal: f64 = if is_biased { sums.diagonal.iter().sum() } else { 0.0 };
        let of_labelling = |((within, row), on_diagonal): ((&f64, f64), f64)| {
            let (xx, yy) = (within + on_diagonal, total - 2.0 * row + within + diagonal - on_diagonal);
            let (xx, yy) = match is_biased {
                true => (xx / (n * n), yy / (m * m)),
                false => (xx / (n * (n - 1.0)), yy / (m * (m - 1.0))),
            };
            xx + yy - 2.0 * (row - within) / (n * m)
        };
        sums.forms.iter().zip(rows).zip(on_diagonal).map(of_labelling).collect()
    });
    Ok(statistics.collect())
}
