//! Resizing as numbers that are multiplied: what [`Resize`] does to a picture, one matrix for each axis.
//!
//! A resized plane is clamp(R·X·Cᵀ + g·(1 − r·cᵀ)), where R (h′, h) holds the weights of the rows, C (w′, w) those of the
//! columns, r and c are their sums (0 where padding lies, else 1), and g is the grey level of the padding. Whoever needs
//! the derivative of a resized picture multiplies these matrices instead of calling a resampler.

use super::bilinear::Grid;
use super::{Aspect, Filter, Method, Resize};

/// The weights of a resize along both axes, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    /// R, of shape (h′, h).
    pub rows: Vec<f64>,
    /// C, of shape (w′, w).
    pub columns: Vec<f64>,
    /// The constant that is added to every plane, (h′, w′), where there is padding.
    pub ground: Option<Vec<f64>>,
}

impl Resize {
    /// The matrices that bring planes of `h` × `w` pixels to this size; [`Protocol::eight_bit`](super::Protocol) and the
    /// clamp to [0, 1] are left to the caller.
    pub fn axes(&self, h: usize, w: usize) -> Axes {
        let (to_h, to_w) = (self.height(), self.width());
        match self.protocol().method {
            Method::Tensorflow1Bilinear => between(Grid::Corner, [h, w], [to_h, to_w]),
            Method::TorchBilinear => between(Grid::Centre, [h, w], [to_h, to_w]),
            Method::Antialiased(filter, Aspect::Stretch) => Axes {
                rows: antialiased(filter, h, (0.0, h as f64), to_h),
                columns: antialiased(filter, w, (0.0, w as f64), to_w),
                ground: None,
            },
            Method::Antialiased(filter, Aspect::Crop) => {
                let scale = (h as f64 / to_h as f64).min(w as f64 / to_w as f64);
                let window = |len: usize, out: usize| {
                    let window = out as f64 * scale;
                    ((len as f64 - window) / 2.0, (len as f64 + window) / 2.0)
                };
                Axes {
                    rows: antialiased(filter, h, window(h, to_h), to_h),
                    columns: antialiased(filter, w, window(w, to_w), to_w),
                    ground: None,
                }
            }
            Method::Antialiased(filter, Aspect::Pad(level)) => {
                let (inner_h, inner_w) = self.fitted(h, w);
                let (top, left) = ((to_h - inner_h) / 2, (to_w - inner_w) / 2);
                let rows = padded(antialiased(filter, h, (0.0, h as f64), inner_h), h, top, to_h);
                let columns = padded(antialiased(filter, w, (0.0, w as f64), inner_w), w, left, to_w);
                let is_inside =
                    |y: usize, x: usize| (top..top + inner_h).contains(&y) && (left..left + inner_w).contains(&x);
                let ground = (0..to_h)
                    .flat_map(|y| (0..to_w).map(move |x| (y, x)))
                    .map(|(y, x)| if is_inside(y, x) { 0.0 } else { f64::from(level) })
                    .collect();
                Axes { rows, columns, ground: Some(ground) }
            }
        }
    }
}

/// The weights by which pixels between two others are found, without antialiasing.
fn between(grid: Grid, from: [usize; 2], to: [usize; 2]) -> Axes {
    let matrix = |from: usize, to: usize| {
        let mut weights = vec![0.0; from * to];
        for (row, (low, high, t)) in weights.chunks_exact_mut(from).zip(grid.places(from, to)) {
            row[low] += 1.0 - f64::from(t);
            row[high] += f64::from(t);
        }
        weights
    };
    Axes { rows: matrix(from[0], to[0]), columns: matrix(from[1], to[1]), ground: None }
}

/// The weights, of shape (out, len), of the pixels of an axis for each of `out` pixels that divide the window: the kernel,
/// widened by the reduction, at the pixels' centres, cut at the border and made to sum to 1.
fn antialiased(filter: Filter, len: usize, window: (f64, f64), out: usize) -> Vec<f64> {
    let scale = (window.1 - window.0) / out as f64;
    let wide = scale.max(1.0);
    let reach = filter.half_width() * wide;
    let mut weights = vec![0.0; out * len];
    for (o, row) in weights.chunks_exact_mut(len).enumerate() {
        let centre = window.0 + (o as f64 + 0.5) * scale;
        let first = (centre - reach + 0.5).max(0.0) as usize;
        let end = ((centre + reach + 0.5) as usize).min(len);
        for (i, weight) in row.iter_mut().enumerate().take(end).skip(first) {
            *weight = filter.value((i as f64 + 0.5 - centre) / wide);
        }
        let total: f64 = row.iter().sum();
        row.iter_mut().for_each(|weight| *weight /= total);
    }
    weights
}

/// The rows of a matrix of `len` columns between rows of zeros, `before` of them first and `total` rows in all.
fn padded(weights: Vec<f64>, len: usize, before: usize, total: usize) -> Vec<f64> {
    let mut all = vec![0.0; before * len];
    all.extend(weights);
    all.resize(total * len, 0.0);
    all
}

impl Filter {
    /// Where the kernel ends, in pixels of the coarser side.
    fn half_width(self) -> f64 {
        match self {
            Self::Box => 0.5,
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos => 3.0,
        }
    }

    /// The kernel at x.
    fn value(self, x: f64) -> f64 {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        match (self, x.abs()) {
            // Half open, so that a border between two pixels counts once.
            (Self::Box, _) => f64::from(u8::from(x > -0.5 && x <= 0.5)),
            (Self::Bilinear, a) => (1.0 - a).max(0.0),
            (Self::Bicubic, a) if a < 1.0 => (1.5 * a - 2.5) * a * a + 1.0,
            (Self::Bicubic, a) if a < 2.0 => ((-0.5 * a + 2.5) * a - 4.0) * a + 2.0,
            (Self::Lanczos, a) if a < 3.0 => sinc(a) * sinc(a / 3.0),
            (Self::Bicubic | Self::Lanczos, _) => 0.0,
        }
    }
}
