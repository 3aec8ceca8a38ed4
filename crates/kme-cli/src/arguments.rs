//! What is typed: every flag with its help.

use crate::verbs;
use clap::{Args, Parser, Subcommand};
use kme::Result;
use kme_deep::data::Places;
use kme_deep::models::Models;
use kme_deep::net::Place;
use kme_deep::train::Context;
use std::path::PathBuf;

/// Make, steer and judge pictures by kernel mean embeddings.
///
/// A distribution is a point, its kernel mean embedding. The distance between two distributions is the distance between
/// their points. Whatever you can move, you can move towards a point.
#[derive(Parser)]
#[command(
    name = "kme",
    version,
    max_term_width = 110,
    after_help = "Exit codes: 0 done, 1 an --assert did not hold, 2 wrong usage or bad \
    input, 3 internal fault, 130 interrupted.\nData goes to standard output, progress and messages to standard error."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub verb: Verb,
    #[command(flatten)]
    pub global: Global,
}

/// Flags that every verb has.
#[derive(Args)]
#[command(next_help_heading = "Options of every verb")]
pub struct Global {
    /// Where to compute: cpu, gpu, gpu:1
    #[arg(long, global = true, default_value = "cpu", value_name = "DEVICE")]
    pub device: String,
    /// Seed of all randomness [default: 0, or that of a training configuration]
    #[arg(long, global = true, value_name = "N")]
    seed: Option<u64>,
    /// Threads to use; results on the processor do not depend on it [default: one per core]
    #[arg(long, global = true, value_name = "N")]
    pub threads: Option<usize>,
    /// Print one JSON object instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress and no remarks
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Print more about what is done
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// Folder with data sets, see `kme data info NAME`
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
    /// Folder with networks, NAME.safetensors each, see `kme models list`
    #[arg(long, global = true, value_name = "FOLDER")]
    pub models_dir: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Verb {
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

impl Global {
    /// The seed of all randomness.
    pub fn seed(&self) -> u64 {
        self.seed.unwrap_or(0)
    }

    /// The seed, when one was asked for.
    pub fn asked_seed(&self) -> Option<u64> {
        self.seed
    }

    /// Where tensors live and things are looked for.
    pub fn context(&self) -> Result<Context> {
        Ok(Context { place: Place::parse(&self.device)?, models: self.models(), data: self.places() })
    }

    /// Where networks are looked for.
    pub fn models(&self) -> Models {
        let folder = self.models_dir.clone().or_else(|| kme_deep::data::user_data_folder().map(|f| f.join("models")));
        Models::new(folder)
    }

    /// Where data sets are looked for.
    pub fn places(&self) -> Places {
        Places::new(self.data_dir.as_deref())
    }
}
