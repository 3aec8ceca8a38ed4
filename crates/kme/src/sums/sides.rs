//! The two samples of a sum, converted to panels: the rows and the columns of the tiles.

use super::frame::Frame;
use super::near::Near;
use super::panel::{ColumnPanel, Differences, Panel};
use super::simd::{Real, vectorised};
use super::sweep::{BLOCK, Task, block};
use super::tile::{Entries, MendSquares, Tile};
use crate::kernel::{Form, Kernel};
use crate::points::PointsView;
use rayon::prelude::*;
use std::ops::Range;

/// Bytes up to which a whole side is converted beforehand. A larger one is converted by each task for itself, block by
/// block, which costs time, but no more memory however many points there are.
const WHOLE_SIDE: usize = 128 << 20;

/// Up to this dimension squared distances are summed from differences, which costs no more than matrix products so thin; and
/// without them many points would be near one another.
const FEW_DIMENSIONS: usize = 3;

/// The points whose inner products or squared distances are the tiles.
pub(super) struct Sides<'a, T> {
    x: PointsView<'a>,
    y: PointsView<'a>,
    centre: Option<&'a [f64]>,
    what: Entries,
    /// Whether the panels are farther from the points than rounding of their differences.
    is_rounded: bool,
    /// Whether tiles of inner products have squared distances beside them.
    has_both: bool,
    /// See [`Frame`].
    farthest: f64,
    /// Each block of rows, if they are few.
    rows: Option<Vec<Panel<T>>>,
    /// Each block of columns, if they are few.
    columns: Option<Vec<ColumnPanel<T>>>,
}

/// Where a tile lies.
pub(super) struct Place {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub rows_in_task: Range<usize>,
    pub columns_in_task: Range<usize>,
}

impl<'a, T: Real> Sides<'a, T> {
    /// The rows and columns of a frame, moved by −centre unless nothing is gained by it.
    pub(super) fn new(frame: &'a Frame) -> Self {
        let forms = || frame.kernels.iter().flat_map(Kernel::terms).map(|(_, form)| form);
        let (has_dots, has_distance) = (forms().any(|f| f.degree().is_some()), forms().any(Form::has_distance));
        let is_exact = frame.has_exact_differences();
        let takes_differences = has_distance && frame.x().dim() <= FEW_DIMENSIONS;
        let (what, centre) = match (takes_differences, has_dots) {
            (true, false) => (Entries::Squares, frame.centre.as_deref().filter(|_| !is_exact)),
            _ => (Entries::Products, frame.centre.as_deref()),
        };
        let sides = Self::limited(frame.x(), frame.y(), centre, what, frame.farthest, WHOLE_SIDE);
        Self { is_rounded: takes_differences && !is_exact, has_both: takes_differences && has_dots, ..sides }
    }

    /// The same for sums of the points themselves, which must be moved, beside their distances.
    pub(super) fn moved(frame: &'a Frame) -> Self {
        let is_radial = frame.kernels.iter().all(Kernel::is_radial);
        let what = if is_radial && frame.x().dim() <= FEW_DIMENSIONS { Entries::Squares } else { Entries::Products };
        let sides = Self::limited(frame.x(), frame.y(), frame.centre.as_deref(), what, frame.farthest, WHOLE_SIDE);
        Self { is_rounded: what == Entries::Squares, ..sides }
    }

    /// Converts sides up to `limit` bytes beforehand.
    fn limited(
        x: PointsView<'a>,
        y: PointsView<'a>,
        centre: Option<&'a [f64]>,
        what: Entries,
        farthest: f64,
        limit: usize,
    ) -> Self {
        let is_small = |p: PointsView| p.len() * p.dim() * size_of::<T>() <= limit;
        let blocks = |p: PointsView| (0..p.len().div_ceil(BLOCK)).into_par_iter();
        let from = centre;
        let rows = is_small(x).then(|| blocks(x).map(|b| Panel::new(x, block(b, x.len()), from)).collect());
        let columns = is_small(y).then(|| {
            let columns = blocks(y).map(|b| {
                let mut panel = ColumnPanel::default();
                panel.read(y, block(b, y.len()), from);
                panel
            });
            columns.collect()
        });
        Self { x, y, centre, what, is_rounded: false, has_both: false, farthest, rows, columns }
    }

    /// Calls `f` with every tile of the task: where it is, its entries, and the panels of its rows and columns.
    pub(super) fn for_each_tile(&self, task: &Task, mut f: impl FnMut(Place, Tile<'_, T>, &Panel<T>, &ColumnPanel<T>)) {
        let (n, m) = (self.x.len(), self.y.len());
        let (task_rows, task_columns) = (task.rows(n), task.columns(m));
        let from = self.centre;
        let own: Vec<Panel<T>>;
        let left = match &self.rows {
            Some(all) => &all[task.row_blocks.clone()],
            None => {
                own = task.row_blocks.clone().map(|b| Panel::new(self.x, block(b, n), from)).collect();
                &own
            }
        };
        let mut entries = vec![T::default(); BLOCK.min(task_rows.len()) * BLOCK.min(task_columns.len())];
        let mut own = ColumnPanel::<T>::default();
        for column in task.column_blocks.clone() {
            let columns = block(column, m);
            let right = match &self.columns {
                Some(all) => &all[column],
                None => {
                    own.read(self.y, columns.clone(), from);
                    &own
                }
            };
            for (row, left) in task.row_blocks_at(column).zip(left) {
                let rows = block(row, n);
                let place = Place {
                    rows_in_task: rows.start - task_rows.start..rows.end - task_rows.start,
                    columns_in_task: columns.start - task_columns.start..columns.end - task_columns.start,
                    rows,
                    columns: columns.clone(),
                };
                let entries = &mut entries[..place.rows.len() * columns.len()];
                let near = Near {
                    x: self.x,
                    y: self.y,
                    first_row: place.rows.start,
                    first_column: place.columns.start,
                    farthest: self.farthest,
                };
                let (xx, yy) = (&left.norms[..], &right.norms[..]);
                let mut tile = Tile { entries, what: self.what, xx, yy, differences: None, near };
                let differences = Differences::new(left, right, self.is_rounded);
                match self.what {
                    Entries::Products => {
                        left.inner_products(right, tile.entries);
                        tile.differences = self.has_both.then_some(differences);
                    }
                    Entries::Squares => {
                        differences.squares(tile.entries);
                        if self.is_rounded {
                            vectorised(MendSquares(tile.reborrow()));
                        }
                    }
                }
                f(place, tile, left, right);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sweep::tasks;
    use super::*;
    use crate::points::{Data, Points};

    #[test]
    fn converting_beforehand_changes_nothing() {
        let points =
            |n: usize| Points::new(n, 3, Data::F32((0..3 * n).map(|i| (i as f32 * 0.7).sin()).collect())).unwrap();
        let (x, y) = (points(3000), points(700));
        let tiles = |limit: usize| {
            let sides = Sides::<f64>::limited(
                x.view(),
                y.view(),
                Some(&[0.1, 0.2, 0.3]),
                Entries::Products,
                f64::INFINITY,
                limit,
            );
            assert_eq!((sides.rows.is_some(), sides.columns.is_some()), (limit > 72000, limit >= 16800));
            let mut seen = Vec::new();
            for task in tasks(3000, 700, false, 2) {
                sides.for_each_tile(&task, |place, tile, left, right| {
                    assert_eq!((left.norms.len(), right.norms.len()), (place.rows.len(), place.columns.len()));
                    seen.push((place.rows.start, place.columns.start, tile.entries.to_vec(), tile.xx.to_vec()));
                });
            }
            seen
        };
        let beforehand = tiles(1 << 20);
        assert_eq!(beforehand.len(), 12 * 3);
        assert!(beforehand == tiles(20000) && beforehand == tiles(0));
    }
}
