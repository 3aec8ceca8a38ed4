//! Picture files of a folder, an archive or an array, read and decoded when they are asked for.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use kme::{Action, Error, Result};
use rayon::prelude::*;

use super::MAX_FILE_BYTES;
use super::archive::Archive;
use super::array::{Array, Layout};
use super::batches::{Change, Check, Each, Known, Looked, Passed, Skipped, in_order};
use super::fingerprint::{Fingerprint, digest};
use super::form::Form;
use crate::image::{Head, Images, Reading, unusable};

/// A picture file: its name inside the source, and its place for messages and reading.
pub(super) struct Named {
    pub(super) name: String,
    pub(super) path: PathBuf,
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
    pub(super) fn layout(&self) -> Option<Layout> {
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

/// The label of each picture, and names of the classes.
type Labels = (Vec<u32>, Vec<String>);

/// Picture files that are read and decoded when asked for.
pub(super) struct Encoded {
    pub(super) store: Store,
    pub(super) pictures: Vec<Named>,
    /// Labels with class names, from the folders of the first level when every picture lies in one.
    pub(super) labels: Option<Labels>,
    pub(super) fingerprint: Fingerprint,
    /// Number and shape (c, h, w) of the first picture that was read.
    pub(super) first: Option<(usize, [usize; 3])>,
    /// The pictures that could not be read, where these are left out.
    pub(super) skipped: Option<Vec<Skipped>>,
    pub(super) passed: Passed,
    /// Pictures whose grey was cut off at 255.
    pub(super) cut_off: usize,
}

impl Encoded {
    pub(super) fn new(store: Store, pictures: Vec<Named>, passed: Passed) -> Self {
        // The archive that an entry lies in is not a class.
        let inner = |(i, picture): (usize, &Named)| match &store {
            Store::Archive(archive) => archive.entry(i).to_string(),
            _ => picture.name.clone(),
        };
        let labels = labels(&pictures.iter().enumerate().map(inner).collect::<Vec<_>>());
        Self::labelled(store, pictures, labels, passed)
    }

    fn labelled(store: Store, pictures: Vec<Named>, labels: Option<Labels>, passed: Passed) -> Self {
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
    pub(super) fn read(&mut self, mut range: Range<usize>, form: &Form) -> Result<(Vec<usize>, Option<Images>)> {
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
    pub(super) fn content(&mut self, mut range: Range<usize>) -> Result<String> {
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
    pub(super) fn look(&mut self, form: &Form, check: &Check, is_known: &Known, each: &mut Each) -> Result<()> {
        let mut range = 0..self.pictures.len();
        while !range.is_empty() {
            let (numbers, files) = self.some(&mut range);
            let layout = self.store.layout();
            let look = |(i, file): (usize, Result<Vec<u8>>)| {
                let (picture, file) = (&self.pictures[i], file?);
                let sha256 = digest(&file);
                let (size, mode) = match layout {
                    Some(layout) => Some((layout.size(), layout.mode())).unzip(),
                    None => Head::of(&file).map(|head| (head.size, head.mode)).unzip(),
                };
                let decoded = || {
                    check(form.decode(&file, layout, &picture.path)?).map_err(|fault| unusable(&picture.path, fault))
                };
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
    pub(super) fn pick(&mut self, indices: &[usize], form: &Form, change: &Change) -> Result<Vec<Images>> {
        let (pictures, layout) = (&self.pictures, self.store.layout());
        let decoded = |at: usize, bytes: Result<Vec<u8>>| {
            let path = &pictures[indices[at]].path;
            change(at, form.decode(&bytes?, layout, path)?).map_err(|fault| unusable(path, fault))
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

    pub(super) fn bytes(&mut self, i: usize) -> Result<Vec<u8>> {
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
        Self::labelled(Store::Array(Box::new(array)), (0..n).map(named).collect(), labels, Passed::default())
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    let length = fs::metadata(path).map_err(|e| match fs::read_link(path) {
        Ok(to) => Error::path(path, format!("is a link to {}, which is not there", to.display())),
        Err(_) => Error::io(path, Action::Read, e),
    })?;
    let length = length.len();
    if length > MAX_FILE_BYTES {
        return Err(Error::format(path, format!("has {length} bytes, but pictures may have at most {MAX_FILE_BYTES}")));
    }
    fs::read(path).map_err(|e| Error::io(path, Action::Read, e))
}

fn differing(first: &Path, [c, h, w]: [usize; 3], other: &Path, [c2, h2, w2]: [usize; 3]) -> Error {
    let (first, other) = (first.display(), other.display());
    if (h, w) == (h2, w2) {
        let remedy = format!("give 1 or 3, since pictures have {c} ({first}) and {c2} channels ({other})");
        return Error::missing("channels", remedy);
    }
    let remedy = format!("give HEIGHTxWIDTH, since pictures are of {h}x{w} ({first}) and {h2}x{w2} pixels ({other})");
    Error::missing("size", remedy)
}

fn labels(names: &[String]) -> Option<Labels> {
    let folders: Vec<&str> =
        names.iter().map(|name| name.split_once('/').map(|(folder, _)| folder)).collect::<Option<_>>()?;
    let mut classes = folders.clone();
    classes.sort_unstable();
    classes.dedup();
    let label = |folder: &&str| classes.binary_search(folder).ok().and_then(|i| u32::try_from(i).ok());
    let labels = folders.iter().map(label).collect::<Option<_>>()?;
    Some((labels, classes.iter().map(ToString::to_string).collect()))
}
