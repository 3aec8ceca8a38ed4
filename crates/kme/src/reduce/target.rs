//! What a coreset is to stand for: a sample with its embedding, and how near a choice of points comes to it.

use super::{Reduced, Weighting, weights};
use crate::arith::dot;
use crate::discrepancy::{Sample, squared_norm};
use crate::kernel::Kernel;
use crate::points::{Points, PointsView};
use crate::rng::{self, Rng};
use crate::sums::{self, Precision};
use crate::{Error, Result};
use rayon::prelude::*;

/// A weighted sample X, w with its embedding μ = Σ wᵢ k(xᵢ,·) at its own points.
#[derive(Debug)]
pub struct Target<'a> {
    kernel: &'a Kernel,
    points: PointsView<'a>,
    weights: Vec<f64>,
    is_weighted: bool,
    /// A typical kernel value. Weights have sum 1, so k − origin has the same MMD², from smaller numbers.
    origin: f64,
    /// μ(xᵢ) − origin: shape (N).
    mean: Vec<f64>,
    /// ‖μ‖² − origin.
    norm2: f64,
}

/// The MMD² of random subsets of one size.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Quantiles {
    /// How many subsets were drawn.
    pub subsets: usize,
    /// The 5 % quantile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The 95 % quantile.
    pub high: f64,
}

impl<'a> Target<'a> {
    /// The embedding of a sample at its own points: O(N²d) time, O(N) memory beside the points. Weights are divided by
    /// their sum.
    ///
    /// # Errors
    /// When weights do not fit or one is negative, or a sum overflows.
    pub fn new(kernel: &'a Kernel, sample: impl Into<Sample<'a>>) -> Result<Self> {
        let sample = sample.into();
        let weights = sample.normalised_weights()?;
        if let Some(i) = weights.iter().position(|w| *w < 0.0) {
            let allowed = "at least 0: a few points cannot stand for a combination with negative weights";
            return Err(Error::parameter(format!("weights[{i}]"), weights[i], allowed));
        }
        let origin = typical_value(kernel, sample.points)?;
        let mean = sums::own_rows(kernel, sample.points, &weights, origin)?;
        let norm2 = dot(&weights, &mean);
        let is_weighted = weights.iter().any(|w| *w != weights[0]);
        Ok(Self { kernel, points: sample.points, weights, is_weighted, origin, mean, norm2 })
    }

    /// The sample's points: shape (N, d).
    pub fn points(&self) -> PointsView<'a> {
        self.points
    }

    /// The sample's weights, of sum 1: shape (N).
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The kernel of the embedding.
    pub fn kernel(&self) -> &'a Kernel {
        self.kernel
    }

    /// Whether the weights differ from one another.
    pub(super) fn is_weighted(&self) -> bool {
        self.is_weighted
    }

    /// μ(xᵢ), up to a constant that is the same for all i: shape (N).
    pub(super) fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The biased MMD² between the points at `indices` with weights v and the sample:
    /// Σᵢⱼ vᵢvⱼ k(xᵢ,xⱼ) − 2 Σᵢ vᵢ μ(xᵢ) + ‖μ‖². Weights that are not given are 1/n.
    ///
    /// *Cost*: O(n²d); μ is known.
    ///
    /// # Errors
    /// When there are no indices, one is not below N, or the weights are not n finite numbers of sum 1.
    pub fn mmd2(&self, indices: &[usize], v: Option<&[f64]>) -> Result<f64> {
        let chosen = self.points.select(indices)?;
        let mean: Vec<f64> = indices.iter().map(|&i| self.mean[i]).collect();
        self.distance(chosen.view(), &mean, v)
    }

    /// μ − origin at any points: shape (points).
    pub(super) fn mean_at(&self, points: PointsView) -> Result<Vec<f64>> {
        let origins = vec![self.origin; points.len()];
        sums::rows_minus(self.kernel, points, self.points, Some(&self.weights), &origins, Precision::F64)
    }

    fn distance(&self, points: PointsView, mean: &[f64], v: Option<&[f64]>) -> Result<f64> {
        let equal = vec![1.0 / points.len() as f64; points.len()];
        let v = v.unwrap_or(&equal);
        points.check_count(v)?;
        let sum: f64 = v.iter().sum();
        let is_one = (sum - 1.0).abs() < 1e-9;
        if !is_one {
            return Err(Error::value("sum of the weights", sum, "1"));
        }
        let within = sums::within_minus(self.kernel, points, Some(v), Some(self.origin), Precision::F64)?;
        let (chosen, cross) = (within.off_diagonal + within.diagonal, -2.0 * dot(v, mean));
        Ok(squared_norm(self.kernel, [chosen, self.norm2, cross], self.origin, Precision::F64))
    }

    /// Quantiles of the MMD² of random subsets of n points: what a coreset must beat.
    ///
    /// A subset is drawn without replacement; from a sample with weights, each point is drawn independently with
    /// probability wᵢ. Quantiles are interpolated linearly between the sorted values. Subsets cost O(n²d) each.
    ///
    /// # Errors
    /// When n is 0 or above N, or there are no subsets.
    pub fn random_subsets(&self, n: usize, subsets: usize, seed: u64) -> Result<Quantiles> {
        self.check_size(n)?;
        if subsets == 0 {
            return Err(Error::parameter("subsets", 0, "at least 1"));
        }
        let one = |i: u64| self.mmd2(&self.draw(n, &mut rng::stream(seed, "random subset", i)), None);
        let mut values = (0..subsets as u64).into_par_iter().map(one).collect::<Result<Vec<f64>>>()?;
        values.sort_by(f64::total_cmp);
        let quantile = |p: f64| {
            let place = p * (subsets - 1) as f64;
            let (below, above) = (values[place.floor() as usize], values[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Ok(Quantiles { subsets, low: quantile(0.05), median: quantile(0.5), high: quantile(0.95) })
    }

    /// Places of n random points: without replacement, or by weight.
    pub(super) fn draw(&self, n: usize, rng: &mut Rng) -> Vec<usize> {
        if !self.is_weighted {
            return rng::choose(rng, self.points.len(), n);
        }
        let mut sum = 0.0;
        let below: Vec<f64> = self
            .weights
            .iter()
            .map(|w| {
                sum += w;
                sum
            })
            .collect();
        let last = self.weights.iter().rposition(|w| *w > 0.0).expect("the sum of the weights is positive");
        let one = |_| {
            let at = rng::uniform(rng) * sum;
            below.partition_point(|b| *b <= at).min(last)
        };
        (0..n).map(one).collect()
    }

    /// Whether n points can be chosen.
    pub(super) fn check_size(&self, n: usize) -> Result<()> {
        match (1..=self.points.len()).contains(&n) {
            true => Ok(()),
            false => Err(Error::parameter("n", n, format!("from 1 to {}, the number of points", self.points.len()))),
        }
    }

    /// The points at `indices`, weighted as asked.
    pub(super) fn chosen(&self, indices: Vec<usize>, weighting: Weighting) -> Result<Reduced> {
        let points = self.points.select(&indices)?;
        let mean: Vec<f64> = indices.iter().map(|&i| self.mean[i]).collect();
        self.finish(Some(indices), points, &mean, weighting)
    }

    /// Points that were moved, weighted as asked.
    pub(super) fn moved(&self, points: Points, weighting: Weighting) -> Result<Reduced> {
        let mean = self.mean_at(points.view())?;
        self.finish(None, points, &mean, weighting)
    }

    fn finish(
        &self,
        indices: Option<Vec<usize>>,
        points: Points,
        mean: &[f64],
        weighting: Weighting,
    ) -> Result<Reduced> {
        let weights = match weighting {
            Weighting::Equal => vec![1.0 / points.len() as f64; points.len()],
            Weighting::Optimal => weights::optimal(self.kernel, points.view(), mean, self.origin, self.norm2)?,
        };
        let mmd2 = self.distance(points.view(), mean, Some(&weights))?;
        Ok(Reduced { indices, points, weights, mmd2 })
    }
}

/// Roughly the mean of k(x,x') over pairs of different points, from a few of them.
fn typical_value(kernel: &Kernel, points: PointsView) -> Result<f64> {
    let few = points.len().min(64);
    if few < 2 {
        return Ok(0.0);
    }
    let some = points.select(&(0..few).map(|i| i * points.len() / few).collect::<Vec<_>>())?;
    Ok(sums::within(kernel, &some, None, Precision::F64)?.off_diagonal / (few * (few - 1)) as f64)
}
