//! Kernel mean embeddings: a distribution is a point, and the distance of two distributions is the distance of
//! their points.
//!
//! This crate holds the statistics and needs no neural network: kernels, weighted samples, the engine that sums
//! kernel values, embeddings with their file format, and estimators of the maximum mean discrepancy (MMD).

pub mod arith;
pub mod discrepancy;
pub mod embedding;
pub mod error;
pub mod features;
pub mod io;
pub mod kernel;
pub mod points;
pub mod rng;
pub mod sums;

pub use embedding::Embedding;
pub use error::{Error, Result};
pub use kernel::{Kernel, KernelSpec};
pub use points::Points;
