//! Archives of pictures: zip and tar, tar also compressed by gzip, and several of them as one.
//!
//! Entries are read at their place. Of a tar archive that is compressed as a whole there are no places: it is decompressed to
//! a temporary file.

mod tar;
mod unpacked;
mod zip;

use std::io::Read;
use std::path::{Path, PathBuf};

use kme::{Error, Result};

use super::{MAX_FILE_BYTES, is_picture, is_rubbish};
use crate::image::kind;
pub(super) use unpacked::Unpacked;

/// An open archive and its picture entries, sorted by the bytes of their names. An entry is one by its name or its content.
/// Entries with a part that begins with a dot, and systems' folders of thumbnails, are left out.
pub(super) enum Archive {
    Zip(zip::Zip),
    Tar(tar::Tar),
    Shards(Shards),
}

/// Archives that are one source: their entries are called `ARCHIVE/ENTRY`.
pub(super) struct Shards {
    archives: Vec<Archive>,
    /// For each picture, its archive and its number there.
    places: Vec<(usize, usize)>,
    names: Vec<String>,
}

/// Endings of what is compressed, which may be anything.
const COMPRESSED: [&str; 4] = ["gz", "bz2", "xz", "zst"];

/// What a compressed or unknown archive is called that begins so.
pub(super) fn refused(head: &[u8]) -> Option<&'static str> {
    let known: [(&[u8], &str); 5] = [
        (b"BZh", "by bzip2 (unpack it: bunzip2 or tar -xjf)"),
        (b"\xfd7zXZ\0", "by xz (unpack it: unxz or tar -xJf)"),
        (b"\x28\xb5\x2f\xfd", "by Zstandard (unpack it: unzstd or tar --zstd -xf)"),
        (b"7z\xbc\xaf\x27\x1c", "by 7-Zip (unpack it: 7z x)"),
        (b"Rar!\x1a\x07", "by RAR (unpack it: unrar x)"),
    ];
    known.iter().find(|(magic, _)| head.starts_with(magic)).map(|(_, what)| *what)
}

/// Whether a file of this name that begins so is an archive, of a kind that is read or another. Much is a zip archive that is
/// not called one, such as arrays and documents.
pub(super) fn is_archive(name: &Path, head: &[u8]) -> bool {
    let is_named = has_archive_name(name) || has_ending(name, &COMPRESSED);
    is_tar(head) || (is_named && (is_zip(head) || head.starts_with(&[0x1f, 0x8b]) || refused(head).is_some()))
}

/// Whether a file is called like an archive, whatever is in it.
pub(super) fn has_archive_name(name: &Path) -> bool {
    const ENDINGS: [&str; 8] = ["zip", "tar", "tgz", "tbz", "tbz2", "txz", "7z", "rar"];
    let is_of_tar = || name.file_stem().is_some_and(|stem| has_ending(Path::new(stem), &["tar"]));
    has_ending(name, &ENDINGS) || (has_ending(name, &COMPRESSED) && is_of_tar())
}

fn has_ending(name: &Path, endings: &[&str]) -> bool {
    name.extension().is_some_and(|e| endings.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

pub(super) fn is_zip(head: &[u8]) -> bool {
    matches!(head, [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..])
}

pub(super) fn is_tar(head: &[u8]) -> bool {
    head.get(257..262) == Some(b"ustar")
}

impl Archive {
    /// Reads the table of contents of the zip archive at `path`.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it is not a zip archive, is cut off, or holds a name
    /// twice.
    pub(super) fn open_zip(path: &Path) -> Result<Self> {
        zip::Zip::open(path).map(Self::Zip)
    }

    /// Reads the headers of the tar archive at `path`.
    ///
    /// # Errors
    /// As [`Archive::open_zip`].
    pub(super) fn open_tar(path: &Path) -> Result<Self> {
        tar::Tar::open(path).map(Self::Tar)
    }

    /// Reads the headers of a tar archive that was decompressed; `path` is that of the compressed file.
    ///
    /// # Errors
    /// As [`Archive::open_zip`].
    pub(super) fn open_unpacked(path: &Path, unpacked: Unpacked) -> Result<Self> {
        tar::Tar::read_headers(path, Box::new(unpacked)).map(Self::Tar)
    }

    /// Archives, each with the name that its entries begin with, as one.
    pub(super) fn shards(archives: Vec<(String, Archive)>) -> Self {
        let mut shards = Shards { archives: Vec::new(), places: Vec::new(), names: Vec::new() };
        for (i, (name, archive)) in archives.into_iter().enumerate() {
            for (j, entry) in archive.names().into_iter().enumerate() {
                shards.places.push((i, j));
                shards.names.push(format!("{name}/{entry}"));
            }
            shards.archives.push(archive);
        }
        Self::Shards(shards)
    }

    /// The names of the pictures, in order.
    pub(super) fn names(&self) -> Vec<&str> {
        match self {
            Self::Zip(zip) => zip.contents.names().collect(),
            Self::Tar(tar) => tar.contents.names().collect(),
            Self::Shards(shards) => shards.names.iter().map(String::as_str).collect(),
        }
    }

    /// The name of picture number `i` inside its archive.
    pub(super) fn entry(&self, i: usize) -> &str {
        match self {
            Self::Zip(zip) => &zip.contents.entries[i].0,
            Self::Tar(tar) => &tar.contents.entries[i].0,
            Self::Shards(shards) => {
                let (archive, entry) = shards.places[i];
                shards.archives[archive].entry(entry)
            }
        }
    }

    /// Number of other files, which are not read.
    pub(super) fn skipped(&self) -> usize {
        match self {
            Self::Zip(zip) => zip.contents.skipped,
            Self::Tar(tar) => tar.contents.skipped,
            Self::Shards(shards) => shards.archives.iter().map(Self::skipped).sum(),
        }
    }

    /// The content of picture number `i`.
    ///
    /// # Errors
    /// [`Error::Format`] with the path archive/name when the entry is damaged, encrypted, packed by a method that is not
    /// read (stored and deflate are), or larger than 512 MiB.
    pub(super) fn read(&mut self, i: usize) -> Result<Vec<u8>> {
        match self {
            Self::Zip(zip) => zip.read(i),
            Self::Tar(tar) => tar.read(i),
            Self::Shards(shards) => {
                let (archive, entry) = shards.places[i];
                shards.archives[archive].read(entry)
            }
        }
    }
}

/// The picture entries of an archive, each with what is needed to find it again.
struct Contents<T> {
    path: PathBuf,
    entries: Vec<(String, T)>,
    skipped: usize,
}

impl<T> Contents<T> {
    fn new(path: &Path) -> Self {
        Self { path: path.into(), entries: Vec::new(), skipped: 0 }
    }

    /// Takes a file's entry in when it is a picture, whose first bytes `head` reads.
    fn add(&mut self, name: &str, place: T, head: impl FnOnce() -> std::io::Result<Vec<u8>>) {
        let name = name.strip_prefix("./").unwrap_or(name);
        if is_rubbish(Path::new(name)) {
            return;
        }
        let first = if kind::has_picture_name(Path::new(name)) { Vec::new() } else { head().unwrap_or_default() };
        if is_picture(Path::new(name), &first) {
            self.entries.push((name.into(), place));
        } else {
            self.skipped += 1;
        }
    }

    fn sort(&mut self) -> Result<()> {
        self.entries.sort_by(|a, b| a.0.cmp(&b.0));
        match self.entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            Some(pair) => {
                Err(Error::format(self.place(&pair[0].0), "there are two entries of this name; pack the archive anew"))
            }
            None => Ok(()),
        }
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The path of an entry for messages. Not joined: a name may begin with a slash.
    fn place(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("{}/{name}", self.path.display()))
    }
}

/// All of `entry`, which must not be larger than a picture file may be. What an archive says about sizes is not
/// trusted: the bytes are counted.
fn read_whole(entry: impl Read, path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| Error::unreadable(path, "is damaged", e))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Error::format(path, format!("holds more than {MAX_FILE_BYTES} bytes, too many for a picture")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use ::zip::write::SimpleFileOptions;
    use ::zip::{CompressionMethod, ZipWriter};

    use super::*;

    type Files<'a> = [(&'a str, &'a [u8])];

    fn zipped(files: &Files<'_>) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (i, (name, content)) in files.iter().enumerate() {
            let method = if i % 2 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn tarred(files: &Files<'_>) -> Vec<u8> {
        let mut tar = ::tar::Builder::new(Vec::new());
        for (name, content) in files {
            let mut header = ::tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *content).unwrap();
        }
        tar.into_inner().unwrap()
    }

    fn open(name: &str, bytes: &[u8]) -> Result<Archive> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        // The open file outlives its name.
        if name.ends_with("zip") { Archive::open_zip(&path) } else { Archive::open_tar(&path) }
    }

    const FILES: [(&str, &[u8]); 6] = [
        ("b/2.png", b"second"),
        ("a.png", &[7; 5000]),
        ("b/1.PNG", b"first"),
        ("__MACOSX/a.png", b"no"),
        ("b/.a.png", b"no"),
        ("read.me", b"no"),
    ];

    fn both() -> [(&'static str, Vec<u8>); 2] {
        [("pictures.zip", zipped(&FILES)), ("pictures.tar", tarred(&FILES))]
    }

    #[test]
    fn entries_are_sorted_and_read_in_any_order() {
        for (name, bytes) in both() {
            let mut archive = open(name, &bytes).unwrap();
            assert_eq!(archive.names(), ["a.png", "b/1.PNG", "b/2.png"]);
            assert_eq!(archive.skipped(), 1);
            let contents = [2, 0, 1].map(|i| archive.read(i).unwrap());
            assert_eq!(contents, [b"second".to_vec(), vec![7; 5000], b"first".to_vec()]);
        }
    }

    #[test]
    fn long_names_of_tar_are_whole() {
        let long = format!("{}/picture.png", "folder".repeat(40));
        let mut archive = open("pictures.tar", &tarred(&[(&long, b"content")])).unwrap();
        assert_eq!(archive.names(), [&long]);
        assert_eq!(archive.read(0).unwrap(), b"content");
    }

    #[test]
    fn a_name_may_occur_only_once() {
        let twice = tarred(&[("a.png", b"1"), ("a.png", b"2")]);
        let fault = open("pictures.tar", &twice).err().unwrap();
        assert!(matches!(&fault, Error::Format { path, .. } if path.ends_with("pictures.tar/a.png")), "{fault}");
    }

    #[test]
    fn cut_off_archives_are_errors() {
        for (name, whole) in both() {
            // The last block of a tar archive repeats the end mark before it.
            let needed = if name.ends_with("zip") { whole.len() } else { whole.len() - 512 };
            for end in (0..needed).step_by(if name.ends_with("zip") { 1 } else { 64 }) {
                let fault = open(name, &whole[..end]).err().unwrap_or_else(|| panic!("{name} cut at {end}"));
                assert!(matches!(&fault, Error::Format { path, .. } if path.ends_with(name)), "{fault}");
            }
        }
    }

    #[test]
    fn damaged_archives_never_panic() {
        for (name, whole) in both() {
            for i in (0..whole.len()).step_by(if name.ends_with("zip") { 1 } else { 17 }) {
                let mut damaged = whole.clone();
                damaged[i] ^= 0x55;
                if let Ok(mut archive) = open(name, &damaged) {
                    (0..archive.names().len()).for_each(|i| drop(archive.read(i)));
                }
            }
        }
        // The stored bytes of a picture in a zip archive are covered by the entry's checksum.
        let mut damaged = zipped(&FILES);
        let at = damaged.windows(6).position(|w| w == b"second").unwrap();
        damaged[at] ^= 1;
        let fault = open("pictures.zip", &damaged).unwrap().read(2).unwrap_err();
        assert!(matches!(&fault, Error::Format { path, .. } if path.ends_with("pictures.zip/b/2.png")), "{fault}");
    }
}
