//! What two batches of critic features are compared by: the part of an objective that knows no network.

use super::arithmetic::Entries;
use super::covariance::mean_covariance;
use super::mmd::{biased, far_differences, unbiased, witness_gradient};
use burn::tensor::Tensor;
use kme::arith::Arith;
use kme::kernel::{Form, Kernel};
use kme::{Error, Field, Result};
use kme_net::{Mode, Net, flat};

/// How MMD² is estimated from two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// [`mmd2_unbiased`](super::mmd2_unbiased): the diagonal is left out, may be negative.
    Unbiased,
    /// [`mmd2_biased`](super::mmd2_biased): ‖μ_x − μ_y‖² of the empirical embeddings.
    Biased,
    /// √(max(biased, 0) + 1e-12): MMD itself. Li, Swersky, Zemel, ICML 2015; Li et al., NeurIPS 2017.
    Root,
}

/// A discrepancy of two batches of features.
///
/// Each has two faces: what the critic raises, and what the generator lowers. They are the same expression for all but
/// `Cramer` (the critic raises a surrogate) and `Logistic` (the game is not zero-sum).
#[derive(Clone, Debug)]
pub enum Divergence {
    /// MMD² (or MMD) of the features under a kernel.
    Mmd {
        /// The kernel of features.
        kernel: Kernel,
        /// How MMD² is estimated.
        estimator: Estimator,
        /// Random features Φ̂ that stand for another kernel: then `kernel` is the linear one, applied to Φ̂(h).
        lift: Option<Box<Net>>,
    },
    /// mean D(x) − mean D(y) for a critic of one number. Arjovsky, Chintala, Bottou, ICML 2017, eq. 2.
    Wasserstein,
    /// The energy distance of the features. Generator: mean ‖x−y‖ + ‖x−y'‖ − ‖y−y'‖ over triples of one real and two
    /// independent generated points; critic: mean f(x) − f(y) with f(a) = ‖a−y'‖ − ‖a‖. Bellemare et al., "The Cramer
    /// distance as a solution to biased Wasserstein gradients", 2017, algorithm 1.
    Cramer,
    /// ‖μ_x − μ_y‖_norm + the nuclear norm of the `components` largest parts of E xxᵀ − E yyᵀ. Mroueh, Sercu, Goel,
    /// "McGan", ICML 2017, eq. 4 and 10 in their dual form, in which the maximum over the orthonormal U and V is taken exactly.
    MeanCovariance {
        /// The norm's exponent q, from 1 on.
        norm: f64,
        /// Eigenvalues of the difference of second moments; 0 compares the means alone.
        components: usize,
    },
    /// −mean softplus(−D(x)) − mean softplus(D(y)) for the critic; the generator lowers mean softplus(−D(y)). Goodfellow
    /// et al., NeurIPS 2014, with the non-saturating generator, as in SN-GAN.
    Logistic,
}

/// Critic features of one step: real (n, d), generated (m, d), and a second, independent generated batch where the
/// divergence needs one.
pub struct Features {
    /// Of the data, (n, d).
    pub real: Tensor<2>,
    /// Of the generator, (m, d).
    pub fake: Tensor<2>,
    /// Of the generator again, (m, d), where the divergence [needs it](Divergence::needs_second).
    pub second: Option<Tensor<2>>,
}

impl Divergence {
    /// Whether it needs a second generated batch.
    pub fn needs_second(&self) -> bool {
        matches!(self, Self::Cramer)
    }

    /// Whether the critic must give a single number.
    pub fn needs_one_feature(&self) -> bool {
        matches!(self, Self::Wasserstein | Self::Logistic)
    }

    /// The name under which the critic's value is logged.
    pub fn critic_name(&self) -> &'static str {
        match self {
            Self::Mmd { estimator: Estimator::Root, .. } => "critic_mmd",
            Self::Mmd { .. } => "critic_mmd2",
            Self::Wasserstein => "critic_wasserstein",
            Self::Cramer => "critic_cramer",
            Self::MeanCovariance { .. } => "critic_mean_covariance",
            Self::Logistic => "critic_log_likelihood",
        }
    }

    /// The name under which the generator's value is logged.
    pub fn generator_name(&self) -> &'static str {
        match self {
            Self::Mmd { estimator: Estimator::Root, .. } => "generator_mmd",
            Self::Mmd { .. } => "generator_mmd2",
            Self::Wasserstein => "generator_wasserstein",
            Self::Cramer => "generator_energy",
            Self::MeanCovariance { .. } => "generator_mean_covariance",
            Self::Logistic => "generator_surprise",
        }
    }

    /// What the critic raises.
    ///
    /// # Errors
    /// When a batch is too small, or a critic of one number gives more.
    pub fn critic(&self, features: &Features) -> Result<Tensor<1>> {
        self.check(features)?;
        let Features { real: x, fake: y, .. } = features;
        Ok(match self {
            Self::Cramer => {
                let second = features.second();
                let surrogate = |a: &Tensor<2>| (norms(a.clone() - second.clone()) - norms(a.clone())).mean();
                surrogate(x) - surrogate(y)
            }
            Self::Logistic => (softplus(x.clone().neg()).mean() + softplus(y.clone()).mean()).neg(),
            _ => self.generator(features)?,
        })
    }

    /// What the generator lowers.
    ///
    /// # Errors
    /// When a batch is too small, or a critic of one number gives more.
    pub fn generator(&self, features: &Features) -> Result<Tensor<1>> {
        self.check(features)?;
        let Features { real: x, fake: y, .. } = features;
        Ok(match self {
            Self::Mmd { kernel, estimator, lift } => {
                let (x, y) = (lifted(lift, x)?, lifted(lift, y)?);
                // Random features are of length 1, as the kernel that they stand for is on its diagonal: none of them is far.
                let far = if lift.is_some() { None } else { far_differences(kernel, &x, &y) };
                match estimator {
                    Estimator::Unbiased => unbiased(kernel, &x, &y, far)?,
                    Estimator::Biased => biased(kernel, &x, &y, far),
                    Estimator::Root => (biased(kernel, &x, &y, far).clamp_min(0.0) + 1e-12).sqrt(),
                }
            }
            Self::Wasserstein => x.clone().mean() - y.clone().mean(),
            Self::Cramer => {
                let second = features.second();
                let apart = |a: &Tensor<2>, b: &Tensor<2>| norms(a.clone() - b.clone()).mean();
                apart(x, y) + apart(x, second) - apart(y, second)
            }
            Self::MeanCovariance { norm, components } => mean_covariance(x, y, *norm, *components)?,
            Self::Logistic => softplus(y.clone().neg()).mean(),
        })
    }

    /// The gradient in h of the function that the critic tells the two batches apart by, at the rows of `h`, which must lie
    /// between the real and the generated ones row by row for `Cramer`: the witness, D itself, or f. Not divided by a norm.
    ///
    /// Shapes: h (b, d) → (b, d). Differentiable in h and in the features.
    ///
    /// # Errors
    /// For the mean and covariance, whose critics are kept bounded by other means.
    pub fn witness_gradient(&self, h: &Tensor<2>, features: &Features) -> Result<Tensor<2>> {
        let Features { real: x, fake: y, .. } = features;
        Ok(match self {
            Self::Mmd { kernel, lift: None, .. } => witness_gradient(kernel, h, x, y),
            Self::Mmd { lift: Some(lift), .. } => {
                let [b, d] = h.dims();
                let pass = lift.pass(h.clone().reshape([b, d, 1, 1]), Mode::Evaluate, false)?;
                let mean =
                    |points: &Tensor<2>| -> Result<Tensor<2>> { Ok(lifted(&Some(lift.clone()), points)?.mean_dim(0)) };
                let difference = mean(x)? - mean(y)?;
                let s = difference.dims()[1];
                let cotangent = difference.expand([b, s]).reshape([b, s, 1, 1]);
                flat(lift.pullback(&pass, cotangent))
            }
            Self::Wasserstein | Self::Logistic => h.ones_like(),
            Self::Cramer => {
                let away = h.clone() - features.second().clone();
                direction(away) - direction(h.clone())
            }
            Self::MeanCovariance { .. } => {
                let reason = "bound its critic by clipped weights or a spectral parametrisation instead";
                return Err(Error::unsupported("penalise gradients of the mean and covariance", reason));
            }
        })
    }

    fn check(&self, features: &Features) -> Result<()> {
        if let Self::Mmd { kernel, lift: Some(_), .. } = self
            && *kernel != linear_kernel()
        {
            let allowed = "linear on random features, which stand for another kernel";
            return Err(Error::parameter("kernel", kernel, allowed));
        }
        let d = features.real.dims()[1];
        if self.needs_one_feature() && d != 1 {
            return Err(Error::parameter("critic.top", d, "1, since this objective's critic gives a single number"));
        }
        if self.needs_second() {
            let sizes = [&features.real, &features.fake].map(|t| t.dims()[0]);
            let second = features.second.as_ref().map_or(0, |t| t.dims()[0]);
            if sizes != [second; 2] {
                let [real, fake] = sizes;
                let found = format!("{fake} and {second} generated ones");
                let remedy = "the Cramér distance needs two generated batches of the size of the real one";
                return Err(Error::mismatch(Field::Count("points".into()), format!("{real} real ones"), found, remedy));
            }
        }
        Ok(())
    }
}

impl Features {
    fn second(&self) -> &Tensor<2> {
        self.second.as_ref().expect("checked before any use")
    }
}

/// Points through random features, where there are any.
pub(super) fn lifted(lift: &Option<Box<Net>>, points: &Tensor<2>) -> Result<Tensor<2>> {
    let Some(lift) = lift else { return Ok(points.clone()) };
    let [n, d] = points.dims();
    Ok(flat(lift.forward(points.clone().reshape([n, d, 1, 1]), Mode::Evaluate)?))
}

/// The kernel of random features: they stand for another one, and are compared by their inner product.
pub fn linear_kernel() -> Kernel {
    Kernel::try_from(Form::Linear).expect("the linear kernel has no parameters to be wrong")
}

/// ‖row‖, shape (n, 1), with zero derivative at 0.
fn norms(rows: Tensor<2>) -> Tensor<2> {
    Entries((rows.clone() * rows).sum_dim(1)).sqrt().0
}

/// row / ‖row‖, and 0 at 0.
fn direction(rows: Tensor<2>) -> Tensor<2> {
    let inverse = Entries((rows.clone() * rows.clone()).sum_dim(1)).inv_sqrt().0;
    rows * inverse
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}
