//! The one-sided 95 % bounds of MMD² against the truth in closed form: how often they are on its wrong side.

use kme::rng::{Rng, stream};
use kme::{Data, Estimator, Kernel, Points, Precision, mmd2};
use rayon::prelude::*;
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

const D: usize = 3;

fn normal(n: usize, d: usize, shift: f64, rng: &mut Rng) -> Points {
    Points::new(n, d, Data::F64((0..n * d).map(|_| shift + kme_testing::normal(rng)).collect())).unwrap()
}

/// E k(X,Y) of the Gaussian kernel with σ = 2 for N(a,I) and N(b,I), ‖a−b‖² = `apart`.
fn gaussian(apart: f64) -> f64 {
    (4.0_f64 / 6.0).powf(D as f64 / 2.0) * (-apart / 12.0).exp()
}

/// E(⟨X,Y⟩/d + 1)³, from ⟨a,b⟩, ‖a‖² and ‖b‖².
fn cubic(ab: f64, aa: f64, bb: f64) -> f64 {
    let d = D as f64;
    let third = ab.powi(3) + 3.0 * ab * aa + 3.0 * (ab * (bb + d) + 2.0 * ab);
    third / d.powi(3) + 3.0 * (ab * ab + aa + bb + d) / d.powi(2) + 3.0 * ab / d + 1.0
}

/// E|N(shift,2)|
fn absolute(shift: f64) -> f64 {
    let s = 2.0_f64.sqrt();
    let (phi, law) = ((-shift * shift / 4.0).exp() / (2.0 * std::f64::consts::PI).sqrt(), Normal::standard());
    2.0 * s * phi + shift * (1.0 - 2.0 * law.cdf(-shift / s))
}

/// The kernel, its dimension, and MMD² of N(0,I) and N(shift·1,I).
fn cases(shift: f64) -> [(Kernel, usize, f64); 3] {
    let size = D as f64 * shift * shift;
    [
        ("gaussian:sigma=2".parse().unwrap(), D, 2.0 * (gaussian(0.0) - gaussian(size))),
        (Kernel::kid(D).unwrap(), D, cubic(0.0, 0.0, 0.0) + cubic(size, size, size) - 2.0 * cubic(0.0, 0.0, size)),
        ("energy".parse().unwrap(), 1, 2.0 * (absolute(shift) - absolute(0.0))),
    ]
}

/// How often of `repeats` the lower bound is above, and the upper bound below the truth; and the same of value ∓ 1.645
/// standard errors.
fn wrong(kernel: &Kernel, d: usize, truth: f64, [n, m]: [usize; 2], shift: f64, repeats: u64) -> [u64; 4] {
    let one = |i: u64| {
        let mut rng = stream(i, &format!("bounds {n} {m} {shift}"), 0);
        let (x, y) = (normal(n, d, 0.0, &mut rng), normal(m, d, shift, &mut rng));
        let found = mmd2(kernel, &x, &y, Estimator::Unbiased, Precision::F64).unwrap();
        let ([lower, upper], margin) = (found.bounds.unwrap(), 1.645 * found.standard_error.unwrap());
        assert!(lower <= found.value - 0.99 * margin && upper >= found.value + 0.99 * margin, "{found:?}");
        [lower > truth, upper < truth, found.value - margin > truth, found.value + margin < truth].map(u64::from)
    };
    let add = |a: [u64; 4], b: [u64; 4]| std::array::from_fn(|i| a[i] + b[i]);
    (0..repeats).into_par_iter().map(one).reduce(|| [0; 4], add)
}

#[test]
fn bounds_hold_at_95_percent() {
    let repeats = 1000;
    // What 99.9 % of bounds that hold stay below.
    let limit = Binomial::new(0.05, repeats).unwrap().inverse_cdf(0.999);
    for shift in [0.0, 0.2, 0.5] {
        for sizes in [[40, 120], [200, 50], [50, 50]] {
            for (kernel, d, truth) in cases(shift) {
                let [lower, upper, below, above] = wrong(&kernel, d, truth, sizes, shift, repeats);
                println!(
                    "{kernel}, {sizes:?}, shift {shift}: {lower} and {upper} wrong; by errors {below} and {above}"
                );
                assert!(
                    lower <= limit && upper <= limit,
                    "{kernel}, {sizes:?}, {shift}: {lower}, {upper} of {repeats}"
                );
            }
        }
    }
}

/// The bounds do not move with the bias: of samples of one law they hold 0.
#[test]
fn bounds_of_the_biased_estimator_are_those_of_the_unbiased_one() {
    let (repeats, n, m) = (400, 100, 60);
    let of = |d: usize, kernel: &Kernel, i: u64| {
        let mut rng = stream(i, "biased bounds", 0);
        let (x, y) = (normal(n, d, 0.0, &mut rng), normal(m, d, 0.0, &mut rng));
        let find = |estimator| mmd2(kernel, &x, &y, estimator, Precision::F64).unwrap();
        let (biased, unbiased) = (find(Estimator::Biased), find(Estimator::Unbiased));
        assert_eq!(biased.bounds, unbiased.bounds);
        assert!((biased.value - biased.bias.unwrap() - unbiased.value).abs() < 1e-12, "{biased:?}");
        assert_eq!(unbiased.bias, None);
        (biased.bounds.unwrap().map(|bound| u64::from(bound > 0.0)), biased.bias.unwrap())
    };
    for (d, text) in [(10, "gaussian:sigma=1"), (10, "energy"), (64, "gaussian:sigma=10")] {
        let kernel: Kernel = text.parse().unwrap();
        let all: Vec<([u64; 2], f64)> = (0..repeats).into_par_iter().map(|i| of(d, &kernel, i)).collect();
        let [lower, not_upper] = [0, 1].map(|j| all.iter().map(|(above, _)| above[j]).sum::<u64>());
        let limit = Binomial::new(0.05, repeats).unwrap().inverse_cdf(0.999);
        println!("{text}, d = {d}: lower {lower}, upper {} wrong of {repeats}", repeats - not_upper);
        assert!(lower <= limit && repeats - not_upper <= limit, "{text}: {lower}, {}", repeats - not_upper);
        if let Some(sigma) = text.strip_prefix("gaussian:sigma=") {
            // E k(x,x) − E k(x,x') of N(0,I), in closed form.
            let sigma = sigma.parse::<f64>().unwrap();
            let right = (1.0 - (sigma * sigma / (sigma * sigma + 2.0)).powf(d as f64 / 2.0))
                * (1.0 / n as f64 + 1.0 / m as f64);
            let mean = all.iter().map(|(_, bias)| bias).sum::<f64>() / repeats as f64;
            assert!((mean / right - 1.0).abs() < 0.01, "{text}: {mean} is not {right}");
        }
    }
}

#[test]
#[ignore = "a study: the table of docs/which-test.md"]
fn study_of_bounds_of_larger_samples() {
    for shift in [0.05, 0.1, 0.3] {
        for (kernel, d, truth) in cases(shift) {
            let found = wrong(&kernel, d, truth, [1000, 400], shift, 1000);
            println!("{kernel}, 1000 and 400, shift {shift}: {found:?} of 1000");
        }
    }
}
