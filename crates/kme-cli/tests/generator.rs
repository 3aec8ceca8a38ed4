//! Generators as sources: drawn from the seed, mapped to features, the same in shards and as a whole.

mod common;

use common::Place;
use kme_deep::model::{Generator, Latent, Made, Prior};
use kme_deep::net::layer::Linear;
use kme_deep::net::{self, Init, Net, dcgan_generator};
use std::path::Path;

/// A small generator with random weights.
fn write_generator(path: &Path, seed: u64) {
    write_conditional(path, seed, &[]);
}

/// The same with classes.
fn write_conditional(path: &Path, seed: u64, classes: &[&str]) {
    let place = net::Place::cpu();
    let inputs = 5 + classes.len();
    let net = Net::new(dcgan_generator(16, 1, 2, inputs).unwrap(), [inputs, 1, 1], Init::He, seed, &place).unwrap();
    write(path, net, Latent { dim: 5, prior: Prior::Uniform }, classes, false);
}

/// A generator of points (z₁ + label, z₂) where the label is 10 times the number of the class.
fn write_points(path: &Path, classes: &[&str]) {
    let place = net::Place::cpu();
    let inputs = 2 + classes.len();
    let layers = vec![Linear { inputs, outputs: 2, bias: false }.into()];
    let mut weight = vec![0.0; 2 * inputs];
    (weight[0], weight[inputs + 1]) = (1.0, 1.0);
    (0..classes.len()).for_each(|i| weight[2 + i] = 10.0 * i as f32);
    let net = Net::new(layers, [inputs, 1, 1], Init::He, 0, &place).unwrap();
    let net = net.map_values(|_| place.tensor(weight.clone(), [weight.len()]));
    write(path, net, Latent { dim: 2, prior: Prior::Normal }, classes, true);
}

fn write(path: &Path, net: Net, latent: Latent, classes: &[&str], points: bool) {
    let made = Made {
        version: "0.0.0".into(),
        preset: "test".into(),
        seed: 0,
        steps: 0,
        data: "none".into(),
        data_fingerprint: String::new(),
    };
    let features = if points { "identity" } else { "fashion-classifier" }.into();
    let classes = classes.iter().map(|name| name.to_string()).collect();
    Generator { net, latent, classes, points, features, made, sha256: String::new() }.write(path).unwrap();
}

#[test]
fn a_generator_is_a_source_under_each_of_its_names() {
    let place = Place::new();
    for folder in ["run", "own"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    for file in ["file.safetensors", "run/model.safetensors", "own/mine.safetensors"] {
        write_generator(&place.path(file), 3);
    }
    let embed = |source: &str, rest: &str| {
        let ran = place.kme(&format!("embed {source} -o out.kme --samples 300 --models-dir own {rest}"));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        std::fs::read(place.path("out.kme")).unwrap()
    };
    // The card names the features.
    let file = embed("file.safetensors", "");
    assert!(file == embed("run", "") && file == embed("mine", ""));
    assert!(file != embed("run", "--seed 1"));
    assert!(embed("run", "--features pixels --size 8x8") != embed("run", "--features pixels"));

    let json = place.kme("embed run -o run.kme --samples 130 --features pixels --size 8x8 --channels 3 --json").json();
    assert_eq!((json["n"].as_u64(), json["d"].as_u64()), (Some(130), Some(192)));
    let info = place.kme("models info mine --models-dir own").out;
    assert!(info.contains("generator") && info.contains("5 numbers, uniform"), "{info}");
    assert!(place.kme("models list --models-dir own").out.contains("mine"));
    let ran = place.kme("eval run run --samples 0");
    assert!(ran.code == Some(2) && ran.err.contains("--samples"), "{}", ran.err);
}

#[test]
fn shards_of_a_generator_and_of_pictures_make_the_whole() {
    let place = Place::new();
    write_generator(&place.path("g.safetensors"), 4);
    place.pictures("a", 30, 1);
    let done = |command: String| assert_eq!(place.kme(&command).code, Some(0), "{command}");
    done("embed a g.safetensors -o whole.kme --samples 301 --seed 7".into());
    for i in 1..=5 {
        done(format!("embed a g.safetensors -o part{i}.kme --samples 301 --seed 7 --shard {i}/5"));
    }
    done("merge part5.kme part3.kme part1.kme part4.kme part2.kme -o merged.kme".into());
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("merged.kme") == read("whole.kme"));
}

/// The pictures that are judged are those that `kme sample` draws, up to the rounding of its files to 8 bits.
#[test]
fn what_is_judged_is_what_is_sampled() {
    let place = Place::new();
    write_generator(&place.path("g.safetensors"), 5);
    assert_eq!(place.kme("sample g.safetensors -n 70 -o samples --seed 2").code, Some(0));
    let ran = place.kme(
        "eval g.safetensors samples --features pixels --kernel linear --estimator biased --samples 70 --seed 2 --json",
    );
    assert!(ran.value().abs() < 256.0 * (0.5_f64 / 255.0).powi(2), "{}", ran.value());
    assert!(ran.json()["features"]["protocol"].as_str().unwrap().starts_with("1x16x16"));
}

/// A conditional generator is a source in which all classes are equally likely, drawn as `kme sample` draws them.
#[test]
fn a_conditional_generator_is_judged_and_matched_by_class() {
    let place = Place::new();
    write_conditional(&place.path("g.safetensors"), 5, &["boot", "bag/purse", "7"]);
    place.pictures("liked", 2, 1);
    assert_eq!(place.kme("sample g.safetensors -n 70 -o samples --seed 2").code, Some(0));
    let ran = place.kme(
        "eval g.safetensors samples --features pixels --kernel linear --estimator biased --samples 70 --seed 2 --json",
    );
    assert!(ran.value().abs() < 256.0 * (0.5_f64 / 255.0).powi(2), "{}", ran.value());
    assert!(place.kme("models info g.safetensors").out.contains("boot, bag/purse, 7"));

    let matched =
        place.kme("match g.safetensors liked -n 3 --steps 3 --features pixels --class boot -o m.png --json").json();
    assert_eq!(matched["classes"], serde_json::json!(["boot", "boot", "boot"]));
    let free = place.kme("match g.safetensors liked -n 3 --steps 3 --features pixels -o m.png --json").json();
    assert_eq!(free["classes"].as_array().unwrap().len(), 3);
    let ran = place.kme("match g.safetensors liked --class shoe -o m.png");
    assert!(ran.code == Some(2) && ran.err.contains("0 boot, 1 bag/purse, 2 7"), "{}", ran.err);
}

#[test]
fn a_generator_of_points_is_a_source_of_points() {
    let place = Place::new();
    write_points(&place.path("g.safetensors"), &[]);
    place.normal("a.npy", 500, 2, 0.0, 1);
    place.normal("b.npy", 500, 2, 3.0, 1);
    let kid = |reference: &str| {
        let words = format!("eval {reference} g.safetensors --metrics mmd --kernel energy --samples 500 --json");
        place.kme(&words).value()
    };
    assert!(kid("a.npy").abs() < 0.05 && kid("b.npy") > 1.0);
    assert_eq!(place.kme("embed g.safetensors -o g.kme --samples 40 --seed 3 --json").json()["seed"], 3);
    assert!(place.kme("models info g.safetensors").out.contains("points"));
    place.pictures("liked", 1, 1);
    let ran = place.kme("match g.safetensors liked -o m.png");
    assert!(ran.code == Some(2) && ran.err.contains("generator of pictures"), "{}", ran.err);
}
