use std::io::Cursor;
use std::path::Path;

use image::codecs::bmp::BmpEncoder;
use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ExtendedColorType as E, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

const W: u32 = 16;
const H: u32 = 8;

/// Left half red, right half blue.
fn halves() -> RgbImage {
    RgbImage::from_fn(W, H, |x, _| if x < W / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    picture.write_to(&mut file, format).unwrap();
    file.into_inner()
}

fn jpeg(picture: &RgbImage) -> Vec<u8> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 100).encode_image(picture).unwrap();
    file
}

/// The same picture in every format that is read.
fn all_formats() -> Vec<(&'static str, Vec<u8>)> {
    let picture = halves();
    let raw = picture.as_raw();
    let (mut bmp, mut gif, mut webp) = (Vec::new(), Vec::new(), Vec::new());
    BmpEncoder::new(&mut bmp).encode(raw, W, H, E::Rgb8).unwrap();
    GifEncoder::new(&mut gif).encode(raw, W, H, E::Rgb8).unwrap();
    WebPEncoder::new_lossless(&mut webp).encode(raw, W, H, E::Rgb8).unwrap();
    let rgb = DynamicImage::ImageRgb8(picture.clone());
    let [png, tiff, pnm] = [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Pnm].map(|format| encoded(&rgb, format));
    let jpeg = jpeg(&picture);
    vec![("png", png), ("jpeg", jpeg), ("bmp", bmp), ("gif", gif), ("webp", webp), ("tiff", tiff), ("pnm", pnm)]
}

fn decode(bytes: &[u8], channels: Channels) -> Result<Images> {
    Decoder::new(channels).decode(bytes, Path::new("some/picture.png"))
}

fn fault(bytes: &[u8]) -> String {
    decode(bytes, Channels::Keep).unwrap_err().to_string()
}

fn close(images: &Images, expected: impl Fn(usize, usize, usize) -> f32, tolerance: f32) {
    let (h, w) = (images.height(), images.width());
    for (i, got) in images.data().iter().enumerate() {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        assert!((got - expected(c, y, x)).abs() <= tolerance, "channel {c}, row {y}, column {x}: {got}");
    }
}

#[test]
fn every_format_gives_the_same_pixels_whatever_its_name() {
    for (name, file) in all_formats() {
        let images = decode(&file, Channels::Keep).unwrap();
        assert_eq!(images.shape(), [1, 3, H as usize, W as usize], "{name}");
        let tolerance = if name == "jpeg" { 0.02 } else { 0.0 };
        // Chroma subsampling of JPEG does not cross the middle of 16 columns.
        close(&images, |c, _, x| f32::from((c == 0) == (x < 8) && c != 1), tolerance);
    }
}

#[test]
fn grey_8_and_16_bits_keep_their_precision() {
    let grey8 = DynamicImage::ImageLuma8(image::GrayImage::from_fn(3, 1, |x, _| image::Luma([x as u8 * 100])));
    let images = decode(&encoded(&grey8, ImageFormat::Png), Channels::Keep).unwrap();
    assert_eq!(images.shape(), [1, 1, 1, 3]);
    assert_eq!(images.data(), [0.0, 100.0 / 255.0, 200.0 / 255.0]);

    let words = [0_u16, 1, 257, 40_000, 65_535];
    let grey16 = image::ImageBuffer::from_fn(5, 1, |x, _| image::Luma([words[x as usize]]));
    let images = decode(&encoded(&DynamicImage::ImageLuma16(grey16), ImageFormat::Png), Channels::Keep).unwrap();
    let expected: Vec<f32> = words.iter().map(|w| f32::from(*w) / 65535.0).collect();
    assert_eq!(images.data(), expected);
}

#[test]
fn transparency_is_laid_over_white_or_the_wanted_ground() {
    let pixels = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 100, [0, 51, 255][x as usize]]));
    let file = encoded(&DynamicImage::ImageRgba8(pixels), ImageFormat::Png);
    for background in [1.0_f32, 0.0] {
        let decoder = Decoder { background, ..Decoder::default() };
        let images = decoder.decode(&file, Path::new("x")).unwrap();
        assert_eq!(images.shape(), [1, 3, 1, 3]);
        let over = |x: usize, v: f32| [0.0, 0.2, 1.0][x] * v / 255.0 + (1.0 - [0.0, 0.2, 1.0][x]) * background;
        close(&images, |c, _, x| over(x, [200.0, 0.0, 100.0][c]), 1e-6);
    }
    let grey = image::ImageBuffer::from_fn(1, 1, |_, _| image::LumaA([0_u16, 0]));
    let images = decode(&encoded(&DynamicImage::ImageLumaA16(grey), ImageFormat::Png), Channels::Keep).unwrap();
    assert_eq!((images.shape(), images.data()), ([1, 1, 1, 1], &[1.0_f32][..]));
}

#[test]
fn tools_drop_transparency_turns_and_lower_bits() {
    let pillow = Decoder { reading: Reading::Pillow, ..Decoder::default() };
    let decode = |file: &[u8]| pillow.decode(file, Path::new("x")).unwrap();
    let pixels = RgbaImage::from_fn(3, 1, |x, _| Rgba([200, 0, 100, [0, 51, 255][x as usize]]));
    let images = decode(&encoded(&DynamicImage::ImageRgba8(pixels), ImageFormat::Png));
    close(&images, |c, _, _| [200.0, 0.0, 100.0][c] / 255.0, 1e-6);
    assert_eq!(decode(&turned(6)).shape(), [1, 3, H as usize, W as usize]);
    let words = image::ImageBuffer::from_fn(2, 1, |x, _| image::Rgb([0x12ff_u16, 0x1200, 0xff00 + x as u16]));
    let images = decode(&encoded(&DynamicImage::ImageRgb16(words), ImageFormat::Png));
    close(&images, |c, _, _| [0x12 as f32, 0x12 as f32, 255.0][c] / 255.0, 1e-7);
}

#[test]
fn channels_are_converted_or_required() {
    let file = encoded(&DynamicImage::ImageRgb8(halves()), ImageFormat::Png);
    let grey = decode(&file, Channels::Convert(Colour::Grey)).unwrap();
    assert_eq!(grey.channels(), 1);
    close(&grey, |_, _, x| if x < 8 { 0.299 } else { 0.114 }, 1e-6);
    assert!(decode(&file, Channels::Require(Colour::Rgb)).is_ok());
    let fault = decode(&file, Channels::Require(Colour::Grey)).unwrap_err();
    assert!(matches!(fault, Error::Format { .. }), "{fault}");
    assert!(Colour::from_channels(4).is_err());
}

/// A JPEG of `halves` whose metadata says how to turn it.
fn turned(orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
    let length = (exif.len() + 2) as u16;
    let plain = jpeg(&halves());
    [&plain[..2], &[0xff, 0xe1], &length.to_be_bytes(), &exif, &plain[2..]].concat()
}

#[test]
fn the_orientation_in_metadata_is_applied() {
    let red = |c: usize, first: bool| f32::from((c == 0) == first && c != 1);
    let images = decode(&turned(6), Channels::Keep).unwrap();
    // A quarter turn clockwise: what was left is on top.
    assert_eq!(images.shape(), [1, 3, W as usize, H as usize]);
    close(&images, |c, y, _| red(c, y < 8), 0.02);
    close(&decode(&turned(3), Channels::Keep).unwrap(), |c, _, x| red(c, x >= 8), 0.02);
    close(&decode(&turned(1), Channels::Keep).unwrap(), |c, _, x| red(c, x < 8), 0.02);
}

#[test]
fn what_is_no_picture_is_named() {
    assert!(fault(b"").contains("some/picture.png: the file is empty"));
    assert!(fault(b"dear diary, this is text in a file called picture.png").contains("not a picture; PNG, JPEG"));
    assert!(fault(b"II*\0 a TIFF file that holds nothing").contains("a TIFF file"));
    for (head, kind) in [
        (&b"\0\0\0\x1cftypavif\0\0\0\0"[..], "an AVIF file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC file"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file"),
        (b"8BPS\0\x01", "a Photoshop file"),
        (b"<svg xmlns='x'/>", "an SVG drawing"),
    ] {
        let text = fault(head);
        assert!(text.contains(kind) && text.contains("only PNG, JPEG"), "{text}");
    }
    // A raw file is a TIFF file with a thumbnail in front.
    let raw = Decoder::default().decode(&all_formats()[5].1, Path::new("a.NEF")).unwrap_err().to_string();
    assert!(raw.contains("a camera's raw file"), "{raw}");
    let missing = Decoder::default().read(Path::new("no/such/file.png")).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }) && missing.file_path().is_some(), "{missing}");
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    for (name, file) in all_formats() {
        for end in 0..file.len() {
            let read = decode(&file[..end], Channels::Keep);
            // What may be missing without harm is the trailer alone: GIF's last byte, PNG's and WebP's closing bytes.
            // TIFF's directory and what it names may lie anywhere.
            if end + 16 < file.len() || ["jpeg", "tiff", "pnm"].contains(&name) {
                assert!(read.is_err(), "{name} cut at {end} of {}", file.len());
            }
        }
    }
}

/// Each fault is a sentence of its own, without the words of the library that found it.
#[test]
fn what_is_wrong_with_a_file_is_said_plainly() {
    let png = encoded(&DynamicImage::ImageRgb8(halves()), ImageFormat::Png);
    let data = png.windows(4).position(|four| four == b"IDAT").unwrap() + 4;
    let end = data + u32::from_be_bytes(png[data - 8..data - 4].try_into().unwrap()) as usize;
    let changed = |at: usize, with_checksum: bool| {
        let mut file = png.clone();
        file[at] ^= 0x11;
        if with_checksum {
            let mut crc = flate2::Crc::new();
            crc.update(&file[data - 4..end]);
            file[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        }
        file
    };
    let bmp = encoded(&DynamicImage::ImageRgb8(halves()), ImageFormat::Bmp);
    let gif = encoded(&DynamicImage::ImageRgb8(halves()), ImageFormat::Gif);
    for (file, expected) in [
        (png[..end - 3].to_vec(), "a PNG file: cut off"),
        (changed(end - 6, false), "a PNG file: damaged: the checksum of a part of it is wrong"),
        (changed(data, true), "a PNG file: damaged: its pixels cannot be decompressed"),
        (bmp[..bmp.len() - 5].to_vec(), "a BMP file: cut off"),
        (gif[..gif.len() - 9].to_vec(), "a GIF file: cut off"),
        (b"<html>404</html>".to_vec(), "not a picture; "),
    ] {
        let fault = fault(&file);
        assert!(fault.starts_with(&format!("some/picture.png: {expected}")), "{expected}: {fault}");
        assert!(
            !["decoding", "Format error", "ChunkType", "buffer"].iter().any(|word| fault.contains(word)),
            "{fault}"
        );
    }
}

#[test]
fn a_damaged_byte_never_panics() {
    for (_, file) in all_formats() {
        for i in 0..file.len().min(400) {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[i] ^= flip;
                let _ = Decoder { max_pixels: 1 << 20, ..Decoder::default() }.decode(&damaged, Path::new("x"));
            }
        }
    }
}

#[test]
fn a_huge_picture_is_refused_before_it_is_decoded() {
    // A PNG header that announces 60000 × 60000 pixels; its checksum is that of the changed chunk.
    let mut file = encoded(&DynamicImage::ImageRgb8(halves()), ImageFormat::Png);
    for at in [16, 20] {
        file[at..at + 4].copy_from_slice(&60_000_u32.to_be_bytes());
    }
    let mut crc = flate2::Crc::new();
    crc.update(&file[12..29]);
    file[29..33].copy_from_slice(&crc.sum().to_be_bytes());
    let text = fault(&file);
    assert!(text.contains("60000×60000 = 3600000000 pixels; at most 100000000"), "{text}");
    let small = Decoder { max_pixels: 100, ..Decoder::default() };
    for (name, file) in all_formats() {
        let text = small.decode(&file, Path::new("x")).unwrap_err().to_string();
        assert!(text.contains("128 pixels; at most 100"), "{name}: {text}");
    }
}

#[test]
fn a_thumbnail_does_not_stand_in_for_the_end() {
    let whole = jpeg(&halves());
    let thumbnail = [&[0xff, 0xe1, 0, 6], &[0xff, 0xd9, 0xff, 0xd9][..]].concat();
    let file = [&whole[..2], &thumbnail, &whole[2..]].concat();
    assert!(decode(&file, Channels::Keep).is_ok());
    assert!(fault(&file[..file.len() - 2]).contains("cut off"));
}
