//! Single rows and chosen tiles of the matrix of kernel values of one sample, for what chooses points one after another.

use super::frame::Frame;
use super::near::Near;
use super::panel::ColumnPanel;
use super::simd::{Work, vectorised};
use super::sweep::{BLOCK, block};
use super::tile::{Entries, Sums, Tile, Values};
use super::{Panel, Precision, finite_or_too_large};
use crate::Result;
use crate::arith::Lane;
use crate::kernel::Kernel;
use crate::points::{Points, PointsView};
use rayon::prelude::*;

/// Numbers of points times dimensions below which a row is not worth a second thread.
const SERIAL: usize = 1 << 16;

/// The Gram matrix k(xᵢ,xⱼ) of a sample, of which only what is asked for is computed: in double precision, the same for
/// any number of threads.
///
/// It holds the points a second time, in double precision and laid out for reading rows.
pub(crate) struct Gram<'a> {
    kernel: &'a Kernel,
    frame: Frame<'a>,
    columns: Vec<ColumnPanel<f64>>,
}

impl<'a> Gram<'a> {
    pub(crate) fn new(kernel: &'a Kernel, points: PointsView<'a>) -> Self {
        let frame = Frame::new(kernel.into(), points, None, Precision::F64);
        let column = |b: usize| {
            let mut panel = ColumnPanel::default();
            panel.read(frame.x(), block(b, points.len()), frame.centre.as_deref());
            panel
        };
        let columns = (0..points.len().div_ceil(BLOCK)).into_par_iter().map(column).collect();
        Self { kernel, frame, columns }
    }

    /// Calls `f` for every block of points with the place of its first one, the values k(xᵢ,·) there, and the block's part
    /// of `state`; the results are in the order of the blocks.
    ///
    /// *Shapes*: state (n).
    pub(crate) fn row<R: Send>(
        &self,
        i: usize,
        state: &mut [f64],
        f: impl Fn(usize, &[f64], &mut [f64]) -> R + Sync,
    ) -> Vec<R> {
        let x = Panel::<f64>::new(self.frame.x(), i..i + 1, self.frame.centre.as_deref());
        let one = |(b, (columns, state)): (usize, (&ColumnPanel<f64>, &mut [f64]))| {
            let mut values = [0.0; BLOCK];
            let values = &mut values[..state.len()];
            let near = self.near(self.frame.x(), i, self.frame.x(), b * BLOCK);
            vectorised(Row { kernel: self.frame.kernel(), x: &x, columns, near, values: &mut *values });
            f(b * BLOCK, values, state)
        };
        // What a second thread costs is a few microseconds.
        let least = SERIAL.div_ceil(BLOCK * (x.d + 16));
        self.columns.par_iter().zip(state.par_chunks_mut(BLOCK)).enumerate().with_min_len(least).map(one).collect()
    }

    /// k(xᵢ,xⱼ) for i in `rows` and j in `columns`, row after row.
    pub(crate) fn tile(&self, rows: &[usize], columns: &[usize]) -> Result<Vec<f64>> {
        let ((x, left), (y, right)) = (self.rows(rows)?, self.chosen(columns)?);
        let mut entries = vec![0.0; rows.len() * columns.len()];
        left.inner_products(&right, &mut entries);
        let mut values = vec![0.0; entries.len()];
        let near = self.near(x.view(), 0, y.view(), 0);
        let what = Entries::Products;
        let tile = Tile { entries: &mut entries, what, xx: &left.norms, yy: &right.norms, differences: None, near };
        vectorised(Values { tile, kernel: self.frame.kernel(), origin: 0.0, diagonal: false, values: &mut values });
        Ok(values)
    }

    /// Σⱼ vⱼ k(xᵢ,xⱼ) over j in `columns` for each i in `rows`: shape (rows).
    ///
    /// *Shapes*: v (columns).
    pub(crate) fn sums(&self, rows: &[usize], columns: &[usize], v: &[f64]) -> Result<Vec<f64>> {
        let (x, left) = self.rows(rows)?;
        let origins = [0.0; BLOCK];
        let part = |(columns, v): (&[usize], &[f64])| {
            let (y, right) = self.chosen(columns)?;
            let mut sums = vec![0.0; rows.len()];
            let mut entries = vec![0.0; BLOCK * columns.len()];
            for first in (0..rows.len()).step_by(BLOCK) {
                let place = first..(first + BLOCK).min(rows.len());
                let entries = &mut entries[..place.len() * columns.len()];
                left.inner_products_of(place.clone(), &right, entries);
                let near = self.near(x.view(), first, y.view(), 0);
                let xx = &left.norms[place.clone()];
                vectorised(Sums {
                    tile: Tile { entries, what: Entries::Products, xx, yy: &right.norms, differences: None, near },
                    kernel: self.frame.kernel(),
                    origins: &origins,
                    diagonal: false,
                    column_weights: v,
                    rows: &mut sums[place],
                    columns: None,
                    squares: None,
                });
            }
            Ok(sums)
        };
        let parts: Vec<Vec<f64>> =
            columns.par_chunks(BLOCK).zip(v.par_chunks(BLOCK)).map(part).collect::<Result<_>>()?;
        let mut sums = vec![0.0; rows.len()];
        for part in parts {
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum += part;
            }
        }
        finite_or_too_large(self.kernel, &sums)?;
        Ok(sums)
    }

    fn rows(&self, rows: &[usize]) -> Result<(Points, Panel<f64>)> {
        let points = self.frame.x().select(rows)?;
        let panel = Panel::new(points.view(), 0..rows.len(), self.frame.centre.as_deref());
        Ok((points, panel))
    }

    fn chosen(&self, columns: &[usize]) -> Result<(Points, ColumnPanel<f64>)> {
        let points = self.frame.x().select(columns)?;
        let mut panel = ColumnPanel::default();
        panel.read(points.view(), 0..columns.len(), self.frame.centre.as_deref());
        Ok((points, panel))
    }

    fn near<'p>(&self, x: PointsView<'p>, first_row: usize, y: PointsView<'p>, first_column: usize) -> Near<'p> {
        Near { x, y, first_row, first_column, farthest: self.frame.farthest }
    }
}

/// The values k(x,yⱼ) of one point x at the columns of a panel.
struct Row<'a> {
    kernel: &'a Kernel,
    x: &'a Panel<f64>,
    columns: &'a ColumnPanel<f64>,
    near: Near<'a>,
    values: &'a mut [f64],
}

impl Work for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.columns.norms.len();
        let mut dots = [0.0; BLOCK];
        let dots = &mut dots[..width];
        let mut rows = self.columns.data.chunks_exact(width);
        let mut x = self.x.data.chunks_exact(4);
        // Four dimensions at a time, since writing the sums costs as much as reading a dimension.
        for x in &mut x {
            let [a, b, c, d] = std::array::from_fn(|_| rows.next().unwrap_or_default());
            for ((((dot, a), b), c), d) in dots.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                let pair = Lane::<f64, FMA>::mul_add(*b, x[1], Lane::<f64, FMA>::mul_add(*a, x[0], *dot));
                *dot = Lane::<f64, FMA>::mul_add(*d, x[3], Lane::<f64, FMA>::mul_add(*c, x[2], pair));
            }
        }
        for (x, row) in x.remainder().iter().zip(rows) {
            for (dot, y) in dots.iter_mut().zip(row) {
                *dot = Lane::<f64, FMA>::mul_add(*y, *x, *dot);
            }
        }
        let (xx, yy) = (&self.x.norms, &self.columns.norms);
        let tile = Tile { entries: dots, what: Entries::Products, xx, yy, differences: None, near: self.near };
        Values { tile, kernel: self.kernel, origin: 0.0, diagonal: false, values: self.values }.run::<FMA>();
    }
}
