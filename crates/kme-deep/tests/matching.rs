//! Matching on a generator whose pictures are its latents, so that the answer is known.

use burn::tensor::Tensor;
use kme::Data;
use kme::Precision;
use kme::internal::Pair;
use kme::{Embedding, Kernel, Observer, Points, Progress, Result};
use kme::{FeatureIdentity, Form};
use kme_deep::{Match, bandwidth};
use kme_image::{Background, Crop, Images, Protocol, Resize};
use kme_net::layer::{Linear, Reshape};
use kme_net::weights::Weights;
use kme_net::{
    Extractor, FeatureMap, Generator, Init, Latent, Makes, Models, Net, Network, NetworkGenerator, Outputs, Pictures,
    Pixels, Place, Positions, Prior, Provenance, flat, network_card, place,
};
use kme_testing::made_up::Golden;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};

/// The known network of this name with made-up weights.
fn network(name: &str, golden: &Golden) -> Network {
    let weights = Weights { tensors: golden.weights(), sha256: "0".repeat(64), container: "made up" };
    let card = network_card(name).expect("a known network");
    Network::of_weights(card, &weights, Path::new("made-up.pth"), &Place::cpu()).expect("made-up weights")
}

/// A picture of one row with two pixels ½ + z/8.
fn generator() -> NetworkGenerator {
    linear(&[], vec![0.125, 0.0, 0.0, 0.125])
}

/// A picture of one row with two pixels ½ + W (z, label), W of shape (2, 2 + classes).
fn linear(classes: &[&str], weight: Vec<f32>) -> NetworkGenerator {
    let place = Place::cpu();
    let inputs = 2 + classes.len();
    let layers = vec![Linear { inputs, outputs: 2, bias: true }.into(), Reshape { to: [1, 1, 2] }.into()];
    let net = Net::new(layers, [inputs, 1, 1], Init::He, 0, &place).unwrap().map_values(|p| match p.name.as_str() {
        "0.weight" => place.tensor(weight.clone(), [weight.len()]),
        _ => place.tensor(vec![0.5, 0.5], [2]),
    });
    let made = Provenance {
        version: String::new(),
        preset: String::new(),
        seed: 0,
        steps: 0,
        data: String::new(),
        data_fingerprint: String::new(),
    };
    let latent = Latent { dim: 2, prior: Prior::Normal };
    let classes = classes.iter().map(|name| name.to_string()).collect();
    NetworkGenerator {
        net,
        latent,
        classes,
        points: false,
        features: "pixels".into(),
        features_sha256: None,
        crop: Crop::default(),
        background: Background::default(),
        made,
        sha256: String::new(),
    }
}

fn target(points: &[f32], weights: &[f64], kernel: &str) -> Embedding {
    let points = Points::new(points.len() / 2, 2, Data::F32(points.to_vec())).unwrap();
    let kernel: Kernel = kernel.parse().unwrap();
    Embedding::combination(kme::Sample { points: points.view(), weights: Some(weights) }, kernel)
        .unwrap()
        .with_features(Pixels.identity([1, 1, 2]))
}

/// [`generator`], without a network.
#[derive(Debug)]
struct Plain(Place);

impl Generator for Plain {
    fn latent(&self) -> Latent {
        Latent { dim: 2, prior: Prior::Normal }
    }

    fn makes(&self) -> Makes {
        Makes::Pictures([1, 1, 2])
    }

    fn place(&self) -> &Place {
        &self.0
    }

    fn sha256(&self) -> &str {
        "plain"
    }

    fn forward(&self, inputs: Tensor<4>) -> Result<Tensor<4>> {
        let [n, ..] = inputs.dims();
        Ok((inputs * 0.125 + 0.5).reshape([n, 1, 1, 2]))
    }
}

/// Pixels and their squares, as two layers that are looked at.
#[derive(Debug)]
struct Squares;

impl FeatureMap for Squares {
    fn tensors(&self, pictures: Tensor<4>) -> Result<Vec<Tensor<2>>> {
        Ok(vec![flat(pictures.clone()), flat(pictures.clone() * pictures)])
    }

    fn outputs(&self, pictures: Pictures<'_>, _: bool) -> Result<Outputs> {
        let pixels = Pixels.features(pictures)?;
        let (n, d) = (pixels.len(), pixels.dim());
        let row = |i: usize| (0..d).map(move |j| i * d + j);
        let at = |i: usize| pixels.data().get(i) as f32;
        let rows = (0..n).flat_map(|i| row(i).map(at).chain(row(i).map(|i| at(i) * at(i))).collect::<Vec<_>>());
        Ok(Outputs { features: Points::new(n, 2 * d, Data::F32(rows.collect()))?, logits: None })
    }

    fn identity(&self, shape: [usize; 3]) -> FeatureIdentity {
        FeatureIdentity { name: "squares".into(), ..Pixels.identity(shape) }
    }

    fn sha256(&self) -> Option<&str> {
        None
    }

    fn input(&self) -> Option<[usize; 3]> {
        None
    }

    fn resize(&self) -> Option<Resize> {
        None
    }

    fn with_resize(&self, _: Protocol) -> Arc<dyn FeatureMap> {
        Arc::new(Self)
    }
}

/// A generator of another kind is moved like a network, and a map that looks at several layers steers like one of all of them
/// side by side.
#[test]
fn generators_and_maps_of_other_kinds_are_matched_alike() {
    let plain = Plain(Place::cpu());
    let near = |a: &Images, b: &[f32]| a.data().iter().zip(b).all(|(a, b)| (a - b).abs() < 2e-3);
    let settings = Match { n: 1, steps: 300, ..Match::default() };
    let pixels = target(&[0.6, 0.45], &[1.0], "imq:c=0.3");
    let [network, other] =
        [&generator() as &dyn Generator, &plain].map(|g| settings.run(g, &Pixels, &pixels, &()).unwrap());
    assert!(near(&network.pictures, &[0.6, 0.45]), "{:?}", network.pictures);
    assert!(near(&other.pictures, network.pictures.data()), "{:?} {:?}", other.pictures, network.pictures);
    assert_eq!(plain.sample(70, 3).unwrap().picture(69), plain.pictures(&plain.draw(70, 3)[138..]).unwrap().picture(0));

    let shown = Images::new(1, 1, 1, 2, vec![0.6, 0.45]).unwrap();
    let points = Squares.features((&shown).into()).unwrap();
    let together = Squares.tensor(Place::cpu().tensor(vec![0.6, 0.45], [1, 1, 1, 2])).unwrap();
    assert_eq!(place::numbers(together), (0..4).map(|i| points.data().get(i)).collect::<Vec<_>>());
    let kernel = "imq:c=0.3".parse().unwrap();
    let identity = Squares.identity([1, 1, 2]);
    let squares = Embedding::combination(kme::Sample { points: points.view(), weights: Some(&[1.0]) }, kernel)
        .unwrap()
        .with_features(identity);
    let found = settings.run(&plain, &Squares, &squares, &()).unwrap();
    assert!(found.after < 1e-2 * found.before && near(&found.pictures, shown.data()), "{:?}", found.pictures);
    // Another map's target is not this one's.
    assert!(matches!(settings.run(&plain, &Squares, &pixels, &()), Err(kme::Error::Mismatch { .. })));
}

/// Stops where this says so.
struct On<F>(F);

impl<F: Fn(Progress) -> bool + Sync> Observer for On<F> {
    fn progress(&self, at: Progress) -> ControlFlow<()> {
        if (self.0)(at) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn outputs(settings: &Match, target: &Embedding) -> Vec<Vec<f32>> {
    let matched = settings.run(&generator(), &Pixels, target, &()).unwrap();
    assert!(matched.after <= matched.before);
    matched.pictures.data().chunks(2).map(<[f32]>::to_vec).collect()
}

/// Inputs at distance D with equal weights: the single output is the midpoint if and only if c ≥ D/√2.
#[test]
fn one_output_for_two_inputs_is_the_midpoint_when_c_is_large_enough() {
    let (a, b) = ([0.3_f32, 0.5], [0.7_f32, 0.5]);
    let distance = 0.4;
    let settings = Match { n: 1, steps: 400, ..Match::default() };
    let at = |c: f64| outputs(&settings, &target(&[a, b].concat(), &[0.5, 0.5], &format!("imq:c={c}")))[0].clone();
    let middle = at(distance / 2f64.sqrt() * 1.05);
    assert!((middle[0] - 0.5).abs() < 0.02 && (middle[1] - 0.5).abs() < 0.01, "{middle:?}");
    let snapped = at(distance / 2f64.sqrt() * 0.4);
    let to_nearest = (snapped[0] - a[0]).abs().min((snapped[0] - b[0]).abs());
    assert!(to_nearest < 0.06, "{snapped:?}");

    // The rule itself, on a fine grid between the inputs: for the kernel in question and for the Gaussian with σ ≥ D/2.
    for (text, factor, is_middle) in [
        ("imq:c=", 1.0 / 2f64.sqrt() * 1.01, true),
        ("imq:c=", 1.0 / 2f64.sqrt() * 0.97, false),
        ("gaussian:sigma=", 0.5 * 1.01, true),
        ("gaussian:sigma=", 0.5 * 0.97, false),
    ] {
        let kernel: Kernel = format!("{text}{factor}").parse().unwrap();
        let f = |t: f64| kernel.value(&Pair::of(&[t], &[0.0])) + kernel.value(&Pair::of(&[t], &[1.0]));
        let argmax = (0..=1000).map(|i| i as f64 / 1000.0).max_by(|a, b| f(*a).total_cmp(&f(*b))).unwrap();
        assert_eq!((argmax - 0.5).abs() < 1e-9, is_middle, "{text}{factor}: {argmax}");
    }
}

/// With the linear kernel one output is the weighted mean of the inputs, also with a negative weight.
#[test]
fn the_linear_kernel_gives_the_weighted_mean() {
    let settings = Match { n: 1, steps: 600, ..Match::default() };
    for (weights, expected) in [([0.75, 0.25], [0.35, 0.5]), ([1.5, -0.5], [0.2, 0.425])] {
        let found = &outputs(&settings, &target(&[0.3, 0.475, 0.5, 0.575], &weights, "linear"))[0];
        assert!((0..2).all(|i| (found[i] - expected[i]).abs() < 5e-3), "{found:?} for {weights:?}");
    }
}

/// Several outputs spread over the inputs: as many at each as its weight asks for.
#[test]
fn outputs_share_the_inputs_by_weight() {
    let inputs = [0.4, 0.4, 0.6, 0.6];
    let settings = Match { n: 4, steps: 600, ..Match::default() };
    let found = outputs(&settings, &target(&inputs, &[0.75, 0.25], "gaussian:sigma=0.07"));
    let near_first = found.iter().filter(|p| p[0] < 0.5).count();
    assert_eq!(near_first, 3, "{found:?}");
}

#[test]
fn the_clamp_holds_and_seeds_repeat() {
    let target = target(&[0.95, 0.05], &[1.0], "energy:a=0.01");
    let settings = Match { n: 2, steps: 50, clamp: Some(1.0), seed: 4, ..Match::default() };
    let found = outputs(&settings, &target);
    assert!(found.iter().flatten().all(|p| (0.375 - 1e-6..=0.625 + 1e-6).contains(p)), "{found:?}");
    assert_eq!(found, outputs(&settings, &target));
    assert_ne!(found, outputs(&Match { seed: 5, clamp: None, steps: 0, ..settings }, &target));
}

/// Class "left" moves the first pixel to ¼, "right" to ¾, latents by 1/16 at most: the class of the best draw decides.
#[test]
fn a_match_takes_the_class_that_fits_or_the_one_that_is_named() {
    let generator = linear(&["left", "right"], vec![0.0625, 0.0, -0.25, 0.25, 0.0, 0.0625, 0.0, 0.0]);
    let target = target(&[0.78, 0.53], &[1.0], "energy:a=0.01");
    let run = |class: Option<usize>| {
        let settings = Match { n: 3, steps: 200, clamp: Some(1.0), class, ..Match::default() };
        settings.run(&generator, &Pixels, &target, &())
    };
    let free = run(None).unwrap();
    assert_eq!(free.classes, [1, 1, 1]);
    assert!(free.after < free.before && free.before < free.random);
    assert_eq!(free.pictures, generator.pictures_of(&free.latents, &free.classes).unwrap());
    let named = run(Some(0)).unwrap();
    assert_eq!(named.classes, [0, 0, 0]);
    // As near as that class comes.
    assert!(named.pictures.data().chunks(2).all(|p| (p[0] - 0.3125).abs() < 0.01), "{:?}", named.pictures);
    assert!(run(Some(2)).unwrap_err().to_string().contains("0 to 1"));
    let points = NetworkGenerator { points: true, ..generator.clone() };
    let fault = Match::default().run(&points, &Pixels, &target, &()).unwrap_err();
    assert!(matches!(fault, kme::Error::Unsupported { .. }), "{fault}");
}

#[test]
fn the_default_bandwidth_mixes_the_inputs() {
    let points = |x: &[f32]| Points::new(x.len() / 2, 2, Data::F32(x.to_vec())).unwrap();
    let inputs = points(&[0.0, 0.0, 3.0, 4.0]);
    // The median distance to this sample is 2.5, less than 5/√2.
    let c = bandwidth(&inputs, &points(&[1.5, 2.0])).unwrap();
    assert!((c - 5.0 / 2f64.sqrt()).abs() < 1e-6, "{c}");
    let c = bandwidth(&points(&[0.0, 0.0]), &points(&[10.0, 0.0])).unwrap();
    assert!((c - 10.0).abs() < 1e-6, "{c}");
    assert!(bandwidth(&points(&[1.0, 1.0]), &points(&[1.0, 1.0])).is_err());
}

#[test]
fn a_target_in_other_features_is_refused() {
    let target = target(&[0.5, 0.5], &[1.0], "linear");
    let map = Models::default().feature_map("fashion-classifier", &Place::cpu()).unwrap();
    let message = Match::default().run(&generator(), &*map, &target, &()).unwrap_err().to_string();
    assert!(message.contains("pixels") && message.contains("fashion-classifier"), "{message}");
}

/// A map whose network wants another size and other channels than the generator makes: what is optimised is what is printed,
/// and both are what the pictures give.
#[test]
fn a_match_goes_through_a_networks_own_resize() {
    let place = Place::cpu();
    let layers = vec![Linear { inputs: 2, outputs: 48, bias: true }.into(), Reshape { to: [3, 4, 4] }.into()];
    let net = Net::new(layers, [2, 1, 1], Init::He, 1, &place).unwrap().map_values(|p| {
        let count = p.shape.iter().product::<usize>();
        let wave = |i: usize| 0.5 + 0.4 * (i as f32 * 0.7).sin();
        place.tensor(
            (0..count).map(|i| if p.name == "0.bias" { wave(i) } else { 0.3 * wave(i) - 0.15 }).collect(),
            [count],
        )
    });
    let generator = NetworkGenerator { net, ..generator() };
    let golden = Golden::all();
    for (name, layer) in [("squeezenet1_1", "fire9"), ("resnet18", "avgpool")] {
        let golden = &golden[name];
        let network = network(name, golden).resized(golden.size).unwrap();
        for protocol in ["pillow-bicubic-crop", "clean-fid", "torch-bilinear"] {
            let map = Extractor::of_network(&network, layer, Positions::Mean).unwrap();
            let map = map.with_resize(protocol.parse().unwrap());
            let liked = generator.pictures(&[1.0, -0.5, 0.6, -0.9]).unwrap();
            let points = map.features((&liked).into()).unwrap();
            let kernel =
                Kernel::try_from(Form::InverseMultiquadric { c: bandwidth(&points, &points).unwrap() }).unwrap();
            let identity = map.identity([3, 4, 4]);
            let target =
                Embedding::combination(kme::Sample { points: points.view(), weights: Some(&[0.5; 2]) }, kernel)
                    .unwrap()
                    .with_features(identity.clone());
            let settings = Match { n: 2, steps: 25, best_of: 4, ..Match::default() };
            let seen = Mutex::new(Vec::new());
            let on = On(|at: Progress| {
                seen.lock().unwrap().extend(at.value);
                false
            });
            let found = settings.run(&generator, &*map, &target, &on).unwrap();
            assert!(found.after < 0.5 * found.before, "{name} {protocol}: {} {}", found.before, found.after);
            let least = seen.lock().unwrap().iter().copied().fold(f64::INFINITY, f64::min);
            assert!((least - found.after).abs() < 1e-3 * found.before, "{name} {protocol}: {least} {}", found.after);
            // As whoever has the pictures.
            let again = map.features((&found.pictures).into()).unwrap();
            let again = Embedding::of(&again, target.kernel().clone()).unwrap().with_features(identity);
            let again = again.mmd2(&target, Precision::F64).unwrap();
            assert!((again - found.after).abs() < 1e-12 * found.before.max(1.0), "{again} {}", found.after);
        }
    }
}

/// Stopped anywhere, a match has what it reached and says so.
#[test]
fn a_match_can_be_stopped() {
    let target = target(&[0.4, 0.4, 0.6, 0.6], &[0.5, 0.5], "energy:a=0.01");
    let settings = Match { n: 5, best_of: 450, steps: 30, ..Match::default() };
    let run =
        |stop: &(dyn Fn(Progress) -> bool + Sync)| settings.run(&generator(), &Pixels, &target, &On(stop)).unwrap();
    let is = |at: Progress, what: &str, done: u64| at.what == what && at.done == done;
    let whole = run(&|_| false);
    assert_eq!((whole.interrupted, whole.steps, whole.pictures.len()), (false, 30, 5));
    let found = run(&|at| is(at, "steps", 7));
    assert_eq!((found.interrupted, found.steps, found.pictures.len()), (true, 7, 5));
    assert!(whole.after <= found.after && found.after <= found.before);
    // At the first look, and in the middle of the third output's draws.
    for (draws, n) in [(200, 1), (2 * 450 + 200, 3), (5 * 450 - 50, 5)] {
        let found = run(&|at| at.what == "draws" && at.done >= draws);
        assert_eq!((found.interrupted, found.steps, found.pictures.len()), (true, 0, n), "{draws}");
        assert_eq!(found.latents.len(), 2 * n);
        assert_eq!(found.after, found.before);
    }
    // In the last look of all there is nothing left to stop.
    assert!(!run(&|at| is(at, "draws", 2250)).interrupted);
    assert!(!run(&|at| is(at, "steps", 30)).interrupted);
}
