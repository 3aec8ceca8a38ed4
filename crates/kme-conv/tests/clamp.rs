//! Bounds against their formula in both precisions, and derivatives.

use burn::tensor::{DType, Device, Tensor, TensorData};
use kme_conv::{Bounds, clamp, within};

fn tensor(values: &[f64], dtype: DType) -> Tensor<1> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len()]), (&Device::flex(), dtype))
}

fn values(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

#[test]
fn bounds_are_their_formula() {
    // More than one task's numbers.
    let x: Vec<f64> = (0..40_000).map(|i| f64::from(i % 97) / 4.0 - 8.0).collect();
    let y: Vec<f64> = (0..40_000).map(|i| f64::from(i % 31) - 15.0).collect();
    for (least, most) in [(0.0, 6.0), (0.0, f64::INFINITY), (-2.5, 1.25)] {
        let bounds = Bounds { least, most };
        let held: Vec<f64> = x.iter().map(|x| x.max(least).min(most)).collect();
        let kept: Vec<f64> = x.iter().zip(&y).map(|(&x, &y)| if x > least && x < most { y } else { 0.0 }).collect();
        for dtype in [DType::F32, DType::F64] {
            let (x, y) = (tensor(&x, dtype), tensor(&y, dtype));
            assert_eq!(values(clamp(x.clone(), bounds)), held);
            assert_eq!(values(within(x.clone(), y.clone(), bounds)), kept);
            // ⟨y, clamp(x)⟩ has the gradient within(x, y), and so has ⟨y, within(x, ·)⟩.
            let leaf = x.clone().autodiff().require_grad();
            let gradient = (clamp(leaf.clone(), bounds) * y.clone().autodiff()).sum().backward();
            assert_eq!(values(leaf.grad(&gradient).unwrap()), kept);
            let leaf = y.clone().autodiff().require_grad();
            let gradient = (within(x.autodiff(), leaf.clone(), bounds) * y.autodiff()).sum().backward();
            assert_eq!(values(leaf.grad(&gradient).unwrap()), kept);
        }
    }
}

#[test]
fn zeros_have_no_sign_and_what_is_no_number_stays_none() {
    let found = values(clamp(tensor(&[-0.0, f64::NAN, -1.0], DType::F32), Bounds { least: 0.0, most: f64::INFINITY }));
    assert!(found[0].is_sign_positive() && found[1].is_nan() && found[2] == 0.0, "{found:?}");
}
