//! The order of the tiles: which are computed together, and how their sums are added.
//!
//! Rows and columns are cut into blocks, and the tiles between a few blocks of rows and a few blocks of columns form a
//! task. How this is done depends on the sizes alone. Tasks run in parallel, a wave at a time, and their results are
//! added in the order of the tasks: so the result does not depend on the number of threads, and memory does not grow
//! with the number of tiles.

use rayon::prelude::*;
use std::ops::Range;

/// Rows and columns of a tile: a tile and its two panels stay in the second-level cache.
pub(super) const BLOCK: usize = 256;

/// Tasks of one wave, unless their results are large.
pub(super) const WAVE: usize = 256;

/// The tiles between some blocks of rows and some blocks of columns.
#[derive(Clone)]
pub(super) struct Task {
    pub row_blocks: Range<usize>,
    pub column_blocks: Range<usize>,
    /// Whether tiles below the diagonal are left out.
    triangle: bool,
}

impl Task {
    /// The rows of this task out of `n`.
    pub(super) fn rows(&self, n: usize) -> Range<usize> {
        self.row_blocks.start * BLOCK..(self.row_blocks.end * BLOCK).min(n)
    }

    /// The columns of this task out of `m`.
    pub(super) fn columns(&self, m: usize) -> Range<usize> {
        self.column_blocks.start * BLOCK..(self.column_blocks.end * BLOCK).min(m)
    }

    /// The blocks of rows that have a tile in the block `column` of columns.
    pub(super) fn row_blocks_at(&self, column: usize) -> Range<usize> {
        let end = if self.triangle { self.row_blocks.end.min(column + 1) } else { self.row_blocks.end };
        self.row_blocks.start..end
    }

    /// Whether this is the first task of its rows.
    pub(super) fn is_first(&self) -> bool {
        self.column_blocks.start == if self.triangle { self.row_blocks.start } else { 0 }
    }
}

/// The points of block `index` out of `n`.
pub(super) fn block(index: usize, n: usize) -> Range<usize> {
    index * BLOCK..((index + 1) * BLOCK).min(n)
}

/// All tiles of an n × m matrix, at most `tallest` blocks of rows in a task; with `triangle` the tiles on and above the
/// diagonal.
///
/// A panel of columns is converted once for all rows of a task and the other way round, so tasks are as large as leaves
/// about 64 of them.
pub(super) fn tasks(n: usize, m: usize, triangle: bool, tallest: usize) -> Vec<Task> {
    let (rows, columns) = (n.div_ceil(BLOCK), m.div_ceil(BLOCK));
    let height = (rows / 8).clamp(1, tallest);
    let span = (rows.div_ceil(height) * columns).div_ceil(64).clamp(1, 16);
    let mut tasks = Vec::new();
    for row in (0..rows).step_by(height) {
        let first = if triangle { row } else { 0 };
        for column in (first..columns).step_by(span) {
            let row_blocks = row..(row + height).min(rows);
            tasks.push(Task { row_blocks, column_blocks: column..(column + span).min(columns), triangle });
        }
    }
    tasks
}

/// Runs `work` on every task on the threads of the current pool, `wave` at a time, and gives the results to `add` in
/// order.
pub(super) fn sweep<K: Sync, R: Send>(
    tasks: &[K],
    wave: usize,
    work: impl Fn(&K) -> R + Sync,
    mut add: impl FnMut(&K, R),
) {
    for tasks in tasks.chunks(wave) {
        let results: Vec<R> = tasks.par_iter().map(&work).collect();
        for (task, result) in tasks.iter().zip(results) {
            add(task, result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tile_is_in_one_task() {
        for (n, m) in [(1, 1), (256, 257), (700, 5000), (5000, 700), (20_000, 9000), (300, 100_000)] {
            for tallest in [1, 4] {
                for triangle in [false, true] {
                    let (n, m) = (n, if triangle { n } else { m });
                    let mut found = Vec::new();
                    let mut first = Vec::new();
                    for task in tasks(n, m, triangle, tallest) {
                        for column in task.column_blocks.clone() {
                            found.extend(task.row_blocks_at(column).map(|row| (row, column)));
                        }
                        first.extend(task.is_first().then(|| task.row_blocks.clone()).into_iter().flatten());
                    }
                    found.sort_unstable();
                    let columns = |row| if triangle { row } else { 0 }..m.div_ceil(BLOCK);
                    let rows = 0..n.div_ceil(BLOCK);
                    let all: Vec<(usize, usize)> = rows.clone().flat_map(|r| columns(r).map(move |c| (r, c))).collect();
                    assert_eq!(found, all, "{n} {m} {tallest} {triangle}");
                    assert_eq!(first, rows.collect::<Vec<_>>());
                }
            }
        }
    }
}
