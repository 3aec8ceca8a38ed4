//! Weights of trained networks in the files that the field has.
//!
//! [`read`] tells the kind of a file by its content and gives its tensors under the names that they have there. Nothing in
//! a file is ever executed, and no more memory is taken than its size accounts for.

mod arrays;
mod face_api;
mod safetensors;
mod torch;

pub use crate::net::file::Tensors;
pub use arrays::{Arrays, read_arrays};

use crate::net::file::{check_finite, sha256};
use kme::{Error, Result};
use std::io::Read;
use std::path::Path;

/// The tensors of a file: name → shape and numbers, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Floating-point tensors, rounded to `f32`, all finite; of torch files also integer tensors whose numbers `f32` holds
    /// exactly (other integer tensors, large counters, are left out).
    pub tensors: Tensors,
    /// SHA-256 of the file, in lower-case hexadecimal digits; of a file in parts, of all one after another.
    pub sha256: String,
    /// The kind of file: `safetensors`, `torch zip`, `torch legacy`, `TorchScript`, or `face-api`.
    pub container: &'static str,
}

/// The tensors in the file at `path`: `.safetensors`; a state dict or checkpoint of `torch.save`, in the zip form of torch
/// ≥ 1.6 or the form before it; a TorchScript archive; or a manifest of face-api's weights, whose parts lie beside it.
/// Containers in containers give names with dots: `{"model": {"a": …}}` holds `model.a`.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it is of another kind, truncated or damaged, holds a number
/// that is not finite, or could execute something when Python loads it: then the message names what.
pub fn read(path: &Path) -> Result<Weights> {
    let (mut file, size) = kme::internal::io::open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(|e| kme::internal::io::read_error(path, e))?;
    parse(&bytes, path)
}

/// As [`read`], of a file's bytes; `path` is for messages, and beside it lie further parts of a file that has such.
///
/// # Errors
/// As there.
pub fn parse(bytes: &[u8], path: &Path) -> Result<Weights> {
    let of_torch = |found: std::result::Result<(Tensors, &'static str), String>| {
        let (tensors, container) = found.map_err(|fault| Error::format(path, fault))?;
        Ok(Weights { tensors, sha256: sha256(bytes), container })
    };
    let weights = match bytes {
        [b'P', b'K', 3, 4, ..] => of_torch(torch::of_zip(bytes))?,
        [0x80, 2..=5, ..] => of_torch(torch::of_legacy(bytes))?,
        // The length of a header, far below 2⁴⁰, and the header.
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => {
            Weights { tensors: safetensors::parse(bytes, path)?, sha256: sha256(bytes), container: "safetensors" }
        }
        _ if face_api::is_manifest(bytes) => face_api::parse(bytes, path)?,
        _ => {
            return Err(Error::format(
                path,
                "holds no weights that are read: a .safetensors file, a .pth or .pt file of torch.save or \
                 torch.jit.save, or a manifest of face-api's weights is expected",
            ));
        }
    };
    for (name, (_, values)) in &weights.tensors {
        check_finite(path, name, values)?;
    }
    Ok(weights)
}
