//! How live delivery stands: what the worker leaves for `status` and `doctor`.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use codex_trace_deliver::private;
use codex_trace_model::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::live::queue::{self, Queue};
use crate::text::{count, escape};

const NAME: &str = "standing.json";

/// The largest file of it, in bytes.
const LARGEST: u64 = 64 << 10;

/// What the last worker noted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// When Codex called last, in milliseconds since 1970.
    pub called_at: Option<i64>,
    /// When all destinations had last acknowledged a session.
    pub delivered_at: Option<i64>,
    /// Why a destination, by its name, has not taken what waits for it.
    #[serde(default)]
    pub errors: BTreeMap<String, String>,
}

/// What waits, and why.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Sessions that wait to be acknowledged, or for a turn to end.
    pub waiting: usize,
    /// Whether a worker runs.
    pub working: bool,
    /// What the last worker noted; when Codex called last is up to date.
    pub noted: Noted,
}

impl Noted {
    /// Reads what was noted last.
    pub fn read(queue: &Queue) -> Noted {
        let read = private::small_bytes_here(&queue.dir().join(NAME), LARGEST).ok().flatten();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Writes it down.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, queue: &Queue) -> std::io::Result<()> {
        queue::write(queue.dir(), NAME, self)
    }
}

impl Standing {
    /// Returns how things stand; `None` if Codex has never called.
    pub fn of(state_dir: &Path) -> Option<Standing> {
        let queue = Queue::within(state_dir);
        if !queue.dir().is_dir() {
            return None;
        }
        let (new, waiting) = (queue.all_new(), queue.all_waiting());
        let mut noted = Noted::read(&queue);
        let at = new.iter().chain(&waiting).map(|entry| entry.at).max();
        noted.called_at = noted.called_at.max(at);
        let mut sessions: Vec<_> =
            new.into_iter().chain(waiting).map(|entry| (entry.home, entry.thread)).collect();
        sessions.sort_unstable();
        sessions.dedup();
        Some(Standing { waiting: sessions.len(), working: queue.has_worker(), noted })
    }
}

/// Writes a time as in all JSON.
fn time(millis: Option<i64>) -> Option<String> {
    Some(Timestamp::from_millisecond(millis?).ok()?.to_string())
}

impl Standing {
    /// Returns when Codex called last.
    pub fn called_at(&self) -> Option<String> {
        time(self.noted.called_at)
    }

    /// The line of `status --json`.
    pub fn json(&self) -> Value {
        json!({"type": "queue", "waiting": self.waiting, "working": self.working,
            "called_at": self.called_at(), "delivered_at": time(self.noted.delivered_at),
            "errors": self.noted.errors})
    }

    /// The same for people.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let called = self.called_at().map(|at| format!("; Codex called last at {at}"));
        writeln!(
            out,
            "hook: {} waiting{}{}",
            count(self.waiting, "session"),
            if self.working { ", a worker runs" } else { "" },
            called.unwrap_or_default()
        )?;
        for (name, reason) in &self.noted.errors {
            writeln!(out, "  {}: {}", escape(name), escape(reason))?;
        }
        Ok(())
    }
}
