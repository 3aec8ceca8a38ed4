//! Another height and width, by the linear maps of a resize protocol.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::Spec;
use burn::tensor::{Tensor, TensorData};
use kme::Result;
use kme_image::{Axes, Protocol, Resize as Size};
use serde::{Deserialize, Serialize};

/// Each plane X of every channel becomes R·X·Cᵀ + G: R holds the weights of rows, C those of columns, and G is the grey of a
/// protocol that pads; see [`Axes`].
///
/// Shapes: (n, c, h, w) → (n, c, height, width). Nothing is rounded or clamped, so a protocol that rounds pixels to 8 bits
/// first is refused. The pullback of Y is Rᵀ·Y·C.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// Rows of the output.
    pub height: usize,
    /// Columns of the output.
    pub width: usize,
    /// How numbers between pixels are found, by name: `torch-bilinear`, `pillow-bicubic`, ...
    pub protocol: Protocol,
}

impl Resize {
    fn size(&self) -> Result<Size> {
        Ok(Size::new(self.height, self.width)?.with(self.protocol))
    }

    fn axes(&self, h: usize, w: usize) -> Axes {
        self.size().expect("output_shape saw to the size").axes(h, w)
    }
}

impl Differentiable for Resize {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        // Weights of one axis: 128 MiB in double precision.
        const MOST: usize = 1 << 24;
        self.size()?;
        if self.protocol.eight_bit {
            return Err(misfit(
                "resize",
                input,
                format!("a protocol without rounding to 8 bits, not {}", self.protocol),
            ));
        }
        let [c, h, w] = input;
        match h.saturating_mul(self.height).max(w.saturating_mul(self.width)) <= MOST {
            true => Ok([c, self.height, self.width]),
            false => Err(misfit("resize", input, format!("sides whose products with the new ones are at most {MOST}"))),
        }
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        let [_, _, h, w] = input.dims();
        (resampled(input, self.axes(h, w)), saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape([_, _, h, w]) = saved else { unreachable!("resizing saves its input's shape") };
        let axes = self.axes(h, w);
        let columns = like(&cotangent, axes.columns, [self.width, w]);
        let rows = like(&cotangent, axes.rows, [self.height, h]);
        multiplied(cotangent, columns, rows)
    }
}

/// R·X·Cᵀ + G of every plane X of `x` (n, c, h, w).
pub(crate) fn resampled(x: Tensor<4>, axes: Axes) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let (to_h, to_w) = (axes.rows.len() / h, axes.columns.len() / w);
    let columns = like(&x, axes.columns, [to_w, w]).transpose();
    let rows = like(&x, axes.rows, [to_h, h]).transpose();
    let ground = axes.ground.map(|ground| like(&x, ground, [1, 1, to_h, to_w]));
    let resized = multiplied(x, columns, rows);
    match ground {
        Some(ground) => resized + ground,
        None => resized,
    }
}

/// Bᵀ·X·A of every plane X, A of shape (w, w′), B of shape (h, h′).
fn multiplied(x: Tensor<4>, a: Tensor<2>, b: Tensor<2>) -> Tensor<4> {
    let ([n, c, h, w], [_, to_w], [_, to_h]) = (x.dims(), a.dims(), b.dims());
    // Columns first: (n c h, w) · (w, w′); then rows of the transposed planes, (n c w′, h) · (h, h′).
    let narrow = x.reshape([n * c * h, w]).matmul(a);
    let turned: Tensor<4> = narrow.reshape([n, c, h, to_w]).swap_dims(2, 3);
    let small = turned.reshape([n * c * to_w, h]).matmul(b);
    small.reshape([n, c, to_w, to_h]).swap_dims(2, 3)
}

/// A constant on the device and in the precision of `x`.
fn like<const D: usize>(x: &Tensor<4>, numbers: Vec<f64>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(numbers, shape), (&x.device(), x.dtype()))
}
