//! Network files: one safetensors file holds the weights and, in its metadata, everything needed to rebuild the network.

use super::{Layer, Net, Place, layer::Shape, param::Spec};
use kme::{Error, Result};
use kme_image::hex;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::Path;

/// The metadata key under which the description of a file stands, as JSON.
const KEY: &str = "kme";

/// A network on disk: its description `C` and its tensors.
///
/// `C` says what the network is for (a generator with its latent law, a classifier with its classes, ...).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelFile<C> {
    /// Version of this layout.
    pub format: u32,
    /// Shape of one input: channels, height, width.
    pub input: Shape,
    pub layers: Vec<Layer>,
    pub card: C,
}

impl<C: Serialize + DeserializeOwned> ModelFile<C> {
    const FORMAT: u32 = 1;

    /// Writes the network beside `path` and renames it there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(path: &Path, net: &Net, card: C) -> Result<()> {
        let header = Self { format: Self::FORMAT, input: net.input(), layers: net.layers().to_vec(), card };
        // A file holds layers and their weights, so a spectral parametrisation is written as the weights that it gives.
        let tensors = net
            .effective()
            .params()
            .iter()
            .map(|p| (p.name.clone(), p.shape.clone(), super::place::numbers_f32(p.value.clone().inner())))
            .collect();
        write_tensors(path, &header, tensors)
    }

    /// A network from a file's bytes, its description, and the bytes' SHA-256; `path` is for messages.
    ///
    /// # Errors
    /// When they are truncated, not a network of this program, of another kind, or a tensor is missing, has another shape or
    /// holds a number that is not finite.
    pub(crate) fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<(Net, C, String)> {
        let (header, tensors): (Self, _) = parse_tensors(bytes, path)?;
        if header.format != Self::FORMAT {
            return Err(Error::file(
                path,
                format!("format {} of a network file; this program reads {}", header.format, Self::FORMAT),
            ));
        }
        let net = Net::with_values(header.layers, header.input, place, |Spec { name, shape, .. }| {
            let (found, values) =
                tensors.get(name).ok_or_else(|| Error::file(path, format!("tensor {name} is missing")))?;
            if found != shape {
                return Err(Error::file(
                    path,
                    format!("tensor {name} has shape {found:?}, the network needs {shape:?}"),
                ));
            }
            Ok(place.tensor(values.clone(), [values.len()]))
        })
        .map_err(|e| match e.file_path() {
            Some(_) => e,
            None => Error::file(path, e),
        })?;
        Ok((net, header.card, sha256(bytes)))
    }
}

/// The lower-case hexadecimal SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Named tensors with their shapes.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Writes a description and tensors as a safetensors file, beside `path` and renamed there.
///
/// # Errors
/// When a number is not finite, so that a good file is never replaced by a bad one, or the file cannot be written.
pub fn write_tensors<H: Serialize>(
    path: &Path,
    header: &H,
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
) -> Result<()> {
    for (name, _, values) in &tensors {
        check_finite(path, name, values)?;
    }
    let description = serde_json::to_string(header).map_err(|e| Error::file(path, e))?;
    let encoded: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = encoded
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| Error::file(path, e))?;
    let bytes = safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), description)])))
        .map_err(|e| Error::file(path, e))?;
    kme::io::write_atomically(path, |file| file.write_all(&bytes))
}

fn check_finite(path: &Path, tensor: &str, values: &[f32]) -> Result<()> {
    match values.iter().position(|x| !x.is_finite()) {
        Some(i) => Err(Error::file(path, format!("tensor {tensor} holds {} at position {i}", values[i]))),
        None => Ok(()),
    }
}

/// Reads a description and tensors; every number is finite.
pub fn parse_tensors<H: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<(H, Tensors)> {
    let broken = |e: safetensors::SafeTensorError| {
        Error::file(path, format!("not a whole safetensors file: {e}; copy it again, or give another file"))
    };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let description = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
        Error::file(path, "safetensors without a kme description in its metadata; give a file that `kme train` wrote")
    })?;
    let header = serde_json::from_str(description)
        .map_err(|e| Error::file(path, format!("its description is not what is expected here: {e}")))?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            other => return Err(Error::file(path, format!("tensor {name} holds {other:?}; F32 is read"))),
        };
        check_finite(path, &name, &values)?;
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok((header, tensors))
}
