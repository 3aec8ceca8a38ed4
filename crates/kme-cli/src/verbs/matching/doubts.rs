//! What is said when a match cannot become what is hoped for.

use crate::arguments::Global;
use crate::output;
use kme::{Kernel, Points, Result};
use kme_deep::steer::{Distance, Domain, Sight, bandwidth};

/// Tells which inputs lie farther from the generator's pictures than these from each other, by how much, and what it means.
pub fn about_inputs(names: &[(String, usize)], distances: &[Distance], domain: &Domain, global: &Global) {
    let mut rest = distances;
    let mut told = Vec::new();
    for (name, n) in names {
        let (own, others) = rest.split_at(*n);
        rest = others;
        let far: Vec<&Distance> = own.iter().filter(|distance| distance.is_far()).collect();
        let Some(least) = far.iter().map(|distance| distance.times).min_by(f64::total_cmp) else { continue };
        told.push(match n {
            1 => format!("{name} ({} times as far)", times(least)),
            _ => format!("{} of the {n} of {name} (at least {} times as far)", far.len(), times(least)),
        });
    }
    if told.is_empty() {
        return;
    }
    let text = format!(
        "far from everything that the generator makes: {}. Each lies farther from the nearest of {} of its pictures than any \
         of these from its own nearest; as far means the distance that 95 % of these do not reach. The generator cannot make \
         such a picture; the outputs are the nearest that it can. Show pictures of the kind that it has learned from, cut and \
         coloured alike, or name features in which they are alike",
        told.join(", "),
        domain.samples().len()
    );
    output::remark(global, text);
}

fn times(x: f64) -> String {
    match x {
        x if x.is_infinite() => "infinitely many".into(),
        x if x < 10.0 => format!("{x:.1}"),
        x => format!("{x:.0}"),
    }
}

/// Tells when the kernel's length does not fit the distances between inputs and the generator's pictures.
///
/// # Errors
/// When dimensions differ.
pub fn about_kernel(kernel: &Kernel, inputs: &Points, domain: &Domain, global: &Global) -> Result<()> {
    let Some(sight) = Sight::of(kernel, inputs, domain.samples())? else { return Ok(()) };
    let fault = if sight.is_narrow() {
        format!(
            "too narrow: between an input and a picture of the generator it is at most {:.1e} of its value at distance 0, so \
             that nothing pulls",
            sight.most
        )
    } else if sight.is_wide() {
        format!(
            "too wide: between inputs and pictures of the generator it never falls below {:.5} of its value at distance 0, so \
             that it hardly tells one picture from another",
            sight.least
        )
    } else {
        return Ok(());
    };
    let length = bandwidth(inputs, domain.samples())?;
    output::remark(
        global,
        format!("the kernel {kernel} is {fault}; a length near {length:.3} would fit, or leave out --kernel"),
    );
    Ok(())
}
