//! What stands between a name and its value.

use std::ops::Range;

use crate::redact::assignment::name::{Name, NameKind};
use crate::redact::escape;
use crate::redact::secret::Quote;

/// The most backslashes that a quote has: that of a text in a text, five times.
///
/// What could begin at more could also be looked through more than once.
const DEEPEST: usize = 31;

/// How far a line is looked back.
const LINE: usize = 200;

/// The longest value that a prompt shows, in its brackets.
const LONGEST_DEFAULT: usize = 40;

/// What stands between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    /// `:`
    Colon,
    /// `=`, `:=`, `=>`
    Assign,
    /// `==`, `===`, `!=`
    Equals,
    /// `>`, where a tag ends.
    Tag,
}

/// A place in a text.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'t> {
    pub(super) text: &'t [u8],
    pub(super) at: usize,
    /// Whether quotes without backslashes are those of JSON.
    pub(super) json: bool,
}

impl<'t> Cursor<'t> {
    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    fn peek_quote(&self) -> Option<Quote> {
        let rest = self.rest();
        let depth = rest.iter().take(DEEPEST + 1).take_while(|byte| **byte == b'\\').count();
        let byte = *rest.get(depth)?;
        (depth <= DEEPEST && matches!(byte, b'"' | b'\'' | b'`')).then_some(Quote { byte, depth })
    }

    /// Takes the quote that ends a name.
    pub(super) fn quote(&mut self) -> Option<Quote> {
        let quote = self.peek_quote()?;
        self.at += quote.depth + 1;
        Some(quote)
    }

    /// Whether a value in quotes begins here, `f"…"` included.
    pub(super) fn at_quote(&self) -> bool {
        let prefix = self.prefix();
        Cursor { at: self.at + prefix, ..*self }.peek_quote().is_some()
    }

    /// How many letters belong to the quote that follows.
    fn prefix(&self) -> usize {
        let rest = self.rest();
        let n = rest.iter().take(2).take_while(|it| b"bBrRfFuUNL@$".contains(it)).count();
        if matches!(rest.get(n), Some(b'"' | b'\'' | b'\\' | b'`')) { n } else { 0 }
    }

    /// Takes the quote that begins a value. In JSON one without backslashes
    /// does so only after a name that is in such quotes itself: any other ends
    /// the text that the name stands in.
    pub(super) fn opening(&mut self, name: Option<Quote>, separator: Separator) -> Option<Quote> {
        self.at += self.prefix();
        let quote = self.quote()?;
        let is_json = |it: Quote| it.byte == b'"' && it.depth.is_multiple_of(2);
        if self.json && is_json(quote) {
            let member = separator == Separator::Colon && name.is_some_and(is_json);
            return member.then_some(quote);
        }
        // The same at any depth: what is between two texts of a list is no value.
        let next = self.rest().iter().find(|byte| !byte.is_ascii_whitespace());
        (!matches!(next, None | Some(b',' | b':' | b'}' | b']'))).then_some(quote)
    }

    /// Whether the quote here ends the text that the name at `start` is in, as
    /// in `input("Password: ")`: such a quote began it on the same line.
    pub(super) fn closes(&self, start: usize) -> bool {
        let Some(quote) = self.peek_quote() else { return false };
        let after = self.text.get(self.at + quote.depth + 1);
        if after.is_some_and(|it| !b"),;]} \t\r\n\\\"'".contains(it)) {
            return false;
        }
        let first = start.saturating_sub(LINE);
        let mut n_open = 0;
        let mut at = start;
        while at > first {
            at -= 1;
            let byte = self.text[at];
            let depth = if b"\"'`n".contains(&byte) {
                escape::backslashes_before(&self.text[first..], at - first)
            } else {
                0
            };
            match byte {
                b'\n' => break,
                b'n' if depth > 0 => break,
                _ if byte == quote.byte && depth == quote.depth => n_open += 1,
                b'"' if depth < quote.depth => break,
                _ => {}
            }
            at -= depth.min(at - first);
        }
        n_open % 2 == 1
    }

    /// Takes what a prompt says the value has been: `[None]`, before a colon.
    pub(super) fn default_value(&mut self) {
        let rest = self.rest();
        if rest.first() != Some(&b'[') {
            return;
        }
        let Some(len) = rest.iter().take(LONGEST_DEFAULT).position(|it| *it == b']') else {
            return;
        };
        if rest.get(len + 1) == Some(&b':') {
            self.at += len + 1;
        }
    }

    /// Takes the name of an XML element in its brackets, the closing one if so.
    pub(super) fn tag(&mut self, closing: bool) -> Option<&'t [u8]> {
        let rest = self.rest();
        let name = rest.strip_prefix(if closing { &b"</"[..] } else { b"<" })?;
        let len = name.iter().take(16).position(|it| *it == b'>')?;
        self.at += rest.len() - name.len() + len + 1;
        Some(&name[..len])
    }

    /// Returns what stands before the quote that ends such a text, or `None` if
    /// the quote was an apostrophe: a word in single quotes ends on its line.
    pub(super) fn until(&self, quote: Quote) -> Option<Range<usize>> {
        let mut n_before = 0;
        for (at, byte) in self.text.iter().enumerate().skip(self.at) {
            match byte {
                b'\\' => {
                    n_before += 1;
                    continue;
                }
                b'"' if quote.byte == b'"' => {
                    if let Some(end) = quote.ends_at(at, n_before) {
                        return Some(self.at..end);
                    }
                }
                byte if *byte == quote.byte && n_before <= quote.depth => {
                    return Some(self.at..at - n_before);
                }
                b'"' if n_before < quote.depth => return Some(self.at..at - n_before),
                b'"' | b'\n' if quote.byte != b'"' => return None,
                _ => {}
            }
            n_before = 0;
        }
        Some(self.at..self.text.len())
    }

    /// Takes white space and colours, escaped or not; returns whether there was
    /// some.
    pub(super) fn spaces(&mut self) -> bool {
        let start = self.at;
        loop {
            let rest = self.rest();
            let len = match rest.first() {
                Some(byte) if byte.is_ascii_whitespace() => 1,
                Some(b'\\' | 0x1B) => {
                    escape::line_break(rest).or_else(|| escape::color(rest)).unwrap_or(0)
                }
                _ => 0,
            };
            if len == 0 {
                return self.at > start;
            }
            self.at += len;
        }
    }

    /// Takes what separates a name from its value.
    pub(super) fn separator(&mut self, name: &Name) -> Option<Separator> {
        let (separator, len) = match self.rest() {
            [b':', b'=', ..] | [b'=', b'>', ..] => (Separator::Assign, 2),
            [b'=' | b'!', b'=', rest @ ..] if name.kind == NameKind::Password => {
                (Separator::Equals, 2 + usize::from(rest.first() == Some(&b'=')))
            }
            // `::` leads to another name.
            [b':', b':', ..] | [b'=', b'=', ..] => return None,
            [b':', ..] => (Separator::Colon, 1),
            [b'=', ..] => (Separator::Assign, 1),
            [b'>', ..] => (Separator::Tag, 1),
            _ => return None,
        };
        self.at += len;
        Some(separator)
    }

    /// Takes the sign of YAML that the value stands on the next line.
    pub(super) fn block(&mut self) {
        let rest = self.rest();
        let Some(b'|' | b'>') = rest.first() else { return };
        let len =
            1 + rest[1..].iter().take(2).take_while(|it| b"+-0123456789".contains(it)).count();
        let mut after = Cursor { at: self.at + len, ..*self };
        let line = after.rest();
        if (line.first() == Some(&b'\n') || escape::line_break(line).is_some()) && after.spaces() {
            *self = after;
        }
    }
}
