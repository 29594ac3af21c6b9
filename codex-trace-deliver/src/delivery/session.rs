use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::delivery::flight::Whole;
use crate::delivery::progress::OnTheWay;
use crate::ledger::FileStamp;
use codex_trace_export::{UnitKey, Waits};

/// What is under way of one session, for one destination.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: String,
    state: Mutex<State>,
    /// Kept until nothing of it is under way.
    _on_the_way: OnTheWay,
}

#[derive(Debug, Default)]
struct State {
    /// Units under way that others may wait for, by key.
    open: HashMap<UnitKey, usize>,
    /// Units under way that waited for others.
    n_open_last: usize,
    /// Units that wait for another one, by its key.
    waiting: HashMap<UnitKey, Vec<Arc<Whole>>>,
    /// Units that wait for all others.
    at_last: Vec<Arc<Whole>>,
    /// Units that were not sent.
    missing: HashSet<UnitKey>,
    encoded: bool,
    files: Vec<FileStamp>,
}

/// What can go on, now that something has ended.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// Units that need not wait any longer.
    pub(super) released: Vec<Arc<Whole>>,
    /// Units that wait for what was not sent.
    pub(super) abandoned: Vec<Arc<Whole>>,
    /// The session's files, if all of it was sent.
    pub(super) files: Vec<FileStamp>,
}

impl Session {
    pub(super) fn new(id: &str, files: Vec<FileStamp>) -> Session {
        let state = Mutex::new(State { files, ..State::default() });
        Session { id: id.to_owned(), state, _on_the_way: OnTheWay::default() }
    }

    /// Has it count as done with when nothing of it is under way any more.
    pub(super) fn counting(self, on_the_way: OnTheWay) -> Session {
        Session { _on_the_way: on_the_way, ..self }
    }

    /// Takes in a unit that wants to be sent, and returns what can be.
    pub(super) fn enter(&self, unit: &Arc<Whole>) -> Ready {
        let mut state = self.lock();
        let mut ready = Ready::default();
        if unit.waits == Waits::No {
            *state.open.entry(unit.key.clone()).or_default() += 1;
        }
        match (unit.waits, &unit.under) {
            (Waits::No, None) => ready.released.push(Arc::clone(unit)),
            (Waits::No, Some(above)) => state.wait_for(above.clone(), unit, &mut ready),
            (Waits::ForTurn, _) => state.wait_for(unit.key.clone(), unit, &mut ready),
            (Waits::ForTrace, _) => state.at_last.push(Arc::clone(unit)),
        }
        state.finish(ready)
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
    pub(super) fn end(&self, unit: &Whole, sent: bool) -> Ready {
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
        let mut ready = Ready::default();
        state.release(&unit.key, &mut ready);
        state.finish(ready)
    }

    /// Notes that all units of the session have been seen.
    pub(super) fn encoded(&self) -> Ready {
        let mut state = self.lock();
        state.encoded = true;
        state.finish(Ready::default())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets a unit wait for a key, unless that is settled.
    fn wait_for(&mut self, key: UnitKey, unit: &Arc<Whole>, ready: &mut Ready) {
        if self.missing.contains(&key) {
            self.abandon(Arc::clone(unit), ready);
        } else if self.open.contains_key(&key) {
            self.waiting.entry(key).or_default().push(Arc::clone(unit));
        } else {
            self.let_go(Arc::clone(unit), ready);
        }
    }

    /// Lets go what waited for a key, if that is settled.
    fn release(&mut self, key: &UnitKey, ready: &mut Ready) {
        let missing = self.missing.contains(key);
        if !missing && self.open.contains_key(key) {
            return;
        }
        for unit in self.waiting.remove(key).unwrap_or_default() {
            if missing {
                self.abandon(unit, ready);
            } else {
                self.let_go(unit, ready);
            }
        }
    }

    fn let_go(&mut self, unit: Arc<Whole>, ready: &mut Ready) {
        self.n_open_last += usize::from(unit.waits != Waits::No);
        ready.released.push(unit);
    }

    fn abandon(&mut self, unit: Arc<Whole>, ready: &mut Ready) {
        self.n_open_last += usize::from(unit.waits != Waits::No);
        self.missing.insert(unit.key.clone());
        ready.abandoned.push(unit);
    }

    /// Adds what may go on when all others have ended.
    fn finish(&mut self, mut ready: Ready) -> Ready {
        let ended = self.encoded && self.open.is_empty();
        if !self.missing.is_empty() {
            for unit in std::mem::take(&mut self.at_last) {
                self.abandon(unit, &mut ready);
            }
        } else if ended {
            for unit in std::mem::take(&mut self.at_last) {
                self.let_go(unit, &mut ready);
            }
        }
        let waits = !self.waiting.is_empty() || !self.at_last.is_empty();
        if ended && !waits && self.n_open_last == 0 && self.missing.is_empty() {
            ready.files = std::mem::take(&mut self.files);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::flight::{Added, Part, Settled, Slice, halve};
    use codex_trace_export::{Fingerprint, Limits, Route, Unit, UnitBuilder};

    fn unit(turn: &str, pieces: &[&str], waits: Waits) -> Unit {
        let key = UnitKey { thread_id: "t".to_owned(), turn: Some(turn.to_owned()) };
        let mut unit = None;
        let mut take = |it: Unit| unit = Some(it);
        let mut builder = UnitBuilder::new(key, 0, &mut take);
        builder.waits(waits);
        for piece in pieces {
            builder.body().extend_from_slice(piece.as_bytes());
            builder.end_piece(1);
        }
        builder.finish();
        unit.unwrap()
    }

    /// Takes in a whole unit; returns it and what can be sent.
    fn enter(unit: Unit, session: &Arc<Session>, in_order: bool) -> (Arc<Whole>, Ready) {
        let whole = Whole::new(&unit, None, session, in_order);
        let fingerprint = unit.fingerprint();
        assert!(matches!(whole.add(unit, &Arc::default()), Added::Waits));
        assert!(!whole.seal(fingerprint));
        let ready = session.enter(&whole);
        (whole, ready)
    }

    fn part(unit: Unit, in_order: bool) -> Arc<Part> {
        let (whole, _) = enter(unit, &Arc::new(Session::new("s", Vec::new())), in_order);
        whole.begin().remove(0)
    }

    fn counts(ready: &Ready) -> [usize; 3] {
        [ready.released.len(), ready.abandoned.len(), ready.files.len()]
    }

    fn shape(slices: &[Slice]) -> Vec<(usize, usize)> {
        slices.iter().map(|slice| (slice.of_unit().start, slice.of_unit().end)).collect()
    }

    #[test]
    fn slices_keep_to_the_limits_and_lose_nothing() {
        let part = part(unit("1", &["aa", "b", "cccccc", "d", "e"], Waits::No), false);
        let by = |max_bytes, max_pieces, max_spans| {
            let limits = Limits { max_bytes, max_pieces, max_spans };
            shape(&part.begin(&Route { limits, ..route(1) }))
        };
        assert_eq!(by(100, 100, 100), [(0, 5)]);
        assert_eq!(by(3, 100, 100), [(0, 2), (2, 3), (3, 5)]);
        assert_eq!(by(100, 2, 100), [(0, 2), (2, 4), (4, 5)]);
        assert_eq!(by(100, 100, 1).len(), 5);
    }

    #[test]
    fn halves_cut_through_units_down_to_one_piece() {
        let mut batch = part(unit("1", &["a"], Waits::No), false).begin(&route(100));
        batch.extend(part(unit("2", &["b", "c", "d"], Waits::No), false).begin(&route(100)));
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
        let (turn, ready) = enter(unit("1", &["a"], Waits::No), &session, false);
        assert_eq!(counts(&ready), [1, 0, 0]);
        let (last, ready) = enter(unit("1", &["z"], Waits::ForTrace), &session, false);
        assert_eq!(counts(&ready), [0, 0, 0]);
        assert_eq!(counts(&session.encoded()), [0, 0, 0]);
        assert_eq!(counts(&session.end(&turn, true)), [1, 0, 0]);
        assert_eq!(session.end(&last, true).files, [stamp]);
    }

    fn route(max_pieces: usize) -> Route {
        Route {
            name: "r",
            method: codex_trace_export::Method::Post,
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
        let part = part(unit("1", &["a", "b", "c", "d", "e"], Waits::No), true);
        assert_eq!(shape(&part.begin(&route(2))), [(0, 2)]);
        assert!(part.next().is_none());
        assert!(!part.settle(1, Settled::Taken).ended);
        assert!(part.next().is_none(), "half of it");
        assert!(!part.settle(1, Settled::Taken).ended);
        assert_eq!(shape(part.next().as_slice()), [(2, 4)]);
        assert!(part.next().is_none());
        // What is not sent takes all that would have followed with it.
        let skipped = part.skip(2);
        assert_eq!((skipped.freed, skipped.ended), (5, true));
        assert!(part.next().is_none() && part.whole.is_unsent());
    }

    #[test]
    fn parts_come_one_by_one_where_order_matters() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let of = |text| unit("1", &[text], Waits::No);
        for in_order in [false, true] {
            let whole = Whole::new(&of("a"), None, &session, in_order);
            assert!(matches!(whole.add(of("a"), &Arc::default()), Added::Waits), "not begun");
            let first = whole.begin().remove(0);
            let second = match whole.add(of("bb"), &Arc::default()) {
                Added::Ready(part) => Some(part),
                Added::Waits | Added::Unwanted => None,
            };
            assert_eq!(second.is_none(), in_order);
            let settled = first.settle(1, Settled::Taken);
            assert_eq!((settled.freed, settled.ended), (1, false), "more may come");
            let second = second.or(settled.next).unwrap();
            assert_eq!(shape(&second.begin(&route(2))), [(1, 2)]);
            assert!(!whole.seal(Fingerprint([0; 32])));
            let settled = second.settle(1, Settled::Taken);
            assert_eq!((settled.freed, settled.ended), (2, true));
            assert!(!whole.is_unsent());
        }
    }

    #[test]
    fn what_is_given_up_takes_no_more_parts_and_ends_with_the_last() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let of = |text| unit("1", &[text], Waits::No);
        let whole = Whole::new(&of("a"), None, &session, true);
        whole.add(of("a"), &Arc::default());
        let first = whole.begin().remove(0);
        whole.add(of("bb"), &Arc::default());
        let skipped = first.skip(1);
        assert_eq!((skipped.freed, skipped.ended), (3, false), "both of them");
        assert!(matches!(whole.add(of("c"), &Arc::default()), Added::Unwanted));
        assert!(whole.seal(Fingerprint([0; 32])), "nothing is under way");
    }

    #[test]
    fn what_hangs_under_another_unit_follows_it_however_deep() {
        let session = Arc::new(Session::new("s", Vec::new()));
        let below = |turn: &str, above: &str| {
            let mut unit = unit(turn, &["x"], Waits::No);
            unit.under = Some(UnitKey { turn: Some(above.to_owned()), ..unit.key.clone() });
            enter(unit, &session, false)
        };
        let (top, ready) = enter(unit("1", &["a"], Waits::No), &session, false);
        assert_eq!(counts(&ready), [1, 0, 0]);
        let (child, ready) = below("2", "1");
        assert_eq!(counts(&ready), [0, 0, 0]);
        assert_eq!(counts(&below("3", "2").1), [0, 0, 0]);
        assert_eq!(counts(&below("4", "elsewhere").1), [1, 0, 0], "it is there");
        let ready = session.end(&top, true);
        assert_eq!(counts(&ready), [1, 0, 0]);
        assert_eq!(ready.released[0].key.turn.as_deref(), Some("2"));
        // The child was refused: what hangs under it is not sent.
        assert_eq!(counts(&session.end(&child, false)), [0, 1, 0]);
    }

    #[test]
    fn what_waits_for_something_missing_is_abandoned() {
        let stamp = FileStamp { path: "f".to_owned(), stamp: [0; 32] };
        let session = Arc::new(Session::new("s", vec![stamp]));
        let (turn, _) = enter(unit("1", &["a"], Waits::No), &session, false);
        let one = enter(unit("1", &["z"], Waits::ForTurn), &session, false).1;
        assert_eq!(counts(&one), [0, 0, 0]);
        let other = enter(unit("2", &["z"], Waits::ForTurn), &session, false).1;
        assert_eq!(counts(&other), [1, 0, 0], "turn 2 has nothing to wait for");
        let ready = session.end(&turn, false);
        assert_eq!(counts(&ready), [0, 1, 0]);
        assert_eq!(counts(&session.encoded()), [0, 0, 0], "not all was sent");
    }
}
