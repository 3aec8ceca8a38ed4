//! What is known of a network before its file is at hand.

use super::sketch::Sketch;
use crate::net::layer::{Normalise, Shape};
use std::fmt;

/// A network that the field knows by name. Its weights are a file that the user gets; nothing is ever downloaded.
#[derive(Debug)]
pub struct NetworkCard {
    /// Its name, such as `inception`.
    pub name: &'static str,
    /// What it is, in one line.
    pub line: &'static str,
    /// The architecture's paper.
    pub reference: &'static str,
    /// Where its weights are to be had.
    pub origin: &'static str,
    /// The licence of the weights.
    pub licence: &'static str,
    /// What its files are called where they come from; in the models folder they are found under these names too.
    pub files: &'static [&'static str],
    /// Files that are known to hold its weights.
    pub known: &'static [Known],
    /// Shape of the pictures for which it is set up: channels, height, width.
    pub input: Shape,
    /// How pictures are brought to that size unless told otherwise: the name of a [`Protocol`](kme_image::Protocol).
    pub resize: &'static str,
    /// The conventions of names that its files follow, each with the pixels that weights of that origin want.
    pub conventions: &'static [Convention],
    /// The layer whose output is the feature vector unless another is named.
    pub features: &'static str,
    /// The layer that holds one logit for each class, if it classifies.
    pub logits: Option<&'static str>,
    /// Pictures that go through the network together. Always as many, so that a picture's features depend on it alone.
    pub batch: usize,
    pub(crate) sketch: fn() -> Sketch,
}

/// A file of weights that is known.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// SHA-256 in hexadecimal; of files that carry its beginning in their name, as PyTorch's do, at least those digits.
    pub sha256: &'static str,
    /// Which file it is.
    pub what: &'static str,
}

/// Names of tensors as one origin writes them, and the pixels that its weights want.
#[derive(Clone, Copy, Debug)]
pub struct Convention {
    /// Whose names they are, such as `torchvision`.
    pub name: &'static str,
    /// The pixels that weights of this origin want.
    pub pixels: Normalisation,
}

/// What a network wants its pixels to be, from red, green and blue in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Normalisation {
    /// As they are.
    Unit,
    /// (x − mean)/deviation for red, green and blue.
    Standard {
        /// Mean of each channel of pixels in [0, 1].
        mean: [f64; 3],
        /// Standard deviation of each channel of pixels in [0, 1].
        deviation: [f64; 3],
    },
    /// Blue, green and red in [0, 255] minus the mean.
    Caffe([f64; 3]),
    /// (255 x − 128)/128.
    TensorFlow,
    /// (255 x − mean)/256 for red, green and blue.
    Dlib([f64; 3]),
}

/// The mean and deviation of ImageNet's pixels in [0, 1], as torchvision has them.
pub(super) const IMAGENET: Normalisation =
    Normalisation::Standard { mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225] };

impl Normalisation {
    /// The layer that makes them so.
    pub(super) fn layer(self) -> Option<Normalise> {
        match self {
            Self::Unit => None,
            Self::Standard { mean, deviation } => Some(Normalise::standard(&mean, &deviation)),
            Self::Caffe(mean) => Some(Normalise::caffe(mean)),
            Self::TensorFlow => Some(Normalise::standard(&[128.0 / 255.0; 3], &[128.0 / 255.0; 3])),
            Self::Dlib(mean) => Some(Normalise::standard(&mean.map(|m| m / 255.0), &[256.0 / 255.0; 3])),
        }
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f64]| values.iter().map(f64::to_string).collect::<Vec<_>>().join(" ");
        match self {
            Self::Unit => f.write_str("range 0 to 1"),
            Self::Standard { mean, deviation } => {
                write!(f, "RGB minus {} over {}", list(mean), list(deviation))
            }
            Self::Caffe(mean) => write!(f, "BGR 0 to 255 minus {}", list(mean)),
            Self::TensorFlow => f.write_str("RGB (255x - 128)/128"),
            Self::Dlib(mean) => write!(f, "RGB 0 to 255 minus {} over 256", list(mean)),
        }
    }
}

impl NetworkCard {
    /// The known file with this SHA-256.
    pub fn known(&self, sha256: &str) -> Option<&'static Known> {
        self.known.iter().find(|known| sha256.starts_with(known.sha256))
    }

    /// The names of its layers; a name in brackets is another of the one before it.
    pub fn layers(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let mut last = None;
        for (name, depth) in (self.sketch)().names {
            match last == Some(depth) {
                true => found.push(format!("({name})")),
                false => found.push(name),
            }
            last = Some(depth);
        }
        found
    }
}
