//! A sample of points: n rows of dimension d, in single or double precision; reading and writing it.
//!
//! [`Points::read`] takes `.npy`, `.npz`, `.safetensors`, `.csv` and `.tsv`; [`Points::write`] `.npy`, `.csv` and
//! `.tsv`. Each format is one file here; what they share is in `array` (element types, byte order, shapes).

mod array;
mod csv;
mod npy;
mod npz;
mod read;
#[allow(dead_code)] // the parts for the embedding file, which comes next
mod safetensors;
mod write;

pub use read::read_weights;

use crate::{Error, Result};

/// The numbers of a sample, row after row.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
}

impl Data {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number `i` in double precision.
    ///
    /// # Panics
    /// When there are no more than `i` numbers.
    pub fn get(&self, i: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[i]),
            Self::F64(v) => v[i],
        }
    }

    /// The numbers in double precision.
    pub fn into_f64(self) -> Vec<f64> {
        match self {
            Self::F32(v) => v.into_iter().map(f64::from).collect(),
            Self::F64(v) => v,
        }
    }

    /// Places of the numbers that are NaN or infinite.
    pub(crate) fn not_finite(&self) -> Box<dyn Iterator<Item = usize> + '_> {
        match self {
            Self::F32(v) => Box::new(v.iter().enumerate().filter(|(_, x)| !x.is_finite()).map(|(i, _)| i)),
            Self::F64(v) => Box::new(v.iter().enumerate().filter(|(_, x)| !x.is_finite()).map(|(i, _)| i)),
        }
    }
}

/// n points of dimension d, all finite, stored row after row. Shape (n, d), n ≥ 1, d ≥ 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Points {
    n: usize,
    d: usize,
    data: Data,
}

impl Points {
    /// Points from `data` of length n·d, row after row.
    ///
    /// # Errors
    /// When n or d is 0, the length is not n·d, or a value is not finite (the row is named).
    pub fn new(n: usize, d: usize, data: Data) -> Result<Self> {
        let len = data.len();
        if n == 0 || d == 0 || n.checked_mul(d) != Some(len) {
            return Err(Error::value(
                "points",
                format!("{len} numbers for shape ({n}, {d})"),
                "n ≥ 1 rows of d ≥ 1 numbers",
            ));
        }
        if let Some(i) = data.not_finite().next() {
            return Err(Error::value(
                format!("points[{}, {}]", i / d, i % d),
                data.get(i),
                "finite numbers; drop or repair that row",
            ));
        }
        Ok(Self { n, d, data })
    }

    /// Number of points n.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Never true: a sample has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Dimension d.
    pub fn dim(&self) -> usize {
        self.d
    }

    /// The numbers, row after row.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The numbers themselves, row after row.
    pub fn into_data(self) -> Data {
        self.data
    }
}
