//! Who watches long work.

use crate::{Error, Result};
use std::ops::ControlFlow;

/// How far some work is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Progress<'a> {
    /// The unit: "pictures", "draws", "steps".
    pub what: &'a str,
    /// How many are done; the last call has `done` = `of`.
    pub done: u64,
    /// How many there will be.
    pub of: u64,
    /// A number that goes with it, such as the loss at this step.
    pub value: Option<f64>,
}

impl<'a> Progress<'a> {
    /// `done` of `of` `what`.
    pub fn new(what: &'a str, done: usize, of: usize) -> Self {
        Self { what, done: done as u64, of: of as u64, value: None }
    }

    /// With the number that goes with it.
    #[must_use]
    pub fn with_value(self, value: f64) -> Self {
        Self { value: Some(value), ..self }
    }
}

/// Watches long work, says what is remarked on, and may stop it.
///
/// `()` watches nothing. Parameters stand in the remarks in backticks, as in the messages of [`Error`].
pub trait Observer: Sync {
    /// Something that whoever reads the result should know, as one sentence or two.
    fn remark(&self, _text: &str) {}

    /// Something for those who want to know everything.
    fn detail(&self, _text: &str) {}

    /// How far the work is. [`ControlFlow::Break`] asks for a stop, which comes at the next good moment.
    fn progress(&self, _at: Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Observer for () {}

/// [`Error::Cancelled`] where the observer asks for a stop.
///
/// # Errors
/// That one.
pub fn check(observer: &dyn Observer, at: Progress) -> Result<()> {
    match observer.progress(at) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}
