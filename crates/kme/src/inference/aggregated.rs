//! The two-sample test aggregated over kernels.

use super::permuted::{at_least, mmd2_of_labellings};
use super::{Null, Outcome, Permutations};
use crate::discrepancy::{Estimate, Estimator, mmd2, some_distances};
use crate::kernel::{Form, Kernel};
use crate::points::PointsView;
use crate::standard_error::NoStandardError;
use crate::{Error, Result};

/// Result of [`aggregated`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Aggregated {
    /// Its statistic is the smallest of the kernels' own p-values; small ones count against P = Q.
    pub outcome: Outcome,
    /// One for each kernel, in their order.
    pub components: Vec<Component>,
}

/// What one kernel contributes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Component {
    /// The kernel of this component.
    pub kernel: Kernel,
    /// Unbiased MMD².
    pub mmd2: f64,
    /// Of MMD², as that of [`mmd2`]: when there is none, `standard_error_missing` says why.
    pub standard_error: Option<f64>,
    /// Why there is no standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
    /// (MMD² − mean)/deviation over all labellings.
    pub standardised: f64,
    /// The p-value that this kernel would have alone, not corrected for the others.
    pub own_p_value: f64,
    /// Corrected for all kernels: at level α those with `p_value` ≤ α reject, and with probability 1 − α none does
    /// under H₀.
    pub p_value: f64,
}

impl Component {
    /// MMD² in standard errors: how much a kernel shows, whatever its scale, and whatever was permuted.
    pub fn in_errors(&self) -> f64 {
        self.standard_error.map_or(0.0, |error| self.mmd2 / error)
    }
}

/// Tests P = Q by the unbiased MMD² of several kernels at once, with the same permutations for all.
///
/// For kernel λ and labelling b of the B + 1, let p_λ(b) be the share of labellings whose MMD²_λ is at least that of
/// b. The statistic of a labelling is T(b) = min_λ p_λ(b), and p is the share of labellings with T ≤ T(observed). A
/// p_λ takes few values, so equal ones are told apart by the largest (MMD²_λ − mean)/deviation over the labellings of
/// that kernel. T(b) treats all labellings alike, and they are exchangeable under H₀: hence P(p ≤ α) ≤ α for any
/// sizes, any kernels and any B.
///
/// This is the aggregated test of Schrab et al. with equal weights w_λ = 1/|Λ|, in which the corrected level u_α is
/// found from the same permutations, not estimated from second ones: u_α is the largest level at which a kernel of a
/// share of at most α of the labellings would reject. So the level is exact for finite B, and there is a p-value. A
/// kernel's corrected p-value is the share of labellings whose T is at most its p_λ(observed) (Westfall, Young,
/// "Resampling-based multiple testing", 1993); the smallest of them is p.
///
/// *Shapes*: x (n, d), y (m, d), n and m at least 2.
///
/// # Errors
/// As [`two_sample`](super::two_sample); when there is no kernel.
///
/// # Reference
/// Schrab, Kim, Albert, Laurent, Guedj, Gretton, "MMD aggregated two-sample test", JMLR 24, 2023.
pub fn aggregated<'a>(
    kernels: &[Kernel],
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    permutations: &Permutations,
) -> Result<Aggregated> {
    of_views(kernels, x.into(), y.into(), permutations)
}

fn of_views(kernels: &[Kernel], x: PointsView, y: PointsView, permutations: &Permutations) -> Result<Aggregated> {
    if kernels.is_empty() {
        return Err(Error::too_few("kernels", 0, 1, "the aggregated test"));
    }
    let statistics = mmd2_of_labellings(kernels, x, y, Estimator::Unbiased, permutations)?;
    let scores: Vec<Vec<Score>> = statistics.iter().map(|s| scores(s, permutations.tolerance(s))).collect();
    let labellings = statistics[0].len();
    let best = |b: usize| {
        let first = scores[0][b];
        scores[1..].iter().fold(first, |best, kernel| if kernel[b].exceeds(&best) { kernel[b] } else { best })
    };
    let best: Vec<Score> = (0..labellings).map(best).collect();
    let share = |count: usize| count as f64 / labellings as f64;
    let corrected = |score: &Score| share(best.iter().filter(|other| !score.exceeds(other)).count());
    let components = kernels.iter().zip(&statistics).zip(&scores).map(|((kernel, statistics), scores)| {
        let Estimate { standard_error, standard_error_missing, .. } =
            mmd2(kernel, x, y, Estimator::Unbiased, permutations.precision)?;
        Ok(Component {
            kernel: kernel.clone(),
            mmd2: statistics[0],
            standard_error,
            standard_error_missing,
            standardised: scores[0].standardised,
            own_p_value: share(scores[0].rank),
            p_value: corrected(&scores[0]),
        })
    });
    let components: Vec<Component> = components.collect::<Result<_>>()?;
    let p_value = corrected(&best[0]);
    let outcome = Outcome { statistic: share(best[0].rank), p_value, null: Null::Permutations(permutations.count) };
    Ok(Aggregated { outcome, components })
}

/// How extreme a labelling is for one kernel.
#[derive(Clone, Copy)]
struct Score {
    /// How many labellings have a statistic at least as large.
    rank: usize,
    /// (statistic − mean)/deviation over the labellings.
    standardised: f64,
}

impl Score {
    /// Whether this is the more extreme of two; what rounding could have moved apart is not.
    fn exceeds(&self, other: &Self) -> bool {
        const ROUNDING: f64 = 1e-4;
        self.rank < other.rank || (self.rank == other.rank && self.standardised > other.standardised + ROUNDING)
    }
}

fn scores(statistics: &[f64], tolerance: f64) -> Vec<Score> {
    let count = statistics.len() as f64;
    let mean = statistics.iter().sum::<f64>() / count;
    let deviation = (statistics.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / count).sqrt();
    let mut sorted = statistics.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let score = |s: &f64| Score {
        rank: sorted.len() - sorted.partition_point(|other| *other < s - tolerance),
        standardised: if deviation > tolerance { (s - mean) / deviation } else { 0.0 },
    };
    let scores: Vec<Score> = statistics.iter().map(score).collect();
    debug_assert_eq!(scores[0].rank, at_least(statistics, statistics[0], tolerance));
    scores
}

/// Widths of each family of the default collection.
const WIDTHS: usize = 8;

/// The default kernels of the aggregated test: eight Gaussians exp(−r²/λ²) and eight Laplacians exp(−r/λ), whose λ go
/// from half the 1 % quantile of the distances of the pooled points to twice their 95 % quantile in equal ratios, each
/// kernel's parameter rounded to three digits.
///
/// The quantiles are those of the pooled points whatever their labels, so that the test stays exact. Of more than 2000
/// points they are those of 2000 places, drawn by a fixed seed as in
/// [`median_distance`](crate::discrepancy::median_distance): then they depend, by a hair, on the order of the points.
///
/// # Errors
/// When all points coincide, or dimensions differ.
///
/// # Reference
/// Schrab et al., JMLR 2023, §5.2 and the authors' later choice without parameters, there with the minimal or 5 %
/// quantile.
pub fn collection<'a>(x: impl Into<PointsView<'a>>, y: impl Into<PointsView<'a>>) -> Result<Vec<Kernel>> {
    let (x, y) = (x.into(), y.into());
    let mut distances = some_distances(&[x, y])?;
    let overflow = distances.iter().copied().find(|r| !r.is_finite());
    distances.retain(|r| r.is_finite() && *r > 0.0);
    if distances.is_empty() {
        return Err(match overflow {
            Some(r) => Error::not_finite("distance of two points", r, "rescale the points"),
            None => Error::too_few("different points", 1, 2, "the default collection of kernels"),
        });
    }
    let mut quantile = |share: f64| {
        let place = ((distances.len() - 1) as f64 * share).round() as usize;
        *distances.select_nth_unstable_by(place, f64::total_cmp).1
    };
    let (low, high) = (quantile(0.01) / 2.0, quantile(0.95) * 2.0);
    let widths = (0..WIDTHS).map(|i| low * (high / low).powf(i as f64 / (WIDTHS - 1) as f64));
    let widths: Vec<f64> = widths.collect();
    // Readable, and the same however the rounding of sums depends on the order of the points.
    let rounded = |x: f64| format!("{x:.2e}").parse::<f64>().unwrap_or(x);
    let gaussians = widths.iter().map(|w| Form::Gaussian { sigma: rounded(w / std::f64::consts::SQRT_2) });
    let laplacians = widths.iter().map(|w| Form::Laplacian { scale: rounded(*w) });
    gaussians.chain(laplacians).map(Kernel::try_from).collect()
}
