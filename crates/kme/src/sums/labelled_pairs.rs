//! How far the long sums of tests by permutation are, for whoever waits for them.

use std::sync::atomic::{AtomicU64, Ordering};

static DONE: AtomicU64 = AtomicU64::new(0);

/// Pairs of points whose kernel value was added up for every labelling since the program began, once for each kernel, on all
/// threads.
///
/// A test by permutation of N pooled points and one kernel adds up about N²/2 pairs, which is nearly all of its time. The
/// number is for showing progress: nothing depends on it.
pub fn labelled_pairs() -> u64 {
    DONE.load(Ordering::Relaxed)
}

pub(super) fn add(pairs: u64) {
    DONE.fetch_add(pairs, Ordering::Relaxed);
}
