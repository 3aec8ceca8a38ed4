//! From picture files to features, FID and KID: what clean-fid, torch-fidelity and pytorch-fid find themselves, by
//! `golden/tools/end_to_end.py`.

mod common;

use common::Place;
use kme::Data;
use kme_image::{Channels, Colour, Decoder, Images, Places, Reading, Source, hex};
use kme_net::{Models, Pictures, Place as Device};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::PathBuf;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tools").join(name)
}

/// The network of the values, in the folder of networks and pictures that is not part of the repository.
fn inception() -> String {
    let fixtures = PathBuf::from(std::env::var_os("KME_FIXTURES").expect("KME_FIXTURES names the folder"));
    format!("inception={}", fixtures.join("nets/inception_fid2015_f16.safetensors").display())
}

/// Picture k of the script.
fn picture(k: usize, h: usize, w: usize, c: usize) -> Images {
    let level = |i: usize| {
        let (c, y, x) = (i / (h * w), i / w % h, i % w);
        ((3 + k % 3) * y + (5 + k % 4) * x + x * y / (8 + k) + 80 * c + 13 * k) % 256
    };
    Images::new(1, c, h, w, (0..c * h * w).map(|i| level(i) as f32 / 255.0).collect()).unwrap()
}

/// The pictures of the golden file's sets `a` and `b` as files of these folders, and the names of each in the order of files.
fn write(place: &Place, golden: &str) -> HashMap<String, Vec<String>> {
    let mut sets: HashMap<String, Vec<String>> = HashMap::new();
    for line in golden.lines().filter(|line| line.starts_with("clean-fid ")) {
        let [_, set, name, ..] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        if !["a", "b"].contains(&set) {
            continue;
        }
        let k = sets.entry(set.into()).or_default().len();
        std::fs::create_dir_all(place.path(set)).unwrap();
        let path = place.path(&format!("{set}/{k:02}"));
        match name.split_once('.') {
            // Their names say nothing: a file is known by its content.
            Some(_) => drop(std::fs::copy(self::golden("odd").join(name), path).unwrap()),
            None => {
                let [h, w, c] = name.split('x').map(|n| n.parse().unwrap()).collect::<Vec<usize>>()[..] else {
                    panic!("{name}")
                };
                picture(k + if set == "b" { 20 } else { 0 }, h, w, c).write_png(0, &path).unwrap();
            }
        }
        sets.get_mut(set).unwrap().push(name.into());
    }
    sets
}

#[test]
#[ignore = "needs KME_FIXTURES"]
fn files_give_the_features_and_scores_of_the_tools() {
    let text = std::fs::read_to_string(golden("end_to_end.txt")).unwrap();
    let place = Place::new();
    let sets = write(&place, &text);
    assert_eq!((sets["a"].len(), sets["b"].len()), (12, 26));
    let network = inception();
    for tool in ["clean-fid", "torch-fidelity", "pytorch-fid"] {
        let lines: Vec<Vec<&str>> = text
            .lines()
            .filter_map(|line| line.strip_prefix(tool)?.strip_prefix(' '))
            .map(|line| line.split(' ').collect())
            .collect();
        for set in ["a", "b"] {
            let out = format!("{set}-{tool}.kme");
            let ran = place.run(&["embed", set, "-o", &out, "--features", &network, "--resize", tool]);
            assert_eq!(ran.code, Some(0), "{}", ran.err);
            // An embedding's points are sorted; in the order of the files they are had from the library.
            let map = Models::new(None).feature_map(&network, &Device::cpu()).unwrap();
            let map = map.with_resize(tool.parse().unwrap());
            let form = map.form().unwrap().unwrap();
            let source = Source::parse(place.path(set).to_str().unwrap(), &Places::new(None)).unwrap();
            let images = source.load(&form).unwrap().images().unwrap();
            let features = map.features(Pictures::in_form(&images, &form)).unwrap();
            let Data::F32(features) = features.data() else { panic!("single precision") };
            for (found, name) in features.chunks(2048).zip(&sets[set]) {
                let line = lines.iter().find(|line| line[..2] == [set, name]).unwrap();
                let wanted: Vec<f64> = line[2..].iter().map(|n| n.parse().unwrap()).collect();
                let norm = found.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
                let shown = std::iter::once(norm).chain(found.iter().step_by(64).map(|x| f64::from(*x)));
                let worst = shown.zip(&wanted).map(|(a, b)| (a - b).abs() / wanted[0]).fold(0.0, f64::max);
                println!("{tool} {set} {name}: {worst:.1e} of the norm");
                assert!(worst < 1e-4, "{tool} {set} {name}: {worst:e}");
            }
        }
        let wanted = |score: &str| lines.iter().find(|line| line[0] == score).unwrap()[1].parse::<f64>().unwrap();
        let (a, b) = (format!("a-{tool}.kme"), format!("b-{tool}.kme"));
        let found = place.run(&["eval", &a, &b, "--metrics", "fid,kid", "--json"]).json();
        for (i, score) in ["fid", "kid"].into_iter().enumerate() {
            let found = found["results"][i]["value"].as_f64().unwrap();
            let off = (found / wanted(score) - 1.0).abs();
            println!("{tool} {score}: {found} and {}, {off:.1e}", wanted(score));
            assert!(off < 1e-3, "{tool} {score}: {found} in the place of {}", wanted(score));
        }
    }
}

#[test]
fn files_have_the_pixels_that_pillow_reads() {
    let text = std::fs::read_to_string(golden("pixels.txt")).unwrap();
    let decoder = Decoder { reading: Reading::Pillow, ..Decoder::new(Channels::Convert(Colour::Rgb)) };
    let mut formats = std::collections::BTreeSet::new();
    let mut faults = Vec::new();
    for line in text.lines() {
        let [name, size, sha256] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let images = match decoder.read(&golden("odd").join(name)) {
            Ok(images) => images,
            Err(fault) => {
                faults.push(fault.to_string());
                continue;
            }
        };
        let [_, _, h, w] = images.shape();
        let plane = h * w;
        let level = |i: usize| (images.data()[i % 3 * plane + i / 3] * 255.0).round() as u8;
        let bytes: Vec<u8> = (0..3 * plane).map(level).collect();
        if format!("{w}x{h}") != size || hex(&Sha256::digest(bytes)) != sha256 {
            faults.push(format!("{name}: other pixels"));
        }
        formats.insert(name.rsplit_once('.').unwrap().1);
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(formats.len(), 9, "{formats:?}");
}
