//! Latents of a generator: their prior, paths between them, and grids over a plane of their space.

use kme::rng::Rng;
use kme::{Error, Result};
use rand::RngExt;
use rand_distr::StandardNormal;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

/// The prior of latent vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prior {
    /// Independent standard normals.
    Normal,
    /// Independent uniforms on [−1, 1].
    Uniform,
}

/// Latent vectors: how many numbers, and their prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latent {
    /// Numbers of one vector.
    pub dim: usize,
    /// Their distribution.
    pub prior: Prior,
}

impl Prior {
    /// The number below which a coordinate lies with probability `p`, 0 < p < 1.
    pub fn quantile(self, p: f64) -> f64 {
        match self {
            Self::Normal => Normal::standard().inverse_cdf(p),
            Self::Uniform => 2.0 * p - 1.0,
        }
    }

    /// The latent between `a` (t = 0) and `b` (t = 1).
    ///
    /// For a uniform prior the interpolation is linear: (1−t)a + tb. For a normal one it is spherical, sin((1−t)ω)/sin ω · a +
    /// sin(tω)/sin ω · b with ω the angle between the two: in many dimensions normal vectors lie near a sphere, and the middle
    /// of a line would be far inside it, where the generator has not been trained. Between parallel vectors it is linear.
    ///
    /// Reference for spherical interpolation: White, "Sampling generative networks", 2016.
    pub fn interpolate(self, a: &[f32], b: &[f32], t: f64) -> Vec<f32> {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        let (mut from, mut to) = (1.0 - t, t);
        if self == Self::Normal && cosine.abs() < 1.0 - 1e-9 {
            let angle = cosine.acos();
            (from, to) = (((1.0 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin());
        }
        a.iter().zip(b).map(|(a, b)| (from * f64::from(*a) + to * f64::from(*b)) as f32).collect()
    }
}

impl Latent {
    /// `n` latent vectors, row after row.
    pub fn draw(&self, n: usize, rng: &mut Rng) -> Vec<f32> {
        (0..n * self.dim)
            .map(|_| match self.prior {
                Prior::Normal => rng.sample(StandardNormal),
                Prior::Uniform => rng.random_range(-1.0..=1.0),
            })
            .collect()
    }

    /// `steps` latents at equal steps from `a` to `b`, both included: (steps, dim), row after row.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there are fewer than 2 steps.
    pub fn interpolate(&self, a: &[f32], b: &[f32], steps: usize) -> Result<Vec<f32>> {
        if steps < 2 {
            return Err(Error::parameter("steps", steps, "at least 2, the two ends"));
        }
        Ok((0..steps).flat_map(|i| self.prior.interpolate(a, b, i as f64 / (steps - 1) as f64)).collect())
    }

    /// side² latents over the plane of two coordinates, (side², dim), row after row: the first grows along a row, the second
    /// from row to row, over the prior's quantiles of (i − ½)/side for i = 1 … side; all others are 0.
    ///
    /// These are the middles of `side` parts of equal probability; quantiles of i/side would end at infinity.
    ///
    /// # Errors
    /// [`Error::Parameter`] when the two coordinates are one, or not below the dimension.
    pub fn manifold(&self, side: usize, coordinates: [usize; 2]) -> Result<Vec<f32>> {
        let [first, second] = coordinates;
        if first == second || first.max(second) >= self.dim {
            let given = format!("{first},{second}");
            let allowed = format!("two different numbers from 0 to {}", self.dim.saturating_sub(1));
            return Err(Error::parameter("coordinates", given, allowed));
        }
        let at = |i: usize| self.prior.quantile((i as f64 + 0.5) / side as f64) as f32;
        let mut latents = vec![0.0; side * side * self.dim];
        for (i, latent) in latents.chunks_exact_mut(self.dim).enumerate() {
            (latent[first], latent[second]) = (at(i % side), at(i / side));
        }
        Ok(latents)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn norm(x: &[f32]) -> f64 {
        x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
    }

    #[test]
    fn spherical_interpolation_stays_on_the_sphere_and_turns_evenly() {
        let latent = Latent { dim: 3, prior: Prior::Normal };
        let (a, b) = ([3.0, 0.0, 0.0], [0.0, 0.0, 3.0]);
        let latents = latent.interpolate(&a, &b, 7).unwrap();
        for (i, z) in latents.chunks(3).enumerate() {
            let angle = std::f64::consts::FRAC_PI_2 * i as f64 / 6.0;
            let expected = [3.0 * angle.cos(), 0.0, 3.0 * angle.sin()];
            assert!(z.iter().zip(expected).all(|(z, e)| (f64::from(*z) - e).abs() < 1e-6), "{i}: {z:?}");
            assert!((norm(z) - 3.0).abs() < 1e-6);
        }
        // The ends are themselves; between parallel vectors it is linear.
        let (a, b) = ([0.5, -2.0, 1.0], [1.5, 0.25, 3.0]);
        let latents = latent.interpolate(&a, &b, 4).unwrap();
        assert!(
            latents[..3].iter().chain(&latents[9..]).zip(a.iter().chain(&b)).all(|(x, y)| (x - y).abs() < 1e-6),
            "{latents:?}"
        );
        for (b, middle) in
            [([2.0, 0.0, 0.0], [1.5, 0.0, 0.0]), ([-1.0, 0.0, 0.0], [0.0; 3]), ([0.0; 3], [0.5, 0.0, 0.0])]
        {
            assert_eq!(Prior::Normal.interpolate(&[1.0, 0.0, 0.0], &b, 0.5), middle);
        }
        assert!(matches!(latent.interpolate(&a, &b, 1), Err(Error::Parameter { .. })));
    }

    #[test]
    fn a_uniform_prior_is_interpolated_linearly() {
        let latent = Latent { dim: 2, prior: Prior::Uniform };
        let latents = latent.interpolate(&[-1.0, 0.5], &[1.0, 0.0], 5).unwrap();
        assert_eq!(latents, [-1.0, 0.5, -0.5, 0.375, 0.0, 0.25, 0.5, 0.125, 1.0, 0.0]);
    }

    #[test]
    fn a_manifold_is_finite_even_and_symmetric() {
        let latent = Latent { dim: 3, prior: Prior::Normal };
        let grid = latent.manifold(4, [2, 0]).unwrap();
        assert_eq!(grid.len(), 48);
        // Standard normal quantiles of 1/8 and 3/8.
        let at = [-1.150_349_4, -0.318_639_36, 0.318_639_36, 1.150_349_4_f32];
        for (i, z) in grid.chunks(3).enumerate() {
            let expected = [at[i / 4], 0.0, at[i % 4]];
            assert!(z.iter().zip(expected).all(|(z, e)| (z - e).abs() < 1e-6), "{i}: {z:?}");
        }
        let uniform = Latent { dim: 2, prior: Prior::Uniform }.manifold(2, [0, 1]).unwrap();
        assert_eq!(uniform, [-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5]);
        assert!(latent.manifold(4, [1, 1]).is_err() && latent.manifold(4, [0, 3]).is_err());
    }
}
