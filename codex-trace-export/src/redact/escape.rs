//! JSON escapes, as far as secrets are concerned.

use std::ops::Range;

use codex_rollout::JsonText;
use memchr::{memchr, memchr2};

/// Returns whether the byte at `at` is part of an escape: the `n` of `\n`.
pub(super) fn is_escaped(text: &[u8], at: usize) -> bool {
    backslashes_before(text, at) % 2 == 1
}

/// Returns how many backslashes stand directly before `at`.
pub(super) fn backslashes_before(text: &[u8], at: usize) -> usize {
    text[..at].iter().rev().take_while(|byte| **byte == b'\\').count()
}

/// Returns whether a word can begin at `at`: what is before is no letter, no
/// digit, or belongs to an escape.
pub(super) fn begins_word(text: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1) else { return true };
    if !text[before].is_ascii_alphanumeric() {
        return true;
    }
    if text[before] == b'm' && ends_color(&text[..before]) {
        return true;
    }
    // Written as in an address: `%3D`.
    let hex = |it: &u8| it.is_ascii_hexdigit();
    if at >= 3 && text[at - 3] == b'%' && text[at - 2..at].iter().all(hex) {
        return true;
    }
    if matches!(text[before], b'n' | b'r' | b't' | b'b' | b'f') && before > 0 {
        // In decoded text too: there it is an escape of some other language.
        return backslashes_before(text, before) > 0;
    }
    // The four digits of a `\u` escape.
    at >= 6 && text[at - 6] == b'\\' && text[at - 5] == b'u'
}

/// Returns the length of the line break or tab, as an escape at any depth, that
/// a text begins with.
pub(super) fn line_break(text: &[u8]) -> Option<usize> {
    let run = text.iter().take_while(|byte| **byte == b'\\').count();
    (run > 0 && text.get(run).is_some_and(|byte| b"nrt".contains(byte))).then_some(run + 1)
}

/// Returns the length of the colour of a terminal that a text begins with,
/// whether its first character is escaped or not.
pub(super) fn color(text: &[u8]) -> Option<usize> {
    let run = text.iter().take_while(|byte| **byte == b'\\').count();
    let starts = ["\u{1b}[", "u001b[", "u001B[", "x1b[", "x1B[", "033[", "e["];
    let start = starts.iter().skip(usize::from(run > 0));
    let start = start.take(if run > 0 { 6 } else { 1 });
    let start = start.clone().find(|it| text[run..].starts_with(it.as_bytes()))?.len() + run;
    let digits = text[start..].iter().take(24).take_while(|it| is_parameter(**it)).count();
    text.get(start + digits)?.is_ascii_alphabetic().then_some(start + digits + 1)
}

/// Whether a text ends with a colour of a terminal, but for its last letter.
fn ends_color(text: &[u8]) -> bool {
    let digits = text.iter().rev().take(24).take_while(|it| is_parameter(**it)).count();
    text[..text.len() - digits].ends_with(b"[")
}

fn is_parameter(byte: u8) -> bool {
    byte.is_ascii_digit() || b";:?".contains(&byte)
}

/// Spells plain characters that are written as `\u002d` or `\/`.
///
/// Not quotes and backslashes, which JSON needs escaped.
pub(super) fn spell_out(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(slash) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..slash]);
        rest = &rest[slash..];
        let run = rest.iter().take_while(|byte| **byte == b'\\').count();
        if let Some(plain) = plain_escape(&rest[run..]) {
            out.push(plain.0);
            rest = &rest[run + plain.1..];
        } else {
            out.extend_from_slice(&rest[..run]);
            rest = &rest[run..];
        }
    }
    out.extend_from_slice(rest);
    out
}

/// Returns what an escape stands for and its length, if that is plain.
fn plain_escape(after: &[u8]) -> Option<(u8, usize)> {
    if after.first() == Some(&b'/') {
        return Some((b'/', 1));
    }
    let digits = after.strip_prefix(b"u00")?.get(..2)?;
    let code = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    let plain = (0x20..0x7F).contains(&code) && code != b'"' && code != b'\\';
    plain.then_some((code, 5))
}

/// Decodes raw JSON text; returns where each byte of it, and its end, stands.
///
/// Quotes that end strings stay: nothing tells them from others in what is
/// decoded, but their places do.
pub(super) fn decode(text: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut decoded = Vec::with_capacity(text.len());
    let mut places = Vec::with_capacity(text.len() + 1);
    let mut at = 0;
    while at < text.len() {
        let run = memchr(b'\\', &text[at..]).unwrap_or(text.len() - at);
        decoded.extend_from_slice(&text[at..at + run]);
        places.extend(at..at + run);
        at += run;
        if at == text.len() {
            break;
        }
        let len = escape_len(&text[at..]);
        let whole = JsonText::new(&text[at..(at + len).min(text.len())]);
        let character = whole.decode();
        decoded.extend_from_slice(character.as_bytes());
        places.extend(std::iter::repeat_n(at, character.len()));
        at += whole.raw_len();
    }
    places.push(text.len());
    (decoded, places)
}

/// Returns how long the escape is that a text begins with; two for a pair of
/// surrogates.
fn escape_len(text: &[u8]) -> usize {
    match text.get(1) {
        Some(b'u') => {
            let is_high = matches!(
                text.get(2..4),
                Some([b'd' | b'D', b'8'..=b'9' | b'a'..=b'b' | b'A'..=b'B'])
            );
            if is_high && text.get(6..8) == Some(b"\\u") { 12 } else { 6 }
        }
        _ => 2,
    }
}

/// Returns what is between the quotes of the next string of a JSON text, or the
/// next number.
pub(super) fn next_scalar(text: &[u8], from: usize) -> Option<Range<usize>> {
    let mut at = from;
    // The quote that ended the one before.
    if from > 0 && text.get(at) == Some(&b'"') {
        at += 1;
    }
    loop {
        match text.get(at)? {
            b'"' => {
                let start = at + 1;
                return Some(start..string_end(text, start));
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |it: &&u8| it.is_ascii_digit() || b"+-.eE".contains(it);
                let len = text[at..].iter().take_while(is_part).count();
                return Some(at..at + len);
            }
            _ => at += 1,
        }
    }
}

/// Returns where the quote is that ends a string.
fn string_end(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(next) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next;
        if text[at] == b'"' {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// Returns the escape that the byte at `at` is part of, but for its backslash.
fn escape_around(text: &[u8], at: usize) -> Option<Range<usize>> {
    if is_escaped(text, at) {
        let len = if text.get(at) == Some(&b'u') { 5 } else { 1 };
        return Some(at..at + len);
    }
    let letter = (1..=4_usize.min(at)).map(|n| at - n).find(|it| text[*it] == b'u')?;
    is_escaped(text, letter).then_some(letter..letter + 5)
}

/// Narrows a match in raw JSON text so that it neither leaves the string that
/// it begins in nor cuts an escape.
pub(super) fn within_string(text: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    if let Some(escape) = escape_around(text, start) {
        start = escape.end.min(end);
    }
    let mut at = start;
    while at < end {
        match text[at] {
            b'"' => return (start, at),
            b'\\' => {
                let len = if text.get(at + 1) == Some(&b'u') { 6 } else { 2 };
                if at + len > end {
                    end = at;
                }
                at += len;
            }
            _ => at += 1,
        }
    }
    (start, end)
}
