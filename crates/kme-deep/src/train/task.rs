//! What a trainer must be able to do; the loop, the run folder and resuming are the same for all.

use super::optimiser::Pace;
use super::parallel::TeamResult;
use kme::{Error, Field, Marginals, Result};
use kme_image::{Grid, Images};
use kme_net::{Net, Tensors, place};
use std::path::Path;

/// Named numbers of one step or one evaluation, in order.
pub type Numbers = Vec<(&'static str, f64)>;

/// Named tensors with their shapes: everything that later steps depend on.
pub(super) type State = Vec<(String, Vec<usize>, Vec<f32>)>;

/// One family of objectives.
pub(crate) trait Task {
    /// Does step number `step` (from 0) and returns its losses. Randomness comes from the seed and the step alone. When a number
    /// is not finite, the parameters are those that it was computed from, until [`undo`](Self::undo).
    fn step(&mut self, step: u64, pace: Pace) -> TeamResult<Numbers>;

    /// What a user should know before the first step.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// Scores on held-out samples; the first is the one that is minimised over checkpoints.
    fn score(&self) -> Result<Numbers>;

    /// What a three-sample test needs of `samples` new samples beside as many training samples; nothing where no samples
    /// are made.
    fn sums(&mut self, _samples: usize, _step: u64) -> Result<Option<Marginals>> {
        Ok(None)
    }

    /// Pictures for people to look at, always from the same latents.
    fn samples(&self) -> Result<Option<Sheet>>;

    /// Writes the model that users get.
    fn write_model(&self, path: &Path, step: u64) -> Result<()>;

    /// Everything that later steps depend on.
    fn state(&self) -> State;

    /// Takes over the state after `step` steps.
    fn restore(&mut self, step: u64, tensors: &Tensors) -> TeamResult<()>;

    /// Networks of a checkpoint or a model become those that training begins with; remarks on what begins anew.
    fn adopt(&mut self, tensors: &Tensors) -> TeamResult<Vec<String>>;

    /// After a step whose numbers were not finite: the first tensor on their way that was not.
    fn fault(&mut self, step: u64) -> Result<Option<Finding>>;

    /// After a step that failed or whose numbers were not finite: back to the state before it.
    fn undo(&mut self) {}
}

/// Pictures on a sample sheet, at most, and pixels of one.
const SHEET: usize = 100;
const SHEET_PIXELS: usize = 1 << 24;

/// How many pictures of height h and width w are on a sheet: fewer of large ones.
pub(super) fn sheet_pictures([h, w]: [usize; 2]) -> usize {
    let fits = |n: &usize| Grid::default().size(*n, [h, w]).is_ok_and(|[h, w]| h * w <= SHEET_PIXELS);
    let squares = (1..).map(|side| side * side).take_while(|&n| n <= SHEET);
    squares.filter(fits).last().unwrap_or(1)
}

/// Pictures with the number of them in a row, where that means something; a single one is a sheet already.
pub(crate) struct Sheet {
    pub pictures: Images,
    pub columns: Option<usize>,
}

/// A tensor with a number that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finding {
    pub tensor: String,
    pub position: usize,
    pub value: f32,
}

/// The first of these named tensors that has a number which is not finite.
pub(super) fn first_fault<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a [f32])>) -> Option<Finding> {
    tensors.into_iter().find_map(|(tensor, values)| {
        let position = values.iter().position(|v| !v.is_finite())?;
        Some(Finding { tensor: tensor.into(), position, value: values[position] })
    })
}

/// The same of the parameters of a network that goes by `name`.
pub(super) fn first_fault_of(name: &str, net: &Net) -> Option<Finding> {
    net.params().iter().find_map(|p| {
        let tensor = format!("parameter {} of the {name}", p.name);
        first_fault([(tensor.as_str(), place::numbers_f32(p.value.clone().inner()).as_slice())])
    })
}

/// A network's parameters as named tensors under `prefix`.
pub(super) fn net_state(prefix: &str, net: &Net) -> State {
    let tensor = |p: &kme_net::Param| {
        (format!("{prefix}.{}", p.name), p.shape.clone(), place::numbers_f32(p.value.clone().inner()))
    };
    net.params().iter().map(tensor).collect()
}

/// The network with the parameters stored under `prefix`.
pub(super) fn restored_net(prefix: &str, net: &Net, tensors: &Tensors) -> Result<Net> {
    for p in net.params() {
        let name = format!("{prefix}.{}", p.name);
        match tensors.get(&name) {
            None => {
                return Err(Error::missing(format!("tensor {name}"), "both networks must have the same form"));
            }
            Some((shape, _)) if *shape != p.shape => {
                let [found, own] = [shape, &p.shape].map(|shape| format!("{shape:?}"));
                let remedy = "both networks must have the same form";
                return Err(Error::mismatch(Field::Shape(name.into()), found, own, remedy));
            }
            Some(_) => {}
        }
    }
    Ok(net.map_values(|p| {
        let (_, values) = &tensors[&format!("{prefix}.{}", p.name)];
        net.place().tensor(values.clone(), [values.len()])
    }))
}
