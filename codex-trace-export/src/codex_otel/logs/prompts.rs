//! `codex.user_prompt`: what somebody typed, or a subagent of the first generation
//! was given.

use codex_rollout::{JsonText, ResponseItem};
use codex_trace_model::EventKind;

use crate::codex_otel::record::{Record, at_or};
use crate::codex_otel::texts::typed;
use crate::codex_otel::told::ToldTurn;
use crate::otlp::times::Times;

/// What stands for a prompt that is not sent.
const REDACTED: &str = "[REDACTED]";

pub(super) fn add(turn: ToldTurn<'_, '_>, times: Times, records: &mut Vec<Record>) {
    let mut found = false;
    for item in turn.turn.input.iter().filter_map(|ix| turn.thread.item(*ix)) {
        // A subagent of the second generation gets a message, and no prompt.
        let ResponseItem::Message(message) = &item.body else {
            found = true;
            continue;
        };
        found = true;
        let parts = message.content.map(typed).unwrap_or_default();
        records.push(prompt(turn, at_or(item.at, times.start), &parts));
    }
    if !found && let Some(text) = turn.turn.prompt {
        records.push(prompt(turn, times.start, &[text]));
    }
    // What was typed into a running turn was no prompt before.
    if turn.version.since(171) {
        for event in turn.span.events() {
            if let EventKind::Steering(text) = event.kind {
                records.push(prompt(turn, at_or(event.at, times.start), &[text]));
            }
        }
    }
}

fn prompt(turn: ToldTurn<'_, '_>, at: u64, parts: &[JsonText<'_>]) -> Record {
    let mut record = Record::new("codex.user_prompt", at).stamped().in_trace(turn.trace_id());
    let length: usize = parts.iter().map(|part| part.decode().chars().count()).sum();
    let text = turn.told.texts.prompt(parts);
    record.attributes.word("prompt_length", &length.to_string());
    record.attributes.word("prompt", text.as_deref().unwrap_or(REDACTED));
    turn.common(&mut record.attributes);
    record
}
