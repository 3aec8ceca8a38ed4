//! What is printed where a number has no standard error, or says little: the reason, once, in every form.

mod common;

use common::Place;
use serde_json::Value;

fn place() -> Place {
    let place = Place::new();
    place.normal("x.npy", 50, 3, 0.0, 1);
    place.normal("y.npy", 40, 3, 0.5, 2);
    place.normal("three.npy", 3, 3, 0.0, 3);
    let row = |x: f64| format!("{x},{x},{x}\n");
    std::fs::write(place.path("one.csv"), row(1.0).repeat(30)).unwrap();
    std::fs::write(place.path("two.csv"), row(2.0).repeat(30)).unwrap();
    let half: String = (0..30).map(|i| row(if i < 15 { 0.5 } else { f64::from(i) })).collect();
    std::fs::write(place.path("half.csv"), half).unwrap();
    let far: String = (0..30).map(|i| row(if i == 0 { 1e15 } else { f64::from(i) / 7.0 })).collect();
    std::fs::write(place.path("far.csv"), far).unwrap();
    for (name, step) in [("away.csv", 0.61), ("away2.csv", 0.47)] {
        // A million from the origin, and a thousandth from each other.
        let rows: String = (0..60).map(|i| row(1e6 + 1e-3 * (f64::from(i) * step).sin())).collect();
        std::fs::write(place.path(name), rows).unwrap();
    }
    std::fs::write(place.path("w.csv"), "1\n2\n".repeat(20)).unwrap();
    assert_eq!(place.kme("embed y.npy -o weighted.kme --weights w.csv --kernel energy").code, Some(0));
    assert_eq!(place.kme("embed x.npy -o x.npz").code, Some(0));
    let random = "--kernel gaussian:sigma=2 --random-features 50";
    assert_eq!(place.kme(&format!("embed x.npy -o mean.kme {random}")).code, Some(0));
    place
}

/// Command, metric, name of the reason, words of it.
const CASES: [(&str, &str, &str); 11] = [
    ("x.npy three.npy --metrics kid", "few-points", "4 points of each sample"),
    ("x.npy three.npy --metrics mmd --kernel energy --estimator linear", "few-pairs", "2 pairs"),
    ("x.npy far.csv --metrics mmd --kernel energy", "rounding", "lost in the rounding"),
    ("away.csv away2.csv --metrics kid", "rounding", "lost in the rounding"),
    ("x.npy weighted.kme --metrics mmd", "weights", "points with weights"),
    ("x.npz x.npz --metrics fid", "statistics", "mean and a covariance"),
    ("mean.kme y.npy --metrics mmd", "random-features", "random features"),
    ("y.npy --metrics is --splits 1", "one-split", "2 splits"),
    ("one.csv --metrics is", "alike", "no scatter"),
    ("one.csv two.csv --metrics precision", "coincide", "all points of a sample are the same"),
    ("one.csv two.csv --metrics kid", "coincide", "all points of a sample are the same"),
];

#[test]
fn a_missing_error_has_its_reason_in_every_form() {
    let place = place();
    for (words, name, text) in CASES {
        let printed = place.kme(&format!("eval {words}"));
        assert_eq!(printed.code, Some(0), "{words}: {}", printed.err);
        let lines: Vec<&str> = printed.out.lines().filter(|line| line.starts_with("no standard error of")).collect();
        assert!(lines.len() == 1 && lines[0].contains(text), "{words}: {}", printed.out);
        assert!(!printed.out.contains('±') || printed.out.contains("tools print"), "{words}: {}", printed.out);
        let json = place.kme(&format!("eval {words} --json")).json();
        assert!(json["standard_error"].is_null(), "{words}: {json}");
        assert_eq!(json["standard_error_missing"], name, "{words}");
        let csv = place.kme(&format!("eval {words} --format csv")).out;
        let cell = |row: &str| csv.lines().nth(if row == "head" { 0 } else { 1 }).unwrap().rsplit(',').next();
        let cell = |row: &str| cell(row).unwrap().to_string();
        assert_eq!((cell("head").as_str(), cell("body").as_str()), ("standard_error_missing", name), "{csv}");
        let markdown = place.kme(&format!("eval {words} --format markdown")).out;
        assert!(markdown.lines().any(|line| line.starts_with("no standard error of") && line.contains(text)));
    }
    // Where there is one, there is no reason.
    let json = place.kme("eval x.npy y.npy --json").json();
    assert!(json["standard_error"].is_f64() && json.get("standard_error_missing").is_none(), "{json}");
    // Several metrics and candidates: one line a reason.
    let out = place.kme("eval x.npy y.npy three.npy --metrics kid,mmd,fid --kernel energy").out;
    let lines: Vec<&str> = out.lines().filter(|line| line.starts_with("no standard error")).collect();
    assert!(lines.len() == 1 && lines[0].contains("of kid, mmd2 (three.npy): "), "{out}");
    let failed = place.kme("eval x.npy three.npy --assert kid<-1");
    assert_eq!(failed.code, Some(1));
    assert!(failed.err.contains("(no standard error: it needs 4 points"), "{}", failed.err);
}

#[test]
fn comparisons_say_which_side_has_no_error() {
    let place = place();
    for (name, words) in [("a", "x.npy y.npy"), ("b", "x.npy three.npy")] {
        let json = place.kme(&format!("eval {words} --json")).out;
        std::fs::write(place.path(&format!("{name}.json")), &json).unwrap();
        let mut old: Value = serde_json::from_str(&json).unwrap();
        old.as_object_mut().unwrap().remove("standard_error_missing");
        std::fs::write(place.path(&format!("old-{name}.json")), old.to_string()).unwrap();
    }
    let json = place.kme("eval --compare a.json b.json --json").json();
    let found = &json["comparisons"][0];
    assert_eq!(found["standard_error_missing"], "few-points");
    assert_eq!(found["second"]["standard_error_missing"], "few-points");
    assert!(found["first"].get("standard_error_missing").is_none() && found["standard_error"].is_null());
    let text = place.kme("eval --compare a.json b.json").out;
    let line = text.lines().find(|line| line.starts_with("no standard error")).unwrap();
    assert!(line.contains("three.npy (b.json)") && line.contains("4 points"), "{text}");
    let csv = place.kme("eval --compare a.json b.json --format csv").out;
    assert!(csv.lines().nth(1).unwrap().ends_with(",few-points"), "{csv}");
    let old = place.kme("eval --compare old-a.json old-b.json --json").json();
    assert_eq!(old["comparisons"][0]["standard_error_missing"], "unstated");
}

#[test]
fn tests_say_why_too() {
    let place = place();
    let json = place.kme("test one.csv two.csv --json").json();
    assert_eq!(json["standard_error_missing"], "coincide");
    assert_eq!(json["kernels"][0]["standard_error_missing"], "coincide");
    let text = place.kme("test one.csv two.csv").out;
    assert!(text.contains("no standard error") && text.contains("all points of a sample are the same"), "{text}");
    let three = place.kme("test one.csv two.csv one.csv --json").json();
    assert_eq!((three["standard_error"].is_null(), &three["standard_error_missing"]), (true, &"coincide".into()));
    let json = place.kme("test one.csv x.npy y.npy --memorisation --json").json();
    assert_eq!(json["copies_standard_error_missing"], "coincide");
    assert_eq!(json["standard_error_missing"], "permutations");
    // Not 'copies -200 ± 200'.
    let ran = place.kme("test one.csv two.csv x.npy --memorisation");
    assert!(!ran.out.contains('±') && ran.out.contains("no standard error"), "{}", ran.out);
    assert!(ran.err.contains("All 30 points of one.csv are the same point"), "{}", ran.err);
    let json = place.kme("test x.npy one.csv one.csv --memorisation --json").json();
    assert_eq!((&json["tied"], &json["copies_standard_error_missing"]), (&50.into(), &"ties".into()));
    let ran = place.kme("test x.npy one.csv one.csv --memorisation");
    assert!(ran.out.contains("50 of 50 samples have several nearest points"), "{}", ran.out);
}

#[test]
fn copies_and_constants_are_told() {
    let place = place();
    let prdc = "--metrics precision,recall,density,coverage";
    let ran = place.kme(&format!("eval one.csv one.csv {prdc}"));
    assert!(ran.err.contains("All 30 points of one.csv are the same point"), "{}", ran.err);
    assert!(ran.err.contains("30 of the 30 balls around points of one.csv have radius 0"), "{}", ran.err);
    let json = place.kme(&format!("eval half.csv x.npy {prdc} --json")).json();
    let result = &json["results"][0]["protocol"];
    assert_eq!((&result["reference"]["repeated"], &result["zero_radii"]["reference"]), (&14.into(), &15.into()));
    assert_eq!(result["zero_radii"]["candidate"], 0);
    assert!(result["candidate"].get("repeated").is_none());
    for metrics in ["kid", "fid", "mmd --kernel energy"] {
        let ran = place.kme(&format!("eval x.npy half.csv --metrics {metrics}"));
        assert!(ran.err.contains("14 points of half.csv (30 in all) are equal to an earlier one"), "{}", ran.err);
        let ran = place.kme(&format!("eval x.npy y.npy --metrics {metrics}"));
        assert!(!ran.err.contains("equal to an earlier one"), "{}", ran.err);
    }
    let ran = place.kme("test x.npy half.csv");
    assert!(ran.err.contains("14 points of half.csv"), "{}", ran.err);
}

#[test]
fn a_set_against_itself_is_said_to_be_that() {
    let place = place();
    let ran = place.kme("eval x.npy x.npy --metrics fid");
    assert!(
        ran.out.contains("0.00000")
            && ran.out.contains("no standard error of fid")
            && !ran.out.contains("too large on average"),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("are the same, point by point"), "{}", ran.err);
}

#[test]
fn what_is_typed_wrong_is_answered_without_misleading_advice() {
    let place = place();
    for (words, told) in [
        ("test x.npy y.npy -o a.csv", "--json > FILE"),
        ("test x.npy y.npy --output a.csv", "--json > FILE"),
        ("test x.npy y.npy --paired", "no paired test"),
        ("test x.npy y.npy --kernal energy", "'--kernel'"),
        ("test x.npy y.npy --strata s", "unexpected argument"),
    ] {
        let ran = place.kme(words);
        assert_eq!(ran.code, Some(2), "{words}");
        assert!(ran.err.contains(told) && !ran.err.contains("as a value"), "{words}: {}", ran.err);
    }
    let ran = place.kme("eval x.npy x.kme-x.kme --metrics mmd");
    assert_eq!(ran.code, Some(2), "{}", ran.err);
}

#[test]
fn weights_that_cancel_out_have_the_sum_0() {
    let place = place();
    assert_eq!(place.kme("embed x.npy -o a.kme --kernel energy").code, Some(0));
    assert_eq!(place.kme("embed y.npy -o b.kme --kernel energy").code, Some(0));
    let ran = place.run(&["eval", "a.kme", "a.kme - b.kme", "--metrics", "mmd"]);
    assert_eq!(ran.code, Some(2), "{}", ran.err);
    assert!(ran.err.contains("a.kme - b.kme: sum of the weights is 0, but must be greater than 0"), "{}", ran.err);
}

#[test]
fn one_file_is_remarked_on_once() {
    let place = place();
    std::fs::write(place.path("table.csv"), ",a,b\nx,1,2\ny,3,4\nz,2,9\nu,5,1\nv,7,7\n").unwrap();
    let ran = place.kme("eval table.csv table.csv --metrics mmd --kernel energy");
    let lines: Vec<&str> = ran.err.lines().filter(|line| line.starts_with("table.csv: ")).collect();
    assert!(lines.len() == 2 && lines[0] != lines[1], "{}", ran.err);
    assert!(lines[0].contains("row names"), "{}", ran.err);
}

/// Lines of progress come where standard error is no terminal; the bar on a terminal counts the same.
#[test]
fn a_long_test_says_how_far_it_is() {
    let place = Place::new();
    place.normal("x.npy", 6000, 16, 0.0, 1);
    place.normal("y.npy", 6000, 16, 0.0, 2);
    let progress = |words: &str| {
        let output = common::command()
            .args(words.split_whitespace())
            .current_dir(place.path("."))
            .env("KME_PROGRESS", "0.05")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        let lines = text.lines().filter(|line| line.starts_with("million pairs of points "));
        lines.map(String::from).collect::<Vec<_>>()
    };
    for (words, total) in [
        ("test x.npy y.npy --method permutation --kernel gaussian:sigma=2 --permutations 299", "/72 ("),
        ("test x.npy y.npy --method block --block-size 3000 --permutations 299", "/36 ("),
        ("test x.npy y.npy x.npy --permutations 299", "/72 ("),
    ] {
        let lines = progress(words);
        assert!(!lines.is_empty() && lines.iter().all(|line| line.contains(total)), "{words}: {lines:?}");
        let done = |line: &String| -> u64 {
            line.split_whitespace().nth(4).unwrap().split('/').next().unwrap().parse().unwrap()
        };
        assert!(lines.iter().any(|line| done(line) > 0), "{words}: {lines:?}");
        assert!(lines.is_sorted_by_key(done), "{words}: {lines:?}");
    }
    assert!(progress("test x.npy y.npy --method permutation --quiet").is_empty());
}

#[test]
fn a_p_value_below_those_of_permutations_says_that_it_is_continued() {
    let place = Place::new();
    for (name, shift, seed) in [("x", 0.0, 1), ("y", 0.0, 2), ("z", 1.5, 3)] {
        place.normal(&format!("{name}.npy"), 200, 3, shift, seed);
    }
    let line = |words: &str| {
        let out = place.kme(words).out;
        out.lines().find(|line| line.starts_with("p by permutations")).unwrap().to_string()
    };
    let continued = line("test x.npy y.npy z.npy");
    assert!(continued.ends_with("(below 1/1000: their tail, continued)"), "{continued}");
    let ordinary = line("test x.npy z.npy y.npy");
    assert!(!ordinary.contains("below"), "{ordinary}");
    let few = line("test x.npy y.npy z.npy --permutations 50");
    assert!(!few.contains("below"), "{few}");
}

#[test]
fn tables_have_what_was_done_to_pictures() {
    let place = Place::new();
    for (name, seed) in [("a", 1), ("b", 2)] {
        assert_eq!(place.kme(&format!("sample fashion -n 6 --seed {seed} -o {name}")).code, Some(0));
    }
    let words = "eval a b --features pixels --size 8x8 --channels 1 --resize pytorch-fid";
    let json = place.kme(&format!("{words} --json")).json();
    let csv = place.kme(&format!("{words} --format csv")).out;
    let mut reader = csv.lines();
    let header: Vec<&str> = reader.next().unwrap().split(',').collect();
    // The cells with commas, kernel, preparation and decoder, stand in quotes.
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for c in reader.next().unwrap().chars() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            c => cells.last_mut().unwrap().push(c),
        }
    }
    assert_eq!(header.len(), cells.len(), "{csv}");
    let cell = |name: &str| cells[header.iter().position(|other| *other == name).unwrap()].as_str();
    let side = &json["protocol"]["candidate"];
    assert_eq!(Some(cell("decoder")), side["decoder"].as_str());
    assert_eq!(Some(cell("resize")), side["resize"].as_str());
    assert_eq!(Some(cell("preprocessing")), json["features"]["protocol"].as_str());
    assert!(cell("decoder").contains("alpha dropped") && cell("resize").contains("pytorch-fid"), "{csv}");
    let markdown = place.kme(&format!("{words} --format markdown")).out;
    assert!(markdown.contains(cell("decoder")) && markdown.contains("resized by pytorch-fid"), "{markdown}");
}
