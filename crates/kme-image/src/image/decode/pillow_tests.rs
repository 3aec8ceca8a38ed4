//! Files of all kinds against what Pillow reads from them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

struct Golden {
    name: &'static str,
    file: Vec<u8>,
    size: [usize; 2],
    /// Red, green and blue of each pixel; none where the file is not read.
    pixels: Option<Vec<u8>>,
}

/// Made by `tests/golden/pillow_pictures.py`.
fn golden() -> Vec<Golden> {
    let line = |line: &'static str| {
        let [name, h, w, file, pixels] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let byte = |i: usize| u8::from_str_radix(&pixels[2 * i..2 * i + 2], 16).unwrap();
        Golden {
            name,
            file: BASE64_STANDARD.decode(file).unwrap(),
            size: [h, w].map(|side| side.parse().unwrap()),
            pixels: (pixels != "refused").then(|| (0..pixels.len() / 2).map(byte).collect()),
        }
    };
    include_str!("../../../tests/golden/pillow_pictures.txt").lines().map(line).collect()
}

fn decode(file: &[u8], reading: Reading) -> Result<Images> {
    Decoder { reading, max_pixels: 1 << 20, ..Decoder::default() }.decode(file, Path::new("x"))
}

fn fault(file: &[u8], reading: Reading) -> String {
    decode(file, reading).unwrap_err().to_string()
}

#[test]
fn every_kind_of_file_has_the_pixels_that_pillow_reads() {
    let mut read = 0;
    for Golden { name, file, size: [h, w], pixels } in golden() {
        let found = decode(&file, Reading::Pillow);
        let Some(pixels) = pixels else {
            let fault = found.unwrap_err().to_string();
            let named = ["packed as", "JPEG of 2 samples"].iter().any(|kind| fault.contains(kind));
            assert!(named && fault.contains("a kind of TIFF that is not read"), "{name}: {fault}");
            continue;
        };
        let found = found.unwrap_or_else(|fault| panic!("{name}: {fault}")).to_colour(Colour::Rgb);
        assert_eq!(found.shape(), [1, 3, h, w], "{name}");
        assert_eq!(found.to_bytes(0), pixels, "{name}");
        read += 1;
    }
    assert!(read > 200, "{read}");
}

/// Read for viewers, the same pixels but where this is defined otherwise.
#[test]
fn other_ways_differ_only_where_they_say_so() {
    for Golden { name, file, size, pixels } in golden() {
        let has = |part: &str| name.contains(part);
        // Alpha, grey of 16 bits and of floats, and what lies around a frame.
        if ["A", "I;16", "F-", "transparent", "inside", "beyond", "grey16", "above"].iter().any(|part| has(part)) {
            continue;
        }
        let (Some(pixels), Ok(found)) = (pixels, decode(&file, Reading::Upright)) else { continue };
        let found = found.to_colour(Colour::Rgb);
        assert_eq!(found.shape()[2..], size, "{name}");
        let worst = found.to_bytes(0).iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
        // Of more than 8 bits nothing is rounded or cut off.
        let wide = ["-300", "-1023", "-65534"].iter().any(|end| name.ends_with(end));
        if !(wide && has("P5")) {
            assert!(worst <= Some(u8::from(wide)), "{name}: {worst:?}");
        }
    }
}

#[test]
fn grey_of_16_bits_is_cut_off_as_tools_do_and_kept_otherwise() {
    let words = [0_u16, 1, 254, 255, 256, 40_000, 65_535];
    let picture = image::ImageBuffer::from_fn(7, 1, |x, _| image::Luma([words[x as usize]]));
    for format in [ImageFormat::Png, ImageFormat::Tiff, ImageFormat::Pnm] {
        let mut file = std::io::Cursor::new(Vec::new());
        DynamicImage::ImageLuma16(picture.clone()).write_to(&mut file, format).unwrap();
        let file = file.into_inner();
        assert_eq!(decode(&file, Reading::Pillow).unwrap().to_bytes(0), [0, 1, 254, 255, 255, 255, 255], "{format:?}");
        let kept: Vec<f32> = words.iter().map(|x| f32::from(*x) / 65535.0).collect();
        assert_eq!(decode(&file, Reading::Upright).unwrap().data(), kept, "{format:?}");
    }
    let text = Decoder { reading: Reading::Pillow, ..Decoder::default() }.to_string();
    assert!(text.contains("grey of 16 bits cut off at 255"), "{text}");
}

#[test]
fn floats_are_read_as_tools_do_and_refused_otherwise() {
    let all = golden();
    let Golden { file, .. } = all.iter().find(|golden| golden.name == "tiff-F-raw").unwrap();
    assert!(decode(file, Reading::Pillow).is_ok());
    let fault = fault(file, Reading::Upright);
    assert!(fault.contains("nothing says what is white") && fault.contains("8 or 16 bits"), "{fault}");
}

#[test]
fn samples_of_pnm_are_checked() {
    for (file, said) in [
        (&b"P2 2 1 100 7 101"[..], "a sample of 101, where 100 is the largest"),
        (b"P2 2 1 100 7", "cut off"),
        (b"P2 2 1 100 7 -1", "'-1' in the place of a number"),
        (b"P2 2 1 0 0 0", "its largest sample is 0"),
        (b"P2 2 1 65536 0 0", "its largest sample is 65536"),
        (b"P1 2 1 02", "'2' in the place of a bit"),
        (b"P5 2 1 255\n\x07", "cut off"),
        (b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n\x01\x02", "2 samples a pixel of RGB"),
    ] {
        let found = fault(file, Reading::Upright);
        assert!(found.contains("a PNM file") && found.contains(said), "{found}");
    }
    // Pillow cuts off bytes that are too large; it refuses numbers in letters.
    let above = b"P5 2 1 100\n\x32\xc8";
    assert_eq!(decode(above, Reading::Pillow).unwrap().to_bytes(0), [128, 255]);
    assert!(fault(above, Reading::Upright).contains("a sample of 200"));
    let pam = b"P7\n# c\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\x0a\xff\x14\x00";
    assert_eq!(decode(pam, Reading::Upright).unwrap().to_bytes(0), [10, 255]);
}

#[test]
fn around_the_frame_of_a_gif_there_is_nothing() {
    let all = golden();
    let Golden { file, .. } = all.iter().find(|golden| golden.name == "gif-inside").unwrap();
    let found = decode(file, Reading::Upright).unwrap();
    // The ground is white; the frame of 5 rows and 7 columns begins at row 2, column 1.
    assert_eq!(found.shape(), [1, 3, 8, 9]);
    let pixel = |y: usize, x: usize| [0, 1, 2].map(|c| found.data()[(c * 8 + y) * 9 + x]);
    assert!([(0, 0), (1, 8), (7, 4), (3, 0), (3, 8)].iter().all(|(y, x)| pixel(*y, *x) == [1.0; 3]));
    assert!((2..7).any(|y| (1..8).any(|x| pixel(y, x) != [1.0; 3])));
}

#[test]
fn damaged_files_of_all_kinds_never_panic() {
    for Golden { file, .. } in golden() {
        // Every eleventh byte, and every cut, keeps it short.
        for i in (0..file.len()).step_by(11) {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = file.clone();
                damaged[i] ^= change;
                let _ = decode(&damaged, Reading::Pillow);
                let _ = decode(&damaged, Reading::Upright);
            }
            let _ = decode(&file[..i], Reading::Pillow);
        }
    }
}
