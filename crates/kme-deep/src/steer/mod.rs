//! Steering: moving latent codes, with the generator fixed.

mod matching;

pub use matching::{Match, Matched, bandwidth};
