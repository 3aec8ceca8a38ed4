//! Panels of points, converted to the arithmetic of the tiles, and their matrix product.

use super::tile::Real;
use crate::points::{Data, Points};
use std::ops::Range;

/// Points of a sample, moved by a centre and converted: shape (rows, d), with the squared norms of the rows.
pub(crate) struct Panel<T> {
    pub data: Vec<T>,
    pub norms: Vec<T>,
    pub d: usize,
}

impl<T: Real> Panel<T> {
    /// The rows `range` of `points` minus `centre`.
    pub(crate) fn new(points: &Points, range: Range<usize>, centre: Option<&[f64]>) -> Self {
        let d = points.dim();
        let numbers = range.start * d..range.end * d;
        let mut data = vec![T::default(); numbers.len()];
        match points.data() {
            Data::F32(v) => convert(&v[numbers], centre, d, &mut data),
            Data::F64(v) => convert(&v[numbers], centre, d, &mut data),
        }
        let norms = data.chunks_exact(d).map(|row| T::narrow(squared_norm(row))).collect();
        Self { data, norms, d }
    }

    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.norms.len()
    }

    /// The inner products of all rows of `self` with all rows of `other`, into `out` of shape (rows, other's rows).
    pub(crate) fn inner_products(&self, other: &Self, out: &mut [T]) {
        let (m, n, k) = (self.len(), other.len(), self.d);
        assert!(self.data.len() == m * k && other.data.len() == n * k && other.d == k && out.len() == m * n);
        // SAFETY: the lengths were checked, and the strides describe row-major matrices of these shapes.
        unsafe {
            product((m, n, k), out, (1, n), &self.data, (1, k), &other.data, (k, 1));
        }
    }
}

/// C = A·B for shapes (m, n, k), each stride as (column, row). One thread.
///
/// # Safety
/// The strides must stay inside the slices.
pub(crate) unsafe fn product<T: Real>(
    (m, n, k): (usize, usize, usize),
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
            false,
            a.as_ptr(),
            a_strides.0 as isize,
            a_strides.1 as isize,
            b.as_ptr(),
            b_strides.0 as isize,
            b_strides.1 as isize,
            T::narrow(0.0),
            T::narrow(1.0),
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn convert<S: Real, T: Real>(from: &[S], centre: Option<&[f64]>, d: usize, to: &mut [T]) {
    match centre {
        None => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = T::narrow(from.widen());
            }
        }
        Some(centre) => {
            for (to, from) in to.chunks_exact_mut(d).zip(from.chunks_exact(d)) {
                for ((to, from), centre) in to.iter_mut().zip(from).zip(centre) {
                    *to = T::narrow(from.widen() - centre);
                }
            }
        }
    }
}

/// Σ xₗ² in double precision.
fn squared_norm<T: Real>(row: &[T]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest: f64 = chunks.remainder().iter().map(|x| x.widen() * x.widen()).sum();
    for chunk in chunks {
        for l in 0..LANES {
            sums[l] += chunk[l].widen() * chunk[l].widen();
        }
    }
    sums.iter().sum::<f64>() + rest
}

/// The mean of the points, in double precision.
pub(crate) fn mean(points: &Points) -> Vec<f64> {
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
        Data::F32(v) => add(v, points.dim()),
        Data::F64(v) => add(v, points.dim()),
    };
    sums.into_iter().map(|s| s / points.len() as f64).collect()
}
