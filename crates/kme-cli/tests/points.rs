//! Points as people have them: tables with row names, headers, labels; several arrays in a file; statistics; pipes.

mod common;

use common::{Place, Ran};
use std::io::Write;
use std::process::{Command, Stdio};

/// Rows of two columns as lines of text, each with what `before` makes of its number.
fn lines(rows: &[Vec<f64>], before: impl Fn(usize) -> String) -> String {
    rows.iter().enumerate().map(|(i, row)| format!("{}{},{}\n", before(i), row[0], row[1])).collect()
}

fn p_value(place: &Place, words: &str) -> f64 {
    place.kme(&format!("test {words} --json --permutations 199")).json()["p_value"].as_f64().unwrap()
}

#[test]
fn row_names_and_the_order_of_columns_have_no_part_in_a_test() {
    let place = Place::new();
    let (x, y) = (place.normal("x.npy", 60, 2, 0.0, 1), place.normal("y.npy", 60, 2, 0.0, 2));
    let right = p_value(&place, "x.npy y.npy");
    assert!(right > 0.05);
    let write = |name: &str, text: String| std::fs::write(place.path(name), text).unwrap();
    // Numbers of rows that go on from one file to the other, as of the two halves of a table.
    write("i.csv", format!(",h,w\n{}", lines(&x, |i| format!("{i},"))));
    write("j.csv", format!("\"\",\"h\",\"w\"\n{}", lines(&y, |i| format!("\"{}\",", i + 60))));
    assert_eq!(p_value(&place, "i.csv j.csv"), right);
    let ran = place.kme("test i.csv j.csv --json --permutations 199");
    assert!(ran.err.contains("i.csv: the first column has no name: left out as row names"), "{}", ran.err);
    let sample = &ran.json()["protocol"]["samples"][0];
    assert_eq!(sample["columns"], serde_json::json!(["h", "w"]));
    assert!(sample["remarks"][0].as_str().unwrap().contains("left out as row names"));
    assert_eq!(p_value(&place, "i.csv j.csv --columns w,h"), p_value(&place, "i.csv j.csv --columns 3,2"));

    let turned: Vec<Vec<f64>> = y.iter().map(|row| vec![row[1], row[0]]).collect();
    write("hw.csv", format!("h,w\n{}", lines(&x, |_| String::new())));
    write("wh.csv", format!("w,h\n{}", lines(&turned, |_| String::new())));
    assert_eq!(p_value(&place, "hw.csv wh.csv"), right);
    assert!(
        place.kme("test hw.csv wh.csv").err.contains("wh.csv: its columns are in another order than those of hw.csv")
    );
    write("hx.csv", format!("h,x\n{}", lines(&y, |_| String::new())));
    let ran = place.kme("test hw.csv hx.csv");
    assert!(
        ran.code == Some(2) && ran.err.contains("h, w (hw.csv)") && ran.err.contains("h, x (hx.csv)"),
        "{}",
        ran.err
    );
    assert!(ran.err.contains("--columns"), "{}", ran.err);
    assert_eq!(p_value(&place, "hw.csv hx.csv --columns 1-2"), right);

    // A header of numbers is no point.
    let rows: Vec<Vec<f64>> = x.iter().map(|row| vec![row[0], row[1], row[0]]).collect();
    let text: String = rows.iter().map(|row| format!("{},{},{}\n", row[0], row[1], row[2])).collect();
    write("numbers.csv", format!("0,1,2\n{text}"));
    assert_eq!(place.kme("embed numbers.csv -o n.kme --json").json()["n"], 60);
    write("two.csv", format!("0,1\n{}", lines(&x, |_| String::new())));
    let ran = place.kme("test two.csv y.npy");
    assert!(ran.code == Some(2) && ran.err.contains("--header yes or --header no"), "{}", ran.err);
    assert_eq!(p_value(&place, "two.csv y.npy --header yes"), right);
}

#[test]
fn groups_of_one_file_are_samples() {
    let place = Place::new();
    let (x, y) = (place.normal("x.npy", 40, 2, 0.0, 1), place.normal("y.npy", 30, 2, 1.0, 2));
    let mut text = String::from("h,w,kind\n");
    // In turns, as in a table of measurements.
    for (i, old) in x.iter().enumerate() {
        text.push_str(&format!("{},{},old\n", old[0], old[1]));
        if let Some(row) = y.get(i) {
            text.push_str(&format!("{},{},new\n", row[0], row[1]));
        }
    }
    std::fs::write(place.path("data.csv"), &text).unwrap();
    let right = p_value(&place, "x.npy y.npy");
    assert_eq!(p_value(&place, "data.csv --group kind"), right);
    assert_eq!(p_value(&place, "data.csv:kind=old data.csv:kind=new"), right);
    assert_eq!(p_value(&place, "data.csv:3=old data.csv:3=new"), right);
    let value = |words: &str| place.kme(&format!("eval {words} --json --metrics mmd --kernel energy")).value();
    assert_eq!(value("data.csv --group kind"), value("x.npy y.npy"));
    for (command, parts) in [
        ("test data.csv data.csv", &["line 2, field 3 ('kind') is 'old'", "--group COLUMN"][..]),
        ("test data.csv:kind=older data.csv:kind=new", &["no row whose column 'kind' holds 'older'", "'old', 'new'"]),
        ("test data.csv --group h", &["column 'h' has more than 50 values"]),
        ("test data.csv --group color", &["no column 'color'", "'h', 'w', 'kind'"]),
        ("embed data.csv -o out.kme --group kind", &["--group has no effect", "FILE.csv:COLUMN=VALUE"]),
        ("test x.npy --group kind", &["x.npy: is not text"]),
    ] {
        let ran = place.kme(command);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.err);
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{command}: {}", ran.err);
    }
    // The same through a pipe.
    let piped = |words: &str, bytes: &[u8]| piped(&place, words, bytes);
    let ran = piped("test - --group kind --json --permutations 199", text.as_bytes());
    assert_eq!(ran.json()["p_value"].as_f64().unwrap(), right);
    let npy = std::fs::read(place.path("x.npy")).unwrap();
    assert_eq!(piped("test - y.npy --json --permutations 199", &npy).json()["p_value"].as_f64().unwrap(), right);
    let ran = piped("test - -", &npy);
    assert!(ran.code == Some(2) && ran.err.contains("cannot read standard input twice"), "{}", ran.err);
    let ran = piped("test - y.npy", b"");
    assert!(ran.code == Some(2) && ran.err.contains("standard input: it is empty"), "{}", ran.err);
    // A pipe that a shell makes: it can be read once, and its groups are two sources.
    #[cfg(unix)]
    {
        let path = place.path("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        let written = text.clone();
        let writer = std::thread::spawn(move || std::fs::write(path, written));
        assert_eq!(p_value(&place, "pipe --group kind"), right);
        writer.join().unwrap().unwrap();
    }
    let ran = piped("test - y.npy", b"a,b\n1,2\n1,x\n");
    assert!(ran.code == Some(2) && ran.err.contains("standard input: line 3, field 2 ('b')"), "{}", ran.err);
}

/// Runs `kme` with something on its standard input.
fn piped(place: &Place, words: &str, bytes: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kme"))
        .args(words.split_whitespace())
        .current_dir(place.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that refuses to read closes the pipe.
    let _ = child.stdin.take().unwrap().write_all(bytes);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// An archive of arrays that were written as files of their own.
fn archive(place: &Place, name: &str, arrays: &[(&str, &str)]) {
    let mut zip = zip::ZipWriter::new(std::fs::File::create(place.path(name)).unwrap());
    for (array, file) in arrays {
        zip.start_file(format!("{array}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&std::fs::read(place.path(file)).unwrap()).unwrap();
    }
    zip.finish().unwrap();
}

#[test]
fn of_several_arrays_none_is_guessed() {
    let place = Place::new();
    place.normal("x.npy", 40, 3, 0.0, 1);
    place.normal("labels.npy", 40, 1, 0.0, 2);
    archive(&place, "both.npz", &[("features", "x.npy"), ("labels", "labels.npy")]);
    archive(&place, "one.npz", &[("features", "x.npy")]);
    let ran = place.kme("eval both.npz both.npz");
    assert_eq!(ran.code, Some(2), "{}", ran.out);
    assert!(ran.err.contains("several arrays") && ran.err.contains("features (40, 3), labels (40, 1)"), "{}", ran.err);
    let value = |words: &str| place.kme(&format!("eval {words} --json")).value();
    assert_eq!(value("both.npz:features x.npy"), value("x.npy x.npy"));
    assert_eq!(value("one.npz x.npy"), value("x.npy x.npy"));
}

#[test]
fn statistics_are_written_as_they_are_read() {
    let place = Place::new();
    place.normal("x.npy", 70, 5, 0.0, 1);
    place.normal("y.npy", 60, 5, 0.5, 2);
    assert_eq!(place.kme("embed x.npy -o x.npz").code, Some(0));
    let direct = place.kme("eval x.npy y.npy --metrics fid --json").value();
    let by_statistics = place.kme("eval x.npz y.npy --json").value();
    assert!((direct - by_statistics).abs() < 1e-12 * direct, "{direct} {by_statistics}");
    // Under the names of other tools, in any case.
    for names in [["mean", "cov"], ["Mu", "Sigma"]] {
        let read = |name: &str| {
            let mut zip = zip::ZipArchive::new(std::fs::File::open(place.path("x.npz")).unwrap()).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut zip.by_name(name).unwrap(), &mut bytes).unwrap();
            bytes
        };
        std::fs::write(place.path("m.npy"), read("mu.npy")).unwrap();
        std::fs::write(place.path("s.npy"), read("sigma.npy")).unwrap();
        archive(&place, "named.npz", &[(names[0], "m.npy"), (names[1], "s.npy")]);
        assert_eq!(place.kme("eval named.npz y.npy --json").value(), by_statistics, "{names:?}");
    }
    // Through shards, whose merge has all points.
    for part in ["1/2", "2/2"] {
        let out = format!("part-{}.kme", &part[..1]);
        assert_eq!(place.kme(&format!("embed x.npy -o {out} --shard {part}")).code, Some(0));
    }
    assert_eq!(place.kme("merge part-1.kme part-2.kme -o merged.npz").code, Some(0));
    let merged = place.kme("eval merged.npz y.npy --json").value();
    assert!((merged - by_statistics).abs() < 1e-12 * merged, "{merged} {by_statistics}");
    // Points for other programs, in their own order.
    assert_eq!(place.kme("embed x.npy y.npy -o all.npy").code, Some(0));
    let all = kme::Points::read(place.path("all.npy")).unwrap();
    let parts = ["x.npy", "y.npy"].map(|name| kme::Points::read(place.path(name)).unwrap());
    assert_eq!(all, kme::Points::concat(&[&parts[0], &parts[1]]).unwrap());
    let before = place.names();
    for (command, parts) in [
        ("embed x.npy -o out.npz --shard 1/2", &["--shard", "kme merge"][..]),
        ("embed x.npy -o out.npz --kernel energy", &["--kernel", "only a .kme file"]),
        ("embed x.npy -o out.png", &["out.png", ".kme", ".npz", ".npy"]),
        ("eval x.npz y.npy --metrics kid", &["x.npz", "Use the metric fid"]),
    ] {
        let ran = place.kme(command);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.err);
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{command}: {}", ran.err);
    }
    assert_eq!(place.names(), before);
}

#[test]
fn tensors_of_torch_are_points() {
    let place = Place::new();
    let files = [("tensor.pt", false), ("double.pt", true), ("dictionary.pth:features", false), ("legacy.pth", false)];
    for (name, wide) in files {
        let ran = place.run(&["embed", &golden(name), "-o", "t.npy"]);
        assert_eq!(ran.code, Some(0), "{name}: {}", ran.err);
        let points = kme::Points::read(place.path("t.npy")).unwrap();
        let expected: Vec<f64> = (0..12).map(|i| f64::from(i - 4) / if wide { 10.0 } else { 2.0 }).collect();
        assert_eq!((points.len(), points.dim()), (4, 3), "{name}");
        assert_eq!(matches!(points.data(), kme::Data::F64(_)), wide, "{name}");
        assert_eq!(points.into_data().into_f64(), expected, "{name}");
    }
    let ran = place.run(&["embed", &golden("dictionary.pth"), "-o", "t.npy"]);
    assert!(ran.code == Some(2) && ran.err.contains("features (4, 3), labels (4,)"), "{}", ran.err);
    let value =
        |reference: &str| place.run(&["eval", &golden(reference), &golden("five.npy"), "--json", "--metrics", "fid"]);
    assert_eq!(value("statistics.pt").value(), value("statistics.npz").value());
}

/// The arrays in the files of NumPy and in ours, byte for byte.
#[test]
fn statistics_are_those_of_numpy() {
    let place = Place::new();
    assert_eq!(place.run(&["embed", &golden("five.npy"), "-o", "s.npz"]).code, Some(0));
    let arrays = |path: &std::path::Path| -> Vec<(String, Vec<u8>)> {
        let mut zip = zip::ZipArchive::new(std::fs::File::open(path).unwrap()).unwrap();
        let read = |i| {
            let mut entry = zip.by_index(i).unwrap();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            // NumPy leaves room in the header for an axis that grows.
            let text = String::from_utf8_lossy(&bytes[10..]).into_owned();
            let header = text[..text.find('}').unwrap()].to_string();
            let start = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
            (header, bytes[start..].to_vec())
        };
        (0..2).map(read).collect()
    };
    assert_eq!(arrays(&place.path("s.npz")), arrays(std::path::Path::new(&golden("statistics.npz"))));
}

fn golden(name: &str) -> String {
    format!("{}/tests/golden/arrays/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn algebra_makes_distributions_or_says_why_not() {
    let place = Place::new();
    for (name, seed) in [("a", 1), ("b", 2), ("c", 3)] {
        place.normal(&format!("{name}.npy"), 50, 2, 0.0, seed);
        assert_eq!(place.kme(&format!("embed {name}.npy -o {name}.kme --kernel gaussian:sigma=1")).code, Some(0));
    }
    let eval = |text: &str| place.run(&["eval", text, "c.kme", "--metrics", "mmd", "--estimator", "biased", "--json"]);
    // Weights that cancel out but for rounding.
    for text in ["a.kme - b.kme", "0.1*a.kme + 0.2*b.kme - 0.3*c.kme", "0.7*a.kme-0.7*a.kme"] {
        let ran = eval(text);
        assert!(ran.code == Some(2) && ran.err.contains("cancel out") && ran.err.contains(text), "{text}: {}", ran.err);
    }
    let ran = eval("0.3*a.kme - 0.5*b.kme");
    assert!(ran.code == Some(2) && ran.err.contains("positive mass"), "{}", ran.err);
    assert_eq!(eval("0.5*a.kme+0.5*b.kme").value(), eval("0.5*a.kme + 0.5*b.kme").value());
    let (twice, once) = (eval("2*a.kme"), eval("a.kme"));
    assert!((twice.value() - once.value()).abs() < 1e-15);
    assert!(twice.err.contains("weights sum to 2; they are divided by it"), "{}", twice.err);
    assert!(!eval("0.5*a.kme+0.5*b.kme").err.contains("divided"), "a mixture needs no remark");
    // Random features: the unbiased estimate leaves the diagonal out, which is 1 for each point.
    for name in ["a", "b"] {
        let command = format!("embed {name}.npy -o {name}-r.kme --kernel gaussian:sigma=1 --random-features 400");
        assert_eq!(place.kme(&command).code, Some(0));
    }
    let mmd = |estimator: &str, files: &str| {
        place
            .kme(&format!("eval {files} --metrics mmd --kernel gaussian:sigma=1 --estimator {estimator} --json"))
            .value()
    };
    let random = |estimator: &str| {
        place.kme(&format!("eval a-r.kme b-r.kme --metrics mmd --estimator {estimator} --json")).value()
    };
    // Exactly so in the kernel: unbiased = (n biased-within - 1)/(n - 1) on either side. The features only approximate it.
    let gap = mmd("biased", "a.npy b.npy") - mmd("unbiased", "a.npy b.npy");
    let found = random("biased") - random("unbiased");
    assert!(found > 0.0 && (gap - found).abs() < 0.05 * gap, "{gap} {found}");
}

#[test]
fn tables_are_written_sorted_and_compared() {
    let place = Place::new();
    place.normal("x.npy", 40, 3, 0.0, 1);
    place.normal("far.npy", 40, 3, 2.0, 2);
    place.normal("near.npy", 40, 3, 0.1, 3);
    let ran = place.kme("eval x.npy far.npy near.npy --metrics FID,Kid --sort FID --format csv -o table.md");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let rows: Vec<Vec<&str>> = ran.out.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..4], ["reference", "candidate", "metric", "value"]);
    let order: Vec<[&str; 2]> = rows[1..].iter().map(|row| [row[1], row[2]]).collect();
    assert_eq!(order, [["near.npy", "fid"], ["near.npy", "kid"], ["far.npy", "fid"], ["far.npy", "kid"]]);
    let json = place.kme("eval x.npy near.npy --metrics fid --json").value();
    assert_eq!(rows[1][3].parse::<f64>().unwrap(), json);
    let table = std::fs::read_to_string(place.path("table.md")).unwrap();
    assert!(
        table.starts_with("| candidate | fid | kid | points |\n| --- | ---: | ---: | ---: |\n| near.npy | "),
        "{table}"
    );
    // Numbers of any size are short, and whole.
    std::fs::write(place.path("large.csv"), "1e20\n2e20\n4e20\n7e20\n").unwrap();
    std::fs::write(place.path("other.csv"), "1e20\n3e20\n4e20\n9e20\n").unwrap();
    let row = |words: &str| place.kme(&format!("eval large.csv other.csv --metrics kid {words}"));
    let csv = row("--format csv").out;
    let value = csv.lines().nth(1).unwrap().split(',').nth(3).unwrap();
    assert!(value.len() < 30 && value.parse::<f64>().unwrap() == row("--json").value(), "{value}");
    // One file with several results.
    assert_eq!(place.kme("eval x.npy far.npy near.npy --metrics kid -o both.json").code, Some(0));
    let compared = place.kme("eval --compare both.json --json").json();
    let found = &compared["comparisons"][0];
    assert!(found["first"]["name"].as_str().unwrap().starts_with("far.npy"), "{found}");
    assert!(found["difference"].as_f64().unwrap() < 0.0);
    assert_eq!(place.kme("eval --compare both.json --format csv").out.lines().count(), 2);
    assert_eq!(place.kme("eval x.npy far.npy -o one.json").code, Some(0));
    let ran = place.kme("eval --compare one.json");
    assert!(
        ran.code == Some(2) && ran.err.contains("one.json: a comparison needs at least 2 results of a metric"),
        "{}",
        ran.err
    );
    // The inception score compares with nothing.
    let alone = place.kme("eval near.npy --metrics is --splits 4 --json").json();
    assert_eq!(alone["value"], place.kme("eval x.npy near.npy --metrics is --splits 4 --json").json()["value"]);
    assert!(alone["protocol"]["reference"].is_null());
    for (command, parts) in [
        ("eval x.npy far.npy --sort fid", &["--sort is fid", "one of the --metrics"][..]),
        ("eval x.npy far.npy -o out.png", &["out.png", ".csv, .md, .json"]),
        ("eval x.npy far.npy --format csv --json -o early.csv", &["--format", "--json"]),
        ("eval near.npy --metrics is,kid", &["a reference with candidates", "there is 1"]),
    ] {
        let ran = place.kme(command);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.err);
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{command}: {}", ran.err);
    }
    assert!(!place.path("early.csv").exists());
}
