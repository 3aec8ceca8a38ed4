//! Dense networks: GMMN's generator, and generators and critics of points.

use super::blocks::{flatten, rectifier};
use super::positive;
use crate::net::layer::{Layer, Linear, Relu, Reshape, Shape, Sigmoid};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a dense generator ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Numbers in (0, 1), as pixels are.
    Sigmoid,
    /// Any numbers, as the coordinates of points are.
    Linear,
}

/// Dense layers with ReLU between.
///
/// GMMN's is `hidden = [64, 256, 256, 1024]` from 10 latents to 784 pixels: Li, Swersky, Zemel, "Generative moment
/// matching networks", ICML 2015.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpGenerator {
    /// Units of each hidden layer; empty: one linear map.
    pub hidden: Vec<usize>,
    /// Left out: linear for points (pictures of one pixel), a sigmoid for pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<Output>,
}

/// Dense layers with ReLU, or leaky ReLU, between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpCritic {
    /// Units of each hidden layer; `[64, 64, 64, 64]` in the thesis's toys.
    pub hidden: Vec<usize>,
    /// Slope of the leaky ReLU; 0 is ReLU.
    #[serde(default)]
    pub leak: f64,
}

/// Refuses slopes that a leaky ReLU cannot have.
pub(super) fn check_leak(leak: f64) -> Result<()> {
    if (0.0..1.0).contains(&leak) {
        return Ok(());
    }
    Err(Error::parameter("leak", leak, "a slope from 0 (ReLU) to below 1"))
}

/// Dense layers of these units, the last without a nonlinearity.
pub(super) fn dense(inputs: usize, hidden: &[usize], outputs: usize, between: &Layer) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    let mut inputs = inputs;
    for &units in hidden {
        positive("hidden", units)?;
        layers.push(Linear { inputs, outputs: units, bias: true }.into());
        layers.push(between.clone());
        inputs = units;
    }
    layers.push(Linear { inputs, outputs, bias: true }.into());
    Ok(layers)
}

impl MlpGenerator {
    pub(super) fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        let count = numbers(output)?;
        let mut layers = dense(inputs, &self.hidden, count, &Relu {}.into())?;
        let is_point = output[1..] == [1, 1];
        if self.output.unwrap_or(if is_point { Output::Linear } else { Output::Sigmoid }) == Output::Sigmoid {
            layers.push(Sigmoid {}.into());
        }
        if !is_point {
            layers.push(Reshape { to: output }.into());
        }
        Ok(layers)
    }
}

impl MlpCritic {
    pub(super) fn layers(&self, input: Shape, top: usize) -> Result<Vec<Layer>> {
        check_leak(self.leak)?;
        let count = numbers(input)?;
        let mut layers = if input[1..] == [1, 1] { vec![] } else { vec![flatten(input)] };
        layers.extend(dense(count, &self.hidden, top, &rectifier(self.leak))?);
        Ok(layers)
    }
}

/// How many numbers a picture or point has.
fn numbers([c, h, w]: Shape) -> Result<usize> {
    const MOST: usize = 1 << 20;
    let count = c.checked_mul(h).and_then(|count| count.checked_mul(w));
    count.filter(|count| (1..=MOST).contains(count)).ok_or_else(|| {
        let allowed = format!("of 1 to {MOST} numbers");
        Error::value("shape of pictures", format!("{c}x{h}x{w}"), allowed)
    })
}
