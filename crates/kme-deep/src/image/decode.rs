//! Reading a picture file into pixels in [0, 1].

pub(crate) mod kind;

use std::fmt;
use std::io::Cursor;
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};
use kme::{Error, Result};

use super::Images;
use super::jpeg::{Jpeg, Pixels};

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
    /// For any other number.
    pub fn from_channels(channels: usize) -> Result<Self> {
        match channels {
            1 => Ok(Self::Grey),
            3 => Ok(Self::Rgb),
            _ => Err(Error::value("channels", channels, "1 (grey) or 3 (red, green, blue)")),
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
    /// shows, and of colour samples of 16 bits the upper 8 count. Grey samples of 16 bits are divided by 65535 here too:
    /// Pillow cuts them off at 255, which leaves nothing of the picture.
    Pillow,
}

/// How picture files are read: PNG, JPEG, BMP, GIF (its first frame), TIFF (its first page), WebP and PNM, told apart by
/// content, not by name.
///
/// * JPEG files are decoded to the bits of libjpeg-turbo with its defaults.
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
    /// What is made of orientation, transparency and 16 bits.
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
    /// What decides about the pixels of files: by whose rounding JPEG files are decoded, and what is made of orientation and
    /// transparency.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JPEG as libjpeg-turbo; ")?;
        match self.reading {
            Reading::Pillow => f.write_str("EXIF ignored, alpha dropped (Pillow's RGB)"),
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
    /// [`Error::File`] when the file cannot be read, is empty, is no picture, is damaged or cut off, is larger than
    /// `max_pixels`, or has other channels than [`Channels::Require`] demands.
    pub fn read(&self, path: &Path) -> Result<Images> {
        let bytes = std::fs::read(path).map_err(|fault| Error::file(path, fault))?;
        self.decode(&bytes, path)
    }

    /// The picture in `bytes`; `path` is only for messages. Shape and errors as for [`Decoder::read`].
    pub fn decode(&self, bytes: &[u8], path: &Path) -> Result<Images> {
        if kind::is_raw(path) {
            let fault = format!("a camera's raw file, whose pixels are not developed; only {FORMATS} are read");
            return Err(Error::file(path, fault));
        }
        let picture = self.decode_file(bytes).map_err(|fault| Error::file(path, fault))?;
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
            _ => return Err(Error::file(path, format!("{c} channels; 1, 3 and 4 are read"))),
        };
        let picture = Images::new(1, if c == 4 { 3 } else { c }, h, w, data).map_err(|e| Error::file(path, e))?;
        self.in_channels(picture, path)
    }

    fn in_channels(&self, picture: Images, path: &Path) -> Result<Images> {
        match self.channels {
            Channels::Keep => Ok(picture),
            Channels::Convert(colour) if colour.channels() == picture.channels() => Ok(picture),
            Channels::Convert(colour) => Ok(picture.to_colour(colour)),
            Channels::Require(colour) if colour.channels() == picture.channels() => Ok(picture),
            Channels::Require(colour) => Err(Error::file(
                path,
                format!(
                    "{} channel(s) where {} are required; convert the picture or allow conversion",
                    picture.channels(),
                    colour.channels()
                ),
            )),
        }
    }

    fn decode_file(&self, bytes: &[u8]) -> std::result::Result<Images, String> {
        if bytes.is_empty() {
            return Err("the file is empty (0 bytes)".into());
        }
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
        if kind::is_big_tiff(bytes) {
            reader.set_format(ImageFormat::Tiff);
        }
        let unread = |kind: String| Err(format!("{kind}; only {FORMATS} are read: convert it first"));
        let format = match (kind::of(bytes), reader.format()) {
            (Some(kind), _) => return unread(kind.into()),
            (None, Some(format)) if format.reading_enabled() => format,
            (None, Some(format)) => return unread(format!("a file of type {format:?}")),
            (None, None) => return Err(format!("not a picture; {FORMATS} are read")),
        };
        let (mut picture, orientation) = match format {
            ImageFormat::Jpeg => self.jpeg(bytes).map_err(|fault| format!("a JPEG file: {fault}"))?,
            _ => {
                // 16 bytes per pixel are the widest sample layout; the constant leaves room for a decoder's own tables.
                let mut limits = Limits::no_limits();
                limits.max_alloc = Some(self.max_pixels.saturating_mul(16).saturating_add(64 << 20));
                reader.limits(limits);
                let fault = |error: ImageError| describe(format, &error);
                let mut decoder = reader.into_decoder().map_err(fault)?;
                let (w, h) = decoder.dimensions();
                self.check_size(h.into(), w.into())?;
                let orientation = decoder.orientation().map_err(fault)?;
                (DynamicImage::from_decoder(decoder).map_err(fault)?, orientation)
            }
        };
        // Pillow turns what TIFF's own tag says, and leaves EXIF to its caller, who does not ask.
        if self.reading == Reading::Upright || format == ImageFormat::Tiff {
            picture.apply_orientation(orientation);
        }
        planes(&picture, self.background.clamp(0.0, 1.0), self.reading)
    }

    fn jpeg(&self, bytes: &[u8]) -> std::result::Result<(DynamicImage, Orientation), String> {
        let jpeg = Jpeg::open(bytes)?;
        let (h, w) = (jpeg.height, jpeg.width);
        self.check_size(h as u64, w as u64)?;
        let orientation = jpeg.exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms);
        let (h, w) = (h as u32, w as u32);
        let picture = match jpeg.decode()? {
            Pixels::Grey(levels) => GrayImage::from_raw(w, h, levels).map(DynamicImage::ImageLuma8),
            Pixels::Rgb(levels) => RgbImage::from_raw(w, h, levels).map(DynamicImage::ImageRgb8),
        };
        Ok((picture.expect("as many levels as pixels"), orientation))
    }

    fn check_size(&self, h: u64, w: u64) -> std::result::Result<(), String> {
        let (pixels, most) = (w * h, self.max_pixels);
        match pixels {
            0 => Err(format!("{w}×{h} pixels: the picture is empty")),
            _ if pixels > most => {
                Err(format!("{w}×{h} = {pixels} pixels; at most {most} are read: scale it down first, or allow more"))
            }
            _ => Ok(()),
        }
    }
}

fn describe(format: ImageFormat, error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!("a {format:?} file that asks for more memory than a picture may take"),
        ImageError::Unsupported(_) => format!("a kind of {format:?} file that is not read: {error}"),
        _ => format!("a {format:?} file that is damaged or cut off: {error}"),
    }
}

/// The decoded samples, widened to `f32` in [0, 1], without alpha, channel after channel.
fn planes(picture: &DynamicImage, background: f32, reading: Reading) -> std::result::Result<Images, String> {
    use DynamicImage as D;
    let (h, w) = (picture.height() as usize, picture.width() as usize);
    let byte = |x: &u8| f32::from(*x) / 255.0;
    let word = |x: &u16| f32::from(*x) / 65535.0;
    let upper = |x: &u16| f32::from(*x >> 8) / 255.0;
    let cut = reading == Reading::Pillow;
    // What is under transparent parts; without it alpha is dropped.
    let ground = (!cut).then_some(background);
    let data = match picture {
        D::ImageLuma8(p) => split::<1, _>(p.as_raw(), false, ground, byte),
        D::ImageLumaA8(p) => split::<2, _>(p.as_raw(), true, ground, byte),
        D::ImageRgb8(p) => split::<3, _>(p.as_raw(), false, ground, byte),
        D::ImageRgba8(p) => split::<4, _>(p.as_raw(), true, ground, byte),
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
mod tests;
