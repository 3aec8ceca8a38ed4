//! Padding with zeros, of the image and of the channels.

use super::{Differentiable, Mode, Params, Run, Saved, Shape};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// Zeros around the image: `rows` above and below, `columns` to the left and right, `channels` after the last.
///
/// Shapes: (n, c, h, w) → (n, c + channels, h + rows₀ + rows₁, w + columns₀ + columns₁).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZeroPad {
    /// Rows above and below.
    pub rows: [usize; 2],
    /// Columns to the left and right.
    pub columns: [usize; 2],
    /// Channels after the last.
    pub channels: usize,
}

impl ZeroPad {
    /// `x` between `before` and `after` zeros along an axis.
    fn along(x: Tensor<4>, axis: usize, [before, after]: [usize; 2]) -> Tensor<4> {
        let zeros = |count: usize| {
            let mut shape = x.dims();
            shape[axis] = count;
            (count > 0).then(|| Tensor::zeros(shape, (&x.device(), x.dtype())))
        };
        let parts = [zeros(before), Some(x.clone()), zeros(after)];
        Tensor::cat(parts.into_iter().flatten().collect(), axis)
    }
}

impl Differentiable for ZeroPad {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let ([c, h, w], [r0, r1], [c0, c1]) = (input, self.rows, self.columns);
        // Sums that wrap around become a shape that is refused as too large.
        let sum = |parts: [usize; 3]| parts.into_iter().fold(0usize, usize::saturating_add);
        Ok([sum([c, self.channels, 0]), sum([h, r0, r1]), sum([w, c0, c1])])
    }

    fn forward(&self, _: Params, input: Tensor<4>, _: &mut Run) -> (Tensor<4>, Saved) {
        let x = Self::along(input, 1, [0, self.channels]);
        (Self::along(Self::along(x, 2, self.rows), 3, self.columns), Saved::Nothing)
    }

    fn pullback(&self, _: Params, _: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let [_, c, h, w] = cotangent.dims();
        let (rows, columns) = (self.rows, self.columns);
        cotangent.narrow(1, 0, c - self.channels).narrow(2, rows[0], h - rows[0] - rows[1]).narrow(
            3,
            columns[0],
            w - columns[0] - columns[1],
        )
    }
}
