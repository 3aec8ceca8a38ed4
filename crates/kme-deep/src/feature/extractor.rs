//! Frozen networks as feature maps.

use crate::image::{Colour, Images, Protocol, Resize};
use crate::loss::flat;
use crate::model::{BATCH, Classifier};
use crate::net::layer::spatial_mean;
use crate::net::{Mode, Net, place};
use crate::networks::Network;
use burn::tensor::Tensor;
use kme::embedding::FeatureIdentity;
use kme::points::Data;
use kme::{Points, Result};

/// A frozen network, one of whose layers is a feature vector.
///
/// Pictures are brought to its input's channels and size by its [`Protocol`]. Batch normalisation uses its running
/// statistics, and batches always have the same size, so that the features of a picture depend on that picture alone.
#[derive(Clone, Debug)]
pub struct Extractor {
    net: Net,
    /// Layers before the features, and before the logits if there are any.
    features: usize,
    logits: Option<usize>,
    positions: Positions,
    batch: usize,
    resize: Resize,
    identity: FeatureIdentity,
    /// What the identity's protocol says behind size and resizing.
    treatment: String,
}

/// What becomes of the positions of a layer of maps (n, c, h, w).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// The mean of each map: d = c.
    Mean,
    /// All numbers: d = c·h·w.
    Flat,
}

/// What one pass over pictures gives.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// Shape (n, d).
    pub features: Points,
    /// One for each class, shape (n, classes); of networks that classify.
    pub logits: Option<Points>,
}

impl Extractor {
    /// The feature layer of a classifier that is known as `name`.
    ///
    /// # Errors
    /// When it has not so many layers.
    pub fn of_classifier(name: &str, classifier: &Classifier) -> Result<Self> {
        let [_, h, w] = classifier.net.input();
        // Refuses a layer that is not there.
        classifier.net.truncated(classifier.features_after)?;
        let extractor = Self {
            identity: FeatureIdentity {
                name: format!("{name}/layer{}", classifier.features_after),
                protocol: String::new(),
                sha256: Some(classifier.sha256.clone()),
            },
            treatment: "range 0 to 1, running batch-norm statistics".into(),
            features: classifier.features_after,
            logits: Some(classifier.net.layers().len()),
            positions: Positions::Flat,
            batch: BATCH,
            resize: Resize::new(h, w)?,
            net: classifier.net.clone(),
        };
        Ok(extractor.with_resize(Protocol::default()))
    }

    /// A layer of a known network by its name.
    ///
    /// # Errors
    /// When there is no such layer in the network or its file.
    pub fn of_network(network: &Network, layer: &str, positions: Positions) -> Result<Self> {
        let features = network.depth(layer)?;
        let net = network.net.clone();
        let [_, h, w] = net.input();
        let card = network.card;
        let is_map = features.checked_sub(1).is_some_and(|i| net.shapes()[i][1..] != [1, 1]);
        let (suffix, what) = match (is_map, positions) {
            (false, _) => ("", ""),
            (true, Positions::Mean) => ("", ", mean over positions"),
            (true, Positions::Flat) => (":flat", ", all positions"),
        };
        let extractor = Self {
            identity: FeatureIdentity {
                name: format!("{}:{layer}{suffix}", card.name),
                protocol: String::new(),
                sha256: Some(network.sha256.clone()),
            },
            treatment: format!("{}, frozen batch-norm statistics{what}", network.convention.pixels),
            features,
            logits: card.logits.and_then(|logits| network.depth(logits).ok()),
            positions,
            batch: card.batch,
            resize: Resize::new(h, w)?,
            net,
        };
        Ok(extractor.with_resize(card.resize.parse()?))
    }

    /// What an embedding records of it.
    pub fn identity(&self) -> &FeatureIdentity {
        &self.identity
    }

    /// Whether it has class logits.
    pub fn classifies(&self) -> bool {
        self.logits.is_some()
    }

    /// The shape that pictures are brought to: channels, height, width.
    pub fn input(&self) -> [usize; 3] {
        self.net.input()
    }

    /// How pictures are brought to the input's size.
    pub fn resize(&self) -> Resize {
        self.resize
    }

    /// The same with another way to bring pictures to the input's size.
    pub fn with_resize(mut self, protocol: Protocol) -> Self {
        let [c, h, w] = self.net.input();
        self.resize = self.resize.with(protocol);
        self.identity.protocol = format!("{c}x{h}x{w}, {protocol}, {}", self.treatment);
        self
    }

    /// The pictures as the network wants them.
    fn fitted(&self, images: &Images) -> Result<Images> {
        let [c, ..] = self.net.input();
        self.resize.bring(images.to_colour(Colour::from_channels(c)?))
    }

    /// An activation as vectors.
    fn vectors(&self, activation: Tensor<4>) -> Tensor<2> {
        let [_, _, h, w] = activation.dims();
        flat(if self.positions == Positions::Mean && h * w > 1 { spatial_mean(activation) } else { activation })
    }

    /// The features of pictures (n, c, h, w) as an expression in the pixels, shape (n, d).
    pub(super) fn tensor(&self, pictures: Tensor<4>) -> Result<Tensor<2>> {
        let mut found = self.net.activations(pictures, &[self.features], Mode::Evaluate)?;
        Ok(self.vectors(found.remove(0)))
    }

    /// Features and, if they are asked for and there are any, logits. No more than a batch is held besides what comes out.
    pub(super) fn outputs(&self, images: &Images, with_logits: bool) -> Result<Outputs> {
        let depths: Vec<usize> = std::iter::once(self.features).chain(self.logits.filter(|_| with_logits)).collect();
        let [c, h, w] = self.net.input();
        let mut rows = vec![Vec::new(); depths.len()];
        for first in (0..images.len()).step_by(self.batch) {
            let count = self.batch.min(images.len() - first);
            let chunk: Vec<usize> = (first..first + count).collect();
            let mut batch = self.fitted(&images.select(&chunk)?)?.into_data();
            // Filled up, since kernels for other batch sizes may round differently.
            batch.resize(self.batch * c * h * w, 0.0);
            let pictures = self.net.place().tensor(batch, [self.batch, c, h, w]);
            let found = self.net.activations(pictures, &depths, Mode::Evaluate)?;
            for (i, (rows, activation)) in rows.iter_mut().zip(found).enumerate() {
                let vectors = if i == 0 { self.vectors(activation) } else { flat(activation) };
                let dim = vectors.dims()[1];
                rows.extend_from_slice(&place::numbers_f32(vectors)[..count * dim]);
            }
        }
        let points = |rows: Vec<f32>| Points::new(images.len(), rows.len() / images.len(), Data::F32(rows));
        let mut rows = rows.into_iter().map(points);
        let features = rows.next().expect("features are always asked for")?;
        Ok(Outputs { features, logits: rows.next().transpose()? })
    }
}
