//! Points as text: one point a line, its numbers separated by commas, semicolons or tabs.

use std::io::{BufRead, Read};
use std::path::Path;

use ::csv::{ByteRecord, Position, ReaderBuilder, Trim};

use super::array;
use super::{Data, Points};
use crate::{Error, Result, io};

/// Reads the sample in the text file at `path` in double precision.
///
/// The first line is a header, and skipped, when none of its fields is a number. The separator is the tab in `.tsv`;
/// elsewhere the first line shows it: a tab if there is one, else a semicolon if there is one, else the comma.
pub(super) fn read(path: &Path, tabs: bool) -> Result<Points> {
    let (mut reader, _) = io::open(path)?;
    let start = reader.fill_buf().map_err(|e| io::read_error(path, &e))?;
    let first_line = start.split(|&b| b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let delimiter = match tabs {
        true => b'\t',
        false => b"\t;".iter().copied().find(|b| first_line.contains(b)).unwrap_or(b','),
    };
    read_rows(reader, delimiter).map_err(|(byte, fault)| match byte {
        Some(byte) => Error::file(path, format!("line {}{fault}", line_at(path, byte))),
        None => Error::file(path, fault),
    })
}

/// The line, counted from 1, of the record at or after `byte`. The csv crate's own count does not tell blank lines
/// before a record from the record, so the place is looked up, once, when there is a fault to report.
fn line_at(path: &Path, byte: u64) -> usize {
    let Ok((reader, _)) = io::open(path) else { return 0 };
    let mut newlines = 0;
    for (at, b) in (0..).zip(reader.bytes().map_while(std::result::Result::ok)) {
        if at >= byte && b != b'\n' && b != b'\r' {
            break;
        }
        newlines += usize::from(b == b'\n');
    }
    newlines + 1
}

/// Where in the file, if anywhere, and what.
type Fault = (Option<u64>, String);

fn read_rows(reader: impl BufRead, delimiter: u8) -> std::result::Result<Points, Fault> {
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .buffer_capacity(1 << 16)
        .from_reader(reader);
    let (mut numbers, mut d, mut is_first) = (Vec::new(), 0, true);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|e| (None, e.to_string()))? {
        if std::mem::take(&mut is_first) && record.iter().all(|f| parse(f).is_none()) {
            continue;
        }
        let fault = |text| (record.position().map(Position::byte), text);
        if d == 0 {
            d = record.len();
        }
        if record.len() != d {
            return Err(fault(format!(" has {} fields, the lines before have {d}", record.len())));
        }
        for (column, field) in (1..).zip(record.iter()) {
            match parse(field) {
                Some(x) if x.is_finite() => numbers.push(x),
                Some(x) => return Err(fault(format!(", field {column} is {x}: drop or repair that line"))),
                None if field.is_empty() => {
                    return Err(fault(format!(", field {column} is empty: drop or repair that line")));
                }
                None => {
                    let text: String = String::from_utf8_lossy(field).chars().take(40).collect();
                    return Err(fault(format!(
                        ", field {column} is '{}', which is no number (decimals take a point; fields are separated \
                         by '{}' here)",
                        text.escape_debug(),
                        delimiter.escape_ascii()
                    )));
                }
            }
        }
    }
    if d == 0 {
        return Err((None, "holds no points: there is no line of numbers".into()));
    }
    array::sample(numbers.len() / d, d, Data::F64(numbers)).map_err(|e| (None, e))
}

fn parse(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> std::result::Result<Points, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, text).unwrap();
        read(&path, false).map_err(|e| e.to_string().rsplit_once("x.csv: ").unwrap().1.to_string())
    }

    fn points(n: usize, d: usize, numbers: &[f64]) -> std::result::Result<Points, String> {
        Ok(Points::new(n, d, Data::F64(numbers.to_vec())).unwrap())
    }

    #[test]
    fn headers_separators_and_line_ends_are_found() {
        let expected = points(2, 2, &[1.0, -0.25, 3e-5, 4.0]);
        assert_eq!(rows("1,-0.25\n3e-5,4\n"), expected);
        assert_eq!(rows("a,b\r\n1,-.25\r\n3e-5,4"), expected);
        assert_eq!(rows("\u{feff}1 ; -0.25\n\n3E-5; 4\n\n"), expected);
        assert_eq!(rows("\n\"x, metres\"\ty\n1\t-0.25\n3e-5\t\"4\""), expected);
        assert_eq!(rows("7\n8\n9\n"), points(3, 1, &[7.0, 8.0, 9.0]));
    }

    #[test]
    fn faults_name_line_and_field() {
        for (text, expected) in [
            ("1,2\n3\n", "line 2 has 1 fields, the lines before have 2"),
            ("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 fields"),
            ("1,2\nx,4\n", "line 2, field 1 is 'x', which is no number"),
            ("1,x\n3,4\n", "line 1, field 2 is 'x'"),
            ("1;2,5\n", "line 1, field 2 is '2,5', which is no number (decimals take a point"),
            ("1,2\n3,nan\n", "line 2, field 2 is NaN"),
            ("1,2\n-inf,4\n", "line 2, field 1 is -inf"),
            ("1,2\n3,\n", "line 2, field 2 is empty"),
            ("a,b\n", "no points"),
            ("\n\n", "no points"),
        ] {
            let error = rows(text).unwrap_err();
            assert!(error.starts_with(expected) || error.contains(expected), "{text:?}: {error}");
        }
    }
}
