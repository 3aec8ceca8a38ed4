//! The methods against naive loops in double precision, closed forms, and what random subsets reach.

use super::*;
use crate::Result;
use crate::discrepancy::Sample;
use crate::kernel::{Kernel, Pair};
use crate::points::{Data, Points};
use crate::rng::stream;
use kme_testing::normal;

/// Three clusters in the plane, of different sizes and spreads.
fn mixture(n: usize, seed: u64) -> Points {
    let mut rng = stream(seed, "mixture", 0);
    let row = |i: usize| {
        let (x, y, s) = [(0.0, 0.0, 1.0), (4.0, 1.0, 0.5), (1.0, 5.0, 0.7), (0.0, 0.0, 1.0)][i % 4];
        [x + s * normal(&mut rng), y + s * normal(&mut rng)]
    };
    Points::new(n, 2, Data::F64((0..n).flat_map(row).collect())).unwrap()
}

fn row(p: &Points, i: usize) -> Vec<f64> {
    (0..p.dim()).map(|j| p.data().get(i * p.dim() + j)).collect()
}

fn value(kernel: &Kernel, x: &[f64], y: &[f64]) -> f64 {
    // From the difference, so that nothing cancels.
    match kernel.is_radial() {
        true => {
            let difference: Vec<f64> = x.iter().zip(y).map(|(x, y)| x - y).collect();
            kernel.value(&Pair::of(&difference, &vec![0.0; x.len()]))
        }
        false => kernel.value(&Pair::of(x, y)),
    }
}

fn gram(kernel: &Kernel, x: &Points, y: &Points) -> Vec<Vec<f64>> {
    (0..x.len()).map(|i| (0..y.len()).map(|j| value(kernel, &row(x, i), &row(y, j))).collect()).collect()
}

fn form(k: &[Vec<f64>], u: &[f64], v: &[f64]) -> f64 {
    k.iter().zip(u).map(|(k, u)| u * k.iter().zip(v).map(|(k, v)| k * v).sum::<f64>()).sum()
}

/// ‖Σvᵢk(xᵢ,·) − Σwⱼk(yⱼ,·)‖² from its definition.
fn mmd2(kernel: &Kernel, x: &Points, v: &[f64], y: &Points, w: &[f64]) -> f64 {
    form(&gram(kernel, x, x), v, v) - 2.0 * form(&gram(kernel, x, y), v, w) + form(&gram(kernel, y, y), w, w)
}

fn kernel(text: &str) -> Kernel {
    text.parse().unwrap()
}

/// All methods with all their ways, by name.
type Run = fn(&Target, usize, u64) -> Result<Reduced>;
const RUNS: [(&str, Run); 9] = [
    ("herding", |t, n, _| Herding::default().reduce(t, n)),
    ("herding, exchanged", |t, n, _| Herding { exchanges: 2, ..Herding::default() }.reduce(t, n)),
    ("herding, weighted", |t, n, _| Herding { weighting: Weighting::Optimal, ..Herding::default() }.reduce(t, n)),
    ("thinning", |t, n, s| Thinning { compress: None, ..Thinning::default() }.reduce(t, n, s)),
    ("thinning, compressed", |t, n, s| Thinning { compress: Some(2), ..Thinning::default() }.reduce(t, n, s)),
    ("thinning, weighted", |t, n, s| Thinning { weighting: Weighting::Optimal, ..Thinning::default() }.reduce(t, n, s)),
    ("support", |t, n, s| Support::default().reduce(t, n, s)),
    ("support, batches", |t, n, s| Support { batch: Some(100), ..Support::default() }.reduce(t, n, s)),
    ("support, snapped", |t, n, s| Support { snap: true, ..Support::default() }.reduce(t, n, s)),
];

fn kernels_of(name: &str) -> &'static [&'static str] {
    match name.starts_with("support") {
        true => &["energy", "energy:a=0.1"],
        false => &["gaussian:sigma=1", "rq:alpha=0.2,1+0.1*linear", "energy", "poly:degree=2,gamma=0.1,coef=1"],
    }
}

#[test]
fn every_method_obeys_the_laws() {
    let x = mixture(500, 1);
    let w = vec![1.0 / 500.0; 500];
    for (name, run) in RUNS {
        for text in kernels_of(name) {
            let k = kernel(text);
            let target = Target::new(&k, &x).unwrap();
            for n in [1, 2, 17, 100, 500] {
                let what = format!("{name}, {text}, n = {n}");
                let found = run(&target, n, 3).unwrap();
                let scale = value(&k, &row(&x, 0), &row(&x, 2)).abs() + 1.0;
                let naive = mmd2(&k, &found.points, &found.weights, &x, &w);
                assert!((found.mmd2 - naive).abs() < 1e-12 * scale, "{what}: {} is not {naive}", found.mmd2);
                assert!((found.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12 && found.points.len() == n, "{what}");
                assert!(found.weights.iter().all(|w| *w >= 0.0), "{what}");
                if let Some(indices) = &found.indices {
                    assert_eq!(found.points, x.select(indices).unwrap(), "{what}");
                    let mut sorted = indices.clone();
                    sorted.sort_unstable();
                    sorted.dedup();
                    assert_eq!(sorted.len(), n, "{what}");
                }
                if n == 500 {
                    assert!(found.mmd2.abs() < 1e-12 * scale, "{what}: {}", found.mmd2);
                } else {
                    let random = target.random_subsets(n, 100, 0).unwrap();
                    // A greedy first point can stand in the way of the second.
                    let bound = if n == 2 { random.median } else { random.low };
                    assert!(found.mmd2 < bound, "{what}: {} beside {random:?}", found.mmd2);
                }
            }
        }
    }
}

#[test]
fn nothing_depends_on_threads_and_all_on_the_seed() {
    let x = mixture(1500, 2);
    for (name, run) in RUNS {
        let k = kernel(kernels_of(name)[0]);
        let of = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run(&Target::new(&k, &x).unwrap(), 40, seed).unwrap())
        };
        assert_eq!(of(1, 5), of(3, 5), "{name}");
        assert_eq!(of(2, 5) == of(2, 6), name.starts_with("herding"), "{name}");
    }
}

#[test]
fn herding_takes_the_best_point_in_every_step() {
    let x = mixture(150, 3);
    let w: Vec<f64> = (0..150).map(|i| f64::from(1 + i % 3)).collect();
    let scaled: Vec<f64> = w.iter().map(|v| v / w.iter().sum::<f64>()).collect();
    for text in ["gaussian:sigma=1", "poly:degree=3,gamma=0.2,coef=1", "energy"] {
        let k = kernel(text);
        let all = gram(&k, &x, &x);
        let target = Target::new(&k, Sample { points: x.view(), weights: Some(&w) }).unwrap();
        let found = Herding::default().reduce(&target, 30).unwrap().indices.unwrap();
        let mut chosen: Vec<usize> = Vec::new();
        for &next in &found {
            let distance = |i: usize| {
                let mut v = vec![0.0; 150];
                for &c in chosen.iter().chain([&i]) {
                    v[c] = 1.0 / (chosen.len() + 1) as f64;
                }
                let u: Vec<f64> = v.iter().zip(&scaled).map(|(v, w)| v - w).collect();
                form(&all, &u, &u)
            };
            let free = (0..150).filter(|i| !chosen.contains(i));
            let best = free.map(|i| (distance(i), i)).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            assert_eq!(next, best.1, "{text}, step {}: {} beside {}", chosen.len(), distance(next), best.0);
            chosen.push(next);
        }
    }
}

#[test]
fn exchanges_only_help_and_end_where_none_does() {
    let x = mixture(300, 4);
    let k = kernel("gaussian:sigma=1");
    let target = Target::new(&k, &x).unwrap();
    let of = |exchanges: usize| Thinning { exchanges, ..Thinning::default() }.reduce(&target, 20, 1).unwrap();
    let values: Vec<f64> = [0, 1, 2, 50].map(|e| of(e).mmd2).to_vec();
    assert!(values.windows(2).all(|v| v[1] <= v[0]), "{values:?}");
    // After many no single exchange helps.
    let chosen = of(50).indices.unwrap();
    let best = target.mmd2(&chosen, None).unwrap();
    for place in 0..20 {
        for other in (0..300).filter(|i| !chosen.contains(i)) {
            let mut exchanged = chosen.clone();
            exchanged[place] = other;
            assert!(target.mmd2(&exchanged, None).unwrap() > best - 1e-15);
        }
    }
}

#[test]
fn optimal_weights_are_the_least_on_the_simplex() {
    let x = mixture(400, 5);
    for text in ["gaussian:sigma=1", "energy", "laplacian:scale=2"] {
        let k = kernel(text);
        let target = Target::new(&k, &x).unwrap();
        let indices = target.draw(30, &mut stream(1, "subset", 0));
        let found = target.chosen(indices.clone(), Weighting::Optimal).unwrap();
        assert!(found.mmd2 < 0.5 * target.mmd2(&indices, None).unwrap(), "{text}");
        // Projected gradient descent, a different way to the same minimum.
        let kxx = gram(&k, &found.points, &found.points);
        let kxy = gram(&k, &found.points, &x);
        let b: Vec<f64> = kxy.iter().map(|k| k.iter().sum::<f64>() / 400.0).collect();
        let mut v = vec![1.0 / 30.0; 30];
        let rate = 0.5 / kxx.iter().map(|k| k.iter().map(|k| k.abs()).sum::<f64>()).fold(0.0, f64::max);
        for _ in 0..200_000 {
            let g: Vec<f64> = (0..30).map(|i| kxx[i].iter().zip(&v).map(|(k, v)| k * v).sum::<f64>() - b[i]).collect();
            v = project(v.iter().zip(g).map(|(v, g)| v - rate * g).collect());
        }
        let least = target.mmd2(&indices, Some(&v)).unwrap();
        assert!(found.mmd2 < 1.002 * least && found.mmd2 > 0.99 * least, "{text}: {} beside {least}", found.mmd2);
    }
}

/// The nearest point of the simplex (Duchi et al., ICML 2008).
fn project(v: Vec<f64>) -> Vec<f64> {
    let mut sorted = v.clone();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (i, x) in sorted.iter().enumerate() {
        sum += x;
        let candidate = (sum - 1.0) / (i + 1) as f64;
        if *x > candidate {
            shift = candidate;
        }
    }
    v.into_iter().map(|x| (x - shift).max(0.0)).collect()
}

/// In one dimension the n points of least energy distance to a distribution are its quantiles at (2i − 1)/(2n).
#[test]
fn support_points_on_a_line_are_quantiles() {
    let n = 5000;
    let k = kernel("energy");
    // A uniform and a triangular distribution on [0, 1], each by its own quantiles.
    for quantile in [|p: f64| p, |p: f64| p.sqrt()] {
        let x = (0..n).map(|i| quantile((i as f64 + 0.5) / n as f64)).collect();
        let x = Points::new(n, 1, Data::F64(x)).unwrap();
        let target = Target::new(&k, &x).unwrap();
        for few in [1, 2, 9, 20] {
            let found = Support { steps: 2000, ..Support::default() }.reduce(&target, few, 1).unwrap();
            let mut points = found.points.into_data().into_f64();
            points.sort_by(f64::total_cmp);
            for (i, point) in points.iter().enumerate() {
                let right = quantile((i as f64 + 0.5) / few as f64);
                assert!((point - right).abs() < 2e-3, "{few}: {point} is not {right}");
            }
        }
    }
}

#[test]
fn support_points_lie_where_the_energy_distance_is_flat() {
    let x = mixture(400, 6);
    let k = kernel("energy:a=0.05");
    let w: Vec<f64> = (0..400).map(|i| f64::from(1 + i % 4)).collect();
    let scaled: Vec<f64> = w.iter().map(|v| v / w.iter().sum::<f64>()).collect();
    let target = Target::new(&k, Sample { points: x.view(), weights: Some(&w) }).unwrap();
    let n = 12;
    let found = Support { steps: 3000, ..Support::default() }.reduce(&target, n, 2).unwrap();
    let at = |numbers: &[f64]| {
        let points = Points::new(n, 2, Data::F64(numbers.to_vec())).unwrap();
        mmd2(&k, &points, &vec![1.0 / n as f64; n], &x, &scaled)
    };
    let numbers = found.points.into_data().into_f64();
    let slopes = |numbers: &[f64]| -> f64 {
        let slope = |i: usize| {
            let mut moved = numbers.to_vec();
            moved[i] += 1e-5;
            let above = at(&moved);
            moved[i] -= 2e-5;
            (above - at(&moved)) / 2e-5
        };
        (0..2 * n).map(|i| slope(i).powi(2)).sum::<f64>().sqrt()
    };
    let start: Vec<f64> = x.select(&(0..n).collect::<Vec<_>>()).unwrap().into_data().into_f64();
    assert!(slopes(&numbers) < 2e-3 * slopes(&start), "{} beside {}", slopes(&numbers), slopes(&start));
}

#[test]
fn steps_of_support_points_never_go_uphill() {
    let x = mixture(300, 7);
    let k = kernel("energy");
    let target = Target::new(&k, &x).unwrap();
    let of = |steps: usize| Support { steps, ..Support::default() }.reduce(&target, 15, 3).unwrap().mmd2;
    let values: Vec<f64> = (1..40).map(of).collect();
    assert!(values.windows(2).all(|v| v[1] <= v[0] + 1e-15), "{values:?}");
}

/// d² of the best ten points to N(0, I₂) is .015258 (multistart descent on the closed form); a sample of N points adds
/// its own distance, of mean G₂/N = .88623/N.
#[test]
fn ten_support_points_of_a_normal_sample_are_nearly_the_best_ten() {
    let n = 20_000;
    let mut rng = stream(8, "normal", 0);
    let x = Points::new(n, 2, Data::F64((0..2 * n).map(|_| normal(&mut rng)).collect())).unwrap();
    let k = kernel("energy");
    let target = Target::new(&k, &x).unwrap();
    // The energy distance is 2 d².
    let best = (0..4).map(|seed| Support::default().reduce(&target, 10, seed).unwrap().mmd2 / 2.0);
    let best = best.fold(f64::INFINITY, f64::min);
    assert!((0.0150..0.0156).contains(&best), "{best}");
}

#[test]
fn weights_pull_where_they_are() {
    // Two clusters, the second with nine tenths of the mass.
    let mut rng = stream(9, "clusters", 0);
    let x: Vec<f64> = (0..200).map(|i| if i < 100 { 0.0 } else { 10.0 } + normal(&mut rng)).collect();
    let x = Points::new(200, 1, Data::F64(x)).unwrap();
    let w: Vec<f64> = (0..200).map(|i| if i < 100 { 1.0 } else { 9.0 }).collect();
    let k = kernel("energy");
    let target = Target::new(&k, Sample { points: x.view(), weights: Some(&w) }).unwrap();
    for found in [
        Herding::default().reduce(&target, 20).unwrap(),
        Support::default().reduce(&target, 20, 0).unwrap(),
        Support { snap: true, ..Support::default() }.reduce(&target, 20, 0).unwrap(),
    ] {
        let right = (0..20).filter(|&i| found.points.data().get(i) > 5.0).count();
        assert_eq!(right, 18);
    }
}

#[test]
fn bad_input_is_refused_with_a_remedy() {
    let x = mixture(50, 10);
    let (gaussian, energy) = (kernel("gaussian:sigma=1"), kernel("energy"));
    let target = Target::new(&gaussian, &x).unwrap();
    let refused = |result: Result<Reduced>, part: &str| {
        let message = result.unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    };
    for (name, run) in RUNS {
        let k = kernel(kernels_of(name)[0]);
        let target = Target::new(&k, &x).unwrap();
        refused(run(&target, 0, 0), "n is 0, but must be from 1 to 50");
        refused(run(&target, 51, 0), "n is 51, but must be from 1 to 50");
    }
    refused(Support::default().reduce(&target, 5, 0), "herding or thinning, which take every kernel");
    let w: Vec<f64> = (0..50).map(|i| f64::from(1 + i % 2)).collect();
    let weighted = Target::new(&gaussian, Sample { points: x.view(), weights: Some(&w) }).unwrap();
    refused(Thinning::default().reduce(&weighted, 5, 0), "herding and support take weights");
    let weighted = Target::new(&energy, Sample { points: x.view(), weights: Some(&w) }).unwrap();
    assert!(Support::default().reduce(&weighted, 5, 0).is_ok());
    refused(Support { steps: 0, ..Support::default() }.reduce(&weighted, 5, 0), "at least 1");
    let signed: Vec<f64> = (0..50).map(|i| if i == 3 { -1.0 } else { 1.0 }).collect();
    let message = Target::new(&gaussian, Sample { points: x.view(), weights: Some(&signed) }).unwrap_err();
    assert_eq!(message.parameter_name(), Some("weights[3]"));
    let large = mixture(Weighting::MOST + 1, 11);
    let target = Target::new(&gaussian, &large).unwrap();
    refused(
        Herding { weighting: Weighting::Optimal, ..Herding::default() }.reduce(&target, Weighting::MOST + 1),
        "4096",
    );
    assert!(target.random_subsets(5, 0, 0).is_err());
    assert!("halving".parse::<ReductionMethod>().is_err() && "best".parse::<Weighting>().is_err());
}

#[test]
fn points_that_coincide_are_no_trouble() {
    let x = Points::new(60, 2, Data::F64((0..120).map(|i| f64::from(i % 3)).collect())).unwrap();
    for (name, run) in RUNS {
        let k = kernel(kernels_of(name)[0]);
        let target = Target::new(&k, &x).unwrap();
        let found = run(&target, 9, 0).unwrap();
        assert!(found.mmd2 > -1e-12 && found.mmd2 < target.random_subsets(9, 50, 0).unwrap().high, "{name}");
    }
}

#[test]
fn random_subsets_have_the_mean_that_theory_gives_them() {
    let x = mixture(200, 12);
    let k = kernel("gaussian:sigma=1");
    let all = gram(&k, &x, &x);
    let trace: f64 = (0..200).map(|i| all[i][i]).sum::<f64>() / 200.0;
    let mean = form(&all, &[1.0 / 200.0; 200], &[1.0 / 200.0; 200]);
    // Without replacement: (1/n − 1/N)·N/(N−1)·(mean of the diagonal − mean of all).
    let expected = (1.0 / 20.0 - 1.0 / 200.0) * 200.0 / 199.0 * (trace - mean);
    let target = Target::new(&k, &x).unwrap();
    let draws = 4000;
    let values: Vec<f64> =
        (0..draws).map(|i| target.mmd2(&target.draw(20, &mut stream(0, "draw", i)), None).unwrap()).collect();
    let found = values.iter().sum::<f64>() / draws as f64;
    let error = (values.iter().map(|v| (v - found).powi(2)).sum::<f64>()).sqrt() / draws as f64;
    assert!((found - expected).abs() < 4.0 * error, "{found} ± {error} for {expected}");
    let quantiles = target.random_subsets(20, 1000, 0).unwrap();
    assert!(quantiles.low < quantiles.median && quantiles.median < quantiles.high);
    let mut sorted = values;
    sorted.sort_by(f64::total_cmp);
    assert!((quantiles.median / sorted[2000] - 1.0).abs() < 0.05 && (quantiles.high / sorted[3800] - 1.0).abs() < 0.1);
}
