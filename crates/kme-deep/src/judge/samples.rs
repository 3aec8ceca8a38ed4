//! Scores of samples, and of statistics.

use super::EvalRequest;
use super::metric::{Metric, Score, fields};
use crate::sample::{Repeated, Sample, Sources, check_same_dim, common_kernel, naming, naming_small};
use kme::{
    Data, Error, Estimator, FeatureIdentity, Fitted, Kernel, KernelSpec, Manifold, Measured, Observer, Points, Prdc,
    Protocol, Result, Statistics, Subsets,
};
use kme_image::hex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::time::Instant;

/// The kernel of CMMD.
const CMMD: &str = "gaussian:sigma=10";

/// The kernel of mmd where nothing names another.
const DEFAULT_KERNEL: &str = "gaussian:sigma=median";

/// By how much the length of what is called a unit vector may differ from 1: half precision is off by less.
const UNIT: f64 = 0.01;

/// A source that was read.
struct Side {
    text: String,
    content: Content,
    /// Where it comes from, for the JSON.
    origin: Value,
}

enum Content {
    Sample(Box<Sample>),
    /// With their feature map, if the file tells it.
    Statistics(Statistics, Option<FeatureIdentity>),
}

impl Side {
    fn sample(&self) -> Option<&Sample> {
        match &self.content {
            Content::Sample(sample) => Some(sample),
            Content::Statistics(..) => None,
        }
    }

    fn dim(&self) -> usize {
        match &self.content {
            Content::Sample(sample) => sample.points.dim(),
            Content::Statistics(statistics, _) => statistics.dim(),
        }
    }

    fn features(&self) -> Option<&FeatureIdentity> {
        match &self.content {
            Content::Sample(sample) => Some(&sample.features),
            Content::Statistics(_, features) => features.as_ref(),
        }
    }

    /// The points of a metric that takes neither statistics nor weights.
    fn points(&self, metric: impl std::fmt::Display) -> Result<&Points> {
        match self.sample() {
            None => Err(only_fid(&self.text, metric)),
            Some(sample) if sample.weights.is_some() => {
                let reason = format!("{} has weights; only kid and mmd take them", self.text);
                Err(Error::unsupported(format!("compute {metric}"), reason))
            }
            Some(sample) => Ok(&sample.points),
        }
    }
}

/// The class logits of a sample, for the inception score: a network's, or the points of a file.
fn logits_of(side: &Side) -> Result<&Points> {
    let points = side.points(Metric::InceptionScore)?;
    match side.sample() {
        Some(Sample { logits: Some(logits), .. }) => Ok(logits),
        Some(sample) if sample.kernel.is_none() && sample.features.name == "identity" => Ok(points),
        _ => {
            let reason = format!(
                "{} holds no class logits. Give pictures and `features` of a network that classifies, such as inception, or \
                 a file of points whose rows are the logits of a picture each",
                side.text
            );
            Err(Error::unsupported("compute the inception score", reason))
        }
    }
}

/// Scores of all candidates, candidate by candidate.
pub(super) fn scores(
    sources: &mut Sources,
    has_reference: bool,
    request: &EvalRequest,
    metrics: &[Metric],
    observer: &dyn Observer,
) -> Result<Vec<Score>> {
    if let Some((metric, source)) =
        metrics.iter().find(|m| **m != Metric::Fid).zip(sources.all().iter().find(|s| s.statistics().is_some()))
    {
        return Err(only_fid(source.text(), metric));
    }
    if metrics.contains(&Metric::InceptionScore) {
        sources.want_logits()?;
    }
    let sides = (0..sources.all().len()).map(|i| read(sources, i, observer)).collect::<Result<Vec<Side>>>()?;
    let first = sides.first().expect("there is a source");
    // Without a reference there is nothing that would ask for it: the first candidate stands in its place.
    let (reference, candidates) = (first, &sides[usize::from(has_reference)..]);
    for candidate in candidates {
        check_same_space(reference, candidate, observer)?;
    }
    let mut judge = Judge::new(reference, candidates, request, metrics)?;
    judge.has_reference = has_reference;
    let mut scores = Vec::new();
    for i in 0..candidates.len() {
        scores.extend(judge.scores(i, metrics)?);
    }
    Ok(scores)
}

fn read(sources: &mut Sources, i: usize, observer: &dyn Observer) -> Result<Side> {
    let text = sources.all()[i].text().to_string();
    if let Some(statistics) = sources.all()[i].statistics() {
        let mut hash = Sha256::new_with_prefix(b"kme statistics 1\0");
        statistics.mean().iter().chain(statistics.covariance()).for_each(|x| hash.update(x.to_le_bytes()));
        let sha256 = hex(&hash.finalize());
        let features = sources.all()[i].features().cloned();
        let origin = json!({ "source": text, "statistics": true, "features": features, "sha256": sha256 });
        return Ok(Side { text, content: Content::Statistics(statistics.clone(), features), origin });
    }
    let sample = sources.read(i, None)?;
    let mut origin = sample.provenance(&text);
    origin["sha256"] = digest(&sample).into();
    let repeated = Repeated::of(&sample.points);
    if let Value::Object(told) = &mut origin {
        repeated.record(told);
    }
    if let Some(remark) = repeated.remark(&text) {
        observer.remark(&remark);
    }
    Ok(Side { text, content: Content::Sample(Box::new(sample)), origin })
}

/// SHA-256 over shape, numbers and weights of a sample: what a score depends on.
fn digest(sample: &Sample) -> String {
    let mut hash = Sha256::new_with_prefix(b"kme sample 1\0");
    let points = &sample.points;
    hash.update((points.len() as u64).to_le_bytes());
    hash.update((points.dim() as u64).to_le_bytes());
    let mut bytes = Vec::new();
    let mut block = |numbers: &mut dyn Iterator<Item = f64>| {
        bytes.clear();
        numbers.for_each(|x| bytes.extend(x.to_le_bytes()));
        hash.update(&bytes);
    };
    // The same numbers in single and in double precision are the same sample.
    match points.data() {
        Data::F32(v) => v.chunks(1 << 13).for_each(|v| block(&mut v.iter().map(|x| f64::from(*x)))),
        Data::F64(v) => v.chunks(1 << 13).for_each(|v| block(&mut v.iter().copied())),
    }
    if let Some(weights) = &sample.weights {
        block(&mut weights.iter().copied());
    }
    hex(&hash.finalize())
}

fn check_same_space(reference: &Side, candidate: &Side, observer: &dyn Observer) -> Result<()> {
    if let (Some(a), Some(b)) = (reference.sample(), candidate.sample()) {
        return a.check_same_space(&reference.text, b, &candidate.text);
    }
    check_same_dim((reference.dim(), &reference.text), (candidate.dim(), &candidate.text))?;
    let identity = FeatureIdentity::identity();
    match (reference.features(), candidate.features()) {
        (Some(a), Some(b)) if a == b => {}
        (Some(a), Some(b)) if *a != identity && *b != identity => {
            return a.check_same(b).map_err(|fault| naming(fault, &reference.text, &candidate.text));
        }
        (a, b) => {
            // Points may be features that were written by a tool: where they come from stands nowhere.
            let known = |features: Option<&FeatureIdentity>| features.is_some_and(|features| *features != identity);
            let (told, other) = match (known(a), known(b)) {
                (true, false) => (reference, candidate),
                (false, true) => (candidate, reference),
                _ => return Ok(()),
            };
            let name = told.features().map_or("", |features| features.name.as_str());
            observer.remark(&format!(
                "{} has the features {name}, but {} does not say which features it has: make sure that they are the same",
                told.text, other.text
            ));
        }
    }
    Ok(())
}

/// The reference, and what is computed of it once for all candidates.
struct Judge<'a> {
    reference: &'a Side,
    has_reference: bool,
    candidates: &'a [Side],
    request: &'a EvalRequest,
    kernel: Option<Kernel>,
    fitted: Option<Fitted<'a>>,
    manifold: Option<Manifold<'a>>,
}

impl<'a> Judge<'a> {
    fn new(reference: &'a Side, candidates: &'a [Side], request: &'a EvalRequest, metrics: &[Metric]) -> Result<Self> {
        let kernel = match metrics.contains(&Metric::Mmd) {
            false => None,
            true => {
                let sides = std::iter::once(reference).chain(candidates);
                let named: Vec<_> = sides.filter_map(|side| Some((side.text.as_str(), side.sample()?))).collect();
                Some(common_kernel(request.kernel.as_ref(), &named, DEFAULT_KERNEL)?)
            }
        };
        let at = |fault| blamed(fault, reference, reference);
        let fitted = metrics.contains(&Metric::Fid).then(|| fit(reference)).transpose().map_err(at)?;
        let manifold = match metrics.iter().find(|m| Metric::PRDC.contains(m)) {
            Some(metric) => Some(Manifold::new(reference.points(metric)?, request.neighbours)?),
            None => None,
        };
        Ok(Self { reference, has_reference: true, candidates, request, kernel, fitted, manifold })
    }

    /// The scores of candidate `i`, in the order of `metrics`.
    fn scores(&mut self, i: usize, metrics: &[Metric]) -> Result<Vec<Score>> {
        let candidate = &self.candidates[i];
        let mut balls: Option<(Prdc, f64)> = None;
        let mut scores = Vec::new();
        for &metric in metrics {
            let begin = Instant::now();
            let mut score = match metric {
                Metric::Kid => self.kid(candidate),
                Metric::Mmd => self.mmd(Metric::Mmd, candidate, self.kernel.as_ref().expect("mmd has a kernel")),
                Metric::Cmmd => self.cmmd(candidate),
                Metric::Fid => self.fid(candidate),
                Metric::InceptionScore => self.inception_score(candidate),
                Metric::Precision | Metric::Recall | Metric::Density | Metric::Coverage => {
                    if balls.is_none() {
                        let manifold = Manifold::new(candidate.points(metric)?, self.request.neighbours)?;
                        let found = self.manifold.as_ref().expect("the reference has one too").prdc(&manifold)?;
                        balls = Some((found, begin.elapsed().as_secs_f64()));
                    }
                    let (found, _) = balls.as_ref().expect("it was just computed");
                    Ok(self.part(metric, found))
                }
            }
            .map_err(|fault| blamed(fault, self.reference, candidate))?;
            score.candidate = i + 1;
            score.seconds = match &balls {
                Some((_, seconds)) if Metric::PRDC.contains(&metric) => *seconds,
                _ => begin.elapsed().as_secs_f64(),
            };
            let reference = if self.has_reference { self.reference.origin.clone() } else { Value::Null };
            score.protocol.insert("reference".into(), reference);
            score.protocol.insert("candidate".into(), candidate.origin.clone());
            scores.push(score);
        }
        Ok(scores)
    }

    /// A score with what all have.
    fn score(&self, metric: Metric, found: Measured, estimator: impl std::fmt::Display, protocol: Value) -> Score {
        let mut all = Map::from_iter([("name".to_string(), json!(self.request.protocol))]);
        all.extend(fields(protocol));
        let features = self.candidates.iter().chain([self.reference]).find_map(Side::features);
        Score {
            metric,
            candidate: 0,
            value: found.value,
            error: found.error(),
            bounds: None,
            spread: None,
            bias: None,
            estimator: estimator.to_string(),
            kernel: None,
            n: None,
            m: None,
            protocol: all,
            features: json!(features),
            seconds: 0.0,
        }
    }

    fn kid(&self, candidate: &Side) -> Result<Score> {
        let kernel = Kernel::kid(self.reference.dim())?;
        if self.request.protocol == Protocol::Full {
            return self.mmd(Metric::Kid, candidate, &kernel);
        }
        let usual = Subsets::default();
        let subsets = Subsets {
            count: self.request.subsets.unwrap_or(usual.count),
            size: self.request.subset_size.unwrap_or(usual.size),
        };
        let (x, y) = (self.reference.points(Metric::Kid)?, candidate.points(Metric::Kid)?);
        let (protocol, precision) = (self.request.protocol, self.request.precision);
        let found = kme::KidSettings { protocol, subsets, seed: self.request.seed, precision }.measure(x, y)?;
        let told = json!({
            "sample": "subsets",
            "subsets": found.subsets,
            "seed": found.seed,
            "precision": precision,
        });
        let score = self.score(Metric::Kid, Measured::from(&found), Estimator::Unbiased, told);
        let (n, m) = (Some(found.n as u64), Some(found.m as u64));
        Ok(Score { kernel: Some(kernel.to_string()), spread: found.spread, n, m, ..score })
    }

    fn mmd(&self, metric: Metric, candidate: &Side, kernel: &Kernel) -> Result<Score> {
        let (Some(x), Some(y)) = (self.reference.sample(), candidate.sample()) else {
            return Err(only_fid(&candidate.text, metric));
        };
        let estimator = self.request.estimator.unwrap_or_default();
        let (precision, seed) = (self.request.precision, self.request.seed.unwrap_or(0));
        let found = kme::mmd2_paired(kernel, x.weighted(), y.weighted(), estimator, precision, seed)?;
        let told = json!({ "sample": "full", "precision": found.precision });
        let score = self.score(metric, Measured::from(&found), estimator, told);
        let (n, m) = (Some(found.n as u64), Some(found.m as u64));
        let (bounds, bias) = (found.bounds, found.bias);
        Ok(Score { bounds, bias, kernel: Some(found.kernel.to_string()), n, m, ..score })
    }

    /// 1000 times the biased MMD² of a Gaussian kernel of width 10, of vectors of unit length (Jayasumana et al., "Rethinking
    /// FID", 2024).
    fn cmmd(&self, candidate: &Side) -> Result<Score> {
        for side in [self.reference, candidate] {
            let points = side.points(Metric::Cmmd)?;
            let d = points.dim();
            let norm = |i: usize| (i * d..(i + 1) * d).map(|j| points.data().get(j).powi(2)).sum::<f64>().sqrt();
            if let Some(i) = (0..points.len()).find(|i| (norm(*i) - 1.0).abs() > UNIT) {
                let given = format!("{:.6} (point {i} of {}, counted from 0)", norm(i), side.text);
                let allowed = "1: cmmd is of CLIP embeddings of unit length, x / |x|";
                return Err(Error::value("length of an embedding", given, allowed));
            }
        }
        let kernel: Kernel = CMMD.parse::<KernelSpec>()?.resolve(self.reference.dim(), || Ok(1.0))?;
        let (x, y) = (self.reference.points(Metric::Cmmd)?, candidate.points(Metric::Cmmd)?);
        let precision = self.request.precision;
        let found = kme::mmd2(&kernel, x, y, Estimator::Biased, precision)?;
        let told = json!({ "sample": "full", "precision": found.precision, "factor": 1000 });
        let thousand = |x: f64| 1000.0 * x;
        let measured = Measured {
            value: thousand(found.value),
            standard_error: found.standard_error.map(thousand),
            standard_error_missing: found.standard_error_missing,
        };
        let score = self.score(Metric::Cmmd, measured, Estimator::Biased, told);
        let (n, m) = (Some(found.n as u64), Some(found.m as u64));
        let (bounds, bias) = (found.bounds.map(|bounds| bounds.map(thousand)), found.bias.map(thousand));
        Ok(Score { bounds, bias, kernel: Some(found.kernel.to_string()), n, m, ..score })
    }

    fn fid(&self, candidate: &Side) -> Result<Score> {
        let found = self.fitted.as_ref().expect("the reference was fitted").distance(&fit(candidate)?)?;
        let score = self.score(Metric::Fid, Measured::from(&found), "plug-in", json!({ "sample": "full" }));
        let count = |n: Option<usize>| n.map(|n| n as u64);
        Ok(Score { bias: found.bias, n: count(found.n), m: count(found.m), ..score })
    }

    fn inception_score(&self, candidate: &Side) -> Result<Score> {
        let logits = logits_of(candidate)?;
        let (splits, protocol) = (self.request.splits, self.request.protocol);
        let found = kme::inception_score(logits, splits, protocol, self.request.seed)?;
        let told = json!({ "sample": "full", "splits": splits, "classes": found.classes, "seed": found.seed });
        let score = self.score(Metric::InceptionScore, Measured::from(&found), "mean over splits", told);
        Ok(Score { spread: Some(found.spread), m: Some(found.n as u64), ..score })
    }

    fn part(&self, metric: Metric, found: &Prdc) -> Score {
        let measured = match metric {
            Metric::Precision => found.precision,
            Metric::Recall => found.recall,
            Metric::Density => found.density,
            _ => found.coverage,
        };
        let told = json!({
            "sample": "full",
            "neighbours": found.k,
            "zero_radii": { "reference": found.zero_radii[0], "candidate": found.zero_radii[1] },
        });
        let score = self.score(metric, measured, "nearest neighbours", told);
        Score { n: Some(found.n as u64), m: Some(found.m as u64), ..score }
    }
}

/// The fault of a source that is known by its mean and covariance.
fn only_fid(text: &str, metric: impl std::fmt::Display) -> Error {
    Error::unsupported(
        format!("compute {metric} of {text}"),
        "it holds a mean and a covariance (mu, sigma), not points. Use the metric fid",
    )
}

fn fit(side: &Side) -> Result<Fitted<'_>> {
    match &side.content {
        Content::Statistics(statistics, _) => {
            Fitted::of_statistics(statistics.clone()).map_err(|fault| fault.within(&side.text))
        }
        Content::Sample(_) => Fitted::of_points(side.points(Metric::Fid)?),
    }
}

/// Says which sample is too small.
fn blamed(fault: Error, reference: &Side, candidate: &Side) -> Error {
    let sizes = [reference, candidate].map(|side| Some((side.text.as_str(), side.sample()?.points.len())));
    naming_small(fault, sizes.into_iter().flatten())
}
