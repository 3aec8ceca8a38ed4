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
mod optimiser;
mod other_run;
pub mod parallel;
mod paths;
mod plan;
mod presets;
mod ready;
mod remarks;
pub mod report;
mod resume;
mod run;
mod schedule;
mod set;
mod sources;
mod split;
mod stock;
mod task;
mod tensorboard;
mod views;

pub use crate::sample::Context;
pub use config::Config;
pub use plan::Plan;
pub use presets::Preset;
pub use resume::Changes;
pub use task::Numbers;

use folder::{Checkpoint, Folder};
use kme::internal::io::Wanted;
use kme::{Error, Result};
use parallel::{Seat, Team, TeamResult, check_shares};
use ready::{Begun, Ready, ready};
use run::Run;
use schedule::Schedule;
use sources::Sources;
use std::path::{Path, PathBuf};

/// A run that was begun, a step or a score, with its numbers.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins or continues after `step` steps of `steps`.
    Begin {
        /// Steps that are done; 0 of a new run.
        step: u64,
        /// Steps in all.
        steps: u64,
    },
    /// One step is done.
    Step {
        /// Steps that are done.
        step: u64,
        /// Losses, norms of gradients and learning rates.
        numbers: &'a Numbers,
    },
    /// Scores on held-out pictures.
    Score {
        /// Steps that are done.
        step: u64,
        /// Scores, each with its standard error behind it.
        numbers: &'a Numbers,
    },
}

/// Watches a run as any other long work: it is told of pictures that are read and of [`STEPS`] that are done, and may stop
/// the run between steps, after a checkpoint. Whoever wants the numbers of steps and scores too implements
/// [`event`](Self::event).
pub trait Observer: kme::Observer {
    /// Something happened.
    fn event(&self, _event: Event) {}
}

impl Observer for () {}

/// The unit of the [progress](kme::Progress) of steps, whose value is the loss.
pub const STEPS: &str = "steps";

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps are done.
    Finished {
        /// How many.
        steps: u64,
    },
    /// Stopped by the observer; a checkpoint is saved.
    Stopped {
        /// Steps that are done.
        step: u64,
    },
}

/// Where a run is kept, where and by whom its steps are done, and who watches.
///
/// # Example
/// A preset, made shorter; its generator is `runs/toy/model.safetensors` then.
/// ```no_run
/// use kme_deep::train::{Plan, Request};
///
/// # fn main() -> kme::Result<()> {
/// let mut config = Plan::load("25-gaussians")?.into_config();
/// config.steps = 500;
/// let outcome = Request::new("runs/toy").start(&config.check()?)?;
/// println!("{outcome:?}");
/// # Ok(())
/// # }
/// ```
pub struct Request<'a> {
    path: PathBuf,
    context: Context,
    team: Team,
    observer: &'a dyn Observer,
}

impl<'a> Request<'a> {
    /// A run in the folder `path`: on the processor, by one worker, watched by nobody.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), context: Context::cpu(), team: Team::alone(), observer: &() }
    }

    /// With tensors, networks and data sets elsewhere.
    #[must_use]
    pub fn with_context(self, context: Context) -> Self {
        Self { context, ..self }
    }

    /// By several workers, who share every step.
    #[must_use]
    pub fn with_team(self, team: Team) -> Self {
        Self { team, ..self }
    }

    /// Watched.
    #[must_use]
    pub fn with_observer(self, observer: &'a dyn Observer) -> Self {
        Self { observer, ..self }
    }

    /// Starts the run, in a new folder.
    ///
    /// # Errors
    /// When the data or the folder cannot be used, or a loss is not finite. With several workers: when the batch or the
    /// objective cannot be shared, or one has left.
    pub fn start(self, plan: &Plan) -> Result<Outcome> {
        let Self { path, context, team, observer } = self;
        Folder::check_free(&path)?;
        kme::internal::io::check(path.join("config.toml"), Wanted::FileAndFolders)?;
        // A run's own config.toml says already what it was begun as.
        let plan = plan.begun_here();
        let workers = team.size();
        team.run(&context, |seat| {
            // From now on the place is taken, though reading the data may take long. Nothing stays there of a run that does not begin.
            let folder = Folder::create(&path)?.locked()?;
            // Everything that can be wrong with the configuration or the data is found before anything is written.
            let Ready { mut task, mut sources, about } = ready(&plan, &context, seat, &Begun::default(), observer)?;
            let config = plan.into_config();
            let schedule = Schedule::new(&config.schedule, config.optimiser.learning_rate(), config.steps)?;
            let mut remarks = about.remarks.clone();
            let from = other_run::begin(&config, &context, &mut *task)?;
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

    /// Continues the run in the folder from its last checkpoint, perhaps with some things changed. With as many workers as
    /// before, and without changes, it ends with the bits of a run that never stopped.
    ///
    /// # Errors
    /// When there is no run, its configuration or data has changed, something is changed that may not be, or a loss is not
    /// finite. With several workers those of [`start`](Self::start).
    pub fn resume(self, changes: &Changes) -> Result<Outcome> {
        let Self { path, context, team, observer } = self;
        let folder = Folder::open(&path)?.locked()?;
        let plan = folder.read_config(&changes.sets)?;
        team.run(&context, |seat| continued(folder, plan, changes, &context, seat, observer))
    }
}

/// What [`Request::start`] would refuse, as far as it can be told without the data and the other workers.
///
/// # Errors
/// When that many workers cannot share the steps, something is at `path` already, or it cannot be
/// written there.
pub fn check_start(plan: &Plan, path: &Path, workers: usize) -> Result<()> {
    check_shares(plan, workers)?;
    Folder::check_free(path)?;
    kme::internal::io::check(path.join("config.toml"), Wanted::FileAndFolders)
}

/// What [`Request::resume`] would refuse, as far as it can be told without the data and the other workers; the plan of the
/// run with these changes.
///
/// # Errors
/// When there is no run at `path`, or it cannot be shared among that many workers.
pub fn check_resume(path: &Path, changes: &Changes, workers: usize) -> Result<Plan> {
    let plan = Folder::open(path)?.read_config(&changes.sets)?;
    check_shares(&plan, workers)?;
    Ok(plan)
}

fn continued(
    folder: Folder,
    plan: Plan,
    changes: &Changes,
    context: &Context,
    seat: Seat,
    observer: &dyn Observer,
) -> TeamResult<Outcome> {
    let stored = folder.read_checkpoint()?;
    let differences = match &stored {
        Some((checkpoint, _)) => {
            resume::differences(&checkpoint.config, plan.config(), checkpoint.step, &changes.sets, &folder.config())?
        }
        None => Vec::new(),
    };
    let begun = Begun {
        known: folder.read_listing(),
        split: stored.as_ref().and_then(|(checkpoint, _)| checkpoint.sources.split),
    };
    let Ready { mut task, mut sources, about } = ready(&plan, context, seat, &begun, observer)?;
    let config = plan.into_config();
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
                let (now, begun) = (&sources.data, &checkpoint.sources.data);
                return Err(resume::refusal(now, begun, files, &config.data.source).into());
            }
            // Which pictures are new cannot be told by a rule that is decided now.
            if config.data.holds_out_some() && begun.split.is_none() {
                let problem = "does not say which pictures it holds out, so that new ones cannot be told from those it \
                               learned from: bring the data back, or start a new run";
                return Err(Error::format(&file, problem).into());
            }
            let text = files.unwrap_or_else(|| "other data".into());
            remarks.push(format!("going on with changed data: {text}"));
            notes.push(("data".into(), text.into()));
        }
        let known = Sources { data: sources.data.clone(), ..checkpoint.sources.clone() };
        sources.check(&known, &config, |name| {
            format!("{name} has changed since the run began; bring it back, or start a new run")
        })?;
        task.restore(checkpoint.step, &tensors).map_err(|fault| fault.within(file.display()))?;
        // What a schedule remembers means nothing to one of another kind.
        if std::mem::discriminant(&checkpoint.config.schedule) == std::mem::discriminant(&config.schedule) {
            schedule.restore(checkpoint.schedule.as_ref(), &file)?;
        }
        (step, best) = (Some(checkpoint.step), checkpoint.best);
        for [key, was, is] in &differences {
            remarks.push(format!("from step {} on: {key} is {is} instead of {was}", checkpoint.step));
            notes.push((key.clone(), serde_json::json!([was, is])));
        }
        remarks.extend(rate_jump(&checkpoint, &config, &schedule, &file)?);
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
        return Err(Error::path(folder.last_checkpoint(), fault).into());
    }
    if step.is_none()
        && let Some((_, some)) = other_run::begin(&config, context, &mut *task)?
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
fn rate_jump(checkpoint: &Checkpoint, config: &Config, schedule: &Schedule, file: &Path) -> Result<Option<String>> {
    let (old, step) = (&checkpoint.config, checkpoint.step);
    let mut before = Schedule::new(&old.schedule, old.optimiser.learning_rate(), old.steps)?;
    before.restore(checkpoint.schedule.as_ref(), file)?;
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
