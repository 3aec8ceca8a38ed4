//! Statistical claims of the tests: their level, their calibration, their power. Every repeat has its own seed.

use kme::rng::{Rng, stream};
use kme::{
    Blocks, Data, Estimator, Kernel, KernelSpec, KidSettings, Marginals, Permutations, Points, Precision, aggregated,
    block, collection, linear, median_distance, memorisation, three_sample, three_sample_asymptotic, two_sample,
};
use kme_testing::normal;
use rand::RngExt;
use rand_distr::Distribution;
use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF};

const REPEATS: u64 = 1000;

const KERNELS: [&str; 5] = [
    "gaussian:sigma=median",
    "laplacian:scale=1",
    "rq:alpha=0.2,0.5,1,2,5",
    "energy",
    "poly:degree=3,gamma=1/d,coef=1",
];

/// Points of one of four distributions: normal; in clusters of different widths; heavy tails; on a grid, with many
/// ties.
fn draw(distribution: usize, n: usize, d: usize, shift: f64, rng: &mut Rng) -> Points {
    let mut numbers = Vec::with_capacity(n * d);
    for _ in 0..n {
        let cluster = rng.random_range(0..4_u32);
        let scale = match distribution {
            1 => 0.2 * f64::from(1 << cluster),
            2 => 1.0 / (0.05 + normal(rng).abs()),
            _ => 1.0,
        };
        let centre = if distribution == 1 { 4.0 * f64::from(cluster) } else { 0.0 };
        for _ in 0..d {
            let x = centre + scale * normal(rng);
            numbers.push(shift + if distribution == 3 { x.round() } else { x });
        }
    }
    Points::new(n, d, Data::F64(numbers)).unwrap()
}

fn resolve(text: &str, x: &Points, y: &Points) -> Kernel {
    text.parse::<KernelSpec>().unwrap().resolve(x.dim(), || median_distance(&[x, y])).unwrap()
}

/// Whether the number of p-values that are at most 5 % is inside its band.
fn has_level(purpose: &str, p: impl Fn(u64, &mut Rng) -> f64 + Sync) {
    let rejects = |i: u64| {
        let p = p(i, &mut stream(i, purpose, 0));
        assert!(p > 0.0 && p <= 1.0, "{purpose}: p = {p}");
        u64::from(p <= 0.05)
    };
    let found: u64 = (0..REPEATS).into_par_iter().map(rejects).sum();
    // Between which 99 % of tests with this level fall.
    let law = Binomial::new(0.05, REPEATS).unwrap();
    let (low, high) = (law.inverse_cdf(0.005), law.inverse_cdf(0.995));
    println!("{purpose}: {found} of {REPEATS} rejected");
    assert!((low..=high).contains(&found), "{purpose}: {found} of {REPEATS}, not {low} to {high}");
}

fn permutations(count: usize, seed: u64) -> Permutations<'static> {
    Permutations { count, seed, ..Permutations::default() }
}

#[test]
fn the_permutation_test_has_its_level() {
    for text in KERNELS {
        for (estimator, d) in [(Estimator::Unbiased, 3), (Estimator::Biased, 10)] {
            has_level(&format!("permutation, {text}, {estimator}"), |i, rng| {
                let (x, y) = (draw(i as usize % 3, 14, d, 0.0, rng), draw(i as usize % 3, 21, d, 0.0, rng));
                two_sample(&resolve(text, &x, &y), &x, &y, estimator, &permutations(99, i)).unwrap().outcome.p_value
            });
        }
    }
}

#[test]
fn the_aggregated_test_has_its_level() {
    for text in [
        "default",
        "gaussian:sigma=0.1|gaussian:sigma=1|gaussian:sigma=10",
        "rq:alpha=0.2|rq:alpha=5|energy",
        "poly:degree=3,gamma=1/d,coef=1|linear",
    ] {
        has_level(&format!("aggregated, {text}"), |i, rng| {
            let (x, y) = (draw(i as usize % 3, 20, 2, 0.0, rng), draw(i as usize % 3, 15, 2, 0.0, rng));
            let kernels = match text {
                "default" => collection(&x, &y).unwrap(),
                _ => text.split('|').map(|t| resolve(t, &x, &y)).collect(),
            };
            aggregated(&kernels, &x, &y, &permutations(99, i)).unwrap().outcome.p_value
        });
    }
}

/// At the smallest size too, with heavy tails and with ties.
#[test]
fn the_linear_test_has_its_level() {
    for text in KERNELS {
        for (n, m) in [(600, 500), (30, 30)] {
            has_level(&format!("linear, {text}, {n} {m}"), |i, rng| {
                let law = i as usize % 4;
                let (x, y) = (draw(law, n, 2, 0.0, rng), draw(law, m, 2, 0.0, rng));
                let kernel = resolve(text, &x.select(&[0, 1, 2, 3, 4]).unwrap(), &y.select(&[0, 1, 2, 3, 4]).unwrap());
                linear(&kernel, &x, &y, &permutations(99, i)).unwrap().outcome.p_value
            });
        }
    }
}

#[test]
fn the_block_test_has_its_level() {
    for text in KERNELS {
        for (n, m, size) in [(300, 400, 10), (66, 44, 20)] {
            has_level(&format!("block, {text}, {n} {m} by {size}"), |i, rng| {
                // Not heavy tails: a few points decide there, many means are equal, and less is rejected.
                let law = [0, 1, 3][i as usize % 3];
                let (x, y) = (draw(law, n, 2, 0.0, rng), draw(law, m, 2, 0.0, rng));
                let blocks = Blocks::of_size(n, m, size).unwrap();
                block(&resolve(text, &x, &y), &x, &y, blocks, &permutations(99, i)).unwrap().outcome.p_value
            });
        }
    }
}

/// A cubic kernel on heavy tails, whose blocks are so skewed that the normal law rejects 12 % and more at level 5 %.
#[test]
fn skewed_blocks_keep_the_level() {
    let one = |i: u64| {
        let mut rng = stream(i, "skewed blocks", 0);
        let mut lognormal = |n: usize| {
            Points::new(n, 2, Data::F64((0..2 * n).map(|_| (1.5 * normal(&mut rng)).exp()).collect())).unwrap()
        };
        let (x, y) = (lognormal(400), lognormal(400));
        let blocks = Blocks::of_size(400, 400, 20).unwrap();
        u64::from(block(&Kernel::kid(2).unwrap(), &x, &y, blocks, &permutations(99, i)).unwrap().outcome.rejects(0.05))
    };
    let found: u64 = (0..REPEATS).into_par_iter().map(one).sum();
    println!("skewed blocks: {found} of {REPEATS} rejected");
    assert!(found <= Binomial::new(0.05, REPEATS).unwrap().inverse_cdf(0.999), "{found} of {REPEATS}");
}

#[test]
fn the_memorisation_test_has_its_level() {
    for distribution in 0..4 {
        for (train, held_out) in [(60, 40), (30, 50)] {
            has_level(&format!("memorisation, distribution {distribution}, {train} and {held_out}"), |i, rng| {
                let mut points = |n: usize| draw(distribution, n, 3, 0.0, rng);
                let (samples, train, held_out) = (points(50), points(train), points(held_out));
                memorisation(&samples, &train, &held_out, &permutations(99, i)).unwrap().outcome.p_value
            });
        }
    }
}

/// §14.14 of the published calibration: the variance, and the level 10 % under equal truth.
#[test]
fn the_three_sample_test_is_calibrated() {
    for (n, d, shift, repeats) in [(256, 16, 0.1, 600), (256, 16, 0.3, 600), (400, 64, 0.1, 300)] {
        let kernel = Kernel::kid(d).unwrap();
        let one = |i: u64| {
            let mut rng = stream(i, "calibration", n as u64);
            let (x, y, z) =
                (draw(0, n, d, 0.0, &mut rng), draw(0, n, d, shift, &mut rng), draw(0, n, d, shift, &mut rng));
            let marginals = |p: &Points| Marginals::new(&kernel, &x, p, Precision::F64).unwrap();
            let found = three_sample_asymptotic(&marginals(&y), &marginals(&z), 0.0).unwrap();
            (found.difference, found.variance, found.outcome.p_value)
        };
        let all: Vec<_> = (0..repeats).into_par_iter().map(one).collect();
        let count = repeats as f64;
        let empirical = all.iter().map(|(d, ..)| d * d).sum::<f64>() / count;
        let estimated = all.iter().map(|(_, v, _)| v).sum::<f64>() / count;
        let rejected = all.iter().filter(|(.., p)| *p < 0.1).count() as f64 / count;
        println!(
            "n {n}, d {d}, shift {shift}: variance {empirical:.3e} / {estimated:.3e}, {rejected:.3} rejected at 0.1"
        );
        assert!((empirical / estimated - 1.0).abs() < 0.2);
        assert!((0.06..0.14).contains(&rejected));
    }
}

#[test]
fn the_three_sample_test_finds_the_nearer_candidate() {
    let mut rng = stream(1, "nearer", 0);
    let (x, y, z) = (draw(0, 500, 8, 0.0, &mut rng), draw(0, 400, 8, 0.05, &mut rng), draw(0, 600, 8, 0.25, &mut rng));
    let kernel = Kernel::kid(8).unwrap();
    let found = three_sample(&kernel, &x, &y, &z, &Permutations::default()).unwrap();
    assert!(found.outcome.p_value < 2e-3, "{found:?}");
    let other = three_sample(&kernel, &x, &z, &y, &Permutations::default()).unwrap();
    assert!(other.outcome.p_value > 0.99 && other.difference == -found.difference, "{other:?}");
    // The published floor of the variance, in the units of features that are a hundred times smaller, hides it.
    let marginals = |p: &Points| Marginals::new(&kernel, &x, p, Precision::F64).unwrap();
    let floored = three_sample_asymptotic(&marginals(&y), &marginals(&z), 1.0).unwrap();
    assert!(floored.outcome.p_value > 0.1, "{floored:?}");
}

/// E(⟨X,Y⟩/d + 1)³ for X ~ N(a,I) and Y ~ N(b,I), from ⟨a,b⟩, ‖a‖² and ‖b‖².
fn mean_of_cubic(d: f64, ab: f64, aa: f64, bb: f64) -> f64 {
    let second = ab * ab + aa + bb + d;
    // ⟨X,Y⟩ given Y is N(⟨a,Y⟩, ‖Y‖²), whose third moment is ⟨a,Y⟩³ + 3⟨a,Y⟩‖Y‖².
    let third = ab.powi(3) + 3.0 * ab * aa + 3.0 * (ab * (bb + d) + 2.0 * ab);
    third / d.powi(3) + 3.0 * second / d.powi(2) + 3.0 * ab / d + 1.0
}

#[test]
fn the_standard_error_of_kid_covers_the_truth() {
    for (n, m, d, shift) in [(150, 150, 8, 0.3), (100, 250, 16, 0.2)] {
        let size = shift * shift * d as f64;
        let truth = mean_of_cubic(d as f64, 0.0, 0.0, 0.0) + mean_of_cubic(d as f64, size, size, size)
            - 2.0 * mean_of_cubic(d as f64, 0.0, 0.0, size);
        for (truth, shift) in [(truth, shift), (0.0, 0.0)] {
            let repeats = 4000;
            let one = |i: u64| {
                let mut rng = stream(i, "coverage", n as u64);
                let (x, y) = (draw(0, n, d, 0.0, &mut rng), draw(0, m, d, shift, &mut rng));
                let found = KidSettings::default().measure(&x, &y).unwrap();
                (found.value, found.standard_error.unwrap())
            };
            let all: Vec<(f64, f64)> = (0..repeats).into_par_iter().map(one).collect();
            let mean = all.iter().map(|(v, _)| v).sum::<f64>() / repeats as f64;
            let sd = (all.iter().map(|(v, _)| (v - mean).powi(2)).sum::<f64>() / repeats as f64).sqrt();
            let covered = all.iter().filter(|(v, e)| (v - truth).abs() <= 1.96 * e).count() as f64 / repeats as f64;
            println!("n {n}, m {m}, d {d}, shift {shift}: truth {truth:.5}, mean {mean:.5}, {covered:.4} covered");
            assert!((mean - truth).abs() < 4.0 * sd / (repeats as f64).sqrt());
            // For P = Q the standard error is the larger of two estimates: more is covered.
            let (low, high) = if shift > 0.0 { (0.935, 0.965) } else { (0.95, 1.0) };
            assert!((low..high).contains(&covered), "{covered}");
        }
    }
}

/// The grid of normal laws of Gretton et al. 2012: 5 × 5, 10 apart; in the second sample stretched by `ratio` along a
/// diagonal.
fn blobs(n: usize, ratio: f64, rng: &mut Rng) -> Points {
    let mut numbers = Vec::with_capacity(2 * n);
    for _ in 0..n {
        let mut centre = || 10.0 * f64::from(rng.random_range(0..5_u32));
        let (a, b) = (centre(), centre());
        let (u, v) = (ratio.sqrt() * normal(rng) / 2.0_f64.sqrt(), normal(rng) / 2.0_f64.sqrt());
        numbers.extend([a + u - v, b + u + v]);
    }
    Points::new(n, 2, Data::F64(numbers)).unwrap()
}

#[test]
fn the_aggregated_test_sees_blobs_and_the_median_heuristic_does_not() {
    let repeats = 100;
    let rates = |purpose: &str, ratio: f64| {
        let one = |i: u64| {
            let mut rng = stream(i, purpose, 0);
            let (x, y) = (blobs(250, 1.0, &mut rng), blobs(250, ratio, &mut rng));
            let permutations = permutations(99, i);
            let all = aggregated(&collection(&x, &y).unwrap(), &x, &y, &permutations).unwrap().outcome;
            let kernel = resolve("gaussian:sigma=median", &x, &y);
            let median = two_sample(&kernel, &x, &y, Estimator::Unbiased, &permutations).unwrap().outcome;
            [u64::from(all.rejects(0.05)), u64::from(median.rejects(0.05))]
        };
        let found: Vec<[u64; 2]> = (0..repeats).into_par_iter().map(one).collect();
        let rate = |j: usize| found.iter().map(|f| f[j]).sum::<u64>() as f64 / repeats as f64;
        println!("blobs, ratio {ratio}: aggregated {}, median heuristic {}", rate(0), rate(1));
        (rate(0), rate(1))
    };
    let (all, median) = rates("blobs", 6.0);
    assert!(all > 0.7 && median < 0.2, "{all} {median}");
    let (all, median) = rates("the same blobs", 1.0);
    assert!(all < 0.13 && median < 0.13, "{all} {median}");
}

/// Samples like features of pictures: rectified random projections of 12 hidden numbers.
fn features(n: usize, d: usize, rng: &mut Rng) -> Points {
    let mut projection = stream(0, "projection", d as u64);
    let projection: Vec<f64> = (0..12 * d).map(|_| normal(&mut projection)).collect();
    let mut numbers = Vec::with_capacity(n * d);
    for _ in 0..n {
        let hidden: Vec<f64> = (0..12).map(|_| normal(rng)).collect();
        numbers.extend((0..d).map(|j| {
            let value: f64 = hidden.iter().enumerate().map(|(k, h)| h * projection[k * d + j]).sum();
            (value + 0.3 * normal(rng)).max(0.0) as f32
        }));
    }
    Points::new(n, d, Data::F32(numbers)).unwrap()
}

/// `copies` of `n` samples are training points with noise of `noise` times the usual distance to the nearest of them.
fn with_copies(samples: Points, train: &Points, copies: usize, noise: f64, rng: &mut Rng) -> Points {
    if copies == 0 {
        return samples;
    }
    let d = samples.dim();
    let mut usual = kme::internal::nearest(&samples, train, 1, Precision::F32).unwrap().distances;
    usual.sort_by(f64::total_cmp);
    let scale = noise * usual[usual.len() / 2] / (d as f64).sqrt();
    let mut numbers = samples.into_data().into_f64();
    for i in 0..copies {
        let place = rng.random_range(0..train.len());
        for j in 0..d {
            numbers[i * d + j] = train.data().get(place * d + j) + scale * normal(rng);
        }
    }
    Points::new(numbers.len() / d, d, Data::F64(numbers)).unwrap()
}

#[test]
fn planted_copies_are_found_and_none_where_there_are_none() {
    for (d, train, held_out) in [(64, 2000, 2000), (64, 3000, 1000), (2048, 1500, 1000)] {
        for (copies, noise) in [(0, 0.0), (100, 0.0), (100, 0.3), (100, 0.6)] {
            let mut rng = stream(2, "planted", 0);
            let (train, held_out) = (features(train, d, &mut rng), features(held_out, d, &mut rng));
            let samples = with_copies(features(2000, d, &mut rng), &train, copies, noise, &mut rng);
            let permutations = Permutations { precision: Precision::F32, ..Permutations::default() };
            let found = memorisation(&samples, &train, &held_out, &permutations).unwrap();
            let what = format!("d {d}, {} and {}, {copies} copies, noise {noise}", found.train, found.held_out);
            let (p, number, error) = (found.outcome.p_value, found.copies, found.copies_standard_error.unwrap());
            println!("{what}: p {p}, {number:.0} ± {error:.0} copies, share {:.3}", found.outcome.statistic);
            assert_eq!(p <= 0.05, copies > 0, "{what}: {p}");
            assert!((number - copies as f64).abs() < 4.0 * error, "{what}: {number} ± {error}");
            if copies > 0 && noise == 0.0 {
                assert!(p == 0.001 && found.suspects.iter().all(|s| s.sample < 100), "{what}");
            }
        }
    }
}

/// Whether chance alone moves the number of copies as much as its error says, with heavy ties too.
#[test]
fn the_number_of_copies_has_its_error() {
    let poisson = rand_distr::Poisson::new(1.5).unwrap();
    let counts = |n: usize, d: usize, rng: &mut Rng| {
        Points::new(n, d, Data::F64((0..n * d).map(|_| poisson.sample(rng)).collect())).unwrap()
    };
    for (what, d, has_ties) in [("normal", 3, false), ("normal", 20, false), ("counts", 3, true), ("counts", 8, true)] {
        for (train, held_out) in [(200, 200), (250, 100)] {
            let one = |i: u64| {
                let mut rng = stream(i, what, (train + d) as u64);
                let mut draw = |n| if has_ties { counts(n, d, &mut rng) } else { draw(0, n, d, 0.0, &mut rng) };
                let (samples, train, held_out) = (draw(300), draw(train), draw(held_out));
                let found = memorisation(&samples, &train, &held_out, &permutations(9, i)).unwrap();
                (found.copies, found.copies_standard_error.unwrap())
            };
            let repeats = 400;
            let all: Vec<(f64, f64)> = (0..repeats).into_par_iter().map(one).collect();
            let mean = |f: &dyn Fn(&(f64, f64)) -> f64| all.iter().map(f).sum::<f64>() / repeats as f64;
            let (copies, error) = (mean(&|a| a.0), mean(&|a| a.1 * a.1).sqrt());
            let scatter = mean(&|a| (a.0 - copies).powi(2)).sqrt();
            println!(
                "{what}, d {d}, {train} and {held_out}: {copies:.2} copies, scatter {scatter:.2}, error {error:.2}"
            );
            assert!(copies.abs() < 0.3 * error && (0.75..1.35).contains(&(error / scatter)), "{what} {d}");
        }
    }
}
