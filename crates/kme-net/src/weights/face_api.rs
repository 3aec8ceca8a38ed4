//! The weights of face-api (TensorFlow.js): a manifest in JSON, and files of numbers beside it.

use super::Weights;
use crate::net::file::Tensors;
use kme::{Error, Result};
use kme_image::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::{Component, Path};

/// Tensors that stand one after another in files.
#[derive(Deserialize)]
struct Group {
    paths: Vec<String>,
    weights: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<Quantization>,
}

/// value = scale · q + min.
#[derive(Deserialize)]
struct Quantization {
    dtype: String,
    scale: f64,
    min: f64,
}

/// Whether the bytes begin like a manifest.
pub(super) fn is_manifest(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.first() == Some(&b'[') && text[1..].trim_ascii_start().first() == Some(&b'{')
}

/// The tensors of a manifest, whose files lie beside it. The checksum is of the manifest and its files one after another.
///
/// # Errors
/// [`Error::Format`] when it is not a manifest, or a file lies elsewhere or has another length; [`Error::Io`] when one is missing.
pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Weights> {
    let groups: Vec<Group> =
        serde_json::from_slice(bytes).map_err(|e| Error::unreadable(path, "is not a manifest of weights", e))?;
    let mut digest = Sha256::new_with_prefix(bytes);
    let mut tensors = Tensors::new();
    for group in groups {
        let mut data = Vec::new();
        for name in &group.paths {
            // Only names of files beside the manifest: nothing in it leads elsewhere.
            let mut parts = Path::new(name).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(Error::format(path, format!("names the file '{name}', which does not lie beside it")));
            }
            let part = path.with_file_name(name);
            data.extend(std::fs::read(&part).map_err(|e| kme::internal::io::read_error(&part, e))?);
        }
        digest.update(&data);
        let mut rest = data.as_slice();
        for entry in group.weights {
            let (values, after) = values(&entry, rest).map_err(|fault| Error::format(path, fault))?;
            rest = after;
            tensors.insert(entry.name, (entry.shape, values));
        }
        if !rest.is_empty() {
            let names = group.paths.join(", ");
            return Err(Error::format(path, format!("accounts for all but {} bytes of {names}", rest.len())));
        }
    }
    let sha256 = hex(&digest.finalize());
    Ok(Weights { tensors, sha256, container: "face-api" })
}

/// An entry's numbers from the beginning of `data`, and what follows them.
fn values<'a>(entry: &Entry, data: &'a [u8]) -> std::result::Result<(Vec<f32>, &'a [u8]), String> {
    let name = &entry.name;
    if entry.dtype != "float32" {
        return Err(format!("tensor {name} holds {}; float32 is read", entry.dtype));
    }
    let stored = entry.quantization.as_ref().map_or("float32", |q| q.dtype.as_str());
    let width = match stored {
        "uint8" => 1,
        "uint16" => 2,
        "float32" if entry.quantization.is_none() => 4,
        other => return Err(format!("tensor {name} is stored as {other}; float32, uint8 and uint16 are read")),
    };
    let length = entry.shape.iter().try_fold(width, |product: usize, &side| product.checked_mul(side));
    let (own, rest) = length
        .and_then(|length| data.split_at_checked(length))
        .ok_or_else(|| format!("its files end within tensor {name} of shape {:?}", entry.shape))?;
    let whole = |q: f64| entry.quantization.as_ref().map_or(q, |by| by.scale * q + by.min) as f32;
    let values = match width {
        1 => own.iter().map(|&q| whole(f64::from(q))).collect(),
        2 => own.as_chunks().0.iter().map(|&b| whole(f64::from(u16::from_le_bytes(b)))).collect(),
        _ => own.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
    };
    Ok((values, rest))
}

#[cfg(test)]
mod tests {
    use super::super::{parse, read};

    const MANIFEST: &str = r#"[ {"weights": [
        {"name": "q", "shape": [2, 2], "dtype": "float32", "quantization": {"dtype": "uint8", "scale": 0.5, "min": -1.0}},
        {"name": "f", "shape": [1], "dtype": "float32"},
        {"name": "w", "shape": [1], "dtype": "float32", "quantization": {"dtype": "uint16", "scale": 2.0, "min": 1.0}}
    ], "paths": ["part.bin"]} ]"#;

    fn data() -> Vec<u8> {
        [vec![0, 1, 2, 255], 0.75_f32.to_le_bytes().to_vec(), 300_u16.to_le_bytes().to_vec()].concat()
    }

    #[test]
    fn quantised_numbers_become_what_they_stand_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        std::fs::write(&path, MANIFEST).unwrap();
        std::fs::write(folder.path().join("part.bin"), data()).unwrap();
        let found = read(&path).unwrap();
        assert_eq!(found.tensors["q"], (vec![2, 2], vec![-1.0, -0.5, 0.0, 126.5]));
        assert_eq!(found.tensors["f"], (vec![1], vec![0.75]));
        assert_eq!(found.tensors["w"], (vec![1], vec![601.0]));
        let together = [MANIFEST.as_bytes(), &data()].concat();
        assert_eq!((found.sha256, found.container), (crate::net::file::sha256(&together), "face-api"));
    }

    #[test]
    fn damaged_and_hostile_manifests_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("manifest.json");
        let part = folder.path().join("part.bin");
        std::fs::write(&part, data()).unwrap();
        let fault = |text: &str| parse(text.as_bytes(), &path).unwrap_err().to_string();
        for elsewhere in ["../part.bin", "/etc/passwd", "a/part.bin", "", "."] {
            let text = MANIFEST.replace("part.bin", elsewhere);
            assert!(fault(&text).contains("does not lie beside it"), "{elsewhere}");
        }
        for (from, to, expected) in [
            ("\"shape\": [2, 2]", "\"shape\": [3, 3]", "end within tensor"),
            ("\"shape\": [2, 2]", "\"shape\": [1]", "all but 3 bytes"),
            ("\"shape\": [2, 2]", "\"shape\": [4294967296, 4294967296, 4294967296]", "end within tensor q"),
            ("uint8", "int4", "int4"),
            ("\"dtype\": \"float32\"}", "\"dtype\": \"complex64\"}", "complex64"),
            ("\"scale\": 2.0", "\"scale\": 1e300", "inf"),
            ("} ]", "}", "not a manifest"),
        ] {
            assert!(MANIFEST.contains(from), "{from}");
            let message = fault(&MANIFEST.replacen(from, to, 1));
            assert!(message.contains(expected) && message.contains("manifest.json"), "{to}: {message}");
        }
        std::fs::write(&part, &data()[1..]).unwrap();
        assert!(fault(MANIFEST).contains("end within tensor w"));
        std::fs::remove_file(&part).unwrap();
        assert!(fault(MANIFEST).contains("part.bin"));
    }
}
