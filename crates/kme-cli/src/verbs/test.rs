//! `kme test`

mod manual;
mod report;
mod two_samples;
mod waiting;

use crate::arguments::{self, Global};
use crate::output::{self, fields, with_error};
use crate::progress::Watcher;
use crate::sources::{self, SourceFlags};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use kme::{
    Error, Estimator, Kernel, KernelSpec, Measured, MemorisationTest, NoStandardError, Null, Outcome, Permutations,
    Points, Precision, Result, ThreeSampleTest, TwoSampleMethod,
};
use kme_deep::{Reader, Repeated, Sample, Sources, common_kernel, groups_of, naming_small};
use manual::{EXAMPLES, NOTES};
use report::{report, short};
use serde_json::{Map, Value, json};
use std::time::Instant;

/// Test whether samples differ, which of two is closer, or whether they are copies
///
/// With A and B: do both come from one distribution? A small p-value says no; a large one does not prove that they are the
/// same.
///
/// With A, B and C: is B closer to A than C is (in MMD with --kernel)? A small p-value says yes.
///
/// With --memorisation: are the generated samples A copies of the training points B, given held-out points C? A small
/// p-value says that they are, or that they are closer to B than new samples would be.
///
/// Tests assume that the rows of a sample are independent. Values of a time series, crops of one picture, or repeated
/// measurements of one person are not, and give p-values that are far too small: take one row of each. The exit code is 0
/// whatever the test finds, unless you give --assert.
#[derive(Args)]
#[command(before_help = EXAMPLES, after_long_help = format!("{NOTES}\n\n{}", sources::notes()))]
pub(crate) struct Arguments {
    /// The first sample; with C the reference; with --memorisation the generated samples
    #[arg(value_name = "A")]
    a: String,
    /// The second sample; with C the first candidate; with --memorisation the training points
    #[arg(value_name = "B", required_unless_present = "group")]
    b: Option<String>,
    /// The second candidate; with --memorisation the held-out points
    #[arg(value_name = "C")]
    c: Option<String>,
    /// Test whether A are copies of the training points B, given held-out points C
    #[arg(long)]
    memorisation: bool,
    /// Compare A and B by this method [default: depends on the number of points, see Methods]
    #[arg(long, value_name = "METHOD", value_parser = methods())]
    method: Option<TwoSampleMethod>,
    /// Use this kernel; repeatable with --method aggregated [default: see Methods]
    #[arg(long = "kernel", value_name = "KERNEL")]
    kernels: Vec<KernelSpec>,
    /// Reject a true hypothesis with at most this probability (the level)
    #[arg(long, value_name = "ALPHA", default_value_t = 0.05, value_parser = arguments::number)]
    alpha: f64,
    /// Use N random permutations; the smallest possible p-value is 1/(N + 1)
    #[arg(long, value_name = "N", default_value_t = 999, value_parser = arguments::count::<usize>)]
    permutations: usize,
    /// Estimate MMD^2 this way: biased or unbiased; with --method permutation
    #[arg(long, value_name = "ESTIMATOR")]
    estimator: Option<Estimator>,
    /// Put N points of the smaller sample into each block; with --method block [default: see Methods]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    block_size: Option<usize>,
    /// Evaluate kernels and distances in f64, or in f32 for speed; sums are always in f64
    #[arg(long, value_name = "PRECISION", value_parser = sources::precision, default_value = "f64")]
    precision: Precision,
    /// Exit with code 1 unless the test finds this (see Findings)
    #[arg(long = "assert", value_name = "FINDING", value_enum)]
    claim: Option<Claim>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

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

fn methods() -> impl TypedValueParser<Value = TwoSampleMethod> {
    PossibleValuesParser::new(TwoSampleMethod::ALL.iter().map(|(_, name)| *name))
        .try_map(|name| name.parse::<TwoSampleMethod>())
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

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    let named = std::iter::once(&arguments.a).chain(&arguments.b).chain(&arguments.c);
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let texts = groups_of(named.cloned().collect(), &settings)?;
    let question = match (texts.len(), arguments.memorisation) {
        (2, false) => Question::TwoSamples,
        (3, false) => Question::ThreeSamples,
        (3, true) => Question::Memorisation,
        (2, true) => {
            let reason =
                "name three sources, SAMPLES TRAINING HELD_OUT: only held-out points show which distances are normal";
            return Err(Error::unsupported("test for memorisation with two sources", reason));
        }
        (found, _) => {
            let reason = "a test takes two or three. Name them, as in FILE.csv:COLUMN=VALUE";
            return Err(Error::unsupported(format!("test {found} samples"), reason));
        }
    };
    check_flags(arguments, question)?;
    let texts: Vec<&String> = texts.iter().collect();
    let mut sources = Sources::open(&texts, Reader::new(&settings, &context, &watcher))?;
    let samples = (0..texts.len()).map(|i| sources.read(i, None)).collect::<Result<Vec<Sample>>>()?;
    check_samples(&texts, &samples)?;
    for (text, sample) in texts.iter().zip(&samples) {
        if let Some(remark) = Repeated::of(&sample.points).remark(text) {
            output::remark(global, remark);
        }
    }
    let test = Test { arguments, texts: &texts, samples: &samples, seed: global.seed(), watcher: &watcher };
    if let Some(instead) = test.faster(question) {
        watcher.advise(instead);
    }
    let finding = match question {
        Question::TwoSamples => test.two_samples(),
        Question::ThreeSamples => test.three_samples(),
        Question::Memorisation => test.memorisation(),
    }
    .map_err(|fault| {
        let sizes = texts.iter().zip(&samples).map(|(text, sample)| (text.as_str(), sample.points.len()));
        naming_small(fault, sizes)
    });
    report(&finding?, &test, question, global, begin.elapsed().as_secs_f64())
}

/// Whether every flag that was given has a meaning for this question.
fn check_flags(arguments: &Arguments, question: Question) -> Result<()> {
    kme::check_level(arguments.alpha)?;
    let only =
        |parameter: &'static str, with: &str| Err(Error::not_applicable(parameter, format!("it goes with {with}")));
    if let Some(claim) = arguments.claim {
        let (rejected, kept) = question.claims();
        if claim != rejected && claim != kept {
            let allowed = format!("{} or {} for these sources", name(rejected), name(kept));
            return Err(Error::parameter("assert", name(claim), allowed));
        }
    }
    if question == Question::Memorisation && !arguments.kernels.is_empty() {
        return only("kernel", "two or three samples; the memorisation test compares distances");
    }
    if question == Question::ThreeSamples && arguments.kernels.len() > 1 {
        return Err(Error::parameter("kernel", "given more than once", "one kernel for three samples; + adds kernels"));
    }
    if question != Question::TwoSamples && arguments.method.is_some() {
        return only("method", "two samples");
    }
    two_samples::request(arguments).check()
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map_or_else(String::new, |v| v.get_name().to_string())
}

/// Whether the samples are unweighted points of one space.
fn check_samples(texts: &[&String], samples: &[Sample]) -> Result<()> {
    for (text, sample) in texts.iter().zip(samples) {
        if sample.weights.is_some() {
            let reason = "it has weights, and tests need points without weights. Use kme eval for weighted samples";
            return Err(Error::unsupported(format!("test {text}"), reason));
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
    watcher: &'a Watcher<'a>,
}

impl Test<'_> {
    fn points(&self, i: usize) -> &Points {
        &self.samples[i].points
    }

    fn permutations(&self) -> Permutations<'_> {
        let Arguments { permutations, precision, .. } = *self.arguments;
        Permutations { count: permutations, seed: self.seed, precision, observer: self.watcher }
    }

    /// The one kernel: that of the flag, or of the embeddings, or else `otherwise`.
    fn kernel(&self, otherwise: &KernelSpec) -> Result<Kernel> {
        let named: Vec<(&str, &Sample)> = self.texts.iter().map(|t| t.as_str()).zip(self.samples).collect();
        common_kernel(self.arguments.kernels.first(), &named, &otherwise.to_string())
    }

    fn three_samples(&self) -> Result<Finding> {
        let (alpha, permutations) = (self.arguments.alpha, self.permutations());
        let kernel = self.kernel(&ThreeSampleTest::default().kernel)?;
        let test = ThreeSampleTest { kernel: (&kernel).into(), alpha, permutations };
        let found = test.run(self.points(0), self.points(1), self.points(2))?;
        let fewer = match found.outcome.null {
            Null::StudentAndPermutations(made) if made < permutations.count => {
                let why = format!("{made}, not {}, which would take too long for so many points", permutations.count);
                Some(line("permutations", why))
            }
            _ => None,
        };
        let [a, b, c] = [0, 1, 2].map(|i| self.texts[i]);
        let guard = found.guard;
        // It is 0 where each sample is one point.
        let error = Some(found.standard_error).filter(|error| *error > 0.0).ok_or(NoStandardError::Coincide);
        let measured = Measured::new(found.difference, error);
        let mut lines = value("difference of mmd2", measured);
        lines.extend([
            line("asymptotic p", short(found.asymptotic_p_value)),
            line("guard p", guard.map_or_else(String::new, |guard| short(guard.p_value))),
            line("weights of these", guard.map_or_else(String::new, weights)),
            line(
                "p by permutations",
                by_permutations(guard.map(|guard| guard.permutation_p_value), found.outcome.null),
            ),
            line("kernel", &kernel),
        ]);
        lines.extend(fewer);
        let mut json = fields(json!(measured));
        json.extend(fields(json!({
            "metric": "mmd2_difference",
            "estimator": "unbiased",
            "kernel": kernel.to_string(),
            "asymptotic_p_value": found.asymptotic_p_value,
            "permutation_p_value": guard.map(|guard| guard.permutation_p_value),
            "guard_p_value": guard.map(|guard| guard.p_value),
            "asymptotic_weight": guard.map(|guard| guard.weight),
            "l": self.points(2).len(),
        })));
        Ok(Finding {
            outcome: found.outcome,
            verdicts: [
                format!("{b} is nearer to {a} than {c}"),
                format!("found no evidence that {b} is nearer to {a} than {c}"),
            ],
            method: "three-sample",
            lines,
            table: String::new(),
            json,
        })
    }

    fn memorisation(&self) -> Result<Finding> {
        let test = MemorisationTest { alpha: self.arguments.alpha, permutations: self.permutations() };
        let found = test.run(self.points(0), self.points(1), self.points(2))?;
        let [samples, train, _] = [0, 1, 2].map(|i| self.texts[i]);
        let mut rows = vec![["sample", "training point", "distance", "to held-out", "closeness"].map(String::from)];
        rows.extend(found.suspects.iter().take(SUSPECTS).map(|s| {
            let numbers = [s.distance, s.held_out_distance, s.closeness].map(|x| format!("{x:.4}"));
            let [distance, held_out, closeness] = numbers;
            [s.sample.to_string(), s.train.to_string(), distance, held_out, closeness]
        }));
        let rows: Vec<Vec<String>> = rows.into_iter().map(|row| row.to_vec()).collect();
        let copies = measured(found.copies, found.copies_standard_error, found.copies_standard_error_missing);
        let share = format!("{:.4}, {:.4} expected", found.outcome.statistic, found.expected);
        let mut lines = vec![line("closeness at training points", share)];
        lines.extend(value("copies", copies));
        lines[1][1].push_str(&format!(" of {}", found.n));
        if found.tied > 0 {
            let tied = format!("{} of {} samples have several nearest points, which share", found.tied, found.n);
            lines.push(line("ties", tied));
        }
        let mut json = fields(json!({
            "metric": "closeness_share",
            "value": found.outcome.statistic,
            "standard_error": null,
            "standard_error_missing": NoStandardError::Permutations,
            "expected": found.expected,
            "copies": found.copies,
            "copies_standard_error": found.copies_standard_error,
            "tied": found.tied,
            "suspects": found.suspects,
            "l": found.held_out,
        }));
        if let Some(reason) = found.copies_standard_error_missing {
            json.insert("copies_standard_error_missing".into(), json!(reason));
        }
        Ok(Finding {
            outcome: found.outcome,
            verdicts: [
                format!("{samples} holds copies of {train}"),
                format!("{samples} is not found to hold copies of {train}"),
            ],
            method: "memorisation",
            lines,
            table: output::aligned(&rows),
            json,
        })
    }
}

/// Suspects that are printed; the JSON has up to 100.
const SUSPECTS: usize = 10;

fn line(name: &str, value: impl ToString) -> [String; 2] {
    [name.into(), value.to_string()]
}

/// A p-value with what it is where it is below the smallest that so many permutations can show.
fn by_permutations(p_value: Option<f64>, null: Null) -> String {
    match (p_value, null) {
        (None, _) => String::new(),
        (Some(p), Null::StudentAndPermutations(made)) if p < 1.0 / (made as f64 + 1.0) => {
            format!("{} (below 1/{}: their tail, continued)", short(p), made + 1)
        }
        (Some(p), _) => short(p),
    }
}

/// How much the asymptotic p-value counts, and how much the guard.
fn weights(guard: kme::Guard) -> String {
    format!("{:.2}, {:.2}", guard.weight, 1.0 - guard.weight)
}

fn measured(value: f64, error: Option<f64>, missing: Option<NoStandardError>) -> Measured {
    Measured { value, standard_error: error, standard_error_missing: missing }
}

/// The line of a value with its error, or that and why there is none.
fn value(name: &str, found: Measured) -> Vec<[String; 2]> {
    let mut lines = vec![line(name, with_error(found.value, found.standard_error))];
    lines.extend(found.error().err().map(|reason| line("no standard error", reason)));
    lines
}
