//! `kme data`

use crate::arguments::{Global, in_flags};
use crate::output::{self, fields};
use crate::progress;
use clap::{Args, Subcommand};
use kme::{Error, Result};
use kme_deep::Gallery;
use kme_image::{DEFAULT_MAX_PIXELS, Decoder, Grid, NoClasses, Source, Survey};
use kme_net::FeatureCache;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Describe pictures, and list the data sets that kme knows
///
/// kme looks for a data set in --data-dir; without it, in $KME_DATA, your data folder and /usr/share/datasets. It never
/// downloads anything: `info` says where to get a data set and where to put it.
#[derive(Args)]
#[command(before_help = "\
Examples:
  kme data list
  kme data info my-pictures/ -o sheet.png
  kme data info fashion-mnist
  kme data info cifar10 --data-dir ~/datasets
  kme data cache --clear")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the data sets and the toy distributions that kme knows
    List,
    /// Describe the pictures of a source, or say where to get a data set
    Info {
        /// A folder, archive or file of pictures, or the name of a data set
        #[arg(value_name = "SOURCE|NAME")]
        name: String,
        /// Draw a sheet of pictures, spread evenly over all
        #[arg(short, long, value_name = "SHEET.png")]
        output: Option<PathBuf>,
        /// Refuse pictures with more than N pixels; reading takes 12 bytes or more for each pixel
        #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_PIXELS)]
        max_pixels: u64,
        /// Has no effect here: pictures that cannot be read are always skipped and listed
        #[arg(long)]
        skip_bad: bool,
    },
    /// Show or clear the feature cache
    ///
    /// kme keeps the features that a network computes. Entries depend on the contents of the pictures, the resize protocol,
    /// the weights and the version of kme, so they are never out of date. Above 4 GiB, the least recently used go first.
    Cache {
        /// Remove all entries
        #[arg(long)]
        clear: bool,
        /// Use the cache in this folder [default: your cache folder]
        #[arg(long, value_name = "FOLDER")]
        cache_dir: Option<PathBuf>,
    },
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    match &arguments.action {
        Action::List => {
            let mut rows = vec![["name", "what"].map(String::from).to_vec()];
            let (sets, toys) = (kme_image::list(), kme_image::toys());
            rows.extend(sets.iter().chain(&toys).map(|(name, what)| vec![name.to_string(), what.to_string()]));
            let named = |all: &[(&str, &str)]| -> Vec<_> {
                all.iter().map(|(name, what)| json!({ "name": name, "what": what })).collect()
            };
            let json = json!({ "data": named(&sets), "toys": named(&toys) });
            output::print(global, &output::aligned(&rows), fields(json))?;
        }
        Action::Info { name, output, max_pixels, .. } if output.is_some() || !is_known(name) => {
            let decoder = Decoder { max_pixels: *max_pixels, ..Decoder::default() };
            describe(name, output.as_deref(), decoder, global)?;
        }
        Action::Info { name, .. } => {
            let info = kme_image::info(name, &global.places())?;
            output::print(global, &in_flags(&info.to_string()), fields(json!(info)))?;
        }
        Action::Cache { clear, cache_dir } => {
            let cache = cache_dir
                .clone()
                .map(FeatureCache::new)
                .or_else(FeatureCache::of_user)
                .ok_or_else(|| Error::missing("cache_dir", "name a folder, since the environment names no home"))?;
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

/// Whether a name is of the list, and no source: `fashion-mnist`, but not `fashion-mnist:test`.
fn is_known(name: &str) -> bool {
    kme_image::list().iter().any(|(known, _)| *known == name) || (!Path::new(name).exists() && !name.contains(':'))
}

/// How many of `all` pictures are squares, in words.
fn shape(rectangles: usize, all: usize) -> String {
    match (rectangles, all) {
        (0, _) => "all are square".into(),
        (n, all) if n == all => "none is square".into(),
        (1, _) => "1 is not square".into(),
        (n, _) => format!("{n} are not square"),
    }
}

/// Pictures on a sheet, at most.
const SHEET: usize = 100;

/// Bad pictures that are named, at most.
const SHOWN: usize = 20;

/// Looks at all pictures of a source.
fn describe(source: &str, sheet: Option<&Path>, decoder: Decoder, global: &Global) -> Result<()> {
    if let Some(sheet) = sheet {
        output::check_ending(sheet, "png")?;
        output::check_place(sheet)?;
    }
    let bar = progress::bar(global, 0, "pictures");
    let survey = Survey::of(source, &global.places(), decoder, |done, total| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    let survey = survey?;
    let mut rows = vec![vec!["pictures".to_string(), survey.pictures.to_string()]];
    let counted = |n: usize, what: &str| format!("{what} ({n})");
    let list = |all: &BTreeMap<String, usize>| {
        let mut all: Vec<_> = all.iter().collect();
        all.sort_by_key(|(name, n)| (std::cmp::Reverse(**n), name.as_str()));
        let more = all.len().saturating_sub(8);
        let mut text: Vec<_> = all.iter().take(8).map(|(name, n)| counted(**n, name)).collect();
        text.extend((more > 0).then(|| format!("and {more} more")));
        text.join(", ")
    };
    if let Some([(h, w), (h2, w2)]) = survey.range {
        rows.push(vec!["height x width".into(), list(&survey.sizes)]);
        if survey.sizes.len() > 1 {
            rows.push(vec!["by area".into(), format!("{h}x{w} to {h2}x{w2}")]);
        }
        rows.push(vec!["shape".into(), shape(survey.rectangles, survey.pictures)]);
        rows.push(vec!["modes".into(), list(&survey.modes)]);
    }
    let classes: Vec<_> = survey.classes.iter().map(|(name, n)| counted(*n, name)).collect();
    let classes = if classes.is_empty() { "none".into() } else { classes.join(", ") };
    rows.push(vec!["classes".into(), classes]);
    rows.push(vec!["cannot be read".into(), survey.left_out.len().to_string()]);
    rows.push(vec!["other files".into(), survey.others.to_string()]);
    rows.push(vec!["fingerprint".into(), survey.fingerprint.clone()]);
    let width = rows.iter().map(|row| row[0].chars().count()).max().unwrap_or(0);
    let mut text: String = rows.iter().map(|row| format!("{:<width$}  {}\n", row[0], row[1])).collect();
    let no_classes = survey.no_classes(source);
    if let Some(NoClasses { found, remedy }) = &no_classes {
        text += &format!("  {found}: to train with classes, name {remedy}\n");
    }
    for bad in survey.left_out.iter().take(SHOWN) {
        text += &format!("  {}: {}\n", bad.name, bad.fault);
    }
    if survey.left_out.len() > SHOWN {
        text += &format!("  and {} more, all with --json\n", survey.left_out.len() - SHOWN);
    }
    if let Some(path) = sheet {
        let pictures =
            Gallery::of_source(Source::parse(source, &global.places())?, decoder).sheet(&survey.some(SHEET), None)?;
        Grid::default().lay_out(&pictures)?.write_png(0, path)?;
    }
    let mut json = fields(json!(survey));
    let no_classes = no_classes.map(|NoClasses { found, remedy }| json!({ "found": found, "remedy": remedy }));
    json.insert("no_classes".into(), json!(no_classes));
    json.insert("source".into(), source.into());
    json.insert("sheet".into(), json!(sheet.map(|path| path.to_string_lossy())));
    output::print(global, &text, json)
}
