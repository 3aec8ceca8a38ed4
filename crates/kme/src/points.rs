//! A sample of points: n rows of dimension d, in single or double precision.

use crate::{Error, Result};

/// The numbers of a sample, row after row.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
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
        let len = match &data {
            Data::F32(v) => v.len(),
            Data::F64(v) => v.len(),
        };
        if n == 0 || d == 0 || n.checked_mul(d) != Some(len) {
            return Err(Error::value(
                "points",
                format!("{len} numbers for shape ({n}, {d})"),
                "n ≥ 1 rows of d ≥ 1 numbers",
            ));
        }
        let bad = match &data {
            Data::F32(v) => v.iter().position(|x| !x.is_finite()),
            Data::F64(v) => v.iter().position(|x| !x.is_finite()),
        };
        if let Some(i) = bad {
            return Err(Error::value(
                format!("points[{}, {}]", i / d, i % d),
                match &data {
                    Data::F32(v) => v[i] as f64,
                    Data::F64(v) => v[i],
                },
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
}
