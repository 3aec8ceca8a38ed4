//! What a network file is for: a generator with its prior, or a classifier with its classes and its feature layer.

use crate::image::Images;
use crate::net::{Mode, ModelFile, Net, Place, place};
use burn::tensor::Tensor;
use kme::rng::{self, Rng};
use kme::{Error, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The prior of latent vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prior {
    /// Independent standard normals.
    Normal,
    /// Independent uniforms on [−1, 1].
    Uniform,
}

/// Latent vectors: how many numbers, and their prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latent {
    pub dim: usize,
    pub prior: Prior,
}

impl Latent {
    /// `n` latent vectors, row after row.
    pub fn draw(&self, n: usize, rng: &mut Rng) -> Vec<f32> {
        (0..n * self.dim)
            .map(|_| match self.prior {
                Prior::Normal => rng.sample(StandardNormal),
                Prior::Uniform => rng.random_range(-1.0..=1.0),
            })
            .collect()
    }
}

/// How a network was made: enough to make it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// Version of kme.
    pub version: String,
    /// Preset or configuration file.
    pub preset: String,
    pub seed: u64,
    /// Training steps done.
    pub steps: u64,
    /// Data source and the SHA-256 fingerprint of what it held.
    pub data: String,
    pub data_fingerprint: String,
}

/// What a network file is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Card {
    /// Latents (n, dim, 1, 1) → pictures (n, c, h, w) with pixels in [0, 1].
    Generator {
        latent: Latent,
        /// The feature map in which this generator is steered and judged unless another is named.
        features: String,
        made: Made,
    },
    /// Pictures with pixels in [0, 1] → one logit per class.
    Classifier {
        classes: Vec<String>,
        /// The output of the first `features_after` layers is the feature vector.
        features_after: usize,
        made: Made,
    },
}

impl Card {
    /// `generator` or `classifier`.
    pub fn role(&self) -> &'static str {
        match self {
            Self::Generator { .. } => "generator",
            Self::Classifier { .. } => "classifier",
        }
    }

    /// How the network was made.
    pub fn made(&self) -> &Made {
        match self {
            Self::Generator { made, .. } | Self::Classifier { made, .. } => made,
        }
    }
}

/// Pictures as a constant tensor of shape (n, c, h, w).
pub(crate) fn tensor_of(images: Images, place: &Place) -> Tensor<4> {
    let shape = images.shape();
    place.tensor(images.into_data(), shape)
}

/// A tensor (n, c, h, w) as pictures; values outside [0, 1] are moved to the nearer end.
pub(crate) fn images_of(tensor: Tensor<4>) -> Result<Images> {
    let [n, c, h, w] = tensor.dims();
    Images::clamped(n, c, h, w, place::numbers_f32(tensor))
}

/// Inputs that go through one of our own networks together.
pub(crate) const BATCH: usize = 50;

/// The network's outputs for all inputs, row after row; `inputs` holds one input after another.
///
/// Batch normalisation uses its running statistics, and every batch has the same size (the last is filled up): so a row
/// depends on its own input alone, since kernels for other batch sizes may round differently.
pub(crate) fn rows_of(net: &Net, inputs: &[f32]) -> Result<Vec<f32>> {
    let [c, h, w] = net.input();
    let stride = c * h * w;
    let mut all = Vec::new();
    for chunk in inputs.chunks(BATCH * stride) {
        let mut batch = chunk.to_vec();
        batch.resize(BATCH * stride, 0.0);
        let rows = place::numbers_f32(net.forward(net.place().tensor(batch, [BATCH, c, h, w]), Mode::Evaluate)?);
        all.extend_from_slice(&rows[..chunk.len() / stride * (rows.len() / BATCH)]);
    }
    Ok(all)
}

/// Refuses pictures that do not have the network's channels and size.
fn check_shape(net: &Net, images: &Images) -> Result<()> {
    let [_, c, h, w] = images.shape();
    if [c, h, w] == net.input() {
        return Ok(());
    }
    let [nc, nh, nw] = net.input();
    Err(Error::value(
        "pictures",
        format!("{c}x{h}x{w} (channels, height, width)"),
        format!("{nc}x{nh}x{nw} for this network"),
    ))
}

/// A generator g: latents → pictures.
#[derive(Clone, Debug)]
pub struct Generator {
    pub net: Net,
    pub latent: Latent,
    /// Name of the feature map in which it is steered and judged by default.
    pub features: String,
    pub made: Made,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
}

impl Generator {
    /// A generator from the bytes of a file that `kme train` wrote; `path` is for messages.
    ///
    /// # Errors
    /// When the file is damaged, or no generator of pictures.
    pub fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<Self> {
        match ModelFile::<Card>::parse(bytes, path, place)? {
            (net, Card::Generator { latent, features, made }, sha256) => {
                let [c, h, w] = net.output();
                if net.input() != [latent.dim, 1, 1] || !(c == 1 || c == 3) {
                    let shapes = format!("{:?} to {c}x{h}x{w}", net.input());
                    return Err(Error::file(path, format!("is no picture generator: it maps {shapes}")));
                }
                Ok(Self { net, latent, features, made, sha256 })
            }
            (_, card, _) => Err(Error::file(path, format!("holds a {}, not a generator", card.role()))),
        }
    }

    /// Writes it beside `path` and renames it there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let card = Card::Generator { latent: self.latent, features: self.features.clone(), made: self.made.clone() };
        ModelFile::write(path, &self.net, card)
    }

    /// Pictures for latents of shape (n, dim), row after row. Each picture depends on its own latent alone.
    ///
    /// # Errors
    /// When the network yields a number that is not finite.
    pub fn pictures(&self, latents: &[f32]) -> Result<Images> {
        let [c, h, w] = self.net.output();
        Images::clamped(latents.len() / self.latent.dim, c, h, w, rows_of(&self.net, latents)?)
    }

    /// `n` pictures from latents of the generator's prior.
    ///
    /// # Errors
    /// When the network yields a number that is not finite.
    pub fn sample(&self, n: usize, seed: u64) -> Result<Images> {
        self.pictures(&self.latent.draw(n, &mut rng::stream(seed, "sample", 0)))
    }
}

/// A classifier: pictures → logits, with a layer whose output serves as features.
#[derive(Clone, Debug)]
pub struct Classifier {
    pub net: Net,
    pub classes: Vec<String>,
    pub features_after: usize,
    pub made: Made,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
}

impl Classifier {
    /// A classifier from the bytes of a file that `kme train` wrote; `path` is for messages.
    ///
    /// # Errors
    /// When the file is damaged, or no classifier.
    pub fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<Self> {
        match ModelFile::<Card>::parse(bytes, path, place)? {
            (net, Card::Classifier { classes, features_after, made }, sha256) => {
                if net.output() != [classes.len(), 1, 1] || features_after > net.layers().len() {
                    return Err(Error::file(path, format!("is no classifier of {} classes", classes.len())));
                }
                Ok(Self { net, classes, features_after, made, sha256 })
            }
            (_, card, _) => Err(Error::file(path, format!("holds a {}, not a classifier", card.role()))),
        }
    }

    /// One logit for each class, for every picture. Pictures must have the network's channels and size.
    ///
    /// # Errors
    /// When they have not.
    pub fn logits(&self, images: &Images) -> Result<Vec<Vec<f32>>> {
        check_shape(&self.net, images)?;
        Ok(rows_of(&self.net, images.data())?.chunks(self.classes.len()).map(<[f32]>::to_vec).collect())
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
        let card = Card::Classifier {
            classes: self.classes.clone(),
            features_after: self.features_after,
            made: self.made.clone(),
        };
        ModelFile::write(path, &self.net, card)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::layer::{Linear, Reshape};
    use crate::net::{Init, Layer};

    fn made() -> Made {
        let text = String::new;
        Made { version: text(), preset: text(), seed: 0, steps: 0, data: text(), data_fingerprint: text() }
    }

    fn layers() -> Vec<Layer> {
        vec![Linear { inputs: 2, outputs: 4, bias: true }.into(), Reshape { to: [1, 2, 2] }.into()]
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.safetensors");
        let net = Net::new(layers(), [2, 1, 1], Init::He, 3, &Place::cpu()).unwrap();
        let latent = Latent { dim: 2, prior: Prior::Uniform };
        Generator { net, latent, features: "pixels".into(), made: made(), sha256: String::new() }.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        (folder, path, bytes)
    }

    #[test]
    fn generators_survive_their_file_and_each_picture_depends_on_its_latent_alone() {
        let (_folder, path, bytes) = file();
        let generator = Generator::parse(&bytes, &path, &Place::cpu()).unwrap();
        assert_eq!(generator.latent, Latent { dim: 2, prior: Prior::Uniform });
        let all = generator.sample(120, 1).unwrap();
        let latents = generator.latent.draw(120, &mut rng::stream(1, "sample", 0));
        assert!(latents.iter().all(|z| (-1.0..=1.0).contains(z)));
        for i in [0, 49, 50, 119] {
            assert_eq!(generator.pictures(&latents[2 * i..2 * i + 2]).unwrap().picture(0), all.picture(i));
        }
    }

    /// Every cut, and descriptions that ask for too much or do not fit, are errors that name the file.
    #[test]
    fn damaged_and_hostile_files_are_refused() {
        let (_folder, path, bytes) = file();
        let parse = |bytes: &[u8]| Generator::parse(bytes, &path, &Place::cpu()).map(|_| ()).unwrap_err().to_string();
        for cut in 0..bytes.len() {
            assert!(parse(&bytes[..cut]).contains("g.safetensors"), "cut at {cut}");
        }
        let mut infinite = bytes.clone();
        let last = infinite.len() - 4;
        infinite[last..].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(parse(&infinite).contains("inf"));
        let size = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&bytes[8..8 + size]).unwrap();
        for (from, to, expected) in [
            ("[1,2,2]", "[1,9,9]", "reshape"),
            ("[1,2,2]", "[1,4294967296,4294967296]", "reshape"),
            ("\\\"outputs\\\":4", "\\\"outputs\\\":0", "shape of an activation"),
            ("\\\"outputs\\\":4", "\\\"outputs\\\":99999999999", "shape of an activation"),
            ("\\\"inputs\\\":2", "\\\"inputs\\\":3", "vector of 3"),
            ("\\\"dim\\\":2", "\\\"dim\\\":0", "no picture generator"),
            ("\\\"bias\\\":true", "\\\"bias\\\":true,\\\"dilation\\\":2", "dilation"),
            ("\\\"role\\\":\\\"generator\\\"", "\\\"role\\\":\\\"critic\\\"", "critic"),
            ("\\\"format\\\":1", "\\\"format\\\":7", "format 7"),
            ("0.bias", "0.bios", "0.bias"),
        ] {
            assert!(header.contains(from), "{from} in {header}");
            let changed = header.trim_end().replacen(from, to, 1);
            let mut file = (changed.len() as u64).to_le_bytes().to_vec();
            file.extend_from_slice(changed.as_bytes());
            file.extend_from_slice(&bytes[8 + size..]);
            let message = parse(&file);
            assert!(message.contains(expected) && message.contains("g.safetensors"), "{to}: {message}");
        }
        let message = Classifier::parse(&bytes, &path, &Place::cpu()).unwrap_err().to_string();
        assert!(message.contains("holds a generator, not a classifier"), "{message}");
    }
}
