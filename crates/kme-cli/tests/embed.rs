//! `kme embed` and `kme merge`: the parts of a sample give the bytes of the whole.

mod common;

use common::Place;
use kme::{Data, Embedding, Points};

/// Seven shards with `arguments`, merged in a random order, and the whole: the same file.
fn shards_make_the_whole(place: &Place, arguments: &str) {
    let done = |command: String| {
        let ran = place.kme(&command);
        assert_eq!(ran.code, Some(0), "{command}: {}", ran.err);
    };
    done(format!("embed {arguments} -o whole.kme"));
    for i in 1..=7 {
        done(format!("embed {arguments} -o part{i}.kme --shard {i}/7"));
    }
    done("merge part3.kme part7.kme part1.kme part6.kme part2.kme part5.kme part4.kme -o merged.kme".into());
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("merged.kme") == read("whole.kme"), "{arguments}");
    done("merge part1.kme part2.kme -o a.kme".into());
    done("merge part6.kme a.kme part7.kme part3.kme part5.kme part4.kme -o nested.kme".into());
    assert!(read("nested.kme") == read("whole.kme"), "{arguments}");
}

#[test]
fn merged_shards_of_points_are_the_whole() {
    let place = Place::new();
    place.normal("x.npy", 53, 3, 0.0, 1);
    place.normal("y.csv", 4, 3, 0.0, 2);
    std::fs::write(place.path("w.csv"), (0..57).map(|i| format!("{}\n", 0.1 * f64::from(i))).collect::<String>())
        .unwrap();
    for arguments in [
        "x.npy",
        "x.npy y.csv",
        "x.npy --precision f32 --kernel gaussian:sigma=2,5",
        "x.npy y.csv --weights w.csv --kernel energy",
        "x.npy y.csv --kernel gaussian:sigma=1.5 --random-features 64 --seed 3",
    ] {
        shards_make_the_whole(&place, arguments);
    }
}

#[test]
fn merged_shards_of_pictures_are_the_whole() {
    let place = Place::new();
    place.pictures("a", 61, 1);
    place.pictures("b", 9, 2);
    for arguments in ["a b --features fashion-classifier", "a --features pixels --size 8x8 --kernel laplacian:scale=1"]
    {
        shards_make_the_whole(&place, arguments);
    }
}

#[test]
fn random_splits_of_a_sample_merge_to_its_embedding() {
    let place = Place::new();
    let rows = place.normal("x.npy", 100, 4, 0.0, 1);
    assert_eq!(place.kme("embed x.npy -o whole.kme --kernel imq:c=2").code, Some(0));
    // Row i goes to one of seven files by a hash, in another order than in the whole.
    for part in 0..7_u64 {
        let own = (0..100_u64).rev().filter(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % 7 == part);
        let numbers: Vec<f64> = own.flat_map(|i| rows[i as usize].clone()).collect();
        let file = place.path(&format!("x{part}.npy"));
        Points::new(numbers.len() / 4, 4, Data::F64(numbers)).unwrap().write(file).unwrap();
        assert_eq!(place.kme(&format!("embed x{part}.npy -o x{part}.kme --kernel imq:c=2")).code, Some(0));
    }
    let ran = place.kme("merge x0.kme x1.kme x2.kme x3.kme x4.kme x5.kme x6.kme -o merged.kme --json");
    assert_eq!(ran.json()["n"], 100);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    assert!(read("merged.kme") == read("whole.kme"));
}

#[test]
fn the_file_says_what_was_embedded() {
    let place = Place::new();
    place.normal("x.npy", 9, 4, 0.0, 1);
    place.pictures("a", 5, 1);
    assert_eq!(place.kme("embed x.npy -o x.kme").code, Some(0));
    let embedding = Embedding::read(place.path("x.kme")).unwrap();
    assert_eq!(embedding.kernel().to_string(), "poly:degree=3,gamma=0.25,coef=1");
    assert_eq!((embedding.len(), embedding.dim(), embedding.features().name.as_str()), (9, 4, "identity"));
    assert_eq!(place.kme("embed a -o a.kme --features fashion-classifier").code, Some(0));
    let embedding = Embedding::read(place.path("a.kme")).unwrap();
    assert!(embedding.features().name.starts_with("fashion-classifier/layer"));
    assert_eq!((embedding.dim(), embedding.features().sha256.as_ref().map(String::len)), (64, Some(64)));
    // Pictures beside an embedding go through its features without being told.
    let named = place.kme("eval a a --features fashion-classifier --estimator biased --json");
    let implied = place.kme("eval a.kme a --estimator biased --json");
    assert!(named.value().abs() < 1e-9 && implied.value().abs() < 1e-9);
    assert_eq!(implied.json()["features"], named.json()["features"]);
    // An embedding can be embedded again, under another kernel.
    assert_eq!(place.kme("embed x.kme -o again.kme --kernel energy").code, Some(0));
    assert_eq!(place.kme("embed x.npy -o direct.kme --kernel energy").code, Some(0));
    assert_eq!(std::fs::read(place.path("again.kme")).unwrap(), std::fs::read(place.path("direct.kme")).unwrap());
}

#[test]
fn merging_what_differs_names_both_files_and_the_field() {
    let place = Place::new();
    place.normal("x.npy", 9, 4, 0.0, 1);
    place.pictures("p", 3, 1);
    for command in [
        "embed x.npy -o a.kme --kernel energy",
        "embed x.npy -o b.kme --kernel energy",
        "embed x.npy -o c.kme --kernel laplacian:scale=1",
        "embed p -o d.kme --features pixels --kernel energy",
        "embed x.npy -o e.kme --kernel gaussian:sigma=1 --random-features 10",
    ] {
        assert_eq!(place.kme(command).code, Some(0), "{command}");
    }
    for (files, field, names) in [
        ("a.kme b.kme c.kme", "kernel", ["a.kme", "c.kme"]),
        ("a.kme b.kme d.kme", "feature map", ["a.kme", "d.kme"]),
        ("a.kme e.kme b.kme", "form", ["a.kme", "e.kme"]),
    ] {
        let ran = place.kme(&format!("merge {files} -o out.kme"));
        assert_eq!(ran.code, Some(2));
        assert!(ran.err.contains(field) && names.iter().all(|name| ran.err.contains(name)), "{}", ran.err);
        assert!(!place.path("out.kme").exists());
    }
}
