use rusqlite::{Connection, OptionalExtension, params};

use crate::failure::Failure;
use crate::ledger::{FileStamp, Known, Ledger, Lines, Outcome, Past, Reason, Standing};
use codex_trace_export::{Fingerprint, Shift};

impl Ledger {
    /// Returns what is known of a thread's units.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn known(&self, destination: &str, thread: &str) -> Result<Known, Failure> {
        self.patiently(|connection| {
            let lines = if version_of(connection)? < 3 { "NULL" } else { "lines" };
            let mut rows = connection.prepare_cached(&format!(
                "SELECT turn, route, fingerprint, outcome, {lines}, at FROM unit
                 WHERE destination = ?1 AND thread = ?2"
            ))?;
            let rows = rows.query_map(params![destination, thread], |row| {
                let (outcome, at): (String, String) = (row.get(3)?, row.get(5)?);
                let past = Past {
                    fingerprint: Fingerprint(row.get(2)?),
                    outcome: Outcome::of(&outcome),
                    lines: row.get::<_, Option<[u8; 32]>>(4)?.map(Lines),
                    at: at.parse().ok(),
                };
                Ok(((row.get(0)?, row.get(1)?), past))
            })?;
            rows.collect::<rusqlite::Result<Known>>()
        })
    }

    /// Returns whether all of `files` are as they were when all of each had
    /// been sent.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn unchanged(&self, destination: &str, files: &[FileStamp]) -> Result<bool, Failure> {
        self.patiently(|connection| {
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
        })
    }

    /// Returns by how much a session is moved at a destination.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn shift(&self, destination: &str, session: &str) -> Result<Option<Shift>, Failure> {
        self.patiently(|connection| {
            if version_of(connection)? < 2 {
                return Ok(None);
            }
            let mut row = connection.prepare_cached(
                "SELECT millis, found FROM shift WHERE destination = ?1 AND session = ?2",
            )?;
            row.query_row(params![destination, session], |row| {
                Ok(Shift { millis: row.get(0)?, found: row.get(1)? })
            })
            .optional()
        })
    }

    /// Returns how things stand with every destination, in alphabetical order:
    /// turn by turn, whatever units a backend makes of one.
    ///
    /// # Errors
    ///
    /// If the ledger cannot be read.
    pub fn standings(&self) -> Result<Vec<Standing>, Failure> {
        self.patiently(|connection| {
            let mut rows = connection.prepare(
                // A turn stands as the worst of its units does; the other columns
                // are those of the row that has the maximum.
                "SELECT destination, outcome, note, COUNT(*) AS n FROM (
                     SELECT destination, outcome, COALESCE(note, '') AS note,
                         MAX(CASE outcome WHEN 'sent' THEN note IS NOT NULL WHEN 'stale' THEN 2
                                          WHEN 'pending' THEN 3 ELSE 4 END)
                     FROM unit GROUP BY destination, thread, turn)
                 GROUP BY 1, 2, 3 ORDER BY 1, n DESC, 3",
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
                let outcome = Outcome::of(&outcome);
                match outcome {
                    Outcome::Sent => last.sent += n,
                    Outcome::Stale => {
                        last.sent += n;
                        last.stale += n;
                    }
                    Outcome::Failed => last.failed += n,
                    Outcome::Pending => last.pending += n,
                }
                if !note.is_empty() {
                    last.reasons.push(Reason { outcome, note, turns: n });
                }
            }
            Ok(all)
        })
    }
}

/// Returns the version of the tables: a dry run leaves an older one as it is.
fn version_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}
