//! What of a trace's content may leave the machine: the one place that every
//! text passes on its way into a request.

use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson};

/// How much content to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capture {
    /// Everything.
    #[default]
    Full,
    /// Prompts and answers, but not what tools were given and gave back.
    NoToolContent,
    /// No content at all: names, lengths, times and counts stay.
    MetadataOnly,
}

/// What a text is, as far as [`Capture`] is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A prompt, an answer, reasoning, a summary, instructions.
    Message,
    /// What a tool was given, what it gave back, what it failed with.
    Tool,
    /// A name, a path, a model, Codex' own error text: always kept, but
    /// redacted like everything else.
    Label,
}

/// The rules for content. One set serves a whole run and every thread of it.
#[derive(Debug, Default)]
pub struct ContentRules {
    capture: Capture,
}

impl ContentRules {
    /// Makes rules.
    pub fn new(capture: Capture) -> ContentRules {
        ContentRules { capture }
    }

    /// Returns whether texts of this sort are kept at all. If not, the methods
    /// below return `None`, and the encoder leaves the field out; lengths and
    /// counts it may still write.
    pub fn keeps(&self, part: Part) -> bool {
        match self.capture {
            Capture::Full => true,
            Capture::NoToolContent => part != Part::Tool,
            Capture::MetadataOnly => part == Part::Label,
        }
    }

    /// Returns a string to write between the quotes of a JSON string, still in
    /// raw JSON text: borrowed if nothing in it is secret.
    pub fn json_text<'t>(&self, part: Part, text: JsonText<'t>) -> Option<Cow<'t, [u8]>> {
        self.keeps(part).then_some(Cow::Borrowed(text.raw()))
    }

    /// Returns a JSON value as raw JSON text, with all strings in it redacted:
    /// borrowed if nothing in it is secret.
    pub fn json_value<'t>(&self, part: Part, value: RawJson<'t>) -> Option<Cow<'t, [u8]>> {
        self.keeps(part).then_some(Cow::Borrowed(value.raw()))
    }

    /// Returns a decoded text, for what is not JSON: borrowed if it needs no
    /// decoding and nothing in it is secret.
    pub fn decoded<'t>(&self, part: Part, text: JsonText<'t>) -> Option<Cow<'t, str>> {
        self.keeps(part).then(|| text.decode())
    }

    /// Returns a text that is already decoded.
    pub fn text<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        self.keeps(part).then_some(Cow::Borrowed(text))
    }
}
