//! A sample of points: n rows of dimension d, in single or double precision; reading and writing it.
//!
//! [`Points::read`] takes `.npy`, `.npz`, `.safetensors` and text (`.csv`, `.tsv`, `.txt`, `.dat`); [`Points::write`]
//! `.npy`, `.csv` and `.tsv`. Each format is one file here; what they share is in `array` (element types, byte order,
//! shapes). `archive` decides which of several arrays is meant, `header` and `choice` which columns of a text are.

mod archive;
mod array;
mod choice;
mod csv;
mod header;
mod npy;
pub(crate) mod npz;
mod numpy;
mod read;
mod repeated;
pub(crate) mod safetensors;
mod text;
mod view;
mod write;

pub(crate) use archive::Archive;
pub use archive::{Array, ArrayRole};
pub(crate) use array::{Checked, Dtype, Layout};
pub use numpy::NumpyHeader;
pub use read::{Loaded, Reading, Refused, Remedy, groups, read_weights};
pub(crate) use repeated::coincide;
pub use view::{DataView, PointsView};

use crate::{Error, Field, Result};

/// The numbers of a sample, row after row.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// In single precision.
    F32(Vec<f32>),
    /// In double precision.
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
}

impl From<Vec<f32>> for Data {
    fn from(numbers: Vec<f32>) -> Self {
        Self::F32(numbers)
    }
}

impl From<Vec<f64>> for Data {
    fn from(numbers: Vec<f64>) -> Self {
        Self::F64(numbers)
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
    /// Points from `data` of length n·d, row after row, such as a `Vec<f64>`.
    ///
    /// # Errors
    /// When n or d is 0, the length is not n·d, or a value is not finite (the row is named).
    pub fn new(n: usize, d: usize, data: impl Into<Data>) -> Result<Self> {
        let data = data.into();
        PointsView::new(n, d, &data)?;
        Ok(Self { n, d, data })
    }

    /// The same points, borrowed.
    pub fn view(&self) -> PointsView<'_> {
        self.into()
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

    /// The points at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    /// When there are no indices, or one is not below n.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        self.view().select(indices)
    }

    /// The coordinates whose places are in `columns`, in that order.
    ///
    /// # Errors
    /// When there are no places, or one is not below d.
    pub fn select_columns(&self, columns: &[usize]) -> Result<Self> {
        if let Some(&i) = columns.iter().find(|&&i| i >= self.d) {
            return Err(Error::value("index of a column", i, format!("from 0 to {}", self.d - 1)));
        }
        if columns.is_empty() {
            return Err(Error::too_few("columns", 0, 1, "a selection"));
        }
        fn taken<T: Copy>(rows: &[T], d: usize, columns: &[usize]) -> Vec<T> {
            rows.chunks_exact(d).flat_map(|row| columns.iter().map(|&j| row[j])).collect()
        }
        let data = match &self.data {
            Data::F32(rows) => Data::F32(taken(rows, self.d, columns)),
            Data::F64(rows) => Data::F64(taken(rows, self.d, columns)),
        };
        Ok(Self { n: self.n, d: columns.len(), data })
    }

    /// All points of `parts`, one part after another, in double precision if any part is.
    ///
    /// # Errors
    /// When there are no parts, or their dimensions differ.
    pub fn concat<'a, P: Copy + Into<PointsView<'a>>>(parts: &[P]) -> Result<Self> {
        Self::joined(&parts.iter().map(|part| (*part).into()).collect::<Vec<_>>())
    }

    fn joined(parts: &[PointsView]) -> Result<Self> {
        let Some(first) = parts.first() else {
            return Err(Error::too_few("samples", 0, 1, "joining samples"));
        };
        if let Some(other) = parts.iter().find(|p| p.dim() != first.dim()) {
            let remedy = "only points of one space can be joined";
            return Err(Error::mismatch(Field::Dimension, first.dim(), other.dim(), remedy));
        }
        let narrow = parts.iter().map(|p| match p.data() {
            DataView::F32(v) => Some(v),
            DataView::F64(_) => None,
        });
        let data = match narrow.collect::<Option<Vec<&[f32]>>>() {
            Some(all) => Data::F32(all.concat()),
            None => {
                let mut all = Vec::with_capacity(parts.iter().map(|p| p.data().len()).sum());
                for part in parts {
                    match part.data() {
                        DataView::F32(v) => all.extend(v.iter().map(|&x| f64::from(x))),
                        DataView::F64(v) => all.extend(v),
                    }
                }
                Data::F64(all)
            }
        };
        Ok(Self { n: data.len() / first.dim(), d: first.dim(), data })
    }

    /// The numbers themselves, row after row.
    pub fn into_data(self) -> Data {
        self.data
    }
}

impl<const D: usize> TryFrom<Vec<[f64; D]>> for Points {
    type Error = Error;

    fn try_from(rows: Vec<[f64; D]>) -> Result<Self> {
        Self::new(rows.len(), D, rows.into_flattened())
    }
}

impl<const D: usize> TryFrom<Vec<[f32; D]>> for Points {
    type Error = Error;

    fn try_from(rows: Vec<[f32; D]>) -> Result<Self> {
        Self::new(rows.len(), D, rows.into_flattened())
    }
}

/// Whether there can be points of dimension `d`, where none are at hand.
pub(crate) fn check_dim(d: usize) -> Result<()> {
    match d {
        0 => Err(Error::value("dimension of the points", d, "at least 1")),
        _ => Ok(()),
    }
}
