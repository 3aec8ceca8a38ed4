//! Tensors as bytes, and their sums.

use super::same_length;
use burn::tensor::{DType, Device, Tensor, TensorData};
use kme::{Error, Result};
use std::sync::Arc;

/// The numbers of a tensor, little-endian, row after row. Waits for the device.
pub(super) fn to_bytes<const D: usize>(tensor: Tensor<D>) -> Vec<u8> {
    let data = tensor.into_data();
    let mut bytes = Vec::with_capacity(data.as_bytes().len());
    match data.dtype() {
        DType::F64 => data.iter::<f64>().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes())),
        _ => data.iter::<f32>().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes())),
    }
    bytes
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
    match width {
        4 => Ok(sums(said, f32::from_le_bytes, f64::from, |sum| (sum as f32).to_le_bytes())),
        8 => Ok(sums(said, f64::from_le_bytes, |x| x, f64::to_le_bytes)),
        _ => Err(Error::parameter("width", width, "4 or 8 bytes")),
    }
}

fn sums<const W: usize, T>(
    said: &[Arc<Vec<u8>>],
    parse: impl Fn([u8; W]) -> T,
    widen: impl Fn(T) -> f64,
    write: impl Fn(f64) -> [u8; W],
) -> Vec<u8> {
    let mut sums = vec![0.0; said[0].len() / W];
    for part in said {
        for (sum, &bytes) in sums.iter_mut().zip(part.as_chunks().0) {
            *sum += widen(parse(bytes));
        }
    }
    let mut bytes = vec![0; sums.len() * W];
    for (to, sum) in bytes.as_chunks_mut().0.iter_mut().zip(sums) {
        *to = write(sum);
    }
    bytes
}
