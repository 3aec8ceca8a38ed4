//! `kme embed`

use crate::arguments::{self, Global};
use crate::ending::Ending;
use crate::output::{self, fields};
use crate::progress::Watcher;
use crate::sources::SourceFlags;
use clap::Args;
use kme::{Error, FeatureIdentity, KernelSpec, Points, Precision, Result, Shard, Statistics};
use kme_deep::{EmbedRequest, Embedded, Reader, Sample, Sources};
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
    let request = request(arguments)?;
    output::check_place(&arguments.output)?;
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let mut sources = Sources::open(&arguments.sources, Reader::new(&settings, &context, &watcher))?;
    let form = Form::of(&arguments.output)?;
    if form != Form::Embedding {
        return write_plain(&request.pool(&mut sources)?, form, arguments, global, begin).map(|()| true);
    }
    let Embedded { embedding, skipped } = request.run(&mut sources)?;
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
        "skipped": skipped,
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

    /// As [`write_atomically`](kme::internal::io::write_atomically), of what has no kernel and no weights.
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

/// What is asked for, with all that can be said before anything is read.
fn request(arguments: &Arguments) -> Result<EmbedRequest> {
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
    let request = EmbedRequest {
        kernel: arguments.kernel.clone(),
        weights: arguments.weights.clone(),
        shard: arguments.shard,
        random_features: arguments.random_features,
        precision: arguments
            .precision
            .as_deref()
            .map(|text| if text == "f32" { Precision::F32 } else { Precision::F64 }),
    };
    request.check()?;
    Ok(request)
}
