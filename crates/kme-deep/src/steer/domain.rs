//! What a generator can be steered to: how far inputs lie from what it makes, and whether a kernel sees that far.

use kme::neighbours::nearest;
use kme::sums::{self, Precision};
use kme::{Error, Kernel, Points, Result};

/// The distances between the pictures of a generator, as the measure of how far another one lies from them.
///
/// For samples s₁ … s_m let rᵢ = min_{j≠i} ‖sᵢ − sⱼ‖: the distance of one more sample to its nearest. An input x at distance
/// r = minⱼ ‖x − sⱼ‖ lies farther than the part #{rᵢ < r}/m of them, and r/q times as far as a sample at the far end of
/// them, where q is their quantile of order 0.95. If x were one more sample, all ranks of r among the rᵢ would be about
/// equally likely.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    samples: Points,
    /// r₁ … r_m, sorted.
    apart: Vec<f64>,
}

/// How far an input lies from a generator's pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// To the nearest sample, r.
    pub nearest: f64,
    /// The part of the samples that lie nearer to their own nearest, in [0, 1].
    pub beyond: f64,
    /// r/q: how many times as far as samples lie from each other at the far end.
    pub times: f64,
}

impl Distance {
    /// From which r/q on an input is one that the generator cannot make. Pictures of the kind that a generator has learned,
    /// but has not seen, lie farther from its samples than these from each other; the bound is above what was measured of them.
    pub const FAR: f64 = 2.0;

    /// Whether a generator that is steered there will not arrive.
    pub fn is_far(&self) -> bool {
        self.beyond >= 1.0 && self.times > Self::FAR
    }
}

impl Domain {
    /// From features of a generator's pictures, shape (m, d), m ≥ 2.
    ///
    /// # Errors
    /// When there is one sample only.
    pub fn new(samples: Points) -> Result<Self> {
        if samples.len() < 2 {
            return Err(Error::value("number of samples", samples.len(), "at least 2"));
        }
        // The nearest of all is the point itself, or one that is equal to it.
        let found = nearest(&samples, &samples, 2, Precision::F64)?;
        let mut apart: Vec<f64> = (0..samples.len())
            .filter_map(|i| found.of(i).find(|&(j, _)| j != i).map(|(_, distance)| distance))
            .collect();
        apart.sort_by(f64::total_cmp);
        Ok(Self { samples, apart })
    }

    /// The samples.
    pub fn samples(&self) -> &Points {
        &self.samples
    }

    /// How far each input lies, shape (n, d) → n.
    ///
    /// # Errors
    /// When dimensions differ.
    pub fn distances(&self, inputs: &Points) -> Result<Vec<Distance>> {
        let found = nearest(inputs, &self.samples, 1, Precision::F64)?;
        let m = self.apart.len();
        let far = self.apart[(m * 95).div_ceil(100) - 1];
        Ok(found
            .distances
            .into_iter()
            .map(|nearest| {
                let beyond = self.apart.partition_point(|&apart| apart < nearest) as f64 / m as f64;
                // Samples that are all alike leave no scale: anything else is infinitely far.
                let times = if nearest == 0.0 { 0.0 } else { nearest / far };
                Distance { nearest, beyond, times }
            })
            .collect())
    }
}

/// How much of a kernel is left between inputs and a generator's pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// The largest k(x, s)/√(k(x, x) k(s, s)) over inputs x and samples s. Near 0, no sample feels a pull.
    pub most: f64,
    /// The least. Near 1, the kernel tells no picture from another.
    pub least: f64,
}

impl Sight {
    /// Below this, the largest value makes no gradient that single precision could follow.
    pub const NARROW: f64 = 1e-3;
    /// From 1 minus this on, differences drown in the rounding of single precision.
    pub const WIDE: f64 = 1e-4;

    /// Of kernels that fall off with the distance from a value on the diagonal that is the same everywhere; of others (linear,
    /// polynomial, energy), which have no length, there is none.
    ///
    /// # Errors
    /// When dimensions differ.
    pub fn of(kernel: &Kernel, inputs: &Points, samples: &Points) -> Result<Option<Self>> {
        let top = kernel.diagonal(&0.0);
        if !(kernel.is_radial() && top > 0.0) {
            return Ok(None);
        }
        // A few hundred inputs, evenly from all of them, tell it as well as all.
        let n = inputs.len();
        let inputs = inputs.select(&(0..n.min(200)).map(|i| i * n / n.min(200)).collect::<Vec<_>>())?;
        let pairs: Vec<_> = (0..inputs.len()).flat_map(|i| (0..samples.len()).map(move |j| (i, j))).collect();
        let values = sums::pairs(kernel, &inputs, samples, &pairs)?;
        let (least, most) = values.iter().fold((f64::INFINITY, 0.0), |(a, b), &v| (v.min(a), v.max(b)));
        Ok(Some(Self { most: most / top, least: least / top }))
    }

    /// Whether the kernel is too narrow to pull a picture of the generator anywhere.
    pub fn is_narrow(&self) -> bool {
        self.most < Self::NARROW
    }

    /// Whether the kernel is too wide to tell pictures apart.
    pub fn is_wide(&self) -> bool {
        self.least > 1.0 - Self::WIDE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme::points::Data;

    fn points(x: &[f64]) -> Points {
        Points::new(x.len() / 2, 2, Data::F64(x.to_vec())).unwrap()
    }

    #[test]
    fn distances_are_those_to_the_nearest_other() {
        // A line of samples at 0, 1, 3, 7: r = 1, 1, 2, 4.
        let samples = points(&[0.0, 5.0, 1.0, 5.0, 3.0, 5.0, 7.0, 5.0]);
        let domain = Domain::new(samples).unwrap();
        assert_eq!(domain.apart, [1.0, 1.0, 2.0, 4.0]);
        let found = domain.distances(&points(&[0.0, 5.0, 0.0, 3.5, 17.0, 5.0])).unwrap();
        assert_eq!(found[0], Distance { nearest: 0.0, beyond: 0.0, times: 0.0 });
        assert_eq!(found[1], Distance { nearest: 1.5, beyond: 0.5, times: 0.375 });
        assert_eq!(found[2], Distance { nearest: 10.0, beyond: 1.0, times: 2.5 });
        assert_eq!(found.map_far(), [false, false, true]);
        // Copies: a sample's nearest may lie upon it.
        let domain = Domain::new(points(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0])).unwrap();
        assert_eq!(domain.apart, [0.0; 3]);
        let found = domain.distances(&points(&[1.0, 1.0, 1.0, 2.0])).unwrap();
        assert_eq!(found.map_far(), [false, true]);
        assert!(Domain::new(points(&[0.0, 0.0])).is_err());
    }

    trait MapFar {
        fn map_far(&self) -> Vec<bool>;
    }

    impl MapFar for Vec<Distance> {
        fn map_far(&self) -> Vec<bool> {
            self.iter().map(Distance::is_far).collect()
        }
    }

    #[test]
    fn a_kernel_sees_as_far_as_its_values_say() {
        let (x, s) = (points(&[0.0, 0.0]), points(&[3.0, 4.0, 6.0, 8.0]));
        let at = |kernel: &str| Sight::of(&kernel.parse().unwrap(), &x, &s).unwrap();
        let sight = at("gaussian:sigma=5").unwrap();
        assert!((sight.most - (-0.5f64).exp()).abs() < 1e-12 && (sight.least - (-2.0f64).exp()).abs() < 1e-12);
        assert!(!sight.is_narrow() && !sight.is_wide());
        assert!(at("gaussian:sigma=1").unwrap().is_narrow());
        assert!(at("gaussian:sigma=1000").unwrap().is_wide());
        // (c² + r²)^(-1/2) over 1/c.
        assert!((at("imq:c=5").unwrap().most - 0.5f64.sqrt()).abs() < 1e-12);
        assert!(!at("imq:c=0.01").unwrap().is_wide());
        // Wide in one term and narrow in another, a sum has the sight of both.
        assert!(!at("gaussian:sigma=0.1,5").unwrap().is_narrow());
        for kernel in ["linear", "energy", "poly:degree=3,gamma=1,coef=1", "distance"] {
            assert_eq!(at(kernel), None, "{kernel}");
        }
    }
}
