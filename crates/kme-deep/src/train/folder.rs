//! The run folder: config.toml, data.jsonl, events.jsonl, samples/, checkpoints/, models/, model.safetensors,
//! best.safetensors; beside them what is watched: report.html, tensorboard/.

use super::config::Config;
use super::edited::edited;
use super::plan::Plan;
use super::set;
use super::sources::Sources;
use super::task::Numbers;
use kme::{Action, Error, Result};
use kme_image::{Survey, hex, in_one_line};
use kme_net::{Tensors, parse_tensors, write_tensors};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A training run on disk.
pub(crate) struct Folder {
    path: PathBuf,
    /// Its file `.lock`, locked while the run is under way. A file of its own, since editors replace what they write.
    lock: Option<File>,
    /// Folders that were made for a new run, which go again when it does not begin.
    made: Vec<PathBuf>,
}

/// A run that did not come to have a configuration leaves nothing.
impl Drop for Folder {
    fn drop(&mut self) {
        // Without the lock, what is there may be another's.
        if self.made.is_empty() || self.lock.is_none() || self.config().exists() {
            return;
        }
        let _ = fs::remove_file(self.path.join(LOCK));
        // Only empty ones go.
        self.made.iter().rev().for_each(|folder| drop(fs::remove_dir(folder)));
    }
}

/// The name of the file that is locked.
const LOCK: &str = ".lock";

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
    pub(super) const FORMAT: u32 = 2;
}

impl Folder {
    /// A new run at `path`.
    ///
    /// # Errors
    /// When something is there already, or the folder cannot be made.
    pub(super) fn create(path: &Path) -> Result<Self> {
        Self::check_free(path)?;
        let mut made: Vec<PathBuf> =
            path.ancestors().filter(|folder| !folder.exists()).map(Path::to_path_buf).collect();
        made.retain(|folder| !folder.as_os_str().is_empty());
        made.reverse();
        made.extend(PARTS.map(|part| path.join(part)).into_iter().filter(|part| !part.exists()));
        make_parts(path)?;
        Ok(Self { path: path.into(), lock: None, made })
    }

    /// Whether a new run may be made at `path`.
    ///
    /// # Errors
    /// When something is there already.
    pub(super) fn check_free(path: &Path) -> Result<()> {
        // Empty folders are what a start leaves that failed before it could write its configuration.
        let is_empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        let is_left = |entry: &fs::DirEntry| entry.file_name() == LOCK || is_empty(&entry.path());
        let occupied = |entry: std::io::Result<fs::DirEntry>| !entry.is_ok_and(|entry| is_left(&entry));
        if path.is_file() || fs::read_dir(path).is_ok_and(|mut entries| entries.any(occupied)) {
            let resume = if path.join("config.toml").is_file() { "resume the run in it, or " } else { "" };
            return Err(Error::path(path, format!("exists already; {resume}name a new folder")));
        }
        Ok(())
    }

    /// A run that was begun at `path`.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.join("config.toml").is_file() {
            return Err(Error::path(path, "is not a run folder: it has no config.toml. Start a new run there instead"));
        }
        make_parts(path)?;
        Ok(Self { path: path.into(), lock: None, made: Vec::new() })
    }

    /// The same while no other process has it. What writes left there that were cut off is removed.
    ///
    /// A process that is gone, however it ended, holds no lock. Where a file system has no locks, none are kept.
    ///
    /// # Errors
    /// When one has, or the folder may not be written to.
    pub(super) fn locked(mut self) -> Result<Self> {
        let path = self.path.join(LOCK);
        // Written to, since some file systems (NFS) lock only what is open for writing.
        let open = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(&path);
        let mut file = open.map_err(|e| kme::internal::io::write_error(&path, e))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            let owner = if owner.trim().is_empty() { String::new() } else { format!(" ({})", owner.trim()) };
            let fault = format!("is being trained by another process{owner}; stop that, or name a new folder");
            return Err(Error::path(&self.path, fault));
        }
        // For that message alone.
        let _ = file.set_len(0).and_then(|()| file.write_all(format!("process {}", std::process::id()).as_bytes()));
        self.lock = Some(file);
        for part in
            [self.path.clone(), self.path.join("samples"), self.path.join("checkpoints"), self.path.join("models")]
        {
            kme::internal::io::discard_abandoned(part);
        }
        Ok(self)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The run's configuration.
    pub(super) fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    pub(super) fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The model with the best score.
    pub(super) fn best_model(&self) -> PathBuf {
        self.path.join("best.safetensors")
    }

    pub(super) fn last_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints").join("last.safetensors")
    }

    pub(super) fn best_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoints").join("best.safetensors")
    }

    /// The sheet of what is learned from.
    pub(super) fn real_sample(&self) -> PathBuf {
        self.path.join("samples").join("real.png")
    }

    /// Writes the model of step `step` beside the last one with `write`, and removes others, so that at most `most` are
    /// kept: those of steps that are multiples of `every` times the least power of two with which there are no more. Which
    /// are kept depends on `step` alone. Those that cannot be removed are given back, with the reason.
    ///
    /// # Errors
    /// Those of `write`.
    pub(super) fn keep_model(
        &self,
        step: u64,
        every: u64,
        most: u64,
        write: impl Fn(&Path) -> Result<()>,
    ) -> Result<Vec<Error>> {
        let folder = self.path.join("models");
        let mut spacing = every.max(1);
        while most > 0 && step / spacing > most {
            spacing = spacing.saturating_mul(2);
        }
        let is_kept = |of: u64| most > 0 && of > 0 && of.is_multiple_of(spacing);
        let mut stay = Vec::new();
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of = name.strip_prefix("step-").and_then(|rest| rest.strip_suffix(".safetensors"));
            if of.and_then(|of| of.parse().ok()).is_some_and(|of: u64| !is_kept(of)) {
                stay.extend(
                    fs::remove_file(entry.path()).map_err(|e| Error::io(entry.path(), Action::Remove, e)).err(),
                );
            }
        }
        if is_kept(step) {
            fs::create_dir_all(&folder).map_err(|e| kme::internal::io::write_error(&folder, e))?;
            write(&folder.join(format!("step-{step:06}.safetensors")))?;
        }
        Ok(stay)
    }

    pub(super) fn sample(&self, step: u64) -> PathBuf {
        self.path.join("samples").join(format!("step-{step:06}.png"))
    }

    /// Writes config.toml: the configuration, and as comments what else is needed to repeat the run.
    pub(super) fn write_config(&self, config: &Config, facts: &[(String, String)]) -> Result<()> {
        self.write_config_text(&with_facts(&format!("\n{}", config.to_toml()), facts))
    }

    fn write_config_text(&self, text: &str) -> Result<()> {
        kme::internal::io::write_atomically(self.config(), |file| file.write_all(text.as_bytes()))
    }

    /// What the run's configuration says, with settings changed.
    pub(super) fn read_config(&self, sets: &[(String, String)]) -> Result<Plan> {
        Plan::load_file(&self.config(), sets)
    }

    /// Changes settings and facts in config.toml, and leaves the rest of it as it was written, with its comments. Where that
    /// cannot be done it is written anew, what it was is kept beside it, and a remark says so.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub(super) fn rewrite_config(
        &self,
        config: &Config,
        sets: &[(String, String)],
        facts: &[(String, String)],
    ) -> Result<Option<String>> {
        let path = self.config();
        let text = fs::read_to_string(&path).map_err(|e| kme::internal::io::read_error(&path, e))?;
        let wanted = set::changed(&text, &path.display().to_string(), sets)?;
        if let Some(text) = edited(&text, &wanted) {
            self.write_config_text(&with_facts(&text, facts))?;
            return Ok(None);
        }
        let kept = self.path.join("config.toml.before");
        kme::internal::io::write_atomically(&kept, |file| file.write_all(text.as_bytes()))?;
        let head: String = text.split_inclusive('\n').take_while(|line| line.starts_with('#')).collect();
        self.write_config_text(&with_facts(&format!("{head}\n{}", config.to_toml()), facts))?;
        let remark = "could not be changed line by line and was written anew; as it was, with its comments, it is in";
        Ok(Some(format!("{} {remark} {}", path.display(), kept.display())))
    }

    fn listing(&self) -> PathBuf {
        self.path.join("data.jsonl")
    }

    /// Writes data.jsonl: name and SHA-256 of each picture, and what is left out.
    pub(super) fn write_listing(&self, survey: &Survey) -> Result<()> {
        kme::internal::io::write_atomically(self.listing(), |out| {
            for (name, sha256) in &survey.files {
                writeln!(out, "{}", serde_json::json!({ "name": name, "sha256": hex(sha256) }))?;
            }
            for bad in &survey.left_out {
                writeln!(out, "{}", serde_json::json!({ "name": bad.name, "left_out": bad.fault }))?;
            }
            Ok(())
        })
    }

    /// SHA-256 of each picture that was learned from, by its name, as data.jsonl has it; nothing where there is none.
    pub(super) fn read_listing(&self) -> HashMap<String, String> {
        let text = fs::read_to_string(self.listing()).unwrap_or_default();
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some((line["name"].as_str()?.to_string(), line["sha256"].as_str()?.to_string()))
        };
        text.lines().filter_map(line).collect()
    }

    /// Appends one line of numbers to events.jsonl.
    pub(super) fn log(&self, step: u64, kind: &str, numbers: &Numbers) -> Result<()> {
        self.note(step, kind, numbers.iter().map(|(name, value)| (name.to_string(), (*value).into())))
    }

    /// Appends one line to events.jsonl.
    pub(super) fn note(
        &self,
        step: u64,
        kind: &str,
        fields: impl IntoIterator<Item = (String, serde_json::Value)>,
    ) -> Result<()> {
        let mut event = serde_json::Map::new();
        event.insert("step".into(), step.into());
        event.insert("event".into(), kind.into());
        event.extend(fields);
        let path = self.path.join("events.jsonl");
        let line = format!("{}\n", serde_json::Value::Object(event));
        let mut file =
            OpenOptions::new().create(true).append(true).open(&path).map_err(|e| Error::io(&path, Action::Write, e))?;
        file.write_all(line.as_bytes()).map_err(|e| Error::io(&path, Action::Write, e))
    }

    /// The greatest step that was logged; 0 without any.
    pub(super) fn last_event(&self) -> Result<u64> {
        let steps = self.events()?.lines().filter_map(step_of).max();
        Ok(steps.unwrap_or(0))
    }

    /// The text of events.jsonl, empty where there is none.
    fn events(&self) -> Result<String> {
        let path = self.path.join("events.jsonl");
        match fs::read(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            Err(e) => Err(kme::internal::io::read_error(&path, e)),
            // A line that something else broke into is one that is dropped.
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        }
    }

    /// Drops events after `step` (all of them without one), which a run that continues from there will write again, and a
    /// line cut short.
    pub(super) fn forget_events_after(&self, step: Option<u64>) -> Result<()> {
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
        kme::internal::io::write_atomically(&path, |file| file.write_all(kept.as_bytes()))
    }

    /// Writes a checkpoint.
    pub(super) fn write_checkpoint(
        &self,
        path: &Path,
        checkpoint: Checkpoint,
        state: Vec<(String, Vec<usize>, Vec<f32>)>,
    ) -> Result<()> {
        let sha256 = digest(state.iter().map(|(name, _, values)| (name.as_str(), values.as_slice())));
        write_tensors(path, &Checkpoint { sha256, ..checkpoint }, state)
    }

    /// The last checkpoint, when there is one.
    pub(super) fn read_checkpoint(&self) -> Result<Option<(Checkpoint, Tensors)>> {
        let path = self.last_checkpoint();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = fs::read(&path).map_err(|e| kme::internal::io::read_error(&path, e))?;
        let (checkpoint, tensors): (Checkpoint, _) = parse_tensors(&bytes, &path)?;
        if checkpoint.format != Checkpoint::FORMAT {
            let (found, own) = (checkpoint.format, Checkpoint::FORMAT);
            return Err(Error::format(&path, format!("has checkpoint format {found}, but this program reads {own}")));
        }
        if !is_unchanged(&tensors, &checkpoint.sha256) {
            let fault = "has changed since it was written; bring it back, or copy best.safetensors to its place";
            return Err(Error::format(&path, fault));
        }
        Ok(Some((checkpoint, tensors)))
    }
}

/// The text of a configuration with these facts as comments at its head, in the place of others of their names.
fn with_facts(text: &str, facts: &[(String, String)]) -> String {
    let mut lines: Vec<String> = text.split_inclusive('\n').map(String::from).collect();
    let (mut head, mut next) = (lines.iter().take_while(|line| line.starts_with('#')).count(), 0);
    for (name, fact) in facts {
        let start = format!("# {name}: ");
        let line = format!("{start}{}\n", in_one_line(fact));
        match lines[..head].iter().position(|line| line.starts_with(&start)) {
            Some(at) => (lines[at], next) = (line, at + 1),
            None => {
                lines.insert(next, line);
                (head, next) = (head + 1, next + 1);
            }
        }
    }
    lines.concat()
}

/// The step of a line of events.jsonl.
fn step_of(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?["step"].as_u64()
}

const PARTS: [&str; 2] = ["samples", "checkpoints"];

fn make_parts(path: &Path) -> Result<()> {
    PARTS.iter().try_for_each(|part| fs::create_dir_all(path.join(part)).map_err(|e| Error::io(path, Action::Write, e)))
}

/// Whether the tensors of a checkpoint are those that it was written with.
pub(super) fn is_unchanged(tensors: &Tensors, sha256: &str) -> bool {
    digest(tensors.iter().map(|(name, (_, values))| (name.as_str(), values.as_slice()))) == sha256
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
