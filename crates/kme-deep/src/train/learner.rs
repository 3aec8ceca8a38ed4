//! A network and how it moves: what every trainer has one or more of.

use super::config::Optimiser as Settings;
use super::optimiser::{Optimiser, Pace, gradient_norm};
use super::task::{Numbers, State, net_state, restored_net};
use burn::tensor::Tensor;
use kme::Result;
use kme_net::{Net, Tensors, place};

/// A network with its optimiser. In checkpoints they stand under a name and under the name followed by `-optimiser`.
#[derive(Clone)]
pub(super) struct Learner {
    pub net: Net,
    optimiser: Optimiser,
}

impl Learner {
    pub(super) fn new(net: Net, settings: &Settings) -> Self {
        Self { optimiser: Optimiser::new(settings, &net), net }
    }

    /// One step down these gradients, in the order of the network's trained parameters.
    pub(super) fn step(&mut self, gradients: Vec<Tensor<1>>, rate: f64, pace: Pace) {
        self.net = self.optimiser.step(&self.net, gradients, rate, pace);
    }

    /// One step down this mean cross-entropy of `net`, which is its own network as it is tracked, if the loss and its
    /// gradient are finite: whether they are, and the numbers of the log.
    pub(super) fn descend(&mut self, net: &Net, loss: Tensor<1>, rate: f64, pace: Pace) -> (bool, Numbers) {
        let value = place::scalar(loss.clone().inner());
        let gradients = net.gradients(&mut loss.backward());
        let norm = gradient_norm(&gradients);
        let is_finite = value.is_finite() && norm.is_finite();
        if is_finite {
            self.step(gradients, rate, pace);
        }
        (is_finite, vec![("cross_entropy", value), ("gradient_norm", norm), ("learning_rate", rate * pace.factor)])
    }

    /// Everything that later steps depend on.
    pub(super) fn state(&self, name: &str) -> State {
        let optimiser = self.optimiser.tensors(&self.net).into_iter();
        let named = optimiser.map(|(part, shape, values)| (format!("{name}-optimiser.{part}"), shape, values));
        net_state(name, &self.net).into_iter().chain(named).collect()
    }

    /// Begins as the network of another run.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub(super) fn adopt(&mut self, name: &str, tensors: &Tensors) -> Result<()> {
        self.net = restored_net(name, &self.net, tensors)?;
        Ok(())
    }

    /// Takes over the state after `step` steps.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub(super) fn restore(&mut self, name: &str, step: u64, tensors: &Tensors) -> Result<()> {
        self.net = restored_net(name, &self.net, tensors)?;
        let stored = |part: &str| tensors.get(&format!("{name}-optimiser.{part}")).map(|(_, values)| values.clone());
        self.optimiser.restore(&self.net, step, stored)
    }
}
