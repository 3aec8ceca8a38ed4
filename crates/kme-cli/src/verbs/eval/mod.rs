//! `kme eval`

mod compare;
mod means;
mod metrics;
mod notes;
mod report;
mod samples;

use metrics::Score;

pub(crate) use metrics::Metric;

use crate::arguments::{self, Global};
use crate::claim::Claim;
use crate::output::{self, Format};
use crate::points;
use crate::sources::{self, SourceFlags, Sources};
use clap::Args;
use kme::discrepancy::Estimator;
use kme::evaluate::{Protocol, prdc};
use kme::sums::Precision;
use kme::{Error, KernelSpec, Result};
use kme_image::Tool;
use metrics::Asked;
use std::path::PathBuf;
use std::time::Instant;

/// Judge samples: how far is each CANDIDATE from the REFERENCE?
///
/// kid is the kernel inception distance: the squared maximum mean discrepancy (MMD^2) with the kernel (<x,y>/d + 1)^3 on all
/// points of both samples, not on subsets of them, and not multiplied by 100. fid is the Frechet inception distance of the
/// normal laws fitted to the points. is is the inception score, from the class logits of the network that --features names,
/// or of candidates that are files of logits. prdc is precision, recall, density and coverage, which can also be named one
/// by one. mmd is MMD^2 with the kernel of your choice: the square itself, neither its root nor its half. cmmd is 1000 times the
/// biased MMD^2 of CLIP embeddings, which you give as points, under gaussian:sigma=10. Every value comes with its standard
/// error.
///
/// The default estimator is unbiased: it is right on average, hence negative about half of the time when the two
/// distributions are the same. Nothing is clipped. FID has a bias that no estimator avoids; its size is told.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}\n\n{}", crate::sources::KERNELS, crate::sources::HELP))]
pub(crate) struct Arguments {
    /// What to compare with
    #[arg(value_name = "REFERENCE", required_unless_present = "compare")]
    reference: Option<String>,
    /// What to judge; for --metrics is, what stands alone
    #[arg(value_name = "CANDIDATE")]
    candidates: Vec<String>,
    /// What to compute, with commas: kid, fid, is, mmd, cmmd, prdc, precision, recall, density, coverage [default: kid; mmd when
    /// --kernel is given; fid with statistics]
    #[arg(long, value_name = "METRICS", value_delimiter = ',')]
    metrics: Vec<Asked>,
    /// full (all points), or a tool's way, which decides about --resize too: torch-fidelity, clean-fid, pytorch-fid; or paper
    /// (Binkowski et al.)
    #[arg(long, value_name = "PROTOCOL", default_value_t)]
    protocol: Protocol,
    /// Subsets of kid in the other protocols than full [default: 100]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    subsets: Option<usize>,
    /// Points of a subset [default: 1000]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    subset_size: Option<usize>,
    /// Splits of is
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = arguments::count::<usize>)]
    splits: usize,
    /// Neighbours that make a radius of precision, recall, density and coverage: 3 as in the paper of precision and recall;
    /// that of density and coverage takes 5
    #[arg(long, value_name = "K", default_value_t = prdc::NEIGHBOURS, value_parser = arguments::count::<usize>)]
    neighbours: usize,
    /// Kernel of mmd [default: that of an embedding among the sources, else gaussian:sigma=median]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    /// biased, unbiased, u-statistic (equal numbers of points), or linear (disjoint pairs) [default: unbiased]
    #[arg(long, value_name = "ESTIMATOR")]
    estimator: Option<Estimator>,
    /// Arithmetic of the kernels: f64, or f32 for speed; sums are f64 in both
    #[arg(long, value_name = "PRECISION", value_parser = sources::precision, default_value = "f64")]
    precision: Precision,
    /// Fail with exit code 1 unless this holds at 95 %, such as 'kid<0.01' or 'mmd>0'; may be repeated
    #[arg(long = "assert", value_name = "CLAIM")]
    claims: Vec<Claim>,
    /// Compare results that were printed with --json instead of computing any
    #[arg(long, value_name = "RESULT.json", num_args = 1.., conflicts_with_all = ["reference", "metrics", "claims", "sort"])]
    compare: Vec<PathBuf>,
    /// Order the candidates by this metric, the best first
    #[arg(long, value_name = "METRIC")]
    sort: Option<Metric>,
    /// How to print: text, csv (a row for each number, all digits), markdown, or json
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true)]
    format: Option<Format>,
    /// Also write the results to a file: .csv, .md, .json or .txt
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const EXAMPLES: &str = "\
Examples:
  kme eval real/ fake/ other.zip --features inception --metrics kid,fid,is,prdc
  kme eval fashion-mnist:test samples/ --features fashion-classifier
  kme eval test.kme runs/a runs/b runs/c --metrics kid,fid,prdc
  kme eval x.npy y.npy --metrics kid,fid --protocol torch-fidelity
  kme eval fid-statistics.npz features.npy --metrics fid
  kme eval x.npy y.npy --kernel gaussian:sigma=2,5,10 --estimator biased --json
  kme eval x.npy y.npy --metrics mmd --kernel energy
  kme eval test.kme samples/ --assert 'kid<0.05' --json > monday.json
  kme eval --compare monday.json tuesday.json
  kme eval real/ runs/*/samples --metrics kid,fid --features inception --sort fid -o table.csv
  kme eval fake/ --metrics is --features inception
  kme eval measurements.csv --group treatment --metrics mmd --kernel energy

Protocols:
  full            all points of both samples; needs no subsets and scatters least
  torch-fidelity  kid: 100 subsets of 1000 points drawn as torch-fidelity 0.4 draws them, seed 2020
                  unless --seed is given; is: the images in its order. With equal features the
                  numbers are its numbers.
  clean-fid       kid: as clean-fid 0.1.35 after numpy.random.seed(SEED); small samples shrink the
                  subsets
  pytorch-fid     fid alone
  paper           kid: 100 subsets of 1000 points; is: the images in the order given
  The three tools also read pictures and bring them to the network's size in ways of their own, which
  their protocols follow: see --resize, which wins when it is given. From the same features fid,
  precision and recall are the same in all. What tools print as +- is the standard deviation over
  subsets or splits, which is told as well; the +- here is a standard error.

Claims:
  'kid<0.01' holds at 95 % when the upper bound of the value is below 0.01, 'kid>0.01' when its
  lower bound is above, for every candidate. The bounds of kid, mmd and cmmd stand in the JSON; they
  are wider than 1.645 standard errors, since a value that is too small by chance has an error that
  is too small. A biased value (cmmd, --estimator biased) has the bounds of the unbiased one, and may
  lie above both. The bounds of the other metrics are 1.645 standard errors away from the value, and
  so are those of kid by subsets. Where there is no standard error (weights, fewer than 4 points,
  random features, statistics on both sides) the value alone decides. The bias of fid is not taken
  off: 'fid<10' is the safe way to ask.

JSON:
  One object with metric, value, standard_error, estimator, kernel, n, m, features, protocol, seed,
  version and seconds; for several candidates or metrics, an object whose results are such objects.
  Where standard_error is null, standard_error_missing says why: weights, few-points, coincide (all
  points of a sample are one), alike, rounding, chance, overflow, statistics, random-features, ...
  kid, mmd and cmmd have bounds (lower and upper, each at 95 %), fid, cmmd and a biased mmd have a
  bias, kid by subsets and is have a spread. --compare refuses results whose features,
  preprocessing, reference or protocol differ.";

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    if let Some(path) = &arguments.output {
        Format::of_file(path)?;
        output::check_place(path)?;
    }
    output::printed(arguments.format, global)?;
    let Some(reference) = &arguments.reference else {
        return compare::run(arguments, global).map(|()| true);
    };
    let mut metrics: Vec<Metric> = Vec::new();
    let mut add = |asked: &[Metric]| {
        for metric in asked {
            if !metrics.contains(metric) {
                metrics.push(*metric);
            }
        }
    };
    arguments.metrics.iter().for_each(|asked| add(&asked.0));
    let is_named = |metric: &Metric| arguments.metrics.iter().any(|asked| asked.0.contains(metric));
    if let Some(claim) = arguments.claims.iter().find(|c| !arguments.metrics.is_empty() && !is_named(&c.metric)) {
        return Err(Error::value("--assert", claim, format!("a claim on a metric of --metrics: add {}", claim.metric)));
    }
    let texts = points::expanded(std::iter::once(reference).chain(&arguments.candidates), &arguments.flags)?;
    let asked: Vec<Metric> = arguments.metrics.iter().flat_map(|asked| asked.0.clone()).collect();
    let subjects = Subjects::of(texts, &asked)?;
    let tool = arguments.tool();
    if let (Some(tool), Some(asked)) = (tool, arguments.flags.resize)
        && asked != tool
    {
        let protocol = arguments.protocol;
        output::remark(
            global,
            format!("--resize {asked} is not what {protocol} does: the numbers are not that tool's"),
        );
    }
    let mut sources = Sources::open_with(subjects.all(), &arguments.flags, tool, global)?;
    let has_means = sources.all.iter().any(|source| source.mean().is_some());
    let has_statistics = sources.all.iter().any(|source| source.statistics().is_some());
    if arguments.metrics.is_empty() {
        add(&[match (arguments.kernel.is_some() || has_means, has_statistics) {
            (true, _) => Metric::Mmd,
            (_, true) => Metric::Fid,
            _ if arguments.protocol == Protocol::PytorchFid => Metric::Fid,
            _ => Metric::Kid,
        }]);
        arguments.claims.iter().for_each(|claim| add(&[claim.metric]));
    }
    arguments.check(&metrics)?;
    let mut scores = match has_means {
        true => means::scores(&mut sources, arguments, &metrics)?,
        false => samples::scores(&mut sources, &subjects, arguments, &metrics, global)?,
    };
    if let Some(by) = arguments.sort {
        sort(&mut scores, by);
    }
    report::print(&scores, &subjects, &metrics, arguments, global, begin.elapsed().as_secs_f64())
}

/// What is compared with what.
struct Subjects {
    /// None for the inception score alone.
    reference: Option<String>,
    candidates: Vec<String>,
}

impl Subjects {
    fn of(mut texts: Vec<String>, metrics: &[Metric]) -> Result<Self> {
        if texts.len() > 1 {
            let reference = texts.remove(0);
            return Ok(Self { reference: Some(reference), candidates: texts });
        }
        match metrics {
            [Metric::InceptionScore] => Ok(Self { reference: None, candidates: texts }),
            _ => {
                let allowed = "a REFERENCE and at least one CANDIDATE: name what it is to be compared with first; only \
                               --metrics is takes a candidate alone";
                Err(Error::value("sources", texts.join(" "), allowed))
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.reference.iter().chain(&self.candidates)
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

impl Arguments {
    /// How the tool whose protocol is asked for treats pictures.
    fn tool(&self) -> Option<kme_image::Protocol> {
        Some(match self.protocol {
            Protocol::TorchFidelity => Tool::TorchFidelity.into(),
            Protocol::CleanFid => Tool::CleanFid.into(),
            Protocol::PytorchFid => Tool::PytorchFid.into(),
            Protocol::Full | Protocol::Paper => return None,
        })
    }

    /// Whether every flag is used.
    fn check(&self, metrics: &[Metric]) -> Result<()> {
        if let Some(metric) = self.sort.filter(|metric| !metrics.contains(metric)) {
            return Err(Error::value("--sort", metric, format!("a metric that is computed: add --metrics {metric}")));
        }
        if self.kernel.is_some() && !metrics.contains(&Metric::Mmd) {
            let allowed = "used by mmd only; kid has a kernel of its own: add --metrics kid,mmd";
            return Err(Error::value("--kernel", "given", allowed));
        }
        let by_subsets = self.protocol != Protocol::Full && metrics.contains(&Metric::Kid);
        for (name, value) in [("--subsets", self.subsets), ("--subset-size", self.subset_size)] {
            if let (Some(value), false) = (value, by_subsets) {
                let allowed = "used by kid in the protocols torch-fidelity, clean-fid and paper only";
                return Err(Error::value(name, value, allowed));
            }
        }
        match self.estimator {
            Some(estimator) if by_subsets && estimator != Estimator::Unbiased => {
                let allowed = format!("unbiased, since --protocol {} takes it", self.protocol);
                Err(Error::value("--estimator", estimator, allowed))
            }
            Some(estimator) if !metrics.iter().any(|m| matches!(m, Metric::Kid | Metric::Mmd)) => {
                Err(Error::value("--estimator", estimator, "used by kid and mmd only"))
            }
            _ => Ok(()),
        }
    }
}
