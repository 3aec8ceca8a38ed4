//! What stands below the table: how each metric was computed, what its numbers are not, and why an error is missing.

use super::Arguments;
use crate::arguments::Global;
use crate::output;
use kme::NoStandardError;
use kme_deep::{EvalReport, Metric, Score};

/// The lines below the table.
pub(super) fn notes(report: &EvalReport, arguments: &Arguments, global: &Global) -> String {
    let EvalReport { candidates, metrics, scores, .. } = report;
    let mut text = String::new();
    if scores.iter().any(|score| score.error.is_ok()) {
        text.push_str("± is a standard error\n");
    }
    // Metrics that were computed alike share a line.
    let mut lines: Vec<(Vec<&str>, String)> = Vec::new();
    for metric in metrics {
        let of_metric: Vec<&Score> = scores.iter().filter(|score| score.metric == *metric).collect();
        let Some(first) = of_metric.first() else { continue };
        let mut line = about(first, arguments);
        let told = |of: fn(&Score) -> Option<f64>| -> Option<String> {
            let each = |s: &&Score| Some(format!("{} ({})", rough(of(s)?), candidates[s.candidate - 1]));
            let told: Vec<String> = of_metric.iter().filter_map(each).collect();
            (!told.is_empty()).then(|| told.join(", "))
        };
        if let Some(told) = told(|s| s.spread) {
            let over = if *metric == Metric::Kid { "subsets" } else { "splits" };
            line.push_str(&format!("\n  standard deviation over {over}, which tools print as ±: {told}"));
        }
        // Of a set against itself the bias is not what the value is too large by.
        if let Some(told) = told(|s| s.bias.filter(|bias| *bias != 0.0 && !s.is_of_itself())) {
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
    text.push_str(&missing(report));
    let reference = report.reference.as_deref().unwrap_or("none");
    let n = scores.iter().find_map(|s| s.n).map_or_else(String::new, |n| format!(" ({n} points)"));
    let of = |member: &str| scores.first().and_then(|s| s.features[member].as_str());
    let features = output::features(of("name").unwrap_or("unknown"), of("protocol").unwrap_or_default());
    // Enough digits to see whether two results used the same weights; the JSON has all.
    let weights = scores.first().and_then(|s| s.features["sha256"].as_str()).map(|hash| &hash[..hash.len().min(8)]);
    let weights = weights.map_or_else(String::new, |hash| format!(" (weights {hash}...)"));
    if let Some(decoder) = scores.iter().find_map(|score| score.reading("decoder")) {
        // A network's size and way to it stand beside its name below.
        let resize =
            scores.iter().find_map(|score| score.reading("resize")).filter(|resize| !features.contains(resize));
        let resize = resize.map_or_else(String::new, |resize| format!("; resized by {resize}"));
        text.push_str(&format!("pictures: {decoder}{resize}\n"));
    }
    text.push_str(&format!("reference {reference}{n}, features {features}{weights}, seed {}", global.seed()));
    text
}

/// A line for each reason why errors are missing, with the metrics, and the candidates unless it is all of them.
fn missing(report: &EvalReport) -> String {
    let EvalReport { candidates, metrics, scores, .. } = report;
    let mut reasons: Vec<NoStandardError> = Vec::new();
    for reason in scores.iter().filter_map(|score| score.error.err()) {
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    let mut text = String::new();
    for reason in reasons {
        // Metrics that lack it for the same candidates share a bracket.
        let mut groups: Vec<(Vec<&str>, Vec<&str>)> = Vec::new();
        for metric in metrics {
            let of_metric = || scores.iter().filter(|score| score.metric == *metric);
            let lacking: Vec<&Score> = of_metric().filter(|score| score.error == Err(reason)).collect();
            if lacking.is_empty() {
                continue;
            }
            let names = match lacking.len() == of_metric().count() {
                true => Vec::new(),
                false => lacking.iter().map(|score| candidates[score.candidate - 1].as_str()).collect(),
            };
            match groups.last_mut() {
                Some((metrics, last)) if *last == names => metrics.push(metric.quantity()),
                _ => groups.push((vec![metric.quantity()], names)),
            }
        }
        let told = groups.iter().map(|(metrics, names)| match names.is_empty() {
            true => metrics.join(", "),
            false => format!("{} ({})", metrics.join(", "), names.join(", ")),
        });
        text.push_str(&format!("no standard error of {}: {reason}\n", told.collect::<Vec<_>>().join(", ")));
    }
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
