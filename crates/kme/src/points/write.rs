//! Writing points.

use std::io::{self, Write};
use std::path::Path;

use super::read::extension;
use super::{Data, Points, npy};
use crate::io::write_atomically;
use crate::{Error, Result};

impl Points {
    /// Writes the points, whole or not at all, in the format that the extension names: `.npy` (shape (n, d), in the
    /// precision that they have), `.csv` or `.tsv` (a line per point, no header, enough digits for every bit).
    ///
    /// # Errors
    /// When the extension is another, or the file cannot be written ([`write_atomically`]).
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        match extension(path).as_deref() {
            Some("npy") => write_atomically(path, |out| npy::write(self, out)),
            Some("csv") => write_atomically(path, |out| self.write_text(out, ",")),
            Some("tsv") => write_atomically(path, |out| self.write_text(out, "\t")),
            _ => Err(Error::path(path, "points are written as .npy, .csv or .tsv: choose one of these endings")),
        }
    }

    fn write_text(&self, out: &mut impl Write, separator: &str) -> io::Result<()> {
        for row in 0..self.len() {
            for column in 0..self.dim() {
                let before = if column == 0 { "" } else { separator };
                // The digits of the double, also of an f32: reading gives double precision, and so the same number.
                write!(out, "{before}{}", self.data().get(row * self.dim() + column))?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Writes the numbers one after another, little-endian.
pub(super) fn little_endian(data: &Data, out: &mut impl Write) -> io::Result<()> {
    fn in_blocks<T, const SIZE: usize>(
        numbers: &[T],
        bytes: impl Fn(&T) -> [u8; SIZE],
        out: &mut impl Write,
    ) -> io::Result<()> {
        let mut buffer = Vec::with_capacity(SIZE << 13);
        for block in numbers.chunks(1 << 13) {
            buffer.clear();
            buffer.extend(block.iter().flat_map(&bytes));
            out.write_all(&buffer)?;
        }
        Ok(())
    }
    match data {
        Data::F32(v) => in_blocks(v, |x| x.to_le_bytes(), out),
        Data::F64(v) => in_blocks(v, |x| x.to_le_bytes(), out),
    }
}
