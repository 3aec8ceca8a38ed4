//! Printing: data to standard output, everything else to standard error.

use crate::arguments::Global;
use crate::ending::{Ending, is_folder_name};
use kme::internal::io::Wanted;
use kme::{Action, Error, Result};
use serde_json::{Map, Value};
use std::fmt::Display;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Prints `text`, or with `--json` the object `json` with the version and the seed added.
///
/// # Errors
/// When standard output cannot be written, except that a reader who has seen enough (a closed pipe) is not an error.
pub(crate) fn print(global: &Global, text: &str, json: Map<String, Value>) -> Result<()> {
    match global.json {
        true => print_text(&json_text(global, json)),
        false => print_text(text),
    }
}

/// The object of `--json`: `json` with the version and the seed added.
pub(crate) fn json_text(global: &Global, mut json: Map<String, Value>) -> String {
    json.entry("seed").or_insert_with(|| global.seed().into());
    json.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    Value::Object(json).to_string()
}

/// Prints `text` whatever the flags.
///
/// # Errors
/// As [`print`].
pub(crate) fn print_text(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{}", text.trim_end()).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() != ErrorKind::BrokenPipe => Err(Error::io("standard output", Action::Write, fault)),
        _ => Ok(()),
    }
}

/// A line on standard error. Where nobody reads it any more (a closed terminal, `2>&1 | head -1`) it is dropped: what the
/// command is for goes on.
pub(crate) fn tell(text: impl Display) {
    // In one piece, so that lines of several threads do not mix.
    let line = format!("{text}\n");
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// A remark for people, on standard error.
pub(crate) fn remark(global: &Global, text: impl Display) {
    if !global.quiet {
        tell(text);
    }
}

/// What `--verbose` tells, on standard error.
pub(crate) fn detail(global: &Global, text: impl Display) {
    if global.verbose {
        remark(global, text);
    }
}

/// The fields of a JSON object, from `json!({ ... })`.
pub(crate) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_string(), other)]),
    }
}

/// Whether a file can be written at `path`, as far as that can be told before there is something to write: so that a
/// long computation does not end in an error that could have been foreseen.
///
/// # Errors
/// When `path` is a folder, write-protected or `-`, or no file can be made in its folder.
pub(crate) fn check_place(path: &Path) -> Result<()> {
    check_named(path)?;
    kme::internal::io::check(path, Wanted::File)
}

/// Whether a folder for `what` can be made at `path`, which is none yet or is empty.
///
/// # Errors
/// When it cannot, or the name looks like that of a file: see [`is_folder_name`].
pub(crate) fn check_new_folder(path: &Path, what: &str) -> Result<()> {
    check_named(path)?;
    if !is_folder_name(path) {
        let allowed = format!("{what}, or a folder; for a new folder of this name add / at the end");
        return Err(Error::parameter("output", path.display(), allowed));
    }
    kme::internal::io::check(path, Wanted::Folder)
}

/// Refuses `-`, which elsewhere stands for standard output, and nothing at all.
fn check_named(path: &Path) -> Result<()> {
    match path.as_os_str().as_encoded_bytes() {
        b"-" | b"" => {
            let allowed = "a file name: kme does not write these to standard output. For a file called -, write ./-";
            Err(Error::parameter("output", path.display(), allowed))
        }
        _ => Ok(()),
    }
}

/// Whether the name of an output ends as it must to be recognised later; in upper case too.
///
/// # Errors
/// When it does not.
pub(crate) fn check_ending(path: &Path, ending: &str) -> Result<()> {
    match has_ending(path, ending) {
        true => Ok(()),
        false => Err(Error::parameter("output", path.display(), format!("a name that ends in .{ending}"))),
    }
}

/// Whether a name ends in `.ending`, in upper or lower case.
pub(crate) fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending))
}

/// The name of picture `i` of `n` in a folder: its number, with as many digits as the last one's.
pub(crate) fn numbered(i: usize, n: usize) -> String {
    format!("{i:0digits$}.png", digits = (n.max(1) - 1).to_string().len())
}

/// A path in a JSON object, whose text is Unicode: what is none stands there as the replacement character.
pub(crate) fn name(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A number with the name of what is counted, whose plural is regular.
pub(crate) fn counted(n: impl TryInto<u64>, name: &str) -> String {
    let n = n.try_into().unwrap_or(u64::MAX);
    format!("{n} {name}{}", if n == 1 { "" } else { "s" })
}

/// Rows as lines whose columns are aligned: numbers to the right, everything else to the left.
pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |j: usize| rows.iter().filter_map(|row| row.get(j)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(j, (cell, &width))| {
            let is_number = |cell: &String| cell.parse::<f64>().is_ok();
            let right = rows.len() > 1 && rows[1..].iter().filter_map(|row| row.get(j)).all(is_number);
            if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    Text,
    Csv,
    #[value(alias = "md")]
    Markdown,
    Json,
}

impl Format {
    /// That of a file of this name.
    ///
    /// # Errors
    /// When the ending is none of those of tables.
    pub(crate) fn of_file(path: &Path) -> Result<Self> {
        let among = [Ending::Txt, Ending::Csv, Ending::Markdown, Ending::Json];
        Ok(match Ending::of(path, &among, "a name that ends in .csv, .md, .json or .txt")? {
            Ending::Csv => Self::Csv,
            Ending::Markdown => Self::Markdown,
            Ending::Json => Self::Json,
            _ => Self::Text,
        })
    }
}

/// A table in every form.
pub(crate) struct Table {
    pub text: String,
    /// The first row is the header.
    pub csv: Vec<Vec<String>>,
    pub markdown: Vec<Vec<String>>,
    /// Lines below the table in Markdown.
    pub notes: String,
    pub json: Map<String, Value>,
}

impl Table {
    fn written(&self, format: Format, global: &Global) -> String {
        match format {
            Format::Text => self.text.clone(),
            Format::Json => json_text(global, self.json.clone()),
            Format::Csv => separated(&self.csv, b','),
            Format::Markdown => format!("{}\n{}", markdown(&self.markdown), self.notes),
        }
    }

    /// Prints the table in the form that was asked for, and writes it to `output` in that of its name.
    ///
    /// # Errors
    /// When the file or standard output cannot be written.
    pub(crate) fn deliver(&self, format: Option<Format>, output: Option<&Path>, global: &Global) -> Result<()> {
        if let Some(path) = output {
            let text = self.written(Format::of_file(path)?, global);
            kme::internal::io::write_atomically(path, |out| writeln!(out, "{}", text.trim_end()))?;
        }
        print_text(&self.written(printed(format, global)?, global))
    }
}

/// The form in which a table is printed.
///
/// # Errors
/// When two forms are asked for.
pub(crate) fn printed(format: Option<Format>, global: &Global) -> Result<Format> {
    match (format, global.json) {
        (Some(format), true) if format != Format::Json => Err(Error::parameter(
            "format",
            format!("{format:?}").to_lowercase(),
            "json with `json`; leave out one of the two",
        )),
        (_, true) => Ok(Format::Json),
        (format, false) => Ok(format.unwrap_or(Format::Text)),
    }
}

/// Rows as text with this separator; a cell that holds it, a quote or the end of a line stands in quotes.
pub(crate) fn separated(rows: impl IntoIterator<Item = impl AsRef<[String]>>, separator: u8) -> String {
    let mut writer = csv::WriterBuilder::new().delimiter(separator).flexible(true).from_writer(Vec::new());
    for row in rows {
        writer.write_record(row.as_ref()).expect("memory takes every row");
    }
    String::from_utf8(writer.into_inner().expect("memory takes every row")).expect("cells are text")
}

/// Rows as a table of Markdown, the first being the header; columns of numbers to the right.
pub(crate) fn markdown(rows: &[Vec<String>]) -> String {
    let Some((header, body)) = rows.split_first() else { return String::new() };
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let escaped =
        |row: &[String]| row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect::<Vec<_>>();
    let is_number =
        |cell: &String| cell.starts_with(|c: char| c.is_ascii_digit() || "-(".contains(c)) || cell.is_empty();
    let rule = (0..header.len()).map(|j| match j > 0 && body.iter().filter_map(|row| row.get(j)).all(is_number) {
        true => "---:".to_string(),
        false => "---".to_string(),
    });
    let mut text = line(escaped(header)) + &line(rule.collect());
    for row in body {
        let mut cells = escaped(row);
        cells.resize(header.len(), String::new());
        text.push_str(&line(cells));
    }
    text
}

/// A number with all its digits, as a power of ten where it would be a row of zeros.
pub(crate) fn exact(x: f64) -> String {
    if x == 0.0 || (1e-5..1e16).contains(&x.abs()) { x.to_string() } else { format!("{x:e}") }
}

/// `value ± error` with two digits of the error and the value to the same place.
pub(crate) fn with_error(value: f64, error: Option<f64>) -> String {
    let exponent = |x: f64| if x == 0.0 || !x.is_finite() { 0 } else { x.abs().log10().floor() as i32 };
    let size = exponent(value.abs().max(error.unwrap_or(0.0)));
    let Some(error) = error else {
        return if (-4..6).contains(&size) {
            format!("{value:.*}", (5 - size).clamp(0, 9) as usize)
        } else {
            format!("{value:.5e}")
        };
    };
    if error == 0.0 || (value != 0.0 && error < 1e-9 * value.abs()) {
        let error = if error == 0.0 { "0".into() } else { format!("{error:.1e}") };
        return format!("{} ± {error}", with_error(value, None));
    }
    // Digits after the point that show two digits of the error.
    let digits = |error: f64| (1 - exponent(error)).clamp(0, 15) as usize;
    if (-4..6).contains(&size) {
        let digits = digits(error);
        return format!("{value:.digits$} ± {error:.digits$}");
    }
    let unit = 10_f64.powi(size);
    let digits = digits(error / unit);
    format!("({:.digits$} ± {:.digits$})e{size}", value / unit, error / unit)
}

/// A feature map with how pictures come into it, from its name and protocol.
pub(crate) fn features(name: &str, protocol: &str) -> String {
    let mut parts = protocol.split(", ");
    match (parts.next().filter(|size| !size.is_empty()), parts.next()) {
        (Some(size), Some(resize)) => format!("{name} (pictures as {size}, {resize})"),
        _ => name.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_as_far_as_they_are_known() {
        for (value, error, text) in [
            (0.0123456, Some(0.00123), "0.0123 ± 0.0012"),
            (-0.00012, Some(0.0034), "-0.0001 ± 0.0034"),
            (123.456, Some(1.5), "123.5 ± 1.5"),
            (123456.0, Some(420.0), "123456 ± 420"),
            (1.5e-7, Some(2.5e-9), "(1.500 ± 0.025)e-7"),
            (3e9, Some(1e7), "(3.000 ± 0.010)e9"),
            (0.5, None, "0.500000"),
            // Rounding, and nothing at all.
            (0.5, Some(3e-17), "0.500000 ± 3.0e-17"),
            (0.5, Some(0.0), "0.500000 ± 0"),
            (0.0, Some(0.0), "0.00000 ± 0"),
            (0.0, Some(2.5e-17), "(0.0 ± 2.5)e-17"),
            (1.9e37, Some(2e35), "(1.900 ± 0.020)e37"),
            (0.0, None, "0.00000"),
            (2e-9, None, "2.00000e-9"),
        ] {
            assert_eq!(with_error(value, error), text);
        }
    }

    #[test]
    fn tables_are_written_for_other_programs() {
        let rows = [["name", "kid"], ["a, \"b\"", "0.1"], ["c|d", "-2 ± 1"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(separated(&rows, b','), "name,kid\n\"a, \"\"b\"\"\",0.1\nc|d,-2 ± 1\n");
        assert_eq!(markdown(&rows), "| name | kid |\n| --- | ---: |\n| a, \"b\" | 0.1 |\n| c\\|d | -2 ± 1 |\n");
    }

    #[test]
    fn names_tell_folders_from_files() {
        for (name, is_folder) in [
            ("samples", true),
            ("out/samples", true),
            ("run-1.5", true),
            (".hidden", true),
            ("walk.mp4", false),
            ("pics.zip", false),
            ("a.b/c.webm", false),
            ("pics.zip/", true),
            ("a.b/c", true),
        ] {
            assert_eq!(is_folder_name(Path::new(name)), is_folder, "{name}");
        }
        for name in ["-", ""] {
            assert!(check_place(Path::new(name)).is_err() && check_new_folder(Path::new(name), "x").is_err());
        }
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!([0, 1, 2].map(|n: u64| counted(n, "picture")), ["0 pictures", "1 picture", "2 pictures"]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [["name", "n"], ["a", "10"], ["long", "7"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(aligned(&rows), "name   n\na     10\nlong   7\n");
    }
}
