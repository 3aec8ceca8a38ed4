//! Times of whole networks on these convolutions or on burn's own, one JSON object a line.
//!
//! `cargo bench -p kme-conv --bench networks -- [--convolutions kme|burn] [--threads N] [--runs N] [--only TEXT]`;
//! `benches/networks.py` runs both beside PyTorch.
//!
//! Everything but the convolutions and leaky rectifiers is the same burn code in both. Weights and images come from [`numbers`], in PyTorch too, and each
//! row returns numbers by which the three are seen to compute the same.

use burn::optim::{Adam, AdamConfig, AdamState, Optimizer};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, MaxPoolOptions};
use burn::tensor::{Device, Gradients, Tensor, TensorData, activation, module};
use std::time::Instant;

const BATCH: usize = 64;
const LEARNING_RATE: f64 = 1e-4;
const SLOPE: f64 = 0.2;

/// VGG19 up to relu3_1: inputs and outputs of 3×3 convolutions, `None` for max pooling.
const VGG: [Option<[usize; 2]>; 7] =
    [Some([3, 64]), Some([64, 64]), None, Some([64, 128]), Some([128, 128]), None, Some([128, 256])];

/// DCGAN's critic of 32×32 pixels: inputs, outputs, kernel, stride, padding.
const CRITIC: [[usize; 5]; 5] =
    [[3, 64, 4, 2, 1], [64, 128, 4, 2, 1], [128, 256, 4, 2, 1], [256, 512, 4, 2, 1], [512, 16, 2, 1, 0]];

/// DCGAN's generator: code length, then the channels at 4×4, 8×8, 16×16 and 32×32 pixels.
const CODE: usize = 128;
const GENERATOR: [usize; 4] = [512, 256, 128, 3];

/// Whose convolutions and leaky rectifiers a network runs on.
#[derive(Clone, Copy)]
enum Convolutions {
    Kme,
    Burn,
}

impl Convolutions {
    fn conv2d(self, x: Tensor<4>, w: Tensor<4>, bias: Option<Tensor<1>>, stride: usize, padding: usize) -> Tensor<4> {
        let (stride, padding) = ([stride; 2], [padding; 2]);
        match self {
            Self::Kme => kme_conv::conv2d(x, w, bias, stride, padding),
            Self::Burn => module::conv2d(x, w, bias, ConvOptions::new(stride, padding, [1, 1], 1)),
        }
    }

    fn conv_transpose2d(self, y: Tensor<4>, w: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
        let (stride, padding) = ([stride; 2], [padding; 2]);
        match self {
            Self::Kme => kme_conv::conv_transpose2d(y, w, None, stride, padding, [0, 0]),
            Self::Burn => {
                module::conv_transpose2d(y, w, None, ConvTransposeOptions::new(stride, padding, [0, 0], [1, 1], 1))
            }
        }
    }

    fn leaky_relu(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kme => kme_conv::leaky_relu(x, SLOPE),
            Self::Burn => activation::leaky_relu(x, SLOPE),
        }
    }

    /// The rectifier's pullback at x.
    fn gate(self, x: Tensor<4>, g: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Kme => kme_conv::gate(x, g, SLOPE),
            Self::Burn => g.clone().mask_where(x.lower_elem(0.0), g * SLOPE),
        }
    }
}

/// Uniform between −scale and scale: MurmurHash3's finaliser over multiples of an odd number.
fn numbers<const D: usize>(shape: [usize; D], seed: u32, scale: f64) -> Tensor<D> {
    let hash = |i: u32| {
        let mut h = (i + 1).wrapping_mul(0x9E37_79B1).wrapping_add(seed.wrapping_mul(0x9E37_79B9));
        h = (h ^ h >> 16).wrapping_mul(0x85EB_CA6B);
        h = (h ^ h >> 13).wrapping_mul(0xC2B2_AE35);
        h ^ h >> 16
    };
    let uniform = |i| ((f64::from(hash(i)) / 2f64.powi(32) - 0.5) * 2.0 * scale) as f32;
    let values: Vec<f32> = (0..shape.iter().product::<usize>() as u32).map(uniform).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The bound of uniform weights whose variance is gain / (3 fan in).
fn scale(gain: f64, fan_in: usize) -> f64 {
    (gain / fan_in as f64).sqrt()
}

/// A scalar's number.
fn number(scalar: Tensor<1>) -> f32 {
    scalar.into_data().iter().next().expect("a scalar")
}

fn tracked(params: &[Tensor<1>]) -> Vec<Tensor<1>> {
    params.iter().map(|p| p.clone().autodiff().require_grad()).collect()
}

/// Parameters that no gradient is asked for, in a graph.
fn constant(params: &[Tensor<1>]) -> Vec<Tensor<1>> {
    params.iter().map(|p| p.clone().autodiff()).collect()
}

/// VGG19 up to relu3_1; weights and biases in turn.
fn vgg(convolutions: Convolutions, params: &[Tensor<1>], image: Tensor<4>) -> Tensor<4> {
    let mut params = params.chunks(2);
    VGG.iter().fold(image, |x, layer| match *layer {
        None => module::max_pool2d(x, MaxPoolOptions::new([2, 2]).with_stride([2, 2])),
        Some([inputs, outputs]) => {
            let [weight, bias] = params.next().expect("a weight and a bias") else { unreachable!("pairs") };
            let weight = weight.clone().reshape([outputs, inputs, 3, 3]);
            activation::relu(convolutions.conv2d(x, weight, Some(bias.clone()), 1, 1))
        }
    })
}

fn vgg_params() -> Vec<Tensor<1>> {
    let layers = VGG.iter().flatten().zip(0..);
    let params = layers.flat_map(|(&[inputs, outputs], seed)| {
        let weight = numbers([outputs * inputs * 9], 10 + seed, scale(6.0, inputs * 9));
        [weight, numbers([outputs], 30 + seed, 0.1)]
    });
    params.collect()
}

fn critic_params() -> Vec<Tensor<1>> {
    let params = CRITIC.iter().zip(0..).flat_map(|(&[inputs, outputs, kernel, ..], seed)| {
        let fan_in = inputs * kernel * kernel;
        [numbers([outputs * fan_in], 200 + seed, scale(6.0, fan_in)), numbers([outputs], 220 + seed, 0.05)]
    });
    params.collect()
}

fn critic_weight(params: &[Tensor<1>], layer: usize) -> Tensor<4> {
    let [inputs, outputs, kernel, ..] = CRITIC[layer];
    params[2 * layer].clone().reshape([outputs, inputs, kernel, kernel])
}

/// The critic's features (n, 16), and what each layer's nonlinearity was applied to.
fn critic(convolutions: Convolutions, params: &[Tensor<1>], images: Tensor<4>) -> (Tensor<2>, Vec<Tensor<4>>) {
    let (mut x, mut before) = (images, Vec::new());
    for (layer, [.., stride, padding]) in CRITIC.into_iter().enumerate() {
        let bias = params[2 * layer + 1].clone();
        x = convolutions.conv2d(x, critic_weight(params, layer), Some(bias), stride, padding);
        if layer + 1 < CRITIC.len() {
            before.push(x.clone());
            x = convolutions.leaky_relu(x);
        }
    }
    (x.flatten(1, 3), before)
}

/// The gradient of the sum of the critic's features in the images.
fn critic_pullback(convolutions: Convolutions, params: &[Tensor<1>], before: &[Tensor<4>]) -> Tensor<4> {
    let [_, features, _, stride, padding] = CRITIC[CRITIC.len() - 1];
    let ones = Tensor::ones([BATCH, features, 1, 1], &Device::flex()).autodiff();
    let last = convolutions.conv_transpose2d(ones, critic_weight(params, CRITIC.len() - 1), stride, padding);
    before.iter().enumerate().rev().fold(last, |g, (layer, x)| {
        let [.., stride, padding] = CRITIC[layer];
        let g = convolutions.gate(x.clone(), g);
        convolutions.conv_transpose2d(g, critic_weight(params, layer), stride, padding)
    })
}

/// Per stage the weight, then the gain and the shift of a batch normalisation; the last stage has only the weight.
fn generator_params() -> Vec<Tensor<1>> {
    let device = &Device::flex();
    let mut params = vec![numbers([CODE * GENERATOR[0] * 16], 100, 0.1)];
    for (channels, seed) in GENERATOR.windows(2).zip(101..) {
        params.push(Tensor::ones([channels[0]], device));
        params.push(Tensor::zeros([channels[0]], device));
        params.push(numbers([channels[0] * channels[1] * 16], seed, 0.03));
    }
    params
}

/// Images (n, 3, 32, 32) in [−1, 1] from codes (n, 128).
fn generator(convolutions: Convolutions, params: &[Tensor<1>], codes: Tensor<2>) -> Tensor<4> {
    let linear = params[0].clone().reshape([CODE, GENERATOR[0] * 16]);
    let mut x: Tensor<4> = codes.matmul(linear).reshape([BATCH, GENERATOR[0], 4, 4]);
    for (channels, params) in GENERATOR.windows(2).zip(params[1..].chunks(3)) {
        let [gain, shift, weight] = params else { unreachable!("three a stage") };
        x = activation::relu(module::batch_norm_train(x, gain.clone(), shift.clone(), 1e-5).output);
        x = convolutions.conv_transpose2d(x, weight.clone().reshape([channels[0], channels[1], 4, 4]), 2, 1);
    }
    x.tanh()
}

/// Σ over the bandwidths of exp(−‖x − y‖² / scale), on features (n, 16).
fn kernel(x: Tensor<2>, y: Tensor<2>) -> Tensor<2> {
    let squares = |x: &Tensor<2>| (x.clone() * x.clone()).sum_dim(1);
    let distances = (squares(&x) + squares(&y).transpose() - x.matmul(y.transpose()) * 2.0).clamp_min(0.0);
    (distances.clone() / -2.0).exp() + (distances.clone() / -8.0).exp() + (distances / -32.0).exp()
}

fn mmd(x: Tensor<2>, y: Tensor<2>) -> Tensor<1> {
    kernel(x.clone(), x.clone()).mean() + kernel(y.clone(), y.clone()).mean() - kernel(x, y).mean() * 2.0
}

/// Adam, one state for each parameter.
struct Optimiser {
    adam: Adam,
    states: Vec<Option<AdamState<1>>>,
}

impl Optimiser {
    fn new(count: usize) -> Self {
        let adam = AdamConfig::new().with_beta_1(0.5).with_beta_2(0.9).with_epsilon(1e-8).build();
        Self { adam, states: vec![None; count] }
    }

    /// One step; `tracked` are the parameters as the graph knows them.
    fn step(&mut self, params: &mut [Tensor<1>], tracked: &[Tensor<1>], gradients: &Gradients) {
        for ((param, tracked), state) in params.iter_mut().zip(tracked).zip(&mut self.states) {
            let gradient = tracked.grad(gradients).expect("the loss depends on every parameter");
            (*param, *state) = self.adam.step(LEARNING_RATE, param.clone(), gradient, state.take());
        }
    }
}

/// A row's name and what one run does; it returns what PyTorch must return too.
type Row = (&'static str, Box<dyn FnMut() -> Vec<f32>>);

fn rows(convolutions: Convolutions) -> Vec<Row> {
    vec![
        ("VGG19 features", Box::new(vgg_forward(convolutions))),
        ("VGG19 image gradient", Box::new(vgg_gradient(convolutions))),
        ("DCGAN training step", Box::new(training_step(convolutions))),
        ("gradient penalty", Box::new(gradient_penalty(convolutions))),
    ]
}

fn vgg_forward(convolutions: Convolutions) -> impl FnMut() -> Vec<f32> {
    let (params, image) = (vgg_params(), numbers([1, 3, 256, 256], 5, 1.0));
    move || vec![number(vgg(convolutions, &params, image.clone()).mean())]
}

/// The gradient of the features' mean square in the image.
fn vgg_gradient(convolutions: Convolutions) -> impl FnMut() -> Vec<f32> {
    let (params, image) = (constant(&vgg_params()), numbers([1, 3, 256, 256], 5, 1.0).autodiff().require_grad());
    move || {
        let features = vgg(convolutions, &params, image.clone());
        let loss = (features.clone() * features).mean();
        let gradients = loss.backward();
        let gradient = image.grad(&gradients).expect("the loss depends on the image");
        vec![number(loss.inner()), number(gradient.abs().sum())]
    }
}

/// The critic's step up MMD² between images and generated ones, then the generator's down it.
fn training_step(convolutions: Convolutions) -> impl FnMut() -> Vec<f32> {
    let (mut critic_values, mut generator_values) = (critic_params(), generator_params());
    let mut critic_adam = Optimiser::new(critic_values.len());
    let mut generator_adam = Optimiser::new(generator_values.len());
    let (images, codes) = (numbers([BATCH, 3, 32, 32], 300, 1.0), numbers([BATCH, CODE], 301, 1.7));
    move || {
        let generated = generator(convolutions, &generator_values, codes.clone());
        let params = tracked(&critic_values);
        let features = |images: Tensor<4>| critic(convolutions, &params, images.autodiff()).0;
        let critic_loss = mmd(features(images.clone()), features(generated)).neg();
        critic_adam.step(&mut critic_values, &params, &critic_loss.backward());

        let features = critic(convolutions, &critic_values, images.clone()).0.autodiff();
        let params = tracked(&generator_values);
        let generated = generator(convolutions, &params, codes.clone().autodiff());
        let generator_loss = mmd(features, critic(convolutions, &constant(&critic_values), generated).0);
        generator_adam.step(&mut generator_values, &params, &generator_loss.backward());
        vec![number(critic_loss.inner()), number(generator_loss.inner())]
    }
}

/// The gradient in the critic's weights of the mean over images of (‖∇ critic‖ − 1)².
fn gradient_penalty(convolutions: Convolutions) -> impl FnMut() -> Vec<f32> {
    let (values, images) = (critic_params(), numbers([BATCH, 3, 32, 32], 400, 1.0));
    move || {
        // The nonlinearities' second derivatives are zero, so their masks are constants.
        let (_, before) = critic(convolutions, &values, images.clone());
        let params = tracked(&values);
        let gradient =
            critic_pullback(convolutions, &params, &before.into_iter().map(Tensor::autodiff).collect::<Vec<_>>());
        let squares: Tensor<2> = (gradient.clone() * gradient).flatten(1, 3);
        let distances = (squares.sum_dim(1) + 1e-12).sqrt() - 1.0;
        let loss = (distances.clone() * distances).mean();
        let gradients = loss.backward();
        let weights =
            params.iter().step_by(2).map(|w| w.grad(&gradients).expect("the penalty depends on every weight"));
        let sums = weights.map(|gradient| number(gradient.abs().sum()));
        std::iter::once(number(loss.clone().inner())).chain(sums).collect()
    }
}

fn main() {
    // As in the program.
    kme_conv::scratch::keep_freed_memory();
    let (mut threads, mut runs, mut only, mut name) = (0, 5usize, String::new(), "kme".to_owned());
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().unwrap_or_else(|| panic!("{flag} needs a value"));
        match flag.as_str() {
            "--bench" => {}
            "--convolutions" => name = value(),
            "--threads" => threads = value().parse().expect("--threads: a number"),
            "--runs" => runs = value().parse().expect("--runs: a number"),
            "--only" => only = value(),
            other => panic!("{other}: known are --convolutions, --threads, --runs, --only"),
        }
    }
    let convolutions = match name.as_str() {
        "kme" => Convolutions::Kme,
        "burn" => Convolutions::Burn,
        other => panic!("--convolutions {other}: known are kme, burn"),
    };
    // Before burn starts a pool of its own size.
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("a pool of threads");
    for (row, mut run) in rows(convolutions).into_iter().filter(|(row, _)| row.contains(&only)) {
        // Warms up. The third run's numbers have two of the optimiser's steps behind them.
        let check = (0..3).map(|_| run()).last().expect("three runs");
        let time = |_| {
            let clock = Instant::now();
            run();
            clock.elapsed().as_secs_f64() * 1e3
        };
        let mut times: Vec<f64> = (0..runs.max(1)).map(time).collect();
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        println!("{{\"row\":\"{row}\",\"convolutions\":\"{name}\",\"ms\":{median:.3},\"check\":{check:?}}}");
    }
}
