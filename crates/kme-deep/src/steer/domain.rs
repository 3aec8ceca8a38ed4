//! What a generator can be steered to: how far inputs lie from what it makes, and whether a kernel sees that far.

use burn::tensor::Tensor;
use kme::Precision;
use kme::internal::{nearest, sums};
use kme::{Error, Field, Kernel, Points, Result};
use kme_image::{Images, evenly};
use kme_net::{Place, place, tensor_of};

/// How far an input lies from a generator's pictures, beside how far these lie from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Distance {
    /// The part of the generator's own pictures that lie nearer to the others, in [0, 1].
    pub beyond: f64,
    /// The distance over that which 95 % of the generator's own pictures do not exceed.
    pub times: f64,
}

impl Distance {
    /// Whether it is farther than all of the generator's own pictures, and more than `far` times as far as 95 % of them.
    fn exceeds(&self, far: f64) -> bool {
        self.beyond >= 1.0 && self.times > far
    }
}

/// Distances of the generator's own pictures, sorted: the law that those of inputs are held against.
#[derive(Clone, Debug, PartialEq)]
struct Law(Vec<f64>);

impl Law {
    fn new(mut own: Vec<f64>) -> Self {
        own.sort_by(f64::total_cmp);
        Self(own)
    }

    fn place(&self, distance: f64) -> Distance {
        let m = self.0.len();
        let usual = self.0[(m * 95).div_ceil(100) - 1];
        // Pictures that are all alike leave no scale: anything else is infinitely far.
        let times = if distance == 0.0 { 0.0 } else { distance / usual };
        Distance { beyond: self.0.partition_point(|&own| own < distance) as f64 / m as f64, times }
    }
}

/// The nearest neighbours among a generator's pictures, in features.
///
/// For samples s₁ … s_m let rᵢ = min_{j≠i} ‖sᵢ − sⱼ‖, and for an input x let r = minⱼ ‖x − sⱼ‖. If x were one more sample, r would
/// be like another of the rᵢ.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    samples: Points,
    law: Law,
}

impl Domain {
    /// Of the shipped generator and classifier, 2 of 10,000 test pictures lie beyond this; of digits an eighth.
    const FAR: f64 = 1.75;

    /// From features of a generator's pictures, shape (m, d), m ≥ 2.
    ///
    /// # Errors
    /// When there is one sample only.
    pub fn new(samples: Points) -> Result<Self> {
        if samples.len() < 2 {
            return Err(Error::too_few("samples", samples.len(), 2, "the domain of a generator"));
        }
        // The nearest of all is the point itself, or one that is equal to it.
        let found = nearest(&samples, &samples, 2, Precision::F64)?;
        let own = (0..samples.len()).filter_map(|i| found.of(i).find(|&(j, _)| j != i).map(|(_, distance)| distance));
        Ok(Self { law: Law::new(own.collect()), samples })
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
        Ok(found.distances.into_iter().map(|distance| self.law.place(distance)).collect())
    }

    /// Whether a generator that is steered there will not arrive.
    pub fn is_far(distance: &Distance) -> bool {
        distance.exceeds(Self::FAR)
    }
}

/// What a generator's pictures can be combined to, in pixels.
///
/// Features of a network that was trained on one kind of pictures say little of other kinds: a photograph may lie among
/// garments. Its pixels do not. With the pictures s₁ … s_m, their mean s̄, the rows sᵢ − s̄ of G and λ = 10⁻⁴ tr(GGᵀ)/m, the
/// distance of x is the root of
///
/// min_a ‖x − s̄ − Gᵀa‖² + λ‖a‖² = ‖v‖² − (Gv)ᵀ (GGᵀ + λI)⁻¹ Gv,  v = x − s̄:
///
/// what is left of x when it is put together of them (the power function of the linear kernel). The generator's own pictures,
/// others than these, are the measure.
#[derive(Clone, Debug)]
pub struct Span {
    mean: Vec<f32>,
    /// G, of shape (m, d).
    rows: Tensor<2>,
    /// The lower triangle L of GGᵀ + λI = LLᵀ, row after row.
    factor: Vec<f64>,
    law: Law,
}

impl Span {
    /// Of the shipped generator, none of 500 test pictures lies beyond this; of 50 photographs 43.
    const FAR: f64 = 2.5;
    /// λ over the mean of the eigenvalues.
    const RIDGE: f64 = 1e-4;
    /// Numbers of pictures that are taken at one time: 32 MiB in double precision.
    const NUMBERS: usize = 1 << 22;

    /// From a generator's pictures: four fifths of them are combined, the others are the measure.
    ///
    /// # Errors
    /// When there are fewer than 10.
    pub fn new(pictures: &Images) -> Result<Self> {
        let n = pictures.len();
        if n < 10 {
            return Err(Error::too_few("pictures", n, 10, "the span of a generator's pictures"));
        }
        let m = n * 4 / 5;
        let [first, others] = [0..m, m..n].map(|range| pictures.select(&range.collect::<Vec<_>>()));
        let (first, others) = (first?, others?);
        let mut mean = vec![0.0_f64; first.stride()];
        for i in 0..m {
            mean.iter_mut().zip(first.picture(i)).for_each(|(sum, &x)| *sum += f64::from(x) / m as f64);
        }
        let mean: Vec<f32> = mean.into_iter().map(|x| x as f32).collect();
        let rows = centred(&first, &mean);
        let mut gram = place::numbers(rows.clone().matmul(rows.clone().transpose()));
        let trace: f64 = (0..m).map(|i| gram[i * m + i]).sum();
        // Where all are alike the number is arbitrary, but positive.
        let ridge = (Self::RIDGE * trace / m as f64).max(1e-12);
        (0..m).for_each(|i| gram[i * m + i] += ridge);
        let mut span = Self { mean, rows, factor: cholesky(gram, m), law: Law(Vec::new()) };
        span.law = Law::new(span.left(&others)?);
        Ok(span)
    }

    /// How many pictures are combined, and how many are the measure.
    pub fn counts(&self) -> (usize, usize) {
        (self.rows.dims()[0], self.law.0.len())
    }

    /// How far each picture lies.
    ///
    /// # Errors
    /// When they have another shape.
    pub fn distances(&self, pictures: &Images) -> Result<Vec<Distance>> {
        if pictures.stride() != self.mean.len() {
            let field = Field::Count("numbers in a picture".into());
            let remedy = "bring the pictures to the form of the generator's";
            return Err(Error::mismatch(field, pictures.stride(), self.mean.len(), remedy));
        }
        Ok(self.left(pictures)?.into_iter().map(|distance| self.law.place(distance)).collect())
    }

    /// Whether a generator that is steered there will not arrive.
    pub fn is_far(distance: &Distance) -> bool {
        distance.exceeds(Self::FAR)
    }

    /// What is left of each picture. They are taken some at a time, since each number of theirs becomes several in double
    /// precision.
    fn left(&self, pictures: &Images) -> Result<Vec<f64>> {
        self.left_in_parts(pictures, (Self::NUMBERS / pictures.stride().max(1)).max(1))
    }

    /// The same, `some` of them at a time.
    fn left_in_parts(&self, pictures: &Images, some: usize) -> Result<Vec<f64>> {
        let n = pictures.len();
        let mut left = Vec::with_capacity(n);
        for first in (0..n).step_by(some) {
            let part = pictures.select(&(first..n.min(first + some)).collect::<Vec<_>>())?;
            left.extend(self.left_of(&part));
        }
        Ok(left)
    }

    fn left_of(&self, pictures: &Images) -> Vec<f64> {
        let m = self.rows.dims()[0];
        let v = centred(pictures, &self.mean);
        let norms = place::numbers((v.clone() * v.clone()).sum_dim(1));
        let along = place::numbers(v.matmul(self.rows.clone().transpose()));
        let left = |(norm2, along): (f64, &[f64])| {
            // ‖L⁻¹Gv‖².
            let mut solved = vec![0.0; m];
            for i in 0..m {
                let row = &self.factor[i * m..i * m + i];
                let sum: f64 = row.iter().zip(&solved).map(|(l, s)| l * s).sum();
                solved[i] = (along[i] - sum) / self.factor[i * m + i];
            }
            (norm2 - solved.iter().map(|s| s * s).sum::<f64>()).max(0.0).sqrt()
        };
        norms.into_iter().zip(along.chunks_exact(m)).map(left).collect()
    }
}

/// Pictures as rows of pixels minus the mean, in double precision on the processor.
fn centred(pictures: &Images, mean: &[f32]) -> Tensor<2> {
    let (n, d) = (pictures.len(), pictures.stride());
    let place = Place::cpu_f64();
    let rows: Tensor<2> = tensor_of(pictures.clone(), &place).reshape([n, d]);
    rows - place.tensor(mean.to_vec(), [1, d])
}

/// The lower triangle L of a positive definite matrix LLᵀ of m rows; above it stays what was there.
fn cholesky(mut a: Vec<f64>, m: usize) -> Vec<f64> {
    for i in 0..m {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| a[i * m + k] * a[j * m + k]).sum();
            let value = a[i * m + j] - sum;
            a[i * m + j] = if i == j { value.max(f64::MIN_POSITIVE).sqrt() } else { value / a[j * m + j] };
        }
    }
    a
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
        let inputs = inputs.select(&evenly(inputs.len(), 200))?;
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
    use kme::Data;

    fn points(x: &[f64]) -> Points {
        Points::new(x.len() / 2, 2, Data::F64(x.to_vec())).unwrap()
    }

    #[test]
    fn distances_are_those_to_the_nearest_other() {
        // A line of samples at 0, 1, 3, 7: r = 1, 1, 2, 4.
        let samples = points(&[0.0, 5.0, 1.0, 5.0, 3.0, 5.0, 7.0, 5.0]);
        let domain = Domain::new(samples).unwrap();
        assert_eq!(domain.law.0, [1.0, 1.0, 2.0, 4.0]);
        let found = domain.distances(&points(&[0.0, 5.0, 0.0, 3.5, 17.0, 5.0])).unwrap();
        assert_eq!(found[0], Distance { beyond: 0.0, times: 0.0 });
        assert_eq!(found[1], Distance { beyond: 0.5, times: 0.375 });
        assert_eq!(found[2], Distance { beyond: 1.0, times: 2.5 });
        assert_eq!(found.iter().map(Domain::is_far).collect::<Vec<_>>(), [false, false, true]);
        // Copies: a sample's nearest may lie upon it.
        let domain = Domain::new(points(&[1.0, 1.0, 1.0, 1.0, 1.0, 1.0])).unwrap();
        assert_eq!(domain.law.0, [0.0; 3]);
        let found = domain.distances(&points(&[1.0, 1.0, 1.0, 2.0])).unwrap();
        assert_eq!(found.iter().map(Domain::is_far).collect::<Vec<_>>(), [false, true]);
        assert!(Domain::new(points(&[0.0, 0.0])).is_err());
    }

    /// Pictures that vary in the first two of six pixels only.
    fn plane(n: usize, other: f32) -> Images {
        let wave = |i: usize, k: usize| 0.5 + 0.4 * ((i * (3 + k)) as f32 * 1.7 + k as f32).sin();
        let data = (0..n).flat_map(|i| [wave(i, 0), wave(i, 1), other, 0.5, 0.5, 0.5]).collect();
        Images::new(n, 1, 2, 3, data).unwrap()
    }

    #[test]
    fn what_pictures_combine_to_is_near() {
        let own = plane(100, 0.5);
        let span = Span::new(&own).unwrap();
        assert_eq!(span.counts(), (80, 20));
        // By the definition: the minimum over a, whose gradient is 0.
        let x = Images::new(1, 1, 2, 3, vec![0.9, 0.2, 0.8, 0.5, 0.4, 0.5]).unwrap();
        let (m, d) = (80, 6);
        let mean: Vec<f64> = (0..d).map(|k| (0..m).map(|i| f64::from(own.picture(i)[k])).sum::<f64>() / 80.0).collect();
        let row = |i: usize, k: usize| f64::from(own.picture(i)[k]) - mean[k];
        let ridge =
            1e-4 * (0..m).flat_map(|i| (0..d).map(move |k| (i, k))).map(|(i, k)| row(i, k).powi(2)).sum::<f64>() / 80.0;
        let v: Vec<f64> = (0..d).map(|k| f64::from(x.data()[k]) - mean[k]).collect();
        let mut a = vec![0.0; m];
        for _ in 0..20000 {
            let rest: Vec<f64> = (0..d).map(|k| v[k] - (0..m).map(|i| row(i, k) * a[i]).sum::<f64>()).collect();
            for (i, a) in a.iter_mut().enumerate() {
                let gradient = ridge * *a - (0..d).map(|k| row(i, k) * rest[k]).sum::<f64>();
                *a -= 0.05 * gradient;
            }
        }
        let rest: f64 = (0..d).map(|k| (v[k] - (0..m).map(|i| row(i, k) * a[i]).sum::<f64>()).powi(2)).sum();
        let expected = (rest + ridge * a.iter().map(|a| a * a).sum::<f64>()).sqrt();
        let found = span.left(&x).unwrap()[0];
        assert!((found - expected).abs() < 1e-4 * expected, "{found} {expected}");

        // Taken in parts, as all at once.
        let many = plane(1 << 12, 0.6);
        let (all, parts) = (span.left_of(&many), span.left_in_parts(&many, 1000).unwrap());
        assert!(all.len() == 1 << 12 && all.iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-12 * a), "{all:?}");

        assert!(span.distances(&plane(7, 0.5)).unwrap().iter().all(|distance| !Span::is_far(distance)));
        assert!(span.distances(&plane(7, 0.6)).unwrap().iter().all(Span::is_far));
        assert!(Span::new(&plane(9, 0.5)).is_err());
        assert!(span.distances(&Images::new(1, 1, 1, 2, vec![0.5; 2]).unwrap()).is_err());
        // Pictures that are all alike.
        let one = Span::new(&plane(100, 0.5).select(&[3; 50]).unwrap()).unwrap();
        let found = one.distances(&plane(5, 0.5).select(&[3, 4]).unwrap()).unwrap();
        assert_eq!(found.iter().map(Span::is_far).collect::<Vec<_>>(), [false, true]);
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
