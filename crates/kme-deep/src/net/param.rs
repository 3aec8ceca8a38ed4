//! Parameters of a network: a flat list of named tensors, so that optimisers, averages and files need one loop.

use super::Place;
use burn::tensor::Tensor;
use kme::rng;
use rand::RngExt;
use rand_distr::StandardNormal;

/// What a layer needs: a parameter's name, shape and role.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
}

/// What a parameter does in its layer; decides how it is initialised and whether it is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// A matrix or filter bank that sums over `fan_in` inputs.
    Weight {
        fan_in: usize,
        of: Kind,
    },
    Bias,
    /// Multiplies a normalised activation; starts at 1.
    Gain,
    /// Running mean of a batch normalisation: not trained, starts at 0.
    RunningMean,
    /// Running variance of a batch normalisation: not trained, starts at 1.
    RunningVariance,
}

/// The kind of layer that a weight belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Linear,
    Conv,
    TransposedConv,
}

/// A parameter or running statistic: its name, shape and value, stored flat.
#[derive(Clone, Debug)]
pub struct Param {
    pub name: String,
    pub shape: Vec<usize>,
    pub role: Role,
    pub value: Tensor<1>,
}

impl Param {
    /// Whether an optimiser moves it (running statistics are not moved).
    pub fn is_trained(&self) -> bool {
        !matches!(self.role, Role::RunningMean | Role::RunningVariance)
    }

    /// The value in its shape of rank `D`.
    pub(crate) fn shaped<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.as_slice().try_into().expect("a layer asks for the rank that it declared");
        self.value.clone().reshape(shape)
    }
}

/// How weights start. Biases and running means start at 0, gains and running variances at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// DCGAN as in the MMD GAN code: convolutions from a normal of deviation 0.02 truncated at two deviations, transposed
    /// convolutions from a normal of 0.02, dense layers from a normal of 0.01.
    Dcgan,
    /// Normal of variance 2 / fan-in, for networks of rectified units (He et al. 2015, eq. 10).
    He,
}

impl Init {
    pub(crate) fn draw(self, spec: &Spec, seed: u64, place: &Place) -> Tensor<1> {
        let len = spec.shape.iter().product();
        let mut rng = rng::stream(seed, &format!("init {}", spec.name), 0);
        let mut normal = |deviation: f64, truncate: bool| -> Vec<f64> {
            let mut draw = || loop {
                let x: f64 = rng.sample(StandardNormal);
                if !truncate || x.abs() <= 2.0 {
                    return x;
                }
            };
            (0..len).map(|_| deviation * draw()).collect()
        };
        let values = match (spec.role, self) {
            (Role::Bias | Role::RunningMean, _) => vec![0.0; len],
            (Role::Gain | Role::RunningVariance, _) => vec![1.0; len],
            (Role::Weight { fan_in, .. }, Init::He) => normal((2.0 / fan_in as f64).sqrt(), false),
            (Role::Weight { of: Kind::Linear, .. }, Init::Dcgan) => normal(0.01, false),
            (Role::Weight { of: Kind::Conv, .. }, Init::Dcgan) => normal(0.02, true),
            (Role::Weight { of: Kind::TransposedConv, .. }, Init::Dcgan) => normal(0.02, false),
        };
        place.tensor_f64(values, [len])
    }
}
