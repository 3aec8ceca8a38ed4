//! Steering: moving latent codes, with the generator fixed.

mod domain;
mod matching;

pub use domain::{Distance, Domain, Sight, Span};
pub use matching::{Match, Matched, Progress, bandwidth};
