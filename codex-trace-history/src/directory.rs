//! The directory that a session worked in, as it is asked for.

use std::path::Path;

use codex_rollout::RecordedPath;

/// A directory that sessions may have worked in, on this machine or another.
#[derive(Clone, Debug)]
pub struct Directory {
    /// As it was said, made absolute, and where links lead from there.
    paths: Vec<RecordedPath>,
}

impl Directory {
    /// Makes a path absolute: `~` is the home directory. A path of another
    /// system is absolute already.
    pub fn resolve(path: &Path, home: Option<&Path>) -> Directory {
        let said = RecordedPath::new(&path.to_string_lossy());
        if said.is_absolute() && !path.is_absolute() {
            return Directory { paths: vec![said] };
        }
        let path = match (path.strip_prefix("~"), home) {
            (Ok(below), Some(home)) => home.join(below),
            _ => path.to_path_buf(),
        };
        // One that cannot be made absolute stays as it is, and matches nothing.
        let absolute = std::path::absolute(&path).unwrap_or(path);
        let real = std::fs::canonicalize(&absolute).ok();
        let texts = [Some(absolute), real].into_iter().flatten();
        Directory { paths: texts.map(|path| RecordedPath::new(&path.to_string_lossy())).collect() }
    }

    /// Returns whether a recorded working directory is this one, or below it.
    pub fn holds(&self, recorded: &str) -> bool {
        let within = |path: &RecordedPath| self.paths.iter().any(|dir| path.is_within(dir));
        let path = RecordedPath::new(recorded);
        let real = || std::fs::canonicalize(recorded);
        // What is no absolute path leads nowhere on this machine either.
        path.is_absolute()
            && (within(&path)
                || real().is_ok_and(|real| within(&RecordedPath::new(&real.to_string_lossy()))))
    }
}
