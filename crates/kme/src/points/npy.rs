//! The `.npy` format of NumPy: a magic string, a header that is a Python dictionary, the numbers.
//!
//! Reference: NumPy's `numpy.lib.format`, versions 1.0, 2.0 and 3.0. The header is parsed here, not by a general
//! Python-literal parser, because it comes from outside: lengths are checked before anything is allocated, sizes are
//! multiplied with overflow checks, and nothing recurses.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use super::array::{Checked, Dtype, Endian, Layout, show_shape};
use super::{Data, Points};
use crate::{Error, Result, io as files};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// NumPy's own headers are a few hundred bytes.
const LONGEST_HEADER: usize = 1 << 16;

/// Reads the sample in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Points> {
    let (mut reader, size) = files::open(path)?;
    let (layout, header) = read_layout(&mut reader).map_err(|e| Error::format(path, e))?;
    check_size(&layout, size - header).map_err(|e| Error::format(path, e))?;
    layout.read_sample(&mut reader).map_err(|e| Error::format(path, e))
}

/// Whether the `there` bytes after the header are exactly the array.
pub(super) fn check_size(layout: &Layout, there: u64) -> Checked<()> {
    match layout.bytes() {
        Some(needed) if needed == there => Ok(()),
        Some(needed) if needed < there => {
            Err(format!("holds {} bytes more than its shape {layout} needs", there - needed))
        }
        Some(needed) => {
            Err(format!("is truncated: its shape {layout} needs {needed} bytes of numbers, there are {there}"))
        }
        None => Err(format!("its shape {layout} is impossible")),
    }
}

/// Reads up to the first number: the layout, and how many bytes it took.
pub(super) fn read_layout(reader: &mut impl Read) -> Checked<(Layout, u64)> {
    let mut read = |n: usize| {
        let mut bytes = vec![0; n];
        match reader.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Err("is truncated: its header is not whole".to_string()),
            Err(e) => Err(e.to_string()),
        }
    };
    if read(6)? != MAGIC {
        return Err("not a .npy file (NumPy array): it does not start with \\x93NUMPY".into());
    }
    let version = read(2)?;
    let length: Vec<u8> = match version[0] {
        1 => read(2)?,
        2 | 3 => read(4)?,
        v => return Err(format!("is of .npy version {v}.{}; versions 1, 2 and 3 are read", version[1])),
    };
    let before = 8 + length.len();
    let length = length.iter().rev().fold(0, |sum, &b| sum << 8 | usize::from(b));
    if length > LONGEST_HEADER {
        return Err(format!("its header claims {length} bytes; at most {LONGEST_HEADER} are read"));
    }
    let header = read(length)?;
    let layout = parse_header(&header).map_err(|e| format!("its .npy header is not understood: {e}"))?;
    Ok((layout, (before + length) as u64))
}

/// Parses `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parse_header(header: &[u8]) -> Checked<Layout> {
    let text = std::str::from_utf8(header).map_err(|_| "it is not text")?;
    let mut rest = Cursor(text.trim_end());
    let (mut descr, mut fortran, mut shape) = (None, None, None);
    rest.expect('{')?;
    while !rest.take('}') {
        let key = rest.quoted()?;
        rest.expect(':')?;
        match key {
            "descr" => descr = Some(rest.quoted().map_err(|_| "records of several fields are not points")?),
            "fortran_order" => fortran = Some(rest.boolean()?),
            "shape" => shape = Some(rest.tuple()?),
            other => return Err(format!("unknown key '{}'", other.escape_default())),
        }
        if !rest.take(',') {
            rest.expect('}')?;
            break;
        }
    }
    if !rest.0.is_empty() {
        return Err("something follows the dictionary".into());
    }
    let (endian, dtype) = parse_descr(descr.ok_or("'descr' is missing")?)?;
    Ok(Layout {
        dtype,
        endian,
        fortran: fortran.ok_or("'fortran_order' is missing")?,
        shape: shape.ok_or("'shape' is missing")?,
    })
}

fn parse_descr(descr: &str) -> Checked<(Endian, Dtype)> {
    let (endian, name) = match descr.split_at_checked(1) {
        Some(("<" | "|", name)) => (Endian::Little, name),
        Some((">", name)) => (Endian::Big, name),
        Some(("=", name)) => (if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little }, name),
        _ => (Endian::Little, ""),
    };
    let dtype = match name {
        "b1" => Dtype::Bool,
        "u1" => Dtype::U8,
        "i1" => Dtype::I8,
        "u2" => Dtype::U16,
        "i2" => Dtype::I16,
        "f2" => Dtype::F16,
        "u4" => Dtype::U32,
        "i4" => Dtype::I32,
        "f4" => Dtype::F32,
        "u8" => Dtype::U64,
        "i8" => Dtype::I64,
        "f8" => Dtype::F64,
        _ => {
            return Err(format!(
                "elements of type '{}'; read are bool, 8- to 64-bit integers, and 16-, 32- and 64-bit floats \
                 (in NumPy x.astype('float32'))",
                descr.escape_default()
            ));
        }
    };
    Ok((endian, dtype))
}

/// What is left of the header to parse.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn take(&mut self, c: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(c);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, c: char) -> Checked<()> {
        if self.take(c) { Ok(()) } else { Err(format!("'{c}' is missing")) }
    }

    fn quoted(&mut self) -> Checked<&'a str> {
        let quote = if self.take('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect(quote)?;
        }
        let (text, rest) = self.0.split_once(quote).ok_or("a quote is not closed")?;
        self.0 = rest;
        Ok(text)
    }

    fn word(&mut self) -> &'a str {
        self.0 = self.0.trim_start();
        let end = self.0.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(self.0.len());
        let (word, rest) = self.0.split_at(end);
        self.0 = rest;
        word
    }

    fn boolean(&mut self) -> Checked<bool> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            _ => Err("'fortran_order' is neither True nor False".into()),
        }
    }

    fn tuple(&mut self) -> Checked<Vec<u64>> {
        let mut shape = Vec::new();
        self.expect('(')?;
        while !self.take(')') {
            // Python 2 wrote long integers with an L.
            let number = self.word().trim_end_matches('L').parse();
            shape.push(number.map_err(|_| "a length in 'shape' is not a whole number below 2^64")?);
            if !self.take(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(shape)
    }
}

/// Writes `points` as an array of shape (n, d), little-endian, rows one after another, version 1.0.
pub(super) fn write(points: &Points, out: &mut impl Write) -> io::Result<()> {
    write_array(&[points.len(), points.dim()], points.data(), out)
}

/// Writes numbers as an array of this shape of one or two axes.
pub(super) fn write_array(shape: &[usize], data: &Data, out: &mut impl Write) -> io::Result<()> {
    let descr = match data {
        Data::F32(_) => "<f4",
        Data::F64(_) => "<f8",
    };
    write_header(descr, shape, out)?;
    super::write::little_endian(data, out)
}

/// Writes all that stands before the numbers, of a type with this name.
pub(super) fn write_header(descr: &str, shape: &[usize], out: &mut impl Write) -> io::Result<()> {
    let shape: Vec<u64> = shape.iter().map(|&side| side as u64).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {}, }}", show_shape(&shape));
    // The numbers start at a multiple of 64 bytes, and a newline ends the header.
    let length = (MAGIC.len() + 4 + header.len() + 1).next_multiple_of(64) - MAGIC.len() - 4;
    header.extend(std::iter::repeat_n(' ', length - 1 - header.len()));
    header.push('\n');
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    // Two 20-digit lengths keep the header far below 2^16 bytes.
    out.write_all(&(length as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_numpy_are_understood() {
        let f4 = Layout { dtype: Dtype::F32, endian: Endian::Little, fortran: false, shape: vec![3, 4] };
        let parse = |text: &str| parse_header(text.as_bytes());
        assert_eq!(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n"), Ok(f4.clone()));
        assert_eq!(parse("{\"shape\":(3L,4L),'descr':'=f4','fortran_order':False}"), Ok(f4.clone()));
        let column = Layout { endian: Endian::Big, dtype: Dtype::I64, fortran: true, shape: vec![7] };
        assert_eq!(parse("{'descr': '>i8', 'fortran_order': True, 'shape': (7,), }"), Ok(column));
        assert_eq!(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (), }").map(|l| l.shape), Ok(vec![]));
    }

    #[test]
    fn other_headers_are_refused_with_a_reason() {
        for (text, reason) in [
            ("", "'{'"),
            ("{'descr': '<f4'", "'}'"),
            ("{'descr': '<f4', 'fortran_order': False, }", "'shape' is missing"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "whole number"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "whole number"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': ((((((3", "whole number"),
            ("{'descr': '<f4', 'fortran_order': 0, 'shape': (3,), }", "neither"),
            ("{'descr': '|O', 'fortran_order': False, 'shape': (3,), }", "astype"),
            ("{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }", "astype"),
            ("{'descr': 'é', 'fortran_order': False, 'shape': (3,), }", "astype"),
            ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }", "records"),
            ("{'more': 1}", "unknown key"),
            ("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), } x", "follows"),
        ] {
            let error = parse_header(text.as_bytes()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
