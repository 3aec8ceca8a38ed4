//! Samples with far points and far clusters, through everything that computes distances.
//!
//! The table comes from `golden/far_points.py`; all else is compared with plain loops over differences.

use kme::Data;
use kme::Precision;
use kme::internal::nearest;
use kme::internal::sums::{gradients, rows};
use kme::{
    Blocks, Estimator, Permutations, Witness, block, left_out, median_distance, memorisation, mmd2, prdc, two_sample,
};
use kme::{Herding, Target};
use kme::{Kernel, Points};

/// Far point, distance of the clusters, kernel, estimator, MMD².
#[rustfmt::skip]
const TABLE: [(f64, f64, &str, Estimator, f64); 33] = [
    (10000.0, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (10000.0, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (10000.0, 0.0, "energy", Estimator::Unbiased, 0.817_356_383_999_058_4),
    (1e7, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (1e7, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (1e7, 0.0, "energy", Estimator::Unbiased, 0.817_356_678_885_34),
    (1e8, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (1e8, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (1e8, 0.0, "energy", Estimator::Unbiased, 0.817_356_679_150_847_3),
    (1e9, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (1e9, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (1e9, 0.0, "energy", Estimator::Unbiased, 0.817_356_679_177_398),
    (1e10, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (1e10, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (1e10, 0.0, "energy", Estimator::Unbiased, 0.817_356_679_180_053_1),
    (1e12, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (1e12, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (1e12, 0.0, "energy", Estimator::Unbiased, 0.817_356_679_180_345),
    (1e15, 0.0, "gaussian:sigma=1", Estimator::Biased, 0.123_265_045_844_251_59),
    (1e15, 0.0, "laplacian:scale=1", Estimator::Unbiased, 0.071_393_700_256_089_85),
    (1e15, 0.0, "energy", Estimator::Unbiased, 0.817_356_679_180_348),
    (1.0, 1e6, "gaussian:sigma=1", Estimator::Biased, 0.069_960_859_778_989_61),
    (1.0, 1e6, "laplacian:scale=1", Estimator::Unbiased, 0.031_386_185_768_794_53),
    (1.0, 1e6, "energy", Estimator::Unbiased, -18_678.243_840_018_17),
    (1.0, 1e7, "gaussian:sigma=1", Estimator::Biased, 0.069_960_859_788_581_69),
    (1.0, 1e7, "laplacian:scale=1", Estimator::Unbiased, 0.031_386_185_771_561_48),
    (1.0, 1e7, "energy", Estimator::Unbiased, -186_786.164_975_097_4),
    (1.0, 1e8, "gaussian:sigma=1", Estimator::Biased, 0.069_960_859_910_009_67),
    (1.0, 1e8, "laplacian:scale=1", Estimator::Unbiased, 0.031_386_185_843_420_49),
    (1.0, 1e8, "energy", Estimator::Unbiased, -1_867_865.376_320_704_1),
    (1.0, 1e9, "gaussian:sigma=1", Estimator::Biased, 0.069_960_859_561_978_05),
    (1.0, 1e9, "laplacian:scale=1", Estimator::Unbiased, 0.031_386_185_321_225_19),
    (1.0, 1e9, "energy", Estimator::Unbiased, -18_678_657.489_776_265),
];

fn part(i: usize, a: usize, m: usize) -> f64 {
    (i * a % m) as f64 / m as f64
}

fn points(rows: Vec<[f64; 2]>) -> Points {
    Points::new(rows.len(), 2, Data::F64(rows.concat())).unwrap()
}

/// 50 and 60 points, one of them at (out, out), every other one `apart` to the right.
fn samples(out: f64, apart: f64) -> (Points, Points) {
    let place = |i: usize, [a, b]: [f64; 2]| [if i % 2 == 1 { a + apart } else { a }, b];
    let x = (0..50).map(|i| place(i, [4.0 * part(i, 37, 101) - 2.0, 4.0 * part(i, 53, 97) - 2.0]));
    let y = (0..60).map(|i| {
        let p = [4.0 * part(i, 41, 103) - 1.0, 4.0 * part(i, 59, 107) - 1.0];
        place(i, if i == 7 { [out, out] } else { p })
    });
    (points(x.collect()), points(y.collect()))
}

fn row(p: &Points, i: usize) -> Vec<f64> {
    (0..p.dim()).map(|k| p.data().get(i * p.dim() + k)).collect()
}

fn distance(x: &Points, i: usize, y: &Points, j: usize) -> f64 {
    row(x, i).iter().zip(row(y, j)).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn kernel(text: &str) -> Kernel {
    text.parse().unwrap()
}

fn close(found: f64, right: f64, allowed: f64, what: &str) {
    assert!((found - right).abs() <= allowed, "{what}: {found} is not {right}");
}

#[test]
fn the_discrepancy_of_samples_with_far_points() {
    for (out, apart, text, estimator, right) in TABLE {
        let (x, y) = samples(out, apart);
        let spread = if text == "energy" { out.max(apart) } else { 1.0 };
        for precision in [Precision::F64, Precision::F32] {
            let found = mmd2(&kernel(text), &x, &y, estimator, precision).unwrap().value;
            let bound = if precision == Precision::F64 { 1e-14 } else { 1e-6 };
            close(found, right, bound * spread, &format!("{text} {out:e} {apart:e} {precision:?}"));
        }
    }
}

#[test]
fn distance_and_linear_far_from_the_origin() {
    let (x, y) = samples(1.0, 0.0);
    let moved = |p: &Points, by: f64| {
        let data = (0..p.data().len()).map(|i| p.data().get(i) / 1024.0 + by).collect();
        Points::new(p.len(), 2, Data::F64(data)).unwrap()
    };
    // Rounded once far away, so that nearer is exactly the same sample.
    let far = 1_048_576.0;
    let (x, y) = (moved(&x, far), moved(&y, far));
    let near = |p: &Points| {
        let data = (0..p.data().len()).map(|i| p.data().get(i) - far).collect();
        Points::new(p.len(), 2, Data::F64(data)).unwrap()
    };
    let (x0, y0) = (near(&x), near(&y));
    let weights = |n: usize| (0..n).map(|i| 1.0 + (i % 5) as f64).collect::<Vec<f64>>();
    let (w, v) = (weights(50), weights(60));
    for text in
        ["distance", "linear", "poly:degree=1,gamma=2,coef=3", "linear+gaussian:sigma=0.01", "2*distance+energy"]
    {
        let k = kernel(text);
        for estimator in [Estimator::Biased, Estimator::Unbiased, Estimator::Linear] {
            let of = |x: &Points, y: &Points| mmd2(&k, x, y, estimator, Precision::F64).unwrap();
            let (found, right) = (of(&x, &y), of(&x0, &y0));
            close(found.value, right.value, 1e-12 * right.value.abs().max(1e-9), &format!("{estimator} {text}"));
            let (found, right) = (found.standard_error.unwrap(), right.standard_error.unwrap());
            close(found, right, 1e-9 * right, &format!("error of {estimator} {text}"));
        }
        let weighted = |x, y| {
            let (x, y) = (kme::Sample { points: x, weights: Some(&w) }, kme::Sample { points: y, weights: Some(&v) });
            mmd2(&k, x, y, Estimator::Biased, Precision::F64).unwrap().value
        };
        let (found, right) = (weighted(x.view(), y.view()), weighted(x0.view(), y0.view()));
        close(found, right, 1e-12 * right.abs().max(1e-9), &format!("weighted {text}"));
        let permutations = Permutations { count: 199, ..Permutations::default() };
        let p = |x, y| two_sample(&k, x, y, Estimator::Unbiased, &permutations).unwrap().outcome.p_value;
        assert_eq!(p(&x, &y), p(&x0, &y0), "{text}");
    }
    // Energy and distance are the same where samples are compared.
    let of = |text| mmd2(&kernel(text), &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
    assert_eq!(of("energy").value, of("distance").value);
}

/// The unbiased estimate with weights is another one for `distance` than for `energy`, and stays it.
#[test]
fn the_weighted_unbiased_estimate_is_that_of_its_formula() {
    let (x, y) = samples(3.0, 0.0);
    let weights = |n: usize| (0..n).map(|i| 1.0 + (i % 5) as f64).collect::<Vec<f64>>();
    let (w, v) = (weights(50), weights(60));
    for text in ["distance", "linear", "energy"] {
        let value = |x: &Points, i: usize, y: &Points, j: usize| {
            let (a, b) = (row(x, i), row(y, j));
            let norm = |a: &[f64]| a.iter().map(|a| a * a).sum::<f64>().sqrt();
            match text {
                "linear" => a[0] * b[0] + a[1] * b[1],
                "energy" => -distance(x, i, y, j),
                _ => norm(&a) + norm(&b) - distance(x, i, y, j),
            }
        };
        let total = |w: &[f64]| w.iter().sum::<f64>();
        let within = |p: &Points, w: &[f64]| {
            let pairs = (0..p.len()).flat_map(|i| (0..p.len()).map(move |j| (i, j))).filter(|(i, j)| i != j);
            let sum: f64 = pairs.map(|(i, j)| w[i] * w[j] * value(p, i, p, j)).sum();
            sum / (total(w).powi(2) - w.iter().map(|w| w * w).sum::<f64>())
        };
        let pairs = (0..50).flat_map(|i| (0..60).map(move |j| (i, j)));
        let cross = pairs.map(|(i, j)| w[i] * v[j] * value(&x, i, &y, j)).sum::<f64>() / total(&w) / total(&v);
        let right = within(&x, &w) + within(&y, &v) - 2.0 * cross;
        let sample = |points, weights| kme::Sample { points, weights: Some(weights) };
        let found = mmd2(
            &kernel(text),
            sample(x.view(), &w[..]),
            sample(y.view(), &v[..]),
            Estimator::Unbiased,
            Precision::F64,
        );
        close(found.unwrap().value, right, 1e-13, text);
    }
}

#[test]
fn tests_by_permutation_see_the_other_points() {
    // A bounded kernel is 0 at 10⁴ as it is at 10¹⁵.
    let permutations = Permutations { count: 499, ..Permutations::default() };
    for text in ["gaussian:sigma=1", "gaussian:sigma=0.5,1,2", "laplacian:scale=1"] {
        let outcome = |out: f64, precision| {
            let (x, y) = samples(out, 0.0);
            let permutations = Permutations { precision, ..permutations };
            two_sample(&kernel(text), &x, &y, Estimator::Unbiased, &permutations).unwrap().outcome
        };
        let right = outcome(1e4, Precision::F64).p_value;
        assert!(right < 0.01);
        for out in [1e6, 1e10, 1e15] {
            for precision in [Precision::F64, Precision::F32] {
                assert_eq!(outcome(out, precision).p_value, right, "{text} {out:e} {precision:?}");
            }
        }
    }
}

#[test]
fn precision_recall_density_and_coverage() {
    for (out, apart, scale) in [(1e10, 0.0, 1.0), (1.0, 1e9, 1.0), (1e10, 0.0, 1e-150), (1e5, 0.0, 1e140)] {
        let (x, y) = samples(out, apart);
        let k = 3;
        let radii = |p: &Points| -> Vec<f64> {
            let radius = |i: usize| {
                let mut all: Vec<f64> = (0..p.len()).filter(|j| *j != i).map(|j| distance(p, i, p, j)).collect();
                all.sort_by(f64::total_cmp);
                all[k - 1]
            };
            (0..p.len()).map(radius).collect()
        };
        let (r, s) = (radii(&x), radii(&y));
        let holds = |i: usize, j: usize, radius: f64| distance(&x, i, &y, j) <= radius;
        let covered = |n: usize, any: &dyn Fn(usize) -> bool| (0..n).filter(|i| any(*i)).count() as f64 / n as f64;
        let precision = covered(60, &|j| (0..50).any(|i| holds(i, j, r[i])));
        let recall = covered(50, &|i| (0..60).any(|j| holds(i, j, s[j])));
        let coverage = covered(50, &|i| (0..60).any(|j| holds(i, j, r[i])));
        let density = (0..50).map(|i| (0..60).filter(|j| holds(i, *j, r[i])).count()).sum::<usize>() as f64 / 180.0;
        let scaled = |p: &Points| {
            let data = (0..p.data().len()).map(|i| p.data().get(i) * scale).collect();
            Points::new(p.len(), 2, Data::F64(data)).unwrap()
        };
        let found = prdc(&scaled(&x), &scaled(&y), k).unwrap();
        assert_eq!(
            [found.precision.value, found.recall.value, found.coverage.value],
            [precision, recall, coverage],
            "{out:e} {apart:e} {scale:e}"
        );
        close(found.density.value, density, 1e-14, "density");
    }
}

#[test]
fn nearest_neighbours_and_copies() {
    let (train, _) = samples(0.0, 0.0);
    let (_, held_out) = samples(1e10, 0.0);
    let rows: Vec<[f64; 2]> = (0..40)
        .map(|i| match i {
            0..11 => [train.data().get(4 * i), train.data().get(4 * i + 1)],
            20 => [-1e9, 1e12],
            _ => [4.0 * part(i, 43, 109) - 2.0, 4.0 * part(i, 61, 113) - 2.0],
        })
        .collect();
    let made = points(rows);
    for precision in [Precision::F64, Precision::F32] {
        let permutations = Permutations { count: 99, precision, ..Permutations::default() };
        let found = memorisation(&made, &train, &held_out, &permutations).unwrap();
        let copies = found.suspects.iter().filter(|s| s.distance == 0.0).count();
        assert_eq!((copies, found.suspects[0].distance), (11, 0.0), "{precision:?}");
        assert!(found.copies > 8.0, "{}", found.copies);
        let near = nearest(&made, &held_out, 3, precision).unwrap();
        for i in 0..40 {
            let mut right: Vec<f64> = (0..60).map(|j| distance(&made, i, &held_out, j)).collect();
            right.sort_by(f64::total_cmp);
            for ((_, found), right) in near.of(i).zip(right) {
                let bound = if precision == Precision::F64 { 1e-11 } else { 1e-4 };
                close(found, right, bound * right, "neighbour");
            }
        }
    }
}

#[test]
fn coresets_of_samples_with_far_points() {
    for (out, apart) in [(1e10, 0.0), (1e15, 0.0), (1.0, 1e9)] {
        let (_, y) = samples(out, apart);
        for text in ["gaussian:sigma=1", "laplacian:scale=1"] {
            let k = kernel(text);
            let value = |i: usize, j: usize| {
                let r = distance(&y, i, &y, j);
                if text.starts_with('g') { (-0.5 * r * r).exp() } else { (-r).exp() }
            };
            let right = |chosen: &[usize]| {
                let mean = |a: &[usize], b: &[usize]| {
                    a.iter().flat_map(|i| b.iter().map(move |j| value(*i, *j))).sum::<f64>()
                        / (a.len() * b.len()) as f64
                };
                let all: Vec<usize> = (0..60).collect();
                mean(chosen, chosen) + mean(&all, &all) - 2.0 * mean(chosen, &all)
            };
            let target = Target::new(&k, &y).unwrap();
            let herded = Herding::default().reduce(&target, 8).unwrap();
            close(herded.mmd2, right(herded.indices.as_ref().unwrap()), 1e-13, text);
            assert!(target.random_subsets(8, 50, 0).unwrap().low >= 0.0);
            let all: Vec<usize> = (0..60).collect();
            let whole = target.mmd2(&all, None).unwrap();
            assert!((0.0..1e-15).contains(&whole), "{whole:e}");
        }
    }
}

#[test]
fn witnesses_gradients_and_medians() {
    for (out, apart) in [(1e10, 0.0), (1.0, 1e9)] {
        let (x, y) = samples(out, apart);
        let k = kernel("gaussian:sigma=1");
        let value = |a: &Points, i: usize, b: &Points, j: usize| (-0.5 * distance(a, i, b, j).powi(2)).exp();
        let (of_x, _) = left_out(&k, &x, &y, Precision::F64).unwrap();
        let witness = Witness::new(&k, &x, &y, Precision::F64).unwrap().value(&x).unwrap();
        let slopes = gradients(&k, &x, &y, None, Precision::F64).unwrap();
        let sums = rows(&k, &x, &y, None, Precision::F32).unwrap();
        for i in 0..50 {
            let own: f64 = (0..50).filter(|j| *j != i).map(|j| value(&x, i, &x, j)).sum();
            let other: f64 = (0..60).map(|j| value(&x, i, &y, j)).sum();
            close(of_x.own[i], own / 49.0, 1e-14, "own");
            close(of_x.other[i], other / 60.0, 1e-14, "other");
            close(witness[i], (own + 1.0) / 50.0 - other / 60.0, 1e-14, "witness");
            close(sums[i], other, 1e-5, "single precision");
            for c in 0..2 {
                let pull = |j: usize| value(&x, i, &y, j) * (row(&y, j)[c] - row(&x, i)[c]);
                close(slopes[2 * i + c], (0..60).map(pull).sum(), 1e-12, "gradient");
            }
        }
        let mut all: Vec<f64> = Vec::new();
        for (a, b) in [(&x, &x), (&y, &y)] {
            all.extend((0..a.len()).flat_map(|i| (0..i).map(move |j| distance(a, i, b, j))));
        }
        all.extend((0..50).flat_map(|i| (0..60).map(|j| distance(&x, i, &y, j)).collect::<Vec<_>>()));
        all.sort_by(f64::total_cmp);
        let right = 0.5 * (all[all.len() / 2] + all[(all.len() - 1) / 2]);
        let found = median_distance(&[&x, &y]).unwrap();
        close(found, right, 1e-14 * right, "median");
    }
}

#[test]
fn scales_of_many_orders_of_magnitude() {
    let (x, y) = samples(3.0, 0.0);
    let scaled = |p: &Points, by: f64| {
        let data = (0..p.data().len()).map(|i| p.data().get(i) * by).collect();
        Points::new(p.len(), 2, Data::F64(data)).unwrap()
    };
    for exponent in [-495, -300, -100, 100, 300, 450] {
        // A power of two, so that nothing is rounded.
        let by = 2.0_f64.powi(exponent);
        let (far_x, far_y) = (scaled(&x, by), scaled(&y, by));
        for precision in [Precision::F64, Precision::F32] {
            let of = |text: &str, x: &Points, y: &Points| {
                mmd2(&kernel(text), x, y, Estimator::Biased, precision).unwrap().value
            };
            let bound = if precision == Precision::F64 { 1e-13 } else { 1e-5 };
            let right = of("energy", &x, &y);
            close(of("energy", &far_x, &far_y) / by, right, bound * right, &format!("energy 2^{exponent}"));
            let length = median_distance(&[&far_x, &far_y]).unwrap();
            let near = median_distance(&[&x, &y]).unwrap();
            close(length / by, near, 1e-14 * near, "median");
            for (name, parameter) in [("gaussian", "sigma"), ("laplacian", "scale")] {
                let right = of(&format!("{name}:{parameter}={near}"), &x, &y);
                let found = of(&format!("{name}:{parameter}={length:e}"), &far_x, &far_y);
                close(found, right, bound, &format!("{name} 2^{exponent}"));
            }
        }
    }
}

#[test]
fn constant_samples_have_no_error() {
    let same = |n: usize, at: f64| Points::new(n, 1, Data::F64(vec![at; n])).unwrap();
    for (a, b) in [(0.1, 0.1), (0.1, 0.7), (1e9 + 0.3, 1e9 + 0.7), (-3.3e-7, 1e5 / 3.0)] {
        for text in ["gaussian:sigma=0.9", "energy", "laplacian:scale=1.7", "linear", "distance", "rq:alpha=0.2,1"] {
            let (x, y) = (same(400, a), same(380, b));
            let permutations = Permutations { count: 19, ..Permutations::default() };
            let blocks = block(&kernel(text), &x, &y, Blocks::of_size(400, 380, 19).unwrap(), &permutations).unwrap();
            assert_eq!(blocks.standard_error, None, "{text} {a} {b}: {blocks:?}");
            for estimator in [Estimator::Biased, Estimator::Unbiased, Estimator::Linear] {
                let found = mmd2(&kernel(text), &same(40, a), &same(30, b), estimator, Precision::F64).unwrap();
                assert_eq!(found.standard_error, None, "{text} {estimator} {a} {b}: {found:?}");
                assert!(found.value >= 0.0 && (a != b || found.value == 0.0), "{text} {estimator} {a} {b}: {found:?}");
            }
        }
    }
}
