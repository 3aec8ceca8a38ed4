//! A convolutional classifier, trained by cross-entropy; its last hidden layer is a feature map for pictures.

use super::config::{ClassifierObjective, Config};
use super::feed::{Batch, Feed};
use super::learner::Learner;
use super::optimiser::Pace;
use super::parallel::TeamResult;
use super::task::{Finding, Numbers, Sheet, State, Task, first_fault, first_fault_of, restored_net};
use burn::tensor::{Int, Tensor, TensorData, activation};
use kme::rng;
use kme::{Error, Result};
use kme_image::Dataset;
use kme_net::layer::{AveragePool, BatchNorm, Conv, Layer, Linear, Relu, Reshape};
use kme_net::{Classifier, Init, Mode, Net, Place, Provenance, Tensors, flat, place};
use rand::RngExt;
use std::path::Path;

pub(super) struct Trainer {
    config: Config,
    objective: ClassifierObjective,
    classes: Vec<String>,
    features_after: usize,
    made: Provenance,
    learner: Learner,
    feed: Feed,
    held_out: Option<Dataset>,
    place: Place,
}

/// Three stages of convolution, batch norm, ReLU, the first two halved by average pooling; then dense to the features with
/// ReLU, and dense to the classes. Returns the layers and how many of them give the features.
fn layers(size: usize, channels: usize, objective: &ClassifierObjective, classes: usize) -> (Vec<Layer>, usize) {
    let (w, side) = (objective.width, size / 4);
    let mut layers: Vec<Layer> = Vec::new();
    for (inputs, outputs, kernel, pool) in [(channels, w, 5, true), (w, 2 * w, 3, true), (2 * w, 4 * w, 3, false)] {
        layers.push(Conv::new(inputs, outputs, kernel).padding(kernel / 2).without_bias().into());
        layers.push(BatchNorm::new(outputs).into());
        layers.push(Relu {}.into());
        if pool {
            layers.push(AveragePool::new(2).into());
        }
    }
    let inputs = 4 * w * side * side;
    layers.push(Reshape { to: [inputs, 1, 1] }.into());
    layers.push(Linear { inputs, outputs: objective.features, bias: true }.into());
    layers.push(Relu {}.into());
    let features_after = layers.len();
    layers.push(Linear { inputs: objective.features, outputs: classes, bias: true }.into());
    (layers, features_after)
}

/// Refuses held-out pictures whose labels do not mean what the training pictures' labels mean.
fn check_held_out(config: &Config, data: &Feed, held_out: &Dataset, classes: usize) -> Result<()> {
    let source = config.data.held_out.as_deref().unwrap_or_default();
    let Some(labels) = held_out.labels() else {
        return Err(Error::parameter("data.held_out", source, "pictures with labels, like data.source"));
    };
    if held_out.class_names() != data.class_names() {
        let text = |names: Option<&[String]>| names.map_or("no names".into(), |names| names.join(", "));
        return Err(Error::mismatch(
            "classes of data.source and data.held_out",
            text(data.class_names()),
            text(held_out.class_names()),
            "give both the same classes",
        ));
    }
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(label) => Err(Error::value("label in data.held_out", label, format!("from 0 to {}", classes - 1))),
        None => Ok(()),
    }
}

impl Trainer {
    pub(super) fn new(
        config: &Config,
        objective: &ClassifierObjective,
        feed: Feed,
        held_out: Option<Dataset>,
        made: Provenance,
        place: &Place,
    ) -> Result<Self> {
        let classes = feed.classes();
        if classes.is_empty() {
            return Err(Error::parameter(
                "data.source",
                &config.data.source,
                "pictures with labels: a data set with labels, or a folder with one folder for each class",
            ));
        }
        if let Some(held_out) = &held_out {
            check_held_out(config, &feed, held_out, classes.len())?;
        }
        let (size, channels) = config.data.picture()?;
        let (layers, features_after) = layers(size, channels, objective, classes.len());
        let net = Net::new(layers, [channels, size, size], Init::He, config.seed, place)?;
        Ok(Self {
            feed,
            config: config.clone(),
            objective: objective.clone(),
            classes,
            features_after,
            made,
            learner: Learner::new(net, &config.optimiser),
            held_out,
            place: place.clone(),
        })
    }

    fn check_labels(&self, labels: &[u32]) -> Result<()> {
        match labels.iter().find(|&&label| label as usize >= self.classes.len()) {
            Some(label) => Err(Error::parameter("label", label, format!("from 0 to {}", self.classes.len() - 1))),
            None => Ok(()),
        }
    }

    /// Pictures moved by up to `shift` pixels each way; what moves in is black.
    fn augmented(&self, batch: &Batch, step: u64) -> Tensor<4> {
        let [n, c, h, w] = batch.shape;
        let reach = self.objective.shift as i64;
        let mut rng = rng::stream(self.config.seed, "augment", step);
        let mut moved = vec![0.0; n * c * h * w];
        for i in 0..n {
            let (dy, dx) = (rng.random_range(-reach..=reach), rng.random_range(-reach..=reach));
            for (channel, plane) in batch.values[i * c * h * w..][..c * h * w].chunks_exact(h * w).enumerate() {
                let out = &mut moved[(i * c + channel) * h * w..][..h * w];
                for y in 0..h {
                    for x in 0..w {
                        let (sy, sx) = (y as i64 - dy, x as i64 - dx);
                        if (0..h as i64).contains(&sy) && (0..w as i64).contains(&sx) {
                            out[y * w + x] = plane[sy as usize * w + sx as usize];
                        }
                    }
                }
            }
        }
        self.place.tensor(moved, [n, c, h, w])
    }

    fn model(&self, step: u64) -> Classifier {
        Classifier {
            net: self.learner.net.clone(),
            classes: self.classes.clone(),
            features_after: self.features_after,
            made: Provenance { steps: step, ..self.made.clone() },
            sha256: String::new(),
        }
    }
}

impl Task for Trainer {
    fn step(&mut self, step: u64, pace: Pace) -> TeamResult<Numbers> {
        let batch = self.feed.batch(step)?;
        let labels = batch.labels.as_deref().unwrap_or_default();
        self.check_labels(labels)?;
        let n = labels.len();
        let x = self.augmented(&batch, step);
        let net = self.learner.net.tracked();
        let pass = net.pass(x, Mode::Train, false)?;
        let log_probabilities = activation::log_softmax(flat(pass.output.clone()), 1);
        let labels: Vec<i32> = labels.iter().map(|&l| l as i32).collect();
        let labels: Tensor<2, Int> = Tensor::from_data(TensorData::new(labels, [n, 1]), self.place.device());
        let loss = log_probabilities.gather(1, labels).mean().neg();
        let (has_moved, numbers) = self.learner.descend(&net, loss, self.config.optimiser.learning_rate(), pace);
        if has_moved {
            self.learner.net.update_running_statistics(&pass);
        }
        Ok(numbers)
    }

    fn score(&self) -> Result<Numbers> {
        let Some(held_out) = &self.held_out else { return Ok(Vec::new()) };
        let model = self.model(0);
        let mut wrong = 0;
        let all: Vec<usize> = (0..held_out.len()).collect();
        // In parts, so that 8-bit pictures are not all widened at once.
        for indices in all.chunks(1000) {
            let found = model.classify(&held_out.gather(indices)?)?;
            let labels = held_out.labels().unwrap_or_default();
            wrong += found.iter().zip(indices).filter(|&(&class, &i)| class != labels[i] as usize).count();
        }
        Ok(vec![("error_rate", wrong as f64 / held_out.len() as f64)])
    }

    fn samples(&self) -> Result<Option<Sheet>> {
        Ok(None)
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
        if let Some(fault) = first_fault_of("classifier", &self.learner.net) {
            return Ok(Some(fault));
        }
        let batch = self.feed.batch(step)?;
        let x = self.augmented(&batch, step);
        let logits = flat(self.learner.net.forward(x.clone(), Mode::Train)?);
        let (x, y) = (place::numbers_f32(x), place::numbers_f32(logits));
        Ok(first_fault([("pictures", x.as_slice()), ("logits", y.as_slice())]))
    }
}
