//! `kme data`

use crate::arguments::Global;
use crate::output::{self, fields};
use clap::{Args, Subcommand};
use kme::{Error, Result};
use kme_deep::cache::FeatureCache;
use kme_deep::data;
use serde_json::json;
use std::path::PathBuf;

/// List and describe the data sets that are known by name
///
/// A data set is looked for in --data-dir alone if that is given, else in the folder that the environment variable KME_DATA
/// names, in the user's data folder, and in /usr/share/datasets. Nothing is ever downloaded: `info` says where a data set is
/// to be had and where to put it.
#[derive(Args)]
#[command(after_help = "Examples:
  kme data list
  kme data info fashion-mnist
  kme data info cifar10 --data-dir ~/datasets
  kme data cache --clear")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the data sets that are known by name, and the toys that training draws from the seed
    List,
    /// Tell what a data set is, where it is to be had, and which of its files are here and unchanged
    Info {
        /// A name of the list
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Tell how many features of pictures are kept for the next time, and where
    ///
    /// What a network makes of pictures is kept in files, each under a name that stands for the pictures' contents, the
    /// resize protocol, the network's weights and the version of this program. The files that were used longest ago are
    /// removed when all together exceed 4 GiB.
    Cache {
        /// Remove all of them
        #[arg(long)]
        clear: bool,
        /// The folder [default: the user's cache folder]
        #[arg(long, value_name = "FOLDER")]
        cache_dir: Option<PathBuf>,
    },
}

pub fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    match &arguments.action {
        Action::List => {
            let mut rows = vec![["name", "what"].map(String::from).to_vec()];
            let (sets, toys) = (data::list(), data::toys());
            rows.extend(sets.iter().chain(&toys).map(|(name, what)| vec![name.to_string(), what.to_string()]));
            let named = |all: &[(&str, &str)]| -> Vec<_> {
                all.iter().map(|(name, what)| json!({ "name": name, "what": what })).collect()
            };
            let json = json!({ "data": named(&sets), "toys": named(&toys) });
            output::print(global, &output::aligned(&rows), fields(json))?;
        }
        Action::Info { name } => {
            let info = data::info(name, &global.places())?;
            output::print(global, &info.to_string(), fields(json!(info)))?;
        }
        Action::Cache { clear, cache_dir } => {
            let cache = cache_dir.clone().map(FeatureCache::new).or_else(FeatureCache::of_user).ok_or_else(|| {
                Error::value("--cache-dir", "(nothing)", "a folder, since the environment names no home")
            })?;
            let (count, bytes) = if *clear { cache.clear()? } else { cache.size()? };
            let done = if *clear { "removed" } else { "kept" };
            let text = format!("{}: {count} files of features, {bytes} bytes, {done}", cache.folder().display());
            let json =
                json!({ "folder": output::name(cache.folder()), "files": count, "bytes": bytes, "removed": clear });
            output::print(global, &text, fields(json))?;
        }
    }
    Ok(true)
}
