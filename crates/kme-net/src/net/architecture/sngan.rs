//! The convolutional generator and critic of SN-GAN, as Scaled MMD GAN uses them on CIFAR-10.
//!
//! References: Miyato, Kataoka, Koyama, Yoshida, "Spectral normalization for generative adversarial networks", ICLR
//! 2018, table 3; the 5×5 filters of the generator follow the code of Arbel et al., "On gradient regularizers for MMD
//! GANs", 2018.

use super::blocks::{conv3, doubling, flatten, halves_down, halves_up, normalised_relu};
use super::{positive, square};
use crate::net::layer::{Conv, Layer, LeakyRelu, Linear, Reshape, Shape, Sigmoid};
use kme::Result;
use serde::{Deserialize, Serialize};

const STAGES: usize = 3;

/// Dense to 8·width maps of side size/8 (halves rounded up); three 5×5 stride-2 transposed convolutions with 4·width,
/// 2·width and width maps, batch norm and ReLU after each of the four; 3×3 to the picture, sigmoid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnganGenerator {
    /// 64 in the papers.
    pub width: usize,
}

/// 3×3 to width maps; three times a 4×4 stride-2 convolution that doubles the maps and a 3×3 that keeps them; dense
/// to the top. Leaky ReLU of slope 0.2 after each convolution. Sides go by halves rounded down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnganCritic {
    /// 64 in the papers.
    pub width: usize,
}

impl SnganGenerator {
    pub(super) fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let sides = halves_up(square(output, 16)?, STAGES);
        let (smallest, maps) = (sides[STAGES], |stage: usize| (8 * self.width) >> stage);
        let mut layers: Vec<Layer> = vec![
            Linear { inputs, outputs: maps(0) * smallest * smallest, bias: true }.into(),
            Reshape { to: [maps(0), smallest, smallest] }.into(),
        ];
        for stage in 0..STAGES {
            let (from, to) = (sides[STAGES - stage], sides[STAGES - stage - 1]);
            layers.extend(normalised_relu(maps(stage), true));
            layers.push(doubling(5, [maps(stage), maps(stage + 1)], from, to, true));
        }
        layers.extend(normalised_relu(self.width, true));
        layers.push(conv3(self.width, output[0]));
        layers.push(Sigmoid {}.into());
        Ok(layers)
    }
}

impl SnganCritic {
    pub(super) fn layers(&self, input: Shape, top: usize) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let smallest = halves_down(square(input, 8)?, STAGES)[STAGES];
        let leaky = || Layer::from(LeakyRelu { slope: 0.2 });
        let mut layers = vec![conv3(input[0], self.width), leaky()];
        let mut maps = self.width;
        for _ in 0..STAGES {
            layers.push(Conv::new(maps, 2 * maps, 4).stride(2).padding(1).into());
            maps *= 2;
            layers.extend([leaky(), conv3(maps, maps), leaky()]);
        }
        layers.push(flatten([maps, smallest, smallest]));
        layers.push(Linear { inputs: maps * smallest * smallest, outputs: top, bias: true }.into());
        Ok(layers)
    }
}
