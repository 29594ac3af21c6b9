//! Messages as JSON: in the shape of the GenAI conventions, and in that of
//! OpenAI's chat API, which MLflow's pages know.

use std::borrow::Cow;

use super::messages::{Call, Message, Part, decode};
use crate::json::list;

/// Returns what a model answered as the GenAI conventions have it: a list of one
/// message; `finish` is why it stopped.
pub(crate) fn genai_answer(message: &Message<'_>, finish: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(room(message));
    field(&mut out, b"[{\"role\":", message.role.as_bytes());
    out.extend_from_slice(b",\"parts\":[");
    genai_parts(&mut out, &message.parts);
    out.push(b']');
    if let Some(finish) = finish {
        field(&mut out, b",\"finish_reason\":", finish.as_bytes());
    }
    out.extend_from_slice(b"}]");
    out
}

/// Appends parts as the GenAI conventions have them, with commas between them.
pub(crate) fn genai_parts(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            out.push(b',');
        }
        genai_part(out, part);
    }
}

/// What a message takes, with what is written around it, more or less: a long
/// list should not be copied again and again as it grows.
fn room(message: &Message<'_>) -> usize {
    const AROUND: usize = 96;
    message.len() + AROUND * (1 + message.parts.len())
}

fn genai_part(out: &mut Vec<u8>, part: &Part<'_>) {
    match part {
        Part::Text(text) => field(out, br#"{"type":"text","content":"#, text),
        Part::Reasoning(text) => field(out, br#"{"type":"reasoning","content":"#, text),
        Part::Image(address) => image(out, address),
        // No `blob`: readers expect content in one.
        Part::LargeImage(image) => {
            out.extend_from_slice(
                br#"{"type":"generic","generic_type":"omitted","modality":"image","mime_type":"#,
            );
            super::json::text(out, &image.media_type);
            let (n_bytes, sha256) = (image.n_bytes, &image.sha256);
            out.extend_from_slice(format!(r#","bytes":{n_bytes},"sha256":"{sha256}""#).as_bytes());
        }
        Part::ToolCall(call) => {
            out.extend_from_slice(br#"{"type":"tool_call""#);
            id(out, b",\"id\":", call);
            field(out, b",\"name\":", &call.name);
            value(out, b",\"arguments\":", call.arguments.as_deref());
        }
        Part::ServerToolCall(call) => {
            out.extend_from_slice(br#"{"type":"server_tool_call""#);
            id(out, b",\"id\":", call);
            field(out, b",\"name\":", &call.name);
            field(out, br#","server_tool_call":{"type":"#, &call.name);
            value(out, b",\"arguments\":", call.arguments.as_deref());
            out.push(b'}');
        }
        Part::ToolResult { id, content } => {
            out.extend_from_slice(br#"{"type":"tool_call_response""#);
            if let Some(id) = id {
                field(out, b",\"id\":", id.raw());
            }
            if let Some(content) = content {
                field(out, b",\"response\":", content);
            }
        }
        Part::Other(kind) => field(out, br#"{"type":"generic","generic_type":"#, kind.raw()),
    }
    out.push(b'}');
}

/// An address that holds the image is a blob, any other a reference.
fn image(out: &mut Vec<u8>, address: &[u8]) {
    let held = std::str::from_utf8(address).ok().and_then(|text| {
        let (media_type, data) = text.strip_prefix("data:")?.split_once(";base64,")?;
        Some((media_type, data))
    });
    if let Some((media_type, data)) = held {
        field(out, br#"{"type":"blob","modality":"image","mime_type":"#, media_type.as_bytes());
        field(out, b",\"content\":", data.as_bytes());
    } else {
        field(out, br#"{"type":"uri","modality":"image","uri":"#, address);
    }
}

/// Appends messages as OpenAI's chat API has them.
pub(crate) fn openai(out: &mut Vec<u8>, messages: &[Cow<'_, Message<'_>>]) {
    out.reserve(messages.iter().map(|it| room(it)).sum());
    list(out, messages, |out, message| openai_message(out, message));
}

/// Appends a message as OpenAI's chat API has it.
pub(crate) fn openai_message(out: &mut Vec<u8>, message: &Message<'_>) {
    field(out, b"{\"role\":", message.role.as_bytes());
    if let Some(name) = &message.name {
        field(out, b",\"name\":", name);
    }
    if let [Part::ToolResult { id: Some(id), .. }] = &message.parts[..] {
        field(out, b",\"tool_call_id\":", id.raw());
    }
    openai_content(out, &message.parts);
    let thoughts = texts(&message.parts, |part| match part {
        Part::Reasoning(text) => Some(text),
        _ => None,
    });
    if let Some(thoughts) = thoughts {
        field(out, b",\"reasoning_content\":", &thoughts);
    }
    let calls: Vec<&Call<'_>> = message
        .parts
        .iter()
        .filter_map(|part| match part {
            Part::ToolCall(call) | Part::ServerToolCall(call) => Some(call),
            _ => None,
        })
        .collect();
    if !calls.is_empty() {
        out.extend_from_slice(b",\"tool_calls\":");
        list(out, &calls, |out, call| {
            out.extend_from_slice(br#"{"type":"function""#);
            id(out, b",\"id\":", call);
            field(out, br#","function":{"name":"#, &call.name);
            out.extend_from_slice(b",\"arguments\":");
            super::json::text(out, &arguments_text(call));
            out.extend_from_slice(b"}}");
        });
    }
    out.push(b'}');
}

fn openai_content(out: &mut Vec<u8>, parts: &[Part<'_>]) {
    if parts.iter().any(|part| matches!(part, Part::Image(_) | Part::LargeImage(_))) {
        let shown: Vec<&Part<'_>> = parts
            .iter()
            .filter(|part| matches!(part, Part::Text(_) | Part::Image(_) | Part::LargeImage(_)))
            .collect();
        out.extend_from_slice(b",\"content\":");
        list(out, &shown, |out, part| match part {
            Part::Image(address) => {
                field(out, br#"{"type":"image_url","image_url":{"url":"#, address);
                out.extend_from_slice(b"}}");
            }
            Part::Text(text) => {
                field(out, br#"{"type":"text","text":"#, text);
                out.push(b'}');
            }
            other => {
                let note = super::messages::joined(vec![(*other).clone()]);
                field(out, br#"{"type":"text","text":"#, &note);
                out.push(b'}');
            }
        });
        return;
    }
    let text = texts(parts, |part| match part {
        Part::Text(text) => Some(text),
        Part::ToolResult { content, .. } => content.as_ref(),
        _ => None,
    });
    match text {
        Some(text) => field(out, b",\"content\":", &text),
        None => out.extend_from_slice(b",\"content\":null"),
    }
}

/// The texts of some parts, with an empty line between them.
pub(crate) fn texts<'t, 'a: 't>(
    parts: impl IntoIterator<Item = &'t Part<'a>>,
    text: impl Fn(&'t Part<'a>) -> Option<&'t Cow<'a, [u8]>>,
) -> Option<Cow<'t, [u8]>> {
    let mut texts = parts.into_iter().filter_map(text);
    let first = Cow::Borrowed(texts.next()?.as_ref());
    Some(texts.fold(first, |mut all, text| {
        let it = all.to_mut();
        it.extend_from_slice(br"\n\n");
        it.extend_from_slice(text);
        all
    }))
}

/// The arguments of a call as a text: JSON, or what a free-form tool was given.
pub(crate) fn arguments_text(call: &Call<'_>) -> String {
    match call.arguments.as_deref() {
        Some([b'"', text @ .., b'"']) => decode(text),
        Some(value) => String::from_utf8_lossy(value).into_owned(),
        None => String::new(),
    }
}

fn id(out: &mut Vec<u8>, before: &[u8], call: &Call<'_>) {
    if let Some(id) = call.id {
        field(out, before, id.raw());
    }
}

/// Appends something, then a raw JSON text in quotes.
pub(crate) fn field(out: &mut Vec<u8>, before: &[u8], text: &[u8]) {
    out.extend_from_slice(before);
    out.push(b'"');
    out.extend_from_slice(text);
    out.push(b'"');
}

fn value(out: &mut Vec<u8>, before: &[u8], value: Option<&[u8]>) {
    if let Some(value) = value {
        out.extend_from_slice(before);
        out.extend_from_slice(value);
    }
}
