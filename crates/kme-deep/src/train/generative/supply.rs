//! What the networks of a step are fed with: real samples with their labels, and latents.

use super::super::config;
use super::super::feed::Feed;
use burn::tensor::Tensor;
use kme::rng;
use kme::{Error, Field, Result};
use kme_net::{Autoencoder, Latent, Mode, Net, Place};
use rand::RngExt;
use std::ops::Range;

/// The samples and latents of every step. All of them follow from the seed and the number of a batch.
pub(super) struct Supply {
    feed: Feed,
    /// Encoder and decoder: real samples are encoded, and what the generator makes is decoded.
    autoencoder: Option<(Net, Net)>,
    latent: Latent,
    /// Where labels are seen, how many there are.
    classes: usize,
    batch: usize,
    seed: u64,
    place: Place,
}

/// A batch of real samples with the labels that all networks see, where they see any.
pub(super) struct Real {
    pub(super) samples: Tensor<4>,
    /// One-hot labels, (n, classes, 1, 1).
    pub(super) labels: Option<Tensor<4>>,
}

impl Supply {
    /// The batches of `feed`, of `batch` samples each, encoded where there is an autoencoder.
    pub(super) fn new(
        feed: Feed,
        autoencoder: Option<Autoencoder>,
        generator: &config::Generator,
        config: &config::Config,
        place: &Place,
    ) -> Result<Self> {
        let autoencoder = autoencoder.map(|a| Ok::<_, Error>((a.encoder()?, a.decoder()?))).transpose()?;
        if let Some((encoder, _)) = &autoencoder
            && encoder.input() != feed.shape()
        {
            let [found, allowed] = [feed.shape(), encoder.input()].map(|shape| format!("{shape:?}"));
            let field = Field::Shape("the data and the autoencoder's input".into());
            return Err(Error::mismatch(field, found, allowed, "train one of such data"));
        }
        let classes = if generator.conditional { feed.classes().len() } else { 0 };
        if generator.conditional && classes == 0 {
            let allowed = "samples with labels, since generator.conditional is true";
            return Err(Error::parameter("data.source", &config.data.source, allowed));
        }
        let (latent, batch, seed, place) = (generator.latent, config.batch, config.seed, place.clone());
        Ok(Self { feed, autoencoder, latent, classes, batch, seed, place })
    }

    /// Channels, height and width of what the generator makes and the critic sees.
    pub(super) fn shape(&self) -> [usize; 3] {
        self.autoencoder.as_ref().map_or(self.feed.shape(), |(encoder, _)| encoder.output())
    }

    /// Number of labels that are seen.
    pub(super) fn classes(&self) -> usize {
        self.classes
    }

    /// Their names.
    pub(super) fn class_names(&self) -> Vec<String> {
        if self.classes > 0 { self.feed.classes() } else { Vec::new() }
    }

    /// From what the generator makes to samples, where these are something else.
    pub(super) fn decoder(&self) -> Option<&Net> {
        self.autoencoder.as_ref().map(|(_, decoder)| decoder)
    }

    /// The rows `rows` of constant latents for draw number `index`, with the labels behind them.
    pub(super) fn latents(
        &self,
        rows: Range<usize>,
        purpose: &str,
        index: u64,
        labels: Option<&Tensor<4>>,
    ) -> Tensor<4> {
        let dim = self.latent.dim;
        let mut z = self.latent.draw(rows.end, &mut rng::stream(self.seed, purpose, index));
        let z = self.place.tensor(z.split_off(rows.start * dim), [rows.len(), dim, 1, 1]);
        match labels {
            None => z,
            Some(labels) => Tensor::cat(vec![z, labels.clone()], 1),
        }
    }

    /// The rows `rows` of batch number `draw`.
    pub(super) fn real(&mut self, draw: u64, rows: Range<usize>) -> Result<Real> {
        let mut batch = self.feed.batch(draw)?;
        let [n, c, h, w] = batch.shape;
        debug_assert_eq!(n, self.batch);
        let labels = match (self.classes, &batch.labels) {
            (0, _) => None,
            (_, Some(labels)) => Some(self.one_hot(&labels[rows.clone()])?),
            (_, None) => return Err(Error::missing("labels", "give one for each sample")),
        };
        batch.values.truncate(rows.end * c * h * w);
        let samples = self.place.tensor(batch.values.split_off(rows.start * c * h * w), [rows.len(), c, h, w]);
        let samples = match &self.autoencoder {
            None => samples,
            Some((encoder, _)) => encoder.forward(samples, Mode::Evaluate)?,
        };
        Ok(Real { samples, labels })
    }

    /// Labels as unit vectors, (n, classes, 1, 1).
    fn one_hot(&self, labels: &[u32]) -> Result<Tensor<4>> {
        let classes = self.classes;
        if let Some(label) = labels.iter().find(|&&label| label as usize >= classes) {
            return Err(Error::parameter("label", label, format!("from 0 to {}", classes - 1)));
        }
        let numbers =
            labels.iter().flat_map(|&label| (0..classes).map(move |c| if c == label as usize { 1.0 } else { 0.0 }));
        Ok(self.place.tensor(numbers.collect(), [labels.len(), classes, 1, 1]))
    }

    /// Labels for `n` samples that people look at: all classes alike often, in order.
    pub(super) fn labels_in_order(&self, n: usize) -> Result<Option<Tensor<4>>> {
        if self.classes == 0 {
            return Ok(None);
        }
        let labels: Vec<u32> = (0..n).map(|i| (i * self.classes / n) as u32).collect();
        self.one_hot(&labels).map(Some)
    }

    /// Labels as planes over the picture.
    pub(super) fn planes(&self, labels: &Option<Tensor<4>>) -> Option<Tensor<4>> {
        let [_, h, w] = self.shape();
        labels.as_ref().map(|labels| {
            let [n, k, _, _] = labels.dims();
            labels.clone().expand([n, k, h, w])
        })
    }

    /// Where between real and generated samples a gradient penalty looks in step `draw` of the critic.
    pub(super) fn mix(&self, draw: u64, rows: Range<usize>) -> Tensor<4> {
        let mut rng = rng::stream(self.seed, "penalty", draw);
        let mut mix: Vec<f32> = (0..rows.end).map(|_| rng.random()).collect();
        self.place.tensor(mix.split_off(rows.start), [rows.len(), 1, 1, 1])
    }
}
