//! Convolutions whose channels are cut into groups that do not see each other.

use crate::{conv_transpose2d, conv2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Tensor, module};

/// [`conv2d`] within each of `groups` equal runs of the channels.
///
/// Shapes: x (n, inputs, h, w), w (outputs, inputs/groups, kernel₀, kernel₁), bias (outputs) → y (n, outputs, h', w').
///
/// # Panics
/// When the shapes or precisions do not fit each other, or the kernel is larger than the padded image.
pub fn grouped_conv2d(
    x: Tensor<4>,
    w: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
    groups: usize,
) -> Tensor<4> {
    match groups {
        1 => conv2d(x, w, bias, stride, padding),
        _ => module::conv2d(x, w, bias, ConvOptions::new(stride, padding, [1, 1], groups)),
    }
}

/// The adjoint of [`grouped_conv2d`] in x, on images of which `unreached` rows and columns are met by no position of the kernel.
///
/// # Panics
/// When the shapes or precisions do not fit each other.
pub fn grouped_conv_transpose2d(
    y: Tensor<4>,
    w: Tensor<4>,
    stride: [usize; 2],
    padding: [usize; 2],
    unreached: [usize; 2],
    groups: usize,
) -> Tensor<4> {
    match groups {
        1 => conv_transpose2d(y, w, None, stride, padding, unreached),
        _ => {
            let options = ConvTransposeOptions::new(stride, padding, unreached, [1, 1], groups);
            module::conv_transpose2d(y, w, None, options)
        }
    }
}
