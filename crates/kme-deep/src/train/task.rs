//! What a trainer must be able to do; the loop, the run folder and resuming are the same for all.

use crate::data::Dataset;
use crate::image::Images;
use crate::net::{Net, file::Tensors, place};
use kme::{Error, Result};
use std::path::Path;

/// Named numbers of one step or one evaluation, in order.
pub type Numbers = Vec<(&'static str, f64)>;

/// One family of objectives.
pub(crate) trait Task {
    /// Does step number `step` (from 0) and returns its losses. Randomness comes from the seed and the step alone.
    fn step(&mut self, step: u64, data: &Dataset) -> Result<Numbers>;

    /// Scores on held-out pictures; the first is the one that is minimised over checkpoints.
    fn score(&self) -> Result<Numbers>;

    /// Pictures for people to look at, always from the same latents.
    fn samples(&self) -> Result<Option<Images>>;

    /// Writes the model that users get.
    fn write_model(&self, path: &Path, step: u64) -> Result<()>;

    /// Everything that later steps depend on.
    fn state(&self) -> Vec<(String, Vec<usize>, Vec<f32>)>;

    /// Takes over the state after `step` steps.
    fn restore(&mut self, step: u64, tensors: &Tensors) -> Result<()>;
}

/// A network's parameters as named tensors under `prefix`.
pub(super) fn net_state(prefix: &str, net: &Net) -> Vec<(String, Vec<usize>, Vec<f32>)> {
    let tensor = |p: &crate::net::Param| {
        (format!("{prefix}.{}", p.name), p.shape.clone(), place::numbers_f32(p.value.clone().inner()))
    };
    net.params().iter().map(tensor).collect()
}

/// The network with the parameters stored under `prefix`.
pub(super) fn restored_net(prefix: &str, net: &Net, tensors: &Tensors) -> Result<Net> {
    for p in net.params() {
        let name = format!("{prefix}.{}", p.name);
        match tensors.get(&name) {
            None => {
                return Err(Error::value(
                    "checkpoint",
                    format!("no tensor {name}"),
                    "a checkpoint of this configuration",
                ));
            }
            Some((shape, _)) if *shape != p.shape => {
                return Err(Error::value(name, format!("shape {shape:?}"), format!("shape {:?}", p.shape)));
            }
            Some(_) => {}
        }
    }
    Ok(net.map_values(|p| {
        let (_, values) = &tensors[&format!("{prefix}.{}", p.name)];
        net.place().tensor(values.clone(), [values.len()])
    }))
}

/// Tensors with `prefix` put before their names.
pub(super) fn prefixed(
    prefix: &str,
    tensors: Vec<(String, Vec<usize>, Vec<f32>)>,
) -> impl Iterator<Item = (String, Vec<usize>, Vec<f32>)> {
    tensors.into_iter().map(move |(name, shape, values)| (format!("{prefix}.{name}"), shape, values))
}
