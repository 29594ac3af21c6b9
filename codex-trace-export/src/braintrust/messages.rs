//! Items as messages, in the shape that `bt` gives them: that of OpenAI's chat.

use std::borrow::Cow;

use codex_rollout::item::response_item::{Message, Reasoning, ToolCallForm, ToolCallItem};
use codex_rollout::{JsonText, RawJson, ResponseItem, ValueKind};

use crate::content::{ContentRules, Part};
use crate::json::{self, Id, Json, Object};

/// What stands in the place of content that is not to be uploaded.
const OMITTED: &str = "[content omitted]";

/// Appends the message that an item is, with a comma before it; nothing if the
/// model did not see it as one.
pub(super) fn message(item: &ResponseItem<'_>, rules: &ContentRules, out: &mut Vec<u8>) {
    let start = out.len();
    out.push(b',');
    let written = match item {
        ResponseItem::Message(it) => spoken(it, rules, out),
        ResponseItem::Reasoning(it) => thought(it, rules, out),
        ResponseItem::ToolCall(it) => {
            called(&Called::of(it), rules, out);
            true
        }
        ResponseItem::ToolOutput(it) => {
            json::object(out, |o| {
                o.put("role", "tool");
                let given = it.output.or(it.tools).map(Given::of);
                as_text(given, Part::Tool, rules, o.value("content"));
                o.maybe("tool_call_id", it.call_id.map(Id));
            });
            true
        }
        ResponseItem::WebSearchCall(it) => {
            let given = it.action.map(Given::Value);
            called(&Called { id: it.id, name: WEB_SEARCH, given }, rules, out);
            true
        }
        ResponseItem::ImageGenerationCall(it) => {
            let given = it.revised_prompt.map(Given::Text);
            called(&Called { id: it.id, name: IMAGE_GENERATION, given }, rules, out);
            true
        }
        ResponseItem::AgentMessage(it) => {
            let mut content = Vec::new();
            let written = texts(it.content, rules, &mut content);
            json::object(out, |o| {
                o.put("role", "user");
                o.maybe("name", it.author.map(|author| rules.label(author)));
                o.value("content").extend_from_slice(&content);
            });
            written
        }
        _ => false,
    };
    if !written {
        out.truncate(start);
    }
}

const WEB_SEARCH: JsonText<'static> = JsonText::new(b"web_search");
const IMAGE_GENERATION: JsonText<'static> = JsonText::new(b"image_generation");

fn spoken(message: &Message<'_>, rules: &ContentRules, out: &mut Vec<u8>) -> bool {
    let mut content = Vec::new();
    let written = texts(message.content, rules, &mut content);
    json::object(out, |o| {
        o.value("content").extend_from_slice(&content);
        o.maybe("role", message.role.map(|role| rules.label(role)));
    });
    written
}

/// A part of a message.
enum Piece<'a> {
    Text(JsonText<'a>),
    Image(RawJson<'a>),
}

/// Reads what of a message is for the model to read or to look at.
fn pieces(content: RawJson<'_>) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    if let Some(text) = content.as_text() {
        pieces.push(Piece::Text(text));
        return pieces;
    }
    let read = content.cursor().array(|element| {
        let (mut text, mut image) = (None, None);
        if element.kind()? != ValueKind::Object {
            return element.skip();
        }
        element.object(|key, value| {
            match (key, value.kind()?) {
                (b"text", ValueKind::String) => text = Some(value.text()?),
                (b"image_url", ValueKind::String) => image = Some(value.raw()?),
                _ => value.skip()?,
            }
            Ok(())
        })?;
        pieces.extend(text.map(Piece::Text).or(image.map(Piece::Image)));
        Ok(())
    });
    // The reader has checked it before: what is no list has no parts.
    read.ok();
    pieces
}

/// Returns the texts of a message.
pub(super) fn texts_of(content: Option<RawJson<'_>>) -> Vec<JsonText<'_>> {
    let pieces = content.map(pieces).unwrap_or_default();
    let texts = pieces.into_iter().filter_map(|piece| match piece {
        Piece::Text(text) => Some(text),
        Piece::Image(_) => None,
    });
    texts.collect()
}

/// Writes the texts of a message as one; with images, as a list of parts.
/// Returns whether there is anything.
fn texts(content: Option<RawJson<'_>>, rules: &ContentRules, out: &mut Vec<u8>) -> bool {
    let pieces = content.map(pieces).unwrap_or_default();
    let kept = |text| rules.json_text(Part::Message, text);
    let omitted = || Cow::Borrowed(OMITTED.as_bytes());
    if !pieces.iter().any(|piece| matches!(piece, Piece::Image(_))) {
        out.push(b'"');
        for piece in &pieces {
            let Piece::Text(text) = piece else { continue };
            out.extend_from_slice(&kept(*text).unwrap_or_else(omitted));
        }
        out.push(b'"');
        return !pieces.is_empty();
    }
    json::array(out, &pieces, |piece, out| match piece {
        Piece::Text(text) => text_part(&kept(*text).unwrap_or_else(omitted), out),
        Piece::Image(address) => match rules.json_value(Part::Message, *address) {
            Some(address) if address.starts_with(b"\"http") => json::object(out, |o| {
                o.put("type", "image_url");
                o.object("image_url", |o| o.value("url").extend_from_slice(&address));
            }),
            // What the rules say of it: type, size and digest.
            Some(note) => text_part(&note[1..note.len() - 1], out),
            None => text_part(&omitted(), out),
        },
    });
    true
}

fn text_part(raw: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":\"");
    out.extend_from_slice(raw);
    out.extend_from_slice(b"\"}");
}

/// Writes what the model said of its thoughts, if it did.
fn thought(reasoning: &Reasoning<'_>, rules: &ContentRules, out: &mut Vec<u8>) -> bool {
    let summary = reasoning.summary.map(pieces).unwrap_or_default();
    let texts: Vec<_> = summary
        .iter()
        .filter_map(|piece| match piece {
            Piece::Text(text) => rules.json_text(Part::Message, *text),
            Piece::Image(_) => None,
        })
        .collect();
    json::object(out, |o| {
        o.array("summary", &texts, |text, out| {
            out.extend_from_slice(b"{\"text\":\"");
            out.extend_from_slice(text);
            out.extend_from_slice(b"\",\"type\":\"summary_text\"}");
        });
        o.put("type", "reasoning");
    });
    !texts.is_empty()
}

/// What a tool was given or gave back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Given<'a> {
    Text(JsonText<'a>),
    Value(RawJson<'a>),
}

impl<'a> Given<'a> {
    pub(super) fn of(raw: RawJson<'a>) -> Given<'a> {
        raw.as_text().map_or(Given::Value(raw), Given::Text)
    }
}

/// A call, whichever tool it is of.
pub(super) struct Called<'a> {
    pub(super) id: Option<JsonText<'a>>,
    pub(super) name: JsonText<'a>,
    pub(super) given: Option<Given<'a>>,
}

impl<'a> Called<'a> {
    pub(super) fn of(item: &ToolCallItem<'a>) -> Called<'a> {
        let fields = &item.fields;
        let fallback: &[u8] = match item.form {
            ToolCallForm::Function => b"function",
            ToolCallForm::Custom => b"custom_tool",
            ToolCallForm::LocalShell => b"local_shell",
            ToolCallForm::ToolSearch => b"tool_search",
            ToolCallForm::Other => b"unknown",
        };
        Called {
            id: fields.call_id,
            name: fields.name.unwrap_or(JsonText::new(fallback)),
            given: match item.form {
                ToolCallForm::Custom => fields.input.map(Given::Text),
                _ => fields.arguments.or(fields.action).map(Given::of),
            },
        }
    }
}

fn called(call: &Called<'_>, rules: &ContentRules, out: &mut Vec<u8>) {
    json::object(out, |o| {
        o.null("content");
        o.put("role", "assistant");
        o.array("tool_calls", [call], |call, out| {
            json::object(out, |o| {
                o.object("function", |o| {
                    as_text(call.given, Part::Tool, rules, o.value("arguments"));
                    o.put("name", rules.label(call.name));
                });
                o.maybe("id", call.id.map(Id));
                o.put("type", "function");
            });
        });
    });
}

/// Writes a value as one string: a text as it is, all else as its JSON, the
/// keys sorted as `bt` has them.
fn as_text(given: Option<Given<'_>>, part: Part, rules: &ContentRules, out: &mut Vec<u8>) {
    match given {
        None => "".write(out),
        Some(_) if !rules.keeps(part) => OMITTED.write(out),
        Some(Given::Text(text)) => {
            json::raw_text(&rules.json_text(part, text).unwrap_or_default(), out);
        }
        Some(Given::Value(value)) => {
            let kept = rules.json_value(part, value).unwrap_or_default();
            // What is nested too deeply stays in the order of the file.
            match serde_json::from_slice::<serde_json::Value>(&kept) {
                Ok(sorted) => sorted.to_string().write(out),
                Err(_) => String::from_utf8_lossy(&kept).write(out),
            }
        }
    }
}

/// Writes what a tool was given or gave back as it was recorded; nothing if it
/// is not to be uploaded.
pub(super) fn put_given(
    o: &mut Object<'_>,
    key: &str,
    given: Option<Given<'_>>,
    rules: &ContentRules,
) {
    match given {
        Some(Given::Text(text)) => put_text(o, key, text, Part::Tool, rules),
        Some(Given::Value(value)) => {
            if let Some(kept) = rules.json_value(Part::Tool, value) {
                o.value(key).extend_from_slice(&kept);
            }
        }
        None => {}
    }
}

/// Writes a text as a field, unless texts of its sort are left out.
pub(super) fn put_text(
    o: &mut Object<'_>,
    key: &str,
    text: JsonText<'_>,
    part: Part,
    rules: &ContentRules,
) {
    if let Some(kept) = rules.json_text(part, text) {
        json::raw_text(&kept, o.value(key));
    }
}

/// Returns whether an item begins what the harness says of the surroundings, or
/// of what became of the turn before: `bt` takes no such item for a prompt.
pub(super) fn is_surroundings(text: &str) -> bool {
    ["<environment_context", "# AGENTS.md", "<permissions", "<turn_aborted"]
        .iter()
        .any(|head| text.starts_with(head))
}
