//! Points as text: one point a line, its numbers separated by commas, semicolons, tabs or blanks.

use std::collections::HashSet;
use std::path::Path;

use ::csv::{ByteRecord, Position};

use super::Data;
use super::array;
use super::choice::{listed, shown};
use super::header::{CHOOSE, Fault, Plan, RowNames, is_id_name, is_index_name};
use super::read::{Loaded, Reading, Refused, Remedy};
use super::text::{Separator, Text, parse};

const NO_NUMBERS: &str = "holds no points: there is no line of numbers";

/// Reads the sample in the text file at `path` in double precision.
pub(super) fn read(path: &Path, separator: Separator, reading: &Reading) -> std::result::Result<Loaded, Refused> {
    let text = Text::open(path, separator)?;
    let head = text.head()?;
    let refused = |fault: Fault| text.refused(fault);
    let (first, second) = text.first_lines(&head);
    let Some(first) = first else {
        return Err(refused((NO_NUMBERS.into(), None)));
    };
    let comment = text.comment(&head);
    let mut plan = Plan::of(&first, second.as_ref(), comment.as_ref(), reading).map_err(refused)?;
    let labels = plan.group.as_ref().map(|(column, _)| *column);
    text.decide_header(&first, &mut plan, labels)?;
    let mut rows = Rows::new(&text, plan);
    rows.read()?;
    rows.finish().map_err(refused)
}

/// The values in a column, each once, in the order in which they come first; at most `most`.
pub(super) fn groups(
    path: &Path,
    separator: Separator,
    column: &str,
    reading: &Reading,
    most: usize,
) -> std::result::Result<Vec<String>, Refused> {
    let text = Text::open(path, separator)?;
    let head = text.head()?;
    let fault = |fault: String| text.refused((fault, None));
    let (Some(first), second) = text.first_lines(&head) else { return Err(fault("holds no lines".into())) };
    // The column alone: what is in the others does not matter here.
    let alone = Reading { columns: vec![column.into()], ..reading.clone() };
    let plan = Plan::of(&first, second.as_ref(), text.comment(&head).as_ref(), &alone);
    let mut plan = plan.map_err(|fault| text.refused(fault))?;
    let place = plan.columns[0];
    text.decide_header(&first, &mut plan, Some(place))?;
    let mut records = text.records(text.stream()?);
    let (mut values, mut record, mut is_first) = (Vec::<String>::new(), ByteRecord::new(), true);
    while text.next(&mut records, &mut record)? {
        if std::mem::take(&mut is_first) && plan.skip_first {
            continue;
        }
        let value = String::from_utf8_lossy(record.get(place).unwrap_or_default());
        if value.is_empty() {
            return Err(fault(format!("column '{column}' is empty in some rows: fill it or drop them")));
        }
        if !values.iter().any(|known| *known == value) {
            values.push(value.into_owned());
        }
        if values.len() > most {
            return Err(fault(format!("column '{column}' has more than {most} values: it does not tell groups apart")));
        }
    }
    Ok(values)
}

/// Where in the file, if anywhere, and what.
type Found = (Option<u64>, String, Option<Remedy>);

/// The rows that were read, with what is to be found out of all of them.
struct Rows<'a> {
    text: &'a Text,
    plan: Plan,
    numbers: Vec<f64>,
    /// Values of a column of row names that must hold what they seem to.
    names: Vec<String>,
    /// Values of the column of groups that are not the one that is asked for.
    other_groups: Vec<String>,
    /// Lines with a missing value, and what the first of them was.
    missing: (usize, Option<Found>),
    lines: usize,
}

impl<'a> Rows<'a> {
    fn new(text: &'a Text, plan: Plan) -> Self {
        let (numbers, names, other_groups) = (Vec::new(), Vec::new(), Vec::new());
        Self { text, plan, numbers, names, other_groups, missing: (0, None), lines: 0 }
    }

    fn read(&mut self) -> std::result::Result<(), Refused> {
        let text = self.text;
        let refused = |(byte, fault, remedy): Found| match byte {
            Some(byte) => text.refused((format!("line {}{fault}", text.line_at(byte)), remedy)),
            None => text.refused((fault, remedy)),
        };
        let mut records = text.records(text.stream()?);
        let mut record = ByteRecord::new();
        let mut is_first = true;
        while text.next(&mut records, &mut record)? {
            if !(std::mem::take(&mut is_first) && self.plan.skip_first) {
                self.add(&record).map_err(refused)?;
            }
        }
        if let (lines, Some((byte, text, remedy))) = std::mem::take(&mut self.missing) {
            let of = self.lines;
            let text = format!("{text}; {lines} of {of} lines have missing values: drop or fill them");
            return Err(refused((byte, text, remedy)));
        }
        Ok(())
    }

    fn add(&mut self, record: &ByteRecord) -> std::result::Result<(), Found> {
        let plan = &self.plan;
        let fault = |text, remedy| (record.position().map(Position::byte), text, remedy);
        if record.len() != plan.d {
            let before = if plan.skip_first && self.lines == 0 { "the header has" } else { "the lines before have" };
            let fields = if record.len() == 1 { "field" } else { "fields" };
            let text = format!(" has {} {fields}, {before} {}", record.len(), plan.d);
            return Err(fault(text, None));
        }
        if let Some((column, value)) = &plan.group {
            let field = String::from_utf8_lossy(&record[*column]);
            // As text: 7 and 007 may be two labels, and `groups` lists them as two.
            if field != *value {
                if self.other_groups.len() < 100 && !self.other_groups.iter().any(|other| *other == field) {
                    self.other_groups.push(field.into_owned());
                }
                return Ok(());
            }
        }
        self.lines += 1;
        let field_of = |column: usize| match &plan.names {
            Some(_) => format!(", field {} ('{}')", column + 1, shown(plan.names.as_deref(), column)),
            None => format!(", field {}", column + 1),
        };
        if plan.trailing && !record[plan.d - 1].is_empty() {
            let text = format!("{} is not empty as in the lines before", field_of(plan.d - 1));
            return Err(fault(text, Some(Remedy::Columns)));
        }
        if let Some((column, RowNames::Counting | RowNames::Quoted)) = plan.row_names {
            self.names.push(String::from_utf8_lossy(&record[column]).into_owned());
        }
        let mut missing = None;
        for &column in &plan.columns {
            let field = &record[column];
            match parse(field) {
                Some(x) if x.is_finite() => self.numbers.push(x),
                Some(x) if x.is_nan() => missing = missing.or(Some((column, "NaN".to_string()))),
                Some(x) => {
                    return Err(fault(format!("{} is {x}: drop or repair that line", field_of(column)), None));
                }
                None if field.is_empty() => missing = missing.or(Some((column, "empty".to_string()))),
                None if is_missing(field) => {
                    let text = String::from_utf8_lossy(field).into_owned();
                    missing = missing.or(Some((column, format!("missing ({text})"))));
                }
                None => {
                    let text: String = String::from_utf8_lossy(field).chars().take(40).collect();
                    let separator = match self.text.blanks {
                        true => "blanks".to_string(),
                        false => format!("'{}'", self.text.delimiter.escape_ascii()),
                    };
                    let text = format!(
                        "{} is '{}', which is not a number (decimals take a point; fields are separated by {separator} \
                         here): repair it, or {CHOOSE}",
                        field_of(column),
                        text.escape_debug(),
                    );
                    return Err(fault(text, Some(Remedy::Group)));
                }
            }
        }
        if let Some((column, what)) = missing {
            let text = format!("{} is {what}", field_of(column));
            self.missing.0 += 1;
            self.missing.1.get_or_insert_with(|| fault(text, None));
            // Nothing is made of the numbers any more.
            self.numbers.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> std::result::Result<Loaded, Fault> {
        let d = self.plan.columns.len();
        if self.numbers.is_empty() {
            return Err(match &self.plan.group {
                Some((column, value)) if !self.other_groups.is_empty() => {
                    let column = shown(self.plan.names.as_deref(), *column);
                    let others = listed(&self.other_groups);
                    (format!("has no row whose column '{column}' holds '{value}'; it holds {others}"), None)
                }
                _ => (NO_NUMBERS.into(), None),
            });
        }
        self.check_row_names()?;
        if !self.plan.chosen && d > 1 {
            self.check_index()?;
        }
        let Self { plan: Plan { names, columns, mut remarks, .. }, numbers, .. } = self;
        let columns = names.map(|names| columns.iter().map(|&i| names[i].clone()).collect::<Vec<_>>());
        if let (Some(columns), false) = (&columns, remarks.is_empty()) {
            remarks.push(format!("columns that are read: {}", listed(columns)));
        }
        let points = array::sample(numbers.len() / d, d, Data::F64(numbers)).map_err(|e| (e, None))?;
        Ok(Loaded { points, columns, remarks })
    }

    /// Whether a column that was left out for row names holds such.
    fn check_row_names(&mut self) -> std::result::Result<(), Fault> {
        let Some((_, why)) = self.plan.row_names else { return Ok(()) };
        let holds = match why {
            RowNames::Unnamed => true,
            RowNames::Counting => {
                let numbers: Vec<f64> = self.names.iter().filter_map(|n| n.parse().ok()).collect();
                numbers.len() == self.names.len() && counts(numbers.into_iter())
            }
            RowNames::Quoted => self.names.iter().collect::<HashSet<_>>().len() == self.names.len(),
        };
        if !holds {
            let fault = match why {
                RowNames::Counting => format!(
                    "its header has {} {}, the lines below have {}, and the first column does not count the rows: name all \
                     columns",
                    self.plan.d - 1,
                    if self.plan.d == 2 { "field" } else { "fields" },
                    self.plan.d
                ),
                _ => format!("column 1 alone stands in quotes and holds text ('{}'): {CHOOSE}", self.names[0]),
            };
            return Err((fault, Some(Remedy::Group)));
        }
        let why = match why {
            RowNames::Unnamed => "has no name",
            RowNames::Counting => "has no name and counts the rows",
            RowNames::Quoted => "alone stands in quotes",
        };
        self.plan.remarks.push(format!("the first column {why}: left out as row names"));
        Ok(())
    }

    /// Whether the first coordinate is one, and does not number the rows.
    fn check_index(&mut self) -> std::result::Result<(), Fault> {
        let (d, place) = (self.plan.columns.len(), self.plan.columns[0]);
        let column = || self.numbers.iter().step_by(d).copied();
        if self.numbers.len() / d < 3 {
            return Ok(());
        }
        let (first, counts) = (self.numbers[0], counts(column()));
        let about = format!("({first}, {}, {}, ...)", first + 1.0, first + 2.0);
        let Some(name) = self.plan.names.as_ref().map(|names| names[place].clone()) else {
            let fault = format!("its first column counts the rows {about}: {CHOOSE}");
            return if counts { Err((fault, Some(Remedy::Columns))) } else { Ok(()) };
        };
        if counts && is_index_name(&name) {
            return Err((format!("column '{name}' counts the rows {about}: {CHOOSE}"), Some(Remedy::Columns)));
        }
        if is_id_name(&name) {
            let values: HashSet<u64> = column().map(f64::to_bits).collect();
            if column().all(|x| x.fract() == 0.0) && values.len() == self.numbers.len() / d {
                let fault = format!(
                    "column '{name}' holds a whole number of its own in every row, as names of rows do: {CHOOSE}"
                );
                return Err((fault, Some(Remedy::Columns)));
            }
        }
        if counts {
            self.plan
                .remarks
                .push(format!("column '{name}' counts up by one {about}: if it numbers the rows, leave it out"));
        }
        Ok(())
    }
}

/// Whether each number is one more than the one before.
fn counts(mut numbers: impl Iterator<Item = f64>) -> bool {
    let Some(first) = numbers.next() else { return false };
    first.fract() == 0.0 && numbers.zip(1..).all(|(x, i)| x == first + f64::from(i))
}

/// What stands in the place of a number that is missing.
fn is_missing(field: &[u8]) -> bool {
    let known = ["na", "n/a", "<na>", "#n/a", "null", "none", "?", "-", ".", "missing"];
    std::str::from_utf8(field).is_ok_and(|text| known.contains(&text.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::super::Points;
    use super::super::text::HEAD;
    use super::*;

    fn rows(text: &str) -> std::result::Result<Points, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, text).unwrap();
        let read = read(&path, Separator::Shown, &Reading::default()).map(|loaded| loaded.points);
        read.map_err(|e| e.error.to_string().rsplit_once("x.csv: ").unwrap().1.to_string())
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
            ("1,2\n3\n", "line 2 has 1 field, the lines before have 2"),
            ("a,b\n1,2\n\n3,4,5\n", "line 4 has 3 fields"),
            ("1,2\nx,4\n", "line 2, field 1 is 'x', which is not a number"),
            ("1,x\n3,4\n", "line 1, field 2 is 'x'"),
            ("1;2,5\n", "line 1, field 2 is '2,5', which is not a number (decimals take a point"),
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

    /// What is read of a text with settings: points, names, remarks.
    fn loaded(text: &str, extension: &str, reading: &Reading) -> std::result::Result<Loaded, (String, Option<Remedy>)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("x.{extension}"));
        std::fs::write(&path, text).unwrap();
        let fault =
            |e: Refused| (e.error.to_string().rsplit_once(&format!("x.{extension}: ")).unwrap().1.into(), e.remedy);
        Points::read_with(&path, reading).map_err(fault)
    }

    #[test]
    fn row_names_are_left_out_and_said() {
        let expected = Points::new(3, 2, Data::F64(vec![0.5, 1.0, 0.25, 2.0, 0.75, 4.0])).unwrap();
        for (extension, text) in [
            // pandas: to_csv(), to_csv() of what read_csv() read, an index of text, numbers as names, with tabs.
            ("csv", ",a,b\n0,0.5,1\n1,0.25,2\n2,0.75,4\n"),
            ("csv", ",a,b\n60,0.5,1\n17,0.25,2\n2,0.75,4\n"),
            ("csv", ",Unnamed: 0,a,b\n0,0,0.5,1\n1,1,0.25,2\n2,2,0.75,4\n"),
            ("csv", "Unnamed: 0.1,Unnamed: 0,a,b\n0,0,0.5,1\n1,1,0.25,2\n2,2,0.75,4\n"),
            ("csv", ",a,b\nx,0.5,1\ny,0.25,2\nx,0.75,4\n"),
            ("csv", ",0,1\n0,0.5,1\n1,0.25,2\n2,0.75,4\n"),
            ("tsv", "\ta\tb\n0\t0.5\t1\n1\t0.25\t2\n2\t0.75\t4\n"),
            ("csv", "\u{feff};a;b\r\n0;0.5;1\r\n1;0.25;2\r\n2;0.75;4\r\n"),
            // R: write.csv(), write.table() with its header one field short, col.names = FALSE, readr's name.
            ("csv", "\"\",\"a\",\"b\"\n\"1\",0.5,1\n\"2\",0.25,2\n\"3\",0.75,4\n"),
            ("txt", "\"a\" \"b\"\n\"1\" 0.5 1\n\"2\" 0.25 2\n\"3\" 0.75 4\n"),
            ("csv", "a,b\n1,0.5,1\n2,0.25,2\n3,0.75,4\n"),
            ("csv", "a,b\nx,0.5,1\ny,0.25,2\nz,0.75,4\n"),
            ("csv", "\"7\",0.5,1\n\"2\",0.25,2\n\"3\",0.75,4\n"),
            ("csv", "...1,a,b\n1,0.5,1\n2,0.25,2\n3,0.75,4\n"),
            ("csv", "sep=;\n;a;b\n1;0.5;1\n2;0.25;2\n3;0.75;4\n"),
        ] {
            let loaded = loaded(text, extension, &Reading::default()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!(loaded.points, expected, "{text}");
            assert!(loaded.remarks.iter().any(|r| r.contains("left out as row names")), "{text}: {:?}", loaded.remarks);
            assert!(loaded.columns.is_none_or(|c| c == ["a", "b"] || c == ["0", "1"]), "{text}");
        }
        // Nothing but such a column.
        assert_eq!(rows("\"\"\n1\n2\n"), points(2, 1, &[1.0, 2.0]));
    }

    #[test]
    fn columns_that_number_rows_are_not_points() {
        for (text, part) in [
            ("0,0.5\n1,0.25\n2,0.75\n", "first column counts the rows (0, 1, 2, ...)"),
            ("7,0.5\n8,0.25\n9,0.75\n", "first column counts the rows (7, 8, 9, ...)"),
            ("index,a\n0,0.5\n1,0.25\n2,0.75\n", "column 'index' counts the rows"),
            ("X,a\n1,0.5\n2,0.25\n3,0.75\n", "column 'X' counts the rows"),
            ("ID,a\n4711,0.5\n17,0.25\n3,0.75\n", "column 'ID' holds a whole number of its own"),
        ] {
            let (fault, remedy) = loaded(text, "csv", &Reading::default()).unwrap_err();
            assert!(fault.contains(part) && remedy == Some(Remedy::Columns), "{text}: {fault}");
            let all = Reading { columns: vec!["all".into()], ..Reading::default() };
            assert_eq!(loaded(text, "csv", &all).unwrap().points.dim(), 2, "{text}");
            let last = Reading { columns: vec!["2".into()], ..Reading::default() };
            assert_eq!(loaded(text, "csv", &last).unwrap().points.data(), &Data::F64(vec![0.5, 0.25, 0.75]), "{text}");
        }
        let time = loaded("t,a\n0,0.5\n1,0.25\n2,0.75\n", "csv", &Reading::default()).unwrap();
        assert!(
            time.points.dim() == 2 && time.remarks[0].contains("column 't' counts up by one"),
            "{:?}",
            time.remarks
        );
        for text in ["x,a\n3,0.5\n1,0.25\n2,0.75\n", "id,a\n1,0.5\n1,0.25\n2,0.75\n", "1,2\n2,4\n"] {
            assert_eq!(loaded(text, "csv", &Reading::default()).unwrap().remarks, [""; 0], "{text}");
        }
    }

    #[test]
    fn headers_of_numbers_are_taken_or_refused_but_never_points() {
        let header = |header| Reading { header, ..Reading::default() };
        let text = "0,1,2\n.5,.25,.75\n1,2.5,3\n";
        let read = loaded(text, "csv", &header(None)).unwrap();
        assert_eq!(read.points.data(), &Data::F64(vec![0.5, 0.25, 0.75, 1.0, 2.5, 3.0]));
        assert!(read.remarks[0].contains("(0, 1, ..., 2) is taken for a header"), "{:?}", read.remarks);
        assert_eq!(read.columns.unwrap(), ["0", "1", "2"]);
        assert_eq!(loaded(text, "csv", &header(Some(false))).unwrap().points.len(), 3);
        for text in [
            "0,1\n.5,.25\n.5,.25\n",
            "0\n.5\n.25\n",
            "0,1,2\n5,6,7\n5,6,7\n",
            "1,2,3\n.5,.2,1\n5,.6,7\n.5,.2,1\n.5,.2,1\n.5,.2,1\n",
            "2019,2020,2021\n1.5,2.5,3.5\n2.5,3.5,4.5\n",
            "2019,2020,2021\n1.5,2,3\n2.5,3,4\n3.5,4,5\n4.5,9,1\n1.5,2,3\n",
            "400,500,600\n.5,.2,.1\n5.,.6,.7\n.5,.2,.1\n.5,.2,.1\n.5,.2,.1\n",
        ] {
            let (fault, remedy) = loaded(text, "csv", &header(None)).unwrap_err();
            assert!(fault.contains("whether it is a header") && remedy == Some(Remedy::Header), "{text}: {fault}");
            let n = text.lines().count();
            assert_eq!(loaded(text, "csv", &header(Some(true))).unwrap().points.len(), n - 1, "{text}");
            assert_eq!(loaded(text, "csv", &header(Some(false))).unwrap().points.len(), n, "{text}");
        }
        for text in ["1,2,3\n4,5,6\n", "5,6,9\n1,2.5,3\n", "0\n1\n0\n", "0.0,1.0,2.0\n.5,.25,.75\n", "0,1,2\n"] {
            let read = loaded(text, "csv", &header(None)).unwrap();
            assert_eq!((read.points.len(), read.remarks.len()), (text.lines().count(), 0), "{text}");
        }
    }

    #[test]
    fn a_header_of_numbers_is_one_whatever_rows_are_chosen() {
        let text = "0,1,2\n.5,1.5,5\n.25,2.5,5\n.75,3.5,5\n.1,.2,6\n";
        let of = |value: &str| {
            let reading = Reading { rows: Some(("3".into(), value.into())), ..Reading::default() };
            loaded(text, "csv", &reading)
        };
        let five = of("5").unwrap();
        assert_eq!(five.points.data(), &Data::F64(vec![0.5, 1.5, 0.25, 2.5, 0.75, 3.5]));
        assert_eq!(five.columns.unwrap(), ["0", "1"]);
        // The header is in no group, whatever its numbers.
        assert!(of("2").unwrap_err().0.contains("it holds '5', '6'"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, text).unwrap();
        let values = groups(&path, Separator::Shown, "3", &Reading::default(), 9).map_err(|e| e.error.to_string());
        assert_eq!(values.unwrap(), ["5", "6"]);
    }

    #[test]
    fn lines_may_be_long() {
        let line = |x: f64| (0..200_000).map(|_| x.to_string()).collect::<Vec<_>>().join(",");
        let text = format!("{}\n{}\n{}\n", line(0.125), line(0.25), line(0.375));
        assert!(text.len() as u64 > 3 * HEAD);
        let points = rows(&text).unwrap();
        assert_eq!((points.len(), points.dim(), points.data().get(599_999)), (3, 200_000, 0.375));
    }

    #[test]
    fn columns_and_groups_are_chosen() {
        let text = "\"h, cm\",sex,w\n1,m,4\n2,f,5\n3,m,6\n";
        let reading = |columns: &[&str], rows: Option<(&str, &str)>| Reading {
            columns: columns.iter().map(|c| c.to_string()).collect(),
            rows: rows.map(|(column, value)| (column.into(), value.into())),
            ..Reading::default()
        };
        let numbers = |columns: &[&str], rows| {
            let read = loaded(text, "csv", &reading(columns, rows));
            read.map(|read| (read.points.into_data().into_f64(), read.columns.unwrap()))
        };
        let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(numbers(&["w", "h, cm"], None), Ok((vec![4.0, 1.0, 5.0, 2.0, 6.0, 3.0], names(&["w", "h, cm"]))));
        assert_eq!(numbers(&[], Some(("sex", "m"))), Ok((vec![1.0, 4.0, 3.0, 6.0], names(&["h, cm", "w"]))));
        assert_eq!(numbers(&["3"], Some(("2", "f"))), Ok((vec![5.0], names(&["w"]))));
        assert_eq!(numbers(&["h, cm"], Some(("w", "5"))), Ok((vec![2.0], names(&["h, cm"]))));
        let (fault, remedy) = numbers(&[], None).unwrap_err();
        assert!(fault.contains("line 2, field 2 ('sex') is 'm', which is not a number"), "{fault}");
        assert_eq!(remedy, Some(Remedy::Group));
        let (fault, _) = numbers(&[], Some(("sex", "x"))).unwrap_err();
        assert!(fault.contains("no row whose column 'sex' holds 'x'; it holds 'm', 'f'"), "{fault}");
        // As they are written: labels need not be numbers.
        let codes =
            |value| loaded("id,x\n007,1\n7,2\n007,3\n", "csv", &reading(&[], Some(("id", value)))).unwrap().points;
        assert_eq!(
            (codes("007").into_data().into_f64(), codes("7").into_data().into_f64()),
            (vec![1.0, 3.0], vec![2.0])
        );
        assert!(numbers(&["q"], None).unwrap_err().0.contains("its 3 columns are 'h, cm', 'sex', 'w'"));
        // A number in quotes is a label.
        let (fault, remedy) = loaded("a,g\n1,\"1\"\n2,\"2\"\n", "csv", &reading(&[], None)).unwrap_err();
        assert!(fault.contains("column g holds text (\"1\" in quotes") && remedy == Some(Remedy::Group), "{fault}");
    }

    #[test]
    fn other_ways_to_write_are_read_or_named() {
        let expected = Points::new(2, 2, Data::F64(vec![1.0, 2.0, 3.0, 4.5])).unwrap();
        for (extension, text) in [
            ("txt", "1.0 2.0\n3 4.5\n"),
            ("txt", "  1.0    2.0\n\t3  4.5  \n"),
            ("dat", "a b\n1.0\t2.0\n3\t4.5"),
            ("csv", "1.0 2.0\n3 4.5\n"),
            ("csv", "# a,b\n1,2\n# in between\n3,4.5\n"),
            ("csv", "a,b,\n1,2,\n3,4.5,\n"),
            ("csv", "a,b\n1,2,\n3,4.5,\n"),
            ("csv", "1,2,\n3,4.5,\n"),
            ("csv", "\"a; b\",c\n1,2\n3,4.5\n"),
            ("csv", "sep=,\r\na,b\r\n1,2\r\n3,4.5\r\n"),
        ] {
            let read = loaded(text, extension, &Reading::default()).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            assert_eq!(read.points, expected, "{text}");
        }
        let named = loaded("# a b\n1 2\n", "txt", &Reading::default()).unwrap();
        assert_eq!(named.columns.unwrap(), ["a", "b"]);
        assert_eq!(named.remarks[0], "columns are named by the comment above them: 'a', 'b'");
        let remark = loaded("# run 1, seed three\n1,2\n", "csv", &Reading::default()).unwrap();
        assert_eq!((remark.columns, remark.remarks), (None, vec![]));
        for (text, part) in [
            ("h\n1,5\n2,7\n9,2\n", "its header has 1 field, the lines below have 2"),
            ("a;b\n1,5;2,5\n", "field 1 ('a') is '1,5', which is not a number"),
            ("a,b\n1,2,\n3,4,5\n", "line 3, field 3 ('3') is not empty"),
            ("a,b\n1,NA\n2,3\n,4\n", "line 2, field 2 ('b') is missing (NA); 2 of 3 lines have missing values"),
            ("a,b\n# c\n1,2\n1,x\n", "line 4, field 2"),
            ("\"a\",1\n\"a\",2\n", "column 1 alone stands in quotes"),
            ("True,1\nFalse,2\n", "field 1 is 'True'"),
            ("a,b,c\n1,2\n", "line 2 has 2 fields, the header has 3"),
        ] {
            let (fault, _) = loaded(text, "csv", &Reading::default()).unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        std::fs::write(&path, b"\xff\xfe1\x00").unwrap();
        assert!(Points::read(&path).unwrap_err().to_string().contains("UTF-16"));
    }
}
