//! Pooling: the largest number or the mean of windows, or the mean or sum of whole maps.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, Sides, check_geometry, misfit};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use kme_conv::pool::{Window, average, average_back, max_pool, put};
use serde::{Deserialize, Serialize};

/// The largest number of each window, `y[i,j] = max x[i·stride₀−padding₀+u, j·stride₁−padding₁+v]` over u, v below
/// the kernel that stay in the image.
///
/// Shapes: (n, c, h, w) → (n, c, ⌊(h + 2·padding₀ − kernel₀)/stride₀⌋ + 1, ...); with `ceil` the quotient is rounded
/// up, as long as the last window begins inside the image. The pullback brings the cotangent to the first largest
/// number of its window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaxPool {
    /// Sides of a window, in pixels.
    pub kernel: Sides,
    /// Pixels between neighbouring windows.
    pub stride: Sides,
    /// Rows and columns beyond every side of the image.
    #[serde(default = "none", skip_serializing_if = "is_none")]
    pub padding: Sides,
    /// Whether a last window may reach beyond the padding.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ceil: bool,
}

/// The mean of each window over its pixels in the image (padding is not counted).
///
/// Windows and shapes as for [`MaxPool`]; without a stride they are side by side, and the image's sides must be
/// multiples of the kernel's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AveragePool {
    /// Sides of a window, in pixels.
    pub kernel: Sides,
    /// Pixels between neighbouring windows; left out: the sides of the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Sides>,
    /// Rows and columns beyond every side of the image.
    #[serde(default = "none", skip_serializing_if = "is_none")]
    pub padding: Sides,
}

/// The mean of each map. Shapes: (n, c, h, w) → (n, c, 1, 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalAveragePool {}

/// The sum of each map. Shapes: (n, c, h, w) → (n, c, 1, 1). The top of SN-GAN's residual critic (Miyato et al., ICLR
/// 2018).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GlobalSumPool {}

fn none() -> Sides {
    Sides::from(0)
}

fn is_none(padding: &Sides) -> bool {
    *padding == none()
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl MaxPool {
    /// Without padding, the quotient rounded down.
    pub fn new(kernel: impl Into<Sides>, stride: impl Into<Sides>) -> Self {
        Self { kernel: kernel.into(), stride: stride.into(), padding: none(), ceil: false }
    }

    /// With this padding.
    pub fn padding(self, padding: impl Into<Sides>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// With the quotient rounded up.
    pub fn ceil(self) -> Self {
        Self { ceil: true, ..self }
    }

    fn window(&self) -> Window {
        Window { kernel: self.kernel.0, stride: self.stride.0, padding: self.padding.0, ceil: self.ceil }
    }
}

impl AveragePool {
    /// Windows side by side.
    pub fn new(kernel: impl Into<Sides>) -> Self {
        Self { kernel: kernel.into(), stride: None, padding: none() }
    }

    /// With this stride and padding.
    pub fn windows(self, stride: impl Into<Sides>, padding: impl Into<Sides>) -> Self {
        Self { stride: Some(stride.into()), padding: padding.into(), ..self }
    }

    fn window(&self) -> Window {
        let stride = self.stride.unwrap_or(self.kernel);
        Window { kernel: self.kernel.0, stride: stride.0, padding: self.padding.0, ceil: false }
    }
}

/// The mean of each map: (n, c, h, w) → (n, c, 1, 1). Its bits do not depend on threads or on the other pictures.
pub(crate) fn spatial_mean(x: Tensor<4>) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    average(x, Window { kernel: [h, w], stride: [1, 1], padding: [0, 0], ceil: false })
}

/// The shape after pooling, if the geometry is sound and a window fits.
fn pooled(layer: &str, window: Window, input: Shape) -> Result<Shape> {
    check_geometry(layer, window.kernel, window.stride, window.padding)?;
    let [c, h, w] = input;
    match window.output([h, w]) {
        [oh, ow] if oh > 0 && ow > 0 => Ok([c, oh, ow]),
        _ => Err(misfit(layer, input, "room for one window of the kernel")),
    }
}

impl Differentiable for MaxPool {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        pooled("max-pool", self.window(), input)
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Input(input.clone()));
        (max_pool(input, self.window()), saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let Saved::Input(x) = saved else { unreachable!("max pooling saves its input") };
        put(x.clone(), cotangent, self.window())
    }
}

impl Differentiable for AveragePool {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let Sides([k0, k1]) = self.kernel;
        let tiles = |side: usize, k: usize| k > 0 && side.is_multiple_of(k);
        if self.stride.is_none() && !(tiles(input[1], k0) && tiles(input[2], k1)) {
            return Err(misfit("average-pool", input, format!("sides that are multiples of {k0} and {k1}")));
        }
        pooled("average-pool", self.window(), input)
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        (average(input, self.window()), saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape([_, _, h, w]) = saved else { unreachable!("average pooling saves its input's shape") };
        average_back(cotangent, [h, w], self.window())
    }
}

impl Differentiable for GlobalAveragePool {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, [c, _, _]: Shape) -> Result<Shape> {
        Ok([c, 1, 1])
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let saved = run.kept(|| Saved::Shape(input.dims()));
        (spatial_mean(input), saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape(shape) = saved else { unreachable!("average pooling saves its input's shape") };
        cotangent.expand(shape) * (1.0 / (shape[2] * shape[3]) as f64)
    }
}

impl Differentiable for GlobalSumPool {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, [c, _, _]: Shape) -> Result<Shape> {
        Ok([c, 1, 1])
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let shape = input.dims();
        let saved = run.kept(|| Saved::Shape(shape));
        (spatial_mean(input) * (shape[2] * shape[3]) as f64, saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let &Saved::Shape(shape) = saved else { unreachable!("sum pooling saves its input's shape") };
        cotangent.expand(shape)
    }
}
