//! What a network file is for: its card; classifiers with their classes and their feature layer; autoencoders.

use crate::latent::Latent;
use crate::net::{Mode, ModelFile, Net, Place, place};
use burn::tensor::Tensor;
use kme::{Error, Result};
use kme_image::{Background, Crop, Images};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a network was made: enough to make it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of kme.
    pub version: String,
    /// Preset or configuration file.
    pub preset: String,
    /// Seed of all random numbers of the training.
    pub seed: u64,
    /// Training steps done.
    pub steps: u64,
    /// The data source.
    pub data: String,
    /// SHA-256 over the names and contents of the data.
    pub data_fingerprint: String,
}

/// What a network file is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelCard {
    /// Latents (n, dim, 1, 1) → pictures (n, c, h, w) with pixels in [0, 1], or points (n, d, 1, 1).
    Generator {
        /// Its latent vectors.
        latent: Latent,
        /// Of a conditional generator: the names of its classes, whose labels stand one-hot behind the latent, so that the
        /// input is (n, dim + classes, 1, 1).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        classes: Vec<String>,
        /// Whether it makes points rather than pictures.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        points: bool,
        /// The feature map in which this generator is steered and judged unless another is named.
        features: String,
        /// SHA-256 of that feature map's network, where its name alone does not tell which it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        features_sha256: Option<String>,
        /// What was cut out of the pictures that it has learned from.
        #[serde(default, skip_serializing_if = "Crop::is_none")]
        crop: Crop,
        /// The colour that was under their transparent parts, and around those that were filled up.
        #[serde(default, skip_serializing_if = "Background::is_white")]
        background: Background,
        /// How it was made.
        made: Provenance,
    },
    /// Pictures (n, c, h, w) with pixels in [0, 1] → the same shape, through a code.
    Autoencoder {
        /// The output of the first `code_after` layers is the code, (n, code, 1, 1).
        code_after: usize,
        /// How it was made.
        made: Provenance,
    },
    /// Pictures with pixels in [0, 1] → one logit per class.
    Classifier {
        /// Names of the classes, in the order of the logits.
        classes: Vec<String>,
        /// The output of the first `features_after` layers is the feature vector.
        features_after: usize,
        /// How it was made.
        made: Provenance,
    },
}

impl ModelCard {
    /// `generator`, `autoencoder` or `classifier`.
    pub fn role(&self) -> &'static str {
        match self {
            Self::Autoencoder { .. } => "autoencoder",
            Self::Generator { .. } => "generator",
            Self::Classifier { .. } => "classifier",
        }
    }

    /// The role with its article.
    pub fn a_role(&self) -> &'static str {
        match self {
            Self::Autoencoder { .. } => "an autoencoder",
            Self::Generator { .. } => "a generator",
            Self::Classifier { .. } => "a classifier",
        }
    }

    /// How the network was made.
    pub fn made(&self) -> &Provenance {
        match self {
            Self::Generator { made, .. } | Self::Autoencoder { made, .. } | Self::Classifier { made, .. } => made,
        }
    }
}

/// Pictures as a constant tensor of shape (n, c, h, w).
pub fn tensor_of(images: Images, place: &Place) -> Tensor<4> {
    let shape = images.shape();
    place.tensor(images.into_data(), shape)
}

/// A tensor (n, c, h, w) as pictures; values outside [0, 1] are moved to the nearer end.
pub fn images_of(tensor: Tensor<4>) -> Result<Images> {
    let [n, c, h, w] = tensor.dims();
    Images::clamped(n, c, h, w, place::numbers_f32(tensor))
}

/// Inputs that go through one of our own networks together.
pub(crate) const BATCH: usize = 50;

/// What `forward` makes of all inputs, row after row; `inputs` holds one of `shape` after another.
///
/// Every batch has the same size (the last is filled up): so a row depends on its own input alone, since kernels for other
/// batch sizes may round differently.
pub(crate) fn rows_of(
    [c, h, w]: [usize; 3],
    place: &Place,
    inputs: &[f32],
    forward: impl Fn(Tensor<4>) -> Result<Tensor<4>>,
) -> Result<Vec<f32>> {
    let stride = c * h * w;
    let mut all = Vec::new();
    for chunk in inputs.chunks(BATCH * stride) {
        let mut batch = chunk.to_vec();
        batch.resize(BATCH * stride, 0.0);
        let rows = place::numbers_f32(forward(place.tensor(batch, [BATCH, c, h, w]))?);
        all.extend_from_slice(&rows[..chunk.len() / stride * (rows.len() / BATCH)]);
    }
    Ok(all)
}

/// A classifier: pictures → logits, with a layer whose output serves as features.
#[derive(Clone, Debug)]
pub struct Classifier {
    /// The network: pictures (n, c, h, w) → logits (n, classes, 1, 1).
    pub net: Net,
    /// Names of the classes, in the order of the logits.
    pub classes: Vec<String>,
    /// The output of the first `features_after` layers is the feature vector.
    pub features_after: usize,
    /// How it was made.
    pub made: Provenance,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
}

impl Classifier {
    /// A classifier from the bytes of a file that `kme train` wrote; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when the file is damaged, or does not hold a classifier.
    pub fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<Self> {
        match ModelFile::<ModelCard>::parse(bytes, path, place)? {
            (net, ModelCard::Classifier { classes, features_after, made }, sha256) => {
                if net.output() != [classes.len(), 1, 1] || features_after > net.layers().len() {
                    return Err(Error::format(path, format!("is not a classifier of {} classes", classes.len())));
                }
                Ok(Self { net, classes, features_after, made, sha256 })
            }
            (_, card, _) => Err(Error::format(path, format!("holds {}, not a classifier", card.a_role()))),
        }
    }

    /// One logit for each class, for every picture. Pictures must have the network's channels and size.
    ///
    /// # Errors
    /// When they have not.
    pub fn logits(&self, images: &Images) -> Result<Vec<Vec<f32>>> {
        self.net.check_input(images.shape())?;
        let forward = |x| self.net.forward(x, Mode::Evaluate);
        let rows = rows_of(self.net.input(), self.net.place(), images.data(), forward)?;
        Ok(rows.chunks(self.classes.len()).map(<[f32]>::to_vec).collect())
    }

    /// The index of the likeliest class, for every picture. Pictures must have the network's channels and size.
    ///
    /// # Errors
    /// When they have not.
    pub fn classify(&self, images: &Images) -> Result<Vec<usize>> {
        let likeliest = |row: &Vec<f32>| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
        Ok(self.logits(images)?.iter().map(likeliest).collect())
    }

    /// Writes it beside `path` and renames it there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let card = ModelCard::Classifier {
            classes: self.classes.clone(),
            features_after: self.features_after,
            made: self.made.clone(),
        };
        ModelFile::write(path, &self.net, card)
    }
}

/// An autoencoder: pictures → codes → pictures.
#[derive(Clone, Debug)]
pub struct Autoencoder {
    /// Encoder and decoder, one behind the other.
    pub net: Net,
    /// The output of the first `code_after` layers is the code.
    pub code_after: usize,
    /// How it was made.
    pub made: Provenance,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
}

impl Autoencoder {
    /// An autoencoder from the bytes of a file that `kme train` wrote; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when the file is damaged, or does not hold an autoencoder.
    pub fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<Self> {
        match ModelFile::<ModelCard>::parse(bytes, path, place)? {
            (net, ModelCard::Autoencoder { code_after, made }, sha256) => {
                let is_code = net.truncated(code_after).is_ok_and(|encoder| encoder.output()[1..] == [1, 1]);
                if net.output() != net.input() || !is_code {
                    let fault = "is not an autoencoder: it does not lead through a vector back to pictures";
                    return Err(Error::format(path, fault));
                }
                Ok(Self { net, code_after, made, sha256 })
            }
            (_, card, _) => Err(Error::format(path, format!("holds {}, not an autoencoder", card.a_role()))),
        }
    }

    /// Writes it beside `path` and renames it there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        ModelFile::write(
            path,
            &self.net,
            ModelCard::Autoencoder { code_after: self.code_after, made: self.made.clone() },
        )
    }

    /// Pictures → codes (n, code, 1, 1).
    ///
    /// # Errors
    /// When the autoencoder is not one of these pictures.
    pub fn encoder(&self) -> Result<Net> {
        self.net.truncated(self.code_after)
    }

    /// Codes (n, code, 1, 1) → pictures.
    ///
    /// # Errors
    /// Never for one that was [parsed](Self::parse).
    pub fn decoder(&self) -> Result<Net> {
        self.net.after(self.code_after)
    }
}
