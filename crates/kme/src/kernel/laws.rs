//! The laws that every kernel obeys, and the text of kernels.

use super::*;
use kme_testing::{eigenvalues, normals};
use rand::RngExt as _;

/// Every form, with ordinary and with awkward parameters.
fn forms() -> Vec<Form> {
    vec![
        Form::Linear,
        Form::Polynomial { degree: 1, gamma: 0.7, coef: 0.0 },
        Form::Polynomial { degree: 2, gamma: 1.0, coef: 0.0 },
        Form::Polynomial { degree: 3, gamma: 0.25, coef: 1.0 },
        Form::Polynomial { degree: 7, gamma: 0.1, coef: 0.5 },
        Form::Gaussian { sigma: 0.4 },
        Form::Gaussian { sigma: 5.0 },
        Form::RationalQuadratic { alpha: 0.2 },
        Form::RationalQuadratic { alpha: 0.5 },
        Form::RationalQuadratic { alpha: 1.0 },
        Form::RationalQuadratic { alpha: 2.5 },
        Form::RationalQuadratic { alpha: 30.0 },
        Form::Laplacian { scale: 1.5 },
        Form::InverseMultiquadric { c: 0.3 },
        Form::InverseMultiquadric { c: 10.0 },
        Form::Energy { a: 0.0 },
        Form::Energy { a: 1e-6 },
        Form::Energy { a: 1.0 },
        Form::Distance,
    ]
}

fn kernels() -> Vec<Kernel> {
    let mut all: Vec<Kernel> = forms().into_iter().map(|f| Kernel::try_from(f).unwrap()).collect();
    all.push("rq:alpha=0.2,0.5,1,2,5+linear".parse().unwrap());
    all.push("2*gaussian:sigma=1,3+0.5*distance+energy:a=0.1".parse().unwrap());
    all
}

fn points(n: usize, d: usize, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = crate::rng::stream(seed, "kernel laws", 0);
    (0..n).map(|_| normals(d, &mut rng)).collect()
}

fn gradient(kernel: &Kernel, x: &[f64], y: &[f64]) -> Vec<f64> {
    let slope = kernel.slope(&Pair::of(x, y));
    x.iter().zip(y).map(|(x, y)| slope.dot * y + 2.0 * slope.xx * x).collect()
}

#[test]
fn symmetric() {
    let p = points(12, 5, 1);
    for kernel in kernels() {
        for (x, y) in p.iter().zip(&p[1..]) {
            assert_eq!(kernel.value(&Pair::of(x, y)), kernel.value(&Pair::of(y, x)), "{kernel}");
        }
    }
}

#[test]
fn gram_matrices_are_positive_semidefinite() {
    let p = points(24, 4, 2);
    let n = p.len();
    for kernel in kernels() {
        let mut gram: Vec<Vec<f64>> =
            p.iter().map(|x| p.iter().map(|y| kernel.value(&Pair::of(x, y))).collect()).collect();
        let conditional = kernel.definiteness() == Definiteness::Conditional;
        if conditional {
            assert!(eigenvalues(gram.clone()).iter().any(|&e| e < -1e-3), "{kernel} is better than it says");
            // Centring both sides restricts the quadratic form to Σc = 0.
            let means: Vec<f64> = gram.iter().map(|row| row.iter().sum::<f64>() / n as f64).collect();
            let mean = means.iter().sum::<f64>() / n as f64;
            for i in 0..n {
                for j in 0..n {
                    gram[i][j] += mean - means[i] - means[j];
                }
            }
        }
        let scale = gram.iter().flatten().fold(0.0_f64, |m, x| m.max(x.abs()));
        let least = eigenvalues(gram).into_iter().fold(f64::INFINITY, f64::min);
        assert!(least > -1e-7 * scale, "{kernel}: eigenvalue {least}");
    }
}

#[test]
fn slope_is_the_gradient() {
    let p = points(8, 5, 3);
    for kernel in kernels() {
        for (x, y) in p.iter().zip(&p[1..]) {
            let found = gradient(&kernel, x, y);
            let size = found.iter().map(|g| g * g).sum::<f64>().sqrt();
            for i in 0..x.len() {
                let h = 1e-5;
                let at = |step: f64| {
                    let mut moved = x.clone();
                    moved[i] += step;
                    kernel.value(&Pair::of(&moved, y))
                };
                let difference = (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h);
                assert!(
                    (difference - found[i]).abs() < 1e-8 * (1.0 + size),
                    "{kernel}: {} is not the difference {difference}",
                    found[i]
                );
            }
        }
    }
}

#[test]
fn gradient_at_coincident_points_is_finite_and_zero_for_radial_kernels() {
    let x = [0.5, -1.0, 2.0];
    for kernel in kernels() {
        let found = gradient(&kernel, &x, &x);
        assert!(found.iter().all(|g| g.is_finite()), "{kernel}");
        if kernel.is_radial() {
            assert!(found.iter().all(|g| *g == 0.0), "{kernel}: {found:?}");
        }
    }
    // The origin, where ‖x‖ has no derivative.
    let found = gradient(&"distance".parse().unwrap(), &[0.0; 3], &[0.0; 3]);
    assert_eq!(found, [0.0; 3]);
}

#[test]
fn diagonal_is_the_value_at_coincident_points() {
    for x in points(6, 5, 4) {
        let pair = Pair::of(&x, &x);
        for kernel in kernels() {
            let (diagonal, value) = (kernel.diagonal(&pair.xx), kernel.value(&pair));
            assert!((diagonal - value).abs() <= 1e-14 * value.abs(), "{kernel}: {diagonal} and {value}");
        }
    }
}

/// A curved map R³ → R⁵ and its Jacobian.
fn map(x: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let weight = |i: usize, j: usize| ((3 * i + 2 * j + 1) as f64).sin();
    let sums: Vec<f64> = (0..5).map(|i| (0..3).map(|j| weight(i, j) * x[j]).sum()).collect();
    let value = sums.iter().map(|s| s.sin() + 0.3 * s).collect();
    let jacobian = sums.iter().enumerate().map(|(i, s)| (0..3).map(|j| (s.cos() + 0.3) * weight(i, j)).collect());
    (value, jacobian.collect())
}

#[test]
fn trace_is_the_mixed_second_difference() {
    let x = [0.4, -0.7, 0.9];
    let (phi, jacobian) = map(&x);
    let squares: f64 = jacobian.iter().flatten().map(|j| j * j).sum();
    let pulled: f64 = (0..3).map(|j| (0..5).map(|i| jacobian[i][j] * phi[i]).sum::<f64>().powi(2)).sum();
    let xx: f64 = phi.iter().map(|p| p * p).sum();
    for kernel in kernels() {
        let Ok(trace) = kernel.trace(&xx) else {
            let infinite =
                |f: &Form| matches!(f, Form::Laplacian { .. } | Form::Distance) || *f == Form::Energy { a: 0.0 };
            assert!(kernel.terms().iter().any(|(_, f)| infinite(f)), "{kernel} refuses a trace that is finite");
            continue;
        };
        if kernel.terms().contains(&(1.0, Form::Energy { a: 1e-6 })) {
            continue; // its curvature lives on a scale that no difference resolves
        }
        let found = trace.jacobian * squares + trace.radial * pulled;
        let h = 1e-3;
        let difference: f64 = (0..3)
            .map(|i| {
                let at = |s: f64, t: f64| {
                    let moved = |step: f64| {
                        let mut x = x;
                        x[i] += step;
                        map(&x).0
                    };
                    kernel.value(&Pair::of(&moved(s), &moved(t)))
                };
                let mixed = |h: f64| (at(h, h) - at(h, -h) - at(-h, h) + at(-h, -h)) / (4.0 * h * h);
                (4.0 * mixed(h) - mixed(2.0 * h)) / 3.0
            })
            .sum();
        assert!((found - difference).abs() < 1e-6 * found.abs(), "{kernel}: {found} is not {difference}");
    }
}

#[test]
fn single_precision_agrees() {
    let p = points(20, 6, 5);
    for kernel in kernels() {
        for (x, y) in p.iter().zip(&p[1..]) {
            let wide = Pair::of(x, y);
            let narrow = Pair { dot: wide.dot as f32, xx: wide.xx as f32, yy: wide.yy as f32 };
            let (found, right) = (f64::from(kernel.value(&narrow)), kernel.value(&wide));
            assert!((found - right).abs() < 3e-5 * (1e-2 + right.abs()), "{kernel}: {found} and {right}");
        }
    }
}

#[test]
fn texts_have_their_formulas() {
    let (x, y): (Vec<f64>, Vec<f64>) = (vec![1.0, 2.0, -0.5, 0.3], vec![0.2, -1.0, 0.7, 1.1]);
    let dot: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let r = norm(&x.iter().zip(&y).map(|(x, y)| x - y).collect::<Vec<_>>());
    let gaussian = |s: f64| (-r * r / (2.0 * s * s)).exp();
    let rq = |a: f64| (1.0 + r * r / (2.0 * a)).powf(-a);
    for (text, right) in [
        ("linear", dot),
        ("poly", (dot / 4.0 + 1.0).powi(3)),
        ("poly:degree=2,gamma=1,coef=0", dot * dot),
        ("poly:coef=0.5,degree=1,2", dot / 4.0 + 0.5 + (dot / 4.0 + 0.5).powi(2)),
        ("gaussian:sigma=2", gaussian(2.0)),
        ("gaussian:gamma=0.125", gaussian(2.0)),
        ("gaussian:gamma=1/d", (-r * r / 4.0).exp()),
        ("gaussian:sigma=2,5,10,20,40,80", [2.0, 5.0, 10.0, 20.0, 40.0, 80.0].map(gaussian).iter().sum()),
        ("gaussian:sigma=median,0.5*median", gaussian(3.0) + gaussian(1.5)),
        ("gaussian:sigma = 0.5 * median", gaussian(1.5)),
        ("gaussian:gamma = 1 / d", (-r * r / 4.0).exp()),
        ("rq:alpha=0.2,0.5,1,2,5+linear", [0.2, 0.5, 1.0, 2.0, 5.0].map(rq).iter().sum::<f64>() + dot),
        (" rq : alpha = 0.2, 1 + 1e+1 * linear ", rq(0.2) + rq(1.0) + 10.0 * dot),
        ("0.1*rq:alpha=1,2", 0.1 * (rq(1.0) + rq(2.0))),
        ("laplacian:scale=1.5", (-r / 1.5).exp()),
        ("imq:c=10", (100.0 + r * r).powf(-0.5)),
        ("imq:c=1e+1", (100.0 + r * r).powf(-0.5)),
        ("energy", -r),
        ("energy:a=0.5", 0.5 - (0.25 + r * r).sqrt()),
        ("distance", norm(&x) + norm(&y) - r),
    ] {
        let spec: KernelSpec = text.parse().unwrap();
        let found = spec.resolve(4, || Ok(3.0)).unwrap().value(&Pair::of(&x, &y));
        assert!((found - right).abs() < 1e-14 * right.abs().max(1.0), "{text}: {found} is not {right}");
    }
}

#[test]
fn printing_is_compact() {
    for text in [
        "linear",
        "gaussian:sigma=2,5,10",
        "rq:alpha=0.2,0.5,1,2,5+linear",
        "0.5*gaussian:sigma=2,5+gaussian:sigma=2",
        "poly:degree=2,3,gamma=1,coef=0",
        "energy",
        "energy:a=1e-6",
        "energy:a=0,1",
        "distance+2.5*laplacian:scale=1e-9",
    ] {
        let kernel: Kernel = text.parse().unwrap();
        assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel);
        assert_eq!(kernel.to_string(), text);
    }
    for text in ["poly:degree=3,gamma=1/d,coef=1", "gaussian:sigma=0.5*median,median,2*median", "gaussian:gamma=2/d"] {
        assert_eq!(text.parse::<KernelSpec>().unwrap().to_string(), text);
    }
}

#[test]
fn any_kernel_prints_and_parses_to_itself() {
    let mut rng = crate::rng::stream(6, "kernel laws", 0);
    for _ in 0..2000 {
        let mut size = || 10.0_f64.powf(rng.random_range(-9.0..9.0));
        let (a, b, weight) = (size(), size(), size());
        let form = match rng.random_range(0..8) {
            0 => Form::Linear,
            1 => Form::Polynomial { degree: rng.random_range(1..=32), gamma: a, coef: b },
            2 => Form::Gaussian { sigma: a },
            3 => Form::RationalQuadratic { alpha: a },
            4 => Form::Laplacian { scale: a },
            5 => Form::InverseMultiquadric { c: a },
            6 => Form::Energy { a },
            _ => Form::Distance,
        };
        let weight = if rng.random() { 1.0 } else { weight };
        let other = forms()[rng.random_range(0..forms().len())];
        let kernel = Kernel::new(vec![(weight, form), (1.0, other), (1.0, other), (weight, form)]).unwrap();
        assert_eq!(kernel.to_string().parse::<Kernel>().unwrap(), kernel, "{kernel}");
        let json = serde_json::to_string(&kernel).unwrap();
        assert_eq!(serde_json::from_str::<Kernel>(&json).unwrap(), kernel);
        let spec: KernelSpec = kernel.to_string().parse().unwrap();
        assert_eq!(spec.to_string().parse::<KernelSpec>().unwrap(), spec);
    }
}

#[test]
fn faults_say_what_is_allowed() {
    for (text, part) in [
        ("", "cannot read kernel '': a name is missing; write for example gaussian:sigma=2"),
        ("rbf", "unknown kernel 'rbf'; choose one of linear, poly, gaussian, rq, laplacian, imq, energy, distance"),
        ("gauss", "unknown kernel 'gauss'; did you mean 'gaussian'?"),
        ("linear+", "a name is missing"),
        ("linear:x=1", "cannot read kernel 'linear:x=1': linear takes no parameters"),
        ("gaussian", "cannot read kernel 'gaussian': write for example gaussian:sigma=2, or gaussian:gamma=0.125"),
        ("gaussian:width=2", "gaussian:sigma=2"),
        ("gaussian:sigma=1,gamma=2", "gaussian:sigma=2"),
        ("gaussian:sigma", "key=value"),
        ("gaussian:sigma=", "a number, or median"),
        ("gaussian:sigma=2,sigma=3", "sigma is given twice"),
        ("gaussian:sigma=0", "1e-153 to 1e153"),
        ("gaussian:sigma=-1", "1e-153 to 1e153"),
        ("gaussian:sigma=NaN", "a number"),
        ("gaussian:sigma=inf", "a number"),
        ("gaussian:sigma=1/d", "a number, or median"),
        ("gaussian:gamma=median", "1/d"),
        ("gaussian:gamma=-2", "from 5e-307 to 5e305"),
        ("gaussian:gamma=1e-308", "gamma of kernel gaussian is 1e-308, but must be a number from"),
        ("gaussian:sigma=-1*median", "1e-153 to 1e153"),
        ("poly:degree=0", "1 to 32"),
        ("poly:degree=2.5", "whole number from 1 to 32"),
        ("poly:degree=2,gamma=1,2", "gamma takes one value; only degree takes a list"),
        ("poly:coef=-1", "from 0"),
        ("rq:alpha=0", "1e-12 to 1e12"),
        ("laplacian", "laplacian:scale=1"),
        ("energy:a=-1", "from 0"),
        ("0*linear", "weight of kernel linear is 0, but must be a finite number greater than 0"),
        ("-1*linear", "greater than 0"),
        ("inf*linear", "greater than 0"),
        ("x*linear", "unknown kernel 'x*linear'"),
    ] {
        let message = text.parse::<KernelSpec>().unwrap_err().to_string();
        assert!(message.contains(part), "{text}: {message}");
    }
    for text in ["gaussian:sigma=median", "poly"] {
        let message = text.parse::<Kernel>().unwrap_err().to_string();
        assert!(message.contains("not known here"), "{message}");
    }
    // What refers to the points can be judged only when they are known.
    let spec: KernelSpec = "poly:gamma=5e12/d".parse().unwrap();
    assert!(spec.resolve(10, || Ok(1.0)).is_ok());
    assert!(spec.resolve(2, || Ok(1.0)).unwrap_err().to_string().contains("1e-12 to 1e12"));
    assert!("imq:c=1e13*median".parse::<KernelSpec>().unwrap().resolve(2, || Ok(1e-3)).is_ok());
    let spec: KernelSpec = "gaussian:sigma=median".parse().unwrap();
    assert!(spec.resolve(3, || Ok(0.0)).is_err());
    assert!(spec.resolve(3, || Err(Error::missing("median", "give one"))).is_err());
    assert!(spec.resolve(0, || Ok(1.0)).is_err());
}

#[test]
fn the_kernel_of_kid() {
    let (kid, text) = (Kernel::kid(2048).unwrap(), "poly".parse::<KernelSpec>().unwrap());
    assert_eq!(kid, text.resolve(2048, || unreachable!()).unwrap());
    assert_eq!(kid.to_string(), "poly:degree=3,gamma=0.00048828125,coef=1");
    assert!(Kernel::kid(0).is_err());
}

#[test]
fn properties() {
    let kernel = |text: &str| text.parse::<Kernel>().unwrap();
    assert!(kernel("gaussian:sigma=1+energy").is_radial());
    assert!(!kernel("gaussian:sigma=1+linear").is_radial());
    assert!(kernel("linear+rq:alpha=1").is_characteristic());
    assert!(!kernel("linear+poly:degree=3,gamma=1,coef=1").is_characteristic());
    assert_eq!(kernel("gaussian:sigma=1+energy").definiteness(), Definiteness::Conditional);
    assert_eq!(kernel("distance").definiteness(), Definiteness::Positive);
}
