//! What the worker knows of the sessions that wait, and of destinations that do
//! not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use codex_trace_deliver::writer::Writer;
use codex_trace_history::History;
use codex_trace_model::SessionGroup;
use memchr::memmem;

use crate::live::queue::Entry;

/// How much of what was added to a file is searched for the end of a turn, in
/// bytes: its end is at the end.
const SEARCHED: u64 = 1 << 20;

/// What is in a line that ends a turn, or begins the next one.
const ENDS: [&[u8]; 3] = [b"task_complete\"", b"turn_aborted\"", b"task_started\""];

/// The first and the longest wait for a destination that does not answer.
const WAITS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// What a session waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its turn in a round, at this time.
    Due(Instant),
    /// That a turn ends, by its file.
    TurnToEnd,
    /// That a destination answers.
    Destination,
}

/// A file as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
}

/// What a destination has of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ack {
    /// All of it.
    All,
    /// All but a turn that goes on, when the session had this stamp.
    Open(u64),
}

/// A session that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) state: State,
    /// Which entry of all it is: what comes back may be of an earlier one.
    pub(super) nth: u64,
    /// How often it could not be found or read.
    pub(super) tries: u32,
    /// Whether a destination could not be given it, as it could not be read.
    pub(super) has_fault: bool,
    /// What destinations have of it.
    pub(super) acknowledged: BTreeMap<String, Ack>,
    pub(super) files: Vec<Seen>,
    /// Whether its turn was found to be over although no file says so.
    pub(super) is_over: bool,
}

impl Waiting {
    pub(super) fn due(entry: Entry, nth: u64, at: Instant) -> Waiting {
        Waiting {
            entry,
            state: State::Due(at),
            nth,
            tries: 0,
            has_fault: false,
            acknowledged: BTreeMap::new(),
            files: Vec::new(),
            is_over: false,
        }
    }

    /// Returns what tells whether more of it can be sent than before.
    pub(super) fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.files, self.is_over).hash(&mut hasher);
        hasher.finish()
    }

    /// Whether a destination may not have all that there is now.
    pub(super) fn lacks(&self, place: &str) -> bool {
        match self.acknowledged.get(place) {
            None => true,
            Some(Ack::All) => false,
            Some(Ack::Open(seen)) => *seen != self.stamp(),
        }
    }

    /// Whether a destination found a turn that goes on.
    pub(super) fn is_open(&self) -> bool {
        self.acknowledged.values().any(|ack| *ack != Ack::All)
    }

    /// Waits until the turn that goes on has ended.
    pub(super) fn await_end(&mut self) {
        self.acknowledged.clear();
        self.entry.seen = Some(stamp(&self.files));
        self.state = State::TurnToEnd;
    }

    /// Whether a turn that was open may have ended, by what was added to its file.
    pub(super) fn has_news(&mut self) -> bool {
        let has_news = self.files.iter_mut().any(Seen::has_news);
        self.is_over &= !has_news;
        has_news
    }

    /// Whether its turn is over although no file says so, and was not before.
    pub(super) fn turns_out_over(&mut self, now: SystemTime, settle: Duration) -> bool {
        let was_over = self.is_over;
        self.is_over |= rest(&self.files, now, settle) == Rest::Over;
        self.is_over && !was_over
    }
}

/// Whether a turn without an end may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rest {
    /// It may.
    Open,
    /// Codex has ended, a moment ago.
    Ending,
    /// It is over, as `upload` has it.
    Over,
}

/// Says of the files of a session whether a turn in them may go on: not once they
/// have been left alone for as long as `settle`.
pub(crate) fn rest(files: &[Seen], now: SystemTime, settle: Duration) -> Rest {
    files.iter().map(|file| file.rest(now, settle)).min().unwrap_or(Rest::Open)
}

impl Seen {
    #[cfg(test)]
    pub(super) fn of(path: &std::path::Path) -> Seen {
        Seen { path: path.to_owned(), len: 1, modified: None }
    }

    fn rest(&self, now: SystemTime, settle: Duration) -> Rest {
        let age = self.modified.and_then(|at| now.duration_since(at).ok());
        if age.is_some_and(|age| age >= settle) {
            return Rest::Over;
        }
        match Writer::of(&self.path, now) {
            Writer::There => Rest::Open,
            Writer::Leaving => Rest::Ending,
            Writer::Gone => Rest::Over,
        }
    }

    /// Looks at a file again: whether something in it begins or ends a turn, or
    /// it is another file now.
    pub(crate) fn has_news(&mut self) -> bool {
        let Ok(metadata) = self.path.metadata() else { return true };
        let (len, modified) = (metadata.len(), metadata.modified().ok());
        if (len, modified) == (self.len, self.modified) {
            return false;
        }
        let before = std::mem::replace(&mut self.len, len);
        self.modified = modified;
        len < before || self.may_end(before).unwrap_or(true)
    }

    fn may_end(&self, before: u64) -> std::io::Result<bool> {
        // What was half there when it was looked at before is looked at again.
        let overlap = ENDS.iter().map(|end| end.len() as u64).max().unwrap_or(0);
        let start = before.saturating_sub(overlap).max(self.len.saturating_sub(SEARCHED));
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut added = Vec::new();
        file.take(SEARCHED + overlap).read_to_end(&mut added)?;
        Ok(ENDS.iter().any(|end| memmem::find(&added, end).is_some()))
    }
}

/// Returns the files of a session as they were found.
pub(crate) fn files(history: &History, session: &SessionGroup) -> Vec<Seen> {
    let heads = session.members.iter().map(|member| &history.heads[member.head]);
    heads
        .map(|head| Seen {
            path: head.rollout.path.clone(),
            len: head.len,
            modified: head.modified,
        })
        .collect()
}

/// Returns what tells whether any of the files has changed.
pub(super) fn stamp(files: &[Seen]) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}

/// A destination that does not answer as it should.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    failures: u32,
    /// When it began.
    pub(super) since: Instant,
    /// When to try again.
    pub(super) next: Instant,
}

/// The destinations that do not answer, by name.
#[derive(Debug, Default)]
pub(super) struct Backoffs(BTreeMap<String, Backoff>);

impl Backoffs {
    /// Notes that a destination has failed.
    pub(super) fn fail(&mut self, name: &str, now: Instant) {
        let backoff = self.0.entry(name.to_owned());
        let backoff = backoff.or_insert(Backoff { failures: 0, since: now, next: now });
        let wait = WAITS.0.saturating_mul(1 << backoff.failures.min(16)).min(WAITS.1);
        backoff.failures += 1;
        backoff.next = now + wait;
    }

    /// Notes that a destination answers.
    pub(super) fn answers(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// Forgets destinations of other names.
    pub(super) fn keep(&mut self, names: &BTreeSet<String>) {
        self.0.retain(|name, _| names.contains(name));
    }

    /// Whether a destination is not to be asked yet.
    pub(super) fn is_waiting(&self, name: &str, now: Instant) -> bool {
        self.0.get(name).is_some_and(|backoff| backoff.next > now)
    }

    /// Returns the destinations that are not to be asked yet.
    pub(super) fn all_waiting(&self, now: Instant) -> BTreeSet<String> {
        let waiting = self.0.iter().filter(|(_, backoff)| backoff.next > now);
        waiting.map(|(name, _)| name.clone()).collect()
    }

    /// Whether a destination has failed for less than `patience`.
    pub(super) fn is_hopeful(&self, now: Instant, patience: Duration) -> bool {
        self.0.is_empty() || self.0.values().any(|it| now.duration_since(it.since) < patience)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn only_what_may_end_a_turn_is_news() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.jsonl");
        fs::write(&path, "{}\n{\"type\":\"task_comp").unwrap();
        let metadata = path.metadata().unwrap();
        let (len, modified) = (metadata.len(), metadata.modified().ok());
        let mut seen = Seen { path: path.clone(), len, modified };
        let append = |text: &str| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(text.as_bytes()).unwrap();
        };
        assert!(!seen.has_news());
        append("lete\"}\n");
        assert!(seen.has_news(), "the word was half there");
        assert!(!seen.has_news());
        append("{\"type\":\"agent_message\"}\n");
        assert!(!seen.has_news());
        append("{\"type\":\"turn_aborted\"}\n");
        assert!(seen.has_news());
        fs::write(&path, "{}\n").unwrap();
        assert!(seen.has_news(), "shorter");
        fs::remove_file(&path).unwrap();
        assert!(seen.has_news(), "gone: archived or compressed");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn waits_grow_and_end() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut backoffs = Backoffs::default();
        assert!(backoffs.all_waiting(start).is_empty() && backoffs.is_hopeful(start, second));
        backoffs.fail("a", start);
        backoffs.fail("a", start + second);
        assert!(backoffs.is_waiting("a", start + second * 2) && !backoffs.is_waiting("b", start));
        assert!(!backoffs.is_waiting("a", start + second * 3));
        assert_eq!(backoffs.all_waiting(start + second * 2), ["a".to_owned()].into());
        assert!(backoffs.is_hopeful(start + second * 5, second * 6));
        assert!(!backoffs.is_hopeful(start + second * 6, second * 6));
        for _ in 0..100 {
            backoffs.fail("a", start);
        }
        assert!(!backoffs.is_waiting("a", start + WAITS.1));
        backoffs.keep(&["b".to_owned()].into());
        assert!(!backoffs.is_waiting("a", start));
    }
}
