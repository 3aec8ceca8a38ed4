//! What an output is, by the ending of its name. The one place where this is decided.

use kme::{Error, Result};
use std::path::Path;

/// The kinds of outputs that verbs write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Kme,
    Npz,
    Npy,
    Csv,
    Tsv,
    Txt,
    Markdown,
    Json,
    Png,
    /// A name of a folder: see [`is_folder_name`].
    Folder,
}

impl Ending {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Kme, "kme"),
        (Self::Npz, "npz"),
        (Self::Npy, "npy"),
        (Self::Csv, "csv"),
        (Self::Tsv, "tsv"),
        (Self::Txt, "txt"),
        (Self::Markdown, "md"),
        (Self::Json, "json"),
        (Self::Png, "png"),
    ];

    /// That of `path`, in upper or lower case, if it is one of `among`; a folder only where that is among them.
    ///
    /// # Errors
    /// When it is none of them, with what is `allowed` in words.
    pub(crate) fn of(path: &Path, among: &[Self], allowed: &'static str) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let named =
            || Self::ALL.iter().find(|(_, name)| name.eq_ignore_ascii_case(extension)).map(|(ending, _)| *ending);
        let found = match among.contains(&Self::Folder) && (is_folder_name(path) || path.extension().is_none()) {
            true => Some(Self::Folder),
            false => named(),
        };
        found.filter(|ending| among.contains(ending)).ok_or_else(|| Error::parameter("output", path.display(), allowed))
    }
}

/// Whether the name of an output is meant as that of a folder: it is one, it ends in `/`, or it has no ending like that of a
/// file, a letter behind its last dot.
pub(crate) fn is_folder_name(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().into_owned());
    let has_slash = path.as_os_str().as_encoded_bytes().ends_with(b"/");
    has_slash || path.is_dir() || !ending.is_some_and(|e| e.starts_with(|c: char| c.is_ascii_alphabetic()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_what_is_written() {
        let of = |name: &str, among: &[Ending]| Ending::of(Path::new(name), among, "something else").ok();
        let all: Vec<Ending> = Ending::ALL.iter().map(|(ending, _)| *ending).collect();
        for (ending, name) in Ending::ALL {
            assert_eq!(of(&format!("a.b/x.{name}"), &all), Some(ending));
            assert_eq!(of(&format!("X.{}", name.to_uppercase()), &all), Some(ending));
            assert_eq!(of(&format!("x.{name}"), &[Ending::Folder]), None);
        }
        for name in ["x", "x.", ".kme", "kme", "x.gif", "x.kme.bak", "x.kme/"] {
            let expected = (name == "x.kme/").then_some(Ending::Kme);
            assert_eq!(of(name, &all), expected, "{name}");
        }
        for name in ["out", "out.d/", "run-1.5", "x.kme/"] {
            assert_eq!(of(name, &[Ending::Kme, Ending::Folder]), Some(Ending::Folder), "{name}");
        }
        let fault = Ending::of(Path::new("x.gif"), &all, "something else").unwrap_err().to_string();
        assert!(fault.contains("x.gif") && fault.contains("something else"), "{fault}");
    }
}
