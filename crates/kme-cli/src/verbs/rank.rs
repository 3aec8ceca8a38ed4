//! `kme rank`

use crate::arguments::{self, Global};
use crate::output::{self, fields};
use crate::progress::Watcher;
use crate::sources::SourceFlags;
use clap::Args;
use kme::discrepancy::{self, LeftOut, left_out};
use kme::io::write_atomically;
use kme::sums::Precision;
use kme::{Error, KernelSpec, Result};
use kme_deep::sample::{Gallery, Reader, Repeated, Sample, Sources, common_kernel};
use kme_image::{Grid, Part, sheet};
use serde_json::{Value, json};
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

/// Say which pictures make the difference: the worst fakes and the most missed reals
///
/// Each point of both samples gets the value of the witness f = mu_candidate - mu_reference there: how much denser the
/// candidate is than the reference around it. Its own term is left out, so that no point counts for its own density. The
/// worst fakes are the candidates with the largest f: the reference has few like them, the candidate many. The most missed
/// are the reference's points with the lowest f: the candidate has few like them.
#[derive(Args)]
#[command(after_help = format!("{EXAMPLES}\n\n{}\n\n{}", crate::sources::KERNELS, crate::sources::HELP))]
pub(crate) struct Arguments {
    /// What is right
    #[arg(value_name = "REFERENCE")]
    reference: String,
    /// What is judged
    #[arg(value_name = "CANDIDATE")]
    candidate: String,
    /// witness, or density: that of the other sample alone, lowest first
    #[arg(long, value_name = "ORDER", default_value_t = Order::Witness)]
    by: Order,
    /// How many to list and to show of each
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = arguments::count::<usize>)]
    top: usize,
    /// Sheet of the worst fakes (.png), worst first, and below them those at the other end
    #[arg(long, value_name = "OUT.png")]
    fakes: Option<PathBuf>,
    /// Sheet of the most missed reals (.png), most missed first, and below them those at the other end
    #[arg(long, value_name = "OUT.png")]
    missed: Option<PathBuf>,
    /// All points of both samples with values and ranks (.csv, .tsv or .json)
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Kernel [default: that of an embedding among the two, else gaussian:sigma=median]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    // Last, since its heading holds for what follows.
    #[command(flatten)]
    flags: SourceFlags,
}

const EXAMPLES: &str = "\
Examples:
  kme rank fashion-mnist:test samples/ --features fashion-classifier --fakes worst.png --missed missed.png
  kme rank test.kme runs/mine --samples 5000 --fakes worst.png -o all.csv
  kme rank real.npy fake.npy --kernel gaussian:sigma=0.5*median --json

How to read the numbers:
  own and other are the mean of the kernel between a point and the other points of its own sample,
  and between it and the points of the other sample. The witness is candidate minus reference: for a
  fake own - other, for a real other - own. 0 means that both samples are equally dense there. For a
  Gaussian kernel all lie between -1 and 1. The mean of f over the fakes minus its mean over the reals
  is the unbiased MMD^2: the values say how much each point adds to it, and they scatter by about
  1/sqrt(n) of the kernel's values even where the two distributions are the same, so of many points
  some are the worst by chance. Compare with the ranking of two halves of the reference.

  A picture like no other at all, real or fake, has little density of either kind and so a witness
  near 0, if the kernel is local. --by density finds those when the length is small, such as
  gaussian:sigma=0.15*median: it ranks fakes by how little the reference has around them, and reals by
  how little the candidate has. With a wide kernel it finds the outskirts of the other sample instead.

  The default sigma, the median distance, sees whole kinds of pictures that are too many or too few;
  0.3*median sees single broken ones better, and needs some thousands of points.";

/// What the ranking goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    Witness,
    Density,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Witness => "witness",
            Self::Density => "density",
        })
    }
}

impl FromStr for Order {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "witness" => Ok(Self::Witness),
            "density" => Ok(Self::Density),
            _ => Err(Error::unknown("order", text, ["witness", "density"])),
        }
    }
}

/// One of the two samples, ranked.
struct Side<'a> {
    /// fake or real
    role: &'static str,
    sample: &'a Sample,
    values: LeftOut,
    /// f = μ_candidate − μ_reference.
    witness: Vec<f64>,
    /// Places of the points, worst first.
    order: Vec<usize>,
}

impl<'a> Side<'a> {
    fn new(role: &'static str, sample: &'a Sample, values: LeftOut, by: Order) -> Self {
        let own_minus_other = values.witness();
        let bad = match by {
            Order::Witness => own_minus_other.clone(),
            Order::Density => values.other.iter().map(|other| -other).collect(),
        };
        let mut order: Vec<usize> = (0..bad.len()).collect();
        // Of equal ones the first comes first.
        order.sort_by(|&i, &j| bad[j].total_cmp(&bad[i]));
        let sign = if role == "fake" { 1.0 } else { -1.0 };
        let witness = own_minus_other.iter().map(|f| sign * f).collect();
        Self { role, sample, values, witness, order }
    }

    /// The picture's name, or the place of the point counted from 0.
    fn name(&self, i: usize) -> String {
        self.sample.names.as_ref().map_or_else(|| i.to_string(), |names| names[i].clone())
    }

    fn json(&self, rank: usize) -> Value {
        let i = self.order[rank];
        json!({
            "rank": rank + 1,
            "name": self.name(i),
            "index": i,
            "witness": self.witness[i],
            "own": self.values.own[i],
            "other": self.values.other[i],
        })
    }

    /// Sheet of the first and the last of the order.
    fn write_sheet(&self, gallery: &Gallery, top: usize, titles: [&str; 2], path: &Path) -> Result<()> {
        let n = self.order.len();
        let names = self.sample.names.as_deref();
        let first = gallery.sheet(&self.order[..top.min(n)], names)?;
        let last: Vec<usize> = self.order[n.saturating_sub(top)..].iter().rev().copied().collect();
        let last = gallery.sheet(&last, names)?;
        let parts = [Part { label: titles[0], images: &first }, Part { label: titles[1], images: &last }];
        sheet(&parts, &Grid::default())?.write_png(0, path)
    }
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    check_usage(arguments)?;
    let texts = [&arguments.reference, &arguments.candidate];
    let (settings, context, watcher) =
        (arguments.flags.settings(global.seed()), global.context()?, Watcher::new(global));
    let mut sources = Sources::open(&texts, Reader::new(&settings, &context, &watcher))?;
    let galleries = [sources.gallery(0), sources.gallery(1)];
    for (flag, path, i) in [("missed", &arguments.missed, 0), ("fakes", &arguments.fakes, 1)] {
        if path.is_some() && galleries[i].is_none() {
            let reason = format!("{} holds points. Name the folder of pictures that they come from", texts[i]);
            return Err(Error::not_applicable(flag, reason));
        }
    }
    let (real, fake) = (sources.read(0, None)?, sources.read(1, None)?);
    real.check_same_space(texts[0], &fake, texts[1])?;
    for (sample, text) in [(&real, texts[0]), (&fake, texts[1])] {
        if let Some(remark) = Repeated::of(&sample.points).remark(text) {
            output::remark(global, remark);
        }
        if sample.points.len() < 2 {
            return Err(Error::too_few("points", 1, 2, "leaving each out once").within(text));
        }
    }
    let pair = [(texts[0].as_str(), &real), (texts[1].as_str(), &fake)];
    let kernel = common_kernel(arguments.kernel.as_ref(), &pair, "gaussian:sigma=median")?;
    let (x, y) = (weighted(&real), weighted(&fake));
    let (of_real, of_fake) = left_out(&kernel, x, y, Precision::F64)?;
    let fakes = Side::new("fake", &fake, of_fake, arguments.by);
    let reals = Side::new("real", &real, of_real, arguments.by);

    if let (Some(path), [_, Some(gallery)]) = (&arguments.fakes, &galleries) {
        fakes.write_sheet(gallery, arguments.top, ["worst fakes", "fakes at the other end"], path)?;
    }
    if let (Some(path), [Some(gallery), _]) = (&arguments.missed, &galleries) {
        reals.write_sheet(gallery, arguments.top, ["most missed reals", "reals at the other end"], path)?;
    }
    let head = json!({
        "reference": arguments.reference,
        "candidate": arguments.candidate,
        "order": arguments.by.to_string(),
        "kernel": kernel.to_string(),
        "features": real.features,
        "n": real.points.len(),
        "m": fake.points.len(),
    });
    if let Some(path) = &arguments.output {
        write_all(path, [&fakes, &reals], &head)?;
    }
    report(arguments, global, [&fakes, &reals], head, begin)?;
    Ok(true)
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
fn write_all(path: &Path, sides: [&Side; 2], head: &Value) -> Result<()> {
    if output::has_ending(path, "json") {
        let mut object = fields(head.clone());
        for side in sides {
            let ranked: Vec<Value> = (0..side.order.len()).map(|rank| side.json(rank)).collect();
            object.insert(format!("{}s", side.role), ranked.into());
        }
        return write_atomically(path, |out| writeln!(out, "{}", Value::Object(object)));
    }
    let separator = if output::has_ending(path, "csv") { ',' } else { '\t' };
    write_atomically(path, |out| {
        let line = |out: &mut dyn Write, cells: [String; 7]| -> io::Result<()> {
            writeln!(out, "{}", cells.map(|cell| quoted(&cell, separator)).join(&separator.to_string()))
        };
        line(out, ["sample", "rank", "name", "index", "witness", "own", "other"].map(String::from))?;
        for side in sides {
            for (rank, &i) in side.order.iter().enumerate() {
                let numbers = [side.witness[i], side.values.own[i], side.values.other[i]].map(|x| x.to_string());
                let [witness, own, other] = numbers;
                let rank = (rank + 1).to_string();
                line(out, [side.role.into(), rank, side.name(i), i.to_string(), witness, own, other])?;
            }
        }
        Ok(())
    })
}

/// A cell of a table, in quotes where it holds what would end it.
fn quoted(cell: &str, separator: char) -> String {
    match cell.contains([separator, '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.into(),
    }
}

fn report(arguments: &Arguments, global: &Global, sides: [&Side; 2], head: Value, begin: Instant) -> Result<()> {
    let mut object = fields(head);
    let mut text = String::new();
    for (side, title) in sides.into_iter().zip(["worst fakes", "most missed reals"]) {
        let top = arguments.top.min(side.order.len());
        let mut rows = vec![["rank", title, "witness", "own", "other"].map(String::from).to_vec()];
        for (rank, &i) in side.order[..top].iter().enumerate() {
            let number = |x: f64| output::with_error(x, None);
            let (own, other) = (side.values.own[i], side.values.other[i]);
            rows.push(vec![(rank + 1).to_string(), side.name(i), number(side.witness[i]), number(own), number(other)]);
        }
        text.push_str(&output::aligned(&rows));
        text.push('\n');
        let listed: Vec<Value> = (0..top).map(|rank| side.json(rank)).collect();
        object.insert(title.replace(' ', "_"), listed.into());
        object.insert(format!("mean_witness_of_{}s", side.role), mean(&side.witness).into());
    }
    let (fakes, reals) = (mean(&sides[0].witness), mean(&sides[1].witness));
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

fn weighted(sample: &Sample) -> discrepancy::Sample<'_> {
    discrepancy::Sample { points: &sample.points, weights: sample.weights.as_deref() }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
