//! Spectral parametrisation: the estimate against singular values, gradients against central differences in double
//! precision.

use burn::tensor::Tensor;
use kme::rng;
use kme_net::layer::{Concat, Conv, GlobalSumPool, LeakyRelu, Linear, Residual, TransposedConv};
use kme_net::{Init, Layer, Mode, Net, Place, place};
use kme_testing::eigenvalues;

fn normals(count: usize, purpose: &str) -> Vec<f64> {
    kme_testing::normals(count, &mut rng::stream(11, purpose, 0))
}

/// The largest singular value of a (rows, columns) matrix, from the smaller Gram matrix.
fn largest_singular_value(w: &[f64], rows: usize, columns: usize) -> f64 {
    let at = |i: usize, j: usize| if rows <= columns { w[i * columns + j] } else { w[j * columns + i] };
    let (n, m) = (rows.min(columns), rows.max(columns));
    let gram = (0..n).map(|i| (0..n).map(|j| (0..m).map(|k| at(i, k) * at(j, k)).sum()).collect()).collect();
    eigenvalues(gram).into_iter().fold(0.0, f64::max).sqrt()
}

/// A critic with weights at the top, within a residual sum and within branches.
fn layers() -> Vec<Layer> {
    let leaky = || Layer::from(LeakyRelu { slope: 0.2 });
    let residual = Residual {
        branch: vec![leaky(), Conv::new(3, 4, 3).padding(1).into()],
        shortcut: vec![Conv::new(3, 4, 1).into()],
    };
    let branches =
        Concat { branches: vec![vec![Conv::new(4, 2, 1).into()], vec![Conv::new(4, 3, 1).without_bias().into()]] };
    vec![
        Conv::new(2, 3, 3).padding(1).into(),
        residual.into(),
        branches.into(),
        leaky(),
        GlobalSumPool {}.into(),
        Linear { inputs: 5, outputs: 2, bias: true }.into(),
    ]
}

const INPUT: [usize; 3] = [2, 5, 4];

fn plain() -> Net {
    Net::new(layers(), INPUT, Init::He, 1, &Place::cpu_f64()).unwrap()
}

fn value(net: &Net, name: &str) -> Vec<f64> {
    place::numbers(net.params().iter().find(|p| p.name == name).unwrap().value.clone().inner())
}

fn with_value(net: &Net, name: &str, values: &[f64]) -> Net {
    net.map_values(|p| {
        if p.name == name { net.place().tensor_f64(values.to_vec(), [values.len()]) } else { p.value.clone() }
    })
}

fn weights(net: &Net) -> Vec<(String, Vec<usize>)> {
    let own = net.params().iter().filter(|p| p.name.ends_with("weight"));
    own.map(|p| (p.name.clone(), p.shape.clone())).collect()
}

fn input() -> Tensor<4> {
    Place::cpu_f64().tensor_f64(normals(3 * 40, "x"), [3, 2, 5, 4])
}

#[test]
fn extras_stand_behind_the_parameters() {
    let net = plain().with_spectral(true, 5).unwrap();
    let names: Vec<&str> = net.params().iter().map(|p| p.name.as_str()).collect();
    let own = plain().params().len();
    assert_eq!(
        names[own..][..4],
        ["0.weight.scale", "0.weight.direction", "1.branch.1.weight.scale", "1.branch.1.weight.direction"]
    );
    assert_eq!(names.len(), own + 2 * 6);
    assert_eq!(net.size(), plain().size() + 6);
    assert_eq!(plain().with_spectral(false, 5).unwrap().size(), plain().size());
    assert!(net.is_spectral() && !net.effective().is_spectral());
    assert_eq!(net.effective().params().len(), own);
    for (name, shape) in weights(&net) {
        let u = value(&net, &format!("{name}.direction"));
        assert_eq!(u.len(), shape[0]);
        assert!((u.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-12);
    }
    assert!(net.with_spectral(true, 5).is_err());
    let up = TransposedConv { inputs: 2, outputs: 3, kernel: 4, stride: 2, padding: 1, output_padding: 0, bias: true };
    let up = Net::new(vec![up.into()], INPUT, Init::He, 1, &Place::cpu()).unwrap();
    assert!(up.with_spectral(true, 5).unwrap_err().to_string().contains("transposed"));
}

/// After many iterations the estimate is the largest singular value, and the effective weight's is s.
#[test]
fn the_estimate_is_the_singular_value_and_the_effective_one_is_the_scale() {
    let mut net = plain().with_spectral(true, 5).unwrap();
    net.power_iterate(3000);
    for (name, s) in [("0.weight.scale", 0.7), ("5.weight.scale", -1.9)] {
        net = with_value(&net, name, &[s]);
    }
    let effective = net.effective();
    let found = net.singular_values();
    assert_eq!(found.len(), 6);
    for ((name, shape), (estimated, sigma)) in weights(&net).into_iter().zip(found) {
        assert_eq!(name, estimated);
        let (rows, columns) = (shape[0], shape[1..].iter().product());
        let exact = largest_singular_value(&value(&net, &name), rows, columns);
        assert!((sigma - exact).abs() < 1e-9 * exact, "{name}: {sigma} and {exact}");
        let s = value(&net, &format!("{name}.scale"))[0];
        let top = largest_singular_value(&value(&effective, &name), rows, columns);
        assert!((top - s.abs()).abs() < 1e-9, "{name}: {top} and {s}");
    }
}

/// The slow convergence from a random start on a Gaussian matrix of 2304 × 512: σ̂/σ after 1, 2, 5, 10, 20, 40, 60
/// iterations of the published code, which takes ‖W̄v‖ with the v that the last iteration used; ours, ‖W̄ᵀu‖ with the
/// u that it gave, is half an iteration on.
#[test]
fn convergence_from_a_random_start() {
    let (rows, columns, starts) = (512, 2304, 6);
    let layer = Linear { inputs: columns, outputs: rows, bias: false };
    let place = Place::cpu();
    let w = normals(rows * columns, "matrix");
    let net = Net::new(vec![layer.into()], [columns, 1, 1], Init::He, 1, &place).unwrap();
    let net = with_value(&net.with_spectral(false, 3).unwrap(), "0.weight", &w);
    let sigma = |net: &Net| net.singular_values()[0].1;
    let mut last = net.clone();
    last.power_iterate(1000);
    let exact = sigma(&last);
    // √2304 + √512, the edge of the Marchenko–Pastur law.
    assert!((exact / (48.0 + 512f64.sqrt()) - 1.0).abs() < 0.01, "{exact}");
    let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
    let mut nets: Vec<Net> = (0..starts)
        .map(|start| {
            let u = normals(rows, &format!("start {start}"));
            with_value(&net, "0.weight.direction", &u.iter().map(|x| x / norm(&u)).collect::<Vec<_>>())
        })
        .collect();
    let mut done = 0;
    for (count, published) in [(1, 0.751), (2, 0.839), (5, 0.926), (10, 0.967), (20, 0.988), (40, 0.9963), (60, 0.9981)]
    {
        let (mut theirs, mut ours) = (0.0, 0.0);
        for net in &mut nets {
            net.power_iterate(count - 1 - done);
            let u = value(net, "0.weight.direction");
            let mut v = vec![0.0; columns];
            for (row, u) in w.chunks(columns).zip(&u) {
                v.iter_mut().zip(row).for_each(|(v, w)| *v += u * w);
            }
            let long: Vec<f64> = w.chunks(columns).map(|row| row.iter().zip(&v).map(|(w, v)| w * v).sum()).collect();
            let ratio = norm(&long) / norm(&v) / exact;
            net.power_iterate(1);
            assert!(ratio < sigma(net) / exact && sigma(net) < exact * 1.0001);
            theirs += ratio / f64::from(starts);
            ours += sigma(net) / exact / f64::from(starts);
        }
        done = count;
        println!("{count:2} iterations: {theirs:.4} (published {published}), ours {ours:.4}");
        assert!((theirs - published).abs() < 0.012, "{count}: {theirs} and {published}");
    }
}

/// Evaluation, forward passes and the effective network leave u alone; only power iterations move it.
#[test]
fn only_power_iterations_move_the_direction() {
    let mut net = plain().with_spectral(true, 5).unwrap();
    let directions = |net: &Net| -> Vec<Vec<f64>> {
        weights(net).iter().map(|(name, _)| value(net, &format!("{name}.direction"))).collect()
    };
    let before = directions(&net);
    for mode in [Mode::Train, Mode::Evaluate] {
        let effective = net.effective();
        let pass = effective.pass(input(), mode, true).unwrap();
        effective.pullback(&pass, pass.output.clone());
        net.update_running_statistics(&pass);
        let tracked = net.tracked();
        let loss = tracked.effective().forward(input().autodiff(), mode).unwrap().sum();
        assert_eq!(
            tracked.gradients(&mut loss.backward()).len(),
            net.params().iter().filter(|p| p.is_trained()).count()
        );
    }
    assert_eq!(directions(&net), before);
    let far = net.map_values(|p| {
        if p.name == "0.weight" { p.value.clone() * normal_like(p.shape.iter().product()) } else { p.value.clone() }
    });
    let mut moved = far.clone();
    moved.power_iterate(1);
    assert_ne!(directions(&moved)[0], directions(&far)[0]);
}

fn normal_like(len: usize) -> Tensor<1> {
    Place::cpu_f64().tensor_f64(normals(len, "noise"), [len])
}

/// (‖Jᵀg‖ − 1)² averaged, plus the mean squared output: a loss with a gradient penalty.
fn loss(net: &Net) -> Tensor<1> {
    let tracked = net.params().iter().any(|p| p.value.is_tracked());
    let lift = |t: Tensor<4>| if tracked { t.autodiff() } else { t };
    let effective = net.effective();
    let pass = effective.pass(lift(input()), Mode::Train, false).unwrap();
    let g: Tensor<4> = lift(Place::cpu_f64().tensor_f64(normals(6, "g"), [3, 2, 1, 1]));
    let pulled = effective.pullback(&pass, g);
    let norm = pulled.clone().mul(pulled).sum_dims_squeeze::<1, i32>(&[1, 2, 3]).sqrt();
    (norm - 1.0).square().mean() + pass.output.square().mean()
}

/// W = s·W̄ / (uᵀ W̄ v) with u and v held at those of `held`: the weights of an ordinary network, by naive loops.
fn by_hand(net: &Net, held: &Net) -> Net {
    plain().map_values(|p| {
        let w = value(net, &p.name);
        let values = if p.name.ends_with("weight") {
            let (rows, columns) = (p.shape[0], p.shape[1..].iter().product::<usize>());
            let (u, old) = (value(held, &format!("{}.direction", p.name)), value(held, &p.name));
            let mut v: Vec<f64> = (0..columns).map(|j| (0..rows).map(|i| old[i * columns + j] * u[i]).sum()).collect();
            let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
            v.iter_mut().for_each(|x| *x /= norm);
            let sigma: f64 =
                (0..rows).map(|i| (0..columns).map(|j| u[i] * w[i * columns + j] * v[j]).sum::<f64>()).sum();
            let s = value(net, &format!("{}.scale", p.name))[0];
            w.iter().map(|x| s * x / sigma).collect()
        } else {
            w
        };
        Place::cpu_f64().tensor_f64(values, [p.shape.iter().product()])
    })
}

/// Gradients of a loss with a gradient penalty in W̄, s and the biases against central differences with u and v held.
#[test]
fn gradients_are_central_differences() {
    // Few iterations, so that u is not yet singular and the held v matters.
    let mut net = plain();
    net = net.with_spectral(true, 5).unwrap();
    net = net.map_values(|p| {
        let len = p.shape.iter().product();
        let noise = Place::cpu_f64().tensor_f64(normals(len, &p.name), [len]);
        if p.name.ends_with("direction") { p.value.clone() } else { p.value.clone() + noise * 0.2 }
    });
    assert!((place::scalar(loss(&net)) - place::scalar(loss(&by_hand(&net, &net)))).abs() < 1e-12);
    let tracked = net.tracked();
    let gradients = tracked.gradients(&mut loss(&tracked).backward());
    let trained: Vec<String> = net.params().iter().filter(|p| p.is_trained()).map(|p| p.name.clone()).collect();
    assert_eq!(gradients.len(), trained.len());
    let (mut largest, step) = (0.0_f64, 1e-5);
    for (name, gradient) in trained.iter().zip(gradients) {
        let (gradient, base) = (place::numbers(gradient), value(&net, name));
        if name.ends_with("scale") {
            assert!(gradient[0].abs() > 1e-4, "{name} is not reached");
        }
        for i in 0..base.len() {
            let at = |delta: f64| {
                let mut moved = base.clone();
                moved[i] += delta;
                place::scalar(loss(&by_hand(&with_value(&net, name, &moved), &net)))
            };
            let difference = (at(step) - at(-step)) / (2.0 * step);
            let error = (gradient[i] - difference).abs() / gradient[i].abs().max(difference.abs()).max(1e-3);
            largest = largest.max(error);
            assert!(error < 1e-5, "{name}[{i}]: {} and {difference}", gradient[i]);
        }
    }
    println!("largest relative error {largest:.1e}");
}

/// Pullbacks and cuts of a network with extras are those of the network without.
#[test]
fn layers_do_not_see_the_extras() {
    let (bare, net) = (plain(), plain().with_spectral(true, 5).unwrap());
    let pulled = |net: &Net| {
        let pass = net.pass(input(), Mode::Train, false).unwrap();
        let g = pass.output.clone();
        place::numbers(net.pullback(&pass, g))
    };
    assert_eq!(pulled(&bare), pulled(&net));
    let cut = net.truncated(2).unwrap();
    assert!(cut.is_spectral());
    assert_eq!(cut.params().len(), bare.truncated(2).unwrap().params().len() + 2 * 3);
    let whole = net.effective().truncated(2).unwrap().forward(input(), Mode::Evaluate).unwrap();
    let same = cut.effective().forward(input(), Mode::Evaluate).unwrap();
    assert_eq!(place::numbers(whole), place::numbers(same));
    assert!(!net.truncated(0).unwrap().is_spectral());
}

/// Power iterations and gradients have the same bits for any number of threads, long vectors included.
#[test]
fn threads_do_not_change_the_bits() {
    let place = Place::cpu();
    for (inputs, outputs) in [(40_000, 24), (2304, 512)] {
        let layer = Linear { inputs, outputs, bias: false };
        let run = || {
            let net = Net::new(vec![layer.clone().into()], [inputs, 1, 1], Init::He, 1, &place).unwrap();
            let net = net.with_spectral(true, 3).unwrap();
            let tracked = net.tracked();
            let w = tracked.effective().params()[0].value.clone();
            let gradients =
                tracked.gradients(&mut (w.clone() * w.clone().detach().sin()).slice(0..1000).sum().backward());
            let tensors = gradients.into_iter().chain([w.inner(), net.params()[2].value.clone()]);
            tensors.flat_map(|t| place::numbers(t).into_iter().map(f64::to_bits)).collect::<Vec<_>>()
        };
        let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run);
        let (one, three) = (with(1), with(3));
        assert!(one == three, "{inputs} by {outputs}");
    }
}
