//! Layers: each has its parameters, its forward pass and its exact pullback.
//!
//! Every activation has four axes (n, c, h, w); a vector of d features is (n, d, 1, 1).
//!
//! A layer f with input x has the **pullback** g ↦ Jᵀg, J = ∂f/∂x, written in ordinary tensor operations. The input gradient
//! of a network is then an ordinary expression, and first-order automatic differentiation of it gives the exact second
//! derivatives that gradient penalties need. A new layer is a file beside these with the same three functions, one line in
//! [`Layer`], and one line in the law tests of `tests/pullbacks.rs`.

mod activation;
mod batch_norm;
mod concat;
mod conv;
mod cosines;
mod linear;
mod normalise;
mod pool;
mod ranges;
mod reflection_pad;
mod reshape;
mod residual;
mod resize;
mod sides;
mod transposed_conv;
mod upsample;
mod zero_pad;

pub use activation::{Clamp, LeakyRelu, Relu, Sigmoid, Tanh};
pub use batch_norm::BatchNorm;
pub use concat::Concat;
pub use conv::Conv;
pub use cosines::{Cosines, random_features};
pub use linear::Linear;
pub use normalise::Normalise;
pub(crate) use pool::spatial_mean;
pub use pool::{AveragePool, GlobalAveragePool, GlobalSumPool, MaxPool};
pub(crate) use ranges::{Params, Ranges};
pub use reflection_pad::ReflectionPad;
pub use reshape::Reshape;
pub use residual::Residual;
pub use resize::Resize;
pub(crate) use resize::resampled;
pub use sides::Sides;
pub use transposed_conv::TransposedConv;
pub use upsample::Upsample;
pub use zero_pad::ZeroPad;

use super::param::{Param, Spec};
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// Channels, height and width of an activation.
pub type Shape = [usize; 3];

/// Whether batch normalisation uses the batch's statistics or the running ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Statistics of the batch; running statistics move.
    Train,
    /// Running statistics; every picture is independent of the others.
    Evaluate,
}

/// What one forward pass leaves behind besides its output.
pub(crate) struct Run {
    pub mode: Mode,
    /// Whether a pullback will follow; without it nothing is kept, and memory is free as soon as it can be.
    pub keep: bool,
    /// New values of running statistics, by parameter name.
    pub updates: Vec<(String, Tensor<1>)>,
    /// The outputs of linear and convolution layers, in order, when asked for: what activation penalties see.
    pub activations: Option<Vec<Tensor<4>>>,
}

impl Run {
    /// What `saved` gives, when a pullback will follow.
    fn kept(&self, saved: impl FnOnce() -> Saved) -> Saved {
        if self.keep { saved() } else { Saved::Nothing }
    }
}

/// What a layer keeps of its forward pass for its pullback.
#[derive(Clone)]
pub(crate) enum Saved {
    Nothing,
    /// The input's shape.
    Shape([usize; 4]),
    /// The input itself; differentiable.
    Input(Tensor<4>),
    /// The output itself; differentiable.
    Output(Tensor<4>),
    /// The arguments of sines and cosines, (n, frequencies); differentiable.
    Angles(Tensor<2>),
    /// Those of the inner layers: of the branch, then of the shortcut.
    Nested(Vec<Saved>, Vec<Saved>),
    /// The channels that each branch gave, and those of its layers.
    Branches(Vec<(usize, Vec<Saved>)>),
}

/// The three functions that make a layer.
pub(crate) trait Differentiable {
    /// The parameters that it needs, in order, named from `name`.
    fn specs(&self, name: &str) -> Vec<Spec>;
    /// The lists of layers inside it; its parameters are theirs, in order.
    fn lists(&self) -> Vec<&[Layer]> {
        Vec::new()
    }
    /// The output's shape for this input's, or why it cannot be.
    fn output_shape(&self, input: Shape) -> Result<Shape>;
    /// The output, and what the pullback will need.
    fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved);
    /// Jᵀ · cotangent at the saved input. Differentiable in parameters, in what was saved, and in the cotangent.
    fn pullback(&self, params: Params, saved: &Saved, mode: Mode, cotangent: Tensor<4>) -> Tensor<4>;
}

macro_rules! layers {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// One layer of a network.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "layer", rename_all = "kebab-case")]
        pub enum Layer { $($(#[$doc])* $name($name)),+ }

        impl Layer {
            fn inner(&self) -> &dyn Differentiable {
                match self { $(Layer::$name(layer) => layer),+ }
            }
        }

        $(impl From<$name> for Layer {
            fn from(layer: $name) -> Self { Layer::$name(layer) }
        })+
    };
}

layers! {
    /// y = W x + b
    Linear,
    /// Cross-correlation with a bank of filters.
    Conv,
    /// The adjoint of a convolution, as a layer.
    TransposedConv,
    /// max(x, 0) + slope · min(x, 0)
    LeakyRelu,
    /// max(x, 0)
    Relu,
    /// min(max(x, least), most)
    Clamp,
    /// 1 / (1 + exp(−x))
    Sigmoid,
    /// tanh x
    Tanh,
    /// Batch normalisation of each channel.
    BatchNorm,
    /// The largest number of each window.
    MaxPool,
    /// The mean of each window.
    AveragePool,
    /// The mean of each map.
    GlobalAveragePool,
    /// The sum of each map.
    GlobalSumPool,
    /// Enlarging by repetition.
    Upsample,
    /// Another height and width, by a resize protocol.
    Resize,
    /// Mirrored rows and columns on every side.
    ReflectionPad,
    /// Zeros around the image, and channels of zeros.
    ZeroPad,
    /// Each picture's numbers in another shape.
    Reshape,
    /// branch(x) + shortcut(x)
    Residual,
    /// Parallel branches whose channels are joined.
    Concat,
    /// Pixels as a network was trained on them.
    Normalise,
    /// Random Fourier features.
    Cosines,
}

impl Layer {
    pub(crate) fn specs(&self, name: &str) -> Vec<Spec> {
        self.inner().specs(name)
    }

    pub(crate) fn output_shape(&self, input: Shape) -> Result<Shape> {
        self.inner().output_shape(input)
    }

    pub(crate) fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let (output, saved) = self.inner().forward(params, input, run);
        if let (Layer::Linear(_) | Layer::Conv(_) | Layer::TransposedConv(_), Some(seen)) = (self, &mut run.activations)
        {
            seen.push(output.clone());
        }
        (output, saved)
    }

    pub(crate) fn pullback(&self, params: Params, saved: &Saved, mode: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        self.inner().pullback(params, saved, mode, cotangent)
    }
}

/// Runs layers one after another; each part of `params` is of one of them.
pub(crate) fn forward_all(
    layers: &[Layer],
    params: Params,
    mut x: Tensor<4>,
    run: &mut Run,
) -> (Tensor<4>, Vec<Saved>) {
    let mut saved = Vec::with_capacity(layers.len());
    for (layer, own) in layers.iter().zip(params.parts()) {
        let (y, s) = layer.forward(own, x, run);
        x = y;
        saved.push(s);
    }
    (x, saved)
}

/// Pulls a cotangent of the last layer's output back to the first layer's input.
pub(crate) fn pullback_all(
    layers: &[Layer],
    params: Params,
    saved: &[Saved],
    mode: Mode,
    mut cotangent: Tensor<4>,
) -> Tensor<4> {
    for ((layer, own), saved) in layers.iter().zip(params.parts()).zip(saved).rev() {
        cotangent = layer.pullback(own, saved, mode, cotangent);
    }
    cotangent
}

/// The parameters of layers one after another, named `name0.weight`, `name1.bias`, ...
pub(crate) fn specs_all(layers: &[Layer], name: &str) -> Vec<Spec> {
    layers.iter().enumerate().flat_map(|(i, layer)| layer.specs(&format!("{name}{i}."))).collect()
}

/// The shape after layers one after another; on the way every activation of one picture has at least one number and at
/// most 2²⁶, so that a description that was damaged or made up cannot ask for all memory.
pub fn output_shape_all(layers: &[Layer], input: Shape) -> Result<Shape> {
    layers.iter().try_fold(bounded(input)?, |shape, layer| bounded(layer.output_shape(shape)?))
}

fn bounded(shape: Shape) -> Result<Shape> {
    const MOST: usize = 1 << 26;
    let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    match count {
        Some(1..=MOST) => Ok(shape),
        _ => Err(kme::Error::value(
            "shape of an activation",
            format!("{shape:?} (channels, height, width)"),
            format!("of 1 to {MOST} numbers"),
        )),
    }
}

/// Refuses kernels, strides and paddings that a convolution cannot have: a padding is smaller than the kernel, and all are small.
fn check_geometry(layer: &str, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Result<()> {
    let small = |a: usize| (1..=1024).contains(&kernel[a]) && (1..=1024).contains(&stride[a]);
    if (0..2).all(|a| small(a) && padding[a] < kernel[a]) {
        return Ok(());
    }
    Err(kme::Error::value(
        format!("geometry of layer {layer}"),
        format!("kernel {kernel:?}, stride {stride:?}, padding {padding:?}"),
        "a kernel and a stride from 1 to 1024, and a padding below the kernel",
    ))
}

/// The error for an input of `shape` where `layer` needs something else.
fn misfit(layer: &str, shape: Shape, needs: impl std::fmt::Display) -> kme::Error {
    let (layer, shape) = (format!("layer {layer}"), format!("{shape:?} (channels, height, width)"));
    kme::Error::unsupported(format!("put an input of shape {shape} through {layer}"), format!("it needs {needs}"))
}
