//! The three products as operations on burn tensors, differentiable once.
//!
//! Each one's derivatives are the other two: y = w ⋆ x is linear in x and in w, and ⟨cotangent, w ⋆ x⟩ is symmetric in the three. So
//! the set is closed, and an input gradient written as an operation can itself be differentiated in the weights, as a gradient
//! penalty needs.
//!
//! In single precision on the processor these are this crate's kernels; in double precision, and on every other device, burn's.

use crate::{Conv, Geometry};
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::{ConvOptions, ConvTransposeOptions, ModuleOps};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};

/// y = w ⋆ x + bias, see [`Geometry`].
///
/// Shapes: x (n, inputs, h, w), w (outputs, inputs, kernel₀, kernel₁), bias (outputs) → y (n, outputs, h', w').
///
/// # Panics
/// When the shapes or precisions do not fit each other, or the kernel is larger than the padded image.
pub fn conv2d(
    x: Tensor<4>,
    w: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Tensor<4> {
    let ([batch, inputs, height, width], [outputs, w_inputs, k0, k1]) = (x.dims(), w.dims());
    let g = Geometry { batch, inputs, outputs, image: [height, width], kernel: [k0, k1], stride, padding };
    g.check();
    assert!(inputs == w_inputs && g.y_len() > 0, "a convolution of {:?} with {:?}, {g:?}", x.dims(), w.dims());
    check_operands([x.dtype(), w.dtype()], bias.as_ref(), outputs);
    let (x, w) = (x.into_dispatch(), w.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::convolve(x, w, g),
        Some(bias) => Dispatch::convolve_with_bias(x, w, bias.into_dispatch(), g),
    })
}

/// The adjoint of [`conv2d`] in x, plus a bias: the transposed convolution.
///
/// Shapes: y (n, outputs, h', w'), w (outputs, inputs, kernel₀, kernel₁), bias (inputs) → x (n, inputs, h, w) with
/// h = (h'−1)·stride − 2·padding + kernel + `output_padding`.
///
/// # Panics
/// When the shapes or precisions do not fit each other, the result is empty, or `output_padding` is not below the stride.
pub fn conv_transpose2d(
    y: Tensor<4>,
    w: Tensor<4>,
    bias: Option<Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
    output_padding: [usize; 2],
) -> Tensor<4> {
    let ([batch, y_outputs, height, width], [outputs, inputs, k0, k1]) = (y.dims(), w.dims());
    let kernel = [k0, k1];
    let side = |a: usize, side: usize| {
        let reached = side.checked_sub(1)?.checked_mul(stride[a])?.checked_add(kernel[a])?;
        reached.checked_add(output_padding[a])?.checked_sub(padding[a].checked_mul(2)?)
    };
    let image = [side(0, height), side(1, width)].map(|side| side.unwrap_or(0));
    let g = Geometry { batch, inputs, outputs, image, kernel, stride, padding };
    g.check();
    assert!(
        y_outputs == outputs && g.x_len() > 0 && g.output() == [height, width],
        "a transposed convolution of {:?} with {:?}, {g:?}, output padding {output_padding:?}",
        y.dims(),
        w.dims()
    );
    check_operands([y.dtype(), w.dtype()], bias.as_ref(), inputs);
    let (y, w) = (y.into_dispatch(), w.into_dispatch());
    Tensor::from_dispatch(match bias {
        None => Dispatch::convolve_back(y, w, g),
        Some(bias) => Dispatch::convolve_back_with_bias(y, w, bias.into_dispatch(), g),
    })
}

/// The gradient of ⟨y, w ⋆ x⟩ in w; shapes as for [`conv2d`].
///
/// # Panics
/// When the shapes or precisions do not fit each other.
pub fn conv2d_weight(
    x: Tensor<4>,
    y: Tensor<4>,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> Tensor<4> {
    let ([batch, inputs, height, width], [y_batch, outputs, h, w]) = (x.dims(), y.dims());
    let g = Geometry { batch, inputs, outputs, image: [height, width], kernel, stride, padding };
    g.check();
    check_operands([x.dtype(), y.dtype()], None, outputs);
    assert!(y_batch == batch && g.output() == [h, w], "images {:?} and cotangent {:?}, {g:?}", x.dims(), y.dims());
    Tensor::from_dispatch(Dispatch::correlate(x.into_dispatch(), y.into_dispatch(), g))
}

/// Operands of one precision, and a bias of that precision with a number for each channel.
fn check_operands(dtypes: [DType; 2], bias: Option<&Tensor<1>>, channels: usize) {
    let bias = bias.map_or((dtypes[0], channels), |bias| (bias.dtype(), bias.dims()[0]));
    assert!(
        dtypes[1] == dtypes[0] && bias == (dtypes[0], channels),
        "operands of {dtypes:?}, a bias of {bias:?} for {channels} channels"
    );
}

/// Backends with these operations; the bodies here are burn's own.
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait Convolve: Backend {
    /// w ⋆ x.
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        Self::conv2d(x, w, None, options(&geometry))
    }

    /// w ⋆ x + bias.
    fn convolve_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        Self::conv2d(x, w, Some(bias), options(&geometry))
    }

    /// The adjoint of w ⋆ x in x, applied to y.
    fn convolve_back(y: FloatTensor<Self>, w: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        Self::conv_transpose2d(y, w, None, transposed_options(&geometry))
    }

    /// The adjoint of w ⋆ x in x, applied to y, plus a bias.
    fn convolve_back_with_bias(
        y: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        geometry: Geometry,
    ) -> FloatTensor<Self> {
        Self::conv_transpose2d(y, w, Some(bias), transposed_options(&geometry))
    }

    /// The adjoint of w ⋆ x in w, applied to y.
    fn correlate(x: FloatTensor<Self>, y: FloatTensor<Self>, geometry: Geometry) -> FloatTensor<Self> {
        let device = x.device();
        let like = Self::float_zeros(w_shape(&geometry).into(), &device, x.dtype().into());
        Self::conv2d_weight_backward(x, like, y, options(&geometry))
    }

    /// Σ over images and places of y, one number a channel: the adjoint of adding a bias.
    fn channel_sums(y: FloatTensor<Self>) -> FloatTensor<Self> {
        let channels = y.shape()[1];
        let sums = Self::float_sum_dim(Self::float_sum_dim(Self::float_sum_dim(y, 3), 2), 0);
        Self::float_reshape(sums, [channels].into())
    }
}

fn options(g: &Geometry) -> ConvOptions<2> {
    ConvOptions::new(g.stride, g.padding, [1, 1], 1)
}

fn transposed_options(g: &Geometry) -> ConvTransposeOptions<2> {
    // Rows that no position of the kernel reached: the result has them, as zeros.
    let unreached = std::array::from_fn(|a| (g.image[a] + 2 * g.padding[a] - g.kernel[a]) % g.stride[a]);
    ConvTransposeOptions::new(g.stride, g.padding, unreached, [1, 1], 1)
}

#[cfg(feature = "gpu")]
impl Convolve for burn::backend::Cube {}

/// The numbers of a tensor that is contiguous and in single precision.
pub(crate) fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor in single precision")
}

/// What `compute` writes into a tensor of this shape.
fn filled(shape: [usize; 4], compute: impl FnOnce(&mut [f32])) -> FlexTensor {
    let mut result = vec![0.0; shape.iter().product()];
    compute(&mut result);
    FlexTensor::from_data(TensorData::new(result, shape))
}

fn x_shape(g: &Geometry) -> [usize; 4] {
    [g.batch, g.inputs, g.image[0], g.image[1]]
}

fn y_shape(g: &Geometry) -> [usize; 4] {
    [g.batch, g.outputs, g.output()[0], g.output()[1]]
}

fn w_shape(g: &Geometry) -> [usize; 4] {
    [g.outputs, g.inputs, g.kernel[0], g.kernel[1]]
}

/// w ⋆ x, with or without a bias.
fn forward(x: FlexTensor, w: FlexTensor, bias: Option<FlexTensor>, g: Geometry) -> FlexTensor {
    if x.dtype() != DType::F32 {
        return Flex::conv2d(x, w, bias, options(&g));
    }
    let (x, w, bias) = (x.to_contiguous(), w.to_contiguous(), bias.map(|bias| bias.to_contiguous()));
    filled(y_shape(&g), |y| Conv::new(g).forward(slice(&x), slice(&w), bias.as_ref().map(slice), y))
}

/// The adjoint of w ⋆ x in x, applied to y, with or without a bias.
fn back(y: FlexTensor, w: FlexTensor, bias: Option<FlexTensor>, g: Geometry) -> FlexTensor {
    if y.dtype() != DType::F32 {
        return Flex::conv_transpose2d(y, w, bias, transposed_options(&g));
    }
    let (y, w, bias) = (y.to_contiguous(), w.to_contiguous(), bias.map(|bias| bias.to_contiguous()));
    filled(x_shape(&g), |x| Conv::new(g).input_gradient(slice(&y), slice(&w), bias.as_ref().map(slice), x))
}

impl Convolve for Flex {
    fn convolve(x: FlexTensor, w: FlexTensor, g: Geometry) -> FlexTensor {
        forward(x, w, None, g)
    }

    fn convolve_with_bias(x: FlexTensor, w: FlexTensor, bias: FlexTensor, g: Geometry) -> FlexTensor {
        forward(x, w, Some(bias), g)
    }

    fn convolve_back(y: FlexTensor, w: FlexTensor, g: Geometry) -> FlexTensor {
        back(y, w, None, g)
    }

    fn convolve_back_with_bias(y: FlexTensor, w: FlexTensor, bias: FlexTensor, g: Geometry) -> FlexTensor {
        back(y, w, Some(bias), g)
    }

    fn correlate(x: FlexTensor, y: FlexTensor, g: Geometry) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let like = FlexTensor::zeros(w_shape(&g).into(), x.dtype());
            return Self::conv2d_weight_backward(x, like, y, options(&g));
        }
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        filled(w_shape(&g), |w| Conv::new(g).weight_gradient(slice(&x), slice(&y), w))
    }
}

/// One of the three products, as a step of the graph; its operands in the order of the method's arguments.
#[derive(Clone, Copy, Debug)]
enum Product {
    Convolve,
    Back,
    Correlate,
}

impl Product {
    fn apply<B: Convolve>(self, first: FloatTensor<B>, second: FloatTensor<B>, g: Geometry) -> FloatTensor<B> {
        match self {
            Self::Convolve => B::convolve(first, second, g),
            Self::Back => B::convolve_back(first, second, g),
            Self::Correlate => B::correlate(first, second, g),
        }
    }

    /// The derivative in the first operand, from the cotangent and the second operand.
    fn first<B: Convolve>(self, cotangent: FloatTensor<B>, second: FloatTensor<B>, g: Geometry) -> FloatTensor<B> {
        match self {
            Self::Convolve => B::convolve_back(cotangent, second, g),
            Self::Back => B::convolve(cotangent, second, g),
            Self::Correlate => B::convolve_back(second, cotangent, g),
        }
    }

    /// The derivative in the second operand, from the cotangent and the first operand.
    fn second<B: Convolve>(self, cotangent: FloatTensor<B>, first: FloatTensor<B>, g: Geometry) -> FloatTensor<B> {
        match self {
            Self::Convolve => B::correlate(first, cotangent, g),
            Self::Back => B::correlate(cotangent, first, g),
            Self::Correlate => B::convolve(first, cotangent, g),
        }
    }
}

/// The values of both operands, wherever the graph keeps them.
type Operands = (NodeId, NodeId, Geometry);

impl<B: Convolve> Backward<B, 2> for Product {
    type State = Operands;

    fn backward(self, ops: Ops<Operands, 2>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let cotangent = grads.consume::<B>(&ops.node);
        let (first, second, g) = ops.state;
        let first = checkpointer.retrieve_node_output::<FloatTensor<B>>(first);
        let second = checkpointer.retrieve_node_output::<FloatTensor<B>>(second);
        let [to_first, to_second] = ops.parents;
        if let Some(node) = to_first {
            grads.register::<B>(node.id, self.first::<B>(cotangent.clone(), second, g));
        }
        if let Some(node) = to_second {
            grads.register::<B>(node.id, self.second::<B>(cotangent, first, g));
        }
    }
}

/// A product plus a bias, the third operand.
#[derive(Clone, Copy, Debug)]
struct Biased(Product);

impl<B: Convolve> Backward<B, 3> for Biased {
    type State = Operands;

    fn backward(self, ops: Ops<Operands, 3>, grads: &mut Gradients, checkpointer: &mut Checkpointer) {
        let cotangent = grads.consume::<B>(&ops.node);
        let (first, second, g) = ops.state;
        let first = checkpointer.retrieve_node_output::<FloatTensor<B>>(first);
        let second = checkpointer.retrieve_node_output::<FloatTensor<B>>(second);
        let [to_first, to_second, to_bias] = ops.parents;
        if let Some(node) = to_first {
            grads.register::<B>(node.id, self.0.first::<B>(cotangent.clone(), second, g));
        }
        if let Some(node) = to_second {
            grads.register::<B>(node.id, self.0.second::<B>(cotangent.clone(), first, g));
        }
        if let Some(node) = to_bias {
            grads.register::<B>(node.id, B::channel_sums(cotangent));
        }
    }
}

impl<B: Convolve, C: CheckpointStrategy> Convolve for Autodiff<B, C> {
    fn convolve(x: FloatTensor<Self>, w: FloatTensor<Self>, g: Geometry) -> FloatTensor<Self> {
        tracked::<B, C>(Product::Convolve, x, w, g)
    }

    fn convolve_with_bias(
        x: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self> {
        tracked_with_bias::<B, C>(Product::Convolve, B::convolve_with_bias, x, w, bias, g)
    }

    fn convolve_back(y: FloatTensor<Self>, w: FloatTensor<Self>, g: Geometry) -> FloatTensor<Self> {
        tracked::<B, C>(Product::Back, y, w, g)
    }

    fn convolve_back_with_bias(
        y: FloatTensor<Self>,
        w: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        g: Geometry,
    ) -> FloatTensor<Self> {
        tracked_with_bias::<B, C>(Product::Back, B::convolve_back_with_bias, y, w, bias, g)
    }

    fn correlate(x: FloatTensor<Self>, y: FloatTensor<Self>, g: Geometry) -> FloatTensor<Self> {
        tracked::<B, C>(Product::Correlate, x, y, g)
    }
}

fn tracked<B: Convolve, C: CheckpointStrategy>(
    product: Product,
    first: FloatTensor<Autodiff<B, C>>,
    second: FloatTensor<Autodiff<B, C>>,
    g: Geometry,
) -> FloatTensor<Autodiff<B, C>> {
    match product.prepare::<C>([first.node(), second.node()]).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let state = (prep.checkpoint(&first), prep.checkpoint(&second), g);
            prep.finish(state, product.apply::<B>(first.into_primitive(), second.into_primitive(), g))
        }
        OpsKind::UnTracked(prep) => prep.finish(product.apply::<B>(first.into_primitive(), second.into_primitive(), g)),
    }
}

fn tracked_with_bias<B: Convolve, C: CheckpointStrategy>(
    product: Product,
    apply: impl FnOnce(FloatTensor<B>, FloatTensor<B>, FloatTensor<B>, Geometry) -> FloatTensor<B>,
    first: FloatTensor<Autodiff<B, C>>,
    second: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    g: Geometry,
) -> FloatTensor<Autodiff<B, C>> {
    match Biased(product).prepare::<C>([first.node(), second.node(), bias.node()]).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let state = (prep.checkpoint(&first), prep.checkpoint(&second), g);
            prep.finish(state, apply(first.into_primitive(), second.into_primitive(), bias.into_primitive(), g))
        }
        OpsKind::UnTracked(prep) => {
            prep.finish(apply(first.into_primitive(), second.into_primitive(), bias.into_primitive(), g))
        }
    }
}
