//! Nearest neighbours and balls around points, tile by tile: memory is O(n + m) beside the points.
//!
//! Distances come from matrix products and so with a rounding error, which [`sums`](crate::sums) bounds. Where that could
//! decide whether a point is in a ball (at ties, as when one sample holds copies of points of the other), the distance is
//! computed again from x − y. So an open ball leaves out exactly the points on its sphere.

use crate::points::PointsView;
use crate::sums::{Distances, Frame, Precision, Real, for_each_distance, squared_distance};
use crate::{Error, Field, Result};
use rayon::prelude::*;

/// Distances whose squares differ by less than this part of them are compared exactly.
const DOUBTFUL: f64 = 1e-8;

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

/// The k nearest of each xᵢ among y, by Euclidean distance; of equal distances the lower place comes first.
///
/// Candidates are found by tiles in the given precision, as r² = ‖x‖² + ‖y‖² − 2⟨x,y⟩; distances and the order of what is
/// returned are then taken from the differences x − y in double precision. Of points that are equally near within the rounding
/// error of the tiles, those beyond the k + 4 first are not looked at. Time is O(nmd), memory O(nk) beside the points.
///
/// *Shapes*: x (n, d), y (m, d), 1 ≤ k ≤ m.
///
/// # Errors
/// When dimensions differ, k is out of range, or a squared distance overflows.
pub fn nearest<'a>(
    x: impl Into<PointsView<'a>>,
    y: impl Into<PointsView<'a>>,
    k: usize,
    precision: Precision,
) -> Result<Nearest> {
    of_views(x.into(), y.into(), k, precision)
}

fn of_views(x: PointsView, y: PointsView, k: usize, precision: Precision) -> Result<Nearest> {
    /// Candidates beyond k, among which exact distances decide.
    const SPARE: usize = 4;
    x.check_same_dim(y)?;
    if !(1..=y.len()).contains(&k) {
        return Err(Error::parameter("neighbours", k, format!("from 1 to {}, the number of points", y.len())));
    }
    let wide = (k + SPARE).min(y.len());
    let frame = Frame::of_distances(x, Some(y), precision);
    let candidates = match frame.precision {
        Precision::F64 => search::<f64>(&frame, wide),
        Precision::F32 => search::<f32>(&frame, wide),
    };
    let (x, y) = (frame.x(), frame.y());
    let refined = |(i, candidates): (usize, Ranked)| {
        let exact = candidates.0.into_iter().map(|(_, j)| (squared_distance(x, i, y, j), j));
        let mut exact: Vec<(f64, usize)> = exact.collect();
        exact.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        exact.truncate(k);
        exact
    };
    let found: Vec<Vec<(f64, usize)>> = candidates.into_par_iter().enumerate().map(refined).collect();
    let distances: Vec<f64> = found.iter().flatten().map(|(squared, _)| squared.sqrt() / frame.unit).collect();
    if let Some(r) = distances.iter().find(|r| !r.is_finite()) {
        return Err(Error::not_finite("distance of two points", *r, "rescale the points"));
    }
    Ok(Nearest { k, indices: found.iter().flatten().map(|(_, j)| *j).collect(), distances })
}

fn search<T: Real>(frame: &Frame, k: usize) -> Vec<Ranked> {
    let mut found = vec![Ranked::new(k); frame.x().len()];
    for_each_distance::<T, _>(
        frame,
        |rows, _| vec![Ranked::new(k); rows],
        |nearest, tile| {
            let width = tile.columns.len();
            for (row, nearest) in tile.squared.chunks_exact(width).zip(&mut nearest[tile.rows_in_task]) {
                nearest.extend(row, tile.columns.start);
            }
        },
        |rows, _, part: Vec<Ranked>| merge(&mut found[rows], &part),
    );
    found
}

/// A radius for each point of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Radii {
    /// Squares of the radii in units of `unit`: shape (n).
    pub squared: Vec<f64>,
    /// A power of two, 1 unless squares would over- or underflow: the radii are √squared/unit.
    pub unit: f64,
}

/// The distance of each point of one sample to its k-th nearest other point, from the differences of their coordinates.
/// Copies of a point are others.
///
/// *Shapes*: x (n, d).
///
/// # Errors
/// When k is 0, or there are no k other points.
pub fn kth_nearest(x: PointsView, k: usize) -> Result<Radii> {
    let n = x.len();
    if n < 2 {
        return Err(Error::too_few("points", n, 2, "the distance to a nearest neighbour"));
    }
    if !(1..n).contains(&k) {
        return Err(Error::parameter("neighbours", k, format!("from 1 to {}, since there are {n} points", n - 1)));
    }
    let mut found = vec![Ranked::new(k); n];
    let frame = Frame::of_distances(x, None, Precision::F64);
    for_each_distance(
        &frame,
        |rows, columns| (vec![Ranked::new(k); rows], vec![Ranked::new(k); columns]),
        |(of_rows, of_columns), tile| {
            let Distances { rows, columns, rows_in_task, columns_in_task, squared, .. } = tile;
            let of_columns = &mut of_columns[columns_in_task];
            let on_diagonal = rows == columns;
            for (i, (row, of_row)) in squared.chunks_exact(columns.len()).zip(&mut of_rows[rows_in_task]).enumerate() {
                match on_diagonal {
                    true => {
                        of_row.extend(&row[..i], columns.start);
                        of_row.extend(&row[i + 1..], columns.start + i + 1);
                    }
                    // A tile off the diagonal stands for its mirror image too.
                    false => {
                        of_row.extend(row, columns.start);
                        for (of_column, &r) in of_columns.iter_mut().zip(row) {
                            of_column.push(r, rows.start + i);
                        }
                    }
                }
            }
        },
        |rows, columns, (of_rows, of_columns)| {
            merge(&mut found[rows], &of_rows);
            merge(&mut found[columns], &of_columns);
        },
    );
    let squared = |(i, ranked): (usize, &Ranked)| squared_distance(frame.x(), i, frame.x(), ranked.0[k - 1].1);
    Ok(Radii { squared: found.iter().enumerate().map(squared).collect(), unit: frame.unit })
}

/// Which balls around one sample's points hold which points of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Balls {
    /// For each point, the balls that hold it.
    pub of_points: Vec<Count>,
    /// For each ball, the points in it.
    pub of_balls: Vec<Count>,
}

/// How many there are, and which if there is one only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// How many points lie within the ball.
    pub count: usize,
    sum: usize,
}

impl Count {
    /// The index of the only one.
    pub fn only(self) -> Option<usize> {
        (self.count == 1).then_some(self.sum)
    }

    fn add(&mut self, index: usize) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(index);
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

/// Balls around all points of two samples, and which of them hold points of the other sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Mutual {
    /// Open balls ‖x−y‖ < rᵢ around the xᵢ, and the yⱼ in them.
    pub open_around_x: Balls,
    /// Closed balls ‖x−y‖ ≤ rᵢ around the xᵢ, and the yⱼ in them.
    pub closed_around_x: Balls,
    /// Closed balls ‖x−y‖ ≤ sⱼ around the yⱼ, and the xᵢ in them.
    pub closed_around_y: Balls,
}

/// All memberships of points of either sample in balls around points of the other, in one pass over the distances.
///
/// *Shapes*: x (n, d) with radii r (n), y (m, d) with radii s (m).
///
/// # Errors
/// When dimensions differ, or there is not one radius for each point.
pub fn mutual(x: PointsView, x_radii: &Radii, y: PointsView, y_radii: &Radii) -> Result<Mutual> {
    x.check_same_dim(y)?;
    for (points, radii) in [(x, x_radii), (y, y_radii)] {
        if points.len() != radii.squared.len() {
            let (field, remedy) = (Field::Count("radii".into()), "give one radius for each point");
            return Err(Error::mismatch(field, radii.squared.len(), points.len(), remedy));
        }
    }
    let empty = |n, m| {
        let balls = |points, balls| Balls {
            of_points: vec![Count::default(); points],
            of_balls: vec![Count::default(); balls],
        };
        Mutual { open_around_x: balls(m, n), closed_around_x: balls(m, n), closed_around_y: balls(n, m) }
    };
    let mut all = empty(x.len(), y.len());
    let frame = Frame::of_distances(x, Some(y), Precision::F64);
    let (x, y) = (frame.x(), frame.y());
    let here = |radii: &Radii| -> Vec<f64> {
        let ratio = frame.unit / radii.unit;
        radii.squared.iter().map(|r| r * ratio * ratio).collect()
    };
    let (x_radii, y_radii) = (here(x_radii), here(y_radii));
    let visit = |found: &mut Mutual, tile: Distances<f64>| {
        let width = tile.columns.len();
        for (i, row) in tile.squared.chunks_exact(width).enumerate() {
            let (row_index, in_task) = (tile.rows.start + i, tile.rows_in_task.start + i);
            let radius = x_radii[row_index];
            for (j, &r) in row.iter().enumerate() {
                let (column_index, column_in_task) = (tile.columns.start + j, tile.columns_in_task.start + j);
                let doubt = DOUBTFUL * r;
                let other = y_radii[column_index];
                if r - doubt > radius && r - doubt > other {
                    continue;
                }
                let doubtful = (r - radius).abs() <= doubt || (r - other).abs() <= doubt;
                let r = if doubtful { squared_distance(x, row_index, y, column_index) } else { r };
                let put = |balls: &mut Balls, point: (usize, usize), ball: (usize, usize)| {
                    balls.of_points[point.0].add(ball.1);
                    balls.of_balls[ball.0].add(point.1);
                };
                let (of_x, of_y) = ((in_task, row_index), (column_in_task, column_index));
                if r < radius {
                    put(&mut found.open_around_x, of_y, of_x);
                }
                if r <= radius {
                    put(&mut found.closed_around_x, of_y, of_x);
                }
                if r <= other {
                    put(&mut found.closed_around_y, of_x, of_y);
                }
            }
        }
    };
    for_each_distance(&frame, empty, visit, |rows, columns, part| {
        let add = |all: &mut [Count], part: &[Count]| all.iter_mut().zip(part).for_each(|(all, part)| all.merge(*part));
        for (all, part) in
            [(&mut all.open_around_x, &part.open_around_x), (&mut all.closed_around_x, &part.closed_around_x)]
        {
            add(&mut all.of_points[columns.clone()], &part.of_points);
            add(&mut all.of_balls[rows.clone()], &part.of_balls);
        }
        add(&mut all.closed_around_y.of_points[rows], &part.closed_around_y.of_points);
        add(&mut all.closed_around_y.of_balls[columns], &part.closed_around_y.of_balls);
    });
    Ok(all)
}

/// The k nearest so far: squared distance and index, ascending.
#[derive(Clone)]
struct Ranked(Vec<(f64, usize)>);

impl Ranked {
    fn new(k: usize) -> Self {
        Self(vec![(f64::INFINITY, usize::MAX); k])
    }

    /// Takes a point in, if it is nearer than the last, or as near and of a smaller index.
    fn push(&mut self, squared: f64, index: usize) {
        let last = self.0.len() - 1;
        if (squared, index) < self.0[last] {
            let place = self.0.partition_point(|&entry| entry < (squared, index));
            self.0.copy_within(place..last, place + 1);
            self.0[place] = (squared, index);
        }
    }

    /// Takes in points with the indices from `first` on.
    fn extend<T: Real>(&mut self, squared: &[T], first: usize) {
        for (j, &r) in squared.iter().enumerate() {
            self.push(r.widen(), first + j);
        }
    }
}

fn merge(all: &mut [Ranked], parts: &[Ranked]) {
    for (all, part) in all.iter_mut().zip(parts) {
        for &(r, index) in part.0.iter().filter(|(_, index)| *index != usize::MAX) {
            all.push(r, index);
        }
    }
}
