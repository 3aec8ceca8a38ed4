//! `kme eval --compare`: results that were printed before, side by side.

use super::Arguments;
use crate::arguments::Global;
use crate::output::{self, Table, fields, with_error};
use kme::Result;
use kme::internal::StandardError;
use kme_deep::{Comparison, Side, compare};
use serde_json::{Value, json};

const CSV: [&str; 9] = [
    "metric",
    "first",
    "first_value",
    "second",
    "second_value",
    "difference",
    "standard_error",
    "z",
    "standard_error_missing",
];

/// Prints, for each metric that all files have, every result beside the first.
pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<()> {
    let saved = "give results that `kme eval --json` wrote";
    let found = compare(&arguments.compare).map_err(|fault| fault.advising(saved))?;
    let mut rows = vec![["metric", "result", "value", "difference", "z"].map(String::from).to_vec()];
    let about = "difference to the first; z is the difference in standard errors, both results taken as independent";
    let mut notes = vec![about.to_string()];
    for own in found.chunk_by(|a, b| a.metric == b.metric) {
        let first = &own[0].first;
        rows.push(vec![own[0].metric.quantity().into(), first.name.clone(), with_error(first.value, first.error.ok())]);
        for Comparison { metric, first, second, difference, error, z } in own {
            for result in [first, second] {
                if let Err(reason) = result.error {
                    let line = format!("no standard error of {metric} of {}: {reason}", result.name);
                    if !notes.contains(&line) {
                        notes.push(line);
                    }
                }
            }
            rows.push(vec![
                String::new(),
                second.name.clone(),
                with_error(second.value, second.error.ok()),
                with_error(*difference, error.ok()),
                z.map_or_else(|| "-".into(), |z| format!("{z:.2}")),
            ]);
        }
    }
    let comparisons: Vec<Value> = found.iter().map(json_of).collect();
    let csv = std::iter::once(CSV.map(String::from).to_vec()).chain(comparisons.iter().map(cells)).collect();
    let notes = notes.join("\n");
    let text = format!("{}{notes}", output::aligned(&rows));
    let table = Table { text, csv, markdown: rows, notes, json: fields(json!({ "comparisons": comparisons })) };
    table.deliver(arguments.format, arguments.output.as_deref(), global)?;
    output::remark(
        global,
        "Results against the same reference share its randomness, so |z| tends to be too small rather than too large.",
    );
    Ok(())
}

fn json_of(found: &Comparison) -> Value {
    let side = |result: &Side| {
        let (value, error) = (result.value, result.error);
        told(json!({ "name": result.name, "value": value, "standard_error": error.ok() }), error)
    };
    let comparison = json!({
        "metric": found.metric.quantity(),
        "first": side(&found.first),
        "second": side(&found.second),
        "difference": found.difference,
        "standard_error": found.error.ok(),
        "z": found.z,
    });
    told(comparison, found.error)
}

/// An object, with the reason where there is no error.
fn told(mut object: Value, error: StandardError) -> Value {
    if let Err(reason) = error {
        object["standard_error_missing"] = json!(reason);
    }
    object
}

/// A comparison's row of the CSV.
fn cells(found: &Value) -> Vec<String> {
    let (first, second) = (&found["first"], &found["second"]);
    let cells = [
        &found["metric"],
        &first["name"],
        &first["value"],
        &second["name"],
        &second["value"],
        &found["difference"],
        &found["standard_error"],
        &found["z"],
        &found["standard_error_missing"],
    ];
    cells
        .map(|value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        })
        .to_vec()
}
