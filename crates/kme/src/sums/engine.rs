//! The sums over all tiles, in one precision.

use super::frame::Frame;
use super::sides::{Place, Sides};
use super::simd::{Real, vectorised};
use super::sweep::{BLOCK, Task, WAVE, sweep, tasks};
use super::tile::{Slopes, SquaredDistances, Sums};
use super::{CrossMarginals, Panel, Precision, WithinMarginals, product};
use crate::kernel::Kernel;
use crate::points::PointsView;
use std::ops::Range;

/// Blocks of rows in a task, so that the conversion of its columns costs little beside the products.
const TALLEST: usize = 4;

/// What a task adds up: over its rows, over its columns, and the squares.
struct Partial {
    rows: Vec<f64>,
    columns: Vec<f64>,
    squares: f64,
}

/// Row sums with column weights `v` of the values minus the origin of their row; if asked for, also column sums and squares
/// of them.
pub(super) fn rectangle<T: Real>(frame: &Frame, v: &[f64], origins: &[f64], marginals: bool) -> CrossMarginals {
    let (n, m) = (frame.x().len(), frame.y().len());
    let kernel = frame.kernel();
    let sides = Sides::<T>::new(frame);
    let ones = [1.0; BLOCK];
    let work = |task: &Task| {
        let columns = task.columns(m);
        let mut partial = Partial {
            rows: vec![0.0; task.rows(n).len()],
            columns: vec![0.0; if marginals { columns.len() } else { 0 }],
            squares: 0.0,
        };
        sides.for_each_tile(task, |place, tile, _, _| {
            let sums = Sums {
                tile,
                kernel,
                origins: &origins[place.rows.clone()],
                diagonal: false,
                column_weights: &v[place.columns.clone()],
                rows: &mut partial.rows[place.rows_in_task],
                columns: marginals.then(|| (ones.as_slice(), &mut partial.columns[place.columns_in_task])),
                squares: marginals.then_some(&mut partial.squares),
            };
            vectorised(sums);
        });
        partial
    };
    let mut sums =
        CrossMarginals { rows: vec![0.0; n], columns: vec![0.0; if marginals { m } else { 0 }], squares: 0.0 };
    sweep(&tasks(n, m, false, TALLEST), WAVE, work, |task, partial| {
        add(&mut sums.rows[task.rows(n)], &partial.rows);
        if marginals {
            add(&mut sums.columns[task.columns(m)], &partial.columns);
            sums.squares += partial.squares;
        }
    });
    sums
}

/// Row sums with weights `w` without the diagonal, and the diagonal; with an origin also squares, of the values minus it.
pub(super) fn symmetric<T: Real>(frame: &Frame, w: &[f64], origin: Option<f64>) -> WithinMarginals {
    let n = frame.x().len();
    let kernel = frame.kernel();
    let sides = Sides::<T>::new(frame);
    let origins = [origin.unwrap_or(0.0); BLOCK];
    let work = |task: &Task| {
        let (rows, columns) = (task.rows(n), task.columns(n));
        let mut partial = Partial { rows: vec![0.0; rows.len()], columns: vec![0.0; columns.len()], squares: 0.0 };
        let mut squares_on_diagonal = 0.0;
        sides.for_each_tile(task, |place, tile, _, _| {
            let diagonal = place.rows == place.columns;
            let squares = if diagonal { &mut squares_on_diagonal } else { &mut partial.squares };
            // A tile off the diagonal stands for its mirror image too.
            let mirrored = || (&w[place.rows.clone()], &mut partial.columns[place.columns_in_task]);
            let sums = Sums {
                tile,
                kernel,
                origins: &origins,
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
            true => diagonal::<T>(kernel, frame.x(), rows, frame.centre.as_deref(), origin.unwrap_or(0.0)),
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

/// k(xᵢ,xᵢ) − origin, in double precision, from norms.
pub(super) fn diagonal<T: Real>(
    kernel: &Kernel,
    x: PointsView,
    rows: Range<usize>,
    centre: Option<&[f64]>,
    origin: f64,
) -> Vec<f64> {
    Panel::<T>::new(x, rows, centre).norms.iter().map(|xx| kernel.diagonal(&xx.widen()) - origin).collect()
}

/// Σⱼ vⱼ ∇ₓk(xᵢ,yⱼ), shape (n, d), and Σⱼ vⱼ ∂k/∂‖x‖²(xᵢ,yⱼ), shape (n).
///
/// Terms of points that are near one another, beside how far they are from the centre, are added from their differences.
pub(super) fn gradients<T: Real>(frame: &Frame, v: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let (x, y, kernel) = (frame.x(), frame.y(), frame.kernel());
    let (n, m, d) = (x.len(), y.len(), x.dim());
    let sides = Sides::<T>::moved(frame);
    let work = |task: &Task| {
        let rows = task.rows(n).len();
        let mut gradients = vec![0.0; rows * d];
        let mut all_along_x = vec![0.0; rows];
        let mut along_x = vec![0.0; BLOCK];
        let mut part = vec![T::default(); BLOCK * d];
        let mut apart = Vec::new();
        sides.for_each_tile(task, |place, mut tile, left, right| {
            let (rows, columns) = (place.rows.len(), place.columns.len());
            let along_x = &mut along_x[..rows];
            along_x.fill(0.0);
            apart.clear();
            let column_weights = &v[place.columns.clone()];
            vectorised(Slopes { tile: tile.reborrow(), kernel, column_weights, rows: along_x, apart: &mut apart });
            let part = &mut part[..rows * d];
            // SAFETY: the entries are (rows, columns), the panel (d, columns) and part (rows, d), each row after row.
            unsafe {
                product((rows, d, columns), part, (1, d), tile.entries, (1, columns), &right.data, (columns, 1));
            }
            let first = place.rows_in_task.start;
            add(&mut all_along_x[first..], along_x);
            for &(i, j, slope) in &apart {
                all_along_x[first + i] -= 0.5 * slope;
                let (from, to) = ((place.rows.start + i) * d, (place.columns.start + j) * d);
                for (k, sum) in gradients[(first + i) * d..][..d].iter_mut().enumerate() {
                    *sum += slope * (y.data().get(to + k) - x.data().get(from + k));
                }
            }
            let gradients = gradients[first * d..].chunks_exact_mut(d);
            let rows = gradients.zip(part.chunks_exact(d)).zip(left.data.chunks_exact(d)).zip(&*along_x);
            for (((gradient, part), x), along_x) in rows {
                for ((sum, part), x) in gradient.iter_mut().zip(part).zip(x) {
                    *sum += part.widen() + 2.0 * along_x * x.widen();
                }
            }
        });
        (gradients, all_along_x)
    };
    let (mut gradients, mut along_x) = (vec![0.0; n * d], vec![0.0; n]);
    // Each result is a block of gradients, so few of them are held at a time. They are added in the order of the tasks,
    // so their number may depend on that of the threads.
    let wave = ((1 << 24) / (BLOCK * d)).clamp(rayon::current_num_threads().min(WAVE), WAVE);
    sweep(&tasks(n, m, false, 1), wave, work, |task, (part, part_along_x)| {
        let rows = task.rows(n);
        add(&mut along_x[rows.clone()], &part_along_x);
        add(&mut gradients[rows.start * d..rows.end * d], &part);
    });
    // k(x) is the scaled kernel at unit·x.
    if frame.unit != 1.0 {
        gradients.iter_mut().for_each(|g| *g *= frame.unit);
        along_x.iter_mut().for_each(|slope| *slope *= frame.unit * frame.unit);
    }
    (gradients, along_x)
}

/// ‖xᵢ−xⱼ‖ for all i < j, in double precision.
pub(super) fn distances(x: PointsView) -> Vec<f64> {
    let n = x.len();
    let frame = Frame::of_distances(x, None, Precision::F64);
    let sides = Sides::<f64>::new(&frame);
    let work = |task: &Task| {
        let mut found = Vec::new();
        sides.for_each_tile(task, |place, mut tile, _, _| {
            vectorised(SquaredDistances { tile: tile.reborrow(), diagonal: place.rows == place.columns });
            for (i, row) in tile.entries.chunks_exact(place.columns.len()).enumerate() {
                let first = if place.rows == place.columns { i + 1 } else { 0 };
                found.extend(row[first..].iter().map(|r| r.sqrt() / frame.unit));
            }
        });
        found
    };
    let mut all = Vec::with_capacity(n * (n - 1) / 2);
    sweep(&tasks(n, n, true, TALLEST), WAVE, work, |_, found| all.extend(found));
    all
}

/// Squared distances of a tile, with where it lies.
pub(crate) struct Distances<'a, T> {
    pub rows: Range<usize>,
    pub columns: Range<usize>,
    pub rows_in_task: Range<usize>,
    pub columns_in_task: Range<usize>,
    /// ‖xᵢ−yⱼ‖², shape (rows, columns), with the relative error that the documentation of [`sums`](super) gives.
    pub squared: &'a [T],
}

/// Calls `visit` with all squared distances, tile by tile, and `add` with what came of each task, in their order; of
/// one sample only tiles on and above the diagonal.
///
/// The state of a task starts as `start(rows, columns)` of the numbers of its points.
pub(crate) fn for_each_distance<T: Real, R: Send>(
    frame: &Frame,
    start: impl Fn(usize, usize) -> R + Sync,
    visit: impl Fn(&mut R, Distances<T>) + Sync,
    mut add: impl FnMut(Range<usize>, Range<usize>, R),
) {
    let triangle = !frame.has_two();
    let (n, m) = (frame.x().len(), frame.y().len());
    let sides = Sides::<T>::new(frame);
    let work = |task: &Task| {
        let mut state = start(task.rows(n).len(), task.columns(m).len());
        sides.for_each_tile(task, |place, mut tile, _, _| {
            let diagonal = triangle && place.rows == place.columns;
            vectorised(SquaredDistances { tile: tile.reborrow(), diagonal });
            let Place { rows, columns, rows_in_task, columns_in_task } = place;
            visit(&mut state, Distances { rows, columns, rows_in_task, columns_in_task, squared: tile.entries });
        });
        state
    };
    // States may be large, so few of them are held at a time. They are added in the order of the tasks, so their number may
    // depend on that of the threads.
    let wave = (4 * rayon::current_num_threads()).min(WAVE);
    sweep(&tasks(n, m, triangle, TALLEST), wave, work, |task, state| add(task.rows(n), task.columns(m), state));
}

fn add(sums: &mut [f64], parts: &[f64]) {
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum += part;
    }
}
