//! From a table to a configuration, with faults that name their key.
//!
//! serde tells what is wrong by calling a constructor of the error type: [`Fault`] keeps which, so that nothing needs to
//! be read out of a sentence.

use super::{Config, ObjectiveConfig, Optimiser, Schedule};
use kme::Error;
use kme_net::{CriticNet, GeneratorNet};
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, Expected, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_path_to_error::Segment;
use std::fmt;
use std::path::Path;
use toml::{Table, Value};

/// What an unknown key is called in an [`Error::UnknownName`], within its table where it stands in one.
pub(in crate::train) const SETTING: &str = "setting";

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) enum Fault {
    /// A key is not there.
    Missing(&'static str),
    /// There is no such key among these.
    Key(String, &'static [&'static str]),
    /// There is no such name among these.
    Name(String, &'static [&'static str]),
    /// A value of another type, or out of the type's range.
    Type,
    /// What a type says itself of a value's text.
    Text(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self::Text(text.to_string())
    }
    fn invalid_type(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Type
    }
    fn invalid_value(_: Unexpected<'_>, _: &dyn Expected) -> Self {
        Self::Type
    }
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Type
    }
    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::Name(name.into(), known)
    }
    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::Key(key.into(), known)
    }
    fn missing_field(key: &'static str) -> Self {
        Self::Missing(key)
    }
}

/// A value that is read with [`Fault`]s.
struct Reading<'a>(&'a Value);

impl<'de> Deserializer<'de> for Reading<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Integer(x) => visitor.visit_i64(*x),
            Value::Float(x) => visitor.visit_f64(*x),
            Value::Boolean(x) => visitor.visit_bool(*x),
            // No setting is a date.
            Value::Datetime(_) => Err(Fault::Type),
            Value::Array(all) => visitor.visit_seq(SeqDeserializer::new(all.iter().map(Reading))),
            Value::Table(table) => entries(table).deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.as_str().into_deserializer()),
            _ => Err(Fault::Type),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Reading<'de> {
    type Deserializer = Self;
    fn into_deserializer(self) -> Self {
        self
    }
}

fn entries<'de>(table: &'de Table) -> MapDeserializer<'de, impl Iterator<Item = (&'de str, Reading<'de>)>, Fault> {
    MapDeserializer::new(table.iter().map(|(key, value)| (key.as_str(), Reading(value))))
}

/// What is wrong with a table of one type, if anything is.
pub(in crate::train) type Reader = fn(&Table) -> Option<Fault>;

/// Tables whose `kind` decides which other keys they have. serde reads them as a whole: of a fault in one of them it does
/// not say the key.
pub(in crate::train) const KINDS: [(&str, Reader); 6] = [
    ("objective", fault::<ObjectiveConfig>),
    ("optimiser", fault::<Optimiser>),
    ("schedule", fault::<Schedule>),
    ("generator.net", fault::<GeneratorNet>),
    ("critic.net", fault::<CriticNet>),
    ("critic.decoder", fault::<GeneratorNet>),
];

fn fault<T: DeserializeOwned>(table: &Table) -> Option<Fault> {
    T::deserialize(entries(table)).err()
}

/// What is wrong with one key of a table of this kind, whatever else is missing there.
pub(in crate::train) fn fault_of_key(reader: Reader, kind: &Value, key: &str, value: &Value) -> Option<Fault> {
    let table = Table::from_iter([("kind".to_string(), kind.clone()), (key.to_string(), value.clone())]);
    reader(&table).filter(|fault| !matches!(fault, Fault::Missing(_)))
}

/// What stands at a dotted key.
pub(in crate::train) fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let mut parts = key.split('.');
    let first = table.get(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table()?.get(part))
}

/// The same, to be changed.
pub(in crate::train) fn at_mut<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Value> {
    let mut parts = key.split('.');
    let first = table.get_mut(parts.next()?)?;
    parts.try_fold(first, |value, part| value.as_table_mut()?.get_mut(part))
}

/// TOML text as a table; `path` is for messages.
///
/// # Errors
/// Within `path`, [`Error::Syntax`] of a number that is too large, or [`Error::Format`].
pub(in crate::train) fn table(toml: &str, path: &Path) -> kme::Result<Table> {
    toml.parse().map_err(|fault: toml::de::Error| {
        let given = fault.span().and_then(|span| toml.get(span)).unwrap_or_default();
        let digits = given.trim_start_matches(['-', '+']);
        if digits.starts_with(|c: char| c.is_ascii_digit()) && digits.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
            let problem = format!("write a whole number of at most {}", i64::MAX);
            return Error::syntax("number", given, problem).within(path.display());
        }
        Error::unreadable(path, "cannot be read as TOML", fault)
    })
}

/// The configuration in a table.
///
/// # Errors
/// [`Error::Missing`] and [`Error::Parameter`] by the dotted key; [`Error::UnknownName`] of a [`SETTING`], or of what
/// stands at the key that it says; [`Error::Syntax`] of what stands at the key that it says.
pub(in crate::train) fn read(table: &Table) -> kme::Result<Config> {
    found(table).map_err(|(place, fault)| told(table, &place, fault))
}

/// The configuration, or what is wrong and at which dotted key, as close as can be told.
fn found(table: &Table) -> Result<Config, (String, Fault)> {
    serde_path_to_error::deserialize(entries(table)).map_err(|error| {
        let key = |segment: &Segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        };
        let mut place: Vec<String> = error.path().iter().filter_map(key).collect();
        let fault = error.into_inner();
        if matches!(&fault, Fault::Key(key, _) if place.last() == Some(key)) {
            place.pop();
        }
        closer(table, place.join("."), fault)
    })
}

/// The place and the kind of a fault, in a table that has a `kind`.
fn closer(table: &Table, place: String, far: Fault) -> (String, Fault) {
    let reader = KINDS.iter().find(|(other, _)| *other == place).map(|(_, reader)| *reader);
    let (Some(reader), Some(Value::Table(found))) = (reader, at(table, &place)) else { return (place, far) };
    let Some(kind) = found.get("kind") else { return (place, far) };
    if let Some(fault) = fault_of_key(reader, kind, "kind", kind) {
        return (format!("{place}.kind"), fault);
    }
    for (key, value) in found {
        let Some(fault) = fault_of_key(reader, kind, key, value) else { continue };
        if matches!(&fault, Fault::Key(unknown, _) if unknown == key) {
            return (place, fault);
        }
        // The key of a table inside without which the fault is another.
        let inner = value.as_table().and_then(|table| {
            let is_at = |inner: &&String| {
                let rest = Value::Table(without(table, inner));
                fault_of_key(reader, kind, key, &rest).as_ref() != Some(&fault)
            };
            table.keys().find(is_at).filter(|inner| !matches!(&fault, Fault::Key(unknown, _) if unknown == *inner))
        });
        return (inner.map_or(format!("{place}.{key}"), |inner| format!("{place}.{key}.{inner}")), fault);
    }
    // Something is missing: here, or in a table inside.
    let mut inside = found.iter().filter(|(_, value)| value.is_table()).map(|(key, _)| key);
    match inside.find(|key| reader(&without(found, key)).as_ref() != Some(&far)) {
        Some(key) => (format!("{place}.{key}"), far),
        None => (place, far),
    }
}

fn without(table: &Table, key: &str) -> Table {
    let mut rest = table.clone();
    rest.remove(key);
    rest
}

/// The error for a fault at a dotted key.
fn told(table: &Table, place: &str, fault: Fault) -> Error {
    let within = |key: &str| if place.is_empty() { key.to_string() } else { format!("{place}.{key}") };
    let value = at(table, place);
    match fault {
        Fault::Missing(key) => Error::missing(within(key), "give it a value"),
        Fault::Key(key, known) if place.is_empty() => Error::unknown(SETTING, key, known),
        Fault::Key(key, known) => Error::unknown(SETTING, key, known).within(place),
        Fault::Name(name, known) => Error::unknown(place.to_string(), name, known),
        Fault::Text(problem) => {
            let text = value.map(|value| value.as_str().map_or(value.to_string(), str::to_string));
            Error::syntax(place.to_string(), text.unwrap_or_default(), problem)
        }
        Fault::Type => {
            let given = match value {
                Some(Value::Table(_)) | None => "a table".into(),
                Some(value) => value.to_string(),
            };
            Error::parameter(place.to_string(), given, allowed(table, place, value))
        }
    }
}

/// What may stand at `place`, found by trying a value of every type there.
fn allowed(table: &Table, place: &str, value: Option<&Value>) -> String {
    let fault_with = |sample: Value| {
        let mut table = table.clone();
        *at_mut(&mut table, place)? = sample;
        found(&table).err().filter(|(at, _)| at == place).map(|(_, fault)| fault)
    };
    let fits = |sample: Value| fault_with(sample) != Some(Fault::Type);
    let numeral = value.and_then(Value::as_str).filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
    let is_list = value.is_some_and(Value::is_array) && !fits(Table::new().into()) && fits(Value::Array(Vec::new()));
    let types: [(Value, &str, &str); 6] = [
        (Value::Float(0.5), "a number", "numbers"),
        (Value::Integer(1), "a whole number from 0 on", "whole numbers from 0 on"),
        (Value::Boolean(true), "true or false", "true or false"),
        (Value::String(String::new()), "text", "texts"),
        // serde takes a list for a table with a kind too.
        (Value::Table(Table::new()), "a table", "tables"),
        (Value::Array(Vec::new()), "a list", "lists"),
    ];
    for (sample, one, many) in types {
        if is_list {
            if fits(Value::Array(vec![sample])) {
                return format!("a list of {many}");
            }
        } else if fits(sample.clone()) {
            return match (&sample, fault_with(sample.clone())) {
                (Value::Integer(_), _) if numeral.is_some_and(|text| text.parse::<i64>().is_err()) => {
                    format!("a whole number of at most {}", i64::MAX)
                }
                (Value::String(_), Some(Fault::Name(_, known))) => format!("one of {}", known.join(", ")),
                _ => one.into(),
            };
        }
    }
    "of another type".into()
}
