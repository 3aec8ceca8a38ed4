//! `kme train`

use crate::arguments::{self, Global};
use crate::output::{self, fields};
use crate::progress::{self, Watcher};
use clap::Args;
use indicatif::ProgressBar;
use kme::{Error, Field, Progress, Result};
use kme_deep::train::config::AUTO;
use kme_deep::train::parallel::{self, Sockets, Team};
use kme_deep::train::{self, Changes, Config, Event, Numbers, Observer, Outcome, Plan, Request, STEPS};
use kme_net::Place;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Train a generator, a classifier or an autoencoder
///
/// Writes a run folder: model.safetensors (for `kme sample` and `kme match`), best.safetensors (the model with the best score on
/// held-out data), report.html (curves and samples), samples/, checkpoints/, events.jsonl (one object per logged step), and
/// config.toml (everything that repeats the run).
///
/// On the CPU, a run that you stop and resume ends with the same bits as one that never stopped.
#[derive(Args)]
#[command(
    before_help = "\
Examples:
  kme train --list
  kme train fashion-mmd-gan -o runs/fashion
  kme train fashion-mmd-gan -o runs/mine --data ~/pictures --steps 2000
  kme train fashion-mmd-gan -o runs/mine --set batch=128 --set data.size=32
  kme train --print fashion-mmd-gan > mine.toml
  kme train mine.toml -o runs/mine
  kme train -o runs/fashion --resume --steps 20000
  kme train --from runs/fashion --data my-pictures/ -o runs/mine
  kme train fashion-mmd-gan -o runs/fashion --workers 2
  kme train fashion-mmd-gan -o runs/fashion --rank 0/2 --meet 0.0.0.0:7000
  kme train --rank 1/2 --meet that-machine:7000",
    after_long_help = "\
Data:
--data replaces the held-out data of a preset too: kme holds out a tenth of SOURCE if it has 500 pictures or more. To choose,
use --set data.held_out=OTHER, or none.

Settings:
--set KEY=VALUE changes one setting. Write KEY with dots, as in optimiser.beta1. VALUE is TOML; anything else is taken as a
string, so you can omit quotes. KEY= removes an optional setting. If you change a kind (optimiser.kind=sgd), settings of the old
kind are dropped.

Stopping and resuming:
Ctrl-C stops after the current step and saves a checkpoint; press it again to stop at once. With --resume you may change
steps, learning rates, schedule and [log], and name data that have moved with --data. --from begins a new run instead.

Progress:
If standard error is not a terminal, kme prints a line every minute. KME_PROGRESS=SECONDS changes that.

Workers:
All workers compute the step of the whole batch together, so the estimator is the same as with one worker. Each takes an equal
share of the batch. Worker 0 keeps the run and sends its configuration; the others read data and models from their own
machines. Only batch normalisation differs: its statistics are those of the share. A worker that fails tells the
others why; worker 0 waits ten minutes for a silent one. Traffic between machines is not encrypted, and anyone who reaches the
port can take part: use a network that you trust."
)]
pub(crate) struct Arguments {
    /// The name of a preset (see --list), or a TOML file such as the config.toml of a run
    #[arg(value_name = "PRESET|CONFIG.toml", required_unless_present_any = ["list", "resume", "rank", "from", "print"])]
    preset: Option<String>,
    /// Write the run to this folder
    #[arg(short, long, value_name = "RUN", required_unless_present_any = ["list", "rank", "print"])]
    output: Option<PathBuf>,
    /// Train on SOURCE instead of the configured data (see Data); with --resume: where the same data are now
    #[arg(long, value_name = "SOURCE")]
    data: Option<String>,
    /// Train for N steps in total instead of the configured number
    #[arg(long, value_name = "N", value_parser = arguments::count::<u64>)]
    steps: Option<u64>,
    /// Change a setting, such as optimiser.learning_rate=1e-4; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Start from the networks of a run, checkpoint or model; without PRESET, also from its configuration
    #[arg(long, value_name = "RUN|FILE", conflicts_with = "resume")]
    from: Option<String>,
    /// Skip pictures that cannot be read and list them in RUN/data.jsonl, instead of stopping
    #[arg(long)]
    skip_bad: bool,
    /// Also write event files for TensorBoard, to RUN/tensorboard/
    #[arg(long)]
    tensorboard: bool,
    /// Resume although the data have changed; kme lists the changes
    #[arg(long, requires = "resume")]
    accept_data: bool,
    /// Continue the run in RUN from its last checkpoint
    #[arg(long)]
    resume: bool,
    /// Share every step among N workers on this machine: threads, or with --device gpu one graphics card each
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        hide_default_value = true,
        conflicts_with = "rank",
        value_parser = arguments::count::<usize>
    )]
    workers: usize,
    /// Take part as worker i of n, from 0 (see Workers)
    #[arg(long, value_name = "i/n", requires = "meet", conflicts_with = "list")]
    rank: Option<Rank>,
    /// Meet at this address: worker 0 listens, the others connect within ten minutes, in any order
    #[arg(long, value_name = "HOST:PORT", requires = "rank")]
    meet: Option<String>,
    /// List the presets by paper
    #[arg(long)]
    list: bool,
    /// Print a preset as TOML, for you to edit
    #[arg(long, value_name = "PRESET")]
    print: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, global: &Global) -> Result<bool> {
    trained(arguments, global).map_err(|fault| match fault.kind() {
        Error::UnknownName { what, .. } if what == "preset" => fault.advising("`kme train --list` shows all presets"),
        _ => fault,
    })
}

fn trained(arguments: &Arguments, global: &Global) -> Result<bool> {
    if arguments.list {
        return list(global);
    }
    if let Some(preset) = &arguments.print {
        return print(preset, global);
    }
    let follows = arguments.resume || arguments.rank.is_some_and(|rank| rank.own > 0);
    if let (true, Some(seed)) = (follows, global.asked_seed()) {
        let reason = format!("the run keeps the seed with which it began, so leave {seed} out");
        return Err(Error::not_applicable("seed", reason));
    }
    if let (Some(rank), Some(address)) = (arguments.rank, &arguments.meet)
        && rank.own > 0
    {
        return help(arguments, global, rank, address);
    }
    let Some(path) = &arguments.output else {
        return Err(Error::missing("output", "name the folder of the run"));
    };
    if !(1..=MOST).contains(&arguments.workers) {
        return Err(Error::parameter("workers", arguments.workers, format!("from 1 to {MOST}")));
    }
    let context = global.context()?;
    // What can be told at once is told before others are waited for.
    let workers = arguments.workers();
    let changes = arguments.changes()?;
    let plan = if arguments.resume {
        let plan = train::check_resume(path, &changes, workers)?;
        arguments.preset.as_deref().map_or(Ok(()), |preset| check_begun_as(preset, plan.config(), path))?;
        plan
    } else {
        let plan = arguments.plan(global)?;
        train::check_start(&plan, path, workers)?;
        plan
    };
    let team = arguments.team(global)?;
    let config = plan.config();
    let shown = Shown::new(config, global);
    let request = Request::new(path).with_context(context).with_team(team).with_observer(&shown);
    let outcome = if arguments.resume {
        request.resume(&changes).map_err(|fault| {
            let fault = naming_data(accepting(fault, path), config, "say where they are now with --data");
            leaving_out(fault, config, " --accept-data")
        })
    } else {
        request
            .start(&plan)
            .map_err(|fault| leaving_out(naming_data(fault, config, "name others with --data"), config, ""))
    };
    shown.bar.finish_and_clear();
    let seed = config.seed;
    let (finished, step) = match outcome? {
        Outcome::Finished { steps } => (true, steps),
        Outcome::Stopped { step } => (false, step),
    };
    let text = if finished {
        let model = path.join("model.safetensors");
        format!(
            "{}: {} done with seed {seed}; the model is {}",
            path.display(),
            output::counted(step, "step"),
            model.display()
        )
    } else {
        format!(
            "{}: stopped after step {step}; continue with: kme train -o {} --resume",
            path.display(),
            path.display()
        )
    };
    let report = path.join("report.html");
    let json = json!({
        "run": output::name(path),
        "step": step,
        "finished": finished,
        "seed": seed,
        "report": output::name(&report),
    });
    output::print(global, &text, fields(json))?;
    if !finished {
        progress::end_interrupted();
    }
    Ok(true)
}

/// Shows a run on standard error: a bar of its steps with the numbers of the last one, and scores as remarks.
struct Shown<'a> {
    global: &'a Global,
    /// What comes before the steps.
    before: Watcher<'a>,
    bar: ProgressBar,
    batch: usize,
    unit: &'static str,
}

impl<'a> Shown<'a> {
    fn new(config: &Config, global: &'a Global) -> Self {
        let unit = if config.data.is_points() { "points" } else { "images" };
        let bar = progress::bar(global, 0, "train");
        Self { global, before: Watcher::new(global), bar, batch: config.batch, unit }
    }

    fn remark_on(&self, text: &str) {
        self.bar.suspend(|| output::remark(self.global, text));
    }
}

impl kme::Observer for Shown<'_> {
    fn remark(&self, text: &str) {
        self.remark_on(&arguments::in_flags(text));
    }

    fn progress(&self, at: Progress) -> ControlFlow<()> {
        if at.what != STEPS {
            return self.before.progress(at);
        }
        self.bar.set_position(at.done);
        progress::flow()
    }
}

impl Observer for Shown<'_> {
    fn event(&self, event: Event) {
        match event {
            Event::Begin { step, steps } => {
                // From here on there is something to save: until now one signal ends it.
                progress::catch_interrupt();
                self.bar.set_length(steps);
                self.bar.set_position(step);
                self.bar.reset_eta();
            }
            Event::Step { step, numbers } => {
                self.bar.set_position(step);
                let speed = self.bar.per_sec() * self.batch as f64;
                self.bar.set_message(format!("{speed:.0} {}/s, {}", self.unit, summary(numbers)));
            }
            Event::Score { step, numbers } => self.remark_on(&format!("step {step}: {}", summary(numbers))),
            _ => {}
        }
    }
}

/// Which of several workers a process is.
#[derive(Clone, Copy)]
struct Rank {
    own: usize,
    workers: usize,
}

impl FromStr for Rank {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        match numbers {
            Some((own, workers)) if own < workers && workers <= MOST => Ok(Self { own, workers }),
            _ => Err(Error::syntax(
                "rank",
                text,
                format!("write i/n with whole numbers 0 ≤ i < n ≤ {MOST}, such as 0/2"),
            )),
        }
    }
}

/// Workers.
const MOST: usize = 1024;

/// The fault of a picture of the data, with what leaves it out.
fn leaving_out(fault: Error, config: &Config, besides: &str) -> Error {
    let is_of_data = |path: &Path| path.starts_with(&config.data.source) && path.exists();
    match !config.data.skip_bad && fault.file_path().is_some_and(is_of_data) {
        true => fault.advising(format_args!("--skip-bad{besides} leaves such pictures out")),
        false => fault,
    }
}

/// The fault of data that are not there, with the flag that names them.
fn naming_data(fault: Error, config: &Config, remedy: &str) -> Error {
    let is_source = matches!(&fault, Error::Within { of, .. } if of == "data.source");
    match is_source && !Path::new(&config.data.source).exists() {
        true => fault.advising(remedy),
        false => fault,
    }
}

/// The refusal of changed data, with what accepts them.
fn accepting(fault: Error, path: &Path) -> Error {
    match fault {
        Error::Within { of, source } => accepting(*source, path).within(of),
        Error::Mismatch { field: Field::Data, left, right, remedy } => {
            let remedy = format!(
                "{remedy}, or go on with what is there: kme train -o {} --resume --accept-data",
                path.display()
            );
            Error::mismatch(Field::Data, left, right, remedy)
        }
        other => other,
    }
}

/// Refuses to continue the run in `path` as something else than it was begun as.
fn check_begun_as(preset: &str, config: &Config, path: &Path) -> Result<()> {
    let begun = config.preset.as_deref().unwrap_or_default();
    // A file may say itself what it was begun as.
    if preset == begun || Plan::load(preset).is_ok_and(|plan| plan.config().preset.as_deref() == Some(begun)) {
        return Ok(());
    }
    let run = path.display();
    let reason = format!("it was begun from {begun}. Leave {preset} out, or choose a new folder without --resume");
    Err(Error::unsupported(format!("resume {run} from {preset}"), reason))
}

impl Arguments {
    /// What a run is begun as.
    fn begun_as(&self) -> Result<String> {
        if let Some(preset) = &self.preset {
            return Ok(preset.clone());
        }
        let config = self.from.as_ref().map(|from| Path::new(from).join("config.toml")).filter(|file| file.is_file());
        match (config, &self.from) {
            (Some(config), _) => Ok(config.display().to_string()),
            (None, Some(from)) => {
                let allowed = "a run folder, or given beside a preset or a configuration";
                Err(Error::parameter("from", from, allowed))
            }
            (None, None) => Err(Error::missing("PRESET|CONFIG.toml", "name a preset or a file, or give --resume")),
        }
    }

    /// What is changed where a run goes on.
    fn changes(&self) -> Result<Changes> {
        let mut sets = self.set.clone();
        sets.extend(self.data.clone().map(|data| ("data.source".into(), data)));
        sets.extend(self.steps.map(|steps| ("steps".into(), steps.to_string())));
        sets.extend(self.skip_bad.then(|| ("data.skip_bad".into(), "true".into())));
        sets.extend(self.tensorboard.then(|| ("log.tensorboard".into(), "true".into())));
        for (key, value) in &mut sets {
            // What is named now is meant from here, wherever the run was begun.
            let is_source = ["data.source", "data.held_out"].contains(&key.as_str());
            let is_set = kme_image::list().iter().any(|(name, _)| name == value);
            if is_source && !is_set && Path::new(value.as_str()).exists() {
                let whole =
                    std::path::absolute(value.as_str()).map_err(|e| Error::io(value.as_str(), kme::Action::Read, e))?;
                // As TOML text, so that no name is taken for a number.
                *value = toml::Value::from(whole.display().to_string()).to_string();
            }
        }
        Ok(Changes { sets, other_data: self.accept_data })
    }

    /// The plan of a new run.
    fn plan(&self, global: &Global) -> Result<Plan> {
        let preset = self.begun_as()?;
        let mut config = Plan::load_with(&preset, &self.set)?.into_config();
        let named = self.set.iter().any(|(key, value)| key == "data.held_out" && !value.trim().is_empty());
        if let Some(data) = &self.data {
            config.data.source = data.clone();
            // Held-out pictures of the preset say nothing about other ones.
            if !named && config.data.held_out_source().is_some() {
                config.data.held_out = None;
            }
        }
        if config.data.held_out.is_none() {
            if config.data.is_points() {
                if self.data.is_some() && !named {
                    let remedy = "name some with --set data.held_out=SOURCE";
                    output::remark(global, format!("no held-out points: the run has no scores; {remedy}"));
                }
            } else {
                config.data.held_out = Some(AUTO.into());
            }
        }
        config.data.skip_bad |= self.skip_bad;
        config.from = self.from.clone().or(config.from);
        config.steps = self.steps.unwrap_or(config.steps);
        config.log.tensorboard |= self.tensorboard;
        config.seed = global.asked_seed().unwrap_or(config.seed);
        Ok(config.check()?.named(preset))
    }

    /// How many share the steps of a run that this process keeps.
    fn workers(&self) -> usize {
        self.rank.map_or(self.workers, |rank| rank.workers)
    }

    /// The workers of a run that this process keeps.
    fn team(&self, global: &Global) -> Result<Team> {
        if let (Some(rank), Some(address)) = (self.rank, &self.meet)
            && rank.workers > 1
        {
            let others = match rank.workers - 1 {
                1 => "worker 1".into(),
                last => format!("workers 1 to {last}"),
            };
            let listening = || output::remark(global, format!("waiting at {address} for {others}"));
            return Team::meet(address, rank.workers, listening).map_err(at_meeting);
        }
        let device = |i: usize| match global.device.as_str() {
            "gpu" => Ok(format!("gpu:{i}")),
            other if other == "cpu" || self.workers == 1 => Ok(other.into()),
            other => {
                Err(Error::parameter("device", other, "cpu or gpu with several --workers: they take cards from 0 on"))
            }
        };
        let places = (0..self.workers).map(|i| Place::parse(&device(i)?)).collect::<Result<Vec<_>>>()?;
        Ok(Team::threads(&places))
    }
}

/// The fault of an address where workers meet, by its flag.
fn at_meeting(fault: Error) -> Error {
    fault.renamed(|name| (name == "address").then(|| "--meet".into()))
}

/// Takes part in a run that another process keeps.
fn help(arguments: &Arguments, global: &Global, rank: Rank, address: &str) -> Result<bool> {
    let Arguments { preset, output, data, steps, set, resume, tensorboard, from, skip_bad, .. } = arguments;
    if preset.is_some()
        || from.is_some()
        || *skip_bad
        || output.is_some()
        || data.is_some()
        || steps.is_some()
        || !set.is_empty()
        || *resume
        || *tensorboard
    {
        let given = format!("{}/{}", rank.own, rank.workers);
        let allowed = "given only with --meet and global options. Give everything else to worker 0";
        return Err(Error::parameter("rank", given, allowed));
    }
    let context = global.context()?;
    output::remark(global, format!("looking for worker 0 at {address}"));
    let sockets = Sockets::join(address, rank.own, rank.workers).map_err(at_meeting)?;
    output::remark(global, format!("worker {} of {}: helping the run at {address}", rank.own, rank.workers));
    parallel::help(Box::new(sockets), &context)?;
    let text = format!("worker {} of {}: done", rank.own, rank.workers);
    output::print(global, &text, fields(json!({ "rank": rank.own, "workers": rank.workers, "finished": true })))?;
    Ok(true)
}

fn setting(text: &str) -> Result<(String, String)> {
    let problem = "write KEY=VALUE, such as optimiser.learning_rate=1e-4";
    let (key, value) = text.split_once('=').ok_or_else(|| Error::syntax("setting", text, problem))?;
    Ok((key.trim().into(), value.into()))
}

/// A preset's text.
fn print(name: &str, global: &Global) -> Result<bool> {
    let Some(preset) = Plan::presets().find(|preset| preset.name == name) else {
        // Says which names are near.
        let text = Plan::load(name)?.config().to_toml();
        output::print(global, &text, fields(json!({ "config": text })))?;
        return Ok(true);
    };
    let json = json!({ "name": preset.name, "line": preset.line, "paper": preset.paper, "config": preset.toml });
    output::print(global, preset.toml, fields(json))?;
    Ok(true)
}

/// Columns of the list of presets.
const WIDTH: usize = 100;

/// The presets under the papers that they follow.
fn list(global: &Global) -> Result<bool> {
    let presets: Vec<_> = Plan::presets().collect();
    let names = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    let mut text = String::new();
    for (i, preset) in presets.iter().enumerate() {
        if i == 0 || presets[i - 1].paper != preset.paper {
            let gap = if i == 0 { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", preset.paper));
        }
        let mut head = format!("  {:<names$}  ", preset.name);
        for line in folded(preset.line, WIDTH - names - 4) {
            text.push_str(&format!("{head}{line}\n"));
            head = " ".repeat(names + 4);
        }
    }
    let json: Vec<_> =
        presets.iter().map(|p| json!({ "name": p.name, "line": p.line, "paper": p.paper, "config": p.toml })).collect();
    output::print(global, &text, fields(json!({ "presets": json })))?;
    Ok(true)
}

/// Words in lines of at most `width` signs, as far as they fit.
fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.into());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

/// Losses or scores on one line, each with its standard error where it has one.
fn summary(numbers: &Numbers) -> String {
    let error = |name: &str| numbers.iter().find(|(other, _)| other.strip_suffix("_standard_error") == Some(name));
    numbers
        .iter()
        .filter(|(name, _)| {
            !["learning_rate", "_standard_error", "gradient_norm"].iter().any(|end| name.ends_with(end))
        })
        .map(|(name, value)| match error(name) {
            Some((_, error)) => format!("{name} {value:.4} ± {error:.4}"),
            None => format!("{name} {value:.4}"),
        })
        .collect::<Vec<_>>()
        .join(", ")
}
