//! Opening a ledger that is there, also where nothing can be written.

use std::path::Path;

use codex_trace_export::address::percent_encoded;
use rusqlite::{Connection, ErrorCode, OpenFlags};

/// Opens a ledger to read it, and to write to it if that is possible. On a
/// file system that is read-only nobody else writes to it either.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))?;
        Ok(connection)
    });
    let cannot_write = |err: &rusqlite::Error| {
        matches!(err.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
    };
    match opened {
        Err(err) if cannot_write(&err) && is_all_there(path) => unchanging(path),
        // Whoever is at it is waited for later.
        Err(err) if err.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
            Connection::open_with_flags(path, flags)
        }
        opened => opened,
    }
}

/// Whether nothing of a ledger is still in the file beside it that takes what is
/// written at first.
fn is_all_there(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(Path::new(&log)).map_or(true, |it| it.len() == 0)
}

/// Opens a ledger that does not change, without the files that would be made
/// beside it.
fn unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let path = percent_encoded(path.as_os_str().as_encoded_bytes());
    let address = format!("file:{path}?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(address, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn what_does_not_change_is_read_and_nothing_is_made_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a b?c#%41");
        drop(Ledger::open(&state).unwrap());
        let path = state.join("ledger.db");
        assert!(is_all_there(&path));
        for name in ["ledger.db-wal", "ledger.db-shm"] {
            std::fs::remove_file(state.join(name)).ok();
        }
        let connection = unchanging(&path).unwrap();
        let version: i64 =
            connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert!(version > 0);
        assert!(connection.execute("DELETE FROM unit", []).is_err());
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1);
        std::fs::write(state.join("ledger.db-wal"), "x").unwrap();
        assert!(!is_all_there(&path));
    }
}
