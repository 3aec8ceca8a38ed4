//! How far a test is, for whoever waits for it.

use super::{Method, Question, Test};
use crate::arguments::Global;
use crate::progress::{self, Polled};
use kme::{inference, sums};

impl Test<'_> {
    /// Shows how far the sums over all labellings are, which take nearly all of the time. The test of memorisation and the
    /// linear one have none.
    pub(super) fn progress(&self, question: Question, global: &Global) -> Option<Polled> {
        /// Pairs that are one step of the bar.
        const STEP: f64 = 1e6;
        const SMALLER: &str = "--precision f32 and fewer --permutations are faster, --method block with a small \
                               --block-size is much faster but sees less";
        let pairs = |count: usize| (count as f64).powi(2) / 2.0;
        let (x, y) = (self.points(0).len(), self.points(1).len());
        let (total, instead) = match (question, self.method()) {
            (Question::Memorisation, _) | (Question::TwoSamples, Method::Linear) => return None,
            (Question::TwoSamples, Method::Aggregated) => {
                let kernels = match self.arguments.kernels.len() {
                    0 => inference::COLLECTION,
                    given => given,
                };
                (
                    kernels as f64 * pairs(x + y),
                    "--method permutation takes one kernel; --precision f32 and fewer --permutations are faster too",
                )
            }
            (Question::TwoSamples, Method::Permutation) => (pairs(x + y), SMALLER),
            (Question::TwoSamples, Method::Block) => {
                let blocks = self.blocks().ok()?;
                (blocks.count as f64 * pairs(blocks.n + blocks.m), SMALLER)
            }
            (Question::ThreeSamples, _) => {
                (pairs(y + self.points(2).len()), "--precision f32 and fewer --permutations are faster")
            }
        };
        let before = sums::labelled_pairs();
        let done = move || (sums::labelled_pairs() - before) as f64 / STEP;
        let steps = (total / STEP).round() as u64;
        (steps > 0).then(|| progress::polled(global, steps, "million pairs of points", instead, done))
    }
}
