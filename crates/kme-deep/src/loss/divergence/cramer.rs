//! The energy distance, as the Cramér GAN estimates it.

use super::{Beside, Divergence, Features, Settings};
use crate::loss::arithmetic::Entries;
use burn::tensor::Tensor;
use kme::internal::Arith;
use kme::{Error, Field, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The energy distance of the features. Generator: mean ‖x−y‖ + ‖x−y'‖ − ‖y−y'‖ over triples of one real and two
/// independent generated points; critic: mean f(x) − f(y) with f(a) = ‖a−y'‖ − ‖a‖. Bellemare et al., "The Cramer
/// distance as a solution to biased Wasserstein gradients", 2017, algorithm 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cramer {}

impl Settings for Cramer {
    fn divergence(&self, _: &Beside) -> Result<Arc<dyn Divergence>> {
        Ok(Arc::new(*self))
    }
}

impl Divergence for Cramer {
    fn names(&self) -> [&'static str; 2] {
        ["critic_cramer", "generator_energy"]
    }

    fn generator(&self, features: &Features) -> Result<Tensor<1>> {
        let (x, y, second) = (&features.real, &features.fake, second(features, &[&features.real, &features.fake])?);
        let apart = |a: &Tensor<2>, b: &Tensor<2>| norms(a.clone() - b.clone()).mean();
        Ok(apart(x, y) + apart(x, second) - apart(y, second))
    }

    fn critic(&self, features: &Features) -> Result<Tensor<1>> {
        let (x, y, second) = (&features.real, &features.fake, second(features, &[&features.real, &features.fake])?);
        let surrogate = |a: &Tensor<2>| (norms(a.clone() - second.clone()) - norms(a.clone())).mean();
        Ok(surrogate(x) - surrogate(y))
    }

    /// That of f, whose y' is the row of the second batch.
    fn witness_gradient(&self, h: &Tensor<2>, features: &Features) -> Result<Tensor<2>> {
        let away = h.clone() - second(features, &[h])?.clone();
        Ok(direction(away) - direction(h.clone()))
    }

    fn needs_second(&self) -> bool {
        true
    }
}

/// The second generated batch, which has as many rows as these.
fn second<'a>(features: &'a Features, others: &[&Tensor<2>]) -> Result<&'a Tensor<2>> {
    let rows = |t: &Tensor<2>| t.dims()[0];
    let n = features.second.as_ref().map_or(0, rows);
    match &features.second {
        Some(second) if others.iter().all(|other| rows(other) == n) => Ok(second),
        _ => {
            let [real, fake] = [&features.real, &features.fake].map(rows);
            let found = format!("{fake} and {n} generated ones");
            let remedy = "the Cramér distance needs two generated batches of the size of the real one";
            Err(Error::mismatch(Field::Count("points".into()), format!("{real} real ones"), found, remedy))
        }
    }
}

/// ‖row‖, shape (n, 1), with zero derivative at 0.
fn norms(rows: Tensor<2>) -> Tensor<2> {
    Entries((rows.clone() * rows).sum_dim(1)).sqrt().0
}

/// row / ‖row‖, and 0 at 0.
fn direction(rows: Tensor<2>) -> Tensor<2> {
    let inverse = Entries((rows.clone() * rows.clone()).sum_dim(1)).inv_sqrt().0;
    rows * inverse
}
