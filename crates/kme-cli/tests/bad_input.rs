//! Bad input: exit code 2, one message that names the file or value, what is allowed and the remedy, and no output.

mod common;

use common::Place;

/// Files that are wrong in one way each, beside some that are right.
fn place() -> Place {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| std::fs::write(place.path(name), bytes).unwrap();
    place.normal("x.npy", 20, 3, 0.0, 1);
    place.normal("y.npy", 20, 3, 0.0, 2);
    place.normal("four.npy", 20, 4, 0.0, 2);
    place.normal("one.npy", 1, 3, 0.0, 2);
    place.pictures("a", 4, 1);
    write("empty.npy", b"");
    write("text.npy", b"just some words, no array at all");
    write("text.png", b"just some words, no picture at all");
    write("notes.txt", b"just some words");
    write("notes.md", b"just some words");
    write("nan.csv", b"1,2,3\n4,nan,6\n");
    write("ragged.csv", b"1,2,3\n4,5\n");
    let whole = std::fs::read(place.path("x.npy")).unwrap();
    write("cut.npy", &whole[..whole.len() - 5]);
    for (name, kernel) in [("energy.kme", "energy"), ("linear.kme", "linear")] {
        assert_eq!(place.kme(&format!("embed x.npy -o {name} --kernel {kernel}")).code, Some(0));
    }
    assert_eq!(place.kme("embed a -o pixels.kme --features pixels").code, Some(0));
    let whole = std::fs::read(place.path("energy.kme")).unwrap();
    write("cut.kme", &whole[..whole.len() - 5]);
    let network = kme_net::SHIPPED.iter().find(|s| s.name == "fashion-classifier").unwrap();
    write("cut.safetensors", &network.bytes[..network.bytes.len() - 4]);
    write("huge.csv", b"1e39,1,1\n1e200,2,2\n1,2,3\n");
    write("w3.csv", b"1\n2\n3\n");
    write("negative.csv", (["1\n"; 19].concat() + "-1\n").as_bytes());
    write("same.csv", "1,2,3\n".repeat(9).as_bytes());
    write("w20.csv", (1..21).map(|w| format!("{w}\n")).collect::<String>().as_bytes());
    assert_eq!(place.kme("embed x.npy -o weighted.kme --weights w20.csv --kernel energy").code, Some(0));
    std::fs::create_dir(place.path("hollow")).unwrap();
    std::fs::create_dir(place.path("mixed")).unwrap();
    std::fs::copy(place.path("a/000.png"), place.path("mixed/a.png")).unwrap();
    let colour = kme_image::Images::new(1, 3, 28, 28, vec![0.5; 3 * 784]).unwrap();
    colour.write_png(0, &place.path("mixed/b.png")).unwrap();
    colour.write_png(0, &place.path("colour.png")).unwrap();
    let large = kme_image::Images::new(1, 1, 30, 28, vec![0.5; 840]).unwrap();
    large.write_png(0, &place.path("large.png")).unwrap();
    write("hostile.pth", b"\x80\x02cposix\nsystem\nX\x02\0\0\0ls\x85R.");
    let jpeg = include_bytes!("golden/grey.jpg");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(place.path("cut.zip")).unwrap());
    zip.start_file("cut.jpg", zip::write::SimpleFileOptions::default()).unwrap();
    std::io::Write::write_all(&mut zip, &jpeg[..300]).unwrap();
    zip.finish().unwrap();
    std::fs::create_dir(place.path("sizes")).unwrap();
    std::fs::copy(place.path("a/000.png"), place.path("sizes/a.png")).unwrap();
    std::fs::copy(place.path("large.png"), place.path("sizes/b.png")).unwrap();
    place
}

#[test]
fn bad_input_is_told_clearly() {
    let place = place();
    let before = place.names();
    let cases: &[(&str, &[&str])] = &[
        // Files.
        ("eval missing.npy y.npy", &["missing.npy", "no such file"]),
        ("eval x.npy missing", &["missing", "no such file", "fashion-mnist"]),
        ("eval x.npy missing.kme", &["missing.kme", "no such file"]),
        ("eval text.png a --features pixels", &["text.png", "PNG, JPEG"]),
        ("eval notes.txt a --features pixels", &["notes.txt", "no line of numbers"]),
        ("eval notes.md a --features pixels", &["notes.md", "a picture (PNG", ".npy, .npz"]),
        ("eval hollow a --features pixels", &["hollow", "without pictures"]),
        ("eval empty.npy y.npy", &["empty.npy", "0 bytes"]),
        ("eval text.npy y.npy", &["text.npy", "npy"]),
        ("eval cut.npy y.npy", &["cut.npy"]),
        ("eval cut.kme y.npy", &["cut.kme", "truncated"]),
        ("eval cut.zip a --features pixels", &["cut.zip/cut.jpg", "cut off"]),
        ("eval cut.zip a --features pixels --skip-bad", &["cannot read any of 1 pictures", "cut.jpg", "cut off"]),
        (
            "eval a/000.png a --features fashion-classifier --no-cache",
            &["a/000.png: the unbiased estimator needs at least 2 points, but there is 1"],
        ),
        ("eval a a --features fashion-classifier --cache-dir x.npy", &["x.npy", "--cache-dir", "--no-cache"]),
        ("eval a a --features fashion-classifier --cache-dir x.npy/sub", &["x.npy/sub", "--cache-dir"]),
        ("eval a a --features fashion-classifier --cache-dir c --no-cache", &["--no-cache", "cannot be used with"]),
        ("eval nan.csv y.npy", &["nan.csv", "line 2"]),
        ("eval ragged.csv y.npy", &["ragged.csv"]),
        (
            "eval fashion-mnist:test a --features pixels --data-dir hollow",
            &["fashion-mnist:test", "To get it", "--data-dir"],
        ),
        ("eval fashion-mnist:tset a --features pixels", &["tset", "train, test, all"]),
        // Names, and what to do about them.
        (
            "train fashion-wgn -o run",
            &["unknown preset 'fashion-wgn'; did you mean 'fashion-wgan'", "`kme train --list` shows all presets"],
        ),
        ("sample fashin -o out.png --models-dir own", &["did you mean 'fashion'", "own/fashin.safetensors"]),
        // What does not go together.
        ("eval x.npy four.npy", &["dimension", "3 (x.npy)", "4 (four.npy)"]),
        ("eval x.npy one.npy", &["one.npy", "at least 2"]),
        ("eval x.npy a --features pixels", &["feature map", "identity", "x.npy"]),
        ("eval x.npy pixels.kme", &["feature map", "'identity' (x.npy)", "'pixels' (pixels.kme)"]),
        ("eval a colour.png --features pixels", &["preprocessing", "1x28x28", "3x28x28", "--channels"]),
        ("eval a large.png --features pixels", &["preprocessing", "1x30x28", "--size"]),
        ("eval mixed a --features pixels", &["--channels is missing: give 1 or 3"]),
        ("eval sizes a --features pixels", &["--size is missing: give HEIGHTxWIDTH"]),
        ("eval energy.kme linear.kme --metrics mmd", &["kernel", "energy.kme", "linear.kme", "--kernel"]),
        ("merge energy.kme linear.kme -o out.kme", &["kernel", "energy.kme", "linear.kme"]),
        ("merge energy.kme x.npy -o out.kme", &["x.npy"]),
        ("embed x.npy --weights w3.csv -o out.kme", &["w3.csv", "3 weights for 20 points"]),
        ("embed x.npy --weights negative.csv -o out.kme", &["-1", "at least 0"]),
        // Values.
        ("eval a a", &["--features", "a holds pictures", "pixels, fashion-classifier"]),
        ("eval a a --features identity", &["identity", "pixels, a network or a classifier"]),
        ("eval a a --features nothing", &["nothing", "fashion-classifier"]),
        ("eval x.npy y.npy --features pixels", &["--features is pixels", "identity", "x.npy"]),
        ("eval a a --features fashion-classifier --size 8x8", &["--size", "1x28x28"]),
        ("eval a a --features pixels --size 0x8", &["--size", "0x8"]),
        (
            "eval a a --features pixels --size 8x8 --resize bicubic",
            &["--resize", "bicubic", "clean-fid", "torch-bilinear"],
        ),
        ("eval a a --features pixels --resize clean-fid", &["--resize", "--size is missing"]),
        ("eval x.npy y.npy --resize clean-fid", &["--resize", "no pictures among the sources"]),
        ("eval a a --features pixels --channels 2", &["--channels", "channels is 2", "1 (grey) or 3"]),
        (
            "eval x.npy y.npy --kernel gauss",
            &["--kernel", "unknown kernel 'gauss'; did you mean 'gaussian'?", "energy"],
        ),
        ("eval x.npy y.npy --kernel gaussian:sigma=-1", &["sigma", "-1"]),
        ("eval x.npy y.npy --kernel linear --metrics kid", &["--kernel", "Add mmd to the --metrics"]),
        ("eval x.npy y.npy --metrics fdi", &["fdi", "kid, fid, is, mmd, cmmd"]),
        ("eval x.npy y.npy --protocol best", &["best", "full, torch-fidelity, clean-fid, pytorch-fid, paper"]),
        ("eval x.npy y.npy --protocol paper", &["--subset-size is 1000, but must be from 2 to 20", "full"]),
        ("eval x.npy one.npy --protocol clean-fid", &["one.npy", "at least 2"]),
        ("eval x.npy y.npy --protocol torch-fidelity --subset-size 5 --seed 4294967296", &["seed", "4294967295"]),
        ("eval x.npy y.npy --protocol paper --subset-size 1", &["--subset-size", "at least 2"]),
        ("eval x.npy y.npy --protocol paper --subset-size 5 --subsets 0", &["--subsets", "at least 1"]),
        ("eval x.npy y.npy --subsets 5", &["--subsets has no effect", "torch-fidelity"]),
        ("eval x.npy y.npy --metrics fid --estimator biased", &["--estimator", "kid and mmd"]),
        ("eval x.npy y.npy --protocol paper --estimator biased", &["--estimator", "unbiased"]),
        ("eval x.npy one.npy --metrics fid", &["one.npy: a covariance needs at least 2 points"]),
        ("eval one.npy x.npy --metrics fid", &["one.npy: a covariance needs at least 2 points"]),
        ("eval x.npy y.npy --metrics prdc --neighbours 20", &["--neighbours", "20", "1 to 19"]),
        (
            "eval x.npy y.npy --metrics is --splits 21",
            &["--splits is 21, but must be from 1 to 20, the number of images"],
        ),
        ("eval x.npy y.npy --metrics is --protocol clean-fid", &["clean-fid has none"]),
        ("eval energy.kme energy.kme --metrics is", &["energy.kme holds no class logits", "logits"]),
        ("eval --compare x.npy", &["x.npy", "--json"]),
        ("eval --compare x.npy y.npy", &["x.npy", "--json"]),
        ("eval x.npy y.npy --compare x.npy y.npy", &["--compare"]),
        ("eval x.npy y.npy --estimator best", &["best", "biased, unbiased, u-statistic, linear"]),
        ("eval x.npy y.npy --precision f16", &["f16", "f64, f32"]),
        ("eval x.npy y.npy --assert kid=1", &["kid=1", "such as kid<0.01"]),
        ("eval x.npy y.npy --threads 0", &["--threads", "1 to 1024"]),
        ("eval a a --features fashion-classifier --device tpu", &["--device", "tpu", "cpu, gpu"]),
        ("eval x.npy y.npy --device gpu:x", &["--device", "gpu:x", "cpu, gpu"]),
        ("eval huge.csv y.npy", &["rescale them"]),
        ("embed huge.csv --precision f32 -o out.kme", &["--precision is f32", "1e39"]),
        ("eval x.npy", &["a reference with candidates", "at least 2 sources"]),
        ("embed x.npy -o out.kme --shard 8/7", &["8/7", "such as 3/16"]),
        ("embed x.npy -o out.kme --shard 1/30", &["30 shards", "there are 20"]),
        ("embed x.npy -o out.kme --shard 1/2 --kernel gaussian:sigma=median", &["--shard", "median"]),
        ("embed x.npy -o out.kme --random-features 10", &["one Gaussian", "gaussian:sigma=2"]),
        ("embed x.npy -o out.kme --random-features 9 --kernel gaussian:sigma=2", &["9", "even"]),
        ("embed x.npy -o out.jpg", &["out.jpg", "ends in .kme", ".npz", ".npy"]),
        ("reduce a -n 2 --features pixels -o mixed", &["mixed", "not empty"]),
        // Choices.
        ("reduce x.npy", &["-n <N>"]),
        ("reduce x.npy -n 0", &["-n", "at least 1"]),
        ("reduce x.npy -n 21", &["-n", "21", "1 to 20", "x.npy"]),
        ("reduce x.npy -n 5 --by best", &["best", "herding, thinning, support"]),
        ("reduce x.npy -n 5 --weights best", &["best", "equal, optimal"]),
        ("reduce x.npy -n 5 --compress 40 --by thinning", &["40", "0 to 20, or none"]),
        ("reduce x.npy -n 5 --compress 4", &["--compress", "--by thinning"]),
        ("reduce x.npy -n 5 --exchanges 1 --by support", &["--exchanges", "--by herding and --by thinning"]),
        ("reduce x.npy -n 5 --steps 0 --by support", &["steps", "at least 1"]),
        ("reduce x.npy -n 5 --by support --kernel gaussian:sigma=1", &["gaussian", "energy"]),
        ("reduce x.npy -n 5 -o out.jpeg", &["out.jpeg", ".kme, .npy"]),
        ("reduce x.npy -n 5 -o out.png", &["out.png", "holds points, not pictures"]),
        ("reduce x.npy -n 5 -o no/such/out.npy", &["no/such/out.npy", "create its folder"]),
        ("reduce x.npy -n 5 -o out.txt --by support", &["out.txt", "--snap"]),
        ("reduce weighted.kme -n 5 --by thinning", &["weights", "herding and support"]),
        ("reduce nan.csv -n 1", &["nan.csv", "line 2"]),
        ("reduce a -n 2", &["--features", "a holds pictures"]),
        ("reduce one.npy -n 1 --kernel gaussian:sigma=median", &["median", "at least 2"]),
        ("rank x.npy four.npy", &["dimension", "3", "4"]),
        ("rank x.npy one.npy", &["one.npy", "at least 2"]),
        ("rank a a", &["--features", "a holds pictures"]),
        ("rank x.npy a --features pixels", &["feature map", "identity", "x.npy"]),
        ("rank x.npy y.npy --fakes out.png", &["--fakes", "y.npy holds points"]),
        ("rank a a --features pixels --missed out.jpg", &["out.jpg", ".png"]),
        ("rank a a --features pixels -o out.png", &["out.png", ".csv, .tsv or .json"]),
        ("rank x.npy y.npy --top 0", &["--top", "1 to 1000"]),
        ("rank x.npy y.npy --by looks", &["looks", "witness, density"]),
        ("rank energy.kme linear.kme", &["kernel", "energy.kme", "--kernel"]),
        ("rank nan.csv y.npy", &["nan.csv", "line 2"]),
        // Networks.
        ("eval a a --features x.npy", &["x.npy", "safetensors"]),
        ("eval a a --features resnet18=hostile.pth", &["hostile.pth", "would execute `posix.system`"]),
        ("eval a a --features energy.kme", &["energy.kme", "description"]),
        ("eval a a --features cut.safetensors", &["cut.safetensors"]),
        ("sample fashion -n -1 -o out.png", &["'-1' for '-n <N>'", "a whole number from 1 on"]),
        ("eval x.npy y.npy --splits -2", &["'-2' for '--splits <N>'", "a whole number from 1 on"]),
        ("test x.npy y.npy --alpha x", &["'x' for '--alpha <ALPHA>'", "a number"]),
        ("test x.npy y.npy --alpha -0.5", &["--alpha is -0.5", "between 0 and 1"]),
        // A name that begins with - is none of a flag behind --.
        ("match fashion -o out.png -- 1*no.png -0.2*bag.png", &["no.png", "no such file"]),
        ("match fashion -o out.png -- 1*a/000.png -0.2*bag.png", &["bag.png", "no such file"]),
        ("sample fashion-classifier -o out.png", &["fashion-classifier", "a classifier, not a generator"]),
        ("eval a fashion-classifier --features pixels", &["fashion-classifier", "a classifier, not a generator"]),
        ("models verify cut.safetensors", &["cut.safetensors"]),
        // Tests.
        ("test x.npy missing.npy", &["missing.npy", "no such file"]),
        ("test x.npy nan.csv", &["nan.csv", "line 2"]),
        ("test x.npy four.npy", &["dimension", "3 (x.npy)", "4 (four.npy)"]),
        ("test x.npy pixels.kme", &["feature map", "'identity' (x.npy)", "'pixels' (pixels.kme)"]),
        ("test x.npy weighted.kme", &["cannot test weighted.kme: it has weights"]),
        ("eval weighted.kme y.npy --metrics kid,fid", &["cannot compute fid: weighted.kme has weights", "kid and mmd"]),
        ("eval weighted.kme+x.npy y.npy", &["expression of embeddings 'weighted.kme+x.npy'", ".kme files alone"]),
        ("eval (weighted.kme+weighted.kme)/2 y.npy", &["expression of embeddings", "division"]),
        ("test x.npy one.npy", &["one.npy: ", "needs at least 2 points, but there is 1"]),
        ("test x.npy y.npy --permutations 9", &["--permutations is 9", "at least 19", "0.05"]),
        ("test x.npy y.npy x.npy --permutations 9", &["--permutations is 9", "at least 19", "0.05"]),
        ("test x.npy y.npy x.npy --permutations 99 --alpha 0.005", &["--permutations is 99", "at least 100"]),
        ("test x.npy y.npy --permutations 0", &["--permutations is 0", "at least 19"]),
        ("test x.npy y.npy --alpha 1.5", &["--alpha is 1.5", "between 0 and 1"]),
        ("test x.npy y.npy --method best", &["best", "aggregated, permutation, block, linear"]),
        ("test x.npy y.npy --method linear", &["x.npy: ", "at least 30"]),
        ("test x.npy y.npy --method block --block-size 21", &["--block-size is 21", "2 to 20"]),
        ("test x.npy y.npy --block-size 4", &["--block-size", "--method block"]),
        ("test x.npy y.npy --estimator biased", &["--estimator", "--method permutation"]),
        ("test x.npy y.npy --method permutation --estimator linear", &["--estimator is linear", "biased or unbiased"]),
        ("test x.npy y.npy --method permutation --kernel energy --kernel linear", &["--kernel", "more than once"]),
        ("test x.npy y.npy --assert nearer", &["--assert is nearer", "differ or same"]),
        ("test x.npy y.npy x.npy --assert same", &["--assert is same", "nearer or not-nearer"]),
        ("test x.npy y.npy x.npy --method block", &["--method", "two samples"]),
        ("test x.npy y.npy one.npy", &["one.npy: ", "at least 4"]),
        ("test x.npy y.npy --memorisation", &["memorisation", "SAMPLES TRAINING HELD_OUT"]),
        ("test x.npy y.npy one.npy --memorisation", &["one.npy: ", "at least 10 held-out points"]),
        ("test x.npy y.npy x.npy --memorisation --kernel energy", &["--kernel", "distances"]),
        ("test energy.kme linear.kme --method permutation", &["kernel", "energy.kme", "linear.kme", "--kernel"]),
        ("test same.csv same.csv", &["at least 2 different points"]),
        ("test huge.csv y.npy --kernel linear --permutations 99 --alpha 0.5", &["rescale them"]),
        ("test x.npy", &["<B>"]),
        // Outputs.
        ("embed x.npy -o no/such/out.kme", &["no/such/out.kme", "create its folder"]),
        ("merge energy.kme -o x.npy/out.kme", &["cannot write x.npy/out.kme"]),
    ];
    let mut faults = Vec::new();
    for (command, parts) in cases {
        let ran = place.kme(command);
        let mut check = |holds: bool, what: &str| {
            if !holds {
                faults.push(format!("{command}: {what}: {}", ran.err));
            }
        };
        check(ran.code == Some(2), &format!("exit code {:?}", ran.code));
        for part in *parts {
            check(ran.err.contains(part), &format!("no '{part}'"));
        }
        let messages = ran.err.lines().filter(|line| line.starts_with("kme: ") || line.starts_with("error: "));
        check(messages.count() == 1, "one message");
        check(ran.out.is_empty() && !ran.err.contains("panicked"), "no output");
        check(place.names() == before, "no file left");
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn combinations_are_no_samples() {
    let place = place();
    let ran = place.run(&["embed", "0.5*energy.kme + 0.5*energy.kme", "-o", "out.kme"]);
    assert!(ran.code == Some(2) && ran.err.contains("it is an embedding already"), "{}", ran.err);
    let ran = place.run(&["reduce", "energy.kme - 0.5*energy.kme", "-n", "3"]);
    assert!(ran.code == Some(2) && ran.err.contains("its weights may be negative"), "{}", ran.err);
    let ran = place.run(&["eval", "energy.kme + linear.kme", "x.npy"]);
    assert!(ran.code == Some(2) && ran.err.contains("energy (energy.kme)"), "{}", ran.err);
    assert!(ran.err.contains("linear (linear.kme)"), "{}", ran.err);
    let ran = place.run(&["eval", "energy.kme - energy.kme", "x.npy", "--metrics", "mmd"]);
    assert!(ran.code == Some(2) && ran.err.contains("sum of the weights"), "{}", ran.err);
}

#[test]
fn unknown_vector_instructions_are_refused() {
    let place = place();
    let ran = common::command()
        .args(["eval", "a", "a", "--features", "pixels"])
        .current_dir(place.path("."))
        .env("KME_CONV_ISA", "abacus")
        .output()
        .unwrap();
    let message = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(2), "{message}");
    assert!(message.contains("KME_CONV_ISA is abacus") && message.contains("generic"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_no_file() {
    let place = place();
    place.normal("big.npy", 40_000, 16, 0.0, 1);
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|done| done.status.success());
    if !mounted {
        eprintln!("skipped: a small tmpfs cannot be mounted here");
        return;
    }
    let ran = place.kme("embed big.npy -o disk/out.kme");
    let left = common::names(&disk);
    assert!(std::process::Command::new("umount").arg(&disk).status().unwrap().success());
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("disk/out.kme") && ran.err.contains("no space left"), "{}", ran.err);
    assert!(left.is_empty(), "{left:?}");
}

/// Ctrl-C while an embedding is written leaves neither a file nor a temporary one.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupt_stops_at_once_and_leaves_nothing() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};
    let place = Place::new();
    place.normal("x.npy", 60_000, 64, 0.0, 1);
    std::fs::create_dir(place.path("out")).unwrap();
    let mut child = common::command()
        .args(["embed", "x.npy", "-o", "out/x.kme"])
        .current_dir(place.path(""))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    // As soon as the temporary file is there.
    let begin = Instant::now();
    while common::names(&place.path("out")).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let code = child.wait().unwrap().code();
    let left = common::names(&place.path("out"));
    // The signal may come before or after the moment at which the file gets its name: it is whole or not there.
    match left.as_slice() {
        // 2 when the write fails, because its temporary file is gone, before the process has ended.
        [] => assert!(matches!(code, Some(130 | 2)), "{code:?}"),
        [only] if only == "x.kme" => {
            assert!(matches!(code, Some(0 | 130)), "{code:?}");
            assert_eq!(kme::Embedding::read(place.path("out/x.kme")).unwrap().len(), 60_000);
        }
        other => panic!("{other:?}, exit code {code:?}"),
    }
}
