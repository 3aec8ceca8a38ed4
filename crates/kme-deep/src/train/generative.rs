//! A generator against a discrepancy: of samples, of features, or of what a critic learns beside it.
//!
//! One step: as often as the opponent says, it goes down its own loss on a batch of real and one of generated samples; then
//! the generator goes down its own with the opponent held fixed. What the losses are is said by [`Objective`]; against an
//! opponent that does not learn only the second half remains. See [`crate::loss::Objective`] for the formulas.

mod critic;
mod frozen;
mod opponent;
mod sheet;
mod step;
mod supply;

use super::config::{self, Config};
use super::feed::Feed;
use super::judge::Judge;
use super::learner::Learner;
use super::optimiser::Pace;
use super::parallel::{Collective, TeamResult};
use super::plan::{Game, Rival};
use super::task::{Finding, Numbers, Sheet, State, Task, first_fault_of, net_state, restored_net};
use crate::loss::{Draw, Objective};
use critic::Critic;
use frozen::Frozen;
use kme::rng;
use kme::{Error, Field, Marginals, Result};
use kme_net::{Autoencoder, FeatureMap, Net, NetworkGenerator, Place, Provenance, Tensors, portable, recorded};
use opponent::Opponent;
use rand::RngExt;
use std::path::Path;
use std::sync::Arc;
use supply::Supply;

pub(super) struct Trainer {
    config: Config,
    settings: config::Generator,
    objective: Objective,
    generator: Learner,
    average: Net,
    opponent: Box<dyn Opponent>,
    /// The dimensions of the features that are compared, one for each tensor of them.
    features: Vec<usize>,
    /// What moves, as it was before the step under way or the one that failed.
    before: Option<(Learner, Net, Box<dyn Opponent>)>,
    supply: Supply,
    judge: Judge,
    made: Provenance,
    /// The other workers, where there are any. Each has its rows of every batch.
    collective: Box<dyn Collective>,
    place: Place,
}

/// What a trainer is given, ready to use.
pub(super) struct Parts {
    pub feed: Feed,
    pub autoencoder: Option<Autoencoder>,
    /// Where there is no critic: features that are not learned, perhaps the samples themselves.
    pub frozen: Arc<dyn FeatureMap>,
    pub judge: Judge,
    pub made: Provenance,
    pub collective: Box<dyn Collective>,
}

impl Trainer {
    pub(super) fn new(config: &Config, game: &Game, parts: Parts, place: &Place) -> Result<Self> {
        let settings = &game.generator;
        let Parts { feed, autoencoder, frozen, judge, made, collective } = parts;
        let supply = Supply::new(feed, autoencoder, settings, config, place)?;
        let (shape, classes) = (supply.shape(), supply.classes());
        let layers = settings.net.layers(settings.latent.dim + classes, shape)?;
        let inputs = [settings.latent.dim + classes, 1, 1];
        let generator = Net::new(layers, inputs, settings.net.init(), config.seed, place)?;
        if generator.output() != shape {
            let [found, wanted] = [generator.output(), shape].map(|shape| format!("{shape:?}"));
            let field = Field::Shape("generator.net's output and the data".into());
            return Err(Error::mismatch(field, found, wanted, "choose another generator.net"));
        }
        let (opponent, features): (Box<dyn Opponent>, _) = match &game.rival {
            Rival::Critic(critic) => (Box::new(Critic::new(config, critic, shape, classes, place)?), vec![critic.top]),
            Rival::Network(_) | Rival::Samples => {
                let opponent = Frozen(frozen);
                // Tried once, so that what does not fit is said before the first step.
                let [c, h, w] = shape;
                let tensors = opponent.features(place.zeros([1, c, h, w]), None)?;
                (Box::new(opponent), tensors.iter().map(|t| t.dims()[1]).collect())
            }
        };
        let mut trainer = Self {
            objective: game.objective.clone(),
            average: generator.clone(),
            generator: Learner::new(generator, &config.optimiser),
            opponent,
            features,
            before: None,
            supply,
            config: config.clone(),
            settings: settings.clone(),
            made,
            judge,
            collective,
            place: place.clone(),
        };
        trainer.draw(0)?;
        Ok(trainer)
    }

    /// The divergence of step `step`, where it has something that is drawn.
    fn draw(&mut self, step: u64) -> Result<()> {
        let draw = Draw { seed: self.config.seed, step, features: &self.features, place: &self.place };
        if let Some(drawn) = self.objective.divergence.drawn(&draw)? {
            self.objective.divergence = drawn;
        }
        Ok(())
    }

    pub(super) fn collective(&self) -> &dyn Collective {
        &*self.collective
    }

    /// Where the opponent's steps before generator step `step` begin among all batches, and how many they are.
    fn batches(&self, step: u64) -> (u64, u64) {
        (self.opponent.steps_before(step) + step, self.opponent.steps(step))
    }

    /// The average follows quickly at first: its decay is at most (1 + t)/(10 + t) at step t.
    fn move_average(&mut self, step: u64) {
        let decay = self.settings.ema_decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let mut latest = self.generator.net.params().iter();
        self.average = self.average.map_values(|p| {
            let new = latest.next().expect("average and generator have the same parameters").value.clone();
            if self.settings.ema_decay == 0.0 { new } else { p.value.clone() * decay + new * (1.0 - decay) }
        });
    }

    fn model(&self, step: u64) -> Result<NetworkGenerator> {
        let net = match self.supply.decoder() {
            None => self.average.clone(),
            Some(decoder) => self.average.followed_by(decoder)?,
        };
        Ok(NetworkGenerator {
            net,
            latent: self.settings.latent,
            classes: self.supply.class_names(),
            points: self.config.data.is_points(),
            features: portable(&self.config.score.features),
            features_sha256: recorded(&self.config.score.features, self.judge.network()).map(str::to_string),
            crop: self.config.data.crop,
            background: self.config.data.background,
            made: Provenance { steps: step, ..self.made.clone() },
            sha256: String::new(),
        })
    }

    /// All that learns, by the names that it has in checkpoints.
    fn learners(&self) -> impl Iterator<Item = (&'static str, &Net)> {
        let opponent = self.opponent.learners().into_iter().map(|(name, learner)| (name, &learner.net));
        [("generator", &self.generator.net)].into_iter().chain(opponent)
    }
}

impl Task for Trainer {
    fn step(&mut self, step: u64, pace: Pace) -> TeamResult<Numbers> {
        self.before = Some((self.generator.clone(), self.average.clone(), self.opponent.copied()));
        self.draw(step)?;
        let (first, count) = self.batches(step);
        let mut numbers = Numbers::new();
        for i in 0..count {
            numbers = self.opponent_step(first + i, pace)?;
            if numbers.iter().any(|(_, value)| !value.is_finite()) {
                return Ok(numbers);
            }
        }
        numbers.extend(self.generator_step(step, first + count, pace)?);
        if numbers.iter().all(|(_, value)| value.is_finite()) {
            self.before = None;
        }
        numbers.push(("learning_rate", self.config.optimiser.learning_rate() * pace.factor));
        if let Some(rate) = self.opponent.learning_rate() {
            numbers.push(("critic_learning_rate", rate * pace.factor));
        }
        Ok(numbers)
    }

    fn remarks(&self) -> Vec<String> {
        let which: Vec<_> = self.learners().filter(|(_, net)| net.has_batch_norm()).map(|(name, _)| name).collect();
        let workers = self.collective.size();
        if workers == 1 || which.is_empty() {
            return Vec::new();
        }
        let (which, share) = (which.join(" and "), self.config.batch / workers);
        vec![format!(
            "batch normalisation of the {which} has the statistics of each worker's {share} samples, not of all"
        )]
    }

    fn score(&self) -> Result<Numbers> {
        // Other latents than those of `kme sample`: the best state is chosen by them.
        let seed = rng::stream(self.config.seed, "score", 0).random();
        self.judge.score(&self.model(0)?, seed)
    }

    fn sums(&mut self, samples: usize, step: u64) -> Result<Option<Marginals>> {
        let model = self.model(0)?;
        let seed = rng::stream(self.config.seed, "progress", step).random();
        self.judge.sums(&model, samples, seed).map(Some)
    }

    fn samples(&self) -> Result<Option<Sheet>> {
        self.sheet().map(Some)
    }

    fn write_model(&self, path: &Path, step: u64) -> Result<()> {
        self.model(step)?.write(path)
    }

    fn state(&self) -> State {
        let mut state = self.generator.state("generator");
        state.extend(net_state("average", &self.average));
        state.extend(self.opponent.state());
        state
    }

    fn restore(&mut self, step: u64, tensors: &Tensors) -> TeamResult<()> {
        self.generator.restore("generator", step, tensors)?;
        self.average = restored_net("average", &self.average, tensors)?;
        Ok(self.opponent.restore(step, tensors)?)
    }

    /// The generator must fit; an opponent of another form, or none, begins anew.
    fn adopt(&mut self, tensors: &Tensors) -> TeamResult<Vec<String>> {
        self.generator.adopt("generator", tensors)?;
        self.average = restored_net("average", &self.average, tensors)?;
        Ok(self.opponent.adopt(tensors))
    }

    /// Looks through the step that went wrong: parameters first, then what the networks make of each of its batches.
    fn fault(&mut self, step: u64) -> Result<Option<Finding>> {
        if let Some(found) = self.learners().find_map(|(name, net)| first_fault_of(name, net)) {
            return Ok(Some(found));
        }
        let (first, count) = self.batches(step);
        for draw in first..first + count {
            if let Some(found) = self.fault_in(draw, "critic latents", draw)? {
                return Ok(Some(found));
            }
        }
        self.fault_in(first + count, "generator latents", step)
    }

    fn undo(&mut self) {
        if let Some((generator, average, opponent)) = self.before.take() {
            (self.generator, self.average, self.opponent) = (generator, average, opponent);
        }
    }
}
