//! Zip archives.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use kme::{Action, Error, Result};
use zip::ZipArchive;

use super::super::head;
use super::{Contents, read_whole};

/// An open zip archive; an entry is found by its number.
pub(crate) struct Zip {
    zip: ZipArchive<BufReader<File>>,
    pub(super) contents: Contents<usize>,
}

impl Zip {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, Action::Read, e))?;
        let damaged = |e| Error::unreadable(path, "is a truncated or damaged zip archive", e);
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        if zip.has_duplicate_names() {
            return Err(Error::format(path, "holds two entries of one name; pack the archive anew"));
        }
        let mut contents = Contents::new(path);
        let names: Vec<String> =
            zip.file_names().map(|name| Ok(name.map_err(damaged)?.to_string())).collect::<Result<_>>()?;
        for (i, name) in names.iter().enumerate() {
            if !name.ends_with('/') {
                contents.add(name, i, || head(zip.by_index(i).map_err(std::io::Error::other)?));
            }
        }
        contents.sort()?;
        Ok(Self { zip, contents })
    }

    pub(super) fn read(&mut self, i: usize) -> Result<Vec<u8>> {
        let (name, number) = &self.contents.entries[i];
        let path = self.contents.place(name);
        let entry = self.zip.by_index(*number).map_err(|e| Error::unreadable(&path, "cannot be unpacked", e))?;
        read_whole(entry, &path)
    }
}
