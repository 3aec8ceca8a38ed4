//! The two halves of a step: the opponent's, and the generator's.

use super::super::optimiser::Pace;
use super::super::parallel::{self, TeamResult};
use super::super::task::{Finding, Numbers, first_fault};
use super::Trainer;
use super::supply::Real;
use crate::loss::Pictures;
use burn::tensor::Tensor;
use kme::Result;
use kme_net::{Mode, Role, place};
use std::ops::Range;

impl Trainer {
    /// This worker's rows of a batch.
    fn own(&self) -> Range<usize> {
        let (rank, share) = (self.collective.rank(), self.config.batch / self.collective.size());
        rank * share..(rank + 1) * share
    }

    /// The opponent's step on batch `draw`.
    pub(super) fn opponent_step(&mut self, draw: u64, pace: Pace) -> TeamResult<Numbers> {
        let rows = self.own();
        let Real { samples, labels } = self.supply.real(draw, rows.clone())?;
        let generate = |purpose| {
            let latents = self.supply.latents(rows.clone(), purpose, draw, labels.as_ref());
            self.generator.net.forward(latents, Mode::Train)
        };
        let fake = generate("critic latents")?;
        let needs_second = self.objective.divergence.needs_second();
        let second = if needs_second { Some(generate("critic second latents")?) } else { None };
        let mix = (self.objective.regulariser.gradient_penalty > 0.0).then(|| self.supply.mix(draw, rows.clone()));
        let pictures = Pictures { real: samples, fake, second, labels: self.supply.planes(&labels), mix };
        self.opponent.step(&self.objective, &pictures, pace, &*self.collective)
    }

    /// The generator's step number `step`, on batch `draw`.
    pub(super) fn generator_step(&mut self, step: u64, draw: u64, pace: Pace) -> TeamResult<Numbers> {
        let rows = self.own();
        let Real { samples, labels } = self.supply.real(draw, rows.clone())?;
        let generator = self.generator.net.tracked();
        let latents = |purpose| self.supply.latents(rows.clone(), purpose, step, labels.as_ref());
        let pass = generator.pass(latents("generator latents"), Mode::Train, false)?;
        let fake = pass.output.clone();
        let second = match self.objective.divergence.needs_second() {
            false => None,
            true => Some(generator.forward(latents("generator second latents"), Mode::Train)?),
        };
        let pictures = Pictures { real: samples, fake, second, labels: self.supply.planes(&labels), mix: None };
        let (features, variation) = self.opponent.see(&self.objective, &pictures)?;
        let descent = parallel::generator(&self.objective, &generator, &features, variation, &*self.collective)?;
        if !descent.is_finite() {
            return Ok(descent.numbers);
        }
        let rate = self.config.optimiser.learning_rate();
        self.generator.step(descent.gradients, rate, pace);
        self.generator.net.update_running_statistics(&pass);
        self.share_running_statistics()?;
        self.move_average(step);
        Ok(descent.numbers)
    }

    /// Running statistics of batch normalisation become the means over workers, each of whom has seen its own share.
    fn share_running_statistics(&mut self) -> TeamResult<()> {
        let is_running = |role: Role| matches!(role, Role::RunningMean | Role::RunningVariance);
        if self.collective.size() == 1 {
            return Ok(());
        }
        let running = self.generator.net.params().iter().filter(|p| is_running(p.role));
        let sums = self.collective.sum(running.map(|p| p.value.clone()).collect())?;
        let mut means = sums.into_iter().map(|sum| sum / self.collective.size() as f64);
        self.generator.net = self.generator.net.map_values(|p| match is_running(p.role) {
            true => means.next().expect("one for each that was asked for"),
            false => p.value.clone(),
        });
        Ok(())
    }

    /// The first tensor that is not finite of a batch of real samples and one of generated ones, made of latents number
    /// `index`.
    pub(super) fn fault_in(&mut self, draw: u64, purpose: &str, index: u64) -> Result<Option<Finding>> {
        let n = self.config.batch;
        let Real { samples, labels } = self.supply.real(draw, 0..n)?;
        let latents = self.supply.latents(0..n, purpose, index, labels.as_ref());
        let fake = self.generator.net.forward(latents, Mode::Train)?;
        let planes = self.supply.planes(&labels);
        let features = |samples: &Tensor<4>| self.opponent.features(samples.clone(), planes.as_ref());
        let (of_real, of_fake) = (features(&samples)?, features(&fake)?);
        let mut tensors =
            vec![("real samples", place::numbers_f32(samples)), ("generated samples", place::numbers_f32(fake))];
        let named = |name: &'static str, of: Vec<Tensor<2>>| of.into_iter().map(move |t| (name, place::numbers_f32(t)));
        tensors.extend(named("features of real samples", of_real));
        tensors.extend(named("features of generated samples", of_fake));
        Ok(first_fault(tensors.iter().map(|(name, values)| (*name, values.as_slice()))))
    }
}
