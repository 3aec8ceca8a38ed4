//! `kme match`

mod doubts;

use crate::arguments::{self, Global};
use crate::output::{self, fields};
use crate::progress;
use clap::Args;
use kme::io::NewFolder;
use kme::kernel::Form;
use kme::{Error, Kernel, KernelSpec, Points, Result};
use kme_deep::sample::Likes;
use kme_deep::steer::{Domain, Match, Matched, Progress, bandwidth};
use kme_image::{Channels, Colour, Crop, Decoder, Grid, Images, Part, Resize, sheet};
use kme_net::{FeatureMap, Generator};
use serde_json::json;
use std::ops::ControlFlow;
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
    let context = global.context()?;
    let (bytes, path) = context.models.bytes(&arguments.generator)?;
    let generator = Generator::parse(&bytes, &path, &context.place)?;
    let shape = generator.net.output();
    if generator.points {
        let operation = format!("match with {}", arguments.generator);
        return Err(Error::unsupported(operation, "it makes points. Give a generator of pictures"));
    }
    let class = arguments.class.as_deref().map(|name| generator.class(name)).transpose()?;
    let map = match &arguments.features {
        Some(name) => FeatureMap::named(name, &context.models, &context.place)?,
        None => FeatureMap::of_generator(&generator, &path, &context.models, &context.place)
            .map_err(|fault| with_flag(fault, &generator))?,
    };
    let features = arguments.features.as_deref().unwrap_or(&generator.features);
    let crop = match arguments.crop {
        Cut::AsTrained => generator.crop,
        Cut::By(crop) => crop,
    };
    let [c, h, w] = shape;
    let form = kme_image::Form {
        decoder: Decoder::new(Channels::Convert(Colour::from_channels(c)?)),
        crop,
        resize: Some(Resize::new(h, w)?),
        background: generator.background,
    };
    let looked_at = in_features(&map);
    if looked_at < IN_FEATURES {
        let text = format!(
            "{features} is a large network: it looks at your inputs and at {looked_at} pictures of the generator first"
        );
        output::remark(global, text);
    }
    let likes = Likes::read(&arguments.likes, &map, shape, &form, &context)?;
    let (shown, inputs, points) = (likes.shown.clone(), likes.inputs.clone(), likes.points.clone());
    let pictures = sample(&generator, class, global.seed())?;
    let domain = Domain::new(features_of(&map, &pictures, looked_at, global)?)?;
    let default = |inputs: &Points| {
        let c = bandwidth(inputs, domain.samples())?;
        Kernel::try_from(Form::InverseMultiquadric { c: rounded(c) })
    };
    let target = likes.embedding(arguments.kernel.as_ref(), default, &map, shape, global.seed())?;
    output::remark(global, format!("kernel {}, features {features}, seed {}", target.kernel(), global.seed()));
    if !crop.is_none() && shown.is_some() {
        let why = if matches!(arguments.crop, Cut::AsTrained) { ", as the generator's pictures were" } else { "" };
        output::remark(global, format!("inputs cut by {crop}{why}"));
    }
    let far = doubts::Far::of(&inputs, &points, &domain, &pictures)?;
    if let Some(text) = far.text(&arguments.generator, features) {
        output::remark(global, text);
    }
    doubts::about_kernel(target.kernel(), &points, &domain, global)?;

    let settings = Match {
        n: arguments.n,
        steps: arguments.steps,
        learning_rate: arguments.learning_rate,
        best_of: arguments.best_of,
        clamp: arguments.clamp,
        class,
        seed: global.seed(),
    };
    let matched = watched(&settings, global, |observer| settings.run(&generator, &map, &target, observer))?;
    for path in &arguments.output {
        match output::has_ending(path, "png") {
            true => write_sheet(shown.as_ref(), &matched.pictures, path)?,
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
        "kernel": target.kernel().to_string(),
        "features": map.identity(shape),
        "crop": crop,
        "background": generator.background,
        "n": matched.pictures.len(),
        "inputs": target.len(),
        "inputs_far": far.counts(),
        "far": far.each(),
        "steps": matched.steps,
        "interrupted": matched.interrupted,
        "output": output::name(&arguments.output[0]),
        "outputs": arguments.output.iter().map(|path| output::name(path)).collect::<Vec<_>>(),
        "latents": matched.latents.chunks(generator.latent.dim).collect::<Vec<_>>(),
        "classes": matched.classes.iter().map(|&class| &generator.classes[class]).collect::<Vec<_>>(),
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

/// A feature map of a card that is not found can be named.
fn with_flag(fault: Error, generator: &Generator) -> Error {
    match fault.parameter_name() {
        Some("features") => fault,
        _ => fault.within(format!("--features (by default {}, from the generator's card)", generator.features)),
    }
}

/// Runs a match with bars, until it is done or Ctrl-C stops it.
fn watched(
    settings: &Match,
    global: &Global,
    run: impl FnOnce(&mut dyn FnMut(Progress) -> ControlFlow<()>) -> Result<Matched>,
) -> Result<Matched> {
    progress::catch_interrupt();
    let draws = progress::bar(global, (settings.n * settings.best_of) as u64, "draws");
    draws.tick();
    let mut steps = None;
    let mut observer = |at: Progress| {
        match at {
            Progress::Draws { done, .. } => draws.set_position(done as u64),
            Progress::Step { step, mmd2 } => {
                let bar = steps.get_or_insert_with(|| {
                    draws.finish_and_clear();
                    progress::bar(global, settings.steps as u64, "match")
                });
                bar.set_position(step as u64);
                bar.set_message(format!("mmd2 {mmd2:.3e}"));
            }
        }
        progress::flow()
    };
    let matched = run(&mut observer);
    draws.finish_and_clear();
    if let Some(bar) = steps {
        bar.finish_and_clear();
    }
    matched
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

/// Pictures of the generator that the inputs are compared with, in pixels.
const IN_PIXELS: usize = 1000;

/// And those of them in features, for the distances of the default kernel too.
const IN_FEATURES: usize = 200;

/// Those for networks that take a quarter of a second or more for a picture: one batch of them. Of Inception's features a
/// fourth, or three times, as many give the same remarks.
const IN_SLOW_FEATURES: usize = 50;

/// Pixels of a picture from which on a network is slow.
const LARGE: usize = 128 * 128;

/// How many pictures of the generator are looked at in features.
fn in_features(map: &FeatureMap) -> usize {
    match map.input() {
        Some([_, h, w]) if h * w >= LARGE => IN_SLOW_FEATURES,
        _ => IN_FEATURES,
    }
}

/// The features of the first pictures, with a bar.
fn features_of(map: &FeatureMap, pictures: &Images, count: usize, global: &Global) -> Result<Points> {
    let bar = progress::bar(global, count as u64, "looking");
    bar.tick();
    let numbers: Vec<usize> = (0..count).collect();
    let mut parts = Vec::new();
    for some in numbers.chunks(IN_SLOW_FEATURES) {
        parts.push(map.features(&pictures.select(some)?)?);
        bar.inc(some.len() as u64);
    }
    bar.finish_and_clear();
    Points::concat(&parts.iter().collect::<Vec<_>>())
}

/// Pictures of the generator, of the class that was asked for.
fn sample(generator: &Generator, class: Option<usize>, seed: u64) -> Result<Images> {
    match class {
        Some(class) => generator.sample_class(IN_PIXELS, class, seed),
        None => generator.sample(IN_PIXELS, seed),
    }
}

/// Three digits, since a bandwidth is a scale, not a measurement; rounded up, so that it stays above what mixing needs.
fn rounded(c: f64) -> f64 {
    let unit = 10_f64.powi(c.log10().floor() as i32 - 2);
    ((c / unit).ceil() * unit * 1e9).round() / 1e9
}
