//! Optimisers over a network's flat parameters, with per-tensor gradient clipping and a state that can be stored.

use super::config::Optimiser as Settings;
use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, Optimizer};
use burn::tensor::Tensor;
use kme::{Error, Field, Result};
use kme_net::{Net, Param, place};

/// One rule for all trained tensors of a network, and what it remembers of each.
#[derive(Clone)]
pub(crate) struct Optimiser {
    rule: Rule,
    clip: Option<f64>,
    states: Vec<Option<State>>,
}

/// How a tensor moves. Adam is the engine's; it keeps the state of its other optimisers to itself, where a checkpoint cannot
/// reach it, so those two lines are written here.
#[derive(Clone)]
enum Rule {
    Adam(Adam),
    Sgd { momentum: f64 },
    Rmsprop { decay: f64 },
}

/// What is remembered of one tensor.
#[derive(Clone)]
#[expect(clippy::large_enum_variant, reason = "there is one for a whole tensor")]
enum State {
    Adam(AdamState<1>),
    /// The velocity of gradient descent with momentum, or the mean square of RMSprop.
    One(Tensor<1>),
}

/// What a schedule says about one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pace {
    /// The factor of all learning rates.
    pub factor: f64,
    /// Another momentum than the configuration's.
    pub momentum: Option<f64>,
}

impl Pace {
    #[cfg(test)]
    pub(super) const PLAIN: Self = Self { factor: 1.0, momentum: None };
}

impl Optimiser {
    /// For a network with these parameters.
    pub(super) fn new(settings: &Settings, net: &Net) -> Self {
        let rule = match settings {
            Settings::Adam(adam) => Rule::Adam(
                AdamConfig::new()
                    .with_beta_1(adam.beta1 as f32)
                    .with_beta_2(adam.beta2 as f32)
                    .with_epsilon(1e-8)
                    .build(),
            ),
            Settings::Sgd(sgd) => Rule::Sgd { momentum: sgd.momentum },
            Settings::Rmsprop(rmsprop) => Rule::Rmsprop { decay: rmsprop.decay },
        };
        Self { rule, clip: settings.clip(), states: vec![None; net.params().iter().filter(|p| p.is_trained()).count()] }
    }

    /// The network after one step down these gradients, in the order of its trained parameters.
    pub(super) fn step(&mut self, net: &Net, gradients: Vec<Tensor<1>>, rate: f64, pace: Pace) -> Net {
        let rate = rate * pace.factor;
        let mut work = gradients.into_iter().zip(&mut self.states);
        let (rule, clip) = (&self.rule, self.clip);
        net.map_values(|param| {
            let value = param.value.clone().inner();
            if !param.is_trained() {
                return value;
            }
            let (gradient, state) = work.next().expect("one gradient for each trained parameter");
            let gradient = clipped(gradient, clip);
            let (value, next) = match (rule, state.take()) {
                (Rule::Adam(adam), state) => {
                    let state = state.and_then(|state| match state {
                        State::Adam(state) => Some(state),
                        State::One(_) => None,
                    });
                    let (value, next) = adam.step(rate, value, gradient, state);
                    (value, next.map(State::Adam))
                }
                (Rule::Sgd { momentum }, state) => {
                    let momentum = pace.momentum.unwrap_or(*momentum);
                    let velocity = match state {
                        Some(State::One(velocity)) => velocity * momentum + gradient,
                        _ => gradient,
                    };
                    (value - velocity.clone() * rate, Some(State::One(velocity)))
                }
                (Rule::Rmsprop { decay }, state) => {
                    let square = gradient.clone() * gradient.clone() * (1.0 - decay);
                    let square = match state {
                        Some(State::One(mean)) => mean * *decay + square,
                        _ => square,
                    };
                    (value - gradient / (square.clone().sqrt() + 1e-8) * rate, Some(State::One(square)))
                }
            };
            *state = next;
            value
        })
    }

    /// The state as named tensors: for Adam `first.NAME`, `second.NAME` and, in `first`'s shape (1), `time.NAME`; else `one.NAME`.
    pub(super) fn tensors(&self, net: &Net) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut tensors = Vec::new();
        for (param, state) in net.params().iter().filter(|p| p.is_trained()).zip(&self.states) {
            let len = vec![param.shape.iter().product()];
            let mut keep = |part: &str, values: Tensor<1>| {
                tensors.push((format!("{part}.{}", param.name), len.clone(), place::numbers_f32(values)));
            };
            match state {
                None => {}
                Some(State::One(values)) => keep("one", values.clone()),
                Some(State::Adam(state)) => {
                    let momentum = &state.momentum;
                    keep("first", momentum.moment_1.clone());
                    keep("second", momentum.moment_2.clone());
                    tensors.push((format!("time.{}", param.name), vec![1], vec![momentum.time as f32]));
                }
            }
        }
        tensors
    }

    /// Takes over a stored state: all of it, or none before the first step.
    ///
    /// # Errors
    /// When a tensor is missing or has another size.
    pub(super) fn restore(&mut self, net: &Net, step: u64, stored: impl Fn(&str) -> Option<Vec<f32>>) -> Result<()> {
        for (param, state) in net.params().iter().filter(|p| p.is_trained()).zip(&mut self.states) {
            let incomplete = || {
                let of = format!("state of the optimiser for {}", param.name);
                Err(Error::missing(of, "use a whole checkpoint"))
            };
            *state = match self.rule {
                Rule::Adam(_) => {
                    let time = stored(&format!("time.{}", param.name)).and_then(|t| t.first().copied());
                    let parts =
                        [stored_tensor(net, param, "first", &stored)?, stored_tensor(net, param, "second", &stored)?];
                    match (parts, time) {
                        ([Some(first), Some(second)], Some(time)) => {
                            let momentum = AdaptiveMomentumState::new(time as usize, first, second);
                            Some(State::Adam(AdamState::new(momentum)))
                        }
                        ([None, None], None) if step == 0 => None,
                        _ => return incomplete(),
                    }
                }
                _ => match stored_tensor(net, param, "one", &stored)? {
                    Some(values) => Some(State::One(values)),
                    None if step == 0 => None,
                    None => return incomplete(),
                },
            };
        }
        Ok(())
    }
}

fn stored_tensor(
    net: &Net,
    param: &Param,
    part: &str,
    stored: impl Fn(&str) -> Option<Vec<f32>>,
) -> Result<Option<Tensor<1>>> {
    let len = param.shape.iter().product::<usize>();
    let Some(values) = stored(&format!("{part}.{}", param.name)) else { return Ok(None) };
    if values.len() != len {
        let field = Field::Count(format!("numbers in {part}.{}", param.name).into());
        return Err(Error::mismatch(field, values.len(), len, "use a checkpoint of this configuration"));
    }
    Ok(Some(net.place().tensor(values, [len])))
}

/// The gradient scaled down to a norm of at most `clip`.
fn clipped(gradient: Tensor<1>, clip: Option<f64>) -> Tensor<1> {
    let Some(clip) = clip else { return gradient };
    let norm = squared_norm(gradient.clone()).sqrt();
    gradient * norm.clamp_min(clip).recip() * clip
}

/// The norm of all gradients together, before any clipping.
pub(in crate::train) fn gradient_norm<'a>(gradients: impl IntoIterator<Item = &'a Tensor<1>>) -> f64 {
    let squares = gradients.into_iter().map(|gradient| squared_norm(gradient.clone())).collect();
    place::scalar(Tensor::cat(squares, 0).sum()).sqrt()
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
    use kme_net::Place;

    use super::super::config::{Adam, Rmsprop, Sgd};

    /// Ten steps of each rule for one number, against its definition with scalars in double precision.
    #[test]
    fn steps_are_those_of_the_definitions() {
        let (rate, clip) = (0.01, None);
        let adam = Settings::Adam(Adam { learning_rate: rate, beta1: 0.5, beta2: 0.9, clip });
        let sgd = Settings::Sgd(Sgd { learning_rate: rate, momentum: 0.9, clip });
        let rmsprop = Settings::Rmsprop(Rmsprop { learning_rate: rate, decay: 0.95, clip });
        let place = Place::cpu_f64();
        for settings in [adam, sgd, rmsprop] {
            let layers = vec![kme_net::layer::Linear { inputs: 1, outputs: 1, bias: false }.into()];
            let mut net = Net::new(layers, [1, 1, 1], kme_net::Init::He, 0, &place).unwrap();
            let mut optimiser = Optimiser::new(&settings, &net);
            let mut x = place::scalar(net.params()[0].value.clone());
            let (mut m, mut v) = (0.0, 0.0);
            for step in 0..10 {
                let g = (step as f64 - 3.0) * 0.7;
                let t = step + 1;
                match &settings {
                    // Kingma and Ba, algorithm 1.
                    Settings::Adam(_) => {
                        (m, v) = (0.5 * m + 0.5 * g, 0.9 * v + 0.1 * g * g);
                        let (m_hat, v_hat) = (m / (1.0 - 0.5_f64.powi(t)), v / (1.0 - 0.9_f64.powi(t)));
                        x -= rate * m_hat / (v_hat.sqrt() + 1e-8);
                    }
                    Settings::Sgd(_) => {
                        m = 0.9 * m + g;
                        x -= rate * m;
                    }
                    Settings::Rmsprop(_) => {
                        v = 0.95 * v + 0.05 * g * g;
                        x -= rate * g / (v.sqrt() + 1e-8);
                    }
                }
                net = optimiser.step(&net, vec![place.tensor_f64(vec![g], [1])], rate, Pace::PLAIN);
                let found = place::scalar(net.params()[0].value.clone());
                // The engine keeps Adam's coefficients in single precision.
                assert!((found - x).abs() < 1e-6 * x.abs(), "{settings:?}, step {step}: {found} and {x}");
            }
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
