//! A correlation as a product: weights times columns, a block of pixels at a time.

use crate::columns::{self, Run, width};
use crate::geometry::Correlation;
use crate::isa::Isa;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::tile::{Begin, rows, rows_by_panel};
use crate::winograd;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;
use std::ops::Range;

/// Numbers of columns that are packed at a time: with the rows of weights they stay in the second cache.
const PACKED: usize = 96 << 10;

/// Terms after which sums go back to memory, so that the weights of a tile stay in the first cache.
const TERMS: usize = 384;

/// Panels in a block, at most.
const PANELS: usize = 16;

/// target = correlation of source with `a` (rows of the target's channels, one number for each term) + bias.
pub(crate) fn correlate(isa: Isa, corr: &Correlation, source: &[f32], a: &[f32], bias: Option<&[f32]>, target: Shared) {
    let pixels = corr.pixels() * corr.source.batch;
    let channels = corr.target.channels;
    if pixels == 0 || channels == 0 {
        return;
    }
    if winograd::pays(corr) {
        winograd::correlate(isa, corr, source, a, bias, target);
        return;
    }
    let width = isa.run(Width);
    let terms = corr.terms().max(1);
    let blocks = terms.div_ceil(TERMS);
    let panels = (PACKED / (terms.div_ceil(blocks) * width)).clamp(1, PANELS);
    // Enough tasks for every thread. The bits of a number depend neither on its place in a block nor on the block.
    let threads = rayon::current_num_threads();
    let wanted = if threads == 1 { 1 } else { 4 * threads };
    let mut block = (panels * width).min(pixels.div_ceil(wanted).next_multiple_of(width)).max(width);
    // Where an image holds several panels, blocks end with the image, and results are written in place.
    let in_place = corr.is_dense() && corr.pixels() >= 4 * width;
    let space = if in_place { corr.pixels() } else { pixels };
    block = block.min(space.next_multiple_of(width));
    let in_image = space.div_ceil(block);
    let block = space.div_ceil(in_image).next_multiple_of(width);
    let in_image = space.div_ceil(block);
    let tasks = in_image * (pixels / space);
    let strips = if tasks >= wanted { 1 } else { wanted.div_ceil(tasks).min(channels.div_ceil(64)) };
    let strip = channels.div_ceil(strips).next_multiple_of(8);
    let strips = channels.div_ceil(strip);
    (0..tasks * strips).into_par_iter().for_each(|task| {
        let (task, strip_index) = (task / strips, task % strips);
        let first = task / in_image * space + task % in_image * block;
        let last = (task / in_image * space + (task % in_image + 1) * block).min((task / in_image + 1) * space);
        isa.run(Block {
            corr,
            source,
            a,
            bias,
            target,
            pixels: first..last,
            channels: strip_index * strip..((strip_index + 1) * strip).min(channels),
            term_blocks: blocks,
            in_place,
        });
    });
}

/// The pixels of a panel.
pub(crate) struct Width;

impl WithSimd for Width {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> usize {
        width::<S>()
    }
}

/// Some channels of some pixels of the target.
struct Block<'a> {
    corr: &'a Correlation,
    source: &'a [f32],
    a: &'a [f32],
    bias: Option<&'a [f32]>,
    target: Shared<'a>,
    /// Counted over all images; within one image for `in_place`.
    pixels: Range<usize>,
    channels: Range<usize>,
    /// Blocks into which the terms are cut.
    term_blocks: usize,
    /// Whether results are summed in the target itself.
    in_place: bool,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = self.pixels.len().div_ceil(width::<S>());
        let terms = self.corr.terms();
        let most = terms.div_ceil(self.term_blocks).max(1);
        let mut columns = Scratch::new(panels * most * width::<S>());
        if self.in_place {
            let image = self.pixels.start / self.corr.pixels();
            let at = self.corr.target.start(image, self.channels.start) + self.pixels.start % self.corr.pixels();
            self.sum(simd, &mut columns, most, (self.target.place(at), self.corr.target.plane()));
        } else {
            let ldc = panels * width::<S>();
            let mut sums = Scratch::new(self.channels.len() * ldc);
            self.sum(simd, &mut columns, most, (sums.as_mut_ptr(), ldc));
            self.scatter(&sums, ldc);
        }
    }
}

impl Block<'_> {
    /// Sums over all terms into c.
    #[inline(always)]
    fn sum<S: Simd>(&self, simd: S, columns: &mut [f32], most: usize, (c, ldc): (*mut f32, usize)) {
        let width = width::<S>();
        let lda = self.corr.terms();
        let mut runs = Vec::new();
        for block in 0..self.term_blocks {
            let terms = (block * most).min(lda)..((block + 1) * most).min(lda);
            let panel_len = terms.len() * width;
            for (panel, first) in self.pixels.clone().step_by(width).enumerate() {
                columns::runs(self.corr, first..(first + width).min(self.pixels.end), &mut runs);
                let panel = &mut columns[panel * panel_len..][..panel_len];
                columns::pack(simd, self.corr, self.source, &runs, terms.clone(), panel);
            }
            for row in self.channels.clone().step_by(rows::<S>()) {
                let count = rows::<S>().min(self.channels.end - row);
                let begin = match self.bias {
                    _ if block > 0 => Begin::Result,
                    Some(bias) => Begin::Rows(&bias[row..row + count]),
                    None => Begin::Zero,
                };
                let a = self.a[row * lda + terms.start..].as_ptr();
                for (panel, first) in self.pixels.clone().step_by(width).enumerate() {
                    let pixels = width.min(self.pixels.end - first);
                    let vectors = pixels.div_ceil(S::F32_LANES);
                    let b = columns[panel * panel_len..].as_ptr();
                    let offset = (row - self.channels.start) * ldc + panel * width;
                    // SAFETY: a, b: the rows and the panel are inside their slices. c: the rows of this task, inside the target or
                    // the scratch; no other task has them. Vectors that reach beyond the block's pixels go through a copy.
                    unsafe {
                        let c = c.add(offset);
                        if self.in_place && pixels % S::F32_LANES != 0 {
                            let mut copy = [0.0; 8 * 48];
                            for i in (0..count).filter(|_| matches!(begin, Begin::Result)) {
                                std::ptr::copy_nonoverlapping(c.add(i * ldc), copy[i * width..].as_mut_ptr(), pixels);
                            }
                            let to = copy.as_mut_ptr();
                            rows_by_panel(simd, count, vectors, terms.len(), (a, lda), b, (to, width), begin);
                            for i in 0..count {
                                std::ptr::copy_nonoverlapping(copy[i * width..].as_ptr(), c.add(i * ldc), pixels);
                            }
                        } else {
                            rows_by_panel(simd, count, vectors, terms.len(), (a, lda), b, (c, ldc), begin);
                        }
                    }
                }
            }
        }
    }

    /// Copies sums to their places in the target.
    #[inline(always)]
    fn scatter(&self, sums: &[f32], ldc: usize) {
        let corr = self.corr;
        let (inner, line) = (corr.target.inner, corr.target.size[1] * corr.target.inner);
        let mut runs = Vec::new();
        columns::runs(corr, self.pixels.clone(), &mut runs);
        for (channel, sums) in self.channels.clone().zip(sums.chunks_exact(ldc)) {
            for &Run { image, row, from, len, at } in &runs {
                let sums = &sums[at..at + len];
                let y = row * corr.out_step[0] + corr.out_first[0];
                // SAFETY: a row of a channel of the pixels of this task, which no other task writes.
                let to = unsafe { self.target.part(corr.target.start(image, channel) + y * line, line) };
                if corr.out_step[1] == 1 {
                    let first = from + corr.out_first[1] * inner;
                    to[first..first + len].copy_from_slice(sums);
                } else if inner == 1 {
                    let to = &mut to[from * corr.out_step[1] + corr.out_first[1]..];
                    for (to, sum) in to.iter_mut().step_by(corr.out_step[1]).zip(sums) {
                        *to = *sum;
                    }
                } else {
                    let (mut from, mut sums) = (from, sums);
                    while !sums.is_empty() {
                        let (pixel, within) = (from / inner, from % inner);
                        let (now, rest) = sums.split_at((inner - within).min(sums.len()));
                        let first = (pixel * corr.out_step[1] + corr.out_first[1]) * inner + within;
                        to[first..first + now.len()].copy_from_slice(now);
                        (from, sums) = (from + now.len(), rest);
                    }
                }
            }
        }
    }
}
