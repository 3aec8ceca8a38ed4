//! Elementwise nonlinearities.

use super::{Differentiable, Mode, Params, Run, Saved, Shape};
use crate::net::param::Spec;
use burn::tensor::{Tensor, activation};
use kme::Result;
use kme_conv::{Bounds, clamp, within};
use serde::{Deserialize, Serialize};

/// max(x, 0) + slope · min(x, 0). Its second derivative is zero almost everywhere, so the pullback's mask is a constant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// Factor of negative numbers, such as 0.2.
    pub slope: f64,
}

/// max(x, 0).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

/// min(max(x, least), most): ReLU6 with 0 and 6. The derivative at either end is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    /// The lower bound.
    pub least: f64,
    /// The upper bound, above the lower one.
    pub most: f64,
}

/// 1 / (1 + exp(−x)): pixels in (0, 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

/// tanh(x): pixels in (−1, 1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tanh {}

impl Clamp {
    fn bounds(&self) -> Bounds {
        Bounds { least: self.least, most: self.most }
    }
}

impl Differentiable for Clamp {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if self.least < self.most {
            return Ok(input);
        }
        let bounds = format!("{} to {}", self.least, self.most);
        Err(kme::Error::value("range of layer clamp", bounds, "a lower bound below an upper one"))
    }

    fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let y = clamp(input, self.bounds());
        let saved = run.kept(|| Saved::Output(y.clone()));
        (y, saved)
    }

    fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let Saved::Output(y) = saved else { unreachable!("clamp saves its output") };
        // The output lies between the bounds exactly where the input does.
        within(y.clone(), cotangent, self.bounds())
    }
}

/// Implements a layer without parameters that keeps the shape.
macro_rules! elementwise {
    ($name:ident, $forward:expr, $pullback:expr) => {
        impl Differentiable for $name {
            fn specs(&self, _: &str) -> Vec<Spec> {
                Vec::new()
            }

            fn output_shape(&self, input: Shape) -> Result<Shape> {
                Ok(input)
            }

            fn forward(&self, _: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
                $forward(self, input, run)
            }

            fn pullback(&self, _: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
                match saved {
                    Saved::Input(kept) | Saved::Output(kept) => $pullback(self, kept.clone(), cotangent),
                    _ => unreachable!("an elementwise layer saves its input or its output"),
                }
            }
        }
    };
}

elementwise!(
    LeakyRelu,
    |layer: &LeakyRelu, x: Tensor<4>, run: &Run| {
        let saved = run.kept(|| Saved::Input(x.clone()));
        (kme_conv::leaky_relu(x, layer.slope), saved)
    },
    // At 0 the derivative is taken as 1, in the forward pass's own derivative too.
    |layer: &LeakyRelu, x: Tensor<4>, g: Tensor<4>| kme_conv::gate(x, g, layer.slope)
);

const POSITIVE: Bounds = Bounds { least: 0.0, most: f64::INFINITY };

// The output is positive exactly where the input is.
elementwise!(
    Relu,
    |_: &Relu, x: Tensor<4>, run: &Run| {
        let y = clamp(x, POSITIVE);
        let saved = run.kept(|| Saved::Output(y.clone()));
        (y, saved)
    },
    |_: &Relu, y: Tensor<4>, g: Tensor<4>| within(y, g, POSITIVE)
);

elementwise!(
    Sigmoid,
    |_: &Sigmoid, x: Tensor<4>, run: &Run| {
        let y = activation::sigmoid(x);
        let saved = run.kept(|| Saved::Output(y.clone()));
        (y, saved)
    },
    |_: &Sigmoid, y: Tensor<4>, g: Tensor<4>| g * (y.clone() - y.clone() * y)
);

elementwise!(
    Tanh,
    |_: &Tanh, x: Tensor<4>, run: &Run| {
        let y = x.tanh();
        let saved = run.kept(|| Saved::Output(y.clone()));
        (y, saved)
    },
    |_: &Tanh, y: Tensor<4>, g: Tensor<4>| g.clone() - g * y.clone() * y
);
