//! Runs that are watched by a function.

use kme::Progress;
use kme_deep::train::{Event, Observer, STEPS};
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// Calls a function for every event, and stops the run after the step in which that asks for it.
pub(crate) struct Watching<F> {
    event: Mutex<F>,
    stops: AtomicBool,
}

pub(crate) fn watching<F: FnMut(Event) -> ControlFlow<()> + Send>(event: F) -> Watching<F> {
    Watching { event: Mutex::new(event), stops: AtomicBool::new(false) }
}

impl<F: FnMut(Event) -> ControlFlow<()> + Send> kme::Observer for Watching<F> {
    fn progress(&self, at: Progress) -> ControlFlow<()> {
        match at.what == STEPS && self.stops.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

impl<F: FnMut(Event) -> ControlFlow<()> + Send> Observer for Watching<F> {
    fn event(&self, event: Event) {
        let flow = (self.event.lock().unwrap())(event);
        self.stops.fetch_or(flow.is_break(), Ordering::Relaxed);
    }
}
