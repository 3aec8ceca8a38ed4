//! Which pictures of a source are held out of it, where the configuration leaves that to the program.

use kme_image::Digest;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Fewest pictures of which some are held out unasked, the fraction of them, and most of them: a score needs some hundreds.
pub(super) const FEWEST: usize = 500;
const SHARE: f64 = 0.1;
const MOST: f64 = 1000.0;

/// Fewest pictures that can be scored on.
pub(super) const FEWEST_HELD_OUT: usize = 2;

/// The rule by which pictures are held out: the first 64 bits of the SHA-256 of their contents, over 2⁶⁴, are below 0.1, or
/// below 1000/n where that is less. So copies are on one side.
///
/// n is the number of pictures when the run began, and stays that: the rule belongs to the run. What was once learned from is
/// never held out, nor the other way round, however many pictures are added or removed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Split {
    /// n; 0 where none are held out.
    of: usize,
}

impl Split {
    /// The rule of a run that begins with pictures of these contents. None are held out where there are fewer than
    /// [`FEWEST`], or where copies leave fewer than [`FEWEST_HELD_OUT`] different ones on that side, or none on the other.
    pub(crate) fn begin(contents: &[Digest]) -> Self {
        let all = Self { of: contents.len() };
        let held_out: HashSet<&Digest> = contents.iter().filter(|content| all.holds_out(content)).collect();
        let are_some_learned = contents.iter().any(|content| !all.holds_out(content));
        match contents.len() >= FEWEST && held_out.len() >= FEWEST_HELD_OUT && are_some_learned {
            true => all,
            false => Self { of: 0 },
        }
    }

    /// Whether a picture of this content is held out.
    pub(crate) fn holds_out(self, content: &Digest) -> bool {
        let first = u64::from_be_bytes(content[..8].try_into().expect("eight of 32 bytes"));
        self.of > 0 && (first as f64) < SHARE.min(MOST / self.of as f64) * 2_f64.powi(64)
    }

    /// Whether no picture ever is.
    pub(crate) fn holds_out_none(self) -> bool {
        self.of == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contents whose first 64 bits are evenly from all.
    fn contents(n: u64) -> Vec<Digest> {
        let content = |i: u64| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&(i * (u64::MAX / n) + u64::MAX / n / 2).to_be_bytes());
            digest
        };
        (0..n).map(content).collect()
    }

    fn held_out(split: Split, contents: &[Digest]) -> usize {
        contents.iter().filter(|content| split.holds_out(content)).count()
    }

    #[test]
    fn a_tenth_is_held_out_and_a_thousand_at_most() {
        for (n, expected) in [(0, 0), (1, 0), (499, 0), (500, 50), (10_000, 1000), (20_000, 1000), (100_000, 1000)] {
            let all = contents(n);
            assert_eq!(held_out(Split::begin(&all), &all), expected, "{n}");
        }
    }

    #[test]
    fn what_a_run_holds_out_does_not_depend_on_what_is_added_later() {
        for [before, after] in [[450, 520], [520, 450], [20_000, 9_000], [9_000, 20_000]] {
            let split = Split::begin(&contents(before));
            let stored: Split = serde_json::from_str(&serde_json::to_string(&split).unwrap()).unwrap();
            let all = contents(after);
            for content in &all {
                assert_eq!(stored.holds_out(content), split.holds_out(content));
            }
            // Not what a run that begins now would hold out.
            assert_ne!(held_out(split, &all), held_out(Split::begin(&all), &all), "{before} {after}");
        }
    }

    #[test]
    fn copies_never_leave_a_side_empty() {
        let (low, lower, high) = ([0x10; 32], [0x11; 32], [0x80; 32]);
        let all = |some: &[(Digest, usize)]| some.iter().flat_map(|(d, n)| vec![*d; *n]).collect::<Vec<_>>();
        for (some, expected) in [
            (&[(low, 520)][..], 0),
            (&[(high, 520)], 0),
            (&[(high, 519), (low, 1)], 0),
            (&[(high, 400), (low, 120)], 0),
            (&[(low, 260), (lower, 260)], 0),
            (&[(high, 518), (low, 1), (lower, 1)], 2),
        ] {
            let contents = all(some);
            assert_eq!(held_out(Split::begin(&contents), &contents), expected);
        }
    }
}
