//! Known networks against PyTorch's outputs, and what must hold of every one: bits, gradients, names, refusals.

use kme::{Error, Result};
use kme_image::{Form, Images, Places, Protocol, Source};
use kme_net::weights::{self, Weights};
use kme_net::{Extractor, FeatureMap, Mode, Models, Network, NetworkCard, Place, Positions, network_card, place};
use kme_testing::apart;
use kme_testing::made_up::{Golden, uniform};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn made_up(golden: &Golden) -> Weights {
    Weights { tensors: golden.weights(), sha256: "0".repeat(64), container: "made up" }
}

/// The network of this name with these weights.
fn network(name: &str, weights: &Weights) -> Result<Network> {
    Network::of_weights(network_card(name).unwrap(), weights, Path::new("made-up.pth"), &Place::cpu())
}

/// The mean of each map.
fn means(activation: burn::tensor::Tensor<4>) -> Vec<f64> {
    let [n, c, h, w] = activation.dims();
    assert_eq!(n, 1);
    let all = place::numbers(activation);
    (0..c).map(|c| all[c * h * w..][..h * w].iter().sum::<f64>() / (h * w) as f64).collect()
}

/// Every architecture with made-up weights against torchvision's and pytorch-fid's definitions in double precision.
#[test]
fn architectures_are_those_of_torchvision_and_pytorch_fid() {
    for (name, golden) in Golden::all() {
        let [h, w] = golden.size;
        let network = network(&name, &made_up(&golden)).unwrap().resized(golden.size).unwrap();
        let pixels = uniform(&format!("{name} picture"), 3 * h * w).map(|u| u as f32).collect();
        let layers: Vec<&str> = golden.layers.keys().map(String::as_str).collect();
        let found = network.activations(Place::cpu().tensor(pixels, [1, 3, h, w]), &layers).unwrap();
        for (layer, activation) in layers.iter().zip(found) {
            let expected = &golden.layers[*layer];
            let error = apart(&means(activation)[..expected.len()], expected);
            println!("{name} {layer}: max relative error {error:.1e}");
            assert!(error <= 1e-4, "{name} {layer}: {error}");
        }
    }
}

fn fixtures() -> PathBuf {
    std::env::var_os("KME_FIXTURES").expect("KME_FIXTURES names the folder").into()
}

fn file_of(name: &str) -> PathBuf {
    let file = match name {
        "inception" => "inception_fid2015_f16.safetensors",
        "vgg19" => "vgg19_imagenet_kmeans8.safetensors",
        "vgg_normalised" => "vgg_normalised_conv3_1.safetensors",
        "mobilenet_v2" => "mobilenet_v2_imagenet.safetensors",
        "squeezenet1_1" => "squeezenet1_1_imagenet.safetensors",
        "lenet5" => "lenet5_mnist.safetensors",
        "face" => "face_recognition_model-weights_manifest.json",
        other => panic!("no file for {other}"),
    };
    fixtures().join("nets").join(file)
}

fn real(name: &str) -> Network {
    let card: &'static NetworkCard = network_card(name).unwrap();
    let path = file_of(name);
    let network = Network::read(card, &path, &Place::cpu()).unwrap();
    card.check_known(&network.sha256, &path).unwrap();
    network
}

/// The tensors of the golden file; pictures are bytes and become pixels in [0, 1].
fn golden_outputs() -> BTreeMap<String, (Vec<usize>, Vec<f64>)> {
    use safetensors::tensor::{Dtype, SafeTensors};
    let bytes = std::fs::read(fixtures().join("golden.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |view: safetensors::tensor::TensorView| -> Vec<f64> {
        match view.dtype() {
            Dtype::F32 => view.data().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b).into()).collect(),
            Dtype::U8 => view.data().iter().map(|&b| f64::from(f32::from(b) / 255.0)).collect(),
            other => panic!("{other:?}"),
        }
    };
    file.tensors().into_iter().map(|(name, view)| (name, (view.shape().to_vec(), numbers(view)))).collect()
}

/// Activations of `layers` for the first picture of `image`.
fn activations(network: &Network, image: &(Vec<usize>, Vec<f64>), layers: &[&str]) -> Vec<burn::tensor::Tensor<4>> {
    let [c, h, w] = *image.0.last_chunk().unwrap();
    let network = network.resized([h, w]).unwrap();
    let pixels = image.1.iter().map(|&x| x as f32).collect::<Vec<_>>();
    let n = pixels.len() / (c * h * w);
    network.activations(Place::cpu().tensor(pixels, [n, c, h, w]), layers).unwrap()
}

fn compare(what: &str, found: &[f64], expected: &[f64]) {
    let error = apart(found, expected);
    println!("{what}: max relative error {error:.1e}");
    assert!(error <= 1e-4, "{what}: {error}");
}

#[test]
#[ignore = "needs KME_FIXTURES"]
fn real_weights_give_the_outputs_of_pytorch() {
    let golden = golden_outputs();
    let check = |name: &str, image: &str, layers: &[(&str, &str)]| {
        let network = real(name);
        let asked: Vec<&str> = layers.iter().map(|(layer, _)| *layer).collect();
        for ((_, key), found) in layers.iter().zip(activations(&network, &golden[image], &asked)) {
            compare(key, &place::numbers(found), &golden[*key].1);
        }
    };
    check("inception", "img299_u8", &[("pool3", "inception.pool3.f16weights")]);
    check("mobilenet_v2", "img224_u8", &[("pool", "mobilenet_v2.pool"), ("logits", "mobilenet_v2.logits")]);
    check("squeezenet1_1", "img227_u8", &[("logits", "squeezenet.logits")]);
    check("vgg_normalised", "img96_u8", &[("relu3_1", "wct.relu3_1")]);
    check("vgg19", "img96_u8", &[("relu4_1", "vgg19.relu4_1")]);
    check("face", "face.in150_u8", &[("descriptor", "face.desc")]);

    let fire9 = activations(&real("squeezenet1_1"), &golden["img227_u8"], &["fire9"]).remove(0);
    compare("squeezenet.fire9.chmean", &means(fire9), &golden["squeezenet.fire9.chmean"].1);

    // The first four test digits of MNIST, enlarged to 32x32 between pixels.
    let digits = fixtures().join("data/mnist/t10k-images-idx3-ubyte.gz");
    let protocol: Protocol = network_card("lenet5").unwrap().resize.parse().unwrap();
    let digits = Source::parse(digits.to_str().unwrap(), &Places::new(None)).unwrap().load(&Form::default()).unwrap();
    let digits = protocol.apply(&digits.images().unwrap().select(&[0, 1, 2, 3]).unwrap(), 32, 32).unwrap();
    let digits = (digits.shape().to_vec(), digits.data().iter().map(|&x| f64::from(x)).collect());
    let found = activations(&real("lenet5"), &digits, &["relu6", "logits"]);
    for (found, key) in found.into_iter().zip(["lenet5.f6", "lenet5.logits"]) {
        compare(key, &place::numbers(found), &golden[key].1);
    }

    // Every layer of VGG19 in one pass.
    let vgg = real("vgg19");
    let of_layer = |key: &String| {
        let (layer, what) = key.strip_prefix("vgg19.")?.split_once('.')?;
        Some((layer.to_string(), what.to_string(), key.clone()))
    };
    let keys: Vec<_> = golden.keys().filter_map(of_layer).collect();
    assert!(keys.len() > 15);
    let layers: Vec<&str> = keys.iter().map(|(layer, ..)| layer.as_str()).collect();
    for ((_, what, key), found) in keys.iter().zip(activations(&vgg, &golden["img96_u8"], &layers)) {
        let [_, _, h, w] = found.dims();
        let found = match what.as_str() {
            "chmean" => means(found),
            "gramdiag_over_hw" => means(found.clone() * found),
            other => panic!("{other} of {h}x{w}"),
        };
        compare(key, &found, &golden[key].1);
    }
}

/// The gradient in the pixels of a sum over several layers, through the normalisation of pixels, pools and branches.
#[test]
fn gradients_reach_the_pixels() {
    let golden = &Golden::all()["squeezenet1_1"];
    let network = network("squeezenet1_1", &made_up(golden)).unwrap().resized([41, 39]).unwrap();
    let pixels: Vec<f32> = uniform("gradient", 3 * 41 * 39).map(|u| u as f32).collect();
    let x = Place::cpu().tensor(pixels, [1, 3, 41, 39]);
    let layers = ["fire2", "pool3", "fire9"];
    let leaf = x.clone().autodiff().require_grad();
    let found = network.activations(leaf.clone(), &layers).unwrap();
    let squares = found.into_iter().map(|f| (f.clone() * f).sum() / 2.0);
    let gradients = squares.reduce(|a, b| a + b).unwrap().backward();
    let expected = place::numbers(leaf.grad(&gradients).unwrap());
    // The gradient of half a square is the activation, pulled back.
    let pulled = layers.map(|layer| {
        let beginning = network.net.truncated(network.depth(layer).unwrap()).unwrap();
        let pass = beginning.pass(x.clone(), Mode::Evaluate, false).unwrap();
        beginning.pullback(&pass, pass.output.clone())
    });
    let found = place::numbers(pulled.into_iter().reduce(|a, b| a + b).unwrap());
    let error = apart(&found, &expected);
    println!("gradient of three layers' squares: {error:.1e}");
    assert!(error < 1e-5, "{error}");
}

/// Features depend on the picture alone: not on its company, the batch, or the number of threads.
fn check_bits(network: &Network, layer: &str, count: usize) {
    let [c, h, w] = network.net.input();
    let pixels: Vec<f32> = uniform("pictures", count * c * h * w).map(|u| u as f32).collect();
    let images = Images::new(count, c, h, w, pixels).unwrap();
    let map = Extractor::of_network(network, layer, Positions::Mean).unwrap();
    let together = map.outputs((&images).into(), true).unwrap();
    let logits = together.logits;
    let dim = together.features.dim();
    let together = match together.features.into_data() {
        kme::Data::F32(rows) => rows,
        kme::Data::F64(_) => unreachable!(),
    };
    let rows = |images: &Images| match map.features(images.into()).unwrap().into_data() {
        kme::Data::F32(rows) => rows,
        kme::Data::F64(_) => unreachable!(),
    };
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for i in [0, count - 1] {
            let alone = pool.install(|| rows(&images.select(&[i]).unwrap()));
            assert_eq!(alone, together[i * dim..][..dim], "picture {i}, {threads} threads");
        }
    }
    assert_eq!(logits.is_some(), network.card.logits.is_some_and(|logits| network.depth(logits).is_ok()));
}

#[test]
fn features_depend_on_the_picture_alone() {
    let golden = &Golden::all()["resnet18"];
    let network = network("resnet18", &made_up(golden)).unwrap().resized([64, 64]).unwrap();
    check_bits(&network, "avgpool", 9);
    check_bits(&network, "layer1", 9);
}

#[test]
#[ignore = "needs KME_FIXTURES"]
fn inception_features_depend_on_the_picture_alone() {
    check_bits(&real("inception"), "pool3", 9);
}

#[test]
fn layers_and_tensors_that_are_missing_are_named() {
    let golden = &Golden::all()["resnet18"];
    let mut weights = made_up(golden);
    let fault = network("resnet18", &weights).unwrap().depth("layer9").unwrap_err();
    let Error::UnknownName { name, known, .. } = &fault else { panic!("{fault}") };
    assert!(name == "layer9" && ["layer4.1", "avgpool"].iter().all(|layer| known.iter().any(|name| name == layer)));
    // Without the dense layer the features are still there.
    weights.tensors.retain(|name, _| !name.starts_with("fc."));
    let cut = network("resnet18", &weights).unwrap();
    cut.depth("avgpool").unwrap();
    let fault = cut.depth("fc").unwrap_err().to_string();
    assert_eq!(fault, "cannot use layer fc of resnet18: the weights in this file go only up to avgpool");

    let faulty = |change: &dyn Fn(&mut Weights)| {
        let mut weights = made_up(golden);
        change(&mut weights);
        network("resnet18", &weights).unwrap_err().to_string()
    };
    let name = "layer2.0.conv1.weight";
    let fault = faulty(&|weights| drop(weights.tensors.remove(name)));
    assert!(fault.contains("made-up.pth") && fault.contains(name) && fault.contains("missing"), "{fault}");
    let fault = faulty(&|weights| drop(weights.tensors.remove("bn1.running_var")));
    assert!(fault.contains("bn1.running_var") && fault.contains("[64]"), "{fault}");
    let fault = faulty(&|weights| {
        weights.tensors.get_mut(name).unwrap().0 = vec![64, 128, 3, 3];
    });
    assert!(fault.contains(name) && fault.contains("[64, 128, 3, 3]") && fault.contains("[128, 64, 3, 3]"), "{fault}");
    // Names that a wrapper put before.
    let mut wrapped = made_up(golden);
    wrapped.tensors = wrapped.tensors.into_iter().map(|(name, tensor)| (format!("module.{name}"), tensor)).collect();
    network("resnet18", &wrapped).unwrap();
}

/// A file under a known network's name must be a known file, unless it is named itself.
#[test]
fn files_that_are_not_known_are_refused_under_a_known_name() {
    let golden = &Golden::all()["resnet18"];
    let folder = tempfile::tempdir().unwrap();
    let models = Models::new(Some(folder.path().into()));
    let features = |name: &str| models.feature_map(name, &Place::cpu()).map(drop);
    let fault = features("resnet18").unwrap_err();
    assert!(matches!(fault, Error::Missing { .. }));
    let fault = fault.to_string();
    assert!(fault.contains("resnet18.safetensors") && fault.contains("f37072fd"), "{fault}");

    let path = folder.path().join("resnet18.safetensors");
    let weights = made_up(golden);
    let data: Vec<(&String, &Vec<usize>, Vec<u8>)> = weights
        .tensors
        .iter()
        .map(|(name, (shape, values))| (name, shape, values.iter().flat_map(|x| x.to_le_bytes()).collect()))
        .collect();
    let views = data.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::tensor::Dtype::F32, shape.to_vec(), bytes);
        (name.as_str(), view.unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    let read = weights::read(&path).unwrap();
    assert_eq!((&read.tensors, read.container), (&weights.tensors, "safetensors"));
    let fault = features("resnet18").unwrap_err().to_string();
    let remedy = format!("resnet18={}", path.display());
    for part in [read.sha256.as_str(), "f37072fd", &remedy] {
        assert!(fault.contains(part), "{part}: {fault}");
    }
    features(&remedy).unwrap();
    features(&format!("{remedy}:layer3:flat")).unwrap();
    assert!(matches!(features(&format!("{remedy}:layer7")), Err(Error::UnknownName { name, .. }) if name == "layer7"));
}
