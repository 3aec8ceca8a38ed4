//! Σᵢⱼ (⟨xᵢ,yⱼ⟩ + b)² without the Gram matrix: the corrected equation (A.2) of the thesis, and the printed one.
//!
//! The points and the four numbers come from `golden/quadratic_sums.py`.

use kme::internal::sums::{cross, rows};
use kme::{Kernel, Points, Precision};

const B: f64 = 1.3;

fn points(name: &str) -> Points {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/quadratic_sums");
    Points::read(format!("{folder}/{name}.npy")).unwrap()
}

fn row(p: &Points, i: usize) -> Vec<f64> {
    (0..4).map(|k| p.data().get(4 * i + k)).collect()
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// XᵀY, shape (4, 4).
fn product(x: &Points, y: &Points) -> Vec<f64> {
    let entry = |k: usize| (0..x.len()).map(|i| row(x, i)[k / 4] * row(y, i)[k % 4]).sum();
    (0..16).map(entry).collect()
}

fn total(x: &Points) -> Vec<f64> {
    (0..4).map(|k| (0..x.len()).map(|i| row(x, i)[k]).sum()).collect()
}

fn check(name: &str, found: f64, right: f64) {
    assert!((found - right).abs() < 5e-5, "{name}: {found} is not {right}");
}

#[test]
fn the_corrected_equation_and_the_printed_one() {
    let (x, y, z) = (points("x"), points("y"), points("z"));
    let kernel: Kernel = "poly:degree=2,gamma=1,coef=1.3".parse().unwrap();
    for (name, other, right) in [("n = m", &y, 243.3342), ("n < m", &z, 357.6046)] {
        check(name, cross(&kernel, &x, None, other, None, Precision::F64).unwrap(), right);
        check(name, rows(&kernel, &x, other, None, Precision::F64).unwrap().iter().sum(), right);
        let moments = dot(&product(&x, &x), &product(other, other))
            + 2.0 * B * dot(&total(&x), &total(other))
            + (x.len() * other.len()) as f64 * B * B;
        check(name, moments, right);
    }
    // What the thesis prints: ‖XYᵀ + bI‖²_F, and then ‖XᵀY‖²_F with the bias on the diagonal alone.
    let mut first = 0.0;
    let mut diagonal = 0.0;
    for i in 0..7 {
        diagonal += dot(&row(&x, i), &row(&y, i));
        for j in 0..7 {
            first += (dot(&row(&x, i), &row(&y, j)) + if i == j { B } else { 0.0 }).powi(2);
        }
    }
    check("the first line as printed", first, 178.8581);
    let mixed = product(&x, &y);
    check("the last line as printed", dot(&mixed, &mixed) + 2.0 * B * diagonal + 7.0 * B * B, 142.4538);
}
