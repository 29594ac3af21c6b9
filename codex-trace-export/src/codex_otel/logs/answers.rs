//! What the model answered: `codex.sse_event` with the counts of each answer,
//! `codex.turn_ttft`, and `codex.agent_response`.

use std::borrow::Cow;

use codex_rollout::item::response_item::Message;
use codex_rollout::{ResponseItem, TokenUsage};
use codex_trace_model::{Item, SpanKind as Kind};

use crate::codex_otel::record::{Record, at_or};
use crate::codex_otel::texts::{boundary, typed};
use crate::codex_otel::told::ToldTurn;
use crate::otlp::Attributes;
use crate::otlp::times::Times;

/// The most that is sent of an answer, in bytes.
const MOST: usize = 65_536;

/// Adds one record for each answer that was counted. Over HTTP the live telemetry
/// has a second one, without counts, which no file knows.
pub(super) fn add_usage(turn: ToldTurn<'_, '_>, times: Times, records: &mut Vec<Record>) {
    for (_, span) in turn.below() {
        let Kind::ModelCall(call) = &span.kind else { continue };
        let Some(usage) = span.usage else { continue };
        let at = at_or(span.end.or(span.start), times.start);
        let mut record = Record::new("codex.sse_event", at).stamped();
        let out = &mut record.attributes;
        out.word("event.kind", "response.completed");
        counts(turn, &usage, out);
        if turn.version.since(155) {
            let effort = turn.told.texts.label(call.effort.or(turn.turn.effort));
            out.text("model_reasoning_effort", effort.map(Cow::Owned));
        }
        turn.told.common(turn.thread, call.model.or(turn.turn.model), out);
        records.push(record);
    }
}

/// Adds the counts: some are texts and some are numbers, as Codex has them.
fn counts(turn: ToldTurn<'_, '_>, usage: &TokenUsage, out: &mut Attributes) {
    out.word("input_token_count", &usage.input_tokens.to_string());
    out.word("output_token_count", &usage.output_tokens.to_string());
    out.int("cached_token_count", usage.cached_input_tokens);
    if turn.version.since(155) {
        out.int("cache_write_token_count", usage.cache_write_input_tokens);
    }
    out.int("reasoning_token_count", usage.reasoning_output_tokens);
    out.word("tool_token_count", &usage.total_tokens.to_string());
}

/// Adds how long the turn took to its first token, where that is recorded.
pub(super) fn add_first_token(turn: ToldTurn<'_, '_>, times: Times, records: &mut Vec<Record>) {
    let Some(millis) = turn.turn.time_to_first_token_ms.filter(|_| turn.version.since(133)) else {
        return;
    };
    let at = times.start.saturating_add(millis.saturating_mul(1_000_000)).min(times.end);
    let trace_id = turn.trace_id().filter(|_| !turn.version.since(171));
    let mut record = Record::new("codex.turn_ttft", at).stamped().in_trace(trace_id);
    record.attributes.word("duration_ms", &millis.to_string());
    turn.common(&mut record.attributes);
    records.push(record);
}

/// Adds the final answers, but for those of reviews.
pub(super) fn add_answers(turn: ToldTurn<'_, '_>, times: Times, records: &mut Vec<Record>) {
    if !turn.version.since(169) || turn.turn.review.is_some() || turn.is_review() {
        return;
    }
    for (_, span) in turn.below() {
        let Kind::ModelCall(call) = &span.kind else { continue };
        for item in call.output.iter().filter_map(|ix| turn.thread.item(*ix)) {
            if let ResponseItem::Message(message) = &item.body
                && message.phase.is_some_and(|phase| phase.is("final_answer"))
            {
                records.extend(answer(turn, times, item, message));
            }
        }
    }
}

fn answer(
    turn: ToldTurn<'_, '_>,
    times: Times,
    item: &Item<'_>,
    message: &Message<'_>,
) -> Option<Record> {
    let parts = typed(message.content?);
    let length: usize = parts.iter().map(|part| part.decode().len()).sum();
    let at = at_or(item.at, times.start);
    let mut record = Record::new("codex.agent_response", at).stamped().in_trace(turn.trace_id());
    let out = &mut record.attributes;
    let texts = &turn.told.texts;
    let label = |text| texts.label(text).map(Cow::Owned);
    let is_subagent = turn.thread.depth > 0 || turn.thread.parent_thread_id.is_some();
    out.word("agent.type", if is_subagent { "subagent" } else { "main" });
    out.text("turn.id", label(turn.turn.turn_id));
    out.text("item.id", label(message.id));
    out.text("root.turn.id", label(turn.turn.root_turn_id));
    if is_subagent {
        out.text("parent.conversation.id", turn.thread.parent_thread_id.as_deref().map(Cow::from));
        out.text("parent.turn.id", label(turn.turn.parent_turn_id));
        out.text("initiating.agent.path", label(turn.turn.initiating_agent_path));
    }
    let read: Option<String> = parts.iter().map(|part| texts.answer(*part)).collect();
    if let Some(mut text) = read {
        text.truncate(boundary(&text, MOST));
        out.text("response", Cow::from(text));
    }
    out.int("response_length", u64::try_from(length).ok());
    out.flag("response_truncated", length > MOST);
    turn.common(out);
    Some(record)
}
