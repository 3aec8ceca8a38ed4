//! Pictures: reading, resizing, laying out and writing them.
//!
//! Everywhere in this crate a picture's pixels are `f32` in **[0, 1]**: 0 is black, 1 is full intensity, in the
//! file's own (gamma-encoded) scale. Networks that expect another range convert at their own door. Resampling and
//! colour conversion are done in `f32`; 8 bits appear only in files.

mod axes;
mod background;
mod bilinear;
mod crop;
mod decode;
mod font;
mod gif;
mod grid;
mod jpeg;
mod png;
mod pnm;
mod protocol;
mod resize;
mod scatter;
mod tiff;

pub use axes::Axes;
pub use background::Background;
pub use crop::Crop;
pub use crop::{mirror, square};
pub use decode::{Channels, Colour, DEFAULT_MAX_PIXELS, Decoder, Reading};
pub(crate) use decode::{FORMATS, Head, Samples, kind, unusable};
pub use grid::{Grid, Part, Scale, sheet};
pub use protocol::{Method, PROTOCOLS, Protocol, Tool};
pub use resize::{Aspect, Filter, Resize};
pub use scatter::scatter;

use kme::{Error, Field, Result};

/// n pictures of one size: shape (n, c, h, w), stored in this order (NCHW), every value in [0, 1].
///
/// c is 1 (grey) or 3 (red, green, blue).
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    n: usize,
    c: usize,
    h: usize,
    w: usize,
    data: Vec<f32>,
}

impl Images {
    /// Pictures from `data` in NCHW order with pixels in [0, 1].
    ///
    /// # Errors
    /// [`Error::Mismatch`] when a dimension is 0, c is neither 1 nor 3, or the length is not n·c·h·w; [`Error::Value`] with
    /// the place of a value that is not in [0, 1] (see [`Images::clamped`]).
    pub fn new(n: usize, c: usize, h: usize, w: usize, data: Vec<f32>) -> Result<Self> {
        Self::check_shape(n, c, h, w, data.len())?;
        if let Some(i) = data.iter().position(|x| !(0.0..=1.0).contains(x)) {
            let allowed = "in [0, 1]; rescale the pixels to that range";
            return Err(Error::value(Self::place_of(c, h, w, i), data[i], allowed));
        }
        Ok(Self { n, c, h, w, data })
    }

    /// Like [`Images::new`], but values outside [0, 1] are moved to the nearer end, for what a network or a filter
    /// made.
    ///
    /// # Errors
    /// [`Error::Mismatch`] as for [`Images::new`]; [`Error::NotFinite`] for a value that is not a number.
    pub fn clamped(n: usize, c: usize, h: usize, w: usize, mut data: Vec<f32>) -> Result<Self> {
        Self::check_shape(n, c, h, w, data.len())?;
        for (i, x) in data.iter_mut().enumerate() {
            if x.is_nan() {
                let remedy = "check what made this picture, which has diverged";
                return Err(Error::not_finite(Self::place_of(c, h, w, i), f64::from(*x), remedy));
            }
            *x = x.clamp(0.0, 1.0);
        }
        Ok(Self { n, c, h, w, data })
    }

    /// n pictures of one value, which is clamped to [0, 1].
    pub fn filled(n: usize, c: usize, h: usize, w: usize, value: f32) -> Self {
        Self { n, c, h, w, data: vec![value.clamp(0.0, 1.0); n * c * h * w] }
    }

    fn check_shape(n: usize, c: usize, h: usize, w: usize, len: usize) -> Result<()> {
        let expected = [n, c, h, w].iter().try_fold(1_usize, |product, &x| product.checked_mul(x));
        if n == 0 || h == 0 || w == 0 || !matches!(c, 1 | 3) || expected != Some(len) {
            return Err(Error::mismatch(
                Field::Shape("pictures".into()),
                format!("{len} numbers"),
                format!("(n, c, h, w) = ({n}, {c}, {h}, {w})"),
                "give n·c·h·w numbers, with n, h and w at least 1 and c = 1 or 3",
            ));
        }
        Ok(())
    }

    /// The name of number `i` in messages.
    fn place_of(c: usize, h: usize, w: usize, i: usize) -> String {
        let place = [i / (c * h * w), i / (h * w) % c, i / w % h, i % w];
        format!("pixel {place:?} (picture, channel, row, column)")
    }

    /// Number of pictures n ≥ 1.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Never true: there is at least one picture.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// (n, c, h, w).
    pub fn shape(&self) -> [usize; 4] {
        [self.n, self.c, self.h, self.w]
    }

    /// Number of channels: 1 or 3.
    pub fn channels(&self) -> usize {
        self.c
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.h
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.w
    }

    /// Numbers per picture, c·h·w.
    pub fn stride(&self) -> usize {
        self.c * self.h * self.w
    }

    /// All pixels in NCHW order, in [0, 1].
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// The pixels, given away.
    pub fn into_data(self) -> Vec<f32> {
        self.data
    }

    /// Pixels of picture i, in CHW order.
    ///
    /// # Panics
    /// When i ≥ n.
    pub fn picture(&self, i: usize) -> &[f32] {
        &self.data[i * self.stride()..(i + 1) * self.stride()]
    }

    /// The pictures at `indices`, in that order; an index may occur more than once.
    ///
    /// # Errors
    /// [`Error::TooFew`] when `indices` is empty; [`Error::Parameter`] when one of them is not below n.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        if indices.is_empty() {
            return Err(Error::too_few("indices", 0, 1, "a selection of pictures"));
        }
        let mut data = Vec::with_capacity(indices.len() * self.stride());
        for &i in indices {
            if i >= self.n {
                return Err(Error::parameter("index", i, format!("below {}, the number of pictures", self.n)));
            }
            data.extend_from_slice(self.picture(i));
        }
        Ok(Self { n: indices.len(), data, ..*self })
    }

    /// All pictures of `parts`, one after the other.
    ///
    /// # Errors
    /// [`Error::TooFew`] when there are none; [`Error::Mismatch`] when their channels or sizes differ.
    pub fn concat(parts: &[Images]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::too_few("pictures", 0, 1, "a batch"));
        };
        let [_, c, h, w] = first.shape();
        if let Some(other) = parts.iter().find(|p| p.shape()[1..] != first.shape()[1..]) {
            return Err(Error::mismatch(
                Field::Shape("pictures (c, h, w)".into()),
                format!("({c}, {h}, {w})"),
                format!("({}, {}, {})", other.c, other.h, other.w),
                "convert and resize them to one shape first",
            ));
        }
        let data: Vec<f32> = parts.iter().flat_map(|p| p.data.iter().copied()).collect();
        Ok(Self { n: parts.iter().map(|p| p.n).sum(), c, h, w, data })
    }

    /// The same pictures with every pixel rounded to the nearest 255th, as in a file of 8 bits.
    pub fn eight_bit(&self) -> Self {
        Self { data: self.data.iter().map(|x| (x * 255.0).round() / 255.0).collect(), ..*self }
    }

    /// The same pictures in `colour`.
    ///
    /// Grey from colour is the Rec. 601 luma of the gamma-encoded values, Y = 0.299 R + 0.587 G + 0.114 B, not rounded;
    /// colour from grey repeats the one channel.
    pub fn to_colour(&self, colour: Colour) -> Self {
        let plane = self.h * self.w;
        let data = match (self.c, colour) {
            (1, Colour::Grey) | (3, Colour::Rgb) => return self.clone(),
            (_, Colour::Grey) => self
                .data
                .chunks_exact(3 * plane)
                .flat_map(|p| (0..plane).map(|i| luma(p[i], p[plane + i], p[2 * plane + i])))
                .collect(),
            (_, Colour::Rgb) => self.data.chunks_exact(plane).flat_map(|p| [p, p, p].concat()).collect(),
        };
        Self { c: colour.channels(), data, ..*self }
    }
}

/// Rec. 601 luma. The weights' sum is 1 only up to rounding, hence the clamp.
fn luma(r: f32, g: f32, b: f32) -> f32 {
    (0.299 * r + 0.587 * g + 0.114 * b).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_and_pixels_are_checked() {
        assert!(Images::new(1, 1, 2, 2, vec![0.0, 0.5, 1.0, 0.25]).is_ok());
        assert!(Images::new(1, 2, 1, 2, vec![0.0; 4]).is_err());
        assert!(Images::new(0, 1, 1, 1, vec![]).is_err());
        assert!(Images::new(usize::MAX, 3, 2, 2, vec![]).is_err());
        let fault = Images::new(2, 1, 2, 2, vec![0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.5, 0.0]).unwrap_err().to_string();
        assert!(fault.starts_with("pixel [1, 0, 1, 0] (picture, channel, row, column) is 1.5, but must be in [0, 1]"));
        assert!(matches!(Images::new(1, 1, 1, 1, vec![f32::NAN]), Err(Error::Value { .. })));
        assert!(matches!(Images::clamped(1, 1, 1, 1, vec![f32::NAN]), Err(Error::NotFinite { .. })));
        assert_eq!(Images::clamped(1, 1, 1, 3, vec![-0.5, 0.5, f32::INFINITY]).unwrap().data(), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn grey_is_rec_601_luma_and_colour_repeats() {
        let rgb = Images::new(2, 3, 1, 2, vec![1., 0., 0., 0., 0., 1., 0., 1., 1., 1., 0., 1.]).unwrap();
        let grey = rgb.to_colour(Colour::Grey);
        let expected = [0.299, 0.114, 0.587, 1.0];
        assert!(grey.data().iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{grey:?}");
        assert_eq!(grey.to_colour(Colour::Rgb).picture(1)[0..4], [grey.data()[2], 1.0, grey.data()[2], 1.0]);
        assert_eq!(rgb.to_colour(Colour::Rgb), rgb);
    }

    #[test]
    fn selecting_and_joining() {
        let images = Images::new(3, 1, 1, 1, vec![0.0, 0.5, 1.0]).unwrap();
        let picked = images.select(&[2, 0, 2]).unwrap();
        assert_eq!(picked.data(), [1.0, 0.0, 1.0]);
        assert!(images.select(&[3]).is_err() && images.select(&[]).is_err());
        assert_eq!(Images::concat(&[picked, images.clone()]).unwrap().data(), [1.0, 0.0, 1.0, 0.0, 0.5, 1.0]);
        assert!(Images::concat(&[images, Images::filled(1, 1, 2, 1, 0.0)]).is_err());
        assert!(Images::concat(&[]).is_err());
    }
}
