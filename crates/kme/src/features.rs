//! Random Fourier features: a finite feature map whose inner products approximate a Gaussian kernel.
//!
//! Reference: Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007; the two versions are compared
//! by Sutherland, Schneider, "On the error of random Fourier features", UAI 2015.

use crate::arith::{Arith, Lane};
use crate::points::{Data, Points, PointsView, check_dim};
use crate::rng::{Rng, stream, uniform};
use crate::sums::{Panel, product};
use crate::{Error, Field, Result};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// Which functions of the frequencies are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Waves {
    /// √(2/s)·cos(ωᵢ·x + bᵢ) with s frequencies and phases: the squared norm of a feature vector is 1 on average only.
    Phase,
    /// √(2/s)·(cos ωᵢ·x, sin ωᵢ·x) with s/2 frequencies: the squared norm is exactly 1.
    #[default]
    Paired,
}

/// A random map z: R^d → R^s with E ⟨z(x),z(y)⟩ = exp(−‖x−y‖²/(2σ²)).
///
/// The root mean square error of the inner products is below 1/√s. The same map must be used for all points that are
/// compared; it is a function of its five parameters, which are all that needs to be stored.
///
/// # Example
/// ```
/// use kme::{Data, Points, RandomFeatures, Waves};
/// let map = RandomFeatures::new(3, 500, 2.0, Waves::Paired, 7)?;
/// let x = Points::new(2, 3, Data::F64(vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0]))?;
/// let z = map.map(&x)?;
/// assert_eq!((z.len(), z.dim()), (2, 500));
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFeatures {
    waves: Waves,
    sigma: f64,
    seed: u64,
    d: usize,
    s: usize,
    /// Shape (frequencies, d), row after row.
    frequencies: Vec<f64>,
    /// One for each frequency, in [0, 2π); empty for paired waves.
    phases: Vec<f64>,
}

impl RandomFeatures {
    /// `s` features of points of dimension `d` for the Gaussian kernel of width `sigma`, drawn from `seed`.
    ///
    /// # Errors
    /// When d or s is 0, sigma is not a number from 1e-12 to 1e12, s is odd for paired waves, or the frequencies are more
    /// than 2²⁸ numbers (2 GiB) or more than memory holds.
    pub fn new(d: usize, s: usize, sigma: f64, waves: Waves, seed: u64) -> Result<Self> {
        check_dim(d)?;
        if s == 0 || (waves == Waves::Paired && s % 2 == 1) {
            return Err(Error::parameter("random_features", s, "at least 1, and even for paired waves"));
        }
        if !(1e-12..=1e12).contains(&sigma) {
            return Err(Error::parameter("sigma", sigma, "a number from 1e-12 to 1e12"));
        }
        let count = match waves {
            Waves::Phase => s,
            Waves::Paired => s / 2,
        };
        let too_many = || {
            let given = format!("{s} in dimension {d}");
            let most = "2^28 numbers (2 GiB) of frequencies, or free memory, can hold";
            Error::too_many("random features", given, most, "draw fewer")
        };
        let size = count.checked_mul(d).filter(|size| *size <= 1 << 28).ok_or_else(too_many)?;
        let mut rng = stream(seed, "random features: frequencies", 0);
        let mut frequencies = Vec::new();
        frequencies.try_reserve_exact(size + 1).map_err(|_| too_many())?;
        while frequencies.len() < size {
            let (a, b) = two_normals(&mut rng);
            frequencies.extend([a / sigma, b / sigma]);
        }
        frequencies.truncate(size);
        let mut rng = stream(seed, "random features: phases", 0);
        let phases = match waves {
            Waves::Phase => (0..s).map(|_| TAU * uniform(&mut rng)).collect(),
            Waves::Paired => vec![],
        };
        Ok(Self { waves, sigma, seed, d, s, frequencies, phases })
    }

    /// The dimension d of the points.
    pub fn dim(&self) -> usize {
        self.d
    }

    /// The number of features s.
    pub fn len(&self) -> usize {
        self.s
    }

    /// Never true: there is at least one feature.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The width σ of the Gaussian kernel that is approximated.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }

    /// The seed from which the frequencies were drawn.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Phase or paired.
    pub fn waves(&self) -> Waves {
        self.waves
    }

    /// The features of each point: shape (n, s). Paired waves are cos, sin, cos, sin, ...
    ///
    /// The features of a point do not depend on which other points are mapped with it, bit for bit. The last bits do
    /// depend on the kind of processor, whose matrix product and cosine these are.
    ///
    /// # Errors
    /// When the dimension of the points is not d, or memory does not hold n·s numbers.
    pub fn map<'a>(&self, points: impl Into<PointsView<'a>>) -> Result<Points> {
        self.map_view(points.into())
    }

    fn map_view(&self, points: PointsView) -> Result<Points> {
        self.check(points)?;
        let too_many = || {
            let given = format!("{} features of {} points", self.s, points.len());
            Error::too_many("random features", given, "memory holds", "map the points in parts")
        };
        let size = points.len().checked_mul(self.s).ok_or_else(too_many)?;
        let mut features = Vec::new();
        features.try_reserve_exact(size).map_err(|_| too_many())?;
        features.resize(size, 0.0);
        let blocks: Vec<usize> = (0..points.len()).step_by(BLOCK).collect();
        features.par_chunks_mut(BLOCK * self.s).zip(blocks).for_each(|(out, first)| self.block(points, first, out));
        Points::new(points.len(), self.s, Data::F64(features))
    }

    fn check(&self, points: PointsView) -> Result<()> {
        if points.dim() == self.d {
            return Ok(());
        }
        Err(Error::mismatch(
            Field::Dimension,
            points.dim(),
            format!("{} of the random features", self.d),
            "use the features that were drawn for these points",
        ))
    }

    /// The features of the points from `first` on, as many as fit into `out`.
    fn block(&self, points: PointsView, first: usize, out: &mut [f64]) {
        let rows = out.len() / self.s;
        let mut x = Panel::<f64>::new(points, first..first + rows, None).data;
        // A matrix product may add in another order for another shape, so there is only one.
        x.resize(BLOCK * self.d, 0.0);
        let count = self.frequencies.len() / self.d;
        let mut angles = vec![0.0; BLOCK * count];
        // SAFETY: angles is (BLOCK, count), x (BLOCK, d) and the frequencies (count, d), each row after row.
        unsafe {
            let shape = (BLOCK, count, self.d);
            product(shape, &mut angles, (1, count), &x, (1, self.d), &self.frequencies, (self.d, 1));
        }
        let scale = (2.0 / self.s as f64).sqrt();
        for (out, angles) in out.chunks_exact_mut(self.s).zip(angles.chunks_exact(count)) {
            match self.waves {
                Waves::Phase => {
                    for ((z, angle), phase) in out.iter_mut().zip(angles).zip(&self.phases) {
                        *z = scale * (angle + phase).cos();
                    }
                }
                Waves::Paired => {
                    for (z, angle) in out.chunks_exact_mut(2).zip(angles) {
                        let (sin, cos) = angle.sin_cos();
                        (z[0], z[1]) = (scale * cos, scale * sin);
                    }
                }
            }
        }
    }
}

/// Points that are mapped together.
const BLOCK: usize = 64;

/// Two independent standard normal numbers by Marsaglia's polar method.
///
/// Written out, with a logarithm of our own, since a stored seed must give the same frequencies on every machine and with
/// every version of every library.
fn two_normals(rng: &mut Rng) -> (f64, f64) {
    loop {
        let (a, b) = (2.0 * uniform(rng) - 1.0, 2.0 * uniform(rng) - 1.0);
        let r = a * a + b * b;
        if r > 0.0 && r < 1.0 {
            let Lane(log) = Lane::<f64, false>(r - 1.0).ln_1p();
            let factor = (-2.0 * log / r).sqrt();
            return (a * factor, b * factor);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discrepancy::{Estimator, mmd2};
    use crate::kernel::{Kernel, Pair};
    use crate::sums::Precision;

    fn ball(n: usize, d: usize, seed: u64) -> Points {
        let mut rng = stream(seed, "features", 0);
        let numbers = (0..n * d).map(|_| two_normals(&mut rng).0 / (d as f64).sqrt()).collect();
        Points::new(n, d, Data::F64(numbers)).unwrap()
    }

    fn row(p: &Points, i: usize) -> &[f64] {
        match p.data() {
            Data::F64(v) => &v[i * p.dim()..(i + 1) * p.dim()],
            Data::F32(_) => unreachable!("features are f64"),
        }
    }

    /// Root mean square error of the kernel off the diagonal, for γ = 1, over several draws.
    fn error(waves: Waves, s: usize) -> f64 {
        let sigma = 0.5_f64.sqrt();
        let kernel: Kernel = "gaussian:gamma=1".parse().unwrap();
        let x = ball(40, 5, 1);
        let (mut sum, mut count) = (0.0, 0);
        for seed in 0..60 {
            let z = RandomFeatures::new(5, s, sigma, waves, seed).unwrap().map(&x).unwrap();
            for i in 0..40 {
                for j in 0..i {
                    let found = Pair::of(row(&z, i), row(&z, j)).dot;
                    sum += (found - kernel.value(&Pair::of(row(&x, i), row(&x, j)))).powi(2);
                    count += 1;
                }
            }
        }
        (sum / f64::from(count)).sqrt()
    }

    #[test]
    fn error_falls_with_the_root_of_the_number() {
        let phase = [100, 300, 1000].map(|s| error(Waves::Phase, s) * (s as f64).sqrt());
        let paired = [100, 300, 1000].map(|s| error(Waves::Paired, s) * (s as f64).sqrt());
        println!("error·√s: phase {phase:.3?}, paired {paired:.3?}");
        for scaled in phase.iter().chain(&paired) {
            assert!((0.8..1.0).contains(scaled), "{phase:?} {paired:?}");
        }
        let at_300 = phase[1] / 300.0_f64.sqrt();
        assert!((at_300 - 0.0556).abs() < 0.003, "{at_300}");
        assert!(paired[1] < phase[1]);
    }

    #[test]
    fn unbiased_and_exact_on_the_diagonal_if_paired() {
        let x = ball(2, 3, 2);
        let kernel: Kernel = "gaussian:sigma=0.8".parse().unwrap();
        let right = kernel.value(&Pair::of(row(&x, 0), row(&x, 1)));
        for waves in [Waves::Phase, Waves::Paired] {
            let repeats = 2000;
            let found: Vec<f64> = (0..repeats)
                .map(|seed| {
                    let z = RandomFeatures::new(3, 20, 0.8, waves, seed).unwrap().map(&x).unwrap();
                    let norm = Pair::of(row(&z, 0), row(&z, 0)).dot;
                    assert_eq!(waves == Waves::Paired, (norm - 1.0).abs() < 1e-12);
                    Pair::of(row(&z, 0), row(&z, 1)).dot
                })
                .collect();
            let mean = found.iter().sum::<f64>() / repeats as f64;
            let sd = (found.iter().map(|f| (f - mean).powi(2)).sum::<f64>() / repeats as f64).sqrt();
            assert!((mean - right).abs() < 3.0 * sd / (repeats as f64).sqrt(), "{mean} is not {right}");
        }
    }

    #[test]
    fn the_linear_kernel_on_features_leaves_the_right_diagonal_out() {
        let (x, y) = (ball(30, 3, 3), ball(40, 3, 4));
        for waves in [Waves::Phase, Waves::Paired] {
            let map = RandomFeatures::new(3, 64, 0.7, waves, 5).unwrap();
            let (zx, zy) = (map.map(&x).unwrap(), map.map(&y).unwrap());
            let side = |z: &Points| {
                let n = z.len();
                let sum: Vec<f64> = (0..64).map(|c| (0..n).map(|i| row(z, i)[c]).sum()).collect();
                let own: f64 = (0..n).map(|i| Pair::of(row(z, i), row(z, i)).dot).sum();
                (Pair::of(&sum, &sum).dot - own) / (n * (n - 1)) as f64
            };
            let mean = |z: &Points| -> Vec<f64> {
                (0..64).map(|c| (0..z.len()).map(|i| row(z, i)[c]).sum::<f64>() / z.len() as f64).collect()
            };
            let cross = Pair::of(&mean(&zx), &mean(&zy)).dot;
            let right = side(&zx) + side(&zy) - 2.0 * cross;
            let kernel: Kernel = "linear".parse().unwrap();
            let found = mmd2(&kernel, &zx, &zy, Estimator::Unbiased, Precision::F64).unwrap().value;
            assert!((found - right).abs() < 1e-13, "{found} is not {right}");
        }
    }

    #[test]
    fn features_do_not_depend_on_the_batch() {
        let x = ball(301, 11, 8);
        let map = RandomFeatures::new(11, 90, 1.0, Waves::Phase, 3).unwrap();
        let all = map.map(&x).unwrap();
        for batch in [(0..1).collect::<Vec<_>>(), (3..70).collect(), (64..301).rev().collect()] {
            let part = map.map(&x.select(&batch).unwrap()).unwrap();
            assert_eq!(part, all.select(&batch).unwrap());
        }
    }

    #[test]
    fn a_seed_is_a_promise() {
        let map = RandomFeatures::new(2, 4, 1.0, Waves::Phase, 1).unwrap();
        let same = RandomFeatures::new(2, 4, 1.0, Waves::Phase, 1).unwrap();
        assert_eq!(map, same);
        assert_ne!(map.frequencies, RandomFeatures::new(2, 4, 1.0, Waves::Phase, 2).unwrap().frequencies);
        // Stored files hold the seed alone: these numbers must never change.
        assert_eq!(map.frequencies[..2], [0.9895701254410123, -1.3254491591600814]);
        assert_eq!(map.phases[..2], [2.7638609285497844, 1.6403850583729795]);
    }

    #[test]
    fn faults() {
        let new = |d, s, sigma, waves| RandomFeatures::new(d, s, sigma, waves, 0);
        assert!(new(0, 4, 1.0, Waves::Phase).is_err());
        assert!(new(2, 0, 1.0, Waves::Phase).is_err());
        assert!(matches!(new(2, 5, 1.0, Waves::Paired), Err(Error::Parameter { .. })));
        assert!(new(2, 4, 0.0, Waves::Paired).is_err());
        assert!(new(2, 4, f64::NAN, Waves::Paired).is_err());
        assert!(new(usize::MAX, 4, 1.0, Waves::Paired).is_err());
        assert!(matches!(new(1 << 20, 1 << 11, 1.0, Waves::Paired), Err(Error::TooMany { .. })));
        // The dimension is looked at before memory is taken for the features.
        let map = RandomFeatures { s: usize::MAX, ..new(2, 4, 1.0, Waves::Paired).unwrap() };
        assert!(matches!(map.map(&ball(2, 2, 0)), Err(Error::TooMany { .. })));
        assert!(matches!(map.map(&ball(2, 3, 0)), Err(Error::Mismatch { field: Field::Dimension, .. })));
    }
}
