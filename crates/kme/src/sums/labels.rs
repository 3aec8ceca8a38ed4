//! Quadratic forms sᵀKs of many labellings of one sample, from one pass over its Gram matrix.
//!
//! A permutation test needs, for each of B ways of splitting N pooled points into two groups, the sum of the kernel
//! over the pairs within a group. Each tile of kernel values is computed once and multiplied, while it is in cache, by
//! the columns of a panel of labels, one for each labelling: B passes over the Gram matrix become one, at the price of
//! a matrix product. Several kernels share the inner products of a tile.

use super::engine::diagonal;
use super::frame::Frame;
use super::panel::product;
use super::sides::Sides;
use super::simd::{Real, Work, vectorised};
use super::sweep::{Task, WAVE, sweep, tasks};
use super::tile::Values;
use super::{Pairs, Precision, all_finite};
use crate::kernel::Kernel;
use crate::points::PointsView;
use crate::rng;
use crate::{Error, Result};
use rayon::prelude::*;
use std::ops::Range;
use std::slice::ChunksExact;

/// For each of N points which of B labellings put it into the first group: a bit each.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    points: usize,
    count: usize,
    /// One bit a labelling, the words of a point side by side.
    words: Vec<u64>,
}

impl Labels {
    /// The labelling that was observed, in which the first `n` of `total` points are the first group, and
    /// `permutations` random ones with groups of the same sizes. Permutation b is a function of (seed, purpose, b)
    /// alone.
    ///
    /// # Errors
    /// When they would not fit into memory that can be addressed.
    pub(crate) fn permuted(total: usize, n: usize, permutations: usize, seed: u64, purpose: &str) -> Result<Self> {
        let count = permutations + 1;
        let words = count.div_ceil(64);
        if words.checked_mul(total).is_none_or(|w| w > isize::MAX as usize / 8) {
            let most = format!("memory can hold for {total} points");
            return Err(Error::too_many("permutations", permutations, most, "use fewer permutations"));
        }
        let mut labels = Self { points: total, count, words: vec![0; words * total] };
        // A word at a time, so that the lists of indices stay small beside the bits.
        for word in 0..words {
            let group = |b: usize| match b {
                0 => (0..n).collect(),
                _ => rng::choose(&mut rng::stream(seed, purpose, b as u64 - 1), total, n),
            };
            let groups: Vec<Vec<usize>> = (64 * word..count.min(64 * word + 64)).into_par_iter().map(group).collect();
            for (bit, group) in groups.into_iter().enumerate() {
                for i in group {
                    labels.words[i * words + word] |= 1 << bit;
                }
            }
        }
        Ok(labels)
    }

    /// How many labellings there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether labelling `b` puts point `i` into the first group.
    pub(crate) fn is_first(&self, b: usize, i: usize) -> bool {
        self.words[i * self.count.div_ceil(64) + b / 64] >> (b % 64) & 1 == 1
    }

    /// Adds up, for every labelling, the values of the points in the first group.
    pub(crate) fn sums(&self, values: &[f64]) -> Vec<f64> {
        let sum = |b: usize| values.iter().enumerate().filter(|(i, _)| self.is_first(b, *i)).map(|(_, v)| v).sum();
        (0..self.count).into_par_iter().map(sum).collect()
    }

    /// The labels of some points in some labellings, from a multiple of 64 on, as numbers 0 and 1: shape (points,
    /// labellings).
    fn panel<T: Real>(&self, points: Range<usize>, labellings: Range<usize>, panel: &mut Vec<T>) {
        debug_assert!(labellings.start.is_multiple_of(64));
        panel.resize(points.len() * labellings.len(), T::default());
        let words = self.count.div_ceil(64);
        let words = self.words[points.start * words..].chunks_exact(words);
        vectorised(Expand { words, first: labellings.start / 64, width: labellings.len(), panel });
    }
}

/// Bits as numbers 0 and 1.
struct Expand<'a, T> {
    /// Those of each point.
    words: ChunksExact<'a, u64>,
    /// The first word that is wanted.
    first: usize,
    /// How many bits from there on.
    width: usize,
    panel: &'a mut [T],
}

impl<T: Real> Work for Expand<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let (zero, one) = (T::default(), T::narrow(1.0));
        for (row, words) in self.panel.chunks_exact_mut(self.width).zip(self.words) {
            for (labels, word) in row.chunks_mut(64).zip(&words[self.first..]) {
                for (bit, label) in labels.iter_mut().enumerate() {
                    *label = if word >> bit & 1 == 1 { one } else { zero };
                }
            }
        }
    }
}

/// Sums of one kernel over a pooled sample, of its values minus the origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labelled {
    /// Σ_{j≠i} (k(zᵢ,zⱼ) − origin), shape (N).
    pub rows: Vec<f64>,
    /// k(zᵢ,zᵢ) − origin, shape (N).
    pub diagonal: Vec<f64>,
    /// Σ_{i≠j, both in the first group} (k(zᵢ,zⱼ) − origin), shape (labellings).
    pub forms: Vec<f64>,
}

/// Labellings that are multiplied together: their panel and the products stay in the second-level cache.
const TOGETHER: usize = 128;

/// Blocks of rows in a task.
const TALLEST: usize = 2;

/// The sums of every kernel for every labelling, from one pass over the tiles.
///
/// Each kernel has its own origin, which should be near its values: differences of the sums then keep their digits. The
/// product with the labels is in the precision of the tiles, over 256 points at a time; everything else is double. The
/// centre is that of [`About`](super::About).
///
/// *Shapes*: z (N, d), labels (N, labellings), origins (kernels).
///
/// # Errors
/// When a sum overflows; [`Error::Cancelled`] when whoever watches asks for a stop.
pub(crate) fn labelled(
    kernels: &[Kernel],
    z: PointsView,
    centre: Option<&[f64]>,
    labels: &Labels,
    origins: &[f64],
    precision: Precision,
    pairs: &Pairs,
) -> Result<Vec<Labelled>> {
    assert!(labels.points == z.len() && origins.len() == kernels.len());
    let frame = Frame::of_several(kernels, centre, z, None, precision.with_origins(origins));
    let sums = match frame.precision {
        Precision::F64 => sum::<f64>(&frame, labels, origins, pairs),
        Precision::F32 => sum::<f32>(&frame, labels, origins, pairs),
    };
    pairs.check()?;
    for (kernel, sums) in kernels.iter().zip(&sums) {
        all_finite(kernel, precision, &sums.rows)?;
        all_finite(kernel, precision, &sums.diagonal)?;
        all_finite(kernel, precision, &sums.forms)?;
    }
    Ok(sums)
}

/// What a task adds up for one kernel.
struct Partial {
    rows: Vec<f64>,
    columns: Vec<f64>,
    forms: Vec<f64>,
}

fn sum<T: Real>(frame: &Frame, labels: &Labels, origins: &[f64], pairs: &Pairs) -> Vec<Labelled> {
    let (n, count, kernels) = (frame.x().len(), labels.count, &frame.kernels);
    let sides = Sides::<T>::new(frame);
    let work = |task: &Task| {
        // What has been stopped is not returned.
        if pairs.check().is_err() {
            return (vec![], vec![]);
        }
        let (rows, columns) = (task.rows(n), task.columns(n));
        let partial =
            || Partial { rows: vec![0.0; rows.len()], columns: vec![0.0; columns.len()], forms: vec![0.0; count] };
        let mut partials: Vec<Partial> = kernels.iter().map(|_| partial()).collect();
        let mut products = Products::<T>::default();
        let mut values = Vec::new();
        sides.for_each_tile(task, |place, mut tile, _, _| {
            let is_diagonal = place.rows == place.columns;
            let width = tile.yy.len();
            values.resize(tile.entries.len(), T::default());
            for ((kernel, origin), partial) in kernels.iter().zip(origins).zip(&mut partials) {
                let tile = tile.reborrow();
                vectorised(Values { tile, kernel, origin: *origin, diagonal: is_diagonal, values: &mut values });
                for (i, row) in values.chunks_exact(width).enumerate() {
                    let mut total = 0.0;
                    for (column, value) in partial.columns[place.columns_in_task.clone()].iter_mut().zip(row) {
                        total += value.widen();
                        // A tile off the diagonal stands for its mirror image too.
                        *column += if is_diagonal { 0.0 } else { value.widen() };
                    }
                    partial.rows[place.rows_in_task.start + i] += total;
                }
                let factor = if is_diagonal { 1.0 } else { 2.0 };
                products.add(&values, labels, place.rows.clone(), place.columns.clone(), factor, &mut partial.forms);
            }
            pairs.add(kernels.len() * place.rows.len() * width);
        });
        let diagonals = kernels.iter().zip(origins).map(|(kernel, origin)| match task.is_first() {
            true => diagonal::<T>(kernel, frame.x(), rows.clone(), frame.centre.as_deref(), *origin),
            false => vec![],
        });
        let diagonals: Vec<Vec<f64>> = diagonals.collect();
        (partials, diagonals)
    };
    let empty = || Labelled { rows: vec![0.0; n], diagonal: Vec::with_capacity(n), forms: vec![0.0; count] };
    let mut sums: Vec<Labelled> = kernels.iter().map(|_| empty()).collect();
    // Results are added in the order of the tasks, so the length of a wave may depend on memory.
    let wave = ((1 << 24) / (kernels.len() * count)).clamp(rayon::current_num_threads().min(WAVE), WAVE);
    sweep(&tasks(n, n, true, TALLEST), wave, work, |task, (partials, diagonals)| {
        for ((sums, partial), diagonal) in sums.iter_mut().zip(partials).zip(diagonals) {
            add(&mut sums.rows[task.rows(n)], &partial.rows);
            add(&mut sums.rows[task.columns(n)], &partial.columns);
            add(&mut sums.forms, &partial.forms);
            sums.diagonal.extend(diagonal);
        }
    });
    sums
}

/// Working memory for the products of a tile with the labels.
#[derive(Default)]
struct Products<T> {
    right: Vec<T>,
    left: Vec<T>,
    product: Vec<T>,
}

impl<T: Real> Products<T> {
    /// forms_b += factor · Σᵢⱼ s_bᵢ kᵢⱼ s_bⱼ over the rows and columns of a tile.
    fn add(
        &mut self,
        values: &[T],
        labels: &Labels,
        rows: Range<usize>,
        columns: Range<usize>,
        factor: f64,
        forms: &mut [f64],
    ) {
        let (m, k) = (rows.len(), columns.len());
        for first in (0..labels.count).step_by(TOGETHER) {
            let labellings = first..(first + TOGETHER).min(labels.count);
            let n = labellings.len();
            labels.panel(columns.clone(), labellings.clone(), &mut self.right);
            labels.panel(rows.clone(), labellings.clone(), &mut self.left);
            self.product.resize(m * n, T::default());
            assert!(values.len() == m * k && self.right.len() == k * n && self.left.len() == m * n);
            // SAFETY: the lengths were checked, and the strides describe row-major matrices of these shapes.
            unsafe { product((m, n, k), &mut self.product, (1, n), values, (1, k), &self.right, (1, n)) };
            let mut sums = [0.0; TOGETHER];
            for (product, labels) in self.product.chunks_exact(n).zip(self.left.chunks_exact(n)) {
                for ((sum, product), label) in sums.iter_mut().zip(product).zip(labels) {
                    *sum += product.widen() * label.widen();
                }
            }
            for (form, sum) in forms[labellings].iter_mut().zip(&sums) {
                *form += factor * sum;
            }
        }
    }
}

fn add(sums: &mut [f64], parts: &[f64]) {
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum += part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Pair;
    use crate::points::{Data, Points};
    use kme_testing::normal;

    fn sample(n: usize, d: usize) -> Points {
        let mut rng = rng::stream(3, "labels", 0);
        Points::new(n, d, Data::F64((0..n * d).map(|_| 0.4 + normal(&mut rng)).collect())).unwrap()
    }

    const KERNELS: [&str; 5] =
        ["gaussian:sigma=2", "laplacian:scale=1", "rq:alpha=0.2,1+linear", "energy", "poly:degree=3,gamma=0.2,coef=1"];

    #[test]
    fn forms_equal_the_naive_loop() {
        for (total, n, permutations) in [(7, 3, 20), (300, 120, 150), (530, 265, 129)] {
            let z = sample(total, 5);
            let labels = Labels::permuted(total, n, permutations, 1, "test").unwrap();
            let kernels: Vec<Kernel> = KERNELS.iter().map(|t| t.parse().unwrap()).collect();
            let origins: Vec<f64> = (0..kernels.len()).map(|i| 0.3 * i as f64).collect();
            for (precision, tolerance) in [(Precision::F64, 1e-12), (Precision::F32, 3e-5)] {
                // Together, and with the centre that only radial kernels have.
                let pairs = Pairs::new(&(), kernels.len(), 1, z.len());
                let all = labelled(&kernels, z.view(), None, &labels, &origins, precision, &pairs).unwrap();
                let radial =
                    labelled(&kernels[..2], z.view(), None, &labels, &origins[..2], precision, &pairs).unwrap();
                for (found, (kernel, origin)) in
                    all.iter().chain(&radial).zip(kernels.iter().zip(&origins).chain(kernels.iter().zip(&origins)))
                {
                    let Data::F64(v) = z.data() else { unreachable!() };
                    let row = |i: usize| &v[5 * i..5 * i + 5];
                    let k = |i: usize, j: usize| kernel.value(&Pair::of(row(i), row(j))) - origin;
                    let size: f64 = (0..total).map(|j| k(0, j).abs()).sum::<f64>() * total as f64;
                    for b in [0, 1, permutations / 2, permutations] {
                        let group: Vec<usize> = (0..total).filter(|&i| labels.is_first(b, i)).collect();
                        assert_eq!(group.len(), n);
                        let pairs = group.iter().flat_map(|&i| group.iter().map(move |&j| (i, j)));
                        let right: f64 = pairs.filter(|(i, j)| i != j).map(|(i, j)| k(i, j)).sum();
                        let error = (found.forms[b] - right).abs() / size;
                        assert!(error < tolerance, "{kernel} {precision:?}: {} is not {right}", found.forms[b]);
                    }
                    for i in [0, total - 1] {
                        let right: f64 = (0..total).filter(|&j| j != i).map(|j| k(i, j)).sum();
                        assert!((found.rows[i] - right).abs() < tolerance * size, "{kernel} {precision:?}");
                        assert!((found.diagonal[i] - k(i, i)).abs() < 20.0 * tolerance, "{kernel} {precision:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let z = sample(900, 6);
        let kernels: Vec<Kernel> = KERNELS.iter().map(|t| t.parse().unwrap()).collect();
        let all = || {
            let labels = Labels::permuted(900, 400, 200, 1, "test").unwrap();
            labelled(&kernels, z.view(), None, &labels, &[0.1; 5], Precision::F32, &Pairs::new(&(), 5, 1, z.len()))
                .unwrap()
        };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
        let one = pool(1);
        assert!(one == pool(2) && one == pool(3));
    }

    #[test]
    fn a_permutation_does_not_depend_on_how_many_there_are() {
        let (few, many) =
            (Labels::permuted(50, 20, 5, 7, "test").unwrap(), Labels::permuted(50, 20, 500, 7, "test").unwrap());
        for b in 0..6 {
            assert!((0..50).all(|i| few.is_first(b, i) == many.is_first(b, i)));
        }
        assert!((0..50).all(|i| many.is_first(0, i) == (i < 20)));
        // Every point is in the first group about as often as the others.
        for i in 0..50 {
            let times = (1..501).filter(|&b| many.is_first(b, i)).count();
            assert!((145..255).contains(&times), "{times}");
        }
    }
}
