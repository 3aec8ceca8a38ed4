//! Geometry of embeddings: inner products, distances, values.

use super::{Embedding, EmbeddingKind};
use crate::Result;
use crate::discrepancy::{self, Estimator, Sample};
use crate::points::PointsView;
use crate::sums::{self, Precision};

impl Embedding {
    /// ⟨μ, ν⟩ = Σᵢⱼ wᵢ vⱼ k(xᵢ, yⱼ).
    ///
    /// # Errors
    /// [`Error::Mismatch`](crate::Error::Mismatch) when kernels, feature maps or dimensions differ;
    /// [`Error::NotFinite`](crate::Error::NotFinite) when the sum overflows.
    pub fn inner(&self, other: &Self, precision: Precision) -> Result<f64> {
        self.check_same_space(other)?;
        let (u, v) = (Some(self.weights()), Some(other.weights()));
        sums::cross(self.kernel(), self.points(), u, other.points(), v, precision)
    }

    /// ‖μ‖² = Σᵢⱼ wᵢ wⱼ k(xᵢ, xⱼ), the diagonal included. It costs half of an inner product.
    ///
    /// It may be negative for a kernel that is only conditionally positive definite, such as `energy`.
    ///
    /// # Errors
    /// [`Error::NotFinite`](crate::Error::NotFinite) when the sum overflows.
    pub fn norm2(&self, precision: Precision) -> Result<f64> {
        let sums = sums::within(self.kernel(), self.points(), Some(self.weights()), precision)?;
        Ok(sums.off_diagonal + sums.diagonal)
    }

    /// ‖μ − ν‖² = ‖μ‖² + ‖ν‖² − 2⟨μ, ν⟩.
    ///
    /// Of two samples this is the biased estimate of the squared maximum mean discrepancy (its V-statistic), not its
    /// root and not half of it. It is ≥ 0 up to rounding; for a kernel that is only conditionally positive definite
    /// this needs weights of equal sum, which samples have.
    ///
    /// # Errors
    /// As [`Embedding::inner`].
    ///
    /// # Example
    /// ```
    /// use kme::{Data, Embedding, FeatureIdentity, Points, Precision};
    /// let embed = |x: f64| {
    ///     let point = Points::new(1, 1, Data::F64(vec![x]))?;
    ///     Embedding::of(&point, "gaussian:sigma=1".parse()?)
    /// };
    /// let mmd2 = embed(0.0)?.mmd2(&embed(1.0)?, Precision::F64)?;
    /// assert!((mmd2 - (2.0 - 2.0 * (-0.5_f64).exp())).abs() < 1e-15);
    /// # Ok::<(), kme::Error>(())
    /// ```
    ///
    /// # Reference
    /// Gretton, Borgwardt, Rasch, Schölkopf, Smola, "A kernel two-sample test", JMLR 13, 2012, equation (5).
    pub fn mmd2(&self, other: &Self, precision: Precision) -> Result<f64> {
        self.check_same_space(other)?;
        if self.kind() == EmbeddingKind::Sample && other.kind() == EmbeddingKind::Sample {
            // With weights of sum 1 a constant may be subtracted from the kernel, which keeps digits.
            let x = Sample { points: self.points().view(), weights: Some(self.weights()) };
            let y = Sample { points: other.points().view(), weights: Some(other.weights()) };
            return Ok(discrepancy::mmd2(self.kernel(), x, y, Estimator::Biased, precision)?.value);
        }
        let cross = self.inner(other, precision)?;
        Ok(self.norm2(precision)? + other.norm2(precision)? - 2.0 * cross)
    }

    /// μ(y) = Σᵢ wᵢ k(xᵢ, y) at every point y of `at`, shape (m).
    ///
    /// Of the combination μ − ν this is the witness function, which is largest where μ has more mass than ν.
    ///
    /// # Shapes
    /// `at` (m, d).
    ///
    /// # Errors
    /// [`Error`](crate::Error) when the dimensions differ or a sum overflows.
    pub fn value<'a>(&self, at: impl Into<PointsView<'a>>, precision: Precision) -> Result<Vec<f64>> {
        let at: PointsView = at.into();
        sums::rows(self.kernel(), at, self.points(), Some(self.weights()), precision)
    }

    /// ∇μ(y) at every point y of `at`, shape (m, d), row after row. Where y is a point of the embedding and the kernel
    /// has a kink there, the zero subgradient is taken.
    ///
    /// # Shapes
    /// `at` (m, d).
    ///
    /// # Errors
    /// [`Error`](crate::Error) when the dimensions differ or a sum overflows.
    pub fn gradient<'a>(&self, at: impl Into<PointsView<'a>>, precision: Precision) -> Result<Vec<f64>> {
        let at: PointsView = at.into();
        sums::gradients(self.kernel(), at, self.points(), Some(self.weights()), precision)
    }
}
