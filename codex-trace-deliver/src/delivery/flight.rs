//! A unit on its way: as a whole, in parts of memory, in slices of requests.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::session::Session;
use crate::delivery::store::{Store, Stored};
use crate::ledger::Lines;
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

/// A unit on its way, of which not all need be there at once.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) key: UnitKey,
    pub(super) route: usize,
    pub(super) waits: Waits,
    pub(super) under: Option<UnitKey>,
    pub(super) receipts: Vec<Receipt>,
    pub(super) lines: Option<Lines>,
    pub(super) session: Arc<Session>,
    /// Whether a part may only be sent when the one before is settled.
    in_order: bool,
    /// Pieces of which it is not known what became of them, and one for those
    /// that are still to come.
    left: AtomicUsize,
    parts: Mutex<Parts>,
    /// Whether some of it was refused.
    refused: AtomicBool,
    /// What the destination said of some of it.
    said: Mutex<Option<String>>,
    /// Whether some of it was not sent.
    unsent: AtomicBool,
}

#[derive(Debug, Default)]
struct Parts {
    /// The digest of all of it, once all was seen.
    fingerprint: Option<Fingerprint>,
    /// Whether it need not wait for other units.
    begun: bool,
    /// Parts under way.
    under_way: usize,
    waiting: VecDeque<Arc<Part>>,
    n_pieces: usize,
}

/// What is to be done with a part that was added.
#[derive(Debug)]
pub(super) enum Added {
    /// To be sent.
    Ready(Arc<Part>),
    /// Nothing yet.
    Waits,
    /// Nothing: the unit was given up.
    Unwanted,
}

/// What follows from what became of some pieces.
#[derive(Debug, Default)]
pub(super) struct Settlement {
    /// Bytes that are no longer held.
    pub(super) freed: usize,
    /// A part that may be sent now.
    pub(super) next: Option<Arc<Part>>,
    /// Whether it is known what became of all of the unit.
    pub(super) ended: bool,
}

impl Whole {
    /// Begins a unit that is made of these lines; its parts are added one by one.
    pub(super) fn new(
        unit: &Unit,
        lines: Option<Lines>,
        session: &Arc<Session>,
        in_order: bool,
    ) -> Arc<Whole> {
        Arc::new(Whole {
            key: unit.key.clone(),
            route: unit.route,
            waits: unit.waits,
            under: unit.under.clone(),
            receipts: unit.receipts.clone(),
            lines,
            session: Arc::clone(session),
            in_order,
            left: AtomicUsize::new(1),
            parts: Mutex::default(),
            refused: AtomicBool::new(false),
            said: Mutex::default(),
            unsent: AtomicBool::new(false),
        })
    }

    /// Adds a part.
    pub(super) fn add(self: &Arc<Whole>, unit: Unit, store: &Arc<Store>) -> Added {
        let n_pieces = unit.pieces.len();
        let mut parts = self.parts();
        if self.is_unsent() {
            return Added::Unwanted;
        }
        let part = Arc::new(Part {
            whole: Arc::clone(self),
            body: store.keep(&unit.body),
            first: parts.n_pieces,
            left: AtomicUsize::new(n_pieces),
            pieces: unit.pieces,
            later: Mutex::default(),
        });
        store.reuse(unit.body);
        parts.n_pieces += n_pieces;
        self.left.fetch_add(n_pieces, Ordering::AcqRel);
        if parts.begun && !(self.in_order && parts.under_way > 0) {
            parts.under_way += 1;
            return Added::Ready(part);
        }
        parts.waiting.push_back(part);
        Added::Waits
    }

    /// Says that it has no more parts; returns whether all of it is known.
    pub(super) fn seal(&self, fingerprint: Fingerprint) -> bool {
        self.parts().fingerprint = Some(fingerprint);
        self.left.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// Says that it need not wait any longer; returns the parts that may be sent.
    pub(super) fn begin(&self) -> Vec<Arc<Part>> {
        let mut parts = self.parts();
        parts.begun = true;
        let n = if self.in_order { parts.waiting.len().min(1) } else { parts.waiting.len() };
        parts.under_way += n;
        parts.waiting.drain(..n).collect()
    }

    /// Gives up what has not begun, and all that is still to come.
    pub(super) fn give_up(&self) -> Settlement {
        self.unsent.store(true, Ordering::Release);
        let waiting = std::mem::take(&mut self.parts().waiting);
        let n_pieces: usize = waiting.iter().map(|part| part.pieces.len()).sum();
        let freed = waiting.iter().map(|part| part.body.held()).sum();
        let ended = n_pieces > 0 && self.left.fetch_sub(n_pieces, Ordering::AcqRel) == n_pieces;
        Settlement { freed, next: None, ended }
    }

    /// Returns the digest of all of it; `None` while it is still being made.
    pub(super) fn fingerprint(&self) -> Option<Fingerprint> {
        self.parts().fingerprint
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

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part of a unit: as much of it as is encoded at once.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) whole: Arc<Whole>,
    /// The encoded bytes of its pieces.
    pub(super) body: Stored,
    pieces: Vec<Piece>,
    /// How many pieces the unit has before it.
    first: usize,
    /// Pieces of which it is not known what became of them.
    left: AtomicUsize,
    /// Pieces that are not sent before those before them are settled.
    later: Mutex<VecDeque<Range<usize>>>,
}

impl Part {
    /// Returns where a piece is in the body.
    fn place(&self, nth: usize) -> Range<usize> {
        nth.checked_sub(1).map_or(0, |before| self.pieces[before].end)..self.pieces[nth].end
    }

    /// Cuts it into slices that fit into one request each, as far as its pieces
    /// let it.
    fn slices(self: &Arc<Part>, limits: &Limits) -> Vec<Slice> {
        let mut slices = Vec::new();
        let mut from = 0;
        let (mut bytes, mut spans) = (0, 0);
        for nth in 0..self.pieces.len() {
            let len = self.place(nth).len();
            let full = bytes + len > limits.max_bytes
                || nth - from >= limits.max_pieces
                || spans + self.pieces[nth].spans > limits.max_spans;
            if full && nth > from {
                slices.push(Slice::of(self, from..nth));
                (from, bytes, spans) = (nth, 0, 0);
            }
            bytes += len;
            spans += self.pieces[nth].spans;
        }
        slices.push(Slice::of(self, from..self.pieces.len()));
        slices
    }

    /// Returns the slices that may be sent now; the others are kept, to be had
    /// from [`next`](Self::next). What is in a file is read piece by piece.
    pub(super) fn begin(self: &Arc<Part>, route: &Route) -> Vec<Slice> {
        if self.body.is_away() {
            return Slice::of(self, 0..self.pieces.len()).singles().collect();
        }
        let mut slices = self.slices(&route.limits);
        if self.whole.in_order {
            *self.later() = slices.split_off(1).into_iter().map(|it| it.pieces).collect();
        }
        slices
    }

    /// Returns the next slice, once all before it are settled.
    pub(super) fn next(self: &Arc<Part>) -> Option<Slice> {
        let mut later = self.later();
        let n_later: usize = later.iter().map(ExactSizeIterator::len).sum();
        let settled = self.left.load(Ordering::Acquire) == n_later;
        let pieces = if settled { later.pop_front() } else { None };
        Some(Slice::of(self, pieces?))
    }

    fn later(&self) -> MutexGuard<'_, VecDeque<Range<usize>>> {
        self.later.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what became of some pieces.
    pub(super) fn settle(&self, n_pieces: usize, how: Settled<'_>) -> Settlement {
        let whole = &self.whole;
        if let Settled::Partly(words) | Settled::Refused(words) = how {
            whole.words().get_or_insert_with(|| words.to_owned());
        }
        if let Settled::Refused(_) = how {
            whole.refused.store(true, Ordering::Release);
        }
        let mut settlement = Settlement::default();
        if self.left.fetch_sub(n_pieces, Ordering::AcqRel) == n_pieces {
            settlement.freed = self.body.held();
            let mut parts = whole.parts();
            parts.under_way -= 1;
            if whole.in_order && !whole.is_unsent() {
                settlement.next = parts.waiting.pop_front();
            }
            parts.under_way += usize::from(settlement.next.is_some());
        }
        settlement.ended = whole.left.fetch_sub(n_pieces, Ordering::AcqRel) == n_pieces;
        settlement
    }

    /// Notes that some pieces, and all that would come after them, will not be
    /// sent.
    pub(super) fn skip(&self, n_pieces: usize) -> Settlement {
        let given_up = self.whole.give_up();
        let later = std::mem::take(&mut *self.later());
        let n_later: usize = later.iter().map(ExactSizeIterator::len).sum();
        let settled = self.settle(n_pieces + n_later, Settled::Taken);
        Settlement {
            freed: given_up.freed + settled.freed,
            next: None,
            ended: given_up.ended || settled.ended,
        }
    }
}

/// Some consecutive pieces of a part.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) part: Arc<Part>,
    pieces: Range<usize>,
    /// Its bytes, if they were in a file.
    fetched: Option<Arc<[u8]>>,
}

impl Slice {
    fn of(part: &Arc<Part>, pieces: Range<usize>) -> Slice {
        Slice { part: Arc::clone(part), pieces, fetched: None }
    }

    /// Returns when it begins.
    pub(super) fn at(&self) -> u64 {
        self.part.pieces[self.pieces.start].at
    }

    /// Reads its bytes, if they are in a file: those of one piece.
    pub(super) fn fetch(&mut self) -> io::Result<()> {
        let (first, last) = (self.pieces.start, self.pieces.end - 1);
        let range = self.part.place(first).start..self.part.place(last).end;
        self.fetched = self.part.body.fetch(range)?.map(Arc::from);
        Ok(())
    }

    pub(super) fn route(&self) -> usize {
        self.part.whole.route
    }

    pub(super) fn n_pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Returns which pieces of the unit they are.
    pub(super) fn of_unit(&self) -> Range<usize> {
        self.part.first + self.pieces.start..self.part.first + self.pieces.end
    }

    pub(super) fn len(&self) -> usize {
        let (first, last) = (self.pieces.start, self.pieces.end - 1);
        self.part.place(last).end - self.part.place(first).start
    }

    /// Returns the bytes of each piece, bit by bit.
    pub(super) fn pieces(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        let fetched = self.fetched.as_deref();
        self.pieces
            .clone()
            .map(move |nth| fetched.into_iter().chain(self.part.body.range(self.part.place(nth))))
    }

    /// Returns each piece by itself.
    pub(super) fn singles(&self) -> impl Iterator<Item = Slice> {
        let of = |nth| Slice { pieces: nth..nth + 1, ..self.clone() };
        self.pieces.clone().map(of)
    }

    pub(super) fn spans(&self) -> u32 {
        self.part.pieces[self.pieces.clone()].iter().map(|Piece { spans, .. }| spans).sum()
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
            first.push(Slice { pieces: slice.pieces.start..cut, ..slice.clone() });
        }
        if cut < slice.pieces.end {
            second.push(Slice { pieces: cut..slice.pieces.end, ..slice });
        }
    }
    Ok((first, second))
}
