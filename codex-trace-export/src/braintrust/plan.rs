//! Which rows a session becomes: the key of each, what it hangs under, and the
//! turn of the user that it belongs to. Nothing is serialised here.
//!
//! What `bt` would send has the keys that it would give. What it does not know
//! of has names that it never makes.

use std::collections::HashSet;

use codex_rollout::ResponseItem;
use codex_rollout::item::response_item::ToolCallForm;
use codex_rollout::item::session_meta::ThreadOrigin;
use codex_trace_model::{ModelCall, Span, SpanIx, SpanKind, Thread, ToolCall, Trace, Turn};

use crate::braintrust::ids::row_id;
use crate::uuid::Uuid;

/// The row of a span.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: Uuid,
    /// The span whose row it hangs under; `None` for the session's own.
    pub(super) parent: Option<SpanIx>,
    /// The user's turn that led to it, however many agents are in between.
    pub(super) outer_turn: Option<SpanIx>,
}

/// The rows of a session.
#[derive(Debug)]
pub(super) struct Plan {
    /// One for each span; `None` for what is part of another row.
    rows: Vec<Option<Row>>,
    /// The spans directly below each span.
    children: Vec<Vec<SpanIx>>,
}

impl Plan {
    pub(super) fn new(trace: &Trace<'_>) -> Plan {
        let mut plan = Plan {
            rows: Vec::with_capacity(trace.spans.len()),
            children: vec![Vec::new(); trace.spans.len()],
        };
        let mut keys = Keys { taken: HashSet::new() };
        let mut counts = vec![0_u32; trace.spans.len()];
        for (ix, span) in trace.iter() {
            if let Some(parent) = span.parent {
                plan.children[parent.index()].push(ix);
            }
            let turn = turn_of(trace, ix);
            let key = if is_part_of_compaction(trace, span) {
                None
            } else {
                Some(keys.of(trace, span, turn, &mut counts))
            };
            let row = key.map(|key| plan.row(trace, ix, row_id(trace.session_id(), &key)));
            plan.rows.push(row);
        }
        plan
    }

    fn row(&self, trace: &Trace<'_>, ix: SpanIx, id: Uuid) -> Row {
        let span = trace.span(ix);
        let parent = self.parent(trace, span);
        let above = parent.and_then(|parent| self.rows[parent.index()].as_ref()?.outer_turn);
        let own = matches!(span.kind, SpanKind::Turn(_)).then_some(ix);
        Row { id, parent, outer_turn: above.or(own) }
    }

    /// Returns the span whose row a span's row hangs under: a subagent's thread
    /// is beside the call that spawned it, as in the rows of `bt`.
    fn parent(&self, trace: &Trace<'_>, span: &Span<'_>) -> Option<SpanIx> {
        let mut parent = span.parent?;
        let is_thread = matches!(span.kind, SpanKind::Thread);
        loop {
            let above = trace.span(parent);
            let is_beside = is_thread && matches!(above.kind, SpanKind::ToolCall(_));
            match above.parent {
                Some(next) if is_beside || self.rows[parent.index()].is_none() => parent = next,
                _ => return Some(parent),
            }
        }
    }

    pub(super) fn get(&self, ix: SpanIx) -> Option<&Row> {
        self.rows[ix.index()].as_ref()
    }

    pub(super) fn id(&self, ix: SpanIx) -> Option<Uuid> {
        Some(self.get(ix)?.id)
    }

    /// Returns the spans directly below a span, in file order.
    pub(super) fn children(&self, ix: SpanIx) -> &[SpanIx] {
        &self.children[ix.index()]
    }
}

/// The keys given so far.
struct Keys {
    taken: HashSet<String>,
}

impl Keys {
    /// Returns the key of a span's row. `counts` has the number of model calls
    /// with a key of `bt` for each turn.
    fn of(
        &mut self,
        trace: &Trace<'_>,
        span: &Span<'_>,
        turn: Option<(SpanIx, &Turn<'_>)>,
        counts: &mut [u32],
    ) -> String {
        let thread = trace.thread_of(span);
        let turn_id = turn.and_then(|(_, turn)| turn_id(turn));
        let theirs = match (&span.kind, turn_id) {
            (SpanKind::Thread, _) if span.parent.is_none() => Some("root".to_owned()),
            (SpanKind::Thread, _) => is_spawned(thread).then(|| format!("subagent:{}", thread.id)),
            (SpanKind::Turn(_), Some(id)) => Some(format!("turn:{id}")),
            (SpanKind::ModelCall(call), Some(id)) if opens(thread, call) => {
                let count = turn.map(|(ix, _)| &mut counts[ix.index()]);
                count.map(|count| {
                    *count += 1;
                    format!("llm:{id}:{}", *count - 1)
                })
            }
            (SpanKind::Compaction(_), Some(id)) => Some(format!("llm:{id}:compaction")),
            (SpanKind::ToolCall(call), _) => called(thread, call),
            _ => None,
        };
        // Where Codex has used an id twice, as in copies of it.
        let theirs = theirs.filter(|key| self.taken.insert(key.clone()));
        theirs.unwrap_or_else(|| format!("item:{}:{}", thread.id, span.key))
    }
}

/// Returns the turn's id as `bt` has it: a turn without one that the file marks
/// is known by its number.
pub(super) fn turn_id(turn: &Turn<'_>) -> Option<String> {
    match turn.turn_id {
        Some(id) => Some(id.decode().into_owned()),
        None if turn.marked => Some(format!("turn-{}", turn.number)),
        None => None,
    }
}

/// Returns the turn that a span is or is part of, in its own thread.
pub(super) fn turn_of<'t, 'a>(trace: &'t Trace<'a>, of: SpanIx) -> Option<(SpanIx, &'t Turn<'a>)> {
    let thread = trace.span(of).thread;
    let mut at = Some(of);
    while let Some(ix) = at {
        let span = trace.span(ix);
        if span.thread != thread {
            return None;
        }
        if let SpanKind::Turn(turn) = &span.kind {
            return Some((ix, turn));
        }
        at = span.parent;
    }
    None
}

/// Whether another thread's tool spawned the thread: reviews and what Codex
/// itself starts are not for `bt`.
pub(super) fn is_spawned(thread: &Thread<'_>) -> bool {
    !matches!(
        thread.meta.source,
        Some(ThreadOrigin::Subagent(_) | ThreadOrigin::Internal(_) | ThreadOrigin::Other(_))
    )
}

/// Whether `bt` makes a row of a model call: something of what it sent back
/// must be of a kind that it reads.
fn opens(thread: &Thread<'_>, call: &ModelCall<'_>) -> bool {
    !call.compaction
        && call.output.iter().filter_map(|ix| thread.item(*ix)).any(|item| match &item.body {
            ResponseItem::Message(_) | ResponseItem::Reasoning(_) => true,
            ResponseItem::ToolCall(call) => is_read(call.form),
            _ => false,
        })
}

fn is_read(form: ToolCallForm) -> bool {
    matches!(form, ToolCallForm::Function | ToolCallForm::Custom | ToolCallForm::ToolSearch)
}

/// Returns the key of a call that `bt` makes a row of.
fn called(thread: &Thread<'_>, call: &ToolCall<'_>) -> Option<String> {
    let ResponseItem::ToolCall(item) = &thread.item(call.call_item?)?.body else { return None };
    let id = item.fields.call_id.filter(|_| is_read(item.form))?;
    Some(format!("tool:{}", id.decode()))
}

/// Whether a span is the request of a compaction, which has a row already.
fn is_part_of_compaction(trace: &Trace<'_>, span: &Span<'_>) -> bool {
    let parent = span.parent.map(|parent| &trace.span(parent).kind);
    matches!(span.kind, SpanKind::ModelCall(_)) && matches!(parent, Some(SpanKind::Compaction(_)))
}
