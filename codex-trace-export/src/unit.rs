use std::fmt;

use codex_trace_model::Timestamp;

use crate::Receipt;

/// What the ledger keeps account of: a turn with everything below it, or a
/// thread's or session's own span, encoded for one backend.
#[derive(Clone, PartialEq, Eq)]
pub struct Unit {
    /// What it is.
    pub key: UnitKey,
    /// Where it goes: an index into [`Contract::routes`](super::Contract::routes).
    pub route: usize,
    /// The encoded bytes of all pieces, one after the other.
    pub body: Vec<u8>,
    /// Where the body may be cut. The last piece ends where the body does. A unit
    /// without pieces accounts for a turn of which nothing is sent.
    pub pieces: Vec<Piece>,
    /// The threads whose turns in it may still go on, as far as the files say:
    /// it is held back until those have settled.
    pub open_in: Vec<String>,
    /// When its first span began, for backends that refuse old data.
    pub starts_at: Option<Timestamp>,
    /// What must have been acknowledged before it is sent.
    pub waits: Waits,
    /// The unit that its spans hang under, if not its own: sent, or found to be
    /// there, before.
    pub under: Option<UnitKey>,
    /// What to note beside its file once it is there.
    pub receipts: Vec<Receipt>,
    /// Why it has no pieces, if that is not because there is nothing in it.
    pub absent: Option<Absent>,
    /// Whether this is only a part of it: the next unit handed out has the same
    /// key and route, and goes on where this one ends.
    pub more: bool,
}

/// Why nothing of a unit is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// The live plugin has sent it, or its user keeps it back.
    OfPlugin,
    /// Another place of the server has it, and a trace is in one of them alone:
    /// which one, for people.
    Elsewhere(String),
}

/// A part of a unit that can stand alone in a request: one or more spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it ends in the unit's body.
    pub end: usize,
    /// How many spans (records, rows) it has.
    pub spans: u32,
    /// When the first of them was, in nanoseconds since 1970, where all that is
    /// sent goes [in the order of its times](crate::Order::OfTimes); else 0.
    pub at: u64,
}

/// What a unit is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitKey {
    /// The thread.
    pub thread_id: String,
    /// The key of the turn's span within its thread; `None` for the thread
    /// itself.
    pub turn: Option<String>,
}

impl fmt::Display for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.turn {
            Some(turn) => write!(f, "{} of thread:{}", turn, self.thread_id),
            None => write!(f, "thread:{}", self.thread_id),
        }
    }
}

/// What must have been acknowledged before a unit is sent.
///
/// A call that makes a trace final is a unit of its own, on a route of its
/// own, that waits for the spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waits {
    /// Nothing.
    #[default]
    No,
    /// The earlier units of the same trace that have the same key.
    ForTurn,
    /// All earlier units of the same trace.
    ForTrace,
}

/// A digest of a unit's body, and of what it waits for: BLAKE3, as all that is
/// sent goes through it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Returns the digest of a unit that comes after others: another one if one
    /// of those is, as it is to be sent again after them.
    #[must_use]
    pub fn after(self, others: impl Iterator<Item = Fingerprint>) -> Fingerprint {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0);
        for other in others {
            hasher.update(&other.0);
        }
        Fingerprint(hasher.finalize().into())
    }
}

/// Makes the digest of a unit that comes in parts.
#[derive(Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Adds the next part.
    pub fn add(&mut self, part: &Unit) {
        self.0.update(&part.body);
    }

    /// Returns the digest of all parts: that of the unit in one.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Unit {
    /// Returns the digest of the body.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(blake3::hash(&self.body).into())
    }

    /// Returns how many spans it has.
    pub fn spans(&self) -> u32 {
        self.pieces.iter().map(|piece| piece.spans).sum()
    }

    /// Returns the bytes of a piece.
    pub fn piece(&self, nth: usize) -> &[u8] {
        let start = nth.checked_sub(1).map_or(0, |before| self.pieces[before].end);
        &self.body[start..self.pieces[nth].end]
    }
}

/// Lengths, not content.
impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unit")
            .field("key", &self.key)
            .field("route", &self.route)
            .field("bytes", &self.body.len())
            .field("pieces", &self.pieces.len())
            .field("open_in", &self.open_in)
            .finish_non_exhaustive()
    }
}

/// Takes units as they are encoded. Any `FnMut(Unit)` does.
pub trait Units {
    /// Takes the next unit, or the next part of one.
    fn take(&mut self, unit: Unit);

    /// Returns room for the bytes of a unit: empty, and best that of one whose bytes
    /// are no longer needed.
    fn room(&mut self) -> Vec<u8> {
        Vec::new()
    }
}

impl<F: FnMut(Unit)> Units for F {
    fn take(&mut self, unit: Unit) {
        self(unit);
    }
}

/// From here on a unit is handed out in parts, in bytes: a turn may run for
/// days, and repeats its history for every call.
const PART: usize = 2 << 20;

/// Puts a unit together, span by span, and hands it out: in one, or in parts if
/// it is large. So all that is said of it as a whole is said before its first
/// span.
///
/// ```
/// # use codex_trace_export::{Unit, UnitBuilder, UnitKey};
/// let key = UnitKey { thread_id: "t".to_owned(), turn: Some("turn:1".to_owned()) };
/// let mut units = Vec::new();
/// let mut take = |unit: Unit| units.push(unit);
/// let mut builder = UnitBuilder::new(key, 0, &mut take);
/// for span in ["one", "two"] {
///     builder.body().extend_from_slice(span.as_bytes());
///     builder.end_piece(1);
/// }
/// builder.finish();
/// assert_eq!(units[0].piece(1), b"two");
/// assert_eq!(units[0].spans(), 2);
/// ```
pub struct UnitBuilder<'u> {
    unit: Unit,
    units: &'u mut dyn Units,
}

impl<'u> UnitBuilder<'u> {
    /// Begins a unit for a route, to be handed to `units`.
    pub fn new(key: UnitKey, route: usize, units: &'u mut dyn Units) -> UnitBuilder<'u> {
        UnitBuilder {
            unit: Unit {
                key,
                route,
                body: units.room(),
                pieces: Vec::new(),
                open_in: Vec::new(),
                starts_at: None,
                waits: Waits::No,
                under: None,
                receipts: Vec::new(),
                absent: None,
                more: false,
            },
            units,
        }
    }

    /// Returns the bytes, to append to.
    pub fn body(&mut self) -> &mut Vec<u8> {
        // Now, and not when the piece ended, as it might have been the last.
        if self.unit.pieces.last().is_some_and(|last| last.end >= PART) {
            let pieces = std::mem::take(&mut self.unit.pieces);
            let body = std::mem::take(&mut self.unit.body);
            let part = Unit { body, pieces, more: true, ..self.header() };
            self.units.take(part);
            self.unit.body = self.units.room();
            self.unit.body.reserve(PART + PART / 4);
        }
        &mut self.unit.body
    }

    /// Returns what is said of the unit as a whole.
    fn header(&self) -> Unit {
        let Unit { key, route, open_in, starts_at, waits, under, receipts, .. } = &self.unit;
        Unit {
            key: key.clone(),
            route: *route,
            body: Vec::new(),
            pieces: Vec::new(),
            open_in: open_in.clone(),
            starts_at: *starts_at,
            waits: *waits,
            under: under.clone(),
            receipts: receipts.clone(),
            absent: None,
            more: false,
        }
    }

    /// Ends a piece of so many spans. Pieces of no bytes do not count.
    pub fn end_piece(&mut self, spans: u32) {
        self.end_piece_at(spans, 0);
    }

    /// As [`end_piece`](Self::end_piece), of a piece that began at a time, in
    /// nanoseconds since 1970.
    pub fn end_piece_at(&mut self, spans: u32, at: u64) {
        let start = self.unit.pieces.last().map_or(0, |piece| piece.end);
        let end = self.unit.body.len();
        if end > start {
            self.unit.pieces.push(Piece { end, spans, at });
        }
    }

    /// Says that the unit may still change, with a turn of this thread.
    pub fn open_in(&mut self, thread_id: &str) -> &mut Self {
        if !self.unit.open_in.iter().any(|id| id == thread_id) {
            self.unit.open_in.push(thread_id.to_owned());
        }
        self
    }

    /// Says when its first span began.
    pub fn starts_at(&mut self, at: Option<Timestamp>) -> &mut Self {
        self.unit.starts_at = at;
        self
    }

    /// Says what must have been acknowledged before.
    pub fn waits(&mut self, waits: Waits) -> &mut Self {
        self.unit.waits = waits;
        self
    }

    /// Says which unit its spans hang under.
    pub fn under(&mut self, key: UnitKey) -> &mut Self {
        self.unit.under = Some(key);
        self
    }

    /// Says what to note once it is there.
    pub fn receipt(&mut self, receipt: Receipt) -> &mut Self {
        self.unit.receipts.push(receipt);
        self
    }

    /// Hands out a unit of which nothing is sent, so that its turn is accounted for.
    ///
    /// # Panics
    ///
    /// If bytes were written.
    pub fn absent(mut self, why: Absent) {
        self.unit.absent = Some(why);
        assert!(self.unit.pieces.is_empty(), "nothing of it is sent");
        self.finish();
    }

    /// Hands out the unit, or what is left of it.
    ///
    /// # Panics
    ///
    /// If bytes were written after the last piece ended.
    pub fn finish(self) {
        let end = self.unit.pieces.last().map_or(0, |piece| piece.end);
        assert_eq!(end, self.unit.body.len(), "the last piece ends where the body does");
        self.units.take(self.unit);
    }
}

impl fmt::Debug for UnitBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnitBuilder").field("unit", &self.unit).finish_non_exhaustive()
    }
}
