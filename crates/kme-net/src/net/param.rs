//! Parameters of a network: a flat list of named tensors, so that optimisers, averages and files need one loop.

use super::Place;
use burn::tensor::Tensor;
use kme::rng;
use rand::RngExt;
use rand_distr::StandardNormal;

/// What a layer needs: a parameter's name, shape and role.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Layer numbers and name, such as `0.weight`.
    pub name: String,
    /// Sides of the tensor, outputs first.
    pub shape: Vec<usize>,
    /// What it does in its layer.
    pub role: Role,
}

/// What a parameter does in its layer; decides how it is initialised and whether it is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// A matrix or filter bank that sums over `fan_in` inputs.
    Weight {
        /// Inputs that one output sums over.
        fan_in: usize,
        /// The sort of layer.
        of: Kind,
    },
    /// Added to each output; starts at 0.
    Bias,
    /// Multiplies a normalised activation; starts at 1.
    Gain,
    /// Running mean of a batch normalisation: not trained, starts at 0.
    RunningMean,
    /// Running variance of a batch normalisation: not trained, starts at 1.
    RunningVariance,
    /// A number of the layer that is drawn and never trained.
    Constant(Draw),
    /// The spectral norm that a weight is brought to; starts at 1. See `net/spectral.rs`.
    Scale {
        /// Whether it is trained, or stays 1.
        trained: bool,
    },
    /// An estimate of a weight's first left singular vector: not trained, moved by power iterations.
    Direction,
}

/// The law of a constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Draw {
    /// N(0, deviation²).
    Normal {
        /// Standard deviation.
        deviation: f64,
    },
    /// Uniform on [0, 2π).
    Angle,
}

impl Draw {
    pub(super) fn numbers(self, len: usize, rng: &mut rng::Rng) -> Vec<f64> {
        let draw = |rng: &mut rng::Rng| match self {
            Self::Normal { deviation } => deviation * rng.sample::<f64, _>(StandardNormal),
            Self::Angle => std::f64::consts::TAU * rng.random::<f64>(),
        };
        (0..len).map(|_| draw(rng)).collect()
    }
}

/// The kind of layer that a weight belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A dense layer.
    Linear,
    /// A convolution.
    Conv,
    /// A transposed convolution.
    TransposedConv,
}

/// A parameter or running statistic: its name, shape and value, stored flat.
#[derive(Clone, Debug)]
pub struct Param {
    /// Layer numbers and name, such as `0.weight`.
    pub name: String,
    /// Sides of the tensor, outputs first.
    pub shape: Vec<usize>,
    /// What it does in its layer.
    pub role: Role,
    /// Its numbers, row after row.
    pub value: Tensor<1>,
}

impl Param {
    /// Whether an optimiser moves it (running statistics, constants and singular vectors are not moved).
    pub fn is_trained(&self) -> bool {
        match self.role {
            Role::Weight { .. } | Role::Bias | Role::Gain => true,
            Role::Scale { trained } => trained,
            Role::RunningMean | Role::RunningVariance | Role::Constant(_) | Role::Direction => false,
        }
    }

    /// The value in its shape of rank `D`.
    pub(crate) fn shaped<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.as_slice().try_into().expect("a layer asks for the rank that it declared");
        self.value.clone().reshape(shape)
    }
}

/// How weights start. Biases and running means start at 0, gains and running variances at 1, constants by their own
/// law.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// DCGAN as in the MMD GAN code: convolutions from a normal of deviation 0.02 truncated at two deviations,
    /// transposed convolutions from a normal of 0.02, dense layers from a normal of 0.01.
    Dcgan,
    /// DCGAN as its authors have it (Radford et al. 2016): every weight from a normal of 0.02, gains from N(1, 0.02²).
    Radford,
    /// Normal of variance 2 / fan-in, for networks of rectified units (He et al. 2015, eq. 10).
    He,
    /// Uniform of the same variance, between ±√(6 / fan-in).
    HeUniform,
    /// Uniform between ±√(6 / (fan-in + fan-out)), for networks of sigmoids (Glorot and Bengio 2010, eq. 16).
    Glorot,
}

impl Init {
    pub(crate) fn draw(self, spec: &Spec, seed: u64, place: &Place) -> Tensor<1> {
        let len = spec.shape.iter().product();
        let mut rng = rng::stream(seed, &format!("init {}", spec.name), 0);
        let mut normal = |deviation: f64| Draw::Normal { deviation }.numbers(len, &mut rng);
        let values = match (spec.role, self) {
            (Role::Gain, Init::Radford) => normal(0.02).iter().map(|x| 1.0 + x).collect(),
            (Role::Bias | Role::RunningMean, _) => vec![0.0; len],
            (Role::Gain | Role::RunningVariance | Role::Scale { .. }, _) => vec![1.0; len],
            (Role::Weight { fan_in, .. }, Init::He) => normal((2.0 / fan_in as f64).sqrt()),
            (Role::Weight { .. }, Init::Radford) => normal(0.02),
            (Role::Weight { of: Kind::Linear, .. }, Init::Dcgan) => normal(0.01),
            (Role::Weight { of: Kind::TransposedConv, .. }, Init::Dcgan) => normal(0.02),
            (Role::Weight { of: Kind::Conv, .. }, Init::Dcgan) => truncated_normals(0.02, len, &mut rng),
            (Role::Weight { fan_in, .. }, Init::HeUniform) => uniform((6.0 / fan_in as f64).sqrt(), len, &mut rng),
            (Role::Weight { fan_in, of }, Init::Glorot) => {
                let both = fan_in + fan_out(&spec.shape, of);
                uniform((6.0 / both as f64).sqrt(), len, &mut rng)
            }
            (Role::Constant(law), _) => law.numbers(len, &mut rng),
            (Role::Direction, _) => truncated_normals(1.0, len, &mut rng),
        };
        place.tensor_f64(values, [len])
    }
}

/// Outputs that one input reaches through a weight of this shape.
fn fan_out(shape: &[usize], of: Kind) -> usize {
    let window: usize = shape[2..].iter().product();
    match of {
        Kind::Linear | Kind::Conv => shape[0] * window,
        Kind::TransposedConv => shape[1] * window,
    }
}

/// Normal numbers drawn again where they are beyond two deviations.
fn truncated_normals(deviation: f64, len: usize, rng: &mut rng::Rng) -> Vec<f64> {
    let mut draw = || loop {
        let x: f64 = rng.sample(StandardNormal);
        if x.abs() <= 2.0 {
            return x;
        }
    };
    (0..len).map(|_| deviation * draw()).collect()
}

/// Uniform numbers between ±bound.
fn uniform(bound: f64, len: usize, rng: &mut rng::Rng) -> Vec<f64> {
    (0..len).map(|_| bound * (2.0 * rng.random::<f64>() - 1.0)).collect()
}
