//! Safetensors: tensors of 16, 32 or 64 bits, and tables of 8-bit numbers.

use crate::net::file::Tensors;
use half::{bf16, f16};
use kme::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// The floating-point tensors of a file, as `f32`.
///
/// A tensor `X_q` of bytes beside a tensor `X_table` of up to 256 numbers is the tensor `X` whose entries are table[byte]:
/// weights of which each is one of few values. Other tensors of integers (counters) are left out.
///
/// # Errors
/// When the file is truncated or damaged, holds floating-point numbers of another kind, or a byte is beyond its table.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Tensors> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| Error::file(path, format!("not a whole safetensors file: {e}; copy it again")))?;
    let mut tensors = Tensors::new();
    let mut coded = Vec::new();
    for (name, view) in file.tensors() {
        match (view.dtype(), name.strip_suffix("_q")) {
            (Dtype::U8, Some(whole)) => coded.push((whole.to_string(), view)),
            _ => {
                if let Some(values) = numbers(&name, &view, path)? {
                    tensors.insert(name, (view.shape().to_vec(), values));
                }
            }
        }
    }
    for (name, view) in coded {
        let (_, table) = tensors
            .remove(&format!("{name}_table"))
            .ok_or_else(|| Error::file(path, format!("tensor {name}_q has no table {name}_table")))?;
        let beyond = || format!("tensor {name}_q holds a number beyond its table of {}", table.len());
        let value = |&byte: &u8| table.get(usize::from(byte)).copied().ok_or_else(|| Error::file(path, beyond()));
        let values = view.data().iter().map(value).collect::<Result<_>>()?;
        tensors.insert(name, (view.shape().to_vec(), values));
    }
    Ok(tensors)
}

/// A tensor's numbers; none for integers.
fn numbers(name: &str, view: &TensorView, path: &Path) -> Result<Option<Vec<f32>>> {
    let data = view.data();
    Ok(Some(match view.dtype() {
        Dtype::F32 => data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
        Dtype::F16 => data.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => data.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BOOL
        | Dtype::U8
        | Dtype::I8
        | Dtype::I16
        | Dtype::U16
        | Dtype::I32
        | Dtype::U32
        | Dtype::I64
        | Dtype::U64 => {
            return Ok(None);
        }
        other => {
            return Err(Error::file(path, format!("tensor {name} holds {other:?}; F16, BF16, F32 and F64 are read")));
        }
    }))
}
