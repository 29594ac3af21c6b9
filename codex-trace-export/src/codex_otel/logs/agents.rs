//! `codex.agent_communication`: a task that one agent gives to another, and that
//! there is a result. The ids of the messages are not recorded.

use codex_rollout::{JsonText, RawJson};
use codex_trace_model::{SpanKind as Kind, Status};

use crate::codex_otel::calls::Call;
use crate::codex_otel::record::Record;
use crate::codex_otel::told::ToldTurn;
use crate::otlp::times::Times;

/// Adds that a subagent of the second generation was spawned, with its task.
pub(super) fn add_spawn(turn: ToldTurn<'_, '_>, at: u64, records: &mut Vec<Record>) {
    let Some(parent) = parent(turn) else { return };
    let mut record = message(turn, "spawn", at);
    record.attributes.word("sender_thread_id", parent);
    record.attributes.word("receiver_thread_id", &turn.thread.id);
    if let Some(task) = task(turn) {
        record.attributes.word("content", &task);
    }
    records.push(record);
}

/// Adds that a turn of such a subagent has a result.
pub(super) fn add_result(turn: ToldTurn<'_, '_>, times: Times, records: &mut Vec<Record>) {
    let Some(parent) = parent(turn).filter(|_| turn.span.status == Status::Ok) else { return };
    let mut record = message(turn, "result", times.end);
    record.attributes.word("sender_thread_id", &turn.thread.id);
    record.attributes.word("receiver_thread_id", parent);
    record.attributes.word("content", "[plaintext]");
    records.push(record);
}

fn message(turn: ToldTurn<'_, '_>, kind: &str, at: u64) -> Record {
    let mut record = Record::new("codex.agent_communication", at).in_trace(turn.trace_id());
    record.attributes.word("kind", kind);
    record.attributes.word("state", "send");
    record
}

/// Returns the thread that spawned this one, if it did so by a message.
fn parent<'t>(turn: ToldTurn<'t, '_>) -> Option<&'t str> {
    let meta = &turn.thread.meta;
    let second = meta.multi_agent_version.is_some_and(|version| version.is("v2"));
    let parent = turn.thread.parent_thread_id.as_deref();
    parent.filter(|_| second && meta.agent_path.is_some() && turn.version.since(169))
}

/// Returns the task, as the call that spawned the thread was given it.
fn task(turn: ToldTurn<'_, '_>) -> Option<String> {
    let trace = turn.told.trace;
    let spawning = trace.span(trace.span(turn.thread.span).parent?);
    let Kind::ToolCall(call) = &spawning.kind else { return None };
    let thread = trace.thread_of(spawning);
    let item = thread.item(call.call_item?)?;
    let arguments = Call::arguments_of(item)?;
    let decoded = arguments.decode();
    let message = message_of(&decoded)?;
    turn.told.texts.tool(message)
}

fn message_of(arguments: &str) -> Option<JsonText<'_>> {
    let mut message = None;
    let read = codex_rollout::Cursor::new(arguments.as_bytes()).object(|key, value| {
        if key == b"message" {
            message = value.raw().ok().and_then(RawJson::as_text);
        }
        Ok(())
    });
    read.ok().and(message)
}
