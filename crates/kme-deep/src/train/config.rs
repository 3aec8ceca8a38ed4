//! The configuration of a training run as it is typed. What it means, once checked, is a [`Plan`](super::Plan).

mod generator;
mod objective;
mod optimiser;
pub(super) mod read;
mod schedule;
#[cfg(test)]
mod tests;

pub use super::data::{AUTO, Data, NONE};
pub use generator::{Burst, Critic, Generator, Spectral};
pub(super) use objective::Kind;
pub use objective::{AutoencoderObjective, ClassifierObjective, ObjectiveConfig};
pub use optimiser::{Adam, Optimiser, Rmsprop, Sgd};
pub use schedule::{Cosine, Decay, Drop, Plain, Schedule, ThreeSample};

use crate::loss::Regulariser;
use crate::range::{count, within};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// Everything that decides a training run. The same configuration on the same data gives the same bits on the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the run was begun as: a preset's name or a file. Set by the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The folder from which relative names of files in this configuration are meant. Set by the program when a run begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_in: Option<String>,
    /// A run folder, checkpoint or model whose networks those of this run begin as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// From which everything random follows; 0 to 2⁶³ − 1.
    pub seed: u64,
    /// Training steps; where there is a critic, steps of the generator.
    pub steps: u64,
    /// Samples per step.
    pub batch: usize,
    /// What is learned from.
    pub data: Data,
    /// What is learned, and by which loss.
    pub objective: ObjectiveConfig,
    /// Needed for all objectives but the classifier and the autoencoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// Needed where the objective's features are those of a critic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic: Option<Critic>,
    /// What keeps the critic smooth; nothing by default.
    #[serde(default)]
    pub regulariser: Regulariser,
    /// How parameters move along their gradients.
    pub optimiser: Optimiser,
    /// How learning rates change; constant by default.
    #[serde(default)]
    pub schedule: Schedule,
    /// How samples are judged; 2000 in pixels by default.
    #[serde(default)]
    pub score: ScoreConfig,
    /// How often things are written.
    #[serde(default)]
    pub log: Log,
}

/// How samples are judged during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScoreConfig {
    /// Feature map of scores, which also stands on the generator's card: a model's name, or `pixels`.
    pub features: String,
    /// Held-out and generated samples that are compared.
    pub count: usize,
}

impl Default for ScoreConfig {
    fn default() -> Self {
        Self { features: "pixels".into(), count: 2000 }
    }
}

/// How often things are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Steps between events.
    pub every: u64,
    /// Steps between sample sheets and scores on held-out pictures.
    pub samples: u64,
    /// Steps between checkpoints.
    pub checkpoint: u64,
    /// Earlier models that are kept, evenly from the whole run, in RUN/models/.
    pub keep: u64,
    /// Minutes after which sheet, report, model and checkpoint are written, however many steps that is, the first of them
    /// after one minute at most; 0 leaves it to the steps.
    pub minutes: f64,
    /// Whether event files for TensorBoard are written, to RUN/tensorboard/.
    pub tensorboard: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { every: 10, samples: 250, checkpoint: 250, keep: 4, minutes: 10.0, tensorboard: false }
    }
}

impl Config {
    /// Refuses numbers that no run can have, and data, optimisers and schedules that cannot be used.
    ///
    /// # Errors
    /// By the dotted key, [`Error::Parameter`], [`Error::Missing`] and [`Error::NotApplicable`].
    pub(super) fn check_ranges(&self) -> Result<()> {
        const MANY: u64 = 1_000_000_000;
        // TOML's whole numbers are signed.
        count("seed", self.seed, 0..=i64::MAX as u64)?;
        count("steps", self.steps, 1..=MANY)?;
        // The kernel is computed of all pairs of a batch.
        count("batch", self.batch as u64, 2..=16_384)?;
        count("log.every", self.log.every, 1..=MANY)?;
        count("log.samples", self.log.samples, 1..=MANY)?;
        count("log.checkpoint", self.log.checkpoint, 1..=MANY)?;
        count("log.keep", self.log.keep, 0..=10_000)?;
        within("log.minutes", self.log.minutes, 0.0..=1e6)?;
        count("score.count", self.score.count as u64, 2..=1_000_000)?;
        let scores_by_features = self.objective.divergence().is_some() && !self.data.is_points();
        if !scores_by_features && self.score.features != ScoreConfig::default().features {
            let reason = "only generators of pictures are scored in features. Leave it out";
            return Err(Error::not_applicable("score.features", reason));
        }
        self.data.check()?;
        self.optimiser.check()?;
        self.schedule.check(self)
    }

    /// The settings that `other` has otherwise, each with both values.
    pub(super) fn differences(&self, other: &Self) -> Vec<[String; 3]> {
        let [mine, theirs] = [self, other].map(Self::settings);
        let value = |settings: &[(String, String)], key: &str| {
            settings.iter().find(|(other, _)| other == key).map_or("nothing".to_string(), |(_, value)| value.clone())
        };
        let new = theirs.iter().filter(|(key, _)| mine.iter().all(|(other, _)| other != key));
        let both = mine.iter().chain(new).map(|(key, _)| [key.clone(), value(&mine, key), value(&theirs, key)]);
        both.filter(|[_, was, is]| was != is).collect()
    }

    /// Dotted keys with their values as TOML.
    fn settings(&self) -> Vec<(String, String)> {
        let mut place = String::new();
        let mut settings = Vec::new();
        for line in self.to_toml().lines() {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                place = format!("{name}.");
            } else if let Some((key, value)) = line.split_once(" = ") {
                settings.push((format!("{place}{key}"), value.into()));
            }
        }
        settings
    }

    /// As TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has only values that TOML can write")
    }
}
