//! Levels of BMP files of 16 bits a pixel.

use image::DynamicImage;

/// Brings the channels of a BMP file of 16 bits a pixel from 5 or 6 bits to 8 as Pillow does: ⌊255 v / (2ⁿ − 1)⌋. The
/// decoder before has rounded to the nearest, which is one level more for some. Other files are left as they are.
pub(super) fn as_pillow(file: &[u8], picture: &mut DynamicImage) {
    let number =
        |at: usize, size: usize| file.get(at..at + size).map(|b| b.iter().rev().fold(0, |n, x| n << 8 | u32::from(*x)));
    if number(28, 2) != Some(16) || number(14, 4) == Some(12) {
        // In the head of OS/2 the number stands elsewhere.
        if !(number(14, 4) == Some(12) && number(24, 2) == Some(16)) {
            return;
        }
    }
    let masks = match number(30, 4) {
        Some(3) if number(14, 4) != Some(12) => [54, 58, 62].map(|at| number(at, 4).unwrap_or(0)),
        _ => [0x7c00, 0x3e0, 0x1f],
    };
    let most = masks.map(|mask| (1_u32 << mask.count_ones().min(8)) - 1);
    let level = |x: u8, most: u32| match most {
        0 | 255 => x,
        _ => ((u32::from(x) * most + 127) / 255 * 255 / most) as u8,
    };
    let change = |pixel: &mut [u8]| pixel.iter_mut().zip(most).for_each(|(x, most)| *x = level(*x, most));
    match picture {
        DynamicImage::ImageRgb8(p) => p.pixels_mut().for_each(|pixel| change(&mut pixel.0)),
        DynamicImage::ImageRgba8(p) => p.pixels_mut().for_each(|pixel| change(&mut pixel.0[..3])),
        _ => {}
    }
}
