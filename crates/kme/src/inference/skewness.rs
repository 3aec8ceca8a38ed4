//! What the skewness of a studentised difference of two MMD² does to its p-value.

use super::{Marginals, student_cdf};
use crate::Result;
use crate::points::PointsView;
use crate::sums::{self, About, Precision};

/// The two parts of the third cumulant of T that count to first order.
///
/// To second order D − E D = Σ aᵢ + Σ_{i<j} cᵢⱼ over the points of all three samples, with aᵢ = 2(μ_Y − μ_X)(yᵢ)/m,
/// −2(μ_Z − μ_X)(zᵢ)/l and 2(μ_Z − μ_Y)(xᵢ)/n, all centred, and c = 2k̃(y,y')/(m(m−1)), −2k̃(z,z')/(l(l−1)), −2k̃(x,y)/(nm),
/// 2k̃(x,z)/(nl).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Skewness {
    /// Σ E aᵢ³/σ³: that of the values.
    values: f64,
    /// Σ_{i≠j} E aᵢaⱼcᵢⱼ/σ³: value and variance go together. Where chance brings Y near to X, the witness μ_Y − μ_X comes out
    /// small, and with it the variance.
    pairs: f64,
}

impl Skewness {
    /// Estimates it from the points and their sums; σ is the standard error of D.
    pub(super) fn estimate(
        about: About,
        [x, y, z]: [PointsView; 3],
        [of_y, of_z]: [&Marginals; 2],
        sigma: f64,
        precision: Precision,
    ) -> Result<Self> {
        let (n, m, l) = (of_y.n() as f64, of_y.m() as f64, of_z.m() as f64);
        let scaled =
            |values: Vec<f64>, factor: f64| values.into_iter().map(|v| factor * v / sigma).collect::<Vec<f64>>();
        let a = scaled(of_y.influences(), 2.0 / m);
        let b = scaled(of_z.influences(), -2.0 / l);
        let c = scaled(of_y.influences_of_reference(of_z), 2.0 / n);
        let origin = Some(of_y.origin());
        let within = |points: PointsView, of: &Marginals, w: &[f64]| -> Result<f64> {
            let sum = sums::within_minus(about, points, Some(w), origin, precision)?.off_diagonal;
            Ok(2.0 * of.doubly_centred(sum, w) / (of.m() as f64 * (of.m() as f64 - 1.0)) / sigma)
        };
        let cross = |points: PointsView, w: &[f64], size: f64| -> Result<f64> {
            let sum = sums::cross_minus(about, x, Some(&c), points, Some(w), origin, precision)?;
            Ok(4.0 * sum / (n * size) / sigma)
        };
        let pairs = within(y, of_y, &a)? - within(z, of_z, &b)? - cross(y, &a, m)? + cross(z, &b, l)?;
        Ok(Self { values: third_cumulant(&a) + third_cumulant(&b) + third_cumulant(&c), pairs })
    }

    /// The same of D over another standard error, `ratio` times as large.
    pub(super) fn over(&self, ratio: f64) -> Self {
        let factor = ratio.powi(-3);
        Self { values: factor * self.values, pairs: factor * self.pairs }
    }

    /// P(T ≤ t). Of the skewness of the values, only what makes p larger is believed: it is estimated from third powers of few
    /// values, and comes out too small together with T.
    ///
    /// The Edgeworth expansion of a studentised U-statistic is P(T ≤ t) = Φ(t) + φ(t)·[(2t² + 1)·values/6 + (t² + 1)·pairs/2].
    /// To that order it is Φ(t + qt² + q²t³/3 + values/6 + pairs/2) with q = values/3 + pairs/2, which is monotone in t
    /// whatever the estimates are, and stays between 0 and 1.
    ///
    /// # Reference
    /// Helmers, "On the Edgeworth expansion and the bootstrap approximation for a Studentized U-statistic", Annals of
    /// Statistics 19, 1991; Hall, "On the removal of skewness by transformation", JRSS B 54, 1992, for the cubic.
    pub(super) fn cdf(&self, t: f64, freedom: f64) -> f64 {
        Self { values: self.values.max(0.0), ..*self }.expansion(t, freedom)
    }

    /// P(T ≤ t), and at least Student's: nothing that would make p smaller is believed.
    pub(super) fn cautious_cdf(&self, t: f64, freedom: f64) -> f64 {
        self.expansion(t, freedom).max(student_cdf(t, freedom))
    }

    fn expansion(&self, t: f64, freedom: f64) -> f64 {
        let q = self.values / 3.0 + self.pairs / 2.0;
        let moved = t + q * t * t + q * q * t.powi(3) / 3.0 + self.values / 6.0 + self.pairs / 2.0;
        student_cdf(if moved.is_finite() { moved } else { t }, freedom)
    }
}

/// n·E v³ without bias, for values with the sum 0.
fn third_cumulant(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    n * n / ((n - 1.0) * (n - 2.0)) * values.iter().map(|v| v.powi(3)).sum::<f64>()
}
