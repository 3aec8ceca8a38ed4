//! SqueezeNet 1.1: fire modules, which squeeze the channels and expand them again by 1×1 and 3×3 filters.

use super::card::{Convention, IMAGENET, Known, NetworkCard, Normalisation};
use super::sketch::{Names, Part, Sketch};
use crate::net::layer::{Conv, GlobalAveragePool, MaxPool};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "squeezenet1_1",
    line: "SqueezeNet 1.1 on ImageNet: 1.2 million parameters",
    reference: "Iandola et al., SqueezeNet, arXiv:1602.07360 (version 1.1 of the authors' code)",
    origin: "torchvision's squeezenet1_1-b8a52dc0.pth; or the authors' Caffe weights in a rewrite with tensors \
             conv1/weight, fire2/squeeze1x1/weight, ...",
    licence: "SqueezeNet: BSD-2-Clause; torchvision: BSD-3-Clause",
    files: &["squeezenet1_1-b8a52dc0.pth"],
    known: &[
        Known { sha256: "b8a52dc0", what: "torchvision's squeezenet1_1-b8a52dc0.pth, by the digits in its name" },
        Known {
            sha256: "d51832df8785ea514d9f0e87ae19ee099fd27825dee6f776117ba8eb58b5a992",
            what: "the authors' Caffe weights as safetensors",
        },
    ],
    input: [3, 227, 227],
    resize: "pillow-bilinear-crop",
    conventions: &[
        Convention { name: "torchvision", pixels: IMAGENET },
        Convention { name: "caffe", pixels: Normalisation::Caffe([104.0, 117.0, 123.0]) },
    ],
    features: "fire9",
    logits: Some("pool10"),
    batch: 8,
    sketch,
};

/// Fire modules by their number: inputs, squeezed channels, channels of each expansion, and their index in torchvision.
const FIRES: [[usize; 5]; 8] = [
    [2, 64, 16, 64, 3],
    [3, 128, 16, 64, 4],
    [4, 128, 32, 128, 6],
    [5, 256, 32, 128, 7],
    [6, 256, 48, 192, 9],
    [7, 384, 48, 192, 10],
    [8, 384, 64, 256, 11],
    [9, 512, 64, 256, 12],
];

fn names(torchvision: &str, caffe: &str) -> [Names; 2] {
    let of_caffe = Names { bias: Some(format!("{caffe}/bias")), ..Names::weight(format!("{caffe}/weight")) };
    [Names::of(torchvision), of_caffe]
}

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    let pool = || Part::new().then(MaxPool::new(3, 2).ceil());
    sketch
        .then(Part::new().conv(Conv::new(3, 64, 3).stride(2), names("features.0", "conv1")), &["conv1", "features.0"]);
    sketch.then(Part::new().relu(), &["relu_conv1", "features.1"]);
    sketch.then(pool(), &["pool1", "features.2"]);
    for [number, inputs, squeezed, expanded, index] in FIRES {
        let (torchvision, caffe) = (format!("features.{index}"), format!("fire{number}"));
        let inner = |t: &str, c: &str| names(&format!("{torchvision}.{t}"), &format!("{caffe}/{c}"));
        let squeeze = Part::new().conv(Conv::new(inputs, squeezed, 1), inner("squeeze", "squeeze1x1")).relu();
        sketch.then(squeeze, &[&format!("{caffe}/squeeze1x1")]);
        let expand = [
            Part::new().conv(Conv::new(squeezed, expanded, 1), inner("expand1x1", "expand1x1")).relu(),
            Part::new().conv(Conv::new(squeezed, expanded, 3).padding(1), inner("expand3x3", "expand3x3")).relu(),
        ];
        sketch.then(Part::new().concat(expand), &[&caffe, &torchvision]);
        if [3, 5].contains(&number) {
            sketch.then(pool(), &[&format!("pool{number}"), &format!("features.{}", index + 1)]);
        }
    }
    sketch.rest_is_optional();
    let last = Part::new().conv(Conv::new(512, 1000, 1), names("classifier.1", "conv10"));
    sketch.then(last, &["conv10", "classifier.1"]);
    sketch.then(Part::new().relu().then(GlobalAveragePool {}), &["pool10", "logits"]);
    sketch.finish()
}
