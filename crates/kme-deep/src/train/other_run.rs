//! A new run whose networks begin as those of another.

use super::Context;
use super::config::{Config, ObjectiveConfig};
use super::folder::is_unchanged;
use super::parallel::TeamResult;
use super::task::{Task, net_state};
use kme::{Error, Result};
use kme_image::hex;
use kme_net::{Autoencoder, Classifier, Net, NetworkGenerator, Tensors, parse_tensors};
use sha2::{Digest, Sha256};
use std::path::Path;

/// The networks that `config.from` names become those of `task`; returns the SHA-256 of their file, and remarks.
///
/// # Errors
/// When it names no run, checkpoint or model, or its networks have another form than those of this run.
pub(super) fn begin(
    config: &Config,
    context: &Context,
    task: &mut dyn Task,
) -> TeamResult<Option<(String, Vec<String>)>> {
    let Some(name) = config.located().from else { return Ok(None) };
    let fault = |fault: Error| super::sources::of_setting("from", &name, fault);
    let (sha256, tensors) = networks(&name, config, context).map_err(fault)?;
    let remarks = task.adopt(&tensors).map_err(|fault| fault.within(format!("from = {name}")))?;
    Ok(Some((sha256, remarks)))
}

/// Named tensors: of the last checkpoint of a run, of a checkpoint, or of a model.
fn networks(name: &str, config: &Config, context: &Context) -> Result<(String, Tensors)> {
    let checkpoint = Path::new(name).join("checkpoints").join("last.safetensors");
    let (bytes, path) = match checkpoint.is_file() {
        true => {
            (std::fs::read(&checkpoint).map_err(|e| kme::internal::io::read_error(&checkpoint, e))?.into(), checkpoint)
        }
        false => context.models.bytes(name)?,
    };
    let sha256 = hex(&Sha256::digest(&bytes));
    if let Ok((header, tensors)) = parse_tensors::<serde_json::Value>(&bytes, &path)
        && header.get("sources").is_some()
    {
        let written = header.get("sha256").and_then(serde_json::Value::as_str).unwrap_or_default();
        if !is_unchanged(&tensors, written) {
            let problem = "has changed since it was written; bring it back, or name another checkpoint";
            return Err(Error::format(path, problem));
        }
        return Ok((sha256, tensors));
    }
    let place = &context.place;
    let named = |prefixes: &[&str], net: &Net| -> Tensors {
        let tensors = prefixes.iter().flat_map(|prefix| net_state(prefix, net));
        tensors.map(|(name, shape, values)| (name, (shape, values))).collect()
    };
    let tensors = match &config.objective {
        ObjectiveConfig::Classifier(_) => named(&["net"], &Classifier::parse(&bytes, &path, place)?.net),
        ObjectiveConfig::Autoencoder(_) => named(&["net"], &Autoencoder::parse(&bytes, &path, place)?.net),
        _ => named(&["generator", "average"], &NetworkGenerator::parse(&bytes, &path, place)?.net),
    };
    Ok((sha256, tensors))
}
