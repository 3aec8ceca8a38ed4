//! Printing what a test has found.

use super::{Arguments, Finding, Question, Test, line, name};
use crate::arguments::Global;
use crate::output::{self, fields};
use kme::{Null, Outcome, Result};
use serde_json::json;

/// Prints what was found. False when the claim does not hold.
pub(super) fn report(
    finding: &Finding,
    test: &Test,
    question: Question,
    global: &Global,
    seconds: f64,
) -> Result<bool> {
    let Arguments { alpha, claim, precision, .. } = *test.arguments;
    let Outcome { statistic, p_value, null } = finding.outcome;
    let rejects = finding.outcome.rejects(alpha);
    let (permutations, law) = match null {
        Null::Permutations(count) => (Some(count), format!("{count} permutations")),
        Null::SignFlips(count) => (Some(count), format!("{count} changes of sign")),
        Null::StudentAndPermutations(count) => (Some(count), format!("Student's law and {count} permutations")),
        Null::Student => (None, "Student's law".into()),
    };
    let comparison = if rejects { "<=" } else { ">" };
    let verdict = &finding.verdicts[usize::from(!rejects)];
    let mut text = format!("{verdict}: p = {} {comparison} {alpha}\n", short(p_value));
    let counts: Vec<String> = test.samples.iter().map(|s| s.points.len().to_string()).collect();
    let mut lines = finding.lines.clone();
    lines.push(line("method", format!("{}, {law}", finding.method)));
    lines.push(line("statistic", short(statistic)));
    lines.push(line("points", counts.join(", ")));
    let features = &test.samples[0].features;
    lines.push(line("features", output::features(&features.name, &features.protocol)));
    lines.push(line("seed", test.seed));
    text.push_str(&output::aligned(&lines.into_iter().map(|l| l.to_vec()).collect::<Vec<_>>()));
    if !finding.table.is_empty() {
        text.push('\n');
        text.push_str(&finding.table);
    }
    let side = |i: usize| test.samples[i].provenance(test.texts[i]);
    let mut object = finding.json.clone();
    object.extend(fields(json!({
        "statistic": statistic,
        "p_value": p_value,
        "permutations": permutations,
        "reject": rejects,
        "alpha": alpha,
        "method": finding.method,
        "n": test.points(0).len(),
        "m": test.points(1).len(),
        "features": test.samples[0].features,
        "protocol": {
            "precision": precision,
            "samples": (0..test.samples.len()).map(side).collect::<Vec<_>>(),
        },
        "seconds": seconds,
    })));
    let (rejected, kept) = question.claims();
    let holds = claim.is_none_or(|claim| claim == if rejects { rejected } else { kept });
    if let Some(claim) = claim {
        object.insert("assertions".into(), json!([{ "claim": name(claim), "holds": holds }]));
    }
    output::print(global, &text, object)?;
    if !holds {
        let claim = claim.map(name).unwrap_or_default();
        output::tell(format!("kme: --assert {claim} does not hold: {verdict} (p = {})", short(p_value)));
    } else if !rejects {
        output::remark(global, "That does not prove that there is nothing to find: larger samples might show it.");
    }
    Ok(holds)
}

/// A number with four digits that count.
pub(super) fn short(x: f64) -> String {
    if x == 0.0 || (1e-4..1e6).contains(&x.abs()) {
        let digits = (3 - x.abs().max(1e-4).log10().floor() as i32).clamp(0, 7) as usize;
        let text = format!("{x:.digits$}");
        return if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text };
    }
    format!("{x:.3e}")
}
