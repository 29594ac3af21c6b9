//! Hands on what several workers make, in the order of the jobs, in bounded
//! memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A piece of output that takes memory.
pub trait Weigh {
    /// Returns how much, in bytes.
    fn weight(&self) -> usize;
}

impl Weigh for Vec<u8> {
    fn weight(&self) -> usize {
        self.len()
    }
}

/// What comes out.
#[derive(Debug)]
pub enum Event<T, C = Vec<u8>> {
    /// The next piece of the output of the current job.
    Chunk(C),
    /// The current job has ended; the one after it is next.
    End(T),
}

/// A queue of queues: one for each job under way.
///
/// The job whose turn it is may always go on; the others wait while more than
/// `budget` bytes are held.
#[derive(Debug)]
pub struct Ordered<T, C = Vec<u8>> {
    state: Mutex<State<T, C>>,
    /// Told when something comes next, or never will.
    ready: Condvar,
    /// Told when there is room again, or when nobody wants any more.
    room: Condvar,
    budget: usize,
}

/// Who takes the output is not woken for less than this, in bytes: to switch from one
/// thread to another and back costs more than to copy that much.
const WORTH_WAKING: usize = 1 << 20;

type Locked<'g, T, C> = MutexGuard<'g, State<T, C>>;

#[derive(Debug)]
struct State<T, C> {
    /// The job whose output is handed on now.
    current: usize,
    jobs: BTreeMap<usize, Job<T, C>>,
    /// The bytes held for all jobs.
    held: usize,
    stopped: bool,
    /// Whether somebody waits for what comes next.
    taker_waits: bool,
    /// How many wait for room.
    n_makers_wait: usize,
}

#[derive(Debug)]
struct Job<T, C> {
    chunks: VecDeque<C>,
    held: usize,
    end: Option<T>,
}

impl<T, C> Default for Job<T, C> {
    fn default() -> Job<T, C> {
        Job { chunks: VecDeque::new(), held: 0, end: None }
    }
}

impl<T, C: Weigh> Ordered<T, C> {
    /// Makes a queue that holds about `budget` bytes.
    pub fn new(budget: usize) -> Ordered<T, C> {
        let state = State {
            current: 0,
            jobs: BTreeMap::new(),
            held: 0,
            stopped: false,
            taker_waits: false,
            n_makers_wait: 0,
        };
        Ordered { state: Mutex::new(state), ready: Condvar::new(), room: Condvar::new(), budget }
    }

    fn lock(&self) -> Locked<'_, T, C> {
        // Nothing that can panic runs while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room.
    fn wait_for_room<'g>(&self, mut state: Locked<'g, T, C>) -> Locked<'g, T, C> {
        // What is held has to go first.
        self.wake_taker(&mut state);
        state.n_makers_wait += 1;
        let mut state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.n_makers_wait -= 1;
        state
    }

    /// Waits for what comes next.
    fn wait_until_ready<'g>(&self, mut state: Locked<'g, T, C>) -> Locked<'g, T, C> {
        state.taker_waits = true;
        let mut state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        state.taker_waits = false;
        state
    }

    /// Telling costs a call of the system, even if nobody listens.
    fn wake_taker(&self, state: &mut State<T, C>) {
        if std::mem::take(&mut state.taker_waits) {
            self.ready.notify_one();
        }
    }

    fn wake_makers(&self, state: &State<T, C>) {
        if state.n_makers_wait > 0 {
            self.room.notify_all();
        }
    }

    /// Adds a piece of the output of job `nth`. Blocks while too much is held.
    /// Returns `false` if nobody wants it any more.
    pub fn push(&self, nth: usize, chunk: C) -> bool {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return false;
            }
            let held = if nth == state.current {
                state.jobs.get(&nth).map_or(0, |job| job.held)
            } else {
                state.held
            };
            if held == 0 || held + chunk.weight() <= self.budget {
                break;
            }
            state = self.wait_for_room(state);
        }
        state.held += chunk.weight();
        let job = state.jobs.entry(nth).or_default();
        job.held += chunk.weight();
        job.chunks.push_back(chunk);
        if job.held >= WORTH_WAKING && nth == state.current {
            self.wake_taker(&mut state);
        }
        true
    }

    /// Ends job `nth`.
    pub fn end(&self, nth: usize, value: T) {
        let mut state = self.lock();
        state.jobs.entry(nth).or_default().end = Some(value);
        if nth == state.current {
            self.wake_taker(&mut state);
        }
    }

    /// Ends everything: no push is taken any more, nothing comes out.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        self.wake_taker(&mut state);
        self.wake_makers(&state);
    }

    /// Returns what comes next of `n_jobs` jobs; `None` after the last one, or
    /// once everything was stopped.
    pub fn next(&self, n_jobs: usize) -> Option<Event<T, C>> {
        let mut state = self.lock();
        loop {
            if state.stopped || state.current >= n_jobs {
                return None;
            }
            let current = state.current;
            if let Some(job) = state.jobs.get_mut(&current) {
                if let Some(chunk) = job.chunks.pop_front() {
                    job.held -= chunk.weight();
                    let half_empty = job.held <= self.budget / 2;
                    state.held -= chunk.weight();
                    if half_empty {
                        self.wake_makers(&state);
                    }
                    return Some(Event::Chunk(chunk));
                }
                if let Some(end) = job.end.take() {
                    state.jobs.remove(&current);
                    state.current += 1;
                    self.wake_makers(&state);
                    return Some(Event::End(end));
                }
            }
            state = self.wait_until_ready(state);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn comes_out_in_the_order_of_the_jobs() {
        let queue = Ordered::new(1 << 10);
        assert!(queue.push(1, b"b".to_vec()));
        queue.end(1, "one");
        assert!(queue.push(0, b"a".to_vec()));
        queue.end(0, "zero");
        let mut seen = Vec::new();
        while let Some(event) = queue.next(2) {
            seen.push(match event {
                Event::Chunk(bytes) => String::from_utf8(bytes).unwrap(),
                Event::End(word) => word.to_owned(),
            });
        }
        assert_eq!(seen, ["a", "zero", "b", "one"]);
    }

    /// Job 1 makes far more than the budget while job 0 is slow: it must wait,
    /// and job 0 must not.
    #[test]
    fn holds_no_more_than_the_budget() {
        const CHUNK: usize = 100;
        let queue = Ordered::new(3 * CHUNK);
        let most_held = AtomicUsize::new(0);
        let note = || most_held.fetch_max(queue.lock().held, Ordering::SeqCst);
        let mut bytes = 0;
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(queue.push(1, vec![1; CHUNK]));
                    note();
                }
                queue.end(1, ());
            });
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(queue.push(0, vec![0; CHUNK]));
                    note();
                }
                queue.end(0, ());
            });
            while let Some(event) = queue.next(2) {
                if let Event::Chunk(chunk) = event {
                    bytes += chunk.weight();
                }
            }
        });
        assert_eq!(bytes, 100 * CHUNK);
        assert!(
            most_held.into_inner() <= 6 * CHUNK,
            "the budget, for the current job and the rest"
        );
    }

    /// Nobody is woken for little, and nobody sleeps through what he waits for: all comes
    /// out, whoever is faster and whatever fits.
    #[test]
    fn all_comes_out_whoever_waits() {
        const N_JOBS: usize = 60;
        let len_of = |nth: usize, chunk: usize| match (nth * 7 + chunk * 3) % 11 {
            10 => WORTH_WAKING + nth,
            short => short * 100 + 1,
        };
        for budget in [0, 1, 300, WORTH_WAKING / 2, 4 * WORTH_WAKING] {
            let queue = Ordered::new(budget);
            let next = AtomicUsize::new(0);
            let mut lens = vec![Vec::new(); N_JOBS];
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        loop {
                            let nth = next.fetch_add(1, Ordering::Relaxed);
                            if nth >= N_JOBS {
                                return;
                            }
                            for chunk in 0..nth % 9 {
                                assert!(queue.push(nth, vec![0; len_of(nth, chunk)]));
                            }
                            queue.end(nth, nth);
                        }
                    });
                }
                let mut current = 0;
                while let Some(event) = queue.next(N_JOBS) {
                    match event {
                        Event::Chunk(bytes) => lens[current].push(bytes.len()),
                        Event::End(nth) => {
                            assert_eq!(nth, current);
                            current += 1;
                        }
                    }
                }
            });
            for (nth, lens) in lens.iter().enumerate() {
                let expected: Vec<usize> = (0..nth % 9).map(|chunk| len_of(nth, chunk)).collect();
                assert_eq!(lens, &expected, "job {nth}, {budget} bytes");
            }
        }
    }

    #[test]
    fn stopping_frees_who_waits() {
        let queue = Ordered::new(1);
        assert!(queue.push(1, vec![0]));
        thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.push(1, vec![0]));
            queue.stop();
            assert!(!waiting.join().unwrap());
            queue.end(1, ());
            assert!(queue.next(2).is_none());
        });
    }
}
