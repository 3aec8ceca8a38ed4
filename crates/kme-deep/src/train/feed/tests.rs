//! Laws of batches.

use super::super::stock::Stock;
use super::*;
use kme_image::{Channels, Colour, Decoder, Form, Images, Resize, Source};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The class of picture `i`.
fn class(i: usize) -> &'static str {
    if i.is_multiple_of(4) { "cat" } else { "dog" }
}

/// 23 pictures of three sizes in two classes, every pixel different.
fn folder() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("pictures");
    for i in 0..23 {
        let (h, w) = [(12, 16), (15, 13), (12, 12)][i % 3];
        let data = (0..3 * h * w).map(|p| ((p * 7 + i * 31) % 256) as f32 / 255.0).collect();
        let name = path.join(class(i)).join(format!("{i:02}.png"));
        fs::create_dir_all(name.parent().unwrap()).unwrap();
        Images::new(1, 3, h, w, data).unwrap().write_png(0, &name).unwrap();
    }
    (place, path)
}

/// The files of `folder` in a zip archive and a tar archive.
fn packed(folder: &Path) -> [PathBuf; 2] {
    let [zip_path, tar_path] = ["packed.zip", "packed.tar"].map(|name| folder.with_file_name(name));
    let mut zip = zip::ZipWriter::new(fs::File::create(&zip_path).unwrap());
    let mut tar = tar::Builder::new(fs::File::create(&tar_path).unwrap());
    // In no order.
    for i in (0..23).rev() {
        let name = format!("{}/{i:02}.png", class(i));
        let bytes = fs::read(folder.join(&name)).unwrap();
        zip.start_file(&name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, &name, &bytes[..]).unwrap();
    }
    zip.finish().unwrap();
    tar.finish().unwrap();
    [zip_path, tar_path]
}

fn data(source: &Path, keys: &str) -> Data {
    let data: Data = toml::from_str(&format!("source = '{}'\n{keys}", source.display())).unwrap();
    data.check().unwrap();
    data
}

fn feed(data: &Data) -> Feed {
    Feed::open(data, 5, 9, None, &nowhere()).unwrap()
}

fn nowhere() -> Places {
    Places::new(Some(Path::new("/nowhere")))
}

/// All ways to feed pictures.
const FORMS: [&str; 6] = [
    "size = 8\nchannels = 3",
    "size = 8\nchannels = 1\nflip = true",
    "size = 8\nchannels = 3\ncrop = 'centre:14'",
    "size = 8\nchannels = 3\ncrop = 'random:9'\nflip = true",
    "size = 6\nchannels = 3\ncrop = 'short:7,random:6'",
    "size = 12\nchannels = 1\ncrop = 'centre:14,random:8'\nflip = true",
];

#[test]
fn batches_are_those_of_the_whole_data_set() {
    let (_place, path) = folder();
    for (keys, colour) in [("size = 8\nchannels = 3", Colour::Rgb), ("size = 11\nchannels = 1", Colour::Grey)] {
        let data = data(&path, keys);
        let (size, _) = data.picture().unwrap();
        let form = Form {
            decoder: Decoder::new(Channels::Convert(colour)),
            resize: Some(Resize::new(size, size).unwrap()),
            ..Form::default()
        };
        let whole = Source::parse(path.to_str().unwrap(), &nowhere()).unwrap().load(&form).unwrap();
        let mut order = Batches::new(whole.len(), 5, 9);
        let mut feed = feed(&data);
        assert_eq!((feed.len(), feed.shape()), (23, [colour.channels(), size, size]));
        assert_eq!((feed.fingerprint(), feed.labels()), (whole.fingerprint(), whole.labels()));
        assert_eq!(feed.class_names().unwrap(), ["cat", "dog"]);
        for index in 0..12 {
            let indices = order.get(index);
            let batch = feed.batch(index).unwrap();
            assert_eq!(batch.values, whole.gather(&indices).unwrap().into_data());
            assert_eq!(batch.shape, [5, colour.channels(), size, size]);
            let labels: Vec<u32> = indices.iter().map(|&i| whole.labels().unwrap()[i]).collect();
            assert_eq!(batch.labels.unwrap(), labels);
        }
    }
}

#[test]
fn batches_depend_on_nothing_but_data_seed_and_number() {
    let (_place, path) = folder();
    for (keys, stream) in FORMS.iter().flat_map(|keys| [(keys, ""), (keys, "\nstream = true")]) {
        let data = data(&path, &format!("{keys}{stream}"));
        let mut first = feed(&data);
        let all: Vec<Batch> = (0..14).map(|i| first.batch(i).unwrap()).collect();
        for i in [3, 4, 6, 13, 0, 0, 1] {
            assert_eq!(first.batch(i).unwrap(), all[i as usize], "{keys}");
        }
        assert_eq!(feed(&data).batch(11).unwrap(), all[11], "opened again: {keys}");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut stock, facts) = Stock::open(&data, 9, None, &nowhere()).unwrap();
                for i in [12, 2] {
                    let indices = Batches::new(facts.n, 5, 9).get(i);
                    assert_eq!(stock.take(&indices, i).unwrap(), all[i as usize].values, "{threads} threads: {keys}");
                }
            });
        }
        let other = Feed::open(&data, 5, 10, None, &nowhere()).unwrap().batch(0).unwrap();
        assert_ne!(other, all[0], "another seed: {keys}");
    }
}

#[test]
fn what_is_streamed_is_what_is_in_memory() {
    let (_place, path) = folder();
    let archives = packed(&path);
    for keys in FORMS {
        let mut held = feed(&data(&path, keys));
        for source in [&path, &archives[0], &archives[1]] {
            let mut streamed = feed(&data(source, &format!("{keys}\nstream = true")));
            assert_eq!(streamed.fingerprint(), held.fingerprint());
            assert_eq!((streamed.labels(), streamed.class_names()), (held.labels(), held.class_names()));
            for i in [0, 1, 2, 9] {
                assert_eq!(streamed.batch(i).unwrap(), held.batch(i).unwrap(), "{keys}");
            }
        }
    }
}

/// An idx file of 40 pictures of 6 × 7 pixels, and their bytes.
fn idx(folder: &Path) -> (PathBuf, Vec<u8>) {
    let pixels: Vec<u8> = (0..40 * 42).map(|i| (i * 11 % 251) as u8).collect();
    let header = [0x803_u32, 40, 6, 7].iter().flat_map(|x| x.to_be_bytes());
    let path = folder.join("some-idx3-ubyte");
    fs::write(&path, header.chain(pixels.iter().copied()).collect::<Vec<_>>()).unwrap();
    (path, pixels)
}

#[test]
fn bytes_in_memory_are_the_same_pictures() {
    let place = tempfile::tempdir().unwrap();
    let (path, _) = idx(place.path());
    fs::write(place.path().join("square-idx3-ubyte"), {
        let header = [0x803_u32, 40, 6, 6].iter().flat_map(|x| x.to_be_bytes());
        header.chain((0..40 * 36).map(|i| (i * 13 % 241) as u8)).collect::<Vec<_>>()
    })
    .unwrap();
    // The second has its size already, so that it stays bytes; the first is resized.
    for path in [path, place.path().join("square-idx3-ubyte")] {
        for keys in ["size = 6\nchannels = 1", "size = 6\nchannels = 1\nflip = true", "size = 6\nchannels = 3"] {
            let data = [keys.to_string(), format!("{keys}\nstream = true")].map(|keys| data(&path, &keys));
            let whole = Source::parse(path.to_str().unwrap(), &nowhere()).unwrap().load(&data[0].form().unwrap());
            let (whole, mut feeds) = (whole.unwrap(), data.each_ref().map(feed));
            for i in 0..9 {
                let [held, streamed] = feeds.each_mut().map(|feed| feed.batch(i).unwrap());
                assert_eq!(held, streamed);
                let plain = whole.gather(&Batches::new(40, 5, 9).get(i)).unwrap();
                assert!(data[0].flip || held.values == plain.data());
            }
        }
    }
}

#[test]
fn squares_and_mirrors_are_those_of_their_definition() {
    let place = tempfile::tempdir().unwrap();
    let (path, pixels) = idx(place.path());
    let (mut places, mut mirrored) = ([0; 3 * 4], 0);
    let mut feed = feed(&data(&path, "size = 4\nchannels = 1\ncrop = 'random:4'\nflip = true"));
    let mut order = Batches::new(40, 5, 9);
    let batches = 2400;
    for index in 0..batches {
        let batch = feed.batch(index).unwrap();
        for (picture, i) in batch.values.chunks_exact(16).zip(order.get(index)) {
            // The one square, of all that there are, that it is.
            let found: Vec<_> = (0..3 * 4 * 2)
                .filter(|way| {
                    let (top, left, mirror) = (way / 8, way / 2 % 4, way % 2 == 1);
                    (0..16).all(|p| {
                        let (y, x) = (p / 4, if mirror { 3 - p % 4 } else { p % 4 });
                        picture[p] == f32::from(pixels[i * 42 + (top + y) * 7 + left + x]) / 255.0
                    })
                })
                .collect();
            assert_eq!(found.len(), 1, "picture {i} of batch {index}");
            places[found[0] / 2] += 1;
            mirrored += found[0] % 2;
        }
    }
    // Twelve places equally often, half of them mirrored: within four standard deviations.
    let n = (5 * batches) as f64;
    let close = |count: usize, p: f64| (count as f64 - n * p).abs() < 4.0 * (n * p * (1.0 - p)).sqrt();
    assert!(places.iter().all(|&count| close(count, 1.0 / 12.0)), "{places:?}");
    assert!(close(mirrored, 0.5), "{mirrored} of {n}");
}

#[test]
fn what_is_cut_is_then_resized_and_held_out_pictures_are_cut_in_the_middle() {
    let (_place, path) = folder();
    let keys =
        format!("held_out = '{}'\nsize = 8\nchannels = 3\ncrop = 'centre:14,random:10'\nflip = true", path.display());
    let data = data(&path, &keys);
    let read = |i: usize| Decoder::default().read(&path.join(class(i)).join(format!("{i:02}.png"))).unwrap();
    let Some(HeldOut::Pictures(held)) = held_out(&data, 9, &nowhere()).unwrap() else { panic!("pictures") };
    let resized = |images: Images| Resize::new(8, 8).unwrap().apply(&images).unwrap();
    // Cats come first: the pictures with numbers 0, 4, 8, and so on. Of the five places of the square the middle is 2.
    let square = "centre:14".parse::<kme_image::Crop>().unwrap().apply(read(4)).unwrap();
    let middle: Vec<f32> =
        (0..3 * 100).map(|p| square.data()[p / 100 * 196 + (p / 10 % 10 + 2) * 14 + p % 10 + 2]).collect();
    let expected = resized(Images::new(1, 3, 10, 10, middle).unwrap());
    assert_eq!(held.gather(&[1]).unwrap(), expected);
    assert_eq!(held.shape(), [23, 3, 8, 8]);
    // Training pictures: one of the 25 squares, resized, perhaps mirrored.
    let batch = feed(&data).batch(0).unwrap();
    let order: Vec<usize> =
        (0..23).filter(|i: &usize| i.is_multiple_of(4)).chain((0..23).filter(|i| i % 4 != 0)).collect();
    for (picture, i) in batch.values.chunks_exact(192).zip(Batches::new(23, 5, 9).get(0)) {
        let square = "centre:14".parse::<kme_image::Crop>().unwrap().apply(read(order[i])).unwrap();
        let all = (0..25).map(|k| {
            let pixel = |p: usize| square.data()[p / 100 * 196 + (p / 10 % 10 + k / 5) * 14 + p % 10 + k % 5];
            resized(Images::new(1, 3, 10, 10, (0..300).map(pixel).collect()).unwrap()).into_data()
        });
        let mirrored = |values: &[f32]| values.chunks(8).flat_map(|row| row.iter().rev().copied()).collect::<Vec<_>>();
        assert!(all.into_iter().any(|values| picture == values || picture == mirrored(&values)), "{i}");
    }
}

#[test]
fn a_picture_that_cannot_be_read_is_named_left_out_or_in_its_batch_alone() {
    let (_place, path) = folder();
    let bad = path.join("dog").join("10.png");
    let whole = fs::read(&bad).unwrap();
    fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    let sources = [vec![path.clone()], packed(&path).to_vec()].concat();
    let all_keys = ["size = 8\nchannels = 3", "size = 8\nchannels = 3\ncrop = 'random:8'"];
    for (keys, source) in all_keys.iter().flat_map(|keys| sources.iter().map(move |source| (keys, source))) {
        // Before the first step, or left out: the feed of the others alone.
        for stream in ["", "\nstream = true"] {
            let keys = format!("{keys}{stream}");
            let fault = Feed::open(&data(source, &keys), 5, 9, None, &nowhere()).err().unwrap().to_string();
            assert!(fault.contains("10.png") && fault.contains("cut off"), "{fault}");
            let mut left = feed(&data(source, &format!("{keys}\nskip_bad = true")));
            fs::rename(&bad, path.with_file_name("away")).unwrap();
            let mut others = feed(&data(&path, &keys));
            fs::rename(path.with_file_name("away"), &bad).unwrap();
            assert_eq!((left.len(), left.fingerprint(), left.labels()), (22, others.fingerprint(), others.labels()));
            for i in [0, 7, 3] {
                assert_eq!(left.batch(i).unwrap(), others.batch(i).unwrap(), "{keys}");
            }
        }
    }
    for keys in all_keys {
        // Damaged since: in its batch alone.
        fs::write(&bad, &whole).unwrap();
        let mut feed = feed(&data(&path, &format!("{keys}\nstream = true")));
        fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
        // Cats are 0 to 5; of the dogs, 1 2 3 5 6 7 9 10, it is the eighth.
        let mut order = Batches::new(23, 5, 9);
        let mut faults = 0;
        for index in (0..10).chain([3, 2, 7]) {
            let is_in = order.get(index).contains(&13);
            match feed.batch(index) {
                Ok(_) => assert!(!is_in, "batch {index}"),
                Err(fault) => {
                    let fault = fault.to_string();
                    assert!(is_in && fault.contains("10.png") && fault.contains("cut off"), "{index}: {fault}");
                    faults += 1;
                }
            }
        }
        assert!(faults >= 2, "an epoch is not five batches");
    }
    // Gone since the run began.
    fs::write(&bad, &whole).unwrap();
    let mut feed = feed(&data(&path, "size = 8\nchannels = 3\nstream = true"));
    fs::remove_file(&bad).unwrap();
    let faults: Vec<String> = (0..5).filter_map(|i| feed.batch(i).err()).map(|fault| fault.to_string()).collect();
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault.contains("10.png")), "{faults:?}");
}

#[test]
fn a_picture_that_is_too_small_for_its_square_is_named() {
    let (_place, path) = folder();
    for stream in ["", "\nstream = true"] {
        let data = data(&path, &format!("size = 8\nchannels = 3\ncrop = 'random:13'{stream}"));
        let fault =
            Feed::open(&data, 23, 0, None, &nowhere()).and_then(|mut feed| feed.batch(0)).unwrap_err().to_string();
        assert!(fault.contains(".png") && fault.contains("12x1") && fault.contains("short:13"), "{fault}");
    }
}

#[test]
fn points_come_from_files_and_toys() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("points.csv");
    fs::write(&path, "1,2,3\n4,5,6\n7,8,9.5\n").unwrap();
    let of_file = data(&path, &format!("held_out = '{}'", path.display()));
    let mut feed = feed(&of_file);
    assert_eq!((feed.len(), feed.shape(), feed.labels()), (3, [3, 1, 1], None));
    let batch = feed.batch(2).unwrap();
    assert_eq!(batch.shape, [5, 3, 1, 1]);
    let rows: Vec<[f32; 3]> = vec![[1., 2., 3.], [4., 5., 6.], [7., 8., 9.5]];
    let expected: Vec<f32> = Batches::new(3, 5, 9).get(2).into_iter().flat_map(|i| rows[i]).collect();
    assert_eq!(batch.values, expected);
    let Some(HeldOut::Points(held)) = held_out(&of_file, 9, &nowhere()).unwrap() else { panic!("points") };
    assert_eq!(held.into_data().into_f64(), rows.concat().iter().map(|&x| f64::from(x)).collect::<Vec<_>>());
    let fingerprint = feed.fingerprint().to_string();
    fs::write(&path, "1,2,3\n4,5,6\n7,8,9\n").unwrap();
    assert_ne!(Feed::open(&of_file, 5, 9, None, &nowhere()).unwrap().fingerprint(), fingerprint);
    fs::write(&path, "1,2\n4,1e300\n").unwrap();
    assert!(Feed::open(&of_file, 5, 9, None, &nowhere()).err().unwrap().to_string().contains("points.csv"));

    let toy = data(Path::new("8-gaussians:400"), "held_out = '8-gaussians:400'");
    let open = |data: &Data, seed| Feed::open(data, 400, seed, None, &nowhere()).unwrap();
    let batch = open(&toy, 1).batch(0).unwrap();
    assert_eq!(batch.shape, [400, 2, 1, 1]);
    let labels = batch.labels.unwrap();
    for (point, label) in batch.values.chunks_exact(2).zip(&labels) {
        let angle = f32::from(*label as u8) * std::f32::consts::FRAC_PI_4;
        assert!((point[0] - 1.4144 * angle.cos()).hypot(point[1] - 1.4144 * angle.sin()) < 0.1);
    }
    assert_eq!(open(&toy, 1).class_names().unwrap().len(), 8);
    let longer = data(Path::new("8-gaussians:401"), "");
    let fingerprints = [open(&toy, 1), open(&toy, 2), open(&longer, 1)].map(|feed| feed.fingerprint().to_string());
    assert!(fingerprints[0] != fingerprints[1] && fingerprints[0] != fingerprints[2]);
    assert_eq!(open(&toy, 1).fingerprint(), fingerprints[0]);
    // Held out is another draw: no point of it is learned from.
    let Some(HeldOut::Points(held)) = held_out(&toy, 1, &nowhere()).unwrap() else { panic!("points") };
    let learned: Vec<f64> = batch.values.iter().map(|&x| f64::from(x)).collect();
    assert!(held.into_data().into_f64().iter().all(|x| !learned.contains(x)));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let (_place, path) = folder();
    let table = path.with_file_name("p.csv");
    fs::write(&table, "x,y\n1,2\n").unwrap();
    let fault = |source: &Path, keys: &str| {
        let text = format!("source = '{}'\n{keys}", source.display());
        match toml::from_str::<Data>(&text) {
            Err(fault) => fault.to_string(),
            Ok(data) => Feed::open(&data, 5, 9, None, &nowhere()).err().unwrap().to_string(),
        }
    };
    for (source, keys, said) in [
        (&path, "", "data.size and data.channels"),
        (&path, "size = 8", "data.channels"),
        (&path, "channels = 3", "data.size"),
        (&path, "size = 2\nchannels = 3", "4 to 1024"),
        (&path, "size = 8\nchannels = 2", "data.channels is 2"),
        (&path, "size = 8\nchannels = 3\ncrop = 'random'", "centre:178,random:160"),
        (&path, "flip = true", "data.flip"),
        (&PathBuf::from("25-gaussians"), "size = 8\nchannels = 1", "leave out data.size"),
        (&table, "size = 8\nchannels = 1", "leave out data.size"),
        (&PathBuf::from("p.npz:x"), "size = 8\nchannels = 1", "no such file"),
        (&PathBuf::from("25-gaussians"), "stream = true", "data.stream"),
        (&PathBuf::from("25-gaussians:0"), "", "25-gaussians:N"),
        (&PathBuf::from("no-such.npy"), "", "no-such.npy"),
    ] {
        let text = fault(source, keys);
        assert!(text.contains(said), "{keys}: {text}");
    }
}

/// Resident memory of this process in bytes, and the most that it ever was.
fn memory() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    };
    (of("VmRSS:"), of("VmHWM:"))
}

/// Twenty thousand pictures, which take 983 MB when they are held: an epoch of them in a few batches' memory.
#[test]
#[ignore = "takes ten seconds; measures the memory of a whole process (Linux)"]
fn streaming_holds_batches_and_names() {
    // Nothing else may run in the process that is measured.
    const ALONE: &str = "KME_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let name = "train::feed::tests::streaming_holds_batches_and_names";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let status = alone.args(["--exact", name, "--ignored", "--nocapture"]).env(ALONE, "1").status().unwrap();
        assert!(status.success());
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let (n, side) = (20_000, 64);
    for i in 0..n {
        let data = (0..3 * side * side).map(|p| ((p + i) % 256) as f32 / 255.0).collect();
        Images::new(1, 3, side, side, data).unwrap().write_png(0, &place.path().join(format!("{i:05}.png"))).unwrap();
    }
    let (before, _) = memory();
    let data = data(place.path(), "size = 64\nchannels = 3\ncrop = 'random:64'\nflip = true\nstream = true");
    let mut feed = Feed::open(&data, 64, 0, None, &nowhere()).unwrap();
    for i in 0..n as u64 / 64 {
        feed.batch(i).unwrap();
    }
    let (_, most) = memory();
    let (held, batch) = ((n * 3 * side * side * 4) as u64, (64 * 3 * side * side * 4) as u64);
    println!("{n} pictures, {held} bytes when held; {} more than before, a batch is {batch}", most - before);
    assert!(most - before < held / 20);
}
