//! Which of several clocks to believe, and what to do when they disagree
//! (rollout-format §7.12).

use jiff::Timestamp;

use crate::resolve::tool_call::{Told, ToolDraft};
use crate::span::Span;

/// Returns when a call began and ended, by the best clock there is: the
/// item's own, then the lines'.
pub(super) fn times(tool: &ToolDraft<'_>) -> (Option<Timestamp>, Option<Timestamp>) {
    let Told { started, completed, written, .. } = tool.told;
    let told = completed.or(written);
    let Some(called) = tool.called else {
        let before = |end: Timestamp| end.checked_sub(tool.call.duration?).ok();
        return (started.or(told.and_then(before)), told);
    };
    let start = started.unwrap_or_else(|| begun(tool, called));
    let end = match tool.answered {
        // A command may go on after its call has returned.
        Some(answered) if tool.outcome.running_session().is_some() => Some(answered),
        Some(answered) => Some(told.map_or(answered, |told| told.min(answered))),
        None => told,
    };
    // Lines of one moment come in any order; only clocks can disagree.
    let end = if started.is_some() { end } else { end.max(Some(start).filter(|_| end.is_some())) };
    (Some(start), end)
}

/// Returns when a call began that says how long it took. Before 0.66 a response
/// was written down when all of it had come and its tools had run: calls and
/// outputs in one moment, after the count of its tokens.
fn begun(tool: &ToolDraft<'_>, called: Timestamp) -> Timestamp {
    let recorded = || {
        let (answered, took) = (tool.answered?, tool.call.duration?);
        let between = answered.duration_since(called);
        // Times are rounded to a tenth of a second at the worst.
        let start = answered.checked_sub(took).ok().filter(|_| between < took / 2)?;
        Some(start.max(tool.counted?).min(called))
    };
    recorded().unwrap_or(called)
}

/// Moves a span's times into its parent's; keeps what was recorded.
pub(crate) fn keep_within(span: &mut Span<'_>, start: Option<Timestamp>, end: Option<Timestamp>) {
    let recorded = (span.start, span.end);
    let clamp = |at: Timestamp| {
        let at = start.map_or(at, |start| at.max(start));
        end.map_or(at, |end| at.min(end))
    };
    span.start = span.start.map(clamp);
    span.end = span.end.map(clamp).map(|end| span.start.map_or(end, |start| end.max(start)));
    if recorded != (span.start, span.end) {
        span.extras_mut().recorded.get_or_insert(recorded);
    }
}
