//! Enlarging by repetition.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use kme_conv::pool::{Window, average, average_back};
use serde::{Deserialize, Serialize};

/// Nearest-neighbour enlargement: `y[i,j] = x[⌊i/factor⌋, ⌊j/factor⌋]`.
///
/// Shapes: (n, c, h, w) → (n, c, factor·h, factor·w), factor from 1 to 16. The pullback sums each square of factor²
/// numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upsample {
    /// By how much both sides grow.
    pub factor: usize,
}

impl Upsample {
    fn window(&self) -> Window {
        Window { kernel: [self.factor; 2], stride: [self.factor; 2], padding: [0, 0], ceil: false }
    }

    fn area(&self) -> f64 {
        (self.factor * self.factor) as f64
    }
}

impl Differentiable for Upsample {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        match self.factor {
            1..=16 => Ok([input[0], input[1] * self.factor, input[2] * self.factor]),
            factor => Err(misfit("upsample", input, format!("a factor from 1 to 16, not {factor}"))),
        }
    }

    // The sum over windows is factor² times their mean, and repetition is its adjoint; for powers of two both are
    // exact.
    fn forward(&self, _: Params, input: Tensor<4>, _: &mut Run) -> (Tensor<4>, Saved) {
        let [_, _, h, w] = input.dims();
        let sides = [h * self.factor, w * self.factor];
        (average_back(input, sides, self.window()) * self.area(), Saved::Nothing)
    }

    fn pullback(&self, _: Params, _: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        average(cotangent, self.window()) * self.area()
    }
}
