use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::delivery::flight::Slice;
use crate::delivery::sorted::Line;
use codex_trace_export::{Order, Route};

/// How long a sender waits for more of what it could put into one request.
const LINGER: Duration = Duration::from_millis(20);

/// How often those who wait look whether they still should.
pub(super) const LOOK: Duration = Duration::from_millis(100);

/// When a request is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    /// When nothing more fits, or comes for a while.
    InTime,
    /// When nothing more fits: the same in every run.
    BySize,
}

/// What is encoded and not yet settled, bounded in bytes.
///
/// Bytes count from when a unit is encoded until its destination has answered,
/// so that a slow destination stops encoding rather than filling the memory.
/// Beside them those of the rollouts count that units are made of.
#[derive(Debug)]
pub(super) struct Queue {
    budget: usize,
    packing: Packing,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    slices: Line,
    /// Bytes of units that are not settled.
    held: usize,
    /// Bytes of rollouts that are being read.
    opened: usize,
    /// The most that was held at once.
    peak: usize,
    /// Batches taken and not settled: they may put back more.
    under_way: usize,
    /// Those who wait for room.
    without_room: usize,
    closed: bool,
    stopped: bool,
}

impl Queue {
    pub(super) fn new(budget: usize, packing: Packing, order: Order) -> Queue {
        let state = State {
            slices: Line::new(order),
            held: 0,
            opened: 0,
            peak: 0,
            under_way: 0,
            without_room: 0,
            closed: false,
            stopped: false,
        };
        Queue { budget, packing, state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Waits until there is room for a rollout of `bytes`; one that is larger
    /// than the whole budget gets in alone. Gives the room back when dropped.
    pub(super) fn open(&self, bytes: usize) -> Opened<'_> {
        let mut state = self.wait_for_room(|state| {
            let held = state.held + state.opened;
            held > 0 && held + bytes > self.budget
        });
        state.opened += bytes;
        Opened { queue: self, bytes }
    }

    /// Waits until there is room for a unit of `bytes`. If no unit is held it
    /// gets in whatever its size, as waiting would help nobody. Returns `false`
    /// if nobody wants it any more.
    pub(super) fn reserve(&self, bytes: usize) -> bool {
        let mut state = self.wait_for_room(|state| {
            state.held > 0 && state.held + state.opened + bytes > self.budget
        });
        if !state.stopped {
            state.held += bytes;
            state.peak = state.peak.max(state.held);
        }
        !state.stopped
    }

    /// Gives back the room of a settled unit.
    pub(super) fn release(&self, bytes: usize) {
        self.lock().held -= bytes;
        self.changed.notify_all();
    }

    /// Adds a slice of a unit that has room.
    pub(super) fn push(&self, slice: Slice) {
        self.lock().slices.push(slice);
        self.changed.notify_all();
    }

    /// Takes as many slices as fit into one request of their route; `None` once
    /// nothing can come any more, or `stop` was called.
    pub(super) fn take(&self, routes: &[Route]) -> Option<Vec<Slice>> {
        let mut state = self.lock();
        let first = loop {
            if state.stopped {
                return None;
            }
            let is_due = state.closed || !state.slices.waits_for_all();
            match if is_due { state.slices.pop() } else { None } {
                Some(first) => break first,
                None if state.closed && state.under_way == 0 => return None,
                None => state = self.wait(state, LOOK),
            }
        };
        state.under_way += 1;
        let route = first.route();
        let mut batch = Batch::new(&routes[route], first);
        let clock = Clock::start();
        loop {
            let next = state.slices.first().is_some_and(|it| it.route() == route);
            let fits = next && state.slices.first().is_some_and(|it| batch.fits(it));
            if fits {
                batch.slices.extend(state.slices.pop());
                continue;
            }
            let more = !next && state.slices.first().is_none() && !state.closed && !state.stopped;
            let left = match self.packing {
                Packing::InTime => LINGER.checked_sub(clock.elapsed()),
                // Whoever waits for room waits for this batch.
                Packing::BySize => (state.without_room == 0).then_some(LOOK),
            };
            match left.filter(|_| more) {
                Some(left) => state = self.wait(state, left),
                None => return Some(batch.slices),
            }
        }
    }

    /// Notes that a batch taken is settled.
    pub(super) fn settled(&self) {
        self.lock().under_way -= 1;
        self.changed.notify_all();
    }

    /// Says that nothing more will be pushed but by those who settle.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Ends everything: nobody gets anything any more.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Takes out what nobody took.
    pub(super) fn drain(&self) -> Vec<Slice> {
        let mut state = self.lock();
        std::iter::from_fn(|| state.slices.pop()).collect()
    }

    /// Returns the most bytes that were held at once.
    pub(super) fn peak(&self) -> usize {
        self.lock().peak
    }

    /// Waits until it is not full, or nobody wants anything any more.
    fn wait_for_room(&self, is_full: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if state.stopped || !is_full(&state) {
            return state;
        }
        // Said once: two that wait would wake each other for ever.
        state.without_room += 1;
        self.changed.notify_all();
        while !state.stopped && is_full(&state) {
            state = self.wait(state, LOOK);
        }
        state.without_room -= 1;
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'q>(&self, state: MutexGuard<'q, State>, most: Duration) -> MutexGuard<'q, State> {
        self.changed.wait_timeout(state, most).unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Room for a rollout, for as long as it is read.
#[derive(Debug)]
pub(super) struct Opened<'q> {
    queue: &'q Queue,
    bytes: usize,
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        self.queue.lock().opened -= self.bytes;
        self.queue.changed.notify_all();
    }
}

/// Slices that go into one request.
struct Batch<'r> {
    route: &'r Route,
    slices: Vec<Slice>,
}

impl<'r> Batch<'r> {
    fn new(route: &'r Route, first: Slice) -> Batch<'r> {
        Batch { route, slices: vec![first] }
    }

    fn fits(&self, another: &Slice) -> bool {
        let slices = || self.slices.iter().chain([another]);
        let limits = self.route.limits;
        let n_pieces = slices().map(Slice::n_pieces).sum();
        let bytes = slices().map(Slice::len).sum();
        n_pieces <= limits.max_pieces
            && slices().map(Slice::spans).sum::<u32>() <= limits.max_spans
            && self.route.framing.len_of(n_pieces, bytes) <= limits.max_bytes
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Two that wait for room wake each other once, not for ever: that would be
    /// a busy processor for as long as a destination is slow.
    #[test]
    fn those_who_wait_for_room_rest() {
        let queue = Queue::new(10, Packing::InTime, Order::Any);
        assert!(queue.reserve(10));
        let looks = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    drop(queue.wait_for_room(|state| {
                        looks.fetch_add(1, Ordering::Relaxed);
                        state.held > 0
                    }));
                });
            }
            std::thread::sleep(3 * LOOK);
            queue.release(10);
        });
        // Now and then they look; who never rests looks hundreds of thousands of times.
        assert!(looks.into_inner() < 2_000);
        assert_eq!(queue.lock().without_room, 0);
    }
}
