//! Kernel mean embeddings: a distribution is a point, and the distance of two distributions is the distance of
//! their points.
//!
//! This crate holds the statistics and needs no neural network: kernels, weighted samples, the engine that sums
//! kernel values, embeddings with their file format, estimators of the maximum mean discrepancy (MMD), and tests.
//!
//! # Example
//! ```
//! use kme::discrepancy::{Estimator, mmd2};
//! use kme::embedding::{Embedding, FeatureIdentity};
//! use kme::points::Data;
//! use kme::sums::Precision;
//! use kme::{Kernel, Points};
//!
//! let x = Points::new(4, 1, Data::F64(vec![0.1, -0.4, 0.3, 0.0]))?;
//! let y = Points::new(4, 1, Data::F64(vec![2.0, 1.7, 2.2, 1.9]))?;
//! let kernel: Kernel = "gaussian:sigma=1".parse()?;
//!
//! // How far apart the two distributions are, by an estimator that is right on average.
//! let estimate = mmd2(&kernel, &x, &y, Estimator::Unbiased, Precision::F64)?;
//! assert!(estimate.value > 1.0);
//!
//! // The same as the distance of two points of a vector space, in which one can also compute.
//! let embed = |p: &Points| Embedding::of_sample(p.clone(), None, kernel.clone(), FeatureIdentity::identity(), None);
//! let (mu, nu) = (embed(&x)?, embed(&y)?);
//! let middle = Embedding::combine(&[(0.5, &mu), (0.5, &nu)])?;
//! let near = middle.mmd2(&mu, Precision::F64)?;
//! assert!((near - mu.mmd2(&nu, Precision::F64)? / 4.0).abs() < 1e-12);
//! # Ok::<(), kme::Error>(())
//! ```

pub mod arith;
pub mod discrepancy;
pub mod embedding;
pub mod error;
pub mod evaluate;
pub mod features;
pub mod inference;
pub mod io;
pub mod kernel;
pub mod neighbours;
pub mod observe;
pub mod points;
pub mod reduce;
pub mod rng;
pub mod standard_error;
pub mod sums;

pub use discrepancy::{Estimator, mmd2};
pub use embedding::Embedding;
pub use error::{Action, Error, Field, Result};
pub use kernel::{Kernel, KernelSpec};
pub use observe::{Observer, Progress};
pub use points::{Points, PointsView};
pub use standard_error::NoStandardError;
pub use sums::Precision;
