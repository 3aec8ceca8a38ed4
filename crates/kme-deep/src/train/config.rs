//! The configuration of a training run: what is typed, and what it means.

use super::presets::PRESETS;
use crate::model::Latent;
use kme::kernel::KernelSpec;
use kme::{Error, Result};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Everything that decides a training run. The same configuration on the same data gives the same bits on the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the run was begun as: a preset's name or a file. Set by the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    pub seed: u64,
    /// Training steps; for a GAN, steps of the generator.
    pub steps: u64,
    /// Pictures per step.
    pub batch: usize,
    pub data: Data,
    pub objective: Objective,
    pub optimiser: Adam,
    #[serde(default)]
    pub log: Log,
}

/// Which pictures are learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// A source of pictures, as on the command line.
    pub source: String,
    /// Pictures that are never learned from, for scores.
    pub held_out: Option<String>,
    /// Height and width to which pictures are brought.
    pub size: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
}

/// What is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Objective {
    /// Bińkowski et al., ICLR 2018.
    MmdGan(MmdGan),
    /// Cross-entropy on labels; its features judge and steer.
    Classifier(ClassifierObjective),
}

/// An MMD GAN: a generator against the MMD under a kernel on a learned feature map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MmdGan {
    /// Kernel on the critic's features.
    #[serde(with = "text")]
    pub kernel: KernelSpec,
    pub latent: Latent,
    /// Maps of the generator's last hidden stage.
    pub generator_width: usize,
    /// Maps of the critic's first stage.
    pub critic_width: usize,
    /// Features that the critic gives.
    pub top: usize,
    /// Critic steps before each generator step.
    pub critic_steps: u64,
    /// Weight of the gradient penalty.
    pub gradient_penalty: f64,
    /// Weight of the activation penalty.
    pub activation_penalty: f64,
    /// Decay of the exponential moving average (EMA) of the generator that is sampled and saved; 0 saves the last weights.
    pub ema_decay: f64,
    /// Feature map in which scores are computed: a model's name, or `pixels`.
    pub features: String,
}

/// A classifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierObjective {
    /// Maps of the first convolution; doubled at each of the three stages.
    pub width: usize,
    /// Width of the feature layer.
    pub features: usize,
    /// Largest shift in pixels of the random translations that pictures are seen under.
    pub shift: usize,
}

/// Adam, with every gradient tensor scaled down to at most the norm `clip`, and the learning rate falling along half a
/// cosine to `final_fraction` of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub clip: Option<f64>,
    #[serde(default = "one")]
    pub final_fraction: f64,
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
    /// Whether event files for TensorBoard are written, to RUN/tensorboard/.
    pub tensorboard: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { every: 10, samples: 250, checkpoint: 250, tensorboard: false }
    }
}

fn one() -> f64 {
    1.0
}

/// Values that are written as their text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::{fmt::Display, str::FromStr};

    pub fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Config {
    /// The presets.
    pub fn presets() -> impl Iterator<Item = &'static super::Preset> {
        PRESETS.iter()
    }

    /// The configuration that `text` names: a preset, or a TOML file.
    ///
    /// # Errors
    /// When it is neither, or the file is not a configuration; a wrong key or value is named with its place.
    pub fn load(text: &str) -> Result<Self> {
        let (toml, path) = Self::text(text)?;
        Self::parse(&toml, Path::new(&path))
    }

    /// The TOML text that `text` names, and its name for messages.
    pub(super) fn text(text: &str) -> Result<(String, String)> {
        if let Some(preset) = PRESETS.iter().find(|preset| preset.name == text) {
            return Ok((preset.toml.into(), text.into()));
        }
        let path = Path::new(text);
        if !path.exists() {
            let names: Vec<_> = Self::presets().map(|preset| preset.name).collect();
            return Err(Error::value("preset", text, format!("{}, or a TOML file that exists", names.join(", "))));
        }
        Ok((std::fs::read_to_string(path).map_err(|e| kme::io::read_error(path, &e))?, text.into()))
    }

    /// A configuration from TOML text; `path` is for messages.
    ///
    /// # Errors
    /// When a key is unknown or missing, or a value is not allowed.
    pub fn parse(toml: &str, path: &Path) -> Result<Self> {
        let config: Self = toml::from_str(toml).map_err(|e| Error::file(path, e))?;
        config.check().map_err(|e| Error::file(path, e))?;
        Ok(config)
    }

    /// As TOML text.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a configuration has only values that TOML can write")
    }

    /// Refuses values that cannot be trained with.
    ///
    /// # Errors
    /// Names the key, the value and what is allowed.
    pub fn check(&self) -> Result<()> {
        let count = |key: &str, value: u64, range: std::ops::RangeInclusive<u64>| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(Error::value(key, value, format!("{} to {}", range.start(), range.end())))
            }
        };
        let within = |key: &str, value: f64, range: std::ops::RangeInclusive<f64>| {
            if range.contains(&value) {
                Ok(())
            } else {
                Err(Error::value(key, value, format!("{} to {}", range.start(), range.end())))
            }
        };
        const MANY: u64 = 1_000_000_000;
        // TOML's whole numbers are signed.
        count("seed", self.seed, 0..=i64::MAX as u64)?;
        count("steps", self.steps, 1..=MANY)?;
        count("batch", self.batch as u64, 2..=65_536)?;
        count("log.every", self.log.every, 1..=MANY)?;
        count("log.samples", self.log.samples, 1..=MANY)?;
        count("log.checkpoint", self.log.checkpoint, 1..=MANY)?;
        count("data.size", self.data.size as u64, 4..=1024)?;
        if !matches!(self.data.channels, 1 | 3) {
            return Err(Error::value("data.channels", self.data.channels, "1 (grey) or 3 (colour)"));
        }
        within("optimiser.learning_rate", self.optimiser.learning_rate, 1e-9..=10.0)?;
        within("optimiser.beta1", self.optimiser.beta1, 0.0..=0.9999)?;
        within("optimiser.beta2", self.optimiser.beta2, 0.0..=0.999999)?;
        within("optimiser.final_fraction", self.optimiser.final_fraction, 0.0..=1.0)?;
        if let Some(clip) = self.optimiser.clip {
            within("optimiser.clip", clip, 1e-9..=1e9)?;
        }
        match &self.objective {
            Objective::MmdGan(gan) => {
                for (key, value) in [
                    ("latent.dim", gan.latent.dim),
                    ("generator_width", gan.generator_width),
                    ("critic_width", gan.critic_width),
                    ("top", gan.top),
                ] {
                    count(&format!("objective.{key}"), value as u64, 1..=8192)?;
                }
                count("objective.critic_steps", gan.critic_steps, 1..=1000)?;
                within("objective.gradient_penalty", gan.gradient_penalty, 0.0..=1e6)?;
                within("objective.activation_penalty", gan.activation_penalty, 0.0..=1e6)?;
                within("objective.ema_decay", gan.ema_decay, 0.0..=0.999999)
            }
            Objective::Classifier(classifier) => {
                if !self.data.size.is_multiple_of(4) {
                    return Err(Error::value("data.size", self.data.size, "a multiple of 4 for the classifier"));
                }
                count("objective.width", classifier.width as u64, 1..=8192)?;
                count("objective.features", classifier.features as u64, 1..=8192)?;
                within("objective.shift", classifier.shift as f64, 0.0..=(self.data.size as f64 / 4.0))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_parse_and_print() {
        for preset in Config::presets() {
            let config = Config::load(preset.name).unwrap();
            assert_eq!(Config::parse(&config.to_toml(), Path::new("printed")).unwrap(), config, "{}", preset.name);
        }
    }

    #[test]
    fn messages_name_the_key() {
        let toml = Config::load("fashion-mmd-gan").unwrap().to_toml();
        let message = |from: &str, to: &str| {
            assert!(toml.contains(from), "{from} in\n{toml}");
            Config::parse(&toml.replace(from, to), Path::new("c.toml")).unwrap_err().to_string()
        };
        assert!(message("steps = ", "stepz = ").contains("stepz"));
        assert!(message("kernel = \"rq", "kernel = \"rqq").contains("rqq"));
        assert!(message("channels = 1", "channels = 2").contains("data.channels = 2"));
        let mut config = Config::load("fashion-mmd-gan").unwrap();
        config.seed = u64::MAX;
        assert!(config.check().unwrap_err().to_string().contains("seed"));
        assert!(Config::load("no-such-preset").unwrap_err().to_string().contains("fashion-mmd-gan"));
    }
}
