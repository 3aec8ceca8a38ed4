//! Tensors as bytes, and their sums.

use super::same_length;
use burn::tensor::{DType, Device, Tensor, TensorData};
use kme::{Error, Result};
use std::sync::Arc;

/// The numbers of a tensor, little-endian, row after row. Waits for the device.
pub(super) fn to_bytes<const D: usize>(tensor: Tensor<D>) -> Vec<u8> {
    let data = tensor.into_data();
    match data.dtype() {
        DType::F64 => data.iter::<f64>().flat_map(f64::to_le_bytes).collect(),
        _ => data.iter::<f32>().flat_map(f32::to_le_bytes).collect(),
    }
}

/// A constant tensor of the numbers in `bytes`, which are as many as `shape` says.
pub(super) fn from_bytes<const D: usize>(
    bytes: Vec<u8>,
    shape: [usize; D],
    device: &Device,
    dtype: DType,
) -> Tensor<D> {
    let data = match dtype {
        DType::F64 => TensorData::new(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(), shape),
        _ => TensorData::new(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(), shape),
    };
    Tensor::from_data(data, (device, dtype))
}

/// Entry by entry, the sum of what all say: numbers of `width` bytes, added in double precision from the first to the last.
pub(super) fn added(said: &[Arc<Vec<u8>>], width: usize) -> Result<Vec<u8>> {
    for part in said {
        same_length(part.len(), said[0].len())?;
    }
    let places = 0..said[0].len() / width;
    match width {
        4 => Ok(places.flat_map(|i| (sum(said, |part| single(part, i)) as f32).to_le_bytes()).collect()),
        8 => Ok(places.flat_map(|i| sum(said, |part| double(part, i)).to_le_bytes()).collect()),
        _ => Err(Error::value("width of a number", width, "4 or 8 bytes")),
    }
}

fn sum(said: &[Arc<Vec<u8>>], number: impl Fn(&[u8]) -> f64) -> f64 {
    said.iter().map(|part| number(part)).sum()
}

fn single(bytes: &[u8], i: usize) -> f64 {
    f32::from_le_bytes(bytes.as_chunks().0[i]) as f64
}

fn double(bytes: &[u8], i: usize) -> f64 {
    f64::from_le_bytes(bytes.as_chunks().0[i])
}
