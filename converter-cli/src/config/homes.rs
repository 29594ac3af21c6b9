//! Several Codex homes in one setting.

use std::path::{Path, PathBuf};

/// Returns the directories that a setting names: one, or several with commas
/// between them, as other tools read `CODEX_HOME`. A directory whose name has a
/// comma is found first. `~` is the home directory where no shell replaced it.
pub(super) fn listed(setting: &Path, home: Option<&Path>) -> Vec<PathBuf> {
    let expand = |path: &Path| match (path.strip_prefix("~"), home) {
        (Ok(below), Some(home)) if below.as_os_str().is_empty() => home.to_path_buf(),
        (Ok(below), Some(home)) => home.join(below),
        _ => path.to_path_buf(),
    };
    let whole = expand(setting);
    match setting.to_str() {
        Some(text) if text.contains(',') && !whole.is_dir() => {
            let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
            parts.map(|part| expand(Path::new(part))).collect()
        }
        _ => vec![whole],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_homes_unless_there_is_such_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let comma = dir.path().join("a,b");
        let home = Some(Path::new("/home/u"));
        assert_eq!(listed(&comma, home).len(), 2);
        std::fs::create_dir(&comma).unwrap();
        assert_eq!(listed(&comma, home), [comma]);
        let homes = listed(Path::new("~/.codex, ~,/x,"), home);
        assert_eq!(homes, ["/home/u/.codex", "/home/u", "/x"].map(PathBuf::from));
        assert_eq!(listed(Path::new("~u/x"), home), [PathBuf::from("~u/x")]);
    }
}
