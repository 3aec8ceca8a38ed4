//! Folders of pictures.

use std::fs;
use std::path::{Path, PathBuf};

use kme::{Action, Error, Result};

use super::archive;
use super::{head, is_picture, is_rubbish};
use crate::image::kind;

/// The picture files below a folder: their paths relative to it, sorted by the bytes of the path with `/` between its
/// parts, so that nothing depends on the order in which the file system lists them.
#[derive(Debug, PartialEq)]
pub(super) struct Listing {
    pub(super) paths: Vec<PathBuf>,
    /// The archives among the other files, by content or by name, in the same order.
    pub(super) archives: Vec<PathBuf>,
    /// Number of files that are neither, which are not read.
    pub(super) skipped: usize,
}

/// All picture files below `root`, at any depth; links are followed. A file is one by its name or its content. Names that begin
/// with a dot, and systems' folders of thumbnails, are left out.
///
/// # Errors
/// [`Error::Io`] when a folder cannot be read; [`Error::Path`] when links make a loop.
pub(super) fn list(root: &Path) -> Result<Listing> {
    let mut found = Listing { paths: Vec::new(), archives: Vec::new(), skipped: 0 };
    let mut above = Vec::new();
    descend(root, Path::new(""), &mut above, &mut found)?;
    found.paths.sort_by_cached_key(|path| sort_key(path));
    found.archives.sort_by_cached_key(|path| sort_key(path));
    Ok(found)
}

/// `above` holds the real places of the folders that lead here: meeting one of them again is a loop.
fn descend(root: &Path, inner: &Path, above: &mut Vec<PathBuf>, found: &mut Listing) -> Result<()> {
    let folder = root.join(inner);
    let fault = |e: std::io::Error| Error::io(&folder, Action::Read, e);
    let real = fs::canonicalize(&folder).map_err(fault)?;
    if above.contains(&real) {
        return Err(Error::path(&folder, "links lead back to a folder above; remove the loop"));
    }
    above.push(real);
    for entry in fs::read_dir(&folder).map_err(fault)? {
        let name = entry.map_err(fault)?.file_name();
        if is_rubbish(Path::new(&name)) {
            continue;
        }
        let inner = inner.join(&name);
        let path = root.join(&inner);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            // A link to what is not there: a picture that cannot be read, if it was to be one.
            Err(_) if fs::symlink_metadata(&path).is_ok_and(|m| m.is_symlink()) => {
                if kind::has_picture_name(&inner) {
                    found.paths.push(inner)
                } else {
                    found.skipped += 1
                }
                continue;
            }
            Err(e) => return Err(Error::io(&path, Action::Read, e)),
        };
        if metadata.is_dir() {
            descend(root, &inner, above, found)?;
            continue;
        }
        // A pipe may never end, so only files are read; one that cannot be read is known by its name.
        let is_file = metadata.is_file();
        let by_name = kind::has_picture_name(&inner);
        let first = match is_file && !by_name {
            true => fs::File::open(&path).and_then(head).unwrap_or_default(),
            false => Vec::new(),
        };
        match is_file && is_picture(&inner, &first) {
            true => found.paths.push(inner),
            // One that is called so and is none is a fault, where the others are the pictures.
            false if is_file && (archive::is_archive(&inner, &first) || archive::has_archive_name(&inner)) => {
                found.archives.push(inner);
            }
            false => found.skipped += 1,
        }
    }
    above.pop();
    Ok(())
}

fn sort_key(path: &Path) -> Vec<u8> {
    let parts: Vec<&[u8]> = path.iter().map(|part| part.as_encoded_bytes()).collect();
    parts.join(&b'/')
}

/// A path as the name of a picture: `/` between its parts on every system.
pub(super) fn name(path: &Path) -> String {
    String::from_utf8_lossy(&sort_key(path)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_content_too() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        };
        let jpeg = b"\xff\xd8\xff\xe0";
        ["a", "a.jfif", "b.txt", "c.tif", "d.heic", "e.dat"].iter().for_each(|name| write(name, jpeg));
        // Nothing to be read, but pictures by name: faults, not gaps.
        ["f.avif", "g.svg", "h.png", "i.nef"].iter().for_each(|name| write(name, b""));
        write("z.json", b"{}");
        write("Thumbs.db", b"\xd0\xcf\x11\xe0");
        ["._a.jpg", "@eaDir/a.jpg/SYNOPHOTO_THUMB_S.png", "__MACOSX/a.jpg", ".ipynb_checkpoints/a.png"]
            .iter()
            .for_each(|name| write(name, jpeg));
        write("shard.tar", &[&[0; 257][..], b"ustar", &[0; 250]].concat());
        let found = list(folder.path()).unwrap();
        let names: Vec<String> = found.paths.iter().map(|p| name(p)).collect();
        assert_eq!(names, ["a", "a.jfif", "b.txt", "c.tif", "d.heic", "e.dat", "f.avif", "g.svg", "h.png", "i.nef"]);
        assert_eq!((found.archives, found.skipped), (vec!["shard.tar".into()], 2));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_nothing_is_a_picture_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.png", "notes.txt"] {
            std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join(name)).unwrap();
        }
        let found = list(folder.path()).unwrap();
        assert_eq!((found.paths, found.skipped), (vec!["a.png".into()], 1));
    }

    #[test]
    fn the_order_is_that_of_path_bytes() {
        let folder = tempfile::tempdir().unwrap();
        for path in
            ["b/1.png", "b.png", "B.PNG", "a/z.jpeg", "a/10.jpg", "a/9.jpg", "b/notes.txt", ".hidden.png", "b-c.gif"]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, []).unwrap();
        }
        let found = list(folder.path()).unwrap();
        let names: Vec<String> = found.paths.iter().map(|p| name(p)).collect();
        assert_eq!(names, ["B.PNG", "a/10.jpg", "a/9.jpg", "a/z.jpeg", "b-c.gif", "b.png", "b/1.png"]);
        assert_eq!(found.skipped, 1);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_but_not_in_circles() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        fs::write(inner.join("a.png"), []).unwrap();
        std::os::unix::fs::symlink(&inner, folder.path().join("same")).unwrap();
        let names: Vec<String> = list(folder.path()).unwrap().paths.iter().map(|p| name(p)).collect();
        assert_eq!(names, ["inner/a.png", "same/a.png"]);
        std::os::unix::fs::symlink(folder.path(), inner.join("up")).unwrap();
        assert!(matches!(list(folder.path()), Err(Error::Path { .. })));
    }
}
