//! Discrepancies and penalties on tensors against naive double precision loops and central differences.

use burn::tensor::Tensor;
use kme::Kernel;
use kme::internal::Pair;
use kme::rng;
use kme_deep::loss::{
    Estimator, Features, Mmd, Target, activation_penalty, gradient_penalty, mmd2_biased, mmd2_unbiased,
    witness_gradient,
};
use kme_net::layer::{Conv, Layer, LeakyRelu, Linear, Reshape};
use kme_net::{Init, Mode, Net, Place, place};

const KERNELS: [&str; 10] = [
    "linear",
    "poly:degree=3,gamma=0.2,coef=1",
    "gaussian:sigma=2",
    "gaussian:sigma=2,5,10,20,40,80",
    "rq:alpha=0.2,0.5,1,2,5+linear",
    "laplacian:scale=1",
    "imq:c=10",
    "energy",
    "energy:a=0.1",
    "distance",
];

fn mmd(kernel: &Kernel) -> Mmd {
    Mmd::new(kernel.clone(), Estimator::Unbiased)
}

fn normals(count: usize, purpose: &str) -> Vec<f64> {
    kme_testing::normals(count, &mut rng::stream(11, purpose, 0))
}

fn rows(x: &[f64], d: usize) -> Vec<&[f64]> {
    x.chunks(d).collect()
}

fn naive(kernel: &Kernel, x: &[f64], y: &[f64], d: usize, unbiased: bool) -> f64 {
    let sum = |a: &[f64], b: &[f64], same: bool| -> f64 {
        let mut total = 0.0;
        for (i, p) in rows(a, d).iter().enumerate() {
            for (j, q) in rows(b, d).iter().enumerate() {
                if !(same && i == j) {
                    total += kernel.value(&Pair::of(p, q));
                }
            }
        }
        total
    };
    let (n, m) = ((x.len() / d) as f64, (y.len() / d) as f64);
    let cross = sum(x, y, false) / (n * m);
    if unbiased {
        sum(x, x, true) / (n * (n - 1.0)) + sum(y, y, true) / (m * (m - 1.0)) - 2.0 * cross
    } else {
        sum(x, x, false) / (n * n) + sum(y, y, false) / (m * m) - 2.0 * cross
    }
}

fn close(what: &str, a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1e-3), "{what}: {a} and {b}");
}

fn matrix(x: &[f64], d: usize) -> Tensor<2> {
    Place::cpu_f64().tensor_f64(x.to_vec(), [x.len() / d, d])
}

/// The gradient in x by automatic differentiation and by central differences.
fn check_gradient(what: &str, x: &[f64], d: usize, loss: impl Fn(Tensor<2>) -> Tensor<1>) {
    let leaf = matrix(x, d).autodiff().require_grad();
    let gradients = loss(leaf.clone()).backward();
    let gradient = place::numbers(leaf.grad(&gradients).unwrap());
    for i in 0..x.len() {
        let at = |delta: f64| {
            let mut moved = x.to_vec();
            moved[i] += delta;
            place::scalar(loss(matrix(&moved, d).autodiff()).inner())
        };
        close(what, gradient[i], (at(1e-5) - at(-1e-5)) / 2e-5, 1e-5);
    }
}

#[test]
fn mmd_is_the_naive_sum_and_its_gradient_the_difference() {
    let (d, x, y) = (4, normals(7 * 4, "x"), normals(5 * 4, "y"));
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        let (a, b) = (matrix(&x, d), matrix(&y, d));
        close(text, place::scalar(mmd2_unbiased(&kernel, &a, &b).unwrap()), naive(&kernel, &x, &y, d, true), 1e-12);
        close(text, place::scalar(mmd2_biased(&kernel, &a, &b)), naive(&kernel, &x, &y, d, false), 1e-12);
        check_gradient(text, &x, d, |t| mmd2_unbiased(&kernel, &t, &b).unwrap());
        check_gradient(text, &x, d, |t| mmd2_biased(&kernel, &t, &b));
    }
}

#[test]
fn coincident_points_have_finite_gradients() {
    let x = matrix(&[1.0, 2.0, 1.0, 2.0, 0.0, 0.0], 2).autodiff().require_grad();
    let y = matrix(&[1.0, 2.0, 3.0, 3.0], 2).autodiff();
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        let gradients = mmd2_unbiased(&kernel, &x, &y).unwrap().backward();
        assert!(place::numbers(x.grad(&gradients).unwrap()).iter().all(|g| g.is_finite()), "{text}");
    }
}

#[test]
fn target_is_the_weighted_biased_mmd() {
    let (d, x, y) = (3, normals(5 * 3, "x"), normals(4 * 3, "y"));
    let weights = [0.4, 0.1, 0.3, 0.3, -0.1];
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        let k = |a: &[f64], b: &[f64]| kernel.value(&Pair::of(a, b));
        let mut norm2 = 0.0;
        let mut expected = 0.0;
        for (p, v) in rows(&x, d).iter().zip(weights) {
            norm2 += rows(&x, d).iter().zip(weights).map(|(q, w)| v * w * k(p, q)).sum::<f64>();
            expected -= rows(&y, d).iter().map(|q| 2.0 * v * k(p, q) / 4.0).sum::<f64>();
        }
        for p in rows(&y, d) {
            expected += rows(&y, d).iter().map(|q| k(p, q) / 16.0).sum::<f64>();
        }
        expected += norm2;
        let place = Place::cpu_f64();
        let target =
            Target::new(kernel.clone(), matrix(&x, d), place.tensor_f64(weights.to_vec(), [weights.len()]), norm2);
        close(text, place::scalar(target.mmd2(&matrix(&y, d)).unwrap()), expected, 1e-12);
        check_gradient(text, &y, d, |t| target.mmd2(&t).unwrap());
    }
}

#[test]
fn witness_gradient_is_the_difference_of_the_witness() {
    let (d, h, x, y) = (3, normals(4 * 3, "h"), normals(6 * 3, "x"), normals(5 * 3, "y"));
    for text in KERNELS {
        let kernel: Kernel = text.parse().unwrap();
        let witness = |p: &[f64]| {
            let mean = |points: &[f64]| {
                let values: Vec<f64> = rows(points, d).iter().map(|q| kernel.value(&Pair::of(p, q))).collect();
                values.iter().sum::<f64>() / values.len() as f64
            };
            mean(&x) - mean(&y)
        };
        let gradient = place::numbers(witness_gradient(&kernel, &matrix(&h, d), &matrix(&x, d), &matrix(&y, d)));
        for i in 0..h.len() {
            let at = |delta: f64| {
                let mut moved = h.clone();
                moved[i] += delta;
                witness(&moved[i / d * d..i / d * d + d])
            };
            close(text, gradient[i], (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6);
        }
    }
}

/// The whole loss of an MMD GAN's critic, −MMD² + gradient penalty + activation penalty, for a three-layer convolutional
/// critic: its gradient in the weights against central differences.
#[test]
fn critic_loss_gradient() {
    let place = Place::cpu_f64();
    let conv = |inputs, outputs| Layer::from(Conv::new(inputs, outputs, 3).stride(2).padding(1));
    let leaky = || Layer::from(LeakyRelu { slope: 0.2 });
    let layers = vec![
        conv(1, 3),
        leaky(),
        conv(3, 4),
        leaky(),
        conv(4, 5),
        leaky(),
        Reshape { to: [20, 1, 1] }.into(),
        Linear { inputs: 20, outputs: 4, bias: true }.into(),
    ];
    let critic = Net::new(layers, [1, 9, 9], Init::He, 3, &place).unwrap();
    let shape = [6, 1, 9, 9];
    let pictures = |purpose: &str| place.tensor_f64::<4>(normals(6 * 81, purpose), shape);
    let (real, fake, between) = (pictures("real"), pictures("fake"), pictures("between"));
    for text in ["rq:alpha=0.2,0.5,1,2,5+linear", "gaussian:sigma=1,2", "distance", "imq:c=1"] {
        let kernel: Kernel = text.parse().unwrap();
        let loss = |net: &Net| -> Tensor<1> {
            let lift = |t: &Tensor<4>| t.clone().autodiff();
            let pass = net.pass(Tensor::cat(vec![lift(&real), lift(&fake)], 0), Mode::Train, true).unwrap();
            let features: Tensor<2> = pass.output.reshape([12, 4]);
            let (x, y) = (features.clone().slice(0..6), features.slice(6..12));
            let features = Features { real: x.clone(), fake: y.clone(), second: None };
            let penalty = gradient_penalty(&mmd(&kernel), net, lift(&between), 1, &features).unwrap();
            penalty + activation_penalty(&pass.activations).unwrap() - mmd2_unbiased(&kernel, &x, &y).unwrap()
        };
        let tracked = critic.tracked();
        let gradients = tracked.gradients(&mut loss(&tracked).backward());
        let mut worst = 0.0_f64;
        for (index, gradient) in gradients.into_iter().enumerate() {
            let gradient = place::numbers(gradient);
            for i in (0..gradient.len()).step_by(gradient.len().div_ceil(20)) {
                let at = |delta: f64| {
                    let mut seen = 0;
                    let moved = critic.map_values(|p| {
                        let mut values = place::numbers(p.value.clone());
                        if seen == index {
                            values[i] += delta;
                        }
                        seen += 1;
                        place.tensor_f64(values.clone(), [values.len()])
                    });
                    place::scalar(loss(&moved.tracked()).inner())
                };
                let difference = (at(1e-6) - at(-1e-6)) / 2e-6;
                let error = (gradient[i] - difference).abs() / gradient[i].abs().max(difference.abs()).max(1e-2);
                worst = worst.max(error);
                assert!(error < 1e-5, "{text}: parameter {index}[{i}]: {} and {difference}", gradient[i]);
            }
        }
        println!("{text}: largest relative error {worst:.1e}");
    }
}

/// The values of both penalties against their definitions: the witness's gradient by differences through the critic, one norm
/// for each picture; and mean squares for the real and the generated half.
#[test]
fn penalties_are_their_definitions() {
    let place = Place::cpu_f64();
    let layers: Vec<Layer> = vec![
        Conv::new(2, 3, 3).stride(2).padding(1).into(),
        LeakyRelu { slope: 0.2 }.into(),
        Reshape { to: [12, 1, 1] }.into(),
        Linear { inputs: 12, outputs: 3, bias: true }.into(),
    ];
    let critic = Net::new(layers, [2, 4, 4], Init::He, 5, &place).unwrap();
    let (n, size) = (5, 2 * 16);
    let tensor = |x: &[f64]| place.tensor_f64::<4>(x.to_vec(), [x.len() / size, 2, 4, 4]);
    let features = |x: &[f64]| place::numbers(critic.forward(tensor(x), Mode::Train).unwrap());
    let (real, fake, between) = (normals(n * size, "r"), normals(n * size, "f"), normals(n * size, "b"));
    let kernel: Kernel = "rq:alpha=0.5,1+linear".parse().unwrap();
    let (x, y) = (features(&real), features(&fake));
    let witness = |picture: &[f64]| {
        let h = features(picture);
        let mean = |p: &[f64]| rows(p, 3).iter().map(|q| kernel.value(&Pair::of(&h, q))).sum::<f64>() / n as f64;
        mean(&x) - mean(&y)
    };
    let mut expected = 0.0;
    for picture in between.chunks(size) {
        let mut norm2 = 0.0;
        for i in 0..size {
            let at = |delta: f64| {
                let mut moved = picture.to_vec();
                moved[i] += delta;
                witness(&moved)
            };
            norm2 += ((at(1e-5) - at(-1e-5)) / 2e-5).powi(2);
        }
        expected += (norm2.sqrt() - 1.0).powi(2) / n as f64;
    }
    let features = Features { real: matrix(&x, 3), fake: matrix(&y, 3), second: None };
    let penalty = gradient_penalty(&mmd(&kernel), &critic, tensor(&between), 2, &features).unwrap();
    close("gradient penalty", place::scalar(penalty), expected, 1e-7);

    let both = critic.pass(tensor(&[real.clone(), fake.clone()].concat()), Mode::Train, true).unwrap();
    let found = place::scalar(activation_penalty(&both.activations).unwrap());
    let mut expected = 0.0;
    for half in [&real, &fake] {
        for activation in critic.pass(tensor(half), Mode::Train, true).unwrap().activations {
            let values = place::numbers(activation);
            expected += values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
        }
    }
    close("activation penalty", found, expected, 1e-12);
    assert_eq!(both.activations.len(), 2);
}

/// Far from the origin kernels of differences keep their digits, also in single precision.
#[test]
fn radial_kernels_do_not_care_where_the_origin_is() {
    let place = Place::cpu();
    let (x, y) = (normals(20 * 3, "x"), normals(20 * 3, "y"));
    let at = |points: &[f64], offset: f64| place.tensor_f64::<2>(points.iter().map(|p| p + offset).collect(), [20, 3]);
    let kernel: Kernel = "gaussian:sigma=0.5".parse().unwrap();
    let value = |offset: f64| place::scalar(mmd2_unbiased(&kernel, &at(&x, offset), &at(&y, offset)).unwrap());
    assert!((value(0.0) - value(1024.0)).abs() < 2e-4, "{} and {}", value(0.0), value(1024.0));
}
