#![expect(clippy::disallowed_methods, reason = "rollouts are found here")]

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::piped::Piped;

/// How a rollout's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Encoding {
    /// As they are.
    Plain,
    /// Compressed by Codex itself, a week after the last write.
    Zstd,
    /// Compressed by somebody else.
    Gzip,
}

/// How a rollout's records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Layout {
    /// One record a line.
    Lines,
    /// One JSON document, as the TypeScript CLI wrote it (April to August 2025).
    Document,
}

/// The place of one rollout on disk, and what its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutPath {
    /// The file.
    pub path: PathBuf,
    /// The thread, if the name is one that Codex gives.
    pub thread_id: Option<String>,
    /// What tells several rollouts of one thread apart; the thread's id unless
    /// the thread was reverted.
    pub rollout_id: Option<String>,
    /// Whether it lies in `archived_sessions/`.
    pub archived: bool,
    /// How its bytes are stored.
    pub encoding: Encoding,
    /// How its records are laid out.
    pub layout: Layout,
    /// What came out of it, if it is a pipe, which can be read once only.
    pub piped: Option<Piped>,
    /// The most bytes that it may become by decompression, if that is another
    /// number than its size allows: see [`share_room`](crate::share_room).
    pub max_decompressed: Option<u64>,
}

impl RolloutPath {
    /// Takes any file for a rollout: a user who names one means it. What the
    /// name says of its encoding and layout is a guess, which
    /// [`RolloutHead::read`](crate::RolloutHead::read) puts right.
    pub fn from_file(path: &Path) -> RolloutPath {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, encoding) = split_encoding(&name);
        let layout = split_layout(stem).map_or(Layout::Lines, |(_, layout)| layout);
        let ids = ids_within(&name);
        RolloutPath {
            path: path.to_path_buf(),
            thread_id: ids.as_ref().map(|ids| ids.thread.to_owned()),
            rollout_id: ids.map(|ids| ids.rollout.to_owned()),
            archived: path.components().any(|part| part.as_os_str() == ARCHIVED),
            encoding,
            layout,
            piped: None,
            max_decompressed: None,
        }
    }

    /// Reads a pipe to its end, once, and keeps what came out of it.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or there is no room for it.
    pub fn from_pipe(path: &Path) -> Result<RolloutPath> {
        let piped = Piped::read(File::open(path)?)?;
        Ok(RolloutPath { piped: Some(piped), ..RolloutPath::from_file(path) })
    }

    /// Takes bytes for a rollout, in whatever encoding and layout they are: of a
    /// notebook, an archive, a row of a table. The name is what it is to be
    /// called, and says which thread it is where the bytes do not.
    ///
    /// ```
    /// use std::path::Path;
    ///
    /// use codex_rollout::{RolloutHead, RolloutPath, Source};
    ///
    /// let bytes = &b"{\"timestamp\":\"2026-01-01T00:00:00Z\",\"type\":\"compacted\",\"payload\":{}}\n"[..];
    /// let rollout = RolloutPath::from_bytes(Path::new("a.jsonl"), bytes)?;
    /// assert_eq!(RolloutHead::read(&rollout)?.thread_id, "a");
    /// assert_eq!(Source::open(&rollout)?.lines().count(), 1);
    /// # Ok::<(), codex_rollout::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If they are more than memory, and the room for temporary files, can hold.
    pub fn from_bytes(name: &Path, bytes: &[u8]) -> Result<RolloutPath> {
        Ok(RolloutPath { piped: Some(Piped::read(bytes)?), ..RolloutPath::from_file(name) })
    }

    /// Returns the name that the same rollout has when Codex compresses it, or
    /// decompresses it again.
    pub(crate) fn twin(&self) -> Option<PathBuf> {
        let name = self.path.file_name()?.to_str()?;
        let twin = match split_encoding(name) {
            (_, Encoding::Plain) => format!("{name}.zst"),
            (stem, Encoding::Zstd) => stem.to_owned(),
            (_, Encoding::Gzip) => return None,
        };
        Some(self.path.with_file_name(twin))
    }
}

const SESSIONS: &str = "sessions";
const ARCHIVED: &str = "archived_sessions";

/// Returns whether `dir` is a Codex home: a directory with `sessions/` or
/// `archived_sessions/` in it.
pub fn is_codex_home(dir: &Path) -> bool {
    dir.join(SESSIONS).is_dir() || dir.join(ARCHIVED).is_dir()
}

/// Returns the directories in which a Codex home keeps rollouts, there or not.
pub fn session_dirs(home: &Path) -> [PathBuf; 2] {
    [SESSIONS, ARCHIVED].map(|name| home.join(name))
}

fn split_encoding(name: &str) -> (&str, Encoding) {
    if let Some(stem) = name.strip_suffix(".zst") {
        (stem, Encoding::Zstd)
    } else if let Some(stem) = name.strip_suffix(".gz") {
        (stem, Encoding::Gzip)
    } else {
        (name, Encoding::Plain)
    }
}

/// Splits off the extension that tells the layout.
fn split_layout(name: &str) -> Option<(&str, Layout)> {
    if let Some(stem) = name.strip_suffix(".jsonl") {
        return Some((stem, Layout::Lines));
    }
    name.strip_suffix(".json").map(|stem| (stem, Layout::Document))
}

/// Returns the name that Codex gave to a rollout, whatever was done to the file
/// since: `rollout-<time>-<ids>`, without what compression or a copy put around
/// it. Nothing if its name has no such part.
pub fn codex_name(path: &str) -> Option<&str> {
    let name = path.rsplit(['/', '\\']).next()?;
    let ids = ids_within(name)?;
    let end = ids.rollout.as_ptr().addr() - name.as_ptr().addr() + ids.rollout.len();
    name.get(name.find("rollout-")?..end)
}

/// Whether the name is one that Codex gives to rollouts.
pub(crate) fn is_rollout_name(name: &str) -> bool {
    ids_of(name).is_some()
}

/// Whether a name says that records are in the file, in whatever case it is
/// written: of rollouts under names that Codex does not give, and of copies.
pub(crate) fn may_hold_records(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let (whole, _) = split_encoding(&name);
    match split_layout(whole) {
        Some((stem, Layout::Lines)) => stem != "session_index" && stem != "history",
        Some((stem, Layout::Document)) => stem.contains("rollout-"),
        None => false,
    }
}

struct Ids<'n> {
    thread: &'n str,
    rollout: &'n str,
}

/// Reads `rollout-<date>[T<time>]-<thread>[_<rollout>].<ext>`; `None` if the
/// name is not of this form, as with the copies that file managers make.
fn ids_of(name: &str) -> Option<Ids<'_>> {
    let (whole, _) = split_encoding(name);
    let (stem, _) = split_layout(whole)?;
    let rest = stem.strip_prefix("rollout-")?;
    let after_date = rest.get(10..)?;
    let time = after_date.strip_prefix('T').map(|time| time.get(8..));
    let id = time.unwrap_or(Some(after_date))?.strip_prefix('-')?;
    let (thread, rollout) = id.split_once('_').unwrap_or((id, id));
    (is_uuid(thread) && is_uuid(rollout)).then_some(Ids { thread, rollout })
}

/// Reads the ids in the name of a copy, too: `Copy of rollout-….jsonl`,
/// `rollout-… 2.jsonl`, `rollout-…-conflicted copy.jsonl`.
fn ids_within(name: &str) -> Option<Ids<'_>> {
    const UUID: usize = 36;
    if let Some(ids) = ids_of(name) {
        return Some(ids);
    }
    let after_date = name.get(name.find("rollout-")? + "rollout-".len()..)?.get(10..)?;
    let time = after_date.strip_prefix('T').map(|time| time.get(8..));
    let id = time.unwrap_or(Some(after_date))?.strip_prefix('-')?;
    let thread = id.get(..UUID).filter(|id| is_uuid(id))?;
    let rollout = id[UUID..].strip_prefix('_').and_then(|rest| rest.get(..UUID));
    Some(Ids { thread, rollout: rollout.filter(|id| is_uuid(id)).unwrap_or(thread) })
}

pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
