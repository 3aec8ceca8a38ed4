//! Distances of points that are near one another, beside how far they are from the origin, from the points themselves.

use super::simd::{Real, Work, vectorised};
use crate::arith::Lane;
use crate::points::{DataView, PointsView};
use std::ops::Range;

/// The points of a tile, as they were before they were moved and rounded.
#[derive(Clone, Copy)]
pub(crate) struct Near<'a> {
    pub x: PointsView<'a>,
    pub y: PointsView<'a>,
    /// The place of the tile's first row among the x.
    pub first_row: usize,
    /// The place of its first column among the y.
    pub first_column: usize,
    /// A squared distance, in place of all larger ones.
    pub farthest: f64,
}

impl Near<'_> {
    /// Computes again the squared distances of row `i` to `columns`.
    #[inline(never)]
    pub(super) fn mend<T: Real>(&self, i: usize, columns: &[usize], squares: &mut [T]) {
        let row = self.first_row + i;
        for_each_square(self.x, row, self.y, self.first_column, columns, |j, square| {
            squares[j] = T::narrow(if square < self.farthest { square } else { self.farthest });
        });
    }
}

/// ‖xᵢ − yⱼ‖² from the differences of the coordinates, in double precision; the same for the two the other way round.
pub(crate) fn squared_distance(x: PointsView, i: usize, y: PointsView, j: usize) -> f64 {
    let mut found = 0.0;
    for_each_square(x, i, y, j, &[0], |_, square| found = square);
    found
}

/// Calls `found` with each of `columns` and the squared distance of xᵢ to the y at `first` plus it.
fn for_each_square(
    x: PointsView,
    i: usize,
    y: PointsView,
    first: usize,
    columns: &[usize],
    found: impl FnMut(usize, f64),
) {
    let d = x.dim();
    let row: Range<usize> = i * d..(i + 1) * d;
    match (x.data(), y.data()) {
        (DataView::F64(x), DataView::F64(y)) => vectorised(Squares { x: &x[row], y: &y[first * d..], columns, found }),
        (DataView::F64(x), DataView::F32(y)) => vectorised(Squares { x: &x[row], y: &y[first * d..], columns, found }),
        (DataView::F32(x), DataView::F64(y)) => vectorised(Squares { x: &x[row], y: &y[first * d..], columns, found }),
        (DataView::F32(x), DataView::F32(y)) => vectorised(Squares { x: &x[row], y: &y[first * d..], columns, found }),
    }
}

struct Squares<'a, X, Y, F> {
    x: &'a [X],
    y: &'a [Y],
    columns: &'a [usize],
    found: F,
}

impl<X: Real, Y: Real, F: FnMut(usize, f64)> Work for Squares<'_, X, Y, F> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        const WIDTH: usize = 16;
        let d = self.x.len();
        for &j in self.columns {
            let y = &self.y[j * d..(j + 1) * d];
            let (mut x, mut y) = (self.x.chunks_exact(WIDTH), y.chunks_exact(WIDTH));
            let mut sums = [0.0; WIDTH];
            for (x, y) in (&mut x).zip(&mut y) {
                for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
                    let difference = x.widen() - y.widen();
                    *sum = Lane::<f64, FMA>::mul_add(difference, difference, *sum);
                }
            }
            for ((sum, x), y) in sums.iter_mut().zip(x.remainder()).zip(y.remainder()) {
                let difference = x.widen() - y.widen();
                *sum = Lane::<f64, FMA>::mul_add(difference, difference, *sum);
            }
            (self.found)(j, sums.into_iter().sum());
        }
    }
}
