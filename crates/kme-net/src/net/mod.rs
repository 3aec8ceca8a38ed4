//! Networks as plain data: a list of layers, a list of parameters, and for every layer an exact pullback.

pub mod architecture;
mod compose;
mod depths;
pub(crate) mod file;
pub mod layer;
mod param;
pub mod place;
mod spectral;

pub use architecture::{CriticNet, GeneratorNet, dcgan_critic, dcgan_generator};
pub(crate) use file::ModelFile;
pub use file::{Tensors, parse_tensors, write_tensors};
pub use layer::{Layer, Mode};
pub use param::{Init, Param, Role};
pub use place::Place;

use burn::tensor::{Gradients, Tensor};
use kme::{Error, Field, Result};
use layer::{Params, Ranges, Run, Saved, Shape};
use param::Spec;
use std::sync::Arc;

/// A network: layers one after another, and their parameters.
///
/// Cloning is cheap: parameters are shared until one side is changed.
#[derive(Clone, Debug)]
pub struct Net {
    layers: Vec<Layer>,
    params: Vec<Param>,
    /// Which of them belong to which layer.
    ranges: Arc<Ranges>,
    input: Shape,
    output: Shape,
    place: Place,
}

/// The output of a forward pass with what its pullback needs.
pub struct Pass {
    /// Shape (n, c, h, w).
    pub output: Tensor<4>,
    /// Outputs of the linear and convolution layers, in order, when they were asked for.
    pub activations: Vec<Tensor<4>>,
    saved: Vec<Saved>,
    mode: Mode,
    updates: Vec<(String, Tensor<1>)>,
}

/// What a network gives, (n, c, h, w), as rows: (n, c·h·w).
pub fn flat(features: Tensor<4>) -> Tensor<2> {
    let [n, c, h, w] = features.dims();
    features.reshape([n, c * h * w])
}

impl Net {
    /// A network of these layers for inputs of shape `input` (channels, height, width), with fresh parameters.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a layer does not fit the shape that reaches it; [`Error::TooMany`] when the network is too large.
    pub fn new(layers: Vec<Layer>, input: Shape, init: Init, seed: u64, place: &Place) -> Result<Self> {
        Self::with_values(layers, input, place, |spec| Ok(init.draw(spec, seed, place)))
    }

    /// A network with the parameters that `value` gives.
    ///
    /// # Errors
    /// As [`new`](Self::new), and those of `value`.
    pub fn with_values(
        layers: Vec<Layer>,
        input: Shape,
        place: &Place,
        mut value: impl FnMut(&Spec) -> Result<Tensor<1>>,
    ) -> Result<Self> {
        const MOST: usize = 1 << 28;
        let output = layer::output_shape_all(&layers, input)?;
        let specs = layer::specs_all(&layers, "");
        let count = specs.iter().try_fold(0usize, |sum, spec| {
            spec.shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side))?.checked_add(sum)
        });
        if count.is_none_or(|count| count > MOST) {
            let count = count.unwrap_or(usize::MAX);
            return Err(Error::too_many("parameters of the network", count, MOST, "make its layers smaller"));
        }
        let params = specs
            .into_iter()
            .map(|spec| {
                let value = value(&spec)?;
                Ok(Param { name: spec.name, shape: spec.shape, role: spec.role, value })
            })
            .collect::<Result<_>>()?;
        let ranges = Arc::new(Ranges::of(&layers));
        Ok(Self { layers, params, ranges, input, output, place: place.clone() })
    }

    /// The layers, from input to output.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The parameters, in the order of the layers; those of the spectral parametrisation come last.
    pub fn params(&self) -> &[Param] {
        &self.params
    }

    /// The first `count` layers, sharing the parameters.
    ///
    /// # Errors
    /// [`Error::Parameter`] when there are fewer layers.
    pub fn truncated(&self, count: usize) -> Result<Self> {
        if count > self.layers.len() {
            return Err(Error::parameter(
                "count",
                count,
                format!("at most {}, the number of layers", self.layers.len()),
            ));
        }
        let layers = self.layers[..count].to_vec();
        let output = layer::output_shape_all(&layers, self.input)?;
        let (own, extras) = self.params.split_at(self.own());
        let ranges = Arc::new(Ranges::of(&layers));
        let mut params = own[..ranges.count()].to_vec();
        // What belongs to the spectral parametrisation of a weight that stays, stays.
        let stays = |p: &&Param| p.name.rsplit_once('.').is_some_and(|(name, _)| params.iter().any(|q| q.name == name));
        let extras: Vec<Param> = extras.iter().filter(stays).cloned().collect();
        params.extend(extras);
        Ok(Self { layers, params, ranges, input: self.input, output, place: self.place.clone() })
    }

    /// A copy in which each parameter has the value, of the same length, that `value` gives for it.
    pub fn map_values(&self, mut value: impl FnMut(&Param) -> Tensor<1>) -> Self {
        let mut net = self.clone();
        for param in &mut net.params {
            param.value = value(param);
        }
        net
    }

    /// A copy whose constants (the frequencies and phases of random features) are drawn anew: draw number `index` of
    /// `purpose` under `seed`. Every other parameter is shared. Call it before [`tracked`](Self::tracked).
    pub fn redrawn(&self, seed: u64, purpose: &str, index: u64) -> Self {
        self.map_values(|p| match p.role {
            param::Role::Constant(law) => {
                let len = p.shape.iter().product();
                let mut rng = kme::rng::stream(seed, &format!("{purpose} {}", p.name), index);
                self.place.tensor_f64(law.numbers(len, &mut rng), [len])
            }
            _ => p.value.clone(),
        })
    }

    /// Shape of one input: channels, height, width.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// Shape of one output: channels, height, width.
    pub fn output(&self) -> Shape {
        self.output
    }

    /// Where the parameters live.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether a picture's outputs in [`Mode::Train`] depend on the others of its batch.
    pub fn has_batch_norm(&self) -> bool {
        self.params.iter().any(|p| p.role == Role::RunningMean)
    }

    /// Number of trained parameters.
    pub fn size(&self) -> usize {
        self.params.iter().filter(|p| p.is_trained()).map(|p| p.shape.iter().product::<usize>()).sum()
    }

    /// A copy whose trained parameters are leaves of a gradient computation.
    pub fn tracked(&self) -> Self {
        let mut net = self.clone();
        for param in &mut net.params {
            let value = param.value.clone().inner().autodiff();
            param.value = if param.is_trained() { value.require_grad() } else { value };
        }
        net
    }

    /// The gradients of a [`tracked`](Self::tracked) network's trained parameters, in order; zero where the loss does
    /// not depend on one.
    pub fn gradients(&self, gradients: &mut Gradients) -> Vec<Tensor<1>> {
        self.params
            .iter()
            .filter(|p| p.is_trained())
            .map(|p| p.value.grad_remove(gradients).unwrap_or_else(|| p.value.clone().inner().zeros_like()))
            .collect()
    }

    /// The output for inputs of shape (n, c, h, w).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the input's shape is not the network's.
    pub fn forward(&self, x: Tensor<4>, mode: Mode) -> Result<Tensor<4>> {
        Ok(self.run(x, mode, false, false)?.0)
    }

    /// The forward pass with all that its pullback needs; `activations` keeps the outputs of linear and convolution
    /// layers.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the input's shape is not the network's.
    pub fn pass(&self, x: Tensor<4>, mode: Mode, activations: bool) -> Result<Pass> {
        let (output, saved, run) = self.run(x, mode, true, activations)?;
        let activations = run.activations.unwrap_or_default();
        Ok(Pass { output, activations, saved, mode, updates: run.updates })
    }

    /// Refuses inputs of shape (n, c, h, w) that do not have the network's channels and size.
    pub(crate) fn check_input(&self, [_, c, h, w]: [usize; 4]) -> Result<()> {
        if [c, h, w] == self.input {
            return Ok(());
        }
        let shape = |[c, h, w]: Shape| format!("{c}x{h}x{w}");
        let field = Field::Shape("the network's input (channels, height, width)".into());
        let remedy = "bring the input to the shape of the network";
        Err(Error::mismatch(field, shape([c, h, w]), format!("{} for this network", shape(self.input)), remedy))
    }

    /// The parameters of each layer.
    fn by_layer(&self) -> Params<'_> {
        Params::new(&self.params, &self.ranges)
    }

    fn run(&self, x: Tensor<4>, mode: Mode, keep: bool, activations: bool) -> Result<(Tensor<4>, Vec<Saved>, Run)> {
        self.check_input(x.dims())?;
        let mut run = Run { mode, keep, updates: Vec::new(), activations: activations.then(Vec::new) };
        let (output, saved) = layer::forward_all(&self.layers, self.by_layer(), x, &mut run);
        Ok((output, saved, run))
    }

    /// Jᵀ · cotangent: the gradient of ⟨cotangent, f(x)⟩ in x, at the input of `pass`.
    ///
    /// Shapes: cotangent (n, c', h', w') like the output → (n, c, h, w) like the input. The result is an ordinary
    /// tensor expression in the parameters: differentiating it once gives exact second derivatives.
    pub fn pullback(&self, pass: &Pass, cotangent: Tensor<4>) -> Tensor<4> {
        layer::pullback_all(&self.layers, self.by_layer(), &pass.saved, pass.mode, cotangent)
    }

    /// Takes over the running statistics of batch normalisation that a training pass moved.
    pub fn update_running_statistics(&mut self, pass: &Pass) {
        for (name, value) in &pass.updates {
            if let Some(param) = self.params.iter_mut().find(|p| &p.name == name) {
                param.value = value.clone();
            }
        }
    }
}
