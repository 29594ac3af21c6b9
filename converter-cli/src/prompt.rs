//! What the user asked, in a few words.

use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{SpanKind, Thread, Trace, Turn, request};

use crate::text;

/// How much of a prompt is looked at, in bytes.
const LIMIT: usize = 400;

/// Returns the beginning of the first prompt of the root thread, on one line.
pub fn first(trace: &Trace<'_>) -> Option<String> {
    let root = trace.root();
    trace.spans.iter().find_map(|span| match &span.kind {
        SpanKind::Turn(turn) if trace.thread_of(span).span == root.span => of_turn(root, turn),
        _ => None,
    })
}

/// Returns the beginning of what a turn was asked, on one line.
pub fn of_turn(thread: &Thread<'_>, turn: &Turn<'_>) -> Option<String> {
    let items = turn.input.iter().filter_map(|ix| thread.items.get(ix.0 as usize));
    let mut prompts = items.filter_map(|item| of_item(&item.body));
    let prompt = prompts.next().or_else(|| turn.prompt.map(beginning))?;
    Some(text::one_line(&prompt)).filter(|prompt| !prompt.is_empty())
}

fn of_item(item: &ResponseItem<'_>) -> Option<String> {
    match item {
        ResponseItem::Message(message) => of_content(message.content?),
        ResponseItem::AgentMessage(message) => of_content(message.content?),
        _ => None,
    }
}

/// Returns the beginning of the first text in an array of content items.
pub fn of_content(content: RawJson<'_>) -> Option<String> {
    if let Some(text) = content.as_text() {
        return Some(beginning(text));
    }
    let mut found = None;
    let mut parts = content.cursor();
    let read = parts.array(|part| {
        part.object(|key, value| {
            if key == b"text" && found.is_none() {
                found = value.raw()?.as_text().filter(|text| !text.is_empty());
            }
            Ok(())
        })
    });
    // What is no array of objects has no text.
    read.ok();
    found.map(beginning)
}

/// Returns the beginning of what a prompt asks for.
fn beginning(prompt: JsonText<'_>) -> String {
    request(prompt).decode_prefix(LIMIT).into_owned()
}
