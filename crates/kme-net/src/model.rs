//! What a network file is for: a generator with its prior, or a classifier with its classes and its feature layer.

mod stored;

use crate::net::{Mode, ModelFile, Net, Place, place};
use burn::tensor::Tensor;
use kme::points::Data;
use kme::rng::{self, Rng};
use kme::{Error, Field, Points, Result};
use kme_image::{Background, Crop, Images};
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
    /// Numbers of one vector.
    pub dim: usize,
    /// Their distribution.
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

/// Why classes are refused.
const UNCONDITIONAL: &str = "this generator was trained without classes";

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

/// The error for another number of classes than of latents.
fn one_for_each(classes: usize, latents: usize) -> Error {
    Error::mismatch(Field::Count("classes and latents".into()), classes, latents, "give one class for each latent")
}

/// Latents (n, dim), row after row, each followed by its class as a one-hot vector: (n, dim + count). This is what a
/// conditional generator's network takes.
///
/// # Errors
/// [`Error::Mismatch`] when there is not one class for every latent; [`Error::Parameter`] when a class is not below `count`.
pub fn labelled(latents: &[f32], dim: usize, classes: &[usize], count: usize) -> Result<Vec<f32>> {
    if latents.len() != classes.len() * dim {
        return Err(one_for_each(classes.len(), latents.len() / dim));
    }
    let mut rows = vec![0.0; classes.len() * (dim + count)];
    for (i, &class) in classes.iter().enumerate() {
        if class >= count {
            return Err(Error::parameter("class", class, format!("below {count}, the number of classes")));
        }
        let row = &mut rows[i * (dim + count)..][..dim + count];
        row[..dim].copy_from_slice(&latents[i * dim..][..dim]);
        row[dim + class] = 1.0;
    }
    Ok(rows)
}

/// A generator g: latents → pictures, or points; conditional where it has classes.
///
/// The *inputs* of its network are latents, with one-hot labels behind them where there are classes.
#[derive(Clone, Debug)]
pub struct Generator {
    /// The network: inputs (n, [width](Self::width), 1, 1) → pictures (n, c, h, w), or points (n, d, 1, 1).
    pub net: Net,
    /// The latent vectors.
    pub latent: Latent,
    /// Names of the classes of a conditional generator; of another, none.
    pub classes: Vec<String>,
    /// Whether it makes points (n, d), of any size, rather than pictures.
    pub points: bool,
    /// Name of the feature map in which it is steered and judged by default.
    pub features: String,
    /// SHA-256 of that feature map's network, where its name alone does not tell which it is.
    pub features_sha256: Option<String>,
    /// What was cut out of the pictures that it has learned from: pictures that it is to make more of are cut alike.
    pub crop: Crop,
    /// The colour that was under their transparent parts, and around those that were filled up.
    pub background: Background,
    /// How it was made.
    pub made: Provenance,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
}

impl Generator {
    /// A generator from the bytes of a file that `kme train` wrote; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when the file is damaged, or does not hold a generator.
    pub fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<Self> {
        match ModelFile::<ModelCard>::parse(bytes, path, place)? {
            (
                net,
                ModelCard::Generator { latent, classes, points, features, features_sha256, crop, background, made },
                sha256,
            ) => {
                let [c, h, w] = net.output();
                let fits = if points { [h, w] == [1, 1] } else { c == 1 || c == 3 };
                let inputs = latent.dim.checked_add(classes.len());
                if latent.dim == 0 || inputs.is_none_or(|inputs| net.input() != [inputs, 1, 1]) || !fits {
                    let shapes = format!("{:?} to {c}x{h}x{w}", net.input());
                    let what = if points { "point" } else { "picture" };
                    return Err(Error::format(path, format!("is not a {what} generator: it maps {shapes}")));
                }
                Ok(Self { net, latent, classes, points, features, features_sha256, crop, background, made, sha256 })
            }
            (_, card, _) => Err(Error::format(path, format!("holds {}, not a generator", card.a_role()))),
        }
    }

    /// Writes it beside `path` and renames it there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let card = ModelCard::Generator {
            latent: self.latent,
            classes: self.classes.clone(),
            points: self.points,
            features: self.features.clone(),
            features_sha256: self.features_sha256.clone(),
            crop: self.crop,
            background: self.background,
            made: self.made.clone(),
        };
        ModelFile::write(path, &self.net, card)
    }

    /// Numbers that the network takes for one picture or point: latent.dim, plus the number of classes.
    pub fn width(&self) -> usize {
        self.latent.dim + self.classes.len()
    }

    /// Whether a class is needed beside a latent.
    pub fn is_conditional(&self) -> bool {
        !self.classes.is_empty()
    }

    /// The number of the class that `text` names: its name, or its number from 0 on.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is no such class; [`Error::NotApplicable`] when the generator has no classes.
    pub fn class(&self, text: &str) -> Result<usize> {
        if !self.is_conditional() {
            return Err(Error::not_applicable("class", UNCONDITIONAL));
        }
        let number = || text.parse().ok().filter(|&number: &usize| number < self.classes.len());
        let named = self.classes.iter().position(|name| name == text);
        named.or_else(number).ok_or_else(|| Error::unknown("name or number of a class", text, &self.classes))
    }

    /// The network's inputs (n, width) for latents (n, dim), row after row, and one class for each; `classes` is empty
    /// for a generator without classes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the lengths do not fit; [`Error::Parameter`] when there is no such class; [`Error::NotApplicable`]
    /// for classes where the generator has none.
    pub fn inputs(&self, latents: &[f32], classes: &[usize]) -> Result<Vec<f32>> {
        if self.is_conditional() {
            return labelled(latents, self.latent.dim, classes, self.classes.len());
        }
        if !classes.is_empty() {
            return Err(Error::not_applicable("classes", UNCONDITIONAL));
        }
        Ok(latents.to_vec())
    }

    /// The inputs (n, width) of `n` draws: latents of the prior and, where there are classes, one of them for each, all
    /// equally likely.
    pub fn draw(&self, n: usize, seed: u64) -> Vec<f32> {
        let latents = self.latent.draw(n, &mut rng::stream(seed, "sample", 0));
        let classes = self.draw_classes(n, &mut rng::stream(seed, "sample class", 0));
        self.inputs(&latents, &classes).expect("as many classes are drawn as latents")
    }

    /// `n` classes, each equally likely; none for a generator without classes.
    pub fn draw_classes(&self, n: usize, rng: &mut Rng) -> Vec<usize> {
        let n = if self.is_conditional() { n } else { 0 };
        (0..n).map(|_| rng.random_range(0..self.classes.len())).collect()
    }

    /// Pictures for inputs of the network (n, width), row after row. Each depends on its own input alone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the generator makes points; [`Error::NotFinite`] when it has diverged.
    pub fn pictures_from(&self, inputs: &[f32]) -> Result<Images> {
        let [c, h, w] = self.net.output();
        if self.points {
            let reason = format!("it makes points of dimension {c}; draw points instead");
            return Err(Error::unsupported("draw pictures from this generator", reason));
        }
        Images::clamped(inputs.len() / self.width(), c, h, w, rows_of(&self.net, inputs)?)
    }

    /// Points (n, d) for inputs of the network (n, width), row after row, exactly as the network gives them. Each depends
    /// on its own input alone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the generator makes pictures; [`Error::NotFinite`] when it has diverged.
    pub fn points_from(&self, inputs: &[f32]) -> Result<Points> {
        let [d, h, w] = self.net.output();
        if !self.points {
            let reason = format!("it makes pictures of {d}x{h}x{w}");
            return Err(Error::unsupported("draw points from this generator", reason));
        }
        Points::new(inputs.len() / self.width(), d, Data::F32(rows_of(&self.net, inputs)?))
    }

    /// Pictures for latents of shape (n, dim), row after row. Each picture depends on its own latent alone.
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::pictures_from`].
    pub fn pictures(&self, latents: &[f32]) -> Result<Images> {
        self.pictures_of(latents, &[])
    }

    /// Pictures for latents of shape (n, dim), row after row, each of its class.
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::pictures_from`].
    pub fn pictures_of(&self, latents: &[f32], classes: &[usize]) -> Result<Images> {
        self.pictures_from(&self.inputs(latents, classes)?)
    }

    /// Points for latents of shape (n, dim), row after row; not clamped.
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::points_from`].
    pub fn points(&self, latents: &[f32]) -> Result<Points> {
        self.points_of(latents, &[])
    }

    /// Points for latents of shape (n, dim), row after row, each of its class.
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::points_from`].
    pub fn points_of(&self, latents: &[f32], classes: &[usize]) -> Result<Points> {
        self.points_from(&self.inputs(latents, classes)?)
    }

    /// `n` pictures from latents of the generator's prior; of a conditional one with classes that are all equally likely.
    ///
    /// # Errors
    /// As [`Generator::pictures_from`].
    pub fn sample(&self, n: usize, seed: u64) -> Result<Images> {
        self.pictures_from(&self.draw(n, seed))
    }

    /// `n` pictures of one class, from the latents of [`Generator::sample`].
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::pictures_from`].
    pub fn sample_class(&self, n: usize, class: usize, seed: u64) -> Result<Images> {
        self.pictures_of(&self.latent.draw(n, &mut rng::stream(seed, "sample", 0)), &vec![class; n])
    }

    /// `n` points, drawn as by [`Generator::sample`].
    ///
    /// # Errors
    /// As [`Generator::points_from`].
    pub fn sample_points(&self, n: usize, seed: u64) -> Result<Points> {
        self.points_from(&self.draw(n, seed))
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::layer::{Linear, Reshape};
    use crate::net::{Init, Layer};

    fn made() -> Provenance {
        let text = String::new;
        Provenance { version: text(), preset: text(), seed: 0, steps: 0, data: text(), data_fingerprint: text() }
    }

    fn layers() -> Vec<Layer> {
        vec![Linear { inputs: 2, outputs: 4, bias: true }.into(), Reshape { to: [1, 2, 2] }.into()]
    }

    fn generator(net: Net, dim: usize, classes: &[&str], points: bool) -> Generator {
        Generator {
            net,
            latent: Latent { dim, prior: Prior::Uniform },
            classes: classes.iter().map(|name| name.to_string()).collect(),
            points,
            features: "pixels".into(),
            features_sha256: None,
            crop: Crop::default(),
            background: Background::default(),
            made: made(),
            sha256: String::new(),
        }
    }

    /// A linear map of `inputs` numbers, written and read again.
    fn reread(inputs: usize, dim: usize, classes: &[&str], points: bool) -> Result<Generator> {
        let layers: Vec<Layer> = if points {
            vec![Linear { inputs, outputs: 4, bias: true }.into()]
        } else {
            vec![Linear { inputs, outputs: 4, bias: true }.into(), Reshape { to: [1, 2, 2] }.into()]
        };
        let net = Net::new(layers, [inputs, 1, 1], Init::He, 3, &Place::cpu()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.safetensors");
        generator(net, dim, classes, points).write(&path).unwrap();
        Generator::parse(&std::fs::read(&path).unwrap(), &path, &Place::cpu())
    }

    /// A label is a column of the first layer's weights: what a class adds is the same for every latent.
    #[test]
    fn classes_stand_one_hot_behind_the_latent() {
        let rows = labelled(&[1.0, 2.0, 3.0, 4.0], 2, &[2, 0], 3).unwrap();
        assert_eq!(rows, [1.0, 2.0, 0.0, 0.0, 1.0, 3.0, 4.0, 1.0, 0.0, 0.0]);
        for (latents, classes) in [(&[1.0_f32; 4][..], &[0_usize][..]), (&[1.0; 4], &[0, 3]), (&[1.0; 3], &[0, 1])] {
            assert!(labelled(latents, 2, classes, 3).is_err(), "{latents:?} {classes:?}");
        }

        let g = reread(5, 2, &["a", "b", "1"], true).unwrap();
        assert_eq!((g.width(), &g.classes[..]), (5, &["a", "b", "1"].map(String::from)[..]));
        let points = g.points_of(&[0.5, -0.5, 0.25, 1.0, 0.5, -0.5, 0.25, 1.0], &[0, 0, 1, 1]).unwrap();
        let at = |i: usize, j: usize| points.data().get(4 * i + j);
        for j in 0..4 {
            let (first, second) = (at(2, j) - at(0, j), at(3, j) - at(1, j));
            assert!((first - second).abs() < 1e-6 && first != 0.0, "{first} {second}");
        }
        // A name goes before a number.
        assert_eq!((g.class("b").unwrap(), g.class("0").unwrap(), g.class("1").unwrap()), (1, 0, 2));
        let message = g.class("c").unwrap_err().to_string();
        assert_eq!(message, "unknown name or number of a class 'c'; choose one of a, b, 1");
        assert!(g.points(&[0.5, 0.5]).is_err() && g.pictures_of(&[0.5, 0.5], &[0]).is_err());
        assert!(matches!(reread(2, 2, &[], true).unwrap().class("a"), Err(Error::NotApplicable { .. })));
    }

    #[test]
    fn a_conditional_sample_has_all_classes_equally_often() {
        let g = reread(5, 2, &["a", "b", "c"], false).unwrap();
        let inputs = g.draw(3000, 7);
        let mut counts = [0_usize; 3];
        for row in inputs.chunks(5) {
            assert_eq!(row[2..].iter().sum::<f32>(), 1.0);
            counts[row[2..].iter().position(|x| *x == 1.0).unwrap()] += 1;
        }
        // Four standard deviations of a binomial count.
        assert!(counts.iter().all(|&count| (count as f64 - 1000.0).abs() < 4.0 * 25.9), "{counts:?}");
        let latents = g.latent.draw(3000, &mut rng::stream(7, "sample", 0));
        assert!(inputs.chunks(5).zip(latents.chunks(2)).all(|(row, z)| row[..2] == *z));
        assert_eq!(g.sample(60, 7).unwrap(), g.pictures_from(&g.draw(60, 7)).unwrap());
        let of_b = g.sample_class(60, 1, 7).unwrap();
        assert_eq!(of_b, g.pictures_of(&g.latent.draw(60, &mut rng::stream(7, "sample", 0)), &[1; 60]).unwrap());
    }

    #[test]
    fn points_are_not_clamped_and_a_file_says_which_it_makes() {
        let g = reread(2, 2, &[], true).unwrap();
        let points = g.sample_points(200, 1).unwrap();
        assert_eq!((points.len(), points.dim()), (200, 4));
        assert!((0..800).any(|i| points.data().get(i) < 0.0), "nothing is below 0");
        assert!(matches!(g.sample(3, 1), Err(Error::Unsupported { .. })));
        let pictures = reread(2, 2, &[], false).unwrap();
        assert!(matches!(pictures.sample_points(3, 1), Err(Error::Unsupported { .. })));
        // Inputs without room for the classes, and points with a height.
        assert!(reread(2, 2, &["a"], true).unwrap_err().to_string().contains("not a point generator"));
        assert!(reread(3, 2, &[], false).unwrap_err().to_string().contains("not a picture generator"));
    }

    fn file() -> (tempfile::TempDir, std::path::PathBuf, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("g.safetensors");
        let net = Net::new(layers(), [2, 1, 1], Init::He, 3, &Place::cpu()).unwrap();
        generator(net, 2, &[], false).write(&path).unwrap();
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
            ("\\\"dim\\\":2", "\\\"dim\\\":0", "not a picture generator"),
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
