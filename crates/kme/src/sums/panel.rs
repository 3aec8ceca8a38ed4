//! Panels of points, converted to the arithmetic of the tiles, and their matrix product.

use super::simd::{Real, Work, inner_product, vectorised};
use crate::points::{DataView, PointsView};
use std::ops::Range;

/// Points of a sample, moved by a centre and converted: shape (rows, d), with the squared norms of the rows.
pub(crate) struct Panel<T> {
    pub data: Vec<T>,
    pub norms: Vec<T>,
    pub d: usize,
}

/// The same transposed: shape (d, columns), which the matrix product reads fastest on its right side.
#[derive(Default)]
pub(crate) struct ColumnPanel<T> {
    pub data: Vec<T>,
    pub norms: Vec<T>,
    strip: Vec<T>,
}

impl<T: Real> Panel<T> {
    /// The rows `range` of `points` minus `centre`.
    pub(crate) fn new(points: PointsView, range: Range<usize>, centre: Option<&[f64]>) -> Self {
        let d = points.dim();
        let mut data = vec![T::default(); range.len() * d];
        let mut norms = vec![T::default(); range.len()];
        read(points, range.start, centre, &mut data, &mut norms);
        Self { data, norms, d }
    }

    /// The inner products of all rows with all columns of `other`, into `out` of shape (rows, columns).
    pub(super) fn inner_products(&self, other: &ColumnPanel<T>, out: &mut [T]) {
        self.inner_products_of(0..self.norms.len(), other, out);
    }

    /// [`Self::inner_products`] of some rows.
    pub(super) fn inner_products_of(&self, rows: Range<usize>, other: &ColumnPanel<T>, out: &mut [T]) {
        let (m, n, k) = (rows.len(), other.norms.len(), self.d);
        let data = &self.data[rows.start * k..rows.end * k];
        assert!(other.data.len() == n * k && out.len() == m * n);
        // SAFETY: the lengths were checked, and the strides describe row-major matrices of these shapes.
        unsafe { product((m, n, k), out, (1, n), data, (1, k), &other.data, (1, n)) };
    }
}

/// Rows xᵢ of shape (rows, d) and columns yⱼ of shape (d, columns) of which squared distances are summed from differences.
#[derive(Clone, Copy)]
pub(super) struct Differences<'a, T> {
    rows: &'a [T],
    columns: &'a [T],
    d: usize,
    /// Whether the panels are farther from the points than rounding of their differences.
    pub is_rounded: bool,
}

impl<'a, T: Real> Differences<'a, T> {
    pub(super) fn new(rows: &'a Panel<T>, columns: &'a ColumnPanel<T>, is_rounded: bool) -> Self {
        Self { rows: &rows.data, columns: &columns.data, d: rows.d, is_rounded }
    }

    /// All of them, into `out` of shape (rows, columns).
    pub(super) fn squares(self, out: &mut [T]) {
        vectorised(Squares { differences: self, out });
    }

    /// ‖xᵢ − yⱼ‖² for all j.
    #[inline(always)]
    pub(super) fn squares_of_row<const FMA: bool>(&self, i: usize, out: &mut [T]) {
        let (x, width) = (&self.rows[i * self.d..(i + 1) * self.d], out.len());
        let mut done = 0;
        // Four dimensions at a time, since writing the sums costs as much as reading a dimension.
        while done < self.d {
            let (x, y) = (&x[done..], &self.columns[done * width..]);
            match (x.len(), done > 0) {
                (1, false) => add_squares::<T, 1, false, FMA>(x, y, out),
                (2, false) => add_squares::<T, 2, false, FMA>(x, y, out),
                (3, false) => add_squares::<T, 3, false, FMA>(x, y, out),
                (_, false) => add_squares::<T, 4, false, FMA>(x, y, out),
                (4.., true) => add_squares::<T, 4, true, FMA>(x, y, out),
                (_, true) => add_squares::<T, 1, true, FMA>(x, y, out),
            }
            done += if x.len() >= 4 || done == 0 { x.len().min(4) } else { 1 };
        }
    }
}

struct Squares<'a, T> {
    differences: Differences<'a, T>,
    out: &'a mut [T],
}

impl<T: Real> Work for Squares<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.differences.columns.len() / self.differences.d;
        for (i, out) in self.out.chunks_exact_mut(width).enumerate() {
            self.differences.squares_of_row::<FMA>(i, out);
        }
    }
}

/// The sums over D dimensions of (xₖ − yₖⱼ)², which replace or, with ADD, are added to what is there.
#[inline(always)]
fn add_squares<T: Real, const D: usize, const ADD: bool, const FMA: bool>(x: &[T], y: &[T], sums: &mut [T]) {
    let width = sums.len();
    let y: [&[T]; D] = std::array::from_fn(|k| &y[k * width..(k + 1) * width]);
    let x: [T; D] = std::array::from_fn(|k| x[k]);
    for (j, sum) in sums.iter_mut().enumerate() {
        let mut total = if ADD { *sum } else { T::default() };
        for k in 0..D {
            let difference = T::number(x[k].lane::<FMA>() - y[k][j].lane());
            total = difference.mul_add::<FMA>(difference, total);
        }
        *sum = total;
    }
}

impl<T: Real> ColumnPanel<T> {
    /// Reads the points `range` minus `centre` as columns. The memory is kept for the next ones: fresh pages would cost
    /// as much as the conversion.
    pub(super) fn read(&mut self, points: PointsView, range: Range<usize>, centre: Option<&[f64]>) {
        let (d, n) = (points.dim(), range.len());
        self.data.resize(n * d, T::default());
        self.norms.resize(n, T::default());
        self.strip.resize(STRIP * d, T::default());
        for first in (0..n).step_by(STRIP) {
            let rows = STRIP.min(n - first);
            let strip = &mut self.strip[..rows * d];
            read(points, range.start + first, centre, strip, &mut self.norms[first..first + rows]);
            vectorised(Transpose { from: strip, rows, to: &mut self.data[first..], stride: n });
        }
    }
}

/// Reads as many rows as fit, from row `first` on.
fn read<T: Real>(points: PointsView, first: usize, centre: Option<&[f64]>, data: &mut [T], norms: &mut [T]) {
    let d = points.dim();
    let numbers = first * d..first * d + data.len();
    match points.data() {
        DataView::F32(v) => vectorised(Read { from: &v[numbers], centre, d, data, norms }),
        DataView::F64(v) => vectorised(Read { from: &v[numbers], centre, d, data, norms }),
    }
}

struct Read<'a, S, T> {
    from: &'a [S],
    centre: Option<&'a [f64]>,
    d: usize,
    data: &'a mut [T],
    norms: &'a mut [T],
}

impl<S: Real, T: Real> Work for Read<'_, S, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let mut scratch = vec![0.0; self.d];
        let rows = self.data.chunks_exact_mut(self.d).zip(self.from.chunks_exact(self.d)).zip(self.norms);
        for ((to, from), norm) in rows {
            match self.centre {
                None => {
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = T::narrow(from.widen());
                    }
                }
                Some(centre) => {
                    for ((to, from), centre) in to.iter_mut().zip(from).zip(centre) {
                        *to = T::narrow(from.widen() - centre);
                    }
                }
            }
            *norm = T::narrow(inner_product::<T, T, FMA>(to, to, &mut scratch));
        }
    }
}

/// Points that are transposed together.
const STRIP: usize = 16;

/// Writes `from` of shape (rows, d), rows ≤ STRIP, as the first columns of `to`, whose rows are `stride` apart.
struct Transpose<'a, T> {
    from: &'a [T],
    rows: usize,
    to: &'a mut [T],
    stride: usize,
}

impl<T: Real> Work for Transpose<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        // By squares of a cache line: the rows of `from` may lie a multiple of the cache apart.
        let d = self.from.len() / self.rows;
        let mut square = [[T::default(); STRIP]; STRIP];
        for first in (0..d).step_by(STRIP) {
            let width = STRIP.min(d - first);
            for (to, from) in square.iter_mut().zip(self.from.chunks_exact(d)) {
                to[..width].copy_from_slice(&from[first..first + width]);
            }
            for k in 0..width {
                let to = &mut self.to[(first + k) * self.stride..][..self.rows];
                for (to, from) in to.iter_mut().zip(&square) {
                    *to = from[k];
                }
            }
        }
    }
}

/// C = A·B for shapes (m, n, k), each stride as (column, row). One thread.
///
/// # Safety
/// The strides must stay inside the slices.
pub(crate) unsafe fn product<T: Real>(
    shape: (usize, usize, usize),
    c: &mut [T],
    c_strides: (usize, usize),
    a: &[T],
    a_strides: (usize, usize),
    b: &[T],
    b_strides: (usize, usize),
) {
    unsafe { add_product(shape, false, c, c_strides, a, a_strides, b, b_strides) };
}

/// C = A·B, or with `add` C += A·B, for shapes (m, n, k), each stride as (column, row). One thread.
///
/// # Safety
/// The strides must stay inside the slices.
#[expect(clippy::too_many_arguments, reason = "three matrices, each with its strides")]
pub(crate) unsafe fn add_product<T: Real>(
    (m, n, k): (usize, usize, usize),
    add: bool,
    c: &mut [T],
    c_strides: (usize, usize),
    a: &[T],
    a_strides: (usize, usize),
    b: &[T],
    b_strides: (usize, usize),
) {
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            c_strides.0 as isize,
            c_strides.1 as isize,
            add,
            a.as_ptr(),
            a_strides.0 as isize,
            a_strides.1 as isize,
            b.as_ptr(),
            b_strides.0 as isize,
            b_strides.1 as isize,
            T::narrow(1.0),
            T::narrow(1.0),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// The mean of the points, in double precision.
pub(crate) fn mean(points: PointsView) -> Vec<f64> {
    fn add<T: Real>(values: &[T], d: usize) -> Vec<f64> {
        let mut sums = vec![0.0; d];
        for row in values.chunks_exact(d) {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x.widen();
            }
        }
        sums
    }
    let sums = match points.data() {
        DataView::F32(v) => add(v, points.dim()),
        DataView::F64(v) => add(v, points.dim()),
    };
    sums.into_iter().map(|s| s / points.len() as f64).collect()
}
