//! The three products of a convolution, on slices.

use crate::correlate::correlate;
use crate::geometry::{Correlation, Geometry, Planes};
use crate::isa::Isa;
use crate::scratch::Scratch;
use crate::shared::Shared;
use crate::transpose::transpose;
use crate::weight_gradient::weight_gradient;
use rayon::prelude::*;

/// Images from which on the batch may be made the innermost dimension.
const BATCH: usize = 16;

/// Pixels for which columns are packed together; the same number for all instruction sets, so that the choice is.
const PANEL: usize = 48;

/// Numbers that a transposed chunk of the batch may have, input and output together: they stay in the last cache.
const CHUNK: usize = 2 << 20;

/// The same for a weight gradient, which takes the batch whole.
const WHOLE: usize = 6 << 20;

/// A convolution of these sizes with these instructions.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    /// Sizes of all that takes part.
    pub geometry: Geometry,
    /// Vector instructions.
    pub isa: Isa,
}

impl Conv {
    /// With the instructions that are in use.
    pub fn new(geometry: Geometry) -> Self {
        Self { geometry, isa: Isa::chosen() }
    }

    /// y = w ⋆ x + bias.
    ///
    /// # Panics
    /// When a slice has not the length that the geometry says.
    pub fn forward(&self, x: &[f32], w: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let g = &self.geometry;
        g.check();
        assert!(x.len() == g.x_len() && w.len() == g.w_len() && y.len() == g.y_len(), "lengths for {g:?}");
        assert!(bias.is_none_or(|b| b.len() == g.outputs), "a bias for each output");
        let corr = Correlation::forward(g);
        in_pool(|| by_chunks(&corr, 1, x, y, |corr, x, y| correlate(self.isa, corr, x, w, bias, y)));
    }

    /// The gradient of ⟨cotangent, w ⋆ x⟩ in x, plus a bias: the transposed convolution of the cotangent.
    ///
    /// # Panics
    /// When a slice has not the length that the geometry says.
    pub fn input_gradient(&self, cotangent: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32]) {
        let g = &self.geometry;
        g.check();
        assert!(cotangent.len() == g.y_len() && w.len() == g.w_len() && x.len() == g.x_len(), "lengths for {g:?}");
        assert!(bias.is_none_or(|b| b.len() == g.inputs), "a bias for each input");
        in_pool(|| self.input_gradient_in_pool(cotangent, w, bias, x));
    }

    fn input_gradient_in_pool(&self, cotangent: &[f32], w: &[f32], bias: Option<&[f32]>, x: &mut [f32]) {
        let g = &self.geometry;
        let residues =
            (0..g.stride[0].min(g.image[0])).flat_map(|y| (0..g.stride[1].min(g.image[1])).map(move |x| [y, x]));
        let parts: Vec<_> = residues
            .map(|residue| Correlation::input_gradient(g, residue))
            .filter(|(corr, _)| corr.pixels() > 0)
            .map(|(corr, first)| (flipped(g, w, first, corr.taps), corr))
            .collect();
        let Some((_, widest)) = parts.first() else { return };
        by_chunks(widest, parts.len(), cotangent, x, |chunk, cotangent, x| {
            for (a, corr) in &parts {
                let corr = Correlation { source: chunk.source, target: chunk.target, ..*corr };
                correlate(self.isa, &corr, cotangent, a, bias, x);
            }
        });
    }

    /// The gradient of ⟨cotangent, w ⋆ x⟩ in w.
    ///
    /// # Panics
    /// When a slice has not the length that the geometry says.
    pub fn weight_gradient(&self, x: &[f32], cotangent: &[f32], w: &mut [f32]) {
        let g = &self.geometry;
        g.check();
        assert!(cotangent.len() == g.y_len() && w.len() == g.w_len() && x.len() == g.x_len(), "lengths for {g:?}");
        in_pool(|| self.weight_gradient_in_pool(x, cotangent, w));
    }

    fn weight_gradient_in_pool(&self, x: &[f32], cotangent: &[f32], w: &mut [f32]) {
        let g = &self.geometry;
        let corr = Correlation::forward(g);
        let (source, target) = (image_len(&corr.source), image_len(&corr.target));
        if !is_narrow(&corr, 1) || g.batch * (source + target) > WHOLE || source * target == 0 {
            weight_gradient(self.isa, &corr, x, cotangent, w);
            return;
        }
        let corr = corr.batch_innermost();
        let (mut x_inner, mut inner) = (Scratch::new(x.len()), Scratch::new(cotangent.len()));
        transpose(x, g.batch, source, &mut x_inner);
        transpose(cotangent, g.batch, target, &mut inner);
        weight_gradient(self.isa, &corr, &x_inner, &inner, w);
    }
}

/// Whether the batch should be innermost: where the runs of neighbouring pixels are so short that columns are packed number by
/// number, turning the images round and back costs less.
///
/// `times` says how often columns like those of `corr` are packed. The weights are cycles, roughly, as measured.
fn is_narrow(corr: &Correlation, times: usize) -> bool {
    let pixels = corr.pixels() * corr.source.batch;
    let numbers = corr.source.batch * (image_len(&corr.source) + image_len(&corr.target));
    let rows = times * corr.terms() * pixels / PANEL;
    let runs = PANEL.div_ceil(corr.grid[1].max(1)) + 1;
    let as_it_is = rows * runs * if corr.step[1] == 1 { 8 } else { 13 };
    let turned = rows * 12 + numbers * 5 / 2;
    corr.source.batch >= BATCH && turned < as_it_is
}

/// Calls `work` on the whole batch, or, for narrow images, on chunks of it with the batch innermost.
fn by_chunks(
    corr: &Correlation,
    times: usize,
    source: &[f32],
    target: &mut [f32],
    work: impl Fn(&Correlation, &[f32], Shared),
) {
    let (source_len, target_len) = (image_len(&corr.source), image_len(&corr.target));
    let chunk = (CHUNK / (source_len + target_len).max(1)).max(BATCH).min(corr.source.batch) / BATCH * BATCH;
    if !is_narrow(corr, times) || chunk == 0 || source_len * target_len == 0 {
        work(corr, source, Shared::new(target));
        return;
    }
    let chunk = corr.source.batch.div_ceil(corr.source.batch.div_ceil(chunk)).next_multiple_of(BATCH);
    for (source, target) in source.chunks(chunk * source_len).zip(target.chunks_mut(chunk * target_len)) {
        let batch = source.len() / source_len;
        let mut corr = *corr;
        (corr.source.batch, corr.target.batch) = (batch, batch);
        let corr = corr.batch_innermost();
        let (mut inner, mut result) = (Scratch::new(source.len()), Scratch::new(target.len()));
        transpose(source, batch, source_len, &mut inner);
        work(&corr, &inner, Shared::new(&mut result));
        transpose(&result, target_len, batch, target);
    }
}

/// Runs on a thread of the pool. A thread outside it would wait for the pool to wake up at each of the steps of a product, instead of
/// once.
fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_thread_index().is_some() { work() } else { rayon::scope(|_| work()) }
}

/// Numbers of an image.
fn image_len(planes: &Planes) -> usize {
    planes.channels * planes.size[0] * planes.size[1]
}

/// Weights (outputs, inputs, kernel) as (inputs, (outputs, taps)), with the taps first, first + stride, ... in falling order.
fn flipped(g: &Geometry, w: &[f32], first: [usize; 2], taps: [usize; 2]) -> Scratch {
    let all = taps[0] * taps[1];
    let row = g.outputs * all;
    let mut flipped = Scratch::new(g.inputs * row);
    if row == 0 {
        return flipped;
    }
    let places: Vec<_> = (0..taps[0])
        .rev()
        .flat_map(|u| (0..taps[1]).rev().map(move |v| [u, v]))
        .map(|t| (first[0] + t[0] * g.stride[0]) * g.kernel[1] + first[1] + t[1] * g.stride[1])
        .collect();
    // Several inputs at a time: their weights are neighbours for every output.
    const TOGETHER: usize = 16;
    flipped.par_chunks_mut(TOGETHER * row).enumerate().for_each(|(chunk, rows)| {
        for o in 0..g.outputs {
            let inputs = &w[(o * g.inputs + chunk * TOGETHER) * g.taps()..];
            for (row, from) in rows.chunks_exact_mut(row).zip(inputs.chunks_exact(g.taps())) {
                for (to, &place) in row[o * all..][..all].iter_mut().zip(&places) {
                    *to = from[place];
                }
            }
        }
    });
    flipped
}
