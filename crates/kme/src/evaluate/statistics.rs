//! Mean and covariance of a sample, computed or read from the files of other tools.

use crate::io::write_atomically;
use crate::points::npz::{self, Content};
use crate::points::{Archive, ArrayRole, Data, PointsView};
use crate::sums::{Panel, add_product, mean};
use crate::{Error, Field, Result};
use rayon::prelude::*;
use std::path::Path;

/// The mean and the covariance of a sample of points.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    mean: Vec<f64>,
    covariance: Vec<f64>,
    count: Option<u64>,
    features: Option<String>,
}

/// What arrays of the number of points, and of the text that says which features they are, are called.
const COUNT: &str = "n";
const FEATURES: &str = "feature_map";

/// How far the covariance may be from symmetric, as a part of its largest entry: files hold rounded numbers.
const ASYMMETRY: f64 = 1e-5;

impl Statistics {
    /// A mean of shape (d) and a covariance of shape (d, d).
    ///
    /// # Errors
    /// When the shapes do not fit, a number is not finite, or the covariance is not symmetric or has a negative variance.
    pub fn new(mean: Vec<f64>, mut covariance: Vec<f64>) -> Result<Self> {
        let d = mean.len();
        if d == 0 || d.checked_mul(d) != Some(covariance.len()) {
            let (means, covariances) = (format!("{d} means"), format!("{} covariances", covariance.len()));
            let remedy = "give a mean of shape (d,) and a covariance of shape (d, d), d ≥ 1";
            return Err(Error::mismatch(Field::Shape("mean and covariance".into()), means, covariances, remedy));
        }
        if let Some(x) = mean.iter().chain(&covariance).find(|x| !x.is_finite()) {
            return Err(Error::not_finite("entry of the mean or covariance", *x, "give finite numbers"));
        }
        let largest = covariance.iter().fold(0.0_f64, |a, x| a.max(x.abs()));
        for i in 0..d {
            if covariance[i * d + i] < 0.0 {
                let what = format!("variance of dimension {i}");
                return Err(Error::value(what, covariance[i * d + i], "at least 0"));
            }
            for j in 0..i {
                let (a, b) = (covariance[i * d + j], covariance[j * d + i]);
                if (a - b).abs() > ASYMMETRY * largest {
                    return Err(Error::mismatch(
                        format!("covariance of dimensions {i} and {j}"),
                        a,
                        b,
                        "a covariance must be symmetric",
                    ));
                }
                covariance[i * d + j] = 0.5 * (a + b);
                covariance[j * d + i] = covariance[i * d + j];
            }
        }
        Ok(Self { mean, covariance, count: None, features: None })
    }

    /// x̄ = Σxᵢ/n and S = Σ(xᵢ−x̄)(xᵢ−x̄)ᵀ/(n−1), in double precision.
    ///
    /// Time is O(nd²), on all threads; memory O(d²) and a few thousand rows.
    ///
    /// # Errors
    /// When there are fewer than 2 points, or a sum overflows.
    pub fn of_points<'a>(points: impl Into<PointsView<'a>>) -> Result<Self> {
        Self::of_view(points.into())
    }

    fn of_view(points: PointsView) -> Result<Self> {
        check_count(points.len())?;
        let mean = mean(points);
        let covariance = covariance(points, &mean);
        if covariance.iter().chain(&mean).any(|x| !x.is_finite()) {
            return Err(Error::not_finite("covariance of the points", f64::INFINITY, "rescale the points"));
        }
        Ok(Self { mean, covariance, count: Some(points.len() as u64), features: None })
    }

    /// Reads the mean (d,) and the covariance (d, d) in a `.npz` or `.safetensors` file, as pytorch-fid, clean-fid and
    /// others write them: arrays called mu and sigma, or mean and cov, in any case. Of a file that [`Statistics::write`] wrote
    /// the number of points and the features too.
    ///
    /// # Errors
    /// When there is no such file, it lacks one of them, or they are not statistics.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let none = || Error::format(path, "holds no mean and covariance (mu, sigma)");
        let mut archive = Archive::open(path)?.ok_or_else(none)?;
        let ArrayRole::Statistics { mean, covariance } = archive.role(None)? else { return Err(none()) };
        let (mean, covariance) = (archive.read(mean)?, archive.read(covariance)?);
        let found = Self::new(mean.into_data().into_f64(), covariance.into_data().into_f64())
            .map_err(|fault| Error::unreadable(path, "its mean and covariance are not usable", fault))?;
        // Other tools have arrays of these names as well: what is not what it should be says nothing.
        let mut numbers = |name| Some(archive.read(archive.place(name)?).ok()?.into_data().into_f64());
        let count = numbers(COUNT).filter(|n| n.len() == 1 && n[0] >= 2.0 && n[0].fract() == 0.0).map(|n| n[0] as u64);
        let bytes = numbers(FEATURES).filter(|bytes| bytes.iter().all(|b| (0.0..256.0).contains(b)));
        let features = bytes.and_then(|bytes| String::from_utf8(bytes.into_iter().map(|b| b as u8).collect()).ok());
        Ok(Self { count, features, ..found })
    }

    /// Whether the file at `path` holds the arrays that [`Statistics::read`] takes.
    pub fn is_file(path: impl AsRef<Path>) -> bool {
        let archive = Archive::open(path.as_ref()).ok().flatten();
        archive.is_some_and(|archive| matches!(archive.role(None), Ok(ArrayRole::Statistics { .. })))
    }

    /// The same statistics, of features that this text identifies.
    pub fn with_features(self, features: String) -> Self {
        Self { features: Some(features), ..self }
    }

    /// Writes `mu` (d,) and `sigma` (d, d) in double precision as a `.npz` file, whole or not at all: what pytorch-fid and
    /// clean-fid write and read. What is known besides stands in arrays that they do not look at: `n`, the number of points,
    /// and `feature_map`, the bytes of the text that identifies the features.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let d = self.dim();
        let (mean, covariance) = (Data::F64(self.mean.clone()), Data::F64(self.covariance.clone()));
        let square = [d, d];
        let mut arrays =
            vec![("mu", Content::Numbers(&square[..1], &mean)), ("sigma", Content::Numbers(&square, &covariance))];
        arrays.extend(self.count.map(|n| (COUNT, Content::Count(n))));
        arrays.extend(self.features.as_ref().map(|text| (FEATURES, Content::Text(text))));
        write_atomically(path, |out| npz::write(out, &arrays))
    }

    /// x̄, shape (d).
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// S, shape (d, d), row after row.
    pub fn covariance(&self) -> &[f64] {
        &self.covariance
    }

    /// Number of points, if it is known.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    /// The text that identifies the features, if it is known.
    pub fn features(&self) -> Option<&str> {
        self.features.as_deref()
    }

    /// Dimension d.
    pub fn dim(&self) -> usize {
        self.mean.len()
    }

    pub(super) fn into_parts(self) -> (Vec<f64>, Vec<f64>) {
        (self.mean, self.covariance)
    }
}

/// Whether there is a covariance of n points.
pub(super) fn check_count(n: usize) -> Result<()> {
    match n {
        0 | 1 => Err(Error::too_few("points", n, 2, "a covariance")),
        _ => Ok(()),
    }
}

/// Columns of a block of the covariance.
const BLOCK: usize = 256;

/// Rows that are centred and multiplied at a time.
const ROWS: usize = 1024;

fn covariance(points: PointsView, mean: &[f64]) -> Vec<f64> {
    let (n, d) = (points.len(), points.dim());
    let starts: Vec<usize> = (0..d).step_by(BLOCK).collect();
    let size = |start: usize| BLOCK.min(d - start);
    // The blocks on and above the diagonal. Each is summed over the rows in their order by one thread at a time, so the
    // number of threads changes no bit.
    let mut blocks: Vec<(usize, usize, Vec<f64>)> = starts
        .iter()
        .flat_map(|&i| starts.iter().filter(move |&&j| j >= i).map(move |&j| (i, j)))
        .map(|(i, j)| (i, j, vec![0.0; size(i) * size(j)]))
        .collect();
    for first in (0..n).step_by(ROWS) {
        let rows = first..(first + ROWS).min(n);
        let strips: Vec<usize> = rows.clone().step_by(64).collect();
        let panel: Vec<f64> = strips
            .par_iter()
            .flat_map_iter(|&i| Panel::<f64>::new(points, i..(i + 64).min(rows.end), Some(mean)).data)
            .collect();
        blocks.par_iter_mut().for_each(|(i, j, block)| {
            let (height, width) = (size(*i), size(*j));
            // SAFETY: the block is (height, width), row after row; its factors are columns of the panel, of shape (rows, d).
            unsafe {
                let shape = (height, width, rows.len());
                add_product(shape, true, block, (1, width), &panel[*i..], (d, 1), &panel[*j..], (1, d));
            }
        });
    }
    let mut covariance = vec![0.0; d * d];
    for (i, j, block) in &blocks {
        for (r, row) in block.chunks_exact(size(*j)).enumerate() {
            for (c, value) in row.iter().enumerate() {
                let value = value / (n as f64 - 1.0);
                // Within a block on the diagonal both triangles were computed; the upper one is taken for both.
                if j + c >= i + r {
                    covariance[(i + r) * d + j + c] = value;
                    covariance[(j + c) * d + i + r] = value;
                }
            }
        }
    }
    covariance
}
