//! The Wasserstein distance by a critic of one number.

use super::mmd::linear_kernel;
use super::{Beside, Divergence, Features, Scaled, Settings};
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::sync::Arc;

/// mean D(x) − mean D(y) for a critic of one number. Arjovsky, Chintala, Bottou, ICML 2017, eq. 2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wasserstein {}

impl Settings for Wasserstein {
    fn divergence(&self, _: &Beside) -> Result<Arc<dyn Divergence>> {
        Ok(Arc::new(*self))
    }
}

impl Divergence for Wasserstein {
    fn names(&self) -> [&'static str; 2] {
        ["critic_wasserstein", "generator_wasserstein"]
    }

    fn generator(&self, features: &Features) -> Result<Tensor<1>> {
        let (x, y) = features.single()?;
        Ok(x.clone().mean() - y.clone().mean())
    }

    fn witness_gradient(&self, h: &Tensor<2>, _: &Features) -> Result<Tensor<2>> {
        Ok(h.ones_like())
    }

    fn needs_one_feature(&self) -> bool {
        true
    }

    fn scaled(&self) -> Option<Scaled<'_>> {
        Some(Scaled { kernel: Cow::Owned(linear_kernel()), lift: None, squared: false })
    }
}
