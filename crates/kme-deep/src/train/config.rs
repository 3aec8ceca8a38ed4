//! The configuration of a training run: what is typed, and what it means.

mod check;
pub(super) mod read;

pub use super::data::{AUTO, Data, NONE};
use super::presets::PRESETS;
use crate::loss::{CRITIC, Cramer, Logistic, MeanCovariance, MmdSettings, Regulariser, Settings, Wasserstein};
use kme::{Error, Result};
use kme_net::{CriticNet, GeneratorNet, Latent};
use serde::{Deserialize, Serialize};
use std::path::Path;

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
    pub objective: Objective,
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
    pub score: Score,
    /// How often things are written.
    #[serde(default)]
    pub log: Log,
}

/// What is learned: by what a generator's samples are told from the data, or another task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Objective {
    /// The MMD of features under a kernel: GMMN, kernelized GAN, MMD GAN, Scaled MMD GAN.
    Mmd(MmdSettings),
    /// WGAN, by how its critic is kept Lipschitz: `critic.clip_weights`, `regulariser.gradient_penalty` or `regulariser.scale`.
    Wasserstein(Wasserstein),
    /// The Cramér GAN.
    Cramer(Cramer),
    /// McGan.
    MeanCovariance(MeanCovariance),
    /// The classical GAN, with `critic.spectral = "normalised"` SN-GAN.
    Logistic(Logistic),
    /// Cross-entropy on labels; its features judge and steer.
    Classifier(ClassifierObjective),
    /// Codes from which pictures can be made again; a generator can then be trained in the space of codes.
    Autoencoder(AutoencoderObjective),
}

impl Objective {
    /// The divergence that a generator is trained by; nothing where something else is trained.
    pub fn divergence(&self) -> Option<&dyn Settings> {
        match self {
            Self::Mmd(settings) => Some(settings),
            Self::Wasserstein(settings) => Some(settings),
            Self::Cramer(settings) => Some(settings),
            Self::MeanCovariance(settings) => Some(settings),
            Self::Logistic(settings) => Some(settings),
            Self::Classifier(_) | Self::Autoencoder(_) => None,
        }
    }
}

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
    0.0
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
    /// [`Error::UnknownName`] when it is neither, [`Error::Path`] of a folder, [`Error::Io`], and those of
    /// [`parse`](Self::parse).
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
        if !path.exists() && !text.ends_with(".toml") && !text.contains(['/', '\\']) {
            return Err(Error::unknown("preset", text, Self::presets().map(|preset| preset.name)));
        }
        if path.is_dir() {
            let problem = match path.join("config.toml").is_file() {
                true => "is a run folder: name its config.toml to begin a new run like it, or resume it",
                false => "is a folder: name a preset or a TOML file",
            };
            return Err(Error::path(path, problem));
        }
        Ok((std::fs::read_to_string(path).map_err(|e| kme::io::read_error(path, e))?, text.into()))
    }

    /// A configuration from TOML text; `path` is for messages.
    ///
    /// # Errors
    /// Within `path`, [`Error::Syntax`] of text that is not TOML, [`Error::UnknownName`] of a key, [`Error::Missing`] when
    /// a key is not there, and those of [`check`](Self::check).
    pub fn parse(toml: &str, path: &Path) -> Result<Self> {
        let table = table(toml, path)?;
        let config = read::read(&table).and_then(|config| config.check().map(|()| config));
        config.map_err(|fault| fault.within(path.display()))
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

    /// Whether a generator is trained.
    pub fn generates(&self) -> bool {
        self.objective.divergence().is_some()
    }

    /// Whether a critic is trained against the generator.
    pub fn has_critic(&self) -> bool {
        self.objective.divergence().is_some_and(|settings| settings.features() == CRITIC)
    }
}

/// TOML text as a table; `path` is for messages.
pub(super) fn table(toml: &str, path: &Path) -> Result<toml::Table> {
    toml.parse().map_err(|fault: toml::de::Error| {
        let given = fault.span().and_then(|span| toml.get(span)).unwrap_or_default();
        let digits = given.trim_start_matches(['-', '+']);
        if digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
            let problem = format!("write a whole number of at most {}", i64::MAX);
            return Error::syntax("number", given, problem).within(path.display());
        }
        Error::unreadable(path, "cannot be read as TOML", fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme_net::layer::{self, Layer, Shape};

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
        assert!(message("channels = 1", "channels = 2").contains("data.channels is 2"));
        assert!(message("kind = \"mmd\"", "kind = \"mmmd\"").contains("mmmd"));
        assert!(message("features = \"critic\"", "features = \"identity\"").contains("critic"));
        let mut config = Config::load("fashion-mmd-gan").unwrap();
        config.seed = u64::MAX;
        assert!(config.check().unwrap_err().to_string().contains("seed"));
        for (preset, key, value, expected) in [
            ("fashion-sn-smmd-gan", "critic.clip_weights", "0.01", "beside critic.spectral"),
            (
                "fashion-mmd-gan",
                "critic.net",
                "{ kind = \"dcgan\", width = 4, batch_norm = true }",
                "not of a whole batch's",
            ),
            ("fashion-mcgan", "objective.components", "17", "0 to 16"),
            ("25-gaussians", "score.features", "inception", "Leave it out"),
        ] {
            let message = Config::load_with(preset, &[(key.into(), value.into())]).unwrap_err().to_string();
            assert!(message.contains(key) && message.contains(expected), "{message}");
        }
        let near = Config::load("fashion-mmd-gn").unwrap_err();
        assert!(matches!(&near, Error::UnknownName { what, known, .. } if what == "preset" && known.len() > 12));
        assert!(near.to_string().contains("did you mean 'fashion-mmd-gan'"), "{near}");
        for file in ["mine.toml", "no/such"] {
            assert!(matches!(Config::load(file), Err(Error::Io { .. })));
        }
    }

    #[test]
    fn faults_of_a_file_are_told_in_its_words() {
        let text = Config::load("fashion-mmd-gan").unwrap().to_toml();
        let fault = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} in\n{text}");
            Config::parse(&text.replace(from, to), Path::new("c.toml")).unwrap_err().to_string()
        };
        let whole = "but must be a whole number from 0 on";
        for (from, to, expected) in [
            ("batch = 64", "batch = \"x\"", &format!("batch is \"x\", {whole}")[..]),
            ("batch = 64", "batch = -3", &format!("batch is -3, {whole}")),
            ("batch = 64", "", "c.toml: batch is missing"),
            ("batch = 64", "batch = 99999999999999999999", "at most 9223372036854775807"),
            ("beta1 = 0.5", "beta1 = \"x\"", "optimiser.beta1 is \"x\", but must be a number"),
            ("beta1 = 0.5", "", "optimiser.beta1 is missing"),
            ("beta1 = 0.5", "beta3 = 0.5", "optimiser: unknown setting 'beta3'; did you mean 'beta1'"),
            ("kind = \"adam\"", "kind = \"eve\"", "unknown optimiser.kind 'eve'; choose one of adam, sgd, rmsprop"),
            ("kind = \"adam\"", "", "optimiser.kind is missing"),
            (
                "prior = \"normal\"",
                "prior = \"odd\"",
                "unknown generator.latent.prior 'odd'; choose one of normal, uniform",
            ),
            ("prior = \"normal\"", "prior = 3", "generator.latent.prior is 3, but must be one of normal, uniform"),
            ("[critic.net]\n", "[critic.net]\ndepth = 3\n", "critic.net: unknown setting 'depth'"),
            ("channels = 1", "channels = 1\nflip = 3", "data.flip is 3, but must be true or false"),
            (
                "[generator]",
                "[objective.random_features]\ncount = \"x\"\n[generator]",
                &format!("objective.random_features.count is \"x\", {whole}"),
            ),
            (
                "[generator]",
                "[objective.random_features]\ncount = 3\ncuont = 3\n[generator]",
                "objective.random_features: unknown setting 'cuont'; did you mean 'count'",
            ),
            (
                "[generator]",
                "[objective.random_features]\nredraw = true\n[generator]",
                "objective.random_features.count is missing",
            ),
        ] {
            let message = fault(from, to);
            assert!(message.contains(expected), "{to}: {message}");
            for word in ["usize", "u64", "f64", "struct", "enum", "field", "variant", "i128"] {
                assert!(!message.contains(word), "{to}: {message}");
            }
        }
    }

    #[test]
    fn differences_are_named() {
        let config = Config::load("fashion-mmd-gan").unwrap();
        assert!(config.differences(&config).is_empty());
        let sets = [("optimiser.beta1".to_string(), "0.25".to_string()), ("data.held_out".into(), "".into())];
        let other = Config::load_with("fashion-mmd-gan", &sets).unwrap();
        let held_out = ["data.held_out", "\"fashion-mnist:test\"", "nothing"].map(String::from);
        let rate = ["optimiser.beta1", "0.5", "0.25"].map(String::from);
        assert_eq!(config.differences(&other), [held_out, rate.clone()]);
        let other = Config::load_with("fashion-mmd-gan", &sets[..1]).unwrap();
        assert_eq!(config.differences(&other), [rate]);
        let [key, was, is] = &other.differences(&Config::load_with("fashion-mmd-gan", &[]).unwrap())[0];
        assert_eq!([&key[..], &was[..], &is[..]], ["optimiser.beta1", "0.25", "0.5"]);
    }
}
