//! What is typed: the list of verbs, how the command line is read, and which verb is run.

use crate::arguments::{self, Global};
use crate::verbs;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, CommandFactory, Parser, Subcommand};
use kme::{Error, Result};
use std::io::Write;

/// Make, steer and judge pictures by kernel mean embeddings.
///
/// A kernel mean embedding turns a distribution into a point, and the distance of two distributions into the distance of
/// two points. Whatever you can move, you can move towards a point: a generator's weights, its latents, a choice of samples.
#[derive(Parser)]
#[command(
    name = "kme",
    version,
    max_term_width = 100,
    before_help = "\
Examples:
  kme match fashion boot.png bag.png -o out.png        make pictures like these
  kme eval real/ fake/ --features inception            how far is fake/ from real/?
  kme train fashion-mmd-gan -o runs/mine               train a generator
  kme eval -h                                          a short help; --help says everything",
    after_help = "\
Exit codes: 0 success, 1 an --assert did not hold, 2 wrong usage or bad input, 3 internal error, 130 interrupted.
Results go to standard output; progress, remarks and errors go to standard error."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub global: Global,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    Embed(verbs::embed::Arguments),
    Merge(verbs::merge::Arguments),
    Eval(verbs::eval::Arguments),
    Test(verbs::test::Arguments),
    Rank(verbs::rank::Arguments),
    Reduce(verbs::reduce::Arguments),
    Train(verbs::train::Arguments),
    Sample(verbs::sample::Arguments),
    Match(verbs::matching::Arguments),
    Models(verbs::models::Arguments),
    Data(verbs::data::Arguments),
}

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
        Verb::Embed(verb) => verbs::embed::run(verb, global),
        Verb::Merge(verb) => verbs::merge::run(verb, global),
        Verb::Eval(verb) => verbs::eval::run(verb, global),
        Verb::Test(verb) => verbs::test::run(verb, global),
        Verb::Rank(verb) => verbs::rank::run(verb, global),
        Verb::Reduce(verb) => verbs::reduce::run(verb, global),
        Verb::Train(verb) => verbs::train::run(verb, global),
        Verb::Sample(verb) => verbs::sample::run(verb, global),
        Verb::Match(verb) => verbs::matching::run(verb, global),
        Verb::Models(verb) => verbs::models::run(verb, global),
        Verb::Data(verb) => verbs::data::run(verb, global),
    }
}

/// The command with its flags: what follows one of them is its value, also a number below 0, so that the flag itself says
/// what it takes. Examples stand before the flags, and paragraphs of help are broken where the terminal ends.
pub(crate) fn command() -> Command {
    adjusted(Arguments::command())
}

/// From here on parameters are told by the flags of this verb, and by those of every verb.
fn know_flags(verb: &str) {
    let command = command();
    let own = command.find_subcommand(verb).into_iter().flat_map(|verb| verb.get_arguments());
    let named = own.chain(command.get_arguments()).filter(|flag| !flag.is_positional()).flat_map(|flag| {
        let text = match (flag.get_long(), flag.get_short()) {
            (Some(long), _) => format!("--{long}"),
            (None, short) => format!("-{}", short.unwrap_or_default()),
        };
        let long = flag.get_long().map(|long| (long.replace('-', "_"), text.clone()));
        std::iter::once((flag.get_id().to_string(), text)).chain(long)
    });
    let _ = arguments::FLAGS.set((verb.into(), named.collect()));
}

/// What was typed, taken apart; what cannot be ends the program with its fault.
pub(crate) fn matches() -> ArgMatches {
    let matches = command().try_get_matches().unwrap_or_else(|fault| match fault.kind() {
        ErrorKind::InvalidUtf8 => {
            let words: Vec<String> =
                std::env::args_os().filter(|word| word.to_str().is_none()).map(|word| format!("{word:?}")).collect();
            let fault = format!(
                "kme: {} is not UTF-8 text. Results may have any name (-o), but inputs need UTF-8 names: make a link with another name (ln -s), or name the folder",
                words.join(" or ")
            );
            let _ = writeln!(std::io::stderr(), "{fault}");
            std::process::exit(2)
        }
        ErrorKind::UnknownArgument => known_alike(fault).exit(),
        _ => fault.exit(),
    });
    know_flags(matches.subcommand_name().unwrap_or_default());
    matches
}

/// A fault of a flag that is none, without the advice to pass it as a value: no source is called so. What is said of flags that
/// are called alike stays.
fn known_alike(mut fault: clap::Error) -> clap::Error {
    fault.remove(ContextKind::Suggested);
    let tip = match fault.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(given)) if given == "-o" || given == "--output" => {
            "this verb prints its results: write > FILE, or --json > FILE for JSON"
        }
        Some(ContextValue::String(given)) if given == "--paired" => {
            "kme has no paired test: all tests assume that rows are independent"
        }
        _ => return fault,
    };
    fault.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    fault
}

/// As clap's own, with the examples behind what they are examples of.
const TEMPLATE: &str = "{about-with-newline}\n{before-help}{usage-heading} {usage}\n\n{all-args}{after-help}";

fn adjusted(command: Command) -> Command {
    let is_option = |flag: &Arg| !flag.is_positional() && flag.get_action().takes_values();
    let command = command.mut_args(|flag| if is_option(&flag) { flag.allow_negative_numbers(true) } else { flag });
    let command = match command.get_after_long_help().map(|text| unbroken(&text.to_string())) {
        Some(text) => command.after_long_help(text),
        None => command,
    };
    command.help_template(TEMPLATE).mut_subcommands(adjusted)
}

/// Text with every paragraph on one line; indented lines, and what follows a colon, stay as they are.
fn unbroken(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let is_flowing = |line: &str| !line.is_empty() && !line.starts_with(' ');
        match lines.last_mut() {
            Some(last) if is_flowing(last) && is_flowing(line) && !last.ends_with(':') => {
                last.push(' ');
                last.push_str(line);
            }
            _ => lines.push(line.into()),
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{flag, in_flags};

    #[test]
    fn the_command_is_whole() {
        command().debug_assert();
    }

    #[test]
    fn parameters_are_named_by_their_flags() {
        know_flags("eval");
        assert_eq!((flag("subset_size"), flag("critic.steps")), (Some("--subset-size".into()), None));
        let text = "set `size` or run `kme data`, not `skip_bad";
        assert_eq!(in_flags(text), "set --size or run `kme data`, not `skip_bad");
    }

    #[test]
    fn paragraphs_of_help_are_not_broken() {
        let text = "Examples:\n  kme a\n  kme b\n\nOne\ntwo\nthree.\n\nList:\n  a\n  b\n";
        assert_eq!(unbroken(text), "Examples:\n  kme a\n  kme b\n\nOne two three.\n\nList:\n  a\n  b");
    }
}
