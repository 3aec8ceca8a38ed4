//! Flags that every verb has, parameters of the library as flags, and numbers that are typed.

use clap::Args;
use kme_deep::Context;
use kme_image::Places;
use kme_net::{Models, Place};
use std::num::IntErrorKind;
use std::path::PathBuf;
use std::sync::OnceLock;

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

/// The verb that was typed, and its parameters with their flags.
pub(crate) static FLAGS: OnceLock<(String, Vec<(String, String)>)> = OnceLock::new();

/// The flag that sets the parameter of this name. Libraries know parameters; here, and only here, they become flags.
pub(crate) fn flag(parameter: &str) -> Option<String> {
    // Of the rows that a group has.
    let parameter = if parameter == "rows" { "group" } else { parameter };
    FLAGS.get()?.1.iter().find(|(name, _)| name == parameter).map(|(_, flag)| flag.clone())
}

/// An error of the library with the flag that sets its parameter. The settings of a configuration are not flags, though
/// some go by the same names: their faults stand within the preset or file that they are of.
pub(crate) fn by_flags(error: kme::Error) -> kme::Error {
    let is_of_file = matches!(error, kme::Error::Within { .. }) && FLAGS.get().is_some_and(|(verb, _)| verb == "train");
    if is_of_file { error } else { error.renamed(flag) }
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
    fn numbers_say_what_they_may_be() {
        assert_eq!((whole::<u64>("0"), count::<usize>("7"), number("-0.5")), (Ok(0), Ok(7), Ok(-0.5)));
        for text in ["-3", "1e3", "", "x", "2.5"] {
            assert_eq!(count::<u64>(text), Err("a whole number from 1 on".into()));
        }
        assert!(whole::<u64>("99999999999999999999").unwrap_err().contains("at most 18446744073709551615"));
        assert_eq!(number("x"), Err("a number".into()));
    }
}
