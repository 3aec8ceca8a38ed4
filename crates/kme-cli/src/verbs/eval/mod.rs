//! `kme eval`

mod compare;
mod notes;
mod report;

use crate::arguments::{self, Global};
use crate::output::{self, Format};
use crate::progress::Watcher;
use crate::sources::{self, SourceFlags};
use clap::Args;
use kme::{Error, Estimator, KernelSpec, Precision, Protocol, Result};
use kme_deep::{Claim, EvalRequest, Metric, Reader};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Instant;

/// Measure how far each CANDIDATE is from the REFERENCE: KID, FID, IS, MMD and more
///
/// Prints a line for each candidate, with the standard error of every value. Negative values are expected: the default
/// estimator is unbiased, so when two distributions are equal, about half of all estimates fall below 0.
#[derive(Args)]
#[command(before_help = EXAMPLES, after_long_help = format!("{NOTES}\n\n{}", sources::notes()))]
pub(crate) struct Arguments {
    /// The reference sample
    #[arg(value_name = "REFERENCE", required_unless_present = "compare")]
    reference: Option<String>,
    /// The samples to judge; with --metrics is, no reference is needed
    #[arg(value_name = "CANDIDATE")]
    candidates: Vec<String>,
    /// Compute these, separated by commas: kid, fid, is, mmd, cmmd, prdc, precision, recall, density, coverage [default: kid;
    /// mmd with --kernel; fid for statistics]
    #[arg(long, value_name = "METRICS", value_delimiter = ',')]
    metrics: Vec<Asked>,
    /// Compute metrics as this tool does: full, torch-fidelity, clean-fid, pytorch-fid, or paper
    #[arg(long, value_name = "PROTOCOL", default_value_t)]
    protocol: Protocol,
    /// Compute kid on N subsets; not with --protocol full [default: 100]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    subsets: Option<usize>,
    /// Put N points into each subset [default: 1000]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    subset_size: Option<usize>,
    /// Split the candidate into N parts for is
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = arguments::count::<usize>)]
    splits: usize,
    /// Use the K-th nearest neighbour as radius for prdc; the paper on density and coverage takes 5
    #[arg(long, value_name = "K", default_value_t = kme::Prdc::NEIGHBOURS, value_parser = arguments::count::<usize>)]
    neighbours: usize,
    /// Use this kernel for mmd [default: the one of an embedding among the sources, else gaussian:sigma=median]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    /// Estimate MMD^2 this way: unbiased, biased, u-statistic (equal sizes), or linear (disjoint pairs) [default: unbiased]
    #[arg(long, value_name = "ESTIMATOR")]
    estimator: Option<Estimator>,
    /// Evaluate kernels in f64, or in f32 for speed; sums are always in f64
    #[arg(long, value_name = "PRECISION", value_parser = sources::precision, default_value = "f64")]
    precision: Precision,
    /// Exit with code 1 unless this holds at 95 %, such as 'kid<0.01' or 'mmd>0'; repeatable
    #[arg(long = "assert", value_name = "CLAIM")]
    claims: Vec<Claim>,
    /// Compare results that you saved with --json; computes nothing
    #[arg(long, value_name = "RESULT.json", num_args = 1.., conflicts_with_all = ["reference", "metrics", "claims", "sort"])]
    compare: Vec<PathBuf>,
    /// Sort candidates by this metric, best first
    #[arg(long, value_name = "METRIC")]
    sort: Option<Metric>,
    /// Print in this format: text, csv (one number per row, with all digits), markdown, or json [default: text]
    #[arg(long, value_name = "FORMAT", value_enum, ignore_case = true)]
    format: Option<Format>,
    /// Also write the results to this file (.csv, .md, .json or .txt)
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const EXAMPLES: &str = "\
Examples:
  kme eval real/ fake/ --features inception --metrics kid,fid,prdc
  kme eval fashion-mnist:test samples/ --features fashion-classifier
  kme eval x.npy y.npy --kernel gaussian:sigma=2,5,10 --estimator biased
  kme eval real/ runs/*/samples --features inception --sort fid -o table.csv
  kme eval x.npy y.npy --metrics kid,fid --protocol torch-fidelity
  kme eval fid-statistics.npz features.npy --metrics fid
  kme eval fake/ --metrics is --features inception
  kme eval measurements.csv --group treatment --metrics mmd --kernel energy
  kme eval test.kme samples/ --assert 'kid<0.05' --json > monday.json
  kme eval --compare monday.json tuesday.json";

const NOTES: &str = "\
Metrics:
  kid   kernel inception distance: MMD^2 with the kernel (<x,y>/d + 1)^3, on all
        points, not multiplied by 100
  fid   Frechet inception distance; it is biased, and the bias is printed
  is    inception score, from the class logits of a network or of a file
  mmd   squared maximum mean discrepancy (not its root or half) with --kernel
  cmmd  1000 times the biased MMD^2 with gaussian:sigma=10, for CLIP embeddings that
        you give as points
  prdc  precision, recall, density and coverage; you can also name single ones

Protocols:
  full            all points of both samples: no subsets, least scatter
  torch-fidelity  the numbers of torch-fidelity 0.4; seed 2020 unless you give --seed
  clean-fid       the numbers of clean-fid 0.1.35 after numpy.random.seed(SEED)
  pytorch-fid     the numbers of pytorch-fid: fid alone
  paper           kid on 100 subsets of 1000 points (Binkowski et al.)
The three tools also fix how pictures are read and resized; --resize overrides that. They print the standard deviation over
subsets or splits after +-; kme prints it too, but its +- is a standard error.

Claims:
'kid<0.01' holds at 95 % when the upper bound of every candidate is below 0.01, and 'kid>0.01' when every lower bound is above.
Bounds of kid, mmd and cmmd are wider than 1.645 standard errors, because a value that is small by chance also has a small
standard error; the bounds are in the JSON. All other metrics use 1.645 standard errors. Where there is no standard error, the
value alone decides. The bias of fid is not subtracted, so 'fid<10' errs on the safe side.

JSON:
One object with metric, value, standard_error, estimator, kernel, n, m, features, protocol, seed, version and seconds; for
several candidates or metrics, an object with results. When standard_error is null, standard_error_missing names the reason.
kid, mmd and cmmd have bounds; fid, cmmd and a biased mmd have a bias; kid on subsets and is have a spread. --compare
refuses results whose features, preprocessing, reference or protocol differ.";

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
    fn request(&self, global: &Global) -> EvalRequest {
        EvalRequest {
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
