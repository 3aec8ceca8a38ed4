//! A picture file whose head was read, whatever its format.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, GrayImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage};

use super::super::jpeg::{Jpeg, Pixels};
use super::super::pnm::Pnm;
use super::super::tiff::Tiff;
use super::gif::Gif;
use super::{FORMATS, Reading, bmp, kind, webp};

/// A file that is to be decoded.
pub(super) struct Opened<'a> {
    pub(super) format: ImageFormat,
    bytes: &'a [u8],
    pub(super) height: u64,
    pub(super) width: u64,
    /// Whether it has colours, transparency, and more than 8 bits.
    mode: (bool, bool, bool),
    pub(super) orientation: Orientation,
    decoder: Decoder<'a>,
}

enum Decoder<'a> {
    Jpeg(Box<Jpeg<'a>>),
    Tiff(Tiff<'a>),
    Pnm(Pnm<'a>),
    Gif(Box<Gif<'a>>),
    Other(Box<dyn ImageDecoder + 'a>),
}

/// Where PNG files say whether they have colours.
const PNG_COLOUR: usize = 25;

/// A description of a picture: its height and width as viewers show it, and its mode in words.
pub(crate) struct Head {
    pub(crate) size: (usize, usize),
    pub(crate) mode: String,
    /// Whether Pillow cuts its grey off at 255: of more than 8 bits.
    pub(crate) is_cut_off: bool,
}

impl Head {
    /// What the head of a picture file says; none where it is not read.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let file = Opened::new(bytes, u64::MAX).ok()?;
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let turned = matches!(file.orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH);
        let (h, w) = (file.height as usize, file.width as usize);
        let (colour, transparent, wide) = file.mode;
        let is_cut_off = wide && !colour && (!transparent || bytes.get(PNG_COLOUR) == Some(&0));
        let mut mode = if colour { "colour" } else { "grey" }.to_string();
        if transparent {
            mode += " with transparency";
        }
        if wide {
            mode += ", 16 bits";
        }
        Some(Self { size: if turned { (w, h) } else { (h, w) }, mode, is_cut_off })
    }
}

impl<'a> Opened<'a> {
    /// Reads the head of a file; memory for decoding may be taken for `max_pixels`.
    ///
    /// # Errors
    /// When it is not a picture, of a kind that is not read, or damaged.
    pub(super) fn new(bytes: &'a [u8], max_pixels: u64) -> Result<Self, String> {
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
            (None, Some(ImageFormat::Pnm)) if !Pnm::begins(bytes) => None,
            (None, format) => format,
        };
        match format {
            None => Err(format!("not a picture; {FORMATS} are read")),
            Some(ImageFormat::Jpeg) => Self::jpeg(bytes).map_err(|fault| format!("a JPEG file: {fault}")),
            Some(ImageFormat::Tiff) => Self::tiff(bytes).map_err(|fault| format!("a TIFF file: {fault}")),
            Some(ImageFormat::Pnm) => Self::pnm(bytes).map_err(|fault| format!("a PNM file: {fault}")),
            Some(ImageFormat::Gif) => Self::gif(bytes).map_err(|fault| format!("a GIF file: {fault}")),
            Some(format) if format.reading_enabled() => {
                // 16 bytes per pixel are the widest sample layout; the constant leaves room for a decoder's own tables.
                let mut limits = Limits::no_limits();
                limits.max_alloc = Some(max_pixels.saturating_mul(16).saturating_add(64 << 20));
                reader.limits(limits);
                let fault = |error: ImageError| describe(format, &error);
                if format == ImageFormat::WebP {
                    webp::check(bytes).map_err(|fault| format!("a WebP file: {fault}"))?;
                }
                let mut decoder = reader.into_decoder().map_err(fault)?;
                let (w, h) = decoder.dimensions();
                let orientation = match decoder.exif_metadata().map_err(fault)? {
                    // Some programs keep the name that it has in JPEG files.
                    Some(exif) => Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif)),
                    None => None,
                };
                let orientation = orientation.unwrap_or(Orientation::NoTransforms);
                let colour = decoder.color_type();
                let mode = (colour.has_color(), colour.has_alpha(), colour.bytes_per_pixel() > colour.channel_count());
                let decoder = Decoder::Other(Box::new(decoder));
                Ok(Self { format, bytes, height: h.into(), width: w.into(), mode, orientation, decoder })
            }
            Some(format) => unread(format!("a file of type {format:?}")),
        }
    }

    fn jpeg(bytes: &'a [u8]) -> Result<Self, String> {
        let jpeg = Jpeg::open(bytes)?;
        Ok(Self {
            format: ImageFormat::Jpeg,
            bytes,
            height: jpeg.height as u64,
            width: jpeg.width as u64,
            mode: (jpeg.has_colours(), false, false),
            orientation: jpeg.exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms),
            decoder: Decoder::Jpeg(Box::new(jpeg)),
        })
    }

    fn tiff(bytes: &'a [u8]) -> Result<Self, String> {
        let tiff = Tiff::open(bytes)?;
        let (h, w) = tiff.size();
        Ok(Self {
            format: ImageFormat::Tiff,
            bytes,
            height: h as u64,
            width: w as u64,
            mode: tiff.mode(),
            orientation: tiff.orientation(),
            decoder: Decoder::Tiff(tiff),
        })
    }

    fn pnm(bytes: &'a [u8]) -> Result<Self, String> {
        let pnm = Pnm::open(bytes)?;
        Ok(Self {
            format: ImageFormat::Pnm,
            bytes,
            height: pnm.height as u64,
            width: pnm.width as u64,
            mode: pnm.mode(),
            orientation: Orientation::NoTransforms,
            decoder: Decoder::Pnm(pnm),
        })
    }

    fn gif(bytes: &'a [u8]) -> Result<Self, String> {
        let gif = Gif::open(bytes)?;
        Ok(Self {
            format: ImageFormat::Gif,
            bytes,
            height: gif.height.into(),
            width: gif.width.into(),
            mode: (true, gif.is_transparent(), false),
            orientation: Orientation::NoTransforms,
            decoder: Decoder::Gif(Box::new(gif)),
        })
    }

    /// Pixels that are decoded at once beside the picture.
    pub(super) fn piece(&self) -> u64 {
        match &self.decoder {
            Decoder::Tiff(tiff) => tiff.chunk(),
            _ => 0,
        }
    }

    /// Decodes the picture, before anything is turned.
    ///
    /// # Errors
    /// When it is damaged or cut off.
    pub(super) fn decode(self, reading: Reading) -> Result<DynamicImage, String> {
        match self.decoder {
            Decoder::Jpeg(jpeg) => {
                let (h, w) = (jpeg.height as u32, jpeg.width as u32);
                let picture = match jpeg.decode().map_err(|fault| format!("a JPEG file: {fault}"))? {
                    Pixels::Grey(levels) => GrayImage::from_raw(w, h, levels).map(DynamicImage::ImageLuma8),
                    Pixels::Rgb(levels) => RgbImage::from_raw(w, h, levels).map(DynamicImage::ImageRgb8),
                    Pixels::Four(_) => None,
                };
                Ok(picture.expect("as many levels as pixels"))
            }
            Decoder::Tiff(tiff) => tiff.decode(reading).map_err(|fault| format!("a TIFF file: {fault}")),
            Decoder::Pnm(pnm) => pnm.decode(reading).map_err(|fault| format!("a PNM file: {fault}")),
            Decoder::Gif(gif) => gif.decode(reading).map_err(|fault| format!("a GIF file: {fault}")),
            Decoder::Other(decoder) => {
                let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| describe(self.format, &error))?;
                match (self.format, &picture) {
                    (ImageFormat::Bmp, _) => bmp::as_pillow(self.bytes, &mut picture),
                    // Grey of 16 bits of which one level is transparent is grey of 16 bits to Pillow.
                    (ImageFormat::Png, DynamicImage::ImageLumaA16(_))
                        if reading == Reading::Pillow && self.bytes.get(PNG_COLOUR) == Some(&0) =>
                    {
                        picture = DynamicImage::ImageLuma16(picture.into_luma16());
                    }
                    _ => {}
                }
                Ok(picture)
            }
        }
    }
}

/// What is wrong with a file, in a sentence without the words of the library that found it.
fn describe(format: ImageFormat, error: &ImageError) -> String {
    let name = match format {
        ImageFormat::Png => "PNG",
        ImageFormat::Bmp => "BMP",
        ImageFormat::WebP => "WebP",
        _ => "picture",
    };
    let fault = match error {
        ImageError::Limits(_) => "it asks for more memory than a picture may take".into(),
        ImageError::Unsupported(_) => {
            let fault = inner(error);
            let kind = fault.rsplit("the format features ").next().unwrap_or(&fault);
            format!("of a kind that is not read: {kind}")
        }
        ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "cut off".into(),
        _ => {
            let fault = inner(error);
            match () {
                () if fault.contains("CRC error") => "damaged: the checksum of a part of it is wrong".into(),
                () if fault.contains("unexpected end") || fault.contains("fill whole buffer") => "cut off".into(),
                () if fault.contains("Corrupt deflate stream") => "damaged: its pixels cannot be decompressed".into(),
                // WebP's decoder says the same of both.
                () if fault.contains("Corrupt bitstream") => "damaged or cut off".into(),
                () => format!("damaged: {}", fault.trim_end_matches('.')),
            }
        }
    };
    format!("a {name} file: {fault}")
}

/// The innermost cause of a library's fault.
fn inner(error: &ImageError) -> String {
    let mut found: &dyn std::error::Error = error;
    while let Some(cause) = found.source() {
        found = cause;
    }
    found.to_string()
}
