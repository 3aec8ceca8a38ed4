//! The block test: a two-sample test between the linear-time and the quadratic-time one.

use super::permuted::mmd2_of_labels;
use super::{Outcome, Permutations};
use crate::discrepancy::{Variance, unbiased_with_variance};
use crate::kernel::Kernel;
use crate::points::Points;
use crate::{Error, Result, rng};
use rayon::prelude::*;

/// Result of [`block`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Block {
    /// Its statistic is the mean of the blocks' MMD².
    pub outcome: Outcome,
    /// The mean of the blocks' unbiased MMD².
    pub mmd2: f64,
    /// Of the mean: from the scatter of the blocks if there are 15 or more, else from the variance that each block's own
    /// points show; none if that is 0.
    pub standard_error: Option<f64>,
    /// Number of blocks.
    pub blocks: usize,
    /// Points of x in a block.
    pub block_n: usize,
    /// Points of y in a block.
    pub block_m: usize,
}

/// Fewest blocks whose scatter tells an error.
const SCATTER: usize = 15;

/// Pairs of pooled points within blocks that [`large_block_size`] spends: those of a block of 80 000.
const PAIRS: f64 = 80_000.0 * 80_000.0;

/// The usual number of points of the smaller sample in a block: the root of their number, as in the paper.
pub fn block_size(n: usize, m: usize) -> usize {
    ((n.min(m) as f64).sqrt().floor() as usize).max(2)
}

/// The number of points of the smaller sample in a block for which the test of n and m points takes no longer than a
/// permutation test of 80 000 pooled points, whatever n and m.
///
/// The deviation of the mean under P = Q is proportional to √blocks/N for N pooled points, so these blocks see as much as a
/// permutation test of 56 000 points or more, up to 80 000. (Blocks of √N points of each sample see less than a test of a
/// part of 20 000 points of each, up to N of a million.)
pub fn large_block_size(n: usize, m: usize) -> usize {
    let total = (n + m) as f64;
    let blocks = (total * total / PAIRS).ceil() as usize;
    (n.min(m) / blocks.max(1)).max(2)
}

/// Tests P = Q by the unbiased MMD² of blocks of points.
///
/// Both samples are cut into S = ⌊min(n,m)/size⌋ blocks, of ⌊n/S⌋ and ⌊m/S⌋ points; the statistic is the mean of the
/// blocks' estimates. Under P = Q the pooled points of a block are exchangeable, and the blocks are independent: B times
/// the points of every block are permuted, each block by its own permutation, and p = (b + 1)/(B + 1), where b counts the
/// means that are at least the observed one. That is exact for any sizes, kernel and distribution, where the normal law of
/// the literature is far off for skewed blocks (a cubic kernel and heavy tails: .117 at level .05). Larger blocks see more.
/// Time is O(N·size·B), memory O(size·B/8) bytes a thread beside the points. Which points form a block is drawn by the
/// seed, so the points may be sorted.
///
/// *Shapes*: x (n, d), y (m, d); n and m are free.
///
/// # Errors
/// When dimensions differ, a block would have fewer than 2 points of a sample, or more than there are, there are no
/// permutations, or a sum overflows.
///
/// # Reference
/// Zaremba, Gretton, Blaschko, "B-tests: low variance kernel two-sample tests", NIPS 2013, for the statistic; for
/// permutations within blocks: Pesarin, Salmaso, "Permutation tests for complex data", 2010.
pub fn block(kernel: &Kernel, x: &Points, y: &Points, block_size: usize, permutations: &Permutations) -> Result<Block> {
    x.check_same_dim(y)?;
    let least = x.len().min(y.len());
    if least < 2 {
        return Err(Error::value("number of points", least, "at least 2 of each for the block test"));
    }
    if !(2..=least).contains(&block_size) {
        let allowed = format!("2 to {least}, the points of the smaller sample");
        return Err(Error::value("block size", block_size, allowed));
    }
    permutations.check_count()?;
    let blocks = least / block_size;
    let (seed, precision) = (permutations.seed, permutations.precision);
    let order = |name: &str, n: usize| rng::choose(&mut rng::stream(seed, &format!("blocks of {name}"), 0), n, n);
    let (of_x, of_y) = (order("x", x.len()), order("y", y.len()));
    let (n, m) = (x.len() / blocks, y.len() / blocks);
    let one = |b: usize| -> Result<(f64, Option<Variance>, Vec<f64>)> {
        let (x, y) = (x.select(&of_x[b * n..(b + 1) * n])?, y.select(&of_y[b * m..(b + 1) * m])?);
        let (value, variance) = unbiased_with_variance(kernel, &x, &y, precision)?;
        let labels = permutations.labels(n, m, &format!("permutation of block {b}"))?;
        let mut all = mmd2_of_labels(std::slice::from_ref(kernel), &x, &y, false, &labels, precision)?;
        Ok((value, variance, all.swap_remove(0)))
    };
    let (mut values, mut variances) = (Vec::with_capacity(blocks), Vec::new());
    let mut sums = vec![0.0; permutations.count + 1];
    // Added in the order of the blocks; as many at a time as memory may hold.
    let together = ((1 << 22) / sums.len()).clamp(1, 256);
    for first in (0..blocks).step_by(together) {
        let all: Vec<_> = (first..blocks.min(first + together)).into_par_iter().map(one).collect::<Result<_>>()?;
        for (value, variance, of_labels) in all {
            values.push(value);
            variances.extend(variance);
            sums.iter_mut().zip(of_labels).for_each(|(sum, value)| *sum += value);
        }
    }
    let count = blocks as f64;
    let mean = values.iter().sum::<f64>() / count;
    let standard_error = match blocks >= SCATTER {
        true => Some((values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))).sqrt()),
        false => Variance::mean(&variances)
            .and_then(|v| v.at(n as f64, m as f64).standard_error())
            .map(|error| error / count.sqrt()),
    };
    // Blocks that differ by rounding alone, as of constant samples, do not differ.
    let rounding = 1e-13 * values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let standard_error = standard_error.filter(|e| e.is_finite() && *e > rounding);
    let mut outcome = permutations.outcome(&sums);
    outcome.statistic = mean;
    Ok(Block { outcome, mmd2: mean, standard_error, blocks, block_n: n, block_m: m })
}
