//! Scores when one of the sources is a mean of random features.

use super::EvalRequest;
use super::metric::{Metric, Score, fields};
use crate::sample::{Sources, naming};
use kme::{Error, Estimator, MeanEmbedding, NoStandardError, Protocol, Result};
use serde_json::json;
use std::time::Instant;

/// Scores when one of the sources is a mean of random features: all others go through the same features.
pub(super) fn scores(sources: &mut Sources, request: &EvalRequest, metrics: &[Metric]) -> Result<Vec<Score>> {
    let means = sources.all().iter().find_map(|source| Some((source.text().to_string(), source.mean()?.clone())));
    let Some((text, first)) = &means else { return Ok(Vec::new()) };
    let holds = format!("{text} holds the mean of random features");
    if metrics != [Metric::Mmd] {
        let other = metrics.iter().find(|m| **m != Metric::Mmd).map_or_else(String::new, Metric::to_string);
        return Err(Error::parameter("metrics", other, format!("mmd alone, since {holds}")));
    }
    if request.kernel.is_some() {
        return Err(Error::not_applicable("kernel", format!("{holds} of kernel {}", first.kernel())));
    }
    let estimator = request.estimator.unwrap_or(Estimator::Biased);
    if !matches!(estimator, Estimator::Biased | Estimator::Unbiased) {
        return Err(Error::parameter("estimator", estimator, format!("biased or unbiased, since {holds}")));
    }
    if request.protocol != Protocol::Full {
        return Err(Error::parameter("protocol", request.protocol, format!("full, since {holds}")));
    }
    let random = first.random_features()?;
    let mut means = Vec::new();
    for i in 0..sources.all().len() {
        means.push(match sources.all()[i].mean() {
            Some(mean) => mean.clone(),
            None => {
                let sample = sources.read(i, None)?;
                let own = sources.all()[i].text();
                first.features().check_same(&sample.features).map_err(|f| naming(f, text, own))?;
                if sample.weights.is_some() {
                    let reason = format!("{own} has weights, and {holds}");
                    return Err(Error::unsupported("compare them", reason));
                }
                MeanEmbedding::of(&sample.points, &random)?.with_features(sample.features)
            }
        });
    }
    let mut scores = Vec::new();
    for (i, mean) in means.iter().enumerate().skip(1) {
        let begin = Instant::now();
        let reference = &means[0];
        let value = match estimator {
            Estimator::Unbiased => reference.mmd2_unbiased(mean),
            _ => reference.mmd2(mean),
        }
        .map_err(|fault| naming(fault, sources.all()[0].text(), sources.all()[i].text()))?;
        scores.push(Score {
            metric: Metric::Mmd,
            candidate: i,
            value,
            bounds: None,
            error: Err(NoStandardError::RandomFeatures),
            spread: None,
            bias: None,
            estimator: estimator.to_string(),
            kernel: Some(first.kernel().to_string()),
            n: Some(reference.len()),
            m: Some(mean.len()),
            protocol: fields(json!({
                "name": Protocol::Full,
                "sample": "full",
                "random_features": first.frequencies(),
                "reference": { "source": sources.all()[0].text() },
                "candidate": { "source": sources.all()[i].text() },
            })),
            features: json!(first.features()),
            seconds: begin.elapsed().as_secs_f64(),
        });
    }
    Ok(scores)
}
