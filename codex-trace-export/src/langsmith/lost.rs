//! What plugins up to 0.0.7 lost: whole turns, for one long string.

use codex_rollout::{Cursor, JsonText, RawJson, ResponseItem, Syntax, ValueKind};

/// Returns whether an item holds a string that plugins up to 0.0.7 lost, and
/// the whole turn with it: 64 Ki UTF-16 units or more.
pub(super) fn was_lost(item: &ResponseItem<'_>) -> bool {
    let long = |text: Option<JsonText<'_>>| text.is_some_and(is_long);
    let any = |raw: Option<RawJson<'_>>| {
        raw.is_some_and(|raw| raw.raw().len() >= LOST_FROM && has_long(&mut raw.cursor()))
    };
    match item {
        ResponseItem::Message(it) => any(it.content),
        ResponseItem::Reasoning(it) => {
            any(it.content) || any(it.summary) || long(it.encrypted_content)
        }
        ResponseItem::ToolCall(it) => {
            any(it.fields.arguments) || long(it.fields.input) || any(it.fields.action)
        }
        // What is not a string became one.
        ResponseItem::ToolOutput(it) => it.output.or(it.tools).is_some_and(|raw| {
            raw.raw().len() >= LOST_FROM
                && match raw.as_text() {
                    Some(text) => is_long(text),
                    None => true,
                }
        }),
        ResponseItem::ImageGenerationCall(it) => long(it.result),
        ResponseItem::AgentMessage(it) => any(it.content),
        _ => false,
    }
}

/// From how many UTF-16 units on the plugin's SDK used its worker thread.
const LOST_FROM: usize = 64 << 10;

fn is_long(text: JsonText<'_>) -> bool {
    text.raw_len() >= LOST_FROM && text.decode().encode_utf16().count() >= LOST_FROM
}

fn has_long(cursor: &mut Cursor<'_>) -> bool {
    fn look(cursor: &mut Cursor<'_>, found: &mut bool) -> Result<(), Syntax> {
        match cursor.kind()? {
            ValueKind::Object => cursor.object(|_, value| look(value, found)),
            ValueKind::Array => cursor.array(|value| look(value, found)),
            ValueKind::String => {
                *found |= is_long(cursor.text()?);
                Ok(())
            }
            _ => cursor.skip(),
        }
    }
    let mut found = false;
    look(cursor, &mut found).is_ok() && found
}
