//! VGG19: 16 convolutions of 3×3 in five blocks, and three dense layers.

use super::card::{Convention, IMAGENET, Known, NetworkCard, Normalisation};
use super::sketch::{Names, Part, Sketch};
use crate::net::layer::{Conv, Linear, MaxPool, Reshape};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "vgg19",
    line: "VGG19 on ImageNet, every layer by its name: textures, style, perceptual features",
    reference: "Simonyan and Zisserman, Very deep convolutional networks for large-scale image recognition, ICLR 2015",
    origin: "torchvision's vgg19-dcbb9e9d.pth; or Oxford's weights in a rewrite whose pixels are blue, green, red minus the \
             mean (Keras, Caffe): tensors conv1_1.weight, ... or block1_conv1_W, ...",
    licence: "weights of Oxford's Visual Geometry Group: CC BY 4.0; torchvision: BSD-3-Clause",
    files: &["vgg19-dcbb9e9d.pth"],
    known: &[
        Known { sha256: "dcbb9e9d", what: "torchvision's vgg19-dcbb9e9d.pth, by the digits in its name" },
        Known {
            sha256: "db2b79e791e1c6d4aa1ae4fcdc1ddefa893ea18bcb03bef22bc7ffe459b0aacb",
            what: "Keras's 16 convolutions, each weight one of 256 values, as safetensors",
        },
    ],
    input: [3, 224, 224],
    resize: "pillow-bicubic-crop",
    conventions: &[
        Convention { name: "torchvision", pixels: IMAGENET },
        Convention { name: "caffe", pixels: CAFFE },
        Convention { name: "keras", pixels: CAFFE },
    ],
    features: "pool5",
    logits: Some("fc8"),
    batch: 4,
    sketch,
};

/// Of blue, green and red over ImageNet, in the weights of the paper's authors.
const CAFFE: Normalisation = Normalisation::Caffe([103.939, 116.779, 123.68]);

/// Convolutions in each block, and their channels.
const BLOCKS: [(usize, usize); 5] = [(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)];

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    let (mut inputs, mut index) = (3, 0);
    for (block, (count, outputs)) in (1..).zip(BLOCKS) {
        for i in 1..=count {
            let torchvision = format!("features.{index}");
            let caffe = format!("conv{block}_{i}");
            let keras = format!("block{block}_conv{i}");
            let keras = Names { bias: Some(format!("{keras}_b")), ..Names::weight(format!("{keras}_W")) };
            let source = [Names::of(&torchvision), Names::of(&caffe), keras];
            sketch.then(Part::new().conv(Conv::new(inputs, outputs, 3).padding(1), source), &[&caffe, &torchvision]);
            sketch.then(Part::new().relu(), &[&format!("relu{block}_{i}"), &format!("features.{}", index + 1)]);
            // Rewrites of the first blocks alone are in use.
            if (block, i) == (1, 1) {
                sketch.rest_is_optional();
            }
            (inputs, index) = (outputs, index + 2);
        }
        sketch.then(Part::new().then(MaxPool::new(2, 2)), &[&format!("pool{block}"), &format!("features.{index}")]);
        index += 1;
    }
    let dense = |inputs, outputs, torchvision: &str, caffe: &str| {
        let source = [Some(Names::of(torchvision)), Some(Names::of(caffe)), None];
        Part::new().linear(Linear { inputs, outputs, bias: true }, source)
    };
    // Dropout between the dense layers does nothing when the network is evaluated.
    let flat = Part::new().then(Reshape { to: [25088, 1, 1] });
    let Part { layers, sources } = dense(25088, 4096, "classifier.0", "fc6");
    let first = Part { layers: flat.layers.into_iter().chain(layers).collect(), sources };
    sketch.then(first, &["fc6", "classifier.0"]);
    sketch.then(Part::new().relu(), &["relu6", "classifier.1"]);
    sketch.then(dense(4096, 4096, "classifier.3", "fc7"), &["fc7", "classifier.3"]);
    sketch.then(Part::new().relu(), &["relu7", "classifier.4"]);
    sketch.then(dense(4096, 1000, "classifier.6", "fc8"), &["fc8", "classifier.6"]);
    sketch.finish()
}
