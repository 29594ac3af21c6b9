//! The ids of the live exporter, and where each span of a session is.
//!
//! A session is one trace, and every turn of its root thread is a root in it.
//! What the exporter sends gets the ids that it would give; what it never sends
//! gets ids that are made in another way and so never meet those.

use std::borrow::Cow;
use std::collections::HashSet;

use codex_rollout::JsonText;
use codex_trace_model::{Span, SpanIx, SpanKind as Kind, Trace};

use crate::otlp::ids::{self, SpanId, TraceId};

/// What every id of the exporter is hashed with.
const EXPORTER: &str = "logfire-exporter";

/// Returns an id of the exporter; never all zeros, which OTLP forbids.
fn derive<const N: usize>(kind: &str, parts: &[&str]) -> [u8; N] {
    let id = ids::derive(&format!("{EXPORTER}:{kind}"), parts);
    if id == [0; N] { ids::derive(&format!("{EXPORTER}:{kind}:nonzero"), parts) } else { id }
}

/// Returns the id of the trace of a session.
pub(super) fn trace_id(session_id: &str) -> TraceId {
    derive("trace:v1", &[session_id])
}

/// Returns the id of the span of a turn.
pub(super) fn turn_id(session_id: &str, turn_id: &str) -> SpanId {
    derive("turn-span:v1", &[session_id, turn_id])
}

/// Returns the id of the span of a tool call.
fn tool_id(session_id: &str, turn_id: &str, call_id: &str) -> SpanId {
    derive("tool-span:v1", &[session_id, turn_id, call_id])
}

/// Returns the session that hooks name: the one that Codex recorded; for the
/// files of a subagent alone that do not say, the thread that spawned it.
pub(super) fn session_id<'t>(trace: &'t Trace<'_>) -> Cow<'t, str> {
    let root = trace.root();
    let parent = || root.parent_thread_id.as_deref().unwrap_or(&root.id);
    root.session_id.map_or_else(|| Cow::Borrowed(parent()), JsonText::decode)
}

/// Where every span of a session is.
#[derive(Debug)]
pub(super) struct Places {
    /// The session, as hooks name it.
    pub(super) session_id: String,
    /// The trace.
    pub(super) trace_id: TraceId,
    spans: Vec<Placed>,
}

#[derive(Clone, Copy, Debug)]
struct Placed {
    id: SpanId,
    parent: Option<SpanIx>,
    /// The turn that it is or lies in.
    turn: Option<SpanIx>,
    /// Whether the exporter has an id for the turn.
    is_live: bool,
}

impl Places {
    /// Gives every span its place.
    pub(super) fn new(trace: &Trace<'_>) -> Places {
        let session_id = session_id(trace).into_owned();
        let mut places = Places { trace_id: trace_id(&session_id), session_id, spans: Vec::new() };
        places.spans.reserve(trace.spans.len());
        // A forked subagent of 0.144 goes on under its parent's turn id.
        let mut taken = HashSet::new();
        for (ix, span) in trace.iter() {
            let placed = places.place(trace, ix, span, &mut taken);
            places.spans.push(placed);
        }
        places
    }

    fn place(
        &self,
        trace: &Trace<'_>,
        ix: SpanIx,
        span: &Span<'_>,
        taken: &mut HashSet<String>,
    ) -> Placed {
        let above = span.parent.map(|parent| self.spans[parent.index()]);
        let session = &*self.session_id;
        let thread = &*trace.thread_of(span).id;
        let own = |label: &str| ids::span_id(thread, label, &span.key);
        match &span.kind {
            Kind::Thread => Placed { id: own(""), parent: span.parent, turn: None, is_live: false },
            Kind::Turn(turn) => {
                let id = turn.turn_id.map(JsonText::decode);
                let id = id.filter(|id| is_key(span, "turn:", id) && taken.insert(id.to_string()));
                Placed {
                    id: id.as_ref().map_or_else(|| own(&span.key), |id| turn_id(session, id)),
                    parent: span.parent,
                    turn: Some(ix),
                    is_live: id.is_some(),
                }
            }
            kind => {
                let turn = above.and_then(|it| it.turn);
                let of_turn = turn.map(|turn| trace.span(turn));
                let turn_id = of_turn.and_then(|span| match &span.kind {
                    Kind::Turn(turn) => turn.turn_id.map(JsonText::decode),
                    _ => None,
                });
                let is_live = above.is_some_and(|it| it.is_live);
                let call_id = match kind {
                    Kind::ToolCall(call) => call.call_id.map(JsonText::decode),
                    _ => None,
                };
                let call_id = call_id.filter(|id| is_live && is_key(span, "tool:", id));
                let id = match (&turn_id, call_id) {
                    (Some(turn_id), Some(call_id)) => tool_id(session, turn_id, &call_id),
                    _ => own(of_turn.map_or("", |turn| &turn.key)),
                };
                // The exporter has all tools right below the turn.
                let is_tool = matches!(kind, Kind::ToolCall(_));
                let parent = turn.filter(|_| is_tool).or(span.parent);
                Placed { id, parent, turn, is_live }
            }
        }
    }

    /// Returns the id of a span.
    pub(super) fn id(&self, ix: SpanIx) -> SpanId {
        self.spans[ix.index()].id
    }

    /// Returns the id of the span around another one.
    pub(super) fn parent(&self, ix: SpanIx) -> Option<SpanId> {
        self.spans[ix.index()].parent.map(|parent| self.id(parent))
    }

    /// Returns the turn that a span is or lies in.
    pub(super) fn turn(&self, ix: SpanIx) -> Option<SpanIx> {
        self.spans[ix.index()].turn
    }
}

/// Whether the key of a span has an id as it is: one that is there twice has a
/// suffix.
fn is_key(span: &Span<'_>, prefix: &str, id: &str) -> bool {
    span.key.strip_prefix(prefix) == Some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::ids::Hex;

    /// Made by the exporter's own script: the vectors of a plain tool and of one
    /// inside code mode, the latter as recorded.
    #[test]
    fn ids_are_the_exporters() {
        let session = "0199a8d4-7c3e-7b10-9f00-3a5c1d2e4f60";
        let turn = "0199a8d4-8000-7b10-8aaa-111122223333";
        let hex = |id: &[u8]| Hex(id).to_string();
        assert_eq!(hex(&trace_id(session)), "d0212dd1ea4e47fc39d47839bc498e13");
        assert_eq!(hex(&turn_id(session, turn)), "2020a193d588bbc1");
        assert_eq!(hex(&tool_id(session, turn, "call_abc123")), "abc6e36f7c5dce2a");
        let nested = "exec-03a983ee-4802-41d3-8d62-3bf3866ebbe1";
        assert_eq!(hex(&tool_id(session, turn, nested)), "f07d8763e800d595");
    }
}
