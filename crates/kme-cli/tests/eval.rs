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
    let text = place.kme("eval x.npy y.npy z.npy --metrics kid,mmd --kernel linear");
    assert!(text.out.lines().nth(4).unwrap().starts_with("mmd2    z.npy"), "{}", text.out);
    assert!(text.out.contains("±") && text.out.contains("seed 0"));
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
    assert!(ran.err.contains("negative value is no fault"), "{}", ran.err);
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
