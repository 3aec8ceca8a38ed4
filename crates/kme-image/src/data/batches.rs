//! Reading pictures batch by batch.

use std::ops::Range;

use kme::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::encoded::Encoded;
use super::fingerprint::digest;
use super::form::Form;
use super::raw::RawPictures;
use crate::image::{Images, unusable};

/// A picture that was left out because it could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// Its path inside the source.
    pub name: String,
    /// Why.
    pub fault: String,
}

impl Skipped {
    pub(super) fn new(name: &str, fault: Error) -> Self {
        Self { name: name.into(), fault: fault.problem() }
    }

    /// The fault of `n` pictures, of which this is the first, where none can be read.
    pub(super) fn none_of(&self, n: usize) -> Error {
        Error::unsupported(format!("read any of {n} pictures"), format!("the first is {} ({})", self.name, self.fault))
    }
}

/// Files of a source that are not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Files that are neither named like pictures nor begin like them.
    pub files: usize,
    /// Archives among pictures.
    pub archives: usize,
}

/// What a look at a picture found.
pub(super) struct Looked {
    /// Of its file, where it has one of its own.
    pub(super) sha256: Option<[u8; 32]>,
    /// Height and width before it was brought to any form.
    pub(super) size: Option<(usize, usize)>,
    /// "grey" or "colour", each also "with transparency" and ", 16 bits".
    pub(super) mode: Option<String>,
    /// The result for the picture.
    pub(super) picture: Option<Images>,
}

/// Whether a picture will do; what is given back is kept.
pub(super) type Check<'a> = dyn Fn(Images) -> Result<Option<Images>> + Sync + 'a;

/// Whether a picture of this name and content is known to be good.
pub(super) type Known<'a> = dyn Fn(&str, &[u8; 32]) -> bool + Sync + 'a;

/// What is told of a picture: its number, its name, and what was found.
pub(super) type Each<'a> = dyn FnMut(usize, String, Result<Looked>) -> Result<()> + 'a;

/// What is done to a picture that was picked, given its place among those that were asked for.
pub(super) type Change<'a> = dyn Fn(usize, Images) -> Result<Images> + Sync + 'a;

/// All pictures, or the fault of the first that has one, whichever thread found its fault first.
pub(super) fn in_order(pictures: impl IndexedParallelIterator<Item = Result<Images>>) -> Result<Vec<Images>> {
    pictures.collect::<Vec<_>>().into_iter().collect()
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

/// Iterator over the batches of a [`Source`](super::Source); after an error it ends. No batch is empty.
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
    /// [`Error::Parameter`] when `range` is empty or goes beyond [`Batches::total`].
    pub fn within(self, range: Range<usize>) -> Result<Self> {
        let total = self.total();
        if range.is_empty() || range.end > total {
            return Err(Error::parameter("range", format!("{range:?}"), format!("a part of 0..{total}")));
        }
        Ok(Self { whole: range == (0..total), left: range, ..self })
    }

    /// Leaves pictures out that cannot be read or decoded, instead of ending with an error.
    pub fn skipping_bad(mut self) -> Self {
        if let Content::Encoded(encoded) = &mut self.content {
            encoded.skipped.get_or_insert_default();
        }
        self
    }

    /// The pictures that have been left out so far.
    pub fn skipped(&self) -> &[Skipped] {
        match &self.content {
            Content::Encoded(encoded) => encoded.skipped.as_deref().unwrap_or_default(),
            Content::Raw { .. } => &[],
        }
    }

    /// How many of the pictures that were read so far are of 16 bits of grey, which was cut off at 255 as Pillow does it.
    pub fn cut_off(&self) -> usize {
        match &self.content {
            Content::Encoded(encoded) => encoded.cut_off,
            Content::Raw { .. } => 0,
        }
    }

    /// The files beside the pictures.
    pub fn passed(&self) -> Passed {
        match &self.content {
            Content::Encoded(encoded) => encoded.passed,
            Content::Raw { .. } => Passed::default(),
        }
    }

    /// Number of pictures that are still to be read.
    pub fn left(&self) -> usize {
        self.left.len()
    }

    /// A name for the pictures that are still to be read: SHA-256 over names and contents, in order. The files are read
    /// once more for it, a batch at a time, but not decoded.
    ///
    /// Of all pictures of a source without damaged ones it is the [fingerprint](Self::fingerprint).
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read, unless those [are left out](Self::skipping_bad).
    pub fn content(&mut self) -> Result<String> {
        let left = self.left.clone();
        match &mut self.content {
            Content::Raw { fingerprint, .. } if self.whole => Ok(fingerprint.clone()),
            Content::Raw { fingerprint, .. } => Ok(format!("{fingerprint}[{}..{}]", left.start, left.end)),
            Content::Encoded(encoded) => encoded.content(left),
        }
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
    /// [`Error::Parameter`] when the source has fewer pictures; [`Error::Io`] or [`Error::Format`] when it cannot be read.
    pub fn picture(&mut self, i: usize) -> Result<Images> {
        let total = self.total();
        if i >= total {
            return Err(Error::parameter("index", i, format!("below {total}, the number of pictures")));
        }
        match &mut self.content {
            Content::Encoded(encoded) => {
                let bytes = encoded.bytes(i)?;
                self.form.decode(&bytes, encoded.store.layout(), &encoded.pictures[i].path)
            }
            Content::Raw { raw, name, .. } => self.form.bring(raw.images(i..i + 1)?, name),
        }
    }

    /// Pictures `indices` of the source in that order, whatever has been read, each changed by `change`; decoded in
    /// parallel. An index may come more than once. Held are the pictures that are given back, besides one of them
    /// undone for each thread and, of an archive, some 16 MB of files.
    ///
    /// # Errors
    /// [`Error::Parameter`] when the source has fewer pictures; [`Error::Io`] or [`Error::Format`] when one cannot be read or
    /// changed: the first of `indices` that has a fault.
    pub fn pick(&mut self, indices: &[usize], change: &Change) -> Result<Vec<Images>> {
        let total = self.total();
        if let Some(i) = indices.iter().find(|i| **i >= total) {
            return Err(Error::parameter("index", i, format!("below {total}, the number of pictures")));
        }
        let form = self.form;
        match &mut self.content {
            Content::Encoded(encoded) => encoded.pick(indices, &form, change),
            Content::Raw { raw, name, .. } => in_order(indices.par_iter().enumerate().map(|(at, &i)| {
                change(at, form.bring(raw.images(i..i + 1)?, name)?)
                    .map_err(|fault| unusable(format!("{name}[{i}]").as_ref(), fault))
            })),
        }
    }

    /// Looks at every picture of the source once, whatever has been read: decoded and checked in parallel, told in order.
    /// Held are some 16 MB of files, a picture undone for each thread, and of 64 pictures what `check` gives back.
    ///
    /// # Errors
    /// Those of `each`, to which the faults of pictures are told.
    pub(super) fn look(&mut self, check: &Check, is_known: &Known, each: &mut Each) -> Result<()> {
        let form = self.form;
        let total = self.total();
        match &mut self.content {
            Content::Encoded(encoded) => encoded.look(&form, check, is_known, each),
            Content::Raw { raw, name, .. } => {
                let mode = if raw.c == 1 { "grey" } else { "colour" };
                (0..total).try_for_each(|i| {
                    let (size, mode) = (Some((raw.h, raw.w)), Some(mode.to_string()));
                    let name = format!("{name}[{i}]");
                    each(i, name, Ok(Looked { sha256: None, size, mode, picture: None }))
                })
            }
        }
    }

    /// The fingerprint of a source that is not made of files with pictures.
    pub(super) fn own_fingerprint(&self) -> Option<&str> {
        match &self.content {
            Content::Encoded(_) => None,
            Content::Raw { fingerprint, .. } => Some(fingerprint),
        }
    }

    /// SHA-256 of the content of picture `i` of a source that is not made of files with pictures.
    pub fn own_digest(&self, i: usize) -> Option<[u8; 32]> {
        match &self.content {
            Content::Raw { raw, .. } if i < raw.n => {
                let stride = raw.c * raw.h * raw.w;
                Some(digest(&raw.bytes[i * stride..][..stride]))
            }
            _ => None,
        }
    }

    /// Whether the pictures are in memory, as bytes, rather than read when they are asked for.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.content, Content::Raw { .. })
    }

    /// One label for each picture of the source, where it has labels.
    pub fn labels(&self) -> Option<&[u32]> {
        match &self.content {
            Content::Encoded(encoded) => encoded.labels.as_ref().map(|(labels, _)| &labels[..]),
            Content::Raw { raw, .. } => raw.labels.as_deref(),
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
    /// pictures have been read; none for a part of it. Pictures that were left out do not count.
    pub fn fingerprint(&self) -> Option<String> {
        let done = self.whole && !self.failed && self.left.is_empty();
        done.then(|| match &self.content {
            Content::Encoded(encoded) => encoded.fingerprint.clone().finish(),
            Content::Raw { fingerprint, .. } => fingerprint.clone(),
        })
    }

    /// The pictures of `range`; none when all of them are left out.
    fn read(&mut self, range: Range<usize>) -> Result<Option<Batch>> {
        match &mut self.content {
            Content::Encoded(encoded) => {
                let (read, images) = encoded.read(range, &self.form)?;
                let labels = encoded.labels.as_ref().map(|(labels, _)| read.iter().map(|&i| labels[i]).collect());
                let names = read.iter().map(|&i| encoded.pictures[i].name.clone()).collect();
                Ok(images.map(|images| Batch { images, labels, names }))
            }
            Content::Raw { raw, name, .. } => Ok(Some(Batch {
                images: self.form.bring(raw.images(range.clone())?, name)?,
                labels: raw.labels.as_ref().map(|labels| labels[range.clone()].to_vec()),
                names: range.map(|i| format!("{name}[{i}]")).collect(),
            })),
        }
    }

    /// The fault of a source all of whose pictures were left out.
    fn check_some_left(&self) -> Result<()> {
        match (&self.content, self.skipped()) {
            (Content::Encoded(Encoded { first: None, .. }), [first, ..]) => Err(first.none_of(self.skipped().len())),
            _ => Ok(()),
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let begun = !self.left.is_empty();
        while !self.failed && !self.left.is_empty() {
            let middle = self.left.end.min(self.left.start.saturating_add(self.size));
            let batch = self.read(self.left.start..middle);
            self.left.start = middle;
            self.failed = batch.is_err();
            if let Some(batch) = batch.transpose() {
                return Some(batch);
            }
        }
        let fault = self.check_some_left().err().filter(|_| begun && !self.failed)?;
        self.failed = true;
        Some(Err(fault))
    }
}
