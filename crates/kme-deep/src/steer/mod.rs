//! Steering: moving latent codes, with the generator fixed.

mod descent;
mod domain;
mod doubts;
mod matching;
mod request;

pub use descent::{Best, Descent};
pub use domain::{Distance, Domain, Sight, Span};
pub use doubts::{Excess, Far, FarCounts, FarInput};
pub use matching::{Match, Matched, bandwidth};
pub use request::{MatchRequest, PreparedMatch};
