//! Latents of a generator as points of a file.

use super::Generator;
use kme::points::Data;
use kme::{Error, Field, Points, Result};

impl Generator {
    /// Latents (n, dim), row after row, as points to be stored: (n, dim), and of a conditional generator (n, dim + 1), whose last
    /// coordinate is the number of the class.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the lengths do not fit.
    pub fn stored(&self, latents: &[f32], classes: &[usize]) -> Result<Points> {
        let dim = self.latent.dim;
        let n = latents.len() / dim;
        if !self.is_conditional() {
            return Points::new(n, dim, Data::F32(latents.to_vec()));
        }
        if classes.len() != n {
            return Err(super::one_for_each(classes.len(), n));
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
    pub fn unstored(&self, points: &Points, class: Option<usize>) -> Result<(Vec<f32>, Vec<usize>)> {
        let (n, d, dim) = (points.len(), points.dim(), self.latent.dim);
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
                    match class < self.classes.len() && class as f64 == number {
                        true => Ok(class),
                        false => {
                            let allowed = format!("a whole number from 0 to {}", self.classes.len() - 1);
                            Err(Error::value(format!("class of latent {i}"), number, allowed))
                        }
                    }
                })
                .collect::<Result<_>>()?,
        };
        Ok((latents, classes))
    }
}
