//! `kme embed`

use crate::arguments::{self, Global};
use crate::ending::Ending;
use crate::output::{self, fields};
use crate::progress::Watcher;
use crate::sources::SourceFlags;
use clap::Args;
use kme::embedding::{AnyEmbedding, FeatureIdentity, MeanEmbedding, Shard};
use kme::evaluate::Statistics;
use kme::features::{RandomFeatures, Waves};
use kme::kernel;
use kme::points::{Data, read_weights};
use kme::{Embedding, Error, Kernel, KernelSpec, Points, Result};
use kme_deep::sample::{Reader, Sample, Sources, naming};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Write the kernel mean embedding of a sample, or its FID statistics or features
///
/// An embedding is a reference for `kme eval` and `kme test`, a target for `kme match`, and a term of expressions such as
/// '0.7*a.kme + 0.3*b.kme'. Several sources are pooled into one sample. The file does not depend on the order of points.
#[derive(Args)]
#[command(before_help = EXAMPLES, after_long_help = format!("{NOTES}\n\n{}", crate::sources::notes()))]
pub(crate) struct Arguments {
    /// The samples to embed
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<String>,
    /// Write the embedding (.kme), mean and covariance (.npz), or the points, one per row (.npy, .csv, .tsv)
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    #[arg(long, value_name = "KERNEL", help = KERNEL_HELP)]
    kernel: Option<KernelSpec>,
    /// Read one weight >= 0 per point from this file, for all sources together
    #[arg(long, value_name = "FILE", conflicts_with = "random_features")]
    weights: Option<PathBuf>,
    /// Embed only part I of N; `kme merge` puts the parts together
    #[arg(long, value_name = "I/N", default_value_t = Shard::WHOLE, hide_default_value = true)]
    shard: Shard,
    /// Store the mean of N random features of a Gaussian kernel instead of the points
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    random_features: Option<usize>,
    /// Store points as f32 or f64 [default: as they are; features as f32]
    #[arg(long, value_name = "PRECISION", value_parser = ["f32", "f64"])]
    precision: Option<String>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const DEFAULT_KERNEL: &str = "poly:degree=3,gamma=1/d,coef=1";

const KERNEL_HELP: &str = "\
Use this kernel, such as gaussian:sigma=median or energy [default: poly:degree=3,gamma=1/d,coef=1]";

const EXAMPLES: &str = "\
Examples:
  kme embed fashion-mnist:test -o test.kme --features fashion-classifier
  kme embed photos/ more.zip -o photos.kme --features pixels --size 32x32
  kme embed x.npy -o x.kme --kernel gaussian:sigma=2 --random-features 2000
  kme embed photos/ -o statistics.npz --features inception
  kme embed photos/ -o features.npy --features inception
  kme embed fashion-mnist -o part-3.kme --features fashion-classifier --shard 3/16";

const NOTES: &str = "\
Shards:
--shard spreads one embedding over many machines: part I of N is the I-th run of neighbours in the order of the sources, and
sizes of parts differ by at most one. Write the length of the kernel as a number, because every part has another median.

Statistics:
-o OUT.npz writes the mean mu and the covariance sigma, under the names that pytorch-fid and clean-fid read. For Inception
the file has 33 MB, however many pictures there were.";

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    check_usage(arguments)?;
    output::check_place(&arguments.output)?;
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let mut sources = Sources::open(&arguments.sources, Reader::new(&settings, &context, &watcher))?;
    if let Some(i) = (0..sources.all().len()).find(|&i| sources.is_combination(i)) {
        let operation = format!("embed '{}'", sources.all()[i].text());
        return Err(Error::unsupported(operation, "it is an embedding already. Use it as it is"));
    }
    let sample = pooled(&mut sources, arguments)?;
    let form = Form::of(&arguments.output)?;
    if form != Form::Embedding {
        return write_plain(&sample, form, arguments, global, begin).map(|()| true);
    }
    let points = sample.points;
    let kernel = arguments.kernel().resolve_for(&[&points])?;
    let seed = sources.all().iter().any(|source| source.is_random()).then_some(global.seed());
    let embedding = match arguments.random_features {
        None => AnyEmbedding::Points(Embedding::of_sample(points, sample.weights, kernel, sample.features, seed)?),
        Some(count) => {
            if sample.weights.is_some() {
                return Err(Error::not_applicable("weights", "a mean of random features does not take weights"));
            }
            let random = RandomFeatures::new(points.dim(), count, sigma(&kernel)?, Waves::default(), global.seed())?;
            AnyEmbedding::Mean(MeanEmbedding::of_sample(&points, &random, sample.features, seed)?)
        }
    };
    embedding.write(&arguments.output)?;

    let output = arguments.output.display();
    let features = output::features(&embedding.features().name, &embedding.features().protocol);
    let (n, d, kernel) = (embedding.len(), embedding.dim(), embedding.kernel());
    let text =
        format!("{output}: {} of dimension {d}, kernel {kernel}, features {features}", output::counted(n, "point"));
    let json = json!({
        "output": output::name(&arguments.output),
        "form": embedding.form(),
        "n": n,
        "d": d,
        "kernel": kernel.to_string(),
        "features": embedding.features(),
        "shard": arguments.shard.to_string(),
        "skipped": sample.skipped,
        "seconds": begin.elapsed().as_secs_f64(),
    });
    output::print(global, &text, fields(json))?;
    Ok(true)
}

/// What is written, by the name of the output.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Embedding,
    Statistics,
    Points,
}

impl Form {
    fn of(path: &Path) -> Result<Self> {
        let allowed =
            "a name that ends in .kme (an embedding), .npz (mean and covariance), or .npy, .csv or .tsv (the points)";
        let among = [Ending::Kme, Ending::Npz, Ending::Npy, Ending::Csv, Ending::Tsv];
        Ok(match Ending::of(path, &among, allowed)? {
            Ending::Kme => Self::Embedding,
            Ending::Npz => Self::Statistics,
            _ => Self::Points,
        })
    }

    /// As [`write_atomically`](kme::io::write_atomically), of what has no kernel and no weights.
    fn write(self, points: &Points, features: &FeatureIdentity, path: &Path) -> Result<()> {
        match self {
            Self::Statistics => write_statistics(points, features, path),
            _ => points.write(path),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Embedding => "points",
            Self::Statistics => "statistics",
            Self::Points => "rows",
        }
    }
}

/// Writes the mean and the covariance of points, with their number and what features they are.
pub(super) fn write_statistics(points: &Points, features: &FeatureIdentity, path: &Path) -> Result<()> {
    Statistics::of_points(points)?.with_features(json!(features).to_string()).write(path)
}

/// Writes what other programs read.
fn write_plain(sample: &Sample, form: Form, arguments: &Arguments, global: &Global, begin: Instant) -> Result<()> {
    if sample.weights.is_some() {
        let allowed = "a .kme file: the points have weights, and no other file holds them";
        return Err(Error::parameter("output", arguments.output.display(), allowed));
    }
    form.write(&sample.points, &sample.features, &arguments.output)?;
    let (n, d) = (sample.points.len(), sample.points.dim());
    let what = match form {
        Form::Statistics => "mean (mu) and covariance (sigma) of ",
        _ => "",
    };
    let text = format!(
        "{}: {what}{} of dimension {d}, features {}",
        arguments.output.display(),
        output::counted(n, "point"),
        sample.features.name
    );
    let json = json!({
        "output": output::name(&arguments.output),
        "form": form.name(),
        "n": n,
        "d": d,
        "features": sample.features,
        "shard": arguments.shard.to_string(),
        "skipped": sample.skipped,
        "seconds": begin.elapsed().as_secs_f64(),
    });
    output::print(global, &text, fields(json))
}

impl Arguments {
    /// That of the kernel inception distance unless another is asked for. It needs no data, so that shards agree on it.
    fn kernel(&self) -> KernelSpec {
        let default = || DEFAULT_KERNEL.parse().expect("the default kernel is one");
        self.kernel.clone().unwrap_or_else(default)
    }
}

/// What can be said before anything is read.
fn check_usage(arguments: &Arguments) -> Result<()> {
    let form = Form::of(&arguments.output)?;
    if form != Form::Embedding {
        let given = [
            ("kernel", arguments.kernel.is_some()),
            ("weights", arguments.weights.is_some()),
            ("random_features", arguments.random_features.is_some()),
        ];
        if let Some((flag, _)) = given.iter().find(|(_, is_given)| *is_given) {
            return Err(Error::not_applicable(*flag, "only a .kme file holds it. End the name of the output in .kme"));
        }
        if form == Form::Statistics && arguments.shard != Shard::WHOLE {
            let allowed = "the whole for statistics. Write the parts as .kme files; kme merge pools them into statistics (-o OUT.npz)";
            return Err(Error::parameter("shard", arguments.shard, allowed));
        }
    }
    let kernel = arguments.kernel();
    if arguments.shard != Shard::WHOLE && kernel.needs_median() {
        let allowed = "a kernel with numbers when there is --shard, since every part has another median";
        return Err(Error::parameter("kernel", &kernel, allowed));
    }
    if arguments.random_features.is_some() {
        // The median, if it is asked for, is some length.
        sigma(&kernel.resolve(1, || Ok(1.0))?)?;
    }
    Ok(())
}

/// The width of the one kernel that has random features here.
fn sigma(kernel: &Kernel) -> Result<f64> {
    match kernel.terms() {
        &[(1.0, kernel::Form::Gaussian { sigma })] => Ok(sigma),
        _ => Err(Error::parameter("kernel", kernel, "one Gaussian, such as gaussian:sigma=2, with --random-features")),
    }
}

/// The part of all sources together that is asked for.
fn pooled(sources: &mut Sources, arguments: &Arguments) -> Result<Sample> {
    let whole = arguments.shard == Shard::WHOLE && arguments.weights.is_none();
    let counts = match whole {
        true => Vec::new(),
        false => (0..sources.all().len()).map(|i| sources.count(i)).collect::<Result<Vec<_>>>()?,
    };
    let total: usize = counts.iter().sum();
    // What is wanted whole is not counted.
    let wanted = if whole { 0..0 } else { arguments.shard.items(total)? };
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
    let given = match &arguments.weights {
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
    pooled.points = stored(pooled.points, arguments.precision.as_deref())?;
    Ok(Sample { weights, ..pooled })
}

fn stored(points: Points, precision: Option<&str>) -> Result<Points> {
    let (n, d) = (points.len(), points.dim());
    let too_large = |x: &f64| x.abs() > f64::from(f32::MAX);
    if let (Some("f32"), Data::F64(rows)) = (precision, points.data())
        && let Some(large) = rows.iter().find(|x| too_large(x))
    {
        return Err(Error::parameter("precision", "f32", format!("f64, since a point holds {large:e}")));
    }
    let data = match (precision, points.into_data()) {
        (Some("f32"), Data::F64(rows)) => Data::F32(rows.into_iter().map(|x| x as f32).collect()),
        (Some("f64"), Data::F32(rows)) => Data::F64(rows.into_iter().map(f64::from).collect()),
        (_, data) => data,
    };
    Points::new(n, d, data)
}
