//! Sources that are points: files, standard input, and one group of a file's rows.

use crate::arguments::Global;
use crate::output;
use crate::sources::SourceFlags;
use kme::evaluate::Statistics;
use kme::points::{Loaded, Reading, Refused, Remedy, groups};
use kme::{Error, Points, Result};
use kme_net::weights::{Arrays, read_arrays};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Endings of files of points; those of text may be followed by a group, the others by the name of an array.
const TEXT: [&str; 4] = ["csv", "tsv", "txt", "dat"];
const ARCHIVES: [&str; 4] = ["npz", "safetensors", "pt", "pth"];

/// What is read as points, for messages about files that hold neither points nor pictures.
const FORMATS: &str = "points are read from .npy, .npz, .safetensors, .pt, .csv, .tsv and .txt";

/// Groups that a column may have: more are no groups but numbers or names.
const MOST_GROUPS: usize = 50;

/// What there is to say of a table besides its points.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes {
    /// Names of the columns.
    pub columns: Option<Vec<String>>,
    pub remarks: Vec<String>,
}

/// What a name that is one of points stands for.
pub(crate) enum Found {
    Points(Points, Notes),
    Statistics(Statistics),
}

/// A name in its parts.
struct Named {
    file: PathBuf,
    /// Of an archive.
    array: Option<String>,
    /// Column and value, of a text.
    group: Option<(String, String)>,
    /// Standard input, or another pipe, whose content tells what it is.
    is_stream: bool,
}

impl Named {
    /// Takes `text` apart, if it is the name of points.
    fn parse(text: &str) -> Option<Self> {
        let has = |file: &str, endings: &[&str]| {
            let extension = Path::new(file).extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
            extension.is_some_and(|e| endings.contains(&e.as_str()))
        };
        let whole = |is_stream| Self { file: text.into(), array: None, group: None, is_stream };
        if is_stream(text) {
            return Some(whole(true));
        }
        let path = Path::new(text);
        if path.is_dir() {
            return None;
        }
        if has(text, &TEXT) || has(text, &ARCHIVES) || has(text, &["npy"]) {
            return Some(whole(false));
        }
        if path.exists() {
            return None;
        }
        // Behind the first colon that follows such a file's name: names of columns and arrays may have colons too.
        text.match_indices(':').find_map(|(at, _)| {
            let (file, rest) = (&text[..at], &text[at + 1..]);
            let is_stream = is_stream(file);
            if has(file, &TEXT) || is_stream {
                let (column, value) = rest.split_once('=')?;
                let group = Some((column.into(), value.into()));
                return Some(Self { file: file.into(), array: None, group, is_stream });
            }
            let array = Some(rest.to_string());
            has(file, &ARCHIVES).then(|| Self { file: file.into(), array, group: None, is_stream })
        })
    }
}

/// Whether `text` is the name of points.
pub(crate) fn is_named(text: &str) -> bool {
    Named::parse(text).is_some()
}

/// Whether `text` is standard input or another pipe, such as a shell makes of `<(command)`.
fn is_stream(text: &str) -> bool {
    text == "-" || is_pipe(Path::new(text))
}

#[cfg(unix)]
fn is_pipe(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.file_type().is_fifo() || meta.file_type().is_socket())
}

#[cfg(not(unix))]
fn is_pipe(_: &Path) -> bool {
    false
}

/// Reads what `text` names.
///
/// # Errors
/// When it cannot be read as points or statistics; the message says which flag would help.
pub(crate) fn read(text: &str, flags: &SourceFlags) -> Result<Found> {
    let Some(named) = Named::parse(text) else {
        return Err(Error::file(text, format!("is not a file of points; {FORMATS}")));
    };
    match named.is_stream {
        true => read_stream(&named, flags),
        false => read_file(&named, flags),
    }
}

/// Says what was remarked of the file that `text` names, unless it was `told`: several samples may come from one file.
pub(crate) fn tell(text: &str, notes: &Notes, told: &mut Vec<String>, global: &Global) {
    let file = Named::parse(text).map_or_else(|| text.into(), |named| named.file.display().to_string());
    for remark in &notes.remarks {
        let line = format!("{file}: {remark}");
        if !told.contains(&line) {
            output::remark(global, &line);
            told.push(line);
        }
    }
}

fn read_file(named: &Named, flags: &SourceFlags) -> Result<Found> {
    let Named { file, array, group, .. } = named;
    let extension = file.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).unwrap_or_default();
    if ["pt", "pth"].contains(&extension.as_str()) {
        return match read_arrays(file, array.as_deref())? {
            Arrays::Statistics(statistics) => Ok(Found::Statistics(statistics)),
            Arrays::Points(points) => {
                if let Some(columns) = &flags.columns {
                    let allowed = "a setting for text, .npy, .npz and .safetensors; of a .pt file all columns are read";
                    return Err(Error::value("--columns", columns, allowed));
                }
                Ok(Found::Points(points, Notes::default()))
            }
        };
    }
    if array.is_none() && Statistics::is_file(file) {
        return Statistics::read(file).map(Found::Statistics);
    }
    let path = match array {
        Some(array) => PathBuf::from(format!("{}:{array}", file.display())),
        None => file.clone(),
    };
    let is_text = TEXT.contains(&extension.as_str());
    let reading = Reading {
        header: flags.header.filter(|_| is_text).map(|header| header == Header::Yes),
        columns: flags.columns().to_vec(),
        rows: group.clone(),
    };
    let Loaded { points, columns, remarks } = Points::read_with(&path, &reading).map_err(with_flags)?;
    Ok(Found::Points(points, Notes { columns, remarks }))
}

/// Adds to a fault the flags that would help.
fn with_flags(refused: Refused) -> Error {
    let help = match refused.remedy {
        None => return refused.error,
        Some(Remedy::Header) => "give --header yes or --header no",
        Some(Remedy::Columns) => "give --columns, such as --columns 2- or a,b; --columns all takes every one",
        Some(Remedy::Group) => {
            "give --columns, such as --columns a,b; --group COLUMN splits the rows by a column of labels"
        }
    };
    refused.error.advising(help)
}

/// Reads standard input or a pipe, whose first bytes tell the kind.
fn read_stream(named: &Named, flags: &SourceFlags) -> Result<Found> {
    let name = &named.file;
    let copy = copied(name)?;
    let copied = Named { file: copy.path().into(), array: None, group: named.group.clone(), is_stream: false };
    read_file(&copied, flags).map_err(|mut fault| {
        if let Error::Io { path, .. }
        | Error::Format { path, .. }
        | Error::Path { path, .. }
        | Error::File { path, .. } = &mut fault
        {
            *path = shown(name);
        }
        fault
    })
}

fn shown(name: &Path) -> PathBuf {
    if name == Path::new("-") { "standard input".into() } else { name.into() }
}

/// A file with what a stream holds, whose extension is that of the content.
fn copied(name: &Path) -> Result<tempfile::NamedTempFile> {
    // It can be read once, and be asked for again: its groups are sources of their own.
    static READ: Mutex<BTreeMap<PathBuf, Arc<Vec<u8>>>> = Mutex::new(BTreeMap::new());
    let fault = |e: std::io::Error| Error::file(shown(name), format!("cannot be read: {e}"));
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    let bytes = match read.get(name) {
        Some(bytes) => bytes.clone(),
        None => {
            let mut bytes = Vec::new();
            match name == Path::new("-") {
                true => std::io::stdin().lock().read_to_end(&mut bytes).map(drop),
                false => std::fs::read(name).map(|read| bytes = read),
            }
            .map_err(fault)?;
            read.entry(name.into()).or_insert(Arc::new(bytes)).clone()
        }
    };
    let bytes = &bytes[..];
    let extension = match bytes {
        [] => return Err(Error::file(shown(name), "is empty: points as text (CSV) or as .npy are expected")),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => ".npy",
        [b'P', b'K', 3, 4, ..] if !bytes.windows(8).any(|w| w == b"data.pkl") => ".npz",
        [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => ".pt",
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => ".safetensors",
        [0x1f, 0x8b, ..] => return Err(Error::file(shown(name), "is compressed: pass it through gzip -dc first")),
        _ => ".txt",
    };
    let mut file = tempfile::Builder::new().prefix("kme-").suffix(extension).tempfile().map_err(fault)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(fault)?;
    Ok(file)
}

/// The sources that are meant: with `--group`, every text file stands for its groups, in the order in which they come first.
///
/// # Errors
/// When there is `--group` and a source is not text, or its column is not there or has too many values.
pub(crate) fn expanded<'t>(texts: impl Iterator<Item = &'t String>, flags: &SourceFlags) -> Result<Vec<String>> {
    let texts: Vec<String> = texts.cloned().collect();
    if texts.iter().filter(|text| *text == "-").count() > 1 {
        return Err(Error::value("source", "-", "named once: standard input can be read once"));
    }
    let Some(column) = &flags.group else { return Ok(texts) };
    let mut all = Vec::new();
    for text in texts {
        let values = match Named::parse(&text) {
            Some(Named { file, array: None, group: None, is_stream }) => {
                let copy = if is_stream { Some(copied(&file)?) } else { None };
                let path = copy.as_ref().map_or(file.as_path(), |copy| copy.path());
                let reading =
                    Reading { header: flags.header.map(|header| header == Header::Yes), ..Reading::default() };
                groups(path, column, &reading, MOST_GROUPS).map_err(with_flags)?
            }
            _ => return Err(Error::value("--group", column, format!("a column of text files; {text} is not one"))),
        };
        if values.len() < 2 {
            let fault = format!("has the same value in every row of column '{column}': there is nothing to compare");
            return Err(Error::file(text, fault));
        }
        all.extend(values.into_iter().map(|value| format!("{text}:{column}={value}")));
    }
    Ok(all)
}

/// Brings the columns of tables with headers to one order.
///
/// # Errors
/// [`Error::Mismatch`] when two headers do not hold the same names.
pub(crate) fn align(
    tables: &mut [(&str, &mut Points, &mut Notes)],
    flags: &SourceFlags,
    global: &Global,
) -> Result<()> {
    // Who chooses by number does not go by names.
    let is_number = |text: &String| text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if !flags.columns().is_empty() && flags.columns().iter().all(is_number) {
        return Ok(());
    }
    let mut first: Option<(String, Vec<String>)> = None;
    for (text, points, notes) in tables {
        let Some(own) = notes.columns.clone() else { continue };
        let Some((first_text, names)) = &first else {
            first = Some((text.to_string(), own));
            continue;
        };
        if own == *names {
            continue;
        }
        let places: Option<Vec<usize>> = names.iter().map(|name| own.iter().position(|other| other == name)).collect();
        let mut sorted = places.clone().unwrap_or_default();
        sorted.sort_unstable();
        sorted.dedup();
        match places {
            Some(places) if sorted.len() == own.len() => {
                **points = points.select_columns(&places)?;
                notes.columns = Some(names.clone());
                let remark =
                    format!("its columns stand in another order than those of {first_text}: brought to that order");
                output::remark(global, format!("{text}: {remark}"));
                notes.remarks.push(remark);
            }
            _ => {
                let show = |names: &[String], text: &str| format!("{} ({text})", names.join(", "));
                let remedy = "choose columns that both have with --columns a,b, or go by numbers with --columns 1-";
                return Err(Error::mismatch("list of columns", show(names, first_text), show(&own, text), remedy));
            }
        }
    }
    Ok(())
}

/// Adds to the fault of a file that is not pictures what could be read as points.
pub(crate) fn naming_formats(fault: Error) -> Error {
    match fault.file_path().is_some_and(Path::is_file) {
        true => fault.advising(FORMATS),
        false => fault,
    }
}

/// Whether the first line of text is a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Header {
    Yes,
    No,
}

/// The columns of `--columns`: names, numbers and ranges with commas between; a name with a comma stands in double quotes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Columns(pub Vec<String>);

impl std::fmt::Display for Columns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl std::str::FromStr for Columns {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (mut columns, mut is_inside) = (vec![String::new()], false);
        for c in text.chars() {
            match c {
                '"' => is_inside = !is_inside,
                ',' if !is_inside => columns.push(String::new()),
                _ => columns.last_mut().expect("there is one").push(c),
            }
        }
        let columns: Vec<String> = columns.into_iter().map(|column| column.trim().to_string()).collect();
        match !is_inside && columns.iter().all(|column| !column.is_empty()) {
            true => Ok(Self(columns)),
            false => Err(Error::value("--columns", text, "names or numbers with commas between, such as a,b or 2-5")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_points_are_told_by_their_name() {
        for name in
            ["a.npy", "a.NPZ", "a.npz:x", "a.safetensors:layer", "b.csv", "b.tsv", "b.csv:c=d", "-", "-:c=d", "a.pt:x"]
        {
            assert!(is_named(name), "{name}");
        }
        for name in ["a.png", "a", "a.idx3-ubyte.gz", "mnist:test", "a.csv:c", "-a"] {
            assert!(!is_named(name), "{name}");
        }
        let named = Named::parse("d/a.csv:time, s=1:30=x").unwrap();
        assert_eq!(named.group, Some(("time, s".into(), "1:30=x".into())));
    }

    #[test]
    fn columns_have_commas_between() {
        let columns = |text: &str| text.parse::<Columns>().map(|c| c.0).map_err(|e| e.to_string());
        assert_eq!(columns("a, b,2-").unwrap(), ["a", "b", "2-"]);
        assert_eq!(columns("\"h, cm\",w").unwrap(), ["h, cm", "w"]);
        for text in ["", "a,", "\"a"] {
            assert!(columns(text).unwrap_err().contains("such as a,b"), "{text}");
        }
    }
}
