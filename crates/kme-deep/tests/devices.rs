//! The same computation in other places: single precision and graphics cards against double precision on the processor.

use burn::tensor::Tensor;
use kme::Kernel;
use kme_deep::loss::{Estimator, Features, Mmd, activation_penalty, gradient_penalty, mmd2_unbiased};
use kme_net::{Init, Mode, Net, Place, dcgan_critic, dcgan_generator, place};

const BATCH: usize = 20;
const FEATURES: usize = 6;

fn pictures(seed: f64, shape: [usize; 4], place: &Place) -> Tensor<4> {
    let count = shape.iter().product::<usize>();
    place.tensor_f64((0..count).map(|i| 0.5 + 0.5 * (0.37 * i as f64 + seed).sin()).collect(), shape)
}

/// Everything that a training step computes: the critic's loss with both penalties and its gradients, the generator's pictures and
/// the gradients of its loss.
fn step(place: &Place) -> Vec<(String, Vec<f64>)> {
    let kernel: Kernel = "rq:alpha=0.2,0.5,1,2,5+linear".parse().unwrap();
    let critic = Net::new(dcgan_critic(28, 1, 8, FEATURES).unwrap(), [1, 28, 28], Init::He, 1, place).unwrap();
    let generator = Net::new(dcgan_generator(28, 1, 8, 10).unwrap(), [10, 1, 1], Init::He, 2, place).unwrap();
    let mut all = Vec::new();

    let generator = generator.tracked();
    let z = pictures(0.3, [BATCH, 10, 1, 1], place);
    let made = generator.pass(z, Mode::Train, false).unwrap().output;
    all.push(("pictures".into(), place::numbers(made.clone().inner().reshape([BATCH * 784]))));

    let real = pictures(0.1, [BATCH, 1, 28, 28], place);
    let tracked = critic.tracked();
    let fake = made.clone().inner();
    let pass = tracked.pass(Tensor::cat(vec![real.clone(), fake.clone()], 0), Mode::Train, true).unwrap();
    let features: Tensor<2> = pass.output.reshape([2 * BATCH, FEATURES]);
    let (x, y) = (features.clone().slice(0..BATCH), features.slice(BATCH..2 * BATCH));
    let between = (real.clone() + fake) * 0.5;
    let divergence = Mmd::new(kernel.clone(), Estimator::Unbiased);
    let seen = Features { real: x.clone(), fake: y.clone(), second: None };
    let penalty = gradient_penalty(&divergence, &tracked, between, 1, &seen).unwrap();
    let loss = penalty + activation_penalty(&pass.activations).unwrap() - mmd2_unbiased(&kernel, &x, &y).unwrap();
    all.push(("critic loss".into(), vec![place::scalar(loss.clone().inner())]));
    for (i, gradient) in tracked.gradients(&mut loss.backward()).into_iter().enumerate() {
        all.push((format!("critic gradient {i}"), place::numbers(gradient)));
    }

    let x = critic.forward(real, Mode::Train).unwrap().reshape([BATCH, FEATURES]);
    let y = critic.forward(made, Mode::Train).unwrap().reshape([BATCH, FEATURES]);
    let loss = mmd2_unbiased(&kernel, &x, &y).unwrap();
    for (i, gradient) in generator.gradients(&mut loss.backward()).into_iter().enumerate() {
        all.push((format!("generator gradient {i}"), place::numbers(gradient)));
    }
    all
}

/// Compares a step with the one in double precision on the processor.
fn agrees(place: &Place, tolerance: f64) {
    let mut worst = 0.0f64;
    let expected = step(&Place::cpu_f64());
    let largest = |numbers: &[f64]| numbers.iter().fold(0.0f64, |a, b| a.max(b.abs()));
    // Gradients that batch norm makes zero are compared with the others.
    let scale_of_all = expected.iter().map(|(_, numbers)| largest(numbers)).fold(0.0, f64::max);
    for ((name, got), (_, expected)) in step(place).into_iter().zip(expected) {
        assert_eq!(got.len(), expected.len(), "{name}");
        let scale = largest(&expected).max(1e-3 * scale_of_all);
        let difference = got.iter().zip(&expected).fold(0.0f64, |a, (g, e)| {
            let difference = (g - e).abs();
            if difference.is_nan() { f64::INFINITY } else { a.max(difference) }
        });
        assert!(difference <= tolerance * scale, "{name}: {difference:e} of {scale:e}");
        worst = worst.max(difference / scale);
    }
    println!("largest relative difference {worst:.1e}");
}

#[test]
fn single_precision_agrees_with_double() {
    agrees(&Place::cpu(), 1e-4);
}

#[cfg(any(feature = "vulkan", feature = "cuda"))]
#[test]
#[ignore = "needs a graphics card"]
fn graphics_card_agrees_with_the_processor() {
    agrees(&Place::parse("gpu").unwrap(), 1e-3);
}
