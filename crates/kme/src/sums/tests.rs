//! The engine against naive loops.

use super::*;
use crate::kernel::Pair;
use crate::points::Data;
use rand_distr::{Distribution, StandardNormal};

const KERNELS: [&str; 16] = [
    "linear",
    "poly:degree=1,gamma=0.5,coef=1",
    "poly:degree=2,gamma=1,coef=0",
    "poly:degree=3,gamma=0.1,coef=1",
    "poly:degree=4,5,gamma=0.1,coef=1",
    "gaussian:sigma=2",
    "gaussian:sigma=2,5,10,20,40,80",
    "rq:alpha=0.2,0.5,1,2,5",
    "rq:alpha=0.7,1.5,3,50",
    "rq:alpha=0.2,0.5,1,2,5+linear",
    "laplacian:scale=3",
    "imq:c=0.7",
    "energy",
    "energy:a=1e-6",
    "distance",
    "0.5*energy:a=0.3+2*poly:degree=2,gamma=0.2,coef=0.1+distance",
];

fn sample(n: usize, d: usize, seed: u64) -> Points {
    let mut rng = crate::rng::stream(seed, "sums", 0);
    let offset = 0.3 * seed as f64;
    Points::new(n, d, Data::F64((0..n * d).map(|_| offset + rng_normal(&mut rng)).collect())).unwrap()
}

fn rng_normal(rng: &mut crate::rng::Rng) -> f64 {
    StandardNormal.sample(rng)
}

fn weights_of(n: usize) -> Vec<f64> {
    (0..n).map(|i| 0.2 + (i as f64).sin()).collect()
}

fn row(p: &Points, i: usize) -> Vec<f64> {
    let d = p.dim();
    match p.data() {
        Data::F64(v) => v[i * d..(i + 1) * d].to_vec(),
        Data::F32(v) => v[i * d..(i + 1) * d].iter().map(|&x| f64::from(x)).collect(),
    }
}

/// K by a plain loop; distances are taken from differences, so nothing cancels.
fn naive(kernel: &Kernel, x: &Points, y: &Points) -> Vec<Vec<f64>> {
    (0..x.len())
        .map(|i| {
            (0..y.len())
                .map(|j| {
                    let (x, y) = (row(x, i), row(y, j));
                    if kernel.is_radial() {
                        let difference: Vec<f64> = x.iter().zip(&y).map(|(x, y)| x - y).collect();
                        return kernel.value(&Pair::of(&difference, &vec![0.0; x.len()]));
                    }
                    kernel.value(&Pair::of(&x, &y))
                })
                .collect()
        })
        .collect()
}

fn close(found: f64, right: f64, scale: f64, tolerance: f64, what: &str) {
    assert!((found - right).abs() <= tolerance * scale, "{what}: {found} is not {right}");
}

fn agree(found: &[f64], right: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), right.len(), "{what}");
    let scale = right.iter().fold(0.0_f64, |m, x| m.max(x.abs()));
    for (found, right) in found.iter().zip(right) {
        close(*found, *right, scale, tolerance, what);
    }
}

/// All operations for one kernel and sizes that are no multiples of anything.
fn check(kernel: &Kernel, x: &Points, y: &Points, precision: Precision, tolerance: f64) {
    let (n, m) = (x.len(), y.len());
    let (u, v) = (weights_of(n), weights_of(m));
    let (kxy, kxx) = (naive(kernel, x, y), naive(kernel, x, x));
    let absolute = |k: &[Vec<f64>]| k.iter().flatten().map(|k| k.abs()).sum::<f64>();

    let total: f64 = kxy.iter().zip(&u).map(|(k, u)| k.iter().zip(&v).map(|(k, v)| k * u * v).sum::<f64>()).sum();
    let found = cross(kernel, x, Some(&u), y, Some(&v), precision).unwrap();
    close(found, total, absolute(&kxy), tolerance, &format!("cross {kernel}"));

    let off: f64 = (0..n)
        .flat_map(|i| (0..n).filter(move |&j| j != i).map(move |j| (i, j)))
        .map(|(i, j)| kxx[i][j] * u[i] * u[j])
        .sum();
    let on: f64 = (0..n).map(|i| kxx[i][i] * u[i] * u[i]).sum();
    let found = within(kernel, x, Some(&u), precision).unwrap();
    close(found.off_diagonal, off, absolute(&kxx), tolerance, &format!("within {kernel}"));
    close(found.diagonal, on, on.abs(), tolerance, &format!("diagonal {kernel}"));

    let right: Vec<f64> = kxy.iter().map(|k| k.iter().zip(&v).map(|(k, v)| k * v).sum()).collect();
    agree(&rows(kernel, x, y, Some(&v), precision).unwrap(), &right, tolerance, &format!("rows {kernel}"));

    let found = cross_marginals(kernel, x, y, precision).unwrap();
    agree(
        &found.rows,
        &kxy.iter().map(|k| k.iter().sum()).collect::<Vec<f64>>(),
        tolerance,
        &format!("row sums {kernel}"),
    );
    let columns: Vec<f64> = (0..m).map(|j| kxy.iter().map(|k| k[j]).sum()).collect();
    agree(&found.columns, &columns, tolerance, &format!("column sums {kernel}"));
    let squares: f64 = kxy.iter().flatten().map(|k| k * k).sum();
    close(found.squares, squares, squares, 2.0 * tolerance, &format!("squares {kernel}"));

    let found = within_marginals(kernel, x, precision).unwrap();
    let right: Vec<f64> = (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| kxx[i][j]).sum()).collect();
    agree(&found.rows, &right, tolerance, &format!("row sums within {kernel}"));
    agree(&found.diagonal, &(0..n).map(|i| kxx[i][i]).collect::<Vec<_>>(), tolerance, &format!("diagonal {kernel}"));
    let squares: f64 = (0..n).map(|i| (0..n).filter(|&j| j != i).map(|j| kxx[i][j].powi(2)).sum::<f64>()).sum();
    close(found.squares, squares, squares, 2.0 * tolerance, &format!("squares within {kernel}"));

    let mut right = Vec::new();
    for i in 0..n {
        let x = row(x, i);
        let mut gradient = vec![0.0; x.len()];
        for (j, v) in v.iter().enumerate() {
            let y = row(y, j);
            let slope = kernel.slope(&Pair::of(&x, &y));
            for (g, (x, y)) in gradient.iter_mut().zip(x.iter().zip(&y)) {
                *g += v * (slope.dot * y + 2.0 * slope.xx * x);
            }
        }
        right.extend(gradient);
    }
    let found = gradients(kernel, x, y, Some(&v), precision).unwrap();
    agree(&found, &right, 20.0 * tolerance, &format!("gradients {kernel}"));
}

#[test]
fn every_kernel_equals_the_naive_loop() {
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        check(&kernel, &sample(37, 5, 0), &sample(21, 5, 1), Precision::F64, 1e-12);
        check(&kernel, &sample(300, 3, 1), &sample(530, 3, 2), Precision::F64, 1e-11);
        check(&kernel, &sample(3, 70, 0), &sample(1, 70, 1), Precision::F64, 1e-11);
        check(&kernel, &sample(45, 9, 0), &sample(30, 9, 1), Precision::F32, 2e-5);
    }
}
