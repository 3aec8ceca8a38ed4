//! What can be computed, and a computed number with all that it depends on.

use kme::internal::StandardError;
use kme::{Error, Result};
use serde_json::{Map, Value, json};
use std::fmt;
use std::str::FromStr;

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Metric {
    /// The kernel inception distance: MMD² with the kernel (⟨x,y⟩/d + 1)³.
    Kid,
    /// The Fréchet inception distance.
    Fid,
    /// The inception score.
    InceptionScore,
    /// MMD² with a kernel of choice.
    Mmd,
    /// 1000 times the biased MMD² of vectors of unit length with a Gaussian kernel of width 10.
    Cmmd,
    /// Candidates that lie in balls around the reference.
    Precision,
    /// Points of the reference that lie in balls around candidates.
    Recall,
    /// Balls around the reference that hold a candidate, per neighbour.
    Density,
    /// Balls around the reference that hold a candidate at all.
    Coverage,
}

impl Metric {
    /// Each with what it is called in flags and what the quantity is called.
    const ALL: [(Self, &'static str, &'static str); 9] = [
        (Self::Kid, "kid", "kid"),
        (Self::Fid, "fid", "fid"),
        (Self::InceptionScore, "is", "inception_score"),
        (Self::Mmd, "mmd", "mmd2"),
        (Self::Cmmd, "cmmd", "cmmd"),
        (Self::Precision, "precision", "precision"),
        (Self::Recall, "recall", "recall"),
        (Self::Density, "density", "density"),
        (Self::Coverage, "coverage", "coverage"),
    ];

    /// The four that balls around points give.
    pub const PRDC: [Self; 4] = [Self::Precision, Self::Recall, Self::Density, Self::Coverage];

    /// The field's name of the quantity.
    pub fn quantity(self) -> &'static str {
        Self::ALL.iter().find(|(metric, ..)| *metric == self).expect("every metric is listed").2
    }

    /// Whether its value changes with the numbers of points even where the distributions do not.
    pub fn depends_on_sizes(self) -> bool {
        !matches!(self, Self::Kid | Self::Mmd)
    }

    /// Whether more is better: of the others less is.
    pub fn is_better_large(self) -> bool {
        self == Self::InceptionScore || Self::PRDC.contains(&self)
    }

    /// The metric of a quantity.
    pub fn of_quantity(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(.., quantity)| *quantity == name).map(|(metric, ..)| *metric)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ALL.iter().find(|(metric, ..)| metric == self).expect("every metric is listed").1)
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let typed = text.trim().to_ascii_lowercase();
        match Self::ALL.iter().find(|(_, name, quantity)| [*name, *quantity].contains(&typed.as_str())) {
            Some((metric, ..)) => Ok(*metric),
            None => Err(Error::unknown("metric", text, Self::ALL.map(|(_, name, _)| name).into_iter().chain(["prdc"]))),
        }
    }
}

/// One number that was asked for, with all that it depends on.
#[derive(Clone, Debug)]
pub struct Score {
    /// Which number it is.
    pub metric: Metric,
    /// Its place among the sources, from 1.
    pub candidate: usize,
    /// The number.
    pub value: f64,
    /// Its standard error, or why there is none.
    pub error: StandardError,
    /// Lower and upper bound, each at 95 % on its own, where they are more than value ± 1.645 standard errors.
    pub bounds: Option<[f64; 2]>,
    /// What tools print as ±: the standard deviation over subsets or splits.
    pub spread: Option<f64>,
    /// By how much the value is too large on average.
    pub bias: Option<f64>,
    /// How it was computed, in words.
    pub estimator: String,
    /// The kernel, where there is one.
    pub kernel: Option<String>,
    /// Number of points of the reference.
    pub n: Option<u64>,
    /// Number of points of the candidate.
    pub m: Option<u64>,
    /// Where both sides come from and how the number was computed, as it stands in the JSON.
    pub protocol: Map<String, Value>,
    /// The feature map, as it stands in the JSON.
    pub features: Value,
    /// Seconds that it took.
    pub seconds: f64,
}

impl Score {
    /// Whether the candidate is the reference, point by point.
    pub fn is_of_itself(&self) -> bool {
        let of = |side: &str| self.protocol.get(side).map(|origin| &origin["sha256"]);
        of("candidate").is_some_and(|hash| !hash.is_null()) && of("candidate") == of("reference")
    }

    /// How pictures were read (`decoder`) or brought to their size (`resize`): those of the candidate, else of the reference.
    pub fn reading(&self, what: &str) -> Option<&str> {
        ["candidate", "reference"].iter().find_map(|side| self.protocol.get(*side)?[what].as_str())
    }

    /// All fields but those of the whole run.
    pub fn json(&self, candidate: &str) -> Map<String, Value> {
        let mut object = fields(json!({
            "metric": self.metric.quantity(),
            "candidate": candidate,
            "value": self.value,
            "standard_error": self.error.ok(),
            "estimator": self.estimator,
            "kernel": self.kernel,
            "n": self.n,
            "m": self.m,
            "features": self.features,
            "protocol": self.protocol,
            "seconds": self.seconds,
        }));
        for (name, value) in [("spread", self.spread), ("bias", self.bias)] {
            if let Some(value) = value {
                object.insert(name.into(), value.into());
            }
        }
        if let Err(reason) = self.error {
            object.insert("standard_error_missing".into(), json!(reason));
        }
        if let Some(bounds) = self.bounds {
            object.insert("bounds".into(), json!(bounds));
        }
        object
    }
}

/// The fields of a JSON object, from `json!({ ... })`.
pub(super) fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_string(), other)]),
    }
}
