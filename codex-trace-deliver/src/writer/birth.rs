//! Whether a file was made and written here.

use std::fs::Metadata;
use std::path::Path;

/// Whether a program wrote the file line by line, here: its first line is as old
/// as the file, and its last change was that something was written. Programs that
/// copy or synchronise make files later, or set their times.
pub(super) fn is_of_this_machine(path: &Path, metadata: &Metadata) -> bool {
    system::is_of_this_machine(path, metadata)
}

#[cfg(unix)]
mod system {
    use std::fs::{File, Metadata};
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;
    use std::path::Path;
    use std::time::{Duration, SystemTime};

    use codex_trace_model::Timestamp;

    /// How far apart the birth of a file and the time in its first line may be.
    const BIRTH: Duration = Duration::from_secs(10);

    /// How much of a file its first time is in.
    const HEAD: u64 = 128;

    pub(super) fn is_of_this_machine(path: &Path, metadata: &Metadata) -> bool {
        let is_as_written =
            (metadata.mtime(), metadata.mtime_nsec()) == (metadata.ctime(), metadata.ctime_nsec());
        let born = metadata.created().ok().filter(|_| is_as_written);
        let Some((born, first)) = born.zip(first_time(path)) else { return false };
        let apart = born.duration_since(first).or_else(|_| first.duration_since(born));
        apart.is_ok_and(|apart| apart <= BIRTH)
    }

    /// Returns the time of the first line.
    fn first_time(path: &Path) -> Option<SystemTime> {
        let mut head = Vec::new();
        File::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
        let head = head.strip_prefix(b"{\"timestamp\":\"")?;
        let end = memchr::memchr(b'"', head)?;
        let at: Timestamp = std::str::from_utf8(&head[..end]).ok()?.parse().ok()?;
        Some(at.into())
    }
}

#[cfg(not(unix))]
mod system {
    use std::fs::Metadata;
    use std::path::Path;

    pub(super) fn is_of_this_machine(_: &Path, _: &Metadata) -> bool {
        false
    }
}
