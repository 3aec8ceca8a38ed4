//! The generators and critics of the papers, as values that stand in configurations.
//!
//! Each file has one family with its generator, its critic and their sizes. A generator takes a vector (latents, with
//! the one-hot label appended where it is conditional), a critic a picture (with the label's planes appended to its
//! channels where it is conditional) or a point, which is a picture of one pixel with d channels.

pub mod autoencoder;
mod blocks;
mod dcgan;
mod gfmn;
mod mlp;
mod resnet;
mod sngan;

pub use dcgan::{DcganCritic, DcganGenerator, dcgan_critic, dcgan_generator};
pub use gfmn::{GfmnDcgan, GfmnResnet};
pub use mlp::{MlpCritic, MlpGenerator, Output};
pub use resnet::{ResnetCritic, ResnetGenerator};
pub use sngan::{SnganCritic, SnganGenerator};

use super::layer::{Layer, Shape};
use super::param::Init;
use kme::{Error, Result};
use serde::{Deserialize, Serialize};

/// A generator: latents (n, inputs, 1, 1) → pictures (n, c, h, w) with pixels in (0, 1), or points (n, d, 1, 1).
///
/// # Example
/// ```
/// use kme_net::GeneratorNet;
/// let net: GeneratorNet = serde_json::from_str(r#"{"kind": "dcgan", "width": 64}"#).unwrap();
/// let layers = net.layers(100, [3, 32, 32])?;
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GeneratorNet {
    /// Pictures of any size from 16.
    Dcgan(DcganGenerator),
    /// Pictures of any size from 16.
    Sngan(SnganGenerator),
    /// Pictures of a multiple of 4 pixels, from 8.
    Resnet(ResnetGenerator),
    /// Points, and small pictures of any size.
    Mlp(MlpGenerator),
    /// Pictures of 4, 5, 6 or 7 times a power of two pixels, from 8.
    GfmnDcgan(GfmnDcgan),
    /// As `gfmn-dcgan`.
    GfmnResnet(GfmnResnet),
}

/// A critic: pictures (n, c, h, w) or points (n, d, 1, 1) → features (n, top, 1, 1), with nothing on top.
///
/// # Example
/// ```
/// use kme_net::CriticNet;
/// let net: CriticNet = serde_json::from_str(r#"{"kind": "mlp", "hidden": [64, 64, 64, 64]}"#).unwrap();
/// let layers = net.layers([2, 1, 1], 16)?;
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum CriticNet {
    /// Pictures of any size from 16.
    Dcgan(DcganCritic),
    /// Pictures of any size from 8.
    Sngan(SnganCritic),
    /// Pictures of any size from 4.
    Resnet(ResnetCritic),
    /// Points, and small pictures of any size.
    Mlp(MlpCritic),
}

impl GeneratorNet {
    /// The layers from vectors of `inputs` numbers to `output` (channels, height, width).
    ///
    /// # Errors
    /// [`Error::Parameter`] when a size is 0 or too large; [`Error::Value`] when the architecture cannot give pictures of this size.
    pub fn layers(&self, inputs: usize, output: Shape) -> Result<Vec<Layer>> {
        positive("inputs", inputs)?;
        positive("channels", output[0])?;
        let (kind, layers) = match self {
            Self::Dcgan(net) => ("dcgan", net.layers(inputs, output)),
            Self::Sngan(net) => ("sngan", net.layers(inputs, output)),
            Self::Resnet(net) => ("resnet", net.layers(inputs, output)),
            Self::Mlp(net) => ("mlp", net.layers(inputs, output)),
            Self::GfmnDcgan(net) => ("gfmn-dcgan", net.layers(inputs, output)),
            Self::GfmnResnet(net) => ("gfmn-resnet", net.layers(inputs, output)),
        };
        layers.map_err(|fault| fault.within(format!("generator of kind `{kind}`")))
    }

    /// How its weights start.
    pub fn init(&self) -> Init {
        match self {
            Self::Dcgan(_) | Self::Sngan(_) => Init::Dcgan,
            Self::Resnet(_) => Init::HeUniform,
            Self::Mlp(_) => Init::He,
            Self::GfmnDcgan(_) => Init::Radford,
            Self::GfmnResnet(_) => Init::Glorot,
        }
    }
}

impl CriticNet {
    /// The layers from `input` (channels, height, width) to `top` features.
    ///
    /// # Errors
    /// [`Error::Parameter`] when a size is 0 or too large; [`Error::Value`] when the architecture cannot take pictures of this size.
    pub fn layers(&self, input: Shape, top: usize) -> Result<Vec<Layer>> {
        positive("top", top)?;
        positive("channels", input[0])?;
        let (kind, layers) = match self {
            Self::Dcgan(net) => ("dcgan", net.layers(input, top)),
            Self::Sngan(net) => ("sngan", net.layers(input, top)),
            Self::Resnet(net) => ("resnet", net.layers(input, top)),
            Self::Mlp(net) => ("mlp", net.layers(input, top)),
        };
        layers.map_err(|fault| fault.within(format!("critic of kind `{kind}`")))
    }

    /// Whether a picture's features depend on the others of its batch.
    pub fn has_batch_norm(&self) -> bool {
        matches!(self, Self::Dcgan(DcganCritic { batch_norm: true, .. }))
    }

    /// How its weights start.
    pub fn init(&self) -> Init {
        match self {
            Self::Dcgan(_) | Self::Sngan(_) => Init::Dcgan,
            Self::Resnet(_) => Init::HeUniform,
            Self::Mlp(_) => Init::He,
        }
    }
}

/// Most units or maps that a layer of an architecture may have: what a configuration names is multiplied up to 16
/// times.
const MOST: usize = 1 << 16;

fn positive(name: &'static str, value: usize) -> Result<()> {
    if (1..=MOST).contains(&value) {
        return Ok(());
    }
    Err(Error::parameter(name, value, format!("from 1 to {MOST}")))
}

/// The side of square pictures.
fn square([_, h, w]: Shape, least: usize) -> Result<usize> {
    if h == w && (least..=1024).contains(&h) {
        return Ok(h);
    }
    let allowed = format!("square, with sides of {least} to 1024 pixels; points and rectangles need the kind `mlp`");
    Err(Error::value("size of pictures", format!("{h}x{w}"), allowed))
}
