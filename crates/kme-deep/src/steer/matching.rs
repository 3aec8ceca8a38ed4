//! Content-addressable generation: latents whose pictures' embedding comes close to a given embedding.
//!
//! Minimises ‖μ − (1/n) Σⱼ k(φ(g(zⱼ)), ·)‖² over the latents z₁ … z_n by Adam, where μ is any embedding in the features φ.
//! Reference: Jitkrittum, Sangkloy, Gondal, Raj, Hays, Schölkopf, "Kernel mean matching for content addressability of GANs",
//! ICML 2019, eq. 2.

use super::Descent;
use crate::loss::Target;
use burn::tensor::Tensor;
use kme::internal::sums;
use kme::rng;
use kme::{Data, Definiteness, Precision};
use kme::{Embedding, Error, Kernel, Observer, Points, Progress, Result};
use kme_image::{Images, evenly};
use kme_net::{FeatureMap, Generator, Makes, labelled, place};
use std::ops::Range;

/// How latents are moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// Number of pictures to make.
    pub n: usize,
    /// Steps of Adam; 0 keeps the starting latents.
    pub steps: usize,
    /// Adam's learning rate, in units of the latents.
    pub learning_rate: f64,
    /// Each starting latent is the best of this many draws, given those before it.
    pub best_of: usize,
    /// Keeps every latent coordinate in [−clamp, clamp].
    pub clamp: Option<f64>,
    /// The class of all pictures, of a conditional generator. Without one, every draw comes with a class at random, and a
    /// start keeps the class of the draw that was best: it is not moved by the descent.
    pub class: Option<usize>,
    /// From which the draws follow; 0 by default.
    pub seed: u64,
}

impl Default for Match {
    fn default() -> Self {
        Self { n: 4, steps: 200, learning_rate: 0.05, best_of: 64, clamp: None, class: None, seed: 0 }
    }
}

/// What a match found.
#[derive(Clone, Debug)]
pub struct Matched {
    /// n pictures, pixels in [0, 1].
    pub pictures: Images,
    /// Their latents, row after row.
    pub latents: Vec<f32>,
    /// Their classes; none of a generator without classes.
    pub classes: Vec<usize>,
    /// MMD² to the target of n latents drawn without any choice.
    pub random: f64,
    /// MMD² to the target of the starting latents.
    pub before: f64,
    /// MMD² to the target of the latents returned, the best that were met on the way.
    pub after: f64,
    /// Steps of Adam that were made.
    pub steps: usize,
    /// Whether it was stopped before the last step. Stopped among the draws, there may be fewer pictures than were asked for.
    pub interrupted: bool,
}

/// Draws whose pictures are held at one time.
const TOGETHER: usize = 200;

/// Draws that are looked at between two words to the observer: what large networks take at once, and seconds of their time.
const BETWEEN: usize = 50;

/// A bandwidth c for the kernel (c² + r²)^(−1/2) with which a match mixes its inputs instead of snapping to one of them.
///
/// Between two inputs at distance D the kernel's sum has its maximum in the middle only if c ≥ D/√2; below, the maximum sits
/// at the inputs themselves. So c is the larger of D/√2, D the greatest distance between two inputs, and the median
/// distance between inputs and samples of the generator, where the kernel still has a slope to follow.
///
/// Shapes: inputs (m, d), samples (n, d).
///
/// # Errors
/// When the two do not have the same dimension.
pub fn bandwidth(inputs: &Points, samples: &Points) -> Result<f64> {
    let distance: Kernel = "energy".parse()?;
    // A few hundred inputs, evenly from all of them, tell the scale as well as all.
    let inputs = inputs.select(&evenly(inputs.len(), 200))?;
    let distances = |others: &Points| -> Result<Vec<f64>> {
        let pairs: Vec<_> = (0..inputs.len()).flat_map(|i| (0..others.len()).map(move |j| (i, j))).collect();
        Ok(sums::pairs(&distance, &inputs, others, &pairs)?.into_iter().map(|value| -value).collect())
    };
    let greatest = distances(&inputs)?.into_iter().fold(0.0, f64::max);
    let mut between = distances(samples)?;
    between.sort_by(f64::total_cmp);
    let median = between[between.len() / 2];
    let c = median.max(greatest / std::f64::consts::SQRT_2);
    if c > 0.0 {
        Ok(c)
    } else {
        let reason = "all inputs and samples have the same features. Give a kernel with its bandwidth";
        Err(Error::unsupported("choose a bandwidth", reason))
    }
}

impl Match {
    fn check(&self) -> Result<()> {
        let positive = |name: &'static str, value: usize| {
            if (1..=10_000).contains(&value) { Ok(()) } else { Err(Error::parameter(name, value, "from 1 to 10000")) }
        };
        positive("n", self.n)?;
        positive("best_of", self.best_of)?;
        if !(self.learning_rate > 0.0 && self.learning_rate <= 100.0) {
            return Err(Error::parameter("learning_rate", self.learning_rate, "more than 0, at most 100"));
        }
        match self.clamp {
            Some(clamp) if !(clamp > 0.0 && clamp.is_finite()) => {
                Err(Error::parameter("clamp", clamp, "a positive number, such as 3.3"))
            }
            _ => Ok(()),
        }
    }

    /// Moves latents of `generator` towards `target`, an embedding in the features of `map`.
    ///
    /// The observer is told of the draws among which the starts are found, and of every step of Adam with the MMD² there;
    /// breaking stops there and keeps what was reached.
    ///
    /// Where the map gives several tensors, an embedding is of all of them side by side, and so is the goal.
    ///
    /// # Errors
    /// [`Error::Parameter`] of a field that is out of range, [`Error::Mismatch`] when the target is not in this feature
    /// map's space, [`Error::Unsupported`] of a generator of points.
    pub fn run(
        &self,
        generator: &dyn Generator,
        map: &dyn FeatureMap,
        target: &Embedding,
        observer: &dyn Observer,
    ) -> Result<Matched> {
        self.check()?;
        let shape = match generator.makes() {
            Makes::Pictures(shape) => shape,
            Makes::Points(d) => {
                let reason = format!("this generator makes points of dimension {d}. Give one of pictures");
                return Err(Error::unsupported("match pictures", reason));
            }
        };
        if let Some(class) = self.class.filter(|&class| class >= generator.classes().len()) {
            return Err(match generator.classes().len() {
                0 => Error::not_applicable("class", "this generator was trained without classes. Leave it out"),
                count => Error::parameter("class", class, format!("from 0 to {}", count - 1)),
            });
        }
        map.identity(shape).check_same(target.features())?;
        let kernel = target.kernel();
        kernel.check_single()?;
        let total: f64 = target.weights().iter().sum();
        if kernel.definiteness() == Definiteness::Conditional && (total - 1.0).abs() > 1e-6 {
            let allowed = format!("1 for the kernel {kernel}, which compares distributions alone");
            return Err(Error::value("sum of the target's weights", total, allowed));
        }
        let place = generator.place();
        let norm2 = target.norm2(Precision::F64)?;
        let goal = Target::new(
            kernel.clone(),
            place.tensor_f64(target.points().data().clone().into_f64(), [target.len(), target.dim()]),
            place.tensor_f64(target.weights().to_vec(), [target.len()]),
            norm2,
        );
        let dim = generator.latent().dim;
        let mmd2_of = |points: Points| {
            Embedding::of(&points, kernel.clone())?
                .with_features(target.features().clone())
                .mmd2(target, Precision::F64)
        };
        let ([first, start], mut interrupted) = self.starts(generator, map, target, observer)?;
        let classes = start.classes;
        let n = start.latents.len() / dim;
        // Both at once, since a network's batches are filled up.
        let both = [(&first.latents, &first.classes), (&start.latents, &classes)];
        let both = both.map(|(latents, classes)| generator.pictures_of(latents, classes));
        let both = map.features((&Images::concat(&both.into_iter().collect::<Result<Vec<_>>>()?)?).into())?;
        let half = |first: usize| mmd2_of(both.select(&(first..first + n).collect::<Vec<_>>())?);
        let (random, before) = (half(0)?, half(n)?);
        let start = start.latents;
        // What stands behind the latents in the network's input, and is not moved.
        let labels = labelled(&[], 0, &classes, generator.classes().len())?;
        let labels = generator.is_conditional().then(|| place.tensor(labels, [n, generator.classes().len(), 1, 1]));

        let (mut steps, mut latents) = (0, self.clamped(start.clone()));
        if !interrupted {
            let descent = Descent {
                steps: self.steps,
                learning_rate: self.learning_rate,
                // Kernels differ in scale by orders of magnitude.
                scale: before.abs().max(f32::MIN_POSITIVE.into()),
                clamp: self.clamp,
                ..Descent::default()
            };
            let loss = |z: Tensor<1>| {
                let input: Tensor<4> = z.reshape([n, dim, 1, 1]);
                let input = match &labels {
                    Some(labels) => Tensor::cat(vec![input, labels.clone()], 1),
                    None => input,
                };
                goal.mmd2(&map.tensor(generator.forward(input)?)?)
            };
            let best = descent.run(place.tensor(latents, [n * dim]), loss, observer)?;
            (latents, steps, interrupted) = (place::numbers_f32(best.x), best.steps, best.interrupted);
        }
        let mut after = mmd2_of(map.features((&generator.pictures_of(&latents, &classes)?).into())?)?;
        if after > before {
            // The descent's single precision saw an improvement that is none.
            (after, latents) = (before, start);
        }
        let pictures = generator.pictures_of(&latents, &classes)?;
        Ok(Matched { pictures, latents, classes, random, before, after, steps, interrupted })
    }

    fn clamped(&self, mut z: Vec<f32>) -> Vec<f32> {
        if let Some(clamp) = self.clamp {
            z.iter_mut().for_each(|x| *x = x.clamp(-clamp as f32, clamp as f32));
        }
        z
    }

    /// The first draw of each output, and the best of its `best_of` draws given the outputs chosen before it; and whether this
    /// was stopped, with fewer draws for the last of fewer outputs, but one at least.
    fn starts(
        &self,
        generator: &dyn Generator,
        map: &dyn FeatureMap,
        target: &Embedding,
        observer: &dyn Observer,
    ) -> Result<([Draws; 2], bool)> {
        let dim = generator.latent().dim;
        let (mut rng, mut class_rng) = (rng::stream(self.seed, "match", 0), rng::stream(self.seed, "match class", 0));
        let (mut first, mut start) = (Draws::default(), Draws::default());
        let mut chosen: Vec<f64> = Vec::new();
        let of = self.n * self.best_of;
        // Shows that it has begun; nothing is there yet that a stop could keep.
        let _ = observer.progress(Progress::new("draws", 0, of));
        // Outputs whose draws are looked at together, since a network's batches are filled up.
        let group = (TOGETHER / self.best_of).max(1);
        for begin in (0..self.n).step_by(group) {
            let outputs = begin..self.n.min(begin + group);
            let draws: Vec<Draws> = outputs
                .map(|_| {
                    let latents = self.clamped(generator.latent().draw(self.best_of, &mut rng));
                    let classes = match self.class {
                        Some(class) => vec![class; self.best_of],
                        None => generator.draw_classes(self.best_of, &mut class_rng),
                    };
                    Draws { latents, classes }
                })
                .collect();
            let (mut parts, mut looked_at, mut stopped) = (Vec::new(), 0, false);
            for portion in (0..self.best_of).step_by(TOGETHER) {
                let range = portion..self.best_of.min(portion + TOGETHER);
                let pictures = |draws: &Draws| {
                    let draws = draws.part(range.clone(), dim);
                    generator.pictures_of(&draws.latents, &draws.classes)
                };
                let pictures = Images::concat(&draws.iter().map(pictures).collect::<Result<Vec<_>>>()?)?;
                let all: Vec<usize> = (0..pictures.len()).collect();
                for some in all.chunks(BETWEEN) {
                    parts.push(map.features((&pictures.select(some)?).into())?);
                    looked_at += some.len();
                    let done = begin * self.best_of + looked_at;
                    stopped = observer.progress(Progress::new("draws", done, of)).is_break() && done < of;
                    if stopped {
                        break;
                    }
                }
                if stopped {
                    break;
                }
            }
            let points = Points::concat(&parts.iter().collect::<Vec<_>>())?;
            for (at, draws) in draws.iter().enumerate() {
                let seen = at * self.best_of..looked_at.min((at + 1) * self.best_of);
                if seen.is_empty() {
                    break;
                }
                let points = points.select(&seen.collect::<Vec<_>>())?;
                let best = Self::best(&points, target, &chosen)?;
                chosen.extend(points.select(&[best])?.into_data().into_f64());
                first.take(draws, 0, dim);
                start.take(draws, best, dim);
            }
            if stopped {
                return Ok(([first, start], true));
            }
        }
        Ok(([first, start], false))
    }

    /// Which of the draws with the features `points` is best, beside the outputs whose features are `chosen`.
    fn best(points: &Points, target: &Embedding, chosen: &[f64]) -> Result<usize> {
        let (kernel, n, d) = (target.kernel(), points.len(), points.dim());
        let j = chosen.len() / d;
        let pull = sums::rows(kernel, points, target.points(), Some(target.weights()), Precision::F64)?;
        let push = if j == 0 {
            vec![0.0; n]
        } else {
            let others = Points::new(j, d, Data::F64(chosen.to_vec()))?;
            sums::rows(kernel, points, &others, None, Precision::F64)?
        };
        let rows = points.data().clone().into_f64();
        // The part of MMD² times (j+1)² that depends on this draw.
        let cost = |i: usize| {
            let norm2: f64 = rows[i * d..(i + 1) * d].iter().map(|x| x * x).sum();
            kernel.diagonal(&norm2) + 2.0 * push[i] - 2.0 * (j as f64 + 1.0) * pull[i]
        };
        Ok((0..n).min_by(|&a, &b| cost(a).total_cmp(&cost(b))).unwrap_or(0))
    }
}

/// Latents, and for a conditional generator their classes.
#[derive(Default)]
struct Draws {
    latents: Vec<f32>,
    classes: Vec<usize>,
}

impl Draws {
    /// Some of the draws.
    fn part(&self, range: Range<usize>, dim: usize) -> Self {
        let latents = self.latents[range.start * dim..range.end * dim].to_vec();
        let classes = if self.classes.is_empty() { Vec::new() } else { self.classes[range].to_vec() };
        Self { latents, classes }
    }

    /// Appends draw number `i` of `others`.
    fn take(&mut self, others: &Draws, i: usize, dim: usize) {
        self.latents.extend_from_slice(&others.latents[i * dim..(i + 1) * dim]);
        self.classes.extend(others.classes.get(i));
    }
}
