//! How the samples of a generator are judged while it is trained.

use super::Context;
use super::config::Config;
use super::feed::HeldOut;
use super::sources;
use super::stock::{Facts, Stock};
use super::task::Numbers;
use crate::evaluate::Reference;
use burn::tensor::Tensor;
use kme::{Data, Error, Estimator, Field, Form, Kernel, Marginals, Observer, Points, Precision, Result};
use kme_image::{Images, evenly, scatter};
use kme_net::{FeatureMap, Generator, place};
use std::sync::Arc;

/// The samples that generated ones are compared with.
pub(super) struct Judge {
    kind: Kind,
    /// Held-out samples, as features.
    held_out: Option<Reference>,
    /// Training samples, as features, where a schedule asks for them.
    training: Option<Reference>,
    network: Option<String>,
}

enum Kind {
    Pictures,
    /// Points, with those on which plots of samples are drawn.
    Points(Points),
}

/// The number for which a check of progress takes another draw of the training data than any step does.
const APART: u64 = 0x6a75_6467_e000_0000;

/// Pixels from which on a network's features take a time that should be told.
const LARGE: usize = 128 * 128;

/// The feature map of scores.
///
/// # Errors
/// When it cannot be had.
pub(super) fn features(config: &Config, context: &Context) -> Result<Arc<dyn FeatureMap>> {
    let name = &config.score.features;
    context.models.feature_map(name, &context.place).map_err(|fault| sources::of_network("score.features", name, fault))
}

impl Judge {
    /// One that judges nothing, for workers that only take steps.
    pub(super) fn absent() -> Self {
        Self { kind: Kind::Pictures, held_out: None, training: None, network: None }
    }

    /// From the held-out samples, in the feature map `map`; training samples are taken out of `stock`. What takes long is
    /// said.
    ///
    /// # Errors
    /// When they cannot be had.
    pub(super) fn new(
        config: &Config,
        map: Arc<dyn FeatureMap>,
        held_out: Option<HeldOut>,
        stock: &mut Stock,
        facts: &Facts,
        observer: &dyn Observer,
    ) -> Result<Self> {
        let mut sample = |n: usize| stock.sample(facts, n, APART);
        let training = match &config.schedule {
            super::config::Schedule::ThreeSample(rule) => Some(sample(rule.samples)?),
            _ => None,
        };
        check_held_out(config, held_out.as_ref(), facts)?;
        if config.data.is_points() {
            let points = |batch: super::feed::Batch| {
                let [n, d, _, _] = batch.shape;
                Points::new(n, d, Data::F32(batch.values))
            };
            let reference = |points: Points| Reference::of_points(points);
            let held_out = match held_out {
                Some(HeldOut::Points(points)) => {
                    Some(reference(points.select(&evenly(points.len(), config.score.count))?))
                }
                _ => None,
            };
            let training = training.map(points).transpose()?.map(reference);
            return Ok(Self { kind: Kind::Points(points(sample(SHOWN)?)?), held_out, training, network: None });
        }
        let network = map.sha256().map(String::from);
        let say_of = |n: usize, what: &str| {
            // Small networks are done before this could be read.
            if map.input().is_some_and(|[_, h, w]| h * w >= LARGE) {
                observer.remark(&format!("computing {} features of {n} {what} pictures", config.score.features));
            }
        };
        let held_out = match held_out {
            Some(HeldOut::Pictures(pictures)) => {
                let some = pictures.gather(&evenly(pictures.len(), config.score.count))?;
                say_of(some.len(), "held-out");
                Some(Reference::new(map.clone(), &some)?)
            }
            _ => None,
        };
        let training = match training {
            Some(batch) => {
                let [n, c, h, w] = batch.shape;
                say_of(n, "training");
                Some(Reference::new(map, &Images::new(n, c, h, w, batch.values)?)?)
            }
            None => None,
        };
        Ok(Self { kind: Kind::Pictures, held_out, training, network })
    }

    /// SHA-256 of the network in whose features it judges, where there is one.
    pub(super) fn network(&self) -> Option<&str> {
        self.network.as_deref()
    }

    /// KID of pictures in the map of scores, MMD² by the energy distance of points; with its standard error. Nothing without
    /// held-out samples.
    ///
    /// # Errors
    /// When a sample is not finite.
    pub(super) fn score(&self, model: &dyn Generator, seed: u64) -> Result<Numbers> {
        let Some(reference) = &self.held_out else { return Ok(Numbers::new()) };
        let (name, error, estimate) = match &self.kind {
            Kind::Pictures => ("kid", "kid_standard_error", reference.kid(&model.sample(reference.count(), seed)?)?),
            Kind::Points(_) => {
                let points = model.points_from(&model.draw(reference.count(), seed))?;
                let found = kme::mmd2(&energy()?, reference.points(), &points, Estimator::Unbiased, Precision::F64)?;
                ("mmd2", "mmd2_standard_error", found)
            }
        };
        Ok(vec![(name, estimate.value), (error, estimate.standard_error.unwrap_or(f64::NAN))])
    }

    /// What a three-sample test needs of `samples` new samples beside the training samples.
    ///
    /// # Errors
    /// When a sample is not finite.
    pub(super) fn sums(&self, model: &dyn Generator, samples: usize, seed: u64) -> Result<Marginals> {
        let reference = self.training.as_ref().ok_or_else(|| {
            Error::unsupported("test the progress", "only the schedule three-sample keeps training samples for it")
        })?;
        let (kernel, new) = match &self.kind {
            Kind::Pictures => {
                (Kernel::kid(reference.points().dim())?, reference.features(&model.sample(samples, seed)?)?)
            }
            Kind::Points(_) => (energy()?, model.points_from(&model.draw(samples, seed))?),
        };
        Marginals::new(&kernel, reference.points(), &new, Precision::F64)
    }

    /// Generated points of shape (n, d) over real ones, in the first two coordinates.
    ///
    /// # Errors
    /// When the samples are pictures.
    pub(super) fn scatter(&self, generated: Tensor<2>) -> Result<Images> {
        let [n, d] = generated.dims();
        let generated = Points::new(n, d, Data::F32(place::numbers_f32(generated)))?;
        match &self.kind {
            Kind::Points(real) => scatter(&generated, Some(real)),
            Kind::Pictures => scatter(&generated, None),
        }
    }
}

/// Real points that plots of samples are drawn on.
const SHOWN: usize = 2000;

fn energy() -> Result<Kernel> {
    Kernel::try_from(Form::Energy { a: 0.0 })
}

/// Refuses held-out samples that generated ones cannot be compared with.
fn check_held_out(config: &Config, held_out: Option<&HeldOut>, facts: &Facts) -> Result<()> {
    let (n, d) = match held_out {
        Some(HeldOut::Pictures(pictures)) => (pictures.len(), None),
        Some(HeldOut::Points(points)) => (points.len(), Some(points.dim())),
        None => return Ok(()),
    };
    let name = config.data.held_out.as_deref().unwrap_or_default();
    if n < 2 {
        return Err(Error::too_few("samples", n, 2, "a score").within(format!("data.held_out = {name}")));
    }
    match d {
        Some(d) if d != facts.shape[0] => {
            let remedy = format!("give points of the dimension of {}", config.data.source);
            let fault = Error::mismatch(Field::Dimension, d, facts.shape[0], remedy);
            Err(fault.within(format!("data.held_out = {name}")))
        }
        _ => Ok(()),
    }
}
