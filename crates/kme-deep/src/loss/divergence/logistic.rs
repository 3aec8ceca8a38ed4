//! The classical GAN.

use super::{Beside, Divergence, Features, Settings};
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// −mean softplus(−D(x)) − mean softplus(D(y)) for the critic; the generator lowers mean softplus(−D(y)). Goodfellow
/// et al., NeurIPS 2014, with the non-saturating generator, as in SN-GAN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {}

impl Settings for Logistic {
    fn divergence(&self, _: &Beside) -> Result<Arc<dyn Divergence>> {
        Ok(Arc::new(*self))
    }
}

impl Divergence for Logistic {
    fn names(&self) -> [&'static str; 2] {
        ["critic_log_likelihood", "generator_surprise"]
    }

    fn generator(&self, features: &Features) -> Result<Tensor<1>> {
        let (_, y) = features.single()?;
        Ok(softplus(y.clone().neg()).mean())
    }

    fn critic(&self, features: &Features) -> Result<Tensor<1>> {
        let (x, y) = features.single()?;
        Ok((softplus(x.clone().neg()).mean() + softplus(y.clone()).mean()).neg())
    }

    fn witness_gradient(&self, h: &Tensor<2>, _: &Features) -> Result<Tensor<2>> {
        Ok(h.ones_like())
    }

    fn needs_one_feature(&self) -> bool {
        true
    }
}

/// ln(1 + eˣ) without overflow.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}
