//! Discrepancies on tensors where points lie far away, against loops over differences in double precision.

use burn::tensor::{DType, Tensor};
use kme::rng;
use kme::{Form, Kernel};
use kme_deep::loss::{Target, mmd2_biased, mmd2_unbiased, witness_gradient};
use kme_net::{Place, place};
use rand::RngExt;

/// What the documentation of the losses promises, in units in the last place: of values, of gradients.
const BOUNDS: [f64; 2] = [2000.0, 4000.0];

/// k(x,y) and its gradient in x, from the difference of the two; `distance` without its norms.
fn naive(kernel: &Kernel, x: &[f64], y: &[f64], gradient: &mut [f64]) -> f64 {
    let r2: f64 = x.iter().zip(y).map(|(x, y)| (x - y) * (x - y)).sum();
    let r = r2.sqrt();
    let mut value = 0.0;
    gradient.fill(0.0);
    for (weight, form) in kernel.terms() {
        // The derivative in r².
        let (k, slope) = match *form {
            Form::Gaussian { sigma } => {
                let k = (-r2 / (2.0 * sigma * sigma)).exp();
                (k, -k / (2.0 * sigma * sigma))
            }
            Form::RationalQuadratic { alpha } => {
                let base = 1.0 + r2 / (2.0 * alpha);
                (base.powf(-alpha), -0.5 * base.powf(-alpha - 1.0))
            }
            Form::Laplacian { scale } => {
                ((-r / scale).exp(), if r > 0.0 { -(-r / scale).exp() / (2.0 * r * scale) } else { 0.0 })
            }
            Form::InverseMultiquadric { c } => ((c * c + r2).powf(-0.5), -0.5 * (c * c + r2).powf(-1.5)),
            Form::Energy { a } => {
                let root = (a * a + r2).sqrt();
                (a - root, if root > 0.0 { -0.5 / root } else { 0.0 })
            }
            Form::Distance => (-r, if r > 0.0 { -0.5 / r } else { 0.0 }),
            // −½ r² is ⟨x,y⟩ in differences of distributions.
            Form::Linear => (-0.5 * r2, -0.5),
            Form::Polynomial { .. } => unreachable!("not a kernel of these tests"),
        };
        value += weight * k;
        gradient.iter_mut().zip(x.iter().zip(y)).for_each(|(g, (x, y))| *g += weight * 2.0 * slope * (x - y));
    }
    value
}

/// The largest value of a kernel's terms that are bounded, and the mean size of the others; the same of their gradients.
fn sizes(kernel: &Kernel, [mean_distance, mean_square]: [f64; 2]) -> [f64; 2] {
    let mut sizes = [0.0; 2];
    for (weight, form) in kernel.terms() {
        let of = match *form {
            Form::Gaussian { sigma } => [1.0, 0.61 / sigma],
            Form::RationalQuadratic { .. } => [1.0, 0.61],
            Form::Laplacian { scale } => [1.0, 1.0 / scale],
            Form::InverseMultiquadric { c } => [1.0 / c, 0.385 / (c * c)],
            Form::Energy { a } => [a + mean_distance, 1.0],
            Form::Distance => [mean_distance, 1.0],
            Form::Linear => [mean_square, mean_distance],
            Form::Polynomial { .. } => unreachable!("not a kernel of these tests"),
        };
        sizes.iter_mut().zip(of).for_each(|(size, of)| *size += weight * of);
    }
    sizes
}

/// Sums of a kernel over points of dimension d, by loops.
struct Sum<'a> {
    kernel: &'a Kernel,
    d: usize,
}

impl Sum<'_> {
    fn rows<'p>(&self, x: &'p [f64]) -> std::slice::ChunksExact<'p, f64> {
        x.chunks_exact(self.d)
    }

    /// MMD² with its gradient in x: of weights v of the y, and without the diagonals where `unbiased`.
    fn mmd2(&self, x: &[f64], y: &[f64], v: &[f64], unbiased: bool) -> (f64, Vec<f64>) {
        let (n, m) = ((x.len() / self.d) as f64, (y.len() / self.d) as f64);
        let mut gradient = vec![0.0; x.len()];
        let mut g = vec![0.0; self.d];
        let mut value = 0.0;
        let pairs = |n: f64| 1.0 / (n * if unbiased { n - 1.0 } else { n });
        for (i, a) in self.rows(x).enumerate() {
            let to = &mut gradient[i * self.d..(i + 1) * self.d];
            for (j, b) in self.rows(x).enumerate().filter(|(j, _)| !(unbiased && i == *j)) {
                value += pairs(n) * naive(self.kernel, a, b, &mut g);
                if i != j {
                    to.iter_mut().zip(&g).for_each(|(to, g)| *to += 2.0 * pairs(n) * g);
                }
            }
            for (b, v) in self.rows(y).zip(v) {
                value -= 2.0 / n * v * naive(self.kernel, a, b, &mut g);
                to.iter_mut().zip(&g).for_each(|(to, g)| *to -= 2.0 / n * v * g);
            }
        }
        let diagonal = if unbiased { m / (m - 1.0) } else { 1.0 };
        for (i, (a, first)) in self.rows(y).zip(v).enumerate() {
            for (_, (b, second)) in self.rows(y).zip(v).enumerate().filter(|(j, _)| !(unbiased && i == *j)) {
                value += first * second * naive(self.kernel, a, b, &mut g) * diagonal;
            }
        }
        (value, gradient)
    }

    /// ∇ of meanⱼ k(h, xⱼ) − meanⱼ k(h, yⱼ).
    fn witness(&self, h: &[f64], x: &[f64], y: &[f64]) -> Vec<f64> {
        let mut gradient = vec![0.0; h.len()];
        let mut g = vec![0.0; self.d];
        for (at, to) in self.rows(h).zip(gradient.chunks_exact_mut(self.d)) {
            for (points, sign) in [(x, 1.0), (y, -1.0)] {
                for b in self.rows(points) {
                    naive(self.kernel, at, b, &mut g);
                    let part = sign / (points.len() / self.d) as f64;
                    to.iter_mut().zip(&g).for_each(|(to, g)| *to += part * g);
                }
            }
        }
        gradient
    }

    /// The mean distance and the mean squared distance of all points.
    fn mean_powers(&self, sets: &[&[f64]]) -> [f64; 2] {
        let points: Vec<&[f64]> = sets.iter().flat_map(|set| self.rows(set)).collect();
        let mut means = [0.0; 2];
        for (a, b) in points.iter().flat_map(|a| points.iter().map(move |b| (a, b))) {
            let square: f64 = a.iter().zip(*b).map(|(a, b)| (a - b) * (a - b)).sum();
            means[0] += square.sqrt() / (points.len() * points.len()) as f64;
            means[1] += square / (points.len() * points.len()) as f64;
        }
        means
    }
}

fn tensor(place: &Place, x: &[f64], d: usize) -> Tensor<2> {
    place.tensor_f64(x.to_vec(), [x.len() / d, d])
}

/// How far what is found is from what is right, beside what is promised.
fn beside(found: &[f64], right: &[f64], promised: f64) -> f64 {
    let apart = |(a, b): (&f64, &f64)| if a.is_finite() { (a - b).abs() / promised } else { f64::INFINITY };
    found.iter().zip(right).map(apart).fold(0.0, f64::max)
}

/// The worst of value and gradient of every loss, in units of what is promised of it.
fn worst(place: &Place, kernel: &Kernel, d: usize, x: &[f64], y: &[f64]) -> [f64; 2] {
    let sum = Sum { kernel, d };
    let (n, m) = (x.len() / d, y.len() / d);
    let ulp = if place.zeros::<1>([1]).dtype() == DType::F32 { f32::EPSILON.into() } else { f64::EPSILON };
    let [value_size, gradient_size] = sizes(kernel, sum.mean_powers(&[x, y]));
    let [of_value, of_gradient] = [BOUNDS[0] * ulp * value_size, BOUNDS[1] * ulp * gradient_size];
    let mut worst = [0.0_f64; 2];
    let even = vec![1.0 / m as f64; m];
    // Weights of a distribution of which some are negative.
    let mut uneven: Vec<f64> = (0..m).map(|i| 1.0 + (i % 3) as f64 * 0.5 - if i == 0 { 1.5 } else { 0.0 }).collect();
    let total: f64 = uneven.iter().sum();
    uneven.iter_mut().for_each(|w| *w /= total);
    if place.zeros::<1>([1]).dtype() == DType::F32 {
        uneven.iter_mut().for_each(|w| *w = f64::from(*w as f32));
    }
    let target = {
        let mut g = vec![0.0; d];
        let mut norm2 = 0.0;
        for (a, v) in sum.rows(y).zip(&uneven) {
            norm2 += sum.rows(y).zip(&uneven).map(|(b, w)| v * w * full(kernel, a, b, &mut g)).sum::<f64>();
        }
        Target::new(kernel.clone(), tensor(place, y, d), place.tensor_f64(uneven.clone(), [m]), norm2)
    };
    type Loss<'a> = &'a dyn Fn(&Tensor<2>, &Tensor<2>) -> Tensor<1>;
    let losses: [(Loss, &[f64], bool); 3] = [
        (&|x, y| mmd2_unbiased(kernel, x, y).unwrap(), &even, true),
        (&|x, y| mmd2_biased(kernel, x, y), &even, false),
        (&|x, _| target.mmd2(x).unwrap(), &uneven, false),
    ];
    for (loss, weights, unbiased) in losses {
        let (right, right_gradient) = sum.mmd2(x, y, weights, unbiased);
        let leaf = tensor(place, x, d).autodiff().require_grad();
        let found = loss(&leaf, &tensor(place, y, d).autodiff());
        worst[0] = worst[0].max(beside(&[place::scalar(found.clone().inner())], &[right], of_value));
        let gradient = place::numbers(leaf.grad(&found.backward()).unwrap());
        worst[1] = worst[1].max(beside(&gradient, &right_gradient, of_gradient * 4.0 / n as f64));
    }
    // Between the two, as a gradient penalty looks.
    let between: Vec<f64> =
        sum.rows(x).zip(sum.rows(y)).flat_map(|(a, b)| a.iter().zip(b).map(|(a, b)| 0.5 * (a + b))).collect();
    let between = place::numbers(tensor(place, &between, d));
    let found = witness_gradient(kernel, &tensor(place, &between, d), &tensor(place, x, d), &tensor(place, y, d));
    worst[1] = worst[1].max(beside(&place::numbers(found), &sum.witness(&between, x, y), of_gradient * 2.0));
    worst
}

/// k(x,y) with all that [`naive`] leaves out.
fn full(kernel: &Kernel, x: &[f64], y: &[f64], g: &mut [f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let more = kernel.terms().iter().map(|(weight, form)| match form {
        Form::Distance => weight * (dot(x, x).sqrt() + dot(y, y).sqrt()),
        Form::Linear => weight * 0.5 * (dot(x, x) + dot(y, y)),
        _ => 0.0,
    });
    naive(kernel, x, y, g) + more.sum::<f64>()
}

/// Where the points of a test lie.
#[derive(Clone, Copy, Debug)]
struct Where {
    d: usize,
    offset: f64,
    /// How far one point of x, and one of y, is away.
    out: [f64; 2],
    clusters: usize,
    apart: f64,
    scale: f64,
}

impl Where {
    const ORDINARY: Self = Self { d: 3, offset: 0.0, out: [0.0; 2], clusters: 1, apart: 0.0, scale: 1.0 };

    fn points(&self, count: usize, seed: u64, which: usize) -> Vec<f64> {
        let mut rng = rng::stream(seed, "far", which as u64);
        let mut x = kme_testing::normals(count * self.d, &mut rng);
        for (i, row) in x.chunks_exact_mut(self.d).enumerate() {
            row.iter_mut().for_each(|x| *x += 0.4 * which as f64 + self.offset);
            row[0] += (i % self.clusters) as f64 * self.apart;
        }
        if self.out[which] > 0.0 {
            x[self.d..2 * self.d].fill(self.out[which]);
        }
        x.iter_mut().for_each(|x| *x = f64::from((*x * self.scale) as f32));
        x
    }
}

const KERNELS: [&str; 11] = [
    "gaussian:sigma=L",
    "gaussian:sigma=2L,5L,10L,20L,40L,80L",
    "laplacian:scale=L",
    "imq:c=L",
    "energy",
    "energy:a=L",
    "distance",
    "rq:alpha=0.2,0.5,1,2,5",
    "rq:alpha=0.2,0.5,1,2,5+linear",
    "gaussian:sigma=L+linear",
    "linear",
];

/// A kernel of these lengths in units of L; nothing where it has no length to take up the unit.
fn kernel(text: &str, scale: f64) -> Option<Kernel> {
    if text.contains("rq") && scale != 1.0 {
        return None;
    }
    let mut with_lengths = String::new();
    for part in text.split_inclusive(['=', ',', '+']) {
        let (part, end) = match part.char_indices().last() {
            Some((at, end @ ('=' | ',' | '+'))) => (&part[..at], Some(end)),
            _ => (part, None),
        };
        match part.strip_suffix('L') {
            Some(factor) => {
                let factor: f64 = if factor.is_empty() { 1.0 } else { factor.parse().unwrap() };
                with_lengths.push_str(&format!("{:e}", factor * scale));
            }
            None => with_lengths.push_str(part),
        }
        with_lengths.extend(end);
    }
    Some(with_lengths.parse().unwrap())
}

fn check(place: &Place, at: Where, [n, m]: [usize; 2], seed: u64) -> [f64; 2] {
    let (x, y) = (at.points(n, seed, 0), at.points(m, seed, 1));
    let mut all = [0.0_f64; 2];
    for text in KERNELS {
        let Some(kernel) = kernel(text, at.scale) else { continue };
        let found = worst(place, &kernel, at.d, &x, &y);
        assert!(found.iter().all(|part| *part <= 1.0), "{kernel}, {at:?}, {n} and {m}, seed {seed}: {found:?}");
        all.iter_mut().zip(found).for_each(|(all, found)| *all = all.max(found));
    }
    all
}

/// Every place of a list that is written out, in both precisions.
#[test]
fn losses_keep_their_digits_wherever_the_points_lie() {
    let ordinary = Where::ORDINARY;
    let mut places = vec![ordinary, Where { d: 64, ..ordinary }];
    places.extend([1e3, 1e4, 1e5, 1e6].map(|offset| Where { offset, ..ordinary }));
    for out in [1e4, 1e6, 1e8, 1e10, 1e15] {
        places.extend([[out, 0.0], [0.0, out], [out, out]].map(|out| Where { out, ..ordinary }));
    }
    places.extend([1e2, 1e3, 1e4, 1e6, 1e8].map(|apart| Where { clusters: 2, apart, ..ordinary }));
    places.extend([10, 20].map(|clusters| Where { clusters, apart: 1e4, ..ordinary }));
    places.extend([3.0, 30.0].map(|offset| Where { d: 100, offset, ..ordinary }));
    places.extend([1e-12, 1e-6, 1e6, 1e12].map(|scale| Where { scale, ..ordinary }));
    // As many as some batches have.
    check(&Place::cpu(), Where { clusters: 2, apart: 1e5, ..ordinary }, [500, 300], 0);
    for place in [Place::cpu(), Place::cpu_f64()] {
        for at in &places {
            let [value, gradient] = check(&place, *at, [30, 24], 0);
            println!("{at:?}: value {value:.3}, gradient {gradient:.3} of what is promised");
        }
    }
}

/// A search for a place where they do not. The environment variable `KME_FAR` makes it longer: over 150 seeds values were
/// within .40 and gradients within .56 of what is promised.
#[test]
fn no_mixture_of_offsets_outliers_clusters_and_scales_is_an_exception() {
    let repeats = std::env::var("KME_FAR").map_or(60, |count| count.parse().unwrap());
    let mut worst = [0.0_f64; 2];
    for seed in 1..=repeats {
        let mut rng = rng::stream(seed, "where", 0);
        let mut some = |chance: f64, least: f64, most: f64| match rng.random_bool(chance) {
            true => 10.0_f64.powf(rng.random_range(least..most)),
            false => 0.0,
        };
        let (offset, out) = (some(0.5, 0.0, 6.0), [some(0.3, 1.0, 15.0), some(0.3, 1.0, 15.0)]);
        let (apart, scale) = (some(0.5, 0.5, 8.0), some(0.4, -12.0, 12.0));
        let [a, b, c] = std::array::from_fn(|_| rng.random_range(0..8_usize));
        let at = Where {
            d: [3, 4, 5, 8, 16, 64, 3, 100][a],
            offset,
            out,
            clusters: [1, 2, 2, 3, 4, 8, 12, 2][b],
            apart,
            scale: if scale == 0.0 { 1.0 } else { scale },
        };
        // Squares of coordinates must be numbers of single precision.
        let greatest = [out[0], out[1], offset + 12.0 * apart].into_iter().fold(1.0, f64::max) * at.scale;
        if greatest < 1e17 {
            for place in [Place::cpu(), Place::cpu_f64()] {
                let found = check(&place, at, [4 + 5 * c, 36 - 4 * c], seed);
                worst.iter_mut().zip(found).for_each(|(worst, found)| *worst = worst.max(found));
            }
        }
    }
    println!("at most {worst:.3?} of what is promised of values and gradients");
}

/// Copies have distance 0, with the zero subgradient, also far away.
#[test]
fn coincident_points_far_away_have_finite_gradients() {
    let d = 2;
    let x = [1.0, 2.0, 1.0, 2.0, 1e9, 1e9, 1e9, 1e9, 0.0, 0.0];
    let y = [1.0, 2.0, 1e9, 1e9, 3.0, 3.0];
    for place in [Place::cpu(), Place::cpu_f64()] {
        for text in KERNELS {
            let kernel = kernel(text, 1.0).unwrap();
            let [value, gradient] = worst(&place, &kernel, d, &x, &y);
            assert!(value <= 1.0 && gradient <= 1.0, "{text}: {value} and {gradient}");
        }
    }
}
