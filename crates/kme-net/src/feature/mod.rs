//! Feature maps φ: pictures (n, c, h, w) → points (n, d).

mod card;
mod extractor;
mod fit;
mod named;
mod pixels;
mod spec;

pub use card::{portable, recorded};
pub use extractor::{Extractor, Positions};
pub use pixels::Pixels;
pub use spec::canonical;

use burn::tensor::Tensor;
use kme::{FeatureIdentity, Points, Result};
use kme_image::{Channels, Colour, Decoder, Form, Images, Protocol, Resize};
use spec::FeatureSpec;
use std::fmt;
use std::sync::Arc;

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

/// What one pass over pictures gives.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// Shape (n, d).
    pub features: Points,
    /// One for each class, shape (n, classes); of networks that classify.
    pub logits: Option<Points>,
}

/// A map φ from pictures to feature vectors.
///
/// One may look at several layers, of one network or of several: then its features are a list of vectors, one for each layer,
/// and where one vector is needed they stand side by side. [`Pixels`] and [`Extractor`] give one.
pub trait FeatureMap: fmt::Debug + Send + Sync {
    /// The features of pictures (n, c, h, w) as expressions that can be differentiated in the pixels: for each layer that is
    /// looked at one of shape (n, dᵢ).
    ///
    /// Pictures of other channels or size than the network's are brought to them by the map's own protocol, so that these are
    /// the features that [`features`](Self::features) finds, up to the rounding of the device.
    ///
    /// # Errors
    /// [`Error::Mismatch`](kme::Error::Mismatch) when a network does not take them.
    fn tensors(&self, pictures: Tensor<4>) -> Result<Vec<Tensor<2>>>;

    /// The features and, with `logits`, where a network classifies, the logits, in one pass. On the processor they do not
    /// depend on which pictures come together.
    ///
    /// # Errors
    /// [`Error::NotFinite`](kme::Error::NotFinite) when a number is not finite.
    fn outputs(&self, pictures: Pictures<'_>, logits: bool) -> Result<Outputs>;

    /// What an embedding records of the map. `shape` is that of the pictures (channels, height, width).
    fn identity(&self, shape: [usize; 3]) -> FeatureIdentity;

    /// SHA-256 of the network's weights, where there is a network.
    fn sha256(&self) -> Option<&str>;

    /// The shape (channels, height, width) that pictures are brought to, where there is one.
    fn input(&self) -> Option<[usize; 3]>;

    /// How pictures are brought to [`input`](Self::input).
    fn resize(&self) -> Option<Resize>;

    /// The same map with another way to bring pictures to the network's size, where it has one.
    fn with_resize(&self, protocol: Protocol) -> Arc<dyn FeatureMap>;

    /// Whether [`outputs`](Self::outputs) can give logits.
    fn classifies(&self) -> bool {
        false
    }

    /// The features of pictures, shape (n, d): those of all layers side by side, d = Σ dᵢ.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs).
    fn features(&self, pictures: Pictures<'_>) -> Result<Points> {
        Ok(self.outputs(pictures, false)?.features)
    }

    /// [`tensors`](Self::tensors) side by side, shape (n, d): what [`features`](Self::features) finds, as one expression.
    ///
    /// # Errors
    /// As there.
    fn tensor(&self, pictures: Tensor<4>) -> Result<Tensor<2>> {
        let mut all = self.tensors(pictures)?;
        Ok(if all.len() == 1 { all.remove(0) } else { Tensor::cat(all, 1) })
    }

    /// What sources of pictures are read as for this map, where it says; see [`Pictures::in_form`].
    ///
    /// # Errors
    /// [`Error::Parameter`](kme::Error::Parameter) when its network takes neither 1 nor 3 channels.
    fn form(&self) -> Result<Option<Form>> {
        let (Some([c, ..]), Some(resize)) = (self.input(), self.resize()) else { return Ok(None) };
        let channels = Channels::Convert(Colour::from_channels(c)?);
        let decoder = Decoder { channels, reading: resize.protocol().reading(), ..Decoder::default() };
        Ok(Some(Form { decoder, resize: Some(resize), ..Form::default() }))
    }
}
