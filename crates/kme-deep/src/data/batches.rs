//! Reading pictures batch by batch.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use kme::{Error, Result};
use rayon::prelude::*;

use super::MAX_FILE_BYTES;
use super::archive::Archive;
use super::fingerprint::{Fingerprint, digest};
use super::raw::RawPictures;
use crate::image::{Channels, Decoder, Images, Resize};

/// The common form that pictures of a source are brought to: first their channels, then their size.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Form {
    /// Decoding, with what happens to channels and transparency.
    pub decoder: Decoder,
    /// The size; without it, all pictures must have one size already.
    pub resize: Option<Resize>,
}

impl Form {
    /// Whether pictures of shape (c, h, w) already have this form.
    pub(super) fn holds(&self, [c, h, w]: [usize; 3]) -> bool {
        let channels = match self.decoder.channels {
            Channels::Keep => c,
            Channels::Convert(colour) | Channels::Require(colour) => colour.channels(),
        };
        channels == c && self.resize.is_none_or(|r| (r.height(), r.width()) == (h, w))
    }

    /// `images`, which did not come through the decoder, in this form.
    fn bring(&self, images: Images, name: &str) -> Result<Images> {
        let images = match self.decoder.channels {
            Channels::Convert(colour) if colour.channels() != images.channels() => images.to_colour(colour),
            Channels::Require(colour) if colour.channels() != images.channels() => {
                return Err(Error::mismatch(
                    format!("number of channels of {name}"),
                    images.channels(),
                    colour.channels(),
                    "allow conversion, or name pictures of that kind",
                ));
            }
            _ => images,
        };
        self.resize(images)
    }

    fn resize(&self, images: Images) -> Result<Images> {
        match self.resize {
            Some(resize) => resize.apply(&images),
            None => Ok(images),
        }
    }
}

/// A picture file: its name inside the source, and its place for messages and reading.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Where picture files lie.
pub(super) enum Store {
    Files,
    Archive(Box<Archive>),
}

/// Picture files that are read and decoded when asked for.
pub(super) struct Encoded {
    store: Store,
    pictures: Vec<Named>,
    /// Labels with class names, from the folders of the first level when every picture lies in one.
    labels: Option<(Vec<u32>, Vec<String>)>,
    fingerprint: Fingerprint,
    /// Number and shape (c, h, w) of the first picture that was read.
    first: Option<(usize, [usize; 3])>,
}

impl Encoded {
    pub(super) fn new(store: Store, pictures: Vec<Named>) -> Self {
        let labels = labels(&pictures);
        Self { store, pictures, labels, fingerprint: Fingerprint::new(), first: None }
    }

    /// Decodes the pictures of `range` in parallel. Ranges must follow each other.
    fn read(&mut self, range: Range<usize>, form: &Form) -> Result<Images> {
        let files = range.clone().map(|i| self.bytes(i)).collect::<Result<Vec<_>>>()?;
        let pictures = &self.pictures[range.clone()];
        let decoded: Vec<(Result<Images>, [u8; 32])> = files
            .par_iter()
            .zip(pictures)
            .map(|(file, picture)| {
                let image = form.decoder.decode(file, &picture.path).and_then(|image| form.resize(image));
                (image, digest(file))
            })
            .collect();
        let mut images = Vec::with_capacity(decoded.len());
        // In order, so that of several faults always the first is reported.
        for (i, ((image, sha256), picture)) in range.zip(decoded.into_iter().zip(pictures)) {
            let image = image?;
            let [_, c, h, w] = image.shape();
            let (first, shape) = *self.first.get_or_insert((i, [c, h, w]));
            if shape != [c, h, w] {
                return Err(differing(&self.pictures[first].path, shape, &picture.path, [c, h, w]));
            }
            self.fingerprint.add(&picture.name, &sha256);
            images.push(image);
        }
        Images::concat(&images)
    }

    fn bytes(&mut self, i: usize) -> Result<Vec<u8>> {
        match &mut self.store {
            Store::Files => read_file(&self.pictures[i].path),
            Store::Archive(archive) => archive.read(i),
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let length = fs::metadata(path).map_err(|e| Error::file(path, e))?.len();
    if length > MAX_FILE_BYTES {
        return Err(Error::file(path, format!("{length} bytes; picture files of at most {MAX_FILE_BYTES} are read")));
    }
    fs::read(path).map_err(|e| Error::file(path, e))
}

fn differing(first: &Path, [c, h, w]: [usize; 3], other: &Path, [c2, h2, w2]: [usize; 3]) -> Error {
    if (h, w) == (h2, w2) {
        return Error::mismatch(
            "number of channels",
            format!("{c} ({})", first.display()),
            format!("{c2} ({})", other.display()),
            "--channels 1 or --channels 3 brings all pictures to one kind",
        );
    }
    Error::mismatch(
        "picture size",
        format!("{h}x{w} ({})", first.display()),
        format!("{h2}x{w2} ({})", other.display()),
        "--size HEIGHTxWIDTH brings all pictures to one size",
    )
}

fn labels(pictures: &[Named]) -> Option<(Vec<u32>, Vec<String>)> {
    let folders: Vec<&str> =
        pictures.iter().map(|p| p.name.split_once('/').map(|(folder, _)| folder)).collect::<Option<_>>()?;
    let mut classes = folders.clone();
    classes.sort_unstable();
    classes.dedup();
    let label = |folder: &&str| classes.binary_search(folder).ok().and_then(|i| u32::try_from(i).ok());
    let labels = folders.iter().map(label).collect::<Option<_>>()?;
    Some((labels, classes.iter().map(ToString::to_string).collect()))
}

/// An opened source.
pub(super) enum Content {
    Encoded(Encoded),
    Raw {
        raw: RawPictures,
        /// Names single pictures, with their number.
        name: String,
        classes: Option<Vec<String>>,
        fingerprint: String,
    },
}

/// Some pictures of a source, in its order.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The pictures, pixels in [0, 1].
    pub images: Images,
    /// One label per picture, where the source has labels.
    pub labels: Option<Vec<u32>>,
    /// One name per picture: its path inside the source, or the file's name with the picture's number.
    pub names: Vec<String>,
}

/// Iterator over the batches of a [`Source`](super::Source); after an error it ends.
pub struct Batches {
    content: Content,
    form: Form,
    size: usize,
    /// Pictures that are still to be read.
    left: Range<usize>,
    /// Whether every picture is or was to be read.
    whole: bool,
    failed: bool,
}

impl Batches {
    pub(super) fn new(content: Content, form: Form, size: usize) -> Self {
        let mut batches = Self { content, form, size, left: 0..0, whole: true, failed: false };
        batches.left = 0..batches.total();
        batches
    }

    /// Only the pictures number `range` of the source, such as one shard of it; the others are not even opened.
    ///
    /// # Errors
    /// When `range` is empty or goes beyond [`Batches::total`].
    pub fn within(self, range: Range<usize>) -> Result<Self> {
        let total = self.total();
        if range.is_empty() || range.end > total {
            return Err(Error::value("range of pictures", format!("{range:?}"), format!("a part of 0..{total}")));
        }
        Ok(Self { whole: range == (0..total), left: range, ..self })
    }

    /// Number of pictures of the whole source.
    pub fn total(&self) -> usize {
        match &self.content {
            Content::Encoded(encoded) => encoded.pictures.len(),
            Content::Raw { raw, .. } => raw.n,
        }
    }

    /// The name of picture `i` of the source, as in [`Batch::names`]; none from [`Batches::total`] on.
    pub fn name(&self, i: usize) -> Option<String> {
        match &self.content {
            Content::Encoded(encoded) => encoded.pictures.get(i).map(|picture| picture.name.clone()),
            Content::Raw { raw, name, .. } => (i < raw.n).then(|| format!("{name}[{i}]")),
        }
    }

    /// Picture `i` of the source alone, whatever has been read: for looking at a few again.
    ///
    /// # Errors
    /// When there is no such picture, or it cannot be read.
    pub fn picture(&mut self, i: usize) -> Result<Images> {
        let total = self.total();
        if i >= total {
            return Err(Error::value("number of a picture", i, format!("below {total}")));
        }
        match &mut self.content {
            Content::Encoded(encoded) => {
                let bytes = encoded.bytes(i)?;
                self.form.resize(self.form.decoder.decode(&bytes, &encoded.pictures[i].path)?)
            }
            Content::Raw { raw, name, .. } => self.form.bring(raw.images(i..i + 1)?, name),
        }
    }

    /// Names of the classes that labels stand for, where they are known.
    pub fn class_names(&self) -> Option<&[String]> {
        match &self.content {
            Content::Encoded(encoded) => encoded.labels.as_ref().map(|(_, classes)| &classes[..]),
            Content::Raw { classes, .. } => classes.as_deref(),
        }
    }

    /// The source's fingerprint (see [`Dataset::fingerprint`](super::Dataset::fingerprint)), once all its
    /// pictures have been read; none for a part of it.
    pub fn fingerprint(&self) -> Option<String> {
        let done = self.whole && !self.failed && self.left.is_empty();
        done.then(|| match &self.content {
            Content::Encoded(encoded) => encoded.fingerprint.clone().finish(),
            Content::Raw { fingerprint, .. } => fingerprint.clone(),
        })
    }

    fn read(&mut self, range: Range<usize>) -> Result<Batch> {
        match &mut self.content {
            Content::Encoded(encoded) => Ok(Batch {
                images: encoded.read(range.clone(), &self.form)?,
                labels: encoded.labels.as_ref().map(|(labels, _)| labels[range.clone()].to_vec()),
                names: encoded.pictures[range].iter().map(|p| p.name.clone()).collect(),
            }),
            Content::Raw { raw, name, .. } => Ok(Batch {
                images: self.form.bring(raw.images(range.clone())?, name)?,
                labels: raw.labels.as_ref().map(|labels| labels[range.clone()].to_vec()),
                names: range.map(|i| format!("{name}[{i}]")).collect(),
            }),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let Range { start, end } = self.left;
        if self.failed || start >= end {
            return None;
        }
        let middle = end.min(start.saturating_add(self.size));
        let batch = self.read(start..middle);
        self.left.start = middle;
        self.failed = batch.is_err();
        Some(batch)
    }
}
