//! What the tests and benches of several crates need. It depends on none of these crates.
//!
//! * [`normal`], [`normals`]: normal numbers from a seeded generator, such as `kme::rng::stream` gives.
//! * [`Lcg`]: numbers that a Python script makes as well, or that no library may change.
//! * [`relative`], [`apart`], [`largest`]: how far numbers are apart.
//! * [`mean_and_deviation`]: of what a test has found in repeats.
//! * [`eigenvalues`]: of a symmetric matrix, without a library.
//! * [`made_up`]: weights of known networks, and what PyTorch computes with them.

pub mod made_up;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

/// The next standard normal number.
pub fn normal(rng: &mut impl Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// The next `count` standard normal numbers.
pub fn normals(count: usize, rng: &mut impl Rng) -> Vec<f64> {
    (0..count).map(|_| normal(rng)).collect()
}

/// A linear congruential generator, by its state: state ← 6364136223846793005·state + 1442695040888963407 modulo 2⁶⁴.
pub struct Lcg(pub u64);

impl Lcg {
    /// One whose state is mixed from a small number.
    pub fn of_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1))
    }

    /// A number in [0, 1): the upper `bits` (1 to 53) of the next state.
    pub fn uniform(&mut self, bits: u32) -> f64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> (64 - bits)) as f64 / (1_u64 << bits) as f64
    }

    /// `count` nearly normal numbers: each is the sum of twelve uniform ones, less 6.
    pub fn normals(&mut self, count: usize, bits: u32) -> Vec<f64> {
        (0..count).map(|_| (0..12).map(|_| self.uniform(bits)).sum::<f64>() - 6.0).collect()
    }
}

/// |a − b| in units of the larger of the two, or of `floor` where that is larger still.
pub fn relative(a: f64, b: f64, floor: f64) -> f64 {
    (a - b).abs() / a.abs().max(b.abs()).max(floor)
}

/// The largest |xᵢ|.
pub fn largest(numbers: &[f64]) -> f64 {
    numbers.iter().fold(0.0, |most, x| x.abs().max(most))
}

/// The largest difference over the largest number that is expected.
///
/// # Panics
/// Where the two are not of one length, or all that is expected is 0.
pub fn apart(found: &[f64], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(largest(expected) > 0.0, "nothing to compare with");
    let difference: Vec<f64> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    largest(&difference) / largest(expected)
}

/// The mean of the values, and their standard deviation (over n − 1).
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
}

/// The eigenvalues of a symmetric matrix by cyclic Jacobi rotations, in no order.
pub fn eigenvalues(mut a: Vec<Vec<f64>>) -> Vec<f64> {
    let n = a.len();
    for _ in 0..60 {
        for p in 0..n {
            for q in p + 1..n {
                if a[p][q].abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q][q] - a[p][p]) / (2.0 * a[p][q]);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in &mut a {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                let (above, below) = a.split_at_mut(q);
                for (x, y) in above[p].iter_mut().zip(&mut below[0]) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
            }
        }
    }
    (0..n).map(|i| a[i][i]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jacobi_finds_known_eigenvalues() {
        let mut found = eigenvalues(vec![vec![2.0, 1.0, 0.0], vec![1.0, 2.0, 1.0], vec![0.0, 1.0, 2.0]]);
        found.sort_by(f64::total_cmp);
        for (found, right) in found.iter().zip([2.0 - 2.0_f64.sqrt(), 2.0, 2.0 + 2.0_f64.sqrt()]) {
            assert!((found - right).abs() < 1e-14);
        }
    }

    #[test]
    fn distances_are_relative_to_what_is_expected() {
        assert_eq!(apart(&[1.0, -3.0], &[1.0, -4.0]), 0.25);
        assert_eq!((relative(2.0, 4.0, 1e-3), relative(2e-6, 1e-6, 1e-3)), (0.5, 1e-6 / 1e-3));
        assert_eq!(mean_and_deviation(&[1.0, 2.0, 3.0]), (2.0, 1.0));
    }

    #[test]
    fn twelve_uniform_numbers_are_nearly_normal() {
        let (mean, deviation) = mean_and_deviation(&Lcg::of_seed(3).normals(100_000, 53));
        assert!(mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.02, "{mean} ± {deviation}");
    }
}
