//! Tokens and costs, as `codex-trace usage --json` counts them.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use codex_trace_export::choice::Choice as _;
use codex_trace_history::{Failure, pipeline};
use codex_trace_usage::{By, PriceTable, Query, count};
use pyo3::prelude::*;

use crate::scan::{Wanted, threads, zone};
use crate::watch::Quiet;
use crate::{detached, failure};

/// Counts the model calls of a history: the JSON object that `usage --json`
/// prints.
#[pyfunction]
#[pyo3(signature = (wanted, *, by, prices, strict))]
pub(crate) fn usage(
    py: Python<'_>,
    wanted: Wanted,
    by: Vec<String>,
    prices: Option<PathBuf>,
    strict: bool,
) -> PyResult<String> {
    let by: Vec<By> = by
        .iter()
        .map(|word| {
            By::from_word(word).filter(|by| *by != By::Tool).ok_or_else(|| {
                let words = By::WORDS.iter().filter(|it| it.0 != By::Tool).map(|it| it.1);
                let words = words.collect::<Vec<_>>().join(", ");
                failure(&Failure::new(format!("`by` cannot be `{word}`: give {words}")))
            })
        })
        .collect::<PyResult<_>>()?;
    let selection = wanted.selection()?;
    let zone = zone(wanted.timezone.as_deref())?;
    detached(py, || {
        let history = wanted.find(&selection)?;
        let prices = PriceTable::load(prices.as_deref())?;
        let pool = pipeline::pool(threads(wanted.threads))?;
        let query = Query { by, zone, selection, prices };
        let watch = Quiet { homes: wanted.homes.clone() };
        let report = count::count(&query, &history, &pool, &AtomicBool::new(false), &watch);
        let report = report.ok_or_else(|| Failure::new("interrupted"))?;
        let n_odd = report.account.failed + report.lost.len();
        if strict && n_odd + report.account.diagnostics.values().sum::<usize>() > 0 {
            return Err(Failure::new("the history has problems: `scan(…).problems` names them"));
        }
        Ok(String::from_utf8_lossy(&report.json(&query)).into_owned())
    })
}
