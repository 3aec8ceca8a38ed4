//! `kme sample`

use crate::arguments::{self, Global};
use crate::ending::is_folder_name;
use crate::output::{self, fields};
use crate::progress;
use clap::Args;
use kme::internal::io::NewFolder;
use kme::{Error, Points, Result};
use kme_image::{Grid, Images, scatter};
use kme_net::{Arrangement, DrawRequest, Drawn, Generator, Makes};
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

/// Where each picture goes in a folder.
fn names(drawn: &Drawn, n: usize, generator: &dyn Generator) -> Vec<PathBuf> {
    let numbered = output::numbered;
    let Some(columns) = drawn.columns.filter(|_| drawn.by_class) else {
        return (0..n).map(|i| numbered(i, n).into()).collect();
    };
    let folder = |class: usize| file_name(class, &generator.classes()[class], generator.classes().len());
    (0..n).map(|i| Path::new(&folder(drawn.classes[i])).join(numbered(i % columns, columns))).collect()
}

/// A class as the name of a folder: its number, so that no two are alike and the order stays, and of its name what every
/// file system takes.
fn file_name(class: usize, name: &str, classes: usize) -> String {
    let plain: String = name.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect();
    format!("{class:0digits$}-{plain}", digits = (classes - 1).to_string().len())
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let context = global.context()?;
    let generator = context.models.generator(&arguments.generator, &context.place)?;
    let generator = &*generator;
    let drawn = arguments.draw(generator, global)?;
    let out = &arguments.output;
    // Before anything is computed.
    match generator.makes() {
        Makes::Points(_) => check_points_output(out)?,
        Makes::Pictures(_) => check_pictures_output(arguments)?,
    }
    let inputs = generator.inputs(&drawn.latents, &drawn.classes)?;
    let n = drawn.latents.len() / generator.latent().dim;
    let what = match generator.makes() {
        Makes::Points(_) => {
            write_points(&generator.points_from(&inputs)?, out)?;
            "point"
        }
        Makes::Pictures(shape) => {
            write_pictures(&inputs, &drawn, (generator, shape), out, global)?;
            "picture"
        }
    };
    let what = output::counted(n, what);
    let text = format!("{}: {what} (seed {})", out.display(), global.seed());
    let names: Vec<&String> = drawn.classes.iter().map(|&class| &generator.classes()[class]).collect();
    let mut json = json!({ "output": output::name(out), "n": n, "generator": arguments.generator });
    if generator.is_conditional() {
        json["classes"] = json!(names);
    }
    output::print(global, &text, fields(json))?;
    Ok(true)
}

impl Arguments {
    fn draw(&self, generator: &dyn Generator, global: &Global) -> Result<Drawn> {
        let steps = self.steps;
        let arrangement = if self.manifold {
            Arrangement::Manifold { coordinates: self.coordinates }
        } else if self.is_walk() {
            Arrangement::Loop { steps }
        } else if self.interpolate {
            Arrangement::Interpolate { steps }
        } else {
            Arrangement::Single
        };
        let latents = self.latents.as_ref().map(Points::read).transpose()?;
        DrawRequest { n: self.n, class: self.class.clone(), arrangement, latents, seed: global.seed() }.run(generator)
    }

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
    if output::has_ending(out, "gif") && !is_folder_name(out) {
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
fn write_pictures(
    inputs: &[f32],
    drawn: &Drawn,
    (generator, [_, h, w]): (&dyn Generator, [usize; 3]),
    out: &Path,
    global: &Global,
) -> Result<()> {
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
        let grid = Grid { columns: drawn.columns, ..Grid::default() };
        // Before anything is computed.
        grid.size(n, [h, w])?;
        let pictures = together(inputs)?;
        bar.finish_and_clear();
        return grid.lay_out(&pictures)?.write_png(0, out);
    }
    if output::has_ending(out, "gif") && !is_folder_name(out) {
        let pictures = together(inputs)?;
        bar.finish_and_clear();
        return pictures.write_gif(SHOWN, out);
    }
    let folder = NewFolder::create(out)?;
    let mut names = names(drawn, n, generator).into_iter();
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
