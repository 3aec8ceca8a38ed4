//! One file for each verb: its flags, and what it does.

pub(crate) mod data;
pub(crate) mod embed;
pub(crate) mod eval;
pub(crate) mod matching;
pub(crate) mod merge;
pub(crate) mod models;
pub(crate) mod rank;
pub(crate) mod reduce;
pub(crate) mod sample;
pub(crate) mod test;
pub(crate) mod train;

use crate::arguments::{Arguments, Verb};
use kme::{Error, Result};

/// Runs the verb. False when an `--assert` did not hold.
///
/// # Errors
/// On bad input.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let global = &arguments.global;
    if let Some(threads) = global.threads {
        let allowed = "from 1 to 1024, and no more than the system can start";
        let refused = || Error::parameter("threads", threads, allowed);
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
