//! Batch normalisation over (n, h, w), per channel.

use super::{Differentiable, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::{Role, Spec};
use burn::tensor::{Tensor, module};
use kme::Result;
use serde::{Deserialize, Serialize};

/// y = γ (x − m) / √(v + epsilon) + β with the mean m and the population variance v of each channel.
///
/// In [`Mode::Train`] m and v are the batch's; the running ones move by `running ← (1 − momentum)·running + momentum·batch`, with the
/// unbiased batch variance. In [`Mode::Evaluate`] they are the running ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Channels of the input.
    pub channels: usize,
    /// Added to the variance, so that it is never 0.
    pub epsilon: f64,
    /// Weight of the batch in the running statistics, from 0 to 1.
    pub momentum: f64,
}

impl BatchNorm {
    /// The usual constants: ε = 1e-5, momentum 0.1.
    pub fn new(channels: usize) -> Self {
        Self { channels, epsilon: 1e-5, momentum: 0.1 }
    }

    fn per_channel(&self, values: Tensor<1>) -> Tensor<4> {
        values.reshape([1, self.channels, 1, 1])
    }
}

impl Differentiable for BatchNorm {
    fn specs(&self, name: &str) -> Vec<Spec> {
        [
            ("weight", Role::Gain),
            ("bias", Role::Bias),
            ("running_mean", Role::RunningMean),
            ("running_var", Role::RunningVariance),
        ]
        .map(|(part, role)| Spec { name: format!("{name}{part}"), shape: vec![self.channels], role })
        .to_vec()
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input[0] == self.channels {
            Ok(input)
        } else {
            Err(misfit("batch-norm", input, format!("{} channels", self.channels)))
        }
    }

    fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let [gain, bias, mean, variance] = [0, 1, 2, 3].map(|i| params[i].value.clone());
        let saved = run.kept(|| Saved::Input(input.clone()));
        if run.mode == Mode::Evaluate {
            return (module::batch_norm(input, gain, bias, mean, variance, self.epsilon), saved);
        }
        let [n, _, h, w] = input.dims();
        let batch = module::batch_norm_train(input, gain, bias, self.epsilon);
        let count = (n * h * w) as f64;
        let unbiased = batch.variance * (count / (count - 1.0).max(1.0));
        for (param, old, new) in [(2, mean, batch.mean), (3, variance, unbiased)] {
            let moved = old * (1.0 - self.momentum) + new * self.momentum;
            run.updates.push((params[param].name.clone(), moved.inner()));
        }
        (batch.output, saved)
    }

    fn pullback(&self, params: Params, saved: &Saved, mode: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let Saved::Input(x) = saved else { unreachable!("batch norm saves its input") };
        let gain = self.per_channel(params[0].value.clone());
        if mode == Mode::Evaluate {
            return cotangent * gain / (self.per_channel(params[3].value.clone()) + self.epsilon).sqrt();
        }
        let over = [0, 2, 3];
        let centred = x.clone() - x.clone().mean_dims(&over);
        let inverse = ((centred.clone() * centred.clone()).mean_dims(&over) + self.epsilon).sqrt().recip();
        let normal = centred * inverse.clone();
        let mean = cotangent.clone().mean_dims(&over);
        let along = (cotangent.clone() * normal.clone()).mean_dims(&over);
        (cotangent - mean - normal * along) * gain * inverse
    }
}
