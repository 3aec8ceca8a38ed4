//! The block test: a two-sample test between the linear-time and the quadratic-time one.

use super::permuted::mmd2_of_labels;
use super::{Outcome, Permutations};
use crate::discrepancy::{Variance, unbiased_with_variance};
use crate::kernel::Kernel;
use crate::points::PointsView;
use crate::standard_error::{self, NoStandardError};
use crate::sums::Pairs;
use crate::{Error, Result, rng};
use rayon::prelude::*;

/// Result of [`block`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Block {
    /// Its statistic is the mean of the blocks' MMD².
    pub outcome: Outcome,
    /// The kernel of all blocks.
    pub kernel: Kernel,
    /// The mean of the blocks' unbiased MMD².
    pub mmd2: f64,
    /// Of the mean: from the scatter of the blocks if there are 15 or more, else from the variance that each block's own
    /// points show; none if that is 0.
    pub standard_error: Option<f64>,
    /// Why there is no standard error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error_missing: Option<NoStandardError>,
    /// Number of blocks.
    pub blocks: usize,
    /// Points of x in a block.
    pub block_n: usize,
    /// Points of y in a block.
    pub block_m: usize,
}

/// Fewest blocks whose scatter tells an error.
const SCATTER: usize = 15;

/// Pooled points of one block whose pairs are as many as are spent on all blocks.
const POINTS: f64 = 80_000.0;

/// How samples of n and m points are cut into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Number of blocks.
    pub count: usize,
    /// Points of x in a block.
    pub n: usize,
    /// Points of y in a block.
    pub m: usize,
}

impl Blocks {
    /// Blocks of `size` points of the smaller sample, and of as many of the larger one as there are.
    ///
    /// The deviation of a block's MMD² under P = Q is proportional to 1/n + 1/m, so the larger sample soon has next to
    /// nothing to add, while time grows with its square. Where all its points would take longer than a permutation test of
    /// 80 000 pooled points, a part of them is left out, but never so much that it becomes the smaller.
    ///
    /// # Errors
    /// When the size is below 2, or there are fewer points than that.
    pub fn of_size(n: usize, m: usize, size: usize) -> Result<Self> {
        let least = n.min(m);
        if least < 2 {
            return Err(Error::too_few("points", least, 2, "the block test"));
        }
        if !(2..=least).contains(&size) {
            let allowed = format!("from 2 to {least}, the number of points of the smaller sample");
            return Err(Error::parameter("block_size", size, allowed));
        }
        let count = least / size;
        Ok(Self::capped(n, m, count, least / count))
    }

    /// The usual size: the root of the number of points of the smaller sample, as in the paper.
    ///
    /// # Errors
    /// When there are fewer than 2 points of a sample.
    pub fn usual(n: usize, m: usize) -> Result<Self> {
        Self::of_size(n, m, ((n.min(m) as f64).sqrt().floor() as usize).max(2))
    }

    /// The largest blocks for which the test takes no longer than a permutation test of 80 000 pooled points, whatever n
    /// and m.
    ///
    /// The deviation of the mean under P = Q is proportional to (1/n + 1/m)/√count for blocks of n and m points. With as many
    /// of each it is the same for any number of blocks that spends that time: that of a permutation test of 40 000 points of
    /// each sample. So blocks have as many of each where there are so many, and otherwise all of the smaller sample; the
    /// larger their number, the more different points are seen. More points never see less.
    ///
    /// # Errors
    /// When there are fewer than 2 points of a sample.
    pub fn large(n: usize, m: usize) -> Result<Self> {
        let least = n.min(m);
        if least < 2 {
            return Self::of_size(n, m, 2);
        }
        let count = ((2.0 * least as f64 / POINTS).powi(2).floor() as usize).max(1);
        let half = (POINTS / (count as f64).sqrt() / 2.0) as usize;
        Ok(Self::capped(n, m, count, (least / count).min(half.max(2))))
    }

    /// Blocks with `smaller` points of the smaller sample, and so many of the larger that the pairs are not too many.
    fn capped(n: usize, m: usize, count: usize, smaller: usize) -> Self {
        let affordable = (POINTS / (count as f64).sqrt()) as usize;
        let larger = (n.max(m) / count).min(affordable.saturating_sub(smaller).max(smaller));
        let [n, m] = if n <= m { [smaller, larger] } else { [larger, smaller] };
        Self { count, n, m }
    }
}

/// Tests P = Q by the unbiased MMD² of blocks of points.
///
/// Both samples are cut into blocks (see [`Blocks`]); points that fill no block are left out. The statistic is the mean of
/// the blocks' estimates. Under P = Q the pooled points of a block are exchangeable, and the blocks are independent: B times
/// the points of every block are permuted, each block by its own permutation, and p = (b + 1)/(B + 1), where b counts the
/// means that are at least the observed one. That is exact for any sizes, kernel and distribution, where the normal law of
/// the literature is far off for skewed blocks (a cubic kernel and heavy tails: .117 at level .05). Larger blocks see more.
/// Time is O(N·size·B), memory O(size·B/8) bytes a thread beside the points. Which points form a block is drawn by the
/// seed, so the points may be sorted.
///
/// *Shapes*: x (n, d), y (m, d); n and m are free.
///
/// # Errors
/// When dimensions differ, a block would have fewer than 2 points of a sample, or all together more than there are, there
/// are no permutations, or a sum overflows.
///
/// # Reference
/// Zaremba, Gretton, Blaschko, "B-tests: low variance kernel two-sample tests", NIPS 2013, for the statistic; for
/// permutations within blocks: Pesarin, Salmaso, "Permutation tests for complex data", 2010.
pub fn block<'a>(
    kernel: &Kernel,
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    shape: Blocks,
    permutations: &Permutations,
) -> Result<Block> {
    of_views(kernel, x.into(), y.into(), shape, permutations)
}

fn of_views(
    kernel: &Kernel,
    x: PointsView,
    y: PointsView,
    shape: Blocks,
    permutations: &Permutations,
) -> Result<Block> {
    x.check_same_dim(y)?;
    let Blocks { count: blocks, n, m } = shape;
    let fits = |size: usize, all: usize| size >= 2 && blocks.checked_mul(size).is_some_and(|used| used <= all);
    if blocks == 0 || !fits(n, x.len()) || !fits(m, y.len()) {
        let allowed = format!("at least 1, of at least 2 points each, cut from {} and {} points", x.len(), y.len());
        return Err(Error::parameter("blocks", format!("{blocks} of {n} and {m} points"), allowed));
    }
    permutations.check_count()?;
    let (seed, precision) = (permutations.seed, permutations.precision);
    let order = |name: &str, n: usize| rng::choose(&mut rng::stream(seed, &format!("blocks of {name}"), 0), n, n);
    let (of_x, of_y) = (order("x", x.len()), order("y", y.len()));
    let pairs = Pairs::new(permutations.observer, 1, blocks, n + m);
    let one = |b: usize| -> Result<(f64, std::result::Result<Variance, NoStandardError>, Vec<f64>)> {
        let (x, y) = (x.select(&of_x[b * n..(b + 1) * n])?, y.select(&of_y[b * m..(b + 1) * m])?);
        // The labellings first: whoever waits is told by them how long it takes.
        let labels = permutations.labels(n, m, &format!("permutation of block {b}"))?;
        let mut all =
            mmd2_of_labels(std::slice::from_ref(kernel), x.view(), y.view(), false, &labels, precision, &pairs)?;
        let (value, variance) = unbiased_with_variance(kernel, x.view(), y.view(), precision)?;
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
            variances.push(variance);
            sums.iter_mut().zip(of_labels).for_each(|(sum, value)| *sum += value);
        }
    }
    pairs.finish();
    let count = blocks as f64;
    let mean = values.iter().sum::<f64>() / count;
    let error = match blocks >= SCATTER {
        true => Ok((values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))).sqrt()),
        false => Variance::mean(&variances)
            .and_then(|v| v.at(n as f64, m as f64).standard_error())
            .map(|error| error / count.sqrt()),
    };
    // Blocks that differ by rounding alone, as of constant samples, do not differ.
    let rounding = 1e-13 * values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let error = error.and_then(|error| match error {
        _ if x.coincide() && y.coincide() => Err(NoStandardError::Coincide),
        error if !error.is_finite() => Err(NoStandardError::Overflow),
        error if error <= rounding => Err(NoStandardError::Alike),
        error => Ok(error),
    });
    let (standard_error, standard_error_missing) = standard_error::fields(error);
    let mut outcome = permutations.outcome(&sums);
    outcome.statistic = mean;
    let kernel = kernel.clone();
    Ok(Block { outcome, kernel, mmd2: mean, standard_error, standard_error_missing, blocks, block_n: n, block_m: m })
}
