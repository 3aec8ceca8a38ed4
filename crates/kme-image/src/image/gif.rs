//! Writing pictures one after another: animated GIF.

use super::Images;
use super::png::level;
use image::codecs::gif::{GifEncoder, Repeat};
use image::{Delay, Frame, RgbaImage};
use kme::{Error, Result};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

impl Images {
    /// All pictures one after another as an animated GIF that begins again at its end, each shown for `each`. GIF has 256
    /// colours a picture: those of colour pictures are the nearest of a palette.
    ///
    /// # Errors
    /// [`Error::TooMany`] when a side has more than 65 535 pixels; [`Error::Io`] when the file cannot be written.
    pub fn write_gif(&self, each: Duration, path: &Path) -> Result<()> {
        let [n, _, h, w] = self.shape();
        let side = |x: usize| {
            u16::try_from(x).map(u32::from).map_err(|_| {
                Error::too_many("side of a picture", x, "the 65535 pixels of a GIF", "scale it down first")
            })
        };
        let (height, width) = (side(h)?, side(w)?);
        let write = || format!("write {n} pictures of {h}x{w} as a GIF");
        let fault = |fault: image::ImageError| Error::unsupported(write(), fault.to_string());
        let mut file = Vec::new();
        let mut encoder = GifEncoder::new_with_speed(&mut file, SPEED);
        encoder.set_repeat(Repeat::Infinite).map_err(fault)?;
        for i in 0..n {
            let picture = self.picture(i);
            let last = self.channels() - 1;
            let frame = RgbaImage::from_fn(width, height, |x, y| {
                let at = |c: usize| level(picture[(c.min(last) * h + y as usize) * w + x as usize]);
                image::Rgba([at(0), at(1), at(2), 255])
            });
            encoder
                .encode_frame(Frame::from_parts(frame, 0, 0, Delay::from_saturating_duration(each)))
                .map_err(fault)?;
        }
        drop(encoder);
        kme::internal::io::write_atomically(path, |out| out.write_all(&file))
    }
}

/// How fast palettes are found, from 1 (best) to 30.
const SPEED: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use image::AnimationDecoder;
    use image::codecs::gif::GifDecoder;

    #[test]
    fn frames_are_read_back() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("walk.gif");
        // Few colours, so that the palette holds them all.
        let data: Vec<f32> = (0..3 * 3 * 12).map(|i| (i * 7 % 5) as f32 / 4.0).collect();
        let images = Images::new(3, 3, 3, 4, data).unwrap();
        images.write_gif(Duration::from_millis(40), &path).unwrap();
        let decoder = GifDecoder::new(std::io::BufReader::new(std::fs::File::open(&path).unwrap())).unwrap();
        let frames = decoder.into_frames().collect_frames().unwrap();
        assert_eq!(frames.len(), 3);
        for (i, frame) in frames.iter().enumerate() {
            assert_eq!(Duration::from(frame.delay()), Duration::from_millis(40));
            let found: Vec<u8> = frame.buffer().pixels().flat_map(|p| [p[0], p[1], p[2]]).collect();
            let worst = found.iter().zip(images.to_bytes(i)).map(|(a, b)| a.abs_diff(b)).max().unwrap();
            assert!(worst <= 8, "{worst}");
        }
    }
}
