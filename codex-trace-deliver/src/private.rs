//! Files that only their owner can read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

use codex_trace_export::Files;

pub use codex_trace_history::small::{
    bytes_that_are_there, small_bytes, small_bytes_here, small_text, text_that_is_there,
};

use crate::paths::is_same_dir;

/// Makes a directory that only its owner can look into, unless it is there.
///
/// # Errors
///
/// If it cannot be made.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    dirs().recursive(true).create(dir)
}

/// Returns what makes directories that only their owner can look into.
pub fn dirs() -> DirBuilder {
    let mut builder = DirBuilder::new();
    system::restrict_dir(&mut builder);
    builder
}

/// Returns options that make a file which only its owner can read.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    system::restrict_file(&mut options);
    options
}

/// Opens a file that is there to be locked, or makes it.
///
/// # Errors
///
/// If it is no regular file, or cannot be made or opened.
pub fn lock_file(path: &Path) -> io::Result<File> {
    check_regular(path)?;
    // Not to append: Windows locks nothing that was opened for that alone.
    options().read(true).write(true).create(true).truncate(false).open(path)
}

/// Returns why a file is no good place for a key: others may read it.
pub fn exposed(path: &Path) -> Option<String> {
    let is_exposed = system::is_exposed(&fs::metadata(path).ok()?);
    let path = path.display();
    is_exposed.then(|| format!("others may read `{path}`, which holds a key: chmod 600 it"))
}

#[cfg(unix)]
mod system {
    use std::fs::{DirBuilder, Metadata, OpenOptions};
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};

    pub(super) fn restrict_dir(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    pub(super) fn restrict_file(options: &mut OpenOptions) {
        options.mode(0o600);
    }

    pub(super) fn is_exposed(metadata: &Metadata) -> bool {
        metadata.permissions().mode() & 0o044 != 0
    }
}

/// On Windows a file inherits who may read it from its directory, and the
/// directories of a user are private already.
#[cfg(not(unix))]
mod system {
    use std::fs::{DirBuilder, Metadata, OpenOptions};

    pub(super) fn restrict_dir(_: &mut DirBuilder) {}

    pub(super) fn restrict_file(_: &mut OpenOptions) {}

    pub(super) fn is_exposed(_: &Metadata) -> bool {
        false
    }
}

/// The files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn small_text(&self, path: &Path) -> io::Result<Option<String>> {
        small_text(path)
    }

    fn is_file(&self, path: &Path) -> bool {
        path.is_file()
    }

    fn is_same_dir(&self, one: &Path, other: &Path) -> bool {
        is_same_dir(one, other)
    }

    fn exposed(&self, path: &Path) -> Option<String> {
        exposed(path)
    }
}

/// Checks that what is to be written to is a regular file, or not there yet.
///
/// # Errors
///
/// If it is something else.
pub fn check_regular(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() => Err(io::Error::other("it is not a regular file")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_small_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(path("fifo")).status().unwrap().success());
        let why = |read: io::Result<Option<Vec<u8>>>| read.unwrap_err().to_string();
        assert_eq!(small_bytes(&path("file"), 5).unwrap().unwrap(), b"12345");
        assert_eq!(why(small_bytes(&path("file"), 4)), "it is larger than 4 bytes");
        assert_eq!(small_bytes(&path("none"), 5).unwrap(), None);
        assert_eq!(small_bytes(&path("link"), 5).unwrap().unwrap(), b"12345");
        let odd = "it is not a regular file";
        assert_eq!(why(small_bytes_here(&path("link"), 5)), odd);
        for name in [path("fifo"), "/dev/zero".into(), dir.path().into()] {
            assert_eq!(why(small_bytes(&name, 5)), odd);
            assert_eq!(check_regular(&name).unwrap_err().to_string(), odd);
        }
        assert!(check_regular(&path("none")).is_ok() && check_regular(&path("link")).is_ok());
    }

    /// One that was opened to append could be locked here, but not on Windows.
    #[test]
    fn what_is_locked_can_be_read_and_cut_and_loses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        fs::write(&path, "12").unwrap();
        let file = lock_file(&path).unwrap();
        file.try_lock().unwrap();
        assert!(lock_file(&path).unwrap().try_lock().is_err());
        assert_eq!(io::read_to_string(&file).unwrap(), "12");
        file.set_len(0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        drop(file);
        assert!(lock_file(&path).unwrap().try_lock().is_ok());
        assert!(lock_file(dir.path()).is_err());
    }

    #[test]
    fn a_directory_is_the_same_however_it_is_reached() {
        let home = tempfile::tempdir().unwrap();
        let (one, other) = (home.path().join("one"), home.path().join("other"));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&other).unwrap();
        assert!(Disk.is_same_dir(&one, &one) && !Disk.is_same_dir(&one, &other));
        #[cfg(unix)]
        {
            let link = home.path().join("link");
            std::os::unix::fs::symlink(&one, &link).unwrap();
            assert!(Disk.is_same_dir(&one, &link));
        }
    }

    #[test]
    fn only_small_files_are_configurations() {
        let dir = tempfile::tempdir().unwrap();
        assert!(small_text(&dir.path().join("none")).unwrap().is_none());
        assert!(small_text(&dir.path().join("none/below")).unwrap().is_none());
        assert!(small_text(dir.path()).is_err(), "a directory");
        let file = dir.path().join("f");
        std::fs::write(&file, "text").unwrap();
        assert_eq!(small_text(&file).unwrap().as_deref(), Some("text"));
        std::fs::File::create(&file).unwrap().set_len((4 << 20) + 1).unwrap();
        assert!(small_text(&file).is_err(), "too large");
    }
}
