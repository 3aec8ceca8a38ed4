//! `kme train`: what it writes beside the model, and settings on the command line.

mod common;

use common::{Place, names};

/// A run of a few steps on few small pictures.
const TINY: &str =
    "--set batch=4 --set data.size=16 --set data.held_out= --set log.every=1 --set log.samples=2 --seed 5";

#[test]
fn a_run_leaves_a_report_and_event_files() {
    let place = Place::new();
    place.pictures("pictures", 8, 1);
    let ran = place.kme(&format!("train fashion-mmd-gan -o run --data pictures --steps 3 --tensorboard {TINY} --json"));
    let json = ran.json();
    assert_eq!((&json["seed"], &json["step"], &json["report"]), (&5.into(), &3.into(), &"run/report.html".into()));
    let page = std::fs::read_to_string(place.path("run/report.html")).unwrap();
    for part in
        ["step 3</figcaption>", "3 of 3", "generator MMD²", "fashion-mmd-gan", "batch = 4", "tensorboard = true"]
    {
        assert!(page.contains(part), "{part}");
    }
    let files = names(&place.path("run/tensorboard"));
    assert!(files.len() == 1 && files[0].starts_with("events.out.tfevents."), "{files:?}");
    let file = std::fs::read(place.path("run/tensorboard").join(&files[0])).unwrap();
    let count = |word: &str| file.windows(word.len()).filter(|window| *window == word.as_bytes()).count();
    // Sheets of steps 0, 2 and 3; numbers of steps 1, 2 and 3.
    assert_eq!((count("samples"), count("step/generator_mmd2")), (3, 3));
    // Continued, everything is there once.
    assert_eq!(place.kme("train -o run --resume").code, Some(0));
    let files = names(&place.path("run/tensorboard"));
    let file = std::fs::read(place.path("run/tensorboard").join(&files[0])).unwrap();
    let count = |word: &str| file.windows(word.len()).filter(|window| *window == word.as_bytes()).count();
    assert_eq!((files.len(), count("samples"), count("step/generator_mmd2")), (1, 3, 3));
    // Without the flag there are none.
    assert_eq!(place.kme(&format!("train fashion-mmd-gan -o plain --data pictures --steps 1 {TINY}")).code, Some(0));
    assert!(!place.path("plain/tensorboard").exists() && place.path("plain/report.html").exists());
}

#[test]
fn presets_are_listed_by_paper_within_100_columns() {
    let place = Place::new();
    let list = place.kme("train --list").out;
    assert!(list.lines().all(|line| line.chars().count() <= 100), "{list}");
    let json = place.kme("train --list --json").json();
    let presets = json["presets"].as_array().unwrap();
    for preset in presets {
        let text = |key: &str| preset[key].as_str().unwrap();
        assert!(list.contains(&format!("\n  {} ", text("name"))), "{list}");
        assert!(list.lines().any(|line| line == text("paper")), "{list}");
        assert!(text("config").contains("[data]") && !text("line").is_empty());
    }
    let papers: Vec<_> = list.lines().filter(|line| !line.starts_with(' ') && !line.is_empty()).collect();
    let unique: std::collections::BTreeSet<_> = papers.iter().collect();
    assert_eq!(papers.len(), unique.len(), "a paper stands twice: {list}");
}

#[test]
fn settings_that_do_not_fit_are_named() {
    let place = Place::new();
    for (words, expected) in [
        ("--set steps", "KEY=VALUE"),
        ("--set stepz=3", "stepz"),
        ("--set steps=many", "steps=many"),
        ("--set data.size=2", "data.size"),
        ("--set data.size.x=2", "'size' is a single value"),
        ("--set optimiser.learning_rate=-1", "learning_rate"),
    ] {
        let ran = place.kme(&format!("train fashion-mmd-gan -o run {words}"));
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{words}: {:?} {}", ran.code, ran.err);
        assert!(!place.path("run").exists());
    }
    let ran = place.kme("train -o run --resume --seed 3");
    assert!(ran.code == Some(2) && ran.err.contains("--seed"), "{}", ran.err);
}
