//! Random Fourier features as a layer: a Gaussian kernel becomes the inner product of what it gives.

use super::{Concat, Differentiable, Layer, Mode, Params, Run, Saved, Shape, misfit};
use crate::net::param::{Draw, Role, Spec};
use burn::tensor::Tensor;
use kme::{Error, Form, Kernel, Result, Waves};
use serde::{Deserialize, Serialize};

/// z(x) with E ⟨z(x), z(y)⟩ = weight · exp(−‖x−y‖²/(2·sigma²)) over the draw of its constants.
///
/// [`Waves::Phase`]: √(2·weight/s)·cos(W x + b), s = `outputs` frequencies W (s, inputs) and phases b (s).
/// [`Waves::Paired`]: √(2·weight/s)·(cos W x, sin W x), s/2 frequencies, all cosines before all sines.
/// W is normal of deviation 1/sigma, b uniform on [0, 2π); both are constants, which no optimiser moves and
/// [`Net::redrawn`](crate::net::Net::redrawn) draws anew.
///
/// Shapes: x (n, inputs, 1, 1) → (n, outputs, 1, 1).
/// Reference: Rahimi, Recht, "Random features for large-scale kernel machines", NIPS 2007.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosines {
    /// Dimension of x.
    pub inputs: usize,
    /// Dimension of z(x).
    pub outputs: usize,
    /// Bandwidth of the Gaussian kernel, in units of x.
    pub sigma: f64,
    /// The kernel's value at x = y.
    pub weight: f64,
    /// Cosines with phases, or pairs of cosine and sine.
    pub waves: Waves,
}

impl Cosines {
    fn frequencies(&self) -> usize {
        match self.waves {
            Waves::Phase => self.outputs,
            Waves::Paired => self.outputs / 2,
        }
    }

    fn amplitude(&self) -> f64 {
        (2.0 * self.weight / self.outputs as f64).sqrt()
    }
}

impl Differentiable for Cosines {
    fn specs(&self, name: &str) -> Vec<Spec> {
        let count = self.frequencies();
        let role = Role::Constant(Draw::Normal { deviation: 1.0 / self.sigma });
        let mut specs = vec![Spec { name: format!("{name}frequencies"), shape: vec![count, self.inputs], role }];
        if self.waves == Waves::Phase {
            specs.push(Spec { name: format!("{name}phases"), shape: vec![count], role: Role::Constant(Draw::Angle) });
        }
        specs
    }

    fn output_shape(&self, input: Shape) -> Result<Shape> {
        if input != [self.inputs, 1, 1] {
            return Err(misfit("cosines", input, format!("a vector of {} features", self.inputs)));
        }
        if self.outputs == 0 || (self.waves == Waves::Paired && self.outputs % 2 == 1) {
            let allowed = "at least 1, and even for paired waves";
            return Err(Error::value("number of outputs of layer cosines", self.outputs, allowed));
        }
        if !(1e-12..=1e12).contains(&self.sigma) {
            return Err(Error::value("sigma of layer cosines", self.sigma, "from 1e-12 to 1e12"));
        }
        if !(self.weight > 0.0 && self.weight.is_finite()) {
            return Err(Error::value("weight of layer cosines", self.weight, "finite and above 0"));
        }
        Ok([self.outputs, 1, 1])
    }

    fn forward(&self, params: Params, input: Tensor<4>, run: &mut Run) -> (Tensor<4>, Saved) {
        let n = input.dims()[0];
        let x: Tensor<2> = input.reshape([n, self.inputs]);
        let mut angles = x.matmul(params[0].shaped::<2>().transpose());
        if self.waves == Waves::Phase {
            angles = angles + params[1].value.clone().reshape([1, self.outputs]);
        }
        let saved = run.kept(|| Saved::Angles(angles.clone()));
        let waves = match self.waves {
            Waves::Phase => angles.cos(),
            Waves::Paired => Tensor::cat(vec![angles.clone().cos(), angles.sin()], 1),
        };
        ((waves * self.amplitude()).reshape([n, self.outputs, 1, 1]), saved)
    }

    fn pullback(&self, params: Params, saved: &Saved, _: Mode, cotangent: Tensor<4>) -> Tensor<4> {
        let Saved::Angles(angles) = saved else { unreachable!("cosines save their angles") };
        let n = cotangent.dims()[0];
        let g: Tensor<2> = cotangent.reshape([n, self.outputs]);
        let back = match self.waves {
            Waves::Phase => (g * angles.clone().sin()).neg(),
            Waves::Paired => {
                let half = self.frequencies();
                let (cosine, sine) = (g.clone().narrow(1, 0, half), g.narrow(1, half, half));
                sine * angles.clone().cos() - cosine * angles.clone().sin()
            }
        };
        (back * self.amplitude()).matmul(params[0].shaped::<2>()).reshape([n, self.inputs, 1, 1])
    }
}

/// The layer after which `kernel` is, on average, the inner product: [`Cosines`] for a Gaussian, one for each term of
/// a sum of Gaussians joined along channels. `inputs` is the dimension of the points; every term gets `features` of
/// them.
///
/// A critic that ends in it under the linear kernel is one under `kernel`, with an error of about 1/√features. Its
/// constants are drawn with the network; to draw others, [`Net::redrawn`](crate::net::Net::redrawn).
///
/// # Errors
/// [`Error::Parameter`] when a term of the kernel is not Gaussian.
pub fn random_features(kernel: &Kernel, inputs: usize, features: usize, waves: Waves) -> Result<Layer> {
    let layer = |&(weight, form): &(f64, Form)| match form {
        Form::Gaussian { sigma } => Ok(Layer::from(Cosines { inputs, outputs: features, sigma, weight, waves })),
        _ => {
            Err(Error::parameter("kernel", kernel, "gaussian:sigma=... or a sum of such, since it has random features"))
        }
    };
    let mut layers = kernel.terms().iter().map(layer).collect::<Result<Vec<_>>>()?;
    match layers.len() {
        1 => Ok(layers.swap_remove(0)),
        _ => Ok(Concat { branches: layers.into_iter().map(|layer| vec![layer]).collect() }.into()),
    }
}
