//! How learning rates change during a run.

use super::{Config, Optimiser};
use crate::range::{count, within};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// A kind without settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

/// How learning rates change during a run; a factor for all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Schedule {
    /// 1 throughout.
    Constant(Plain),
    /// Half a cosine.
    Cosine(Cosine),
    /// A geometric decay.
    Decay(Decay),
    /// One drop.
    Drop(Drop),
    /// A drop whenever tests show no progress.
    ThreeSample(ThreeSample),
}

impl Default for Schedule {
    fn default() -> Self {
        Self::Constant(Plain {})
    }
}

/// Half a cosine from 1 down to `final_fraction`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// The factor at the last step, 0 to 1.
    pub final_fraction: f64,
}

/// Times `factor` every `every` steps, until `optimiser.learning_rate` times all factors is `least`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    /// 1e-6 to 1.
    pub factor: f64,
    /// Steps, 1 to 10⁹.
    pub every: u64,
    /// A learning rate, 0 to 1; 1e-6 by default.
    #[serde(default = "least")]
    pub least: f64,
}

/// Times `factor` from step `at` on, and there another momentum (of `sgd`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    /// A step, from 0 on.
    pub at: u64,
    /// 1e-6 to 1.
    pub factor: f64,
    /// 0 to 0.9999; by default it stays as it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
}

/// The rule by a relative three-sample test: every `every` steps, is the generator nearer to the training data than it was
/// `queue` checks ago? After `patience` checks in a row that do not show it (p > `alpha`), learning rates are multiplied by
/// `factor`. Compared are `samples` generated pictures and as many training pictures (or all, if there are fewer), in the
/// features of `score.features`, by the kernel of KID; points by the energy distance's. Bińkowski et al., ICLR 2018, §4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreeSample {
    /// Steps between checks, 1 to 10⁹.
    pub every: u64,
    /// 1e-6 to 1.
    pub factor: f64,
    /// Generated pictures of a check, 3 to 100000; 2048 by default.
    #[serde(default = "samples")]
    pub samples: usize,
    /// There is progress where p ≤ alpha.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// Checks back to the samples that are compared with; 10 by default.
    #[serde(default = "queue")]
    pub queue: usize,
    /// Checks in a row without progress before a decay; 3 by default.
    #[serde(default = "patience")]
    pub patience: usize,
    /// Checks that the queue keeps after a decay.
    #[serde(default = "patience")]
    pub kept: usize,
    /// Least variance of the difference that the test looks at, in the units of KID; 0 for none but that of equal laws. The
    /// published code has 1e-5, which hides differences of KID below 0.0041.
    #[serde(default = "floor")]
    pub variance_floor: f64,
    /// Least learning rate, 0 to 1; 1e-6 by default.
    #[serde(default = "least")]
    pub least: f64,
}

fn least() -> f64 {
    1e-6
}
fn samples() -> usize {
    2048
}
fn alpha() -> f64 {
    0.1
}
fn queue() -> usize {
    10
}
fn patience() -> usize {
    3
}
fn floor() -> f64 {
    0.0
}

impl Schedule {
    /// Refuses what cannot be trained with.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Cosine(cosine) => within("schedule.final_fraction", cosine.final_fraction, 0.0..=1.0),
            Self::Decay(decay) => {
                within("schedule.factor", decay.factor, 1e-6..=1.0)?;
                within("schedule.least", decay.least, 0.0..=1.0)?;
                count("schedule.every", decay.every, 1..=1_000_000_000)
            }
            Self::Drop(drop) => {
                within("schedule.factor", drop.factor, 1e-6..=1.0)?;
                match (drop.momentum, &config.optimiser) {
                    (None, _) => Ok(()),
                    (Some(momentum), Optimiser::Sgd(_)) => within("schedule.momentum", momentum, 0.0..=0.9999),
                    (Some(_), _) => {
                        let reason = "only the optimiser sgd has a momentum. Remove it, or choose sgd";
                        Err(Error::not_applicable("schedule.momentum", reason))
                    }
                }
            }
            Self::ThreeSample(rule) => {
                within("schedule.factor", rule.factor, 1e-6..=1.0)?;
                within("schedule.least", rule.least, 0.0..=1.0)?;
                count("schedule.every", rule.every, 1..=1_000_000_000)?;
                count("schedule.samples", rule.samples as u64, 3..=100_000)?;
                // The rule checks its own numbers.
                crate::train::schedule::Schedule::new(self, 1.0, 1)?;
                if config.objective.divergence().is_none() {
                    let allowed = "another schedule, since no generator is trained";
                    return Err(Error::parameter("schedule.kind", "three-sample", allowed));
                }
                Ok(())
            }
        }
    }
}
