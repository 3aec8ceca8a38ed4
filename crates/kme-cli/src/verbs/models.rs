//! `kme models`

use crate::arguments::Global;
use crate::output::{self, fields};
use clap::{Args, Subcommand};
use kme::{Error, Result};
use kme_net::weights::{self, Weights};
use kme_net::{CARDS, Description, ModelCard, Models, Network, NetworkCard, Place, SHIPPED, network_card};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;

/// List, describe and check networks: generators, classifiers, feature maps
///
/// Some networks ship with kme. kme looks for others in the models folder, as NAME.safetensors; every verb also takes a run
/// folder or a file. For networks that the field knows (inception, vgg19, ...) you bring the weights: `info` says where to get
/// them and where to put them. kme never downloads anything.
#[derive(Args)]
#[command(before_help = "\
Examples:
  kme models list
  kme models info fashion-classifier
  kme models info inception
  kme models info runs/mine
  kme models verify")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List the networks that you can name
    List,
    /// Say what a network is, how it was made, and where it is
    Info {
        /// A name from the list, a run folder, or a file
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Check that networks are complete and, if shipped, unchanged
    Verify {
        /// A name from the list, a run folder, or a file [default: all in the list]
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let models = global.models();
    match &arguments.action {
        Action::List => list(&models, global),
        Action::Info { name } => info(&models, name, global),
        Action::Verify { name } => verify(&models, name.as_deref(), global),
    }
}

/// The names that are known, each with whether it is shipped, sorted within each kind.
fn names(models: &Models) -> Result<Vec<(String, bool)>> {
    let shipped = SHIPPED.iter().map(|s| (s.name.to_string(), true));
    let own = models.own()?.into_iter().map(|(name, _)| name).filter(|name| SHIPPED.iter().all(|s| s.name != name));
    Ok(shipped.chain(own.map(|name| (name, false))).collect())
}

fn list(models: &Models, global: &Global) -> Result<bool> {
    let mut rows = vec![["name", "role", "where", "what"].map(String::from).to_vec()];
    let mut objects = Vec::new();
    for (name, is_shipped) in names(models)? {
        let shipped = SHIPPED.iter().find(|s| is_shipped && s.name == name);
        let (role, what) = match models.describe(&name) {
            Ok(found) => (found.card.role(), shipped.map_or_else(|| summary(&found), |s| s.line.to_string())),
            Err(fault) => ("-", fault.to_string()),
        };
        let place = if is_shipped { "program" } else { "models folder" };
        objects.push(json!({ "name": name, "role": role, "shipped": is_shipped, "what": what }));
        rows.push(vec![name, role.into(), place.into(), what]);
    }
    for card in CARDS {
        let file = models.file_of(card);
        let state = match &file {
            None => "not here: see kme models info".to_string(),
            Some(file) => file.display().to_string(),
        };
        objects.push(json!({
            "name": card.name, "role": "feature map", "shipped": false, "what": card.line, "path": file.as_deref().map(output::name),
        }));
        rows.push(vec![card.name.into(), "feature map".into(), state, card.line.into()]);
    }
    let mut text = output::aligned(&rows);
    if let Some(folder) = models.folder() {
        text.push_str(&format!("models folder: {}", folder.display()));
    }
    output::print(global, &text, fields(json!({ "models": objects, "folder": models.folder().map(output::name) })))?;
    Ok(true)
}

fn summary(found: &Description) -> String {
    let shape = |[c, h, w]: [usize; 3]| format!("{c}x{h}x{w}");
    format!("{} to {}, trained on {}", shape(found.input), shape(found.output), found.card.made().data)
}

fn info(models: &Models, name: &str, global: &Global) -> Result<bool> {
    if let Some(card) = network_card(name) {
        return network_info(models, card, global);
    }
    let found = match models.describe(name) {
        Ok(found) => found,
        Err(fault) => {
            let path = Path::new(name);
            // A file that `kme train` did not write: what it is all the same.
            return match path.is_file().then(|| weights::read(path)) {
                Some(Ok(weights)) if !is_ours(path) => foreign_info(name, &weights, global),
                _ => Err(fault),
            };
        }
    };
    let shape = |[c, h, w]: [usize; 3]| format!("{c}x{h}x{w} (channels x height x width)");
    let layers: Vec<Value> = found.layers.iter().map(|layer| json!(layer)).collect();
    let place = found.path.as_ref().map_or("in the program".to_string(), |path| path.display().to_string());
    let made = found.card.made();
    let mut lines = vec![
        format!("{name}"),
        format!("  role        {}", found.card.role()),
        format!("  where       {place}"),
        format!("  SHA-256     {}", found.sha256),
        format!("  size        {} bytes, {} trained parameters", found.bytes, found.parameters),
        format!("  input       {}", shape(found.input)),
        format!("  output      {}", shape(found.output)),
    ];
    match &found.card {
        ModelCard::Generator { latent, classes, points, features, features_sha256, crop, background, .. } => {
            lines.push(format!(
                "  latents     {} numbers, {}",
                latent.dim,
                json!(latent.prior).as_str().unwrap_or_default()
            ));
            if !classes.is_empty() {
                lines.push(format!("  classes     {}", classes.join(", ")));
            }
            lines.push(if *points { "  makes       points" } else { "  pixels      range 0 to 1" }.into());
            if !points && !crop.is_none() {
                lines.push(format!("  crop        {crop}"));
            }
            if !points && !background.is_white() {
                lines.push(format!("  background  {background}"));
            }
            let network = features_sha256.as_ref().map_or(String::new(), |sha256| format!(" (SHA-256 {sha256})"));
            lines.push(format!("  features    {features}{network}"));
        }
        ModelCard::Autoencoder { code_after, .. } => {
            lines.push("  pixels      range 0 to 1".into());
            lines.push(format!("  code        the output of the first {code_after} layers"));
        }
        ModelCard::Classifier { classes, features_after, .. } => {
            lines.push("  pixels      range 0 to 1".into());
            lines.push(format!("  classes     {}", classes.join(", ")));
            lines.push(format!("  features    the output of the first {features_after} layers"));
        }
    }
    lines.push(format!(
        "  made by     kme {}, preset {}, seed {}, {} steps",
        made.version, made.preset, made.seed, made.steps
    ));
    lines.push(format!("  data        {} ({})", made.data, made.data_fingerprint));
    for (i, layer) in layers.iter().enumerate() {
        lines.push(format!("  {:<11} {:>2} {}", if i == 0 { "layers" } else { "" }, i + 1, layer_text(layer)));
    }
    if let Some(card) = found.card_text {
        lines.push(format!("\n{}", card.trim_end()));
    }
    let json = json!({
        "name": name,
        "card": found.card,
        "path": found.path.as_deref().map(output::name),
        "shipped": found.path.is_none(),
        "sha256": found.sha256,
        "bytes": found.bytes,
        "parameters": found.parameters,
        "input": found.input,
        "output": found.output,
        "layers": layers,
    });
    output::print(global, &lines.join("\n"), fields(json))?;
    Ok(true)
}

/// Whether a file says that `kme train` wrote it.
fn is_ours(path: &Path) -> bool {
    // The header of safetensors, of which only the beginning is looked at.
    let mut start = vec![0; 1 << 16];
    let n = std::fs::File::open(path).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    start[..n].windows(5).any(|w| w == b"\"kme\"")
}

/// Tensors that are listed of a file.
const LISTED: usize = 12;

/// What a file of weights is that is not one of ours.
fn foreign_info(name: &str, weights: &Weights, global: &Global) -> Result<bool> {
    let path = Path::new(name);
    let fits = |card: &&'static NetworkCard| Network::of_weights(card, weights, path, &Place::cpu()).is_ok();
    let card = CARDS.iter().find(fits);
    let known = card.and_then(|card| card.check_known(&weights.sha256, path).ok());
    let numbers: usize = weights.tensors.values().map(|(_, numbers)| numbers.len()).sum();
    let state = match (card, known) {
        (Some(card), Some(known)) => format!("the weights of {}: {}", card.name, known.what),
        (Some(card), None) => {
            format!(
                "fits {}, but its SHA-256 is not one that is known for it: other weights give other numbers",
                card.name
            )
        }
        _ => "of a network that kme does not know".into(),
    };
    let mut lines = vec![
        name.to_string(),
        format!("  role        weights, {state}"),
        format!("  file        {}", weights.container),
        format!("  SHA-256     {}", weights.sha256),
        format!("  holds       {}, {numbers} numbers", output::counted(weights.tensors.len(), "tensor")),
    ];
    if let Some(card) = card {
        lines.push(format!("  use it      --features {}={name}", card.name));
    }
    for (i, (tensor, (shape, _))) in weights.tensors.iter().take(LISTED).enumerate() {
        lines.push(format!("  {:<11} {tensor} {shape:?}", if i == 0 { "tensors" } else { "" }));
    }
    if weights.tensors.len() > LISTED {
        lines.push(format!("  {:<11} and {} more", "", weights.tensors.len() - LISTED));
    }
    let json = json!({
        "name": name,
        "role": "weights",
        "container": weights.container,
        "sha256": weights.sha256,
        "fits": card.map(|card| card.name),
        "known": known.map(|known| known.what),
        "tensors": weights.tensors.iter().map(|(name, (shape, _))| json!({ "name": name, "shape": shape })).collect::<Vec<_>>(),
        "numbers": numbers,
    });
    output::print(global, &lines.join("\n"), fields(json))?;
    Ok(true)
}

/// What the card of a known network says, and whether its file is here.
fn network_info(models: &Models, card: &'static NetworkCard, global: &Global) -> Result<bool> {
    let [c, h, w] = card.input;
    let file = models.file_of(card);
    let folder = models.folder().map_or("the models folder (--models-dir)".into(), |f| f.display().to_string());
    // A file with a fault is described as such: `verify` fails on it.
    let found = file.as_ref().map(|_| models.known_weights(card));
    let state = match (&file, &found) {
        (Some(file), Some(Ok((weights, _)))) => format!("{}, SHA-256 {}", file.display(), weights.sha256),
        (_, Some(Err(fault))) => fault.to_string(),
        _ => format!("nowhere in {folder}"),
    };
    let mut lines = vec![
        card.name.to_string(),
        format!("  role        feature map: {}", card.line),
        format!("  paper       {}", card.reference),
        format!("  where       {state}"),
        format!("  get it      {}", card.origin),
        format!("  licence     {}", card.licence),
    ];
    let files = ["safetensors", "pth", "pt"].map(|ending| format!("{}.{ending}", card.name));
    let names: Vec<&str> = files.iter().map(String::as_str).chain(card.files.iter().copied()).collect();
    lines.push(format!("  put it      in {folder}, called {}", names.join(" or ")));
    for (i, known) in card.known.iter().enumerate() {
        lines.push(format!("  {:<11} {} {}", if i == 0 { "known" } else { "" }, known.sha256, known.what));
    }
    lines.push(format!("  input       {c}x{h}x{w} (channels x height x width), resize {}", card.resize));
    for (i, convention) in card.conventions.iter().enumerate() {
        let label = if i == 0 { "pixels" } else { "" };
        lines.push(format!("  {label:<11} {}: {}", convention.name, convention.pixels));
    }
    lines.push(format!("  features    {}:LAYER, {} unless a layer is named", card.name, card.features));
    if let Some(logits) = card.logits {
        lines.push(format!("  logits      {logits}"));
    }
    lines.push(format!("  layers      {}", card.layers().join(" ")));
    let known: Vec<Value> = card.known.iter().map(|k| json!({ "sha256": k.sha256, "what": k.what })).collect();
    let pixels: Vec<Value> =
        card.conventions.iter().map(|c| json!({ "names": c.name, "pixels": c.pixels.to_string() })).collect();
    let json = json!({
        "name": card.name,
        "role": "feature map",
        "what": card.line,
        "reference": card.reference,
        "origin": card.origin,
        "licence": card.licence,
        "path": file.as_deref().map(output::name),
        "sha256": found.as_ref().and_then(|found| found.as_ref().ok()).map(|(weights, _)| &weights.sha256),
        "fault": found.as_ref().and_then(|found| found.as_ref().err()).map(ToString::to_string),
        "known": known,
        "input": card.input,
        "resize": card.resize,
        "pixels": pixels,
        "features": card.features,
        "logits": card.logits,
        "layers": card.layers(),
    });
    output::print(global, &lines.join("\n"), fields(json))?;
    Ok(true)
}

/// A layer as `name key=value ...`.
fn layer_text(layer: &Value) -> String {
    let Value::Object(all) = layer else { return layer.to_string() };
    let name = all.get("layer").and_then(Value::as_str).unwrap_or_default();
    let settings = all.iter().filter(|(key, _)| *key != "layer").map(|(key, value)| format!(" {key}={value}"));
    format!("{name}{}", settings.collect::<String>())
}

fn verify(models: &Models, name: Option<&str>, global: &Global) -> Result<bool> {
    let names = match name {
        Some(name) => vec![name.to_string()],
        None => {
            let here = CARDS.iter().filter(|card| models.file_of(card).is_some()).map(|card| card.name.to_string());
            names(models)?.into_iter().map(|(name, _)| name).chain(here).collect()
        }
    };
    let (mut rows, mut objects, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match state(models, &name) {
            Ok((sha256, state)) => {
                objects.push(json!({ "name": name, "sha256": sha256, "state": state }));
                rows.push(vec![name, sha256, state]);
            }
            // Of one bad file among many the others are still of interest.
            Err(fault) => {
                objects.push(json!({ "name": name, "fault": fault.to_string() }));
                rows.push(vec![name, "damaged".into(), fault.to_string()]);
                faults.push(fault);
            }
        }
    }
    if objects.len() > 1 || faults.is_empty() {
        output::print(global, &output::aligned(&rows), fields(json!({ "models": objects })))?;
    }
    match (faults.len(), faults.pop()) {
        (_, None) => Ok(true),
        (1, Some(fault)) => Err(fault),
        (count, Some(_)) => {
            let problem = format!("{count} of {} are damaged, as named above. Fetch them again", objects.len());
            Err(Error::format("models", problem))
        }
    }
}

/// SHA-256 of a network's file, and what was found in it.
fn state(models: &Models, name: &str) -> Result<(String, String)> {
    if let Some(card) = network_card(name) {
        let (weights, path) = models.known_weights(card)?;
        let known = card.check_known(&weights.sha256, &path)?;
        Network::of_weights(card, &weights, &path, &Place::cpu())?;
        return Ok((weights.sha256, format!("whole, known: {}", known.what)));
    }
    let found = models.describe(name)?;
    let state = if found.path.is_none() { "whole, SHA-256 as recorded" } else { "whole" };
    Ok((found.sha256, state.into()))
}
