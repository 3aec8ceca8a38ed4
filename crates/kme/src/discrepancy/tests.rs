//! Estimators against naive loops, closed forms and their own distributions.

use super::*;
use crate::kernel::Pair;
use crate::points::{Data, Points};
use crate::rng::{Rng, stream};
use crate::standard_error::NoStandardError;
use kme_testing::{mean_and_deviation, normal};

fn gaussian_points(n: usize, d: usize, shift: f64, rng: &mut Rng) -> Points {
    Points::new(n, d, Data::F64((0..n * d).map(|_| shift + normal(rng)).collect())).unwrap()
}

fn row(p: &Points, i: usize) -> &[f64] {
    match p.data() {
        Data::F64(v) => &v[i * p.dim()..(i + 1) * p.dim()],
        Data::F32(_) => unreachable!("the tests use f64"),
    }
}

fn gram(kernel: &Kernel, x: &Points, y: &Points) -> Vec<Vec<f64>> {
    let k = |i, j| kernel.value(&Pair::of(row(x, i), row(y, j)));
    (0..x.len()).map(|i| (0..y.len()).map(|j| k(i, j)).collect()).collect()
}

/// w'Kw with or without the diagonal.
fn quadratic(k: &[Vec<f64>], w: &[f64], diagonal: bool) -> f64 {
    let mut sum = 0.0;
    for i in 0..w.len() {
        for j in 0..w.len() {
            if diagonal || i != j {
                sum += w[i] * w[j] * k[i][j];
            }
        }
    }
    sum
}

fn bilinear(k: &[Vec<f64>], w: &[f64], v: &[f64]) -> f64 {
    k.iter().zip(w).map(|(k, w)| k.iter().zip(v).map(|(k, v)| k * v * w).sum::<f64>()).sum()
}

fn kernel(text: &str) -> Kernel {
    text.parse().unwrap()
}

fn value(text: &str, x: &Points, y: &Points, estimator: Estimator) -> f64 {
    mmd2(&kernel(text), x, y, estimator, Precision::F64).unwrap().value
}

#[test]
fn estimators_equal_their_definitions() {
    let mut rng = stream(1, "discrepancy", 0);
    let (n, m) = (23, 31);
    let (x, y) = (gaussian_points(n, 4, 0.0, &mut rng), gaussian_points(m, 4, 0.4, &mut rng));
    let w: Vec<f64> = (0..n).map(|i| 1.0 + (i % 3) as f64).collect();
    let v: Vec<f64> = (0..m).map(|i| 0.5 + (i % 5) as f64).collect();
    let scaled = |w: &[f64]| -> Vec<f64> { w.iter().map(|x| x / w.iter().sum::<f64>()).collect() };
    for text in ["gaussian:sigma=2", "poly:degree=3,gamma=0.25,coef=1", "rq:alpha=0.2,1+linear", "energy", "distance"] {
        let k = kernel(text);
        let (kxx, kyy, kxy) = (gram(&k, &x, &x), gram(&k, &y, &y), gram(&k, &x, &y));
        let check = |found: f64, right: f64| assert!((found - right).abs() < 1e-12, "{text}: {found} is not {right}");
        let (one, eins) = (vec![1.0; n], vec![1.0; m]);
        let (nn, mm) = (n as f64, m as f64);
        check(
            value(text, &x, &y, Estimator::Biased),
            quadratic(&kxx, &one, true) / (nn * nn) + quadratic(&kyy, &eins, true) / (mm * mm)
                - 2.0 * bilinear(&kxy, &one, &eins) / (nn * mm),
        );
        check(
            value(text, &x, &y, Estimator::Unbiased),
            quadratic(&kxx, &one, false) / (nn * (nn - 1.0)) + quadratic(&kyy, &eins, false) / (mm * (mm - 1.0))
                - 2.0 * bilinear(&kxy, &one, &eins) / (nn * mm),
        );
        let (a, b) = (shuffled(0, "x", n), shuffled(0, "y", m));
        let linear: f64 = (0..n / 2)
            .map(|p| (a[2 * p], a[2 * p + 1], b[2 * p], b[2 * p + 1]))
            .map(|(i, j, k, l)| kxx[i][j] + kyy[k][l] - kxy[i][l] - kxy[j][k])
            .sum();
        check(value(text, &x, &y, Estimator::Linear), linear / (n / 2) as f64);
        let (p, q) = (scaled(&w), scaled(&v));
        let (sx, sy) = (Sample { points: x.view(), weights: Some(&w) }, Sample { points: y.view(), weights: Some(&v) });
        let found = mmd2(&k, sx, sy, Estimator::Biased, Precision::F64).unwrap();
        assert_eq!(found.standard_error, None);
        let cross = 2.0 * bilinear(&kxy, &p, &q);
        check(found.value, quadratic(&kxx, &p, true) + quadratic(&kyy, &q, true) - cross);
        let found = mmd2(&k, sx, sy, Estimator::Unbiased, Precision::F64).unwrap().value;
        let rest = |p: &[f64]| 1.0 - p.iter().map(|w| w * w).sum::<f64>();
        check(found, quadratic(&kxx, &p, false) / rest(&p) + quadratic(&kyy, &q, false) / rest(&q) - cross);
    }
    // The U-statistic, which needs equal sizes.
    let z = gaussian_points(n, 4, 0.4, &mut rng);
    let k = kernel("rq:alpha=1");
    let (kxx, kzz, kxz) = (gram(&k, &x, &x), gram(&k, &z, &z), gram(&k, &x, &z));
    let pairs: Vec<(usize, usize)> = shuffled(0, "x", n).into_iter().zip(shuffled(0, "y", n)).collect();
    let mut sum = 0.0;
    for (p, &(i, k)) in pairs.iter().enumerate() {
        for &(j, l) in pairs.iter().enumerate().filter(|(q, _)| *q != p).map(|(_, pair)| pair) {
            sum += kxx[i][j] + kzz[k][l] - kxz[i][l] - kxz[j][k];
        }
    }
    let found = value("rq:alpha=1", &x, &z, Estimator::UStatistic);
    assert!((found - sum / (n * (n - 1)) as f64).abs() < 1e-12);
}

#[test]
fn sorted_points_are_paired_at_random() {
    let mut rng = stream(14, "discrepancy", 0);
    let n = 2000;
    let mut sorted = |shift: f64| {
        let mut numbers: Vec<f64> = (0..n).map(|_| shift + normal(&mut rng)).collect();
        numbers.sort_by(f64::total_cmp);
        Points::new(n, 1, Data::F64(numbers)).unwrap()
    };
    let (x, y) = (sorted(0.0), sorted(0.5));
    // E exp(−(u−v)²/2) = exp(−s²/6)/√3 for u − v ~ N(s, 2).
    let right = 2.0 * (1.0 - (-0.25_f64 / 6.0).exp()) / 3.0_f64.sqrt();
    let all = mmd2(&kernel("gaussian:sigma=1"), &x, &y, Estimator::Unbiased, Precision::F32).unwrap();
    assert_eq!(all.precision, Precision::F32);
    let linear = mmd2(&kernel("gaussian:sigma=1"), &x, &y, Estimator::Linear, Precision::F32).unwrap();
    assert_eq!(linear.precision, Precision::F64);
    let error = linear.standard_error.unwrap();
    assert!((linear.value - right).abs() < 4.0 * error && error < 0.025, "{linear:?} is not {right}");
    // The U-statistic differs by 2/(n−1) times (the mean of k over n pairs − the mean over all), about 1/√n.
    let u = value("gaussian:sigma=1", &x, &y, Estimator::UStatistic);
    let plain = value("gaussian:sigma=1", &x, &y, Estimator::Unbiased);
    assert!((u - plain).abs() < 5e-5, "{u} is far from {plain}");
}

#[test]
fn a_standard_error_that_cannot_be_told_is_none() {
    // Squares of kernel values overflow, the values themselves do not.
    let mut rng = stream(15, "discrepancy", 0);
    let numbers = |rng: &mut Rng| Data::F64((0..10).map(|_| 1e70 * normal(rng)).collect());
    let (x, y) = (Points::new(10, 1, numbers(&mut rng)).unwrap(), Points::new(10, 1, numbers(&mut rng)).unwrap());
    let found = mmd2(&kernel("linear"), &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
    assert!(found.value.is_finite() && found.standard_error.is_some());
    let found = mmd2(&kernel("poly:degree=3,gamma=1,coef=0"), &x, &y, Estimator::Unbiased, Precision::F64);
    assert!(found.unwrap_err().to_string().contains("rescale"));
    for estimator in [Estimator::Biased, Estimator::Unbiased, Estimator::UStatistic] {
        let found = mmd2(&kernel("1e20*linear"), &x, &y, estimator, Precision::F64).unwrap();
        assert!(found.value.is_finite() && found.standard_error.is_none(), "{found:?}");
    }
    // Noise may make every part of the estimated variance negative: an error of exactly 0 would be a false certainty.
    assert_eq!(
        variance::VarianceAt { value: -1.0, least: 0.0, rounding: 0.0 }.standard_error(),
        Err(NoStandardError::Chance)
    );
    let same = Points::new(5, 1, Data::F64(vec![1.0; 5])).unwrap();
    for estimator in [Estimator::Unbiased, Estimator::Linear] {
        let found = mmd2(&kernel("gaussian:sigma=1"), &same, &same, estimator, Precision::F64).unwrap();
        assert_eq!((found.value, found.standard_error), (0.0, None));
        assert!(found.standard_error_missing.is_some());
    }
}

#[test]
fn what_cannot_be_estimated_is_refused() {
    let mut rng = stream(2, "discrepancy", 0);
    let (x, y) = (gaussian_points(5, 2, 0.0, &mut rng), gaussian_points(6, 2, 0.0, &mut rng));
    let one = gaussian_points(1, 2, 0.0, &mut rng);
    let k = kernel("gaussian:sigma=1");
    let fault = |x: Sample, y: Sample, e| mmd2(&k, x, y, e, Precision::F64).unwrap_err();
    macro_rules! refused {
        ($x:expr, $y:expr, $estimator:ident, $kind:pat) => {
            let fault = fault($x, $y, Estimator::$estimator);
            assert!(matches!(fault, $kind), "{fault}");
        };
    }
    refused!((&x).into(), (&y).into(), UStatistic, Error::Mismatch { field: Field::Count(_), .. });
    refused!((&x).into(), (&one).into(), Unbiased, Error::TooFew { given: 1, least: 2, .. });
    assert!(mmd2(&k, &x, &one, Estimator::Biased, Precision::F64).unwrap().standard_error.is_none());
    let other = gaussian_points(6, 3, 0.0, &mut rng);
    refused!((&x).into(), (&other).into(), Biased, Error::Mismatch { field: Field::Dimension, .. });
    let with = |weights| Sample { points: x.view(), weights: Some(weights) };
    refused!(with(&[1.0; 4]), (&y).into(), Biased, Error::Mismatch { field: Field::Count(_), .. });
    refused!(with(&[1.0, -1.0, 0.0, 0.0, 0.0]), (&y).into(), Biased, Error::Value { .. });
    let negative = fault(with(&[2.0, -1.0, 0.0, 0.0, 0.0]), (&y).into(), Estimator::Unbiased);
    assert_eq!(negative.parameter_name(), Some("weights[1]"), "{negative}");
    refused!(with(&[1.0, 0.0, 0.0, 0.0, 0.0]), (&y).into(), Unbiased, Error::TooFew { given: 1, least: 2, .. });
    refused!(with(&[1.0; 5]), (&y).into(), Linear, Error::Unsupported { .. });
    assert!(matches!("median".parse::<Estimator>(), Err(Error::UnknownName { known, .. }) if known.len() == 4));
    for &(estimator, name) in Estimator::ALL {
        assert_eq!((name.parse::<Estimator>().unwrap(), estimator.to_string().as_str()), (estimator, name));
        assert_eq!(serde_json::to_string(&estimator).unwrap(), format!("\"{name}\""));
    }
}

#[test]
fn energy_distance_is_the_mmd_of_the_induced_kernel() {
    let mut rng = stream(3, "discrepancy", 0);
    let (x, y) = (gaussian_points(40, 3, 0.0, &mut rng), gaussian_points(25, 3, 1.0, &mut rng));
    for estimator in [Estimator::Biased, Estimator::Unbiased] {
        let energy = energy_distance(&x, &y, estimator, Precision::F64).unwrap().value;
        assert!((energy - value("distance", &x, &y, estimator)).abs() < 1e-12);
    }
    let distance = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt();
    let mean = |x: &Points, y: &Points| -> f64 {
        let all = (0..x.len()).flat_map(|i| (0..y.len()).map(move |j| (i, j)));
        all.map(|(i, j)| distance(row(x, i), row(y, j))).sum::<f64>() / (x.len() * y.len()) as f64
    };
    let right = 2.0 * mean(&x, &y) - mean(&x, &x) - mean(&y, &y);
    assert!((energy_distance(&x, &y, Estimator::Biased, Precision::F64).unwrap().value - right).abs() < 1e-12);
}

/// The estimator of the variance as it is printed by Sutherland et al., with means squared, for equal sizes.
fn published_variance(kxx: &[Vec<f64>], kyy: &[Vec<f64>], kxy: &[Vec<f64>]) -> f64 {
    let m = kxx.len();
    let f = m as f64;
    let rows = |k: &[Vec<f64>], skip: bool| -> Vec<f64> {
        (0..m).map(|i| (0..m).filter(|&j| !skip || j != i).map(|j| k[i][j]).sum()).collect()
    };
    let squares = |k: &[Vec<f64>], skip: bool| -> f64 {
        (0..m).map(|i| (0..m).filter(|&j| !skip || j != i).map(|j| k[i][j].powi(2)).sum::<f64>()).sum()
    };
    let transposed: Vec<Vec<f64>> = (0..m).map(|i| (0..m).map(|j| kxy[j][i]).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let (rx, ry, rxy, ryx) = (rows(kxx, true), rows(kyy, true), rows(kxy, false), rows(&transposed, false));
    let (sx, sy, sxy) = (squares(kxx, true), squares(kyy, true), squares(kxy, false));
    let (a, b, c) = (rx.iter().sum::<f64>(), ry.iter().sum::<f64>(), rxy.iter().sum::<f64>());
    let products = dot(&rx, &rxy) + dot(&ry, &ryx);
    let (pairs, m2, m3) = (f * (f - 1.0), f * f * (f - 1.0), f.powi(3) * (f - 1.0));
    let zeta1 = (dot(&rx, &rx) - sx + dot(&ry, &ry) - sy) / (pairs * (f - 2.0)) - (a * a + b * b) / pairs.powi(2)
        + (dot(&rxy, &rxy) + dot(&ryx, &ryx) - 2.0 * sxy) / m2
        - 2.0 * c * c / f.powi(4)
        - 2.0 * products / m2
        + 2.0 * (a + b) * c / m3;
    let zeta2 = (sx + sy) / pairs - (a * a + b * b) / pairs.powi(2) + 2.0 * sxy / (f * f)
        - 2.0 * c * c / f.powi(4)
        - 4.0 * products / m2
        + 4.0 * (a + b) * c / m3;
    4.0 * (f - 2.0) / pairs * zeta1 + 2.0 / pairs * zeta2
}

fn variance(k: &Kernel, x: &Points, y: &Points) -> Variance {
    let origin = typical_value(k.into(), x.view(), y.view(), Precision::F64).unwrap();
    let side = |p: &Points| sums::within_marginals(k, p.view(), origin, Precision::F64).unwrap();
    let cross = sums::cross_marginals(k, x.view(), y.view(), origin, Precision::F64).unwrap();
    Variance::estimate(&side(x), &side(y), &cross).unwrap()
}

#[test]
fn variance_agrees_with_the_published_estimator_for_equal_sizes() {
    let mut rng = stream(4, "discrepancy", 0);
    let m = 200;
    let k = kernel("poly:degree=3,gamma=0.125,coef=1");
    let (x, y) = (gaussian_points(m, 8, 0.0, &mut rng), gaussian_points(m, 8, 0.5, &mut rng));
    let published = published_variance(&gram(&k, &x, &x), &gram(&k, &y, &y), &gram(&k, &x, &y));
    let found = variance(&k, &x, &y).at(m as f64, m as f64).value;
    assert!((found / published - 1.0).abs() < 0.03, "{found} and {published}");
}

/// Estimated over empirical variance, and the fraction of negative estimates.
fn variance_ratio(text: &str, n: usize, m: usize, shift: f64, repeats: u64) -> (f64, f64) {
    let k = kernel(text);
    let (mut values, mut estimates) = (Vec::new(), Vec::new());
    for repeat in 0..repeats {
        let mut rng = stream(5, "variance", repeat);
        let (x, y) = (gaussian_points(n, 8, 0.0, &mut rng), gaussian_points(m, 8, shift, &mut rng));
        values.push(mmd2(&k, &x, &y, Estimator::Unbiased, Precision::F64).unwrap().value);
        estimates.push(variance(&k, &x, &y).at(n as f64, m as f64).value);
    }
    let negative = values.iter().filter(|v| **v < 0.0).count() as f64 / values.len() as f64;
    (mean_and_deviation(&estimates).0 / mean_and_deviation(&values).1.powi(2), negative)
}

#[test]
fn variance_is_right_on_average() {
    // 1500 repeats know the empirical variance to about 4 %.
    for (text, n, m, shift) in [
        ("poly:degree=3,gamma=0.125,coef=1", 60, 60, 0.0),
        ("poly:degree=3,gamma=0.125,coef=1", 60, 60, 0.3),
        ("poly:degree=3,gamma=0.125,coef=1", 30, 90, 0.3),
        ("gaussian:sigma=3", 90, 30, 0.0),
        ("gaussian:sigma=3", 25, 80, 0.5),
    ] {
        let (ratio, negative) = variance_ratio(text, n, m, shift, 1500);
        println!("{text} n={n} m={m} shift={shift}: ratio {ratio:.3}, negative {negative:.3}");
        assert!((0.9..1.1).contains(&ratio), "{text} n={n} m={m} shift={shift}: ratio {ratio}");
        if shift == 0.0 {
            assert!((0.4..0.7).contains(&negative), "{negative}");
        }
    }
}

#[test]
fn standard_errors_are_not_lost_to_cancellation() {
    // With so wide a kernel every value is 1 − tiny, and MMD² is that of the linear kernel over σ².
    let mut rng = stream(6, "discrepancy", 0);
    let (x, y) = (gaussian_points(50, 3, 0.0, &mut rng), gaussian_points(40, 3, 1.0, &mut rng));
    let wide = mmd2(&kernel("gaussian:sigma=1e5"), &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
    let linear = mmd2(&kernel("linear"), &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
    assert!((wide.value * 1e10 / linear.value - 1.0).abs() < 1e-4, "{wide:?} {linear:?}");
    let (w, v) = (vec![1.0; 50], vec![1.0; 40]);
    let (sx, sy) = (Sample { points: x.view(), weights: Some(&w) }, Sample { points: y.view(), weights: Some(&v) });
    let weighted = mmd2(&kernel("gaussian:sigma=1e5"), sx, sy, Estimator::Unbiased, Precision::F64).unwrap();
    assert!((weighted.value / wide.value - 1.0).abs() < 1e-4, "{weighted:?} {wide:?}");
    let ratio = wide.standard_error.unwrap() * 1e10 / linear.standard_error.unwrap();
    assert!((ratio - 1.0).abs() < 1e-4, "{ratio}");
}

#[test]
fn unbiased_is_unbiased_and_biased_is_not() {
    let (m, d, repeats) = (30, 4, 1000);
    let (mut unbiased, mut gap, mut negative, mut linear, mut u) = (vec![], vec![], 0, vec![], vec![]);
    for repeat in 0..repeats {
        let mut rng = stream(7, "bias", repeat);
        let (x, y) = (gaussian_points(m, d, 0.0, &mut rng), gaussian_points(m, d, 0.0, &mut rng));
        let found = value("gaussian:sigma=1", &x, &y, Estimator::Unbiased);
        gap.push(value("gaussian:sigma=1", &x, &y, Estimator::Biased) - found);
        linear.push(value("gaussian:sigma=1", &x, &y, Estimator::Linear));
        u.push(value("gaussian:sigma=1", &x, &y, Estimator::UStatistic));
        negative += usize::from(found < 0.0);
        unbiased.push(found);
    }
    // E k = (1 + 2/σ²)^(−d/2) for x − x' ~ N(0, 2I); V − U = 2(1 − E k)/m on average.
    let expected = 2.0 * (1.0 - 3.0_f64.powf(-(d as f64) / 2.0)) / m as f64;
    for (values, right) in [(&unbiased, 0.0), (&linear, 0.0), (&u, 0.0), (&gap, expected)] {
        let (mean, sd) = mean_and_deviation(values);
        assert!((mean - right).abs() < 3.0 * sd / (repeats as f64).sqrt(), "{mean} is not {right}");
    }
    let fraction = negative as f64 / repeats as f64;
    assert!((0.4..0.7).contains(&fraction), "{fraction} of the estimates are negative");
}

#[test]
fn linear_estimator_knows_its_error() {
    let (values, errors): (Vec<f64>, Vec<f64>) = (0..1500)
        .map(|repeat| {
            let mut rng = stream(8, "linear", repeat);
            let (x, y) = (gaussian_points(101, 3, 0.0, &mut rng), gaussian_points(120, 3, 0.5, &mut rng));
            let e = mmd2(&kernel("gaussian:sigma=2"), &x, &y, Estimator::Linear, Precision::F64).unwrap();
            (e.value, e.standard_error.unwrap().powi(2))
        })
        .unzip();
    let ratio = mean_and_deviation(&errors).0 / mean_and_deviation(&values).1.powi(2);
    assert!((0.9..1.1).contains(&ratio), "{ratio}");
}

#[test]
fn the_diagonal_of_every_summand_is_left_out() {
    // A published implementation leaves the diagonal of the linear summand in; its loss is then 2·16/63 too large.
    let (m, d) = (64, 16);
    let text = "rq:alpha=0.2,0.5,1,2,5+linear";
    let (mut right, mut quirk) = (vec![], vec![]);
    for repeat in 0..400 {
        let mut rng = stream(9, "quirk", repeat);
        let (x, y) = (gaussian_points(m, d, 0.0, &mut rng), gaussian_points(m, d, 0.0, &mut rng));
        let found = value(text, &x, &y, Estimator::Unbiased);
        let norms = |p: &Points| (0..m).map(|i| row(p, i).iter().map(|x| x * x).sum::<f64>()).sum::<f64>();
        right.push(found);
        quirk.push(found + (norms(&x) + norms(&y)) / (m * (m - 1)) as f64);
    }
    let ((mean, sd), (wrong, _)) = (mean_and_deviation(&right), mean_and_deviation(&quirk));
    assert!(mean.abs() < 3.0 * sd / 20.0, "{mean}");
    assert!((wrong - 2.0 * 16.0 / 63.0).abs() < 3.0 * sd / 20.0, "{wrong}");
}

/// E exp(−γ‖u−v‖²) for u − v ~ N(offset, variance·I) in the plane.
fn smoothed(gamma: f64, offset: [f64; 2], variance: f64) -> f64 {
    let spread = 1.0 + 2.0 * gamma * variance;
    (-gamma * (offset[0].powi(2) + offset[1].powi(2)) / spread).exp() / spread
}

/// MMD² between 25 Gaussians on a grid and the same with noise of deviation τ added.
fn population(gamma: f64, tau: f64) -> f64 {
    let (spacing, sd) = (2.0 / 2.828, 0.05 / 2.828);
    let mean = |variance: f64| -> f64 {
        let centres = || (0..25).map(|i| [spacing * f64::from(i / 5), spacing * f64::from(i % 5)]);
        let all = centres().flat_map(|a| centres().map(move |b| smoothed(gamma, [a[0] - b[0], a[1] - b[1]], variance)));
        all.sum::<f64>() / 625.0
    };
    mean(2.0 * sd * sd) + mean(2.0 * (sd * sd + tau * tau)) - 2.0 * mean(2.0 * sd * sd + tau * tau)
}

#[test]
fn twenty_five_gaussians() {
    for (tau, gamma, right) in [
        (1.0, 1.0, 0.02142),
        (1.0, 10.0, 0.02178),
        (1.0, 100.0, 0.03366),
        (1.0, 66.0, 0.03409),
        (0.1, 1.0, 1.03e-5),
        (0.1, 10.0, 0.00199),
        (0.1, 100.0, 0.01776),
        (0.1, 255.0, 0.02134),
        (0.05, 1.0, 6.6e-7),
        (0.05, 10.0, 1.8e-4),
        (0.05, 100.0, 0.00515),
        (0.05, 509.0, 0.01126),
    ] {
        let found = population(gamma, tau);
        assert!((found / right - 1.0).abs() < 0.01, "closed form at τ={tau} γ={gamma}: {found} is not {right}");
        let mut rng = stream(10, "25 gaussians", (gamma * 1000.0 + tau * 10.0) as u64);
        let n = 3000;
        let mut sample = |tau: f64| {
            let mut numbers = Vec::new();
            for _ in 0..n {
                let centre = rand::RngExt::random_range(&mut rng, 0..25);
                for c in [centre / 5, centre % 5] {
                    numbers.push((2.0 * f64::from(c) + 0.05 * normal(&mut rng)) / 2.828 + tau * normal(&mut rng));
                }
            }
            Points::new(n, 2, Data::F64(numbers)).unwrap()
        };
        let (x, y) = (sample(0.0), sample(tau));
        let k = kernel(&format!("gaussian:gamma={gamma}"));
        let estimate = mmd2(&k, &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
        let error = estimate.standard_error.unwrap();
        assert!((estimate.value - found).abs() < 4.0 * error, "τ={tau} γ={gamma}: {estimate:?} is not {found}");
        assert!(error < 0.003, "τ={tau} γ={gamma}: {error}");
    }
}

#[test]
fn witness_separates_the_samples() {
    let mut rng = stream(11, "discrepancy", 0);
    let (x, y) = (gaussian_points(80, 2, 0.0, &mut rng), gaussian_points(60, 2, 2.0, &mut rng));
    for text in ["gaussian:sigma=1", "linear", "energy", "distance+0.5*imq:c=1"] {
        let k = kernel(text);
        let witness = Witness::new(&k, &x, &y, Precision::F64).unwrap();
        let mean = |p: &Points| witness.value(p).unwrap().iter().sum::<f64>() / p.len() as f64;
        let right = value(text, &x, &y, Estimator::Biased);
        assert!((mean(&x) - mean(&y) - right).abs() < 1e-12, "{text}");
        let at = gaussian_points(5, 2, 1.0, &mut rng);
        let gradient = witness.gradient(&at).unwrap();
        for i in 0..5 {
            for c in 0..2 {
                let h = 1e-5;
                let moved = |step: f64| {
                    let mut z = row(&at, i).to_vec();
                    z[c] += step;
                    witness.value(&Points::new(1, 2, Data::F64(z)).unwrap()).unwrap()[0]
                };
                let difference = (moved(h) - moved(-h)) / (2.0 * h);
                assert!((difference - gradient[2 * i + c]).abs() < 1e-8, "{text}");
            }
        }
    }
    let wrong = gaussian_points(3, 5, 0.0, &mut rng);
    let k = kernel("linear");
    assert!(Witness::new(&k, &x, &wrong, Precision::F64).is_err());
    assert!(Witness::new(&k, &x, &y, Precision::F64).unwrap().value(&wrong).is_err());
}

/// k(z,x) − k(z,y), written so that nothing cancels beside x − y.
fn difference(kernel: &Kernel, z: &[f64], x: &[f64], y: &[f64]) -> f64 {
    let &[(_, form)] = kernel.terms() else { unreachable!("the tests use one term") };
    let dot = |a: &[f64]| a.iter().zip(z).map(|(a, z)| a * z).sum::<f64>();
    let squared = |a: &[f64]| a.iter().zip(z).map(|(a, z)| (a - z).powi(2)).sum::<f64>();
    let each = || z.iter().zip(x).zip(y).map(|((z, x), y)| (*z, *x, *y));
    let by_dot: f64 = each().map(|(z, x, y)| z * (x - y)).sum();
    let by_square: f64 = each().map(|(z, x, y)| (y - x) * ((y - z) + (x - z))).sum();
    match form {
        Form::Linear => by_dot,
        Form::Polynomial { degree: 3, gamma, coef } => {
            let (a, b) = (gamma * dot(x) + coef, gamma * dot(y) + coef);
            gamma * by_dot * (a * a + a * b + b * b)
        }
        Form::Gaussian { sigma } => {
            let factor = -0.5 / (sigma * sigma);
            -(factor * squared(x)).exp() * (factor * by_square).exp_m1()
        }
        Form::Energy { a: 0.0 } => by_square / (squared(x).sqrt() + squared(y).sqrt()),
        _ => unreachable!("the tests use other kernels"),
    }
}

#[test]
fn witness_keeps_its_digits() {
    let mut rng = stream(17, "discrepancy", 0);
    let (n, d) = (3000, 4);
    // Far from the origin, almost the same, and both.
    for (offset, gap) in [(0.0, 1.0), (1e6, 1.0), (0.0, 1e-3), (1e3, 1e-3)] {
        let x = gaussian_points(n, d, offset, &mut rng);
        let y = (0..n).flat_map(|i| row(&x, i).to_vec()).map(|x| x + gap * (0.5 + normal(&mut rng))).collect();
        let y = Points::new(n, d, Data::F64(y)).unwrap();
        let z = gaussian_points(20, d, offset, &mut rng);
        for text in ["linear", "poly:degree=3,gamma=0.25,coef=1", "gaussian:sigma=1", "gaussian:sigma=30", "energy"] {
            let k = kernel(text);
            let found = Witness::new(&k, &x, &y, Precision::F64).unwrap().value(&z).unwrap();
            let right = |j| (0..n).map(|i| difference(&k, row(&z, j), row(&x, i), row(&y, i))).sum::<f64>() / n as f64;
            let right: Vec<f64> = (0..20).map(right).collect();
            let size = right.iter().fold(0.0_f64, |size, f| size.max(f.abs()));
            for (found, right) in found.iter().zip(&right) {
                let error = (found - right).abs() / size;
                assert!(error < 1e-10, "{text} offset {offset} gap {gap}: {found} is not {right}, off by {error:e}");
            }
        }
    }
}

#[test]
fn witness_far_from_the_samples_keeps_its_digits_beside_one_that_is_near() {
    let mut rng = stream(18, "discrepancy", 0);
    let n = 500;
    let (x, y) = (gaussian_points(n, 2, 0.0, &mut rng), gaussian_points(n, 2, 1.0, &mut rng));
    let z = Points::new(3, 2, Data::F64(vec![0.0, 0.0, 9.0, 9.0, -15.0, 3.0])).unwrap();
    let k = kernel("gaussian:sigma=1");
    for (precision, tolerance) in [(Precision::F64, 1e-10), (Precision::F32, 1e-3)] {
        let found = Witness::new(&k, &x, &y, precision).unwrap().value(&z).unwrap();
        for (j, found) in found.into_iter().enumerate() {
            let right = (0..n).map(|i| difference(&k, row(&z, j), row(&x, i), row(&y, i))).sum::<f64>() / n as f64;
            assert!((found / right - 1.0).abs() < tolerance, "{precision:?}: {found} is not {right}");
        }
    }
}

#[test]
fn median_over_distinct_pairs() {
    let line = |v: &[f64]| Points::new(v.len(), 1, Data::F64(v.to_vec())).unwrap();
    // Distances 1, 2, 3, 4, 6, 7: the zero diagonal would pull the median down.
    let found = median_distance(&[&line(&[0.0, 1.0, 3.0, 7.0])]).unwrap();
    assert!((found - 3.5).abs() < 1e-14, "{found}");
    let pooled = median_distance(&[&line(&[0.0, 1.0]), &line(&[3.0]), &line(&[7.0])]).unwrap();
    assert_eq!(found, pooled);
    assert!((median_distance(&[&line(&[5.0, 8.0, 9.0])]).unwrap() - 3.0).abs() < 1e-14);
    assert!(median_distance::<&Points>(&[]).is_err());
    assert!(median_distance(&[&line(&[1.0])]).is_err());
    assert!(matches!(median_distance(&[&line(&[1.0; 5])]), Err(Error::Value { .. })));
    // Coincident points that are not the origin: 160 of 200.
    let mut rng = stream(16, "discrepancy", 0);
    let (one, others) = (gaussian_points(1, 512, 3.0, &mut rng), gaussian_points(40, 512, 3.0, &mut rng));
    let found = median_distance(&[&one.select(&[0; 160]).unwrap(), &others]);
    assert!(matches!(found, Err(Error::Value { .. })));
    // Above the limit a part of the points stands for all.
    let mut rng = stream(12, "discrepancy", 0);
    let many = gaussian_points(5000, 2, 3.0, &mut rng);
    let found = median_distance(&[&many]).unwrap();
    assert_eq!(found, median_distance(&[&many]).unwrap());
    // ‖x−x'‖² is 2χ² with two degrees of freedom, whose median is 4 ln 2.
    assert!((found / (4.0 * 2.0_f64.ln()).sqrt() - 1.0).abs() < 0.03, "{found}");
}

#[test]
fn kid_is_the_cubic_kernel() {
    let mut rng = stream(13, "discrepancy", 0);
    let (x, y) = (gaussian_points(20, 16, 0.0, &mut rng), gaussian_points(30, 16, 0.3, &mut rng));
    let found = kid(x.view(), y.view(), Precision::F64).unwrap();
    assert_eq!(
        found,
        mmd2(&kernel("poly:degree=3,gamma=0.0625,coef=1"), &x, &y, Estimator::Unbiased, Precision::F64).unwrap()
    );
}

#[test]
fn a_point_is_left_out_of_its_own_embedding() {
    let mut rng = stream(31, "discrepancy", 0);
    let (x, y) = (gaussian_points(19, 3, 0.0, &mut rng), gaussian_points(23, 3, 0.5, &mut rng));
    let w: Vec<f64> = (0..19).map(|i| 1.0 + (i % 3) as f64).collect();
    let total: f64 = w.iter().sum();
    for text in ["gaussian:sigma=1", "energy", "poly:degree=3,gamma=0.25,coef=1"] {
        let k = kernel(text);
        let (of_x, of_y) = left_out(&k, Sample { points: x.view(), weights: Some(&w) }, &y, Precision::F64).unwrap();
        let (kxx, kyy, kxy) = (gram(&k, &x, &x), gram(&k, &y, &y), gram(&k, &x, &y));
        let close = |found: f64, right: f64| assert!((found - right).abs() < 1e-12, "{text}: {found} is not {right}");
        for i in 0..19 {
            let others = (0..19).filter(|j| *j != i);
            close(of_x.own[i], others.map(|j| w[j] * kxx[i][j]).sum::<f64>() / (total - w[i]));
            close(of_x.other[i], kxy[i].iter().sum::<f64>() / 23.0);
            close(of_x.witness()[i], of_x.own[i] - of_x.other[i]);
        }
        for i in 0..23 {
            close(of_y.own[i], (0..23).filter(|j| *j != i).map(|j| kyy[i][j]).sum::<f64>() / 22.0);
            close(of_y.other[i], (0..19).map(|j| w[j] * kxy[j][i]).sum::<f64>() / total);
        }
        let (of_x, of_y) = left_out(&k, &x, &y, Precision::F64).unwrap();
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        close(mean(of_x.witness()) + mean(of_y.witness()), value(text, &x, &y, Estimator::Unbiased));
    }
    let one = gaussian_points(1, 3, 0.0, &mut rng);
    let message = left_out(&kernel("energy"), &x, &one, Precision::F64).unwrap_err().to_string();
    assert!(message.contains("at least 2"), "{message}");
}
