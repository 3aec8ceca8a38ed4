//! Settings changed in the text of a configuration, which stays as somebody wrote it: with its comments and its order.

use std::ops::Range;
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// Changes at most, each found by reading the text anew.
const MOST: usize = 1000;

/// `text` with as few changes as make `wanted` of it; none where that cannot be done line by line.
pub(super) fn edited(text: &str, wanted: &Table) -> Option<String> {
    let mut text = text.to_string();
    for _ in 0..MOST {
        let there: Table = text.parse().ok()?;
        let Some(change) = difference(&there, wanted) else { return Some(text) };
        text = change.made(&text)?;
    }
    None
}

/// One key that is otherwise.
struct Change {
    path: Vec<String>,
    /// None where it is to go.
    value: Option<Value>,
}

/// The first key of `there` that is otherwise in `wanted`.
fn difference(there: &Table, wanted: &Table) -> Option<Change> {
    let here = |key: &String, value: Option<&Value>| Change { path: vec![key.clone()], value: value.cloned() };
    for (key, value) in there {
        match (value, wanted.get(key)) {
            (Value::Table(there), Some(Value::Table(wanted))) => {
                if let Some(mut change) = difference(there, wanted) {
                    change.path.insert(0, key.clone());
                    return Some(change);
                }
            }
            (_, wanted) if wanted != Some(value) => return Some(here(key, wanted)),
            _ => {}
        }
    }
    wanted.iter().find(|(key, _)| !there.contains_key(*key)).map(|(key, value)| here(key, Some(value)))
}

type Entry<'a, 'i> = (&'a Spanned<toml::de::DeString<'i>>, &'a Spanned<DeValue<'i>>);

impl Change {
    fn made(&self, text: &str) -> Option<String> {
        let root = DeTable::parse(text).ok()?;
        let (key, tables) = self.path.split_last()?;
        let is_bare = |key: &String| key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
        if !self.path.iter().all(is_bare) {
            return None;
        }
        let mut table = Some(root.get_ref());
        for part in tables {
            table = match table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == part)) {
                Some((_, value)) => Some(value.get_ref().as_table()?),
                None => None,
            };
        }
        let Some(table) = table else { return self.appended(text) };
        let found = table.iter().find(|(other, _)| other.get_ref() == key);
        match (found, &self.value) {
            (Some((_, old)), _) if old.get_ref().is_table() => None,
            (Some((_, old)), Some(value)) => replaced(text, old.span(), &value.to_string()),
            (Some(entry), None) => removed(text, entry),
            (None, Some(Value::Table(_))) => self.appended(text),
            (None, Some(value)) => {
                let single = table.iter().filter(|(_, value)| !value.get_ref().is_table());
                match single.max_by_key(|(_, value)| value.span().end) {
                    Some(entry) => inserted_after(text, entry, key, value),
                    None if tables.is_empty() => Some(format!("{key} = {value}\n{text}")),
                    None => self.appended(text),
                }
            }
            (None, None) => None,
        }
    }

    /// With a table of its own at the end.
    fn appended(&self, text: &str) -> Option<String> {
        let (table, values) = match self.value.as_ref()? {
            Value::Table(values) => {
                let single = values.iter().filter(|(_, value)| !value.is_table());
                (&self.path[..], single.map(|(key, value)| format!("{key} = {value}\n")).collect())
            }
            value => {
                let (key, tables) = self.path.split_last()?;
                (tables, format!("{key} = {value}\n"))
            }
        };
        Some(format!("{}\n\n[{}]\n{values}", text.trim_end(), table.join(".")))
    }
}

fn replaced(text: &str, range: Range<usize>, by: &str) -> Option<String> {
    Some(format!("{}{by}{}", text.get(..range.start)?, text.get(range.end..)?))
}

/// What stands before a key on its line: nothing, or the tables of a dotted key. None where that is more, as in `{ a = 1 }`.
fn before<'a>(text: &'a str, (key, _): Entry) -> Option<(usize, &'a str)> {
    let line = text.get(..key.span().start)?.rfind('\n').map_or(0, |at| at + 1);
    let before = text.get(line..key.span().start)?;
    let is_key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '\t');
    before.chars().all(is_key).then_some((line, before))
}

/// The end of the line on which a value ends, and what stands behind the value there: nothing, or a comment.
fn behind<'a>(text: &'a str, (_, value): Entry) -> Option<(usize, &'a str)> {
    let end = value.span().end;
    let rest = text.get(end..)?;
    let behind = rest.split('\n').next()?;
    let is_comment = behind.trim().is_empty() || behind.trim_start().starts_with('#');
    is_comment.then_some((end + behind.len(), behind))
}

fn removed(text: &str, entry: Entry) -> Option<String> {
    let ((start, _), (end, comment)) = (before(text, entry)?, behind(text, entry)?);
    // What was said of it stays.
    match comment.trim() {
        "" => replaced(text, start..(end + 1).min(text.len()), ""),
        comment => replaced(text, start..end, comment),
    }
}

fn inserted_after(text: &str, entry: Entry, key: &str, value: &Value) -> Option<String> {
    let ((_, before), (end, _)) = (before(text, entry)?, behind(text, entry)?);
    replaced(text, end..end, &format!("\n{before}{key} = {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# kme: 0.1.0\n# mine, too\n\nseed = 7 # lucky\nsteps = 10   # enough?\n\n# the data\n[data]\n\
                        source = \"a # b\"  # not a comment inside\nflip = true\n\n[optimiser]\nkind = \"sgd\"\nlearning_rate = 1e-3\n\
                        clip = 1.0 # since it jumped\n\n[schedule]\n# slowly\nkind = \"decay\"\nfactor = 0.5\nevery = 9\n";

    fn with(change: impl Fn(&mut Table)) -> (Table, Option<String>) {
        let mut wanted: Table = TEXT.parse().unwrap();
        change(&mut wanted);
        let found = edited(TEXT, &wanted);
        if let Some(text) = &found {
            assert_eq!(text.parse::<Table>().unwrap(), wanted);
        }
        (wanted, found)
    }

    fn table<'a>(table: &'a mut Table, key: &str) -> &'a mut Table {
        table.get_mut(key).unwrap().as_table_mut().unwrap()
    }

    #[test]
    fn only_what_is_changed_is_other() {
        assert_eq!(with(|_| ()).1.unwrap(), TEXT);
        let (_, text) = with(|all| {
            all.insert("steps".into(), 20.into());
            table(all, "data").insert("source".into(), "c".into());
            table(all, "data").insert("skip_bad".into(), true.into());
        });
        let expected = TEXT
            .replace("steps = 10   # enough?", "steps = 20   # enough?")
            .replace("\"a # b\"", "\"c\"")
            .replace("flip = true\n", "flip = true\nskip_bad = true\n");
        assert_eq!(text.unwrap(), expected);
    }

    #[test]
    fn what_was_said_of_a_key_that_goes_stays() {
        let (_, text) = with(|all| {
            table(all, "optimiser").remove("clip");
            table(all, "schedule").remove("factor");
            table(all, "schedule").remove("every");
            table(all, "schedule").insert("kind".into(), "constant".into());
        });
        let text = text.unwrap();
        assert!(text.contains("learning_rate = 1e-3\n# since it jumped\n"), "{text}");
        assert!(text.ends_with("[schedule]\n# slowly\nkind = \"constant\"\n"), "{text}");
    }

    #[test]
    fn tables_that_are_not_there_come_at_the_end() {
        let (_, text) = with(|all| {
            all.insert("log".into(), toml::from_str::<Table>("every = 3\nkeep = 2").unwrap().into());
            all.insert("preset".into(), "mine".into());
        });
        let text = text.unwrap();
        assert!(
            text.ends_with("[log]\nevery = 3\nkeep = 2\n") && text.contains("# enough?\npreset = \"mine\"\n"),
            "{text}"
        );
        let text = edited("# only words\n", &toml::from_str("a = 1\n[b.c]\nd = 2").unwrap()).unwrap();
        assert_eq!(text, "a = 1\n# only words\n\n[b]\n\n[b.c]\nd = 2\n");
    }

    #[test]
    fn keys_with_dots_and_values_of_several_lines_too() {
        let text = "log.every = 3 # often\nlog.list = [ # some\n  1,\n  2,\n]\n";
        let wanted = toml::from_str("[log]\nevery = 5\nlist = [1]\nkeep = 2").unwrap();
        assert_eq!(edited(text, &wanted).unwrap(), "log.every = 5 # often\nlog.list = [1]\nlog.keep = 2\n");
        // A line that is also another's cannot go, nor grow.
        let inline = "log = { every = 3, keep = 2 }\n";
        assert_eq!(edited(inline, &toml::from_str("[log]\nevery = 3").unwrap()), None);
        assert_eq!(edited(inline, &toml::from_str("log = 3").unwrap()), None);
        assert_eq!(edited(inline, &toml::from_str("[log]\nevery = 3\nkeep = 2\nmore = 1").unwrap()), None);
        let changed = edited(inline, &toml::from_str("[log]\nevery = 4\nkeep = 2").unwrap()).unwrap();
        assert_eq!(changed, "log = { every = 4, keep = 2 }\n");
    }
}
