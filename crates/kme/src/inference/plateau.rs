//! Does training still make progress? The rule by which MMD GANs lower their learning rate.

use super::three_sample::check_floor;
use super::{Marginals, check_level, three_sample_asymptotic};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// When a new sample counts as progress, and after how many that do not the learning rate is to fall.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlateauRule {
    /// The new sample is compared with the oldest of this many past ones; until there are as many, with none.
    pub queue: usize,
    /// There is progress where p ≤ α.
    pub alpha: f64,
    /// Failures in a row that make a decay.
    pub patience: usize,
    /// Entries that the queue keeps after a decay, the sample that caused it among them.
    pub kept: usize,
    /// A least variance of the difference of two MMD²; 0, the default, for none but that of equal laws: see
    /// [`three_sample_asymptotic`].
    ///
    /// It is in the units of the kernel, and hides what is smaller. With the published floor of 1e-5 no fall of MMD² below
    /// 1.28·√1e-5 = 0.0041 is ever progress at α = 0.1. Near convergence every third test is then a decay.
    pub floor: f64,
}

impl Default for PlateauRule {
    /// The published rule, but for its floor.
    fn default() -> Self {
        Self { queue: 10, alpha: 0.1, patience: 3, kept: 3, floor: 0.0 }
    }
}

impl PlateauRule {
    /// # Errors
    /// When a number is outside what is allowed.
    pub fn check(&self) -> Result<()> {
        let Self { queue, alpha, patience, kept, floor } = *self;
        if queue == 0 {
            return Err(Error::parameter("queue", queue, "at least 1 past sample, such as 10"));
        }
        if patience == 0 {
            return Err(Error::parameter("patience", patience, "at least 1 failure, such as 3"));
        }
        if !(1..=queue).contains(&kept) {
            return Err(Error::parameter("kept", kept, format!("from 1 to {queue}, the length of the queue")));
        }
        check_floor(floor)?;
        check_level(alpha)
    }
}

/// What a new sample means for training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing was compared: the queue now has this many entries.
    Filling {
        /// Samples in the queue.
        have: usize,
    },
    /// The new sample is nearer to the reference than the oldest in the queue.
    Better {
        /// Of the hypothesis that it is not better.
        p_value: f64,
    },
    /// It may not be, for this many times in a row.
    NotBetter {
        /// Of the hypothesis that it is not better.
        p_value: f64,
        /// Checks in a row that found no improvement.
        failures: usize,
    },
    /// It may not be, once too often: lower the learning rate.
    Decay {
        /// Of the hypothesis that it is not better.
        p_value: f64,
    },
}

/// Watches the samples of a model in training and tells when the learning rate is to fall.
///
/// Let Y be the new sample, Z the oldest in the queue, X the reference, and p that of the three-sample test of
/// H₀: MMD(X,Y) ≥ MMD(X,Z).
///
/// | state | then | the queue |
/// |---|---|---|
/// | fewer than `queue` entries | nothing is tested | Y is appended |
/// | p ≤ α | training makes progress, failures = 0 | the oldest is dropped, Y is appended |
/// | p > α | failures + 1 | stays: Z remains the one to beat, Y is forgotten |
/// | p > α, `patience` times in a row | decay, failures = 0 | Y is appended, all but the last `kept` are dropped |
///
/// After a decay `queue − kept` samples are appended before the next test, so the smaller steps have time to show what
/// they are good for. If nothing improves, decays are `queue − kept + patience` samples apart: with the published
/// numbers at samples 13, 23, 33, …; where samples improve up to number 20 and no more, at 32, 42, 52, ….
///
/// It is a state to be stored with a checkpoint: after reading it back, verdicts and p-values are the same bits. An entry
/// of the queue is O(n + m) numbers ([`Marginals`]), no points. `E` may hold more than those, such as the step at which
/// a sample was made: see [`Plateau::judge`].
///
/// # Example
/// ```
/// use kme::{Data, Kernel, Marginals, Plateau, PlateauRule, Points, Precision, Verdict};
/// let line = |shift: f64| Points::new(50, 1, Data::F64((0..50).map(|i| 0.02 * f64::from(i) + shift).collect()));
/// let kernel: Kernel = "gaussian:sigma=1".parse()?;
/// let sums = |shift: f64| Marginals::new(&kernel, &line(0.0)?, &line(shift)?, Precision::F64);
/// let mut progress = Plateau::new(PlateauRule { queue: 2, kept: 1, patience: 1, ..PlateauRule::default() })?;
/// assert_eq!(progress.observe(sums(3.0)?)?, Verdict::Filling { have: 1 });
/// assert_eq!(progress.observe(sums(2.0)?)?, Verdict::Filling { have: 2 });
/// assert!(matches!(progress.observe(sums(1.0)?)?, Verdict::Better { .. }));
/// assert!(matches!(progress.observe(sums(2.0)?)?, Verdict::Decay { .. }));
/// # Ok::<(), kme::Error>(())
/// ```
///
/// # Reference
/// Bińkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018, §4, and the code published with it; the
/// test is that of Bounliphone et al., ICLR 2016: see [`three_sample_asymptotic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau<E = Marginals> {
    rule: PlateauRule,
    /// The oldest first.
    past: Vec<E>,
    /// In a row.
    failures: usize,
    decays: u32,
}

impl Plateau {
    /// What the sample with the sums `y` means. An error leaves the state as it was.
    ///
    /// # Errors
    /// When y was summed with another kernel or another reference than those before it.
    pub fn observe(&mut self, y: Marginals) -> Result<Verdict> {
        let floor = self.rule.floor;
        self.judge(y, |y, z| Ok(three_sample_asymptotic(y, z, floor)?.outcome.p_value))
    }
}

impl<E> Plateau<E> {
    /// Before the first sample.
    ///
    /// # Errors
    /// When the rule is outside what is allowed.
    pub fn new(rule: PlateauRule) -> Result<Self> {
        rule.check()?;
        Ok(Self { rule, past: Vec::new(), failures: 0, decays: 0 })
    }

    /// The rule alone, by any test: `p_value(y, z)` is small where y is better than z, and is called only when there is
    /// something to compare.
    ///
    /// # Errors
    /// Those of `p_value`; the state stays as it was.
    pub fn judge(&mut self, y: E, p_value: impl FnOnce(&E, &E) -> Result<f64>) -> Result<Verdict> {
        let oldest = match self.past.first() {
            Some(oldest) if self.past.len() >= self.rule.queue => oldest,
            _ => {
                self.past.push(y);
                return Ok(Verdict::Filling { have: self.past.len() });
            }
        };
        let p_value = p_value(&y, oldest)?;
        if p_value <= self.rule.alpha {
            self.past.remove(0);
            self.past.push(y);
            self.failures = 0;
            return Ok(Verdict::Better { p_value });
        }
        self.failures += 1;
        if self.failures < self.rule.patience {
            return Ok(Verdict::NotBetter { p_value, failures: self.failures });
        }
        self.past.push(y);
        self.past.drain(..self.past.len().saturating_sub(self.rule.kept));
        self.failures = 0;
        self.decays = self.decays.saturating_add(1);
        Ok(Verdict::Decay { p_value })
    }

    /// The settings.
    pub fn rule(&self) -> &PlateauRule {
        &self.rule
    }

    /// The entries of the queue, the oldest first.
    pub fn past(&self) -> &[E] {
        &self.past
    }

    /// How often the learning rate was to fall so far: it is the initial one times the factor of a decay to this power.
    pub fn decays(&self) -> u32 {
        self.decays
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise-free: p is 0 for what is strictly better, else 1.
    fn verdicts(rule: PlateauRule, distance: impl Fn(usize) -> usize, count: usize) -> (Vec<Verdict>, Vec<Vec<usize>>) {
        let mut progress = Plateau::<usize>::new(rule).unwrap();
        (1..=count)
            .map(|t| {
                let p = |y: &usize, z: &usize| Ok(if distance(*y) < distance(*z) { 0.0 } else { 1.0 });
                (progress.judge(t, p).unwrap(), progress.past().to_vec())
            })
            .unzip()
    }

    fn decays(verdicts: &[Verdict]) -> Vec<usize> {
        let is_decay = |v: &Verdict| matches!(v, Verdict::Decay { .. });
        (1..).zip(verdicts).filter(|(_, v)| is_decay(v)).map(|(t, _)| t).collect()
    }

    #[test]
    fn decays_come_when_the_published_rule_has_them() {
        let rule = PlateauRule::default();
        let (flat, queues) = verdicts(rule, |_| 0, 40);
        assert_eq!(decays(&flat), [13, 23, 33]);
        assert_eq!(flat[9], Verdict::Filling { have: 10 });
        assert_eq!(flat[11], Verdict::NotBetter { p_value: 1.0, failures: 2 });
        // Those that failed before the decay are in no queue; the one that caused it is.
        assert_eq!(queues[11], (1..=10).collect::<Vec<_>>());
        assert_eq!(queues[12], [9, 10, 13]);
        assert_eq!(flat[13], Verdict::Filling { have: 4 });
        assert_eq!(queues[19], [9, 10, 13, 14, 15, 16, 17, 18, 19, 20]);
        let (improving, queues) = verdicts(rule, |t| 20_usize.saturating_sub(t), 60);
        assert_eq!(decays(&improving), [32, 42, 52]);
        assert_eq!(improving[28], Verdict::Better { p_value: 0.0 });
        assert_eq!(queues[28], (20..=29).collect::<Vec<_>>());
        assert!(decays(&verdicts(rule, |t| 1000 - t, 500).0).is_empty());
    }

    #[test]
    fn a_success_forgives_failures_and_every_setting_counts() {
        // Two failures and a success, again and again: never three in a row.
        let (found, _) = verdicts(PlateauRule::default(), |t| 1000 - t / 3 - if t % 3 == 0 { 10 } else { 0 }, 300);
        assert!(decays(&found).is_empty());
        let rule = PlateauRule { queue: 4, patience: 2, kept: 1, ..PlateauRule::default() };
        let (flat, queues) = verdicts(rule, |_| 0, 16);
        assert_eq!(decays(&flat), [6, 11, 16]);
        assert_eq!(queues[5], [6]);
        // p = α is progress.
        let mut progress = Plateau::<u8>::new(PlateauRule { queue: 1, kept: 1, ..PlateauRule::default() }).unwrap();
        progress.judge(0, |_, _| unreachable!("nothing to compare")).unwrap();
        assert_eq!(progress.judge(1, |_, _| Ok(0.1)).unwrap(), Verdict::Better { p_value: 0.1 });
    }

    #[test]
    fn what_is_not_allowed_is_refused_and_changes_nothing() {
        let rule = PlateauRule::default();
        for (wrong, parameter) in [
            (PlateauRule { queue: 0, ..rule }, "queue"),
            (PlateauRule { patience: 0, ..rule }, "patience"),
            (PlateauRule { kept: 0, ..rule }, "kept"),
            (PlateauRule { kept: 11, ..rule }, "kept"),
            (PlateauRule { floor: -1e-10, ..rule }, "floor"),
            (PlateauRule { floor: f64::NAN, ..rule }, "floor"),
            (PlateauRule { alpha: 1.0, ..rule }, "alpha"),
        ] {
            let error = Plateau::<u8>::new(wrong).unwrap_err();
            assert_eq!(error.parameter_name(), Some(parameter), "{error}");
        }
        let mut progress = Plateau::<u8>::new(PlateauRule { queue: 1, kept: 1, ..rule }).unwrap();
        progress.judge(0, |_, _| Ok(1.0)).unwrap();
        let before = progress.clone();
        assert!(progress.judge(1, |_, _| Err(Error::missing("p", "give any"))).is_err());
        assert_eq!(progress, before);
        let text: std::result::Result<PlateauRule, _> = serde_json::from_str(r#"{"alhpa": 0.2}"#);
        assert!(text.unwrap_err().to_string().contains("alhpa"));
        let rule: PlateauRule = serde_json::from_str(r#"{"floor": 1e-5}"#).unwrap();
        assert_eq!(rule, PlateauRule { floor: 1e-5, ..PlateauRule::default() });
    }
}
