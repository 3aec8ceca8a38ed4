//! What a trainer must be able to do; the loop, the run folder and resuming are the same for all.

use super::optimiser::Pace;
use crate::image::Images;
use crate::net::{Net, file::Tensors, place};
use kme::inference::Marginals;
use kme::{Error, Result};
use std::path::Path;

/// Named numbers of one step or one evaluation, in order.
pub type Numbers = Vec<(&'static str, f64)>;

/// One family of objectives.
pub(crate) trait Task {
    /// Does step number `step` (from 0) and returns its losses. Randomness comes from the seed and the step alone. When a number
    /// is not finite, the parameters are those from before it was computed.
    fn step(&mut self, step: u64, pace: Pace) -> Result<Numbers>;

    /// Scores on held-out samples; the first is the one that is minimised over checkpoints.
    fn score(&self) -> Result<Numbers>;

    /// What a three-sample test needs of `samples` new samples beside as many training samples; nothing where no samples
    /// are made.
    fn sums(&mut self, samples: usize, step: u64) -> Result<Option<Marginals>>;

    /// Pictures for people to look at, always from the same latents.
    fn samples(&self) -> Result<Option<Images>>;

    /// Writes the model that users get.
    fn write_model(&self, path: &Path, step: u64) -> Result<()>;

    /// Everything that later steps depend on.
    fn state(&self) -> Vec<(String, Vec<usize>, Vec<f32>)>;

    /// Takes over the state after `step` steps.
    fn restore(&mut self, step: u64, tensors: &Tensors) -> Result<()>;

    /// After a step whose numbers were not finite: the first tensor on their way that was not.
    fn fault(&mut self, step: u64) -> Result<Option<Finding>>;
}

/// A tensor with a number that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub tensor: String,
    pub position: usize,
    pub value: f32,
}

/// The first of these tensors that has a number which is not finite.
pub(super) fn first_fault(tensors: &[(String, Vec<f32>)]) -> Option<Finding> {
    tensors.iter().find_map(|(tensor, values)| {
        let position = values.iter().position(|v| !v.is_finite())?;
        Some(Finding { tensor: tensor.clone(), position, value: values[position] })
    })
}

/// The same for what [`Task::state`] gives.
pub(super) fn first_fault_of(state: &[(String, Vec<usize>, Vec<f32>)]) -> Option<Finding> {
    state.iter().find_map(|(name, _, values)| {
        let position = values.iter().position(|v| !v.is_finite())?;
        Some(Finding { tensor: format!("state {name}"), position, value: values[position] })
    })
}

/// The parameters of a network by their names, for [`first_fault`].
pub(super) fn named_parameters(name: &str, net: &Net) -> Vec<(String, Vec<f32>)> {
    let values = |p: &crate::net::Param| place::numbers_f32(p.value.clone().inner());
    net.params().iter().map(|p| (format!("parameter {} of the {name}", p.name), values(p))).collect()
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
