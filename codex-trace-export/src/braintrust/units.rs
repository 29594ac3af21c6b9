//! A session as units: each thread, then its turns.

use codex_trace_model::{SpanIx, SpanKind, Thread, Trace};

use crate::braintrust::conversation::{Conversation, first_items};
use crate::braintrust::plan;
use crate::braintrust::rows::Encoder;
use crate::braintrust::{MERGES, ROWS};
use crate::{Absent, UnitBuilder, UnitKey, Units};

/// Hands out the units of a thread: itself, then turn by turn.
pub(super) fn of_thread<'a>(
    encoder: &Encoder<'_, 'a>,
    thread: &Thread<'a>,
    conversation: &mut Conversation<'_, 'a>,
    units: &mut dyn Units,
) {
    let trace = encoder.trace;
    let route = if encoder.merge { MERGES } else { ROWS };
    let span = trace.span(thread.span);
    let mut unit = UnitBuilder::new(key(trace, thread.span), route, units);
    if encoder.is_sent(thread.span) {
        unit.absent(Absent::OfPlugin);
        return turns(encoder, thread, conversation, units);
    }
    unit.starts_at(span.start);
    if let Some(above) = encoder.plan.get(thread.span).and_then(|row| row.parent) {
        unit.under(key(trace, above));
    }
    encoder.thread(thread.span, conversation, &mut unit);
    unit.finish();
    turns(encoder, thread, conversation, units);
}

fn turns<'a>(
    encoder: &Encoder<'_, 'a>,
    thread: &Thread<'a>,
    conversation: &mut Conversation<'_, 'a>,
    units: &mut dyn Units,
) {
    let trace = encoder.trace;
    let route = if encoder.merge { MERGES } else { ROWS };
    let first = first_items(thread);
    for (ix, span) in trace.children(thread.span) {
        if !matches!(span.kind, SpanKind::Turn(_)) {
            continue;
        }
        let mut unit = UnitBuilder::new(key(trace, ix), route, units);
        if encoder.is_sent(ix) {
            unit.absent(Absent::OfPlugin);
            continue;
        }
        unit.starts_at(span.start).under(key(trace, thread.span));
        if trace.is_open(span) {
            unit.open_in(&thread.id);
        }
        let first = first.get(&ix).copied().unwrap_or(thread.items.len());
        encoder.turn(ix, first, conversation, &mut unit);
        unit.finish();
    }
}

/// Returns the key of the unit that a span's row is in.
fn key(trace: &Trace<'_>, ix: SpanIx) -> UnitKey {
    let thread_id = trace.thread_of(trace.span(ix)).id.clone();
    let turn = plan::turn_of(trace, ix).map(|(turn, _)| trace.span(turn).key.clone());
    UnitKey { thread_id, turn }
}
