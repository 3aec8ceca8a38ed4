//! The DCGAN generator and critic of the MMD GAN paper (Bińkowski et al. 2018; sizes and constants:
//! docs/mathematics.md).

use super::blocks::{doubling, flatten, halves_down, halves_up, normalised_relu};
use super::{positive, square};
use crate::net::layer::{BatchNorm, Conv, Layer, LeakyRelu, Linear, Reshape, Shape, Sigmoid};
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// `stages` stride-2 transposed convolutions, from maps doubled at each stage towards the latents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcganGenerator {
    /// Maps of the last hidden stage.
    pub width: usize,
    /// 1 to 6.
    #[serde(default = "four")]
    pub stages: usize,
    /// Side of the filters: 5, whose sizes go by halves rounded up, or 4, rounded down.
    #[serde(default = "five")]
    pub kernel: usize,
}

/// `stages` stride-2 convolutions with leaky ReLU of slope 0.2, and a dense layer on top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DcganCritic {
    /// Maps of the first stage, doubled at each.
    pub width: usize,
    /// 1 to 6.
    #[serde(default = "four")]
    pub stages: usize,
    /// As in [`DcganGenerator`].
    #[serde(default = "five")]
    pub kernel: usize,
    /// After each convolution but the first. Under a gradient penalty it would mix the gradients of the batch's
    /// pictures.
    #[serde(default)]
    pub batch_norm: bool,
}

fn four() -> usize {
    4
}

fn five() -> usize {
    5
}

/// The sides before each of the stages and after the last.
fn sides(size: usize, stages: usize, kernel: usize) -> Result<Vec<usize>> {
    if !(1..=6).contains(&stages) {
        return Err(Error::parameter("stages", stages, "from 1 to 6"));
    }
    let sides = match kernel {
        5 => halves_up(size, stages),
        4 => halves_down(size, stages),
        _ => return Err(Error::parameter("kernel", kernel, "4 or 5")),
    };
    if sides[stages] > 0 {
        return Ok(sides);
    }
    let allowed = format!("at least {} pixels for {stages} stages of kernel 4; take fewer stages", 1 << stages);
    Err(Error::value("side of pictures", size, allowed))
}

impl DcganGenerator {
    /// Dense to 2^(stages−1)·width maps, batch norm, ReLU; transposed convolutions with batch norm and ReLU between,
    /// sigmoid.
    pub(super) fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let size = square(output, 16)?;
        let sides = sides(size, self.stages, self.kernel)?;
        let smallest = sides[self.stages];
        let maps: Vec<usize> = (0..self.stages).rev().map(|stage| self.width << stage).chain([output[0]]).collect();
        let mut layers: Vec<Layer> = vec![
            Linear { inputs, outputs: maps[0] * smallest * smallest, bias: true }.into(),
            Reshape { to: [maps[0], smallest, smallest] }.into(),
        ];
        for stage in 0..self.stages {
            let (from, to) = (sides[self.stages - stage], sides[self.stages - stage - 1]);
            layers.extend(normalised_relu(maps[stage], true));
            layers.push(doubling(self.kernel, [maps[stage], maps[stage + 1]], from, to, true));
        }
        layers.push(Sigmoid {}.into());
        Ok(layers)
    }
}

impl DcganCritic {
    pub(super) fn layers(&self, input: Shape, top: usize) -> Result<Vec<Layer>> {
        positive("width", self.width)?;
        let size = square(input, 16)?;
        let sides = sides(size, self.stages, self.kernel)?;
        let smallest = sides[self.stages];
        let mut layers: Vec<Layer> = Vec::new();
        let mut inputs = input[0];
        for stage in 0..self.stages {
            let outputs = self.width << stage;
            layers.push(Conv::new(inputs, outputs, self.kernel).stride(2).padding(self.kernel.div_ceil(2) - 1).into());
            if self.batch_norm && stage > 0 {
                layers.push(BatchNorm::new(outputs).into());
            }
            layers.push(LeakyRelu { slope: 0.2 }.into());
            inputs = outputs;
        }
        layers.push(flatten([inputs, smallest, smallest]));
        layers.push(Linear { inputs: inputs * smallest * smallest, outputs: top, bias: true }.into());
        Ok(layers)
    }
}

/// Latents (n, latent, 1, 1) → pictures (n, channels, size, size) with pixels in (0, 1).
///
/// Dense to 8·width maps of side size/16 (each halving rounds up), batch norm, ReLU; four 5×5 stride-2 transposed
/// convolutions with 4·width, 2·width, width and `channels` maps, batch norm and ReLU between, sigmoid at the end.
///
/// # Errors
/// When the size is not between 16 and 1024.
pub fn dcgan_generator(size: usize, channels: usize, width: usize, latent: usize) -> Result<Vec<Layer>> {
    DcganGenerator { width, stages: four(), kernel: five() }.layers(latent, [channels, size, size])
}

/// Pictures (n, channels, size, size) → features (n, top, 1, 1), without batch norm and without a last nonlinearity.
///
/// Four 5×5 stride-2 convolutions with width, 2·width, 4·width and 8·width maps, leaky ReLU of slope 0.2 after each,
/// dense to `top`.
///
/// # Errors
/// When the size is not between 16 and 1024.
pub fn dcgan_critic(size: usize, channels: usize, width: usize, top: usize) -> Result<Vec<Layer>> {
    DcganCritic { width, stages: four(), kernel: five(), batch_norm: false }.layers([channels, size, size], top)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{Init, Net, Place};

    fn size_of(layers: Vec<Layer>, input: [usize; 3]) -> (usize, [usize; 3]) {
        let net = Net::new(layers, input, Init::Dcgan, 0, &Place::cpu()).unwrap();
        (net.size(), net.output())
    }

    /// The parameter counts derived for the published networks.
    #[test]
    fn parameter_counts() {
        for (size, channels, count) in [(32, 3, 4_514_819), (28, 1, 4_511_617), (64, 3, 5_135_363)] {
            let layers = dcgan_generator(size, channels, 64, 100).unwrap();
            assert_eq!(size_of(layers, [100, 1, 1]), (count, [channels, size, size]));
        }
        let critics = [
            (32, 3, 64, 16, 4_339_344),
            (32, 3, 16, 16, 278_448),
            (32, 3, 64, 1, 4_308_609),
            (32, 3, 64, 256, 4_831_104),
            (28, 1, 16, 16, 277_648),
            (64, 3, 64, 16, 4_437_648),
        ];
        for (size, channels, width, top, count) in critics {
            let layers = dcgan_critic(size, channels, width, top).unwrap();
            assert_eq!(size_of(layers, [channels, size, size]), (count, [top, 1, 1]));
        }
    }

    #[test]
    fn any_size_that_halves() {
        for size in 16..40 {
            let layers = dcgan_generator(size, 1, 2, 3).unwrap();
            assert_eq!(size_of(layers, [3, 1, 1]).1, [1, size, size]);
        }
        assert!(dcgan_critic(15, 1, 2, 3).is_err());
    }
}
