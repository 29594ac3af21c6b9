//! Reads sessions on several threads and hands on what becomes of them, in
//! order and in bounded memory, to whoever takes it on another thread.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use arrow_array::RecordBatch;
use codex_trace_history::ordered::{Event, Ordered, Weigh};
use codex_trace_history::{panics, pipeline};
use pyo3::prelude::*;

use crate::scan::Found;

/// The most that is held for sessions whose turn it is not yet, in bytes.
const BUDGET: usize = 32 << 20;

/// Sessions are read together up to this size of their files, in bytes: small
/// ones would make tiny batches.
const TOGETHER: u64 = 2 << 20;

/// How many pieces wait to be taken.
const WAITING: usize = 1;

/// How often somebody who waits looks for an interrupt.
const LOOK: Duration = Duration::from_millis(50);

/// What comes out.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Rows of a table.
    Rows(RecordBatch),
    /// A trace as JSON lines.
    Lines(Vec<u8>),
    /// Nothing more comes, because of this.
    Failed(String),
}

impl Weigh for Piece {
    fn weight(&self) -> usize {
        match self {
            Piece::Rows(batch) => batch.get_array_memory_size(),
            Piece::Lines(bytes) => bytes.len(),
            Piece::Failed(_) => 0,
        }
    }
}

/// Where a job puts its pieces; `false` if no more are wanted.
pub(crate) type Put<'p> = dyn FnMut(Piece) -> bool + 'p;

/// What is made of consecutive sessions.
pub(crate) trait Job: Send + Sync + 'static {
    /// Whether small sessions are read together.
    fn joins(&self) -> bool;

    /// What comes before all sessions.
    fn begin(&self, found: &Found, put: &mut Put<'_>);

    /// Reads sessions by their numbers.
    fn run(&self, found: &Found, sessions: Range<usize>, put: &mut Put<'_>);
}

/// Divides the sessions into stretches that one thread reads at a time.
fn units(found: &Found, joins: bool) -> Vec<Range<usize>> {
    let mut units: Vec<(Range<usize>, u64)> = Vec::new();
    for (nth, session) in found.history.sessions.iter().enumerate() {
        let len = session.members.iter().map(|it| found.history.heads[it.head].len).sum::<u64>();
        match units.last_mut() {
            Some((unit, total)) if joins && *total + len <= TOGETHER => {
                unit.end = nth + 1;
                *total += len;
            }
            _ => units.push((nth..nth + 1, len)),
        }
    }
    units.into_iter().map(|unit| unit.0).collect()
}

/// Reads everything; what comes out is sent as long as somebody takes it.
fn produce(found: &Found, job: &dyn Job, sender: &SyncSender<Piece>) {
    let units = units(found, job.joins());
    // One thread has no session but the one whose turn it is.
    let budget = if found.threads > 1 { BUDGET } else { 0 };
    let queue: Ordered<(), Piece> = Ordered::new(budget);
    let (next, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let work = || {
        while !done.load(Ordering::Relaxed) {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth > units.len() {
                return;
            }
            let outcome = panics::catch(|| {
                let put = &mut |piece| queue.push(nth, piece);
                match nth.checked_sub(1) {
                    None => job.begin(found, put),
                    Some(unit) => job.run(found, units[unit].clone(), put),
                }
            });
            if let Err(fault) = outcome {
                queue.push(nth, Piece::Failed(format!("a fault of codex-trace: {fault}")));
            }
            queue.end(nth, ());
        }
    };
    let pool = match pipeline::pool(found.threads) {
        Ok(pool) => pool,
        Err(err) => return drop(sender.send(Piece::Failed(err.to_string()))),
    };
    pool.in_place_scope(|scope| {
        for _ in 0..found.threads {
            scope.spawn(|_| work());
        }
        while let Some(event) = queue.next(units.len() + 1) {
            let Event::Chunk(piece) = event else { continue };
            let last = matches!(piece, Piece::Failed(_));
            if sender.send(piece).is_err() || last {
                done.store(true, Ordering::Relaxed);
                queue.stop();
                return;
            }
        }
    });
}

/// The end at which pieces are taken. Once it is gone, the threads stop.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// Two threads that take from one stream take turns.
    receiver: Mutex<Receiver<Piece>>,
    /// The thread that asked for them: on it signals are looked for.
    owner: ThreadId,
}

/// Why there is no piece.
#[derive(Debug)]
pub(crate) enum Stop {
    /// There are no more.
    End,
    /// Something failed, and that was not to be.
    Failed(String),
    /// A signal handler of Python raised something.
    Raised(PyErr),
}

impl Pieces {
    /// Starts to read.
    pub(crate) fn start(found: &Arc<Found>, job: impl Job) -> std::io::Result<Pieces> {
        let (sender, receiver) = sync_channel(WAITING);
        let found = Arc::clone(found);
        let name = std::thread::Builder::new().name("codex-trace".to_owned());
        name.spawn(move || produce(&found, &job, &sender))?;
        Ok(Pieces { receiver: Mutex::new(receiver), owner: std::thread::current().id() })
    }

    fn receiver(&self) -> MutexGuard<'_, Receiver<Piece>> {
        self.receiver.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next piece, without holding Python up.
    pub(crate) fn next(&self) -> Result<Piece, Stop> {
        if std::thread::current().id() != self.owner {
            return match self.receiver().recv() {
                Ok(Piece::Failed(what)) => Err(Stop::Failed(what)),
                Ok(piece) => Ok(piece),
                Err(_) => Err(Stop::End),
            };
        }
        loop {
            let waited = Python::attach(|py| {
                py.check_signals()?;
                Ok(py.detach(|| self.receiver().recv_timeout(LOOK)))
            });
            match waited.map_err(Stop::Raised)? {
                Ok(Piece::Failed(what)) => return Err(Stop::Failed(what)),
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Stop::End),
            }
        }
    }
}
