//! Reading a picture file into pixels in [0, 1].

mod bmp;
mod gif;
pub(crate) mod kind;
mod opened;
mod webp;

use std::fmt;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use kme::{Action, Error, Result};

use super::Images;
pub(crate) use opened::Head;
use opened::Opened;

/// The formats that are read, as messages name them.
pub(crate) const FORMATS: &str = "PNG, JPEG, BMP, GIF, TIFF, WebP and PNM (PPM, PGM, PBM, PAM)";

/// Pictures of more pixels than this are refused unless a [`Decoder`] says otherwise: 10⁸, a square of side 10,000.
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// The colour spaces of a decoded picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// One channel.
    Grey,
    /// Three channels: red, green, blue.
    Rgb,
}

impl Colour {
    /// Number of channels: 1 or 3.
    pub fn channels(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }

    /// The colour space of 1 or 3 channels.
    ///
    /// # Errors
    /// [`Error::Parameter`] for any other number.
    pub fn from_channels(channels: usize) -> Result<Self> {
        match channels {
            1 => Ok(Self::Grey),
            3 => Ok(Self::Rgb),
            _ => Err(Error::parameter("channels", channels, "1 (grey) or 3 (red, green, blue)")),
        }
    }
}

/// What happens to a file's channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Channels {
    /// As in the file: grey files give 1 channel, all others 3.
    #[default]
    Keep,
    /// Converted where needed, see [`Images::to_colour`].
    Convert(Colour),
    /// A file of the other kind is an error.
    Require(Colour),
}

/// Whose way of reading what a file says besides its samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Reading {
    /// As viewers show it: the orientation in EXIF metadata is applied, transparency is removed by laying the picture over
    /// the background, and samples of 16 bits keep their precision.
    #[default]
    Upright,
    /// As Pillow's `Image.open(file).convert("RGB")`, with which clean-fid, torch-fidelity and pytorch-fid read: EXIF's
    /// orientation is ignored (TIFF's own tag is not), transparency is dropped, so that the colour that was stored under it
    /// shows, and of colour samples of 16 bits the upper 8 count. Grey samples of 16 bits, and of 32 in TIFF files, are cut
    /// off at 255, as Pillow does it: of most such pictures that leaves white.
    Pillow,
}

/// How picture files are read: PNG, JPEG, BMP, GIF (its first frame), TIFF (its first page), WebP and PNM, told apart by
/// content, not by name.
///
/// * JPEG files are decoded to the bits of libjpeg-turbo with its defaults; all others have the samples that Pillow reads.
/// * Samples of 8 and 16 bits are divided by 255 and 65535: pixels are in [0, 1], in the file's gamma.
/// * Transparency is removed by laying the picture over `background` (default 1, **white**), in the file's gamma:
///   α·c + (1 − α)·background.
/// * The orientation in EXIF metadata is applied, so that a picture is read as viewers show it.
/// * The last two, and 16 bits, are otherwise with [`Reading::Pillow`].
/// * Colour profiles are not applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoder {
    /// What happens to the file's channels.
    pub channels: Channels,
    /// Grey level in [0, 1] under transparent parts.
    pub background: f32,
    /// Larger pictures are refused before memory is taken for them.
    pub max_pixels: u64,
    /// How to treat orientation, transparency and 16 bits.
    pub reading: Reading,
}

impl Default for Decoder {
    fn default() -> Self {
        Self {
            channels: Channels::default(),
            background: 1.0,
            max_pixels: DEFAULT_MAX_PIXELS,
            reading: Reading::default(),
        }
    }
}

/// Plain samples, pixel after pixel: bytes, or numbers from 0 to 1.
pub(crate) enum Samples {
    Bytes(Vec<u8>),
    Floats(Vec<f32>),
}

impl fmt::Display for Decoder {
    /// What decides about the pixels of files: whose way with files is followed, and what is made of orientation and
    /// transparency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JPEG as libjpeg-turbo, TIFF and PNM as Pillow; ")?;
        match self.reading {
            Reading::Pillow => {
                f.write_str("EXIF ignored, alpha dropped, grey of 16 bits cut off at 255 (Pillow's RGB)")
            }
            Reading::Upright => write!(f, "EXIF applied, alpha over grey level {}", self.background),
        }
    }
}

impl Decoder {
    /// A decoder that treats channels so, and everything else by default.
    pub fn new(channels: Channels) -> Self {
        Self { channels, ..Self::default() }
    }

    /// The picture in the file at `path`: shape (1, c, h, w), pixels in [0, 1].
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it is empty, not a picture, damaged or cut off, larger
    /// than `max_pixels`, or has other channels than [`Channels::Require`] demands.
    pub fn read(&self, path: &Path) -> Result<Images> {
        let bytes = std::fs::read(path).map_err(|fault| Error::io(path, Action::Read, fault))?;
        self.decode(&bytes, path)
    }

    /// The picture in `bytes`; `path` is only for messages. Shape and errors as for [`Decoder::read`].
    pub fn decode(&self, bytes: &[u8], path: &Path) -> Result<Images> {
        if kind::is_raw(path) {
            let fault = format!("is a camera's raw file; develop it, since only {FORMATS} are read");
            return Err(Error::format(path, fault));
        }
        let picture = self.decode_file(bytes).map_err(|fault| Error::format(path, fault))?;
        self.in_channels(picture, path)
    }

    /// The picture of plain samples, `c` of them for each of `h` × `w` pixels; of 4 the last is opacity.
    pub(crate) fn of_samples(&self, samples: Samples, [h, w, c]: [usize; 3], path: &Path) -> Result<Images> {
        let ground = (self.reading == Reading::Upright).then_some(self.background.clamp(0.0, 1.0));
        let byte = |x: &u8| f32::from(*x) / 255.0;
        let data = match (samples, c) {
            (Samples::Bytes(raw), 1) => split::<1, _>(&raw, false, ground, byte),
            (Samples::Bytes(raw), 3) => split::<3, _>(&raw, false, ground, byte),
            (Samples::Bytes(raw), 4) => split::<4, _>(&raw, true, ground, byte),
            (Samples::Floats(raw), 1) => split::<1, _>(&raw, false, ground, |x| *x),
            (Samples::Floats(raw), 3) => split::<3, _>(&raw, false, ground, |x| *x),
            (Samples::Floats(raw), 4) => split::<4, _>(&raw, true, ground, |x| *x),
            _ => return Err(Error::format(path, format!("has {c} channels; 1, 3 and 4 are read"))),
        };
        let picture = Images::new(1, if c == 4 { 3 } else { c }, h, w, data).map_err(|e| unusable(path, e))?;
        self.in_channels(picture, path)
    }

    fn in_channels(&self, picture: Images, path: &Path) -> Result<Images> {
        match self.channels {
            Channels::Keep => Ok(picture),
            Channels::Convert(colour) if colour.channels() == picture.channels() => Ok(picture),
            Channels::Convert(colour) => Ok(picture.to_colour(colour)),
            Channels::Require(colour) if colour.channels() == picture.channels() => Ok(picture),
            Channels::Require(colour) => {
                let (found, needed) = (picture.channels(), colour.channels());
                let fault =
                    format!("channels are {found}, but must be {needed}; convert the picture, or allow conversion");
                Err(Error::format(path, fault))
            }
        }
    }

    fn decode_file(&self, bytes: &[u8]) -> std::result::Result<Images, String> {
        let file = Opened::new(bytes, self.max_pixels)?;
        self.check_size(file.height, file.width)?;
        if file.piece() > self.max_pixels {
            return Err(format!("tiles of {} pixels; at most {} are read", file.piece(), self.max_pixels));
        }
        // Pillow turns what TIFF's own tag says, and leaves EXIF to its caller, who does not ask.
        let turn = self.reading == Reading::Upright || file.format == ImageFormat::Tiff;
        let orientation = file.orientation;
        let mut picture = file.decode(self.reading)?;
        if turn {
            picture.apply_orientation(orientation);
        }
        planes(&picture, self.background.clamp(0.0, 1.0), self.reading)
    }

    fn check_size(&self, h: u64, w: u64) -> std::result::Result<(), String> {
        let (pixels, most) = (w.saturating_mul(h), self.max_pixels);
        match pixels {
            0 => Err(format!("{w}×{h} pixels: the picture is empty")),
            _ if pixels > most => {
                Err(format!("{w}×{h} = {pixels} pixels; at most {most} are read: scale it down first, or allow more"))
            }
            _ => Ok(()),
        }
    }
}

/// A fault of a picture that could be read, with its file.
pub(crate) fn unusable(path: &Path, fault: Error) -> Error {
    if fault.file_path().is_some() { fault } else { Error::unreadable(path, "cannot be used", fault) }
}

/// The decoded samples, widened to `f32` in [0, 1], without alpha, channel after channel.
fn planes(picture: &DynamicImage, background: f32, reading: Reading) -> std::result::Result<Images, String> {
    use DynamicImage as D;
    let (h, w) = (picture.height() as usize, picture.width() as usize);
    let byte = |x: &u8| f32::from(*x) / 255.0;
    let word = |x: &u16| f32::from(*x) / 65535.0;
    let upper = |x: &u16| f32::from(*x >> 8) / 255.0;
    let cut_off = |x: &u16| f32::from(*x.min(&255)) / 255.0;
    let cut = reading == Reading::Pillow;
    // What is under transparent parts; without it alpha is dropped.
    let ground = (!cut).then_some(background);
    let data = match picture {
        D::ImageLuma8(p) => split::<1, _>(p.as_raw(), false, ground, byte),
        D::ImageLumaA8(p) => split::<2, _>(p.as_raw(), true, ground, byte),
        D::ImageRgb8(p) => split::<3, _>(p.as_raw(), false, ground, byte),
        D::ImageRgba8(p) => split::<4, _>(p.as_raw(), true, ground, byte),
        D::ImageLuma16(p) if cut => split::<1, _>(p.as_raw(), false, ground, cut_off),
        D::ImageLuma16(p) => split::<1, _>(p.as_raw(), false, ground, word),
        D::ImageLumaA16(p) if cut => split::<2, _>(p.as_raw(), true, ground, upper),
        D::ImageRgb16(p) if cut => split::<3, _>(p.as_raw(), false, ground, upper),
        D::ImageRgba16(p) if cut => split::<4, _>(p.as_raw(), true, ground, upper),
        D::ImageLumaA16(p) => split::<2, _>(p.as_raw(), true, ground, word),
        D::ImageRgb16(p) => split::<3, _>(p.as_raw(), false, ground, word),
        D::ImageRgba16(p) => split::<4, _>(p.as_raw(), true, ground, word),
        other => return Err(format!("samples of type {:?}; whole numbers of up to 16 bits are read", other.color())),
    };
    let c = data.len() / (h * w);
    Images::new(1, c, h, w, data).map_err(|e| e.to_string())
}

/// Interleaved pixels of K samples (the last one α if `alpha`) as planes over `ground`; without one, α is dropped.
fn split<const K: usize, T>(raw: &[T], alpha: bool, ground: Option<f32>, unit: impl Fn(&T) -> f32) -> Vec<f32> {
    let channels = if alpha { K - 1 } else { K };
    let mut data = Vec::with_capacity(raw.len() / K * channels);
    for channel in 0..channels {
        match ground.filter(|_| alpha) {
            None => data.extend(raw.chunks_exact(K).map(|pixel| unit(&pixel[channel]))),
            Some(ground) => data.extend(raw.chunks_exact(K).map(|pixel| {
                let opacity = unit(&pixel[K - 1]);
                // A sum of non-negative terms with weights that sum to 1 can still round to just above 1.
                (opacity * unit(&pixel[channel]) + (1.0 - opacity) * ground).min(1.0)
            })),
        }
    }
    data
}

#[cfg(test)]
mod pillow_tests;
#[cfg(test)]
mod tests;
