//! Training runs of toys: settings in, the numbers of every step and samples out.

use kme::{Action, Error, Points, Result};
use kme_deep::train::{Context, Event, Numbers, Observer, Plan, Request};
use kme_image::Places;
use kme_net::{Generator, Models, NetworkGenerator, Place};
use std::sync::Mutex;

/// What came of a run.
pub(crate) struct Found {
    /// The numbers of every step.
    pub steps: Vec<Numbers>,
    /// MMD² of the energy distance to held-out points at the end, and its standard error.
    pub score: (f64, f64),
    /// [`SAMPLES`] generated points.
    pub samples: Points,
    pub seconds: f64,
}

/// Keeps the numbers of all steps and of the last score.
#[derive(Default)]
struct Watched {
    steps: Mutex<Vec<Numbers>>,
    score: Mutex<Numbers>,
}

impl kme::Observer for Watched {}

impl Observer for Watched {
    fn event(&self, event: Event) {
        match event {
            Event::Step { numbers, .. } => self.steps.lock().expect("nobody panics with it").push(numbers.clone()),
            Event::Score { numbers, .. } => *self.score.lock().expect("nobody panics with it") = numbers.clone(),
            _ => {}
        }
    }
}

pub(crate) const SAMPLES: usize = 2500;

/// Networks and batches of half the size of the preset `25-gaussians`, the same in all experiments here.
const SMALL: [&str; 7] = [
    "steps=2000",
    "batch=128",
    "generator.net.hidden=[64,64,64]",
    "generator.latent.dim=4",
    "critic.net.hidden=[64,64,64,64]",
    "critic.net.leak=0.0",
    "critic.spectral=normalised",
];

/// Trains the preset `25-gaussians`, made small and with settings changed (`critic.steps=5`).
pub(crate) fn run(sets: &[impl AsRef<str>]) -> Result<Found> {
    let preset = "25-gaussians";
    let mut all: Vec<(String, String)> = Vec::new();
    for set in SMALL.into_iter().chain(sets.iter().map(AsRef::as_ref)) {
        let (key, value) = set.split_once('=').ok_or_else(|| Error::syntax("setting", set, "write KEY=VALUE"))?;
        all.push((key.into(), value.into()));
    }
    let rare = 1_000_000_000_u64.to_string();
    all.extend(["every", "samples", "checkpoint"].map(|key| (format!("log.{key}"), rare.clone())));
    let plan = Plan::load_with(preset, &all)?;
    let folder = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), Action::Write, e))?;
    let path = folder.path().join("run");
    let context = Context { place: Place::cpu(), models: Models::default(), data: Places::new(None) };
    let watched = Watched::default();
    let begun = std::time::Instant::now();
    Request::new(&path).with_context(context.clone()).with_observer(&watched).start(&plan)?;
    let seconds = begun.elapsed().as_secs_f64();
    let file = path.join("model.safetensors");
    let bytes = std::fs::read(&file).map_err(|e| Error::io(&file, Action::Read, e))?;
    let samples = NetworkGenerator::parse(&bytes, &file, &context.place)?.sample_points(SAMPLES, 1)?;
    let Watched { steps, score } = watched;
    let steps = steps.into_inner().unwrap_or_default();
    let score = match &score.into_inner().unwrap_or_default()[..] {
        [(_, value), (_, error), ..] => (*value, *error),
        _ => (f64::NAN, f64::NAN),
    };
    Ok(Found { steps, score, samples, seconds })
}

impl Found {
    /// δ = mean D(x) − mean D(G(z)) in the last critic step before each generator step, averaged over features.
    pub(crate) fn gaps(&self) -> Vec<f64> {
        self.series("real_features").iter().zip(self.series("generated_features")).map(|(x, y)| x - y).collect()
    }

    /// A number of every step.
    pub(crate) fn series(&self, name: &str) -> Vec<f64> {
        let of = |numbers: &Numbers| numbers.iter().find(|(n, _)| *n == name).map_or(f64::NAN, |(_, value)| *value);
        self.steps.iter().map(of).collect()
    }
}

/// Normal modes of one deviation, the same for all.
pub(crate) struct Modes {
    pub centres: Vec<[f64; 2]>,
    pub sd: f64,
}

impl Modes {
    /// 25 Gaussians: FACTS of the toy are those of `25-gaussians`.
    pub(crate) fn grid() -> Self {
        let spacing = crate::gaussians::SPACING;
        let centres = (0..25).map(|k| [spacing * f64::from(k / 5 - 2), spacing * f64::from(k % 5 - 2)]).collect();
        Self { centres, sd: crate::gaussians::SD }
    }

    /// `8-gaussians`: a ring of radius 2/1.414.
    pub(crate) fn ring() -> Self {
        let at = |k: i32| std::f64::consts::FRAC_PI_4 * f64::from(k);
        let centres = (0..8).map(|k| [at(k).cos(), at(k).sin()].map(|x| x * 2.0 / 1.414)).collect();
        Self { centres, sd: 0.02 / 1.414 }
    }

    /// How many modes have at least a tenth of their share of the points within `within` deviations, and the share of
    /// points that are within so many of any.
    pub(crate) fn covered(&self, points: &Points, within: f64) -> (usize, f64) {
        let numbers = points.clone().into_data().into_f64();
        let mut counts = vec![0; self.centres.len()];
        for p in numbers.chunks_exact(2) {
            let near = |c: &[f64; 2]| (p[0] - c[0]).hypot(p[1] - c[1]) < within * self.sd;
            if let Some(mode) = self.centres.iter().position(near) {
                counts[mode] += 1;
            }
        }
        let least = points.len() as f64 / self.centres.len() as f64 / 10.0;
        let total: usize = counts.iter().sum();
        (counts.iter().filter(|c| **c as f64 >= least).count(), total as f64 / points.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kme::rng;

    #[test]
    fn all_modes_of_the_data_are_covered() {
        let points = crate::gaussians::sample(2500, 0.0, &mut rng::stream(0, "reproductions: modes", 0)).unwrap();
        let (modes, share) = Modes::grid().covered(&points, 3.0);
        // 1 − e^(−9/2) of a normal in the plane is within three deviations.
        assert!(modes == 25 && (share - 0.98889).abs() < 0.009, "{modes} {share}");
        let few = points.select(&[0]).unwrap();
        assert_eq!(Modes::grid().covered(&few, 3.0).0, 1);
        assert_eq!(Modes::ring().centres.len(), 8);
    }
}
