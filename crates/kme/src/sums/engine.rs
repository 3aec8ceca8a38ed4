//! The sums over all tiles, in one precision.

use super::panel::{ColumnPanel, mean};
use super::simd::{Real, vectorised};
use super::sweep::{BLOCK, Task, WAVE, block, sweep, tasks};
use super::tile::{Slopes, SquaredDistances, Sums, Tile};
use super::{CrossMarginals, Panel, WithinMarginals, product};
use crate::kernel::Kernel;
use crate::points::Points;
use std::ops::Range;

/// Blocks of rows in a task, so that the conversion of its columns costs little beside the products.
const TALLEST: usize = 4;

/// What a task adds up: over its rows, over its columns, and the squares.
struct Partial {
    rows: Vec<f64>,
    columns: Vec<f64>,
    squares: f64,
}

/// Row sums with column weights `v`; with an origin also column sums and squares, of the values minus it.
pub(super) fn rectangle<T: Real>(
    kernel: &Kernel,
    x: &Points,
    y: &Points,
    v: &[f64],
    origin: Option<f64>,
) -> CrossMarginals {
    let (n, m) = (x.len(), y.len());
    let centre = centre(kernel, y);
    let ones = [1.0; BLOCK];
    let work = |task: &Task| {
        let columns = task.columns(m);
        let mut partial = Partial {
            rows: vec![0.0; task.rows(n).len()],
            columns: vec![0.0; if origin.is_some() { columns.len() } else { 0 }],
            squares: 0.0,
        };
        for_each_tile::<T>(task, x, y, centre.as_deref(), |place, tile, _| {
            let sums = Sums {
                tile,
                kernel,
                origin: origin.unwrap_or(0.0),
                diagonal: false,
                column_weights: &v[place.columns.clone()],
                rows: &mut partial.rows[place.rows_in_task],
                columns: origin.map(|_| (ones.as_slice(), &mut partial.columns[place.columns_in_task])),
                squares: origin.map(|_| &mut partial.squares),
            };
            vectorised(sums);
        });
        partial
    };
    let mut sums =
        CrossMarginals { rows: vec![0.0; n], columns: vec![0.0; if origin.is_some() { m } else { 0 }], squares: 0.0 };
    sweep(&tasks(n, m, false, TALLEST), WAVE, work, |task, partial| {
        add(&mut sums.rows[task.rows(n)], &partial.rows);
        if origin.is_some() {
            add(&mut sums.columns[task.columns(m)], &partial.columns);
            sums.squares += partial.squares;
        }
    });
    sums
}

/// Row sums with weights `w` without the diagonal, and the diagonal; with an origin also squares, of the values minus it.
pub(super) fn symmetric<T: Real>(kernel: &Kernel, x: &Points, w: &[f64], origin: Option<f64>) -> WithinMarginals {
    let n = x.len();
    let centre = centre(kernel, x);
    let work = |task: &Task| {
        let (rows, columns) = (task.rows(n), task.columns(n));
        let mut partial = Partial { rows: vec![0.0; rows.len()], columns: vec![0.0; columns.len()], squares: 0.0 };
        let mut squares_on_diagonal = 0.0;
        for_each_tile::<T>(task, x, x, centre.as_deref(), |place, tile, _| {
            let diagonal = place.rows == place.columns;
            let squares = if diagonal { &mut squares_on_diagonal } else { &mut partial.squares };
            // A tile off the diagonal stands for its mirror image too.
            let mirrored = || (&w[place.rows.clone()], &mut partial.columns[place.columns_in_task]);
            let sums = Sums {
                tile,
                kernel,
                origin: origin.unwrap_or(0.0),
                diagonal,
                column_weights: &w[place.columns.clone()],
                rows: &mut partial.rows[place.rows_in_task],
                columns: (!diagonal).then(mirrored),
                squares: origin.map(|_| squares),
            };
            vectorised(sums);
        });
        partial.squares = 2.0 * partial.squares + squares_on_diagonal;
        let diagonal = match task.is_first() {
            true => diagonal::<T>(kernel, x, rows, origin.unwrap_or(0.0)),
            false => vec![],
        };
        (partial, diagonal)
    };
    let mut sums = WithinMarginals { rows: vec![0.0; n], diagonal: Vec::with_capacity(n), squares: 0.0 };
    sweep(&tasks(n, n, true, TALLEST), WAVE, work, |task, (partial, diagonal)| {
        add(&mut sums.rows[task.rows(n)], &partial.rows);
        add(&mut sums.rows[task.columns(n)], &partial.columns);
        sums.squares += partial.squares;
        sums.diagonal.extend(diagonal);
    });
    sums
}

/// k(xᵢ,xᵢ) − origin, from norms without a centre, in double precision.
pub(super) fn diagonal<T: Real>(kernel: &Kernel, x: &Points, rows: Range<usize>, origin: f64) -> Vec<f64> {
    Panel::<T>::new(x, rows, None).norms.iter().map(|xx| kernel.diagonal(&xx.widen()) - origin).collect()
}

/// Σⱼ vⱼ ∇ₓk(xᵢ,yⱼ), shape (n, d).
pub(super) fn gradients<T: Real>(kernel: &Kernel, x: &Points, y: &Points, v: &[f64]) -> Vec<f64> {
    let (n, m, d) = (x.len(), y.len(), x.dim());
    let centre = centre(kernel, y);
    let work = |task: &Task| {
        let rows = task.rows(n).len();
        let mut gradients = vec![0.0; rows * d];
        let mut along_x = vec![0.0; rows];
        let mut part = vec![T::default(); BLOCK * d];
        for_each_tile::<T>(task, x, y, centre.as_deref(), |place, Tile { dots, xx, yy }, right| {
            let (rows, columns) = (place.rows.len(), place.columns.len());
            let slopes = &mut along_x[place.rows_in_task.clone()];
            let tile = Tile { dots: &mut *dots, xx, yy };
            vectorised(Slopes { tile, kernel, column_weights: &v[place.columns], rows: slopes });
            let part = &mut part[..rows * d];
            // SAFETY: dots is (rows, columns), the panel (d, columns) and part (rows, d), each row after row.
            unsafe {
                product((rows, d, columns), part, (1, d), dots, (1, columns), &right.data, (columns, 1));
            }
            let place = place.rows_in_task;
            for (sum, part) in gradients[place.start * d..place.end * d].iter_mut().zip(&*part) {
                *sum += part.widen();
            }
        });
        let left = Panel::<T>::new(x, task.rows(n), centre.as_deref());
        for ((gradient, x), slope) in gradients.chunks_exact_mut(d).zip(left.data.chunks_exact(d)).zip(&along_x) {
            for (gradient, x) in gradient.iter_mut().zip(x) {
                *gradient += 2.0 * slope * x.widen();
            }
        }
        gradients
    };
    let mut gradients = vec![0.0; n * d];
    // Each result is a block of gradients, so few of them are held at a time.
    let wave = ((1 << 24) / (BLOCK * d)).clamp(16, WAVE);
    sweep(&tasks(n, m, false, 1), wave, work, |task, part| {
        let rows = task.rows(n);
        add(&mut gradients[rows.start * d..rows.end * d], &part);
    });
    gradients
}

/// ‖xᵢ−xⱼ‖ for all i < j, in double precision.
pub(super) fn distances(x: &Points) -> Vec<f64> {
    let n = x.len();
    let centre = mean(x);
    let work = |task: &Task| {
        let mut found = Vec::new();
        for_each_tile::<f64>(task, x, x, Some(&centre), |place, Tile { dots, xx, yy }, _| {
            vectorised(SquaredDistances(Tile { dots: &mut *dots, xx, yy }));
            for (i, row) in dots.chunks_exact(place.columns.len()).enumerate() {
                let first = if place.rows == place.columns { i + 1 } else { 0 };
                found.extend(row[first..].iter().map(|r| r.sqrt()));
            }
        });
        found
    };
    let mut all = Vec::with_capacity(n * (n - 1) / 2);
    sweep(&tasks(n, n, true, TALLEST), WAVE, work, |_, found| all.extend(found));
    all
}

/// Where a tile lies.
struct Place {
    rows: Range<usize>,
    columns: Range<usize>,
    rows_in_task: Range<usize>,
    columns_in_task: Range<usize>,
}

/// Calls `f` with every tile of the task: where it is, its inner products, and the panel of its columns.
fn for_each_tile<T: Real>(
    task: &Task,
    x: &Points,
    y: &Points,
    centre: Option<&[f64]>,
    mut f: impl FnMut(Place, Tile<'_, T>, &ColumnPanel<T>),
) {
    let (n, m) = (x.len(), y.len());
    let (task_rows, task_columns) = (task.rows(n), task.columns(m));
    let left = Panel::<T>::new(x, task_rows.clone(), centre);
    let mut dots = vec![T::default(); BLOCK.min(task_rows.len()) * BLOCK.min(task_columns.len())];
    let mut right = ColumnPanel::<T>::default();
    for column in task.column_blocks.clone() {
        let columns = block(column, m);
        right.read(y, columns.clone(), centre);
        for row in task.row_blocks_at(column) {
            let rows = block(row, n);
            let place = Place {
                rows_in_task: rows.start - task_rows.start..rows.end - task_rows.start,
                columns_in_task: columns.start - task_columns.start..columns.end - task_columns.start,
                rows,
                columns: columns.clone(),
            };
            let dots = &mut dots[..place.rows.len() * columns.len()];
            left.inner_products(place.rows_in_task.clone(), &right, dots);
            let tile = Tile { dots, xx: &left.norms[place.rows_in_task.clone()], yy: &right.norms };
            f(place, tile, &right);
        }
    }
}

/// The point that is moved to the origin, where the kernel allows it.
fn centre(kernel: &Kernel, y: &Points) -> Option<Vec<f64>> {
    kernel.is_radial().then(|| mean(y))
}

fn add(sums: &mut [f64], parts: &[f64]) {
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum += part;
    }
}
