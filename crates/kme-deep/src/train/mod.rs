//! Training: one loop, one run folder, one way to resume, for every objective.
//!
//! A step is a function of the state before it, the seed and the step's number. A run that was cut off therefore continues
//! from its last checkpoint to the same bits (on the processor) as one that never stopped.

mod ahead;
mod autoencoder;
mod batches;
mod classifier;
pub mod config;
mod data;
mod feed;
mod folder;
mod generative;
mod judge;
mod learner;
mod line;
mod optimiser;
pub mod parallel;
mod presets;
pub mod report;
mod schedule;
mod set;
mod sources;
mod stock;
mod task;
mod tensorboard;
mod views;

pub use config::Config;
pub use presets::Preset;
pub use task::Numbers;

use crate::data::Places;
use crate::feature::FeatureMap;
use crate::image::Grid;
use crate::model::{Autoencoder, Made};
use crate::models::Models;
use crate::net::Place;
use config::Objective;
use feed::{Feed, HeldOut};
use folder::{Checkpoint, Folder};
use judge::Judge;
use kme::{Error, Result};
use parallel::{Collective, Team};
use parallel::{Leader, Seat, begin, check_shares};
use schedule::Schedule;
use sources::Sources;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;
use stock::Stock;
use task::{Finding, Sheet, Task};

/// Where things are looked for.
#[derive(Clone, Debug)]
pub struct Context {
    pub place: Place,
    pub models: Models,
    pub data: Places,
}

/// Something that happened in a run; returning [`ControlFlow::Break`] from the observer stops it after a checkpoint.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run begins or continues after `step` steps of `steps`.
    Begin { step: u64, steps: u64, batch: usize, seed: u64 },
    /// Something to know about the run, said before its first step.
    Remark { text: &'a str },
    /// One step is done.
    Step { step: u64, numbers: &'a Numbers },
    /// Scores on held-out pictures.
    Score { step: u64, numbers: &'a Numbers },
}

/// What watches a run and may stop it.
pub type Observer<'a> = dyn FnMut(Event) -> ControlFlow<()> + 'a;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Finished {
        steps: u64,
    },
    /// Stopped by the observer after `step` steps; a checkpoint is saved.
    Stopped {
        step: u64,
    },
}

/// Starts a run in the new folder `path`.
///
/// # Errors
/// When the configuration, the data or the folder cannot be used, or a loss is not finite.
pub fn start(
    preset: &str,
    config: &Config,
    path: &Path,
    context: &Context,
    observer: &mut Observer,
) -> Result<Outcome> {
    start_with(preset, config, path, context, Team::alone(), observer)
}

/// Starts a run in the new folder `path` whose steps are shared among several workers.
///
/// # Errors
/// Those of [`start`]; when the batch cannot be shared evenly, the objective cannot be shared, or a worker has left.
pub fn start_with(
    preset: &str,
    config: &Config,
    path: &Path,
    context: &Context,
    team: Team,
    observer: &mut Observer,
) -> Result<Outcome> {
    config.check()?;
    // A run's own config.toml says already what it was begun as.
    let config = &Config { preset: config.preset.clone().or_else(|| Some(preset.into())), ..config.clone() };
    let workers = team.size();
    team.run(context, |seat| {
        // Everything that can be wrong with the configuration or the data is found before the folder is made.
        let (task, sources) = task(config, context, seat, observer)?;
        let schedule = Schedule::new(&config.schedule, config.optimiser.learning_rate(), config.steps)?;
        let folder = Folder::create(path)?;
        let mut facts = vec![("kme".into(), env!("CARGO_PKG_VERSION").to_string())];
        facts.extend(sources.facts());
        if workers > 1 {
            facts.push(("workers".into(), workers.to_string()));
        }
        folder.write_config(config, &facts)?;
        let folder = folder.locked()?;
        Run { config: config.clone(), sources, task, schedule, folder, step: 0, best: None }.go(observer)
    })
}

/// What [`start_with`] would refuse, as far as it can be told without the data and the other workers.
///
/// # Errors
/// When the configuration cannot be trained with by that many workers, or something is at `path` already.
pub fn check_start(config: &Config, path: &Path, workers: usize) -> Result<()> {
    config.check()?;
    check_shares(config, workers)?;
    Folder::check_free(path)
}

/// What [`resume_with`] would refuse, as far as it can be told without the data and the other workers; the configuration
/// of the run.
///
/// # Errors
/// When there is no run at `path`, or it cannot be shared among that many workers.
pub fn check_resume(path: &Path, workers: usize) -> Result<Config> {
    let config = Folder::open(path)?.read_config()?;
    check_shares(&config, workers)?;
    Ok(config)
}

/// Continues the run in `path` from its last checkpoint.
///
/// # Errors
/// When there is no run, its configuration or data has changed, or a loss is not finite.
pub fn resume(path: &Path, context: &Context, observer: &mut Observer) -> Result<Outcome> {
    resume_with(path, context, Team::alone(), observer)
}

/// Continues the run in `path` from its last checkpoint, its steps shared among several workers. With as many as before it
/// ends with the bits of a run that never stopped.
///
/// # Errors
/// Those of [`resume`] and [`start_with`].
pub fn resume_with(path: &Path, context: &Context, team: Team, observer: &mut Observer) -> Result<Outcome> {
    let folder = Folder::open(path)?.locked()?;
    let config = folder.read_config()?;
    team.run(context, |seat| continued(folder, config, context, seat, observer))
}

fn continued(
    folder: Folder,
    config: Config,
    context: &Context,
    seat: Seat,
    observer: &mut Observer,
) -> Result<Outcome> {
    let (mut task, sources) = task(&config, context, seat, observer)?;
    let mut schedule = Schedule::new(&config.schedule, config.optimiser.learning_rate(), config.steps)?;
    let (mut step, mut best) = (None, None);
    if let Some((checkpoint, tensors)) = folder.read_checkpoint()? {
        let file = folder.last_checkpoint();
        // How often things are written may be changed on the way; nothing else may.
        let begun = Config { log: config.log.clone(), ..checkpoint.config };
        if begun != config {
            let what = begun
                .difference(&config)
                .map_or_else(String::new, |[key, was, is]| format!(": {key} was {was} and is {is} there now"));
            let fault = "belongs to another configuration than config.toml";
            let remedy = "undo the change there, or start a new run";
            return Err(Error::file(file, format!("{fault}{what}; {remedy}")));
        }
        sources.check(&checkpoint.sources, &config, |name| {
            format!("{name} has changed since the run began; bring it back, or start a new run")
        })?;
        task.restore(checkpoint.step, &tensors).map_err(|e| Error::file(&file, e))?;
        schedule.restore(checkpoint.schedule.as_ref()).map_err(|e| Error::file(&file, e))?;
        (step, best) = (Some(checkpoint.step), checkpoint.best);
    }
    let logged = folder.last_event()?;
    if step.is_none() && logged > 0 {
        let fault = format!(
            "is missing, though step {logged} is in events.jsonl; bring it back, copy {} to its place, or start a new run",
            folder.best_checkpoint().display()
        );
        return Err(Error::file(folder.last_checkpoint(), fault));
    }
    // What is logged of step 0 is written again where there is nothing else.
    folder.forget_events_after(step.filter(|&step| step > 0))?;
    Run { config, sources, task, schedule, folder, step: step.unwrap_or(0), best }.go(observer)
}

/// The objective that a configuration names, and what it depends on.
fn task(config: &Config, context: &Context, seat: Seat, observer: &mut Observer) -> Result<(Box<dyn Task>, Sources)> {
    let workers = seat.collective.size();
    check_shares(config, workers)?;
    // Networks before data, whose reading may take long.
    let trained = Trained::new(config, context)?;
    let map = judge::features(config, context)?;
    let (mut stock, facts) = Stock::open(&config.data, config.seed, &context.data)?;
    let mut sources = Sources::new(&facts.fingerprint);
    let place = &context.place;
    let pictures = || match feed::held_out(&config.data, config.seed, &context.data)? {
        Some(HeldOut::Pictures(pictures)) => Ok(Some(pictures)),
        Some(HeldOut::Points(_)) => Err(Error::value("data", "points", "pictures, for this objective")),
        None => Ok(None),
    };
    let made = made(config, &sources.data);
    match &config.objective {
        Objective::Classifier(objective) => {
            let feed = Feed::new(stock, facts, config.batch, config.seed);
            let trainer = classifier::Trainer::new(config, objective, feed, pictures()?, made, place)?;
            return Ok((Box::new(trainer), sources));
        }
        Objective::Autoencoder(objective) => {
            let feed = Feed::new(stock, facts, config.batch, config.seed);
            let trainer = autoencoder::Trainer::new(config, objective, feed, pictures()?, made, place)?;
            return Ok((Box::new(trainer), sources));
        }
        _ => {}
    }
    trained.note(&mut sources);
    if workers > 1 {
        // The others make themselves ready meanwhile.
        begin(&*seat.collective, config, &sources)?;
    }
    let judge = Judge::new(config, context, map, &mut stock, &facts, &mut |text| {
        // Nothing can be stopped yet.
        let _ = observer(Event::Remark { text });
    })?;
    sources.note("score.features", judge.network());
    let feed = Feed::new(stock, facts, config.batch, config.seed);
    let trainer = trained.trainer(config, context, feed, judge, made, seat.collective)?;
    let task: Box<dyn Task> =
        if workers > 1 { Box::new(Leader::new(trainer, seat.threads)?) } else { Box::new(trainer) };
    Ok((task, sources))
}

/// What is said on the card of a model that this run makes.
fn made(config: &Config, data_fingerprint: &str) -> Made {
    Made {
        version: env!("CARGO_PKG_VERSION").into(),
        preset: config.preset.clone().unwrap_or_default(),
        seed: config.seed,
        steps: 0,
        data: config.data.source.clone(),
        data_fingerprint: data_fingerprint.into(),
    }
}

/// The networks that a generator is trained with but that are not trained any more.
struct Trained {
    autoencoder: Option<Autoencoder>,
    frozen: FeatureMap,
}

impl Trained {
    /// Those that the configuration names.
    fn new(config: &Config, context: &Context) -> Result<Self> {
        let autoencoder = match config.generator.as_ref().and_then(|generator| generator.decoder.as_ref()) {
            None => None,
            Some(name) => {
                let found = context.models.bytes(name);
                let read = found.and_then(|(bytes, path)| Autoencoder::parse(&bytes, &path, &context.place));
                Some(read.map_err(|fault| sources::of_network("generator.decoder", name, fault))?)
            }
        };
        let frozen = match &config.objective {
            Objective::Mmd(mmd) if !matches!(mmd.features.as_str(), "critic" | "identity") => {
                FeatureMap::named(&mmd.features, &context.models, &context.place)
                    .map_err(|fault| sources::of_network("objective.features", &mmd.features, fault))?
            }
            _ => FeatureMap::Pixels,
        };
        Ok(Self { autoencoder, frozen })
    }

    /// Tells `sources` which they are.
    fn note(&self, sources: &mut Sources) {
        sources.note("generator.decoder", self.autoencoder.as_ref().map(|a| a.sha256.as_str()));
        sources.note("objective.features", self.frozen.sha256());
    }

    fn trainer(
        self,
        config: &Config,
        context: &Context,
        feed: Feed,
        judge: Judge,
        made: Made,
        collective: Box<dyn Collective>,
    ) -> Result<generative::Trainer> {
        let Some(generator) = &config.generator else {
            return Err(Error::value("generator", "(missing)", "a table [generator] for this objective"));
        };
        let Self { autoencoder, frozen } = self;
        let parts = generative::Parts { feed, autoencoder, frozen, judge, made, collective };
        generative::Trainer::new(config, generator, parts, &context.place)
    }
}

/// The trainer of a worker that only takes steps, and what it depends on.
fn helper(
    config: &Config,
    context: &Context,
    collective: Box<dyn Collective>,
) -> Result<(generative::Trainer, Sources)> {
    check_shares(config, collective.size())?;
    let trained = Trained::new(config, context)?;
    let feed = Feed::open(&config.data, config.batch, config.seed, &context.data)?;
    let mut sources = Sources::new(feed.fingerprint());
    trained.note(&mut sources);
    let made = made(config, &sources.data);
    Ok((trained.trainer(config, context, feed, Judge::absent(), made, collective)?, sources))
}

/// A run under way: `step` steps are done, `best` is the least score so far with its step.
struct Run {
    config: Config,
    sources: Sources,
    task: Box<dyn Task>,
    schedule: Schedule,
    folder: Folder,
    step: u64,
    best: Option<(f64, u64)>,
}

impl Run {
    fn go(mut self, observer: &mut Observer) -> Result<Outcome> {
        let Config { steps, batch, seed, ref log, .. } = self.config;
        let log = log.clone();
        let mut stopped = observer(Event::Begin { step: self.step, steps, batch, seed }).is_break();
        for text in self.task.remarks() {
            stopped |= observer(Event::Remark { text: &text }).is_break();
        }
        let is_new = self.step == 0;
        if is_new {
            stopped |= self.score(observer)?.is_break();
            self.checkpoint(&self.folder.model(), &self.folder.last_checkpoint())?;
        }
        if self.step == steps {
            // A finished run whose model was lost gets it back.
            self.task.write_model(&self.folder.model(), self.step)?;
        }
        let mut views = views::Views::open(self.folder.path(), log.tensorboard)?;
        if is_new {
            views.update(true)?;
        }
        // Seconds in steps, and steps, since the last event; and seconds in steps since the last check of progress.
        let (mut seconds, mut done, mut interval) = (0.0, 0, 0.0);
        while self.step < steps && !stopped {
            let begun = Instant::now();
            let mut numbers = match self.step() {
                Ok(numbers) => numbers,
                Err(error) => {
                    // It says more than what may go wrong here.
                    let _ = views.update(true);
                    return Err(error);
                }
            };
            self.step += 1;
            done += 1;
            stopped |= observer(Event::Step { step: self.step, numbers: &numbers }).is_break();
            let due = |every: u64| self.step.is_multiple_of(every) || self.step == steps;
            let (log_due, score_due, checkpoint_due) = (due(log.every), due(log.samples), due(log.checkpoint));
            let step_seconds = begun.elapsed().as_secs_f64();
            (seconds, interval) = (seconds + step_seconds, interval + step_seconds);
            if self.schedule.due(self.step).is_some() {
                self.check_progress(std::mem::take(&mut interval))?;
            }
            if log_due {
                numbers.push(("images_per_second", (done * batch) as f64 / seconds));
                self.folder.log(self.step, "step", &numbers)?;
                (seconds, done) = (0.0, 0);
            }
            if score_due {
                stopped |= self.score(observer)?.is_break();
            }
            if checkpoint_due || stopped {
                self.checkpoint(&self.folder.model(), &self.folder.last_checkpoint())?;
            }
            if log_due || score_due {
                views.update(score_due)?;
            }
        }
        views.update(true)?;
        let step = self.step;
        Ok(if step < steps { Outcome::Stopped { step } } else { Outcome::Finished { steps } })
    }

    /// The next step. When it fails, or one of its numbers is not finite, the state before it is brought back and saved; the
    /// error names the number and the first tensor on its way that is not finite.
    fn step(&mut self) -> Result<Numbers> {
        let outcome = self.task.step(self.step, self.schedule.pace(self.step));
        let bad = match &outcome {
            Ok(numbers) => numbers.iter().find(|(_, value)| !value.is_finite()).copied(),
            Err(_) => None,
        };
        if outcome.is_ok() && bad.is_none() {
            return outcome;
        }
        let first = bad.and_then(|_| self.task.fault(self.step).unwrap_or_default());
        self.task.undo();
        let saved = self.checkpoint(&self.folder.model(), &self.folder.last_checkpoint());
        let Some((name, value)) = bad else { return outcome };
        let first = match first {
            Some(Finding { tensor, position, value }) => {
                format!("the first tensor with one that is not is {tensor}: {value} at position {position}")
            }
            None => "parameters, samples and features before it are finite".into(),
        };
        let kept = match saved {
            Ok(()) => format!("the state after step {} is", self.step),
            Err(_) => "the last good state is".into(),
        };
        let last = self.folder.last_checkpoint();
        let allowed =
            format!("finite numbers ({first}); lower the learning rate in a new run ({kept} in {})", last.display());
        Err(Error::value(format!("{name} at step {}", self.step + 1), value, allowed))
    }

    /// The check that the schedule asks for, after `interval` seconds of steps.
    fn check_progress(&mut self, interval: f64) -> Result<()> {
        let begun = Instant::now();
        let Some(samples) = self.schedule.due(self.step).map(|rule| rule.samples) else { return Ok(()) };
        let Some(sums) = self.task.sums(samples, self.step)? else { return Ok(()) };
        let mut numbers = self.schedule.observe(sums)?;
        let seconds = begun.elapsed().as_secs_f64();
        numbers.push(("check_seconds", seconds));
        numbers.push(("check_fraction", seconds / interval.max(1e-9)));
        self.folder.log(self.step, "progress", &numbers)
    }

    /// Writes the model and then the checkpoint: where there is a checkpoint of a step, there is its model.
    fn checkpoint(&self, model: &Path, path: &Path) -> Result<()> {
        let header = Checkpoint {
            format: Checkpoint::FORMAT,
            step: self.step,
            best: self.best,
            config: self.config.clone(),
            sources: self.sources.clone(),
            sha256: String::new(),
            schedule: self.schedule.state(),
        };
        let state = self.task.state();
        let named = state.iter().map(|(name, _, values)| (name.as_str(), values.as_slice()));
        if let Some(found) = task::first_fault(named) {
            let last = self.folder.last_checkpoint();
            return Err(Error::value(
                format!("state {} at step {}", found.tensor, self.step),
                format!("{} at position {}", found.value, found.position),
                format!("finite numbers; lower the learning rate in a new run (last good state: {})", last.display()),
            ));
        }
        if self.step > 0 || model == self.folder.best_model() {
            self.task.write_model(model, self.step)?;
        }
        self.folder.write_checkpoint(path, header, state)
    }

    /// Draws the sample sheet, scores held-out pictures, and keeps the state when the score is the best so far.
    fn score(&mut self, observer: &mut Observer) -> Result<ControlFlow<()>> {
        if let Some(Sheet { pictures, columns }) = self.task.samples()? {
            let grid = Grid { columns, ..Grid::default() };
            let sheet = if pictures.len() == 1 { pictures } else { grid.lay_out(&pictures)? };
            sheet.write_png(0, &self.folder.sample(self.step))?;
        }
        let numbers = self.task.score()?;
        let Some(&(_, value)) = numbers.first() else { return Ok(ControlFlow::Continue(())) };
        self.folder.log(self.step, "score", &numbers)?;
        if self.best.is_none_or(|(least, _)| value < least) {
            self.best = Some((value, self.step));
            self.checkpoint(&self.folder.best_model(), &self.folder.best_checkpoint())?;
        }
        Ok(observer(Event::Score { step: self.step, numbers: &numbers }))
    }
}
