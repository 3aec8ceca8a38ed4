//! Average pooling over disjoint windows.

use super::{Differentiable, Mode, Run, Saved, Shape, misfit};
use crate::net::param::{Param, Spec};
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// Means over disjoint `kernel` × `kernel` squares. Shapes: (n, c, h, w) → (n, c, h/kernel, w/kernel); sides must be multiples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePool {
    pub kernel: usize,
}

impl Differentiable for AveragePool {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, [c, h, w]: Shape) -> Result<Shape> {
        let k = self.kernel;
        if k > 0 && h.is_multiple_of(k) && w.is_multiple_of(k) && h > 0 && w > 0 {
            Ok([c, h / k, w / k])
        } else {
            Err(misfit("average-pool", [c, h, w], format!("sides that are multiples of {k}")))
        }
    }

    fn forward(&self, _: &[Param], input: Tensor<4>, _: &mut Run) -> (Tensor<4>, Saved) {
        let [n, c, h, w] = input.dims();
        let k = self.kernel;
        let squares: Tensor<6> = input.reshape([n, c, h / k, k, w / k, k]);
        (squares.mean_dims(&[3, 5]).reshape([n, c, h / k, w / k]), Saved::Nothing)
    }

    fn pullback(&self, _: &[Param], _: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let [n, c, h, w] = cotangent.dims();
        let k = self.kernel;
        let squares: Tensor<6> = cotangent.reshape([n, c, h, 1, w, 1]).expand([n, c, h, k, w, k]);
        squares.reshape([n, c, h * k, w * k]) / (k * k) as f64
    }
}
