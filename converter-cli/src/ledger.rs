//! What reached which destination: a SQLite database in the user's state
//! directory, private, written only after a destination has acknowledged.
//!
//! Two processes may use it at once. A row is a fact about the past; losing the
//! last ones costs sending the same units, with the same ids, once more.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};

use crate::clock::{Clock, jitter};
use crate::exporters::{Fingerprint, Shift, UnitKey};
use crate::failure::Failure;

/// The version of the tables.
pub const SCHEMA: i64 = 2;

/// How long to wait for another process.
const BUSY: Duration = Duration::from_secs(30);

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

/// What became of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination has it.
    Sent,
    /// The destination refused it.
    Failed,
    /// It was not sent, or nobody knows.
    Pending,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Sent => "sent",
            Outcome::Failed => "failed",
            Outcome::Pending => "pending",
        }
    }

    fn of(word: &str) -> Outcome {
        match word {
            "sent" => Outcome::Sent,
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
    /// What became of it.
    pub outcome: Outcome,
    /// What the destination said, or why it was not sent.
    pub note: Option<String>,
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
    /// The destination, as [`Contract::destination`](crate::exporters::Contract) says.
    pub destination: String,
    /// Units sent.
    pub sent: u64,
    /// Units known and not sent.
    pub pending: u64,
    /// Units refused.
    pub failed: u64,
    /// Why units are pending or failed, most frequent first, with their number.
    pub reasons: Vec<(String, u64)>,
}

/// What is known of the units of one thread: by turn (empty for the thread
/// itself) and route.
pub type Known = HashMap<(String, String), (Fingerprint, Outcome)>;

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
        make_private_dir(dir)?;
        let path = dir.join("ledger.db");
        let private = private_options().create(true).append(true).open(&path);
        drop(private.map_err(|err| cannot(&path, &err))?);
        let connection = Connection::open(&path).map_err(|err| cannot(&path, &err))?;
        let ledger = Ledger { connection: Mutex::new(connection), path };
        ledger.prepare().map_err(|err| ledger.failure(&err))?;
        ledger.check_version()?;
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
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&path, flags).map_err(|err| cannot(&path, &err))?;
        let ledger = Ledger { connection: Mutex::new(connection), path };
        ledger.connection().busy_timeout(BUSY).map_err(|err| ledger.failure(&err))?;
        if ledger.version()? == 0 {
            // Another process is about to make it.
            return Ok(None);
        }
        ledger.check_version()?;
        Ok(Some(ledger))
    }

    /// Makes the tables, unless they are there.
    fn prepare(&self) -> rusqlite::Result<()> {
        let mut connection = self.connection();
        connection.busy_timeout(BUSY)?;
        patiently(|| {
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
            tx.commit()
        })
    }

    fn version(&self) -> Result<i64, Failure> {
        let read = || self.connection().query_row("PRAGMA user_version", [], |row| row.get(0));
        patiently(read).map_err(|err| self.failure(&err))
    }

    fn check_version(&self) -> Result<(), Failure> {
        let version = self.version()?;
        // A dry run changes nothing, and the first version lacks only shifts.
        if version == SCHEMA || version == 1 {
            return Ok(());
        }
        Err(Failure::new(format!(
            "the ledger `{}` has version {version}, this program knows version {SCHEMA}",
            self.path.display()
        ))
        .hint("use a newer codex-trace, or another `--state-dir`"))
    }

    /// Returns what is known of a thread's units.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn known(&self, destination: &str, thread: &str) -> Result<Known, Failure> {
        let read = || {
            let connection = self.connection();
            let mut rows = connection.prepare_cached(
                "SELECT turn, route, fingerprint, outcome FROM unit WHERE destination = ?1 AND thread = ?2",
            )?;
            let rows = rows.query_map(params![destination, thread], |row| {
                let outcome: String = row.get(3)?;
                Ok(((row.get(0)?, row.get(1)?), (Fingerprint(row.get(2)?), Outcome::of(&outcome))))
            })?;
            rows.collect::<rusqlite::Result<Known>>()
        };
        patiently(read).map_err(|err| self.failure(&err))
    }

    /// Returns whether all of `files` are as they were when all of each had
    /// been sent.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn unchanged(&self, destination: &str, files: &[FileStamp]) -> Result<bool, Failure> {
        let read = || {
            let connection = self.connection();
            let mut row = connection
                .prepare_cached("SELECT stamp FROM file WHERE destination = ?1 AND path = ?2")?;
            for file in files {
                let stamp: Option<[u8; 32]> =
                    row.query_row(params![destination, file.path], |row| row.get(0)).optional()?;
                if stamp != Some(file.stamp) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        patiently(read).map_err(|err| self.failure(&err))
    }

    /// Returns by how much a session is moved at a destination.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn shift(&self, destination: &str, session: &str) -> Result<Option<Shift>, Failure> {
        let read = || {
            let connection = self.connection();
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version < 2 {
                return Ok(None);
            }
            let mut row = connection.prepare_cached(
                "SELECT millis, found FROM shift WHERE destination = ?1 AND session = ?2",
            )?;
            row.query_row(params![destination, session], |row| {
                Ok(Shift { millis: row.get(0)?, found: row.get(1)? })
            })
            .optional()
        };
        read().map_err(|err| self.failure(&err))
    }

    /// Keeps by how much a session is moved, unless that is known.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn keep_shift(
        &self,
        destination: &str,
        session: &str,
        shift: Shift,
    ) -> Result<(), Failure> {
        let write = || {
            self.connection().execute(
                "INSERT OR IGNORE INTO shift VALUES (?1, ?2, ?3, ?4)",
                params![destination, session, shift.millis, shift.found],
            )
        };
        write().map(drop).map_err(|err| self.failure(&err))
    }

    /// Records what became of units and files, all of it or nothing.
    ///
    /// A unit that was sent once stays so, whatever is pending of it.
    ///
    /// # Errors
    ///
    /// If it cannot be written: the disk is full, the directory is gone.
    pub fn record(
        &self,
        destination: &str,
        entries: &[Entry],
        files: &[FileStamp],
        at: &str,
    ) -> Result<(), Failure> {
        let write = || {
            let mut connection = self.connection();
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut unit = tx.prepare_cached(
                    "INSERT INTO unit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                     ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint,
                       outcome = excluded.outcome, note = excluded.note, at = excluded.at
                     WHERE NOT (unit.outcome = 'sent' AND excluded.outcome = 'pending')",
                )?;
                for entry in entries {
                    unit.execute(params![
                        destination,
                        entry.key.thread_id,
                        entry.key.turn.as_deref().unwrap_or_default(),
                        entry.route,
                        entry.fingerprint.0,
                        entry.outcome.word(),
                        entry.note,
                        at,
                    ])?;
                }
                let mut file =
                    tx.prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3)")?;
                for stamp in files {
                    file.execute(params![destination, stamp.path, stamp.stamp])?;
                }
            }
            tx.commit()
        };
        patiently(write).map_err(|err| self.failure(&err))
    }

    /// Returns how things stand with every destination, in alphabetical order.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn standings(&self) -> Result<Vec<Standing>, Failure> {
        let read = || {
            let connection = self.connection();
            let mut rows = connection.prepare(
                "SELECT destination, outcome, COALESCE(note, ''), COUNT(*) AS n FROM unit
                 GROUP BY 1, 2, CASE outcome WHEN 'sent' THEN '' ELSE COALESCE(note, '') END
                 ORDER BY 1, n DESC, 3",
            )?;
            let mut rows = rows.query([])?;
            let mut all: Vec<Standing> = Vec::new();
            while let Some(row) = rows.next()? {
                let destination: String = row.get(0)?;
                let (outcome, note): (String, String) = (row.get(1)?, row.get(2)?);
                let n = u64::try_from(row.get::<_, i64>(3)?).unwrap_or(0);
                if all.last().is_none_or(|last| last.destination != destination) {
                    all.push(Standing { destination, ..Standing::default() });
                }
                let Some(last) = all.last_mut() else { continue };
                match Outcome::of(&outcome) {
                    Outcome::Sent => last.sent += n,
                    Outcome::Failed => last.failed += n,
                    Outcome::Pending => last.pending += n,
                }
                if outcome != "sent" && !note.is_empty() {
                    last.reasons.push((note, n));
                }
            }
            Ok(all)
        };
        patiently(read).map_err(|err| self.failure(&err))
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
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Failure::new(format!("another process holds the ledger `{path}`"))
                    .hint("wait for it to end, or use another `--state-dir`")
            }
            Some(ErrorCode::DiskFull) => {
                Failure::new(format!("no space left for the ledger `{path}`"))
                    .hint("make room and run the command again: it goes on where it stopped")
            }
            _ => cannot(&self.path, err),
        }
    }
}

/// Does what another process may stand in the way of.
///
/// SQLite waits for most locks by itself, but not where waiting could be for
/// ever as far as it knows, and only for so long where the log is set up.
fn patiently<T>(mut job: impl FnMut() -> rusqlite::Result<T>) -> rusqlite::Result<T> {
    let clock = Clock::start();
    loop {
        match job() {
            Err(err) if is_busy(&err) && clock.elapsed() < BUSY => {
                std::thread::sleep(BUSY_LOOK.mul_f64(0.5 + jitter()));
            }
            done => return done,
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

/// Makes a directory that only its owner can look into, unless it is there.
fn make_private_dir(dir: &Path) -> Result<(), Failure> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|err| cannot(dir, &err))
}

/// Returns options that make a file which only its owner can read.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(turn: Option<&str>, outcome: Outcome, note: Option<&str>) -> Entry {
        Entry {
            key: UnitKey { thread_id: "t".to_owned(), turn: turn.map(str::to_owned) },
            route: "traces",
            fingerprint: Fingerprint([7; 32]),
            outcome,
            note: note.map(str::to_owned),
        }
    }

    /// Whoever comes first makes the tables; nobody is turned away meanwhile.
    #[test]
    fn many_may_make_it_at_once() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let together = std::sync::Barrier::new(8);
            std::thread::scope(|scope| {
                for nth in 0..8 {
                    let (dir, together) = (dir.path(), &together);
                    scope.spawn(move || {
                        together.wait();
                        let ledger = Ledger::open(dir).unwrap();
                        let entries = [entry(Some("1"), Outcome::Sent, None)];
                        ledger.record(&nth.to_string(), &entries, &[], "now").unwrap();
                    });
                }
            });
            assert_eq!(Ledger::open(dir.path()).unwrap().standings().unwrap().len(), 8);
        }
    }

    #[test]
    fn what_was_sent_is_known_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let entries = [
            entry(None, Outcome::Pending, Some("open")),
            entry(Some("1"), Outcome::Sent, None),
            entry(Some("2"), Outcome::Failed, Some("too old")),
        ];
        ledger.record("x", &entries, &[], "now").unwrap();
        ledger
            .record("x", &[entry(Some("1"), Outcome::Pending, Some("open"))], &[], "now")
            .unwrap();
        let known = ledger.known("x", "t").unwrap();
        let key = |turn: &str| (turn.to_owned(), "traces".to_owned());
        assert_eq!(known[&key("1")], (Fingerprint([7; 32]), Outcome::Sent));
        assert_eq!(known[&key("2")].1, Outcome::Failed);
        assert!(ledger.known("y", "t").unwrap().is_empty());
        let standing = Standing {
            destination: "x".to_owned(),
            sent: 1,
            pending: 1,
            failed: 1,
            reasons: vec![("open".to_owned(), 1), ("too old".to_owned(), 1)],
        };
        assert_eq!(ledger.standings().unwrap(), [standing]);
    }

    #[test]
    fn files_are_unchanged_only_if_all_are() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        let file = |path: &str, byte| FileStamp { path: path.to_owned(), stamp: [byte; 32] };
        ledger.record("x", &[], &[file("a", 1), file("b", 2)], "now").unwrap();
        assert!(ledger.unchanged("x", &[file("a", 1), file("b", 2)]).unwrap());
        assert!(!ledger.unchanged("x", &[file("a", 1), file("b", 3)]).unwrap());
        assert!(!ledger.unchanged("x", &[file("a", 1), file("c", 1)]).unwrap());
        assert!(!ledger.unchanged("y", &[file("a", 1)]).unwrap());
    }

    #[test]
    fn two_at_once_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let ledgers = [(); 2].map(|()| Ledger::open(dir.path()).unwrap());
        std::thread::scope(|scope| {
            for (nth, ledger) in ledgers.iter().enumerate() {
                scope.spawn(move || {
                    for n in 0..50 {
                        let turn = format!("{nth}-{n}");
                        let entries = [entry(Some(&turn), Outcome::Sent, None)];
                        ledger.record("x", &entries, &[], "now").unwrap();
                    }
                });
            }
        });
        assert_eq!(ledgers[0].known("x", "t").unwrap().len(), 100);
    }

    #[test]
    fn an_older_ledger_is_brought_up_to_date() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        ledger.connection().execute_batch("DROP TABLE shift; PRAGMA user_version = 1;").unwrap();
        let read = Ledger::open_existing(dir.path()).unwrap().unwrap();
        assert_eq!(read.shift("x", "s").unwrap(), None, "a dry run changes nothing");
        drop((ledger, read));
        let ledger = Ledger::open(dir.path()).unwrap();
        let shift = |millis| Shift { millis, found: 7 };
        ledger.keep_shift("x", "s", shift(1)).unwrap();
        ledger.keep_shift("x", "s", shift(2)).unwrap();
        assert_eq!(ledger.shift("x", "s").unwrap(), Some(shift(1)), "the first one stays");
        assert_eq!(ledger.shift("y", "s").unwrap(), None);
    }

    #[test]
    fn a_newer_or_damaged_ledger_is_said_to_be_one() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(dir.path()).unwrap();
        ledger.connection().pragma_update(None, "user_version", 3).unwrap();
        drop(ledger);
        let err = Ledger::open(dir.path()).unwrap_err();
        assert!(err.to_string().contains("has version 3, this program knows version 2"), "{err}");
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("ledger.db"), vec![b'x'; 4096]).unwrap();
        let err = Ledger::open(other.path()).unwrap_err();
        assert!(err.to_string().contains("is damaged"), "{err}");
        assert!(Ledger::open(Path::new("/dev/null/state")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let ledger = Ledger::open(&state).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&ledger.path)), (0o700, 0o600));
    }
}
