//! Squared distances of rows from the differences of their numbers, and sums of weighted differences, as operations on tensors.
//!
//! ‖x‖² + ‖y‖² − 2⟨x,y⟩ and x·Σa − Σa·y are faster, but leave nothing of rows that are near one another beside how far they are from
//! the origin. Here every difference x − y is rounded once, so that squares are right to d + 2 units in the last place wherever the
//! rows lie.
//!
//! The derivative of the squares is a sum of weighted differences, so a gradient written with the latter can itself be
//! differentiated, as a gradient penalty needs. Differences are made a block at a time and not kept: beside their arguments and
//! results, passes in either direction need a few blocks of 16 MB (single precision) at most, or two rows if these are longer.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Slice, Tensor};
use std::ops::Range;

/// Numbers of differences that are held at one time.
const BLOCK: usize = 1 << 22;

/// ‖xᵢ − yⱼ‖². Differentiable in both, with derivative 0 where the two are one point.
///
/// Shapes: x (n, d), y (m, d) → (n, m).
///
/// # Panics
/// When dimensions or precisions differ.
pub fn squared_distances(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    check(&x, &y);
    Tensor::from_dispatch(Dispatch::squared_distances(x.into_dispatch(), y.into_dispatch()))
}

/// Σⱼ aᵢⱼ (xᵢ − yⱼ). Differentiable in all three.
///
/// Shapes: a (n, m), x (n, d), y (m, d) → (n, d).
///
/// # Panics
/// When shapes or precisions do not fit each other.
pub fn weighted_differences(a: Tensor<2>, x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    check(&x, &y);
    assert!(a.dims() == [x.dims()[0], y.dims()[0]] && a.dtype() == x.dtype(), "a weight for each pair of rows");
    Tensor::from_dispatch(Dispatch::weighted_differences(a.into_dispatch(), x.into_dispatch(), y.into_dispatch()))
}

fn check(x: &Tensor<2>, y: &Tensor<2>) {
    assert!(x.dims()[1] == y.dims()[1] && x.dtype() == y.dtype(), "rows of equal length and precision");
}

/// Backends with these operations.
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub(crate) trait Differences: Backend {
    /// See [`squared_distances()`].
    fn squared_distances(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        squares::<Self>(x, y)
    }

    /// See [`weighted_differences()`].
    fn weighted_differences(a: FloatTensor<Self>, x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        weighted::<Self>(a, x, y)
    }
}

impl Differences for Flex {}

#[cfg(feature = "gpu")]
impl Differences for burn::backend::Cube {}

/// `Σⱼ` over blocks of columns, or columns beside one another.
enum Joined {
    Added,
    Beside,
}

/// What `of` makes of the differences (r, c, d) of each block of r rows and c columns, put together.
fn by_blocks<B: Backend>(
    x: FloatTensor<B>,
    y: FloatTensor<B>,
    joined: Joined,
    of: impl Fn(Range<usize>, Range<usize>, FloatTensor<B>) -> FloatTensor<B>,
) -> FloatTensor<B> {
    let ([n, d], m) = (dims::<B>(&x), dims::<B>(&y)[0]);
    let columns = (BLOCK / d.max(1)).clamp(1, m.max(1));
    let rows = (BLOCK / (columns * d).max(1)).clamp(1, n.max(1));
    let blocks = |count: usize, size: usize| (0..count).step_by(size).map(move |from| from..count.min(from + size));
    let strip = |i: Range<usize>| {
        let x = B::float_reshape(part::<B>(&x, [i.clone(), 0..d]), [i.len(), 1, d].into());
        let found = blocks(m, columns).map(|j| {
            let y = B::float_reshape(part::<B>(&y, [j.clone(), 0..d]), [1, j.len(), d].into());
            of(i.clone(), j, B::float_sub(x.clone(), y))
        });
        match joined {
            Joined::Added => found.reduce(B::float_add).expect("rows to be compared with"),
            Joined::Beside => together::<B>(found.collect(), 1),
        }
    };
    together::<B>(blocks(n, rows).map(strip).collect(), 0)
}

fn squares<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    by_blocks::<B>(x, y, Joined::Beside, |i, j, apart| {
        let squares = B::float_sum_dim(B::float_mul(apart.clone(), apart), 2);
        B::float_reshape(squares, [i.len(), j.len()].into())
    })
}

fn weighted<B: Backend>(a: FloatTensor<B>, x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    let d = dims::<B>(&x)[1];
    by_blocks::<B>(x, y, Joined::Added, |i, j, apart| {
        let a = B::float_reshape(part::<B>(&a, [i.clone(), j.clone()]), [i.len(), 1, j.len()].into());
        B::float_reshape(B::float_matmul(a, apart), [i.len(), d].into())
    })
}

/// ⟨cᵢ, xᵢ − yⱼ⟩.
fn along<B: Backend>(c: FloatTensor<B>, x: FloatTensor<B>, y: FloatTensor<B>) -> FloatTensor<B> {
    let d = dims::<B>(&x)[1];
    by_blocks::<B>(x, y, Joined::Beside, |i, j, apart| {
        let c = B::float_reshape(part::<B>(&c, [i.clone(), 0..d]), [i.len(), d, 1].into());
        B::float_reshape(B::float_matmul(apart, c), [i.len(), j.len()].into())
    })
}

fn dims<B: Backend>(x: &FloatTensor<B>) -> [usize; 2] {
    x.shape().dims()
}

fn part<B: Backend>(x: &FloatTensor<B>, ranges: [Range<usize>; 2]) -> FloatTensor<B> {
    B::float_slice(x.clone(), &ranges.map(Slice::from))
}

fn together<B: Backend>(mut parts: Vec<FloatTensor<B>>, dim: usize) -> FloatTensor<B> {
    if parts.len() == 1 { parts.remove(0) } else { B::float_cat(parts, dim) }
}

fn doubled<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(x.clone(), x)
}

#[derive(Debug)]
struct Squares;

impl<B: Differences> Backward<B, 2> for Squares {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let cotangent = grads.consume::<B>(&ops.node);
        let [x, y] = ops.state;
        let [to_x, to_y] = ops.parents;
        if let Some(node) = to_x {
            let gradient = doubled::<B>(B::weighted_differences(cotangent.clone(), x.clone(), y.clone()));
            grads.register::<B>(node.id, gradient);
        }
        if let Some(node) = to_y {
            grads.register::<B>(node.id, doubled::<B>(B::weighted_differences(B::float_transpose(cotangent), y, x)));
        }
    }
}

#[derive(Debug)]
struct Weighted;

impl<B: Differences> Backward<B, 3> for Weighted {
    type State = [FloatTensor<B>; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let cotangent = grads.consume::<B>(&ops.node);
        let [a, x, y] = ops.state;
        let [to_a, to_x, to_y] = ops.parents;
        if let Some(node) = to_a {
            grads.register::<B>(node.id, along::<B>(cotangent.clone(), x, y));
        }
        if let Some(node) = to_x {
            grads.register::<B>(node.id, B::float_mul(cotangent.clone(), B::float_sum_dim(a.clone(), 1)));
        }
        if let Some(node) = to_y {
            let gradient = B::float_matmul(B::float_transpose(a), cotangent);
            grads.register::<B>(node.id, B::float_neg(gradient));
        }
    }
}

impl<B: Differences, C: CheckpointStrategy> Differences for Autodiff<B, C> {
    fn squared_distances(x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = Squares.prepare::<C>([x.node(), y.node()]).compute_bound().stateful();
        let (x, y) = (x.into_primitive(), y.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => prep.finish([x.clone(), y.clone()], B::squared_distances(x, y)),
            OpsKind::UnTracked(prep) => prep.finish(B::squared_distances(x, y)),
        }
    }

    fn weighted_differences(a: FloatTensor<Self>, x: FloatTensor<Self>, y: FloatTensor<Self>) -> FloatTensor<Self> {
        let prepared = Weighted.prepare::<C>([a.node(), x.node(), y.node()]).compute_bound().stateful();
        let (a, x, y) = (a.into_primitive(), x.into_primitive(), y.into_primitive());
        match prepared {
            OpsKind::Tracked(prep) => prep.finish([a.clone(), x.clone(), y.clone()], B::weighted_differences(a, x, y)),
            OpsKind::UnTracked(prep) => prep.finish(B::weighted_differences(a, x, y)),
        }
    }
}
