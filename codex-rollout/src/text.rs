use std::borrow::Cow;
use std::fmt;

use memchr::memchr;

use crate::scan::Cursor;

/// A string of a record, as the raw JSON text between its quotes.
///
/// Copying it into other JSON needs no work: write [`raw`](Self::raw) between
/// quotes. Reading it costs a scan, and a copy only if it has escapes.
///
/// ```
/// use codex_rollout::JsonText;
///
/// let text = JsonText::new(br"one\ntwo");
/// assert_eq!(text.raw(), br"one\ntwo");
/// assert_eq!(text.decode(), "one\ntwo");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct JsonText<'a>(&'a [u8]);

impl<'a> JsonText<'a> {
    /// Takes the text between the quotes of a JSON string.
    pub const fn new(raw: &'a [u8]) -> JsonText<'a> {
        JsonText(raw)
    }

    /// Returns the raw JSON text, without its quotes.
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    /// Returns whether the text is empty.
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Returns the length of the raw text in bytes: an upper bound of the
    /// decoded length.
    pub fn raw_len(self) -> usize {
        self.0.len()
    }

    /// Returns whether the text is `plain`, which must not need escapes.
    pub fn is(self, plain: &str) -> bool {
        self.0 == plain.as_bytes()
    }

    /// Returns the text with its escapes undone: borrowed if it has none.
    ///
    /// What no text can hold (a lone surrogate, bytes that are not UTF-8)
    /// becomes U+FFFD; a reader has refused such lines before.
    pub fn decode(self) -> Cow<'a, str> {
        match memchr(b'\\', self.0) {
            None => match simdutf8::basic::from_utf8(self.0) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(self.0),
            },
            Some(_) => Cow::Owned(unescape(self.0)),
        }
    }

    /// Decodes no more than about the first `limit` raw bytes.
    ///
    /// For looking at the head of a long tool output without copying all of it.
    pub fn decode_prefix(self, limit: usize) -> Cow<'a, str> {
        self.prefix(limit).decode()
    }

    /// Returns no more than the first `limit` raw bytes, and no half of a
    /// character or of an escape.
    #[must_use]
    pub fn prefix(self, limit: usize) -> JsonText<'a> {
        if self.0.len() <= limit {
            return self;
        }
        JsonText(&self.0[..boundary(self.0, limit)])
    }
}

impl fmt::Debug for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", String::from_utf8_lossy(self.0))
    }
}

/// A value of a record, as its raw JSON text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawJson<'a>(&'a [u8]);

impl<'a> RawJson<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> RawJson<'a> {
        RawJson(raw)
    }

    /// Returns the raw JSON text of the value, quotes and brackets included.
    pub fn raw(self) -> &'a [u8] {
        self.0
    }

    /// Returns the value's text if it is a string.
    pub fn as_text(self) -> Option<JsonText<'a>> {
        match self.0 {
            [b'"', text @ .., b'"'] => Some(JsonText(text)),
            _ => None,
        }
    }

    /// Returns a cursor over the value, to look into it.
    pub fn cursor(self) -> Cursor<'a> {
        Cursor::new(self.0)
    }
}

impl fmt::Debug for RawJson<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

/// Returns the last place up to `limit`, which lies inside the text, that is
/// neither in an escape nor in a character.
fn boundary(raw: &[u8], limit: usize) -> usize {
    // Only an escape that begins in front of the limit can reach beyond it.
    let window = limit.saturating_sub(LONGEST_ESCAPE);
    if let Some(slash) = memchr(b'\\', &raw[window..limit]) {
        // Of a run of backslashes each second one is escaped by the first.
        let slash = window + slash;
        let run = raw[..slash].iter().rev().take_while(|byte| **byte == b'\\').count();
        let mut at = slash - run % 2;
        while at < limit {
            let len = piece_len(&raw[at..]);
            if at + len > limit {
                return at;
            }
            at += len;
        }
        return at;
    }
    let mut end = limit;
    while end > 0 && raw[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    end
}

/// The length of two `\u` escapes that make one character.
const LONGEST_ESCAPE: usize = 12;

/// The length of the escape or the character that comes next.
fn piece_len(raw: &[u8]) -> usize {
    match raw {
        [
            b'\\',
            b'u',
            b'd' | b'D',
            b'8' | b'9' | b'a' | b'b' | b'A' | b'B',
            _,
            _,
            b'\\',
            b'u',
            ..,
        ] => LONGEST_ESCAPE,
        [b'\\', b'u', ..] => 6,
        [b'\\', ..] => 2,
        [_, rest @ ..] => 1 + rest.iter().take_while(|byte| **byte & 0xC0 == 0x80).count(),
        [] => 1,
    }
}

/// Undoes escapes; what is malformed becomes U+FFFD.
fn unescape(raw: &[u8]) -> String {
    unescape_blocks(raw).map_or_else(|| unescape_any(raw), into_text)
}

/// How much is looked at, and copied, at once, in bytes.
const BLOCK: usize = 2 * WORD;
const WORD: usize = 8;

/// How many blocks without an escape make it likely that the next one is far.
const FAR: usize = 2;

/// Undoes escapes a block at a time: in JSON that is in a string, there is one
/// every few bytes. `None` if one of them is malformed.
fn unescape_blocks(raw: &[u8]) -> Option<Vec<u8>> {
    // Room for a block wherever the text may end; it only becomes shorter.
    let mut out = vec![0; raw.len() + BLOCK];
    let (mut len, mut at, mut n_plain) = (0, 0, 0);
    while let Some(block) = raw.get(at..).and_then(<[u8]>::first_chunk::<BLOCK>) {
        out[len..len + BLOCK].copy_from_slice(block);
        let plain = plain_len(block);
        (len, at) = (len + plain, at + plain);
        if plain < BLOCK {
            n_plain = 0;
            at += unescape_into(&raw[at..], &mut out, &mut len)?;
        } else if n_plain < FAR {
            n_plain += 1;
        } else {
            n_plain = 0;
            let plain = memchr(b'\\', &raw[at..]).unwrap_or(raw.len() - at);
            out[len..len + plain].copy_from_slice(&raw[at..at + plain]);
            (len, at) = (len + plain, at + plain);
        }
    }
    while at < raw.len() {
        if raw[at] == b'\\' {
            at += unescape_into(&raw[at..], &mut out, &mut len)?;
        } else {
            out[len] = raw[at];
            (len, at) = (len + 1, at + 1);
        }
    }
    out.truncate(len);
    Some(out)
}

/// Returns how many bytes come before the first backslash.
#[inline]
fn plain_len(block: &[u8; BLOCK]) -> usize {
    let (words, _) = block.as_chunks::<WORD>();
    match plain_len_of_word(words[0]) {
        WORD => WORD + plain_len_of_word(words[1]),
        plain => plain,
    }
}

#[inline]
fn plain_len_of_word(word: [u8; WORD]) -> usize {
    const LOW: u64 = u64::MAX / 0xFF;
    let zero_at_slash = u64::from_le_bytes(word) ^ (LOW * u64::from(b'\\'));
    // Exact up to the first zero.
    let zeros = zero_at_slash.wrapping_sub(LOW) & !zero_at_slash & (LOW << 7);
    zeros.trailing_zeros() as usize / 8
}

/// Writes what the escape at the beginning of `raw` stands for; returns its
/// length, or `None` if it is malformed.
#[inline]
fn unescape_into(raw: &[u8], out: &mut [u8], len: &mut usize) -> Option<usize> {
    let letter = *raw.get(1)?;
    if letter == b'u' {
        let (c, used) = escaped_char(raw)?;
        *len += c.encode_utf8(&mut out[*len..]).len();
        return Some(used);
    }
    out[*len] = SIMPLE[usize::from(letter)];
    *len += 1;
    Some(2)
}

/// What the letter after a backslash stands for, where that takes no more than a letter.
static SIMPLE: [u8; 256] = {
    let mut simple = [0; 256];
    let mut letter: u8 = 0;
    while letter < u8::MAX {
        simple[letter as usize] = letter;
        letter += 1;
    }
    simple[u8::MAX as usize] = u8::MAX;
    simple[b'n' as usize] = b'\n';
    simple[b't' as usize] = b'\t';
    simple[b'r' as usize] = b'\r';
    simple[b'b' as usize] = 0x08;
    simple[b'f' as usize] = 0x0C;
    simple
};

/// Reads one `\u` escape, or the two that make one character.
fn escaped_char(raw: &[u8]) -> Option<(char, usize)> {
    let unit = |at: usize| hex4(*raw.get(at..)?.first_chunk()?);
    let first = unit(2)?;
    if !(0xD800..0xDC00).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let is_second = |unit: &u32| raw[6..8] == *br"\u" && (0xDC00..0xE000).contains(unit);
    let second = unit(8).filter(is_second)?;
    Some((char::from_u32(0x10000 + ((first - 0xD800) << 10) + second - 0xDC00)?, 12))
}

fn unescape_any(raw: &[u8]) -> String {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(slash) = memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..slash]);
        let used = unescape_one(&rest[slash + 1..], &mut out);
        rest = &rest[slash + 1 + used..];
    }
    out.extend_from_slice(rest);
    into_text(out)
}

/// Makes a text of bytes that should be one: what is not UTF-8 becomes U+FFFD.
///
/// As [`String::from_utf8_lossy`], at several times its speed, and without a copy
/// of what is UTF-8.
pub fn into_text(bytes: Vec<u8>) -> String {
    if simdutf8::basic::from_utf8(&bytes).is_err() {
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    #[expect(unsafe_code, reason = "checked just above; `String::from_utf8` would check again")]
    // SAFETY: the bytes are UTF-8.
    unsafe {
        String::from_utf8_unchecked(bytes)
    }
}

/// Appends what the escape after a backslash stands for; returns its length.
fn unescape_one(after: &[u8], out: &mut Vec<u8>) -> usize {
    let simple = match after.first() {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'b') => 0x08,
        Some(b'f') => 0x0C,
        Some(b'u') => return unescape_unicode(after, out),
        Some(other) => *other,
        None => return 0,
    };
    out.push(simple);
    1
}

fn unescape_unicode(after: &[u8], out: &mut Vec<u8>) -> usize {
    let (unit, mut used) = match after.get(1..).and_then(|digits| hex4(*digits.first_chunk()?)) {
        Some(unit) => (unit, 5),
        None => (0xFFFD, 1),
    };
    let mut code = unit;
    if (0xD800..0xDC00).contains(&unit)
        && after.get(5..7) == Some(br"\u")
        && let Some(low) = after.get(7..).and_then(|digits| hex4(*digits.first_chunk()?))
        && (0xDC00..0xE000).contains(&low)
    {
        code = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
        used = 11;
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    used
}

/// Reads the four digits of a `\u` escape.
#[inline]
pub(crate) fn hex4(digits: [u8; 4]) -> Option<u32> {
    let [a, b, c, d] = digits.map(|digit| HEX_VALUES[usize::from(digit)]);
    ((a | b | c | d) < 16).then_some(a << 12 | b << 8 | c << 4 | d)
}

/// What a byte is worth as a hexadecimal digit; 16 if it is none.
static HEX_VALUES: [u32; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        values[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        /// Word by word as piece by piece, whatever the bytes.
        #[test]
        fn both_ways_undo_the_same(pieces in prop::collection::vec(piece(), 0..12)) {
            let raw = pieces.concat();
            prop_assert_eq!(unescape(&raw), unescape_any(&raw));
        }
    }

    fn piece() -> impl Strategy<Value = Vec<u8>> {
        const ESCAPES: &[&str] = &[
            r"\n",
            r"\\",
            r#"\""#,
            r"\/",
            r"\b\f\r\t",
            r"\u0041",
            r"\ud83d\ude80",
            r"\u00e9",
            r"\ud83d",
            r"\udc00",
            r"\ud83d\ue000",
            r"\ud83d\u0041",
            r"\u12",
            r"\u",
            r"\x",
            r"\",
        ];
        prop_oneof![
            "[ -!#-\\[\\]-~]{0,60}".prop_map(String::into_bytes),
            "\\PC{1,9}".prop_map(String::into_bytes),
            prop::sample::select(ESCAPES).prop_map(|escape| escape.as_bytes().to_vec()),
            any::<u8>().prop_map(|byte| vec![byte]),
        ]
    }

    #[test]
    fn what_is_well_formed_is_undone_block_by_block() {
        let raw = br#"{\"cmd\":\"echo \u00e9 \ud83d\ude80\"}"#;
        let blocks = unescape_blocks(raw).map(into_text);
        assert_eq!(blocks.as_deref(), Some("{\"cmd\":\"echo \u{e9} \u{1f680}\"}"));
        assert_eq!(unescape_blocks(br"\ud83d"), None);
    }
}
