//! A name for the content of a data set: SHA-256 over names and contents.

use sha2::{Digest, Sha256};

/// SHA-256 over a sequence of (name, content): for each file the length of its name (64 bits, little endian), the name
/// and the SHA-256 of its content.
///
/// The same files give the same fingerprint from a folder or an archive, in whatever batches they are read.
#[derive(Clone)]
pub(super) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(super) fn new() -> Self {
        Self(Sha256::new_with_prefix(b"kme data 1\0"))
    }

    pub(super) fn add(&mut self, name: &str, content: &[u8; 32]) {
        self.0.update((name.len() as u64).to_le_bytes());
        self.0.update(name.as_bytes());
        self.0.update(content);
    }

    pub(super) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

/// SHA-256 of `bytes`.
pub(super) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_contents_both_count() {
        let of = |files: &[(&str, &[u8])]| {
            let mut all = Fingerprint::new();
            files.iter().for_each(|(name, content)| all.add(name, &digest(content)));
            all.finish()
        };
        let one = of(&[("a", b"1"), ("b", b"2")]);
        assert_eq!(one.len(), 64);
        assert_eq!(one, of(&[("a", b"1"), ("b", b"2")]));
        for other in [of(&[("b", b"2"), ("a", b"1")]), of(&[("a", b"1"), ("c", b"2")]), of(&[("a", b"1"), ("b", b"3")])]
        {
            assert_ne!(one, other);
        }
        // FIPS 180-4's first example.
        assert_eq!(hex(&digest(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
