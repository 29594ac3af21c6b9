//! What reached which destination: a SQLite database in the user's state
//! directory, private, written only after a destination has acknowledged.
//!
//! Two processes may use it at once. A row is a fact about the past; losing the
//! last ones costs sending the same units, with the same ids, once more.

mod existing;
mod places;
mod read;
mod write;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use codex_trace_model::Timestamp;
use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::clock::{Clock, jitter};
use crate::failure::Failure;
use crate::private;
use codex_trace_export::{Fingerprint, UnitKey};

/// The version of the tables.
pub const SCHEMA: i64 = 3;

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(30);

/// How much of that SQLite waits by itself, with the other threads waiting for
/// this one.
const BUSY_AT_ONCE: Duration = Duration::from_secs(1);

/// How often to look whether it is done, where SQLite does not wait by itself.
const BUSY_LOOK: Duration = Duration::from_millis(10);

const TABLES: &str = "
    CREATE TABLE unit (
        destination TEXT NOT NULL, thread TEXT NOT NULL, turn TEXT NOT NULL, route TEXT NOT NULL,
        fingerprint BLOB NOT NULL, outcome TEXT NOT NULL, note TEXT, at TEXT NOT NULL,
        PRIMARY KEY (destination, thread, turn, route)
    ) WITHOUT ROWID;
    CREATE TABLE file (
        destination TEXT NOT NULL, path TEXT NOT NULL, stamp BLOB NOT NULL,
        PRIMARY KEY (destination, path)
    ) WITHOUT ROWID;
    PRAGMA user_version = 1;";

/// What version 2 added.
const SHIFTS: &str = "
    CREATE TABLE shift (
        destination TEXT NOT NULL, session TEXT NOT NULL, millis INTEGER NOT NULL, found INTEGER NOT NULL,
        PRIMARY KEY (destination, session)
    ) WITHOUT ROWID;
    PRAGMA user_version = 2;";

/// What version 3 added: of what lines a unit was made.
const LINES: &str = "
    ALTER TABLE unit ADD COLUMN lines BLOB;
    PRAGMA user_version = 3;";

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Sent,
    /// The destination has an older version of it, and takes no other, or not yet.
    Stale,
    /// The destination refused it.
    Failed,
    /// It was not sent, or nobody knows.
    Pending,
}

impl Outcome {
    /// Returns the word for it, as in `status --json`.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Sent => "sent",
            Outcome::Stale => "stale",
            Outcome::Failed => "failed",
            Outcome::Pending => "pending",
        }
    }

    /// Returns whether the destination has it, in whatever version.
    pub fn is_there(self) -> bool {
        matches!(self, Outcome::Sent | Outcome::Stale)
    }

    fn of(word: &str) -> Outcome {
        match word {
            "sent" => Outcome::Sent,
            "stale" => Outcome::Stale,
            "failed" => Outcome::Failed,
            _ => Outcome::Pending,
        }
    }
}

/// What is to be recorded about a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The unit.
    pub key: UnitKey,
    /// The name of its route.
    pub route: &'static str,
    /// Its bytes.
    pub fingerprint: Fingerprint,
    /// The lines that it was made of, if they are known.
    pub lines: Option<Lines>,
    /// What became of it.
    pub outcome: Outcome,
    /// What the destination said, or why it was not sent.
    pub note: Option<String>,
}

/// A digest of the lines that a unit was made of, whatever was made of them: it
/// tells a session that has changed from one that is only written in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lines(pub [u8; 32]);

/// What the ledger knows of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its bytes, as they are there.
    pub fingerprint: Fingerprint,
    /// What became of it.
    pub outcome: Outcome,
    /// The lines that it was made of; not known of what versions before the third
    /// of the tables wrote.
    pub lines: Option<Lines>,
    /// The time of the run that wrote this.
    pub at: Option<Timestamp>,
}

/// The state of a file when all of it had been sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileStamp {
    /// The file.
    pub path: String,
    /// A digest of its length, time, beginning, and of how it was encoded.
    pub stamp: [u8; 32],
}

/// How things stand with a destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The destination, as [`Contract::destination`](codex_trace_export::Contract) says.
    pub destination: String,
    /// Turns of which all is there.
    pub sent: u64,
    /// Those of them that have changed since and are there as they were.
    pub stale: u64,
    /// Turns known, and not or not wholly sent.
    pub pending: u64,
    /// Turns of which something was refused.
    pub failed: u64,
    /// Why turns are pending or failed, or lack something, most frequent first.
    pub reasons: Vec<Reason>,
}

/// Why turns are not there, or not all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// How they stand.
    pub outcome: Outcome,
    /// What the destination said, or why they were not sent.
    pub note: String,
    /// How many.
    pub turns: u64,
}

/// What is known of the units of one thread: by turn (empty for the thread
/// itself) and route.
pub type Known = HashMap<(String, String), Past>;

/// The ledger, opened.
#[derive(Debug)]
pub struct Ledger {
    // A connection is not for two threads at once, and a write is a fraction of
    // a millisecond: a channel to a writer of its own would only hide errors.
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Ledger {
    /// Opens the ledger in a directory; makes both, private, unless they are there.
    ///
    /// # Errors
    ///
    /// If they cannot be made or written to, the file is no ledger, or was
    /// written by a newer version.
    pub fn open(dir: &Path) -> Result<Ledger, Failure> {
        private::make_dir(dir).map_err(|err| cannot(dir, &err))?;
        let path = dir.join("ledger.db");
        private::check_regular(&path).map_err(|err| cannot(&path, &err))?;
        let private = private::options().create(true).append(true).open(&path);
        drop(private.map_err(|err| cannot(&path, &err))?);
        let connection = Connection::open(&path).map_err(|err| cannot(&path, &err))?;
        let ledger = Ledger { connection: Mutex::new(connection), path };
        ledger.prepare()?;
        ledger.check_version()?;
        ledger.forget_queries()?;
        Ok(ledger)
    }

    /// Opens the ledger for reading, if there is one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_existing(dir: &Path) -> Result<Option<Ledger>, Failure> {
        let path = dir.join("ledger.db");
        if !path.exists() {
            return Ok(None);
        }
        private::check_regular(&path).map_err(|err| cannot(&path, &err))?;
        let connection = existing::open(&path).map_err(|err| cannot(&path, &err))?;
        let ledger = Ledger { connection: Mutex::new(connection), path };
        ledger.patiently(|connection| connection.busy_timeout(BUSY_AT_ONCE))?;
        if ledger.version()? == 0 {
            // Another process is about to make it.
            return Ok(None);
        }
        ledger.check_version()?;
        Ok(Some(ledger))
    }

    /// Makes the tables, unless they are there.
    fn prepare(&self) -> Result<(), Failure> {
        self.patiently(|connection| {
            connection.busy_timeout(BUSY_AT_ONCE)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            // Survives the death of the process; after that of the machine, at
            // worst the last units are sent again.
            connection.pragma_update(None, "synchronous", "NORMAL")?;
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let version: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version == 0 {
                tx.execute_batch(TABLES)?;
            }
            if version < 2 {
                tx.execute_batch(SHIFTS)?;
            }
            if version < 3 {
                tx.execute_batch(LINES)?;
            }
            tx.commit()
        })
    }

    fn version(&self) -> Result<i64, Failure> {
        self.patiently(|connection| {
            connection.query_row("PRAGMA user_version", [], |row| row.get(0))
        })
    }

    fn check_version(&self) -> Result<(), Failure> {
        let version = self.version()?;
        // A dry run changes nothing, and older versions only lack something.
        if (1..=SCHEMA).contains(&version) {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the ledger `{}` has version {version}, this program knows version {SCHEMA}",
            self.path.display()
        ))
        .hint("use a newer codex-trace, or another `--state-dir`"))
    }

    /// Does what another process may stand in the way of: every use of the
    /// connection comes by here.
    ///
    /// SQLite's own timeout covers whoever waits to begin. It does not cover a
    /// reader that wants to write, as a connection does that gives a new ledger
    /// its log: two that waited for each other's reading to end would wait for
    /// ever, so one is refused at once. Nor does it cover the few locks that
    /// are held for no time at all, unless the process that has one is stopped
    /// just then: after ten seconds that is an error.
    fn patiently<T>(
        &self,
        mut job: impl FnMut(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Failure> {
        let clock = Clock::start();
        loop {
            let done = job(&mut self.connection());
            match done {
                Err(err) if is_busy(&err) && clock.elapsed() < BUSY => {
                    std::thread::sleep(BUSY_LOOK.mul_f64(0.5 + jitter()));
                }
                done => return done.map_err(|err| self.failure(&err)),
            }
        }
    }

    /// Checks that the file still has its name: what is written to one that was
    /// removed is lost.
    fn check_there(&self) -> Result<(), Failure> {
        if self.path.exists() {
            return Ok(());
        }
        let failure =
            Failure::new(format!("the ledger `{}` was removed meanwhile", self.path.display()));
        Err(failure
            .hint("run the command again: what is not noted is sent again, with the same ids"))
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in between leaves a transaction that is rolled back.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failure(&self, err: &rusqlite::Error) -> Failure {
        let path = self.path.display();
        match err.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Failure::new(format!(
                "the ledger `{path}` is damaged: {err}"
            ))
            .hint("move the file away: all is then sent once more, with the same ids as before"),
            _ if is_busy(err) => Failure::new(format!("another process holds the ledger `{path}`"))
                .hint("wait for it to end, or use another `--state-dir`"),
            Some(ErrorCode::DiskFull) => {
                Failure::new(format!("no space left for the ledger `{path}`"))
                    .hint("make room and run the command again: it continues where it stopped")
            }
            _ => cannot(&self.path, err),
        }
    }
}

fn is_busy(err: &rusqlite::Error) -> bool {
    matches!(
        err.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
        )
    )
}

fn cannot(path: &Path, err: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot use the ledger `{}`: {err}", path.display()))
        .hint("the directory must be yours to write to; `--state-dir` names another one")
}

#[cfg(test)]
mod tests;
