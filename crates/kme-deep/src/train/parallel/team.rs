//! A run that several workers do: the first one leads, keeps the run folder and says what is next; the others help.

use super::{Alone, Collective, Sockets, TeamError, TeamResult, threads};
use crate::train::config::Config;
use crate::train::generative::Trainer;
use crate::train::optimiser::Pace;
use crate::train::plan::{Game, Goal, Plan};
use crate::train::ready::helper;
use crate::train::task::{Finding, Numbers, Sheet, State, Task};
use crate::train::{Context, Sources};
use kme::{Error, Marginals, Result};
use kme_net::{Place, Tensors};
use rayon::{ThreadPool, ThreadPoolBuilder};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::thread;

/// Who does the steps of a run.
pub struct Team {
    first: Box<dyn Collective>,
    /// The others, where they are threads of this process.
    others: Vec<(Box<dyn Collective>, Place)>,
}

/// The first worker's seat in a run.
pub(crate) struct Seat {
    pub collective: Box<dyn Collective>,
    /// Threads of the processor that its steps may use, where other workers use the rest.
    pub threads: Option<usize>,
}

/// What the first worker says to the others.
#[derive(Serialize, Deserialize)]
enum Command {
    /// A run: first of all.
    Begin {
        version: String,
        config: Box<Config>,
        sources: Sources,
    },
    /// The state after `step` steps: names and shapes; the numbers follow.
    State {
        step: u64,
        tensors: Vec<(String, Vec<usize>)>,
    },
    Step {
        step: u64,
        factor: f64,
        momentum: Option<f64>,
    },
}

impl Team {
    /// One worker.
    pub fn alone() -> Self {
        Self { first: Box::new(Alone), others: Vec::new() }
    }

    /// A thread of this process for each of `places`; the first of them is that of the run's context. They share the
    /// processor's threads evenly.
    pub fn threads(places: &[Place]) -> Self {
        let mut seats = threads(places.len().max(1)).into_iter();
        let first = seats.next().expect("at least one");
        Self { first, others: seats.zip(places.iter().skip(1).cloned()).collect() }
    }

    /// This process and `size` − 1 others, which [help](help) and meet it at `address`; `listening` is called once they
    /// can come.
    ///
    /// # Errors
    /// As [`Sockets::first`].
    pub fn meet(address: &str, size: usize, listening: impl FnOnce()) -> Result<Self> {
        Ok(Self { first: Box::new(Sockets::first(address, size, listening)?), others: Vec::new() })
    }

    /// Number of workers.
    pub fn size(&self) -> usize {
        self.first.size()
    }

    /// What `lead` makes of the first seat, while the threads in the other ones help.
    pub(crate) fn run<T>(self, context: &Context, lead: impl FnOnce(Seat) -> TeamResult<T>) -> Result<T> {
        if self.others.is_empty() {
            let farewell = self.first.farewell();
            let outcome = lead(Seat { collective: self.first, threads: None });
            farewell.say(&outcome);
            return Ok(outcome?);
        }
        let threads = (rayon::current_num_threads() / self.size()).max(1);
        thread::scope(|scope| {
            let mut helpers = Vec::new();
            for (collective, place) in self.others {
                let context = Context { place, ..context.clone() };
                let pool = pool(threads)?;
                helpers.push(scope.spawn(move || pool.install(|| helped_to_the_end(collective, &context))));
            }
            // When it returns the first seat is gone, and whoever waits for it ends.
            let outcome = lead(Seat { collective: self.first, threads: Some(threads) });
            let is_left = |error: &TeamError| matches!(error, TeamError::Left { .. });
            let mut faults = Vec::new();
            for helper in helpers {
                match helper.join() {
                    Ok(found) => faults.extend(found.err()),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            match outcome {
                // Why it has left says more than that it has.
                Err(error) if is_left(&error) => Err(faults.into_iter().find(|e| !is_left(e)).unwrap_or(error).into()),
                other => Ok(other?),
            }
        })
    }
}

fn pool(threads: usize) -> Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|e| Error::unsupported(format!("run {threads} threads for a worker"), e.to_string()))
}

/// Refuses what several workers cannot share.
///
/// # Errors
/// When the number of workers does not divide the batch, or the objective is not that of a generator.
pub(crate) fn check_shares(plan: &Plan, workers: usize) -> Result<()> {
    if workers > 1 {
        shared(plan, workers)?;
    }
    let batch = plan.config().batch;
    if batch.is_multiple_of(workers) {
        return Ok(());
    }
    let allowed = format!("a multiple of {workers}, the number of workers, so that each has an even share");
    Err(Error::parameter("batch", batch, allowed))
}

/// What several workers do together.
///
/// # Errors
/// When it is not a generator that is trained.
pub(in crate::train) fn shared(plan: &Plan, workers: usize) -> Result<&Game> {
    match plan.goal() {
        Goal::Generator(game) => Ok(game),
        Goal::Classifier(_) | Goal::Autoencoder(_) => {
            let allowed = "1 for this objective, since several workers train only generators";
            Err(Error::parameter("workers", workers, allowed))
        }
    }
}

/// Tells the others which run it is. They are ready when the first step begins.
pub(crate) fn begin(collective: &dyn Collective, config: &Config, sources: &Sources) -> TeamResult<()> {
    let command = Command::Begin {
        version: env!("CARGO_PKG_VERSION").into(),
        config: Box::new(config.clone()),
        sources: sources.clone(),
    };
    say(collective, &command)
}

/// Helps the first worker with its run until that is done. The configuration comes from there; data and models are this
/// worker's own, and must be the same.
///
/// # Errors
/// When the run cannot be done here, data or program differ from the first worker's, or a worker has left. The first worker
/// is told why.
pub fn help(collective: Box<dyn Collective>, context: &Context) -> Result<()> {
    Ok(helped_to_the_end(collective, context)?)
}

fn helped_to_the_end(collective: Box<dyn Collective>, context: &Context) -> TeamResult<()> {
    let farewell = collective.farewell();
    let outcome = match helped(collective, context) {
        Err(TeamError::Done) => Ok(()),
        other => other,
    };
    farewell.say(&outcome);
    outcome
}

/// Until the first worker leaves.
fn helped(collective: Box<dyn Collective>, context: &Context) -> TeamResult<()> {
    let Command::Begin { version, config, sources } = hear(&*collective)? else { return Err(confused().into()) };
    let own = env!("CARGO_PKG_VERSION");
    if version != own {
        return Err(Error::mismatch("version of kme", own, version, "run the same program for all workers").into());
    }
    let plan = config.check()?;
    let (mut trainer, found) = helper(&plan, sources.split, context, collective)?;
    found.check(&sources, plan.config(), |name| format!("give all workers the same {name}"))?;
    loop {
        match hear(trainer.collective())? {
            Command::Step { step, factor, momentum } => {
                trainer.step(step, Pace { factor, momentum })?;
            }
            Command::State { step, tensors } => {
                let tensors = numbers(trainer.collective(), tensors)?;
                trainer.restore(step, &tensors)?;
            }
            Command::Begin { .. } => return Err(confused().into()),
        }
    }
}

fn say(collective: &dyn Collective, command: &Command) -> TeamResult<()> {
    let text = serde_json::to_vec(command).expect("a command has only values that JSON can write");
    collective.exchange(text).map(|_| ())
}

fn hear(collective: &dyn Collective) -> TeamResult<Command> {
    let said = collective.exchange(Vec::new())?;
    serde_json::from_slice(&said[0]).map_err(|_| confused().into())
}

fn confused() -> Error {
    Error::unsupported(
        "understand worker 0",
        "its message is not the one expected. Run the same program on all workers",
    )
}

/// The tensors of these names and shapes, whose numbers come next.
fn numbers(collective: &dyn Collective, named: Vec<(String, Vec<usize>)>) -> TeamResult<Tensors> {
    let said = collective.exchange(Vec::new())?;
    let mut rest = said[0].as_slice();
    let mut tensors = Tensors::new();
    for (name, shape) in named {
        let bytes = shape.iter().try_fold(4usize, |product, &side| product.checked_mul(side)).ok_or_else(confused)?;
        let (own, after) = rest.split_at_checked(bytes).ok_or_else(confused)?;
        tensors.insert(name, (shape, own.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()));
        rest = after;
    }
    Ok(tensors)
}

/// The first of several workers, as a task like any other.
pub(crate) struct Leader {
    trainer: Trainer,
    pool: Option<ThreadPool>,
}

impl Leader {
    /// After [`begin`].
    pub(in crate::train) fn new(trainer: Trainer, threads: Option<usize>) -> Result<Self> {
        Ok(Self { trainer, pool: threads.map(pool).transpose()? })
    }
}

impl Task for Leader {
    fn step(&mut self, step: u64, pace: Pace) -> TeamResult<Numbers> {
        let Pace { factor, momentum } = pace;
        say(self.trainer.collective(), &Command::Step { step, factor, momentum })?;
        let trainer = &mut self.trainer;
        match &self.pool {
            None => trainer.step(step, pace),
            Some(pool) => pool.install(|| trainer.step(step, pace)),
        }
    }

    fn restore(&mut self, step: u64, tensors: &Tensors) -> TeamResult<()> {
        self.trainer.restore(step, tensors)?;
        let named = tensors.iter().map(|(name, (shape, _))| (name.clone(), shape.clone())).collect();
        say(self.trainer.collective(), &Command::State { step, tensors: named })?;
        let numbers = tensors.values().flat_map(|(_, values)| values).flat_map(|x| x.to_le_bytes()).collect();
        self.trainer.collective().exchange(numbers).map(|_| ())
    }

    fn adopt(&mut self, tensors: &Tensors) -> TeamResult<Vec<String>> {
        let remarks = self.trainer.adopt(tensors)?;
        // The others get the whole state, as where a run goes on.
        let state = self.trainer.state().into_iter().map(|(name, shape, values)| (name, (shape, values))).collect();
        self.restore(0, &state)?;
        Ok(remarks)
    }

    fn remarks(&self) -> Vec<String> {
        self.trainer.remarks()
    }

    fn score(&self) -> Result<Numbers> {
        self.trainer.score()
    }

    fn sums(&mut self, samples: usize, step: u64) -> Result<Option<Marginals>> {
        self.trainer.sums(samples, step)
    }

    fn samples(&self) -> Result<Option<Sheet>> {
        self.trainer.samples()
    }

    fn write_model(&self, path: &Path, step: u64) -> Result<()> {
        self.trainer.write_model(path, step)
    }

    fn state(&self) -> State {
        self.trainer.state()
    }

    fn fault(&mut self, step: u64) -> Result<Option<Finding>> {
        self.trainer.fault(step)
    }

    fn undo(&mut self) {
        self.trainer.undo();
    }
}
