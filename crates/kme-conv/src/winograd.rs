//! Winograd's minimal filtering for 3×3 taps with step 1: 36 products for 16 results instead of 144.
//!
//! A tile of 4×4 results depends on a patch d of 6×6 of the source. With the matrices of F(4×4, 3×3)
//! (Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016; other points than theirs),
//! `tile = Aᵀ [ Σ_c (G g_c Gᵀ) ⊙ (Bᵀ d_c B) ] A`. The sum over channels is, for each of the 36 places, a matrix product of transformed
//! weights and transformed patches, for which the panels and tiles of the direct method serve.

use crate::columns::width;
use crate::geometry::Correlation;
use crate::isa::Isa;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::tile::{Begin, Sizes, mul_add, rows, rows_by_panel};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Side of a tile of results, of a patch, and places of a patch.
const TILE: usize = 4;
const PATCH: usize = 6;
const PLACES: usize = PATCH * PATCH;

/// Result channels whose transforms are held at a time.
const STRIP: usize = 64;

/// Numbers between the end of one place and the beginning of the next, so that the same place of all 36 does not fall into one set of a
/// cache.
const GAP: usize = 16;

/// Most lanes of a vector.
const LANES: usize = 16;

/// Whether this method computes the correlation, and faster than directly.
pub(crate) fn pays(corr: &Correlation) -> bool {
    let tiles = Tiles::of(corr);
    let channels = corr.source.channels.min(corr.target.channels);
    corr.taps == [3, 3]
        && corr.step == [1, 1]
        && corr.is_dense()
        && corr.source.inner == 1
        && channels >= 24
        // The transformed weights are made anew for every call.
        && tiles.count() >= 48
        // Tiles that reach beyond the image are lost.
        && tiles.count() * TILE * TILE * 2 <= 3 * corr.pixels() * corr.source.batch
}

/// The tiles that cover the grid of every image, row after row.
#[derive(Clone, Copy)]
struct Tiles {
    images: usize,
    rows: usize,
    columns: usize,
}

/// Neighbouring tiles of one row of tiles.
struct Run {
    image: usize,
    row: usize,
    column: usize,
    len: usize,
}

impl Tiles {
    fn of(corr: &Correlation) -> Self {
        let [rows, columns] = corr.grid.map(|side| side.div_ceil(TILE));
        Self { images: corr.source.batch, rows, columns }
    }

    fn count(&self) -> usize {
        self.images * self.rows * self.columns
    }

    /// The run of tiles that begins at `first`, of at most `most`.
    #[inline(always)]
    fn run(&self, first: usize, most: usize) -> Run {
        let (image, place) = (first / (self.rows * self.columns), first % (self.rows * self.columns));
        let (row, column) = (place / self.columns, place % self.columns);
        Run { image, row, column, len: most.min(self.columns - column) }
    }
}

/// target = correlation of source with `a` + bias, for correlations that [`pays`] says yes to.
pub(crate) fn correlate(isa: Isa, corr: &Correlation, source: &[f32], a: &[f32], bias: Option<&[f32]>, target: Shared) {
    let (inputs, outputs) = (corr.source.channels, corr.target.channels);
    let mut weights = Scratch::new(PLACES * (inputs * outputs + GAP));
    let shared = Shared::new(&mut weights);
    (0..outputs).into_par_iter().for_each(|m| {
        isa.run(Weights { a: &a[m * inputs * 9..][..inputs * 9], m, inputs, outputs, to: shared });
    });
    let weights = &*weights;
    let tiles = Tiles::of(corr);
    // Blocks of at most a panel, as many for every thread. What a number becomes does not depend on its block.
    let Sizes { width, lanes, .. } = isa.sizes();
    let blocks = tiles.count().div_ceil(width).next_multiple_of(rayon::current_num_threads());
    let block = tiles.count().div_ceil(blocks).next_multiple_of(lanes);
    (0..tiles.count().div_ceil(block)).into_par_iter().for_each(|index| {
        let tiles_of_block = index * block..((index + 1) * block).min(tiles.count());
        isa.run(Block { corr, tiles, source, weights, bias, target, range: tiles_of_block });
    });
}

/// Transforms the weights of one result channel: `to[place, m, c]`.
struct Weights<'a> {
    a: &'a [f32],
    m: usize,
    inputs: usize,
    outputs: usize,
    to: Shared<'a>,
}

impl WithSimd for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        for first in (0..self.inputs).step_by(lanes) {
            let count = lanes.min(self.inputs - first);
            let mut taps = [[0.0; LANES]; 9];
            for (lane, filter) in self.a[first * 9..][..count * 9].chunks_exact(9).enumerate() {
                for (tap, &number) in taps.iter_mut().zip(filter) {
                    tap[lane] = number;
                }
            }
            let zero = simd.splat_f32s(0.0);
            // Columns first: 6 × 3, then rows: 6 × 6.
            let mut half = [[zero; 3]; PATCH];
            for v in 0..3 {
                let column = transform_weights(simd, [0, 1, 2].map(|u| load::<S>(&taps[3 * u + v])));
                for i in 0..PATCH {
                    half[i][v] = column[i];
                }
            }
            for (i, row) in half.into_iter().enumerate() {
                let row = transform_weights(simd, row);
                for (j, numbers) in row.into_iter().enumerate() {
                    let place = i * PATCH + j;
                    let at = place * (self.outputs * self.inputs + GAP) + self.m * self.inputs + first;
                    // SAFETY: a row of this result channel, which no other task writes.
                    simd.partial_store_f32s(unsafe { self.to.part(at, count) }, numbers);
                }
            }
        }
    }
}

/// A vector of the first lanes.
#[inline(always)]
fn load<S: Simd>(numbers: &[f32; LANES]) -> S::f32s {
    // SAFETY: a vector has at most `LANES` lanes.
    unsafe { numbers.as_ptr().cast::<S::f32s>().read_unaligned() }
}

/// The points of the interpolation besides 0 and ∞: ±`NEAR`, ±`FAR`. With ±1 and ±2 of the literature the largest error is five times
/// as large; these were found by trying all pairs of eighths (`benches/winograd_points.py`).
const NEAR: f32 = 0.625;
const FAR: f32 = 1.5;
const NEAR_2: f32 = NEAR * NEAR;
const FAR_2: f32 = FAR * FAR;

/// G g.
#[inline(always)]
fn transform_weights<S: Simd>(simd: S, [g0, g1, g2]: [S::f32s; 3]) -> [S::f32s; PATCH] {
    let number = |x: f32| simd.splat_f32s(x);
    let (near, far) = (1.0 / (2.0 * NEAR_2 * (NEAR_2 - FAR_2)), 1.0 / (2.0 * FAR_2 * (FAR_2 - NEAR_2)));
    let even = |square: f32, scale: f32| mul_add(simd, number(square * scale), g2, simd.mul_f32s(number(scale), g0));
    let odd = |point: f32, scale: f32| simd.mul_f32s(number(point * scale), g1);
    let (even_near, odd_near) = (even(NEAR_2, near), odd(NEAR, near));
    let (even_far, odd_far) = (even(FAR_2, far), odd(FAR, far));
    [
        simd.mul_f32s(number(1.0 / (NEAR_2 * FAR_2)), g0),
        simd.add_f32s(even_near, odd_near),
        simd.sub_f32s(even_near, odd_near),
        simd.add_f32s(even_far, odd_far),
        simd.sub_f32s(even_far, odd_far),
        g2,
    ]
}

/// Bᵀ d.
#[inline(always)]
fn transform_patch<S: Simd>(simd: S, [d0, d1, d2, d3, d4, d5]: [S::f32s; PATCH]) -> [S::f32s; PATCH] {
    let (near, far) = (simd.splat_f32s(NEAR), simd.splat_f32s(FAR));
    let (near_2, far_2) = (simd.splat_f32s(-NEAR_2), simd.splat_f32s(-FAR_2));
    let (sum, product) = (simd.splat_f32s(-NEAR_2 - FAR_2), simd.splat_f32s(NEAR_2 * FAR_2));
    let even_near = mul_add(simd, far_2, d2, d4);
    let odd_near = simd.mul_f32s(near, mul_add(simd, far_2, d1, d3));
    let even_far = mul_add(simd, near_2, d2, d4);
    let odd_far = simd.mul_f32s(far, mul_add(simd, near_2, d1, d3));
    [
        mul_add(simd, product, d0, mul_add(simd, sum, d2, d4)),
        simd.add_f32s(even_near, odd_near),
        simd.sub_f32s(even_near, odd_near),
        simd.add_f32s(even_far, odd_far),
        simd.sub_f32s(even_far, odd_far),
        mul_add(simd, product, d1, mul_add(simd, sum, d3, d5)),
    ]
}

/// Aᵀ m.
#[inline(always)]
fn transform_result<S: Simd>(simd: S, [m0, m1, m2, m3, m4, m5]: [S::f32s; PATCH]) -> [S::f32s; TILE] {
    let (even_near, odd_near) = (simd.add_f32s(m1, m2), simd.sub_f32s(m1, m2));
    let (even_far, odd_far) = (simd.add_f32s(m3, m4), simd.sub_f32s(m3, m4));
    let combine =
        |near: f32, a, far: f32, b| mul_add(simd, simd.splat_f32s(far), b, simd.mul_f32s(simd.splat_f32s(near), a));
    [
        simd.add_f32s(m0, simd.add_f32s(even_near, even_far)),
        combine(NEAR, odd_near, FAR, odd_far),
        combine(NEAR_2, even_near, FAR_2, even_far),
        simd.add_f32s(m5, combine(NEAR * NEAR_2, odd_near, FAR * FAR_2, odd_far)),
    ]
}

/// All channels of at most a panel of tiles.
struct Block<'a> {
    corr: &'a Correlation,
    tiles: Tiles,
    source: &'a [f32],
    weights: &'a [f32],
    bias: Option<&'a [f32]>,
    target: Shared<'a>,
    range: Range<usize>,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, lanes) = (width::<S>(), S::F32_LANES);
        let (inputs, outputs) = (self.corr.source.channels, self.corr.target.channels);
        let vectors = self.range.len().div_ceil(lanes);
        let mut patches = Scratch::new(PLACES * (inputs * width + GAP));
        for vector in 0..vectors {
            let first = self.range.start + vector * lanes;
            let count = lanes.min(self.range.end - first);
            for c in 0..inputs {
                self.patches(simd, first, count, c, &mut patches[c * width + vector * lanes..]);
            }
        }
        let mut results = Scratch::new(PLACES * (STRIP * width + GAP));
        for strip in (0..outputs).step_by(STRIP) {
            let channels = strip..(strip + STRIP).min(outputs);
            for place in 0..PLACES {
                let b = patches[place * (inputs * width + GAP)..].as_ptr();
                for row in channels.clone().step_by(rows::<S>()) {
                    let count = rows::<S>().min(channels.end - row);
                    let a = self.weights[place * (outputs * inputs + GAP) + row * inputs..].as_ptr();
                    let c = results[place * (STRIP * width + GAP) + (row - strip) * width..].as_mut_ptr();
                    // SAFETY: `count` rows of weights, the panel of this place, and as many rows of results are inside their slices.
                    unsafe {
                        rows_by_panel(simd, count, vectors, inputs, None, (a, inputs), b, (c, width), Begin::Zero)
                    };
                }
            }
            for m in channels {
                for vector in 0..vectors {
                    let first = self.range.start + vector * lanes;
                    let count = lanes.min(self.range.end - first);
                    self.results(simd, first, count, m, &results[(m - strip) * width + vector * lanes..]);
                }
            }
        }
    }
}

impl Block<'_> {
    /// Bᵀ d B of `count` tiles from `first` on, for one channel; place p goes to `to[p·(inputs·width + GAP)..]`.
    #[inline(always)]
    fn patches<S: Simd>(&self, simd: S, first: usize, count: usize, channel: usize, to: &mut [f32]) {
        let zero = simd.splat_f32s(0.0);
        let lanes = S::F32_LANES;
        let mut half = [[zero; PATCH]; PATCH];
        let run = self.tiles.run(first, count);
        if run.len == lanes {
            // Neighbours in a row: the vertical transform acts on whole lines, before these are cut into patches.
            const LINE: usize = LANES * TILE + LANES;
            let mut lines = [[0.0f32; LINE]; PATCH];
            let used = lanes * TILE + PATCH - TILE;
            for (i, line) in lines.iter_mut().enumerate() {
                self.line(&run, channel, i, &mut line[..used]);
            }
            for at in (0..used).step_by(lanes) {
                let mut column = [zero; PATCH];
                for (column, line) in column.iter_mut().zip(&lines) {
                    // SAFETY: lines have room for the last vector.
                    *column = unsafe { line.as_ptr().add(at).cast::<S::f32s>().read_unaligned() };
                }
                for (line, numbers) in lines.iter_mut().zip(transform_patch(simd, column)) {
                    // SAFETY: as above.
                    unsafe { line.as_mut_ptr().add(at).cast::<S::f32s>().write_unaligned(numbers) };
                }
            }
            for (half, line) in half.iter_mut().zip(&lines) {
                for (j, numbers) in half.iter_mut().enumerate() {
                    let mut cut = [0.0; LANES];
                    for (t, number) in cut.iter_mut().enumerate() {
                        *number = line[t * TILE + j];
                    }
                    *numbers = load::<S>(&cut);
                }
            }
        } else {
            let mut cut = [[0.0; LANES]; PLACES];
            let mut t = 0;
            while t < count {
                let run = self.tiles.run(first + t, 1);
                let mut line = [0.0; PATCH];
                for i in 0..PATCH {
                    self.line(&run, channel, i, &mut line);
                    for (j, &number) in line.iter().enumerate() {
                        cut[i * PATCH + j][t] = number;
                    }
                }
                t += 1;
            }
            for j in 0..PATCH {
                let mut column = [zero; PATCH];
                for (i, numbers) in column.iter_mut().enumerate() {
                    *numbers = load::<S>(&cut[i * PATCH + j]);
                }
                for (half, numbers) in half.iter_mut().zip(transform_patch(simd, column)) {
                    half[j] = numbers;
                }
            }
        }
        let stride = self.corr.source.channels * width::<S>() + GAP;
        for (i, half) in half.into_iter().enumerate() {
            for (j, numbers) in transform_patch(simd, half).into_iter().enumerate() {
                let to = &mut to[(i * PATCH + j) * stride..][..lanes];
                // SAFETY: `to` has as many numbers as a vector.
                unsafe { to.as_mut_ptr().cast::<S::f32s>().write_unaligned(numbers) };
            }
        }
    }

    /// Row i of the patches of a run of tiles, zeros outside the image.
    #[inline(always)]
    fn line(&self, run: &Run, channel: usize, i: usize, to: &mut [f32]) {
        let source = &self.corr.source;
        let [height, width] = source.size;
        let y = (run.row * TILE + i) as isize + self.corr.first[0];
        if y < 0 || y as usize >= height {
            to.fill(0.0);
            return;
        }
        let line = &self.source[source.start(run.image, channel) + y as usize * width..][..width];
        let start = (run.column * TILE) as isize + self.corr.first[1];
        let begin = ((-start).max(0) as usize).min(to.len());
        let end = (width as isize - start).clamp(begin as isize, to.len() as isize) as usize;
        if begin > 0 || end < to.len() {
            to[..begin].fill(0.0);
            to[end..].fill(0.0);
        }
        let from = (start + begin as isize) as usize;
        for (to, from) in to[begin..end].iter_mut().zip(&line[from.min(width)..]) {
            *to = *from;
        }
    }

    /// Aᵀ m A of `count` tiles from `first` on, into the target; place p is at `from[p·(STRIP·width + GAP)..]`.
    #[inline(always)]
    fn results<S: Simd>(&self, simd: S, first: usize, count: usize, channel: usize, from: &[f32]) {
        let zero = simd.splat_f32s(0.0);
        let lanes = S::F32_LANES;
        let stride = STRIP * width::<S>() + GAP;
        let mut half = [[zero; PATCH]; TILE];
        for j in 0..PATCH {
            let mut column = [zero; PATCH];
            for (i, numbers) in column.iter_mut().enumerate() {
                let from = &from[(i * PATCH + j) * stride..][..lanes];
                // SAFETY: `from` has as many numbers as a vector.
                *numbers = unsafe { from.as_ptr().cast::<S::f32s>().read_unaligned() };
            }
            for (half, numbers) in half.iter_mut().zip(transform_result(simd, column)) {
                half[j] = numbers;
            }
        }
        let bias = simd.splat_f32s(self.bias.map_or(0.0, |bias| bias[channel]));
        let mut lines = [[[0.0; LANES]; TILE]; TILE];
        for (line, half) in lines.iter_mut().zip(half) {
            for (cut, numbers) in line.iter_mut().zip(transform_result(simd, half)) {
                // SAFETY: a vector has at most `LANES` lanes.
                unsafe { cut.as_mut_ptr().cast::<S::f32s>().write_unaligned(simd.add_f32s(numbers, bias)) };
            }
        }
        let target = &self.corr.target;
        let [height, line_len] = target.size;
        let mut t = 0;
        while t < count {
            let run = self.tiles.run(first + t, count - t);
            let (y, x) = (run.row * TILE, run.column * TILE);
            for (i, line) in lines.iter().enumerate().take(height - y) {
                let len = (run.len * TILE).min(line_len - x);
                let at = target.start(run.image, channel) + (y + i) * line_len + x;
                // SAFETY: a row of tiles of this task, which no other task writes.
                let to = unsafe { self.target.part(at, len) };
                if run.len == LANES {
                    let mut together = [0.0; LANES * TILE];
                    for (t, together) in together.chunks_exact_mut(TILE).enumerate() {
                        for (j, number) in together.iter_mut().enumerate() {
                            *number = line[j][t];
                        }
                    }
                    to.copy_from_slice(&together[..len]);
                } else {
                    for (x, to) in to.iter_mut().enumerate() {
                        *to = line[x % TILE][t + x / TILE];
                    }
                }
            }
            t += run.len;
        }
    }
}
