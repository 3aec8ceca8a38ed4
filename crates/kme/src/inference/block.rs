//! The block test: a two-sample test between the linear-time and the quadratic-time one.

use super::Outcome;
use crate::discrepancy::{Estimator, mmd2};
use crate::kernel::Kernel;
use crate::points::Points;
use crate::sums::Precision;
use crate::{Error, Result, rng};
use rayon::prelude::*;

/// Result of [`block`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Block {
    /// Its statistic is the mean over its standard error, freed of skewness.
    pub outcome: Outcome,
    /// The mean of the blocks' unbiased MMD².
    pub mmd2: f64,
    /// Of the mean, from the scatter of the blocks; none if they do not differ.
    pub standard_error: Option<f64>,
    /// Number of blocks.
    pub blocks: usize,
    /// Points of x in a block.
    pub block_n: usize,
    /// Points of y in a block.
    pub block_m: usize,
}

/// Fewest blocks: the mean of fewer is not yet near a normal law with estimated variance.
const LEAST: usize = 15;

/// The usual number of points of the smaller sample in a block: the root of their number, as in the paper.
pub fn block_size(n: usize, m: usize) -> usize {
    ((n.min(m) as f64).sqrt().floor() as usize).max(2)
}

/// Tests MMD(P,Q) = 0 by the unbiased MMD² of blocks of points.
///
/// Both samples are cut into S = ⌊min(n,m)/size⌋ blocks, of ⌊n/S⌋ and ⌊m/S⌋ points. The blocks' estimates ηₛ are independent
/// with mean MMD², so z = √S·η̄/deviation is asymptotically normal whether or not P = Q. Under P = Q a block's estimate is
/// skewed to the right, by up to √8, which makes 1 − Φ(z) far too large for hundreds of blocks; so the statistic is
///
/// g(z) = z + γ·(z²/3 + 1/6) + γ²z³/27, γ = skewness of the ηₛ/√S,
///
/// which is normal to second order and z itself for many blocks, and p = 1 − Φ(g(z)). Larger blocks see more. Time is
/// O(N·size), memory O(size) a thread beside the points. Which points form a block is drawn by `seed`, so the points may be
/// sorted.
///
/// *Shapes*: x (n, d), y (m, d); n and m are free.
///
/// # Errors
/// When dimensions differ, a block would have fewer than 2 points, there are fewer than 15 blocks, or a sum overflows.
///
/// # Reference
/// Zaremba, Gretton, Blaschko, "B-tests: low variance kernel two-sample tests", NIPS 2013; for g: Hall, "On the removal of
/// skewness by transformation", J. Royal Statistical Society B 54, 1992.
pub fn block(
    kernel: &Kernel,
    x: &Points,
    y: &Points,
    block_size: usize,
    seed: u64,
    precision: Precision,
) -> Result<Block> {
    x.check_same_dim(y)?;
    let least = x.len().min(y.len());
    if block_size < 2 {
        return Err(Error::value("block size", block_size, "at least 2 points"));
    }
    let blocks = least / block_size;
    if blocks < LEAST {
        let allowed = format!("at most {}: {LEAST} blocks or more of the {least} points", (least / LEAST).max(2));
        let least_points = 2 * LEAST;
        return Err(match least < least_points {
            true => Error::value("number of points", least, format!("at least {least_points} for the block test")),
            false => Error::value("block size", block_size, allowed),
        });
    }
    let order = |name: &str, n: usize| rng::choose(&mut rng::stream(seed, &format!("blocks of {name}"), 0), n, n);
    let (of_x, of_y) = (order("x", x.len()), order("y", y.len()));
    let (n, m) = (x.len() / blocks, y.len() / blocks);
    let value = |b: usize| {
        let (x, y) = (x.select(&of_x[b * n..(b + 1) * n])?, y.select(&of_y[b * m..(b + 1) * m])?);
        Ok(mmd2(kernel, &x, &y, Estimator::Unbiased, precision)?.value)
    };
    let values: Vec<f64> = (0..blocks).into_par_iter().map(value).collect::<Result<_>>()?;
    let count = blocks as f64;
    let mean = values.iter().sum::<f64>() / count;
    let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count * (count - 1.0))).sqrt();
    let standard_error = Some(error).filter(|e| e.is_finite() && *e > 0.0);
    let z = match standard_error {
        Some(error) => without_skewness(mean / error, &values, mean),
        None if mean > 0.0 => f64::MAX,
        None => 0.0,
    };
    Ok(Block { outcome: Outcome::upper_tail(z), mmd2: mean, standard_error, blocks, block_n: n, block_m: m })
}

/// Hall's transformation of z = mean/standard error, monotone in z.
fn without_skewness(z: f64, values: &[f64], mean: f64) -> f64 {
    let count = values.len() as f64;
    let moment = |power: i32| values.iter().map(|v| (v - mean).powi(power)).sum::<f64>() / count;
    let gamma = moment(3) / moment(2).powf(1.5) / count.sqrt();
    z + gamma * (z * z / 3.0 + 1.0 / 6.0) + gamma * gamma * z.powi(3) / 27.0
}
