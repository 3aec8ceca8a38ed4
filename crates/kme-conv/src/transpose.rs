//! Images with the batch outermost or innermost.

use crate::shared::Shared;
use rayon::prelude::*;

/// Rows and columns that are transposed at a time.
const SIDE: usize = 16;

/// `to[j, i] = from[i, j]`; shapes (rows, columns) and (columns, rows).
pub(crate) fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    assert!(from.len() == rows * columns && to.len() == from.len());
    let to = Shared::new(to);
    let strip = 256;
    (0..columns.div_ceil(strip)).into_par_iter().for_each(|index| {
        let strip = index * strip..((index + 1) * strip).min(columns);
        // SAFETY: the rows of the result that are this strip.
        let to = unsafe { to.part(strip.start * rows, strip.len() * rows) };
        for first_row in (0..rows).step_by(SIDE) {
            let height = SIDE.min(rows - first_row);
            for first in strip.clone().step_by(SIDE) {
                let width = SIDE.min(strip.end - first);
                let at = (first - strip.start) * rows + first_row;
                if height == SIDE && width == SIDE {
                    let block: [[f32; SIDE]; SIDE] = std::array::from_fn(|i| {
                        from[(first_row + i) * columns + first..][..SIDE].try_into().expect("a slice of that length")
                    });
                    for j in 0..SIDE {
                        let row: [f32; SIDE] = std::array::from_fn(|i| block[i][j]);
                        to[at + j * rows..][..SIDE].copy_from_slice(&row);
                    }
                } else {
                    for j in 0..width {
                        for i in 0..height {
                            to[at + j * rows + i] = from[(first_row + i) * columns + first + j];
                        }
                    }
                }
            }
        }
    });
}
