//! Latents of a generator as points of a file.

use super::Generator;
use kme::points::Data;
use kme::{Error, Points, Result};

impl Generator {
    /// Latents (n, dim), row after row, as points to be stored: (n, dim), and of a conditional generator (n, dim + 1), whose last
    /// coordinate is the number of the class.
    ///
    /// # Errors
    /// When the lengths do not fit.
    pub fn stored(&self, latents: &[f32], classes: &[usize]) -> Result<Points> {
        let dim = self.latent.dim;
        let n = latents.len() / dim;
        if !self.is_conditional() {
            return Points::new(n, dim, Data::F32(latents.to_vec()));
        }
        if classes.len() != n {
            return Err(Error::value("number of classes", classes.len(), format!("{n}, one for each latent")));
        }
        let rows = latents.chunks(dim).zip(classes);
        let rows = rows.flat_map(|(z, &class)| z.iter().copied().chain([class as f32])).collect();
        Points::new(n, dim + 1, Data::F32(rows))
    }

    /// The latents and classes of points that [`stored`](Self::stored) gave. With a `class`, all are of this one, and those of
    /// the points are not needed.
    ///
    /// # Errors
    /// When the points have another dimension, or a class is none of this generator's.
    pub fn unstored(&self, points: &Points, class: Option<usize>) -> Result<(Vec<f32>, Vec<usize>)> {
        let (n, d, dim) = (points.len(), points.dim(), self.latent.dim);
        let has_classes = self.is_conditional() && d == dim + 1;
        if d != dim && !has_classes || d == dim && self.is_conditional() && class.is_none() {
            let allowed = match self.is_conditional() {
                true => format!("{}, latents of this generator and behind them the number of the class", dim + 1),
                false => format!("{dim}, as many numbers as this generator's latents have"),
            };
            return Err(Error::value("dimension of the latents", d, allowed));
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
                            let allowed = format!("a number from 0 to {}, the last of the row", self.classes.len() - 1);
                            Err(Error::value(format!("class of latent {i}"), number, allowed))
                        }
                    }
                })
                .collect::<Result<_>>()?,
        };
        Ok((latents, classes))
    }
}
