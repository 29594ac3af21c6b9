//! Files that only their owner can read.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

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
