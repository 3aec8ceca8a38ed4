//! Scores of points against the field's tools, naive loops, and their contracts.

use kme::Data;
use kme::Precision;
use kme::internal::{Draw, draws, kid_on_draws, kth_nearest, mutual, nearest};
use kme::rng;
use kme::{Error, Field, Points};
use kme::{KidSettings, Protocol, Statistics, Subsets, fid, inception_score, prdc};
use kme_testing::{Lcg, normal};

/// Nearly normal numbers, as golden/evaluate.py makes them.
fn normals(count: usize, seed: u64) -> Vec<f64> {
    Lcg(seed).normals(count, 32)
}

fn features(n: usize, d: usize, shift: f64, seed: u64) -> Points {
    let numbers = normals(n * d, seed).into_iter().map(|x| (x + shift).max(0.0)).collect();
    Points::new(n, d, Data::F64(numbers)).unwrap()
}

fn golden() -> serde_json::Value {
    serde_json::from_str(include_str!("golden/evaluate.json")).unwrap()
}

fn assert_close(found: f64, expected: f64, tolerance: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs();
    assert!(error <= tolerance, "{what}: {found} instead of {expected}, {error:e}");
}

#[test]
fn scores_are_those_of_the_tools() {
    let golden = golden();
    let check =
        |found: f64, name: &str, tolerance| assert_close(found, golden[name].as_f64().unwrap(), tolerance, name);
    let (x, y) = (features(200, 64, 0.0, 1), features(180, 64, 0.1, 2));
    let of = |protocol, count, size, seed| {
        KidSettings { protocol, subsets: Subsets { count, size }, seed, ..KidSettings::default() }
            .measure(&x, &y)
            .unwrap()
    };
    let found = of(Protocol::TorchFidelity, 20, 100, None);
    check(found.value, "torch_fidelity_kid_mean", 1e-9);
    check(found.spread.unwrap(), "torch_fidelity_kid_std", 1e-9);
    assert_eq!(found.seed, Some(2020));
    check(of(Protocol::CleanFid, 20, 100, Some(7)).value, "clean_fid_kid_100", 1e-9);
    let shrunk = of(Protocol::CleanFid, 3, 1000, Some(7));
    check(shrunk.value, "clean_fid_kid_1000", 1e-9);
    assert_eq!(shrunk.subsets, Some(Subsets { count: 3, size: 180 }));

    let found = fid(&x, &y).unwrap();
    check(found.value, "torch_fidelity_fid", 1e-9);
    check(found.value, "clean_fid_fid", 1e-9);

    let logits = Points::new(203, 10, Data::F64(normals(2030, 3).into_iter().map(|x| 2.0 * x).collect())).unwrap();
    let found = inception_score(&logits, 10, Protocol::TorchFidelity, None).unwrap();
    check(found.value, "torch_fidelity_isc_mean", 1e-12);
    check(found.spread, "torch_fidelity_isc_std", 1e-11);
    let found = inception_score(&logits, 10, Protocol::Paper, None).unwrap();
    check(found.value, "torch_fidelity_isc_mean_in_order", 1e-12);

    let found = prdc(&x, &y, 3).unwrap();
    // These are means in single precision.
    check(found.precision.value, "torch_fidelity_precision", 1e-7);
    check(found.recall.value, "torch_fidelity_recall", 1e-7);
    let found = prdc(&x, &y, 5).unwrap();
    check(found.precision.value, "prdc_precision", 1e-14);
    check(found.recall.value, "prdc_recall", 1e-14);
    check(found.density.value, "prdc_density", 1e-14);
    check(found.coverage.value, "prdc_coverage", 1e-14);
}

#[test]
fn subsets_are_averages_of_the_full_value() {
    let (x, y) = (features(40, 5, 0.0, 1), features(30, 5, 0.2, 2));
    let full = KidSettings::default().measure(&x, &y).unwrap();
    let plain = kme::KidSettings::default().measure(&x, &y).unwrap();
    assert_eq!((full.value, full.standard_error), (plain.value, plain.standard_error));
    // One subset of everything is the full value of these points.
    let first: Vec<usize> = (0..30).rev().collect();
    let all = Draw { reference: first.clone(), candidate: first.clone() };
    let one = kid_on_draws(&x, &y, &[all], Precision::F64).unwrap();
    let some = kme::KidSettings::default().measure(&x.select(&first).unwrap(), &y).unwrap();
    assert_close(one.value, some.value, 1e-12, "one subset");
    assert_close(one.standard_error.unwrap(), some.standard_error.unwrap(), 1e-12, "its error");
    // Many subsets come near the full value, within what their scatter tells.
    let many = KidSettings {
        protocol: Protocol::Paper,
        subsets: Subsets { count: 4000, size: 10 },
        seed: Some(3),
        ..KidSettings::default()
    }
    .measure(&x, &y)
    .unwrap();
    let scatter = many.spread.unwrap() / 4000_f64.sqrt();
    assert!((many.value - full.value).abs() < 4.0 * scatter, "{} {} {scatter}", many.value, full.value);
    let (found, expected) = (many.standard_error.unwrap(), full.standard_error.unwrap().hypot(scatter));
    assert_close(found, expected, 0.1, "standard error over subsets");
}

#[test]
fn the_error_over_subsets_is_the_scatter_over_samples() {
    let subsets = Subsets { count: 10, size: 30 };
    let mut values = Vec::new();
    let mut squares = 0.0;
    for seed in 0..300 {
        let (x, y) = (features(90, 6, 0.0, 2 * seed + 1), features(60, 6, 0.3, 2 * seed + 2));
        let found = KidSettings { protocol: Protocol::Paper, subsets, seed: Some(seed), ..KidSettings::default() }
            .measure(&x, &y)
            .unwrap();
        values.push(found.value);
        squares += found.standard_error.unwrap().powi(2) / 300.0;
    }
    let mean = values.iter().sum::<f64>() / 300.0;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 299.0;
    println!("estimated over empirical variance: {}", squares / variance);
    assert!((0.8..1.25).contains(&(squares / variance)), "{squares} for {variance}");
}

#[test]
fn draws_are_without_replacement_and_repeat() {
    for protocol in [Protocol::Paper, Protocol::TorchFidelity, Protocol::CleanFid] {
        let of = |seed| draws(protocol, Subsets { count: 5, size: 20 }, 50, 40, seed).unwrap();
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        for Draw { reference, candidate } in of(1) {
            for (mut places, n) in [(reference, 50), (candidate, 40)] {
                places.sort_unstable();
                places.dedup();
                assert!(places.len() == 20 && places[19] < n, "{protocol}");
            }
        }
    }
}

#[test]
fn inception_scores_are_their_definition() {
    let score = |n: usize, classes: usize, logits: Vec<f64>, splits| {
        let logits = Points::new(n, classes, Data::F64(logits)).unwrap();
        inception_score(&logits, splits, Protocol::Full, Some(0)).unwrap()
    };
    // No image tells its class; every image tells one, each as often.
    assert!((score(20, 5, vec![0.7; 100], 4).value - 1.0).abs() < 1e-14);
    let one_hot = (0..100).map(|i| if i / 5 % 5 == i % 5 { 800.0 } else { -800.0 }).collect();
    assert!((score(20, 5, one_hot, 1).value - 5.0).abs() < 1e-12);
    let logits = normals(60, 5);
    let p: Vec<Vec<f64>> = logits
        .chunks(3)
        .map(|row| {
            let sum: f64 = row.iter().map(|x| x.exp()).sum();
            row.iter().map(|x| x.exp() / sum).collect()
        })
        .collect();
    let q: Vec<f64> = (0..3).map(|c| p.iter().map(|p| p[c]).sum::<f64>() / 20.0).collect();
    let kl: f64 = p.iter().map(|p| (0..3).map(|c| p[c] * (p[c] / q[c]).ln()).sum::<f64>()).sum::<f64>() / 20.0;
    let found = score(20, 3, logits, 1);
    assert_close(found.value, kl.exp(), 1e-13, "one split");
    assert_eq!(found.standard_error, None);
}

fn distance2(x: &Points, i: usize, y: &Points, j: usize) -> f64 {
    let d = x.dim();
    (0..d).map(|k| (x.data().get(i * d + k) - y.data().get(j * d + k)).powi(2)).sum()
}

/// With ties: points on a small grid, many of them in both samples.
fn grids() -> (Points, Points) {
    let grid = |n: usize, seed| {
        let numbers = normals(n * 3, seed).into_iter().map(|x| 5.0 + x.round()).collect();
        Points::new(n, 3, Data::F64(numbers)).unwrap()
    };
    (grid(300, 1), grid(270, 2))
}

#[test]
fn neighbours_and_balls_are_those_of_a_naive_loop() {
    for (x, y) in [grids(), (features(290, 7, 0.0, 3), features(520, 7, 0.3, 4))] {
        let (n, m) = (x.len(), y.len());
        let radii = |points: &Points, k: usize| -> Vec<f64> {
            let n = points.len();
            (0..n)
                .map(|i| {
                    let mut all: Vec<f64> =
                        (0..n).filter(|&j| j != i).map(|j| distance2(points, i, points, j)).collect();
                    all.sort_by(f64::total_cmp);
                    all[k - 1]
                })
                .collect()
        };
        let (r, s) = (radii(&x, 3), radii(&y, 5));
        let (x_radii, y_radii) = (kth_nearest(x.view(), 3).unwrap(), kth_nearest(y.view(), 5).unwrap());
        for (found, right) in [(&x_radii, &r), (&y_radii, &s)] {
            assert_eq!(found.unit, 1.0);
            assert!(found.squared.iter().zip(right).all(|(found, right)| (found - right).abs() <= 1e-14 * right));
        }
        let all = mutual(x.view(), &x_radii, y.view(), &y_radii).unwrap();
        let (r, s) = (x_radii.squared, y_radii.squared);
        for (i, &radius) in r.iter().enumerate() {
            let count = |holds: &dyn Fn(usize) -> bool| (0..m).filter(|&j| holds(j)).count();
            let at = |j: usize| distance2(&x, i, &y, j);
            assert_eq!(all.open_around_x.of_balls[i].count, count(&|j| at(j) < radius));
            assert_eq!(all.closed_around_x.of_balls[i].count, count(&|j| at(j) <= radius));
            let inside = count(&|j| at(j) <= s[j]);
            assert_eq!(all.closed_around_y.of_points[i].count, inside);
            let only = (inside == 1).then(|| (0..m).find(|&j| at(j) <= s[j]).unwrap());
            assert_eq!(all.closed_around_y.of_points[i].only(), only);
        }
        for (j, &radius) in s.iter().enumerate() {
            let count = |holds: &dyn Fn(usize) -> bool| (0..n).filter(|&i| holds(i)).count();
            let at = |i: usize| distance2(&x, i, &y, j);
            assert_eq!(all.open_around_x.of_points[j].count, count(&|i| at(i) < r[i]));
            assert_eq!(all.closed_around_x.of_points[j].count, count(&|i| at(i) <= r[i]));
            assert_eq!(all.closed_around_y.of_balls[j].count, count(&|i| at(i) <= radius));
        }
    }
}

#[test]
fn scores_do_not_depend_on_threads() {
    let (x, y) = (features(700, 300, 0.0, 1), features(613, 300, 0.1, 2));
    let few = x.select(&(0..200).collect::<Vec<_>>()).unwrap();
    let subsets = Subsets { count: 3, size: 300 };
    let of = |threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(|| {
            (
                fid(&x, &y).unwrap(),
                fid(&few, &y).unwrap(),
                KidSettings { protocol: Protocol::TorchFidelity, subsets, ..KidSettings::default() }
                    .measure(&x, &y)
                    .unwrap(),
                inception_score(&x, 10, Protocol::Full, None).unwrap(),
                prdc(&x, &y, 3).unwrap(),
                nearest(&x, &y, 1, Precision::F64).unwrap(),
            )
        })
    };
    let one = of(1);
    assert!(one == of(2) && one == of(3));
}

/// Over many samples, the errors of precision, recall, density and coverage against their scatter.
#[test]
fn errors_of_precision_and_recall_are_near_their_scatter() {
    let repeats = 60;
    let draw = |n: usize, d: usize, shift: f64, index: u64, purpose: &str| {
        let mut stream = rng::stream(5, purpose, index);
        let numbers = (0..n * d).map(|_| shift + normal(&mut stream)).collect();
        Points::new(n, d, Data::F64(numbers)).unwrap()
    };
    for (d, shift) in [(8, 0.0), (8, 0.5), (4, 1.0), (30, 0.3)] {
        let mut all = vec![Vec::new(); 4];
        for i in 0..repeats {
            let found = prdc(&draw(300, d, 0.0, i, "reference"), &draw(300, d, shift, i, "candidate"), 3).unwrap();
            for (all, found) in all.iter_mut().zip([found.precision, found.recall, found.density, found.coverage]) {
                all.push((found.value, found.standard_error.unwrap()));
            }
        }
        for (name, all) in ["precision", "recall", "density", "coverage"].into_iter().zip(all) {
            let n = all.len() as f64;
            let mean = all.iter().map(|a| a.0).sum::<f64>() / n;
            let scatter = (all.iter().map(|a| (a.0 - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
            let error = (all.iter().map(|a| a.1.powi(2)).sum::<f64>() / n).sqrt();
            println!(
                "d = {d}, shift {shift}: {name} {mean:.3}, scatter {scatter:.3}, error over scatter {:.2}",
                error / scatter
            );
            assert!((0.85..2.1).contains(&(error / scatter)), "{name}: {error} for {scatter}");
        }
    }
}

#[test]
fn what_cannot_be_computed_is_refused_with_the_remedy() {
    let (x, y) = (features(20, 4, 0.0, 1), features(30, 4, 0.0, 2));
    let (one, other) = (features(1, 4, 0.0, 1), features(20, 5, 0.0, 1));
    let fault = |result: kme::Result<f64>, parts: &[&str]| {
        let text = result.unwrap_err().to_string();
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    };
    let kid = |x: &Points, protocol, size| {
        KidSettings { protocol, subsets: Subsets { count: 2, size }, seed: Some(1 << 40), ..KidSettings::default() }
            .measure(x, &y)
            .map(|k| k.value)
    };
    let parameter = |result: kme::Result<f64>, name: &str| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::Parameter { .. }) && error.parameter_name() == Some(name), "{error}");
    };
    let of_dimension = |result| {
        assert!(matches!(result, Err(Error::Mismatch { field: Field::Dimension, .. })), "{result:?}");
    };
    let too_few = |result: kme::Result<f64>| {
        assert!(matches!(result, Err(Error::TooFew { given: 1, least: 2, .. })), "{result:?}");
    };
    fault(
        kid(&x, Protocol::Paper, 1000),
        &["subset_size is 1000, but must be from 2 to 20, the number of points of the reference"],
    );
    parameter(kid(&x, Protocol::Paper, 1000), "subset_size");
    parameter(kid(&x, Protocol::TorchFidelity, 10), "seed");
    parameter(kid(&x, Protocol::Paper, 1), "subset_size");
    too_few(kid(&one, Protocol::CleanFid, 10));
    of_dimension(kid(&other, Protocol::Paper, 10));
    too_few(fid(&one, &y).map(|f| f.value));
    of_dimension(fid(&x, &other).map(|f| f.value));
    parameter(prdc(&x, &y, 20).map(|p| p.recall.value), "neighbours");
    of_dimension(prdc(&x, &other, 2).map(|p| p.recall.value));
    let is = |x: &Points, splits, protocol| inception_score(x, splits, protocol, None).map(|s| s.value);
    parameter(is(&x, 30, Protocol::Full), "splits");
    parameter(is(&x, 0, Protocol::Full), "splits");
    assert!(matches!(is(&x, 2, Protocol::CleanFid), Err(Error::Unsupported { .. })));
    assert!(matches!("best".parse::<Protocol>(), Err(Error::UnknownName { known, .. }) if known.len() == 5));
    let statistics = |mean: &[f64], covariance: &[f64]| {
        Statistics::new(mean.to_vec(), covariance.to_vec()).and_then(kme::Fitted::of_statistics).map(|_| 0.0)
    };
    fault(statistics(&[0.0, 0.0], &[1.0, 0.5, 0.2, 1.0]), &["symmetric"]);
    fault(statistics(&[0.0, 0.0], &[1.0, 2.0, 2.0, 1.0]), &["positive semi-definite"]);
    fault(statistics(&[0.0, 0.0], &[-1.0, 0.0, 0.0, 1.0]), &["variance of dimension 0"]);
    fault(statistics(&[0.0, 0.0], &[0.0, 1.0, 1.0, 0.0]), &["positive semi-definite"]);
    fault(statistics(&[0.0, f64::NAN], &[1.0, 0.0, 0.0, 1.0]), &["finite"]);
    fault(statistics(&[0.0], &[1.0, 0.0, 0.0, 1.0]), &["(d, d)"]);
}
