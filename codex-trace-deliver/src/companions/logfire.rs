//! What the live exporter of Logfire keeps in its state directory: which turns
//! it has sent, as far as that is to be told.
//!
//! It deletes what it knows of a turn once that is sent, and of a session a day
//! after its last event. What is left: the file of a session, which only 0.1.0
//! writes; the fragment of a turn that was not sent; where its user has switched
//! that on, a log of everything; and the directories themselves, whose times say
//! since when it was at work and when it last noted or sent a turn.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{fs, io};

use codex_trace_export::{Beside, Receipt, Settings, TurnNote, TurnState, logfire};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::companions::{Companion, Deadline, TurnFile};
use crate::private;

/// The most that the file of a session may hold, in bytes.
const MAX_SESSION: u64 = 1 << 20;

/// The most of the log that is read, in bytes.
const MAX_LOG: u64 = 64 << 20;

/// The companion of Logfire.
#[derive(Debug)]
struct Exporter {
    state: Option<PathBuf>,
}

/// Makes the companion for the settings of a destination.
pub fn companion(settings: &Settings) -> Box<dyn Companion> {
    Box::new(Exporter { state: logfire::state_dir(settings) })
}

/// What is left of a session.
#[derive(Deserialize)]
struct Session {
    started_at_ns: Option<u64>,
}

/// What the log tells.
#[derive(Debug, Default, PartialEq)]
struct Log {
    /// Session and turn of what was sent.
    sent: HashSet<(String, String)>,
    /// The sessions that told of their tools, or of their start: of 0.1.0.
    told: HashSet<String>,
}

/// When the exporter was at work, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AtWork {
    /// Since when it has noted turns.
    from: u64,
    /// When it last noted or sent one.
    until: u64,
    /// When it last noted or forgot a session, which 0.2.0 does not note.
    sessions: Option<u64>,
}

impl AtWork {
    /// Reads the times of its directories; nothing where the disk does not keep
    /// when they were made.
    fn read(state: &Path) -> Option<AtWork> {
        let turns = fs::metadata(state.join("turns")).ok()?;
        let made = [fs::metadata(state).ok()?.created(), turns.created()];
        let from = made.into_iter().filter_map(|at| millis(at.ok()?)).min()?;
        let sessions = fs::metadata(state.join("sessions")).and_then(|it| it.modified());
        let sessions = sessions.ok().and_then(millis);
        Some(AtWork { from, until: millis(turns.modified().ok()?)?, sessions })
    }

    /// Returns what became of a turn that left nothing, if it came to its end
    /// and was no session's of 0.1.0 that is still known.
    fn place_of(&self, turn_id: &str) -> Option<&'static str> {
        let turn = v7_millis(turn_id)?;
        // The directory is made by the first turn.
        let is_its = turn + 60_000 > self.from && turn <= self.until;
        let is_newer = self.sessions.is_none_or(|sessions| turn > sessions);
        let place = if is_newer { logfire::BARE_IF_DONE } else { logfire::SENT_IF_DONE };
        is_its.then_some(place)
    }
}

fn millis(at: SystemTime) -> Option<u64> {
    u64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

impl Companion for Exporter {
    fn look(&self, turns: &[TurnFile<'_>]) -> Result<Beside, String> {
        let mut beside = Beside::default();
        let Some(state) = self.state.as_deref().filter(|dir| dir.is_dir()) else {
            return Ok(beside);
        };
        let log = log(&state.join("logs").join("logfire-exporter.log"))?;
        let at_work = AtWork::read(state);
        let mut sessions = HashMap::new();
        for turn in turns {
            let id = turn.thread_id;
            if !sessions.contains_key(id) {
                sessions.insert(id, session(state, id)?);
            }
            let session = sessions.get(id).and_then(Option::as_ref);
            let in_log = log.sent.contains(&(id.to_owned(), turn.turn_id.clone()));
            let left = || state.join("turns").join(file_name(&[id, &turn.turn_id])).exists();
            let by_file = || session.is_some_and(|it| it.has_seen(&turn.turn_id)) && !left();
            let by_time = || {
                let place = at_work.as_ref()?.place_of(&turn.turn_id);
                place.filter(|_| session.is_none() && !left())
            };
            let place = if in_log {
                (session.is_none() && !log.told.contains(id)).then_some(logfire::BARE)
            } else if by_file() {
                None
            } else if let Some(place) = by_time() {
                Some(place)
            } else {
                continue;
            };
            let note = TurnNote {
                state: Some(TurnState::Claimed),
                place: place.map(str::to_owned),
                ..TurnNote::default()
            };
            beside.insert(turn.span, note);
        }
        Ok(beside)
    }

    /// The exporter reads nothing of ours.
    fn tell(&self, _: &Path, _: &[&Receipt], _: &Deadline<'_>) -> io::Result<bool> {
        Ok(false)
    }
}

impl Session {
    /// Whether a turn began after the exporter had heard of the session. Where
    /// the id does not say when it was, it did.
    fn has_seen(&self, turn_id: &str) -> bool {
        match (v7_millis(turn_id), self.started_at_ns) {
            // A prompt may be given before the hook of the start has run.
            (Some(turn), Some(session)) => turn + 60_000 > session / 1_000_000,
            _ => true,
        }
    }
}

/// Returns when a UUID of version 7 was made, in milliseconds since 1970.
fn v7_millis(id: &str) -> Option<u64> {
    let digits: String = id.chars().filter(|c| *c != '-').collect();
    let is_v7 = digits.len() == 32 && digits.as_bytes()[12] == b'7';
    u64::from_str_radix(is_v7.then(|| digits.get(..12))??, 16).ok()
}

/// Returns what is left of a session; nothing for what makes no sense, as the
/// exporter has it.
fn session(state: &Path, id: &str) -> Result<Option<Session>, String> {
    let path = state.join("sessions").join(file_name(&[id]));
    let bytes = read(&path, MAX_SESSION)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}

fn file_name(parts: &[&str]) -> String {
    let mut name = String::new();
    for byte in Sha256::digest(parts.join("\0")) {
        write!(name, "{byte:02x}").expect("a string takes everything");
    }
    name + ".json"
}

fn log(path: &Path) -> Result<Log, String> {
    let bytes = read(path, MAX_LOG)?.unwrap_or_default();
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

fn read(path: &Path, max: u64) -> Result<Option<Vec<u8>>, String> {
    private::small_bytes_here(path, max)
        .map_err(|err| format!("cannot read `{}` of Logfire's exporter: {err}", path.display()))
}

/// Reads lines as `TIME exported session=S turn=T spans=N` and
/// `TIME dispatch event='E' session='S' turn='T'`.
fn parse(text: &str) -> Log {
    let mut log = Log::default();
    for line in text.lines() {
        let Some((_, what)) = line.split_once(' ') else { continue };
        let value = |name: &str| {
            let word = what.split(' ').find_map(|word| word.strip_prefix(name));
            word.map(|it| it.trim_matches('\'').to_owned())
        };
        let (session, turn) = (value("session="), value("turn="));
        if what.starts_with("exported ") {
            log.sent.extend(session.zip(turn));
        } else if what.starts_with("dispatch event='SessionStart'")
            || what.starts_with("dispatch event='PostToolUse'")
        {
            log.told.extend(session);
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use codex_trace_model::SpanIx;

    use super::*;

    const SESSION: &str = "0199a8d4-7c3e-7b10-9f00-3a5c1d2e4f60";

    fn turns<'s>(ids: &[&str]) -> Vec<TurnFile<'s>> {
        let turn = |(span, id): (u32, &&str)| TurnFile {
            other_ids: Vec::new(),
            span: SpanIx(span),
            thread_id: SESSION,
            turn_id: (*id).to_owned(),
            file: None,
            others: Vec::new(),
        };
        (1..).zip(ids).map(turn).collect()
    }

    fn look(state: PathBuf, ids: &[&str]) -> Vec<(u32, Option<String>)> {
        let beside = Exporter { state: Some(state) }.look(&turns(ids)).unwrap();
        let mut found: Vec<_> = beside.into_iter().map(|(ix, note)| (ix.0, note.place)).collect();
        found.sort();
        found
    }

    #[test]
    fn a_session_of_the_older_exporter_claims_turns_that_left_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().to_owned();
        fs::create_dir_all(state.join("sessions")).unwrap();
        fs::create_dir_all(state.join("turns")).unwrap();
        // 2025-10-03, before the second turn and after the first one.
        let started = v7_millis("0199a8d4-8000-7b10-8aaa-111122223333").unwrap();
        let session = format!(r#"{{"session_id":"{SESSION}","started_at_ns":{started}000000}}"#);
        fs::write(state.join("sessions").join(file_name(&[SESSION])), session).unwrap();
        let ids = [
            "0199a000-8000-7b10-8aaa-111122223333",
            "0199a8d4-8001-7b10-8aaa-111122223333",
            "0199a8d4-8002-7b10-8aaa-111122223333",
            "turn-1",
        ];
        let left = file_name(&[SESSION, ids[2]]);
        fs::write(state.join("turns").join(left), "{}").unwrap();
        assert_eq!(look(state, &ids), [(2, None), (4, None)]);
    }

    #[test]
    fn a_log_tells_what_was_sent_and_by_which_release() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().to_owned();
        fs::create_dir_all(state.join("logs")).unwrap();
        let log = state.join("logs").join("logfire-exporter.log");
        let sent = format!("2026-01-01T00:00:00+00:00 exported session={SESSION} turn=a spans=1\n");
        fs::write(&log, &sent).unwrap();
        assert_eq!(look(state.clone(), &["a", "b"]), [(1, Some("bare".to_owned()))]);
        let told = format!(
            "2026-01-01T00:00:00+00:00 dispatch event='PostToolUse' session='{SESSION}' turn='a'\n"
        );
        fs::write(&log, told + &sent).unwrap();
        assert_eq!(look(state, &["a", "b"]), [(1, None)]);
    }

    /// Release 0.2.0 without its log: the times of its directories are what is
    /// left.
    #[test]
    fn turns_of_a_time_at_which_it_was_at_work_were_sent_if_they_came_to_their_end() {
        // 2025-10-03, made of the ids by hand.
        let [before, first, second, third] = [
            "0199a8d3-0000-7b10-8aaa-111122223333",
            "0199a8d4-8000-7b10-8aaa-111122223333",
            "0199a8d4-8001-7b10-8aaa-111122223333",
            "0199a8d5-8000-7b10-8aaa-111122223333",
        ];
        let of = |id: &str| v7_millis(id).unwrap();
        let at_work = |sessions: Option<&str>| AtWork {
            from: of(first) + 500,
            until: of(second),
            sessions: sessions.map(of),
        };
        let (bare, sent) = (Some(logfire::BARE_IF_DONE), Some(logfire::SENT_IF_DONE));
        #[rustfmt::skip]
        let cases = [
            ("no session was ever noted",  None,         [None, bare, bare, None]),
            ("0.1.0 was here before",      Some(before), [None, bare, bare, None]),
            ("0.1.0 was here until then",  Some(first),  [None, sent, bare, None]),
            ("0.1.0 may be here still",    Some(third),  [None, sent, sent, None]),
        ];
        for (why, sessions, expected) in cases {
            let found = [before, first, second, third].map(|id| at_work(sessions).place_of(id));
            assert_eq!(found, expected, "{why}");
        }
        assert_eq!(at_work(None).place_of("turn-1"), None, "it says no time");
    }

    #[test]
    fn nothing_is_claimed_where_there_is_no_exporter() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(look(dir.path().join("none"), &["a"]), []);
    }
}
