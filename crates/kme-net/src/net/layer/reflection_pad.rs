//! Padding by reflection.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::Spec;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use kme::Result;
use serde::{Deserialize, Serialize};

/// `padding` more rows and columns on every side, mirrored at the border's pixels (which are not repeated).
///
/// Shapes: (n, c, h, w) → (n, c, h + 2·padding, w + 2·padding); both sides must be larger than the padding. The pullback adds what
/// lies outside to the pixels that it mirrors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReflectionPad {
    /// Rows and columns on every side.
    pub padding: usize,
}

impl ReflectionPad {
    /// The pixel that each place of the padded side shows.
    fn mirrored(&self, side: usize, device: &Device) -> Tensor<1, Int> {
        let (p, side) = (self.padding as i64, side as i64);
        let of = |i: i64| if i < 0 { -i } else { i.min(2 * (side - 1) - i) };
        let places: Vec<i64> = (-p..side + p).map(of).collect();
        Tensor::from_data(TensorData::new(places.clone(), [places.len()]), device)
    }
}

impl Differentiable for ReflectionPad {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, [c, h, w]: Shape) -> Result<Shape> {
        if h.min(w) > self.padding {
            Ok([c, h + 2 * self.padding, w + 2 * self.padding])
        } else {
            Err(misfit("reflection-pad", [c, h, w], format!("sides above {}", self.padding)))
        }
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        let [_, _, h, w] = input.dims();
        let device = input.device();
        (input.select(2, self.mirrored(h, &device)).select(3, self.mirrored(w, &device)), saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape([n, c, h, w]) = saved else { unreachable!("padding saves its input's shape") };
        let device = cotangent.device();
        let rows = h + 2 * self.padding;
        // Zeros of the cotangent's own kind: of its precision, and in its graph.
        let zeros = cotangent.clone().zeros_like();
        let folded = zeros.clone().slice([0..n, 0..c, 0..rows, 0..w]).select_assign(
            3,
            self.mirrored(w, &device),
            cotangent,
            IndexingUpdateOp::Add,
        );
        zeros.slice([0..n, 0..c, 0..h, 0..w]).select_assign(2, self.mirrored(h, &device), folded, IndexingUpdateOp::Add)
    }
}
