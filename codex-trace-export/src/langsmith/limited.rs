//! The rules for content, and how much of one text goes into a run: what the
//! service finds too large it does not take at all.

use std::borrow::Cow;

use codex_rollout::{JsonText, RawJson};

use crate::content::{ContentRules, Part, Text, is_word_for_end};
use crate::json::Json;

/// What part of a text that is too long is taken from its end: one in so many.
const TAIL: usize = 4;

/// The rules for content with a limit to the length of each text.
#[derive(Clone, Copy, Debug)]
pub(super) struct LimitedRules<'r> {
    rules: &'r ContentRules,
    /// In bytes of JSON.
    max_text: usize,
}

impl<'r> LimitedRules<'r> {
    pub(super) fn new(rules: &'r ContentRules, max_text: usize) -> LimitedRules<'r> {
        LimitedRules { rules, max_text }
    }

    pub(super) fn keeps(&self, part: Part) -> bool {
        self.rules.keeps(part)
    }

    pub(super) fn keeps_encrypted(&self) -> bool {
        self.rules.keeps_encrypted()
    }

    /// As [`ContentRules::json_text`].
    pub(super) fn json_text<'t>(&self, part: Part, text: JsonText<'t>) -> Option<Cow<'t, [u8]>> {
        self.rules.json_text(part, text).map(|raw| self.cut(raw))
    }

    /// As [`ContentRules::label`], if there is one.
    pub(super) fn label<'t>(&self, text: impl Into<Option<JsonText<'t>>>) -> Option<Text<'t>> {
        Some(self.rules.label(text.into()?).cut(|raw| self.cut(raw)))
    }

    /// As [`ContentRules::json_text`], however long it is.
    pub(super) fn whole<'t>(&self, text: Option<JsonText<'t>>) -> Option<Text<'t>> {
        Some(self.rules.label(text?))
    }

    /// As [`ContentRules::json_value`]; a value that is too long becomes a
    /// string of what fits.
    pub(super) fn json_value<'t>(&self, part: Part, value: RawJson<'t>) -> Option<Cow<'t, [u8]>> {
        let raw = self.rules.json_value(part, value)?;
        if raw.len() <= self.max_text {
            return Some(raw);
        }
        let text = raw.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\""));
        let inner = if let Some(text) = text {
            self.cut(Cow::Borrowed(text)).into_owned()
        } else {
            let mut text = Vec::with_capacity(raw.len() + raw.len() / 8);
            String::from_utf8_lossy(&raw).write(&mut text);
            self.cut(Cow::Borrowed(&text[1..text.len() - 1])).into_owned()
        };
        Some(Cow::Owned([b"\"", &*inner, b"\""].concat()))
    }

    /// As [`ContentRules::decoded`].
    pub(super) fn decoded<'t>(&self, part: Part, text: JsonText<'t>) -> Option<Cow<'t, str>> {
        if text.raw_len() <= self.max_text {
            return self.rules.decoded(part, text);
        }
        let raw = self.json_text(part, text)?;
        Some(Cow::Owned(JsonText::new(&raw).decode().into_owned()))
    }

    /// As [`ContentRules::text`].
    pub(super) fn text<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        let text = self.rules.text(part, text)?;
        if text.len() <= self.max_text {
            return Some(text);
        }
        let mut json = Vec::with_capacity(text.len() + text.len() / 8);
        text.write(&mut json);
        let cut = self.cut(Cow::Borrowed(&json[1..json.len() - 1]));
        Some(Cow::Owned(JsonText::new(&cut).decode().into_owned()))
    }

    /// As [`ContentRules::reason`].
    pub(super) fn reason<'t>(&self, part: Part, text: &'t str) -> Option<Cow<'t, str>> {
        let part = if is_word_for_end(text) { Part::Label } else { part };
        self.text(part, text)
    }

    /// Takes the middle out of raw JSON text that is too long, and says so.
    fn cut<'t>(&self, raw: Cow<'t, [u8]>) -> Cow<'t, [u8]> {
        if raw.len() <= self.max_text {
            return raw;
        }
        let tail = self.max_text / TAIL;
        let text = JsonText::new(&raw);
        let head = text.prefix(self.max_text - tail).raw_len();
        let tail = text.prefix(raw.len() - tail).raw_len();
        let note = format!("… [{} of {} bytes omitted] …", tail - head, raw.len());
        Cow::Owned([&raw[..head], note.as_bytes(), &raw[tail..]].concat())
    }
}

#[cfg(test)]
mod tests {
    use codex_rollout::Cursor;

    use super::*;

    #[test]
    fn what_is_too_long_loses_its_middle_and_stays_json() {
        let rules = ContentRules::default();
        // Whatever lies at the cuts: characters of several bytes, escapes, pairs.
        let unit = r"aé\n\u00e9\ud83d\ude00\\";
        for max_text in 16..120 {
            let limited = LimitedRules::new(&rules, max_text);
            let raw = unit.repeat(40);
            let cut = limited.json_text(Part::Message, JsonText::new(raw.as_bytes())).unwrap();
            let json = format!("\"{}\"", std::str::from_utf8(&cut).unwrap());
            let text: String = serde_json::from_str(&json).unwrap();
            let (head, rest) = text.split_once("… [").unwrap();
            let (note, tail) = rest.split_once("] …").unwrap();
            assert!(note.ends_with(&format!("of {} bytes omitted", raw.len())), "{note}");
            let whole: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            assert!(whole.starts_with(head) && whole.ends_with(tail), "{text}");
            assert!(cut.len() < max_text + 50, "{}", cut.len());
        }
    }

    #[test]
    fn values_become_strings_and_short_ones_stay() {
        let rules = ContentRules::default();
        let limited = LimitedRules::new(&rules, 40);
        let value = |json: &'static str| {
            let raw = Cursor::new(json.as_bytes()).raw().unwrap();
            String::from_utf8(limited.json_value(Part::Tool, raw).unwrap().into_owned()).unwrap()
        };
        assert_eq!(value(r#"{"a":"b"}"#), r#"{"a":"b"}"#);
        let long = format!("[{}1]", "12345,".repeat(50));
        let cut: String = serde_json::from_str(&value(Box::leak(long.into_boxed_str()))).unwrap();
        assert!(cut.starts_with("[12345,12345") && cut.ends_with("12345,1]"), "{cut}");
        let text = limited.text(Part::Label, Box::leak("é".repeat(90).into_boxed_str())).unwrap();
        assert!(text.contains("bytes omitted") && text.starts_with("ééé"), "{text}");
    }
}
