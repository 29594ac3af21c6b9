//! A new version writes the same sessions in another way: what has not changed is
//! not taken for changed.

use std::fs;

use codex_trace_deliver::delivery::{Account, Fate};
use codex_trace_deliver::ledger::Ledger;
use codex_trace_export::Rewrite;
use converter_cli::exit::{ExitStatus, of_upload};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::delivery::{Stage, append, as_if, completed, opened, rollout_path};
use crate::scripted_server::{Act, Server};

/// Uploads as a version would that adds something to every line.
fn upload_as_newer(stage: &Stage, rewrite: Rewrite, server: &Server, version: usize) -> Account {
    let mut toy = as_if(rewrite, server);
    toy.padding = version;
    stage.case.upload(toy).expect("a ledger")
}

#[test]
fn another_form_of_the_same_lines_is_no_change() {
    for rewrite in [Rewrite::Ignored, Rewrite::Doubles] {
        let mut stage = Stage::new(2, 2);
        let server = stage.arrives(&[], &Act::Ok);
        stage.case.options.encoding = "newer".to_owned();
        let account = upload_as_newer(&stage, rewrite, &server, 1);
        assert_eq!((account.earlier_form, account.kept, account.sent), (6, 0, 0), "{account:?}");
        assert_eq!(account.tally.turns(Fate::EarlierForm), 4);
        assert!(account.is_useful());
        assert_eq!(of_upload(&[account], false, false), ExitStatus::Complete);
        let standing = Ledger::open(&stage.case.state).unwrap().standings().unwrap().remove(0);
        assert_eq!((standing.sent, standing.stale, standing.pending), (6, 0, 0));
        assert!(standing.reasons.is_empty(), "{standing:?}");
        // Told once, as long as nothing else changes.
        let account = upload_as_newer(&stage, rewrite, &server, 1);
        assert_eq!((account.unchanged, account.earlier_form), (2, 0));
        // What is new is sent, in the new form; the session's own line has changed.
        append(&stage, &(opened(2) + &completed(2, "new")), super::delivery::DAY);
        let account = upload_as_newer(&stage, rewrite, &server, 1);
        let turns = [Fate::EarlierForm, Fate::Sent, Fate::Kept].map(|it| account.tally.turns(it));
        assert_eq!(turns, [2, 1, 0], "{account:?}");
        // What has changed has changed, whatever else did.
        let path = rollout_path(&stage.case.home, 1);
        let before = fs::read_to_string(&path).unwrap();
        fs::write(&path, before.replace("answer 1.0.", "answer 1.x.")).unwrap();
        let account = upload_as_newer(&stage, rewrite, &server, 2);
        let turns = [Fate::EarlierForm, Fate::Sent, Fate::Kept].map(|it| account.tally.turns(it));
        assert_eq!(turns, [4, 0, 1], "{account:?}");
        // Who forces knows better.
        stage.case.options.force = true;
        let account = upload_as_newer(&stage, rewrite, &server, 2);
        assert_eq!((account.turns(), account.earlier_form), (5, 0));
    }
}

/// Where the new form can take the place of the old one, it does.
#[test]
fn what_can_be_replaced_is_written_anew() {
    let mut stage = Stage::new(1, 2);
    let server = stage.arrives(&[], &Act::Ok);
    stage.case.options.encoding = "newer".to_owned();
    let account = upload_as_newer(&stage, Rewrite::Replaces, &server, 1);
    assert_eq!((account.turns(), account.earlier_form, account.kept), (2, 0, 0));
}

/// It does not say of what lines its units were made; their time has to do.
#[test]
fn an_older_ledger_is_believed_by_its_time() {
    for (at, expected) in [("2026-03-01T10:30:00Z", [2, 0]), ("2026-03-01T10:00:30Z", [1, 1])] {
        let mut stage = Stage::new(1, 2);
        let server = stage.arrives(&[], &Act::Ok);
        let connection = Connection::open(stage.case.state.join("ledger.db")).unwrap();
        connection
            .execute_batch(&format!(
                "UPDATE unit SET at = '{at}'; ALTER TABLE unit DROP COLUMN lines;
                 PRAGMA user_version = 2;"
            ))
            .unwrap();
        drop(connection);
        stage.case.options.encoding = "newer".to_owned();
        for _ in 0..2 {
            let account = upload_as_newer(&stage, Rewrite::Doubles, &server, 1);
            if account.unchanged == 0 {
                let turns = [Fate::EarlierForm, Fate::Kept].map(|it| account.tally.turns(it));
                assert_eq!(turns, expected, "{account:?}");
            }
        }
    }
}

/// Older versions noted the SHA-256 of the lines: by hand, of the first line and
/// those of the turn.
#[test]
fn an_older_digest_of_the_same_lines_is_known() {
    for (salt, expected) in [("", [2, 0]), ("other lines", [0, 2])] {
        let mut stage = Stage::new(1, 2);
        let server = stage.arrives(&[], &Act::Ok);
        let text = fs::read_to_string(rollout_path(&stage.case.home, 0)).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let connection = Connection::open(stage.case.state.join("ledger.db")).unwrap();
        for turn in 0..2 {
            let is_of = |line: &&&str| line.contains(&format!("\"t-{turn}\""));
            let first = lines.iter().position(|line| is_of(&line)).unwrap();
            let last = lines.iter().rposition(|line| is_of(&line)).unwrap();
            let own = [lines[0], &lines[first..=last].concat(), salt].concat();
            let digest: [u8; 32] = Sha256::digest(own.as_bytes()).into();
            let n = connection
                .execute(
                    "UPDATE unit SET lines = ?1 WHERE turn = ?2",
                    rusqlite::params![digest, format!("turn:t-{turn}")],
                )
                .unwrap();
            assert!(n > 0, "turn {turn}");
        }
        drop(connection);
        stage.case.options.encoding = "newer".to_owned();
        let account = upload_as_newer(&stage, Rewrite::Doubles, &server, 1);
        let turns = [Fate::EarlierForm, Fate::Kept].map(|it| account.tally.turns(it));
        assert_eq!(turns, expected, "{account:?}");
    }
}
