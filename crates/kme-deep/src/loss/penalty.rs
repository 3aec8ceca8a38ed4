//! What keeps a critic from running away: the gradient penalty and the activation penalty of the MMD GAN.

use super::witness_gradient;
use crate::net::{Mode, Net};
use burn::tensor::Tensor;
use kme::Result;
use kme::kernel::Kernel;

/// mean over samples of (‖∇_x f(φ(x))‖ − 1)² at `points`, with φ the critic and f the witness of `real` against `fake` features.
///
/// The norm is over all axes of one picture, the witness is not normalised, and the features of the batch stay in the graph.
/// The gradient is the critic's exact pullback of the witness's gradient, so the result can be differentiated in the weights.
///
/// Shapes: points (b, c, h, w) in the unit of the critic's input, real (n, d), fake (m, d) → (1).
/// Reference: Bińkowski et al., ICLR 2018, §3; Gulrajani et al., NeurIPS 2017, eq. 3.
///
/// # Errors
/// When the points do not have the shape of the critic's input.
pub fn gradient_penalty(
    kernel: &Kernel,
    critic: &Net,
    points: Tensor<4>,
    real: &Tensor<2>,
    fake: &Tensor<2>,
) -> Result<Tensor<1>> {
    let pass = critic.pass(points, Mode::Train, false)?;
    let shape = pass.output.dims();
    let features = flat(pass.output.clone());
    let cotangent = witness_gradient(kernel, &features, real, fake).reshape(shape);
    let gradient = critic.pullback(&pass, cotangent);
    // The root's derivative is infinite at 0. The square of any gradient that can still grow is far above 1e-24.
    let norm = ((gradient.clone() * gradient).sum_dims_squeeze::<1, i32>(&[1, 2, 3]) + 1e-24).sqrt();
    Ok(((norm.clone() - 1.0) * (norm - 1.0)).mean())
}

/// Σ over layers of the mean squared activation, for a batch of real pictures followed by as many generated ones:
/// the real batch's mean plus the generated batch's mean.
///
/// `activations` are the outputs of the critic's convolution and linear layers, before the nonlinearity.
/// Reference: the L2 term in the code of Bińkowski et al., ICLR 2018.
pub fn activation_penalty(activations: &[Tensor<4>]) -> Option<Tensor<1>> {
    // Mean over a batch of two halves, times two, is the sum of the halves' means.
    activations.iter().map(|a| (a.clone() * a.clone()).mean() * 2.0).reduce(|sum, term| sum + term)
}

/// Features (n, d, 1, 1) as rows (n, d).
pub(crate) fn flat(features: Tensor<4>) -> Tensor<2> {
    let [n, c, h, w] = features.dims();
    features.reshape([n, c * h * w])
}
