//! The native half of the Python package `codex-trace`; `codex_trace/__init__.py`
//! is the other one, and describes what both do.

#![allow(unsafe_code, reason = "what pyo3's macros are made of; of ours there is some in `blocks`")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "arguments of functions of Python are made for them"
)]

#[cfg(target_os = "linux")]
mod blocks;
mod heads;
mod produce;
mod records;
mod scan;
mod stream;
mod traces;
mod usage;
mod watch;

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

/// Python's own memory is not touched by this.
#[cfg(target_os = "linux")]
#[global_allocator]
static BLOCKS: blocks::Blocks = blocks::Blocks;

create_exception!(
    codex_trace,
    CodexTraceError,
    PyException,
    "A history cannot be read, or what was asked for is not clear."
);

/// Turns a failure into an exception: what happened, and what to do next.
fn failure(err: &codex_trace_history::Failure) -> PyErr {
    let mut text = err.to_string();
    if let Some(hint) = err.hint_line() {
        text.push_str("; ");
        text.push_str(hint);
    }
    CodexTraceError::new_err(text)
}

/// Runs what may take long without holding Python up; a fault of ours becomes
/// an exception.
fn detached<T: Send>(
    py: Python<'_>,
    job: impl FnOnce() -> Result<T, codex_trace_history::Failure> + Send,
) -> PyResult<T> {
    match py.detach(|| codex_trace_history::panics::catch(job)) {
        Ok(done) => done.map_err(|err| failure(&err)),
        Err(fault) => Err(CodexTraceError::new_err(format!("a fault of codex-trace: {fault}"))),
    }
}

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::CodexTraceError;
    #[pymodule_export]
    use super::heads::head;
    #[pymodule_export]
    use super::records::Records;
    #[pymodule_export]
    use super::scan::Scan;
    #[pymodule_export]
    use super::stream::{Schema, Table};
    #[pymodule_export]
    use super::traces::Traces;
    #[pymodule_export]
    use super::usage::usage;

    use pyo3::prelude::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // A fault is told by its exception, and not on standard error as well.
        codex_trace_history::panics::quiet_when_caught();
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
