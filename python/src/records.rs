//! The records of one file.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use codex_rollout::{RolloutHead, RolloutLine, RolloutPath, RolloutReader, Source};
use codex_trace_history::Failure;
use pyo3::prelude::*;
use self_cell::self_cell;

use crate::detached;

/// A record: its line, its JSON text, or what is wrong with it.
type Record = (u64, Option<String>, Option<String>);

self_cell! {
    struct Reading {
        owner: Source,

        #[covariant]
        dependent: RolloutReader,
    }
}

/// Iterates over the records of a rollout.
#[pyclass(frozen, module = "codex_trace._core")]
pub(crate) struct Records(Mutex<Reading>);

#[pymethods]
impl Records {
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Records> {
        let reading = detached(py, || {
            codex_rollout::map_large_files();
            let cannot = format!("cannot read `{}`", path.display());
            let head = RolloutHead::read(&RolloutPath::from_file(&path));
            let head = head.map_err(|err| Failure::because(&cannot, &err))?;
            let source = Source::open(&head.rollout);
            let source = source.map_err(|err| Failure::because(&cannot, &err))?;
            Ok(Reading::new(source, Source::lines))
        })?;
        Ok(Records(Mutex::new(reading)))
    }

    fn __iter__(it: PyRef<'_, Records>) -> PyRef<'_, Records> {
        it
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Record>> {
        py.check_signals()?;
        Ok(py.detach(|| {
            let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            reading.with_dependent_mut(|_, lines| lines.next().map(record))
        }))
    }
}

fn record(line: codex_rollout::Result<RolloutLine<'_>>) -> Record {
    match line {
        Ok(line) => {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            (line.position.line(), Some(text), None)
        }
        Err(err) => (err.position().line(), None, Some(err.to_string())),
    }
}
