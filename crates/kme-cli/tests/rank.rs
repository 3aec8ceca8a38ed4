//! `kme rank` against a naive loop in double precision, its outputs, and planted pictures.

mod common;

use common::Place;
use kme_image::{Decoder, Images};
use serde_json::Value;

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

/// The mean of k between x and the points of a sample, without that at `left_out`.
fn density(k: &dyn Fn(f64) -> f64, x: &[f64], sample: &[Vec<f64>], left_out: Option<usize>) -> f64 {
    let others = sample.iter().enumerate().filter(|(j, _)| Some(*j) != left_out);
    let values: Vec<f64> = others.map(|(_, y)| k(distance(x, y))).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

#[test]
fn values_and_ranks_agree_with_a_naive_loop() {
    let place = Place::new();
    let x = place.normal("x.npy", 40, 3, 0.0, 1);
    let y = place.normal("y.npy", 30, 3, 0.7, 2);
    for (text, k) in [
        ("gaussian:sigma=1.5", Box::new(|r: f64| (-r * r / 4.5).exp()) as Box<dyn Fn(f64) -> f64>),
        ("energy", Box::new(|r: f64| -r)),
    ] {
        for order in ["witness", "density"] {
            let ran = place.kme(&format!("rank x.npy y.npy --kernel {text} --by {order} -o all.json --json"));
            let json: Value = serde_json::from_slice(&std::fs::read(place.path("all.json")).unwrap()).unwrap();
            let mut means = Vec::new();
            for (role, own, other, sign) in [("fakes", &y, &x, 1.0), ("reals", &x, &y, -1.0)] {
                let ranked = json[role].as_array().unwrap();
                assert_eq!(ranked.len(), own.len());
                let mut last = f64::INFINITY;
                let mut sum = 0.0;
                for (rank, entry) in ranked.iter().enumerate() {
                    let i = entry["index"].as_u64().unwrap() as usize;
                    let near = |field: &str, right: f64| {
                        let found = entry[field].as_f64().unwrap();
                        assert!((found - right).abs() < 1e-12, "{text} {role} {i} {field}: {found} is not {right}");
                    };
                    let (a, b) = (density(&k, &own[i], own, Some(i)), density(&k, &own[i], other, None));
                    near("own", a);
                    near("other", b);
                    near("witness", sign * (a - b));
                    assert_eq!(entry["rank"].as_u64(), Some(rank as u64 + 1));
                    let bad = if order == "witness" { a - b } else { -b };
                    assert!(bad <= last + 1e-12, "{text} {role} {rank}");
                    last = bad;
                    sum += sign * (a - b);
                }
                means.push(sum / own.len() as f64);
            }
            // The difference of the means is the unbiased MMD².
            let mmd2 = place.kme(&format!("eval x.npy y.npy --kernel {text} --metrics mmd --json")).value();
            assert!((means[0] - means[1] - mmd2).abs() < 1e-12, "{text}");
            let json = ran.json();
            assert!((json["mean_witness_of_fakes"].as_f64().unwrap() - means[0]).abs() < 1e-12);
            assert_eq!(json["worst_fakes"].as_array().unwrap().len(), 16);
        }
    }
}

/// Pictures of one grey level with some texture.
fn pictures(place: &Place, folder: &str, levels: &[f32]) {
    std::fs::create_dir_all(place.path(folder)).unwrap();
    for (i, level) in levels.iter().enumerate() {
        let pixel = |p: usize| level + 0.05 * ((i * 64 + p) as f32 * 1.7).sin();
        let picture = Images::new(1, 1, 8, 8, (0..64).map(pixel).collect()).unwrap();
        picture.write_png(0, &place.path(&format!("{folder}/{i:02}.png"))).unwrap();
    }
}

#[test]
fn planted_fakes_and_missed_reals_are_found_and_shown() {
    let place = Place::new();
    // The reference has some bright pictures that the candidate lacks; the candidate has black ones.
    pictures(&place, "real", &[[0.5; 30].as_slice(), &[0.9; 5]].concat());
    pictures(&place, "fake", &[[0.5; 30].as_slice(), &[0.1; 6]].concat());
    let ran =
        place.kme("rank real fake --features pixels --top 5 --fakes fakes.png --missed missed.png -o all.csv --json");
    let json = ran.json();
    let names = |field: &str| -> Vec<String> {
        let listed = json[field].as_array().unwrap();
        listed.iter().map(|entry| entry["name"].as_str().unwrap().to_string()).collect()
    };
    let (fakes, missed) = (names("worst_fakes"), names("most_missed_reals"));
    assert!(fakes.iter().all(|name| name.as_str() >= "30.png"), "{fakes:?}");
    assert!(missed.iter().all(|name| name.as_str() >= "30.png"), "{missed:?}");
    for (file, level) in [("fakes.png", 0.1), ("missed.png", 0.9)] {
        let sheet = Decoder::default().read(&place.path(file)).unwrap();
        // Two groups of five pictures of 96 pixels; the first is of the planted level, the second of the common one.
        let [_, _, h, w] = sheet.shape();
        assert!(w >= 5 * 96 && h > 2 * 96, "{file}: {h}x{w}");
        let near = |level: f32| sheet.data().iter().filter(|x| (*x - level).abs() < 0.06).count();
        assert!(near(level) > 4 * 96 * 96 && near(0.5) > 4 * 96 * 96, "{file}: {} {}", near(level), near(0.5));
    }
    let table = std::fs::read_to_string(place.path("all.csv")).unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!((lines.len(), lines[0]), (1 + 36 + 35, "sample,rank,name,index,witness,own,other"));
    assert!(lines[1].starts_with(&format!("fake,1,{},", fakes[0])), "{}", lines[1]);
    assert!(lines[37].starts_with(&format!("real,1,{},", missed[0])), "{}", lines[37]);
    let text = place.kme("rank real fake --features pixels --top 3").out;
    assert!(text.contains("worst fakes") && text.contains(&fakes[0]) && text.contains("kernel gaussian"), "{text}");
}

#[test]
fn a_generator_is_ranked_by_the_features_on_its_card() {
    let place = Place::new();
    place.pictures("real", 20, 1);
    let ran = place.kme("rank real fashion --samples 30 --top 4 --fakes fakes.png --json");
    let json = ran.json();
    assert!(json["features"]["name"].as_str().unwrap().starts_with("fashion-classifier"));
    assert_eq!((json["n"].as_u64(), json["m"].as_u64()), (Some(20), Some(30)));
    assert!(place.path("fakes.png").is_file());
    let again = place.kme("rank real fashion --samples 30 --top 4 --threads 1 --json").json();
    assert_eq!(json["worst_fakes"], again["worst_fakes"]);
}

#[test]
fn names_with_commas_stay_in_their_cell() {
    let place = Place::new();
    pictures(&place, "real", &[0.5; 4]);
    pictures(&place, "fake", &[0.4; 3]);
    std::fs::rename(place.path("fake/00.png"), place.path("fake/a, \"b\".png")).unwrap();
    assert_eq!(place.kme("rank real fake --features pixels -o all.csv").code, Some(0));
    let table = std::fs::read_to_string(place.path("all.csv")).unwrap();
    assert!(table.contains("\"a, \"\"b\"\".png\""), "{table}");
}
