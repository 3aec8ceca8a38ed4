//! The nearest neighbours of points among others, tile by tile.

use crate::points::Points;
use crate::sums::{
    Precision, Real, Sides, SquaredDistances, Tile, WAVE, mean, squared_distances, sweep, tasks, vectorised,
};
use crate::{Error, Result};
use rayon::prelude::*;

/// For each of n points its k nearest neighbours among others, nearest first: shapes (n, k), row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearest {
    /// How many neighbours each point has.
    pub k: usize,
    /// Places of the neighbours.
    pub indices: Vec<usize>,
    /// Their Euclidean distances.
    pub distances: Vec<f64>,
}

impl Nearest {
    /// The neighbours of point `i`: place and distance, nearest first.
    pub fn of(&self, i: usize) -> impl Iterator<Item = (usize, f64)> + '_ {
        let range = i * self.k..(i + 1) * self.k;
        self.indices[range.clone()].iter().copied().zip(self.distances[range].iter().copied())
    }
}

/// Candidates that are kept beyond k, among which exact distances decide.
const SPARE: usize = 4;

/// Blocks of rows in a task.
const TALLEST: usize = 2;

/// A squared distance and the place of the point.
type Found = (f64, usize);

/// The k nearest of each xᵢ among y, by Euclidean distance; of equal distances the lower place comes first.
///
/// Candidates are found by tiles in the given precision, as r² = ‖x‖² + ‖y‖² − 2⟨x,y⟩, four more than are wanted;
/// distances and the order of what is returned are then taken from the differences x − y in double precision. In single
/// precision a neighbour can be missed that is nearer than the fifth beyond it by less than the rounding error. Time is
/// O(nmd), memory O(nk) beside the points.
///
/// *Shapes*: x (n, d), y (m, d), 1 ≤ k ≤ m.
///
/// # Errors
/// When dimensions differ, k is out of range, or a squared distance overflows.
pub fn nearest(x: &Points, y: &Points, k: usize, precision: Precision) -> Result<Nearest> {
    x.check_same_dim(y)?;
    if !(1..=y.len()).contains(&k) {
        return Err(Error::value("number of neighbours", k, format!("1 to {}, the number of points", y.len())));
    }
    let wide = (k + SPARE).min(y.len());
    let candidates = match precision {
        Precision::F64 => search::<f64>(x, y, wide),
        Precision::F32 => search::<f32>(x, y, wide),
    };
    let refined = |(i, list): (usize, Vec<Found>)| {
        let pairs: Vec<(usize, usize)> = list.iter().map(|&(_, j)| (i, j)).collect();
        let exact = squared_distances(x, y, &pairs);
        let mut exact: Vec<Found> = exact.into_iter().zip(list).map(|(r2, (_, j))| (r2, j)).collect();
        exact.sort_unstable_by(order);
        exact.truncate(k);
        exact
    };
    let found: Vec<Vec<Found>> = candidates.into_par_iter().enumerate().map(refined).collect();
    let distances: Vec<f64> = found.iter().flatten().map(|(r2, _)| r2.sqrt()).collect();
    if let Some(r) = distances.iter().find(|r| !r.is_finite()) {
        return Err(Error::value("distance of two points", r, "a finite number; rescale the points"));
    }
    Ok(Nearest { k, indices: found.iter().flatten().map(|(_, j)| *j).collect(), distances })
}

fn order(a: &Found, b: &Found) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

fn search<T: Real>(x: &Points, y: &Points, k: usize) -> Vec<Vec<Found>> {
    let (n, m) = (x.len(), y.len());
    let sides = Sides::<T>::new(x, y, Some(mean(y)));
    let work = |task: &_| {
        let mut lists: Vec<List> = Vec::new();
        sides.for_each_tile(task, |place, Tile { dots, xx, yy }, _, _| {
            vectorised(SquaredDistances(Tile { dots: &mut *dots, xx, yy }));
            if lists.len() < place.rows_in_task.end {
                lists.resize(place.rows_in_task.end, List::new(k));
            }
            let lists = &mut lists[place.rows_in_task];
            for (list, row) in lists.iter_mut().zip(dots.chunks_exact(place.columns.len())) {
                for (j, r2) in place.columns.clone().zip(row) {
                    list.offer((r2.widen(), j));
                }
            }
        });
        lists
    };
    let mut all = vec![List::new(k); n];
    // Lists are merged in the order of the tasks, and do not depend on it.
    let wave = ((1 << 22) / (512 * k)).clamp(rayon::current_num_threads().min(WAVE), WAVE);
    sweep(&tasks(n, m, false, TALLEST), wave, work, |task, lists| {
        for (list, found) in all[task.rows(n)].iter_mut().zip(lists) {
            for candidate in found.found {
                list.offer(candidate);
            }
        }
    });
    all.into_iter().map(|list| list.found).collect()
}

/// The smallest that were offered, in order.
#[derive(Clone)]
struct List {
    k: usize,
    found: Vec<Found>,
}

impl List {
    fn new(k: usize) -> Self {
        Self { k, found: Vec::with_capacity(k) }
    }

    #[inline]
    fn offer(&mut self, candidate: Found) {
        let is_full = self.found.len() == self.k;
        if is_full && order(&candidate, &self.found[self.k - 1]).is_ge() {
            return;
        }
        if is_full {
            self.found.pop();
        }
        let place = self.found.partition_point(|other| order(other, &candidate).is_lt());
        self.found.insert(place, candidate);
    }
}
