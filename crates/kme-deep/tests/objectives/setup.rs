//! Tiny networks and batches in double precision.

use crate::cases::{Body, Case};
use burn::tensor::Tensor;
use kme::rng;
use kme_deep::loss::{Objective, Pictures};
use kme_net::layer::{Conv, Layer, LeakyRelu, Linear, Reshape, Tanh};
use kme_net::{Init, Mode, Net, Place, place};

/// Numbers of latents.
const LATENTS: usize = 3;
/// Classes of conditional cases.
const CLASSES: usize = 3;
/// Real samples.
pub(crate) const REAL: usize = 5;

pub(crate) fn normals(count: usize, purpose: &str) -> Vec<f64> {
    kme_testing::normals(count, &mut rng::stream(23, purpose, 0))
}

/// A case's networks and batches.
pub(crate) struct Setup {
    pub objective: Objective,
    /// As it is trained, which with a spectral parametrisation is not as it is used.
    pub critic: Net,
    pub decoder: Option<Net>,
    pub generator: Net,
    pub real: Tensor<4>,
    latents: Tensor<4>,
    second: Option<Tensor<4>>,
    labels: Option<Tensor<4>>,
    mix: Option<Tensor<4>>,
}

/// A network whose biases are not all zero.
fn net(layers: Vec<Layer>, input: [usize; 3], seed: u64) -> Net {
    let place = Place::cpu_f64();
    let net = Net::new(layers, input, Init::He, seed, &place).unwrap();
    net.map_values(|p| {
        if !p.name.ends_with("bias") {
            return p.value.clone();
        }
        let len = p.shape[0];
        place.tensor_f64(normals(len, &p.name).iter().map(|b| 0.3 * b).collect(), [len])
    })
}

fn critic(body: Body, labels: bool, top: usize) -> Net {
    let linear = |inputs, outputs| Layer::from(Linear { inputs, outputs, bias: true });
    let leaky = || Layer::from(LeakyRelu { slope: 0.2 });
    let smooth = || Layer::from(Tanh {});
    let pictures = |between: fn() -> Layer| {
        let channels = 2 + if labels { CLASSES } else { 0 };
        let conv = |inputs, outputs| Layer::from(Conv::new(inputs, outputs, 3).stride(2).padding(1));
        let reshape = Layer::from(Reshape { to: [20, 1, 1] });
        let layers = vec![conv(channels, 4), between(), conv(4, 5), between(), reshape, linear(20, top)];
        net(layers, [channels, 7, 7], 3)
    };
    match body {
        Body::Leaky => pictures(|| LeakyRelu { slope: 0.2 }.into()),
        Body::Smooth => pictures(|| Tanh {}.into()),
        Body::Points => net(vec![linear(3, 6), smooth(), linear(6, 5), leaky(), linear(5, top)], [3, 1, 1], 4),
    }
}

impl Setup {
    pub(crate) fn new(case: &Case) -> Self {
        let place = Place::cpu_f64();
        let mut critic = critic(case.body, case.labels, case.top);
        if let Some(learned) = case.spectral {
            critic = critic.with_spectral(learned, 8).unwrap();
            // Scales that the learned form may have, and a vector that is the singular one to the last digit.
            critic.power_iterate(3000);
            critic = critic.map_values(|p| match p.name.ends_with(".scale") && learned {
                true => p.value.clone() * 1.3,
                false => p.value.clone(),
            });
        }
        let shape = if case.body == Body::Points { [3, 1, 1] } else { [2, 7, 7] };
        let [c, h, w] = shape;
        let count = c * h * w;
        let fakes = if case.equal { REAL } else { REAL + 1 };
        let labels = case.labels.then(|| {
            let planes = (0..fakes).flat_map(|i| {
                (0..CLASSES).flat_map(move |k| std::iter::repeat_n(if i % CLASSES == k { 1.0 } else { 0.0 }, h * w))
            });
            place.tensor_f64(planes.collect(), [fakes, CLASSES, h, w])
        });
        let needs_second = case.divergence.needs_second();
        let latents = |purpose: &str| place.tensor_f64(normals(fakes * LATENTS, purpose), [fakes, LATENTS, 1, 1]);
        let generator = vec![
            Linear { inputs: LATENTS, outputs: 4, bias: true }.into(),
            Tanh {}.into(),
            Linear { inputs: 4, outputs: count, bias: true }.into(),
            Reshape { to: shape }.into(),
        ];
        let decoder = (case.regulariser.reconstruction > 0.0).then(|| {
            let layers =
                vec![Linear { inputs: case.top, outputs: count, bias: true }.into(), Reshape { to: shape }.into()];
            net(layers, [case.top, 1, 1], 6)
        });
        let mix = (case.regulariser.gradient_penalty > 0.0)
            .then(|| place.tensor_f64(vec![0.1, 0.9, 0.45, 0.7, 0.3], [REAL, 1, 1, 1]));
        Self {
            objective: Objective { divergence: case.divergence.clone(), regulariser: case.regulariser.clone() },
            critic,
            decoder,
            generator: net(generator, [LATENTS, 1, 1], 5),
            real: place
                .tensor_f64(normals(REAL * count, "real").iter().map(|x| 0.4 + 0.8 * x).collect(), [REAL, c, h, w]),
            latents: latents("latents"),
            second: needs_second.then(|| latents("second")),
            labels,
            mix,
        }
    }

    /// The step's pictures, the generated ones as this generator makes them.
    pub(crate) fn pictures(&self, generator: &Net) -> Pictures {
        let generate = |z: &Tensor<4>| generator.forward(z.clone(), Mode::Train).unwrap();
        Pictures {
            real: self.real.clone(),
            fake: generate(&self.latents),
            second: self.second.as_ref().map(generate),
            labels: self.labels.clone(),
            mix: self.mix.clone(),
        }
    }

    /// The critic's loss for other parameters of it and its decoder.
    pub(crate) fn critic_loss(&self, critic: &Net, decoder: Option<&Net>) -> Tensor<1> {
        self.objective.critic(&critic.effective(), decoder, &self.pictures(&self.generator)).unwrap().loss
    }

    /// The generator's loss for other parameters of it.
    pub(crate) fn generator_loss(&self, generator: &Net) -> Tensor<1> {
        self.objective.generator(&self.critic.effective(), &self.pictures(generator)).unwrap().loss
    }
}

pub(crate) fn number(tensor: Tensor<1>) -> f64 {
    place::scalar(tensor.inner())
}
