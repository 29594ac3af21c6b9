//! Private keys in armour: `-----BEGIN PRIVATE KEY-----`, as a whole or cut,
//! with whatever stands before each line: spaces, numbers, signs of a diff,
//! quotes of a language.

use std::ops::Range;

use crate::redact::escape;
use crate::redact::secret::Secret;

/// The least of a key's text that makes what is around it one.
const SHORTEST: usize = 4;

/// The least of a line of a key, where more than one line is in doubt.
const LINE: usize = 16;

/// How far the words `BEGIN` and `END` stand before `PRIVATE KEY`.
const KIND: usize = 24;

/// Appends the parts of the key that the words `PRIVATE KEY` at `at` begin or
/// end. No part holds a quote, so that what is in quotes stays so.
pub(super) fn find(text: &[u8], at: usize, found: &mut Vec<Secret>) {
    let before = &text[..at];
    let kind = before.iter().rev().take(KIND);
    let kind = kind.take_while(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || **it == b' ');
    let words = &before[at - kind.count()..];
    let dashes = before[..at - words.len()].ends_with(b"-----");
    let start = at - words.len() - 5 * usize::from(dashes);
    if dashes && words.starts_with(b"BEGIN ") {
        body(text, start, header_end(text, at), found);
    } else if dashes && words.starts_with(b"END ") {
        let body = tail(text, start);
        if !body.is_empty() {
            found.push(Secret::part(body));
        }
    }
}

/// Where the line with the words ends: after `PRIVATE KEY BLOCK-----`.
fn header_end(text: &[u8], at: usize) -> usize {
    let rest = &text[at..];
    let rest = rest.strip_prefix(b"PRIVATE KEY").unwrap_or(rest);
    let rest = rest.strip_prefix(b" BLOCK").unwrap_or(rest);
    let rest = rest.strip_prefix(b"-----").unwrap_or(rest);
    text.len() - rest.len()
}

/// Appends the parts of a key from `start` on, with what goes before it.
fn body(text: &[u8], start: usize, header_end: usize, found: &mut Vec<Secret>) {
    let (mut from, mut at) = (start, header_end);
    let mut parts = Vec::new();
    let mut lines_of_text = 0;
    loop {
        let stop = stop(text, at);
        let part = text[from..stop.at].trim_ascii_end();
        if stop.is_end {
            let end = header_end_after(text, stop.at);
            let whole = parts.is_empty();
            parts.push(from..end);
            // Between quotes there must be lines of a key, or it is a program's
            // text about keys.
            let enough = if whole { SHORTEST } else { LINE };
            if whole && has_run(&text[header_end..stop.at], enough) || lines_of_text > 0 {
                found.extend(parts.into_iter().map(Secret::part));
            }
            return;
        }
        let is_line = is_line(&text[at..stop.at]);
        if is_line {
            lines_of_text += 1;
            parts.push(from..from + part.len());
        } else if from == start && at == header_end && is_blank(&text[at..stop.at]) {
            parts.push(from..header_end);
        } else {
            break;
        }
        match next_part(text, stop.at) {
            Some(next) => (from, at) = (next, next),
            None => break,
        }
    }
    // Cut off: what is sure to be of the key.
    if lines_of_text > 0 {
        found.extend(parts.into_iter().map(Secret::part));
        return;
    }
    let end = lines(text, header_end);
    if end > header_end {
        found.push(Secret::part(start..end));
    }
}

/// Where a part of a key ends.
struct Stop {
    at: usize,
    /// Whether because the key does.
    is_end: bool,
}

/// Returns where the next quote, or the next five dashes are.
fn stop(text: &[u8], from: usize) -> Stop {
    let mut at = from;
    while at < text.len() {
        match text[at] {
            b'"' | b'\'' | b'`' => {
                let n = escape::backslashes_before(&text[from..], at - from);
                return Stop { at: at - n, is_end: false };
            }
            b'-' if text[at..].starts_with(b"-----") => {
                let is_end = text[at + 5..].starts_with(b"END ");
                return Stop { at, is_end };
            }
            _ => at += 1,
        }
    }
    Stop { at, is_end: false }
}

fn header_end_after(text: &[u8], at: usize) -> usize {
    let line = &text[at..];
    let len = 5 + line[5..]
        .iter()
        .take(2 * KIND)
        .take_while(|it| it.is_ascii_uppercase() || it.is_ascii_digit() || **it == b' ')
        .count();
    at + len + 5 * usize::from(line[len..].starts_with(b"-----"))
}

/// Returns where the next text in quotes begins, if only signs that join texts
/// are between.
fn next_part(text: &[u8], quote: usize) -> Option<usize> {
    let mut at = quote;
    let mut n_quotes = 0;
    while n_quotes < 2 {
        let rest = &text[at..];
        let byte = *rest.first()?;
        at += match byte {
            b'"' | b'\'' | b'`' => {
                n_quotes += 1;
                1
            }
            b'\\' => escape::line_break(rest).unwrap_or(1),
            b' ' | b'\t' | b'\r' | b'\n' | b',' | b'+' | b'.' | b'&' if at - quote < 120 => 1,
            _ => return None,
        };
    }
    Some(at)
}

/// Whether a text in quotes is one or more lines of a key, and nothing else.
fn is_line(text: &[u8]) -> bool {
    has_run(text, LINE) && lines(text, 0) == text.trim_ascii_end().len() || {
        let end = lines(text, 0);
        end > 0 && is_blank(&text[end..])
    }
}

fn is_blank(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b'\\' => match escape::line_break(&text[at..]) {
                Some(len) => len,
                None => return false,
            },
            byte if byte.is_ascii_whitespace() => 1,
            _ => return false,
        };
    }
    true
}

fn has_run(text: &[u8], len: usize) -> bool {
    text.split(|byte| !is_base64(*byte)).any(|run| run.len() >= len)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)
}

/// Returns the end of the lines of a key from `start` on; `start` if there are
/// none. A line is a word of base64, whatever signs stand before it; the last
/// one may be short.
fn lines(text: &[u8], start: usize) -> usize {
    let (mut at, mut end) = (start, start);
    let mut begins = true;
    while at < text.len() {
        let rest = &text[at..];
        let len = match rest[0] {
            b'\\' => {
                let Some(len) = escape::line_break(rest).or_else(|| escape::color(rest)) else {
                    return end;
                };
                begins |= rest[len - 1] != b't';
                len
            }
            0x1B => escape::color(rest).unwrap_or(1),
            b'\n' | b'\r' => {
                begins = true;
                1
            }
            b' ' | b'\t' | b'|' | b'>' | b'-' | b':' | b'#' | b'*' => 1,
            // Arrows and lines between numbers and text.
            byte if !byte.is_ascii() => 1,
            byte if is_base64(byte) => {
                let len = rest.iter().take_while(|it| is_base64(**it)).count();
                let word = &rest[..len];
                let number = word.iter().all(|it| it.is_ascii_digit() || *it == b'+');
                if !number {
                    if len < LINE
                        && (!begins || end == start && len < 8 || !ends_line(&rest[len..]))
                    {
                        return end;
                    }
                    end = at + len;
                    begins = false;
                }
                len
            }
            _ => return end,
        };
        at += len;
    }
    end
}

fn ends_line(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'\r' | b'\n' | b'"' | b'\'' | 0x1B))
        || escape::line_break(rest).is_some()
}

/// Returns the lines of a key before its end at `end`, whose beginning is not
/// there: what was cut out of the middle leaves this.
fn tail(text: &[u8], end: usize) -> Range<usize> {
    let mut start = end;
    loop {
        let line_end = line_end_before(text, start);
        let Some(line_end) = line_end else { return start..end };
        let run = text[..line_end].iter().rev().take_while(|it| is_base64(**it)).count();
        // The letter of an escape, or a sign of a diff.
        let mut from = line_end - run;
        if run > 0 && escape::backslashes_before(text, from) > 0 {
            from += 1;
        }
        if text.get(from) == Some(&b'+') {
            from += 1;
        }
        let first = start == end;
        if line_end - from < if first { SHORTEST } else { LINE } {
            return start..end;
        }
        start = from;
    }
}

/// Where the line before ends, if there is only white space, and what stands
/// before lines, between.
fn line_end_before(text: &[u8], start: usize) -> Option<usize> {
    let before = &text[start.saturating_sub(64)..start];
    let mut at = start;
    let mut broken = false;
    for byte in before.iter().rev() {
        match byte {
            b'\n' | b'\r' | b' ' | b'\t' | b'|' | b'-' | b'+' | b'>' => broken |= *byte == b'\n',
            b'n' | b'r' | b't' if escape::backslashes_before(text, at - 1) > 0 => {
                broken |= *byte == b'n';
            }
            b'\\' => {}
            // The number of the line.
            byte if !broken && (byte.is_ascii_digit() || *byte == b':' || !byte.is_ascii()) => {}
            _ => break,
        }
        at -= 1;
    }
    broken.then_some(at)
}
