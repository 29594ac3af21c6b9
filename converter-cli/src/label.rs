//! What tells one span from others of its name, in a few words.

use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{ItemIx, Thread, ToolCall};

use crate::text;
use codex_trace_history::ids;

/// How much of an argument is looked at, in bytes.
const LIMIT: usize = 300;

/// Returns who a thread is: its nickname, its role, its place in the team.
pub fn of_thread(thread: &Thread<'_>) -> String {
    let meta = &thread.meta;
    let mut words: Vec<String> = [meta.agent_nickname, meta.agent_role, meta.agent_path]
        .into_iter()
        .flatten()
        .map(|word| text::one_line(&word.decode_prefix(LIMIT)))
        .filter(|word| !word.is_empty())
        .collect();
    words.dedup();
    words.push(text::escape(ids::short(&thread.id, 13)).into_owned());
    words.join(" ")
}

/// Returns what a tool was asked to do: the command, the query, else the
/// beginning of the arguments.
pub fn of_tool<'a>(thread: &Thread<'a>, call: &ToolCall<'a>) -> Option<String> {
    if let Some(command) = thread.command_of(call).line {
        let end = command.char_indices().nth(LIMIT).map_or(command.len(), |(at, _)| at);
        return Some(text::one_line(&command[..end]));
    }
    if let Some(changes) = call.extras().changes {
        return Some(keys(changes)).filter(|keys| !keys.is_empty());
    }
    let raw = call
        .extras()
        .search
        .or(call.extras().arguments)
        .or_else(|| arguments(thread, call.call_item?));
    let text = raw.map(|raw| raw.as_text().unwrap_or_else(|| JsonText::new(raw.raw())));
    let text = text.or_else(|| input(thread, call.call_item?))?;
    Some(text::one_line(&text.decode_prefix(LIMIT)))
}

/// Returns the keys of an object: the files that a patch changed.
fn keys(raw: RawJson<'_>) -> String {
    let mut keys = Vec::new();
    let read = raw.cursor().object(|key, _| {
        keys.push(text::one_line(&JsonText::new(key).decode()));
        Ok(())
    });
    // What is no object has no keys.
    read.ok();
    keys.join(", ")
}

fn arguments<'a>(thread: &Thread<'a>, ix: ItemIx) -> Option<RawJson<'a>> {
    match thread.item(ix)?.body {
        ResponseItem::ToolCall(call) => call.fields.arguments.or(call.fields.action),
        ResponseItem::WebSearchCall(search) => search.action,
        _ => None,
    }
}

fn input<'a>(thread: &Thread<'a>, ix: ItemIx) -> Option<JsonText<'a>> {
    match thread.item(ix)?.body {
        ResponseItem::ToolCall(call) => call.fields.input,
        _ => None,
    }
}
