//! Printing scores: a row for each candidate, a column for each metric.

use super::metrics::{Metric, Score};
use super::{Arguments, Subjects};
use crate::arguments::Global;
use crate::output::{self, Table, fields, with_error};
use kme::Result;
use serde_json::json;

/// Prints the scores. False when a claim does not hold.
pub fn print(
    scores: &[Score],
    subjects: &Subjects,
    metrics: &[Metric],
    arguments: &Arguments,
    global: &Global,
    seconds: f64,
) -> Result<bool> {
    let mut all_hold = true;
    let mut results = Vec::new();
    for score in scores {
        let name = &subjects.candidates[score.candidate - 1];
        let mut object = score.json(name);
        let mut verdicts = Vec::new();
        for claim in arguments.claims.iter().filter(|claim| claim.metric == score.metric) {
            let (holds, why) = claim.check(score.value, score.standard_error, score.bounds);
            all_hold &= holds;
            if !holds {
                output::tell(format!("kme: {claim} does not hold at 95 % for {name}: {why}"));
            }
            verdicts.push(json!({ "claim": claim.to_string(), "holds": holds }));
        }
        if !arguments.claims.is_empty() {
            object.insert("assertions".into(), verdicts.into());
        }
        results.push(object);
    }
    let json = match results.len() {
        1 => {
            let mut object = results.swap_remove(0);
            object.insert("seconds".into(), seconds.into());
            object
        }
        _ => fields(json!({ "reference": subjects.reference, "results": results, "seconds": seconds })),
    };
    let rows = rows(scores, subjects, metrics);
    let notes = notes(scores, subjects, metrics, arguments, global);
    let text = format!("{}{notes}", output::aligned(&rows));
    let notes = notes.lines().map(|line| format!("{}  \n", line.trim_start())).collect();
    let table = Table { text, csv: csv(scores, subjects, global), markdown: rows, notes, json };
    table.deliver(arguments.format, arguments.output.as_deref(), global)?;
    let same = |score: &&Score| {
        let of = |side: &str| score.protocol.get(side).map(|origin| &origin["sha256"]);
        of("candidate").is_some_and(|hash| !hash.is_null()) && of("candidate") == of("reference")
    };
    let mut identical: Vec<usize> = scores.iter().filter(same).map(|score| score.candidate).collect();
    identical.dedup();
    for candidate in identical {
        let (name, reference) =
            (&subjects.candidates[candidate - 1], subjects.reference.as_deref().unwrap_or_default());
        output::remark(
            global,
            format!(
                "{name} and {reference} are the same, point by point. A score of a set against itself is no score of a \
                 generator: unbiased estimates are below 0 then, and standard errors have no meaning."
            ),
        );
    }
    let is_unbiased = |score: &&Score| score.kernel.is_some() && score.estimator != "biased";
    if scores.iter().filter(is_unbiased).any(|score| score.value < 0.0 && !same(&score)) {
        output::remark(
            global,
            "A negative value is no fault: an unbiased estimate scatters around the true MMD^2, and so falls below 0 \
             about half of the time where that is 0.",
        );
    }
    Ok(all_hold)
}

/// A row for each candidate, a column for each metric.
fn rows(scores: &[Score], subjects: &Subjects, metrics: &[Metric]) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["candidate".to_string()]];
    rows[0].extend(metrics.iter().map(|metric| metric.quantity().to_string()));
    rows[0].push("points".into());
    // In the order of the scores, which may be sorted.
    for own in scores.chunk_by(|a, b| a.candidate == b.candidate) {
        let mut row = vec![subjects.candidates[own[0].candidate - 1].clone()];
        row.extend(own.iter().map(|score| with_error(score.value, score.standard_error)));
        let m = own.iter().find_map(|score| score.m);
        row.push(m.map_or_else(|| "statistics".into(), |m| m.to_string()));
        rows.push(row);
    }
    rows
}

/// A row for each number, with all that it depends on, in full precision.
fn csv(scores: &[Score], subjects: &Subjects, global: &Global) -> Vec<Vec<String>> {
    let header = [
        "reference",
        "candidate",
        "metric",
        "value",
        "standard_error",
        "spread",
        "bias",
        "n",
        "m",
        "estimator",
        "kernel",
        "protocol",
        "features",
        "seed",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    let number = |x: Option<f64>| x.map_or_else(String::new, output::exact);
    let count = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    for score in scores {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_string();
        rows.push(vec![
            subjects.reference.clone().unwrap_or_default(),
            subjects.candidates[score.candidate - 1].clone(),
            score.metric.quantity().into(),
            output::exact(score.value),
            number(score.standard_error),
            number(score.spread),
            number(score.bias),
            count(score.n),
            count(score.m),
            score.estimator.clone(),
            score.kernel.clone().unwrap_or_default(),
            text(&score.protocol["name"]),
            text(&score.features["name"]),
            global.seed().to_string(),
        ]);
    }
    rows
}

/// What stands below the table.
fn notes(scores: &[Score], subjects: &Subjects, metrics: &[Metric], arguments: &Arguments, global: &Global) -> String {
    let mut text = String::new();
    text.push_str("± is a standard error\n");
    // Metrics that were computed alike share a line.
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for metric in metrics {
        let of_metric: Vec<&Score> = scores.iter().filter(|score| score.metric == *metric).collect();
        let Some(first) = of_metric.first() else { continue };
        let mut line = about(first, arguments);
        let told = |of: fn(&Score) -> Option<f64>| -> Option<String> {
            let each = |s: &&Score| Some(format!("{} ({})", rough(of(s)?), subjects.candidates[s.candidate - 1]));
            let told: Vec<String> = of_metric.iter().filter_map(each).collect();
            (!told.is_empty()).then(|| told.join(", "))
        };
        if let Some(told) = told(|s| s.spread) {
            let over = if *metric == Metric::Kid { "subsets" } else { "splits" };
            line.push_str(&format!("\n  standard deviation over {over}, which tools print as ±: {told}"));
        }
        if let Some(told) = told(|s| s.bias) {
            // That of MMD² is exact on average, that of FID a lower bound.
            let more = if *metric == Metric::Fid { " or more" } else { "" };
            line.push_str(&format!(
                "\n  too large on average, at these numbers of points, by about {told}{more}; it is not subtracted"
            ));
        }
        match lines.last_mut() {
            Some((names, last)) if *last == line => names.push(metric.quantity()),
            _ => lines.push((vec![metric.quantity()], line)),
        }
    }
    for (names, line) in lines {
        text.push_str(&format!("{}: {line}\n", names.join(", ")));
    }
    let reference = subjects.reference.as_deref().unwrap_or("none");
    let n = scores.iter().find_map(|s| s.n).map_or_else(String::new, |n| format!(" ({n} points)"));
    let of = |member: &str| scores.first().and_then(|s| s.features[member].as_str());
    let features = output::features(of("name").unwrap_or("unknown"), of("protocol").unwrap_or_default());
    // Enough digits to see whether two results used the same weights; the JSON has all.
    let weights = scores.first().and_then(|s| s.features["sha256"].as_str()).map(|hash| &hash[..hash.len().min(8)]);
    let weights = weights.map_or_else(String::new, |hash| format!(" (weights {hash}...)"));
    text.push_str(&format!("reference {reference}{n}, features {features}{weights}, seed {}", global.seed()));
    text
}

/// Three digits.
fn rough(value: f64) -> String {
    let size = if value == 0.0 { 0 } else { value.abs().log10().floor() as i32 };
    match (-4..6).contains(&size) {
        true => format!("{value:.*}", (2 - size).clamp(0, 9) as usize),
        false => format!("{value:.2e}"),
    }
}

/// How a metric was computed.
fn about(score: &Score, arguments: &Arguments) -> String {
    let mut parts = vec![score.estimator.clone()];
    if let Some(kernel) = &score.kernel {
        parts[0].push_str(" estimator");
        parts.push(format!("kernel {kernel}"));
    }
    if let Some(k) = score.protocol.get("neighbours") {
        parts.push(format!("k = {k}"));
    }
    if let Some(splits) = score.protocol.get("splits") {
        parts.push(format!("{splits} splits"));
    }
    if let (Some(subsets), Some(seed)) = (score.protocol.get("subsets"), score.protocol.get("seed")) {
        parts.push(format!("{} subsets of {}, seed {seed}", subsets["count"], subsets["size"]));
    }
    parts.push(format!("protocol {}", arguments.protocol));
    parts.join(", ")
}
