//! The names of places, as older versions have written them.

use rusqlite::{TransactionBehavior, params};

use codex_trace_export::address;

use crate::failure::Failure;
use crate::ledger::Ledger;

impl Ledger {
    /// Gives places the names that they have now: without what an address says in
    /// its query, and what was said about them, as there may be a key in it; with
    /// one name for this machine. Nothing is sent again because of that.
    pub(super) fn forget_queries(&self) -> Result<(), Failure> {
        self.patiently(|connection| {
            let names = names(connection)?;
            let old: Vec<_> =
                names.iter().filter(|name| address::place_name(name) != **name).collect();
            if old.is_empty() {
                return Ok(());
            }
            // Not even in pages that are free.
            connection.pragma_update(None, "secure_delete", "ON")?;
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for name in old {
                let new = address::place_name(name);
                // What either name says is there is there.
                tx.execute(
                    "DELETE FROM unit AS other WHERE destination = ?2
                     AND outcome NOT IN ('sent', 'stale') AND EXISTS (
                         SELECT 1 FROM unit WHERE unit.destination = ?1
                         AND unit.thread = other.thread AND unit.turn = other.turn
                         AND unit.route = other.route AND unit.outcome IN ('sent', 'stale'))",
                    params![name, new],
                )?;
                for table in ["unit", "file", "shift"] {
                    let text = format!(
                        "UPDATE OR IGNORE {table} SET destination = ?2 WHERE destination = ?1"
                    );
                    tx.execute(&text, params![name, new])?;
                    let text = format!("DELETE FROM {table} WHERE destination = ?1");
                    tx.execute(&text, params![name])?;
                }
                if !name.contains('?') {
                    continue;
                }
                tx.execute(
                    "UPDATE unit SET note = NULL WHERE destination = ?1 AND note LIKE '%://%'",
                    params![new],
                )?;
            }
            tx.commit()
        })
    }
}

/// Returns the names of all places, from one to the next and not row by row.
fn names(connection: &rusqlite::Connection) -> rusqlite::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut next = connection.prepare(
        "SELECT destination FROM unit WHERE destination > ?1 ORDER BY destination LIMIT 1",
    )?;
    loop {
        let last = names.last().map_or("", String::as_str);
        let mut rows = next.query(params![last])?;
        match rows.next()? {
            Some(row) => {
                let name = row.get(0)?;
                drop(rows);
                names.push(name);
            }
            None => return Ok(names),
        }
    }
}
