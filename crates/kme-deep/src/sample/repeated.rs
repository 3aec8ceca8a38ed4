//! Remarks on samples in which points repeat: all scores and tests assume independent points.

use kme::Points;
use serde_json::{Map, Value, json};

/// From this part of a sample on, points that are equal to an earlier one are worth a remark.
const MANY: f64 = 0.1;

/// How many points of a sample are equal to an earlier one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Repeated {
    n: usize,
    count: usize,
}

impl Repeated {
    /// Counts the points that are equal to an earlier one.
    pub fn of(points: &Points) -> Self {
        Self { n: points.len(), count: points.view().repeated() }
    }

    /// Whether all points are one.
    pub fn coincide(self) -> bool {
        self.n > 1 && self.count == self.n - 1
    }

    /// Adds the number to what a result records of a sample, where there are any.
    pub fn record(self, told: &mut Map<String, Value>) {
        if self.count > 0 {
            told.insert("repeated".into(), json!(self.count));
        }
    }

    /// A remark on the sample `name`, if it needs one.
    pub fn remark(self, name: &str) -> Option<String> {
        let Self { n, count } = self;
        if self.coincide() {
            return Some(format!(
                "All {n} points of {name} are the same point: the results say how far this point is from the others, but not how its sample scatters."
            ));
        }
        (count as f64 >= MANY * n as f64).then(|| {
            format!(
                "{count} {} of {name} ({n} in all) {} equal to an earlier one. For counts and categories that is normal. If these are copies, standard errors and p-values are too small, because they assume independent points.",
                if count == 1 { "point" } else { "points" },
                if count == 1 { "is" } else { "are" },
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme::Data;

    #[test]
    fn copies_are_told_from_a_tenth_on() {
        let of = |count: usize, n: usize| {
            let rows = (0..n).map(|i| i.saturating_sub(count) as f64).collect();
            Repeated::of(&Points::new(n, 1, Data::F64(rows)).unwrap())
        };
        assert_eq!(of(0, 20).remark("x"), None);
        assert_eq!(of(1, 20).remark("x"), None);
        assert!(of(2, 20).remark("x").unwrap().starts_with("2 points of x (20 in all) are equal"));
        assert!(of(19, 20).remark("x").unwrap().starts_with("All 20 points of x are the same"));
        assert!(!of(0, 1).coincide() && of(0, 1).remark("x").is_none());
    }
}
