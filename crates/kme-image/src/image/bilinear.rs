//! Bilinear resizing without antialiasing, as networks were trained and judged with it.

use super::Images;
use kme::Result;
use rayon::prelude::*;

/// Where the pixels of the output lie in the input, along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grid {
    /// in[i·s]: the first pixels lie on each other.
    Corner,
    /// in[(i + ½)·s − ½], from 0 on: the pictures' borders lie on each other.
    Centre,
}

impl Grid {
    /// For each pixel of the output the two of the input around it, and how far it is from the first.
    pub(super) fn places(self, input: usize, output: usize) -> Vec<(usize, usize, f32)> {
        // In single precision, as the tools do it, since what is just below or above a pixel depends on it.
        let scale = input as f32 / output as f32;
        let place = |i: usize| {
            let at = match self {
                Self::Corner => i as f32 * scale,
                Self::Centre => ((i as f32 + 0.5) * scale - 0.5).max(0.0),
            };
            let low = (at as usize).min(input - 1);
            (low, (low + 1).min(input - 1), at - low as f32)
        };
        (0..output).map(place).collect()
    }
}

/// Pictures (n, c, h′, w′) as (n, c, `h`, `w`): a + (b − a)·t between neighbours, first in rows, then in columns.
pub(super) fn bilinear(images: &Images, h: usize, w: usize, grid: Grid) -> Result<Images> {
    let [n, c, from_h, from_w] = images.shape();
    let (rows, columns) = (grid.places(from_h, h), grid.places(from_w, w));
    let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
    let mut data = vec![0.0; n * c * h * w];
    data.par_chunks_exact_mut(h * w).zip(images.data().par_chunks_exact(from_h * from_w)).for_each(|(out, plane)| {
        for (out, &(top, bottom, down)) in out.chunks_exact_mut(w).zip(&rows) {
            let (top, bottom) = (&plane[top * from_w..][..from_w], &plane[bottom * from_w..][..from_w]);
            for (out, &(left, right, along)) in out.iter_mut().zip(&columns) {
                *out = mix(mix(top[left], top[right], along), mix(bottom[left], bottom[right], along), down);
            }
        }
    });
    Images::clamped(n, c, h, w, data)
}
