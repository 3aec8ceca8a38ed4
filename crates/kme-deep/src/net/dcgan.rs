//! The DCGAN generator and critic of the MMD GAN paper (Bińkowski et al. 2018; sizes and constants: docs/mathematics.md).

use super::layer::{BatchNorm, Conv, Layer, LeakyRelu, Linear, Relu, Reshape, Sigmoid, TransposedConv};
use kme::{Error, Result};

const KERNEL: usize = 5;
const STAGES: usize = 4;

/// The side before each of the four stride-2 stages and after the last: 28 → [28, 14, 7, 4, 2].
///
/// Stride 2 with a 5×5 kernel and padding 2 halves and rounds up.
fn halves(size: usize) -> Result<[usize; STAGES + 1]> {
    if !(16..=1024).contains(&size) {
        return Err(Error::value(
            "picture size",
            size,
            "16 to 1024 pixels, so that four stride-2 stages leave a picture",
        ));
    }
    let mut sides = [size; STAGES + 1];
    for i in 0..STAGES {
        sides[i + 1] = sides[i].div_ceil(2);
    }
    Ok(sides)
}

/// Latents (n, latent, 1, 1) → pictures (n, channels, size, size) with pixels in (0, 1).
///
/// Dense to 8·width maps of side size/16 (each halving rounds up), batch norm, ReLU; four 5×5 stride-2 transposed
/// convolutions with 4·width, 2·width, width and `channels` maps, batch norm and ReLU between, sigmoid at the end.
///
/// # Errors
/// When the size is not between 16 and 1024.
pub fn dcgan_generator(size: usize, channels: usize, width: usize, latent: usize) -> Result<Vec<Layer>> {
    let sides = halves(size)?;
    let smallest = sides[STAGES];
    let mut layers: Vec<Layer> = vec![
        Linear { inputs: latent, outputs: 8 * width * smallest * smallest, bias: true }.into(),
        Reshape { to: [8 * width, smallest, smallest] }.into(),
        BatchNorm::new(8 * width).into(),
        Relu {}.into(),
    ];
    let maps = [8 * width, 4 * width, 2 * width, width, channels];
    for stage in 0..STAGES {
        // From side s the transposed convolution gives 2s − 1 + output_padding; the wanted side is 2s or 2s − 1.
        let (from, to) = (sides[STAGES - stage], sides[STAGES - stage - 1]);
        let output_padding = to + 1 - 2 * from;
        let [inputs, outputs] = [maps[stage], maps[stage + 1]];
        layers.push(
            TransposedConv { inputs, outputs, kernel: KERNEL, stride: 2, padding: 2, output_padding, bias: true }
                .into(),
        );
        if stage + 1 < STAGES {
            layers.push(BatchNorm::new(outputs).into());
            layers.push(Relu {}.into());
        }
    }
    layers.push(Sigmoid {}.into());
    Ok(layers)
}

/// Pictures (n, channels, size, size) → features (n, top, 1, 1), without batch norm and without a last nonlinearity.
///
/// Four 5×5 stride-2 convolutions with width, 2·width, 4·width and 8·width maps, leaky ReLU of slope 0.2 after each, dense to `top`.
///
/// # Errors
/// When the size is not between 16 and 1024.
pub fn dcgan_critic(size: usize, channels: usize, width: usize, top: usize) -> Result<Vec<Layer>> {
    let sides = halves(size)?;
    let smallest = sides[STAGES];
    let maps = [channels, width, 2 * width, 4 * width, 8 * width];
    let mut layers: Vec<Layer> = Vec::new();
    for stage in 0..STAGES {
        let [inputs, outputs] = [maps[stage], maps[stage + 1]];
        layers.push(Conv::new(inputs, outputs, KERNEL).stride(2).padding(2).into());
        layers.push(LeakyRelu { slope: 0.2 }.into());
    }
    let features = 8 * width * smallest * smallest;
    layers.push(Reshape { to: [features, 1, 1] }.into());
    layers.push(Linear { inputs: features, outputs: top, bias: true }.into());
    Ok(layers)
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
