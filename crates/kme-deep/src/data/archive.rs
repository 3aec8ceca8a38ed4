//! Zip archives of pictures.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use kme::{Error, Result};
use zip::ZipArchive;

use super::{MAX_FILE_BYTES, is_picture_name};

/// An open archive and its picture entries, sorted by the bytes of their names.
pub(super) struct Archive {
    path: PathBuf,
    zip: ZipArchive<BufReader<File>>,
    /// (name, place in the archive).
    entries: Vec<(String, usize)>,
    /// Number of other files, which are not read.
    pub(super) skipped: usize,
}

impl Archive {
    /// Reads the table of contents of the archive at `path`. Entries with a part that begins with a dot, and those
    /// below `__MACOSX`, are left out.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read, is no zip archive or is cut off, or holds a name twice.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fault = |fault: &dyn std::fmt::Display| Error::file(path, fault);
        let file = File::open(path).map_err(|e| fault(&e))?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|e| fault(&format!("not a whole zip archive: {e}")))?;
        if zip.has_duplicate_names() {
            return Err(fault(&"the archive holds two entries of one name: pack it anew"));
        }
        let (mut entries, mut skipped) = (Vec::new(), 0);
        for (i, name) in zip.file_names().enumerate() {
            let name = name.map_err(|e| fault(&e))?;
            if name.ends_with('/') || name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX") {
                continue;
            }
            if is_picture_name(Path::new(name.as_ref())) {
                entries.push((name.into_owned(), i));
            } else {
                skipped += 1;
            }
        }
        entries.sort();
        Ok(Self { path: path.into(), zip, entries, skipped })
    }

    /// The names of the pictures, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// The content of picture number `i`.
    ///
    /// # Errors
    /// [`Error::File`] with the path archive/name when the entry is damaged, encrypted, packed by a method that is not
    /// read (stored and deflate are), or larger than 512 MiB.
    pub(super) fn read(&mut self, i: usize) -> Result<Vec<u8>> {
        let (name, place) = &self.entries[i];
        // Not joined: a name may begin with a slash.
        let path = PathBuf::from(format!("{}/{name}", self.path.display()));
        let fault = |fault: &dyn std::fmt::Display| Error::file(&path, fault);
        let entry = self.zip.by_index(*place).map_err(|e| fault(&e))?;
        // The size in the table of contents may lie; what is unpacked is counted.
        let mut bytes = Vec::new();
        entry.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| fault(&e))?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(fault(&format!("more than {MAX_FILE_BYTES} bytes once unpacked: too large for a picture")));
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, ZipWriter};

    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        for (i, (name, content)) in files.iter().enumerate() {
            let method = if i % 2 == 0 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            zip.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn open(bytes: &[u8]) -> Result<Archive> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pictures.zip");
        std::fs::write(&path, bytes).unwrap();
        // The open file outlives its name.
        Archive::open(&path)
    }

    const FILES: [(&str, &[u8]); 6] = [
        ("b/2.png", b"second"),
        ("a.png", &[7; 5000]),
        ("b/1.PNG", b"first"),
        ("__MACOSX/a.png", b"no"),
        ("b/.a.png", b"no"),
        ("read.me", b"no"),
    ];

    #[test]
    fn entries_are_sorted_and_read_in_any_order() {
        let mut archive = open(&packed(&FILES)).unwrap();
        assert_eq!(archive.names().collect::<Vec<_>>(), ["a.png", "b/1.PNG", "b/2.png"]);
        assert_eq!(archive.skipped, 1);
        let contents = [2, 0, 1].map(|i| archive.read(i).unwrap());
        assert_eq!(contents, [b"second".to_vec(), vec![7; 5000], b"first".to_vec()]);
    }

    #[test]
    fn cut_off_and_damaged_archives_are_errors() {
        let whole = packed(&FILES);
        for end in 0..whole.len() {
            let text = open(&whole[..end]).err().unwrap_or_else(|| panic!("cut at {end} of {}", whole.len()));
            assert!(text.to_string().contains("pictures.zip"));
        }
        for i in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[i] ^= 0x55;
            if let Ok(mut archive) = open(&damaged) {
                (0..archive.names().count()).for_each(|i| drop(archive.read(i)));
            }
        }
        // The stored bytes of a picture are covered by the entry's checksum.
        let at = whole.windows(6).position(|w| w == b"second").unwrap();
        let mut damaged = whole;
        damaged[at] ^= 1;
        let text = open(&damaged).unwrap().read(2).unwrap_err().to_string();
        assert!(text.contains("pictures.zip/b/2.png"), "{text}");
    }
}
