//! Network files: one safetensors file holds the weights and, in its metadata, everything needed to rebuild the network.
//!
//! By the `safetensors` crate alone: a network is in memory as a whole, shipped ones from the start, so nothing is streamed.

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
    /// The layers, from input to output.
    pub layers: Vec<Layer>,
    /// What the network is for.
    pub card: C,
}

impl<C: Serialize + DeserializeOwned> ModelFile<C> {
    const FORMAT: u32 = 1;

    /// Writes the network beside `path` and renames it there.
    ///
    /// # Errors
    /// [`Error::NotFinite`] when the network has diverged; [`Error::Io`] when the file cannot be written.
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
    /// [`Error::Format`] when they are truncated, not a network of this program, of another kind, or a tensor is missing, has another shape or
    /// holds a number that is not finite.
    pub(crate) fn parse(bytes: &[u8], path: &Path, place: &Place) -> Result<(Net, C, String)> {
        let (header, tensors): (Self, _) = parse_tensors(bytes, path)?;
        if header.format != Self::FORMAT {
            let fault =
                format!("is of format {} of network files, but this program reads {}", header.format, Self::FORMAT);
            return Err(Error::format(path, fault));
        }
        let net = Net::with_values(header.layers, header.input, place, |Spec { name, shape, .. }| {
            let (found, values) =
                tensors.get(name).ok_or_else(|| Error::format(path, format!("lacks the tensor {name}")))?;
            if found != shape {
                let fault = format!("has the tensor {name} of shape {found:?}, but the network needs {shape:?}");
                return Err(Error::format(path, fault));
            }
            Ok(place.tensor(values.clone(), [values.len()]))
        })
        .map_err(|e| match e.file_path() {
            Some(_) => e,
            None => Error::unreadable(path, "describes a network that cannot be built", e),
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
/// [`Error::NotFinite`] when a number is not finite, so that a good file is never replaced by a bad one; [`Error::Io`] when the
/// file cannot be written.
pub fn write_tensors<H: Serialize>(
    path: &Path,
    header: &H,
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
) -> Result<()> {
    for (name, _, values) in &tensors {
        if let Some((i, value)) = not_finite(values) {
            let remedy = "save only networks that have not diverged";
            return Err(Error::not_finite(format!("{name}[{i}]"), f64::from(value), remedy).within(path.display()));
        }
    }
    const REFUSED: &str = "cannot be written as safetensors";
    let description = serde_json::to_string(header).map_err(|e| Error::unreadable(path, REFUSED, e))?;
    let encoded: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .into_iter()
        .map(|(name, shape, values)| (name, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = encoded
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| Error::unreadable(path, REFUSED, e))?;
    let bytes = safetensors::serialize(views, Some(HashMap::from([(KEY.to_string(), description)])))
        .map_err(|e| Error::unreadable(path, REFUSED, e))?;
    kme::internal::io::write_atomically(path, |file| file.write_all(&bytes))
}

/// The first number that is not finite, with its index.
fn not_finite(values: &[f32]) -> Option<(usize, f32)> {
    values.iter().copied().enumerate().find(|(_, x)| !x.is_finite())
}

/// Refuses tensors of a file with a number that is not finite.
pub(crate) fn check_finite(path: &Path, tensor: &str, values: &[f32]) -> Result<()> {
    match not_finite(values) {
        Some((i, value)) => Err(Error::format(path, format!("holds {value} in the tensor {tensor} at index {i}"))),
        None => Ok(()),
    }
}

/// Reads a description and tensors; every number is finite. `path` is for messages.
///
/// # Errors
/// [`Error::Format`] when the bytes are damaged, hold another description, or a number that is not finite.
pub fn parse_tensors<H: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<(H, Tensors)> {
    let broken = |e: safetensors::SafeTensorError| {
        Error::unreadable(path, "is a truncated or damaged safetensors file; copy it again, or name another file", e)
    };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let description = metadata.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| {
        Error::format(
            path,
            "is a safetensors file without kme's description; name the model.safetensors of a training run",
        )
    })?;
    let header = serde_json::from_str(description)
        .map_err(|e| Error::unreadable(path, "has another description than is needed here", e))?;
    let file = SafeTensors::deserialize(bytes).map_err(broken)?;
    let mut tensors = Tensors::new();
    for (name, view) in file.tensors() {
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            other => return Err(Error::format(path, format!("has the tensor {name} of type {other:?}; F32 is read"))),
        };
        check_finite(path, &name, &values)?;
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok((header, tensors))
}
