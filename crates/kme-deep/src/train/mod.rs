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
mod edited;
mod feed;
mod folder;
mod generative;
mod judge;
mod learner;
mod line;
mod located;
mod optimiser;
pub mod parallel;
mod presets;
pub mod report;
mod resume;
mod schedule;
mod set;
mod sources;
mod split;
mod stock;
mod task;
mod tensorboard;
mod told;
mod views;
mod warm;

pub use config::Config;
pub use presets::Preset;
pub use resume::Changes;
pub use task::Numbers;

use crate::data::{Digest, Places, Survey, Watch, hex};
use crate::feature::FeatureMap;
use crate::image::{Grid, Images};
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
use split::Split;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::{Duration, Instant};
use stock::{Opened, Stock};
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
    /// Pictures are read before that: `done` of `total`.
    Reading { done: usize, total: usize },
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
    Folder::check_free(path)?;
    kme::io::check_makeable(path.join("config.toml"))?;
    // A run's own config.toml says already what it was begun as.
    let config = Config { preset: config.preset.clone().or_else(|| Some(preset.into())), ..config.begun_here() };
    let workers = team.size();
    team.run(context, |seat| {
        // From now on the place is taken, though reading the data may take long. Nothing stays there of a run that does not begin.
        let folder = Folder::create(path)?.locked()?;
        // Everything that can be wrong with the configuration or the data is found before anything is written.
        let Ready { mut task, mut sources, about } = task(&config, context, seat, &Begun::default(), observer)?;
        let schedule = Schedule::new(&config.schedule, config.optimiser.learning_rate(), config.steps)?;
        let mut remarks = about.remarks.clone();
        let from = warm::begin(&config, context, &mut *task)?;
        let mut facts = vec![("kme".into(), env!("CARGO_PKG_VERSION").to_string())];
        facts.extend(sources.facts());
        facts.extend(about.facts());
        if workers > 1 {
            facts.push(("workers".into(), workers.to_string()));
        }
        if let Some((sha256, some)) = from {
            facts.push(("SHA-256 of from".into(), sha256));
            remarks.extend(some);
        }
        sources.held_out.clone_from(&about.held_out);
        folder.write_config(&config, &facts)?;
        about.write(&folder)?;
        Run { config, sources, task, schedule, folder, step: 0, best: None, remarks, changed: false }.go(observer)
    })
}

/// What [`start_with`] would refuse, as far as it can be told without the data and the other workers.
///
/// # Errors
/// When the configuration cannot be trained with by that many workers, something is at `path` already, or it cannot be
/// written there.
pub fn check_start(config: &Config, path: &Path, workers: usize) -> Result<()> {
    config.check()?;
    check_shares(config, workers)?;
    Folder::check_free(path)?;
    kme::io::check_makeable(path.join("config.toml"))
}

/// What [`resume_with`] would refuse, as far as it can be told without the data and the other workers; the configuration
/// of the run with these changes.
///
/// # Errors
/// When there is no run at `path`, or it cannot be shared among that many workers.
pub fn check_resume(path: &Path, changes: &Changes, workers: usize) -> Result<Config> {
    let config = Folder::open(path)?.read_config(&changes.sets)?;
    check_shares(&config, workers)?;
    Ok(config)
}

/// Continues the run in `path` from its last checkpoint.
///
/// # Errors
/// When there is no run, its configuration or data has changed, or a loss is not finite.
pub fn resume(path: &Path, context: &Context, observer: &mut Observer) -> Result<Outcome> {
    resume_with(path, &Changes::default(), context, Team::alone(), observer)
}

/// Continues the run in `path` from its last checkpoint, with some things changed, its steps shared among several workers.
/// With as many as before, and without changes, it ends with the bits of a run that never stopped.
///
/// # Errors
/// Those of [`resume`] and [`start_with`]; when something is changed that may not be.
pub fn resume_with(
    path: &Path,
    changes: &Changes,
    context: &Context,
    team: Team,
    observer: &mut Observer,
) -> Result<Outcome> {
    let folder = Folder::open(path)?.locked()?;
    let config = folder.read_config(&changes.sets)?;
    team.run(context, |seat| continued(folder, config, changes, context, seat, observer))
}

fn continued(
    folder: Folder,
    config: Config,
    changes: &Changes,
    context: &Context,
    seat: Seat,
    observer: &mut Observer,
) -> Result<Outcome> {
    let stored = folder.read_checkpoint()?;
    let differences = match &stored {
        Some((checkpoint, _)) => {
            resume::differences(&checkpoint.config, &config, checkpoint.step, &changes.sets, &folder.config())?
        }
        None => Vec::new(),
    };
    let begun = Begun {
        known: folder.read_listing(),
        split: stored.as_ref().and_then(|(checkpoint, _)| checkpoint.sources.split),
    };
    let Ready { mut task, mut sources, about } = task(&config, context, seat, &begun, observer)?;
    let mut schedule = Schedule::new(&config.schedule, config.optimiser.learning_rate(), config.steps)?;
    let mut remarks = about.remarks.clone();
    sources.held_out.clone_from(&about.held_out);
    let (mut step, mut best) = (None, None);
    let mut notes: Vec<(String, serde_json::Value)> = Vec::new();
    if let Some((checkpoint, tensors)) = stored {
        let file = folder.last_checkpoint();
        if sources.data != checkpoint.sources.data {
            let files = resume::changed_files(&begun.known, about.survey.as_ref());
            if !changes.other_data {
                let fault = sources.check(&checkpoint.sources, &config, |_| String::new()).err();
                let fault = fault.unwrap_or_else(|| Error::file(&file, "belongs to other data"));
                return Err(resume::refusal(fault, files, &config.data.source));
            }
            // Which pictures are new cannot be told by a rule that is decided now.
            if config.data.holds_out_some() && begun.split.is_none() {
                let fault = "does not say which pictures it holds out, so that others could not be told from those it learned \
                             from: bring the data back, or start a new run";
                return Err(Error::file(&file, fault));
            }
            let text = files.unwrap_or_else(|| "other data".into());
            remarks.push(format!("going on with changed data: {text}"));
            notes.push(("data".into(), text.into()));
        }
        let known = Sources { data: sources.data.clone(), ..checkpoint.sources.clone() };
        sources.check(&known, &config, |name| {
            format!("{name} has changed since the run began; bring it back, or start a new run")
        })?;
        task.restore(checkpoint.step, &tensors).map_err(|e| Error::file(&file, e))?;
        // What a schedule remembers means nothing to one of another kind.
        if std::mem::discriminant(&checkpoint.config.schedule) == std::mem::discriminant(&config.schedule) {
            schedule.restore(checkpoint.schedule.as_ref()).map_err(|e| Error::file(&file, e))?;
        }
        (step, best) = (Some(checkpoint.step), checkpoint.best);
        for [key, was, is] in &differences {
            remarks.push(format!("from step {} on: {key} is {is} instead of {was}", checkpoint.step));
            notes.push((key.clone(), serde_json::json!([was, is])));
        }
        remarks.extend(rate_jump(&checkpoint, &config, &schedule)?);
        // Scores of other pictures are other scores.
        let is_other = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
        if best.is_some()
            && (is_other(&checkpoint.sources.held_out, &sources.held_out)
                || checkpoint.config.score.count != config.score.count)
        {
            remarks.push("scores are of other held-out samples now: the best one begins anew".into());
            best = None;
        }
    }
    let logged = folder.last_event()?;
    if step.is_none() && logged > 0 {
        let fault = format!(
            "is missing, though step {logged} is in events.jsonl; bring it back, copy {} to its place, or start a new run",
            folder.best_checkpoint().display()
        );
        return Err(Error::file(folder.last_checkpoint(), fault));
    }
    if step.is_none()
        && let Some((_, some)) = warm::begin(&config, context, &mut *task)?
    {
        remarks.extend(some);
    }
    // What is logged of step 0 is written again where there is nothing else.
    folder.forget_events_after(step.filter(|&step| step > 0))?;
    let changed = !notes.is_empty();
    if changed || !changes.sets.is_empty() {
        let facts = [sources.facts(), about.facts()].concat();
        remarks.extend(folder.rewrite_config(&config, &changes.sets, &facts)?);
    }
    if changed {
        folder.note(step.unwrap_or(0), "changed", notes)?;
    }
    about.write(&folder)?;
    let step = step.unwrap_or(0);
    Run { config, sources, task, schedule, folder, step, best, remarks, changed }.go(observer)
}

/// What to say where a changed configuration moves the learning rate at once: a schedule that goes by the fraction of the run
/// that is done begins elsewhere when its steps are others.
fn rate_jump(checkpoint: &Checkpoint, config: &Config, schedule: &Schedule) -> Result<Option<String>> {
    let (old, step) = (&checkpoint.config, checkpoint.step);
    let mut before = Schedule::new(&old.schedule, old.optimiser.learning_rate(), old.steps)?;
    before.restore(checkpoint.schedule.as_ref())?;
    let rate = |config: &Config, schedule: &Schedule| config.optimiser.learning_rate() * schedule.pace(step).factor;
    let (was, is) = (rate(old, &before), rate(config, schedule));
    let end = config.optimiser.learning_rate() * schedule.pace(config.steps).factor;
    Ok((was != is).then(|| {
        format!(
            "the learning rate is {is:.3e} from step {step} on (it was {was:.3e}) and will be {end:.3e} at step {}",
            config.steps
        )
    }))
}

/// A task with what it depends on, and what is to be said of its data.
struct Ready {
    task: Box<dyn Task>,
    sources: Sources,
    about: About,
}

/// What a run learns from, for people.
#[derive(Default)]
struct About {
    survey: Option<Survey>,
    /// Pictures as the networks see them.
    reals: Option<Images>,
    remarks: Vec<String>,
    held_out: Option<String>,
    /// Pictures that were held out of the source itself.
    apart: usize,
}

impl About {
    /// Lines for config.toml.
    fn facts(&self) -> Vec<(String, String)> {
        let Some(survey) = &self.survey else { return Vec::new() };
        let held_out = if self.apart > 0 { format!("; {} of them held out", self.apart) } else { String::new() };
        vec![("pictures".into(), survey.line() + &held_out)]
    }

    /// What stands of it in the run folder.
    fn write(&self, folder: &Folder) -> Result<()> {
        if let Some(survey) = self.survey.as_ref().filter(|survey| !survey.files.is_empty()) {
            folder.write_listing(survey)?;
        }
        let Some(reals) = &self.reals else { return Ok(()) };
        Grid::default().lay_out(reals)?.write_png(0, &folder.real_sample())
    }
}

/// What a run that goes on knows of its data from before.
#[derive(Default)]
struct Begun {
    /// SHA-256 of the files that were found good, by their names.
    known: HashMap<String, String>,
    /// The rule by which it holds pictures out.
    split: Option<Split>,
}

/// The objective that a configuration names, and what it depends on.
fn task(config: &Config, context: &Context, seat: Seat, begun: &Begun, observer: &mut Observer) -> Result<Ready> {
    let workers = seat.collective.size();
    check_shares(config, workers)?;
    let named = &config.located();
    // Networks before data, whose reading may take long.
    let trained = Trained::new(named, context)?;
    let map = judge::features(named, context)?;
    let mut progress = |done, total| {
        // Nothing can be stopped yet.
        let _ = observer(Event::Reading { done, total });
    };
    let is_known = |name: &str, sha256: &Digest| begun.known.get(name).is_some_and(|found| *found == hex(sha256));
    let mut watch = Watch { progress: &mut progress, is_known: &is_known };
    let Opened { mut stock, facts, held_out, split } =
        Stock::open_watched(&named.data, config.seed, begun.split, &context.data, &mut watch)?;
    let apart = match &held_out {
        Some(HeldOut::Pictures(pictures)) => pictures.len(),
        _ => 0,
    };
    let held_out = match held_out {
        None => feed::held_out(&named.data, config.seed, &context.data)?,
        found => found,
    };
    let mut about = About { apart, ..About::default() };
    about.remarks = told::remarks(config, &facts, apart, begun.split);
    told::check_classes(config, &facts)?;
    about.held_out = match &held_out {
        Some(HeldOut::Pictures(pictures)) => Some(pictures.fingerprint().into()),
        _ => None,
    };
    about.reals = stock.reals(&facts)?;
    about.survey.clone_from(&facts.survey);
    let mut sources = Sources { split, ..Sources::new(&facts.fingerprint) };
    let place = &context.place;
    let pictures = |held_out: Option<HeldOut>| match held_out {
        Some(HeldOut::Pictures(pictures)) => Ok(Some(pictures)),
        Some(HeldOut::Points(_)) => Err(Error::value("data", "points", "pictures, for this objective")),
        None => Ok(None),
    };
    let made = made(config, &sources.data);
    match &config.objective {
        Objective::Classifier(objective) => {
            let feed = Feed::new(stock, facts, config.batch, config.seed);
            let trainer = classifier::Trainer::new(config, objective, feed, pictures(held_out)?, made, place)?;
            return Ok(Ready { task: Box::new(trainer), sources, about });
        }
        Objective::Autoencoder(objective) => {
            let feed = Feed::new(stock, facts, config.batch, config.seed);
            let trainer = autoencoder::Trainer::new(config, objective, feed, pictures(held_out)?, made, place)?;
            return Ok(Ready { task: Box::new(trainer), sources, about });
        }
        _ => {}
    }
    trained.note(&mut sources);
    if workers > 1 {
        // The others make themselves ready meanwhile.
        // Names are meant from where each of them is, unless this one is elsewhere than where the run was begun.
        begin(&*seat.collective, &Config { begun_in: None, ..named.clone() }, &sources)?;
    }
    let judge = Judge::new(config, map, held_out, &mut stock, &facts, &mut |text| {
        // Nothing can be stopped yet.
        let _ = observer(Event::Remark { text });
    })?;
    sources.note("score.features", judge.network());
    let feed = Feed::new(stock, facts, config.batch, config.seed);
    let trainer = trained.trainer(config, context, feed, judge, made, seat.collective)?;
    let task: Box<dyn Task> =
        if workers > 1 { Box::new(Leader::new(trainer, seat.threads)?) } else { Box::new(trainer) };
    Ok(Ready { task, sources, about })
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
    split: Option<Split>,
    context: &Context,
    collective: Box<dyn Collective>,
) -> Result<(generative::Trainer, Sources)> {
    check_shares(config, collective.size())?;
    let named = &config.located();
    let trained = Trained::new(named, context)?;
    let feed = Feed::open(&named.data, config.batch, config.seed, split, &context.data)?;
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
    /// What a user should know before the first step.
    remarks: Vec<String>,
    /// Whether it goes on as another run than the last checkpoint says.
    changed: bool,
}

/// The first sheet and report of a run that are not due for their step: so that one sees soon whether it goes well.
const FIRST: Duration = Duration::from_secs(60);

impl Run {
    fn go(mut self, observer: &mut Observer) -> Result<Outcome> {
        let Config { steps, batch, seed, ref log, .. } = self.config;
        let log = log.clone();
        let mut stopped = observer(Event::Begin { step: self.step, steps, batch, seed }).is_break();
        for text in self.remarks.iter().cloned().chain(self.task.remarks()) {
            stopped |= observer(Event::Remark { text: &text }).is_break();
        }
        let is_new = self.step == 0;
        if is_new {
            stopped |= self.score(observer)?.is_break();
            self.checkpoint(&self.folder.model(), &self.folder.last_checkpoint())?;
        } else if self.changed {
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
        let often = Duration::from_secs_f64(60.0 * log.minutes);
        let (mut shown, mut pause) = (Instant::now(), FIRST.min(often));
        let mut told = HashSet::new();
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
            // Whatever the steps say: nobody should wait, or lose, for hours.
            let time_due = log.minutes > 0.0 && shown.elapsed() >= pause && !score_due;
            if score_due {
                stopped |= self.score(observer)?.is_break();
            } else if time_due {
                self.draw()?;
            }
            if checkpoint_due || time_due || stopped {
                self.checkpoint(&self.folder.model(), &self.folder.last_checkpoint())?;
            }
            if checkpoint_due {
                let write = |path: &Path| self.task.write_model(path, self.step);
                for fault in self.folder.keep_model(self.step, log.checkpoint, log.keep, write)? {
                    // Once for each, and no reason to end.
                    let text = format!("an earlier model stays: {fault}");
                    if told.insert(text.clone()) {
                        stopped |= observer(Event::Remark { text: &text }).is_break();
                    }
                }
            }
            if log_due || score_due || time_due {
                views.update(score_due || time_due)?;
            }
            if score_due || time_due {
                (shown, pause) = (Instant::now(), often);
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
            format!("finite numbers ({first}); lower optimiser.learning_rate and go on: {kept} in {}", last.display());
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
                format!(
                    "finite numbers; lower optimiser.learning_rate and go on: the last good state is in {}",
                    last.display()
                ),
            ));
        }
        if self.step > 0 || model == self.folder.best_model() {
            self.task.write_model(model, self.step)?;
        }
        self.folder.write_checkpoint(path, header, state)
    }

    /// Draws the sample sheet.
    fn draw(&self) -> Result<()> {
        let Some(Sheet { pictures, columns }) = self.task.samples()? else { return Ok(()) };
        let grid = Grid { columns, ..Grid::default() };
        let sheet = if pictures.len() == 1 { pictures } else { grid.lay_out(&pictures)? };
        sheet.write_png(0, &self.folder.sample(self.step))
    }

    /// Draws the sample sheet, scores held-out pictures, and keeps the state when the score is the best so far.
    fn score(&mut self, observer: &mut Observer) -> Result<ControlFlow<()>> {
        self.draw()?;
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
