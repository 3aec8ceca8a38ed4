//! Convolution (cross-correlation, as the field calls it).

use super::{Differentiable, Mode, Run, Saved, Shape, check_geometry, misfit};
use crate::net::param::{Kind, Param, Role, Spec};
use burn::tensor::Tensor;
use kme::Result;
use kme_conv::{conv_transpose2d, conv2d};
use serde::{Deserialize, Serialize};

/// `y[n,o,i,j] = b[o] + Σ_{c,u,v} W[o,c,u,v] · x[n,c, i·stride+u−padding, j·stride+v−padding]`, zeros outside.
///
/// Shapes: x (n, inputs, h, w) → y (n, outputs, ⌊(h + 2·padding − kernel)/stride⌋ + 1, ...), W (outputs, inputs, kernel, kernel).
/// The pullback is the transposed convolution with the same filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    pub inputs: usize,
    pub outputs: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub bias: bool,
}

impl Differentiable for Conv {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let role = Role::Weight { fan_in: self.inputs * self.kernel * self.kernel, of: Kind::Conv };
        let shape = vec![self.outputs, self.inputs, self.kernel, self.kernel];
        let weight = Spec { name: format!("{name}weight"), shape, role };
        let bias = Spec { name: format!("{name}bias"), shape: vec![self.outputs], role: Role::Bias };
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let [c, h, w] = input;
        check_geometry("conv", self.kernel, self.stride, self.padding)?;
        if c != self.inputs || h.min(w) + 2 * self.padding < self.kernel {
            let least = self.kernel.saturating_sub(2 * self.padding).max(1);
            return Err(misfit("conv", input, format!("{} channels, sides of at least {least}", self.inputs)));
        }
        let out = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        Ok([self.outputs, out(h), out(w)])
    }

    fn forward(&self, params: &[Param], input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        let bias = self.bias.then(|| params[1].value.clone());
        (conv2d(input, params[0].shaped(), bias, [self.stride; 2], [self.padding; 2]), saved)
    }

    fn pullback(&self, params: &[Param], saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape([_, _, h, w]) = saved else { unreachable!("conv saves its input's shape") };
        // Rows that no filter position reached: the transposed convolution must still produce them, as zeros.
        let unreached = |side: usize| (side + 2 * self.padding - self.kernel) % self.stride;
        conv_transpose2d(
            cotangent,
            params[0].shaped(),
            None,
            [self.stride; 2],
            [self.padding; 2],
            [unreached(h), unreached(w)],
        )
    }
}
