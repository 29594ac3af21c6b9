//! The files in which live plugins and Codex keep their configuration: the
//! user's own are followed, others only when the user says so.

use std::io;
use std::path::{Path, PathBuf};

use super::{Origin, Remark, Settings};

/// A file of a live plugin that may be there.
#[derive(Clone, Debug)]
pub(crate) struct PluginFile {
    pub(crate) path: PathBuf,
    /// Whether it is a project's and not the user's own.
    pub(crate) of_project: bool,
}

impl PluginFile {
    /// Returns where a key of it is.
    pub(crate) fn origin(&self, key: &str) -> Origin {
        Origin::file(self.of_project, &self.path, key)
    }

    /// Reads it, if it is there.
    ///
    /// # Errors
    ///
    /// If it is there and cannot be read, or is no file.
    pub(crate) fn read(&self, settings: &Settings) -> io::Result<Option<String>> {
        settings.files.small_text(&self.path)
    }
}

impl Settings {
    /// The file that a plugin has in the `.codex` of the working directory; the
    /// user's own, if that is the user's Codex home.
    pub(crate) fn file_of_project(&self, name: &str) -> Option<PluginFile> {
        let dir = self.cwd.as_ref()?.join(".codex");
        let of_project = !self.is_own(&dir);
        Some(PluginFile { path: dir.join(name), of_project })
    }

    /// Whether a directory is a Codex home of the user's own: `~/.codex`, or
    /// that of `CODEX_HOME`.
    fn is_own(&self, dir: &Path) -> bool {
        let home = self.home.as_ref().map(|home| home.join(".codex"));
        home.iter().chain(&self.codex_home).any(|own| self.files.is_same_dir(own, dir))
    }

    /// Returns the files of a name in the user's own Codex homes, that of
    /// `CODEX_HOME` first.
    pub(crate) fn own_files(&self, name: &str) -> Vec<PluginFile> {
        let home = self.home.as_ref().map(|home| home.join(".codex"));
        let mut dirs: Vec<&PathBuf> = self.codex_home.iter().chain(&home).collect();
        dirs.dedup();
        let file = |dir: &PathBuf| PluginFile { path: dir.join(name), of_project: false };
        dirs.into_iter().map(file).collect()
    }

    /// Returns what to say of a file in a Codex home that was given to be read,
    /// if it is there: it is not followed.
    pub(crate) fn unfollowed_in_home(&self, name: &str) -> Option<Remark> {
        let home = self.foreign_home.as_ref()?;
        let path = home.join(name);
        self.files.is_file(&path).then(|| Remark {
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
pub(crate) fn unfollowed(file: &PluginFile, names: &[&str]) -> Remark {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let says = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    Remark {
        message: format!(
            "`{}`{says} is not followed: a file in the working directory does not decide where your history is sent",
            file.path.display()
        ),
        hint: Some(
            "`--trust-project` follows it; `--endpoint` and `--project` name a place".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_own_directory_is_no_project() {
        let settings = |cwd: &str| Settings {
            home: Some("/home/u".into()),
            cwd: Some(cwd.into()),
            ..Settings::default()
        };
        let of_project = |cwd: &str| settings(cwd).file_of_project("x").unwrap().of_project;
        assert!(!of_project("/home/u"));
        assert!(of_project("/home/u/repo"));
    }
}
