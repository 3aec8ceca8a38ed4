//! Pictures in memory.

use kme::{Error, Result};

use super::batches::{Batches, Content};
use super::form::Form;
use super::raw::RawPictures;
use crate::image::Images;

/// Pictures decoded at one time while a data set is loaded.
const BATCH: usize = 256;

/// The pictures of a source, all in memory: n pictures of shape (c, h, w), pixels in [0, 1].
///
/// What was 8 bits without any conversion stays 8 bits in memory (CIFAR-10: 154 MB instead of 614 MB) and is widened
/// when it is asked for.
#[derive(Clone, Debug)]
pub struct Dataset {
    pixels: Pixels,
    labels: Option<Vec<u32>>,
    class_names: Option<Vec<String>>,
    names: Names,
    fingerprint: String,
}

#[derive(Clone, Debug)]
enum Pixels {
    Bytes(RawPictures),
    Floats(Images),
}

#[derive(Clone, Debug)]
enum Names {
    Each(Vec<String>),
    Numbered(String),
}

impl Dataset {
    pub(super) fn load(content: Content, form: &Form) -> Result<Self> {
        match content {
            Content::Raw { raw, name, classes, fingerprint } if form.holds([raw.c, raw.h, raw.w]) => {
                let labels = raw.labels.clone();
                let pixels = Pixels::Bytes(raw);
                Ok(Self { pixels, labels, class_names: classes, names: Names::Numbered(name), fingerprint })
            }
            content => Self::collect(Batches::new(content, *form, BATCH)),
        }
    }

    /// Pictures that were chosen from a source, with what is known of them.
    pub fn of(
        images: Images,
        labels: Option<Vec<u32>>,
        class_names: Option<Vec<String>>,
        names: Vec<String>,
        fingerprint: String,
    ) -> Self {
        Self { pixels: Pixels::Floats(images), labels, class_names, names: Names::Each(names), fingerprint }
    }

    fn collect(mut batches: Batches) -> Result<Self> {
        let (mut data, mut names, mut labels, mut shape) = (Vec::new(), Vec::new(), Vec::new(), None);
        while let Some(batch) = batches.next() {
            let batch = batch?;
            if shape.is_none() {
                // Known from the first batch on, so that growing never holds the pictures twice.
                let numbers = batches.total().saturating_mul(batch.images.stride());
                data.try_reserve_exact(numbers).map_err(|_| too_large(&batch.images, batches.total()))?;
                shape = Some(batch.images.shape());
            }
            data.extend_from_slice(batch.images.data());
            names.extend(batch.names);
            labels.extend(batch.labels.unwrap_or_default());
        }
        let (Some([_, c, h, w]), Some(fingerprint)) = (shape, batches.fingerprint()) else {
            return Err(Error::too_few("pictures", 0, 1, "a data set"));
        };
        Ok(Self {
            labels: (labels.len() == names.len()).then_some(labels),
            pixels: Pixels::Floats(Images::new(names.len(), c, h, w, data)?),
            class_names: batches.class_names().map(<[String]>::to_vec),
            names: Names::Each(names),
            fingerprint,
        })
    }

    /// Number of pictures n ≥ 1.
    pub fn len(&self) -> usize {
        self.shape()[0]
    }

    /// Never true: there is at least one picture.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// (n, c, h, w).
    pub fn shape(&self) -> [usize; 4] {
        match &self.pixels {
            Pixels::Bytes(raw) => [raw.n, raw.c, raw.h, raw.w],
            Pixels::Floats(images) => images.shape(),
        }
    }

    /// The pictures at `indices`, in that order; an index may occur more than once.
    ///
    /// # Errors
    /// [`Error::TooFew`] when `indices` is empty; [`Error::Parameter`] when one of them is not below n.
    pub fn gather(&self, indices: &[usize]) -> Result<Images> {
        match &self.pixels {
            Pixels::Floats(images) => images.select(indices),
            Pixels::Bytes(raw) => match indices.iter().find(|i| **i >= raw.n) {
                Some(i) => Err(Error::parameter("index", i, format!("below {}, the number of pictures", raw.n))),
                None if indices.is_empty() => Err(Error::too_few("indices", 0, 1, "a selection of pictures")),
                None => raw.images(indices.iter().copied()),
            },
        }
    }

    /// All pictures.
    ///
    /// # Errors
    /// Those of [`Images::new`], which pictures that were loaded do not meet.
    pub fn images(&self) -> Result<Images> {
        match &self.pixels {
            Pixels::Floats(images) => Ok(images.clone()),
            Pixels::Bytes(raw) => raw.images(0..raw.n),
        }
    }

    /// One label per picture, where the source has labels.
    pub fn labels(&self) -> Option<&[u32]> {
        self.labels.as_deref()
    }

    /// Names of the classes that labels stand for, where they are known.
    pub fn class_names(&self) -> Option<&[String]> {
        self.class_names.as_deref()
    }

    /// Name of picture `i`: its path inside the source, or the file's name with the picture's number.
    pub fn name(&self, i: usize) -> String {
        match &self.names {
            Names::Each(names) => names.get(i).cloned().unwrap_or_else(|| format!("[{i}]")),
            Names::Numbered(file) => format!("{file}[{i}]"),
        }
    }

    /// SHA-256 over the names and contents of the source's files, in hexadecimal digits.
    ///
    /// It depends on neither where the files lie nor how they are packed: a folder and a zip archive of it have one
    /// fingerprint, and so have an idx file and its `.gz`. It does not depend on the form (size, channels).
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The error for `n` pictures like `one` that do not fit in memory.
pub fn too_large(one: &Images, n: usize) -> Error {
    let [_, c, h, w] = one.shape();
    let gigabytes = (n as f64 * one.stride() as f64 * 4.0 / 1e9).round();
    let remedy = "lower data.size, or set data.stream = true";
    Error::too_many(format!("{n} pictures of {c}x{h}x{w}"), format!("{gigabytes} GB"), "fits in memory", remedy)
}
