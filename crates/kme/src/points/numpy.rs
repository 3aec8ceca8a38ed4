//! What an array of NumPy is, before its numbers are read: for readers of arrays that are not points.

use std::io::Read;

use super::array::{Dtype, Endian};
use super::npy::read_layout;

/// The header of a `.npy` file, or of an array in a `.npz` archive.
#[derive(Clone, Debug, PartialEq)]
pub struct NumpyHeader {
    /// Length of each axis.
    pub shape: Vec<u64>,
    /// NumPy's name of the type of a number: `uint8`, `float32`, ...
    pub dtype: &'static str,
    /// Bytes of a number.
    pub size: u64,
    /// Whether the bytes of a number go from high to low.
    pub big_endian: bool,
    /// Whether the first axis varies fastest, not the last.
    pub fortran: bool,
    /// Bytes before the first number.
    pub offset: u64,
}

impl NumpyHeader {
    /// Reads up to the first number.
    ///
    /// # Errors
    /// The fault in words, such as "is truncated: ...", to which the caller adds the file's name.
    pub fn read(reader: &mut impl Read) -> std::result::Result<Self, String> {
        let (layout, offset) = read_layout(reader)?;
        let dtype = match layout.dtype {
            Dtype::Bool => "bool",
            Dtype::U8 => "uint8",
            Dtype::I8 => "int8",
            Dtype::U16 => "uint16",
            Dtype::I16 => "int16",
            Dtype::F16 => "float16",
            Dtype::BF16 => "bfloat16",
            Dtype::U32 => "uint32",
            Dtype::I32 => "int32",
            Dtype::F32 => "float32",
            Dtype::U64 => "uint64",
            Dtype::I64 => "int64",
            Dtype::F64 => "float64",
        };
        let (big_endian, fortran, size) = (layout.endian == Endian::Big, layout.fortran, layout.dtype.size());
        Ok(Self { shape: layout.shape, dtype, size, big_endian, fortran, offset })
    }

    /// The shape as NumPy prints it.
    pub fn shape_text(&self) -> String {
        let list = self.shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        if self.shape.len() == 1 { format!("({list},)") } else { format!("({list})") }
    }

    /// Bytes of all numbers; none when that is no 64-bit number.
    pub fn bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.size, |product, &axis| product.checked_mul(axis))
    }
}
