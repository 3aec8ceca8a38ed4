//! Folders of many files, written whole or not at all.

use super::{Unfinished, Wanted, parent, write_error};
use crate::Result;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder of results that appears with all its files, or not at all; where an empty folder is there already, which may be
/// a link or another disk, its files come one after the other once all are written.
///
/// Files go to an unfinished folder: beside the new one, or inside the one that is there. [`finish`](Self::finish) forces them to the disk, all together, and puts them in their place. While each
/// file that is forced by itself costs some milliseconds, this costs about what the data do. When it is dropped before, or
/// anything fails, what was written is removed.
///
/// # Example
/// ```
/// # let place = tempfile::tempdir().unwrap();
/// # let path = place.path().join("results");
/// let folder = kme::internal::io::NewFolder::create(&path)?;
/// folder.write("a/1.txt", b"one")?;
/// assert!(!path.exists());
/// folder.finish()?;
/// assert_eq!(std::fs::read(path.join("a/1.txt")).unwrap(), b"one");
/// # Ok::<(), kme::Error>(())
/// ```
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    unfinished: TempDir,
    /// Whether the folder was there, and empty.
    existed: bool,
    _listed: Unfinished,
    /// The unfinished folder, locked, so that nobody takes it for an abandoned one. Where a file system has no locks, nothing
    /// is ever taken for abandoned.
    _lock: Option<File>,
}

impl NewFolder {
    /// Begins the folder at `path`, which does not exist or is empty.
    ///
    /// # Errors
    /// When there is something else at `path`, or a folder cannot be made there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        super::check(path, Wanted::Folder)?;
        let existed = path.is_dir();
        let place = if existed { path } else { parent(path) };
        let mut builder = tempfile::Builder::new();
        builder.prefix(super::PREFIX).suffix(super::SUFFIX);
        #[cfg(unix)]
        {
            // The library's own choice is 0700; an output should be as readable as any other folder the user makes.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o777));
        }
        if !existed {
            super::sweep(place);
        }
        let (unfinished, lock) = loop {
            let unfinished = builder.tempdir_in(place).map_err(|e| write_error(path, e))?;
            let lock = File::open(unfinished.path()).ok().filter(|folder| folder.lock().is_ok());
            // Between its making and its locking somebody else may have removed it.
            if lock.is_none() || unfinished.path().exists() {
                break (unfinished, lock);
            }
        };
        let listed = Unfinished::list(unfinished.path());
        Ok(Self { path: path.into(), unfinished, existed, _listed: listed, _lock: lock })
    }

    /// Writes a file of this name; folders in the name are made.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        let file = self.unfinished.path().join(name);
        let write = || {
            // Step by step, since the unfinished folder itself is not made again where a signal has removed it.
            let mut folder = self.unfinished.path().to_path_buf();
            for part in name.parent().into_iter().flat_map(Path::components) {
                folder.push(part);
                match fs::create_dir(&folder) {
                    Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
                    _ => {}
                }
            }
            File::create_new(&file)?.write_all(bytes)
        };
        write().map_err(|e| write_error(&self.path.join(name), e))
    }

    /// Puts the files in their place.
    ///
    /// # Errors
    /// When the disk does not take them, or something has come to the place meanwhile.
    pub fn finish(self) -> Result<()> {
        let from = self.unfinished.path();
        let place = || -> io::Result<()> {
            sync(from)?;
            if !self.existed {
                // An empty folder that came meanwhile may be replaced, nothing else is.
                return fs::rename(from, &self.path);
            }
            for entry in fs::read_dir(from)? {
                let entry = entry?;
                fs::rename(entry.path(), self.path.join(entry.file_name()))?;
            }
            Ok(())
        };
        place().map_err(|e| write_error(&self.path, e))?;
        if let Ok(folder) = File::open(parent(&self.path)) {
            // The renaming itself. Not every file system can do this; the files are safe anyway.
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

/// Forces everything in a folder to the disk.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn sync(folder: &Path) -> io::Result<()> {
    // All files of the file system at once, since one after the other each waits for the disk.
    rustix::fs::syncfs(File::open(folder)?).map_err(io::Error::from)
}

/// Forces everything in a folder to the disk.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn sync(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => sync(&entry.path())?,
            false => File::options().write(true).open(entry.path())?.sync_all()?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("results");
        let folder = NewFolder::create(&path).unwrap();
        folder.write("1.txt", b"one").unwrap();
        folder.write("class/2.txt", b"two").unwrap();
        assert!(folder.write("1.txt", b"again").unwrap_err().to_string().contains("1.txt"));
        assert!(!path.exists());
        folder.finish().unwrap();
        assert_eq!((names(place.path()), names(&path)), (vec!["results".into()], vec!["1.txt".into(), "class".into()]));
        // What is given up leaves nothing.
        let other = NewFolder::create(place.path().join("other")).unwrap();
        other.write("1.txt", b"one").unwrap();
        drop(other);
        assert_eq!(names(place.path()), ["results"]);
        let message = |path: &Path| NewFolder::create(path).unwrap_err().to_string();
        assert!(message(&path).contains("exists and is not empty"));
        assert!(message(&path.join("1.txt")).contains("is a file"));
        assert!(message(&place.path().join("no/such")).contains("create its folder"));
    }

    #[test]
    fn what_a_killed_write_left_behind_is_not_in_the_way() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("results");
        fs::create_dir_all(path.join(".kme-abc.unfinished/class")).unwrap();
        fs::create_dir_all(path.join(".kme-abc.gone")).unwrap();
        super::super::check(&path, Wanted::Folder).unwrap();
        assert_eq!(names(&path), [""; 0]);
        fs::create_dir(path.join(".kme")).unwrap();
        assert!(super::super::check(&path, Wanted::Folder).unwrap_err().to_string().contains("not empty"));
    }

    #[cfg(unix)]
    #[test]
    fn an_empty_folder_is_filled_where_it_is() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let place = tempfile::tempdir().unwrap();
        let (real, link) = (place.path().join("real"), place.path().join("link"));
        fs::create_dir(&real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let before = fs::metadata(&real).unwrap();
        let folder = NewFolder::create(&link).unwrap();
        folder.write("1.txt", b"one").unwrap();
        folder.finish().unwrap();
        assert_eq!(names(&real), ["1.txt"]);
        let after = fs::metadata(&real).unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // A link to nothing is no place for a folder.
        std::os::unix::fs::symlink(place.path().join("gone"), place.path().join("dangling")).unwrap();
        assert!(NewFolder::create(place.path().join("dangling")).is_err());
    }

    #[test]
    fn a_signal_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let folder = NewFolder::create(place.path().join("results")).unwrap();
        folder.write("a/1.txt", b"one").unwrap();
        // As before the end of a process; other tests write at the same time, so only this one's is removed here.
        super::super::discard(folder.unfinished.path());
        assert_eq!(names(place.path()), Vec::<String>::new());
    }
}
