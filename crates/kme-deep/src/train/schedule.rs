//! How learning rates change during a run.

use super::config::{Schedule as Settings, ThreeSample};
use super::optimiser::Pace;
use super::task::Numbers;
use kme::{Error, Marginals, Plateau, PlateauRule, Result, Verdict};
use std::path::Path;

/// A schedule with what it remembers.
pub(crate) struct Schedule {
    settings: Settings,
    steps: u64,
    /// The optimiser's learning rate, which the floors of schedules are relative to.
    rate: f64,
    /// The rule by tests, where that decides.
    progress: Option<Plateau>,
}

impl Schedule {
    /// For a run of `steps` steps with the learning rate `rate`.
    ///
    /// # Errors
    /// When the settings of the rule by tests are out of range.
    pub(super) fn new(settings: &Settings, rate: f64, steps: u64) -> Result<Self> {
        let progress = match settings {
            Settings::ThreeSample(rule) => {
                let ThreeSample { queue, alpha, patience, kept, variance_floor: floor, .. } = *rule;
                Some(Plateau::new(PlateauRule { queue, alpha, patience, kept, floor })?)
            }
            _ => None,
        };
        Ok(Self { settings: settings.clone(), steps, rate, progress })
    }

    /// The pace of step `step`.
    pub(super) fn pace(&self, step: u64) -> Pace {
        let (mut momentum, floor) = (None, |least: f64| (least / self.rate).min(1.0));
        let factor = match &self.settings {
            Settings::Constant(_) => 1.0,
            Settings::Cosine(cosine) => {
                let progress = (step as f64 / self.steps as f64).min(1.0);
                let falling = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
                cosine.final_fraction + (1.0 - cosine.final_fraction) * falling
            }
            Settings::Decay(decay) => {
                let times = (step / decay.every).min(i32::MAX as u64) as i32;
                decay.factor.powi(times).max(floor(decay.least))
            }
            Settings::Drop(drop) if step >= drop.at => {
                momentum = drop.momentum;
                drop.factor
            }
            Settings::Drop(_) => 1.0,
            Settings::ThreeSample(rule) => {
                let decays = self.progress.as_ref().map_or(0, Plateau::decays).min(i32::MAX as u32) as i32;
                rule.factor.powi(decays).max(floor(rule.least))
            }
        };
        Pace { factor, momentum }
    }

    /// The settings of the rule by tests when a check is due after `step` steps.
    pub(super) fn due(&self, step: u64) -> Option<&ThreeSample> {
        match &self.settings {
            Settings::ThreeSample(rule) if step.is_multiple_of(rule.every) => Some(rule),
            _ => None,
        }
    }

    /// Takes over a check's sums; the numbers to log are the test's p and the decays so far.
    ///
    /// # Errors
    /// When the sums do not belong to the earlier ones.
    pub(super) fn observe(&mut self, sums: Marginals) -> Result<Numbers> {
        let Some(progress) = &mut self.progress else { return Ok(Numbers::new()) };
        let p = match progress.observe(sums)? {
            Verdict::Filling { .. } => None,
            Verdict::Better { p_value } | Verdict::NotBetter { p_value, .. } | Verdict::Decay { p_value } => {
                Some(p_value)
            }
        };
        let decays = f64::from(progress.decays());
        Ok(p.map(|p| ("three_sample_p", p)).into_iter().chain([("decays", decays)]).collect())
    }

    /// What a checkpoint must keep, as JSON.
    pub(super) fn state(&self) -> Option<serde_json::Value> {
        self.progress.as_ref().map(|p| serde_json::to_value(p).expect("finite numbers are written as JSON"))
    }

    /// Takes over the state in the checkpoint at `path`.
    ///
    /// # Errors
    /// [`Error::Format`] when it is another schedule's.
    pub(super) fn restore(&mut self, state: Option<&serde_json::Value>, path: &Path) -> Result<()> {
        match (&mut self.progress, state) {
            (None, None) => Ok(()),
            (Some(progress), Some(state)) => {
                *progress = serde_json::from_value(state.clone()).map_err(|e| {
                    Error::unreadable(path, "the state of its schedule is damaged: bring the file back", e)
                })?;
                Ok(())
            }
            _ => {
                Err(Error::format(path, "holds the state of another schedule: use a checkpoint of this configuration"))
            }
        }
    }
}
