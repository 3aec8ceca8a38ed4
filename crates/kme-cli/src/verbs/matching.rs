//! `kme match`

use crate::arguments::{self, Global};
use crate::output::{self, fields};
use crate::progress::{self, Watcher};
use clap::Args;
use kme::internal::io::NewFolder;
use kme::{Error, KernelSpec, Result};
use kme_deep::{Match, MatchRequest};
use kme_image::{Crop, Grid, Images, Part, sheet};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

/// Make pictures like those you show: move latents of a generator towards their embedding
///
/// Minimises the MMD between your pictures and N generated ones, in a feature space, by Adam on the latents (Jitkrittum et al.,
/// ICML 2019). Writes a sheet with your pictures above and the generated ones below. Ctrl-C stops after the current step and
/// writes the pictures so far.
///
/// Weights are divided by their sum. A negative weight means "less like this"; write -- before the pictures then.
#[derive(Args)]
#[command(
    before_help = "\
Examples:
  kme match fashion boot.png bag.png -o out.png
  kme match fashion 0.8*boot.png 0.2*bag.png -n 8 -o out.png --seed 3
  kme match fashion -o out.png -- '1*boot.png' '-0.2*bag.png'
  kme match runs/mine liked/ -n 16 -o out.png --kernel gaussian:sigma=median
  kme match runs/digits liked/ -o out.png --class 7
  kme match fashion boot.png -n 12 -o out.png -o singles/ --latents z.npy
  kme sample fashion --latents z.npy -o again.png",
    after_long_help = "\
Mixing or choosing:
The length of the kernel decides whether outputs mix the inputs or each resembles one of them. For two inputs at feature
distance D, (c^2 + r^2)^(-1/2) is largest in the middle only if c >= D/sqrt(2); with a smaller c each output snaps to one input.
The default c is the larger of D/sqrt(2) and the median distance between inputs and samples of the generator. A remark says when
the length does not fit.

Inputs:
Inputs are cropped and resized like the training pictures of the generator; the middle replaces random crops. A remark says when
your pictures are much farther from the generator's pictures than these are from each other, such as a photograph for a
generator of garments. Such a generator cannot make them, and you get the nearest that it can make.

Classes:
Without --class, a generator with classes gives each of the --best-of draws a class at random. A picture keeps the class of its
best draw, and only its latent moves."
)]
pub(crate) struct Arguments {
    /// A run folder, a weights file, or the name of a model (see `kme models list`)
    #[arg(value_name = "GENERATOR")]
    generator: String,
    /// Pictures to make more of: [WEIGHT*]IMAGE, [WEIGHT*]FOLDER, a .kme file, or an expression of .kme files
    #[arg(value_name = "LIKE", required = true)]
    likes: Vec<String>,
    /// Make N pictures
    #[arg(short, default_value_t = 4, value_name = "N", value_parser = arguments::count::<usize>)]
    n: usize,
    /// Write a sheet (.png), or single pictures to a new folder; repeatable
    #[arg(short, long, value_name = "OUT", required = true)]
    output: Vec<PathBuf>,
    /// Write the latents, one per row, for `kme sample --latents`; with classes, each followed by its class number
    #[arg(long, value_name = "OUT.npy")]
    latents: Option<PathBuf>,
    /// Crop inputs this way: none, as-trained, or steps such as short:80,centre:64
    #[arg(long, value_name = "CROP", default_value = "as-trained")]
    crop: Cut,
    /// Compare in the features of this map [default: the one on the generator's card]
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Use this kernel, such as imq:c=10 or gaussian:sigma=median [default: imq, with c from the data]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    /// Take N steps of Adam
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = arguments::count::<usize>)]
    steps: usize,
    /// Set the learning rate of Adam, in units of the latents
    #[arg(long, default_value_t = 0.05, value_name = "X", value_parser = arguments::number)]
    learning_rate: f64,
    /// Start from the best of N random latents
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = arguments::count::<usize>)]
    best_of: usize,
    /// Keep latents within [-X, X]
    #[arg(long, value_name = "X", value_parser = arguments::number)]
    clamp: Option<f64>,
    /// Make pictures of this class, by name or by number from 0 [default: the class of the best draw]
    #[arg(long, value_name = "NAME|NUMBER")]
    class: Option<String>,
}

/// What `--crop` means.
#[derive(Clone, Copy, Debug)]
enum Cut {
    AsTrained,
    By(Crop),
}

impl FromStr for Cut {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "as-trained" => Ok(Self::AsTrained),
            _ => text.parse().map(Self::By).map_err(|fault| match fault {
                Error::Syntax { what, text, problem } => Error::syntax(what, text, format!("{problem}; or as-trained")),
                other => other,
            }),
        }
    }
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    check_outputs(arguments)?;
    let watcher = Watcher::new(global);
    let how = Match {
        n: arguments.n,
        steps: arguments.steps,
        learning_rate: arguments.learning_rate,
        best_of: arguments.best_of,
        clamp: arguments.clamp,
        class: None,
        seed: global.seed(),
    };
    let request = MatchRequest {
        generator: arguments.generator.clone(),
        likes: arguments.likes.clone(),
        features: arguments.features.clone(),
        kernel: arguments.kernel.clone(),
        crop: match arguments.crop {
            Cut::AsTrained => None,
            Cut::By(crop) => Some(crop),
        },
        class: arguments.class.clone(),
        how,
    };
    let prepared = request.prepare(&global.context()?, &watcher)?;
    if !prepared.far.each.is_empty() {
        output::remark(global, format!("to see what it makes: kme sample {} -o sheet.png", arguments.generator));
    }
    progress::catch_interrupt();
    let matched = prepared.run(&watcher)?;
    drop(watcher);
    let generator = &*prepared.generator;
    for path in &arguments.output {
        match output::has_ending(path, "png") {
            true => write_sheet(prepared.shown.as_ref(), &matched.pictures, path)?,
            false => write_singles(&matched.pictures, path)?,
        }
    }
    if let Some(path) = &arguments.latents {
        generator.stored(&matched.latents, &matched.classes)?.write(path)?;
    }

    let place = arguments.output[0].display();
    let stopped = match matched.interrupted {
        true => format!(", stopped after {} of {} steps", matched.steps, arguments.steps),
        false => String::new(),
    };
    let text = format!(
        "{place}: mmd2 {:.4e} for random latents, {:.4e} before, {:.4e} after{stopped}",
        matched.random, matched.before, matched.after
    );
    let json = json!({
        "metric": "mmd2",
        "estimator": "biased",
        "mmd2_random": matched.random,
        "mmd2_before": matched.before,
        "mmd2_after": matched.after,
        "kernel": prepared.target.kernel().to_string(),
        "features": prepared.map.identity(prepared.shape),
        "crop": prepared.crop,
        "background": prepared.background,
        "n": matched.pictures.len(),
        "inputs": prepared.target.len(),
        "inputs_far": prepared.far.counts,
        "far": prepared.far.each,
        "steps": matched.steps,
        "interrupted": matched.interrupted,
        "output": output::name(&arguments.output[0]),
        "outputs": arguments.output.iter().map(|path| output::name(path)).collect::<Vec<_>>(),
        "latents": matched.latents.chunks(generator.latent().dim).collect::<Vec<_>>(),
        "classes": matched.classes.iter().map(|&class| &generator.classes()[class]).collect::<Vec<_>>(),
        "seconds": begin.elapsed().as_secs_f64(),
    });
    output::print(global, &text, fields(json))?;
    if matched.interrupted {
        progress::end_interrupted();
    }
    Ok(true)
}

/// What can be said of the outputs before anything is read.
fn check_outputs(arguments: &Arguments) -> Result<()> {
    for path in &arguments.output {
        match output::has_ending(path, "png") {
            true => output::check_place(path)?,
            false => output::check_new_folder(path, "a name that ends in .png")?,
        }
    }
    if let Some(path) = &arguments.latents {
        output::check_ending(path, "npy")?;
        output::check_place(path)?;
    }
    Ok(())
}

/// Inputs above, outputs below.
fn write_sheet(shown: Option<&Images>, pictures: &Images, path: &Path) -> Result<()> {
    let inputs = shown.map(|images| Part { label: "inputs", images });
    let parts: Vec<Part> = inputs.into_iter().chain([Part { label: "outputs", images: pictures }]).collect();
    sheet(&parts, &Grid::default())?.write_png(0, path)
}

/// The outputs as files of a new folder.
fn write_singles(pictures: &Images, path: &Path) -> Result<()> {
    let folder = NewFolder::create(path)?;
    for i in 0..pictures.len() {
        folder.write(output::numbered(i, pictures.len()), &pictures.to_png(i)?)?;
    }
    folder.finish()
}
