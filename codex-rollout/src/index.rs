//! The names of threads in a home's `session_index.jsonl`: from 0.93 to about
//! 0.120 Codex wrote them nowhere else.

#![expect(clippy::disallowed_methods, reason = "the index of a home is opened here")]

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::discover::session_dirs;
use crate::scan::Cursor;
use crate::stream::LineStream;
use crate::text::JsonText;
use crate::wire::Field;

/// The longest line that is read, in bytes.
const MAX_LINE_LEN: usize = 1 << 20;

/// The most threads that are kept.
const MAX_THREADS: usize = 1 << 20;

/// The names of threads, by their ids.
#[derive(Clone, Debug, Default)]
pub struct SessionIndex {
    names: HashMap<String, Named>,
}

#[derive(Clone, Debug)]
struct Named {
    /// As JSON text without its quotes.
    name: String,
    updated_at: String,
}

impl SessionIndex {
    /// Takes in the index of a Codex home, if it has one that can be read. The
    /// last line of a thread counts, and of several homes the later one.
    pub fn take_in(&mut self, home: &Path) {
        let path = home.join("session_index.jsonl");
        // Neither a pipe nor a device is an index.
        if !path.metadata().is_ok_and(|metadata| metadata.is_file()) {
            return;
        }
        let Ok(file) = File::open(&path) else { return };
        let mut own: HashMap<String, Named> = HashMap::new();
        let mut lines = LineStream::new(Box::new(file)).max_line_len(MAX_LINE_LEN);
        loop {
            match lines.next_line() {
                Ok(Some((line, ..))) => {
                    let named = read(line);
                    own.extend(named.filter(|_| own.len() < MAX_THREADS));
                }
                Err(err) if err.is_about_a_line() => {}
                Ok(None) | Err(_) => break,
            }
        }
        for (id, named) in own {
            match self.names.get(&id) {
                Some(known) if known.updated_at >= named.updated_at => {}
                _ => {
                    self.names.insert(id, named);
                }
            }
        }
    }

    /// Returns the name of a thread, as JSON text without its quotes.
    pub fn name_of(&self, thread_id: &str) -> Option<&str> {
        self.names.get(thread_id).map(|named| named.name.as_str())
    }
}

fn read(line: &[u8]) -> Option<(String, Named)> {
    let (mut id, mut name, mut updated_at) = (None, None, None);
    let read = Cursor::new(line).object(|key, value| {
        match key {
            b"id" => id = JsonText::read(value)?,
            b"thread_name" => name = JsonText::read(value)?,
            b"updated_at" => updated_at = JsonText::read(value)?,
            _ => value.skip()?,
        }
        Ok(())
    });
    read.ok()?;
    let name = name.filter(|name: &JsonText<'_>| !name.decode().trim().is_empty())?;
    let name = String::from_utf8(name.raw().to_vec()).ok()?;
    let updated_at = updated_at.map(JsonText::decode).unwrap_or_default().into_owned();
    Some((id?.decode().into_owned(), Named { name, updated_at }))
}

/// Returns the home that a rollout lies in, by the directories above it.
pub fn home_of(rollout: &Path) -> Option<PathBuf> {
    let names = session_dirs(Path::new(""));
    let above = rollout.ancestors().skip(1);
    let tree = above.into_iter().find(|dir| {
        dir.file_name().is_some_and(|name| names.iter().any(|tree| tree.as_os_str() == name))
    })?;
    tree.parent().map(Path::to_path_buf)
}
