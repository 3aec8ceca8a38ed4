//! What is said of the data that a run learns from, and what is refused before it learns the wrong thing.

mod common;

use common::{Place, names};
use kme_image::Images;
use std::collections::BTreeSet;

const SMALL: &str = "--set batch=4 --set data.size=16 --set log.every=1 --set generator.net.width=4 --set critic.net.width=4 \
                     --seed 5 --steps 1";

/// Pictures of one size and grey level each.
fn flat(place: &Place, name: &str, [c, h, w]: [usize; 3], level: f32) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    Images::new(1, c, h, w, vec![level; c * h * w]).unwrap().write_png(0, &path).unwrap();
}

#[test]
fn a_folder_one_level_too_high_is_refused_where_labels_are_learned() {
    let place = Place::new();
    for part in ["deep/train", "deep/test", "single/train", "good"] {
        for class in ["circle", "square"] {
            place.pictures(&format!("{part}/{class}"), 4, 1);
        }
    }
    place.pictures("one/things", 4, 1);
    let conditional = format!("train mnist-conditional -o run {SMALL} --set data.held_out=none");
    let classifier =
        "train fashion-classifier -o run --set batch=4 --set data.size=16 --set data.held_out=none --steps 1";
    for words in [&conditional[..], classifier] {
        for (data, parts) in [
            ("deep", ["deep with the classes test, train", "deep/train has circle, square"]),
            ("single", ["single with one class train", "single/train has circle, square"]),
            ("one", ["one with one class things", "two classes or more"]),
        ] {
            let ran = place.kme(&format!("{words} --data {data}"));
            assert_eq!(ran.code, Some(2), "{words} {data}: {}", ran.err);
            for part in parts {
                assert!(ran.err.contains(part), "{words} {data}: no {part:?} in {}", ran.err);
            }
            assert!(!place.path("run").exists());
        }
    }
    // And said where data are looked at, with the same words.
    for (data, found, remedy) in [
        ("deep", "the classes test, train", "deep/train has circle, square"),
        ("single", "one class train", "single/train has circle, square"),
        ("one", "one class things", "two classes or more"),
    ] {
        let ran = place.kme(&format!("data info {data}"));
        assert!(ran.out.contains(&format!("{found}: to train with classes, name ")), "{}", ran.out);
        assert!(ran.out.contains(remedy), "{}", ran.out);
        let json = place.kme(&format!("data info {data} --json")).json();
        assert_eq!(json["no_classes"]["found"], found);
    }
    assert!(place.kme("data info good --json").json()["no_classes"].is_null());
    let ran = place.kme(&format!("{conditional} --data good"));
    assert!(ran.code == Some(0) && ran.err.contains("2 classes: circle 4, square 4"), "{}", ran.err);
    // Where labels are not learned it is said.
    let ran = place.kme(&format!("train fashion-mmd-gan -o plain {SMALL} --data deep"));
    assert!(
        ran.code == Some(0) && ran.err.contains("training uses the pictures of test, train together"),
        "{}",
        ran.err
    );
}

#[test]
fn what_is_learned_from_is_told_and_shown() {
    let place = Place::new();
    for i in 0..3 {
        flat(&place, &format!("data/a/{i}.png"), [1, 16, 16], 0.5);
    }
    flat(&place, "data/b/wide.png", [3, 20, 40], 0.25);
    let ran = place.kme(&format!("train fashion-mmd-gan -o run {SMALL} --set batch=8 --data data"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in [
        "learning from data: 4 pictures, 16x16 to 20x40 (height x width); 2 classes: a 3, b 1",
        "1 of 4 pictures are not square",
        "4 pictures are fewer than a batch of 8, so every batch repeats some",
        "fewer than 500 pictures: none are held out",
    ] {
        assert!(ran.err.contains(part), "{part}: {}", ran.err);
    }
    assert!(names(&place.path("run/samples")).contains(&"real.png".to_string()));
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    assert!(page.contains("4 pictures, 16x16 to 20x40") && page.contains("as the networks see them"));
    // Quietly, only errors are said.
    let ran = place.kme(&format!("train fashion-mmd-gan -o quiet {SMALL} --data data --quiet"));
    assert!(ran.code == Some(0) && ran.err.is_empty(), "{}", ran.err);
}

#[test]
fn a_tenth_is_held_out_by_content_where_nothing_is_named() {
    let place = Place::new();
    place.pictures("data", 600, 3);
    // A copy of each of some: copies are on one side.
    for i in 0..100 {
        std::fs::copy(place.path(&format!("data/{i:03}.png")), place.path(&format!("data/copy-{i:03}.png"))).unwrap();
    }
    let train = |run: &str, words: &str| {
        let ran =
            place.kme(&format!("train fashion-mmd-gan -o {run} {SMALL} --set score.count=50 --data data {words}"));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        ran.err
    };
    let told = train("run", "");
    let held: usize = told
        .lines()
        .find_map(|line| line.strip_suffix("trains on all")?.split_once(" of them are held out")?.0.parse().ok())
        .unwrap_or_else(|| panic!("{told}"));
    // By the definition: the first 64 bits of SHA-256 of the content, below a tenth.
    let mut expected = BTreeSet::new();
    for name in names(&place.path("data")) {
        let sha256 = sha2_of(&std::fs::read(place.path("data").join(&name)).unwrap());
        let first = u64::from_be_bytes(sha256[..8].try_into().unwrap());
        if (first as f64) / 2_f64.powi(64) < 0.1 {
            expected.insert(name);
        }
    }
    assert_eq!(held, expected.len());
    assert!((40..110).contains(&held), "{held} of 700");
    for i in 0..100 {
        let [one, other] = [format!("{i:03}.png"), format!("copy-{i:03}.png")];
        assert_eq!(expected.contains(&one), expected.contains(&other));
    }
    assert!(place.path("run/best.safetensors").exists());
    assert!(std::fs::read_to_string(place.path("run/config.toml")).unwrap().contains("held_out = \"auto\""));
    let events = |run: &str| std::fs::read_to_string(place.path(run).join("events.jsonl")).unwrap();
    assert!(events("run").contains("\"kid\""));
    // Streamed, and cut at random: the same pictures.
    let streamed = train("streamed", "--set data.stream=true");
    assert!(streamed.contains(&format!("{held} of them are held out")), "{streamed}");
    let scores = |run: &str| -> Vec<f64> {
        let lines = events(run);
        let all = lines.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        all.filter_map(|event| event["kid"].as_f64()).collect()
    };
    assert_eq!(scores("run"), scores("streamed"));
    let cut = train("cut", "--set data.crop=random:16");
    assert!(cut.contains(&format!("{held} of them are held out")), "{cut}");
    // Switched off.
    let told = train("none", "--set data.held_out=none");
    assert!(!told.contains("held out") && !place.path("none/best.safetensors").exists(), "{told}");
}

/// How many of the pictures a run says to hold out, and its scores.
fn held_out(place: &Place, words: &str, run: &str) -> (Option<usize>, Vec<f64>, String) {
    let ran = place.kme(words);
    assert_eq!(ran.code, Some(0), "{words}: {}", ran.err);
    let said = |line: &str| line.strip_suffix("trains on all")?.split_once(" of them are held out")?.0.parse().ok();
    let held = ran.err.lines().find_map(said);
    let events = std::fs::read_to_string(place.path(run).join("events.jsonl")).unwrap();
    let all = events.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    (held, all.filter_map(|event| event["kid"].as_f64()).collect(), ran.err)
}

/// How many pictures of a folder have contents whose hashes, over 2⁶⁴, are below a bound.
fn below(place: &Place, folder: &str, bound: f64) -> usize {
    let first = |name: &String| {
        let sha256 = sha2_of(&std::fs::read(place.path(folder).join(name)).unwrap());
        u64::from_be_bytes(sha256[..8].try_into().unwrap()) as f64 / 2_f64.powi(64)
    };
    names(&place.path(folder)).iter().filter(|name| first(name) < bound).count()
}

#[test]
fn what_was_learned_from_is_never_held_out() {
    let place = Place::new();
    place.pictures("data", 450, 3);
    place.pictures("more", 70, 4);
    let small = format!("{SMALL} --set score.count=20 --set log.samples=1");
    let (held, scores, _) = held_out(&place, &format!("train fashion-mmd-gan -o run {small} --data data"), "run");
    assert_eq!((held, scores.len()), (None, 0));
    for name in names(&place.path("more")) {
        std::fs::rename(place.path(&format!("more/{name}")), place.path(&format!("data/more-{name}"))).unwrap();
    }
    // Beyond 500 now; all of the 450 were learned from.
    let (held, scores, told) = held_out(&place, "train -o run --resume --accept-data --steps 2", "run");
    assert_eq!((held, scores.len()), (None, 0), "{told}");
    assert!(told.contains("none are held out, as when the run began") && told.contains("70 added"), "{told}");
    let (held, ..) = held_out(&place, "train -o run --resume --steps 3", "run");
    assert_eq!(held, None);
    // A run that begins with them holds a tenth out, and goes on to when there are fewer.
    let tenth = below(&place, "data", 0.1);
    let (held, scores, _) = held_out(&place, &format!("train fashion-mmd-gan -o new {small} --data data"), "new");
    assert_eq!((held, scores.len()), (Some(tenth), 2));
    for name in names(&place.path("data")).into_iter().filter(|name| name.starts_with("more-")) {
        std::fs::remove_file(place.path(&format!("data/{name}"))).unwrap();
    }
    let tenth = below(&place, "data", 0.1);
    let (held, scores, told) = held_out(&place, "train -o new --resume --accept-data --steps 2", "new");
    assert_eq!((held, scores.len()), (Some(tenth), 3), "{told}");
}

#[test]
fn with_many_pictures_the_bound_of_the_run_stays() {
    let place = Place::new();
    // Each another, by the bits of its number.
    let picture = |i: usize| -> Vec<u8> { (0..16).map(|bit| 255 * ((i >> bit) & 1) as u8).collect() };
    let write = |n: usize| {
        let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({n}, 4, 4), }}");
        let mut file = [b"\x93NUMPY\x01\0v\0", format!("{header:<117}\n").as_bytes()].concat();
        (0..n).for_each(|i| file.extend(picture(i)));
        std::fs::write(place.path("data.npy"), file).unwrap();
    };
    let below = |n: usize, bound: f64| {
        let first = |i: usize| u64::from_be_bytes(sha2_of(&picture(i))[..8].try_into().unwrap());
        (0..n).filter(|&i| (first(i) as f64 / 2_f64.powi(64)) < bound).count()
    };
    write(11_000);
    let words = "--set score.count=20 --set score.features=pixels --data data.npy:nhwc";
    let (held, ..) = held_out(&place, &format!("train fashion-mmd-gan -o run {SMALL} {words}"), "run");
    assert_eq!(held, Some(below(11_000, 1000.0 / 11_000.0)));
    write(8_000);
    let (held, ..) = held_out(&place, "train -o run --resume --accept-data --steps 2", "run");
    assert_eq!(held, Some(below(8_000, 1000.0 / 11_000.0)));
    assert!(held < Some(below(8_000, 0.1)));
}

#[test]
fn copies_of_few_pictures_hold_nothing_out() {
    let place = Place::new();
    // One picture whose hash is below a tenth, and one above.
    let mut found: [Option<Vec<u8>>; 2] = [None, None];
    for i in 0..200 {
        let png = Images::new(1, 1, 16, 16, vec![i as f32 / 255.0; 256]).unwrap().to_png(0).unwrap();
        let first = u64::from_be_bytes(sha2_of(&png)[..8].try_into().unwrap());
        found[usize::from(first as f64 / 2_f64.powi(64) >= 0.1)].get_or_insert(png);
    }
    let [low, high] = found.map(Option::unwrap);
    for (name, [lows, highs]) in [("low", [520, 0]), ("high", [0, 520]), ("one", [1, 519])] {
        std::fs::create_dir_all(place.path(name)).unwrap();
        for i in 0..lows + highs {
            let png = if i < lows { &low } else { &high };
            std::fs::write(place.path(&format!("{name}/{i:03}.png")), png).unwrap();
        }
        let run = format!("run-{name}");
        let (held, scores, told) =
            held_out(&place, &format!("train fashion-mmd-gan -o {run} {SMALL} --data {name}"), &run);
        assert_eq!((held, scores.len()), (None, 0));
        assert!(told.contains("too many of the 520 pictures are copies") && !told.contains("fewer than 500"), "{told}");
    }
}

#[test]
fn names_of_classes_may_hold_anything() {
    let place = Place::new();
    for class in ["a\nsteps = 3", "b\r\u{7f}#"] {
        place.pictures(&format!("data/{class}"), 4, 1);
    }
    let ran = place.kme(&format!("train fashion-mmd-gan -o run {SMALL} --data data"));
    assert!(ran.code == Some(0) && ran.err.contains("2 classes: a\\nsteps = 3 4, b\\r\\u{7f}# 4"), "{}", ran.err);
    let ran = place.kme("train -o run --resume --steps 2");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(config.contains("# pictures: 8 pictures, 28x28; 2 classes: a\\nsteps = 3 4"), "{config}");
}

fn sha2_of(bytes: &[u8]) -> Vec<u8> {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).to_vec()
}

#[test]
fn pictures_are_described() {
    let place = Place::new();
    for i in 0..5 {
        flat(&place, &format!("data/a/{i}.png"), [1, 16, 16], 0.5);
    }
    flat(&place, "data/b/wide.png", [3, 20, 40], 0.25);
    std::fs::write(place.path("data/b/bad.png"), "no picture").unwrap();
    let json = place.kme("data info data --json -o sheet.png").json();
    assert_eq!(json["pictures"], 6);
    assert_eq!(
        (&json["sizes"]["16x16"], &json["sizes"]["20x40"], &json["rectangles"]),
        (&5.into(), &1.into(), &1.into())
    );
    assert_eq!((&json["modes"]["grey"], &json["modes"]["colour"]), (&5.into(), &1.into()));
    assert_eq!(json["classes"], serde_json::json!([["a", 5], ["b", 1]]));
    assert_eq!(json["left_out"][0]["name"], "b/bad.png");
    assert!(place.path("sheet.png").exists());
    let text = place.kme("data info data").out;
    assert_eq!(place.kme("data info data --skip-bad").out, text);
    for part in [
        "pictures",
        "6",
        "16x16 (5), 20x40 (1)",
        "grey (5), colour (1)",
        "a (5), b (1)",
        "b/bad.png",
        "1 is not square",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What training says, and the fingerprint that it has.
    let ran = place.kme(&format!("train fashion-mmd-gan -o run {SMALL} --data data --skip-bad"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(config.contains(json["fingerprint"].as_str().unwrap()));
    let ran = place.kme("data info nothing");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(place.kme("data info fashion-mnist").out.contains("ashion"));
}

#[test]
fn every_size_is_counted() {
    let place = Place::new();
    for i in 0..1300 {
        flat(&place, &format!("data/{i:04}.png"), [1, 1 + i % 36, 1 + i / 36], 0.5);
    }
    let json = place.kme("data info data --json").json();
    let sizes = json["sizes"].as_object().unwrap();
    assert_eq!((sizes.len(), sizes.values().map(|n| n.as_u64().unwrap()).sum::<u64>()), (1300, 1300));
    let text = place.kme("data info data").out;
    assert!(text.contains("and 1292 more"), "{text}");
}

#[test]
fn presets_are_printed_to_be_changed() {
    let place = Place::new();
    let ran = place.kme("train --print fashion-mmd-gan");
    assert_eq!(ran.code, Some(0));
    std::fs::write(place.path("mine.toml"), &ran.out).unwrap();
    place.pictures("data", 8, 1);
    let ran = place.kme(&format!("train mine.toml -o run {SMALL} --data data"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let ran = place.kme("train --print fashion-mmd-gn");
    assert!(ran.code == Some(2) && ran.err.contains("fashion-mmd-gan"), "{}", ran.err);
}

#[test]
fn earlier_models_are_kept_evenly_from_the_run() {
    let place = Place::new();
    place.pictures("data", 8, 1);
    let small = SMALL.replace("--steps 1", "--steps 11");
    let ran =
        place.kme(&format!("train fashion-mmd-gan -o run {small} --data data --set log.checkpoint=1 --set log.keep=3"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let kept = ["step-000004.safetensors", "step-000008.safetensors"];
    assert_eq!(names(&place.path("run/models")), kept);
    let ran = place.kme("sample run/models/step-000004.safetensors -n 4 -o sheet.png");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    // Minutes show and save too.
    let ran = place
        .kme(&format!("train fashion-mmd-gan -o soon {small} --data data --set log.minutes=0.00001 --set log.keep=0"));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(names(&place.path("soon/samples")).len() > 6 && !place.path("soon/models").exists());
}
