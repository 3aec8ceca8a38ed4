//! Feature maps φ: pictures (n, c, h, w) → points (n, d).

use crate::image::{Colour, Images, Protocol, Resize};
use crate::loss::flat;
use crate::model::{Classifier, rows_of};
use crate::net::{Mode, Net, Place};
use burn::tensor::Tensor;
use kme::embedding::FeatureIdentity;
use kme::points::Data;
use kme::{Error, Points, Result};

/// A map from pictures to feature vectors.
#[derive(Clone, Debug)]
pub enum FeatureMap {
    /// The pixels themselves, in [0, 1], channel by channel, row by row.
    Pixels,
    /// A hidden layer of a network.
    Network(Box<Extractor>),
}

/// A frozen network whose output is a feature vector.
///
/// Pictures are brought to its input's channels and size by its [`Protocol`]. Batch normalisation uses its running
/// statistics, and batches always have the same size, so that the features of a picture depend on that picture alone.
#[derive(Clone, Debug)]
pub struct Extractor {
    net: Net,
    identity: FeatureIdentity,
    resize: Resize,
}

impl Extractor {
    /// The feature layer of a classifier that is known as `name`.
    pub fn of_classifier(name: &str, classifier: &Classifier) -> Result<Self> {
        let net = classifier.net.truncated(classifier.features_after)?;
        let [c, h, w] = net.input();
        Ok(Self {
            identity: FeatureIdentity {
                name: format!("{name}/layer{}", classifier.features_after),
                protocol: Self::protocol([c, h, w], Protocol::default()),
                sha256: Some(classifier.sha256.clone()),
            },
            resize: Resize::new(h, w)?,
            net,
        })
    }

    /// What is done to pictures and by the network, as results record it.
    fn protocol([c, h, w]: [usize; 3], resize: Protocol) -> String {
        format!("{c}x{h}x{w}, {resize}, range 0 to 1, running batch-norm statistics")
    }

    /// The pictures as the network wants them.
    fn fitted(&self, images: &Images) -> Result<Images> {
        let [c, ..] = self.net.input();
        self.resize.bring(images.to_colour(Colour::from_channels(c)?))
    }

    fn features(&self, images: &Images) -> Result<Points> {
        let rows = rows_of(&self.net, self.fitted(images)?.data())?;
        Points::new(images.len(), rows.len() / images.len(), Data::F32(rows))
    }
}

impl FeatureMap {
    /// The features of pictures, shape (n, d). On the processor they do not depend on which pictures come together.
    ///
    /// # Errors
    /// When a feature is not finite.
    pub fn features(&self, images: &Images) -> Result<Points> {
        match self {
            Self::Pixels => Points::new(images.len(), images.stride(), Data::F32(images.data().to_vec())),
            Self::Network(extractor) => extractor.features(images),
        }
    }

    /// The features of pictures (n, c, h, w) as an expression that can be differentiated in the pixels, shape (n, d).
    ///
    /// # Errors
    /// When the pictures do not have the network's channels and size: resizing is for decoded pictures only.
    pub fn tensor(&self, pictures: Tensor<4>) -> Result<Tensor<2>> {
        match self {
            Self::Pixels => Ok(flat(pictures)),
            Self::Network(extractor) => Ok(flat(extractor.net.forward(pictures, Mode::Evaluate)?)),
        }
    }

    /// What an embedding records of the map. `shape` is that of the pictures (channels, height, width).
    pub fn identity(&self, [c, h, w]: [usize; 3]) -> FeatureIdentity {
        match self {
            Self::Pixels => {
                FeatureIdentity { name: "pixels".into(), protocol: format!("{c}x{h}x{w}, range 0 to 1"), sha256: None }
            }
            Self::Network(extractor) => extractor.identity.clone(),
        }
    }

    /// The pictures' shape that [`tensor`](Self::tensor) needs, where there is only one.
    pub fn input(&self) -> Option<[usize; 3]> {
        match self {
            Self::Pixels => None,
            Self::Network(extractor) => Some(extractor.net.input()),
        }
    }

    /// How pictures are brought to [`input`](Self::input).
    pub fn resize(&self) -> Option<Resize> {
        match self {
            Self::Pixels => None,
            Self::Network(extractor) => Some(extractor.resize),
        }
    }

    /// The same map with another way to bring pictures to the network's size. Pixels have no size of their own.
    pub fn with_resize(mut self, protocol: Protocol) -> Self {
        if let Self::Network(extractor) = &mut self {
            extractor.resize = extractor.resize.with(protocol);
            extractor.identity.protocol = Extractor::protocol(extractor.net.input(), protocol);
        }
        self
    }

    /// The feature map of this name: `pixels`, or a classifier by its model name or file.
    ///
    /// # Errors
    /// When there is none, or the model is no classifier.
    pub fn named(name: &str, models: &crate::models::Models, place: &Place) -> Result<Self> {
        if name == "pixels" {
            return Ok(Self::Pixels);
        }
        if name == "identity" {
            return Err(Error::value(
                "features",
                name,
                "pixels or a classifier for pictures; identity is for files of points",
            ));
        }
        let (bytes, path) = models.bytes(name)?;
        let classifier = Classifier::parse(&bytes, &path, place)?;
        // The classifier of a run folder is known by the folder's name.
        let named =
            if path.file_name().is_some_and(|f| f == "model.safetensors") { path.parent() } else { Some(&*path) };
        let known = named.and_then(|p| p.file_stem()).map_or(name.into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self::Network(Box::new(Extractor::of_classifier(&known, &classifier)?)))
    }
}
