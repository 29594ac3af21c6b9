//! The files of a history as the file system describes them: what must be the
//! same for a remembered result to hold.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use codex_rollout::RolloutHead;
use codex_trace_history::history::{History, Named};
use codex_trace_model::SessionGroup;
use rayon::prelude::*;

/// What a file may be written to within and still have the times that it had:
/// file systems count time in ticks of up to ten milliseconds, and some in
/// seconds.
const TICK: Duration = Duration::from_millis(100);
const COARSE_TICK: Duration = Duration::from_secs(3);

/// How many files a thread looks at, at least.
const BATCH: usize = 64;

/// A file, as its file system describes it: all of it changes with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    id: (u64, u64),
    len: u64,
    /// When its content and its entry were last changed: seconds, nanoseconds.
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    fn of(metadata: &Metadata) -> Stamp {
        use std::os::unix::fs::MetadataExt;
        Stamp {
            id: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Files have no numbers here that Rust can ask for: one that took the place
    /// of another is told by when it was made.
    #[cfg(not(unix))]
    fn of(metadata: &Metadata) -> Stamp {
        let since = |at: std::io::Result<SystemTime>| {
            let since = at.ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
            since.unwrap_or_default()
        };
        let modified = since(metadata.modified());
        let modified = (
            i64::try_from(modified.as_secs()).unwrap_or(i64::MAX),
            i64::from(modified.subsec_nanos()),
        );
        let made = since(metadata.created());
        let id = (made.as_secs(), u64::from(made.subsec_nanos()));
        Stamp { id, len: metadata.len(), modified, changed: modified }
    }

    /// Whether a later change would be seen in the times.
    fn is_settled(&self, now: Duration) -> bool {
        [self.modified, self.changed].into_iter().all(|(seconds, nanos)| {
            let at = u64::try_from(seconds).ok().zip(u32::try_from(nanos).ok());
            let Some((seconds, nanos)) = at else { return true };
            let tick = if nanos == 0 { COARSE_TICK } else { TICK };
            Duration::new(seconds, nanos) + tick < now
        })
    }

    fn feed(&self, hash: &mut blake3::Hasher) {
        for number in [self.id.0, self.id.1, self.len] {
            hash.update(&number.to_le_bytes());
        }
        for number in [self.modified.0, self.modified.1, self.changed.0, self.changed.1] {
            hash.update(&number.to_le_bytes());
        }
    }
}

/// What names a result.
pub(super) type Key = [u8; 32];

/// All files of a history, looked at before any of them is read.
#[derive(Debug)]
pub(super) struct Inventory {
    files: Vec<(PathBuf, Option<Stamp>)>,
    /// Where each of them is there: only needed if one has changed.
    places: OnceLock<HashMap<PathBuf, usize>>,
    whole: Key,
    is_settled: bool,
    now: Duration,
}

impl Inventory {
    /// Looks at the files, on the threads of the pool that it is called in; `None`
    /// if they do not say what will be found.
    #[expect(clippy::disallowed_methods, reason = "compared with the times of files alone")]
    pub(super) fn take(named: &Named) -> Option<Inventory> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let mut seen: Vec<(PathBuf, Option<String>)> = Vec::new();
        if !named.each_seen(&mut |path, passed| seen.push((path.to_path_buf(), passed))) {
            return None;
        }
        // A link is the file that it leads to.
        let stamp = |path: &Path| fs::metadata(path).ok().map(|it| Stamp::of(&it));
        let stamps: Vec<Option<Stamp>> =
            seen.par_iter().with_min_len(BATCH).map(|(path, _)| stamp(path)).collect();
        let mut hash = blake3::Hasher::new();
        for ((path, passed), stamp) in seen.iter().zip(&stamps) {
            feed(&mut hash, path.as_os_str().as_encoded_bytes());
            feed(&mut hash, passed.as_deref().unwrap_or_default().as_bytes());
            if let Some(stamp) = stamp {
                stamp.feed(&mut hash);
            }
        }
        let is_settled = stamps.iter().flatten().all(|stamp| stamp.is_settled(now));
        let files = seen.into_iter().map(|(path, _)| path).zip(stamps).collect();
        let whole = *hash.finalize().as_bytes();
        Some(Inventory { files, places: OnceLock::new(), whole, is_settled, now })
    }

    /// Returns a file as it was when it was looked at.
    fn stamp_of(&self, path: &Path) -> Option<Stamp> {
        let places = self.places.get_or_init(|| {
            let paths = self.files.iter().map(|(path, _)| path.clone());
            paths.enumerate().map(|(nth, path)| (path, nth)).collect()
        });
        self.files[*places.get(path)?].1
    }

    /// Names all files; `None` if one of them may change without a trace.
    pub(super) fn whole(&self) -> Key {
        self.whole
    }

    /// Whether a later change of any file would be seen.
    pub(super) fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// Names a session by all that its result depends on: its files, what their
    /// heads say, and how they were put together. `None` if one of them is not
    /// known, or may change without a trace.
    pub(super) fn key_of(&self, history: &History, session: &SessionGroup) -> Option<Key> {
        let mut hash = blake3::Hasher::new();
        let mut alone = session.clone();
        for member in &session.members {
            for nth in member.ancestors.iter().chain([&member.head]) {
                self.feed_head(&history.heads[*nth], &mut hash)?;
            }
            for path in &member.copies {
                self.feed_file(path, &mut hash)?;
            }
        }
        // The numbers of heads change with every file that comes before them.
        for member in &mut alone.members {
            member.head = 0;
            member.ancestors.clear();
        }
        feed(&mut hash, format!("{alone:?}").as_bytes());
        Some(*hash.finalize().as_bytes())
    }

    fn feed_head(&self, head: &RolloutHead, hash: &mut blake3::Hasher) -> Option<()> {
        feed(hash, format!("{head:?}").as_bytes());
        self.feed_file(&head.rollout.path, hash)
    }

    fn feed_file(&self, path: &Path, hash: &mut blake3::Hasher) -> Option<()> {
        let stamp = self.stamp_of(path)?;
        stamp.feed(hash);
        stamp.is_settled(self.now).then_some(())
    }
}

/// Takes in bytes so that two of them are not taken for others.
pub(super) fn feed(hash: &mut blake3::Hasher, bytes: &[u8]) {
    hash.update(&(bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}
