//! Numbers held between two bounds, as one operation on tensors: rectifiers of any kind that end flat.
//!
//! `clamp(x)` is min(max(x, least), most); its pullback is [`within`], which keeps a cotangent where least < x < most and is linear in
//! it, with itself as derivative. burn's own takes its passes over the numbers on one thread.

use crate::linear::{Linear, tracked};
use crate::tensor::slice;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use rayon::prelude::*;
use std::mem::MaybeUninit;

/// Numbers that one task treats.
const CHUNK: usize = 1 << 14;

/// The numbers between which others are held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The lower bound.
    pub least: f64,
    /// The upper bound, which may be infinite.
    pub most: f64,
}

/// min(max(x, least), most); its derivative at the bounds is 0.
pub fn clamp<const D: usize>(x: Tensor<D>, bounds: Bounds) -> Tensor<D> {
    Tensor::from_dispatch(Dispatch::clamp(x.into_dispatch(), bounds))
}

/// y where least < x < most, 0 elsewhere. Differentiable in y; x counts as a constant.
///
/// # Panics
/// When the shapes or precisions differ.
pub fn within<const D: usize>(x: Tensor<D>, y: Tensor<D>, bounds: Bounds) -> Tensor<D> {
    assert!(x.dims() == y.dims() && x.dtype() == y.dtype(), "operands of equal shape and precision");
    Tensor::from_dispatch(Dispatch::within(x.into_dispatch(), y.into_dispatch(), bounds))
}

/// Backends with these operations; the bodies here are burn's own.
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub(crate) trait Clamp: Backend {
    /// See [`clamp()`].
    fn clamp(x: FloatTensor<Self>, bounds: Bounds) -> FloatTensor<Self> {
        clamp_by_burn::<Self>(x, bounds)
    }

    /// See [`within()`].
    fn within(x: FloatTensor<Self>, y: FloatTensor<Self>, bounds: Bounds) -> FloatTensor<Self> {
        within_by_masks::<Self>(x, y, bounds)
    }
}

fn clamp_by_burn<B: Backend>(x: FloatTensor<B>, bounds: Bounds) -> FloatTensor<B> {
    B::float_clamp(x, bounds.least.into(), bounds.most.into())
}

fn within_by_masks<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>, bounds: Bounds) -> FloatTensor<B> {
    let flags = burn::backend::get_or_init_device_settings::<B>(&x.device()).bool_dtype;
    let below = B::float_lower_equal_elem(x.clone(), bounds.least.into(), flags);
    let above = B::float_greater_equal_elem(x, bounds.most.into(), flags);
    B::float_mask_fill(B::float_mask_fill(y, below, 0.0.into()), above, 0.0.into())
}

#[cfg(feature = "gpu")]
impl Clamp for burn::backend::Cube {}

impl Clamp for Flex {
    fn clamp(x: FlexTensor, bounds: Bounds) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return clamp_by_burn::<Self>(x, bounds);
        }
        let x = x.to_contiguous();
        by_chunks(&x, &x, |room, x, _| hold(room, x, bounds.least as f32, bounds.most as f32))
    }

    fn within(x: FlexTensor, y: FlexTensor, bounds: Bounds) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return within_by_masks::<Self>(x, y, bounds);
        }
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        by_chunks(&x, &y, |room, x, y| keep(room, x, y, bounds.least as f32, bounds.most as f32))
    }
}

/// A tensor whose chunks `write` fills from those of x and y: all numbers of the room.
fn by_chunks(
    x: &FlexTensor,
    y: &FlexTensor,
    write: impl Fn(&mut [MaybeUninit<f32>], &[f32], &[f32]) + Sync,
) -> FlexTensor {
    let shape = x.layout().shape().to_vec();
    let (x, y) = (slice(x), slice(y));
    let mut result: Vec<f32> = Vec::with_capacity(x.len());
    let room = result.spare_capacity_mut()[..x.len()].par_chunks_mut(CHUNK);
    room.zip(x.par_chunks(CHUNK)).zip(y.par_chunks(CHUNK)).for_each(|((room, x), y)| write(room, x, y));
    // SAFETY: the room, x and y have one length, and every number of the room was written.
    unsafe { result.set_len(x.len()) };
    FlexTensor::from_data(TensorData::new(result, shape))
}

// The bounds are arguments by value: read through a closure, they would be loaded again after every store, and nothing would
// be done in vectors.

/// min(max(x, least), most); NaN stays NaN.
fn hold(room: &mut [MaybeUninit<f32>], x: &[f32], least: f32, most: f32) {
    for (to, &x) in room.iter_mut().zip(x) {
        let x = if x <= least { least } else { x };
        to.write(if x > most { most } else { x });
    }
}

/// y where least < x < most, else 0.
fn keep(room: &mut [MaybeUninit<f32>], x: &[f32], y: &[f32], least: f32, most: f32) {
    for ((to, &x), &y) in room.iter_mut().zip(x).zip(y) {
        to.write(if (x <= least) | (x >= most) { 0.0 } else { y });
    }
}

/// [`clamp()`] of this x; its derivative keeps a cotangent where x is between the bounds.
#[derive(Clone, Debug)]
struct Held<B: Backend>(FloatTensor<B>, Bounds);

impl<B: Clamp> Linear<B> for Held<B> {
    fn apply(self, x: FloatTensor<B>) -> FloatTensor<B> {
        B::clamp(x, self.1)
    }

    fn adjoint(self, cotangent: FloatTensor<B>) -> FloatTensor<B> {
        B::within(self.0, cotangent, self.1)
    }
}

/// [`within()`] at this x.
#[derive(Clone, Debug)]
struct Kept<B: Backend>(FloatTensor<B>, Bounds);

impl<B: Clamp> Linear<B> for Kept<B> {
    fn apply(self, y: FloatTensor<B>) -> FloatTensor<B> {
        B::within(self.0, y, self.1)
    }

    fn adjoint(self, cotangent: FloatTensor<B>) -> FloatTensor<B> {
        self.apply(cotangent)
    }
}

impl<B: Clamp, C: CheckpointStrategy> Clamp for Autodiff<B, C> {
    fn clamp(x: FloatTensor<Self>, bounds: Bounds) -> FloatTensor<Self> {
        tracked::<B, C>(Held(x.clone().into_primitive(), bounds), x)
    }

    fn within(x: FloatTensor<Self>, y: FloatTensor<Self>, bounds: Bounds) -> FloatTensor<Self> {
        tracked::<B, C>(Kept(x.into_primitive(), bounds), y)
    }
}
