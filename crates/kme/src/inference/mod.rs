//! Hypothesis tests: are two distributions the same, which of two is nearer to a third, are samples copies?
//!
//! Each file is one test; each is a function of points that returns a struct with an [`Outcome`] and what is specific
//! to the test.
//!
//! | test | null hypothesis H₀ | p-value | cost in pairs of points |
//! |---|---|---|---|
//! | [`two_sample`] | P = Q | permutations, exact | N² |
//! | [`aggregated`] | P = Q | permutations, exact, adapted to the scale of the difference | N² for each kernel |
//! | [`block`] | P = Q | permutations within blocks, exact | N·(points in a block) |
//! | [`linear`] | P = Q | changes of sign, exact | N |
//! | [`three_sample`] | MMD(P,Q) ≥ MMD(P,R) | asymptotic, and permutations, exact for Q = R | n² |
//! | [`memorisation`] | training and held-out points are exchangeable given the samples | permutations, exact | n·N |
//!
//! [`Plateau`] applies the three-sample test to the samples of a model in training, and tells when its learning rate is
//! to fall.
//!
//! A test by permutations with B permutations has p = (b + 1)/(B + 1), where b counts the permuted statistics that are
//! at least the observed one (ties count): under H₀ the observed labelling and the B random ones are exchangeable, so
//! P(p ≤ α) ≤ α for every sample size, kernel and distribution, and p is never 0. Reference: Phipson, Smyth,
//! "Permutation p-values should never be zero", 2010; Hemerik, Goeman, "Exact testing with random permutations", 2018.

mod aggregated;
mod block;
mod linear;
mod marginals;
mod memorisation;
mod permuted;
mod plateau;
mod request;
mod skewness;
#[cfg(test)]
mod tests;
mod three_sample;
mod two_sample;

pub use aggregated::{Aggregated, Component, aggregated, collection};
pub use block::{Block, Blocks, block};
pub use linear::{Linear, linear};
pub use marginals::Marginals;
pub use memorisation::{Memorisation, Suspect, memorisation};
pub use permuted::Permutations;
pub use plateau::{Plateau, PlateauRule, Verdict};
pub use request::{MemorisationTest, ThreeSampleTest, TwoSampleFinding, TwoSampleMethod, TwoSampleTest};
pub use three_sample::{Guard, ThreeSample, three_sample, three_sample_asymptotic};
pub use two_sample::{TwoSample, two_sample};

use crate::points::PointsView;
use crate::sums::{self, About, Precision};
use crate::{Error, Result};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// What every test finds.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Outcome {
    /// The number whose size decides.
    pub statistic: f64,
    /// The probability, under the null hypothesis, of a statistic at least as extreme; in (0, 1].
    pub p_value: f64,
    /// Where the distribution of the statistic under the null hypothesis is taken from.
    pub null: Null,
}

/// The distribution of a statistic under the null hypothesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Null {
    /// That of this many random permutations and the observed labelling.
    Permutations(usize),
    /// That of this many random changes of sign.
    SignFlips(usize),
    /// Student's law.
    Student,
    /// Student's law and that of this many random permutations, see [`three_sample()`].
    StudentAndPermutations(usize),
}

impl Outcome {
    /// Whether the null hypothesis is rejected at level `alpha`: p ≤ α.
    pub fn rejects(&self, alpha: f64) -> bool {
        self.p_value <= alpha
    }
}

/// P(t ≤ z) under Student's law with these degrees of freedom, never 0: the tail beyond double precision counts as its
/// smallest number.
fn student_cdf(z: f64, freedom: f64) -> f64 {
    /// Where the normal law is Student's to twelve digits of the tails that matter, and beyond.
    const NORMAL: f64 = 1e9;
    if z.is_infinite() {
        return if z > 0.0 { 1.0 } else { f64::MIN_POSITIVE };
    }
    let p = match freedom {
        _ if freedom < NORMAL => StudentsT::new(0.0, 1.0, freedom.max(1.0)).map_or(1.0, |law| law.cdf(z)),
        _ => Normal::standard().cdf(z),
    };
    p.clamp(f64::MIN_POSITIVE, 1.0)
}

/// The level of a test.
///
/// # Errors
/// When it is not between 0 and 1.
pub fn check_level(alpha: f64) -> Result<()> {
    match alpha > 0.0 && alpha < 1.0 {
        true => Ok(()),
        false => Err(Error::parameter("alpha", alpha, "between 0 and 1, such as 0.05")),
    }
}

/// A median of k over the pairs of one sample: a constant cancels in every statistic and variance here, but
/// small differences of large sums do not keep their digits.
fn typical_value<'a>(about: impl Into<About<'a>>, points: PointsView) -> Result<f64> {
    const FEW: usize = 64;
    let n = points.len();
    let some: Vec<(usize, usize)> = (0..FEW).map(|i| (i * n / FEW, (i * n / FEW + n / 2) % n)).collect();
    let mut values = sums::pairs_about(about, points, points, &some)?;
    let median = *values.select_nth_unstable_by(FEW / 2, f64::total_cmp).1;
    Ok(Precision::F32.round(median))
}
