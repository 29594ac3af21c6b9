//! JSON escapes, as far as secrets are concerned.

use codex_rollout::JsonText;
use memchr::memchr;

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
    if matches!(text[before], b'n' | b'r' | b't' | b'b' | b'f') && before > 0 {
        // In decoded text too: there it is an escape of some other language.
        return backslashes_before(text, before) > 0;
    }
    // The four digits of a `\u` escape.
    at >= 6 && text[at - 6] == b'\\' && text[at - 5] == b'u'
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

/// Narrows a match in raw JSON text so that it neither leaves the string that
/// it begins in nor cuts an escape.
pub(super) fn within_string(text: &[u8], mut start: usize, mut end: usize) -> (usize, usize) {
    if is_escaped(text, start) {
        start += 1;
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
