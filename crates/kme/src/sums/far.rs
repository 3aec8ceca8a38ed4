//! The stated bound on the error of sums, searched for a counter-example over offsets, scales, outliers, clusters and copies.

use super::*;
use crate::discrepancy::{Estimator, mmd2};
use crate::kernel::Form;
use crate::points::{Data, Points};
use crate::rng::Rng;
use rand::RngExt as _;
use rand_distr::{Distribution, StandardNormal};

/// The stated bound.
fn bound(precision: Precision, d: usize) -> f64 {
    precision.bound() * (1.0 + d as f64 / 300.0).sqrt()
}

/// A sum in twice the precision.
#[derive(Default)]
struct Long {
    high: f64,
    low: f64,
}

impl Long {
    fn add(&mut self, x: f64) {
        let sum = self.high + x;
        let back = sum - self.high;
        self.low += (self.high - (sum - back)) + (x - back);
        self.high = sum;
    }

    fn value(&self) -> f64 {
        self.high + self.low
    }
}

fn long_sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sum = Long::default();
    values.into_iter().for_each(|x| sum.add(x));
    sum.value()
}

fn row(p: &Points, i: usize) -> Vec<f64> {
    (0..p.dim()).map(|k| p.data().get(i * p.dim() + k)).collect()
}

/// ‖x − y‖ without over- or underflow.
fn distance(x: &[f64], y: &[f64]) -> f64 {
    let largest = x.iter().zip(y).fold(0.0_f64, |m, (x, y)| m.max((x - y).abs()));
    if largest == 0.0 {
        return 0.0;
    }
    let squares = x.iter().zip(y).map(|(x, y)| ((x - y) / largest).powi(2));
    largest * long_sum(squares).sqrt()
}

fn norm(x: &[f64]) -> f64 {
    distance(x, &vec![0.0; x.len()])
}

fn inner(x: &[f64], y: &[f64]) -> f64 {
    long_sum(x.iter().zip(y).map(|(x, y)| x * y))
}

/// What kernels are made of, for all pairs of two samples.
struct Table {
    width: usize,
    distances: Vec<f64>,
    products: Vec<f64>,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Table {
    fn new(x: &[Vec<f64>], y: &[Vec<f64>]) -> Self {
        let of = |f: fn(&[f64], &[f64]) -> f64| x.iter().flat_map(|x| y.iter().map(move |y| f(x, y))).collect();
        let norms = |p: &[Vec<f64>]| p.iter().map(|x| norm(x)).collect();
        Self { width: y.len(), distances: of(distance), products: of(inner), x: norms(x), y: norms(y) }
    }

    /// k(xᵢ,yⱼ) by formulas of their own, and the size to which its error is relative: k(x,x) of bounded kernels, else |k|.
    fn value(&self, kernel: &Kernel, i: usize, j: usize) -> (f64, f64) {
        let (r, product) = (self.distances[i * self.width + j], self.products[i * self.width + j]);
        let (x, y) = (self.x[i], self.y[j]);
        let (mut sum, mut size) = (0.0, 0.0);
        for &(w, form) in kernel.terms() {
            let (k, s) = match form {
                Form::Linear => (product, x * y),
                Form::Polynomial { degree, gamma, coef } => {
                    let p = degree as i32;
                    ((gamma * product + coef).powi(p), f64::from(degree) * (gamma * x * y + coef).powi(p))
                }
                Form::Gaussian { sigma } => ((-0.5 * (r / sigma).powi(2)).exp(), 1.0),
                Form::RationalQuadratic { alpha } => ((-alpha * (0.5 * r * r / alpha).ln_1p()).exp(), 1.0),
                Form::Laplacian { scale } => ((-r / scale).exp(), 1.0),
                Form::InverseMultiquadric { c } => (1.0 / c / (r / c).hypot(1.0), 1.0 / c),
                Form::Energy { a } => (a - a.hypot(r), a + r),
                Form::Distance => (x + y - r, x + y),
            };
            sum += w * k;
            size += w * s;
        }
        (sum, size)
    }

    /// All values but those of the diagonal, where it does not count.
    fn values(&self, kernel: &Kernel, diagonal: bool) -> Vec<(f64, f64)> {
        let n = self.x.len();
        let pairs = (0..n).flat_map(|i| (0..self.width).map(move |j| (i, j))).filter(|(i, j)| diagonal || i != j);
        pairs.map(|(i, j)| self.value(kernel, i, j)).collect()
    }
}

/// ∂κ/∂r.
fn slope(form: Form, r: f64) -> f64 {
    match form {
        Form::Gaussian { sigma } => -(-0.5 * (r / sigma).powi(2)).exp() * (r / sigma) / sigma,
        Form::RationalQuadratic { alpha } => -(-(alpha + 1.0) * (0.5 * r * r / alpha).ln_1p()).exp() * r,
        Form::Laplacian { scale } => -(-r / scale).exp() / scale,
        Form::InverseMultiquadric { c } => -(r / c) / (r / c).hypot(1.0).powi(3) / c / c,
        Form::Energy { a } => -r / a.hypot(r),
        _ => unreachable!("not radial"),
    }
}

/// Two samples of one kind of trouble or several.
fn trouble(rng: &mut Rng) -> (Points, Points, f64) {
    let pick = |rng: &mut Rng, all: &[usize]| all[rng.random_range(0..all.len())];
    let d = pick(rng, &[1, 2, 3, 8, 9, 16, 33, 300, 900]);
    let (n, m) = (pick(rng, &[1, 2, 3, 7, 21, 40]), pick(rng, &[1, 2, 5, 13, 23, 270]));
    let is_single = rng.random_bool(0.3);
    let power = |rng: &mut Rng, from: f64, to: f64| 10.0_f64.powf(rng.random_range(from..to));
    let scale = match rng.random_range(0..3) {
        0 => 1.0,
        _ if is_single => power(rng, -10.0, 10.0),
        _ => power(rng, -150.0, 150.0),
    };
    let offset = if rng.random_bool(0.3) { power(rng, -2.0, 12.0) } else { 0.0 };
    let clusters = if rng.random_bool(0.5) { rng.random_range(2..4) } else { 1 };
    let apart = power(rng, 0.0, 12.0);
    let outliers = if rng.random_bool(0.6) { 0.05 } else { 0.0 };
    let (copies, near) = (0.1, 0.1);
    let normal = |rng: &mut Rng| -> f64 { StandardNormal.sample(rng) };
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for i in 0..n + m {
        let shift = if i < n { 0.0 } else { 0.5 };
        let kind: f64 = rng.random();
        if i > 0 && kind < copies + near {
            let mut row = rows[rng.random_range(0..i)].clone();
            if kind > copies {
                let small = power(rng, -15.0, -1.0);
                row.iter_mut().for_each(|x| *x += small * normal(rng));
            }
            rows.push(row);
            continue;
        }
        let cluster = rng.random_range(0..clusters) as f64;
        let far = if rng.random_bool(outliers) { power(rng, 3.0, 15.0) } else { 0.0 };
        rows.push(
            (0..d)
                .map(|k| {
                    let signed = if k % 2 == 0 { 1.0 } else { -0.7 };
                    offset + shift + normal(rng) + cluster * apart * signed + far * normal(rng)
                })
                .collect(),
        );
    }
    let numbers = |rows: &[Vec<f64>]| -> Vec<f64> { rows.iter().flatten().map(|x| x * scale).collect() };
    let points = |rows: &[Vec<f64>]| {
        let data = match is_single {
            true => Data::F32(numbers(rows).into_iter().map(|x| x as f32).collect()),
            false => Data::F64(numbers(rows)),
        };
        Points::new(rows.len(), d, data).unwrap()
    };
    (points(&rows[..n]), points(&rows[n..]), scale)
}

fn kernels(scale: f64, d: usize) -> Vec<Kernel> {
    let root = scale * (d as f64).sqrt();
    let mut texts = vec![
        format!("gaussian:sigma={:e}", root),
        format!("gaussian:sigma={:e},{:e}", 0.1 * root, 30.0 * root),
        format!("laplacian:scale={:e}", 0.7 * root),
        format!("imq:c={:e}", 0.5 * root),
        format!("energy+laplacian:scale={:e}", root),
        format!("energy:a={:e}", 0.1 * root),
        "energy".into(),
        "distance".into(),
        "rq:alpha=0.5,1,2,5".into(),
        "rq:alpha=0.2,0.7,30".into(),
    ];
    if (1e-20..1e20).contains(&scale) {
        texts.extend(
            ["linear", "rq:alpha=0.2,1+linear", "gaussian:sigma=1+distance", "poly:degree=3,gamma=0.1,coef=1"]
                .map(String::from),
        );
    }
    texts.iter().map(|text| text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))).collect()
}

/// What is wrong by more than the bound, worst first.
struct Worst {
    ratio: f64,
    what: String,
}

impl Worst {
    /// Notes an error beside what is allowed.
    fn see(&mut self, found: f64, right: f64, allowed: f64, what: impl FnOnce() -> String) {
        let error = (found - right).abs();
        let ratio = if error == 0.0 { 0.0 } else { error / allowed };
        if ratio > self.ratio || ratio.is_nan() {
            (self.ratio, self.what) =
                (ratio, format!("{}: {found:e} is not {right:e} ({ratio:.3} of the bound)", what()));
        }
    }
}

/// Two samples, and all that is known of their pairs.
struct Case {
    x: Points,
    y: Points,
    xs: Vec<Vec<f64>>,
    ys: Vec<Vec<f64>>,
    xx: Table,
    yy: Table,
    xy: Table,
}

impl Case {
    fn new(x: Points, y: Points) -> Self {
        let rows = |p: &Points| -> Vec<Vec<f64>> { (0..p.len()).map(|i| row(p, i)).collect() };
        let (xs, ys) = (rows(&x), rows(&y));
        let (xx, yy, xy) = (Table::new(&xs, &xs), Table::new(&ys, &ys), Table::new(&xs, &ys));
        Self { x, y, xs, ys, xx, yy, xy }
    }

    fn check(&self, kernel: &Kernel, precision: Precision, worst: &mut Worst) {
        let Self { x, y, .. } = self;
        let bound = bound(precision, x.dim());
        let (n, m, d) = (x.len(), y.len(), x.dim());
        let what = |name: &str| format!("{name} of {kernel}, {precision:?}, n={n}, m={m}, d={d}");
        let v: Vec<f64> = (0..m).map(|j| (1.0 + j as f64).sin()).collect();

        // An overflow must be told; polynomials of large points overflow single precision.
        let Ok(found) = rows(kernel, x, y, Some(&v), precision) else {
            assert!(!kernel.is_radial() && precision == Precision::F32, "{}", what("overflow"));
            return;
        };
        for (i, found) in found.iter().enumerate() {
            let values: Vec<(f64, f64)> = (0..m).map(|j| self.xy.value(kernel, i, j)).collect();
            let right = long_sum(values.iter().zip(&v).map(|((k, _), v)| k * v));
            let size: f64 = values.iter().zip(&v).map(|((_, s), v)| s * v.abs()).sum();
            worst.see(*found, right, bound * size, || what("rows"));
        }
        let Ok(found) = within(kernel, x, None, precision) else {
            assert!(!kernel.is_radial() && precision == Precision::F32, "{}", what("overflow"));
            return;
        };
        let values = self.xx.values(kernel, false);
        // Moments hold the diagonal, which is taken away again.
        let is_polynomial = kernel.terms().iter().any(|(_, form)| form.degree().is_some());
        let right = long_sum(values.iter().map(|v| v.0));
        let size: f64 = self.xx.values(kernel, is_polynomial).iter().map(|v| v.1).sum();
        worst.see(found.off_diagonal, right, bound * size, || what("within"));
        if kernel.is_radial() && n * m * d < 100_000 {
            self.check_gradients(kernel, &v, precision, worst);
        }

        // Differences: the size is that of what is left without norms.
        if is_polynomial {
            return;
        }
        let kernel_left = kernel.without_norms();
        let mean = |table: &Table, diagonal: bool| {
            let values = table.values(&kernel_left, diagonal);
            let count = values.len() as f64;
            (long_sum(values.iter().map(|v| v.0)) / count, values.iter().map(|v| v.1).sum::<f64>() / count)
        };
        let cross = mean(&self.xy, true);
        for (estimator, diagonal) in [(Estimator::Biased, true), (Estimator::Unbiased, false)] {
            if !diagonal && n.min(m) < 2 {
                continue;
            }
            let (xx, yy) = (mean(&self.xx, diagonal), mean(&self.yy, diagonal));
            let found = mmd2(kernel, x, y, estimator, precision).unwrap_or_else(|e| panic!("{}: {e}", what("MMD²")));
            let (found, size) = (found.value, xx.1 + yy.1 + 2.0 * cross.1);
            worst.see(found, xx.0 + yy.0 - 2.0 * cross.0, bound * size, || what(&format!("{estimator} MMD²")));
            assert!(!diagonal || found >= 0.0, "{}: {found:e} < 0", what("biased MMD²"));
        }
    }

    fn check_gradients(&self, kernel: &Kernel, v: &[f64], precision: Precision, worst: &mut Worst) {
        let d = self.x.dim();
        let found = gradients(kernel, &self.x, &self.y, Some(v), precision).unwrap();
        for ((i, x), found) in self.xs.iter().enumerate().zip(found.chunks_exact(d)) {
            let mut right: Vec<Long> = (0..d).map(|_| Long::default()).collect();
            let (mut size, mut far) = (0.0, 0.0);
            for ((j, y), v) in self.ys.iter().enumerate().zip(v) {
                let r = self.xy.distances[i * self.xy.width + j];
                if r == 0.0 {
                    continue;
                }
                far += r;
                for &(w, form) in kernel.terms() {
                    let slope = v * w * slope(form, r);
                    size += slope.abs();
                    for ((sum, x), y) in right.iter_mut().zip(x).zip(y) {
                        sum.add(slope * ((x - y) / r));
                    }
                }
            }
            // Slopes too small for the arithmetic are left out: it is in units of the kernel's length where that is extreme.
            let (least, below) = if precision == Precision::F32 { (1e-29, 1e-25) } else { (1e-280, 1e-250) };
            let steepest: f64 = kernel.terms().iter().filter_map(|(w, form)| Some(w / form.length()?)).sum();
            let negligible = least * far + if steepest.is_finite() { below * steepest } else { 0.0 };
            for (found, right) in found.iter().zip(&right) {
                worst.see(*found, right.value(), 10.0 * bound(precision, d) * size + negligible, || {
                    format!("gradient of {kernel}, {precision:?}, n={}, m={}, d={d}", self.x.len(), self.y.len())
                });
            }
        }
    }
}

#[test]
fn no_sum_is_wrong_by_more_than_the_bound() {
    let mut rng = crate::rng::stream(0, "far", 0);
    let mut worst = Worst { ratio: 0.0, what: String::new() };
    let tries: usize = std::env::var("KME_SEARCH").ok().and_then(|t| t.parse().ok()).unwrap_or(60);
    for _ in 0..tries {
        let (x, y, scale) = trouble(&mut rng);
        let kernels = kernels(scale, x.dim());
        let case = Case::new(x, y);
        for kernel in kernels {
            for precision in [Precision::F64, Precision::F32] {
                case.check(&kernel, precision, &mut worst);
            }
        }
    }
    println!("{}", worst.what);
    assert!(worst.ratio <= 1.0, "{}", worst.what);
}
