//! Files of torch.save and torch.jit.save: golden values, files that would execute code, and damage of every kind.

use kme::Result;
use kme_net::weights::{self, Weights};
use serde_json::Value;
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Remembers the largest piece of memory that was asked for.
struct Watched;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on as it is.
unsafe impl GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static WATCHED: Watched = Watched;

/// Larger than anything that the small files here can need.
const MUCH: usize = 4 << 20;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/torch").join(name)
}

fn parse(bytes: &[u8]) -> Result<Weights> {
    weights::parse(bytes, Path::new("small.pth"))
}

/// The message of the fault in `bytes`, which names the file.
fn fault(bytes: &[u8]) -> String {
    let message = parse(bytes).unwrap_err().to_string();
    assert!(message.starts_with("small.pth: "), "{message}");
    message
}

#[test]
fn tensors_are_those_that_torch_itself_loads() {
    let expected: Value = serde_json::from_slice(&std::fs::read(golden("expected.json")).unwrap()).unwrap();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 9);
    for (file, tensors) in expected {
        let weights = weights::read(&golden(file)).unwrap();
        let kind = match file.as_str() {
            "legacy.pth" | "checkpoint-legacy.pth" => "torch legacy",
            "script.pt" => "TorchScript",
            _ => "torch zip",
        };
        assert_eq!(weights.container, kind, "{file}");
        for (name, tensor) in tensors.as_object().unwrap() {
            // torch.load gives a bare tensor no name, and f32 cannot hold this counter.
            let name = if name.is_empty() { "tensor" } else { name };
            if name == "counter" {
                assert!(!weights.tensors.contains_key(name));
                continue;
            }
            let (shape, numbers) = weights.tensors.get(name).unwrap_or_else(|| panic!("{file} lacks {name}"));
            assert_eq!(serde_json::json!(shape), tensor[0], "{file}: {name}");
            let wanted: Vec<f32> = tensor[1].as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
            assert_eq!(numbers, &wanted, "{file}: {name}");
        }
        let counters = usize::from(file.starts_with("checkpoint"));
        assert_eq!(weights.tensors.len() + counters, tensors.as_object().unwrap().len(), "{file}");
    }
}

/// A zip archive as torch.save writes it, with this pickle and one storage of two numbers.
fn zip_with(pickle: &[u8]) -> Vec<u8> {
    zip_of(&[("a/data.pkl", pickle), ("a/data/0", &[0; 8])])
}

fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default().compression_method(CompressionMethod::Stored)).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A legacy file with this pickle, and one storage of two numbers.
fn legacy_with(pickle: &[u8]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let keys = b"\x80\x02]X\x01\0\0\x000a.\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    [&magic[..], b"\x80\x02M\xe9\x03.", b"\x80\x02}.", pickle, keys].concat()
}

/// Instructions that push a tensor of two numbers.
fn tensor() -> Vec<u8> {
    tensor_of(b"K\x02\x85", b"K\x01\x85")
}

fn tensor_of(shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ";
    [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage[..], b"K\0", shape, strides, b"\x89NtR"].concat()
}

/// A pickle of a dictionary with a tensor and with what `value` pushes.
fn pickle_with(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02}(X\x01\0\0\0w", &tensor()[..], b"X\x01\0\0\0x", value, b"u."].concat()
}

#[test]
fn files_written_here_are_whole() {
    for bytes in [zip_with(&pickle_with(b"N")), legacy_with(&pickle_with(b"N"))] {
        assert_eq!(parse(&bytes).unwrap().tensors["w"], (vec![2], vec![0.0, 0.0]));
    }
}

#[test]
fn files_of_python_that_would_execute_something_are_refused() {
    for (file, what) in [
        ("hostile.pth", "`posix.system`"),
        ("hostile-legacy.pth", "`posix.system`"),
        ("hostile-protocol4.pth", "`posix.system`"),
        ("hostile-module.pth", "`torch.nn.modules.linear.Linear`"),
    ] {
        let message = weights::read(&golden(file)).unwrap_err().to_string();
        assert!(message.contains(&format!("{file}: would execute {what}")), "{message}");
        assert!(message.contains("torch.save(model.state_dict()"), "{message}");
    }
}

#[test]
fn whatever_names_something_to_run_is_refused_by_its_name() {
    let text = |text: &str| [b"\x8c", &[text.len() as u8][..], text.as_bytes()].concat();
    let stacked = [text("os"), text("system"), b"\x93".to_vec()].concat();
    let cases: &[(&[u8], &str)] = &[
        // Only named, never called.
        (b"cos\nsystem\n", "os.system"),
        (b"cos\nsystem\nX\x02\0\0\0ls\x85R", "os.system"),
        (b"cbuiltins\neval\nX\x01\0\0\x001\x85R", "builtins.eval"),
        (b"c__builtin__\ngetattr\n", "__builtin__.getattr"),
        (&stacked, "os.system"),
        (b"(X\x02\0\0\0lsios\nsystem\n", "os.system"),
        (b"(cos\nsystem\nX\x02\0\0\0lso", "os.system"),
        (b"ctorch\nload\n", "torch.load"),
        (b"ctorch._utils\n_rebuild_qtensor\n", "torch._utils._rebuild_qtensor"),
        (b"ctorch.storage\n_load_from_bytes\n", "torch.storage._load_from_bytes"),
        (b"ctorch.serialization\nload\n", "torch.serialization.load"),
        // Allowed names where they would do something else, and names of TorchScript outside of it.
        (b"(ctorch\nFloatStorage\no", "StorageClass"),
        (b"ctorch\nFloatStorage\n)R", "StorageClass"),
        (b"ctorch\nSize\n)}\x92", "Size"),
        (b"X\x02\0\0\0os)R", "os"),
        (b"K\x01X\x01\0\0\0ab", "__setstate__"),
        (b"c__torch__.a\nB\n)\x81", "__torch__.a.B"),
        (b"\x82\x01", "extension"),
    ];
    for (value, what) in cases {
        for bytes in [zip_with(&pickle_with(value)), legacy_with(&pickle_with(value))] {
            let message = fault(&bytes);
            assert!(message.contains("would execute") && message.contains(what), "{what}: {message}");
        }
        // Classes of an archive's own code are bags of attributes; everything else stays refused there.
        let script = zip_of(&[("a/data.pkl", &pickle_with(value)), ("a/data/0", &[0; 8]), ("a/constants.pkl", b")")]);
        match *what {
            "__torch__.a.B" => assert_eq!(parse(&script).unwrap().tensors.len(), 1),
            _ => assert!(fault(&script).contains(what)),
        }
    }
}

#[test]
fn a_name_inside_a_tensor_is_refused_too() {
    let hook = [b"ctorch._utils\n_rebuild_parameter\n(", &tensor()[..], b"\x88cos\nsystem\n)RtR"].concat();
    assert!(fault(&zip_with(&pickle_with(&hook))).contains("os.system"));
    let hook = [b"ccollections\nOrderedDict\n)R(", &tensor()[..], b"cposix\nsystem\nu"].concat();
    assert!(fault(&legacy_with(&pickle_with(&hook))).contains("posix.system"));
}

#[test]
fn every_cut_is_told() {
    for file in ["zip.pth", "legacy.pth", "checkpoint-legacy.pth", "script.pt", "big-endian.pth"] {
        let whole = std::fs::read(golden(file)).unwrap();
        for length in 0..whole.len() {
            fault(&whole[..length]);
        }
        parse(&whole).unwrap();
    }
    assert!(fault(&std::fs::read(golden("legacy.pth")).unwrap()[..2000]).contains("truncated"));
}

#[test]
fn no_changed_byte_makes_it_panic_or_take_much_memory() {
    for file in ["zip.pth", "legacy.pth", "checkpoint-legacy.pth", "script.pt", "big-endian.pth", "protocol4.pth"] {
        let whole = std::fs::read(golden(file)).unwrap();
        let honest = parse(&whole).unwrap();
        for i in 0..whole.len() {
            for change in [0x01, 0x20, 0x80, 0xff] {
                let mut bytes = whole.clone();
                bytes[i] ^= change;
                match parse(&bytes) {
                    // The entries of an archive have checksums: what is still read is what was written.
                    Ok(weights) if honest.container != "torch legacy" => {
                        assert_eq!(weights.tensors, honest.tensors, "{file}: byte {i} changed by {change:#x}");
                    }
                    Ok(_) => {}
                    Err(e) => assert!(e.to_string().starts_with("small.pth: ")),
                }
            }
        }
    }
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < MUCH, "{largest} bytes at once");
}

#[test]
fn small_files_do_not_unfold_into_large_ones() {
    // 2²⁰ × 2²⁰ times the same number.
    let side = b"J\0\0\x10\0";
    let large = tensor_of(&[&side[..], side, b"\x86"].concat(), b"K\0K\0\x86");
    // Sixty lists, each twice in the next.
    let laughs = b"q\x010]h\x01ah\x01a".repeat(60);
    let laughs = [&tensor()[..], &laughs].concat();
    // A list that holds itself.
    let knot = b"]q\x01h\x01a".to_vec();
    let deep = [&tensor()[..], &b"\x85".repeat(100_000)].concat();
    // A shape of 60 sides, used again and again.
    let shape = [b"(", &b"K\x01".repeat(60)[..], b"tq\x070"].concat();
    let again = [&tensor_of(b"h\x07", b"h\x07")[..], b"0"].concat().repeat(1000);
    let many = [&shape[..], &again, b"N"].concat();
    let sides = tensor_of(&[b"(", &b"K\x01".repeat(65)[..], b"t"].concat(), b")");
    // A thousand tensors under a name of a hundred thousand letters.
    let name = [b"X\xa0\x86\x01\0", &b"n".repeat(100_000)[..]].concat();
    let list = [b"](", &tensor()[..], b"q\x07", &b"h\x07".repeat(1000), b"e"].concat();
    let long = [b"}", &name[..], b"q\x08}h\x08}h\x08", &list, b"sss"].concat();
    // A storage of 2³¹ − 1 numbers that is not there.
    let storage = b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuJ\xff\xff\xff\x7ftQ";
    let missing = [b"ctorch._utils\n_rebuild_tensor_v2\n(", &storage[..], b"K\0J\xff\xff\xff\x7f\x85K\x01\x85\x89NtR"];
    for (value, what) in [
        (large, "repeat"),
        (laughs, "without end"),
        (knot, "deep"),
        (deep, "deep"),
        (many, "without end"),
        (sides, "65 sides"),
        (long, "without end"),
        (missing.concat(), "storage"),
        // Texts and numbers that claim to be longer than the file.
        (b"X\xff\xff\xff\xff".to_vec(), "too early"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f".to_vec(), "too early"),
        (b"\x8b\xff\xff\xff\xff".to_vec(), "too early"),
    ] {
        for bytes in [zip_with(&pickle_with(&value)), legacy_with(&pickle_with(&value))] {
            let message = fault(&bytes);
            // In the legacy form a missing storage is noticed by its count.
            assert!(message.contains(what) || message.contains("repeat"), "{what}: {message}");
        }
    }
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < MUCH, "{largest} bytes at once");
}

#[test]
fn views_outside_of_their_storage_are_refused() {
    for (shape, strides) in [
        (&b"K\x03\x85"[..], &b"K\x01\x85"[..]),
        (b"K\x02\x85", b"K\x02\x85"),
        (b"J\xff\xff\xff\xff\x85", b"K\x01\x85"),
        (b"K\x02\x85", b"J\xff\xff\xff\xff\x85"),
        (b"K\x02\x85", b")"),
        (b"K\x02\x85", b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x85"),
    ] {
        fault(&zip_with(&pickle_with(&tensor_of(shape, strides))));
    }
    // A side of 1 may have any stride.
    let odd = tensor_of(b"K\x02K\x01\x86", b"K\x01\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f\x86");
    assert_eq!(parse(&zip_with(&pickle_with(&odd))).unwrap().tensors["x"].0, [2, 1]);
}

#[test]
fn other_files_and_numbers_are_told_apart() {
    for (bytes, what) in [
        (b"just some words".to_vec(), "torch.save"),
        (b"\x80\x02K\x01.".to_vec(), "not a file of torch.save"),
        (zip_of(&[("readme.txt", b"words")]), "data.pkl"),
        (zip_of(&[("a/data.pkl", &pickle_with(b"N"))]), "a/data/0"),
        (zip_of(&[("a/data.pkl", &pickle_with(b"N")), ("a/data/0", &[0; 7])]), "7 bytes"),
        (zip_of(&[("a/data.pkl", b"\x80\x02}."), ("a/byteorder", b"little")]), "no tensors"),
        (zip_of(&[("a/data.pkl", b"\x80\x02}."), ("a/byteorder", b"middle")]), "middle"),
        (zip_of(&[("a/data.pkl", &pickle_with(b"N")), ("a/data/0", &[0xff; 8])]), "NaN"),
    ] {
        let message = fault(&bytes);
        assert!(message.contains(what), "{message}");
    }
    let missing = weights::read(Path::new("no-such.pth")).unwrap_err().to_string();
    assert!(missing.contains("no-such.pth") && missing.contains("no such file"), "{missing}");
}
