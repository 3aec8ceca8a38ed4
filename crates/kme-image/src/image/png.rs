//! Writing pictures: 8-bit PNG.

use std::io::Write;
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use kme::{Error, Result};

use super::Images;

/// A pixel in [0, 1] as one of 256 levels: the nearest of k/255. The range is fixed, never taken from the data.
pub(super) fn level(x: f32) -> u8 {
    (x * 255.0).round().clamp(0.0, 255.0) as u8
}

/// A side that formats and resamplers can address.
pub(super) fn side(x: usize) -> Result<u32> {
    u32::try_from(x).map_err(|_| Error::too_many("side of a picture", x, "2³² − 1 pixels", "scale it down first"))
}

impl Images {
    /// Picture i as 8-bit samples, pixel after pixel (HWC): round(255 x).
    ///
    /// # Panics
    /// When i ≥ n.
    pub fn to_bytes(&self, i: usize) -> Vec<u8> {
        let picture = self.picture(i);
        let plane = self.height() * self.width();
        (0..plane).flat_map(|p| picture.iter().skip(p).step_by(plane).map(|&x| level(x))).collect()
    }

    /// Picture i as an 8-bit PNG file, grey or RGB.
    ///
    /// # Errors
    /// [`Error::Parameter`] when i ≥ n; [`Error::TooMany`] when a side has more than 2³² − 1 pixels.
    pub fn to_png(&self, i: usize) -> Result<Vec<u8>> {
        let [n, c, h, w] = self.shape();
        if i >= n {
            return Err(Error::parameter("index", i, format!("below {n}, the number of pictures")));
        }
        let colour = if c == 1 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
        let mut file = Vec::new();
        PngEncoder::new(&mut file)
            .write_image(&self.to_bytes(i), side(w)?, side(h)?, colour)
            .map_err(|fault| Error::unsupported(format!("write a picture of {h}x{w} as PNG"), fault.to_string()))?;
        Ok(file)
    }

    /// Writes picture i as an 8-bit PNG file to `path`. The file appears whole or not at all.
    ///
    /// # Errors
    /// As [`Images::to_png`]; [`Error::Io`] when the file cannot be written.
    pub fn write_png(&self, i: usize, path: &Path) -> Result<()> {
        let file = self.to_png(i)?;
        kme::internal::io::write_atomically(path, |out| out.write_all(&file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Channels, Decoder};

    #[test]
    fn levels_are_rounded_over_a_fixed_range() {
        for k in 0..=255_u8 {
            assert_eq!(level(f32::from(k) / 255.0), k);
        }
        // Truncation would give 127 and 0 here.
        assert_eq!([level(0.5), level(0.6 / 255.0), level(0.4 / 255.0)], [128, 1, 0]);
        let dim = Images::new(1, 1, 1, 2, vec![0.2, 0.4]).unwrap();
        assert_eq!(dim.to_bytes(0), [51, 102]);
    }

    #[test]
    fn a_written_file_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("picture.png");
        let data: Vec<f32> = (0..2 * 3 * 4 * 5).map(|i| (i * 2) as f32 / 255.0).collect();
        let images = Images::new(2, 3, 4, 5, data).unwrap();
        images.write_png(1, &path).unwrap();
        let back = Decoder::new(Channels::Keep).read(&path).unwrap();
        assert_eq!(back, images.select(&[1]).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(images.to_png(2).is_err());
        let nowhere = folder.path().join("missing/picture.png");
        assert!(images.write_png(0, &nowhere).unwrap_err().to_string().contains("picture.png"));
    }
}
