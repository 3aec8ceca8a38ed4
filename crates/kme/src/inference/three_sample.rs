//! The relative three-sample test: is a candidate nearer to the reference than another?

use super::{Outcome, typical_value};
use crate::kernel::Kernel;
use crate::points::Points;
use crate::sums::{self, Precision};
use crate::{Error, Result};

/// The floor of the estimated variance that does no harm to features of ordinary size.
///
/// A floor of 1e-5, as in the published code of MMD GANs, hides differences of MMD² below 0.004 at p = 0.1.
pub const DEFAULT_FLOOR: f64 = 1e-10;

/// All that the test needs of a candidate's sample and the reference: O(n + m) numbers, no points.
///
/// Those of past candidates can be kept, and compared later with a new one for the same reference.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Marginals {
    kernel: Kernel,
    /// Subtracted from every kernel value; the same for all candidates.
    origin: f64,
    /// Σ_{j'≠j} k(yⱼ,yⱼ'), shape (m).
    own_rows: Vec<f64>,
    /// Σ_{j≠j'} k(yⱼ,yⱼ')²
    own_squares: f64,
    /// Σⱼ k(xᵢ,yⱼ), shape (n).
    reference_rows: Vec<f64>,
    /// Σᵢ k(xᵢ,yⱼ), shape (m).
    own_columns: Vec<f64>,
    /// Σᵢⱼ k(xᵢ,yⱼ)²
    cross_squares: f64,
}

impl Marginals {
    /// The sums of the candidate `y` beside the `reference` x.
    ///
    /// *Shapes*: x (n, d), y (m, d), n and m at least 3.
    ///
    /// # Errors
    /// When dimensions differ, there are fewer than 3 points of either, or a sum (or sum of squares) overflows.
    pub fn new(kernel: &Kernel, reference: &Points, y: &Points, precision: Precision) -> Result<Self> {
        let least = reference.len().min(y.len());
        if least < 3 {
            return Err(Error::value("number of points", least, "at least 3 of each sample for the three-sample test"));
        }
        // It depends on the reference alone, so that candidates can be compared.
        let origin = typical_value(kernel, reference)?;
        let own = sums::within_marginals(kernel, y, origin, precision)?;
        let cross = sums::cross_marginals(kernel, reference, y, origin, precision)?;
        if !(own.squares.is_finite() && cross.squares.is_finite()) {
            let allowed = "finite sums of squares; the points are too large for this kernel, rescale them";
            return Err(Error::value(format!("squares of the kernel {kernel}"), "infinite", allowed));
        }
        Ok(Self {
            kernel: kernel.clone(),
            origin,
            own_rows: own.rows,
            own_squares: own.squares,
            reference_rows: cross.rows,
            own_columns: cross.columns,
            cross_squares: cross.squares,
        })
    }

    /// Number of points of the reference.
    pub fn n(&self) -> usize {
        self.reference_rows.len()
    }

    /// Number of points of the candidate.
    pub fn m(&self) -> usize {
        self.own_rows.len()
    }

    /// The kernel that was summed.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    fn moments(&self) -> Moments {
        let (n, m) = (self.n() as f64, self.m() as f64);
        let pairs = m * (m - 1.0);
        let columns2 = dot(&self.own_columns, &self.own_columns);
        let rows2 = dot(&self.reference_rows, &self.reference_rows);
        Moments {
            own: sum(&self.own_rows) / pairs,
            cross: sum(&self.reference_rows) / (n * m),
            own_square: self.own_squares / pairs,
            cross_square: self.cross_squares / (n * m),
            own_chain: (dot(&self.own_rows, &self.own_rows) - self.own_squares) / (pairs * (m - 2.0)),
            at_own: (columns2 - self.cross_squares) / (m * n * (n - 1.0)),
            at_reference: (rows2 - self.cross_squares) / (n * m * (m - 1.0)),
            bridge: dot(&self.own_rows, &self.own_columns) / (pairs * n),
        }
    }
}

/// Averages of kernel values over distinct points, for a candidate Y and the reference X; μ_Y(z) = E k(z,Y).
struct Moments {
    /// E k(Y,Y')
    own: f64,
    /// E k(X,Y)
    cross: f64,
    /// E k(Y,Y')²
    own_square: f64,
    /// E k(X,Y)²
    cross_square: f64,
    /// E μ_Y(Y)²
    own_chain: f64,
    /// E μ_X(Y)²
    at_own: f64,
    /// E μ_Y(X)²
    at_reference: f64,
    /// E μ_Y(Y)μ_X(Y)
    bridge: f64,
}

impl Moments {
    /// Var (μ_Y − μ_X)(Y)
    fn of_own_witness(&self) -> f64 {
        let (own, cross) = (self.own_chain - self.own.powi(2), self.at_own - self.cross.powi(2));
        own + cross - 2.0 * (self.bridge - self.own * self.cross)
    }

    /// Var μ_Y(X)
    fn of_reference(&self) -> f64 {
        self.at_reference - self.cross.powi(2)
    }

    /// E k̃(Y,Y')², k̃ the doubly centred kernel.
    fn own_degenerate(&self) -> f64 {
        self.own_square - 2.0 * self.own_chain + self.own.powi(2)
    }

    /// E k̃(X,Y)²
    fn cross_degenerate(&self) -> f64 {
        self.cross_square - self.at_own - self.at_reference + self.cross.powi(2)
    }
}

/// Result of [`three_sample`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ThreeSample {
    /// Its statistic is the difference over its standard error; p is small when Y is nearer to X.
    pub outcome: Outcome,
    /// MMD²(X,Y) − MMD²(X,Z), unbiased: negative when Y is nearer.
    pub difference: f64,
    /// The root of the estimated variance of the difference, with its floor.
    pub standard_error: f64,
    /// The variance as it was estimated, which may be negative.
    pub variance: f64,
}

/// Tests whether the candidate Y is nearer to the reference X than Z is: H₀ is MMD(X,Y) ≥ MMD(X,Z).
///
/// T = [MMD²_u(X,Y) − MMD²_u(X,Z)]/√V = [μ_yy − 2μ_xy − μ_zz + 2μ_xz]/√V, p = Φ(T): small p means that Y is nearer. V
/// is the variance of the difference, by Hoeffding's decomposition
///
/// V = 4 Var(μ_Y − μ_X)(Y)/m + 4 Var(μ_Z − μ_X)(Z)/l + 4 Var(μ_Y − μ_Z)(X)/n
///   + 2 E k̃(Y,Y')²/(m(m−1)) + 2 E k̃(Z,Z')²/(l(l−1)) + 4 E k̃(X,Y)²/(nm) + 4 E k̃(X,Z)²/(nl),
///
/// whose parts are estimated by averages over distinct points and squares of means. For n = m = l the last two are
/// divided by m(m−1) instead of nm, and V is the published estimate 4(m−2)/(m(m−1))·ζ₁ + 2/(m(m−1))·ζ₂, from which the
/// rule for learning rates of MMD GANs was made. `floor` is the least variance that counts, [`DEFAULT_FLOOR`] for
/// example.
///
/// *Shapes*: x (n, d), y (m, d), z (l, d); all three are free.
///
/// # Errors
/// When the two were summed with other kernels or another reference, or the floor is not positive.
///
/// # Reference
/// Bounliphone, Belilovsky, Blaschko, Antonoglou, Gretton, "A test of relative similarity for model selection in
/// generative models", ICLR 2016; Sutherland et al., ICLR 2017, appendix A; Bińkowski et al., "Demystifying MMD GANs",
/// ICLR 2018, §4.
pub fn three_sample(y: &Marginals, z: &Marginals, floor: f64) -> Result<ThreeSample> {
    if y.kernel != z.kernel {
        return Err(Error::mismatch("kernel", &y.kernel, &z.kernel, "sum both candidates with the same kernel"));
    }
    if y.n() != z.n() || y.origin.to_bits() != z.origin.to_bits() {
        let of = |s: &Marginals| format!("{} points with a typical value of {}", s.n(), s.origin);
        return Err(Error::mismatch("reference", of(y), of(z), "sum both candidates with the same reference"));
    }
    if !(floor.is_finite() && floor > 0.0) {
        return Err(Error::value("floor of the variance", floor, "a number > 0, such as 1e-10"));
    }
    let (n, m, l) = (y.n() as f64, y.m() as f64, z.m() as f64);
    let (own, other) = (y.moments(), z.moments());
    let difference = own.own - 2.0 * own.cross - other.own + 2.0 * other.cross;
    let both = dot(&y.reference_rows, &z.reference_rows) / (n * m * l);
    let at_reference = own.of_reference() + other.of_reference() - 2.0 * (both - own.cross * other.cross);
    let cross_pairs = |size: f64| if n == m && m == l { size * (size - 1.0) } else { n * size };
    let variance = 4.0 * own.of_own_witness() / m
        + 4.0 * other.of_own_witness() / l
        + 4.0 * at_reference / n
        + 2.0 * own.own_degenerate() / (m * (m - 1.0))
        + 2.0 * other.own_degenerate() / (l * (l - 1.0))
        + 4.0 * own.cross_degenerate() / cross_pairs(m)
        + 4.0 * other.cross_degenerate() / cross_pairs(l);
    if !(variance.is_finite() && difference.is_finite()) {
        let allowed = "a finite number; the points are too large for this kernel, rescale them";
        return Err(Error::value("variance of the difference", variance, allowed));
    }
    let standard_error = variance.max(floor).sqrt();
    Ok(ThreeSample { outcome: Outcome::lower_tail(difference / standard_error), difference, standard_error, variance })
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
