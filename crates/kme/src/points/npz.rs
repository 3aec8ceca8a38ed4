//! The `.npz` format of NumPy: a zip archive of `.npy` files, stored or deflated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

use super::array::Checked;
use super::npy::{check_size, read_layout};
use super::{Points, read};
use crate::{Error, Result, io};

/// Deflate, the one compression that is read, cannot shrink data by more than this factor.
const BEST_COMPRESSION: u64 = 1032;

/// Reads the sample in the array `member` of the archive at `path`, or in its only array that is a sample.
pub(crate) fn read(path: &Path, member: Option<&str>) -> Result<Points> {
    let (reader, _) = io::open(path)?;
    read_member(reader, member).map_err(|e| Error::file(path, e))
}

/// The names of the arrays in the archive at `path`.
pub(crate) fn names(path: &Path) -> Result<Vec<String>> {
    let (reader, _) = io::open(path)?;
    let archive = ZipArchive::new(reader).map_err(|e| Error::file(path, fault(e)))?;
    Ok(archive.file_names().filter_map(|n| Some(n.ok()?.strip_suffix(".npy")?.to_string())).collect())
}

fn read_member(reader: BufReader<File>, member: Option<&str>) -> Checked<Points> {
    let mut archive =
        ZipArchive::new(reader).map_err(|e| format!("is no whole .npz file (zip archive): {}", fault(e)))?;
    let mut arrays = Vec::new();
    for i in 0..archive.len() {
        let mut entry = archive.by_index(i).map_err(fault)?;
        let Some(name) = entry.name().ok().and_then(|n| Some(n.strip_suffix(".npy")?.to_string())) else { continue };
        let layout = match read_layout(&mut entry) {
            Ok((layout, _)) => Ok(layout),
            Err(e) => Err(e),
        };
        arrays.push((name, layout, i));
    }
    let chosen = read::choose(arrays, member)?;
    let mut entry = archive.by_index(chosen).map_err(fault)?;
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

fn fault(error: ZipError) -> String {
    error.to_string()
}
