//! The weights of face-api (TensorFlow.js): a manifest in JSON, and files of numbers beside it.

use super::Weights;
use crate::net::file::Tensors;
use kme::{Error, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Component, Path};

/// Tensors that stand one after another in files.
#[derive(Deserialize)]
struct Group {
    paths: Vec<String>,
    weights: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<Quantization>,
}

/// value = scale · q + min.
#[derive(Deserialize)]
struct Quantization {
    dtype: String,
    scale: f64,
    min: f64,
}

/// Whether the bytes begin like a manifest.
pub(super) fn is_manifest(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.first() == Some(&b'[') && text[1..].trim_ascii_start().first() == Some(&b'{')
}

/// The tensors of a manifest, whose files lie beside it. The checksum is of the manifest and its files one after another.
///
/// # Errors
/// When the manifest is none, or a file is missing, lies elsewhere, or has another length.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Weights> {
    let groups: Vec<Group> =
        serde_json::from_slice(bytes).map_err(|e| Error::file(path, format!("is no manifest of weights: {e}")))?;
    let mut digest = Sha256::new_with_prefix(bytes);
    let mut tensors = Tensors::new();
    for group in groups {
        let mut data = Vec::new();
        for name in &group.paths {
            // Only names of files beside the manifest: nothing in it leads elsewhere.
            let mut parts = Path::new(name).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(Error::file(path, format!("names the file '{name}', which does not lie beside it")));
            }
            let part = path.with_file_name(name);
            data.extend(std::fs::read(&part).map_err(|e| kme::io::read_error(&part, &e))?);
        }
        digest.update(&data);
        let mut rest = data.as_slice();
        for entry in group.weights {
            let (values, after) = values(&entry, rest).map_err(|fault| Error::file(path, fault))?;
            rest = after;
            tensors.insert(entry.name, (entry.shape, values));
        }
        if !rest.is_empty() {
            let names = group.paths.join(", ");
            return Err(Error::file(path, format!("accounts for all but {} bytes of {names}", rest.len())));
        }
    }
    let sha256 = digest.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(Weights { tensors, sha256, container: "face-api" })
}

/// An entry's numbers from the beginning of `data`, and what follows them.
fn values<'a>(entry: &Entry, data: &'a [u8]) -> std::result::Result<(Vec<f32>, &'a [u8]), String> {
    let name = &entry.name;
    if entry.dtype != "float32" {
        return Err(format!("tensor {name} holds {}; float32 is read", entry.dtype));
    }
    let stored = entry.quantization.as_ref().map_or("float32", |q| q.dtype.as_str());
    let width = match stored {
        "uint8" => 1,
        "uint16" => 2,
        "float32" if entry.quantization.is_none() => 4,
        other => return Err(format!("tensor {name} is stored as {other}; float32, uint8 and uint16 are read")),
    };
    let length = entry.shape.iter().try_fold(width, |product: usize, &side| product.checked_mul(side));
    let (own, rest) = length
        .and_then(|length| data.split_at_checked(length))
        .ok_or_else(|| format!("its files end within tensor {name} of shape {:?}", entry.shape))?;
    let whole = |q: f64| entry.quantization.as_ref().map_or(q, |by| by.scale * q + by.min) as f32;
    let values = match width {
        1 => own.iter().map(|&q| whole(f64::from(q))).collect(),
        2 => own.as_chunks().0.iter().map(|&b| whole(f64::from(u16::from_le_bytes(b)))).collect(),
        _ => own.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    };
    Ok((values, rest))
}
