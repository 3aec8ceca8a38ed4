//! Claims on scores: what should hold at 95 %.

use super::{Metric, Score};
use kme::internal::StandardError;
use kme::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// `METRIC<BOUND` or `METRIC>BOUND`.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// What it is about.
    pub metric: Metric,
    below: bool,
    bound: f64,
}

/// The 95 % quantile of the standard normal distribution.
const QUANTILE: f64 = 1.644_853_626_951_472_7;

/// Whether a claim holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Whether it holds at 95 %.
    pub holds: bool,
    /// The comparison in words.
    pub why: String,
}

impl Claim {
    /// Whether the claim holds of a score of its metric.
    pub fn verdict(&self, score: &Score) -> Verdict {
        let (holds, why) = self.check(score.value, score.error, score.bounds);
        Verdict { holds, why }
    }

    /// Whether the claim is established at 95 % by a value with its standard error, and the comparison in words.
    ///
    /// The test of the claim's opposite is rejected at level 5 %: by the bounds of the value where it has some, otherwise with
    /// the value taken as normal around the truth. Without a standard error the value alone is compared.
    fn check(&self, value: f64, error: StandardError, bounds: Option<[f64; 2]>) -> (bool, String) {
        let margin = QUANTILE * error.unwrap_or(0.0);
        let [lower, upper] = bounds.unwrap_or([value - margin, value + margin]);
        let (end, sign, side) = if self.below { (upper, '+', "upper") } else { (lower, '-', "lower") };
        let holds = if self.below { end < self.bound } else { end > self.bound };
        let why = match (error, bounds) {
            (_, Some(_)) => format!("the value is {value:.6}, its {side} bound at 95 % is {end:.6}"),
            (Ok(error), None) => format!("{value:.6} {sign} 1.645 * {error:.6} = {end:.6}"),
            (Err(reason), None) => format!("the value is {value:.6} (no standard error: {reason})"),
        };
        (holds, why)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.metric, if self.below { '<' } else { '>' }, self.bound)
    }
}

impl FromStr for Claim {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fault = || Error::syntax("claim", text, "write METRIC<NUMBER or METRIC>NUMBER, such as kid<0.01");
        let (place, below) = match (text.find('<'), text.find('>')) {
            (Some(i), None) => (i, true),
            (None, Some(i)) => (i, false),
            _ => return Err(fault()),
        };
        let metric = text[..place].parse().map_err(|_| fault())?;
        let bound = text[place + 1..].trim().parse::<f64>().ok().filter(|b| b.is_finite()).ok_or_else(fault)?;
        Ok(Self { metric, below, bound })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme::NoStandardError;

    #[test]
    fn claims_are_parsed() {
        let claim: Claim = "kid<0.01".parse().unwrap();
        assert_eq!(claim, Claim { metric: Metric::Kid, below: true, bound: 0.01 });
        assert_eq!("mmd > -1e-3".parse::<Claim>().unwrap().to_string(), "mmd>-0.001");
        for wrong in ["", "kid", "kid=1", "kid<=1", "kid<", "fdi<1", "prdc<1", "kid<nan", "0<kid", "kid<1<2", "kid<>1"]
        {
            let fault = wrong.parse::<Claim>().unwrap_err().to_string();
            assert!(fault.contains("such as kid<0.01"), "{wrong}: {fault}");
        }
    }

    #[test]
    fn the_standard_error_counts() {
        let claim: Claim = "kid<0.01".parse().unwrap();
        assert!(claim.check(0.008, Err(NoStandardError::Weights), None).0);
        assert!(claim.check(0.008, Ok(0.001), None).0);
        assert!(!claim.check(0.008, Ok(0.002), None).0);
        let claim: Claim = "mmd>0".parse().unwrap();
        assert!(claim.check(0.004, Ok(0.002), None).0);
        assert!(!claim.check(0.003, Ok(0.002), None).0);
        assert!(!claim.check(f64::NAN, Err(NoStandardError::Weights), None).0);
        // Bounds count in the place of standard errors.
        assert!(claim.check(0.003, Ok(0.002), Some([0.001, 0.009])).0);
        assert!(!claim.check(0.003, Ok(0.0), Some([-0.001, 0.009])).0);
        let claim: Claim = "kid<0.01".parse().unwrap();
        assert!(!claim.check(0.008, Ok(0.001), Some([0.006, 0.011])).0);
    }
}
