//! The lines of a text of points: where they begin, how fields are separated, and whether the first is a header.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use ::csv::{ByteRecord, ReaderBuilder, Trim};

use super::header::{Fault, Kinds, Line, Plan};
use super::read::{Refused, Remedy};
use crate::{Error, Result, io as files};

/// How fields are separated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Tab,
    /// By what the first line shows.
    Shown,
}

/// Bytes from which the form of a file is told, and as many more as its first two lines need.
pub(super) const HEAD: u64 = 1 << 20;

/// A text file whose separator is known.
pub(super) struct Text {
    path: PathBuf,
    /// Bytes before the first line that counts: a byte order mark, or Excel's `sep=;`.
    skipped: u64,
    /// Lines of these bytes, for the count.
    skipped_lines: usize,
    pub(super) delimiter: u8,
    /// Whether runs of blanks separate; they are turned into the delimiter.
    pub(super) blanks: bool,
}

impl Text {
    pub(super) fn open(path: &Path, separator: Separator) -> Result<Self> {
        let (reader, _) = files::open(path)?;
        let mut start = Vec::new();
        reader.take(HEAD).read_to_end(&mut start).map_err(|e| files::read_error(path, e))?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(Error::format(path, "is text in UTF-16: save it as UTF-8 (in Excel, CSV UTF-8)"));
        }
        let mut skipped = if start.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let (mut skipped_lines, mut told) = (0, None);
        let line = start[skipped..].split(|&b| b == b'\n').next().unwrap_or_default();
        if let [b's' | b'S', b'e' | b'E', b'p' | b'P', b'=', delimiter @ (b',' | b';' | b'\t')] = line.trim_ascii_end()
        {
            told = Some(*delimiter);
            skipped += line.len() + 1;
            skipped_lines = 1;
        }
        let lines = || {
            let lines = start.get(skipped..).unwrap_or_default().split(|&b| b == b'\n');
            lines.filter(|line| !line.trim_ascii().is_empty() && !line.starts_with(b"#"))
        };
        let has = |line: &[u8], wanted: &[u8]| outside_quotes(line).any(|b| wanted.contains(&b));
        let first = lines().next().unwrap_or_default();
        let shown = b"\t;,".iter().copied().find(|b| has(first, &[*b]));
        let (delimiter, blanks) = match (separator, told, shown) {
            (Separator::Tab, ..) => (b'\t', false),
            (_, Some(delimiter), _) | (_, None, Some(delimiter)) => (delimiter, false),
            _ => {
                // A header of one name may have blanks: what is below it tells.
                let below = lines().nth(1).unwrap_or(first).trim_ascii();
                match has(below, b" \t") && !has(below, b",;") {
                    true => (b'\t', true),
                    false => (b',', false),
                }
            }
        };
        Ok(Self { path: path.into(), skipped: skipped as u64, skipped_lines, delimiter, blanks })
    }

    /// The text from the first line that counts on.
    pub(super) fn stream(&self) -> Result<Box<dyn Read>> {
        let (mut reader, _) = files::open(&self.path)?;
        io::copy(&mut (&mut reader).take(self.skipped), &mut io::sink())
            .map_err(|e| files::read_error(&self.path, e))?;
        Ok(match self.blanks {
            true => Box::new(Blanks { inner: reader, line: Cursor::new(Vec::new()) }),
            false => Box::new(reader),
        })
    }

    /// The beginning of the text, with two whole lines of fields if it has them.
    pub(super) fn head(&self) -> Result<Vec<u8>> {
        let (mut stream, mut head) = (self.stream()?, Vec::new());
        let counts = |line: &&[u8]| line.ends_with(b"\n") && !line.starts_with(b"#") && !line.trim_ascii().is_empty();
        loop {
            // Twice as much each time, so that looking through it again costs little.
            let more = HEAD.max(head.len() as u64);
            let n = stream.by_ref().take(more).read_to_end(&mut head);
            let is_whole = n.map_err(|e| files::read_error(&self.path, e))? < more as usize;
            if is_whole || head.split_inclusive(|&b| b == b'\n').filter(counts).nth(1).is_some() {
                return Ok(head);
            }
        }
    }

    pub(super) fn records<R: Read>(&self, reader: R) -> ::csv::Reader<R> {
        ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .comment(Some(b'#'))
            .buffer_capacity(1 << 16)
            .from_reader(reader)
    }

    /// Reads the next record; whether there was one.
    pub(super) fn next<R: Read>(&self, records: &mut ::csv::Reader<R>, record: &mut ByteRecord) -> Result<bool> {
        records.read_byte_record(record).map_err(|e| files::read_error(&self.path, e.into()))
    }

    /// The refusal of this file.
    pub(super) fn refused(&self, (problem, remedy): Fault) -> Refused {
        Refused { error: Error::format(&self.path, problem), remedy }
    }

    /// The first two lines that are not blank or comments.
    pub(super) fn first_lines(&self, head: &[u8]) -> (Option<Line>, Option<Line>) {
        let mut records = self.records(head);
        let mut next = || {
            let mut record = ByteRecord::new();
            if !matches!(records.read_byte_record(&mut record), Ok(true)) {
                return None;
            }
            let start = record.position().map_or(0, |p| p.byte() as usize).min(head.len());
            let fields: Vec<String> = record.iter().map(|f| String::from_utf8_lossy(f).into_owned()).collect();
            let mut quoted = quoted_fields(&head[start..], self.delimiter);
            quoted.resize(fields.len(), false);
            Some(Line { fields, quoted })
        };
        (next(), next())
    }

    /// The last comment before the first line, which may name the columns, as NumPy's `savetxt` writes them.
    pub(super) fn comment(&self, head: &[u8]) -> Option<Line> {
        let lines = head.split(|&b| b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
        let comment = lines.take_while(|line| line.starts_with(b"#")).last()?;
        let text = String::from_utf8_lossy(comment).trim_start_matches('#').to_string();
        let separator = char::from(self.delimiter);
        let fields: Vec<String> =
            text.split(separator).map(|f| f.trim().to_string()).filter(|f| !self.blanks || !f.is_empty()).collect();
        // Numbers and words are a comment for people, such as the size of the table or "run 1, seed three".
        let is_name = |f: &String| !f.is_empty() && !f.contains(char::is_whitespace) && parse(f.as_bytes()).is_none();
        fields.iter().all(is_name).then(|| Line { quoted: vec![false; fields.len()], fields })
    }

    /// Whether a first line of numbers is a header, by all lines below it but for a column of `labels`; the plan then has its
    /// numbers for names.
    pub(super) fn decide_header(
        &self,
        first: &Line,
        plan: &mut Plan,
        labels: Option<usize>,
    ) -> std::result::Result<(), Refused> {
        let Some(numbers) = plan.numbers else { return Ok(()) };
        let columns: Vec<usize> = (0..plan.d - usize::from(plan.trailing)).filter(|&i| Some(i) != labels).collect();
        let mut records = self.records(self.stream()?);
        let (mut kinds, mut record, mut is_first) = (Kinds::default(), ByteRecord::new(), true);
        while self.next(&mut records, &mut record)? {
            // Lines of another length are faults, told where they are read.
            if std::mem::take(&mut is_first) || record.len() != plan.d {
                continue;
            }
            let is_decimal = |&column: &usize| record[column].iter().any(|b| b".eE".contains(b));
            kinds.lines += 1;
            kinds.decimal += usize::from(columns.iter().any(&is_decimal));
            kinds.all_decimal += usize::from(columns.iter().all(is_decimal));
        }
        match numbers.is_header(plan.d, kinds) {
            Some(false) => Ok(()),
            Some(true) => {
                let remark = format!("the first line (0, 1, ..., {}) is taken for a header", plan.d - 1);
                plan.remarks.push(remark);
                plan.names = Some(first.fields.clone());
                plan.skip_first = true;
                Ok(())
            }
            None => {
                let shown = match &first.fields[..] {
                    [a, b, .., z] if first.fields.len() > 3 => format!("{a}, {b}, ..., {z}"),
                    fields => fields.join(", "),
                };
                let fault = format!(
                    "its first line ({shown}) may be a point, or a header whose names are numbers: say whether it is a header"
                );
                Err(self.refused((fault, Some(Remedy::Header))))
            }
        }
    }

    /// The line, counted from 1, of the record at or after `byte`. The csv crate's own count does not tell blank lines
    /// before a record from the record, so the place is looked up, once, when there is a fault to report.
    pub(super) fn line_at(&self, byte: u64) -> usize {
        let Ok(reader) = self.stream() else { return 0 };
        let (mut newlines, mut is_comment, mut is_start) = (0, false, true);
        for (at, b) in (0..).zip(BufReader::new(reader).bytes().map_while(std::result::Result::ok)) {
            is_comment = if is_start { b == b'#' } else { is_comment };
            if at >= byte && b != b'\n' && b != b'\r' && !is_comment {
                break;
            }
            is_start = b == b'\n';
            newlines += usize::from(is_start);
        }
        newlines + 1 + self.skipped_lines
    }
}

/// The bytes of a line that are not in quotes.
fn outside_quotes(line: &[u8]) -> impl Iterator<Item = u8> {
    let mut inside = false;
    line.iter().copied().filter(move |b| {
        inside ^= *b == b'"';
        !inside
    })
}

/// Which fields of the record at the start of `text` begin with a quote. Blank lines and comments before it are passed.
fn quoted_fields(mut text: &[u8], delimiter: u8) -> Vec<bool> {
    loop {
        let start = text.iter().position(|b| !matches!(b, b'\n' | b'\r')).unwrap_or(text.len());
        text = &text[start..];
        if !text.starts_with(b"#") {
            break;
        }
        let end = text.iter().position(|b| *b == b'\n').unwrap_or(text.len());
        text = &text[end..];
    }
    let (mut quoted, mut is_inside, mut is_start) = (vec![false], false, true);
    for &b in text {
        match b {
            b'"' => {
                if is_start && let Some(last) = quoted.last_mut() {
                    *last = true;
                }
                is_inside = !is_inside;
                is_start = false;
            }
            b'\n' if !is_inside => break,
            _ if b == delimiter && !is_inside => {
                quoted.push(false);
                is_start = true;
            }
            _ => is_start &= b == b' ',
        }
    }
    quoted
}

/// Text whose runs of blanks, but in quotes, are one tab each.
struct Blanks<R> {
    inner: R,
    line: Cursor<Vec<u8>>,
}

impl<R: BufRead> Read for Blanks<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = self.line.read(out)?;
            if n > 0 || out.is_empty() {
                return Ok(n);
            }
            let mut line = Vec::new();
            if self.inner.read_until(b'\n', &mut line)? == 0 {
                return Ok(0);
            }
            let mut joined = Vec::with_capacity(line.len());
            let (mut is_inside, mut is_blank) = (false, false);
            for &b in line.trim_ascii() {
                is_inside ^= b == b'"';
                let blank = !is_inside && matches!(b, b' ' | b'\t');
                if !blank {
                    joined.push(b);
                } else if !is_blank {
                    joined.push(b'\t');
                }
                is_blank = blank;
            }
            joined.push(b'\n');
            self.line = Cursor::new(joined);
        }
    }
}

pub(super) fn parse(field: &[u8]) -> Option<f64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}
