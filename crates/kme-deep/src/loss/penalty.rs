//! What keeps a critic from running away, or the game from turning round.

use super::divergence::{Divergence, Features};
use burn::tensor::Tensor;
use kme::{Error, Field, Result};
use kme_net::{Mode, Net, flat};

/// mean over samples of (‖∇_x f(φ(x))‖ − 1)² at `points`, with φ the critic and f the function by which the divergence tells the
/// real from the generated features (the witness for an MMD, D itself for a critic of one number).
///
/// The norm is over all axes of one picture, the first `pixels` channels (others are labels); f is not normalised, and the
/// features of the batch stay in the graph. The gradient is the critic's exact pullback of f's gradient, so the result can be
/// differentiated in the weights.
///
/// Shapes: points (b, c, h, w) in the unit of the critic's input → (1).
/// Reference: Bińkowski et al., ICLR 2018, §3; Gulrajani et al., NeurIPS 2017, eq. 3.
///
/// # Errors
/// When the points do not have the shape of the critic's input, or the divergence has no such function.
pub fn gradient_penalty(
    divergence: &dyn Divergence,
    critic: &Net,
    points: Tensor<4>,
    pixels: usize,
    features: &Features,
) -> Result<Tensor<1>> {
    let pass = critic.pass(points, Mode::Train, false)?;
    let shape = pass.output.dims();
    let cotangent = divergence.witness_gradient(&flat(pass.output.clone()), features)?.reshape(shape);
    let gradient = critic.pullback(&pass, cotangent);
    let [n, c, _, _] = gradient.dims();
    let gradient = if c == pixels { gradient } else { gradient.slice([0..n, 0..pixels]) };
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

/// Σⱼ min(δⱼ, 0)² with δ = mean real − mean generated features: 0 when every real mean is above the generated one.
///
/// The critic minimises it times λ; the generator does not see it. It breaks the symmetry of MMD² under φ → −φ.
/// Reference: the kernelized GAN, eq. 3.5 and 3.7 (there as −λ‖·‖² in what the critic maximises).
pub fn asymmetric_penalty(features: &Features) -> Tensor<1> {
    let below = gap(features).clamp_max(0.0);
    (below.clone() * below).sum()
}

/// T = −meanⱼ max(−δⱼ, 0) ≤ 0 with δ = mean real − mean generated features: critic *and* generator see it, the critic raises
/// MMD + λT, the generator lowers the same.
///
/// Reference: the one-sided feature constraint in the code of Li et al., "MMD GAN", NeurIPS 2017.
pub fn order_term(features: &Features) -> Tensor<1> {
    gap(features).clamp_max(0.0).mean()
}

/// The mean over all numbers of (decoded − pictures)², for a decoder that leads from features back to pictures.
///
/// Reference: Li et al., NeurIPS 2017, §3.2: it keeps the critic injective.
///
/// # Errors
/// When the decoder does not take the features, or gives pictures of another shape.
pub fn reconstruction_penalty(decoder: &Net, features: &Tensor<2>, pictures: &Tensor<4>) -> Result<Tensor<1>> {
    let [n, d] = features.dims();
    let decoded = decoder.forward(features.clone().reshape([n, d, 1, 1]), Mode::Train)?;
    if decoded.dims() != pictures.dims() {
        let [found, wanted] = [&decoded, pictures].map(|t| format!("{:?}", t.dims()));
        let field = Field::Shape("critic.decoder's output and the samples".into());
        return Err(Error::mismatch(field, found, wanted, "choose another critic.decoder"));
    }
    let apart = decoded - pictures.clone();
    Ok((apart.clone() * apart).mean())
}

/// δ: mean real features minus mean generated ones, shape (1, d).
fn gap(features: &Features) -> Tensor<2> {
    features.real.clone().mean_dim(0) - features.fake.clone().mean_dim(0)
}
