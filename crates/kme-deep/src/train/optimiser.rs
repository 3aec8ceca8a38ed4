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
    let rows: Tensor<2> = squares.clone().slice(0..whole).reshape([len / ROW, ROW]);
    let sum = rows.sum_dim(1).sum();
    if whole == len { sum } else { sum + squares.slice(whole..len).sum() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Place;

    /// Kingma and Ba, algorithm 1, with scalars in double precision, and the schedule's ends.
    #[test]
    fn steps_are_adams() {
        let settings = Settings { learning_rate: 0.01, beta1: 0.5, beta2: 0.9, clip: None, final_fraction: 0.1 };
        let place = Place::cpu_f64();
        let layers = vec![crate::net::layer::Linear { inputs: 1, outputs: 1, bias: false }.into()];
        let mut net = Net::new(layers, [1, 1, 1], crate::net::Init::He, 0, &place).unwrap();
        let steps = 10;
        let mut adam = Optimiser::new(&settings, 1, steps);
        assert_eq!(adam.learning_rate(0), 0.01);
        assert!((adam.learning_rate(steps) - 0.001).abs() < 1e-15);
        assert!((adam.learning_rate(5) - 0.0055).abs() < 1e-15);
        let mut x = place::scalar(net.params()[0].value.clone());
        let (mut m, mut v) = (0.0, 0.0);
        for step in 0..steps {
            let g = (step as f64 - 3.0) * 0.7;
            (m, v) = (0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g);
            let t = step as i32 + 1;
            let (m_hat, v_hat) = (m / (1.0 - 0.5_f64.powi(t)), v / (1.0 - 0.9_f64.powi(t)));
            x -= adam.learning_rate(step) * m_hat / (v_hat.sqrt() + 1e-8);
            net = adam.step(&net, vec![place.tensor_f64(vec![g], [1])], step);
            let found = place::scalar(net.params()[0].value.clone());
            // The engine keeps the coefficients in single precision.
            assert!((found - x).abs() < 1e-6 * x.abs(), "step {step}: {found} and {x}");
        }
    }

    #[test]
    fn large_norms_are_summed_in_a_fixed_order() {
        let place = Place::cpu_f64();
        for len in [5, 1 << 16, (1 << 18) + 77] {
            let values: Vec<f64> = (0..len).map(|i| ((i % 17) as f64 - 8.0) / 100.0).collect();
            let naive: f64 = values.iter().map(|v| v * v).sum();
            let found = place::scalar(squared_norm(place.tensor_f64(values, [len])));
            assert!((found / naive - 1.0).abs() < 1e-12, "{len}");
        }
    }

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
