//! What a generator is trained against: where the features of samples come from, and what of that learns beside it.

use super::super::learner::Learner;
use super::super::optimiser::Pace;
use super::super::parallel::{Collective, TeamResult};
use super::super::task::{Numbers, State};
use crate::loss::{Features, Objective, Pictures};
use burn::tensor::Tensor;
use kme::Result;
use kme_net::Tensors;

/// One kind of opponent. Those that do not learn keep the defaults.
pub(in crate::train) trait Opponent: Send {
    /// Features of samples, with labels as planes behind their channels where there are any: a tensor for each layer that
    /// is looked at.
    ///
    /// # Errors
    /// When the samples do not fit.
    fn features(&self, samples: Tensor<4>, planes: Option<&Tensor<4>>) -> Result<Vec<Tensor<2>>>;

    /// What the generator's loss is of: the same features of a step's samples, and the expectation in σ² where there is a
    /// scale.
    ///
    /// # Errors
    /// When the samples do not fit.
    fn see(&mut self, objective: &Objective, pictures: &Pictures) -> Result<(Vec<Features>, Option<Tensor<1>>)>;

    /// Its own steps before generator step `step`.
    fn steps(&self, _step: u64) -> u64 {
        0
    }

    /// Its own steps before all generator steps before `step`.
    fn steps_before(&self, _step: u64) -> u64 {
        0
    }

    /// One step of its own against these samples, and the numbers of it. Where one is not finite, nothing has moved.
    ///
    /// # Errors
    /// When the samples do not fit, or a worker has left.
    fn step(&mut self, _: &Objective, _: &Pictures, _: Pace, _: &dyn Collective) -> TeamResult<Numbers> {
        Ok(Numbers::new())
    }

    /// Its learning rate, where it has one of its own.
    fn learning_rate(&self) -> Option<f64> {
        None
    }

    /// What of it learns, by the names that it has in checkpoints.
    fn learners(&self) -> Vec<(&'static str, &Learner)> {
        Vec::new()
    }

    /// The same, to be changed.
    fn learners_mut(&mut self) -> Vec<(&'static str, &mut Learner)> {
        Vec::new()
    }

    /// Everything that its later steps depend on.
    fn state(&self) -> State {
        self.learners().into_iter().flat_map(|(name, learner)| learner.state(name)).collect()
    }

    /// Takes over its state after `step` steps of the generator.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    fn restore(&mut self, step: u64, tensors: &Tensors) -> Result<()> {
        self.learners_mut().into_iter().try_for_each(|(name, learner)| learner.restore(name, step, tensors))
    }

    /// Takes over networks of another run where they fit; the others begin anew, which the remarks say.
    fn adopt(&mut self, tensors: &Tensors) -> Vec<String> {
        let has =
            |name: &str| tensors.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        let mut remarks = Vec::new();
        for (name, learner) in self.learners_mut() {
            match learner.adopt(name, tensors) {
                Ok(()) => {}
                Err(_) if !has(name) => remarks.push(format!("the {name} starts from scratch: there is none yet")),
                Err(fault) => remarks
                    .push(format!("the {name} starts from scratch: that of the other run has another form ({fault})")),
            }
        }
        remarks
    }

    /// It as it is, to be gone back to.
    fn copied(&self) -> Box<dyn Opponent>;
}
