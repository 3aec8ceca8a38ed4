//! Printing: data to standard output, everything else to standard error.

use crate::arguments::Global;
use kme::{Error, Result};
use serde_json::{Map, Value};
use std::io::{ErrorKind, Write};

/// Prints `text`, or with `--json` the object `json` with the version and the seed added.
///
/// # Errors
/// When standard output cannot be written, except that a reader who has seen enough (a closed pipe) is no fault.
pub fn print(global: &Global, text: &str, json: Map<String, Value>) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let result = if global.json {
        let mut object = json;
        object.insert("seed".into(), global.seed.into());
        object.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        writeln!(out, "{}", Value::Object(object))
    } else {
        writeln!(out, "{}", text.trim_end())
    };
    match result.and_then(|()| out.flush()) {
        Err(fault) if fault.kind() != ErrorKind::BrokenPipe => Err(Error::file("standard output", fault)),
        _ => Ok(()),
    }
}

/// A remark for people, on standard error.
pub fn remark(global: &Global, text: impl std::fmt::Display) {
    if !global.quiet {
        eprintln!("{text}");
    }
}

/// The fields of a JSON object, from `json!({ ... })`.
pub fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_string(), other)]),
    }
}
