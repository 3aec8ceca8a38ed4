//! A source as points, and what of several must agree.

use super::points::Table;
use kme::{Error, FeatureIdentity, Field, Kernel, KernelSpec, Points, Result};
use kme_image::Skipped;
use serde_json::{Value, json};
use std::fmt::Display;

/// The feature map that takes pictures as they are.
const PIXELS: &str = "pixels";

/// A source as points.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Shape (n, d).
    pub points: Points,
    /// Class logits (n, classes), of pictures, when they were asked for and the network has them.
    pub logits: Option<Points>,
    /// Where they are not all equal.
    pub weights: Option<Vec<f64>>,
    /// The feature map that the points are of.
    pub features: FeatureIdentity,
    /// Of an embedding.
    pub kernel: Option<Kernel>,
    /// SHA-256 over the files of a source of pictures.
    pub fingerprint: Option<String>,
    /// Pictures that were left out since they cannot be read.
    pub skipped: Vec<Skipped>,
    /// Of pictures that have names: the name of each.
    pub names: Option<Vec<String>>,
    /// Of files of pictures: how they were read.
    pub decoder: Option<String>,
    /// Of pictures: how they were brought to one size, if they were.
    pub resize: Option<String>,
    /// Of a file of points: columns, and what was left out.
    pub table: Table,
}

impl Sample {
    /// Its points and weights, as statistics take them.
    pub fn weighted(&self) -> kme::Sample<'_> {
        kme::Sample { points: self.points.view(), weights: self.weights.as_deref() }
    }

    /// Points of this feature map, and nothing more: of equal weight, from nowhere that is known.
    ///
    /// Shapes: points (n, d).
    pub fn new(points: Points, features: FeatureIdentity) -> Self {
        Self {
            points,
            features,
            logits: None,
            weights: None,
            kernel: None,
            fingerprint: None,
            skipped: Vec::new(),
            names: None,
            decoder: None,
            resize: None,
            table: Table::default(),
        }
    }

    /// Whether the sample called `name` can be compared with `other`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when feature maps or dimensions differ.
    pub fn check_same_space(&self, name: &str, other: &Self, other_name: &str) -> Result<()> {
        let fault = match self.features.check_same(&other.features) {
            Ok(()) => return check_same_dim((self.points.dim(), name), (other.points.dim(), other_name)),
            Err(fault) => fault,
        };
        // A difference in the pixels' shape has a remedy at hand.
        let fault = match fault {
            Error::Mismatch { field: Field::Preprocessing, left, right, .. } if self.features.name == PIXELS => {
                let remedy = "bring all pictures to one form with `size` and `channels`";
                Error::mismatch(Field::Preprocessing, left, right, remedy)
            }
            other => other,
        };
        Err(naming(fault, name, other_name))
    }

    /// What a result records of where the sample named `text` comes from.
    pub fn provenance(&self, text: &str) -> Value {
        let mut told = json!({
            "source": text,
            "weighted": self.weights.is_some(),
            "fingerprint": self.fingerprint,
            "skipped": self.skipped,
            "decoder": self.decoder,
            "resize": self.resize,
        });
        if let Some(columns) = &self.table.columns {
            told["columns"] = json!(columns);
        }
        if !self.table.remarks.is_empty() {
            told["remarks"] = json!(self.table.remarks);
        }
        told
    }
}

/// The kernel that samples, each with its name, are compared by: the one that was asked for, else that of the embeddings among
/// them, else the one of this text. A median is that of all their points.
///
/// # Errors
/// When embeddings have different kernels and none was asked for, or a median cannot be taken.
pub fn common_kernel(asked: Option<&KernelSpec>, samples: &[(&str, &Sample)], otherwise: &str) -> Result<Kernel> {
    let mut own = samples.iter().filter_map(|(name, sample)| Some((sample.kernel.as_ref()?, name)));
    let spec = match (asked, own.next()) {
        (Some(spec), _) => spec.clone(),
        (None, None) => otherwise.parse()?,
        (None, Some((first, name))) => match own.find(|(kernel, _)| *kernel != first) {
            None => return Ok(first.clone()),
            Some((other, other_name)) => {
                let fault = Error::mismatch(Field::Kernel, first, other, "name the one to use with `kernel`");
                return Err(naming(fault, name, other_name));
            }
        },
    };
    let points: Vec<&Points> = samples.iter().map(|(_, sample)| &sample.points).collect();
    spec.resolve_for(&points)
}

/// Whether points of two sources have one dimension; each with its name.
///
/// # Errors
/// [`Error::Mismatch`] when they have not.
pub(crate) fn check_same_dim((d, name): (usize, &str), (other, other_name): (usize, &str)) -> Result<()> {
    match d == other {
        true => Ok(()),
        false => {
            Err(naming(Error::mismatch(Field::Dimension, d, other, "compare points of one space"), name, other_name))
        }
    }
}

/// A difference with the names of the two things that differ.
pub fn naming(fault: Error, left_name: impl Display, right_name: impl Display) -> Error {
    match fault {
        Error::Mismatch { field, left, right, remedy } => {
            Error::mismatch(field, format!("{left} ({left_name})"), format!("{right} ({right_name})"), remedy)
        }
        other => other,
    }
}

/// A fault of too few points with the name of the sample that has so few, of all by name and size.
pub fn naming_small<'a>(fault: Error, samples: impl IntoIterator<Item = (&'a str, usize)>) -> Error {
    let Error::TooFew { given, .. } = &fault else { return fault };
    match samples.into_iter().find(|(_, size)| size == given) {
        Some((name, _)) => fault.within(name),
        None => fault,
    }
}
