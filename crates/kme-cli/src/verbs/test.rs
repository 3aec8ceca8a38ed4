//! `kme test`

mod manual;
mod report;

use crate::arguments::{self, Global};
use crate::output::{self, fields, with_error};
use crate::points;
use crate::sources::{self, Sample, SourceFlags, Sources};
use clap::{Args, ValueEnum};
use kme::discrepancy::{Estimator, median_distance};
use kme::inference::{self, Blocks, Null, Outcome, Permutations};
use kme::sums::Precision;
use kme::{Error, Kernel, KernelSpec, Points, Result};
use manual::MANUAL;
use report::{report, short};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Test hypotheses: are two samples from one distribution, which of two is nearer, are samples copies?
///
/// With A and B the hypothesis is that both come from one distribution. A small p-value speaks against it; a large one
/// does not show that they are the same.
///
/// With a third sample C the hypothesis is that B is not nearer to A than C is (in the maximum mean discrepancy of
/// --kernel). A small p-value means that B is nearer.
///
/// With --memorisation, A are samples of a generator, B the points that it was trained on, and C held-out points of
/// the same distribution. The hypothesis is that the samples do not depend on which points were trained on. A small
/// p-value means that the samples are copies of training points, or nearer to them than new samples would be.
///
/// The exit code is 0 whatever the test finds, unless --assert says what it should find.
#[derive(Args)]
#[command(after_help = format!("{MANUAL}\n\n{}\n\n{}", crate::sources::KERNELS, crate::sources::HELP))]
pub struct Arguments {
    /// First sample; with C the reference; with --memorisation the generator's samples
    #[arg(value_name = "A")]
    a: String,
    /// Second sample; with C the first candidate; with --memorisation the training points
    #[arg(value_name = "B", required_unless_present = "group")]
    b: Option<String>,
    /// Second candidate; with --memorisation the held-out points
    #[arg(value_name = "C")]
    c: Option<String>,
    /// Test whether A are copies of B, with the help of held-out points C
    #[arg(long)]
    memorisation: bool,
    /// How A and B are compared [default: by number of points, see Methods]
    #[arg(long, value_name = "METHOD", value_enum)]
    method: Option<Method>,
    /// Kernel; may be repeated for --method aggregated [default: see Methods]
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<KernelSpec>,
    /// Level: a true hypothesis is rejected with this probability
    #[arg(long, value_name = "ALPHA", default_value_t = 0.05, value_parser = arguments::number)]
    alpha: f64,
    /// Random permutations; the smallest p-value is 1/(N + 1), for three samples if N is below 100
    #[arg(long, value_name = "N", default_value_t = 999, value_parser = arguments::count::<usize>)]
    permutations: usize,
    /// biased or unbiased, for --method permutation
    #[arg(long, value_name = "ESTIMATOR")]
    estimator: Option<Estimator>,
    /// Points of the smaller sample in a block, for --method block [default: the root of their number]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    block_size: Option<usize>,
    /// Arithmetic of kernels and distances: f64, or f32 for speed; sums are f64 in both
    #[arg(long, value_name = "PRECISION", value_parser = sources::precision, default_value = "f64")]
    precision: Precision,
    /// Fail with exit code 1 unless the test finds this
    #[arg(long = "assert", value_name = "FINDING", value_enum)]
    claim: Option<Claim>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

/// How two samples are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    Aggregated,
    Permutation,
    Block,
    Linear,
}

/// Most points of both samples for the aggregated test, unless it is asked for.
const AGGREGATED: usize = 8_000;

/// Most points of both samples for a test of all pairs, unless it is asked for.
const PERMUTATION: usize = 80_000;

/// What `--assert` wants to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Claim {
    Differ,
    Same,
    Nearer,
    NotNearer,
    Copied,
    NotCopied,
}

/// What is tested.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Question {
    TwoSamples,
    ThreeSamples,
    Memorisation,
}

impl Question {
    /// The claim that holds when the hypothesis is rejected, and its opposite.
    fn claims(self) -> (Claim, Claim) {
        match self {
            Self::TwoSamples => (Claim::Differ, Claim::Same),
            Self::ThreeSamples => (Claim::Nearer, Claim::NotNearer),
            Self::Memorisation => (Claim::Copied, Claim::NotCopied),
        }
    }
}

/// What a test has found, ready for printing.
struct Finding {
    outcome: Outcome,
    /// When rejected, and when not.
    verdicts: [String; 2],
    method: &'static str,
    /// Lines of name and value.
    lines: Vec<[String; 2]>,
    /// Lines below them.
    table: String,
    json: Map<String, Value>,
}

pub fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    let named = std::iter::once(&arguments.a).chain(&arguments.b).chain(&arguments.c);
    let texts = points::expanded(named, &arguments.flags)?;
    let question = match (texts.len(), arguments.memorisation) {
        (2, false) => Question::TwoSamples,
        (3, false) => Question::ThreeSamples,
        (3, true) => Question::Memorisation,
        (2, true) => {
            let allowed = "three sources: SAMPLES TRAINING HELD_OUT; without held-out points nearness has no yardstick";
            return Err(Error::value("--memorisation", "two sources", allowed));
        }
        (found, _) => {
            let allowed = format!("two or three samples, not {found}: name them, as in FILE.csv:COLUMN=VALUE");
            return Err(Error::value("--group", arguments.flags.group.as_deref().unwrap_or_default(), allowed));
        }
    };
    check_flags(arguments, question)?;
    let texts: Vec<&String> = texts.iter().collect();
    let mut sources = Sources::open(texts.iter().copied(), &arguments.flags, global)?;
    let samples = (0..texts.len()).map(|i| sources.read(i, None)).collect::<Result<Vec<Sample>>>()?;
    check_samples(&texts, &samples)?;
    let test = Test { arguments, texts: &texts, samples: &samples, seed: global.seed() };
    let finding = match question {
        Question::TwoSamples => test.two_samples(),
        Question::ThreeSamples => test.three_samples(),
        Question::Memorisation => test.memorisation(),
    }
    .map_err(|fault| naming(fault, &texts, &samples))?;
    report(&finding, &test, question, global, begin.elapsed().as_secs_f64())
}

/// Says which sample has the number of points that is not allowed.
fn naming(fault: Error, texts: &[&String], samples: &[Sample]) -> Error {
    match fault {
        Error::Value { name, value, allowed } if name == "number of points" => {
            let of = texts.iter().zip(samples).find(|(_, sample)| sample.points.len().to_string() == value);
            let name = of.map_or(name.clone(), |(text, _)| format!("{name} of {text}"));
            Error::value(name, value, allowed)
        }
        other => other,
    }
}

/// Whether every flag that was given has a meaning for this question.
fn check_flags(arguments: &Arguments, question: Question) -> Result<()> {
    inference::check_level(arguments.alpha).map_err(|fault| renamed(fault, "--alpha"))?;
    let only = |flag: &str, allowed: &str| Err(Error::value(flag, "given", format!("used with {allowed}")));
    if let Some(claim) = arguments.claim {
        let (rejected, kept) = question.claims();
        if claim != rejected && claim != kept {
            let allowed = format!("{} or {} for these sources", name(rejected), name(kept));
            return Err(Error::value("--assert", name(claim), allowed));
        }
    }
    if question == Question::Memorisation && !arguments.kernels.is_empty() {
        return only("--kernel", "two or three samples; the memorisation test compares distances");
    }
    if question == Question::ThreeSamples && arguments.kernels.len() > 1 {
        return Err(Error::value("--kernel", "given more than once", "one kernel for three samples; + adds kernels"));
    }
    if question != Question::TwoSamples && arguments.method.is_some() {
        return only("--method", "two samples");
    }
    let method = arguments.method;
    if arguments.kernels.len() > 1 && method.is_some_and(|m| m != Method::Aggregated) {
        let allowed = "one kernel, unless for --method aggregated; + adds kernels";
        return Err(Error::value("--kernel", "given more than once", allowed));
    }
    if arguments.estimator.is_some_and(|e| !matches!(e, Estimator::Biased | Estimator::Unbiased)) {
        return Err(Error::value("--estimator", arguments.estimator.unwrap_or_default(), "biased or unbiased"));
    }
    if arguments.estimator.is_some() && method != Some(Method::Permutation) {
        return only("--estimator", "--method permutation");
    }
    if arguments.block_size.is_some() && method != Some(Method::Block) {
        return only("--block-size", "--method block");
    }
    Ok(())
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string())
}

fn renamed(fault: Error, flag: &str) -> Error {
    match fault {
        Error::Value { value, allowed, .. } => Error::value(flag, value, allowed),
        other => other,
    }
}

/// Whether the samples are unweighted points of one space.
fn check_samples(texts: &[&String], samples: &[Sample]) -> Result<()> {
    for (text, sample) in texts.iter().zip(samples) {
        if sample.weights.is_some() {
            let allowed = "points without weights: a test counts independent points, and weights are no counts; kme eval \
                           gives the distance of weighted samples";
            return Err(Error::value("weights", text, allowed));
        }
        samples[0].check_same_space(texts[0], sample, text)?;
    }
    Ok(())
}

/// A test that is about to be made.
struct Test<'a> {
    arguments: &'a Arguments,
    texts: &'a [&'a String],
    samples: &'a [Sample],
    seed: u64,
}

impl Test<'_> {
    fn points(&self, i: usize) -> &Points {
        &self.samples[i].points
    }

    fn permutations(&self) -> Permutations {
        let Arguments { permutations, precision, .. } = *self.arguments;
        Permutations { count: permutations, seed: self.seed, precision }
    }

    /// A kernel as it was asked for, with its median taken from all points.
    fn resolved(&self, spec: &KernelSpec) -> Result<Kernel> {
        let points: Vec<&Points> = self.samples.iter().map(|s| &s.points).collect();
        spec.resolve(self.points(0).dim(), || median_distance(&points))
    }

    /// The one kernel: that of the flag, or of the embeddings, or else the one of this text.
    fn kernel(&self, otherwise: &str) -> Result<Kernel> {
        let named: Vec<(&str, &Sample)> = self.texts.iter().map(|t| t.as_str()).zip(self.samples).collect();
        sources::kernel(self.arguments.kernels.first(), &named, otherwise)
    }

    fn two_samples(&self) -> Result<Finding> {
        let arguments = self.arguments;
        let (x, y) = (self.points(0), self.points(1));
        let total = x.len() + y.len();
        let method = arguments.method.unwrap_or(match arguments.kernels.len() {
            2.. => Method::Aggregated,
            0 if total <= AGGREGATED => Method::Aggregated,
            _ if total <= PERMUTATION => Method::Permutation,
            _ => Method::Block,
        });
        let permutations = self.permutations();
        match method {
            Method::Aggregated | Method::Permutation => {
                permutations.check(arguments.alpha, x.len(), y.len(), true)?;
            }
            Method::Block | Method::Linear => permutations.check_level(arguments.alpha)?,
        }
        let kernel = || self.kernel("gaussian:sigma=median");
        let (a, b) = (self.texts[0], self.texts[1]);
        let verdicts = [format!("{a} and {b} differ"), format!("no difference found between {a} and {b}")];
        let finding = |outcome, method, value: f64, error: Option<f64>, estimator: &str, kernel: &Kernel| Finding {
            outcome,
            verdicts: verdicts.clone(),
            method,
            lines: vec![line("mmd2", with_error(value, error)), line("kernel", kernel)],
            table: String::new(),
            json: fields(json!({
                "metric": "mmd2",
                "value": value,
                "standard_error": error,
                "estimator": estimator,
                "kernel": kernel.to_string(),
            })),
        };
        match method {
            Method::Aggregated => {
                let kernels = match arguments.kernels.as_slice() {
                    [] => inference::collection(x, y)?,
                    specs => specs.iter().map(|spec| self.resolved(spec)).collect::<Result<_>>()?,
                };
                let found = inference::aggregated(&kernels, x, y, &permutations)?;
                let mut order: Vec<&inference::Component> = found.components.iter().collect();
                order.sort_by(|a, b| a.p_value.total_cmp(&b.p_value).then(b.in_errors().total_cmp(&a.in_errors())));
                let best = order[0];
                let (value, error) = (best.mmd2, best.standard_error);
                let mut result = finding(found.outcome, "aggregated", value, error, "unbiased", &best.kernel);
                let rejecting = order.iter().filter(|c| c.p_value <= arguments.alpha).count();
                result.lines.push(line("kernels", format!("{rejecting} of {} reject", order.len())));
                result.table = table(&order);
                let json = found.components.iter().map(|c| {
                    json!({
                        "kernel": c.kernel.to_string(),
                        "mmd2": c.mmd2,
                        "standard_error": c.standard_error,
                        "standardised": c.standardised,
                        "own_p_value": c.own_p_value,
                        "p_value": c.p_value,
                        "reject": c.p_value <= arguments.alpha,
                    })
                });
                result.json.insert("kernels".into(), json.collect());
                Ok(result)
            }
            Method::Permutation => {
                let estimator = arguments.estimator.unwrap_or_default();
                let found = inference::two_sample(&kernel()?, x, y, estimator, &permutations)?;
                let of = &found.estimate;
                let name = estimator.to_string();
                Ok(finding(found.outcome, "permutation", of.value, of.standard_error, &name, &of.kernel))
            }
            Method::Block => {
                let (n, m) = (x.len(), y.len());
                let blocks = match (arguments.method, arguments.block_size) {
                    (_, Some(size)) => Blocks::of_size(n, m, size).map_err(fault_of_size)?,
                    (Some(_), None) => Blocks::usual(n, m)?,
                    (None, None) => Blocks::large(n, m)?,
                };
                let kernel = kernel()?;
                let found = inference::block(&kernel, x, y, blocks, &permutations)?;
                let mut result = finding(found.outcome, "block", found.mmd2, found.standard_error, "unbiased", &kernel);
                let text = format!("{} of {} and {} points", found.blocks, found.block_n, found.block_m);
                result.lines.push(line("blocks", text));
                let blocks = json!({ "count": found.blocks, "n": found.block_n, "m": found.block_m });
                result.json.insert("blocks".into(), blocks);
                Ok(result)
            }
            Method::Linear => {
                let found = inference::linear(&kernel()?, x, y, &permutations)?;
                let of = &found.estimate;
                Ok(finding(found.outcome, "linear", of.value, of.standard_error, "linear", &of.kernel))
            }
        }
    }

    fn three_samples(&self) -> Result<Finding> {
        let reference = self.points(0);
        // That of KID.
        let kernel = self.kernel("poly:degree=3,gamma=1/d,coef=1")?;
        let (y, z) = (self.points(1), self.points(2));
        let permutations = self.permutations();
        permutations.check_continued(self.arguments.alpha)?;
        let found = inference::three_sample(&kernel, reference, y, z, &permutations)?;
        let fewer = match found.outcome.null {
            Null::StudentAndPermutations(made) if made < permutations.count => {
                let why = format!("{made}, not {}, which would take too long for so many points", permutations.count);
                Some(line("permutations", why))
            }
            _ => None,
        };
        let [a, b, c] = [0, 1, 2].map(|i| self.texts[i]);
        Ok(Finding {
            outcome: found.outcome,
            verdicts: [
                format!("{b} is nearer to {a} than {c}"),
                format!("{b} is not found to be nearer to {a} than {c}"),
            ],
            method: "three-sample",
            lines: [
                line("difference of mmd2", with_error(found.difference, Some(found.standard_error))),
                line("p by Student's law", short(found.asymptotic_p_value)),
                line("p by permutations", found.permutation_p_value.map_or_else(String::new, short)),
                line("kernel", &kernel),
            ]
            .into_iter()
            .chain(fewer)
            .collect(),
            table: String::new(),
            json: fields(json!({
                "metric": "mmd2_difference",
                "value": found.difference,
                "standard_error": found.standard_error,
                "estimator": "unbiased",
                "kernel": kernel.to_string(),
                "asymptotic_p_value": found.asymptotic_p_value,
                "permutation_p_value": found.permutation_p_value,
                "l": self.points(2).len(),
            })),
        })
    }

    fn memorisation(&self) -> Result<Finding> {
        let permutations = self.permutations();
        permutations.check(self.arguments.alpha, self.points(1).len(), self.points(2).len(), false)?;
        let found = inference::memorisation(self.points(0), self.points(1), self.points(2), &permutations)?;
        let [samples, train, _] = [0, 1, 2].map(|i| self.texts[i]);
        let mut rows = vec![["sample", "training point", "distance", "to held-out", "closeness"].map(String::from)];
        rows.extend(found.suspects.iter().take(SUSPECTS).map(|s| {
            let numbers = [s.distance, s.held_out_distance, s.closeness].map(|x| format!("{x:.4}"));
            let [distance, held_out, closeness] = numbers;
            [s.sample.to_string(), s.train.to_string(), distance, held_out, closeness]
        }));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.to_vec()).collect();
        Ok(Finding {
            outcome: found.outcome,
            verdicts: [
                format!("{samples} holds copies of {train}"),
                format!("{samples} is not found to hold copies of {train}"),
            ],
            method: "memorisation",
            lines: vec![
                line(
                    "closeness at training points",
                    format!("{:.4}, {:.4} expected", found.outcome.statistic, found.expected),
                ),
                line(
                    "copies",
                    format!("{} of {}", with_error(found.copies, Some(found.copies_standard_error)), found.n),
                ),
            ],
            table: output::aligned(&rows),
            json: fields(json!({
                "metric": "closeness_share",
                "value": found.outcome.statistic,
                "standard_error": null,
                "expected": found.expected,
                "copies": found.copies,
                "copies_standard_error": found.copies_standard_error,
                "suspects": found.suspects,
                "l": found.held_out,
            })),
        })
    }
}

/// Suspects that are printed; the JSON has up to 100.
const SUSPECTS: usize = 10;

/// Kernels that are printed; the JSON has all.
const KERNELS: usize = 6;

fn fault_of_size(fault: Error) -> Error {
    match fault {
        Error::Value { name, value, allowed } if name == "block size" => Error::value("--block-size", value, allowed),
        other => other,
    }
}

fn line(name: &str, value: impl ToString) -> [String; 2] {
    [name.into(), value.to_string()]
}

/// The kernels that show most.
fn table(components: &[&inference::Component]) -> String {
    let mut rows = vec![["kernel", "mmd2", "in deviations", "own p", "corrected p"].map(String::from).to_vec()];
    rows.extend(components.iter().take(KERNELS).map(|c| {
        let [z, own, corrected] = [c.standardised, c.own_p_value, c.p_value].map(short);
        vec![c.kernel.to_string(), with_error(c.mmd2, c.standard_error), z, own, corrected]
    }));
    output::aligned(&rows)
}
