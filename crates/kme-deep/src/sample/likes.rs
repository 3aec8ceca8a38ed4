//! What a user wants more of: pictures, folders, embeddings, each with a weight, as one embedding.

use super::Context;
use super::expression::{is_embedding, read_embedding};
use kme::{Embedding, Error, Field, Kernel, KernelSpec, Points, Result, total_weight};
use kme_image::{Form, Images, Source, evenly};
use kme_net::FeatureMap;

/// The inputs of a match.
pub(crate) struct Likes {
    /// Pictures of them to show: at most a sheet's worth, none for embeddings.
    pub shown: Option<Images>,
    /// Each of them.
    pub inputs: Vec<Input>,
    /// Their features, in the order of the inputs.
    pub points: Points,
    /// Sum to 1.
    weights: Vec<f64>,
    /// The kernel of the embeddings among them.
    kernel: Option<Kernel>,
}

/// One input.
#[derive(Clone)]
pub(crate) struct Input {
    /// As it was named, without its weight.
    pub name: String,
    /// How many points it has.
    pub points: usize,
    /// Its pictures, or some hundreds of them; none of an embedding.
    pub pictures: Option<Images>,
}

/// Pictures of one input that are kept at most, evenly from all of them.
const KEPT: usize = 500;

/// Pictures of one input that are shown on the sheet.
const SHOWN: usize = 8;

impl Likes {
    /// The inputs written as `[WEIGHT*]IMAGE|FOLDER|EMBEDDING`, as features of `map`. Pictures are brought to `form`, which ends
    /// in the generator's channels, height and width, `shape`.
    ///
    /// # Errors
    /// When an input cannot be read, an embedding has another feature map, or the weights do not have a positive sum.
    pub(crate) fn read(
        texts: &[String],
        map: &dyn FeatureMap,
        shape: [usize; 3],
        form: &Form,
        context: &Context,
    ) -> Result<Self> {
        let mut parts: Vec<(f64, Points, Vec<f64>)> = Vec::new();
        let (mut shown, mut kernel, mut inputs) = (Vec::new(), None::<Kernel>, Vec::new());
        for text in texts {
            let (weight, name) = weighted(text)?;
            if is_embedding(name) {
                let embedding = read_embedding(name)?;
                map.identity(shape).check_same(embedding.features())?;
                if let Some(other) = kernel.replace(embedding.kernel().clone()).filter(|k| k != embedding.kernel()) {
                    let remedy = "embed all inputs with one kernel, or name one with `kernel`";
                    return Err(Error::mismatch(Field::Kernel, other, embedding.kernel(), remedy));
                }
                inputs.push(Input { name: name.into(), points: embedding.len(), pictures: None });
                parts.push((weight, embedding.points().clone(), embedding.weights().to_vec()));
            } else {
                let images = Source::parse(name, &context.data)?.load(form)?.images()?;
                let points = map.features((&images).into())?;
                let n = images.len();
                shown.push(images.select(&(0..n.min(SHOWN)).collect::<Vec<_>>())?);
                let kept = images.select(&evenly(n, KEPT))?;
                inputs.push(Input { name: name.into(), points: n, pictures: Some(kept) });
                parts.push((weight, points, vec![1.0 / n as f64; n]));
            }
        }
        let total = total(parts.iter().map(|(weight, _, inner)| (*weight, inner.as_slice())))?;
        let points = Points::concat(&parts.iter().map(|(_, points, _)| points).collect::<Vec<_>>())?;
        let weights = parts.iter().flat_map(|(w, _, inner)| inner.iter().map(move |v| w / total * v)).collect();
        let shown = if shown.is_empty() { None } else { Some(Images::concat(&shown)?) };
        Ok(Self { shown, inputs, points, weights, kernel })
    }

    /// The inputs as one embedding: under the kernel that was asked for, else that of the embeddings among them, else
    /// `default`.
    ///
    /// # Errors
    /// When the kernel's text needs what is not there.
    pub(crate) fn embedding(
        self,
        asked: Option<&KernelSpec>,
        default: impl FnOnce(&Points) -> Result<Kernel>,
        map: &dyn FeatureMap,
        shape: [usize; 3],
        seed: u64,
    ) -> Result<Embedding> {
        let kernel = match (asked, self.kernel) {
            (Some(spec), _) => spec.resolve_for(&[&self.points])?,
            (None, Some(kernel)) => kernel,
            (None, None) => default(&self.points)?,
        };
        Embedding::combination(kme::Sample { points: self.points.view(), weights: Some(&self.weights) }, kernel)
            .map(|mu| mu.with_features(map.identity(shape)).with_seed(Some(seed)))
    }
}

/// The sum of the weights of all inputs, each with the weights inside it: those of a sample have the sum 1, those of an
/// expression any sum.
///
/// # Errors
/// When it is not positive. A difference of embeddings is not a distribution, and nothing can be more like it alone.
fn total<'a>(parts: impl Iterator<Item = (f64, &'a [f64])>) -> Result<f64> {
    let (mut total, mut all) = (0.0, Vec::new());
    for (weight, inner) in parts {
        let sum: f64 = inner.iter().sum();
        // Whole to rounding is whole.
        total += if (sum - 1.0).abs() < 1e-9 { weight } else { weight * sum };
        all.extend(inner.iter().map(|w| weight * w));
    }
    total_weight(&all).map(|_| total).map_err(|_| {
        // No negative zero.
        let given = (total * 1e12).round() / 1e12 + 0.0;
        let allowed = "a positive number: beside \"less like this\", give something of greater weight to be more like";
        Error::value("sum of the inputs' weights", given, allowed)
    })
}

/// The weight and the rest of `0.7*boot.png`; without a weight it is 1. A file that exists under the whole text wins.
fn weighted(text: &str) -> Result<(f64, &str)> {
    if std::path::Path::new(text).exists() || text.contains(" + ") || text.contains(" - ") {
        return Ok((1.0, text));
    }
    let Some((weight, name)) = text.split_once('*') else { return Ok((1.0, text)) };
    match weight.trim().parse::<f64>() {
        Ok(weight) if weight.is_finite() => Ok((weight, name.trim())),
        Ok(weight) => Err(Error::value(format!("weight of {name}"), weight, "a finite number")),
        // No number: a name with a star in it.
        Err(_) => Ok((1.0, text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_have_a_positive_sum() {
        let sum = |parts: &[(f64, &[f64])]| total(parts.iter().copied());
        assert_eq!(sum(&[(0.7, &[0.5, 0.5]), (0.3, &[1.0])]).unwrap(), 0.7 + 0.3);
        assert_eq!(sum(&[(1.0, &[0.1; 10]), (-0.2, &[1.0])]).unwrap(), 0.8);
        // An expression counts with what it sums to.
        assert_eq!(sum(&[(1.0, &[2.0, 1.0]), (1.0, &[1.0])]).unwrap(), 4.0);
        for parts in [
            &[(1.0, &[0.5, 0.5, -0.5, -0.5][..])][..],
            &[(0.1, &[1.0]), (0.2, &[1.0]), (-0.3, &[1.0])],
            &[(1.0, &[1e-17, 0.3, -0.3])],
            &[(-1.0, &[1.0])],
            &[(1.0, &[0.2, -0.4])],
        ] {
            assert!(sum(parts).unwrap_err().to_string().contains("less like this"), "{parts:?}");
        }
    }

    #[test]
    fn weights_in_front_of_names() {
        assert_eq!(weighted("a.png").unwrap(), (1.0, "a.png"));
        assert_eq!(weighted("0.7*a.png").unwrap(), (0.7, "a.png"));
        assert_eq!(weighted("-0.2 * b.png").unwrap(), (-0.2, "b.png"));
        assert_eq!(weighted("odd*name.png").unwrap(), (1.0, "odd*name.png"));
        assert_eq!(weighted("0.7*a.kme + 0.3*b.kme").unwrap(), (1.0, "0.7*a.kme + 0.3*b.kme"));
        assert!(weighted("inf*a.png").is_err());
    }
}
