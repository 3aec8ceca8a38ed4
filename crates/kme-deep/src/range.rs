//! Numbers of a configuration that must lie within a range.

use kme::{Error, Result};
use std::ops::RangeInclusive;

/// Refuses a whole number outside `range`.
pub(crate) fn count(key: &str, value: u64, range: RangeInclusive<u64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::parameter(key.to_string(), value, format!("from {} to {}", range.start(), range.end())))
}

/// Refuses a number outside `range`.
pub(crate) fn within(key: &str, value: f64, range: RangeInclusive<f64>) -> Result<()> {
    if range.contains(&value) {
        return Ok(());
    }
    let [value, least, most] = [value, *range.start(), *range.end()].map(short);
    Err(Error::parameter(key.to_string(), value, format!("from {least} to {most}")))
}

/// A number without rows of zeros.
fn short(x: f64) -> String {
    if x == 0.0 || (1e-4..1e7).contains(&x.abs()) { x.to_string() } else { format!("{x:e}") }
}
