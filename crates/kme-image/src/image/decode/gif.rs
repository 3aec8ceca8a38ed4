//! GIF files: the first frame.

use std::io::Cursor;

use image::{DynamicImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::Reading;

/// A file whose head was read, that of its first frame included.
pub(super) struct Gif<'a> {
    decoder: gif::Decoder<Cursor<&'a [u8]>>,
    /// Left, top, width and height of the frame.
    frame: [u32; 4],
    transparent: Option<u8>,
    colours: Option<Vec<u8>>,
    pub(super) height: u32,
    pub(super) width: u32,
}

fn damaged(fault: gif::DecodingError) -> String {
    match fault {
        gif::DecodingError::UnexpectedEof => "cut off".into(),
        gif::DecodingError::Io(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => "cut off".into(),
        fault => format!("damaged: {fault}"),
    }
}

impl<'a> Gif<'a> {
    /// Reads the head; nothing that grows with the picture is allocated.
    ///
    /// # Errors
    /// When it is damaged, or there is no frame.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let mut decoder = options.read_info(Cursor::new(bytes)).map_err(damaged)?;
        let own = decoder.global_palette().map(<[u8]>::to_vec);
        let (w, h) = (u32::from(decoder.width()), u32::from(decoder.height()));
        let frame = decoder.next_frame_info().map_err(damaged)?.ok_or("it holds no frame")?;
        let colours = frame.palette.clone().or(own);
        let transparent = frame.transparent;
        let frame = [frame.left, frame.top, frame.width, frame.height].map(u32::from);
        let [left, top, width, height] = frame;
        // As browsers and Pillow: a frame that does not fit makes the picture larger.
        let (width, height) = (w.max(left + width), h.max(top + height));
        Ok(Self { decoder, frame, transparent, colours, height, width })
    }

    /// Whether something of it may be transparent.
    pub(super) fn is_transparent(&self) -> bool {
        self.transparent.is_some() || self.frame != [0, 0, self.width, self.height]
    }

    /// Decodes the first frame.
    ///
    /// Around it there is nothing: it is transparent there. To Pillow, which tools read with, it has there the colour of the
    /// transparent number, or of the number 0.
    ///
    /// # Errors
    /// When it is damaged or cut off.
    pub(super) fn decode(mut self, reading: Reading) -> Result<DynamicImage, String> {
        let mut numbers = vec![0; self.decoder.buffer_size()];
        self.decoder.read_into_buffer(&mut numbers).map_err(damaged)?;
        let colour = |number: u8| match &self.colours {
            Some(colours) => {
                let at = 3 * usize::from(number);
                colours.get(at..at + 3).map_or([0; 3], |c| [c[0], c[1], c[2]])
            }
            None => [number; 3],
        };
        let [left, top, w, h] = self.frame;
        let number = |x: u32, y: u32| {
            let (x, y) = (x.checked_sub(left).filter(|x| *x < w)?, y.checked_sub(top).filter(|y| *y < h)?);
            numbers.get((y * w + x) as usize).copied()
        };
        if reading == Reading::Pillow || !self.is_transparent() {
            let around = self.transparent.unwrap_or(0);
            let pixel = |x, y| Rgb(colour(number(x, y).unwrap_or(around)));
            return Ok(DynamicImage::ImageRgb8(RgbImage::from_fn(self.width, self.height, pixel)));
        }
        let pixel = |x, y| match number(x, y).filter(|number| Some(*number) != self.transparent) {
            Some(number) => {
                let [r, g, b] = colour(number);
                Rgba([r, g, b, 255])
            }
            None => Rgba([0; 4]),
        };
        Ok(DynamicImage::ImageRgba8(RgbaImage::from_fn(self.width, self.height, pixel)))
    }
}
