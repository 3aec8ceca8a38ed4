//! A generator against a discrepancy: of samples, of features, or of what a critic learns beside it.
//!
//! One step: `critic.steps` times, the critic goes down its loss on a batch of real and one of generated samples; then the
//! generator goes down its own with the critic held fixed. What the losses are is said by [`Objective`]; without a critic only
//! the second half remains. See [`crate::loss::Objective`] for the formulas.

use super::config::{self, Burst, Config};
use super::feed::Feed;
use super::judge::Judge;
use super::learner::Learner;
use super::optimiser::Pace;
use super::parallel::{self, Collective, Descent, TeamResult};
use super::task::{
    Finding, Numbers, Sheet, Task, first_fault, first_fault_of, net_state, restored_net, sheet_pictures,
};
use crate::loss::{Beside, Draw, Features, Objective, Pictures};
use burn::tensor::Tensor;
use kme::inference::Marginals;
use kme::{Error, Field, Result, rng};
use kme_net::{
    Autoencoder, FeatureMap, Mode, Net, NetworkGenerator, Place, Provenance, Role, Tensors, flat, images_of, place,
    portable, recorded,
};
use rand::RngExt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Points on a scatter plot.
const SCATTER: usize = 2000;

pub(super) struct Trainer {
    config: Config,
    settings: config::Generator,
    objective: Objective,
    /// Where there is no critic: features that are not learned, perhaps the samples themselves.
    frozen: Arc<dyn FeatureMap>,
    /// The number of features that are compared.
    features: usize,
    /// Encoder and decoder: real samples are encoded, and what the generator makes is decoded.
    autoencoder: Option<(Net, Net)>,
    made: Provenance,
    generator: Learner,
    average: Net,
    critic: Option<Critic>,
    /// What moves, as it was before the step under way or the one that failed.
    before: Option<(Learner, Net, Option<Critic>)>,
    feed: Feed,
    judge: Judge,
    /// The other workers, where there are any. Each has its rows of every batch.
    collective: Box<dyn Collective>,
    place: Place,
}

/// What a trainer is given, ready to use.
pub(super) struct Parts {
    pub feed: Feed,
    pub autoencoder: Option<Autoencoder>,
    pub frozen: Arc<dyn FeatureMap>,
    pub judge: Judge,
    pub made: Provenance,
    pub collective: Box<dyn Collective>,
}

/// The critic with its decoder, and how they move.
#[derive(Clone)]
struct Critic {
    settings: config::Critic,
    learner: Learner,
    decoder: Option<Learner>,
}

/// A batch of real samples with the labels that all networks see, where they see any.
struct Real {
    samples: Tensor<4>,
    /// One-hot labels, (n, classes, 1, 1).
    labels: Option<Tensor<4>>,
}

impl Trainer {
    pub(super) fn new(config: &Config, settings: &config::Generator, parts: Parts, place: &Place) -> Result<Self> {
        let Parts { feed, autoencoder, frozen, judge, made, collective } = parts;
        let autoencoder = autoencoder.map(|a| Ok::<_, Error>((a.encoder()?, a.decoder()?))).transpose()?;
        let shape = match &autoencoder {
            None => feed.shape(),
            Some((encoder, _)) if encoder.input() == feed.shape() => encoder.output(),
            Some((encoder, _)) => {
                let [found, allowed] = [feed.shape(), encoder.input()].map(|shape| format!("{shape:?}"));
                return Err(Error::mismatch(
                    Field::Shape("the data and the autoencoder's input".into()),
                    found,
                    allowed,
                    "train one of such data",
                ));
            }
        };
        let classes = if settings.conditional { feed.classes().len() } else { 0 };
        if settings.conditional && classes == 0 {
            let allowed = "samples with labels, since generator.conditional is true";
            return Err(Error::parameter("data.source", &config.data.source, allowed));
        }
        let layers = settings.net.layers(settings.latent.dim + classes, shape)?;
        let inputs = [settings.latent.dim + classes, 1, 1];
        let generator = Net::new(layers, inputs, settings.net.init(), config.seed, place)?;
        if generator.output() != shape {
            let [found, wanted] = [generator.output(), shape].map(|shape| format!("{shape:?}"));
            let field = Field::Shape("generator.net's output and the data".into());
            return Err(Error::mismatch(field, found, wanted, "choose another generator.net"));
        }
        let critic =
            config.critic.as_ref().map(|critic| Critic::new(config, critic, shape, classes, place)).transpose()?;
        let Some(settings_of) = config.objective.divergence() else {
            return Err(Error::unsupported("train a generator by this objective", "it trains another network"));
        };
        let top = config.critic.as_ref().map(|critic| critic.top);
        let divergence = settings_of.divergence(&Beside { top, regulariser: &config.regulariser })?;
        let mut trainer = Self {
            objective: Objective { divergence, regulariser: config.regulariser.clone() },
            average: generator.clone(),
            generator: Learner::new(generator, &config.optimiser),
            critic,
            before: None,
            frozen,
            features: 0,
            autoencoder,
            config: config.clone(),
            settings: settings.clone(),
            made,
            feed,
            judge,
            collective,
            place: place.clone(),
        };
        // Tried once, so that what does not fit is said before the first step.
        let [c, h, w] = shape;
        let found = trainer.frozen.tensor(place.zeros([1, c, h, w]))?.dims()[1];
        trainer.features = top.unwrap_or(found);
        trainer.draw(0)?;
        Ok(trainer)
    }

    /// The divergence of step `step`, where it has something that is drawn.
    fn draw(&mut self, step: u64) -> Result<()> {
        let draw = Draw { seed: self.config.seed, step, features: self.features, place: &self.place };
        if let Some(drawn) = self.objective.divergence.drawn(&draw)? {
            self.objective.divergence = drawn;
        }
        Ok(())
    }

    pub(super) fn collective(&self) -> &dyn Collective {
        &*self.collective
    }

    /// This worker's rows of a batch.
    fn own(&self) -> Range<usize> {
        let (rank, share) = (self.collective.rank(), self.config.batch / self.collective.size());
        rank * share..(rank + 1) * share
    }

    /// The rows `rows` of constant latents for draw number `index`, with the labels behind them.
    fn latents(&self, rows: Range<usize>, purpose: &str, index: u64, labels: Option<&Tensor<4>>) -> Tensor<4> {
        let dim = self.settings.latent.dim;
        let mut z = self.settings.latent.draw(rows.end, &mut rng::stream(self.config.seed, purpose, index));
        let z = self.place.tensor(z.split_off(rows.start * dim), [rows.len(), dim, 1, 1]);
        match labels {
            None => z,
            Some(labels) => Tensor::cat(vec![z, labels.clone()], 1),
        }
    }

    /// The rows `rows` of batch number `draw`.
    fn real(&mut self, draw: u64, rows: Range<usize>) -> Result<Real> {
        let mut batch = self.feed.batch(draw)?;
        let [n, c, h, w] = batch.shape;
        debug_assert_eq!(n, self.config.batch);
        let labels = match (self.settings.conditional, &batch.labels) {
            (false, _) => None,
            (true, Some(labels)) => Some(self.one_hot(&labels[rows.clone()])?),
            (true, None) => return Err(Error::missing("labels", "give one for each sample")),
        };
        batch.values.truncate(rows.end * c * h * w);
        let samples = self.place.tensor(batch.values.split_off(rows.start * c * h * w), [rows.len(), c, h, w]);
        let samples = match &self.autoencoder {
            None => samples,
            Some((encoder, _)) => encoder.forward(samples, Mode::Evaluate)?,
        };
        Ok(Real { samples, labels })
    }

    /// Labels as unit vectors, (n, classes, 1, 1).
    fn one_hot(&self, labels: &[u32]) -> Result<Tensor<4>> {
        let classes = self.classes();
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
            return Err(Error::parameter("label", label, format!("0 to {}", classes - 1)));
        }
        let numbers =
            labels.iter().flat_map(|&label| (0..classes).map(move |c| if c == label as usize { 1.0 } else { 0.0 }));
        Ok(self.place.tensor(numbers.collect(), [labels.len(), classes, 1, 1]))
    }

    fn classes(&self) -> usize {
        self.generator.net.input()[0] - self.settings.latent.dim
    }

    /// Labels as planes over the picture.
    fn planes(&self, labels: &Option<Tensor<4>>) -> Option<Tensor<4>> {
        let [_, h, w] = self.generator.net.output();
        labels.as_ref().map(|labels| {
            let [n, k, _, _] = labels.dims();
            labels.clone().expand([n, k, h, w])
        })
    }

    fn critic_step(&mut self, draw: u64, pace: Pace) -> TeamResult<Numbers> {
        let rows = self.own();
        let Real { samples, labels } = self.real(draw, rows.clone())?;
        let generate = |purpose| {
            self.generator.net.forward(self.latents(rows.clone(), purpose, draw, labels.as_ref()), Mode::Train)
        };
        let fake = generate("critic latents")?;
        let second =
            if self.objective.divergence.needs_second() { Some(generate("critic second latents")?) } else { None };
        let mix = (self.objective.regulariser.gradient_penalty > 0.0).then(|| {
            let mut rng = rng::stream(self.config.seed, "penalty", draw);
            let mut mix: Vec<f32> = (0..rows.end).map(|_| rng.random()).collect();
            self.place.tensor(mix.split_off(rows.start), [rows.len(), 1, 1, 1])
        });
        let pictures = Pictures { real: samples, fake, second, labels: self.planes(&labels), mix };
        let Some(critic) = &mut self.critic else { return Ok(Numbers::new()) };
        critic.learner.net.power_iterate(1);
        let decoder = critic.decoder.as_ref().map(|learner| &learner.net);
        let descent = parallel::critic(&self.objective, &critic.learner.net, decoder, &pictures, &*self.collective)?;
        if !descent.is_finite() {
            // Nothing moves: the state stays the last good one.
            return Ok(descent.numbers);
        }
        let Descent { gradients, decoder, numbers } = descent;
        let rate = critic.settings.learning_rate.unwrap_or(self.config.optimiser.learning_rate());
        critic.learner.step(gradients, rate, pace);
        if let Some(learner) = &mut critic.decoder {
            learner.step(decoder, rate, pace);
        }
        critic.clip_weights();
        Ok(numbers)
    }

    fn generator_step(&mut self, step: u64, draw: u64, pace: Pace) -> TeamResult<Numbers> {
        let rows = self.own();
        let Real { samples, labels } = self.real(draw, rows.clone())?;
        let generator = self.generator.net.tracked();
        let latents = |purpose| self.latents(rows.clone(), purpose, step, labels.as_ref());
        let pass = generator.pass(latents("generator latents"), Mode::Train, false)?;
        let fake = pass.output.clone();
        let second = match self.objective.divergence.needs_second() {
            false => None,
            true => Some(generator.forward(latents("generator second latents"), Mode::Train)?),
        };
        let (features, variation) = match &mut self.critic {
            Some(critic) => {
                critic.learner.net.power_iterate(1);
                let effective = critic.learner.net.effective();
                let labels = self.planes(&labels);
                let pictures = Pictures { real: samples, fake, second, labels, mix: None };
                self.objective.see_generated(&effective, &pictures)?
            }
            None => {
                let second = second.map(|x| self.frozen.tensor(x)).transpose()?;
                (Features { real: self.frozen.tensor(samples)?, fake: self.frozen.tensor(fake)?, second }, None)
            }
        };
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
        let net = match &self.autoencoder {
            None => self.average.clone(),
            Some((_, decoder)) => self.average.followed_by(decoder)?,
        };
        Ok(NetworkGenerator {
            net,
            latent: self.settings.latent,
            classes: if self.settings.conditional { self.feed.classes() } else { Vec::new() },
            points: self.config.data.is_points(),
            features: portable(&self.config.score.features),
            features_sha256: recorded(&self.config.score.features, self.judge.network()).map(str::to_string),
            crop: self.config.data.crop,
            background: self.config.data.background,
            made: Provenance { steps: step, ..self.made.clone() },
            sha256: String::new(),
        })
    }

    /// The pictures of a sheet.
    fn sheet_pictures(&self) -> usize {
        let [_, h, w] = match &self.autoencoder {
            None => self.generator.net.output(),
            Some((_, decoder)) => decoder.output(),
        };
        sheet_pictures([h, w])
    }

    /// Labels for `n` samples that people look at: all classes alike often, in order.
    fn sheet_labels(&self, n: usize) -> Result<Option<Tensor<4>>> {
        let classes = self.classes();
        if classes == 0 {
            return Ok(None);
        }
        let labels: Vec<u32> = (0..n).map(|i| (i * classes / n) as u32).collect();
        self.one_hot(&labels).map(Some)
    }
}

impl Critic {
    fn new(
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
        Ok(Self { settings: settings.clone(), learner: Learner::new(net, &config.optimiser), decoder })
    }

    /// Critic steps of generator step `step`.
    fn steps(&self, step: u64) -> u64 {
        match &self.settings.burst {
            Some(burst) if burst.is_at(step) => burst.steps,
            _ => self.settings.steps,
        }
    }

    /// Critic steps of all generator steps before `step`.
    fn steps_before(&self, step: u64) -> u64 {
        let Some(burst) = &self.settings.burst else { return step * self.settings.steps };
        let bursts = burst.before(step);
        bursts * burst.steps + (step - bursts) * self.settings.steps
    }

    fn clip_weights(&mut self) {
        let Some(clip) = self.settings.clip_weights else { return };
        self.learner.net = self
            .learner
            .net
            .map_values(|p| if p.is_trained() { p.value.clone().clamp(-clip, clip) } else { p.value.clone() });
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

impl Task for Trainer {
    fn step(&mut self, step: u64, pace: Pace) -> TeamResult<Numbers> {
        self.before = Some((self.generator.clone(), self.average.clone(), self.critic.clone()));
        self.draw(step)?;
        let (before, count) =
            self.critic.as_ref().map_or((0, 0), |critic| (critic.steps_before(step), critic.steps(step)));
        let first = before + step;
        let mut numbers = Numbers::new();
        for i in 0..count {
            numbers = self.critic_step(first + i, pace)?;
            if numbers.iter().any(|(_, value)| !value.is_finite()) {
                return Ok(numbers);
            }
        }
        numbers.extend(self.generator_step(step, first + count, pace)?);
        if numbers.iter().all(|(_, value)| value.is_finite()) {
            self.before = None;
        }
        numbers.push(("learning_rate", self.config.optimiser.learning_rate() * pace.factor));
        if let Some(rate) = self.critic.as_ref().and_then(|critic| critic.settings.learning_rate) {
            numbers.push(("critic_learning_rate", rate * pace.factor));
        }
        Ok(numbers)
    }

    fn remarks(&self) -> Vec<String> {
        let nets = [("generator", Some(&self.generator.net)), ("critic", self.critic.as_ref().map(|c| &c.learner.net))];
        let which: Vec<_> =
            nets.iter().filter(|(_, net)| net.is_some_and(Net::has_batch_norm)).map(|(name, _)| *name).collect();
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
        let n = if self.config.data.is_points() { SCATTER } else { self.sheet_pictures() };
        let labels = self.sheet_labels(n)?;
        let made = self.average.forward(self.latents(0..n, "sheet", 0, labels.as_ref()), Mode::Evaluate)?;
        let made = match &self.autoencoder {
            None => made,
            Some((_, decoder)) => decoder.forward(made, Mode::Evaluate)?,
        };
        if self.config.data.is_points() {
            let pictures = self.judge.scatter(flat(made))?;
            return Ok(Some(Sheet { pictures, columns: None }));
        }
        Ok(Some(Sheet { pictures: images_of(made)?, columns: None }))
    }

    fn write_model(&self, path: &Path, step: u64) -> Result<()> {
        self.model(step)?.write(path)
    }

    fn state(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut state = self.generator.state("generator");
        state.extend(net_state("average", &self.average));
        if let Some(critic) = &self.critic {
            state.extend(critic.learner.state("critic"));
            state.extend(critic.decoder.iter().flat_map(|decoder| decoder.state("decoder")));
        }
        state
    }

    fn restore(&mut self, step: u64, tensors: &Tensors) -> TeamResult<()> {
        self.generator.restore("generator", step, tensors)?;
        self.average = restored_net("average", &self.average, tensors)?;
        if let Some(critic) = &mut self.critic {
            critic.learner.restore("critic", step, tensors)?;
            if let Some(decoder) = &mut critic.decoder {
                decoder.restore("decoder", step, tensors)?;
            }
        }
        Ok(())
    }

    /// The generator must fit; a critic of another form, or none, begins anew.
    fn adopt(&mut self, tensors: &Tensors) -> TeamResult<Vec<String>> {
        self.generator.net = restored_net("generator", &self.generator.net, tensors)?;
        self.average = restored_net("average", &self.average, tensors)?;
        let Some(critic) = &mut self.critic else { return Ok(Vec::new()) };
        let has =
            |name: &str| tensors.keys().any(|key| key.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')));
        let mut remarks = Vec::new();
        let decoder = critic.decoder.as_mut().map(|decoder| ("decoder", decoder));
        for (name, learner) in [("critic", &mut critic.learner)].into_iter().chain(decoder) {
            match restored_net(name, &learner.net, tensors) {
                Ok(net) => learner.net = net,
                Err(_) if !has(name) => remarks.push(format!("the {name} starts from scratch: there is none yet")),
                Err(fault) => remarks.push(format!("the {name} begins anew, since it is of another form: {fault}")),
            }
        }
        Ok(remarks)
    }

    /// Looks through the step that went wrong: parameters first, then what the networks make of each of its batches.
    fn fault(&mut self, step: u64) -> Result<Option<Finding>> {
        let generator = [("generator", &self.generator.net)];
        let critic = self.critic.iter().map(|critic| ("critic", &critic.learner.net));
        let decoder = self.critic.iter().filter_map(|critic| Some(("decoder", &critic.decoder.as_ref()?.net)));
        let found =
            generator.into_iter().chain(critic).chain(decoder).find_map(|(name, net)| first_fault_of(name, net));
        if found.is_some() {
            return Ok(found);
        }
        let (before, count) =
            self.critic.as_ref().map_or((0, 0), |critic| (critic.steps_before(step), critic.steps(step)));
        let first = before + step;
        for draw in first..first + count {
            if let Some(found) = self.fault_in(draw, "critic latents", draw)? {
                return Ok(Some(found));
            }
        }
        self.fault_in(first + count, "generator latents", step)
    }

    fn undo(&mut self) {
        if let Some((generator, average, critic)) = self.before.take() {
            (self.generator, self.average, self.critic) = (generator, average, critic);
        }
    }
}

impl Trainer {
    /// The first tensor that is not finite of a batch of real samples and one of generated ones.
    fn fault_in(&mut self, draw: u64, purpose: &str, index: u64) -> Result<Option<Finding>> {
        let n = self.config.batch;
        let Real { samples, labels } = self.real(draw, 0..n)?;
        let fake = self.generator.net.forward(self.latents(0..n, purpose, index, labels.as_ref()), Mode::Train)?;
        let planes = self.planes(&labels);
        let features = |pictures: &Tensor<4>| match &self.critic {
            Some(critic) => {
                let channels = [pictures.clone()].into_iter().chain(planes.clone()).collect();
                Ok(flat(critic.learner.net.effective().forward(Tensor::cat(channels, 1), Mode::Train)?))
            }
            None => self.frozen.tensor(pictures.clone()),
        };
        let (of_real, of_fake) = (features(&samples)?, features(&fake)?);
        let tensors = [
            ("real samples", place::numbers_f32(samples)),
            ("generated samples", place::numbers_f32(fake)),
            ("features of real samples", place::numbers_f32(of_real)),
            ("features of generated samples", place::numbers_f32(of_fake)),
        ];
        Ok(first_fault(tensors.iter().map(|(name, values)| (*name, values.as_slice()))))
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
