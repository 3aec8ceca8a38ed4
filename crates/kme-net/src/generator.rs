//! What steering, sampling and judging need of a generator, whatever it is made of.

mod network;

pub use network::NetworkGenerator;

use crate::latent::Latent;
use crate::model::rows_of;
use crate::net::Place;
use burn::tensor::Tensor;
use kme::rng::{self, Rng};
use kme::{Data, Error, Field, Points, Result};
use kme_image::{Background, Crop, Images};
use rand::RngExt;
use std::fmt;

/// What a generator makes of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Makes {
    /// Pictures of this shape (channels, height, width), with pixels in [0, 1].
    Pictures([usize; 3]),
    /// Points of this dimension, of any size.
    Points(usize),
}

/// Why classes are refused.
const UNCONDITIONAL: &str = "this generator was trained without classes";

/// The error for another number of classes than of latents.
fn one_for_each(classes: usize, latents: usize) -> Error {
    Error::mismatch(Field::Count("classes and latents".into()), classes, latents, "give one class for each latent")
}

/// Latents (n, dim), row after row, each followed by its class as a one-hot vector: (n, dim + count). This is what a
/// conditional generator's network takes.
///
/// # Errors
/// [`Error::Mismatch`] when there is not one class for every latent; [`Error::Parameter`] when a class is not below `count`.
pub fn labelled(latents: &[f32], dim: usize, classes: &[usize], count: usize) -> Result<Vec<f32>> {
    if latents.len() != classes.len() * dim {
        return Err(one_for_each(classes.len(), latents.len() / dim));
    }
    let mut rows = vec![0.0; classes.len() * (dim + count)];
    for (i, &class) in classes.iter().enumerate() {
        if class >= count {
            return Err(Error::parameter("class", class, format!("below {count}, the number of classes")));
        }
        let row = &mut rows[i * (dim + count)..][..dim + count];
        row[..dim].copy_from_slice(&latents[i * dim..][..dim]);
        row[dim + class] = 1.0;
    }
    Ok(rows)
}

/// A generator g: latents → pictures, or points; conditional where it has classes.
///
/// Its *inputs* are latents, with one-hot labels behind them where there are classes. Five methods make a generator; what a
/// card may say besides has defaults, and all else follows from these. [`NetworkGenerator`] is the one that `kme train` makes.
pub trait Generator: fmt::Debug + Send + Sync {
    /// The latent vectors.
    fn latent(&self) -> Latent;

    /// What it makes, and of which shape.
    fn makes(&self) -> Makes;

    /// Where its tensors live.
    fn place(&self) -> &Place;

    /// SHA-256, in hexadecimal, of all that its outputs depend on besides the inputs: of its file.
    fn sha256(&self) -> &str;

    /// The outputs as an expression that can be differentiated in the inputs. Each depends on its own input alone.
    ///
    /// Shapes: inputs (n, [width](Self::width), 1, 1) → pictures (n, c, h, w), or points (n, d, 1, 1).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the inputs have another shape.
    fn forward(&self, inputs: Tensor<4>) -> Result<Tensor<4>>;

    /// Names of the classes of a conditional generator; of another, none.
    fn classes(&self) -> &[String] {
        &[]
    }

    /// Name of the feature map in which it is steered and judged unless another is named.
    fn features(&self) -> &str {
        "pixels"
    }

    /// SHA-256 of that feature map's network, where its name alone does not tell which it is.
    fn features_sha256(&self) -> Option<&str> {
        None
    }

    /// What was cut out of the pictures that it has learned from: pictures that it is to make more of are cut alike.
    fn crop(&self) -> Crop {
        Crop::default()
    }

    /// The colour that was under their transparent parts, and around those that were filled up.
    fn background(&self) -> Background {
        Background::default()
    }

    /// Numbers of one input: those of a latent, plus the number of classes.
    fn width(&self) -> usize {
        self.latent().dim + self.classes().len()
    }

    /// Whether a class is needed beside a latent.
    fn is_conditional(&self) -> bool {
        !self.classes().is_empty()
    }

    /// The number of the class that `text` names: its name, or its number from 0 on.
    ///
    /// # Errors
    /// [`Error::UnknownName`] when there is no such class; [`Error::NotApplicable`] when the generator has no classes.
    fn class(&self, text: &str) -> Result<usize> {
        if !self.is_conditional() {
            return Err(Error::not_applicable("class", UNCONDITIONAL));
        }
        let number = || text.parse().ok().filter(|&number: &usize| number < self.classes().len());
        let named = self.classes().iter().position(|name| name == text);
        named.or_else(number).ok_or_else(|| Error::unknown("class", text, self.classes()))
    }

    /// The inputs (n, width) for latents (n, dim), row after row, and one class for each; `classes` is empty
    /// for a generator without classes.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the lengths do not fit; [`Error::Parameter`] when there is no such class; [`Error::NotApplicable`]
    /// for classes where the generator has none.
    fn inputs(&self, latents: &[f32], classes: &[usize]) -> Result<Vec<f32>> {
        if self.is_conditional() {
            return labelled(latents, self.latent().dim, classes, self.classes().len());
        }
        if !classes.is_empty() {
            return Err(Error::not_applicable("classes", UNCONDITIONAL));
        }
        Ok(latents.to_vec())
    }

    /// The inputs (n, width) of `n` draws: latents of the prior and, where there are classes, one of them for each, all
    /// equally likely.
    fn draw(&self, n: usize, seed: u64) -> Vec<f32> {
        let latents = self.latent().draw(n, &mut rng::stream(seed, "sample", 0));
        let classes = self.draw_classes(n, &mut rng::stream(seed, "sample class", 0));
        self.inputs(&latents, &classes).expect("as many classes are drawn as latents")
    }

    /// `n` classes, each equally likely; none for a generator without classes.
    fn draw_classes(&self, n: usize, rng: &mut Rng) -> Vec<usize> {
        let n = if self.is_conditional() { n } else { 0 };
        (0..n).map(|_| rng.random_range(0..self.classes().len())).collect()
    }

    /// The outputs for inputs (n, width), row after row, in the order of the tensor.
    ///
    /// # Errors
    /// Those of [`forward`](Self::forward).
    fn rows(&self, inputs: &[f32]) -> Result<Vec<f32>> {
        rows_of([self.width(), 1, 1], self.place(), inputs, |x| self.forward(x))
    }

    /// Pictures for inputs (n, width), row after row. Each depends on its own input alone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the generator makes points; [`Error::NotFinite`] when it has diverged.
    fn pictures_from(&self, inputs: &[f32]) -> Result<Images> {
        match self.makes() {
            Makes::Pictures([c, h, w]) => Images::clamped(inputs.len() / self.width(), c, h, w, self.rows(inputs)?),
            Makes::Points(d) => {
                let reason = format!("it makes points of dimension {d}; draw points instead");
                Err(Error::unsupported("draw pictures from this generator", reason))
            }
        }
    }

    /// Points (n, d) for inputs (n, width), row after row, exactly as they come. Each depends on its own input alone.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when the generator makes pictures; [`Error::NotFinite`] when it has diverged.
    fn points_from(&self, inputs: &[f32]) -> Result<Points> {
        match self.makes() {
            Makes::Points(d) => Points::new(inputs.len() / self.width(), d, Data::F32(self.rows(inputs)?)),
            Makes::Pictures([c, h, w]) => {
                let reason = format!("it makes pictures of {c}x{h}x{w}");
                Err(Error::unsupported("draw points from this generator", reason))
            }
        }
    }

    /// Pictures for latents of shape (n, dim), row after row. Each picture depends on its own latent alone.
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::pictures_from`].
    fn pictures(&self, latents: &[f32]) -> Result<Images> {
        self.pictures_of(latents, &[])
    }

    /// Pictures for latents of shape (n, dim), row after row, each of its class.
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::pictures_from`].
    fn pictures_of(&self, latents: &[f32], classes: &[usize]) -> Result<Images> {
        self.pictures_from(&self.inputs(latents, classes)?)
    }

    /// `n` pictures from latents of the generator's prior; of a conditional one with classes that are all equally likely.
    ///
    /// # Errors
    /// As [`Generator::pictures_from`].
    fn sample(&self, n: usize, seed: u64) -> Result<Images> {
        self.pictures_from(&self.draw(n, seed))
    }

    /// `n` pictures of one class, from the latents of [`Generator::sample`].
    ///
    /// # Errors
    /// As [`Generator::inputs`] and [`Generator::pictures_from`].
    fn sample_class(&self, n: usize, class: usize, seed: u64) -> Result<Images> {
        self.pictures_of(&self.latent().draw(n, &mut rng::stream(seed, "sample", 0)), &vec![class; n])
    }

    /// `n` points, drawn as by [`Generator::sample`].
    ///
    /// # Errors
    /// As [`Generator::points_from`].
    fn sample_points(&self, n: usize, seed: u64) -> Result<Points> {
        self.points_from(&self.draw(n, seed))
    }

    /// Latents (n, dim), row after row, as points to be stored: (n, dim), and of a conditional generator (n, dim + 1), whose last
    /// coordinate is the number of the class.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the lengths do not fit.
    fn stored(&self, latents: &[f32], classes: &[usize]) -> Result<Points> {
        let dim = self.latent().dim;
        let n = latents.len() / dim;
        if !self.is_conditional() {
            return Points::new(n, dim, Data::F32(latents.to_vec()));
        }
        if classes.len() != n {
            return Err(one_for_each(classes.len(), n));
        }
        let rows = latents.chunks(dim).zip(classes);
        let rows = rows.flat_map(|(z, &class)| z.iter().copied().chain([class as f32])).collect();
        Points::new(n, dim + 1, Data::F32(rows))
    }

    /// The latents and classes of points that [`stored`](Self::stored) gave. With a `class`, all are of this one, and those of
    /// the points are not needed.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the points have another dimension; [`Error::Value`] when this generator does not have a class.
    fn unstored(&self, points: &Points, class: Option<usize>) -> Result<(Vec<f32>, Vec<usize>)> {
        let (n, d, dim) = (points.len(), points.dim(), self.latent().dim);
        let has_classes = self.is_conditional() && d == dim + 1;
        if d != dim && !has_classes || d == dim && self.is_conditional() && class.is_none() {
            let (needed, remedy) = match self.is_conditional() {
                true => (dim + 1, "give latents of this generator, each followed by the number of its class"),
                false => (dim, "give latents of this generator"),
            };
            return Err(Error::mismatch(Field::Other("dimension of the latents".into()), d, needed, remedy));
        }
        let at = |i: usize, j: usize| points.data().get(i * d + j);
        let latents = (0..n).flat_map(|i| (0..dim).map(move |j| (i, j))).map(|(i, j)| at(i, j) as f32).collect();
        let classes = match (self.is_conditional(), class) {
            (false, _) => Vec::new(),
            (true, Some(class)) => vec![class; n],
            (true, None) => (0..n)
                .map(|i| {
                    let number = at(i, dim);
                    let class = number as usize;
                    match class < self.classes().len() && class as f64 == number {
                        true => Ok(class),
                        false => {
                            let allowed = format!("a whole number from 0 to {}", self.classes().len() - 1);
                            Err(Error::value(format!("class of latent {i}"), number, allowed))
                        }
                    }
                })
                .collect::<Result<_>>()?,
        };
        Ok((latents, classes))
    }
}
