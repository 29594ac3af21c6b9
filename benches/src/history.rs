//! The history that the tests make up, written to a temporary directory.

use codex_rollout::{RolloutPath, discover};
use tempfile::TempDir;

#[path = "../../converter-cli/tests/it/generated.rs"]
mod generated;

/// A history on disk, for as long as this lives.
#[derive(Debug)]
pub struct History {
    dir: TempDir,
    /// Its rollouts.
    pub rollouts: Vec<RolloutPath>,
    /// The size of all of them, in bytes.
    pub bytes: u64,
    /// The tokens of all of them, by how they were made.
    pub tokens: u64,
}

impl History {
    /// Makes a history of about 60 kB a session; always the same.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn make(sessions: u64) -> History {
        let options =
            generated::Options { sessions, turns: 6, output_len: 6_000, seed: 7, records: true };
        let made = generated::history(options);
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut bytes = 0;
        for (path, text) in &made.files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("in a directory")).expect("a directory");
            std::fs::write(&path, text).expect("a file");
            bytes += text.len() as u64;
        }
        let rollouts = discover(dir.path()).map(|found| found.expect("just written")).collect();
        let [input, _, output, _] = made.total.tokens;
        History { dir, rollouts, bytes, tokens: input + output }
    }

    /// Returns its directory: a Codex home.
    pub fn home(&self) -> &std::path::Path {
        self.dir.path()
    }
}
