//! Which reader takes a file, what is asked of it, and what it says besides the points.

use std::path::{Path, PathBuf};

use super::archive::{Archive, ArrayRole};
use super::choice::Choice;
use super::csv;
use super::text::Separator;
use super::{Points, npy};
use crate::{Error, Result};

const READ: &str = ".npy, .npz, .safetensors, .csv, .tsv, .txt and .dat are read";

/// How points are to be read. By default all is found out from the file, and what is not clear is refused.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Whether the first line of a text file is a header.
    pub header: Option<bool>,
    /// The coordinates, in this order: names in the header, numbers from 1 on, or ranges of numbers such as `2-5` or `3-`.
    /// None chosen: all columns, of text files without row names.
    pub columns: Vec<String>,
    /// Only the rows of a text file whose column (first) holds this value (second). The column is not a coordinate then.
    pub rows: Option<(String, String)>,
}

/// Points with what is to be known of how they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The points, one a row.
    pub points: Points,
    /// The names of the columns, of a text file with a header.
    pub columns: Option<Vec<String>>,
    /// What was left out or found strange, a sentence each.
    pub remarks: Vec<String>,
}

/// What is missing to read a file whose content can be understood in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// To say whether the first line is a header ([`Reading::header`]).
    Header,
    /// To choose the columns ([`Reading::columns`]).
    Columns,
    /// To choose the columns, or the rows of one group ([`Reading::rows`]).
    Group,
}

/// A fault, with the setting of [`Reading`] that could be the remedy.
#[derive(Debug)]
pub struct Refused {
    /// What is wrong.
    pub error: Error,
    /// What would help, where something does.
    pub remedy: Option<Remedy>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self { error, remedy: None }
    }
}

impl Points {
    /// Reads a sample from a file, by its extension.
    ///
    /// * `.npy`: an array of NumPy, in any byte order, rows or columns first;
    /// * `.npz`, `.safetensors`: the only array of an archive, or the one that `FILE:NAME` names;
    /// * `.csv`, `.tsv`, `.txt`, `.dat`: text, a line a point. The separator is the tab in `.tsv`; elsewhere the first line
    ///   shows it (tab, semicolon, comma, and, where there is none of them, blanks). The first line is a header when none of
    ///   its fields is a number. Row names, a first column without a name as pandas and R write it, are left out.
    ///
    /// Booleans, integers up to 16 bits, f16, bf16 and f32 become f32; wider integers, f64 and text become f64. None of
    /// this loses a bit. [`Points::read_with`] also tells what was left out, and takes columns and groups.
    ///
    /// # Shapes
    /// (n, d), or (n,) for n points of dimension 1.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is missing or cannot be read; [`Error::Path`] when it is a folder or of another kind;
    /// [`Error::Format`] when it is empty, truncated, longer or shorter than it says, of another shape, or holds NaN, infinite or inexact numbers, several arrays without a name, a mean and covariance, or
    /// text whose header or row names are not clear; the message names the fault and its row.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let loaded = Self::read_with(path, &Reading::default()).map_err(|refused| refused.error)?;
        Ok(loaded.points)
    }

    /// As [`Points::read`], with settings, and with what is to be known of how the file was read.
    ///
    /// # Errors
    /// As there; also when a column that is asked for is not there, or rows are asked for of something else than text. The
    /// [`Remedy`] says which setting would help, if one would.
    pub fn read_with(path: impl AsRef<Path>, reading: &Reading) -> std::result::Result<Loaded, Refused> {
        let (file, member) = split_member(path.as_ref());
        if let Some(separator) = separator(&file) {
            return csv::read(&file, separator, reading);
        }
        let points = match extension(&file).as_deref() {
            Some("npy") => npy::read(&file)?,
            Some("npz" | "safetensors") => of_archive(&file, member.as_deref())?,
            Some(other) => {
                return Err(Error::path(&file, format!("points are not read from .{other} files; {READ}")).into());
            }
            None => {
                return Err(Error::path(&file, format!("its name has no extension to tell its kind; {READ}")).into());
            }
        };
        if reading.rows.is_some() || reading.header.is_some() {
            let parameter = if reading.rows.is_some() { "rows" } else { "header" };
            let reason = "the file holds an array, and only text has a header and columns with the names of groups";
            return Err(Error::not_applicable(parameter, reason).within(file.display()).into());
        }
        let points = match reading.columns.as_slice() {
            [] => points,
            columns => {
                let choice = Choice::of(columns, None, points.dim()).map_err(|fault| Error::format(&file, fault))?;
                points.select_columns(choice.columns())?
            }
        };
        Ok(Loaded { points, columns: None, remarks: Vec::new() })
    }
}

/// The values in a column of the text file at `path`, each once, in the order in which they come first.
///
/// # Errors
/// When the file is not text, the column is not there, or it has more than `most` values.
pub fn groups(
    path: impl AsRef<Path>,
    column: &str,
    reading: &Reading,
    most: usize,
) -> std::result::Result<Vec<String>, Refused> {
    let path = path.as_ref();
    match separator(path) {
        Some(separator) => csv::groups(path, separator, column, reading, most),
        None => Err(Error::path(path, "is not text: only columns of text tell groups apart").into()),
    }
}

fn separator(path: &Path) -> Option<Separator> {
    match extension(path).as_deref() {
        Some("csv" | "txt" | "dat") => Some(Separator::Shown),
        Some("tsv") => Some(Separator::Tab),
        _ => None,
    }
}

/// The sample in the archive at `path`: its only array, or the one called `member`.
fn of_archive(path: &Path, member: Option<&str>) -> Result<Points> {
    let mut archive = Archive::open(path)?.expect("the extension is that of an archive");
    match archive.role(member)? {
        ArrayRole::Points(i) => archive.read(i),
        ArrayRole::Statistics { mean, covariance } => {
            let (mean, covariance) = (archive.name(mean), archive.name(covariance));
            let fault = format!("holds a mean and a covariance ({mean}, {covariance}), not points");
            Err(Error::format(path, fault))
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
        return Err(Error::format(path, fault));
    }
    let weights = weights.into_data().into_f64();
    if weights.len() != n {
        return Err(Error::format(path, format!("holds {} weights for {n} points", weights.len())));
    }
    Ok(weights)
}

pub(super) fn extension(path: &Path) -> Option<String> {
    Some(path.extension()?.to_str()?.to_ascii_lowercase())
}

/// Splits `file.npz:name`. A file that has such a name as a whole is that file.
pub(super) fn split_member(path: &Path) -> (PathBuf, Option<String>) {
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
