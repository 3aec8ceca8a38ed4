//! Feature maps by name.

use super::{Extractor, FeatureMap, FeatureSpec, Pixels};
use crate::model::Classifier;
use crate::models::Models;
use crate::net::Place;
use crate::networks::CARDS;
use kme::{Error, Result};
use std::sync::Arc;

impl Models {
    /// The feature map of this name: `pixels`; a known network as `NAME[=FILE][:LAYER][:flat]`; or a classifier by its model
    /// name or file.
    ///
    /// A convolutional layer gives the mean of each of its maps, or with `:flat` all their numbers. FILE is used whatever its
    /// checksum; without it the file is looked for in the models folder, and its checksum must be on the network's card.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is none; [`Error::Missing`] when its file is not found; [`Error::Format`] when the file
    /// does not hold a classifier, or other weights than are known.
    pub fn feature_map(&self, name: &str, place: &Place) -> Result<Arc<dyn FeatureMap>> {
        if name == "pixels" {
            return Ok(Arc::new(Pixels));
        }
        if name == "identity" {
            let allowed = "pixels, a network or a classifier for pictures; identity is for files of points";
            return Err(Error::parameter("features", name, allowed));
        }
        if let Some(spec) = FeatureSpec::parse(name)? {
            let network = self.network(spec.card, spec.file.as_deref(), place)?;
            return Ok(Arc::new(Extractor::of_network(&network, spec.layer(), spec.positions)?));
        }
        let (bytes, path) = self.bytes(name).map_err(|fault| match fault {
            Error::UnknownName { name, known, remedy, .. } => {
                let maps = CARDS.iter().map(|card| card.name.to_string()).chain(["pixels".to_string()]);
                Error::UnknownName { what: "feature map".into(), name, known: maps.chain(known).collect(), remedy }
            }
            other => other,
        })?;
        let classifier = Classifier::parse(&bytes, &path, place)?;
        // The classifier of a run folder is known by the folder's name.
        let named =
            if path.file_name().is_some_and(|f| f == "model.safetensors") { path.parent() } else { Some(&*path) };
        let known = named.and_then(|p| p.file_stem()).map_or(name.into(), |stem| stem.to_string_lossy().into_owned());
        Ok(Arc::new(Extractor::of_classifier(&known, &classifier)?))
    }
}
