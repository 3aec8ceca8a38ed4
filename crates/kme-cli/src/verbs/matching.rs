//! `kme match`

use crate::arguments::{self, Global};
use crate::likes::Likes;
use crate::output::{self, fields};
use crate::progress;
use clap::Args;
use kme::kernel::Form;
use kme::{Error, Kernel, KernelSpec, Result};
use kme_deep::feature::FeatureMap;
use kme_deep::image::{Grid, Images, Part, sheet};
use kme_deep::model::Generator;
use kme_deep::steer::{Match, bandwidth};
use serde_json::json;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

/// Show pictures, get more like them: move a generator's latents towards the embedding of the pictures
///
/// Minimises the MMD between the inputs' embedding and that of the N pictures, in a feature space, by Adam on the latents
/// (Jitkrittum et al., ICML 2019). Each LIKE is [WEIGHT*]IMAGE, [WEIGHT*]FOLDER, or an embedding file or expression
/// such as '0.7*a.kme + 0.3*b.kme'. Weights are divided by their sum; a negative weight means "less like this" (write
/// -- before the inputs then, since such a text begins like a flag).
///
/// The sheet shows the inputs above and the outputs below.
#[derive(Args)]
#[command(after_help = "Examples:
  kme match fashion boot.png bag.png -o out.png
  kme match fashion 0.8*boot.png 0.2*bag.png -n 8 -o out.png --seed 3
  kme match fashion -o out.png -- '1*boot.png' '-0.2*bag.png'
  kme match runs/mine liked/ -n 16 -o out.png --kernel gaussian:sigma=median

  kme match runs/digits liked/ -o out.png --class 7

A conditional generator (one with classes) makes pictures of the class that --class names. Without it
every one of the --best-of draws has a class at random; a picture keeps the class of its best draw,
and only the latent is moved.

The kernel's bandwidth decides between mixing and choosing. For two inputs at feature distance D the default kernel
(c^2 + r^2)^(-1/2) is greatest in the middle only if c >= D/sqrt(2); with a smaller c each output snaps to one input. The
default c is the larger of D/sqrt(2) and the median distance between inputs and samples of the generator.")]
pub struct Arguments {
    /// A run folder, a weights file, or the name of a shipped model
    #[arg(value_name = "GENERATOR")]
    generator: String,
    /// What to make more of
    #[arg(value_name = "LIKE", required = true)]
    likes: Vec<String>,
    /// Number of pictures to make
    #[arg(short, default_value_t = 4, value_name = "N", value_parser = arguments::count::<usize>)]
    n: usize,
    /// The sheet (.png)
    #[arg(short, long, value_name = "OUT.png")]
    output: PathBuf,
    /// Feature map in which pictures are compared [default: the one on the generator's card]
    #[arg(long, value_name = "FEATURES")]
    features: Option<String>,
    /// Kernel, such as imq:c=10 or gaussian:sigma=median [default: imq with the c explained below]
    #[arg(long, value_name = "KERNEL")]
    kernel: Option<KernelSpec>,
    /// Steps of Adam
    #[arg(long, default_value_t = 200, value_name = "N", value_parser = arguments::count::<usize>)]
    steps: usize,
    /// Learning rate of Adam, in units of the latents
    #[arg(long, default_value_t = 0.05, value_name = "X", value_parser = arguments::number)]
    learning_rate: f64,
    /// Each start is the best of this many draws
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = arguments::count::<usize>)]
    best_of: usize,
    /// Keep latents in [-X, X]
    #[arg(long, value_name = "X", value_parser = arguments::number)]
    clamp: Option<f64>,
    /// Make pictures of this class, of a conditional generator [default: for each the class of its best draw]
    #[arg(long, value_name = "NAME|NUMBER")]
    class: Option<String>,
}

pub fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    let begin = Instant::now();
    output::check_ending(&arguments.output, "png")?;
    output::check_place(&arguments.output)?;
    let context = global.context()?;
    let (bytes, path) = context.models.bytes(&arguments.generator)?;
    let generator = Generator::parse(&bytes, &path, &context.place)?;
    let shape = generator.net.output();
    if generator.points {
        let allowed = "a generator of pictures: a match is one of pictures";
        return Err(Error::value("GENERATOR", format!("{} (makes points)", arguments.generator), allowed));
    }
    let class = arguments.class.as_deref().map(|name| generator.class(name)).transpose()?;
    let features = arguments.features.as_deref().unwrap_or(&generator.features);
    let map = FeatureMap::named(features, &context.models, &context.place)?;
    let likes = Likes::read(&arguments.likes, &map, shape, global)?;
    let shown = likes.shown.clone();
    let default = |inputs: &kme::Points| {
        let c = bandwidth(inputs, &map.features(&sample(&generator, class, global.seed())?)?)?;
        Kernel::try_from(Form::InverseMultiquadric { c: rounded(c) })
    };
    let target = likes.embedding(arguments.kernel.as_ref(), default, &map, shape, global.seed())?;
    output::remark(global, format!("kernel {}, features {features}, seed {}", target.kernel(), global.seed()));

    let settings = Match {
        n: arguments.n,
        steps: arguments.steps,
        learning_rate: arguments.learning_rate,
        best_of: arguments.best_of,
        clamp: arguments.clamp,
        class,
        seed: global.seed(),
    };
    progress::catch_interrupt();
    let bar = progress::bar(global, arguments.steps as u64, "match");
    let mut observer = |step: usize, mmd2: f64| -> ControlFlow<()> {
        bar.set_position(step as u64);
        bar.set_message(format!("mmd2 {mmd2:.3e}"));
        progress::flow()
    };
    let matched = settings.run(&generator, &map, &target, &mut observer)?;
    bar.finish_and_clear();

    let mut parts = Vec::new();
    if let Some(images) = &shown {
        parts.push(Part { label: "inputs", images });
    }
    parts.push(Part { label: "outputs", images: &matched.pictures });
    sheet(&parts, &Grid::default())?.write_png(0, &arguments.output)?;

    let text = format!(
        "{}: mmd2 {:.4e} for random latents, {:.4e} before, {:.4e} after",
        arguments.output.display(),
        matched.random,
        matched.before,
        matched.after
    );
    let json = json!({
        "metric": "mmd2",
        "estimator": "biased",
        "mmd2_random": matched.random,
        "mmd2_before": matched.before,
        "mmd2_after": matched.after,
        "kernel": target.kernel().to_string(),
        "features": map.identity(shape),
        "n": arguments.n,
        "inputs": target.len(),
        "steps": arguments.steps,
        "output": arguments.output,
        "latents": matched.latents.chunks(generator.latent.dim).collect::<Vec<_>>(),
        "classes": matched.classes.iter().map(|&class| &generator.classes[class]).collect::<Vec<_>>(),
        "seconds": begin.elapsed().as_secs_f64(),
    });
    output::print(global, &text, fields(json))?;
    Ok(true)
}

/// Pictures of the generator, of the class that was asked for, for the distances of the default kernel.
fn sample(generator: &Generator, class: Option<usize>, seed: u64) -> Result<Images> {
    match class {
        Some(class) => generator.sample_class(200, class, seed),
        None => generator.sample(200, seed),
    }
}

/// Three digits, since a bandwidth is a scale, not a measurement; rounded up, so that it stays above what mixing needs.
fn rounded(c: f64) -> f64 {
    let unit = 10_f64.powi(c.log10().floor() as i32 - 2);
    ((c / unit).ceil() * unit * 1e9).round() / 1e9
}
