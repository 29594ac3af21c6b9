//! Who watches a search on behalf of Python.

use std::path::PathBuf;

use codex_trace_history::Watch;

/// Knows where Codex keeps its histories. What fails is kept by the history
/// itself, as problems.
#[derive(Debug)]
pub(crate) struct Quiet {
    /// The homes in which ids are looked up.
    pub(crate) homes: Vec<PathBuf>,
}

impl Watch for Quiet {
    fn codex_homes(&self) -> (&[PathBuf], &'static str) {
        (&self.homes, "the default")
    }

    fn error(&self, _: String) {}
}
