//! Opening and writing files: whole or not at all, with errors that name the file, the fault and the remedy.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tempfile::TempPath;

use crate::error::{Action, root};
use crate::{Error, Result};

mod folder;

pub use folder::NewFolder;

/// Opens the file at `path` for reading and tells its size in bytes.
///
/// # Errors
/// When there is no such file, it is a folder, it may not be read, or it is empty.
pub fn open(path: impl AsRef<Path>) -> Result<(BufReader<File>, u64)> {
    let path = path.as_ref();
    // Before it is opened, since opening a pipe waits for somebody to write to it.
    let meta = fs::metadata(path).map_err(|e| read_error(path, e))?;
    if meta.is_dir() {
        return Err(Error::path(path, "is a folder: name a file"));
    }
    if !meta.is_file() {
        return Err(Error::path(path, "is not a regular file: copy its contents to one first"));
    }
    if meta.len() == 0 {
        return Err(Error::format(path, "is empty (0 bytes)"));
    }
    let file = File::open(path).map_err(|e| read_error(path, e))?;
    Ok((BufReader::with_capacity(1 << 16, file), meta.len()))
}

/// Writes the file at `path` whole or not at all.
///
/// `write` fills a temporary file in the same folder; it is then forced to the disk and renamed to `path`. A reader
/// sees the old file or the new one, never a part. When anything fails the temporary file is removed and an existing
/// file at `path` is left as it was. A link is followed; what is not a regular file (a pipe, `/dev/null`) is written
/// directly. What a write left in the folder that was killed on its way is [removed](discard_abandoned), once in a process.
///
/// # Errors
/// When the folder does not exist or may not be written, the file is write-protected, the disk is full, or `write`
/// itself fails. An error of another library that `write` wraps with [`io::Error::other`] keeps its cause.
///
/// # Example
/// ```
/// # use std::io::Write;
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("answer.txt");
/// kme::internal::io::write_atomically(&path, |w| writeln!(w, "42"))?;
/// assert_eq!(std::fs::read_to_string(&path).unwrap(), "42\n");
/// # Ok::<(), kme::Error>(())
/// ```
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let existing = fs::metadata(path).ok();
    if let Some(meta) = &existing {
        if meta.is_dir() {
            return Err(Error::path(path, "is a folder: name a file in it"));
        }
        if meta.permissions().readonly() {
            return Err(protected(path));
        }
        if !meta.is_file() {
            return write_directly(path, write).map_err(|e| write_error(path, e));
        }
    }
    // Replacing a link by a file would surprise; the file that it points to is meant.
    let target = if existing.is_some() { fs::canonicalize(path).unwrap_or(path.into()) } else { path.into() };
    replace(&target, existing, write).map_err(|e| write_error(path, e))
}

fn write_directly(path: &Path, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(File::options().write(true).open(path)?);
    write(&mut out)?;
    out.flush()
}

fn replace(
    target: &Path,
    existing: Option<fs::Metadata>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let folder = parent(target);
    sweep(folder);
    let (file, temporary) = temporary(folder)?;
    let _listed = Unfinished::list(&temporary);
    let mut out = BufWriter::with_capacity(1 << 16, file);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    if let Some(meta) = existing {
        file.set_permissions(meta.permissions())?;
    }
    file.sync_all()?;
    // Open, and so locked, until it has its name.
    temporary.persist(target).map_err(|e| e.error)?;
    drop(file);
    // The rename itself reaches the disk with the folder. Not every file system can do this; the data is safe anyway.
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
    Ok(())
}

const PREFIX: &str = ".kme-";
const SUFFIX: &str = ".unfinished";
/// Of folders that are being removed.
const GONE: &str = ".gone";

/// A temporary file in `folder` that is locked as long as it is open, so that nobody takes it for an abandoned one.
fn temporary(folder: &Path) -> io::Result<(File, TempPath)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    // Not as the library opens it: an output should be as readable as any other file the user makes, and an error says
    // nothing of a name that the user never gave.
    let create = |path: &Path| File::options().read(true).write(true).create_new(true).open(path);
    loop {
        let (file, temporary) = match builder.make_in(folder, create) {
            Ok(file) => file.into_parts(),
            // Folders such as /proc.
            Err(e) if e.kind() == ErrorKind::NotFound && folder.exists() => {
                return Err(io::Error::new(ErrorKind::PermissionDenied, "its folder takes no new files"));
            }
            Err(e) => return Err(e),
        };
        // Where a file system has no locks, nothing is ever taken for abandoned there.
        let is_locked = file.lock().is_ok();
        // Between its making and its locking somebody else may have removed it.
        if !is_locked || temporary.exists() {
            return Ok((file, temporary));
        }
    }
}

/// Removes from `folder` what writes left there that never ended, because their process was killed or the machine
/// stopped: temporary files and folders that no process holds.
pub fn discard_abandoned(folder: impl AsRef<Path>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        let Ok(kind) = entry.file_type() else { continue };
        let is_ours = |suffix: &str| name.ends_with(suffix.as_bytes());
        if !name.starts_with(PREFIX.as_bytes()) || !(is_ours(SUFFIX) || is_ours(GONE)) || kind.is_symlink() {
            continue;
        }
        // Folders are opened for reading alone.
        let Ok(held) = File::options().read(true).write(kind.is_file()).open(entry.path()) else { continue };
        if held.try_lock().is_ok() {
            let _ = if kind.is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
        }
    }
}

/// Looks a folder through for what is abandoned there, once in a process.
fn sweep(folder: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let is_new = SWEPT.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.into());
    if is_new {
        discard_abandoned(folder);
    }
}

static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes the temporary files of all writes under way: to be called before a process ends on a signal, when
/// destructors do not run. Those writes then fail; no file at its final name is touched. Whether there were any.
pub fn discard_unfinished() -> bool {
    let listed = unfinished();
    listed.iter().for_each(|path| discard(path));
    !listed.is_empty()
}

fn discard(path: &Path) {
    if fs::remove_file(path).is_ok() {
        return;
    }
    // Whoever writes into a folder goes on until the process ends, but under a name that is gone.
    let gone = path.with_extension(&GONE[1..]);
    if fs::rename(path, &gone).is_ok() {
        let _ = fs::remove_dir_all(gone);
    }
}

/// What is at the place of an output, as far as it is to be there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A file, in a folder that is there; an older file is replaced.
    File,
    /// A file, or something else that makes the folders above it where they are missing.
    FileAndFolders,
    /// A folder that is new or empty, in a folder that is there.
    Folder,
}

/// Whether an output can be written at `path`, as far as this can be told before there is anything to write: so that a long
/// computation does not end in an error that could have been foreseen. What is at `path` is not touched; in the nearest folder
/// that is there already, a file is made and removed.
///
/// # Errors
/// When there is a file in the place of a folder, or a folder that is not empty in the place of a new one, or a folder in the
/// place of a file; when a file is write-protected, or its name too long; when the folder does not exist, may not be written
/// to, or is full.
pub fn check(path: impl AsRef<Path>, wanted: Wanted) -> Result<()> {
    let path = path.as_ref();
    let is_folder = wanted == Wanted::Folder;
    if is_folder {
        // What a write left there that never ended is nobody's.
        sweep(path);
    }
    let folder = match fs::metadata(path) {
        Ok(meta) if is_folder && meta.is_dir() => match fs::read_dir(path).map_err(|e| write_error(path, e))?.next() {
            // Files of two runs would be one sample to whoever reads the folder.
            Some(_) => return Err(Error::path(path, "exists and is not empty; name a new folder")),
            None => path.to_path_buf(),
        },
        Ok(_) if is_folder => return Err(Error::path(path, "is a file: name a new folder")),
        Ok(meta) if meta.is_dir() => return Err(Error::path(path, "is a folder: name a file in it")),
        Ok(meta) if meta.permissions().readonly() => return Err(protected(path)),
        // Opening a pipe would wait for its reader.
        Ok(meta) if !meta.is_file() => return Ok(()),
        // The file that a link points to is written.
        Ok(_) => parent(&fs::canonicalize(path).unwrap_or(path.into())).to_path_buf(),
        Err(_) if is_folder && fs::symlink_metadata(path).is_ok() => {
            return Err(Error::path(path, "is a link to nothing: name a new folder"));
        }
        Err(e)
            if is_folder
                && e.kind() == ErrorKind::NotADirectory
                && path.as_os_str().as_encoded_bytes().ends_with(b"/") =>
        {
            return Err(Error::path(path, "is a file: name a new folder"));
        }
        Err(_) if wanted == Wanted::FileAndFolders => {
            let whole = std::path::absolute(path).map_err(|e| write_error(path, e))?;
            whole.ancestors().skip(1).find(|folder| folder.exists()).unwrap_or(Path::new(".")).to_path_buf()
        }
        Err(_) => parent(path).to_path_buf(),
    };
    if folder.exists() && !folder.is_dir() {
        return Err(write_error(path, ErrorKind::NotADirectory.into()));
    }
    let name = path.file_name().map_or(0, |name| name.len());
    if name > LONGEST {
        return Err(Error::path(path, format!("the name has {name} bytes: choose one of at most {LONGEST}")));
    }
    let try_it = || {
        let (mut file, _removed_when_dropped) = temporary(&folder)?;
        file.write_all(&[0; 4096])
    };
    try_it().map_err(|e| write_error(path, e))
}

/// The folder that something is in.
fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes of a file's name, on all usual file systems.
const LONGEST: usize = 255;

fn protected(path: &Path) -> Error {
    Error::path(path, "is write-protected: choose another name, or make it writable")
}

/// While this lives, its path is on the list of [`discard_unfinished`].
#[derive(Debug)]
struct Unfinished(PathBuf);

impl Unfinished {
    fn list(path: &Path) -> Self {
        unfinished().insert(path.into());
        Self(path.into())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        unfinished().remove(&self.0);
    }
}

/// The error for a failed read of `path`.
pub fn read_error(path: &Path, source: io::Error) -> Error {
    let remedy = match root(&source).kind() {
        ErrorKind::UnexpectedEof => Some("copy or download it again".into()),
        _ => None,
    };
    Error::Io { path: path.into(), action: Action::Read, remedy, source }
}

/// The error for a failed write of `path`.
pub fn write_error(path: &Path, source: io::Error) -> Error {
    let remedy = match root(&source).kind() {
        ErrorKind::NotFound if !parent(path).exists() => Some("create its folder, or choose another place".into()),
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            Some("choose another place".into())
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some space, or choose another place".into()),
        _ => None,
    };
    Error::Io { path: path.into(), action: Action::Write, remedy, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_whole_and_a_failed_write_leaves_the_old_one_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        write_atomically(&path, |w| w.write_all(b"first")).unwrap();
        write_atomically(&path, |w| w.write_all(b"second")).unwrap();
        let failed = write_atomically(&path, |w| {
            w.write_all(&[0; 1 << 20])?;
            Err(io::Error::other("the encoder gave up"))
        });
        assert!(failed.unwrap_err().to_string().contains("the encoder gave up"));
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn faults_name_the_file_the_cause_and_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| write_atomically(path, |w| w.write_all(b"x")).unwrap_err().to_string();
        assert!(message(&folder.path().join("no/such/out")).contains("create its folder"));
        assert!(message(folder.path()).contains("is a folder"));
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(message(&folder.path().join("file/out")).contains("is a file, not a folder"));
        let kept = folder.path().join("kept");
        fs::write(&kept, "old").unwrap();
        let mut permissions = fs::metadata(&kept).unwrap().permissions();
        permissions.set_readonly(true);
        fs::set_permissions(&kept, permissions).unwrap();
        assert!(message(&kept).contains("write-protected"));
        assert_eq!(fs::read(&kept).unwrap(), b"old");
        assert!(open(folder.path().join("file")).unwrap_err().to_string().contains("0 bytes"));
        let missing = open(folder.path().join("none")).unwrap_err();
        assert!(
            matches!(&missing, Error::Io { action: Action::Read, source, .. } if source.kind() == ErrorKind::NotFound)
        );
        assert!(missing.to_string().ends_with("none: there is no such file or folder"), "{missing}");
        assert!(open(folder.path()).unwrap_err().to_string().contains("is a folder"));
    }

    /// A killed process leaves its file without its lock; a write under way keeps it.
    #[test]
    fn abandoned_files_are_removed_and_those_under_way_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in [".kme-aaaaaa.unfinished", ".kme-b", "c.unfinished", ".kme-d.unfinished"] {
            fs::write(at(name), "part").unwrap();
        }
        let held = File::open(at(".kme-d.unfinished")).unwrap();
        held.lock().unwrap();
        fs::create_dir_all(at(".kme-e.unfinished/part")).unwrap();
        fs::write(at(".kme-e.unfinished/part/1.png"), "part").unwrap();
        let under_way = NewFolder::create(at("results")).unwrap();
        under_way.write("1.png", b"whole").unwrap();
        write_atomically(at("out"), |w| {
            discard_abandoned(folder.path());
            w.write_all(b"whole")
        })
        .unwrap();
        under_way.finish().unwrap();
        let mut left = names(folder.path());
        left.sort();
        assert_eq!(left, [".kme-b", ".kme-d.unfinished", "c.unfinished", "out", "results"]);
        assert_eq!(fs::read(at("results/1.png")).unwrap(), b"whole");
        assert_eq!(fs::read(at("out")).unwrap(), b"whole");
    }

    #[test]
    fn a_place_is_tried_before_there_is_something_to_write() {
        let folder = tempfile::tempdir().unwrap();
        check(folder.path().join("no/such/run"), Wanted::FileAndFolders).unwrap();
        assert!(names(folder.path()).is_empty());
        fs::write(folder.path().join("file"), "").unwrap();
        let message = |path: &Path| check(path, Wanted::FileAndFolders).unwrap_err().to_string();
        assert!(message(&folder.path().join("file/run")).contains("is a file, not a folder"));
        #[cfg(target_os = "linux")]
        assert!(message(Path::new("/proc/run")).contains("cannot write"));
    }

    #[test]
    fn what_cannot_be_written_is_told_before() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| check(path, Wanted::File).unwrap_err().to_string();
        assert!(message(folder.path()).contains("is a folder"));
        assert!(message(&folder.path().join("no/such/out")).contains("create its folder"));
        fs::write(folder.path().join("file"), "x").unwrap();
        assert!(message(&folder.path().join("file/out")).contains("is a file, not a folder"));
        assert!(message(&folder.path().join("x".repeat(300))).contains("300 bytes"));
        check(folder.path().join("file"), Wanted::File).unwrap();
        check(folder.path().join("new"), Wanted::File).unwrap();
        assert_eq!(names(folder.path()), ["file"]);
        assert_eq!(fs::read(folder.path().join("file")).unwrap(), b"x");
        if cfg!(target_os = "linux") {
            assert_eq!(
                message(Path::new("/proc/out.png")),
                "cannot write /proc/out.png: its folder takes no new files; choose another place"
            );
            check("/dev/null", Wanted::File).unwrap();
        }
    }

    #[test]
    fn a_wrapped_cause_is_still_told() {
        let full = io::Error::other(io::Error::other(io::Error::from(ErrorKind::StorageFull)));
        let error = write_error(Path::new("out"), full);
        assert!(error.to_string().ends_with("free some space, or choose another place"), "{error}");
    }

    #[test]
    fn what_else_is_not_found_is_not_blamed_on_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let lost = |_: &mut BufWriter<File>| Err(io::Error::new(ErrorKind::NotFound, "no such tensor"));
        let error = write_atomically(folder.path().join("out"), lost).unwrap_err().to_string();
        assert!(error.ends_with("out: no such tensor"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting_for_a_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (done, result) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(open(path).map(|_| ()).unwrap_err().to_string()));
        let error = result.recv_timeout(std::time::Duration::from_secs(10)).expect("opening a pipe waits");
        assert!(error.contains("not a regular file"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_and_devices_are_written_directly() {
        write_atomically("/dev/null", |w| w.write_all(b"x")).unwrap();
        let error = write_atomically("/dev/full", |w| w.write_all(b"x")).unwrap_err().to_string();
        assert!(error.starts_with("cannot write /dev/full: ") && error.contains("no space left"), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_permissions_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        write_atomically(&link, |w| w.write_all(b"new")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    }
}
