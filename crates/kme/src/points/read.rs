//! Which reader takes a file, and which of a file's arrays is the sample.

use std::path::{Path, PathBuf};

use super::array::{Checked, Layout};
use super::{Points, csv, npy, npz, safetensors};
use crate::{Error, Result};

const READ: &str = ".npy, .npz, .safetensors, .csv and .tsv are read";

impl Points {
    /// Reads a sample from a file, by its extension.
    ///
    /// * `.npy`: an array of NumPy, in any byte order, rows or columns first;
    /// * `.npz`, `.safetensors`: an array in an archive. `FILE:NAME` names it; without a name it is the only array of
    ///   two axes, or, if there is none, the only one of one axis;
    /// * `.csv`, `.tsv`: a line per point, with or without a header line. The separator is the tab in `.tsv`; elsewhere
    ///   the first line shows it (tab, semicolon, comma). The first line is a header when none of its fields is a
    ///   number.
    ///
    /// Booleans, integers up to 16 bits, f16, bf16 and f32 become f32; wider integers, f64 and text become f64. None of
    /// this loses a bit.
    ///
    /// # Shapes
    /// (n, d), or (n,) for n points of dimension 1.
    ///
    /// # Errors
    /// [`Error::File`] when the file is missing, of another kind, empty, truncated, longer or shorter than it says,
    /// of another shape, or holds NaN, infinite or inexact numbers; the text names the fault and its row.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let (file, member) = split_member(path.as_ref());
        let member = member.as_deref();
        match extension(&file).as_deref() {
            Some("npy") => npy::read(&file),
            Some("npz") => npz::read(&file, member),
            Some("safetensors") => safetensors::read(&file, member),
            Some("csv") => csv::read(&file, false),
            Some("tsv") => csv::read(&file, true),
            Some(other) => {
                Err(Error::file(&file, format!("files of kind .{other} hold no points that can be read; {READ}")))
            }
            None => Err(Error::file(&file, format!("its name has no extension to tell its kind; {READ}"))),
        }
    }
}

/// Reads n weights, one for each of n points, from any file that [`Points::read`] takes: an array of shape (n,), (n, 1)
/// or (1, n).
///
/// # Errors
/// As [`Points::read`]; also when the array has another shape, or its length is not `n`.
pub fn read_weights(path: impl AsRef<Path>, n: usize) -> Result<Vec<f64>> {
    let path = path.as_ref();
    let weights = Points::read(path)?;
    if weights.dim() != 1 && weights.len() != 1 {
        let fault = format!("holds {} × {} numbers; weights are one number a point", weights.len(), weights.dim());
        return Err(Error::file(path, fault));
    }
    let weights = weights.into_data().into_f64();
    if weights.len() != n {
        return Err(Error::file(path, format!("holds {} weights for {n} points", weights.len())));
    }
    Ok(weights)
}

pub(super) fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// Splits `file.npz:name`. A file that has such a name as a whole is that file.
fn split_member(path: &Path) -> (PathBuf, Option<String>) {
    let split = path.to_str().and_then(|text| text.rsplit_once(':'));
    match split {
        Some((file, member))
            if matches!(extension(Path::new(file)).as_deref(), Some("npz" | "safetensors")) && !path.exists() =>
        {
            (file.into(), Some(member.into()))
        }
        _ => (path.into(), None),
    }
}

/// Chooses among the arrays of an archive, each given by name, layout (or why it cannot be read) and handle.
pub(super) fn choose<T>(mut arrays: Vec<(String, Checked<Layout>, T)>, member: Option<&str>) -> Checked<T> {
    let list = |arrays: &[(String, Checked<Layout>, T)]| {
        let show = |(name, layout, _): &(String, Checked<Layout>, T)| match layout {
            Ok(layout) => format!("{name} {layout}"),
            Err(_) => format!("{name} (not readable)"),
        };
        arrays.iter().map(show).collect::<Vec<_>>().join(", ")
    };
    let index = match member {
        Some(name) => arrays
            .iter()
            .position(|(n, _, _)| n == name)
            .ok_or_else(|| format!("has no array '{name}'; it holds {}", list(&arrays)))?,
        None => {
            let with_axes = |axes| {
                let has = |a: &(String, Checked<Layout>, T)| a.1.as_ref().is_ok_and(|l| l.shape.len() == axes);
                let found: Vec<usize> = (0..arrays.len()).filter(|&i| has(&arrays[i])).collect();
                found
            };
            let (two, one) = (with_axes(2), with_axes(1));
            match (two.as_slice(), one.as_slice(), arrays.len()) {
                (_, _, 0) => return Err("holds no arrays".into()),
                (_, _, 1) => 0,
                (&[only], _, _) | (&[], &[only], _) => only,
                (&[], &[], _) => {
                    return Err(format!("holds no array of shape (n, d) or (n,), but {}", list(&arrays)));
                }
                _ => {
                    return Err(format!("holds several arrays: write FILE:NAME to name one of {}", list(&arrays)));
                }
            }
        }
    };
    let (name, layout, handle) = arrays.swap_remove(index);
    layout.and_then(|l| l.sample_shape()).map_err(|e| format!("array '{name}' {e}"))?;
    Ok(handle)
}
