//! The fast way to a session's model calls: its files are read once, from front
//! to back, in bounded memory, and what says nothing of calls is passed over.

use std::cell::Cell;

use codex_rollout::{
    Layout, LineStream, ReadRecords, RolloutLine, RolloutPath, SkimReader, Strings,
};
use codex_trace_model::{Diagnostic, SessionGroup, Trace, UsageInput, resolve_usage};

use crate::history::History;
use crate::pipeline::{self, Look};

/// Calls `f` with a trace that is true of the session's model calls, its usage
/// and its status, and may lack everything else.
///
/// Sessions that cannot be read this way exactly are read in full.
///
/// # Errors
///
/// If none of the files can be read. If some cannot, the trace says so.
pub fn with_calls<T>(
    history: &History,
    session: &SessionGroup,
    f: impl FnOnce(&Trace<'_>) -> T,
) -> Result<T, Vec<Diagnostic>> {
    let heads = || session.members.iter().map(|member| &history.heads[member.head]);
    if heads().any(|head| head.rollout.layout == Layout::Document) {
        return pipeline::with_trace(history, session, Look::Facts, f);
    }
    let strings = Strings::new();
    let mut odd = session.diagnostics.clone();
    // One file is open at a time.
    let inputs = session.members.iter().filter_map(|member| {
        match Lines::open(&history.heads[member.head].rollout, &strings) {
            Ok(lines) => Some(UsageInput { file: member.file(&history.heads), lines }),
            Err(err) => {
                odd.push(pipeline::unreadable(member.path.clone(), &err));
                None
            }
        }
    });
    match resolve_usage(inputs) {
        Some(mut trace) => {
            trace.diagnostics.extend(odd);
            Ok(f(&trace))
        }
        None => pipeline::with_trace(history, session, Look::Facts, f),
    }
}

/// The largest buffer that a thread keeps, in bytes: one that a very long line
/// needed goes.
const MAX_BUFFER: usize = 2 << 20;

thread_local! {
    /// What the thread has read into, while it reads nothing.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The lines of a file, read into the thread's own buffer.
struct Lines<'a>(Option<SkimReader<'a>>);

impl<'a> Lines<'a> {
    fn open(rollout: &RolloutPath, strings: &'a Strings) -> codex_rollout::Result<Lines<'a>> {
        let stream = LineStream::open(rollout)?.with_buffer(BUFFER.take());
        Ok(Lines(Some(SkimReader::new(stream, strings))))
    }
}

impl<'a> ReadRecords<'a> for Lines<'a> {
    fn read_next(&mut self, line: &mut RolloutLine<'a>) -> Option<codex_rollout::Result<()>> {
        self.0.as_mut()?.read_next(line)
    }
}

impl Drop for Lines<'_> {
    fn drop(&mut self) {
        let buffer = self.0.take().map(SkimReader::into_buffer).unwrap_or_default();
        if buffer.len() <= MAX_BUFFER {
            BUFFER.set(buffer);
        }
    }
}
