//! Objectives of training, with their settings.

use super::Data;
use crate::loss::{Cramer, Logistic, MeanCovariance, MmdSettings, Settings, Wasserstein};
use crate::range::{count, within};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// The objective: the divergence of a generator's samples from the data, or another task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ObjectiveConfig {
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

/// An objective by what is trained.
pub(in crate::train) enum Kind<'a> {
    /// A generator, by a divergence.
    Generator(&'a dyn Settings),
    Classifier(&'a ClassifierObjective),
    Autoencoder(&'a AutoencoderObjective),
}

impl ObjectiveConfig {
    /// The kind of network that it trains.
    pub(in crate::train) fn kind(&self) -> Kind<'_> {
        match self {
            Self::Mmd(settings) => Kind::Generator(settings),
            Self::Wasserstein(settings) => Kind::Generator(settings),
            Self::Cramer(settings) => Kind::Generator(settings),
            Self::MeanCovariance(settings) => Kind::Generator(settings),
            Self::Logistic(settings) => Kind::Generator(settings),
            Self::Classifier(settings) => Kind::Classifier(settings),
            Self::Autoencoder(settings) => Kind::Autoencoder(settings),
        }
    }

    /// The divergence that a generator is trained by; nothing where something else is trained.
    pub fn divergence(&self) -> Option<&dyn Settings> {
        match self.kind() {
            Kind::Generator(settings) => Some(settings),
            _ => None,
        }
    }
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

impl ClassifierObjective {
    /// Refuses what cannot be trained with on pictures of `data`.
    pub(in crate::train) fn check(&self, data: &Data) -> Result<()> {
        let (size, _) = data.picture()?;
        if !size.is_multiple_of(4) {
            return Err(Error::parameter("data.size", size, "a multiple of 4 for the classifier"));
        }
        count("objective.width", self.width as u64, 1..=8192)?;
        count("objective.features", self.features as u64, 1..=8192)?;
        within("objective.shift", self.shift as f64, 0.0..=(size as f64 / 4.0))
    }
}

impl AutoencoderObjective {
    /// Refuses what cannot be trained with on `data`.
    pub(in crate::train) fn check(&self, data: &Data) -> Result<()> {
        if data.is_points() {
            let allowed = "pictures, since the decoder's numbers are in [0, 1]";
            return Err(Error::parameter("data.source", &data.source, allowed));
        }
        within("objective.input_dropout", self.input_dropout, 0.0..=0.95)
    }
}
