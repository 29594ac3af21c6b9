//! What was asked, answered, given and given back, as one text each: redacted,
//! and cut to a limit. For what shows or stores texts; encoders of backends read
//! messages part by part.

use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson, ResponseItem};
use codex_trace_model::{ItemIx, Thread, ToolCall, Turn};

use crate::content::{ContentRules, Part};
use crate::json::Json;
use crate::otlp::images::Images;
use crate::otlp::messages::{ItemReader, Part as Piece, joined};

/// A text as raw JSON text: what stands between the quotes of a JSON string.
pub type Raw<'a> = Cow<'a, [u8]>;

/// Reads the texts of one session. Images are named by their size.
#[derive(Debug)]
pub struct Texts<'r> {
    rules: &'r ContentRules,
    limit: usize,
    images: Images,
}

/// What tells one item of a sort from another.
#[derive(Clone, Copy, Debug, Default)]
pub struct ItemHead<'a> {
    /// Whose message it is.
    pub role: Option<JsonText<'a>>,
    /// The tool, or the author of a message between agents.
    pub name: Option<JsonText<'a>>,
    /// What joins call and output.
    pub call_id: Option<JsonText<'a>>,
}

impl<'r> Texts<'r> {
    /// Reads texts under these rules, up to so many bytes of each; a text that is
    /// cut says how long it was.
    pub fn new(rules: &'r ContentRules, limit: usize) -> Texts<'r> {
        Texts { rules, limit, images: Images::default() }
    }

    /// Returns the rules.
    pub fn rules(&self) -> &'r ContentRules {
        self.rules
    }

    pub(crate) fn reader(&self, limit: usize) -> ItemReader<'_> {
        ItemReader { rules: self.rules, field_limit: limit, prompts: true, images: &self.images }
    }

    /// Returns a recorded text.
    pub fn text<'a>(&self, part: Part, text: Option<JsonText<'a>>) -> Option<Raw<'a>> {
        self.reader(self.limit).text(part, text?)
    }

    /// Returns what a turn was asked: what the user typed, what another agent
    /// asked, or what was to be reviewed.
    pub fn prompt<'a>(&self, thread: &Thread<'a>, turn: &Turn<'a>) -> Option<Raw<'a>> {
        let hint = turn.review.and_then(|review| review.hint);
        let typed = || self.text(Part::Message, turn.prompt.or(hint));
        self.said(thread, &turn.input).or_else(typed)
    }

    /// Returns the agent's last word of a turn, as its end records it.
    pub fn answer<'a>(&self, turn: &Turn<'a>) -> Option<Raw<'a>> {
        self.text(Part::Message, turn.last_agent_message.filter(|text| !text.is_empty()))
    }

    /// Returns what items say, without thoughts and calls.
    pub fn said<'a>(&self, thread: &Thread<'a>, items: &[ItemIx]) -> Option<Raw<'a>> {
        let is_said =
            |it: &Piece<'_>| matches!(it, Piece::Text(_) | Piece::Image(_) | Piece::LargeImage(_));
        self.pieces(items.iter().filter_map(|ix| Some(&thread.item(*ix)?.body)), is_said)
    }

    /// Returns what the model thought, as far as that was recorded.
    pub fn thought<'a>(&self, thread: &Thread<'a>, items: &[ItemIx]) -> Option<Raw<'a>> {
        let is_thought = |it: &Piece<'_>| matches!(it, Piece::Reasoning(_));
        self.pieces(items.iter().filter_map(|ix| Some(&thread.item(*ix)?.body)), is_thought)
    }

    /// Returns what an item says, thinks, is given or gives back.
    pub fn item<'a>(&self, item: &ResponseItem<'a>) -> Option<Raw<'a>> {
        match item {
            ResponseItem::ToolCall(_)
            | ResponseItem::WebSearchCall(_)
            | ResponseItem::ImageGenerationCall(_) => self.arguments(item),
            ResponseItem::ToolOutput(it) => self.reader(self.limit).output(it.output.or(it.tools)?),
            _ => self.pieces(std::iter::once(item), |_| true),
        }
    }

    /// Returns what tells one item from another.
    pub fn item_head<'a>(&self, item: &ResponseItem<'a>) -> ItemHead<'a> {
        let none = ItemHead::default();
        match item {
            ResponseItem::Message(it) => ItemHead { role: it.role, ..none },
            ResponseItem::ToolCall(it) => {
                ItemHead { name: it.fields.name, call_id: it.fields.call_id, ..none }
            }
            ResponseItem::ToolOutput(it) => ItemHead { name: it.name, call_id: it.call_id, ..none },
            ResponseItem::AgentMessage(it) => ItemHead { name: it.author, ..none },
            _ => none,
        }
    }

    /// Returns what a tool was given: the command, else its arguments.
    pub fn given<'a>(&self, thread: &Thread<'a>, call: &ToolCall<'a>) -> Option<Raw<'a>> {
        if let Some(command) = thread.command_of(call).line {
            let command = self.rules.text(Part::Tool, &command)?;
            return Some(Cow::Owned(self.cut(&command)));
        }
        let item = call.call_item.and_then(|ix| thread.item(ix));
        let given = item.and_then(|item| self.arguments(&item.body));
        let extras = call.extras();
        given.or_else(|| self.value(extras.arguments.or(extras.search).or(extras.changes)?))
    }

    /// Returns what a tool gave back.
    pub fn output<'a>(&self, thread: &Thread<'a>, call: &ToolCall<'a>) -> Option<Raw<'a>> {
        let item = call.output_item.and_then(|ix| thread.item(ix));
        let output = match item.map(|item| &item.body) {
            Some(ResponseItem::ToolOutput(it)) => it.output.or(it.tools),
            _ => None,
        };
        self.reader(self.limit).output(output.or(call.extras().output_text)?)
    }

    fn pieces<'i, 'a: 'i>(
        &self,
        items: impl Iterator<Item = &'i ResponseItem<'a>>,
        wanted: impl Fn(&Piece<'_>) -> bool,
    ) -> Option<Raw<'a>> {
        let reader = self.reader(self.limit);
        let parts = items.filter_map(|item| reader.message(item)).flat_map(|it| it.parts);
        let parts: Vec<Piece<'_>> = parts.filter(wanted).collect();
        (!parts.is_empty()).then(|| joined(parts))
    }

    fn arguments<'a>(&self, item: &ResponseItem<'a>) -> Option<Raw<'a>> {
        let (text, value) = match item {
            ResponseItem::ToolCall(it) => {
                (it.fields.input, it.fields.arguments.or(it.fields.action))
            }
            ResponseItem::WebSearchCall(it) => (None, it.action),
            ResponseItem::ImageGenerationCall(it) => (it.revised_prompt, None),
            _ => (None, None),
        };
        self.text(Part::Tool, text).or_else(|| self.value(value?))
    }

    /// Returns a JSON value as the text that it is, or that it is written in.
    fn value<'a>(&self, value: RawJson<'a>) -> Option<Raw<'a>> {
        if let Some(text) = value.as_text() {
            return self.text(Part::Tool, Some(text));
        }
        let raw = self.reader(self.limit).value(Part::Tool, value)?;
        match &*raw {
            [b'"', text @ .., b'"'] => Some(Cow::Owned(text.to_vec())),
            _ => Some(Cow::Owned(raw_of(&String::from_utf8_lossy(&raw)))),
        }
    }

    fn cut(&self, text: &str) -> Vec<u8> {
        let raw = raw_of(text);
        if raw.len() <= self.limit {
            return raw;
        }
        let mut cut = JsonText::new(&raw).prefix(self.limit).raw().to_vec();
        cut.extend_from_slice(format!("… [{} bytes in all]", text.len()).as_bytes());
        cut
    }
}

/// Returns a decoded text as raw JSON text.
fn raw_of(text: &str) -> Vec<u8> {
    let mut json = Vec::with_capacity(text.len() + 2);
    text.write(&mut json);
    json.pop();
    json.remove(0);
    json
}
