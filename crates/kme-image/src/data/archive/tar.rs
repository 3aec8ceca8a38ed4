//! Tar archives: entries are read at their place in the file, or in what it was decompressed to.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use kme::{Action, Error, Result};

use super::super::{Bytes, head};
use super::{Contents, read_whole};

const BLOCK: u64 = 512;

/// An open tar archive; an entry is found by its place in the file and its length.
pub(crate) struct Tar {
    file: BufReader<Box<dyn Bytes>>,
    pub(super) contents: Contents<(u64, u64)>,
}

impl Tar {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, Action::Read, e))?;
        Self::read_headers(path, Box::new(file))
    }

    /// Reads the headers of the archive in `file`; `path` is for messages.
    pub(super) fn read_headers(path: &Path, mut file: Box<dyn Bytes>) -> Result<Self> {
        let length = file.seek(SeekFrom::End(0)).and_then(|length| file.rewind().map(|()| length));
        let length = length.map_err(|e| Error::io(path, Action::Read, e))?;
        let mut archive = tar::Archive::new(BufReader::new(file));
        let mut contents = Contents::new(path);
        let mut end = 0;
        let damaged = |e: std::io::Error| Error::unreadable(path, "is a truncated or damaged tar archive", e);
        for entry in archive.entries_with_seek().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let (place, size) = (entry.raw_file_position(), entry.size());
            end = size.checked_next_multiple_of(BLOCK).and_then(|size| place.checked_add(size)).unwrap_or(u64::MAX);
            if end > length {
                break;
            }
            // Links and devices hold no bytes of their own.
            if entry.header().entry_type().is_file() {
                let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                contents.add(&name, (place, size), || head(&mut entry));
            }
        }
        // A block of zeros ends an archive; without it, entries may be missing.
        if end.saturating_add(BLOCK) > length {
            return Err(Error::format(path, "is a truncated tar archive"));
        }
        contents.sort()?;
        Ok(Self { file: archive.into_inner(), contents })
    }

    pub(super) fn read(&mut self, i: usize) -> Result<Vec<u8>> {
        let (name, (place, size)) = &self.contents.entries[i];
        let path = self.contents.place(name);
        self.file.seek(SeekFrom::Start(*place)).map_err(|e| Error::io(&path, Action::Read, e))?;
        let bytes = read_whole(self.file.by_ref().take(*size), &path)?;
        if bytes.len() as u64 != *size {
            return Err(Error::format(&path, format!("is cut off after {} of {size} bytes", bytes.len())));
        }
        Ok(bytes)
    }
}
