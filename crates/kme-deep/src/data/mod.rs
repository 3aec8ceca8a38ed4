//! Sources of pictures and data sets.
//!
//! A [`Source`] is parsed from text: a folder, a zip or tar archive, a picture, an idx or CIFAR-10 file, or a data set's name.
//! It is read whole into a [`Dataset`], or batch by batch in bounded memory ([`Source::batches`]). Pixels are in
//! [0, 1]. The order of pictures never depends on the file system, and a [fingerprint](Dataset::fingerprint) says
//! whether two runs saw the same files.
//!
//! Nothing is ever downloaded; [`info`] says where a data set is to be had and where it is looked for.

mod archive;
mod batches;
mod cifar;
mod dataset;
mod fingerprint;
mod folder;
mod idx;
mod names;
mod places;
mod raw;
mod source;
mod toys;

pub use batches::{Batch, Batches, Form, Skipped};
pub use dataset::Dataset;
pub use fingerprint::hex;
pub use names::{Info, Split, info, list};
pub use places::{Places, user_cache_folder, user_data_folder};
pub use source::Source;
pub(crate) use toys::Toy;
pub use toys::toys;

use std::path::Path;

/// Picture files of more bytes than this (512 MiB) are refused.
const MAX_FILE_BYTES: u64 = 1 << 29;

/// Whether a file's name ends like that of a picture that is read.
fn is_picture_name(path: &Path) -> bool {
    const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "bmp", "gif", "webp"];
    path.extension().is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)))
}

#[cfg(test)]
mod tests;
