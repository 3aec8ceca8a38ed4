//! How far the long sums of tests by permutation are, for whoever watches them.

use crate::observe::{Observer, Progress};
use crate::{Error, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Pairs that are one step of the progress.
const STEP: f64 = 1e6;

/// Counts the pairs of points whose kernel value is added up for every labelling, once for each kernel, on all threads, and
/// tells an observer, who may stop the work.
pub(crate) struct Pairs<'a> {
    observer: &'a dyn Observer,
    /// Steps there will be.
    of: u64,
    done: AtomicU64,
    told: Mutex<Told>,
}

/// What the observer knows, and whether it asked for a stop.
struct Told {
    step: u64,
    is_cancelled: bool,
}

impl<'a> Pairs<'a> {
    /// Those of `kernels` kernels over each of `samples` pooled samples of `n` points.
    pub(crate) fn new(observer: &'a dyn Observer, kernels: usize, samples: usize, n: usize) -> Self {
        let pairs = kernels as f64 * samples as f64 * (n as f64).powi(2) / 2.0;
        let of = (pairs / STEP).round() as u64;
        let told = Mutex::new(Told { step: 0, is_cancelled: false });
        let found = Self { observer, of, done: AtomicU64::new(0), told };
        if of > 0 {
            found.lock().is_cancelled = found.tell(0);
        }
        found
    }

    /// `count` more pairs are added up.
    pub(super) fn add(&self, count: usize) {
        let before = self.done.fetch_add(count as u64, Ordering::Relaxed);
        let step = |pairs: u64| ((pairs as f64 / STEP) as u64).min(self.of);
        self.reach(step(before), step(before + count as u64));
    }

    /// [`Error::Cancelled`] where the observer asked for a stop, so that what was added up is not whole.
    pub(super) fn check(&self) -> Result<()> {
        if self.lock().is_cancelled { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// All pairs are added up.
    pub(crate) fn finish(&self) {
        self.reach(0, self.of);
    }

    /// Steps come in order, whichever thread is first.
    fn reach(&self, before: u64, step: u64) {
        if step > before {
            let mut told = self.lock();
            if step > told.step && !told.is_cancelled {
                told.step = step;
                told.is_cancelled = self.tell(step);
            }
        }
    }

    fn tell(&self, step: u64) -> bool {
        let at = Progress { what: "million pairs of points", done: step, of: self.of, value: None };
        self.observer.progress(at).is_break()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::ops::ControlFlow;

    /// Keeps what it is told, and stops at a step.
    struct Keeping {
        told: Mutex<Vec<u64>>,
        stops_at: u64,
    }

    impl Observer for Keeping {
        fn progress(&self, at: Progress) -> ControlFlow<()> {
            assert_eq!((at.what, at.of), ("million pairs of points", 50));
            self.told.lock().unwrap().push(at.done);
            if at.done >= self.stops_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }

    fn told(stops_at: u64) -> (Vec<u64>, bool) {
        let keeping = Keeping { told: Mutex::default(), stops_at };
        let pairs = Pairs::new(&keeping, 1, 1, 10_000);
        (0..700).into_par_iter().for_each(|_| pairs.add(70_000));
        pairs.finish();
        let is_cancelled = matches!(pairs.check(), Err(Error::Cancelled));
        (keeping.told.into_inner().unwrap(), is_cancelled)
    }

    #[test]
    fn steps_come_in_order_and_end_with_the_last() {
        let (steps, is_cancelled) = told(u64::MAX);
        assert!(steps.is_sorted_by(|a, b| a < b) && !is_cancelled, "{steps:?}");
        assert_eq!((steps[0], steps.last()), (0, Some(&50)));
        assert!(steps.len() > 20, "{steps:?}");
    }

    #[test]
    fn nothing_is_told_after_a_stop() {
        let (steps, is_cancelled) = told(10);
        assert!(is_cancelled && steps.last().is_some_and(|step| *step >= 10), "{steps:?}");
        assert_eq!(steps.iter().filter(|step| **step >= 10).count(), 1);
    }
}
