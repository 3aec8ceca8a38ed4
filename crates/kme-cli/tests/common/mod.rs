//! Running the built command, and samples to run it on.

// Each test program uses a part of this.
#![allow(dead_code)]

use kme::{Data, Points};
use kme_image::Images;
use kme_testing::Lcg;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command left behind.
pub(crate) struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// The one JSON object on standard output, of a command that succeeded.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{}", self.err);
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}", self.out))
    }

    /// The member `value` of the object.
    pub(crate) fn value(&self) -> f64 {
        self.json()["value"].as_f64().unwrap()
    }
}

/// The command, which signals reach as from a terminal: those that were ignored where the tests were started, by nohup or by a
/// script's `&`, would stay ignored otherwise.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kme"));
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let usual = || {
            // SAFETY: signal() may be called between fork and exec.
            unsafe {
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                libc::signal(libc::SIGINT, libc::SIG_DFL);
            }
            Ok(())
        };
        // SAFETY: the closure calls nothing but signal().
        unsafe { command.pre_exec(usual) };
    }
    command
}

/// A folder to work in, and one for features.
pub(crate) struct Place(tempfile::TempDir, tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder of features that `kme` uses here unless told otherwise.
    pub(crate) fn cache(&self) -> PathBuf {
        self.1.path().join("kme/features")
    }

    /// Runs `kme` in this folder with these words, separated by blanks.
    pub(crate) fn kme(&self, words: &str) -> Ran {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `kme` in this folder.
    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        self.run_in("", words)
    }

    /// Runs `kme` in a folder of this one.
    pub(crate) fn run_in(&self, folder: &str, words: &[&str]) -> Ran {
        let output = Command::new(env!("CARGO_BIN_EXE_kme"))
            .args(words)
            .current_dir(self.path(folder))
            .env("XDG_DATA_HOME", self.path("home"))
            .env("XDG_CACHE_HOME", self.1.path())
            .env_remove("KME_DATA")
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// Names of everything in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }

    /// Normal points with mean `shift`, as a file; its rows in double precision.
    pub(crate) fn normal(&self, name: &str, n: usize, d: usize, shift: f64, seed: u64) -> Vec<Vec<f64>> {
        let numbers: Vec<f64> = Lcg::of_seed(seed).normals(n * d, 53).into_iter().map(|x| x + shift).collect();
        Points::new(n, d, Data::F64(numbers.clone())).unwrap().write(self.path(name)).unwrap();
        numbers.chunks(d).map(<[f64]>::to_vec).collect()
    }

    /// A folder of `n` random grey pictures of size 28x28.
    pub(crate) fn pictures(&self, name: &str, n: usize, seed: u64) {
        std::fs::create_dir_all(self.path(name)).unwrap();
        let data = Lcg::of_seed(seed).normals(n * 784, 53).into_iter().map(|x| (0.5 + 0.3 * x) as f32).collect();
        let images = Images::clamped(n, 1, 28, 28, data).unwrap();
        for i in 0..n {
            images.write_png(i, &self.path(&format!("{name}/{i:03}.png"))).unwrap();
        }
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
