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

fn unicode_len(bytes: &[u8], at: usize) -> Result<usize, Syntax> {
    let Some(unit) = hex4(bytes.get(at + 2..at + 6)) else {
        return fail("invalid \\u escape", at);
    };
    match unit {
        0xD800..0xDC00 => {
            let low = (bytes.get(at + 6..at + 8) == Some(br"\u"))
                .then(|| hex4(bytes.get(at + 8..at + 12)))
                .flatten();
            match low {
                Some(0xDC00..0xE000) => Ok(12),
                _ => Err(Syntax { kind: ErrorKind::LoneSurrogate, offset: at }),
            }
        }
        0xDC00..0xE000 => Err(Syntax { kind: ErrorKind::LoneSurrogate, offset: at }),
        _ => Ok(6),
    }
}

fn fail<T>(what: &'static str, offset: usize) -> Result<T, Syntax> {
    Err(Syntax { kind: ErrorKind::Syntax(what), offset })
}
