//! y = W x + b on vectors.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::{Kind, Role, Spec};
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// y = W x + b. Shapes: x (n, inputs, 1, 1) → y (n, outputs, 1, 1), W (outputs, inputs), b (outputs).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// Dimension of x.
    pub inputs: usize,
    /// Dimension of y.
    pub outputs: usize,
    /// Whether b is there.
    pub bias: bool,
}

impl Differentiable for Linear {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let role = Role::Weight { fan_in: self.inputs, of: Kind::Linear };
        let weight = Spec { name: format!("{name}weight"), shape: vec![self.outputs, self.inputs], role };
        let bias = Spec { name: format!("{name}bias"), shape: vec![self.outputs], role: Role::Bias };
        if self.bias { vec![weight, bias] } else { vec![weight] }
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input == [self.inputs, 1, 1] {
            Ok([self.outputs, 1, 1])
        } else {
            Err(misfit("linear", input, format!("a vector of {} features", self.inputs)))
        }
    }

    fn forward(&self, params: Params, input: Tensor<4>, _: &mut Run) -> (Tensor<4>, Saved) {
        let n = input.dims()[0];
        let x: Tensor<2> = input.reshape([n, self.inputs]);
        let mut y = x.matmul(params[0].shaped::<2>().transpose());
        if self.bias {
            y = y + params[1].value.clone().reshape([1, self.outputs]);
        }
        (y.reshape([n, self.outputs, 1, 1]), Saved::Nothing)
    }

    fn pullback(&self, params: Params, _: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let n = cotangent.dims()[0];
        let g: Tensor<2> = cotangent.reshape([n, self.outputs]);
        g.matmul(params[0].shaped::<2>()).reshape([n, self.inputs, 1, 1])
    }
}
