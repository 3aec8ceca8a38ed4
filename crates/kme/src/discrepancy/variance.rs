//! The variance of the unbiased estimator of MMD².

use crate::arith::{dot, sum};
use crate::standard_error::{NoStandardError, StandardError};
use crate::sums::{CrossMarginals, WithinMarginals};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The parts of the variance of the unbiased MMD², each estimated without bias.
///
/// With the witness f(z) = E k(X,z) − E k(Y,z) and the doubly centred kernel k̃(x,y) = k(x,y) − E k(x,Y) − E k(X,y) +
/// E k(X,Y) (likewise within P and within Q), Hoeffding's decomposition of a two-sample U-statistic gives exactly
///
/// Var = 4 Var f(X)/n + 4 Var f(Y)/m + 2 E k̃(X,X')²/(n(n−1)) + 2 E k̃(Y,Y')²/(m(m−1)) + 4 E k̃(X,Y)²/(nm),
///
/// since the five parts are uncorrelated. Each is estimated by averages over distinct points, so that the sum is
/// unbiased as well; as a difference of averages it may be negative. For n = m it agrees with the estimator of
/// Sutherland et al., "Generative models and model criticism via optimized MMD", ICLR 2017, appendix A, to first order
/// (which takes squares of means where this takes means over distinct points).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Variance {
    /// Var f(X)
    witness_x: f64,
    /// Var f(Y)
    witness_y: f64,
    /// E k̃(X,X')²
    within_x: f64,
    /// E k̃(Y,Y')²
    within_y: f64,
    /// E k̃(X,Y)²
    cross: f64,
    /// Mean k(·,·)² times the rounding error of a sum: parts that should be 0 are that large.
    rounding: f64,
    /// The rounding error of one k(·,·), where nothing is left out that cancels.
    of_one_value: f64,
}

/// The variance of an estimate for given numbers of points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct VarianceAt {
    /// The estimated variance, which may be negative.
    pub value: f64,
    /// The part that remains when P = Q, where the witness vanishes: no variance is smaller.
    pub least: f64,
    /// What rounding makes of a variance of 0.
    pub rounding: f64,
}

impl VarianceAt {
    /// √max(value, least); none when overflow made either no number, when neither is above rounding, or when neither is
    /// positive, as may happen by chance for few points.
    pub(crate) fn standard_error(&self) -> StandardError {
        let largest = if self.value > self.least { self.value } else { self.least };
        match (self.value + self.least).is_finite() {
            false => Err(NoStandardError::Overflow),
            true if largest > self.rounding => Ok(largest.sqrt()),
            true if self.value < -self.rounding => Err(NoStandardError::Chance),
            true => Err(NoStandardError::Rounding),
        }
    }
}

impl Variance {
    /// The parts, from the marginal sums of K_xx, K_yy and K_xy (all minus the same origin); needs 4 points of each.
    pub(crate) fn estimate(
        xx: &WithinMarginals,
        yy: &WithinMarginals,
        xy: &CrossMarginals,
    ) -> Result<Self, NoStandardError> {
        if xx.rows.len().min(yy.rows.len()) < 4 {
            return Err(NoStandardError::FewPoints);
        }
        let c2 = mean_of_disjoint_products(xy);
        let side = |own: &WithinMarginals, to_other: &[f64], across: f64, to_own: &[f64]| {
            let (n, m) = (own.rows.len() as f64, to_own.len() as f64);
            let (a, c) = (sum(&own.rows), sum(to_other));
            let (rows2, cross2) = (dot(&own.rows, &own.rows), dot(to_other, to_other));
            let mixed = dot(&own.rows, to_other);
            let pairs = n * (n - 1.0);
            // E k(X,X')², E k(X,X')k(X,X''), (E k(X,X'))²
            let square = own.squares / pairs;
            let chain = (rows2 - own.squares) / (pairs * (n - 2.0));
            let product = (a * a - 4.0 * rows2 + 2.0 * own.squares) / (pairs * (n - 2.0) * (n - 3.0));
            // E k(X,Y)k(X,Y'), E k(X,X')k(X,Y), E k(X,X')·E k(X,Y)
            let fork = (cross2 - across) / (n * m * (m - 1.0));
            let bridge = mixed / (pairs * m);
            let mixed_product = (a * c - 2.0 * mixed) / (pairs * (n - 2.0) * m);
            let witness = chain + fork - 2.0 * bridge - (product + c2 - 2.0 * mixed_product);
            (witness, square - 2.0 * chain + product, fork)
        };
        let (witness_x, within_x, fork_x) = side(xx, &xy.rows, xy.squares, &xy.columns);
        let (witness_y, within_y, fork_y) = side(yy, &xy.columns, xy.squares, &xy.rows);
        let square = xy.squares / (xy.rows.len() * xy.columns.len()) as f64;
        let squares = |own: &WithinMarginals| own.squares / (own.rows.len() * own.rows.len()) as f64;
        let rounding = 16.0 * f64::EPSILON * square.max(squares(xx)).max(squares(yy));
        let cross = square - fork_x - fork_y + c2;
        Ok(Self { witness_x, witness_y, within_x, within_y, cross, rounding, of_one_value: 0.0 })
    }

    /// The same for kernel values each of which has this rounding error, whatever was subtracted from it.
    pub(crate) fn of_rounded(self, of_one_value: f64) -> Self {
        Self { of_one_value, ..self }
    }

    /// The mean of several estimates of the same parts, of those that there are; where there are none, why.
    pub(crate) fn mean(estimates: &[Result<Self, NoStandardError>]) -> Result<Self, NoStandardError> {
        let found: Vec<Self> = estimates.iter().filter_map(|estimate| estimate.ok()).collect();
        if let ([], Some(Err(reason))) = (found.as_slice(), estimates.first()) {
            return Err(*reason);
        }
        let mean = |part: fn(&Self) -> f64| found.iter().map(part).sum::<f64>() / found.len() as f64;
        Ok(Self {
            witness_x: mean(|v| v.witness_x),
            witness_y: mean(|v| v.witness_y),
            within_x: mean(|v| v.within_x),
            within_y: mean(|v| v.within_y),
            cross: mean(|v| v.cross),
            rounding: mean(|v| v.rounding),
            of_one_value: mean(|v| v.of_one_value),
        })
    }

    /// The variance of the unbiased estimator for samples of n and m points.
    pub(crate) fn at(&self, n: f64, m: f64) -> VarianceAt {
        self.sum(n, m, n * m)
    }

    /// The variance of the U-statistic in n pairs (xᵢ,yᵢ), x and y independent.
    pub(crate) fn of_u_statistic(&self, n: f64) -> VarianceAt {
        self.sum(n, n, n * (n - 1.0))
    }

    fn sum(&self, n: f64, m: f64, cross_pairs: f64) -> VarianceAt {
        let (x, y) = (self.within_x.max(0.0), self.within_y.max(0.0));
        let degenerate =
            |x: f64, y: f64, xy: f64| 2.0 * x / (n * (n - 1.0)) + 2.0 * y / (m * (m - 1.0)) + 4.0 * xy / cross_pairs;
        VarianceAt {
            value: 4.0 * self.witness_x / n
                + 4.0 * self.witness_y / m
                + degenerate(self.within_x, self.within_y, self.cross),
            least: degenerate(x, y, self.cross.max(0.0)),
            rounding: self.rounding * (4.0 / n + 4.0 / m) + self.of_one_value.powi(2) * (1.0 / n + 1.0 / m),
        }
    }
}

impl Variance {
    /// Bounds of MMD² from an estimate and its variance for n and m points, each of which holds at 95 % on its own; none
    /// where there is no standard error.
    ///
    /// *Below*: when chance brings two samples near to each other, the witness comes out small, and with it the estimated
    /// variance: value − 1.645 errors is safe, but value + 1.645 errors is too small in one of ten cases. So the upper bound
    /// is the largest U whose own variance makes the value an ordinary one, U − value ≤ t·√V(U). In V(U) the witness has the
    /// amplitude that belongs to U and the shape that was found: its variance grows as MMD² does, and is at most MMD²·λ, λ
    /// ≤ √E k̃² being the largest eigenvalue of the covariance in feature space.
    ///
    /// *Above*: where P = Q the estimate is a sum of centred χ², whose 95 % quantile is 2.01 deviations or less.
    ///
    /// t is the quantile of Student's law with Welch's degrees of freedom of the two parts that have a witness.
    pub(crate) fn bounds(&self, value: f64, at: VarianceAt, n: f64, m: f64) -> Option<[f64; 2]> {
        /// The 95 % quantile of (χ²₁ − 1)/√2.
        const DEGENERATE: f64 = 2.01;
        let total = at.standard_error().ok()?.powi(2);
        let parts = [4.0 * self.witness_x.max(0.0) / n, 4.0 * self.witness_y.max(0.0) / m];
        let linear = parts[0] + parts[1];
        let t = quantile(total * total / (parts[0].powi(2) / (n - 1.0) + parts[1].powi(2) / (m - 1.0)));
        let most = 4.0 * self.within_x.max(0.0).sqrt() / n + 4.0 * self.within_y.max(0.0).sqrt() / m;
        let rate = if value > 0.0 { most.min(linear / value) } else { most };
        let least = at.least.min(total);
        // (U − value)² = t²·(total − linear + rate·U)
        let half = value + t * t * rate / 2.0;
        let root = (half * half - value * value + t * t * (total - linear)).max(0.0).sqrt();
        let upper = (half + root).max(value + t * total.sqrt());
        let lower = value - (t * t * (total - least) + DEGENERATE * DEGENERATE * least).sqrt();
        (lower.is_finite() && upper.is_finite()).then_some([lower, upper])
    }
}

/// The 95 % quantile of Student's law.
pub(crate) fn quantile(freedom: f64) -> f64 {
    const NORMAL: f64 = 1.644_853_626_951_472_7;
    match freedom < 1e6 {
        true => StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(NORMAL, |law| law.inverse_cdf(0.95)),
        false => NORMAL,
    }
}

/// An unbiased estimate of (E k(X,Y))²: the mean of k(x,y)k(x',y') with x ≠ x' and y ≠ y'.
fn mean_of_disjoint_products(xy: &CrossMarginals) -> f64 {
    let (n, m) = (xy.rows.len() as f64, xy.columns.len() as f64);
    let c = sum(&xy.rows);
    let sums = c * c - dot(&xy.rows, &xy.rows) - dot(&xy.columns, &xy.columns) + xy.squares;
    sums / (n * (n - 1.0) * m * (m - 1.0))
}
