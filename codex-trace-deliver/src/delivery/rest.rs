use std::cell::OnceCell;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use codex_rollout::RolloutHead;
use codex_trace_model::Timestamp;

use crate::writer::Writer;

/// How long a file must have been left alone before a turn without an end is
/// more than one that is being written: it waits for somebody, or its program
/// was ended.
const RUNNING: Duration = Duration::from_secs(15 * 60);

/// How long a file has been left alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rest {
    /// It is being written to.
    Running,
    /// A while; but a turn may wait for an approval, or a tool run, all day.
    Silent,
    /// As long as the user says that it takes.
    #[default]
    Settled,
}

impl Rest {
    fn of(head: &RolloutHead, now: Timestamp, settle: Duration) -> Rest {
        let Ok(modified) = head.rollout.path.metadata().and_then(|it| it.modified()) else {
            return Rest::Settled;
        };
        let Ok(modified) = Timestamp::try_from(modified) else { return Rest::Settled };
        Rest::after(Duration::try_from(now.duration_since(modified)).ok(), settle)
    }

    /// Reads an age; `None` for a time that is yet to come, which is young too,
    /// unless nobody wants to wait.
    fn after(age: Option<Duration>, settle: Duration) -> Rest {
        let age = age.unwrap_or_default();
        if age >= settle {
            Rest::Settled
        } else if age < RUNNING {
            Rest::Running
        } else {
            Rest::Silent
        }
    }
}

/// How long the files of each thread of a session have been left alone.
#[derive(Debug, Default)]
pub(super) struct Rests {
    threads: HashMap<String, Rest>,
    least: Rest,
    left: Left,
}

/// The files of a session that have not settled.
#[derive(Debug, Default)]
struct Left {
    paths: Vec<PathBuf>,
    now: Option<SystemTime>,
    /// Whether whoever wrote them has gone. Found out once the files have been
    /// read: what is in them then is all that there will be.
    gone: OnceCell<bool>,
}

impl Left {
    /// A session has one program that writes its files, so of those of a
    /// subagent alone nothing follows.
    fn is_gone(&self) -> bool {
        let Some(now) = self.now else { return false };
        let is_gone = || self.paths.iter().all(|path| Writer::of(path, now) == Writer::Gone);
        *self.gone.get_or_init(is_gone)
    }
}

impl Rests {
    pub(super) fn of(heads: &[&RolloutHead], now: Timestamp, settle: Duration) -> Rests {
        let left = Left { now: Some(now.into()), ..Left::default() };
        let mut rests = Rests { left, ..Rests::default() };
        for head in heads {
            let rest = Rest::of(head, now, settle);
            if rest != Rest::Settled {
                rests.left.paths.push(head.rollout.path.clone());
            }
            rests.least = rests.least.min(rest);
            let of_thread = rests.threads.entry(head.thread_id.clone()).or_insert(rest);
            *of_thread = rest.min(*of_thread);
        }
        rests
    }

    /// Returns the least rest of some threads; if whoever wrote the session has
    /// gone, all of it has settled. What the files' heads do not name may be in
    /// any of them.
    pub(super) fn least(&self, threads: &[String]) -> Rest {
        let of = |id: &String| self.threads.get(id).copied().unwrap_or(self.least);
        match threads.iter().map(of).min() {
            Some(Rest::Running | Rest::Silent) if self.left.is_gone() => Rest::Settled,
            rest => rest.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_no_end() {
        const MINUTE: Duration = Duration::from_secs(60);
        let day = 24 * 60 * MINUTE;
        let rest = |age: u32, settle| Rest::after(Some(age * MINUTE), settle);
        assert_eq!(rest(14, day), Rest::Running);
        assert_eq!(rest(15, day), Rest::Silent);
        assert_eq!(rest(24 * 60 - 1, day), Rest::Silent);
        assert_eq!(rest(24 * 60, day), Rest::Settled);
        assert_eq!(rest(5, 5 * MINUTE), Rest::Settled);
        assert_eq!(rest(4, 5 * MINUTE), Rest::Running);
        assert_eq!(rest(0, Duration::ZERO), Rest::Settled);
        assert_eq!(Rest::after(None, day), Rest::Running);
        assert_eq!(Rest::after(None, Duration::ZERO), Rest::Settled);
    }

    /// Who has not gone may write to the files of all its threads.
    #[test]
    fn a_session_is_left_as_a_whole() {
        let now = Some(SystemTime::UNIX_EPOCH);
        let is_gone = |paths: &[&str]| {
            let paths = paths.iter().map(PathBuf::from).collect();
            Left { paths, now, gone: OnceCell::new() }.is_gone()
        };
        assert!(is_gone(&[]), "all have settled");
        assert!(!is_gone(&["/nowhere"]), "nothing is known of it");
        assert!(!Left::default().is_gone());
    }

    /// A subagent that was killed weeks ago waits for nobody, however busy the
    /// session is.
    #[test]
    fn each_thread_rests_by_itself() {
        let threads = [("busy", Rest::Running), ("killed", Rest::Settled)];
        let threads = threads.map(|(id, rest)| (id.to_owned(), rest)).into();
        let rests = Rests { threads, least: Rest::Running, left: Left::default() };
        let least =
            |ids: &[&str]| rests.least(&ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>());
        assert_eq!(least(&["killed"]), Rest::Settled);
        assert_eq!(least(&["killed", "busy"]), Rest::Running);
        assert_eq!(least(&["of no file"]), Rest::Running);
        assert_eq!(least(&[]), Rest::Settled, "it has ended");
    }
}
