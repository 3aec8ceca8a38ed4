//! VGG19 with weights scaled so that activations have mean 1, padded by reflection: the encoder of whitening and colouring
//! transforms and of adaptive instance normalisation.

use super::card::{Convention, Known, NetworkCard, Normalisation};
use super::sketch::{Names, Part, Sketch};
use crate::net::layer::{Conv, MaxPool, ReflectionPad};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "vgg_normalised",
    line: "VGG19 with activations of mean 1 and reflected borders: the encoder of style transfer",
    reference: "Li et al., Universal style transfer via feature transforms, NeurIPS 2017; Huang and Belongie, ICCV 2017",
    origin: "vgg_normalised_convN_1 of the universal style transfer code, or vgg_normalised of AdaIN's code, with tensors \
             named by the number of their layer: 0.weight, 2.weight, 5.weight, ...",
    licence: "weights derived from Oxford's VGG19: CC BY 4.0; code MIT or Apache-2.0",
    files: &["vgg_normalised_conv3_1.safetensors", "vgg_normalised.pth"],
    known: &[Known {
        sha256: "5d248f5294fc39a18f2d86879f69e88ebf19469110c88c9ff7748164671c5aa4",
        what: "vgg_normalised_conv3_1 as safetensors: up to relu3_1",
    }],
    input: [3, 224, 224],
    resize: "pillow-bicubic-crop",
    conventions: &[Convention { name: "torch7", pixels: Normalisation::Unit }],
    features: "relu3_1",
    logits: None,
    batch: 4,
    sketch,
};

const BLOCKS: [(usize, usize); 5] = [(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)];

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    // Blue, green and red in [0, 255] minus the mean, as a convolution.
    sketch.then(Part::new().conv(Conv::new(3, 3, 1), [Names::of("0")]), &["conv0"]);
    let (mut inputs, mut index) = (3, 1);
    for (block, (count, outputs)) in (1..).zip(BLOCKS) {
        for i in 1..=count {
            let source = [Names::of(&format!("{}", index + 1))];
            let conv = Part::new().then(ReflectionPad { padding: 1 }).conv(Conv::new(inputs, outputs, 3), source);
            sketch.then(conv, &[&format!("conv{block}_{i}")]);
            sketch.then(Part::new().relu(), &[&format!("relu{block}_{i}")]);
            if (block, i) == (1, 1) {
                sketch.rest_is_optional();
            }
            (inputs, index) = (outputs, index + 3);
        }
        if block < BLOCKS.len() {
            sketch.then(Part::new().then(MaxPool::new(2, 2).ceil()), &[&format!("pool{block}")]);
            index += 1;
        }
    }
    sketch.finish()
}
