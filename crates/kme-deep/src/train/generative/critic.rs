//! A critic that learns beside the generator, perhaps with a decoder of its features.

use super::super::config::{self, Burst, Config};
use super::super::learner::Learner;
use super::super::optimiser::Pace;
use super::super::parallel::{self, Collective, StepGradients, TeamResult};
use super::super::task::Numbers;
use super::opponent::Opponent;
use crate::loss::{Features, Objective, Pictures};
use burn::tensor::Tensor;
use kme::Result;
use kme_net::{Mode, Net, Place, flat};

/// The critic with its decoder, and how they move.
#[derive(Clone)]
pub(super) struct Critic {
    settings: config::Critic,
    learner: Learner,
    decoder: Option<Learner>,
    rate: f64,
}

impl Critic {
    /// One of samples of this shape, with `classes` planes of labels behind their channels.
    pub(super) fn new(
        config: &Config,
        settings: &config::Critic,
        [c, h, w]: [usize; 3],
        classes: usize,
        place: &Place,
    ) -> Result<Self> {
        let input = [c + classes, h, w];
        let layers = settings.net.layers(input, settings.top)?;
        // Another seed than the generator's, so that no two layers start alike.
        let seed = config.seed ^ 0xc717_1c00;
        let mut net = Net::new(layers, input, settings.net.init(), seed, place)?;
        if let Some(spectral) = settings.spectral {
            net = net.with_spectral(spectral == config::Spectral::Learned, seed)?;
        }
        let decoder = match &settings.decoder {
            None => None,
            Some(decoder) => {
                let layers = decoder.layers(settings.top, [c, h, w])?;
                let net = Net::new(layers, [settings.top, 1, 1], decoder.init(), config.seed ^ 0xdec0_de00, place)?;
                Some(Learner::new(net, &config.optimiser))
            }
        };
        let rate = settings.learning_rate.unwrap_or(config.optimiser.learning_rate());
        Ok(Self { settings: settings.clone(), learner: Learner::new(net, &config.optimiser), decoder, rate })
    }

    fn clip_weights(&mut self) {
        let Some(clip) = self.settings.clip_weights else { return };
        self.learner.net = self
            .learner
            .net
            .map_values(|p| if p.is_trained() { p.value.clone().clamp(-clip, clip) } else { p.value.clone() });
    }
}

impl Opponent for Critic {
    fn features(&self, samples: Tensor<4>, planes: Option<&Tensor<4>>) -> Result<Vec<Tensor<2>>> {
        let channels = [samples].into_iter().chain(planes.cloned()).collect();
        Ok(vec![flat(self.learner.net.effective().forward(Tensor::cat(channels, 1), Mode::Train)?)])
    }

    fn see(&mut self, objective: &Objective, pictures: &Pictures) -> Result<(Vec<Features>, Option<Tensor<1>>)> {
        self.learner.net.power_iterate(1);
        let (features, variation) = objective.see_generated(&self.learner.net.effective(), pictures)?;
        Ok((vec![features], variation))
    }

    fn steps(&self, step: u64) -> u64 {
        match &self.settings.burst {
            Some(burst) if burst.is_at(step) => burst.steps,
            _ => self.settings.steps,
        }
    }

    fn steps_before(&self, step: u64) -> u64 {
        let Some(burst) = &self.settings.burst else { return step * self.settings.steps };
        let bursts = burst.before(step);
        bursts * burst.steps + (step - bursts) * self.settings.steps
    }

    fn step(
        &mut self,
        objective: &Objective,
        pictures: &Pictures,
        pace: Pace,
        team: &dyn Collective,
    ) -> TeamResult<Numbers> {
        self.learner.net.power_iterate(1);
        let decoder = self.decoder.as_ref().map(|learner| &learner.net);
        let descent = parallel::critic(objective, &self.learner.net, decoder, pictures, team)?;
        if !descent.is_finite() {
            // Nothing moves: the state stays the last good one.
            return Ok(descent.numbers);
        }
        let StepGradients { gradients, decoder, numbers } = descent;
        self.learner.step(gradients, self.rate, pace);
        if let Some(learner) = &mut self.decoder {
            learner.step(decoder, self.rate, pace);
        }
        self.clip_weights();
        Ok(numbers)
    }

    fn learning_rate(&self) -> Option<f64> {
        self.settings.learning_rate
    }

    fn learners(&self) -> Vec<(&'static str, &Learner)> {
        let decoder = self.decoder.iter().map(|decoder| ("decoder", decoder));
        [("critic", &self.learner)].into_iter().chain(decoder).collect()
    }

    fn learners_mut(&mut self) -> Vec<(&'static str, &mut Learner)> {
        let decoder = self.decoder.iter_mut().map(|decoder| ("decoder", decoder));
        [("critic", &mut self.learner)].into_iter().chain(decoder).collect()
    }

    fn copied(&self) -> Box<dyn Opponent> {
        Box::new(self.clone())
    }
}

impl Burst {
    fn is_at(&self, step: u64) -> bool {
        step < self.until || step.is_multiple_of(self.every)
    }

    /// How many of the steps 0, …, `step` − 1 are bursts.
    fn before(&self, step: u64) -> u64 {
        let early = step.min(self.until);
        // Multiples of `every` from `early` on and below `step`.
        early + step.div_ceil(self.every) - early.div_ceil(self.every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_are_counted() {
        for burst in [
            Burst { until: 3, every: 5, steps: 9 },
            Burst { until: 0, every: 1, steps: 2 },
            Burst { until: 7, every: 4, steps: 1 },
        ] {
            for step in 0..40 {
                assert_eq!(
                    burst.before(step),
                    (0..step).filter(|&s| burst.is_at(s)).count() as u64,
                    "{burst:?} at {step}"
                );
            }
        }
    }
}
