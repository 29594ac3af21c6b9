//! A name with a value: `API_KEY=…`, `"client_secret": "…"`, `--token …`.

use std::ops::Range;

use crate::redact::escape::backslashes_before;
use crate::redact::secret::{Quote, Secret};
use crate::redact::value;

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

/// Returns the value, if the text at `at`, which begins with the last part of a
/// secret's name, goes on with one.
pub(super) fn find(text: &[u8], at: usize) -> Option<Secret> {
    let name_len = name_len(text, at)?;
    let mut cursor = Cursor { text, at: at + name_len };
    let quoted_name = cursor.quote();
    let spaced = cursor.spaces();
    if !cursor.separator() {
        let flag = flag_start(text, at)?;
        return match quoted_name {
            Some(quote) => argument(cursor, flag, quote).map(Secret::part),
            // `--password VALUE` has no separator but the space.
            None if spaced => match cursor.quote() {
                Some(quote) => quoted(text, cursor.at, quote),
                None => bare(text, cursor.at, true),
            }
            .map(Secret::part),
            None => None,
        };
    }
    let spaced = cursor.spaces() || spaced;
    if let Some(quote) = cursor.quote() {
        return quoted(text, cursor.at, quote).map(Secret::part);
    }
    match quoted_name {
        Some(quote) => {
            let place = value::find(text, cursor.at, quote.depth, is_counted(text, at))?;
            Some(Secret { place, quote: Some(quote) })
        }
        None => bare(text, cursor.at, spaced).map(Secret::part),
    }
}

/// Whether numbers under the name at `at` are usually counts.
fn is_counted(text: &[u8], at: usize) -> bool {
    text[at].eq_ignore_ascii_case(&b't')
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

/// Returns where the name at `at` begins, if it is that of a command line flag
/// that takes a value.
fn flag_start(text: &[u8], at: usize) -> Option<usize> {
    let before = &text[at.saturating_sub(40)..at];
    let name = before.iter().rev().take_while(|it| it.is_ascii_alphanumeric() || **it == b'-');
    let start = at - name.count();
    // The letter of an escape may stand before it.
    let dashes = text[start..at].windows(2).position(|pair| pair == b"--")?;
    let start = start + dashes;
    (!text[start..].starts_with(b"--no-")).then_some(start)
}

/// The element after that of a flag, in a list of quoted arguments.
fn argument(mut cursor: Cursor<'_>, flag: usize, quote: Quote) -> Option<Range<usize>> {
    let text = cursor.text;
    let begins = text[..flag].last() == Some(&quote.byte);
    let name = &text[flag + 2..cursor.at];
    if !begins || text.get(cursor.at) != Some(&b',') {
        return None;
    }
    cursor.at += 1;
    cursor.spaces();
    if cursor.quote() != Some(quote) {
        return None;
    }
    let value = quoted(text, cursor.at, quote)?;
    // Another flag, or what a parser of arguments is to call this one.
    let is_flag = text[value.clone()].starts_with(b"-") || name.starts_with(&text[value.clone()]);
    (!is_flag).then_some(value)
}

/// A value up to the quote that ends it, at the depth of the one that began it.
fn quoted(text: &[u8], start: usize, quote: Quote) -> Option<Range<usize>> {
    let mut at = start;
    let end = loop {
        let Some(&byte) = text.get(at) else { break text.len() };
        let n_before = backslashes_before(&text[..at], at).min(at - start);
        if quote.byte == b'"' {
            if byte == b'"'
                && let Some(end) = quote.ends_at(at, n_before)
            {
                break end;
            }
        } else if byte == quote.byte && n_before <= quote.depth
            || byte == b'"' && n_before < quote.depth
        {
            break at - n_before;
        } else if byte == b'"' || byte == b'\n' {
            // An apostrophe, not a quote: a quoted word ends on its line.
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
    /// Takes a quote.
    fn quote(&mut self) -> Option<Quote> {
        let rest = &self.text[self.at..];
        let depth = rest.iter().take_while(|byte| **byte == b'\\').count();
        let byte = *rest.get(depth)?;
        if byte != b'"' && byte != b'\'' {
            return None;
        }
        self.at += depth + 1;
        Some(Quote { byte, depth })
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
