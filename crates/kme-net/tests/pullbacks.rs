//! Laws of every layer and of whole critics, in double precision on the processor:
//! the pullback is the derivative, and a penalty on the pullback has the gradient of central differences.

use burn::tensor::Tensor;
use kme::rng;
use kme::{Kernel, KernelSpec, Waves};
use kme_image::Images;
use kme_net::layer::{
    AveragePool, BatchNorm, Clamp, Concat, Conv, Cosines, GlobalAveragePool, GlobalSumPool, Layer, LeakyRelu, Linear,
    MaxPool, Normalise, ReflectionPad, Relu, Reshape, Residual, Resize, Sigmoid, Tanh, TransposedConv, Upsample,
    ZeroPad, random_features,
};
use kme_net::{Init, Mode, Net, Place, dcgan_critic, place};

fn normals(count: usize, purpose: &str) -> Vec<f64> {
    kme_testing::normals(count, &mut rng::stream(7, purpose, 0))
}

/// A network with all parameters away from their special starting values.
fn net(layers: Vec<Layer>, input: [usize; 3]) -> Net {
    let place = Place::cpu_f64();
    let mut net = Net::new(layers, input, Init::He, 1, &place).unwrap();
    let moved: Vec<Vec<f64>> = net
        .params()
        .iter()
        .map(|p| {
            let old = place::numbers(p.value.clone());
            let positive = !p.is_trained() && p.name.ends_with("running_var");
            old.iter()
                .zip(normals(old.len(), &p.name))
                .map(|(x, e)| if positive { x + 0.3 * e.abs() } else { x + 0.1 * e })
                .collect()
        })
        .collect();
    net = with_values(&net, &moved);
    net
}

fn with_values(net: &Net, values: &[Vec<f64>]) -> Net {
    let place = net.place().clone();
    let mut values = values.iter();
    net.map_values(|_| {
        let v = values.next().unwrap();
        place.tensor_f64(v.clone(), [v.len()])
    })
}

fn values(net: &Net) -> Vec<Vec<f64>> {
    net.params().iter().map(|p| place::numbers(p.value.clone().inner())).collect()
}

/// mean over samples of (‖Jᵀg‖ − 1)², the norm over all axes of one sample.
fn penalty(net: &Net, x: &Tensor<4>, g: &Tensor<4>, mode: Mode) -> Tensor<1> {
    let tracked = net.params().iter().any(|p| p.value.is_tracked());
    let lift = |t: &Tensor<4>| if tracked { t.clone().autodiff() } else { t.clone() };
    let pass = net.pass(lift(x), mode, false).unwrap();
    let pulled = net.pullback(&pass, lift(g));
    let norm = pulled.clone().mul(pulled).sum_dims_squeeze::<1, i32>(&[1, 2, 3]).sqrt();
    (norm.clone() - 1.0).mul(norm - 1.0).mean()
}

/// Relative error against the larger of the two and a floor.
fn relative(a: f64, b: f64) -> f64 {
    kme_testing::relative(a, b, 1e-3)
}

fn check(name: &str, layers: Vec<Layer>, input: [usize; 3], mode: Mode) {
    let net = net(layers, input);
    let place = Place::cpu_f64();
    let (n, [c, h, w], [oc, oh, ow]) = (3, input, net.output());
    let x = normals(n * c * h * w, "x");
    let g: Tensor<4> = place.tensor_f64(normals(n * oc * oh * ow, "g"), [n, oc, oh, ow]);
    let tensor = |x: &[f64]| -> Tensor<4> { place.tensor_f64(x.to_vec(), [n, c, h, w]) };
    let step = 1e-5;

    // The pullback is the gradient of ⟨g, f(x)⟩ in x.
    let pass = net.pass(tensor(&x), mode, false).unwrap();
    let pulled = place::numbers(net.pullback(&pass, g.clone()));
    let inner = |x: &[f64]| place::scalar((net.forward(tensor(x), mode).unwrap() * g.clone()).sum());
    for i in (0..x.len()).step_by(x.len().div_ceil(60)) {
        let (mut up, mut down) = (x.clone(), x.clone());
        up[i] += step;
        down[i] -= step;
        let difference = (inner(&up) - inner(&down)) / (2.0 * step);
        assert!(relative(pulled[i], difference) < 1e-6, "{name} pullback[{i}]: {} and {difference}", pulled[i]);
    }

    // The gradient of a penalty through the pullback, in the parameters.
    let tracked = net.tracked();
    let loss = penalty(&tracked, &tensor(&x), &g, mode);
    if !loss.is_tracked() {
        assert!(net.params().iter().all(|p| p.name.contains("bias") || !p.is_trained()), "{name}: lost the gradient");
        return;
    }
    let gradients = tracked.gradients(&mut loss.backward());
    let base = values(&net);
    let trained: Vec<usize> = (0..base.len()).filter(|&i| net.params()[i].is_trained()).collect();
    let mut largest = 0.0_f64;
    for (gradient, &p) in gradients.into_iter().zip(&trained) {
        let gradient = place::numbers(gradient);
        for i in (0..gradient.len()).step_by(gradient.len().div_ceil(25)) {
            let at = |delta: f64| {
                let mut moved = base.clone();
                moved[p][i] += delta;
                place::scalar(penalty(&with_values(&net, &moved), &tensor(&x), &g, mode))
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            largest = largest.max(relative(gradient[i], difference));
            assert!(
                relative(gradient[i], difference) < 1e-5,
                "{name} penalty by {}[{i}]: {} and {difference}",
                net.params()[p].name,
                gradient[i]
            );
        }
    }
    println!("{name}: largest relative error of the penalty's gradient {largest:.1e}");
}

#[test]
fn linear() {
    check("linear", vec![Linear { inputs: 5, outputs: 4, bias: true }.into()], [5, 1, 1], Mode::Train);
}

#[test]
fn conv() {
    for (kernel, stride, padding) in [(3, 1, 1), (5, 2, 2), (4, 2, 1), (3, 3, 0), (1, 1, 0), (2, 3, 1)] {
        let layer = Conv::new(2, 3, kernel).stride(stride).padding(padding);
        check(&format!("{layer:?}"), vec![layer.into()], [2, 8, 7], Mode::Train);
    }
}

#[test]
fn transposed_conv() {
    for (kernel, stride, padding, output_padding) in
        [(3, 1, 1, 0), (5, 2, 2, 1), (5, 2, 2, 0), (4, 2, 1, 0), (3, 3, 0, 2)]
    {
        let layer = TransposedConv { inputs: 3, outputs: 2, kernel, stride, padding, output_padding, bias: true };
        check(&format!("{layer:?}"), vec![layer.into()], [3, 4, 5], Mode::Train);
    }
}

/// Nonlinearities have no parameters: a linear layer before them gives the penalty something to differentiate.
#[test]
fn nonlinearities() {
    let linear = || Layer::from(Linear { inputs: 4, outputs: 6, bias: true });
    let after = || Layer::from(Linear { inputs: 6, outputs: 2, bias: true });
    let all: [Layer; 4] = [LeakyRelu { slope: 0.2 }.into(), Relu {}.into(), Sigmoid {}.into(), Tanh {}.into()];
    for layer in all {
        check(&format!("{layer:?}"), vec![linear(), layer, after()], [4, 1, 1], Mode::Train);
    }
}

#[test]
fn batch_norm() {
    for mode in [Mode::Train, Mode::Evaluate] {
        let layers = || -> Vec<Layer> {
            vec![Conv::new(2, 3, 3).padding(1).into(), BatchNorm::new(3).into(), LeakyRelu { slope: 0.2 }.into()]
        };
        check(&format!("batch norm {mode:?}"), layers(), [2, 4, 4], mode);
        check(&format!("bare batch norm {mode:?}"), vec![BatchNorm::new(2).into()], [2, 3, 3], mode);
    }
}

#[test]
fn average_pool_and_reshape() {
    let layers = vec![
        Conv::new(1, 2, 3).padding(1).without_bias().into(),
        AveragePool::new(2).into(),
        Reshape { to: [18, 1, 1] }.into(),
        Linear { inputs: 18, outputs: 2, bias: false }.into(),
    ];
    check("average pool and reshape", layers, [1, 6, 6], Mode::Train);
    check("bare average pool", vec![AveragePool::new(3).into()], [2, 6, 3], Mode::Train);
}

#[test]
fn rectangles_and_groups() {
    for (kernel, stride, padding) in [([1, 7], [1, 1], [0, 3]), ([5, 1], [2, 1], [2, 0]), ([2, 3], [1, 3], [1, 0])] {
        let layer = Conv::new(2, 3, kernel).stride(stride).padding(padding);
        check(&format!("{layer:?}"), vec![layer.into()], [2, 8, 7], Mode::Train);
    }
    for (inputs, outputs, groups, stride) in [(4, 4, 4, 1), (4, 4, 4, 2), (4, 6, 2, 1), (3, 6, 3, 2)] {
        let layer = Conv::new(inputs, outputs, 3).stride(stride).padding(1).groups(groups);
        check(&format!("{layer:?}"), vec![layer.into()], [inputs, 6, 7], Mode::Train);
    }
}

/// Layers without parameters that act on maps, between convolutions that give the penalty something to differentiate.
#[test]
fn pools_pads_and_pixels() {
    let all: [Layer; 15] = [
        MaxPool::new(2, 2).into(),
        MaxPool::new(3, 2).ceil().into(),
        MaxPool::new(3, 1).padding(1).into(),
        MaxPool::new([3, 2], [2, 1]).padding([1, 0]).into(),
        AveragePool::new(3).windows(1, 1).into(),
        AveragePool::new([2, 3]).windows([2, 1], [0, 1]).into(),
        GlobalAveragePool {}.into(),
        GlobalSumPool {}.into(),
        Upsample { factor: 2 }.into(),
        Upsample { factor: 3 }.into(),
        ReflectionPad { padding: 1 }.into(),
        ReflectionPad { padding: 3 }.into(),
        ZeroPad { rows: [0, 1], columns: [2, 0], channels: 1 }.into(),
        Clamp { least: -0.3, most: 0.4 }.into(),
        Normalise { from: vec![2, 0, 1], scale: vec![2.0, -1.0, 0.5], shift: vec![0.1, 0.2, -0.3] }.into(),
    ];
    for layer in all {
        let name = format!("{layer:?}");
        let layers = vec![Conv::new(2, 3, 3).padding(1).into(), layer];
        let [c, h, w] = net(layers.clone(), [2, 8, 7]).output();
        let end = vec![Conv::new(c, 2, [h.min(3), w.min(3)]).into(), Tanh {}.into()];
        check(&name, [layers, end].concat(), [2, 8, 7], Mode::Train);
    }
}

/// A block of Inception: branches of other kernels, a fork within a branch, a pool, joined; then as FID's features.
#[test]
fn inception_block() {
    let conv = |inputs, outputs, kernel: [usize; 2]| -> Vec<Layer> {
        vec![Conv::new(inputs, outputs, kernel).padding(kernel.map(|k| k / 2)).into(), LeakyRelu { slope: 0.1 }.into()]
    };
    let fork = Concat { branches: vec![conv(3, 2, [1, 3]), conv(3, 1, [3, 1])] };
    let block = Concat {
        branches: vec![
            conv(2, 2, [1, 1]),
            [conv(2, 3, [1, 1]), vec![fork.into()]].concat(),
            [vec![AveragePool::new(3).windows(1, 1).into()], conv(2, 2, [1, 1])].concat(),
            vec![MaxPool::new(3, 1).padding(1).into()],
            vec![],
        ],
    };
    let layers: Vec<Layer> = vec![
        Normalise::caffe([103.9, 116.8, 123.7]).into(),
        Conv::new(3, 2, 3).stride(2).into(),
        LeakyRelu { slope: 0.1 }.into(),
        block.into(),
        MaxPool::new(2, 2).ceil().into(),
        GlobalAveragePool {}.into(),
        Linear { inputs: 11, outputs: 3, bias: true }.into(),
    ];
    assert_eq!(net(layers[..4].to_vec(), [3, 13, 11]).output(), [2 + 3 + 2 + 2 + 2, 6, 5]);
    check("inception block", layers, [3, 13, 11], Mode::Train);
}

/// Activations on the way are those of a network that ends there, and a gradient through several of them is the sum of these
/// networks' pullbacks.
#[test]
fn activations_on_the_way_are_outputs_of_beginnings() {
    let place = Place::cpu_f64();
    let layers: Vec<Layer> = vec![
        Conv::new(2, 3, 3).padding(1).into(),
        Tanh {}.into(),
        MaxPool::new(2, 2).into(),
        Conv::new(3, 4, 3).into(),
        Tanh {}.into(),
        GlobalAveragePool {}.into(),
    ];
    let net = net(layers, [2, 9, 8]);
    let x: Tensor<4> = place.tensor_f64(normals(3 * 144, "x"), [3, 2, 9, 8]);
    let depths = [5, 0, 2, 2];
    let leaf = x.clone().autodiff().require_grad();
    let found = net.activations(leaf.clone(), &depths, Mode::Evaluate).unwrap();
    let (mut sum, mut expected) = (Tensor::<1>::zeros([1], (&leaf.device(), leaf.dtype())), vec![0.0; 3 * 144]);
    for ((activation, depth), name) in found.into_iter().zip(depths).zip(["a", "b", "c", "d"]) {
        let beginning = net.truncated(depth).unwrap();
        let pass = beginning.pass(x.clone(), Mode::Evaluate, false).unwrap();
        assert_eq!(place::numbers(activation.clone().inner()), place::numbers(pass.output.clone()));
        let dims = activation.dims();
        let g: Tensor<4> = place.tensor_f64(normals(dims.iter().product(), name), dims);
        let pulled = place::numbers(beginning.pullback(&pass, g.clone()));
        expected.iter_mut().zip(pulled).for_each(|(sum, x)| *sum += x);
        sum = sum + (activation * g.autodiff()).sum();
    }
    let gradient = place::numbers(leaf.grad(&sum.backward()).unwrap());
    assert!(gradient.iter().zip(expected).all(|(a, b)| relative(*a, b) < 1e-9));
    assert!(net.activations(Place::cpu_f64().zeros([1, 2, 9, 8]), &[7], Mode::Evaluate).is_err());
}

/// The linear maps of every protocol: their pullback, and the picture that the resampler of decoded files gives.
#[test]
fn resize() {
    let place = Place::cpu_f64();
    for protocol in
        ["torch-bilinear", "tensorflow1-bilinear", "pillow-bicubic", "pillow-lanczos-crop", "pillow-box-pad:0.25"]
    {
        for [h, w, height, width] in [[7, 9, 5, 12], [6, 4, 13, 8], [5, 5, 5, 5]] {
            let protocol = protocol.parse().unwrap();
            let layer = Resize { height, width, protocol };
            let name = format!("{layer:?}");
            check(&name, vec![layer.clone().into()], [2, h, w], Mode::Train);
            check(&name, vec![Conv::new(2, 1, 1).into(), layer.clone().into()], [2, h, w], Mode::Train);
            // Around the middle, so that no kernel overshoots into the clamp of pictures.
            let pixels: Vec<f32> = normals(2 * h * w, "pixels").iter().map(|x| 0.5 + 0.1 * x.sin() as f32).collect();
            let images = Images::new(2, 1, h, w, pixels.clone()).unwrap();
            let expected = protocol.apply(&images, height, width).unwrap();
            let found = net(vec![layer.into()], [1, h, w]).forward(place.tensor(pixels, [2, 1, h, w]), Mode::Evaluate);
            let found = place::numbers(found.unwrap());
            assert_eq!(found.len(), expected.data().len());
            let far = found.iter().zip(expected.data()).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
            assert!(far < 1e-5, "{name}: {far:e}");
        }
    }
}

/// Between centres of pixels: row i of the output lies at (i + ½)·h/h′ − ½ of the input, cut at the border.
#[test]
fn resize_is_what_its_formula_says() {
    let (h, to_h, place) = (4, 7, Place::cpu_f64());
    let layer = Resize { height: to_h, width: 1, protocol: "torch-bilinear".parse().unwrap() };
    let x = normals(h, "column");
    let net = net(vec![layer.clone().into()], [1, h, 1]);
    let found = place::numbers(net.forward(place.tensor_f64(x.clone(), [1, 1, h, 1]), Mode::Evaluate).unwrap());
    for (i, found) in found.into_iter().enumerate() {
        let at = ((i as f64 + 0.5) * h as f64 / to_h as f64 - 0.5).clamp(0.0, (h - 1) as f64);
        let (low, t) = (at.floor() as usize, at.fract());
        let expected = (1.0 - t) * x[low] + t * x[(low + 1).min(h - 1)];
        assert!((found - expected).abs() < 1e-6, "{i}: {found} {expected}");
    }
    // It stands in files by the name of its protocol.
    let text = serde_json::to_string(&Layer::from(layer.clone())).unwrap();
    assert_eq!(text, r#"{"layer":"resize","height":7,"width":1,"protocol":"torch-bilinear"}"#);
    assert_eq!(serde_json::from_str::<Layer>(&text).unwrap(), layer.clone().into());
    let refused = |layer: Resize| Net::new(vec![layer.into()], [1, h, 1], Init::He, 0, &place).unwrap_err();
    let rounding = refused(Resize { protocol: "clean-fid".parse().unwrap(), ..layer.clone() });
    assert!(matches!(rounding, kme::Error::Unsupported { .. }), "{rounding}");
    refused(Resize { height: 0, ..layer });
}

#[test]
fn residual_sum() {
    let conv = |inputs, outputs, kernel, padding| Layer::from(Conv::new(inputs, outputs, kernel).padding(padding));
    let identity = Residual { branch: vec![conv(2, 2, 3, 1), Tanh {}.into(), conv(2, 2, 3, 1)], shortcut: vec![] };
    let projected =
        Residual { branch: vec![conv(2, 3, 3, 1), LeakyRelu { slope: 0.2 }.into()], shortcut: vec![conv(2, 3, 1, 0)] };
    check("residual", vec![identity.into(), projected.into()], [2, 5, 5], Mode::Train);
}

/// Random features after a dense layer, whose weights the penalty moves; their own constants are not trained.
#[test]
fn cosines() {
    for waves in [Waves::Phase, Waves::Paired] {
        let layer = Cosines { inputs: 3, outputs: 8, sigma: 0.8, weight: 1.5, waves };
        let linear = |inputs, outputs| Layer::from(Linear { inputs, outputs, bias: true });
        check(&format!("{layer:?}"), vec![linear(4, 3), layer.clone().into(), linear(8, 2)], [4, 1, 1], Mode::Train);
        check(&format!("bare {layer:?}"), vec![linear(4, 3), layer.into()], [4, 1, 1], Mode::Train);
    }
    let kernel: Kernel = "gaussian:sigma=1,3".parse::<KernelSpec>().unwrap().resolve(3, || unreachable!()).unwrap();
    let mixed = random_features(&kernel, 3, 6, Waves::Paired).unwrap();
    check("mixed cosines", vec![Linear { inputs: 4, outputs: 3, bias: true }.into(), mixed], [4, 1, 1], Mode::Train);
}

/// Random features against their formula, their inner products against the kernel, and what a new draw changes.
#[test]
fn random_features_are_their_kernel_on_average() {
    let place = Place::cpu_f64();
    let (n, d, s) = (4, 3, 6);
    let x = normals(n * d, "points");
    let input = || place.tensor_f64::<4>(x.clone(), [n, d, 1, 1]);
    let distance2 = |i: usize, j: usize| (0..d).map(|a| (x[i * d + a] - x[j * d + a]).powi(2)).sum::<f64>();
    for waves in [Waves::Phase, Waves::Paired] {
        let layer = Cosines { inputs: d, outputs: s, sigma: 0.7, weight: 2.0, waves };
        let net = Net::new(vec![layer.into()], [d, 1, 1], Init::He, 3, &place).unwrap();
        assert_eq!(net.size(), 0);
        let p = values(&net);
        let found = place::numbers(net.forward(input(), Mode::Train).unwrap());
        for i in 0..n {
            for f in 0..s {
                let (row, shift) = match waves {
                    Waves::Phase => (f, p[1][f]),
                    // sin t = cos(t − π/2)
                    Waves::Paired => (f % (s / 2), if f < s / 2 { 0.0 } else { -std::f64::consts::FRAC_PI_2 }),
                };
                let angle: f64 = (0..d).map(|a| p[0][row * d + a] * x[i * d + a]).sum();
                let expected = (2.0 * 2.0 / s as f64).sqrt() * (angle + shift).cos();
                assert!((found[i * s + f] - expected).abs() < 1e-12, "{waves:?}");
            }
        }
    }

    let kernel: Kernel =
        "gaussian:sigma=0.9+0.5*gaussian:sigma=3".parse::<KernelSpec>().unwrap().resolve(d, || unreachable!()).unwrap();
    let exact = |r2: f64| (-r2 / (2.0 * 0.81)).exp() + 0.5 * (-r2 / 18.0).exp();
    for waves in [Waves::Phase, Waves::Paired] {
        let (features, draws) = (100, 200);
        let layer = random_features(&kernel, d, features, waves).unwrap();
        let net = Net::new(vec![layer], [d, 1, 1], Init::He, 3, &place).unwrap();
        let mut sums = vec![0.0; n * n];
        for draw in 0..draws {
            let z = place::numbers(net.redrawn(5, "features", draw).forward(input(), Mode::Train).unwrap());
            for (k, sum) in sums.iter_mut().enumerate() {
                let (i, j) = (k / n, k % n);
                *sum += (0..2 * features).map(|f| z[i * 2 * features + f] * z[j * 2 * features + f]).sum::<f64>();
            }
        }
        for (k, sum) in sums.iter().enumerate() {
            let (mean, expected) = (sum / draws as f64, exact(distance2(k / n, k % n)));
            // One draw errs by at most √(2(1 + 0.5²)/features) in the root mean square, the mean by that over √draws;
            // four of these.
            assert!(
                (mean - expected).abs() < 4.0 * (2.5 / (features as f64 * draws as f64)).sqrt(),
                "{mean} {expected}"
            );
        }
    }
    let other: Kernel = "rq:alpha=1".parse::<KernelSpec>().unwrap().resolve(d, || unreachable!()).unwrap();
    assert!(random_features(&other, d, 10, Waves::Phase).unwrap_err().to_string().contains("gaussian"));
}

/// A new draw is a function of its three arguments, and leaves what is trained as it is.
#[test]
fn a_new_draw_changes_constants_alone() {
    let features = Cosines { inputs: 3, outputs: 6, sigma: 1.0, weight: 1.0, waves: Waves::Phase };
    let layers = vec![Linear { inputs: 2, outputs: 3, bias: true }.into(), features.into()];
    let net = Net::new(layers, [2, 1, 1], Init::He, 3, &Place::cpu_f64()).unwrap();
    let drawn = |seed, purpose, index| values(&net.redrawn(seed, purpose, index));
    let first = drawn(1, "a", 0);
    assert_eq!(first, drawn(1, "a", 0));
    assert_eq!(first[..2], values(&net)[..2]);
    for other in [drawn(2, "a", 0), drawn(1, "b", 0), drawn(1, "a", 1), values(&net)] {
        assert!(first[2] != other[2] && first[3] != other[3]);
    }
    assert!(first[3].iter().all(|b| (0.0..std::f64::consts::TAU).contains(b)));
    assert_eq!(net.size(), 9);
}

/// Nearest enlargement and sums of maps against their formulas.
#[test]
fn upsampling_repeats_and_the_sum_pool_sums() {
    let place = Place::cpu_f64();
    let (n, c, h, w) = (2, 3, 4, 5);
    let x = normals(n * c * h * w, "x");
    let run = |layer: Layer| {
        let net = net(vec![layer], [c, h, w]);
        (net.output(), place::numbers(net.forward(place.tensor_f64(x.clone(), [n, c, h, w]), Mode::Train).unwrap()))
    };
    for factor in 1..5 {
        let (shape, y) = run(Upsample { factor }.into());
        assert_eq!(shape, [c, factor * h, factor * w]);
        for (k, y) in y.iter().enumerate() {
            let (j, i, map) = (k % (factor * w), k / (factor * w) % (factor * h), k / (factor * factor * w * h));
            assert!((y - x[(map * h + i / factor) * w + j / factor]).abs() < 1e-14);
        }
    }
    let (shape, sums) = run(GlobalSumPool {}.into());
    assert_eq!(shape, [c, 1, 1]);
    for (sum, map) in sums.iter().zip(x.chunks(h * w)) {
        assert!((sum - map.iter().sum::<f64>()).abs() < 1e-12);
    }
}

/// A whole convolutional critic: the gradient of its penalty is exact to 1e-5.
#[test]
fn dcgan_critic_penalty() {
    check("dcgan critic", dcgan_critic(17, 2, 2, 3).unwrap(), [2, 17, 17], Mode::Train);
    let conv = |inputs, outputs| Layer::from(Conv::new(inputs, outputs, 4).stride(2).padding(1));
    let leaky = || Layer::from(LeakyRelu { slope: 0.2 });
    check(
        "three convolutions",
        vec![conv(2, 4), leaky(), conv(4, 6), leaky(), conv(6, 3), leaky()],
        [2, 12, 12],
        Mode::Train,
    );
}

/// Descriptions come from files too.
#[test]
fn layers_that_cannot_be_are_refused() {
    let refused: [Layer; 8] = [
        Conv::new(4, 4, 3).groups(3).into(),
        Conv::new(4, 4, 3).groups(0).into(),
        Conv::new(4, 4, [1, 9]).into(),
        MaxPool::new(3, 0).into(),
        MaxPool::new(9, 1).into(),
        AveragePool::new(2).windows(1, 2).into(),
        Concat { branches: vec![] }.into(),
        Clamp { least: 6.0, most: 0.0 }.into(),
    ];
    let cosines = |outputs, sigma, weight| Cosines { inputs: 4, outputs, sigma, weight, waves: Waves::Paired };
    let more: [Layer; 5] = [
        ReflectionPad { padding: 5 }.into(),
        ZeroPad { rows: [0, usize::MAX], columns: [0, 0], channels: 0 }.into(),
        Upsample { factor: 0 }.into(),
        Upsample { factor: usize::MAX }.into(),
        Normalise { from: vec![0, 0, 1, 2], scale: vec![1.0; 4], shift: vec![0.0; 4] }.into(),
    ];
    for layer in refused.into_iter().chain(more) {
        let refused = Net::new(vec![layer.clone()], [4, 5, 5], Init::He, 0, &Place::cpu());
        assert!(refused.is_err(), "{layer:?}");
    }
    for layer in [cosines(3, 1.0, 1.0), cosines(0, 1.0, 1.0), cosines(4, 0.0, 1.0), cosines(4, 1.0, f64::NAN)] {
        assert!(Net::new(vec![layer.clone().into()], [4, 1, 1], Init::He, 0, &Place::cpu()).is_err(), "{layer:?}");
    }
}

#[test]
fn a_wrong_shape_is_an_error() {
    let net = net(vec![Linear { inputs: 5, outputs: 4, bias: true }.into()], [5, 1, 1]);
    let message = net.forward(Place::cpu_f64().zeros([1, 4, 1, 1]), Mode::Train).unwrap_err().to_string();
    assert!(message.contains("4x1x1") && message.contains("5x1x1"), "{message}");
    assert!(Net::new(vec![Relu {}.into(), AveragePool::new(2).into()], [1, 3, 4], Init::He, 0, &Place::cpu()).is_err());
}

/// Forward passes against their formulas.
#[test]
fn convolutions_and_batch_norm_are_their_formulas() {
    let place = Place::cpu_f64();
    let (n, ci, co, h, w) = (2, 2, 3, 7, 6);
    let close =
        |a: &[f64], b: &[f64]| assert!(a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12));
    let x = normals(n * ci * h * w, "x");
    let input = || place.tensor_f64::<4>(x.clone(), [n, ci, h, w]);
    for (k, stride, padding, output_padding) in [(3, 1, 1, 0), (5, 2, 2, 1), (4, 3, 1, 2)] {
        let conv = net(vec![Conv::new(ci, co, k).stride(stride).padding(padding).into()], [ci, h, w]);
        let [_, oh, ow] = conv.output();
        let p = values(&conv);
        let mut expected = vec![0.0; n * co * oh * ow];
        let transposed =
            TransposedConv { inputs: ci, outputs: co, kernel: k, stride, padding, output_padding, bias: true };
        let transposed = net(vec![transposed.into()], [ci, h, w]);
        let [_, th, tw] = transposed.output();
        let q = values(&transposed);
        let mut spread = vec![0.0; n * co * th * tw];
        for b in 0..n {
            for o in 0..co {
                for (i, j) in (0..oh).flat_map(|i| (0..ow).map(move |j| (i, j))) {
                    let mut sum = p[1][o];
                    for (c, u, v) in (0..ci).flat_map(|c| (0..k).flat_map(move |u| (0..k).map(move |v| (c, u, v)))) {
                        let (y, z) = ((i * stride + u).wrapping_sub(padding), (j * stride + v).wrapping_sub(padding));
                        if y < h && z < w {
                            sum += p[0][((o * ci + c) * k + u) * k + v] * x[((b * ci + c) * h + y) * w + z];
                        }
                    }
                    expected[((b * co + o) * oh + i) * ow + j] = sum;
                }
                spread[(b * co + o) * th * tw..][..th * tw].fill(q[1][o]);
                for (c, i, j) in (0..ci).flat_map(|c| (0..h).flat_map(move |i| (0..w).map(move |j| (c, i, j)))) {
                    for (u, v) in (0..k).flat_map(|u| (0..k).map(move |v| (u, v))) {
                        let (y, z) = ((i * stride + u).wrapping_sub(padding), (j * stride + v).wrapping_sub(padding));
                        if y < th && z < tw {
                            spread[((b * co + o) * th + y) * tw + z] +=
                                q[0][((c * co + o) * k + u) * k + v] * x[((b * ci + c) * h + i) * w + j];
                        }
                    }
                }
            }
        }
        close(&place::numbers(conv.forward(input(), Mode::Train).unwrap()), &expected);
        close(&place::numbers(transposed.forward(input(), Mode::Train).unwrap()), &spread);
    }

    let mut norm = net(vec![BatchNorm::new(ci).into()], [ci, h, w]);
    let p = values(&norm);
    let pass = norm.pass(input(), Mode::Train, false).unwrap();
    let found = place::numbers(pass.output.clone());
    norm.update_running_statistics(&pass);
    let moved = values(&norm);
    let count = (n * h * w) as f64;
    for c in 0..ci {
        let of = |all: &[f64]| -> Vec<f64> {
            all.chunks(ci * h * w).flat_map(|picture| picture[c * h * w..][..h * w].to_vec()).collect()
        };
        let xs = of(&x);
        let mean = xs.iter().sum::<f64>() / count;
        let variance = xs.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / count;
        let expected: Vec<f64> = xs.iter().map(|v| (v - mean) / (variance + 1e-5).sqrt() * p[0][c] + p[1][c]).collect();
        close(&of(&found), &expected);
        close(&[moved[2][c]], &[0.9 * p[2][c] + 0.1 * mean]);
        close(&[moved[3][c]], &[0.9 * p[3][c] + 0.1 * variance * count / (count - 1.0)]);
    }
}
