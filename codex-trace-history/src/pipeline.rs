//! Opens, resolves and hands on sessions, several at once, in order: owns
//! every thread and every limit of a run.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use codex_rollout::Source;
use codex_trace_model::{Code, Diagnostic, SessionGroup, Trace, nearest_ancestor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::failure::Failure;
use crate::history::History;
pub use crate::ordered::Event;
use crate::ordered::Ordered;
use crate::owned::{OwnedFile, OwnedTrace};
use crate::panics;

/// The most output held for sessions whose turn it is not yet, in bytes.
const BUDGET: usize = 32 << 20;

/// The size at which output is handed on, in bytes.
const CHUNK: usize = 256 << 10;

/// How many buffers are kept to be used again: fresh memory costs the system more than
/// what is written into it costs us.
const SPARES: usize = 8;

/// The largest buffer that is kept, in bytes.
const LARGEST_SPARE: usize = 4 * CHUNK;

/// Makes the threads that compute: our own, never the global ones.
///
/// # Errors
///
/// If the system has no threads left.
pub fn pool(jobs: usize) -> Result<ThreadPool, Failure> {
    let pool = ThreadPoolBuilder::new().num_threads(jobs).thread_name(|n| format!("worker-{n}"));
    pool.build().map_err(|err| Failure::because("cannot start threads", &err))
}

/// Where a job puts its output.
#[derive(Debug)]
pub struct Sink<'q, T> {
    queue: &'q Ordered<T>,
    spares: &'q Spares,
    nth: usize,
}

/// Buffers of what was handed on.
#[derive(Debug, Default)]
struct Spares(Mutex<Vec<Vec<u8>>>);

impl Spares {
    fn take(&self) -> Vec<u8> {
        let spare = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        spare.unwrap_or_else(|| Vec::with_capacity(CHUNK + CHUNK / 4))
    }

    fn give(&self, mut buffer: Vec<u8>) {
        let mut spares = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spares.len() < SPARES && buffer.capacity() <= LARGEST_SPARE {
            buffer.clear();
            spares.push(buffer);
        }
    }
}

impl<T> Sink<'_, T> {
    /// Returns an empty buffer to write into.
    pub fn buffer(&self) -> Vec<u8> {
        self.spares.take()
    }

    /// Hands on what is in `buffer`, if it is enough to be worth it. Call it
    /// where the output may be cut: after a line. Returns `false` if nobody
    /// wants any more.
    pub fn pass(&self, buffer: &mut Vec<u8>) -> bool {
        buffer.len() < CHUNK || self.hand_on(std::mem::replace(buffer, self.buffer()))
    }

    /// Hands on what is in `buffer`.
    pub fn finish(&self, buffer: &mut Vec<u8>) -> bool {
        self.hand_on(std::mem::take(buffer))
    }

    fn hand_on(&self, chunk: Vec<u8>) -> bool {
        chunk.is_empty() || self.queue.push(self.nth, chunk)
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

/// What a job looks at in the traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Everything: the files stay in memory as long as the trace.
    Content,
    /// Times, counts and names: large files leave memory once they are read.
    Facts,
}

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
    look: Look,
    job: impl Fn(&Trace<'_>, &Sink<'_, Outcome<T>>) -> Option<T> + Sync,
    mut take: impl FnMut(Event<Outcome<T>, &[u8]>) -> Result<(), E>,
) -> Result<(), E> {
    let n_jobs = history.sessions.len();
    let queue: Ordered<Outcome<T>> = Ordered::new(BUDGET);
    let spares = Spares::default();
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
            let sink = Sink { queue: &queue, spares: &spares, nth };
            let outcome = panics::catch(|| {
                with_trace(history, session, look, |trace| job(trace, &sink))
                    .map_err(Lost::Unreadable)
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
            let taken = match event {
                Event::Chunk(bytes) => {
                    let taken = take(Event::Chunk(bytes.as_slice()));
                    spares.give(bytes);
                    taken
                }
                Event::End(outcome) => take(Event::End(outcome)),
            };
            if let Err(err) = taken {
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
/// As [`open`].
pub fn with_trace<T>(
    history: &History,
    session: &SessionGroup,
    look: Look,
    f: impl FnOnce(&Trace<'_>) -> T,
) -> Result<T, Vec<Diagnostic>> {
    open(history, session, look).map(|trace| f(trace.get()))
}

/// Opens the files of a session and resolves them.
///
/// # Errors
///
/// If none of the files can be read. If some cannot, the trace says so.
pub fn open(
    history: &History,
    session: &SessionGroup,
    look: Look,
) -> Result<OwnedTrace, Vec<Diagnostic>> {
    let mut opened: HashMap<usize, Arc<Source>> = HashMap::new();
    let mut open = |head: usize| {
        if let Some(source) = opened.get(&head) {
            return Ok(Arc::clone(source));
        }
        let rollout = &history.heads[head].rollout;
        let source = Arc::new(match look {
            Look::Content => Source::open(rollout)?,
            Look::Facts => Source::open_lean(rollout)?,
        });
        opened.insert(head, Arc::clone(&source));
        codex_rollout::Result::Ok(source)
    };
    let mut odd = session.diagnostics.clone();
    let mut files = Vec::new();
    for member in &session.members {
        let head = &history.heads[member.head];
        match open(member.head) {
            Ok(source) => {
                // Without its ancestor a file is read all the same: the model says what is missing.
                let ancestors = member.ancestors.iter().filter_map(|it| open(*it).ok());
                let ancestor = nearest_ancestor(&source, ancestors);
                files.push(OwnedFile::new(head.clone(), member.clone(), source, ancestor));
            }
            Err(err) => odd.push(unreadable(member.path.clone(), &err)),
        }
    }
    OwnedTrace::resolve(files, &mut odd).ok_or(odd)
}

pub(crate) fn unreadable(path: String, err: &codex_rollout::Error) -> Diagnostic {
    let cause = std::error::Error::source(err).map(|cause| format!(": {cause}"));
    Diagnostic {
        code: Code::Unreadable,
        path,
        position: None,
        column: None,
        text: format!("{err}{}", cause.unwrap_or_default()),
        count: 1,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use codex_rollout::{Copies, RolloutHead, discover};
    use codex_trace_model::group;

    use super::*;

    fn fixtures() -> History {
        let tree: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/tree");
        let heads = discover(&tree).map(|found| RolloutHead::read(&found.unwrap()).unwrap());
        let heads: Vec<RolloutHead> = heads.collect();
        let sessions = group(&heads, &Copies::find(&heads));
        History { heads, sessions, ..History::default() }
    }

    /// Runs a job on all fixtures; returns what came out, in order.
    fn run_all(
        history: &History,
        jobs: usize,
        job: impl Fn(&Trace<'_>, &Sink<'_, Outcome<String>>) -> Option<String> + Sync,
    ) -> Vec<String> {
        let mut seen = Vec::new();
        let pool = pool(jobs).unwrap();
        run(history, &pool, &AtomicBool::new(false), Look::Facts, job, |event| {
            seen.push(match event {
                Event::Chunk(bytes) => String::from_utf8(bytes.to_vec()).unwrap(),
                Event::End(Ok(value)) => value.unwrap_or_else(|| "nothing".to_owned()),
                Event::End(Err(Lost::Fault { session_id, message })) => {
                    format!("{session_id} lost: {message}")
                }
                Event::End(Err(Lost::Unreadable(odd))) => format!("unreadable: {odd:?}"),
            });
            Ok::<_, ()>(())
        })
        .unwrap();
        seen
    }

    #[test]
    fn comes_out_in_order_whatever_is_ready_first() {
        let history = fixtures();
        let expected: Vec<String> = history
            .sessions
            .iter()
            .flat_map(|session| {
                ["output of ", "end of "].map(|of| format!("{of}{}", session.root_thread_id))
            })
            .collect();
        for jobs in [1, 2, 8] {
            let seen = run_all(&history, jobs, |trace, sink| {
                let mut buffer = format!("output of {}", trace.session_id()).into_bytes();
                assert!(sink.finish(&mut buffer));
                Some(format!("end of {}", trace.session_id()))
            });
            assert_eq!(seen, expected, "{jobs} threads");
        }
    }

    #[test]
    fn a_fault_costs_one_session() {
        panics::quiet_when_caught();
        let history = fixtures();
        let bad = history.sessions[3].root_thread_id.clone();
        let seen = run_all(&history, 2, |trace, _| {
            assert!(trace.session_id() != bad, "this one is bad");
            Some("fine".to_owned())
        });
        assert_eq!(seen.len(), history.sessions.len());
        for (nth, seen) in seen.iter().enumerate() {
            if nth == 3 {
                let start = format!("{bad} lost: this one is bad (");
                assert!(seen.starts_with(&start), "{seen}");
            } else {
                assert_eq!(seen, "fine");
            }
        }
    }

    #[test]
    fn once_nobody_takes_any_more_nothing_is_made() {
        let history = fixtures();
        let pool = pool(2).unwrap();
        let made = AtomicUsize::new(0);
        let job = |_: &Trace<'_>, sink: &Sink<'_, Outcome<()>>| {
            made.fetch_add(1, Ordering::Relaxed);
            while sink.finish(&mut vec![b'x'; CHUNK]) {}
            None
        };
        let running = AtomicBool::new(false);
        let result = run(&history, &pool, &running, Look::Content, job, |_| Err("enough"));
        assert_eq!(result, Err("enough"));
        assert!(made.into_inner() <= 2, "only what was under way");
    }

    #[test]
    fn an_interrupt_leaves_out_what_has_not_begun() {
        let history = fixtures();
        let pool = pool(2).unwrap();
        let job = |_: &Trace<'_>, _: &Sink<'_, Outcome<()>>| Some(());
        let mut n_done = 0;
        let result = run(&history, &pool, &AtomicBool::new(true), Look::Facts, job, |event| {
            n_done += usize::from(matches!(event, Event::End(Ok(Some(())))));
            Ok::<_, ()>(())
        });
        assert_eq!((result, n_done), (Ok(()), 0));
    }
}
