//! Which files of a directory are rollouts, and what was passed over.

#![expect(clippy::disallowed_methods, reason = "rollouts are found here")]

use std::collections::HashSet;
use std::fmt;
use std::fs::{self, FileType};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use memchr::memmem;
use walkdir::{DirEntry, WalkDir};

use crate::discover::{
    RolloutPath, is_codex_home, is_rollout_name, may_hold_records, session_dirs,
};
use crate::error::{Error, ErrorKind, Result};
use crate::identity::FileId;
use crate::magic::{Foreign, foreign_name};
use crate::source::open_stream;

/// How much of a file is looked at to tell whether it begins like a rollout.
const LOOKED_AT: u64 = 1024;

/// Something that a search came upon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A rollout.
    Rollout(RolloutPath),
    /// Something that was not looked into.
    PassedOver {
        /// Where it is.
        path: PathBuf,
        /// Why it was left out.
        why: PassedOver,
    },
}

/// Why a file or directory was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassedOver {
    /// It is compressed or packed in a way that is not read: the name of it.
    Encoding(&'static str),
    /// Its link leads nowhere.
    BrokenLink,
    /// Its link leads to a directory that it lies in.
    Loop,
    /// It is a pipe, a socket or a device.
    Special,
    /// It has the name of a rollout, and nothing in it.
    Empty,
    /// Its name begins with a dot.
    Hidden,
    /// Neither its name nor what it holds is that of a rollout.
    Other,
}

impl PassedOver {
    /// Returns whether a rollout may have been passed over.
    pub fn may_be_rollout(self) -> bool {
        matches!(self, PassedOver::Encoding(_) | PassedOver::BrokenLink | PassedOver::Special)
    }
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PassedOver::Encoding("tar" | "zip" | "7z" | "rar") => {
                f.write_str("packed in an archive")
            }
            PassedOver::Encoding("UTF-16") => f.write_str("written in UTF-16"),
            PassedOver::Encoding(name) => write!(f, "compressed with {name}"),
            PassedOver::BrokenLink => f.write_str("a link that leads nowhere"),
            PassedOver::Loop => f.write_str("a link that leads back to where it lies"),
            PassedOver::Special => f.write_str("a pipe, socket or device"),
            PassedOver::Empty => f.write_str("empty"),
            PassedOver::Hidden => f.write_str("hidden"),
            PassedOver::Other => f.write_str("no rollout by name or content"),
        }
    }
}

/// Finds the rollouts of a Codex home, or of any directory; see [`search`].
///
/// # Errors
///
/// Each directory that cannot be read is an error of its own; the rest is found.
pub fn discover(root: &Path) -> impl Iterator<Item = Result<RolloutPath>> {
    search(root).filter_map(|found| match found {
        Ok(Found::Rollout(rollout)) => Some(Ok(rollout)),
        Ok(Found::PassedOver { .. }) => None,
        Err(err) => Some(Err(err)),
    })
}

/// Searches a Codex home, or any directory.
///
/// In a home, `sessions/` and `archived_sessions/` are searched; elsewhere the
/// whole directory, and whatever homes are in it. Files count by the names that
/// Codex gives, which no other tool and no temporary file of Codex shares;
/// under other names those count that begin with a `session_meta`, compressed
/// or not. Links are followed, and no directory is searched twice.
///
/// Rollouts are sorted by path. Of one rollout there may be several files:
/// [`Copies`](crate::Copies) tells what is read of each.
///
/// What is passed over is told where rollouts are kept (below `sessions/` and
/// `archived_sessions/`), elsewhere only if its name speaks of one.
///
/// # Errors
///
/// Each directory that cannot be read is an error of its own; the rest is found.
pub fn search(root: &Path) -> impl Iterator<Item = Result<Found>> {
    let roots: Vec<PathBuf> = if is_codex_home(root) {
        session_dirs(root).into_iter().filter(|dir| dir.is_dir()).collect()
    } else {
        vec![root.to_path_buf()]
    };
    let mut visited = HashSet::new();
    let mut found = Vec::new();
    let mut loops = Vec::new();
    for dir in &roots {
        let walk = WalkDir::new(dir).follow_links(true).sort_by_file_name().into_iter();
        let first_visit = |entry: &DirEntry| {
            if leads_back(entry) {
                let path = entry.path().to_path_buf();
                loops.push(Ok(Found::PassedOver { path, why: PassedOver::Loop }));
                return false;
            }
            directory_id(entry).is_none_or(|id| visited.insert(id))
        };
        found.extend(walk.filter_entry(first_visit).filter_map(|entry| match entry {
            Ok(entry) => classify(&entry),
            Err(err) => Some(failure(err)),
        }));
    }
    found.extend(loops);
    found.into_iter()
}

/// Whether a link below the root leads to a directory that it lies in itself,
/// be that outside of what is searched.
fn leads_back(entry: &DirEntry) -> bool {
    let is_link = entry.depth() > 0 && entry.path_is_symlink() && entry.file_type().is_dir();
    let real = |path: &Path| fs::canonicalize(path).ok();
    is_link
        && real(entry.path())
            .zip(entry.path().parent().and_then(real))
            .is_some_and(|(target, parent)| parent.starts_with(target))
}

/// `None` for what is no directory, or cannot be told.
fn directory_id(entry: &DirEntry) -> Option<FileId> {
    let metadata = entry.file_type().is_dir().then(|| entry.metadata().ok())??;
    FileId::with(entry.path(), &metadata)
}

fn failure(err: walkdir::Error) -> Result<Found> {
    let path = err.path().map(Path::to_path_buf).unwrap_or_default();
    if err.loop_ancestor().is_some() {
        return Ok(Found::PassedOver { path, why: PassedOver::Loop });
    }
    let is_link = fs::symlink_metadata(&path).is_ok_and(|it| it.file_type().is_symlink());
    let cause = err.into_io_error().unwrap_or_else(|| io::Error::other("it cannot be searched"));
    if is_link && cause.kind() == io::ErrorKind::NotFound {
        return Ok(Found::PassedOver { path, why: PassedOver::BrokenLink });
    }
    Err(io::Error::new(cause.kind(), format!("{}: {cause}", path.display())).into())
}

/// Tells what a file is; `None` for a directory, and for what is of no concern.
fn classify(entry: &DirEntry) -> Option<Result<Found>> {
    if entry.file_type().is_dir() {
        return None;
    }
    let path = entry.path();
    let name = entry.file_name().to_string_lossy();
    let why = match look_at(path, &name, entry.file_type()) {
        Ok(None) => return Some(Ok(Found::Rollout(RolloutPath::from_file(path)))),
        Ok(Some(why)) => why,
        // Whether it is a rollout cannot be told, and so it is to be told.
        Err(err) => {
            let text = format!("{}: {}", path.display(), cause_of(&err));
            return Some(Err(io::Error::other(text).into()));
        }
    };
    // What live plugins keep beside a rollout.
    let is_companion = name.contains(".jsonl.langsmith");
    let kept_here = path.components().any(|part| {
        session_dirs(Path::new("")).iter().any(|dir| part.as_os_str() == dir.as_os_str())
    });
    let speaks = name.contains("rollout-") || name.contains(".jsonl");
    let told = !is_companion && (kept_here || (speaks && why != PassedOver::Other));
    told.then(|| Ok(Found::PassedOver { path: path.to_path_buf(), why }))
}

fn cause_of(err: &Error) -> String {
    std::error::Error::source(err).map_or_else(|| err.to_string(), ToString::to_string)
}

/// Returns why a file is no rollout; nothing if it is one.
fn look_at(path: &Path, name: &str, file_type: FileType) -> Result<Option<PassedOver>> {
    if name.starts_with('.') {
        return Ok(Some(PassedOver::Hidden));
    }
    if !file_type.is_file() {
        return Ok(Some(PassedOver::Special));
    }
    if is_rollout_name(name) {
        return Ok(None);
    }
    if let Some(Foreign(encoding)) = foreign_name(name) {
        return Ok(Some(PassedOver::Encoding(encoding)));
    }
    if !may_hold_records(name) {
        return Ok(Some(PassedOver::Other));
    }
    match starts_with_meta(path) {
        Ok(true) => Ok(None),
        Ok(false) => Ok(Some(PassedOver::Other)),
        Err(err) => match err.kind() {
            ErrorKind::Encoding(encoding) => Ok(Some(PassedOver::Encoding(encoding))),
            _ => Err(err),
        },
    }
}

/// Whether a file begins like a rollout of today.
fn starts_with_meta(path: &Path) -> Result<bool> {
    let opened = open_stream(&RolloutPath::from_file(path))?;
    let mut head = Vec::new();
    // A damaged file is told by what could be read of it.
    let read = opened.input.take(LOOKED_AT).read_to_end(&mut head);
    if head.is_empty() {
        read?;
    }
    Ok(memmem::find(&head, b"\"session_meta\"").is_some())
}
