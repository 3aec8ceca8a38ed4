//! The matrix of columns (im2col), made panel by panel: never whole.
//!
//! A panel is `terms` rows of `WIDTH` neighbouring pixels of the grid; row (c, u, v) holds what tap (u, v) of channel c meets at
//! each of them.

use crate::geometry::Correlation;
use pulp::Simd;
use std::ops::Range;

/// Vectors in a row of a panel.
pub(crate) const VECTORS: usize = 3;

/// Pixels in a panel.
pub(crate) const fn width<S: Simd>() -> usize {
    VECTORS * S::F32_LANES
}

/// Neighbouring pixels of one row of the grid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub image: usize,
    pub row: usize,
    /// Place in the row, in numbers.
    pub from: usize,
    pub len: usize,
    /// Place in the panel.
    pub at: usize,
}

/// The runs of the pixels `range`, counted over all images; no run is longer than a row.
pub(crate) fn runs(corr: &Correlation, range: Range<usize>, into: &mut Vec<Run>) {
    into.clear();
    let row_len = corr.grid[1] * corr.target.inner;
    let first = range.start;
    let mut next = range.start;
    while next < range.end {
        let (image, rest) = (next / corr.pixels(), next % corr.pixels());
        let (row, from) = (rest / row_len, rest % row_len);
        let len = (row_len - from).min(range.end - next);
        into.push(Run { image, row, from, len, at: next - first });
        next += len;
    }
}

/// Writes the rows `terms` of the panel of the pixels in `runs`; what lies beyond the last run is left as it is.
#[inline(always)]
pub(crate) fn pack<S: Simd>(
    simd: S,
    corr: &Correlation,
    source: &[f32],
    runs: &[Run],
    terms: Range<usize>,
    panel: &mut [f32],
) {
    if terms.is_empty() {
        return;
    }
    let taps = corr.taps[0] * corr.taps[1];
    let (mut c, mut u, mut v) = (terms.start / taps, terms.start % taps / corr.taps[1], terms.start % corr.taps[1]);
    for row in panel[..terms.len() * width::<S>()].chunks_exact_mut(width::<S>()) {
        for run in runs {
            let y = (run.row * corr.step[0] + u) as isize + corr.first[0];
            copy(simd, corr, source, run, [c, v], y, &mut row[run.at..run.at + run.len]);
        }
        v += 1;
        if v == corr.taps[1] {
            (u, v) = (u + 1, 0);
        }
        if u == corr.taps[0] {
            (c, u) = (c + 1, 0);
        }
    }
}

/// What tap v of channel c meets in row y of the source along a run.
#[inline(always)]
fn copy<S: Simd>(
    simd: S,
    corr: &Correlation,
    source: &[f32],
    run: &Run,
    [c, v]: [usize; 2],
    y: isize,
    row: &mut [f32],
) {
    let [height, columns] = corr.source.size;
    let inner = corr.source.inner;
    if y < 0 || y as usize >= height {
        row.fill(0.0);
        return;
    }
    let line_len = columns * inner;
    let line = corr.source.start(run.image, c) + y as usize * line_len;
    let line = &source[line..line + line_len];
    let shift = corr.first[1] + v as isize;
    if corr.step[1] == 1 {
        neighbours(simd, line, run.from as isize + shift * inner as isize, row);
    } else if inner == 1 {
        every(line, run.from, corr.step[1], shift, row);
    } else {
        let (mut from, mut row) = (run.from, row);
        while !row.is_empty() {
            let (pixel, within) = (from / inner, from % inner);
            let (now, rest) = row.split_at_mut((inner - within).min(row.len()));
            let x = (pixel * corr.step[1]) as isize + shift;
            neighbours(simd, line, x * inner as isize + within as isize, now);
            from += now.len();
            row = rest;
        }
    }
}

/// `row[i] = line[start + i]`, zeros outside the line.
#[inline(always)]
fn neighbours<S: Simd>(simd: S, line: &[f32], start: isize, row: &mut [f32]) {
    let begin = ((-start).max(0) as usize).min(row.len());
    let end = (line.len() as isize - start).clamp(begin as isize, row.len() as isize) as usize;
    if begin > 0 || end < row.len() {
        row[..begin].fill(0.0);
        row[end..].fill(0.0);
    }
    if begin < end {
        let from = (start + begin as isize) as usize;
        copy_slice(simd, &line[from..from + end - begin], &mut row[begin..end]);
    }
}

/// Copies a slice of at most a panel's row, without a call.
#[inline(always)]
fn copy_slice<S: Simd>(simd: S, from: &[f32], to: &mut [f32]) {
    let (len, lanes) = (to.len(), S::F32_LANES);
    debug_assert!(from.len() == len && len <= width::<S>());
    if len < lanes {
        simd.partial_store_f32s(to, simd.partial_load_f32s(from));
        return;
    }
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    // The last vector may overlap the one before.
    for at in [0, lanes.min(len - lanes), len - lanes] {
        // SAFETY: the vector is inside both slices, which have the same length of a vector or more.
        unsafe {
            let vector = from.add(at).cast::<S::f32s>().read_unaligned();
            to.add(at).cast::<S::f32s>().write_unaligned(vector);
        }
    }
}

/// `row[i] = line[(from + i)·step + shift]`, zeros outside the line.
#[inline(always)]
fn every(line: &[f32], from: usize, step: usize, shift: isize, row: &mut [f32]) {
    let start = (from * step) as isize + shift;
    let begin = ((-start).max(0) as usize).div_ceil(step).min(row.len());
    let room = (line.len() as isize - start).max(0) as usize;
    let end = room.div_ceil(step).clamp(begin, row.len());
    row[..begin].fill(0.0);
    row[end..].fill(0.0);
    if begin == end {
        return;
    }
    let line = &line[(start + (begin * step) as isize) as usize..];
    let row = &mut row[begin..end];
    if step == 2 {
        // Known to the compiler, so that it takes every second number of a vector.
        let pairs = &line[..2 * row.len() - 1];
        let (last, head) = row.split_last_mut().expect("not empty");
        for (to, pair) in head.iter_mut().zip(pairs.chunks_exact(2)) {
            *to = pair[0];
        }
        *last = pairs[pairs.len() - 1];
    } else {
        for (to, from) in row.iter_mut().zip(line.iter().step_by(step)) {
            *to = *from;
        }
    }
}
