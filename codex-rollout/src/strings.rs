//! Finds the end of a JSON string: the inner loop of the whole reader.
//!
//! Most bytes of a rollout lie in long strings, so that blocks of them are
//! looked at at once: a bit for each byte says whether it is a quote, a
//! backslash, a control character or not ASCII. The same search byte by byte
//! serves the ends of lines, other processors, and the tests as the twin that
//! is easy to believe.

use crate::error::ErrorKind;
use crate::scan::Syntax;
use crate::text::hex4;

#[cfg(target_arch = "x86_64")]
mod x86;

/// Where a string ends, and what was seen on the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StringEnd {
    /// The offset of the closing quote.
    pub(crate) quote: usize,
    /// Whether a byte above 0x7F was passed over.
    pub(crate) non_ascii: bool,
}

type Result<T> = std::result::Result<T, Syntax>;

/// Finds the quote that closes the string whose text starts at `from`,
/// checking its escapes on the way.
#[inline]
pub(crate) fn find_end(bytes: &[u8], from: usize) -> Result<StringEnd> {
    #[cfg(target_arch = "x86_64")]
    return x86::find_end(bytes, from);
    #[cfg(not(target_arch = "x86_64"))]
    return find_end_by_words(bytes, from);
}

/// Finds the end byte by byte; `non_ascii` is what was seen before `at`.
fn find_end_by_bytes(bytes: &[u8], mut at: usize, mut non_ascii: bool) -> Result<StringEnd> {
    loop {
        match bytes.get(at) {
            Some(b'"') => return Ok(StringEnd { quote: at, non_ascii }),
            Some(b'\\') => at += escape_len(bytes, at)?,
            Some(0..0x20) => return control(bytes, at),
            Some(byte) => {
                non_ascii |= *byte >= 0x80;
                at += 1;
            }
            None => return fail("unexpected end", at),
        }
    }
}

/// Finds the end eight bytes at a time, on any processor.
#[cfg(any(test, not(target_arch = "x86_64")))]
fn find_end_by_words(bytes: &[u8], from: usize) -> Result<StringEnd> {
    const LOW: u64 = u64::MAX / 0xFF;
    const HIGH: u64 = LOW << 7;
    /// Sets the high bit of each zero byte, and of some bytes above one.
    fn zeros(word: u64) -> u64 {
        word.wrapping_sub(LOW) & !word & HIGH
    }
    let mut at = from;
    let mut non_ascii = false;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = zeros(word ^ (LOW * u64::from(b'"')));
        let slash = zeros(word ^ (LOW * u64::from(b'\\')));
        let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
        let stop = quote | slash | control;
        // All below the first stop is certain; above it may be false alarms.
        let n_clear = stop.trailing_zeros() as usize / 8;
        non_ascii |= n_clear > 0 && word & HIGH & (u64::MAX >> (64 - 8 * n_clear)) != 0;
        at += n_clear;
        if n_clear == 8 {
            continue;
        }
        match bytes[at] {
            b'\\' => at += escape_len(bytes, at)?,
            _ => return find_end_by_bytes(bytes, at, non_ascii),
        }
    }
    find_end_by_bytes(bytes, at, non_ascii)
}

fn control<T>(bytes: &[u8], at: usize) -> Result<T> {
    match bytes[at] {
        0 => Err(Syntax { kind: ErrorKind::NulBytes, offset: at }),
        _ => fail("control character in a string", at),
    }
}

/// The length of two `\u` escapes that make one character.
const PAIR_LEN: usize = 12;

/// Checks the escape whose backslash is at `at`; returns its length.
fn escape_len(bytes: &[u8], at: usize) -> Result<usize> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
        Some(b'u') => unicode_len(bytes, at),
        Some(_) => fail("invalid escape", at),
        None => fail("unexpected end", at + 1),
    }
}

/// Checks the `\u` escape at `at`, or the two that make one character.
fn unicode_len(bytes: &[u8], at: usize) -> Result<usize> {
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
            Ok(PAIR_LEN)
        }
        0xDC00..0xE000 => Err(Syntax { kind: ErrorKind::LoneSurrogate, offset: at }),
        _ => Ok(6),
    }
}

/// Reads the four digits of the `\u` escape at `at`.
fn code_unit(bytes: &[u8], at: usize) -> Result<u32> {
    let digits = &bytes[at + 2..];
    match digits.first_chunk() {
        Some(digits) => hex4(*digits).map_or_else(|| fail("invalid \\u escape", at), Ok),
        None if digits.iter().all(u8::is_ascii_hexdigit) => fail("unexpected end", bytes.len()),
        None => fail("invalid \\u escape", at),
    }
}

#[cold]
fn fail<T>(what: &'static str, offset: usize) -> Result<T> {
    Err(Syntax { kind: ErrorKind::Syntax(what), offset })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Finder = fn(&[u8], usize) -> Result<StringEnd>;

    /// Every way of searching that this processor knows.
    fn finders() -> Vec<(&'static str, Finder)> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "others on x86"))]
        let mut finders: Vec<(&'static str, Finder)> =
            vec![("public", find_end), ("words", find_end_by_words)];
        #[cfg(target_arch = "x86_64")]
        finders.extend(x86::finders());
        finders
    }

    /// An answer in a form that can be compared.
    fn said(result: Result<StringEnd>) -> std::result::Result<StringEnd, (String, usize)> {
        result.map_err(|Syntax { kind, offset }| (kind.to_string(), offset))
    }

    fn compare(bytes: &[u8], from: usize) -> std::result::Result<(), TestCaseError> {
        let expected = said(find_end_by_bytes(bytes, from, false));
        for (name, find) in finders() {
            prop_assert_eq!(&said(find(bytes, from)), &expected, "{}", name);
        }
        Ok(())
    }

    /// Mostly plain text, so that strings get longer than a block.
    fn string_like() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            30 => "[ -!#-\\[\\]-~]{1,40}".prop_map(String::into_bytes),
            6 => prop::sample::select(&[r"\n", r"\\", r#"\""#, r"\/", r"\b\f\r\t"][..])
                .prop_map(|escape| escape.as_bytes().to_vec()),
            3 => prop::sample::select(&[r"\u0041", r"\ud83d\ude80", r"\u00e9\u00e9"][..])
                .prop_map(|escape| escape.as_bytes().to_vec()),
            2 => (1..140_usize).prop_map(|n| vec![b'\\'; n]),
            1 => "\\PC{1,9}".prop_map(String::into_bytes),
            1 => prop::sample::select(&[r"\ud83d", r"\udc00", r"\u12", r"\x", "\"", "\0", "\n"][..])
                .prop_map(|piece| piece.as_bytes().to_vec()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn all_finders_agree_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for from in 0..=bytes.len().min(70) {
                compare(&bytes, from)?;
            }
        }

        #[test]
        fn all_finders_agree_on_strings(mut bytes in string_like(), closed: bool) {
            if closed {
                bytes.extend(b"\",\"more\":1}");
            }
            for from in 0..=bytes.len().min(70) {
                compare(&bytes, from)?;
            }
        }
    }

    /// One odd byte in a plain string, at every place of several blocks.
    #[test]
    fn all_finders_agree_on_every_byte_at_every_place() {
        for at in 0..200 {
            for byte in 0..=u8::MAX {
                for before in [b'a', b'\\'] {
                    let mut bytes = [b'a'; 210];
                    bytes[at.max(1) - 1] = before;
                    bytes[at] = byte;
                    bytes[205] = b'"';
                    compare(&bytes, 0).unwrap();
                }
            }
        }
    }
}
