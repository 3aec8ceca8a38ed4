//! What the first lines of a text file say: whether there is a header, and which columns are row names.

use super::choice::{self, Choice};
use super::read::{Reading, Remedy};

/// A line as text, with which of its fields stood in quotes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub fields: Vec<String>,
    pub quoted: Vec<bool>,
}

/// A fault in the words that follow the file's name, with the setting that would help.
pub(super) type Fault = (String, Option<Remedy>);

/// How a file's columns are to be taken.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    /// Fields of a line.
    pub d: usize,
    /// Names of all columns, where there is a header.
    pub names: Option<Vec<String>>,
    /// Whether the first line is not a point.
    pub skip_first: bool,
    /// Set where the first line holds numbers that could be names; [`Numbers::is_header`] decides in the end.
    pub numbers: Option<Numbers>,
    /// The coordinates, in their order.
    pub columns: Vec<usize>,
    /// Whether somebody chose them.
    pub chosen: bool,
    /// A column of row names that is left out if its values are what they seem to be.
    pub row_names: Option<(usize, RowNames)>,
    /// A last column that is empty in every line: a separator at the end of each.
    pub trailing: bool,
    /// The column that tells groups apart, and the group.
    pub group: Option<(usize, String)>,
    pub remarks: Vec<String>,
}

/// Why a column is taken for row names, and so what its values must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RowNames {
    /// It has no name, as pandas and R write it: anything.
    Unnamed,
    /// The header is one field short, as R writes it, and they are plain numbers: counting by one.
    Counting,
    /// There is no header, and it alone stands in quotes: all different.
    Quoted,
}

/// A first line of numbers that could be a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// 0, 1, ..., d-1: the names that pandas gives to columns without names.
    FromZero,
    /// 1, 2, ..., d.
    FromOne,
    /// Other whole numbers that grow, such as wavelengths.
    Growing,
}

/// What the lines after a first line of whole numbers hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kinds {
    pub lines: usize,
    /// Lines with a decimal point or an exponent somewhere.
    pub decimal: usize,
    /// Lines with nothing else.
    pub all_decimal: usize,
}

impl Numbers {
    fn of(line: &Line) -> Option<Self> {
        let numbers: Vec<u64> = line.fields.iter().map(|f| whole(f)).collect::<Option<_>>()?;
        let (d, is_growing) = (numbers.len(), numbers.windows(2).all(|pair| pair[0] < pair[1]));
        match numbers.first() {
            Some(0) if is_growing && numbers[d - 1] == d as u64 - 1 => Some(Self::FromZero),
            Some(1) if is_growing && numbers[d - 1] == d as u64 && d > 1 => Some(Self::FromOne),
            _ if is_growing && d > 2 => Some(Self::Growing),
            _ => None,
        }
    }

    /// Whether a first line of `d` such numbers above these lines is a header; `None` where it can be either.
    pub(super) fn is_header(self, d: usize, below: Kinds) -> Option<bool> {
        let differs = below.decimal == below.lines;
        match self {
            _ if below.lines == 0 => Some(false),
            Self::FromZero if d > 2 && differs => Some(true),
            // Labels and counts.
            Self::FromZero if d == 1 && below.all_decimal < below.lines => Some(false),
            Self::FromZero => None,
            // A few lines typed by hand may well begin so.
            _ if below.lines < FEW && below.all_decimal < below.lines => Some(false),
            Self::FromOne | Self::Growing if differs => None,
            _ => Some(false),
        }
    }
}

/// Fewer lines than this are not a table that a program wrote.
const FEW: usize = 5;

/// A number that is written with digits alone.
fn whole(field: &str) -> Option<u64> {
    if field.is_empty() || !field.bytes().all(|b| b.is_ascii_digit()) { None } else { field.parse().ok() }
}

fn number(field: &str) -> Option<f64> {
    field.parse().ok()
}

/// What pandas, readr and others call a column that has no name.
fn is_no_name(name: &str) -> bool {
    let digits = |text: &str| text.split('.').all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    name.is_empty()
        || name.strip_prefix("Unnamed: ").is_some_and(digits)
        || name.strip_prefix("..").map(|rest| rest.trim_start_matches('.')).is_some_and(|n| !n.is_empty() && digits(n))
}

/// Whether a column of this name counts rows, if its values look so.
pub(super) fn is_index_name(name: &str) -> bool {
    const NAMES: [&str; 20] = [
        "index",
        "idx",
        "id",
        "ids",
        "row",
        "rows",
        "rowid",
        "row_id",
        "row.id",
        "rowname",
        "rownames",
        "row.names",
        "row_names",
        "no",
        "nr",
        "#",
        "x",
        "x1",
        "level_0",
        "_id",
    ];
    NAMES.contains(&name.to_ascii_lowercase().as_str())
}

/// Whether an `id` is what it is called, wherever it counts: never a coordinate.
pub(super) fn is_id_name(name: &str) -> bool {
    is_index_name(name) && !["x", "x1", "no", "nr", "row", "rows"].contains(&name.to_ascii_lowercase().as_str())
}

/// The names in the first line, if it is a header; what is undecided is told by [`Numbers`].
fn header(first: &Line, second: Option<&Line>, asked: Option<bool>) -> (Option<Vec<String>>, Option<Numbers>) {
    let names = || Some(first.fields.clone());
    match (asked, second) {
        (Some(true), _) => return (names(), None),
        (Some(false), _) => return (None, None),
        _ => {}
    }
    let below = |i: usize| second.and_then(|line| Some((line.fields.get(i)?, line.quoted[i])));
    // A number in quotes above one without is a text.
    let is_number = |i: usize| {
        number(&first.fields[i]).is_some()
            && (!first.quoted[i] || below(i).is_none_or(|(field, quoted)| quoted || number(field).is_none()))
    };
    let d = first.fields.len();
    let numbers: Vec<usize> = (0..d).filter(|&i| is_number(i)).collect();
    if numbers.is_empty() {
        return (names(), None);
    }
    if numbers.len() == d {
        return (None, second.and_then(|_| Numbers::of(first)));
    }
    // Names and numbers: the numbers are names where they count, and what is below the names is none of them.
    let values: Option<Vec<u64>> = numbers.iter().map(|&i| whole(&first.fields[i])).collect();
    let counts = values.is_some_and(|v| v[0] <= 1 && v.windows(2).all(|pair| pair[0] + 1 == pair[1]));
    let others = || (0..d).filter(|i| !numbers.contains(i));
    let is_index = first.fields[0].is_empty() && others().count() == 1;
    let above_numbers =
        || numbers.len() > 1 && others().all(|i| below(i).is_some_and(|(field, _)| number(field).is_some()));
    let above_decimals = || {
        let is_decimal = |i: &usize| below(*i).is_some_and(|(f, _)| number(f).is_some() && whole(f).is_none());
        numbers.len() > 1 && numbers.iter().all(is_decimal)
    };
    match second.is_some() && counts && (is_index || above_numbers() || above_decimals()) {
        true => (names(), None),
        false => (None, None),
    }
}

impl Plan {
    /// What the first two lines, and the last comment before them, say of all.
    ///
    /// # Errors
    /// When a column that is asked for is not there.
    pub(super) fn of(
        first: &Line,
        second: Option<&Line>,
        comment: Option<&Line>,
        reading: &Reading,
    ) -> Result<Self, Fault> {
        let (mut names, mut numbers) = header(first, second, reading.header);
        let skip_first = names.is_some();
        let empty = Line::default();
        let data = if skip_first { second.unwrap_or(&empty) } else { first };
        let mut d = if data.fields.is_empty() { first.fields.len() } else { data.fields.len() };
        let mut remarks = Vec::new();
        // A separator at the end of every line.
        let ends_empty = |line: &Line| line.fields.len() > 1 && line.fields.last().is_some_and(String::is_empty);
        let next = if skip_first { data } else { second.unwrap_or(first) };
        let is_longer = names.as_ref().is_some_and(|names| names.len() + 1 == d);
        let trailing = match &names {
            Some(names) => ends_empty(data) && (is_longer || names.last().is_some_and(String::is_empty)),
            None => ends_empty(first) && ends_empty(next),
        };
        if trailing {
            remarks.push("every line ends in a separator: no column is read after it".into());
        }
        let mut row_names = None;
        if let Some(names) = &mut names {
            if is_longer && trailing {
                names.push(String::new());
            } else if is_longer && d > 1 {
                let is_plain = number(&data.fields[0]).is_some() && !data.quoted[0];
                row_names = Some((0, if is_plain { RowNames::Counting } else { RowNames::Unnamed }));
                names.insert(0, String::new());
            } else if names.len() != d && !data.fields.is_empty() {
                // The lines themselves tell this fault.
                d = names.len();
            }
        }
        let comment = comment.filter(|line| line.fields.len() == d && d > 1);
        if let (None, Some(line)) = (&names, comment) {
            (names, numbers) = (Some(line.fields.clone()), None);
            remarks.push(format!("columns are named by the comment above them: {}", choice::listed(&line.fields)));
        }
        let mut columns: Vec<usize> = (0..d - usize::from(trailing)).collect();
        let fault = |text| (text, None);
        let group = match &reading.rows {
            Some((column, value)) => {
                let place = choice::place(column, names.as_deref(), d).map_err(fault)?;
                columns.retain(|&i| i != place);
                Some((place, value.clone()))
            }
            None => None,
        };
        let chosen = !reading.columns.is_empty();
        if chosen {
            columns = Choice::of(&reading.columns, names.as_deref(), d).map_err(fault)?.columns().to_vec();
            row_names = None;
        } else {
            let unnamed = |i: usize| skip_first && names.as_ref().is_some_and(|names| is_no_name(&names[i]));
            if row_names.is_none() && columns.len() > 1 && columns[0] == 0 && unnamed(0) {
                row_names = Some((0, RowNames::Unnamed));
            }
            let only_first_quoted = data.quoted.first() == Some(&true) && data.quoted[1..].iter().all(|q| !q);
            if row_names.is_none() && !skip_first && names.is_none() && only_first_quoted && columns.len() > 1 {
                row_names = Some((0, RowNames::Quoted));
            }
            columns.retain(|i| row_names.is_none_or(|(place, _)| place != *i));
            // Row names of a table that was written and read before: one more unnamed column each time.
            while columns.len() > 1 && row_names.is_some() && unnamed(columns[0]) {
                let name = choice::shown(names.as_deref(), columns[0]);
                remarks.push(format!("column '{name}' holds row names too: left out"));
                columns.remove(0);
            }
            if let Some(&i) = columns.iter().find(|&&i| is_text(data, &columns, i)) {
                let (name, text) = (choice::shown(names.as_deref(), i), &data.fields[i]);
                let fault = format!("column {name} holds text (\"{text}\" in quotes, other columns without): {CHOOSE}");
                return Err((fault, Some(Remedy::Group)));
            }
        }
        if columns.is_empty() {
            return Err(("holds no column besides that of the groups".into(), Some(Remedy::Columns)));
        }
        Ok(Self { d, names, skip_first, numbers, columns, chosen, row_names, trailing, group, remarks })
    }
}

pub(super) const CHOOSE: &str = "choose the columns that are coordinates";

/// A number in quotes beside numbers without: the writer says that it is text.
fn is_text(data: &Line, columns: &[usize], i: usize) -> bool {
    let is_plain = |j: &usize| !data.quoted.get(*j).unwrap_or(&true) && number(&data.fields[*j]).is_some();
    data.quoted.get(i) == Some(&true) && number(&data.fields[i]).is_some() && columns.iter().any(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let fields: Vec<&str> = text.split(',').collect();
        Line {
            quoted: fields.iter().map(|f| f.starts_with('"')).collect(),
            fields: fields.iter().map(|f| f.trim_matches('"').into()).collect(),
        }
    }

    #[test]
    fn headers_are_told_from_points() {
        for (first, second, is_header) in [
            ("a,b", "1,2", true),
            (",a,b", "0,1.5,2", true),
            (",0,1", "0,1.5,2", true),
            ("\"\",\"1\",\"2\"", "\"r\",1.5,2", true),
            ("\"0\",\"5\"", "1,2", true),
            ("label,0,1,2", "7,.1,.2,.3", true),
            ("species,0,1", "setosa,.1,.2", true),
            ("1,2", "3,4", false),
            ("\"1\",\"2\"", "\"3\",\"4\"", false),
            ("1,x", "3,4", false),
            ("x,5", "3,4", false),
            ("setosa,5,6", "virginica,6,7", false),
            (",3,2", "1,2,3", false),
        ] {
            let (names, _) = header(&line(first), Some(&line(second)), None);
            assert_eq!(names.is_some(), is_header, "{first} above {second}");
        }
    }

    #[test]
    fn lines_of_numbers_are_headers_only_where_nothing_else_is_likely() {
        let is_header = |first: &str, lines, decimal, all_decimal| {
            let d = line(first).fields.len();
            Numbers::of(&line(first)).map(|n| n.is_header(d, Kinds { lines, decimal, all_decimal }))
        };
        assert_eq!(is_header("0,1,2", 9, 9, 4), Some(Some(true)));
        assert_eq!(is_header("0,1,2", 9, 8, 4), Some(None));
        assert_eq!(is_header("0,1,2", 9, 0, 0), Some(None));
        assert_eq!(is_header("0,1", 9, 9, 9), Some(None));
        assert_eq!(is_header("0", 9, 9, 9), Some(None));
        assert_eq!(is_header("0", 9, 5, 5), Some(Some(false)));
        assert_eq!(is_header("1,2,3", 9, 9, 9), Some(None));
        assert_eq!(is_header("1,2,3", 9, 0, 0), Some(Some(false)));
        assert_eq!(is_header("400,410,420", 9, 9, 9), Some(None));
        assert_eq!(is_header("400,410,420", 9, 9, 8), Some(None));
        assert_eq!(is_header("400,410,420", 9, 8, 8), Some(Some(false)));
        assert_eq!(is_header("400,410,420", 3, 3, 2), Some(Some(false)));
        assert_eq!(is_header("400,410,420", 3, 3, 3), Some(None));
        for text in ["0,2", "0.0,1.0,2.0", "3,2,1", "1", "7", "0,1,1"] {
            assert_eq!(is_header(text, 9, 9, 9), None, "{text}");
        }
    }

    #[test]
    fn columns_without_a_name_are_told() {
        for name in ["", "Unnamed: 0", "Unnamed: 0.1", "...1", "..1"] {
            assert!(is_no_name(name), "{name}");
        }
        for name in ["a", "Unnamed", "Unnamed: x", "..", "...", "1"] {
            assert!(!is_no_name(name), "{name}");
        }
    }
}
