//! Reading pictures batch by batch.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use kme::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::MAX_FILE_BYTES;
use super::archive::Archive;
use super::array::{Array, Layout};
use super::fingerprint::{Fingerprint, digest};
use super::raw::RawPictures;
use crate::image::{Background, Channels, Colour, Crop, Decoder, Head, Images, Reading, Resize};

/// The common form that pictures of a source are brought to: first their channels, then what is cut out of them, then
/// their size.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Form {
    /// Decoding, with what happens to channels and transparency.
    pub decoder: Decoder,
    /// What is cut out.
    pub crop: Crop,
    /// The size; without it, all pictures must have one size already.
    pub resize: Option<Resize>,
    /// What is under transparent parts, unless it is white, for which the decoder's own stands; and around pictures that are
    /// filled up.
    pub background: Background,
}

impl Form {
    /// Whether pictures of shape (c, h, w) already have this form.
    pub(super) fn holds(&self, [c, h, w]: [usize; 3]) -> bool {
        let channels = match self.decoder.channels {
            Channels::Keep => c,
            Channels::Convert(colour) | Channels::Require(colour) => colour.channels(),
        };
        channels == c && self.crop.is_none() && self.resize.is_none_or(|r| (r.height(), r.width()) == (h, w))
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
        self.cut(images)
    }

    /// The picture in `bytes`, of a file or in plain samples, in this form; `path` is for messages.
    fn decode(&self, bytes: &[u8], layout: Option<Layout>, path: &Path) -> Result<Images> {
        self.cut(self.decode_over(bytes, layout, path)?).map_err(|fault| Error::file(path, fault))
    }

    fn decode_over(&self, bytes: &[u8], layout: Option<Layout>, path: &Path) -> Result<Images> {
        let decode = |decoder: Decoder| match layout {
            None => decoder.decode(bytes, path),
            Some(layout) => layout.decode(bytes, &decoder, path),
        };
        let over = |level| decode(Decoder { background: level, ..self.decoder });
        if self.background.is_white() {
            return decode(self.decoder);
        }
        if let Some(level) = self.background.grey() {
            return over(level);
        }
        let (black, white) = (over(0.0)?, over(1.0)?);
        if black == white {
            return Ok(black);
        }
        // A grey picture over a colour is a coloured one.
        match self.decoder.channels {
            Channels::Keep if black.channels() == 1 => {
                self.background.between(&black.to_colour(Colour::Rgb), &white.to_colour(Colour::Rgb))
            }
            _ => self.background.between(&black, &white),
        }
    }

    fn cut(&self, images: Images) -> Result<Images> {
        let images = self.crop.apply_over(images, self.background)?;
        match self.resize {
            Some(resize) => resize.bring(images),
            None => Ok(images),
        }
    }
}

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
        let fault = match fault {
            Error::File { fault, .. } => fault,
            other => other.to_string(),
        };
        Self { name: name.into(), fault }
    }

    /// The fault of `n` pictures, of which this is the first, where none can be read.
    pub(super) fn none_of(&self, n: usize) -> Error {
        let allowed = format!("at least 1; of {n} none can, the first is {}: {}", self.name, self.fault);
        Error::value("number of pictures that can be read", 0, allowed)
    }
}

/// A picture file: its name inside the source, and its place for messages and reading.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) path: PathBuf,
}

/// Files of a source that are not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Files that are no pictures by name or content.
    pub files: usize,
    /// Archives among pictures.
    pub archives: usize,
}

/// Where picture files lie.
pub(super) enum Store {
    Files,
    Archive(Box<Archive>),
    /// Plain samples: these files are pictures of an array.
    Array(Box<Array>),
}

impl Store {
    /// How samples lie in a file, if it holds nothing but them.
    fn layout(&self) -> Option<Layout> {
        match self {
            Self::Array(array) => Some(array.layout()),
            _ => None,
        }
    }

    fn read(&mut self, i: usize, path: &Path) -> Result<Vec<u8>> {
        match self {
            Self::Files => read_file(path),
            Self::Archive(archive) => archive.read(i),
            Self::Array(array) => array.read(i),
        }
    }
}

/// Bytes of files that are held at one time.
const HELD: usize = 16 << 20;

/// Pictures that are looked at, decoded, at one time.
const LOOKED_AT: usize = 64;

/// Picture files that are read and decoded when asked for.
pub(super) struct Encoded {
    store: Store,
    pictures: Vec<Named>,
    /// Labels with class names, from the folders of the first level when every picture lies in one.
    labels: Option<(Vec<u32>, Vec<String>)>,
    fingerprint: Fingerprint,
    /// Number and shape (c, h, w) of the first picture that was read.
    first: Option<(usize, [usize; 3])>,
    /// The pictures that could not be read, where these are left out.
    skipped: Option<Vec<Skipped>>,
    passed: Passed,
    /// Pictures whose grey was cut off at 255.
    cut_off: usize,
}

impl Encoded {
    pub(super) fn new(store: Store, pictures: Vec<Named>, passed: Passed) -> Self {
        // Which archive an entry lies in is no class.
        let inner = |(i, picture): (usize, &Named)| match &store {
            Store::Archive(archive) => archive.entry(i).to_string(),
            _ => picture.name.clone(),
        };
        let labels = labels(&pictures.iter().enumerate().map(inner).collect::<Vec<_>>());
        Self {
            store,
            pictures,
            labels,
            fingerprint: Fingerprint::new(),
            first: None,
            skipped: None,
            passed,
            cut_off: 0,
        }
    }

    /// Decodes the pictures of `range` in parallel: their numbers, and the pictures unless all are left out. Ranges must
    /// follow each other.
    fn read(&mut self, mut range: Range<usize>, form: &Form) -> Result<(Vec<usize>, Option<Images>)> {
        let (mut read, mut images) = (Vec::new(), Vec::with_capacity(range.len()));
        while !range.is_empty() {
            let (numbers, files) = self.some(&mut range);
            let (pictures, layout) = (&self.pictures[numbers.clone()], self.store.layout());
            let decoded: Vec<Result<(Images, [u8; 32], bool)>> = files
                .into_par_iter()
                .zip(pictures)
                .map(|(file, picture)| {
                    let file = file?;
                    let cut = form.decoder.reading == Reading::Pillow && Head::of(&file).is_some_and(|h| h.is_cut_off);
                    Ok((form.decode(&file, layout, &picture.path)?, digest(&file), cut))
                })
                .collect();
            // In order, so that of several faults always the first is reported.
            for (i, (decoded, picture)) in numbers.zip(decoded.into_iter().zip(pictures)) {
                let (image, sha256, cut) = match (decoded, &mut self.skipped) {
                    (Ok(decoded), _) => decoded,
                    (Err(fault), None) => return Err(fault),
                    (Err(fault), Some(skipped)) => {
                        skipped.push(Skipped::new(&picture.name, fault));
                        continue;
                    }
                };
                self.cut_off += usize::from(cut);
                let [_, c, h, w] = image.shape();
                let (first, shape) = *self.first.get_or_insert((i, [c, h, w]));
                if shape != [c, h, w] {
                    return Err(differing(&self.pictures[first].path, shape, &picture.path, [c, h, w]));
                }
                self.fingerprint.add(&picture.name, &sha256);
                read.push(i);
                images.push(image);
            }
        }
        let images = if images.is_empty() { None } else { Some(Images::concat(&images)?) };
        Ok((read, images))
    }

    /// The fingerprint of the pictures of `range`, without decoding them.
    fn content(&mut self, mut range: Range<usize>) -> Result<String> {
        let mut content = Fingerprint::new();
        while !range.is_empty() {
            let (numbers, files) = self.some(&mut range);
            let digests: Vec<Result<[u8; 32]>> = files.into_par_iter().map(|file| Ok(digest(&file?))).collect();
            for (picture, digest) in self.pictures[numbers].iter().zip(digests) {
                match digest {
                    Err(fault) if self.skipped.is_none() => return Err(fault),
                    // What cannot be read has no content.
                    digest => content.add(&picture.name, &digest.unwrap_or_default()),
                }
            }
        }
        Ok(content.finish())
    }

    /// The first files of `range`, of about [`HELD`] bytes together, which are taken off it.
    fn some(&mut self, range: &mut Range<usize>) -> (Range<usize>, Vec<Result<Vec<u8>>>) {
        let (first, mut held, mut files) = (range.start, 0, Vec::new());
        while held < HELD
            && let Some(i) = range.next()
        {
            let file = self.bytes(i);
            held += file.as_ref().map_or(0, Vec::len);
            files.push(file);
        }
        (first..range.start, files)
    }

    /// See [`Batches::look`].
    fn look(&mut self, form: &Form, check: &Check, is_known: &Known, each: &mut Each) -> Result<()> {
        let mut range = 0..self.pictures.len();
        while !range.is_empty() {
            let (numbers, files) = self.some(&mut range);
            let layout = self.store.layout();
            let look = |(i, file): (usize, Result<Vec<u8>>)| {
                let (picture, file) = (&self.pictures[i], file?);
                let sha256 = digest(&file);
                let (size, mode) = Head::of(&file).map(|head| (head.size, head.mode)).unzip();
                let decoded =
                    || check(form.decode(&file, layout, &picture.path)?).map_err(|fault| of_file(&picture.path, fault));
                let picture = if is_known(&picture.name, &sha256) { None } else { decoded()? };
                Ok(Looked { sha256: Some(sha256), size, mode, picture })
            };
            let mut files = numbers.zip(files).peekable();
            // A few at a time, since a small file may be a large picture.
            while let Some(&(first, _)) = files.peek() {
                let some: Vec<_> = files.by_ref().take(LOOKED_AT).collect();
                let looked: Vec<Result<Looked>> = some.into_par_iter().map(look).collect();
                // In order, so that of several faults always the first is reported.
                for (i, looked) in (first..).zip(looked) {
                    each(i, self.pictures[i].name.clone(), looked)?;
                }
            }
        }
        Ok(())
    }

    /// See [`Batches::pick`]. Files are read by the threads that decode them, entries of an archive one by one.
    fn pick(&mut self, indices: &[usize], form: &Form, change: &Change) -> Result<Vec<Images>> {
        let (pictures, layout) = (&self.pictures, self.store.layout());
        let decoded = |at: usize, bytes: Result<Vec<u8>>| {
            let path = &pictures[indices[at]].path;
            change(at, form.decode(&bytes?, layout, path)?).map_err(|fault| Error::file(path, fault))
        };
        if let Store::Files = self.store {
            return in_order(
                (0..indices.len()).into_par_iter().map(|at| decoded(at, read_file(&pictures[indices[at]].path))),
            );
        }
        let (mut picked, mut held, mut files) = (Vec::with_capacity(indices.len()), 0, Vec::new());
        for (at, &i) in indices.iter().enumerate() {
            let file = self.store.read(i, &pictures[i].path);
            held += file.as_ref().map_or(0, Vec::len);
            files.push((at, file));
            if held >= HELD || at + 1 == indices.len() {
                let some = std::mem::take(&mut files);
                picked.extend(in_order(some.into_par_iter().map(|(at, file)| decoded(at, file)))?);
                held = 0;
            }
        }
        Ok(picked)
    }

    fn bytes(&mut self, i: usize) -> Result<Vec<u8>> {
        self.store.read(i, &self.pictures[i].path)
    }

    /// The pictures of an array.
    pub(super) fn of_array(mut array: Array, path: &Path) -> Self {
        let (name, n) = (array.name.clone(), array.n);
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let named = |i: usize| {
            let name = format!("{name}[{i}]");
            Named { path: folder.join(&name), name }
        };
        let labels = array.labels.take().map(|numbers| {
            let mut classes = numbers.clone();
            classes.sort_unstable();
            classes.dedup();
            let label = |number: &i64| classes.partition_point(|class| class < number) as u32;
            (numbers.iter().map(label).collect(), classes.iter().map(ToString::to_string).collect())
        });
        let encoded = Self::new(Store::Array(Box::new(array)), (0..n).map(named).collect(), Passed::default());
        Self { labels, ..encoded }
    }
}

/// What a look at a picture found.
pub(crate) struct Looked {
    /// Of its file, where it has one of its own.
    pub sha256: Option<[u8; 32]>,
    /// Height and width before it was brought to any form.
    pub size: Option<(usize, usize)>,
    pub mode: Option<String>,
    /// What is kept of the picture.
    pub picture: Option<Images>,
}

/// Whether a picture will do; what is given back is kept.
pub(super) type Check<'a> = dyn Fn(Images) -> Result<Option<Images>> + Sync + 'a;

/// Whether a picture of this name and content is known to be good.
pub(super) type Known<'a> = dyn Fn(&str, &[u8; 32]) -> bool + Sync + 'a;

/// What is told of a picture: its number, its name, and what was found.
pub(super) type Each<'a> = dyn FnMut(usize, String, Result<Looked>) -> Result<()> + 'a;

/// A fault of a picture, told with its file.
fn of_file(path: &Path, fault: Error) -> Error {
    match fault {
        Error::File { .. } => fault,
        other => Error::file(path, other),
    }
}

/// What is done to a picture that was picked, given its place among those that were asked for.
pub(super) type Change<'a> = dyn Fn(usize, Images) -> Result<Images> + Sync + 'a;

/// All pictures, or the fault of the first that has one, whichever thread found its fault first.
fn in_order(pictures: impl IndexedParallelIterator<Item = Result<Images>>) -> Result<Vec<Images>> {
    pictures.collect::<Vec<_>>().into_iter().collect()
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let length = fs::metadata(path).map_err(|e| match fs::read_link(path) {
        Ok(to) => Error::file(path, format!("a link to {}, which is not there", to.display())),
        Err(_) => Error::file(path, e),
    })?;
    let length = length.len();
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

fn labels(names: &[String]) -> Option<(Vec<u32>, Vec<String>)> {
    let folders: Vec<&str> =
        names.iter().map(|name| name.split_once('/').map(|(folder, _)| folder)).collect::<Option<_>>()?;
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
    /// When `range` is empty or goes beyond [`Batches::total`].
    pub fn within(self, range: Range<usize>) -> Result<Self> {
        let total = self.total();
        if range.is_empty() || range.end > total {
            return Err(Error::value("range of pictures", format!("{range:?}"), format!("a part of 0..{total}")));
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
    /// When a file cannot be read, unless those [are left out](Self::skipping_bad).
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
    /// When there is no such picture, or it cannot be read.
    pub fn picture(&mut self, i: usize) -> Result<Images> {
        let total = self.total();
        if i >= total {
            return Err(Error::value("number of a picture", i, format!("below {total}")));
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
    /// When there is no such picture, or it cannot be read or changed: the first of `indices` that has a fault.
    pub(crate) fn pick(&mut self, indices: &[usize], change: &Change) -> Result<Vec<Images>> {
        let total = self.total();
        if let Some(i) = indices.iter().find(|i| **i >= total) {
            return Err(Error::value("number of a picture", i, format!("below {total}")));
        }
        let form = self.form;
        match &mut self.content {
            Content::Encoded(encoded) => encoded.pick(indices, &form, change),
            Content::Raw { raw, name, .. } => in_order(indices.par_iter().enumerate().map(|(at, &i)| {
                change(at, form.bring(raw.images(i..i + 1)?, name)?)
                    .map_err(|fault| Error::file(format!("{name}[{i}]"), fault))
            })),
        }
    }

    /// Looks at every picture of the source once, whatever has been read: decoded and checked in parallel, told in order.
    /// Held are some 16 MB of files, a picture undone for each thread, and of 64 pictures what `check` gives back.
    ///
    /// # Errors
    /// Those of `each`, to which the faults of pictures are told.
    pub(crate) fn look(&mut self, check: &Check, is_known: &Known, each: &mut Each) -> Result<()> {
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
    pub(crate) fn own_fingerprint(&self) -> Option<&str> {
        match &self.content {
            Content::Encoded(_) => None,
            Content::Raw { fingerprint, .. } => Some(fingerprint),
        }
    }

    /// SHA-256 of the content of picture `i` of a source that is not made of files with pictures.
    pub(crate) fn own_digest(&self, i: usize) -> Option<[u8; 32]> {
        match &self.content {
            Content::Raw { raw, .. } if i < raw.n => {
                let stride = raw.c * raw.h * raw.w;
                Some(digest(&raw.bytes[i * stride..][..stride]))
            }
            _ => None,
        }
    }

    /// Whether the pictures are in memory, as bytes, rather than read when they are asked for.
    pub(crate) fn is_in_memory(&self) -> bool {
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
