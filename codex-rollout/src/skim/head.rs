//! The head of a line by position: what Codex writes before the content.

use crate::item::compacted::Compacted;
use crate::item::event_msg::EventMsg;
use crate::item::response_item::{
    CompactionItem, Message, Reasoning, ResponseItem, ToolOutputItem,
};
use crate::item::usage::{TokenCount, TokenCountInfo};
use crate::line::{BOOKKEEPING, RolloutItem, RolloutLine};
use crate::reader::HEAD;
use crate::scan::Cursor;
use crate::strings;
use crate::text::{JsonText, RawJson};
use crate::wire::Field;

/// The rate limits at the end of a `token_count`: as a rule they are those before
/// with other numbers, and need not be read again to know that they are JSON.
#[derive(Debug, Default)]
pub(super) struct Limits {
    /// What the last line ended with that had some.
    tail: Vec<u8>,
}

impl Limits {
    const KEY: &[u8] = br#","rate_limits":"#;
    const NONE: &[u8] = br#","rate_limits":null}}"#;

    /// Takes in a line that was read.
    pub(super) fn learn(&mut self, line: &RolloutLine<'_>) {
        let RolloutItem::EventMsg(EventMsg::TokenCount(count)) = &line.item else { return };
        let Some(limits) = count.rate_limits.map(RawJson::raw) else { return };
        let len = Self::KEY.len() + limits.len() + 2;
        let tail = line.bytes.len().checked_sub(len).map_or(&b""[..], |at| &line.bytes[at..]);
        let is_last = |value: &[u8]| std::ptr::eq(value.as_ptr(), limits.as_ptr());
        if tail.strip_prefix(Self::KEY).is_some_and(is_last) && tail.ends_with(b"}}") {
            self.keep(tail);
        }
    }

    fn keep(&mut self, tail: &[u8]) {
        self.tail.clear();
        self.tail.extend_from_slice(tail);
    }

    /// Whether a line may end so: as the last one did, its numbers aside.
    fn know(&mut self, tail: &[u8]) -> bool {
        if tail == Self::NONE || tail == self.tail {
            return true;
        }
        let known = differ_in_numbers(&self.tail, tail);
        if known {
            self.keep(tail);
        }
        known
    }

    /// Reads the counts of a line; `text` is what follows its type.
    fn token_count(&mut self, text: &[u8]) -> Option<Kind> {
        let text = text.strip_prefix(br#","info":"#)?;
        // In the payload, in the line.
        let mut cursor = Cursor::at_depth(text, 2);
        let info = TokenCountInfo::read(&mut cursor).ok()?;
        let known = !cursor.has_non_ascii() && self.know(&text[cursor.offset()..]);
        known.then_some(Kind::TokenCount(info))
    }
}

/// Whether two texts are the same but for numbers that are values of objects:
/// what is JSON with one number is JSON with another, even within a string.
fn differ_in_numbers(known: &[u8], text: &[u8]) -> bool {
    let (mut known, mut text) = (known, text);
    while !known.is_empty() && !text.is_empty() {
        let same = n_same(known, text);
        if same == known.len() && same == text.len() {
            return true;
        }
        let is_of_number =
            |byte: &&u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let start = same - known[..same].iter().rev().take_while(is_of_number).count();
        if start == 0 || known[start - 1] != b':' {
            return false;
        }
        let numbers = number_len(&known[start..]).zip(number_len(&text[start..]));
        let Some((of_known, of_text)) =
            numbers.filter(|(one, other)| start + one.max(other) > same)
        else {
            return false;
        };
        known = &known[start + of_known..];
        text = &text[start + of_text..];
    }
    false
}

/// Returns how many bytes two texts have in common at their beginnings.
fn n_same(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let at = 8 * words.take_while(|(one, other)| one == other).count();
    at + one[at..].iter().zip(&other[at..]).take_while(|(one, other)| one == other).count()
}

/// Returns the length of the number that a text begins with, if it does.
fn number_len(text: &[u8]) -> Option<usize> {
    let mut cursor = Cursor::new(text);
    let begins = matches!(text.first(), Some(b'-' | b'0'..=b'9'));
    (begins && cursor.skip().is_ok()).then(|| cursor.offset())
}

/// What the head of a line says, if that is laid out as Codex does it.
pub(super) struct Head<'b> {
    pub(super) ordinal: Option<u64>,
    /// With its quotes.
    pub(super) timestamp: &'b [u8],
    /// The type of the line and what follows it, from its first letter on.
    rest: &'b [u8],
}

/// What kind of record it is; many times smaller than the record.
pub(super) enum Kind {
    Message {
        role: JsonText<'static>,
    },
    MadeByModel,
    ToolOutput,
    OtherItem,
    GhostSnapshot,
    Compacted,
    /// Without its rate limits.
    TokenCount(Option<TokenCountInfo>),
    Bookkeeping(JsonText<'static>),
}

impl Kind {
    /// Whether all of the line was read, so that nothing else can be on it.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Kind::TokenCount(_))
    }

    /// Puts the record where it is wanted.
    #[inline]
    pub(super) fn put(self, item: &mut RolloutItem<'_>) {
        let body = match self {
            Kind::Message { role } => {
                ResponseItem::Message(Message { role: Some(role), ..Message::default() })
            }
            Kind::MadeByModel => ResponseItem::Reasoning(Reasoning::default()),
            Kind::ToolOutput => ResponseItem::ToolOutput(ToolOutputItem::default()),
            Kind::OtherItem => ResponseItem::Compaction(CompactionItem::default()),
            Kind::GhostSnapshot => ResponseItem::GhostSnapshot,
            Kind::Compacted => {
                *item = RolloutItem::Compacted(Compacted::default());
                return;
            }
            Kind::TokenCount(info) => {
                let count = TokenCount { info, rate_limits: None };
                *item = RolloutItem::EventMsg(EventMsg::TokenCount(count));
                return;
            }
            Kind::Bookkeeping(name) => {
                *item = RolloutItem::Bookkeeping(name);
                return;
            }
        };
        *item = RolloutItem::ResponseItem(body);
    }
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

/// The records that tell nothing of turns or usage.
const RECORDS: &[&str] =
    &["realtime_item", "retained_context", "security_risk_score", "dynamic_tools_updated"];

const ROLES: &[&str] = &["assistant", "user", "developer", "system"];

impl<'b> Head<'b> {
    /// Reads the head of a line; `None` if it is not laid out as Codex does it.
    #[inline]
    pub(super) fn read(line: &'b [u8]) -> Option<Head<'b>> {
        if !line.ends_with(b"}}") {
            return None;
        }
        let rest = line.strip_prefix(HEAD)?;
        let (time, rest) = rest.split_first_chunk::<TIME_LEN>()?;
        // Digits and what stands between them; no quote and no backslash.
        if !time.iter().fold(true, |all, byte| all & (b'-'..=b'Z').contains(byte)) {
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
        Some(Head { ordinal, timestamp, rest })
    }

    /// Returns what kind of record it is; `None` if its content is wanted.
    pub(super) fn kind(&self, limits: &mut Limits) -> Option<Kind> {
        kind(self.rest, limits)
    }

    /// Reads the record on a line into an empty one; returns `false` if there is
    /// anything else on it.
    pub(super) fn decode(&self, line: &'b [u8], record: &mut RolloutLine<'b>) -> bool {
        let Some((kind, rest)) = word(self.rest) else { return false };
        let Some(text) = rest.strip_prefix(br#","payload":"#) else { return false };
        record.bytes = line;
        record.ordinal = self.ordinal;
        record.timestamp = Some(RawJson::new(self.timestamp));
        record.decode_payload(JsonText::new(kind), text)
    }
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
fn kind(text: &[u8], limits: &mut Limits) -> Option<Kind> {
    if let Some(rest) = text.strip_prefix(br#"response_item","payload":{"type":""#) {
        return response_item(rest);
    }
    if let Some(rest) = text.strip_prefix(br#"event_msg","payload":{"type":""#) {
        return event(rest, limits);
    }
    let (kind, rest) = word(text)?;
    if !rest.starts_with(br#","payload":{"#) {
        return None;
    }
    if kind == b"compacted" {
        return Some(Kind::Compacted);
    }
    one_of(BOOKKEEPING, kind).or_else(|| one_of(RECORDS, kind)).map(Kind::Bookkeeping)
}

fn response_item(text: &[u8]) -> Option<Kind> {
    let (kind, rest) = word(text)?;
    Some(match kind {
        b"message" => {
            let rest = match rest.strip_prefix(br#","id":""#) {
                Some(rest) => word(rest)?.1,
                None => rest,
            };
            let (role, _) = word(rest.strip_prefix(br#","role":""#)?)?;
            Kind::Message { role: one_of(ROLES, role)? }
        }
        b"function_call"
        | b"reasoning"
        | b"custom_tool_call"
        | b"web_search_call"
        | b"local_shell_call"
        | b"tool_search_call"
        | b"image_generation_call" => Kind::MadeByModel,
        b"function_call_output" | b"custom_tool_call_output" | b"tool_search_output" => {
            Kind::ToolOutput
        }
        b"compaction"
        | b"compaction_summary"
        | b"context_compaction"
        | b"compaction_trigger"
        | b"agent_message"
        | b"additional_tools" => Kind::OtherItem,
        b"ghost_snapshot" => Kind::GhostSnapshot,
        _ => return None,
    })
}

fn event(text: &[u8], limits: &mut Limits) -> Option<Kind> {
    let (kind, rest) = word(text)?;
    match kind {
        b"token_count" => limits.token_count(rest),
        // Frequent, and always wanted.
        b"user_message" => None,
        b"item_completed" => {
            let (_, rest) = word(rest.strip_prefix(br#","thread_id":""#)?)?;
            let (_, rest) = word(rest.strip_prefix(br#","turn_id":""#)?)?;
            let (item, _) = word(rest.strip_prefix(br#","item":{"type":""#)?)?;
            let review = matches!(item, b"EnteredReviewMode" | b"ExitedReviewMode");
            (!review).then_some(Kind::Bookkeeping(JsonText::new(b"item_completed")))
        }
        _ => one_of(EVENTS, kind).map(Kind::Bookkeeping),
    }
}

/// Reads up to the quote that ends a string of ASCII.
#[inline]
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = strings::find_end(text, 0).ok().filter(|end| !end.non_ascii)?;
    Some((&text[..end.quote], &text[end.quote + 1..]))
}

fn one_of(names: &'static [&'static str], name: &[u8]) -> Option<JsonText<'static>> {
    let known = names.iter().find(|known| known.as_bytes() == name)?;
    Some(JsonText::new(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numbers_may_differ() {
        #[rustfmt::skip]
        let cases = [
            ("the same",              r#"{"a":1}"#,            r#"{"a":1}"#,             true),
            ("other numbers",         r#"{"a":1.5,"b":300}"#,  r#"{"a":-22.75e3,"b":3}"#, true),
            ("a leading zero",        r#"{"a":1}"#,            r#"{"a":01}"#,            false),
            ("no digit",              r#"{"a":1}"#,            r#"{"a":-}"#,             false),
            ("no digit behind a dot", r#"{"a":1,"b":2}"#,      r#"{"a":1.,"b":2}"#,      false),
            ("a number for null",     r#"{"a":null}"#,         r#"{"a":5}"#,             false),
            ("a string for a number", r#"{"a":5}"#,            r#"{"a":"5"}"#,           false),
            ("another key",           r#"{"a5":1}"#,           r#"{"a6":1}"#,            false),
            ("more behind it",        r#"{"a":12}"#,           r#"{"a":1}}"#,            false),
            ("less behind it",        r#"{"a":12}}"#,          r#"{"a":1}"#,             false),
            ("nothing known",         "",                      r#"{"a":1}"#,             false),
            ("nothing there",         r#"{"a":1}"#,            "",                       false),
        ];
        for (why, known, text, same) in cases {
            assert_eq!(differ_in_numbers(known.as_bytes(), text.as_bytes()), same, "{why}");
        }
    }
}
