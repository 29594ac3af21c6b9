use super::*;
use codex_trace_export::Shift;

const TIME: &str = "2026-03-01T10:00:00Z";

fn entry(turn: Option<&str>, outcome: Outcome, note: Option<&str>) -> Entry {
    Entry {
        key: UnitKey { thread_id: "t".to_owned(), turn: turn.map(str::to_owned) },
        route: "traces",
        fingerprint: Fingerprint([7; 32]),
        lines: None,
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

/// SQLite does not wait there by itself, however long it is told to.
#[test]
fn who_is_just_making_it_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Connection::open(dir.path().join("ledger.db")).unwrap();
    let maker = open();
    maker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let impatient = open();
    impatient.busy_timeout(BUSY).unwrap();
    let err = impatient.pragma_update(None, "journal_mode", "WAL").unwrap_err();
    assert_eq!(err.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    drop(impatient);
    std::thread::scope(|scope| {
        let opening = scope.spawn(|| Ledger::open(dir.path()));
        std::thread::sleep(10 * BUSY_LOOK);
        assert!(!opening.is_finished(), "{:?}", opening.join());
        maker.execute_batch("COMMIT").unwrap();
        opening.join().unwrap().unwrap();
    });
}

/// Names of older versions held what an address says in its query.
#[test]
fn no_key_of_a_query_stays_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let old = "otlp http://h/v1/traces?api_key=QKEY-0123456789#p";
    let file = FileStamp { path: "f".to_owned(), stamp: [1; 32] };
    let ledger = Ledger::open(dir.path()).unwrap();
    let why = "no answer from http://h/v1/traces?api_key=QKEY-0123456789";
    let entries =
        [entry(Some("1"), Outcome::Sent, None), entry(Some("2"), Outcome::Pending, Some(why))];
    ledger.record(old, &entries, std::slice::from_ref(&file), "now").unwrap();
    ledger.record("otlp http://other", &entries[..1], &[], "now").unwrap();
    drop(ledger);
    let ledger = Ledger::open(dir.path()).unwrap();
    let standings = ledger.standings().unwrap();
    let all = format!("{standings:?}");
    assert!(!all.contains("QKEY") && all.contains("otlp http://other"), "{all}");
    let renamed = &standings[0];
    assert_eq!((renamed.sent, renamed.pending), (1, 1));
    assert_eq!(renamed.destination, codex_trace_export::address::place_name(old));
    assert!(ledger.unchanged(&renamed.destination, &[file]).unwrap(), "nothing is sent again");
    drop(ledger);
    for name in ["ledger.db", "ledger.db-wal"] {
        let bytes = std::fs::read(dir.path().join(name)).unwrap_or_default();
        assert!(memchr::memmem::find(&bytes, b"QKEY").is_none(), "{name}");
    }
}

/// It had several names before; what either of them had is there.
#[test]
fn this_machine_is_one_place() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let all = |outcomes: [Outcome; 3]| {
        let turns = ["1", "2", "3"].into_iter().zip(outcomes);
        turns.map(|(turn, outcome)| entry(Some(turn), outcome, None)).collect::<Vec<_>>()
    };
    let (sent, pending) = (Outcome::Sent, Outcome::Pending);
    ledger.record("otlp http://localhost:1/x#p", &all([sent, sent, pending]), &[], "now").unwrap();
    ledger.record("otlp http://127.0.0.1:1/x#p", &all([sent, pending, sent]), &[], "now").unwrap();
    drop(ledger);
    let standings = Ledger::open(dir.path()).unwrap().standings().unwrap();
    let [standing] = &*standings else { panic!("{standings:?}") };
    assert_eq!(standing.destination, "otlp http://127.0.0.1:1/x#p");
    assert_eq!((standing.sent, standing.pending), (3, 0));
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
    ledger.record("x", &[entry(Some("1"), Outcome::Pending, Some("open"))], &[], "now").unwrap();
    let known = ledger.known("x", "t").unwrap();
    let key = |turn: &str| (turn.to_owned(), "traces".to_owned());
    let past = &known[&key("1")];
    assert_eq!((past.fingerprint, past.outcome), (Fingerprint([7; 32]), Outcome::Sent));
    assert_eq!(known[&key("2")].outcome, Outcome::Failed);
    assert!(ledger.known("y", "t").unwrap().is_empty());
    let standing = Standing {
        destination: "x".to_owned(),
        sent: 1,
        stale: 0,
        pending: 1,
        failed: 1,
        reasons: vec![reason(Outcome::Pending, "open", 1), reason(Outcome::Failed, "too old", 1)],
    };
    assert_eq!(ledger.standings().unwrap(), [standing]);
}

fn reason(outcome: Outcome, note: &str, turns: u64) -> Reason {
    Reason { outcome, note: note.to_owned(), turns }
}

/// The spans of turn 1 are there, the call that makes them final is not.
#[test]
fn a_turn_of_several_units_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    let last = |turn, outcome, note| Entry { route: "last", ..entry(Some(turn), outcome, note) };
    let entries = [
        entry(Some("1"), Outcome::Sent, None),
        last("1", Outcome::Pending, Some("no answer")),
        entry(Some("2"), Outcome::Sent, None),
        last("2", Outcome::Sent, None),
        entry(Some("3"), Outcome::Failed, Some("no")),
        last("3", Outcome::Pending, Some("waits")),
    ];
    ledger.record("x", &entries, &[], "now").unwrap();
    let standing = ledger.standings().unwrap().remove(0);
    assert_eq!((standing.sent, standing.pending, standing.failed), (1, 1, 1));
    let reasons = [reason(Outcome::Failed, "no", 1), reason(Outcome::Pending, "no answer", 1)];
    assert_eq!(standing.reasons, reasons);
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

/// The system lets one write to a file that is gone.
#[cfg(unix)]
#[test]
fn a_ledger_that_is_removed_is_missed() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    ledger.record("x", &[entry(Some("1"), Outcome::Sent, None)], &[], "now").unwrap();
    std::fs::remove_file(dir.path().join("ledger.db")).unwrap();
    let err = ledger.record("x", &[entry(Some("2"), Outcome::Sent, None)], &[], "now").unwrap_err();
    assert!(err.to_string().ends_with("ledger.db` was removed meanwhile"), "{err}");
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
    ledger.record("x", &[entry(Some("1"), Outcome::Sent, None)], &[], TIME).unwrap();
    let old = "DROP TABLE shift; ALTER TABLE unit DROP COLUMN lines; PRAGMA user_version = 1;";
    ledger.connection().execute_batch(old).unwrap();
    let read = Ledger::open_existing(dir.path()).unwrap().unwrap();
    let key = ("1".to_owned(), "traces".to_owned());
    let past = Past {
        fingerprint: Fingerprint([7; 32]),
        outcome: Outcome::Sent,
        lines: None,
        at: Some(TIME.parse().unwrap()),
    };
    assert_eq!(read.known("x", "t").unwrap()[&key], past);
    assert_eq!(read.shift("x", "s").unwrap(), None, "a dry run changes nothing");
    drop((ledger, read));
    let ledger = Ledger::open(dir.path()).unwrap();
    let shift = |millis| Shift { millis, found: 7 };
    ledger.keep_shift("x", "s", shift(1)).unwrap();
    ledger.keep_shift("x", "s", shift(2)).unwrap();
    assert_eq!(ledger.shift("x", "s").unwrap(), Some(shift(1)), "the first one stays");
    assert_eq!(ledger.shift("y", "s").unwrap(), None);
    assert_eq!(ledger.known("x", "t").unwrap()[&key], past);
    let unit = UnitKey { thread_id: "t".to_owned(), turn: Some("1".to_owned()) };
    for lines in [[1; 32], [2; 32]] {
        ledger.add_lines("x", &[(unit.clone(), "traces", Lines(lines))]).unwrap();
        let known = ledger.known("x", "t").unwrap().remove(&key).unwrap();
        assert_eq!(known, Past { lines: Some(Lines([1; 32])), ..past.clone() }, "the first stays");
    }
}

#[test]
fn a_newer_or_damaged_ledger_is_said_to_be_one() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(dir.path()).unwrap();
    ledger.connection().pragma_update(None, "user_version", 4).unwrap();
    drop(ledger);
    let err = Ledger::open(dir.path()).unwrap_err();
    assert!(err.to_string().contains("has version 4, this program knows version 3"), "{err}");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("ledger.db"), vec![b'x'; 4096]).unwrap();
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
