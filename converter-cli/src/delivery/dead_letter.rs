use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::exporters::UnitKey;
use crate::json;
use crate::ledger::private_options;

/// A private file of what was refused, one JSON object a line: which unit, and
/// the server's answer. Never the content.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    file: Mutex<Option<File>>,
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
    /// Names the file; it is made when there is something to write.
    pub fn at(path: PathBuf) -> DeadLetters {
        DeadLetters { path, file: Mutex::default() }
    }

    /// Returns the file's name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    pub(super) fn add(&self, letter: DeadLetter<'_>) -> io::Result<()> {
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
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if file.is_none() {
            *file = Some(private_options().create(true).append(true).open(&self.path)?);
        }
        file.as_mut().map_or(Ok(()), |file| file.write_all(&line))
    }
}
