//! What the samples of a TIFF file are, and how they lie.

use super::directory::Directory;
use super::{Result, cut_off};

/// How samples are packed. Every other number is a kind that is not read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compression {
    None,
    Group4,
    Lzw,
    Jpeg,
    Deflate,
    PackBits,
}

/// What the samples of a pixel mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Cmyk,
    YCbCr,
}

/// What the samples behind a colour are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Alpha {
    /// There are none that count.
    None,
    Plain,
    /// The colours are multiplied by it.
    Premultiplied,
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Format {
    Unsigned,
    Signed,
    Float,
}

#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) orientation: u8,
    pub(super) compression: Compression,
    pub(super) photometric: Photometric,
    pub(super) format: Format,
    pub(super) bits: usize,
    /// Samples of a pixel, those that do not count included.
    pub(super) samples: usize,
    pub(super) alpha: Alpha,
    /// Each sample on its own, one plane after another.
    pub(super) planar: bool,
    /// Differences to the pixel before.
    pub(super) predictor: bool,
    /// The bits of every byte, the lowest first.
    pub(super) reversed: bool,
    /// Height and width of a strip or a tile.
    pub(super) chunk: [usize; 2],
    pub(super) tiled: bool,
    pub(super) offsets: Vec<usize>,
    pub(super) lengths: Option<Vec<usize>>,
}

mod tag {
    pub(super) const WIDTH: u16 = 256;
    pub(super) const LENGTH: u16 = 257;
    pub(super) const BITS: u16 = 258;
    pub(super) const COMPRESSION: u16 = 259;
    pub(super) const PHOTOMETRIC: u16 = 262;
    pub(super) const FILL_ORDER: u16 = 266;
    pub(super) const STRIPS: u16 = 273;
    pub(super) const ORIENTATION: u16 = 274;
    pub(super) const SAMPLES: u16 = 277;
    pub(super) const ROWS: u16 = 278;
    pub(super) const STRIP_LENGTHS: u16 = 279;
    pub(super) const PLANAR: u16 = 284;
    pub(super) const PREDICTOR: u16 = 317;
    pub(super) const TILE_WIDTH: u16 = 322;
    pub(super) const TILE_LENGTH: u16 = 323;
    pub(super) const TILES: u16 = 324;
    pub(super) const TILE_LENGTHS: u16 = 325;
    pub(super) const EXTRA: u16 = 338;
    pub(super) const FORMAT: u16 = 339;
}

fn not_read(what: impl std::fmt::Display) -> String {
    format!("a kind of TIFF that is not read: {what}")
}

impl Layout {
    /// What the tags say.
    ///
    /// # Errors
    /// When they are damaged, or say a kind that is not read, which is named.
    pub(super) fn of(directory: &Directory) -> Result<Self> {
        let number = |tag: u16, otherwise: usize| Ok::<_, String>(directory.number(tag)?.unwrap_or(otherwise));
        let needed = |tag: u16| directory.number(tag)?.ok_or_else(|| format!("its tag {tag} is missing"));
        let [height, width] = [needed(tag::LENGTH)?, needed(tag::WIDTH)?];
        if height == 0 || width == 0 || height.max(width) > u32::MAX as usize {
            return Err(format!("{width}×{height} pixels: the picture is empty or damaged"));
        }
        let compression = compression(number(tag::COMPRESSION, 1)?)?;
        let photometric = photometric(number(tag::PHOTOMETRIC, 0)?)?;
        let planar = match number(tag::PLANAR, 1)? {
            1 => false,
            2 => true,
            other => return Err(format!("its planar configuration is {other}, not 1 or 2")),
        };
        let reversed = match number(tag::FILL_ORDER, 1)? {
            1 => false,
            2 => true,
            other => return Err(format!("its fill order is {other}, not 1 or 2")),
        };
        let samples = number(tag::SAMPLES, 1)?;
        let bits = directory.numbers(tag::BITS)?.unwrap_or_else(|| vec![1]);
        if bits.iter().any(|other| *other != bits[0]) {
            return Err(not_read("samples of different numbers of bits"));
        }
        let bits = bits.first().copied().unwrap_or(1);
        let format = match directory.number(tag::FORMAT)? {
            None | Some(1) => Format::Unsigned,
            Some(2) => Format::Signed,
            Some(3) => Format::Float,
            Some(other) => return Err(not_read(format!("samples of format {other}"))),
        };
        let extra = directory.numbers(tag::EXTRA)?.unwrap_or_default();
        let alpha = alpha(photometric, samples, &extra)?;
        let predictor = match (number(tag::PREDICTOR, 1)?, compression) {
            // The other ways have no predictor, whatever the tag says.
            (1, _) | (_, Compression::None | Compression::PackBits | Compression::Group4 | Compression::Jpeg) => false,
            (2, _) if matches!(bits, 8 | 16 | 32) => true,
            (2, _) => return Err(not_read(format!("a predictor for samples of {bits} bits"))),
            (3, _) => return Err(not_read("a predictor for floating-point numbers")),
            (other, _) => return Err(format!("its predictor is {other}, not 1, 2 or 3")),
        };
        let layout = Self {
            height,
            width,
            orientation: number(tag::ORIENTATION, 1)?.min(255) as u8,
            compression,
            photometric,
            format,
            bits,
            samples,
            alpha,
            planar: planar && samples > 1,
            predictor,
            reversed,
            chunk: [height, width],
            tiled: false,
            offsets: Vec::new(),
            lengths: None,
        };
        layout.check()?;
        layout.with_places(directory)
    }

    /// Whether a picture of this kind is read.
    fn check(&self) -> Result<()> {
        use Photometric::{BlackIsZero, Cmyk, Palette, Rgb, WhiteIsZero, YCbCr};
        let (bits, format) = (self.bits, self.format);
        let whole = format == Format::Unsigned;
        let fits = match self.photometric {
            WhiteIsZero | BlackIsZero if self.samples > 1 => whole && bits == 8,
            WhiteIsZero if !whole => false,
            WhiteIsZero => matches!(bits, 1 | 2 | 4 | 8 | 16),
            BlackIsZero => matches!((format, bits), (Format::Unsigned, 1 | 2 | 4 | 8 | 16) | (Format::Float, 32)),
            Rgb => whole && (bits == 8 || bits == 16 && self.samples <= 4),
            Palette => whole && (matches!(bits, 1 | 2 | 4) && self.samples == 1 || bits == 8),
            Cmyk => whole && (bits == 8 || bits == 16 && self.samples == 4),
            YCbCr => whole && bits == 8,
        };
        if !fits {
            let kind = match format {
                Format::Unsigned => "",
                Format::Signed => "signed ",
                Format::Float => "floating-point ",
            };
            let each = format!("{} {kind}samples a pixel of {bits} bits", self.samples);
            return Err(not_read(format!("{each} ({:?})", self.photometric)));
        }
        if self.photometric == YCbCr && self.compression != Compression::Jpeg {
            return Err(not_read("YCbCr samples that are not packed as JPEG"));
        }
        match self.compression {
            Compression::Jpeg if bits != 8 => Err(not_read(format!("JPEG of {bits} bits"))),
            Compression::Jpeg if self.planar => Err(not_read("JPEG in planes")),
            Compression::Jpeg if !matches!(self.samples, 1 | 3 | 4) => {
                Err(not_read(format!("JPEG of {} samples a pixel", self.samples)))
            }
            Compression::Jpeg if self.photometric == Palette => Err(not_read("JPEG of colours in a table")),
            Compression::Group4 if bits != 1 || self.samples != 1 => {
                Err(not_read("CCITT Group 4 of other than one bit a pixel"))
            }
            _ if self.reversed && (self.samples > 1 && (self.samples != 3 || bits != 8) || bits > 16) => {
                Err(not_read("reversed bits in samples of this kind"))
            }
            _ => Ok(()),
        }
    }

    /// The same with strips or tiles.
    fn with_places(mut self, directory: &Directory) -> Result<Self> {
        let positive = |tag: u16| match directory.number(tag)? {
            Some(0) => Err(format!("its tag {tag} is 0")),
            number => Ok(number),
        };
        let lengths;
        if let Some(offsets) = directory.numbers(tag::STRIPS)? {
            self.chunk[0] = positive(tag::ROWS)?.unwrap_or(self.height).min(self.height);
            (self.offsets, lengths) = (offsets, tag::STRIP_LENGTHS);
        } else if let Some(offsets) = directory.numbers(tag::TILES)? {
            let (Some(h), Some(w)) = (positive(tag::TILE_LENGTH)?, positive(tag::TILE_WIDTH)?) else {
                return Err("it does not say the size of its tiles".into());
            };
            (self.chunk, self.tiled) = ([h, w], true);
            (self.offsets, lengths) = (offsets, tag::TILE_LENGTHS);
        } else {
            return Err("it names neither strips nor tiles".into());
        }
        self.lengths = directory.numbers(lengths)?;
        let planes = if self.planar { self.samples } else { 1 };
        let chunks = self.chunks();
        let count = chunks[0].checked_mul(chunks[1]).and_then(|n| n.checked_mul(planes)).ok_or_else(cut_off)?;
        let there = self.lengths.as_ref().map_or(count, Vec::len).min(self.offsets.len());
        if there < count {
            return Err(format!("damaged: it names {there} of {count} strips or tiles"));
        }
        Ok(self)
    }

    /// Strips or tiles, down and across.
    pub(super) fn chunks(&self) -> [usize; 2] {
        [self.height.div_ceil(self.chunk[0]), self.width.div_ceil(self.chunk[1])]
    }

    /// Samples of a pixel that lie side by side.
    pub(super) fn together(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Samples of a pixel that are colour.
    pub(super) fn colours(&self) -> usize {
        colours(self.photometric)
    }
}

fn colours(photometric: Photometric) -> usize {
    match photometric {
        Photometric::Rgb | Photometric::YCbCr => 3,
        Photometric::Cmyk => 4,
        _ => 1,
    }
}

fn compression(number: usize) -> Result<Compression> {
    Ok(match number {
        1 => Compression::None,
        4 => Compression::Group4,
        5 => Compression::Lzw,
        7 => Compression::Jpeg,
        8 | 32946 => Compression::Deflate,
        32773 => Compression::PackBits,
        2 => return Err(not_read("packed as CCITT run lengths")),
        3 => return Err(not_read("packed as CCITT Group 3")),
        6 => return Err(not_read("packed as old-style JPEG")),
        34712 => return Err(not_read("packed as JPEG 2000")),
        34925 => return Err(not_read("packed as LZMA")),
        34887 => return Err(not_read("packed as LERC")),
        50000 => return Err(not_read("packed as Zstandard")),
        50001 => return Err(not_read("packed as WebP")),
        other => return Err(not_read(format!("packed by method {other}"))),
    })
}

fn photometric(number: usize) -> Result<Photometric> {
    Ok(match number {
        0 => Photometric::WhiteIsZero,
        1 => Photometric::BlackIsZero,
        2 => Photometric::Rgb,
        3 => Photometric::Palette,
        5 => Photometric::Cmyk,
        6 => Photometric::YCbCr,
        8 => return Err(not_read("CIE L*a*b* colours")),
        other => return Err(not_read(format!("colours of kind {other}"))),
    })
}

/// What the samples behind the colours are. The rules are those of Pillow: of RGB a fourth sample that is not described is
/// alpha; what says that it is nothing is left out.
fn alpha(photometric: Photometric, samples: usize, extra: &[usize]) -> Result<Alpha> {
    use Photometric::{BlackIsZero, Cmyk, Palette, Rgb};
    let beside = samples.checked_sub(colours(photometric));
    let most = match photometric {
        Rgb => 3,
        Cmyk => 2,
        BlackIsZero | Palette => 1,
        _ => 0,
    };
    match (photometric, beside, extra) {
        (_, Some(0), []) => Ok(Alpha::None),
        (Rgb, Some(1), [] | [999]) => Ok(Alpha::Plain),
        (_, Some(beside), [first, rest @ ..])
            if beside == extra.len() && beside <= most && rest.iter().all(|kind| *kind == 0) =>
        {
            match (first, photometric) {
                (0, _) => Ok(Alpha::None),
                (1, BlackIsZero | Rgb) => Ok(Alpha::Premultiplied),
                (2, BlackIsZero | Rgb | Palette) => Ok(Alpha::Plain),
                _ => Err(not_read(format!("a sample of kind {first} behind the colours"))),
            }
        }
        _ => Err(not_read(format!("{samples} samples a pixel ({photometric:?}), {} described as extra", extra.len()))),
    }
}
