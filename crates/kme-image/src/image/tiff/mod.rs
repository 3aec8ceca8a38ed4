//! TIFF files: the first page, read as Pillow reads it.
//!
//! TIFF is a box for samples of many kinds, and readers differ in what they make of them: which way of packing has a
//! predictor, what a fourth sample means, in which order bits lie. Tools of the field read through Pillow, hence libtiff;
//! here the same decisions are taken. Read are whole numbers of 1, 2, 4, 8 and 16 bits, in strips or tiles, together or in
//! planes: grey, RGB, CMYK and colours of a table, with alpha or samples that do not count, not packed or by LZW, Deflate,
//! PackBits, JPEG or CCITT Group 4. Everything else is refused by its name.

mod chunks;
mod directory;
mod layout;

use image::metadata::Orientation;
use image::{DynamicImage, ImageBuffer};

use super::Reading;
use super::jpeg::subtractive;
use chunks::Samples;
use directory::Directory;
use layout::{Alpha, Compression, Format, Layout, Photometric};

type Result<T> = std::result::Result<T, String>;

fn cut_off() -> String {
    "damaged or cut off".into()
}

/// The tag of a table of colours.
const COLOURS: u16 = 320;

/// A file whose tags were read.
pub(super) struct Tiff<'a> {
    directory: Directory<'a>,
    layout: Layout,
}

impl<'a> Tiff<'a> {
    /// Reads the tags of the first page; nothing that grows with the picture is allocated.
    ///
    /// # Errors
    /// When they are damaged, or of a kind that is not read.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let directory = Directory::open(bytes)?;
        let layout = Layout::of(&directory)?;
        Ok(Self { directory, layout })
    }

    /// Height and width, before anything is turned.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.layout.height, self.layout.width)
    }

    /// Pixels of a strip or tile.
    pub(super) fn chunk(&self) -> u64 {
        let [h, w] = self.layout.chunk;
        (h as u64).saturating_mul(w as u64)
    }

    pub(super) fn orientation(&self) -> Orientation {
        Orientation::from_exif(self.layout.orientation).unwrap_or(Orientation::NoTransforms)
    }

    /// Whether it has colours, transparency, and more than 8 bits.
    pub(super) fn mode(&self) -> (bool, bool, bool) {
        let grey = matches!(self.layout.photometric, Photometric::WhiteIsZero | Photometric::BlackIsZero);
        (!grey, self.layout.alpha != Alpha::None, self.layout.bits > 8)
    }

    /// Decodes the picture.
    ///
    /// # Errors
    /// When the data are damaged or end early, or white is not known of its samples.
    pub(super) fn decode(self, reading: Reading) -> Result<DynamicImage> {
        let layout = &self.layout;
        if layout.bits == 32 && reading == Reading::Upright {
            let fault = "32-bit samples, and nothing says what is white: convert them to 8 or 16 bits";
            return Err(format!("a kind of TIFF that is not read: {fault}"));
        }
        if reading == Reading::Pillow && self.is_garbled() {
            return Err(
                "a kind of TIFF that Pillow, and so the tools, read wrongly: save it again, or do not read it as the tools do"
                    .into(),
            );
        }
        let table = (layout.photometric == Photometric::Palette).then(|| self.table()).transpose()?;
        let samples = Samples::read(&self.directory, layout)?;
        match layout.bits {
            16 => {
                let words = samples.bytes.as_chunks::<2>().0.iter().map(|word| u16::from_ne_bytes(*word)).collect();
                self.words(words, reading)
            }
            32 => Ok(self.floats(&samples.bytes)),
            _ => self.bytes(samples.bytes, table.as_deref()),
        }
    }

    /// Whether Pillow takes one part of a sample for another: it does so of samples of 16 bits that lie in planes and are not
    /// packed, and of floating-point numbers whose highest byte comes first and that are packed.
    fn is_garbled(&self) -> bool {
        let packed = self.layout.compression != Compression::None;
        match self.layout.bits {
            16 => self.layout.planar && !packed,
            32 => self.directory.big_endian && packed,
            _ => false,
        }
    }

    fn bytes(&self, mut samples: Vec<u8>, table: Option<&[[u8; 3]]>) -> Result<DynamicImage> {
        let layout = &self.layout;
        let k = layout.samples;
        match (layout.photometric, layout.alpha) {
            (Photometric::Palette, alpha) => {
                let table = table.unwrap_or_default();
                let colour = |pixel: &[u8]| table[usize::from(pixel[0])];
                match alpha {
                    Alpha::None => Ok(self.rgb(samples.chunks_exact(k).flat_map(colour).collect())),
                    _ => {
                        let four = |pixel: &[u8]| {
                            let [r, g, b] = colour(pixel);
                            [r, g, b, pixel[1]]
                        };
                        Ok(self.rgba(samples.chunks_exact(k).flat_map(four).collect()))
                    }
                }
            }
            (Photometric::Cmyk, _) => {
                let rgb =
                    |pixel: &[u8]| subtractive([pixel[0], pixel[1], pixel[2]].map(|ink| 255 - ink), 255 - pixel[3]);
                Ok(self.rgb(samples.chunks_exact(k).flat_map(rgb).collect()))
            }
            (Photometric::Rgb | Photometric::YCbCr, Alpha::None) => Ok(self.rgb(first(samples, k, 3))),
            (Photometric::Rgb | Photometric::YCbCr, alpha) => {
                let mut pixels = first(samples, k, 4);
                if alpha == Alpha::Premultiplied {
                    pixels.as_chunks_mut::<4>().0.iter_mut().for_each(|p| divide(p, 255));
                }
                Ok(self.rgba(pixels))
            }
            (_, alpha) => {
                let scale = 255 / ((1_u16 << layout.bits) - 1) as u8;
                let inverted = layout.photometric == Photometric::WhiteIsZero;
                if scale > 1 || inverted {
                    samples.iter_mut().for_each(|x| *x = if inverted { 255 - *x * scale } else { *x * scale });
                }
                match alpha {
                    Alpha::None => Ok(DynamicImage::ImageLuma8(self.buffer(first(samples, k, 1)))),
                    alpha => {
                        if alpha == Alpha::Premultiplied {
                            samples.as_chunks_mut::<2>().0.iter_mut().for_each(|p| divide(p, 255));
                        }
                        Ok(DynamicImage::ImageLumaA8(self.buffer(samples)))
                    }
                }
            }
        }
    }

    fn words(&self, mut samples: Vec<u16>, reading: Reading) -> Result<DynamicImage> {
        let layout = &self.layout;
        let k = layout.samples;
        // Tools take the upper 8 bits before they do anything with them.
        if reading == Reading::Pillow && layout.colours() > 1 {
            return self.bytes(samples.iter().map(|word| (word >> 8) as u8).collect(), None);
        }
        Ok(match (layout.photometric, layout.alpha) {
            (Photometric::Cmyk, _) => {
                let light = |ink: u16| u32::from(u16::MAX - ink);
                let rgb =
                    |pixel: &[u16]| [0, 1, 2].map(|i| ((light(pixel[i]) * light(pixel[3]) + 32767) / 65535) as u16);
                DynamicImage::ImageRgb16(self.buffer(samples.chunks_exact(k).flat_map(rgb).collect()))
            }
            (Photometric::Rgb, Alpha::None) => DynamicImage::ImageRgb16(self.buffer(first(samples, k, 3))),
            (Photometric::Rgb, alpha) => {
                if alpha == Alpha::Premultiplied {
                    samples.as_chunks_mut::<4>().0.iter_mut().for_each(|p| divide(p, u16::MAX));
                }
                DynamicImage::ImageRgba16(self.buffer(samples))
            }
            (photometric, _) => {
                // Pillow does not turn these.
                if photometric == Photometric::WhiteIsZero && reading == Reading::Upright {
                    samples.iter_mut().for_each(|x| *x = u16::MAX - *x);
                }
                DynamicImage::ImageLuma16(self.buffer(samples))
            }
        })
    }

    /// Floating-point numbers as Pillow makes bytes of them: cut off at 0 and 255, without what is behind the point.
    fn floats(&self, samples: &[u8]) -> DynamicImage {
        let read = match self.layout.format {
            Format::Float => f32::from_ne_bytes,
            _ => unreachable!("other numbers of 32 bits are refused"),
        };
        DynamicImage::ImageLuma8(self.buffer(samples.as_chunks::<4>().0.iter().map(|x| read(*x) as u8).collect()))
    }

    /// Red, green and blue of each index.
    fn table(&self) -> Result<Vec<[u8; 3]>> {
        let numbers = self.directory.numbers(COLOURS)?.ok_or("its table of colours is missing")?;
        let n = 1 << self.layout.bits;
        if numbers.len() != 3 * n {
            return Err(format!("damaged: a table of {} numbers in the place of {}", numbers.len(), 3 * n));
        }
        Ok((0..n).map(|i| [0, n, 2 * n].map(|first| (numbers[first + i] >> 8) as u8)).collect())
    }

    fn rgb(&self, bytes: Vec<u8>) -> DynamicImage {
        DynamicImage::ImageRgb8(self.buffer(bytes))
    }

    fn rgba(&self, bytes: Vec<u8>) -> DynamicImage {
        DynamicImage::ImageRgba8(self.buffer(bytes))
    }

    fn buffer<P: image::Pixel>(&self, samples: Vec<P::Subpixel>) -> ImageBuffer<P, Vec<P::Subpixel>> {
        let (h, w) = (self.layout.height as u32, self.layout.width as u32);
        ImageBuffer::from_raw(w, h, samples).expect("as many samples as pixels")
    }
}

/// The first `count` of every `k` samples.
fn first<T: Copy>(samples: Vec<T>, k: usize, count: usize) -> Vec<T> {
    if k == count {
        return samples;
    }
    samples.chunks_exact(k).flat_map(|pixel| &pixel[..count]).copied().collect()
}

/// Colours that were multiplied by the alpha behind them, as they were before.
fn divide<T: Copy + Into<u32> + TryFrom<u32>>(pixel: &mut [T], most: T) {
    let [colours @ .., alpha] = pixel else { return };
    let (alpha, most): (u32, u32) = ((*alpha).into(), most.into());
    for colour in colours {
        let value = ((*colour).into() * most).checked_div(alpha).unwrap_or(0).min(most);
        *colour = T::try_from(value).unwrap_or(*colour);
    }
}
