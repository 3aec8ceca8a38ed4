//! An autoencoder of dense layers, whose codes a generator can be trained in (GMMN+AE of Li, Swersky and Zemel, ICML 2015).
//!
//! It is trained from the start as a whole by Adam or another optimiser; the layers are not trained one by one before.

use super::config::{AutoencoderObjective, Config};
use super::feed::{Batch, Feed};
use super::learner::Learner;
use super::optimiser::Pace;
use super::parallel::TeamResult;
use super::task::{Finding, Numbers, Sheet, State, Task, first_fault, first_fault_of, restored_net};
use burn::tensor::Tensor;
use kme::Result;
use kme::rng;
use kme_image::{Dataset, Images, evenly};
use kme_net::architecture::autoencoder;
use kme_net::{Autoencoder, Init, Mode, Net, Place, Provenance, Tensors, images_of, place, tensor_of};
use rand::RngExt;
use std::path::Path;

/// Pictures on a sheet, each above what is made of its code.
const SHEET: usize = 10;

pub(super) struct Trainer {
    config: Config,
    objective: AutoencoderObjective,
    made: Provenance,
    learner: Learner,
    /// Layers of the encoder.
    code_after: usize,
    feed: Feed,
    held_out: Option<Dataset>,
    place: Place,
}

impl Trainer {
    pub(super) fn new(
        config: &Config,
        objective: &AutoencoderObjective,
        feed: Feed,
        held_out: Option<Dataset>,
        made: Provenance,
        place: &Place,
    ) -> Result<Self> {
        let shape = feed.shape();
        let encoder = autoencoder::encoder(shape, &objective.units)?;
        let decoder = autoencoder::decoder(&objective.units, shape)?;
        let code_after = encoder.len();
        let layers = encoder.into_iter().chain(decoder).collect();
        let net = Net::new(layers, shape, Init::Glorot, config.seed, place)?;
        Ok(Self {
            config: config.clone(),
            objective: objective.clone(),
            made,
            learner: Learner::new(net, &config.optimiser),
            code_after,
            feed,
            held_out,
            place: place.clone(),
        })
    }

    /// The pictures with some of their pixels set to 0, and as they are.
    fn seen(&self, batch: Batch, step: u64) -> (Tensor<4>, Tensor<4>) {
        let whole: Tensor<4> = self.place.tensor(batch.values.clone(), batch.shape);
        let dropout = self.objective.input_dropout as f32;
        if dropout == 0.0 {
            return (whole.clone(), whole);
        }
        let mut rng = rng::stream(self.config.seed, "dropout", step);
        // What is left is made brighter, so that sums over pixels stay what they are on average.
        let keep = 1.0 / (1.0 - dropout);
        let masked = batch.values.into_iter().map(|v| if rng.random::<f32>() < dropout { 0.0 } else { v * keep });
        (self.place.tensor(masked.collect(), batch.shape), whole)
    }

    fn model(&self, step: u64) -> Autoencoder {
        let made = Provenance { steps: step, ..self.made.clone() };
        Autoencoder { net: self.learner.net.clone(), code_after: self.code_after, made, sha256: String::new() }
    }
}

/// −mean over all pixels of x ln y + (1 − x) ln(1 − y), for pixels x and decoded pixels y.
fn cross_entropy(x: &Tensor<4>, y: Tensor<4>) -> Tensor<1> {
    let y = y.clamp(1e-7, 1.0 - 1e-7);
    let inverse = |t: Tensor<4>| t.neg() + 1.0;
    (x.clone() * y.clone().log() + inverse(x.clone()) * inverse(y).log()).mean().neg()
}

impl Task for Trainer {
    fn step(&mut self, step: u64, pace: Pace) -> TeamResult<Numbers> {
        let batch = self.feed.batch(step)?;
        let (seen, whole) = self.seen(batch, step);
        let net = self.learner.net.tracked();
        let pass = net.pass(seen, Mode::Train, false)?;
        let loss = cross_entropy(&whole, pass.output.clone());
        let (_, numbers) = self.learner.descend(&net, loss, self.config.optimiser.learning_rate(), pace);
        Ok(numbers)
    }

    fn score(&self) -> Result<Numbers> {
        let Some(held_out) = &self.held_out else { return Ok(Vec::new()) };
        let (mut entropy, mut squares) = (0.0, 0.0);
        let all = evenly(held_out.len(), self.config.score.count);
        for indices in all.chunks(500) {
            let x = tensor_of(held_out.gather(indices)?, &self.place);
            let y = self.learner.net.forward(x.clone(), Mode::Evaluate)?;
            let apart = x.clone() - y.clone();
            squares += place::scalar((apart.clone() * apart).mean()) * indices.len() as f64;
            entropy += place::scalar(cross_entropy(&x, y)) * indices.len() as f64;
        }
        let n = all.len() as f64;
        Ok(vec![("held_out_cross_entropy", entropy / n), ("held_out_squared_error", squares / n)])
    }

    fn samples(&self) -> Result<Option<Sheet>> {
        let Some(held_out) = &self.held_out else { return Ok(None) };
        let some = evenly(held_out.len(), SHEET);
        let x = held_out.gather(&some)?;
        let y = images_of(self.learner.net.forward(tensor_of(x.clone(), &self.place), Mode::Evaluate)?)?;
        Ok(Some(Sheet { columns: Some(some.len()), pictures: Images::concat(&[x, y])? }))
    }

    fn write_model(&self, path: &Path, step: u64) -> Result<()> {
        self.model(step).write(path)
    }

    fn state(&self) -> State {
        self.learner.state("net")
    }

    fn restore(&mut self, step: u64, tensors: &Tensors) -> TeamResult<()> {
        Ok(self.learner.restore("net", step, tensors)?)
    }

    fn adopt(&mut self, tensors: &Tensors) -> TeamResult<Vec<String>> {
        self.learner.net = restored_net("net", &self.learner.net, tensors)?;
        Ok(Vec::new())
    }

    fn fault(&mut self, step: u64) -> Result<Option<Finding>> {
        if let Some(fault) = first_fault_of("autoencoder", &self.learner.net) {
            return Ok(Some(fault));
        }
        let batch = self.feed.batch(step)?;
        let (seen, _) = self.seen(batch, step);
        let decoded = self.learner.net.forward(seen.clone(), Mode::Train)?;
        let (x, y) = (place::numbers_f32(seen), place::numbers_f32(decoded));
        Ok(first_fault([("pictures", x.as_slice()), ("decoded pictures", y.as_slice())]))
    }
}
