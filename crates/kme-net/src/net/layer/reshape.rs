//! The same numbers in another shape.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// Each picture's numbers, in order, as (channels, height, width) = `to`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reshape {
    /// Channels, height and width of the output.
    pub to: Shape,
}

impl Differentiable for Reshape {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let count = self.to.iter().try_fold(1usize, |product, &side| product.checked_mul(side)).unwrap_or(usize::MAX);
        if input.iter().product::<usize>() == count {
            Ok(self.to)
        } else {
            Err(misfit("reshape", input, format!("{count} numbers")))
        }
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        let [n, ..] = input.dims();
        let [c, h, w] = self.to;
        (input.reshape([n, c, h, w]), saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape(shape) = saved else { unreachable!("reshape saves its input's shape") };
        cotangent.reshape(shape)
    }
}
