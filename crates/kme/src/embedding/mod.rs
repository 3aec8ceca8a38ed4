//! Kernel mean embeddings: μ = Σᵢ wᵢ k(φ(xᵢ), ·), their algebra, and the `.kme` file.
//!
//! An [`Embedding`] is a weighted set of points with what gives the points their meaning: the kernel k and the
//! identity of the feature map φ that made them. It is of one of two [kinds](EmbeddingKind):
//!
//! * a *sample* is the embedding of a distribution's sample: every point has a mass mᵢ ≥ 0 (1 unless weights were
//!   given) and wᵢ = mᵢ / Σⱼ mⱼ. Samples can be [merged](Embedding::merge), which pools their points;
//! * a *combination* Σ cₜ μₜ is what [algebra](Embedding::combine) makes. Its weights may have any sign and sum.
//!
//! Either is kept in *canonical order*: rows ascending, compared number by number, then by mass (of a combination: by
//! weight). So an embedding, its file included, depends on which points there are and not on the order in which
//! they came, and for every way to split a sample, merging the embeddings of the parts equals embedding the whole,
//! bit for bit. [`MeanEmbedding`] is the same for random features: one vector, however many points, also merged exactly.
//!
//! A point of mass 0 is not part of a sample: it is dropped, so that samples with and without it are equal.

mod any;
mod canonical;
mod expression;
mod file;
mod mean;
mod product;
mod shard;

pub use any::AnyEmbedding;
pub use expression::{Expression, ExpressionTerm};
pub use mean::{FrequencyIdentity, MeanEmbedding};
pub use shard::Shard;

use std::fmt;

use crate::discrepancy::Sample;
use crate::points::Data;
use crate::{Error, Field, Kernel, Points, Result};

/// Which feature map φ made the points: all that must agree for two embeddings to live in one space.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureIdentity {
    /// Name of the map and of the layers read, such as `fashion-classifier/layer14`; `identity` for points as given.
    pub name: String,
    /// How the input is prepared before the network sees it (size, interpolation, range); empty for `identity`.
    pub protocol: String,
    /// SHA-256 of the network's weights in hexadecimal; none for a map without weights.
    pub sha256: Option<String>,
}

impl FeatureIdentity {
    /// φ(x) = x: the points are used as they are.
    pub fn identity() -> Self {
        Self { name: "identity".into(), protocol: String::new(), sha256: None }
    }

    /// Whether `other` is the same map.
    ///
    /// # Errors
    /// [`Error::Mismatch`], which names the first field that differs.
    pub fn check_same(&self, other: &Self) -> Result<()> {
        let remedy = "embed both with the same feature map";
        let hash = |f: &Self| f.sha256.clone().unwrap_or("none".into());
        let quoted = |s: &str| format!("'{s}'");
        if self.name != other.name {
            return Err(Error::mismatch(Field::FeatureMap, quoted(&self.name), quoted(&other.name), remedy));
        }
        if self.sha256 != other.sha256 {
            return Err(Error::mismatch(Field::FeatureWeights, hash(self), hash(other), remedy));
        }
        if self.protocol != other.protocol {
            let (left, right) = (quoted(&self.protocol), quoted(&other.protocol));
            return Err(Error::mismatch(Field::Preprocessing, left, right, remedy));
        }
        Ok(())
    }
}

/// What an embedding was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmbeddingKind {
    /// Points with masses ≥ 0; the weights are the masses divided by their sum.
    Sample,
    /// Points with weights of any sign.
    Combination,
}

impl fmt::Display for EmbeddingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sample => "sample",
            Self::Combination => "combination",
        })
    }
}

/// μ = Σᵢ wᵢ k(φ(xᵢ), ·): points φ(xᵢ) of shape (n, d), weights of shape (n), a kernel, and the identity of φ.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    points: Points,
    weights: Vec<f64>,
    kind: EmbeddingKind,
    /// Of a sample whose masses are not all 1.
    masses: Option<Vec<f64>>,
    kernel: Kernel,
    features: FeatureIdentity,
    seed: Option<u64>,
}

impl Embedding {
    /// The embedding of a sample, μ̂ = Σᵢ mᵢ k(φ(xᵢ), ·) / Σⱼ mⱼ with its weights m, all 1 when it has none.
    ///
    /// Points of weight 0 are dropped, so the embedding may have fewer than n points. The points are their own features until
    /// [`with_features`](Self::with_features) says which map made them.
    ///
    /// # Shapes
    /// Points (n, d), weights (n).
    ///
    /// # Errors
    /// When there are not n weights, one is negative or not finite, or their sum is 0 or not finite.
    ///
    /// # Example
    /// ```
    /// use kme::{Data, Embedding, Points};
    /// let points = Points::try_from(vec![[2.0], [0.0], [1.0]])?;
    /// let mu = Embedding::of(&points, "gaussian:sigma=1".parse()?)?;
    /// assert_eq!(mu.points().data(), &Data::F64(vec![0.0, 1.0, 2.0]));
    /// assert_eq!(mu.weights(), [1.0 / 3.0; 3]);
    /// # Ok::<(), kme::Error>(())
    /// ```
    pub fn of<'a>(sample: impl Into<Sample<'a>>, kernel: Kernel) -> Result<Self> {
        Self::of_sample(sample.into(), kernel)
    }

    fn of_sample(Sample { points, weights: masses }: Sample, kernel: Kernel) -> Result<Self> {
        let no_sum = |total: f64| Error::value("sum of the sample's weights", total, "a finite number greater than 0");
        if let Some(masses) = masses {
            points.check_count(masses)?;
            if let Some(i) = masses.iter().position(|m| !(m.is_finite() && *m >= 0.0)) {
                let what = format!("weight {i} of the sample");
                return Err(Error::value(what, masses[i], "a finite number, at least 0"));
            }
        }
        let (points, masses) = match masses {
            Some(masses) if masses.contains(&0.0) => {
                let counts: Vec<usize> = (0..masses.len()).filter(|&i| masses[i] > 0.0).collect();
                if counts.is_empty() {
                    return Err(no_sum(0.0));
                }
                let masses = counts.iter().map(|&i| masses[i]).collect::<Vec<_>>();
                canonical::sort(
                    points.select(&counts)?.view(),
                    Some(masses.as_slice()).filter(|m| m.iter().any(|&m| m != 1.0)),
                )
            }
            masses => canonical::sort(points, masses.filter(|m| m.iter().any(|&m| m != 1.0))),
        };
        let weights = match &masses {
            None => vec![1.0 / points.len() as f64; points.len()],
            Some(masses) => {
                let total = canonical::sum(masses);
                if !(total.is_finite() && total > 0.0) {
                    return Err(no_sum(total));
                }
                masses.iter().map(|m| m / total).collect()
            }
        };
        let features = FeatureIdentity::identity();
        Ok(Self { points, weights, kind: EmbeddingKind::Sample, masses, kernel, features, seed: None })
    }

    /// A combination Σᵢ wᵢ k(φ(xᵢ), ·) with weights of any sign, all 1 when there are none.
    ///
    /// # Shapes
    /// Points (n, d), weights (n).
    ///
    /// # Errors
    /// When there are not n weights, or one is not finite.
    pub fn combination<'a>(terms: impl Into<Sample<'a>>, kernel: Kernel) -> Result<Self> {
        Self::of_terms(terms.into(), kernel)
    }

    fn of_terms(Sample { points, weights }: Sample, kernel: Kernel) -> Result<Self> {
        let ones = vec![1.0; points.len()];
        let weights = weights.unwrap_or(&ones);
        points.check_count(weights)?;
        if let Some(i) = weights.iter().position(|w| !w.is_finite()) {
            return Err(Error::not_finite(format!("weights[{i}]"), weights[i], "use finite weights and coefficients"));
        }
        let (points, weights) = canonical::sort(points, Some(weights));
        let (weights, features) = (weights.unwrap_or_default(), FeatureIdentity::identity());
        Ok(Self { points, weights, kind: EmbeddingKind::Combination, masses: None, kernel, features, seed: None })
    }

    /// The same, whose points are the features that this map made.
    #[must_use]
    pub fn with_features(self, features: FeatureIdentity) -> Self {
        Self { features, ..self }
    }

    /// The same with the seed of whatever randomness chose the points (a generator, a subset), if any: it is recorded, and is not
    /// part of the mathematics.
    #[must_use]
    pub fn with_seed(self, seed: impl Into<Option<u64>>) -> Self {
        Self { seed: seed.into(), ..self }
    }

    /// The embedding of the pooled samples: `merge(embed(A), embed(B))` equals `embed(A ∪ B)` bit for bit, for every
    /// way to split a sample into any number of parts in any order (repeated points count as often as they come).
    ///
    /// The seed is kept if all parts have the same, else dropped. If any part is in double precision, the result is.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or dimensions differ; [`Error::TooFew`] when there are no parts;
    /// [`Error::Unsupported`] when one is a combination, not a sample.
    pub fn merge(parts: &[&Self]) -> Result<Self> {
        let first = check_compatible(parts)?;
        if let Some(i) = parts.iter().position(|p| p.kind == EmbeddingKind::Combination) {
            return Err(not_pooled(i));
        }
        let masses = parts.iter().any(|p| p.masses.is_some()).then(|| {
            let each = |p: &&Self| p.masses.clone().unwrap_or_else(|| vec![1.0; p.points.len()]);
            parts.iter().flat_map(each).collect()
        });
        let masses: Option<Vec<f64>> = masses;
        let points = joined(parts)?;
        let whole = Self::of(Sample { points: points.view(), weights: masses.as_deref() }, first.kernel.clone())?;
        Ok(whole.with_features(first.features.clone()).with_seed(common(parts.iter().map(|p| p.seed))))
    }

    /// The combination Σₜ cₜ μₜ of `terms` (cₜ, μₜ).
    ///
    /// The order of the terms does not matter, bit for bit. If any term is in double precision, the result is.
    ///
    /// # Errors
    /// [`Error::Mismatch`] when kernels, feature maps or dimensions differ; [`Error::TooFew`] when there are no terms;
    /// [`Error::NotFinite`] when a product of a coefficient and a weight is not finite.
    pub fn combine(terms: &[(f64, &Self)]) -> Result<Self> {
        let parts: Vec<&Self> = terms.iter().map(|&(_, part)| part).collect();
        let first = check_compatible(&parts)?;
        let weights: Vec<f64> = terms.iter().flat_map(|&(c, part)| part.weights.iter().map(move |w| c * w)).collect();
        let points = joined(&parts)?;
        let sum = Self::combination(Sample { points: points.view(), weights: Some(&weights) }, first.kernel.clone())?;
        Ok(sum.with_features(first.features.clone()).with_seed(common(parts.iter().map(|p| p.seed))))
    }

    /// Whether `other` is an element of the same space: the same kernel, feature map and dimension.
    ///
    /// # Errors
    /// [`Error::Mismatch`], which names the first field that differs.
    pub fn check_same_space(&self, other: &Self) -> Result<()> {
        if self.kernel != other.kernel {
            return Err(Error::mismatch(Field::Kernel, &self.kernel, &other.kernel, "embed both with the same kernel"));
        }
        self.features.check_same(&other.features)?;
        if self.dim() != other.dim() {
            return Err(Error::mismatch(
                Field::Dimension,
                self.dim(),
                other.dim(),
                "embeddings can be compared when their points have the same dimension",
            ));
        }
        Ok(())
    }

    /// Number of points n.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Never true: an embedding has at least one point.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Dimension d of the points.
    pub fn dim(&self) -> usize {
        self.points.dim()
    }

    /// The points φ(xᵢ), shape (n, d), in canonical order.
    pub fn points(&self) -> &Points {
        &self.points
    }

    /// The weights wᵢ, shape (n). Of a sample they are ≥ 0 and sum to 1.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// The masses mᵢ of a sample, shape (n); none when all are 1, and for combinations.
    pub fn masses(&self) -> Option<&[f64]> {
        self.masses.as_deref()
    }

    /// Whether this is a sample or a combination.
    pub fn kind(&self) -> EmbeddingKind {
        self.kind
    }

    /// The kernel k.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The identity of the feature map φ.
    pub fn features(&self) -> &FeatureIdentity {
        &self.features
    }

    /// The seed of the randomness that chose the points, if there was any.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }
}

/// The refusal to merge part `i`, a combination.
fn not_pooled(i: usize) -> Error {
    let reason = "it is a combination, and only samples can be pooled; use algebra (a + b)";
    Error::unsupported(format!("merge embedding {}", i + 1), reason)
}

/// The first of `parts`, when there is one and all others are of its space.
fn check_compatible<'a>(parts: &[&'a Embedding]) -> Result<&'a Embedding> {
    let Some((first, others)) = parts.split_first() else {
        return Err(Error::too_few("embeddings", 0, 1, "a merge or combination"));
    };
    others.iter().try_for_each(|other| first.check_same_space(other))?;
    Ok(first)
}

fn joined(parts: &[&Embedding]) -> Result<Points> {
    Points::concat(&parts.iter().map(|p| &p.points).collect::<Vec<_>>())
}

/// The seed that all have.
fn common(mut seeds: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let first = seeds.next()??;
    seeds.all(|seed| seed == Some(first)).then_some(first)
}

/// Name of the stored precision, as in the file.
fn dtype(points: &Points) -> &'static str {
    match points.data() {
        Data::F32(_) => "f32",
        Data::F64(_) => "f64",
    }
}
