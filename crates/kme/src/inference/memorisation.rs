//! The memorisation test: are samples nearer to the training points than to held-out ones?

use super::{Outcome, Permutations};
use crate::neighbours::{Nearest, nearest};
use crate::points::PointsView;
use crate::standard_error::{self, NoStandardError};
use crate::{Error, Result};

/// Result of [`memorisation`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Memorisation {
    /// Its statistic is the share of all closeness that points at training points; large ones count against H₀.
    pub outcome: Outcome,
    /// That share on average under H₀: n_train/(n_train + n_held_out).
    pub expected: f64,
    /// How many samples more lie unusually close to a training point than chance explains: an estimate of the number of
    /// copies, which may be negative.
    pub copies: f64,
    /// Its standard error: pooled points are independent, samples that have the same nearest point are not. None where all
    /// samples are one point, or where ties leave nothing that is near.
    pub copies_standard_error: Option<f64>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copies_standard_error_missing: Option<NoStandardError>,
    /// How many samples have several nearest pooled points, at one distance: copies, or points on a grid.
    pub tied: usize,
    /// The samples closest to a training point, the most suspicious first; at most 100.
    pub suspects: Vec<Suspect>,
    /// Number of samples.
    pub n: usize,
    /// Number of training points.
    pub train: usize,
    /// Number of held-out points.
    pub held_out: usize,
}

/// A sample whose nearest point is a training point.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Suspect {
    /// Place among the samples.
    pub sample: usize,
    /// Place of the nearest training point.
    pub train: usize,
    /// To that point.
    pub distance: f64,
    /// To the nearest held-out point.
    pub held_out_distance: f64,
    /// ln(distance of the next neighbours / distance): 0 is ordinary, ln 10⁴ the largest.
    pub closeness: f64,
}

/// Neighbours of a sample that are looked at: the nearest, and those that say which distance is usual around it.
const NEIGHBOURS: usize = 5;

/// The largest closeness, ln 10⁴: a copy is as close as that, nearer is no more of a copy.
const CAP: f64 = 9.210_340_371_976_184;

/// Distances below this part of the fifth count as this: copies of a point that is in the pool twice are copies too.
const LEAST: f64 = 1e-4;

/// Most suspects that are named.
const SUSPECTS: usize = 100;

/// Fewest training and held-out points.
const FEWEST: usize = 10;

/// Tests whether samples are nearer to the points a generator was trained on than to held-out ones of the same
/// distribution.
///
/// H₀ is that the generator does not depend on which points were for training and which were held out: given the
/// samples, the labels "training" and "held out" of the pooled points are then exchangeable, and permuting them gives
/// an exact test for any sizes and dimension. That training and held-out points come from one distribution is assumed:
/// where a set was split by time or source, the test rejects for that.
///
/// For each sample let d₁ ≤ … ≤ d₅ be the distances to its nearest pooled points and c = ln(⁴√(d₂d₃d₄d₅)/d₁), at most
/// ln 10⁴, its closeness to the nearest one. The statistic is Σ c³ over samples whose nearest point is a training
/// point, over Σ c³; points at the same distance share. The cube lets few copies speak louder than the many ordinary
/// samples, whose c is small, the more so in high dimension; no scale of distances has to be chosen. It is a sum over
/// pooled points, so that permutations are cheap. It is made for copies: where all samples are a little nearer to the
/// training points and a few are exact copies of anything, it hears these few.
///
/// The number of copies is estimated among the samples that are closer to their nearest point than 95 % of those whose
/// nearest point is held out: #(nearest is for training) − (n_train/n_held_out)·#(nearest is held out).
///
/// *Shapes*: samples (n, d), train (n_train, d), held_out (n_held_out, d).
///
/// # Errors
/// When dimensions differ, there are fewer than 10 training or held-out points, or distances overflow.
///
/// # Reference
/// The question is that of Meehan, Chaudhuri, Dasgupta, "A non-parametric test to detect data-copying in generative
/// models", AISTATS 2020, who compare distances to the training set of samples and of held-out points by ranks; the
/// null hypothesis, the statistic and its exactness are as stated here.
pub fn memorisation<'a>(
    samples: impl Into<PointsView<'a>>,
    train: impl Into<PointsView<'a>>,
    held_out: impl Into<PointsView<'a>>,
    permutations: &Permutations,
) -> Result<Memorisation> {
    of_views(samples.into(), train.into(), held_out.into(), permutations)
}

fn of_views(
    samples: PointsView,
    train: PointsView,
    held_out: PointsView,
    permutations: &Permutations,
) -> Result<Memorisation> {
    for (name, points) in [("training points", train), ("held-out points", held_out)] {
        if points.len() < FEWEST {
            return Err(Error::too_few(name, points.len(), FEWEST, "the memorisation test"));
        }
    }
    let labels = permutations.labels(train.len(), held_out.len(), "memorisation")?;
    let near_train = nearest(samples, train, NEIGHBOURS, permutations.precision)?;
    let near_held_out = nearest(samples, held_out, NEIGHBOURS, permutations.precision)?;
    let contacts: Vec<Contact> =
        (0..samples.len()).map(|i| Contact::of(&near_train, &near_held_out, i, train.len())).collect();
    let mut weights = vec![0.0; train.len() + held_out.len()];
    for contact in &contacts {
        let share = contact.closeness.powi(3) / contact.points.len() as f64;
        contact.points.iter().for_each(|&p| weights[p] += share);
    }
    let total: f64 = weights.iter().sum();
    let scale = if total > 0.0 { total.recip() } else { 1.0 };
    let statistics: Vec<f64> = labels.sums(&weights).into_iter().map(|s| s * scale).collect();
    let outcome = permutations.outcome(&statistics);

    let ratio = train.len() as f64 / held_out.len() as f64;
    let unusual = unusual(&contacts);
    let (mut at_train, mut at_held_out) = (0.0, 0.0);
    let mut touched = vec![0.0; weights.len()];
    // A closeness of 0 is none: five points or more at the same distance, of which not all may be known.
    for contact in contacts.iter().filter(|c| c.closeness >= unusual && c.closeness > 0.0) {
        at_train += contact.train_share;
        at_held_out += 1.0 - contact.train_share;
        contact.points.iter().for_each(|&p| touched[p] += 1.0 / contact.points.len() as f64);
    }
    let squares = |touched: &[f64]| touched.iter().map(|t| t * t).sum::<f64>();
    let (of_train, of_held_out) = touched.split_at(train.len());
    let copies_variance = squares(of_train) + ratio * ratio * squares(of_held_out);
    let tied = contacts.iter().filter(|contact| contact.points.len() > 1).count();
    let error = match copies_variance.sqrt() {
        _ if samples.coincide() => Err(NoStandardError::Coincide),
        error if error > 0.0 => Ok(error),
        _ => Err(NoStandardError::Ties),
    };
    let (copies_standard_error, copies_standard_error_missing) = standard_error::fields(error);
    let mut order: Vec<usize> = (0..contacts.len()).collect();
    order.retain(|&i| contacts[i].train_share > 0.5);
    order.sort_by(|&i, &j| contacts[j].closeness.total_cmp(&contacts[i].closeness).then(i.cmp(&j)));
    order.truncate(SUSPECTS);
    let suspects = order.into_iter().map(|sample| Suspect {
        sample,
        train: near_train.indices[sample * NEIGHBOURS],
        distance: near_train.distances[sample * NEIGHBOURS],
        held_out_distance: near_held_out.distances[sample * NEIGHBOURS],
        closeness: contacts[sample].closeness,
    });
    Ok(Memorisation {
        outcome,
        expected: train.len() as f64 / (train.len() + held_out.len()) as f64,
        copies: at_train - ratio * at_held_out,
        copies_standard_error,
        copies_standard_error_missing,
        tied,
        suspects: suspects.collect(),
        n: samples.len(),
        train: train.len(),
        held_out: held_out.len(),
    })
}

/// The nearest pooled points of a sample.
struct Contact {
    /// All at the smallest distance: training points, and after them held-out ones.
    points: Vec<usize>,
    /// Which part of them is for training.
    train_share: f64,
    closeness: f64,
}

impl Contact {
    fn of(train: &Nearest, held_out: &Nearest, i: usize, trained: usize) -> Self {
        let mut near: Vec<(f64, usize)> = train.of(i).map(|(p, d)| (d, p)).collect();
        near.extend(held_out.of(i).map(|(p, d)| (d, trained + p)));
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let first = near[0].0;
        let points: Vec<usize> = near.iter().take_while(|(d, _)| *d == first).map(|(_, p)| *p).collect();
        let of_train = points.iter().filter(|p| **p < trained).count();
        let farthest = near[NEIGHBOURS - 1].0;
        let log = |d: f64| (d / farthest).max(LEAST).ln();
        let usual = near[1..NEIGHBOURS].iter().map(|(d, _)| log(*d)).sum::<f64>() / (NEIGHBOURS - 1) as f64;
        let closeness = if farthest > 0.0 { (usual - log(first)).clamp(0.0, CAP) } else { 0.0 };
        Self { train_share: of_train as f64 / points.len() as f64, points, closeness }
    }
}

/// The 95 % quantile of the closeness of the samples whose nearest point is held out; ties count in part.
fn unusual(contacts: &[Contact]) -> f64 {
    let held_out = |c: &Contact| 1.0 - c.train_share;
    let mut some: Vec<(f64, f64)> =
        contacts.iter().filter(|c| held_out(c) > 0.0).map(|c| (c.closeness, held_out(c))).collect();
    some.sort_by(|a, b| a.0.total_cmp(&b.0));
    let most = 0.95 * some.iter().map(|(_, share)| share).sum::<f64>();
    let mut below = 0.0;
    let place = some.iter().position(|(_, share)| {
        below += share;
        below > most
    });
    place.map_or(0.0, |place| some[place].0)
}
