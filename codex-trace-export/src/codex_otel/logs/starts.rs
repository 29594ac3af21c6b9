//! `codex.conversation_starts`: once a thread. Codex sends it again at each
//! resume, of which the file has no mark.

use std::borrow::Cow;

use codex_rollout::RawJson;

use super::agents;
use crate::codex_otel::record::{Record, at_or};
use crate::codex_otel::told::ToldTurn;
use crate::otlp::times::Times;

pub(super) fn add(turn: ToldTurn<'_, '_>, times: Times, records: &mut Vec<Record>) {
    let at = at_or(turn.thread.created, times.start);
    // A subagent starts in the trace of the turn that spawned it, which is its
    // own turn's, too; the root thread's start is a trace of its own.
    let trace_id = turn.trace_id().filter(|_| turn.thread.depth > 0);
    let mut record = Record::new("codex.conversation_starts", at).stamped().in_trace(trace_id);
    let out = &mut record.attributes;
    turn.common(out);
    let texts = &turn.told.texts;
    let label = |text| texts.label(text).map(Cow::Owned);
    let provider = texts.label(turn.thread.meta.model_provider);
    out.text("provider_name", provider.map(|id| Cow::Owned(shown(&id).to_owned())));
    // Nobody has set one for a reviewer, whatever its requests say.
    if !turn.is_review() {
        out.text("reasoning_effort", label(turn.turn.effort));
    }
    if tells_summary(turn) {
        out.text("reasoning_summary", label(turn.turn.reasoning_summary));
    }
    out.text("approval_policy", label(turn.turn.approval_policy.and_then(RawJson::as_text)));
    out.text("sandbox_policy", label(turn.turn.sandbox));
    records.push(record);
    agents::add_spawn(turn, at, records);
}

/// Returns the name that Codex shows for a provider.
fn shown(id: &str) -> &str {
    if id == "openai" { "OpenAI" } else { id }
}

/// Whether the file says what was set: in other versions it has another word.
fn tells_summary(turn: ToldTurn<'_, '_>) -> bool {
    let version = turn.version;
    !version.since(125) || version.since(133) && !version.since(155)
}
