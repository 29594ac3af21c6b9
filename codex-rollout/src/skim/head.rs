//! The head of a line by position: what Codex writes before the content.

use crate::item::compacted::Compacted;
use crate::item::response_item::{
    CompactionItem, Message, Reasoning, ResponseItem, ToolOutputItem,
};
use crate::line::{BOOKKEEPING, RolloutItem};
use crate::reader::HEAD;
use crate::text::JsonText;

/// What the head of a line says of a record of which no more is wanted.
pub(super) struct Head<'b> {
    pub(super) ordinal: Option<u64>,
    /// With its quotes.
    pub(super) timestamp: &'b [u8],
    pub(super) item: RolloutItem<'static>,
}

/// The length of a timestamp: `2026-11-21T05:39:08.357Z`.
const TIME_LEN: usize = 24;

/// The events that are known and tell nothing of turns or usage.
const EVENTS: &[&str] = &[
    "exec_command_end",
    "agent_message",
    "agent_reasoning",
    "patch_apply_end",
    "mcp_tool_call_end",
    "agent_reasoning_raw_content",
    "web_search_end",
    "sub_agent_activity",
    "image_generation_end",
    "view_image_tool_call",
    "context_compacted",
    "undo_completed",
    "dynamic_tool_call_request",
    "dynamic_tool_call_response",
    "collab_agent_spawn_end",
    "collab_agent_interaction_end",
    "collab_waiting_end",
    "collab_close_end",
    "collab_resume_end",
    "guardian_assessment",
    "thread_name_updated",
    "thread_goal_updated",
    "error",
    "stream_error",
];

const ROLES: &[&str] = &["assistant", "user", "developer", "system"];

/// Reads the head of a line; `None` if the line must be decoded: because its
/// content is wanted, or because it is not laid out as Codex does it.
pub(super) fn read(line: &[u8]) -> Option<Head<'_>> {
    if !line.ends_with(b"}}") {
        return None;
    }
    let rest = line.strip_prefix(HEAD)?;
    let (time, rest) = rest.split_at_checked(TIME_LEN)?;
    // Digits and what stands between them; no quote and no backslash.
    if !time.iter().all(|byte| (b'-'..=b'Z').contains(byte)) {
        return None;
    }
    let timestamp = &line[HEAD.len() - 1..=HEAD.len() + TIME_LEN];
    let rest = rest.strip_prefix(br#"",""#)?;
    let (ordinal, rest) = match rest.strip_prefix(br#"ordinal":"#) {
        Some(rest) => {
            let (ordinal, rest) = number(rest)?;
            (Some(ordinal), rest.strip_prefix(br#",""#)?)
        }
        None => (None, rest),
    };
    let rest = rest.strip_prefix(br#"type":""#)?;
    item(rest).map(|item| Head { ordinal, timestamp, item })
}

fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at(len);
    if len == 0 || len > 18 || (len > 1 && digits[0] == b'0') {
        return None;
    }
    let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    Some((number, rest))
}

/// Reads on behind the quote that opens the line's type.
fn item(text: &[u8]) -> Option<RolloutItem<'static>> {
    if let Some(rest) = text.strip_prefix(br#"response_item","payload":{"type":""#) {
        return response_item(rest).map(RolloutItem::ResponseItem);
    }
    if let Some(rest) = text.strip_prefix(br#"event_msg","payload":{"type":""#) {
        return event(rest);
    }
    let kind = &text[..text.iter().take(40).position(|byte| *byte == b'"')?];
    if !text[kind.len()..].starts_with(br#"","payload":{"#) {
        return None;
    }
    if kind == b"compacted" {
        return Some(RolloutItem::Compacted(Compacted::default()));
    }
    one_of(BOOKKEEPING, kind).map(RolloutItem::Bookkeeping)
}

fn response_item(text: &[u8]) -> Option<ResponseItem<'static>> {
    let (kind, rest) = word(text)?;
    Some(match kind {
        b"message" => {
            let rest = match rest.strip_prefix(br#","id":""#) {
                Some(rest) => word(rest)?.1,
                None => rest,
            };
            let (role, _) = word(rest.strip_prefix(br#","role":""#)?)?;
            let role = Some(one_of(ROLES, role)?);
            ResponseItem::Message(Message { role, ..Message::default() })
        }
        b"function_call"
        | b"reasoning"
        | b"custom_tool_call"
        | b"web_search_call"
        | b"local_shell_call"
        | b"tool_search_call"
        | b"image_generation_call" => ResponseItem::Reasoning(Reasoning::default()),
        b"function_call_output" | b"custom_tool_call_output" | b"tool_search_output" => {
            ResponseItem::ToolOutput(ToolOutputItem::default())
        }
        b"compaction"
        | b"compaction_summary"
        | b"context_compaction"
        | b"compaction_trigger"
        | b"agent_message"
        | b"additional_tools"
        | b"configuration_update" => ResponseItem::Compaction(CompactionItem::default()),
        b"ghost_snapshot" => ResponseItem::GhostSnapshot,
        _ => return None,
    })
}

fn event(text: &[u8]) -> Option<RolloutItem<'static>> {
    let (kind, rest) = word(text)?;
    if kind == b"item_completed" {
        let (_, rest) = word(rest.strip_prefix(br#","thread_id":""#)?)?;
        let (_, rest) = word(rest.strip_prefix(br#","turn_id":""#)?)?;
        let (item, _) = word(rest.strip_prefix(br#","item":{"type":""#)?)?;
        if matches!(item, b"EnteredReviewMode" | b"ExitedReviewMode") {
            return None;
        }
        return Some(RolloutItem::Bookkeeping(JsonText::new(b"item_completed")));
    }
    one_of(EVENTS, kind).map(RolloutItem::Bookkeeping)
}

/// Reads up to the quote that ends a word of few plain characters.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().take(80).position(|byte| *byte == b'"')?;
    let (word, rest) = text.split_at(end);
    let plain = word.iter().all(|byte| matches!(byte, b' '..=b'~') && *byte != b'\\');
    plain.then_some((word, &rest[1..]))
}

fn one_of(names: &'static [&'static str], name: &[u8]) -> Option<JsonText<'static>> {
    let known = names.iter().find(|known| known.as_bytes() == name)?;
    Some(JsonText::new(known.as_bytes()))
}
