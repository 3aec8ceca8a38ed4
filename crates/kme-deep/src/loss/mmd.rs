//! The squared maximum mean discrepancy of two sets of feature vectors, and the gradient of their witness.
//!
//! Means are sums times a number, not divided by one: the engine differentiates a division by a number in single
//! precision.

use super::arithmetic::Entries;
use burn::tensor::{Bool, Tensor};
use kme::kernel::{Form, Kernel, Pair, Slope};
use kme::{Error, Result};

fn squared_norms(x: &Tensor<2>) -> Tensor<2> {
    (x.clone() * x.clone()).sum_dim(1)
}

fn pair(x: &Tensor<2>, y: &Tensor<2>) -> Pair<Entries> {
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
    let diagonal = Tensor::<2, Bool>::diag_mask([n, n], 0, &x.device()).bool_not();
    kernel.value(&pair(x, x)).0.mask_fill(diagonal, 0.0).sum()
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

/// The unbiased estimate of MMD²: Σ_{i≠j}k(xᵢ,xⱼ)/n(n−1) + Σ_{i≠j}k(yᵢ,yⱼ)/m(m−1) − 2 Σᵢⱼk(xᵢ,yⱼ)/nm. May be negative.
///
/// Shapes: x (n, d), y (m, d) → (1). Reference: Gretton et al., JMLR 2012, eq. 3; all nm cross pairs are kept.
///
/// # Errors
/// When n or m is below 2.
pub fn mmd2_unbiased(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> Result<Tensor<1>> {
    let least = x.dims()[0].min(y.dims()[0]);
    if least < 2 {
        return Err(Error::value("number of points", least, "at least 2 on either side for the unbiased estimator"));
    }
    let (n, m) = (x.dims()[0] as f64, y.dims()[0] as f64);
    let (x, y) = centred(kernel, x, y);
    let within = |z: &Tensor<2>, n: f64| off_diagonal_sum(kernel, z) * (1.0 / (n * (n - 1.0)));
    Ok(within(&x, n) + within(&y, m) - cross_sum(kernel, &x, &y) * (2.0 / (n * m)))
}

/// The biased estimate of MMD², ‖μ_x − μ_y‖² of the empirical embeddings. Never negative but for rounding.
///
/// Shapes: x (n, d), y (m, d) → (1). Reference: Gretton et al., JMLR 2012, eq. 5.
pub fn mmd2_biased(kernel: &Kernel, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<1> {
    let (n, m) = (x.dims()[0] as f64, y.dims()[0] as f64);
    let (x, y) = centred(kernel, x, y);
    let within = |z: &Tensor<2>, n: f64| (off_diagonal_sum(kernel, z) + diagonal_sum(kernel, z)) * (1.0 / (n * n));
    within(&x, n) + within(&y, m) - cross_sum(kernel, &x, &y) * (2.0 / (n * m))
}

/// A fixed embedding μ = Σ wᵢ k(xᵢ, ·) that points are moved towards.
pub struct Target {
    kernel: Kernel,
    points: Tensor<2>,
    weights: Tensor<2>,
    norm2: f64,
}

impl Target {
    /// The embedding of `points` (m, d) with `weights` (m), whose squared norm is `norm2`.
    pub fn new(kernel: Kernel, points: Tensor<2>, weights: Tensor<1>, norm2: f64) -> Self {
        let m = points.dims()[0];
        Self { kernel, points, weights: weights.reshape([1, m]), norm2 }
    }

    /// ‖μ − ν‖² for the uniformly weighted points ν of shape (n, d): ‖μ‖² + mean k(yᵢ,yⱼ) − 2 meanⱼ Σᵢ wᵢ k(xᵢ,yⱼ).
    ///
    /// Reference: Jitkrittum et al., ICML 2019, eq. 2.
    pub fn mmd2(&self, y: &Tensor<2>) -> Tensor<1> {
        let n = y.dims()[0] as f64;
        let (y, points) = centred(&self.kernel, y, &self.points);
        let within = (off_diagonal_sum(&self.kernel, &y) + diagonal_sum(&self.kernel, &y)) * (1.0 / (n * n));
        let cross = self.kernel.value(&pair(&y, &points)).0 * self.weights.clone();
        within - cross.sum() * (2.0 / n) + self.norm2
    }
}

/// The gradient in h of the witness f(h) = meanⱼ k(h, xⱼ) − meanⱼ k(h, yⱼ), not divided by its norm, at every row of
/// `h`.
///
/// Shapes: h (b, d), x (n, d), y (m, d) → (b, d). Differentiable in all three.
/// Reference: Bińkowski et al., ICLR 2018, §3 (the penalised quantity of the MMD GAN).
pub fn witness_gradient(kernel: &Kernel, h: &Tensor<2>, x: &Tensor<2>, y: &Tensor<2>) -> Tensor<2> {
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
