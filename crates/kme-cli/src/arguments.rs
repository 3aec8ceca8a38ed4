//! What is typed: every flag with its help.

use crate::verbs;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, Parser, Subcommand};
use kme_deep::sample::Context;
use kme_image::Places;
use kme_net::{Models, Place};
use std::io::Write;
use std::num::IntErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;

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

/// Flags that every verb has.
#[derive(Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Compute on this device: cpu, gpu, gpu:1, ...
    #[arg(long, global = true, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,
    /// Seed all random numbers [default: 0; for training, the configured seed]
    #[arg(long, global = true, value_name = "N", value_parser = whole::<u64>)]
    seed: Option<u64>,
    /// Use N threads; CPU results do not depend on N [default: one per core]
    #[arg(long, global = true, value_name = "N", value_parser = count::<usize>)]
    pub threads: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Hide progress and remarks
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print more details
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Look for data sets in this folder (see `kme data info NAME`)
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Look for networks in this folder (see `kme models list`)
    #[arg(long, global = true, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
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

/// The command with its flags: what follows one of them is its value, also a number below 0, so that the flag itself says
/// what it takes. Examples stand before the flags, and paragraphs of help are broken where the terminal ends.
pub(crate) fn command() -> Command {
    adjusted(Arguments::command())
}

/// The parameters of the verb that was typed, with their flags.
static FLAGS: OnceLock<Vec<(String, String)>> = OnceLock::new();

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
    let _ = FLAGS.set(named.collect());
}

/// The flag that sets the parameter of this name. Libraries know parameters; here, and only here, they become flags.
pub(crate) fn flag(parameter: &str) -> Option<String> {
    // Of the rows that a group has.
    let parameter = if parameter == "rows" { "group" } else { parameter };
    FLAGS.get()?.iter().find(|(name, _)| name == parameter).map(|(_, flag)| flag.clone())
}

/// A text of the library, which names parameters in backticks, with the flags that set them.
pub(crate) fn in_flags(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    let mut words = parts[0].to_string();
    let mut i = 1;
    while i < parts.len() {
        match flag(parts[i]).filter(|_| i + 1 < parts.len()) {
            Some(flag) => {
                words += &flag;
                words += parts[i + 1];
                i += 2;
            }
            None => {
                words.push('`');
                words += parts[i];
                i += 1;
            }
        }
    }
    words
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

/// A whole number from 0 on.
pub(crate) fn whole<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    read(text, "a whole number from 0 on")
}

/// The same of what must be 1 or more. Zero is left to the verb, which knows how many are too many as well.
pub(crate) fn count<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    read(text, "a whole number from 1 on")
}

fn read<N: TryFrom<u64>>(text: &str, allowed: &str) -> Result<N, String> {
    let too_large = || format!("a whole number of at most {}", u64::MAX);
    match text.parse::<u64>() {
        Ok(number) => N::try_from(number).map_err(|_| too_large()),
        Err(fault) if *fault.kind() == IntErrorKind::PosOverflow => Err(too_large()),
        Err(_) => Err(allowed.into()),
    }
}

/// A number.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "a number".into())
}

impl Global {
    /// The seed of all randomness.
    pub(crate) fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// The seed, when one was asked for.
    pub(crate) fn asked_seed(&self) -> Option<u64> {
        self.seed
    }

    /// Where tensors live and things are looked for.
    pub(crate) fn context(&self) -> kme::Result<Context> {
        Ok(Context { place: Place::parse(&self.device)?, models: self.models(), data: self.places() })
    }

    /// Where networks are looked for.
    pub(crate) fn models(&self) -> Models {
        let folder = self.models_dir.clone().or_else(|| kme_image::user_data_folder().map(|f| f.join("models")));
        Models::new(folder)
    }

    /// Where data sets are looked for.
    pub(crate) fn places(&self) -> Places {
        Places::new(self.data_dir.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn numbers_say_what_they_may_be() {
        assert_eq!((whole::<u64>("0"), count::<usize>("7"), number("-0.5")), (Ok(0), Ok(7), Ok(-0.5)));
        for text in ["-3", "1e3", "", "x", "2.5"] {
            assert_eq!(count::<u64>(text), Err("a whole number from 1 on".into()));
        }
        assert!(whole::<u64>("99999999999999999999").unwrap_err().contains("at most 18446744073709551615"));
        assert_eq!(number("x"), Err("a number".into()));
    }
}
