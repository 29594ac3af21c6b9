//! Traces as JSON lines, one after the other.

use std::ops::Range;
use std::sync::Arc;

use codex_trace_export::content::Content;
use codex_trace_export::options::OptionSet;
use codex_trace_export::wire::jsonl;
use codex_trace_export::{FileEncoder, FileSettings};
use codex_trace_history::pipeline::{self, Look};
use codex_trace_model::Trace;
use codex_trace_table::Problem;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::CodexTraceError;
use crate::produce::{Job, Piece, Pieces, Put, Stop};
use crate::scan::Found;
use crate::stream::fail;

/// Iterates over traces.
#[pyclass(frozen, module = "codex_trace._core")]
#[derive(Debug)]
pub(crate) struct Traces(Pieces);

impl Traces {
    pub(crate) fn new(found: &Arc<Found>) -> PyResult<Traces> {
        let settings = FileSettings {
            content: Content::default(),
            redactor: found.redactor.clone(),
            options: OptionSet::default(),
        };
        let encoder = (jsonl::FILE.open)(settings);
        let encoder = encoder.map_err(|err| CodexTraceError::new_err(err.to_string()))?;
        let pieces = Pieces::start(found, Lines(encoder)).map_err(PyOSError::new_err)?;
        Ok(Traces(pieces))
    }
}

#[pymethods]
impl Traces {
    fn __iter__(it: PyRef<'_, Traces>) -> PyRef<'_, Traces> {
        it
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        match py.detach(|| self.0.next()) {
            Ok(Piece::Lines(bytes)) => Ok(Some(PyBytes::new(py, &bytes))),
            Ok(_) | Err(Stop::End) => Ok(None),
            Err(Stop::Failed(what)) => Err(CodexTraceError::new_err(what)),
            Err(Stop::Raised(err)) => Err(err),
        }
    }
}

struct Lines(Box<dyn FileEncoder>);

impl Job for Lines {
    fn joins(&self) -> bool {
        false
    }

    fn begin(&self, found: &Found, put: &mut Put<'_>) {
        if let Some(first) = found.history.failures.first().filter(|_| found.strict) {
            fail(&Problem::of(first, None), put);
        }
    }

    fn run(&self, found: &Found, sessions: Range<usize>, put: &mut Put<'_>) {
        for session in &found.history.sessions[sessions] {
            let encode = |trace: &Trace<'_>| {
                if !found.selection.takes(trace) {
                    return true;
                }
                if let Some(what) = trace.diagnostics.first().filter(|_| found.strict) {
                    return fail(&Problem::of(what, Some(trace.session_id())), put);
                }
                let mut lines = Vec::new();
                match self.0.encode(trace, &mut lines, &mut |_| true) {
                    Ok(()) => put(Piece::Lines(lines)),
                    Err(err) => {
                        put(Piece::Failed(err.to_string()));
                        false
                    }
                }
            };
            let outcome = pipeline::with_trace(&found.history, session, Look::Content, encode);
            let go_on = outcome.unwrap_or_else(|odd| {
                // Where it need not be strict, the table of problems tells.
                let id = Some(&*session.root_thread_id);
                !found.strict || odd.first().is_none_or(|odd| fail(&Problem::of(odd, id), put))
            });
            if !go_on {
                return;
            }
        }
    }
}
