//! What kind of picture a file is, told by its first bytes or its name; pictures that are not read included.

use std::path::Path;

use image::ImageFormat;

/// First bytes that tell enough.
pub(crate) const HEAD: usize = 512;

/// Ends of names of pictures that are read.
const READ: &[&str] = &[
    "png", "apng", "jpg", "jpeg", "jpe", "jif", "jfif", "pjpeg", "pjp", "bmp", "dib", "gif", "webp", "tif", "tiff",
    "ppm", "pgm", "pbm", "pnm", "pam", "mpo", "jps",
];

/// Ends of names of pictures that are not.
const NOT_READ: &[&str] = &[
    "avif", "heic", "heif", "hif", "jxl", "jp2", "j2k", "jpf", "jpx", "jxr", "wdp", "psd", "psb", "svg", "xcf", "ico",
    "cur", "tga", "dds", "exr", "qoi", "pcx", "xbm", "xpm", "dcm", "fits", "bpg", "flif", "jng", "mng", "pfm",
];

/// Ends of names of what cameras write before they make a picture of it. By content they are TIFF files, whose first page
/// is a thumbnail.
const RAW: &[&str] =
    &["3fr", "arw", "cr2", "cr3", "dng", "erf", "iiq", "nef", "nrw", "orf", "pef", "raf", "rw2", "rwl", "srw", "x3f"];

fn ends(path: &Path, known: &[&[&str]]) -> bool {
    path.extension().is_some_and(|e| known.iter().copied().flatten().any(|known| e.eq_ignore_ascii_case(known)))
}

/// Whether a file's name ends like a picture's, of those that are read or others.
pub(crate) fn has_picture_name(path: &Path) -> bool {
    ends(path, &[READ, NOT_READ, RAW])
}

/// Whether a file's name ends like that of a camera's raw data.
pub(crate) fn is_raw(path: &Path) -> bool {
    ends(path, &[RAW])
}

/// Whether a file that begins so is a TIFF file of the form that may be larger than 4 GB, which [`image::guess_format`] does
/// not know.
pub(super) fn is_big_tiff(head: &[u8]) -> bool {
    head.starts_with(b"II+\0\x08\0") || head.starts_with(b"MM\0+\0\x08")
}

/// Whether a file that begins so is a picture, of a kind that is read or another.
pub(crate) fn is_picture(head: &[u8]) -> bool {
    if of(head).is_some() || is_big_tiff(head) {
        return true;
    }
    match image::guess_format(head) {
        Ok(format) if !format.reading_enabled() => true,
        // Two letters, with which a text may begin too: what follows must fit.
        Ok(ImageFormat::Bmp) => matches!(head.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])),
        Ok(ImageFormat::Pnm) => {
            let rest = head[2..].trim_ascii_start();
            rest.len() < head.len() - 2 && matches!(rest.first(), Some(b'0'..=b'9' | b'#' | b'W' | b'H' | b'D'))
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

/// What a file is that begins so, if it is a picture of a kind that is not read and [`image::guess_format`] does not know.
pub(crate) fn of(head: &[u8]) -> Option<&'static str> {
    let brand: Option<&[u8]> = head.get(8..12).filter(|_| head[4..8] == *b"ftyp");
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let begins = |magic: &[u8]| head.starts_with(magic);
    Some(match () {
        () if matches!(brand, Some(b"avif" | b"avis")) => "an AVIF file",
        () if matches!(brand, Some(b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"mif1" | b"msf1")) => {
            "a HEIC file"
        }
        () if matches!(brand, Some(b"crx ")) || begins(b"IIU\0") || begins(b"FUJIFILM") => "a camera's raw file",
        // All four bytes, since a picture's first pixels may come here.
        () if begins(b"II*\0") && head.get(8..12) == Some(b"CR\x02\0") => "a camera's raw file",
        () if begins(b"PF\n") || begins(b"Pf\n") => "a PFM file",
        () if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL \r\n\x87\n") => "a JPEG XL file",
        () if begins(b"\0\0\0\x0cjP  \r\n\x87\n") || begins(b"\xff\x4f\xff\x51") => "a JPEG 2000 file",
        () if begins(b"II\xbc\x01") => "a JPEG XR file",
        () if begins(b"8BPS") => "a Photoshop file",
        () if begins(b"gimp xcf") => "a GIMP file",
        () if begins(b"BPG\xfb") => "a BPG file",
        () if begins(b"FLIF") => "a FLIF file",
        () if begins(b"qoif") => "a QOI file",
        () if begins(b"DDS ") => "a DDS file",
        () if begins(b"v/1\x01") => "an OpenEXR file",
        () if begins(b"#?RADIANCE") || begins(b"#?RGBE") => "a Radiance file",
        () if begins(b"SIMPLE  =") => "a FITS file",
        () if head.get(128..132) == Some(b"DICM") => "a DICOM file",
        () if text.starts_with(b"<svg") || (text.starts_with(b"<?xml") && contains(text, b"<svg")) => "an SVG drawing",
        () => return None,
    })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_told_from_what_is_none() {
        let ftyp = |brand: &[u8; 4]| [b"\0\0\0\x1cftyp", &brand[..]].concat();
        for head in [
            &b"\x89PNG\r\n\x1a\n\0\0"[..],
            b"\xff\xd8\xff\xe0",
            b"GIF89a",
            b"II*\0\x08\0\0\0",
            b"MM\0*\0\0\0\x08",
            b"II+\0\x08\0\0\0",
            b"RIFF\x10\0\0\0WEBPVP8 ",
            b"P6\n3 2\n255\n",
            b"P5 # comment",
            b"P7\nWIDTH 3",
            b"BM\x3a\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0",
            &ftyp(b"avif"),
            &ftyp(b"heic"),
            b"8BPS\0\x01",
            b"\xff\x0a\xfa\x1f",
            b"<?xml version='1.0'?>\n<svg width='3'/>",
            b"\xef\xbb\xbf <svg/>",
        ] {
            assert!(is_picture(head), "{head:?}");
        }
        for head in [
            &b""[..],
            b"BMW is a car, and this is a text of more than eighteen letters",
            b"P1 is a prime",
            b"P6",
            b"Pictures of cats",
            b"<html><svg></svg></html>",
            b"{\"labels\": []}",
            b"RIFF\x10\0\0\0WAVEfmt ",
            b"\0\0\x08\x03\0\0\0\x01",
            b"PK\x03\x04",
            &ftyp(b"isom"),
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        ] {
            assert!(!is_picture(head), "{head:?}");
        }
        // Two bytes of a picture's own samples are no mark of a camera's.
        assert_eq!(of(b"II*\0\x10\0\0\0CR\x05\x06"), None);
        assert_eq!(of(b"II*\0\x10\0\0\0CR\x02\0"), Some("a camera's raw file"));
        for name in ["a.JFIF", "a.tif", "a.heic", "a.NEF", "x/y.Png"] {
            assert!(has_picture_name(Path::new(name)), "{name}");
        }
        for name in ["a.txt", "a", "png", "Thumbs.db", "a.json"] {
            assert!(!has_picture_name(Path::new(name)), "{name}");
        }
    }
}
