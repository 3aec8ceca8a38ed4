//! Printing scores: a row for each candidate, a column for each metric.

use super::Arguments;
use super::metrics::{Metric, Score};
use crate::arguments::Global;
use crate::output::{self, fields, with_error};
use kme::Result;
use serde_json::json;

/// Prints the scores. False when a claim does not hold.
pub fn print(
    scores: &[Score],
    metrics: &[Metric],
    arguments: &Arguments,
    global: &Global,
    seconds: f64,
) -> Result<bool> {
    let mut all_hold = true;
    let mut results = Vec::new();
    for score in scores {
        let name = &arguments.candidates[score.candidate - 1];
        let mut object = score.json(name);
        let mut verdicts = Vec::new();
        for claim in arguments.claims.iter().filter(|claim| claim.metric == score.metric) {
            let (holds, why) = claim.check(score.value, score.standard_error);
            all_hold &= holds;
            if !holds {
                eprintln!("kme: {claim} does not hold at 95 % for {name}: {why}");
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
        _ => fields(json!({ "reference": arguments.reference, "results": results, "seconds": seconds })),
    };
    output::print(global, &table(scores, metrics, arguments, global), json)?;
    let is_unbiased = |score: &&Score| score.kernel.is_some() && score.estimator != "biased";
    if scores.iter().filter(is_unbiased).any(|score| score.value < 0.0) {
        output::remark(
            global,
            "A negative value is no fault: an unbiased estimate scatters around the true MMD^2, and so falls below 0 \
             about half of the time where that is 0.",
        );
    }
    Ok(all_hold)
}

fn table(scores: &[Score], metrics: &[Metric], arguments: &Arguments, global: &Global) -> String {
    let mut rows = vec![vec!["candidate".to_string()]];
    rows[0].extend(metrics.iter().map(|metric| metric.quantity().to_string()));
    rows[0].push("points".into());
    for (i, candidate) in arguments.candidates.iter().enumerate() {
        let own = || scores.iter().filter(move |score| score.candidate == i + 1);
        let mut row = vec![candidate.clone()];
        row.extend(own().map(|score| with_error(score.value, score.standard_error)));
        row.push(own().find_map(|score| score.m).map_or_else(|| "statistics".into(), |m| m.to_string()));
        rows.push(row);
    }
    let mut text = output::aligned(&rows);
    text.push_str("± is a standard error\n");
    for metric in metrics {
        let of_metric: Vec<&Score> = scores.iter().filter(|score| score.metric == *metric).collect();
        if let Some(first) = of_metric.first() {
            text.push_str(&about(first, arguments));
            text.push('\n');
            for (what, of) in [("spread", (|s: &Score| s.spread) as fn(&Score) -> Option<f64>), ("bias", |s| s.bias)] {
                let told: Vec<String> = of_metric
                    .iter()
                    .filter_map(|s| Some(format!("{:.3} ({})", of(s)?, arguments.candidates[s.candidate - 1])))
                    .collect();
                if told.is_empty() {
                    continue;
                }
                let told = told.join(", ");
                let line = match (what, metric) {
                    ("bias", _) => format!(
                        "  too large on average, at these numbers of points, by about {told} or more; it is not subtracted"
                    ),
                    (_, Metric::Kid) => format!("  standard deviation over subsets, which tools print as ±: {told}"),
                    _ => format!("  standard deviation over splits, which tools print as ±: {told}"),
                };
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    let reference = arguments.reference.as_deref().unwrap_or_default();
    let n = scores.iter().find_map(|s| s.n).map_or_else(String::new, |n| format!(" ({n} points)"));
    let features = scores.first().and_then(|s| s.features["name"].as_str()).unwrap_or("unknown");
    text.push_str(&format!("reference {reference}{n}, features {features}, seed {}", global.seed()));
    text
}

/// How a metric was computed, on one line.
fn about(score: &Score, arguments: &Arguments) -> String {
    let mut parts = vec![format!("{}: {}", score.metric.quantity(), score.estimator)];
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
