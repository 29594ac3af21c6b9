use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::store::{Store, Stored};
use crate::ledger::FileStamp;
use codex_trace_export::{Fingerprint, Limits, Piece, Receipt, Route, Unit, UnitKey, Waits};

/// What became of some pieces that were sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settled<'f> {
    /// The destination has them.
    Taken,
    /// It has them but for some of what is in them: its words.
    Partly(&'f str),
    /// It does not want them: its words.
    Refused(&'f str),
}

/// A unit on its way.
#[derive(Debug)]
pub(super) struct InFlight {
    pub(super) key: UnitKey,
    pub(super) route: usize,
    /// The encoded bytes of all pieces.
    pub(super) body: Stored,
    pub(super) pieces: Vec<Piece>,
    pub(super) waits: Waits,
    pub(super) under: Option<UnitKey>,
    pub(super) receipt: Option<Receipt>,
    pub(super) fingerprint: Fingerprint,
    pub(super) session: Arc<Session>,
    /// Pieces of which it is not known what became of them.
    left: AtomicUsize,
    /// Pieces that are not sent before those before them are settled.
    later: Mutex<VecDeque<Range<usize>>>,
    /// Whether some of it was refused.
    refused: AtomicBool,
    /// What the destination said of some of it.
    said: Mutex<Option<String>>,
    /// Whether some of it was not sent.
    unsent: AtomicBool,
}

impl InFlight {
    pub(super) fn new(
        unit: Unit,
        fingerprint: Fingerprint,
        session: Arc<Session>,
        store: &Arc<Store>,
    ) -> InFlight {
        let left = AtomicUsize::new(unit.pieces.len());
        InFlight {
            key: unit.key,
            route: unit.route,
            body: store.keep(&unit.body),
            pieces: unit.pieces,
            waits: unit.waits,
            under: unit.under,
            receipt: unit.receipt,
            fingerprint,
            session,
            left,
            later: Mutex::default(),
            refused: AtomicBool::new(false),
            said: Mutex::default(),
            unsent: AtomicBool::new(false),
        }
    }

    /// Returns where a piece is in the body.
    fn place(&self, nth: usize) -> Range<usize> {
        nth.checked_sub(1).map_or(0, |before| self.pieces[before].end)..self.pieces[nth].end
    }

    /// Cuts the unit into slices that fit into one request each, as far as its
    /// pieces let it.
    fn slices(self: &Arc<InFlight>, limits: &Limits) -> Vec<Slice> {
        let mut slices = Vec::new();
        let mut from = 0;
        let (mut bytes, mut spans) = (0, 0);
        for nth in 0..self.pieces.len() {
            let len = self.place(nth).len();
            let full = bytes + len > limits.max_bytes
                || nth - from >= limits.max_pieces
                || spans + self.pieces[nth].spans > limits.max_spans;
            if full && nth > from {
                slices.push(Slice { unit: Arc::clone(self), pieces: from..nth });
                (from, bytes, spans) = (nth, 0, 0);
            }
            bytes += len;
            spans += self.pieces[nth].spans;
        }
        slices.push(Slice { unit: Arc::clone(self), pieces: from..self.pieces.len() });
        slices
    }

    /// Returns the slices that may be sent now; the others are kept, to be had
    /// from [`next`](Self::next).
    pub(super) fn begin(self: &Arc<InFlight>, route: &Route) -> Vec<Slice> {
        let mut slices = self.slices(&route.limits);
        if route.in_order {
            *self.later() = slices.split_off(1).into_iter().map(|it| it.pieces).collect();
        }
        slices
    }

    /// Returns the next slice, once all before it are settled.
    pub(super) fn next(self: &Arc<InFlight>) -> Option<Slice> {
        let mut later = self.later();
        let n_later: usize = later.iter().map(ExactSizeIterator::len).sum();
        let settled = self.left.load(Ordering::Acquire) == n_later;
        let pieces = if settled { later.pop_front() } else { None };
        Some(Slice { unit: Arc::clone(self), pieces: pieces? })
    }

    fn later(&self) -> MutexGuard<'_, VecDeque<Range<usize>>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of some pieces; returns `true` once all are known.
    pub(super) fn settle(&self, n_pieces: usize, how: Settled<'_>) -> bool {
        if let Settled::Partly(words) | Settled::Refused(words) = how {
            self.words().get_or_insert_with(|| words.to_owned());
        }
        if let Settled::Refused(_) = how {
            self.refused.store(true, Ordering::Release);
        }
        self.left.fetch_sub(n_pieces, Ordering::AcqRel) == n_pieces
    }

    /// Notes that some pieces, and those that wait for them, will not be sent;
    /// returns `true` once all are known.
    pub(super) fn skip(&self, n_pieces: usize) -> bool {
        self.unsent.store(true, Ordering::Release);
        let later = std::mem::take(&mut *self.later());
        let n_later: usize = later.iter().map(ExactSizeIterator::len).sum();
        self.settle(n_pieces + n_later, Settled::Taken)
    }

    /// Returns whether some of it was not sent.
    pub(super) fn is_unsent(&self) -> bool {
        self.unsent.load(Ordering::Acquire)
    }

    /// Returns whether some of it was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Acquire)
    }

    /// Returns what the destination said of some of it, the first time.
    pub(super) fn said(&self) -> Option<String> {
        self.words().clone()
    }

    fn words(&self) -> MutexGuard<'_, Option<String>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Some consecutive pieces of a unit.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) unit: Arc<InFlight>,
    pub(super) pieces: Range<usize>,
}

impl Slice {
    pub(super) fn n_pieces(&self) -> usize {
        self.pieces.len()
    }

    pub(super) fn len(&self) -> usize {
        let (first, last) = (self.pieces.start, self.pieces.end - 1);
        self.unit.place(last).end - self.unit.place(first).start
    }

    /// Returns the bytes of each piece, bit by bit.
    pub(super) fn pieces(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        self.pieces.clone().map(|nth| self.unit.body.range(self.unit.place(nth)))
    }

    /// Returns each piece by itself.
    pub(super) fn singles(&self) -> impl Iterator<Item = Slice> {
        let of = |nth| Slice { unit: Arc::clone(&self.unit), pieces: nth..nth + 1 };
        self.pieces.clone().map(of)
    }

    pub(super) fn spans(&self) -> u32 {
        self.unit.pieces[self.pieces.clone()].iter().map(|Piece { spans, .. }| spans).sum()
    }
}

/// Cuts a batch in two of about as many pieces; `None` if it is one piece.
pub(super) fn halve(batch: Vec<Slice>) -> Result<(Vec<Slice>, Vec<Slice>), Vec<Slice>> {
    let n_pieces: usize = batch.iter().map(Slice::n_pieces).sum();
    if n_pieces < 2 {
        return Err(batch);
    }
    let mut left = n_pieces / 2;
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for slice in batch {
        let n = slice.n_pieces().min(left);
        left -= n;
        let cut = slice.pieces.start + n;
        if n > 0 {
            first.push(Slice { unit: Arc::clone(&slice.unit), pieces: slice.pieces.start..cut });
        }
        if cut < slice.pieces.end {
            second.push(Slice { unit: slice.unit, pieces: cut..slice.pieces.end });
        }
    }
    Ok((first, second))
}

/// What is under way of one session, for one destination.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Units under way that others may wait for, by key.
    open: HashMap<UnitKey, usize>,
    /// Units under way that waited for others.
    n_open_last: usize,
    waiting: Vec<Arc<InFlight>>,
    /// Units that were not sent.
    missing: HashSet<UnitKey>,
    encoded: bool,
    files: Vec<FileStamp>,
}

/// What can go on, now that something has ended.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Units that need not wait any longer.
    pub(super) released: Vec<Arc<InFlight>>,
    /// Units that wait for what was not sent.
    pub(super) abandoned: Vec<Arc<InFlight>>,
    /// The session's files, if all of it was sent.
    pub(super) files: Vec<FileStamp>,
}

impl Ready {
    /// Lets one unit go on.
    pub(super) fn of(unit: Arc<InFlight>) -> Ready {
        Ready { released: vec![unit], ..Ready::default() }
    }
}

impl Session {
    pub(super) fn new(id: &str, files: Vec<FileStamp>) -> Session {
        let state = Mutex::new(State { files, ..State::default() });
        Session { id: id.to_owned(), state }
    }

    /// Notes that a unit is under way.
    pub(super) fn begin(&self, key: &UnitKey) {
        *self.lock().open.entry(key.clone()).or_default() += 1;
    }

    /// Notes that a unit wants to be sent, and returns what can be.
    pub(super) fn wait(&self, unit: Arc<InFlight>) -> Ready {
        let mut state = self.lock();
        state.waiting.push(unit);
        state.ready()
    }

    /// Says that the next run is to look at the files again, changed or not.
    pub(super) fn look_again(&self) {
        self.lock().files.clear();
    }

    /// Notes that a unit was not sent, and will not be in this run.
    pub(super) fn miss(&self, key: &UnitKey) {
        self.lock().missing.insert(key.clone());
    }

    /// Notes that a unit under way has ended.
    pub(super) fn end(&self, unit: &InFlight, sent: bool) -> Ready {
        let mut state = self.lock();
        if !sent {
            state.missing.insert(unit.key.clone());
        }
        if unit.waits != Waits::No {
            state.n_open_last -= 1;
        } else if let Some(n) = state.open.get_mut(&unit.key) {
            *n -= 1;
            if *n == 0 {
                state.open.remove(&unit.key);
            }
        }
        state.ready()
    }

    /// Notes that all units of the session have been seen.
    pub(super) fn encoded(&self) -> Ready {
        let mut state = self.lock();
        state.encoded = true;
        state.ready()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn ready(&mut self) -> Ready {
        let mut ready = Ready::default();
        for unit in std::mem::take(&mut self.waiting) {
            let key = &unit.key;
            let (blocked, missing) = match (unit.waits, &unit.under) {
                (Waits::No, None) => (false, false),
                (Waits::No, Some(above)) => {
                    (self.open.contains_key(above), self.missing.contains(above))
                }
                (Waits::ForTurn, _) => (self.open.contains_key(key), self.missing.contains(key)),
                (Waits::ForTrace, _) => {
                    (!self.encoded || !self.open.is_empty(), !self.missing.is_empty())
                }
            };
            if blocked && !missing {
                self.waiting.push(unit);
                continue;
            }
            if unit.waits != Waits::No {
                self.n_open_last += 1;
            }
            if missing {
                self.missing.insert(key.clone());
                ready.abandoned.push(unit);
            } else {
                ready.released.push(unit);
            }
        }
        let done = self.encoded && self.open.is_empty() && self.waiting.is_empty();
        if done && self.n_open_last == 0 && self.missing.is_empty() {
            ready.files = std::mem::take(&mut self.files);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use codex_trace_export::UnitBuilder;

    fn unit(turn: &str, pieces: &[&str], waits: Waits) -> Unit {
        let key = UnitKey { thread_id: "t".to_owned(), turn: Some(turn.to_owned()) };
        let mut builder = UnitBuilder::new(key, 0);
        for piece in pieces {
            builder.body().extend_from_slice(piece.as_bytes());
            builder.end_piece(1);
        }
        builder.waits(waits);
        builder.finish()
    }

    fn in_flight(unit: Unit, session: &Arc<Session>) -> Arc<InFlight> {
        let fingerprint = unit.fingerprint();
        Arc::new(InFlight::new(unit, fingerprint, Arc::clone(session), &Arc::default()))
    }

    fn shape(slices: &[Slice]) -> Vec<(usize, usize)> {
        slices.iter().map(|slice| (slice.pieces.start, slice.pieces.end)).collect()
    }

    #[test]
    fn slices_keep_to_the_limits_and_lose_nothing() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let whole = in_flight(unit("1", &["aa", "b", "cccccc", "d", "e"], Waits::No), &session);
        let by = |max_bytes, max_pieces, max_spans| {
            shape(&whole.slices(&Limits { max_bytes, max_pieces, max_spans }))
        };
        assert_eq!(by(100, 100, 100), [(0, 5)]);
        assert_eq!(by(3, 100, 100), [(0, 2), (2, 3), (3, 5)]);
        assert_eq!(by(100, 2, 100), [(0, 2), (2, 4), (4, 5)]);
        assert_eq!(by(100, 100, 1).len(), 5);
    }

    #[test]
    fn halves_cut_through_units_down_to_one_piece() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let limits = Limits { max_bytes: 100, max_pieces: 100, max_spans: 100 };
        let mut batch = in_flight(unit("1", &["a"], Waits::No), &session).slices(&limits);
        batch.extend(in_flight(unit("2", &["b", "c", "d"], Waits::No), &session).slices(&limits));
        let (first, second) = halve(batch).unwrap();
        assert_eq!((shape(&first), shape(&second)), (vec![(0, 1), (0, 1)], vec![(1, 3)]));
        let (first, second) = halve(second).unwrap();
        assert_eq!((shape(&first), shape(&second)), (vec![(1, 2)], vec![(2, 3)]));
        assert!(halve(second).is_err());
    }

    #[test]
    fn what_waits_for_the_trace_comes_last_and_files_after_it() {
        let stamp = FileStamp { path: "f".to_owned(), stamp: [0; 32] };
        let session = Arc::new(Session::new("s", vec![stamp.clone()]));
        let turn = in_flight(unit("1", &["a"], Waits::No), &session);
        session.begin(&turn.key);
        let last = in_flight(unit("1", &["z"], Waits::ForTrace), &session);
        assert!(session.wait(last).released.is_empty());
        assert!(session.encoded().released.is_empty());
        let ready = session.end(&turn, true);
        assert_eq!((ready.released.len(), ready.files.len()), (1, 0));
        assert_eq!(session.end(&ready.released[0], true).files, [stamp]);
    }

    fn route(max_pieces: usize) -> Route {
        Route {
            name: "r",
            method: crate::transport::Method::Post,
            url: codex_trace_export::Address::unchecked(""),
            headers: Vec::new(),
            content_type: "".into(),
            framing: codex_trace_export::Framing::CONCATENATED,
            compressions: &[],
            limits: Limits { max_bytes: 100, max_pieces, max_spans: 100 },
            in_order: true,
            tells_sizes: false,
        }
    }

    #[test]
    fn in_order_the_next_slice_comes_when_the_last_is_settled() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let whole = in_flight(unit("1", &["a", "b", "c", "d", "e"], Waits::No), &session);
        assert_eq!(shape(&whole.begin(&route(2))), [(0, 2)]);
        assert!(whole.next().is_none());
        assert!(!whole.settle(1, Settled::Taken));
        assert!(whole.next().is_none(), "half of it");
        assert!(!whole.settle(1, Settled::Taken));
        assert_eq!(shape(whole.next().as_slice()), [(2, 4)]);
        assert!(whole.next().is_none());
        // What is not sent takes all that would have followed with it.
        assert!(whole.skip(2));
        assert!(whole.next().is_none() && whole.is_unsent());
    }

    #[test]
    fn what_hangs_under_another_unit_follows_it_however_deep() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let below = |turn: &str, above: &str| {
            let mut unit = unit(turn, &["x"], Waits::No);
            unit.under = Some(UnitKey { turn: Some(above.to_owned()), ..unit.key.clone() });
            session.begin(&unit.key);
            in_flight(unit, &session)
        };
        let top = in_flight(unit("1", &["a"], Waits::No), &session);
        session.begin(&top.key);
        let (child, grandchild) = (below("2", "1"), below("3", "2"));
        assert!(session.wait(child).released.is_empty());
        assert!(session.wait(grandchild).released.is_empty());
        assert_eq!(session.wait(below("4", "elsewhere")).released.len(), 1, "it is there");
        let ready = session.end(&top, true);
        assert_eq!(ready.released.len(), 1);
        let child = &ready.released[0];
        assert_eq!(child.key.turn.as_deref(), Some("2"));
        // The child was refused: what hangs under it is not sent.
        let ready = session.end(child, false);
        assert_eq!((ready.released.len(), ready.abandoned.len()), (0, 1));
    }

    #[test]
    fn what_waits_for_something_missing_is_abandoned() {
        let session =
            Arc::new(Session::new("s", vec![FileStamp { path: "f".to_owned(), stamp: [0; 32] }]));
        let turn = in_flight(unit("1", &["a"], Waits::No), &session);
        session.begin(&turn.key);
        let one = in_flight(unit("1", &["z"], Waits::ForTurn), &session);
        let other = in_flight(unit("2", &["z"], Waits::ForTurn), &session);
        assert!(session.wait(one).released.is_empty());
        assert_eq!(session.wait(other).released.len(), 1, "turn 2 has nothing to wait for");
        let ready = session.end(&turn, false);
        assert_eq!(ready.abandoned.len(), 1);
        assert!(session.encoded().files.is_empty(), "not all was sent");
    }
}
