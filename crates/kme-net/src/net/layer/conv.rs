//! Convolution (cross-correlation, as the field calls it).

use super::{Differentiable, Mode, Params, Run, Saved, Shape, Sides, check_geometry, misfit};
use crate::net::param::{Kind, Role, Spec};
use burn::tensor::Tensor;
use kme::Result;
use kme_conv::{grouped_conv_transpose2d, grouped_conv2d};
use serde::{Deserialize, Serialize};

/// `y[n,o,i,j] = b[o] + Σ_{c,u,v} W[o,c,u,v] · x[n,c', i·stride₀+u−padding₀, j·stride₁+v−padding₁]`, zeros outside; c' is
/// channel c of the o-th output's group: the channels of both sides are cut into `groups` equal runs, each seeing its own.
///
/// Shapes: x (n, inputs, h, w) → y (n, outputs, ⌊(h + 2·padding₀ − kernel₀)/stride₀⌋ + 1, ...), W (outputs, inputs/groups,
/// kernel₀, kernel₁). The pullback is the transposed convolution with the same filters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv {
    /// Channels of x.
    pub inputs: usize,
    /// Channels of y: the number of filters.
    pub outputs: usize,
    /// Sides of a filter, in pixels.
    pub kernel: Sides,
    /// Pixels of x between neighbouring pixels of y.
    pub stride: Sides,
    /// Rows and columns of zeros on every side of x.
    pub padding: Sides,
    /// Runs into which the channels of both sides are cut. Left out of files where it is 1.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Whether b is there.
    pub bias: bool,
}

fn one() -> usize {
    1
}

fn is_one(groups: &usize) -> bool {
    *groups == 1
}

impl Conv {
    /// Stride 1, no padding, one group, with a bias.
    pub fn new(inputs: usize, outputs: usize, kernel: impl Into<Sides>) -> Self {
        let (stride, padding) = (Sides::from(1), Sides::from(0));
        Self { inputs, outputs, kernel: kernel.into(), stride, padding, groups: 1, bias: true }
    }

    /// With this stride.
    pub fn stride(self, stride: impl Into<Sides>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// With this padding.
    pub fn padding(self, padding: impl Into<Sides>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// With this many groups.
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Without a bias.
    pub fn without_bias(self) -> Self {
        Self { bias: false, ..self }
    }
}

impl Differentiable for Conv {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let Sides([k0, k1]) = self.kernel;
        let inputs = self.inputs / self.groups.max(1);
        let role = Role::Weight { fan_in: inputs.saturating_mul(k0).saturating_mul(k1), of: Kind::Conv };
        let weight = Spec { name: format!("{name}weight"), shape: vec![self.outputs, inputs, k0, k1], role };
        let bias = Spec { name: format!("{name}bias"), shape: vec![self.outputs], role: Role::Bias };
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let [c, h, w] = input;
        let (Sides(kernel), Sides(stride), Sides(padding)) = (self.kernel, self.stride, self.padding);
        check_geometry("conv", kernel, stride, padding)?;
        let divides = |channels: usize| self.groups > 0 && channels.is_multiple_of(self.groups);
        if !divides(self.inputs) || !divides(self.outputs) {
            let sides = format!("convolve {} to {} channels in {} groups", self.inputs, self.outputs, self.groups);
            return Err(kme::Error::unsupported(sides, "the groups must divide the channels of both sides"));
        }
        let fits = (0..2).all(|a| [h, w][a] + 2 * padding[a] >= kernel[a]);
        if c != self.inputs || !fits {
            let least = [0, 1].map(|a| kernel[a].saturating_sub(2 * padding[a]).max(1));
            let needs = format!("{} channels, at least {} by {} pixels", self.inputs, least[0], least[1]);
            return Err(misfit("conv", input, needs));
        }
        let out = |a: usize, side: usize| (side + 2 * padding[a] - kernel[a]) / stride[a] + 1;
        Ok([self.outputs, out(0, h), out(1, w)])
    }

    fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        let bias = self.bias.then(|| params[1].value.clone());
        (grouped_conv2d(input, params[0].shaped(), bias, self.stride.0, self.padding.0, self.groups), saved)
    }

    fn pullback(&self, params: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape([_, _, h, w]) = saved else { unreachable!("conv saves its input's shape") };
        let (Sides(kernel), Sides(stride), Sides(padding)) = (self.kernel, self.stride, self.padding);
        // Rows that no filter position reached: the transposed convolution must still produce them, as zeros.
        let unreached = [0, 1].map(|a| ([h, w][a] + 2 * padding[a] - kernel[a]) % stride[a]);
        grouped_conv_transpose2d(cotangent, params[0].shaped(), stride, padding, unreached, self.groups)
    }
}
