//! Every objective, through the trainer, on eight Gaussians on a ring: the MMD² to held-out points, of the energy
//! distance, falls.

use crate::watching::watching;
use kme_deep::train::{Context, Event, Outcome, Plan, Request};
use kme_image::Places;
use kme_net::{Models, Place};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Mutex;
use std::time::Instant;

const CRITIC: &str = "[critic]\nnet = { kind = 'mlp', hidden = [32, 32], leak = 0.2 }\ntop = 4\nsteps = 2\n";
const LONGER: &str = "[critic]\nnet = { kind = 'mlp', hidden = [32, 32], leak = 0.2 }\ntop = 4\nsteps = 3\n";
const NUMBER: &str = "[critic]\nnet = { kind = 'mlp', hidden = [32, 32], leak = 0.2 }\ntop = 1\nsteps = 3\n";
const MOMENTS: &str = "[critic]\nnet = { kind = 'mlp', hidden = [64], leak = 0.2 }\ntop = 8\nsteps = 3\n";
const DECODER: &str = "clip_weights = 0.3\ndecoder = { kind = 'mlp', hidden = [32] }\n";
const LEARNED: &str = "spectral = 'learned'\n";
const SCALE: &str = "[regulariser.scale]\nweight = 10.0\noffset = 1.0\n";
const SCALE_VALUES: &str = "[regulariser.scale]\nweight = 10.0\noffset = 1.0\nvalues = true\n";

/// A way to train: its name, `objective`, critic with additions, `regulariser`, and the optimiser's learning rate.
type Way = (&'static str, &'static str, [&'static str; 3], Rate);

enum Rate {
    Adam(f64),
    Rmsprop(f64),
}
use Rate::{Adam, Rmsprop};

/// Where a setting differs from its paper's, it is because of what was seen in these small games. The generator's points
/// are unbounded: with Li et al.'s weight of 16 for the order term it ran away (MMD² of 373 after 300 steps). The
/// kernelized GAN needs a bound on its critic: without one MMD² stayed where it was, as plain MMD² does in `dirac`. McGan's
/// distance is symmetric in the critic's sign: without the asymmetric penalty no setting that was tried got below a sixth;
/// with covariances it needed the activation penalty too.
const WAYS: [Way; 20] = [
    (
        "gmmn",
        "kind = 'mmd'\nkernel = 'gaussian:sigma=0.2,0.5,1,2'\nestimator = 'root'\nfeatures = 'identity'\n",
        ["", "", ""],
        Adam(5e-3),
    ),
    (
        "kernelized-gan-gaussian",
        "kind = 'mmd'\nkernel = 'gaussian:gamma=1'\n",
        [CRITIC, "clip_weights = 0.2\n", "[regulariser]\nasymmetric = 16.0\n"],
        Adam(2e-3),
    ),
    (
        "kernelized-gan-linear",
        "kind = 'mmd'\nkernel = 'linear'\n",
        [CRITIC, "clip_weights = 0.3\n", "[regulariser]\nasymmetric = 16.0\n"],
        Adam(2e-3),
    ),
    (
        "kernelized-gan-rks",
        "kind = 'mmd'\nkernel = 'gaussian:gamma=1'\nrandom_features = { count = 100, redraw = true }\n",
        [CRITIC, "clip_weights = 0.3\n", "[regulariser]\nasymmetric = 16.0\n"],
        Adam(2e-3),
    ),
    ("wgan", "kind = 'wasserstein'\n", [NUMBER, "clip_weights = 0.2\nlearning_rate = 5e-3\n", ""], Rmsprop(1e-3)),
    ("wgan-gp", "kind = 'wasserstein'\n", [NUMBER, "", "[regulariser]\ngradient_penalty = 0.3\n"], Adam(2e-3)),
    (
        "mmd-gan-li",
        "kind = 'mmd'\nkernel = 'gaussian:sigma=1,2,4,8,16'\nestimator = 'root'\n",
        [LONGER, DECODER, "[regulariser]\norder = 0.1\nreconstruction = 8.0\n"],
        Adam(1e-3),
    ),
    (
        "mmd-gan-rq",
        "kind = 'mmd'\nkernel = 'rq:alpha=0.2,0.5,1,2,5'\n",
        [CRITIC, "", "[regulariser]\ngradient_penalty = 1.0\n"],
        Adam(2e-3),
    ),
    (
        "mmd-gan-rq-linear",
        "kind = 'mmd'\nkernel = 'rq:alpha=0.2,0.5,1,2,5+linear'\n",
        [CRITIC, "", "[regulariser]\ngradient_penalty = 1.0\nactivation_penalty = 0.01\n"],
        Adam(2e-3),
    ),
    (
        "mmd-gan-distance",
        "kind = 'mmd'\nkernel = 'distance'\n",
        [CRITIC, "", "[regulariser]\ngradient_penalty = 10.0\n"],
        Adam(2e-3),
    ),
    ("cramer", "kind = 'cramer'\n", [LONGER, "", "[regulariser]\ngradient_penalty = 1.0\n"], Adam(2e-3)),
    (
        "mean-matching",
        "kind = 'mean-covariance'\ncomponents = 0\n",
        [MOMENTS, "clip_weights = 0.2\nlearning_rate = 2e-3\n", "[regulariser]\nasymmetric = 16.0\n"],
        Rmsprop(1e-3),
    ),
    (
        "mean-covariance",
        "kind = 'mean-covariance'\ncomponents = 8\n",
        [MOMENTS, "spectral = 'normalised'\n", "[regulariser]\nasymmetric = 16.0\nactivation_penalty = 1.0\n"],
        Adam(1e-3),
    ),
    ("smmd", "kind = 'mmd'\nkernel = 'gaussian:sigma=1'\n", [CRITIC, "", SCALE], Adam(2e-3)),
    ("smmd-rq", "kind = 'mmd'\nkernel = 'rq:alpha=0.2,0.5,1,2,5'\n", [CRITIC, "", SCALE], Adam(2e-3)),
    ("sn-smmd", "kind = 'mmd'\nkernel = 'gaussian:sigma=1'\n", [CRITIC, LEARNED, SCALE], Adam(2e-3)),
    ("swgan", "kind = 'wasserstein'\n", [NUMBER, "", SCALE_VALUES], Adam(2e-3)),
    ("sn-swgan", "kind = 'wasserstein'\n", [NUMBER, LEARNED, SCALE_VALUES], Adam(2e-3)),
    ("sn-gan", "kind = 'logistic'\n", [NUMBER, "spectral = 'normalised'\n", ""], Adam(2e-3)),
    ("gan-gp", "kind = 'logistic'\n", [NUMBER, "", "[regulariser]\ngradient_penalty = 0.1\n"], Adam(2e-3)),
];

const STEPS: u64 = 500;
/// The part of the untrained generator's score that must not be left. Most leave less than a tenth; other processors
/// round otherwise, and games are chaotic.
const LEFT: f64 = 0.15;

fn config((name, objective, parts, rate): &Way) -> Plan {
    let batch = if *name == "mean-covariance" { 128 } else { 64 };
    let optimiser = match rate {
        Adam(rate) => format!("kind = 'adam'\nlearning_rate = {rate}\nbeta1 = 0.5\nbeta2 = 0.9\nclip = 1.0\n"),
        Rmsprop(rate) => format!("kind = 'rmsprop'\nlearning_rate = {rate}\n"),
    };
    let toml = format!(
        "seed = 3\nsteps = {STEPS}\nbatch = {batch}\n[data]\nsource = '8-gaussians'\nheld_out = '8-gaussians:1000'\n\
         [objective]\n{objective}{}[optimiser]\n{optimiser}\
         [generator]\nnet = {{ kind = 'mlp', hidden = [64, 64] }}\nlatent = {{ dim = 2, prior = 'uniform' }}\n\
         ema_decay = 0.98\n[log]\nevery = 1000\nsamples = 100\ncheckpoint = 100000\n[score]\ncount = 1000\n",
        parts.concat()
    );
    Plan::parse(&toml, Path::new("test.toml")).unwrap_or_else(|e| panic!("{name}: {e}\n{toml}"))
}

/// Scores of held-out points, from before the first step on.
fn scores(way: &Way) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let context = Context { place: Place::cpu(), models: Models::default(), data: Places::new(None) };
    let mut scores = Vec::new();
    let observer = watching(|event: Event| {
        if let Event::Score { numbers, .. } = event {
            let (_, value) = numbers.iter().find(|(name, _)| *name == "mmd2").expect("the score of points");
            scores.push(*value);
        }
        ControlFlow::Continue(())
    });
    let request = Request::new(folder.path().join("run")).with_context(context).with_observer(&observer);
    assert_eq!(request.start(&config(way)).unwrap(), Outcome::Finished { steps: STEPS });
    scores
}

#[test]
fn every_objective_converges_on_a_mixture() {
    let next = Mutex::new(WAYS.iter());
    let found = Mutex::new(Vec::new());
    let work = || {
        loop {
            let Some(way) = next.lock().unwrap().next() else { return };
            let begun = Instant::now();
            let scores = scores(way);
            println!("{:<24} {:.1} s {:.4?}", way.0, begun.elapsed().as_secs_f64(), scores);
            found.lock().unwrap().push((way.0, scores));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap();
    assert_eq!(found.len(), WAYS.len());
    for (name, scores) in found {
        let (first, last) = (scores[0], scores[scores.len() - 1]);
        assert!(last < LEFT * first, "{name}: from {first:.4} to {last:.4}");
    }
}
