//! The median heuristic for the length of a kernel.

use crate::points::{Data, Points};
use crate::sums;
use crate::{Error, Result, rng};
use rand_xoshiro::rand_core::Rng as _;

/// The most points whose pairs are looked at.
const MOST: usize = 2000;

/// The median of ‖z−z'‖ over the distinct pairs of all given points together, never of a point with itself.
///
/// Of more than 2000 points, 2000 are drawn without replacement, always the same for the same numbers of points.
///
/// Reference: Gretton et al., "A kernel two-sample test", JMLR 2012, §8.
///
/// # Errors
/// When there are fewer than two points, dimensions differ, or the median is zero (more than half of the pairs
/// coincide).
pub fn median_distance(samples: &[&Points]) -> Result<f64> {
    let total: usize = samples.iter().map(|s| s.len()).sum();
    let Some(first) = samples.first().filter(|_| total >= 2) else {
        return Err(Error::value("number of points", total, "at least 2 for a median distance; give a number instead"));
    };
    let d = first.dim();
    if let Some(other) = samples.iter().find(|s| s.dim() != d) {
        return Err(Error::mismatch("dimension of the points", d, other.dim(), "use the same features for both"));
    }
    let mut chosen: Vec<usize> = (0..total).collect();
    if total > MOST {
        // The first steps of a shuffle.
        let mut rng = rng::stream(0, "median distance", total as u64);
        for i in 0..MOST {
            let step = (u128::from(rng.next_u64()) * (total - i) as u128) >> 64;
            chosen.swap(i, i + step as usize);
        }
        chosen.truncate(MOST);
        chosen.sort_unstable();
    }
    let mut numbers = Vec::with_capacity(chosen.len() * d);
    let (mut sample, mut start) = (0, 0);
    for index in chosen {
        while index - start >= samples[sample].len() {
            start += samples[sample].len();
            sample += 1;
        }
        let row = (index - start) * d..(index - start + 1) * d;
        match samples[sample].data() {
            Data::F32(v) => numbers.extend(v[row].iter().map(|&x| f64::from(x))),
            Data::F64(v) => numbers.extend_from_slice(&v[row]),
        }
    }
    let mut distances = sums::distances(&Points::new(numbers.len() / d, d, Data::F64(numbers))?);
    let count = distances.len();
    let (below, &mut upper, _) = distances.select_nth_unstable_by(count / 2, f64::total_cmp);
    let median = match count % 2 {
        1 => upper,
        _ => (below.iter().copied().fold(0.0, f64::max) + upper) / 2.0,
    };
    if median.is_finite() && median > 0.0 {
        return Ok(median);
    }
    Err(Error::value(
        "median distance of the points",
        median,
        "a number > 0; most points coincide or overflow, so give the length as a number",
    ))
}
