//! From pictures to features: bad pictures, ways to resize, and features that are kept for the next time.

mod common;

use common::{Place, Ran};
use std::io::Write;

const FEATURES: &str = "--features fashion-classifier --verbose";
const KEPT: &str = "features from the cache";

fn embed(place: &Place, words: &str) -> Ran {
    let ran = place.kme(&format!("embed {words} {FEATURES}"));
    assert_eq!(ran.code, Some(0), "{words}: {}", ran.err);
    ran
}

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    std::fs::read(place.path(name)).unwrap()
}

#[test]
fn features_are_computed_once() {
    let place = Place::new();
    place.pictures("a", 60, 1);
    assert!(!embed(&place, "a -o first.kme").err.contains(KEPT));
    let second = embed(&place, "a -o second.kme");
    assert!(second.err.contains(KEPT), "{}", second.err);
    assert_eq!(bytes(&place, "first.kme"), bytes(&place, "second.kme"));
    let none = embed(&place, "a -o none.kme --no-cache");
    assert!(!none.err.contains(KEPT) && !none.err.contains("kept in"), "{}", none.err);
    assert_eq!(bytes(&place, "first.kme"), bytes(&place, "none.kme"));
    // The same pictures elsewhere are the same.
    std::fs::rename(place.path("a"), place.path("b")).unwrap();
    assert!(embed(&place, "b -o second.kme").err.contains(KEPT));
    let whole = place.kme("eval b b --features fashion-classifier --json").json();
    let again = place.kme("eval b b --features fashion-classifier --json --no-cache").json();
    for member in ["value", "standard_error", "n", "protocol", "features"] {
        assert_eq!(whole[member], again[member], "{member}");
    }
    assert_eq!(whole["protocol"]["candidate"]["fingerprint"].as_str().map(str::len), Some(64));
    // Pixels need no network.
    let pixels = place.kme("embed b -o pixels.kme --features pixels --verbose");
    assert!(!pixels.err.contains("kept in"), "{}", pixels.err);
    assert_eq!(common::names(&place.cache()).len(), 1);
}

#[test]
fn whatever_changes_features_has_them_computed_anew() {
    let place = Place::new();
    place.pictures("a", 10, 1);
    let known = |words: &str| embed(&place, &format!("{words} -o out.kme")).err.contains(KEPT);
    let both = |words: &str| (known(words), known(words));
    assert_eq!(both("a"), (false, true));
    assert_eq!(both("a --resize torch-bilinear"), (false, true));
    assert_eq!(both("a --resize uint8+torch-bilinear"), (false, true));
    // Files may be read in another way.
    assert_eq!(both("a --resize pytorch-fid"), (false, true));
    assert_eq!(both("a --shard 1/2"), (false, true));
    assert_eq!(both("a --shard 2/2"), (false, true));
    // Another order, another picture, one more.
    let swap = |a: &str, b: &str| {
        std::fs::rename(place.path(a), place.path("held.png")).unwrap();
        std::fs::rename(place.path(b), place.path(a)).unwrap();
        std::fs::rename(place.path("held.png"), place.path(b)).unwrap();
    };
    swap("a/000.png", "a/001.png");
    assert_eq!(both("a"), (false, true));
    swap("a/000.png", "a/001.png");
    assert_eq!(both("a"), (true, true));
    std::fs::copy(place.path("a/003.png"), place.path("a/002.png")).unwrap();
    assert_eq!(both("a"), (false, true));
    std::fs::copy(place.path("a/003.png"), place.path("a/999.png")).unwrap();
    assert_eq!(both("a"), (false, true));
    // Another network.
    std::fs::copy(place.path("a/003.png"), place.path("one.png")).unwrap();
    let other = place.kme("embed one.png -o out.kme --features fashion-classifier --cache-dir elsewhere --verbose");
    assert!(other.err.contains("kept in elsewhere"), "{}", other.err);
}

#[test]
fn shards_out_of_the_cache_merge_into_the_whole() {
    let place = Place::new();
    place.pictures("a", 25, 1);
    embed(&place, "a -o whole.kme");
    for _ in 0..2 {
        embed(&place, "a -o part-1.kme --shard 1/2");
        embed(&place, "a -o part-2.kme --shard 2/2");
        assert_eq!(place.kme("merge part-1.kme part-2.kme -o merged.kme").code, Some(0));
        assert_eq!(bytes(&place, "merged.kme"), bytes(&place, "whole.kme"));
    }
}

#[test]
fn generated_pictures_go_by_generator_seed_and_number() {
    let place = Place::new();
    assert!(!embed(&place, "fashion --samples 30 -o first.kme").err.contains(KEPT));
    assert!(embed(&place, "fashion --samples 30 -o second.kme").err.contains(KEPT));
    assert_eq!(bytes(&place, "first.kme"), bytes(&place, "second.kme"));
    assert!(!embed(&place, "fashion --samples 31 -o third.kme").err.contains(KEPT));
    assert!(!embed(&place, "fashion --samples 30 --seed 1 -o third.kme").err.contains(KEPT));
    assert!(!embed(&place, "fashion --samples 30 --resize clean-fid -o rounded.kme").err.contains(KEPT));
    // Generated pictures have more than 8 bits: rounding them changes the features.
    let [exact, rounded] =
        ["first.kme", "rounded.kme"].map(|name| kme::Embedding::read(place.path(name)).unwrap().points().clone());
    assert_eq!(exact.len(), rounded.len());
    assert_ne!(exact, rounded);
}

#[test]
fn damaged_features_are_computed_anew() {
    let place = Place::new();
    place.pictures("a", 5, 1);
    embed(&place, "a -o first.kme");
    let file = place.cache().join(&common::names(&place.cache())[0]);
    let whole = std::fs::read(&file).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    for damaged in [&changed[..], &whole[..whole.len() - 1], b"", b"words"] {
        std::fs::write(&file, damaged).unwrap();
        let ran = embed(&place, "a -o second.kme");
        assert!(ran.err.contains("computing the features again") && !ran.err.contains(KEPT), "{}", ran.err);
        assert_eq!(bytes(&place, "first.kme"), bytes(&place, "second.kme"));
        assert_eq!(std::fs::read(&file).unwrap(), whole);
    }
}

#[test]
fn what_is_kept_can_be_listed_and_removed() {
    let place = Place::new();
    place.pictures("a", 5, 1);
    assert_eq!(place.kme("data cache --json").json()["files"], 0);
    embed(&place, "a -o first.kme");
    let kept = place.kme("data cache --json").json();
    assert_eq!((&kept["files"], kept["folder"].as_str()), (&1.into(), place.cache().to_str()));
    assert_eq!(place.kme("data cache --clear --json").json()["bytes"], kept["bytes"]);
    assert!(common::names(&place.cache()).is_empty());
}

/// A folder of 40 pictures of which 13 are bad in several ways.
fn with_bad(place: &Place) {
    place.pictures("bad", 40, 1);
    place.pictures("good", 40, 1);
    for i in (0..39).step_by(3) {
        let name = place.path(&format!("bad/{i:03}.png"));
        let whole = std::fs::read(&name).unwrap();
        let content = match i % 2 {
            0 => &whole[..whole.len() - 20],
            _ => b"no picture",
        };
        std::fs::write(name, content).unwrap();
        std::fs::remove_file(place.path(&format!("good/{i:03}.png"))).unwrap();
    }
}

#[test]
fn bad_pictures_are_left_out_only_when_that_is_asked_for() {
    let place = Place::new();
    with_bad(&place);
    for features in ["pixels", "fashion-classifier"] {
        let words = format!("embed bad -o bad.kme --features {features}");
        let check_refused = || {
            let ran = place.kme(&words);
            assert_eq!(ran.code, Some(2));
            assert!(ran.err.contains("bad/000.png") && ran.err.contains("a PNG file: cut off"), "{}", ran.err);
        };
        check_refused();
        assert_eq!(place.kme(&format!("embed good -o good.kme --features {features}")).code, Some(0));
        // The second time out of the cache.
        for _ in 0..2 {
            let ran = place.kme(&format!("{words} --skip-bad --json"));
            let json = ran.json();
            assert_eq!((&json["n"], json["skipped"].as_array().unwrap().len()), (&27.into(), 13));
            assert_eq!(json["skipped"][1]["name"], "003.png");
            assert!(json["skipped"][1]["fault"].as_str().unwrap().contains("not a picture"));
            assert!(ran.err.contains("left out bad/003.png: not a picture"), "{}", ran.err);
            assert!(ran.err.contains("bad/027.png") && !ran.err.contains("bad/030.png"), "{}", ran.err);
            assert!(ran.err.contains("and 3 more of bad: 13 left out in all"), "{}", ran.err);
            assert_eq!(bytes(&place, "bad.kme"), bytes(&place, "good.kme"));
        }
        // Having been left out once does not make a picture good.
        check_refused();
        let ran = place.kme(&format!("eval good bad --features {features} --skip-bad --json"));
        let protocol = &ran.json()["protocol"];
        assert_eq!(protocol["candidate"]["skipped"].as_array().unwrap().len(), 13);
        assert_eq!(protocol["reference"]["skipped"].as_array().unwrap().len(), 0);
        // Of what is left, the two are the same.
        assert_eq!(protocol["candidate"]["fingerprint"], protocol["reference"]["fingerprint"]);
    }
    // Each shard leaves out its own.
    for i in 1..=4 {
        assert_eq!(
            place.kme(&format!("embed bad -o {i}.kme --features pixels --skip-bad --shard {i}/4")).code,
            Some(0)
        );
    }
    assert_eq!(place.kme("merge 1.kme 2.kme 3.kme 4.kme -o merged.kme").code, Some(0));
    assert_eq!(place.kme("embed good -o good.kme --features pixels").code, Some(0));
    assert_eq!(bytes(&place, "merged.kme"), bytes(&place, "good.kme"));
}

#[test]
fn a_damaged_jpeg_in_an_archive_is_named() {
    let place = Place::new();
    let jpeg = include_bytes!("golden/grey.jpg");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(place.path("photos.zip")).unwrap());
    for (name, content) in [("x/1.jpg", &jpeg[..]), ("x/2.jpg", &jpeg[..jpeg.len() / 2]), ("x/3.jpg", jpeg)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap();
    let ran = place.kme("embed photos.zip -o out.kme --features fashion-classifier");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("photos.zip/x/2.jpg") && ran.err.contains("cut off"), "{}", ran.err);
    let ran = place.kme("embed photos.zip -o out.kme --features fashion-classifier --skip-bad --json");
    assert_eq!((&ran.json()["n"], &ran.json()["skipped"][0]["name"]), (&2.into(), &"x/2.jpg".into()));
    assert!(ran.err.contains("left out photos.zip/x/2.jpg"), "{}", ran.err);
}

#[test]
fn ways_to_resize_are_recorded_and_not_mixed() {
    let place = Place::new();
    place.pictures("a", 6, 1);
    let large = kme_image::Images::new(1, 1, 60, 50, (0..3000).map(|i| (i * 37 % 256) as f32 / 255.0).collect());
    let large = large.unwrap();
    for name in ["000.png", "001.png", "002.png"] {
        large.write_png(0, &place.path(&format!("a/{name}"))).unwrap();
    }
    let protocol = |words: &str| {
        let json = place.kme(&format!("embed a -o out.kme --features fashion-classifier --json {words}")).json();
        json["features"]["protocol"].as_str().unwrap().to_string()
    };
    assert!(protocol("").contains("1x28x28, pillow-bicubic-crop, range 0 to 1"), "{}", protocol(""));
    assert!(protocol("--resize torch-fidelity").contains("1x28x28, torch-fidelity from 8 bits,"));
    assert_eq!(place.kme("embed a -o a.kme --features fashion-classifier --resize clean-fid").code, Some(0));
    let ran = place.kme("eval a.kme a");
    assert_eq!(ran.code, Some(2));
    assert!(ran.err.contains("clean-fid") && ran.err.contains("pillow-bicubic-crop"), "{}", ran.err);
    assert_eq!(place.kme("eval a.kme a --resize clean-fid").code, Some(0));
    // Pixels of a size that was asked for, against the library.
    assert_eq!(
        place.kme("embed a/000.png -o p.kme --features pixels --size 9x7 --resize torch-bilinear").code,
        Some(0)
    );
    let wanted = "torch-bilinear".parse::<kme_image::Protocol>().unwrap().apply(&large, 9, 7).unwrap();
    let found = kme::Embedding::read(place.path("p.kme")).unwrap();
    let kme::Data::F32(found) = found.points().data() else { panic!("single precision") };
    assert!(found.iter().zip(wanted.data()).all(|(a, b)| (a - b).abs() < 1e-6));
}
