//! The files that projects have for live plugins: in `.codex` of the directory
//! that a session was in, or above it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use codex_trace_export::{ConfigFiles, Settings};

use crate::companions::OfProject;

/// The files of one name, each read once.
#[derive(Debug)]
pub(super) struct Projects {
    name: &'static str,
    files: ConfigFiles,
    /// The user's own Codex homes, whose files are no project's.
    own: Vec<PathBuf>,
    /// By the directory of a session.
    known: Mutex<HashMap<PathBuf, OfProject>>,
}

impl Projects {
    pub(super) fn new(name: &'static str, settings: &Settings) -> Projects {
        let home = settings.home.as_ref().map(|home| home.join(".codex"));
        Projects {
            name,
            files: settings.files.clone(),
            own: home.into_iter().chain(settings.codex_home.clone()).collect(),
            known: Mutex::default(),
        }
    }

    /// Returns what the project of a directory says of its sessions: the nearest
    /// file counts, as `read` understands its path and text. One that cannot be
    /// read has no text.
    pub(super) fn of(&self, cwd: &Path, read: impl Fn(&Path, &str) -> OfProject) -> OfProject {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(cwd) {
            return known.clone();
        }
        let found = self.find(cwd).map_or_else(OfProject::default, |path| {
            let text = self.files.small_text(&path).ok().flatten().unwrap_or_default();
            read(&path, &text)
        });
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(cwd.to_owned(), found.clone());
        found
    }

    fn find(&self, cwd: &Path) -> Option<PathBuf> {
        // What is relative is relative to where somebody else was.
        let dirs = cwd.ancestors().filter(|dir| dir.is_absolute()).map(|dir| dir.join(".codex"));
        let of_others =
            |dir: &PathBuf| !self.own.iter().any(|own| self.files.is_same_dir(own, dir));
        let files = dirs.filter(of_others).map(|dir| dir.join(self.name));
        files.into_iter().find(|path| self.files.is_file(path))
    }
}

/// Returns what is said of sessions whose project has a file that makes no
/// sense: it may well say that they are private.
pub(super) fn senseless(path: &Path, err: &serde_json::Error) -> OfProject {
    let refused = Some(format!("`{}`:{}: it makes no sense", path.display(), err.line()));
    OfProject { refused, ..OfProject::default() }
}
