//! Residual networks for larger pictures: the generator `g-resnet5` of the MMD GAN code and the critic of SN-GAN.

use super::blocks::{doubling, down_block, halves_up, normalised_relu, rectifier, up_block};
use super::{positive, square};
use crate::net::layer::{GlobalSumPool, Layer, Linear, Reshape, Shape, Sigmoid};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// Most blocks, and what the papers have where the size allows it.
const MOST_UP: usize = 4;
const MOST_DOWN: usize = 5;

/// Dense to 2^blocks·width maps of side size/2^(blocks+1); `blocks` residual blocks that double the sides and halve
/// the maps; batch norm, ReLU, a 5×5 stride-2 transposed convolution to the picture, sigmoid.
///
/// Reference: Bińkowski et al., ICLR 2018 (CelebA 160², four blocks, batch norm); Arbel et al., NeurIPS 2018 (the
/// same without batch norm on CelebA, with it on ImageNet 64²).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResnetGenerator {
    /// Maps of the last hidden stage; 64 in the papers.
    pub width: usize,
    /// Whether there is batch norm; with it by default.
    #[serde(default = "yes")]
    pub batch_norm: bool,
    /// 1 to 4, such that 2^(blocks+1) divides the size; left out: the most of them (4 for 32, 64, 128 and 160, 1 for
    /// 28).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<usize>,
}

/// `blocks` residual blocks that halve the sides (rounded up) and double the maps, the first to width maps; leaky
/// ReLU, the sum of each map, dense to the top. No batch norm.
///
/// Reference: Miyato et al., ICLR 2018, table 6 (the critic for 64² of their code, five blocks); with leaky ReLU as
/// in Arbel et al., NeurIPS 2018.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResnetCritic {
    /// Maps of the first block; 64 in the papers.
    pub width: usize,
    /// 1 to 5; left out: the most that leave a side of 2 (4 for 28 and 32, 5 for 64 and above).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<usize>,
    /// Slope of the leaky ReLU; 0 is ReLU.
    #[serde(default = "slope")]
    pub leak: f64,
}

fn yes() -> bool {
    true
}

fn slope() -> f64 {
    0.2
}

fn refused(blocks: usize, allowed: String) -> Error {
    Error::parameter("blocks", blocks, allowed)
}

impl ResnetGenerator {
    pub(super) fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let size = square(output, 8)?;
        let fits = |blocks: usize| size.is_multiple_of(2 << blocks);
        let most = (1..=MOST_UP).rev().find(|&blocks| fits(blocks)).ok_or_else(|| {
            let allowed = "a multiple of 4, better of 32. Crop or resize the pictures, or take the kind `dcgan`";
            Error::value("side of pictures", size, allowed)
        })?;
        let blocks = self.blocks.unwrap_or(most);
        if !(1..=most).contains(&blocks) {
            return Err(refused(blocks, format!("from 1 to {most} for pictures of {size} pixels")));
        }
        let (smallest, maps) = (size / (2 << blocks), |block: usize| self.width << (blocks - block));
        let mut layers: Vec<Layer> = vec![
            Linear { inputs, outputs: maps(0) * smallest * smallest, bias: true }.into(),
            Reshape { to: [maps(0), smallest, smallest] }.into(),
        ];
        layers.extend((0..blocks).map(|block| up_block(maps(block), maps(block + 1), self.batch_norm)));
        layers.extend(normalised_relu(self.width, self.batch_norm));
        layers.push(doubling(5, [self.width, output[0]], size / 2, size, true));
        layers.push(Sigmoid {}.into());
        Ok(layers)
    }
}

impl ResnetCritic {
    pub(super) fn layers(&self, input: Shape, top: usize) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        super::mlp::check_leak(self.leak)?;
        let size = square(input, 4)?;
        let sides = halves_up(size, MOST_DOWN);
        let most = (1..=MOST_DOWN).rev().find(|&blocks| sides[blocks] >= 2).unwrap_or(1);
        let blocks = self.blocks.unwrap_or(most);
        if !(1..=most).contains(&blocks) {
            return Err(refused(blocks, format!("from 1 to {most} for pictures of {size} pixels")));
        }
        let mut layers: Vec<Layer> = Vec::new();
        let mut inputs = input[0];
        for (block, &side) in sides[..blocks].iter().enumerate() {
            let outputs = self.width << block;
            layers.push(down_block(inputs, outputs, side, self.leak, block == 0));
            inputs = outputs;
        }
        layers.push(rectifier(self.leak));
        layers.push(GlobalSumPool {}.into());
        layers.push(Linear { inputs, outputs: top, bias: true }.into());
        Ok(layers)
    }
}
