//! `kme train` by several workers: threads of one process, and processes that meet.

mod common;

use common::Place;
use std::fs;
use std::net::TcpListener;
use std::thread;

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
        ("train toy.toml -o run --workers 3", ["batch = 64", "multiple of 3"]),
        ("train toy.toml -o run --rank 0/2", ["--meet", ""]),
        ("train toy.toml -o run --rank 2/2 --meet localhost:1", ["2/2", "0 ≤ i < n"]),
        ("train toy.toml -o run --rank 0/2 --meet nowhere", ["--meet", "HOST:PORT"]),
        ("train toy.toml --rank 1/2 --meet localhost:1", ["1/2", "said to worker 0"]),
        ("train -o run --rank 0/2 --meet localhost:1", ["PRESET", "--resume"]),
        ("train fashion-classifier -o run --workers 2", ["workers = 2", "1 for this objective"]),
    ] {
        let ran = place.kme(words);
        assert_eq!(ran.code, Some(2), "{words}: {}", ran.err);
        for part in parts {
            assert!(ran.err.contains(part), "{words}: {}", ran.err);
        }
        assert!(!place.path("run").exists(), "{words}");
    }
}
