//! The generators of generative feature matching networks.
//!
//! Reference: dos Santos, Mroueh, Padhi, Dognin, "Learning implicit generative models by matching perceptual
//! features", ICCV 2019, and its code. Theirs give pixels in (−1, 1) by tanh; here the same pixels are brought to (0,
//! 1).

use super::blocks::{conv3, normalised_relu, up_block};
use super::{positive, square};
use crate::net::layer::{Conv, Layer, Normalise, Shape, Tanh, TransposedConv};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// Transposed convolutions of 4×4 without biases, batch norm and ReLU after each; two further 3×3 convolutions before
/// the last.
///
/// The maps are halved at each doubling down to width: 4·width at first for 32² pixels, 8·width for larger ones,
/// which keep it until halving begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GfmnDcgan {
    /// 64 in the paper.
    pub width: usize,
}

/// A transposed convolution of 4×4 and residual blocks that double the sides and halve the maps down to width; batch
/// norm, ReLU, 3×3.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GfmnResnet {
    /// 64 in the paper.
    pub width: usize,
}

/// First side and number of doublings: the size is first·2^doublings, first from 4 to 7.
fn doublings(output: Shape) -> Result<(usize, usize)> {
    let size = square(output, 8)?;
    let found = (1..=8).map(|count| (size >> count, count)).find(|(first, _)| (4..8).contains(first));
    match found {
        Some((first, count)) if first << count == size => Ok((first, count)),
        _ => Err(Error::value(
            "side of pictures",
            size,
            "4, 5, 6 or 7 times a power of two (28, 32, 48, 64, 128, 160, ...). Crop or resize the pictures",
        )),
    }
}

/// tanh, and its values from (−1, 1) to (0, 1).
fn pixels(channels: usize) -> [Layer; 2] {
    let half = || vec![0.5; channels];
    [Tanh {}.into(), Normalise { from: (0..channels).collect(), scale: half(), shift: half() }.into()]
}

fn enlarging(inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Layer {
    let padding = usize::from(stride == 2);
    TransposedConv { inputs, outputs, kernel, stride, padding, output_padding: 0, bias: false }.into()
}

impl GfmnDcgan {
    pub(super) fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let (first, count) = doublings(output)?;
        // The last doubling gives the picture; those before it halve the maps.
        let maps = |doubled: usize| self.width << (count - 1 - doubled).min(3);
        let mut layers = vec![enlarging(inputs, maps(0), first, 1)];
        layers.extend(normalised_relu(maps(0), true));
        for doubled in 1..count {
            layers.push(enlarging(maps(doubled - 1), maps(doubled), 4, 2));
            layers.extend(normalised_relu(maps(doubled), true));
        }
        for _ in 0..2 {
            layers.push(Conv::new(self.width, self.width, 3).padding(1).without_bias().into());
            layers.extend(normalised_relu(self.width, true));
        }
        layers.push(enlarging(self.width, output[0], 4, 2));
        layers.extend(pixels(output[0]));
        Ok(layers)
    }
}

impl GfmnResnet {
    pub(super) fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let (first, count) = doublings(output)?;
        let maps = |block: usize| self.width << (count - block);
        let mut layers = vec![enlarging(inputs, maps(0), first, 1)];
        layers.extend((0..count).map(|block| up_block(maps(block), maps(block + 1), true)));
        layers.extend(normalised_relu(self.width, true));
        layers.push(conv3(self.width, output[0]));
        layers.extend(pixels(output[0]));
        Ok(layers)
    }
}
