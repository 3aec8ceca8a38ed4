//! Reading points: files that NumPy wrote, round trips, and files made to do harm.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use kme::{Data, Points, read_weights};

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/points").join(name)
}

/// The points of tests/golden/points.py.
fn expected(wide: bool) -> Points {
    let numbers = (0..12).map(|i| f64::from(i - 4));
    let data = if wide { Data::F64(numbers.collect()) } else { Data::F32(numbers.map(|x| x as f32).collect()) };
    Points::new(4, 3, data).unwrap()
}

fn fault(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let error = Points::read(path).unwrap_err();
    let file = path.to_str().unwrap();
    let file = if path.exists() { file } else { file.rsplit_once(':').map_or(file, |(f, _)| f) };
    assert_eq!(error.file_path(), Some(Path::new(file)), "{error}");
    error.problem()
}

#[test]
fn arrays_of_numpy_are_read() {
    for (name, wide) in [
        ("float32.npy", false),
        ("float16.npy", false),
        ("int16-big-endian.npy", false),
        ("int64.npy", true),
        ("float64-columns-big-endian.npy", true),
        ("stored.npz", false),
        ("stored.npz:arr_0", false),
        ("labelled.npz:features", false),
        ("several.npz:features", false),
        ("labelled.safetensors:features", false),
    ] {
        assert_eq!(Points::read(golden(name)).unwrap(), expected(wide), "{name}");
    }
    for name in ["one-axis.npy", "several.npz:labels", "labelled.safetensors:labels"] {
        let first_column = Points::new(4, 1, Data::F64(vec![-4.0, -1.0, 2.0, 5.0])).unwrap();
        assert_eq!(Points::read(golden(name)).unwrap(), first_column, "{name}");
    }
}

#[test]
fn what_is_no_sample_is_refused_with_a_remedy() {
    for (name, parts) in [
        ("four-axes.npy", &["shape (2, 3, 2, 2)", "x.reshape(2, 12)"][..]),
        ("complex.npy", &["'<c8'", "astype"]),
        ("several.npz", &["several arrays", "FILE:NAME", "features (4, 3)", "pixels (4, 3)", "labels (4,)"]),
        // One array of points beside others: which is meant is not for the program to guess.
        ("labelled.npz", &["several arrays", "FILE:NAME", "features (4, 3)", "labels (4,)"]),
        ("labelled.safetensors", &["several arrays", "features (4, 3)", "images (2, 3, 2, 2)", "labels (4,)"]),
        ("several.npz:other", &["no array 'other'", "features (4, 3)"]),
        ("labelled.safetensors:images", &["array 'images'", "x.reshape(2, 12)"]),
        ("none.npy", &["no such file"]),
        ("../points.py", &[".py", ".npy, .npz, .safetensors, .csv, .tsv, .txt and .dat"]),
        ("../points", &["no extension", ".safetensors"]),
    ] {
        let text = fault(golden(name));
        assert!(parts.iter().all(|part| text.contains(part)), "{name}: {text}");
    }
}

#[test]
fn what_is_written_is_read_back_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (f32s, f64s) =
        (vec![0.1_f32, -1e-40, 3e38, -0.0, 1.0 / 3.0, 7.0], vec![0.1_f64, -5e-324, 1e308, -0.0, 2.0, 7.0]);
    for data in [Data::F32(f32s.clone()), Data::F64(f64s)] {
        let points = Points::new(2, 3, data).unwrap();
        for name in ["x.npy", "x.csv", "x.tsv"] {
            let path = folder.path().join(name);
            points.write(&path).unwrap();
            let back = Points::read(&path).unwrap();
            assert_eq!((back.len(), back.dim()), (2, 3));
            for i in 0..6 {
                assert_eq!(back.data().get(i).to_bits(), points.data().get(i).to_bits(), "{name}");
            }
            if name == "x.npy" {
                assert_eq!(back, points);
            }
        }
    }
    // The bytes are those that NumPy writes.
    expected(false).write(folder.path().join("y.npy")).unwrap();
    assert_eq!(fs::read(folder.path().join("y.npy")).unwrap(), fs::read(golden("float32.npy")).unwrap());
    let error = expected(false).write(folder.path().join("y.png")).unwrap_err().to_string();
    assert!(error.contains(".npy, .csv or .tsv"), "{error}");
}

#[test]
fn rows_that_are_not_finite_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut bytes = fs::read(golden("float32.npy")).unwrap();
    let numbers = bytes.len() - 48;
    bytes[numbers + 16..numbers + 20].copy_from_slice(&f32::NAN.to_le_bytes());
    bytes[numbers + 36..numbers + 40].copy_from_slice(&f32::INFINITY.to_le_bytes());
    bytes[numbers + 40..numbers + 44].copy_from_slice(&f32::NAN.to_le_bytes());
    let path = folder.path().join("x.npy");
    fs::write(&path, bytes).unwrap();
    let text = fault(&path);
    assert!(text.contains("row 1, column 1") && text.contains("NaN; 2 of 4 rows"), "{text}");
}

#[test]
fn weights_are_one_number_a_point() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("column.csv", "1\n2\n3\n"), ("row.csv", "weight,of,each\n1,2,3\n")] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        assert_eq!(read_weights(&path, 3).unwrap(), [1.0, 2.0, 3.0]);
        assert!(read_weights(&path, 4).unwrap_err().to_string().contains("3 weights for 4 points"));
    }
    assert!(read_weights(golden("float32.npy"), 12).unwrap_err().to_string().contains("one number a point"));
}

/// Writes a new file: some file systems flush when an old one is cut to length 0, thousands of times here.
fn put(path: &Path, bytes: &[u8]) {
    let _ = fs::remove_file(path);
    fs::write(path, bytes).unwrap();
}

/// A damaged file is an error that names the file, or still a sample; never a panic, never a huge allocation.
fn survives(path: &Path, bytes: &[u8]) -> bool {
    put(path, bytes);
    match Points::read(path) {
        Ok(points) => points.len() * points.dim() <= 4096,
        Err(e) => e.file_path() == Some(path),
    }
}

#[test]
fn truncated_and_altered_files_are_faults_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["float32.npy", "float64-columns-big-endian.npy", "stored.npz", "labelled.npz", "labelled.safetensors"]
    {
        let whole = fs::read(golden(name)).unwrap();
        let path = folder.path().join(name);
        for length in 0..whole.len() {
            put(&path, &whole[..length]);
            let error = Points::read(&path).expect_err("a truncated file was read");
            assert_eq!(error.file_path(), Some(&*path), "{name}, {length} bytes: {error}");
        }
        for at in 0..whole.len() {
            for change in [0x01, 0x10, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                assert!(survives(&path, &bytes), "{name}, byte {at} xor {change}");
            }
        }
        for extra in [1, 100] {
            let mut bytes = whole.clone();
            bytes.extend(vec![0; extra]);
            assert!(survives(&path, &bytes), "{name}");
        }
    }
}

#[test]
fn lengths_that_cannot_be_are_found_before_memory_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let npy = |shape: &str| {
        let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
        [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes()].concat()
    };
    let path = folder.path().join("x.npy");
    for (bytes, part) in [
        (npy("(1000000000000, 1000)"), "is truncated"),
        (npy("(18446744073709551615, 8)"), "is impossible"),
        (npy("(4294967296, 4294967296)"), "is impossible"),
        (npy("(0, 3)"), "no points"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(), "claims 4294967295 bytes"),
        (b"\x93NUMPY\x09\x00\x10\x00{}".to_vec(), "version 9.0"),
        (b"not an array".to_vec(), "not a .npy file"),
    ] {
        fs::write(&path, bytes).unwrap();
        let text = fault(&path);
        assert!(text.contains(part), "{part}: {text}");
    }

    let path = folder.path().join("x.safetensors");
    let container = |header: &str| [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    for (bytes, part) in [
        (u64::MAX.to_le_bytes().to_vec(), "claim a header of 18446744073709551615"),
        (container(r#"{"x":{"dtype":"F64","shape":[9007199254740992,4096],"data_offsets":[0,8]}}"#), "not understood"),
        (container(r#"{"x":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4000000000000]}}"#), "truncated"),
        (container(r#"{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#), "not understood"),
        (container(&"[".repeat(100_000)), "not understood"),
        (container("{}"), "no arrays"),
    ] {
        fs::write(&path, bytes).unwrap();
        let text = fault(&path);
        assert!(text.contains(part), "{part}: {text}");
    }

    let path = folder.path().join("x.npz");
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    let deflated = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    archive.start_file("x.npy", deflated).unwrap();
    archive.write_all(&npy("(1000000000000, 1000)")).unwrap();
    archive.start_file("notes.txt", deflated).unwrap();
    archive.finish().unwrap();
    let text = fault(&path);
    assert!(text.contains("is truncated"), "{text}");

    // A file that is long enough for the claim, an entry that is not: 80 MB of numbers from 100 bytes.
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    archive.start_file("x.npy", deflated).unwrap();
    let array = npy("(10000000,)");
    archive.write_all(&array).unwrap();
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    archive.start_file("notes.txt", stored).unwrap();
    archive.write_all(&[0; 1 << 17]).unwrap();
    archive.finish().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    // The uncompressed size of the first entry in the central directory.
    let at = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap() + 24;
    bytes[at..at + 4].copy_from_slice(&(array.len() as u32 + 80_000_000).to_le_bytes());
    put(&path, &bytes);
    let text = fault(&path);
    assert!(text.contains("claims 80000") && text.contains("compressed to"), "{text}");
}
