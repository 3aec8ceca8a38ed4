//! Results of different runs side by side, if they can be compared at all.

use super::Metric;
use crate::sample::naming;
use kme::NoStandardError;
use kme::internal::{StandardError, io};
use kme::{Error, Field, Result};
use serde_json::{Map, Value};
use std::io::Read;
use std::path::{Path, PathBuf};

/// A result beside the first of its metric.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What both are.
    pub metric: Metric,
    /// The first result.
    pub first: Side,
    /// Another one.
    pub second: Side,
    /// The second value minus the first.
    pub difference: f64,
    /// Its standard error, both taken as independent.
    pub error: StandardError,
    /// The difference in standard errors.
    pub z: Option<f64>,
}

/// One number of a file.
#[derive(Clone, Debug)]
pub struct Side {
    /// Its candidate, and the file.
    pub name: String,
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub error: StandardError,
    metric: Metric,
    object: Map<String, Value>,
}

/// Files of results beyond this size are refused.
const LARGEST: u64 = 64 << 20;

/// For each metric that all files have, every result beside the first. The files hold what [`Score::json`](super::Score::json)
/// gives, alone or several as `results`.
///
/// # Errors
/// [`Error::Format`] when a file holds no results, [`Error::Mismatch`] when no metric is in all of them or two results of a metric
/// were made in different ways.
pub fn compare(files: &[PathBuf]) -> Result<Vec<Comparison>> {
    let all = files.iter().map(|file| read(file)).collect::<Result<Vec<_>>>()?;
    let metrics = |results: &[Side]| -> Vec<Metric> { results.iter().map(|r| r.metric).collect() };
    let Some(first) = all.first() else { return Err(Error::too_few("files", 0, 1, "a comparison")) };
    let mut shared = metrics(first);
    shared.dedup();
    for (results, file) in all.iter().zip(files).skip(1) {
        let other = metrics(results);
        shared.retain(|metric| other.contains(metric));
        if shared.is_empty() {
            let list = |metrics: Vec<Metric>| metrics.iter().map(Metric::to_string).collect::<Vec<_>>().join(", ");
            let fault = Error::mismatch("metric", list(metrics(first)), list(other), "compare results of one metric");
            return Err(naming(fault, files[0].display(), file.display()));
        }
    }
    let (mut done, mut comparisons) = (Vec::new(), Vec::new());
    for metric in shared {
        if done.contains(&metric) {
            continue;
        }
        done.push(metric);
        let mut results = all.iter().flatten().filter(|r| r.metric == metric);
        let Some(first) = results.next() else { continue };
        for second in results {
            check_same(first, second)?;
            let difference = second.value - first.value;
            let error = first.error.and_then(|a| second.error.map(|b| a.hypot(b)));
            let z = error.ok().map(|error| difference / error);
            comparisons.push(Comparison { metric, first: first.clone(), second: second.clone(), difference, error, z });
        }
    }
    if comparisons.is_empty() {
        return Err(Error::too_few("results of a metric", 1, 2, "a comparison").within(files[0].display()));
    }
    Ok(comparisons)
}

/// The results in a file.
fn read(path: &Path) -> Result<Vec<Side>> {
    let (reader, size) = io::open(path)?;
    if size > LARGEST {
        return Err(Error::format(path, format!("{size} bytes are too many for a result")));
    }
    let mut bytes = Vec::new();
    reader.take(LARGEST).read_to_end(&mut bytes).map_err(|e| io::read_error(path, e))?;
    let whole: Value = serde_json::from_slice(&bytes).map_err(|e| Error::unreadable(path, "not a JSON file", e))?;
    let objects = match whole.get("results").and_then(Value::as_array) {
        Some(results) => results.clone(),
        None => vec![whole],
    };
    let result = |object: Value| -> Option<Side> {
        let Value::Object(object) = object else { return None };
        Some(Side {
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
    let results = objects.into_iter().map(result).collect::<Option<Vec<_>>>().filter(|results| !results.is_empty());
    results.ok_or_else(|| Error::format(path, "it holds no results of scores"))
}

/// What two results of a metric must have in common, with its place in their JSON.
const SAME: [(Field, &[&str]); 11] = [
    (Field::FeatureMap, &["features", "name"]),
    (Field::FeatureWeights, &["features", "sha256"]),
    (Field::Preprocessing, &["features", "protocol"]),
    (named("protocol"), &["protocol", "name"]),
    (named("subsets"), &["protocol", "subsets"]),
    (Field::RandomFeatures, &["protocol", "random_features"]),
    (named("number of splits"), &["protocol", "splits"]),
    (named("number of neighbours k"), &["protocol", "neighbours"]),
    (named("estimator"), &["estimator"]),
    (Field::Kernel, &["kernel"]),
    (named("precision"), &["protocol", "precision"]),
];

/// The same of metrics that have a reference.
const REFERENCE: [(Field, &[&str]); 1] = [(named("SHA-256 of the reference"), &["protocol", "reference", "sha256"])];

/// The same of metrics that depend on how many points there are.
const SIZES: [(Field, &[&str]); 2] =
    [(named("number of points of the reference"), &["n"]), (named("number of points of the candidate"), &["m"])];

const fn named(name: &'static str) -> Field {
    Field::Other(std::borrow::Cow::Borrowed(name))
}

/// Whether two results of one metric say the same thing of two candidates.
fn check_same(first: &Side, other: &Side) -> Result<()> {
    let metric = first.metric;
    let at = |result: &Side, path: &[&str]| -> Value {
        let whole = Value::Object(result.object.clone());
        path.iter().try_fold(&whole, |value, name| value.get(name)).cloned().unwrap_or(Value::Null)
    };
    let reference = if metric == Metric::InceptionScore { &[][..] } else { &REFERENCE };
    let sizes = if metric.depends_on_sizes() { &SIZES[..] } else { &[] };
    for (field, path) in SAME.iter().chain(reference).chain(sizes) {
        let (left, right) = (at(first, path), at(other, path));
        if left != right {
            let show = |value: Value| match value {
                Value::String(text) => format!("'{text}'"),
                other => other.to_string(),
            };
            let remedy = format!("these values of {metric} are different quantities: evaluate both in the same way");
            let fault = Error::mismatch(field.clone(), show(left), show(right), remedy);
            return Err(naming(fault, &first.name, &other.name));
        }
    }
    Ok(())
}
