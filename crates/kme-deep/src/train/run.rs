//! A run under way: steps, and what is logged, drawn, scored and saved between them.

use super::config::Config;
use super::folder::{Checkpoint, Folder};
use super::parallel::TeamResult;
use super::schedule::Schedule;
use super::sources::Sources;
use super::task::{self, Finding, Numbers, Sheet, Task};
use super::{Event, Observer, Outcome, STEPS, views};
use kme::{Error, Progress, Result};
use kme_image::Grid;
use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

/// A run under way: `step` steps are done, `best` is the least score so far with its step.
pub(super) struct Run {
    pub(super) config: Config,
    pub(super) sources: Sources,
    pub(super) task: Box<dyn Task>,
    pub(super) schedule: Schedule,
    pub(super) folder: Folder,
    pub(super) step: u64,
    pub(super) best: Option<(f64, u64)>,
    /// What a user should know before the first step.
    pub(super) remarks: Vec<String>,
    /// Whether it goes on as another run than the last checkpoint says.
    pub(super) changed: bool,
}

/// The first sheet and report of a run that are not due for their step: so that one sees soon whether it goes well.
const FIRST: Duration = Duration::from_secs(60);

impl Run {
    pub(super) fn go(mut self, observer: &dyn Observer) -> TeamResult<Outcome> {
        let Config { steps, batch, ref log, .. } = self.config;
        let log = log.clone();
        observer.event(Event::Begin { step: self.step, steps });
        self.remarks.iter().chain(&self.task.remarks()).for_each(|text| observer.remark(text));
        let at = |step: u64| Progress::new(STEPS, step as usize, steps as usize);
        let mut stopped = observer.progress(at(self.step)).is_break();
        let is_new = self.step == 0;
        if is_new {
            self.score(observer)?;
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
            observer.event(Event::Step { step: self.step, numbers: &numbers });
            let loss = numbers.iter().rfind(|(name, _)| name.ends_with("loss")).or(numbers.first());
            let at = at(self.step);
            stopped |= observer.progress(loss.map_or(at, |(_, loss)| at.with_value(*loss))).is_break();
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
                self.score(observer)?;
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
                        observer.remark(&text);
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
    fn step(&mut self) -> TeamResult<Numbers> {
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
                format!("the first value that is not finite is {value} in {tensor} at index {position}")
            }
            None => "parameters, samples and features before it are finite".into(),
        };
        let kept = match saved {
            Ok(()) => format!("the state after step {} is", self.step),
            Err(_) => "the last good state is".into(),
        };
        let last = self.folder.last_checkpoint();
        let remedy = format!("lower optimiser.learning_rate and resume: {kept} in {} ({first})", last.display());
        Err(Error::not_finite(format!("{name} at step {}", self.step + 1), value, remedy).into())
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
            let of = format!("position {} of state {} at step {}", found.position, found.tensor, self.step);
            let remedy =
                format!("lower optimiser.learning_rate and resume: the last good state is in {}", last.display());
            return Err(Error::not_finite(of, found.value.into(), remedy));
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
    fn score(&mut self, observer: &dyn Observer) -> Result<()> {
        self.draw()?;
        let numbers = self.task.score()?;
        let Some(&(_, value)) = numbers.first() else { return Ok(()) };
        self.folder.log(self.step, "score", &numbers)?;
        if self.best.is_none_or(|(least, _)| value < least) {
            self.best = Some((value, self.step));
            self.checkpoint(&self.folder.best_model(), &self.folder.best_checkpoint())?;
        }
        observer.event(Event::Score { step: self.step, numbers: &numbers });
        Ok(())
    }
}
