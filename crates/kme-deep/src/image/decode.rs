//! Reading a picture file into pixels in [0, 1].

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};
use kme::{Error, Result};

use super::Images;

/// The formats that are read, as messages name them.
pub(crate) const FORMATS: &str = "PNG, JPEG, BMP, GIF and WebP";

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

/// How picture files are read: PNG, JPEG, BMP, GIF (its first frame) and WebP, told apart by content, not by name.
///
/// * Samples of 8 and 16 bits are divided by 255 and 65535: pixels are in [0, 1], in the file's gamma.
/// * Transparency is removed by laying the picture over `background` (default 1, **white**), in the file's gamma:
///   α·c + (1 − α)·background.
/// * The orientation in EXIF metadata is applied, so that a picture is read as viewers show it.
/// * Colour profiles are not applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decoder {
    /// What happens to the file's channels.
    pub channels: Channels,
    /// Grey level in [0, 1] under transparent parts.
    pub background: f32,
    /// Larger pictures are refused before memory is taken for them.
    pub max_pixels: u64,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { channels: Channels::default(), background: 1.0, max_pixels: DEFAULT_MAX_PIXELS }
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
        let picture = self.decode_file(bytes).map_err(|fault| Error::file(path, fault))?;
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
        let Some(format) = reader.format() else {
            return Err(format!("not a picture; {FORMATS} are read"));
        };
        if !format.reading_enabled() {
            return Err(format!("a {format:?} file; only {FORMATS} are read"));
        }
        // 16 bytes per pixel are the widest sample layout; the constant leaves room for a decoder's own tables.
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.max_pixels.saturating_mul(16).saturating_add(64 << 20));
        reader.limits(limits);
        let fault = |error: ImageError| describe(format, &error);
        let mut decoder = reader.into_decoder().map_err(fault)?;
        let (w, h) = decoder.dimensions();
        let pixels = u64::from(w) * u64::from(h);
        if pixels > self.max_pixels {
            return Err(format!(
                "{w}×{h} = {pixels} pixels; at most {} are read: scale it down first",
                self.max_pixels
            ));
        }
        if pixels == 0 {
            return Err(format!("{w}×{h} pixels: the picture is empty"));
        }
        let orientation = decoder.orientation().map_err(fault)?;
        if format == ImageFormat::Jpeg && !jpeg_ends(bytes) {
            // The decoder would fill the missing part with grey.
            return Err("a JPEG file that is cut off: its end marker is missing".into());
        }
        let mut picture = DynamicImage::from_decoder(decoder).map_err(fault)?;
        picture.apply_orientation(orientation);
        planes(&picture, self.background.clamp(0.0, 1.0))
    }
}

fn describe(format: ImageFormat, error: &ImageError) -> String {
    match error {
        ImageError::Limits(_) => format!("a {format:?} file that asks for more memory than a picture may take"),
        _ => format!("a {format:?} file that is damaged or cut off: {error}"),
    }
}

/// The decoded samples, widened to `f32` in [0, 1], without alpha, channel after channel.
fn planes(picture: &DynamicImage, background: f32) -> std::result::Result<Images, String> {
    use DynamicImage as D;
    let (h, w) = (picture.height() as usize, picture.width() as usize);
    let byte = |x: &u8| f32::from(*x) / 255.0;
    let word = |x: &u16| f32::from(*x) / 65535.0;
    let data = match picture {
        D::ImageLuma8(p) => split::<1, _>(p.as_raw(), false, background, byte),
        D::ImageLumaA8(p) => split::<2, _>(p.as_raw(), true, background, byte),
        D::ImageRgb8(p) => split::<3, _>(p.as_raw(), false, background, byte),
        D::ImageRgba8(p) => split::<4, _>(p.as_raw(), true, background, byte),
        D::ImageLuma16(p) => split::<1, _>(p.as_raw(), false, background, word),
        D::ImageLumaA16(p) => split::<2, _>(p.as_raw(), true, background, word),
        D::ImageRgb16(p) => split::<3, _>(p.as_raw(), false, background, word),
        D::ImageRgba16(p) => split::<4, _>(p.as_raw(), true, background, word),
        other => return Err(format!("samples of type {:?}; 8 and 16 bits are read", other.color())),
    };
    let c = data.len() / (h * w);
    Images::new(1, c, h, w, data).map_err(|e| e.to_string())
}

/// Interleaved pixels of K samples (the last one α if `alpha`) as planes over `background`.
fn split<const K: usize, T>(raw: &[T], alpha: bool, background: f32, unit: impl Fn(&T) -> f32) -> Vec<f32> {
    let channels = if alpha { K - 1 } else { K };
    let mut data = Vec::with_capacity(raw.len() / K * channels);
    for channel in 0..channels {
        data.extend(raw.chunks_exact(K).map(|pixel| {
            let value = unit(&pixel[channel]);
            if !alpha {
                return value;
            }
            let opacity = unit(&pixel[K - 1]);
            // A sum of non-negative terms with weights that sum to 1 can still round to just above 1.
            (opacity * value + (1.0 - opacity) * background).min(1.0)
        }));
    }
    data
}

/// Whether a JPEG file's end marker follows its last scan.
///
/// Segments are skipped by their length, so that a thumbnail in the metadata does not count; inside a scan a marker is
/// FF followed by neither 00 (a stuffed byte), D0..D7 (restarts) nor FF (filling) (ITU-T T.81, B.1.1).
fn jpeg_ends(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        match bytes.get(at..at + 2) {
            Some([0xff, 0xd9]) => return true,
            Some([0xff, 0xff]) => at += 1,
            Some([0xff, 0x01 | 0xd0..=0xd8]) => at += 2,
            Some([0xff, marker]) => {
                let Some(&[high, low]) = bytes.get(at + 2..at + 4) else { return false };
                at += 2 + usize::from(u16::from_be_bytes([high, low]));
                if *marker == 0xda {
                    let scan = bytes.get(at..).unwrap_or_default();
                    let end = scan.windows(2).position(|b| b[0] == 0xff && !matches!(b[1], 0 | 0xd0..=0xd7 | 0xff));
                    let Some(end) = end else { return false };
                    at += end;
                }
            }
            // Bytes between segments that belong to none: the decoder decides whether they matter.
            Some(_) => at += 1,
            None => return false,
        }
    }
}

#[cfg(test)]
mod tests;
