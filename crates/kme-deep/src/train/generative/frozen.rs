//! Features that are not learned: those of a network, or the samples themselves.

use super::opponent::Opponent;
use crate::loss::{Features, Objective, Pictures};
use burn::tensor::Tensor;
use kme::Result;
use kme_net::FeatureMap;
use std::sync::Arc;

#[derive(Clone)]
pub(super) struct Frozen(pub(super) Arc<dyn FeatureMap>);

impl Opponent for Frozen {
    fn features(&self, samples: Tensor<4>, _: Option<&Tensor<4>>) -> Result<Vec<Tensor<2>>> {
        self.0.tensors(samples)
    }

    fn see(&mut self, _: &Objective, pictures: &Pictures) -> Result<(Vec<Features>, Option<Tensor<1>>)> {
        let of = |samples: &Tensor<4>| self.features(samples.clone(), None);
        let second = pictures.second.as_ref().map(of).transpose()?;
        let mut second = second.into_iter().flatten();
        let both = of(&pictures.real)?.into_iter().zip(of(&pictures.fake)?);
        Ok((both.map(|(real, fake)| Features { real, fake, second: second.next() }).collect(), None))
    }

    fn copied(&self) -> Box<dyn Opponent> {
        Box::new(self.clone())
    }
}
