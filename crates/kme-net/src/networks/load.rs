//! From tensors of a file to a network: names, shapes, and batch normalisation folded into convolutions.

use super::card::NetworkCard;
use super::sketch::{After, Layout, Names, Sketch};
use crate::net::file::Tensors;
use crate::net::layer::Normalise;
use crate::net::{Net, Place};
use crate::weights::Weights;
use kme::{Error, Result};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// A network with what its file decided.
pub(super) struct Loaded {
    pub net: Net,
    /// Names of places with the layers before them.
    pub names: Vec<(String, usize)>,
    /// Which of the card's conventions of names the file follows.
    pub convention: usize,
}

/// The card's network with a file's weights; `path` is for messages.
///
/// Batch normalisation is folded in double precision: W' = W·g/√(v + ε), b' = (b − m)·g/√(v + ε) + β, with its running mean
/// m and variance v. So the network has none left, and evaluates as it was frozen.
pub(super) fn load(card: &NetworkCard, weights: &Weights, path: &Path, place: &Place) -> Result<Loaded> {
    let sketch = (card.sketch)();
    let file = File { card, path, tensors: stripped(&weights.tensors) };
    let convention = file.convention(&sketch);
    let count = file.present(&sketch, convention)?;
    // The layers of the first step that has a source which is not there, and all behind it, are left off.
    let step = sketch.steps.iter().zip(sketch.steps.iter().skip(1)).find(|(_, (_, after))| *after > count);
    let depth = match step {
        Some(((layers, _), _)) => *layers,
        None if count < sketch.part.sources.len() => sketch.steps.last().map_or(0, |(layers, _)| *layers),
        None => sketch.part.layers.len(),
    };

    let mut layers = sketch.part.layers;
    layers.truncate(depth);
    let mut names = sketch.names;
    names.retain(|(_, at)| *at <= depth);
    if let Some(normalise) = card.conventions[convention].pixels.layer() {
        layers.insert(0, Normalise::into(normalise));
        names.iter_mut().for_each(|(_, at)| *at += 1);
    }

    let mut sources =
        sketch.part.sources.iter().map(|source| {
            source[convention].as_ref().expect("present() stopped before the first source without a name")
        });
    let mut bias: Option<Vec<f64>> = None;
    let net = Net::with_values(layers, card.input, place, |spec| {
        let values = match bias.take().filter(|_| spec.shape.len() == 1) {
            Some(bias) => bias,
            None => {
                let names = sources.next().expect("a source for every layer with a weight");
                let (weight, shift) = file.folded(names, &spec.shape)?;
                bias = Some(shift);
                weight
            }
        };
        let len = values.len();
        Ok(place.tensor_f64(values, [len]))
    })?;
    Ok(Loaded { net, names, convention })
}

/// What containers and wrappers of networks put before the names of tensors.
const WRAPPERS: [&str; 5] = ["state_dict.", "model.", "module.", "net.", "layers."];

/// A tensor's shape and numbers.
type Tensor = (Vec<usize>, Vec<f32>);

/// The tensors without the names of wrappers.
fn stripped(tensors: &Tensors) -> BTreeMap<&str, &Tensor> {
    fn strip(name: &str) -> &str {
        WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)).map_or(name, strip)
    }
    tensors.iter().map(|(name, tensor)| (strip(name), tensor)).collect()
}

struct File<'a> {
    card: &'a NetworkCard,
    path: &'a Path,
    tensors: BTreeMap<&'a str, &'a Tensor>,
}

impl File<'_> {
    fn has(&self, names: &Option<Names>) -> bool {
        names.as_ref().is_some_and(|names| self.tensors.contains_key(names.weight.as_str()))
    }

    /// The convention under which the most weights are there; the first of equals.
    fn convention(&self, sketch: &Sketch) -> usize {
        let found = |c: usize| sketch.part.sources.iter().filter(|source| self.has(&source[c])).count();
        (0..self.card.conventions.len()).rev().max_by_key(|&c| found(c)).unwrap_or(0)
    }

    /// How many sources, from the first, are there; an error if one that is needed is not, or one is missing before another.
    fn present(&self, sketch: &Sketch, convention: usize) -> Result<usize> {
        let sources = &sketch.part.sources;
        let there = |i: usize| self.has(&sources[i][convention]);
        let count = (0..sources.len()).take_while(|&i| there(i)).count();
        let gap = (count..sources.len()).any(there);
        if count >= sketch.needed && !gap {
            return Ok(count);
        }
        let name = sources[count][convention].as_ref().map_or("a tensor", |names| &names.weight);
        let hint = match (count, self.tensors.keys().next()) {
            (0, Some(first)) => format!("; the file's first tensor is {first}"),
            _ => String::new(),
        };
        Err(self.fault(format!("tensor {name} is missing{hint}")))
    }

    fn fault(&self, what: impl std::fmt::Display) -> Error {
        Error::format(self.path, format!("does not hold the weights of {}: {what}", self.card.name))
    }

    /// A tensor of this shape, up to axes of length 1.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let (found, values) =
            self.tensors.get(name).ok_or_else(|| self.fault(format!("tensor {name} of shape {shape:?} is missing")))?;
        let long = |shape: &[usize]| shape.iter().copied().filter(|&side| side != 1).collect::<Vec<_>>();
        match long(found) == long(shape) {
            true => Ok(values),
            false => Err(self.fault(format!("tensor {name} has shape {found:?}, {shape:?} is needed"))),
        }
    }

    /// Weight and bias of a layer whose weight has this shape (outputs, inputs, ...), with what follows it folded in.
    fn folded(&self, names: &Names, shape: &[usize]) -> Result<(Vec<f64>, Vec<f64>)> {
        let outputs = shape[0];
        let row: usize = shape[1..].iter().product();
        let weight: Cow<[f32]> = match names.layout {
            Layout::OutputsFirst => self.tensor(&names.weight, shape)?.into(),
            Layout::OutputsLast => {
                let found: Vec<usize> = shape[2..].iter().chain([&shape[1], &shape[0]]).copied().collect();
                let values = self.tensor(&names.weight, &found)?;
                let (inputs, taps) = (shape[1], row / shape[1]);
                let at = |o: usize, c: usize, t: usize| values[(t * inputs + c) * outputs + o];
                let of = |o| (0..inputs).flat_map(move |c| (0..taps).map(move |t| at(o, c, t)));
                (0..outputs).flat_map(of).collect()
            }
        };
        let mut weight: Vec<f64> = weight.iter().map(|&w| f64::from(w)).collect();
        let each = |name: &str| -> Result<Vec<f64>> {
            Ok(self.tensor(name, &[outputs])?.iter().map(|&x| f64::from(x)).collect())
        };
        let mut bias = names.bias.as_deref().map_or_else(|| Ok(vec![0.0; outputs]), each)?;
        // y = scale · (x − mean) + shift.
        let (scale, mean, shift) = match &names.after {
            After::Nothing => return Ok((weight, bias)),
            After::Scale { scale, shift } => (each(scale)?, vec![0.0; outputs], each(shift)?),
            After::BatchNorm { gain, shift, mean, variance, epsilon } => {
                let gain = gain.as_deref().map_or_else(|| Ok(vec![1.0; outputs]), each)?;
                let scale = gain.iter().zip(each(variance)?).map(|(g, v)| g / (v + epsilon).sqrt()).collect();
                (scale, each(mean)?, each(shift)?)
            }
        };
        for (o, weights) in weight.chunks_exact_mut(row).enumerate() {
            weights.iter_mut().for_each(|w| *w *= scale[o]);
            bias[o] = (bias[o] - mean[o]) * scale[o] + shift[o];
        }
        match weight.iter().chain(&bias).all(|x| (*x as f32).is_finite()) {
            true => Ok((weight, bias)),
            false => {
                Err(self.fault(format!("{} and what follows it fold to numbers that are not finite", names.weight)))
            }
        }
    }
}
