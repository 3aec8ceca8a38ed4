//! Where there is no standard error there is a reason, and the right one.

use kme::rng::stream;
use kme::{
    Blocks, Data, Estimate, Estimator, Fitted, Kernel, NoStandardError as Reason, Permutations, Points, Precision,
    Protocol, Sample, Statistics, Subsets, mmd2,
};
use kme_testing::normals;

fn points(n: usize, d: usize, number: impl FnMut(usize) -> f64) -> Points {
    Points::new(n, d, Data::F64((0..n * d).map(number).collect())).unwrap()
}

fn normal(n: usize, d: usize, index: u64) -> Points {
    Points::new(n, d, Data::F64(normals(n * d, &mut stream(1, "missing errors", index)))).unwrap()
}

fn same(n: usize, value: f64) -> Points {
    points(n, 3, |_| value)
}

fn estimate(text: &str, x: &Points, y: &Points, estimator: Estimator) -> Estimate {
    mmd2(&text.parse::<Kernel>().unwrap(), x, y, estimator, Precision::F64).unwrap()
}

/// The unbiased MMD² of KID's kernel from what is left of it about the point a: with u = x − a, v = y − a, C = ⟨a,a⟩/d + 1,
/// α = ⟨u,a⟩/d, β = ⟨v,a⟩/d and w = ⟨u,v⟩/d, (C + α + β + w)³ less (C + α)³ + (C + β)³ − C³, which cancel, has no large terms.
fn kid_about(a: f64, x: &Points, y: &Points) -> f64 {
    let d = x.dim();
    let rows = |p: &Points| -> Vec<Vec<f64>> {
        (0..p.len()).map(|i| (0..d).map(|k| p.data().get(i * d + k) - a).collect()).collect()
    };
    let (x, y) = (rows(x), rows(y));
    let c = a * a + 1.0;
    let value = |u: &[f64], v: &[f64]| {
        let along = |u: &[f64]| a * u.iter().sum::<f64>() / d as f64;
        let (p, q) = (along(u), along(v));
        let w = u.iter().zip(v).map(|(u, v)| u * v).sum::<f64>() / d as f64;
        let s = c + p + q;
        3.0 * p * q * (2.0 * c + p + q) + 3.0 * s * w * (s + w) + w.powi(3)
    };
    let mean = |x: &[Vec<f64>], y: &[Vec<f64>], is_one: bool| {
        let pairs = (0..x.len()).flat_map(|i| (0..y.len()).map(move |j| (i, j))).filter(|(i, j)| !is_one || i != j);
        let values: Vec<f64> = pairs.map(|(i, j)| value(&x[i], &y[j])).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    mean(&x, &x, true) + mean(&y, &y, true) - 2.0 * mean(&x, &y, false)
}

/// KID far from the origin: (⟨x,y⟩/d + 1)³ is there so large that what the samples differ by is lost. Where there is an error, it
/// is larger than that of rounding.
#[test]
fn kid_far_from_the_origin() {
    let (mut told, mut right) = (0, 0);
    for (i, offset) in [0.0, 3.0, 100.0, 1e4, 1e5, 1e6, 1e7].into_iter().enumerate() {
        for (j, width) in [1e-3, 0.1, 1.0].into_iter().enumerate() {
            let sample = |k: u64, n: usize| {
                let z = normal(n, 3, 10 * (3 * i + j) as u64 + k);
                points(n, 3, |k| offset + width * (z.data().get(k)))
            };
            let (x, y) = (sample(0, 60), sample(1, 60));
            let whole = kme::KidSettings::default().measure(&x, &y).unwrap();
            let exact = kid_about(offset, &x, &y);
            match (whole.standard_error, whole.standard_error_missing) {
                (Some(error), None) => {
                    assert!((whole.value - exact).abs() < 0.1 * error, "{offset} {width}: {} {exact}", whole.value);
                    right += 1;
                }
                (None, Some(Reason::Rounding)) => told += 1,
                other => panic!("{offset} {width}: {other:?}"),
            }
        }
    }
    assert!(told >= 5 && right >= 8, "{told} told, {right} right");
}

#[test]
fn estimates_of_mmd2() {
    let (x, y) = (normal(30, 3, 0), normal(25, 3, 1));
    let few = x.select(&[0, 1, 2]).unwrap();
    let unbiased = Estimator::Unbiased;
    assert_eq!(estimate("energy", &x, &y, unbiased).standard_error_missing, None);
    assert_eq!(estimate("energy", &few, &y, unbiased).standard_error_missing, Some(Reason::FewPoints));
    assert_eq!(estimate("energy", &few, &y, Estimator::Linear).standard_error_missing, Some(Reason::FewPairs));
    // A point at 1e15 among others: each value of the kernel that it is in is rounded by 0.1.
    let far = points(30, 3, |i| if i < 3 { 1e15 } else { x.data().get(i) });
    assert_eq!(estimate("energy", &x, &far, unbiased).standard_error_missing, Some(Reason::Rounding));
    let huge = points(30, 3, |i| 1e70 * x.data().get(i));
    assert_eq!(estimate("1e20*linear", &huge, &huge, unbiased).standard_error_missing, Some(Reason::Overflow));
    // What rounding left of their scatter was taken for it: 1.12 ± 1e-8.
    for text in ["gaussian:sigma=1.35", "laplacian:scale=2", "energy", "poly:degree=3,gamma=1,coef=1"] {
        for estimator in [unbiased, Estimator::Biased] {
            let found = estimate(text, &same(50, 1.0), &same(40, 2.0), estimator);
            assert_eq!((found.standard_error, found.bounds), (None, None), "{text}");
            assert_eq!(found.standard_error_missing, Some(Reason::Coincide), "{text}");
        }
    }
    // One sample that scatters is enough.
    assert!(estimate("energy", &same(50, 1.0), &y, unbiased).standard_error.is_some());
    let weights = vec![1.0; 30];
    let weighted = Sample { points: x.view(), weights: Some(&weights) };
    let kernel: Kernel = "energy".parse().unwrap();
    let found = mmd2(&kernel, weighted, &y, unbiased, Precision::F64).unwrap();
    assert_eq!(found.standard_error_missing, Some(Reason::Weights));
}

/// There is an error, finite and above 0, or a reason, whatever the points.
#[test]
fn an_error_or_a_reason() {
    let mut seen = Vec::new();
    for i in 0..3000 {
        let mut rng = stream(7, "an error or a reason", i);
        let below = |n: u64| (i.wrapping_mul(2_654_435_761) / [1, 7, 49, 343][n as usize % 4]) % n;
        let (n, m, d) = (2 + below(5) as usize, 2 + below(6) as usize, 1 + below(3) as usize);
        let (kind, scale) = (below(4), [1e-120, 1e-3, 1.0, 1e8, 1e70][below(5) as usize]);
        let mut draw = |n: usize| {
            points(n, d, |j| {
                let x = kme_testing::normal(&mut rng);
                let number = match kind {
                    0 => x,
                    1 => x.round(),
                    2 if j < d => 1e12 * x,
                    2 => x,
                    _ => 5.0 + (x > 1.5) as u8 as f64,
                };
                number * scale
            })
        };
        let (x, y) = (draw(n), draw(m));
        for text in ["energy", "gaussian:sigma=1", "linear", "poly:degree=3,gamma=1,coef=1"] {
            for estimator in [Estimator::Unbiased, Estimator::Biased, Estimator::Linear] {
                let kernel: Kernel = text.parse().unwrap();
                let Ok(found) = mmd2(&kernel, &x, &y, estimator, Precision::F64) else { continue };
                let Estimate { standard_error, standard_error_missing, .. } = found;
                assert!(standard_error.is_some() != standard_error_missing.is_some(), "{i} {text} {estimator}");
                assert!(standard_error.is_none_or(|e| e > 0.0 && e.is_finite()), "{i} {text} {estimator}");
                seen.extend(standard_error_missing.filter(|reason| !seen.contains(reason)));
            }
        }
    }
    for reason in [Reason::FewPoints, Reason::FewPairs, Reason::Alike, Reason::Rounding, Reason::Coincide] {
        assert!(seen.contains(&reason), "{reason:?} is not in {seen:?}");
    }
}

#[test]
fn scores() {
    let (x, y) = (normal(60, 3, 2), normal(50, 3, 3));
    let kid = |size| {
        let subsets = Subsets { count: 5, size };
        kme::KidSettings { protocol: Protocol::Paper, subsets, ..kme::KidSettings::default() }
            .measure(&x, &y)
            .unwrap()
            .standard_error_missing
    };
    assert_eq!([kid(20), kid(3)], [None, Some(Reason::FewPoints)]);
    let statistics = || Fitted::of_statistics(Statistics::of_points(&x).unwrap()).unwrap();
    let both = statistics().distance(&statistics()).unwrap();
    assert_eq!(both.standard_error_missing, Some(Reason::Statistics));
    let one = statistics().distance(&Fitted::of_points(&y).unwrap()).unwrap();
    assert!(one.standard_error.is_some() && one.standard_error_missing.is_none());
    let constant = kme::fid(&same(20, 1.0), &same(30, 2.0)).unwrap();
    assert_eq!((constant.value, constant.standard_error_missing), (3.0, Some(Reason::Coincide)));
    let score = |points, splits| {
        let found = kme::inception_score(points, splits, Protocol::Full, None).unwrap();
        (found.standard_error.is_some(), found.standard_error_missing)
    };
    assert_eq!(score(&x, 10), (true, None));
    assert_eq!(score(&x, 1), (false, Some(Reason::OneSplit)));
    assert_eq!(score(&same(60, 1.0), 10), (false, Some(Reason::Alike)));
}

/// The score of points in balls by hand: closed for precision and recall, open for density and coverage.
#[test]
fn balls_around_copies() {
    // Precision: all candidates are in the balls, of radius 0, around the one point. 1.00 ± .99 was printed for a candidate
    // that lies in one ball only.
    let (one, x) = (same(20, 1.0), normal(30, 3, 4));
    for (reference, candidate, values) in [
        (&one, &one, [1.0, 1.0, 0.0, 0.0]),
        (&one, &same(25, 2.0), [0.0, 0.0, 0.0, 0.0]),
        (&one, &x, [0.0, 1.0, 0.0, 0.0]),
    ] {
        let found = kme::prdc(reference, candidate, 3).unwrap();
        let all = [found.precision, found.recall, found.density, found.coverage];
        assert!(all.iter().all(|m| m.standard_error_missing == Some(Reason::Coincide)), "{found:?}");
        if candidate.view().coincide() {
            assert_eq!(all.map(|m| m.value), values, "{found:?}");
        }
        assert_eq!(found.zero_radii[0], 20);
    }
    // Half of the points are copies of one: their balls, and no others, have radius 0.
    let half = points(40, 3, |i| if i < 60 { 0.25 } else { x.data().get(i % 60) });
    let found = kme::prdc(&half, &x, 3).unwrap();
    assert_eq!(found.zero_radii, [20, 0]);
    assert!(found.density.standard_error.is_some());
    // All count: there is no scatter, but the samples have some.
    let found = kme::prdc(&x, &x, 3).unwrap();
    assert_eq!((found.recall.value, found.recall.standard_error), (1.0, found.recall.standard_error));
    let none = kme::prdc(&x, &points(30, 3, |i| 1e3 + x.data().get(i)), 3).unwrap();
    assert_eq!((none.precision.value, none.precision.standard_error_missing), (0.0, Some(Reason::Alike)));
}

#[test]
fn tests() {
    let permutations = Permutations { count: 19, ..Permutations::default() };
    let kernel: Kernel = "gaussian:sigma=1".parse().unwrap();
    let found = kme::aggregated(std::slice::from_ref(&kernel), &same(9, 1.0), &same(9, 2.0), &permutations).unwrap();
    assert_eq!(found.components[0].standard_error_missing, Some(Reason::Coincide));
    let blocks = Blocks::of_size(60, 60, 3).unwrap();
    let (x, y) = (normal(60, 1, 5), normal(60, 1, 6));
    let found = kme::block(&kernel, &x, &y, blocks, &permutations).unwrap();
    assert!(found.standard_error.is_some() && found.standard_error_missing.is_none());
    let few = Blocks::of_size(6, 6, 3).unwrap();
    let some = |points: &Points| points.select(&[0, 1, 2, 3, 4, 5]).unwrap();
    let found = kme::block(&kernel, &some(&x), &some(&y), few, &permutations).unwrap();
    assert_eq!(found.standard_error_missing, Some(Reason::FewPoints));
    // Every sample is one point: which training point is near says nothing.
    let found = kme::memorisation(&same(15, 0.5), &normal(20, 3, 7), &normal(20, 3, 8), &permutations).unwrap();
    assert_eq!((found.copies_standard_error, found.tied), (None, 0));
    assert_eq!(found.copies_standard_error_missing, Some(Reason::Coincide));
    // Training and held-out points are one point each, and one the other: five ties at least around every sample.
    let found = kme::memorisation(&normal(15, 3, 9), &same(20, 0.5), &same(20, 0.5), &permutations).unwrap();
    assert_eq!((found.copies, found.tied), (0.0, 15));
    assert_eq!(found.copies_standard_error_missing, Some(Reason::Ties));
}
