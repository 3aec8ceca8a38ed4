//! Support points: points that move until the energy distance to the sample is least.

use super::{Reduced, ReductionMethod, Target, Weighting};
use crate::kernel::{Form, Kernel};
use crate::points::{Data, Points, PointsView};
use crate::rng;
use crate::sums::{self, Gram};
use crate::{Error, Result};

/// Over-relaxation of the steps: any factor below 2 still decreases the distance in every step.
const RELAXATION: f64 = 1.6;

/// A step that moves no point further than this part of the sample's spread is the last.
const STILL: f64 = 1e-4;

/// Support points: the minimisers of the energy distance
///
/// 2/n Σᵢ Σₘ wₘ ‖xᵢ − yₘ‖ − 1/n² Σᵢⱼ ‖xᵢ − xⱼ‖ − Σₗₘ wₗwₘ ‖yₗ − yₘ‖
///
/// between n points x that are free to move and the sample y, w. With qᵢ = Σₘ wₘ/‖xᵢ − yₘ‖ a step is
///
/// xᵢ ← (Σₘ wₘ yₘ/‖xᵢ − yₘ‖ + 1/n Σ_{j≠i} (xᵢ − xⱼ)/‖xᵢ − xⱼ‖) / qᵢ,
///
/// the minimiser of a bound from above, so that no step increases the distance (convex-concave procedure; steps are
/// lengthened by 1.6, which keeps that). For `energy:a=…` every ‖·‖ is √(a² + ‖·‖²). Where many points are at hand, steps
/// first see a [`batch`](Self::batch) of them and the bounds are averaged over the steps, t^(−2/3) being the share of
/// the t-th, then steps see all.
///
/// They start at random points of the sample, moved a little since points that coincide would stay together; that is the
/// only other use of the seed. The problem has many local minima, whose values are close to each other.
///
/// Reference: Mak, Joseph, "Support points", Annals of Statistics 2018, algorithms 1 (sp.ccp) and 2 (sp.sccp).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Support {
    /// The most steps.
    pub steps: usize,
    /// Points of the sample that a step sees; none: all, unless there are more than 32768 and 8n.
    pub batch: Option<usize>,
    /// Whether the result is, for each point, the nearest point of the sample that is not taken yet.
    pub snap: bool,
    /// The weights of the points, once they are found.
    pub weighting: Weighting,
}

impl Default for Support {
    fn default() -> Self {
        Self { steps: 100, batch: None, snap: false, weighting: Weighting::Equal }
    }
}

impl Support {
    /// Finds n points.
    ///
    /// *Cost*: O(nd(B + n)) for a step that sees B points.
    ///
    /// # Errors
    /// When n is 0 or above N, the target's kernel is not `energy` or `energy:a=…`, the batch or the number of steps is 0,
    /// or optimal weights are asked for more points than [`Weighting::MOST`].
    pub fn reduce(&self, target: &Target, n: usize, seed: u64) -> Result<Reduced> {
        target.check_size(n)?;
        self.weighting.check(n)?;
        if !ReductionMethod::Support(*self).takes(target.kernel()) {
            let operation = format!("find support points with the kernel {}", target.kernel());
            let reason = "they minimise the energy distance; use the kernel energy or energy:a=1e-6, or herding or \
                          thinning, which take every kernel";
            return Err(Error::unsupported(operation, reason));
        }
        for (parameter, number) in [("steps", Some(self.steps)), ("batch", self.batch)] {
            if number == Some(0) {
                return Err(Error::parameter(parameter, 0, "at least 1"));
            }
        }
        let all = target.points().len();
        if n == all && !target.is_weighted() {
            // The sample itself is at distance 0.
            return target.chosen((0..all).collect(), self.weighting);
        }
        let batch = self.batch.unwrap_or(32_768.max(8 * n)).min(all);
        let mut search = Search::new(target, n, seed)?;
        let rough = if batch < all { self.steps - self.steps / 5 } else { 0 };
        search.rough(rough, batch, seed)?;
        search.exact(self.steps - rough)?;
        let points = search.into_points()?;
        match self.snap {
            true => target.chosen(nearest(target, points.view())?, self.weighting),
            false => target.moved(points, self.weighting),
        }
    }
}

/// Points on their way.
struct Search<'t, 'a> {
    target: &'t Target<'a>,
    n: usize,
    d: usize,
    x: Vec<f64>,
    spread: f64,
}

/// What the sample does to the points: Σₘ wₘ (yₘ − xᵢ)/‖yₘ − xᵢ‖, shape (n, d), and qᵢ, shape (n).
struct Pull {
    towards: Vec<f64>,
    q: Vec<f64>,
}

impl<'t, 'a> Search<'t, 'a> {
    fn new(target: &'t Target<'a>, n: usize, seed: u64) -> Result<Self> {
        let mut rng = rng::stream(seed, "support points", 0);
        let start = target.points().select(&target.draw(n, &mut rng))?;
        let d = start.dim();
        let spread = spread(target);
        let moved = |x: f64| x + 1e-4 * spread * (rng::uniform(&mut rng) - 0.5);
        let x = start.into_data().into_f64().into_iter().map(moved).collect();
        Ok(Self { target, n, d, x, spread })
    }

    fn points(&self) -> Result<Points> {
        Points::new(self.n, self.d, Data::F64(self.x.clone()))
    }

    fn into_points(self) -> Result<Points> {
        Points::new(self.n, self.d, Data::F64(self.x))
    }

    fn pull(&self, kernel: &Kernel, x: PointsView, y: PointsView, w: &[f64]) -> Result<Pull> {
        let (towards, q) = sums::pulls(kernel, x, y, Some(w))?;
        Ok(Pull { towards, q })
    }

    /// What the points do to each other: 1/n Σⱼ (xⱼ − xᵢ)/‖xⱼ − xᵢ‖.
    fn crowding(&self, x: PointsView) -> Result<Vec<f64>> {
        let equal = vec![1.0 / self.n as f64; self.n];
        Ok(self.pull(self.target.kernel(), x, x, &equal)?.towards)
    }

    /// Steps that see all points.
    fn exact(&mut self, steps: usize) -> Result<()> {
        for _ in 0..steps {
            let x = self.points()?;
            let pull = self.pull(self.target.kernel(), x.view(), self.target.points(), self.target.weights())?;
            let crowding = self.crowding(x.view())?;
            let mut furthest = 0.0_f64;
            for (i, x) in self.x.chunks_exact_mut(self.d).enumerate().filter(|(i, _)| pull.q[*i] > 0.0) {
                let mut length2 = 0.0;
                for (j, x) in x.iter_mut().enumerate() {
                    let at = i * self.d + j;
                    let step = RELAXATION * (pull.towards[at] - crowding[at]) / pull.q[i];
                    *x += step;
                    length2 += step * step;
                }
                furthest = furthest.max(length2.sqrt());
            }
            if furthest <= STILL * self.spread {
                break;
            }
        }
        Ok(())
    }

    /// Steps that see `batch` random points each and average the bounds.
    fn rough(&mut self, steps: usize, batch: usize, seed: u64) -> Result<()> {
        let equal = vec![1.0 / batch as f64; batch];
        // Σ wₘ yₘ/‖xᵢ − yₘ‖ and qᵢ, averaged.
        let (mut weighted, mut q) = (vec![0.0; self.n * self.d], vec![0.0; self.n]);
        for step in 0..steps {
            let mut rng = rng::stream(seed, "support batch", step as u64);
            let y = self.target.points().select(&self.target.draw(batch, &mut rng))?;
            let x = self.points()?;
            let pull = self.pull(self.target.kernel(), x.view(), y.view(), &equal)?;
            let crowding = self.crowding(x.view())?;
            let share = ((step + 1) as f64).powf(-2.0 / 3.0);
            for (i, x) in self.x.chunks_exact_mut(self.d).enumerate() {
                q[i] += share * (pull.q[i] - q[i]);
                for (j, x) in x.iter_mut().enumerate() {
                    let at = i * self.d + j;
                    let seen = pull.towards[at] + pull.q[i] * *x;
                    weighted[at] += share * (seen - weighted[at]);
                    if q[i] > 0.0 {
                        *x = (weighted[at] - crowding[at]) / q[i];
                    }
                }
            }
        }
        Ok(())
    }
}

/// The root mean square of a coordinate's deviation from its mean, over all coordinates.
fn spread(target: &Target) -> f64 {
    let (points, w) = (target.points(), target.weights());
    let d = points.dim();
    let at = |i: usize, j: usize| points.data().get(i * d + j);
    let of = |j: usize| {
        let mean: f64 = w.iter().enumerate().map(|(i, w)| w * at(i, j)).sum();
        w.iter().enumerate().map(|(i, w)| w * (at(i, j) - mean).powi(2)).sum::<f64>()
    };
    ((0..d).map(of).sum::<f64>() / d as f64).sqrt()
}

/// For each point the nearest of the sample that is not taken: those that are nearest to theirs choose first.
fn nearest(target: &Target, points: PointsView) -> Result<Vec<usize>> {
    let n = points.len();
    let both = Points::concat(&[target.points(), points])?;
    let all = target.points().len();
    let kernel = Kernel::try_from(Form::Energy { a: 0.0 })?;
    let gram = Gram::new(&kernel, both.view());
    let mut unused = vec![0.0; both.len()];
    let mut find = |i: usize, is_taken: &[bool]| -> (usize, f64) {
        let blocks = gram.row(all + i, &mut unused, |first, values, _| {
            let mut best = (usize::MAX, f64::NEG_INFINITY);
            for (j, value) in (first..all).zip(values).filter(|(j, _)| !is_taken[*j]) {
                best = if *value > best.1 { (j, *value) } else { best };
            }
            best
        });
        blocks.into_iter().reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap_or((0, 0.0))
    };
    let mut is_taken = vec![false; all];
    let first: Vec<(usize, f64)> = (0..n).map(|i| find(i, &is_taken)).collect();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| first[j].1.total_cmp(&first[i].1));
    let mut chosen = vec![0; n];
    for i in order {
        let place = match first[i].0 {
            free if !is_taken[free] => free,
            _ => find(i, &is_taken).0,
        };
        is_taken[place] = true;
        chosen[i] = place;
    }
    Ok(chosen)
}
