//! Every statistic against its definition.

use super::permuted::mmd2_of_labellings;
use super::*;
use crate::Field;
use crate::discrepancy::{Estimator, mmd2};
use crate::kernel::{Kernel, Pair};
use crate::neighbours::nearest;
use crate::points::{Data, Points};
use crate::rng::{Rng, stream};
use crate::sums::Precision;
use kme_testing::normal;

fn sample(n: usize, d: usize, shift: f64, rng: &mut Rng) -> Points {
    Points::new(n, d, Data::F64((0..n * d).map(|_| shift + normal(rng)).collect())).unwrap()
}

fn row(p: &Points, i: usize) -> &[f64] {
    match p.data() {
        Data::F64(v) => &v[i * p.dim()..(i + 1) * p.dim()],
        Data::F32(_) => unreachable!("the tests use f64"),
    }
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
}

fn gram(kernel: &Kernel, x: &Points, y: &Points) -> Vec<Vec<f64>> {
    let k = |i, j| kernel.value(&Pair::of(row(x, i), row(y, j)));
    (0..x.len()).map(|i| (0..y.len()).map(|j| k(i, j)).collect()).collect()
}

fn kernel(text: &str) -> Kernel {
    text.parse().unwrap()
}

const KERNELS: [&str; 4] =
    ["gaussian:sigma=1.5", "laplacian:scale=1", "rq:alpha=0.2,0.5,1,2,5+linear", "poly:degree=3,gamma=0.25,coef=1"];

fn permutations(count: usize, precision: Precision) -> Permutations<'static> {
    Permutations { count, seed: 5, precision, ..Permutations::default() }
}

#[test]
fn statistics_of_labellings_are_mmd2_of_the_split_samples() {
    let mut rng = stream(1, "inference", 0);
    let (x, y) = (sample(23, 4, 0.0, &mut rng), sample(41, 4, 0.5, &mut rng));
    let pooled = Points::concat(&[&x, &y]).unwrap();
    for (precision, tolerance) in [(Precision::F64, 1e-12), (Precision::F32, 1e-4)] {
        let permutations = permutations(40, precision);
        let labels = permutations.labels(23, 41, "permutation").unwrap();
        for estimator in [Estimator::Biased, Estimator::Unbiased] {
            let kernels: Vec<Kernel> = KERNELS.iter().map(|t| kernel(t)).collect();
            let found = mmd2_of_labellings(&kernels, x.view(), y.view(), estimator, &permutations).unwrap();
            for (kernel, found) in kernels.iter().zip(found) {
                let size = mmd2(kernel, &x, &y, Estimator::Biased, Precision::F64).unwrap().value;
                for (b, found) in found.into_iter().enumerate() {
                    let (one, two): (Vec<usize>, Vec<usize>) = (0..64).partition(|&i| labels.is_first(b, i));
                    let (one, two) = (pooled.select(&one).unwrap(), pooled.select(&two).unwrap());
                    let right = mmd2(kernel, &one, &two, estimator, Precision::F64).unwrap().value;
                    let error = (found - right).abs() / size;
                    assert!(error < tolerance, "{kernel} {precision:?} {estimator}: {found} is not {right}");
                }
            }
        }
    }
    let wrong =
        mmd2_of_labellings(&[kernel("linear")], x.view(), y.view(), Estimator::Linear, &Permutations::default());
    assert!(matches!(wrong, Err(Error::Unsupported { .. })));
}

#[test]
fn ties_count() {
    let line = |v: &[f64]| Points::new(v.len(), 1, Data::F64(v.to_vec())).unwrap();
    let k = kernel("gaussian:sigma=1");
    for precision in [Precision::F64, Precision::F32] {
        let permutations = permutations(4999, precision);
        let p = |x: &[f64], y: &[f64]| {
            let (x, y) = (line(x), line(y));
            let alone = two_sample(&k, &x, &y, Estimator::Unbiased, &permutations).unwrap().outcome.p_value;
            let all = aggregated(&[k.clone(), kernel("energy")], &x, &y, &permutations).unwrap().outcome.p_value;
            (alone, all)
        };
        // All statistics are equal.
        assert_eq!(p(&[1.0; 5], &[1.0; 4]), (1.0, 1.0));
        // Of 20 labellings two have the largest statistic: the observed one and its mirror image.
        let (alone, all) = p(&[0.0, 0.1, 0.25], &[5.0, 5.1, 5.3]);
        assert!((alone - 0.1).abs() < 0.013 && (all - 0.1).abs() < 0.013, "{alone} {all}");
        // Two of three points each are alike: every labelling has four that give the same values.
        let (alone, _) = p(&[0.0, 0.0, 9.0], &[3.0, 3.0, 9.0]);
        assert!((alone - 0.4).abs() < 0.5 && alone > 0.2, "{alone}");
    }
}

#[test]
fn the_aggregated_p_value_is_that_of_its_definition() {
    let mut rng = stream(2, "inference", 0);
    for shift in [0.0, 0.3, 0.6] {
        let (x, y) = (sample(30, 3, 0.0, &mut rng), sample(25, 3, shift, &mut rng));
        let kernels = collection(&x, &y).unwrap();
        let permutations = permutations(199, Precision::F64);
        let found = aggregated(&kernels, &x, &y, &permutations).unwrap();
        let all = mmd2_of_labellings(&kernels, x.view(), y.view(), Estimator::Unbiased, &permutations).unwrap();
        // (p_λ, −z_λ) for each kernel and labelling, and the smallest of each labelling.
        let scores: Vec<Vec<(usize, f64)>> = all
            .iter()
            .map(|s| {
                let mean = s.iter().sum::<f64>() / 200.0;
                let sd = (s.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 200.0).sqrt();
                s.iter().map(|v| (s.iter().filter(|w| *w >= v).count(), -(v - mean) / sd)).collect()
            })
            .collect();
        let less = |a: &(usize, f64), b: &(usize, f64)| a.0 < b.0 || (a.0 == b.0 && a.1 < b.1 - 1e-4);
        let least: Vec<(usize, f64)> = (0..200)
            .map(|b| scores.iter().map(|s| s[b]).fold((usize::MAX, 0.0), |m, s| if less(&s, &m) { s } else { m }))
            .collect();
        let p = |score: &(usize, f64)| least.iter().filter(|other| !less(score, other)).count() as f64 / 200.0;
        assert_eq!(found.outcome.p_value, p(&least[0]));
        let own: Vec<f64> = found.components.iter().map(|c| c.p_value).collect();
        assert_eq!(own, scores.iter().map(|s| p(&s[0])).collect::<Vec<_>>());
        // A kernel rejects at some level exactly when the test does.
        assert_eq!(own.iter().copied().fold(1.0, f64::min), found.outcome.p_value);
        assert!(
            found.components.iter().all(|c| c.p_value >= c.own_p_value && c.own_p_value >= found.outcome.statistic)
        );
    }
}

#[test]
fn the_default_collection_covers_the_distances_of_the_pooled_points() {
    let mut rng = stream(3, "inference", 0);
    let (x, y) = (sample(40, 2, 0.0, &mut rng), sample(30, 2, 4.0, &mut rng));
    let kernels = collection(&x, &y).unwrap();
    assert_eq!(kernels.len(), 16);
    // The same points with other labels have the same kernels.
    let pooled = Points::concat(&[&x, &y]).unwrap();
    let (one, two): (Vec<usize>, Vec<usize>) = (0..70).partition(|i| i % 2 == 0);
    let other = collection(&pooled.select(&one).unwrap(), &pooled.select(&two).unwrap()).unwrap();
    for (a, b) in kernels.iter().zip(&other) {
        let width = |k: &Kernel| k.to_string().split_once('=').unwrap().1.parse::<f64>().unwrap();
        assert!((width(a) / width(b) - 1.0).abs() < 1e-12, "{a} {b}");
    }
    let same = pooled.select(&[3; 9]).unwrap();
    assert!(matches!(collection(&same, &same), Err(Error::TooFew { given: 1, least: 2, .. })));
}

/// The mean of a function of indices below `n` that are all different, so many at a time.
fn mean_of_distinct<const COUNT: usize>(n: usize, f: impl Fn([usize; COUNT]) -> f64) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for code in 0..n.pow(COUNT as u32) {
        let places: [usize; COUNT] = std::array::from_fn(|k| code / n.pow(k as u32) % n);
        if (0..COUNT).all(|a| (0..a).all(|b| places[a] != places[b])) {
            sum += f(places);
            count += 1.0;
        }
    }
    sum / count
}

fn mean(n: usize, f: impl Fn(usize) -> f64) -> f64 {
    mean_of_distinct(n, |[i]: [usize; 1]| f(i))
}

/// The variance of the difference of the three-sample test, each moment as an average over different points.
fn variance_of_difference(x: &Points, y: &Points, z: &Points, kernel: &Kernel) -> (f64, f64) {
    let (n, m, l) = (x.len(), y.len(), z.len());
    let (xy, xz) = (gram(kernel, x, y), gram(kernel, x, z));
    let side = |own: &[Vec<f64>], cross: &[Vec<f64>], m: usize| {
        let chain = mean_of_distinct(m, |[a, b, c]| own[a][b] * own[a][c]);
        let product = mean_of_distinct(m, |[a, b, c, d]| own[a][b] * own[c][d]);
        let at_own = mean(m, |j| mean_of_distinct(n, |[a, b]| cross[a][j] * cross[b][j]));
        let at_reference = mean(n, |i| mean_of_distinct(m, |[a, b]| cross[i][a] * cross[i][b]));
        let bridge = mean(n, |i| mean_of_distinct(m, |[a, b]| own[a][b] * cross[i][a]));
        let cross2 = mean_of_distinct(n, |[i, j]| mean_of_distinct(m, |[a, b]| cross[i][a] * cross[j][b]));
        let mixed = mean(n, |i| mean_of_distinct(m, |[a, b, c]| own[a][b] * cross[i][c]));
        let square = mean_of_distinct(m, |[a, b]| own[a][b].powi(2));
        let cross_square = mean(n, |i| mean(m, |j| cross[i][j].powi(2)));
        let witness = chain - 2.0 * bridge + at_own - (product - 2.0 * mixed + cross2);
        let degenerate = [square - 2.0 * chain + product, cross_square - at_own - at_reference + cross2];
        (witness, degenerate, at_reference - cross2)
    };
    let (of_y, of_z) = (side(&gram(kernel, y, y), &xy, m), side(&gram(kernel, z, z), &xz, l));
    let both = mean(n, |i| mean(m, |a| mean(l, |b| xy[i][a] * xz[i][b])));
    let product = mean_of_distinct(n, |[i, j]| mean(m, |a| mean(l, |b| xy[i][a] * xz[j][b])));
    let (n, m, l) = (n as f64, m as f64, l as f64);
    let degenerate = |f: fn(f64) -> f64| {
        2.0 * f(of_y.1[0]) / (m * (m - 1.0))
            + 2.0 * f(of_z.1[0]) / (l * (l - 1.0))
            + 4.0 * f(of_y.1[1]) / (n * m)
            + 4.0 * f(of_z.1[1]) / (n * l)
    };
    let linear = 4.0 * of_y.0 / m + 4.0 * of_z.0 / l + 4.0 * (of_y.2 + of_z.2 - 2.0 * (both - product)) / n;
    (linear + degenerate(|part| part), degenerate(|part| part.max(0.0)))
}

#[test]
fn the_three_sample_test_is_that_of_its_definition() {
    let mut rng = stream(4, "inference", 0);
    for (sizes, shift) in [([9, 6, 7], 0.8), ([7, 7, 7], 0.4), ([6, 9, 5], 0.0)] {
        let [x, y, z] = sizes.map(|n| sample(n, 4, 0.0, &mut rng));
        let moved = |p: &Points, by: f64| match p.data() {
            Data::F64(v) => Points::new(p.len(), 4, Data::F64(v.iter().map(|v| v + by).collect())).unwrap(),
            Data::F32(_) => unreachable!("the tests use f64"),
        };
        let (y, z) = (moved(&y, shift), moved(&z, -shift / 2.0));
        for text in KERNELS {
            let k = kernel(text);
            let marginals = |p: &Points| Marginals::new(&k, &x, p, Precision::F64).unwrap();
            let found = three_sample_asymptotic(&marginals(&y), &marginals(&z), 0.0).unwrap();
            let value = |p: &Points| mmd2(&k, &x, p, Estimator::Unbiased, Precision::F64).unwrap().value;
            let right = value(&y) - value(&z);
            assert!((found.difference - right).abs() < 1e-10 * right.abs(), "{text}: {} not {right}", found.difference);
            let (right, least) = variance_of_difference(&x, &y, &z, &k);
            assert!((found.variance / right - 1.0).abs() < 1e-8, "{text}: {} is not {right}", found.variance);
            let counts = right.max(least);
            assert!((found.standard_error.powi(2) / counts - 1.0).abs() < 1e-8, "{text}: {found:?}");
            assert!((found.outcome.statistic - found.difference / counts.sqrt()).abs() < 1e-6);
            // Who is compared with whom decides about the sign alone.
            let other = three_sample_asymptotic(&marginals(&z), &marginals(&y), 0.0).unwrap();
            assert!((other.outcome.p_value + found.outcome.p_value - 1.0).abs() < 1e-12);
            let floored = three_sample_asymptotic(&marginals(&y), &marginals(&z), 1e12).unwrap();
            assert_eq!(floored.standard_error, 1e6);
            // Every exchange of points is a difference of two MMD² of its own.
            let permutations = permutations(30, Precision::F64);
            let labels = permutations.labels(y.len(), z.len(), "three samples").unwrap();
            let pooled = Points::concat(&[&y, &z]).unwrap();
            let all = [0, 1, 7, 30].map(|b| {
                let (one, two): (Vec<usize>, Vec<usize>) = (0..pooled.len()).partition(|&i| labels.is_first(b, i));
                value(&pooled.select(&one).unwrap()) - value(&pooled.select(&two).unwrap())
            });
            let (of_y, of_z) = (marginals(&y), marginals(&z));
            let summed = crate::sums::Differences::new(&k, &[x.view()]);
            let about = summed.about();
            let found =
                three_sample::differences(about, pooled.view(), y.len(), [&of_y, &of_z], &labels, &permutations)
                    .unwrap();
            for (right, b) in all.iter().zip([0, 1, 7, 30]) {
                assert!((found[b] - right).abs() < 1e-10 * counts.sqrt(), "{text}: {} is not {right}", found[b]);
            }
        }
    }
}

#[test]
fn the_tail_of_a_permutation_p_value_is_exponential() {
    // Differences of the negative exponential law, in the ratio of its quantiles.
    let mut differences: Vec<f64> = (1..1000).map(|i| (f64::from(i) / 1000.0).ln()).collect();
    let mut p = |observed: f64| {
        differences.insert(0, observed);
        let p = three_sample::permutation_p_value(&differences, 1e-9);
        differences.remove(0);
        p
    };
    assert_eq!((p(0.5), p(-1e-3_f64.ln())), (1.0, 1.0));
    assert!((p(0.1_f64.ln()) - 0.101).abs() < 1e-12);
    for p_value in [1e-4_f64, 1e-8, 1e-20] {
        let found = p(p_value.ln()).ln() / p_value.ln();
        assert!((found - 1.0).abs() < 0.1, "{p_value}: {found}");
    }
    assert!(p(-1e9) > 0.0 && p(f64::NEG_INFINITY) > 0.0);
    // Fewer than 100 tell nothing of the tail, 100 do.
    let of = |count: u32| {
        let all: Vec<f64> = std::iter::once(-20.0).chain((1..=count).map(|i| (f64::from(i) / 101.0).ln())).collect();
        three_sample::permutation_p_value(&all, 1e-9)
    };
    assert!(of(99) == 0.01 && of(100) < 1e-6, "{} {}", of(99), of(100));
}

#[test]
fn samples_without_scatter_have_no_error() {
    let constant = |n: usize, value: f64| Points::new(n, 2, Data::F64(vec![value; 2 * n])).unwrap();
    let permutations = Permutations::default();
    for text in KERNELS {
        let k = kernel(text);
        // The values that a kernel has at 0.1 are no round numbers.
        let (a, b) = (constant(50, 0.1), constant(40, 0.1));
        let found = three_sample(&k, &a, &b, &constant(45, 0.1), &permutations).unwrap();
        assert_eq!((found.difference, found.standard_error, found.outcome.p_value), (0.0, 0.0, 1.0), "{text}");
        let found = three_sample(&k, &a, &b, &constant(45, 0.7), &permutations).unwrap();
        assert!(found.difference < 0.0 && found.standard_error == 0.0 && found.outcome.p_value <= 1e-3, "{text}");
        let found = linear(&k, &a, &b, &permutations).unwrap();
        assert_eq!((found.estimate.value, found.outcome.statistic, found.outcome.p_value), (0.0, 0.0, 1.0), "{text}");
        let found = block(&k, &a, &b, Blocks::of_size(50, 40, 5).unwrap(), &permutations).unwrap();
        assert_eq!((found.mmd2, found.standard_error, found.outcome.p_value), (0.0, None, 1.0), "{text}");
        let found = two_sample(&k, &a, &b, Estimator::Unbiased, &permutations).unwrap();
        assert_eq!((found.estimate.value, found.estimate.standard_error), (0.0, None), "{text}");
        assert_eq!((found.outcome.statistic, found.outcome.p_value), (0.0, 1.0), "{text}");
    }
}

#[test]
fn marginals_of_past_candidates_can_be_stored() {
    let mut rng = stream(5, "inference", 0);
    let (x, y, z) = (sample(20, 3, 0.0, &mut rng), sample(15, 3, 0.5, &mut rng), sample(30, 3, 1.0, &mut rng));
    let k = Kernel::kid(3).unwrap();
    let old = Marginals::new(&k, &x, &z, Precision::F64).unwrap();
    let stored: Marginals = serde_json::from_str(&serde_json::to_string(&old).unwrap()).unwrap();
    let new = Marginals::new(&k, &x, &y, Precision::F64).unwrap();
    let found = three_sample_asymptotic(&new, &stored, 0.0).unwrap();
    assert_eq!(found, three_sample_asymptotic(&new, &old, 0.0).unwrap());
    assert!(found.outcome.p_value < 0.1, "{found:?}");
    let other = Marginals::new(&k, &y, &z, Precision::F64).unwrap();
    let refused = |y: &Marginals, floor: f64| three_sample_asymptotic(&new, y, floor).unwrap_err();
    assert!(matches!(refused(&other, 1e-10), Error::Mismatch { field: Field::Other(_), .. }));
    let other = Marginals::new(&kernel("energy"), &x, &z, Precision::F64).unwrap();
    assert!(matches!(refused(&other, 1e-10), Error::Mismatch { field: Field::Kernel, .. }));
    assert_eq!(refused(&old, -1.0).parameter_name(), Some("floor"));
    let few = sample(3, 3, 0.0, &mut rng);
    let refused = Marginals::new(&k, &x, &few, Precision::F64).unwrap_err();
    assert!(matches!(refused, Error::TooFew { given: 3, least: 4, .. }), "{refused}");
}

#[test]
fn neighbours_are_those_of_a_plain_loop() {
    let mut rng = stream(6, "inference", 0);
    let (mut x, y) = (sample(300, 7, 3.0, &mut rng), sample(530, 7, 3.0, &mut rng));
    // Some are in both, some twice.
    x = Points::concat(&[&x, &y.select(&[5, 77, 5]).unwrap()]).unwrap();
    let y = Points::concat(&[&y, &y.select(&[5, 90]).unwrap()]).unwrap();
    for precision in [Precision::F64, Precision::F32] {
        for k in [1, 3, 40] {
            let all = || nearest(&x, &y, k, precision).unwrap();
            let found = all();
            for i in 0..x.len() {
                let mut right: Vec<(f64, usize)> =
                    (0..y.len()).map(|j| (distance(row(&x, i), row(&y, j)), j)).collect();
                right.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                for ((j, d), (right, place)) in found.of(i).zip(right) {
                    assert!(j == place && (d - right).abs() < 1e-12, "{i}: {j} at {d} is not {place} at {right}");
                }
            }
            assert_eq!((found.distances[300 * k], found.indices[300 * k]), (0.0, 5));
            let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
            assert!(pool(1) == found && pool(3) == found);
        }
    }
    assert!(nearest(&x, &y, 0, Precision::F64).is_err() && nearest(&x, &y, 533, Precision::F64).is_err());
}

#[test]
fn the_memorisation_statistic_is_that_of_its_definition() {
    let mut rng = stream(7, "inference", 0);
    let (train, held_out) = (sample(40, 3, 0.0, &mut rng), sample(25, 3, 0.0, &mut rng));
    let samples = Points::concat(&[
        &sample(30, 3, 0.0, &mut rng),
        &train.select(&[3, 9]).unwrap(),
        &held_out.select(&[7]).unwrap(),
    ])
    .unwrap();
    let pooled = Points::concat(&[&train, &held_out]).unwrap();
    let (mut at_train, mut all) = (0.0, 0.0);
    for i in 0..33 {
        let mut near: Vec<(f64, usize)> = (0..65).map(|j| (distance(row(&samples, i), row(&pooled, j)), j)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        let usual = (near[1].0 * near[2].0 * near[3].0 * near[4].0).powf(0.25);
        let floor = near[4].0 * 1e-4;
        let closeness = (usual / near[0].0.max(floor)).ln().clamp(0.0, 1e4_f64.ln());
        all += closeness.powi(3);
        at_train += if near[0].1 < 40 { closeness.powi(3) } else { 0.0 };
    }
    let found = memorisation(&samples, &train, &held_out, &Permutations::default()).unwrap();
    assert!((found.outcome.statistic - at_train / all).abs() < 1e-9, "{found:?}");
    assert_eq!(found.expected, 40.0 / 65.0);
    let named: Vec<(usize, usize, f64)> = found.suspects[..2].iter().map(|s| (s.sample, s.train, s.distance)).collect();
    assert_eq!(named, [(30, 3, 0.0), (31, 9, 0.0)]);
    assert!(found.suspects[0].held_out_distance > 0.0);
    // In both sets: no evidence.
    let both = Points::concat(&[&held_out, &train.select(&[3, 9]).unwrap()]).unwrap();
    let shared = memorisation(&train.select(&[3, 9, 3, 9]).unwrap(), &train, &both, &Permutations::default()).unwrap();
    assert!(shared.outcome.p_value > 0.2 && shared.outcome.statistic == 0.5, "{shared:?}");
    let few = sample(9, 3, 0.0, &mut rng);
    let refused = memorisation(&samples, &train, &few, &Permutations::default()).unwrap_err();
    assert!(matches!(refused, Error::TooFew { given: 9, least: 10, .. }), "{refused}");
}

#[test]
fn what_cannot_reject_is_refused() {
    let of = |count| Permutations { count, ..Permutations::default() };
    assert!(of(999).check(0.05, 20, 20, true).is_ok());
    assert!(of(19).check(0.05, 20, 20, true).is_ok());
    let refused = of(18).check(0.05, 20, 20, true).unwrap_err().to_string();
    assert_eq!(
        refused,
        "permutations is 18, but must be at least 19 for level 0.05: with 18 no p-value is below 0.053"
    );
    // Three samples: as others below 100, whatever the level from there on.
    assert!(of(19).check_continued(0.05).is_ok() && of(100).check_continued(1e-6).is_ok());
    let refused = |count, alpha| of(count).check_continued(alpha).unwrap_err().to_string();
    assert!(refused(9, 0.05).contains("permutations is 9, but must be at least 19"), "{}", refused(9, 0.05));
    assert!(refused(99, 0.005).contains("at least 100"), "{}", refused(99, 0.005));
    assert!(refused(999, 1.5).contains("between 0 and 1"));
    // 20 labellings of 3 and 3 points, two of which are mirror images.
    assert!(of(999).check(0.05, 3, 3, false).is_ok());
    let refused = of(999).check(0.05, 3, 3, true).unwrap_err();
    assert!(matches!(refused, Error::TooFew { given: 3, least: 4, .. }), "{refused}");
    assert!(of(19).check(0.049_999_999_999, 20, 20, true).is_err() && of(999).check(1e-300, 20, 20, true).is_err());
    for alpha in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(of(999).check(alpha, 20, 20, true).is_err());
    }
    let mut rng = stream(8, "inference", 0);
    let (x, y) = (sample(20, 3, 0.0, &mut rng), sample(20, 4, 0.0, &mut rng));
    let k = kernel("energy");
    assert!(two_sample(&k, &x, &y, Estimator::Unbiased, &of(99)).is_err());
    assert!(two_sample(&k, &x, &x, Estimator::Unbiased, &of(0)).is_err());
    assert!(matches!(aggregated(&[], &x, &x, &of(99)), Err(Error::TooFew { given: 0, .. })));
    assert!(matches!(linear(&k, &x, &x, &of(99)), Err(Error::TooFew { given: 20, least: 30, .. })));
    assert!(linear(&k, &many(&mut rng), &many(&mut rng), &of(0)).is_err());
    let refused = |size: usize| Blocks::of_size(20, 20, size).unwrap_err().to_string();
    for size in [1, 21] {
        let allowed = "from 2 to 20, the number of points of the smaller sample";
        assert_eq!(refused(size), format!("block_size is {size}, but must be {allowed}"));
    }
    assert!(block(&k, &x, &x, Blocks::of_size(20, 20, 5).unwrap(), &of(0)).is_err());
}

fn many(rng: &mut Rng) -> Points {
    sample(60, 3, 0.0, rng)
}

#[test]
fn the_block_test_is_the_mean_of_blocks() {
    let mut rng = stream(9, "inference", 0);
    let (x, y) = (sample(150, 2, 0.0, &mut rng), sample(320, 2, 0.4, &mut rng));
    let k = kernel("gaussian:sigma=1");
    let of = |size: usize| {
        block(
            &k,
            &x,
            &y,
            Blocks::of_size(150, 320, size).unwrap(),
            &Permutations { seed: 3, ..Permutations::default() },
        )
        .unwrap()
    };
    let all = mmd2(&k, &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
    for (size, shape) in [(10, (15, 10, 21)), (50, (3, 50, 106))] {
        let found = of(size);
        assert_eq!((found.blocks, found.block_n, found.block_m), shape);
        let error = found.standard_error.unwrap();
        assert!((found.mmd2 - all.value).abs() < 4.0 * error, "{found:?} beside {}", all.value);
        assert_eq!(found.outcome.statistic, found.mmd2);
        assert!(found.outcome.p_value <= if size == 50 { 0.02 } else { 0.2 }, "{found:?}");
    }
    // One block is the permutation test.
    let (found, right) = (of(150), all.standard_error.unwrap());
    assert!((found.mmd2 - all.value).abs() < 1e-12 && (found.standard_error.unwrap() / right - 1.0).abs() < 1e-9);
}

/// No more pairs than a permutation test of 80 000 points has, no less seen than by one with as many of each sample as fit;
/// and with more points no less.
#[test]
fn large_blocks_take_no_longer_and_see_no_less_than_a_test_of_a_part() {
    let sizes = [2_usize, 10, 100, 3_000, 39_999, 40_000, 40_001, 50_000, 80_001, 1_000_000, 10_000_000, 400_000_000];
    // 1/(1/n + 1/m) of one block with the same deviation.
    let sees = |blocks: Blocks| {
        let harmonic = 1.0 / (1.0 / blocks.n as f64 + 1.0 / blocks.m as f64);
        (blocks.count as f64).sqrt() * harmonic
    };
    for n in sizes {
        for m in sizes {
            let blocks = Blocks::large(n, m).unwrap();
            let pairs = blocks.count as f64 * ((blocks.n + blocks.m) as f64).powi(2);
            assert!(pairs <= 6.4e9, "{n}, {m}: {blocks:?}");
            assert!(blocks.n.min(blocks.m) >= 2 && blocks.count * blocks.n <= n && blocks.count * blocks.m <= m);
            let least = n.min(m).min(40_000) as f64;
            let part = 1.0 / (1.0 / least + 1.0 / (n.max(m) as f64).min(80_000.0 - least));
            // Rounding to whole points counts in many small blocks alone.
            let whole = 1.0 - 1.0 / (blocks.n.min(blocks.m) as f64) - 1e-9;
            assert!(sees(blocks) >= part * if blocks.count > 1 { whole } else { 1.0 - 1e-9 }, "{n}, {m}: {blocks:?}");
            let usual = Blocks::usual(n, m).unwrap();
            let balanced = usual.count as f64 * (2.0 * usual.n.min(usual.m) as f64).powi(2);
            let pairs = usual.count as f64 * ((usual.n + usual.m) as f64).powi(2);
            assert!(pairs <= balanced.max(6.4e9), "{n}, {m}: {usual:?}");
        }
    }
    assert_eq!(Blocks::large(100, 10_000_000).unwrap(), Blocks { count: 1, n: 100, m: 79_900 });
    assert_eq!(Blocks::large(10_000_000, 10).unwrap(), Blocks { count: 1, n: 79_990, m: 10 });
    assert_eq!(Blocks::large(40_000, 40_000).unwrap(), Blocks { count: 1, n: 40_000, m: 40_000 });
    assert_eq!(Blocks::large(80_000, 80_000).unwrap(), Blocks { count: 4, n: 20_000, m: 20_000 });
    assert_eq!(Blocks::of_size(150, 320, 10).unwrap(), Blocks { count: 15, n: 10, m: 21 });
    assert!(Blocks::large(1, 5).is_err() && Blocks::usual(5, 1).is_err());
}

/// Points that are left out of blocks leave an exact test of those that are in.
#[test]
fn blocks_may_leave_points_out() {
    let mut rng = stream(11, "inference", 0);
    let (x, y) = (sample(40, 2, 0.0, &mut rng), sample(200, 2, 0.0, &mut rng));
    let (k, permutations) = (kernel("energy"), Permutations { count: 19, ..Permutations::default() });
    let found = block(&k, &x, &y, Blocks { count: 4, n: 10, m: 25 }, &permutations).unwrap();
    assert_eq!((found.blocks, found.block_n, found.block_m), (4, 10, 25));
    for wrong in [(0, 10, 25), (4, 11, 25), (4, 1, 25), (9, 4, 25), (usize::MAX, 4, 4)] {
        let (count, n, m) = wrong;
        let refused = block(&k, &x, &y, Blocks { count, n, m }, &permutations).unwrap_err().to_string();
        assert!(refused.contains("blocks") && refused.contains("40 and 200"), "{refused}");
    }
}

#[test]
fn the_seed_draws_the_pairs_of_the_linear_test() {
    let mut rng = stream(10, "inference", 0);
    let (x, y) = (sample(61, 2, 0.0, &mut rng), sample(50, 2, 0.4, &mut rng));
    let k = kernel("gaussian:sigma=1");
    let of = |seed: u64| linear(&k, &x, &y, &Permutations { seed, ..Permutations::default() }).unwrap();
    let right = mmd2(&k, &x, &y, Estimator::Linear, Precision::F64).unwrap();
    assert_eq!(of(0).estimate, right);
    assert_eq!(of(0).outcome.statistic, right.value / right.standard_error.unwrap());
    assert_ne!(of(1).estimate.value, right.value);
}
