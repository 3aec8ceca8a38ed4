//! Printing scores: a row for each candidate, a column for each metric.

use super::Arguments;
use super::notes::notes;
use crate::arguments::Global;
use crate::output::{self, Table, fields, with_error};
use kme::{NoStandardError, Result};
use kme_deep::{EvalReport, Score, Verdict};
use serde_json::{Value, json};

/// Prints the scores. False when a claim does not hold.
pub(super) fn print(report: &EvalReport, arguments: &Arguments, global: &Global, seconds: f64) -> Result<bool> {
    let scores = &report.scores;
    let mut all_hold = true;
    let mut results = Vec::new();
    for score in scores {
        let name = &report.candidates[score.candidate - 1];
        let mut object = score.json(name);
        let mut verdicts = Vec::new();
        for claim in arguments.claims.iter().filter(|claim| claim.metric == score.metric) {
            let Verdict { holds, why } = claim.verdict(score);
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
        _ => fields(json!({ "reference": report.reference, "results": results, "seconds": seconds })),
    };
    let rows = rows(report);
    let notes = notes(report, arguments, global);
    let text = format!("{}{notes}", output::aligned(&rows));
    let notes = notes.lines().map(|line| format!("{}  \n", line.trim_start())).collect();
    let table = Table { text, csv: csv(report, global), markdown: rows, notes, json };
    table.deliver(arguments.format, arguments.output.as_deref(), global)?;
    remarks(scores, global);
    let mut identical: Vec<usize> = scores.iter().filter(|s| s.is_of_itself()).map(|score| score.candidate).collect();
    identical.dedup();
    for candidate in identical {
        let (name, reference) = (&report.candidates[candidate - 1], report.reference.as_deref().unwrap_or_default());
        output::remark(
            global,
            format!(
                "{name} and {reference} are the same, point by point. Comparing a sample with itself does not judge a generator: unbiased estimates are then below 0, and standard errors mean nothing."
            ),
        );
    }
    // Where rounding hides the scatter it may be all that there is of the value.
    let scatters = |score: &&Score| score.error != Err(NoStandardError::Rounding) && !score.is_of_itself();
    let is_unbiased = |score: &&Score| score.kernel.is_some() && score.estimator != "biased";
    if scores.iter().filter(is_unbiased).any(|score| score.value < 0.0 && scatters(&score)) {
        output::remark(
            global,
            "Negative values are expected: the estimator is unbiased, so when two distributions are equal about half of all \
             estimates fall below 0.",
        );
    }
    Ok(all_hold)
}

/// Says where balls around points have radius 0, which no value of precision, recall, density and coverage shows.
fn remarks(scores: &[Score], global: &Global) {
    let mut told = Vec::new();
    for score in scores {
        let Some(zero) = score.protocol.get("zero_radii") else { continue };
        let k = score.protocol["neighbours"].as_u64().unwrap_or(0);
        for (side, n) in [("reference", score.n), ("candidate", score.m)] {
            let (count, n) = (zero[side].as_u64().unwrap_or(0), n.unwrap_or(0));
            let name = score.protocol[side]["source"].as_str().unwrap_or(side);
            if count as f64 >= ZERO_RADII * n as f64 && count > 0 && !told.contains(&(side, name)) {
                told.push((side, name));
                let holds = match side {
                    "reference" => "nothing for density and coverage, and for precision only candidates that are",
                    _ => "for recall only points of the reference that are",
                };
                let text = format!(
                    "{count} of the {n} balls around points of {name} have radius 0, since {k} or more other points are \
                     equal to the centre. Such a ball holds {holds} equal to its centre."
                );
                output::remark(global, text);
            }
        }
    }
}

/// The part of the balls that may have radius 0 without a remark.
const ZERO_RADII: f64 = 0.01;

/// A row for each candidate, a column for each metric.
fn rows(report: &EvalReport) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["candidate".to_string()]];
    rows[0].extend(report.metrics.iter().map(|metric| metric.quantity().to_string()));
    rows[0].push("points".into());
    // In the order of the scores, which may be sorted.
    for own in report.scores.chunk_by(|a, b| a.candidate == b.candidate) {
        let mut row = vec![report.candidates[own[0].candidate - 1].clone()];
        row.extend(own.iter().map(|score| with_error(score.value, score.error.ok())));
        let m = own.iter().find_map(|score| score.m);
        row.push(m.map_or_else(|| "statistics".into(), |m| m.to_string()));
        rows.push(row);
    }
    rows
}

/// A row for each number, with all that it depends on, in full precision.
fn csv(report: &EvalReport, global: &Global) -> Vec<Vec<String>> {
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
        "preprocessing",
        "features_sha256",
        "decoder",
        "resize",
        "standard_error_missing",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    let number = |x: Option<f64>| x.map_or_else(String::new, output::exact);
    let count = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    for score in &report.scores {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
        rows.push(vec![
            report.reference.clone().unwrap_or_default(),
            report.candidates[score.candidate - 1].clone(),
            score.metric.quantity().into(),
            output::exact(score.value),
            number(score.error.ok()),
            number(score.spread),
            number(score.bias),
            count(score.n),
            count(score.m),
            score.estimator.clone(),
            score.kernel.clone().unwrap_or_default(),
            text(&score.protocol["name"]),
            text(&score.features["name"]),
            global.seed().to_string(),
            text(&score.features["protocol"]),
            text(&score.features["sha256"]),
            score.reading("decoder").unwrap_or_default().into(),
            score.reading("resize").unwrap_or_default().into(),
            score.error.err().map_or_else(String::new, |reason| text(&json!(reason))),
        ]);
    }
    rows
}
