//! Generators as sources: drawn from the seed, mapped to features, the same in shards and as a whole.

mod common;

use common::{Place, names};
use kme::Points;
use kme_image::{Background, Channels, Crop, Decoder, Images};
use kme_net::layer::Linear;
use kme_net::{self as net, Generator, Init, Latent, Net, NetworkGenerator, Prior, Provenance, dcgan_generator};
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
    let made = Provenance {
        version: "0.0.0".into(),
        preset: "test".into(),
        seed: 0,
        steps: 0,
        data: "none".into(),
        data_fingerprint: String::new(),
    };
    let features = if points { "identity" } else { "fashion-classifier" }.into();
    let classes = classes.iter().map(|name| name.to_string()).collect();
    NetworkGenerator {
        net,
        latent,
        classes,
        points,
        features,
        features_sha256: None,
        crop: Crop::default(),
        background: Background::default(),
        made,
        sha256: String::new(),
    }
    .write(path)
    .unwrap();
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
    assert!(ran.code == Some(2) && ran.err.contains("choose one of boot, bag/purse, 7"), "{}", ran.err);
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

/// The picture at a place of a sheet of 16x16 pictures, which are drawn six times as large with 4 pixels between them.
fn on_sheet(sheet: &Images, row: usize, column: usize) -> Vec<f32> {
    let at = |i: usize, k: usize| 4 + 100 * i + 6 * k + 3;
    (0..256).map(|k| sheet.data()[at(row, k / 16) * sheet.width() + at(column, k % 16)]).collect()
}

fn read(path: &Path) -> Images {
    Decoder::new(Channels::Keep).read(path).unwrap()
}

/// Pictures and what is on the sheet agree up to the rounding to 8 bits.
fn alike(a: &[f32], b: &[f32]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 0.6 / 255.0)
}

fn load(path: &Path) -> NetworkGenerator {
    NetworkGenerator::parse(&std::fs::read(path).unwrap(), path, &net::Place::cpu()).unwrap()
}

#[test]
fn classes_are_sampled_by_name_number_and_all() {
    let place = Place::new();
    write_conditional(&place.path("g.safetensors"), 5, &["boot", "bag/../purse", "7"]);
    let g = load(&place.path("g.safetensors"));
    for (text, class) in [("boot", 0), ("1", 1), ("7", 2)] {
        assert_eq!(place.kme(&format!("sample g.safetensors -n 3 --class {text} --seed 4 -o one.png")).code, Some(0));
        let (sheet, expected) = (read(&place.path("one.png")), g.sample_class(3, class, 4).unwrap());
        assert!((0..3).all(|i| alike(&on_sheet(&sheet, 0, i), expected.picture(i))), "{text}");
    }
    let json = place.kme("sample g.safetensors --class all -n 4 --seed 4 -o all.png --json").json();
    assert_eq!(json["n"], 12);
    assert_eq!(json["classes"].as_array().unwrap()[7], "bag/../purse");
    let sheet = read(&place.path("all.png"));
    assert_eq!((sheet.height(), sheet.width()), (304, 404));
    for class in 0..3 {
        let expected = g.sample_class(4, class, 4).unwrap();
        assert!((0..4).all(|i| alike(&on_sheet(&sheet, class, i), expected.picture(i))), "class {class}");
    }
    // A folder for each class, under names that cannot lead elsewhere.
    assert_eq!(place.kme("sample g.safetensors --class all -n 2 -o folder").code, Some(0));
    assert_eq!(names(&place.path("folder")), ["0-boot", "1-bag____purse", "2-7"]);
    assert_eq!(names(&place.path("folder/1-bag____purse")), ["0.png", "1.png"]);
    // One class at random for each picture.
    let json = place.kme("sample g.safetensors -n 60 -o any.png --json").json();
    let drawn = json["classes"].as_array().unwrap();
    assert!(["boot", "bag/../purse", "7"].iter().all(|name| drawn.iter().any(|drawn| drawn == name)));
}

#[test]
fn ways_between_latents_are_rows() {
    let place = Place::new();
    write_generator(&place.path("g.safetensors"), 6);
    let ran = place.kme("sample g.safetensors --interpolate -n 3 --steps 5 --seed 2 -o ways.png --json");
    assert_eq!(ran.json()["n"], 15);
    let (g, sheet) = (load(&place.path("g.safetensors")), read(&place.path("ways.png")));
    assert_eq!((sheet.height(), sheet.width()), (304, 504));
    let ends = g.latent.draw(6, &mut kme::rng::stream(2, "sample", 0));
    for row in 0..3 {
        let (a, b) = (&ends[10 * row..][..5], &ends[10 * row + 5..][..5]);
        for step in 0..5 {
            // The prior is uniform: a straight line.
            let t = step as f32 / 4.0;
            let z: Vec<f32> = a.iter().zip(b).map(|(a, b)| (1.0 - t) * a + t * b).collect();
            let expected = g.pictures(&z).unwrap();
            assert!(alike(&on_sheet(&sheet, row, step), expected.picture(0)), "row {row}, step {step}");
        }
    }
    // Of a conditional one: every row the same way, with its class.
    write_conditional(&place.path("c.safetensors"), 6, &["a", "b"]);
    assert_eq!(place.kme("sample c.safetensors --interpolate --class all --steps 3 -o c.png").code, Some(0));
    let (c, sheet) = (load(&place.path("c.safetensors")), read(&place.path("c.png")));
    let ends = c.latent.draw(2, &mut kme::rng::stream(0, "sample", 0));
    for class in 0..2 {
        assert!(alike(&on_sheet(&sheet, class, 2), c.pictures_of(&ends[5..], &[class]).unwrap().picture(0)));
    }
}

#[test]
fn the_plane_of_two_latents_is_a_grid_of_quantiles() {
    let place = Place::new();
    write_generator(&place.path("g.safetensors"), 6);
    assert_eq!(place.kme("sample g.safetensors --manifold -n 4 --coordinates 3,1 -o plane.png").code, Some(0));
    let (g, sheet) = (load(&place.path("g.safetensors")), read(&place.path("plane.png")));
    for (row, column) in [(0, 0), (0, 3), (2, 1), (3, 3)] {
        // Quantiles of 1/8, 3/8, 5/8, 7/8 on [-1, 1].
        let at = |i: usize| -0.75 + 0.5 * i as f32;
        let expected = g.pictures(&[0.0, at(row), 0.0, at(column), 0.0]).unwrap();
        assert!(alike(&on_sheet(&sheet, row, column), expected.picture(0)), "{row}, {column}");
    }
}

#[test]
fn generated_points_are_written_and_drawn() {
    let place = Place::new();
    write_points(&place.path("g.safetensors"), &["left", "right"]);
    assert_eq!(place.kme("sample g.safetensors -n 50 --class right --seed 3 -o p.npy").code, Some(0));
    assert_eq!(place.kme("sample g.safetensors -n 50 --class right --seed 3 -o p.csv").code, Some(0));
    let z = load(&place.path("g.safetensors")).latent.draw(50, &mut kme::rng::stream(3, "sample", 0));
    for name in ["p.npy", "p.csv"] {
        let points = Points::read(place.path(name)).unwrap();
        assert_eq!((points.len(), points.dim()), (50, 2));
        for (i, z) in z.chunks(2).enumerate() {
            let found = [points.data().get(2 * i), points.data().get(2 * i + 1)];
            let expected = [f64::from(z[0]) + 10.0, f64::from(z[1])];
            assert!((0..2).all(|j| (found[j] - expected[j]).abs() < 1e-5), "{found:?} {expected:?}");
        }
    }
    assert_eq!(place.kme("sample g.safetensors -n 400 -o p.png").code, Some(0));
    let drawn = read(&place.path("p.png"));
    // Two clouds, left and right, and nothing between them.
    let plane = &drawn.data()[2 * drawn.height() * drawn.width()..];
    let ink = |column: usize| (0..drawn.height()).filter(|y| plane[y * drawn.width() + column] < 0.9).count();
    let (third, width) = (drawn.width() / 3, drawn.width());
    let between = (width / 2 - 20..width / 2 + 20).map(ink).sum::<usize>();
    assert!((0..third).map(ink).sum::<usize>() > 100 && (2 * third..width).map(ink).sum::<usize>() > 100);
    assert_eq!(between, 0);
}

#[test]
fn what_sample_refuses_is_named() {
    let place = Place::new();
    write_generator(&place.path("g.safetensors"), 1);
    write_conditional(&place.path("c.safetensors"), 1, &["a", "b"]);
    write_points(&place.path("p.safetensors"), &[]);
    std::fs::write(place.path("notes"), "words").unwrap();
    for (words, expected) in [
        ("g.safetensors -n 0 -o x.png", "-n is 0"),
        ("g.safetensors -n 2000000 -o x.png", "1 to 1000000"),
        ("g.safetensors --manifold -n 100000 -o x.png", "100000 times 100000"),
        ("g.safetensors --class 1 -o x.png", "trained without classes"),
        ("g.safetensors --class all -o x.png", "trained without classes"),
        ("c.safetensors --class c -o x.png", "choose one of a, b"),
        ("c.safetensors --class 2 -o x.png", "choose one of a, b"),
        ("c.safetensors --manifold -o x.png", "one class for --manifold"),
        ("c.safetensors --manifold --class all -o x.png", "one class for --manifold"),
        ("c.safetensors --interpolate --class all -n 5 -o x.png", "a row for each class"),
        ("g.safetensors --steps 4 -o x.png", "--interpolate"),
        ("g.safetensors --interpolate --manifold -o x.png", "cannot be used with"),
        ("g.safetensors --interpolate --steps 1 -o x.png", "at least 2"),
        ("g.safetensors --manifold --coordinates 0 -o x.png", "such as 0,1"),
        ("g.safetensors --manifold --coordinates 0,5 -o x.png", "0 to 4"),
        ("g.safetensors --manifold --coordinates 2,2 -o x.png", "two different"),
        ("p.safetensors -o folder", "makes points"),
        ("p.safetensors -n 0 -o x.npy", "-n is 0"),
        ("g.safetensors -o x.jpg", "a name that ends in .png, or a folder"),
        ("g.safetensors -o x.JPEG", "a name that ends in .png, or a folder"),
        ("g.safetensors -o x.npy", "a name that ends in .png, or a folder"),
        ("g.safetensors -o g.safetensors", "a name that ends in .png, or a folder"),
        ("g.safetensors -o notes", "is a file"),
        ("g.safetensors -o nowhere/x.png", "create its folder"),
        ("p.safetensors -o nowhere/x.npy", "create its folder"),
    ] {
        let ran = place.kme(&format!("sample {words}"));
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{words}: {:?} {}", ran.code, ran.err);
    }
    for name in ["x.png", "x.jpg", "x.JPEG", "x.npy"] {
        assert!(!place.path(name).exists(), "{name}");
    }
}

#[test]
fn pictures_of_two_runs_are_not_mixed_in_a_folder() {
    let place = Place::new();
    write_generator(&place.path("g.safetensors"), 1);
    std::fs::create_dir(place.path("mix")).unwrap();
    let ran = place.kme("sample g.safetensors -n 12 -o mix");
    assert!(ran.code == Some(0) && ran.out.contains("12 pictures"), "{}", ran.err);
    let ran = place.kme("sample g.safetensors -n 3 -o mix");
    assert!(ran.code == Some(2) && ran.err.contains("exists and is not empty; name a new folder"), "{}", ran.err);
    assert_eq!(names(&place.path("mix")).len(), 12);
    assert!(place.kme("sample g.safetensors -n 1 -o one").out.contains("1 picture ("));
}
