//! Several workers take the step of one with the whole batch.

mod watching;

use burn::tensor::Tensor;
use kme::rng;
use kme_deep::loss::{
    Cramer, Divergence, Estimator, Features, Logistic, MeanCovariance, Mmd, Objective, Pictures, Regulariser, Scale,
    Wasserstein,
};
use kme_deep::train::parallel::{self, Alone, Collective, Farewell, Sockets, StepGradients, Team, TeamResult};
use kme_deep::train::{self, Config, Context, Event, Outcome, Plan, Request};
use kme_image::Images;
use kme_image::Places;
use kme_net::Models;
use kme_net::layer::{Conv, Layer, LeakyRelu, Linear, Reshape, Sigmoid, random_features};
use kme_net::{Init, Mode, Net, Place, place};
use kme_testing::{apart, largest};
use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use watching::watching;

/// Samples of a step, side of a picture, latents, features.
const N: usize = 8;
const SIDE: usize = 6;
const LATENTS: usize = 4;
const TOP: usize = 3;

fn normals(count: usize, purpose: &str) -> Vec<f64> {
    kme_testing::normals(count, &mut rng::stream(23, purpose, 0))
}

/// Networks and samples of one step.
struct Game {
    objective: Objective,
    critic: Net,
    decoder: Option<Net>,
    generator: Net,
    real: Tensor<4>,
    /// Two batches, for divergences that need two.
    latents: [Tensor<4>; 2],
    labels: Option<Tensor<4>>,
    mix: Tensor<4>,
    /// Whether the generator's loss is of two tensors of features.
    two_layers: bool,
}

/// How a critic is parametrised.
#[derive(Clone, Copy, PartialEq)]
enum Spectral {
    No,
    Normalised,
    Learned,
}

impl Game {
    fn new(objective: Objective, top: usize, spectral: Spectral, conditional: bool, place: &Place) -> Self {
        let pixels = SIDE * SIDE;
        let classes = if conditional { 2 } else { 0 };
        let generator: Vec<Layer> = vec![
            Linear { inputs: LATENTS, outputs: pixels, bias: true }.into(),
            Sigmoid {}.into(),
            Reshape { to: [1, SIDE, SIDE] }.into(),
        ];
        let critic: Vec<Layer> = vec![
            Conv::new(1 + classes, 4, 3).stride(2).padding(1).into(),
            LeakyRelu { slope: 0.2 }.into(),
            Conv::new(4, 5, 3).padding(1).into(),
            LeakyRelu { slope: 0.2 }.into(),
            Reshape { to: [45, 1, 1] }.into(),
            Linear { inputs: 45, outputs: top, bias: true }.into(),
        ];
        let decoder: Vec<Layer> =
            vec![Linear { inputs: top, outputs: pixels, bias: true }.into(), Reshape { to: [1, SIDE, SIDE] }.into()];
        let net = |layers, input, seed| Net::new(layers, input, Init::He, seed, place).unwrap();
        let mut critic = net(critic, [1 + classes, SIDE, SIDE], 3);
        if spectral != Spectral::No {
            critic = critic.with_spectral(spectral == Spectral::Learned, 5).unwrap();
        }
        let planes = (0..N * classes * pixels).map(|i| ((i / pixels) % 2 == (i / (2 * pixels)) % 2) as u8 as f64);
        let latents = |purpose| place.tensor_f64(normals(N * LATENTS, purpose), [N, LATENTS, 1, 1]);
        Self {
            decoder: (objective.regulariser.reconstruction > 0.0).then(|| net(decoder, [top, 1, 1], 7)),
            generator: net(generator, [LATENTS, 1, 1], 9),
            critic,
            real: place.tensor_f64(normals(N * pixels, "real"), [N, 1, SIDE, SIDE]),
            latents: [latents("latents"), latents("second latents")],
            labels: conditional.then(|| place.tensor_f64(planes.collect(), [N, classes, SIDE, SIDE])),
            mix: place.tensor_f64((0..N).map(|i| (i as f64 + 0.5) / N as f64).collect(), [N, 1, 1, 1]),
            objective,
            two_layers: false,
        }
    }

    fn pictures(&self, generator: &Net, rows: &Range<usize>) -> Pictures {
        let own = |t: &Tensor<4>| t.clone().slice(rows.clone());
        let made = |z: &Tensor<4>| generator.forward(own(z), Mode::Train).unwrap();
        Pictures {
            real: own(&self.real),
            fake: made(&self.latents[0]),
            second: self.objective.divergence.needs_second().then(|| made(&self.latents[1])),
            labels: self.labels.as_ref().map(own),
            mix: Some(own(&self.mix)),
        }
    }

    /// Critic's and generator's descents by the worker whose samples are `rows`.
    fn descents(&self, rows: Range<usize>, team: &dyn Collective) -> [StepGradients; 2] {
        let pictures = self.pictures(&self.generator, &rows);
        let critic = parallel::critic(&self.objective, &self.critic, self.decoder.as_ref(), &pictures, team).unwrap();
        let tracked = self.generator.tracked();
        let pictures = self.pictures(&tracked, &rows);
        let (features, variation) = self.objective.see_generated(&self.critic.effective(), &pictures).unwrap();
        let narrow = self.two_layers.then(|| first_two(&features));
        let features: Vec<Features> = [features].into_iter().chain(narrow).collect();
        [critic, parallel::generator(&self.objective, &tracked, &features, variation, team).unwrap()]
    }

    /// The same by `size` workers with even shares, for each of them.
    fn shared(&self, size: usize) -> Vec<[StepGradients; 2]> {
        let share = N / size;
        let work = |team: Box<dyn Collective>| {
            let from = team.rank() * share;
            self.descents(from..from + share, &*team)
        };
        thread::scope(|scope| {
            let work = &work;
            let workers: Vec<_> =
                parallel::threads(size).into_iter().map(|team| scope.spawn(move || work(team))).collect();
            workers.into_iter().map(|worker| worker.join().unwrap()).collect()
        })
    }
}

fn all_gradients(descent: &StepGradients) -> Vec<f64> {
    descent.gradients.iter().chain(&descent.decoder).flat_map(|g| place::numbers(g.clone())).collect()
}

/// The first two of the features.
fn first_two(features: &Features) -> Features {
    let some = |all: &Tensor<2>| all.clone().slice([0..all.dims()[0], 0..2]);
    let Features { real, fake, second } = features;
    Features { real: some(real), fake: some(fake), second: second.as_ref().map(some) }
}

fn mmd(kernel: &str, estimator: Estimator) -> Arc<dyn Divergence> {
    Arc::new(Mmd::new(kernel.parse().unwrap(), estimator))
}

fn lifted(place: &Place) -> Arc<dyn Divergence> {
    let layer = random_features(&"gaussian:sigma=1".parse().unwrap(), TOP, 20, Default::default()).unwrap();
    let net = Net::new(vec![layer], [TOP, 1, 1], Init::He, 3, place).unwrap();
    Arc::new(Mmd::lifted(net, Estimator::Biased))
}

/// Every divergence and every regulariser.
fn games(place: &Place) -> Vec<(&'static str, Game)> {
    let scale = |values| Some(Scale { weight: 10.0, offset: 1.0, values });
    let none = Regulariser::default;
    let penalised = |weight| Regulariser { gradient_penalty: weight, ..none() };
    let mmd_gan = Regulariser { gradient_penalty: 1.0, activation_penalty: 1.0, ..none() };
    let asymmetric = Regulariser { asymmetric: 16.0, ..none() };
    let all = Regulariser { asymmetric: 2.0, order: 0.5, scale: scale(true), ..mmd_gan.clone() };
    let li = Regulariser { order: 16.0, reconstruction: 8.0, ..none() };
    let unbiased = |kernel| mmd(kernel, Estimator::Unbiased);
    let game = |divergence: Arc<dyn Divergence>, regulariser, spectral, conditional| {
        let top = if divergence.needs_one_feature() { 1 } else { TOP };
        Game::new(Objective { divergence, regulariser }, top, spectral, conditional, place)
    };
    let two_layers = |divergence, regulariser| Game { two_layers: true, ..game(divergence, regulariser, No, false) };
    let wasserstein = || Arc::new(Wasserstein {});
    let logistic = || Arc::new(Logistic {});
    let mean_covariance = Arc::new(MeanCovariance { norm: 2.0, components: 2 });
    use Spectral::{Learned, No, Normalised};
    vec![
        ("mmd-gan", game(unbiased("rq:alpha=0.2,0.5,1,2,5+linear"), mmd_gan.clone(), No, false)),
        ("conditional mmd-gan", game(unbiased("rq:alpha=1"), mmd_gan, No, true)),
        (
            "smmd",
            game(unbiased("poly:degree=3,gamma=0.5,coef=1"), Regulariser { scale: scale(true), ..none() }, No, false),
        ),
        ("sn-smmd", game(unbiased("gaussian:sigma=1"), Regulariser { scale: scale(false), ..none() }, Learned, false)),
        ("swgan", game(wasserstein(), Regulariser { scale: scale(true), ..none() }, No, false)),
        ("wgan-gp", game(wasserstein(), penalised(10.0), No, false)),
        ("cramer", game(Arc::new(Cramer {}), penalised(10.0), No, false)),
        ("sn-gan", game(logistic(), none(), Normalised, false)),
        ("logistic with penalty", game(logistic(), penalised(1.0), No, false)),
        ("kernelized-gan", game(mmd("gaussian:gamma=1", Estimator::Biased), asymmetric.clone(), No, false)),
        ("random features", game(lifted(place), Regulariser { gradient_penalty: 1.0, ..asymmetric }, No, false)),
        ("li", game(mmd("gaussian:sigma=1,2,4", Estimator::Root), li, No, false)),
        ("two layers", two_layers(unbiased("rq:alpha=1"), Regulariser { order: 1.0, ..none() })),
        ("two layers, cramer", two_layers(Arc::new(Cramer {}), none())),
        ("mean-covariance", game(mean_covariance, none(), Normalised, false)),
        ("all at once", game(unbiased("gaussian:sigma=1,2"), all.clone(), Learned, false)),
        ("all of random features", game(lifted(place), all, Learned, true)),
    ]
}

/// Gradients and numbers by two and four workers are those by one, and the same bits for all workers.
fn check(place: &Place, tolerance: f64) {
    let mut worst = 0.0_f64;
    for (name, game) in games(place) {
        let whole = game.descents(0..N, &Alone);
        for size in [2, 4] {
            let shared = game.shared(size);
            for (side, whole) in whole.iter().enumerate() {
                let expected = all_gradients(whole);
                assert!(largest(&expected) > 1e-5, "{name}: there is nothing to compare");
                let found = all_gradients(&shared[0][side]);
                let error = apart(&expected, &found);
                worst = worst.max(error);
                assert!(error <= tolerance, "{name}, {size} workers, side {side}: {error:e}");
                for (a, b) in whole.numbers.iter().zip(&shared[0][side].numbers) {
                    assert!(a.0 == b.0 && (a.1 - b.1).abs() <= tolerance * (1.0 + a.1.abs()), "{name}: {a:?} {b:?}");
                }
                assert_eq!(whole.numbers.len(), shared[0][side].numbers.len());
                for other in &shared {
                    assert_eq!(all_gradients(&other[side]), found, "{name}");
                    assert_eq!(other[side].numbers, shared[0][side].numbers, "{name}");
                }
            }
        }
    }
    println!("largest relative difference {worst:.1e}");
}

#[test]
fn shares_give_the_gradients_of_the_whole_batch() {
    check(&Place::cpu_f64(), 1e-12);
}

#[test]
fn shares_give_the_gradients_of_the_whole_batch_in_single_precision() {
    check(&Place::cpu(), 1e-5);
}

/// Why features are gathered: the mean of the gradients that workers have on their own is that of another estimator, except
/// where the loss is a mean over samples.
#[test]
fn means_of_gradients_are_another_estimator() {
    for (name, game) in games(&Place::cpu_f64()) {
        let whole = game.descents(0..N, &Alone);
        let halves = [0..N / 2, N / 2..N].map(|rows| game.descents(rows, &Alone));
        for side in [0, 1] {
            let [a, b] = halves.each_ref().map(|half| all_gradients(&half[side]));
            let mean: Vec<f64> = a.iter().zip(&b).map(|(a, b)| (a + b) / 2.0).collect();
            let error = apart(&all_gradients(&whole[side]), &mean);
            // These are means of a number of each sample, Cramér's of each triple; with σ (swgan) they would not be.
            let is_mean =
                matches!(name, "wgan-gp" | "cramer" | "two layers, cramer" | "sn-gan" | "logistic with penalty");
            println!("{name}, side {side}: {error:.1e}");
            assert!(if is_mean { error < 1e-12 } else { error > 1e-3 }, "{name}, side {side}: {error:e}");
        }
    }
}

/// What burn can do together is said in `train/parallel/mod.rs`; when this fails, that has changed.
#[test]
fn engine_has_no_collectives_on_the_processor() {
    use burn::tensor::distributed::{ReduceOperation, all_reduce};
    let place = Place::cpu();
    let device = place.device().clone();
    let message = thread::spawn(move || {
        let sum = all_reduce(place.tensor(vec![1.0], [1]), ReduceOperation::Sum, vec![device]);
        place::scalar(sum.resolve())
    });
    let panic = message.join().unwrap_err();
    let text = panic.downcast_ref::<String>().expect("a panic with a message");
    assert!(text.contains("Distributed operations are not supported"), "{text}");
}

fn context() -> Context {
    Context { place: Place::cpu(), models: Models::default(), data: Places::new(None) }
}

/// 24 small pictures of two classes.
fn pictures(folder: &Path) -> PathBuf {
    let (source, size) = (folder.join("pictures"), 16);
    for class in ["0", "1"] {
        fs::create_dir_all(source.join(class)).unwrap();
    }
    for i in 0..24 {
        let inside = |y: usize, x: usize| (i % 7..i % 7 + 6).contains(&y) && (i % 5..i % 5 + 9).contains(&x);
        let data = (0..size * size).map(|p| if inside(p / size, p % size) { 0.9 } else { 0.1 }).collect();
        Images::new(1, 1, size, size, data)
            .unwrap()
            .write_png(0, &source.join(format!("{}/{i:02}.png", i % 2)))
            .unwrap();
    }
    source
}

const RATE: &str = "kind = 'sgd'\nlearning_rate = 0.005\nmomentum = 0.9";
const DENSE: &str = "{ kind = 'mlp', hidden = [20] }";
const NORMALISED: &str = "{ kind = 'dcgan', width = 4 }";

/// The run `name` of [`RUNS`], with this generator.
fn config(name: &str, source: &Path, generator: &str) -> Config {
    let (_, objective) = RUNS.iter().find(|(other, _)| *other == name).unwrap();
    let conditional = name == "conditional";
    let toml = format!(
        "seed = 5\nsteps = 4\nbatch = 8\n[data]\nsource = '{0}'\nheld_out = '{0}'\nsize = 16\nchannels = 1\n{objective}\n\
         [generator]\nnet = {generator}\nlatent = {{ dim = 4, prior = 'uniform' }}\nema_decay = 0.5\nconditional = {conditional}\n\
         [optimiser]\n{RATE}\n[log]\nevery = 1\nsamples = 2\ncheckpoint = 2\n",
        source.display()
    );
    Plan::parse(&toml, Path::new("test.toml")).unwrap().into_config()
}

/// Objectives of runs. The dense critics start large enough that the generator's gradient is more than rounding.
const RUNS: [(&str, &str); 7] = [
    (
        "mmd-gan",
        "[objective]\nkind = 'mmd'\nkernel = 'rq:alpha=0.2,1,5+linear'\n[critic]\nnet = { kind = 'mlp', hidden = [24], leak = 0.2 }\n\
         top = 5\nsteps = 2\n[regulariser]\ngradient_penalty = 1.0\nactivation_penalty = 1.0\n",
    ),
    (
        "sn-smmd",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:sigma=1'\n[critic]\nnet = { kind = 'mlp', hidden = [24], leak = 0.2 }\ntop = 3\n\
         steps = 2\nspectral = 'learned'\n[regulariser.scale]\nweight = 10.0\noffset = 1.0\n",
    ),
    (
        "cramer",
        "[objective]\nkind = 'cramer'\n[critic]\nnet = { kind = 'mlp', hidden = [24], leak = 0.2 }\ntop = 5\nsteps = 1\n[regulariser]\n\
         gradient_penalty = 10.0\n",
    ),
    (
        "li",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:sigma=1,2,4'\nestimator = 'root'\n[critic]\n\
         net = { kind = 'mlp', hidden = [24], leak = 0.2 }\ntop = 5\nsteps = 1\nclip_weights = 0.1\ndecoder = { kind = 'mlp', hidden = [9] }\n\
         [regulariser]\norder = 16.0\nreconstruction = 8.0\n",
    ),
    (
        "conditional",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:sigma=0.5'\n[critic]\nnet = { kind = 'mlp', hidden = [24], leak = 0.2 }\ntop = 3\n\
         steps = 1\n[regulariser]\nasymmetric = 4.0\n",
    ),
    (
        "gmmn",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:sigma=2,5,10'\nestimator = 'root'\nfeatures = 'identity'\n",
    ),
    (
        "random-features",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:gamma=1'\nrandom_features = { count = 30, redraw = true }\n[critic]\n\
         net = { kind = 'mlp', hidden = [24], leak = 0.2 }\ntop = 3\nsteps = 1\n[regulariser]\nasymmetric = 16.0\n",
    ),
];

fn go_on(_: Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Starts a run whose events go to a function.
fn start(
    config: &Config,
    run: &Path,
    team: Team,
    event: &mut (impl FnMut(Event) -> ControlFlow<()> + Send),
) -> kme::Result<Outcome> {
    let plan = config.clone().check()?.named("test");
    Request::new(run).with_context(context()).with_team(team).with_observer(&watching(event)).start(&plan)
}

fn team(workers: usize) -> Team {
    Team::threads(&vec![Place::cpu(); workers])
}

/// Numbers of the steps and scores of a run.
fn events(run: &Path) -> Vec<BTreeMap<String, f64>> {
    let text = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let numbers = |line: &str| {
        let event: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).unwrap();
        let timed = |name: &str| name == "images_per_second";
        event.into_iter().filter(|(name, _)| !timed(name)).filter_map(|(name, v)| Some((name, v.as_f64()?))).collect()
    };
    text.lines().map(numbers).collect()
}

/// All numbers of the state after the last step, by tensor.
fn state(run: &Path) -> BTreeMap<String, Vec<f64>> {
    let bytes = fs::read(run.join("checkpoints/last.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let numbers = |data: &[u8]| data.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b) as f64).collect();
    file.tensors().into_iter().map(|(name, view)| (name, numbers(view.data()))).collect()
}

/// The numbers of all tensors of a network or of an optimiser's memory in a row: what is a difference of large numbers in one
/// tensor has their errors.
fn by_network(state: BTreeMap<String, Vec<f64>>) -> BTreeMap<String, Vec<f64>> {
    let mut networks = BTreeMap::<String, Vec<f64>>::new();
    for (tensor, numbers) in state {
        let (network, _) = tensor.split_once('.').unwrap();
        networks.entry(network.into()).or_default().extend(numbers);
    }
    networks
}

#[test]
fn a_run_of_two_workers_is_that_of_one() {
    let mut worst = 0.0_f64;
    for (name, _) in RUNS {
        let folder = tempfile::tempdir().unwrap();
        let config = config(name, &pictures(folder.path()), DENSE);
        let [one, two] = [1, 2].map(|workers| {
            let run = folder.path().join(format!("{workers}"));
            let done = start(&config, &run, team(workers), &mut go_on).unwrap();
            assert_eq!(done, Outcome::Finished { steps: 4 });
            run
        });
        let (a, b) = (by_network(state(&one)), by_network(state(&two)));
        for (network, a) in &a {
            let error = apart(a, &b[network]);
            assert!(largest(a) > 1e-4, "{name}, {network}: there is nothing to compare");
            worst = worst.max(error);
            assert!(error <= 1e-5, "{name}, {network}: {error:e}");
        }
        let (one, two) = (events(&one), events(&two));
        assert_eq!(one.len(), two.len());
        for (a, b) in one.iter().zip(&two) {
            for (key, value) in a {
                let error = (value - b[key]).abs() / (1.0 + value.abs());
                assert!(error <= 1e-5, "{name}: {key} {value} and {}", b[key]);
            }
        }
    }
    println!("largest relative difference of the state after 4 steps: {worst:.1e}");
}

/// With batch normalisation in the generator too: what is stored after a stop goes on to the bits of never stopping, since
/// all workers are at the same place.
#[test]
fn a_run_of_two_workers_can_be_resumed() {
    for generator in [DENSE, NORMALISED] {
        let folder = tempfile::tempdir().unwrap();
        let config = config("mmd-gan", &pictures(folder.path()), generator);
        let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
        start(&config, &whole, team(2), &mut go_on).unwrap();
        let mut stop = |event: Event| match event {
            Event::Step { step: 3, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let outcome = start(&config, &stopped, team(2), &mut stop).unwrap();
        assert_eq!(outcome, Outcome::Stopped { step: 3 });
        let resumed = Request::new(&stopped).with_context(context()).with_team(team(2));
        resumed.resume(&train::Changes::default()).unwrap();
        assert!(state(&whole) == state(&stopped) && events(&whole) == events(&stopped), "{generator}");
        assert!(fs::read_to_string(whole.join("config.toml")).unwrap().contains("workers"));
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Workers that speak by TCP make the bits of those that are threads; one with other data says so, and so does the first.
#[test]
fn sockets_are_as_good_as_threads() {
    let folder = tempfile::tempdir().unwrap();
    let source = pictures(folder.path());
    let config = config("mmd-gan", &source, DENSE);
    let [threads, sockets, failed] = ["threads", "sockets", "failed"].map(|name| folder.path().join(name));
    start(&config, &threads, team(2), &mut go_on).unwrap();

    let begin = |run: &Path, address: &str| start(&config, run, Team::meet(address, 2, || ())?, &mut go_on);
    let help = |address: &str| parallel::help(Box::new(Sockets::join(address, 1, 2)?), &context());
    let address = free_address();
    thread::scope(|scope| {
        let helper = scope.spawn(|| help(&address));
        begin(&sockets, &address).unwrap();
        helper.join().unwrap().unwrap();
    });
    assert!(state(&threads) == state(&sockets) && events(&threads) == events(&sockets));

    let address = free_address();
    let (first, second) = thread::scope(|scope| {
        let helper = scope.spawn(|| {
            let sockets = Sockets::join(&address, 1, 2).unwrap();
            let begun = parallel::help(Box::new(Changing { sockets, source: source.clone() }), &context());
            begun.unwrap_err().to_string()
        });
        (begin(&failed, &address).unwrap_err().to_string(), helper.join().unwrap())
    });
    assert!(second.contains("fingerprint"), "{second}");
    assert_eq!(first, format!("cannot go on without worker 1: {second}"));
}

/// Adds a picture to the source between the first worker's look at it and this one's.
struct Changing {
    sockets: Sockets,
    source: PathBuf,
}

impl Collective for Changing {
    fn rank(&self) -> usize {
        self.sockets.rank()
    }

    fn size(&self) -> usize {
        self.sockets.size()
    }

    fn exchange(&self, own: Vec<u8>) -> TeamResult<Vec<std::sync::Arc<Vec<u8>>>> {
        let said = self.sockets.exchange(own);
        Images::new(1, 1, 16, 16, vec![0.5; 256]).unwrap().write_png(0, &self.source.join("1/99.png")).unwrap();
        said
    }

    fn farewell(&self) -> Farewell {
        self.sockets.farewell()
    }
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = pictures(folder.path());
    let run = folder.path().join("run");
    let mut config = config("mmd-gan", &source, DENSE);
    let fault = |config: &Config, workers| start(config, &run, team(workers), &mut go_on).unwrap_err();
    let message = |config: &Config, workers| fault(config, workers).to_string();
    assert!(
        matches!(fault(&config, 3), kme::Error::Parameter { parameter, given, .. } if parameter == "batch" && given == "8")
    );
    // What only one worker can find out ends all of them, with the reason.
    config.critic.as_mut().unwrap().top = 1;
    config.objective = train::config::ObjectiveConfig::MeanCovariance(MeanCovariance { norm: 2.0, components: 1 });
    assert!(message(&config, 2).contains("gradient_penalty"));
    config.data.source = folder.path().join("nothing").display().to_string();
    config.regulariser = Default::default();
    assert!(message(&config, 2).contains("nothing"));
    assert!(!run.exists());
    let toml = format!(
        "seed = 5\nsteps = 1\nbatch = 8\n[data]\nsource = '{}'\nsize = 16\nchannels = 1\n[objective]\nkind = 'autoencoder'\n\
         units = [20, 5]\n[optimiser]\n{RATE}\n",
        source.display()
    );
    let autoencoder = Plan::parse(&toml, Path::new("test.toml")).unwrap().into_config();
    assert_eq!(fault(&autoencoder, 2).parameter_name(), Some("workers"));
}
