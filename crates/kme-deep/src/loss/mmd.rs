//! The squared maximum mean discrepancy of two sets of feature vectors, and the gradient of their witness.
//!
//! Means are sums times a number, not divided by one: the engine differentiates a division by a number in single
//! precision.
//!
//! # Errors of rounding
//!
//! With ε the distance of 1 to the next number (1.2·10⁻⁷, 2.2·10⁻¹⁶), the values are right to 2000·ε of the mean size of
//! their terms, which is 1 for `gaussian`, `laplacian` and `rq`, 1/c for `imq`, the mean distance for `energy` and `distance`,
//! wherever the points lie: about any origin, with some of them far away, in clusters far apart, as long as ‖x‖² is a
//! number (up to 10¹⁹ in single precision). Gradients are right to 4000·ε of their largest part, but for pairs of points that
//! nearly coincide under a kernel with a kink (`laplacian`, `energy`, `distance`), of which a batch may have some; and 0 for
//! pairs that do coincide. Polynomials of degree 2 or more change when points are moved; far from the origin their value is
//! dominated by the offset. What it takes is said in `far.rs`; ordinary points take the faster way by inner products.

use super::arithmetic::Entries;
use super::far::{Far, Pairs, is_far};
use burn::tensor::{Bool, Tensor};
use kme::internal::{Pair, Slope};
use kme::{Error, Form, Kernel, Result};
use kme_net::place;
use std::cell::OnceCell;

pub(super) fn squared_norms(x: &Tensor<2>) -> Tensor<2> {
    (x.clone() * x.clone()).sum_dim(1)
}

pub(super) fn pair(x: &Tensor<2>, y: &Tensor<2>) -> Pair<Entries> {
    Pair {
        dot: Entries(x.clone().matmul(y.clone().transpose())),
        xx: Entries(squared_norms(x)),
        yy: Entries(squared_norms(y).transpose()),
    }
}

/// The weight of a kernel that is linear, whose sums need no pairs.
fn linear(kernel: &Kernel) -> Option<f64> {
    kernel.terms().iter().map(|&(weight, form)| (form == Form::Linear).then_some(weight)).sum()
}

/// Σᵢⱼ k(xᵢ, yⱼ); for the linear kernel ⟨Σxᵢ, Σyⱼ⟩, in linear time.
fn cross_sum(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
    if let Some(weight) = linear(kernel) {
        return (x.clone().sum_dim(0) * y.clone().sum_dim(0)).sum() * weight;
    }
    kernel.value(&pair(x, y)).0.sum()
}

/// Σ_{i≠j} k(xᵢ, xⱼ). The diagonal is left out for every term of a mixed kernel, and so is its rounding noise, which
/// would reach the gradient of kernels with a root.
fn off_diagonal_sum(kernel: &Kernel, x: &Tensor<2>) -> Tensor<1> {
    let [n, _] = x.dims();
    if linear(kernel).is_some() {
        return cross_sum(kernel, x, x) - diagonal_sum(kernel, x);
    }
    without_diagonal(kernel.value(&pair(x, x)).0, n).sum()
}

fn without_diagonal(values: Tensor<2>, n: usize) -> Tensor<2> {
    let diagonal = Tensor::<2, Bool>::diag_mask([n, n], 0, &values.device()).bool_not();
    values.mask_fill(diagonal, 0.0)
}

/// Σᵢ k(xᵢ, xᵢ).
fn diagonal_sum(kernel: &Kernel, x: &Tensor<2>) -> Tensor<1> {
    kernel.diagonal(&Entries(squared_norms(x))).0.sum()
}

/// For a kernel of differences alone, both sets moved by one constant vector, which changes no value but keeps the
/// digits of ‖x‖² + ‖y‖² − 2⟨x,y⟩ where the points lie far from the origin.
fn centred(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    if !kernel.is_radial() {
        return (x.clone(), y.clone());
    }
    let centre = y.clone().detach().mean_dim(0);
    (x.clone() - centre.clone(), y.clone() - centre)
}

/// What compares x and y where inner products would lose their distances.
pub(super) fn far_differences(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> Option<Far> {
    let (near_x, near_y) = centred(kernel, x, y);
    let pairs = [Pairs::Within(&near_x), Pairs::Within(&near_y), Pairs::Between(&near_x, &near_y)];
    is_far(kernel, &near_x, &near_y, &pairs).then(|| Far::of_differences(kernel, y))
}

/// The unbiased estimate of MMD²: Σ_{i≠j}k(xᵢ,xⱼ)/n(n−1) + Σ_{i≠j}k(yᵢ,yⱼ)/m(m−1) − 2 Σᵢⱼk(xᵢ,yⱼ)/nm. May be negative.
///
/// Shapes: x (n, d), y (m, d) → (1). Reference: Gretton et al., JMLR 2012, eq. 3; all nm cross pairs are kept.
///
/// # Errors
/// When n or m is below 2.
pub fn mmd2_unbiased(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> Result<Tensor<1>> {
    unbiased(kernel, x, y, far_differences(kernel, x, y))
}

/// [`mmd2_unbiased`], by way of inner products where there is no other.
pub(super) fn unbiased(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>, far: Option<Far>) -> Result<Tensor<1>> {
    let least = x.dims()[0].min(y.dims()[0]);
    if least < 2 {
        return Err(Error::too_few("points on either side", least, 2, "the unbiased estimator"));
    }
    let (n, m) = (x.dims()[0] as f64, y.dims()[0] as f64);
    let part = |n: f64| 1.0 / (n * (n - 1.0));
    if let Some(far) = far {
        let within = |z: &Tensor<2>, n: f64| without_diagonal(far.values(z, z), z.dims()[0]).sum() * part(n);
        return Ok(within(x, n) + within(y, m) - far.values(x, y).sum() * (2.0 / (n * m)));
    }
    let (x, y) = centred(kernel, x, y);
    let within = |z: &Tensor<2>, n: f64| off_diagonal_sum(kernel, z) * part(n);
    Ok(within(&x, n) + within(&y, m) - cross_sum(kernel, &x, &y) * (2.0 / (n * m)))
}

/// The biased estimate of MMD², ‖μ_x − μ_y‖² of the empirical embeddings. Never negative but for rounding.
///
/// Shapes: x (n, d), y (m, d) → (1). Reference: Gretton et al., JMLR 2012, eq. 5.
pub fn mmd2_biased(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
    biased(kernel, x, y, far_differences(kernel, x, y))
}

/// [`mmd2_biased`], by way of inner products where there is no other.
pub(super) fn biased(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>, far: Option<Far>) -> Tensor<1> {
    let (n, m) = (x.dims()[0] as f64, y.dims()[0] as f64);
    if let Some(far) = far {
        let within = |z: &Tensor<2>, n: f64| far.values(z, z).sum() * (1.0 / (n * n));
        return within(x, n) + within(y, m) - far.values(x, y).sum() * (2.0 / (n * m));
    }
    let (x, y) = centred(kernel, x, y);
    let within = |z: &Tensor<2>, n: f64| (off_diagonal_sum(kernel, z) + diagonal_sum(kernel, z)) * (1.0 / (n * n));
    within(&x, n) + within(&y, m) - cross_sum(kernel, &x, &y) * (2.0 / (n * m))
}

/// A fixed embedding μ = Σ wᵢ k(xᵢ, ·) that points are moved towards.
pub struct Target {
    kernel: Kernel,
    points: Tensor<2>,
    weights: Tensor<2>,
    total: f64,
    norm2: f64,
    /// What compares it with points that are far from it or from one another, and its squared norm there: made when it is needed.
    far: OnceCell<(Far, f64)>,
}

/// How far a sum of weights may be from 1 for a distribution.
const WHOLE: f64 = 1e-6;

impl Target {
    /// The embedding of `points` (m, d) with `weights` (m), whose squared norm is `norm2`.
    pub fn new(kernel: Kernel, points: Tensor<2>, weights: Tensor<1>, norm2: f64) -> Self {
        let m = points.dims()[0];
        let total = place::numbers(weights.clone()).iter().sum();
        Self { kernel, points, weights: weights.reshape([1, m]), total, norm2, far: OnceCell::new() }
    }

    /// ‖μ − ν‖² for the uniformly weighted points ν of shape (n, d): ‖μ‖² + mean k(yᵢ,yⱼ) − 2 meanⱼ Σᵢ wᵢ k(xᵢ,yⱼ).
    ///
    /// Reference: Jitkrittum et al., ICML 2019, eq. 2.
    ///
    /// # Errors
    /// When points that lie far apart are not numbers.
    pub fn mmd2(&self, y: &Tensor<2>) -> Result<Tensor<1>> {
        let n = y.dims()[0] as f64;
        let (near, points) = centred(&self.kernel, y, &self.points);
        if is_far(&self.kernel, &near, &points, &[Pairs::Within(&near), Pairs::Between(&near, &points)]) {
            let (far, norm2) = self.far()?;
            let cross = far.values(y, &self.points) * self.weights.clone();
            return Ok(far.values(y, y).sum() * (1.0 / (n * n)) - cross.sum() * (2.0 / n) + *norm2);
        }
        let within = (off_diagonal_sum(&self.kernel, &near) + diagonal_sum(&self.kernel, &near)) * (1.0 / (n * n));
        let cross = self.kernel.value(&pair(&near, &points)).0 * self.weights.clone();
        Ok(within - cross.sum() * (2.0 / n) + self.norm2)
    }

    fn far(&self) -> Result<&(Far, f64)> {
        if self.far.get().is_none() {
            // Of what is not a distribution, every part of a kernel counts.
            let far = if (self.total - 1.0).abs() > WHOLE {
                (Far::new(&self.kernel), self.norm2)
            } else {
                let far = Far::of_differences(&self.kernel, &self.points);
                let norm2 = if self.kernel.is_radial() { self.norm2 } else { far.norm2(&self.points, &self.weights)? };
                (far, norm2)
            };
            // Only this thread has it.
            let _ = self.far.set(far);
        }
        Ok(self.far.get().expect("it was set"))
    }
}

/// The gradient in h of the witness f(h) = meanⱼ k(h, xⱼ) − meanⱼ k(h, yⱼ), not divided by its norm, at every row of
/// `h`.
///
/// Shapes: h (b, d), x (n, d), y (m, d) → (b, d). Differentiable in all three.
/// Reference: Bińkowski et al., ICLR 2018, §3 (the penalised quantity of the MMD GAN).
pub fn witness_gradient(kernel: &Kernel, h: &Tensor<2>, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<2> {
    let is_far_from = |x: &Tensor<2>| {
        let (h, x) = centred(kernel, h, x);
        is_far(kernel, &h, &x, &[Pairs::Between(&h, &x)])
    };
    if is_far_from(x) || is_far_from(y) {
        let far = Far::of_differences(kernel, y);
        let mean_gradient = |x: &Tensor<2>| far.gradients(h, x) * (1.0 / x.dims()[0] as f64);
        return mean_gradient(x) - mean_gradient(y);
    }
    let mean_gradient = |x: &Tensor<2>| {
        let [b, n] = [h.dims()[0], x.dims()[0]];
        let (h, x) = centred(kernel, h, x);
        let Slope { dot, xx } = kernel.slope(&pair(&h, &x));
        // A slope may be constant along an axis; give it all its entries before summing over them.
        let along_x = dot.0.expand([b, n]).matmul(x);
        let along_h = xx.0.expand([b, n]).sum_dim(1) * 2.0;
        (along_x + h * along_h) * (1.0 / n as f64)
    };
    mean_gradient(x) - mean_gradient(y)
}
