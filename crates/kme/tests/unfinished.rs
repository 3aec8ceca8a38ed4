//! `discard_unfinished` acts on the whole process, so its test has a process of its own.

use std::io::Write;
use std::path::Path;

#[test]
fn unfinished_files_can_be_discarded_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let count = |folder: &Path| std::fs::read_dir(folder).unwrap().count();
    let path = folder.path().join("out");
    let result = kme::internal::io::write_atomically(&path, |w| {
        w.write_all(b"part")?;
        w.flush()?;
        assert_eq!(count(folder.path()), 1);
        kme::internal::io::discard_unfinished();
        assert_eq!(count(folder.path()), 0);
        Ok(())
    });
    assert!(result.is_err() && !path.exists());
    kme::internal::io::write_atomically(&path, |w| w.write_all(b"whole")).unwrap();
    kme::internal::io::discard_unfinished();
    assert_eq!(std::fs::read(&path).unwrap(), b"whole");
}
