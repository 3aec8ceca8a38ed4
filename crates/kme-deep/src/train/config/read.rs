//! From a table to a configuration, with faults in the words of the file: every one names its key.

use super::{Config, Objective, Optimiser, Schedule};
use kme_net::{CriticNet, GeneratorNet};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Reads a value of one type and says what is wrong, if anything is.
pub(in crate::train) type Reader = fn(Table) -> Option<String>;

/// Tables whose `kind` decides which other keys they have. Of a fault in one of them, the parser does not say the key.
pub(in crate::train) const KINDS: [(&str, Reader); 6] = [
    ("objective", fault::<Objective>),
    ("optimiser", fault::<Optimiser>),
    ("schedule", fault::<Schedule>),
    ("generator.net", fault::<GeneratorNet>),
    ("critic.net", fault::<CriticNet>),
    ("critic.decoder", fault::<GeneratorNet>),
];

fn fault<T: DeserializeOwned>(table: Table) -> Option<String> {
    T::deserialize(table).err().map(|fault| fault.message().to_string())
}

const MISSING: &str = "missing field";

/// What is wrong with one key of a table of this kind, whatever else is missing there.
pub(in crate::train) fn fault_of_key(reader: Reader, kind: &Value, key: &str, value: &Value) -> Option<String> {
    let table = Table::from_iter([("kind".to_string(), kind.clone()), (key.to_string(), value.clone())]);
    reader(table).filter(|message| !message.starts_with(MISSING))
}

/// What stands at a dotted key.
pub(in crate::train) fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

/// The configuration in a table.
///
/// # Errors
/// Text that names the key, what it has, and what is allowed.
pub(in crate::train) fn read(table: &Table) -> Result<Config, String> {
    Config::deserialize(table.clone()).map_err(|fault| {
        let text = fault.to_string();
        let place = text.lines().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`')).unwrap_or_default();
        let (place, message) = closer(table, place, fault.message());
        told(table, &place, &message)
    })
}

/// The place and the words of a fault, as close to its key as can be told.
fn closer(table: &Table, place: &str, message: &str) -> (String, String) {
    let far = (place.to_string(), message.to_string());
    let reader = KINDS.iter().find(|(other, _)| *other == place).map(|(_, reader)| *reader);
    let (Some(reader), Some(Value::Table(found))) = (reader, at(table, place)) else { return far };
    let Some(kind) = found.get("kind") else { return far };
    let within = |key: &str| format!("{place}.{key}");
    if let Some(message) = fault_of_key(reader, kind, "kind", kind) {
        return (within("kind"), message);
    }
    for (key, value) in found {
        let Some(message) = fault_of_key(reader, kind, key, value) else { continue };
        // The key of a table inside without which the fault is another.
        let inner = value.as_table().and_then(|table| {
            let is_at = |inner: &&String| {
                let rest = Value::Table(without(table, inner));
                fault_of_key(reader, kind, key, &rest).as_ref() != Some(&message)
            };
            table.keys().find(is_at)
        });
        let key = inner.map_or(key.clone(), |inner| format!("{key}.{inner}"));
        return (within(&key), message);
    }
    // Something is missing: here, or in a table inside.
    let inside = found.iter().filter(|(_, value)| value.is_table()).map(|(key, _)| key);
    match inside.into_iter().find(|key| reader(without(found, key)).as_deref() != Some(message)) {
        Some(key) => (within(key), message.into()),
        None => far,
    }
}

fn without(table: &Table, key: &str) -> Table {
    let mut rest = table.clone();
    rest.remove(key);
    rest
}

/// A fault of the parser in the words of the file.
fn told(table: &Table, place: &str, message: &str) -> String {
    let within = |key: &str| if place.is_empty() { key.to_string() } else { format!("{place}.{key}") };
    if let Some(key) = quoted(message, MISSING) {
        return format!("{} is missing", within(key));
    }
    if let Some(key) = quoted(message, "unknown field") {
        let place = place.strip_suffix(key).map_or(place, |rest| rest.trim_end_matches('.'));
        let (full, whole) = match place {
            "" => (key.to_string(), "a configuration has"),
            _ => (format!("{place}.{key}"), "there are"),
        };
        return match message.split_once("expected ") {
            Some((_, known)) => format!("{full} is no setting; {whole} {}", choice(known)),
            None => format!("{full} is no setting; there are none here"),
        };
    }
    let value = at(table, place);
    let shown = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Table(_)) | None => "a table".into(),
        Some(other) => other.to_string(),
    };
    let refused = |allowed: String| format!("{place} = {shown} is not allowed: {allowed}");
    match message.split_once(", expected ") {
        Some((head, known)) if head.starts_with("unknown variant") => refused(choice(known)),
        Some((head, expected)) if head.starts_with("invalid") => {
            let allowed = allowed(expected, &shown);
            let of_list = matches!(value, Some(Value::Array(_))) && allowed != "a list";
            refused(if of_list { format!("in a list, {allowed} each") } else { allowed })
        }
        _ if place.is_empty() => message.into(),
        _ => format!("{place}: {message}"),
    }
}

/// The name in backticks behind `head`.
fn quoted<'a>(message: &'a str, head: &str) -> Option<&'a str> {
    Some(message.strip_prefix(head)?.trim_start().strip_prefix('`')?.split_once('`')?.0)
}

/// A list of names without what the parser puts around them.
fn choice(text: &str) -> String {
    text.trim_start_matches("one of ").replace('`', "")
}

/// What the parser expected.
fn allowed(expected: &str, shown: &str) -> String {
    match expected {
        "u64" | "usize" | "u32" if !shown.is_empty() && shown.bytes().all(|b| b.is_ascii_digit()) => {
            format!("a whole number of at most {}", i64::MAX)
        }
        "u64" | "usize" | "u32" => "a whole number from 0 on".into(),
        "f64" | "f32" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a string" | "string only" => "text".into(),
        "a map" => "a table".into(),
        _ if expected.starts_with("internally tagged enum") => "a table with a kind".into(),
        _ if expected.starts_with("struct ") => "a table".into(),
        _ => expected.into(),
    }
}
