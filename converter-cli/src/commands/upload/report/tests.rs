use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use codex_trace_deliver::delivery::Tally;
use codex_trace_deliver::retry::RetryPolicy;
use codex_trace_export::UnitKey;

fn settings(dry_run: bool, dir: Option<&str>) -> UploadSettings {
    UploadSettings {
        state_dir: PathBuf::from("/state"),
        dry_run,
        dry_run_dir: dir.map(PathBuf::from),
        settle: Duration::ZERO,
        max_memory: 1,
        retry: RetryPolicy::default(),
    }
}

/// Two turns of one session and one of another, and what became of them.
fn account(fates: [Fate; 3]) -> Account {
    let mut tally = Tally::with_names();
    for (nth, (session, fate)) in ["a", "a", "b"].into_iter().zip(fates).enumerate() {
        let key = UnitKey { thread_id: session.to_owned(), turn: Some(format!("turn:{nth}")) };
        tally.note(session, &key, fate);
    }
    let name = "langsmith".to_owned();
    Account { name, tally, sessions: 2, sessions_seen: 2, ..Account::default() }
}

#[test]
fn the_sentence() {
    let (real, dry) = (settings(false, None), settings(true, None));
    let to_dir = settings(true, Some("out"));
    let letters = DeadLetters::within(Path::new("/state"));
    let all = account([Fate::Sent; 3]);
    let refused =
        Account { unreadable: 1, ..account([Fate::Sent, Fate::Rejected, Fate::Rejected]) };
    let none = account([Fate::AlreadyThere; 3]);
    let requests = Account { requests: 1, bytes: 438_502, ..all.clone() };
    let cases = [
        (&real, &all, "uploaded 3 turns of 2 sessions to langsmith"),
        (&real, &none, "uploaded nothing to langsmith"),
        (
            &real,
            &refused,
            "uploaded 1 turn of 1 session to langsmith, 2 rejected, 1 rollout unreadable",
        ),
        (
            &dry,
            &requests,
            "would upload 3 turns of 2 sessions to langsmith in 1 request of 438.5 kB in all",
        ),
        (
            &to_dir,
            &requests,
            "would upload 3 turns of 2 sessions to langsmith in 1 request of 438.5 kB in all, written to `out/langsmith`",
        ),
    ];
    for (upload, account, sentence) in cases {
        assert_eq!(Report { upload, dead_letters: &letters }.sentence(account), sentence);
    }
}

#[test]
fn every_turn_that_was_not_sent_is_accounted_for() {
    let account = Account { unchanged: 1, ..account([Fate::Open, Fate::TooOld, Fate::Unsent]) };
    assert_eq!(
        remarks(&account),
        [
            "1 session unchanged since uploaded",
            "1 turn still open, to be sent when settled (`--settle 0s` sends now)",
            "1 turn older than the destination accepts, not sent",
            "1 turn not sent",
        ]
    );
}
