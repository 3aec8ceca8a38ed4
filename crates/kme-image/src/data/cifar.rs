//! CIFAR-10's binary version: records of one label byte and 3 × 32 × 32 samples, channel after channel.

use std::path::Path;

use kme::{Action, Error, Result};

use super::fingerprint::digest;
use super::raw::RawPictures;

const SIDE: usize = 32;
/// Bytes of one record.
pub(super) const RECORD: usize = 1 + 3 * SIDE * SIDE;
const CLASSES: u8 = 10;
/// More bytes than this are refused; a batch of the data set has 30,730,000.
const MAX_BYTES: u64 = 1 << 32;

/// The pictures and labels of one batch file, with the file's SHA-256.
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Format`] when its length is not a multiple of 3073, or a label is not
/// below 10.
pub(super) fn read(path: &Path) -> Result<(RawPictures, [u8; 32])> {
    let refused = |e| Error::io(path, Action::Read, e);
    let length = std::fs::metadata(path).map_err(refused)?.len();
    if length == 0 || length > MAX_BYTES || length % RECORD as u64 != 0 {
        let fault = format!("has {length} bytes, but CIFAR-10's binary version has {RECORD} for each picture");
        return Err(Error::format(path, fault));
    }
    let bytes = std::fs::read(path).map_err(refused)?;
    let records = bytes.chunks_exact(RECORD);
    if let Some((i, record)) = records.clone().enumerate().find(|(_, record)| record[0] >= CLASSES) {
        let fault = format!("has label {} in record {i}, but CIFAR-10 has labels 0 to {}", record[0], CLASSES - 1);
        return Err(Error::format(path, fault));
    }
    let raw = RawPictures {
        n: records.len(),
        c: 3,
        h: SIDE,
        w: SIDE,
        labels: Some(records.clone().map(|record| u32::from(record[0])).collect()),
        bytes: records.flat_map(|record| &record[1..]).copied().collect(),
    };
    Ok((raw, digest(&bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_label_then_planes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data_batch_1.bin");
        let record = |label: u8| std::iter::once(label).chain((0..3072).map(move |i| (i / 1024 * 100) as u8 + label));
        let bytes: Vec<u8> = record(3).chain(record(9)).collect();
        std::fs::write(&path, &bytes).unwrap();
        let (raw, sha256) = read(&path).unwrap();
        assert_eq!(((raw.n, raw.c, raw.h, raw.w), raw.labels.as_deref()), ((2, 3, 32, 32), Some(&[3, 9][..])));
        assert_eq!((raw.bytes[0], raw.bytes[1024], raw.bytes[3072 + 2048]), (3, 103, 209));
        assert_eq!(sha256, digest(&bytes));

        for end in [0, 1, RECORD - 1, RECORD + 1, 2 * RECORD - 1] {
            std::fs::write(&path, &bytes[..end]).unwrap();
            let text = read(&path).unwrap_err().to_string();
            assert!(text.contains("data_batch_1.bin") && text.contains("3073"), "{text}");
        }
        std::fs::write(&path, record(10).collect::<Vec<_>>()).unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("label 10 in record 0"));
    }
}
