//! `kme reduce`

use crate::arguments::{self, Global};
use crate::ending::Ending;
use crate::output::{self, fields};
use crate::progress::Watcher;
use crate::sources::SourceFlags;
use clap::Args;
use kme::internal::io::{NewFolder, write_atomically};
use kme::{
    Coreset, Embedding, Error, Herding, KernelSpec, Reduction, ReductionMethod, Result, Support, Thinning, Weighting,
};
use kme_deep::{Gallery, Look, Reader, Sample, Sources};
use kme_image::Grid;
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Select n representative points or pictures (a coreset)
///
/// Minimises the MMD between the n points and the whole sample, so that averages over the n are close to averages over all.
/// Prints the biased MMD^2, beside that of random subsets of the same size.
#[derive(Args)]
#[command(before_help = EXAMPLES, after_long_help = format!("{NOTES}\n\n{}", crate::sources::notes()))]
pub(crate) struct Arguments {
    /// The sample to choose from
    #[arg(value_name = "SOURCE")]
    source: String,
    /// Keep N points
    #[arg(short, value_name = "N", required = true, value_parser = arguments::count::<usize>)]
    n: usize,
    /// Select by this method: herding, thinning, or support (see Methods)
    #[arg(long, value_name = "METHOD", default_value_t = ReductionMethod::default())]
    by: ReductionMethod,
    /// Write the result here; the ending decides what (see Outputs); repeatable
    #[arg(short, long, value_name = "OUT")]
    output: Vec<PathBuf>,
    /// Use this kernel [default: the one of an embedding, else gaussian:sigma=median; for support energy]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    /// Give the kept points equal weights, or the optimal ones (>= 0, with the least MMD)
    #[arg(long, value_name = "WEIGHTS", default_value_t = Weighting::Equal)]
    weights: Weighting,
    /// Try to exchange every point N times in the end [default: 0 for herding, 2 for thinning]
    #[arg(long, value_name = "N", value_parser = arguments::whole::<usize>)]
    exchanges: Option<usize>,
    /// Compress before thinning with oversampling G, from 0 to 20; none thins the whole sample [default: 4]
    #[arg(long, value_name = "G", value_parser = compression)]
    compress: Option<Compression>,
    /// Move support points N times [default: 100]
    #[arg(long, value_name = "N", value_parser = arguments::count::<usize>)]
    steps: Option<usize>,
    /// Replace each support point by the nearest point of the sample, all different
    #[arg(long)]
    snap: bool,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const EXAMPLES: &str = "\
Examples:
  kme reduce photos/ -n 64 --features pixels --size 32x32 -o sheet.png -o chosen.txt
  kme reduce fashion-mnist -n 100 --features fashion-classifier -o few.kme
  kme reduce chain.npy -n 141 --by thinning -o thinned.npy
  kme reduce x.csv -n 20 --by support -o support.csv";

const NOTES: &str = "\
Methods:
  herding   adds one point after another, always the best one, so the first k of n
            are the choice of k; the fastest; --exchanges 1 costs little and comes
            several times closer in low dimensions, but gives up this order
  thinning  kernel thinning: halves the sample again and again; its MMD provably
            falls faster with n than that of random subsets; no weights
  support   moves N free points to the least energy distance; they need not be points
            of the sample (see --snap); only with energy or energy:a=...

Kernel:
gaussian:sigma=median sees differences of about the size of the whole sample. A shorter length, such as
gaussian:sigma=0.3*median, asks for finer detail and needs more points. energy has no length to choose. A kernel that is not
characteristic, such as linear, keeps only some moments.

Outputs:
  OUT.kme              the points and weights as an embedding
  OUT.npy, .csv, .tsv  the points (for pictures: their features)
  OUT.txt              one line per point: its name, or its index from 0
  OUT.json             the same with weights, and the MMD^2
  OUT.png              a sheet of the pictures
  OUT                  a new or empty folder for the pictures as PNG files
Points are in the order in which they were chosen; after thinning in that of the sample, in an embedding in its own.

Random subsets:
The 5 %, 50 % and 95 % quantiles of the MMD^2 of 100 random subsets of the same size; of fewer (at least 20) if 100 would
take longer than everything else. A sample with weights is drawn by weight.";

/// What `--compress` means.
#[derive(Clone, Copy)]
struct Compression(Option<u32>);

fn compression(text: &str) -> Result<Compression> {
    match text {
        "none" => Ok(Compression(None)),
        _ => match text.parse() {
            Ok(g) if g <= 20 => Ok(Compression(Some(g))),
            _ => Err(Error::parameter("compress", text, "from 0 to 20, or none")),
        },
    }
}

/// What an output is, by its name.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Embedding,
    Points,
    List,
    Json,
    Sheet,
    Folder,
}

impl Kind {
    fn of(path: &Path) -> Result<Self> {
        use Ending::{Csv, Folder, Json, Kme, Npy, Png, Tsv, Txt};
        let allowed = "a name that ends in .kme, .npy, .csv, .tsv, .txt, .json or .png, or a folder";
        Ok(match Ending::of(path, &[Kme, Npy, Csv, Tsv, Txt, Json, Png, Folder], allowed)? {
            Folder => Self::Folder,
            Kme => Self::Embedding,
            Txt => Self::List,
            Json => Self::Json,
            Png => Self::Sheet,
            _ => Self::Points,
        })
    }

    fn shows_pictures(self) -> bool {
        matches!(self, Self::Sheet | Self::Folder)
    }

    /// Whether it tells which of the sample were chosen.
    fn needs_places(self) -> bool {
        self.shows_pictures() || self == Self::List
    }
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    let kinds = check_usage(arguments)?;
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let mut sources = Sources::open(&[&arguments.source], Reader::new(&settings, &context, &watcher))?;
    if sources.is_combination(0) {
        let reason = "its weights may be negative. Give a single sample";
        return Err(Error::unsupported(format!("reduce the expression '{}'", arguments.source), reason));
    }
    let gallery = sources.gallery(0);
    if let Some(at) = kinds.iter().position(|kind| kind.shows_pictures()).filter(|_| gallery.is_none()) {
        let allowed = "a name that ends in .npy, .csv, .json or .kme: the source holds points, not pictures";
        return Err(Error::parameter("output", arguments.output[at].display(), allowed));
    }
    let is_random = sources.all()[0].is_random();
    let sample = sources.read(0, None)?;
    let total = sample.points.len();
    if !(1..=total).contains(&arguments.n) {
        let allowed = format!("from 1 to {total}, the number of points of {}", arguments.source);
        return Err(Error::parameter("n", arguments.n, allowed));
    }
    let method = method(arguments);
    let own = || sample.kernel.as_ref().filter(|kernel| method.takes(kernel)).map(KernelSpec::from);
    let kernel = arguments.kernel.clone().or_else(own);
    let whole = sample.weighted();
    let coreset = Reduction { n: arguments.n, method, kernel, seed: global.seed() }.run(whole)?;

    let is_seeded = is_random || method.is_random();
    let found = Found { arguments, sample: &sample, coreset: &coreset, is_seeded };
    for (kind, path) in kinds.iter().zip(&arguments.output) {
        found.write(*kind, path, gallery.as_ref(), global, begin)?;
    }
    output::print(global, &found.text(), fields(found.json(begin)))?;
    Ok(true)
}

/// What can be said before anything is read.
fn check_usage(arguments: &Arguments) -> Result<Vec<Kind>> {
    if arguments.n == 0 {
        return Err(Error::parameter("n", 0, "at least 1"));
    }
    let by = arguments.by.to_string();
    let only = |flag: &'static str, is_given: bool, methods: &[&str]| match is_given && !methods.contains(&&*by) {
        true => {
            let methods = methods.iter().map(|m| format!("--by {m}")).collect::<Vec<_>>().join(" and ");
            Err(Error::not_applicable(flag, format!("it goes with {methods}")))
        }
        false => Ok(()),
    };
    only("exchanges", arguments.exchanges.is_some(), &["herding", "thinning"])?;
    only("compress", arguments.compress.is_some(), &["thinning"])?;
    only("steps", arguments.steps.is_some(), &["support"])?;
    only("snap", arguments.snap, &["support"])?;
    let kinds = arguments.output.iter().map(|path| Kind::of(path)).collect::<Result<Vec<_>>>()?;
    for (kind, path) in kinds.iter().zip(&arguments.output) {
        match kind {
            Kind::Folder => output::check_new_folder(path, "a file")?,
            _ => output::check_place(path)?,
        }
        if kind.needs_places() && method(arguments).moves_points() {
            let allowed = "a name that ends in .kme, .npy, .csv or .json, since the points were moved; or add --snap";
            return Err(Error::parameter("output", path.display(), allowed));
        }
    }
    Ok(kinds)
}

/// The method that was asked for, with the settings that were.
fn method(arguments: &Arguments) -> ReductionMethod {
    let weighting = arguments.weights;
    match arguments.by {
        ReductionMethod::Herding(by) => {
            ReductionMethod::Herding(Herding { exchanges: arguments.exchanges.unwrap_or(by.exchanges), weighting })
        }
        ReductionMethod::Thinning(by) => ReductionMethod::Thinning(Thinning {
            compress: arguments.compress.map_or(by.compress, |Compression(g)| g),
            exchanges: arguments.exchanges.unwrap_or(by.exchanges),
            weighting,
        }),
        ReductionMethod::Support(by) => {
            let steps = arguments.steps.unwrap_or(by.steps);
            ReductionMethod::Support(Support { steps, snap: arguments.snap, weighting, ..by })
        }
    }
}

/// What was found, with all that is said about it.
struct Found<'a> {
    arguments: &'a Arguments,
    sample: &'a Sample,
    coreset: &'a Coreset,
    is_seeded: bool,
}

impl Found<'_> {
    /// The name of a chosen one, or its place counted from 0.
    fn name(&self, i: usize) -> String {
        self.sample.names.as_ref().map_or_else(|| i.to_string(), |names| names[i].clone())
    }

    fn write(&self, kind: Kind, path: &Path, gallery: Option<&Gallery>, global: &Global, begin: Instant) -> Result<()> {
        let places = self.coreset.reduced.indices.as_deref().unwrap_or_default();
        let names = self.sample.names.as_deref();
        match (kind, gallery) {
            (Kind::Points, _) => self.coreset.reduced.points.write(path),
            (Kind::Embedding, _) => self.embedding(global)?.write(path),
            (Kind::List, _) => {
                write_atomically(path, |out| places.iter().try_for_each(|&i| writeln!(out, "{}", self.name(i))))
            }
            (Kind::Json, _) => {
                let mut object = fields(self.json(begin));
                object.insert("seed".into(), global.seed().into());
                object.insert("version".into(), env!("CARGO_PKG_VERSION").into());
                write_atomically(path, |out| writeln!(out, "{}", Value::Object(object)))
            }
            (Kind::Sheet, Some(gallery)) => Grid::default().lay_out(&gallery.sheet(places, names)?)?.write_png(0, path),
            (Kind::Folder, Some(gallery)) => self.write_folder(path, gallery, places),
            (Kind::Sheet | Kind::Folder, None) => Ok(()),
        }
    }

    /// The chosen pictures as PNG files, named by their place in the choice and by their own name.
    fn write_folder(&self, folder: &Path, gallery: &Gallery, places: &[usize]) -> Result<()> {
        let folder = NewFolder::create(folder)?;
        let digits = (places.len().max(2) - 1).to_string().len();
        for (rank, &i) in places.iter().enumerate() {
            // One at a time: they may be large.
            let picture = gallery.pictures(&[i], self.sample.names.as_deref(), Look::Own)?;
            let plain = |c: char| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
            let stem: String =
                Path::new(&self.name(i)).with_extension("").to_string_lossy().chars().map(plain).collect();
            folder.write(format!("{rank:0digits$}-{stem}.png"), &picture[0].to_png(0)?)?;
        }
        folder.finish()
    }

    fn embedding(&self, global: &Global) -> Result<Embedding> {
        let Coreset { reduced, kernel, .. } = self.coreset;
        let weights = Some(reduced.weights.as_slice()).filter(|_| self.arguments.weights == Weighting::Optimal);
        let mu = Embedding::of(kme::Sample { points: reduced.points.view(), weights }, kernel.clone())?;
        Ok(mu.with_features(self.sample.features.clone()).with_seed(self.is_seeded.then(|| global.seed())))
    }

    fn text(&self) -> String {
        let Self { arguments, coreset: Coreset { reduced, kernel, random_subsets: random }, .. } = self;
        let (n, total, d) = (arguments.n, self.sample.points.len(), reduced.points.dim());
        let root = |mmd2: f64| output::with_error(mmd2.max(0.0).sqrt(), None);
        let row = |name: &str, mmd2: f64| vec![name.to_string(), output::with_error(mmd2, None), root(mmd2)];
        let rows = [
            vec!["".into(), "MMD^2".into(), "MMD".into()],
            row(&arguments.by.to_string(), reduced.mmd2),
            row("random subsets, 5 %", random.low),
            row("random subsets, 50 %", random.median),
            row("random subsets, 95 %", random.high),
        ];
        let mut text = format!("{n} of {total} points of dimension {d}\n{}", output::aligned(&rows));
        text.push_str(&format!(
            "kernel {}, features {}, weights {}\n",
            kernel,
            output::features(&self.sample.features.name, &self.sample.features.protocol),
            arguments.weights
        ));
        match (&reduced.indices, arguments.output.is_empty()) {
            (Some(places), true) => {
                for &i in places {
                    text.push_str(&self.name(i));
                    text.push('\n');
                }
            }
            _ => {
                for path in &arguments.output {
                    text.push_str(&format!("written: {}\n", path.display()));
                }
            }
        }
        text
    }

    fn json(&self, begin: Instant) -> Value {
        let Self { arguments, coreset: Coreset { reduced, kernel, random_subsets }, .. } = self;
        let names = self.sample.names.as_ref().zip(reduced.indices.as_ref());
        json!({
            "metric": "mmd2",
            "value": reduced.mmd2,
            "mmd": reduced.mmd2.max(0.0).sqrt(),
            "estimator": "biased",
            "method": arguments.by.to_string(),
            "source": arguments.source,
            "n": arguments.n,
            "of": self.sample.points.len(),
            "d": reduced.points.dim(),
            "kernel": kernel.to_string(),
            "features": self.sample.features,
            "fingerprint": self.sample.fingerprint,
            "random_subsets": random_subsets,
            "indices": reduced.indices,
            "names": names.map(|(names, places)| places.iter().map(|&i| names[i].clone()).collect::<Vec<_>>()),
            "weights": reduced.weights,
            "weighting": arguments.weights,
            "output": arguments.output.iter().map(|path| output::name(path)).collect::<Vec<_>>(),
            "seconds": begin.elapsed().as_secs_f64(),
        })
    }
}
