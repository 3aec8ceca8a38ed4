//! Generators and critics of the papers: published numbers of parameters, sizes, what is refused, and how weights
//! start.

use kme_net::architecture::autoencoder;
use kme_net::{CriticNet, GeneratorNet, Init, Layer, Mode, Net, Place, place};

fn generator(json: &str) -> GeneratorNet {
    serde_json::from_str(json).unwrap()
}

fn critic(json: &str) -> CriticNet {
    serde_json::from_str(json).unwrap()
}

fn net(layers: Vec<Layer>, input: [usize; 3], init: Init) -> Net {
    Net::new(layers, input, init, 3, &Place::cpu()).unwrap()
}

fn generator_size(json: &str, inputs: usize, output: [usize; 3]) -> usize {
    let net = net(generator(json).layers(inputs, output).unwrap(), [inputs, 1, 1], Init::He);
    assert_eq!(net.output(), output, "{json}");
    net.size()
}

fn critic_size(json: &str, input: [usize; 3], top: usize) -> usize {
    let net = net(critic(json).layers(input, top).unwrap(), input, Init::He);
    assert_eq!(net.output(), [top, 1, 1], "{json}");
    net.size()
}

/// Of the networks of Arbel et al., Li et al. and dos Santos et al.; those of Bińkowski et al. stand beside the code.
#[test]
fn published_numbers_of_parameters() {
    assert_eq!(generator_size(r#"{"kind": "sngan", "width": 64}"#, 128, [3, 32, 32]), 5_361_667);
    let gmmn = r#"{"kind": "mlp", "hidden": [64, 256, 256, 1024]}"#;
    assert_eq!(generator_size(gmmn, 10, [1, 28, 28]), 1_149_904);
    assert_eq!(generator_size(r#"{"kind": "gfmn-dcgan", "width": 64}"#, 100, [3, 32, 32]), 1_142_912);
    assert_eq!(generator_size(r#"{"kind": "gfmn-resnet", "width": 64}"#, 100, [3, 32, 32]), 3_319_555);
    assert_eq!(critic_size(r#"{"kind": "dcgan", "width": 16}"#, [3, 32, 32], 16), 278_448);
}

/// The others against sums over their printed layers: (inputs·k² + 1)·outputs for each convolution, 2·channels for
/// batch norm.
#[test]
fn numbers_of_parameters_by_hand() {
    let conv = |inputs: usize, outputs: usize, kernel: usize| (inputs * kernel * kernel + 1) * outputs;
    // 3×3 64, 4×4 128, 3×3 128, 4×4 256, 3×3 256, 4×4 512, 3×3 512, dense 1.
    let filters = [(3, 64, 3), (64, 128, 4), (128, 128, 3), (128, 256, 4), (256, 256, 3), (256, 512, 4), (512, 512, 3)];
    let expected = filters.iter().map(|&(i, o, k)| conv(i, o, k)).sum::<usize>() + 512 * 4 * 4 + 1;
    assert_eq!(critic_size(r#"{"kind": "sngan", "width": 64}"#, [3, 32, 32], 1), expected);
    // Five layers on 160²: 64 to 1024 maps, side 5.
    let expected =
        [(3, 64), (64, 128), (128, 256), (256, 512), (512, 1024)].map(|(i, o)| conv(i, o, 5)).iter().sum::<usize>()
            + (1024 * 5 * 5 + 1) * 16;
    assert_eq!(critic_size(r#"{"kind": "dcgan", "width": 64, "stages": 5}"#, [3, 160, 160], 16), expected);
    // The toy critic: four layers of 64 units.
    let toy = r#"{"kind": "mlp", "hidden": [64, 64, 64, 64]}"#;
    assert_eq!(critic_size(toy, [2, 1, 1], 16), 3 * 64 + 3 * 65 * 64 + 65 * 16);
    // g-resnet5: dense to 16·64 maps of 5×5, four blocks, 5×5 to the picture; two batch norms in each block and one
    // at the end.
    let maps = [1024, 512, 256, 128, 64];
    let dense = 129 * 1024 * 25;
    let blocks =
        maps.windows(2).map(|m| conv(m[0], m[1], 3) + conv(m[1], m[1], 3) + conv(m[0], m[1], 1)).sum::<usize>();
    let plain = dense + blocks + conv(64, 3, 5);
    let norms = maps.windows(2).map(|m| 2 * (m[0] + m[1])).sum::<usize>() + 2 * 64;
    let without = r#"{"kind": "resnet", "width": 64, "batch_norm": false}"#;
    assert_eq!(generator_size(without, 128, [3, 160, 160]), plain);
    assert_eq!(generator_size(r#"{"kind": "resnet", "width": 64}"#, 128, [3, 160, 160]), plain + norms);
    // The residual critic of 64²: its first block goes to 64 maps, each other keeps the maps in its first convolution.
    let first = conv(3, 64, 3) + conv(64, 64, 3) + conv(3, 64, 1);
    let others =
        [64, 128, 256, 512, 1024].windows(2).map(|m| conv(m[0], m[0], 3) + conv(m[0], m[1], 3) + conv(m[0], m[1], 1));
    assert_eq!(critic_size(r#"{"kind": "resnet", "width": 64}"#, [3, 64, 64], 1), first + others.sum::<usize>() + 1025);
}

/// Pictures of the usual sizes, with labels among the inputs, and finite numbers of the right range at the end.
#[test]
fn usual_sizes() {
    let place = Place::cpu();
    let generators = [
        r#"{"kind": "dcgan", "width": 2}"#,
        r#"{"kind": "dcgan", "width": 2, "kernel": 4}"#,
        r#"{"kind": "dcgan", "width": 1, "stages": 3}"#,
        r#"{"kind": "sngan", "width": 2}"#,
        r#"{"kind": "resnet", "width": 2}"#,
        r#"{"kind": "resnet", "width": 2, "batch_norm": false, "blocks": 1}"#,
        r#"{"kind": "gfmn-dcgan", "width": 2}"#,
        r#"{"kind": "gfmn-resnet", "width": 2}"#,
        r#"{"kind": "mlp", "hidden": [8]}"#,
    ];
    let critics = [
        r#"{"kind": "dcgan", "width": 2}"#,
        r#"{"kind": "dcgan", "width": 2, "kernel": 4, "batch_norm": true}"#,
        r#"{"kind": "sngan", "width": 2}"#,
        r#"{"kind": "resnet", "width": 2}"#,
        r#"{"kind": "resnet", "width": 2, "blocks": 2, "leak": 0}"#,
        r#"{"kind": "mlp", "hidden": [8, 4], "leak": 0.2}"#,
    ];
    for size in [28, 32, 64, 128, 160] {
        for json in generators {
            let (channels, inputs) = (3, 5 + 10);
            let net = net(
                generator(json).layers(inputs, [channels, size, size]).unwrap(),
                [inputs, 1, 1],
                generator(json).init(),
            );
            assert_eq!(net.output(), [channels, size, size], "{json}");
            let z = place.tensor((0..2 * inputs).map(|i| (i as f32).sin()).collect(), [2, inputs, 1, 1]);
            let x = place::numbers(net.forward(z, Mode::Train).unwrap());
            assert!(x.iter().all(|x| (0.0..=1.0).contains(x)), "{json} {size}");
        }
        for json in critics {
            let channels = 1 + 10;
            let net = net(
                critic(json).layers([channels, size, size], 6).unwrap(),
                [channels, size, size],
                critic(json).init(),
            );
            let count = channels * size * size;
            let x = place.tensor((0..2 * count).map(|i| (i as f32).sin()).collect(), [2, channels, size, size]);
            let features = place::numbers(net.forward(x, Mode::Train).unwrap());
            assert!(features.len() == 12 && features.iter().all(|f| f.is_finite()), "{json} {size}");
            assert!(features.iter().any(|f| f.abs() > 0.0), "{json} {size}");
        }
    }
    // The five-layer DCGAN of 160².
    let deep = r#"{"kind": "dcgan", "width": 1, "stages": 5}"#;
    generator_size(deep, 4, [3, 160, 160]);
    critic_size(deep, [3, 160, 160], 16);
}

/// A generator of points ends in a linear map, one of pictures in a sigmoid, unless it says otherwise.
#[test]
fn points_are_not_squeezed() {
    let last = |json: &str, output: [usize; 3]| {
        let layers = generator(json).layers(3, output).unwrap();
        serde_json::to_string(layers.iter().rfind(|l| !matches!(l, Layer::Reshape(_))).unwrap()).unwrap()
    };
    let (plain, squeezed) =
        (r#"{"kind": "mlp", "hidden": [4]}"#, r#"{"kind": "mlp", "hidden": [4], "output": "sigmoid"}"#);
    assert!(last(plain, [2, 1, 1]).contains("linear"));
    assert!(last(squeezed, [2, 1, 1]).contains("sigmoid"));
    assert!(last(plain, [1, 4, 6]).contains("sigmoid"));
    assert!(last(r#"{"kind": "mlp", "hidden": [4], "output": "linear"}"#, [1, 4, 6]).contains("linear"));
}

#[test]
fn autoencoders_mirror() {
    let units = [1024, 32];
    let encoder = net(autoencoder::encoder([1, 28, 28], &units).unwrap(), [1, 28, 28], Init::Glorot);
    let decoder = net(autoencoder::decoder(&units, [1, 28, 28]).unwrap(), [32, 1, 1], Init::Glorot);
    assert_eq!((encoder.output(), decoder.output()), ([32, 1, 1], [1, 28, 28]));
    assert_eq!(encoder.size(), 785 * 1024 + 1025 * 32);
    assert_eq!(decoder.size(), 33 * 1024 + 1025 * 784);
    assert!(autoencoder::encoder([1, 28, 28], &[]).is_err());
}

#[test]
fn what_cannot_be_is_refused_with_the_reason() {
    let parse = |json: &str| serde_json::from_str::<GeneratorNet>(json).map_err(|e| e.to_string());
    assert!(parse(r#"{"kind": "dcgan", "width": 4, "depth": 3}"#).unwrap_err().contains("depth"));
    assert!(parse(r#"{"kind": "unet", "width": 4}"#).unwrap_err().contains("unet"));
    assert!(parse(r#"{"kind": "mlp"}"#).unwrap_err().contains("hidden"));
    let refused = [
        (r#"{"kind": "dcgan", "width": 0}"#, 32, "width"),
        (r#"{"kind": "dcgan", "width": 4}"#, 15, "15x15"),
        (r#"{"kind": "dcgan", "width": 4, "stages": 9}"#, 32, "stages"),
        (r#"{"kind": "dcgan", "width": 4, "kernel": 3}"#, 32, "kernel"),
        (r#"{"kind": "dcgan", "width": 4, "kernel": 4, "stages": 6}"#, 32, "64 pixels"),
        (r#"{"kind": "resnet", "width": 4}"#, 30, "multiple of 4"),
        (r#"{"kind": "resnet", "width": 4, "blocks": 2}"#, 28, "1 to 1"),
        (r#"{"kind": "gfmn-dcgan", "width": 4}"#, 36, "power of two"),
        (r#"{"kind": "mlp", "hidden": [0]}"#, 32, "hidden"),
    ];
    for (json, size, names) in refused {
        let message = generator(json).layers(8, [1, size, size]).unwrap_err().to_string();
        assert!(message.contains(names), "{json}: {message}");
    }
    let dcgan = critic(r#"{"kind": "dcgan", "width": 4}"#);
    assert!(dcgan.layers([3, 32, 16], 4).unwrap_err().to_string().contains("32x16"));
    assert!(dcgan.layers([2, 1, 1], 4).unwrap_err().to_string().contains("mlp"));
    assert!(dcgan.layers([3, 32, 32], 0).is_err());
    assert!(critic(r#"{"kind": "mlp", "hidden": [4], "leak": 1.5}"#).layers([2, 1, 1], 4).is_err());
}

/// A configuration comes back from its text.
#[test]
fn configurations_round_trip() {
    for json in [
        r#"{"kind": "resnet", "width": 8, "batch_norm": false, "blocks": 2}"#,
        r#"{"kind": "mlp", "hidden": [3], "output": "linear"}"#,
    ] {
        let net = generator(json);
        assert_eq!(generator(&serde_json::to_string(&net).unwrap()), net);
    }
    let net = critic(r#"{"kind": "dcgan", "width": 8}"#);
    assert_eq!(critic(&serde_json::to_string(&net).unwrap()), net);
}

/// Each way to start has its moments and its bounds.
#[test]
fn weights_start_by_their_laws() {
    use kme_net::layer::{BatchNorm, Conv, Linear};
    let layers: Vec<Layer> = vec![
        Conv::new(8, 40, 5).padding(2).into(),
        BatchNorm::new(40).into(),
        kme_net::layer::Reshape { to: [640, 1, 1] }.into(),
        Linear { inputs: 640, outputs: 30, bias: true }.into(),
    ];
    let moments = |init: Init, index: usize| {
        let values = place::numbers(net(layers.clone(), [8, 4, 4], init).params()[index].value.clone());
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt(), values.iter().fold(0.0_f64, |m, v| m.max(v.abs())))
    };
    // Parameters: 0 the filters (fan-in 200, fan-out 1000), 2 the gains, 6 the dense weight (640, 30).
    let close = |found: f64, expected: f64, init: Init| {
        assert!((found / expected - 1.0).abs() < 0.03, "{init:?}: {found}, {expected}")
    };
    for (init, index, deviation, bound) in [
        (Init::HeUniform, 0, (2.0_f64 / 200.0).sqrt(), Some((6.0_f64 / 200.0).sqrt())),
        (Init::HeUniform, 6, (2.0_f64 / 640.0).sqrt(), Some((6.0_f64 / 640.0).sqrt())),
        (Init::Glorot, 0, (2.0_f64 / 1200.0).sqrt(), Some((6.0_f64 / 1200.0).sqrt())),
        (Init::Glorot, 6, (2.0_f64 / 670.0).sqrt(), Some((6.0_f64 / 670.0).sqrt())),
        (Init::He, 0, (2.0_f64 / 200.0).sqrt(), None),
        (Init::Radford, 0, 0.02, None),
        (Init::Radford, 6, 0.02, None),
        // A normal truncated at two deviations has 0.8796 of its deviation.
        (Init::Dcgan, 0, 0.8796 * 0.02, Some(0.04)),
    ] {
        let (mean, found, largest) = moments(init, index);
        close(found, deviation, init);
        assert!(mean.abs() < 0.05 * deviation, "{init:?}");
        if let Some(bound) = bound {
            assert!(largest <= bound * 1.0001 && largest > 0.99 * bound, "{init:?}: {largest} of {bound}");
        }
    }
    let (mean, deviation, _) = moments(Init::Radford, 2);
    assert!((mean - 1.0).abs() < 0.02 && (0.01..0.03).contains(&deviation));
    assert_eq!(moments(Init::Glorot, 2), (1.0, 0.0, 1.0));
}

/// The numbers that the shipped presets start from, bit for bit: drawn one after another from the stream of the
/// parameter's name, those beyond two deviations skipped where the normal is truncated. A change here changes what
/// every preset trains.
#[test]
fn the_shipped_presets_start_where_they_did() {
    let generator = kme_net::dcgan_generator(28, 1, 32, 64).unwrap();
    let critic = kme_net::dcgan_critic(28, 1, 32, 16).unwrap();
    let cases = [
        (&generator, [64, 1, 1], Init::Dcgan, "0.weight", 0.01, false),
        (&generator, [64, 1, 1], Init::Dcgan, "4.weight", 0.02, false),
        (&critic, [1, 28, 28], Init::Dcgan, "2.weight", 0.02, true),
        (&generator, [64, 1, 1], Init::He, "0.weight", (2.0_f64 / 64.0).sqrt(), false),
    ];
    for (layers, input, init, name, deviation, truncated) in cases {
        let net = Net::new(layers.clone(), input, init, 7, &Place::cpu_f64()).unwrap();
        let param = net.params().iter().find(|p| p.name == name).unwrap();
        let mut rng = kme::rng::stream(7, &format!("init {name}"), 0);
        let mut draw = || loop {
            let x = kme_testing::normal(&mut rng);
            if !truncated || x.abs() <= 2.0 {
                return deviation * x;
            }
        };
        for (i, found) in place::numbers(param.value.clone()).into_iter().enumerate() {
            assert_eq!(found.to_bits(), draw().to_bits(), "{name}[{i}]");
        }
    }
}
