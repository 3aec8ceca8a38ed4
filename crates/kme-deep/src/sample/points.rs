//! Sources that are points: files, standard input, and one group of a file's rows.

use super::{Reader, SourceSettings};
use kme::{Action, Error, Field, Loaded, Observer, Points, Reading, Refused, Remedy, Result, Statistics, groups};
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

/// Groups that a column may have: more are numbers or names.
const MOST_GROUPS: usize = 50;

/// What there is to say of a table besides its points.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Names of the columns.
    pub columns: Option<Vec<String>>,
    /// What was left out or found out.
    pub remarks: Vec<String>,
}

/// What a name that is one of points stands for.
pub(super) enum Found {
    Points(Points, Table),
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
pub(super) fn is_points(text: &str) -> bool {
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
/// When it cannot be read as points or statistics; the message says which setting would help.
pub(super) fn read(text: &str, reader: &Reader) -> Result<Found> {
    let settings = reader.settings;
    let Some(named) = Named::parse(text) else {
        return Err(Error::format(text, format!("this is not a file of points; {FORMATS}")));
    };
    match named.is_stream {
        true => read_stream(&named, settings),
        false => read_file(&named, settings),
    }
}

/// Says what was remarked of the file that `text` names, unless it was `told`: several samples may come from one file.
pub(super) fn tell(text: &str, table: &Table, told: &mut Vec<String>, observer: &dyn Observer) {
    let file = Named::parse(text).map_or_else(|| text.into(), |named| named.file.display().to_string());
    for remark in &table.remarks {
        let line = format!("{file}: {remark}");
        if !told.contains(&line) {
            observer.remark(&line);
            told.push(line);
        }
    }
}

fn read_file(named: &Named, settings: &SourceSettings) -> Result<Found> {
    let Named { file, array, group, .. } = named;
    let extension = file.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).unwrap_or_default();
    if ["pt", "pth"].contains(&extension.as_str()) {
        return match read_arrays(file, array.as_deref())? {
            Arrays::Statistics(statistics) => Ok(Found::Statistics(statistics)),
            Arrays::Points(points) => {
                if !settings.columns.is_empty() {
                    let reason = format!("{} is a torch file, and kme reads all its columns", file.display());
                    return Err(Error::not_applicable("columns", reason));
                }
                Ok(Found::Points(points, Table::default()))
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
    let reading =
        Reading { header: settings.header.filter(|_| is_text), columns: settings.columns.clone(), rows: group.clone() };
    let Loaded { points, columns, remarks } = Points::read_with(&path, &reading).map_err(with_remedy)?;
    Ok(Found::Points(points, Table { columns, remarks }))
}

/// Adds to a fault the setting that would help.
fn with_remedy(refused: Refused) -> Error {
    let help = match refused.remedy {
        None => return refused.error,
        Some(Remedy::Header) => "give `header` yes or `header` no",
        Some(Remedy::Columns) => "give `columns`, such as `columns` 2- or a,b; `columns` all takes every one",
        Some(Remedy::Group) => {
            "give `columns`, such as `columns` a,b; `group` COLUMN splits the rows by a column of labels"
        }
    };
    refused.error.advising(help)
}

/// Reads standard input or a pipe, whose first bytes tell the kind.
fn read_stream(named: &Named, settings: &SourceSettings) -> Result<Found> {
    let name = &named.file;
    let copy = copied(name)?;
    let copied = Named { file: copy.path().into(), array: None, group: named.group.clone(), is_stream: false };
    read_file(&copied, settings).map_err(|mut fault| {
        if let Error::Io { path, .. } | Error::Format { path, .. } | Error::Path { path, .. } = &mut fault {
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
    let fault = |e: std::io::Error| Error::io(shown(name), Action::Read, e);
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
        [] => return Err(Error::format(shown(name), "it is empty; give points as text (CSV) or as .npy")),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => ".npy",
        [b'P', b'K', 3, 4, ..] if !bytes.windows(8).any(|w| w == b"data.pkl") => ".npz",
        [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..] => ".pt",
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => ".safetensors",
        [0x1f, 0x8b, ..] => return Err(Error::format(shown(name), "it is compressed; pass it through gzip -dc first")),
        _ => ".txt",
    };
    let mut file = tempfile::Builder::new().prefix("kme-").suffix(extension).tempfile().map_err(fault)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(fault)?;
    Ok(file)
}

/// The sources that are meant: where a column tells groups apart, every text file stands for its groups, in the order in which
/// they come first.
///
/// # Errors
/// When there is such a column and a source is not text, or the column is not there or has too many values.
pub fn groups_of(texts: Vec<String>, settings: &SourceSettings) -> Result<Vec<String>> {
    if texts.iter().filter(|text| *text == "-").count() > 1 {
        return Err(Error::unsupported("read standard input twice", "name - once"));
    }
    let Some(column) = &settings.group else { return Ok(texts) };
    let mut all = Vec::new();
    for text in texts {
        let values = match Named::parse(&text) {
            Some(Named { file, array: None, group: None, is_stream }) => {
                let copy = if is_stream { Some(copied(&file)?) } else { None };
                let path = copy.as_ref().map_or(file.as_path(), |copy| copy.path());
                let reading = Reading { header: settings.header, ..Reading::default() };
                groups(path, column, &reading, MOST_GROUPS).map_err(with_remedy)?
            }
            _ => {
                let reason = format!("{text} is not a text file, and only text files have columns of groups");
                return Err(Error::not_applicable("group", reason));
            }
        };
        if values.len() < 2 {
            let problem = format!("column '{column}' has the same value in every row: there is nothing to compare");
            return Err(Error::format(text, problem));
        }
        all.extend(values.into_iter().map(|value| format!("{text}:{column}={value}")));
    }
    Ok(all)
}

/// Brings the columns of tables with headers to one order.
///
/// # Errors
/// [`Error::Mismatch`] when two headers do not hold the same names.
pub(super) fn align(tables: &mut [(&str, &mut Points, &mut Table)], reader: &Reader) -> Result<()> {
    let columns = &reader.settings.columns;
    // Who chooses by number does not go by names.
    let is_number = |text: &String| text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if !columns.is_empty() && columns.iter().all(is_number) {
        return Ok(());
    }
    let mut first: Option<(String, Vec<String>)> = None;
    for (text, points, table) in tables {
        let Some(own) = table.columns.clone() else { continue };
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
                table.columns = Some(names.clone());
                let remark = format!("its columns are in another order than those of {first_text}, and are reordered");
                reader.observer.remark(&format!("{text}: {remark}"));
                table.remarks.push(remark);
            }
            _ => {
                let show = |names: &[String], text: &str| format!("{} ({text})", names.join(", "));
                let remedy = "choose columns that both have with `columns` a,b, or go by numbers with `columns` 1-";
                return Err(Error::mismatch(
                    Field::Other("list of columns".into()),
                    show(names, first_text),
                    show(&own, text),
                    remedy,
                ));
            }
        }
    }
    Ok(())
}

/// Adds to the fault of a file that is not pictures what could be read as points.
pub(super) fn naming_formats(fault: Error) -> Error {
    match fault.file_path().is_some_and(Path::is_file) {
        true => fault.advising(FORMATS),
        false => fault,
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
            assert!(is_points(name), "{name}");
        }
        for name in ["a.png", "a", "a.idx3-ubyte.gz", "mnist:test", "a.csv:c", "-a"] {
            assert!(!is_points(name), "{name}");
        }
        let named = Named::parse("d/a.csv:time, s=1:30=x").unwrap();
        assert_eq!(named.group, Some(("time, s".into(), "1:30=x".into())));
    }
}
