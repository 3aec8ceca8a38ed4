//! Every statistic against its definition.

use super::permuted::mmd2_of_labellings;
use super::*;
use crate::discrepancy::{Estimator, mmd2};
use crate::kernel::{Kernel, Pair};
use crate::neighbours::nearest;
use crate::points::{Data, Points};
use crate::rng::{Rng, stream};
use crate::sums::Precision;
use rand_distr::{Distribution, StandardNormal};

fn normal(rng: &mut Rng) -> f64 {
    StandardNormal.sample(rng)
}

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

fn permutations(count: usize, precision: Precision) -> Permutations {
    Permutations { count, seed: 5, precision }
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
            let found = mmd2_of_labellings(&kernels, &x, &y, estimator, &permutations).unwrap();
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
    let wrong = mmd2_of_labellings(&[kernel("linear")], &x, &y, Estimator::Linear, &Permutations::default());
    assert!(wrong.unwrap_err().to_string().contains("biased or unbiased"));
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
        let all = mmd2_of_labellings(&kernels, &x, &y, Estimator::Unbiased, &permutations).unwrap();
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
    assert!(collection(&same, &same).unwrap_err().to_string().contains("coincide"));
}

/// V of the published three-sample test, from Gram matrices, in the words of its formula.
fn published_variance(xy: &[Vec<f64>], xz: &[Vec<f64>], yy: &[Vec<f64>], zz: &[Vec<f64>]) -> f64 {
    let size = xy.len();
    let m = size as f64;
    let indices = || (0..size).flat_map(|i| (0..size).map(move |j| (i, j)));
    let rows = |k: &[Vec<f64>], skip: bool| -> Vec<f64> {
        (0..size).map(|i| (0..size).filter(|&j| !(skip && i == j)).map(|j| k[i][j]).sum()).collect()
    };
    let columns = |k: &[Vec<f64>]| -> Vec<f64> { (0..size).map(|j| (0..size).map(|i| k[i][j]).sum()).collect() };
    let squares = |k: &[Vec<f64>], skip: bool| -> f64 {
        indices().filter(|(i, j)| !(skip && i == j)).map(|(i, j)| k[i][j].powi(2)).sum()
    };
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let mean_x_y_z = dot(&rows(xy, false), &rows(xz, false)) / m.powi(3);
    let (mut first, mut second, mut crosses) = (0.0, 0.0, vec![]);
    for (own, cross) in [(yy, xy), (zz, xz)] {
        let mu_own = rows(own, true).iter().sum::<f64>() / (m * (m - 1.0));
        let mu_cross = rows(cross, false).iter().sum::<f64>() / (m * m);
        let own2 = (norm(&rows(own, true)) - squares(own, true)) / (m * (m - 1.0) * (m - 2.0));
        let x2 = (norm(&rows(cross, false)) - squares(cross, false)) / (m * m * (m - 1.0));
        let y2 = (norm(&columns(cross)) - squares(cross, false)) / (m * m * (m - 1.0));
        let bridge = dot(&rows(own, true), &columns(cross)) / (m * m * (m - 1.0));
        let covariance = bridge - mu_own * mu_cross;
        first += own2 - mu_own * mu_own + x2 + y2 - 2.0 * mu_cross * mu_cross - 2.0 * covariance;
        second += squares(own, true) / (m * (m - 1.0)) - mu_own * mu_own
            + 2.0 * (squares(cross, false) / (m * m) - mu_cross * mu_cross)
            - 4.0 * covariance;
        crosses.push(mu_cross);
    }
    let covariance = mean_x_y_z - crosses[0] * crosses[1];
    first -= 2.0 * covariance;
    second -= 4.0 * covariance;
    4.0 * (m - 2.0) / (m * (m - 1.0)) * first + 2.0 / (m * (m - 1.0)) * second
}

#[test]
fn the_three_sample_variance_is_the_published_one_for_equal_sizes() {
    let mut rng = stream(4, "inference", 0);
    let n = 24;
    let (x, y, z) = (sample(n, 4, 0.0, &mut rng), sample(n, 4, 0.4, &mut rng), sample(n, 4, -0.2, &mut rng));
    for text in KERNELS {
        let k = kernel(text);
        let marginals = |p: &Points| Marginals::new(&k, &x, p, Precision::F64).unwrap();
        let found = three_sample(&marginals(&y), &marginals(&z), DEFAULT_FLOOR).unwrap();
        let value = |p: &Points| mmd2(&k, &x, p, Estimator::Unbiased, Precision::F64).unwrap().value;
        let right = value(&y) - value(&z);
        assert!((found.difference - right).abs() < 1e-10 * right.abs(), "{text}: {} is not {right}", found.difference);
        let right = published_variance(&gram(&k, &x, &y), &gram(&k, &x, &z), &gram(&k, &y, &y), &gram(&k, &z, &z));
        assert!((found.variance / right - 1.0).abs() < 1e-8, "{text}: {} is not {right}", found.variance);
        assert!((found.outcome.statistic - found.difference / right.sqrt()).abs() < 1e-6);
        // Who is compared with whom decides about the sign alone.
        let other = three_sample(&marginals(&z), &marginals(&y), DEFAULT_FLOOR).unwrap();
        assert!((other.outcome.p_value + found.outcome.p_value - 1.0).abs() < 1e-12);
        let floored = three_sample(&marginals(&y), &marginals(&z), 1e6).unwrap();
        assert_eq!(floored.standard_error, 1e3);
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
    let found = three_sample(&new, &stored, DEFAULT_FLOOR).unwrap();
    assert_eq!(found, three_sample(&new, &old, DEFAULT_FLOOR).unwrap());
    assert!(found.outcome.p_value < 0.1, "{found:?}");
    let other = Marginals::new(&k, &y, &z, Precision::F64).unwrap();
    let refused = |y: &Marginals, floor: f64| three_sample(&new, y, floor).unwrap_err().to_string();
    assert!(refused(&other, 1e-10).contains("same reference"));
    let other = Marginals::new(&kernel("energy"), &x, &z, Precision::F64).unwrap();
    assert!(refused(&other, 1e-10).contains("same kernel"));
    assert!(refused(&old, 0.0).contains("> 0"));
    let few = sample(2, 3, 0.0, &mut rng);
    assert!(Marginals::new(&k, &x, &few, Precision::F64).unwrap_err().to_string().contains("at least 3"));
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
    let refused = memorisation(&samples, &train, &few, &Permutations::default()).unwrap_err().to_string();
    assert!(refused.contains("held-out points = 9") && refused.contains("at least 10"), "{refused}");
}

#[test]
fn what_cannot_reject_is_refused() {
    let of = |count| Permutations { count, ..Permutations::default() };
    assert!(of(999).check(0.05, 20, 20, true).is_ok());
    assert!(of(19).check(0.05, 20, 20, true).is_ok());
    let refused = of(18).check(0.05, 20, 20, true).unwrap_err().to_string();
    assert!(refused.contains("permutations = 18") && refused.contains("at least 19"), "{refused}");
    // 20 labellings of 3 and 3 points, two of which are mirror images.
    assert!(of(999).check(0.05, 3, 3, false).is_ok());
    let refused = of(999).check(0.05, 3, 3, true).unwrap_err().to_string();
    assert!(refused.contains("3 and 3") && refused.contains("0.1") && refused.contains("at least 4"), "{refused}");
    assert!(of(19).check(0.049_999_999_999, 20, 20, true).is_err() && of(999).check(1e-300, 20, 20, true).is_err());
    for alpha in [0.0, 1.0, -0.1, f64::NAN] {
        assert!(of(999).check(alpha, 20, 20, true).is_err());
    }
    let mut rng = stream(8, "inference", 0);
    let (x, y) = (sample(20, 3, 0.0, &mut rng), sample(20, 4, 0.0, &mut rng));
    let k = kernel("energy");
    assert!(two_sample(&k, &x, &y, Estimator::Unbiased, &of(99)).is_err());
    assert!(two_sample(&k, &x, &x, Estimator::Unbiased, &of(0)).is_err());
    assert!(aggregated(&[], &x, &x, &of(99)).is_err());
    assert!(linear(&k, &x, &x).unwrap_err().to_string().contains("at least 30"));
    let many = sample(60, 3, 0.0, &mut rng);
    let refused = |size: usize| block(&k, &many, &many, size, 0, Precision::F64).unwrap_err().to_string();
    assert!(refused(1).contains("at least 2") && refused(5).contains("at most 4"), "{}", refused(5));
    assert!(block(&k, &x, &x, 2, 0, Precision::F64).unwrap_err().to_string().contains("at least 30"));
}

#[test]
fn the_block_test_is_the_mean_of_blocks() {
    let mut rng = stream(9, "inference", 0);
    let (x, y) = (sample(150, 2, 0.0, &mut rng), sample(320, 2, 0.4, &mut rng));
    let k = kernel("gaussian:sigma=1");
    let found = block(&k, &x, &y, 10, 3, Precision::F64).unwrap();
    assert_eq!((found.blocks, found.block_n, found.block_m), (15, 10, 21));
    let all = mmd2(&k, &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
    let error = found.standard_error.unwrap();
    assert!((found.mmd2 - all.value).abs() < 4.0 * error, "{found:?} beside {}", all.value);
    // Skewness moves the statistic, but not by much.
    assert!((found.outcome.statistic - found.mmd2 / error).abs() < 0.5 * found.outcome.statistic.abs());
    // Points that are all the same: no difference, and no error.
    let same = x.select(&[4; 60]).unwrap();
    assert_eq!(block(&k, &same, &same, 2, 0, Precision::F64).unwrap().outcome.p_value, 0.5);
}
