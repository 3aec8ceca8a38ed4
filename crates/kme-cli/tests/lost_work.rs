//! What may not be lost: runs whose terminal is closed, whose output nobody reads, whose process is killed, whose data move
//! or are damaged.

#![cfg(unix)]

mod common;

use common::{Place, names};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A run of a few steps on few small pictures.
const TINY: &str = "train fashion-mmd-gan --set batch=4 --set data.size=16 --set data.held_out=none --set log.every=1 \
                    --set log.samples=100 --set log.checkpoint=2 --set generator.net.width=4 --set critic.net.width=4 --seed 5";

/// The command, to be started by a shell that sets something up for it.
fn shell(place: &Place, script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script.replace("kme", env!("CARGO_BIN_EXE_kme"))).current_dir(place.path(""));
    command
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).unwrap_or_default().lines().count()
}

/// The exit code of a child that ends soon.
fn end(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("the command does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status().unwrap().success());
}

/// Steps that take a while.
fn long(place: &Place, run: &str) -> Command {
    let mut command = common::command();
    let words = format!("{TINY} -o {run} --data pictures --steps 1000000");
    command.args(words.split_whitespace()).current_dir(place.path(""));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_so() {
    let place = Place::new();
    place.pictures("pictures", 8, 1);
    // As nohup and the shell's `&` in a script start a command.
    let script = format!("trap '' HUP INT; exec kme {TINY} -o run --data pictures --steps 1000000");
    let mut child = shell(&place, &script).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let events = place.path("run/events.jsonl");
    wait_for("the first steps", || lines(&events) > 3);
    signal(&child, "HUP");
    signal(&child, "INT");
    let before = lines(&events);
    wait_for("steps after the signals", || lines(&events) > before + 20);
    assert!(child.try_wait().unwrap().is_none(), "the run has ended");
    signal(&child, "TERM");
    assert_eq!(end(&mut child), Some(130));
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(text.contains("stopping after this step"), "{text}");
    // Not ignored, they end a run as before.
    for name in ["HUP", "INT", "TERM"] {
        let run = format!("run-{name}");
        let mut child = long(&place, &run).spawn().unwrap();
        wait_for("the first steps", || lines(&place.path(&run).join("events.jsonl")) > 3);
        signal(&child, name);
        assert_eq!(end(&mut child), Some(130), "{name}");
        assert!(place.path(&run).join("checkpoints/last.safetensors").exists());
    }
    // Other verbs too: this one waits in the reading of a pipe.
    let script = "trap '' HUP; touch ready; exec kme eval x.npy y.npy --seed 1";
    place.normal("x.npy", 3000, 200, 0.0, 1);
    place.normal("y.npy", 3000, 200, 0.0, 2);
    let mut child = shell(&place, script).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the shell", || place.path("ready").exists());
    signal(&child, "HUP");
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "HUP");
    assert_eq!(end(&mut child), Some(0));
}

#[test]
fn nobody_has_to_read_what_is_printed() {
    let place = Place::new();
    place.pictures("pictures", 8, 1);
    place.normal("x.npy", 20, 3, 0.0, 1);
    // Remarks of a run that nobody reads any more: it goes on to its end.
    let script = format!("kme {TINY} -o run --data pictures --steps 9 --verbose 2>&1 >/dev/null | head -n 1 >first");
    assert!(shell(&place, &script).status().unwrap().success());
    wait_for("the end of the run", || place.path("run/report.html").exists());
    let ran = shell(&place, &format!("(kme {TINY} -o two --data pictures --steps 9; echo $? >code) 2>&1 | head -n 1"));
    let mut ran = ran;
    ran.stdout(Stdio::null()).status().unwrap();
    wait_for("the code", || place.path("code").exists() && lines(&place.path("code")) == 1);
    assert_eq!(std::fs::read_to_string(place.path("code")).unwrap().trim(), "0");
    assert!(std::fs::read_to_string(place.path("two/events.jsonl")).unwrap().contains("\"step\":9"));
    // No stream at all, one that is full, and a reader that leaves at once: of every verb.
    for verb in [
        "eval x.npy x.npy --json",
        "test x.npy x.npy",
        "embed x.npy -o x.kme",
        "rank x.npy x.npy x.npy",
        "models list",
        "data list",
        "train --list",
        "sample fashion -n 2 -o s.png",
        "eval x.npy nothing.npy",
        "eval --help",
        "nonsense",
    ] {
        for (close, code_too) in [("2>&-", true), (">&- 2>&-", true), ("2>/dev/full", true), ("2>&1 | true", false)] {
            let plain = shell(&place, &format!("kme {verb} >/dev/null 2>&1")).status().unwrap().code();
            let output = shell(&place, &format!("kme {verb} {close}")).stderr(Stdio::piped()).output().unwrap();
            let err = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!err.contains("panicked") && output.status.code() != Some(3), "{verb} {close}: {err}");
            if code_too {
                assert_eq!(output.status.code(), plain, "{verb} {close}: {err}");
            }
        }
    }
    // A hung-up terminal: what is written to it fails, and the state is saved.
    let mut child = long(&place, "hung").spawn().unwrap();
    let mut reader = BufReader::new(child.stderr.take().unwrap());
    reader.read_line(&mut String::new()).unwrap();
    wait_for("the first steps", || lines(&place.path("hung/events.jsonl")) > 3);
    drop(reader);
    signal(&child, "HUP");
    assert_eq!(end(&mut child), Some(130));
}

#[test]
fn progress_is_told_where_there_is_no_terminal() {
    let place = Place::new();
    place.pictures("pictures", 8, 1);
    let run = |words: &str| {
        let mut command = shell(&place, &format!("kme {TINY} -o {words}"));
        let output = command.env("KME_PROGRESS", "0.05").env("TERM", "dumb").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let told = run("run --data pictures --steps 100");
    let is_whole = |line: &&str| line.starts_with("train ") && line.contains(" left: ");
    let line = told.lines().find(is_whole).unwrap_or_else(|| panic!("{told}"));
    for part in ["/100 (", " %)", "images/s"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!run("quiet --data pictures --steps 20 --quiet").contains("train "));
}

#[test]
fn a_run_is_held_by_one_process_whatever_an_editor_does() {
    let place = Place::new();
    place.pictures("pictures", 8, 1);
    let mut child = long(&place, "run").spawn().unwrap();
    let events = place.path("run/events.jsonl");
    wait_for("the first steps", || lines(&events) > 3);
    // As editors and `sed -i` do.
    let config = place.path("run/config.toml");
    std::fs::copy(&config, place.path("run/new.toml")).unwrap();
    std::fs::rename(place.path("run/new.toml"), &config).unwrap();
    let ran = place.kme("train -o run --resume");
    assert!(ran.code == Some(2) && ran.err.contains("is being trained by another process"), "{}", ran.err);
    assert!(ran.err.contains(&format!("process {}", child.id())), "{}", ran.err);
    child.kill().unwrap();
    child.wait().unwrap();
    // A killed process holds nothing, and what it was writing is removed.
    for part in ["run", "run/samples", "run/checkpoints"] {
        std::fs::write(place.path(part).join(".kme-abc123.unfinished"), "part").unwrap();
    }
    let step = std::fs::read_to_string(&events).unwrap().lines().count();
    let ran = place.kme(&format!("train -o run --resume --steps {}", step + 10));
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    for part in ["run", "run/samples", "run/checkpoints"] {
        assert!(names(&place.path(part)).iter().all(|name| !name.ends_with(".unfinished")), "{part}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_told_before_the_work() {
    let place = Place::new();
    place.pictures("pictures", 8, 1);
    std::fs::write(place.path("file"), "").unwrap();
    let ran = place.kme(&format!("{TINY} -o file/run --data pictures"));
    assert!(ran.code == Some(2) && ran.err.contains("cannot write"), "{}", ran.err);
    if cfg!(target_os = "linux") {
        let ran = place.kme(&format!("{TINY} -o /proc/run --data nothing"));
        assert!(ran.code == Some(2) && ran.err.contains("/proc/run"), "{}", ran.err);
        place.normal("x.npy", 20, 3, 0.0, 1);
        let ran = place.kme("embed x.npy -o /proc/x.kme");
        assert!(ran.code == Some(2) && ran.err.contains("/proc/x.kme"), "{}", ran.err);
    }
}
