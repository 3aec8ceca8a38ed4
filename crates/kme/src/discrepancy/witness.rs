//! The witness function, which shows where two distributions differ.

use super::Sample;
use crate::Result;
use crate::kernel::Kernel;
use crate::points::{Points, PointsView};
use crate::sums::{self, Differences, Precision};

/// The witness f = μ_X − μ_Y: positive where x is denser, negative where y is.
///
/// It is not divided by its norm, so that f(x) averaged over x minus f(y) averaged over y is the biased MMD².
#[derive(Clone, Debug)]
pub struct Witness<'a> {
    x: PointsView<'a>,
    u: Vec<f64>,
    y: PointsView<'a>,
    v: Vec<f64>,
    differences: Differences,
    precision: Precision,
}

impl<'a> Witness<'a> {
    /// The witness between two samples, whose weights are divided by their sums.
    ///
    /// # Errors
    /// When dimensions differ or weights do not fit.
    pub fn new(
        kernel: &Kernel,
        x: impl Into<Sample<'a>>,
        y: impl Into<Sample<'a>>,
        precision: Precision,
    ) -> Result<Self> {
        let (x, y) = (x.into(), y.into());
        let (u, v) = (x.normalised_weights()?, y.normalised_weights()?);
        x.points.check_same_dim(y.points)?;
        let differences = Differences::new(kernel, &[x.points, y.points]);
        Ok(Self { x: x.points, u, y: y.points, v, differences, precision })
    }

    /// f at each point: shape (points).
    ///
    /// # Errors
    /// When the dimension differs or a sum overflows.
    pub fn value<'p>(&self, points: impl Into<PointsView<'p>>) -> Result<Vec<f64>> {
        self.value_at(points.into())
    }

    fn value_at(&self, points: PointsView) -> Result<Vec<f64>> {
        let origins = self.typical_values(points)?;
        let about = self.differences.about();
        let mut x = sums::rows_minus(about, points, self.x, Some(&self.u), &origins, self.precision)?;
        let y = sums::rows_minus(about, points, self.y, Some(&self.v), &origins, self.precision)?;
        subtract(&mut x, &y);
        // What was left out of the kernel adds the same to all.
        let constant = self.differences.left_out(self.x, &self.u) - self.differences.left_out(self.y, &self.v);
        x.iter_mut().for_each(|f| *f += constant);
        Ok(x)
    }

    /// Roughly the mean of k(z,·) over x and y, from a few of them, for each z of `points`: both weights have sum 1, so f is
    /// the same for k(z,·) and k(z,·) − constant, but the small difference of large sums is not. Far from the samples k is
    /// far smaller than near them, so each z has its own.
    fn typical_values(&self, points: PointsView) -> Result<Vec<f64>> {
        const FEW: usize = 16;
        let few = |p: PointsView| p.select(&(0..FEW).map(|i| i * p.len() / FEW).collect::<Vec<_>>());
        let some = Points::concat(&[&few(self.x)?, &few(self.y)?])?;
        let share = [0.5 / FEW as f64; 2 * FEW];
        sums::rows_minus(
            self.differences.about(),
            points,
            some.view(),
            Some(&share),
            &vec![0.0; points.len()],
            self.precision,
        )
    }

    /// ∇f at each point: shape (points, d), row after row.
    ///
    /// # Errors
    /// When the dimension differs or a sum overflows.
    pub fn gradient<'p>(&self, points: impl Into<PointsView<'p>>) -> Result<Vec<f64>> {
        let points = points.into();
        let about = self.differences.about();
        let mut x = sums::gradients_about(about, points, self.x, Some(&self.u), self.precision)?;
        let y = sums::gradients_about(about, points, self.y, Some(&self.v), self.precision)?;
        subtract(&mut x, &y);
        Ok(x)
    }
}

fn subtract(x: &mut [f64], y: &[f64]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x -= y;
    }
}
