//! Files of all kinds against what Pillow reads from them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::*;

struct Golden {
    name: &'static str,
    file: Vec<u8>,
    size: [usize; 2],
    /// Red, green and blue of each pixel.
    pixels: Vec<u8>,
}

/// Made by `tests/golden/jpeg.py`.
fn golden() -> Vec<Golden> {
    let line = |line: &'static str| {
        let [name, h, w, file, pixels] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let [file, pixels] = [file, pixels].map(|text| BASE64_STANDARD.decode(text).unwrap());
        Golden { name, file, size: [h, w].map(|side| side.parse().unwrap()), pixels }
    };
    include_str!("../../../tests/golden/jpeg.txt").lines().map(line).collect()
}

fn rgb(pixels: Pixels) -> Vec<u8> {
    match pixels {
        Pixels::Grey(levels) => levels.into_iter().flat_map(|level| [level; 3]).collect(),
        Pixels::Rgb(levels) => levels,
        Pixels::Four(_) => panic!("four components"),
    }
}

#[test]
fn every_kind_of_file_has_the_pixels_of_libjpeg_turbo() {
    for Golden { name, file, size, pixels } in golden() {
        let jpeg = Jpeg::open(&file).unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!([jpeg.height, jpeg.width], size, "{name}");
        let found = rgb(jpeg.decode().unwrap_or_else(|fault| panic!("{name}: {fault}")));
        let worst = found.iter().zip(&pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(found == pixels, "{name}: {worst:?}");
    }
}

/// The files are of the kinds that they are named by.
#[test]
fn the_files_have_what_they_are_there_for() {
    let all = golden();
    let file = |name: &str| &all.iter().find(|golden| golden.name == name).unwrap_or_else(|| panic!("{name}")).file;
    let factors = |name: &str| -> Vec<[usize; 2]> {
        let jpeg = Jpeg::open(file(name)).unwrap();
        jpeg.components.iter().map(|c| [c.horizontal, c.vertical]).collect()
    };
    assert_eq!(factors("411"), [[4, 1], [1, 1], [1, 1]]);
    assert_eq!(factors("440"), [[1, 2], [1, 1], [1, 1]]);
    assert_eq!(Jpeg::open(file("ycck")).unwrap().adobe, Some(2));
    assert!(!Jpeg::open(file("rgb")).unwrap().jfif && Jpeg::open(file("420-restart")).unwrap().restart == 2);
    let wide = Jpeg::open(file("wide-quantiser")).unwrap();
    assert!(wide.quantisers[0].unwrap().iter().any(|q| *q > 255));
    let scans = |name: &str| file(name).windows(2).filter(|two| *two == [0xff, 0xda]).count();
    assert_eq!((scans("420-one-by-one"), scans("420"), scans("420-3-of-10"), scans("420-10-of-10")), (3, 1, 3, 10));
}

/// Whatever is left of a file, or put into it, there is no panic.
#[test]
fn damaged_files_are_errors_or_pictures() {
    for Golden { file, .. } in golden().into_iter().step_by(5) {
        for at in (0..file.len()).step_by(7) {
            let _ = Jpeg::open(&file[..at]).and_then(Jpeg::decode);
            let mut other = file.clone();
            other[at] ^= 0x55;
            if let Ok(jpeg) = Jpeg::open(&other)
                && jpeg.height * jpeg.width < 1 << 16
            {
                let _ = jpeg.decode();
            }
        }
    }
}
