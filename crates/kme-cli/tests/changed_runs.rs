//! Runs that go on otherwise than they began: with data that moved or were damaged, more steps, other rates, and new ones
//! that begin with trained networks.

mod common;

use common::Place;
use safetensors::SafeTensors;
use std::collections::BTreeMap;
use std::path::Path;

const TINY: &str = "train fashion-mmd-gan --set batch=4 --set data.size=16 --set data.held_out=none --set log.every=1 \
                    --set log.samples=100 --set log.checkpoint=2 --set generator.net.width=4 --set critic.net.width=4 --set schedule.kind=constant --seed 5";

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// The numbers of a file by their names.
fn tensors(path: &Path) -> BTreeMap<String, Vec<f32>> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let numbers = |data: &[u8]| data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| (name.to_string(), numbers(view.data())))
        .collect()
}

fn events(place: &Place, run: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(place.path(run).join("events.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Half of a picture.
fn damage(path: &Path) -> Vec<u8> {
    let whole = std::fs::read(path).unwrap();
    std::fs::write(path, &whole[..whole.len() / 2]).unwrap();
    whole
}

/// Whether two runs ended with the same model, to the bit, which is not that of the beginning.
fn ends_alike(place: &Place, one: &str, other: &str) {
    let model = |run: &str| tensors(&place.path(run).join("model.safetensors"));
    assert!(model(one) == model(other), "{one} and {other} differ");
}

fn succeeds(place: &Place, words: &str) -> String {
    let ran = place.kme(words);
    assert_eq!(ran.code, Some(0), "{words}: {}", ran.err);
    ran.err + &ran.out
}

fn refused(place: &Place, words: &str, parts: &[&str]) {
    let ran = place.kme(words);
    assert_eq!(ran.code, Some(2), "{words}: {}", ran.err);
    for part in parts {
        assert!(ran.err.contains(part), "{words}: no {part:?} in {}", ran.err);
    }
}

#[test]
fn a_bad_picture_is_found_before_the_first_step_or_left_out() {
    let place = Place::new();
    for stream in ["false", "true"] {
        let data = format!("data-{stream}");
        place.pictures(&data, 12, 1);
        place.pictures(&format!("good-{stream}"), 12, 1);
        damage(&place.path(&format!("{data}/007.png")));
        std::fs::write(place.path(&format!("{data}/003.png")), "no picture").unwrap();
        for name in ["007.png", "003.png"] {
            std::fs::remove_file(place.path(&format!("good-{stream}/{name}"))).unwrap();
        }
        let tiny = format!("{TINY} --set data.stream={stream} --steps 6");
        refused(
            &place,
            &format!("{tiny} --data {data} -o no-{stream}"),
            &["003.png", "--skip-bad leaves such pictures out"],
        );
        assert!(!place.path(&format!("no-{stream}")).exists());
        let told = succeeds(&place, &format!("{tiny} --data {data} -o run-{stream} --skip-bad"));
        for part in ["10 pictures", "2 left out", "left out 007.png", "left out 003.png"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        let listed = String::from_utf8(bytes(&place, &format!("run-{stream}/data.jsonl"))).unwrap();
        assert!(listed.lines().count() == 12 && listed.matches("left_out").count() == 2, "{listed}");
        let config = String::from_utf8(bytes(&place, &format!("run-{stream}/config.toml"))).unwrap();
        assert!(config.contains("skip_bad = true") && config.contains("# pictures: 10 pictures, 28x28; 2 left out"));
        // The bits of a run on the good ones alone, and of one that was cut off.
        succeeds(&place, &format!("{tiny} --data good-{stream} -o good-run-{stream}"));
        ends_alike(&place, &format!("run-{stream}"), &format!("good-run-{stream}"));
        succeeds(
            &place,
            &format!("{tiny} --data {data} -o cut-{stream} --skip-bad --steps 4").replace("--steps 6", ""),
        );
        succeeds(&place, &format!("train -o cut-{stream} --resume --steps 6"));
        ends_alike(&place, &format!("run-{stream}"), &format!("cut-{stream}"));
        // The same numbers whether pictures are streamed or held.
        if stream == "true" {
            ends_alike(&place, "run-true", "run-false");
        }
    }
}

#[test]
fn changed_data_are_named_and_can_be_accepted() {
    let place = Place::new();
    for stream in ["false", "true"] {
        let (data, run) = (format!("data-{stream}"), format!("run-{stream}"));
        place.pictures(&data, 12, 1);
        succeeds(&place, &format!("{TINY} --set data.stream={stream} --data {data} -o {run} --steps 4"));
        let at = |name: &str| place.path(&format!("{data}/{name}"));
        let whole = damage(&at("005.png"));
        refused(&place, &format!("train -o {run} --resume --steps 8"), &["005.png: a PNG file: cut off"]);
        // Removed, as one who reads that would do.
        std::fs::remove_file(at("005.png")).unwrap();
        refused(
            &place,
            &format!("train -o {run} --resume --steps 8"),
            &["1 removed: 005.png: data fingerprint differs: ", "--accept-data"],
        );
        // Put back, everything is as before.
        std::fs::write(at("005.png"), &whole).unwrap();
        succeeds(&place, &format!("train -o {run} --resume"));
        std::fs::remove_file(at("005.png")).unwrap();
        std::fs::copy(at("001.png"), at("new.png")).unwrap();
        std::fs::copy(at("001.png"), at("002.png")).unwrap();
        let told = succeeds(&place, &format!("train -o {run} --resume --steps 8 --accept-data"));
        assert!(told.contains("1 removed: 005.png; 1 changed: 002.png; 1 added: new.png"), "{told}");
        let noted = events(&place, &run).into_iter().find(|event| event["event"] == "changed").unwrap();
        assert_eq!((&noted["step"], noted["data"].as_str().unwrap().len() > 10), (&4.into(), true));
        // Accepted once, it is the data of the run.
        succeeds(&place, &format!("train -o {run} --resume --steps 10"));
    }
}

#[test]
fn data_may_move_and_a_run_may_go_on_from_anywhere() {
    let place = Place::new();
    place.pictures("pics", 12, 1);
    place.pictures("others", 12, 2);
    succeeds(&place, &format!("{TINY} --data pics -o whole --steps 7"));
    succeeds(&place, &format!("{TINY} --data pics -o cut --steps 4"));
    // From another folder.
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let ran = place.run_in("elsewhere", &["train", "-o", "../cut", "--resume", "--steps", "5"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    std::fs::rename(place.path("pics"), place.path("moved")).unwrap();
    refused(
        &place,
        "train -o cut --resume --steps 6",
        &["data.source: cannot read pics: ", "; say where they are now with --data"],
    );
    refused(&place, "train -o cut --resume --steps 6 --data others", &["12 changed: 000.png"]);
    // A name whose accents stand apart, as some systems write them, and quotes.
    let odd = "e\u{301} \"m\"";
    std::fs::rename(place.path("moved"), place.path(odd)).unwrap();
    let ran = place.run(&["train", "-o", "cut", "--resume", "--steps", "6", "--data", odd]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    std::fs::rename(place.path(odd), place.path("moved")).unwrap();
    succeeds(&place, "train -o cut --resume --steps 7 --data moved");
    // From then on it is known there.
    succeeds(&place, "train -o cut --resume");
    ends_alike(&place, "cut", "whole");
}

#[test]
fn a_run_goes_on_with_more_steps_and_other_rates() {
    let place = Place::new();
    place.pictures("pics", 12, 1);
    succeeds(&place, &format!("{TINY} --data pics -o whole --steps 8"));
    succeeds(&place, &format!("{TINY} --data pics -o cut --steps 4"));
    let told = succeeds(&place, "train -o cut --resume --steps 8");
    assert!(told.contains("from step 4 on: steps is 8 instead of 4"), "{told}");
    ends_alike(&place, "cut", "whole");
    let (begun, done) =
        (tensors(&place.path("whole/models/step-000002.safetensors")), tensors(&place.path("whole/model.safetensors")));
    assert!(begun != done);
    // Fewer than are done, or what must stay as it is.
    refused(&place, "train -o cut --resume --steps 6", &["steps is 6, but must be at least 8"]);
    refused(
        &place,
        "train -o cut --resume --set optimiser.beta1=0.9",
        &["optimiser.beta1 is 0.9", "0.5, as when the run began", "these may change: steps, optimiser.learning_rate"],
    );
    // What was asked for does not stand in the file, which has nothing to be undone.
    refused(
        &place,
        "train -o cut --resume --set batch=8",
        &["batch is 8, but must be 4, as when the run began: leave it so, or start a new run"],
    );
    refused(&place, "train -o cut --resume --set generator.net.width=8", &["generator.net.width is 8", "leave it so"]);
    let config = std::fs::read_to_string(place.path("cut/config.toml")).unwrap();
    std::fs::write(place.path("cut/config.toml"), config.replace("batch = 4", "batch = 8")).unwrap();
    refused(&place, "train -o cut --resume", &["cut/config.toml", "batch is 8, but must be 4", "undo the change"]);
    std::fs::write(place.path("cut/config.toml"), config).unwrap();
    let told =
        succeeds(&place, "train -o cut --resume --steps 10 --set optimiser.learning_rate=1e-6 --set log.every=2");
    assert!(told.contains("the learning rate is 1.000e-6 from step 8 on"), "{told}");
    let all = events(&place, "cut");
    let changed: Vec<_> = all.iter().filter(|event| event["event"] == "changed").collect();
    assert_eq!(changed.len(), 2, "{changed:?}");
    assert_eq!(changed[1]["optimiser.learning_rate"][1], "0.000001");
    assert_eq!(all.last().unwrap()["learning_rate"].as_f64(), Some(1e-6));
    // A cosine falls anew, and that is said.
    succeeds(
        &place,
        &format!("{TINY} --data pics -o cosine --steps 4 --set schedule.kind=cosine --set schedule.final_fraction=0"),
    );
    let told = succeeds(&place, "train -o cosine --resume --steps 8");
    assert!(told.contains("the learning rate is") && told.contains("(it was 0.000e0)"), "{told}");
}

#[test]
fn a_run_begins_with_trained_networks() {
    let place = Place::new();
    place.pictures("pics", 12, 1);
    place.pictures("others", 12, 2);
    succeeds(&place, &format!("{TINY} --data pics -o first --steps 6"));
    // Neither preset nor data: those of the run. With a rate of almost nothing its networks stay what they were.
    let still = "--set optimiser.learning_rate=1e-9 --set generator.ema_decay=0";
    succeeds(&place, &format!("train --from first -o second --data others --steps 1 {still}"));
    let state = |run: &str| tensors(&place.path(run).join("checkpoints/last.safetensors"));
    let (before, after) = (state("first"), state("second"));
    let mut compared = 0;
    for (name, values) in
        before.iter().filter(|(name, _)| name.starts_with("critic.") || name.starts_with("generator."))
    {
        let apart = values.iter().zip(&after[name]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        // Running statistics move whatever the rate.
        if !name.contains("running") {
            assert!(apart < 1e-6, "{name}: {apart}");
            compared += 1;
        }
    }
    assert!(compared > 6);
    assert!(String::from_utf8(bytes(&place, "second/config.toml")).unwrap().contains("# SHA-256 of from: "));
    // A model has no critic; resumed, nothing of it is needed any more.
    let told = succeeds(&place, &format!("{TINY} --from first/model.safetensors --data others -o third --steps 2"));
    assert!(told.contains("the critic starts from scratch"), "{told}");
    std::fs::remove_dir_all(place.path("first")).unwrap();
    succeeds(&place, "train -o third --resume --steps 3");
    refused(
        &place,
        &format!("{TINY} --from second --data others -o fourth --set generator.net.width=8"),
        &["from = second: ", "must have the same form"],
    );
    refused(&place, &format!("{TINY} --from nothing --data others -o fourth"), &["from: ", "nothing"]);
    refused(&place, "train --from second/model.safetensors -o fourth", &["beside a preset or a configuration"]);
    assert!(!place.path("fourth").exists());
}

#[test]
fn comments_in_a_configuration_stay() {
    let place = Place::new();
    place.pictures("pics", 12, 1);
    succeeds(&place, &format!("{TINY} --data pics -o run --steps 4"));
    let config = || std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    let mine = config()
        .replacen("\n\n", "\n# begun on a Friday\n\n# what follows is mine\n", 1)
        .replace("steps = 4\n", "steps = 4 # enough?\n")
        .replace("[optimiser]\n", "# as in the paper\n[optimiser]\n");
    assert_eq!(mine.matches('#').count(), config().matches('#').count() + 4);
    std::fs::write(place.path("run/config.toml"), &mine).unwrap();
    succeeds(&place, "train -o run --resume --steps 6 --set optimiser.learning_rate=0.00025 --set log.keep=2");
    let expected: Vec<String> = mine.lines().map(String::from).collect();
    let found = config();
    let found: Vec<&str> = found.lines().collect();
    let other: Vec<_> = found.iter().filter(|line| !expected.contains(&line.to_string())).collect();
    assert_eq!(other.len(), 3, "{other:?}");
    for line in ["steps = 6 # enough?", "learning_rate = 0.00025", "keep = 2"] {
        assert!(found.contains(&line), "{line}: {found:?}");
    }
    // What cannot be changed line by line is written anew, and kept.
    let inline = config().replace("[schedule]\nkind = \"constant\"\n", "");
    assert_ne!(inline, config());
    let inline = inline.replacen("steps = 6", "schedule = { kind = \"constant\" }\nsteps = 6", 1);
    std::fs::write(place.path("run/config.toml"), &inline).unwrap();
    let told = succeeds(
        &place,
        "train -o run --resume --steps 7 --set schedule.kind=cosine --set schedule.final_fraction=0.5",
    );
    assert!(told.contains("config.toml could not be changed line by line"), "{told}");
    assert_eq!(std::fs::read_to_string(place.path("run/config.toml.before")).unwrap(), inline);
    assert!(config().contains("final_fraction = 0.5") && config().contains("# begun on a Friday"));
    succeeds(&place, "train -o run --resume --steps 8");
}

#[test]
fn a_damaged_checkpoint_is_no_beginning() {
    let place = Place::new();
    place.pictures("pics", 12, 1);
    succeeds(&place, &format!("{TINY} --data pics -o first --steps 2"));
    let last = place.path("first/checkpoints/last.safetensors");
    let mut bytes = std::fs::read(&last).unwrap();
    // Two bits of the last number but one.
    let at = bytes.len() - 6;
    bytes[at] ^= 3;
    std::fs::write(&last, bytes).unwrap();
    refused(&place, "train -o first --resume --steps 3", &["last.safetensors", "has changed since it was written"]);
    for from in ["first", "first/checkpoints/last.safetensors"] {
        refused(
            &place,
            &format!("{TINY} --data pics -o second --steps 1 --from {from}"),
            &["last.safetensors", "has changed since it was written"],
        );
        assert!(!place.path("second").exists());
    }
    succeeds(&place, &format!("{TINY} --data pics -o second --steps 1 --from first/model.safetensors"));
}

#[test]
fn data_may_have_any_name_wherever_a_run_goes_on() {
    let place = Place::new();
    place.pictures("lr=0.1/pics", 12, 1);
    succeeds(&place, &format!("{TINY} --data lr=0.1/pics -o run --steps 2"));
    std::fs::create_dir(place.path("elsewhere")).unwrap();
    let ran = place.run_in("elsewhere", &["train", "-o", "../run", "--resume", "--steps", "3"]);
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}

#[test]
fn an_earlier_model_that_stays_ends_nothing() {
    let place = Place::new();
    place.pictures("pics", 12, 1);
    succeeds(&place, &format!("{TINY} --data pics -o run --steps 2"));
    // A folder cannot be removed as a file.
    std::fs::create_dir_all(place.path("run/models/step-000003.safetensors/mine")).unwrap();
    let told = succeeds(&place, "train -o run --resume --steps 8");
    assert_eq!(told.matches("an earlier model stays: ").count(), 1, "{told}");
    assert!(told.contains("step-000003.safetensors") && place.path("run/models/step-000008.safetensors").exists());
}
