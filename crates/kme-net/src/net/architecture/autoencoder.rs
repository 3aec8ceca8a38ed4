//! Encoders and decoders: the code space in which GMMN+AE matches moments, and the decoder beside Li et al.'s critic.

use super::blocks::flatten;
use super::mlp::dense;
use super::positive;
use crate::net::layer::{Layer, Reshape, Shape, Sigmoid};
use kme::{Error, Result};

/// Pictures (c, h, w) → codes in (0, 1), the last of `units`; dense with a sigmoid after each layer.
///
/// GMMN+AE has units (1024, 32) on 784 pixels: Li, Swersky, Zemel, ICML 2015. Starts by
/// [`Init::Glorot`](crate::net::Init::Glorot).
///
/// # Errors
/// When `units` is empty or a size is 0 or too large.
pub fn encoder(input: Shape, units: &[usize]) -> Result<Vec<Layer>> {
    let (&code, hidden) = split(units)?;
    let mut layers = vec![flatten(input)];
    layers.extend(dense(count(input)?, hidden, code, &Sigmoid {}.into())?);
    layers.push(Sigmoid {}.into());
    Ok(layers)
}

/// Codes, as many as the last of `units`, → pictures with pixels in (0, 1): the encoder's layers mirrored.
///
/// # Errors
/// As [`encoder`].
pub fn decoder(units: &[usize], output: Shape) -> Result<Vec<Layer>> {
    let (&code, hidden) = split(units)?;
    let hidden: Vec<usize> = hidden.iter().rev().copied().collect();
    let mut layers = dense(code, &hidden, count(output)?, &Sigmoid {}.into())?;
    layers.extend([Sigmoid {}.into(), Reshape { to: output }.into()]);
    Ok(layers)
}

fn split(units: &[usize]) -> Result<(&usize, &[usize])> {
    let (code, hidden) = units
        .split_last()
        .ok_or_else(|| Error::missing("units", "give those of the hidden layers of the autoencoder and of its code"))?;
    positive("units", *code)?;
    Ok((code, hidden))
}

fn count(shape: Shape) -> Result<usize> {
    let count = shape.iter().try_fold(1usize, |product, &side| product.checked_mul(side));
    count.filter(|count| (1..=1 << 20).contains(count)).ok_or_else(|| {
        Error::value("shape of pictures for the autoencoder", format!("{shape:?}"), "of 1 to 2^20 numbers")
    })
}
