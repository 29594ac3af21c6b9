//! What live plugins keep beside rollouts: read before a session is encoded,
//! told of what is there afterwards.

pub mod braintrust;
pub mod langsmith;
pub mod logfire;
pub mod mlflow;
mod projects;

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use codex_trace_export::redact::UserRule;
use codex_trace_export::{Beside, Receipt};
use codex_trace_model::SpanIx;

/// Reads and writes what a live plugin keeps beside rollouts. Only the delivery
/// engine calls it: an exporter looks at no files.
pub trait Companion: Send + Sync {
    /// Reads what the plugin and its user have noted of turns.
    ///
    /// # Errors
    ///
    /// If there is something that cannot be read: why, for people. The session is
    /// left alone, as the user may want some of it kept back.
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        let _ = turns;
        Ok(Beside::default())
    }

    /// Returns what the project that a session was in says of its own sessions.
    fn project(&self, cwd: &Path) -> OfProject {
        let _ = cwd;
        OfProject::default()
    }

    /// Notes for the plugin that turns of one rollout are there. Called once the
    /// ledger has them; a failure is told, and changes nothing. Returns whether
    /// anything was noted: where there is no plugin, there is nothing to note.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or not in time.
    fn tell(
        &self,
        rollout: &Path,
        receipts: &[&Receipt],
        until: &Deadline<'_>,
    ) -> io::Result<bool> {
        let _ = (rollout, receipts, until);
        Ok(false)
    }
}

/// A turn, and the rollout that it is in.
#[derive(Clone, Debug)]
pub struct TurnFile<'s> {
    /// The turn's span.
    pub span: SpanIx,
    /// Its thread.
    pub thread_id: &'s str,
    /// Its id, as Codex recorded it.
    pub turn_id: String,
    /// Other ids by which a plugin may know it: a review shows the start of the
    /// reviewer's own turn, and nothing of the user's.
    pub other_ids: Vec<String>,
    /// The rollout, if it is a file.
    pub file: Option<&'s Path>,
    /// Other files of the thread: a plugin may have known the turn by one of
    /// them, before it was archived, copied, or went on elsewhere. Also those of
    /// other threads that begin with a copy of the turn.
    pub others: Vec<&'s Path>,
}

/// What a project says of its own sessions.
#[derive(Clone, Debug, Default)]
pub struct OfProject {
    /// The file that has switched them off.
    pub left_out: Option<String>,
    /// Why it is not known what may be sent of them, for people.
    pub refused: Option<String>,
    /// Whether turns of which nothing else is said go without content.
    pub muted: bool,
    /// What is to be redacted in them, too.
    pub rules: Vec<UserRule>,
    /// Where it wants them to go, if it says so.
    pub place: Option<PlaceOfProject>,
}

/// The place that a project's file names for its own sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceOfProject {
    /// The file.
    pub file: PathBuf,
    /// The server.
    pub server: Option<String>,
    /// The project or experiment, with its key in the file.
    pub project: Option<(&'static str, String)>,
    /// What else the file says of places, by its keys: the server's among them.
    pub more: Vec<&'static str>,
}

impl PlaceOfProject {
    /// Returns the keys of the file that name a place, for people.
    pub fn names(&self) -> String {
        let keys = self.more.iter().copied().chain(self.project.as_ref().map(|it| it.0));
        keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
    }
}

/// How long to wait for somebody else: some time, and not once the user wants
/// the run to end.
#[derive(Debug)]
pub struct Deadline<'d> {
    patience: Duration,
    rested: Cell<Duration>,
    interrupted: &'d AtomicBool,
}

impl<'d> Deadline<'d> {
    /// Begins to wait for at most `patience`.
    pub fn new(patience: Duration, interrupted: &'d AtomicBool) -> Deadline<'d> {
        Deadline { patience, rested: Cell::default(), interrupted }
    }

    /// Waits for a while; returns `false` if there is no more time for that.
    pub fn rest(&self, pause: Duration) -> bool {
        let rested = self.rested.get();
        if rested >= self.patience || self.interrupted.load(Ordering::Relaxed) {
            return false;
        }
        std::thread::sleep(pause);
        self.rested.set(rested + pause);
        true
    }

    /// Returns how long was waited.
    pub fn rested(&self) -> Duration {
        self.rested.get()
    }
}
