//! Tool calls by the tool: how many, how many failed, how long they took.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};

use codex_trace_export::json;
use codex_trace_history::account::Account;
use codex_trace_history::pipeline::{self, Event, Look, Lost, Sink};
use codex_trace_history::{History, Selection, Watch};
use codex_trace_model::{SignedDuration, Span, SpanKind, Status, Timestamp, ToolCall, Trace};
use rayon::ThreadPool;

use crate::prices::UNKNOWN;

/// What became of the calls of one tool.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Calls {
    /// How many there were.
    pub calls: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were interrupted, or have no end.
    pub unfinished: usize,
    /// How long all of them took together, as far as that is known.
    pub time: SignedDuration,
    /// How many of them have a time.
    pub timed: usize,
}

impl AddAssign for Calls {
    fn add_assign(&mut self, other: Calls) {
        self.calls += other.calls;
        self.failed += other.failed;
        self.unfinished += other.unfinished;
        self.time = self.time.saturating_add(other.time);
        self.timed += other.timed;
    }
}

/// A tool: its MCP server, if it has one, and its name.
pub type Tool = (Option<String>, String);

/// Returns the tool that was called.
pub fn of_call(span: &Span<'_>, call: &ToolCall<'_>) -> Tool {
    if let Some((server, tool)) = call.extras().mcp {
        return (Some(server.decode().into_owned()), tool.decode().into_owned());
    }
    let name = call.tool.map_or_else(|| span.name.to_string(), |tool| tool.decode().into_owned());
    (None, if name.is_empty() { UNKNOWN.to_owned() } else { name })
}

/// Writes a tool as `--tool` takes it: `name` or `server.name`.
pub fn name((server, name): &Tool) -> String {
    match server {
        Some(server) => format!("{server}.{name}"),
        None => name.clone(),
    }
}

/// Returns the tool calls of a session with the tools that they called.
pub fn calls<'t>(trace: &'t Trace<'_>) -> impl Iterator<Item = (&'t Span<'t>, Tool)> {
    trace.spans.iter().filter_map(|span| match &span.kind {
        SpanKind::ToolCall(call) => Some((span, of_call(span, call))),
        _ => None,
    })
}

/// Returns whether a tool is called `wanted`, with or without its server.
pub fn is_called(tool: &Tool, wanted: &str) -> bool {
    tool.1.eq_ignore_ascii_case(wanted) || name(tool).eq_ignore_ascii_case(wanted)
}

/// Returns whether a call failed.
pub fn has_failed(span: &Span<'_>) -> bool {
    matches!(span.status, Status::Error { .. })
}

/// Returns the names of the tools that a session called.
pub fn names(trace: &Trace<'_>) -> Vec<String> {
    names_of(trace, |_| true)
}

/// Returns the names of the tools of which a call failed.
pub fn failed_names(trace: &Trace<'_>) -> Vec<String> {
    names_of(trace, has_failed)
}

fn names_of(trace: &Trace<'_>, takes: impl Fn(&Span<'_>) -> bool) -> Vec<String> {
    let calls = calls(trace).filter(|(span, _)| takes(span));
    let mut names: Vec<String> = calls.map(|(_, tool)| name(&tool)).collect();
    names.sort();
    names.dedup();
    names
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Report {
    /// What became of the calls of each tool.
    pub rows: BTreeMap<Tool, Calls>,
    /// What the run came to.
    pub account: Account,
    /// The sessions of which nothing came; they are not in the account.
    pub lost: Vec<Lost>,
}

impl Report {
    /// Returns the rows, the tool with most calls first.
    pub fn sorted(&self) -> Vec<(&Tool, &Calls)> {
        let mut rows: Vec<(&Tool, &Calls)> = self.rows.iter().collect();
        rows.sort_by_key(|(_, calls)| Reverse(calls.calls));
        rows
    }

    /// Returns the rows as the JSON object that scripts rely on, on one line.
    pub fn json(&self) -> Vec<u8> {
        let mut text = Vec::new();
        json::object(&mut text, |o| {
            o.array("rows", &self.sorted(), |((server, tool), calls), out| {
                json::object(out, |o| {
                    o.put("tool", tool);
                    o.maybe("server", server.as_ref());
                    o.put("calls", calls.calls);
                    o.put("failed", calls.failed);
                    o.put("unfinished", calls.unfinished);
                    o.put("seconds", calls.time);
                    o.put("timed_calls", calls.timed);
                });
            });
        });
        text.push(b'\n');
        text
    }
}

/// Counts the tool calls of every session that the filters take: those that
/// began within the times of the selection. `None` if `interrupted` was set
/// meanwhile.
pub fn count(
    selection: &Selection,
    history: &History,
    pool: &ThreadPool,
    interrupted: &AtomicBool,
    ui: &dyn Watch,
) -> Option<Report> {
    let mut report = Report::default();
    report.account.failed = history.n_failures;
    let within = |at: Option<Timestamp>| {
        selection.since.is_none_or(|since| at.is_some_and(|at| at >= since))
            && selection.until.is_none_or(|until| at.is_some_and(|at| at < until))
    };
    let job = |trace: &Trace<'_>, _: &Sink<'_, _>| {
        let mut sums = BTreeMap::new();
        selection.takes(trace).then(|| add(trace, within, &mut sums))?;
        Some((sums, Account::of(trace)))
    };
    ui.start("counting", history.sessions.len());
    let done = pipeline::run(history, pool, interrupted, Look::Facts, job, |event| {
        match event {
            Event::End(Ok(Some((of_session, account)))) => {
                report.account += account;
                for (tool, calls) in of_session {
                    *report.rows.entry(tool).or_default() += calls;
                }
            }
            Event::End(Err(lost)) => report.lost.push(lost),
            Event::End(Ok(None)) | Event::Chunk(_) => {}
        }
        ui.step();
        Ok::<_, Infallible>(())
    });
    let Ok(()) = done;
    ui.stop();
    (!interrupted.load(Ordering::Relaxed)).then_some(report)
}

/// Adds the calls of a session that `takes` wants by the time they began at.
fn add(
    trace: &Trace<'_>,
    takes: impl Fn(Option<Timestamp>) -> bool,
    sums: &mut BTreeMap<Tool, Calls>,
) {
    for (span, tool) in calls(trace).filter(|(span, _)| takes(span.start.or(span.end))) {
        let sum = sums.entry(tool).or_default();
        sum.calls += 1;
        sum.failed += usize::from(has_failed(span));
        sum.unfinished +=
            usize::from(matches!(span.status, Status::Interrupted { .. } | Status::Incomplete));
        let SpanKind::ToolCall(call) = &span.kind else { continue };
        let took = || Some(span.end?.duration_since(span.start?));
        if let Some(time) = call.duration.or_else(took) {
            sum.time = sum.time.saturating_add(time);
            sum.timed += 1;
        }
    }
}
