//! Items as messages, in the shape that the live plugin gives them: near to
//! that of `LangChain`, roles `system`, `user`, `ai`, `tool`, `unknown`.

use std::borrow::Cow;

use codex_rollout::item::response_item::{Reasoning, ToolCallForm, ToolCallItem, ToolOutputItem};
use codex_rollout::{JsonText, RawJson, ResponseItem, Syntax, ValueKind};
use codex_trace_model::{Item, ItemIx, Thread, Timestamp};

use crate::content::Part;
use crate::json::{self, Id, Json, Object};
use crate::langsmith::limited::LimitedRules;

/// What stands in the place of content that is not to be uploaded.
pub(super) const OMITTED: &str = "[content omitted]";

/// How much of an image that the provider made is uploaded, in bytes of base64.
const MAX_IMAGE: usize = 1 << 20;

/// Who a message is from, as far as merging goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role<'a> {
    System,
    User,
    Ai,
    Tool,
    Unknown,
    Other(JsonText<'a>),
}

impl<'a> Role<'a> {
    pub(super) fn of(body: &ResponseItem<'a>) -> Role<'a> {
        match body {
            ResponseItem::Message(message) => match message.role.map(JsonText::raw) {
                Some(b"developer" | b"system") => Role::System,
                Some(b"assistant") => Role::Ai,
                Some(b"user") => Role::User,
                _ => message.role.map_or(Role::Unknown, Role::Other),
            },
            ResponseItem::Reasoning(_) => Role::Ai,
            ResponseItem::ToolCall(call) if call.form != ToolCallForm::LocalShell => Role::Ai,
            ResponseItem::ToolOutput(_) => Role::Tool,
            _ => Role::Unknown,
        }
    }

    /// Whether messages of this role that follow each other become one.
    pub(super) fn merges(self) -> bool {
        matches!(self, Role::System | Role::User | Role::Ai)
    }

    pub(super) fn word(self) -> Cow<'a, [u8]> {
        Cow::Borrowed(match self {
            Role::System => b"system",
            Role::User => b"user",
            Role::Ai => b"ai",
            Role::Tool => b"tool",
            Role::Unknown => b"unknown",
            Role::Other(role) => return Cow::Borrowed(role.raw()),
        })
    }
}

/// One message, of one item or of several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a> {
    pub(super) role: Role<'a>,
    /// The items, as a range of the turn's; empty for the system prompt alone.
    pub(super) from: usize,
    pub(super) to: usize,
    /// Whether the system prompt comes before the items.
    pub(super) prompt: bool,
    /// When the first and the last of it was written, in milliseconds.
    pub(super) start: i64,
    pub(super) end: i64,
}

/// Puts items together to messages. `prompt` is when the system prompt was
/// given, if there is one.
pub(super) fn merge<'a>(
    thread: &Thread<'a>,
    items: &[ItemIx],
    prompt: Option<i64>,
    fallback: i64,
) -> Vec<Message<'a>> {
    let mut messages: Vec<Message<'a>> = Vec::new();
    messages.extend(prompt.map(|at| Message {
        role: Role::System,
        from: 0,
        to: 0,
        prompt: true,
        start: at,
        end: at,
    }));
    let mut last_at = fallback;
    for (nth, item) in items.iter().enumerate() {
        let item = &thread[*item];
        let role = Role::of(&item.body);
        let at = item.at.map_or(last_at, Timestamp::as_millisecond);
        last_at = at;
        match messages.last_mut() {
            Some(last) if last.role == role && role.merges() => {
                last.to = nth + 1;
                last.start = last.start.min(at);
                last.end = last.end.max(at);
            }
            _ => messages.push(Message {
                role,
                from: nth,
                to: nth + 1,
                prompt: false,
                start: at,
                end: at,
            }),
        }
    }
    messages
}

/// Returns the call that an output answers.
pub(super) fn answered<'a>(item: &ResponseItem<'a>) -> Option<JsonText<'a>> {
    match item {
        ResponseItem::ToolOutput(output) => output.call_id,
        _ => None,
    }
}

/// Appends a text part.
pub(super) fn text_part(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"text\",\"text\":\"");
    out.extend_from_slice(text);
    out.extend_from_slice(b"\"}");
}

/// Appends the content parts of an item, with commas between them.
pub(super) fn parts(body: &ResponseItem<'_>, rules: &LimitedRules<'_>, out: &mut Vec<u8>) {
    match body {
        ResponseItem::Message(message) => {
            if let Some(content) = message.content {
                content_parts(content, rules, out);
            }
        }
        ResponseItem::Reasoning(reasoning) => json::object(out, |o| thought(reasoning, rules, o)),
        ResponseItem::ToolCall(call) if call.form != ToolCallForm::LocalShell => {
            json::object(out, |o| tool_call(call, rules, o));
        }
        ResponseItem::ToolOutput(output) => {
            out.extend_from_slice(b"{\"type\":\"text\",\"text\":");
            output_text(output, rules, out);
            out.push(b'}');
        }
        other => json::object(out, |o| {
            o.put("type", "non_standard");
            o.object("value", |o| other_item(other, rules, o));
        }),
    }
}

fn content_parts(content: RawJson<'_>, rules: &LimitedRules<'_>, out: &mut Vec<u8>) {
    if let Some(text) = content.as_text() {
        return text_part(&kept(text, Part::Message, rules), out);
    }
    let start = out.len();
    let read = content.cursor().array(|element| {
        if out.len() > start {
            out.push(b',');
        }
        content_part(element.raw()?, rules, out)
    });
    // The reader has checked it before.
    if read.is_err() {
        out.truncate(start);
    }
}

fn content_part(
    part: RawJson<'_>,
    rules: &LimitedRules<'_>,
    out: &mut Vec<u8>,
) -> Result<(), Syntax> {
    let (mut kind, mut text, mut image) = (JsonText::default(), None, None);
    let mut cursor = part.cursor();
    if cursor.kind()? == ValueKind::Object {
        cursor.object(|key, value| {
            match (key, value.kind()?) {
                (b"type", ValueKind::String) => kind = value.text()?,
                (b"text", ValueKind::String) => text = Some(value.text()?),
                (b"image_url", ValueKind::String) => image = Some(value.raw()?),
                _ => {}
            }
            Ok(())
        })?;
    }
    match (kind.raw(), text, image) {
        (b"input_text" | b"output_text" | b"text", Some(text), _) => {
            text_part(&kept(text, Part::Message, rules), out);
        }
        (b"input_image", _, Some(image)) => json::object(out, |o| {
            o.put("type", "image_url");
            put_value("image_url", image, Part::Message, rules, o);
        }),
        _ => json::object(out, |o| {
            o.put("type", "non_standard");
            put_value("value", part, Part::Message, rules, o);
        }),
    }
    Ok(())
}

fn thought(reasoning: &Reasoning<'_>, rules: &LimitedRules<'_>, o: &mut Object<'_>) {
    o.put("type", "reasoning");
    if let Some(content) = reasoning.content {
        match content.as_text() {
            Some(text) => put_text("reasoning", text, Part::Message, rules, o),
            None => match rules.json_value(Part::Message, content) {
                Some(value) => escaped(&value, o.value("reasoning")),
                None => o.put("reasoning", OMITTED),
            },
        }
    }
    o.object("extras", |o| {
        o.maybe("id", reasoning.id.map(Id));
        if let Some(summary) = reasoning.summary {
            put_value("summary", summary, Part::Message, rules, o);
        }
        if rules.keeps_encrypted() {
            o.maybe("encrypted_content", rules.whole(reasoning.encrypted_content));
        }
    });
}

fn tool_call(call: &ToolCallItem<'_>, rules: &LimitedRules<'_>, o: &mut Object<'_>) {
    let fields = &call.fields;
    let arguments = Arguments::of(call, rules);
    o.put("type", if arguments.is_chunk { "tool_call_chunk" } else { "tool_call" });
    match call.form {
        ToolCallForm::ToolSearch => o.put("name", "tool_search_call"),
        _ => {
            if let Some(name) = fields.name {
                label(name, rules, o.value("name"));
            }
        }
    }
    o.maybe("id", fields.call_id.map(Id));
    o.value("args").extend_from_slice(&arguments.json);
}

/// Writes a name, which stays whatever is captured, without the secrets in it.
pub(super) fn label(name: JsonText<'_>, rules: &LimitedRules<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(&rules.json_text(Part::Label, name).unwrap_or_default());
    out.push(b'"');
}

/// What a tool was given, as JSON.
pub(super) struct Arguments<'a> {
    pub(super) json: Cow<'a, [u8]>,
    /// Whether they should have been JSON and are none.
    pub(super) is_chunk: bool,
}

impl<'a> Arguments<'a> {
    pub(super) fn of(call: &ToolCallItem<'a>, rules: &LimitedRules<'_>) -> Arguments<'a> {
        let plain = |json| Arguments { json, is_chunk: false };
        let fields = &call.fields;
        if call.form == ToolCallForm::Custom {
            return plain(Cow::Owned(quoted(fields.input.unwrap_or_default(), rules)));
        }
        let Some(arguments) = fields.arguments.or(fields.action) else {
            return plain(Cow::Borrowed(b"null"));
        };
        let Some(text) = arguments.as_text().filter(|_| call.form == ToolCallForm::Function) else {
            return plain(value(arguments, Part::Tool, rules));
        };
        let whole = text.decode();
        let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        // Even what was cut out of it must leave JSON.
        let is_chunk = !is_json(&whole);
        match rules.decoded(Part::Tool, text) {
            None => Arguments { json: Cow::Borrowed(b"{}"), is_chunk },
            Some(kept) if !is_chunk && is_json(&kept) => {
                let mut kept = kept.into_owned().into_bytes();
                // Only white space between tokens can be a line break here.
                kept.iter_mut().filter(|b| matches!(b, b'\n' | b'\r')).for_each(|b| *b = b' ');
                plain(Cow::Owned(kept))
            }
            Some(_) => Arguments { json: Cow::Owned(quoted(text, rules)), is_chunk },
        }
    }
}

/// Writes what a tool answered, as one JSON string.
pub(super) fn output_text(
    output: &ToolOutputItem<'_>,
    rules: &LimitedRules<'_>,
    out: &mut Vec<u8>,
) {
    let Some(answer) = output.output.or(output.tools) else { return "".write(out) };
    if let Some(text) = answer.as_text() {
        out.extend_from_slice(&quoted(text, rules));
        return;
    }
    match rules.json_value(Part::Tool, answer) {
        Some(value) => escaped(&value, out),
        None => OMITTED.write(out),
    }
}

/// The fields of an item that the plugin leaves as it is, as far as they are
/// of use to a reader.
fn other_item(item: &ResponseItem<'_>, rules: &LimitedRules<'_>, o: &mut Object<'_>) {
    match item {
        ResponseItem::ToolCall(call) => {
            o.put("type", "local_shell_call");
            o.maybe("id", call.fields.id.map(Id));
            o.maybe("call_id", call.fields.call_id.map(Id));
            o.maybe("status", rules.label(call.fields.status));
            if let Some(action) = call.fields.action {
                put_value("action", action, Part::Tool, rules, o);
            }
        }
        ResponseItem::WebSearchCall(call) => {
            o.put("type", "web_search_call");
            o.maybe("id", call.id.map(Id));
            o.maybe("status", rules.label(call.status));
            if let Some(action) = call.action {
                put_value("action", action, Part::Tool, rules, o);
            }
        }
        ResponseItem::ImageGenerationCall(call) => {
            o.put("type", "image_generation_call");
            o.maybe("id", call.id.map(Id));
            o.maybe("status", rules.label(call.status));
            if let Some(prompt) = call.revised_prompt {
                put_text("revised_prompt", prompt, Part::Tool, rules, o);
            }
        }
        ResponseItem::AgentMessage(message) => {
            o.put("type", "agent_message");
            o.maybe("id", message.id.map(Id));
            o.maybe("author", rules.label(message.author));
            o.maybe("recipient", rules.label(message.recipient));
            if let Some(content) = message.content {
                put_value("content", content, Part::Message, rules, o);
            }
        }
        ResponseItem::Compaction(item) => {
            o.put("type", "compaction");
            o.maybe("id", item.id.map(Id));
        }
        ResponseItem::AdditionalTools(item) => named("additional_tools", item.id, o),
        ResponseItem::ConfigurationUpdate(item) => named("configuration_update", item.id, o),
        ResponseItem::Unknown(item) => {
            o.maybe("type", rules.label(item.kind));
            o.maybe("id", item.id.map(Id));
        }
        _ => {}
    }
}

fn named(kind: &str, id: Option<JsonText<'_>>, o: &mut Object<'_>) {
    o.put("type", kind);
    o.maybe("id", id.map(Id));
}

/// Writes an image that the provider made as a part, if it is small enough.
pub(super) fn image_part(item: &Item<'_>, rules: &LimitedRules<'_>, out: &mut Vec<u8>) -> bool {
    let ResponseItem::ImageGenerationCall(call) = &item.body else { return false };
    let Some(base64) = call.result.filter(|it| it.raw_len() <= MAX_IMAGE) else { return false };
    if !rules.keeps(Part::Tool) {
        return false;
    }
    out.extend_from_slice(b"{\"type\":\"image_url\",\"image_url\":\"data:image/png;base64,");
    out.extend_from_slice(base64.raw());
    out.extend_from_slice(b"\"}");
    true
}

/// Returns the raw text to put between quotes.
fn kept<'t>(text: JsonText<'t>, part: Part, rules: &LimitedRules<'_>) -> Cow<'t, [u8]> {
    rules.json_text(part, text).unwrap_or(Cow::Borrowed(OMITTED.as_bytes()))
}

fn quoted(text: JsonText<'_>, rules: &LimitedRules<'_>) -> Vec<u8> {
    let kept = kept(text, Part::Tool, rules);
    let mut out = Vec::with_capacity(kept.len() + 2);
    out.push(b'"');
    out.extend_from_slice(&kept);
    out.push(b'"');
    out
}

/// Returns a value as it may be written.
pub(super) fn value<'t>(raw: RawJson<'t>, part: Part, rules: &LimitedRules<'_>) -> Cow<'t, [u8]> {
    rules.json_value(part, raw).unwrap_or(Cow::Borrowed(b"null"))
}

pub(super) fn put_value(
    key: &str,
    raw: RawJson<'_>,
    part: Part,
    rules: &LimitedRules<'_>,
    o: &mut Object<'_>,
) {
    o.value(key).extend_from_slice(&value(raw, part, rules));
}

pub(super) fn put_text(
    key: &str,
    text: JsonText<'_>,
    part: Part,
    rules: &LimitedRules<'_>,
    o: &mut Object<'_>,
) {
    json::raw_text(&kept(text, part, rules), o.value(key));
}

/// Writes JSON text as a JSON string: quotes and backslashes are all that can
/// need an escape in it.
fn escaped(json: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = json;
    while let Some(at) = memchr::memchr3(b'"', b'\\', b'\n', rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'\n' => out.push(b' '),
            byte => out.extend_from_slice(&[b'\\', byte]),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
