//! What the binary formats share: element types, byte order, memory layout, and which shapes are samples.

use std::fmt;
use std::io::{self, ErrorKind, Read};

use half::{bf16, f16};

use super::{Data, DataView, Points};

/// A result whose error is the text of a fault, to which the caller adds the name of the file.
pub(crate) type Checked<T> = Result<T, String>;

/// Type of one stored number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dtype {
    Bool,
    U8,
    I8,
    U16,
    I16,
    F16,
    BF16,
    U32,
    I32,
    F32,
    U64,
    I64,
    F64,
}

impl Dtype {
    /// Bytes per number.
    pub(crate) fn size(self) -> u64 {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Little,
    Big,
}

/// How an array lies in its file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub dtype: Dtype,
    pub endian: Endian,
    /// Columns one after another instead of rows.
    pub fortran: bool,
    pub shape: Vec<u64>,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&show_shape(&self.shape))
    }
}

/// A shape as NumPy prints it.
pub(super) fn show_shape(shape: &[u64]) -> String {
    match shape {
        [one] => format!("({one},)"),
        _ => format!("({})", shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl Layout {
    /// Bytes of the whole array; `None` when that is no 64-bit number, which no real file reaches.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.dtype.size(), |p, &s| p.checked_mul(s))
    }

    /// (n, d) when the shape is that of a sample, else what is wrong with it and what to do.
    pub(crate) fn sample_shape(&self) -> Checked<(usize, usize)> {
        let (n, d) = match *self.shape.as_slice() {
            [n] => (n, 1),
            [n, d] => (n, d),
            [] => return Err("is a single number; a sample is an array of shape (n, d) or (n,)".into()),
            [n, ref rest @ ..] => {
                let flat = rest.iter().try_fold(1_u64, |p, &s| p.checked_mul(s));
                let flat = flat.map_or("-1".into(), |d| d.to_string());
                return Err(format!(
                    "has shape {self}, {} axes; a sample is an array of shape (n, d) or (n,): reshape it first, \
                     in NumPy x.reshape({n}, {flat})",
                    self.shape.len()
                ));
            }
        };
        if n == 0 || d == 0 {
            return Err(format!("has shape {self} and so holds no points"));
        }
        match (usize::try_from(n), usize::try_from(d)) {
            (Ok(n), Ok(d)) if n.checked_mul(d).is_some() => Ok((n, d)),
            _ => Err(format!("has shape {self}, more than this machine can address")),
        }
    }

    /// Reads the array, which the caller has found to be no longer than its file, as a sample.
    pub(crate) fn read_sample(&self, reader: &mut impl Read) -> Checked<Points> {
        let (n, d) = self.sample_shape()?;
        let data = decode(reader, self.dtype, self.endian, n * d).map_err(|e| match e.kind() {
            ErrorKind::UnexpectedEof => "ends too early: it is truncated, copy or download it again".into(),
            _ => e.to_string(),
        })?;
        let data = if self.fortran { transpose(data, n, d) } else { data };
        sample(n, d, data)
    }
}

/// The points of `data`; the text of the error names the first faulty row and how many there are.
pub(crate) fn sample(n: usize, d: usize, data: Data) -> Checked<Points> {
    let mut rows: Vec<usize> = DataView::from(&data).not_finite().map(|i| i / d).collect();
    if let Some(first) = DataView::from(&data).not_finite().next() {
        rows.dedup();
        return Err(format!(
            "row {}, column {} (counted from 0) is {}; {} of {n} rows hold NaN or infinite numbers: drop or repair them",
            first / d,
            first % d,
            data.get(first),
            rows.len()
        ));
    }
    Points::new(n, d, data).map_err(|e| e.to_string())
}

/// (d, n) row after row to (n, d) row after row.
fn transpose(data: Data, n: usize, d: usize) -> Data {
    fn flip<T: Copy>(v: &[T], n: usize, d: usize) -> Vec<T> {
        (0..n * d).map(|i| v[(i % d) * n + i / d]).collect()
    }
    match data {
        Data::F32(v) => Data::F32(flip(&v, n, d)),
        Data::F64(v) => Data::F64(flip(&v, n, d)),
    }
}

/// Reads `count` numbers, widened without loss: what fits f32 exactly becomes f32, everything else f64.
///
/// # Errors
/// When the reader ends early, memory does not suffice, or a 64-bit integer has no exact double.
pub(crate) fn decode(reader: &mut impl Read, dtype: Dtype, endian: Endian, count: usize) -> io::Result<Data> {
    macro_rules! numbers {
        ($variant:ident, $raw:ty, $convert:expr) => {{
            let convert: fn($raw) -> Option<_> = $convert;
            let number = |bytes| match endian {
                Endian::Little => convert(<$raw>::from_le_bytes(bytes)),
                Endian::Big => convert(<$raw>::from_be_bytes(bytes)),
            };
            Data::$variant(read_numbers(reader, count, number)?)
        }};
    }
    Ok(match dtype {
        Dtype::Bool => numbers!(F32, u8, |x| Some(f32::from(x != 0))),
        Dtype::U8 => numbers!(F32, u8, |x| Some(f32::from(x))),
        Dtype::I8 => numbers!(F32, i8, |x| Some(f32::from(x))),
        Dtype::U16 => numbers!(F32, u16, |x| Some(f32::from(x))),
        Dtype::I16 => numbers!(F32, i16, |x| Some(f32::from(x))),
        Dtype::F16 => numbers!(F32, f16, |x| Some(f32::from(x))),
        Dtype::BF16 => numbers!(F32, bf16, |x| Some(f32::from(x))),
        Dtype::F32 => numbers!(F32, f32, Some),
        Dtype::U32 => numbers!(F64, u32, |x| Some(f64::from(x))),
        Dtype::I32 => numbers!(F64, i32, |x| Some(f64::from(x))),
        Dtype::U64 => numbers!(F64, u64, |x| (x as f64 as u128 == u128::from(x)).then_some(x as f64)),
        Dtype::I64 => numbers!(F64, i64, |x| (x as f64 as i128 == i128::from(x)).then_some(x as f64)),
        Dtype::F64 => numbers!(F64, f64, Some),
    })
}

fn read_numbers<T, const SIZE: usize>(
    reader: &mut impl Read,
    count: usize,
    number: impl Fn([u8; SIZE]) -> Option<T>,
) -> io::Result<Vec<T>> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(count).map_err(|_| {
        io::Error::new(ErrorKind::OutOfMemory, format!("holds {count} numbers, more than fit in memory"))
    })?;
    let mut buffer = vec![0; SIZE * count.min(1 << 13)];
    while numbers.len() < count {
        let bytes = &mut buffer[..SIZE * (count - numbers.len()).min(1 << 13)];
        reader.read_exact(bytes)?;
        for bytes in bytes.as_chunks().0 {
            let Some(x) = number(*bytes) else {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    format!("number {} is an integer that double precision cannot hold exactly", numbers.len()),
                ));
            };
            numbers.push(x);
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(shape: &[u64]) -> Layout {
        Layout { dtype: Dtype::F32, endian: Endian::Little, fortran: false, shape: shape.to_vec() }
    }

    #[test]
    fn samples_have_one_or_two_axes() {
        assert_eq!(layout(&[5]).sample_shape(), Ok((5, 1)));
        assert_eq!(layout(&[5, 3]).sample_shape(), Ok((5, 3)));
        assert!(layout(&[]).sample_shape().unwrap_err().contains("single number"));
        assert!(layout(&[0, 3]).sample_shape().unwrap_err().contains("no points"));
        assert!(layout(&[9, 3, 2, 2]).sample_shape().unwrap_err().contains("x.reshape(9, 12)"));
        assert!(layout(&[1, u64::MAX, u64::MAX]).sample_shape().unwrap_err().contains("reshape(1, -1)"));
        assert!(layout(&[u64::MAX, 2]).sample_shape().unwrap_err().contains("address"));
        assert_eq!(layout(&[u64::MAX, 2]).bytes(), None);
    }

    #[test]
    fn every_type_is_widened_without_loss_from_both_byte_orders() {
        let read = |dtype, endian, bytes: &[u8]| decode(&mut &bytes[..], dtype, endian, 1).unwrap();
        let both = |dtype, little: &[u8], expected: Data| {
            let big: Vec<u8> = little.iter().rev().copied().collect();
            assert_eq!(read(dtype, Endian::Little, little), expected);
            assert_eq!(read(dtype, Endian::Big, &big), expected);
            assert_eq!(little.len() as u64, dtype.size());
        };
        both(Dtype::Bool, &[7], Data::F32(vec![1.0]));
        both(Dtype::U8, &[200], Data::F32(vec![200.0]));
        both(Dtype::I8, &(-5_i8).to_le_bytes(), Data::F32(vec![-5.0]));
        both(Dtype::U16, &60000_u16.to_le_bytes(), Data::F32(vec![60000.0]));
        both(Dtype::I16, &(-300_i16).to_le_bytes(), Data::F32(vec![-300.0]));
        both(Dtype::F16, &f16::from_f32(1.5).to_le_bytes(), Data::F32(vec![1.5]));
        both(Dtype::BF16, &bf16::from_f32(-2.5).to_le_bytes(), Data::F32(vec![-2.5]));
        both(Dtype::F32, &0.1_f32.to_le_bytes(), Data::F32(vec![0.1]));
        both(Dtype::U32, &u32::MAX.to_le_bytes(), Data::F64(vec![4294967295.0]));
        both(Dtype::I32, &i32::MIN.to_le_bytes(), Data::F64(vec![-2147483648.0]));
        both(Dtype::U64, &(1_u64 << 60).to_le_bytes(), Data::F64(vec![(1_u64 << 60) as f64]));
        both(Dtype::I64, &(-7_i64).to_le_bytes(), Data::F64(vec![-7.0]));
        both(Dtype::F64, &0.1_f64.to_le_bytes(), Data::F64(vec![0.1]));
        for bytes in [u64::MAX.to_le_bytes(), ((1_u64 << 53) + 1).to_le_bytes()] {
            assert!(decode(&mut &bytes[..], Dtype::U64, Endian::Little, 1).is_err());
        }
        for bytes in [i64::MAX.to_le_bytes(), (-(1_i64 << 53) - 1).to_le_bytes()] {
            assert!(decode(&mut &bytes[..], Dtype::I64, Endian::Little, 1).is_err());
        }
    }

    #[test]
    fn columns_become_rows() {
        let column_after_column = Data::F32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(transpose(column_after_column, 3, 2), Data::F32(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0]));
    }
}
