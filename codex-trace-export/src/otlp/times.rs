//! Start and end of every span, in nanoseconds since 1970.
//!
//! OTLP cannot leave them out. Where the file says nothing, the nearest bound
//! that it does say is taken, and the span says so; the clock never is.

use codex_rollout::JsonText;
use codex_trace_model::{Span, Thread, Timestamp, Trace};

/// When a span was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// When it began.
    pub start: u64,
    /// When it ended; never before it began.
    pub end: u64,
    /// What the start was taken from, if the file does not say it.
    pub start_from: Option<&'static str>,
    /// What the end was taken from, if the file does not say it.
    pub end_from: Option<&'static str>,
}

/// Returns the times of all spans; `None` for those whose file says no time at
/// all.
pub(crate) fn times(trace: &Trace<'_>) -> Vec<Option<Times>> {
    let latest = latest_below(trace);
    let mut all: Vec<Option<Times>> = Vec::with_capacity(trace.spans.len());
    for (ix, span) in trace.iter() {
        let outer = span.parent.and_then(|parent| all[parent.index()]);
        let own = span.start.and_then(nanos).map(|start| (start, None));
        let start = own
            .or_else(|| outer.map(|it| (it.start, Some(it.start_from.unwrap_or("parent")))))
            .or_else(|| thread_made(trace.thread_of(span)));
        all.push(start.map(|(start, start_from)| {
            let known = span.end.and_then(nanos);
            let (end, end_from) = match (known, latest[ix.index()]) {
                (Some(end), _) => (end, None),
                (None, Some(latest)) if latest > start => (latest, Some("last_known")),
                (None, _) => (start, Some("start")),
            };
            Times { start, end: end.max(start), start_from, end_from }
        }));
    }
    all
}

/// Moves an instant in nanoseconds by so many milliseconds.
pub(crate) fn moved(at: u64, millis: i64) -> u64 {
    at.saturating_add_signed(millis.saturating_mul(1_000_000))
}

/// Returns an instant in nanoseconds since 1970; `None` before that.
pub(crate) fn nanos(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_nanosecond()).ok()
}

/// The latest time known of each span and of what is below it.
fn latest_below(trace: &Trace<'_>) -> Vec<Option<u64>> {
    let own = |span: &Span<'_>| span.end.or(span.start).and_then(nanos);
    let mut latest: Vec<Option<u64>> = trace.spans.iter().map(own).collect();
    for (ix, span) in trace.spans.iter().enumerate().rev() {
        if let Some(parent) = span.parent.filter(|_| !span.outlives_parent) {
            latest[parent.index()] = latest[parent.index()].max(latest[ix]);
        }
    }
    latest
}

fn thread_made(thread: &Thread<'_>) -> Option<(u64, Option<&'static str>)> {
    let made = thread.created.and_then(nanos).map(|at| (at, Some("thread_created")));
    made.or_else(|| {
        // The offset from UTC is not recorded; at most 14 hours are wrong.
        let local = thread.created_local.map(JsonText::decode)?;
        // It is written as if it were UTC.
        let local: jiff::civil::DateTime = local.trim_end_matches('Z').parse().ok()?;
        let at = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some((nanos(at)?, Some("thread_created_local_clock")))
    })
}
