//! `kme data`

use crate::arguments::Global;
use crate::output::{self, fields};
use clap::{Args, Subcommand};
use kme::Result;
use kme_deep::data;
use serde_json::json;

/// List and describe the data sets that are known by name
///
/// A data set is looked for in --data-dir alone if that is given, else in the folder that the environment variable KME_DATA
/// names, in the user's data folder, and in /usr/share/datasets. Nothing is ever downloaded: `info` says where a data set is
/// to be had and where to put it.
#[derive(Args)]
#[command(after_help = "Examples:
  kme data list
  kme data info fashion-mnist
  kme data info cifar10 --data-dir ~/datasets")]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the data sets that are known by name
    List,
    /// Tell what a data set is, where it is to be had, and which of its files are here and unchanged
    Info {
        /// A name of the list
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    match &arguments.action {
        Action::List => {
            let mut rows = vec![["name", "what"].map(String::from).to_vec()];
            rows.extend(data::list().iter().map(|(name, what)| vec![name.to_string(), what.to_string()]));
            let sets: Vec<_> = data::list().iter().map(|(name, what)| json!({ "name": name, "what": what })).collect();
            output::print(global, &output::aligned(&rows), fields(json!({ "data": sets })))?;
        }
        Action::Info { name } => {
            let info = data::info(name, &global.places())?;
            output::print(global, &info.to_string(), fields(json!(info)))?;
        }
    }
    Ok(true)
}
