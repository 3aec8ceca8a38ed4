//! `kme eval` against naive sums in double precision, and its contract.

mod common;

use common::Place;

type Kernel = Box<dyn Fn(&[f64], &[f64]) -> f64>;

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| a * b).sum()
}

fn distance(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

fn radial(f: impl Fn(f64) -> f64 + 'static) -> Kernel {
    Box::new(move |x, y| f(distance(x, y)))
}

fn gaussians(widths: &'static [f64]) -> Kernel {
    radial(move |r| widths.iter().map(|s| (-r * r / (2.0 * s * s)).exp()).sum())
}

fn quadratics(r: f64, alphas: &[f64]) -> f64 {
    alphas.iter().map(|a| (1.0 + r * r / (2.0 * a)).powf(-a)).sum()
}

fn cubic(x: &[f64], y: &[f64]) -> f64 {
    (dot(x, y) / x.len() as f64 + 1.0).powi(3)
}

/// Every kernel that the command line knows, written out a second time.
fn kernels() -> Vec<(&'static str, Kernel)> {
    vec![
        ("linear", Box::new(dot)),
        ("poly:degree=3,gamma=1/d,coef=1", Box::new(cubic)),
        ("poly:degree=2,gamma=0.5,coef=0", Box::new(|x, y| (0.5 * dot(x, y)).powi(2))),
        ("gaussian:sigma=2", gaussians(&[2.0])),
        ("gaussian:gamma=0.125", gaussians(&[2.0])),
        ("gaussian:sigma=2,5,10,20,40,80", gaussians(&[2.0, 5.0, 10.0, 20.0, 40.0, 80.0])),
        ("rq:alpha=0.2,0.5,1,2,5", radial(|r| quadratics(r, &[0.2, 0.5, 1.0, 2.0, 5.0]))),
        ("rq:alpha=0.2,1+linear", Box::new(|x, y| quadratics(distance(x, y), &[0.2, 1.0]) + dot(x, y))),
        ("rq:alpha=1+0.1*linear", Box::new(|x, y| quadratics(distance(x, y), &[1.0]) + 0.1 * dot(x, y))),
        ("laplacian:scale=1", radial(|r| (-r).exp())),
        ("imq:c=10", radial(|r| 1.0 / (100.0 + r * r).sqrt())),
        ("energy", radial(|r| -r)),
        ("energy:a=1e-6", radial(|r| 1e-6 - (1e-12 + r * r).sqrt())),
        ("distance", Box::new(|x, y| dot(x, x).sqrt() + dot(y, y).sqrt() - distance(x, y))),
    ]
}

/// Σᵢⱼ uᵢ vⱼ k(xᵢ,yⱼ), without i = j where that is asked for.
fn sum(k: &Kernel, x: &[Vec<f64>], y: &[Vec<f64>], without_diagonal: bool) -> f64 {
    let mut total = 0.0;
    for (i, a) in x.iter().enumerate() {
        for (j, b) in y.iter().enumerate() {
            if !(without_diagonal && i == j) {
                total += k(a, b);
            }
        }
    }
    total
}

fn mmd2(k: &Kernel, x: &[Vec<f64>], y: &[Vec<f64>], unbiased: bool) -> f64 {
    let (n, m) = (x.len() as f64, y.len() as f64);
    let less = if unbiased { 1.0 } else { 0.0 };
    sum(k, x, x, unbiased) / (n * (n - less)) + sum(k, y, y, unbiased) / (m * (m - less))
        - 2.0 * sum(k, x, y, false) / (n * m)
}

fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 1e-6 * expected.abs(), "{what}: {found} instead of {expected}");
}

#[test]
fn every_kernel_agrees_with_a_naive_loop() {
    let place = Place::new();
    let x = place.normal("x.npy", 61, 5, 0.0, 1);
    let y = place.normal("y.csv", 47, 5, 0.6, 2);
    for (text, kernel) in kernels() {
        for estimator in ["biased", "unbiased"] {
            let ran = place.kme(&format!(
                "eval x.npy y.csv --features identity --metrics mmd --kernel {text} --estimator {estimator} --json"
            ));
            assert_close(ran.value(), mmd2(&kernel, &x, &y, estimator == "unbiased"), &format!("{text} {estimator}"));
            let json = ran.json();
            assert_eq!(json["metric"], "mmd2");
            assert_eq!(json["estimator"], estimator);
            assert_eq!((json["n"].as_u64(), json["m"].as_u64()), (Some(61), Some(47)));
            assert_eq!(json["features"]["name"], "identity");
            assert!(json["standard_error"].as_f64().is_some_and(|e| e > 0.0));
            for field in ["kernel", "protocol", "seed", "version", "seconds"] {
                assert!(!json[field].is_null(), "{field}");
            }
        }
    }
}

#[test]
fn kid_is_the_unbiased_cubic_on_all_points() {
    let place = Place::new();
    let x = place.normal("x.npy", 90, 16, 0.0, 1);
    let y = place.normal("y.npy", 70, 16, 0.3, 2);
    let cubic: Kernel = Box::new(cubic);
    let ran = place.kme("eval x.npy y.npy --metrics kid --json");
    assert_close(ran.value(), mmd2(&cubic, &x, &y, true), "kid");
    assert_eq!(ran.json()["metric"], "kid");
    assert_eq!(place.kme("eval x.npy y.npy --json").value(), ran.value(), "kid is the default");
    let biased = place.kme("eval x.npy y.npy --metrics kid --estimator biased --json");
    assert_close(biased.value(), mmd2(&cubic, &x, &y, false), "biased");
}

#[test]
fn the_value_does_not_depend_on_the_number_of_threads() {
    let place = Place::new();
    place.normal("x.npy", 700, 20, 0.0, 1);
    place.normal("y.npy", 613, 20, 0.1, 2);
    place.pictures("a", 130, 1);
    place.pictures("b", 57, 2);
    for command in [
        "eval x.npy y.npy --metrics kid --json",
        "eval x.npy y.npy --kernel gaussian:sigma=median+energy --json",
        "eval x.npy y.npy --kernel rq:alpha=0.2,1 --precision f32 --json",
        "eval x.npy y.npy --metrics fid --json",
        "eval x.npy y.npy --metrics coverage --json",
        "eval x.npy y.npy --metrics is --json",
        "eval x.npy y.npy --protocol torch-fidelity --subsets 3 --subset-size 300 --json",
        "eval a b --features fashion-classifier --json",
        "eval a b --features pixels --metrics mmd --json",
    ] {
        let of = |threads: usize| {
            let json = place.kme(&format!("{command} --threads {threads}")).json();
            (json["value"].to_string(), json["standard_error"].to_string(), json["kernel"].to_string())
        };
        assert_eq!(of(1), of(2), "{command}");
    }
}

#[test]
fn the_median_is_that_of_all_distinct_pairs_and_is_printed() {
    let place = Place::new();
    let mut all = place.normal("x.npy", 20, 3, 0.0, 1);
    all.extend(place.normal("y.npy", 15, 3, 0.5, 2));
    let mut distances: Vec<f64> =
        (0..all.len()).flat_map(|i| all[..i].iter().map(|y| distance(&all[i], y)).collect::<Vec<_>>()).collect();
    distances.sort_by(f64::total_cmp);
    let median = distances[distances.len() / 2];
    assert_eq!(distances.len() % 2, 1);
    let json = place.kme("eval x.npy y.npy --metrics mmd --json").json();
    let kernel = json["kernel"].as_str().unwrap();
    let printed: f64 = kernel.strip_prefix("gaussian:sigma=").unwrap().parse().unwrap();
    assert_close(printed, median, kernel);
}

#[test]
fn several_candidates_and_metrics_come_as_a_list() {
    let place = Place::new();
    place.normal("x.npy", 50, 4, 0.0, 1);
    place.normal("y.npy", 40, 4, 0.5, 2);
    place.normal("z.npy", 30, 4, 1.0, 3);
    let json = place.kme("eval x.npy y.npy z.npy --metrics kid,mmd --kernel linear --json").json();
    let results = json["results"].as_array().unwrap();
    let heads: Vec<_> =
        results.iter().map(|r| (r["metric"].as_str().unwrap(), r["candidate"].as_str().unwrap())).collect();
    assert_eq!(heads, [("kid", "y.npy"), ("mmd2", "y.npy"), ("kid", "z.npy"), ("mmd2", "z.npy")]);
    let single = place.kme("eval x.npy z.npy --kernel linear --json");
    assert_eq!(results[3]["value"].as_f64(), Some(single.value()));
    let text = place.kme("eval z.npy y.npy x.npy --metrics kid,mmd --kernel linear").out;
    let rows: Vec<Vec<&str>> = text.lines().take(3).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["candidate", "kid", "mmd2", "points"]);
    assert_eq!((rows[1][0], rows[1].last()), ("y.npy", Some(&"40")), "in the order given");
    assert_eq!((rows[2][0], rows[2].last()), ("x.npy", Some(&"50")), "in the order given");
    assert!(text.contains("±") && text.contains("seed 0"));
}

#[test]
fn an_embedding_brings_its_weights_and_its_kernel() {
    let place = Place::new();
    let x = place.normal("x.npy", 12, 3, 0.0, 1);
    let y = place.normal("y.npy", 10, 3, 0.5, 2);
    let weights = [3.0, 1.0, 2.0, 0.0, 1.0, 1.0, 5.0, 1.0, 0.5, 1.0, 1.0, 2.0];
    let lines: Vec<String> = weights.iter().map(f64::to_string).collect();
    std::fs::write(place.path("w.csv"), lines.join("\n")).unwrap();
    assert_eq!(place.kme("embed x.npy -o x.kme --weights w.csv --kernel laplacian:scale=2").code, Some(0));
    let total: f64 = weights.iter().sum();
    let w: Vec<f64> = weights.iter().map(|w| w / total).collect();
    let k = radial(|r| (-r / 2.0).exp());
    let mut xx = 0.0;
    for i in 0..12 {
        for j in 0..12 {
            xx += w[i] * w[j] * k(&x[i], &x[j]);
        }
    }
    let xy: f64 = (0..12).map(|i| w[i] * y.iter().map(|y| k(&x[i], y)).sum::<f64>() / 10.0).sum();
    let expected = xx + sum(&k, &y, &y, false) / 100.0 - 2.0 * xy;
    let ran = place.kme("eval x.kme y.npy --metrics mmd --estimator biased --json");
    assert_close(ran.value(), expected, "weighted");
    assert_eq!(ran.json()["kernel"], "laplacian:scale=2");
    assert!(ran.json()["standard_error"].is_null());
    // Another kernel is used when it is named, and a uniform file is the points themselves.
    assert_eq!(place.kme("embed x.npy -o u.kme --kernel energy").code, Some(0));
    let plain = place.kme("eval x.npy y.npy --kernel gaussian:sigma=1 --json").value();
    assert_close(place.kme("eval u.kme y.npy --kernel gaussian:sigma=1 --json").value(), plain, "uniform");
    // Mixtures: 0.5 x + 0.5 y is at a quarter of the squared distance from y.
    assert_eq!(place.kme("embed y.npy -o y.kme --kernel energy").code, Some(0));
    let whole = place.kme("eval u.kme y.kme --metrics mmd --estimator biased --json").value();
    let words = ["eval", "0.5*u.kme + 0.5*y.kme", "y.kme", "--metrics", "mmd", "--estimator", "biased", "--json"];
    assert_close(place.run(&words).value(), whole / 4.0, "mixture");
}

#[test]
fn random_features_come_near_the_kernel() {
    let place = Place::new();
    place.normal("x.npy", 80, 3, 0.0, 1);
    place.normal("y.npy", 60, 3, 0.7, 2);
    let exact = place.kme("eval x.npy y.npy --kernel gaussian:sigma=2 --estimator biased --json").value();
    assert_eq!(
        place.kme("embed x.npy -o x.kme --kernel gaussian:sigma=2 --random-features 4000 --seed 5").code,
        Some(0)
    );
    let ran = place.kme("eval x.kme y.npy --json");
    assert!((ran.value() - exact).abs() < 0.1 * exact, "{} for {exact}", ran.value());
    let json = ran.json();
    assert_eq!((json["estimator"].as_str(), json["m"].as_u64()), (Some("biased"), Some(60)));
    assert_eq!(
        place.kme("embed y.npy -o y.kme --kernel gaussian:sigma=2 --random-features 4000 --seed 5").code,
        Some(0)
    );
    assert_eq!(place.kme("eval x.kme y.kme --json").value(), ran.value());
    let refused = place.kme("eval x.kme y.npy --metrics kid");
    assert!(refused.code == Some(2) && refused.err.contains("random features"), "{}", refused.err);
}

#[test]
fn claims_decide_about_the_exit_code() {
    let place = Place::new();
    place.normal("x.npy", 200, 4, 0.0, 1);
    place.normal("y.npy", 200, 4, 1.0, 2);
    place.normal("z.npy", 200, 4, 0.0, 3);
    for (candidates, claim, code) in [
        ("y.npy", "kid>0.5", 0),
        ("y.npy", "kid<0.5", 1),
        ("z.npy", "kid<0.5", 0),
        // Not established either way: the standard error counts.
        ("z.npy", "kid<0.0001", 1),
        ("z.npy", "kid>-0.0001", 1),
        ("z.npy y.npy", "kid<0.5", 1),
        ("z.npy", "mmd<0.1", 0),
    ] {
        let ran = place.kme(&format!("eval x.npy {candidates} --assert {claim} --json"));
        assert_eq!(ran.code, Some(code), "{candidates} {claim}: {}", ran.err);
        assert_eq!(ran.err.contains("does not hold"), code == 1, "{}", ran.err);
        // The verdict is printed whatever it is.
        let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        assert!(json.to_string().contains("\"holds\""));
    }
    let ran = place.kme("eval x.npy y.npy --metrics kid --assert mmd<1");
    assert!(ran.code == Some(2) && ran.err.contains("add mmd"), "{}", ran.err);
}

#[test]
fn a_negative_estimate_is_printed_and_explained() {
    let place = Place::new();
    let negative = (1..40).find(|&seed| {
        place.normal("x.npy", 30, 4, 0.0, 2 * seed);
        place.normal("y.npy", 30, 4, 0.0, 2 * seed + 1);
        place.kme("eval x.npy y.npy --json").value() < 0.0
    });
    assert!(negative.is_some());
    let ran = place.kme("eval x.npy y.npy");
    assert!(ran.err.contains("Negative values are expected"), "{}", ran.err);
    assert!(ran.out.contains("-0."), "{}", ran.out);
    assert!(place.kme("eval x.npy y.npy --quiet").err.is_empty());
    assert!(place.kme("eval x.npy y.npy --estimator biased --json").value() > 0.0);
}

#[test]
fn estimators_by_pairs_take_sorted_points() {
    let place = Place::new();
    place.normal("x.npy", 30, 2, 0.0, 1);
    place.normal("y.npy", 30, 2, 5.0, 2);
    for name in ["x", "y"] {
        assert_eq!(place.kme(&format!("embed {name}.npy -o {name}.kme --kernel gaussian:sigma=1")).code, Some(0));
    }
    for estimator in ["linear", "u-statistic"] {
        // The samples are far apart, so MMD² is E k(X,X') + E k(Y,Y') = 2/3; pairs of neighbours would give far more.
        let value = place.kme(&format!("eval x.kme y.kme --metrics mmd --estimator {estimator} --json")).value();
        assert!((value - 2.0 / 3.0).abs() < 0.35, "{estimator}: {value}");
    }
}

fn value(results: &serde_json::Value, metric: &str) -> serde_json::Value {
    let all = results["results"].as_array().unwrap();
    all.iter().find(|r| r["metric"] == metric).unwrap_or_else(|| panic!("no {metric}")).clone()
}

#[test]
fn every_metric_is_that_of_the_library() {
    use kme::{Points, Protocol};
    let place = Place::new();
    place.normal("x.npy", 120, 6, 0.0, 1);
    place.normal("y.npy", 90, 6, 0.4, 2);
    let [x, y] = ["x.npy", "y.npy"].map(|name| Points::read(place.path(name)).unwrap());
    let found = place.kme("eval x.npy y.npy --metrics kid,fid,is,mmd,prdc --kernel linear --json").json();
    let fid = kme::fid(&x, &y).unwrap();
    let score = kme::inception_score(&y, 10, Protocol::Full, None).unwrap();
    let balls = kme::prdc(&x, &y, 3).unwrap();
    for (metric, expected, error) in [
        ("fid", fid.value, fid.standard_error),
        ("inception_score", score.value, score.standard_error),
        ("precision", balls.precision.value, balls.precision.standard_error),
        ("recall", balls.recall.value, balls.recall.standard_error),
        ("density", balls.density.value, balls.density.standard_error),
        ("coverage", balls.coverage.value, balls.coverage.standard_error),
    ] {
        let result = value(&found, metric);
        assert_eq!((result["value"].as_f64(), result["standard_error"].as_f64()), (Some(expected), error), "{metric}");
        assert_eq!(result["m"], 90);
    }
    assert_eq!(value(&found, "fid")["bias"].as_f64(), fid.bias);
    assert_eq!(value(&found, "inception_score")["spread"].as_f64(), Some(score.spread));
    assert_eq!(value(&found, "inception_score")["n"], serde_json::Value::Null);
    let text = place.kme("eval x.npy y.npy --metrics kid,fid,is,mmd,prdc --kernel linear").out;
    let head: Vec<&str> = text.lines().next().unwrap().split_whitespace().collect();
    let quantities = ["kid", "fid", "inception_score", "mmd2", "precision", "recall", "density", "coverage"];
    assert_eq!(head[1..9], quantities);
    assert!(text.contains("too large on average") && text.contains("k = 3") && text.contains("10 splits"), "{text}");
    assert!(text.contains("precision, recall, density, coverage: nearest"), "{text}");
}

#[test]
fn protocols_are_those_of_the_library_and_are_told() {
    use kme::{Protocol, Subsets};
    let place = Place::new();
    place.normal("x.npy", 120, 6, 0.0, 1);
    place.normal("y.npy", 90, 6, 0.4, 2);
    let [x, y] = ["x.npy", "y.npy"].map(|name| kme::Points::read(place.path(name)).unwrap());
    for (protocol, flags, seed) in [
        (Protocol::TorchFidelity, "", None),
        (Protocol::TorchFidelity, "--seed 5", Some(5)),
        (Protocol::CleanFid, "", None),
        (Protocol::Paper, "--seed 2", Some(2)),
    ] {
        let subsets = Subsets { count: 7, size: 50 };
        let expected =
            kme::KidSettings { protocol, subsets, seed, ..kme::KidSettings::default() }.measure(&x, &y).unwrap();
        let command = format!("eval x.npy y.npy --protocol {protocol} --subsets 7 --subset-size 50 {flags}");
        let found = place.kme(&format!("{command} --json")).json();
        assert_eq!(found["value"].as_f64(), Some(expected.value));
        assert_eq!(found["standard_error"].as_f64(), expected.standard_error);
        assert_eq!(found["spread"].as_f64(), expected.spread);
        assert_eq!(found["protocol"]["name"], protocol.to_string());
        assert_eq!(found["protocol"]["subsets"], serde_json::json!({ "count": 7, "size": 50 }));
        assert_eq!(found["protocol"]["seed"].as_u64(), Some(seed.unwrap_or(protocol.default_seed())));
        let text = place.kme(&command).out;
        assert!(text.contains("7 subsets of 50") && text.contains("tools print as ±"), "{text}");
    }
    let shrunk = place.kme("eval x.npy y.npy --protocol clean-fid --subsets 2 --json").json();
    assert_eq!(shrunk["protocol"]["subsets"]["size"], 90);
    let order = |protocol| place.kme(&format!("eval x.npy y.npy --metrics is --protocol {protocol} --json")).value();
    assert!(order("paper") != order("full") && order("full") != order("torch-fidelity"));
}

/// Writes the statistics of points as other tools do: a zip of `mu.npy` and `sigma.npy`.
fn write_statistics(place: &Place, name: &str, mean: &[f64], covariance: &[f64]) {
    use std::io::Write;
    let d = mean.len();
    let entry = |shape: String, numbers: &[f64]| -> Vec<u8> {
        let mut header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}");
        while (10 + header.len() + 1) % 64 != 0 {
            header.push(' ');
        }
        header.push('\n');
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        numbers.iter().for_each(|x| bytes.extend(x.to_le_bytes()));
        bytes
    };
    let mut file = zip::ZipWriter::new(std::fs::File::create(place.path(name)).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    for (array, shape, numbers) in
        [("mu.npy", format!("({d},)"), mean), ("sigma.npy", format!("({d}, {})", covariance.len() / d), covariance)]
    {
        file.start_file(array, options).unwrap();
        file.write_all(&entry(shape, numbers)).unwrap();
    }
    file.finish().unwrap();
}

#[test]
fn statistics_are_a_source_for_fid_alone() {
    use kme::Statistics;
    let place = Place::new();
    place.normal("x.npy", 120, 6, 0.0, 1);
    place.normal("y.npy", 90, 6, 0.4, 2);
    let statistics = Statistics::of_points(&kme::Points::read(place.path("x.npy")).unwrap()).unwrap();
    write_statistics(&place, "x.npz", statistics.mean(), statistics.covariance());
    let whole = place.kme("eval x.npy y.npy --metrics fid --json").json();
    // fid is the default with statistics.
    let found = place.kme("eval x.npz y.npy --json").json();
    assert_close(found["value"].as_f64().unwrap(), whole["value"].as_f64().unwrap(), "statistics as reference");
    assert_eq!((found["metric"].as_str(), found["n"].as_u64(), found["m"].as_u64()), (Some("fid"), None, Some(90)));
    // The error and the bias are those of the candidate alone.
    let (part, all) = (found["standard_error"].as_f64().unwrap(), whole["standard_error"].as_f64().unwrap());
    assert!(part < all && found["bias"].as_f64() < whole["bias"].as_f64());
    let reverse = place.kme("eval y.npy x.npz --json").json();
    assert_close(reverse["value"].as_f64().unwrap(), found["value"].as_f64().unwrap(), "as candidate");
    assert!(place.kme("eval y.npy x.npz").out.contains("statistics"));
    let both = place.kme("eval x.npz x.npz --json").json();
    assert!(both["value"].as_f64().unwrap().abs() < 1e-10 && both["standard_error"].is_null());

    let mut sigma = statistics.covariance().to_vec();
    sigma[1] += 1.0;
    write_statistics(&place, "skew.npz", statistics.mean(), &sigma);
    sigma[1] = f64::NAN;
    write_statistics(&place, "nan.npz", statistics.mean(), &sigma);
    write_statistics(&place, "shape.npz", statistics.mean(), &statistics.covariance()[..30]);
    let mut sigma = statistics.covariance().to_vec();
    (0..6).for_each(|i| sigma[7 * i] = 0.1);
    (0..6).for_each(|i| (0..i).for_each(|j| sigma[6 * i + j] = 0.09 * if j % 2 == 0 { 1.0 } else { -1.0 }));
    (0..6).for_each(|i| (0..i).for_each(|j| sigma[6 * j + i] = sigma[6 * i + j]));
    write_statistics(&place, "negative.npz", statistics.mean(), &sigma);
    place.normal("five.npy", 90, 5, 0.4, 2);
    for (command, parts) in [
        ("eval x.npz y.npy --metrics kid", vec!["x.npz", "mean and a covariance", "fid"]),
        ("eval x.npz y.npy --metrics fid,prdc", vec!["x.npz", "cannot compute precision"]),
        ("eval x.npz five.npy", vec!["dimension", "6 (x.npz)", "5 (five.npy)"]),
        ("eval skew.npz y.npy", vec!["skew.npz", "symmetric"]),
        ("eval nan.npz y.npy", vec!["nan.npz", "NaN"]),
        ("eval shape.npz y.npy", vec!["shape.npz", "(6, 5)", "(d, d)"]),
        ("eval negative.npz y.npy", vec!["negative.npz", "positive semi-definite"]),
        ("embed x.npz -o out.kme", vec!["x.npz", "not points"]),
    ] {
        let ran = place.kme(command);
        assert_eq!(ran.code, Some(2), "{command}: {}", ran.err);
        assert!(parts.iter().all(|part| ran.err.contains(part)), "{command}: {}", ran.err);
    }
    // An array of the file that is named is points like any other.
    assert_eq!(place.kme("eval x.npz:sigma y.npy --metrics kid").code, Some(0));
}

#[test]
fn claims_are_made_on_every_metric() {
    let place = Place::new();
    place.normal("x.npy", 300, 4, 0.0, 1);
    place.normal("y.npy", 300, 4, 1.0, 2);
    for (claim, code) in [
        ("fid>2.5", 0),
        ("fid<2.5", 1),
        ("precision<0.999", 0),
        ("precision>0.9", 1),
        ("is>1", 0),
        ("coverage<0.95", 0),
    ] {
        let ran = place.kme(&format!("eval x.npy y.npy --assert {claim}"));
        assert_eq!(ran.code, Some(code), "{claim}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn results_are_compared_when_they_can_be() {
    let place = Place::new();
    place.normal("x.npy", 200, 4, 0.0, 1);
    place.normal("other.npy", 200, 4, 0.0, 9);
    place.normal("y.npy", 150, 4, 0.4, 2);
    place.normal("z.npy", 150, 4, 1.0, 3);
    place.normal("few.npy", 100, 4, 1.0, 4);
    let save = |command: &str, name: &str| {
        let ran = place.kme(&format!("eval {command} --json"));
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        std::fs::write(place.path(name), ran.out).unwrap();
    };
    save("x.npy y.npy --metrics kid,fid", "y.json");
    save("x.npy z.npy --metrics fid,kid", "z.json");
    save("x.npy few.npy --metrics fid,kid", "few.json");
    save("x.npy few.npy --metrics kid", "kid.json");
    save("other.npy z.npy --metrics fid,kid", "other.json");
    save("x.npy z.npy --metrics kid --protocol paper --subsets 5 --subset-size 50", "paper.json");
    save("x.npy z.npy --metrics kid --protocol paper --subsets 5 --subset-size 60", "sixty.json");
    save("x.npy z.npy --metrics kid --estimator biased", "biased.json");
    save("x.npy z.npy --metrics prdc", "prdc.json");
    save("x.npy z.npy --metrics prdc --neighbours 5", "five.json");
    std::fs::write(place.path("text.json"), "no json").unwrap();
    std::fs::write(place.path("odd.json"), "{\"metric\":\"kid\",\"value\":\"much\"}").unwrap();

    let found = place.kme("eval --compare y.json z.json --json").json();
    let comparisons = found["comparisons"].as_array().unwrap();
    assert_eq!(comparisons.len(), 2);
    for comparison in comparisons {
        let number = |side: &str, field: &str| comparison[side][field].as_f64().unwrap();
        let difference = number("second", "value") - number("first", "value");
        let error = number("first", "standard_error").hypot(number("second", "standard_error"));
        assert_close(comparison["z"].as_f64().unwrap(), difference / error, "z");
        assert!(comparison["z"].as_f64().unwrap() > 3.0, "z.npy is further off");
    }
    let text = place.kme("eval --compare y.json z.json");
    assert!(text.out.contains("y.npy (y.json)") && text.out.contains("z.npy (z.json)"), "{}", text.out);
    // KID does not depend on the number of points, FID does.
    assert_eq!(place.kme("eval --compare kid.json y.json").code, Some(0));
    for (files, parts) in [
        ("y.json few.json", vec!["number of points of the candidate", "150", "100"]),
        ("y.json other.json", vec!["SHA-256 of the reference"]),
        ("y.json paper.json", vec!["protocol differs", "'full'", "'paper'"]),
        ("paper.json sixty.json", vec!["subsets", "50", "60"]),
        ("y.json biased.json", vec!["estimator", "'unbiased'", "'biased'"]),
        ("prdc.json five.json", vec!["neighbours", "3", "5"]),
        ("y.json prdc.json", vec!["metric differs", "kid, fid (y.json)", "precision"]),
        ("y.json missing.json", vec!["missing.json", "no such file"]),
        ("y.json text.json", vec!["text.json", "not a JSON file"]),
        ("y.json odd.json", vec!["odd.json", "no results"]),
    ] {
        let ran = place.kme(&format!("eval --compare {files}"));
        assert_eq!(ran.code, Some(2), "{files}: {}", ran.err);
        assert!(parts.iter().all(|part| ran.err.contains(part)) && ran.out.is_empty(), "{files}: {}", ran.err);
    }
    // Another network, other preprocessing.
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("kid.json")).unwrap()).unwrap();
    for (field, named) in [("name", "feature map"), ("protocol", "preprocessing"), ("sha256", "weights")] {
        let before = std::mem::replace(&mut json["features"][field], "other".into());
        std::fs::write(place.path("changed.json"), json.to_string()).unwrap();
        json["features"][field] = before;
        let ran = place.kme("eval --compare kid.json changed.json");
        assert!(ran.code == Some(2) && ran.err.contains(named), "{}", ran.err);
    }
}

#[test]
fn cmmd_is_a_thousand_times_the_biased_mmd_of_unit_vectors() {
    let place = Place::new();
    let mut sides = Vec::new();
    for (name, n, shift, seed) in [("x.npy", 40, 0.0, 1), ("y.npy", 30, 0.4, 2), ("same.npy", 35, 0.0, 3)] {
        let mut rows = place.normal(name, n, 5, shift, seed);
        for row in &mut rows {
            let length = row.iter().map(|x| x * x).sum::<f64>().sqrt();
            row.iter_mut().for_each(|x| *x /= length);
        }
        kme::Points::new(n, 5, kme::Data::F64(rows.concat())).unwrap().write(place.path(name)).unwrap();
        sides.push(rows);
    }
    let mean = |x: &[Vec<f64>], y: &[Vec<f64>]| {
        let kernel = |a: &Vec<f64>, b: &Vec<f64>| {
            (-a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / (2.0 * 100.0)).exp()
        };
        x.iter().flat_map(|a| y.iter().map(move |b| kernel(a, b))).sum::<f64>() / (x.len() * y.len()) as f64
    };
    let (x, y) = (&sides[0], &sides[1]);
    let wanted = 1000.0 * (mean(x, x) + mean(y, y) - 2.0 * mean(x, y));
    let json = place.kme("eval x.npy y.npy --metrics cmmd --json").json();
    let found = json["value"].as_f64().unwrap();
    assert!((found / wanted - 1.0).abs() < 1e-9, "{found} and {wanted}");
    assert_eq!((&json["metric"], &json["kernel"]), (&"cmmd".into(), &"gaussian:sigma=10".into()));
    // The bias is that of the means with the diagonals; what is claimed is claimed of the truth.
    let off = |x: &[Vec<f64>]| (1.0 - mean(x, x)) / (x.len() as f64 - 1.0);
    let (bias, wanted) = (json["bias"].as_f64().unwrap(), 1000.0 * (off(x) + off(y)));
    assert!((bias / wanted - 1.0).abs() < 1e-6, "{bias} and {wanted}");
    let ran = place.kme("eval x.npy same.npy --metrics cmmd --assert cmmd>0");
    assert!(
        ran.code == Some(1) && ran.out.contains("too large on average") && !ran.out.contains("or more"),
        "{}",
        ran.out
    );
    let mmd = "eval x.npy same.npy --metrics mmd --kernel gaussian:sigma=1 --estimator biased --assert mmd>0";
    assert_eq!(place.kme(mmd).code, Some(1));
    place.normal("z.npy", 10, 5, 3.0, 3);
    let ran = place.kme("eval x.npy z.npy --metrics cmmd");
    assert!(ran.code == Some(2) && ran.err.contains("unit length") && ran.err.contains("z.npy"), "{}", ran.err);
}
