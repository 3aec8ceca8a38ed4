//! Which values of a configuration can be trained with: every refusal names the key, the value and what is allowed.

use super::{Config, Critic, Generator, Objective, Optimiser, Schedule, Score, Spectral};
use crate::loss::{Beside, Regulariser, one_feature};
use crate::range::{count, within};
use kme::{Error, Result};

impl Config {
    /// Refuses values that cannot be trained with.
    ///
    /// # Errors
    /// By the dotted key, [`Error::Parameter`] of a value that is not allowed, [`Error::Missing`] of a table that the
    /// objective needs, [`Error::NotApplicable`] of what has no effect.
    pub fn check(&self) -> Result<()> {
        const MANY: u64 = 1_000_000_000;
        // TOML's whole numbers are signed.
        count("seed", self.seed, 0..=i64::MAX as u64)?;
        count("steps", self.steps, 1..=MANY)?;
        // The kernel is computed of all pairs of a batch.
        count("batch", self.batch as u64, 2..=16_384)?;
        count("log.every", self.log.every, 1..=MANY)?;
        count("log.samples", self.log.samples, 1..=MANY)?;
        count("log.checkpoint", self.log.checkpoint, 1..=MANY)?;
        count("log.keep", self.log.keep, 0..=10_000)?;
        within("log.minutes", self.log.minutes, 0.0..=1e6)?;
        count("score.count", self.score.count as u64, 2..=1_000_000)?;
        let scores_by_features = self.generates() && !self.data.is_points();
        if !scores_by_features && self.score.features != Score::default().features {
            let reason = "only generators of pictures are scored in features. Leave it out";
            return Err(Error::not_applicable("score.features", reason));
        }
        self.data.check()?;
        self.optimiser.check()?;
        self.schedule.check(self)?;
        self.check_parts()?;
        self.objective.check(self)
    }

    /// Whether the tables that the objective needs are there, and no others.
    fn check_parts(&self) -> Result<()> {
        let part = |key: &'static str, wanted: bool, found: bool| match (wanted, found) {
            (true, false) => Err(Error::missing(key, format!("this objective needs a table [{key}]"))),
            (false, true) => {
                Err(Error::not_applicable(key, format!("this objective trains no {key}. Remove the table")))
            }
            _ => Ok(()),
        };
        part("generator", self.generates(), self.generator.is_some())?;
        part("critic", self.has_critic(), self.critic.is_some())?;
        if let Some(generator) = &self.generator {
            generator.check(self)?;
        }
        match &self.critic {
            Some(critic) => critic.check(self)?,
            None if self.regulariser != Regulariser::default() => {
                return Err(Error::not_applicable("regulariser", "no critic is trained. Remove the table"));
            }
            None => {}
        }
        Ok(())
    }
}

impl Optimiser {
    fn check(&self) -> Result<()> {
        within("optimiser.learning_rate", self.learning_rate(), 1e-9..=1e4)?;
        if let Some(clip) = self.clip() {
            within("optimiser.clip", clip, 1e-9..=1e9)?;
        }
        match self {
            Self::Adam(adam) => {
                within("optimiser.beta1", adam.beta1, 0.0..=0.9999)?;
                within("optimiser.beta2", adam.beta2, 0.0..=0.999999)
            }
            Self::Sgd(sgd) => within("optimiser.momentum", sgd.momentum, 0.0..=0.9999),
            Self::Rmsprop(rmsprop) => within("optimiser.decay", rmsprop.decay, 0.0..=0.999999),
        }
    }
}

impl Schedule {
    fn check(&self, config: &Config) -> Result<()> {
        match self {
            Self::Constant(_) => Ok(()),
            Self::Cosine(cosine) => within("schedule.final_fraction", cosine.final_fraction, 0.0..=1.0),
            Self::Decay(decay) => {
                within("schedule.factor", decay.factor, 1e-6..=1.0)?;
                within("schedule.least", decay.least, 0.0..=1.0)?;
                count("schedule.every", decay.every, 1..=1_000_000_000)
            }
            Self::Drop(drop) => {
                within("schedule.factor", drop.factor, 1e-6..=1.0)?;
                match (drop.momentum, &config.optimiser) {
                    (None, _) => Ok(()),
                    (Some(momentum), Optimiser::Sgd(_)) => within("schedule.momentum", momentum, 0.0..=0.9999),
                    (Some(_), _) => {
                        let reason = "only the optimiser sgd has a momentum. Remove it, or choose sgd";
                        Err(Error::not_applicable("schedule.momentum", reason))
                    }
                }
            }
            Self::ThreeSample(rule) => {
                within("schedule.factor", rule.factor, 1e-6..=1.0)?;
                within("schedule.least", rule.least, 0.0..=1.0)?;
                count("schedule.every", rule.every, 1..=1_000_000_000)?;
                count("schedule.samples", rule.samples as u64, 3..=100_000)?;
                // The rule checks its own numbers.
                crate::train::schedule::Schedule::new(self, 1.0, 1)?;
                if !config.generates() {
                    let allowed = "another schedule, since no generator is trained";
                    return Err(Error::parameter("schedule.kind", "three-sample", allowed));
                }
                Ok(())
            }
        }
    }
}

impl Generator {
    fn check(&self, config: &Config) -> Result<()> {
        count("generator.latent.dim", self.latent.dim as u64, 1..=8192)?;
        within("generator.ema_decay", self.ema_decay, 0.0..=0.999999)?;
        if self.conditional && (!config.has_critic() || self.decoder.is_some()) {
            let allowed = "false, unless a critic of the pictures themselves sees the labels too";
            return Err(Error::parameter("generator.conditional", true, allowed));
        }
        Ok(())
    }
}

impl Critic {
    fn check(&self, config: &Config) -> Result<()> {
        count("critic.top", self.top as u64, 1..=8192)?;
        count("critic.steps", self.steps, 1..=1000)?;
        if let Some(burst) = &self.burst {
            count("critic.burst.steps", burst.steps, 1..=1000)?;
            count("critic.burst.every", burst.every, 1..=1_000_000_000)?;
            count("critic.burst.until", burst.until, 0..=1_000_000_000)?;
        }
        if let Some(clip) = self.clip_weights {
            within("critic.clip_weights", clip, 1e-9..=1e9)?;
            if self.spectral == Some(Spectral::Learned) {
                let allowed = "left out beside critic.spectral = \"learned\", whose scales it would hold near 0";
                return Err(Error::parameter("critic.clip_weights", clip, allowed));
            }
        }
        if let Some(rate) = self.learning_rate {
            within("critic.learning_rate", rate, 1e-9..=1e4)?;
        }
        let regulariser = &config.regulariser;
        for (key, value) in [
            ("gradient_penalty", regulariser.gradient_penalty),
            ("activation_penalty", regulariser.activation_penalty),
            ("asymmetric", regulariser.asymmetric),
            ("order", regulariser.order),
            ("reconstruction", regulariser.reconstruction),
        ] {
            within(&format!("regulariser.{key}"), value, 0.0..=1e6)?;
        }
        if (regulariser.reconstruction > 0.0) != self.decoder.is_some() {
            let allowed = match self.decoder {
                Some(_) => "above 0, since there is a critic.decoder",
                None => "0, since there is no critic.decoder",
            };
            return Err(Error::parameter("regulariser.reconstruction", regulariser.reconstruction, allowed));
        }
        let differentiates = regulariser.gradient_penalty > 0.0 || regulariser.scale.is_some();
        if differentiates && self.net.has_batch_norm() {
            let allowed = "without it, since regulariser.gradient_penalty and regulariser.scale need the derivatives of a \
                           picture's features, not of a whole batch's";
            return Err(Error::parameter("critic.net", "with batch normalisation", allowed));
        }
        if let Some(scale) = &regulariser.scale {
            within("regulariser.scale.weight", scale.weight, 0.0..=1e9)?;
            within("regulariser.scale.offset", scale.offset, 1e-9..=1e9)?;
        }
        Ok(())
    }
}

impl Objective {
    fn check(&self, config: &Config) -> Result<()> {
        if let Some(settings) = self.divergence() {
            let (top, regulariser) = (config.critic.as_ref().map(|critic| critic.top), &config.regulariser);
            let divergence = settings.divergence(&Beside { top, regulariser })?;
            if let Some(top) = top.filter(|&top| top != 1 && divergence.needs_one_feature()) {
                return Err(one_feature(top));
            }
            if regulariser.scale.is_some() && divergence.scaled().is_none() {
                let reason = "only the objectives mmd and wasserstein are scaled. Remove the table";
                return Err(Error::not_applicable("regulariser.scale", reason));
            }
        }
        match self {
            Self::Classifier(classifier) => {
                let (size, _) = config.data.picture()?;
                if !size.is_multiple_of(4) {
                    return Err(Error::parameter("data.size", size, "a multiple of 4 for the classifier"));
                }
                count("objective.width", classifier.width as u64, 1..=8192)?;
                count("objective.features", classifier.features as u64, 1..=8192)?;
                within("objective.shift", classifier.shift as f64, 0.0..=(size as f64 / 4.0))
            }
            Self::Autoencoder(autoencoder) => within("objective.input_dropout", autoencoder.input_dropout, 0.0..=0.95),
            _ => Ok(()),
        }
    }
}
