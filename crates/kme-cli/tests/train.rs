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
    place.pictures("a", 4, 1);
    for (words, expected) in [
        ("--set steps", "KEY=VALUE"),
        ("--set stepz=3", "stepz"),
        // Not of the flag --steps, which has not been given.
        (
            "--set steps=many",
            "fashion-mmd-gan with steps=many: steps is \"many\", but must be a whole number from 0 on",
        ),
        ("--steps 0", "kme: --steps is 0, but must be from 1 to 1000000000"),
        ("--set data.size=2", "data.size"),
        ("--set data.size.x=2", "'size' is a single value"),
        ("--set optimiser.learning_rate=-1", "learning_rate"),
        ("--set preset=x", "cannot change preset: "),
        ("--set optimiser.kind=sgd --set optimiser.beta1=0.5", "optimiser: unknown setting 'beta1'"),
        ("--set schedule.kind=decay", "schedule.factor is missing"),
        ("--steps -3", "'-3' for '--steps <N>': a whole number from 1 on"),
        ("--steps 1e3", "'1e3' for '--steps <N>': a whole number from 1 on"),
        ("--seed -1", "'-1' for '--seed <N>': a whole number from 0 on"),
        ("--workers -1", "'-1' for '--workers <N>': a whole number from 1 on"),
        // Networks, before the data, which are not there either.
        ("--data no --set score.features=runs/no", "score.features: runs/no: there is no such run folder"),
        ("--data no --set score.features=inception", "Or set score.features to pixels"),
        ("--data no --set score.features=no", "score.features: unknown feature map 'no'"),
        (
            "--data no --set objective.features=runs/no --set critic= --set regulariser=",
            "objective.features: runs/no: there is no such run folder",
        ),
        (
            "--data no --set generator.decoder=runs/no",
            "generator.decoder: runs/no: there is no such run folder or file; train one with the preset mnist-autoencoder",
        ),
        ("--data no", "data.source: cannot read no: there is no such file or folder"),
        ("--data no", "; name others with --data"),
        ("--data a --set data.held_out=no", "data.held_out: cannot read no: there is no such file or folder"),
        ("--data a --set data.held_out=x.npy", "data.held_out: cannot read x.npy: there is no such file or folder"),
        (
            "--data a --set data.held_out=25-gaussians",
            "data.held_out is 25-gaussians, but must be pictures. For points, leave out data.size",
        ),
    ] {
        let ran = place.kme(&format!("train fashion-mmd-gan -o run {words}"));
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{words}: {:?} {}", ran.code, ran.err);
        assert!(!place.path("run").exists());
    }
    let ran = place.kme("train -o run --resume --seed 3");
    assert!(ran.code == Some(2) && ran.err.contains("--seed"), "{}", ran.err);
}

#[test]
fn a_run_is_resumed_as_what_it_was_begun_as() {
    let place = Place::new();
    place.pictures("a", 8, 1);
    place.pictures("other", 8, 2);
    let tiny = TINY.replace("--set data.held_out= ", "");
    // Other data leave the preset's held-out pictures behind, and say so, unless others are named.
    let ran = place.kme(&format!("train fashion-mmd-gan -o run --data a --steps 1 {tiny}"));
    assert!(ran.code == Some(0) && ran.err.contains("none are held out, so the run has no scores"), "{}", ran.err);
    assert!(ran.out.contains("run: 1 step done"), "{}", ran.out);
    let ran = place.kme(&format!("train fashion-mmd-gan -o with --data a --steps 1 {tiny} --set data.held_out=other"));
    assert!(ran.code == Some(0) && !ran.err.contains("the run has no scores"), "{}", ran.err);
    let config = |run: &str| std::fs::read_to_string(place.path(run).join("config.toml")).unwrap();
    assert!(config("with").contains("held_out = \"other\"") && config("run").contains("held_out = \"auto\""));

    assert_eq!(place.kme("train fashion-mmd-gan -o run --resume").code, Some(0));
    assert_eq!(place.kme("train run/config.toml -o run --resume").code, Some(0));
    assert_eq!(place.kme("train run/config.toml -o again").code, Some(0));
    assert!(config("again").contains("preset = \"fashion-mmd-gan\""));
    let fault = |words: &str, expected: &str| {
        let ran = place.kme(words);
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{words}: {:?} {}", ran.code, ran.err);
    };
    fault("train fashion-wgan -o run --resume", "it was begun from fashion-mmd-gan");
    fault("train fashion-wgan -o nowhere --resume", "is not a run folder");
    fault("train run -o new", "is a run folder: name its config.toml to begin a new run like it, or resume it");
    fault("train a -o new", "is a folder: name a preset");
    std::fs::write(place.path("run/config.toml"), config("run").replace("beta1 = 0.5", "beta1 = 0.25")).unwrap();
    fault(
        "train -o run --resume",
        "config.toml: optimiser.beta1 is 0.25, but must be 0.5, as in the run's last checkpoint",
    );
    assert!(!place.path("new").exists());
}
