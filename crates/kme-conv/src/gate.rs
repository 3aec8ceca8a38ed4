//! Leaky rectifiers and their derivatives, as one operation on tensors.
//!
//! `gate(x, y)` is y where x ≥ 0 and slope·y elsewhere. The rectifier is `gate(x, x)`, its pullback at x `gate(x, ·)`; both are linear in
//! y, with themselves as derivative, and the derivative in x is zero almost everywhere. burn's own takes several passes over the
//! numbers on one thread for the same.

use crate::linear::{Linear, tracked};
use crate::tensor::slice;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;

/// Numbers that one task treats.
const CHUNK: usize = 1 << 14;

/// max(x, 0) + slope · min(x, 0); its derivative at 0 is 1.
pub fn leaky_relu<const D: usize>(x: Tensor<D>, slope: f64) -> Tensor<D> {
    gate(x.clone(), x, slope)
}

/// y where x ≥ 0 (or is NaN), slope·y elsewhere. Differentiable in y; x counts as a constant.
///
/// # Panics
/// When the shapes or precisions differ.
pub fn gate<const D: usize>(x: Tensor<D>, y: Tensor<D>, slope: f64) -> Tensor<D> {
    assert!(x.dims() == y.dims() && x.dtype() == y.dtype(), "a gate needs equal shapes and precisions");
    Tensor::from_dispatch(Dispatch::gate(x.into_dispatch(), y.into_dispatch(), slope))
}

/// Backends with this operation; the body here is burn's own.
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait Gate: Backend {
    /// See [`gate()`].
    fn gate(x: FloatTensor<Self>, y: FloatTensor<Self>, slope: f64) -> FloatTensor<Self> {
        by_masks::<Self>(x, y, slope)
    }
}

fn by_masks<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>, slope: f64) -> FloatTensor<B> {
    let flags = burn::backend::get_or_init_device_settings::<B>(&x.device()).bool_dtype;
    let below = B::float_lower_elem(x, 0.0.into(), flags);
    let scaled = B::float_mul_scalar(y.clone(), slope.into());
    B::float_mask_where(y, below, scaled)
}

#[cfg(feature = "gpu")]
impl Gate for burn::backend::Cube {}

impl Gate for Flex {
    fn gate(x: FlexTensor, y: FlexTensor, slope: f64) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return by_masks::<Self>(x, y, slope);
        }
        let (x, y, slope) = (x.to_contiguous(), y.to_contiguous(), slope as f32);
        let shape = y.layout().shape().to_vec();
        let mut result = slice(&y).to_vec();
        result.par_chunks_mut(CHUNK).zip(slice(&x).par_chunks(CHUNK)).for_each(|(result, x)| {
            for (y, &x) in result.iter_mut().zip(x) {
                *y = if x < 0.0 { slope * *y } else { *y };
            }
        });
        FlexTensor::from_data(TensorData::new(result, shape))
    }
}

/// [`gate()`] at this x with this slope.
#[derive(Clone, Debug)]
struct At<B: Backend>(FloatTensor<B>, f64);

impl<B: Gate> Linear<B> for At<B> {
    fn apply(self, y: FloatTensor<B>) -> FloatTensor<B> {
        B::gate(self.0, y, self.1)
    }

    fn adjoint(self, cotangent: FloatTensor<B>) -> FloatTensor<B> {
        self.apply(cotangent)
    }
}

impl<B: Gate, C: CheckpointStrategy> Gate for Autodiff<B, C> {
    fn gate(x: FloatTensor<Self>, y: FloatTensor<Self>, slope: f64) -> FloatTensor<Self> {
        tracked::<B, C>(At(x.into_primitive(), slope), y)
    }
}
