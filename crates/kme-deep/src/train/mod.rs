//! Training: one loop, one run folder, one way to resume, for every objective.
//!
//! A step is a function of the state before it, the seed and the step's number. A run that was cut off therefore continues
//! from its last checkpoint to the same bits (on the processor) as one that never stopped.

mod batches;
mod classifier;
pub mod config;
mod folder;
mod line;
mod mmd_gan;
mod optimiser;
mod presets;
pub mod report;
mod set;
mod task;
mod tensorboard;
mod views;

pub use config::Config;
pub use presets::Preset;
pub use task::Numbers;

use crate::data::{Dataset, Form, Places, Source};
use crate::evaluate::Reference;
use crate::feature::FeatureMap;
use crate::image::{Channels, Colour, Decoder, Grid, Resize};
use crate::model::Made;
use crate::models::Models;
use crate::net::Place;
use config::Objective;
use folder::{Checkpoint, Folder};
use kme::{Error, Result};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;
use task::Task;

/// Pictures on which scores are computed during training.
const SCORED: usize = 2000;

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
    Begin { step: u64, steps: u64, batch: usize },
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
    config.check()?;
    let config = &Config { preset: Some(preset.into()), ..config.clone() };
    // Everything that can be wrong with the configuration or the data is found before the folder is made.
    let data = load(&config.data.source, config, context)?;
    let task = task(config, &data, context)?;
    let folder = Folder::create(path)?;
    let facts = [("kme", env!("CARGO_PKG_VERSION").to_string()), ("data fingerprint", data.fingerprint().to_string())];
    folder.write_config(config, &facts)?;
    Run { config: config.clone(), data, task, folder, step: 0, best: None }.go(observer)
}

/// Continues the run in `path` from its last checkpoint.
///
/// # Errors
/// When there is no run, its configuration or data has changed, or a loss is not finite.
pub fn resume(path: &Path, context: &Context, observer: &mut Observer) -> Result<Outcome> {
    let folder = Folder::open(path)?;
    let config = folder.read_config()?;
    let data = load(&config.data.source, &config, context)?;
    let mut task = task(&config, &data, context)?;
    let (mut step, mut best) = (None, None);
    if let Some((checkpoint, tensors)) = folder.read_checkpoint()? {
        let file = folder.last_checkpoint();
        // How often things are written may be changed on the way; nothing else may.
        if (Config { log: config.log.clone(), ..checkpoint.config }) != config {
            return Err(Error::file(
                file,
                "belongs to another configuration than config.toml; undo the change there, or start a new run",
            ));
        }
        if checkpoint.data_fingerprint != data.fingerprint() {
            return Err(Error::mismatch(
                "data fingerprint",
                data.fingerprint(),
                &checkpoint.data_fingerprint,
                format!("the pictures of {} have changed since the run began; start a new run", config.data.source),
            ));
        }
        task.restore(checkpoint.step, &tensors).map_err(|e| Error::file(&file, e))?;
        (step, best) = (Some(checkpoint.step), checkpoint.best);
    }
    folder.forget_events_after(step)?;
    Run { config, data, task, folder, step: step.unwrap_or(0), best }.go(observer)
}

/// The pictures of a source in the configuration's form.
fn load(source: &str, config: &Config, context: &Context) -> Result<Dataset> {
    let colour = Colour::from_channels(config.data.channels)?;
    let form = Form {
        decoder: Decoder::new(Channels::Convert(colour)),
        resize: Some(Resize::new(config.data.size, config.data.size)?),
    };
    Source::parse(source, &context.data)?.load(&form)
}

fn task(config: &Config, data: &Dataset, context: &Context) -> Result<Box<dyn Task>> {
    let made = Made {
        version: env!("CARGO_PKG_VERSION").into(),
        preset: config.preset.clone().unwrap_or_default(),
        seed: config.seed,
        steps: 0,
        data: config.data.source.clone(),
        data_fingerprint: data.fingerprint().into(),
    };
    let held_out = config.data.held_out.as_deref().map(|source| load(source, config, context)).transpose()?;
    Ok(match &config.objective {
        Objective::MmdGan(gan) => {
            // Also without scores: the name goes into the generator's card.
            let map = FeatureMap::named(&gan.features, &context.models, &context.place)?;
            let reference = match held_out {
                None => None,
                Some(pictures) => {
                    // Evenly from all of them: folders are in the order of their classes.
                    let n = pictures.len();
                    let some: Vec<usize> = (0..n.min(SCORED)).map(|i| i * n / n.min(SCORED)).collect();
                    Some(Reference::new(map, &pictures.gather(&some)?)?)
                }
            };
            Box::new(mmd_gan::Trainer::new(config, gan, data, reference, made, &context.place)?)
        }
        Objective::Classifier(objective) => {
            Box::new(classifier::Trainer::new(config, objective, data, held_out, made, &context.place)?)
        }
    })
}

/// A run under way: `step` steps are done, `best` is the least score so far with its step.
struct Run {
    config: Config,
    data: Dataset,
    task: Box<dyn Task>,
    folder: Folder,
    step: u64,
    best: Option<(f64, u64)>,
}

impl Run {
    fn go(mut self, observer: &mut Observer) -> Result<Outcome> {
        let Config { steps, batch, ref log, .. } = self.config;
        let log = log.clone();
        let mut stopped = observer(Event::Begin { step: self.step, steps, batch }).is_break();
        if self.step == 0 {
            stopped |= self.score(observer)?.is_break();
            self.checkpoint(&self.folder.last_checkpoint())?;
        }
        let mut views = views::Views::open(self.folder.path(), log.tensorboard)?;
        if self.step == steps {
            // A run that was cut off between its last checkpoint and its model.
            self.task.write_model(&self.folder.model(), self.step)?;
        }
        let (mut since, mut done) = (Instant::now(), 0);
        while self.step < steps && !stopped {
            let mut numbers = self.task.step(self.step, &self.data)?;
            self.step += 1;
            done += 1;
            self.check_finite(&numbers)?;
            stopped |= observer(Event::Step { step: self.step, numbers: &numbers }).is_break();
            let due = |every: u64| self.step.is_multiple_of(every) || self.step == steps;
            let (log_due, score_due, checkpoint_due) = (due(log.every), due(log.samples), due(log.checkpoint));
            if log_due {
                numbers.push(("images_per_second", (done * batch) as f64 / since.elapsed().as_secs_f64()));
                self.folder.log(self.step, "step", &numbers)?;
            }
            if score_due {
                stopped |= self.score(observer)?.is_break();
            }
            if checkpoint_due || stopped {
                // The model first: where there is a checkpoint of a step, there is its model.
                self.task.write_model(&self.folder.model(), self.step)?;
                self.checkpoint(&self.folder.last_checkpoint())?;
            }
            if log_due || score_due {
                views.update(score_due)?;
            }
            if log_due {
                // Scores and checkpoints are no part of the speed.
                (since, done) = (Instant::now(), 0);
            }
        }
        views.update(true)?;
        let step = self.step;
        Ok(if step < steps { Outcome::Stopped { step } } else { Outcome::Finished { steps } })
    }

    fn check_finite(&self, numbers: &Numbers) -> Result<()> {
        let Some((name, value)) = numbers.iter().find(|(_, value)| !value.is_finite()) else { return Ok(()) };
        Err(Error::value(
            format!("{name} at step {}", self.step),
            value,
            format!(
                "a finite number; lower the learning rate in a new run (last good state: {})",
                self.folder.last_checkpoint().display()
            ),
        ))
    }

    fn checkpoint(&self, path: &Path) -> Result<()> {
        let header = Checkpoint {
            format: Checkpoint::FORMAT,
            step: self.step,
            best: self.best,
            config: self.config.clone(),
            data_fingerprint: self.data.fingerprint().into(),
        };
        self.folder.write_checkpoint(path, &header, self.task.state())
    }

    /// Draws the sample sheet, scores held-out pictures, and keeps the state when the score is the best so far.
    fn score(&mut self, observer: &mut Observer) -> Result<ControlFlow<()>> {
        if let Some(images) = self.task.samples()? {
            Grid::default().lay_out(&images)?.write_png(0, &self.folder.sample(self.step))?;
        }
        let numbers = self.task.score()?;
        let Some(&(_, value)) = numbers.first() else { return Ok(ControlFlow::Continue(())) };
        self.folder.log(self.step, "score", &numbers)?;
        if self.best.is_none_or(|(least, _)| value < least) {
            self.best = Some((value, self.step));
            self.task.write_model(&self.folder.best_model(), self.step)?;
            self.checkpoint(&self.folder.best_checkpoint())?;
        }
        Ok(observer(Event::Score { step: self.step, numbers: &numbers }))
    }
}
