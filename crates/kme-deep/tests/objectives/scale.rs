//! The factor σ² of the Scaled MMD, for every kernel that has one.

use crate::cases::{Body, Case, DIFFERENTIABLE, cases, mmd};
use crate::gradients::worst;
use crate::naive::Naive;
use crate::setup::{Setup, number};
use burn::tensor::Tensor;
use kme_deep::loss::{Estimator, Scale};
use kme_net::{Mode, Net};
use kme_testing::relative;

fn square(setup: &Setup, critic: &Net) -> Tensor<1> {
    let pictures = setup.pictures(&setup.generator);
    let input = match &pictures.labels {
        None => pictures.real.clone(),
        Some(labels) => Tensor::cat(vec![pictures.real.clone(), labels.clone()], 1),
    };
    let critic = critic.effective();
    let pass = critic.pass(input, Mode::Train, false).unwrap();
    let scale = setup.objective.regulariser.scale.unwrap();
    scale.square(&*setup.objective.divergence, &critic, &pass, pictures.real.dims()[1]).unwrap()
}

/// σ² against mixed second differences of k(φ(x), φ(y)) in the pixels of x and y; its gradient in the critic's weights
/// against differences.
#[test]
fn the_scale_is_the_kernels_variation() {
    let mut tried = 0;
    for case in cases() {
        // Second differences of a network with kinks are not its second derivatives' limit.
        if case.regulariser.scale.is_none() || case.body == Body::Leaky {
            continue;
        }
        tried += 1;
        let setup = Setup::new(&case);
        let (found, naive) = (number(square(&setup, &setup.critic)), Naive::new(&setup).scale(&case).unwrap());
        let tracked = setup.critic.tracked();
        let gradients = tracked.gradients(&mut square(&setup, &tracked).backward());
        let error = worst(&case.name, &setup.critic, gradients, |net| square(&setup, net));
        println!("{:<90} {found:.6} {:.1e}, gradient {error:.1e}", case.name, relative(found, naive, 0.0));
        assert!(relative(found, naive, 0.0) < 1e-8, "{}: {found} and {naive}", case.name);
    }
    assert!(tried > DIFFERENTIABLE.len());
}

/// The published form 1/(1 + 10·E‖J‖²) for one Gaussian of width 1, and what the table of the mathematics has for
/// others: the multiples of E‖J‖²_F, with J by differences of the network, also of one with kinks.
#[test]
fn known_forms_of_the_scale() {
    for (kernel, factor) in [
        ("gaussian:sigma=1", 1.0),
        ("gaussian:sigma=2", 0.25),
        ("gaussian:sigma=1,2,4,8,16", 1.0 + 1.0 / 4.0 + 1.0 / 16.0 + 1.0 / 64.0 + 1.0 / 256.0),
        ("linear", 1.0),
        ("rq:alpha=0.2,0.5,1,2,5", 5.0),
        ("rq:alpha=0.2,0.5,1,2,5+linear", 6.0),
        ("imq:c=1.5", 1.0 / 3.375),
        ("energy:a=0.5", 2.0),
    ] {
        for body in [Body::Leaky, Body::Smooth, Body::Points] {
            let case = mmd(kernel, Estimator::Unbiased, body).scaled(10.0, 1.0, false);
            let setup = Setup::new(&case);
            let expected = 1.0 / (1.0 + 10.0 * factor * Naive::new(&setup).jacobian2());
            let found = number(square(&setup, &setup.critic));
            assert!(relative(found, expected, 0.0) < 1e-8, "{}: {found} and {expected}", case.name);
        }
    }
}

/// Kernels that vary without bound have no scale, and say so.
#[test]
fn what_has_no_scale() {
    for kernel in ["distance", "laplacian:scale=2", "energy"] {
        let case: Case = mmd(kernel, Estimator::Unbiased, Body::Points).scaled(10.0, 1.0, false);
        let setup = Setup::new(&case);
        let message = setup.objective.critic(&setup.critic, None, &setup.pictures(&setup.generator)).err().unwrap();
        assert!(matches!(message, kme::Error::Unsupported { .. }), "{message}");
    }
    let case = cases().into_iter().find(|c| c.name.starts_with("cramer")).unwrap();
    let mut setup = Setup::new(&case);
    setup.objective.regulariser.scale = Some(Scale { weight: 10.0, offset: 1.0, values: false });
    assert!(setup.objective.critic(&setup.critic, None, &setup.pictures(&setup.generator)).is_err());
}
