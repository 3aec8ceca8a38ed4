//! The engine: sums of kernel values over pairs of points, tile by tile.
//!
//! A tile is the matrix product of two panels of points; the kernel's formula is applied while the tile is in cache,
//! and the sums are kept in double precision. No n × m matrix ever exists: time is O(nmd), memory O(n + m) beside the
//! points, and a few hundred megabytes at most for converted points. Sums within one sample compute one triangle.
//!
//! * **Repeatable**: the order of additions depends on the sizes alone, so a result is the same bit for bit for any
//!   number of threads. The threads are those of the current rayon pool.
//! * **Precision**: with [`Precision::F64`], the default, everything is double precision; with [`Precision::F32`] the
//!   points are rounded to single precision, the kernel is evaluated in it, and only the sums are double. Where the numbers
//!   would not fit into single precision (coordinates above 10¹⁵, lengths outside 10⁻¹²…10¹² after scaling), double is used.
//! * **Cancellation**: r² is computed as ‖x‖² + ‖y‖² − 2⟨x,y⟩, after the points were moved so that a point amidst them is
//!   the origin (coordinate by coordinate a median of a few, so that far points do not move it). Where r² is then below
//!   10⁻⁴(‖x‖² + ‖y‖²), in single precision below 10⁻²(‖x‖² + ‖y‖²), it is taken from the coordinates' differences in double
//!   precision instead. In up to 3 dimensions, differences are taken throughout. Copies have distance 0 exactly. With a term
//!   that is not radial, as in `rq:alpha=1+linear`, nothing is moved, but distances are taken from differences where needed.
//! * **Scale**: where squares of the kernel's length (of kernels that grow with r: of the largest distance) would over- or
//!   underflow, points and kernel are multiplied by a power of two.
//!
//! # Error
//!
//! The relative error of every r² is at most δ = 10⁻¹¹·√(1 + d/300), in single precision 10⁻⁴·√(1 + d/300), wherever the
//! points lie. (r below 10⁻¹⁵⁰ of the kernel's length counts as 0, in single precision below 10⁻¹⁹.) For a kernel κ(r²) the
//! error of its value is at most δ times max r²|κ'|, hence
//!
//! |computed − exact| ≤ δ · Σᵢⱼ |uᵢ||vⱼ| s(xᵢ,yⱼ)
//!
//! with s = k(x,x) for `gaussian`, `laplacian`, `rq` and `imq`, a + r for `energy`, ‖x‖ + ‖y‖ for `distance`, ‖x‖‖y‖ for
//! `linear`, p(γ‖x‖‖y‖ + b)^p for `poly` (pairs i = j of sums within a sample included), and for sums of kernels their sum;
//! for gradients of radial kernels ten times that with s = |∂k/∂r| in place of it. The test
//! `no_sum_is_wrong_by_more_than_the_bound` looks for exceptions, over offsets, scales of
//! 10⁻¹⁵⁰ to 10¹⁵⁰, clusters 10¹² of their size apart, points 10¹⁵ away, copies, and neighbours 10⁻¹⁵ apart. Errors of
//! ordinary samples are far smaller, 10⁻¹⁴ and 10⁻⁶.

mod engine;
#[cfg(test)]
mod far;
mod frame;
mod gram;
mod labels;
mod moments;
mod near;
mod panel;
mod row;
mod sides;
mod simd;
mod sweep;
#[cfg(test)]
mod tests;
mod tile;
mod watched;

use crate::kernel::{Kernel, Pair};
use crate::points::PointsView;
use crate::{Error, Result};
pub(crate) use engine::{Distances, for_each_distance};
pub(crate) use frame::{About, Differences, Frame};
pub(crate) use gram::Gram;
pub(crate) use labels::{Labels, labelled};
pub(crate) use near::squared_distance;
pub(crate) use panel::{Panel, add_product, mean, product};
use rayon::prelude::*;
pub(crate) use simd::Real;
pub(crate) use watched::Pairs;

/// The arithmetic in which kernels are evaluated. Sums are in double precision always.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    #[default]
    /// Double precision.
    F64,
    /// Single precision; sums are in double.
    F32,
}

impl Precision {
    /// The part of the size of its terms, Σ|w||v||k|, by which a sum of radial kernels may be wrong: see [the module](self).
    pub(crate) fn bound(self) -> f64 {
        match self {
            Self::F64 => 1e-11,
            Self::F32 => 1e-4,
        }
    }

    /// Single only if the constants that are subtracted from values fit into it.
    fn with_origins(self, origins: &[f64]) -> Self {
        if origins.iter().all(|origin| origin.abs() < 1e30) { self } else { Self::F64 }
    }

    /// A number that is the same in this precision wherever it is subtracted, if single precision has the like.
    pub(crate) fn round(self, x: f64) -> f64 {
        let narrow = f64::from(x as f32);
        if self == Self::F32 && narrow.is_finite() { narrow } else { x }
    }
}

/// Sums over the pairs of one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within {
    /// Σ_{i≠j} wᵢwⱼ k(xᵢ,xⱼ)
    pub off_diagonal: f64,
    /// Σᵢ wᵢ² k(xᵢ,xᵢ)
    pub diagonal: f64,
}

/// Marginal sums of K_xy − origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CrossMarginals {
    /// Σⱼ (k(xᵢ,yⱼ) − origin), shape (n).
    pub rows: Vec<f64>,
    /// Σᵢ (k(xᵢ,yⱼ) − origin), shape (m).
    pub columns: Vec<f64>,
    /// Σᵢⱼ (k(xᵢ,yⱼ) − origin)², not finite where it overflows.
    pub squares: f64,
}

/// Marginal sums of K_xx − origin without its diagonal, and the diagonal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WithinMarginals {
    /// Σ_{j≠i} (k(xᵢ,xⱼ) − origin), shape (n).
    pub rows: Vec<f64>,
    /// k(xᵢ,xᵢ) − origin, shape (n).
    pub diagonal: Vec<f64>,
    /// Σ_{i≠j} (k(xᵢ,xⱼ) − origin)², not finite where it overflows.
    pub squares: f64,
}

/// Σᵢⱼ uᵢvⱼ k(xᵢ,yⱼ); weights that are not given are 1.
///
/// Where it is cheaper, the sum of a linear, quadratic or cubic kernel is taken from the moments of both samples, always
/// in double precision: Σᵢⱼ uᵢvⱼ⟨xᵢ,yⱼ⟩^q = ⟨Σuᵢ xᵢ^⊗q, Σvⱼ yⱼ^⊗q⟩, which costs O((n+m)d^q) instead of O(nmd).
///
/// *Shapes*: x (n, d), u (n), y (m, d), v (m).
///
/// # Errors
/// When dimensions or lengths differ, a weight is not finite, or the sum overflows.
pub fn cross<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    u: Option<&[f64]>,
    y: impl Into<PointsView<'a>>,
    v: Option<&[f64]>,
    precision: Precision,
) -> Result<f64> {
    let (x, y) = (x.into(), y.into());
    cross_minus(kernel, x, u, y, v, None, precision)
}

/// [`cross`] of k − origin.
pub(crate) fn cross_minus<'a>(
    about: impl Into<About<'a>>,
    x: PointsView,
    u: Option<&[f64]>,
    y: PointsView,
    v: Option<&[f64]>,
    origin: Option<f64>,
    precision: Precision,
) -> Result<f64> {
    let about = about.into();
    let kernel = about.kernel;
    let (u, v) = (weights(x, u)?, weights(y, v)?);
    x.check_same_dim(y)?;
    let sum = match moments::plan(kernel, x.len() as f64 * y.len() as f64, x.len() + y.len(), x.dim()) {
        Some(mut powers) => {
            powers[0] -= origin.unwrap_or(0.0);
            let order = powers.len() - 1;
            let sum = moments::Moments::new(x, &u, order, about.centre)
                .sum(&moments::Moments::new(y, &v, order, about.centre), &powers);
            return finite(kernel, Precision::F64, sum);
        }
        None => {
            let origins = vec![origin.unwrap_or(0.0); x.len()];
            rectangle(about, x, y, &v, &origins, false, precision).rows.iter().zip(&u).map(|(k, u)| k * u).sum()
        }
    };
    finite(kernel, precision, sum)
}

/// Σ_{i≠j} wᵢwⱼ k(xᵢ,xⱼ) and Σᵢ wᵢ² k(xᵢ,xᵢ); weights that are not given are 1. From moments where it is cheaper, as
/// [`cross`].
///
/// *Shapes*: x (n, d), w (n).
///
/// # Errors
/// When lengths differ, a weight is not finite, or the sum overflows.
pub fn within<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    w: Option<&[f64]>,
    precision: Precision,
) -> Result<Within> {
    let x = x.into();
    within_minus(kernel, x, w, None, precision)
}

/// [`within`] of k − origin.
pub(crate) fn within_minus<'a>(
    about: impl Into<About<'a>>,
    x: PointsView,
    w: Option<&[f64]>,
    origin: Option<f64>,
    precision: Precision,
) -> Result<Within> {
    let about = about.into();
    let kernel = about.kernel;
    let w = weights(x, w)?;
    let on_diagonal = |diagonal: &[f64]| diagonal.iter().zip(&w).map(|(k, w)| k * w * w).sum::<f64>();
    let mut used = precision;
    let sums = match moments::plan(kernel, 0.5 * (x.len() as f64).powi(2), x.len(), x.dim()) {
        Some(mut powers) => {
            used = Precision::F64;
            powers[0] -= origin.unwrap_or(0.0);
            let moments = moments::Moments::new(x, &w, powers.len() - 1, about.centre);
            let blocks: Vec<usize> = (0..x.len()).step_by(256).collect();
            let block = |&i: &usize| {
                let rows = i..(i + 256).min(x.len());
                engine::diagonal::<f64>(kernel, x, rows, about.centre, origin.unwrap_or(0.0))
            };
            let diagonal = on_diagonal(&blocks.par_iter().flat_map_iter(block).collect::<Vec<_>>());
            Within { off_diagonal: moments.sum(&moments, &powers) - diagonal, diagonal }
        }
        None => {
            let sums = symmetric(about, x, &w, origin, precision);
            let off_diagonal = sums.rows.iter().zip(&w).map(|(k, w)| k * w).sum();
            Within { off_diagonal, diagonal: on_diagonal(&sums.diagonal) }
        }
    };
    all_finite(kernel, used, &[sums.off_diagonal, sums.diagonal])?;
    Ok(sums)
}

/// The embedding Σⱼ vⱼ k(·,yⱼ) at each xᵢ: shape (n). Weights that are not given are 1.
///
/// *Shapes*: x (n, d), y (m, d), v (m).
///
/// # Errors
/// When dimensions or lengths differ, a weight is not finite, or a sum overflows.
pub fn rows<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    v: Option<&[f64]>,
    precision: Precision,
) -> Result<Vec<f64>> {
    let (x, y) = (x.into(), y.into());
    rows_minus(kernel, x, y, v, &vec![0.0; x.len()], precision)
}

/// [`rows`] of k minus an origin oᵢ for each xᵢ, Σⱼ vⱼ (k(xᵢ,yⱼ) − oᵢ), with `origins` of shape (n).
pub(crate) fn rows_minus<'a>(
    about: impl Into<About<'a>>,
    x: PointsView,
    y: PointsView,
    v: Option<&[f64]>,
    origins: &[f64],
    precision: Precision,
) -> Result<Vec<f64>> {
    let about = about.into();
    let v = weights(y, v)?;
    x.check_same_dim(y)?;
    let sums = rectangle(about, x, y, &v, origins, false, precision);
    all_finite(about.kernel, precision, &sums.rows)?;
    Ok(sums.rows)
}

/// The gradient Σⱼ vⱼ ∇k(·,yⱼ) of the embedding at each xᵢ: shape (n, d), row after row. Weights that are not given
/// are 1.
///
/// Where xᵢ = yⱼ and the kernel has a kink, the zero subgradient is taken. Terms with |vⱼ ∂k/∂⟨x,y⟩| below 1e-290 (single
/// precision: 1e-30) count as zero, in units of the kernel's length where this is extreme. Each thread holds a few times 256·d numbers.
///
/// *Shapes*: x (n, d), y (m, d), v (m).
///
/// # Errors
/// When dimensions or lengths differ, a weight is not finite, or a sum overflows.
pub fn gradients<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    v: Option<&[f64]>,
    precision: Precision,
) -> Result<Vec<f64>> {
    let (x, y) = (x.into(), y.into());
    gradients_about(kernel.into(), x, y, v, precision)
}

/// [`gradients`], about a centre.
pub(crate) fn gradients_about(
    about: About,
    x: PointsView,
    y: PointsView,
    v: Option<&[f64]>,
    precision: Precision,
) -> Result<Vec<f64>> {
    let v = weights(y, v)?;
    x.check_same_dim(y)?;
    let frame = Frame::new(about, x, Some(y), precision);
    let (gradients, _) = match frame.precision {
        Precision::F64 => engine::gradients::<f64>(&frame, &v),
        Precision::F32 => engine::gradients::<f32>(&frame, &v),
    };
    all_finite(about.kernel, precision, &gradients)?;
    Ok(gradients)
}

/// [`gradients`] in double precision, and beside them what the kernel pulls with, −2 Σⱼ vⱼ ∂k/∂‖x‖²(xᵢ,yⱼ): shape (n).
///
/// For a kernel κ(r²) with κ' < 0 the gradient is Σⱼ vⱼ·(−2κ')·(yⱼ − xᵢ), and this is the sum of the factors.
pub(crate) fn pulls(kernel: &Kernel, x: PointsView, y: PointsView, v: Option<&[f64]>) -> Result<(Vec<f64>, Vec<f64>)> {
    let v = weights(y, v)?;
    x.check_same_dim(y)?;
    let (gradients, along_x) = engine::gradients::<f64>(&Frame::new(kernel.into(), x, Some(y), Precision::F64), &v);
    all_finite(kernel, Precision::F64, &gradients)?;
    Ok((gradients, along_x.into_iter().map(|slope| -2.0 * slope).collect()))
}

/// The embedding Σⱼ wⱼ (k(·,xⱼ) − origin) of a sample at its own points, in double precision: shape (n). One triangle of
/// pairs is computed.
///
/// *Shapes*: x (n, d), w (n).
///
/// # Errors
/// When lengths differ, a weight is not finite, or a sum overflows.
pub(crate) fn own_rows(kernel: &Kernel, x: PointsView, w: &[f64], origin: f64) -> Result<Vec<f64>> {
    let w = weights(x, Some(w))?;
    let sums = symmetric(kernel.into(), x, &w, Some(origin), Precision::F64);
    let rows: Vec<f64> = sums.rows.iter().zip(&sums.diagonal).zip(&w).map(|((row, k), w)| row + w * k).collect();
    all_finite(kernel, Precision::F64, &rows)?;
    Ok(rows)
}

/// Σ_{j≠i} wⱼ k(xᵢ,xⱼ) for each i: shape (n). One triangle of pairs is computed.
///
/// *Shapes*: x (n, d), w (n).
///
/// # Errors
/// When lengths differ, a weight is not finite, or a sum overflows.
pub(crate) fn rows_without_diagonal(
    kernel: &Kernel,
    x: PointsView,
    w: &[f64],
    precision: Precision,
) -> Result<Vec<f64>> {
    let sums = symmetric(kernel.into(), x, &weights(x, Some(w))?, None, precision);
    all_finite(kernel, precision, &sums.rows)?;
    Ok(sums.rows)
}

/// Row sums, column sums and squared sum of K_xy − origin.
///
/// An origin near the values keeps differences of the sums from cancelling; 0 gives the plain sums.
///
/// *Shapes*: x (n, d), y (m, d).
///
/// # Errors
/// When dimensions differ, or a sum overflows.
pub(crate) fn cross_marginals<'a>(
    about: impl Into<About<'a>>,
    x: PointsView,
    y: PointsView,
    origin: f64,
    precision: Precision,
) -> Result<CrossMarginals> {
    let about = about.into();
    let kernel = about.kernel;
    x.check_same_dim(y)?;
    let sums = rectangle(about, x, y, &vec![1.0; y.len()], &vec![origin; x.len()], true, precision);
    // The squares serve the standard error alone and may overflow before the sums do.
    all_finite(kernel, precision, &sums.rows)?;
    all_finite(kernel, precision, &sums.columns)?;
    Ok(sums)
}

/// Row sums and squared sum of K_xx − origin without its diagonal, and the diagonal.
///
/// *Shapes*: x (n, d).
///
/// # Errors
/// When a sum overflows.
pub(crate) fn within_marginals<'a>(
    about: impl Into<About<'a>>,
    x: PointsView,
    origin: f64,
    precision: Precision,
) -> Result<WithinMarginals> {
    let about = about.into();
    let kernel = about.kernel;
    let sums = symmetric(about, x, &vec![1.0; x.len()], Some(origin), precision);
    all_finite(kernel, precision, &sums.rows)?;
    all_finite(kernel, precision, &sums.diagonal)?;
    Ok(sums)
}

/// k(xᵢ,yⱼ) for single pairs (i, j), in double precision; distances are those of xᵢ − yⱼ, so without cancellation.
///
/// # Errors
/// When dimensions differ, an index is out of range, or a value overflows.
pub fn pairs<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    pairs: &[(usize, usize)],
) -> Result<Vec<f64>> {
    let (x, y) = (x.into(), y.into());
    pairs_about(kernel, x, y, pairs)
}

/// [`pairs`], about a centre.
pub(crate) fn pairs_about<'a>(
    about: impl Into<About<'a>>,
    x: PointsView,
    y: PointsView,
    pairs: &[(usize, usize)],
) -> Result<Vec<f64>> {
    let about = about.into();
    x.check_same_dim(y)?;
    if let Some(at) = pairs.iter().position(|(i, j)| *i >= x.len() || *j >= y.len()) {
        let allowed = format!("below ({}, {}), the numbers of points", x.len(), y.len());
        return Err(Error::parameter(format!("pairs[{at}]"), format!("{:?}", pairs[at]), allowed));
    }
    let frame = Frame::new(about, x, Some(y), Precision::F64);
    let (x, y, kernel, centre) = (frame.x(), frame.y(), frame.kernel(), frame.centre.as_deref());
    let value = |&(i, j): &(usize, usize)| {
        let (left, right) = (Panel::<f64>::new(x, i..i + 1, centre).data, Panel::<f64>::new(y, j..j + 1, centre).data);
        let square = squared_distance(x, i, y, j).min(frame.farthest);
        kernel.value_at(&Pair::of(&left, &right), square)
    };
    let values: Vec<f64> = pairs.par_iter().with_min_len(64).map(value).collect();
    all_finite(about.kernel, Precision::F64, &values)?;
    Ok(values)
}

/// ‖xᵢ−xⱼ‖ for all i < j, in double precision, in no particular order. This is the one function whose memory grows as n².
pub(crate) fn distances(x: PointsView) -> Vec<f64> {
    engine::distances(x)
}

fn rectangle(
    about: About,
    x: PointsView,
    y: PointsView,
    v: &[f64],
    origins: &[f64],
    marginals: bool,
    precision: Precision,
) -> CrossMarginals {
    let frame = Frame::new(about, x, Some(y), precision.with_origins(origins));
    match frame.precision {
        Precision::F64 => engine::rectangle::<f64>(&frame, v, origins, marginals),
        Precision::F32 => engine::rectangle::<f32>(&frame, v, origins, marginals),
    }
}

fn symmetric(about: About, x: PointsView, w: &[f64], origin: Option<f64>, precision: Precision) -> WithinMarginals {
    let frame = Frame::new(about, x, None, precision.with_origins(origin.as_slice()));
    match frame.precision {
        Precision::F64 => engine::symmetric::<f64>(&frame, w, origin),
        Precision::F32 => engine::symmetric::<f32>(&frame, w, origin),
    }
}

/// The weights of `points`, all 1 if not given.
fn weights(points: PointsView, weights: Option<&[f64]>) -> Result<Vec<f64>> {
    let Some(weights) = weights else {
        return Ok(vec![1.0; points.len()]);
    };
    points.check_count(weights)?;
    match weights.iter().position(|w| !w.is_finite()) {
        Some(i) => Err(Error::not_finite(format!("weights[{i}]"), weights[i], "use finite weights")),
        None => Ok(weights.to_vec()),
    }
}

fn finite(kernel: &Kernel, precision: Precision, sum: f64) -> Result<f64> {
    all_finite(kernel, precision, &[sum])?;
    Ok(sum)
}

/// Whether sums in double precision are finite.
pub(crate) fn finite_or_too_large(kernel: &Kernel, sums: &[f64]) -> Result<()> {
    all_finite(kernel, Precision::F64, sums)
}

fn all_finite(kernel: &Kernel, precision: Precision, sums: &[f64]) -> Result<()> {
    match sums.iter().find(|s| !s.is_finite()) {
        None => Ok(()),
        Some(sum) => Err(Error::not_finite(
            format!("sum of the kernel {kernel} over these points"),
            *sum,
            match precision {
                Precision::F64 => "the points are too large for this kernel, rescale them",
                Precision::F32 => "the points are too large for single precision, use double",
            },
        )),
    }
}
