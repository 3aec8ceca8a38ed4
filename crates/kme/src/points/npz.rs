//! The `.npz` format of NumPy: a zip archive of `.npy` files, stored or deflated.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::array::Checked;
use super::npy::{check_size, read_layout};
use super::{Points, read};
use crate::{Error, Result, io};

/// Deflate cannot shrink data by more than this factor, so a claim of more bytes is false.
const BEST_COMPRESSION: u64 = 1032;

/// Reads the sample in the array `member` of the archive at `path`, or in its only array that is a sample.
pub(super) fn read(path: &Path, member: Option<&str>) -> Result<Points> {
    let (reader, size) = io::open(path)?;
    read_member(reader, size, member).map_err(|e| Error::file(path, e))
}

fn read_member(reader: BufReader<File>, size: u64, member: Option<&str>) -> Checked<Points> {
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
    if entry.size() > size.saturating_mul(BEST_COMPRESSION) {
        return Err(format!("claims {} bytes of numbers in a file of {size}", entry.size()));
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
