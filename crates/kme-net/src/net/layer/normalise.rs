//! Pixels as a network was trained on them.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::Spec;
use burn::tensor::Tensor;
use kme::Result;
use serde::{Deserialize, Serialize};

/// `y[i] = scale[i] · x[from[i]] + shift[i]` for every channel i: range, mean and order of the channels.
///
/// Shapes: (n, c, h, w) → (n, c, h, w). The first layer of a network that was trained on other pixels than those in [0, 1], so that
/// gradients reach the pixels of the picture. `from` names each channel once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalise {
    /// The channel of x that becomes channel i.
    pub from: Vec<usize>,
    /// Factor of each channel of y.
    pub scale: Vec<f64>,
    /// Added to each channel of y.
    pub shift: Vec<f64>,
}

impl Normalise {
    /// (x − mean)/deviation, the channels in their order; `mean` and `deviation` in units of pixels in [0, 1].
    pub fn standard(mean: &[f64], deviation: &[f64]) -> Self {
        let scale: Vec<f64> = deviation.iter().map(|d| 1.0 / d).collect();
        let shift = mean.iter().zip(&scale).map(|(m, s)| -m * s).collect();
        Self { from: (0..mean.len()).collect(), scale, shift }
    }

    /// Blue, green, red in [0, 255] minus `mean`, as Caffe's networks want them.
    pub fn caffe(mean: [f64; 3]) -> Self {
        Self { from: vec![2, 1, 0], scale: vec![255.0; 3], shift: mean.map(|m| -m).to_vec() }
    }

    /// The same places of these channels for all pictures.
    fn channels(like: &Tensor<4>, values: &[f64]) -> Tensor<4> {
        let zeros = like.clone().narrow(0, 0, 1).narrow(2, 0, 1).narrow(3, 0, 1).zeros_like();
        let parts = values.iter().enumerate().map(|(i, &value)| zeros.clone().narrow(1, i, 1) + value).collect();
        Tensor::cat(parts, 1)
    }

    /// Channel i of the result is channel `from[i]` of x.
    fn ordered(x: Tensor<4>, from: &[usize]) -> Tensor<4> {
        if from.is_sorted() {
            return x;
        }
        Tensor::cat(from.iter().map(|&i| x.clone().narrow(1, i, 1)).collect(), 1)
    }
}

impl Differentiable for Normalise {
    fn specs(&self, _: &str) -> Vec<Spec> {
        Vec::new()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        let mut named = self.from.clone();
        named.sort_unstable();
        let is_order = named.iter().copied().eq(0..input[0]);
        if is_order && self.scale.len() == input[0] && self.shift.len() == input[0] {
            Ok(input)
        } else {
            let needs = format!("{} channels, each named once, with a scale and a shift", self.from.len());
            Err(misfit("normalise", input, needs))
        }
    }

    fn forward(&self, _: Params, input: Tensor<4>, _: &mut Run) -> (Tensor<4>, Saved) {
        let x = Self::ordered(input, &self.from);
        let (scale, shift) = (Self::channels(&x, &self.scale), Self::channels(&x, &self.shift));
        (x * scale + shift, Saved::Nothing)
    }

    fn pullback(&self, _: Params, _: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let mut back = vec![0; self.from.len()];
        for (i, &from) in self.from.iter().enumerate() {
            back[from] = i;
        }
        let scale = Self::channels(&cotangent, &self.scale);
        Self::ordered(cotangent * scale, &back)
    }
}
