//! Files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use codex_trace_export::Files;

use crate::paths::is_same_dir;

/// Makes a directory that only its owner can look into, unless it is there.
///
/// # Errors
///
/// If it cannot be made.
pub fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Returns options that make a file which only its owner can read.
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Returns why a file is no good place for a key: others may read it.
pub fn exposed(path: &Path) -> Option<String> {
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    {
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o044 != 0 {
            let path = path.display();
            return Some(format!("others may read `{path}`, which holds a key: chmod 600 it"));
        }
    }
    let _ = metadata;
    None
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

/// The largest file that is taken for a configuration, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// Reads a small file of text; `None` if nothing is there.
///
/// # Errors
///
/// If it cannot be read, is not a file, or is too large for a configuration.
fn small_text(path: &Path) -> io::Result<Option<String>> {
    let absent = |err: &io::Error| {
        matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    };
    // Before it is opened: a FIFO would wait for somebody to write to it.
    match fs::metadata(path) {
        Err(err) if absent(&err) => return Ok(None),
        Err(err) => return Err(err),
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(io::Error::other("it is not a regular file")),
    }
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is too large for a configuration"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        std::fs::File::create(&file).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(small_text(&file).is_err(), "too large");
    }
}
