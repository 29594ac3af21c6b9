#![expect(clippy::disallowed_methods, reason = "tells files apart, and opens none")]

use std::fs::Metadata;
use std::path::Path;

/// What a file or a directory is to its file system, whatever path leads to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileId(system::Id);

impl FileId {
    /// Returns what a path leads to; `None` if nothing is there, or the system
    /// cannot tell.
    ///
    /// Where files have no numbers that Rust can ask for (Windows), it is the
    /// canonical path: links are followed, and the names of a hard link count as
    /// two files.
    pub fn of(path: &Path) -> Option<FileId> {
        FileId::with(path, &path.metadata().ok()?)
    }

    /// As [`of`](Self::of), of a path with its metadata, which are not read again.
    pub fn with(path: &Path, metadata: &Metadata) -> Option<FileId> {
        system::id(path, metadata).map(FileId)
    }
}

#[cfg(unix)]
mod system {
    use std::fs::Metadata;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;

    /// Device and inode.
    pub(super) type Id = (u64, u64);

    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    pub(super) fn id(_: &Path, metadata: &Metadata) -> Option<Id> {
        Some((metadata.dev(), metadata.ino()))
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;
    use std::path::{Path, PathBuf};

    pub(super) type Id = PathBuf;

    pub(super) fn id(path: &Path, _: &Metadata) -> Option<Id> {
        path.canonicalize().ok()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_is_the_same_by_whatever_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("below")).unwrap();
        fs::write(path("one"), "").unwrap();
        fs::write(path("other"), "").unwrap();
        let one = FileId::of(&path("one"));
        assert!(one.is_some());
        assert_eq!(one, FileId::of(&path("below/../one")));
        assert_ne!(one, FileId::of(&path("other")));
        assert_ne!(FileId::of(dir.path()), FileId::of(&path("below")));
        assert_eq!(FileId::of(&path("none")), None);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("one"), path("link")).unwrap();
            fs::hard_link(path("one"), path("hard")).unwrap();
            assert_eq!(one, FileId::of(&path("link")));
            assert_eq!(one, FileId::of(&path("hard")));
        }
    }
}
