//! Scores of pictures against a reference, in a feature map.

use kme::{Estimate, Estimator, Kernel, Points, Precision, Result, mmd2};
use kme_image::Images;
use kme_net::{FeatureMap, Pixels};
use std::sync::Arc;

/// A fixed set of reference pictures, as features; or of points, which are their own.
pub struct Reference {
    map: Arc<dyn FeatureMap>,
    points: Points,
}

impl Reference {
    /// The features of `images` under `map`.
    ///
    /// # Errors
    /// When a feature is not finite.
    pub fn new(map: Arc<dyn FeatureMap>, images: &Images) -> Result<Self> {
        let points = map.features(images.into())?;
        Ok(Self { map, points })
    }

    /// A reference of points.
    pub fn of_points(points: Points) -> Self {
        Self { map: Arc::new(Pixels), points }
    }

    /// The features of the reference, (n, d).
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The features of other pictures in the same map.
    ///
    /// # Errors
    /// When a feature is not finite.
    pub fn features(&self, images: &Images) -> Result<Points> {
        self.map.features(images.into())
    }

    /// Number of reference pictures.
    pub fn count(&self) -> usize {
        self.points.len()
    }

    /// The kernel inception distance of `images` to the reference in this map's features, with its standard error: the
    /// unbiased estimate of MMD² over all pictures with the kernel (⟨x,y⟩/d + 1)³.
    ///
    /// Reference: Bińkowski et al., ICLR 2018, §4.
    ///
    /// # Errors
    /// When a feature is not finite, or there are fewer than 2 pictures.
    pub fn kid(&self, images: &Images) -> Result<Estimate> {
        let features = self.map.features(images.into())?;
        mmd2(&Kernel::kid(self.points.dim())?, &self.points, &features, Estimator::Unbiased, Precision::F64)
    }
}
