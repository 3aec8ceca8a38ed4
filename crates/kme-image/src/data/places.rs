//! Where data sets are looked for.

use std::env;
use std::path::{Path, PathBuf};

/// The folder below which this user's data and models of the program live: `$XDG_DATA_HOME/kme` or
/// `~/.local/share/kme`; on macOS `~/Library/Application Support/kme`; on Windows `%APPDATA%\kme`. None when the
/// environment names no home.
pub fn user_data_folder() -> Option<PathBuf> {
    let base = if cfg!(windows) {
        named("APPDATA")
    } else if cfg!(target_os = "macos") {
        named("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        named("XDG_DATA_HOME").or_else(|| named("HOME").map(|home| home.join(".local/share")))
    };
    base.map(|base| base.join("kme"))
}

/// The folder below which files of the program lie that it can make again: `$XDG_CACHE_HOME/kme` or `~/.cache/kme`; on
/// macOS `~/Library/Caches/kme`; on Windows `%LOCALAPPDATA%\kme`. None when the environment names no home.
pub fn user_cache_folder() -> Option<PathBuf> {
    let base = if cfg!(windows) {
        named("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        named("HOME").map(|home| home.join("Library/Caches"))
    } else {
        named("XDG_CACHE_HOME").or_else(|| named("HOME").map(|home| home.join(".cache")))
    };
    base.map(|base| base.join("kme"))
}

/// The absolute path in an environment variable.
fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// The folders in which data sets are looked for, in this order.
///
/// With `--data-dir DIR`, only DIR. Otherwise the folder in the environment variable `KME_DATA`, then `data` in the
/// [user's data folder](user_data_folder), then `/usr/share/datasets`, where Debian's packages put theirs.
///
/// In each of them a data set may lie in a folder of its own name, or of the name that torchvision or its own archive
/// gives it, or, if it is nowhere under a name, right inside.
#[derive(Clone, Debug, PartialEq)]
pub struct Places(Vec<PathBuf>);

impl Places {
    /// The folders to look in, given what `--data-dir` says.
    pub fn new(data_dir: Option<&Path>) -> Self {
        if let Some(folder) = data_dir {
            return Self(vec![folder.into()]);
        }
        let named = env::var_os("KME_DATA").filter(|value| !value.is_empty()).map(PathBuf::from);
        let own = user_data_folder().map(|folder| folder.join("data"));
        Self(named.into_iter().chain(own).chain(["/usr/share/datasets".into()]).collect())
    }

    /// The folders, in order.
    pub fn folders(&self) -> &[PathBuf] {
        &self.0
    }
}
