//! Recorded texts as attributes have them: decoded, under the rules for content,
//! and no longer than what is sent of them.

use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson, ValueKind};

use super::version::Version;
use crate::content::{ContentRules, Part};
use crate::otlp::facts::is_image_tag;

/// How far beyond a cut secrets are looked for, in bytes of raw JSON text.
const MARGIN: usize = 16 * 1024;

/// How much of any text can be of use, in bytes: Loki takes no record with more.
const MOST: usize = 64 * 1024;

/// How much of an output a preview has, in bytes.
const PREVIEW_BYTES: usize = 2048;

/// How many lines of it, until that rule was dropped between 0.142 and 0.155.
const PREVIEW_LINES: usize = 64;

/// What stands at the end of a text that was cut.
const CUT: &str = "[... telemetry preview truncated ...]";

/// Reads texts under the rules for content.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'r> {
    /// What may leave the machine.
    pub(crate) rules: &'r ContentRules,
    /// Whether prompts may go, and with them what tools were given and gave back.
    pub(crate) prompts: bool,
}

impl Texts<'_> {
    /// Returns a name, a model, a version.
    pub(crate) fn label(&self, text: Option<JsonText<'_>>) -> Option<String> {
        self.rules.decoded(Part::Label, text?).map(Cow::into_owned)
    }

    /// Returns a label that is decoded already.
    pub(crate) fn word(&self, text: &str) -> String {
        self.rules.text(Part::Label, text).unwrap_or_default().into_owned()
    }

    /// Returns what a tool was given, if that may be sent.
    pub(crate) fn tool(&self, text: JsonText<'_>) -> Option<String> {
        self.read(Part::Tool, text).filter(|_| self.prompts)
    }

    /// As [`tool`](Self::tool), of a text that is decoded already.
    pub(crate) fn tool_text(&self, text: &str) -> Option<String> {
        let near = &text[..boundary(text, MOST + MARGIN)];
        self.rules.text(Part::Tool, near).filter(|_| self.prompts).map(Cow::into_owned)
    }

    /// As [`tool`](Self::tool), of a JSON value.
    pub(crate) fn tool_value(&self, raw: RawJson<'_>) -> Option<String> {
        let value = self.rules.json_value(Part::Tool, raw).filter(|_| self.prompts)?;
        Some(String::from_utf8_lossy(&value).into_owned())
    }

    /// Returns what the agent said, if that may be sent.
    pub(crate) fn answer(&self, text: JsonText<'_>) -> Option<String> {
        self.read(Part::Message, text)
    }

    /// Returns what a user typed: as many texts as there are parts of it. What
    /// may not be sent is `None`.
    pub(crate) fn prompt(&self, parts: &[JsonText<'_>]) -> Option<String> {
        let may = self.prompts && self.rules.keeps(Part::Message);
        let read = |part: &JsonText<'_>| self.read(Part::Message, *part);
        may.then(|| parts.iter().filter_map(read).collect())
    }

    fn read(&self, part: Part, text: JsonText<'_>) -> Option<String> {
        // What is cut anyway is not looked at; a secret that the cut would go
        // through is.
        self.rules.decoded(part, text.prefix(MOST + MARGIN)).map(Cow::into_owned)
    }

    /// Returns what telemetry shows of a tool's output, and whether that is less
    /// than all; `None` if outputs may not be sent, or it is not known.
    pub(crate) fn output(&self, raw: RawJson<'_>, version: Version) -> Option<(String, bool)> {
        let may = self.prompts && self.rules.keeps(Part::Tool);
        let whole = if may { self.whole_output(raw, version)? } else { return None };
        Some(preview(whole, version))
    }

    fn whole_output(&self, raw: RawJson<'_>, version: Version) -> Option<String> {
        if let Some(text) = raw.as_text() {
            return self.read(Part::Tool, text);
        }
        let parts = output_parts(raw).into_iter().map(|part| match part {
            OutputPart::Text(text) => self.read(Part::Tool, text),
            // Its size stood there, and the image is another one in the file.
            OutputPart::Image if version.since(155) => None,
            OutputPart::Image => Some(String::new()),
        });
        Some(parts.collect::<Option<Vec<_>>>()?.join("\n"))
    }
}

/// A part of an output.
enum OutputPart<'a> {
    Text(JsonText<'a>),
    Image,
}

fn output_parts(raw: RawJson<'_>) -> Vec<OutputPart<'_>> {
    let mut parts = Vec::new();
    let list = if raw.raw().starts_with(b"{") { content_of(raw) } else { Some(raw) };
    let Some(list) = list.filter(|list| list.raw().starts_with(b"[")) else { return parts };
    let read = list.cursor().array(|element| {
        if element.kind()? != ValueKind::Object {
            return Ok(());
        }
        element.object(|key, value| {
            let text = value.raw()?.as_text();
            parts.extend(match (key, text) {
                (b"text", Some(text)) => Some(OutputPart::Text(text)),
                (b"image_url", Some(_)) => Some(OutputPart::Image),
                _ => None,
            });
            Ok(())
        })
    });
    // The reader has refused lines that are not JSON.
    debug_assert!(read.is_ok());
    parts
}

/// Returns the `content` of an MCP server's answer.
fn content_of(raw: RawJson<'_>) -> Option<RawJson<'_>> {
    let mut content = None;
    let read = raw.cursor().object(|key, value| {
        if key == b"content" {
            content = Some(value.raw()?);
        }
        Ok(())
    });
    read.ok().and(content)
}

/// Returns the texts of a message that a user typed, without images and what
/// Codex puts around them.
pub(crate) fn typed(content: RawJson<'_>) -> Vec<JsonText<'_>> {
    if let Some(text) = content.as_text() {
        return vec![text];
    }
    let texts = output_parts(content).into_iter().filter_map(|part| match part {
        OutputPart::Text(text) => Some(text),
        OutputPart::Image => None,
    });
    texts.filter(|text| !is_image_tag(text.raw())).collect()
}

/// Cuts an output as the version of Codex did that ran the tool.
fn preview(text: String, version: Version) -> (String, bool) {
    if !version.since(98) {
        return (text, false);
    }
    let mut end = boundary(&text, PREVIEW_BYTES);
    if !version.since(155) {
        let lines = text[..end].match_indices('\n');
        end = lines.map(|(at, _)| at + 1).nth(PREVIEW_LINES - 1).unwrap_or(end);
    }
    if end == text.len() {
        return (text, false);
    }
    (cut_at(text, end), true)
}

/// Cuts a text to so many bytes, the notice included.
pub(crate) fn cut_to(text: String, len: usize) -> String {
    let end = boundary(&text, len.saturating_sub(CUT.len() + 1));
    cut_at(text, end)
}

fn cut_at(mut text: String, end: usize) -> String {
    text.truncate(end);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text + CUT
}

/// Returns the last boundary of a character up to `limit`.
pub(crate) fn boundary(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, version: &'static str) -> (String, bool) {
        preview(text.to_owned(), Version::read(Some(JsonText::new(version.as_bytes()))))
    }

    #[test]
    fn previews_are_cut_as_each_version_did() {
        let long = "x".repeat(2049);
        let lines = "y\n".repeat(65);
        let cut = |text: &str| format!("{text}[... telemetry preview truncated ...]");
        assert_eq!(shown(&long, "0.44.0"), (long.clone(), false));
        assert_eq!(shown(&long, "0.110.0"), (cut(&format!("{}\n", &long[..2048])), true));
        assert_eq!(shown(&long[..2048], "0.171.0"), (long[..2048].to_owned(), false));
        assert_eq!(shown(&lines, "0.142.0"), (cut(&lines[..128]), true));
        assert_eq!(shown(&lines[..128], "0.142.0"), (lines[..128].to_owned(), false));
        assert_eq!(shown(&lines, "0.155.1"), (lines.clone(), false));
        // Never through a character.
        let umlauts = "ä".repeat(1025);
        assert_eq!(shown(&umlauts, "0.171.0").0, cut(&format!("{}\n", "ä".repeat(1024))));
        assert_eq!(cut_to("a".repeat(100), 50).len(), 50);
    }
}
