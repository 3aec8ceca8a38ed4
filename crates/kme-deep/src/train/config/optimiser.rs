//! How parameters move along their gradients.

use crate::range::within;
use kme::Result;
use serde::{Deserialize, Serialize};

/// How parameters are moved along their gradients. `clip` scales every gradient tensor down to at most that norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Optimiser {
    /// Moments of the gradient and of its square.
    Adam(Adam),
    /// The gradient, with momentum.
    Sgd(Sgd),
    /// The gradient over the root of its mean square.
    Rmsprop(Rmsprop),
}

/// Adam (Kingma and Ba 2015) with bias correction and ε = 1e-8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    /// 1e-9 to 10⁴.
    pub learning_rate: f64,
    /// Decay of the mean of gradients, 0 to 0.9999.
    pub beta1: f64,
    /// Decay of the mean of squared gradients, 0 to 0.999999.
    pub beta2: f64,
    /// Greatest norm of a gradient tensor, 1e-9 to 10⁹; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

/// v ← momentum·v + gradient, x ← x − learning_rate·v.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    /// 1e-9 to 10⁴.
    pub learning_rate: f64,
    /// 0 (the default) to 0.9999.
    #[serde(default)]
    pub momentum: f64,
    /// Greatest norm of a gradient tensor, 1e-9 to 10⁹; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

/// s ← decay·s + (1 − decay)·gradient², x ← x − learning_rate·gradient/(√s + 1e-8). Tieleman and Hinton 2012.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rmsprop {
    /// 1e-9 to 10⁴.
    pub learning_rate: f64,
    /// Decay of the mean of squared gradients, 0 to 0.999999; 0.99 by default.
    #[serde(default = "rmsprop_decay")]
    pub decay: f64,
    /// Greatest norm of a gradient tensor, 1e-9 to 10⁹; no limit by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

fn rmsprop_decay() -> f64 {
    0.99
}

impl Optimiser {
    /// The learning rate before any schedule.
    pub fn learning_rate(&self) -> f64 {
        match self {
            Self::Adam(Adam { learning_rate, .. })
            | Self::Sgd(Sgd { learning_rate, .. })
            | Self::Rmsprop(Rmsprop { learning_rate, .. }) => *learning_rate,
        }
    }

    /// The norm that gradients are scaled down to.
    pub fn clip(&self) -> Option<f64> {
        match self {
            Self::Adam(Adam { clip, .. }) | Self::Sgd(Sgd { clip, .. }) | Self::Rmsprop(Rmsprop { clip, .. }) => *clip,
        }
    }

    /// Refuses what cannot be trained with.
    pub(super) fn check(&self) -> Result<()> {
        within("optimiser.learning_rate", self.learning_rate(), 1e-9..=1e4)?;
        if let Some(clip) = self.clip() {
            within("optimiser.clip", clip, 1e-9..=1e9)?;
        }
        match self {
            Self::Adam(adam) => {
                within("optimiser.beta1", adam.beta1, 0.0..=0.9999)?;
                within("optimiser.beta2", adam.beta2, 0.0..=0.999999)
            }
            Self::Sgd(sgd) => within("optimiser.momentum", sgd.momentum, 0.0..=0.9999),
            Self::Rmsprop(rmsprop) => within("optimiser.decay", rmsprop.decay, 0.0..=0.999999),
        }
    }
}
