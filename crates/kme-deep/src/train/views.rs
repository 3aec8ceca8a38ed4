//! What a run is watched by: report.html, and event files for TensorBoard. Both are made of what the run folder holds.

use super::report;
use super::tensorboard::Writer;
use kme::Result;
use std::path::{Path, PathBuf};

pub(super) struct Views {
    run: PathBuf,
    tensorboard: Option<Writer>,
}

impl Views {
    /// The views of the run folder `run`.
    ///
    /// # Errors
    /// When event files are wanted and cannot be written.
    pub(super) fn open(run: &Path, tensorboard: bool) -> Result<Self> {
        let tensorboard = if tensorboard { Some(Writer::open(run)?) } else { None };
        Ok(Self { run: run.into(), tensorboard })
    }

    /// Takes up what was written since; the report only where there is a new sheet.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn update(&mut self, sheet: bool) -> Result<()> {
        if let Some(writer) = &mut self.tensorboard {
            writer.follow()?;
        }
        if sheet { report::write(&self.run) } else { Ok(()) }
    }
}
