//! How far samples are from a reference: from names to scores, claims and comparisons.
//!
//! An [`EvalRequest`] says what is computed, and [`EvalRequest::run`] gives an [`EvalReport`]: a [`Score`] for each candidate and
//! metric, with all that it depends on.

mod claim;
mod compare;
mod means;
mod metric;
mod rank;
mod samples;

pub use claim::{Claim, Verdict};
pub use compare::{Comparison, Side, compare};
pub use metric::{Metric, Score};
pub use rank::{Order, Ranked, RankedSample, Ranking};

use crate::sample::{Reader, Sources, groups_of};
use kme::{Error, Estimator, KernelSpec, Precision, Protocol, Result};
use kme_image::Tool;

/// What is computed. The default is the kernel inception distance of all points.
#[derive(Clone, Debug)]
pub struct EvalRequest {
    /// What is computed, in this order. None: mmd where there is a kernel or a mean of random features, fid where there is a mean
    /// and covariance or the protocol has nothing else, otherwise kid; and whatever a claim is about.
    pub metrics: Vec<Metric>,
    /// Whose way of computing is followed.
    pub protocol: Protocol,
    /// Subsets of kid in the protocols that have them; 100 without it.
    pub subsets: Option<usize>,
    /// Points of a subset; 1000 without it.
    pub subset_size: Option<usize>,
    /// Splits of the inception score.
    pub splits: usize,
    /// Neighbours that make a radius of precision, recall, density and coverage.
    pub neighbours: usize,
    /// Kernel of mmd. Without it that of an embedding among the sources, else `gaussian:sigma=median`.
    pub kernel: Option<KernelSpec>,
    /// Estimator of mmd and of kid; unbiased without it.
    pub estimator: Option<Estimator>,
    /// Arithmetic of the kernels.
    pub precision: Precision,
    /// The seed of subsets, when one is asked for: tools have seeds of their own.
    pub seed: Option<u64>,
    /// What should hold.
    pub claims: Vec<Claim>,
    /// The metric by which candidates are ordered, the best first.
    pub sort: Option<Metric>,
}

impl Default for EvalRequest {
    fn default() -> Self {
        Self {
            metrics: Vec::new(),
            protocol: Protocol::default(),
            subsets: None,
            subset_size: None,
            splits: 10,
            neighbours: kme::Prdc::NEIGHBOURS,
            kernel: None,
            estimator: None,
            precision: Precision::F64,
            seed: None,
            claims: Vec::new(),
            sort: None,
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct EvalReport {
    /// None for the inception score alone.
    pub reference: Option<String>,
    /// What was judged, by name.
    pub candidates: Vec<String>,
    /// What was computed, in this order.
    pub metrics: Vec<Metric>,
    /// Candidate by candidate, each in the order of the metrics.
    pub scores: Vec<Score>,
}

impl EvalRequest {
    /// The scores of all sources but the first against the first; the inception score takes a source alone.
    ///
    /// # Errors
    /// When a source cannot be read, they are not of one space, or a setting does not go with what is computed.
    pub fn run(&self, texts: &[String], mut reader: Reader) -> Result<EvalReport> {
        if let Some(claim) =
            self.claims.iter().find(|claim| !self.metrics.is_empty() && !self.metrics.contains(&claim.metric))
        {
            let allowed = format!("about one of the `metrics`; add {} to them", claim.metric);
            return Err(Error::parameter("assert", format!("'{claim}'"), allowed));
        }
        let mut candidates = groups_of(texts.to_vec(), reader.settings)?;
        let reference = match (candidates.len(), &self.metrics[..]) {
            (2.., _) => Some(candidates.remove(0)),
            (1, [Metric::InceptionScore]) => None,
            (n, _) => return Err(Error::too_few("sources", n, 2, "a comparison of a reference with candidates")),
        };
        let tool = self.tool();
        if let (Some(tool), Some(asked)) = (tool, reader.settings.resize)
            && asked != tool
        {
            let protocol = self.protocol;
            let text = format!("`resize` {asked} is not what {protocol} does: the numbers are not that tool's");
            reader.observer.remark(&text);
        }
        reader.resize = tool;
        let all: Vec<&String> = reference.iter().chain(&candidates).collect();
        let mut sources = Sources::open(&all, reader)?;
        let has_means = sources.all().iter().any(|source| source.mean().is_some());
        let metrics = self.metrics_of(&sources);
        self.check(&metrics)?;
        let mut scores = match has_means {
            true => means::scores(&mut sources, self, &metrics)?,
            false => samples::scores(&mut sources, reference.is_some(), self, &metrics, reader.observer)?,
        };
        if let Some(by) = self.sort {
            sort(&mut scores, by);
        }
        Ok(EvalReport { reference, candidates, metrics, scores })
    }

    /// What is computed of these sources.
    fn metrics_of(&self, sources: &Sources) -> Vec<Metric> {
        let has_means = sources.all().iter().any(|source| source.mean().is_some());
        let has_statistics = sources.all().iter().any(|source| source.statistics().is_some());
        let default = match (self.kernel.is_some() || has_means, has_statistics) {
            (true, _) => Metric::Mmd,
            (_, true) => Metric::Fid,
            _ if self.protocol == Protocol::PytorchFid => Metric::Fid,
            _ => Metric::Kid,
        };
        let claimed = self.claims.iter().map(|claim| claim.metric);
        let asked: Vec<Metric> = match self.metrics.is_empty() {
            true => std::iter::once(default).chain(claimed).collect(),
            false => self.metrics.clone(),
        };
        let mut metrics = Vec::new();
        for metric in asked {
            if !metrics.contains(&metric) {
                metrics.push(metric);
            }
        }
        metrics
    }

    /// How the tool whose protocol is asked for treats pictures.
    fn tool(&self) -> Option<kme_image::Protocol> {
        Some(match self.protocol {
            Protocol::TorchFidelity => Tool::TorchFidelity.into(),
            Protocol::CleanFid => Tool::CleanFid.into(),
            Protocol::PytorchFid => Tool::PytorchFid.into(),
            Protocol::Full | Protocol::Paper => return None,
        })
    }

    /// Whether every setting has an effect.
    fn check(&self, metrics: &[Metric]) -> Result<()> {
        if let Some(metric) = self.sort.filter(|metric| !metrics.contains(metric)) {
            return Err(Error::parameter("sort", metric, format!("one of the `metrics`; add {metric} to them")));
        }
        if self.kernel.is_some() && !metrics.contains(&Metric::Mmd) {
            let reason = "only mmd has a kernel of your choice; kid has its own. Add mmd to the `metrics`";
            return Err(Error::not_applicable("kernel", reason));
        }
        let by_subsets = self.protocol != Protocol::Full && metrics.contains(&Metric::Kid);
        for (name, value) in [("subsets", self.subsets), ("subset_size", self.subset_size)] {
            if value.is_some() && !by_subsets {
                let reason = "only kid in the protocols torch-fidelity, clean-fid and paper has subsets";
                return Err(Error::not_applicable(name, reason));
            }
        }
        match self.estimator {
            Some(estimator) if by_subsets && estimator != Estimator::Unbiased => {
                let allowed = format!("unbiased, as in the protocol {}", self.protocol);
                Err(Error::parameter("estimator", estimator, allowed))
            }
            Some(_) if !metrics.iter().any(|m| matches!(m, Metric::Kid | Metric::Mmd)) => {
                Err(Error::not_applicable("estimator", "only kid and mmd have estimators to choose from"))
            }
            _ => Ok(()),
        }
    }
}

/// Brings the scores of the best candidate by `metric` to the front.
fn sort(scores: &mut [Score], metric: Metric) {
    let sign = if metric.is_better_large() { -1.0 } else { 1.0 };
    let own: Vec<(usize, f64)> =
        scores.iter().filter(|s| s.metric == metric).map(|s| (s.candidate, sign * s.value)).collect();
    let value =
        |score: &Score| own.iter().find(|(candidate, _)| *candidate == score.candidate).map_or(0.0, |(_, v)| *v);
    scores.sort_by(|a, b| value(a).total_cmp(&value(b)));
}
