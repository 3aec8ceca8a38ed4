//! The median heuristic for the length of a kernel.

use crate::kernel::{Kernel, KernelSpec};
use crate::points::{Points, PointsView};
use crate::sums;
use crate::{Error, Result, rng};

/// The most points whose pairs are looked at.
const MOST: usize = 2000;

/// The median of ‖z−z'‖ over the distinct pairs of all given points together, never of a point with itself.
///
/// Of more than 2000 points, 2000 are drawn without replacement by a fixed seed: always the same places for the same
/// number of points, so that the median of so many points depends, a little, on their order. It is a heuristic, and what
/// it finds is recorded in the kernel.
///
/// Reference: Gretton et al., "A kernel two-sample test", JMLR 2012, §8.
///
/// # Errors
/// When there are fewer than two points, dimensions differ, or the median is zero (more than half of the pairs
/// coincide).
pub fn median_distance<'a, P: Copy + Into<PointsView<'a>>>(samples: &[P]) -> Result<f64> {
    median(some_distances(&samples.iter().map(|sample| (*sample).into()).collect::<Vec<_>>())?)
}

impl KernelSpec {
    /// The kernel for these samples; a median is the [`median_distance`] of all their points together.
    ///
    /// # Errors
    /// When there are no samples, a parameter is outside its range, or a median cannot be taken.
    pub fn resolve_for<'a, P: Copy + Into<PointsView<'a>>>(&self, samples: &[P]) -> Result<Kernel> {
        let first = samples.first().ok_or_else(|| Error::too_few("samples", 0, 1, "a kernel for them"))?;
        self.resolve((*first).into().dim(), || median_distance(samples))
    }
}

fn median(mut distances: Vec<f64>) -> Result<f64> {
    let count = distances.len();
    let (below, &mut upper, _) = distances.select_nth_unstable_by(count / 2, f64::total_cmp);
    let median = match count % 2 {
        1 => upper,
        _ => (below.iter().copied().fold(0.0, f64::max) + upper) / 2.0,
    };
    if median.is_finite() && median > 0.0 {
        return Ok(median);
    }
    let what = "median distance of the points";
    Err(match median.is_finite() {
        true => Error::value(what, median, "greater than 0: most points coincide, so give the length as a number"),
        false => Error::not_finite(what, median, "rescale the points, or give the length as a number"),
    })
}

/// ‖z−z'‖ over the distinct pairs of all given points together, or of those that [`median_distance`] draws from them.
pub(crate) fn some_distances(samples: &[PointsView]) -> Result<Vec<f64>> {
    let total: usize = samples.iter().map(|s| s.len()).sum();
    if total < 2 {
        return Err(Error::too_few("points", total, 2, "a median distance"));
    }
    let mut chosen = rng::choose(&mut rng::stream(0, "median distance", total as u64), total, total.min(MOST));
    chosen.sort_unstable();
    let mut parts = Vec::new();
    let (mut chosen, mut start) = (chosen.as_slice(), 0);
    for sample in samples {
        let (own, others) = chosen.split_at(chosen.partition_point(|i| *i < start + sample.len()));
        if !own.is_empty() {
            parts.push(sample.select(&own.iter().map(|i| i - start).collect::<Vec<_>>())?);
        }
        (chosen, start) = (others, start + sample.len());
    }
    Ok(sums::distances(Points::concat(&parts.iter().collect::<Vec<_>>())?.view()))
}
