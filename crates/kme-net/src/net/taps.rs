//! Activations on the way through a network, in one pass, and their common pullback.

use super::layer::Saved;
use super::{Layer, Mode, Net, Shape, layer::Run};
use burn::tensor::Tensor;
use kme::{Error, Result};

/// Activations at several depths of one forward pass, with what their pullback needs.
pub struct Taps {
    /// One for each depth that was asked for, in that order.
    pub activations: Vec<Tensor<4>>,
    depths: Vec<usize>,
    saved: Vec<Saved>,
    mode: Mode,
}

impl Net {
    /// The activations after `depths[0]`, `depths[1]`, ... layers (0: the input itself), in one forward pass that stops after
    /// the deepest. Nothing is kept for a pullback.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the input's shape is not the network's; [`Error::Parameter`] when it has fewer layers.
    pub fn activations(&self, x: Tensor<4>, depths: &[usize], mode: Mode) -> Result<Vec<Tensor<4>>> {
        Ok(self.walk(x, depths, mode, false)?.activations)
    }

    /// As [`activations`](Self::activations), with all that [`pullback_taps`](Self::pullback_taps) needs.
    ///
    /// # Errors
    /// As there.
    pub fn taps(&self, x: Tensor<4>, depths: &[usize], mode: Mode) -> Result<Taps> {
        self.walk(x, depths, mode, true)
    }

    fn walk(&self, mut x: Tensor<4>, depths: &[usize], mode: Mode, keep: bool) -> Result<Taps> {
        self.check_input(x.dims())?;
        let deepest = depths.iter().copied().max().unwrap_or(0);
        if deepest > self.layers.len() {
            return Err(Error::parameter(
                "depths",
                deepest,
                format!("at most {}, the number of layers", self.layers.len()),
            ));
        }
        let mut run = Run { mode, keep, updates: Vec::new(), activations: None };
        let (mut found, mut saved) = (vec![None; depths.len()], Vec::new());
        let mut params = self.by_layer().parts();
        for depth in 0..=deepest {
            for (slot, _) in found.iter_mut().zip(depths).filter(|&(_, &d)| d == depth) {
                *slot = Some(x.clone());
            }
            if depth == deepest {
                break;
            }
            let own = params.next().expect("each layer has its parameters");
            let (y, kept) = self.layers[depth].forward(own, x, &mut run);
            x = y;
            saved.push(kept);
        }
        Ok(Taps { activations: found.into_iter().flatten().collect(), depths: depths.to_vec(), saved, mode })
    }

    /// Σₜ Jₜᵀ gₜ: the gradient of Σₜ ⟨gₜ, activation t⟩ in the input, with one cotangent of the activation's shape for each tap.
    ///
    /// An ordinary tensor expression, like [`pullback`](Self::pullback).
    ///
    /// # Panics
    /// When the number of cotangents is not that of the taps, or there are none.
    pub fn pullback_taps(&self, taps: &Taps, cotangents: Vec<Tensor<4>>) -> Tensor<4> {
        assert!(cotangents.len() == taps.depths.len() && !cotangents.is_empty(), "a cotangent for each tap");
        let mut waiting: Vec<Option<Tensor<4>>> = vec![None; taps.saved.len() + 1];
        for (cotangent, &depth) in cotangents.into_iter().zip(&taps.depths) {
            let sum = waiting[depth].take();
            waiting[depth] = Some(sum.map_or(cotangent.clone(), |sum| sum + cotangent));
        }
        let mut g = waiting.pop().flatten().expect("the deepest tap has a cotangent");
        let layers = self.layers.iter().zip(self.by_layer().parts());
        for (((layer, own), saved), above) in layers.zip(&taps.saved).zip(waiting).rev() {
            g = layer.pullback(own, saved, taps.mode, g);
            g = above.map_or(g.clone(), |above| g + above);
        }
        g
    }

    /// The same layers and parameters for inputs of another shape.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when a layer does not fit the shape that reaches it.
    pub fn resized(&self, input: Shape) -> Result<Self> {
        let output = super::layer::output_shape_all(&self.layers, input)?;
        Ok(Self { input, output, ..self.clone() })
    }

    /// The shape after each of the layers, for one input: element i is that after i + 1 layers.
    pub fn shapes(&self) -> Vec<Shape> {
        let next = |shape: &mut Shape, layer: &Layer| {
            *shape = layer.output_shape(*shape).expect("the network was made for this input");
            Some(*shape)
        };
        self.layers.iter().scan(self.input, next).collect()
    }
}
