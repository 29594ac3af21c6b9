//! The files in which live plugins and Codex keep their configuration: the
//! user's own are followed, others only when the user says so.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::{Origin, Remark, Settings};
use crate::paths::is_same_dir;

/// The largest file that is taken for a configuration, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// A file of a live plugin that may be there.
#[derive(Clone, Debug)]
pub(super) struct PluginFile {
    pub(super) path: PathBuf,
    /// Whether it is a project's and not the user's own.
    pub(super) of_project: bool,
}

impl PluginFile {
    /// Returns where a key of it is.
    pub(super) fn origin(&self, key: &str) -> Origin {
        Origin::file(self.of_project, &self.path, key)
    }

    /// Reads it, if it is there.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read, or is no file.
    pub(super) fn read(&self) -> io::Result<Option<String>> {
        small_text(&self.path)
    }
}

impl Settings {
    /// The file that a plugin has in the `.codex` of the working directory; the
    /// user's own, if that is the user's Codex home.
    pub(super) fn file_of_project(&self, name: &str) -> Option<PluginFile> {
        let dir = self.cwd.as_ref()?.join(".codex");
        let of_project = !self.is_own(&dir);
        Some(PluginFile { path: dir.join(name), of_project })
    }

    /// Whether a directory is a Codex home of the user's own: `~/.codex`, or
    /// that of `CODEX_HOME`.
    fn is_own(&self, dir: &Path) -> bool {
        let home = self.home.as_ref().map(|home| home.join(".codex"));
        home.iter().chain(&self.codex_home).any(|own| is_same_dir(own, dir))
    }

    /// Returns the files of a name in the user's own Codex homes, that of
    /// `CODEX_HOME` first.
    pub(super) fn own_files(&self, name: &str) -> Vec<PluginFile> {
        let home = self.home.as_ref().map(|home| home.join(".codex"));
        let mut dirs: Vec<&PathBuf> = self.codex_home.iter().chain(&home).collect();
        dirs.dedup();
        let file = |dir: &PathBuf| PluginFile { path: dir.join(name), of_project: false };
        dirs.into_iter().map(file).collect()
    }

    /// Returns what to say of a file in a Codex home that was given to be read,
    /// if it is there: it is not followed.
    pub(super) fn unfollowed_in_home(&self, name: &str) -> Option<Remark> {
        let home = self.foreign_home.as_ref()?;
        let path = home.join(name);
        path.is_file().then(|| Remark {
            message: format!(
                "`{}` is not followed: a home given by `--codex-home` is history, and no configuration",
                path.display()
            ),
            hint: Some(format!(
                "`CODEX_HOME={} codex-trace …` makes it your own configuration",
                home.display()
            )),
        })
    }
}

/// Returns what to say of a file of a project that is there and not followed.
pub(super) fn unfollowed(file: &PluginFile, names: &[&str]) -> Remark {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let says = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    Remark {
        message: format!(
            "`{}`{says} is not followed: a file in the working directory has no say in where your history goes",
            file.path.display()
        ),
        hint: Some(
            "`--trust-project` follows it; `--endpoint` and `--project` name a place".to_owned(),
        ),
    }
}

/// Reads a small file of text; `None` if nothing is there.
///
/// # Errors
///
/// If it cannot be read, is not a file, or is too large for a configuration.
pub(super) fn small_text(path: &Path) -> io::Result<Option<String>> {
    let absent = |err: &io::Error| {
        matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    };
    // Before it is opened: a FIFO would wait for somebody to write to it.
    match std::fs::metadata(path) {
        Err(err) if absent(&err) => return Ok(None),
        Err(err) => return Err(err),
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(io::Error::other("it is not a regular file")),
    }
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::other("it is too large for a configuration"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_directory_is_no_project_however_it_is_reached() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join(".codex")).unwrap();
        let settings = |cwd: &Path| Settings {
            home: Some(home.path().to_owned()),
            cwd: Some(cwd.to_owned()),
            ..Settings::default()
        };
        let of_project = |cwd: &Path| settings(cwd).file_of_project("x").unwrap().of_project;
        assert!(!of_project(home.path()));
        let repo = home.path().join("repo");
        std::fs::create_dir_all(repo.join(".codex")).unwrap();
        assert!(of_project(&repo));
        #[cfg(unix)]
        {
            let link = home.path().join("link");
            std::os::unix::fs::symlink(home.path(), &link).unwrap();
            assert!(!of_project(&link));
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
