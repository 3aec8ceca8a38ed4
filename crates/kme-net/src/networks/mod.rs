//! Networks that the field knows by name: their architectures, cards, and weights from files that the user has.
//!
//! One file for each architecture: its card and its layers, with the names of places that the field uses (`relu3_1`,
//! `Mixed_5d`, `pool3`, `features.28`) and the names of its tensors in the files that are around. `load` folds batch
//! normalisation into convolutions. A new architecture is a file beside these and a line in [`CARDS`].

mod card;
mod face;
mod inception;
mod lenet5;
mod load;
mod mobilenet_v2;
mod resnet18;
mod sketch;
mod squeezenet1_1;
mod vgg19;
mod vgg_normalised;

pub use card::{Convention, Known, NetworkCard, Normalisation};

use crate::net::{Mode, Net, Place};
use crate::weights::{self, Weights};
use burn::tensor::Tensor;
use kme::{Error, Result};
use std::path::Path;

/// The networks that are known by name.
pub const CARDS: &[NetworkCard] = &[
    inception::CARD,
    vgg19::CARD,
    vgg_normalised::CARD,
    mobilenet_v2::CARD,
    squeezenet1_1::CARD,
    resnet18::CARD,
    lenet5::CARD,
    face::CARD,
];

/// The card of the network of this name.
pub fn network_card(name: &str) -> Option<&'static NetworkCard> {
    CARDS.iter().find(|card| card.name.eq_ignore_ascii_case(name))
}

/// A known network with its weights: pictures with pixels in [0, 1] → activations at named layers.
///
/// What the weights want of their pixels (order of channels, range, mean) is the first layer, so that gradients reach the
/// picture. Batch normalisation is folded into the convolutions.
#[derive(Clone, Debug)]
pub struct Network {
    /// What the network is, and where its weights come from.
    pub card: &'static NetworkCard,
    /// The convention of names that its file follows, with the pixels that its weights want.
    pub convention: &'static Convention,
    /// The network: pictures (n, c, h, w) with pixels in [0, 1] → the output of its last layer.
    pub net: Net,
    /// SHA-256 of the file that it was read from.
    pub sha256: String,
    names: Vec<(String, usize)>,
}

impl Network {
    /// The network with the weights in a file, whatever its checksum.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Format`] when a tensor is missing or has another shape.
    pub fn read(card: &'static NetworkCard, path: &Path, place: &Place) -> Result<Self> {
        Self::of_weights(card, &weights::read(path)?, path, place)
    }

    /// The network with these weights; `path` is for messages.
    ///
    /// # Errors
    /// [`Error::Format`] when a tensor is missing or has another shape.
    pub fn of_weights(card: &'static NetworkCard, weights: &Weights, path: &Path, place: &Place) -> Result<Self> {
        let loaded = load::load(card, weights, path, place)?;
        let convention = &card.conventions[loaded.convention];
        Ok(Self { card, convention, net: loaded.net, sha256: weights.sha256.clone(), names: loaded.names })
    }

    /// The names of its layers, each with the number of layers of [`net`](Self::net) up to there, in their order. A layer
    /// may have several names.
    pub fn layers(&self) -> &[(String, usize)] {
        &self.names
    }

    /// The number of layers of [`net`](Self::net) up to the layer of this name.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when this network has none; [`Error::Unsupported`] when its file has no weights for it.
    pub fn depth(&self, layer: &str) -> Result<usize> {
        if let Some((_, depth)) = self.names.iter().find(|(name, _)| name == layer) {
            return Ok(*depth);
        }
        let all = self.card.layers();
        if all.iter().any(|name| name.trim_matches(['(', ')']) == layer) {
            let last = self.names.last().map_or("", |(name, _)| name);
            let reason = format!("the weights in this file go only up to {last}");
            return Err(Error::unsupported(format!("use layer {layer} of {}", self.card.name), reason));
        }
        Err(Error::unknown(format!("layer of {}", self.card.name), layer, all))
    }

    /// The same network for pictures of another height and width. The layers up to the last that still fits are kept.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when not even the first layer fits.
    pub fn resized(&self, [h, w]: [usize; 2]) -> Result<Self> {
        let input = [self.net.input()[0], h, w];
        let fitting = |depth: usize| self.net.truncated(depth).and_then(|net| net.resized(input));
        // Dense layers fit one size, convolutions any that is not too small: what fits is a beginning.
        let (mut least, mut most) = (1, self.net.layers().len());
        if let Ok(net) = fitting(most) {
            return Ok(Self { net, ..self.clone() });
        }
        fitting(least)?;
        while most - least > 1 {
            let middle = least.midpoint(most);
            if fitting(middle).is_ok() { least = middle } else { most = middle }
        }
        let mut names = self.names.clone();
        names.retain(|(_, depth)| *depth <= least);
        Ok(Self { net: fitting(least)?, names, ..self.clone() })
    }

    /// The activations of named layers for pictures (n, c, h, w) with pixels in [0, 1], in one pass that stops after the
    /// deepest. Differentiable in the pictures.
    ///
    /// # Errors
    /// As [`depth`](Self::depth); [`Error::Mismatch`] when the pictures do not have the network's shape.
    pub fn activations(&self, pictures: Tensor<4>, layers: &[&str]) -> Result<Vec<Tensor<4>>> {
        self.net.activations(pictures, &self.depths(layers)?, Mode::Evaluate)
    }

    fn depths(&self, layers: &[&str]) -> Result<Vec<usize>> {
        layers.iter().map(|layer| self.depth(layer)).collect()
    }
}

impl NetworkCard {
    /// Refuses weights whose checksum is not on the card.
    ///
    /// # Errors
    /// [`Error::Format`] names the file, the checksum that was found and those that are known, and how to use the file all the
    /// same.
    pub fn check_known(&self, sha256: &str, path: &Path) -> Result<&'static Known> {
        self.known.iter().find(|known| sha256.starts_with(known.sha256)).ok_or_else(|| {
            let known: Vec<_> = self.known.iter().map(|known| format!("{}... ({})", known.sha256, known.what)).collect();
            Error::format(
                path,
                format!(
                    "is not known to hold {}: its SHA-256 is {sha256}, known are {}; to use it all the same, name the file: \
                     {}={}",
                    self.name,
                    known.join(", "),
                    self.name,
                    path.display()
                ),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn cards_name_layers_that_are_there() {
        for card in CARDS {
            let sketch = (card.sketch)();
            let names: BTreeSet<_> = sketch.names.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names.len(), sketch.names.len(), "{}: a name stands for two places", card.name);
            assert!(names.contains(card.features), "{}", card.name);
            assert!(card.logits.is_none_or(|logits| names.contains(logits)), "{}", card.name);
            for source in &sketch.part.sources {
                assert_eq!(source.len(), card.conventions.len(), "{}", card.name);
            }
            assert!(card.resize.parse::<kme_image::Protocol>().is_ok(), "{}", card.name);
            let digits = |s: &str| s.len() >= 8 && s.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(card.known.iter().all(|known| digits(known.sha256)), "{}", card.name);
        }
    }
}
