//! `kme eval`

use crate::arguments::Global;
use crate::claim::Claim;
use crate::output::{self, fields};
use crate::sources::{Sample, SourceFlags, Sources};
use clap::Args;
use kme::discrepancy::{self, Estimator, median_distance};
use kme::embedding::MeanEmbedding;
use kme::sums::Precision;
use kme::{Error, Kernel, KernelSpec, Result};
use serde_json::{Map, Value, json};
use std::fmt;
use std::str::FromStr;
use std::time::Instant;

/// Judge samples: how far is each CANDIDATE from the REFERENCE?
///
/// kid is the kernel inception distance: the squared maximum mean discrepancy (MMD^2) with the kernel (<x,y>/d + 1)^3 on all
/// points of both samples, not on subsets of them, and not multiplied by 100. mmd is MMD^2 with the kernel of your choice:
/// the square itself, neither its root nor its half. Every value comes with its standard error.
///
/// The default estimator is unbiased: it is right on average, hence negative about half of the time when the two
/// distributions are the same. Nothing is clipped.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}\n\n{}", crate::sources::KERNELS, crate::sources::HELP))]
pub struct Arguments {
    /// What to compare with
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// What to judge
    #[arg(value_name = "CANDIDATE", required = true)]
    candidates: Vec<String>,
    /// What to compute: kid, mmd, or both with a comma [default: kid; mmd when --kernel is given]
    #[arg(long, value_name = "METRICS", value_delimiter = ',')]
    metrics: Vec<Metric>,
    /// Kernel of mmd [default: that of an embedding among the sources, else gaussian:sigma=median]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    /// biased, unbiased, u-statistic (equal numbers of points), or linear (disjoint pairs) [default: unbiased]
    #[arg(long, value_name = "ESTIMATOR")]
    estimator: Option<Estimator>,
    /// Arithmetic of the kernels: f64, or f32 for speed; sums are f64 in both
    #[arg(long, value_name = "PRECISION", value_parser = precision, default_value = "f64")]
    precision: Precision,
    /// Fail with exit code 1 unless this holds at 95 %, such as 'kid<0.01' or 'mmd>0'; may be repeated
    #[arg(long = "assert", value_name = "CLAIM")]
    claims: Vec<Claim>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const EXAMPLES: &str = "\
Examples:
  kme eval fashion-mnist:test samples/ --features fashion-classifier
  kme eval test.kme runs/a runs/b runs/c --metrics kid,mmd
  kme eval x.npy y.npy --kernel gaussian:sigma=2,5,10 --estimator biased --json
  kme eval x.npy y.npy --metrics mmd --kernel energy
  kme eval test.kme samples/ --assert 'kid<0.05'

Claims:
  'kid<0.01' holds at 95 % when value + 1.645 standard errors < 0.01, 'kid>0.01' when value - 1.645
  standard errors > 0.01, for every candidate. Where there is no standard error (weights, fewer
  than 4 points, random features) the value alone decides.

JSON:
  One object with metric, value, standard_error, estimator, kernel, n, m, features, protocol, seed,
  version and seconds; for several candidates or metrics, an object whose results are such objects.";

fn precision(text: &str) -> Result<Precision> {
    match text {
        "f64" => Ok(Precision::F64),
        "f32" => Ok(Precision::F32),
        _ => Err(Error::value("precision", text, "f64 or f32")),
    }
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    Kid,
    Mmd,
}

impl Metric {
    /// The field's name of the quantity.
    fn quantity(self) -> &'static str {
        match self {
            Self::Kid => "kid",
            Self::Mmd => "mmd2",
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kid => "kid",
            Self::Mmd => "mmd",
        })
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim() {
            "kid" => Ok(Self::Kid),
            "mmd" | "mmd2" => Ok(Self::Mmd),
            _ => Err(Error::value("metric", text, "kid or mmd")),
        }
    }
}

/// One number that was asked for.
struct Score {
    metric: Metric,
    candidate: usize,
    value: f64,
    standard_error: Option<f64>,
    estimator: Estimator,
    kernel: Kernel,
    n: u64,
    m: u64,
    protocol: Value,
    features: Value,
    seconds: f64,
}

pub fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    let mut metrics = arguments.metrics.clone();
    let mut seen = Vec::new();
    metrics.retain(|metric| {
        !seen.contains(metric) && {
            seen.push(*metric);
            true
        }
    });
    if let Some(claim) = arguments.claims.iter().find(|c| !metrics.is_empty() && !metrics.contains(&c.metric)) {
        return Err(Error::value("--assert", claim, format!("a claim on a metric of --metrics: add {}", claim.metric)));
    }
    let texts = || std::iter::once(&arguments.reference).chain(&arguments.candidates);
    let mut sources = Sources::open(texts(), &arguments.flags, global)?;
    let has_means = sources.all.iter().any(|source| source.mean().is_some());
    if metrics.is_empty() {
        let default = if arguments.kernel.is_some() || has_means { Metric::Mmd } else { Metric::Kid };
        metrics.push(default);
        for claim in &arguments.claims {
            if !metrics.contains(&claim.metric) {
                metrics.push(claim.metric);
            }
        }
    }
    if arguments.kernel.is_some() && !metrics.contains(&Metric::Mmd) {
        let allowed = "used by mmd only; kid has a kernel of its own: add --metrics kid,mmd";
        return Err(Error::value("--kernel", "given", allowed));
    }
    let scores = match has_means {
        true => of_means(&mut sources, arguments, &metrics)?,
        false => of_samples(&mut sources, arguments, &metrics)?,
    };
    report(&scores, arguments, global, begin.elapsed().as_secs_f64())
}

/// Scores of samples.
fn of_samples(sources: &mut Sources, arguments: &Arguments, metrics: &[Metric]) -> Result<Vec<Score>> {
    let estimator = arguments.estimator.unwrap_or_default();
    let samples = (0..sources.all.len()).map(|i| sources.read(i, None)).collect::<Result<Vec<Sample>>>()?;
    let sources = &*sources;
    let text = |i: usize| &sources.all[i].text;
    let reference = &samples[0];
    for (i, candidate) in samples.iter().enumerate().skip(1) {
        reference
            .features
            .check_same(&candidate.features)
            .map_err(|fault| output::naming(sized(fault), text(0), text(i)))?;
        let (d, other) = (reference.points.dim(), candidate.points.dim());
        if d != other {
            let (left, right) = (format!("{d} ({})", text(0)), format!("{other} ({})", text(i)));
            return Err(Error::mismatch("dimension d of the points", left, right, "compare points of one space"));
        }
    }
    let own_kernel = kernel_of_embeddings(sources, &samples, arguments)?;
    let kernel = |metric: Metric| match (metric, &arguments.kernel, &own_kernel) {
        (Metric::Kid, ..) => Kernel::kid(reference.points.dim()),
        (Metric::Mmd, None, Some(kernel)) => Ok(kernel.clone()),
        (Metric::Mmd, asked, _) => {
            let points: Vec<_> = samples.iter().map(|sample| &sample.points).collect();
            let spec = asked.clone().map_or_else(|| "gaussian:sigma=median".parse(), Ok)?;
            spec.resolve(reference.points.dim(), || median_distance(&points))
        }
    };
    let kernels = metrics.iter().map(|&metric| Ok((metric, kernel(metric)?))).collect::<Result<Vec<_>>>()?;
    let mut scores = Vec::new();
    for (i, candidate) in samples.iter().enumerate().skip(1) {
        for (metric, kernel) in &kernels {
            let begin = Instant::now();
            let found =
                discrepancy::mmd2(kernel, weighted(reference), weighted(candidate), estimator, arguments.precision)
                    .map_err(|fault| small(fault, [(text(0), reference), (text(i), candidate)]))?;
            scores.push(Score {
                metric: *metric,
                candidate: i,
                value: found.value,
                standard_error: found.standard_error,
                estimator,
                kernel: found.kernel,
                n: found.n as u64,
                m: found.m as u64,
                protocol: json!({
                    "sample": "full",
                    "precision": found.precision,
                    "reference": reference.provenance(text(0)),
                    "candidate": candidate.provenance(text(i)),
                }),
                features: json!(reference.features),
                seconds: begin.elapsed().as_secs_f64(),
            });
        }
    }
    Ok(scores)
}

fn weighted(sample: &Sample) -> discrepancy::Sample<'_> {
    discrepancy::Sample { points: &sample.points, weights: sample.weights.as_deref() }
}

/// A difference in the pixels' shape has a remedy at hand.
fn sized(fault: Error) -> Error {
    match fault {
        Error::Mismatch { field, left, right, .. } if left.contains("range 0 to 1") && field.contains("preproc") => {
            let remedy = "--size HEIGHTxWIDTH and --channels 1 or 3 bring all pictures to one form";
            Error::mismatch(field, left, right, remedy)
        }
        other => other,
    }
}

/// Says which sample is too small.
fn small(fault: Error, samples: [(&String, &Sample); 2]) -> Error {
    match (fault, samples.iter().find(|(_, sample)| sample.points.len() < 2)) {
        (Error::Value { name, value, allowed }, Some((text, _))) if name == "number of points" => {
            Error::value(format!("number of points of {text}"), value, allowed)
        }
        (other, _) => other,
    }
}

/// The kernel that the embeddings among the sources have, when it is needed.
fn kernel_of_embeddings(sources: &Sources, samples: &[Sample], arguments: &Arguments) -> Result<Option<Kernel>> {
    if arguments.kernel.is_some() {
        return Ok(None);
    }
    let mut kernels =
        samples.iter().zip(&sources.all).filter_map(|(s, source)| Some((s.kernel.as_ref()?, &source.text)));
    let Some((first, text)) = kernels.next() else { return Ok(None) };
    match kernels.find(|(kernel, _)| *kernel != first) {
        Some((other, other_text)) if arguments.metrics.contains(&Metric::Mmd) => Err(Error::mismatch(
            "kernel",
            format!("{first} ({text})"),
            format!("{other} ({other_text})"),
            "name the one to use with --kernel",
        )),
        _ => Ok(Some(first.clone())),
    }
}

/// Scores when one of the sources is a mean of random features: all others go through the same features.
fn of_means(sources: &mut Sources, arguments: &Arguments, metrics: &[Metric]) -> Result<Vec<Score>> {
    let means = sources.all.iter().find_map(|source| Some((source.text.clone(), source.mean()?.clone())));
    let Some((text, first)) = &means else { return Ok(Vec::new()) };
    let holds = format!("{text} holds the mean of random features");
    if metrics != [Metric::Mmd] {
        return Err(Error::value("--metrics", "kid", format!("mmd only, since {holds}")));
    }
    if let Some(kernel) = &arguments.kernel {
        return Err(Error::value("--kernel", kernel, format!("none, since {holds} of kernel {}", first.kernel())));
    }
    if let Some(estimator) = arguments.estimator.filter(|e| *e != Estimator::Biased) {
        return Err(Error::value("--estimator", estimator, format!("biased, since {holds}")));
    }
    let random = first.random_features()?;
    let mut means = Vec::new();
    for i in 0..sources.all.len() {
        means.push(match sources.all[i].mean() {
            Some(mean) => mean.clone(),
            None => {
                let sample = sources.read(i, None)?;
                let own = &sources.all[i].text;
                first.features().check_same(&sample.features).map_err(|f| output::naming(f, text, own))?;
                if sample.weights.is_some() {
                    return Err(Error::value("weights", own, format!("points without weights, since {holds}")));
                }
                MeanEmbedding::of_sample(&sample.points, &random, sample.features, None)?
            }
        });
    }
    let mut scores = Vec::new();
    for (i, mean) in means.iter().enumerate().skip(1) {
        let begin = Instant::now();
        let reference = &means[0];
        let value =
            reference.mmd2(mean).map_err(|fault| output::naming(fault, &sources.all[0].text, &sources.all[i].text))?;
        scores.push(Score {
            metric: Metric::Mmd,
            candidate: i,
            value,
            standard_error: None,
            estimator: Estimator::Biased,
            kernel: first.kernel().clone(),
            n: reference.len(),
            m: mean.len(),
            protocol: json!({
                "sample": "full",
                "random_features": first.frequencies(),
                "reference": { "source": sources.all[0].text },
                "candidate": { "source": sources.all[i].text },
            }),
            features: json!(first.features()),
            seconds: begin.elapsed().as_secs_f64(),
        });
    }
    Ok(scores)
}

/// Prints the scores. False when a claim does not hold.
fn report(scores: &[Score], arguments: &Arguments, global: &Global, seconds: f64) -> Result<bool> {
    let mut all_hold = true;
    let mut results = Vec::new();
    for score in scores {
        let mut object = score.json(arguments);
        let mut verdicts = Vec::new();
        for claim in arguments.claims.iter().filter(|claim| claim.metric == score.metric) {
            let (holds, why) = claim.check(score.value, score.standard_error);
            all_hold &= holds;
            if !holds {
                let name = &arguments.candidates[score.candidate - 1];
                eprintln!("kme: {claim} does not hold at 95 % for {name}: {why}");
            }
            verdicts.push(json!({ "claim": claim.to_string(), "holds": holds }));
        }
        if !arguments.claims.is_empty() {
            object.insert("assertions".into(), verdicts.into());
        }
        results.push(object);
    }
    let json = match results.len() {
        1 => {
            let mut object = results.swap_remove(0);
            object.insert("seconds".into(), seconds.into());
            object
        }
        _ => fields(json!({ "reference": arguments.reference, "results": results, "seconds": seconds })),
    };
    output::print(global, &table(scores, arguments, global), json)?;
    if scores.iter().any(|score| score.value < 0.0 && score.estimator != Estimator::Biased) {
        output::remark(
            global,
            "A negative value is no fault: an unbiased estimate scatters around the true MMD^2, and so falls below 0 \
             about half of the time where that is 0.",
        );
    }
    Ok(all_hold)
}

impl Score {
    fn json(&self, arguments: &Arguments) -> Map<String, Value> {
        fields(json!({
            "metric": self.metric.quantity(),
            "candidate": arguments.candidates[self.candidate - 1],
            "value": self.value,
            "standard_error": self.standard_error,
            "estimator": self.estimator,
            "kernel": self.kernel.to_string(),
            "n": self.n,
            "m": self.m,
            "features": self.features,
            "protocol": self.protocol,
            "seconds": self.seconds,
        }))
    }
}

fn table(scores: &[Score], arguments: &Arguments, global: &Global) -> String {
    let mut rows = vec![["metric", "candidate", "value ± standard error", "n", "m"].map(String::from).to_vec()];
    for score in scores {
        rows.push(vec![
            score.metric.quantity().into(),
            arguments.candidates[score.candidate - 1].clone(),
            output::with_error(score.value, score.standard_error),
            score.n.to_string(),
            score.m.to_string(),
        ]);
    }
    let mut text = output::aligned(&rows);
    let mut told = Vec::new();
    for score in scores.iter().filter(|score| score.candidate == 1) {
        told.push(format!("{}: {} estimator, kernel {}", score.metric.quantity(), score.estimator, score.kernel));
    }
    let features = scores.first().and_then(|s| s.features["name"].as_str()).unwrap_or_default();
    told.push(format!("reference {}, features {features}, seed {}", arguments.reference, global.seed()));
    text.push_str(&told.join("\n"));
    text
}
