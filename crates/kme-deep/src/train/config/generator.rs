//! A generator, and the critic that is trained against it.

use crate::loss::Regulariser;
use crate::range::{count, within};
use kme::{Error, Result};
use kme_net::{CriticNet, GeneratorNet, Latent};
use serde::{Deserialize, Serialize};

/// The network that is trained to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    /// The architecture.
    pub net: GeneratorNet,
    /// What it is fed with: 1 to 8192 random numbers of a distribution.
    pub latent: Latent,
    /// Decay of the exponential moving average (EMA) of the generator that is sampled and saved; 0 saves the last weights.
    #[serde(default)]
    pub ema_decay: f64,
    /// Whether generator and critic see the labels of the data.
    #[serde(default)]
    pub conditional: bool,
    /// A trained autoencoder (run folder or file): the generator makes codes, which its decoder turns into pictures, and
    /// everything is compared in the space of codes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<String>,
}

/// The network that is trained to tell the generator's samples from the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Critic {
    /// The architecture.
    pub net: CriticNet,
    /// Features that it gives.
    pub top: usize,
    /// Critic steps before each generator step.
    pub steps: u64,
    /// More of them at times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Spectral parametrisation of its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral: Option<Spectral>,
    /// After every step, weights are moved into [−clip_weights, clip_weights].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_weights: Option<f64>,
    /// A network from features back to samples, for `regulariser.reconstruction`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoder: Option<GeneratorNet>,
    /// The critic's own learning rate; without it, the optimiser's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
}

/// `steps` critic steps in each of the first `until` generator steps, and in every step whose number is a multiple of `every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Burst {
    /// Generator steps at the beginning that are all bursts, 0 to 10⁹.
    pub until: u64,
    /// Generator steps from one burst to the next, 1 to 10⁹.
    pub every: u64,
    /// Critic steps of a burst, 1 to 1000.
    pub steps: u64,
}

/// W = s·W̄/σ(W̄) for the weights of the critic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spectral {
    /// s = 1. Miyato et al., ICLR 2018.
    Normalised,
    /// s is learned, one number for each layer. Arbel et al., NeurIPS 2018.
    Learned,
}

impl Generator {
    /// Refuses what cannot be trained with; `has_critic` says whether there is a critic that can see labels.
    pub(in crate::train) fn check(&self, has_critic: bool) -> Result<()> {
        count("generator.latent.dim", self.latent.dim as u64, 1..=8192)?;
        within("generator.ema_decay", self.ema_decay, 0.0..=0.999999)?;
        if self.conditional && (!has_critic || self.decoder.is_some()) {
            let allowed = "false, unless a critic of the pictures themselves sees the labels too";
            return Err(Error::parameter("generator.conditional", true, allowed));
        }
        Ok(())
    }
}

impl Critic {
    /// Refuses what cannot be trained with, beside these regularisers.
    pub(in crate::train) fn check(&self, regulariser: &Regulariser) -> Result<()> {
        count("critic.top", self.top as u64, 1..=8192)?;
        count("critic.steps", self.steps, 1..=1000)?;
        if let Some(burst) = &self.burst {
            count("critic.burst.steps", burst.steps, 1..=1000)?;
            count("critic.burst.every", burst.every, 1..=1_000_000_000)?;
            count("critic.burst.until", burst.until, 0..=1_000_000_000)?;
        }
        if let Some(clip) = self.clip_weights {
            within("critic.clip_weights", clip, 1e-9..=1e9)?;
            if self.spectral == Some(Spectral::Learned) {
                let allowed = "left out beside critic.spectral = \"learned\", whose scales it would hold near 0";
                return Err(Error::parameter("critic.clip_weights", clip, allowed));
            }
        }
        if let Some(rate) = self.learning_rate {
            within("critic.learning_rate", rate, 1e-9..=1e4)?;
        }
        regulariser.check()?;
        if (regulariser.reconstruction > 0.0) != self.decoder.is_some() {
            let allowed = match self.decoder {
                Some(_) => "above 0, since there is a critic.decoder",
                None => "0, since there is no critic.decoder",
            };
            return Err(Error::parameter("regulariser.reconstruction", regulariser.reconstruction, allowed));
        }
        let differentiates = regulariser.gradient_penalty > 0.0 || regulariser.scale.is_some();
        if differentiates && self.net.has_batch_norm() {
            let allowed = "without it, since regulariser.gradient_penalty and regulariser.scale need the derivatives of a \
                           picture's features, not of a whole batch's";
            return Err(Error::parameter("critic.net", "with batch normalisation", allowed));
        }
        Ok(())
    }
}
