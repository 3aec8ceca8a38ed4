//! Adam over a network's flat parameters, with per-tensor gradient clipping and a state that can be stored.

use super::config::Adam as Settings;
use crate::net::{Net, place};
use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, Optimizer};
use burn::tensor::Tensor;
use kme::{Error, Result};

/// Adam (Kingma and Ba 2015) with bias correction and ε = 1e-8.
pub(crate) struct Optimiser {
    adam: Adam,
    settings: Settings,
    steps: u64,
    states: Vec<Option<AdamState<1>>>,
}

impl Optimiser {
    /// For a network of `count` trained tensors, over `steps` steps.
    pub fn new(settings: &Settings, count: usize, steps: u64) -> Self {
        let adam = AdamConfig::new()
            .with_beta_1(settings.beta1 as f32)
            .with_beta_2(settings.beta2 as f32)
            .with_epsilon(1e-8)
            .build();
        Self { adam, settings: settings.clone(), steps, states: vec![None; count] }
    }

    /// The learning rate at a step: half a cosine from `learning_rate` down to its `final_fraction`.
    pub fn learning_rate(&self, step: u64) -> f64 {
        let progress = (step as f64 / self.steps as f64).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
        let last = self.settings.final_fraction;
        self.settings.learning_rate * (last + (1.0 - last) * cosine)
    }

    /// The network after one step down these gradients, in the order of its trained parameters.
    pub fn step(&mut self, net: &Net, gradients: Vec<Tensor<1>>, step: u64) -> Net {
        let rate = self.learning_rate(step);
        let mut work = gradients.into_iter().zip(&mut self.states);
        let clip = self.settings.clip;
        let adam = &self.adam;
        net.map_values(|param| {
            if !param.is_trained() {
                return param.value.clone().inner();
            }
            let (gradient, state) = work.next().expect("one gradient for each trained parameter");
            let (value, next) = adam.step(rate, param.value.clone().inner(), clipped(gradient, clip), state.take());
            *state = next;
            value
        })
    }

    /// The state as named tensors: `first.NAME`, `second.NAME` and, in `first`'s shape (1), `time.NAME`.
    pub fn tensors(&self, net: &Net) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut tensors = Vec::new();
        for (param, state) in net.params().iter().filter(|p| p.is_trained()).zip(&self.states) {
            let Some(AdamState { momentum }) = state else { continue };
            let len = vec![param.shape.iter().product()];
            tensors.push((format!("first.{}", param.name), len.clone(), place::numbers_f32(momentum.moment_1.clone())));
            tensors.push((format!("second.{}", param.name), len, place::numbers_f32(momentum.moment_2.clone())));
            tensors.push((format!("time.{}", param.name), vec![1], vec![momentum.time as f32]));
        }
        tensors
    }

    /// Takes over a stored state: all of it, or none before the first step.
    ///
    /// # Errors
    /// When a tensor is missing or has another size.
    pub fn restore(&mut self, net: &Net, step: u64, stored: impl Fn(&str) -> Option<Vec<f32>>) -> Result<()> {
        for (param, state) in net.params().iter().filter(|p| p.is_trained()).zip(&mut self.states) {
            let len = param.shape.iter().product::<usize>();
            let tensor = |part: &str| -> Result<Option<Tensor<1>>> {
                let Some(values) = stored(&format!("{part}.{}", param.name)) else { return Ok(None) };
                if values.len() != len {
                    return Err(Error::value(format!("{part}.{}", param.name), values.len(), format!("{len} numbers")));
                }
                Ok(Some(net.place().tensor(values, [len])))
            };
            let time = stored(&format!("time.{}", param.name)).and_then(|t| t.first().copied());
            *state = match (tensor("first")?, tensor("second")?, time) {
                (Some(first), Some(second), Some(time)) => {
                    Some(AdamState::new(AdaptiveMomentumState::new(time as usize, first, second)))
                }
                (None, None, None) if step == 0 => None,
                _ => {
                    return Err(Error::value(
                        "state of Adam",
                        format!("incomplete for {}", param.name),
                        "a whole checkpoint",
                    ));
                }
            };
        }
        Ok(())
    }
}

/// The gradient scaled down to a norm of at most `clip`.
fn clipped(gradient: Tensor<1>, clip: Option<f64>) -> Tensor<1> {
    let Some(clip) = clip else { return gradient };
    let norm = squared_norm(gradient.clone()).sqrt();
    gradient * norm.clamp_min(clip).recip() * clip
}

/// Σ gᵢ². The engine sums large tensors in an order that depends on its threads: those are summed in rows that do not.
fn squared_norm(gradient: Tensor<1>) -> Tensor<1> {
    const ROW: usize = 1 << 16;
    let squares = gradient.clone() * gradient;
    let [len] = squares.dims();
    if len <= ROW {
        return squares.sum();
    }
    let whole = len / ROW * ROW;
    let rows: Tensor<2> = squares.clone().slice([0..whole]).reshape([len / ROW, ROW]);
    let sum = rows.sum_dim(1).sum();
    if whole == len { sum } else { sum + squares.slice([whole..len]).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Place;

    #[test]
    fn clipping_keeps_the_direction() {
        let place = Place::cpu();
        let at = |values: Vec<f32>, clip| place::numbers(clipped(place.tensor(values, [2]), clip));
        assert_eq!(at(vec![3.0, 4.0], None), [3.0, 4.0]);
        assert_eq!(at(vec![0.3, 0.4], Some(1.0)), [0.3_f32 as f64, 0.4_f32 as f64]);
        let long = at(vec![3.0, 4.0], Some(1.0));
        assert!((long[0] - 0.6).abs() < 1e-6 && (long[1] - 0.8).abs() < 1e-6);
        assert_eq!(at(vec![0.0, 0.0], Some(1.0)), [0.0, 0.0]);
    }
}
