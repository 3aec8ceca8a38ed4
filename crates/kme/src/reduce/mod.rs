//! Coresets: few points whose embedding stays near that of many.
//!
//! A [`Target`] is the sample X of N points with its embedding μ = Σ wᵢ k(xᵢ,·); each method finds n points whose own
//! embedding ν has a small ‖ν − μ‖². They differ in how they look for them:
//!
//! | method | what it does | time | file |
//! |---|---|---|---|
//! | [`Herding`] | adds points one after another, always the one that brings ν nearest | O(nNd) | `herding` |
//! | [`Thinning`] | halves the sample again and again, keeping both halves alike, then exchanges points | O(N²d), less when compressing | `thinning` |
//! | [`Support`] | moves n points freely until the energy distance is least | O(nNd) for each step | `support` |
//!
//! The embedding of the sample at its own points costs O(N²d) once, tile by tile; no N × N matrix exists. All is in double
//! precision, follows from the seed, and is the same for any number of threads.
//!
//! # Example
//! ```
//! use kme::{Herding, Kernel, Points, Target};
//!
//! let x = Points::try_from((0..100).map(|i| [f64::from(i) / 99.0]).collect::<Vec<_>>())?;
//! let kernel: Kernel = "gaussian:sigma=0.3".parse()?;
//! let target = Target::new(&kernel, &x)?;
//! let few = Herding { exchanges: 1, ..Herding::default() }.reduce(&target, 10)?;
//! // Far nearer than random choices of ten points come.
//! assert!(few.mmd2 < 0.1 * target.random_subsets(10, 100, 0)?.low);
//! # Ok::<(), kme::Error>(())
//! ```

mod greedy;
mod herding;
mod request;
mod support;
mod target;
#[cfg(test)]
mod tests;
mod thinning;
mod weights;

pub use herding::Herding;
pub use request::{Coreset, Reduction, ReductionMethod};
pub use support::Support;
pub use target::{Quantiles, Target};
pub use thinning::Thinning;
pub use weights::Weighting;

use crate::Points;

/// Few points that stand for many.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduced {
    /// Where the points are in the sample, all different: shape (n). None where points were moved.
    pub indices: Option<Vec<usize>>,
    /// Shape (n, d).
    pub points: Points,
    /// Weights ≥ 0 of sum 1: shape (n).
    pub weights: Vec<f64>,
    /// ‖ν − μ‖², the biased MMD² between these points and the whole sample, in double precision. Rounding may leave a
    /// value near −1e-16·k where it is zero.
    pub mmd2: f64,
}
