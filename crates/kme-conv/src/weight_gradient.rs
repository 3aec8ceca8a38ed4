//! The gradient of a convolution's weights: columns times the cotangent, summed over pixels.

use crate::columns::{self, width};
use crate::geometry::Correlation;
use crate::isa::Isa;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::tile::{Sizes, outputs, terms, terms_by_outputs};
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Panels of columns that are packed at a time.
const PANELS: usize = 4;

/// Terms of a task, at most: with [`PANELS`] they stay in the second cache.
const TERMS: usize = 576;

/// Tasks into which the sum is cut, whatever the number of threads, so that its bits do not depend on it.
const TASKS: usize = 8;

/// Terms and channels that are turned round together when partial sums are added.
const STRIP: usize = 64;
const SIDE: usize = 8;

/// Numbers of partial sums, over all tasks, at most (unless one set of weights is larger).
const PARTIAL: usize = 4 << 20;

/// gradient[o, (c,u)] = Σ_{n,i} cotangent[n, o, i] · source[n, c, step·i + first + u]; shape of the forward pass's weights.
pub(crate) fn weight_gradient(isa: Isa, corr: &Correlation, source: &[f32], cotangent: &[f32], gradient: &mut [f32]) {
    let pixels = corr.pixels() * corr.source.batch;
    let (all_terms, channels) = (corr.terms(), corr.target.channels);
    if gradient.is_empty() {
        return;
    }
    let Sizes { width, outputs, .. } = isa.sizes();
    let block = PANELS * width;
    let term_blocks = all_terms.div_ceil(TERMS);
    let strip = all_terms.div_ceil(term_blocks);
    let padded = channels.next_multiple_of(outputs);
    let parts = TASKS.div_ceil(term_blocks).min(PARTIAL / (all_terms * padded)).clamp(1, pixels.div_ceil(block).max(1));
    let part = pixels.div_ceil(parts).next_multiple_of(block);
    let mut partial = Scratch::new(parts * all_terms * padded);
    let sums = Shared::new(&mut partial);
    (0..parts * term_blocks).into_par_iter().for_each(|task| {
        let (index, first) = (task / term_blocks, task % term_blocks * strip);
        let terms = first..(first + strip).min(all_terms);
        // SAFETY: the terms of this task in its own part.
        let sums = unsafe { sums.part((index * all_terms + first) * padded, terms.len() * padded) };
        let pixels = (index * part).min(pixels)..((index + 1) * part).min(pixels);
        isa.run(Part { corr, source, cotangent, terms, pixels, padded, sums });
    });
    let partial = &*partial;
    let gradient = Shared::new(gradient);
    (0..all_terms.div_ceil(STRIP)).into_par_iter().for_each(|index| {
        let terms = index * STRIP..((index + 1) * STRIP).min(all_terms);
        let mut row = [0.0; STRIP];
        for first in (0..channels).step_by(SIDE) {
            let mut sums = [[0.0; SIDE]; STRIP];
            for part in 0..parts {
                for (sums, k) in sums.iter_mut().zip(terms.clone()) {
                    let from = &partial[(part * all_terms + k) * padded + first..][..SIDE];
                    for (sum, from) in sums.iter_mut().zip(from) {
                        *sum += from;
                    }
                }
            }
            for o in 0..SIDE.min(channels - first) {
                for (number, sums) in row.iter_mut().zip(&sums) {
                    *number = sums[o];
                }
                // SAFETY: these terms of a row, which no other task writes.
                let to = unsafe { gradient.part((first + o) * all_terms + terms.start, terms.len()) };
                to.copy_from_slice(&row[..terms.len()]);
            }
        }
    });
}

/// Some terms of the gradient, summed over some pixels.
struct Part<'a> {
    corr: &'a Correlation,
    source: &'a [f32],
    cotangent: &'a [f32],
    terms: Range<usize>,
    pixels: Range<usize>,
    /// Output channels, filled up to whole tiles.
    padded: usize,
    /// Shape (terms, padded).
    sums: &'a mut [f32],
}

impl WithSimd for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = width::<S>();
        let (block, tile) = (PANELS * width, outputs::<S>());
        if self.pixels.is_empty() {
            self.sums.fill(0.0);
            return;
        }
        let panel_len = self.terms.len() * width;
        let mut runs = Vec::new();
        let mut columns = Scratch::new(PANELS * panel_len);
        let mut rows = Scratch::new(block * self.padded);
        // Channels that only fill up stay zero.
        rows.fill(0.0);
        for first in self.pixels.clone().step_by(block) {
            let pixels = first..(first + block).min(self.pixels.end);
            for (panel, first) in pixels.clone().step_by(width).enumerate() {
                columns::runs(self.corr, first..(first + width).min(pixels.end), &mut runs);
                let panel = &mut columns[panel * panel_len..][..panel_len];
                columns::pack(simd, self.corr, self.source, &runs, self.terms.clone(), panel);
            }
            self.transpose::<S>(pixels.clone(), &mut rows);
            for (strip, o) in (0..self.padded).step_by(tile).enumerate() {
                let a = rows[strip * block * tile..].as_ptr();
                for k in (0..self.terms.len()).step_by(terms::<S>()) {
                    let count = terms::<S>().min(self.terms.len() - k);
                    let c = self.sums[k * self.padded + o..].as_mut_ptr();
                    let b = columns[k * width..].as_ptr();
                    let add = first != self.pixels.start;
                    // SAFETY: the rows k..k + count of every packed panel, all pixels of a strip of `rows`, and a tile of
                    // `sums` are inside their slices.
                    unsafe { terms_by_outputs(simd, count, pixels.len(), (b, panel_len), a, (c, self.padded), add) };
                }
            }
        }
    }
}

impl Part<'_> {
    /// The cotangent of some pixels with the channels innermost: strips of a tile's channels, each (pixel, channel).
    #[inline(always)]
    fn transpose<S: Simd>(&self, pixels: Range<usize>, rows: &mut [f32]) {
        let tile = outputs::<S>();
        let plane = self.corr.pixels();
        let strip_len = PANELS * width::<S>() * tile;
        for (strip, rows) in rows.chunks_mut(strip_len).enumerate() {
            let channels = tile.min(self.corr.target.channels.saturating_sub(strip * tile));
            let mut next = pixels.start;
            while next < pixels.end {
                let (image, place) = (next / plane, next % plane);
                let len = (plane - place).min(pixels.end - next);
                let to = &mut rows[(next - pixels.start) * tile..][..len * tile];
                let from = self.corr.target.start(image, strip * tile) + place;
                interleave::<S>(&self.cotangent[from..], plane, channels, to, len);
                next += len;
            }
        }
    }
}

/// `to[p·tile + o] = from[o·stride + p]` for p < len, o < channels.
#[inline(always)]
fn interleave<S: Simd>(from: &[f32], stride: usize, channels: usize, to: &mut [f32], len: usize) {
    let tile = outputs::<S>();
    let (whole_pixels, whole_channels) = (len / SIDE * SIDE, channels / SIDE * SIDE);
    for o in (0..whole_channels).step_by(SIDE) {
        for p in (0..whole_pixels).step_by(SIDE) {
            let block: [[f32; SIDE]; SIDE] = std::array::from_fn(|i| {
                from[(o + i) * stride + p..][..SIDE].try_into().expect("a slice of that length")
            });
            for j in 0..SIDE {
                let row: [f32; SIDE] = std::array::from_fn(|i| block[i][j]);
                to[(p + j) * tile + o..][..SIDE].copy_from_slice(&row);
            }
        }
    }
    for o in 0..channels {
        let first = if o < whole_channels { whole_pixels } else { 0 };
        for p in first..len {
            to[p * tile + o] = from[o * stride + p];
        }
    }
}
