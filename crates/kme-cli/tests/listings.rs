//! `kme models`, `kme data`, and the help of every verb.

mod common;

use common::Place;

#[test]
fn networks_are_listed_described_and_checked() {
    let place = Place::new();
    let list = place.kme("models list --json").json();
    let names: Vec<_> = list["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"fashion-classifier"));
    for name in names {
        let info = place.kme(&format!("models info {name} --json")).json();
        let sha256 = info["sha256"].as_str().unwrap();
        assert_eq!(sha256.len(), 64);
        let text = place.kme(&format!("models info {name}")).out;
        for part in [sha256, "role", "input", "output", "layers", "in the program"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(place.kme("models verify").code, Some(0));
    let ran = place.kme("models info nothing");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("fashion-classifier") && ran.err.contains("models/nothing.safetensors"), "{}", ran.err);
}

#[test]
fn another_file_under_a_shipped_name_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path("own")).unwrap();
    std::fs::write(place.path("own/fashion-classifier.safetensors"), "something else").unwrap();
    place.pictures("a", 3, 1);
    for command in ["models verify", "models info fashion-classifier", "eval a a --features fashion-classifier"] {
        let ran = place.kme(&format!("{command} --models-dir own"));
        assert_eq!(ran.code, Some(2), "{command}");
        assert!(ran.err.contains("own/fashion-classifier.safetensors") && ran.err.contains("SHA-256"), "{}", ran.err);
    }
    // The list shows it instead of failing.
    assert!(place.kme("models list --models-dir own").out.contains("SHA-256"));
}

#[test]
fn data_sets_are_listed_and_described() {
    let place = Place::new();
    let list = place.kme("data list").out;
    assert!(["fashion-mnist", "mnist", "cifar10"].iter().all(|name| list.contains(name)), "{list}");
    let info = place.kme("data info cifar10 --data-dir nowhere").out;
    assert!(info.contains("get it") && info.contains("nowhere") && info.contains("found     nothing"), "{info}");
    assert_eq!(place.kme("data info cifar10 --json").json()["name"], "cifar10");
    let ran = place.kme("data info imagenet");
    assert!(ran.code == Some(2) && ran.err.contains("one of fashion-mnist, mnist, cifar10"), "{}", ran.err);
}

#[test]
fn every_verb_has_a_manual_with_examples() {
    let place = Place::new();
    for verb in ["embed", "merge", "eval", "train", "sample", "match", "models", "data"] {
        let ran = place.kme(&format!("{verb} --help"));
        assert_eq!(ran.code, Some(0));
        assert!(ran.out.contains("Examples:") && ran.out.contains(&format!("  kme {verb}")), "{}", ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() <= 110), "{verb}");
    }
    // An option of the verb is not listed among those of its sources.
    let eval = place.kme("eval --help").out;
    assert!(eval.find("--assert <CLAIM>").unwrap() < eval.find("Options of sources:").unwrap());
    assert!(place.kme("--version").out.starts_with("kme "));
}
