//! Sources from text to pixels, over files made here. Tests of the real data sets are ignored unless asked for.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use kme::{Error, Result};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;
use crate::image::{Channels, Colour, Decoder, Images, Resize};

fn grey(value: u8, h: usize, w: usize) -> Images {
    Images::new(1, 1, h, w, vec![f32::from(value) / 255.0; h * w]).unwrap()
}

fn png(value: u8) -> Vec<u8> {
    grey(value, 4, 6).to_png(0).unwrap()
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

fn zipped(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn tarred(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, format!("./{name}"), *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn source(path: &Path) -> Result<Source> {
    Source::parse(path.to_str().unwrap(), &Places::new(Some(Path::new("/nowhere"))))
}

fn load(path: &Path) -> Result<Dataset> {
    source(path)?.load(&Form::default())
}

fn fault<T>(result: Result<T>) -> String {
    result.err().expect("an error").to_string()
}

fn names(data: &Dataset) -> Vec<String> {
    (0..data.len()).map(|i| data.name(i)).collect()
}

#[test]
fn a_folder_and_its_archive_are_the_same_data() {
    let (a, b, c) = (png(10), png(20), png(30));
    let files: [(&str, &[u8]); 4] = [("dog/2.png", &c), ("cat/7.png", &b), ("cat/10.png", &a), ("notes.txt", b"text")];
    let tree = folder(&files);
    let mut turned = files;
    turned.reverse();
    let packed = folder(&[
        ("forwards.zip", &zipped(&files)),
        ("backwards.zip", &zipped(&turned)),
        ("pictures.tar", &tarred(&turned)),
    ]);

    let data = load(tree.path()).unwrap();
    assert_eq!(data.shape(), [3, 1, 4, 6]);
    assert_eq!(names(&data), ["cat/10.png", "cat/7.png", "dog/2.png"]);
    assert_eq!(data.labels().unwrap(), [0, 0, 1]);
    assert_eq!(data.class_names().unwrap(), ["cat", "dog"]);
    let pixels = |data: &Dataset| data.images().unwrap().data().iter().step_by(24).copied().collect::<Vec<_>>();
    assert_eq!(pixels(&data), [10.0 / 255.0, 20.0 / 255.0, 30.0 / 255.0]);
    assert_eq!(data.gather(&[2, 0]).unwrap().data()[0], 30.0 / 255.0);

    for path in ["forwards.zip", "backwards.zip", "pictures.tar"] {
        let archive = load(&packed.path().join(path)).unwrap();
        assert_eq!(names(&archive), names(&data));
        assert_eq!(archive.images().unwrap(), data.images().unwrap());
        assert_eq!(archive.labels(), data.labels());
        assert_eq!(archive.fingerprint(), data.fingerprint());
    }
    fs::rename(tree.path().join("dog/2.png"), tree.path().join("dog/3.png")).unwrap();
    assert_ne!(load(tree.path()).unwrap().fingerprint(), data.fingerprint());
}

#[test]
fn a_picture_outside_of_a_class_folder_takes_the_labels_away() {
    let (a, b) = (png(1), png(2));
    let tree = folder(&[("cat/1.png", &a), ("2.png", &b)]);
    let data = load(tree.path()).unwrap();
    assert_eq!((data.labels(), data.class_names()), (None, None));
}

#[test]
fn batches_are_the_data_in_order_for_every_size_and_number_of_threads() {
    let files: Vec<(String, Vec<u8>)> = (0..23).map(|i| (format!("{i:02}.png"), png(i * 10))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (&name[..], &content[..])).collect();
    let tree = folder(&files);
    let source = source(tree.path()).unwrap();
    let whole = source.load(&Form::default()).unwrap();
    for (size, threads) in [(1, 1), (5, 2), (23, 3), (100, 1)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut batches = source.batches(&Form::default(), size).unwrap();
            assert_eq!((batches.total(), batches.fingerprint()), (23, None));
            let all: Vec<Batch> = batches.by_ref().collect::<Result<_>>().unwrap();
            assert_eq!(all.len(), 23_usize.div_ceil(size));
            assert!(all.iter().rev().skip(1).all(|b| b.images.len() == size && b.names.len() == size));
            let images: Vec<Images> = all.into_iter().map(|b| b.images).collect();
            assert_eq!(Images::concat(&images).unwrap(), whole.images().unwrap());
            assert_eq!(batches.fingerprint().as_deref(), Some(whole.fingerprint()));
        });
    }
    assert!(matches!(source.batches(&Form::default(), 0), Err(Error::Parameter { .. })));

    // Shards, in whatever way they are cut, are the parts of the whole.
    let form = Form::default();
    let shard = |range| source.batches(&form, 4).unwrap().within(range);
    for range in [0..7, 7..23, 5..6, 0..23] {
        let mut part = shard(range.clone()).unwrap();
        let images: Vec<Images> = part.by_ref().map(|b| b.unwrap().images).collect();
        let expected = whole.gather(&range.clone().collect::<Vec<_>>()).unwrap();
        assert_eq!(Images::concat(&images).unwrap(), expected);
        assert_eq!(part.fingerprint().is_some(), range == (0..23));
    }
    assert!(fault(shard(3..3)).contains("a part of 0..23") && shard(20..24).is_err());
}

#[test]
fn a_bad_picture_is_named_and_ends_the_batches() {
    let (a, b) = (png(1), png(2));
    let tree = folder(&[("a.png", &a), ("b.png", b"this is text"), ("c.png", &b), ("d.png", &[])]);
    let mut batches = source(tree.path()).unwrap().batches(&Form::default(), 1).unwrap();
    assert!(batches.next().unwrap().is_ok());
    let text = fault(batches.next().unwrap());
    assert!(text.contains("b.png: not a picture"), "{text}");
    assert!(batches.next().is_none() && batches.fingerprint().is_none());
    // Of two bad pictures in one batch the first is named, whichever thread is faster.
    assert!((0..20).all(|_| fault(load(tree.path())).contains("b.png")));
}

#[test]
fn bad_pictures_can_be_left_out() {
    let good: Vec<Vec<u8>> = (0..7).map(|i| png(30 * i)).collect();
    let cut = &good[1][..good[1].len() - 20];
    let files: [(&str, &[u8]); 7] = [
        ("a/0.png", &good[0]),
        ("a/1.png", cut),
        ("a/2.png", b"no picture"),
        ("a/3.png", b""),
        ("b/4.png", &good[4]),
        ("b/5.png", &good[5]),
        ("b/6.png", cut),
    ];
    let kept: Vec<_> = [0, 4, 5].iter().map(|&i| files[i]).collect();
    let (tree, clean) = (folder(&files), folder(&kept));
    let mut packed = zipped(&files);
    // One more is damaged by the archive itself: its checksum is wrong.
    let at = packed.windows(7).position(|w| w == b"b/5.png").unwrap();
    packed[at + 7 + 10] ^= 0xff;
    let archives = folder(&[("a.zip", &packed)]);
    for (path, wanted) in [(tree.path().to_path_buf(), &[0, 4, 5][..]), (archives.path().join("a.zip"), &[0, 4])] {
        let bad = 7 - wanted.len();
        for size in [1, 2, 3, 100] {
            let source = source(&path).unwrap();
            let batches = || source.batches(&Form::default(), size).unwrap();
            assert!(batches().any(|batch| batch.is_err()));
            let mut batches = batches().skipping_bad();
            let all: Vec<Batch> = batches.by_ref().collect::<Result<_>>().unwrap();
            assert!(all.iter().all(|b| b.images.len() == b.names.len()));
            let names: Vec<_> = all.iter().flat_map(|b| b.names.clone()).collect();
            let labels: Vec<_> = all.iter().flat_map(|b| b.labels.clone().unwrap()).collect();
            let levels: Vec<_> = all.iter().flat_map(|b| b.images.data().iter().step_by(24)).collect();
            assert_eq!(names, wanted.iter().map(|&i| files[i].0).collect::<Vec<_>>());
            assert_eq!(labels, wanted.iter().map(|&i| u32::from(i >= 4)).collect::<Vec<_>>());
            assert!(levels.iter().zip(wanted).all(|(x, &i)| **x == (30 * i) as f32 / 255.0), "{levels:?}");
            assert_eq!((batches.total(), batches.skipped().len()), (7, bad));
            assert_eq!(batches.skipped()[0].name, "a/1.png");
            assert!(batches.skipped()[1].fault.contains("not a picture"), "{:?}", batches.skipped());
            assert!(batches.skipped()[2].fault.contains("0 bytes"));
            if wanted.len() == kept.len() {
                assert_eq!(batches.fingerprint().as_deref(), Some(load(clean.path()).unwrap().fingerprint()));
            }
        }
    }
    let hopeless = folder(&[("1.png", cut), ("2.png", b"x")]);
    let mut batches = source(hopeless.path()).unwrap().batches(&Form::default(), 1).unwrap().skipping_bad();
    let message = fault(batches.next().unwrap());
    assert!(message.starts_with("cannot read any of 2 pictures: the first is 1.png ("), "{message}");
    assert!(batches.next().is_none());
}

#[test]
fn content_is_known_before_decoding() {
    let (a, b, c) = (png(10), png(20), png(30));
    let content = |files: &[(&str, &[u8])], range: Option<std::ops::Range<usize>>| {
        let tree = folder(files);
        let mut batches = source(tree.path()).unwrap().batches(&Form::default(), 2).unwrap();
        if let Some(range) = range {
            batches = batches.within(range).unwrap();
        }
        let content = batches.content().unwrap();
        assert_eq!(content, batches.content().unwrap());
        let done: Result<Vec<Batch>> = batches.by_ref().collect();
        done.unwrap();
        if let Some(fingerprint) = batches.fingerprint() {
            assert_eq!(content, fingerprint);
        }
        content
    };
    let files: [(&str, &[u8]); 3] = [("1.png", &a), ("2.png", &b), ("3.png", &c)];
    let whole = content(&files, None);
    let others = [
        content(&[("1.png", &b), ("2.png", &a), ("3.png", &c)], None),
        content(&[("1.png", &a), ("2.png", &b), ("3.png", &b)], None),
        content(&files, Some(0..2)),
        content(&files, Some(1..3)),
    ];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != whole && !others[..i].contains(other), "{i}");
    }
    // A file that is no picture has a content; decoding is what finds out.
    let tree = folder(&[("1.png", b"no picture")]);
    assert!(source(tree.path()).unwrap().batches(&Form::default(), 2).unwrap().content().is_ok());
}

#[test]
fn differing_pictures_are_named_with_the_remedy() {
    let (small, large) = (png(1), grey(2, 5, 6).to_png(0).unwrap());
    let rgb = Images::new(1, 3, 4, 6, vec![0.5; 72]).unwrap().to_png(0).unwrap();
    let tree = folder(&[("a.png", &small), ("b.png", &large)]);
    let error = load(tree.path()).unwrap_err();
    assert_eq!(error.parameter_name(), Some("size"));
    for part in ["4x6", "a.png", "5x6", "b.png"] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
    let form = Form { resize: Some(Resize::new(3, 3).unwrap()), ..Form::default() };
    assert_eq!(source(tree.path()).unwrap().load(&form).unwrap().shape(), [2, 1, 3, 3]);

    let tree = folder(&[("a.png", &small), ("b.png", &rgb)]);
    let error = load(tree.path()).unwrap_err();
    let file = |name: &str| tree.path().join(name).display().to_string();
    let text = format!("give 1 or 3, since pictures have 1 ({}) and 3 channels ({})", file("a.png"), file("b.png"));
    assert_eq!(error.to_string(), format!("channels is missing: {text}"));
    let form = Form { decoder: Decoder::new(Channels::Convert(Colour::Rgb)), ..Form::default() };
    assert_eq!(source(tree.path()).unwrap().load(&form).unwrap().shape(), [2, 3, 4, 6]);
}

fn idx(dims: &[u32], samples: &[u8]) -> Vec<u8> {
    let dims_bytes: Vec<u8> = dims.iter().flat_map(|d| d.to_be_bytes()).collect();
    [&[0, 0, 8, dims.len() as u8], &dims_bytes[..], samples].concat()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn idx_files_come_with_the_labels_beside_them() {
    let (images, labels) = (idx(&[3, 2, 2], &(0..12).collect::<Vec<u8>>()), idx(&[3], &[7, 0, 255]));
    let plain = folder(&[("my-images-idx3-ubyte", &images), ("my-labels-idx1-ubyte", &labels)]);
    let packed = folder(&[("my-images-idx3-ubyte.gz", &gz(&images)), ("my-labels-idx1-ubyte.gz", &gz(&labels))]);
    let data = load(&plain.path().join("my-images-idx3-ubyte")).unwrap();
    let same = load(&packed.path().join("my-images-idx3-ubyte.gz")).unwrap();
    assert_eq!((data.shape(), data.labels()), ([3, 1, 2, 2], Some(&[7, 0, 255][..])));
    assert_eq!(data.gather(&[1]).unwrap().data(), [4.0 / 255.0, 5.0 / 255.0, 6.0 / 255.0, 7.0 / 255.0]);
    assert_eq!(data.name(2), "my-images-idx3-ubyte[2]");
    assert_eq!((same.images().unwrap(), same.fingerprint()), (data.images().unwrap(), data.fingerprint()));
    assert!(data.gather(&[3]).is_err() && data.gather(&[]).is_err());

    let rgb = Form {
        decoder: Decoder::new(Channels::Convert(Colour::Rgb)),
        resize: Some(Resize::new(4, 4).unwrap()),
        ..Form::default()
    };
    let converted = source(&plain.path().join("my-images-idx3-ubyte")).unwrap().load(&rgb).unwrap();
    assert_eq!((converted.shape(), converted.fingerprint()), ([3, 3, 4, 4], data.fingerprint()));
    let strict = Form { decoder: Decoder::new(Channels::Require(Colour::Rgb)), ..Form::default() };
    assert!(fault(source(&plain.path().join("my-images-idx3-ubyte")).unwrap().load(&strict)).contains("channels"));

    fs::write(plain.path().join("my-labels-idx1-ubyte"), idx(&[2], &[7, 0])).unwrap();
    let text = fault(load(&plain.path().join("my-images-idx3-ubyte")));
    assert!(text.contains("3 (") && text.contains("2 (") && text.contains("my-labels-idx1-ubyte"), "{text}");
    let text = fault(load(plain.path()));
    assert!(text.contains("without pictures") && text.contains("idx"), "{text}");
}

#[test]
fn cifar_batches_are_colour_pictures_with_class_names() {
    let record: Vec<u8> = std::iter::once(6).chain((0..3072).map(|i| (i / 1024 * 50) as u8)).collect();
    let tree = folder(&[("some.bin", &record)]);
    let data = load(&tree.path().join("some.bin")).unwrap();
    assert_eq!((data.shape(), data.labels()), ([1, 3, 32, 32], Some(&[6][..])));
    assert_eq!(data.class_names().unwrap()[6], "frog");
    assert_eq!(data.images().unwrap().data()[2048], 100.0 / 255.0);
}

#[test]
fn what_holds_no_pictures_is_told_apart() {
    let mut tar = vec![0; 2048];
    tar[0] = b'a';
    tar[257..262].copy_from_slice(b"ustar");
    let png = png(5);
    let tree = folder(&[
        ("empty.png", b""),
        ("text.png", b"text under a picture's name"),
        ("text.txt", b"text"),
        ("no.zip", b"PK\x03\x04 and nothing else"),
        ("empty.zip", &zipped(&[("read.me", b"text")])),
        ("bad.tar", &tar),
        ("packed.tar.gz", &gz(b"something")),
        ("short.bin", &[1; 100]),
        ("picture-without-ending", &png),
        ("sub/notes.txt", b"text"),
    ]);
    let said = |name: &str| fault(load(&tree.path().join(name)));
    for (name, part) in [
        ("empty.png", "empty (0 bytes)"),
        ("text.png", "not a picture"),
        ("text.txt", "holds no pictures"),
        ("no.zip", "truncated or damaged zip archive"),
        ("empty.zip", "an archive without pictures"),
        ("bad.tar", "truncated or damaged tar archive"),
        ("packed.tar.gz", "neither a tar archive nor an idx file"),
        ("short.bin", "3073"),
        ("sub", "a folder without pictures"),
        ("missing", "no such file or folder; data sets that have a name are fashion-mnist, mnist, cifar10"),
    ] {
        let text = said(name);
        assert!(text.contains(part) && text.contains(name), "{part} in {text}");
    }
    assert_eq!(load(&tree.path().join("picture-without-ending")).unwrap().len(), 1);
}

#[test]
fn named_data_sets_are_found_only_with_their_own_content() {
    let named = |text: &str, folder: &Path| {
        Source::parse(text, &Places::new(Some(folder))).and_then(|source| source.load(&Form::default()))
    };
    let nothing = tempfile::tempdir().unwrap();
    let error = named("fashion-mnist", nothing.path()).unwrap_err();
    assert_eq!(error.parameter_name(), Some("data_dir"));
    for part in ["fashion-mnist:train", "dataset-fashion-mnist", nothing.path().to_str().unwrap()] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
    assert!(matches!(named("mnist:valid", nothing.path()), Err(Error::UnknownName { .. })));

    // MNIST's file names with other content: recognised by checksum, not by name.
    let (images, labels) = (idx(&[1, 28, 28], &[0; 784]), idx(&[1], &[0]));
    let other = folder(&[("t10k-images-idx3-ubyte.gz", &gz(&images)), ("t10k-labels-idx1-ubyte", &labels)]);
    let text = fault(named("mnist:test", other.path()));
    assert!(text.contains("is not mnist's t10k-images-idx3-ubyte") && text.contains("SHA-256"), "{text}");
    let info = info("mnist", &Places::new(Some(other.path()))).unwrap();
    assert_eq!(info.files.len(), 2);
    assert!(info.files.iter().all(|file| file.state.contains("other content")));
    assert!(info.files.iter().all(|file| info.to_string().contains(&file.path.display().to_string())));

    let record: Vec<u8> = vec![1; 3073];
    let few = folder(&[("cifar-10-batches-bin/test_batch.bin", &record)]);
    assert!(matches!(named("cifar10:test", few.path()), Err(Error::Mismatch { left, .. }) if left == "1"));
}

#[test]
fn every_known_data_set_is_described() {
    let places = Places::new(Some(Path::new("/nowhere")));
    let known: BTreeSet<&str> = list().iter().map(|(name, _)| *name).collect();
    assert_eq!(known, BTreeSet::from(["cifar10", "fashion-mnist", "mnist"]));
    for name in known {
        let info = info(name, &places).unwrap();
        let text = info.to_string();
        for part in [name, info.licence, info.origin, "10000 for testing", "/nowhere", "found     nothing"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert_eq!(info.classes.len(), 10);
        assert!(info.originals.iter().all(|(name, _)| text.contains(name)));
        assert_eq!(serde_json::to_value(&info).unwrap()["name"], name);
    }
    assert!(fault(info("imagenet", &places)).contains("fashion-mnist, mnist, cifar10"));
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/examples")
}

#[test]
fn the_example_pictures_are_read() {
    let data = load(&examples()).unwrap();
    assert_eq!(data.shape(), [4, 1, 28, 28]);
    assert_eq!(names(&data), ["ankle-boot.png", "bag.png", "dress.png", "sneaker.png"]);
}

#[test]
#[ignore = "needs Fashion-MNIST (see `kme data info fashion-mnist`)"]
fn fashion_mnist_is_what_it_is_said_to_be() {
    let places = Places::new(None);
    let load = |text| Source::parse(text, &places).unwrap().load(&Form::default()).unwrap();
    let (train, test) = (load("fashion-mnist"), load("fashion-mnist:test"));
    assert_eq!((train.shape(), test.shape()), ([60_000, 1, 28, 28], [10_000, 1, 28, 28]));
    for class in 0..10 {
        let count = |data: &Dataset| data.labels().unwrap().iter().filter(|l| **l == class).count();
        assert_eq!((count(&train), count(&test)), (6000, 1000));
    }
    // The mean and standard deviation that are commonly used to normalise it.
    let images = train.images().unwrap();
    let n = images.data().len() as f64;
    let mean = images.data().iter().map(|x| f64::from(*x)).sum::<f64>() / n;
    let variance = images.data().iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / n;
    assert!((mean - 0.2860).abs() < 1e-4 && (variance.sqrt() - 0.3530).abs() < 1e-4, "{mean} {}", variance.sqrt());
    let picked = Images::concat(&[39, 30, 13, 22].map(|i| test.gather(&[i]).unwrap())).unwrap();
    assert_eq!(picked, self::load(&examples()).unwrap().images().unwrap());
}

#[test]
#[ignore = "needs KME_FIXTURES"]
fn mnist_and_real_photographs_are_read() {
    let fixtures = PathBuf::from(std::env::var_os("KME_FIXTURES").expect("KME_FIXTURES names the folder")).join("data");
    let mnist = |text| Source::parse(text, &Places::new(Some(&fixtures))).unwrap().load(&Form::default()).unwrap();
    let (train, test, all) = (mnist("mnist"), mnist("mnist:test"), mnist("mnist:all"));
    assert_eq!(train.labels().unwrap()[..5], [5, 0, 4, 1, 9]);
    assert_eq!(test.labels().unwrap()[..5], [7, 2, 1, 0, 4]);
    assert_eq!(all.gather(&[60_003]).unwrap(), test.gather(&[3]).unwrap());
    let sum: f64 = train.images().unwrap().data().iter().map(|x| f64::from(*x)).sum();
    assert!((sum / (60_000.0 * 784.0) - 0.1307).abs() < 1e-4);

    let form = Form {
        decoder: Decoder::new(Channels::Convert(Colour::Rgb)),
        resize: Some(Resize::new(64, 64).unwrap()),
        ..Form::default()
    };
    let photographs = source(&fixtures.join("imagenet_sample")).unwrap();
    let mut count = 0;
    for batch in photographs.batches(&form, 16).unwrap() {
        count += batch.unwrap().images.len();
    }
    assert!(count >= 50, "{count}");
    let cifar = load(&fixtures.join("cifar10_jpg/test")).unwrap();
    assert_eq!((cifar.shape()[1..].to_vec(), cifar.class_names().unwrap().len()), (vec![3, 32, 32], 10));
}

/// What is under transparent parts, against α·c + (1 − α)·background pixel by pixel, for grey and coloured files.
#[test]
fn the_background_is_what_is_under_transparent_parts() {
    use crate::image::Background;
    let place = tempfile::tempdir().unwrap();
    let pixel = |x: u32, y: u32| [(40 * x) as u8, (60 * y) as u8, 90, (25 * (x + y)) as u8];
    image::RgbaImage::from_fn(4, 3, |x, y| image::Rgba(pixel(x, y))).save(place.path().join("a.png")).unwrap();
    image::GrayAlphaImage::from_fn(4, 3, |x, y| image::LumaA([pixel(x, y)[0], pixel(x, y)[3]]))
        .save(place.path().join("grey.png"))
        .unwrap();
    for (text, levels) in [("white", [1.0, 1.0, 1.0]), ("black", [0.0; 3]), ("#ff8000", [1.0, 128.0 / 255.0, 0.0])] {
        let background: Background = text.parse().unwrap();
        // Whatever level the decoder would take by itself.
        let form = Form { background, decoder: Decoder { background: 0.25, ..Decoder::default() }, ..Form::default() };
        let read =
            |name: &str| source(&place.path().join(name)).unwrap().batches(&form, 1).unwrap().picture(0).unwrap();
        let (colour, grey) = (read("a.png"), read("grey.png"));
        assert_eq!(colour.shape(), [1, 3, 3, 4]);
        assert_eq!(grey.channels(), if text.starts_with('#') { 3 } else { 1 });
        for i in 0..12 {
            let [r, g, b, alpha] = pixel(i as u32 % 4, i as u32 / 4).map(|v| f32::from(v) / 255.0);
            for (c, value) in [r, g, b].into_iter().enumerate() {
                let expected = alpha * value + (1.0 - alpha) * levels[c];
                assert!((colour.data()[c * 12 + i] - expected).abs() < 1e-6, "{text}");
                if c < grey.channels() {
                    let expected = alpha * r + (1.0 - alpha) * levels[c];
                    assert!((grey.data()[c * 12 + i] - expected).abs() < 1e-6, "{text} grey");
                }
            }
        }
    }
}
