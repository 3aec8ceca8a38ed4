//! Generators as sources: drawn from the seed, mapped to features, the same in shards and as a whole.

mod common;

use common::Place;
use kme_deep::model::{Generator, Latent, Made, Prior};
use kme_deep::net::{self, Init, Net, dcgan_generator};
use std::path::Path;

/// A small generator with random weights.
fn write_generator(path: &Path, seed: u64) {
    let place = net::Place::cpu();
    let net = Net::new(dcgan_generator(16, 1, 2, 5).unwrap(), [5, 1, 1], Init::He, seed, &place).unwrap();
    let made = Made {
        version: "0.0.0".into(),
        preset: "test".into(),
        seed,
        steps: 0,
        data: "none".into(),
        data_fingerprint: String::new(),
    };
    let latent = Latent { dim: 5, prior: Prior::Uniform };
    let generator = Generator { net, latent, features: "fashion-classifier".into(), made, sha256: String::new() };
    generator.write(path).unwrap();
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
