//! The random-feature form of an embedding: one vector, however many points.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file::{FORMAT, damaged, expect, open, write_container};
use super::{EmbeddingKind, FeatureIdentity, canonical, common, not_pooled};
use crate::features::{RandomFeatures, Waves};
use crate::kernel::Form;
use crate::points::safetensors::Container;
use crate::points::{Checked, Data, Dtype, PointsView};
use crate::{Error, Field, Kernel, Result};

pub(super) const FORM: &str = "mean";

/// Which random features ẑ were averaged: with the kernel's σ, they can be drawn again from this alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencyIdentity {
    /// Which functions of the frequencies are taken.
    pub waves: Waves,
    /// Number of features s.
    pub count: usize,
    /// Dimension d of the points.
    pub d: usize,
    /// Seed of the frequencies.
    pub seed: u64,
}

/// The embedding of a sample under a Gaussian kernel as the mean of [`RandomFeatures`] ẑ with
/// E ⟨ẑ(x), ẑ(y)⟩ = k(x, y): m = (1/n) Σᵢ ẑ(φ(xᵢ)) ∈ Rˢ, and ⟨μ, ν⟩ ≈ ⟨m_μ, m_ν⟩.
///
/// A sample keeps the exact sum Σᵢ ẑ(φ(xᵢ)), in whole multiples of 2⁻⁶⁴. So merging is exact, and since the features of
/// a point do not depend on the points mapped with it, merging the embeddings of the parts of a sample equals
/// embedding the whole bit for bit, for every split and order, as long as all parts are embedded on processors of one
/// kind: the last bits of a feature depend on the processor's instructions. A feature of magnitude 2⁻¹² or more is such
/// a multiple; the error for smaller ones is below 2⁻⁶⁵.
///
/// Points have no weights here: a product of a weight and a feature would have to be rounded.
#[derive(Clone, Debug, PartialEq)]
pub struct MeanEmbedding {
    mean: Vec<f64>,
    /// Of a sample: 2⁶⁴ Σᵢ ẑ(φ(xᵢ)).
    sums: Option<Vec<i128>>,
    n: u64,
    kernel: Kernel,
    features: FeatureIdentity,
    frequencies: FrequencyIdentity,
    seed: Option<u64>,
}

/// Points whose s features are held at a time: those of all points would take n·s numbers.
fn points_at_once(s: usize) -> usize {
    ((1 << 22) / s).clamp(64, 4096)
}

/// 2⁶⁴.
const SCALE: f64 = 18_446_744_073_709_551_616.0;
/// Sums stay below this, so that adding two of them cannot overflow.
const LARGEST_SUM: i128 = 1 << 126;

impl MeanEmbedding {
    /// The embedding of a sample by the random features ẑ of `random`; the kernel is the Gaussian that these approximate. The
    /// points are their own features until [`with_features`](Self::with_features) says which map made them.
    ///
    /// # Shapes
    /// `points` (n, d).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the dimension is not that of `random`.
    pub fn of<'a>(points: impl Into<PointsView<'a>>, random: &RandomFeatures) -> Result<Self> {
        Self::of_view(points.into(), random)
    }

    fn of_view(points: PointsView, random: &RandomFeatures) -> Result<Self> {
        let s = random.len();
        let mut sums = vec![0_i128; s];
        let rows: Vec<usize> = (0..points.len()).collect();
        for rows in rows.chunks(points_at_once(s)) {
            let values = random.map(&points.select(rows)?)?.into_data().into_f64();
            for row in values.chunks_exact(s) {
                for (sum, value) in sums.iter_mut().zip(row) {
                    // Features are at most √2, so this is far from the limits of either type.
                    *sum += (value * SCALE).round_ties_even() as i128;
                }
            }
        }
        let kernel = Form::Gaussian { sigma: random.sigma() }.try_into()?;
        let frequencies = FrequencyIdentity { waves: random.waves(), count: s, d: random.dim(), seed: random.seed() };
        Self::of_sums(sums, points.len() as u64, kernel, FeatureIdentity::identity(), frequencies, None)
    }

    /// The same, whose points are the features that this map made.
    #[must_use]
    pub fn with_features(self, features: FeatureIdentity) -> Self {
        Self { features, ..self }
    }

    /// The same with the seed of whatever randomness chose the points, if any.
    #[must_use]
    pub fn with_seed(self, seed: impl Into<Option<u64>>) -> Self {
        Self { seed: seed.into(), ..self }
    }

    fn of_sums(
        sums: Vec<i128>,
        n: u64,
        kernel: Kernel,
        features: FeatureIdentity,
        frequencies: FrequencyIdentity,
        seed: Option<u64>,
    ) -> Result<Self> {
        if sums.iter().any(|s| s.unsigned_abs() >= LARGEST_SUM.unsigned_abs()) {
            return Err(too_many(n));
        }
        let mean = sums.iter().map(|&s| s as f64 / (n as f64 * SCALE)).collect();
        Ok(Self { mean, sums: Some(sums), n, kernel, features, frequencies, seed })
    }

    /// The embedding of the pooled samples, bit for bit that of embedding them at once.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or frequencies differ; [`Error::TooFew`] when there are no parts;
    /// [`Error::Unsupported`] when one is a combination; [`Error::TooMany`] when there are too many points.
    pub fn merge(parts: &[&Self]) -> Result<Self> {
        let first = check_compatible(parts)?;
        let (mut sums, mut n) = (vec![0_i128; first.mean.len()], 0_u64);
        let too_many = || too_many("the number of all parts");
        for (i, part) in parts.iter().enumerate() {
            let Some(more) = &part.sums else {
                return Err(not_pooled(i));
            };
            n = n.checked_add(part.n).ok_or_else(too_many)?;
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum = sum.checked_add(*more).ok_or_else(too_many)?;
            }
        }
        let seed = common(parts.iter().map(|p| p.seed));
        Self::of_sums(sums, n, first.kernel.clone(), first.features.clone(), first.frequencies.clone(), seed)
    }

    /// The combination Σₜ cₜ μₜ of `terms` (cₜ, μₜ); the order of the terms does not matter, bit for bit.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or frequencies differ; [`Error::TooFew`] when there are no terms;
    /// [`Error::NotFinite`] when a result is not finite.
    pub fn combine(terms: &[(f64, &Self)]) -> Result<Self> {
        let parts: Vec<&Self> = terms.iter().map(|&(_, part)| part).collect();
        let first = check_compatible(&parts)?;
        let coordinate = |j: usize| {
            let mut products: Vec<f64> = terms.iter().map(|(c, part)| c * part.mean[j]).collect();
            products.sort_unstable_by(f64::total_cmp);
            canonical::sum(&products)
        };
        let mean: Vec<f64> = (0..first.mean.len()).map(coordinate).collect();
        if let Some(bad) = mean.iter().find(|m| !m.is_finite()) {
            return Err(Error::not_finite("combination of embeddings", *bad, "use smaller coefficients"));
        }
        Ok(Self {
            mean,
            sums: None,
            n: parts.iter().fold(0, |n, p| n.saturating_add(p.n)),
            kernel: first.kernel.clone(),
            features: first.features.clone(),
            frequencies: first.frequencies.clone(),
            seed: common(parts.iter().map(|p| p.seed)),
        })
    }

    /// ⟨μ, ν⟩ ≈ ⟨m_μ, m_ν⟩.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or frequencies differ.
    pub fn inner(&self, other: &Self) -> Result<f64> {
        check_compatible(&[self, other])?;
        Ok(canonical::sum(&self.mean.iter().zip(&other.mean).map(|(a, b)| a * b).collect::<Vec<_>>()))
    }

    /// ‖μ − ν‖² ≈ ‖m_μ − m_ν‖²: the biased estimate of MMD², never negative.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or frequencies differ.
    pub fn mmd2(&self, other: &Self) -> Result<f64> {
        check_compatible(&[self, other])?;
        Ok(canonical::sum(&self.mean.iter().zip(&other.mean).map(|(a, b)| (a - b) * (a - b)).collect::<Vec<_>>()))
    }

    /// The random features ẑ, drawn again.
    ///
    /// # Errors
    /// [`Error::Parameter`] when the embedding was read from a file with numbers that no random features have.
    pub fn random_features(&self) -> Result<RandomFeatures> {
        let FrequencyIdentity { waves, count, d, seed } = self.frequencies;
        RandomFeatures::new(d, count, sigma(&self.kernel)?, waves, seed)
    }

    /// μ(y) ≈ ⟨m, ẑ(y)⟩ at every point y of `at`, shape (m).
    ///
    /// # Shapes
    /// `at` (m, d).
    ///
    /// # Errors
    /// [`Error::Mismatch`] when the dimension is not that of the embedding.
    pub fn value<'a>(&self, at: impl Into<PointsView<'a>>) -> Result<Vec<f64>> {
        self.value_at(at.into())
    }

    fn value_at(&self, at: PointsView) -> Result<Vec<f64>> {
        // Before memory for frequencies is taken on a file's word.
        if at.dim() != self.frequencies.d {
            let (d, remedy) = (self.frequencies.d, "evaluate an embedding at points of its own space");
            return Err(Error::mismatch(Field::Dimension, d, at.dim(), remedy));
        }
        let (random, s) = (self.random_features()?, self.mean.len());
        let product = |row: &[f64]| canonical::sum(&row.iter().zip(&self.mean).map(|(z, m)| z * m).collect::<Vec<_>>());
        let mut values = Vec::with_capacity(at.len());
        let rows: Vec<usize> = (0..at.len()).collect();
        for rows in rows.chunks(points_at_once(s)) {
            values.extend(random.map(&at.select(rows)?)?.into_data().into_f64().chunks_exact(s).map(product));
        }
        Ok(values)
    }

    /// The vector m, shape (s).
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// Number of points n; of a combination, of all its terms together.
    pub fn len(&self) -> u64 {
        self.n
    }

    /// Never true: an embedding has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The unbiased estimate of MMD² in the features, (‖Σᵢẑ(xᵢ)‖² − n)/(n(n−1)) + (‖Σⱼẑ(yⱼ)‖² − m)/(m(m−1)) − 2⟨m_μ, m_ν⟩: the
    /// diagonals are Σᵢ‖ẑ(xᵢ)‖² = n, since ‖ẑ(x)‖² = 1 for [`Waves::Paired`].
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or frequencies differ; [`Error::Unsupported`] when one is a
    /// combination or the norm of its features is not 1; [`Error::TooFew`] when one has fewer than 2 points.
    pub fn mmd2_unbiased(&self, other: &Self) -> Result<f64> {
        check_compatible(&[self, other])?;
        if self.frequencies.waves != Waves::Paired {
            return Err(no_unbiased("these random features do not have norm 1"));
        }
        let within = |side: &Self| match (side.kind(), side.n) {
            (EmbeddingKind::Combination, _) => Err(no_unbiased("an embedding is a combination")),
            (_, 0 | 1) => Err(Error::too_few("points", side.n as usize, 2, "the unbiased estimator")),
            (_, n) => {
                let n = n as f64;
                let norm = canonical::sum(&side.mean.iter().map(|a| a * a).collect::<Vec<_>>());
                Ok((n * norm - 1.0) / (n - 1.0))
            }
        };
        Ok(within(self)? + within(other)? - 2.0 * self.inner(other)?)
    }

    /// Whether this is a sample or a combination.
    pub fn kind(&self) -> EmbeddingKind {
        if self.sums.is_some() { EmbeddingKind::Sample } else { EmbeddingKind::Combination }
    }

    /// The Gaussian kernel that the random features approximate.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The identity of the feature map φ.
    pub fn features(&self) -> &FeatureIdentity {
        &self.features
    }

    /// The identity of the random features ẑ.
    pub fn frequencies(&self) -> &FrequencyIdentity {
        &self.frequencies
    }

    /// The seed of the randomness that chose the points, if there was any.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Writes the embedding as a `.kme` file, whole or not at all. Equal embeddings give equal bytes.
    ///
    /// # Errors
    /// [`Error::Io`] or [`Error::Path`] when the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        let header = Header {
            format: FORMAT,
            form: FORM.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            kind: self.kind(),
            kernel: self.kernel.to_string(),
            features: self.features.clone(),
            frequencies: self.frequencies.clone(),
            n: self.n,
            seed: self.seed,
        };
        let s = self.mean.len();
        let mean = Data::F64(self.mean.clone());
        let sums = self.sums.as_ref().map(|sums| Data::F64(sums.iter().flat_map(|&s| split(s)).collect()));
        let (row, three) = ([s], [s, 3]);
        let mut tensors: Vec<(&str, &[usize], &Data)> = vec![("mean", &row, &mean)];
        if let Some(sums) = &sums {
            tensors.push(("sums", &three, sums));
        }
        write_container(path.as_ref(), &header, &tensors)
    }

    /// Reads an embedding of this form.
    ///
    /// # Errors
    /// [`Error::Io`] when the file is missing or cannot be read; [`Error::Format`] when it is truncated, damaged, of another
    /// form or version, or its numbers contradict each other.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let fault = |text: String| Error::format(path, text);
        let (mut file, header, kernel) = open(path, FORM, check_header)?;
        let mean = file.numbers("mean")?.into_f64();
        if let Some(j) = mean.iter().position(|m| !m.is_finite()) {
            return Err(fault(format!("feature {j} of its mean is {}", mean[j])));
        }
        let Header { n, features, frequencies, seed, .. } = header;
        if header.kind == EmbeddingKind::Combination {
            return Ok(Self { mean, sums: None, n, kernel, features, frequencies, seed });
        }
        let parts = file.numbers("sums")?.into_f64();
        let sums: Option<Vec<i128>> = parts.as_chunks().0.iter().map(|&p| join(p)).collect();
        let sums = sums.ok_or_else(|| fault("its sums are not multiples of 2^-64 below 2^62".into()))?;
        let read = Self::of_sums(sums, n, kernel, features, frequencies, seed).map_err(|e| damaged(path, e))?;
        match (0..mean.len()).find(|&j| (mean[j] - read.mean[j]).abs() > 1e-9 * read.mean[j].abs()) {
            Some(j) => Err(fault(format!("feature {j} of its mean is {}, by its sums {}", mean[j], read.mean[j]))),
            None => Ok(read),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u64,
    form: String,
    version: String,
    kind: EmbeddingKind,
    kernel: String,
    features: FeatureIdentity,
    frequencies: FrequencyIdentity,
    n: u64,
    seed: Option<u64>,
}

fn check_header(file: &Container, header: &Header) -> Checked<Kernel> {
    let s = header.frequencies.count as u64;
    if header.n == 0 || s == 0 || header.frequencies.d == 0 {
        return Err("its header says that there are no points, features or dimensions".into());
    }
    let (row, three) = ([s], [s, 3]);
    let mut expected: Vec<(&str, Dtype, &[u64])> = vec![("mean", Dtype::F64, &row)];
    if header.kind == EmbeddingKind::Sample {
        expected.push(("sums", Dtype::F64, &three));
    }
    let kernel = expect(file, &expected, &header.kernel)?;
    sigma(&kernel).map_err(|e| e.to_string())?;
    Ok(kernel)
}

fn too_many(points: impl ToString) -> Error {
    Error::too_many("points", points, "the sums of their features can count (2^62)", "embed fewer")
}

fn no_unbiased(reason: &'static str) -> Error {
    Error::unsupported("use the unbiased estimator", format!("{reason}; choose biased"))
}

/// The width of a kernel that random features approximate.
fn sigma(kernel: &Kernel) -> Result<f64> {
    match kernel.terms() {
        &[(1.0, Form::Gaussian { sigma })] => Ok(sigma),
        _ => {
            let operation = format!("use random features for the kernel {kernel}");
            Err(Error::unsupported(operation, "they approximate one Gaussian of weight 1: gaussian:sigma=…"))
        }
    }
}

/// A sum as three doubles that add up to it exactly, each the nearest to what the ones before leave.
fn split(sum: i128) -> [f64; 3] {
    let high = sum as f64;
    let rest = sum - high as i128;
    let middle = rest as f64;
    let low = (rest - middle as i128) as f64;
    [high, middle, low].map(|part| part / SCALE)
}

/// The inverse of [`split`]; `None` if the parts are not such a sum.
fn join(parts: [f64; 3]) -> Option<i128> {
    let whole = |part: f64| {
        let scaled = part * SCALE;
        // The double nearest to a sum just below the limit is the limit.
        (scaled.fract() == 0.0 && scaled.abs() <= LARGEST_SUM as f64).then_some(scaled as i128)
    };
    whole(parts[0])?.checked_add(whole(parts[1])?)?.checked_add(whole(parts[2])?)
}

fn check_compatible<'a>(parts: &[&'a MeanEmbedding]) -> Result<&'a MeanEmbedding> {
    let Some((first, others)) = parts.split_first() else {
        return Err(Error::too_few("embeddings", 0, 1, "a merge or combination"));
    };
    for other in others {
        if first.kernel != other.kernel {
            return Err(Error::mismatch(
                Field::Kernel,
                &first.kernel,
                &other.kernel,
                "embed both with the same kernel",
            ));
        }
        first.features.check_same(&other.features)?;
        if first.frequencies != other.frequencies {
            let show = |f: &FrequencyIdentity| {
                format!("{} {:?} of dimension {} with seed {}", f.count, f.waves, f.d, f.seed).to_lowercase()
            };
            let (left, right) = (show(&first.frequencies), show(&other.frequencies));
            let remedy = "embed both with the same random features";
            return Err(Error::mismatch(Field::RandomFeatures, left, right, remedy));
        }
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_split_without_loss() {
        for sum in [0, 1, -1, (1 << 126) - 1, -(1 << 126) + 1, 0x1234_5678_9abc_def0_0fed_cba9_8765_4321, (1 << 53) + 1]
        {
            assert_eq!(join(split(sum)), Some(sum));
        }
        assert_eq!(join([f64::NAN, 0.0, 0.0]), None);
        assert_eq!(join([0.0, f64::INFINITY, 0.0]), None);
        assert_eq!(join([0.0, 0.0, 1e-30]), None);
        assert_eq!(join([1e30, 0.0, 0.0]), None);
    }
}
