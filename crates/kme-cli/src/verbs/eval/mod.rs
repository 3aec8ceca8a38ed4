//! `kme eval`

mod compare;
mod notes;
mod report;

use crate::arguments::{self, Global};
use crate::output::{self, Format};
use crate::progress::Watcher;
use crate::sources::{self, SourceFlags};
use clap::Args;
use kme::discrepancy::Estimator;
use kme::evaluate::{Protocol, prdc};
use kme::sums::Precision;
use kme::{Error, KernelSpec, Result};
use kme_deep::judge::{Claim, Metric, Request};
use kme_deep::sample::Reader;
use std::path::PathBuf;
use std::str::FromStr;
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
    let texts: Vec<String> = std::iter::once(reference).chain(&arguments.candidates).cloned().collect();
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let report = arguments.request(global).run(&texts, Reader::new(&settings, &context, &watcher))?;
    report::print(&report, arguments, global, begin.elapsed().as_secs_f64())
}

impl Arguments {
    fn request(&self, global: &Global) -> Request {
        Request {
            metrics: self.metrics.iter().flat_map(|asked| asked.0.clone()).collect(),
            protocol: self.protocol,
            subsets: self.subsets,
            subset_size: self.subset_size,
            splits: self.splits,
            neighbours: self.neighbours,
            kernel: self.kernel.clone(),
            estimator: self.estimator,
            precision: self.precision,
            seed: global.asked_seed(),
            claims: self.claims.clone(),
            sort: self.sort,
        }
    }
}

/// An item of `--metrics`: a metric, or `prdc` for four.
#[derive(Clone, Debug)]
struct Asked(Vec<Metric>);

impl FromStr for Asked {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_ascii_lowercase().as_str() {
            "prdc" => Ok(Self(Metric::PRDC.to_vec())),
            _ => Ok(Self(vec![text.parse()?])),
        }
    }
}
