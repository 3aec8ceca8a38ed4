//! What moves towards an embedding, and what is judged.
//!
//! Every way begins with [`Sources`]: names of pictures, points, embeddings and generators become weighted points in one
//! feature map. A request says what is asked of them, and gives a value with all that it found. A [`kme::Observer`] is told of
//! long work, and may stop it.
//!
//! ```no_run
//! use kme_deep::{Context, MatchRequest};
//!
//! let request = MatchRequest { likes: vec!["boot.png".into()], ..MatchRequest::new("fashion") };
//! let matched = request.prepare(&Context::cpu(), &())?.run(&())?;
//! matched.pictures.write_png(0, "like-these.png".as_ref())?;
//! # Ok::<(), kme::Error>(())
//! ```

mod evaluate;
mod judge;
mod range;
mod sample;
mod steer;

// What a user names, as weighted points in one feature map; their embedding.
pub use sample::{
    Cache, Context, EmbedRequest, Embedded, Gallery, Look, Opened, Reader, Repeated, Sample, SourceSettings, Sources,
    Table, common_kernel, groups_of, naming, naming_small,
};

// What is judged: scores of samples against a reference, claims and comparisons; the points that make the difference.
pub use evaluate::Reference;
pub use judge::{
    Claim, Comparison, EvalReport, EvalRequest, Metric, Order, Ranked, RankedSample, Ranking, Score, Side, Verdict,
    compare,
};

// What moves by gradients: divergences and penalties on tensors, and networks that are trained by them.
pub mod loss;
pub mod train;

// Latents that move, and what a generator can reach.
pub use steer::{
    Best, Descent, Distance, Domain, Excess, Far, FarCounts, FarInput, Match, MatchRequest, Matched, PreparedMatch,
    Sight, Span, bandwidth,
};
