//! Tool calls by the tool: how many, how many failed, how long they took.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use codex_trace_model::{SignedDuration, Span, SpanKind, Status, Timestamp, ToolCall, Trace};

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
    if let Some((server, tool)) = call.mcp {
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
    let mut names: Vec<String> = calls(trace).map(|(_, tool)| name(&tool)).collect();
    names.sort();
    names.dedup();
    names
}

/// Adds the calls of a session that `takes` wants by the time they began at.
pub fn count(
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
