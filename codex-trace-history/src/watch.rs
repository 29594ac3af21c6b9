//! Who watches while a history is found.

use std::path::PathBuf;

/// Who watches while a history is found, and knows where it is.
pub trait Watch: Sync {
    /// Returns the Codex homes to look in where nothing is named, and who named
    /// them.
    fn codex_homes(&self) -> (&[PathBuf], &'static str);

    /// Says something that only the curious want to know.
    fn detail(&self, text: String) {
        drop(text);
    }

    /// Says what was odd but did not stop anything.
    fn warn(&self, text: String) {
        drop(text);
    }

    /// Says what failed while the rest went on.
    fn error(&self, text: String);

    /// A job of so many steps begins.
    fn start(&self, what: &'static str, steps: usize) {
        let _ = (what, steps);
    }

    /// A step is done.
    fn step(&self) {}

    /// The job has ended.
    fn stop(&self) {}
}
