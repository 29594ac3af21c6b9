//! Tables as Arrow streams.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, SchemaRef};
use codex_trace_history::panics;
use codex_trace_history::pipeline::{self, Look};
use codex_trace_model::{Code, Diagnostic, ModelCall, Timestamp, TokenUsage, Trace};
use codex_trace_table::{Problem, Table as Kind, Tables};
use codex_trace_usage::prices::Dollars;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::produce::{Job, Piece, Pieces, Put, Stop};
use crate::scan::Found;

/// A table: can be read any number of times, each time anew.
#[pyclass(frozen, module = "codex_trace._core")]
#[derive(Debug)]
pub(crate) struct Table {
    found: Arc<Found>,
    kind: Kind,
}

/// The schema of a table, without any history.
#[pyclass(frozen, module = "codex_trace._core")]
#[derive(Debug)]
pub(crate) struct Schema(Kind);

#[pymethods]
impl Schema {
    #[new]
    fn new(name: &str) -> PyResult<Schema> {
        kind(name).map(Schema)
    }

    /// The schema, by the Arrow C data interface.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema(py, self.0)
    }
}

fn kind(name: &str) -> PyResult<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::name).join(", ");
        PyValueError::new_err(format!("there is no table `{name}`: they are {names}"))
    })
}

fn schema(py: Python<'_>, kind: Kind) -> PyResult<Bound<'_, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(kind.schema().as_ref());
    let schema = schema.map_err(|err| PyValueError::new_err(err.to_string()))?;
    PyCapsule::new_with_value(py, schema, c"arrow_schema")
}

impl Table {
    pub(crate) fn new(found: &Arc<Found>, name: &str) -> PyResult<Table> {
        Ok(Table { found: Arc::clone(found), kind: kind(name)? })
    }
}

#[pymethods]
impl Table {
    /// The names of the columns.
    #[getter]
    fn columns(&self) -> Vec<String> {
        self.kind.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// The schema, by the Arrow C data interface.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema(py, self.kind)
    }

    /// The rows, by the Arrow C stream interface: read while they are taken.
    /// Another schema than its own is not made.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let rows = Rows { table: self.kind };
        let pieces = Pieces::start(&self.found, rows).map_err(PyOSError::new_err)?;
        let reader = Reader { pieces, schema: self.kind.schema(), ended: false };
        let stream = FFI_ArrowArrayStream::new(Box::new(reader));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// The reading end of a stream.
struct Reader {
    pieces: Pieces,
    schema: SchemaRef,
    ended: bool,
}

impl Iterator for Reader {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.pieces.next() {
            Ok(Piece::Rows(batch)) => Some(Ok(batch)),
            Ok(_) | Err(Stop::End) => {
                self.ended = true;
                None
            }
            Err(Stop::Failed(what)) => {
                self.ended = true;
                Some(Err(ArrowError::ExternalError(what.into())))
            }
            Err(Stop::Raised(err)) => {
                self.ended = true;
                // The reader makes an error of its own of it: so that the signal is not lost,
                // it is there again once Python goes on.
                Python::attach(|py| interrupt_again(py, &err));
                Some(Err(ArrowError::ExternalError("interrupted".into())))
            }
        }
    }
}

fn interrupt_again(py: Python<'_>, err: &PyErr) {
    if err.is_instance_of::<pyo3::exceptions::PyKeyboardInterrupt>(py) {
        let again = py.import("_thread").and_then(|it| it.call_method0("interrupt_main"));
        // Without it the error alone has to do.
        again.map(drop).ok();
    }
}

impl RecordBatchReader for Reader {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// Makes the rows of a table.
struct Rows {
    table: Kind,
}

impl Rows {
    fn with_tables(
        &self,
        found: &Found,
        put: &mut Put<'_>,
        fill: impl FnOnce(&mut Tables<'_>, &mut Put<'_>) -> bool,
    ) {
        let cost = |call: &ModelCall<'_>, usage: &TokenUsage, at: Option<Timestamp>| {
            found.prices.cost_of(call, usage, at).ok().flatten().map(Dollars::as_f64)
        };
        let tables = Tables::new(&found.rules).only(self.table).limit(found.limit);
        let mut tables = tables.of_home(found.home.as_deref()).prices(&cost);
        if fill(&mut tables, put) {
            tables.finish(&mut |_, batch| put(Piece::Rows(batch)));
        }
    }
}

impl Job for Rows {
    fn joins(&self) -> bool {
        true
    }

    fn begin(&self, found: &Found, put: &mut Put<'_>) {
        self.with_tables(found, put, |tables, put| {
            let failures = &found.history.failures;
            let failures =
                failures.iter().all(|it| odd(found, tables, &Problem::of(it, None), put));
            let passed = found.history.passed.possible();
            failures
                && passed.into_iter().all(|(file, why, count)| {
                    let problem = Problem {
                        session_id: None,
                        code: "passed_over",
                        file: file.as_deref(),
                        line: None,
                        column: None,
                        count,
                        text: &why,
                    };
                    odd(found, tables, &problem, put)
                })
        });
    }

    fn run(&self, found: &Found, sessions: Range<usize>, put: &mut Put<'_>) {
        let look = match self.table {
            Kind::Calls | Kind::Problems => Look::Facts,
            Kind::Spans | Kind::Items | Kind::Sessions => Look::Content,
        };
        self.with_tables(found, put, |tables, put| {
            for session in &found.history.sessions[sessions] {
                let add = |trace: &Trace<'_>| add(found, trace, tables, put);
                let outcome =
                    panics::catch(|| pipeline::with_trace(&found.history, session, look, add));
                let go_on = match outcome {
                    Ok(Ok(go_on)) => go_on,
                    Ok(Err(unreadable)) => {
                        let id = Some(&*session.root_thread_id);
                        unreadable.iter().all(|it| odd(found, tables, &Problem::of(it, id), put))
                    }
                    Err(fault) => {
                        let fault = of_fault(&fault);
                        let id = Some(&*session.root_thread_id);
                        odd(
                            found,
                            tables,
                            &Problem { code: "fault", ..Problem::of(&fault, id) },
                            put,
                        )
                    }
                };
                if !go_on {
                    return false;
                }
            }
            true
        });
    }
}

fn of_fault(message: &str) -> Diagnostic {
    Diagnostic {
        code: Code::Unreadable,
        path: String::new(),
        position: None,
        column: None,
        text: format!("a fault of codex-trace: {message}"),
        count: 1,
    }
}

fn add(found: &Found, trace: &Trace<'_>, tables: &mut Tables<'_>, put: &mut Put<'_>) -> bool {
    if !found.selection.takes(trace) {
        return true;
    }
    if let Some(what) = trace.diagnostics.first().filter(|_| found.strict) {
        return fail(&Problem::of(what, Some(trace.session_id())), put);
    }
    tables.add(trace, &mut |_, batch| put(Piece::Rows(batch)))
}

/// Tells of a problem outside of any trace.
fn odd(found: &Found, tables: &mut Tables<'_>, problem: &Problem<'_>, put: &mut Put<'_>) -> bool {
    if found.strict {
        return fail(problem, put);
    }
    tables.add_problem(problem, &mut |_, batch| put(Piece::Rows(batch)))
}

/// Ends everything with a problem.
pub(crate) fn fail(problem: &Problem<'_>, put: &mut Put<'_>) -> bool {
    let file = problem.file.map(|file| format!("{file}: ")).unwrap_or_default();
    let line = problem.line.map(|line| format!("line {line}: ")).unwrap_or_default();
    put(Piece::Failed(format!("{file}{line}{}: {}", problem.code, problem.text)));
    false
}
