//! Several sources pooled into one sample, whole or a shard of it, and embedded.

use super::{Sample, Sources, naming};
use kme::{
    AnyEmbedding, Data, Embedding, Error, Kernel, KernelSpec, MeanEmbedding, Points, Precision, RandomFeatures, Result,
    Shard, Waves, read_weights,
};
use kme_image::Skipped;
use std::path::PathBuf;

/// The kernel mean embedding of sources together.
///
/// # Example
/// ```no_run
/// use kme_deep::{Context, EmbedRequest, Reader, SourceSettings, Sources};
///
/// let settings = SourceSettings { features: Some("fashion-classifier".into()), ..SourceSettings::default() };
/// let context = Context::cpu();
/// let mut sources = Sources::open(&["photos/", "more.zip"], Reader::new(&settings, &context, &()))?;
/// EmbedRequest::default().run(&mut sources)?.embedding.write("photos.kme")?;
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EmbedRequest {
    /// Without it that of the kernel inception distance, (⟨x,y⟩/d + 1)³. It needs no data, so that shards agree on it.
    pub kernel: Option<KernelSpec>,
    /// A file with one weight, at least 0, for each point of all sources together.
    pub weights: Option<PathBuf>,
    /// The part of all sources together.
    pub shard: Shard,
    /// The mean of this many random features of a Gaussian kernel, instead of the points.
    pub random_features: Option<usize>,
    /// The precision in which points are stored; without it, as they come.
    pub precision: Option<Precision>,
}

impl Default for EmbedRequest {
    fn default() -> Self {
        Self { kernel: None, weights: None, shard: Shard::WHOLE, random_features: None, precision: None }
    }
}

/// What sources were embedded to.
#[derive(Clone, Debug)]
pub struct Embedded {
    /// Points, or a mean of random features.
    pub embedding: AnyEmbedding,
    /// Pictures that were left out since they cannot be read.
    pub skipped: Vec<Skipped>,
}

const DEFAULT_KERNEL: &str = "poly:degree=3,gamma=1/d,coef=1";

impl EmbedRequest {
    fn kernel(&self) -> KernelSpec {
        self.kernel.clone().unwrap_or_else(|| DEFAULT_KERNEL.parse().expect("the default kernel is one"))
    }

    /// What can be said before anything is read.
    ///
    /// # Errors
    /// [`Error::Parameter`] of a kernel that a shard or random features cannot have.
    pub fn check(&self) -> Result<()> {
        let kernel = self.kernel();
        if self.shard != Shard::WHOLE && kernel.needs_median() {
            let allowed = "a kernel with numbers when there is `shard`, since every part has another median";
            return Err(Error::parameter("kernel", &kernel, allowed));
        }
        if self.random_features.is_some() {
            // The median, if it is asked for, is some length.
            sigma(&kernel.resolve(1, || Ok(1.0))?)?;
        }
        Ok(())
    }

    /// The embedding of what [`pool`](Self::pool) gives. Random features follow from the seed of the sources' settings.
    ///
    /// # Errors
    /// Those of [`check`](Self::check) and [`pool`](Self::pool).
    pub fn run(&self, sources: &mut Sources) -> Result<Embedded> {
        self.check()?;
        let Sample { points, weights, features, skipped, .. } = self.pool(sources)?;
        let kernel = self.kernel().resolve_for(&[&points])?;
        let drawn = sources.all().iter().any(|source| source.is_random());
        let own = sources.reader.settings.seed;
        let seed = drawn.then_some(own);
        let embedding = match self.random_features {
            None => AnyEmbedding::Points(
                Embedding::of(kme::Sample { points: points.view(), weights: weights.as_deref() }, kernel)?
                    .with_features(features)
                    .with_seed(seed),
            ),
            Some(_) if weights.is_some() => {
                return Err(Error::not_applicable("weights", "a mean of random features does not take weights"));
            }
            Some(count) => {
                let random = RandomFeatures::new(points.dim(), count, sigma(&kernel)?, Waves::default(), own)?;
                AnyEmbedding::Mean(MeanEmbedding::of(&points, &random)?.with_features(features).with_seed(seed))
            }
        };
        Ok(Embedded { embedding, skipped })
    }

    /// The part of all sources together that is asked for, with the weights that they or the file have.
    ///
    /// # Errors
    /// When a source cannot be read or holds a combination, they are not of one space, or weights do not fit.
    pub fn pool(&self, sources: &mut Sources) -> Result<Sample> {
        if let Some(i) = (0..sources.all().len()).find(|&i| sources.is_combination(i)) {
            let operation = format!("embed '{}'", sources.all()[i].text());
            return Err(Error::unsupported(operation, "it is an embedding already. Use it as it is"));
        }
        let whole = self.shard == Shard::WHOLE && self.weights.is_none();
        let counts = match whole {
            true => Vec::new(),
            false => (0..sources.all().len()).map(|i| sources.count(i)).collect::<Result<Vec<_>>>()?,
        };
        let total: usize = counts.iter().sum();
        // What is wanted whole is not counted.
        let wanted = if whole { 0..0 } else { self.shard.items(total)? };
        let (mut parts, mut start) = (Vec::new(), 0);
        for i in 0..sources.all().len() {
            let range = counts.get(i).map(|count| {
                let range =
                    wanted.start.clamp(start, start + count) - start..wanted.end.clamp(start, start + count) - start;
                start += count;
                range
            });
            if range.as_ref().is_some_and(|range| range.is_empty()) {
                continue;
            }
            parts.push((sources.all()[i].text().to_string(), sources.read(i, range)?));
        }
        let (first, others) = parts.split_first().ok_or_else(|| Error::too_few("sources", 0, 1, "an embedding"))?;
        for other in others {
            first.1.features.check_same(&other.1.features).map_err(|fault| naming(fault, &first.0, &other.0))?;
            if first.1.points.dim() != other.1.points.dim() {
                let side = |(text, sample): &(String, Sample)| format!("{} ({text})", sample.points.dim());
                let remedy = "only points of one dimension can be pooled";
                return Err(Error::mismatch("dimension d of the points", side(first), side(other), remedy));
            }
        }
        let given = match &self.weights {
            Some(path) => {
                if let Some((text, _)) = parts.iter().find(|(_, sample)| sample.weights.is_some()) {
                    return Err(Error::not_applicable("weights", format!("{text} has weights of its own")));
                }
                if let Some((text, _)) = parts.iter().find(|(_, sample)| !sample.skipped.is_empty()) {
                    let reason = format!("pictures of {text} were left out. Remove these pictures first");
                    return Err(Error::not_applicable("weights", reason));
                }
                Some(read_weights(path, total)?[wanted].to_vec())
            }
            None => None,
        };
        let weights = given.or_else(|| {
            parts.iter().any(|(_, sample)| sample.weights.is_some()).then(|| {
                let each = |s: &Sample| s.weights.clone().unwrap_or_else(|| vec![1.0; s.points.len()]);
                parts.iter().flat_map(|(_, sample)| each(sample)).collect()
            })
        });
        let mut samples: Vec<Sample> = parts.into_iter().map(|(_, sample)| sample).collect();
        let mut pooled = samples.remove(0);
        pooled.skipped.extend(samples.iter().flat_map(|sample| sample.skipped.clone()));
        if !samples.is_empty() {
            let others = samples.iter().map(|sample| &sample.points);
            pooled.points = Points::concat(&std::iter::once(&pooled.points).chain(others).collect::<Vec<_>>())?;
        }
        pooled.points = stored(pooled.points, self.precision)?;
        Ok(Sample { weights, ..pooled })
    }
}

/// The width of the one kernel that has random features here.
fn sigma(kernel: &Kernel) -> Result<f64> {
    match kernel.terms() {
        &[(1.0, kme::Form::Gaussian { sigma })] => Ok(sigma),
        _ => Err(Error::parameter("kernel", kernel, "one Gaussian, such as gaussian:sigma=2, with `random_features`")),
    }
}

/// The points in this precision, or as they are.
fn stored(points: Points, precision: Option<Precision>) -> Result<Points> {
    let (n, d) = (points.len(), points.dim());
    let too_large = |x: &f64| x.abs() > f64::from(f32::MAX);
    if let (Some(Precision::F32), Data::F64(rows)) = (precision, points.data())
        && let Some(large) = rows.iter().find(|x| too_large(x))
    {
        return Err(Error::parameter("precision", "f32", format!("f64, since a point holds {large:e}")));
    }
    let data = match (precision, points.into_data()) {
        (Some(Precision::F32), Data::F64(rows)) => Data::F32(rows.into_iter().map(|x| x as f32).collect()),
        (Some(Precision::F64), Data::F32(rows)) => Data::F64(rows.into_iter().map(f64::from).collect()),
        (_, data) => data,
    };
    Points::new(n, d, data)
}
