//! Portable anymaps: PBM, PGM and PPM as text (P1 to P3) and as bytes (P4 to P6), and PAM (P7).
//!
//! Samples go from 0 to a largest number, maxval, which need not be 255. They are brought to 8 bits where tools do so, and
//! otherwise keep what they say.

use image::{DynamicImage, ImageBuffer, Pixel};

use super::Reading;

type Result<T> = std::result::Result<T, String>;

/// A file whose header was read.
pub(super) struct Pnm<'a> {
    /// What comes behind the header.
    data: &'a [u8],
    pub(super) height: usize,
    pub(super) width: usize,
    samples: usize,
    most: u32,
    form: Form,
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Bits, 1 is black; in letters, or eight a byte.
    Bits { text: bool },
    /// Numbers in letters, or of one or two bytes each.
    Numbers { text: bool },
}

fn cut_off() -> String {
    "cut off".into()
}

/// Words between blanks; a comment goes from # to the end of its line.
struct Words<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Words<'a> {
    fn skip(&mut self) {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'#' => self.line(),
                byte if is_blank(*byte) => self.at += 1,
                _ => break,
            }
        }
    }

    /// Goes on behind the end of the line.
    fn line(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).map_or(rest.len(), |end| end + 1);
    }

    fn next(&mut self) -> Option<&'a [u8]> {
        self.skip();
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|byte| is_blank(*byte) || *byte == b'#').unwrap_or(rest.len());
        self.at += end;
        Some(&rest[..end]).filter(|word| !word.is_empty())
    }

    fn number(&mut self) -> Result<u32> {
        let word = self.next().ok_or_else(cut_off)?;
        let number = std::str::from_utf8(word).ok().filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        number.and_then(|word| word.parse().ok()).ok_or_else(|| {
            format!("damaged: '{}' in the place of a number", String::from_utf8_lossy(&word[..word.len().min(20)]))
        })
    }
}

/// Blanks of C, which separate words here.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

impl<'a> Pnm<'a> {
    /// Whether a file may be one.
    pub(super) fn begins(bytes: &[u8]) -> bool {
        matches!(bytes, [b'P', b'1'..=b'7', rest @ ..] if rest.first().is_some_and(|byte| is_blank(*byte) || *byte == b'#'))
    }

    /// Reads the header.
    ///
    /// # Errors
    /// When it is damaged.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let kind = bytes.get(1).copied().unwrap_or_default();
        let mut words = Words { bytes, at: 2 };
        if kind == b'7' {
            return Self::open_pam(words);
        }
        let [width, height] = [words.number()? as usize, words.number()? as usize];
        let text = kind <= b'3';
        let (form, samples) = match kind {
            b'1' | b'4' => (Form::Bits { text }, 1),
            b'2' | b'5' => (Form::Numbers { text }, 1),
            _ => (Form::Numbers { text }, 3),
        };
        let most = if matches!(form, Form::Bits { .. }) { 1 } else { words.number()? };
        // One blank ends the header.
        let data = bytes.get(words.at + 1..).unwrap_or_default();
        Self { data, height, width, samples, most, form }.checked()
    }

    fn open_pam(mut words: Words<'a>) -> Result<Self> {
        let mut numbers = [None; 4];
        let mut kind = None;
        loop {
            let word = words.next().ok_or_else(cut_off)?;
            let names: [&[u8]; 4] = [b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL"];
            match word {
                b"ENDHDR" => break,
                b"TUPLTYPE" => kind = words.next(),
                _ => {
                    let i = names.iter().position(|name| *name == word);
                    let i = i.ok_or_else(|| format!("damaged: '{}' in its header", String::from_utf8_lossy(word)))?;
                    numbers[i] = Some(words.number()?);
                }
            }
        }
        words.line();
        let [Some(width), Some(height), Some(samples), Some(most)] = numbers else {
            return Err("its header lacks WIDTH, HEIGHT, DEPTH or MAXVAL".into());
        };
        let fits = match kind {
            None => matches!(samples, 1..=4),
            Some(b"BLACKANDWHITE" | b"GRAYSCALE") => samples == 1,
            Some(b"BLACKANDWHITE_ALPHA" | b"GRAYSCALE_ALPHA") => samples == 2,
            Some(b"RGB") => samples == 3,
            Some(b"RGB_ALPHA") => samples == 4,
            Some(_) => false,
        };
        if !fits {
            let kind = String::from_utf8_lossy(kind.unwrap_or(b"no type"));
            return Err(format!("a kind of PAM that is not read: {samples} samples a pixel of {kind}"));
        }
        let (width, height, samples) = (width as usize, height as usize, samples as usize);
        let data = &words.bytes[words.at.min(words.bytes.len())..];
        Self { data, height, width, samples, most, form: Form::Numbers { text: false } }.checked()
    }

    fn checked(self) -> Result<Self> {
        match self.most {
            1..=65535 => Ok(self),
            most => Err(format!("damaged: its largest sample is {most}; 1 to 65535 are allowed")),
        }
    }

    /// Whether it has colours, transparency, and more than 8 bits.
    pub(super) fn mode(&self) -> (bool, bool, bool) {
        (self.samples > 2, self.samples.is_multiple_of(2), self.most > 255)
    }

    /// Decodes the picture.
    ///
    /// # Errors
    /// When the data end early, or a sample is none or larger than it may be.
    pub(super) fn decode(self, reading: Reading) -> Result<DynamicImage> {
        let most = self.most;
        // As tools: colours have 8 bits, grey has 16 where 8 do not hold it.
        let eight = most <= 255 || reading == Reading::Pillow && self.samples > 1;
        let numbers = self.numbers(reading)?;
        if eight {
            let byte = |x: u32| scaled(x, most, 255) as u8;
            let bytes = numbers.into_iter().map(byte).collect();
            return Ok(match self.samples {
                1 => DynamicImage::ImageLuma8(self.buffer(bytes)),
                2 => DynamicImage::ImageLumaA8(self.buffer(bytes)),
                3 => DynamicImage::ImageRgb8(self.buffer(bytes)),
                _ => DynamicImage::ImageRgba8(self.buffer(bytes)),
            });
        }
        let words = numbers.into_iter().map(|x| scaled(x, most, 65535) as u16).collect();
        Ok(match self.samples {
            1 => DynamicImage::ImageLuma16(self.buffer(words)),
            2 => DynamicImage::ImageLumaA16(self.buffer(words)),
            3 => DynamicImage::ImageRgb16(self.buffer(words)),
            _ => DynamicImage::ImageRgba16(self.buffer(words)),
        })
    }

    /// All samples, from 0 to the largest.
    fn numbers(&self, reading: Reading) -> Result<Vec<u32>> {
        let total = self.height * self.width * self.samples;
        let most = self.most;
        // Every sample takes a byte or more but for packed bits.
        let mut numbers = Vec::with_capacity(total.min(8 * self.data.len()));
        match self.form {
            Form::Bits { text: false } => {
                let packed = self.width.div_ceil(8);
                let rows = self.data.get(..packed * self.height).ok_or_else(cut_off)?;
                for row in rows.chunks_exact(packed) {
                    numbers.extend((0..self.width).map(|x| u32::from(!row[x / 8] >> (7 - x % 8) & 1)));
                }
            }
            Form::Bits { text: true } => {
                let mut words = Words { bytes: self.data, at: 0 };
                while numbers.len() < total {
                    // No blanks are needed between bits.
                    for bit in words.next().ok_or_else(cut_off)? {
                        match bit {
                            b'0' => numbers.push(1),
                            b'1' => numbers.push(0),
                            other => return Err(format!("damaged: '{}' in the place of a bit", char::from(*other))),
                        }
                    }
                }
                numbers.truncate(total);
            }
            Form::Numbers { text: true } => {
                let mut words = Words { bytes: self.data, at: 0 };
                for _ in 0..total {
                    numbers.push(words.number()?);
                }
            }
            Form::Numbers { text: false } if most <= 255 => {
                numbers.extend(self.data.get(..total).ok_or_else(cut_off)?.iter().map(|byte| u32::from(*byte)));
            }
            Form::Numbers { text: false } => {
                let words = self.data.get(..2 * total).ok_or_else(cut_off)?.as_chunks::<2>().0;
                numbers.extend(words.iter().map(|word| u32::from(u16::from_be_bytes(*word))));
            }
        }
        // Pillow cuts off what is too large among bytes, and refuses it in letters.
        let cut = reading == Reading::Pillow && self.form == Form::Numbers { text: false };
        for number in &mut numbers {
            if *number > most && !cut {
                return Err(format!("damaged: a sample of {number}, where {most} is the largest"));
            }
            *number = (*number).min(most);
        }
        Ok(numbers)
    }

    fn buffer<P: Pixel>(&self, samples: Vec<P::Subpixel>) -> ImageBuffer<P, Vec<P::Subpixel>> {
        let (h, w) = (self.height as u32, self.width as u32);
        ImageBuffer::from_raw(w, h, samples).expect("as many samples as pixels")
    }
}

/// `x` of `most` as one of `levels`: the nearest, of two the even one, as Python rounds.
fn scaled(x: u32, most: u32, levels: u32) -> u32 {
    let (down, rest) = (x * levels / most, x * levels % most);
    match (2 * rest).cmp(&most) {
        std::cmp::Ordering::Less => down,
        std::cmp::Ordering::Equal => down + down % 2,
        std::cmp::Ordering::Greater => down + 1,
    }
}
