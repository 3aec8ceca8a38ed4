//! Points that lie elsewhere: borrowed rows, as every statistic takes them.

use super::{Data, Points};
use crate::{Error, Field, Result};

/// The numbers of a sample, row after row, borrowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DataView<'a> {
    /// In single precision.
    F32(&'a [f32]),
    /// In double precision.
    F64(&'a [f64]),
}

impl<'a> From<&'a [f32]> for DataView<'a> {
    fn from(numbers: &'a [f32]) -> Self {
        Self::F32(numbers)
    }
}

impl<'a> From<&'a [f64]> for DataView<'a> {
    fn from(numbers: &'a [f64]) -> Self {
        Self::F64(numbers)
    }
}

impl<'a> From<&'a Data> for DataView<'a> {
    fn from(data: &'a Data) -> Self {
        match data {
            Data::F32(v) => Self::F32(v),
            Data::F64(v) => Self::F64(v),
        }
    }
}

impl DataView<'_> {
    /// How many numbers there are.
    pub fn len(self) -> usize {
        match self {
            Self::F32(v) => v.len(),
            Self::F64(v) => v.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Number `i` in double precision.
    ///
    /// # Panics
    /// When there are no more than `i` numbers.
    pub fn get(self, i: usize) -> f64 {
        match self {
            Self::F32(v) => f64::from(v[i]),
            Self::F64(v) => v[i],
        }
    }
}

impl<'a> DataView<'a> {
    /// Places of the numbers that are NaN or infinite.
    pub(super) fn not_finite(self) -> Box<dyn Iterator<Item = usize> + 'a> {
        match self {
            Self::F32(v) => Box::new((0..v.len()).filter(|&i| !v[i].is_finite())),
            Self::F64(v) => Box::new((0..v.len()).filter(|&i| !v[i].is_finite())),
        }
    }
}

/// n points of dimension d, all finite, borrowed row after row: shape (n, d), n ≥ 1, d ≥ 1. Every statistic takes one.
///
/// `&Points` is one without a word. Rows of a fixed length become one by `try_from`, numbers in one slice by
/// [`new`](Self::new); both read the numbers once, to be sure that they are finite, and copy nothing.
///
/// # Example
/// ```
/// use kme::{Estimator, Kernel, PointsView, Precision, mmd2};
///
/// let (rows, numbers) = ([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]], [3.0_f32, 1.0, 2.0, 2.0]);
/// let x = PointsView::try_from(&rows[..])?;
/// let y = PointsView::new(2, 2, &numbers[..])?;
/// let kernel: Kernel = "gaussian:sigma=1".parse()?;
/// assert!(mmd2(&kernel, x, y, Estimator::Unbiased, Precision::F64)?.value > 0.5);
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointsView<'a> {
    n: usize,
    d: usize,
    data: DataView<'a>,
}

impl<'a> From<&'a Points> for PointsView<'a> {
    fn from(points: &'a Points) -> Self {
        Self { n: points.n, d: points.d, data: (&points.data).into() }
    }
}

impl<'a, const D: usize> TryFrom<&'a [[f64; D]]> for PointsView<'a> {
    type Error = Error;

    fn try_from(rows: &'a [[f64; D]]) -> Result<Self> {
        Self::new(rows.len(), D, rows.as_flattened())
    }
}

impl<'a, const D: usize> TryFrom<&'a [[f32; D]]> for PointsView<'a> {
    type Error = Error;

    fn try_from(rows: &'a [[f32; D]]) -> Result<Self> {
        Self::new(rows.len(), D, rows.as_flattened())
    }
}

impl<'a> PointsView<'a> {
    /// A view of `data`, a slice of n·d numbers in single or double precision, row after row.
    ///
    /// # Errors
    /// When n or d is 0, the length is not n·d, or a value is not finite (the row is named).
    pub fn new(n: usize, d: usize, data: impl Into<DataView<'a>>) -> Result<Self> {
        Self { n, d, data: data.into() }.checked()
    }

    fn checked(self) -> Result<Self> {
        let Self { n, d, data } = self;
        let len = data.len();
        if n == 0 || d == 0 || n.checked_mul(d) != Some(len) {
            let (numbers, shape) = (format!("{len} numbers"), format!("({n}, {d})"));
            let remedy = "give n·d numbers, n ≥ 1 and d ≥ 1";
            return Err(Error::mismatch(Field::Shape("points".into()), numbers, shape, remedy));
        }
        match data.not_finite().next() {
            None => Ok(self),
            Some(i) => {
                let what = format!("points[{}, {}]", i / d, i % d);
                Err(Error::not_finite(what, data.get(i), "drop or repair that row"))
            }
        }
    }

    /// Number of points n.
    pub fn len(self) -> usize {
        self.n
    }

    /// Never true: a sample has at least one point.
    pub fn is_empty(self) -> bool {
        false
    }

    /// Dimension d.
    pub fn dim(self) -> usize {
        self.d
    }

    /// The numbers, row after row.
    pub fn data(self) -> DataView<'a> {
        self.data
    }

    /// The same points with numbers of their own.
    pub fn to_points(self) -> Points {
        let data = match self.data {
            DataView::F32(v) => Data::F32(v.to_vec()),
            DataView::F64(v) => Data::F64(v.to_vec()),
        };
        Points { n: self.n, d: self.d, data }
    }

    /// The points at `indices`, in that order; an index may come more than once.
    ///
    /// # Errors
    /// When there are no indices, or one is not below n.
    pub fn select(self, indices: &[usize]) -> Result<Points> {
        if let Some(&i) = indices.iter().find(|&&i| i >= self.n) {
            return Err(Error::value("index of a point", i, format!("from 0 to {}", self.n - 1)));
        }
        if indices.is_empty() {
            return Err(Error::too_few("points", 0, 1, "a selection"));
        }
        let d = self.d;
        let data = match self.data {
            DataView::F32(v) => Data::F32(indices.iter().flat_map(|i| &v[i * d..][..d]).copied().collect()),
            DataView::F64(v) => Data::F64(indices.iter().flat_map(|i| &v[i * d..][..d]).copied().collect()),
        };
        Ok(Points { n: indices.len(), d, data })
    }

    /// All numbers times `factor`, in double precision.
    pub(crate) fn scaled(self, factor: f64) -> Points {
        let data = match self.data {
            DataView::F32(v) => v.iter().map(|x| f64::from(*x) * factor).collect(),
            DataView::F64(v) => v.iter().map(|x| x * factor).collect(),
        };
        Points { n: self.n, d: self.d, data: Data::F64(data) }
    }

    /// Whether a kernel can be evaluated between these points and `other`.
    pub(crate) fn check_same_dim(self, other: Self) -> Result<()> {
        match self.d == other.d {
            true => Ok(()),
            false => Err(Error::mismatch(Field::Dimension, self.d, other.d, "use the same features for both")),
        }
    }

    /// Whether there is one weight for each point.
    pub(crate) fn check_count(self, weights: &[f64]) -> Result<()> {
        match weights.len() == self.n {
            true => Ok(()),
            false => Err(Error::mismatch(
                Field::Count("weights".into()),
                format!("{} weights", weights.len()),
                format!("{} points", self.n),
                "give one weight for each point",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_the_points_without_a_copy() {
        let rows = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]];
        let points = Points::try_from(rows.to_vec()).unwrap();
        let view = PointsView::try_from(&rows[..]).unwrap();
        assert_eq!((view, view.to_points()), (points.view(), points.clone()));
        let DataView::F64(numbers) = view.data() else { panic!("double precision became single") };
        assert!(std::ptr::eq(numbers, rows.as_flattened()));
        let narrow = rows.map(|row| row.map(|x| x as f32));
        assert_eq!(PointsView::try_from(&narrow[..]).unwrap(), Points::try_from(narrow.to_vec()).unwrap().view());
        assert_eq!(PointsView::new(2, 3, rows.as_flattened()).unwrap().select(&[1]).unwrap().data().get(0), 3.0);
    }

    #[test]
    fn a_view_is_checked_as_points_are() {
        let refused = |n, d, numbers: &[f64]| {
            let fault = PointsView::new(n, d, numbers).unwrap_err();
            assert_eq!(fault.to_string(), Points::new(n, d, numbers.to_vec()).unwrap_err().to_string());
            fault
        };
        assert!(matches!(refused(2, 2, &[0.0; 3]), Error::Mismatch { field: Field::Shape(_), .. }));
        assert!(matches!(refused(0, 2, &[]), Error::Mismatch { .. }));
        assert!(matches!(refused(1, 2, &[0.0, f64::NAN]), Error::NotFinite { .. }));
        assert!(matches!(PointsView::try_from(&[[1.0, f64::INFINITY]][..]), Err(Error::NotFinite { .. })));
        assert!(matches!(PointsView::try_from(&[[f32::NAN]][..]), Err(Error::NotFinite { .. })));
        assert!(matches!(PointsView::try_from(&[[0.0_f64; 0]; 2][..]), Err(Error::Mismatch { .. })));
        assert!(matches!(Points::try_from(Vec::<[f64; 2]>::new()), Err(Error::Mismatch { .. })));
    }
}
