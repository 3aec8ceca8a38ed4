//! Small distributions in the plane that generative models are tried on, drawn from a seed.

use kme::rng::Rng;
use kme::{Error, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use std::f64::consts::{PI, SQRT_2};

/// Points that a toy has unless its name says how many.
const POINTS: usize = 25_000;

/// Points of a toy, at most.
const MOST_POINTS: usize = 100_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Grid,
    Ring,
    Roll,
}

/// Names, with what they are. The numbers are those of the toys of Gulrajani et al., "Improved training of Wasserstein
/// GANs" (NeurIPS 2017), in their code.
const TOYS: [(&str, &str, Shape); 3] = [
    (
        "25-gaussians",
        "points in the plane: 25 Gaussians of sd 0.05 around (2i, 2j), i, j = -2 to 2, all divided by 2.828",
        Shape::Grid,
    ),
    (
        "8-gaussians",
        "points in the plane: 8 Gaussians of sd 0.02 on a ring of radius 2, all divided by 1.414",
        Shape::Ring,
    ),
    (
        "swiss-roll",
        "points in the plane: (t cos t, t sin t), t uniform in [1.5π, 4.5π], with noise of sd 0.25, all divided by 7.5",
        Shape::Roll,
    ),
];

/// The toys: names, with what they are.
pub fn toys() -> Vec<(&'static str, &'static str)> {
    TOYS.iter().map(|(name, what, _)| (*name, *what)).collect()
}

/// n independent points of a toy. Written `25-gaussians`, or `25-gaussians:100000` for another n than 25,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Toy {
    name: &'static str,
    shape: Shape,
    n: usize,
}

impl Toy {
    /// The toy that `text` names; none when it names another thing.
    ///
    /// # Errors
    /// [`Error::Syntax`] when the number of points is not allowed.
    pub fn parse(text: &str) -> Result<Option<Self>> {
        let (name, n) = text.split_once(':').map_or((text, None), |(name, n)| (name, Some(n)));
        let Some(&(name, _, shape)) = TOYS.iter().find(|(known, ..)| *known == name) else { return Ok(None) };
        let n = match n {
            None => POINTS,
            Some(n) => n.parse().ok().filter(|n| (1..=MOST_POINTS).contains(n)).ok_or_else(|| {
                Error::syntax("toy", text, format!("write {name}:N, with N from 1 to {MOST_POINTS} points"))
            })?,
        };
        Ok(Some(Self { name, shape, n }))
    }

    /// Number of points.
    pub fn count(&self) -> usize {
        self.n
    }

    /// `NAME:N`.
    pub fn text(&self) -> String {
        format!("{}:{}", self.name, self.n)
    }

    /// Names of the Gaussians that points belong to: their centres. None for the roll.
    pub fn class_names(&self) -> Option<Vec<String>> {
        let centres = self.centres();
        (!centres.is_empty()).then(|| centres.iter().map(|[x, y]| format!("({x:.2}, {y:.2})")).collect())
    }

    /// The points, (n, 2) row after row, and for each of them the number of its Gaussian; none for the roll. Fewer
    /// points are the first of more.
    pub fn draw(&self, rng: &mut Rng) -> (Vec<f32>, Option<Vec<u32>>) {
        let centres = self.centres();
        let mut rows = Vec::with_capacity(2 * self.n);
        let mut labels = Vec::new();
        for _ in 0..self.n {
            let (centre, noise) = match self.shape {
                Shape::Roll => {
                    let t = 1.5 * PI * (1.0 + 2.0 * rng.random::<f64>());
                    ([t * t.cos() / 7.5, t * t.sin() / 7.5], 0.25 / 7.5)
                }
                shape => {
                    let label = rng.random_range(0..centres.len());
                    labels.push(label as u32);
                    (centres[label], if shape == Shape::Grid { 0.05 / 2.828 } else { 0.02 / 1.414 })
                }
            };
            rows.extend(centre.map(|x| {
                let normal: f64 = rng.sample(StandardNormal);
                (x + noise * normal) as f32
            }));
        }
        (rows, (!labels.is_empty()).then_some(labels))
    }

    /// Centres of the Gaussians.
    fn centres(&self) -> Vec<[f64; 2]> {
        match self.shape {
            Shape::Grid => (0..25).map(|k| [k / 5 - 2, k % 5 - 2].map(|i| 2.0 * f64::from(i) / 2.828)).collect(),
            Shape::Ring => {
                // Exactly on the axes, where sines and cosines would be off by a rounding.
                let (one, half) = (2.0 / 1.414, SQRT_2 / 1.414);
                let turn = |[x, y]: [f64; 2]| [-y, x];
                let mut centres = vec![[one, 0.0], [half, half]];
                for k in 0..6 {
                    centres.push(turn(centres[k]));
                }
                centres
            }
            Shape::Roll => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme::rng;

    fn drawn(text: &str) -> (Toy, Vec<[f64; 2]>, Option<Vec<u32>>) {
        let toy = Toy::parse(text).unwrap().unwrap();
        let (rows, labels) = toy.draw(&mut rng::stream(3, "toy", 0));
        (toy, rows.chunks_exact(2).map(|p| [f64::from(p[0]), f64::from(p[1])]).collect(), labels)
    }

    #[test]
    fn gaussians_lie_around_their_centres() {
        for (text, count, sd) in [("25-gaussians:100000", 25, 0.01768), ("8-gaussians:100000", 8, 0.014144)] {
            let (toy, points, labels) = drawn(text);
            let labels = labels.unwrap();
            assert_eq!((points.len(), toy.class_names().unwrap().len()), (100_000, count));
            let expected: Vec<[f64; 2]> = if count == 25 {
                // FACTS: spacing .7072, from −1.4144 on.
                (0..25).map(|k| [-1.4144 + 0.7072 * f64::from(k / 5), -1.4144 + 0.7072 * f64::from(k % 5)]).collect()
            } else {
                (0..8).map(|k| f64::from(k) * PI / 4.0).map(|a| [1.41443 * a.cos(), 1.41443 * a.sin()]).collect()
            };
            for (label, centre) in expected.iter().enumerate() {
                let own: Vec<_> =
                    points.iter().zip(&labels).filter(|(_, l)| **l as usize == label).map(|(p, _)| p).collect();
                let n = own.len() as f64;
                let share = 1.0 / count as f64;
                assert!((n - 1e5 * share).abs() < 4.0 * (1e5 * share * (1.0 - share)).sqrt(), "{n} of {label}");
                for axis in 0..2 {
                    let mean = own.iter().map(|p| p[axis]).sum::<f64>() / n;
                    let variance = own.iter().map(|p| (p[axis] - mean).powi(2)).sum::<f64>() / n;
                    assert!((mean - centre[axis]).abs() < 5.0 * sd / n.sqrt() + 1e-4, "{mean} {centre:?}");
                    assert!((variance.sqrt() / sd - 1.0).abs() < 5.0 / (2.0 * n).sqrt(), "{} {sd}", variance.sqrt());
                }
            }
        }
    }

    #[test]
    fn the_roll_has_its_radius() {
        let (toy, points, labels) = drawn("swiss-roll");
        assert_eq!((toy.count(), labels, toy.class_names()), (25_000, None, None));
        // With noise of sd 1/30: the radius t/7.5 is the angle, but for whole turns, divided by 7.5.
        let (mut off, mut radii) = (0.0, 0.0);
        for [x, y] in &points {
            let radius = x.hypot(*y);
            let turns = (radius * 7.5 - y.atan2(*x)) / (2.0 * PI);
            off += ((turns - turns.round()) * 2.0 * PI / 7.5).powi(2);
            radii += radius;
        }
        let n = points.len() as f64;
        // Between the windings, 2π/7.5 apart; the noise has this part across them, and mean 3π/7.5 over t.
        assert!((off / n).sqrt() < 1.1 / 30.0, "{}", (off / n).sqrt());
        assert!((radii / n - 3.0 * PI / 7.5).abs() < 0.01, "{}", radii / n);
    }

    #[test]
    fn texts_name_toys() {
        assert_eq!(Toy::parse("fashion-mnist").unwrap(), None);
        assert_eq!(Toy::parse("./25-gaussians").unwrap(), None);
        assert_eq!(Toy::parse("8-gaussians:17").unwrap().unwrap().text(), "8-gaussians:17");
        for text in ["8-gaussians:0", "8-gaussians:x", "8-gaussians:200000000"] {
            assert!(matches!(Toy::parse(text), Err(Error::Syntax { .. })));
        }
        // Fewer are the first of more.
        let ([few, more], _) = (["swiss-roll:5", "swiss-roll:50"].map(|t| drawn(t).1), ());
        assert_eq!(few, more[..5]);
    }
}
