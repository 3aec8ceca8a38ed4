//! Squared distances and weighted differences against loops in both precisions, and their derivatives.

use burn::tensor::{DType, Device, Tensor, TensorData};
use kme_conv::{squared_distances, weighted_differences};

fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from((state >> 40) as u32) / f64::from(1_u32 << 24) - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn tensor(values: &[f64], d: usize, dtype: DType) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / d, d]), (&Device::flex(), dtype))
}

fn values(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[track_caller]
fn close(found: Tensor<2>, right: &[f64], error: f64) {
    let found = values(found);
    let largest = right.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
    assert_eq!(found.len(), right.len());
    for (found, right) in found.iter().zip(right) {
        assert!((found - right).abs() <= error * largest, "{found} is not {right}");
    }
}

/// The last of these has rows of more than one block, the one before it more than one block of rows.
const SIZES: [[usize; 3]; 5] = [[1, 1, 1], [3, 5, 2], [7, 4, 33], [30, 50, 4000], [2, 3, 3_000_000]];

#[test]
fn operations_and_their_derivatives_are_loops() {
    for [n, m, d] in SIZES {
        for (dtype, ulp) in [(DType::F32, f64::from(f32::EPSILON)), (DType::F64, f64::EPSILON)] {
            // Two clusters so far apart that inner products would leave nothing of distances within.
            let lie = |count: usize, seed: u64| -> Vec<f64> {
                let mut x = numbers(count * d, seed);
                for row in x.chunks_exact_mut(d).step_by(2) {
                    row[0] += 1e6;
                }
                x.iter().map(|x| f64::from(*x as f32)).collect()
            };
            let error = (100 + d) as f64 * ulp;
            let (x, y) = (lie(n, 1), lie(m, 2));
            let weights: Vec<f64> = numbers(n * m, 3).iter().map(|a| f64::from(*a as f32)).collect();
            let cotangent: Vec<f64> = numbers(n * d, 4).iter().map(|c| f64::from(*c as f32)).collect();
            let (mut squares, mut sums) = (vec![0.0; n * m], vec![0.0; n * d]);
            let (mut to_x, mut to_y) = (vec![0.0; n * d], vec![0.0; m * d]);
            let (mut along, mut by_x, mut by_y) = (vec![0.0; n * m], vec![0.0; n * d], vec![0.0; m * d]);
            for i in 0..n {
                for j in 0..m {
                    let (p, a) = (i * m + j, weights[i * m + j]);
                    for k in 0..d {
                        let apart = x[i * d + k] - y[j * d + k];
                        squares[p] += apart * apart;
                        sums[i * d + k] += a * apart;
                        to_x[i * d + k] += 2.0 * a * apart;
                        to_y[j * d + k] -= 2.0 * a * apart;
                        along[p] += cotangent[i * d + k] * apart;
                        by_x[i * d + k] += cotangent[i * d + k] * a;
                        by_y[j * d + k] -= cotangent[i * d + k] * a;
                    }
                }
            }
            let [a, c] = [tensor(&weights, m, dtype), tensor(&cotangent, d, dtype)];
            let leaf = |t: &Tensor<2>| t.clone().autodiff().require_grad();
            let (x, y) = (leaf(&tensor(&x, d, dtype)), leaf(&tensor(&y, d, dtype)));
            let found = squared_distances(x.clone(), y.clone());
            let gradients = (found.clone() * a.clone().autodiff()).sum().backward();
            // Every distance to its own size, not to the largest.
            for (found, right) in values(found.inner()).iter().zip(&squares) {
                assert!((found - right).abs() <= (d as f64 + 2.0) * ulp * right, "{found} is not {right}");
            }
            close(x.grad(&gradients).unwrap(), &to_x, error);
            close(y.grad(&gradients).unwrap(), &to_y, error);

            let a = leaf(&a);
            let found = weighted_differences(a.clone(), x.clone(), y.clone());
            let gradients = (found.clone() * c.autodiff()).sum().backward();
            close(found.inner(), &sums, error);
            close(a.grad(&gradients).unwrap(), &along, error);
            close(x.grad(&gradients).unwrap(), &by_x, error);
            close(y.grad(&gradients).unwrap(), &by_y, error);
        }
    }
}

#[test]
fn copies_have_distance_and_derivative_zero() {
    let x = tensor(&[1e9, 3.0, 1e9, 3.0], 2, DType::F32).autodiff().require_grad();
    let squares = squared_distances(x.clone(), x.clone());
    assert_eq!(values(squares.clone().inner()), [0.0; 4]);
    assert_eq!(values(x.grad(&squares.sum().backward()).unwrap()), [0.0; 4]);
}
