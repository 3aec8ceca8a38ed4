//! The matrix of columns (im2col), made panel by panel: never whole.
//!
//! A panel is `terms` rows of `WIDTH` neighbouring pixels of the grid; row (c, u, v) holds what tap (u, v) of channel c meets at
//! each of them.

use crate::geometry::Correlation;
use pulp::Simd;
use std::ops::Range;

/// Vectors in a row of a panel.
pub(crate) const fn vectors<S: Simd>() -> usize {
    if S::F32_LANES == 16 { 3 } else { 2 }
}

/// Pixels in a panel.
pub(crate) const fn width<S: Simd>() -> usize {
    vectors::<S>() * S::F32_LANES
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
    let [height, columns] = corr.source.size;
    let inner = corr.source.inner;
    let line_len = columns * inner;
    let width = width::<S>();
    let mut term = terms.start;
    // Terms in groups that differ in the last tap only: they meet the same line of the source.
    while term < terms.end {
        let (group, v) = (term / corr.taps[1], term % corr.taps[1]);
        let (c, u) = (group / corr.taps[0], group % corr.taps[0]);
        let count = (corr.taps[1] - v).min(terms.end - term);
        let rows = &mut panel[(term - terms.start) * width..][..count * width];
        for run in runs {
            let y = (run.row * corr.step[0] + u) as isize + corr.first[0];
            if y < 0 || y as usize >= height {
                for row in rows.chunks_exact_mut(width) {
                    row[run.at..run.at + run.len].fill(0.0);
                }
                continue;
            }
            let line = &source[corr.source.start(run.image, c) + y as usize * line_len..][..line_len];
            let shift = corr.first[1] + v as isize;
            if corr.step[1] == 1 {
                let start = run.from as isize + shift * inner as isize;
                let inside = start >= 0 && start as usize + (count - 1) * inner + run.len <= line_len;
                if inside {
                    for (v, row) in rows.chunks_exact_mut(width).enumerate() {
                        let from = &line[start as usize + v * inner..][..run.len];
                        copy_slice(simd, from, &mut row[run.at..run.at + run.len]);
                    }
                } else {
                    for (v, row) in rows.chunks_exact_mut(width).enumerate() {
                        neighbours(simd, line, start + (v * inner) as isize, &mut row[run.at..run.at + run.len]);
                    }
                }
            } else if inner == 1 {
                for (v, row) in rows.chunks_exact_mut(width).enumerate() {
                    let row = &mut row[run.at..run.at + run.len];
                    every(simd, line, run.from, corr.step[1], shift + v as isize, row);
                }
            } else {
                let mut done = 0;
                while done < run.len {
                    let (pixel, within) = ((run.from + done) / inner, (run.from + done) % inner);
                    let len = (inner - within).min(run.len - done);
                    let x = (pixel * corr.step[1]) as isize + shift;
                    for (v, row) in rows.chunks_exact_mut(width).enumerate() {
                        let row = &mut row[run.at + done..][..len];
                        neighbours(simd, line, (x + v as isize) * inner as isize + within as isize, row);
                    }
                    done += len;
                }
            }
        }
        term += count;
    }
}

/// Writes those rows among `terms` that meet the image, one after the other, for a run of numbers of a single pixel; `met` receives
/// their places, counted from `terms.start`.
#[inline(always)]
pub(crate) fn pack_met<S: Simd>(
    simd: S,
    corr: &Correlation,
    source: &[f32],
    run: &Run,
    terms: Range<usize>,
    met: &mut Vec<u32>,
    panel: &mut [f32],
) {
    let inner = corr.source.inner;
    let (column, within) = (run.from / inner, run.from % inner);
    let place = [run.row, column];
    let first: [isize; 2] = [0, 1].map(|a| (place[a] * corr.step[a]) as isize + corr.first[a]);
    // The taps that meet the image along each axis.
    let taps = [0, 1].map(|a| {
        let begin = (-first[a]).clamp(0, corr.taps[a] as isize) as usize;
        let end = (corr.source.size[a] as isize - first[a]).clamp(begin as isize, corr.taps[a] as isize) as usize;
        begin..end
    });
    met.clear();
    let all = corr.taps[0] * corr.taps[1];
    for c in terms.start / all..terms.end.div_ceil(all) {
        for u in taps[0].clone() {
            let line = corr.source.start(run.image, c) + (first[0] + u as isize) as usize * corr.source.size[1] * inner;
            for v in taps[1].clone() {
                let term = c * all + u * corr.taps[1] + v;
                if !terms.contains(&term) {
                    continue;
                }
                let from = line + (first[1] + v as isize) as usize * inner + within;
                copy_slice(simd, &source[from..from + run.len], &mut panel[met.len() * width::<S>()..][..run.len]);
                met.push((term - terms.start) as u32);
            }
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
fn every<S: Simd>(_: S, line: &[f32], from: usize, step: usize, shift: isize, row: &mut [f32]) {
    let start = (from * step) as isize + shift;
    let begin = if start < 0 { ((-start) as usize).div_ceil(step).min(row.len()) } else { 0 };
    let room = (line.len() as isize - start).max(0) as usize;
    let end = if room >= row.len() * step { row.len() } else { room.div_ceil(step).clamp(begin, row.len()) };
    if begin > 0 || end < row.len() {
        row[..begin].fill(0.0);
        row[end..].fill(0.0);
    }
    if begin == end {
        return;
    }
    let line = &line[(start + (begin * step) as isize) as usize..];
    let row = &mut row[begin..end];
    match (step, row.len()) {
        (2, 16..) => return seconds::<16>(line, row),
        (2, 8..) => return seconds::<8>(line, row),
        (2, 4..) => return seconds::<4>(line, row),
        _ => {}
    }
    for (to, from) in row.iter_mut().zip(line.iter().step_by(step)) {
        *to = *from;
    }
}

/// Every second number of `line`, N at a time; the last N may overlap those before. `row` has N numbers or more.
#[inline(always)]
fn seconds<const N: usize>(line: &[f32], row: &mut [f32]) {
    let last = row.len() - N;
    let mut at = 0;
    loop {
        second::<N>(&line[2 * at..], &mut row[at..]);
        if at == last {
            return;
        }
        at = (at + N).min(last);
    }
}

/// Every second number of 2·N − 1.
#[inline(always)]
fn second<const N: usize>(line: &[f32], row: &mut [f32]) {
    // Two overlapping halves of known length, which a shuffle of two vectors takes apart.
    let low: [f32; N] = line[..N].try_into().expect("a slice of that length");
    let high: [f32; N] = line[N - 1..2 * N - 1].try_into().expect("a slice of that length");
    let mut taken = [0.0; N];
    for i in 0..N / 2 {
        taken[i] = low[2 * i];
        taken[N / 2 + i] = high[2 * i + 1];
    }
    row[..N].copy_from_slice(&taken);
}
