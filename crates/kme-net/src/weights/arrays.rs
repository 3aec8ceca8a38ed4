//! Files of `torch.save` that hold points or statistics instead of weights.

use super::torch::{self, Tensors};
use kme::{Array, ArrayRole, Data, Error, Points, Result, Statistics};
use std::io::Read;
use std::path::Path;

/// What a file of arrays holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrays {
    /// A sample, one row a point: (n, d).
    Points(Points),
    /// A mean (d) and a covariance (d, d).
    Statistics(Statistics),
}

/// The tensor of a file of `torch.save`, or that called `member` of a dictionary of several, as points (n, d) or (n,); or,
/// where tensors are called mu and sigma, the statistics. [`ArrayRole::of`] decides.
///
/// Numbers stay as they are: what fits `f32` exactly becomes `f32`, everything else `f64`. Nothing in the file is executed.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it is not of `torch.save`, is damaged, or could execute
/// something, or when it holds several tensors and none is named, or one of another shape or with a number that is not finite.
pub fn read_arrays(path: &Path, member: Option<&str>) -> Result<Arrays> {
    let (mut file, size) = kme::internal::io::open(path)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(|e| kme::internal::io::read_error(path, e))?;
    let fault = |text: String| Error::format(path, text);
    let found = match bytes.as_slice() {
        [b'P', b'K', 3, 4, ..] => torch::of_zip::<f64>(&bytes),
        [0x80, 2..=5, ..] => torch::of_legacy::<f64>(&bytes),
        _ => Err("is not a file of torch.save: points are read from a tensor, or a dictionary of tensors".into()),
    };
    let (tensors, _): (Tensors<f64>, _) = found.map_err(fault)?;
    let shape = |sides: &[usize]| Ok(sides.iter().map(|&side| side as u64).collect());
    let arrays: Vec<Array> =
        tensors.iter().map(|(name, (sides, _))| Array { name: name.clone(), shape: shape(sides) }).collect();
    let role = ArrayRole::of(&arrays, member).map_err(fault)?;
    let mut tensors: Vec<(Vec<usize>, Vec<f64>)> = tensors.into_values().collect();
    let mut take = |i: usize| std::mem::take(&mut tensors[i]);
    match role {
        ArrayRole::Statistics { mean, covariance } => {
            let wrong = |e: Error| Error::unreadable(path, "does not hold statistics", e);
            Statistics::new(take(mean).1, take(covariance).1).map(Arrays::Statistics).map_err(wrong)
        }
        ArrayRole::Points(i) => {
            let (sides, numbers) = take(i);
            let (n, d) = match *sides.as_slice() {
                [n] => (n, 1),
                [n, d] => (n, d),
                _ => {
                    let name = &arrays[i].name;
                    let problem =
                        format!("has the tensor '{name}' of shape {sides:?}; a sample has the shape [n, d] or [n]");
                    return Err(fault(problem));
                }
            };
            Points::new(n, d, narrowed(numbers))
                .map(Arrays::Points)
                .map_err(|e| Error::unreadable(path, "does not hold points", e))
        }
    }
}

/// In single precision where that loses nothing.
fn narrowed(numbers: Vec<f64>) -> Data {
    match numbers.iter().all(|x| f64::from(*x as f32) == *x) {
        true => Data::F32(numbers.into_iter().map(|x| x as f32).collect()),
        false => Data::F64(numbers),
    }
}
