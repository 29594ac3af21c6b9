//! The metrics of a thread: every thread its own series, which grow from 0 with
//! each of its turns.
//!
//! The tokens of interrupted turns and of compactions are counted, which the live
//! telemetry loses: the sums are those that were used.

mod count;
pub mod openmetrics;
pub(crate) mod points;

use std::collections::BTreeMap;

use super::told::{Told, ToldTurn};
use crate::otlp::times::nanos;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something counted.
    Counter,
    /// Something measured each time: a sum and a count.
    Measured,
    /// The same, in milliseconds.
    Duration,
}

/// A metric of Codex'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Metric {
    TokenUsage,
    TurnToolCall,
    ToolCall,
    ToolCallDuration,
    TurnDuration,
    TurnFirstToken,
    TurnFirstMessage,
    ThreadStarted,
    TaskCompact,
    TaskReview,
    AgentSpawn,
    McpCall,
    McpCallDuration,
}

impl Metric {
    /// All of them, in the order in which a file has them.
    pub(crate) const ALL: [Metric; 13] = [
        Metric::TokenUsage,
        Metric::TurnToolCall,
        Metric::ToolCall,
        Metric::ToolCallDuration,
        Metric::TurnDuration,
        Metric::TurnFirstToken,
        Metric::TurnFirstMessage,
        Metric::ThreadStarted,
        Metric::TaskCompact,
        Metric::TaskReview,
        Metric::AgentSpawn,
        Metric::McpCall,
        Metric::McpCallDuration,
    ];

    /// Returns Codex' name for it, and its kind.
    pub(crate) fn named(self) -> (&'static str, Kind) {
        match self {
            Metric::TokenUsage => ("codex.turn.token_usage", Kind::Measured),
            Metric::TurnToolCall => ("codex.turn.tool.call", Kind::Measured),
            Metric::ToolCall => ("codex.tool.call", Kind::Counter),
            Metric::ToolCallDuration => ("codex.tool.call.duration_ms", Kind::Duration),
            Metric::TurnDuration => ("codex.turn.e2e_duration_ms", Kind::Duration),
            Metric::TurnFirstToken => ("codex.turn.ttft.duration_ms", Kind::Duration),
            Metric::TurnFirstMessage => ("codex.turn.ttfm.duration_ms", Kind::Duration),
            Metric::ThreadStarted => ("codex.thread.started", Kind::Counter),
            Metric::TaskCompact => ("codex.task.compact", Kind::Counter),
            Metric::TaskReview => ("codex.task.review", Kind::Counter),
            Metric::AgentSpawn => ("codex.multi_agent.spawn", Kind::Counter),
            Metric::McpCall => ("codex.mcp.call", Kind::Counter),
            Metric::McpCallDuration => ("codex.mcp.call.duration_ms", Kind::Duration),
        }
    }
}

/// Labels of a series beside those of its thread.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// Which series of a thread.
pub(crate) type Series = (Metric, Labels);

/// How much a series has, up to a time. All that is counted is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// The sum of what was measured; for a counter, how much was counted.
    pub(crate) sum: u64,
    /// How often it was measured.
    pub(crate) count: u64,
}

/// A thread's series where they changed, at the end of a turn.
#[derive(Debug)]
pub(crate) struct Step<'t, 'a> {
    pub(crate) turn: ToldTurn<'t, 'a>,
    /// When: milliseconds since 1970, later than the step before.
    pub(crate) at_ms: u64,
    /// When the thread began: nanoseconds since 1970.
    pub(crate) started_at: u64,
    /// The series that changed, and what they have now.
    pub(crate) changed: BTreeMap<Series, Total>,
}

/// Calls `f` with every step of every thread: threads one after the other, steps
/// in order. Turns whose file says no time have none.
pub(crate) fn for_each_step<'t, 'a>(told: &'t Told<'t, 'a>, mut f: impl FnMut(Step<'t, 'a>)) {
    for thread in &told.trace.threads {
        let mut totals: BTreeMap<Series, Total> = BTreeMap::new();
        let mut last_ms = 0;
        let mut is_first = true;
        let mut started_at = 0;
        for turn in told.turns(thread) {
            let Some(times) = turn.times() else { continue };
            let mut added = Vec::new();
            if is_first {
                started_at = thread.created.and_then(nanos).unwrap_or(times.start).min(times.start);
                count::of_thread(turn, &mut added);
            }
            is_first = false;
            count::of_turn(turn, times, &mut added);
            // Two samples of a series at one time would be one.
            let at_ms = (times.end / 1_000_000).max(last_ms + 1);
            last_ms = at_ms;
            let mut changed = BTreeMap::new();
            for (series, value) in added {
                let total = totals.entry(series.clone()).or_default();
                total.sum = total.sum.saturating_add(value);
                total.count += 1;
                changed.insert(series, *total);
            }
            if !changed.is_empty() {
                f(Step { turn, at_ms, started_at, changed });
            }
        }
    }
}
