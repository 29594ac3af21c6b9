use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::delivery::decide::Decision;
use crate::delivery::flight::Whole;
use crate::delivery::lines::{Record, Recorded};
use crate::delivery::rest::Rests;
use crate::delivery::store::Store;
use crate::ledger::{FileStamp, Known, Lines};
use codex_trace_export::{Fingerprint, Hasher, Receipt, Unit, UnitKey, Units, Waits};
use codex_trace_history::OwnedTrace;

/// What is known while the units of a session are taken.
///
/// A unit that comes in parts is too large to be kept until all of it was seen. If
/// nothing of it is there, its parts are sent as they come. Else it takes all of it to
/// know whether to send it: then the session is encoded a second time for such units,
/// and for those that wait for them.
#[derive(Debug, Default)]
pub(super) struct Taking<'o> {
    /// What the ledger knows of each thread.
    pub(super) known: HashMap<String, Known>,
    /// How long its files have been left alone.
    pub(super) rests: Rests,
    /// What is not sent in this run, and why.
    pub(super) withheld: HashMap<UnitKey, Decision>,
    /// The units that others may wait for: their digests, all, and by key.
    all: Vec<Fingerprint>,
    by_key: HashMap<UnitKey, Vec<Fingerprint>>,
    /// The digest of the parts so far.
    pub(super) parts: Option<Hasher>,
    /// The unit of which more is to come.
    unfinished: Option<(UnitKey, usize)>,
    /// What is left for the second time.
    pub(super) deferred: HashMap<(UnitKey, usize), Fingerprint>,
    pub(super) deferred_keys: HashSet<UnitKey>,
    /// The unit of which parts are being sent.
    pub(super) streamed: Option<Arc<Whole>>,
    /// What the ledger knows of threads at other places, by place and thread.
    pub(super) known_of_others: HashMap<(String, String), Known>,
    /// The session's files.
    pub(super) files: Vec<FileStamp>,
    /// What the session's files say of its units.
    pub(super) recorded: Recorded,
    /// The same by the digest of older versions, for what they have sent.
    before: OnceCell<Recorded>,
    owned: Option<&'o OwnedTrace>,
    /// Units of which an older version did not note what they are made of.
    pub(super) without_lines: Vec<(UnitKey, &'static str, Lines)>,
    /// What the live plugin is to be told of units that were there before: a run
    /// may have ended between the ledger and the note.
    pub(super) told: Vec<Receipt>,
}

impl<'o> Taking<'o> {
    /// Begins with the files of a session; `owned` is what they say, where there is
    /// a ledger.
    pub(super) fn new(
        rests: Rests,
        files: Vec<FileStamp>,
        owned: Option<&'o OwnedTrace>,
    ) -> Taking<'o> {
        let recorded = owned.map(Recorded::of).unwrap_or_default();
        Taking { rests, files, recorded, owned, ..Taking::default() }
    }

    /// Returns what an older version noted of a unit of the same lines.
    pub(super) fn recorded_before(&self, key: &UnitKey) -> Option<Record> {
        let owned = self.owned?;
        self.before.get_or_init(|| Recorded::as_before(owned)).get(key)
    }

    /// Notes of which unit more is to come, if it is this one; returns whether one
    /// before it was left unfinished, as an encoder does that fails on its way.
    pub(super) fn cuts_short(&mut self, unit: &Unit) -> bool {
        let place = (unit.key.clone(), unit.route);
        let before = self.unfinished.take();
        let cuts_short = before.is_some_and(|before| before != place);
        self.unfinished = unit.more.then_some(place);
        cuts_short
    }

    /// Returns the fingerprint of the next unit; nothing before its last part.
    pub(super) fn fingerprint(&mut self, unit: &Unit) -> Option<Fingerprint> {
        let own = match (&mut self.parts, unit.more) {
            (None, false) => unit.fingerprint(),
            (parts, more) => {
                let hasher = parts.get_or_insert_default();
                hasher.add(unit);
                if more {
                    return None;
                }
                std::mem::take(hasher).fingerprint()
            }
        };
        Some(match unit.waits {
            Waits::ForTurn => own.after(self.by_key.get(&unit.key).into_iter().flatten().copied()),
            Waits::ForTrace => own.after(self.all.iter().copied()),
            Waits::No => {
                self.all.push(own);
                self.by_key.entry(unit.key.clone()).or_default().push(own);
                own
            }
        })
    }

    /// Whether a unit comes in parts, or waits for one that is sent later.
    pub(super) fn is_for_later(&self, unit: &Unit) -> bool {
        self.parts.is_some() || self.waits_for_deferred(unit)
    }

    /// Whether a unit waits for one that is sent later.
    pub(super) fn waits_for_deferred(&self, unit: &Unit) -> bool {
        match unit.waits {
            Waits::No => unit.under.as_ref().is_some_and(|it| self.deferred_keys.contains(it)),
            Waits::ForTurn => self.deferred_keys.contains(&unit.key),
            Waits::ForTrace => !self.deferred.is_empty(),
        }
    }
}

/// Takes units, and has them written into the buffers of units before.
pub(super) struct Feeding<'s, F> {
    take: F,
    store: &'s Store,
}

impl<'s, F: FnMut(Unit)> Feeding<'s, F> {
    /// Takes units with `take`; their bytes go to `store`.
    pub(super) fn of(store: &'s Store, take: F) -> Feeding<'s, F> {
        Feeding { take, store }
    }
}

impl<F: FnMut(Unit)> Units for Feeding<'_, F> {
    fn take(&mut self, unit: Unit) {
        (self.take)(unit);
    }

    fn room(&mut self) -> Vec<u8> {
        self.store.room()
    }
}
