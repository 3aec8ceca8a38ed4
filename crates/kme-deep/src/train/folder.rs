//! The run folder: config.toml, events.jsonl, samples/, checkpoints/, model.safetensors, best.safetensors;
//! beside them what is watched: report.html, tensorboard/.

use super::config::Config;
use super::sources::Sources;
use super::task::Numbers;
use crate::data::hex;
use crate::net::file::{Tensors, parse_tensors, write_tensors};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A training run on disk.
pub(crate) struct Folder {
    path: PathBuf,
    /// Its config.toml, locked while the run is under way.
    lock: Option<File>,
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
    /// SHA-256 of the names and numbers of the tensors; set when it is written.
    pub sha256: String,
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
        make_parts(path)?;
        Ok(Self { path: path.into(), lock: None })
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
            let continued = if path.join("config.toml").is_file() { "continue it with --resume, or " } else { "" };
            return Err(Error::file(path, format!("exists already; {continued}name a new folder")));
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
        make_parts(path)?;
        Ok(Self { path: path.into(), lock: None })
    }

    /// The same while no other process has it.
    ///
    /// # Errors
    /// When one has.
    pub fn locked(mut self) -> Result<Self> {
        let path = self.path.join("config.toml");
        let file = File::open(&path).map_err(|e| kme::io::read_error(&path, &e))?;
        // Where a file system has no locks, none are kept.
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            return Err(Error::file(
                &self.path,
                "is being trained by another process; stop that, or name a new folder",
            ));
        }
        self.lock = Some(file);
        Ok(self)
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

    /// The greatest step that was logged; 0 without any.
    pub fn last_event(&self) -> Result<u64> {
        let steps = self.events()?.lines().filter_map(step_of).max();
        Ok(steps.unwrap_or(0))
    }

    /// The text of events.jsonl, empty where there is none.
    fn events(&self) -> Result<String> {
        let path = self.path.join("events.jsonl");
        match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(kme::io::read_error(&path, &e)),
            // A line that something else broke into is one that is dropped.
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Drops events after `step` (all of them without one), which a run that continues from there will write again, and a
    /// line cut short.
    pub fn forget_events_after(&self, step: Option<u64>) -> Result<()> {
        let path = self.path.join("events.jsonl");
        if !path.exists() {
            return Ok(());
        }
        let kept: String = self
            .events()?
            .lines()
            .filter(|line| step_of(line).is_some_and(|s| step.is_some_and(|last| s <= last)))
            .flat_map(|line| [line, "\n"])
            .collect();
        kme::io::write_atomically(&path, |file| file.write_all(kept.as_bytes()))
    }

    /// Writes a checkpoint.
    pub fn write_checkpoint(
        &self,
        path: &Path,
        checkpoint: Checkpoint,
        state: Vec<(String, Vec<usize>, Vec<f32>)>,
    ) -> Result<()> {
        let sha256 = digest(state.iter().map(|(name, _, values)| (name.as_str(), values.as_slice())));
        write_tensors(path, &Checkpoint { sha256, ..checkpoint }, state)
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
        if digest(tensors.iter().map(|(name, (_, values))| (name.as_str(), values.as_slice()))) != checkpoint.sha256 {
            let fault = "has changed since it was written; bring it back, or copy best.safetensors to its place";
            return Err(Error::file(&path, fault));
        }
        Ok(Some((checkpoint, tensors)))
    }
}

/// The step of a line of events.jsonl.
fn step_of(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64()
}

fn make_parts(path: &Path) -> Result<()> {
    ["samples", "checkpoints"].iter().try_for_each(|part| {
        fs::create_dir_all(path.join(part)).map_err(|e| Error::file(path, format!("cannot be made: {e}")))
    })
}

/// SHA-256 of tensors in the order of their names.
fn digest<'a>(tensors: impl Iterator<Item = (&'a str, &'a [f32])>) -> String {
    let mut tensors: Vec<_> = tensors.collect();
    tensors.sort_by_key(|(name, _)| *name);
    let mut hash = Sha256::new();
    for (name, values) in tensors {
        hash.update(format!("{name}\0{}\0", values.len()));
        for some in values.chunks(1 << 14) {
            hash.update(some.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        }
    }
    hex(&hash.finalize())
}
