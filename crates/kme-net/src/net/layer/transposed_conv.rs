//! Transposed convolution: the adjoint of [`Conv`](super::Conv), used to enlarge.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, check_geometry, misfit};
use crate::net::param::{Kind, Role, Spec};
use burn::tensor::Tensor;
use kme::Result;
use kme_conv::{conv_transpose2d, conv2d};
use serde::{Deserialize, Serialize};

/// The adjoint of the convolution with the same filters, plus a bias.
///
/// Shapes: x (n, inputs, h, w) → y (n, outputs, (h−1)·stride − 2·padding + kernel + output_padding, ...), W (inputs, outputs, kernel,
/// kernel); `output_padding` < stride rows and columns are added at the bottom and right. The pullback is the convolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransposedConv {
    /// Channels of x.
    pub inputs: usize,
    /// Channels of y.
    pub outputs: usize,
    /// Side of a filter, in pixels.
    pub kernel: usize,
    /// Pixels of y between neighbouring pixels of x.
    pub stride: usize,
    /// Rows and columns cut off from every side of y.
    pub padding: usize,
    /// Rows and columns added at the bottom and right of y.
    pub output_padding: usize,
    /// Whether a bias is added.
    pub bias: bool,
}

impl Differentiable for TransposedConv {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let role = Role::Weight { fan_in: self.inputs * self.kernel * self.kernel, of: Kind::TransposedConv };
        let shape = vec![self.inputs, self.outputs, self.kernel, self.kernel];
        let weight = Spec { name: format!("{name}weight"), shape, role };
        let bias = Spec { name: format!("{name}bias"), shape: vec![self.outputs], role: Role::Bias };
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let [c, h, w] = input;
        check_geometry("transposed-conv", [self.kernel; 2], [self.stride; 2], [self.padding; 2])?;
        // Sides are at most 2²⁶ and the geometry is small: nothing overflows.
        let out = |side: usize| {
            let full = (side - 1) * self.stride + self.kernel + self.output_padding;
            full.checked_sub(2 * self.padding).filter(|&o| o > 0)
        };
        match (out(h), out(w)) {
            (Some(h), Some(w)) if c == self.inputs && self.output_padding < self.stride => Ok([self.outputs, h, w]),
            _ => Err(misfit(
                "transposed-conv",
                input,
                format!("{} channels, output padding below the stride, and a result that is not empty", self.inputs),
            )),
        }
    }

    fn forward(&self, params: Params, input: Tensor<4>, _: &mut Run) -> (Tensor<4>, Saved) {
        let bias = self.bias.then(|| params[1].value.clone());
        let (stride, padding) = ([self.stride; 2], [self.padding; 2]);
        (conv_transpose2d(input, params[0].shaped(), bias, stride, padding, [self.output_padding; 2]), Saved::Nothing)
    }

    fn pullback(&self, params: Params, _: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        conv2d(cotangent, params[0].shaped(), None, [self.stride; 2], [self.padding; 2])
    }
}
