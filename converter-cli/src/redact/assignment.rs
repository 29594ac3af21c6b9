//! A name with a value: `API_KEY=…`, `"client_secret": "…"`, `--token …`.

use std::ops::Range;

use crate::redact::escape::backslashes_before;

/// The shortest value without quotes that counts.
const SHORTEST: usize = 6;

/// What a `key` must belong to: a primary key is no secret.
const KEYS: &[&str] =
    &["api", "private", "access", "secret", "auth", "account", "client", "master"];

/// Values that are no secrets but words of a language.
const WORDS: &[&str] = &[
    "string",
    "String",
    "number",
    "boolean",
    "required",
    "optional",
    "undefined",
    "Option",
    "Secret",
    "secrets",
    "process",
    "environ",
    "config",
];

/// Returns where the value is, if the text at `at`, which begins with the last
/// part of a secret's name, goes on with one.
pub(super) fn find(text: &[u8], at: usize) -> Option<Range<usize>> {
    let name_len = name_len(text, at)?;
    let mut cursor = Cursor { text, at: at + name_len };
    let quoted_name = cursor.quote().is_some();
    let spaced = cursor.spaces();
    let separator = cursor.separator();
    if !separator {
        // `--password VALUE` has no separator but the space.
        if !spaced || quoted_name || !is_flag(text, at) {
            return None;
        }
        return match cursor.quote() {
            Some((quote, depth)) => quoted(text, cursor.at, quote, depth),
            None => bare(text, cursor.at, true),
        };
    }
    let spaced = cursor.spaces() || spaced;
    if let Some((quote, depth)) = cursor.quote() {
        return quoted(text, cursor.at, quote, depth);
    }
    // `"token": 17` is a number; putting text there would break the JSON.
    if quoted_name {
        return None;
    }
    bare(text, cursor.at, spaced)
}

/// Returns the length of the name's end at `at`, if it is that of a secret.
fn name_len(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let starts = |word: &str| {
        rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()))
    };
    let len = if starts("password") {
        8
    } else if starts("passwd") || starts("secret") {
        6
    } else if starts("passw") {
        return None;
    } else if starts("token") {
        5
    } else {
        // One letter or separator, then `key`.
        let separator = !rest[0].is_ascii_alphabetic();
        let before = &text[..at + usize::from(!separator)];
        let known = |word: &&str| {
            before.len() >= word.len()
                && before[before.len() - word.len()..].eq_ignore_ascii_case(word.as_bytes())
        };
        KEYS.iter().find(|word| known(word))?;
        4
    };
    let after = rest.get(len);
    let ends = after.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !b"_-".contains(byte));
    ends.then_some(len)
}

/// Whether the name at `at` is that of a command line flag.
fn is_flag(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(40)..at];
    let name = before.iter().rev().take_while(|it| it.is_ascii_alphanumeric() || **it == b'-');
    // The letter of an escape may stand before it.
    before[before.len() - name.count()..].windows(2).any(|pair| pair == b"--")
}

/// A value up to the quote that ends it, at the depth of the one that began it.
fn quoted(text: &[u8], start: usize, quote: u8, depth: usize) -> Option<Range<usize>> {
    let mut at = start;
    let end = loop {
        let Some(&byte) = text.get(at) else { break text.len() };
        let n_before = backslashes_before(&text[..at], at).min(at - start);
        // A double quote that is less escaped than ours ends what is around us.
        if byte == quote && n_before <= depth || byte == b'"' && n_before < depth {
            break at - n_before;
        }
        // An apostrophe, not a quote: a quoted word ends on its line.
        if quote == b'\'' && (byte == b'"' || byte == b'\n') {
            return bare(text, start, true);
        }
        at += 1;
    };
    let value = &text[start..end];
    (!value.is_empty() && !is_reference(value)).then_some(start..end)
}

/// A value up to where a word of a shell or of a language ends.
fn bare(text: &[u8], start: usize, spaced: bool) -> Option<Range<usize>> {
    let len = text[start..].iter().take_while(|byte| !ends_bare(**byte)).count();
    let value = &text[start..start + len];
    let number = value.len() < 16 && value.iter().all(u8::is_ascii_digit);
    // Code rather than configuration: `token = lexer.next()`.
    let called = spaced && value.contains(&b'(');
    let word = WORDS.iter().any(|word| {
        value
            .strip_prefix(word.as_bytes())
            .is_some_and(|after| after.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()))
    });
    if value.len() < SHORTEST || number || called || word || is_reference(value) {
        return None;
    }
    Some(start..start + len)
}

fn ends_bare(byte: u8) -> bool {
    byte.is_ascii_whitespace() || byte < b' ' || b"\"'\\,;}`<>|".contains(&byte)
}

/// Whether the value only says where the secret is, or that there was one.
fn is_reference(value: &[u8]) -> bool {
    let head = value.first();
    matches!(head, Some(b'$' | b'[' | b'{' | b'%'))
        || value.iter().all(|byte| b"*x.X".contains(byte))
}

struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
}

impl Cursor<'_> {
    /// Takes a quote; returns it and how many backslashes it had.
    fn quote(&mut self) -> Option<(u8, usize)> {
        let rest = &self.text[self.at..];
        let depth = rest.iter().take_while(|byte| **byte == b'\\').count();
        let quote = *rest.get(depth)?;
        if quote != b'"' && quote != b'\'' {
            return None;
        }
        self.at += depth + 1;
        Some((quote, depth))
    }

    /// Takes white space, escaped or not; returns whether there was some.
    fn spaces(&mut self) -> bool {
        let start = self.at;
        loop {
            let rest = &self.text[self.at..];
            match rest.first() {
                Some(byte) if byte.is_ascii_whitespace() => self.at += 1,
                Some(b'\\') => {
                    let run = rest.iter().take_while(|byte| **byte == b'\\').count();
                    if !rest.get(run).is_some_and(|byte| b"nrt".contains(byte)) {
                        break;
                    }
                    self.at += run + 1;
                }
                _ => break,
            }
        }
        self.at > start
    }

    /// Takes `:`, `=`, `:=` or `=>`.
    fn separator(&mut self) -> bool {
        let rest = &self.text[self.at..];
        let len = match rest {
            [b':', b'=', ..] | [b'=', b'>', ..] => 2,
            // `==` compares, `::` leads to another name.
            [b'=', b'=', ..] | [b':', b':', ..] => 0,
            [b':' | b'=', ..] => 1,
            _ => 0,
        };
        self.at += len;
        len > 0
    }
}
