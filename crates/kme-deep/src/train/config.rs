//! The configuration of a training run: what is typed, and what it means.

pub use super::data::Data;
use super::presets::PRESETS;
use crate::loss::{Estimator, Regulariser};
use crate::model::Latent;
use crate::net::{CriticNet, GeneratorNet};
use kme::features::Waves;
use kme::kernel::KernelSpec;
use kme::{Error, Result};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use std::path::Path;

/// Everything that decides a training run. The same configuration on the same data gives the same bits on the processor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the run was begun as: a preset's name or a file. Set by the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    pub seed: u64,
    /// Training steps; where there is a critic, steps of the generator.
    pub steps: u64,
    /// Samples per step.
    pub batch: usize,
    pub data: Data,
    pub objective: Objective,
    /// Needed for all objectives but the classifier and the autoencoder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Generator>,
    /// Needed where the objective's features are those of a critic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic: Option<Critic>,
    #[serde(default)]
    pub regulariser: Regulariser,
    pub optimiser: Optimiser,
    #[serde(default)]
    pub schedule: Schedule,
    #[serde(default)]
    pub score: Score,
    #[serde(default)]
    pub log: Log,
}

/// What is learned: by what a generator's samples are told from the data, or another task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Objective {
    /// The MMD of features under a kernel: GMMN, kernelized GAN, MMD GAN, Scaled MMD GAN.
    Mmd(Mmd),
    /// WGAN, by how its critic is kept Lipschitz: `critic.clip_weights`, `regulariser.gradient_penalty` or `regulariser.scale`.
    Wasserstein(Plain),
    /// The Cramér GAN.
    Cramer(Plain),
    /// McGan.
    MeanCovariance(MeanCovariance),
    /// The classical GAN, with `critic.spectral = "normalised"` SN-GAN.
    Logistic(Plain),
    /// Cross-entropy on labels; its features judge and steer.
    Classifier(ClassifierObjective),
    /// Codes from which pictures can be made again; a generator can then be trained in the space of codes.
    Autoencoder(AutoencoderObjective),
}

/// An objective without settings of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {}

/// Squared maximum mean discrepancy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mmd {
    #[serde(with = "text")]
    pub kernel: KernelSpec,
    #[serde(default = "unbiased")]
    pub estimator: Estimator,
    /// `critic` (learned against the generator), `identity` (the samples themselves), or a feature map's name.
    #[serde(default = "critic")]
    pub features: String,
    /// Random features that stand for a Gaussian kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_features: Option<RandomFeatures>,
}

/// Random Fourier features ("random kitchen sinks") of a Gaussian kernel: sums in linear time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFeatures {
    pub count: usize,
    /// Cosines with random phases, or pairs of cosine and sine.
    #[serde(default)]
    pub waves: Waves,
    /// New frequencies in every step, instead of the same in all.
    #[serde(default)]
    pub redraw: bool,
}

/// Means and covariances of critic features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanCovariance {
    /// The norm q of the difference of means.
    #[serde(default = "two")]
    pub norm: f64,
    /// Directions in which covariances are compared; 0 compares the means alone.
    pub components: usize,
}

/// The network that is trained to generate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generator {
    pub net: GeneratorNet,
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
    pub until: u64,
    pub every: u64,
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

/// An autoencoder of dense layers with sigmoids, mirrored in its decoder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoencoderObjective {
    /// Widths of the encoder's layers; the last is the number of numbers in a code.
    pub units: Vec<usize>,
    /// Fraction of the pixels that the encoder does not see, another choice in every step.
    #[serde(default)]
    pub input_dropout: f64,
}

/// How parameters are moved along their gradients. `clip` scales every gradient tensor down to at most that norm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Optimiser {
    Adam(Adam),
    Sgd(Sgd),
    Rmsprop(Rmsprop),
}

/// Adam (Kingma and Ba 2015) with bias correction and ε = 1e-8.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adam {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

/// v ← momentum·v + gradient, x ← x − learning_rate·v.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sgd {
    pub learning_rate: f64,
    #[serde(default)]
    pub momentum: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

/// s ← decay·s + (1 − decay)·gradient², x ← x − learning_rate·gradient/(√s + 1e-8). Tieleman and Hinton 2012.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rmsprop {
    pub learning_rate: f64,
    #[serde(default = "rmsprop_decay")]
    pub decay: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f64>,
}

/// How learning rates change during a run; a factor for all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Schedule {
    Constant(Plain),
    Cosine(Cosine),
    Decay(Decay),
    Drop(Drop),
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
    pub final_fraction: f64,
}

/// Times `factor` every `every` steps, down to a learning rate of `least`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    pub factor: f64,
    pub every: u64,
    #[serde(default = "least")]
    pub least: f64,
}

/// Times `factor` from step `at` on, and there another momentum (of `sgd`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drop {
    pub at: u64,
    pub factor: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
}

/// The rule by a relative three-sample test: every `every` steps, is the generator nearer to the training data than it was
/// `queue` checks ago? After `patience` checks in a row that do not show it (p > `alpha`), learning rates are multiplied by
/// `factor`. Compared are `samples` training pictures and as many generated ones, in the features of `score.features`, by
/// the kernel of KID. Bińkowski et al., ICLR 2018, §4.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreeSample {
    pub every: u64,
    pub factor: f64,
    #[serde(default = "samples")]
    pub samples: usize,
    /// There is progress where p ≤ alpha.
    #[serde(default = "alpha")]
    pub alpha: f64,
    #[serde(default = "queue")]
    pub queue: usize,
    #[serde(default = "patience")]
    pub patience: usize,
    /// Checks that the queue keeps after a decay.
    #[serde(default = "patience")]
    pub kept: usize,
    /// Least variance of the test's statistic. The published code has 1e-5, which hides differences of KID below 0.0041.
    #[serde(default = "floor")]
    pub variance_floor: f64,
    #[serde(default = "least")]
    pub least: f64,
}

/// How samples are judged during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Score {
    /// Feature map of scores, which also stands on the generator's card: a model's name, or `pixels`.
    pub features: String,
    /// Held-out and generated samples that are compared.
    pub count: usize,
}

impl Default for Score {
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
    /// Whether event files for TensorBoard are written, to RUN/tensorboard/.
    pub tensorboard: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { every: 10, samples: 250, checkpoint: 250, tensorboard: false }
    }
}

fn unbiased() -> Estimator {
    Estimator::Unbiased
}
fn critic() -> String {
    "critic".into()
}
fn two() -> f64 {
    2.0
}
fn rmsprop_decay() -> f64 {
    0.99
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
    kme::inference::DEFAULT_FLOOR
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

    /// Whether a generator is trained.
    pub fn generates(&self) -> bool {
        !matches!(self.objective, Objective::Classifier(_) | Objective::Autoencoder(_))
    }

    /// Whether a critic is trained against the generator.
    pub fn has_critic(&self) -> bool {
        match &self.objective {
            Objective::Mmd(mmd) => mmd.features == "critic",
            _ => self.generates(),
        }
    }

    /// Refuses values that cannot be trained with.
    ///
    /// # Errors
    /// Names the key, the value and what is allowed.
    pub fn check(&self) -> Result<()> {
        const MANY: u64 = 1_000_000_000;
        // TOML's whole numbers are signed.
        count("seed", self.seed, 0..=i64::MAX as u64)?;
        count("steps", self.steps, 1..=MANY)?;
        count("batch", self.batch as u64, 2..=65_536)?;
        count("log.every", self.log.every, 1..=MANY)?;
        count("log.samples", self.log.samples, 1..=MANY)?;
        count("log.checkpoint", self.log.checkpoint, 1..=MANY)?;
        count("score.count", self.score.count as u64, 2..=1_000_000)?;
        self.data.check()?;
        self.optimiser.check()?;
        self.schedule.check(self)?;
        self.check_parts()?;
        self.objective.check(self)
    }

    /// Whether the tables that the objective needs are there, and no others.
    fn check_parts(&self) -> Result<()> {
        let part = |key: &str, wanted: bool, found: bool| match (wanted, found) {
            (true, false) => Err(Error::value(key, "(missing)", format!("a table [{key}] for this objective"))),
            (false, true) => Err(Error::value(key, "(given)", format!("no table [{key}] for this objective"))),
            _ => Ok(()),
        };
        part("generator", self.generates(), self.generator.is_some())?;
        part("critic", self.has_critic(), self.critic.is_some())?;
        if let Some(generator) = &self.generator {
            generator.check(self)?;
        }
        match &self.critic {
            Some(critic) => critic.check(self)?,
            None if self.regulariser != Regulariser::default() => {
                return Err(Error::value("regulariser", "(given)", "nothing where no critic is trained"));
            }
            None => {}
        }
        Ok(())
    }
}

fn count(key: &str, value: u64, range: RangeInclusive<u64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::value(key, value, format!("{} to {}", range.start(), range.end())))
}

fn within(key: &str, value: f64, range: RangeInclusive<f64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::value(key, value, format!("{} to {}", range.start(), range.end())))
}

impl Optimiser {
    fn check(&self) -> Result<()> {
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

impl Schedule {
    fn check(&self, config: &Config) -> Result<()> {
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
                    (Some(momentum), _) => {
                        Err(Error::value("schedule.momentum", momentum, "nothing, unless the optimiser is sgd"))
                    }
                }
            }
            Self::ThreeSample(rule) => {
                within("schedule.factor", rule.factor, 1e-6..=1.0)?;
                within("schedule.least", rule.least, 0.0..=1.0)?;
                count("schedule.every", rule.every, 1..=1_000_000_000)?;
                count("schedule.samples", rule.samples as u64, 3..=100_000)?;
                // The rule checks its own numbers.
                super::schedule::Schedule::new(self, 1.0, 1)?;
                if !config.generates() {
                    return Err(Error::value(
                        "schedule.kind",
                        "three-sample",
                        "another schedule where no generator is trained",
                    ));
                }
                Ok(())
            }
        }
    }
}

impl Generator {
    fn check(&self, config: &Config) -> Result<()> {
        count("generator.latent.dim", self.latent.dim as u64, 1..=8192)?;
        within("generator.ema_decay", self.ema_decay, 0.0..=0.999999)?;
        if self.conditional && (!config.has_critic() || self.decoder.is_some()) {
            let allowed = "false, unless a critic on the pictures themselves sees the labels too";
            return Err(Error::value("generator.conditional", true, allowed));
        }
        Ok(())
    }
}

impl Critic {
    fn check(&self, config: &Config) -> Result<()> {
        count("critic.top", self.top as u64, 1..=8192)?;
        count("critic.steps", self.steps, 1..=1000)?;
        if let Some(burst) = &self.burst {
            count("critic.burst.steps", burst.steps, 1..=1000)?;
            count("critic.burst.every", burst.every, 1..=1_000_000_000)?;
            count("critic.burst.until", burst.until, 0..=1_000_000_000)?;
        }
        if let Some(clip) = self.clip_weights {
            within("critic.clip_weights", clip, 1e-9..=1e9)?;
        }
        if let Some(rate) = self.learning_rate {
            within("critic.learning_rate", rate, 1e-9..=1e4)?;
        }
        let regulariser = &config.regulariser;
        for (key, value) in [
            ("gradient_penalty", regulariser.gradient_penalty),
            ("activation_penalty", regulariser.activation_penalty),
            ("asymmetric", regulariser.asymmetric),
            ("order", regulariser.order),
            ("reconstruction", regulariser.reconstruction),
        ] {
            within(&format!("regulariser.{key}"), value, 0.0..=1e6)?;
        }
        if (regulariser.reconstruction > 0.0) != self.decoder.is_some() {
            let found = format!(
                "{} with {} critic.decoder",
                regulariser.reconstruction,
                if self.decoder.is_some() { "a" } else { "no" }
            );
            return Err(Error::value("regulariser.reconstruction", found, "above 0 with a critic.decoder, or neither"));
        }
        if let Some(scale) = &regulariser.scale {
            within("regulariser.scale.weight", scale.weight, 0.0..=1e9)?;
            within("regulariser.scale.offset", scale.offset, 1e-9..=1e9)?;
            if !matches!(config.objective, Objective::Mmd(_) | Objective::Wasserstein(_)) {
                return Err(Error::value(
                    "regulariser.scale",
                    "(given)",
                    "nothing, unless the objective is mmd or wasserstein",
                ));
            }
        }
        Ok(())
    }
}

impl Objective {
    fn check(&self, config: &Config) -> Result<()> {
        let one = |critic: Option<&Critic>| match critic {
            Some(critic) if critic.top != 1 => {
                Err(Error::value("critic.top", critic.top, "1 for this objective: its critic gives a number"))
            }
            _ => Ok(()),
        };
        match self {
            Self::Mmd(mmd) => {
                if let Some(random) = &mmd.random_features {
                    count("objective.random_features.count", random.count as u64, 1..=65_536)?;
                }
                Ok(())
            }
            Self::Wasserstein(_) | Self::Logistic(_) => one(config.critic.as_ref()),
            Self::Cramer(_) => Ok(()),
            Self::MeanCovariance(settings) => {
                within("objective.norm", settings.norm, 1.0..=64.0)?;
                count("objective.components", settings.components as u64, 0..=8192)?;
                if config.regulariser.gradient_penalty > 0.0 {
                    let value = config.regulariser.gradient_penalty;
                    let allowed =
                        "0 for mean-covariance; keep its critic bounded by critic.clip_weights or critic.spectral";
                    return Err(Error::value("regulariser.gradient_penalty", value, allowed));
                }
                Ok(())
            }
            Self::Classifier(classifier) => {
                let (size, _) = config.data.picture()?;
                if !size.is_multiple_of(4) {
                    return Err(Error::value("data.size", size, "a multiple of 4 for the classifier"));
                }
                count("objective.width", classifier.width as u64, 1..=8192)?;
                count("objective.features", classifier.features as u64, 1..=8192)?;
                within("objective.shift", classifier.shift as f64, 0.0..=(size as f64 / 4.0))
            }
            Self::Autoencoder(autoencoder) => within("objective.input_dropout", autoencoder.input_dropout, 0.0..=0.95),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::layer::{self, Layer, Shape};

    #[test]
    fn presets_parse_and_print() {
        for preset in Config::presets() {
            let config = Config::load(preset.name).unwrap();
            assert_eq!(Config::parse(&config.to_toml(), Path::new("printed")).unwrap(), config, "{}", preset.name);
        }
    }

    /// Every preset's networks fit its data and one another, without making them: some are large.
    #[test]
    fn networks_of_presets_fit() {
        for preset in Config::presets() {
            let config = Config::load(preset.name).unwrap();
            let Some(generator) = &config.generator else { continue };
            let shape = match (config.data.is_points(), &generator.decoder) {
                (true, _) => [2, 1, 1],
                (_, Some(_)) => [32, 1, 1],
                (false, None) => {
                    let (size, channels) = config.data.picture().unwrap();
                    [channels, size, size]
                }
            };
            let classes = if generator.conditional { 10 } else { 0 };
            let inputs = generator.latent.dim + classes;
            let fits = |layers: Result<Vec<Layer>>, input: Shape, output: Shape| {
                let found = layers.and_then(|layers| layer::output_shape_all(&layers, input));
                assert_eq!(found.unwrap_or_else(|e| panic!("{}: {e}", preset.name)), output, "{}", preset.name);
            };
            fits(generator.net.layers(inputs, shape), [inputs, 1, 1], shape);
            let Some(critic) = &config.critic else { continue };
            let seen = [shape[0] + classes, shape[1], shape[2]];
            fits(critic.net.layers(seen, critic.top), seen, [critic.top, 1, 1]);
            if let Some(decoder) = &critic.decoder {
                fits(decoder.layers(critic.top, shape), [critic.top, 1, 1], shape);
            }
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
        assert!(message("kind = \"mmd\"", "kind = \"mmmd\"").contains("mmmd"));
        assert!(message("features = \"critic\"", "features = \"identity\"").contains("critic"));
        let mut config = Config::load("fashion-mmd-gan").unwrap();
        config.seed = u64::MAX;
        assert!(config.check().unwrap_err().to_string().contains("seed"));
        assert!(Config::load("no-such-preset").unwrap_err().to_string().contains("fashion-mmd-gan"));
    }
}
