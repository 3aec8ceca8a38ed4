//! Estimators of the squared maximum mean discrepancy, their standard errors, the witness, the median heuristic.
//!
//! MMD²(P,Q) = E k(X,X') + E k(Y,Y') − 2 E k(X,Y) = ‖μ_P − μ_Q‖² is the squared distance of the kernel mean embeddings
//! of two distributions. Reference: Gretton et al., "A kernel two-sample test", JMLR 2012.

mod left_out;
mod median;
#[cfg(test)]
mod tests;
mod variance;
mod witness;

pub use left_out::{LeftOut, left_out};
pub use median::median_distance;
pub(crate) use median::some_distances;
pub use witness::Witness;

use crate::error::named;
use crate::kernel::{Form, Kernel};
use crate::points::PointsView;
use crate::standard_error::{self, NoStandardError, StandardError};
use crate::sums::{self, About, Differences, Precision};
use crate::{Error, Field, Result, rng};
pub(crate) use variance::Variance;

/// Points with optional weights; weights are divided by their sum.
#[derive(Clone, Copy, Debug)]
pub struct Sample<'a> {
    /// Shape (n, d).
    pub points: PointsView<'a>,
    /// Shape (n), with a positive sum.
    pub weights: Option<&'a [f64]>,
}

impl<'a, P: Into<PointsView<'a>>> From<P> for Sample<'a> {
    fn from(points: P) -> Self {
        Self { points: points.into(), weights: None }
    }
}

impl Sample<'_> {
    /// The weights with sum 1: 1/n each if none were given.
    ///
    /// # Errors
    /// When their number is not n, one is not finite, or their sum is not positive.
    pub fn normalised_weights(&self) -> Result<Vec<f64>> {
        let n = self.points.len();
        let Some(weights) = self.weights else {
            return Ok(vec![1.0 / n as f64; n]);
        };
        self.points.check_count(weights)?;
        let sum = total_weight(weights)?;
        Ok(weights.iter().map(|w| w / sum).collect())
    }
}

/// The sum Σwᵢ of the weights of a distribution, by which they are divided so that it has mass 1.
///
/// # Errors
/// When a weight is not finite, or the sum is not above rounding, |Σwᵢ| ≤ max(n, 16)·ε·Σ|wᵢ|: a difference of two
/// distributions has the sum 0, and dividing by what rounding leaves of it would make numbers out of nothing.
pub fn total_weight(weights: &[f64]) -> Result<f64> {
    let name = "sum of the weights";
    let sum: f64 = weights.iter().sum();
    let size: f64 = weights.iter().map(|w| w.abs()).sum();
    if !size.is_finite() {
        return Err(Error::not_finite(name, size, "use finite weights"));
    }
    if sum.abs() <= f64::EPSILON * size * weights.len().max(16) as f64 {
        let allowed =
            "greater than 0: the weights cancel out, as those of a difference a - b do; compare a and b themselves";
        return Err(Error::value(name, 0, allowed));
    }
    match sum > 0.0 {
        true => Ok(sum),
        false => Err(Error::value(name, sum, "greater than 0: a distribution has positive mass")),
    }
}

/// How MMD² is estimated from n points of P and m points of Q.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// mean K_xx + mean K_yy − 2 mean K_xy with the diagonals: never negative for a positive definite kernel, and too
    /// large by (E k(x,x) − E k(x,x'))/n + (E k(y,y) − E k(y,y'))/m on average.
    Biased,
    /// The same without the diagonals of K_xx and K_yy: right on average, hence negative about half of the time when
    /// P = Q. Every pair of an x and a y counts.
    #[default]
    Unbiased,
    /// The unbiased estimator that also leaves out n pairs (x,y), one for each point: a U-statistic in these pairs; needs
    /// n = m. Who is paired is drawn by a seed (see [`mmd2_paired`]), so the points may be sorted.
    UStatistic,
    /// The mean of k(x₁,x₂) + k(y₁,y₂) − k(x₁,y₂) − k(x₂,y₁) over disjoint pairs of x and of y: unbiased, and linear in
    /// the number of points, but far less accurate. It uses 2⌊min(n,m)/2⌋ points of each; which ones, and who is paired,
    /// is drawn by a seed, so the points may be sorted. Always in double precision. Gretton et al., §6.
    Linear,
}

named!(Estimator, "estimator": Biased = "biased", Unbiased = "unbiased", UStatistic = "u-statistic", Linear = "linear");

/// An estimate of MMD², as it came out: an unbiased one may be negative.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Estimate {
    /// MMD² itself, not its half and not its root.
    pub value: f64,
    /// Estimated standard deviation of `value` over new samples of the same sizes: see [`mmd2`] for when there is one.
    pub standard_error: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
    /// A lower and an upper bound of MMD², each of which holds at 95 % on its own; there where there is a standard error.
    /// They are not value ± 1.645 errors, since value and error are correlated: see `docs/mathematics.md`, section 3. For the
    /// biased estimator they are those of the unbiased one, so the value itself may lie above both.
    pub bounds: Option<[f64; 2]>,
    /// By how much `value` is too large on average, itself estimated without bias: that of the biased estimator of points
    /// without weights, from 2 of each on.
    pub bias: Option<f64>,
    /// How it was estimated.
    pub estimator: Estimator,
    /// The kernel, with its numbers.
    pub kernel: Kernel,
    /// Number of points x.
    pub n: usize,
    /// Number of points y.
    pub m: usize,
    /// The arithmetic that was used.
    pub precision: Precision,
}

/// The squared maximum mean discrepancy between the distributions of two samples.
///
/// *Weights*: the biased estimator with weights is ‖Σwᵢk(xᵢ,·) − Σvⱼk(yⱼ,·)‖² for weights of sum 1. The unbiased one
/// divides Σ_{i≠j} wᵢwⱼ k(xᵢ,xⱼ) by 1 − Σwᵢ², which is unbiased as long as the weights do not depend on the points; it
/// needs weights ≥ 0. The other two estimators have no weighted form.
///
/// *Standard error*: the square root of an unbiased estimate of the variance of the unbiased estimator,
///
/// Var = 4 Var f(X)/n + 4 Var f(Y)/m + 2 E k̃(X,X')²/(n(n−1)) + 2 E k̃(Y,Y')²/(m(m−1)) + 4 E k̃(X,Y)²/(nm),
///
/// with the witness f(z) = E k(X,z) − E k(Y,z) and the doubly centred kernel k̃. Where sampling noise makes that estimate
/// smaller than the variance would be for P = Q (the last three terms), the latter is taken, since the variance cannot be
/// below it: so it is somewhat too large when P = Q. The biased estimator is given that of the unbiased one, from which
/// it differs by a factor 1 + O(1/n), and the bounds of the unbiased value; the linear one that of a mean. There is none
/// with weights, none below 4 points on either side (the linear estimator: below 2 pairs), none where each sample is
/// one point many times, and none where few points make the estimate of the variance negative, rounding hides it or large
/// values make it overflow: [`Estimate::standard_error_missing`] says which.
///
/// *Shapes*: x (n, d), y (m, d); n and m are free.
///
/// # Errors
/// When dimensions differ, weights do not fit, the estimator cannot be used for these sizes or weights, or a sum
/// overflows.
pub fn mmd2<'a>(
    kernel: &Kernel,
    x: impl Into<Sample<'a>>,
    y: impl Into<Sample<'a>>,
    estimator: Estimator,
    precision: Precision,
) -> Result<Estimate> {
    mmd2_paired(kernel, x, y, estimator, precision, 0)
}

/// [`mmd2`] with a seed that draws who is paired, for the two estimators that pair points; that of [`mmd2`] is 0.
///
/// # Errors
/// As [`mmd2`].
pub fn mmd2_paired<'a>(
    kernel: &Kernel,
    x: impl Into<Sample<'a>>,
    y: impl Into<Sample<'a>>,
    estimator: Estimator,
    precision: Precision,
    seed: u64,
) -> Result<Estimate> {
    let (x, y) = (x.into(), y.into());
    let (n, m) = (x.points.len(), y.points.len());
    if estimator != Estimator::Biased && n.min(m) < 2 {
        return Err(Error::too_few("points", n.min(m), 2, format!("the {estimator} estimator")));
    }
    let (value, error, bounds, bias) = match (estimator, x.weights.or(y.weights)) {
        (Estimator::Linear, None) => return Ok(linear_terms(kernel, x.points, y.points, seed)?.0),
        (_, None) => {
            let found = unweighted(kernel, x.points, y.points, estimator, precision, seed)?;
            (found.value, found.standard_error, found.bounds, found.bias)
        }
        (Estimator::Biased | Estimator::Unbiased, Some(_)) => {
            let value = weighted(kernel, x, y, estimator == Estimator::Unbiased, precision)?;
            (value, Err(NoStandardError::Weights), None, None)
        }
        (_, Some(_)) => {
            let operation = format!("use the {estimator} estimator with weights");
            return Err(Error::unsupported(operation, "choose biased or unbiased"));
        }
    };
    check_value(value)?;
    let (standard_error, standard_error_missing) = standard_error::fields(error);
    let kernel = kernel.clone();
    Ok(Estimate { value, standard_error, standard_error_missing, bounds, bias, estimator, kernel, n, m, precision })
}

fn check_value(value: f64) -> Result<()> {
    match value.is_finite() {
        true => Ok(()),
        false => Err(Error::not_finite("squared MMD", value, "rescale the points, or use another kernel")),
    }
}

/// The kernel inception distance of two samples of features: unbiased MMD² with (⟨x,y⟩/d + 1)³, on all points.
///
/// Not multiplied by 100 and not square-rooted. Reference: Bińkowski et al., "Demystifying MMD GANs", ICLR 2018, §4.
///
/// # Errors
/// As [`mmd2`].
pub(crate) fn kid(x: PointsView, y: PointsView, precision: Precision) -> Result<Estimate> {
    mmd2(&Kernel::kid(x.dim())?, x, y, Estimator::Unbiased, precision)
}

/// The energy distance 2 E‖X−Y‖ − E‖X−X'‖ − E‖Y−Y'‖, which is MMD² with the kernel −‖x−y‖.
///
/// Reference: Székely, Rizzo, "Energy statistics", 2013; Sejdinovic et al., Annals of Statistics 2013.
///
/// # Errors
/// As [`mmd2`].
pub fn energy_distance<'a>(
    x: impl Into<Sample<'a>>,
    y: impl Into<Sample<'a>>,
    estimator: Estimator,
    precision: Precision,
) -> Result<Estimate> {
    mmd2(&Kernel::try_from(Form::Energy { a: 0.0 })?, x, y, estimator, precision)
}

/// What is found for points without weights.
struct Unweighted {
    value: f64,
    standard_error: StandardError,
    bounds: Option<[f64; 2]>,
    bias: Option<f64>,
}

fn unweighted(
    kernel: &Kernel,
    x: PointsView,
    y: PointsView,
    estimator: Estimator,
    precision: Precision,
    seed: u64,
) -> Result<Unweighted> {
    if estimator == Estimator::UStatistic && x.len() != y.len() {
        let field = Field::Count("points".into());
        return Err(Error::mismatch(field, x.len(), y.len(), "the u-statistic needs equal numbers"));
    }
    let differences = Differences::new(kernel, &[x, y]);
    let Marginals { origin, rounding, xx, yy, xy } = Marginals::new(&differences, x, y, precision)?;
    let (n, m) = (x.len() as f64, y.len() as f64);
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let value = match estimator {
        Estimator::Biased => {
            let xx = (sum(&xx.rows) + sum(&xx.diagonal)) / (n * n);
            let yy = (sum(&yy.rows) + sum(&yy.diagonal)) / (m * m);
            squared_norm(kernel, [xx, yy, -2.0 * sum(&xy.rows) / (n * m)], origin, precision)
        }
        Estimator::UStatistic => {
            let (left, right) = (shuffled(seed, "x", x.len()), shuffled(seed, "y", y.len()));
            let same: Vec<(usize, usize)> = left.into_iter().zip(right).collect();
            let same: f64 = sums::pairs_about(differences.about(), x, y, &same)?.iter().map(|k| k - origin).sum();
            (sum(&xx.rows) + sum(&yy.rows) - 2.0 * (sum(&xy.rows) - same)) / (n * (n - 1.0))
        }
        _ => unbiased(&xx, &yy, &xy),
    };
    let is_biased = estimator == Estimator::Biased;
    // The variance is about the unbiased estimate. The bias, of the order of the error where P = Q, would move the bounds.
    let centre = if is_biased { unbiased(&xx, &yy, &xy) } else { value };
    let bias = (is_biased && n.min(m) > 1.0).then_some(value - centre);
    let variance = match variance(x, y, &xx, &yy, &xy) {
        Ok(variance) => variance.of_rounded(rounding),
        Err(reason) => return Ok(Unweighted { value, standard_error: Err(reason), bounds: None, bias }),
    };
    let at = match estimator {
        Estimator::UStatistic => variance.of_u_statistic(n),
        _ => variance.at(n, m),
    };
    let bounds = variance.bounds(centre, at, n, m);
    Ok(Unweighted { value, standard_error: at.standard_error(), bounds, bias })
}

/// The unbiased MMD² of points without weights, with the parts of its variance.
pub(crate) fn unbiased_with_variance(
    kernel: &Kernel,
    x: PointsView,
    y: PointsView,
    precision: Precision,
) -> Result<(f64, std::result::Result<Variance, NoStandardError>)> {
    let Marginals { rounding, xx, yy, xy, .. } = Marginals::new(&Differences::new(kernel, &[x, y]), x, y, precision)?;
    Ok((unbiased(&xx, &yy, &xy), variance(x, y, &xx, &yy, &xy).map(|variance| variance.of_rounded(rounding))))
}

/// The marginal sums of the three Gram matrices, all minus the same origin.
struct Marginals {
    origin: f64,
    /// A bound of the rounding error of one value of the kernel, where it counts: a polynomial of a higher degree is taken about
    /// the origin, however far away the points are.
    rounding: f64,
    xx: sums::WithinMarginals,
    yy: sums::WithinMarginals,
    xy: sums::CrossMarginals,
}

impl Marginals {
    fn new(differences: &Differences, x: PointsView, y: PointsView, precision: Precision) -> Result<Self> {
        let about = differences.about();
        let origin = typical_value(about, x, y, precision)?;
        let epsilon = if precision == Precision::F32 { f64::from(f32::EPSILON) } else { f64::EPSILON };
        let is_about_0 = about.kernel.terms().iter().any(|(_, form)| form.degree().is_some_and(|degree| degree > 1));
        Ok(Self {
            origin,
            rounding: if is_about_0 { 8.0 * epsilon * origin.abs() } else { 0.0 },
            xx: sums::within_marginals(about, x, origin, precision)?,
            yy: sums::within_marginals(about, y, origin, precision)?,
            xy: sums::cross_marginals(about, x, y, origin, precision)?,
        })
    }
}

/// The parts of the variance, unless there is nothing that scatters: what rounding leaves of that may be above its bound.
fn variance(
    x: PointsView,
    y: PointsView,
    xx: &sums::WithinMarginals,
    yy: &sums::WithinMarginals,
    xy: &sums::CrossMarginals,
) -> std::result::Result<Variance, NoStandardError> {
    match x.coincide() && y.coincide() {
        true => Err(NoStandardError::Coincide),
        false => Variance::estimate(xx, yy, xy),
    }
}

fn unbiased(xx: &sums::WithinMarginals, yy: &sums::WithinMarginals, xy: &sums::CrossMarginals) -> f64 {
    let (n, m) = (xx.rows.len() as f64, yy.rows.len() as f64);
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    sum(&xx.rows) / (n * (n - 1.0)) + sum(&yy.rows) / (m * (m - 1.0)) - 2.0 * sum(&xy.rows) / (n * m)
}

/// xx + yy + cross of values minus an origin, where exactly it would be ‖μ−ν‖²: what is below 0 by no more than rounding is 0.
pub(crate) fn squared_norm(kernel: &Kernel, [xx, yy, cross]: [f64; 3], origin: f64, precision: Precision) -> f64 {
    let sum = xx + yy + cross;
    // The value of `energy` is a difference of its own.
    let constant = |(weight, form): &(f64, Form)| if let Form::Energy { a } = form { weight * a } else { 0.0 };
    let constants: f64 = kernel.terms().iter().map(constant).sum();
    let size = xx.abs() + yy.abs() + cross.abs() + origin.abs() + constants;
    if sum < 0.0 && sum >= -precision.bound() * size { 0.0 } else { sum }
}

/// A median of k(x,y), from a few points: MMD² is the same for k and k − constant, but small differences of large sums are
/// not.
fn typical_value(about: About, x: PointsView, y: PointsView, precision: Precision) -> Result<f64> {
    const FEW: usize = 64;
    let (n, m) = (x.len(), y.len());
    let some: Vec<(usize, usize)> = (0..FEW).map(|i| (i * n / FEW, i * m / FEW)).collect();
    let median = *sums::pairs_about(about, x, y, &some)?.select_nth_unstable_by(FEW / 2, f64::total_cmp).1;
    Ok(precision.round(median))
}

/// The places 0 to n − 1 in an order that has nothing to do with that of the points of `sample`, or of another sample.
///
/// The pairs of a U-statistic are independent draws. Points as they come need not be: those of an embedding are sorted,
/// those of a folder ordered by class.
fn shuffled(seed: u64, sample: &str, n: usize) -> Vec<usize> {
    rng::choose(&mut rng::stream(seed, &format!("pairing of {sample}"), n as u64), n, n)
}

fn weighted(kernel: &Kernel, x: Sample, y: Sample, unbiased: bool, precision: Precision) -> Result<f64> {
    let (w, v) = (x.normalised_weights()?, y.normalised_weights()?);
    for given in [x.weights, y.weights].into_iter().flatten().filter(|_| unbiased) {
        if let Some(i) = given.iter().position(|w| *w < 0.0) {
            let allowed = "at least 0 for the unbiased estimator; the biased one takes negative weights";
            return Err(Error::parameter(format!("weights[{i}]"), given[i], allowed));
        }
        let positive = given.iter().filter(|w| **w > 0.0).count();
        if positive < 2 {
            return Err(Error::too_few("positive weights", positive, 2, "the unbiased estimator"));
        }
    }
    let differences = Differences::new(kernel, &[x.points, y.points]);
    let about = differences.about();
    let typical = typical_value(about, x.points, y.points, precision)?;
    let origin = Some(typical);
    let within = |points: PointsView, weights: &[f64]| -> Result<f64> {
        let sums = sums::within_minus(about, points, Some(weights), origin, precision)?;
        if !unbiased {
            return Ok(sums.off_diagonal + sums.diagonal);
        }
        let squares = weights.iter().map(|w| w * w).sum::<f64>();
        let pairs = 1.0 - squares;
        if pairs <= f64::EPSILON {
            return Err(Error::too_few("weights that count", 1, 2, "the unbiased estimator"));
        }
        // k(x,y) + f(x) + f(y) has another estimate than k if weights differ: pairs count xᵢ more or less than the cross term.
        let extra: Vec<f64> = weights.iter().map(|w| w * (squares - w) / pairs).collect();
        Ok(sums.off_diagonal / pairs + 2.0 * differences.left_out(points, &extra))
    };
    let cross = -2.0 * sums::cross_minus(about, x.points, Some(&w), y.points, Some(&v), origin, precision)?;
    let (xx, yy) = (within(x.points, &w)?, within(y.points, &v)?);
    Ok(if unbiased { xx + yy + cross } else { squared_norm(kernel, [xx, yy, cross], typical, precision) })
}

/// The linear estimate and its terms, whose mean it is.
pub(crate) fn linear_terms(kernel: &Kernel, x: PointsView, y: PointsView, seed: u64) -> Result<(Estimate, Vec<f64>)> {
    let count = x.len().min(y.len()) / 2;
    let (a, b) = (shuffled(seed, "x", x.len()), shuffled(seed, "y", y.len()));
    let pairs = |left: &[usize], i: usize, right: &[usize], j: usize| -> Vec<(usize, usize)> {
        (0..count).map(|p| (left[2 * p + i], right[2 * p + j])).collect()
    };
    let differences = Differences::new(kernel, &[x, y]);
    let about = differences.about();
    let xx = sums::pairs_about(about, x, x, &pairs(&a, 0, &a, 1))?;
    let yy = sums::pairs_about(about, y, y, &pairs(&b, 0, &b, 1))?;
    let xy = sums::pairs_about(about, x, y, &pairs(&a, 0, &b, 1))?;
    let yx = sums::pairs_about(about, x, y, &pairs(&a, 1, &b, 0))?;
    let terms: Vec<f64> = (0..count).map(|p| xx[p] + yy[p] - xy[p] - yx[p]).collect();
    let value = terms.iter().sum::<f64>() / count as f64;
    check_value(value)?;
    let squares: f64 = terms.iter().map(|t| (t - value).powi(2)).sum();
    let error = (squares / (count as f64 * (count as f64 - 1.0))).sqrt();
    // Of equal terms the mean is off by rounding, which is no scatter.
    let rounding = 4.0 * f64::EPSILON * terms.iter().fold(0.0_f64, |m, t| m.max(t.abs()));
    let error = match error {
        _ if count < 2 => Err(NoStandardError::FewPairs),
        error if !error.is_finite() => Err(NoStandardError::Overflow),
        error if error <= rounding => Err(NoStandardError::Alike),
        error => Ok(error),
    };
    let (standard_error, standard_error_missing) = standard_error::fields(error);
    let margin = standard_error.map(|error| error * variance::quantile(count as f64 - 1.0));
    let estimate = Estimate {
        value,
        standard_error,
        standard_error_missing,
        bounds: margin.map(|margin| [value - margin, value + margin]),
        bias: None,
        estimator: Estimator::Linear,
        kernel: kernel.clone(),
        n: x.len(),
        m: y.len(),
        precision: Precision::F64,
    };
    Ok((estimate, terms))
}
