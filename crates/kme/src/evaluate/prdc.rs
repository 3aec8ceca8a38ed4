//! Improved precision and recall; density and coverage.

use super::Measured;
use crate::neighbours::{Balls, Mutual, Radii, kth_nearest, mutual};
use crate::points::PointsView;
use crate::standard_error::NoStandardError;
use crate::{Error, Field, Result};

/// How much of the candidate looks real, and how much of the reference it reaches.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Prdc {
    /// Part of the candidates in balls around the reference.
    pub precision: Measured,
    /// Part of the reference in balls around candidates.
    pub recall: Measured,
    /// Balls around the reference that hold a candidate, in units of k.
    pub density: Measured,
    /// Part of the balls around the reference that hold a candidate.
    pub coverage: Measured,
    /// Neighbours that make a radius.
    pub k: usize,
    /// Number of points of the reference.
    pub n: usize,
    /// Number of points of the candidate.
    pub m: usize,
    /// How many balls around points of the reference and of the candidate have radius 0, since k other points are copies
    /// of their centre. An open one holds nothing, a closed one copies of its centre alone.
    pub zero_radii: [usize; 2],
}

impl Prdc {
    /// The k of Kynkäänniemi et al. and of torch-fidelity. (Naeem et al. take 5.)
    pub const NEIGHBOURS: usize = 3;
}

/// Precision, recall, density and coverage of a candidate y₁…yₘ against a reference x₁…xₙ.
///
/// With B(xᵢ) the ball around xᵢ up to its k-th nearest other point of the same sample,
///
/// * precision: the part of the yⱼ in any closed B(xᵢ); recall: the part of the xᵢ in any closed B(yⱼ)
///   (Kynkäänniemi et al., eq. 2; the values of torch-fidelity);
/// * density: the number of open B(xᵢ) that hold yⱼ, mean over j, divided by k; coverage: the part of the xᵢ whose open
///   B(xᵢ) holds any yⱼ (Naeem et al., eqs. 4 and 6, and their code, whose balls are open).
///
/// Open or closed matters at ties only: with copies of a point, or points on a grid.
///
/// *Standard errors* are jackknife estimates with all radii held: what leaving out one point of either sample takes away.
/// Radii change little with the samples, but that is not counted; the tests measure how near the errors come.
/// There are none where all points of a sample are one point, since a jackknife of copies shows nothing.
///
/// *Shapes*: reference (n, d), candidate (m, d).
///
/// # Errors
/// When dimensions differ, or a sample has no more than k points.
///
/// *References*: Kynkäänniemi et al., "Improved precision and recall metric for assessing generative models", NeurIPS 2019;
/// Naeem et al., "Reliable fidelity and diversity metrics for generative models", ICML 2020.
pub fn prdc<'a>(reference: impl Into<PointsView<'a>>, candidate: impl Into<PointsView<'a>>, k: usize) -> Result<Prdc> {
    let (reference, candidate) = (reference.into(), candidate.into());
    reference.check_same_dim(candidate)?;
    Manifold::new(reference, k)?.prdc(&Manifold::new(candidate, k)?)
}

/// A sample with the balls around its points: computed once for any number of comparisons.
pub struct Manifold<'a> {
    points: PointsView<'a>,
    radii: Radii,
    k: usize,
}

impl<'a> Manifold<'a> {
    /// The balls up to the k-th nearest other point.
    ///
    /// *Shapes*: points (n, d).
    ///
    /// # Errors
    /// When there are no more than k points, or k is 0.
    pub fn new(points: impl Into<PointsView<'a>>, k: usize) -> Result<Self> {
        let points = points.into();
        let radii = kth_nearest(points, k)?;
        Ok(Self { points, radii, k })
    }

    /// Precision, recall, density and coverage of a candidate against this reference: see [`prdc`].
    ///
    /// # Errors
    /// When dimensions or k differ.
    pub fn prdc(&self, candidate: &Self) -> Result<Prdc> {
        if self.k != candidate.k {
            return Err(Error::mismatch(
                Field::Count("neighbours".into()),
                self.k,
                candidate.k,
                "use the same number for both",
            ));
        }
        let Mutual { open_around_x, closed_around_x, closed_around_y } =
            mutual(self.points, &self.radii, candidate.points, &candidate.radii)?;
        let coincide = self.points.coincide() || candidate.points.coincide();
        let told = |found: Measured| match coincide {
            true => Measured::new(found.value, Err(NoStandardError::Coincide)),
            false => found,
        };
        Ok(Prdc {
            precision: told(part_in_balls(&closed_around_x)),
            recall: told(part_in_balls(&closed_around_y)),
            density: told(density(&open_around_x, self.k)),
            coverage: told(part_of_balls(&open_around_x)),
            zero_radii: [self, candidate].map(|side| side.radii.squared.iter().filter(|r| **r == 0.0).count()),
            k: self.k,
            n: self.points.len(),
            m: candidate.points.len(),
        })
    }
}

/// The part of the points that are in any ball.
fn part_in_balls(balls: &Balls) -> Measured {
    let covered = |balls: &Balls| balls.of_points.iter().filter(|c| c.count > 0).count();
    let only = balls.of_points.iter().filter_map(|c| c.only());
    part(covered(balls), balls.of_points.len(), balls.of_balls.len(), only)
}

/// The part of the balls that hold any point.
fn part_of_balls(balls: &Balls) -> Measured {
    let hold = balls.of_balls.iter().filter(|c| c.count > 0).count();
    let only = balls.of_balls.iter().filter_map(|c| c.only());
    part(hold, balls.of_balls.len(), balls.of_points.len(), only)
}

/// `hits` of `total`, where `only` names for each hit that hangs on one of the `others` which it is.
fn part(hits: usize, total: usize, others: usize, only: impl Iterator<Item = usize>) -> Measured {
    let n = total as f64;
    let p = hits as f64 / n;
    let mut lost = vec![0.0; others];
    only.for_each(|i| lost[i] += 1.0 / n);
    measured(p, p * (1.0 - p) / n + jackknife(&lost))
}

fn density(balls: &Balls, k: usize) -> Measured {
    let share = |counts: &[crate::neighbours::Count], total: usize| -> Vec<f64> {
        counts.iter().map(|c| c.count as f64 / (k * total) as f64).collect()
    };
    let of_points = share(&balls.of_points, balls.of_points.len());
    let of_balls = share(&balls.of_balls, balls.of_points.len());
    measured(of_points.iter().sum(), jackknife(&of_points) + jackknife(&of_balls))
}

/// Σ(lᵢ − l̄)²: the variance of a sum, by the jackknife, when leaving out point i takes lᵢ away.
fn jackknife(lost: &[f64]) -> f64 {
    let mean = lost.iter().sum::<f64>() / lost.len() as f64;
    lost.iter().map(|l| (l - mean).powi(2)).sum()
}

fn measured(value: f64, variance: f64) -> Measured {
    let error = variance.sqrt();
    Measured::new(value, if error > 0.0 { Ok(error) } else { Err(NoStandardError::Alike) })
}
