//! The distance of means and covariances of two batches, as in McGan.

use super::{Beside, Divergence, Features, Settings};
use crate::range::within;
use burn::tensor::{Tensor, TensorData};
use kme::{Error, Result};
use kme_net::place;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Means and covariances of critic features: ‖μ_x − μ_y‖_norm + the nuclear norm of the `components` largest parts of
/// E xxᵀ − E yyᵀ, by [`mean_covariance`]. Mroueh, Sercu, Goel, "McGan", ICML 2017, eq. 4 and 10 in their dual form, in which
/// the maximum over the orthonormal U and V is taken exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanCovariance {
    /// The exponent q of the norm of the difference of means, 1 to 64; 2 by default.
    #[serde(default = "two")]
    pub norm: f64,
    /// Directions in which covariances are compared; 0 compares the means alone.
    pub components: usize,
}

fn two() -> f64 {
    2.0
}

impl Settings for MeanCovariance {
    fn divergence(&self, beside: &Beside) -> Result<Arc<dyn Divergence>> {
        within("objective.norm", self.norm, 1.0..=64.0)?;
        let top = beside.top.unwrap_or(0);
        if self.components > top {
            let allowed = format!("from 0 to {top}, the number of the critic's features (critic.top)");
            return Err(Error::parameter("objective.components", self.components, allowed));
        }
        let penalty = beside.regulariser.gradient_penalty;
        if penalty > 0.0 {
            let allowed = "0 for mean-covariance. Bound its critic by critic.clip_weights or critic.spectral instead";
            return Err(Error::parameter("regulariser.gradient_penalty", penalty, allowed));
        }
        Ok(Arc::new(*self))
    }
}

impl Divergence for MeanCovariance {
    fn names(&self) -> [&'static str; 2] {
        ["critic_mean_covariance", "generator_mean_covariance"]
    }

    fn generator(&self, features: &Features) -> Result<Tensor<1>> {
        mean_covariance(&features.real, &features.fake, self.norm, self.components)
    }

    fn witness_gradient(&self, _: &Tensor<2>, _: &Features) -> Result<Tensor<2>> {
        let reason = "bound its critic by clipped weights or a spectral parametrisation instead";
        Err(Error::unsupported("penalise gradients of the mean and covariance", reason))
    }
}

/// ‖μ_x − μ_y‖_q + Σ_{j ≤ k} |λⱼ|, with λ the eigenvalues of E xxᵀ − E yyᵀ (not centred) from the largest magnitude on.
///
/// The second term is max Σⱼ uⱼᵀ(E xxᵀ − E yyᵀ)vⱼ over orthonormal u₁…u_k and v₁…v_k. The maximisers are computed and
/// then held constant, which gives the term's own gradient (envelope theorem).
///
/// Shapes: x (n, d), y (m, d) → (1); `components` k = 0 leaves the covariances out.
/// Reference: Mroueh, Sercu, Goel, "McGan: mean and covariance feature matching GAN", ICML 2017, §3 and §4.
///
/// # Errors
/// [`Error::NotFinite`] when an entry is infinite or NaN.
pub fn mean_covariance(x: &Tensor<2>, y: &Tensor<2>, q: f64, components: usize) -> Result<Tensor<1>> {
    let difference = x.clone().mean_dim(0) - y.clone().mean_dim(0);
    let mean = norm(difference, q);
    if components == 0 {
        return Ok(mean);
    }
    let second = |t: &Tensor<2>| t.clone().transpose().matmul(t.clone()) * (1.0 / t.dims()[0] as f64);
    let difference = second(x) - second(y);
    let d = difference.dims()[0];
    let matrix = place::numbers(difference.clone().inner());
    let Some((values, vectors)) = kme::internal::symmetric_eigen(d, &matrix) else {
        let given = matrix.into_iter().find(|x| !x.is_finite()).unwrap_or(f64::NAN);
        return Err(Error::not_finite("covariance of critic features", given, "lower the learning rate"));
    };
    let mut order: Vec<usize> = (0..d).collect();
    order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()));
    // Σⱼ sign(λⱼ) vⱼvⱼᵀ over the chosen: the derivative of the sum of |λⱼ| in the matrix.
    let mut derivative = vec![0.0; d * d];
    for &j in order.iter().take(components) {
        let (sign, v) = (values[j].signum(), &vectors[j * d..(j + 1) * d]);
        for (row, a) in derivative.chunks_exact_mut(d).zip(v) {
            row.iter_mut().zip(v).for_each(|(entry, b)| *entry += sign * a * b);
        }
    }
    let like = difference.clone().inner();
    let derivative: Tensor<2> = Tensor::from_data(TensorData::new(derivative, [d, d]), (&like.device(), like.dtype()));
    Ok(mean + (difference * derivative).sum())
}

/// (Σ|vᵢ|^q)^(1/q) for q ≥ 1, with derivative 0 at v = 0.
fn norm(v: Tensor<2>, q: f64) -> Tensor<1> {
    if q == 1.0 {
        return v.abs().sum();
    }
    // In units of the largest entry, held constant: high powers of small or large entries leave the range of numbers. The
    // norm does not depend on the unit, so that its derivative is right.
    let unit = v.clone().detach().abs().max().clamp_min(1e-12);
    let v = v * unit.clone().recip().unsqueeze::<2>();
    // The gradient of |v|^q at 0 is 0 for q > 1; the small number keeps the outer root's finite.
    let sum = if q == 2.0 { (v.clone() * v).sum() } else { (v.abs() + 1e-24).powf_scalar(q).sum() };
    (sum + 1e-24).powf_scalar(1.0 / q) * unit
}
