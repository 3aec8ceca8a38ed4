//! Discrepancies and penalties on tensors, differentiable by the engine's automatic differentiation.
//!
//! The kernels' formulas are those of [`kme::Kernel`], evaluated in tensor arithmetic: nothing about a kernel is written here.

mod arithmetic;
mod divergence;
mod far;
mod mmd;
mod objective;
mod penalty;
mod scale;

pub(crate) use divergence::one_feature;
pub use divergence::{
    Beside, CRITIC, Cramer, Divergence, Draw, Estimator, Features, IDENTITY, Logistic, MeanCovariance, Mmd,
    MmdSettings, RandomFeatures, Scaled, Settings, Wasserstein, linear_kernel, mean_covariance,
};
pub use mmd::{Target, mmd2_biased, mmd2_unbiased, witness_gradient};
pub use objective::{Objective, Pictures, Regulariser, Terms};
pub use penalty::{activation_penalty, asymmetric_penalty, gradient_penalty, order_term, reconstruction_penalty};
pub use scale::Scale;
