//! The conversation as messages of parts: what every convention for model
//! calls is written from. Texts stay raw JSON text, so that JSON is made from
//! JSON by copying.

use std::borrow::Cow;
use std::rc::Rc;

use codex_rollout::item::response_item::{Message as MessageItem, ToolCallForm, ToolCallItem};
use codex_rollout::{Cursor, JsonText, RawJson, ResponseItem, Syntax, ValueKind};

use super::images::Images;
use crate::content::{ContentRules, Part as Sort};
use crate::splice;

/// The largest image that is sent as it is, in bytes of its `data:` address.
const IMAGE_LIMIT: usize = 64 * 1024;

/// How far beyond a cut secrets are looked for, in bytes.
const MARGIN: usize = 16 * 1024;

/// A raw JSON text: what stands between the quotes of a JSON string.
pub(crate) type Raw<'a> = Cow<'a, [u8]>;

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Message<'a> {
    /// `system`, `user`, `assistant` or `tool`.
    pub role: &'static str,
    /// Who wrote it, if not the role says so.
    pub name: Option<Raw<'a>>,
    /// What it says.
    pub parts: Vec<Part<'a>>,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part<'a> {
    /// A text.
    Text(Raw<'a>),
    /// A summary of what the model thought, or the thoughts.
    Reasoning(Raw<'a>),
    /// An image by its address, which may hold it.
    Image(Raw<'a>),
    /// An image too large to send.
    LargeImage(Rc<splice::Image>),
    /// A call of a tool that Codex runs.
    ToolCall(Call<'a>),
    /// A call of a tool that the provider runs.
    ServerToolCall(Call<'a>),
    /// What a tool gave back.
    ToolResult {
        /// The call answered.
        id: Option<JsonText<'a>>,
        /// The answer; absent where it may not be sent.
        content: Option<Raw<'a>>,
    },
    /// Something of a type that has no content here.
    Other(JsonText<'a>),
}

/// A call of a tool.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call<'a> {
    /// What joins call and result.
    pub id: Option<JsonText<'a>>,
    /// The tool.
    pub name: Raw<'a>,
    /// What it is given, as a JSON value; absent where it may not be sent.
    pub arguments: Option<Raw<'a>>,
}

impl<'a> Message<'a> {
    /// Returns one of the same author that says nothing.
    pub(crate) fn head(&self) -> Message<'a> {
        Message { role: self.role, name: self.name.clone(), parts: Vec::new() }
    }

    /// Returns about how many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        self.parts.iter().map(Part::len).sum()
    }
}

impl Part<'_> {
    /// Returns about how many bytes it takes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Part::Text(text) | Part::Reasoning(text) | Part::Image(text) => text.len(),
            Part::ToolCall(call) | Part::ServerToolCall(call) => {
                call.name.len() + call.arguments.as_ref().map_or(0, |it| it.len())
            }
            Part::ToolResult { content, .. } => content.as_ref().map_or(0, |it| it.len()),
            Part::LargeImage(_) | Part::Other(_) => 64,
        }
    }
}

/// Reads items as messages, under the rules for content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemReader<'r> {
    /// What may be sent.
    pub rules: &'r ContentRules,
    /// How much of one text is sent, in bytes.
    pub field_limit: usize,
    /// Whether what users typed is sent; if not, a word stands for it.
    pub prompts: bool,
    /// What was found of large images so far.
    pub images: &'r Images,
}

/// What stands for a prompt that is not sent, as in Codex' own telemetry.
const REDACTED: &[u8] = b"[REDACTED]";

impl ItemReader<'_> {
    /// Reads an item. `None` if the model did not see it, or nothing of it may
    /// be sent.
    pub(crate) fn message<'a>(&self, item: &ResponseItem<'a>) -> Option<Message<'a>> {
        let mut parts = Vec::new();
        let mut name = None;
        let role = match item {
            ResponseItem::Message(it) => {
                self.content(Sort::Message, it.content, &mut parts);
                role_of(it)
            }
            ResponseItem::Reasoning(it) => {
                let mut texts = Vec::new();
                self.content(Sort::Message, it.summary, &mut texts);
                self.content(Sort::Message, it.content, &mut texts);
                parts.extend(texts.into_iter().filter_map(|part| match part {
                    Part::Text(text) => Some(Part::Reasoning(text)),
                    _ => None,
                }));
                "assistant"
            }
            ResponseItem::ToolCall(it) => {
                parts.push(Part::ToolCall(self.call(it)));
                "assistant"
            }
            ResponseItem::ToolOutput(it) => {
                let content = it.output.or(it.tools).and_then(|raw| self.output(raw));
                parts.push(Part::ToolResult { id: it.call_id, content });
                "tool"
            }
            ResponseItem::WebSearchCall(it) => {
                let arguments = it.action.and_then(|raw| self.value(Sort::Tool, raw));
                let name = Cow::Borrowed(b"web_search".as_slice());
                parts.push(Part::ServerToolCall(Call { id: it.id, name, arguments }));
                "assistant"
            }
            ResponseItem::ImageGenerationCall(it) => {
                let arguments = it.revised_prompt.and_then(|text| self.text(Sort::Tool, text));
                let arguments = arguments.map(|text| Cow::Owned(quoted(&text)));
                let name = Cow::Borrowed(b"image_generation".as_slice());
                parts.push(Part::ServerToolCall(Call { id: it.id, name, arguments }));
                "assistant"
            }
            ResponseItem::AgentMessage(it) => {
                name = it.author.and_then(|text| self.text(Sort::Label, text));
                self.content(Sort::Message, it.content, &mut parts);
                "user"
            }
            _ => return None,
        };
        if role == "user" && !self.prompts {
            parts = vec![Part::Text(Cow::Borrowed(REDACTED))];
        }
        (!parts.is_empty()).then_some(Message { role, name, parts })
    }

    /// Returns what a user typed, as it may be sent.
    pub(crate) fn prompt<'a>(&self, text: JsonText<'a>) -> Option<Raw<'a>> {
        let text = self.text(Sort::Message, text)?;
        Some(if self.prompts { text } else { Cow::Borrowed(REDACTED) })
    }

    /// Returns a text as it may be sent, cut to the limit.
    pub(crate) fn text<'a>(&self, sort: Sort, text: JsonText<'a>) -> Option<Raw<'a>> {
        let len = text.raw_len();
        // What is cut anyway is not looked at; a secret that the cut would go
        // through is.
        let near = text.prefix(self.field_limit.saturating_add(MARGIN));
        self.rules.json_text(sort, near).map(|raw| self.cut(raw, len))
    }

    /// Returns a text as it may be sent, decoded, cut to the limit.
    pub(crate) fn decoded(&self, sort: Sort, text: JsonText<'_>) -> Option<String> {
        self.text(sort, text).map(|raw| decode(&raw))
    }

    /// Returns a JSON value as it may be sent; as a string holding what fits,
    /// if it is too long.
    pub(crate) fn value<'a>(&self, sort: Sort, value: RawJson<'a>) -> Option<Raw<'a>> {
        let raw = self.rules.json_value(sort, value)?;
        if raw.len() <= self.field_limit {
            return Some(raw);
        }
        let mut text = Vec::with_capacity(raw.len() + raw.len() / 8);
        super::json::text(&mut text, &String::from_utf8_lossy(&raw));
        let inner = text[1..text.len() - 1].to_vec();
        let len = raw.len();
        Some(Cow::Owned(quoted(&self.cut(Cow::Owned(inner), len))))
    }

    /// Returns what a tool gave back, as one text: with images that are small enough
    /// to be sent, the JSON of content items as Codex has them.
    pub(crate) fn output<'a>(&self, raw: RawJson<'a>) -> Option<Raw<'a>> {
        if let Some(text) = raw.as_text() {
            return self.text(Sort::Tool, text);
        }
        let mut parts = Vec::new();
        if !raw.raw().starts_with(b"[") {
            let value = self.value(Sort::Tool, raw)?;
            let mut text = Vec::new();
            super::json::text(&mut text, &String::from_utf8_lossy(&value));
            return Some(Cow::Owned(text[1..text.len() - 1].to_vec()));
        }
        self.content(Sort::Tool, Some(raw), &mut parts);
        self.rules.keeps(Sort::Tool).then(|| {
            let has_image = parts.iter().any(|part| matches!(part, Part::Image(_)));
            let text = if has_image { items(&parts) } else { joined(parts) };
            let len = text.len();
            self.cut(text, len)
        })
    }

    /// Returns the arguments of a call, as a JSON value.
    pub(crate) fn call<'a>(&self, item: &ToolCallItem<'a>) -> Call<'a> {
        let fields = &item.fields;
        let arguments = match item.form {
            ToolCallForm::Function | ToolCallForm::Other => {
                fields.arguments.and_then(|raw| self.arguments(raw)).or_else(|| self.input(item))
            }
            ToolCallForm::Custom => self.input(item),
            ToolCallForm::LocalShell => fields.action.and_then(|raw| self.value(Sort::Tool, raw)),
            ToolCallForm::ToolSearch => {
                fields.arguments.and_then(|raw| self.value(Sort::Tool, raw))
            }
        };
        let fallback = match item.form {
            ToolCallForm::LocalShell => b"local_shell".as_slice(),
            ToolCallForm::ToolSearch => b"tool_search".as_slice(),
            ToolCallForm::Function | ToolCallForm::Custom | ToolCallForm::Other => {
                b"unknown".as_slice()
            }
        };
        let name = fields.name.and_then(|name| self.text(Sort::Label, name));
        Call { id: fields.call_id, name: name.unwrap_or(Cow::Borrowed(fallback)), arguments }
    }

    fn input<'a>(&self, item: &ToolCallItem<'a>) -> Option<Raw<'a>> {
        let text = self.text(Sort::Tool, item.fields.input?)?;
        Some(Cow::Owned(quoted(&text)))
    }

    /// Returns arguments as a JSON value, whether they are one or a string that
    /// holds one.
    pub(crate) fn arguments<'a>(&self, raw: RawJson<'a>) -> Option<Raw<'a>> {
        let Some(text) = raw.as_text() else { return self.value(Sort::Tool, raw) };
        let text = self.text(Sort::Tool, text)?;
        let decoded = decode(&text);
        let mut cursor = Cursor::new(decoded.as_bytes());
        let is_json = cursor.skip().is_ok() && cursor.end().is_ok();
        Some(Cow::Owned(if is_json { decoded.into_bytes() } else { quoted(&text) }))
    }

    /// Reads a string or an array of content items.
    pub(crate) fn content<'a>(
        &self,
        sort: Sort,
        raw: Option<RawJson<'a>>,
        parts: &mut Vec<Part<'a>>,
    ) {
        let Some(raw) = raw else { return };
        if let Some(text) = raw.as_text() {
            parts.extend(self.text(sort, text).map(Part::Text));
        } else if raw.raw().starts_with(b"[") && self.rules.keeps(sort) {
            let read = raw.cursor().array(|element| {
                if element.kind()? == ValueKind::Object {
                    parts.extend(self.content_item(sort, element)?);
                }
                Ok(())
            });
            debug_assert!(read.is_ok(), "the reader has refused lines that are not JSON");
        }
    }

    fn content_item<'a>(
        &self,
        sort: Sort,
        element: &mut Cursor<'a>,
    ) -> Result<Option<Part<'a>>, Syntax> {
        let (mut kind, mut text, mut image) = (None, None, None);
        element.object(|key, value| {
            let field = match key {
                b"type" => &mut kind,
                b"text" => &mut text,
                b"image_url" => &mut image,
                _ => return Ok(()),
            };
            *field = value.raw()?.as_text();
            Ok(())
        })?;
        let Some(kind) = kind else { return Ok(None) };
        Ok(match kind.raw() {
            b"input_text" | b"output_text" | b"text" | b"summary_text" | b"reasoning_text" => {
                text.and_then(|text| self.text(sort, text)).map(Part::Text)
            }
            b"input_image" => image.and_then(|address| self.image(sort, address)),
            // Encrypted content has no place in anybody's trace.
            b"encrypted_content" => None,
            _ => Some(Part::Other(kind)),
        })
    }

    fn image<'a>(&self, sort: Sort, address: JsonText<'a>) -> Option<Part<'a>> {
        if address.raw_len() > IMAGE_LIMIT
            && let Some(image) = self.images.look(address)
        {
            return Some(Part::LargeImage(image));
        }
        if address.raw_len() > IMAGE_LIMIT {
            // An address that long, and no image in it.
            return self.text(sort, address).map(Part::Text);
        }
        self.rules.json_text(sort, address).map(Part::Image)
    }

    /// Cuts a text of so many bytes in all to the limit.
    fn cut<'a>(&self, raw: Raw<'a>, len: usize) -> Raw<'a> {
        if raw.len() <= self.field_limit {
            return raw;
        }
        let mut text = JsonText::new(&raw).prefix(self.field_limit).raw().to_vec();
        text.extend_from_slice(format!("… [{len} bytes in all]").as_bytes());
        Cow::Owned(text)
    }
}

fn role_of(message: &MessageItem<'_>) -> &'static str {
    match message.role.map(JsonText::raw) {
        Some(b"assistant") => "assistant",
        Some(b"developer" | b"system") => "system",
        _ => "user",
    }
}

/// Puts the texts of parts together, a line for each.
pub(crate) fn joined(parts: Vec<Part<'_>>) -> Raw<'_> {
    let mut texts = parts.into_iter().map(|part| match part {
        Part::Text(text) | Part::Reasoning(text) => text,
        Part::Image(address) => match splice::Image::of_address(JsonText::new(&address)) {
            Some(image) => note(&image.to_string()),
            None => address,
        },
        Part::LargeImage(image) => note(&image.to_string()),
        Part::Other(kind) => Cow::Borrowed(kind.raw()),
        Part::ToolCall(_) | Part::ServerToolCall(_) | Part::ToolResult { .. } => Cow::default(),
    });
    let Some(first) = texts.next() else { return Cow::default() };
    texts.fold(first, |mut all, text| {
        let it = all.to_mut();
        it.extend_from_slice(br"\n");
        it.extend_from_slice(&text);
        all
    })
}

/// Returns parts as the JSON of content items, as a raw JSON text.
fn items(parts: &[Part<'_>]) -> Raw<'static> {
    let mut json = b"[".to_vec();
    for (nth, part) in parts.iter().enumerate() {
        if nth > 0 {
            json.push(b',');
        }
        match part {
            Part::Image(address) => {
                super::chat::field(&mut json, br#"{"type":"input_image","image_url":"#, address);
            }
            other => {
                let text = joined(vec![other.clone()]);
                super::chat::field(&mut json, br#"{"type":"input_text","text":"#, &text);
            }
        }
        json.push(b'}');
    }
    json.push(b']');
    note(&String::from_utf8_lossy(&json))
}

/// Makes a raw JSON text of what is said of an image.
fn note(text: &str) -> Raw<'static> {
    let mut json = Vec::with_capacity(text.len() + 2);
    super::json::text(&mut json, text);
    json.pop();
    json.remove(0);
    Cow::Owned(json)
}

/// Undoes the escapes of a raw JSON text.
pub(crate) fn decode(raw: &[u8]) -> String {
    JsonText::new(raw).decode().into_owned()
}

/// Puts quotes around a raw JSON text.
pub(crate) fn quoted(raw: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(raw.len() + 2);
    value.push(b'"');
    value.extend_from_slice(raw);
    value.push(b'"');
    value
}
