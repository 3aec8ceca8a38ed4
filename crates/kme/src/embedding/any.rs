//! An embedding of whichever form a file has.

use std::path::Path;

use super::file::form_of;
use super::{Embedding, EmbeddingKind, FeatureIdentity, MeanEmbedding};
use crate::{Error, Field, Kernel, Result};

/// An embedding in one of the two forms of the `.kme` file.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyEmbedding {
    /// Points and weights.
    Points(Embedding),
    /// The mean of random features.
    Mean(MeanEmbedding),
}

impl AnyEmbedding {
    /// Reads a file of either form.
    ///
    /// # Errors
    /// Those of [`Embedding::read`] and [`MeanEmbedding::read`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        match form_of(path)?.as_str() {
            super::mean::FORM => MeanEmbedding::read(path).map(Self::Mean),
            // A form that is not known is for this reader to refuse.
            _ => Embedding::read(path).map(Self::Points),
        }
    }

    /// Writes the file, whole or not at all. Equal embeddings give equal bytes.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        match self {
            Self::Points(embedding) => embedding.write(path),
            Self::Mean(embedding) => embedding.write(path),
        }
    }

    /// The embedding of the pooled samples, see [`Embedding::merge`] and [`MeanEmbedding::merge`].
    ///
    /// # Errors
    /// Those of the two; [`Error::Mismatch`] when there are both forms among the parts.
    pub fn merge(parts: &[&Self]) -> Result<Self> {
        let (mut points, mut means) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Self::Points(embedding) => points.push(embedding),
                Self::Mean(embedding) => means.push(embedding),
            }
        }
        match (points.as_slice(), means.as_slice()) {
            (points, []) => Embedding::merge(points).map(Self::Points),
            ([], means) => MeanEmbedding::merge(means).map(Self::Mean),
            _ => {
                let (left, right) = (parts[0].form(), if parts[0].form() == "points" { "mean" } else { "points" });
                Err(Error::mismatch(Field::Form, left, right, "embed both with, or both without, random features"))
            }
        }
    }

    /// `points` or `mean`, as in the file.
    pub fn form(&self) -> &'static str {
        match self {
            Self::Points(_) => "points",
            Self::Mean(_) => super::mean::FORM,
        }
    }

    /// Number of points n.
    pub fn len(&self) -> u64 {
        match self {
            Self::Points(embedding) => embedding.len() as u64,
            Self::Mean(embedding) => embedding.len(),
        }
    }

    /// Never true: an embedding has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Dimension d of the points.
    pub fn dim(&self) -> usize {
        match self {
            Self::Points(embedding) => embedding.dim(),
            Self::Mean(embedding) => embedding.frequencies().d,
        }
    }

    /// Whether this is a sample or a combination.
    pub fn kind(&self) -> EmbeddingKind {
        match self {
            Self::Points(embedding) => embedding.kind(),
            Self::Mean(embedding) => embedding.kind(),
        }
    }

    /// The kernel k.
    pub fn kernel(&self) -> &Kernel {
        match self {
            Self::Points(embedding) => embedding.kernel(),
            Self::Mean(embedding) => embedding.kernel(),
        }
    }

    /// The identity of the feature map φ.
    pub fn features(&self) -> &FeatureIdentity {
        match self {
            Self::Points(embedding) => embedding.features(),
            Self::Mean(embedding) => embedding.features(),
        }
    }
}
