//! Dense matrices in double precision: products by strips on all threads, and two factorisations.

use crate::sums;
use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::{cholesky, evd};
use faer::{Mat, MatRef, Par};
use rayon::prelude::*;

/// Row after row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub data: Vec<f64>,
}

/// Rows of a product that are one task. Each is computed by one thread, so the number of threads changes no bit.
const STRIP: usize = 64;

impl Matrix {
    pub(super) fn new(rows: usize, columns: usize, data: Vec<f64>) -> Self {
        assert_eq!(data.len(), rows * columns);
        Self { rows, columns, data }
    }

    pub(super) fn row(&self, i: usize) -> &[f64] {
        &self.data[i * self.columns..][..self.columns]
    }

    /// A·B
    pub(super) fn times(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows);
        self.product(other, other.columns, (1, other.columns))
    }

    /// A·Bᵀ
    pub(super) fn times_transposed(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.columns);
        self.product(other, other.rows, (other.columns, 1))
    }

    /// The product with the matrix of `columns` columns in `other`, whose strides are (column, row).
    fn product(&self, other: &Self, columns: usize, strides: (usize, usize)) -> Self {
        let k = self.columns;
        let mut data = vec![0.0; self.rows * columns];
        if !data.is_empty() && k > 0 {
            data.par_chunks_mut(STRIP * columns).zip(self.data.par_chunks(STRIP * k)).for_each(|(out, a)| {
                // SAFETY: out is (rows, columns) and a is (rows, k), row after row; the strides are those of `other`.
                unsafe {
                    sums::product((out.len() / columns, columns, k), out, (1, columns), a, (1, k), &other.data, strides)
                };
            });
        }
        Self::new(self.rows, columns, data)
    }

    /// For a symmetric matrix: the eigenvalues, ascending, and an orthonormal basis of eigenvectors, one a row. None when it
    /// does not converge, which takes numbers that are not finite.
    pub(super) fn eigen(&self) -> Option<(Vec<f64>, Self)> {
        assert_eq!(self.rows, self.columns);
        let n = self.rows;
        let (mut values, mut vectors) = (Diag::<f64>::zeros(n), Mat::<f64>::zeros(n, n));
        // More threads would save little here, and could change bits.
        let par = Par::Seq;
        let scratch = evd::self_adjoint_evd_scratch::<f64>(n, evd::ComputeEigenvectors::Yes, par, Default::default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        let matrix = MatRef::from_row_major_slice(&self.data, n, n);
        evd::self_adjoint_evd(matrix, values.as_mut(), Some(vectors.as_mut()), par, stack, Default::default()).ok()?;
        // Columns one after another are rows of the transpose.
        let rows = (0..n).flat_map(|j| vectors.col_as_slice(j).iter().copied()).collect();
        Some((values.column_vector().iter().copied().collect(), Self::new(n, n, rows)))
    }

    /// F with FᵀF equal to this symmetric matrix, as far as it is positive semi-definite: by Cholesky's factorisation
    /// with the largest pivot first, which ends at the numerical rank. Shape (rank, n).
    pub(super) fn into_factor(self) -> Self {
        assert_eq!(self.rows, self.columns);
        let n = self.rows;
        // The lower triangle is replaced by the factor's.
        let mut lower = Mat::from_fn(n, n, |i, j| self.data[i * n + j]);
        drop(self);
        let (mut order, mut inverse) = (vec![0_usize; n], vec![0_usize; n]);
        let par = Par::Seq;
        let scratch =
            cholesky::llt_pivoting::factor::cholesky_in_place_scratch::<usize, f64>(n, par, Default::default());
        let mut memory = MemBuffer::new(scratch);
        let stack = MemStack::new(&mut memory);
        let (lower_mut, params) = (lower.as_mut(), Default::default());
        let rank =
            cholesky::llt_pivoting::factor::cholesky_in_place(lower_mut, &mut order, &mut inverse, par, stack, params)
                // No pivot is positive: the matrix is 0.
                .map_or(0, |(info, _)| info.rank);
        let mut factor = vec![0.0; rank * n];
        for k in 0..rank {
            for j in k..n {
                factor[k * n + order[j]] = lower[(j, k)];
            }
        }
        Self::new(rank, n, factor)
    }
}

/// The eigenvalues of a symmetric n × n matrix (row after row), ascending, and an orthonormal basis of eigenvectors, one a
/// row. None when it has an entry that is not finite.
///
/// # Panics
/// When `matrix` does not have n² entries.
pub fn symmetric_eigen(n: usize, matrix: &[f64]) -> Option<(Vec<f64>, Vec<f64>)> {
    let (values, vectors) = Matrix::new(n, n, matrix.to_vec()).eigen()?;
    values.iter().all(|v| v.is_finite()).then_some((values, vectors.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_and_eigenvectors_give_the_matrix_back() {
        // Rank 3 in 5 dimensions, with a zero row and column.
        let f =
            Matrix::new(3, 5, (0..15).map(|i| if i % 5 == 2 { 0.0 } else { (f64::from(i * i) * 0.7).sin() }).collect());
        let transposed = Matrix::new(5, 3, (0..15).map(|i| f.data[(i % 3) * 5 + i / 3]).collect());
        let matrix = transposed.times(&f);
        let factor = matrix.clone().into_factor();
        assert_eq!((factor.rows, factor.columns), (3, 5));
        let squared = Matrix::new(5, 3, (0..15).map(|i| factor.data[(i % 3) * 5 + i / 3]).collect()).times(&factor);
        let (values, vectors) = matrix.eigen().unwrap();
        let projected = vectors.times(&matrix).times_transposed(&vectors);
        for (i, value) in values.iter().enumerate() {
            for j in 0..5 {
                assert!((squared.row(i)[j] - matrix.row(i)[j]).abs() < 1e-14);
                let expected = if i == j { *value } else { 0.0 };
                assert!((projected.row(i)[j] - expected).abs() < 1e-14);
            }
        }
        assert_eq!(Matrix::new(2, 2, vec![0.0; 4]).into_factor().rows, 0);
    }
}
