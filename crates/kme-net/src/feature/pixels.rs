//! Pixels as they are.

use super::{FeatureMap, Outputs, Pictures};
use crate::net::flat;
use burn::tensor::Tensor;
use kme::{Data, FeatureIdentity, Points, Result};
use kme_image::{Protocol, Resize};
use std::sync::Arc;

/// The pixels themselves, in [0, 1], channel by channel, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Pixels;

impl FeatureMap for Pixels {
    fn tensors(&self, pictures: Tensor<4>) -> Result<Vec<Tensor<2>>> {
        Ok(vec![flat(pictures)])
    }

    fn outputs(&self, Pictures { images, .. }: Pictures<'_>, _: bool) -> Result<Outputs> {
        let features = Points::new(images.len(), images.stride(), Data::F32(images.data().to_vec()))?;
        Ok(Outputs { features, logits: None })
    }

    fn identity(&self, [c, h, w]: [usize; 3]) -> FeatureIdentity {
        FeatureIdentity { name: "pixels".into(), protocol: format!("{c}x{h}x{w}, range 0 to 1"), sha256: None }
    }

    fn sha256(&self) -> Option<&str> {
        None
    }

    fn input(&self) -> Option<[usize; 3]> {
        None
    }

    fn resize(&self) -> Option<Resize> {
        None
    }

    fn with_resize(&self, _: Protocol) -> Arc<dyn FeatureMap> {
        Arc::new(*self)
    }
}
