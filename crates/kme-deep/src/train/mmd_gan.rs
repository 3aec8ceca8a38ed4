//! The MMD GAN: a generator against the MMD in a learned feature space.
//!
//! With critic features h, kernel k and the unbiased estimate M of MMD² between real and generated features, the critic
//! minimises −M + λ·(gradient penalty) + λ'·(activation penalty), the generator minimises M.
//! Reference: Bińkowski, Sutherland, Arbel, Gretton, "Demystifying MMD GANs", ICLR 2018.

use super::batches::Batches;
use super::config::{Config, MmdGan};
use super::optimiser::Optimiser;
use super::task::{Numbers, Task, net_state, prefixed, restored_net};
use crate::data::Dataset;
use crate::evaluate::Reference;
use crate::image::Images;
use crate::loss::{activation_penalty, flat, gradient_penalty, mmd2_unbiased};
use crate::model::{Generator, Made, images_of, tensor_of};
use crate::net::file::Tensors;
use crate::net::{Init, Mode, Net, Place, dcgan_critic, dcgan_generator, place};
use burn::tensor::Tensor;
use kme::kernel::Kernel;
use kme::{Result, rng};
use rand::RngExt;
use std::path::Path;

/// Pictures on a sample sheet.
const SHEET: usize = 100;

pub(super) struct Trainer {
    config: Config,
    gan: MmdGan,
    kernel: Kernel,
    made: Made,
    generator: Net,
    average: Net,
    critic: Net,
    generator_adam: Optimiser,
    critic_adam: Optimiser,
    batches: Batches,
    reference: Option<Reference>,
    place: Place,
}

impl Trainer {
    pub fn new(
        config: &Config,
        gan: &MmdGan,
        data: &Dataset,
        reference: Option<Reference>,
        made: Made,
        place: &Place,
    ) -> Result<Self> {
        let (size, channels) = config.data.picture()?;
        let layers = dcgan_generator(size, channels, gan.generator_width, gan.latent.dim)?;
        let generator = Net::new(layers, [gan.latent.dim, 1, 1], Init::Dcgan, config.seed, place)?;
        let layers = dcgan_critic(size, channels, gan.critic_width, gan.top)?;
        // Another seed than the generator's, so that no two layers start alike.
        let critic = Net::new(layers, [channels, size, size], Init::Dcgan, config.seed ^ 0xc717_1c00, place)?;
        let adam = |net: &Net| {
            Optimiser::new(&config.optimiser, net.params().iter().filter(|p| p.is_trained()).count(), config.steps)
        };
        Ok(Self {
            kernel: gan.kernel.resolve(gan.top, || Err(kme::Error::value(
                "kernel",
                &gan.kernel,
                "a kernel with numbers for its bandwidths: the critic's features move, so there is no median to take",
            )))?,
            generator_adam: adam(&generator),
            critic_adam: adam(&critic),
            batches: Batches::new(data.len(), config.batch, config.seed),
            average: generator.clone(),
            generator,
            critic,
            config: config.clone(),
            gan: gan.clone(),
            made,
            reference,
            place: place.clone(),
        })
    }

    /// Constant latents for draw number `index`.
    fn latents(&self, n: usize, purpose: &str, index: u64) -> Tensor<4> {
        let z = self.gan.latent.draw(n, &mut rng::stream(self.config.seed, purpose, index));
        self.place.tensor(z, [n, self.gan.latent.dim, 1, 1])
    }

    fn critic_step(&mut self, step: u64, draw: u64, data: &Dataset) -> Result<Numbers> {
        let n = self.config.batch;
        let real = tensor_of(data.gather(&self.batches.get(draw))?, &self.place);
        let fake = self.generator.forward(self.latents(n, "critic latents", draw), Mode::Train)?;
        let critic = self.critic.tracked();
        let pass = critic.pass(
            Tensor::cat(vec![real.clone(), fake.clone()], 0),
            Mode::Train,
            self.gan.activation_penalty > 0.0,
        )?;
        let features = flat(pass.output);
        let (x, y) = (features.clone().slice(0..n), features.slice(n..2 * n));
        let mmd2 = mmd2_unbiased(&self.kernel, &x, &y)?;
        let mut loss = mmd2.clone().neg();
        let mut numbers = vec![("critic_mmd2", place::scalar(mmd2.inner()))];
        if self.gan.gradient_penalty > 0.0 {
            let mut rng = rng::stream(self.config.seed, "penalty", draw);
            let mix: Vec<f32> = (0..n).map(|_| rng.random()).collect();
            let mix = self.place.tensor(mix, [n, 1, 1, 1]);
            let between = real.clone() + (fake - real) * mix;
            let penalty = gradient_penalty(&self.kernel, &critic, between, &x, &y)?;
            numbers.push(("gradient_penalty", place::scalar(penalty.clone().inner())));
            loss = loss + penalty * self.gan.gradient_penalty;
        }
        if let Some(penalty) = activation_penalty(&pass.activations) {
            numbers.push(("activation_penalty", place::scalar(penalty.clone().inner())));
            loss = loss + penalty * self.gan.activation_penalty;
        }
        let gradients = critic.gradients(loss.backward());
        self.critic = self.critic_adam.step(&self.critic, gradients, step);
        Ok(numbers)
    }

    fn generator_step(&mut self, step: u64, draw: u64, data: &Dataset) -> Result<Numbers> {
        let n = self.config.batch;
        let real = tensor_of(data.gather(&self.batches.get(draw))?, &self.place);
        let x = flat(self.critic.forward(real, Mode::Train)?);
        let generator = self.generator.tracked();
        let pass = generator.pass(self.latents(n, "generator latents", step), Mode::Train, false)?;
        let y = flat(self.critic.forward(pass.output.clone(), Mode::Train)?);
        let mmd2 = mmd2_unbiased(&self.kernel, &x, &y)?;
        let loss = place::scalar(mmd2.clone().inner());
        let gradients = generator.gradients(mmd2.backward());
        self.generator = self.generator_adam.step(&self.generator, gradients, step);
        self.generator.update_running_statistics(&pass);
        self.move_average(step);
        Ok(vec![("generator_mmd2", loss)])
    }

    /// The average follows quickly at first: its decay is at most (1 + t)/(10 + t) at step t.
    fn move_average(&mut self, step: u64) {
        let decay = self.gan.ema_decay.min((1.0 + step as f64) / (10.0 + step as f64));
        let mut latest = self.generator.params().iter();
        self.average = self.average.map_values(|p| {
            let new = latest.next().expect("average and generator have the same parameters").value.clone();
            if self.gan.ema_decay == 0.0 { new } else { p.value.clone() * decay + new * (1.0 - decay) }
        });
    }

    fn model(&self, step: u64) -> Generator {
        Generator {
            net: self.average.clone(),
            latent: self.gan.latent,
            classes: Vec::new(),
            points: false,
            features: self.gan.features.clone(),
            made: Made { steps: step, ..self.made.clone() },
            sha256: String::new(),
        }
    }
}

impl Task for Trainer {
    fn step(&mut self, step: u64, data: &Dataset) -> Result<Numbers> {
        let draws = step * (self.gan.critic_steps + 1);
        let mut numbers = Numbers::new();
        for i in 0..self.gan.critic_steps {
            numbers = self.critic_step(step, draws + i, data)?;
        }
        numbers.extend(self.generator_step(step, draws + self.gan.critic_steps, data)?);
        numbers.push(("learning_rate", self.generator_adam.learning_rate(step)));
        Ok(numbers)
    }

    fn score(&self) -> Result<Numbers> {
        let Some(reference) = &self.reference else { return Ok(Vec::new()) };
        let kid = reference.kid(&self.model(0).sample(reference.count(), self.config.seed)?)?;
        Ok(vec![("kid", kid.value), ("kid_standard_error", kid.standard_error.unwrap_or(f64::NAN))])
    }

    fn samples(&self) -> Result<Option<Images>> {
        let pictures = self.average.forward(self.latents(SHEET, "sheet", 0), Mode::Evaluate)?;
        images_of(pictures).map(Some)
    }

    fn write_model(&self, path: &Path, step: u64) -> Result<()> {
        self.model(step).write(path)
    }

    fn state(&self) -> Vec<(String, Vec<usize>, Vec<f32>)> {
        let mut state = net_state("generator", &self.generator);
        state.extend(net_state("average", &self.average));
        state.extend(net_state("critic", &self.critic));
        state.extend(prefixed("generator-adam", self.generator_adam.tensors(&self.generator)));
        state.extend(prefixed("critic-adam", self.critic_adam.tensors(&self.critic)));
        state
    }

    fn restore(&mut self, step: u64, tensors: &Tensors) -> Result<()> {
        self.generator = restored_net("generator", &self.generator, tensors)?;
        self.average = restored_net("average", &self.average, tensors)?;
        self.critic = restored_net("critic", &self.critic, tensors)?;
        let stored = |prefix: &str, name: &str| tensors.get(&format!("{prefix}.{name}")).map(|(_, v)| v.clone());
        self.generator_adam.restore(&self.generator, step, |name| stored("generator-adam", name))?;
        self.critic_adam.restore(&self.critic, step, |name| stored("critic-adam", name))
    }
}
