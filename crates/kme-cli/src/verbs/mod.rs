//! One file for each verb: its flags, and what it does.

pub mod data;
pub mod embed;
pub mod eval;
pub mod matching;
pub mod merge;
pub mod models;
pub mod rank;
pub mod reduce;
pub mod sample;
pub mod test;
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
        let allowed = "1 to 1024, and no more than the system can start";
        let refused = || Error::value("--threads", threads, allowed);
        if !(1..=1024).contains(&threads) {
            return Err(refused());
        }
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|_| refused())?;
    }
    // A device that is not there is told also where nothing would be computed on it.
    global.context()?;
    match &arguments.verb {
        Verb::Embed(verb) => embed::run(verb, global),
        Verb::Merge(verb) => merge::run(verb, global),
        Verb::Eval(verb) => eval::run(verb, global),
        Verb::Test(verb) => test::run(verb, global),
        Verb::Rank(verb) => rank::run(verb, global),
        Verb::Reduce(verb) => reduce::run(verb, global),
        Verb::Train(verb) => train::run(verb, global),
        Verb::Sample(verb) => sample::run(verb, global),
        Verb::Match(verb) => matching::run(verb, global),
        Verb::Models(verb) => models::run(verb, global),
        Verb::Data(verb) => data::run(verb, global),
    }
}
