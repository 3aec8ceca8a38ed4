//! Features that were computed before, in files.
//!
//! What a network makes of pictures depends on the pictures' bytes, the form they are brought to, the network and the
//! machine's arithmetic. A file is named by the SHA-256 of all of these ([`Key`]), so that it never has to be brought up to
//! date. It is a safetensors file whose metadata say what it holds; a damaged one is never believed. Its header
//! is read here, not with `kme`'s container: numbers pass by in blocks, so that they are hashed and held once.

use kme::internal::io;
use kme::{Action, Data, Error, FeatureIdentity, Points, Result};
use kme_image::{Skipped, hex, user_cache_folder};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The entry of a file's metadata under which its [`Label`] stands.
const KEY: &str = "kme features";

/// Version of the files' layout and of how pictures are read, part of every key. Features of version 1 are of pictures that
/// were rounded to 8 bits once more after resizing, and of JPEG files whose pixels were up to 5 levels off; those of version 2 of
/// progressive JPEG files whose missing scans were not made up for.
const FORMAT: u32 = 3;

/// Numbers that are read or written at one time.
const BLOCK: usize = 1 << 14;

/// A folder of features. The ones used last are kept, up to [`FeatureCache::LIMIT`] bytes.
#[derive(Clone, Debug)]
pub struct FeatureCache {
    folder: PathBuf,
    limit: u64,
}

/// The name of features: SHA-256 of all that they depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of the features of what `origin` names (a content hash, not a path), brought to `form` and mapped by
    /// `features` on `device`.
    ///
    /// The version of this program and the vector instructions in use go in as well: another version may compute
    /// otherwise, and other instructions round otherwise.
    pub fn new(origin: &str, form: &str, features: &FeatureIdentity, device: &str) -> Self {
        let mut hash = Sha256::new_with_prefix(b"kme features\0");
        let format = FORMAT.to_string();
        let weights = features.sha256.as_deref().unwrap_or_default();
        let isa = kme_conv::Isa::chosen().name();
        let parts = [
            &format,
            env!("CARGO_PKG_VERSION"),
            isa,
            origin,
            form,
            &features.name,
            &features.protocol,
            weights,
            device,
        ];
        for part in parts {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hex(&hash.finalize()))
    }
}

/// Features with what a result records of where they come from.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Features (n, d), in single precision.
    pub points: Points,
    /// Fingerprint of the pictures, where they are all of a source.
    pub fingerprint: Option<String>,
    /// Pictures that were left out.
    pub skipped: Vec<Skipped>,
}

/// The metadata of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    format: u32,
    key: String,
    /// SHA-256 of this label without it, and of the bytes of all numbers.
    sha256: String,
    features: FeatureIdentity,
    fingerprint: Option<String>,
    skipped: Vec<Skipped>,
}

impl Label {
    /// The beginning of the checksum.
    fn hash(&self) -> serde_json::Result<Sha256> {
        Ok(Sha256::new_with_prefix(serde_json::to_vec(self)?))
    }
}

impl FeatureCache {
    /// Bytes beyond which the files that were used longest ago are removed: 4 GiB, half a million vectors of 2048 numbers.
    pub const LIMIT: u64 = 4 << 30;

    /// The cache in `folder`, which is made when something is put there.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, limit: Self::LIMIT }
    }

    /// The cache in the user's own folder of such files; none when the environment names no home.
    pub fn of_user() -> Option<Self> {
        user_cache_folder().map(|folder| Self::new(folder.join("features")))
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that the features of `key` have or would have.
    pub fn path(&self, key: &Key) -> PathBuf {
        self.folder.join(format!("{}.safetensors", key.0))
    }

    /// Makes the folder unless it is there.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be made or listed.
    pub fn prepare(&self) -> Result<()> {
        let made = fs::create_dir_all(&self.folder).and_then(|()| fs::read_dir(&self.folder).map(drop));
        made.map_err(|e| Error::io(&self.folder, Action::Write, e))
    }

    /// The features of `key`; none when they are not there.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be read; [`Error::Format`] when it is not what was once written.
    pub fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let path = self.path(key);
        if !path.exists() {
            return Ok(None);
        }
        let entry = read(&path, key)?;
        // Remembers the use. Where that is not allowed, the file only counts as older.
        let _ = fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        Ok(Some(entry))
    }

    /// Keeps features that were computed by `features`, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when they are in double precision; [`Error::Io`] when the file cannot be written.
    pub fn write(&self, key: &Key, features: &FeatureIdentity, entry: &Entry) -> Result<()> {
        self.prepare()?;
        let Data::F32(numbers) = entry.points.data() else {
            return Err(Error::unsupported("keep features in double precision", "the cache holds single precision"));
        };
        let mut label = Label {
            format: FORMAT,
            key: key.0.clone(),
            sha256: String::new(),
            features: features.clone(),
            fingerprint: entry.fingerprint.clone(),
            skipped: entry.skipped.clone(),
        };
        let mut hash = label.hash().map_err(|e| Error::unreadable(self.path(key), "cannot be labelled", e))?;
        for block in numbers.chunks(BLOCK) {
            hash.update(little_endian(block));
        }
        label.sha256 = hex(&hash.finalize());
        io::write_atomically(self.path(key), |out| {
            let shape = vec![entry.points.len(), entry.points.dim()];
            let info = TensorInfo { dtype: Dtype::F32, shape, data_offsets: (0, 4 * numbers.len()) };
            let metadata = HashMap::from([(KEY.to_string(), serde_json::to_string(&label)?)]);
            let header = Metadata::new(Some(metadata), vec![("features".into(), info)]);
            let mut header = serde_json::to_vec(&header.map_err(std::io::Error::other)?)?;
            header.resize(header.len().next_multiple_of(8), b' ');
            out.write_all(&(header.len() as u64).to_le_bytes())?;
            out.write_all(&header)?;
            numbers.chunks(BLOCK).try_for_each(|block| out.write_all(&little_endian(block)))
        })?;
        self.shrink(&self.path(key))
    }

    /// Number of files and their bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the folder is there and cannot be read.
    pub fn size(&self) -> Result<(usize, u64)> {
        let files = self.files()?;
        Ok((files.len(), files.iter().map(|file| file.bytes).sum()))
    }

    /// Removes all features; other files in the folder are left alone. Gives the number of files and bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be removed.
    pub fn clear(&self) -> Result<(usize, u64)> {
        let files = self.files()?;
        for file in &files {
            fs::remove_file(&file.path).map_err(|e| Error::io(&file.path, Action::Remove, e))?;
        }
        Ok((files.len(), files.iter().map(|file| file.bytes).sum()))
    }

    /// Removes the files that were used longest ago, but not `newest`, until the limit is kept.
    fn shrink(&self, newest: &Path) -> Result<()> {
        let mut files = self.files()?;
        let mut total: u64 = files.iter().map(|file| file.bytes).sum();
        files.sort_by_key(|file| file.used);
        for file in files.iter().filter(|file| file.path != newest) {
            if total <= self.limit {
                break;
            }
            // Another process may have removed it.
            let _ = fs::remove_file(&file.path);
            total -= file.bytes;
        }
        Ok(())
    }

    /// The files of features in the folder.
    fn files(&self) -> Result<Vec<Kept>> {
        if !self.folder.exists() {
            return Ok(Vec::new());
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(|e| io::read_error(&self.folder, e))? {
            let Ok(entry) = entry else { continue };
            let path = entry.path();
            let is_key = |stem: &str| stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit());
            let is_ours = path.extension().is_some_and(|e| e == "safetensors")
                && path.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_key);
            if let (true, Ok(meta)) = (is_ours, entry.metadata()) {
                let used = meta.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                files.push(Kept { path, bytes: meta.len(), used });
            }
        }
        Ok(files)
    }
}

/// A file in the folder.
struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

fn little_endian(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Reads a file and checks that it is what was written for `key`. Only its numbers are held in memory.
fn read(path: &Path, key: &Key) -> Result<Entry> {
    const DAMAGED: &str = "is a truncated or damaged file of features";
    let damaged = |what: &str| Error::format(path, format!("{DAMAGED}: {what}"));
    let (mut file, size) = io::open(path)?;
    let mut fill = |bytes: &mut [u8]| file.read_exact(bytes).map_err(|e| io::read_error(path, e));
    let mut length = [0; 8];
    fill(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > size.saturating_sub(8) {
        return Err(damaged("its header is longer than the file"));
    }
    let mut header = vec![0; length as usize];
    fill(&mut header)?;
    let header: Metadata = serde_json::from_slice(&header).map_err(|_| damaged("its header is not understood"))?;
    let label = header.metadata().as_ref().and_then(|m| m.get(KEY)).ok_or_else(|| damaged("it has no label"))?;
    let mut label: Label = serde_json::from_str(label).map_err(|_| damaged("its label is not understood"))?;
    let sha256 = std::mem::take(&mut label.sha256);
    let info = header.info("features").ok_or_else(|| damaged("it has no features"))?;
    let (&[n, d], Dtype::F32) = (&info.shape[..], info.dtype) else {
        return Err(damaged("its features are not n vectors of single precision"));
    };
    if label.key != key.0 {
        return Err(damaged("it belongs to other pictures or features"));
    }
    if header.data_len() as u64 != size - 8 - length || info.data_offsets != (0, header.data_len()) {
        return Err(damaged("its length is wrong"));
    }
    let mut hash = label.hash().map_err(|e| Error::unreadable(path, DAMAGED, e))?;
    let mut numbers = Vec::with_capacity(n * d);
    let mut block = vec![0; 4 * BLOCK];
    while numbers.len() < n * d {
        let bytes = &mut block[..4 * BLOCK.min(n * d - numbers.len())];
        fill(bytes)?;
        hash.update(&*bytes);
        numbers.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)));
    }
    if hex(&hash.finalize()) != sha256 {
        return Err(damaged("its checksum is wrong"));
    }
    let points = Points::new(n, d, Data::F32(numbers)).map_err(|e| Error::unreadable(path, DAMAGED, e))?;
    Ok(Entry { points, fingerprint: label.fingerprint, skipped: label.skipped })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> FeatureIdentity {
        FeatureIdentity {
            name: "net/layer3".into(),
            protocol: "3x8x8, torch-bilinear".into(),
            sha256: Some("ab".into()),
        }
    }

    fn entry(n: usize, d: usize) -> Entry {
        let numbers = (0..n * d).map(|i| (i as f32).sin()).collect();
        Entry {
            points: Points::new(n, d, Data::F32(numbers)).unwrap(),
            fingerprint: Some("cd".into()),
            skipped: vec![Skipped { name: "a/1.png".into(), fault: "cut off".into() }],
        }
    }

    #[test]
    fn every_part_changes_the_key() {
        let base = || Key::new("origin", "form", &identity(), "cpu");
        let others = [
            Key::new("origin2", "form", &identity(), "cpu"),
            Key::new("origin", "form2", &identity(), "cpu"),
            Key::new("origin", "form", &identity(), "gpu"),
            Key::new("originf", "orm", &identity(), "cpu"),
            Key::new("origin", "form", &FeatureIdentity { name: "net/layer4".into(), ..identity() }, "cpu"),
            Key::new("origin", "form", &FeatureIdentity { protocol: "3x8x8".into(), ..identity() }, "cpu"),
            Key::new("origin", "form", &FeatureIdentity { sha256: Some("ac".into()), ..identity() }, "cpu"),
            Key::new("origin", "form", &FeatureIdentity { sha256: None, ..identity() }, "cpu"),
        ];
        assert_eq!(base(), base());
        for (i, other) in others.iter().enumerate() {
            assert!(*other != base() && !others[..i].contains(other), "{i}");
        }
    }

    #[test]
    fn what_is_kept_is_found_again_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = FeatureCache::new(folder.path().join("made/on/demand"));
        let (key, other) = (Key::new("a", "", &identity(), "cpu"), Key::new("b", "", &identity(), "cpu"));
        assert_eq!(cache.read(&key).unwrap(), None);
        assert_eq!(cache.size().unwrap(), (0, 0));
        let kept = entry(3, 5);
        cache.write(&key, &identity(), &kept).unwrap();
        assert_eq!(cache.read(&key).unwrap(), Some(kept.clone()));
        assert_eq!(cache.read(&other).unwrap(), None);
        // Another program reads the numbers.
        assert_eq!(Points::read(cache.path(&key)).unwrap(), kept.points);

        let whole = fs::read(cache.path(&key)).unwrap();
        for length in 0..whole.len() {
            fs::write(cache.path(&key), &whole[..length]).unwrap();
            assert!(cache.read(&key).is_err(), "{length} bytes");
        }
        for i in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[i] ^= 0x04;
            fs::write(cache.path(&key), bytes).unwrap();
            // What does not matter, such as the blanks between the parts of the header, may change.
            if let Ok(found) = cache.read(&key) {
                assert_eq!(found.unwrap(), kept, "byte {i}");
            }
        }
        fs::write(cache.path(&other), &whole).unwrap();
        let fault = cache.read(&other).unwrap_err().to_string();
        assert!(fault.contains("belongs to other pictures"), "{fault}");
        cache.write(&other, &identity(), &kept).unwrap();
        assert_eq!(cache.read(&other).unwrap(), Some(kept));
    }

    #[test]
    fn the_ones_used_longest_ago_go_first_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = FeatureCache::new(folder.path().into());
        let keys: Vec<Key> = (0..4).map(|i| Key::new(&i.to_string(), "", &identity(), "cpu")).collect();
        fs::write(folder.path().join("notes.safetensors"), "mine").unwrap();
        let age = |i: usize, seconds: u64| {
            let file = fs::File::options().append(true).open(cache.path(&keys[i])).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)).unwrap();
        };
        for (i, key) in keys[..3].iter().enumerate() {
            cache.write(key, &identity(), &entry(10, 10)).unwrap();
            age(i, 1000 + i as u64);
        }
        // Used now, so younger than the others.
        cache.read(&keys[0]).unwrap();
        let (count, bytes) = cache.size().unwrap();
        assert_eq!(count, 3);
        cache.limit = bytes;
        cache.write(&keys[3], &identity(), &entry(10, 10)).unwrap();
        let there: Vec<bool> = keys.iter().map(|key| cache.path(key).exists()).collect();
        assert_eq!(there, [true, false, true, true]);
        // One that is larger than the limit is kept alone.
        cache.limit = 10;
        cache.write(&keys[1], &identity(), &entry(10, 10)).unwrap();
        assert_eq!(cache.size().unwrap().0, 1);
        assert_eq!(cache.clear().unwrap().0, 1);
        assert!(folder.path().join("notes.safetensors").exists());
    }
}
