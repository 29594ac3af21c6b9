//! What of a trace's content may leave the machine: the one place that every
//! text passes on its way into a request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use codex_rollout::{JsonText, RawJson};
use serde::Deserialize;

use crate::choice::Choice;
use crate::json::{self, Json};
use crate::redact::{Redactor, UserRule};
use crate::splice;

/// How to write content, resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Whether to keep what only the provider can read.
    pub encrypted: bool,
    /// The largest inline image to keep, in bytes of the image.
    pub max_image_bytes: usize,
}

impl Default for Content {
    fn default() -> Content {
        Content { encrypted: false, max_image_bytes: 1 << 20 }
    }
}

/// How much content to keep, most first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capture {
    /// Everything
    #[default]
    Full,
    /// Prompts and answers, but not the input and output of tools
    NoToolContent,
    /// No content and no places: only names, lengths, times and counts
    MetadataOnly,
}

impl Choice for Capture {
    #[rustfmt::skip]
    const WORDS: &[(Capture, &str, &str)] = &[
        (Capture::Full, "full", "Everything"),
        (Capture::NoToolContent, "no-tool-content", "Prompts and answers, but not the input and output of tools"),
        (Capture::MetadataOnly, "metadata-only", "No content and no places: only names, lengths, times and counts"),
    ];
}

/// What a text is, as far as [`Capture`] is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A prompt, an answer, reasoning, a summary, instructions; what an error says.
    Message,
    /// What a tool was given, what it gave back, what it failed with, and what
    /// others say of that.
    Tool,
    /// Where it was: a directory, a branch, a commit, the address of a
    /// repository. Kept unless there is to be no content at all.
    Place,
    /// A name, a model, a version, an id, a word of Codex' own: always kept, but
    /// redacted like everything else.
    Label,
}

/// Words for why a turn or a call did not end as it should.
const REASONS: &[&str] =
    &["interrupted", "replaced", "review_ended", "budget_limited", "declined", "failed"];

/// Returns whether a text is a word that Codex or this program has for why
/// something did not end as it should, and not somebody's own.
pub(crate) fn is_word_for_end(text: &str) -> bool {
    let exit = text.strip_prefix("exit code ").is_some_and(|it| it.parse::<i64>().is_ok());
    exit || REASONS.contains(&text)
}

/// A text that has been through the rules, still as raw JSON text. Only
/// [`ContentRules`] makes one, so what is written of it has been looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'t>(Cow<'t, [u8]>);

impl<'t> Text<'t> {
    /// Shortens the text; the rules have been applied.
    pub(crate) fn cut(self, cut: impl FnOnce(Cow<'t, [u8]>) -> Cow<'t, [u8]>) -> Text<'t> {
        Text(cut(self.0))
    }
}

impl Json for Text<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        json::raw_text(&self.0, out);
    }
}

/// The rules for content. One set serves a whole run and every thread of it.
#[derive(Debug, Default)]
pub struct ContentRules {
    capture: Capture,
    redactor: Option<Redactor>,
    content: Content,
}

impl ContentRules {
    /// Makes rules that keep everything but what nobody can use.
    pub fn new(capture: Capture, redactor: Option<Redactor>, content: Content) -> ContentRules {
        ContentRules { capture, redactor, content }
    }

    /// Returns these rules with further ones for what to redact; as they are if
    /// nothing is to be redacted.
    #[must_use]
    pub fn and(&self, rules: &[UserRule]) -> ContentRules {
        let redactor = self.redactor.as_ref().map(|redactor| redactor.with(rules));
        ContentRules { capture: self.capture, redactor, content: self.content }
    }

    /// Returns these rules with no more content than so much.
    #[must_use]
    pub fn at_most(&self, capture: Capture) -> ContentRules {
        let capture = self.capture.max(capture);
        ContentRules { capture, redactor: self.redactor.clone(), content: self.content }
    }

    /// Returns how often each rule for secrets has found something so far.
    pub fn found(&self) -> BTreeMap<String, u64> {
        self.redactor.as_ref().map(Redactor::found).unwrap_or_default()
    }

    /// Returns what redacts, if anything is redacted.
    pub fn redactor(&self) -> Option<&Redactor> {
        self.redactor.as_ref()
    }

    /// Leaves out inline images that are larger, in bytes of the image.
    pub fn limit_images(&mut self, max_bytes: usize) {
        self.content.max_image_bytes = self.content.max_image_bytes.min(max_bytes);
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

    /// Returns whether reasoning that only the provider can read is kept.
    pub fn keeps_encrypted(&self) -> bool {
        self.content.encrypted && self.capture == Capture::Full
    }

    /// Returns a string to write between the quotes of a JSON string, still in
    /// raw JSON text: borrowed if nothing in it is secret.
    pub fn json_text<'t>(&self, part: Part, text: JsonText<'t>) -> Option<Cow<'t, [u8]>> {
        self.keeps(part).then(|| self.redacted_text(text.raw()))
    }

    /// Returns a name, a path, a version or whatever else is kept in any case, to
    /// be written as a JSON string.
    pub fn label<'t>(&self, text: JsonText<'t>) -> Text<'t> {
        Text(self.redacted_text(text.raw()))
    }

    /// Returns a JSON value as raw JSON text, with all strings in it redacted,
    /// and without its encrypted parts and large images: borrowed if there is
    /// nothing of the kind in it.
    pub fn json_value<'t>(&self, part: Part, value: RawJson<'t>) -> Option<Cow<'t, [u8]>> {
        self.keeps(part).then(|| self.redacted(splice::cut(value, self.content)))
    }

    /// Returns a decoded text, for what is not JSON: borrowed if it needs no
    /// decoding and nothing in it is secret.
    pub fn decoded<'t>(&self, part: Part, text: JsonText<'t>) -> Option<Cow<'t, str>> {
        if !self.keeps(part) {
            return None;
        }
        // Redacted first: what is spelled in escapes is known there.
        Some(match self.redacted_text(text.raw()) {
            Cow::Borrowed(raw) => JsonText::new(raw).decode(),
            Cow::Owned(raw) => Cow::Owned(JsonText::new(&raw).decode().into_owned()),
        })
    }

    /// Returns a text that is already decoded, redacted.
    pub fn text<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        self.keeps(part).then(|| match &self.redactor {
            Some(redactor) => redactor.text(text),
            None => Cow::Borrowed(text),
        })
    }

    /// Returns why something did not end as it should, redacted. A word that Codex
    /// or this program has for it is kept in any case, a text by what it is.
    pub fn reason<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        self.text(if is_word_for_end(text) { Part::Label } else { part }, text)
    }

    /// Returns how content is written, whatever else the rules say.
    pub(crate) fn content(&self) -> Content {
        self.content
    }

    /// Returns whole JSON values redacted, as they stand.
    pub(crate) fn json_lines<'t>(&self, lines: &'t [u8]) -> Cow<'t, [u8]> {
        self.redacted(Cow::Borrowed(lines))
    }

    fn redacted_text<'t>(&self, raw: &'t [u8]) -> Cow<'t, [u8]> {
        self.redactor.as_ref().map_or(Cow::Borrowed(raw), |redactor| redactor.json_text(raw))
    }

    fn redacted<'t>(&self, raw: Cow<'t, [u8]>) -> Cow<'t, [u8]> {
        let Some(redactor) = &self.redactor else { return raw };
        match raw {
            Cow::Borrowed(raw) => redactor.json(raw),
            Cow::Owned(raw) => Cow::Owned(redactor.json(&raw).into_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capture_means_the_same_for_every_method() {
        #[rustfmt::skip]
        let cases = [
            (Capture::Full,          [true,  true,  true,  true]),
            (Capture::NoToolContent, [true,  false, true,  true]),
            (Capture::MetadataOnly,  [false, false, false, true]),
        ];
        for (capture, kept) in cases {
            let rules = ContentRules::new(capture, Some(Redactor::default()), Content::default());
            let parts = [Part::Message, Part::Tool, Part::Place, Part::Label];
            for (part, kept) in parts.into_iter().zip(kept) {
                let text = JsonText::new(b"x");
                assert_eq!(rules.json_text(part, text).is_some(), kept, "{capture:?} {part:?}");
                assert_eq!(rules.decoded(part, text).is_some(), kept, "{capture:?} {part:?}");
                assert_eq!(rules.text(part, "x").is_some(), kept, "{capture:?} {part:?}");
            }
        }
    }

    #[test]
    fn the_word_for_an_end_is_kept_and_a_text_is_not() {
        let bare = ContentRules::new(Capture::MetadataOnly, None, Content::default());
        for word in ["interrupted", "budget_limited", "declined", "exit code -1"] {
            assert_eq!(bare.reason(Part::Tool, word).as_deref(), Some(word));
        }
        for text in ["no such file: /home/me", "exit code of what?", ""] {
            assert_eq!(bare.reason(Part::Message, text), None, "{text}");
        }
    }

    #[test]
    fn decoded_text_is_redacted_whatever_its_escapes() {
        let rules = ContentRules::new(Capture::Full, Some(Redactor::default()), Content::default());
        let text = JsonText::new(br"a\nsk\u002dproj-0123456789abcdefABCDEF");
        assert_eq!(rules.decoded(Part::Message, text).unwrap(), "a\n[SECRET_DETECTED]");
        let text = JsonText::new(br"a\nb");
        assert_eq!(rules.decoded(Part::Message, text).unwrap(), "a\nb");
    }
}
