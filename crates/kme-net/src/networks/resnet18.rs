//! ResNet18: eight residual blocks of two convolutions.

use super::card::{Convention, IMAGENET, Known, NetworkCard};
use super::sketch::{Names, Part, Sketch};
use crate::net::layer::{Conv, GlobalAveragePool, Linear, MaxPool};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "resnet18",
    line: "ResNet18 on ImageNet: 512 features",
    reference: "He et al., Deep residual learning for image recognition, CVPR 2016",
    origin: "torchvision's resnet18-f37072fd.pth (or the older resnet18-5c106cde.pth), or a rewrite with its names of tensors",
    licence: "torchvision: BSD-3-Clause",
    files: &["resnet18-f37072fd.pth", "resnet18-5c106cde.pth"],
    known: &[
        Known { sha256: "f37072fd", what: "torchvision's resnet18-f37072fd.pth, by the digits in its name" },
        Known { sha256: "5c106cde", what: "torchvision's resnet18-5c106cde.pth, by the digits in its name" },
    ],
    input: [3, 224, 224],
    resize: "pillow-bilinear-crop",
    conventions: &[Convention { name: "torchvision", pixels: IMAGENET }],
    features: "avgpool",
    logits: Some("fc"),
    batch: 8,
    sketch,
};

fn names(conv: &str, norm: &str) -> [Names; 1] {
    [Names::normalised(conv, norm, 1e-5)]
}

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    sketch.then(Part::new().conv(Conv::new(3, 64, 7).stride(2).padding(3), names("conv1", "bn1")).relu(), &["relu"]);
    sketch.then(Part::new().then(MaxPool::new(3, 2).padding(1)), &["maxpool"]);
    let mut inputs = 64;
    for (stage, outputs) in (1..).zip([64, 128, 256, 512]) {
        for block in 0..2 {
            let name = format!("layer{stage}.{block}");
            let stride = if stage > 1 && block == 0 { 2 } else { 1 };
            let inner = |i: usize| names(&format!("{name}.conv{i}"), &format!("{name}.bn{i}"));
            let branch = Part::new()
                .conv(Conv::new(inputs, outputs, 3).stride(stride).padding(1), inner(1))
                .relu()
                .conv(Conv::new(outputs, outputs, 3).padding(1), inner(2));
            let shortcut = match stride == 1 && inputs == outputs {
                true => Part::new(),
                false => {
                    let source = names(&format!("{name}.downsample.0"), &format!("{name}.downsample.1"));
                    Part::new().conv(Conv::new(inputs, outputs, 1).stride(stride), source)
                }
            };
            sketch.then(Part::new().residual(branch, shortcut).relu(), &[&name]);
            inputs = outputs;
        }
        sketch.also(&[&format!("layer{stage}")]);
    }
    sketch.then(Part::new().then(GlobalAveragePool {}), &["avgpool"]);
    sketch.rest_is_optional();
    let dense = Linear { inputs, outputs: 1000, bias: true };
    sketch.then(Part::new().linear(dense, [Some(Names::of("fc"))]), &["fc", "logits"]);
    sketch.finish()
}
