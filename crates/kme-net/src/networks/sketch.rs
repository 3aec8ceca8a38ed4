//! How an architecture is written down: layers, the names of places among them, and the names of its tensors in files.

use crate::net::Layer;
use crate::net::layer::{Clamp, Concat, Conv, Linear, Relu, Residual};

/// The tensors of one convolution or dense layer under one convention of names.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub weight: String,
    pub bias: Option<String>,
    pub after: After,
    pub layout: Layout,
}

/// What follows a convolution and is folded into it.
#[derive(Clone, Debug)]
pub(crate) enum After {
    Nothing,
    /// Batch normalisation by its running statistics, y = gain (x − mean)/√(variance + epsilon) + shift; without a gain it is 1.
    BatchNorm {
        gain: Option<String>,
        shift: String,
        mean: String,
        variance: String,
        epsilon: f64,
    },
    /// y = scale · x + shift, per channel.
    Scale {
        scale: String,
        shift: String,
    },
}

/// The order of a weight's axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// (outputs, inputs, height, width) or (outputs, inputs), as PyTorch has them.
    OutputsFirst,
    /// (height, width, inputs, outputs) or (inputs, outputs), as TensorFlow has them.
    OutputsLast,
}

impl Names {
    /// `module.weight` and `module.bias`.
    pub(crate) fn of(module: &str) -> Self {
        Self { bias: Some(format!("{module}.bias")), ..Self::weight(format!("{module}.weight")) }
    }

    /// A weight alone.
    pub(crate) fn weight(weight: impl Into<String>) -> Self {
        Self { weight: weight.into(), bias: None, after: After::Nothing, layout: Layout::OutputsFirst }
    }

    /// `conv.weight`, and PyTorch's batch normalisation `norm`.
    pub(crate) fn normalised(conv: &str, norm: &str, epsilon: f64) -> Self {
        let after = After::BatchNorm {
            gain: Some(format!("{norm}.weight")),
            shift: format!("{norm}.bias"),
            mean: format!("{norm}.running_mean"),
            variance: format!("{norm}.running_var"),
            epsilon,
        };
        Self { after, ..Self::weight(format!("{conv}.weight")) }
    }
}

/// A layer's tensors under each of its network's conventions; none where a convention has no name for it.
pub(crate) type Source = Vec<Option<Names>>;

/// Layers, with a source for each convolution and dense layer in their order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub layers: Vec<Layer>,
    pub sources: Vec<Source>,
}

impl Part {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A layer without parameters.
    pub(crate) fn then(mut self, layer: impl Into<Layer>) -> Self {
        self.layers.push(layer.into());
        self
    }

    pub(crate) fn relu(self) -> Self {
        self.then(Relu {})
    }

    pub(crate) fn relu6(self) -> Self {
        self.then(Clamp { least: 0.0, most: 6.0 })
    }

    /// A convolution, named under each convention. What follows it in files is folded in, and gives it a bias.
    pub(crate) fn conv(mut self, conv: Conv, source: impl IntoIterator<Item = Names>) -> Self {
        self.sources.push(source.into_iter().map(Some).collect());
        self.then(conv)
    }

    /// A dense layer, named under the conventions that have it.
    pub(crate) fn linear(mut self, linear: Linear, source: impl IntoIterator<Item = Option<Names>>) -> Self {
        self.sources.push(source.into_iter().collect());
        self.then(linear)
    }

    /// Branches whose channels are joined.
    pub(crate) fn concat(mut self, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut branches = Vec::new();
        for part in parts {
            branches.push(part.layers);
            self.sources.extend(part.sources);
        }
        self.then(Concat { branches })
    }

    /// branch(x) + shortcut(x).
    pub(crate) fn residual(mut self, branch: Self, shortcut: Self) -> Self {
        self.sources.extend(branch.sources);
        self.sources.extend(shortcut.sources);
        self.then(Residual { branch: branch.layers, shortcut: shortcut.layers })
    }
}

/// A whole network: parts one after another, with names for places among the layers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sketch {
    pub part: Part,
    /// Each name with the number of layers before that place. A place may have several names.
    pub names: Vec<(String, usize)>,
    /// For each step the number of layers and sources before it: where a file without the rest ends the network.
    pub steps: Vec<(usize, usize)>,
    /// Sources that every file must have.
    pub needed: usize,
}

impl Sketch {
    /// Adds a part and names the place after it.
    pub(crate) fn then(&mut self, part: Part, names: &[&str]) {
        self.steps.push((self.part.layers.len(), self.part.sources.len()));
        self.part.layers.extend(part.layers);
        self.part.sources.extend(part.sources);
        self.also(names);
    }

    /// More names for the place that was reached.
    pub(crate) fn also(&mut self, names: &[&str]) {
        let depth = self.part.layers.len();
        self.names.extend(names.iter().map(|name| (name.to_string(), depth)));
    }

    /// What comes now may be missing in a file, together with all behind it.
    pub(crate) fn rest_is_optional(&mut self) {
        self.needed = self.part.sources.len();
    }

    /// All of it must be in a file, unless [`rest_is_optional`](Self::rest_is_optional) was said.
    pub(crate) fn finish(mut self) -> Self {
        if self.needed == 0 {
            self.needed = self.part.sources.len();
        }
        self
    }
}
