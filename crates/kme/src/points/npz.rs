//! The `.npz` format of NumPy: a zip archive of `.npy` files, stored or deflated.

use std::fs::File;
use std::io::{BufReader, Read, Seek, Write};
use std::path::Path;

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::array::{Checked, Layout};
use super::npy::{self, check_size, read_layout};
use super::{Data, Points};
use crate::{Error, Result, io};

/// Deflate, the one compression that is read, cannot shrink data by more than this factor.
const BEST_COMPRESSION: u64 = 1032;

/// An archive and the places of its arrays.
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    /// Name and number of each entry that is an array.
    entries: Vec<(String, usize)>,
}

impl Archive {
    /// Opens the archive at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (reader, _) = io::open(path)?;
        let damaged = |e: ZipError| Error::unreadable(path, "not a .npz file (zip archive), or a truncated one", e);
        let mut zip = ZipArchive::new(reader).map_err(damaged)?;
        let mut entries = Vec::new();
        for i in 0..zip.len() {
            let entry = zip.by_index(i).map_err(damaged)?;
            if let Some(name) = entry.name().ok().and_then(|n| Some(n.strip_suffix(".npy")?.to_string())) {
                entries.push((name, i));
            }
        }
        Ok(Self { zip, entries })
    }

    /// The names of the arrays, in the order of the archive.
    pub(super) fn names(&self) -> Vec<String> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Type and shape of array `i`, or why it cannot be read.
    pub(super) fn layout(&mut self, i: usize) -> Checked<Layout> {
        let mut entry = self.zip.by_index(self.entries[i].1).map_err(fault)?;
        read_layout(&mut entry).map(|(layout, _)| layout)
    }

    /// Array `i` as points.
    pub(super) fn read(&mut self, i: usize) -> Checked<Points> {
        let mut entry = self.zip.by_index(self.entries[i].1).map_err(fault)?;
        let (layout, header) = read_layout(&mut entry)?;
        check_size(&layout, entry.size().saturating_sub(header))?;
        // Before memory is taken on the word of the directory.
        let most = match entry.compression() {
            CompressionMethod::Stored => entry.compressed_size(),
            _ => entry.compressed_size().saturating_mul(BEST_COMPRESSION),
        };
        if entry.size() > most {
            let (size, compressed) = (entry.size(), entry.compressed_size());
            return Err(format!("is damaged: it claims {size} bytes of numbers, compressed to {compressed}"));
        }
        let points = layout.read_sample(&mut entry)?;
        // The checksum is compared when the end is reached.
        match entry.read(&mut [0]) {
            Ok(0) => Ok(points),
            Ok(_) => Err("holds more bytes than its directory says".into()),
            Err(e) => Err(format!("is damaged: {e}")),
        }
    }
}

/// What an array holds that is written.
pub(crate) enum Content<'a> {
    /// Numbers of an array of this shape.
    Numbers(&'a [usize], &'a Data),
    /// A number of things, as `int64` of shape (1,).
    Count(u64),
    /// The bytes of a text in UTF-8, as `uint8`: reading an array of strings would need more of NumPy.
    Text(&'a str),
}

/// Writes arrays as NumPy's `savez` does: an archive without compression. The bytes depend on the
/// arguments alone.
pub(crate) fn write(out: &mut (impl Write + Seek), arrays: &[(&str, Content)]) -> std::io::Result<()> {
    let mut zip = ZipWriter::new(out);
    let wrong = |e: ZipError| std::io::Error::other(e);
    for (name, content) in arrays {
        let length = if let Content::Numbers(_, numbers) = content { numbers.len() } else { 0 };
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            // The least time that the format knows: the clock has no part in the file.
            .last_modified_time(DateTime::default())
            .large_file(length >= 1 << 28);
        zip.start_file(format!("{name}.npy"), options).map_err(wrong)?;
        match content {
            Content::Numbers(shape, numbers) => npy::write_array(shape, numbers, &mut zip)?,
            Content::Count(count) => {
                npy::write_header("<i8", &[1], &mut zip)?;
                zip.write_all(&count.to_le_bytes())?;
            }
            Content::Text(text) => {
                npy::write_header("|u1", &[text.len()], &mut zip)?;
                zip.write_all(text.as_bytes())?;
            }
        }
    }
    zip.finish().map(drop).map_err(wrong)
}

fn fault(error: ZipError) -> String {
    error.to_string()
}
