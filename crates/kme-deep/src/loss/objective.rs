//! An objective: a divergence of critic features and what regularises the critic, as one loss for either side.

use super::divergence::{Divergence, Features};
use super::penalty::{activation_penalty, asymmetric_penalty, gradient_penalty, order_term, reconstruction_penalty};
use super::scale::Scale;
use crate::range::within;
use burn::tensor::Tensor;
use kme::{Error, Result};
use kme_net::{Mode, Net, Pass, flat};
use std::sync::Arc;

/// The weights of the regularisers; 0 or nothing leaves one out.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Regulariser {
    /// Of [`gradient_penalty`], in the critic's loss.
    pub gradient_penalty: f64,
    /// Of [`activation_penalty`], in the critic's loss.
    pub activation_penalty: f64,
    /// Of [`asymmetric_penalty`], in the critic's loss.
    pub asymmetric: f64,
    /// Of [`order_term`], in both.
    pub order: f64,
    /// Of [`reconstruction_penalty`], real plus generated pictures, in the critic's loss; needs a decoder.
    pub reconstruction: f64,
    /// The factor σ² or σ of the Scaled MMD, in both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
}

impl Regulariser {
    /// Refuses weights out of range.
    pub(crate) fn check(&self) -> Result<()> {
        for (key, value) in [
            ("gradient_penalty", self.gradient_penalty),
            ("activation_penalty", self.activation_penalty),
            ("asymmetric", self.asymmetric),
            ("order", self.order),
            ("reconstruction", self.reconstruction),
        ] {
            within(&format!("regulariser.{key}"), value, 0.0..=1e6)?;
        }
        let Some(scale) = &self.scale else { return Ok(()) };
        within("regulariser.scale.weight", scale.weight, 0.0..=1e9)?;
        within("regulariser.scale.offset", scale.offset, 1e-9..=1e9)
    }
}

/// A divergence and its regularisers.
///
/// With D the divergence's value for the critic, D_g its value for the generator:
///
/// critic's loss = −(σ·D + order·T) + gradient_penalty·GP + activation_penalty·A + asymmetric·P + reconstruction·R,
///
/// generator's loss = σ·D_g + order·T.
#[derive(Clone, Debug)]
pub struct Objective {
    /// D.
    pub divergence: Arc<dyn Divergence>,
    /// The weights of the penalties, and σ.
    pub regulariser: Regulariser,
}

/// The pictures of one step, all of shape (n, c, h, w).
pub struct Pictures {
    /// Of the data.
    pub real: Tensor<4>,
    /// Of the generator.
    pub fake: Tensor<4>,
    /// A second generated batch, where the divergence [needs one](Divergence::needs_second).
    pub second: Option<Tensor<4>>,
    /// What is appended to the channels of all of them: labels as planes.
    pub labels: Option<Tensor<4>>,
    /// Where between real and generated the gradient penalty looks: 0 is real, 1 generated; shape (n, 1, 1, 1).
    pub mix: Option<Tensor<4>>,
}

/// A loss and the numbers that it is made of.
pub struct Terms {
    /// What is minimised.
    pub loss: Tensor<1>,
    /// The divergence, the penalties without their weights, σ², by name.
    pub parts: Vec<(&'static str, Tensor<1>)>,
}

/// What the critic made of a step's pictures.
pub(crate) struct Seen {
    pub features: Features,
    activations: Vec<Tensor<4>>,
    /// The pass over the real pictures alone, kept where the scale is asked for.
    real: Option<Pass>,
}

impl Pictures {
    fn input(&self, pictures: &Tensor<4>) -> Tensor<4> {
        match &self.labels {
            None => pictures.clone(),
            Some(labels) => Tensor::cat(vec![pictures.clone(), labels.clone()], 1),
        }
    }

    fn channels(&self) -> usize {
        self.real.dims()[1]
    }
}

impl Seen {
    /// The activation penalty, where activations were kept for one.
    pub(crate) fn activation_penalty(&self) -> Option<Tensor<1>> {
        activation_penalty(&self.activations)
    }
}

impl Objective {
    /// A divergence with these regularisers.
    pub fn new(divergence: impl Divergence + 'static, regulariser: Regulariser) -> Self {
        Self { divergence: Arc::new(divergence), regulariser }
    }

    /// The critic's loss. `critic` is [tracked](Net::tracked), and so is `decoder`.
    ///
    /// # Errors
    /// When shapes do not fit, or a regulariser is not defined for the divergence.
    pub fn critic(&self, critic: &Net, decoder: Option<&Net>, pictures: &Pictures) -> Result<Terms> {
        let regulariser = &self.regulariser;
        let seen = self.see(critic, pictures)?;
        let features = &seen.features;
        let value = self.divergence.critic(features)?;
        let variation = self.variation(critic, &seen, pictures)?;
        let (gain, mut parts) = self.gain(value, variation, features);
        let mut loss = gain.neg();
        let mut penalise = |name: &'static str, weight: f64, penalty: Tensor<1>| {
            loss = loss.clone() + penalty.clone() * weight;
            parts.push((name, penalty));
        };
        if let Some(penalty) = self.penalty_between(critic, pictures, features)? {
            penalise("gradient_penalty", regulariser.gradient_penalty, penalty);
        }
        if let Some(penalty) = seen.activation_penalty() {
            penalise("activation_penalty", regulariser.activation_penalty, penalty);
        }
        if regulariser.asymmetric > 0.0 {
            penalise("asymmetric_penalty", regulariser.asymmetric, asymmetric_penalty(features));
        }
        if let Some(penalty) = self.reconstruction(decoder, pictures, features)? {
            penalise("reconstruction", regulariser.reconstruction, penalty);
        }
        parts.push(("real_features", features.real.clone().mean()));
        parts.push(("generated_features", features.fake.clone().mean()));
        Ok(Terms { loss, parts })
    }

    /// σ·D + order·T from D, with what it is made of: all that needs the features of all samples but the penalties.
    pub(crate) fn gain(
        &self,
        value: Tensor<1>,
        variation: Option<Tensor<1>>,
        features: &Features,
    ) -> (Tensor<1>, Vec<(&'static str, Tensor<1>)>) {
        let mut parts = vec![(self.divergence.names()[0], value.clone())];
        let mut gain = value;
        if let Some(square) = self.square(variation) {
            parts.push(("scale", square.clone()));
            gain = gain * Scale::factor(&*self.divergence, square);
        }
        if self.regulariser.order > 0.0 {
            let order = order_term(features);
            gain = gain + order.clone() * self.regulariser.order;
            parts.push(("order", order));
        }
        (gain, parts)
    }

    /// The [expectation in σ²](Scale::variation) over these real pictures, where there is a scale.
    pub(crate) fn variation(&self, critic: &Net, seen: &Seen, pictures: &Pictures) -> Result<Option<Tensor<1>>> {
        let (Some(scale), Some(pass)) = (&self.regulariser.scale, &seen.real) else { return Ok(None) };
        scale.variation(&*self.divergence, critic, pass, pictures.channels()).map(Some)
    }

    /// σ² from its expectation.
    pub(crate) fn square(&self, variation: Option<Tensor<1>>) -> Option<Tensor<1>> {
        self.regulariser.scale.as_ref().zip(variation).map(|(scale, variation)| scale.square_of(variation))
    }

    /// The gradient penalty at points between these pictures, where it is asked for; `features` tell real from generated.
    pub(crate) fn penalty_between(
        &self,
        critic: &Net,
        pictures: &Pictures,
        features: &Features,
    ) -> Result<Option<Tensor<1>>> {
        if self.regulariser.gradient_penalty <= 0.0 {
            return Ok(None);
        }
        let remedy = "the gradient penalty needs a number from 0 to 1 for each sample";
        let mix = pictures.mix.clone().ok_or_else(|| Error::missing("mix", remedy))?;
        let between = pictures.real.clone() + (pictures.fake.clone() - pictures.real.clone()) * mix;
        let channels = pictures.channels();
        gradient_penalty(&*self.divergence, critic, pictures.input(&between), channels, features).map(Some)
    }

    /// The reconstruction penalty of these pictures from their own features, where it is asked for.
    pub(crate) fn reconstruction(
        &self,
        decoder: Option<&Net>,
        pictures: &Pictures,
        features: &Features,
    ) -> Result<Option<Tensor<1>>> {
        if self.regulariser.reconstruction <= 0.0 {
            return Ok(None);
        }
        let remedy = "the reconstruction penalty needs a network from features to samples";
        let decoder = decoder.ok_or_else(|| Error::missing("critic.decoder", remedy))?;
        let real = reconstruction_penalty(decoder, &features.real, &pictures.real)?;
        let fake = reconstruction_penalty(decoder, &features.fake, &pictures.fake)?;
        Ok(Some(real + fake))
    }

    /// The generator's loss: `critic` is constant, `pictures.fake` (and `second`) depend on the generator.
    ///
    /// # Errors
    /// When shapes do not fit, or the scale is not defined for the divergence.
    pub fn generator(&self, critic: &Net, pictures: &Pictures) -> Result<Terms> {
        let (features, variation) = self.see_generated(critic, pictures)?;
        self.generator_of(&[features], self.square(variation))
    }

    /// The features that the generator's loss is of, and the [expectation in σ²](Scale::variation) where there is a scale.
    ///
    /// # Errors
    /// As [`generator`](Self::generator).
    pub fn see_generated(&self, critic: &Net, pictures: &Pictures) -> Result<(Features, Option<Tensor<1>>)> {
        let forward = |x: &Tensor<4>| Ok::<_, Error>(flat(critic.forward(pictures.input(x), Mode::Train)?));
        // The scale looks at real pictures and the critic alone, both constant here.
        let (variation, real) = match &self.regulariser.scale {
            None => (None, forward(&pictures.real)?),
            Some(scale) => {
                let pass = critic.pass(pictures.input(&pictures.real), Mode::Train, false)?;
                let variation = scale.variation(&*self.divergence, critic, &pass, pictures.channels())?;
                (Some(variation), flat(pass.output))
            }
        };
        let second = pictures.second.as_ref().map(forward).transpose()?;
        Ok((Features { real, fake: forward(&pictures.fake)?, second }, variation))
    }

    /// The generator's loss from features, with σ² where there is a scale: the sum over all tensors of features, such as those
    /// of several layers.
    ///
    /// # Errors
    /// When the features do not fit the divergence, or there are none.
    pub fn generator_of(&self, features: &[Features], square: Option<Tensor<1>>) -> Result<Terms> {
        let mut values = features.iter().map(|features| self.divergence.generator(features));
        let first = values.next().ok_or_else(|| Error::too_few("tensors of features", 0, 1, "a loss"))?;
        let value = values.try_fold(first?, |sum, value| Ok::<_, Error>(sum + value?))?;
        let mut parts = vec![(self.divergence.names()[1], value.clone())];
        let mut loss = value;
        if let Some(square) = square {
            loss = loss * Scale::factor(&*self.divergence, square.detach());
        }
        if self.regulariser.order > 0.0 {
            for features in features {
                loss = loss + order_term(features) * self.regulariser.order;
            }
        }
        parts.push(("generator_loss", loss.clone()));
        Ok(Terms { loss, parts })
    }

    /// One pass over all pictures together, or one over either kind alone: where the scale needs it, and where a critic has
    /// batch normalisation, which then has the statistics of one kind here as in the generator's loss.
    pub(crate) fn see(&self, critic: &Net, pictures: &Pictures) -> Result<Seen> {
        let keep = self.regulariser.activation_penalty > 0.0;
        let n = pictures.real.dims()[0];
        let m = pictures.fake.dims()[0];
        let (real, fake) = (pictures.input(&pictures.real), pictures.input(&pictures.fake));
        let second =
            pictures.second.as_ref().map(|x| Ok::<_, Error>(flat(critic.forward(pictures.input(x), Mode::Train)?)));
        let second = second.transpose()?;
        if self.regulariser.scale.is_some() || critic.has_batch_norm() {
            let (real, fake) = (critic.pass(real, Mode::Train, keep)?, critic.pass(fake, Mode::Train, keep)?);
            // Either batch is half of what the penalty averages over.
            let both = real.activations.iter().zip(&fake.activations);
            let activations = both.map(|(a, b)| Tensor::cat(vec![a.clone(), b.clone()], 0)).collect();
            let features = Features { real: flat(real.output.clone()), fake: flat(fake.output), second };
            return Ok(Seen { features, activations, real: Some(real) });
        }
        let pass = critic.pass(Tensor::cat(vec![real, fake], 0), Mode::Train, keep)?;
        let all = flat(pass.output);
        let features = Features { real: all.clone().slice(0..n), fake: all.slice(n..n + m), second };
        Ok(Seen { features, activations: pass.activations, real: None })
    }
}
