//! `kme rank`

use crate::arguments::{self, Global};
use crate::output::{self, fields};
use crate::progress::Watcher;
use crate::sources::SourceFlags;
use clap::Args;
use kme::internal::io::write_atomically;
use kme::{Error, KernelSpec, Result};
use kme_deep::{Order, Ranked, RankedSample, Ranking, Reader, Sources};
use serde_json::{Value, json};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// List the pictures that drive the difference: the worst fakes and the most missed reals
///
/// Every point gets the value of the witness f = mu_candidate - mu_reference: how much denser the candidate is there than
/// the reference. The worst fakes have the largest f (the reference has few like them), the most missed reals the smallest
/// (the candidate has few like them).
#[derive(Args)]
#[command(before_help = EXAMPLES, after_long_help = format!("{NOTES}\n\n{}", crate::sources::notes()))]
pub(crate) struct Arguments {
    /// The real sample
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// The sample to judge
    #[arg(value_name = "CANDIDATE")]
    candidate: String,
    /// Rank by witness, or by density: how little of the other sample lies around a point
    #[arg(long, value_name = "ORDER", default_value_t = Order::Witness)]
    by: Order,
    /// List and show N of each
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = arguments::count::<usize>)]
    top: usize,
    /// Draw the worst fakes, worst first; the other end of the ranking is below
    #[arg(long, value_name = "OUT.png")]
    fakes: Option<PathBuf>,
    /// Draw the most missed reals, most missed first; the other end of the ranking is below
    #[arg(long, value_name = "OUT.png")]
    missed: Option<PathBuf>,
    /// Write all points with values and ranks (.csv, .tsv or .json)
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Use this kernel [default: the one of an embedding among the two, else gaussian:sigma=median]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const EXAMPLES: &str = "\
Examples:
  kme rank fashion-mnist:test samples/ --features fashion-classifier --fakes worst.png
  kme rank test.kme runs/mine --samples 5000 --missed missed.png -o all.csv
  kme rank real.npy fake.npy --kernel gaussian:sigma=0.5*median --json";

const NOTES: &str = "\
Reading the numbers:
own is the mean kernel value between a point and the other points of its own sample; other is the mean over the other
sample. A fake has the witness own - other, a real other - own. 0 means that both samples are equally dense there. The mean
over the fakes minus the mean over the reals is the unbiased MMD^2.

Values scatter by about 1/sqrt(n) of the kernel's values even if the distributions are equal, so some points are always the
worst. To see how much is chance, rank two halves of the reference.

Choosing the length:
The default, gaussian:sigma=median, sees whole kinds of pictures that are too many or too few. 0.3*median sees single broken
pictures better, but needs some thousands of points. A picture like no other has little density of either kind, so its
witness is near 0: find it with --by density and a short length such as gaussian:sigma=0.15*median.";

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    check_usage(arguments)?;
    let texts = [&arguments.reference, &arguments.candidate];
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let mut sources = Sources::open(&texts, Reader::new(&settings, &context, &watcher))?;
    for (flag, path, i) in [("missed", &arguments.missed, 0), ("fakes", &arguments.fakes, 1)] {
        if path.is_some() && sources.gallery(i).is_none() {
            let reason = format!("{} holds points. Name the folder of pictures that they come from", texts[i]);
            return Err(Error::not_applicable(flag, reason));
        }
    }
    let ranked = Ranking { by: arguments.by, kernel: arguments.kernel.clone() }.run(&mut sources)?;
    let Ranked { kernel, fakes, reals } = &ranked;
    let of_fakes = ["worst fakes", "fakes at the other end"];
    let of_reals = ["most missed reals", "reals at the other end"];
    for (path, side, titles) in [(&arguments.fakes, fakes, of_fakes), (&arguments.missed, reals, of_reals)] {
        if let Some(path) = path {
            side.sheet(arguments.top, titles)?.write_png(0, path)?;
        }
    }
    let head = json!({
        "reference": arguments.reference,
        "candidate": arguments.candidate,
        "order": arguments.by.to_string(),
        "kernel": kernel.to_string(),
        "features": reals.sample.features,
        "n": reals.sample.points.len(),
        "m": fakes.sample.points.len(),
    });
    let sides = [("fake", fakes), ("real", reals)];
    if let Some(path) = &arguments.output {
        write_all(path, sides, &head)?;
    }
    report(arguments, global, sides, head, begin)?;
    Ok(true)
}

/// The role of a sample, and the sample.
type Side<'a> = (&'static str, &'a RankedSample);

/// A line of the ranking.
fn line(side: &RankedSample, rank: usize) -> Value {
    let i = side.order[rank];
    json!({
        "rank": rank + 1,
        "name": side.name(i),
        "index": i,
        "witness": side.witness[i],
        "own": side.values.own[i],
        "other": side.values.other[i],
    })
}

/// What can be said before anything is read.
fn check_usage(arguments: &Arguments) -> Result<()> {
    if !(1..=1000).contains(&arguments.top) {
        return Err(Error::parameter("top", arguments.top, "from 1 to 1000"));
    }
    for path in [&arguments.fakes, &arguments.missed].into_iter().flatten() {
        output::check_ending(path, "png")?;
        output::check_place(path)?;
    }
    if let Some(path) = &arguments.output {
        if !["csv", "tsv", "json"].iter().any(|ending| output::has_ending(path, ending)) {
            let allowed = "a name that ends in .csv, .tsv or .json; sheets are written by --fakes and --missed";
            return Err(Error::parameter("output", path.display(), allowed));
        }
        output::check_place(path)?;
    }
    Ok(())
}

/// The whole table.
fn write_all(path: &Path, sides: [Side; 2], head: &Value) -> Result<()> {
    if output::has_ending(path, "json") {
        let mut object = fields(head.clone());
        for (role, side) in sides {
            let ranked: Vec<Value> = (0..side.order.len()).map(|rank| line(side, rank)).collect();
            object.insert(format!("{role}s"), ranked.into());
        }
        return write_atomically(path, |out| writeln!(out, "{}", Value::Object(object)));
    }
    let header = ["sample", "rank", "name", "index", "witness", "own", "other"].map(String::from);
    let rows = sides.into_iter().flat_map(|(role, side)| {
        side.order.iter().enumerate().map(move |(rank, &i)| {
            let [witness, own, other] =
                [side.witness[i], side.values.own[i], side.values.other[i]].map(|x| x.to_string());
            [role.into(), (rank + 1).to_string(), side.name(i), i.to_string(), witness, own, other]
        })
    });
    let separator = if output::has_ending(path, "csv") { b',' } else { b'\t' };
    let table = output::separated(std::iter::once(header).chain(rows), separator);
    write_atomically(path, |out| out.write_all(table.as_bytes()))
}

fn report(arguments: &Arguments, global: &Global, sides: [Side; 2], head: Value, begin: Instant) -> Result<()> {
    let mut object = fields(head);
    let mut text = String::new();
    for ((role, side), title) in sides.into_iter().zip(["worst fakes", "most missed reals"]) {
        let top = arguments.top.min(side.order.len());
        let mut rows = vec![["rank", title, "witness", "own", "other"].map(String::from).to_vec()];
        for (rank, &i) in side.order[..top].iter().enumerate() {
            let number = |x: f64| output::with_error(x, None);
            let (own, other) = (side.values.own[i], side.values.other[i]);
            rows.push(vec![(rank + 1).to_string(), side.name(i), number(side.witness[i]), number(own), number(other)]);
        }
        text.push_str(&output::aligned(&rows));
        text.push('\n');
        let listed: Vec<Value> = (0..top).map(|rank| line(side, rank)).collect();
        object.insert(title.replace(' ', "_"), listed.into());
        object.insert(format!("mean_witness_of_{role}s"), side.mean_witness().into());
    }
    let [fakes, reals] = sides.map(|(_, side)| side.mean_witness());
    text.push_str(&format!(
        "mean of the witness: fakes {}, reals {}, ranked by {}\n",
        output::with_error(fakes, None),
        output::with_error(reals, None),
        arguments.by
    ));
    let of = |member: &str| object["features"][member].as_str().unwrap_or_default();
    let features = output::features(of("name"), of("protocol"));
    text.push_str(&format!("kernel {}, features {features}\n", object["kernel"].as_str().unwrap_or_default()));
    for path in [&arguments.fakes, &arguments.missed, &arguments.output].into_iter().flatten() {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    object.insert("seconds".into(), begin.elapsed().as_secs_f64().into());
    output::print(global, &text, object)
}
