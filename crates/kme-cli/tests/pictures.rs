//! Sources of pictures: what counts as one, arrays and archives of them, and how a tool's protocol has them read.

mod common;

use common::Place;
use kme::Data;
use kme_image::Images;
use kme_net::{Models, Place as Device};
use std::io::Write;

/// n pictures of bytes, pixel after pixel, that all differ.
fn bytes(n: usize, h: usize, w: usize, c: usize) -> Vec<u8> {
    (0..n * h * w * c).map(|i| ((i * 37 + i / 7 * 11 + i / (h * w * c) * 53) % 256) as u8).collect()
}

/// Picture i of them as planes.
fn image(bytes: &[u8], i: usize, [h, w, c]: [usize; 3]) -> Images {
    let one = &bytes[i * h * w * c..][..h * w * c];
    let planes = (0..c).flat_map(|channel| one.iter().skip(channel).step_by(c)).map(|b| f32::from(*b) / 255.0);
    Images::new(1, c, h, w, planes.collect()).unwrap()
}

/// Writes them as PNG files.
fn folder(place: &Place, name: &str, bytes: &[u8], shape: [usize; 3]) {
    std::fs::create_dir_all(place.path(name)).unwrap();
    for i in 0..bytes.len() / shape.iter().product::<usize>() {
        image(bytes, i, shape).write_png(0, &place.path(&format!("{name}/{i:03}.png"))).unwrap();
    }
}

/// A `.npy` file.
fn npy(descr: &str, shape: &[usize], numbers: &[u8]) -> Vec<u8> {
    let shape: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}");
    header.push_str(&" ".repeat(63 - (header.len() + 10) % 64));
    header.push('\n');
    [b"\x93NUMPY\x01\0", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), numbers].concat()
}

fn npz(place: &Place, name: &str, deflated: bool, arrays: &[(&str, Vec<u8>)]) {
    let method = if deflated { zip::CompressionMethod::Deflated } else { zip::CompressionMethod::Stored };
    let mut file = zip::ZipWriter::new(std::fs::File::create(place.path(name)).unwrap());
    for (array, content) in arrays {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        file.start_file(format!("{array}.npy"), options).unwrap();
        file.write_all(content).unwrap();
    }
    file.finish().unwrap();
}

fn write(place: &Place, name: &str, content: &[u8]) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// The bytes of the embedding of a source's pixels.
fn embedded(place: &Place, source: &str) -> Vec<u8> {
    let ran = place.run(&["embed", source, "-o", "out.kme", "--features", "pixels"]);
    assert_eq!(ran.code, Some(0), "{source}: {}", ran.err);
    std::fs::read(place.path("out.kme")).unwrap()
}

#[test]
fn resized_pictures_are_not_rounded() {
    let place = Place::new();
    let (all, shape) = (bytes(1, 45, 37, 1), [45, 37, 1]);
    folder(&place, "a", &all, shape);
    // Of a file of 8 bits, with and without rounding before is the same.
    for (protocol, same) in [
        ("clean-fid", "pillow-bicubic"),
        ("uint8+pillow-bicubic", "pillow-bicubic"),
        ("torch-fidelity", "tensorflow1-bilinear"),
        ("pytorch-fid", "torch-bilinear"),
    ] {
        let ran = place.run(&["embed", "a", "-o", "a.kme", "--features", "fashion-classifier", "--resize", protocol]);
        assert_eq!(ran.code, Some(0), "{}", ran.err);
        let map = Models::new(None).feature_map("fashion-classifier", &Device::cpu()).unwrap();
        let map = map.with_resize(same.parse().unwrap());
        let (found, wanted) = (
            kme::Embedding::read(place.path("a.kme")).unwrap(),
            map.features((&image(&all, 0, shape)).into()).unwrap(),
        );
        assert_eq!(found.points(), &wanted, "{protocol}");
    }
}

#[test]
fn generated_pictures_are_rounded_once() {
    let place = Place::new();
    let features = |resize: &str, out: &str| {
        let words = format!("embed fashion -o {out} --samples 3 --features fashion-classifier --resize {resize}");
        assert_eq!(place.kme(&words).code, Some(0));
        let Data::F32(rows) = kme::Embedding::read(place.path(out)).unwrap().points().data().clone() else {
            panic!("single precision")
        };
        rows
    };
    // What a tool sees: the pictures as files of 8 bits.
    assert_eq!(place.kme("sample fashion -n 3 -o drawn").code, Some(0));
    let ran = place.kme("embed drawn -o drawn.kme --features fashion-classifier --resize pillow-bicubic");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let drawn = kme::Embedding::read(place.path("drawn.kme")).unwrap();
    let Data::F32(drawn) = drawn.points().data() else { panic!("single precision") };
    assert_eq!(&features("uint8+pillow-bicubic", "a.kme"), drawn);
    assert_ne!(&features("pillow-bicubic", "b.kme"), drawn);
}

#[test]
fn arrays_are_pictures_of_every_layout() {
    let place = Place::new();
    let n = 5;
    for c in [1, 3] {
        let (h, w) = (9, 6);
        let all = bytes(n, h, w, c);
        folder(&place, &format!("of{c}"), &all, [h, w, c]);
        let wanted = embedded(&place, &format!("of{c}"));
        let planes: Vec<u8> = (0..n)
            .flat_map(|i| {
                let one = &all[i * h * w * c..][..h * w * c];
                (0..c).flat_map(move |channel| one.iter().skip(channel).step_by(c).copied())
            })
            .collect();
        write(&place, "last.npy", &npy("|u1", &[n, h, w, c], &all));
        write(&place, "first.npy", &npy("|u1", &[n, c, h, w], &planes));
        let floats: Vec<u8> = all.iter().flat_map(|b| (f32::from(*b) / 255.0).to_le_bytes()).collect();
        write(&place, "f4.npy", &npy("<f4", &[n, h, w, c], &floats));
        let floats: Vec<u8> = all.iter().flat_map(|b| (f64::from(*b) / 255.0).to_be_bytes()).collect();
        write(&place, "f8.npy", &npy(">f8", &[n, h, w, c], &floats));
        let labels: Vec<u8> = (0..n as i64).flat_map(i64::to_le_bytes).collect();
        let array = npy("|u1", &[n, h, w, c], &all);
        npz(&place, "adm.npz", false, &[("arr_0", array.clone())]);
        npz(&place, "packed.npz", true, &[("arr_0", array.clone()), ("arr_1", npy("<i8", &[n], &labels))]);
        npz(&place, "two.npz", true, &[("arr_0", array.clone()), ("arr_1", array.clone())]);
        let mut sources = vec![
            "last.npy",
            "first.npy",
            "f4.npy",
            "f8.npy",
            "adm.npz",
            "adm.npz:arr_0",
            "packed.npz",
            "two.npz:arr_1",
        ];
        sources.extend(["last.npy:nhwc", "two.npz:arr_0:nhwc", "first.npy:nchw"]);
        if c == 1 {
            write(&place, "grey.npy", &npy("|u1", &[n, h, w], &all));
            sources.push("grey.npy");
        }
        for source in sources {
            assert!(embedded(&place, source) == wanted, "{source}, {c} channels");
        }
        let json = place.kme("embed adm.npz -o part.kme --features pixels --shard 2/5 --json").json();
        assert_eq!(json["n"], 1);
        // What they are is told as of files.
        let json = place.kme("data info first.npy --json").json();
        let mode = if c == 1 { "grey" } else { "colour" };
        assert_eq!(
            (&json["sizes"]["9x6"], &json["modes"][mode], &json["rectangles"]),
            (&5.into(), &5.into(), &5.into())
        );
    }
    // Transparency as in files.
    let all = bytes(2, 6, 5, 4);
    write(&place, "clear.npy", &npy("|u1", &[2, 6, 5, 4], &all));
    let ran = place.kme("embed clear.npy -o clear.kme --features pixels");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    let found = kme::Embedding::read(place.path("clear.kme")).unwrap();
    let mut white: Vec<Vec<f32>> = (0..2)
        .map(|i| {
            let pixel = |c: usize, p: usize| f32::from(all[i * 120 + p * 4 + c]) / 255.0;
            (0..90).map(|j| (j / 30, j % 30)).map(|(c, p)| pixel(3, p) * pixel(c, p) + (1.0 - pixel(3, p))).collect()
        })
        .collect();
    white.sort_by(|a, b| a.partial_cmp(b).unwrap());
    let Data::F32(found) = found.points().data() else { panic!("single precision") };
    assert!(found.iter().zip(white.concat()).all(|(a, b)| (a - b).abs() < 1e-6));
}

#[test]
fn arrays_that_can_be_read_in_two_ways_are_not_guessed() {
    let place = Place::new();
    let array = |shape: &[usize]| npy("|u1", shape, &vec![7; shape.iter().product()]);
    write(&place, "cube.npy", &array(&[3, 3, 3, 3]));
    write(&place, "row.npy", &array(&[10, 1, 28, 1]));
    write(&place, "one.npy", &array(&[32, 32, 3]));
    npz(&place, "two.npz", false, &[("train", array(&[4, 8, 8, 3])), ("test", array(&[2, 8, 8, 3]))]);
    npz(&place, "more.npz", false, &[("arr_0", array(&[4, 8, 8, 3])), ("z", npy("<f4", &[4, 1], &[0; 16]))]);
    write(&place, "wide.npy", &npy("<f4", &[1, 2, 2, 3], &[2.5_f32; 12].map(f32::to_le_bytes).concat()));
    write(&place, "whole.npy", &npy("<i8", &[1, 4, 4, 3], &[0; 48 * 8]));
    write(&place, "short.npy", &array(&[2, 8, 8, 3])[..300]);
    for (source, words) in [
        ("cube.npy", &["cube.npy:nchw", "cube.npy:nhwc"][..]),
        ("one.npy", &["(32, 32, 3)", "x[None]"]),
        ("two.npz", &["train uint8 (4, 8, 8, 3)", "two.npz:train"]),
        ("more.npz", &["arr_0 uint8 (4, 8, 8, 3)", "z float32 (4, 1)"]),
        ("wide.npy", &["a pixel 2.5", "from 0 to 1"]),
        ("whole.npy", &["int64 (1, 4, 4, 3)", "uint8"]),
        ("short.npy", &["truncated", "384 bytes"]),
    ] {
        let ran = place.run(&["embed", source, "-o", "out.kme", "--features", "pixels"]);
        assert_eq!(ran.code, Some(2), "{source}");
        assert!(words.iter().all(|word| ran.err.contains(word)), "{source}: {}", ran.err);
    }
    for source in ["cube.npy:nchw", "cube.npy:nhwc", "row.npy:nchw", "two.npz:test", "more.npz:arr_0"] {
        embedded(&place, source);
    }
    // Features of shape (n, d, 1, 1) are no pictures, and a mean and a covariance beside pictures are what the file is for.
    write(&place, "pooled.npy", &npy("<f4", &[2, 64, 1, 1], &[0; 512]));
    let ran = place.kme("eval pooled.npy pooled.npy");
    assert!(ran.code == Some(2) && ran.err.contains("reshape"), "{}", ran.err);
    let square: Vec<u8> = [1.0_f64, 0.0, 0.0, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
    let statistics =
        [("arr_0", array(&[4, 8, 8, 3])), ("mu", npy("<f8", &[2], &[0; 16])), ("sigma", npy("<f8", &[2, 2], &square))];
    npz(&place, "batch.npz", false, &statistics);
    assert!(place.kme("eval batch.npz batch.npz --metrics fid --json").value().abs() < 1e-9);
}

#[test]
fn a_misspelt_array_is_told_with_those_there_are() {
    let place = Place::new();
    let array = npy("|u1", &[3, 8, 8, 3], &bytes(3, 8, 8, 3));
    npz(&place, "lab.npz", true, &[("arr_0", array.clone()), ("other", array)]);
    for words in ["embed lab.npz:nope -o out.kme --features pixels", "data info lab.npz:nope"] {
        let ran = place.kme(words);
        assert_eq!(ran.code, Some(2), "{words}");
        assert!(ran.err.contains("unknown array 'nope'; choose one of arr_0, other"), "{words}: {}", ran.err);
    }
}

/// A PNG file of a square of RGBA.
fn rgba_png(samples: &[u8], side: u32) -> Vec<u8> {
    let mut rows = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for row in samples.chunks(4 * side as usize) {
        rows.write_all(&[0]).unwrap();
        rows.write_all(row).unwrap();
    }
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let head = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    for (name, content) in [(b"IHDR", head), (b"IDAT", rows.finish().unwrap()), (b"IEND", Vec::new())] {
        let mut crc = flate2::Crc::new();
        crc.update(name);
        crc.update(&content);
        file.extend((content.len() as u32).to_be_bytes());
        file.extend(name);
        file.extend(content);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

#[test]
fn arrays_are_learned_from_as_folders_are() {
    let place = Place::new();
    // The second half of each picture is transparent.
    let (all, shape) = (bytes(12, 16, 16, 4), [16, 16, 4]);
    let half: Vec<u8> =
        all.iter().enumerate().map(|(i, b)| if i % 4 == 3 { 255 * u8::from(i / 4 % 2 == 0) } else { *b }).collect();
    std::fs::create_dir(place.path("folder")).unwrap();
    for (i, picture) in half.chunks(16 * 16 * 4).enumerate() {
        write(&place, &format!("folder/{i:03}.png"), &rgba_png(picture, 16));
    }
    let array = npy("|u1", &[12, shape[0], shape[1], shape[2]], &half);
    write(&place, "adm.npy", &array);
    npz(&place, "adm.npz", false, &[("arr_0", array.clone())]);
    npz(&place, "packed.npz", true, &[("arr_0", array.clone()), ("more", array)]);
    let small = "--set batch=4 --set data.size=16 --set data.channels=3 --set data.held_out=none --set generator.net.width=4 \
                 --set critic.net.width=4 --seed 5 --steps 2";
    let model = |source: &str, more: &str| {
        let run = format!("run-{}", place.names().len());
        let ran = place.kme(&format!("train fashion-mmd-gan -o {run} {small} --data {source} {more}"));
        assert_eq!(ran.code, Some(0), "{source}: {}", ran.err);
        assert!(ran.err.contains("12 pictures"), "{}", ran.err);
        // What is learned is in it, but neither names nor fingerprints, which the heads of models have.
        let file = std::fs::read(place.path(&format!("{run}/model.safetensors"))).unwrap();
        let head = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
        file[8 + head..].to_vec()
    };
    let mut found = Vec::new();
    for more in ["", "--set data.background=black", "--set data.background=#40a0e0"] {
        let wanted = model("folder", more);
        for source in ["adm.npy", "adm.npz", "adm.npz:arr_0", "packed.npz:arr_0"] {
            assert!(model(source, more) == wanted, "{source} {more}");
        }
        assert!(model("adm.npz", &format!("{more} --set data.stream=true")) == wanted);
        found.push(wanted);
    }
    assert!(found[0] != found[1] && found[1] != found[2] && found[0] != found[2]);
    // One of points is none of pictures, and what is not there is neither.
    write(&place, "points.npy", &npy("<f4", &[4, 2], &[0; 32]));
    for (source, part) in [
        ("points.npy", "pictures. For points, leave out data.size and data.channels"),
        ("missing.npz", "no such file"),
        ("packed.npz", "holds several arrays"),
        ("packed.npz:nope", "unknown array 'nope'"),
    ] {
        let ran = place.kme(&format!("train fashion-mmd-gan -o no {small} --data {source}"));
        assert!(ran.code == Some(2) && ran.err.contains(part) && !place.path("no").exists(), "{source}: {}", ran.err);
    }
}

#[test]
fn archives_compressed_or_in_parts_are_one_source() {
    let place = Place::new();
    let (all, shape) = (bytes(6, 8, 5, 3), [8, 5, 3]);
    folder(&place, "a", &all, shape);
    let wanted = embedded(&place, "a");
    let tar = |range: std::ops::Range<usize>| {
        // Each header by hand: name, size, checksum, magic (POSIX ustar).
        let mut out = Vec::new();
        for i in range {
            let content = std::fs::read(place.path(&format!("a/{i:03}.png"))).unwrap();
            let mut header = [0_u8; 512];
            let mut put = |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
            put(0, &format!("{i:03}.png"));
            put(100, "0000644");
            put(124, &format!("{:011o}", content.len()));
            put(148, "        ");
            put(156, "0");
            put(257, "ustar\x0000");
            let sum: u32 = header.iter().map(|b| u32::from(*b)).sum();
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            out.extend(header);
            out.extend(&content);
            out.resize(out.len().next_multiple_of(512), 0);
        }
        out.extend([0; 1024]);
        out
    };
    let gzip = |bytes: &[u8]| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(bytes).unwrap();
        gz.finish().unwrap()
    };
    write(&place, "all.tar.gz", &gzip(&tar(0..6)));
    write(&place, "all.tgz", &gzip(&tar(0..6)));
    write(&place, "named.anyhow", &gzip(&tar(0..6)));
    write(&place, "shards/00.tar", &tar(0..2));
    write(&place, "shards/01.tar.gz", &gzip(&tar(2..5)));
    write(&place, "shards/02.tar", &tar(5..6));
    write(&place, "shards/index.json", b"{}");
    for source in ["all.tar.gz", "all.tgz", "named.anyhow", "shards"] {
        assert!(embedded(&place, source) == wanted, "{source}");
    }
    let names = place.kme("reduce shards -n 6 -o chosen.txt --features pixels");
    assert_eq!(names.code, Some(0), "{}", names.err);
    let chosen = std::fs::read_to_string(place.path("chosen.txt")).unwrap();
    assert!(chosen.contains("01.tar.gz/003.png"), "{chosen}");

    write(&place, "cut.tgz", &gzip(&tar(0..6))[..700]);
    write(&place, "a.tar.bz2", b"BZh91AY&SY");
    write(&place, "a.tar.xz", b"\xfd7zXZ\0\0\x04");
    write(&place, "a.tar.zst", b"\x28\xb5\x2f\xfd\x24");
    write(&place, "a.7z", b"7z\xbc\xaf\x27\x1c");
    write(&place, "a.jpg.gz", &gzip(include_bytes!("golden/grey.jpg")));
    for (source, word) in [
        ("cut.tgz", "cut off"),
        ("a.tar.bz2", "bzip2"),
        ("a.tar.xz", "xz"),
        ("a.tar.zst", "Zstandard"),
        ("a.7z", "7-Zip"),
        ("a.jpg.gz", "a picture compressed by gzip"),
    ] {
        let ran = place.run(&["embed", source, "-o", "out.kme", "--features", "pixels"]);
        assert!(ran.code == Some(2) && ran.err.contains(word), "{source}: {}", ran.err);
    }
    // Among others, what is damaged is no smaller part, and what is no archive is counted.
    let fails = |file: &str, content: &[u8], parts: &[&str]| {
        write(&place, &format!("shards/{file}"), content);
        for words in ["embed shards -o out.kme --features pixels", "data info shards"] {
            let ran = place.kme(words);
            assert_eq!(ran.code, Some(2), "{file} {words}: {}", ran.out);
            assert!(ran.err.contains(file) && parts.iter().all(|part| ran.err.contains(part)), "{file}: {}", ran.err);
        }
        std::fs::remove_file(place.path(&format!("shards/{file}"))).unwrap();
    };
    let whole = gzip(&tar(0..2));
    fails("b.tar.gz", &whole[..60], &["damaged or cut off"]);
    fails("b.tar.gz", &whole[..whole.len() - 9], &["cut off"]);
    fails("b.tgz", &[&whole[..20], &[0xff; 40][..], &whole[60..]].concat(), &["damaged"]);
    fails("b.tar", &tar(0..2)[..60], &["named like an archive, but is not one, or is damaged"]);
    fails("b.tar", &tar(0..2)[..600], &[]);
    fails("b.tgz", &gzip(b"notes"), &["named like an archive, but is not one, or is damaged"]);
    fails("b.tar", b"", &["empty"]);
    fails("b.zip", b"\0\0\0\0", &["named like an archive, but is not one, or is damaged"]);
    fails("b.tar.GZ", b"not even gzip", &["named like an archive, but is not one, or is damaged"]);
    fails("p0.png.gz", &gzip(include_bytes!("golden/grey.jpg")), &["a picture compressed by gzip"]);
    fails("b.tar.bz2", b"BZh91AY&SY", &["bzip2"]);
    for (count, (file, content)) in [
        ("notes.GZ", gzip(b"notes")),
        ("notes.gz", gzip(b"notes")),
        ("labels.gz", gzip(&[0, 0, 8, 1, 0, 0, 0, 1, 7])),
        ("plain.gz", b"no gzip at all".to_vec()),
    ]
    .into_iter()
    .enumerate()
    {
        write(&place, &format!("shards/{file}"), &content);
        let json = place.kme("data info shards --json").json();
        // With index.json.
        assert_eq!((&json["pictures"], &json["others"]), (&6.into(), &(count + 2).into()), "{file}");
        assert!(embedded(&place, "shards") == wanted, "{file}");
    }
    // Beside pictures, an archive is told.
    write(&place, "a/more.tar", &tar(0..1));
    let ran = place.kme("embed a -o out.kme --features pixels");
    assert!(ran.code == Some(0) && ran.err.contains("an archive lies beside the pictures"), "{}", ran.err);
}

#[test]
fn what_looks_like_a_picture_is_never_left_out_in_silence() {
    let place = Place::new();
    let (all, shape) = (bytes(4, 28, 28, 1), [28, 28, 1]);
    folder(&place, "a", &all, shape);
    let jpeg = include_bytes!("golden/grey.jpg");
    for name in ["a.jfif", "b.jpe", "c", "d.txt", "deep/e.PJPEG"] {
        write(&place, &format!("a/{name}"), jpeg);
    }
    for name in ["notes.txt", "Thumbs.db", ".DS_Store", "._000.png", "@eaDir/000.png/SYNOPHOTO_THUMB_M.png", "x.json"] {
        write(&place, &format!("a/{name}"), b"\x89PNG of course not"[1..].as_ref());
    }
    let json = place.kme("embed a -o a.kme --features pixels --json").json();
    assert_eq!(json["n"], 9);
    let ran = place.kme("embed a -o a.kme --features pixels --verbose");
    assert!(ran.err.contains("skipped 3 files that are not pictures"), "{}", ran.err);

    let bad: [(&str, &[u8], &str); 6] = [
        ("p.avif", b"\0\0\0\x1cftypavif\0\0\0\0", "an AVIF file"),
        ("q.heic", b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC file"),
        ("r", b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL file"),
        ("s.svg", b"<svg/>", "an SVG drawing"),
        ("t.png", b"", "the file is empty"),
        ("u.dng", b"II*\0\x08\0\0\0", "a camera's raw file"),
    ];
    for (name, content, fault) in bad {
        write(&place, &format!("a/{name}"), content);
        let ran = place.kme("embed a -o a.kme --features pixels");
        assert!(ran.code == Some(2) && ran.err.contains(name) && ran.err.contains(fault), "{name}: {}", ran.err);
        let json = place.kme("embed a -o a.kme --features pixels --skip-bad --json").json();
        assert_eq!((&json["n"], json["skipped"].as_array().map(Vec::len)), (&9.into(), Some(1)), "{name}");
        std::fs::remove_file(place.path(&format!("a/{name}"))).unwrap();
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere.png", place.path("a/v.png")).unwrap();
        let ran = place.kme("embed a -o a.kme --features pixels");
        assert!(ran.code == Some(2) && ran.err.contains("a link to nowhere.png, which is not there"), "{}", ran.err);
        let json = place.kme("embed a -o a.kme --features pixels --skip-bad --json").json();
        assert_eq!((&json["n"], &json["skipped"][0]["name"]), (&9.into(), &"v.png".into()));
    }
}

#[test]
fn a_tools_protocol_decides_about_pictures_too() {
    let place = Place::new();
    place.pictures("a", 6, 1);
    place.pictures("b", 6, 2);
    let eval = |words: &str| place.kme(&format!("eval a b --features fashion-classifier --metrics fid {words}"));
    for tool in ["torch-fidelity", "clean-fid", "pytorch-fid"] {
        let protocol = format!("--protocol {tool}");
        let json = eval(&format!("{protocol} --json")).json();
        let said = json["features"]["protocol"].as_str().unwrap();
        assert!(said.starts_with(&format!("1x28x28, {tool}")), "{said}");
        let decoder = json["protocol"]["reference"]["decoder"].as_str().unwrap();
        assert!(decoder.contains("alpha dropped"), "{decoder}");
        let ran = eval(&protocol);
        assert!(ran.out.contains(&format!("(pictures as 1x28x28, {tool}")), "{}", ran.out);
        assert!(!ran.err.contains("--resize"), "{}", ran.err);
        let ran = eval(&format!("{protocol} --resize pillow-bicubic-crop"));
        assert!(ran.out.contains("1x28x28, pillow-bicubic-crop"), "{}", ran.out);
        assert!(ran.err.contains(&format!("is not what {tool} does")), "{}", ran.err);
    }
    let json = eval("--json").json();
    assert!(json["features"]["protocol"].as_str().unwrap().starts_with("1x28x28, pillow-bicubic-crop"));
    let ran = place.kme("eval a b --features pixels --protocol pytorch-fid --metrics kid");
    assert!(ran.code == Some(2) && ran.err.contains("pytorch-fid computes FID alone"), "{}", ran.err);
    assert_eq!(
        place.kme("eval a b --features fashion-classifier --protocol pytorch-fid --json").json()["metric"],
        "fid"
    );
    // With --size, pixels are brought there in the tool's way, and are not compared with those of another.
    let size = "--features pixels --size 9x9";
    assert_eq!(place.kme(&format!("embed a -o own.kme {size}")).code, Some(0));
    assert_eq!(place.kme(&format!("embed a -o tool.kme {size} --resize clean-fid")).code, Some(0));
    let ran = place.kme("eval own.kme tool.kme");
    assert!(ran.code == Some(2) && ran.err.contains("files read as Pillow reads them"), "{}", ran.err);
}

/// Grey of 16 bits, of which the tools see what is below 256.
#[test]
fn grey_of_16_bits_is_told() {
    let place = Place::new();
    for i in 0..3_u16 {
        let words: Vec<u8> = (0..16).flat_map(|j| (j * 40 + i).to_be_bytes()).collect();
        write(&place, &format!("a/{i}.pgm"), &[b"P5 4 4 65535\n", &words[..]].concat());
    }
    let embed = "embed a -o a.kme --features pixels --size 4x4";
    let ran = place.kme(&format!("{embed} --resize clean-fid"));
    assert!(ran.code == Some(0) && ran.err.contains("3 of 3 pictures are grey with 16 bits"), "{}", ran.err);
    assert_eq!(place.kme("embed a -o a.npy --features pixels --size 4x4 --resize clean-fid").code, Some(0));
    let points = kme::Points::read(place.path("a.npy")).unwrap();
    let expected = (0..3).flat_map(|i| (0..16).map(move |j| (j * 40 + i).min(255) as f32 / 255.0));
    let kme::Data::F32(found) = points.data() else { panic!("not f32") };
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}");
    let ran = place.kme(embed);
    assert!(ran.code == Some(0) && !ran.err.contains("grey with 16 bits"), "{}", ran.err);
}

#[test]
fn the_largest_picture_is_the_users_choice() {
    let place = Place::new();
    let (all, shape) = (bytes(2, 30, 40, 1), [30, 40, 1]);
    folder(&place, "a", &all, shape);
    let ran = place.kme("embed a -o a.kme --features pixels --max-pixels 1199");
    assert!(ran.code == Some(2) && ran.err.contains("1200 pixels; at most 1199"), "{}", ran.err);
    assert_eq!(place.kme("embed a -o a.kme --features pixels --max-pixels 1200").code, Some(0));
    let ran = place.kme("data info a --max-pixels 1199");
    assert!(ran.code == Some(2) && ran.err.contains("1200 pixels; at most 1199"), "{}", ran.err);
    let ran = place.kme("data info a --max-pixels 1200 -o sheet.png");
    assert!(ran.code == Some(0) && ran.out.contains("none is square"), "{} {}", ran.out, ran.err);
}
