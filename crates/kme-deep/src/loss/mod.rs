//! Discrepancies and penalties on tensors, differentiable by the engine's automatic differentiation.
//!
//! The kernels' formulas are those of [`kme::kernel`], evaluated in tensor arithmetic: nothing about a kernel is written here.

mod arithmetic;
mod mmd;
mod penalty;

pub use mmd::{Target, mmd2_biased, mmd2_unbiased, witness_gradient};
pub(crate) use penalty::flat;
pub use penalty::{activation_penalty, gradient_penalty};
