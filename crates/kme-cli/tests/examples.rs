//! The examples say what is true: their commands print what stands there, and so does their code, in few lines.

mod common;

use common::command;
use std::path::Path;

/// Each example with its text.
macro_rules! examples {
    ($($name:ident in $file:literal),* $(,)?) => {
        $(
            #[path = $file]
            #[allow(dead_code)]
            mod $name;
        )*
        const EXAMPLES: &[(&str, &str, fn() -> kme::Result<String>)] =
            &[$(($file, include_str!($file), $name::example)),*];
    };
}

examples! {
    sample in "../examples/01_sample.rs",
    eval in "../examples/02_eval.rs",
    rank in "../examples/03_rank.rs",
    matching in "../examples/04_match.rs",
    embed in "../examples/05_embed.rs",
    reduce in "../examples/06_reduce.rs",
    test in "../examples/07_test.rs",
    train in "../examples/08_train.rs",
}

/// Lines of an example's body at most.
const LINES: usize = 14;

/// The commands of an example's header, each with what it prints.
fn shown(text: &str) -> Vec<(String, String)> {
    let header =
        text.lines().map_while(|line| line.strip_prefix("//!")).map(|line| line.strip_prefix(' ').unwrap_or(line));
    let block = header.skip_while(|line| *line != "```text").skip(1).take_while(|line| *line != "```");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in block {
        match (line.strip_prefix("$ "), found.last_mut()) {
            (Some(command), _) => found.push((command.into(), String::new())),
            (None, Some((_, printed))) => *printed += &format!("{line}\n"),
            (None, None) => panic!("the block begins with {line}"),
        }
    }
    found.into_iter().map(|(command, printed)| (command, printed.trim_end().into())).collect()
}

/// Word for word, and numbers within a tenth: on other instruction sets a descent may end a little elsewhere.
fn assert_same(found: &str, shown: &str, what: &str) {
    let differ = |a: &str, b: &str| match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => (a - b).abs() > 0.1 * a.abs().max(b.abs()),
        _ => a != b,
    };
    let (words, expected): (Vec<&str>, Vec<&str>) =
        (found.split_whitespace().collect(), shown.split_whitespace().collect());
    let same = words.len() == expected.len() && !words.iter().zip(&expected).any(|(a, b)| differ(a, b));
    assert!(same, "{what} prints\n{found}\nwhere the example shows\n{shown}");
}

/// Lines between the braces of `fn example`.
fn body(text: &str) -> usize {
    text.lines().skip_while(|line| !line.contains("fn example()")).skip(1).take_while(|line| *line != "}").count()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &target) } else { std::fs::copy(&path, &target).map(drop).unwrap() }
    }
}

#[test]
fn examples_print_what_they_show() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets"), &folder.path().join("assets"));
    // The only test of this program: no other one is disturbed.
    std::env::set_current_dir(folder.path()).unwrap();
    for (file, text, example) in EXAMPLES {
        let name = Path::new(file).file_stem().unwrap().to_str().unwrap();
        assert!((1..=LINES).contains(&body(text)), "{name}: {} lines", body(text));
        let shown = shown(text);
        assert_eq!(shown.len(), 2, "{name} shows a command and itself");
        let words: Vec<&str> = shown[0].0.split_whitespace().collect();
        assert_eq!(words[0], "kme", "{name}");
        let cache = folder.path().join("cache");
        let ran = command().args(&words[1..]).env("XDG_CACHE_HOME", cache).output().unwrap();
        let printed = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
        assert_same(&printed, &shown[0].1, &shown[0].0);
        assert_eq!(shown[1].0, format!("cargo run --release --example {name}"));
        assert_same(&example().unwrap(), &shown[1].1, name);
    }
    // Whoever trains, and however.
    let model = |run: &str| std::fs::read(Path::new(run).join("model.safetensors")).unwrap();
    assert!(model("toy") == model("toy-from-rust"));
}
