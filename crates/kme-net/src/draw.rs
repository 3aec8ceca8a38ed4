//! Which latents are drawn from a generator, and how what it makes of them is laid out.

use crate::generator::Generator;
use kme::rng;
use kme::{Error, Points, Result};

/// What follows from what among the pictures that are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arrangement {
    /// Nothing: latents of the prior, or those of a file.
    #[default]
    Single,
    /// Rows of `steps` pictures from one latent to another in equal steps, both ends included.
    Interpolate {
        /// Pictures in a row.
        steps: usize,
    },
    /// One closed path from latent to latent and back to the first, `steps` pictures from each to the next.
    Loop {
        /// Pictures from one latent to the next, without the next.
        steps: usize,
    },
    /// The plane of two coordinates, all others being 0; see [`Latent::manifold`](crate::Latent::manifold).
    Manifold {
        /// The two coordinates, from 0 on.
        coordinates: [usize; 2],
    },
}

/// Latents and classes of a generator, drawn or taken from a file. The default is one sheet of 64.
///
/// ```
/// use kme_net::{Arrangement, DrawRequest, Models, Place};
///
/// let generator = Models::default().generator("fashion", &Place::cpu())?;
/// let draw = DrawRequest { n: Some(2), arrangement: Arrangement::Interpolate { steps: 5 }, ..DrawRequest::default() };
/// let drawn = draw.run(&*generator)?;
/// let pictures = generator.pictures_of(&drawn.latents, &drawn.classes)?;
/// assert_eq!((pictures.len(), drawn.columns), (10, Some(5)));
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct DrawRequest {
    /// Pictures or points; with `class` "all" those of each class; rows of an interpolation, latents of a loop, rows and columns
    /// alike of a manifold. Without it 64, 8, 8, 8 and 16.
    pub n: Option<usize>,
    /// The class of all, by its name or its number from 0 on, or `all`: a row of each. Without it one at random for each, where
    /// there are classes.
    pub class: Option<String>,
    /// How the latents follow each other.
    pub arrangement: Arrangement,
    /// Stored latents, as [`Generator::stored`] gives them, instead of drawn ones.
    pub latents: Option<Points>,
    /// The seed of what is drawn.
    pub seed: u64,
}

/// What is asked of a generator, in the order in which it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// Latents (n, dim), row after row.
    pub latents: Vec<f32>,
    /// Of a conditional generator, one class for each latent.
    pub classes: Vec<usize>,
    /// Pictures in a row, where that means something.
    pub columns: Option<usize>,
    /// Whether every row is a class.
    pub by_class: bool,
}

/// Pictures or points drawn at most.
const MOST: usize = 1_000_000;

impl DrawRequest {
    /// The latents and classes for `generator`.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a setting does not fit the generator or another one, [`Error::UnknownName`] of a class,
    /// [`Error::NotApplicable`] of a class where there are none, [`Error::TooFew`] latents for an interpolation.
    pub fn run(&self, generator: &dyn Generator) -> Result<Drawn> {
        let by_class = self.class.as_deref() == Some("all") && generator.class("all").is_err();
        if by_class && !generator.is_conditional() {
            return Err(Error::not_applicable("class", "this generator was trained without classes"));
        }
        let class = self.class.as_deref().filter(|_| !by_class).map(|name| generator.class(name)).transpose()?;
        let n = self.count(generator, by_class)?;
        let latent = generator.latent();
        // A class for each row or picture, where there are classes.
        let labels = |rows: usize| match class {
            Some(class) => vec![class; rows],
            None => generator.draw_classes(rows, &mut rng::stream(self.seed, "sample class", 0)),
        };
        let draw = |n: usize| latent.draw(n, &mut rng::stream(self.seed, "sample", 0));
        if let Some(points) = &self.latents {
            if self.n.is_some() {
                return Err(Error::not_applicable("n", "the `latents` that you give say how many there are"));
            }
            return self.stored(points, class, by_class, generator);
        }
        let classes = generator.classes().len();
        match self.arrangement {
            Arrangement::Loop { steps } => {
                let class = match (by_class, class, generator.is_conditional()) {
                    (true, ..) => return Err(Error::parameter("class", "all", "one class for a closed interpolation")),
                    (_, None, true) => labels(1)[0],
                    (_, class, _) => class.unwrap_or_default(),
                };
                closed(&draw(n), class, steps, generator)
            }
            Arrangement::Manifold { coordinates } => {
                if class.is_none() && generator.is_conditional() {
                    let given = self.class.as_deref().unwrap_or("(nothing)");
                    return Err(Error::parameter("class", given, "one class for `manifold`, whose grid shows no more"));
                }
                let latents = latent.manifold(n, coordinates)?;
                Ok(Drawn { latents, classes: labels(n * n), columns: Some(n), by_class })
            }
            Arrangement::Interpolate { steps } => {
                if by_class && n != classes {
                    let allowed =
                        format!("{classes} with `interpolate` and all classes, a row for each class, or left out");
                    return Err(Error::parameter("n", n, allowed));
                }
                let row_classes = if by_class { (0..classes).collect() } else { labels(n) };
                // All classes go one way.
                let ends = draw(if by_class { 2 } else { 2 * n });
                let mut latents = Vec::new();
                for row in 0..n {
                    let ends = &ends[if by_class { 0 } else { 2 * row * latent.dim }..][..2 * latent.dim];
                    latents.extend(latent.interpolate(&ends[..latent.dim], &ends[latent.dim..], steps)?);
                }
                let classes = row_classes.into_iter().flat_map(|class: usize| vec![class; steps]).collect();
                Ok(Drawn { latents, classes, columns: Some(steps), by_class })
            }
            Arrangement::Single if by_class => {
                let latents = draw(n).repeat(classes);
                let classes = (0..classes).flat_map(|class| vec![class; n]).collect();
                Ok(Drawn { latents, classes, columns: Some(n), by_class })
            }
            Arrangement::Single => Ok(Drawn { latents: draw(n), classes: labels(n), columns: None, by_class }),
        }
    }

    /// `n`, or its default.
    fn count(&self, generator: &dyn Generator, by_class: bool) -> Result<usize> {
        let classes = generator.classes().len();
        let (default, of_each) = match self.arrangement {
            Arrangement::Manifold { .. } => (16, self.n.unwrap_or(16)),
            Arrangement::Interpolate { steps } | Arrangement::Loop { steps } => {
                (if by_class { classes } else { 8 }, steps)
            }
            Arrangement::Single if by_class => (8, classes),
            Arrangement::Single => (64, 1),
        };
        let n = self.n.unwrap_or(default);
        if n == 0 || n.checked_mul(of_each).is_none_or(|all| all > MOST) {
            let given = if of_each == 1 || n == 0 { n.to_string() } else { format!("{n} times {of_each}") };
            return Err(Error::parameter("n", given, format!("from 1 to {MOST}")));
        }
        Ok(n)
    }

    /// Stored latents, or what goes from each to the next.
    fn stored(
        &self,
        points: &Points,
        class: Option<usize>,
        by_class: bool,
        generator: &dyn Generator,
    ) -> Result<Drawn> {
        if by_class {
            return Err(Error::parameter("class", "all", "one class, or left out, with `latents`"));
        }
        let (latents, classes) = generator.unstored(points, class).map_err(|fault| fault.within("`latents`"))?;
        let dim = generator.latent().dim;
        let n = latents.len() / dim;
        match self.arrangement {
            Arrangement::Loop { steps } => {
                if let Some(other) = classes.iter().find(|class| *class != &classes[0]) {
                    let given = format!("{} and {}", generator.classes()[classes[0]], generator.classes()[*other]);
                    return Err(Error::parameter("class", given, "one class for all latents of an interpolation"));
                }
                closed(&latents, classes.first().copied().unwrap_or_default(), steps, generator)
            }
            Arrangement::Interpolate { steps } => {
                if n < 2 {
                    return Err(Error::too_few("latents", n, 2, "an interpolation"));
                }
                let mut rows = Vec::new();
                for ends in latents.windows(2 * dim).step_by(dim) {
                    rows.extend(generator.latent().interpolate(&ends[..dim], &ends[dim..], steps)?);
                }
                // A row keeps the class of its beginning.
                let classes = classes.iter().take(n - 1).flat_map(|&class| vec![class; steps]).collect();
                Ok(Drawn { latents: rows, classes, columns: Some(steps), by_class })
            }
            Arrangement::Single => Ok(Drawn { latents, classes, columns: None, by_class }),
            Arrangement::Manifold { .. } => {
                Err(Error::not_applicable("latents", "a manifold has latents of its own. Leave one of them out"))
            }
        }
    }
}

/// From each of `latents` to the next, and from the last to the first.
fn closed(latents: &[f32], class: usize, steps: usize, generator: &dyn Generator) -> Result<Drawn> {
    let dim = generator.latent().dim;
    let all: Vec<&[f32]> = latents.chunks(dim).collect();
    if all.len() < 2 {
        return Err(Error::too_few("latents", all.len(), 2, "an interpolation"));
    }
    let mut path = Vec::new();
    for (i, from) in all.iter().enumerate() {
        // The end of a part is the beginning of the next.
        let part = generator.latent().interpolate(from, all[(i + 1) % all.len()], steps + 1)?;
        path.extend_from_slice(&part[..steps * dim]);
    }
    let n = path.len() / dim;
    let classes = if generator.is_conditional() { vec![class; n] } else { Vec::new() };
    Ok(Drawn { latents: path, classes, columns: None, by_class: false })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Models, Place};

    /// A loop passes through its latents and comes back; stored latents are its latents, and say how many there are.
    #[test]
    fn loops_close_and_stored_latents_count_themselves() {
        let generator = Models::default().generator("fashion", &Place::cpu()).unwrap();
        let dim = generator.latent().dim;
        let request = DrawRequest { n: Some(3), seed: 5, ..DrawRequest::default() };
        let single = request.run(&*generator).unwrap();
        let arrangement = Arrangement::Loop { steps: 4 };
        let closed = DrawRequest { arrangement, ..request.clone() }.run(&*generator).unwrap();
        assert_eq!((closed.latents.len(), closed.columns), (12 * dim, None));
        for (i, latent) in single.latents.chunks(dim).enumerate() {
            assert_eq!(&closed.latents[4 * i * dim..][..dim], latent);
        }
        let last = generator.latent().interpolate(&single.latents[2 * dim..], &single.latents[..dim], 5).unwrap();
        assert_eq!(closed.latents[11 * dim..], last[3 * dim..4 * dim]);

        let latents = Some(generator.stored(&single.latents, &[]).unwrap());
        let stored = DrawRequest { latents, n: None, arrangement, ..request.clone() };
        assert_eq!(stored.run(&*generator).unwrap(), closed);
        let counted = DrawRequest { n: Some(3), ..stored.clone() }.run(&*generator);
        assert_eq!(counted.unwrap_err().parameter_name(), Some("n"));
        let plane = DrawRequest { arrangement: Arrangement::Manifold { coordinates: [0, 1] }, ..stored };
        assert_eq!(plane.run(&*generator).unwrap_err().parameter_name(), Some("latents"));
    }
}
