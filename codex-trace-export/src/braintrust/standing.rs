//! How a session stands in the project already.

use std::collections::HashSet;

use codex_trace_model::{Span, SpanIx, SpanKind, Timestamp};

use crate::braintrust::NOTED_BY_BT;
use crate::braintrust::plan;
use crate::braintrust::there::{Older, There};
use crate::{Cx, TurnState};

/// How a session stands in the project already.
pub(super) struct Standing {
    /// Whether rows of it are, or may be, there under our ids, perhaps with more
    /// than we know.
    pub(super) merge: bool,
    /// Whether they are there for certain.
    pub(super) is_there: bool,
    /// The row of the older plugin that what is missing is joined to.
    pub(super) older: Option<Older>,
    /// The turns and threads that the older plugin has sent.
    pub(super) sent: HashSet<SpanIx>,
}

impl Standing {
    pub(super) fn of(there: &There, cx: &Cx<'_, '_>) -> Standing {
        let trace = cx.trace;
        let Some(found) = there.of(trace.session_id()) else {
            return Standing::noted(cx, there.is_doubtful());
        };
        let mut sent = HashSet::new();
        // Where our own row is there, the other trace is of somebody else.
        let older = found.older.filter(|_| !found.ours);
        if let Some(older) = &older {
            sent.insert(trace.root().span);
            for (ix, span) in trace.iter() {
                if let SpanKind::Turn(turn) = &span.kind
                    && plan::turn_id(turn).is_some_and(|id| older.turns.contains(&id))
                {
                    sent.extend([ix, trace.thread_of(span).span]);
                }
            }
        }
        Standing { merge: found.ours, is_there: found.ours, older, sent }
    }

    /// What the vendor's tools have noted on this machine, where the service
    /// does not say what it has. In doubt rows may be there: a live tracer
    /// elsewhere leaves no note here, and what is merged replaces nothing that it
    /// does not say.
    fn noted(cx: &Cx<'_, '_>, in_doubt: bool) -> Standing {
        let (trace, notes) = (cx.trace, &cx.notes.beside);
        let by_bt = notes.values().any(|note| note.place.as_deref() == Some(NOTED_BY_BT));
        let claims = notes.values().filter(|note| note.state == Some(TurnState::Claimed));
        let until = claims.filter_map(|note| note.place.as_ref()?.parse::<i64>().ok()).max();
        let is_sent = |span: &Span<'_>| {
            let start = span.start.map(Timestamp::as_millisecond);
            until.is_some_and(|until| start.is_some_and(|start| start <= until))
        };
        let mut sent = HashSet::new();
        let mut all = true;
        for (ix, span) in trace.iter().filter(|(_, span)| matches!(span.kind, SpanKind::Turn(_))) {
            if is_sent(span) { sent.extend([ix]) } else { all = false }
        }
        if all && until.is_some() {
            sent.extend(trace.threads.iter().map(|thread| thread.span));
        }
        Standing { merge: in_doubt || by_bt, is_there: by_bt, older: None, sent }
    }
}
