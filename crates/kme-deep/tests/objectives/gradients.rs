//! The gradients of both sides are the differences of their losses.

use crate::cases::cases;
use crate::setup::{Setup, number};
use burn::tensor::Tensor;
use kme_net::{Net, Place, place};
use kme_testing::relative;

/// A network with number `i` of trained parameter `index` moved.
fn moved(net: &Net, index: usize, i: usize, delta: f64) -> Net {
    let mut seen = 0;
    net.map_values(|p| {
        let is_next = p.is_trained() && seen == index;
        seen += usize::from(p.is_trained());
        if !is_next {
            return p.value.clone();
        }
        let mut values = place::numbers(p.value.clone());
        values[i] += delta;
        let len = values.len();
        Place::cpu_f64().tensor_f64(values, [len])
    })
}

/// The largest error of these gradients of `loss` in the parameters of `net`, relative to the larger of the two or a
/// thousandth of the largest gradient. Of every parameter four numbers are tried.
pub(crate) fn worst(what: &str, net: &Net, gradients: Vec<Tensor<1>>, loss: impl Fn(&Net) -> Tensor<1>) -> f64 {
    let gradients: Vec<Vec<f64>> = gradients.into_iter().map(place::numbers).collect();
    let largest = gradients.iter().flatten().fold(0.0_f64, |m, g| m.max(g.abs()));
    assert!(largest > 1e-6, "{what}: no gradient to speak of");
    const STEP: f64 = 1e-5;
    let mut worst = 0.0_f64;
    for (index, gradient) in gradients.iter().enumerate() {
        let n = gradient.len();
        let mut tried = vec![0, n / 3, 2 * n / 3, n - 1];
        tried.dedup();
        for i in tried {
            let at = |delta| number(loss(&moved(net, index, i, delta)));
            let difference = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = relative(gradient[i], difference, 1e-3 * largest);
            assert!(error < 1e-5, "{what}: parameter {index}[{i}]: {} and {difference}", gradient[i]);
            worst = worst.max(error);
        }
    }
    worst
}

#[test]
fn gradients_are_differences() {
    let mut overall = (0.0, String::new());
    for case in cases() {
        let setup = Setup::new(&case);
        let tracked = setup.critic.tracked();
        let decoder = setup.decoder.as_ref().map(Net::tracked);
        let gradients = |net: &Net| net.gradients(&mut setup.critic_loss(&tracked, decoder.as_ref()).backward());
        let mut errors = vec![worst(&format!("{}: critic", case.name), &setup.critic, gradients(&tracked), |net| {
            setup.critic_loss(net, setup.decoder.as_ref())
        })];
        if let (Some(net), Some(tracked)) = (&setup.decoder, &decoder) {
            let what = format!("{}: decoder", case.name);
            errors.push(worst(&what, net, gradients(tracked), |net| setup.critic_loss(&setup.critic, Some(net))));
        }
        let tracked = setup.generator.tracked();
        let gradients = tracked.gradients(&mut setup.generator_loss(&tracked).backward());
        let what = format!("{}: generator", case.name);
        errors.push(worst(&what, &setup.generator, gradients, |net| setup.generator_loss(net)));
        println!("{:<90} {}", case.name, errors.iter().map(|e| format!("{e:.1e} ")).collect::<String>());
        let largest = errors.into_iter().fold(0.0, f64::max);
        if largest > overall.0 {
            overall = (largest, case.name);
        }
    }
    println!("largest relative error {:.1e}: {}", overall.0, overall.1);
}
