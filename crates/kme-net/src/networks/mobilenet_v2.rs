//! MobileNetV2: inverted residuals of depthwise convolutions.

use super::card::{Convention, IMAGENET, Known, NetworkCard};
use super::sketch::{Names, Part, Sketch};
use crate::net::layer::{Conv, GlobalAveragePool, Linear};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "mobilenet_v2",
    line: "MobileNetV2 on ImageNet: 1280 features at a small price",
    reference: "Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, CVPR 2018",
    origin: "torchvision's mobilenet_v2-b0353104.pth, or a rewrite with its names of tensors",
    licence: "torchvision: BSD-3-Clause",
    files: &["mobilenet_v2-b0353104.pth"],
    known: &[
        Known {
            sha256: "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
            what: "torchvision's mobilenet_v2-b0353104.pth",
        },
        Known {
            sha256: "a9a6e58a9f11fe80001f619b6dd57decc6d31824432c072783fbfc3867b63ab9",
            what: "the same as safetensors",
        },
    ],
    input: [3, 224, 224],
    resize: "pillow-bilinear-crop",
    conventions: &[Convention { name: "torchvision", pixels: IMAGENET }],
    features: "pool",
    logits: Some("logits"),
    batch: 8,
    sketch,
};

/// Expansion, channels, blocks, stride of the first of them.
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

fn names(conv: &str, norm: &str) -> [Names; 1] {
    [Names::normalised(conv, norm, 1e-5)]
}

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    let stem = Conv::new(3, 32, 3).stride(2).padding(1);
    sketch.then(Part::new().conv(stem, names("features.0.0", "features.0.1")).relu6(), &["features.0"]);
    let (mut inputs, mut index) = (32, 1);
    for [expansion, outputs, count, stride] in STAGES {
        for block in 0..count {
            let name = format!("features.{index}");
            let stride = if block == 0 { stride } else { 1 };
            let part = inverted_residual(&name, inputs, outputs, expansion, stride);
            let part = match stride == 1 && inputs == outputs {
                true => Part::new().residual(part, Part::new()),
                false => part,
            };
            sketch.then(part, &[&name]);
            (inputs, index) = (outputs, index + 1);
        }
    }
    let last = Part::new().conv(Conv::new(inputs, 1280, 1), names("features.18.0", "features.18.1")).relu6();
    sketch.then(last, &["features.18"]);
    sketch.then(Part::new().then(GlobalAveragePool {}), &["pool"]);
    sketch.rest_is_optional();
    let dense = Linear { inputs: 1280, outputs: 1000, bias: true };
    sketch.then(Part::new().linear(dense, [Some(Names::of("classifier.1"))]), &["logits", "classifier"]);
    sketch.finish()
}

/// Widened, filtered channel by channel, narrowed without a nonlinearity.
fn inverted_residual(name: &str, inputs: usize, outputs: usize, expansion: usize, stride: usize) -> Part {
    let hidden = inputs * expansion;
    let (mut part, mut i) = (Part::new(), 0);
    let inner = |i: usize| names(&format!("{name}.conv.{i}.0"), &format!("{name}.conv.{i}.1"));
    if expansion > 1 {
        part = part.conv(Conv::new(inputs, hidden, 1), inner(0)).relu6();
        i = 1;
    }
    let depthwise = Conv::new(hidden, hidden, 3).stride(stride).padding(1).groups(hidden);
    let narrowed = names(&format!("{name}.conv.{}", i + 1), &format!("{name}.conv.{}", i + 2));
    part.conv(depthwise, inner(i)).relu6().conv(Conv::new(hidden, outputs, 1), narrowed)
}
