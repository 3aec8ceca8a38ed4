//! Times of a critic's and a generator's step of adversarial training, one JSON object a line.
//!
//! `cargo bench -p kme-deep --bench step -- [--threads N] [--runs N] [--only TEXT] [--batch N] [--double]
//! [--gradients FILE]`; `benches/step.py` runs it beside PyTorch. A step is that of `train/generative.rs` without the
//! reading of pictures, the moving average and the log. Weights, pictures and latents are made up by the same formula there.

use burn::optim::{Adam, AdamConfig, AdamState, Optimizer};
use burn::tensor::Tensor;
use kme_deep::loss::{Divergence, Estimator, Mmd, Objective, Pictures, Regulariser, Scale, Terms, Wasserstein};
use kme_net::architecture::{DcganCritic, DcganGenerator, SnganCritic, SnganGenerator};
use kme_net::{CriticNet, GeneratorNet, Init, Mode, Net, Param, Place, place};
use kme_testing::made_up::uniform;
use std::sync::Arc;
use std::time::Instant;

/// Channels and sides of the pictures.
const SHAPE: [usize; 3] = [3, 32, 32];
const LATENTS: usize = 128;
const LEARNING_RATE: f64 = 1e-4;
/// The largest norm of a tensor's gradient.
const CLIP: f64 = 1.0;
/// Power iterations that bring made-up singular vectors near the true ones.
const WARM_UP: usize = 20;

/// Networks and objective, as in the presets for CIFAR-10.
struct Case {
    name: &'static str,
    critic: CriticNet,
    generator: GeneratorNet,
    top: usize,
    spectral: bool,
    objective: Objective,
}

fn cases() -> Vec<Case> {
    let dcgan = |width| CriticNet::Dcgan(DcganCritic { width, stages: 4, kernel: 5, batch_norm: false });
    let sngan = |width| CriticNet::Sngan(SnganCritic { width });
    let mmd = |kernel: &str| Arc::new(Mmd::new(kernel.parse().expect("a kernel"), Estimator::Unbiased));
    let penalised = |gradient_penalty, activation_penalty| Regulariser {
        gradient_penalty,
        activation_penalty,
        ..Regulariser::default()
    };
    let case = |name, critic, top, divergence: Arc<dyn Divergence>, regulariser: Regulariser| Case {
        name,
        generator: match &critic {
            CriticNet::Sngan(_) => GeneratorNet::Sngan(SnganGenerator { width: 64 }),
            _ => GeneratorNet::Dcgan(DcganGenerator { width: 64, stages: 4, kernel: 5 }),
        },
        critic,
        top,
        spectral: regulariser.scale.is_some(),
        objective: Objective { divergence, regulariser },
    };
    let mmd_gan = |name, width| case(name, dcgan(width), 16, mmd("rq:alpha=0.2,0.5,1,2,5+linear"), penalised(1.0, 1.0));
    let sn_smmd = |name, critic| {
        let scale = Some(Scale { weight: 10.0, offset: 1.0, values: false });
        case(name, critic, 1, mmd("gaussian:sigma=1"), Regulariser { scale, ..Regulariser::default() })
    };
    vec![
        mmd_gan("mmd-gan dcgan-16", 16),
        mmd_gan("mmd-gan dcgan-64", 64),
        sn_smmd("sn-smmd dcgan-64", dcgan(64)),
        sn_smmd("sn-smmd sngan-16", sngan(16)),
        sn_smmd("sn-smmd sngan-64", sngan(64)),
        case("wgan-gp dcgan-64", dcgan(64), 1, Arc::new(Wasserstein {}), penalised(10.0, 0.0)),
    ]
}

/// A network and what moves it.
struct Player {
    net: Net,
    adam: Adam,
    states: Vec<Option<AdamState<1>>>,
}

impl Player {
    /// With parameters made up from `purpose` and their names; weights are `gain` times those of He.
    fn new(net: Net, purpose: &str, gain: f64) -> Self {
        let place = net.place().clone();
        let mut net = net.map_values(|p| place.tensor_f64(made_up(purpose, p, gain), p.value.dims()));
        net.power_iterate(WARM_UP);
        let states = net.params().iter().filter(|p| p.is_trained()).map(|_| None).collect();
        let adam = AdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1e-8).build();
        Self { net, adam, states }
    }

    fn step(&mut self, gradients: &[Tensor<1>], rate: f64) {
        let mut work = gradients.iter().zip(&mut self.states);
        self.net = self.net.map_values(|param| {
            let value = param.value.clone().inner();
            if !param.is_trained() {
                return value;
            }
            let (gradient, state) = work.next().expect("one gradient for each trained parameter");
            let norm = (gradient.clone() * gradient.clone()).sum().sqrt();
            let gradient = gradient.clone() * norm.clamp_min(CLIP).recip() * CLIP;
            let (value, next) = self.adam.step(rate, value, gradient, state.take());
            *state = next;
            value
        });
    }
}

fn made_up(purpose: &str, param: &Param, gain: f64) -> Vec<f64> {
    let count: usize = param.shape.iter().product();
    let fan_in: usize = param.shape.iter().skip(1).product();
    let value = |u: f64| match param.name.rsplit('.').next() {
        _ if param.shape.len() > 1 => gain * (2.0 * u - 1.0) * (6.0 / fan_in as f64).sqrt(),
        Some("direction") => 2.0 * u - 1.0,
        // Features then vary about as much as the kernel is wide.
        Some("scale") => 1.25 + 0.5 * u,
        Some("weight" | "running_var") => 0.75 + 0.5 * u,
        _ => 0.2 * u - 0.1,
    };
    uniform(&format!("{purpose} {}", param.name), count).map(value).collect()
}

/// Both networks and what a step is fed with.
struct Game {
    objective: Objective,
    rate: f64,
    critic: Player,
    generator: Player,
    latents: Tensor<4>,
    real: Tensor<4>,
    mix: Tensor<4>,
}

impl Game {
    fn new(case: &Case, batch: usize, place: &Place) -> Self {
        let layers = case.critic.layers(SHAPE, case.top).expect("the critic's sizes");
        let mut critic = Net::new(layers, SHAPE, Init::He, 0, place).expect("a critic");
        if case.spectral {
            critic = critic.with_spectral(true, 0).expect("a critic of convolutions");
        }
        let layers = case.generator.layers(LATENTS, SHAPE).expect("the generator's sizes");
        let generator = Net::new(layers, [LATENTS, 1, 1], Init::He, 0, place).expect("a generator");
        let numbers = |name, shape: [usize; 4], scale: f64, shift: f64| {
            let values = uniform(name, shape.iter().product()).map(|u| scale * u + shift).collect();
            place.tensor_f64(values, shape)
        };
        let [c, h, w] = SHAPE;
        Self {
            objective: case.objective.clone(),
            rate: LEARNING_RATE,
            critic: Player::new(critic, "critic", 1.0),
            // Pixels that are not all 0 or 1.
            generator: Player::new(generator, "generator", 0.25),
            latents: numbers("latents", [batch, LATENTS, 1, 1], 2.0, -1.0),
            // Noise upon a level that each picture has, so that the critic's features differ well beyond rounding.
            real: numbers("real", [batch, c, h, w], 0.5, 0.0) + numbers("levels", [batch, 1, 1, 1], 0.5, 0.0),
            mix: numbers("mix", [batch, 1, 1, 1], 1.0, 0.0),
        }
    }

    /// The loss, and the gradients of the trained parameters.
    fn critic_step(&mut self) -> (f64, Vec<Tensor<1>>) {
        let fake = self.generator.net.forward(self.latents.clone(), Mode::Train).expect("latents");
        let mix = (self.objective.regulariser.gradient_penalty > 0.0).then(|| self.mix.clone());
        let pictures = Pictures { real: self.real.clone(), fake, second: None, labels: None, mix };
        self.critic.net.power_iterate(1);
        let tracked = self.critic.net.tracked();
        let terms = self.objective.critic(&tracked.effective(), None, &pictures).expect("a critic's loss");
        let (loss, value) = read(terms);
        let gradients = tracked.gradients(&mut loss.backward());
        self.critic.step(&gradients, self.rate);
        (value, gradients)
    }

    fn generator_step(&mut self) -> (f64, Vec<Tensor<1>>) {
        let tracked = self.generator.net.tracked();
        let pass = tracked.pass(self.latents.clone(), Mode::Train, false).expect("latents");
        self.critic.net.power_iterate(1);
        let fake = pass.output.clone();
        let pictures = Pictures { real: self.real.clone(), fake, second: None, labels: None, mix: None };
        let terms = self.objective.generator(&self.critic.net.effective(), &pictures).expect("a generator's loss");
        let (loss, value) = read(terms);
        let gradients = tracked.gradients(&mut loss.backward());
        self.generator.step(&gradients, self.rate);
        self.generator.net.update_running_statistics(&pass);
        (value, gradients)
    }
}

/// The loss as a tensor and as a number; all its parts are read, as for the log.
fn read(Terms { loss, parts }: Terms) -> (Tensor<1>, f64) {
    for (_, part) in parts {
        place::scalar(part.inner());
    }
    let value = place::scalar(loss.clone().inner());
    (loss, value)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What a step gives, with its milliseconds.
fn timed<T>(step: impl FnOnce() -> T) -> (T, f64) {
    let clock = Instant::now();
    let result = step();
    (result, clock.elapsed().as_secs_f64() * 1e3)
}

fn main() {
    // As in the program.
    kme_conv::scratch::keep_freed_memory();
    let (mut threads, mut runs, mut batch) = (0, 3usize, 64);
    let (mut only, mut file, mut at) = (String::new(), None, Place::cpu());
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--bench" => {}
            "--threads" => threads = value().parse().expect("--threads: a number"),
            "--runs" => runs = value().parse().expect("--runs: a number"),
            "--batch" => batch = value().parse().expect("--batch: a number"),
            "--only" => only = value(),
            "--gradients" => file = Some(value()),
            "--double" => at = Place::cpu_f64(),
            other => panic!("{other}: known are --threads, --runs, --only, --batch, --double, --gradients"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("a pool of threads");
    for case in cases().iter().filter(|case| case.name.contains(&only)) {
        let mut game = Game::new(case, batch, &at);
        let (mut losses, mut bytes) = (Vec::new(), Vec::new());
        // Three rounds to warm up. In the first nothing moves, so that both networks' gradients are those of the same
        // parameters; the last one's losses tell whether the second moved them alike.
        for round in 0..3 {
            game.rate = if round == 0 { 0.0 } else { LEARNING_RATE };
            for step in [Game::critic_step, Game::generator_step] {
                let (loss, gradients) = step(&mut game);
                losses.push(loss);
                if round == 0 && file.is_some() {
                    let numbers = gradients.into_iter().flat_map(place::numbers);
                    bytes.extend(numbers.flat_map(f64::to_le_bytes));
                }
            }
        }
        // In double precision, the critic's gradients and then the generator's, in the order of their parameters.
        if let Some(file) = &file {
            std::fs::write(file, &bytes).expect("a file to write gradients to");
        }
        let (mut critic, mut generator) = (Vec::new(), Vec::new());
        for _ in 0..runs {
            critic.push(timed(|| game.critic_step()).1);
            generator.push(timed(|| game.generator_step()).1);
        }
        let times = if runs == 0 {
            String::new()
        } else {
            format!("\"critic_ms\":{},\"generator_ms\":{},", median(critic), median(generator))
        };
        println!("{{\"row\":\"{}\",\"batch\":{batch},{times}\"losses\":{losses:?}}}", case.name);
    }
}
