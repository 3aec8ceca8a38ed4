//! `kme sample`

use crate::arguments::{self, Global};
use crate::output::{self, fields};
use crate::progress;
use clap::Args;
use kme::io::NewFolder;
use kme::{Error, Points, Result, rng};
use kme_image::{Grid, Images, scatter};
use kme_net::Generator;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Draw pictures or points from a generator
///
/// Writes pictures as one sheet (.png) or as PNG files in a new folder, and points as a file (.npy, .csv, .tsv) or a scatter
/// plot (.png).
#[derive(Args)]
#[command(
    before_help = "\
Examples:
  kme sample fashion -n 64 -o sheet.png
  kme sample runs/mine -n 10000 -o samples/ --seed 1
  kme sample runs/digits --class 7 -o sevens.png
  kme sample runs/digits --class all -n 10 -o digits.png    10 of each class
  kme sample fashion --interpolate -n 6 --steps 10 -o paths.png
  kme sample fashion --interpolate -n 6 --steps 20 -o loop.gif
  kme sample fashion --latents z.npy -o matched.png         latents from kme match
  kme sample runs/vae --manifold -n 20 -o plane.png         20 x 20 pictures
  kme sample runs/toy -n 5000 -o points.npy",
    after_long_help = "\
Classes:
Without --class, a generator trained with labels draws classes at random, all equally likely. --class all draws one class per row and one
latent per column, so that a column shows the effect of the class alone; in a folder, each class has its own folder.

Interpolation:
Every row goes from one latent to another in equal steps: along a line for a uniform prior, along an arc (spherical
interpolation) for a normal one. A row has one class. A .gif goes through N latents and back to the first, with K pictures
from each to the next.

Manifold:
Two latent coordinates vary and all others are 0: the first from left to right, the second from top to bottom, over the
quantiles (i - 1/2)/N of the prior. If latents have two coordinates, this is the whole latent space. The seed has no effect."
)]
pub(crate) struct Arguments {
    /// A run folder, a weights file, or the name of a model (see `kme models list`)
    #[arg(value_name = "GENERATOR")]
    generator: String,
    /// Draw N samples [default: 64]; N per class with --class all [8]; N rows with --interpolate [8]; N x N with --manifold [16]
    #[arg(short, value_name = "N", value_parser = arguments::count::<usize>)]
    n: Option<usize>,
    /// Write a sheet (.png), or pictures to a new folder; .gif with --interpolate; for points .npy, .csv, .tsv or .png
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Read latents from this file, one per row, instead of drawing them; with classes, each followed by its class number
    #[arg(long, value_name = "Z.npy", conflicts_with_all = ["n", "manifold"])]
    latents: Option<PathBuf>,
    /// Draw this class, by name or by number from 0; all: a row of each class
    #[arg(long, value_name = "NAME|NUMBER|all")]
    class: Option<String>,
    /// Interpolate between pairs of latents, one pair per row
    #[arg(long, conflicts_with = "manifold")]
    interpolate: bool,
    /// Show K pictures on each path of --interpolate, both ends included (in a .gif without the last)
    #[arg(
        long,
        value_name = "K",
        default_value_t = 8,
        requires = "interpolate",
        value_parser = arguments::count::<usize>
    )]
    steps: usize,
    /// Show the plane of two latent coordinates
    #[arg(long)]
    manifold: bool,
    /// Vary these two latent coordinates with --manifold, counted from 0
    #[arg(long, value_name = "I,J", default_value = "0,1", requires = "manifold", value_parser = pair)]
    coordinates: [usize; 2],
}

fn pair(text: &str) -> Result<[usize; 2]> {
    let fault = || Error::syntax("coordinates", text, "write two numbers from 0 on, such as 0,1");
    let (first, second) = text.split_once(',').ok_or_else(fault)?;
    let number = |text: &str| text.trim().parse().map_err(|_| fault());
    Ok([number(first)?, number(second)?])
}

/// Pictures or points drawn at most.
const MOST: usize = 1_000_000;

/// What is asked of the network, and how it is shown.
struct Plan {
    latents: Vec<f32>,
    /// Of a conditional generator, one for each latent.
    classes: Vec<usize>,
    /// Of a sheet that has an order.
    columns: Option<usize>,
    /// Whether every row is a class.
    by_class: bool,
}

impl Plan {
    fn new(arguments: &Arguments, generator: &Generator, seed: u64) -> Result<Self> {
        let by_class = arguments.class.as_deref() == Some("all") && generator.class("all").is_err();
        if by_class && !generator.is_conditional() {
            return Err(Error::not_applicable("class", "this generator was trained without classes"));
        }
        let class = match arguments.class.as_deref().filter(|_| !by_class) {
            Some(name) => Some(generator.class(name)?),
            None => None,
        };
        let default = if arguments.manifold {
            16
        } else if by_class || arguments.interpolate {
            8
        } else {
            64
        };
        let classes = generator.classes.len();
        // One way through all classes: a row for each.
        let of_classes = by_class && arguments.interpolate;
        let n = arguments.n.unwrap_or(if of_classes { classes } else { default });
        let of_each = if arguments.manifold {
            n
        } else if arguments.interpolate {
            arguments.steps
        } else if by_class {
            classes
        } else {
            1
        };
        if n == 0 || n.checked_mul(of_each).is_none_or(|all| all > MOST) {
            let given = if of_each == 1 || n == 0 { n.to_string() } else { format!("{n} times {of_each}") };
            return Err(Error::parameter("n", given, format!("from 1 to {MOST}")));
        }
        let latent = generator.latent;
        // A class for each row or picture, where there are classes.
        let labels = |rows: usize| match class {
            Some(class) => vec![class; rows],
            None => generator.draw_classes(rows, &mut rng::stream(seed, "sample class", 0)),
        };
        let draw = |n: usize| latent.draw(n, &mut rng::stream(seed, "sample", 0));
        if let Some(path) = &arguments.latents {
            return Self::of_file(path, class, by_class, arguments, generator);
        }
        if arguments.is_walk() {
            let class = match (by_class, class, generator.is_conditional()) {
                (true, ..) => return Err(Error::parameter("class", "all", "one class for a .gif")),
                (_, None, true) => labels(1)[0],
                (_, class, _) => class.unwrap_or_default(),
            };
            return Self::walk(&draw(n), class, arguments, generator);
        }
        if arguments.manifold {
            if class.is_none() && generator.is_conditional() {
                let given = arguments.class.as_deref().unwrap_or("(nothing)");
                return Err(Error::parameter("class", given, "one class for --manifold, whose grid shows no more"));
            }
            let latents = latent.manifold(n, arguments.coordinates)?;
            return Ok(Self { latents, classes: labels(n * n), columns: Some(n), by_class });
        }
        if arguments.interpolate {
            let steps = arguments.steps;
            if of_classes && n != classes {
                let allowed = format!("{classes} with --interpolate --class all, a row for each class, or left out");
                return Err(Error::parameter("n", n, allowed));
            }
            let row_classes = if by_class { (0..classes).collect() } else { labels(n) };
            let ends = draw(if by_class { 2 } else { 2 * n });
            let mut latents = Vec::new();
            for row in 0..n {
                let ends = &ends[if by_class { 0 } else { 2 * row * latent.dim }..][..2 * latent.dim];
                latents.extend(latent.interpolate(&ends[..latent.dim], &ends[latent.dim..], steps)?);
            }
            let classes = row_classes.into_iter().flat_map(|class: usize| vec![class; steps]).collect();
            return Ok(Self { latents, classes, columns: Some(steps), by_class });
        }
        if by_class {
            let row = draw(n);
            let latents = row.repeat(classes);
            let classes = (0..classes).flat_map(|class| vec![class; n]).collect();
            return Ok(Self { latents, classes, columns: Some(n), by_class });
        }
        Ok(Self { latents: draw(n), classes: labels(n), columns: None, by_class })
    }

    /// The latents of a file; with --interpolate the way from each to the next.
    fn of_file(
        path: &Path,
        class: Option<usize>,
        by_class: bool,
        arguments: &Arguments,
        generator: &Generator,
    ) -> Result<Self> {
        if by_class {
            return Err(Error::parameter("class", "all", "one class, or left out, with --latents"));
        }
        let (latents, classes) =
            generator.unstored(&Points::read(path)?, class).map_err(|fault| fault.within(path.display()))?;
        let dim = generator.latent.dim;
        let n = latents.len() / dim;
        if arguments.is_walk() {
            if let Some(other) = classes.iter().find(|class| *class != &classes[0]) {
                let given = format!("{} and {}", generator.classes[classes[0]], generator.classes[*other]);
                return Err(Error::parameter("class", given, "one class for all latents of an interpolation"));
            }
            return Self::walk(&latents, classes.first().copied().unwrap_or_default(), arguments, generator);
        }
        if !arguments.interpolate {
            return Ok(Self { latents, classes, columns: None, by_class });
        }
        if n < 2 {
            return Err(Error::too_few("latents", n, 2, "an interpolation"));
        }
        let steps = arguments.steps;
        let mut ways = Vec::new();
        for ends in latents.windows(2 * dim).step_by(dim) {
            ways.extend(generator.latent.interpolate(&ends[..dim], &ends[dim..], steps)?);
        }
        // A row keeps the class of its beginning.
        let classes = classes.iter().take(n - 1).flat_map(|&class| vec![class; steps]).collect();
        Ok(Self { latents: ways, classes, columns: Some(steps), by_class })
    }

    /// The closed walk over `latents`: from each to the next, and from the last to the first.
    fn walk(latents: &[f32], class: usize, arguments: &Arguments, generator: &Generator) -> Result<Self> {
        let dim = generator.latent.dim;
        let all: Vec<&[f32]> = latents.chunks(dim).collect();
        if all.len() < 2 {
            return Err(Error::too_few("latents", all.len(), 2, "an interpolation"));
        }
        let mut ways = Vec::new();
        for (i, from) in all.iter().enumerate() {
            // The end of a way is the beginning of the next.
            let way = generator.latent.interpolate(from, all[(i + 1) % all.len()], arguments.steps + 1)?;
            ways.extend_from_slice(&way[..arguments.steps * dim]);
        }
        let n = ways.len() / dim;
        let classes = if generator.is_conditional() { vec![class; n] } else { Vec::new() };
        Ok(Self { latents: ways, classes, columns: None, by_class: false })
    }

    /// Where each picture goes in a folder.
    fn names(&self, n: usize, generator: &Generator) -> Vec<PathBuf> {
        let numbered = output::numbered;
        let Some(columns) = self.columns.filter(|_| self.by_class) else {
            return (0..n).map(|i| numbered(i, n).into()).collect();
        };
        let folder = |class: usize| file_name(class, &generator.classes[class], generator.classes.len());
        (0..n).map(|i| Path::new(&folder(self.classes[i])).join(numbered(i % columns, columns))).collect()
    }
}

/// A class as the name of a folder: its number, so that no two are alike and the order stays, and of its name what every
/// file system takes.
fn file_name(class: usize, name: &str, classes: usize) -> String {
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect();
    format!("{class:0digits$}-{plain}", digits = (classes - 1).to_string().len())
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let context = global.context()?;
    let (bytes, path) = context.models.bytes(&arguments.generator)?;
    let generator = Generator::parse(&bytes, &path, &context.place)?;
    let plan = Plan::new(arguments, &generator, global.seed())?;
    let out = &arguments.output;
    // Before anything is computed.
    match generator.points {
        true => check_points_output(out)?,
        false => check_pictures_output(arguments)?,
    }
    let inputs = generator.inputs(&plan.latents, &plan.classes)?;
    let n = plan.latents.len() / generator.latent.dim;
    if generator.points {
        write_points(&generator.points_from(&inputs)?, out)?;
    } else {
        write_pictures(&inputs, &plan, &generator, out, global)?;
    }
    let what = output::counted(n, if generator.points { "point" } else { "picture" });
    let text = format!("{}: {what} (seed {})", out.display(), global.seed());
    let names: Vec<&String> = plan.classes.iter().map(|&class| &generator.classes[class]).collect();
    let mut json = json!({ "output": output::name(out), "n": n, "generator": arguments.generator });
    if generator.is_conditional() {
        json["classes"] = json!(names);
    }
    output::print(global, &text, fields(json))?;
    Ok(true)
}

impl Arguments {
    /// Whether pictures follow each other in time.
    fn is_walk(&self) -> bool {
        self.interpolate && output::has_ending(&self.output, "gif")
    }
}

fn is_png(path: &Path) -> bool {
    output::has_ending(path, "png")
}

fn check_points_output(out: &Path) -> Result<()> {
    let known = |e: &std::ffi::OsStr| ["npy", "csv", "tsv", "png"].iter().any(|known| e.eq_ignore_ascii_case(known));
    if out.extension().is_some_and(known) {
        return output::check_place(out);
    }
    let allowed = "a name that ends in .npy, .csv, .tsv or .png: this generator makes points, not pictures";
    Err(Error::parameter("output", out.display(), allowed))
}

fn check_pictures_output(arguments: &Arguments) -> Result<()> {
    let out = &arguments.output;
    if is_png(out) || arguments.is_walk() {
        return output::check_place(out);
    }
    if output::has_ending(out, "gif") && !output::is_folder_name(out) {
        let allowed = "a name that ends in .png; one that ends in .gif with --interpolate only";
        return Err(Error::parameter("output", out.display(), allowed));
    }
    let allowed = match arguments.interpolate {
        true => "a name that ends in .png (a sheet) or .gif (the interpolation)",
        false => "a name that ends in .png",
    };
    output::check_new_folder(out, allowed)
}

fn write_points(points: &Points, out: &Path) -> Result<()> {
    if is_png(out) { scatter(points, None)?.write_png(0, out) } else { points.write(out) }
}

/// Pictures of a folder that are made at a time; a multiple of the batch that the network sees, so that bits stay the same.
const TOGETHER: usize = 1000;

/// For how long each picture of a walk is shown.
const SHOWN: Duration = Duration::from_millis(80);

/// The pictures of these inputs as a sheet, one after another, or as files of a folder.
fn write_pictures(inputs: &[f32], plan: &Plan, generator: &Generator, out: &Path, global: &Global) -> Result<()> {
    let dim = generator.width();
    let n = inputs.len() / dim;
    let bar = progress::bar(global, n as u64, "sample");
    let together = |inputs: &[f32]| -> Result<Images> {
        let some = inputs.chunks(TOGETHER * dim).map(|some| {
            let pictures = generator.pictures_from(some)?;
            bar.inc(pictures.len() as u64);
            Ok(pictures)
        });
        Images::concat(&some.collect::<Result<Vec<_>>>()?)
    };
    if is_png(out) {
        let grid = Grid { columns: plan.columns, ..Grid::default() };
        // Before anything is computed.
        let [_, h, w] = generator.net.output();
        grid.size(n, [h, w])?;
        let pictures = together(inputs)?;
        bar.finish_and_clear();
        return grid.lay_out(&pictures)?.write_png(0, out);
    }
    if output::has_ending(out, "gif") && !output::is_folder_name(out) {
        let pictures = together(inputs)?;
        bar.finish_and_clear();
        return pictures.write_gif(SHOWN, out);
    }
    let folder = NewFolder::create(out)?;
    let mut names = plan.names(n, generator).into_iter();
    for some in inputs.chunks(TOGETHER * dim) {
        let pictures = generator.pictures_from(some)?;
        for (i, name) in names.by_ref().take(pictures.len()).enumerate() {
            folder.write(name, &pictures.to_png(i)?)?;
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    folder.finish()
}
