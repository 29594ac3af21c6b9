use rusqlite::{TransactionBehavior, params};

use crate::failure::Failure;
use crate::ledger::{Entry, FileStamp, Ledger, Lines};
use codex_trace_export::{Shift, UnitKey};

impl Ledger {
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
        self.patiently(|connection| {
            connection.execute(
                "INSERT OR IGNORE INTO shift VALUES (?1, ?2, ?3, ?4)",
                params![destination, session, shift.millis, shift.found],
            )
        })
        .map(drop)
    }

    /// Records what became of units and files, all of it or nothing.
    ///
    /// A unit that is there in any version stays so, whatever is pending of it.
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
        self.check_there()?;
        self.patiently(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut unit = tx.prepare_cached(
                    "INSERT INTO unit VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                     ON CONFLICT DO UPDATE SET fingerprint = excluded.fingerprint,
                       lines = excluded.lines, outcome = excluded.outcome, note = excluded.note, at = excluded.at
                     WHERE NOT (unit.outcome IN ('sent', 'stale') AND excluded.outcome = 'pending')",
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
                        entry.lines.map(|lines| lines.0),
                    ])?;
                }
                let mut file =
                    tx.prepare_cached("INSERT OR REPLACE INTO file VALUES (?1, ?2, ?3)")?;
                for stamp in files {
                    file.execute(params![destination, stamp.path, stamp.stamp])?;
                }
            }
            tx.commit()
        })
    }

    /// Notes of what lines units are made of that an older version recorded.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn add_lines(
        &self,
        destination: &str,
        units: &[(UnitKey, &'static str, Lines)],
    ) -> Result<(), Failure> {
        self.patiently(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut unit = tx.prepare_cached(
                    "UPDATE unit SET lines = ?5 WHERE destination = ?1 AND thread = ?2
                     AND turn = ?3 AND route = ?4 AND lines IS NULL",
                )?;
                for (key, route, lines) in units {
                    let turn = key.turn.as_deref().unwrap_or_default();
                    unit.execute(params![destination, key.thread_id, turn, route, lines.0])?;
                }
            }
            tx.commit()
        })
    }

    /// Takes back what was recorded of a turn that is there no longer, and of the
    /// files that it is in.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn lose(
        &self,
        destination: &str,
        key: &UnitKey,
        files: &[FileStamp],
        why: &str,
    ) -> Result<(), Failure> {
        self.patiently(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let turn = key.turn.as_deref().unwrap_or_default();
            tx.prepare_cached(
                "UPDATE unit SET outcome = 'pending', note = ?4
                 WHERE destination = ?1 AND thread = ?2 AND turn = ?3",
            )?
            .execute(params![destination, key.thread_id, turn, why])?;
            {
                let mut file =
                    tx.prepare_cached("DELETE FROM file WHERE destination = ?1 AND path = ?2")?;
                for stamp in files {
                    file.execute(params![destination, stamp.path])?;
                }
            }
            tx.commit()
        })
    }

    /// Forgets all of a destination.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn forget(&self, destination: &str) -> Result<(), Failure> {
        self.patiently(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for table in ["unit", "file", "shift"] {
                let text = format!("DELETE FROM {table} WHERE destination = ?1");
                tx.execute(&text, params![destination])?;
            }
            tx.commit()
        })
    }

    /// Takes back what was recorded of threads and files that are sent again.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn reopen<'t>(
        &self,
        destination: &str,
        threads: impl Iterator<Item = &'t str>,
        files: &[FileStamp],
    ) -> Result<(), Failure> {
        let threads: Vec<&str> = threads.collect();
        self.patiently(|connection| {
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            {
                let mut unit = tx.prepare_cached(
                    "UPDATE unit SET outcome = 'pending', note = 'is sent again'
                     WHERE destination = ?1 AND thread = ?2 AND outcome IN ('sent', 'stale')",
                )?;
                for thread in &threads {
                    unit.execute(params![destination, thread])?;
                }
                let mut file =
                    tx.prepare_cached("DELETE FROM file WHERE destination = ?1 AND path = ?2")?;
                for stamp in files {
                    file.execute(params![destination, stamp.path])?;
                }
            }
            tx.commit()
        })
    }
}
