//! The maximum mean discrepancy under a kernel, or under random features of one.

use super::{Beside, CRITIC, Divergence, Draw, Features, Scaled, Settings};
use crate::loss::mmd::{biased, far_differences, unbiased, witness_gradient};
use crate::range::count;
use burn::tensor::Tensor;
use kme::{Error, Form, Kernel, KernelSpec, Result, Waves};
use kme_net::layer::random_features;
use kme_net::{Init, Mode, Net, flat};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// How MMD² is estimated from two batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// [`mmd2_unbiased`](crate::loss::mmd2_unbiased): the diagonal is left out, may be negative.
    #[default]
    Unbiased,
    /// [`mmd2_biased`](crate::loss::mmd2_biased): ‖μ_x − μ_y‖² of the empirical embeddings.
    Biased,
    /// √(max(biased, 0) + 1e-12): MMD itself. Li, Swersky, Zemel, ICML 2015; Li et al., NeurIPS 2017.
    Root,
}

/// Squared maximum mean discrepancy: its table in a configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MmdSettings {
    /// The kernel, as text such as `rq:alpha=1`.
    #[serde(with = "text")]
    pub kernel: KernelSpec,
    /// How MMD² is estimated from two batches; unbiased by default.
    #[serde(default)]
    pub estimator: Estimator,
    /// `critic` (learned against the generator), `identity` (the samples themselves), or a feature map's name.
    #[serde(default = "critic")]
    pub features: String,
    /// Random features that stand for a Gaussian kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_features: Option<RandomFeatures>,
}

/// Random Fourier features ("random kitchen sinks") of a Gaussian kernel: sums in linear time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomFeatures {
    /// How many, 1 to 65536.
    pub count: usize,
    /// Cosines with random phases, or pairs of cosine and sine.
    #[serde(default)]
    pub waves: Waves,
    /// New frequencies in every step, instead of the same in all.
    #[serde(default)]
    pub redraw: bool,
}

fn critic() -> String {
    CRITIC.into()
}

/// Values that are written as their text.
mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::{fmt::Display, str::FromStr};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Settings for MmdSettings {
    fn features(&self) -> &str {
        &self.features
    }

    fn divergence(&self, beside: &Beside) -> Result<Arc<dyn Divergence>> {
        if let Some(random) = &self.random_features {
            count("objective.random_features.count", random.count as u64, 1..=65_536)?;
        }
        let kernel = self.kernel(beside.top)?;
        let mmd = match self.random_features {
            None => Mmd::new(kernel, self.estimator),
            Some(random) => Mmd { random: Some((random, kernel)), ..Mmd::new(linear_kernel(), self.estimator) },
        };
        if beside.regulariser.scale.is_some() {
            // Said before the run begins, not at the first step.
            mmd.kernel.trace(&1.0)?;
        }
        Ok(Arc::new(mmd))
    }
}

impl MmdSettings {
    /// The kernel with its numbers, for a critic of `top` features or no critic.
    fn kernel(&self, top: Option<usize>) -> Result<Kernel> {
        let text = &self.kernel;
        let d = top.unwrap_or(1);
        let kernel = text.resolve(d, || {
            let allowed =
                "a kernel with its bandwidths as numbers: what it compares moves, so there is no median to take";
            Err(Error::parameter("objective.kernel", text, allowed))
        })?;
        let allowed = "a kernel with a number instead of 1/d, since there is no critic";
        let of_dimension = || Error::parameter("objective.kernel", text, allowed);
        if top.is_none() && text.resolve(d + 1, || Err(of_dimension()))? != kernel {
            return Err(of_dimension());
        }
        kernel.check_single()?;
        Ok(kernel)
    }
}

/// MMD² (or MMD) of the features under a kernel.
#[derive(Clone, Debug)]
pub struct Mmd {
    /// The linear one where there are random features.
    kernel: Kernel,
    estimator: Estimator,
    /// Random features Φ̂ that stand for another kernel: the linear one is applied to Φ̂(h).
    lift: Option<Box<Net>>,
    /// What those are drawn from, with the kernel that they stand for.
    random: Option<(RandomFeatures, Kernel)>,
}

impl Mmd {
    /// Under `kernel`.
    pub fn new(kernel: Kernel, estimator: Estimator) -> Self {
        Self { kernel, estimator, lift: None, random: None }
    }

    /// Of random features Φ̂(h) of the features h, a network of (d, 1, 1): under the kernel that they stand for.
    pub fn lifted(lift: Net, estimator: Estimator) -> Self {
        Self { lift: Some(Box::new(lift)), ..Self::new(linear_kernel(), estimator) }
    }
}

impl Divergence for Mmd {
    fn names(&self) -> [&'static str; 2] {
        match self.estimator {
            Estimator::Root => ["critic_mmd", "generator_mmd"],
            _ => ["critic_mmd2", "generator_mmd2"],
        }
    }

    fn generator(&self, features: &Features) -> Result<Tensor<1>> {
        let lift = self.lift.as_deref();
        let (x, y) = (lifted(lift, &features.real)?, lifted(lift, &features.fake)?);
        // Random features are of length 1, as the kernel that they stand for is on its diagonal: none of them is far.
        let far = if lift.is_some() { None } else { far_differences(&self.kernel, &x, &y) };
        Ok(match self.estimator {
            Estimator::Unbiased => unbiased(&self.kernel, &x, &y, far)?,
            Estimator::Biased => biased(&self.kernel, &x, &y, far),
            Estimator::Root => (biased(&self.kernel, &x, &y, far).clamp_min(0.0) + 1e-12).sqrt(),
        })
    }

    fn witness_gradient(&self, h: &Tensor<2>, features: &Features) -> Result<Tensor<2>> {
        let Features { real: x, fake: y, .. } = features;
        let Some(lift) = self.lift.as_deref() else { return Ok(witness_gradient(&self.kernel, h, x, y)) };
        let [b, d] = h.dims();
        let pass = lift.pass(h.clone().reshape([b, d, 1, 1]), Mode::Evaluate, false)?;
        let mean = |points: &Tensor<2>| -> Result<Tensor<2>> { Ok(lifted(Some(lift), points)?.mean_dim(0)) };
        let difference = mean(x)? - mean(y)?;
        let s = difference.dims()[1];
        let cotangent = difference.expand([b, s]).reshape([b, s, 1, 1]);
        Ok(flat(lift.pullback(&pass, cotangent)))
    }

    fn scaled(&self) -> Option<Scaled<'_>> {
        let squared = self.estimator != Estimator::Root;
        Some(Scaled { kernel: Cow::Borrowed(&self.kernel), lift: self.lift.as_deref(), squared })
    }

    fn drawn(&self, draw: &Draw) -> Result<Option<Arc<dyn Divergence>>> {
        let Some((random, kernel)) = &self.random else { return Ok(None) };
        let step = if random.redraw { draw.step } else { 0 };
        let net = match &self.lift {
            Some(_) if !random.redraw => return Ok(None),
            Some(net) => net.redrawn(draw.seed, "random features", step),
            None => {
                let [d] = *draw.features else {
                    let what = format!("draw random features of {} layers", draw.features.len());
                    return Err(Error::unsupported(what, "name a single layer in objective.features"));
                };
                let layer = random_features(kernel, d, random.count, random.waves)?;
                let net = Net::new(vec![layer], [d, 1, 1], Init::He, draw.seed, draw.place)?;
                net.redrawn(draw.seed, "random features", step)
            }
        };
        Ok(Some(Arc::new(Self { lift: Some(Box::new(net)), ..self.clone() })))
    }
}

/// Points through random features, where there are any.
pub(in crate::loss) fn lifted(lift: Option<&Net>, points: &Tensor<2>) -> Result<Tensor<2>> {
    let Some(lift) = lift else { return Ok(points.clone()) };
    let [n, d] = points.dims();
    Ok(flat(lift.forward(points.clone().reshape([n, d, 1, 1]), Mode::Evaluate)?))
}

/// The kernel of random features: they stand for another one, and are compared by their inner product.
pub fn linear_kernel() -> Kernel {
    Kernel::try_from(Form::Linear).expect("the linear kernel has no parameters to be wrong")
}
