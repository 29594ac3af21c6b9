//! What is to be read, found and grouped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use codex_trace_export::content::{Capture, Content, ContentRules};
use codex_trace_export::redact::Redactor;
use codex_trace_history::{Directory, Failure, History, Selection, history, pipeline};
use codex_trace_usage::when::{self, Edge};
use codex_trace_usage::{PriceTable, Zone};
use pyo3::prelude::*;

use crate::stream::Table;
use crate::traces::Traces;
use crate::watch::Quiet;
use crate::{detached, failure};

/// The longest text of `content="short"`, in bytes.
const SHORT: usize = 400;

/// How many threads read at most, unless told otherwise.
const MOST_THREADS: usize = 16;

/// What was found, and how it is to be read.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) history: History,
    pub(crate) selection: Selection,
    pub(crate) rules: ContentRules,
    /// The longest text, in bytes.
    pub(crate) limit: usize,
    pub(crate) redactor: Option<Redactor>,
    pub(crate) prices: PriceTable,
    pub(crate) home: Option<String>,
    pub(crate) strict: bool,
    pub(crate) threads: usize,
}

/// A history, or the part of it that was asked for.
#[pyclass(frozen, module = "codex_trace._core")]
#[derive(Debug)]
pub(crate) struct Scan(Arc<Found>);

/// Returns how many threads to read with.
pub(crate) fn threads(asked: Option<usize>) -> usize {
    let all = || std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    asked.filter(|n| *n > 0).unwrap_or_else(all)
}

/// Returns the time zone that was named.
pub(crate) fn zone(name: Option<&str>) -> PyResult<Zone> {
    name.map_or_else(|| Ok(Zone::utc()), |name| Zone::named(name).map_err(|err| failure(&err)))
}

/// What is wanted, as it was said.
#[derive(Debug, FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wanted {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) homes: Vec<PathBuf>,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) model: Option<String>,
    pub(crate) timezone: Option<String>,
    pub(crate) threads: Option<usize>,
}

impl Wanted {
    #[expect(clippy::disallowed_methods, reason = "an age ends now, and `~` is the home directory")]
    pub(crate) fn selection(&self) -> PyResult<Selection> {
        let zone = zone(self.timezone.as_deref())?;
        let now = jiff::Timestamp::now();
        let time = |name: &str, text: &Option<String>, edge| {
            let Some(text) = text else { return Ok(None) };
            let time = when::parse(text, edge, now, &zone);
            let cannot = || Failure::new(format!("`{name}` cannot be `{text}`")).hint(when::FORMS);
            time.map(Some).ok_or_else(|| failure(&cannot()))
        };
        let home = std::env::home_dir();
        Ok(Selection {
            paths: self.paths.clone(),
            since: time("since", &self.since, Edge::Since)?,
            until: time("until", &self.until, Edge::Until)?,
            cwd: self.cwd.as_deref().map(|cwd| Directory::resolve(cwd, home.as_deref())),
            model: self.model.as_ref().map(|model| model.to_lowercase()),
            ..Selection::default()
        })
    }

    pub(crate) fn find(&self, selection: &Selection) -> Result<History, Failure> {
        // Else large files are read into memory.
        codex_rollout::map_large_files();
        let watch = Quiet { homes: self.homes.clone() };
        history::find(selection, &watch, &pipeline::pool(threads(self.threads))?)
    }
}

/// Calls files by other paths: `to` in the place of `from`.
fn call(history: &mut History, (from, to): &(String, String)) {
    let rename = |path: &mut String| {
        if let Some(below) = path.strip_prefix(from.as_str()) {
            *path = format!("{to}{below}");
        }
    };
    for session in &mut history.sessions {
        for member in &mut session.members {
            rename(&mut member.path);
            if let Some(branch) = &mut member.branch {
                rename(&mut branch.path);
            }
            for path in member.copies.iter_mut().chain(&mut member.links) {
                let mut called = path.display().to_string();
                rename(&mut called);
                *path = called.into();
            }
        }
        session.diagnostics.iter_mut().for_each(|it| rename(&mut it.path));
    }
    history.failures.iter_mut().for_each(|it| rename(&mut it.path));
}

/// Makes the redactor asked for: none, the built-in rules, or with further ones.
fn redactor(on: bool, patterns: &[String]) -> PyResult<Option<Redactor>> {
    if !on {
        return Ok(None);
    }
    let mut redactor = Redactor::default();
    for pattern in patterns {
        redactor.add(pattern).map_err(|err| failure(&Failure::of(&err)))?;
    }
    Ok(Some(redactor))
}

#[pymethods]
impl Scan {
    #[new]
    #[pyo3(signature = (wanted, *, content, redact, patterns, prices, home, strict, called=None))]
    #[expect(clippy::too_many_arguments, reason = "all are named by who calls")]
    fn new(
        py: Python<'_>,
        wanted: Wanted,
        content: &str,
        redact: bool,
        patterns: Vec<String>,
        prices: Option<PathBuf>,
        home: Option<String>,
        strict: bool,
        called: Option<(String, String)>,
    ) -> PyResult<Scan> {
        let (capture, limit) = match content {
            "none" => (Capture::MetadataOnly, usize::MAX),
            "short" => (Capture::Full, SHORT),
            "full" => (Capture::Full, usize::MAX),
            other => {
                let what = format!("`content` cannot be `{other}`");
                return Err(failure(&Failure::new(what).hint("give `full`, `short` or `none`")));
            }
        };
        let redactor = redactor(redact, &patterns)?;
        let selection = wanted.selection()?;
        let (history, prices) = detached(py, || {
            let mut history = wanted.find(&selection)?;
            if let Some(called) = &called {
                call(&mut history, called);
            }
            Ok((history, PriceTable::load(prices.as_deref().map(Path::new))?))
        })?;
        Ok(Scan(Arc::new(Found {
            history,
            selection,
            rules: ContentRules::new(capture, redactor.clone(), Content::default()),
            limit,
            redactor,
            prices,
            home,
            strict,
            threads: threads(wanted.threads),
        })))
    }

    /// How many sessions the heads of the files tell of.
    fn __len__(&self) -> usize {
        self.0.history.sessions.len()
    }

    /// The files of the sessions that were found.
    fn files(&self) -> Vec<String> {
        let members = self.0.history.sessions.iter().flat_map(|session| &session.members);
        members.map(|member| member.path.clone()).collect()
    }

    /// A table of what was found.
    fn table(&self, name: &str) -> PyResult<Table> {
        Table::new(&self.0, name)
    }

    /// The traces, one after the other, each as JSON lines.
    fn traces(&self) -> PyResult<Traces> {
        Traces::new(&self.0)
    }
}
