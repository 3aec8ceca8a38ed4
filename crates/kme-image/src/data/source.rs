//! What a user names as the origin of pictures.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use flate2::read::MultiGzDecoder;
use kme::{Action, Error, Field, Result};

use super::archive::{self, Archive, Unpacked};
use super::array::ArraySpec;
use super::batches::{Batches, Content, Passed};
use super::dataset::Dataset;
use super::encoded::{Encoded, Named, Store};
use super::fingerprint::Fingerprint;
use super::form::Form;
use super::names::{self, Known, Split};
use super::places::Places;
use super::raw::RawPictures;
use super::{cifar, folder, head, idx};
use crate::image::{FORMATS, kind};

/// Where pictures come from. Parsed from text:
///
/// | text | meaning |
/// |---|---|
/// | `fashion-mnist`, `mnist`, `cifar10` | the training part of a data set, see [`Places`]; `NAME:train`, `NAME:test` and `NAME:all` say which part |
/// | a folder | all pictures in it at any depth (PNG, JPEG, BMP, GIF, TIFF, WebP, PNM), in the order of their path's bytes |
/// | a zip or tar archive, also `.tar.gz` | the same files inside it; `.tar.gz` is unpacked to a temporary file |
/// | a folder of archives | without pictures beside them: all of them as one, in the order of their names |
/// | an idx file, also `.gz` | MNIST's format; labels are read from the file beside it (`images` → `labels`, `idx3` → `idx1`) |
/// | a `.bin` file | CIFAR-10's binary version |
/// | a picture | that one |
/// | `.npy`, `.npz`, `.npz:ARRAY` | pictures of an array (n, h, w, c) or (n, c, h, w), or grey ones (n, h, w): bytes, or floats from 0 to 1; c is 1, 3 or 4. An array of whole numbers (n) beside them has their labels. Where the shape can be read in two ways, `:nhwc` or `:nchw` behind the name says which |
///
/// A file is told by its content. A name of a data set wins over a file of that name: write `./mnist` for the file.
///
/// In folders and archives a file is a picture if its name ends like one's or its content begins like one's, of formats that
/// are not read too (AVIF, HEIC, JPEG XL, ...): then it is one that cannot be read, not one that is passed over. Passed over are
/// names that begin with a dot, `__MACOSX` and `@eaDir`, and files that are not pictures.
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
    /// Compressed by gzip; once it is unpacked, what it holds.
    TarGz(PathBuf, Arc<Mutex<Option<Unpacked>>>),
    Idx(PathBuf),
    Cifar(PathBuf),
    Picture(PathBuf),
    Array(ArraySpec),
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(known, split, _) => write!(f, "Known({}:{split})", known.name),
            Self::Folder(path) => write!(f, "Folder({path:?})"),
            Self::Zip(path) => write!(f, "Zip({path:?})"),
            Self::Tar(path) => write!(f, "Tar({path:?})"),
            Self::TarGz(path, _) => write!(f, "TarGz({path:?})"),
            Self::Idx(path) => write!(f, "Idx({path:?})"),
            Self::Cifar(path) => write!(f, "Cifar({path:?})"),
            Self::Picture(path) => write!(f, "Picture({path:?})"),
            Self::Array(wanted) => write!(f, "Array({wanted:?})"),
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
    /// [`Error::Io`] when `text` names neither a data set nor something in the file system; [`Error::Format`] when that holds no
    /// pictures; [`Error::UnknownName`] for a part of a data set that there is not.
    pub fn parse(text: &str, places: &Places) -> Result<Self> {
        let (name, split) = text.split_once(':').map_or((text, None), |(name, split)| (name, Some(split)));
        let kind = match names::find(name) {
            Some(known) => {
                let split = split.map(str::parse).transpose()?.unwrap_or_default();
                Kind::Known(known, split, places.clone())
            }
            None => match Self::array(text)? {
                Some(wanted) => Kind::Array(wanted),
                None => Self::kind_of_path(Path::new(text))?,
            },
        };
        Ok(Self { text: text.into(), kind })
    }

    /// Whether `text` names an array of pictures, not one of points.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Format`] when it does, but it cannot be read, or does not tell which array or which axes are meant.
    pub fn is_array(text: &str) -> Result<bool> {
        Ok(Self::array(text)?.is_some())
    }

    fn array(text: &str) -> Result<Option<ArraySpec>> {
        let Some(wanted) = ArraySpec::parse(text) else { return Ok(None) };
        Ok(wanted.holds_pictures()?.then_some(wanted))
    }

    fn kind_of_path(path: &Path) -> Result<Kind> {
        let metadata = std::fs::metadata(path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => {
                let names: Vec<_> = names::list().iter().map(|(name, _)| *name).collect();
                let remedy = format!("data sets that have a name are {}", names.join(", "));
                Error::Io { path: path.into(), action: Action::Read, remedy: Some(remedy.into()), source: e }
            }
            _ => Error::io(path, Action::Read, e),
        })?;
        if metadata.is_dir() {
            return Ok(Kind::Folder(path.into()));
        }
        Self::kind_of_file(path, &Beginning::of(path)?)
    }

    /// The kind of a file that begins so.
    fn kind_of_file(path: &Path, Beginning { first, inside }: &Beginning) -> Result<Kind> {
        let has_ending = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
        let archived = || archive::refused(first);
        match inside {
            Some(Inside::Tar) => return Ok(Kind::TarGz(path.into(), Arc::default())),
            Some(Inside::Idx) => return Ok(Kind::Idx(path.into())),
            Some(Inside::Picture) => {
                return Err(Error::format(path, "is a picture compressed by gzip; decompress it first (gzip -d)"));
            }
            Some(Inside::Other) => {
                let fault = "holds no pictures: it is compressed by gzip, but neither a tar archive nor an idx file";
                return Err(Error::format(path, fault));
            }
            None => {}
        }
        Ok(match first[..] {
            [] => return Err(Error::format(path, "is empty (0 bytes)")),
            _ if archive::is_zip(first) => Kind::Zip(path.into()),
            [0, 0, _, 1..=4, ..] => Kind::Idx(path.into()),
            _ if has_ending("bin") => Kind::Cifar(path.into()),
            _ if archive::is_tar(first) => Kind::Tar(path.into()),
            _ if archived().is_some() && !kind::has_picture_name(path) => {
                let how = archived().unwrap_or_default();
                return Err(Error::format(path, format!("is compressed {how}; zip, tar and tar.gz archives are read")));
            }
            // The name is only a hint: the decoder refuses what is not a picture.
            _ if kind::has_picture_name(path) || kind::is_picture(first) => Kind::Picture(path.into()),
            _ => {
                let known =
                    format!("a picture ({FORMATS}), a zip, tar or tar.gz archive, an idx file, a CIFAR-10 .bin file");
                return Err(Error::format(path, format!("holds no pictures: it is not {known}")));
            }
        })
    }

    /// The pictures in order, `size` at a time (the last batch may be smaller), brought to one `form`.
    ///
    /// Pictures of folders and archives are read and decoded when their batch is asked for, so that memory does not
    /// grow with their number. Data sets, idx and CIFAR-10 files are held in memory as bytes.
    ///
    /// # Errors
    /// [`Error::Parameter`] when `size` is 0, or a data set is not found; [`Error::Io`] when the source cannot be opened;
    /// [`Error::Path`] or [`Error::Format`] when it holds no pictures. Errors of single pictures come with
    /// their batch.
    pub fn batches(&self, form: &Form, size: usize) -> Result<Batches> {
        if size == 0 {
            return Err(Error::parameter("batch_size", 0, "at least 1"));
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
                    let (shards, others) = shards(path, &listing.archives)?;
                    let skipped = listing.skipped + others;
                    if shards.is_empty() {
                        return Err(no_pictures(path, skipped, "a folder"));
                    }
                    return content_of_archive(path, Archive::shards(shards), skipped, "a folder of archives");
                }
                let pictures = listing.paths.iter().map(|p| Named { name: folder::name(p), path: path.join(p) });
                let passed = Passed { files: listing.skipped, archives: listing.archives.len() };
                Ok(Content::Encoded(Encoded::new(Store::Files, pictures.collect(), passed)))
            }
            Kind::Zip(_) | Kind::Tar(_) | Kind::TarGz(..) => open_archive(&self.kind),
            Kind::Picture(path) => {
                let name = path.file_name().map(Path::new).unwrap_or(path);
                let picture = Named { name: folder::name(name), path: path.clone() };
                Ok(Content::Encoded(Encoded::new(Store::Files, vec![picture], Passed::default())))
            }
            Kind::Array(wanted) => match wanted.open()? {
                Some(array) => Ok(Content::Encoded(Encoded::of_array(array, &wanted.path))),
                None => Err(Error::format(&wanted.path, "holds no pictures any more")),
            },
            Kind::Idx(path) => open_idx(path),
            Kind::Cifar(path) => {
                let (raw, sha256) = cifar::read(path)?;
                let classes = names::find("cifar10").map(|k| k.class_names.iter().map(ToString::to_string).collect());
                Ok(content_of_file(path, raw, sha256, None, classes))
            }
        }
    }
}

/// The archive that `kind` is, if it is one.
fn archive(kind: &Kind) -> Result<Option<(&Path, Archive)>> {
    Ok(match kind {
        Kind::Zip(path) => Some((path, Archive::open_zip(path)?)),
        Kind::Tar(path) => Some((path, Archive::open_tar(path)?)),
        Kind::TarGz(path, unpacked) => {
            // Only once, however often the source is opened.
            let mut unpacked = unpacked.lock().unwrap_or_else(PoisonError::into_inner);
            let bytes = match &*unpacked {
                Some(bytes) => bytes.again(),
                None => unpacked.insert(Unpacked::gzip(path)?).again(),
            };
            Some((path, Archive::open_unpacked(path, bytes)?))
        }
        _ => None,
    })
}

fn open_archive(kind: &Kind) -> Result<Content> {
    let (path, archive) = archive(kind)?.expect("an archive's kind");
    content_of_archive(path, archive, 0, "an archive")
}

/// How a file begins, from which its kind is told.
struct Beginning {
    first: Vec<u8>,
    /// What is in it, where gzip compressed it.
    inside: Option<Inside>,
}

impl Beginning {
    /// # Errors
    /// When the file cannot be read, or its beginning not be decompressed.
    fn of(path: &Path) -> Result<Self> {
        let first = File::open(path).and_then(head).map_err(|e| Error::io(path, Action::Read, e))?;
        let inside = if first.starts_with(&[0x1f, 0x8b]) { Some(Inside::of(path)?) } else { None };
        Ok(Self { first, inside })
    }
}

/// What gzip compressed in a file.
enum Inside {
    Tar,
    Idx,
    Picture,
    Other,
}

impl Inside {
    /// Told by the first bytes.
    ///
    /// # Errors
    /// When these cannot be decompressed.
    fn of(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, Action::Read, e))?;
        let inner = head(MultiGzDecoder::new(file));
        let inner = inner.map_err(|e| Error::unreadable(path, "is damaged or cut off", e))?;
        Ok(match inner[..] {
            _ if archive::is_tar(&inner) => Self::Tar,
            _ if kind::is_picture(&inner) => Self::Picture,
            [0, 0, _, 1..=4, ..] => Self::Idx,
            _ => Self::Other,
        })
    }
}

/// The archives at `inner` paths below `path`, each with its name, and the number of files there that hold no pictures.
///
/// # Errors
/// When one is damaged, or of a kind that is not read: a part of the pictures would be missing without a word.
fn shards(path: &Path, inner: &[PathBuf]) -> Result<(Vec<(String, Archive)>, usize)> {
    let (mut shards, mut others) = (Vec::new(), 0);
    for inner in inner {
        let path = path.join(inner);
        let beginning = Beginning::of(&path)?;
        let is_none = match &beginning.inside {
            Some(inside) => matches!(inside, Inside::Idx | Inside::Other),
            None => !beginning.first.is_empty() && !archive::is_archive(inner, &beginning.first),
        };
        if is_none && archive::has_archive_name(inner) {
            let fault = "is named like an archive, but is not one, or is damaged; restore it, or move it away";
            return Err(Error::format(&path, fault));
        }
        // gzip compresses other files too.
        if is_none {
            others += 1;
            continue;
        }
        let kind = Source::kind_of_file(&path, &beginning)?;
        match archive(&kind)? {
            Some((_, archive)) => shards.push((folder::name(inner), archive)),
            None => others += 1,
        }
    }
    Ok((shards, others))
}

/// The pictures of an archive; `others` are files beside it.
fn content_of_archive(path: &Path, archive: Archive, others: usize, what: &str) -> Result<Content> {
    let named = |name: &&str| Named { name: name.to_string(), path: format!("{}/{name}", path.display()).into() };
    let pictures: Vec<_> = archive.names().iter().map(named).collect();
    let passed = Passed { files: archive.skipped() + others, archives: 0 };
    if pictures.is_empty() {
        return Err(no_pictures(path, passed.files, what));
    }
    Ok(Content::Encoded(Encoded::new(Store::Archive(Box::new(archive)), pictures, passed)))
}

fn open_idx(path: &Path) -> Result<Content> {
    let pictures = idx::read(path, 3)?;
    let beside = idx::labels_beside(path);
    let labels = beside.as_deref().map(|path| idx::read(path, 1)).transpose()?;
    if let (Some(labels), Some(beside)) = (&labels, &beside)
        && labels.dims[0] != pictures.dims[0]
    {
        return Err(Error::mismatch(
            Field::Count("pictures and labels".into()),
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
        "; it holds idx or CIFAR-10 files, so name one of them, or the data set and this folder as data_dir"
    } else {
        ""
    };
    Error::path(path, format!("is {kind} without pictures ({FORMATS}) among {skipped} files{advice}"))
}
