//! Pooling and its derivatives, as operations on tensors.
//!
//! Two pairs of maps, each the adjoint of the other in its last operand, so that each one's derivative is its partner:
//!
//! * [`pick`] takes y where x is largest in each window, [`put`] brings a cotangent back there. Max pooling is `pick(x, x)`; its pullback
//!   at x is `put(x, ·)`, and the derivative in x is zero almost everywhere;
//! * [`average`] is the mean over the pixels of a window that lie in the image, [`average_back`] its adjoint.

use crate::linear::{Linear, tracked};
use crate::tensor::slice;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::flex::FlexTensor;
use burn::backend::ops::ModuleOps;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, Dispatch, Flex, TensorMetadata, backend_extension};
use burn::tensor::{DType, IndexingUpdateOp, Tensor, TensorData};
use rayon::prelude::*;
use std::ops::Range;

/// Which windows: place o of the result sees the pixels o·stride − padding + u inside the image, u < kernel, along each axis.
///
/// A padding is below the kernel, so that every window meets the image. With `ceil` there is a last window that begins inside the image
/// and reaches beyond the padding, where the stride would leave pixels over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of a window, in pixels.
    pub kernel: [usize; 2],
    /// Pixels between neighbouring windows, along each axis.
    pub stride: [usize; 2],
    /// Rows and columns beyond every side of the image, along each axis.
    pub padding: [usize; 2],
    /// Whether a last window may reach beyond the padding.
    pub ceil: bool,
}

impl Window {
    /// Height and width of the result for this image; 0 where no window fits.
    pub fn output(&self, image: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|a| {
            let (k, s, p) = (self.kernel[a], self.stride[a], self.padding[a]);
            let Some(room) = (image[a] + 2 * p).checked_sub(k) else { return 0 };
            let fitting = room / s + 1;
            // One more, if pixels are left over and it begins before the image ends.
            let begins = fitting * s < image[a] + p;
            if self.ceil && !room.is_multiple_of(s) && begins { fitting + 1 } else { fitting }
        })
    }

    /// The pixels along axis `a`, of `size`, that place `o` sees.
    fn seen(&self, a: usize, o: usize, size: usize) -> Range<usize> {
        let first = o * self.stride[a];
        first.saturating_sub(self.padding[a])..(first + self.kernel[a] - self.padding[a]).min(size)
    }

    fn check(&self, image: [usize; 2]) {
        let sound = (0..2).all(|a| self.stride[a] > 0 && self.padding[a] < self.kernel[a]);
        assert!(sound && !self.output(image).contains(&0), "no pooling: {self:?} of {image:?}");
    }
}

fn image_of(dims: [usize; 4]) -> [usize; 2] {
    [dims[2], dims[3]]
}

/// The largest number of each window. Shapes: (n, c, h, w) → (n, c, h', w'), see [`Window::output`].
///
/// # Panics
/// When no window fits, a stride is 0, or a padding not below the kernel.
pub fn max_pool(x: Tensor<4>, window: Window) -> Tensor<4> {
    pick(x.clone(), x, window)
}

/// y where x is largest in each window (the first of equals). Differentiable in y; x counts as a constant.
///
/// # Panics
/// When the shapes or precisions differ; as [`max_pool`].
pub fn pick(x: Tensor<4>, y: Tensor<4>, window: Window) -> Tensor<4> {
    window.check(image_of(x.dims()));
    assert!(x.dims() == y.dims() && x.dtype() == y.dtype(), "operands of equal shape and precision");
    Tensor::from_dispatch(Dispatch::pick(x.into_dispatch(), y.into_dispatch(), window))
}

/// The adjoint of [`pick`] in y, applied to g of shape (n, c, h', w'): sums of g where x is largest, zero elsewhere.
///
/// # Panics
/// When the shapes or precisions do not fit; as [`max_pool`].
pub fn put(x: Tensor<4>, g: Tensor<4>, window: Window) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    window.check([h, w]);
    let [oh, ow] = window.output([h, w]);
    assert!(g.dims() == [n, c, oh, ow] && x.dtype() == g.dtype(), "a cotangent of {:?} for {:?}", g.dims(), x.dims());
    Tensor::from_dispatch(Dispatch::put(x.into_dispatch(), g.into_dispatch(), window))
}

/// The mean over the pixels of each window that lie in the image. Shapes: (n, c, h, w) → (n, c, h', w').
///
/// # Panics
/// As [`max_pool`].
pub fn average(x: Tensor<4>, window: Window) -> Tensor<4> {
    window.check(image_of(x.dims()));
    Tensor::from_dispatch(Dispatch::average(x.into_dispatch(), window))
}

/// The adjoint of [`average`] on images of height and width `image`.
///
/// # Panics
/// When the shapes do not fit; as [`max_pool`].
pub fn average_back(g: Tensor<4>, image: [usize; 2], window: Window) -> Tensor<4> {
    window.check(image);
    assert!(window.output(image) == image_of(g.dims()), "a cotangent of {:?} for an image of {image:?}", g.dims());
    Tensor::from_dispatch(Dispatch::average_back(g.into_dispatch(), image, window))
}

/// Backends with these operations; the bodies here are made of burn's own.
#[backend_extension(Flex, Autodiff, Cube: cfg(feature = "gpu"))]
pub trait Pool: Backend {
    /// See [`pick()`].
    fn pick(x: FloatTensor<Self>, y: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        pick_by_indices::<Self>(x, y, window)
    }

    /// See [`put()`].
    fn put(x: FloatTensor<Self>, g: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        put_by_indices::<Self>(x, g, window)
    }

    /// See [`average()`].
    fn average(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let Window { kernel, stride, padding, ceil } = window;
        Self::avg_pool2d(x, kernel, stride, padding, false, ceil)
    }

    /// See [`average_back()`].
    fn average_back(g: FloatTensor<Self>, image: [usize; 2], window: Window) -> FloatTensor<Self> {
        let Window { kernel, stride, padding, ceil } = window;
        let [n, c] = [g.shape()[0], g.shape()[1]];
        let like = Self::float_zeros([n, c, image[0], image[1]].into(), &g.device(), g.dtype().into());
        Self::avg_pool2d_backward(like, g, kernel, stride, padding, false, ceil)
    }
}

/// Where in its plane each window's largest number is, shape (n, c, h'·w').
fn indices<B: Backend>(x: FloatTensor<B>, window: Window) -> IntTensor<B> {
    let Window { kernel, stride, padding, ceil } = window;
    let integers = burn::backend::get_or_init_device_settings::<B>(&x.device()).int_dtype;
    let found = B::max_pool2d_with_indices(x, kernel, stride, padding, [1, 1], ceil, integers).indices;
    let shape = found.shape();
    B::int_reshape(found, [shape[0], shape[1], shape[2] * shape[3]].into())
}

fn pick_by_indices<B: Backend>(x: FloatTensor<B>, y: FloatTensor<B>, window: Window) -> FloatTensor<B> {
    let shape = x.shape();
    let (n, c, h, w) = (shape[0], shape[1], shape[2], shape[3]);
    let [oh, ow] = window.output([h, w]);
    let planes = B::float_reshape(y, [n, c, h * w].into());
    B::float_reshape(B::float_gather(2, planes, indices::<B>(x, window)), [n, c, oh, ow].into())
}

fn put_by_indices<B: Backend>(x: FloatTensor<B>, g: FloatTensor<B>, window: Window) -> FloatTensor<B> {
    let shape = x.shape();
    let (n, c, h, w) = (shape[0], shape[1], shape[2], shape[3]);
    let [oh, ow] = window.output([h, w]);
    let zeros = B::float_zeros([n, c, h * w].into(), &x.device(), x.dtype().into());
    let g = B::float_reshape(g, [n, c, oh * ow].into());
    let sums = B::float_scatter(2, zeros, indices::<B>(x, window), g, IndexingUpdateOp::Add);
    B::float_reshape(sums, [n, c, h, w].into())
}

#[cfg(feature = "gpu")]
impl Pool for burn::backend::Cube {}

/// A plane's windows, with what every plane needs.
struct Plane {
    window: Window,
    image: [usize; 2],
    output: [usize; 2],
}

/// The larger of two; no number if one is none.
#[inline(always)]
fn larger(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

impl Plane {
    fn len(&self) -> usize {
        self.image[0] * self.image[1]
    }

    /// The largest numbers: first over the rows of a window, which lie side by side, then along the row.
    fn max(&self, x: &[f32], result: &mut [f32]) {
        let [h, w] = self.image;
        let mut line = vec![0.0; w];
        for (i, result) in result.chunks_exact_mut(self.output[1]).enumerate() {
            let rows = self.window.seen(0, i, h);
            line.copy_from_slice(&x[rows.start * w..][..w]);
            for row in rows.skip(1) {
                for (most, &x) in line.iter_mut().zip(&x[row * w..][..w]) {
                    *most = larger(*most, x);
                }
            }
            self.along(result, &line, larger);
        }
    }

    /// Folds the numbers of each window of a line.
    #[inline(always)]
    fn along(&self, result: &mut [f32], line: &[f32], fold: impl Fn(f32, f32) -> f32) {
        let (k, s, p) = (self.window.kernel[1], self.window.stride[1], self.window.padding[1]);
        // Windows that lie inside the line need no bounds.
        let inside = p.div_ceil(s).min(result.len())..((line.len() + p).saturating_sub(k) / s + 1).min(result.len());
        for (j, to) in result.iter_mut().enumerate() {
            if !inside.contains(&j) {
                let seen = self.window.seen(1, j, line.len());
                *to = line[seen.clone()].iter().skip(1).fold(line[seen.start], |a, &b| fold(a, b));
            }
        }
        if inside.is_empty() || line.len() < k {
            return;
        }
        let (result, line) = (&mut result[inside.clone()], &line[inside.start * s - p..]);
        if (k, s) == (3, 1) {
            let taps = line.iter().zip(&line[1..]).zip(&line[2..]);
            for (to, ((&a, &b), &c)) in result.iter_mut().zip(taps) {
                *to = fold(fold(a, b), c);
            }
        } else {
            for (to, seen) in result.iter_mut().zip(line.windows(k).step_by(s)) {
                *to = seen[1..].iter().fold(seen[0], |a, &b| fold(a, b));
            }
        }
    }

    /// Calls `with(o, i)` for every window o and the place i of its largest number.
    fn each_largest<T: PartialOrd + Copy>(&self, x: &[T], mut with: impl FnMut(usize, usize)) {
        let ([h, w], [oh, ow]) = (self.image, self.output);
        for i in 0..oh {
            let rows = self.window.seen(0, i, h);
            for j in 0..ow {
                let columns = self.window.seen(1, j, w);
                let mut best = rows.start * w + columns.start;
                for row in rows.clone() {
                    for (at, &number) in (row * w + columns.start..).zip(&x[row * w..][columns.clone()]) {
                        let is_none = |x: T| x.partial_cmp(&x).is_none();
                        if number > x[best] || is_none(number) && !is_none(x[best]) {
                            best = at;
                        }
                    }
                }
                with(i * ow + j, best);
            }
        }
    }

    fn average(&self, x: &[f32], result: &mut [f32]) {
        let [h, w] = self.image;
        let mut line = vec![0.0; w];
        let across: Vec<f32> = (0..self.output[1]).map(|j| self.window.seen(1, j, w).len() as f32).collect();
        for (i, result) in result.chunks_exact_mut(self.output[1]).enumerate() {
            let rows = self.window.seen(0, i, h);
            let count = rows.len();
            line.copy_from_slice(&x[rows.start * w..][..w]);
            for row in rows.skip(1) {
                for (sum, &x) in line.iter_mut().zip(&x[row * w..][..w]) {
                    *sum += x;
                }
            }
            self.along(result, &line, |a, b| a + b);
            for (sum, across) in result.iter_mut().zip(&across) {
                *sum /= count as f32 * across;
            }
        }
    }

    /// Adds to `result`.
    fn average_back(&self, g: &[f32], result: &mut [f32]) {
        let [h, w] = self.image;
        let mut line = vec![0.0; w];
        for (i, g) in g.chunks_exact(self.output[1]).enumerate() {
            let rows = self.window.seen(0, i, h);
            line.fill(0.0);
            for (j, &g) in g.iter().enumerate() {
                let seen = self.window.seen(1, j, w);
                let part = g / (rows.len() * seen.len()) as f32;
                for sum in &mut line[seen] {
                    *sum += part;
                }
            }
            for row in rows {
                for (sum, &part) in result[row * w..][..w].iter_mut().zip(&line) {
                    *sum += part;
                }
            }
        }
    }
}

/// Makes a tensor of planes, each of `len` numbers that begin as zeros, by calling `work` with the plane's number.
fn by_planes(shape: [usize; 4], work: impl Fn(usize, &mut [f32]) + Sync) -> FlexTensor {
    let len = shape[2] * shape[3];
    let mut result = vec![0.0; shape.iter().product()];
    // Enough planes for a task to be worth its start.
    let together = 8192_usize.div_ceil(len);
    result.par_chunks_mut(together * len).enumerate().for_each(|(task, planes)| {
        for (i, plane) in planes.chunks_exact_mut(len).enumerate() {
            work(task * together + i, plane);
        }
    });
    FlexTensor::from_data(TensorData::new(result, shape))
}

fn plane(x: &FlexTensor, window: Window) -> (Plane, [usize; 2]) {
    let shape = x.layout().shape().to_vec();
    let image = [shape[2], shape[3]];
    (Plane { window, image, output: window.output(image) }, [shape[0], shape[1]])
}

impl Pool for Flex {
    fn pick(x: FlexTensor, y: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return pick_by_indices::<Self>(x, y, window);
        }
        let (x, y) = (x.to_contiguous(), y.to_contiguous());
        let (plane, [n, c]) = plane(&x, window);
        let (len, [oh, ow]) = (plane.len(), plane.output);
        let (x, y) = (slice(&x), slice(&y));
        by_planes([n, c, oh, ow], |i, result| {
            let (x, y) = (&x[i * len..][..len], &y[i * len..][..len]);
            if std::ptr::eq(x, y) { plane.max(x, result) } else { plane.each_largest(x, |o, at| result[o] = y[at]) }
        })
    }

    fn put(x: FlexTensor, g: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            return put_by_indices::<Self>(x, g, window);
        }
        let (x, g) = (x.to_contiguous(), g.to_contiguous());
        let (plane, [n, c]) = plane(&x, window);
        let (len, outputs) = (plane.len(), plane.output[0] * plane.output[1]);
        let (x, g) = (slice(&x), slice(&g));
        by_planes([n, c, plane.image[0], plane.image[1]], |i, result| {
            let g = &g[i * outputs..][..outputs];
            plane.each_largest(&x[i * len..][..len], |o, at| result[at] += g[o]);
        })
    }

    fn average(x: FlexTensor, window: Window) -> FlexTensor {
        if x.dtype() != DType::F32 {
            let Window { kernel, stride, padding, ceil } = window;
            return Self::avg_pool2d(x, kernel, stride, padding, false, ceil);
        }
        let x = x.to_contiguous();
        let (plane, [n, c]) = plane(&x, window);
        let len = plane.len();
        let x = slice(&x);
        by_planes([n, c, plane.output[0], plane.output[1]], |i, result| plane.average(&x[i * len..][..len], result))
    }

    fn average_back(g: FlexTensor, image: [usize; 2], window: Window) -> FlexTensor {
        let shape = g.layout().shape().to_vec();
        let shape = [shape[0], shape[1], image[0], image[1]];
        if g.dtype() != DType::F32 {
            let Window { kernel, stride, padding, ceil } = window;
            let like = FlexTensor::zeros(shape.into(), g.dtype());
            return Self::avg_pool2d_backward(like, g, kernel, stride, padding, false, ceil);
        }
        let g = g.to_contiguous();
        let plane = Plane { window, image, output: window.output(image) };
        let outputs = plane.output[0] * plane.output[1];
        let g = slice(&g);
        by_planes(shape, |i, result| plane.average_back(&g[i * outputs..][..outputs], result))
    }
}

/// Which of a pair of adjoint maps.
#[derive(Clone, Copy, Debug)]
enum Way {
    Forward,
    Back,
}

impl Way {
    fn other(self) -> Self {
        match self {
            Self::Forward => Self::Back,
            Self::Back => Self::Forward,
        }
    }
}

/// [`pick`] and [`put`] at this x, linear in their second operand.
#[derive(Clone, Debug)]
struct Largest<B: Backend>(Way, FloatTensor<B>, Window);

impl<B: Pool> Linear<B> for Largest<B> {
    fn apply(self, y: FloatTensor<B>) -> FloatTensor<B> {
        match self.0 {
            Way::Forward => B::pick(self.1, y, self.2),
            Way::Back => B::put(self.1, y, self.2),
        }
    }

    fn adjoint(self, cotangent: FloatTensor<B>) -> FloatTensor<B> {
        Self(self.0.other(), self.1, self.2).apply(cotangent)
    }
}

/// [`average`] and [`average_back`]; the image's height and width.
#[derive(Clone, Copy, Debug)]
struct Mean(Way, [usize; 2], Window);

impl<B: Pool> Linear<B> for Mean {
    fn apply(self, y: FloatTensor<B>) -> FloatTensor<B> {
        match self.0 {
            Way::Forward => B::average(y, self.2),
            Way::Back => B::average_back(y, self.1, self.2),
        }
    }

    fn adjoint(self, cotangent: FloatTensor<B>) -> FloatTensor<B> {
        Linear::<B>::apply(Self(self.0.other(), self.1, self.2), cotangent)
    }
}

impl<B: Pool, C: CheckpointStrategy> Pool for Autodiff<B, C> {
    fn pick(x: FloatTensor<Self>, y: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        tracked::<B, C>(Largest(Way::Forward, x.into_primitive(), window), y)
    }

    fn put(x: FloatTensor<Self>, g: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        tracked::<B, C>(Largest(Way::Back, x.into_primitive(), window), g)
    }

    fn average(x: FloatTensor<Self>, window: Window) -> FloatTensor<Self> {
        let shape = x.shape();
        tracked::<B, C>(Mean(Way::Forward, [shape[2], shape[3]], window), x)
    }

    fn average_back(g: FloatTensor<Self>, image: [usize; 2], window: Window) -> FloatTensor<Self> {
        tracked::<B, C>(Mean(Way::Back, image, window), g)
    }
}
