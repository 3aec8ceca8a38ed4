//! `kme eval --compare`: results that were printed before, side by side, if they can be compared at all.

use super::Arguments;
use super::metrics::Metric;
use crate::arguments::Global;
use crate::output::{self, Table, fields, with_error};
use kme::standard_error::{NoStandardError, StandardError};
use kme::{Error, Result, io};
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::Path;

/// One number of a file.
struct Outcome {
    /// Its candidate, and the file.
    name: String,
    metric: Metric,
    value: f64,
    error: StandardError,
    object: Map<String, Value>,
}

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

/// Files of results beyond this size are none.
const LARGEST: u64 = 64 << 20;

/// Prints, for each metric that all files have, every result beside the first.
///
/// # Errors
/// When a file holds no results, no metric is in all of them, or two results of a metric were made in different ways.
pub(super) fn run(arguments: &Arguments, global: &Global) -> Result<()> {
    let files = &arguments.compare;
    let all = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let metrics = |results: &[Outcome]| -> Vec<Metric> { results.iter().map(|r| r.metric).collect() };
    let mut shared = metrics(&all[0]);
    shared.dedup();
    for (results, file) in all.iter().zip(files).skip(1) {
        let (first, other) = (metrics(&all[0]), metrics(results));
        shared.retain(|metric| other.contains(metric));
        if shared.is_empty() {
            let list = |metrics: Vec<Metric>, file: &Path| {
                format!("{} ({})", metrics.iter().map(Metric::to_string).collect::<Vec<_>>().join(", "), file.display())
            };
            let (left, right) = (list(first, &files[0]), list(other, file));
            return Err(Error::mismatch("metric", left, right, "compare results of one metric"));
        }
    }
    let mut rows = vec![["metric", "result", "value", "difference", "z"].map(String::from).to_vec()];
    let mut comparisons = Vec::new();
    let (mut done, mut missing) = (Vec::new(), Vec::new());
    for metric in shared {
        if done.contains(&metric) {
            continue;
        }
        done.push(metric);
        let mut results = all.iter().flatten().filter(|r| r.metric == metric);
        let Some(first) = results.next() else { continue };
        rows.push(vec![metric.quantity().into(), first.name.clone(), with_error(first.value, first.error.ok())]);
        for other in results {
            check_same(first, other)?;
            let difference = other.value - first.value;
            let error = first.error.and_then(|a| other.error.map(|b| a.hypot(b)));
            let z = error.ok().map(|error| difference / error);
            for result in [first, other] {
                if let Err(reason) = result.error {
                    let line = format!("no standard error of {metric} of {}: {reason}", result.name);
                    if !missing.contains(&line) {
                        missing.push(line);
                    }
                }
            }
            rows.push(vec![
                String::new(),
                other.name.clone(),
                with_error(other.value, other.error.ok()),
                with_error(difference, error.ok()),
                z.map_or_else(|| "-".into(), |z| format!("{z:.2}")),
            ]);
            let side = |result: &Outcome| {
                let (value, error) = (result.value, result.error);
                told(json!({ "name": result.name, "value": value, "standard_error": error.ok() }), error)
            };
            let comparison = json!({
                "metric": metric.quantity(),
                "first": side(first),
                "second": side(other),
                "difference": difference,
                "standard_error": error.ok(),
                "z": z,
            });
            comparisons.push(told(comparison, error));
        }
    }
    if comparisons.is_empty() {
        let fault = "holds one result of each metric: name another file to compare it with";
        return Err(Error::file(&files[0], fault));
    }
    let about = "difference to the first; z is the difference in standard errors, both results taken as independent";
    missing.insert(0, about.to_string());
    let notes = missing.join("\n");
    let mut csv = vec![CSV.map(String::from).to_vec()];
    for found in &comparisons {
        let cell = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => String::new(),
            other => other.to_string(),
        };
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
        csv.push(cells.map(cell).to_vec());
    }
    let text = format!("{}{notes}", output::aligned(&rows));
    let table = Table { text, csv, markdown: rows, notes, json: fields(json!({ "comparisons": comparisons })) };
    table.deliver(arguments.format, arguments.output.as_deref(), global)?;
    output::remark(
        global,
        "Results against one reference share its randomness, so that |z| here is rather too small than too large.",
    );
    Ok(())
}

/// An object, with the reason where there is no error.
fn told(mut object: Value, error: StandardError) -> Value {
    if let Err(reason) = error {
        object["standard_error_missing"] = json!(reason);
    }
    object
}

/// The results in a file.
fn read(path: &Path) -> Result<Vec<Outcome>> {
    let fault = |text: &str| Error::file(path, format!("{text}; what kme eval --json prints is read"));
    let (reader, size) = io::open(path)?;
    if size > LARGEST {
        return Err(fault("is too large for a result"));
    }
    let mut bytes = Vec::new();
    reader.take(LARGEST).read_to_end(&mut bytes).map_err(|e| io::read_error(path, e))?;
    let whole: Value = serde_json::from_slice(&bytes).map_err(|e| fault(&format!("is no JSON: {e}")))?;
    let objects = match whole.get("results").and_then(Value::as_array) {
        Some(results) => results.clone(),
        None => vec![whole],
    };
    let result = |object: Value| -> Option<Outcome> {
        let object = match object {
            Value::Object(object) => object,
            _ => return None,
        };
        Some(Outcome {
            name: format!("{} ({})", object.get("candidate")?.as_str()?, path.display()),
            metric: Metric::of_quantity(object.get("metric")?.as_str()?)?,
            value: object.get("value")?.as_f64()?,
            error: match object.get("standard_error")?.as_f64().filter(|e| *e > 0.0) {
                Some(error) => Ok(error),
                // Earlier versions did not say why, and later ones may have other reasons.
                None => Err(object
                    .get("standard_error_missing")
                    .and_then(|reason| serde_json::from_value(reason.clone()).ok())
                    .unwrap_or(NoStandardError::Unstated)),
            },
            object,
        })
    };
    let results = objects.into_iter().map(result).collect::<Option<Vec<_>>>();
    results.filter(|r| !r.is_empty()).ok_or_else(|| fault("holds no results"))
}

/// Whether two results of one metric say the same thing of two candidates.
///
/// # Errors
/// [`Error::Mismatch`] with the first field that differs.
fn check_same(first: &Outcome, other: &Outcome) -> Result<()> {
    let metric = first.metric;
    let at = |result: &Outcome, path: &[&str]| -> Value {
        let mut found = result.object.get(path[0]).cloned().unwrap_or(Value::Null);
        for name in &path[1..] {
            found = found.get(name).cloned().unwrap_or(Value::Null);
        }
        found
    };
    let differ = |field: &str, left: Value, right: Value| -> Error {
        let show = |value: Value, result: &Outcome| match value {
            Value::String(text) => format!("'{text}' ({})", result.name),
            other => format!("{other} ({})", result.name),
        };
        let remedy = format!("{metric} of one and the other are not the same quantity: evaluate both in the same way");
        Error::mismatch(field.to_string(), show(left, first), show(right, other), remedy)
    };
    let same_reference: &[(&str, &[&str])] = match metric {
        Metric::InceptionScore => &[],
        _ => &[("SHA-256 of the reference", &["protocol", "reference", "sha256"])],
    };
    let sizes: &[(&str, &[&str])] = match metric.depends_on_sizes() {
        true => &[("number of points of the reference", &["n"]), ("number of points of the candidate", &["m"])],
        false => &[],
    };
    let fields: &[(&str, &[&str])] = &[
        ("feature map", &["features", "name"]),
        ("SHA-256 of the feature map's weights", &["features", "sha256"]),
        ("preprocessing of the feature map", &["features", "protocol"]),
        ("protocol", &["protocol", "name"]),
        ("subsets", &["protocol", "subsets"]),
        ("random features", &["protocol", "random_features"]),
        ("number of splits", &["protocol", "splits"]),
        ("number of neighbours k", &["protocol", "neighbours"]),
        ("estimator", &["estimator"]),
        ("kernel", &["kernel"]),
        ("precision", &["protocol", "precision"]),
    ];
    for (field, path) in fields.iter().chain(same_reference).chain(sizes) {
        let (left, right) = (at(first, path), at(other, path));
        if left != right {
            return Err(differ(field, left, right));
        }
    }
    Ok(())
}
