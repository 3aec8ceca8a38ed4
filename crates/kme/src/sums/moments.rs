//! Sums of polynomial kernels without pairs, from the moments of each sample.
//!
//! Σᵢⱼ uᵢvⱼ⟨xᵢ,yⱼ⟩^q = ⟨Σᵢ uᵢ xᵢ^⊗q, Σⱼ vⱼ yⱼ^⊗q⟩ for the q-th tensor powers. For q = 2 the right side is ⟨XᵀX, YᵀY⟩_F, which
//! is not ‖XᵀY‖²_F.

use super::panel::add_product;
use super::sweep::sweep;
use crate::kernel::{Form, Kernel};
use crate::points::PointsView;
use std::ops::Range;

/// Powers up to this one are taken from moments.
const GREATEST_ORDER: usize = 3;
/// Beyond this dimension the d(d+1)(d+2)/6 third moments take too much memory.
const GREATEST_DIMENSION_OF_THIRD: usize = 128;

/// The coefficients cₚ of k(x,y) = Σₚ cₚ⟨x,y⟩^p, if the moments are cheaper than `pairs` pairs.
pub(super) fn plan(kernel: &Kernel, pairs: f64, points: usize, d: usize) -> Option<Vec<f64>> {
    let powers = powers(kernel)?;
    let order = powers.len() - 1;
    if order == 3 && d > GREATEST_DIMENSION_OF_THIRD {
        return None;
    }
    // In multiply-adds of the matrix product. It makes one triangle of the second moments; the third are made without it.
    let width = d as f64;
    let cost_of_point = [0.0, width, 0.5 * width * width, width.powi(3)][order];
    let cost_of_pair = width + 8.0;
    (2.0 * cost_of_point * points as f64 <= cost_of_pair * pairs).then_some(powers)
}

/// The coefficients of a kernel that is a polynomial in ⟨x,y⟩ of low degree, unless one of them underflows or overflows
/// where its product with the points need not.
fn powers(kernel: &Kernel) -> Option<Vec<f64>> {
    let mut powers = vec![0.0; GREATEST_ORDER + 1];
    for &(weight, form) in kernel.terms() {
        let (degree, gamma, coef) = match form {
            Form::Linear => (1, 1.0, 0.0),
            Form::Polynomial { degree, gamma, coef } if degree as usize <= GREATEST_ORDER => (degree, gamma, coef),
            _ => return None,
        };
        let mut choices = 1.0;
        for p in 0..=degree {
            if p == degree || coef > 0.0 {
                let coefficient = weight * choices * gamma.powi(p as i32) * coef.powi((degree - p) as i32);
                if !coefficient.is_normal() {
                    return None;
                }
                powers[p as usize] += coefficient;
            }
            choices *= f64::from(degree - p) / f64::from(p + 1);
        }
    }
    while powers.last() == Some(&0.0) {
        powers.pop();
    }
    Some(powers)
}

/// The weighted moments Σᵢ wᵢ xᵢ^⊗q for q = 0, 1, ...
pub(super) struct Moments {
    d: usize,
    zeroth: f64,
    /// Shape (d).
    first: Vec<f64>,
    /// Shape (d, d), or empty.
    second: Vec<f64>,
    /// Entries a ≤ b ≤ c in lexicographic order, or empty.
    third: Vec<f64>,
}

impl Moments {
    /// The moments up to `order` ≤ 3; the first about `centre`, if there is one, and then no others.
    pub(super) fn new(points: PointsView, weights: &[f64], order: usize, centre: Option<&[f64]>) -> Self {
        debug_assert!(centre.is_none() || order <= 1);
        Self {
            d: points.dim(),
            zeroth: weights.iter().sum(),
            first: if order >= 1 { first(points, weights, centre) } else { vec![] },
            second: if order >= 2 { second(points, weights) } else { vec![] },
            third: if order >= 3 { third(points, weights) } else { vec![] },
        }
    }

    /// Σᵢⱼ uᵢvⱼ Σₚ cₚ⟨xᵢ,yⱼ⟩^p for the coefficients `powers`.
    pub(super) fn sum(&self, other: &Self, powers: &[f64]) -> f64 {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let inner = |order: usize| match order {
            0 => self.zeroth * other.zeroth,
            1 => dot(&self.first, &other.first),
            2 => dot(&self.second, &other.second),
            _ => self.third_inner(other),
        };
        powers.iter().enumerate().filter(|(_, c)| **c != 0.0).map(|(order, c)| c * inner(order)).sum()
    }

    /// Each entry a ≤ b ≤ c stands for all its permutations.
    fn third_inner(&self, other: &Self) -> f64 {
        let (mut sum, mut index) = (0.0, 0);
        for a in 0..self.d {
            for b in a..self.d {
                for c in b..self.d {
                    let permutations = match (a == b, b == c) {
                        (true, true) => 1.0,
                        (false, false) => 6.0,
                        _ => 3.0,
                    };
                    sum += permutations * self.third[index] * other.third[index];
                    index += 1;
                }
            }
        }
        sum
    }
}

/// Rows of a task: how the points are cut depends on their number alone.
const ROWS: usize = 4096;

fn row_ranges(n: usize) -> Vec<Range<usize>> {
    (0..n).step_by(ROWS).map(|first| first..(first + ROWS).min(n)).collect()
}

fn row(points: PointsView, i: usize, to: &mut [f64]) {
    let first = i * points.dim();
    for (k, to) in to.iter_mut().enumerate() {
        *to = points.data().get(first + k);
    }
}

fn first(points: PointsView, weights: &[f64], centre: Option<&[f64]>) -> Vec<f64> {
    let d = points.dim();
    let work = |rows: &Range<usize>| {
        let (mut sums, mut x) = (vec![0.0; d], vec![0.0; d]);
        for i in rows.clone() {
            row(points, i, &mut x);
            for (x, centre) in x.iter_mut().zip(centre.into_iter().flatten()) {
                *x -= centre;
            }
            for (sum, x) in sums.iter_mut().zip(&x) {
                *sum += weights[i] * x;
            }
        }
        sums
    };
    let mut moments = vec![0.0; d];
    sweep(&row_ranges(points.len()), 256, work, |_, sums| add(&mut moments, &sums));
    moments
}

/// Columns of a tile of the second moments.
const COLUMNS: usize = 256;

fn second(points: PointsView, weights: &[f64]) -> Vec<f64> {
    let d = points.dim();
    let blocks: Vec<Range<usize>> = (0..d).step_by(COLUMNS).map(|c| c..(c + COLUMNS).min(d)).collect();
    let rows = row_ranges(points.len());
    let tasks: Vec<(Range<usize>, Range<usize>, Range<usize>)> = (0..blocks.len())
        .flat_map(|a| (a..blocks.len()).map(move |b| (a, b)))
        .flat_map(|(a, b)| rows.iter().map(move |rows| (a, b, rows)))
        .map(|(a, b, rows)| (blocks[a].clone(), blocks[b].clone(), rows.clone()))
        .collect();
    let work = |(a, b, rows): &(Range<usize>, Range<usize>, Range<usize>)| {
        let (m, n) = (a.len(), b.len());
        let mut tile = vec![0.0; m * n];
        for start in rows.clone().step_by(COLUMNS) {
            let part = start..(start + COLUMNS).min(rows.end);
            let k = part.len();
            let left = columns(points, part.clone(), a.clone(), Some(weights));
            let right = columns(points, part, b.clone(), None);
            // SAFETY: the tile is (m, n), the left panel (k, m) and the right one (k, n), each row after row.
            unsafe { add_product((m, n, k), true, &mut tile, (1, n), &left, (m, 1), &right, (1, n)) };
        }
        tile
    };
    let mut moments = vec![0.0; d * d];
    sweep(&tasks, 64, work, |(a, b, _), tile| {
        for (i, row) in a.clone().zip(tile.chunks_exact(b.len())) {
            add(&mut moments[i * d + b.start..i * d + b.end], row);
            if a != b {
                for (j, value) in b.clone().zip(row) {
                    moments[j * d + i] += value;
                }
            }
        }
    });
    moments
}

/// Some columns of some rows, times the weights of the rows.
fn columns(points: PointsView, rows: Range<usize>, columns: Range<usize>, weights: Option<&[f64]>) -> Vec<f64> {
    let d = points.dim();
    let mut panel = Vec::with_capacity(rows.len() * columns.len());
    for i in rows {
        let weight = weights.map_or(1.0, |w| w[i]);
        panel.extend(columns.clone().map(|c| weight * points.data().get(i * d + c)));
    }
    panel
}

fn third(points: PointsView, weights: &[f64]) -> Vec<f64> {
    let d = points.dim();
    let count = d * (d + 1) * (d + 2) / 6;
    let work = |rows: &Range<usize>| {
        let (mut sums, mut x) = (vec![0.0; count], vec![0.0; d]);
        for i in rows.clone() {
            row(points, i, &mut x);
            let mut rest = sums.as_mut_slice();
            for a in 0..d {
                for b in a..d {
                    let (entries, others) = rest.split_at_mut(d - b);
                    let product = weights[i] * x[a] * x[b];
                    for (entry, x) in entries.iter_mut().zip(&x[b..]) {
                        *entry += product * x;
                    }
                    rest = others;
                }
            }
        }
        sums
    };
    let mut moments = vec![0.0; count];
    sweep(&row_ranges(points.len()), 16, work, |_, sums| add(&mut moments, &sums));
    moments
}

fn add(sums: &mut [f64], parts: &[f64]) {
    for (sum, part) in sums.iter_mut().zip(parts) {
        *sum += part;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::points::{Data, Points};
    use crate::sums::{Precision, rectangle};

    fn sample(n: usize, d: usize, seed: u64) -> Points {
        let mut rng = crate::rng::stream(seed, "moments", 0);
        Points::new(n, d, Data::F64(kme_testing::normals(n * d, &mut rng))).unwrap()
    }

    const POLYNOMIALS: [&str; 5] = [
        "linear",
        "poly:degree=1,gamma=0.5,coef=2",
        "poly:degree=2,gamma=1,coef=1.3",
        "poly:degree=3,gamma=0.2,coef=1",
        "2*linear+0.5*poly:degree=3,gamma=0.1,coef=0+poly:degree=2,gamma=1,coef=0",
    ];

    #[test]
    fn moments_equal_the_tiles() {
        for (n, m, d) in [(7, 11, 4), (5000, 30, 9), (40, 700, 33), (300, 300, 300)] {
            let (x, y) = (sample(n, d, 0), sample(m, d, 1));
            let (u, v): (Vec<f64>, Vec<f64>) =
                ((0..n).map(|i| 1.0 + (i as f64).sin()).collect(), (0..m).map(|i| 0.5 + (i as f64).cos()).collect());
            for text in POLYNOMIALS {
                let kernel: Kernel = text.parse().unwrap();
                let powers = powers(&kernel).unwrap();
                if powers.len() > 3 && d > 100 {
                    continue;
                }
                let order = powers.len() - 1;
                let found =
                    Moments::new(x.view(), &u, order, None).sum(&Moments::new(y.view(), &v, order, None), &powers);
                let rows =
                    rectangle((&kernel).into(), x.view(), y.view(), &v, &vec![0.0; n], false, Precision::F64).rows;
                let right: f64 = rows.iter().zip(&u).map(|(k, u)| k * u).sum();
                let size: f64 = rows.iter().zip(&u).map(|(k, u)| (k * u).abs()).sum();
                assert!((found - right).abs() < 1e-12 * size, "{text} n={n} m={m} d={d}: {found} is not {right}");
            }
        }
    }

    #[test]
    fn moments_are_chosen_when_cheaper() {
        let plan = |text: &str, n: f64, d: usize| plan(&text.parse().unwrap(), n * n, 2 * n as usize, d);
        assert_eq!(plan("linear", 1000.0, 2048), Some(vec![0.0, 1.0]));
        assert_eq!(plan("poly:degree=2,gamma=1,coef=3", 10000.0, 512), Some(vec![9.0, 6.0, 1.0]));
        assert_eq!(plan("poly:degree=2,gamma=1,coef=3", 1000.0, 2048), None);
        assert_eq!(plan("poly:degree=3,gamma=2,coef=3", 100000.0, 16), Some(vec![27.0, 54.0, 36.0, 8.0]));
        assert_eq!(plan("poly:degree=3,gamma=2,coef=3", 1000.0, 2048), None);
        assert_eq!(plan("poly:degree=4,gamma=1,coef=1", 1e6, 2), None);
        assert_eq!(plan("linear+gaussian:sigma=1", 1e6, 2), None);
    }

    /// MMD² of polynomial kernels is a distance of moments.
    #[test]
    fn mmd_of_polynomials_is_a_distance_of_moments() {
        use crate::discrepancy::{Estimator, mmd2};
        let (n, m, d, b) = (40, 53, 6, 0.7);
        let (p, q) = (sample(n, d, 7), sample(m, d, 8));
        let mean = |p: &Points| Moments::new(p.view(), &vec![1.0 / p.len() as f64; p.len()], 3, None);
        let (mx, my) = (mean(&p), mean(&q));
        let gap = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
        let mmd = |text: String| {
            mmd2(&text.parse::<Kernel>().unwrap(), &p, &q, Estimator::Biased, Precision::F64).unwrap().value
        };
        let right = gap(&mx.second, &my.second) + 2.0 * b * gap(&mx.first, &my.first);
        let found = mmd(format!("poly:degree=2,gamma=1,coef={b}"));
        assert!((found / right - 1.0).abs() < 1e-12, "{found} is not {right}");
        let third = mx.third.iter().zip(&my.third).map(|(x, y)| x - y).collect();
        let third = Moments { d, zeroth: 0.0, first: vec![], second: vec![], third };
        let wide = d as f64;
        let right = third.third_inner(&third) / wide.powi(3)
            + 3.0 * gap(&mx.second, &my.second) / wide.powi(2)
            + 3.0 * gap(&mx.first, &my.first) / wide;
        let found = mmd(format!("poly:degree=3,gamma={},coef=1", 1.0 / wide));
        assert!((found / right - 1.0).abs() < 1e-12, "{found} is not {right}");
    }

    #[test]
    fn the_same_bits_for_any_number_of_threads() {
        let p = sample(9000, 20, 9);
        let w = vec![0.3; 9000];
        let kernel: Kernel = "poly:degree=3,gamma=0.1,coef=1".parse().unwrap();
        let powers = powers(&kernel).unwrap();
        let sum = || {
            let moments = Moments::new(p.view(), &w, 3, None);
            moments.sum(&moments, &powers).to_bits()
        };
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(sum);
        assert!(pool(1) == pool(2) && pool(1) == pool(3));
    }
}
