//! Laws of every trainer: a run that was cut off and resumed ends with the bits of one that never stopped, for any number of
//! threads; and what goes wrong is said.

mod watching;

use kme::{Data, Progress};
use kme_deep::train::{self, Changes, Config, Context, Event, Outcome, Plan, Request, STEPS};
use kme_image::{Images, Places};
use kme_net::{Models, Place};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use watching::watching;

fn context() -> Context {
    Context { place: Place::cpu(), models: Models::default(), data: Places::new(None) }
}

/// 40 small pictures in two classes: bright squares and dark bars, at places that differ.
fn pictures(folder: &Path) -> PathBuf {
    let size = 16;
    for i in 0..40 {
        let class = if i % 2 == 0 { "square" } else { "bar" };
        let at = i % 7;
        let data = (0..size * size)
            .map(|p| {
                let (y, x) = (p / size, p % size);
                let inside = if i % 2 == 0 {
                    (at..at + 6).contains(&y) && (3..9).contains(&x)
                } else {
                    (at..at + 3).contains(&x)
                };
                if inside { 0.9 } else { 0.1 }
            })
            .collect();
        fs::create_dir_all(folder.join("pictures").join(class)).unwrap();
        let path = folder.join("pictures").join(class).join(format!("{i:02}.png"));
        Images::new(1, 1, size, size, data).unwrap().write_png(0, &path).unwrap();
    }
    folder.join("pictures")
}

/// Everything that can be trained: a name, and its tables beside seed, steps, batch, data and log.
const OBJECTIVES: [(&str, &str); 19] = [
    ("classifier", "[objective]\nkind = 'classifier'\nwidth = 4\nfeatures = 6\nshift = 1\n"),
    ("autoencoder", "[objective]\nkind = 'autoencoder'\nunits = [20, 5]\ninput_dropout = 0.2\n"),
    ("mmd-gan", "MMD GP [regulariser]\ngradient_penalty = 1.0\nactivation_penalty = 1.0\n"),
    (
        "gmmn",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:sigma=2,5,10'\nestimator = 'root'\nfeatures = 'identity'\n",
    ),
    ("kernelized-gan", "GAUSS CRITIC [regulariser]\nasymmetric = 16.0\n"),
    (
        "random-features",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:gamma=1'\nrandom_features = { count = 30, redraw = true }\nCRITIC [regulariser]\nasymmetric = 16.0\n",
    ),
    ("wgan", "[objective]\nkind = 'wasserstein'\nCRITIC1 clip_weights = 0.05\n"),
    ("wgan-gp", "[objective]\nkind = 'wasserstein'\nCRITIC1 [regulariser]\ngradient_penalty = 10.0\n"),
    (
        "li",
        "[objective]\nkind = 'mmd'\nkernel = 'gaussian:sigma=1,2,4,8,16'\nestimator = 'root'\nCRITIC clip_weights = 0.1\n\
         decoder = { kind = 'dcgan', width = 2 }\n[regulariser]\norder = 16.0\nreconstruction = 8.0\n",
    ),
    ("cramer", "[objective]\nkind = 'cramer'\nCRITIC [regulariser]\ngradient_penalty = 10.0\n"),
    ("mean-covariance", "[objective]\nkind = 'mean-covariance'\ncomponents = 3\nCRITIC clip_weights = 0.1\n"),
    ("smmd", "SMMD CRITIC SCALE"),
    ("sn-smmd", "SMMD CRITIC spectral = 'learned'\nSCALE"),
    ("swgan", "[objective]\nkind = 'wasserstein'\nCRITIC1 SCALE values = true\n"),
    ("sn-gan", "[objective]\nkind = 'logistic'\nCRITIC1 spectral = 'normalised'\n"),
    ("conditional", "GAUSS CRITIC CONDITIONAL [regulariser]\nasymmetric = 16.0\ngradient_penalty = 1.0\n"),
    ("frozen", "[objective]\nkind = 'mmd'\nkernel = 'linear'\nfeatures = 'pixels'\n"),
    ("three-sample", "GAUSS CRITIC [regulariser]\nasymmetric = 1.0\nSCHEDULE"),
    ("sgd-drop", "GAUSS CRITIC SGD"),
];

/// The tables of an objective, with its abbreviations written out.
fn tables(name: &str) -> String {
    let (_, text) = OBJECTIVES.iter().find(|(n, _)| *n == name).unwrap();
    let mut text = text.to_string();
    let critic = |top: usize| {
        format!(
            "[critic]\nnet = {{ kind = 'dcgan', width = 4 }}\ntop = {top}\nsteps = 2\nburst = {{ until = 1, every = 4, steps = 3 }}\n"
        )
    };
    let mmd = |kernel: &str| format!("[objective]\nkind = 'mmd'\nkernel = '{kernel}'\n");
    let conditional = text.contains("CONDITIONAL");
    let sgd = text.contains("SGD");
    for (short, long) in [
        ("CONDITIONAL ", String::new()),
        ("SGD", "[schedule]\nkind = 'drop'\nat = 4\nfactor = 0.1\nmomentum = 0.5\n".into()),
        ("SCHEDULE", "[schedule]\nkind = 'three-sample'\nevery = 1\nfactor = 0.5\nsamples = 12\nqueue = 2\nkept = 1\npatience = 1\n".into()),
        ("SMMD ", mmd("gaussian:sigma=1")),
        ("GAUSS ", mmd("gaussian:gamma=1")),
        ("MMD GP ", mmd("rq:alpha=0.2,1,5+linear") + &critic(5)),
        ("SCALE", "[regulariser.scale]\nweight = 10.0\noffset = 1.0\n".into()),
        ("CRITIC1 ", critic(1)),
        ("CRITIC ", critic(5)),
    ] {
        text = text.replace(short, &long);
    }
    if !matches!(name, "classifier" | "autoencoder") {
        text += &format!(
            "[generator]\nnet = {{ kind = 'dcgan', width = 4 }}\nlatent = {{ dim = 4, prior = 'uniform' }}\nema_decay = 0.9\nconditional = {conditional}\n"
        );
    }
    text + if sgd {
        "[optimiser]\nkind = 'sgd'\nlearning_rate = 1e-2\nmomentum = 0.9\n"
    } else if name == "li" {
        "[optimiser]\nkind = 'rmsprop'\nlearning_rate = 1e-3\n"
    } else {
        "[optimiser]\nkind = 'adam'\nlearning_rate = 1e-3\nbeta1 = 0.5\nbeta2 = 0.9\nclip = 1.0\n"
    }
}

fn config(objective: &str, pictures: &Path) -> Config {
    let source = pictures.display();
    let toml = format!(
        "seed = 5\nsteps = 7\nbatch = 6\n[data]\nsource = '{source}'\nheld_out = '{source}'\nsize = 16\nchannels = 1\n\
         {}[log]\nevery = 1\nsamples = 3\ncheckpoint = 2\n",
        tables(objective)
    );
    let plan = Plan::parse(&toml, Path::new("test.toml")).unwrap_or_else(|e| panic!("{objective}: {e}\n{toml}"));
    plan.into_config()
}

fn learning_rate(config: &mut Config, rate: f64, clip: Option<f64>) {
    let train::config::Optimiser::Adam(adam) = &mut config.optimiser else { panic!("a configuration with Adam") };
    (adam.learning_rate, adam.clip) = (rate, clip);
}

fn go_on(_: Event) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Starts a run whose events go to a function.
fn start(
    config: &Config,
    run: &Path,
    event: &mut (impl FnMut(Event) -> ControlFlow<()> + Send),
) -> kme::Result<Outcome> {
    let plan = config.clone().check()?.named("test");
    Request::new(run).with_context(context()).with_observer(&watching(event)).start(&plan)
}

fn resume(run: &Path, event: &mut (impl FnMut(Event) -> ControlFlow<()> + Send)) -> kme::Result<Outcome> {
    Request::new(run).with_context(context()).with_observer(&watching(event)).resume(&Changes::default())
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// What must be equal: the weights, and the log without its timings.
fn result(run: &Path) -> (Vec<u8>, Vec<serde_json::Value>) {
    let events = fs::read_to_string(run.join("events.jsonl")).unwrap();
    let events = events.lines().map(|line| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        for timing in ["images_per_second", "check_seconds", "check_fraction"] {
            event.as_object_mut().unwrap().remove(timing);
        }
        event
    });
    (fs::read(run.join("model.safetensors")).unwrap(), events.collect())
}

#[test]
fn resuming_gives_the_bits_of_never_stopping() {
    for (objective, _) in OBJECTIVES {
        let folder = tempfile::tempdir().unwrap();
        let config = config(objective, &pictures(folder.path()));
        let whole = folder.path().join("whole");
        let outcome = start(&config, &whole, &mut go_on).unwrap();
        assert_eq!(outcome, Outcome::Finished { steps: 7 });
        let expected = result(&whole);

        // Stopped by request after step 3, in the middle between checkpoints.
        let stopped = folder.path().join("stopped");
        let mut stop = |event: Event| match event {
            Event::Step { step: 3, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        let outcome = start(&config, &stopped, &mut stop).unwrap();
        assert_eq!(outcome, Outcome::Stopped { step: 3 });
        resume(&stopped, &mut go_on).unwrap();
        assert!(result(&stopped) == expected, "{objective}: stopped and resumed");

        // Killed after step 5: what is on disk then has a checkpoint of step 4 and events of step 5.
        let (running, killed) = (folder.path().join("running"), folder.path().join("killed"));
        let mut snapshot = |event: Event| {
            if let Event::Step { step: 6, .. } = event {
                copy_folder(&running, &killed);
            }
            ControlFlow::Continue(())
        };
        start(&config, &running, &mut snapshot).unwrap();
        // A line that the kill cut short.
        let mut events = fs::read_to_string(killed.join("events.jsonl")).unwrap();
        events.push_str("{\"step\":6,\"ev");
        fs::write(killed.join("events.jsonl"), events).unwrap();
        resume(&killed, &mut go_on).unwrap();
        assert!(result(&killed) == expected, "{objective}: killed and resumed");
    }
}

/// Other widths of generator and critic.
fn widen(config: &mut Config, generator: usize, critic: usize) {
    let net = |width: usize| serde_json::json!({ "kind": "dcgan", "width": width });
    config.generator.as_mut().unwrap().net = serde_json::from_value(net(generator)).unwrap();
    config.critic.as_mut().unwrap().net = serde_json::from_value(net(critic)).unwrap();
}

/// The objectives point the right way: what a run minimises on held-out pictures falls.
#[test]
fn training_trains() {
    for (objective, steps, factor) in [("mmd-gan", 200, 0.3), ("classifier", 60, 0.5)] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(objective, &pictures(folder.path()));
        config.steps = steps;
        config.batch = 16;
        config.log.samples = steps;
        learning_rate(&mut config, 2e-3, Some(1.0));
        if objective == "mmd-gan" {
            widen(&mut config, 8, 8);
            // In so narrow a critic the activation penalty would hold all features at zero.
            config.regulariser.activation_penalty = 0.0;
        }
        let mut scores = Vec::new();
        let mut observer = |event: Event| {
            if let Event::Score { numbers, .. } = event {
                scores.push(numbers[0].1);
            }
            ControlFlow::Continue(())
        };
        start(&config, &folder.path().join("run"), &mut observer).unwrap();
        println!("{objective}: {scores:?}");
        assert!(scores[1] < factor * scores[0], "{objective}: {scores:?}");
    }
}

/// A finished run whose model was lost gets it back; one whose checkpoint is damaged says so.
#[test]
fn what_a_kill_can_leave_behind() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("classifier", &pictures(folder.path()));
    let run = folder.path().join("run");
    fs::create_dir_all(run.join("samples")).unwrap();
    start(&config, &run, &mut go_on).unwrap();
    let model = fs::read(run.join("model.safetensors")).unwrap();
    fs::remove_file(run.join("model.safetensors")).unwrap();
    resume(&run, &mut go_on).unwrap();
    assert!(fs::read(run.join("model.safetensors")).unwrap() == model);

    let last = run.join("checkpoints/last.safetensors");
    let whole = fs::read(&last).unwrap();
    for cut in [0, 4, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&last, &whole[..cut]).unwrap();
        let message = resume(&run, &mut go_on).unwrap_err().to_string();
        assert!(message.contains("last.safetensors"), "{cut}: {message}");
    }
    // One bit of a number, which leaves it a number.
    let mut bent = whole.clone();
    let at = bent.len() - 4;
    bent[at] ^= 1;
    fs::write(&last, &bent).unwrap();
    let message = resume(&run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("last.safetensors: has changed"), "{message}");
    // Without a checkpoint the run does not begin again over what there is.
    fs::remove_file(&last).unwrap();
    let events = fs::read(run.join("events.jsonl")).unwrap();
    let message = resume(&run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("is missing, though step 7"), "{message}");
    assert!(fs::read(run.join("events.jsonl")).unwrap() == events);
}

/// A folder is one process's at a time; a run that stopped before its first step has its first score once; lost folders
/// are made again, and foreign bytes in the log do no harm.
#[test]
fn a_run_folder_is_kept_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let config = config("mmd-gan", &pictures(folder.path()));
    let run = folder.path().join("run");
    let mut stop = |event: Event| match event {
        Event::Begin { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    start(&config, &run, &mut stop).unwrap();
    assert!(run.join("report.html").exists());
    let held = fs::File::open(run.join(".lock")).unwrap();
    held.try_lock().unwrap();
    let message = resume(&run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("another process"), "{message}");
    drop(held);
    fs::remove_dir_all(run.join("samples")).unwrap();
    let mut events = fs::read(run.join("events.jsonl")).unwrap();
    events.extend([0xff, 0xfe, b'\n']);
    fs::write(run.join("events.jsonl"), events).unwrap();
    resume(&run, &mut go_on).unwrap();
    let (_, events) = result(&run);
    assert_eq!(events.iter().filter(|event| event["event"] == "score").count(), 4, "steps 0, 3, 6 and 7");
}

/// Starts another run in the same folder while the first one reads its pictures.
struct Second<'a> {
    config: &'a Config,
    run: &'a Path,
    fault: Mutex<Option<String>>,
}

impl kme::Observer for Second<'_> {
    fn progress(&self, at: Progress) -> ControlFlow<()> {
        let mut fault = self.fault.lock().unwrap();
        if at.what != STEPS && fault.is_none() {
            *fault = Some(start(self.config, self.run, &mut go_on).unwrap_err().to_string());
        }
        ControlFlow::Continue(())
    }
}

impl train::Observer for Second<'_> {}

#[test]
fn a_new_run_takes_its_folder_before_it_reads() {
    let folder = tempfile::tempdir().unwrap();
    let data = pictures(folder.path());
    let config = config("gmmn", &data);
    let run = folder.path().join("runs/new/deep");
    let second = Second { config: &config, run: &run, fault: Mutex::default() };
    let plan = config.clone().check().unwrap();
    Request::new(&run).with_context(context()).with_observer(&second).start(&plan).unwrap();
    let fault = second.fault.into_inner().unwrap().expect("pictures are read");
    assert!(fault.contains("is being trained by another process"), "{fault}");
    // What does not begin leaves nothing, also of the folders above.
    fs::write(data.join("square/00.png"), "no picture").unwrap();
    let run = folder.path().join("others/new/deep");
    start(&config, &run, &mut go_on).unwrap_err();
    assert!(!folder.path().join("others").exists());
    // But what was there.
    fs::create_dir_all(folder.path().join("mine/new")).unwrap();
    start(&config, &folder.path().join("mine/new"), &mut go_on).unwrap_err();
    assert_eq!(fs::read_dir(folder.path().join("mine/new")).unwrap().count(), 0);
}

/// Numbers whose decimal form is long survive the checkpoint's text.
#[test]
fn configurations_are_compared_exactly() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("mmd-gan", &pictures(folder.path()));
    learning_rate(&mut config, 0.00042044820762685725, None);
    config.generator.as_mut().unwrap().ema_decay = 0.9864864864864865;
    let run = folder.path().join("run");
    let mut stop = |_: Event| ControlFlow::Break(());
    assert_eq!(start(&config, &run, &mut stop).unwrap(), Outcome::Stopped { step: 0 });
    resume(&run, &mut go_on).unwrap();
}

#[test]
fn held_out_labels_must_mean_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("classifier", &pictures(folder.path()));
    let other = folder.path().join("other");
    copy_folder(&folder.path().join("pictures/bar"), &other.join("bar"));
    config.data.held_out = Some(other.display().to_string());
    let run = folder.path().join("run");
    let message = start(&config, &run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("held_out") && !run.exists(), "{message}");
}

#[test]
fn threads_do_not_change_the_bits() {
    for (objective, _) in OBJECTIVES {
        let folder = tempfile::tempdir().unwrap();
        let config = config(objective, &pictures(folder.path()));
        let results: Vec<_> = [1, 2, 3]
            .map(|threads| {
                let run = folder.path().join(format!("threads-{threads}"));
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| start(&config, &run, &mut go_on)).unwrap();
                result(&run)
            })
            .into();
        assert!(results[0] == results[1] && results[1] == results[2], "{objective}");
    }
}

#[test]
fn a_changed_configuration_or_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = pictures(folder.path());
    let config = config("mmd-gan", &source);
    let run = folder.path().join("run");
    let mut stop = |event: Event| match event {
        Event::Step { step: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    start(&config, &run, &mut stop).unwrap();
    let message = start(&config, &run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("resume the run in it"), "{message}");

    let file = run.join("config.toml");
    let original = fs::read_to_string(&file).unwrap();
    fs::write(&file, original.replace("beta1 = 0.5", "beta1 = 0.25")).unwrap();
    let message = resume(&run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("optimiser.beta1 is 0.25, but must be 0.5, as in the run's last checkpoint"), "{message}");
    fs::write(&file, original).unwrap();

    Images::new(1, 1, 16, 16, vec![0.5; 256]).unwrap().write_png(0, &source.join("bar/99.png")).unwrap();
    let message = resume(&run, &mut go_on).unwrap_err().to_string();
    assert!(message.contains("fingerprint"), "{message}");
}

/// A run that goes on in the codes of another autoencoder would go on with another task.
#[test]
fn a_changed_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let source = pictures(folder.path());
    let coder = folder.path().join("coder");
    let mut learn = config("autoencoder", &source);
    learn.steps = 2;
    start(&learn, &coder, &mut go_on).unwrap();
    let mut config = config("gmmn", &source);
    let generator = config.generator.as_mut().unwrap();
    generator.net = Plan::load("mnist-gmmn-code").unwrap().into_config().generator.unwrap().net;
    generator.decoder = Some(coder.display().to_string());
    let run = folder.path().join("run");
    let mut stop = |event: Event| match event {
        Event::Step { step: 2, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    start(&config, &run, &mut stop).unwrap();
    assert!(fs::read_to_string(run.join("config.toml")).unwrap().contains("# SHA-256 of generator.decoder: "));

    let kept = folder.path().join("kept");
    fs::rename(&coder, &kept).unwrap();
    learn.seed += 1;
    start(&learn, &coder, &mut go_on).unwrap();
    let message = resume(&run, &mut go_on).unwrap_err().to_string();
    let expected = ["SHA-256 of generator.decoder", &coder.display().to_string(), "bring it back"];
    assert!(expected.iter().all(|part| message.contains(part)), "{message}");
    fs::remove_dir_all(&coder).unwrap();
    fs::rename(&kept, &coder).unwrap();
    resume(&run, &mut go_on).unwrap();
}

#[test]
fn held_out_points_must_fit() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let source = file("points.csv", "0,0\n1,0\n0,1\n1,1\n");
    for (held_out, expected) in [
        (file("space.csv", "0,0,0\n1,1,1\n"), "dimension of the points differs: 3 and 2"),
        (file("one.csv", "0,0\n"), "a score needs at least 2 samples, but there is 1"),
    ] {
        let mut config = Plan::load("25-gaussians").unwrap().into_config();
        (config.data.source, config.data.held_out, config.batch) = (source.clone(), Some(held_out), 4);
        let run = folder.path().join("run");
        let message = start(&config, &run, &mut go_on).unwrap_err().to_string();
        assert!(message.contains(expected) && !run.exists(), "{message}");
    }
}

/// The same for tensors so large that the engine splits single products and sums among threads.
#[test]
fn threads_do_not_change_the_bits_of_large_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config("mmd-gan", &pictures(folder.path()));
    (config.steps, config.batch, config.data.size) = (1, 24, Some(32));
    widen(&mut config, 32, 48);
    let critic = config.critic.as_mut().unwrap();
    (critic.steps, critic.burst) = (1, None);
    let results: Vec<_> = [1, 2, 3]
        .map(|threads| {
            let run = folder.path().join(format!("threads-{threads}"));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| start(&config, &run, &mut go_on)).unwrap();
            result(&run)
        })
        .into();
    assert!(results[0] == results[1] && results[1] == results[2]);
}

/// Steps so long that the kernel overflows at finite features, and that the features do themselves: the run stops, and names
/// the step, the number, the first value that is not finite and the last good state.
#[test]
fn a_loss_that_is_not_finite_stops_the_run() {
    for (objective, rate, parts) in [
        ("mmd-gan", 10.0, ["critic_mmd2 at step", "before it are finite"]),
        ("wgan", 1e4, ["_wasserstein at step", "the first value that is not finite is"]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config(objective, &pictures(folder.path()));
        learning_rate(&mut config, rate, None);
        if objective == "wgan" {
            let sgd = train::config::Sgd { learning_rate: rate, momentum: 0.0, clip: None };
            config.optimiser = train::config::Optimiser::Sgd(sgd);
        }
        config.steps = 2000;
        if let train::config::ObjectiveConfig::Mmd(mmd) = &mut config.objective {
            mmd.kernel = "poly:degree=16,gamma=1,coef=1".parse().unwrap();
        }
        config.critic.as_mut().unwrap().clip_weights = None;
        config.regulariser = Default::default();
        let run = folder.path().join("run");
        let message = start(&config, &run, &mut go_on).unwrap_err().to_string();
        println!("{message}");
        for part in parts.into_iter().chain(["lower optimiser.learning_rate and resume: ", "last.safetensors"]) {
            assert!(message.contains(part), "{part}: {message}");
        }
        // The state before the step was saved, whenever the last checkpoint was due.
        let number = |before: &str| {
            let (_, rest) = message.split_once(before).unwrap();
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        assert_eq!(number("the state after step ") + 1, number("at step "), "{message}");
        // What is on disk is good: the run goes on from there, to the same end.
        let again = resume(&run, &mut go_on).unwrap_err().to_string();
        assert_eq!(again, message);
    }
}

/// The features of a picture depend on that picture alone, whatever comes with it.
#[test]
fn features_do_not_depend_on_the_batch() {
    let map = Models::default().feature_map("fashion-classifier", &Place::cpu()).unwrap();
    let n = 123;
    let data = (0..n * 784).map(|i| ((i * 7919 + i / 784 * 31) % 1000) as f32 / 999.0).collect();
    let images = Images::new(n, 1, 28, 28, data).unwrap();
    let values = |images: &Images| match map.features(images.into()).unwrap().into_data() {
        Data::F32(values) => values,
        Data::F64(_) => panic!("features are in single precision"),
    };
    let all = values(&images);
    let d = all.len() / n;
    for range in [0..1, 5..6, 49..51, 3..99, 100..123] {
        let some = values(&images.select(&range.clone().collect::<Vec<_>>()).unwrap());
        assert!(some == all[range.start * d..range.end * d], "{range:?}");
    }
}
