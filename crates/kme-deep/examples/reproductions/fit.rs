//! A critic trained to tell two fixed distributions apart: the first half of a GAN's step, alone.

use crate::gaussians;
use burn::optim::{Adam, AdamConfig, AdamState, Optimizer};
use burn::tensor::Tensor;
use kme::rng;
use kme::{Data, Points, Result};
use kme_deep::loss::{Objective, Pictures};
use kme_net::{CriticNet, Mode, Net, Place, architecture::MlpCritic, place};
use rand::RngExt;
use rand_distr::StandardNormal;

/// What is trained, and how: against 25 Gaussians, the same with noise.
pub(crate) struct Fit {
    pub objective: Objective,
    /// Features of the critic.
    pub top: usize,
    pub rule: Rule,
    pub steps: u64,
}

/// How the critic moves.
#[derive(Clone, Copy)]
pub(crate) enum Rule {
    /// β = (0.5, 0.9); the rate falls to 0 in a straight line over the second half.
    Adam { rate: f64 },
    /// Decay 0.99, and weights moved into ±clip after every step: WGAN.
    Clipped { rate: f64, clip: f64 },
}

/// Points of each distribution in a step.
pub(crate) const BATCH: usize = 256;

/// What an optimiser remembers of a tensor.
#[expect(clippy::large_enum_variant, reason = "there is one for a whole tensor")]
enum Memory {
    Adam(Option<AdamState<1>>),
    Square(Tensor<1>),
}

impl Fit {
    /// The trained critic, 4 ReLU layers of 64 units (thesis, §3.3.1), and the divergence in every step.
    pub(crate) fn run(&self, tau: f64, seed: u64) -> Result<(Net, Vec<f64>)> {
        let place = Place::cpu();
        let architecture = CriticNet::Mlp(MlpCritic { hidden: vec![64; 4], leak: 0.0 });
        let layers = architecture.layers([2, 1, 1], self.top)?;
        let net = Net::new(layers, [2, 1, 1], architecture.init(), seed, &place)?;
        // Without biases a network of ReLUs is homogeneous: its lines are rays from the origin, and long stay so.
        // These start with the deviation of the weights, √(2 / inputs).
        let mut inputs = 2;
        let mut net = net.map_values(|p| {
            if p.shape.len() > 1 {
                return p.value.clone();
            }
            let deviation = (2.0 / f64::from(std::mem::replace(&mut inputs, 64))).sqrt();
            let mut rng = rng::stream(seed, &format!("reproductions: {}", p.name), 0);
            let numbers = (0..p.shape[0]).map(|_| deviation * rng.sample::<f64, _>(StandardNormal)).collect();
            place.tensor_f64(numbers, [p.shape[0]])
        });
        let adam: Adam = AdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1e-8).build();
        let fresh = |value: &Tensor<1>| match self.rule {
            Rule::Adam { .. } => Memory::Adam(None),
            Rule::Clipped { .. } => Memory::Square(value.zeros_like()),
        };
        let mut memory: Vec<Memory> = net.params().iter().map(|p| fresh(&p.value)).collect();
        let mut values = Vec::new();
        for step in 0..self.steps {
            let mut rng = rng::stream(seed, "reproductions: critic", step);
            let batch = |tau, rng: &mut _| {
                let numbers = gaussians::sample(BATCH, tau, rng)?.into_data().into_f64();
                Ok::<_, kme::Error>(place.tensor_f64(numbers, [BATCH, 2, 1, 1]))
            };
            let (real, fake) = (batch(0.0, &mut rng)?, batch(tau, &mut rng)?);
            let mix = (0..BATCH).map(|i| (i as f32 + 0.5) / BATCH as f32).collect();
            let mix = Some(place.tensor(mix, [BATCH, 1, 1, 1]));
            let tracked = net.tracked();
            let pictures = Pictures { real, fake, second: None, labels: None, mix };
            let terms = self.objective.critic(&tracked, None, &pictures)?;
            values.push(place::scalar(terms.parts[0].1.clone().inner()));
            let gradients = tracked.gradients(&mut terms.loss.backward());
            let mut work = gradients.into_iter().zip(&mut memory);
            net = net.map_values(|param| {
                let (gradient, memory) = work.next().expect("every parameter of a dense network is trained");
                let value = param.value.clone().inner();
                match (self.rule, memory) {
                    (Rule::Adam { rate }, Memory::Adam(state)) => {
                        let rate = rate * (2.0 * (1.0 - step as f64 / self.steps as f64)).min(1.0);
                        let (value, next) = adam.step(rate, value, gradient, state.take());
                        *state = next;
                        value
                    }
                    (Rule::Clipped { rate, clip }, Memory::Square(mean)) => {
                        *mean = mean.clone() * 0.99 + gradient.clone() * gradient.clone() * 0.01;
                        (value - gradient / (mean.clone().sqrt() + 1e-8) * rate).clamp(-clip, clip)
                    }
                    _ => unreachable!("the memory is made for the rule"),
                }
            });
        }
        Ok((net, values))
    }
}

/// What a critic makes of points (n, 2): features (n, top).
pub(crate) fn features(critic: &Net, points: &Points) -> Result<Points> {
    let (n, d) = (points.len(), critic.output().iter().product());
    let numbers = points.clone().into_data().into_f64();
    let output = critic.forward(critic.place().tensor_f64(numbers, [n, 2, 1, 1]), Mode::Evaluate)?;
    Points::new(n, d, Data::F64(place::numbers(output)))
}
