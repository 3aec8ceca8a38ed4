//! `kme test`: its findings, its contract, its exit codes.

mod common;

use common::Place;

#[test]
fn two_samples_that_differ_and_two_that_do_not() {
    let place = Place::new();
    place.normal("x.npy", 120, 3, 0.0, 1);
    place.normal("y.csv", 90, 3, 0.6, 2);
    place.normal("z.npy", 100, 3, 0.0, 3);
    for method in ["aggregated", "permutation", "block --block-size 6", "linear"] {
        // A shift of 2 is seen by the linear-time test too.
        place.normal("far.npy", 90, 3, 2.0, 4);
        let far = place.kme(&format!("test x.npy far.npy --method {method} --json")).json();
        assert_eq!(far["reject"], true, "{method}: {far}");
        let same = place.kme(&format!("test x.npy z.npy --method {method} --json")).json();
        assert_eq!(same["reject"], false, "{method}: {same}");
        assert!(same["p_value"].as_f64().unwrap() > 0.05);
        assert_eq!(far["permutations"], 999);
        assert_eq!(far["method"], method.split(' ').next().unwrap());
        for field in ["value", "statistic", "kernel", "alpha", "features", "protocol", "seed", "version", "seconds"] {
            assert!(!far[field].is_null(), "{method}: {field}");
        }
        assert_eq!((far["metric"].as_str(), far["n"].as_u64(), far["m"].as_u64()), (Some("mmd2"), Some(120), Some(90)));
    }
    let json = place.kme("test x.npy y.csv --json").json();
    assert_eq!((json["method"].as_str(), json["p_value"].as_f64()), (Some("aggregated"), Some(0.001)));
    let kernels = json["kernels"].as_array().unwrap();
    assert_eq!(kernels.len(), 16);
    assert!(kernels.iter().any(|k| k["reject"] == true) && kernels.iter().any(|k| k["reject"] == false), "{json}");
    let text = place.kme("test x.npy y.csv");
    let first = text.out.lines().next().unwrap();
    assert_eq!(first, "x.npy and y.csv differ: p = 0.001 <= 0.05");
    assert!(text.out.contains("aggregated, 999 permutations") && text.out.contains("corrected p"), "{}", text.out);
    let text = place.kme("test x.npy z.npy");
    assert!(text.out.starts_with("no difference found between x.npy and z.npy: p = 0."), "{}", text.out);
    assert!(text.err.contains("does not prove that there is nothing"), "{}", text.err);
}

#[test]
fn the_value_is_that_of_eval_and_the_default_method_follows_the_flags() {
    let place = Place::new();
    place.normal("x.npy", 60, 3, 0.0, 1);
    place.normal("y.npy", 50, 3, 0.3, 2);
    let test = place.kme("test x.npy y.npy --kernel gaussian:sigma=median --json").json();
    let eval = place.kme("eval x.npy y.npy --metrics mmd --kernel gaussian:sigma=median --json").json();
    assert_eq!(test["method"], "permutation");
    for field in ["value", "standard_error", "kernel", "estimator"] {
        assert_eq!(test[field], eval[field], "{field}");
    }
    let json = place.kme("test x.npy y.npy --kernel energy --kernel gaussian:sigma=1,2 --json").json();
    assert_eq!((json["method"].as_str(), json["kernels"].as_array().unwrap().len()), (Some("aggregated"), 2));
    let json = place.kme("test x.npy y.npy --method permutation --estimator biased --json").json();
    assert_eq!(json["estimator"], "biased");
    assert!(json["kernel"].as_str().unwrap().starts_with("gaussian:sigma="));
    // An embedding brings its kernel.
    assert_eq!(place.kme("embed x.npy -o x.kme --kernel laplacian:scale=2").code, Some(0));
    let json = place.kme("test x.kme y.npy --method permutation --json").json();
    assert_eq!(json["kernel"], "laplacian:scale=2");
}

#[test]
fn the_result_depends_on_the_seed_and_not_on_threads() {
    let place = Place::new();
    place.normal("x.npy", 400, 5, 0.0, 1);
    place.normal("y.npy", 300, 5, 0.05, 2);
    let p = |flags: &str| {
        place.kme(&format!("test x.npy y.npy --permutations 199 --json {flags}")).json()["p_value"].to_string()
    };
    for method in ["aggregated", "permutation --precision f32", "block"] {
        let of = |flags: &str| p(&format!("--method {method} {flags}"));
        assert_eq!(of("--threads 1"), of("--threads 2"), "{method}");
        assert_ne!(of("--seed 1"), of("--seed 2"), "{method}");
    }
}

#[test]
fn three_samples() {
    let place = Place::new();
    place.normal("x.npy", 300, 6, 0.0, 1);
    place.normal("near.npy", 200, 6, 0.05, 2);
    place.normal("far.npy", 250, 6, 0.5, 3);
    let json = place.kme("test x.npy near.npy far.npy --json").json();
    assert_eq!((json["reject"].as_bool(), json["metric"].as_str()), (Some(true), Some("mmd2_difference")));
    assert!(json["value"].as_f64().unwrap() < 0.0 && json["permutations"] == 999);
    let p = |name: &str| json[name].as_f64().unwrap();
    let weight = p("asymptotic_weight");
    let right = weight * p("asymptotic_p_value").ln() + (1.0 - weight) * p("guard_p_value").ln();
    assert!((p("p_value").ln() - right).abs() < 1e-9 && p("guard_p_value") >= p("permutation_p_value"));
    assert!(json["kernel"].as_str().unwrap().starts_with("poly:degree=3"));
    let kid = |name: &str| place.kme(&format!("eval x.npy {name} --json")).value();
    let right = kid("near.npy") - kid("far.npy");
    assert!((json["value"].as_f64().unwrap() - right).abs() < 1e-9 * right.abs());
    let text = place.kme("test x.npy near.npy far.npy");
    assert!(text.out.starts_with("near.npy is nearer to x.npy than far.npy: p = "), "{}", text.out);
    let text = place.kme("test x.npy far.npy near.npy --kernel energy");
    assert!(
        text.out.starts_with("found no evidence that far.npy is nearer to x.npy than near.npy: p = 1 >"),
        "{}",
        text.out
    );
}

/// Equality is part of the hypothesis, whatever the sizes.
#[test]
fn of_three_samples_of_one_law_none_is_nearer() {
    let place = Place::new();
    for (seed, (m, l)) in [(0, (100, 100)), (3, (20, 150)), (6, (120, 40))] {
        place.normal("x.npy", 100, 5, 0.0, seed + 1);
        place.normal("y.npy", m, 5, 0.0, seed + 2);
        place.normal("z.npy", l, 5, 0.0, seed + 3);
        for kernel in ["gaussian:sigma=median", "energy", "laplacian:scale=median", "poly:degree=3,gamma=1/d,coef=1"] {
            for words in ["y.npy z.npy", "z.npy y.npy"] {
                let json = place.kme(&format!("test x.npy {words} --kernel {kernel} --json")).json();
                assert!(json["p_value"].as_f64().unwrap() > 0.001, "{words} {kernel}: {json}");
            }
        }
    }
}

#[test]
fn the_seed_draws_pairs() {
    let place = Place::new();
    place.normal("x.npy", 80, 3, 0.0, 1);
    place.normal("y.npy", 80, 3, 0.5, 2);
    for words in ["test x.npy y.npy --method linear", "eval x.npy y.npy --metrics mmd --estimator u-statistic"] {
        let value = |seed: &str| place.kme(&format!("{words} --json {seed}")).value();
        assert_eq!(value(""), value("--seed 0"), "{words}");
        assert_ne!(value("--seed 1"), value("--seed 2"), "{words}");
    }
}

/// The value of the aggregated test has an error, and does not depend on the seed where kernels agree.
#[test]
fn the_aggregated_test_has_a_value_of_its_own() {
    let place = Place::new();
    place.normal("x.npy", 120, 3, 0.0, 1);
    place.normal("y.npy", 90, 3, 0.8, 2);
    let of = |seed: u32| {
        let json = place.kme(&format!("test x.npy y.npy --method aggregated --json --seed {seed}")).json();
        (json["kernel"].to_string(), json["value"].as_f64().unwrap(), json["standard_error"].as_f64().unwrap())
    };
    assert_eq!(of(1), of(2));
    assert_eq!(of(1), of(3));
    let (kernel, value, error) = of(1);
    let eval =
        place.kme(&format!("eval x.npy y.npy --metrics mmd --kernel {} --json", kernel.trim_matches('"'))).json();
    let number = |name: &str| eval[name].as_f64().unwrap();
    assert!((number("value") / value - 1.0).abs() < 1e-9 && (number("standard_error") / error - 1.0).abs() < 1e-9);
    let bounds: Vec<f64> = eval["bounds"].as_array().unwrap().iter().map(|b| b.as_f64().unwrap()).collect();
    assert!(bounds[0] < value - 1.6 * error && bounds[1] > value + 1.6 * error, "{eval}");
}

#[test]
fn copies_of_training_points() {
    let place = Place::new();
    let train = place.normal("train.npy", 150, 4, 0.0, 1);
    place.normal("held.npy", 100, 4, 0.0, 2);
    let mut samples = place.normal("new.npy", 200, 4, 0.0, 3);
    for i in 0..20 {
        samples[10 * i] = train[7 * i].clone();
    }
    let lines: Vec<String> =
        samples.iter().map(|row| row.iter().map(f64::to_string).collect::<Vec<_>>().join(",")).collect();
    std::fs::write(place.path("copied.csv"), lines.join("\n")).unwrap();
    let json = place.kme("test copied.csv train.npy held.npy --memorisation --json").json();
    assert_eq!((json["reject"].as_bool(), json["p_value"].as_f64()), (Some(true), Some(0.001)));
    let (copies, error) = (json["copies"].as_f64().unwrap(), json["copies_standard_error"].as_f64().unwrap());
    assert!((copies - 20.0).abs() < 3.0 * error, "{copies} ± {error}");
    let mut named: Vec<(u64, u64)> = json["suspects"].as_array().unwrap()[..20]
        .iter()
        .map(|s| (s["sample"].as_u64().unwrap(), s["train"].as_u64().unwrap()))
        .collect();
    named.sort_unstable();
    assert_eq!(named, (0..20).map(|i| (10 * i, 7 * i)).collect::<Vec<_>>());
    let text = place.kme("test copied.csv train.npy held.npy --memorisation");
    assert!(text.out.starts_with("copied.csv holds copies of train.npy: p = 0.001"), "{}", text.out);
    assert!(text.out.contains("training point"), "{}", text.out);
    let json = place.kme("test new.npy train.npy held.npy --memorisation --json").json();
    assert_eq!(json["reject"], false, "{json}");
}

#[test]
fn findings_decide_about_the_exit_code() {
    let place = Place::new();
    let x = place.normal("x.npy", 100, 3, 0.0, 1);
    place.normal("y.npy", 100, 3, 1.0, 2);
    place.normal("z.npy", 100, 3, 0.0, 3);
    assert_eq!(x.len(), 100);
    for (words, code) in [
        ("x.npy y.npy --assert differ", 0),
        ("x.npy y.npy --assert same", 1),
        ("x.npy z.npy --assert differ", 1),
        ("x.npy z.npy --assert same", 0),
        ("x.npy z.npy y.npy --assert nearer", 0),
        ("x.npy y.npy z.npy --assert nearer", 1),
        ("x.npy y.npy z.npy --assert not-nearer", 0),
        ("x.npy x.npy z.npy --memorisation --assert copied", 0),
        ("x.npy y.npy z.npy --memorisation --assert copied", 1),
        ("x.npy x.npy z.npy --memorisation --assert not-copied", 1),
    ] {
        let ran = place.kme(&format!("test {words} --json"));
        assert_eq!(ran.code, Some(code), "{words}: {} {}", ran.out, ran.err);
        assert_eq!(ran.err.contains("does not hold"), code == 1, "{words}: {}", ran.err);
        let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(json["assertions"][0]["holds"], code == 0);
    }
}

#[test]
fn pictures_go_through_a_feature_map() {
    let place = Place::new();
    place.pictures("a", 30, 1);
    place.pictures("b", 25, 2);
    let json = place.kme("test a b --features fashion-classifier --json").json();
    assert_eq!((json["n"].as_u64(), json["reject"].as_bool()), (Some(30), Some(false)));
    assert!(json["features"]["name"].as_str().unwrap().starts_with("fashion-classifier"));
    assert!(json["protocol"]["samples"][1]["fingerprint"].is_string());
}
