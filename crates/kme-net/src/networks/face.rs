//! The residual network of dlib that maps a face to 128 numbers, as face-api ships it.

use super::card::{Convention, Known, NetworkCard, Normalisation};
use super::sketch::{After, Layout, Names, Part, Sketch};
use crate::net::layer::{AveragePool, Conv, GlobalAveragePool, Linear, MaxPool, ZeroPad};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "face",
    line: "face recognition of dlib: 128 numbers, whose distance tells people apart",
    reference: "King, Dlib-ml, JMLR 2009; the network dlib_face_recognition_resnet_model_v1",
    origin: "face_recognition_model-weights_manifest.json of the npm package @vladmandic/face-api (or face-api.js), with \
             the .bin file that it names beside it",
    licence: "face-api: MIT; dlib's model: CC0",
    files: &["face_recognition_model-weights_manifest.json"],
    known: &[Known {
        sha256: "c2cf51e45a1f96cf2ba75d6b588dc259d7f602a813ff6efbeba4884d7359fad1",
        what: "manifest of @vladmandic/face-api 1.7.15 followed by its .bin",
    }],
    input: [3, 150, 150],
    resize: "pillow-bilinear-crop",
    conventions: &[Convention { name: "face-api", pixels: Normalisation::Dlib([122.782, 117.001, 104.298]) }],
    features: "descriptor",
    logits: None,
    batch: 8,
    sketch,
};

fn names(name: &str) -> [Names; 1] {
    [Names {
        weight: format!("{name}/conv/filters"),
        bias: Some(format!("{name}/conv/bias")),
        after: After::Scale { scale: format!("{name}/scale/weights"), shift: format!("{name}/scale/biases") },
        layout: Layout::OutputsLast,
    }]
}

/// Two convolutions around a rectifier.
fn branch(name: &str, inputs: usize, outputs: usize, first: impl Fn(Conv) -> Conv) -> Part {
    Part::new()
        .conv(first(Conv::new(inputs, outputs, 3)), names(&format!("{name}/conv1")))
        .relu()
        .conv(Conv::new(outputs, outputs, 3).padding(1), names(&format!("{name}/conv2")))
}

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    sketch.then(Part::new().conv(Conv::new(3, 32, 7).stride(2), names("conv32_down")).relu(), &["conv32_down"]);
    sketch.then(Part::new().then(MaxPool::new(3, 2)), &["pool"]);
    // Channels, blocks that keep the size; the sides before and after a stage's first block, which halves them.
    let mut inputs = 32;
    let mut side = 35_usize;
    for (outputs, label, keeping) in
        [(32, "32", 3), (64, "64", 3), (128, "128", 2), (256, "256", 2), (256, "256_down_out", 0)]
    {
        if outputs > 32 {
            let name = if keeping > 0 { format!("conv{label}_down") } else { format!("conv{label}") };
            let (halved, pooled) = ((side - 3) / 2 + 1, side / 2);
            // Without padding the convolution falls short of the pooled shortcut on sides that are even.
            let mut branch = branch(&name, inputs, outputs, |conv| conv.stride(2));
            let short = pooled - halved;
            if short > 0 {
                branch = branch.then(ZeroPad { rows: [0, short], columns: [0, short], channels: 0 });
            }
            let mut shortcut = Part::new().then(AveragePool::new(2).windows(2, 0));
            if outputs > inputs {
                shortcut = shortcut.then(ZeroPad { rows: [0, 0], columns: [0, 0], channels: outputs - inputs });
            }
            sketch.then(Part::new().residual(branch, shortcut).relu(), &[&name]);
            side = pooled;
        }
        for i in 1..=keeping {
            let name = format!("conv{label}_{i}");
            let branch = branch(&name, outputs, outputs, |conv| conv.padding(1));
            sketch.then(Part::new().residual(branch, Part::new()).relu(), &[&name]);
        }
        inputs = outputs;
    }
    sketch.then(Part::new().then(GlobalAveragePool {}), &["avg"]);
    let names = Names { layout: Layout::OutputsLast, ..Names::weight("fc") };
    let dense = Linear { inputs: 256, outputs: 128, bias: false };
    sketch.then(Part::new().linear(dense, [Some(names)]), &["descriptor", "fc"]);
    sketch.finish()
}
