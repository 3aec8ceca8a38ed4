//! What to do about a test that takes long.

use super::{Question, Test};
use kme::TwoSampleMethod;

impl Test<'_> {
    /// What would be faster. The test of memorisation and the linear one never take long.
    pub(super) fn faster(&self, question: Question) -> Option<&'static str> {
        const SMALLER: &str = "--precision f32 and fewer --permutations are faster, --method block with a small \
                               --block-size is much faster but sees less";
        match (question, self.method()) {
            (Question::Memorisation, _) | (Question::TwoSamples, TwoSampleMethod::Linear) => None,
            (Question::TwoSamples, TwoSampleMethod::Aggregated) => {
                Some("--method permutation takes one kernel; --precision f32 and fewer --permutations are faster too")
            }
            (Question::TwoSamples, TwoSampleMethod::Permutation | TwoSampleMethod::Block) => Some(SMALLER),
            (Question::ThreeSamples, _) => Some("--precision f32 and fewer --permutations are faster"),
        }
    }
}
