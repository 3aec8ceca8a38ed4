//! Activations on the way through a network, and the shapes that they have.

use super::{Layer, Mode, Net, Shape, layer::Run};
use burn::tensor::Tensor;
use kme::{Error, Result};

impl Net {
    /// The activations after `depths[0]`, `depths[1]`, ... layers (0: the input itself), in one forward pass that stops after
    /// the deepest. Nothing is kept for a pullback.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the input's shape is not the network's; [`Error::Parameter`] when it has fewer layers.
    pub fn activations(&self, mut x: Tensor<4>, depths: &[usize], mode: Mode) -> Result<Vec<Tensor<4>>> {
        self.check_input(x.dims())?;
        let deepest = depths.iter().copied().max().unwrap_or(0);
        if deepest > self.layers.len() {
            return Err(Error::parameter(
                "depths",
                deepest,
                format!("at most {}, the number of layers", self.layers.len()),
            ));
        }
        let mut run = Run { mode, keep: false, updates: Vec::new(), activations: None };
        let mut found = vec![None; depths.len()];
        let mut layers = self.layers.iter().zip(self.by_layer().parts());
        for depth in 0..=deepest {
            for (slot, _) in found.iter_mut().zip(depths).filter(|&(_, &d)| d == depth) {
                *slot = Some(x.clone());
            }
            if depth < deepest {
                let (layer, own) = layers.next().expect("there are as many layers");
                x = layer.forward(own, x, &mut run).0;
            }
        }
        Ok(found.into_iter().flatten().collect())
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
