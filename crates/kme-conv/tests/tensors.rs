//! The operations on tensors and their derivatives: in single precision (these kernels) against double precision (burn's own).

use burn::tensor::{DType, Device, Tensor, TensorData};
use kme_conv::{conv_transpose2d, conv2d, conv2d_weight, gate, leaky_relu};

const STRIDE: [usize; 2] = [2, 1];
const PADDING: [usize; 2] = [1, 2];
const KERNEL: [usize; 2] = [3, 4];

fn numbers<const D: usize>(shape: [usize; D], seed: f64, dtype: DType) -> Tensor<D> {
    let n = shape.iter().product::<usize>();
    let values: Vec<f64> = (0..n).map(|i| (i as f64 * 0.83 + seed).sin()).collect();
    Tensor::from_data(TensorData::new(values, shape), (&Device::flex(), dtype))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_to_vec().unwrap()
}

/// Everything that comes out: values and gradients.
fn outputs(dtype: DType) -> Vec<(&'static str, Vec<f64>)> {
    let tracked = |t: Tensor<4>| t.autodiff().require_grad();
    let mut all = Vec::new();

    // Images with a height that the stride does not divide, so that the transposed convolution needs output padding.
    let x = tracked(numbers([3, 5, 10, 9], 0.1, dtype));
    let w = tracked(numbers([7, 5, 3, 4], 0.2, dtype));
    let bias = numbers([7], 0.3, dtype).autodiff().require_grad();
    let y = conv2d(x.clone(), w.clone(), Some(bias.clone()), STRIDE, PADDING);
    all.push(("forward", values(y.clone().inner())));
    let gradients = (y.clone() * y).sum().backward();
    all.push(("forward: x", values(x.grad(&gradients).unwrap())));
    all.push(("forward: w", values(w.grad(&gradients).unwrap())));
    all.push(("forward: bias", values(bias.grad(&gradients).unwrap())));

    let y = tracked(numbers([3, 7, 5, 10], 0.4, dtype));
    let bias = numbers([5], 0.5, dtype).autodiff().require_grad();
    let x = conv_transpose2d(y.clone(), w.clone(), Some(bias.clone()), STRIDE, PADDING, [1, 0]);
    all.push(("transposed", values(x.clone().inner())));
    let gradients = (x.clone() * x).sum().backward();
    all.push(("transposed: y", values(y.grad(&gradients).unwrap())));
    all.push(("transposed: w", values(w.grad(&gradients).unwrap())));
    all.push(("transposed: bias", values(bias.grad(&gradients).unwrap())));

    let x = tracked(numbers([3, 5, 10, 9], 0.6, dtype));
    let dw = conv2d_weight(x.clone(), y.clone(), KERNEL, STRIDE, PADDING);
    all.push(("weight", values(dw.clone().inner())));
    let gradients = (dw.clone() * dw).sum().backward();
    all.push(("weight: x", values(x.grad(&gradients).unwrap())));
    all.push(("weight: y", values(y.grad(&gradients).unwrap())));

    let x = tracked(numbers([3, 5, 10, 9], 0.8, dtype));
    let y = tracked(numbers([3, 5, 10, 9], 0.9, dtype));
    let rectified = leaky_relu(x.clone(), 0.2);
    all.push(("leaky relu", values(rectified.clone().inner())));
    let gated = gate(x.clone(), y.clone(), 0.2);
    all.push(("gate", values(gated.clone().inner())));
    let gradients = (rectified.clone() * rectified + gated.clone() * gated).sum().backward();
    all.push(("leaky relu: x", values(x.grad(&gradients).unwrap())));
    all.push(("gate: y", values(y.grad(&gradients).unwrap())));

    // A tensor that is a view with other strides.
    let turned = numbers([5, 3, 10, 9], 0.7, dtype).swap_dims(0, 1);
    all.push(("view", values(conv2d(turned, numbers([7, 5, 3, 4], 0.2, dtype), None, STRIDE, PADDING))));
    all
}

#[test]
fn single_precision_agrees_with_double() {
    for ((name, single), (_, double)) in outputs(DType::F32).into_iter().zip(outputs(DType::F64)) {
        assert_eq!(single.len(), double.len(), "{name}");
        let scale = double.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let worst = single.iter().zip(&double).fold(0.0f64, |a, (s, d)| a.max((s - d).abs()));
        assert!(scale > 0.1 && worst <= 1e-5 * scale, "{name}: {worst:e} of {scale:e}");
    }
}

/// The gradient of an input gradient: what a gradient penalty needs.
#[test]
fn penalty_gradients_agree_with_double_precision() {
    let gradient = |dtype| {
        let x = numbers([2, 3, 9, 9], 0.1, dtype);
        let w = numbers([4, 3, 3, 3], 0.2, dtype).autodiff().require_grad();
        let y = conv2d(x.autodiff(), w.clone(), None, [2, 2], [1, 1]);
        // The pullback of Σ y³/3 through the convolution, as an expression.
        let back = conv_transpose2d(y.clone() * y, w.clone(), None, [2, 2], [1, 1], [0, 0]);
        let gradients = (back.clone() * back).sum().backward();
        values(w.grad(&gradients).unwrap())
    };
    let (single, double) = (gradient(DType::F32), gradient(DType::F64));
    let scale = double.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    let worst = single.iter().zip(&double).fold(0.0f64, |a, (s, d)| a.max((s - d).abs()));
    assert!(scale > 1.0 && worst <= 1e-5 * scale, "{worst:e} of {scale:e}");
}

#[test]
fn rectifiers_are_burns_to_the_bit() {
    let x = numbers([3, 50_000], 0.4, DType::F32).slice([0..3, 7..40_000]);
    assert_eq!(values(leaky_relu(x.clone(), 0.2)), values(burn::tensor::activation::leaky_relu(x.clone(), 0.2)));
    let y = numbers([3, 39_993], 0.5, DType::F32);
    let expected = y.clone().mask_where(x.clone().lower_elem(0.0), y.clone() * 0.3);
    assert_eq!(values(gate(x, y, 0.3)), values(expected));
    let edge = Tensor::<1>::from_floats([0.0, -0.0, f32::NAN, -f32::INFINITY], &Device::flex());
    let kept = values(gate(edge, Tensor::from_floats([1.0, 2.0, 3.0, 4.0], &Device::flex()), 0.5));
    assert_eq!(kept, [1.0, 2.0, 3.0, 2.0]);
}

#[test]
#[should_panic(expected = "a convolution of [1, 3, 4, 4] with [2, 4, 3, 3]")]
fn channels_must_fit() {
    let _ =
        conv2d(numbers([1, 3, 4, 4], 0.0, DType::F32), numbers([2, 4, 3, 3], 0.0, DType::F32), None, [1, 1], [0, 0]);
}
