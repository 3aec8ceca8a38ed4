//! The order of the tiles: which are computed together, and how their sums are added.
//!
//! Rows and columns are cut into blocks, and the tiles of one block of rows into tasks. How this is done depends on the
//! sizes alone. Tasks run in parallel, a wave at a time, and their results are added in the order of the tasks: so
//! the result does not depend on the number of threads, and memory does not grow with the number of tiles.

use rayon::prelude::*;
use std::ops::Range;

/// Rows and columns of a tile.
pub(super) const BLOCK: usize = 256;

/// Tiles between one block of rows and a range of blocks of columns.
pub(super) struct Task {
    pub row_block: usize,
    pub column_blocks: Range<usize>,
}

impl Task {
    /// The rows of this task out of `n`.
    pub(super) fn rows(&self, n: usize) -> Range<usize> {
        block(self.row_block, n)
    }

    /// The columns of this task out of `m`.
    pub(super) fn columns(&self, m: usize) -> Range<usize> {
        self.column_blocks.start * BLOCK..(self.column_blocks.end * BLOCK).min(m)
    }
}

/// The points of block `index` out of `n`.
pub(super) fn block(index: usize, n: usize) -> Range<usize> {
    index * BLOCK..((index + 1) * BLOCK).min(n)
}

/// All tiles of an n × m matrix; with `triangle` those on and above the diagonal.
pub(super) fn tasks(n: usize, m: usize, triangle: bool) -> Vec<Task> {
    let (rows, columns) = (n.div_ceil(BLOCK), m.div_ceil(BLOCK));
    let span = (rows * columns).div_ceil(128).clamp(1, 16);
    (0..rows)
        .flat_map(|row_block| {
            let first = if triangle { row_block } else { 0 };
            (first..columns)
                .step_by(span)
                .map(move |start| Task { row_block, column_blocks: start..(start + span).min(columns) })
        })
        .collect()
}

/// Runs `work` on every task on the threads of the current pool, `wave` at a time, and gives the results to `add` in
/// order.
pub(super) fn sweep<R: Send>(
    tasks: &[Task],
    wave: usize,
    work: impl Fn(&Task) -> R + Sync,
    mut add: impl FnMut(&Task, R),
) {
    for tasks in tasks.chunks(wave) {
        let results: Vec<R> = tasks.par_iter().map(&work).collect();
        for (task, result) in tasks.iter().zip(results) {
            add(task, result);
        }
    }
}
