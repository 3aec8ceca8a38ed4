//! `kme train` by several workers: threads of one process, and processes that meet.

mod common;

use common::Place;
use std::fs;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

const CONFIG: &str = "seed = 1\nsteps = 6\nbatch = 64\n[data]\nsource = '25-gaussians:2000'\n[objective]\nkind = 'mmd'\n\
    kernel = 'gaussian:sigma=1'\n[critic]\nnet = { kind = 'mlp', hidden = [16] }\ntop = 4\nsteps = 2\n[regulariser]\n\
    gradient_penalty = 1.0\n[generator]\nnet = { kind = 'mlp', hidden = [16] }\nlatent = { dim = 4, prior = 'normal' }\n\
    [optimiser]\nkind = 'adam'\nlearning_rate = 1e-3\nbeta1 = 0.5\nbeta2 = 0.9\n";

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn threads_and_processes_make_the_same_model() {
    let place = Place::new();
    fs::write(place.path("toy.toml"), CONFIG).unwrap();
    let model = |run: &str| fs::read(place.path(run).join("model.safetensors")).unwrap();
    for (run, flags) in [("one", ""), ("two", " --workers 2")] {
        let done = place.kme(&format!("train toy.toml -o {run}{flags} --json")).json();
        assert_eq!(done["finished"], true);
    }
    let meet = free_address();
    thread::scope(|scope| {
        let other = scope.spawn(|| place.kme(&format!("train --rank 1/2 --meet {meet} --json")).json());
        let first = place.kme(&format!("train toy.toml -o processes --rank 0/2 --meet {meet} --json")).json();
        assert_eq!(first["finished"], true);
        assert_eq!(other.join().unwrap()["rank"], 1);
    });
    assert!(model("two") == model("processes"));
    assert!(model("one") != model("two"), "sums of halves are rounded otherwise: were there two workers?");
}

#[test]
fn what_workers_cannot_do_is_said() {
    let place = Place::new();
    fs::write(place.path("toy.toml"), CONFIG).unwrap();
    for (words, parts) in [
        ("train toy.toml -o run --workers 0", ["--workers", "1 to"]),
        ("train toy.toml -o run --workers 3", ["batch is 64", "multiple of 3"]),
        ("train toy.toml -o run --rank 0/2", ["--meet", ""]),
        ("train toy.toml -o run --rank 2/2 --meet localhost:1", ["2/2", "0 ≤ i < n"]),
        ("train toy.toml -o run --rank 0/2 --meet nowhere", ["cannot read nowhere: ", "HOST:PORT"]),
        ("train toy.toml -o run --rank 0/2 --meet 127.0.0.1:0", ["--meet is 127.0.0.1:0", "1 to 65535"]),
        ("train --rank 1/2 --meet 127.0.0.1:0", ["--meet is 127.0.0.1:0", "1 to 65535"]),
        // Told at once, not after nobody has come.
        ("train toy.toml -o run --rank 0/3 --meet 127.0.0.1:1", ["batch is 64", "multiple of 3"]),
        ("train toy.toml -o run --set steps=0 --rank 0/2 --meet 127.0.0.1:1", ["steps is 0", "1 to"]),
        ("train fashion-classifier -o run --rank 0/2 --meet 127.0.0.1:1", ["--workers is 2", "1 for this objective"]),
        ("train -o run --resume --rank 0/2 --meet 127.0.0.1:1", ["is not a run folder", ""]),
        ("train toy.toml --rank 1/2 --meet localhost:1", ["1/2", "Give everything else to worker 0"]),
        ("train -o run --rank 0/2 --meet localhost:1", ["PRESET", "--resume"]),
        ("train fashion-classifier -o run --workers 2", ["--workers is 2", "1 for this objective"]),
    ] {
        let ran = place.kme(words);
        assert_eq!(ran.code, Some(2), "{words}: {}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{words}: {}", ran.err);
        }
        assert!(!place.path("run").exists(), "{words}");
        assert!(!ran.err.contains("waiting at"), "{words}: {}", ran.err);
    }
    fs::create_dir(place.path("full")).unwrap();
    fs::write(place.path("full/notes.txt"), "mine").unwrap();
    let ran = place.kme("train toy.toml -o full --rank 0/2 --meet 127.0.0.1:1");
    assert!(ran.code == Some(2) && ran.err.contains("exists already"), "{}", ran.err);
}

#[test]
fn one_of_one_needs_no_meeting() {
    let place = Place::new();
    fs::write(place.path("toy.toml"), CONFIG).unwrap();
    let ran = place.kme("train toy.toml -o run --rank 0/1 --meet nowhere --json");
    assert_eq!(ran.json()["finished"], true);
    assert!(!ran.err.contains("waiting"), "{}", ran.err);
}

/// Each says why the run ended, whoever found it out.
#[test]
fn who_fails_tells_the_others() {
    // Machines of their own.
    let (here, there) = (Place::new(), Place::new());
    here.normal("points.npy", 500, 2, 0.0, 1);
    let fails = |run: &str, source: &str| {
        fs::write(here.path("toy.toml"), CONFIG.replace("25-gaussians:2000", source)).unwrap();
        let meet = free_address();
        let [first, other] = thread::scope(|scope| {
            let other = scope.spawn(|| there.kme(&format!("train --rank 1/2 --meet {meet}")));
            let first = here.kme(&format!("train toy.toml -o {run} --rank 0/2 --meet {meet}"));
            [first, other.join().unwrap()]
        });
        assert!(first.code == Some(2) && other.code == Some(2), "{} {}", first.err, other.err);
        assert!(first.err.contains(&format!("waiting at {meet} for worker 1\n")), "{}", first.err);
        assert!(other.err.contains(&format!("looking for worker 0 at {meet}\n")), "{}", other.err);
        [first.err, other.err]
    };
    let [first, other] = fails("a", "missing.npy");
    assert!(!first.contains("worker 0: ") && other.contains("worker 0: ") && other.contains("missing.npy"), "{other}");
    let [first, other] = fails("b", "points.npy");
    assert!(first.contains("worker 1: ") && first.contains("points.npy"), "{first}");
    assert!(!other.contains("worker 1: ") && other.contains("points.npy"), "{other}");
    there.normal("points.npy", 500, 2, 0.0, 2);
    let [first, other] = fails("c", "points.npy");
    assert!(first.contains("worker 1: data fingerprint differs"), "{first}");
    assert!(other.contains("data fingerprint differs"), "{other}");
}

#[test]
fn a_rank_is_taken_once() {
    let place = Place::new();
    fs::write(place.path("toy.toml"), CONFIG.replace("batch = 64", "batch = 63")).unwrap();
    let meet = free_address();
    thread::scope(|scope| {
        let first = scope.spawn(|| place.kme(&format!("train toy.toml -o run --rank 0/3 --meet {meet}")));
        let ones = [1, 2].map(|_| scope.spawn(|| place.kme(&format!("train --rank 1/3 --meet {meet}"))));
        // Whichever comes second is refused, and then the last one comes.
        while !ones.iter().any(|one| one.is_finished()) {
            thread::sleep(Duration::from_millis(20));
        }
        let last = place.kme(&format!("train --rank 2/3 --meet {meet}"));
        assert_eq!((first.join().unwrap().code, last.code), (Some(0), Some(0)), "{}", last.err);
        let ones = ones.map(|one| one.join().unwrap());
        let refused = ones.iter().find(|one| one.code == Some(2)).unwrap();
        assert!(refused.err.contains("--rank is 1/3, but must be a rank that is not taken: 2"), "{}", refused.err);
        assert!(ones.iter().any(|one| one.code == Some(0)));
    });
}

#[cfg(unix)]
#[test]
fn waiting_can_be_stopped_at_once() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let place = Place::new();
    fs::write(place.path("toy.toml"), CONFIG).unwrap();
    for words in ["train toy.toml -o run --rank 0/2 --meet", "train --rank 1/2 --meet"] {
        let mut child = common::command()
            .args(words.split_whitespace())
            .arg(free_address())
            .current_dir(place.path("."))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("waiting at") || line.starts_with("looking for"), "{line}");
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > Duration::from_secs(20) {
                child.kill().unwrap();
                panic!("{words} goes on");
            }
            thread::sleep(Duration::from_millis(20));
        }
        assert!(!child.wait().unwrap().success());
    }
}
