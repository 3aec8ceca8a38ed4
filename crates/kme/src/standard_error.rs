//! Why a number has no standard error.

use std::fmt;

/// A standard error, or why there is none.
pub type StandardError = Result<f64, NoStandardError>;

/// Why a number has no standard error. Prints as a sentence without its dot; in JSON it is its name with hyphens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NoStandardError {
    /// For weighted points no estimate of the variance is known.
    Weights,
    /// A sample, a subset or a block has fewer than 4 points.
    FewPoints,
    /// The linear estimator has fewer than 2 pairs.
    FewPairs,
    /// One split does not scatter.
    OneSplit,
    /// All points of a sample are one point: it says nothing of how points scatter.
    Coincide,
    /// All that the value is a mean of is the same: precision where every point counts, splits that agree.
    Alike,
    /// The scatter is not above the rounding of the numbers that it is a difference of.
    Rounding,
    /// The estimate of the variance, a difference of averages, is below 0, as it may be by chance for few points.
    Chance,
    /// Squares of the numbers overflow.
    Overflow,
    /// Both sides are a mean and a covariance, without points.
    Statistics,
    /// A side is a mean of random features, without points.
    RandomFeatures,
    /// Every nearest neighbour is as near as the next ones, so that none counts as near.
    Ties,
    /// The value is the statistic of a test, whose scatter is that of its permutations: the p-value has it.
    Permutations,
    /// A result from a file that holds neither.
    Unstated,
}

impl fmt::Display for NoStandardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weights => "none is known for points with weights",
            Self::FewPoints => "it needs 4 points of each sample, and of each subset or block",
            Self::FewPairs => "it needs 2 pairs, which is 4 points of each sample",
            Self::OneSplit => "it needs 2 splits, since it is that of their mean",
            Self::Coincide => "all points of a sample are the same, which shows no scatter",
            Self::Alike => "all that is averaged is the same, which shows no scatter",
            Self::Rounding => {
                "the scatter is lost in the rounding of the numbers that are added, and so may be the value"
            }
            Self::Chance => "the estimate of the variance came out below 0, as happens with few points",
            Self::Overflow => "squares of these numbers overflow",
            Self::Statistics => "a mean and a covariance do not show how points scatter",
            Self::RandomFeatures => "a mean of random features does not show how points scatter",
            Self::Ties => "no nearest neighbour is nearer than the next ones",
            Self::Permutations => "the p-value says how it scatters",
            Self::Unstated => "the file holds none, and no reason",
        })
    }
}

/// The two fields of a result: the error, and in its place the reason.
pub(crate) fn fields(error: StandardError) -> (Option<f64>, Option<NoStandardError>) {
    (error.ok(), error.err())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_json() {
        for (reason, name) in
            [(NoStandardError::FewPoints, "\"few-points\""), (NoStandardError::Weights, "\"weights\"")]
        {
            assert_eq!(serde_json::to_string(&reason).unwrap(), name);
            assert_eq!(serde_json::from_str::<NoStandardError>(name).unwrap(), reason);
        }
    }
}
