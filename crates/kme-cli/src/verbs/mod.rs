//! One file for each verb: its flags, and what it does.

pub mod matching;
pub mod sample;
pub mod train;

use crate::arguments::{Arguments, Verb};
use kme::{Error, Result};

/// Runs the verb. False when an `--assert` did not hold.
///
/// # Errors
/// On bad input.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let global = &arguments.global;
    if let Some(threads) = global.threads {
        if threads == 0 {
            return Err(Error::value("--threads", 0, "at least 1"));
        }
        // Fails only when the pool exists already, which nothing before this line causes.
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("the pool is built once");
    }
    match &arguments.verb {
        Verb::Train(verb) => train::run(verb, global),
        Verb::Sample(verb) => sample::run(verb, global),
        Verb::Match(verb) => matching::run(verb, global),
    }
}
