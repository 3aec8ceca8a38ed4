//! The losses of both sides are what their definitions say.

use crate::cases::cases;
use crate::naive::Naive;
use crate::setup::{Setup, number};
use kme_testing::relative;

#[test]
fn losses_are_their_definitions() {
    let mut worst = (0.0, String::new());
    for case in cases() {
        let setup = Setup::new(&case);
        let naive = Naive::new(&setup).losses(&case, &setup);
        let critic = number(setup.critic_loss(&setup.critic, setup.decoder.as_ref()));
        let found = [critic, number(setup.generator_loss(&setup.generator))];
        let errors = [0, 1].map(|side| relative(naive[side], found[side], 1e-3));
        println!("{:<90} {:>12.5e} {:>12.5e}   {:.1e} {:.1e}", case.name, found[0], found[1], errors[0], errors[1]);
        // Differences in pixels have fewer digits than sums.
        let r = &case.regulariser;
        let tolerance = if r.gradient_penalty > 0.0 || r.scale.is_some() { 2e-7 } else { 1e-11 };
        assert!(errors.iter().all(|e| *e < tolerance), "{}: {naive:?} by definition, found {found:?}", case.name);
        let largest = errors[0].max(errors[1]);
        if largest > worst.0 {
            worst = (largest, case.name);
        }
    }
    println!("largest relative error {:.1e}: {}", worst.0, worst.1);
}
