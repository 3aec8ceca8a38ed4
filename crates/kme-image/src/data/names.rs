//! Data sets that are known by name: what they are, where they are to be had, and how they are recognised.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use kme::{Error, Field, Result};
use serde::Serialize;

use super::fingerprint::{Fingerprint, hex};
use super::places::Places;
use super::raw::RawPictures;
use super::{cifar, idx};

/// Which pictures of a data set are meant: written `NAME:train` (what `NAME` alone means), `NAME:test`, or `NAME:all`
/// for training pictures followed by test pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Split {
    /// The pictures that the data set's makers set apart for training.
    #[default]
    Train,
    /// Those set apart for testing.
    Test,
    /// Both.
    All,
}

impl Split {
    fn parts(self) -> &'static [Split] {
        match self {
            Self::Train => &[Self::Train],
            Self::Test => &[Self::Test],
            Self::All => &[Self::Train, Self::Test],
        }
    }
}

impl FromStr for Split {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        match text {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            "all" => Ok(Self::All),
            _ => Err(Error::unknown("part of a data set", text, ["train", "test", "all"])),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
            Self::All => "all",
        })
    }
}

/// A file of a data set: its name without `.gz`, and the SHA-256 of its uncompressed content where it is known.
struct Part {
    name: &'static str,
    sha256: Option<&'static str>,
}

const fn part(name: &'static str, sha256: &'static str) -> Part {
    Part { name, sha256: Some(sha256) }
}

const fn unchecked(name: &'static str) -> Part {
    Part { name, sha256: None }
}

enum Files {
    /// (pictures, labels) of the training and the test part.
    Idx { train: (Part, Part), test: (Part, Part) },
    /// Batches of the training and the test part.
    Cifar { train: [Part; 5], test: [Part; 1] },
}

/// A data set that is known by name.
pub(super) struct Known {
    pub(super) name: &'static str,
    what: &'static str,
    licence: &'static str,
    origin: &'static str,
    counts: (usize, usize),
    shape: (usize, usize, usize),
    pub(super) class_names: &'static [&'static str],
    /// Folders in which its files are looked for below each of [`Places`], the first one being what is recommended.
    folders: &'static [&'static str],
    files: Files,
}

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

#[rustfmt::skip]
static KNOWN: [Known; 3] = [
    Known {
        name: "fashion-mnist",
        what: "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017): articles of clothing in ten classes, light on black",
        licence: "MIT (copyright 2017 Zalando SE)",
        origin: "on Debian and Ubuntu `apt install dataset-fashion-mnist`, which kme finds by itself; \
                 elsewhere the four .gz files of https://github.com/zalandoresearch/fashion-mnist (folder data/fashion)",
        counts: (60_000, 10_000),
        shape: (1, 28, 28),
        class_names: &["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
        folders: &["fashion-mnist", "FashionMNIST/raw", ""],
        files: Files::Idx {
            train: (
                part("train-images-idx3-ubyte", "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
                part("train-labels-idx1-ubyte", "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
            ),
            test: (
                part("t10k-images-idx3-ubyte", "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
                part("t10k-labels-idx1-ubyte", "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
            ),
        },
    },
    Known {
        name: "mnist",
        what: "MNIST (LeCun, Cortes, Burges 1998): handwritten digits, light on black",
        licence: "none stated by its makers; research use is customary",
        origin: "the four .gz files that were published at http://yann.lecun.com/exdb/mnist/; many mirrors and packages \
                 have them",
        counts: (60_000, 10_000),
        shape: (1, 28, 28),
        class_names: &DIGITS,
        folders: &["mnist", "MNIST/raw", ""],
        files: Files::Idx {
            train: (
                part("train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
                part("train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            ),
            test: (
                part("t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
                part("t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
            ),
        },
    },
    Known {
        name: "cifar10",
        what: "CIFAR-10 (Krizhevsky 2009): colour photographs in ten classes",
        licence: "none stated by its makers, who ask to cite the technical report",
        origin: "cifar-10-binary.tar.gz (the \"binary version\") from https://www.cs.toronto.edu/~kriz/cifar.html, \
                 SHA-256 c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd, unpacked",
        counts: (50_000, 10_000),
        shape: (3, 32, 32),
        class_names: &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
        folders: &["cifar10", "cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", ""],
        files: Files::Cifar {
            train: [
                unchecked("data_batch_1.bin"), unchecked("data_batch_2.bin"), unchecked("data_batch_3.bin"),
                unchecked("data_batch_4.bin"), unchecked("data_batch_5.bin"),
            ],
            test: [unchecked("test_batch.bin")],
        },
    },
];

/// The names of the known data sets, each with one line on what it is.
pub fn list() -> Vec<(&'static str, &'static str)> {
    KNOWN.iter().map(|known| (known.name, known.what)).collect()
}

/// The data set called `name`, if it is known: in any case, unless there is a file or folder of that very name.
pub(super) fn find(name: &str) -> Option<&'static Known> {
    let exact = KNOWN.iter().find(|known| known.name == name);
    let any_case = || KNOWN.iter().find(|known| known.name.eq_ignore_ascii_case(name));
    exact.or_else(|| any_case().filter(|_| !std::path::Path::new(name).exists()))
}

/// Whether `name` is that of a known data set.
pub fn is_known(name: &str) -> bool {
    find(name).is_some()
}

impl Known {
    fn parts(&self, split: Split) -> Vec<&Part> {
        let one = |split| match (&self.files, split) {
            (Files::Idx { train: (pictures, labels), .. }, Split::Train) => vec![pictures, labels],
            (Files::Idx { test: (pictures, labels), .. }, _) => vec![pictures, labels],
            (Files::Cifar { train, .. }, Split::Train) => train.iter().collect(),
            (Files::Cifar { test, .. }, _) => test.iter().collect(),
        };
        split.parts().iter().flat_map(|split| one(*split)).collect()
    }

    fn count(&self, split: Split) -> usize {
        match split {
            Split::Train => self.counts.0,
            Split::Test => self.counts.1,
            Split::All => self.counts.0 + self.counts.1,
        }
    }

    /// The first folder of `places` that has all files of `split`, and their paths there. A folder with a telling name
    /// comes before one without, because data sets share file names.
    fn locate(&self, split: Split, places: &Places) -> Option<(PathBuf, Vec<PathBuf>)> {
        let mut folders = self.folders.iter().flat_map(|inner| places.folders().iter().map(move |p| p.join(inner)));
        folders.find_map(|folder| {
            let spellings = |name: &str| {
                // Some copies are unpacked, and some tools write a dot where the original has a hyphen.
                let dotted = name.replace("-idx", ".idx");
                [format!("{name}.gz"), name.to_owned(), format!("{dotted}.gz"), dotted]
            };
            let find = |part: &&Part| spellings(part.name).iter().map(|n| folder.join(n)).find(|path| path.is_file());
            let files = self.parts(split).iter().map(find).collect::<Option<Vec<_>>>()?;
            Some((folder, files))
        })
    }

    fn missing(&self, split: Split, places: &Places) -> Error {
        let looked: Vec<_> = places.folders().iter().map(|p| p.join(self.folders[0]).display().to_string()).collect();
        let allowed = format!("a folder that holds {}:{split}. To get it: {}", self.name, self.origin);
        Error::parameter("data_dir", looked.join(" or "), allowed)
    }

    /// All pictures of `split`, with the fingerprint of their files.
    ///
    /// # Errors
    /// [`Error::Parameter`] when the files are not found; [`Error::Format`] when they are damaged, or not the data set's by
    /// SHA-256; [`Error::Mismatch`] when they hold another number of pictures.
    pub(super) fn read(&self, split: Split, places: &Places) -> Result<(RawPictures, String)> {
        let (_, files) = self.locate(split, places).ok_or_else(|| self.missing(split, places))?;
        let parts = self.parts(split);
        let mut fingerprint = Fingerprint::new();
        let mut all: Option<RawPictures> = None;
        let mut take = |part: &Part, path: &PathBuf, sha256: [u8; 32]| {
            fingerprint.add(part.name, &sha256);
            check(self.name, part, path, &hex(&sha256))
        };
        let step = match self.files {
            Files::Idx { .. } => 2,
            Files::Cifar { .. } => 1,
        };
        for (parts, files) in parts.chunks(step).zip(files.chunks(step)) {
            let raw = match (parts, files) {
                ([pictures, labels], [path, labels_path]) => {
                    let (images, targets) = (idx::read(path, 3)?, idx::read(labels_path, 1)?);
                    take(pictures, path, images.sha256)?;
                    take(labels, labels_path, targets.sha256)?;
                    RawPictures {
                        n: images.dims[0],
                        c: 1,
                        h: images.dims[1],
                        w: images.dims[2],
                        bytes: images.bytes,
                        labels: Some(targets.bytes.into_iter().map(u32::from).collect()),
                    }
                }
                _ => {
                    let (raw, sha256) = cifar::read(&files[0])?;
                    take(parts[0], &files[0], sha256)?;
                    raw
                }
            };
            match &mut all {
                None => all = Some(raw),
                Some(all) => all.append(raw),
            }
        }
        let all = all.ok_or_else(|| self.missing(split, places))?;
        if all.n != self.count(split) {
            return Err(Error::mismatch(
                Field::Count(format!("pictures of {}:{split}", self.name).into()),
                all.n,
                self.count(split),
                "replace the files by the original ones",
            ));
        }
        Ok((all, fingerprint.finish()))
    }
}

fn check(name: &str, part: &Part, path: &PathBuf, found: &str) -> Result<()> {
    match part.sha256 {
        Some(expected) if expected != found => Err(Error::format(
            path,
            format!(
                "is not {name}'s {}: the SHA-256 of its content is {found}, not {expected}; replace it, or name the file \
                 itself as the source to use it as it is",
                part.name
            ),
        )),
        _ => Ok(()),
    }
}

/// A data set, and whether it is here. Displays as text for people; serialises for programs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// Its name as a source, such as `mnist`.
    pub name: &'static str,
    /// What it holds and who made it, in one line.
    pub what: &'static str,
    /// The licence that its makers state.
    pub licence: &'static str,
    /// How to get it.
    pub origin: &'static str,
    /// (channels, height, width) of a picture.
    pub shape: (usize, usize, usize),
    /// Names of the classes, by label.
    pub classes: &'static [&'static str],
    /// Number of training pictures.
    pub train: usize,
    /// Number of test pictures.
    pub test: usize,
    /// The folders that are searched, in order.
    pub looked: Vec<PathBuf>,
    /// Folders below each of [`looked`](Self::looked) in which its files may lie.
    pub inside: &'static [&'static str],
    /// Its files' names without `.gz`, and the SHA-256 of their uncompressed content where it is known.
    pub originals: Vec<(&'static str, Option<&'static str>)>,
    /// The files that were found, in the order train, test.
    pub files: Vec<FileInfo>,
}

/// A file of a data set that was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FileInfo {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of the uncompressed content; empty when the file cannot be read.
    pub sha256: String,
    /// `original`, `unknown` (no checksum is known), or what is wrong with the file.
    pub state: String,
}

/// The data set `name`, where it is looked for, which of its files are found, and whether their
/// content is the original one.
///
/// # Errors
/// [`Error::UnknownName`] when no data set has this name.
pub fn info(name: &str, places: &Places) -> Result<Info> {
    let Some(known) = find(name) else {
        return Err(Error::unknown("data set", name, KNOWN.iter().map(|known| known.name)));
    };
    let mut files = Vec::new();
    for split in [Split::Train, Split::Test] {
        let Some((_, paths)) = known.locate(split, places) else { continue };
        for (part, path) in known.parts(split).into_iter().zip(paths) {
            let digest = match known.files {
                Files::Idx { .. } => {
                    idx::read(&path, if part.name.contains("labels") { 1 } else { 3 }).map(|i| i.sha256)
                }
                Files::Cifar { .. } => cifar::read(&path).map(|(_, sha256)| sha256),
            };
            let (sha256, state) = match digest {
                Err(fault) => (String::new(), fault.to_string()),
                Ok(found) => match part.sha256 {
                    None => (hex(&found), "unknown".into()),
                    Some(expected) if hex(&found) == expected => (hex(&found), "original".into()),
                    Some(expected) => (hex(&found), format!("other content than the original ({expected})")),
                },
            };
            files.push(FileInfo { path, sha256, state });
        }
    }
    Ok(Info {
        name: known.name,
        what: known.what,
        licence: known.licence,
        origin: known.origin,
        shape: known.shape,
        classes: known.class_names,
        train: known.counts.0,
        test: known.counts.1,
        looked: places.folders().to_vec(),
        inside: known.folders,
        originals: known.parts(Split::All).iter().map(|part| (part.name, part.sha256)).collect(),
        files,
    })
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (c, h, w) = self.shape;
        let colour = if c == 1 { "grey" } else { "colour" };
        writeln!(f, "{}\n  what      {}", self.name, self.what)?;
        writeln!(f, "  pictures  {} for training, {} for testing; {colour}, {h}x{w}", self.train, self.test)?;
        writeln!(f, "  classes   {}", self.classes.join(", "))?;
        writeln!(f, "  licence   {}", self.licence)?;
        writeln!(f, "  get it    {}", self.origin)?;
        let inside: Vec<_> = self.inside.iter().map(|name| format!("FOLDER/{name}")).collect();
        for (i, (name, sha256)) in self.originals.iter().enumerate() {
            let head = if i == 0 { "SHA-256" } else { "" };
            let note = if i == 0 { " (uncompressed)" } else { "" };
            writeln!(f, "  {head:<9} {} {name}{note}", sha256.unwrap_or("not known here;"))?;
        }
        writeln!(f, "  put it    into {}", inside.join(" or ").trim_end_matches('/'))?;
        writeln!(f, "            where FOLDER is the first of these that has it (see `data_dir` and KME_DATA):")?;
        for folder in &self.looked {
            writeln!(f, "            {}", folder.display())?;
        }
        if self.files.is_empty() {
            return writeln!(f, "  found     nothing");
        }
        for (i, file) in self.files.iter().enumerate() {
            let head = if i == 0 { "found" } else { "" };
            writeln!(f, "  {head:<9} {}: {}", file.path.display(), file.state)?;
        }
        Ok(())
    }
}
