//! The Fréchet inception distance, with its bias and its standard error.

use super::matrix::Matrix;
use super::statistics::{Statistics, check_count};
use crate::points::PointsView;
use crate::standard_error::{self, NoStandardError};
use crate::sums::{Panel, mean};
use crate::{Error, Field, Result};
use rayon::prelude::*;

/// A normal law fitted to a sample: what the distance needs of it, computed once for any number of distances.
pub struct Fitted<'a> {
    mean: Vec<f64>,
    /// F with FᵀF = S: the centred points over √(n−1) when there are no more of them than dimensions, else by a factorisation of S.
    factor: Matrix,
    /// tr S
    trace: f64,
    points: Option<PointsView<'a>>,
    /// Number of points, if it is known.
    count: Option<u64>,
}

/// What rounding leaves of a distance of 0 is no more than this part of tr S + tr T + Σ max σ.
const ROUNDING: f64 = 8.0 * f64::EPSILON;

/// A Fréchet distance between the normal laws fitted to two samples.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Fid {
    /// ‖x̄−ȳ‖² + tr S + tr T − 2 tr (ST)^½; the square, as is usual. What is no more than rounding of these terms is 0.
    pub value: f64,
    /// Estimated standard deviation of `value` over new samples of the same sizes. It says nothing of the bias.
    pub standard_error: Option<f64>,
    /// Why there is no standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
    /// By how much `value` is too large on average, to second order in 1/n and 1/m. The truth is at least about that: see
    /// [`Fitted::distance`].
    pub bias: Option<f64>,
    /// Number of points of the reference; none for statistics that do not tell it.
    pub n: Option<usize>,
    /// Number of points of the candidate; none for statistics that do not tell it.
    pub m: Option<usize>,
    /// The dimension of the features.
    pub dim: usize,
}

impl<'a> Fitted<'a> {
    /// The fit of mean and covariance (divided by n−1) to points.
    ///
    /// For n > d the covariance is formed, in O(nd²); else the centred points serve instead of it.
    ///
    /// *Shapes*: points (n, d).
    ///
    /// # Errors
    /// When there are fewer than 2 points, or a sum overflows.
    pub fn of_points(points: impl Into<PointsView<'a>>) -> Result<Self> {
        Self::of_view(points.into())
    }

    fn of_view(points: PointsView<'a>) -> Result<Self> {
        let (n, d) = (points.len(), points.dim());
        check_count(n)?;
        let fit = if n > d {
            Self::of_parts(Statistics::of_points(points)?)
        } else {
            let mean = mean(points);
            let scale = 1.0 / (n as f64 - 1.0).sqrt();
            let data = Panel::<f64>::new(points, 0..n, Some(&mean)).data;
            let factor = Matrix::new(n, d, data.into_iter().map(|x| x * scale).collect());
            let trace = factor.data.iter().map(|x| x * x).sum();
            Self { mean, factor, trace, points: None, count: None }
        };
        if !fit.trace.is_finite() {
            return Err(Error::not_finite("covariance of the points", fit.trace, "rescale the points"));
        }
        Ok(Self { points: Some(points), count: Some(n as u64), ..fit })
    }

    /// The law of a mean and a covariance that were computed elsewhere.
    ///
    /// # Errors
    /// When the covariance is not positive semi-definite.
    pub fn of_statistics(statistics: Statistics) -> Result<Self> {
        // What rounding to single precision can do to a covariance, as a part of its largest eigenvalue.
        const NEGATIVE: f64 = 1e-5;
        let (d, count) = (statistics.dim(), statistics.count());
        let (mean, covariance) = statistics.into_parts();
        let trace = (0..d).map(|i| covariance[i * d + i]).sum();
        // Not by Cholesky's factorisation: what is left of a rounded covariance of low rank has negative parts, and
        // pivots among them would be arbitrary.
        let (values, basis) = Matrix::new(d, d, covariance)
            .eigen()
            .ok_or_else(|| Error::not_finite("sum over the covariance", f64::INFINITY, "rescale the features"))?;
        let (least, largest) = (values[0], values[d - 1]);
        if least < -NEGATIVE * largest.abs() {
            let allowed = "at least 0: a covariance is positive semi-definite";
            return Err(Error::value("least eigenvalue of the covariance", least, allowed));
        }
        let threshold = d as f64 * f64::EPSILON * largest;
        let kept: Vec<usize> = (0..d).filter(|&k| values[k] > threshold).collect();
        let factor = kept.iter().flat_map(|&k| scaled(basis.row(k), values[k].sqrt())).collect();
        Ok(Self { mean, factor: Matrix::new(kept.len(), d, factor), trace, points: None, count })
    }

    fn of_parts(statistics: Statistics) -> Self {
        let d = statistics.dim();
        let (mean, covariance) = statistics.into_parts();
        let trace = (0..d).map(|i| covariance[i * d + i]).sum();
        Self { mean, factor: Matrix::new(d, d, covariance).into_factor(), trace, points: None, count: None }
    }

    /// Dimension d.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    /// The Fréchet distance of the law of a candidate from this one, the reference:
    ///
    /// FID = ‖x̄−ȳ‖² + tr S + tr T − 2 tr (ST)^½.
    ///
    /// With S = FᵀF and T = GᵀG the last trace is the sum of the singular values of M = FGᵀ. Let uₖ be the
    /// eigenvectors of MMᵀ (or MᵀM, if smaller): then tr (ST)^½ = Σ ‖Mᵀuₖ‖, which over all orthonormal bases is least for the
    /// uₖ, so that their errors enter squared only. There is no complex root, nothing is added to the diagonals, and n < d
    /// needs no care: F is then the centred points.
    ///
    /// *Standard error*: FID is a smooth functional of both distributions while they differ. With the potential
    /// ψ(x) = 2⟨x̄−ȳ, x−x̄⟩ + (x−x̄)ᵀ(I − A)(x−x̄), A the matrix of the optimal transport from S to T (likewise χ for T), the
    /// variance is Var ψ(X)/n + Var χ(Y)/m to first order (Rippl, Munk, Sturm 2016). Where P and Q are the same, that is 0 and
    /// terms of second order remain; the estimate is then √2 times too large. For statistics there is none; against
    /// statistics it is that of the sample alone.
    ///
    /// *Bias*: to second order, for data as Gaussian as the distance pretends,
    ///
    /// E FID − FID(P,Q) ≈ tr S/n + tr T/m + ½ (1/(n−1) + 1/(m−1)) Σₖₗ (1+δₖₗ) σₖσₗ/(σₖ+σₗ)
    ///
    /// with the singular values σ of M. For P = Q = N(0,I) and n = m that is (2d + (d²+d)/2)/n. It is too small for n below
    /// some 8d, a third too small at n = 1.5d, and says little below d: no unbiased estimator exists (Bińkowski et al., D.1).
    /// It is not subtracted from the value.
    ///
    /// Time is O(d³ + (n+m)d²), or with n for d in the cube if n < d; memory some ten d × d matrices.
    ///
    /// # Errors
    /// When dimensions differ, or numbers overflow.
    ///
    /// *Reference*: Heusel et al., "GANs trained by a two time-scale update rule", NeurIPS 2017; Dowson, Landau, "The Fréchet
    /// distance between multivariate normal distributions", J. Multivariate Analysis 12, 1982.
    pub fn distance(&self, candidate: &Fitted) -> Result<Fid> {
        if self.dim() != candidate.dim() {
            let (d, other) = (self.dim(), candidate.dim());
            return Err(Error::mismatch(Field::Dimension, d, other, "use the same features for both"));
        }
        let overflow = |value| Error::not_finite("FID", value, "rescale the points");
        // The smaller side has the eigenvectors.
        let (small, large) =
            if self.factor.rows <= candidate.factor.rows { (self, candidate) } else { (candidate, self) };
        let mut product = small.factor.times_transposed(&large.factor);
        // Squares of its numbers must neither over- nor underflow; ordinary ones stay as they are.
        let unit = unit(&product.data);
        product.data.iter_mut().for_each(|x| *x /= unit);
        let (_, basis) = product.times_transposed(&product).eigen().ok_or_else(|| overflow(f64::INFINITY))?;
        // Rows uₖᵀM = σₖvₖᵀ.
        let mut across = basis.times(&product);
        drop(product);
        let sigma: Vec<f64> =
            (0..across.rows).map(|k| across.row(k).iter().map(|x| x * x).sum::<f64>().sqrt() * unit).collect();
        across.data.iter_mut().for_each(|x| *x *= unit);
        let shift: Vec<f64> = small.mean.iter().zip(&large.mean).map(|(a, b)| a - b).collect();
        let value =
            shift.iter().map(|x| x * x).sum::<f64>() + small.trace + large.trace - 2.0 * sigma.iter().sum::<f64>();
        if !value.is_finite() {
            return Err(overflow(value));
        }
        // Equal laws have the distance 0. Every σₖ is off by rounding of the largest, those that should be 0 included.
        let size = small.trace + large.trace + sigma.len() as f64 * sigma.iter().copied().fold(0.0, f64::max);
        let rounding = ROUNDING * size;
        let value = if value.abs() <= rounding { 0.0 } else { value };
        // xᵀAx = Σ σₖ(bₖ·x)² with bₖ = Gᵀvₖ/σₖ for the small side and Fᵀuₖ/σₖ for the large one. Directions in which
        // one of them is flat count nothing.
        let threshold = 1e-7 * sigma.iter().copied().fold(0.0, f64::max);
        let directions = |of: Matrix, power: i32| {
            let mut directions = of;
            let d = directions.columns;
            for (row, s) in directions.data.chunks_exact_mut(d).zip(&sigma) {
                // √σₖ goes into the direction, so that xᵀAx is a sum of squares.
                let scale = if *s > threshold { s.sqrt() / s.powi(power) } else { 0.0 };
                row.iter_mut().for_each(|x| *x *= scale);
            }
            directions
        };
        let mut variance = None;
        if let Some(points) = small.points {
            let directions = directions(across.times(&large.factor), 2);
            *variance.get_or_insert(0.0) += variance_of_potential(points, &small.mean, &shift, &directions);
        }
        drop(across);
        if let Some(points) = large.points {
            let directions = directions(basis.times(&small.factor), 1);
            let back: Vec<f64> = shift.iter().map(|x| -x).collect();
            *variance.get_or_insert(0.0) += variance_of_potential(points, &large.mean, &back, &directions);
        }
        let mut pairs = 0.0;
        for (k, a) in sigma.iter().enumerate() {
            pairs += if *a > 0.0 { a } else { &0.0 };
            pairs += 2.0 * sigma[..k].iter().filter(|b| a + *b > 0.0).map(|b| a * b / (a + b)).sum::<f64>();
        }
        let bias = |side: &Fitted| {
            let n = side.count? as f64;
            Some(side.trace / n + 0.5 * pairs / (n - 1.0))
        };
        let bias = match (bias(self), bias(candidate)) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0.0) + b.unwrap_or(0.0)),
        };
        let count = |side: &Fitted| side.count.map(|n| n as usize);
        let coincide = |side: &Fitted| side.points.is_none_or(PointsView::coincide);
        let error = match variance.map(f64::sqrt) {
            None => Err(NoStandardError::Statistics),
            Some(_) if coincide(self) && coincide(candidate) => Err(NoStandardError::Coincide),
            Some(error) if !error.is_finite() => Err(NoStandardError::Overflow),
            Some(error) if error > rounding => Ok(error),
            Some(_) => Err(NoStandardError::Rounding),
        };
        let (standard_error, standard_error_missing) = standard_error::fields(error);
        Ok(Fid {
            value,
            standard_error,
            standard_error_missing,
            bias,
            n: count(self),
            m: count(candidate),
            dim: self.dim(),
        })
    }
}

/// The Fréchet inception distance of two samples of features: [`Fitted::distance`] of their fits.
///
/// # Errors
/// As [`Fitted::of_points`] and [`Fitted::distance`].
pub fn fid<'a>(reference: impl Into<PointsView<'a>>, candidate: impl Into<PointsView<'a>>) -> Result<Fid> {
    let (reference, candidate) = (reference.into(), candidate.into());
    Fitted::of_points(reference)?.distance(&Fitted::of_points(candidate)?)
}

/// Var ψ(X)/n for ψ(x) = 2⟨shift, x⟩ + ‖x‖² − Σ(bₖ·x)² of the centred points and the rows bₖ.
fn variance_of_potential(points: PointsView, mean: &[f64], shift: &[f64], directions: &Matrix) -> f64 {
    const ROWS: usize = 64;
    let n = points.len();
    let blocks: Vec<usize> = (0..n).step_by(ROWS).collect();
    let of_block = |&first: &usize| -> Vec<f64> {
        let panel = Panel::<f64>::new(points, first..(first + ROWS).min(n), Some(mean));
        let rows = Matrix::new(panel.norms.len(), panel.d, panel.data);
        let projected = rows.times_transposed(directions);
        let potential = |i: usize| {
            let along: f64 = rows.row(i).iter().zip(shift).map(|(x, s)| x * s).sum();
            2.0 * along + panel.norms[i] - projected.row(i).iter().map(|x| x * x).sum::<f64>()
        };
        (0..rows.rows).map(potential).collect()
    };
    let values: Vec<f64> = blocks.par_iter().flat_map_iter(of_block).collect();
    let centre = values.iter().sum::<f64>() / n as f64;
    values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n as f64 - 1.0) / n as f64
}

/// A power of two near the largest of some numbers, 1 where their squares are ordinary numbers.
fn unit(numbers: &[f64]) -> f64 {
    let largest = numbers.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
    let is_ordinary = (1e-60..=1e60).contains(&largest) || largest == 0.0 || !largest.is_finite();
    if is_ordinary { 1.0 } else { largest.log2().floor().clamp(-1000.0, 1000.0).exp2() }
}

fn scaled(row: &[f64], factor: f64) -> impl Iterator<Item = f64> {
    row.iter().map(move |x| factor * x)
}
