//! The best weights for points that are given.

use crate::error::named;
use crate::kernel::Kernel;
use crate::points::PointsView;
use crate::sums::Gram;
use crate::{Error, Result};
use rayon::prelude::*;

/// The weights of the points of a coreset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Weighting {
    /// 1/n each.
    #[default]
    Equal,
    /// The weights v ≥ 0 of sum 1 whose MMD² is least.
    Optimal,
}

named!(Weighting, "weighting": Equal = "equal", Optimal = "optimal");

impl Weighting {
    /// The most points that can have optimal weights, which need an n × n matrix.
    pub const MOST: usize = 4096;

    /// Whether n points can be weighted so.
    pub(super) fn check(self, n: usize) -> Result<()> {
        match self {
            Self::Optimal if n > Self::MOST => {
                Err(Error::parameter("n", n, format!("at most {} for optimal weights", Self::MOST)))
            }
            _ => Ok(()),
        }
    }
}

/// How near to the least MMD² the weights must be: this part of it.
const TOLERANCE: f64 = 1e-3;

/// The weights v ≥ 0, Σv = 1, that minimise vᵀKv − 2 vᵀb + c, where K and b = μ(x) are those of k − origin and c = ‖μ‖².
///
/// From equal weights on, mass moves from one point to another, always between the two that gain most, as far as that
/// helps (sequential minimal optimisation with the second-order choice of Fan, Chen, Lin, "Working set selection using
/// second order information", JMLR 2005). It needs no inverse of K, which points close together make singular, and never
/// makes the MMD² worse. With the gradient g = Kv − b, the value is at most 2(vᵀg − min g) above the least: when that is
/// below 0.1 % of it, or after 100 steps a point, it ends.
pub(super) fn optimal(kernel: &Kernel, points: PointsView, b: &[f64], origin: f64, c: f64) -> Result<Vec<f64>> {
    let n = points.len();
    let gram = Gram::new(kernel, points);
    let all: Vec<usize> = (0..n).collect();
    let rows: Vec<Vec<f64>> = all.par_chunks(64).map(|rows| gram.tile(rows, &all)).collect::<Result<_>>()?;
    let mut k: Vec<f64> = rows.concat();
    k.iter_mut().for_each(|k| *k -= origin);
    let row = |i: usize| &k[i * n..][..n];

    let mut v = vec![1.0 / n as f64; n];
    let mut g: Vec<f64> = (0..n).map(|i| row(i).iter().sum::<f64>() / n as f64 - b[i]).collect();
    for _ in 0..100 * n {
        let (to, least) =
            g.iter().copied().enumerate().fold((0, f64::INFINITY), |m, (i, g)| if g < m.1 { (i, g) } else { m });
        let slope: f64 = v.iter().zip(&g).map(|(v, g)| v * g).sum();
        let value = slope - v.iter().zip(b).map(|(v, b)| v * b).sum::<f64>() + c;
        if 2.0 * (slope - least) <= TOLERANCE * value.max(f64::EPSILON * c.abs()) {
            break;
        }
        let curvature = |from: usize| (k[to * n + to] + k[from * n + from] - 2.0 * k[to * n + from]).max(1e-300);
        let gain = |from: usize| (g[from] - least).powi(2) / curvature(from);
        let givers = (0..n).filter(|&j| v[j] > 0.0 && g[j] > least);
        let Some((from, _)) = givers.map(|j| (j, gain(j))).reduce(|a, b| if b.1 > a.1 { b } else { a }) else { break };
        let step = ((g[from] - least) / curvature(from)).min(v[from]);
        v[to] += step;
        v[from] -= step;
        for ((g, to), from) in g.iter_mut().zip(row(to)).zip(row(from)) {
            *g += step * (to - from);
        }
    }
    // The sum has drifted by rounding alone.
    let sum: f64 = v.iter().sum();
    v.iter_mut().for_each(|v| *v /= sum);
    Ok(v)
}
