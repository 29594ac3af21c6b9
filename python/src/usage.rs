//! Tokens and costs, as `codex-trace usage --json` counts them.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use codex_trace_export::choice::Choice as _;
use codex_trace_history::{Failure, pipeline};
use codex_trace_usage::{By, PriceTable, Query, count, tools};
use pyo3::prelude::*;

use crate::scan::{Wanted, threads, zone};
use crate::watch::Quiet;
use crate::{detached, failure};

/// Counts the model calls of a history, or its tool calls: the JSON object that
/// `usage --json` prints.
#[pyfunction]
#[pyo3(signature = (wanted, *, by, prices, strict))]
pub(crate) fn usage(
    py: Python<'_>,
    wanted: Wanted,
    by: Vec<String>,
    prices: Option<PathBuf>,
    strict: bool,
) -> PyResult<String> {
    let by: Vec<By> = by.iter().map(|word| read(word)).collect::<PyResult<_>>()?;
    if by.is_empty() || by.len() > 1 && by.contains(&By::Tool) {
        let alone = Failure::new("`by` names one thing or several, and `tool` stands alone");
        return Err(failure(&alone.hint("a tool call has no tokens")));
    }
    let selection = wanted.selection()?;
    let zone = zone(wanted.timezone.as_deref())?;
    detached(py, || {
        let history = wanted.find(&selection)?;
        let pool = pipeline::pool(threads(wanted.threads))?;
        let watch = Quiet { homes: wanted.homes.clone() };
        let never = AtomicBool::new(false);
        let (account, lost, json) = if by == [By::Tool] {
            let report = tools::count(&selection, &history, &pool, &never, &watch);
            let report = report.ok_or_else(|| Failure::new("interrupted"))?;
            let json = report.json();
            (report.account, report.lost, json)
        } else {
            let prices = PriceTable::load(prices.as_deref())?;
            let query = Query { by, zone, selection, prices };
            let report = count::count(&query, &history, &pool, &never, &watch);
            let report = report.ok_or_else(|| Failure::new("interrupted"))?;
            let json = report.json(&query);
            (report.account, report.lost, json)
        };
        let n_odd = account.failed + lost.len();
        if strict && n_odd + account.diagnostics.values().sum::<usize>() > 0 {
            return Err(Failure::new("the history has problems: `scan(…).problems` names them"));
        }
        Ok(String::from_utf8_lossy(&json).into_owned())
    })
}

fn read(word: &str) -> PyResult<By> {
    By::from_word(word).ok_or_else(|| {
        let words = By::WORDS.iter().map(|it| it.1).collect::<Vec<_>>().join(", ");
        failure(&Failure::new(format!("`by` cannot be `{word}`: give {words}")))
    })
}
