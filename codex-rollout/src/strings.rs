//! Finds the end of a JSON string: the inner loop of the whole reader.

use crate::error::ErrorKind;
use crate::scan::Syntax;
use crate::text::hex4;

/// Where a string ends, and what was seen on the way.
#[derive(Debug)]
pub(crate) struct StringEnd {
    /// The offset of the closing quote.
    pub(crate) quote: usize,
    /// Whether a byte above 0x7F was passed over.
    pub(crate) non_ascii: bool,
}

/// Finds the quote that closes the string whose text starts at `from`,
/// checking its escapes on the way.
pub(crate) fn find_end(bytes: &[u8], from: usize) -> Result<StringEnd, Syntax> {
    let mut at = from;
    let mut non_ascii = false;
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(StringEnd { quote: at, non_ascii }),
            Some(b'\\') => at += escape_len(bytes, at)?,
            Some(0) => return Err(Syntax { kind: ErrorKind::NulBytes, offset: at }),
            Some(0..0x20) => return fail("control character in a string", at),
            Some(byte) => {
                non_ascii |= *byte >= 0x80;
                at += 1;
            }
            None => return fail("unexpected end", at),
        }
    }
}

/// Checks the escape whose backslash is at `at`; returns its length.
fn escape_len(bytes: &[u8], at: usize) -> Result<usize, Syntax> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => unicode_len(bytes, at),
        Some(_) => fail("invalid escape", at),
        None => fail("unexpected end", at + 1),
    }
}

/// Checks the `\u` escape at `at`, or the two that make one character.
fn unicode_len(bytes: &[u8], at: usize) -> Result<usize, Syntax> {
    match code_unit(bytes, at)? {
        0xD800..0xDC00 => {
            let low = match (bytes.get(at + 6), bytes.get(at + 7)) {
                (None, _) | (Some(b'\\'), None) => return fail("unexpected end", bytes.len()),
                (Some(b'\\'), Some(b'u')) => code_unit(bytes, at + 6)?,
                _ => 0,
            };
            if !(0xDC00..0xE000).contains(&low) {
                return Err(Syntax { kind: ErrorKind::LoneSurrogate, offset: at });
            }
            Ok(12)
        }
        0xDC00..0xE000 => Err(Syntax { kind: ErrorKind::LoneSurrogate, offset: at }),
        _ => Ok(6),
    }
}

/// Reads the four digits of the `\u` escape at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Result<u32, Syntax> {
    let digits = &bytes[at + 2..bytes.len().min(at + 6)];
    match hex4(digits) {
        None => fail("invalid \\u escape", at),
        Some(_) if digits.len() < 4 => fail("unexpected end", bytes.len()),
        Some(unit) => Ok(unit),
    }
}

fn fail<T>(what: &'static str, offset: usize) -> Result<T, Syntax> {
    Err(Syntax { kind: ErrorKind::Syntax(what), offset })
}
