//! Kernel mean embeddings: a distribution is a point, and the distance of two distributions is the distance of
//! their points.
//!
//! This crate holds the statistics and needs no neural network: kernels, weighted samples, embeddings with their file
//! format, estimators of the maximum mean discrepancy (MMD), tests, coresets, and the field's scores. Every statistic takes
//! points as a [`PointsView`], which `&Points` and borrowed rows of numbers are.
//!
//! # Example
//! ```
//! use kme::{Embedding, Estimator, Kernel, Points, Precision, mmd2};
//!
//! let x = Points::try_from(vec![[0.1], [-0.4], [0.3], [0.0]])?;
//! let y = Points::try_from(vec![[2.0], [1.7], [2.2], [1.9]])?;
//! let kernel: Kernel = "gaussian:sigma=1".parse()?;
//!
//! // How far apart the two distributions are, by an estimator that is right on average.
//! let estimate = mmd2(&kernel, &x, &y, Estimator::Unbiased, Precision::F64)?;
//! assert!(estimate.value > 1.0);
//!
//! // The same as the distance of two points of a vector space, in which one can also compute.
//! let (mu, nu) = (Embedding::of(&x, kernel.clone())?, Embedding::of(&y, kernel)?);
//! let middle = Embedding::combine(&[(0.5, &mu), (0.5, &nu)])?;
//! let near = middle.mmd2(&mu, Precision::F64)?;
//! assert!((near - mu.mmd2(&nu, Precision::F64)? / 4.0).abs() < 1e-12);
//! # Ok::<(), kme::Error>(())
//! ```

mod arith;
mod discrepancy;
mod embedding;
mod error;
mod evaluate;
mod features;
mod inference;
mod io;
mod kernel;
mod neighbours;
mod observe;
mod points;
mod reduce;
pub mod rng;
mod standard_error;
mod sums;

// Errors, and who watches long work.
pub use error::{Action, Error, Field, Result};
pub use observe::{Observer, Progress};

// Samples: points in memory, borrowed points, and the files that hold them.
pub use points::{
    Array, ArrayRole, Data, DataView, Loaded, NumpyHeader, Points, PointsView, Reading, Refused, Remedy, groups,
    read_weights,
};

// Kernels: their formulas and their text.
pub use kernel::{Definiteness, Form, Kernel, KernelSpec};
pub use sums::Precision;

// Discrepancies: how far apart two samples are, and where.
pub use discrepancy::{
    Estimate, Estimator, LeftOut, Sample, Witness, energy_distance, left_out, median_distance, mmd2, mmd2_paired,
    total_weight,
};
pub use standard_error::NoStandardError;

// Tests: requests first, then each test by itself.
pub use inference::{
    Aggregated, Block, Blocks, Component, Guard, Linear, Marginals, Memorisation, MemorisationTest, Null, Outcome,
    Permutations, Plateau, PlateauRule, Suspect, ThreeSample, ThreeSampleTest, TwoSample, TwoSampleFinding,
    TwoSampleMethod, TwoSampleTest, Verdict, aggregated, block, check_level, collection, linear, memorisation,
    three_sample, three_sample_asymptotic, two_sample,
};

// Coresets: few points that stand for many.
pub use reduce::{
    Coreset, Herding, Quantiles, Reduced, Reduction, ReductionMethod, Support, Target, Thinning, Weighting,
};

// Scores of the field, and the protocols of its tools.
pub use evaluate::{
    Fid, Fitted, InceptionScore, Kid, KidSettings, Manifold, Measured, Prdc, Protocol, Statistics, Subsets, fid,
    inception_score, prdc,
};

// Embeddings: distributions as points of a vector space, and their files.
pub use embedding::{
    AnyEmbedding, Embedding, EmbeddingKind, Expression, ExpressionTerm, FeatureIdentity, FrequencyIdentity,
    MeanEmbedding, Shard,
};
pub use features::{RandomFeatures, Waves};

/// What the other crates of this workspace and the tests of this one need of the engine. It is not part of the public API:
/// anything here may change in any version.
#[doc(hidden)]
pub mod internal {
    pub use crate::arith::Arith;
    pub use crate::evaluate::{Draw, draws, kid_on_draws, symmetric_eigen};
    pub use crate::kernel::{Pair, Slope, Trace};
    pub use crate::neighbours::{kth_nearest, mutual, nearest};
    pub use crate::standard_error::StandardError;

    /// Files that are whole or absent.
    pub mod io {
        pub use crate::io::{
            NewFolder, Wanted, check, discard_abandoned, discard_unfinished, open, read_error, write_atomically,
            write_error,
        };
    }

    /// Stopping where whoever watches asks for it.
    pub mod observe {
        pub use crate::observe::check;
    }

    /// Sums of kernel values over pairs of points.
    pub mod sums {
        pub use crate::sums::{Within, cross, gradients, pairs, rows, within};
    }
}
