//! Sources of pictures and data sets.
//!
//! A [`Source`] is parsed from text: a folder, an archive, a picture, an idx or CIFAR-10 file, or a data set's name.
//! It is read whole into a [`Dataset`], or batch by batch in bounded memory ([`Source::batches`]). Pixels are in
//! [0, 1]. The order of pictures never depends on the file system, and a [fingerprint](Dataset::fingerprint) says
//! whether two runs saw the same files.
//!
//! Nothing is ever downloaded; [`info`] says where a data set is to be had and where it is looked for.

mod archive;
mod array;
mod batches;
mod cifar;
mod classes;
mod dataset;
mod encoded;
mod fingerprint;
mod folder;
mod form;
mod idx;
mod names;
mod places;
mod raw;
mod source;
mod survey;
mod toys;

pub use batches::{Batch, Batches, Passed, Skipped};
pub use classes::NoClasses;
pub use classes::is_part;
pub use dataset::Dataset;
pub use dataset::too_large;
pub use fingerprint::hex;
pub use form::Form;
pub use names::{Info, Split, info, is_known, list};
pub use places::{Places, user_cache_folder, user_data_folder};
pub use source::Source;
pub use survey::Survey;
pub use survey::{Bad, Digest, Watch};
pub use toys::Toy;
pub use toys::toys;

use std::io::{Read, Seek};
use std::path::Path;

use crate::image::kind;

/// Where bytes are that are read at their places.
trait Bytes: Read + Seek + Send {}

impl<T: Read + Seek + Send> Bytes for T {}

/// Picture files of more bytes than this (512 MiB) are refused.
const MAX_FILE_BYTES: u64 = 1 << 29;

/// Whether a file that is not [rubbish](is_rubbish) counts as a picture: by its name, or else by its first bytes. One that then
/// cannot be read is an error that names it, rather than a picture that is silently missing.
fn is_picture(name: &Path, head: &[u8]) -> bool {
    kind::has_picture_name(name) || kind::is_picture(head)
}

/// Whether a file is what systems leave beside pictures: names that begin with a dot, and folders of thumbnails.
fn is_rubbish(name: &Path) -> bool {
    name.iter().any(|part| {
        let part = part.as_encoded_bytes();
        part.starts_with(b".") || part == b"__MACOSX" || part == b"@eaDir" || part.starts_with(b"SYNOPHOTO_THUMB")
    })
}

/// The first bytes of a file, from which its kind is told.
fn head(file: impl Read) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(kind::HEAD as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// `most` of `n` indices (all, if there are fewer), evenly from all: folders are in the order of their classes.
pub fn evenly(n: usize, most: usize) -> Vec<usize> {
    let count = n.min(most);
    (0..count).map(|i| i * n / count).collect()
}

/// A name without what would break a line: names of files may hold anything but `/` and zero.
pub fn in_one_line(name: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    name.chars().map(escaped).collect()
}

#[cfg(test)]
mod tests;
