//! What two batches of features are compared by: the part of an objective that knows no network. One file each.

mod cramer;
mod logistic;
mod mean_covariance;
mod mmd;
mod wasserstein;

pub use cramer::Cramer;
pub use logistic::Logistic;
pub use mean_covariance::{MeanCovariance, mean_covariance};
pub(super) use mmd::lifted;
pub use mmd::{Estimator, Mmd, MmdSettings, RandomFeatures, linear_kernel};
pub use wasserstein::Wasserstein;

use super::objective::Regulariser;
use burn::tensor::Tensor;
use kme::{Error, Kernel, Result};
use kme_net::{Net, Place};
use std::borrow::Cow;
use std::fmt::Debug;
use std::sync::Arc;

/// A discrepancy of two batches of features.
///
/// It has two faces: what the critic raises, and what the generator lowers. They are the same expression unless the game is
/// not zero-sum, or the critic raises a surrogate.
pub trait Divergence: Debug + Send + Sync {
    /// The names under which the critic's and the generator's values are logged.
    fn names(&self) -> [&'static str; 2];

    /// What the generator lowers.
    ///
    /// # Errors
    /// When a batch is too small, a critic of one number gives more, or a second batch is missing that it needs.
    fn generator(&self, features: &Features) -> Result<Tensor<1>>;

    /// What the critic raises; the same as the generator lowers by default.
    ///
    /// # Errors
    /// As [`generator`](Self::generator).
    fn critic(&self, features: &Features) -> Result<Tensor<1>> {
        self.generator(features)
    }

    /// The gradient in h of the function that the critic tells the two batches apart by, at the rows of `h`: the witness,
    /// or the critic itself. Not divided by a norm. Where there is a second batch, `h` has as many rows, and each row of it
    /// goes with one of `h`.
    ///
    /// Shapes: h (b, d) → (b, d). Differentiable in h and in the features.
    ///
    /// # Errors
    /// Where there is no such function.
    fn witness_gradient(&self, h: &Tensor<2>, features: &Features) -> Result<Tensor<2>>;

    /// Whether it needs a second generated batch.
    fn needs_second(&self) -> bool {
        false
    }

    /// Whether the critic must give a single number.
    fn needs_one_feature(&self) -> bool {
        false
    }

    /// What a [`Scale`](super::Scale) is the variation of; nothing where it is not defined, the default.
    fn scaled(&self) -> Option<Scaled<'_>> {
        None
    }

    /// It as it is from step `draw.step` on, where that is another one: what it has of random features is drawn here.
    ///
    /// # Errors
    /// When there cannot be such features.
    fn drawn(&self, _draw: &Draw) -> Result<Option<Arc<dyn Divergence>>> {
        Ok(None)
    }
}

/// The table `[objective]` of a configuration, where its kind is a divergence.
pub trait Settings {
    /// Which features are compared: [`CRITIC`] by default.
    fn features(&self) -> &str {
        CRITIC
    }

    /// The divergence with these settings.
    ///
    /// # Errors
    /// By the dotted key, what cannot be trained with.
    fn divergence(&self, beside: &Beside) -> Result<Arc<dyn Divergence>>;
}

/// The features of a critic that is trained against the generator.
pub const CRITIC: &str = "critic";

/// The samples themselves as features.
pub const IDENTITY: &str = "identity";

/// What a divergence should fit.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// The number of the critic's features; nothing where there is no critic.
    pub top: Option<usize>,
    /// What is added to it.
    pub regulariser: &'a Regulariser,
}

/// From what random features are drawn.
#[derive(Clone, Copy, Debug)]
pub struct Draw<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The step, from 0.
    pub step: u64,
    /// The dimensions of the features that are compared, one for each tensor of them.
    pub features: &'a [usize],
    /// Where they live.
    pub place: &'a Place,
}

/// A kernel on critic features, for its variation over pictures.
#[derive(Debug)]
pub struct Scaled<'a> {
    /// The kernel.
    pub kernel: Cow<'a, Kernel>,
    /// Random features below the kernel.
    pub lift: Option<&'a Net>,
    /// Whether the divergence is a square, and is multiplied by σ² instead of σ.
    pub squared: bool,
}

/// Critic features of one step: real (n, d), generated (m, d), and a second, independent generated batch where the
/// divergence needs one.
pub struct Features {
    /// Of the data, (n, d).
    pub real: Tensor<2>,
    /// Of the generator, (m, d).
    pub fake: Tensor<2>,
    /// Of the generator again, (m, d), where the divergence [needs it](Divergence::needs_second).
    pub second: Option<Tensor<2>>,
}

impl Features {
    /// Real and generated numbers, one for each sample.
    fn single(&self) -> Result<(&Tensor<2>, &Tensor<2>)> {
        let d = self.real.dims()[1];
        if d != 1 {
            return Err(one_feature(d));
        }
        Ok((&self.real, &self.fake))
    }
}

/// The refusal of a critic with `top` features where it must give one.
pub(crate) fn one_feature(top: usize) -> Error {
    Error::parameter("critic.top", top, "1, since this objective's critic gives a single number")
}
