//! JSON values under a secret's name that are not texts.

use std::ops::Range;

use crate::redact::secret::Quote;

/// The shortest number that can be a secret: a PIN.
const SHORTEST: usize = 4;

/// How far to look for the first text in lists of lists.
const MOST_OPENED: usize = 64;

/// What a description of a value begins with, rather than a value.
const SCHEMA: [&str; 12] = [
    "type",
    "$ref",
    "description",
    "anyOf",
    "oneOf",
    "allOf",
    "enum",
    "title",
    "format",
    "default",
    "const",
    "required",
];

/// Returns the number, list or object that begins at `at`, if it can be a
/// secret, or hold one. `counted`: numbers are counts, as those of tokens.
pub(super) fn find(text: &[u8], at: usize, quote: Quote, counted: bool) -> Option<Range<usize>> {
    match text.get(at)? {
        b'0'..=b'9' | b'-' if !counted => {
            let len =
                text[at..].iter().take_while(|it| it.is_ascii_digit() || b"+-.eE".contains(it));
            let len = len.count();
            (len >= SHORTEST).then_some(at..at + len)
        }
        b'{' | b'[' => {
            let inside = text[at + 1..].trim_ascii_start();
            let is_empty = matches!(inside.first(), None | Some(b'}' | b']'));
            if is_empty || is_schema(inside) || counted && !is_text(inside) {
                return None;
            }
            Some(at..end(text, at, quote))
        }
        _ => None,
    }
}

/// Whether what is first in a list or object is a text.
fn is_text(inside: &[u8]) -> bool {
    let opened = |it: &&u8| b"{[\\ \t\r\n".contains(it);
    let first = inside.iter().take(MOST_OPENED).find(|it| !opened(it));
    matches!(first, Some(b'"' | b'\''))
}

/// Whether an object describes values, as those of a tool's parameters do.
fn is_schema(inside: &[u8]) -> bool {
    let quoted = inside.iter().position(|byte| *byte != b'\\').unwrap_or(0);
    let Some(name) = inside[quoted..].strip_prefix(b"\"") else { return false };
    let len = name.iter().position(|byte| b"\"\\".contains(byte)).unwrap_or(name.len());
    SCHEMA.iter().any(|word| word.as_bytes() == &name[..len])
}

/// Returns where the list or object that begins at `start` ends, or what is
/// around it does before.
fn end(text: &[u8], start: usize, quote: Quote) -> usize {
    let (mut n_open, mut in_string, mut run) = (0_usize, false, 0);
    for (at, byte) in text.iter().enumerate().skip(start) {
        let n_before = run;
        run = if *byte == b'\\' { run + 1 } else { 0 };
        match byte {
            b'"' => {
                let n = n_before;
                if quote.byte != b'"' {
                    // What is around: a text of single quotes has no others.
                    return at - n;
                }
                if quote.is_like(n) {
                    in_string = !in_string;
                } else if let Some(end) = quote.ends_at(at, n) {
                    return end;
                }
            }
            b'{' | b'[' if !in_string => n_open += 1,
            b'}' | b']' if !in_string => {
                n_open -= 1;
                if n_open == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}
