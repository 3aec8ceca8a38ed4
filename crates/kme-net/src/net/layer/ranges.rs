//! Which of a network's parameters belong to which layer: found once, when the network is made.

use super::{Layer, Param};
use std::ops::{Deref, Range};

/// Where the parameters of a layer, or of layers one after another, stand among those of the network, and those of the parts:
/// of layers one after another each layer, of a layer with layers inside it each list of these.
#[derive(Debug)]
pub(crate) struct Ranges {
    range: Range<usize>,
    parts: Vec<Ranges>,
}

impl Ranges {
    /// Those of a network of these layers.
    pub(crate) fn of(layers: &[Layer]) -> Self {
        Self::of_layers(layers, 0)
    }

    /// How many parameters there are.
    pub(crate) fn count(&self) -> usize {
        self.range.len()
    }

    fn of_layers(layers: &[Layer], first: usize) -> Self {
        Self::of_parts(layers, first, Self::of_layer)
    }

    fn of_layer(layer: &Layer, first: usize) -> Self {
        match layer.inner().lists() {
            lists if lists.is_empty() => Self { range: first..first + layer.specs("").len(), parts: Vec::new() },
            lists => Self::of_parts(lists, first, Self::of_layers),
        }
    }

    fn of_parts<T>(parts: impl IntoIterator<Item = T>, first: usize, of: fn(T, usize) -> Self) -> Self {
        let mut end = first;
        let next = |part| {
            let part = of(part, end);
            end = part.range.end;
            part
        };
        let parts = parts.into_iter().map(next).collect();
        Self { range: first..end, parts }
    }
}

/// The parameters of a layer, or of layers one after another, in order.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a> {
    all: &'a [Param],
    ranges: &'a Ranges,
}

impl<'a> Params<'a> {
    /// Those of a network, whose parameters are `all`.
    pub(crate) fn new(all: &'a [Param], ranges: &'a Ranges) -> Self {
        Self { all, ranges }
    }

    /// Those of each part, as [`Ranges`] says.
    pub(crate) fn parts(self) -> impl DoubleEndedIterator<Item = Self> + ExactSizeIterator {
        self.ranges.parts.iter().map(move |ranges| Self { ranges, ..self })
    }
}

impl Deref for Params<'_> {
    type Target = [Param];

    fn deref(&self) -> &[Param] {
        &self.all[self.ranges.range.clone()]
    }
}
