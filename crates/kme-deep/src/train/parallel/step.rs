//! The gradients of one step, of the samples of all workers together.
//!
//! Each of R workers has n/R real and as many generated samples. A step has three parts:
//!
//! 1. Each worker's critic sees its own samples. The features of all are gathered, as values: X, Y (and the second
//!    generated batch, and the mean E in σ²), leaves of a new computation.
//! 2. The loss is computed of X, Y, E by every worker: the divergence, σ, means of features are those of the whole batch.
//!    The gradient penalty is a mean over samples: each worker adds 1/R of its own, with the witness of X and Y. It depends
//!    on the critic's parameters both directly and through X and Y, so the gradients in X and Y are summed over workers.
//! 3. Each worker carries its rows of these gradients back through its own critic, with 1/R of what else is a mean over its
//!    samples (activation penalty, reconstruction). Gradients in the parameters are summed over workers.
//!
//! By the chain rule the sum is the gradient of the loss of all samples. What is computed by all workers alike (2) costs
//! little beside the networks: it knows features alone.

use super::{Collective, TeamResult};
use crate::loss::{Features, Objective, Pictures, Terms, asymmetric_penalty};
use crate::train::Numbers;
use crate::train::optimiser::gradient_norm;
use burn::tensor::{Gradients, Tensor};
use kme::{Error, Field, Result};
use kme_net::{Net, place};

/// Where a loss goes down, and what it is made of. The same bits for all workers.
pub struct StepGradients {
    /// Of the trained parameters, in order; not to be followed where a number is not finite.
    pub gradients: Vec<Tensor<1>>,
    /// Of those of the critic's decoder, where there is one.
    pub decoder: Vec<Tensor<1>>,
    /// The loss and its parts, and the norm of the gradients.
    pub numbers: Numbers,
}

impl StepGradients {
    /// Whether all numbers are finite.
    pub fn is_finite(&self) -> bool {
        self.numbers.iter().all(|(_, value)| value.is_finite())
    }
}

/// Down the [critic's loss](Objective::critic) of the pictures of all workers; `pictures` are this worker's, as many as
/// every other's.
///
/// # Errors
/// When shapes do not fit, a regulariser is not defined for the divergence, or a worker has left.
pub fn critic(
    objective: &Objective,
    critic: &Net,
    decoder: Option<&Net>,
    pictures: &Pictures,
    team: &dyn Collective,
) -> TeamResult<StepGradients> {
    if team.size() == 1 {
        return Ok(whole_critic(objective, critic, decoder, pictures)?);
    }
    let regulariser = &objective.regulariser;
    let part = 1.0 / team.size() as f64;

    let (seeing, decoder) = (critic.tracked(), decoder.map(Net::tracked));
    let effective = seeing.effective();
    let seen = objective.see(&effective, pictures)?;
    let variation = objective.variation(&effective, &seen, pictures)?;
    let own = std::slice::from_ref(&seen.features);
    let all = Gathered::new(own, variation.as_ref(), team)?;
    let features = &all.features[0];

    // Other leaves for the same parameters: this graph is gone after its backward pass, and the first is still needed.
    let judging = critic.tracked();
    let value = objective.divergence.critic(features)?;
    let (gain, joint) = objective.gain(value, all.variation.clone(), features);
    let mut loss = gain.neg();
    let asymmetric = (regulariser.asymmetric > 0.0).then(|| asymmetric_penalty(features));
    if let Some(penalty) = &asymmetric {
        loss = loss + penalty.clone() * regulariser.asymmetric;
    }
    let joint_loss = scalar(&loss);
    let between = objective.penalty_between(&judging.effective(), pictures, &all.beside_own(features))?;
    if let Some(penalty) = &between {
        loss = (loss + penalty.clone() * regulariser.gradient_penalty) * part;
    }
    let mut gradients = loss.backward();
    let direct = judging.gradients(&mut gradients);
    let mut pull = all.gradients(&mut gradients);
    if between.is_some() {
        pull = team.sum(pull)?;
    }

    let mut own = all.along(&pull, own, true);
    if let Some(variation) = variation {
        own = own + variation * pull[pull.len() - 1].clone() * part;
    }
    // Means over samples, with their weights: the loss's are the means over workers.
    let activation = seen.activation_penalty();
    let reconstruction = objective.reconstruction(decoder.as_ref(), pictures, &seen.features)?;
    for (penalty, weight) in
        [(&activation, regulariser.activation_penalty), (&reconstruction, regulariser.reconstruction)]
    {
        if let Some(penalty) = penalty {
            own = own + penalty.clone() * (weight * part);
        }
    }
    let mut gradients = own.backward();
    let mut mine: Vec<Tensor<1>> =
        seeing.gradients(&mut gradients).into_iter().zip(direct).map(|(through, direct)| through + direct).collect();
    let count = mine.len();
    mine.extend(decoder.iter().flat_map(|net| net.gradients(&mut gradients)));
    let decoders = mine.len() - count;
    let means = [between, activation, reconstruction];
    mine.extend(means.iter().flatten().map(|mean| mean.clone().inner() * part));
    let mut sums = team.sum(mine)?;
    let found: Vec<f64> = sums.split_off(count + decoders).into_iter().map(place::scalar).collect();
    let decoder = sums.split_off(count);

    let mut found = found.into_iter();
    let [between, activation, reconstruction] = means.map(|mean| mean.and_then(|_| found.next()));
    let mut numbers = numbers_of(joint);
    let mut total = joint_loss;
    for (name, weight, value) in [
        ("gradient_penalty", regulariser.gradient_penalty, between),
        ("activation_penalty", regulariser.activation_penalty, activation),
        ("asymmetric_penalty", 0.0, asymmetric.as_ref().map(scalar)),
        ("reconstruction", regulariser.reconstruction, reconstruction),
    ] {
        if let Some(value) = value {
            numbers.push((name, value));
            total += weight * value;
        }
    }
    numbers.push(("real_features", scalar(&features.real.clone().mean())));
    numbers.push(("generated_features", scalar(&features.fake.clone().mean())));
    numbers.push(("critic_loss", total));
    numbers.push(("critic_gradient_norm", gradient_norm(sums.iter().chain(&decoder))));
    Ok(StepGradients { gradients: sums, decoder, numbers })
}

/// Down the [generator's loss](Objective::generator_of) of the features of all workers; `features` are those of this
/// worker's samples, a tensor for each layer that is looked at, as many as every other's, and depend on the [tracked](Net::tracked) `generator`. `variation` is the
/// mean of [`Scale::variation`](crate::loss::Scale::variation) over them, where there is a scale.
///
/// # Errors
/// When shapes do not fit, or a worker has left.
pub fn generator(
    objective: &Objective,
    generator: &Net,
    features: &[Features],
    variation: Option<Tensor<1>>,
    team: &dyn Collective,
) -> TeamResult<StepGradients> {
    if team.size() == 1 {
        let Terms { loss, parts } = objective.generator_of(features, objective.square(variation))?;
        let gradients = generator.gradients(&mut loss.backward());
        return Ok(of_generator(gradients, numbers_of(parts)));
    }
    let all = Gathered::new(features, variation.as_ref(), team)?;
    let Terms { loss, parts } = objective.generator_of(&all.features, objective.square(all.variation.clone()))?;
    let pull = all.gradients(&mut loss.backward());
    let mut gradients = all.along(&pull, features, false).backward();
    let gradients = team.sum(generator.gradients(&mut gradients))?;
    Ok(of_generator(gradients, numbers_of(parts)))
}

fn of_generator(gradients: Vec<Tensor<1>>, mut numbers: Numbers) -> StepGradients {
    numbers.push(("generator_gradient_norm", gradient_norm(&gradients)));
    StepGradients { gradients, decoder: Vec::new(), numbers }
}

/// The loss of one worker, in one graph.
fn whole_critic(
    objective: &Objective,
    critic: &Net,
    decoder: Option<&Net>,
    pictures: &Pictures,
) -> Result<StepGradients> {
    let tracked = critic.tracked();
    let decoder = decoder.map(Net::tracked);
    let Terms { loss, parts } = objective.critic(&tracked.effective(), decoder.as_ref(), pictures)?;
    let mut numbers = numbers_of(parts);
    let value = scalar(&loss);
    numbers.push(("critic_loss", value));
    let mut gradients = loss.backward();
    let own = tracked.gradients(&mut gradients);
    let decoder = decoder.map(|net| net.gradients(&mut gradients)).unwrap_or_default();
    numbers.push(("critic_gradient_norm", gradient_norm(own.iter().chain(&decoder))));
    Ok(StepGradients { gradients: own, decoder, numbers })
}

/// The features of all workers, as leaves of a computation, and which rows are this worker's.
struct Gathered {
    /// One for each tensor of features.
    features: Vec<Features>,
    variation: Option<Tensor<1>>,
    from: usize,
    count: usize,
}

impl Gathered {
    fn new(own: &[Features], variation: Option<&Tensor<1>>, team: &dyn Collective) -> TeamResult<Self> {
        let count = own.first().map_or(0, |features| features.real.dims()[0]);
        let features = own.iter().map(|features| gathered(features, count, team)).collect::<TeamResult<_>>()?;
        let variation = match variation {
            None => None,
            Some(own) => {
                let part = 1.0 / team.size() as f64;
                let sum = team.sum(vec![own.clone()])?;
                sum.into_iter().next().map(|sum| leaf(sum * part))
            }
        };
        Ok(Self { features, variation, from: count * team.rank(), count })
    }

    /// As [`gradient_penalty`](crate::loss::gradient_penalty) wants them at this worker's samples: all real and generated
    /// features, which the witness is of, and of the second batch the rows that belong to the samples.
    fn beside_own(&self, features: &Features) -> Features {
        let Features { real, fake, second } = features;
        let second = second.as_ref().map(|second| self.rows(second));
        Features { real: real.clone(), fake: fake.clone(), second }
    }

    fn rows(&self, all: &Tensor<2>) -> Tensor<2> {
        all.clone().slice(self.from..self.from + self.count)
    }

    /// The gradients of the leaves, flat: real, generated, second of each tensor of features; variation.
    fn gradients(&self, gradients: &mut Gradients) -> Vec<Tensor<1>> {
        let leaves = self.features.iter().flat_map(batches);
        let mut pull: Vec<Tensor<1>> = leaves.map(|leaf| flat(gradient_of(leaf, gradients))).collect();
        pull.extend(self.variation.as_ref().map(|leaf| gradient_of(leaf, gradients)));
        pull
    }

    /// Σ over this worker's rows of ⟨gradient, own feature⟩; its gradient is the gradients carried back through what made
    /// the features. Real features are left out where they are constant.
    fn along(&self, pull: &[Tensor<1>], own: &[Features], with_real: bool) -> Tensor<1> {
        let mut pull = pull.iter();
        let mut terms = Vec::new();
        for (all, own) in self.features.iter().zip(own) {
            let [n, d] = all.real.dims();
            for (i, (own, pull)) in batches(own).zip(&mut pull).enumerate() {
                if i > 0 || with_real {
                    terms.push((own.clone() * self.rows(&pull.clone().reshape([n, d]))).sum());
                }
            }
        }
        terms.into_iter().reduce(|sum, term| sum + term).expect("there are generated samples")
    }
}

/// Real, generated and second features.
fn batches(features: &Features) -> impl Iterator<Item = &Tensor<2>> {
    [&features.real, &features.fake].into_iter().chain(&features.second)
}

/// These features of all workers, as leaves; each has `count` of either kind.
fn gathered(own: &Features, count: usize, team: &dyn Collective) -> TeamResult<Features> {
    let d = own.real.dims()[1];
    if let Some(other) = batches(own).find(|part| part.dims() != [count, d]) {
        let [found, wanted] = [other.dims(), [count, d]].map(|shape| format!("{shape:?}"));
        let field = Field::Shape("generated and real features".into());
        return Err(Error::mismatch(field, found, wanted, "give as many samples of either").into());
    }
    let all = team.gather(Tensor::cat(batches(own).map(|part| part.clone().inner()).collect(), 1))?;
    let rows = count * team.size();
    let block = |i: usize| leaf(all.clone().slice([0..rows, i * d..(i + 1) * d]));
    Ok(Features { real: block(0), fake: block(1), second: own.second.as_ref().map(|_| block(2)) })
}

fn leaf<const D: usize>(values: Tensor<D>) -> Tensor<D> {
    values.autodiff().require_grad()
}

fn gradient_of<const D: usize>(leaf: &Tensor<D>, gradients: &mut Gradients) -> Tensor<D> {
    leaf.grad_remove(gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

fn flat(rows: Tensor<2>) -> Tensor<1> {
    let [n, d] = rows.dims();
    rows.reshape([n * d])
}

fn numbers_of(parts: Vec<(&'static str, Tensor<1>)>) -> Numbers {
    parts.into_iter().map(|(name, value)| (name, scalar(&value))).collect()
}

fn scalar(value: &Tensor<1>) -> f64 {
    place::scalar(value.clone().inner())
}
