//! What a user names as the origin of pictures.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use kme::{Error, Result};

use super::archive::Archive;
use super::batches::{Batches, Content, Encoded, Form, Named, Store};
use super::dataset::Dataset;
use super::fingerprint::Fingerprint;
use super::names::{self, Known, Split};
use super::places::Places;
use super::raw::RawPictures;
use super::{cifar, folder, idx, is_picture_name};

/// Where pictures come from. Parsed from text:
///
/// | text | meaning |
/// |---|---|
/// | `fashion-mnist`, `mnist`, `cifar10` | the training part of a data set, see [`Places`]; `NAME:train`, `NAME:test` and `NAME:all` say which part |
/// | a folder | all PNG, JPEG, BMP, GIF and WebP files in it at any depth, in the order of their path's bytes |
/// | a zip or tar archive | the same files inside it (a tar archive must not be compressed as a whole) |
/// | an idx file, also `.gz` | MNIST's format; labels are read from the file beside it (`images` → `labels`, `idx3` → `idx1`) |
/// | a `.bin` file | CIFAR-10's binary version |
/// | a picture | that one |
///
/// A file is told by its content. A name of a data set wins over a file of that name: write `./mnist` for the file.
///
/// Pictures of a folder or an archive have labels when every one of them lies in a folder below the top: the classes
/// are the folders of the first level, in order.
#[derive(Clone, Debug)]
pub struct Source {
    text: String,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    Known(&'static Known, Split, Places),
    Folder(PathBuf),
    Zip(PathBuf),
    Tar(PathBuf),
    Idx(PathBuf),
    Cifar(PathBuf),
    Picture(PathBuf),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known, split, _) => write!(f, "Known({}:{split})", known.name),
            Self::Folder(path) => write!(f, "Folder({path:?})"),
            Self::Zip(path) => write!(f, "Zip({path:?})"),
            Self::Tar(path) => write!(f, "Tar({path:?})"),
            Self::Idx(path) => write!(f, "Idx({path:?})"),
            Self::Cifar(path) => write!(f, "Cifar({path:?})"),
            Self::Picture(path) => write!(f, "Picture({path:?})"),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Source {
    /// The source that `text` names; data sets are looked for in `places`.
    ///
    /// Only the kind is found out here; pictures are read by [`Source::batches`] and [`Source::load`].
    ///
    /// # Errors
    /// When `text` names neither a data set nor something in the file system that holds pictures.
    pub fn parse(text: &str, places: &Places) -> Result<Self> {
        let (name, split) = text.split_once(':').map_or((text, None), |(name, split)| (name, Some(split)));
        let kind = match names::find(name) {
            Some(known) => {
                let split = split.map(str::parse).transpose()?.unwrap_or_default();
                Kind::Known(known, split, places.clone())
            }
            None => Self::kind_of_path(Path::new(text))?,
        };
        Ok(Self { text: text.into(), kind })
    }

    fn kind_of_path(path: &Path) -> Result<Kind> {
        let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let names: Vec<_> = names::list().iter().map(|(name, _)| *name).collect();
                Error::file(path, format!("no such file or folder, and no data set's name ({})", names.join(", ")))
            }
            _ => Error::file(path, e),
        })?;
        if metadata.is_dir() {
            return Ok(Kind::Folder(path.into()));
        }
        let mut head = Vec::new();
        File::open(path).and_then(|file| file.take(512).read_to_end(&mut head)).map_err(|e| Error::file(path, e))?;
        let has_ending = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        Ok(match head[..] {
            [] => return Err(Error::file(path, "the file is empty (0 bytes)")),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Kind::Zip(path.into()),
            [0x1f, 0x8b, ..] if has_ending("tgz") || path.to_string_lossy().ends_with(".tar.gz") => {
                return Err(Error::file(
                    path,
                    "a compressed tar archive: decompress it first (`gzip -d`), or unpack it and name the folder",
                ));
            }
            [0x1f, 0x8b, ..] | [0, 0, _, 1..=4, ..] => Kind::Idx(path.into()),
            _ if has_ending("bin") => Kind::Cifar(path.into()),
            _ if head.get(257..262) == Some(b"ustar") => Kind::Tar(path.into()),
            // What is no picture in spite of its name is for the decoder to say.
            _ if is_picture_name(path) || image::guess_format(&head).is_ok() => Kind::Picture(path.into()),
            _ => {
                let known =
                    "a picture (PNG, JPEG, BMP, GIF, WebP), a zip or tar archive, an idx file, a CIFAR-10 .bin file";
                return Err(Error::file(path, format!("holds no pictures: it is not {known}")));
            }
        })
    }

    /// The pictures in order, `size` at a time (the last batch may be smaller), brought to one `form`.
    ///
    /// Pictures of folders and archives are read and decoded when their batch is asked for, so that memory does not
    /// grow with their number. Data sets, idx and CIFAR-10 files are held in memory as bytes.
    ///
    /// # Errors
    /// When `size` is 0, the source cannot be opened, or it holds no pictures. Errors of single pictures come with
    /// their batch.
    pub fn batches(&self, form: &Form, size: usize) -> Result<Batches> {
        if size == 0 {
            return Err(Error::value("batch size", 0, "a whole number from 1 on"));
        }
        Ok(Batches::new(self.open()?, *form, size))
    }

    /// All pictures in memory, brought to one `form`.
    ///
    /// # Errors
    /// As [`Source::batches`], and those of single pictures.
    pub fn load(&self, form: &Form) -> Result<Dataset> {
        Dataset::load(self.open()?, form)
    }

    fn open(&self) -> Result<Content> {
        match &self.kind {
            Kind::Known(known, split, places) => {
                let (raw, fingerprint) = known.read(*split, places)?;
                let classes = known.class_names.iter().map(ToString::to_string).collect();
                let name = format!("{}:{split}", known.name);
                Ok(Content::Raw { raw, name, classes: Some(classes), fingerprint })
            }
            Kind::Folder(path) => {
                let listing = folder::list(path)?;
                if listing.paths.is_empty() {
                    return Err(no_pictures(path, listing.skipped, "a folder"));
                }
                let pictures = listing.paths.iter().map(|p| Named { name: folder::name(p), path: path.join(p) });
                Ok(Content::Encoded(Encoded::new(Store::Files, pictures.collect())))
            }
            Kind::Zip(path) => open_archive(path, Archive::open_zip(path)?),
            Kind::Tar(path) => open_archive(path, Archive::open_tar(path)?),
            Kind::Picture(path) => {
                let name = path.file_name().map(Path::new).unwrap_or(path);
                let picture = Named { name: folder::name(name), path: path.clone() };
                Ok(Content::Encoded(Encoded::new(Store::Files, vec![picture])))
            }
            Kind::Idx(path) => open_idx(path),
            Kind::Cifar(path) => {
                let (raw, sha256) = cifar::read(path)?;
                let classes = names::find("cifar10").map(|k| k.class_names.iter().map(ToString::to_string).collect());
                Ok(content_of_file(path, raw, sha256, None, classes))
            }
        }
    }
}

fn open_archive(path: &Path, archive: Archive) -> Result<Content> {
    let named = |name: &&str| Named { name: name.to_string(), path: format!("{}/{name}", path.display()).into() };
    let pictures: Vec<_> = archive.names().iter().map(named).collect();
    if pictures.is_empty() {
        return Err(no_pictures(path, archive.skipped(), "an archive"));
    }
    Ok(Content::Encoded(Encoded::new(Store::Archive(Box::new(archive)), pictures)))
}

fn open_idx(path: &Path) -> Result<Content> {
    let pictures = idx::read(path, 3)?;
    let beside = idx::labels_beside(path);
    let labels = beside.as_deref().map(|path| idx::read(path, 1)).transpose()?;
    if let (Some(labels), Some(beside)) = (&labels, &beside)
        && labels.dims[0] != pictures.dims[0]
    {
        return Err(Error::mismatch(
            "number of pictures and labels",
            format!("{} ({})", pictures.dims[0], path.display()),
            format!("{} ({})", labels.dims[0], beside.display()),
            "put the labels that belong to the pictures there, or move them away",
        ));
    }
    let labels_sha256 = labels.as_ref().zip(beside).map(|(labels, path)| (path, labels.sha256));
    let raw = RawPictures {
        n: pictures.dims[0],
        c: 1,
        h: pictures.dims[1],
        w: pictures.dims[2],
        bytes: pictures.bytes,
        labels: labels.map(|l| l.bytes.into_iter().map(u32::from).collect()),
    };
    Ok(content_of_file(path, raw, pictures.sha256, labels_sha256, None))
}

fn content_of_file(
    path: &Path,
    raw: RawPictures,
    sha256: [u8; 32],
    labels: Option<(PathBuf, [u8; 32])>,
    classes: Option<Vec<String>>,
) -> Content {
    // Compressed or not, a file has one name and one content.
    let plain = |path: &Path| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        name.strip_suffix(".gz").map(str::to_owned).unwrap_or(name)
    };
    let mut fingerprint = Fingerprint::new();
    fingerprint.add(&plain(path), &sha256);
    if let Some((path, sha256)) = labels {
        fingerprint.add(&plain(&path), &sha256);
    }
    Content::Raw { raw, name: plain(path), classes, fingerprint: fingerprint.finish() }
}

fn no_pictures(path: &Path, skipped: usize, kind: &str) -> Error {
    let idx_inside = kind == "a folder"
        && std::fs::read_dir(path).is_ok_and(|entries| {
            entries.flatten().any(|e| {
                let name = e.file_name();
                let name = name.to_string_lossy();
                name.contains("idx3-ubyte") || name.starts_with("data_batch_")
            })
        });
    let advice = if idx_inside {
        "; it holds idx or CIFAR-10 files: name one of them, or a data set with --data-dir"
    } else {
        ""
    };
    Error::file(path, format!("{kind} without pictures (PNG, JPEG, BMP, GIF, WebP) among {skipped} files{advice}"))
}
