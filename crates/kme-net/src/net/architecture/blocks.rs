//! Pieces of which several architectures are made.

use crate::net::layer::{
    AveragePool, BatchNorm, Conv, Layer, LeakyRelu, Relu, Reshape, Residual, Shape, TransposedConv, Upsample,
};

/// The sides before each of `stages` halvings and after the last, each rounded up: 28 → 28, 14, 7, 4, 2.
pub(super) fn halves_up(size: usize, stages: usize) -> Vec<usize> {
    std::iter::successors(Some(size), |side| Some(side.div_ceil(2))).take(stages + 1).collect()
}

/// The same, each rounded down: 28 → 28, 14, 7, 3, 1.
pub(super) fn halves_down(size: usize, stages: usize) -> Vec<usize> {
    std::iter::successors(Some(size), |side| Some(side / 2)).take(stages + 1).collect()
}

/// A convolution of 3×3 that keeps the size.
pub(super) fn conv3(inputs: usize, outputs: usize) -> Layer {
    Conv::new(inputs, outputs, 3).padding(1).into()
}

/// A convolution of 1×1.
pub(super) fn conv1(inputs: usize, outputs: usize) -> Layer {
    Conv::new(inputs, outputs, 1).into()
}

/// Leaky ReLU, or ReLU where the slope is 0.
pub(super) fn rectifier(slope: f64) -> Layer {
    if slope == 0.0 { Relu {}.into() } else { LeakyRelu { slope }.into() }
}

/// Batch norm, if there is any, and ReLU.
pub(super) fn normalised_relu(channels: usize, batch_norm: bool) -> Vec<Layer> {
    let norm = batch_norm.then(|| BatchNorm::new(channels).into());
    norm.into_iter().chain([Relu {}.into()]).collect()
}

/// A transposed convolution of stride 2 from side `from` to side `to`, which is about twice as large: kernel 5 with
/// padding 2 gives 2·from − 1 or 2·from, kernel 4 with padding 1 gives 2·from or 2·from + 1.
pub(super) fn doubling(kernel: usize, maps: [usize; 2], from: usize, to: usize, bias: bool) -> Layer {
    let padding = kernel.div_ceil(2) - 1;
    let output_padding = to + 2 * padding + 2 - 2 * from - kernel;
    let [inputs, outputs] = maps;
    TransposedConv { inputs, outputs, kernel, stride: 2, padding, output_padding, bias }.into()
}

/// A residual block that doubles the sides: batch norm, ReLU, nearest, 3×3, batch norm, ReLU, 3×3, beside a shortcut
/// of nearest and 1×1 (1×1 and nearest are the same in either order; this one does the 1×1 on the smaller picture).
pub(super) fn up_block(inputs: usize, outputs: usize, batch_norm: bool) -> Layer {
    let twice = || Layer::from(Upsample { factor: 2 });
    let branch = [
        normalised_relu(inputs, batch_norm),
        vec![twice(), conv3(inputs, outputs)],
        normalised_relu(outputs, batch_norm),
        vec![conv3(outputs, outputs)],
    ]
    .concat();
    Residual { branch, shortcut: vec![conv1(inputs, outputs), twice()] }.into()
}

/// Means of 2×2 that halve a side, rounded up: of an odd side the first row stands alone.
fn halving(side: usize) -> Layer {
    AveragePool::new(2).windows(2, side % 2).into()
}

/// A residual block that halves the sides: rectifier, 3×3, rectifier, 3×3, means of 2×2, beside a shortcut of 1×1 and
/// means. The first block of a critic sees pixels, so it has no rectifier before its first convolution, and takes the
/// means before the 1×1.
pub(super) fn down_block(inputs: usize, outputs: usize, side: usize, slope: f64, first: bool) -> Layer {
    let act = || rectifier(slope);
    let (branch, shortcut) = if first {
        let branch = vec![conv3(inputs, outputs), act(), conv3(outputs, outputs), halving(side)];
        (branch, vec![halving(side), conv1(inputs, outputs)])
    } else {
        let branch = vec![act(), conv3(inputs, inputs), act(), conv3(inputs, outputs), halving(side)];
        (branch, vec![conv1(inputs, outputs), halving(side)])
    };
    Residual { branch, shortcut }.into()
}

/// Anything as a vector.
pub(super) fn flatten(shape: Shape) -> Layer {
    Reshape { to: [shape.iter().product(), 1, 1] }.into()
}
