//! Frozen networks as feature maps.

use super::fit::fitted;
use super::{FeatureMap, Outputs, Pictures};
use crate::model::{BATCH, Classifier};
use crate::net::flat;
use crate::net::layer::spatial_mean;
use crate::net::{Mode, Net, place};
use crate::networks::{Network, Normalisation};
use burn::tensor::Tensor;
use kme::{Data, FeatureIdentity, Points, Result};
use kme_image::{Colour, Protocol, Resize, Tool};
use std::sync::Arc;

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
    /// What the network wants its pixels to be.
    pixels: Normalisation,
    /// What the identity's protocol says behind size, resizing and pixels.
    treatment: String,
}

/// pytorch-fid gives Inception 2x − 1, not (255x − 128)/128: this times x, in the other formula, is the same.
const PYTORCH_FID: f32 = 256.0 / 255.0;

/// What becomes of the positions of a layer of maps (n, c, h, w).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// The mean of each map: d = c.
    Mean,
    /// All numbers: d = c·h·w.
    Flat,
}

impl Extractor {
    /// The feature layer of a classifier that is known as `name`.
    ///
    /// # Errors
    /// [`Error::Parameter`](kme::Error::Parameter) when it has fewer layers.
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
            pixels: Normalisation::Unit,
            treatment: "running batch-norm statistics".into(),
            features: classifier.features_after,
            logits: Some(classifier.net.layers().len()),
            positions: Positions::Flat,
            batch: BATCH,
            resize: Resize::new(h, w)?,
            net: classifier.net.clone(),
        };
        Ok(extractor.resized(Protocol::default()))
    }

    /// A layer of a known network by its name.
    ///
    /// # Errors
    /// As [`Network::depth`].
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
            pixels: network.convention.pixels,
            treatment: format!("frozen batch-norm statistics{what}"),
            features,
            logits: card.logits.and_then(|logits| network.depth(logits).ok()),
            positions,
            batch: card.batch,
            resize: Resize::new(h, w)?,
            net,
        };
        Ok(extractor.resized(card.resize.parse()?))
    }

    /// The same with another way to bring pictures to the input's size.
    fn resized(mut self, protocol: Protocol) -> Self {
        let [c, h, w] = self.net.input();
        self.resize = self.resize.with(protocol);
        let pixels = if self.gain() == 1.0 { self.pixels.to_string() } else { "RGB 2x - 1".into() };
        // Named also because features were once computed that are of pixels rounded after resizing, under the name alone.
        let rounded = if protocol.eight_bit { " from 8 bits" } else { "" };
        self.identity.protocol = format!("{c}x{h}x{w}, {protocol}{rounded}, {pixels}, {}", self.treatment);
        self
    }

    /// What pixels are multiplied by before they come into the network.
    fn gain(&self) -> f32 {
        match (self.resize.protocol().tool, self.pixels) {
            (Some(Tool::PytorchFid), Normalisation::TensorFlow) => PYTORCH_FID,
            _ => 1.0,
        }
    }

    /// Some of the pictures as the network wants them.
    fn fitted(&self, pictures: Pictures, some: &[usize]) -> Result<Vec<f32>> {
        let [c, h, w] = self.net.input();
        let images = pictures.images.select(some)?;
        let images = match pictures.brought == Some(self.resize) && images.shape()[1..] == [c, h, w] {
            true => images,
            false => self.resize.bring(images.to_colour(Colour::from_channels(c)?))?,
        };
        let mut data = images.into_data();
        if self.gain() != 1.0 {
            data.iter_mut().for_each(|x| *x *= self.gain());
        }
        Ok(data)
    }

    /// An activation as vectors.
    fn vectors(&self, activation: Tensor<4>) -> Tensor<2> {
        let [_, _, h, w] = activation.dims();
        flat(if self.positions == Positions::Mean && h * w > 1 { spatial_mean(activation) } else { activation })
    }
}

impl FeatureMap for Extractor {
    fn tensors(&self, pictures: Tensor<4>) -> Result<Vec<Tensor<2>>> {
        let [c, ..] = self.net.input();
        let pictures = fitted(pictures, c, &self.resize);
        let pictures = if self.gain() == 1.0 { pictures } else { pictures * self.gain() };
        let mut found = self.net.activations(pictures, &[self.features], Mode::Evaluate)?;
        Ok(vec![self.vectors(found.remove(0))])
    }

    fn identity(&self, _: [usize; 3]) -> FeatureIdentity {
        self.identity.clone()
    }

    fn sha256(&self) -> Option<&str> {
        self.identity.sha256.as_deref()
    }

    fn input(&self) -> Option<[usize; 3]> {
        Some(self.net.input())
    }

    fn resize(&self) -> Option<Resize> {
        Some(self.resize)
    }

    fn with_resize(&self, protocol: Protocol) -> Arc<dyn FeatureMap> {
        Arc::new(self.clone().resized(protocol))
    }

    fn classifies(&self) -> bool {
        self.logits.is_some()
    }

    /// No more than a batch is held besides what comes out.
    fn outputs(&self, pictures: Pictures<'_>, with_logits: bool) -> Result<Outputs> {
        let depths: Vec<usize> = std::iter::once(self.features).chain(self.logits.filter(|_| with_logits)).collect();
        let [c, h, w] = self.net.input();
        let n = pictures.images.len();
        let mut rows = vec![Vec::new(); depths.len()];
        for first in (0..n).step_by(self.batch) {
            let count = self.batch.min(n - first);
            let chunk: Vec<usize> = (first..first + count).collect();
            let mut batch = self.fitted(pictures, &chunk)?;
            // Filled up, since kernels for other batch sizes may round differently.
            batch.resize(self.batch * c * h * w, 0.0);
            let batch = self.net.place().tensor(batch, [self.batch, c, h, w]);
            let found = self.net.activations(batch, &depths, Mode::Evaluate)?;
            for (i, (rows, activation)) in rows.iter_mut().zip(found).enumerate() {
                let vectors = if i == 0 { self.vectors(activation) } else { flat(activation) };
                let dim = vectors.dims()[1];
                rows.extend_from_slice(&place::numbers_f32(vectors)[..count * dim]);
            }
        }
        let points = |rows: Vec<f32>| Points::new(n, rows.len() / n, Data::F32(rows));
        let mut rows = rows.into_iter().map(points);
        let features = rows.next().expect("features are always asked for")?;
        Ok(Outputs { features, logits: rows.next().transpose()? })
    }
}
