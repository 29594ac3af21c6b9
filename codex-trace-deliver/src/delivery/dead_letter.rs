use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::private;
use codex_trace_export::UnitKey;
use codex_trace_export::json;

/// Private files of what was refused, one for each destination, one JSON object
/// a line: which unit, and the server's answer. Never the content.
#[derive(Debug)]
pub struct DeadLetters {
    dir: PathBuf,
    files: Mutex<HashMap<PathBuf, File>>,
}

/// What was refused.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeadLetter<'l> {
    pub(super) at: &'l str,
    pub(super) destination: &'l str,
    pub(super) route: &'l str,
    pub(super) key: &'l UnitKey,
    pub(super) pieces: (usize, usize),
    pub(super) spans: u32,
    pub(super) bytes: usize,
    pub(super) answer: &'l str,
}

impl DeadLetters {
    /// Names the directory; a file is made when there is something to write.
    pub fn within(dir: &Path) -> DeadLetters {
        DeadLetters { dir: dir.to_path_buf(), files: Mutex::default() }
    }

    /// Returns the file of a destination, by the name that it goes by.
    pub fn path(&self, name: &str) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        self.dir.join(format!("dead-letters-{name}.jsonl"))
    }

    /// Adds a line to the file of a destination.
    pub(super) fn add(&self, name: &str, letter: DeadLetter<'_>) -> io::Result<()> {
        let mut line = Vec::new();
        json::object(&mut line, |o| {
            o.put("at", letter.at);
            o.put("destination", letter.destination);
            o.put("route", letter.route);
            o.put("thread_id", &letter.key.thread_id);
            o.maybe("turn", letter.key.turn.as_ref());
            o.put("first_piece", letter.pieces.0);
            o.put("end_piece", letter.pieces.1);
            o.put("spans", u64::from(letter.spans));
            o.put("bytes", letter.bytes);
            o.put("answer", letter.answer);
        });
        line.push(b'\n');
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match files.entry(self.path(name)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                let file = private::options().create(true).append(true).open(entry.key())?;
                entry.insert(file)
            }
        };
        file.write_all(&line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_destination_has_a_file_and_none_leaves_the_directory() {
        let letters = DeadLetters::within(Path::new("state"));
        let path = |name| letters.path(name).display().to_string();
        assert_eq!(path("otlp"), "state/dead-letters-otlp.jsonl");
        assert_eq!(path("langsmith#2"), "state/dead-letters-langsmith-2.jsonl");
        assert_eq!(path("../my home"), "state/dead-letters-..-my-home.jsonl");
    }
}
