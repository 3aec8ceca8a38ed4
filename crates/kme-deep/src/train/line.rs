//! A line of events.jsonl, as those who show it read it.

use serde_json::Value;
use std::collections::BTreeMap;

/// What one event says.
pub(super) struct Line {
    pub step: u64,
    /// `step`, `score`, or another kind.
    pub event: String,
    /// Its finite numbers by name.
    pub numbers: BTreeMap<String, f64>,
}

impl Line {
    /// The event that a line holds; none where it is cut short or something else.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_slice(line).ok()? else { return None };
        let (step, event) = (fields.get("step")?.as_u64()?, fields.get("event")?.as_str()?.to_string());
        let number = |(name, value): (String, Value)| Some((name, value.as_f64().filter(|x| x.is_finite())?));
        let numbers = fields.into_iter().filter(|(name, _)| name != "step").filter_map(number).collect();
        Some(Self { step, event, numbers })
    }
}
