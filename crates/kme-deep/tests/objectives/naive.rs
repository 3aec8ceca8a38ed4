//! The objectives as they are defined, in plain loops over numbers.
//!
//! Of the program only the critic's forward pass is used. Derivatives in pixels are differences of it.

use crate::cases::Case;
use crate::setup::Setup;
use kme_deep::loss::Estimator;
use kme_net::{Init, Layer, Mode, Net, Place, place};
use kme_testing::eigenvalues;
use std::rc::Rc;

pub(crate) type Row = Vec<f64>;
pub(crate) type Formula = fn(&[f64], &[f64]) -> f64;
type KernelOf = Rc<dyn Fn(&[f64], &[f64]) -> f64>;

/// What a divergence is by definition.
#[derive(Clone)]
pub(crate) enum Definition {
    Mmd(KernelOf, Estimator),
    Wasserstein,
    Cramer,
    MeanCovariance { norm: f64, components: usize },
    Logistic,
}

pub(crate) fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

fn distance2(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b) * (a - b)).sum()
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    distance2(x, y).sqrt()
}

fn norm(x: &[f64]) -> f64 {
    dot(x, x).sqrt()
}

fn gaussians(x: &[f64], y: &[f64], sigmas: &[f64]) -> f64 {
    sigmas.iter().map(|s| (-distance2(x, y) / (2.0 * s * s)).exp()).sum()
}

fn rational_quadratics(x: &[f64], y: &[f64]) -> f64 {
    [0.2, 0.5, 1.0, 2.0, 5.0].iter().map(|a| (1.0 + distance2(x, y) / (2.0 * a)).powf(-a)).sum()
}

/// Kernels by their text, and their formulas.
pub(crate) const KERNELS: [(&str, Formula); 15] = [
    ("linear", dot),
    ("poly:degree=2,gamma=1,coef=0", |x, y| dot(x, y).powi(2)),
    ("poly:degree=3,gamma=0.25,coef=1", |x, y| (dot(x, y) / 4.0 + 1.0).powi(3)),
    ("gaussian:gamma=1", |x, y| (-distance2(x, y)).exp()),
    ("gaussian:sigma=1", |x, y| gaussians(x, y, &[1.0])),
    ("gaussian:sigma=2", |x, y| gaussians(x, y, &[2.0])),
    ("gaussian:sigma=1,2,4,8,16", |x, y| gaussians(x, y, &[1.0, 2.0, 4.0, 8.0, 16.0])),
    ("rq:alpha=0.2,0.5,1,2,5", rational_quadratics),
    ("rq:alpha=0.2,0.5,1,2,5+linear", |x, y| rational_quadratics(x, y) + dot(x, y)),
    ("imq:c=1.5", |x, y| 1.0 / (2.25 + distance2(x, y)).sqrt()),
    ("laplacian:scale=2", |x, y| (-distance(x, y) / 2.0).exp()),
    ("distance", |x, y| norm(x) + norm(y) - distance(x, y)),
    ("energy", |x, y| -distance(x, y)),
    ("energy:a=0.5", |x, y| 0.5 - (0.25 + distance2(x, y)).sqrt()),
    ("0.5*gaussian:sigma=2+0.1*linear", |x, y| 0.5 * gaussians(x, y, &[2.0]) + 0.1 * dot(x, y)),
];

/// The kernel of random features: the inner product of √(2/s)·cos(Wx + b), or of √(2/s)·(cos Wx, sin Wx).
pub(crate) fn waves(lift: &Net) -> KernelOf {
    let params: Vec<Row> = lift.params().iter().map(|p| place::numbers(p.value.clone())).collect();
    let ([inputs, _, _], [s, _, _]) = (lift.input(), lift.output());
    let features = move |x: &[f64]| -> Row {
        let angles = params[0].chunks(inputs).map(|w| dot(w, x));
        let waves: Row = match params.get(1) {
            Some(phases) => angles.zip(phases).map(|(a, b)| (a + b).cos()).collect(),
            None => angles.flat_map(|a| [a.cos(), a.sin()]).collect(),
        };
        assert_eq!(waves.len(), s);
        waves.iter().map(|v| v * (2.0 / s as f64).sqrt()).collect()
    };
    Rc::new(move |x, y| dot(&features(x), &features(y)))
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

fn means(rows: &[Row]) -> Row {
    (0..rows[0].len()).map(|j| mean(rows.iter().map(|r| r[j]))).collect()
}

/// mean x − mean y, component by component.
fn gap(x: &[Row], y: &[Row]) -> Row {
    means(x).iter().zip(means(y)).map(|(a, b)| a - b).collect()
}

pub(crate) fn mmd2(k: &dyn Fn(&[f64], &[f64]) -> f64, x: &[Row], y: &[Row], unbiased: bool) -> f64 {
    let within = |a: &[Row]| {
        let n = a.len() as f64;
        let mut sum = 0.0;
        for (i, p) in a.iter().enumerate() {
            for (j, q) in a.iter().enumerate() {
                if !(unbiased && i == j) {
                    sum += k(p, q);
                }
            }
        }
        sum / if unbiased { n * (n - 1.0) } else { n * n }
    };
    let cross = mean(x.iter().map(|p| mean(y.iter().map(|q| k(p, q)))));
    within(x) + within(y) - 2.0 * cross
}

fn mean_covariance(x: &[Row], y: &[Row], q: f64, components: usize) -> f64 {
    let difference = gap(x, y);
    let d = difference.len();
    let means = difference.iter().map(|v| v.abs().powf(q)).sum::<f64>().powf(1.0 / q);
    let second = |a: &[Row], i: usize, j: usize| mean(a.iter().map(|r| r[i] * r[j]));
    let matrix = (0..d).map(|i| (0..d).map(|j| second(x, i, j) - second(y, i, j)).collect()).collect();
    let mut sizes: Row = eigenvalues(matrix).iter().map(|v| v.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    means + sizes.iter().take(components).sum::<f64>()
}

/// ln(1 + eᵗ).
fn softplus(t: f64) -> f64 {
    (1.0 + t.exp()).ln()
}

/// A critic and what it has seen.
pub(crate) struct Naive {
    critic: Net,
    /// Numbers of one sample that are not labels.
    numbers: usize,
    inputs: [Vec<Row>; 3],
    mix: Row,
    pub x: Vec<Row>,
    pub y: Vec<Row>,
    z: Vec<Row>,
}

/// The ordinary network that a network in spectral parametrisation stands for: s·W/σ, with σ the root of the largest
/// eigenvalue of WWᵀ.
fn ordinary(net: &Net) -> Net {
    let plain = Net::new(net.layers().to_vec(), net.input(), Init::He, 0, &Place::cpu_f64()).unwrap();
    let find = |name: &str| net.params().iter().find(|p| p.name == name);
    plain.map_values(|p| {
        let own = find(&p.name).expect("the same layers");
        let Some(scale) = find(&format!("{}.scale", p.name)) else { return own.value.clone() };
        let values = place::numbers(own.value.clone());
        let rows: Vec<&[f64]> = values.chunks(values.len() / own.shape[0]).collect();
        let square = rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect();
        let sigma = eigenvalues(square).into_iter().fold(0.0, f64::max).sqrt();
        let s = place::scalar(scale.value.clone());
        Place::cpu_f64().tensor_f64(values.iter().map(|w| w * s / sigma).collect(), [values.len()])
    })
}

impl Naive {
    pub(crate) fn new(setup: &Setup) -> Self {
        let pictures = setup.pictures(&setup.generator);
        let rows = |t: burn::tensor::Tensor<4>| -> Vec<Row> {
            let [n, c, h, w] = t.dims();
            assert!(n > 0);
            place::numbers(t).chunks(c * h * w).map(<[f64]>::to_vec).collect()
        };
        let numbers = setup.generator.output().iter().product();
        let labels = pictures.labels.map(rows);
        // Labels stand behind the numbers of a sample.
        let whole = |samples: Vec<Row>| -> Vec<Row> {
            match &labels {
                None => samples,
                Some(labels) => samples.into_iter().zip(labels).map(|(s, l)| [s, l.clone()].concat()).collect(),
            }
        };
        let second = pictures.second.map_or(Vec::new(), rows);
        let inputs = [whole(rows(pictures.real)), whole(rows(pictures.fake)), whole(second)];
        let mix = pictures.mix.map_or(Vec::new(), place::numbers);
        let mut naive = Self { critic: ordinary(&setup.critic), numbers, inputs, mix, x: vec![], y: vec![], z: vec![] };
        [naive.x, naive.y, naive.z] = [0, 1, 2].map(|i| naive.features(&naive.inputs[i]));
        naive
    }

    fn features(&self, inputs: &[Row]) -> Vec<Row> {
        self.layers(inputs, self.critic.layers().len())
    }

    /// What the first `count` layers give.
    fn layers(&self, inputs: &[Row], count: usize) -> Vec<Row> {
        if inputs.is_empty() {
            return Vec::new();
        }
        let [c, h, w] = self.critic.input();
        let batch = Place::cpu_f64().tensor_f64(inputs.concat(), [inputs.len(), c, h, w]);
        let output = place::numbers(self.critic.truncated(count).unwrap().forward(batch, Mode::Evaluate).unwrap());
        output.chunks(output.len() / inputs.len()).map(<[f64]>::to_vec).collect()
    }

    /// Features where one number of the sample is moved by each of ±`step`: two rows for each number.
    fn around(&self, input: &[f64], step: f64) -> Vec<[Row; 2]> {
        let moved = (0..self.numbers).flat_map(|i| {
            [step, -step].map(|delta| {
                let mut moved = input.to_vec();
                moved[i] += delta;
                moved
            })
        });
        let features = self.features(&moved.collect::<Vec<_>>());
        features.chunks(2).map(|pair| [pair[0].clone(), pair[1].clone()]).collect()
    }

    /// Σᵢ ∂ᵢ∂'ᵢ k(φ(x), φ(y)) at y = x, i over the numbers of the sample: mixed differences, extrapolated to no step.
    fn trace(&self, k: &dyn Fn(&[f64], &[f64]) -> f64, input: &[f64]) -> f64 {
        let with = |step: f64| {
            let each = self.around(input, step).into_iter().map(|[p, m]| k(&p, &p) - k(&p, &m) - k(&m, &p) + k(&m, &m));
            each.sum::<f64>() / (4.0 * step * step)
        };
        let (wide, narrow) = (with(4e-3), with(2e-3));
        (4.0 * narrow - wide) / 3.0
    }

    /// mean ‖J‖²_F over the real samples, J the derivative of all features in the numbers of the sample.
    pub(crate) fn jacobian2(&self) -> f64 {
        let step = 1e-6;
        mean(self.inputs[0].iter().map(|input| {
            self.around(input, step).iter().map(|[p, m]| distance2(p, m)).sum::<f64>() / (4.0 * step * step)
        }))
    }

    /// 1/σ² = offset + weight · mean of trace (+ k(φ(x), φ(x))).
    pub(crate) fn scale(&self, case: &Case) -> Option<f64> {
        let scale = case.regulariser.scale?;
        let linear: KernelOf = Rc::new(dot);
        let k = match &case.definition {
            Definition::Mmd(k, _) => k,
            Definition::Wasserstein => &linear,
            _ => panic!("no scale is defined"),
        };
        let varied = mean(
            self.inputs[0]
                .iter()
                .zip(&self.x)
                .map(|(input, x)| self.trace(&**k, input) + if scale.values { k(x, x) } else { 0.0 }),
        );
        Some(1.0 / (scale.offset + scale.weight * varied))
    }

    /// mean (‖∇ f(φ(x))‖ − 1)² over the points between, f what tells the two sides apart.
    fn gradient_penalty(&self, definition: &Definition) -> f64 {
        let witness = |h: &[f64], i: usize| match definition {
            Definition::Mmd(k, _) => mean(self.x.iter().map(|p| k(h, p))) - mean(self.y.iter().map(|q| k(h, q))),
            Definition::Wasserstein | Definition::Logistic => h[0],
            Definition::Cramer => distance(h, &self.z[i]) - norm(h),
            Definition::MeanCovariance { .. } => panic!("no penalty is defined"),
        };
        let (real, fake, step) = (&self.inputs[0], &self.inputs[1], 1e-6);
        mean(self.mix.iter().enumerate().map(|(i, t)| {
            let point: Row = real[i].iter().zip(&fake[i]).map(|(a, b)| (1.0 - t) * a + t * b).collect();
            let slopes =
                self.around(&point, step).into_iter().map(|[p, m]| (witness(&p, i) - witness(&m, i)) / (2.0 * step));
            (slopes.map(|s| s * s).sum::<f64>().sqrt() - 1.0).powi(2)
        }))
    }

    /// Σ over convolutions and dense layers of the mean square of what they give, real plus generated.
    fn activation_penalty(&self) -> f64 {
        let mut sum = 0.0;
        for (i, layer) in self.critic.layers().iter().enumerate() {
            if matches!(layer, Layer::Conv(_) | Layer::Linear(_)) {
                for batch in &self.inputs[..2] {
                    sum += mean(self.layers(batch, i + 1).concat().into_iter().map(|v| v * v));
                }
            }
        }
        sum
    }

    fn reconstruction(&self, setup: &Setup) -> f64 {
        let decoder = setup.decoder.as_ref().expect("a case with a decoder");
        let side = |features: &[Row], inputs: &[Row]| {
            let batch = Place::cpu_f64().tensor_f64(features.concat(), [features.len(), features[0].len(), 1, 1]);
            let decoded = place::numbers(decoder.forward(batch, Mode::Evaluate).unwrap());
            let samples = inputs.iter().flat_map(|row| row[..self.numbers].to_vec()).collect::<Row>();
            mean(decoded.iter().zip(&samples).map(|(a, b)| (a - b) * (a - b)))
        };
        side(&self.x, &self.inputs[0]) + side(&self.y, &self.inputs[1])
    }

    /// What the critic raises, and what the generator lowers.
    fn divergence(&self, case: &Case) -> [f64; 2] {
        let (x, y, z) = (&self.x, &self.y, &self.z);
        match &case.definition {
            Definition::Mmd(k, Estimator::Root) => [mmd2(&**k, x, y, false).sqrt(); 2],
            Definition::Mmd(k, estimator) => [mmd2(&**k, x, y, *estimator == Estimator::Unbiased); 2],
            Definition::Wasserstein => [gap(x, y)[0]; 2],
            Definition::Cramer => {
                let f = |a: &Row, i: usize| distance(a, &z[i]) - norm(a);
                let n = x.len();
                let critic = mean((0..n).map(|i| f(&x[i], i) - f(&y[i], i)));
                let triple = |i: usize| distance(&x[i], &y[i]) + distance(&x[i], &z[i]) - distance(&y[i], &z[i]);
                [critic, mean((0..n).map(triple))]
            }
            Definition::MeanCovariance { norm, components } => [mean_covariance(x, y, *norm, *components); 2],
            Definition::Logistic => {
                let critic = -mean(x.iter().map(|r| softplus(-r[0]))) - mean(y.iter().map(|r| softplus(r[0])));
                [critic, mean(y.iter().map(|r| softplus(-r[0])))]
            }
        }
    }

    /// The losses of critic and generator.
    pub(crate) fn losses(&self, case: &Case, setup: &Setup) -> [f64; 2] {
        let r = &case.regulariser;
        let below: Row = gap(&self.x, &self.y).iter().map(|d| d.min(0.0)).collect();
        let sigma = self.scale(case).map_or(1.0, |square| match case.definition {
            Definition::Mmd(_, Estimator::Unbiased | Estimator::Biased) => square,
            _ => square.sqrt(),
        });
        let order = if r.order > 0.0 { r.order * mean(below.iter().copied()) } else { 0.0 };
        let [raised, lowered] = self.divergence(case).map(|value| sigma * value + order);
        let mut critic = -raised;
        if r.gradient_penalty > 0.0 {
            critic += r.gradient_penalty * self.gradient_penalty(&case.definition);
        }
        if r.activation_penalty > 0.0 {
            critic += r.activation_penalty * self.activation_penalty();
        }
        if r.asymmetric > 0.0 {
            critic += r.asymmetric * below.iter().map(|b| b * b).sum::<f64>();
        }
        if r.reconstruction > 0.0 {
            critic += r.reconstruction * self.reconstruction(setup);
        }
        [critic, lowered]
    }
}
