//! What the three-sample test needs of a candidate: sums over its points, and the averages that they give.

use super::typical_value;
use crate::arith::{dot, sum};
use crate::kernel::Kernel;
use crate::points::PointsView;
use crate::sums::{self, Differences, Precision};
use crate::{Error, Field, Result};

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
    /// *Shapes*: x (n, d), y (m, d), n and m at least 4.
    ///
    /// # Errors
    /// When dimensions differ, there are fewer than 4 points of either, or a sum (or sum of squares) overflows.
    pub fn new<'a>(
        kernel: &Kernel,
        reference: impl Into<PointsView<'a>>,
        y: impl Into<PointsView<'a>>,
        precision: Precision,
    ) -> Result<Self> {
        Self::of_views(kernel, reference.into(), y.into(), precision)
    }

    fn of_views(kernel: &Kernel, reference: PointsView, y: PointsView, precision: Precision) -> Result<Self> {
        let least = reference.len().min(y.len());
        if least < 4 {
            return Err(Error::too_few("points", least, 4, "the three-sample test"));
        }
        // It depends on the reference alone, so that candidates can be compared.
        let differences = Differences::new(kernel, &[reference]);
        let about = differences.about();
        let origin = typical_value(about, reference)?;
        let own = sums::within_marginals(about, y, origin, precision)?;
        let cross = sums::cross_marginals(about, reference, y, origin, precision)?;
        if let Some(given) = [own.squares, cross.squares].into_iter().find(|x| !x.is_finite()) {
            let remedy = "the points are too large for this kernel, rescale them";
            return Err(Error::not_finite(format!("sum of squares of the kernel {kernel}"), given, remedy));
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

    /// Subtracted from every kernel value.
    pub(super) fn origin(&self) -> f64 {
        self.origin
    }

    /// Σᵢ k(xᵢ,yⱼ), shape (m).
    pub(super) fn columns(&self) -> &[f64] {
        &self.own_columns
    }

    /// What a point of Y adds to MMD²_u(X,Y)/2 beside the mean, to first order: μ_Y − μ_X at it, centred; shape (m).
    pub(super) fn influences(&self) -> Vec<f64> {
        let (n, m) = (self.n() as f64, self.m() as f64);
        centred(self.own_rows.iter().zip(&self.own_columns).map(|(own, to)| own / (m - 1.0) - to / n).collect())
    }

    /// (μ_Z − μ_Y)(X) with Z the other candidate, centred; shape (n).
    pub(super) fn influences_of_reference(&self, other: &Self) -> Vec<f64> {
        let (m, l) = (self.m() as f64, other.m() as f64);
        centred(self.reference_rows.iter().zip(&other.reference_rows).map(|(y, z)| z / l - y / m).collect())
    }

    /// Σ_{j≠j'} wⱼwⱼ' k̃(yⱼ,yⱼ') with k̃ the doubly centred kernel, from the same sum of k and weights whose sum is 0.
    pub(super) fn doubly_centred(&self, of_kernel: f64, w: &[f64]) -> f64 {
        let (m, squares) = (self.m() as f64, dot(w, w));
        let at_points: f64 = w.iter().zip(&self.own_rows).map(|(w, row)| w * w * row).sum::<f64>() / (m - 1.0);
        of_kernel + 2.0 * at_points - squares * sum(&self.own_rows) / (m * (m - 1.0))
    }

    /// Whether two candidates were summed with the same kernel beside the same reference.
    ///
    /// # Errors
    /// When they were not.
    pub(super) fn check_same_reference(&self, other: &Self) -> Result<()> {
        if self.kernel != other.kernel {
            let remedy = "sum both candidates with the same kernel";
            return Err(Error::mismatch(Field::Kernel, &self.kernel, &other.kernel, remedy));
        }
        if self.n() != other.n() || self.origin.to_bits() != other.origin.to_bits() {
            let of = |s: &Self| format!("{} points with a typical value of {}", s.n(), s.origin);
            let remedy = "sum both candidates with the same reference";
            return Err(Error::mismatch("reference", of(self), of(other), remedy));
        }
        Ok(())
    }

    /// (E μ_Y(X)μ_Z(X), E μ_Y(X)·E μ_Z(X)), each an average over distinct points.
    pub(super) fn at_reference_with(&self, other: &Self) -> (f64, f64) {
        let (n, m, l) = (self.n() as f64, self.m() as f64, other.m() as f64);
        let both = dot(&self.reference_rows, &other.reference_rows);
        let product = sum(&self.reference_rows) * sum(&other.reference_rows) - both;
        (both / (n * m * l), product / (n * (n - 1.0) * m * l))
    }

    pub(super) fn moments(&self) -> Moments {
        let (n, m) = (self.n() as f64, self.m() as f64);
        let pairs = m * (m - 1.0);
        let (own, cross) = (sum(&self.own_rows), sum(&self.reference_rows));
        let own2 = dot(&self.own_rows, &self.own_rows);
        let columns2 = dot(&self.own_columns, &self.own_columns);
        let rows2 = dot(&self.reference_rows, &self.reference_rows);
        let bridge = dot(&self.own_rows, &self.own_columns);
        let own_product = own * own - 4.0 * own2 + 2.0 * self.own_squares;
        let cross_product = cross * cross - rows2 - columns2 + self.cross_squares;
        Moments {
            own: own / pairs,
            cross: cross / (n * m),
            own_square: self.own_squares / pairs,
            cross_square: self.cross_squares / (n * m),
            own_chain: (own2 - self.own_squares) / (pairs * (m - 2.0)),
            at_own: (columns2 - self.cross_squares) / (m * n * (n - 1.0)),
            at_reference: (rows2 - self.cross_squares) / (n * m * (m - 1.0)),
            bridge: bridge / (pairs * n),
            own_product: own_product / (pairs * (m - 2.0) * (m - 3.0)),
            cross_product: cross_product / (n * (n - 1.0) * pairs),
            mixed_product: (own * cross - 2.0 * bridge) / (pairs * (m - 2.0) * n),
        }
    }
}

/// Averages of kernel values over distinct points, for a candidate Y and the reference X; μ_Y(z) = E k(z,Y). Each is
/// unbiased, products of means included.
pub(super) struct Moments {
    /// E k(Y,Y')
    pub own: f64,
    /// E k(X,Y)
    pub cross: f64,
    /// E k(Y,Y')²
    pub own_square: f64,
    /// E k(X,Y)²
    pub cross_square: f64,
    /// E μ_Y(Y)²
    own_chain: f64,
    /// E μ_X(Y)²
    at_own: f64,
    /// E μ_Y(X)²
    pub at_reference: f64,
    /// E μ_Y(Y)μ_X(Y)
    bridge: f64,
    /// (E k(Y,Y'))²
    own_product: f64,
    /// (E k(X,Y))²
    pub cross_product: f64,
    /// E k(Y,Y')·E k(X,Y)
    mixed_product: f64,
}

impl Moments {
    /// Var (μ_Y − μ_X)(Y)
    pub(super) fn of_own_witness(&self) -> f64 {
        let mean2 = self.own_product + self.cross_product - 2.0 * self.mixed_product;
        self.own_chain + self.at_own - 2.0 * self.bridge - mean2
    }

    /// E k̃(Y,Y')², k̃ the doubly centred kernel.
    pub(super) fn own_degenerate(&self) -> f64 {
        self.own_square - 2.0 * self.own_chain + self.own_product
    }

    /// E k̃(X,Y)²
    pub(super) fn cross_degenerate(&self) -> f64 {
        self.cross_square - self.at_own - self.at_reference + self.cross_product
    }
}

fn centred(mut values: Vec<f64>) -> Vec<f64> {
    let mean = sum(&values) / values.len() as f64;
    values.iter_mut().for_each(|value| *value -= mean);
    values
}
