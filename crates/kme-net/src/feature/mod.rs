//! Feature maps φ: pictures (n, c, h, w) → points (n, d).

mod card;
mod extractor;
mod fit;
mod spec;

pub use card::portable;
pub use card::recorded;
pub use extractor::{Extractor, Outputs, Positions};
pub use spec::canonical;

use crate::model::Classifier;
use crate::models::Models;
use crate::net::Place;
use crate::net::flat;
use crate::networks::CARDS;
use burn::tensor::Tensor;
use kme::embedding::FeatureIdentity;
use kme::points::Data;
use kme::{Error, Points, Result};
use kme_image::{Channels, Colour, Decoder, Form, Images, Protocol, Resize};
use spec::FeatureSpec;

/// Pictures on their way into a feature map, with what was done to them before.
///
/// A map brings pictures to the size of its network by its [`Protocol`]. Those that were brought by the same protocol when
/// they were read are not brought once more: rounding to 8 bits before resizing would round what resizing made. Their size
/// does not tell, since a file may have the network's.
#[derive(Clone, Copy, Debug)]
pub struct Pictures<'a> {
    images: &'a Images,
    /// How they were brought to their size, if they were.
    brought: Option<Resize>,
}

impl<'a> Pictures<'a> {
    /// Pictures that were brought to `form`, which is perhaps the map's own ([`FeatureMap::form`]).
    pub fn in_form(images: &'a Images, form: &Form) -> Self {
        Self { images, brought: form.resize }
    }
}

impl<'a> From<&'a Images> for Pictures<'a> {
    /// Pictures of any size, to which nothing was done.
    fn from(images: &'a Images) -> Self {
        Self { images, brought: None }
    }
}

/// A map from pictures to feature vectors.
#[derive(Clone, Debug)]
pub enum FeatureMap {
    /// The pixels themselves, in [0, 1], channel by channel, row by row.
    Pixels,
    /// A hidden layer of a network.
    Network(Box<Extractor>),
}

impl FeatureMap {
    /// The features of pictures, shape (n, d). On the processor they do not depend on which pictures come together.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when a feature is not finite.
    pub fn features<'a>(&self, pictures: impl Into<Pictures<'a>>) -> Result<Points> {
        match (self, pictures.into()) {
            (Self::Pixels, Pictures { images, .. }) => {
                Points::new(images.len(), images.stride(), Data::F32(images.data().to_vec()))
            }
            (Self::Network(extractor), pictures) => Ok(extractor.outputs(pictures, false)?.features),
        }
    }

    /// The features and, where the network classifies, the logits, in one pass. Pixels have no logits.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when a number is not finite.
    pub fn outputs<'a>(&self, pictures: impl Into<Pictures<'a>>) -> Result<Outputs> {
        match self {
            Self::Pixels => Ok(Outputs { features: self.features(pictures)?, logits: None }),
            Self::Network(extractor) => extractor.outputs(pictures.into(), true),
        }
    }

    /// The features of pictures (n, c, h, w) as an expression that can be differentiated in the pixels, shape (n, d).
    ///
    /// Pictures of other channels or size than the network's are brought to them by the map's own protocol, so that these are
    /// the features that [`features`](Self::features) finds, up to the rounding of the device.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the network does not take them.
    pub fn tensor(&self, pictures: Tensor<4>) -> Result<Tensor<2>> {
        match self {
            Self::Pixels => Ok(flat(pictures)),
            Self::Network(extractor) => extractor.tensor(pictures),
        }
    }

    /// What an embedding records of the map. `shape` is that of the pictures (channels, height, width).
    pub fn identity(&self, [c, h, w]: [usize; 3]) -> FeatureIdentity {
        match self {
            Self::Pixels => {
                FeatureIdentity { name: "pixels".into(), protocol: format!("{c}x{h}x{w}, range 0 to 1"), sha256: None }
            }
            Self::Network(extractor) => extractor.identity().clone(),
        }
    }

    /// SHA-256 of the network's weights, where there is a network.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Pixels => None,
            Self::Network(extractor) => extractor.identity().sha256.as_deref(),
        }
    }

    /// The shape (channels, height, width) that pictures are brought to, where there is one.
    pub fn input(&self) -> Option<[usize; 3]> {
        match self {
            Self::Pixels => None,
            Self::Network(extractor) => Some(extractor.input()),
        }
    }

    /// Whether [`outputs`](Self::outputs) gives logits.
    pub fn classifies(&self) -> bool {
        matches!(self, Self::Network(extractor) if extractor.classifies())
    }

    /// What sources of pictures are read as for this map, where it says; see [`Pictures::in_form`].
    ///
    /// # Errors
    /// [`Error::Parameter`] when its network takes neither 1 nor 3 channels.
    pub fn form(&self) -> Result<Option<Form>> {
        let Self::Network(extractor) = self else { return Ok(None) };
        let [c, ..] = extractor.input();
        let resize = extractor.resize();
        let channels = Channels::Convert(Colour::from_channels(c)?);
        let decoder = Decoder { channels, reading: resize.protocol().reading(), ..Decoder::default() };
        Ok(Some(Form { decoder, resize: Some(resize), ..Form::default() }))
    }

    /// How pictures are brought to [`input`](Self::input).
    pub fn resize(&self) -> Option<Resize> {
        match self {
            Self::Pixels => None,
            Self::Network(extractor) => Some(extractor.resize()),
        }
    }

    /// The same map with another way to bring pictures to the network's size. Pixels have no size of their own.
    pub fn with_resize(self, protocol: Protocol) -> Self {
        match self {
            Self::Pixels => Self::Pixels,
            Self::Network(extractor) => Self::Network(Box::new(extractor.with_resize(protocol))),
        }
    }

    /// The feature map of this name: `pixels`; a known network as `NAME[=FILE][:LAYER][:flat]`; or a classifier by its model
    /// name or file.
    ///
    /// A convolutional layer gives the mean of each of its maps, or with `:flat` all their numbers. FILE is used whatever its
    /// checksum; without it the file is looked for in the models folder, and its checksum must be on the network's card.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is none; [`Error::Missing`] when its file is not found; [`Error::Format`] when the file
    /// does not hold a classifier, or other weights than are known.
    pub fn named(name: &str, models: &Models, place: &Place) -> Result<Self> {
        if name == "pixels" {
            return Ok(Self::Pixels);
        }
        if name == "identity" {
            let allowed = "pixels, a network or a classifier for pictures; identity is for files of points";
            return Err(Error::parameter("features", name, allowed));
        }
        if let Some(spec) = FeatureSpec::parse(name)? {
            let network = models.network(spec.card, spec.file.as_deref(), place)?;
            return Ok(Self::Network(Box::new(Extractor::of_network(&network, spec.layer(), spec.positions)?)));
        }
        let (bytes, path) = models.bytes(name).map_err(|fault| match fault {
            Error::UnknownName { name, known, remedy, .. } => {
                let maps = CARDS.iter().map(|card| card.name.to_string()).chain(["pixels".to_string()]);
                Error::UnknownName { what: "feature map".into(), name, known: maps.chain(known).collect(), remedy }
            }
            other => other,
        })?;
        let classifier = Classifier::parse(&bytes, &path, place)?;
        // The classifier of a run folder is known by the folder's name.
        let named =
            if path.file_name().is_some_and(|f| f == "model.safetensors") { path.parent() } else { Some(&*path) };
        let known = named.and_then(|p| p.file_stem()).map_or(name.into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Self::Network(Box::new(Extractor::of_classifier(&known, &classifier)?)))
    }
}
