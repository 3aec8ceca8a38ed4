//! Inner products, distances and values of embeddings against loops over pairs.

use kme::Data;
use kme::Precision;
use kme::internal::Pair;
use kme::rng;
use kme::{Embedding, Error, Kernel, Points, Sample};
use rand::RngExt;

const KERNELS: [&str; 8] = [
    "linear",
    "poly:degree=3,gamma=0.5,coef=1",
    "gaussian:sigma=1,3",
    "rq:alpha=0.2,1+0.1*linear",
    "laplacian:scale=2",
    "imq:c=2",
    "energy",
    "distance",
];

fn points(n: usize, seed: u64) -> Points {
    let mut rng = rng::stream(seed, "points", 0);
    Points::new(n, 3, Data::F64((0..n * 3).map(|_| rng.random::<f64>() * 4.0 - 2.0).collect())).unwrap()
}

fn embed(n: usize, seed: u64, masses: bool, kernel: &str) -> Embedding {
    let masses = masses.then(|| (1..=n).map(|i| i as f64).collect::<Vec<f64>>());
    let kernel: Kernel = kernel.parse().unwrap();
    Embedding::of(Sample { points: points(n, seed).view(), weights: masses.as_deref() }, kernel).unwrap()
}

fn row(points: &Points, i: usize) -> Vec<f64> {
    (0..points.dim()).map(|j| points.data().get(i * points.dim() + j)).collect()
}

fn naive_value(e: &Embedding, y: &[f64]) -> f64 {
    (0..e.len()).map(|i| e.weights()[i] * e.kernel().value(&Pair::of(&row(e.points(), i), y))).sum()
}

fn naive_inner(a: &Embedding, b: &Embedding) -> f64 {
    (0..a.len()).map(|i| a.weights()[i] * naive_value(b, &row(a.points(), i))).sum()
}

/// The engine finds a distance from squared norms, so that of coincident points is about 1e-8 instead of 0, which
/// kernels with a kink there show.
fn assert_close(left: f64, right: f64, kernel: &str) {
    let kink = ["laplacian", "energy", "distance"].iter().any(|name| kernel.starts_with(name));
    let tolerance = if kink { 1e-9 } else { 1e-12 };
    assert!((left - right).abs() <= tolerance * right.abs().max(1.0), "{kernel}: {left} against {right}");
}

#[test]
fn products_and_values_agree_with_loops() {
    for kernel in KERNELS {
        let (a, b) = (embed(17, 1, true, kernel), embed(23, 2, false, kernel));
        let c = Embedding::combine(&[(0.7, &a), (-0.7, &b)]).unwrap();
        let inner = |x: &Embedding, y: &Embedding| x.inner(y, Precision::F64).unwrap();
        assert_close(inner(&a, &b), naive_inner(&a, &b), kernel);
        assert_close(inner(&c, &a), naive_inner(&c, &a), kernel);
        assert_close(a.norm2(Precision::F64).unwrap(), naive_inner(&a, &a), kernel);
        let mmd2 = naive_inner(&a, &a) + naive_inner(&b, &b) - 2.0 * naive_inner(&a, &b);
        assert_close(a.mmd2(&b, Precision::F64).unwrap(), mmd2, kernel);
        // ‖0.7 (μ − ν)‖² = 0.49 ‖μ − ν‖²
        assert_close(c.norm2(Precision::F64).unwrap(), 0.49 * mmd2, kernel);
        let at = points(5, 3);
        for (i, value) in c.value(&at, Precision::F64).unwrap().into_iter().enumerate() {
            assert_close(value, naive_value(&c, &row(&at, i)), kernel);
        }
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let at = points(4, 3);
    for kernel in KERNELS {
        let c = Embedding::combine(&[(1.0, &embed(9, 1, false, kernel)), (-1.0, &embed(8, 2, true, kernel))]).unwrap();
        let gradients = c.gradient(&at, Precision::F64).unwrap();
        for i in 0..4 {
            for j in 0..3 {
                let moved = |h: f64| {
                    let mut y = row(&at, i);
                    y[j] += h;
                    naive_value(&c, &y)
                };
                let difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((gradients[3 * i + j] - difference).abs() < 1e-7, "{kernel}");
            }
        }
    }
}

#[test]
fn merging_does_not_change_distances_by_a_bit() {
    let whole = embed(30, 5, false, "gaussian:sigma=1");
    let parts: Vec<Embedding> = (0..3)
        .map(|s| {
            let items: Vec<usize> = (0..30).filter(|i| i % 3 == s).collect();
            let points = points(30, 5).select(&items).unwrap();
            Embedding::of(&points, whole.kernel().clone()).unwrap()
        })
        .collect();
    let merged = Embedding::merge(&[&parts[2], &parts[0], &parts[1]]).unwrap();
    let other = embed(11, 6, true, "gaussian:sigma=1");
    let distance = |e: &Embedding| e.mmd2(&other, Precision::F64).unwrap().to_bits();
    assert_eq!(distance(&merged), distance(&whole));
}

#[test]
fn other_spaces_are_refused() {
    let (a, b) = (embed(3, 1, false, "linear"), embed(3, 1, false, "energy"));
    assert!(matches!(a.inner(&b, Precision::F64), Err(Error::Mismatch { field, .. }) if field == kme::Field::Kernel));
    assert!(matches!(a.mmd2(&b, Precision::F64), Err(Error::Mismatch { .. })));
    let line = Points::new(2, 1, Data::F64(vec![0.0, 1.0])).unwrap();
    assert!(a.value(&line, Precision::F64).is_err());
}

#[test]
fn the_distance_of_samples_keeps_its_digits_under_a_wide_kernel() {
    // Every value is 1 − tiny, and MMD² is that of the linear kernel over σ².
    let embed = |numbers: &[f64], text: &str| {
        let points = Points::new(numbers.len(), 1, Data::F64(numbers.to_vec())).unwrap();
        Embedding::of(&points, text.parse().unwrap()).unwrap()
    };
    let wide = |numbers: &[f64]| embed(numbers, "gaussian:sigma=1e5");
    let found = wide(&[0.0, 1.0, 0.5]).mmd2(&wide(&[1.0, 2.5]), Precision::F64).unwrap();
    assert!((found * 1e10 / 1.25_f64.powi(2) - 1.0).abs() < 1e-4, "{found}");
}
