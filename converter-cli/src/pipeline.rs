//! Opens, resolves and hands on sessions, several at once, in order: owns
//! every thread and every limit of a run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use anyhow::Context;
use codex_rollout::{RolloutHead, Source};
use codex_trace_model::{Code, Diagnostic, RolloutInput, SessionGroup, Trace, resolve};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::history::History;
pub use crate::ordered::Event;
use crate::ordered::Ordered;
use crate::panics;

/// The most output held for sessions whose turn it is not yet, in bytes.
const BUDGET: usize = 32 << 20;

/// The size at which output is handed on, in bytes.
const CHUNK: usize = 256 << 10;

/// Makes the threads that compute: our own, never the global ones.
///
/// # Errors
///
/// If the system has no threads left.
pub fn pool(jobs: usize) -> anyhow::Result<ThreadPool> {
    let pool = ThreadPoolBuilder::new().num_threads(jobs).thread_name(|n| format!("worker-{n}"));
    pool.build().context("cannot start threads")
}

/// Where a job puts its output.
#[derive(Debug)]
pub struct Sink<'q, T> {
    queue: &'q Ordered<T>,
    nth: usize,
}

impl<T> Sink<'_, T> {
    /// Hands on what is in `buffer`, if it is enough to be worth it. Call it
    /// where the output may be cut: after a line. Returns `false` if nobody
    /// wants any more.
    pub fn pass(&self, buffer: &mut Vec<u8>) -> bool {
        buffer.len() < CHUNK || self.finish(buffer)
    }

    /// Hands on what is in `buffer`.
    pub fn finish(&self, buffer: &mut Vec<u8>) -> bool {
        if buffer.is_empty() {
            return true;
        }
        let chunk = std::mem::replace(buffer, Vec::with_capacity(CHUNK + CHUNK / 4));
        self.queue.push(self.nth, chunk)
    }
}

/// Why a session has no result.
#[derive(Debug)]
pub enum Lost {
    /// None of its files can be read.
    Unreadable(Vec<Diagnostic>),
    /// This program is wrong.
    Fault {
        /// The session.
        session_id: String,
        /// What the panic said.
        message: String,
    },
}

/// The outcome of one session: `None` if the job had no use for it.
pub type Outcome<T> = Result<Option<T>, Lost>;

/// Resolves every session of `history` and runs `job` on its trace, on the
/// threads of `pool`; hands the output to `take`, on this thread, in the order
/// of the sessions, whatever order they were ready in.
///
/// Stops early, without an error, once `interrupted` is set: what is under way
/// is finished.
///
/// # Errors
///
/// What `take` fails with, at once.
pub fn run<T: Send, E>(
    history: &History,
    pool: &ThreadPool,
    interrupted: &AtomicBool,
    job: impl Fn(&Trace<'_>, &Sink<'_, Outcome<T>>) -> Option<T> + Sync,
    mut take: impl FnMut(Event<Outcome<T>>) -> Result<(), E>,
) -> Result<(), E> {
    let n_jobs = history.sessions.len();
    let queue: Ordered<Outcome<T>> = Ordered::new(BUDGET);
    let next = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let work = || {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(session) = history.sessions.get(nth) else { return };
            if done.load(Ordering::Relaxed) {
                return;
            }
            if interrupted.load(Ordering::Relaxed) {
                queue.end(nth, Ok(None));
                continue;
            }
            let sink = Sink { queue: &queue, nth };
            let outcome = panics::catch(|| {
                with_trace(history, session, |trace| job(trace, &sink)).map_err(Lost::Unreadable)
            });
            let fault =
                |message| Lost::Fault { session_id: session.root_thread_id.clone(), message };
            queue.end(nth, outcome.map_err(fault).flatten());
        }
    };
    pool.in_place_scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            scope.spawn(|_| work());
        }
        while let Some(event) = queue.next(n_jobs) {
            if let Err(err) = take(event) {
                done.store(true, Ordering::Relaxed);
                queue.stop();
                return Err(err);
            }
        }
        Ok(())
    })
}

/// Opens the files of a session, resolves them and calls `f` with the trace,
/// which borrows from the files.
///
/// # Errors
///
/// If none of the files can be read. If some cannot, the trace says so.
pub fn with_trace<T>(
    history: &History,
    session: &SessionGroup,
    f: impl FnOnce(&Trace<'_>) -> T,
) -> Result<T, Vec<Diagnostic>> {
    let mut odd = session.diagnostics.clone();
    let mut opened: Vec<(&RolloutHead, String, Source, Option<Source>)> = Vec::new();
    for member in &session.members {
        let head = &history.heads[member.head];
        let path = head.rollout.path.display().to_string();
        match Source::open(&head.rollout) {
            Ok(source) => {
                // Without its ancestor a file is read all the same: the model says what is missing.
                let ancestor = member.ancestor.map(|ancestor| &history.heads[ancestor].rollout);
                let ancestor = ancestor.and_then(|rollout| Source::open(rollout).ok());
                opened.push((head, path, source, ancestor));
            }
            Err(err) => odd.push(unreadable(path, &err)),
        }
    }
    if opened.is_empty() {
        return Err(odd);
    }
    let inputs: Vec<RolloutInput<'_>> = opened
        .iter()
        .map(|(head, path, source, ancestor)| RolloutInput {
            path,
            thread_id: &head.thread_id,
            source,
            ancestor: ancestor.as_ref(),
        })
        .collect();
    let mut trace = resolve(&inputs);
    for (_, path, source, _) in &opened {
        if source.was_shortened() {
            odd.push(shortened(path.clone()));
        }
    }
    trace.diagnostics.extend(odd);
    Ok(f(&trace))
}

fn unreadable(path: String, err: &codex_rollout::Error) -> Diagnostic {
    let cause = std::error::Error::source(err).map(|cause| format!(": {cause}"));
    Diagnostic {
        code: Code::Unreadable,
        path,
        position: None,
        column: None,
        text: format!("{err}{}", cause.unwrap_or_default()),
    }
}

fn shortened(path: String) -> Diagnostic {
    Diagnostic {
        code: Code::Changed,
        path,
        position: None,
        column: None,
        text: "the file was shortened while it was read".to_owned(),
    }
}
