//! The fast way to a session's model calls: its files are read once, from front
//! to back, in bounded memory, and what says nothing of calls is passed over.

use codex_rollout::{Layout, SkimReader, Strings};
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
        match SkimReader::open(&history.heads[member.head].rollout, &strings) {
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
