use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use codex_trace_model::{SpanIx, Timestamp};

use crate::request::Request;

/// What is known of a session beside its files, for one destination.
#[derive(Debug, Default)]
pub struct Notes {
    /// The time of the run; absent where it does not matter, as in tests.
    pub now: Option<Timestamp>,
    /// By how much the session's times are moved.
    pub shift: Option<Shift>,
    /// What a live plugin has left beside the files.
    pub beside: Beside,
}

/// What a live plugin and its user have noted of a session's turns.
pub type Beside = HashMap<SpanIx, TurnNote>;

/// What a live plugin and its user have noted of a turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnNote {
    /// How the plugin has dealt with it.
    pub state: Option<TurnState>,
    /// How much of it may be uploaded.
    pub keep: Option<Keep>,
    /// Where the plugin has put it, in the plugin's own words.
    pub place: Option<String>,
    /// Whether we have noted it as uploaded.
    pub ours: bool,
}

/// How a live plugin has dealt with a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnState {
    /// Uploaded, or lost on the way: older plugins do not tell.
    Claimed,
    /// Uploaded.
    Uploaded,
    /// Left to somebody else: us.
    Backlog,
    /// Not to be uploaded.
    Off,
}

/// How much of a turn may be uploaded, from all to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keep {
    /// All of it.
    Full,
    /// All but content.
    Metadata,
    /// Nothing.
    Off,
}

/// By how much the times of a session are moved, so that a destination takes
/// them that refuses what is old. Found once, kept in the ledger: another one
/// would make other runs of the same turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// In milliseconds.
    pub millis: i64,
    /// When it was found, in milliseconds since 1970. What is moved lies before.
    pub found: i64,
}

impl Notes {
    /// Returns whether something that started then is older than `age`.
    pub fn is_older(&self, started: i64, age: Duration) -> bool {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        self.now.is_some_and(|now| now.as_millisecond().saturating_sub(started) > age)
    }

    /// Returns by how many milliseconds to move what started then. What came
    /// after the shift was found keeps its time.
    pub fn shift_of(&self, started: i64) -> i64 {
        let shift = self.shift.filter(|it| started.saturating_add(it.millis) <= it.found);
        shift.map_or(0, |shift| shift.millis)
    }
}

/// What to note beside a file once a unit is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The rollout.
    pub file: PathBuf,
    /// The turn, as a live plugin calls it.
    pub turn: String,
    /// What else the exporter wants to remember, if anything.
    pub note: Option<String>,
}

/// The next step to find out what is there.
#[derive(Debug)]
pub enum Reread {
    /// Send this and come back with the answer, whatever its status.
    Ask(Request),
    /// What was found of each piece.
    Found(Vec<Found>),
    /// The answers do not tell.
    Unknown,
}

/// The next step to bring something there that is too large for its route.
#[derive(Debug)]
pub enum Detour {
    /// Send this and come back with the answer, whatever its status.
    Ask(Request),
    /// Send this: its answer is about the whole.
    Last(Request),
    /// The destination does not want it: its words.
    Refused(String),
    /// There is no other way.
    None,
}

/// What was found of a piece that was said to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is there.
    Same,
    /// It is not, and is to be sent again without the others.
    Missing,
    /// Something else is in its place.
    Other(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_after_a_shift_keeps_its_time() {
        let notes = Notes { shift: Some(Shift { millis: 100, found: 1_000 }), ..Notes::default() };
        assert_eq!((notes.shift_of(900), notes.shift_of(901)), (100, 0));
        assert_eq!(Notes::default().shift_of(900), 0);
    }

    #[test]
    fn age_counts_from_now() {
        let now = Timestamp::from_millisecond(5_000).ok();
        let notes = Notes { now, ..Notes::default() };
        let age = Duration::from_secs(2);
        assert!(notes.is_older(2_999, age) && !notes.is_older(3_000, age));
        assert!(!Notes::default().is_older(0, age));
    }
}
