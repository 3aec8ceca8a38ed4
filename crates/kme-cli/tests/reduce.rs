//! `kme reduce` against naive sums in double precision, its outputs, and its contract.

mod common;

use common::Place;
use kme::{Embedding, Points};
use kme_image::{Decoder, Images};
use std::path::Path;

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The biased MMD² of points x with weights v and equally weighted points y.
fn mmd2(k: impl Fn(f64) -> f64, x: &[Vec<f64>], v: &[f64], y: &[Vec<f64>]) -> f64 {
    let w = vec![1.0 / y.len() as f64; y.len()];
    let sum = |x: &[Vec<f64>], v: &[f64], y: &[Vec<f64>], w: &[f64]| -> f64 {
        let of = |(a, v): (&Vec<f64>, &f64)| y.iter().zip(w).map(|(b, w)| v * w * k(distance(a, b))).sum::<f64>();
        x.iter().zip(v).map(of).sum()
    };
    sum(x, v, x, v) - 2.0 * sum(x, v, y, &w) + sum(y, &w, y, &w)
}

fn rows(path: &Path) -> Vec<Vec<f64>> {
    let points = Points::read(path).unwrap();
    let d = points.dim();
    points.into_data().into_f64().chunks(d).map(<[f64]>::to_vec).collect()
}

fn floats(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn gaussian(r: f64) -> f64 {
    (-r * r / 2.0).exp()
}

#[test]
fn every_method_achieves_what_it_says_and_more_than_chance() {
    let place = Place::new();
    let x = place.normal("x.npy", 400, 2, 0.0, 1);
    for flags in [
        "--kernel gaussian:sigma=1",
        "--kernel gaussian:sigma=1 --weights optimal",
        "--kernel gaussian:sigma=1 --exchanges 2",
        "--kernel gaussian:sigma=1 --by thinning",
        "--kernel gaussian:sigma=1 --by thinning --compress none --exchanges 3",
        "--kernel gaussian:sigma=1 --by thinning --compress 1 --weights optimal",
        "--by support",
        "--by support --steps 20",
        "--by support --snap",
    ] {
        let json = place.kme(&format!("reduce x.npy -n 25 {flags} -o few.csv -o few.json --json")).json();
        let few = rows(&place.path("few.csv"));
        let weights = floats(&json["weights"]);
        let value = json["value"].as_f64().unwrap();
        let naive = match flags.contains("support") {
            true => mmd2(|r| -r, &few, &weights, &x),
            false => mmd2(gaussian, &few, &weights, &x),
        };
        assert!((value - naive).abs() < 1e-12, "{flags}: {value} is not {naive}");
        let low = json["random_subsets"]["low"].as_f64().unwrap();
        assert!(value < 0.7 * low, "{flags}: {value} beside {low}");
        assert_eq!(json["random_subsets"]["subsets"], 100);
        assert_eq!((json["n"].as_u64(), json["of"].as_u64()), (Some(25), Some(400)));
        assert!((json["mmd"].as_f64().unwrap().powi(2) - value).abs() < 1e-12);
        match json["indices"].as_array() {
            Some(indices) => {
                let chosen: Vec<_> = indices.iter().map(|i| x[i.as_u64().unwrap() as usize].clone()).collect();
                assert_eq!(chosen, few, "{flags}");
            }
            None => assert!(flags.contains("support") && !flags.contains("snap"), "{flags}"),
        }
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("few.json")).unwrap()).unwrap();
        assert_eq!((&file["value"], &file["weights"]), (&json["value"], &json["weights"]));
    }
}

#[test]
fn an_embedding_comes_back_with_its_weights_and_kernel() {
    let place = Place::new();
    place.normal("x.npy", 200, 3, 0.0, 1);
    assert_eq!(place.kme("embed x.npy -o x.kme --kernel laplacian:scale=2").code, Some(0));
    let json = place.kme("reduce x.kme -n 12 --weights optimal -o few.kme --json").json();
    assert_eq!(json["kernel"], "laplacian:scale=2");
    let few = Embedding::read(place.path("few.kme")).unwrap();
    assert_eq!((few.len(), few.kernel().to_string()), (12, "laplacian:scale=2".into()));
    // The command that compares embeddings finds the same distance.
    let value = place.kme("eval few.kme x.kme --metrics mmd --estimator biased --json").value();
    assert!((value - json["value"].as_f64().unwrap()).abs() < 1e-12);
    // A sample with weights: its heavy side gets its share.
    let x = Points::read(place.path("x.npy")).unwrap();
    let lines: Vec<&str> = (0..200).map(|i| if x.data().get(3 * i) > 0.0 { "9" } else { "1" }).collect();
    std::fs::write(place.path("w.csv"), lines.join("\n")).unwrap();
    assert_eq!(place.kme("embed x.npy -o w.kme --weights w.csv --kernel gaussian:sigma=1").code, Some(0));
    let heavy = lines.iter().filter(|w| **w == "9").count() as f64;
    let share = 9.0 * heavy / (8.0 * heavy + 200.0);
    for by in ["herding", "support"] {
        assert_eq!(place.kme(&format!("reduce w.kme -n 50 --by {by} -o few.npy")).code, Some(0));
        let right = rows(&place.path("few.npy")).iter().filter(|row| row[0] > 0.0).count();
        assert!((right as f64 / 50.0 - share).abs() < 0.05, "{by}: {right} of 50 for {share}");
    }
    let refused = place.kme("reduce w.kme -n 50 --by thinning -o few.npy");
    assert!(refused.code == Some(2) && refused.err.contains("herding and support take weights"), "{}", refused.err);
}

/// Two kinds of pictures, dark and bright, in two folders; the names tell which.
fn dark_and_bright(place: &Place) {
    for (folder, level, count) in [("dark", 0.2, 30), ("bright", 0.8, 10)] {
        std::fs::create_dir_all(place.path(&format!("all/{folder}"))).unwrap();
        for i in 0..count {
            let pixel = |p: usize| level + 0.1 * ((i * 64 + p) as f32 * 1.7).sin();
            let picture = Images::new(1, 1, 8, 8, (0..64).map(pixel).collect()).unwrap();
            picture.write_png(0, &place.path(&format!("all/{folder}/{i:02}.png"))).unwrap();
        }
    }
}

#[test]
fn pictures_are_chosen_by_name_and_shown() {
    let place = Place::new();
    dark_and_bright(&place);
    let ran = place.kme("reduce all -n 4 --features pixels -o few.txt -o sheet.png -o few -o few.npy --json");
    let json = ran.json();
    let names: Vec<String> =
        json["names"].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_string()).collect();
    // A quarter of the pictures is bright.
    assert_eq!(names.iter().filter(|name| name.starts_with("bright/")).count(), 1, "{names:?}");
    assert_eq!(std::fs::read_to_string(place.path("few.txt")).unwrap(), names.join("\n") + "\n");
    // The folder holds the pictures themselves.
    let files = common::names(&place.path("few"));
    assert_eq!(files.len(), 4);
    for (i, (file, name)) in files.iter().zip(&names).enumerate() {
        assert_eq!(*file, format!("{i}-{}.png", name.trim_end_matches(".png").replace('/', "_")));
        let read = |path: String| Decoder::default().read(&place.path(&path)).unwrap();
        assert_eq!(read(format!("few/{file}")), read(format!("all/{name}")));
    }
    let sheet = Decoder::default().read(&place.path("sheet.png")).unwrap();
    assert_eq!(sheet.shape(), [1, 1, 96 + 8, 4 * 96 + 20]);
    // The points are the pixels of the chosen.
    let few = rows(&place.path("few.npy"));
    assert_eq!((few.len(), few[0].len()), (4, 64));
    // Without an output the names are printed.
    let text = place.kme("reduce all -n 4 --features pixels").out;
    assert!(names.iter().all(|name| text.lines().any(|line| line == name)), "{text}");
    assert!(text.contains("4 of 40 points") && text.contains("random subsets, 5 %"), "{text}");
}

#[test]
fn a_generator_is_a_source_like_any_other() {
    let place = Place::new();
    let json = place.kme("reduce fashion -n 3 --samples 40 --seed 7 -o few --json").json();
    assert_eq!(json["indices"].as_array().unwrap().len(), 3);
    assert_eq!(place.kme("sample fashion -n 40 --seed 7 -o all").code, Some(0));
    for (i, index) in json["indices"].as_array().unwrap().iter().enumerate() {
        let index = index.as_u64().unwrap();
        let read = |path: String| Decoder::default().read(&place.path(&path)).unwrap();
        assert_eq!(read(format!("few/{i}-{index}.png")), read(format!("all/{index:02}.png")));
    }
}

#[test]
fn the_choice_does_not_depend_on_the_number_of_threads() {
    let place = Place::new();
    place.normal("x.npy", 900, 5, 0.0, 1);
    for flags in ["--by herding", "--by thinning --weights optimal", "--by thinning --compress 1", "--by support"] {
        let of = |threads: usize| {
            let mut json = place.kme(&format!("reduce x.npy -n 60 {flags} --json --threads {threads}")).json();
            json.as_object_mut().unwrap().remove("seconds");
            json.to_string()
        };
        assert_eq!(of(1), of(3), "{flags}");
    }
}
