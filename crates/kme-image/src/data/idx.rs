//! The idx format of MNIST and its relatives, plain or compressed by gzip.
//!
//! A file begins with two zero bytes, the sample type (08: unsigned bytes) and the number of dimensions, then one
//! big-endian 32-bit length per dimension, then the samples.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use kme::{Action, Error, Result};

use super::fingerprint::digest;

/// More sample bytes than this are refused.
const MAX_BYTES: u64 = 1 << 32;

/// A file of unsigned bytes: its dimensions, its samples, and the SHA-256 of the uncompressed file.
pub(super) struct Idx {
    pub(super) dims: Vec<usize>,
    pub(super) bytes: Vec<u8>,
    pub(super) sha256: [u8; 32],
}

/// Reads the idx file at `path` that must have `rank` dimensions (3 for pictures, 1 for labels).
///
/// # Errors
/// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it is not an idx file, has another sample type or rank, or
/// its length is not the one that its header announces. No more memory is taken than the file has bytes to fill it.
pub(super) fn read(path: &Path, rank: u8) -> Result<Idx> {
    let refused = |e| Error::io(path, Action::Read, e);
    let file = File::open(path).map_err(refused)?;
    let length = file.metadata().map_err(refused)?.len();
    let mut start = [0; 2];
    let mut reader = BufReader::new(file);
    let compressed = {
        use std::io::BufRead;
        let head = reader.fill_buf().map_err(refused)?;
        let seen = head.len().min(2);
        start[..seen].copy_from_slice(&head[..seen]);
        start == [0x1f, 0x8b]
    };
    if compressed {
        parse(&mut MultiGzDecoder::new(reader), rank, None, path)
    } else {
        parse(&mut reader, rank, Some(length), path)
    }
}

/// Reads from `reader` to its end; `length` is the number of bytes where it is known beforehand, `path` is for messages.
fn parse(reader: &mut impl Read, rank: u8, length: Option<u64>, path: &Path) -> Result<Idx> {
    let fault = |problem: String| Error::format(path, problem);
    let damaged = |e: std::io::Error| Error::unreadable(path, "is not an idx file, or is cut off", e);
    let mut header = vec![0; 4];
    reader.read_exact(&mut header).map_err(damaged)?;
    let kind = match rank {
        1 => "labels",
        _ => "pictures",
    };
    match header[..] {
        [0, 0, 8, r] if r == rank => {}
        [0, 0, 8, r] => return Err(fault(format!("is an idx file of {r} dimensions; {kind} have {rank}"))),
        [0, 0, t, _] => {
            return Err(fault(format!("is an idx file of sample type {t:#04x}; only unsigned bytes (0x08) are read")));
        }
        _ => {
            let problem =
                format!("is not an idx file: it begins with {header:02x?} instead of [00, 00, 08, {rank:02x}]");
            return Err(fault(problem));
        }
    }
    header.resize(4 + 4 * usize::from(rank), 0);
    reader.read_exact(&mut header[4..]).map_err(damaged)?;
    let dims: Vec<usize> =
        header[4..].chunks_exact(4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize).collect();
    let expected = dims.iter().try_fold(1_u64, |product, &d| product.checked_mul(d as u64));
    let Some(expected) = expected.filter(|e| (1..=MAX_BYTES).contains(e)) else {
        return Err(fault(format!("has a header that announces {dims:?} samples; 1 to {MAX_BYTES} are read")));
    };
    let head = header.len() as u64;
    let mismatch =
        |found: &str| fault(format!("has a header that announces {dims:?} = {expected} samples, but holds {found}"));
    if let Some(length) = length.filter(|length| *length != head + expected) {
        return Err(mismatch(&length.saturating_sub(head).to_string()));
    }
    // One byte more than expected is asked for, to meet the end of the file and, behind it, gzip's checksum. The
    // header alone, which may lie, never decides how much memory is taken.
    let mut file = header;
    reader.take(expected + 1).read_to_end(&mut file).map_err(damaged)?;
    let found = file.len() as u64 - head;
    if found != expected {
        let found = if found > expected { "more than that" } else { &found.to_string() };
        return Err(mismatch(found));
    }
    let sha256 = digest(&file);
    Ok(Idx { dims, bytes: file.split_off(head as usize), sha256 })
}

/// The file of labels that belongs to the file of pictures at `path`, if it is there: `images` in its name replaced by
/// `labels` and `idx3` by `idx1`, with or without `.gz`.
pub(super) fn labels_beside(path: &Path) -> Option<PathBuf> {
    let name = path.file_name()?.to_str()?;
    let labels = name.replace("images", "labels").replace("idx3", "idx1");
    if labels == name {
        return None;
    }
    let plain = labels.strip_suffix(".gz").unwrap_or(&labels);
    [labels.clone(), plain.to_owned(), format!("{plain}.gz")]
        .iter()
        .map(|name| path.with_file_name(name))
        .find(|candidate| candidate.is_file())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(dims: &[u32], samples: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, dims.len() as u8];
        dims.iter().for_each(|d| bytes.extend(d.to_be_bytes()));
        bytes.extend(samples);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_bytes(bytes: &[u8], rank: u8) -> Result<Idx> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("some-idx-file");
        std::fs::write(&path, bytes).unwrap();
        read(&path, rank)
    }

    fn fault(bytes: &[u8]) -> String {
        read_bytes(bytes, 3).err().unwrap().to_string()
    }

    #[test]
    fn plain_and_compressed_files_are_the_same() {
        let bytes = file(&[2, 3, 4], &(0..24).collect::<Vec<u8>>());
        let (plain, packed) = (read_bytes(&bytes, 3).unwrap(), read_bytes(&gz(&bytes), 3).unwrap());
        for idx in [&plain, &packed] {
            assert_eq!((&idx.dims[..], &idx.bytes[..]), (&[2, 3, 4][..], &(0..24).collect::<Vec<u8>>()[..]));
            assert_eq!(idx.sha256, digest(&bytes));
        }
        assert_eq!(read_bytes(&file(&[3], &[7, 8, 9]), 1).unwrap().bytes, [7, 8, 9]);
    }

    #[test]
    fn every_prefix_is_an_error_that_names_the_file() {
        let bytes = file(&[2, 3, 4], &[1; 24]);
        for whole in [bytes.clone(), gz(&bytes)] {
            for end in 0..whole.len() {
                assert!(fault(&whole[..end]).contains("some-idx-file: "), "cut at {end}");
            }
        }
    }

    #[test]
    fn headers_that_lie_take_no_memory() {
        assert!(fault(&file(&[u32::MAX, u32::MAX, u32::MAX], &[])).contains("are read"));
        assert!(fault(&file(&[60_000, 28, 28], &[0; 100])).contains("47040000 samples, but holds 100"));
        assert!(fault(&gz(&file(&[4096, 1024, 1024], &[0; 100]))).contains("but holds 100"));
        assert!(fault(&gz(&file(&[1, 2, 2], &[0; 5]))).contains("more than that"));
        assert!(fault(&file(&[0, 28, 28], &[])).contains("are read"));
    }

    #[test]
    fn other_types_and_ranks_are_named() {
        assert!(fault(&file(&[3], &[1, 2, 3])).contains("1 dimensions; pictures have 3"));
        let mut floats = file(&[1, 1, 1], &[0; 4]);
        floats[2] = 0x0d;
        assert!(fault(&floats).contains("sample type 0x0d"));
        assert!(fault(b"hello world, this is text").contains("not an idx file"));
        let mut damaged = gz(&file(&[2, 3, 4], &[9; 24]));
        let checksum = damaged.len() - 6;
        damaged[checksum] ^= 1;
        assert!(read_bytes(&damaged, 3).is_err());
    }

    #[test]
    fn labels_are_found_beside_the_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert_eq!(labels_beside(&at("t10k-images-idx3-ubyte.gz")), None);
        std::fs::write(at("t10k-labels-idx1-ubyte"), []).unwrap();
        let found = labels_beside(&at("t10k-images-idx3-ubyte.gz"));
        assert_eq!(found, Some(at("t10k-labels-idx1-ubyte")));
        std::fs::write(at("train-labels.idx1-ubyte.gz"), []).unwrap();
        assert_eq!(labels_beside(&at("train-images.idx3-ubyte")), Some(at("train-labels.idx1-ubyte.gz")));
        assert_eq!(labels_beside(&at("digits.idx")), None);
    }
}
