#![expect(clippy::disallowed_methods, reason = "rollouts are found here")]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use crate::error::{Error, Result};

/// How a rollout's bytes are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
}

impl RolloutPath {
    /// Takes any file for a rollout: a user who names one means it.
    pub fn from_file(path: &Path) -> RolloutPath {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (stem, encoding) = split_encoding(&name);
        let layout = split_layout(stem).map_or(Layout::Lines, |(_, layout)| layout);
        let ids = ids_of(&name);
        RolloutPath {
            path: path.to_path_buf(),
            thread_id: ids.as_ref().map(|ids| ids.thread.to_owned()),
            rollout_id: ids.map(|ids| ids.rollout.to_owned()),
            archived: path.components().any(|part| part.as_os_str() == ARCHIVED),
            encoding,
            layout,
        }
    }

    /// Returns the name that the same rollout has when Codex compresses it, or
    /// decompresses it again.
    pub(crate) fn twin(&self) -> Option<(PathBuf, Encoding)> {
        let name = self.path.file_name()?.to_str()?;
        match self.encoding {
            Encoding::Plain => {
                Some((self.path.with_file_name(format!("{name}.zst")), Encoding::Zstd))
            }
            Encoding::Zstd => {
                Some((self.path.with_file_name(name.strip_suffix(".zst")?), Encoding::Plain))
            }
            Encoding::Gzip => None,
        }
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

/// Finds the rollouts of a Codex home, or of any directory.
///
/// In a home, `sessions/` and `archived_sessions/` are searched; elsewhere the
/// whole directory. Files count by their names, which no other tool and no
/// temporary file of Codex shares; outside of a home also those whose first
/// line is a `session_meta`. Symbolic links are not followed.
///
/// The result is sorted by path. Of one rollout there may be several files:
/// [`Copies`](crate::Copies) tells what is read of each.
///
/// # Errors
///
/// Each directory that cannot be read is an error of its own; the rest is found.
pub fn discover(root: &Path) -> impl Iterator<Item = Result<RolloutPath>> {
    let home = is_codex_home(root);
    let roots = if home {
        session_dirs(root).into_iter().filter(|dir| dir.is_dir()).collect()
    } else {
        vec![root.to_path_buf()]
    };
    let found: Vec<Result<RolloutPath>> = roots
        .iter()
        .flat_map(|dir| WalkDir::new(dir).sort_by_file_name())
        .filter_map(|entry| match entry {
            Ok(entry) => wanted(&entry, home).then(|| Ok(RolloutPath::from_file(entry.path()))),
            Err(err) => Some(Err(walk_error(err))),
        })
        .collect();
    found.into_iter()
}

fn walk_error(err: walkdir::Error) -> Error {
    let path = err.path().map(|path| path.display().to_string()).unwrap_or_default();
    let cause = err.into_io_error().unwrap_or_else(|| std::io::Error::other("a loop of links"));
    std::io::Error::new(cause.kind(), format!("{path}: {cause}")).into()
}

fn wanted(entry: &DirEntry, home: bool) -> bool {
    if !entry.file_type().is_file() {
        return false;
    }
    let Some(name) = entry.file_name().to_str() else { return false };
    if name.starts_with('.') {
        return false;
    }
    let (whole, _) = split_encoding(name);
    let Some((stem, layout)) = split_layout(whole) else { return false };
    if stem.starts_with("rollout-") || whole == "rollout.jsonl" {
        return ids_of(name).is_some() || starts_with_meta(entry.path());
    }
    !home && layout == Layout::Lines && starts_with_meta(entry.path())
}

/// Whether an uncompressed file begins like a rollout of today.
fn starts_with_meta(path: &Path) -> bool {
    let mut head = [0; 256];
    let Ok(n) = File::open(path).and_then(|mut file| file.read(&mut head)) else { return false };
    memchr::memmem::find(&head[..n], b"\"session_meta\"").is_some()
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

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}
