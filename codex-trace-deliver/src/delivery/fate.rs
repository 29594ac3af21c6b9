use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{Hash, Hasher};

use codex_trace_export::UnitKey;

/// What became of a turn in a run, from good to bad. A turn that is sent as
/// several units is as well off as the worst of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The destination takes nothing of what happened in it.
    Nothing,
    /// The live plugin has sent it, or its user keeps it back.
    OfPlugin,
    /// The project that it was in has switched it off.
    SwitchedOff,
    /// The project that it was in wants it at another place.
    OtherPlace,
    /// It was there before, by the ledger.
    AlreadyThere,
    /// It is there and has not changed, but is written in another way now: by
    /// another version, or by other settings.
    EarlierForm,
    /// The destination has acknowledged it; in a dry run, it would be sent.
    Sent,
    /// It is still being written.
    Open,
    /// It has no end, though nothing was written for a while: it may go on.
    Held,
    /// An older version of it is there, and cannot be replaced.
    Kept,
    /// It is older than the destination takes.
    TooOld,
    /// Another place of the server has it, and a trace is in one of them alone.
    Elsewhere,
    /// The run ended before.
    Unsent,
    /// The destination refused it.
    Rejected,
}

impl Fate {
    /// All of them, in this order.
    pub const ALL: [Fate; 14] = [
        Fate::Nothing,
        Fate::OfPlugin,
        Fate::SwitchedOff,
        Fate::OtherPlace,
        Fate::AlreadyThere,
        Fate::EarlierForm,
        Fate::Sent,
        Fate::Open,
        Fate::Held,
        Fate::Kept,
        Fate::TooOld,
        Fate::Elsewhere,
        Fate::Unsent,
        Fate::Rejected,
    ];

    /// Returns the word for it, as in `upload --json`.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Nothing => "nothing",
            Fate::OfPlugin => "of_plugin",
            Fate::SwitchedOff => "switched_off",
            Fate::OtherPlace => "other_place",
            Fate::AlreadyThere => "already_there",
            Fate::EarlierForm => "earlier_form",
            Fate::Kept => "kept",
            Fate::Sent => "sent",
            Fate::Open => "open",
            Fate::Held => "held",
            Fate::TooOld => "too_old",
            Fate::Elsewhere => "elsewhere",
            Fate::Unsent => "unsent",
            Fate::Rejected => "rejected",
        }
    }
}

/// Where a turn is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TurnOf {
    /// The session.
    pub session_id: String,
    /// The thread and the turn's key within it.
    pub key: UnitKey,
}

/// What became of every turn that was looked at. Each counts once.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// By a digest of session and key, with that of the session: a history may
    /// have millions of turns.
    turns: HashMap<u64, (Fate, u64)>,
    /// The same by name, where somebody wants to know which.
    named: Option<BTreeMap<TurnOf, Fate>>,
}

impl Tally {
    /// Makes a tally that can name its turns.
    pub fn with_names() -> Tally {
        Tally { named: Some(BTreeMap::new()), ..Tally::default() }
    }

    /// Notes what became of a unit. Those that belong to no turn do not count.
    pub fn note(&mut self, session_id: &str, key: &UnitKey, fate: Fate) {
        if key.turn.is_none() {
            return;
        }
        let of = (digest(&(session_id, key)), digest(&session_id));
        let worst = self.turns.entry(of.0).or_insert((fate, of.1));
        worst.0 = worst.0.max(fate);
        let fate = worst.0;
        if let Some(named) = &mut self.named {
            let turn = TurnOf { session_id: session_id.to_owned(), key: key.clone() };
            named.insert(turn, fate);
        }
    }

    /// Returns how many turns there are of a fate.
    pub fn turns(&self, fate: Fate) -> usize {
        self.turns.values().filter(|turn| turn.0 == fate).count()
    }

    /// Returns how many sessions have turns of a fate.
    pub fn sessions(&self, fate: Fate) -> usize {
        let of = self.turns.values().filter(|turn| turn.0 == fate);
        of.map(|turn| turn.1).collect::<HashSet<u64>>().len()
    }

    /// Returns the worst fate of a session's turns, if any was looked at.
    pub fn worst(&self, session_id: &str) -> Option<Fate> {
        let session = digest(&session_id);
        let of = self.turns.values().filter(|turn| turn.1 == session);
        of.map(|turn| turn.0).max()
    }

    /// Whether no turn was looked at.
    pub fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// Returns all turns in order of session and thread, if it names them.
    pub fn named(&self) -> impl Iterator<Item = (&TurnOf, Fate)> {
        self.named.iter().flatten().map(|(turn, fate)| (turn, *fate))
    }
}

fn digest(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(thread: &str, turn: Option<&str>) -> UnitKey {
        UnitKey { thread_id: thread.to_owned(), turn: turn.map(str::to_owned) }
    }

    #[test]
    fn a_turn_counts_once_and_as_the_worst_of_its_units() {
        let mut tally = Tally::with_names();
        let notes = [
            ("s1", key("s1", Some("turn:1")), Fate::Sent),
            ("s1", key("s1", Some("turn:1")), Fate::Rejected),
            ("s1", key("sub", Some("turn:1")), Fate::Sent),
            ("s2", key("s2", Some("turn:1")), Fate::AlreadyThere),
            ("s2", key("s2", Some("turn:1")), Fate::Sent),
            ("s2", key("s2", Some("turn:2")), Fate::Sent),
            ("s2", key("s2", None), Fate::Open),
        ];
        for (session, key, fate) in &notes {
            tally.note(session, key, *fate);
        }
        let counts = Fate::ALL.map(|fate| (tally.turns(fate), tally.sessions(fate)));
        let none = (0, 0);
        assert_eq!(
            counts,
            [
                none,
                none,
                none,
                none,
                none,
                none,
                (3, 2),
                none,
                none,
                none,
                none,
                none,
                none,
                (1, 1)
            ]
        );
        let worst = ["s1", "s2", "s3"].map(|id| tally.worst(id));
        assert_eq!(worst, [Some(Fate::Rejected), Some(Fate::Sent), None]);
        let named: Vec<_> = tally
            .named()
            .map(|(turn, fate)| format!("{} {} {}", turn.session_id, turn.key, fate.word()))
            .collect();
        assert_eq!(
            named,
            [
                "s1 turn:1 of thread:s1 rejected",
                "s1 turn:1 of thread:sub sent",
                "s2 turn:1 of thread:s2 sent",
                "s2 turn:2 of thread:s2 sent",
            ]
        );
    }
}
