//! A correlation as a product: weights times columns, a block of pixels at a time.

use crate::columns::{self, Run, width};
use crate::geometry::Correlation;
use crate::isa::Isa;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::tile::{Begin, Sizes, rows, rows_by_panel};
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

/// Numbers of the largest tile of all instruction sets.
const LARGEST_TILE: usize = 8 * 48;

/// Taps outside the image are left out where no more than this part of all taps meets it.
const MET: f64 = 0.85;

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
    let Sizes { width, lanes, .. } = isa.sizes();
    // Panels inside one pixel, where pixels are runs of numbers: then all numbers of a panel meet the same taps.
    let inside =
        (lanes..=width).rev().step_by(lanes).find(|&panel| panel >= 16 && corr.target.inner.is_multiple_of(panel));
    let inside = inside.filter(|_| corr.terms() > 0 && corr.target.inner >= 32 && corr.met() <= MET);
    let panel = inside.unwrap_or(width);
    let terms = corr.terms().max(1);
    let blocks = terms.div_ceil(TERMS);
    let panels = (PACKED / (terms.div_ceil(blocks) * panel)).clamp(1, PANELS);
    // Enough tasks for every thread. The bits of a number depend neither on its place in a block nor on the block.
    let threads = rayon::current_num_threads();
    let wanted = if threads == 1 { 1 } else { 2 * threads };
    let mut block = (panels * panel).min(pixels.div_ceil(wanted).next_multiple_of(panel)).max(panel);
    // Where an image holds several panels, blocks end with the image, and results are written in place.
    let in_place = corr.is_dense() && corr.pixels() >= 4 * width;
    let space = if in_place { corr.pixels() } else { pixels };
    block = block.min(space.next_multiple_of(panel));
    let in_image = space.div_ceil(block);
    let block = space.div_ceil(in_image).next_multiple_of(panel);
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
            panel,
            inside: inside.is_some(),
            in_place,
        });
    });
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
    /// Pixels of a panel.
    panel: usize,
    /// Whether a panel is inside one pixel, and taps outside the image are left out.
    inside: bool,
    /// Whether results are summed in the target itself.
    in_place: bool,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let panels = self.pixels.len().div_ceil(self.panel);
        let terms = self.corr.terms();
        let most = terms.div_ceil(self.term_blocks).max(1);
        let mut columns = Scratch::new(panels * most * width::<S>());
        if self.in_place {
            let image = self.pixels.start / self.corr.pixels();
            let at = self.corr.target.start(image, self.channels.start) + self.pixels.start % self.corr.pixels();
            self.sum(simd, &mut columns, most, (self.target.place(at), self.corr.target.plane()));
        } else {
            let ldc = panels * self.panel;
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
        let (width, panels) = (width::<S>(), self.pixels.len().div_ceil(self.panel));
        let lda = self.corr.terms();
        let mut runs = Vec::new();
        let mut met = vec![Vec::new(); if self.inside { panels } else { 0 }];
        for block in 0..self.term_blocks {
            let terms = (block * most).min(lda)..((block + 1) * most).min(lda);
            let panel_len = terms.len() * width;
            for (panel, first) in self.pixels.clone().step_by(self.panel).enumerate() {
                columns::runs(self.corr, first..(first + self.panel).min(self.pixels.end), &mut runs);
                let to = &mut columns[panel * panel_len..][..panel_len];
                if self.inside {
                    columns::pack_met(simd, self.corr, self.source, &runs[0], terms.clone(), &mut met[panel], to);
                } else {
                    columns::pack(simd, self.corr, self.source, &runs, terms.clone(), to);
                }
            }
            for row in self.channels.clone().step_by(rows::<S>()) {
                let count = rows::<S>().min(self.channels.end - row);
                let begin = match self.bias {
                    _ if block > 0 => Begin::Result,
                    Some(bias) => Begin::Rows(&bias[row..row + count]),
                    None => Begin::Zero,
                };
                let a = self.a[row * lda + terms.start..].as_ptr();
                for (panel, first) in self.pixels.clone().step_by(self.panel).enumerate() {
                    let pixels = self.panel.min(self.pixels.end - first);
                    let vectors = pixels.div_ceil(S::F32_LANES);
                    let b = columns[panel * panel_len..].as_ptr();
                    let offset = (row - self.channels.start) * ldc + panel * self.panel;
                    let some = met.get(panel).map(Vec::as_slice);
                    let count_of_terms = some.map_or(terms.len(), <[u32]>::len);
                    // SAFETY: a, b: the rows and the panel are inside their slices. c: the rows of this task, inside the target or
                    // the scratch; no other task has them. Vectors that reach beyond the block's pixels go through a copy.
                    unsafe {
                        let c = c.add(offset);
                        if self.in_place && !pixels.is_multiple_of(S::F32_LANES) {
                            let mut copy = [0.0; LARGEST_TILE];
                            for i in (0..count).filter(|_| matches!(begin, Begin::Result)) {
                                std::ptr::copy_nonoverlapping(c.add(i * ldc), copy[i * width..].as_mut_ptr(), pixels);
                            }
                            let to = copy.as_mut_ptr();
                            rows_by_panel(simd, count, vectors, count_of_terms, some, (a, lda), b, (to, width), begin);
                            for i in 0..count {
                                std::ptr::copy_nonoverlapping(copy[i * width..].as_ptr(), c.add(i * ldc), pixels);
                            }
                        } else {
                            rows_by_panel(simd, count, vectors, count_of_terms, some, (a, lda), b, (c, ldc), begin);
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
                let start = corr.target.start(image, channel) + y * line;
                if corr.out_step[1] == 1 {
                    // SAFETY: these pixels of a channel are this task's, and no other task writes them.
                    let to = unsafe { self.target.part(start + from + corr.out_first[1] * inner, len) };
                    to.copy_from_slice(sums);
                } else if inner == 1 {
                    let first = from * corr.out_step[1] + corr.out_first[1];
                    // SAFETY: from the first to the last of these pixels; what lies between belongs to other residues, which are
                    // computed before or after all of these.
                    let to = unsafe { self.target.part(start + first, (len - 1) * corr.out_step[1] + 1) };
                    for (to, sum) in to.iter_mut().step_by(corr.out_step[1]).zip(sums) {
                        *to = *sum;
                    }
                } else {
                    let (mut from, mut sums) = (from, sums);
                    while !sums.is_empty() {
                        let (pixel, within) = (from / inner, from % inner);
                        let (now, rest) = sums.split_at((inner - within).min(sums.len()));
                        let first = (pixel * corr.out_step[1] + corr.out_first[1]) * inner + within;
                        // SAFETY: as in the first case.
                        let to = unsafe { self.target.part(start + first, now.len()) };
                        to.copy_from_slice(now);
                        (from, sums) = (from + now.len(), rest);
                    }
                }
            }
        }
    }
}
