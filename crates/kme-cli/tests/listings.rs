//! `kme models`, `kme data`, and the help of every verb.

mod common;

use common::Place;

#[test]
fn networks_are_listed_described_and_checked() {
    let place = Place::new();
    let list = place.kme("models list --json").json();
    let names: Vec<_> = list["models"].as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"fashion-classifier"));
    let known =
        |name: &&str| list["models"].as_array().unwrap().iter().any(|m| m["name"] == *name && m["shipped"] == true);
    for name in names.into_iter().filter(known) {
        let info = place.kme(&format!("models info {name} --json")).json();
        let sha256 = info["sha256"].as_str().unwrap();
        assert_eq!(sha256.len(), 64);
        let text = place.kme(&format!("models info {name}")).out;
        for part in [sha256, "role", "input", "output", "layers", "in the program"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
    assert_eq!(place.kme("models verify").code, Some(0));
    let ran = place.kme("models info nothing");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("'nothing'; choose one of fashion, fashion-classifier"), "{}", ran.err);
}

#[test]
fn another_file_under_a_shipped_name_is_refused() {
    let place = Place::new();
    std::fs::create_dir(place.path("own")).unwrap();
    std::fs::write(place.path("own/fashion-classifier.safetensors"), "something else").unwrap();
    place.pictures("a", 3, 1);
    for command in ["models verify", "models info fashion-classifier", "eval a a --features fashion-classifier"] {
        let ran = place.kme(&format!("{command} --models-dir own"));
        assert_eq!(ran.code, Some(2), "{command}");
        assert!(ran.err.contains("own/fashion-classifier.safetensors") && ran.err.contains("SHA-256"), "{}", ran.err);
    }
    // Others are looked at all the same.
    std::fs::write(place.path("own/another.safetensors"), "something else").unwrap();
    let ran = place.kme("models verify --models-dir own");
    assert!(ran.code == Some(2) && ran.err.contains("are damaged"), "{}", ran.err);
    for part in ["fashion-classifier", "another", "whole, SHA-256 as recorded"] {
        assert!(ran.out.contains(part), "{}", ran.out);
    }
    // The list shows it instead of failing.
    assert!(place.kme("models list --models-dir own").out.contains("SHA-256"));
}

/// A file of LeNet-5's weights, all `value`.
fn lenet5(value: f32) -> Vec<u8> {
    let shapes: [(&str, &[usize]); 5] = [
        ("convnet.c1", &[6, 1, 5, 5]),
        ("convnet.c3", &[16, 6, 5, 5]),
        ("convnet.c5", &[120, 16, 5, 5]),
        ("fc.f6", &[84, 120]),
        ("fc.f7", &[10, 84]),
    ];
    let (mut header, mut length) = (serde_json::Map::new(), 0);
    for (name, shape) in shapes {
        for (part, shape) in [("weight", shape), ("bias", &shape[..1])] {
            let end = length + 4 * shape.iter().product::<usize>();
            let tensor = serde_json::json!({ "dtype": "F32", "shape": shape, "data_offsets": [length, end] });
            header.insert(format!("{name}.{part}"), tensor);
            length = end;
        }
    }
    let header = serde_json::Value::Object(header).to_string();
    let numbers = std::iter::repeat_n(value.to_le_bytes(), length / 4).flatten();
    (header.len() as u64).to_le_bytes().into_iter().chain(header.into_bytes()).chain(numbers).collect()
}

#[test]
fn known_networks_are_described_and_their_files_checked() {
    let place = Place::new();
    let list = place.kme("models list").out;
    for name in ["inception", "vgg19", "mobilenet_v2", "squeezenet1_1", "resnet18", "lenet5", "face"] {
        assert!(list.contains(name), "{list}");
    }
    let info = place.kme("models info inception").out;
    for part in ["6726825d", "pt_inception-2015-12-05-6726825d.pth", "Mixed_7c", "pool3", "Apache-2.0", "nowhere in"] {
        assert!(info.contains(part), "{part}: {info}");
    }
    assert_eq!(place.kme("models info vgg19 --json").json()["features"], "pool5");

    place.pictures("a", 3, 1);
    let ran = place.kme("embed a -o a.kme --features lenet5 --models-dir own");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("own") && ran.err.contains("lenet5=FILE") && ran.err.contains("csinva"), "{}", ran.err);

    // Under the known name a file must be known; named itself, any will do.
    std::fs::create_dir(place.path("own")).unwrap();
    std::fs::write(place.path("own/lenet5.safetensors"), lenet5(0.01)).unwrap();
    for command in ["models verify", "models verify lenet5", "embed a -o a.kme --features lenet5"] {
        let ran = place.kme(&format!("{command} --models-dir own"));
        assert_eq!(ran.code, Some(2), "{command}");
        for part in ["own/lenet5.safetensors", "SHA-256", "90d26d18", "lenet5=own/lenet5.safetensors"] {
            assert!(ran.err.contains(part), "{command}: {}", ran.err);
        }
    }
    assert!(place.kme("models info lenet5 --models-dir own").out.contains("is not known to hold lenet5"));
    assert!(place.kme("models list --models-dir own").out.contains("own/lenet5.safetensors"));
    for (features, name, d) in [
        ("lenet5=own/lenet5.safetensors", "lenet5:relu6", 84),
        ("lenet5=own/lenet5.safetensors:s4", "lenet5:s4", 16),
        ("lenet5=own/lenet5.safetensors:s4:flat", "lenet5:s4:flat", 400),
    ] {
        let embedded = place.kme(&format!("embed a -o a.kme --features {features} --json")).json();
        assert_eq!((&embedded["features"]["name"], embedded["d"].as_u64()), (&name.into(), Some(d)));
        let protocol = embedded["features"]["protocol"].as_str().unwrap();
        assert!(protocol.contains("1x32x32, pillow-bilinear, range 0 to 1"), "{protocol}");
        // The name that was given is the one that is recorded.
        assert_eq!(place.kme(&format!("embed a.kme -o b.kme --features {features}")).code, Some(0));
    }
    let ran = place.kme("embed a -o a.kme --features lenet5=own/lenet5.safetensors:f9");
    assert!(ran.code == Some(2) && ran.err.contains("f9") && ran.err.contains("relu5"), "{}", ran.err);
    std::fs::write(place.path("bad.safetensors"), &lenet5(0.01)[..5000]).unwrap();
    let ran = place.kme("embed a -o a.kme --features lenet5=bad.safetensors");
    assert!(ran.code == Some(2) && ran.err.contains("bad.safetensors"), "{}", ran.err);
}

#[test]
fn data_sets_are_listed_and_described() {
    let place = Place::new();
    let list = place.kme("data list").out;
    let names = ["fashion-mnist", "mnist", "cifar10", "25-gaussians", "8-gaussians", "swiss-roll"];
    assert!(names.iter().all(|name| list.contains(name)), "{list}");
    let json = place.kme("data list --json").json();
    assert_eq!((json["data"].as_array().unwrap().len(), &json["toys"][2]["name"]), (3, &"swiss-roll".into()));
    let info = place.kme("data info cifar10 --data-dir nowhere").out;
    assert!(info.contains("get it") && info.contains("nowhere") && info.contains("found     nothing"), "{info}");
    assert_eq!(place.kme("data info cifar10 --json").json()["name"], "cifar10");
    let ran = place.kme("data info imagenet");
    assert!(ran.code == Some(2) && ran.err.contains("one of fashion-mnist, mnist, cifar10"), "{}", ran.err);
}

#[test]
fn every_verb_has_a_manual_with_examples() {
    let place = Place::new();
    for verb in ["embed", "merge", "eval", "test", "rank", "reduce", "train", "sample", "match", "models", "data"] {
        let ran = place.kme(&format!("{verb} --help"));
        assert_eq!(ran.code, Some(0));
        let places = ["Examples:\n  ", "Usage: kme "].map(|part| ran.out.find(part));
        assert!(matches!(places, [Some(examples), Some(usage)] if examples < usage), "{}", ran.out);
        assert!(ran.out.contains(&format!("  kme {verb}")), "{}", ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() <= 100), "{verb}");
        // The short help leaves notes out.
        let short = place.kme(&format!("{verb} -h")).out;
        assert!(short.contains("Examples:") && !short.contains("JSON:") && short.len() <= ran.out.len(), "{short}");
    }
    // An option of the verb is not listed among those of its sources.
    let eval = place.kme("eval --help").out;
    assert!(eval.find("--assert <CLAIM>").unwrap() < eval.find("Source options:").unwrap());
    assert!(place.kme("--version").out.starts_with("kme "));
}

#[test]
fn foreign_weights_are_described_and_unknown_ones_told() {
    let place = Place::new();
    place.pictures("a", 3, 1);
    std::fs::write(place.path("mine.safetensors"), lenet5(0.01)).unwrap();
    let info = place.kme("models info mine.safetensors --json").json();
    assert_eq!((info["fits"].as_str(), info["known"].as_str()), (Some("lenet5"), None));
    assert_eq!((info["tensors"].as_array().unwrap().len(), info["numbers"].as_u64()), (10, Some(61706)));
    let text = place.kme("models info mine.safetensors").out;
    let sha256 = info["sha256"].as_str().unwrap();
    for part in [sha256, "fits lenet5", "--features lenet5=mine.safetensors", "convnet.c1.weight [6, 1, 5, 5]"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ran = place.kme("eval a a --features LeNet5=mine.safetensors --metrics KID --protocol Full --json");
    assert!(ran.err.contains(&sha256[..12]) && ran.err.contains("not one that is known"), "{}", ran.err);
    let result = ran.json();
    assert_eq!(result["features"]["sha256"], sha256);
    assert!(
        result["protocol"]["candidate"]["remarks"][0].as_str().unwrap().contains("not one that is known"),
        "{result}"
    );
    let text = place.kme("eval a a --features lenet5=mine.safetensors --metrics kid").out;
    assert!(text.contains(&format!("(weights {}...)", &sha256[..8])), "{text}");
    let ran = place.kme("models info a/000.png");
    assert_eq!(ran.code, Some(2), "{}", ran.out);

    // One that is damaged does not hide the others.
    std::fs::create_dir(place.path("own")).unwrap();
    std::fs::write(place.path("own/aaa.safetensors"), "something else").unwrap();
    std::fs::write(place.path("own/bbb.safetensors"), "nothing").unwrap();
    let ran = place.kme("models verify --models-dir own");
    assert_eq!(ran.code, Some(2));
    assert!(ran.out.contains("fashion-classifier") && ran.out.contains("SHA-256 as recorded"), "{}", ran.out);
    assert!(ran.out.contains("own/aaa.safetensors") && ran.out.contains("own/bbb.safetensors"), "{}", ran.out);
    assert!(ran.err.contains("models: 2 of 4 are damaged"), "{}", ran.err);
    let info = place.kme("models info inception").out;
    assert!(info.contains("https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"), "{info}");
    let ran = place.kme("eval a a --features inception");
    assert!(ran.code == Some(2) && ran.err.contains("https://github.com/"), "{}", ran.err);
}
