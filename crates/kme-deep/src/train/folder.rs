//! The run folder: config.toml, events.jsonl, samples/, checkpoints/, model.safetensors, best.safetensors;
//! beside them what is watched: report.html, tensorboard/.

use super::config::Config;
use super::sources::Sources;
use super::task::Numbers;
use crate::net::file::{Tensors, parse_tensors, write_tensors};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A training run on disk.
pub(crate) struct Folder {
    path: PathBuf,
}

/// What a checkpoint says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checkpoint {
    pub format: u32,
    /// Steps done.
    pub step: u64,
    /// The best score so far, and its step.
    pub best: Option<(f64, u64)>,
    /// The configuration that the state belongs to.
    pub config: Config,
    /// The data and networks that it was trained on and with.
    pub sources: Sources,
    /// What the schedule remembers.
    #[serde(default)]
    pub schedule: Option<serde_json::Value>,
}

impl Checkpoint {
    pub const FORMAT: u32 = 2;
}

impl Folder {
    /// A new run at `path`.
    ///
    /// # Errors
    /// When something is there already, or the folder cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        Self::check_free(path)?;
        for part in ["samples", "checkpoints"] {
            fs::create_dir_all(path.join(part)).map_err(|e| Error::file(path, format!("cannot be made: {e}")))?;
        }
        Ok(Self { path: path.into() })
    }

    /// Whether a new run may be made at `path`.
    ///
    /// # Errors
    /// When something is there already.
    pub fn check_free(path: &Path) -> Result<()> {
        // Empty folders are what a start leaves that failed before it could write its configuration.
        let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        let occupied = |entry: std::io::Result<fs::DirEntry>| !entry.is_ok_and(|entry| is_empty(&entry.path()));
        if path.is_file() || fs::read_dir(path).is_ok_and(|mut entries| entries.any(occupied)) {
            return Err(Error::file(path, "exists already; continue it with --resume, or name a new folder"));
        }
        Ok(())
    }

    /// A run that was begun at `path`.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.join("config.toml").is_file() {
            return Err(Error::file(path, "is no run folder: it has no config.toml; start a run without --resume"));
        }
        Ok(Self { path: path.into() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The model with the best score.
    pub fn best_model(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    pub fn last_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints").join("last.safetensors")
    }

    pub fn best_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints").join("best.safetensors")
    }

    pub fn sample(&self, step: u64) -> PathBuf {
        self.path.join("samples").join(format!("step-{step:06}.png"))
    }

    /// Writes config.toml: the configuration, and as comments what else is needed to repeat the run.
    pub fn write_config(&self, config: &Config, facts: &[(String, String)]) -> Result<()> {
        let facts: String = facts.iter().map(|(name, fact)| format!("# {name}: {fact}\n")).collect();
        let text = format!("{facts}\n{}", config.to_toml());
        kme::io::write_atomically(self.path.join("config.toml"), |file| file.write_all(text.as_bytes()))
    }

    /// The run's configuration.
    pub fn read_config(&self) -> Result<Config> {
        let path = self.path.join("config.toml");
        let text = fs::read_to_string(&path).map_err(|e| kme::io::read_error(&path, &e))?;
        Config::parse(&text, &path)
    }

    /// Appends one line to events.jsonl.
    pub fn log(&self, step: u64, kind: &str, numbers: &Numbers) -> Result<()> {
        let mut event = serde_json::Map::new();
        event.insert("step".into(), step.into());
        event.insert("event".into(), kind.into());
        for (name, value) in numbers {
            event.insert((*name).into(), (*value).into());
        }
        let path = self.path.join("events.jsonl");
        let line = format!("{}\n", serde_json::Value::Object(event));
        let mut file = OpenOptions::new().create(true).append(true).open(&path).map_err(|e| Error::file(&path, e))?;
        file.write_all(line.as_bytes()).map_err(|e| Error::file(&path, e))
    }

    /// Drops events after `step` (all of them without one), which a run that continues from there will write again, and a
    /// line cut short.
    pub fn forget_events_after(&self, step: Option<u64>) -> Result<()> {
        let path = self.path.join("events.jsonl");
        let text = match fs::read_to_string(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            text => text.map_err(|e| kme::io::read_error(&path, &e))?,
        };
        let kept: String = text
            .lines()
            .filter(|line| {
                let event: Option<serde_json::Value> = serde_json::from_str(line).ok();
                event.and_then(|e| e["step"].as_u64()).is_some_and(|s| step.is_some_and(|last| s <= last))
            })
            .flat_map(|line| [line, "\n"])
            .collect();
        kme::io::write_atomically(&path, |file| file.write_all(kept.as_bytes()))
    }

    /// Writes a checkpoint.
    pub fn write_checkpoint(
        &self,
        path: &Path,
        checkpoint: &Checkpoint,
        state: Vec<(String, Vec<usize>, Vec<f32>)>,
    ) -> Result<()> {
        write_tensors(path, checkpoint, state)
    }

    /// The last checkpoint, when there is one.
    pub fn read_checkpoint(&self) -> Result<Option<(Checkpoint, Tensors)>> {
        let path = self.last_checkpoint();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(|e| kme::io::read_error(&path, &e))?;
        let (checkpoint, tensors): (Checkpoint, _) = parse_tensors(&bytes, &path)?;
        if checkpoint.format != Checkpoint::FORMAT {
            let fault = format!("checkpoint format {}; this program reads {}", checkpoint.format, Checkpoint::FORMAT);
            return Err(Error::file(&path, fault));
        }
        Ok(Some((checkpoint, tensors)))
    }
}
