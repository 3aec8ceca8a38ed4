//! `kme match` and what goes with it: inputs cut as the generator's pictures were, latents that go out and come back, remarks
//! about what cannot be reached, Ctrl-C, and the names of outputs.

mod common;

use common::{Place, names};
use kme::Points;
use kme_image::{Background, Channels, Crop, Decoder, Images, Resize};
use kme_net::layer::{Linear, Reshape};
use kme_net::{self as net, Classifier, Init, Latent, Net, NetworkGenerator, Prior, Provenance, dcgan_generator};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn made() -> Provenance {
    Provenance {
        version: "0.0.0".into(),
        preset: "test".into(),
        seed: 0,
        steps: 0,
        data: "none".into(),
        data_fingerprint: String::new(),
    }
}

/// A small generator of 16x16 grey pictures with random weights.
fn generator(classes: &[&str]) -> NetworkGenerator {
    let place = net::Place::cpu();
    let inputs = 5 + classes.len();
    let net = Net::new(dcgan_generator(16, 1, 2, inputs).unwrap(), [inputs, 1, 1], Init::He, 3, &place).unwrap();
    NetworkGenerator {
        net,
        latent: Latent { dim: 5, prior: Prior::Normal },
        classes: classes.iter().map(|name| name.to_string()).collect(),
        points: false,
        features: "fashion-classifier".into(),
        features_sha256: None,
        crop: Crop::default(),
        background: Background::default(),
        made: made(),
        sha256: String::new(),
    }
}

/// The same, which has learned from pictures cut by `crop`.
fn write_generator(path: &Path, classes: &[&str], crop: &str) {
    NetworkGenerator { crop: crop.parse().unwrap(), ..generator(classes) }.write(path).unwrap();
}

/// A classifier of pictures of 8x8 pixels with random weights.
fn write_classifier(path: &Path, seed: u64) {
    let place = net::Place::cpu();
    let layers = vec![
        Reshape { to: [64, 1, 1] }.into(),
        Linear { inputs: 64, outputs: 6, bias: true }.into(),
        Linear { inputs: 6, outputs: 2, bias: true }.into(),
    ];
    let net = Net::new(layers, [1, 8, 8], Init::He, seed, &place).unwrap();
    let classes = vec!["a".into(), "b".into()];
    Classifier { net, classes, features_after: 2, made: made(), sha256: String::new() }.write(path).unwrap();
}

/// Smooth pictures of n sizes, as a folder.
fn write_smooth(folder: &Path, n: usize) {
    std::fs::create_dir_all(folder).unwrap();
    for i in 0..n {
        let (h, w) = (40 + 2 * i, 50);
        let pixel = |y: usize, x: usize| 0.5 + 0.5 * ((y * (i + 1)) as f32 / 9.0).sin() * (x as f32 / 7.0).cos();
        let data = (0..h).flat_map(|y| (0..w).map(move |x| pixel(y, x))).collect();
        Images::clamped(1, 1, h, w, data).unwrap().write_png(0, &folder.join(format!("{i}.png"))).unwrap();
    }
}

fn read(path: &Path) -> Images {
    Decoder::new(Channels::Keep).read(path).unwrap()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/examples").join(name).to_str().unwrap().into()
}

#[test]
fn inputs_are_cut_as_the_generators_pictures_were() {
    let place = Place::new();
    write_smooth(&place.path("liked"), 3);
    // The same pictures, cut by hand; the middle where chance decides.
    std::fs::create_dir(place.path("cut")).unwrap();
    for i in 0..3 {
        let whole = read(&place.path(&format!("liked/{i}.png")));
        let cut: Crop = "centre:24".parse().unwrap();
        // A way around the 8 bits of a file, which the program does not take either: the size is that of the generator.
        let small = Resize::new(24, 24).unwrap().apply(&cut.apply(whole).unwrap()).unwrap();
        small.write_png(0, &place.path(&format!("cut/{i}.png"))).unwrap();
    }
    for crop in ["centre:24", "random:24", "centre:30,random:24"] {
        write_generator(&place.path("g.safetensors"), &[], crop);
        let run = |words: &str| {
            let json =
                place.kme(&format!("match g.safetensors {words} -n 2 --steps 3 --features pixels --json")).json();
            (json["mmd2_after"].as_f64().unwrap(), json["kernel"].clone(), json["crop"].clone())
        };
        let expected = run("cut --crop none -o by-hand.png");
        let found = run("liked -o m.png");
        assert_eq!((found.0, &found.1, found.2), (expected.0, &expected.1, crop.into()), "{crop}");
        assert!(std::fs::read(place.path("m.png")).unwrap() == std::fs::read(place.path("by-hand.png")).unwrap());
        assert_eq!(run("liked --crop as-trained -o m.png").0, expected.0);
        assert_ne!(run("liked --crop none -o m.png").0, expected.0);
        assert_eq!(run("liked --crop centre:24 -o m.png").0, expected.0);
        assert!(place.kme("models info g.safetensors").out.contains(&format!("crop        {crop}")));
    }
    let ran = place.kme("match g.safetensors liked -o m.png --features pixels --steps 1");
    assert!(ran.err.contains("inputs cut by centre:30,random:24, as the generator's pictures were"), "{}", ran.err);
    // A picture that the crop does not fit is named, and a crop that is none is refused.
    write_generator(&place.path("g.safetensors"), &[], "random:45");
    let ran = place.kme("match g.safetensors liked -o m.png --features pixels");
    assert!(ran.code == Some(2) && ran.err.contains("0.png") && ran.err.contains("random:45"), "{}", ran.err);
    let ran = place.kme("match g.safetensors liked -o m.png --crop middle");
    assert!(
        ran.code == Some(2) && ran.err.contains("none, or up to 3") && ran.err.contains("as-trained"),
        "{}",
        ran.err
    );
}

/// Inputs that are filled up, or transparent, have the ground of the pictures that the generator has learned from.
#[test]
fn inputs_lie_on_the_ground_of_the_generators_pictures() {
    let place = Place::new();
    let picture = |h: usize, w: usize, level: f32| Images::new(1, 1, h, w, vec![level; h * w]).unwrap();
    std::fs::create_dir(place.path("wide")).unwrap();
    picture(20, 40, 0.75).write_png(0, &place.path("wide/0.png")).unwrap();
    // The same by hand: 10 rows of the ground above and below.
    for (name, level) in [("on-black", 0.0), ("on-white", 1.0)] {
        std::fs::create_dir(place.path(name)).unwrap();
        let pixel = |i: usize| if (10..30).contains(&(i / 40)) { 0.75 } else { level };
        let square = Images::new(1, 1, 40, 40, (0..1600).map(pixel).collect()).unwrap();
        square.write_png(0, &place.path(&format!("{name}/0.png"))).unwrap();
    }
    for background in ["black", "white"] {
        let (crop, background) = ("pad".parse().unwrap(), background.parse::<Background>().unwrap());
        NetworkGenerator { crop, background, ..generator(&[]) }.write(&place.path("g.safetensors")).unwrap();
        let run = |words: &str| {
            let json =
                place.kme(&format!("match g.safetensors {words} -n 2 --steps 3 --features pixels --json")).json();
            (json["mmd2_after"].as_f64().unwrap(), json["kernel"].clone(), json["background"].clone())
        };
        let found = run("wide -o m.png");
        let expected = run(&format!("on-{background} --crop none -o m.png"));
        assert_eq!((found.0, &found.1), (expected.0, &expected.1), "{background}");
        assert_eq!(found.2, background.to_string());
        let other = if background.is_white() { "on-black" } else { "on-white" };
        assert_ne!(run(&format!("{other} --crop none -o m.png")).0, expected.0);
        let card = place.kme("models info g.safetensors").out;
        assert_eq!(card.contains("background  black"), !background.is_white(), "{card}");
    }
}

#[test]
fn latents_go_out_and_come_back() {
    let place = Place::new();
    place.pictures("liked", 2, 1);
    write_generator(&place.path("g.safetensors"), &[], "none");
    write_generator(&place.path("c.safetensors"), &["left", "right", "7"], "none");
    for (name, width) in [("g", 5), ("c", 6)] {
        let words = format!(
            "match {name}.safetensors liked -n 12 --steps 3 --features pixels -o {name}.PNG -o {name}-singles --latents {name}.npy \
             --json"
        );
        let json = place.kme(&words).json();
        assert_eq!(json["outputs"], serde_json::json!([format!("{name}.PNG"), format!("{name}-singles")]));
        let latents = Points::read(place.path(&format!("{name}.npy"))).unwrap();
        assert_eq!((latents.len(), latents.dim()), (12, width));
        for i in 0..12 {
            for j in 0..5 {
                let stored = latents.data().get(i * width + j);
                assert!((stored - json["latents"][i][j].as_f64().unwrap()).abs() < 1e-7);
            }
        }
        let words = format!("sample {name}.safetensors --latents {name}.npy -o {name}-again --json");
        let again = place.kme(&words).json();
        assert_eq!(again["n"], 12);
        if name == "c" {
            assert_eq!(again["classes"], json["classes"]);
        }
        let folders = [place.path(&format!("{name}-singles")), place.path(&format!("{name}-again"))];
        assert_eq!(names(&folders[0]).len(), 12);
        assert_eq!(names(&folders[0])[0], "00.png");
        assert_eq!(names(&folders[0]), names(&folders[1]));
        for file in names(&folders[0]) {
            let [a, b] = [0, 1].map(|i| std::fs::read(folders[i].join(&file)).unwrap());
            assert!(a == b, "{file}");
        }
    }
    // Ways between given latents; a walk over them and back.
    assert_eq!(
        place.kme("sample g.safetensors --latents g.npy --interpolate --steps 4 -o w.png --json").json()["n"],
        44
    );
    assert_eq!(
        place.kme("sample g.safetensors --latents g.npy --interpolate --steps 4 -o w.gif --json").json()["n"],
        48
    );
    assert_eq!(place.kme("sample c.safetensors --interpolate -n 3 --steps 4 -o w.gif --json").json()["n"], 12);
    for (words, expected) in [
        ("g.safetensors --latents c.npy", "--latents: dimension of the latents differs: 6 and 5"),
        ("c.safetensors --latents g.npy", "each followed by the number of its class"),
        ("g.safetensors --latents g.npy -n 3", "cannot be used with"),
        ("g.safetensors --latents no.npy", "no.npy"),
        ("c.safetensors --latents c.npy --class all", "with --latents"),
    ] {
        let ran = place.kme(&format!("sample {words} -o x.png"));
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{words}: {}", ran.err);
    }
    assert_eq!(place.kme("sample c.safetensors --latents g.npy --class left -o x.png").code, Some(0));
}

/// A card names a network by its name and SHA-256: it is found wherever it may be, and no other is taken for it.
#[test]
fn the_network_of_a_card_is_found_again() {
    let place = Place::new();
    place.pictures("a", 3, 1);
    for folder in ["nets", "runs", "runs/mine"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    write_classifier(&place.path("nets/judge.safetensors"), 1);
    let info = place.kme("models info nets/judge.safetensors --json").json();
    let sha256 = info["sha256"].as_str().unwrap().to_string();
    let features_sha256 = Some(sha256.clone());
    let card = NetworkGenerator { features: "judge.safetensors".into(), features_sha256, ..generator(&[]) };
    card.write(&place.path("runs/mine/model.safetensors")).unwrap();
    let run = |words: &str| place.kme(&format!("match runs/mine a -n 1 --steps 1 -o m.png {words}"));
    let found = |words: &str| {
        let ran = run(&format!("{words} --json"));
        assert_eq!(ran.json()["features"]["sha256"], sha256.as_str(), "{}", ran.err);
    };
    let missing = |words: &str, expected: &str| {
        let ran = run(words);
        assert!(ran.code == Some(2) && ran.err.contains("--features is judge.safetensors"), "{}", ran.err);
        assert!(ran.err.contains(&sha256) && ran.err.contains(expected), "{}", ran.err);
    };
    missing("", "nor beside the run");
    found("--models-dir nets");
    found("--features nets/judge.safetensors");
    assert!(place.kme("models info runs/mine").out.contains(&format!("judge.safetensors (SHA-256 {sha256})")));
    // Another under its name.
    write_classifier(&place.path("runs/judge.safetensors"), 2);
    missing("", "is another");
    found("--models-dir nets");
    let ran = place.kme("embed runs/mine -o x.kme --samples 20");
    assert!(ran.code == Some(2) && ran.err.contains(&sha256), "{}", ran.err);
    std::fs::copy(place.path("nets/judge.safetensors"), place.path("runs/judge.safetensors")).unwrap();
    found("");
    assert_eq!(place.kme("embed runs/mine -o x.kme --samples 20").code, Some(0));
    // Where the run's own configuration has it.
    std::fs::remove_file(place.path("runs/judge.safetensors")).unwrap();
    let config = format!("[score]\nfeatures = {:?}\n", place.path("nets/judge.safetensors").to_str().unwrap());
    std::fs::write(place.path("runs/mine/config.toml"), config).unwrap();
    found("");
}

/// What is printed is what whoever reads the pictures computes.
#[test]
fn the_mmd_that_is_printed_is_that_of_the_pictures_written() {
    let place = Place::new();
    let (boot, bag) = (example("ankle-boot.png"), example("bag.png"));
    std::fs::create_dir(place.path("liked")).unwrap();
    for (i, file) in [&boot, &bag].into_iter().enumerate() {
        std::fs::copy(file, place.path(&format!("liked/{i}.png"))).unwrap();
    }
    let json =
        place.kme("match fashion liked -n 6 --steps 40 -o m.png -o singles --kernel gaussian:sigma=4 --json").json();
    let eval = place.kme(
        "eval liked singles --features fashion-classifier --metrics mmd --estimator biased --kernel gaussian:sigma=4 --json",
    );
    let (printed, found) = (json["mmd2_after"].as_f64().unwrap(), eval.value());
    // Up to the 8 bits of the files.
    assert!((printed - found).abs() < 0.02 * printed.abs() + 1e-4, "{printed} {found}");
    assert!(printed < json["mmd2_before"].as_f64().unwrap());
}

#[test]
fn what_cannot_be_reached_is_told_in_numbers() {
    let place = Place::new();
    let garments: Vec<String> =
        ["ankle-boot.png", "bag.png", "dress.png", "sneaker.png"].iter().map(|name| example(name)).collect();
    let run = |likes: &[&str], rest: &[&str]| {
        let words =
            [&["match", "fashion"], likes, &["-n", "2", "--steps", "1", "-o", "m.png", "--json"], rest].concat();
        let ran = place.run(&words);
        (ran.json()["inputs_far"].clone(), ran.err)
    };
    let garments: Vec<&str> = garments.iter().map(String::as_str).collect();
    for features in ["fashion-classifier", "pixels"] {
        let (far, said) = run(&garments, &["--features", features]);
        assert_eq!(far, serde_json::json!({ "features": 0, "pixels": 0 }));
        assert!(!said.contains("unlike"), "{features}: {said}");
    }
    // Noise, and a smooth picture without a ground, like a photograph.
    place.pictures("noise", 3, 4);
    write_smooth(&place.path("smooth"), 1);
    let (far, said) = run(&["noise"], &[]);
    assert!(far["pixels"] == 3 && said.contains("noise: 3 of 3 pictures at "), "{said}");
    let (far, said) = run(&[garments[0], "smooth/0.png"], &[]);
    assert!(
        far["pixels"] == 1
            && said.contains("1 of your 2 inputs is unlike what this generator makes:\n  smooth/0.png: "),
        "{said}"
    );
    assert!(said.contains(" times the usual distance in pixels") && said.contains("kme sample fashion -o"), "{said}");
    // Ten times as bright as any garment in features that are pixels' own: an embedding, which has no pixels.
    let ran = place.kme("embed noise --features fashion-classifier --kernel imq:c=10 -o noise.kme");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let (far, _) = run(&["noise.kme"], &[]);
    assert!(far["pixels"].is_null());
    // Kernels without a length that fits.
    let (_, said) = run(&garments, &["--kernel", "gaussian:sigma=0.01"]);
    assert!(said.contains("gaussian:sigma=0.01 is too narrow") && said.contains("a length near"), "{said}");
    let (_, said) = run(&garments, &["--kernel", "gaussian:sigma=1e5"]);
    assert!(said.contains("too wide"), "{said}");
    for kernel in ["gaussian:sigma=median", "linear", "energy", "imq:c=10"] {
        let (_, said) = run(&garments, &["--kernel", kernel]);
        assert!(!said.contains("too "), "{kernel}: {said}");
    }
}

/// Starts `kme`, waits until `begun` of what it said, sends SIGINT, and gives what came out.
fn interrupted(place: &Place, words: &str, begun: impl Fn(&str) -> bool) -> (Option<i32>, String, String) {
    let mut child = common::command()
        .args(words.split_whitespace())
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = Arc::new(Mutex::new(String::new()));
    let (stderr, heard) = (child.stderr.take().unwrap(), said.clone());
    let listener = std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            heard.lock().unwrap().push_str(&format!("{}\n", line.unwrap()));
        }
    });
    let begin = Instant::now();
    while !begun(&said.lock().unwrap())
        && begin.elapsed() < Duration::from_secs(120)
        && child.try_wait().unwrap().is_none()
    {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    listener.join().unwrap();
    let said = said.lock().unwrap().clone();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), said)
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_what_was_reached_and_says_so() {
    let place = Place::new();
    let likes = example("bag.png");
    // In the descent, and while starts are looked for.
    for (words, expected) in
        [("-n 4 --best-of 1 --steps 1000000", 4..=4), ("-n 9000 --best-of 9000 --steps 10", 1..=8999)]
    {
        let words = format!("match fashion {likes} -o m.png --json {words}");
        let first = std::cell::Cell::new(None);
        let begun = |said: &str| {
            // Some seconds after it has said with which kernel it begins.
            let since = first.get().unwrap_or_else(Instant::now);
            first.set(said.contains("kernel ").then_some(since));
            first.get().is_some_and(|since| since.elapsed() > Duration::from_secs(8))
        };
        let (code, out, err) = interrupted(&place, &words, begun);
        assert_eq!(code, Some(130), "{err}");
        let json: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"));
        assert_eq!(json["interrupted"], true);
        assert!(json["steps"].as_u64().unwrap() < 1_000_000);
        let n = json["n"].as_u64().unwrap();
        assert!(expected.contains(&n) && json["latents"].as_array().unwrap().len() as u64 == n, "{n}");
        assert!(place.path("m.png").exists());
        std::fs::remove_file(place.path("m.png")).unwrap();
    }
    let json = place.run(&["match", "fashion", &likes, "-o", "m.png", "--steps", "3", "--json"]).json();
    assert_eq!((&json["interrupted"], &json["steps"]), (&false.into(), &3.into()));
}

#[cfg(unix)]
#[test]
fn a_folder_of_pictures_is_whole_or_not_there() {
    let place = Place::new();
    let unfinished = |_: &str| {
        let is_begun = |name: &String| {
            name.starts_with(".kme-")
                && std::fs::read_dir(place.path(name)).is_ok_and(|mut entries| entries.next().is_some())
        };
        names(&place.path("")).iter().any(is_begun)
    };
    let (code, _, err) = interrupted(&place, "sample fashion -n 200000 -o many", unfinished);
    assert_eq!(code, Some(130), "{err}");
    assert!(err.contains("interrupted; the unfinished output is removed"), "{err}");
    assert_eq!(names(&place.path("")), Vec::<String>::new());
    // An empty folder is filled where it is.
    std::fs::create_dir(place.path("here")).unwrap();
    assert_eq!(place.kme("sample fashion -n 3 -o here").code, Some(0));
    assert_eq!(names(&place.path("here")), ["0.png", "1.png", "2.png"]);
}

#[test]
fn outputs_that_cannot_be_are_told_before_the_work() {
    let place = Place::new();
    place.pictures("a", 4, 1);
    std::fs::write(place.path("file"), "x").unwrap();
    let likes = example("bag.png");
    // A match with these settings takes minutes.
    let long = format!("match fashion {likes} -n 500 --best-of 5000 -o");
    let mut cases = Vec::new();
    for (out, expected) in [
        ("walk.mp4", "ends in .png"),
        ("pics.zip", "ends in .png"),
        ("a.webm", "ends in .png"),
        ("x.jpg", "ends in .png"),
        ("x.safetensors", "ends in .png"),
        ("-", "a file name"),
        ("no/x.png", "create its folder"),
        ("file/x.png", "is a file, not a folder"),
        ("file", "is a file"),
        ("a", "not empty"),
        #[cfg(target_os = "linux")]
        ("/proc/x.png", "cannot write /proc/x.png: its folder takes no new files"),
        #[cfg(target_os = "linux")]
        ("/proc/x", "cannot write /proc/x: its folder takes no new files"),
    ] {
        cases.push((format!("{long} {out}"), expected));
        cases.push((format!("sample fashion -n 900000 -o {out}"), expected));
    }
    for (words, expected) in [
        ("sample fashion -n 900000 -o walk.gif", "with --interpolate"),
        ("sample fashion -n 90000 --interpolate -o walk.mp4", ".gif (the interpolation)"),
        ("embed a --features pixels -o -", "ends in .kme"),
        ("embed a --features pixels -o no/x.kme", "create its folder"),
        ("reduce a -n 2 --features pixels -o -", "a file name"),
        ("reduce a -n 2 --features pixels -o x.mp4", "a name that ends in .kme"),
        ("reduce a -n 2 --features pixels -o a", "not empty"),
        ("reduce a -n 2 --features pixels -o no/x.txt", "create its folder"),
        ("rank a a --features pixels -o -", "a name that ends in"),
        ("rank a a --features pixels --fakes no/x.png", "create its folder"),
    ] {
        cases.push((words.to_string(), expected));
    }
    cases.push((format!("{long} x.png --latents z.csv"), "a name that ends in .npy"));
    cases.push((format!("{long} x.png --latents no/z.npy"), "create its folder"));
    for (words, expected) in cases {
        let begin = Instant::now();
        let ran = place.kme(&words);
        assert!(ran.code == Some(2) && ran.err.contains(expected), "{words}: {:?} {}", ran.code, ran.err);
        assert!(begin.elapsed() < Duration::from_secs(20), "{words}");
    }
    assert_eq!(names(&place.path("")), ["a", "file"]);
    // A folder's name may look like a file's when it is said to be one.
    assert_eq!(place.kme("sample fashion -n 2 -o pics.zip/").code, Some(0));
    assert_eq!(names(&place.path("pics.zip")), ["0.png", "1.png"]);
    assert_eq!(place.kme("sample fashion -n 2 -o v1.5").code, Some(0));
    assert_eq!(place.kme("sample fashion -n 2 -o SHEET.PNG").code, Some(0));
    assert!(place.path("SHEET.PNG").is_file());
}

#[test]
fn a_difference_alone_is_nothing_to_be_like() {
    let place = Place::new();
    std::fs::create_dir(place.path("liked")).unwrap();
    std::fs::copy(example("bag.png"), place.path("liked/bag.png")).unwrap();
    for (name, file) in [("a", "bag.png"), ("b", "dress.png")] {
        let words = ["embed", &example(file), "-o", &format!("{name}.kme"), "--features", "fashion-classifier"];
        let ran = place.run(&[&words[..], &["--kernel", "gaussian:sigma=4"]].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    for likes in [
        &["a.kme - a.kme"][..],
        &["0.3*a.kme - 0.1*a.kme - 0.2*a.kme"],
        &["a.kme - 2*b.kme"],
        &["1*liked", "-1*liked"],
        &["a.kme", "-1*b.kme"],
        &["-2*a.kme", "liked"],
    ] {
        let words = [&["match", "fashion", "-o", "m.png", "--steps", "1", "--"], likes].concat();
        let ran = place.run(&words);
        assert!(ran.code == Some(2) && ran.err.contains("less like this"), "{likes:?}: {:?} {}", ran.code, ran.err);
    }
    // Weights are divided by their sum, those of an expression like any others.
    let run = |likes: &[&str]| {
        let words = [&["match", "fashion", "-o", "m.png", "--steps", "2", "--json", "--"], likes].concat();
        place.run(&words).json()["mmd2_after"].as_f64().unwrap()
    };
    let expected = run(&["0.75*a.kme + 0.25*b.kme"]);
    for likes in [&["3*a.kme + 1*b.kme"][..], &["3*a.kme", "b.kme"]] {
        assert!((run(likes) - expected).abs() < 1e-4 * expected, "{likes:?}");
    }
}

/// Names that are no text: what is written goes there, what is read is refused with a reason, and nothing ever panics.
#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.pictures("a", 8, 1);
    write_generator(&place.path("g.safetensors"), &[], "none");
    let odd = |ending: &str| OsString::from(OsStr::from_bytes(&[b"r\xff\xfeun", ending.as_bytes()].concat()));
    let run = |words: &str, name: OsString, json: bool| {
        let words = words.split_whitespace().map(|word| if word == "@" { name.clone() } else { word.into() });
        let mut command = common::command();
        command.args(words).args(json.then_some("--json")).current_dir(place.path(""));
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), output.stdout)
    };
    let tiny = "--steps 2 --set batch=4 --set data.size=16 --set data.held_out= --set log.samples=1";
    for (words, ending) in [
        ("sample g.safetensors -n 3 -o @", ".png"),
        ("sample g.safetensors -n 3 -o @", ""),
        ("match g.safetensors a -n 2 --steps 1 --features pixels -o @", ".png"),
        ("match g.safetensors a -n 2 --steps 1 --features pixels -o @", "-singles"),
        ("match g.safetensors a -n 2 --steps 1 --features pixels -o m.png --latents @", ".npy"),
        ("embed a --features pixels -o @", ".kme"),
        ("embed a --features pixels -o @", ".npz"),
        ("embed a --features pixels -o @", ".npy"),
        ("eval a a --features pixels --metrics mmd --kernel linear -o @", ".csv"),
        ("reduce a -n 2 --features pixels -o @", ".txt"),
        ("reduce a -n 2 --features pixels -o @", "-chosen"),
        ("reduce a -n 2 --features pixels -o @", ".json"),
        ("rank a a --features pixels -o @", ".csv"),
        ("rank a a --features pixels --fakes @", ".PNG"),
        ("merge @ -o m.kme", ".kme"),
        (&format!("train fashion-mmd-gan --data a {tiny} -o @"), "-trained"),
        ("train --resume -o @", "-trained"),
        ("models list --models-dir @", ""),
        ("data cache --cache-dir @", ""),
    ] {
        for json in [false, true] {
            if json && std::fs::metadata(place.path("").join(odd(ending))).is_ok_and(|meta| meta.is_dir()) {
                if words.starts_with("train fashion") {
                    continue;
                }
                if !words.starts_with("train") && !words.contains("-dir") {
                    std::fs::remove_dir_all(place.path("").join(odd(ending))).unwrap();
                }
            }
            let (code, err, out) = run(words, odd(ending), json);
            assert_eq!(code, Some(0), "{words}: {err}");
            if json {
                serde_json::from_slice::<serde_json::Value>(&out).unwrap();
            }
        }
    }
    for words in [
        "sample @ -o x.png",
        "match @ a -o x.png",
        "match g.safetensors @ -o x.png",
        "embed @ -o x.kme",
        "eval a @",
        "test @ a",
        "rank @ a",
        "reduce @ -n 2",
        "data info @",
        "models info @",
        "train fashion-mmd-gan -o new --data @",
        "train @ -o new",
        "eval a a --features @",
    ] {
        let (code, err, _) = run(words, odd(""), false);
        let expected = "\"r\\xFF\\xFEun\" is not UTF-8 text";
        assert!(code == Some(2) && err.contains(expected) && err.contains("ln -s"), "{words}: {code:?} {err}");
    }
}
