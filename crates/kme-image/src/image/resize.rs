//! Resizing.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use kme::{Error, Result};
use rayon::prelude::*;

use super::bilinear::{Grid, bilinear};
use super::png::side;
use super::{DEFAULT_MAX_PIXELS, Images, Method, Protocol};

/// The interpolation kernel. When a picture gets smaller, the kernel is widened by the same factor (antialiasing), as
/// Pillow does under the same names; OpenCV and deep-learning frameworks do not unless told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Filter {
    /// Mean of the input pixels whose centres lie in the output pixel.
    Box,
    /// Triangle of half-width 1.
    Bilinear,
    /// Cubic convolution with a = −1/2 (Keys 1981), half-width 2.
    #[default]
    Bicubic,
    /// Windowed sinc of half-width 3.
    Lanczos,
}

impl Filter {
    const ALL: [(&'static str, Self); 4] =
        [("box", Self::Box), ("bilinear", Self::Bilinear), ("bicubic", Self::Bicubic), ("lanczos", Self::Lanczos)];

    fn kind(self) -> FilterType {
        match self {
            Self::Box => FilterType::Box,
            Self::Bilinear => FilterType::Bilinear,
            Self::Bicubic => FilterType::CatmullRom,
            Self::Lanczos => FilterType::Lanczos3,
        }
    }
}

/// What happens when the output has another aspect ratio than the input.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Aspect {
    /// The whole picture is stretched or squeezed to the output.
    Stretch,
    /// The largest centred window of the output's aspect ratio is resized; what lies outside of it is lost. The window
    /// may begin between two pixels.
    #[default]
    Crop,
    /// The whole picture is scaled to fit and centred on a ground of this grey level in [0, 1].
    Pad(f32),
}

impl Aspect {
    const ALL: [(&'static str, Self); 3] = [("stretch", Self::Stretch), ("crop", Self::Crop), ("pad", Self::Pad(1.0))];
}

fn by_name<T: Copy>(what: &'static str, names: &[(&str, T)], text: &str) -> Result<T> {
    let found = names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
    found.ok_or_else(|| Error::unknown(what, text, names.iter().map(|(name, _)| name)))
}

impl FromStr for Filter {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        by_name("filter", &Self::ALL, text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, value)| value == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Aspect {
    type Err = Error;
    /// `stretch`, `crop`, `pad` (on white), or `pad:LEVEL` (on a grey level from 0 to 1).
    fn from_str(text: &str) -> Result<Self> {
        let level = text.strip_prefix("pad:").and_then(|level| level.parse().ok());
        if let Some(level) = level.filter(|level| (0.0..=1.0).contains(level)) {
            return Ok(Self::Pad(level));
        }
        by_name("aspect", &Self::ALL, text)
    }
}

impl fmt::Display for Aspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stretch => f.write_str("stretch"),
            Self::Crop => f.write_str("crop"),
            Self::Pad(1.0) => f.write_str("pad"),
            Self::Pad(level) => write!(f, "pad:{level}"),
        }
    }
}

/// Resizing of pictures to one size.
///
/// Antialiased, every channel is convolved in `f32` with weights in `f64`; nothing is rounded to 8 bits on the way, and
/// before it only where the [`Protocol`] says so. Kernels with negative lobes can overshoot, so the result is clamped to
/// [0, 1].
///
/// # Example
/// ```
/// use kme_image::{Images, Resize};
/// let grey = Images::new(1, 1, 64, 48, vec![0.5; 64 * 48])?;
/// let small = Resize::new(32, 32)?.apply(&grey)?;
/// assert_eq!(small.shape(), [1, 1, 32, 32]);
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resize {
    height: usize,
    width: usize,
    protocol: Protocol,
}

impl Resize {
    /// To `height` × `width` pixels by the default [`Protocol`]: antialiased, bicubic, with [`Aspect::Crop`].
    ///
    /// # Errors
    /// [`Error::Parameter`] when a side is 0 or the picture would have more than 10⁸ pixels.
    pub fn new(height: usize, width: usize) -> Result<Self> {
        let pixels = height.saturating_mul(width) as u64;
        if pixels == 0 || pixels > DEFAULT_MAX_PIXELS {
            let allowed = format!("at least 1x1, with at most {DEFAULT_MAX_PIXELS} pixels");
            return Err(Error::parameter("size", format!("{height}x{width}"), allowed));
        }
        Ok(Self { height, width, protocol: Protocol::default() })
    }

    /// To the size in `text`: `HxW` (height first), or `N` for a square of side N.
    ///
    /// # Errors
    /// [`Error::Syntax`] when `text` is neither; those of [`Resize::new`].
    pub fn parse(text: &str) -> Result<Self> {
        let fault = || Error::syntax("size", text, "write HEIGHTxWIDTH, such as 64x48, or one number for a square");
        let (h, w) = text.split_once(['x', 'X', '×']).unwrap_or((text, text));
        let side = |s: &str| s.parse::<usize>().map_err(|_| fault());
        Self::new(side(h)?, side(w)?)
    }

    /// To the same size by `protocol`.
    pub fn with(self, protocol: Protocol) -> Self {
        Self { protocol, ..self }
    }

    /// How it is done.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Output height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Output width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The resized pictures: shape (n, c, height, width), pixels in [0, 1]. Pictures that have the size already are
    /// returned as they are, bit for bit, unless the protocol rounds them to 8 bits.
    ///
    /// # Errors
    /// [`Error::TooMany`] when a picture is larger than the resampler can address (2³² pixels on a side).
    pub fn apply(&self, images: &Images) -> Result<Images> {
        match self.protocol.eight_bit {
            true => self.sized(images.eight_bit()),
            false if images.shape()[2..] == [self.height, self.width] => Ok(images.clone()),
            false => self.resampled(images),
        }
    }

    /// As [`Resize::apply`], of pictures that are given away: those that have the size are not copied.
    ///
    /// # Errors
    /// As [`Resize::apply`].
    pub fn bring(&self, images: Images) -> Result<Images> {
        self.sized(if self.protocol.eight_bit { images.eight_bit() } else { images })
    }

    fn sized(&self, images: Images) -> Result<Images> {
        if images.shape()[2..] == [self.height, self.width] { Ok(images) } else { self.resampled(&images) }
    }

    fn resampled(&self, images: &Images) -> Result<Images> {
        match self.protocol.method {
            Method::Antialiased(filter, aspect) => self.antialiased(images, filter, aspect),
            Method::Tensorflow1Bilinear => bilinear(images, self.height, self.width, Grid::Corner),
            Method::TorchBilinear => bilinear(images, self.height, self.width, Grid::Centre),
        }
    }

    fn antialiased(&self, images: &Images, filter: Filter, aspect: Aspect) -> Result<Images> {
        let [n, c, h, w] = images.shape();
        let (inner_h, inner_w) = match aspect {
            Aspect::Stretch | Aspect::Crop => (self.height, self.width),
            Aspect::Pad(_) => self.fitted(h, w),
        };
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter.kind()));
        let options = if aspect == Aspect::Crop { options.fit_into_destination(Some((0.5, 0.5))) } else { options };
        let planes: Vec<Vec<f32>> = images
            .data()
            .par_chunks_exact(h * w)
            .map_init(Resizer::new, |resizer, plane| resample(resizer, &options, plane, (h, w), (inner_h, inner_w)))
            .collect::<Result<_>>()?;
        let Aspect::Pad(ground) = aspect else {
            return Images::clamped(n, c, self.height, self.width, planes.concat());
        };
        let mut padded = Images::filled(n, c, self.height, self.width, ground);
        let (top, left) = ((self.height - inner_h) / 2, (self.width - inner_w) / 2);
        for (out, plane) in padded.data.chunks_exact_mut(self.height * self.width).zip(&planes) {
            for (y, row) in plane.chunks_exact(inner_w).enumerate() {
                let start = (top + y) * self.width + left;
                out[start..start + inner_w].copy_from_slice(row);
            }
        }
        Images::clamped(n, c, self.height, self.width, padded.into_data())
    }

    /// The largest size of the aspect ratio h : w inside the output, rounded to whole pixels.
    pub(super) fn fitted(&self, h: usize, w: usize) -> (usize, usize) {
        let (height, width) = (self.height as f64, self.width as f64);
        let scale = (height / h as f64).min(width / w as f64);
        let side = |x: usize, most: usize| ((x as f64 * scale).round() as usize).clamp(1, most);
        (side(h, self.height), side(w, self.width))
    }
}

fn resample(
    resizer: &mut Resizer,
    options: &ResizeOptions,
    plane: &[f32],
    (h, w): (usize, usize),
    (out_h, out_w): (usize, usize),
) -> Result<Vec<f32>> {
    let resize = || format!("resize pictures of {h}x{w} to {out_h}x{out_w}");
    let fault = |fault: &dyn fmt::Display| Error::unsupported(resize(), fault.to_string());
    let pixels: Vec<F32> = plane.iter().map(|&x| F32::new(x)).collect();
    let from = TypedImageRef::new(side(w)?, side(h)?, &pixels).map_err(|e| fault(&e))?;
    let mut to = TypedImage::<F32>::new(side(out_w)?, side(out_h)?);
    resizer.resize_typed(&from, &mut to, options).map_err(|e| fault(&e))?;
    Ok(to.pixels().iter().map(|p| p.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn antialiased(h: usize, w: usize, filter: Filter, aspect: Aspect) -> Resize {
        Resize::new(h, w).unwrap().with(Protocol {
            eight_bit: false,
            method: Method::Antialiased(filter, aspect),
            tool: None,
        })
    }

    /// Weights of the input pixels for each output pixel along one axis, by definition: the kernel, widened by the
    /// reduction, sampled at pixel centres, cut at the picture's border and normalised.
    fn weights(len: usize, window: (f64, f64), out: usize, filter: Filter) -> Vec<Vec<f64>> {
        let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let (half, kernel): (f64, Box<dyn Fn(f64) -> f64>) = match filter {
            Filter::Box => (0.5, Box::new(|x| if x > -0.5 && x <= 0.5 { 1.0 } else { 0.0 })),
            Filter::Bilinear => (1.0, Box::new(|x| (1.0 - x.abs()).max(0.0))),
            Filter::Bicubic => (
                2.0,
                Box::new(|x| match x.abs() {
                    x if x < 1.0 => 1.5 * x.powi(3) - 2.5 * x * x + 1.0,
                    x if x < 2.0 => -0.5 * x.powi(3) + 2.5 * x * x - 4.0 * x + 2.0,
                    _ => 0.0,
                }),
            ),
            Filter::Lanczos => (3.0, Box::new(move |x| if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 })),
        };
        let scale = (window.1 - window.0) / out as f64;
        let wide = scale.max(1.0);
        (0..out)
            .map(|o| {
                let centre = window.0 + (o as f64 + 0.5) * scale;
                let first = (centre - half * wide + 0.5).max(0.0) as usize;
                let end = ((centre + half * wide + 0.5) as usize).min(len);
                let raw: Vec<f64> = (0..len)
                    .map(|i| {
                        let inside = (first..end).contains(&i);
                        if inside { kernel((i as f64 + 0.5 - centre) / wide) } else { 0.0 }
                    })
                    .collect();
                let total: f64 = raw.iter().sum();
                raw.iter().map(|x| x / total).collect()
            })
            .collect()
    }

    fn naive(
        plane: &[f32],
        (h, w): (usize, usize),
        (oh, ow): (usize, usize),
        filter: Filter,
        aspect: Aspect,
    ) -> Vec<f64> {
        let (mut y, mut x) = ((0.0, h as f64), (0.0, w as f64));
        if aspect == Aspect::Crop {
            let scale = (h as f64 / oh as f64).min(w as f64 / ow as f64);
            let centred = |len: usize, out: usize| {
                let window = out as f64 * scale;
                ((len as f64 - window) / 2.0, (len as f64 + window) / 2.0)
            };
            (y, x) = (centred(h, oh), centred(w, ow));
        }
        let (rows, columns) = (weights(h, y, oh, filter), weights(w, x, ow, filter));
        let mut out = Vec::new();
        for row in &rows {
            for column in &columns {
                let mut sum = 0.0;
                for (i, a) in row.iter().enumerate() {
                    for (j, b) in column.iter().enumerate() {
                        sum += a * b * f64::from(plane[i * w + j]);
                    }
                }
                out.push(sum.clamp(0.0, 1.0));
            }
        }
        out
    }

    fn noise(n: usize, c: usize, h: usize, w: usize) -> Images {
        let mut lcg = kme_testing::Lcg(1);
        let data = (0..n * c * h * w).map(|_| lcg.uniform(24) as f32).collect();
        Images::new(n, c, h, w, data).unwrap()
    }

    #[test]
    fn agrees_with_the_definition_in_f64() {
        for (from, to) in [
            ((31, 47), (16, 16)),
            ((28, 28), (64, 64)),
            ((9, 40), (13, 7)),
            ((64, 64), (3, 5)),
            ((5, 4), (4, 4)),
            ((1, 7), (4, 4)),
            ((90, 17), (90, 16)),
        ] {
            let images = noise(2, 3, from.0, from.1);
            for (_, filter) in Filter::ALL {
                for aspect in [Aspect::Stretch, Aspect::Crop] {
                    let out = antialiased(to.0, to.1, filter, aspect).apply(&images).unwrap();
                    assert_eq!(out.shape(), [2, 3, to.0, to.1]);
                    for (plane, got) in images.data().chunks(from.0 * from.1).zip(out.data().chunks(to.0 * to.1)) {
                        let expected = naive(plane, from, to, filter, aspect);
                        let worst =
                            got.iter().zip(&expected).map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max);
                        assert!(worst < 2e-6, "{from:?} to {to:?}, {filter}, {aspect}: {worst:e}");
                    }
                }
            }
        }
    }

    #[test]
    fn agrees_with_pillow() {
        let data = (0..11 * 14).map(|i| (37 * (i / 14) + 101 * (i % 14) + 17 * (i / 14) * (i % 14)) % 256);
        let picture = Images::new(1, 1, 11, 14, data.map(|v| v as f32 / 256.0).collect()).unwrap();
        let golden = include_str!("../../tests/golden/pillow_resize.txt");
        assert_eq!(golden.lines().count(), 16);
        for line in golden.lines() {
            let mut words = line.split(' ');
            let filter = words.next().unwrap().parse().unwrap();
            let mut side = || words.next().unwrap().parse().unwrap();
            let resize = antialiased(side(), side(), filter, Aspect::Stretch);
            let expected: Vec<f32> = words.map(|w| w.parse().unwrap()).collect();
            let got = resize.apply(&picture).unwrap();
            assert_eq!(got.data().len(), expected.len());
            let worst = got.data().iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 2e-6, "{filter} to {}x{}: {worst:e}", resize.height, resize.width);
        }
    }

    #[test]
    fn a_fine_pattern_averages_out_instead_of_aliasing() {
        let board: Vec<f32> = (0..64 * 64).map(|i| ((i / 64 + i) % 2) as f32).collect();
        let images = Images::new(1, 1, 64, 64, board).unwrap();
        for (_, filter) in Filter::ALL {
            let small = antialiased(8, 8, filter, Aspect::Crop).apply(&images).unwrap();
            assert!(small.data().iter().all(|x| (x - 0.5).abs() < 0.02), "{filter}");
        }
    }

    #[test]
    fn padding_keeps_the_whole_picture() {
        let images = Images::filled(1, 3, 10, 20, 0.25);
        let out = antialiased(8, 8, Filter::Bicubic, Aspect::Pad(1.0)).apply(&images).unwrap();
        let rows: Vec<f32> = out.picture(0)[..64].chunks(8).map(|row| row.iter().sum::<f32>() / 8.0).collect();
        let expected = [1.0, 1.0, 0.25, 0.25, 0.25, 0.25, 1.0, 1.0];
        assert!(rows.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{rows:?}");
        // A line of 1 × 1000 pixels would round to height 0.
        let line = Images::filled(1, 1, 1, 1000, 0.5);
        assert!(antialiased(8, 8, Filter::Bicubic, Aspect::Pad(0.0)).apply(&line).is_ok());
    }

    #[test]
    fn same_size_is_the_same_bits() {
        let images = noise(2, 1, 7, 9);
        for aspect in [Aspect::Stretch, Aspect::Crop, Aspect::Pad(0.5)] {
            assert_eq!(antialiased(7, 9, Filter::Bicubic, aspect).apply(&images).unwrap(), images);
        }
    }

    #[test]
    fn sizes_are_parsed_and_checked() {
        let size = |text| Resize::parse(text).map(|r| (r.height(), r.width()));
        assert_eq!(size("64x48").unwrap(), (64, 48));
        assert_eq!(size("28").unwrap(), (28, 28));
        for bad in ["", "0", "0x4", "x", "3x", "-1", "4x5x6", "1e9", "100000x100000", "99999999999999999999"] {
            let fault = size(bad).unwrap_err();
            assert!(matches!(fault, Error::Syntax { .. }) || fault.parameter_name() == Some("size"), "{fault}");
        }
        assert_eq!("lanczos".parse::<Filter>().unwrap(), Filter::Lanczos);
        let fault = "nearest".parse::<Filter>().unwrap_err().to_string();
        assert_eq!(fault, "unknown filter 'nearest'; choose one of box, bilinear, bicubic, lanczos");
        assert!(matches!("squash".parse::<Aspect>(), Err(Error::UnknownName { .. })));
    }
}
